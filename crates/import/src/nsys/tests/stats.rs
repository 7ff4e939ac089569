//! Every row of `nsys stats`, recomputed from the tables.
//!
//! The reports are NVIDIA's own, over the same exports; those in the folder `v100_single_gpu` are of the capture that
//! lies here as `v100_p2p_nvlink`. Counts, totals, least and largest are compared exactly, averages and medians to the
//! one digit that the reports print.

use std::path::PathBuf;

use super::*;

/// One row of a report: its columns by name.
type Line = BTreeMap<String, String>;

fn report(capture: &str, names: &[&str]) -> Option<Vec<Line>> {
    let file = |name: &&str| -> Option<PathBuf> {
        let plain = shared_golden(&format!("nsys-stats/{capture}/{name}.csv"))?;
        let packed = shared_golden(&format!("nsys-stats/{capture}/{name}.csv.gz"))?;
        [plain, packed].into_iter().find(|path| path.exists())
    };
    let path = names.iter().find_map(file)?;
    let bytes = std::fs::read(&path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|ending| ending == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        bytes.as_slice().read_to_string(&mut text).unwrap();
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let line = |record: csv::StringRecord| {
        columns.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect::<Line>()
    };
    Some(reader.records().map(|record| line(record.unwrap())).collect())
}

/// Lengths by name, each sorted.
type Groups = BTreeMap<String, Vec<i64>>;

fn groups(pairs: impl IntoIterator<Item = (String, i64)>) -> Groups {
    let mut groups = Groups::new();
    for (name, length) in pairs {
        groups.entry(name).or_default().push(length);
    }
    for lengths in groups.values_mut() {
        lengths.sort_unstable();
    }
    groups
}

fn median(sorted: &[i64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] as f64 } else { (sorted[middle - 1] + sorted[middle]) as f64 / 2.0 }
}

fn number(line: &Line, columns: &[&str]) -> f64 {
    let text = columns.iter().find_map(|column| line.get(*column)).unwrap_or_else(|| panic!("{columns:?} in {line:?}"));
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text} is a number"))
}

fn text<'l>(line: &'l Line, columns: &[&str]) -> &'l str {
    let text = columns.iter().find_map(|column| line.get(*column));
    let text = text.unwrap_or_else(|| panic!("{columns:?} in {line:?}"));
    // How nsys 2022 printed what is absent.
    if text == "None" { "" } else { text }
}

/// Compares a report with groups of lengths: the same names, and all numbers of each.
fn same(capture: &str, report: &[Line], name: &dyn Fn(&Line) -> String, groups: &Groups) {
    assert_eq!(report.len(), groups.len(), "{capture}: names");
    for line in report {
        let name = name(line);
        let lengths = groups.get(&name).unwrap_or_else(|| panic!("{capture}: {name:?} is not in the tables"));
        let count = number(line, &["Instances", "Num Calls", "Count"]);
        assert_eq!(count as usize, lengths.len(), "{capture}: count of {name}");
        let total: i64 = lengths.iter().sum();
        assert_eq!(number(line, &["Total Time (ns)"]) as i64, total, "{capture}: total of {name}");
        let ends = (number(line, &["Min (ns)"]) as i64, number(line, &["Max (ns)"]) as i64);
        assert_eq!(ends, (lengths[0], lengths[lengths.len() - 1]), "{capture}: ends of {name}");
        let average = number(line, &["Avg (ns)"]) - total as f64 / lengths.len() as f64;
        let middle = number(line, &["Med (ns)"]) - median(lengths);
        assert!(average.abs() <= 0.0501 && middle.abs() <= 0.0501, "{capture}: average and median of {name}");
    }
}

/// Names of copies as nsys 2022 printed them.
fn operation(name: &str) -> String {
    let long = [
        ("HtoD", "Host-to-Device"),
        ("DtoH", "Device-to-Host"),
        ("DtoD", "Device-to-Device"),
        ("PtoP", "Peer-to-Peer"),
    ];
    long.iter().fold(name.to_owned(), |name, (short, long)| name.replace(short, long))
}

const CAPTURES: &[(&str, &str)] = &[
    ("a100_cloverleaf", "a100_cloverleaf.schema3.13.sqlite"),
    ("gh200_jacobi", "gh200_jacobi.schema3.6.sqlite"),
    ("h100x2_train_before", "h100x2_train_before.schema3.25.sqlite"),
    ("h100x2_train_after", "h100x2_train_after.schema3.25.sqlite"),
    ("v100_single_gpu", "v100_p2p_nvlink.schema3.0.sqlite"),
];

#[test]
fn kernels_equal_nsys_stats() {
    for (capture, file) in CAPTURES {
        let (Some(tables), Some(report)) = (import(file), report(capture, &["cuda_gpu_kern_sum", "gpukernsum"])) else {
            return;
        };
        // The report of 2022 has one row a grid; ours have one a name, so it is grouped with the grid there.
        let by_grid = report[0].contains_key("GridXYZ");
        let frame = tables.get(&tables::ACTIVITIES);
        let sizes: Vec<Vec<Option<i64>>> = ["grid_x", "grid_y", "grid_z", "block_x", "block_y", "block_z"]
            .iter()
            .map(|name| ints(frame, name).unwrap())
            .collect();
        let size = |row: usize| {
            let sizes = sizes.iter().map(|sizes| sizes[row].unwrap().to_string());
            if by_grid { format!(" {}", sizes.collect::<Vec<_>>().join(" ")) } else { String::new() }
        };
        let ours = activities(&tables);
        let kernels = ours.iter().enumerate().filter(|(_, work)| work.kind == "kernel");
        let groups = groups(kernels.map(|(row, work)| (work.name.clone() + &size(row), work.length())));
        let name = |line: &Line| {
            let name = text(line, &["Name"]).to_owned();
            if by_grid {
                let sizes = format!("{} {}", text(line, &["GridXYZ"]), text(line, &["BlockXYZ"]));
                return format!("{name} {}", sizes.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            name
        };
        same(capture, &report, &name, &groups);
    }
}

#[test]
fn times_and_sizes_of_copies_and_sets_equal_nsys_stats() {
    for (capture, file) in CAPTURES {
        let names = ["cuda_gpu_mem_time_sum", "gpumemtimesum"];
        let (Some(tables), Some(times)) = (import(file), report(capture, &names)) else { return };
        let ours: Vec<Work> =
            activities(&tables).into_iter().filter(|work| work.kind == "copy" || work.kind == "set").collect();
        let name = |line: &Line| operation(text(line, &["Operation"]));
        same(capture, &times, &name, &groups(ours.iter().map(|work| (work.name.clone(), work.length()))));

        let sizes = report(capture, &["cuda_gpu_mem_size_sum", "gpumemsizesum"]).unwrap();
        let bytes = groups(ours.iter().map(|work| (work.name.clone(), work.bytes.unwrap())));
        assert_eq!(sizes.len(), bytes.len());
        for line in &sizes {
            let bytes = &bytes[&name(line)];
            assert_eq!(number(line, &["Count"]) as usize, bytes.len());
            let megabytes =
                [bytes.iter().sum::<i64>() as f64, median(bytes), bytes[0] as f64, bytes[bytes.len() - 1] as f64];
            for (column, ours) in ["Total (MB)", "Med (MB)", "Min (MB)", "Max (MB)"].iter().zip(megabytes) {
                assert!(
                    (number(line, &[column]) - ours / 1e6).abs() <= 0.000_501,
                    "{capture}: {column} of {}",
                    name(line)
                );
            }
        }
    }
}

/// A name without the version that nsys stats leaves on those of five digits.
fn call_name(name: &str) -> String {
    match name.rsplit_once("_v") {
        Some((stem, version)) if version.len() >= 4 && version.bytes().all(|byte| byte.is_ascii_digit()) => {
            stem.to_owned()
        }
        _ => name.to_owned(),
    }
}

fn calls(tables: &Tables) -> Vec<(String, String, i64, i64)> {
    let frame = tables.get(&tables::CALLS);
    let (apis, names) = (texts(frame, "api").unwrap(), texts(frame, "name").unwrap());
    let (starts, ends) = (ints(frame, "start_ns").unwrap(), ints(frame, "end_ns").unwrap());
    (0..frame.height())
        .map(|row| (apis[row].clone().unwrap(), names[row].clone().unwrap(), starts[row].unwrap(), ends[row].unwrap()))
        .collect()
}

#[test]
fn runtime_and_driver_calls_equal_nsys_stats() {
    for (capture, file) in CAPTURES {
        let (Some(tables), Some(report)) = (import(file), report(capture, &["cuda_api_sum", "cudaapisum"])) else {
            return;
        };
        let ours = calls(&tables).into_iter().filter(|call| call.0 == "runtime" || call.0 == "driver");
        same(
            capture,
            &report,
            &|line| call_name(text(line, &["Name"])),
            &groups(ours.map(|call| (call.1, call.3 - call.2))),
        );
    }
}

#[test]
fn ranges_equal_nsys_stats() {
    for (capture, file) in CAPTURES {
        let (Some(tables), Some(report)) = (import(file), report(capture, &["nvtx_sum", "nvtxsum"])) else { continue };
        let frame = tables.get(&tables::RANGES);
        let (domains, names) = (texts(frame, "domain").unwrap(), texts(frame, "name").unwrap());
        let styles = texts(frame, "style").unwrap();
        let (starts, ends) = (ints(frame, "start_ns").unwrap(), ints(frame, "end_ns").unwrap());
        // nsys stats ends open ranges at the last time of the table, and leaves out domains without a name.
        let last = starts.iter().chain(&ends).flatten().max().copied();
        let ours = (0..frame.height()).filter(|row| styles[*row].as_deref() != Some("mark")).map(|row| {
            let named = domains[row].as_deref().filter(|domain| !domain.starts_with("domain "));
            let name = named.map_or_else(String::new, |domain| format!("{domain}:")) + names[row].as_deref().unwrap();
            let style = if styles[row].as_deref() == Some("push_pop") { "PushPop" } else { "StartEnd" };
            (format!("{style} {name}"), ends[row].or(last).unwrap() - starts[row].unwrap())
        });
        let name =
            |line: &Line| format!("{} {}", text(line, &["Style"]), text(line, &["Range"]).trim_start_matches(':'));
        same(capture, &report, &name, &groups(ours));
    }
}

#[test]
fn each_row_of_the_gpu_trace_equals_nsys_stats() {
    for (capture, file) in CAPTURES {
        let (Some(tables), Some(report)) = (import(file), report(capture, &["cuda_gpu_trace", "gputrace"])) else {
            continue;
        };
        let frame = tables.get(&tables::ACTIVITIES);
        let column = |name: &str| ints(frame, name).unwrap();
        let (correlations, contexts, queues) = (column("correlation"), column("context"), column("queue"));
        let grids = [column("grid_x"), column("grid_y"), column("grid_z")];
        let (registers, shared) = (column("registers_per_thread"), column("shared_bytes"));
        let memories = [texts(frame, "src_memory").unwrap(), texts(frame, "dst_memory").unwrap()];
        let shown = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
        let mut ours: Vec<Vec<String>> = Vec::new();
        for (row, work) in activities(&tables).iter().enumerate().filter(|(_, work)| work.kind != "sync") {
            let memory = |side: usize| memories[side][row].clone().unwrap_or_default();
            // nsys shows what a set writes to as its source.
            let (src, dst) = if work.kind == "set" { (memory(1), String::new()) } else { (memory(0), memory(1)) };
            let grid = grids.iter().map(|grid| shown(grid[row])).collect::<Vec<_>>().join(" ");
            let mut line = vec![work.start.to_string(), work.length().to_string(), shown(correlations[row])];
            line.extend([grid, shown(registers[row]), shown(shared[row]), src, dst, work.device.to_string()]);
            line.extend([shown(contexts[row]), shown(queues[row]), work.name.clone()]);
            ours.push(line);
        }
        let mut theirs: Vec<Vec<String>> = report
            .iter()
            .map(|line| {
                let get = |columns: &[&str]| text(line, columns).to_owned();
                let megabytes = |columns: &[&str]| number(line, columns);
                let shared = get(&["StcSMem (MB)"]).is_empty();
                let shared = if shared {
                    String::new()
                } else {
                    format!("{:.0}", (megabytes(&["StcSMem (MB)"]) + megabytes(&["DymSMem (MB)"])) * 1e6)
                };
                let grid = ["GrdX", "GrdY", "GrdZ"].map(|column| get(&[column])).join(" ");
                let device = get(&["Device"]);
                let device = device.rsplit_once('(').unwrap().1.trim_end_matches(')').to_owned();
                let mut row = vec![
                    get(&["Start (ns)"]),
                    get(&["Duration (ns)"]),
                    get(&["CorrId"]),
                    grid,
                    get(&["Reg/Trd"]),
                    shared,
                ];
                row.extend([
                    get(&["SrcMemKd"]).to_lowercase(),
                    get(&["DstMemKd"]).to_lowercase(),
                    device,
                    get(&["Ctx"]),
                ]);
                row.extend([get(&["Strm"]), operation(&get(&["Name"]))]);
                row
            })
            .collect();
        // Shared memory is printed in MB with three digits, so it is compared by its digits there.
        for row in ours.iter_mut().chain(&mut theirs) {
            row[5] = row[5].parse::<f64>().map_or_else(|_| String::new(), |bytes| format!("{:.3}", bytes / 1e6));
        }
        ours.sort();
        theirs.sort();
        assert_eq!(ours.len(), theirs.len(), "{capture}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{capture}");
        }
    }
}

#[test]
fn each_kernel_is_launched_by_the_call_that_nsys_stats_joins_to_it() {
    for (capture, file) in CAPTURES {
        let (Some(tables), Some(report)) = (import(file), report(capture, &["cuda_kern_exec_sum", "kernexecsum"]))
        else {
            return;
        };
        let calls_frame = tables.get(&tables::CALLS);
        let (ids, threads) = (ints(calls_frame, "id").unwrap(), ints(calls_frame, "thread").unwrap());
        let processes = ints(calls_frame, "process").unwrap();
        let row_of: BTreeMap<i64, usize> = ids.iter().enumerate().map(|(row, id)| (id.unwrap(), row)).collect();
        let calls = calls(&tables);
        let mut lengths: BTreeMap<String, Vec<[i64; 3]>> = BTreeMap::new();
        for work in activities(&tables).iter().filter(|work| work.kind == "kernel") {
            let Some(row) = work.call.map(|call| row_of[&call]) else { continue };
            let (_, api, start, end) = &calls[row];
            let key =
                format!("{} {} {} {api} {}", processes[row].unwrap(), threads[row].unwrap(), work.device, work.name);
            lengths.entry(key).or_default().push([end - start, work.length(), work.end.max(*end) - start]);
        }
        assert_eq!(report.len(), lengths.len(), "{capture}");
        for line in &report {
            let get = |column: &str| text(line, &[column]).to_owned();
            let key = format!(
                "{} {} {} {} {}",
                get("PID"),
                get("TID"),
                get("DevId"),
                call_name(&get("API Name")),
                get("Kernel Name")
            );
            let ours = lengths.get(&key).unwrap_or_else(|| panic!("{capture}: {key} is not in the tables"));
            assert_eq!(number(line, &["Count"]) as usize, ours.len(), "{capture}: {key}");
            for (place, prefix) in ["A", "K", "T"].iter().enumerate() {
                let mut sorted: Vec<i64> = ours.iter().map(|lengths| lengths[place]).collect();
                sorted.sort_unstable();
                let stated = |what: &str| number(line, &[&format!("{prefix}{what} (ns)")]);
                assert_eq!(
                    (stated("Min") as i64, stated("Max") as i64),
                    (sorted[0], sorted[sorted.len() - 1]),
                    "{capture}: {key}"
                );
                assert!((stated("Med") - median(&sorted)).abs() <= 0.0501, "{capture}: {key}");
            }
        }
    }
}
