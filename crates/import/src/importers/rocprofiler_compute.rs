//! The importer of rocprofiler-compute's workload directories and of each of their tables alone
//! (`docs/importers/rocm.md`).

use proftool_trace::rows::Device;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Head, Import, Severity, Source};
use crate::rocm::pmc::{self, Launches};
use crate::rocm::table::{self, Table};
use crate::rocm::{number, roofs};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "rocprofiler_compute",
    doc: "A workload directory of rocprofiler-compute (Omniperf): pmc_perf.csv, sysinfo.csv, roofline.csv.",
    sniff,
    import,
};

fn sniff(head: &Head<'_>) -> bool {
    if !head.files.is_empty() {
        return head.files.iter().any(|name| kind_by_name(name).is_some_and(|kind| kind != Kind::Roofs));
    }
    kind(&table::header_of(head.text())).is_some()
}

/// One of the tables of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All counters of all launches, joined.
    Joined,
    /// The counters of one run of the program.
    Part,
    System,
    Roofs,
}

/// What a file of a workload directory is called.
fn kind_by_name(name: &str) -> Option<Kind> {
    let stem = stem(name)?;
    let part = ["pmc_perf_", "results_pmc_perf_"].iter().any(|prefix| stem.starts_with(prefix));
    match stem {
        "pmc_perf" => Some(Kind::Joined),
        "sysinfo" => Some(Kind::System),
        "roofline" => Some(Kind::Roofs),
        _ => part.then_some(Kind::Part),
    }
}

/// A table's name without `.csv` and the ending of its packing.
fn stem(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    plain.strip_suffix(".csv")
}

fn kind(header: &[String]) -> Option<Kind> {
    if pmc::is_pmc(header) {
        return Some(Kind::Joined);
    }
    if is_system(header) {
        return Some(Kind::System);
    }
    roofs::is_roofline(header).then_some(Kind::Roofs)
}

fn is_system(header: &[String]) -> bool {
    let has = |names: &[&str]| table::position(header, names).is_some();
    has(&["ip_blocks"]) && has(&["gpu_arch", "gpu_soc"])
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let workload = if source.is_dir() { Workload::of(source)? } else { Workload::alone(source) };
    let system = workload.system.as_ref().map(|file| System::read(file.get())).transpose()?.unwrap_or_default();
    let mut launches = Launches::new(system.version.as_deref(), workload.counters.len() > 1);
    for (stem, table) in &workload.counters {
        launches.read(table.get(), stem, import)?;
    }
    let roofed = workload.roofs.as_ref().map(|file| roofs::read(file.get(), import)).transpose()?.unwrap_or_default();
    let ran = launches.devices();
    if let Some(device) = ran.iter().find(|device| !roofed.is_empty() && !roofed.contains(device)) {
        let detail = format!(
            "kernels ran on GPU_ID {device}, roofline.csv has roofs of {roofed:?}: some versions count the processors \
             too in GPU_ID"
        );
        import.issue(Severity::Info, "device_without_roofs", 1, detail);
    }
    let devices = [ran, &roofed, &[0]].into_iter().find(|devices| !devices.is_empty()).unwrap_or_default();
    devices.iter().try_for_each(|device| import.device(&system.device(*device)))?;
    Ok(Session { clock: "rocprofiler (ns, means over its runs)".to_owned(), ..Session::default() })
}

/// A table to read: the source itself, or a file in its directory.
enum File<'s> {
    Whole(&'s Source),
    Entry(Box<Source>),
}

impl File<'_> {
    fn get(&self) -> &Source {
        match self {
            Self::Whole(source) => source,
            Self::Entry(source) => source,
        }
    }
}

/// The tables of a workload; those of counters with their stems.
#[derive(Default)]
struct Workload<'s> {
    counters: Vec<(String, File<'s>)>,
    system: Option<File<'s>>,
    roofs: Option<File<'s>>,
}

impl<'s> Workload<'s> {
    fn alone(source: &'s Source) -> Self {
        let head = source.head();
        let (mut workload, file) = (Self::default(), File::Whole(source));
        match kind(&table::header_of(head.text())) {
            Some(Kind::System) => workload.system = Some(file),
            Some(Kind::Roofs) => workload.roofs = Some(file),
            _ => workload.counters.push((stem(head.name).unwrap_or(head.name).to_owned(), file)),
        }
        workload
    }

    /// The joined table where there is one, else its parts; and beside either the accumulators of `SQ_*.csv`.
    fn of(folder: &'s Source) -> Result<Self, Error> {
        let names = folder.head().files;
        let joined = names.iter().any(|name| kind_by_name(name) == Some(Kind::Joined));
        let mut workload = Self::default();
        // The first table that has a launch tells its times: the runs in their order, the accumulators' runs last.
        let mut names: Vec<&String> = names.iter().collect();
        names.sort_by_key(|name| (name.starts_with("SQ_"), name.len(), *name));
        for name in names {
            let entry = || Ok::<_, Error>(File::Entry(Box::new(folder.entry(name)?)));
            let stem = stem(name).unwrap_or_default();
            match kind_by_name(name) {
                Some(Kind::System) => workload.system = Some(entry()?),
                Some(Kind::Roofs) => workload.roofs = Some(entry()?),
                Some(Kind::Joined) => workload.counters.push((stem.to_owned(), entry()?)),
                Some(Kind::Part) if !joined => workload.counters.push((stem.to_owned(), entry()?)),
                None if stem.starts_with("SQ_") => workload.counters.push((stem.to_owned(), entry()?)),
                Some(Kind::Part) | None => {}
            }
        }
        Ok(workload)
    }
}

/// What `sysinfo.csv` says of the machine, in its one row. The name of the host is left out.
#[derive(Default)]
struct System {
    model: Option<String>,
    arch: Option<String>,
    units: Option<i64>,
    memory_bytes: Option<i64>,
    clock_hz: Option<i64>,
    version: Option<String>,
}

impl System {
    fn read(source: &Source) -> Result<Self, Error> {
        let mut table = Table::open(source)?;
        if !table.next()? {
            return Err(source.damaged("line 2", "it has a header and no row", "profile the program again"));
        }
        let text = |names: &[&str]| {
            let cell = table.cell(table.column(names));
            (!number::is_absent(cell)).then(|| cell.trim().to_owned())
        };
        let scaled = |names: &[&str], factor: i64| {
            number::integer(&text(names)?)?.checked_mul(factor).filter(|value| *value > 0)
        };
        Ok(Self {
            model: text(&["gpu_model", "name", "gpu_series"]),
            arch: text(&["gpu_arch", "gpu_soc"]),
            units: scaled(&["cu_per_gpu", "numCU"], 1),
            // In KiB by the tool's own description of the field; older versions leave it empty.
            memory_bytes: scaled(&["gpu_memory"], 1024),
            clock_hz: scaled(&["max_sclk", "sclk"], 1_000_000),
            version: text(&["version"]),
        })
    }

    fn device(&self, device: i64) -> Device<'_> {
        Device {
            device,
            kind: "hip",
            name: self.model.as_deref().unwrap_or("AMD GPU"),
            arch: self.arch.as_deref(),
            sm_count: self.units,
            memory_bytes: self.memory_bytes,
            clock_hz: self.clock_hz,
            ..Device::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proftool_trace::frame::{Tables, floats, ints, texts};
    use proftool_trace::tables;

    use super::*;
    use crate::driver::into_memory;
    use crate::fixture::shared_data;

    /// The counters of that name, in the order of the launches.
    fn counters(all: &Tables, metric: &str) -> Vec<Option<f64>> {
        let names = texts(all.get(&tables::COUNTER_DEFS), "metric").unwrap();
        let def = names.iter().position(|name| name.as_deref() == Some(metric)).map(|at| at as i64);
        let defs = ints(all.get(&tables::COUNTERS), "def").unwrap();
        let values = floats(all.get(&tables::COUNTERS), "value").unwrap();
        defs.into_iter().zip(values).filter(|(other, _)| *other == def).map(|(_, value)| value).collect()
    }

    fn issue(all: &Tables, code: &str) -> Option<(i64, String)> {
        let frame = all.get(&tables::ISSUES);
        let at = texts(frame, "code").unwrap().iter().position(|other| other.as_deref() == Some(code))?;
        Some((ints(frame, "count").unwrap()[at]?, texts(frame, "detail").unwrap()[at].clone()?))
    }

    fn written(name: &str, text: &str) -> Result<Tables, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        into_memory(&path).map(|(_, all)| all)
    }

    fn workload(files: &[(&str, &str)]) -> Result<Tables, Error> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        into_memory(folder.path()).map(|(_, all)| all)
    }

    const HEADER: &str = "Dispatch_ID,Kernel_Name,GPU_ID,Grid_Size,Workgroup_Size,LDS_Per_Workgroup,Arch_VGPR,Accum_VGPR,\
                          Start_Timestamp,End_Timestamp,SQ_WAVES";

    fn table(rows: &[&str]) -> String {
        format!("{HEADER}\n{}\n", rows.join("\n"))
    }

    /// The sums were computed from the file with Python's csv and float: 972 counter columns, 2,916 cells.
    #[test]
    fn mi200_gives_the_sums_that_a_spreadsheet_gives() {
        let Some(path) = shared_data("amd/vcopy_MI200") else { return };
        let (_, all) = into_memory(&path).unwrap();
        assert_eq!(all.get(&tables::COUNTER_DEFS).height(), 972);
        let values = floats(all.get(&tables::COUNTERS), "value").unwrap();
        assert_eq!(values.len(), 2916);
        assert_eq!(values.into_iter().flatten().reduce(|sum, value| sum + value), Some(1_860_914_608.0));
        assert_eq!(counters(&all, "TCC_EA_WRREQ[0]"), [Some(4096.0), Some(2844.0), Some(2842.0)]);
        assert_eq!(counters(&all, "TCC_EA_RDREQ_sum"), [Some(131_086.0), Some(131_086.0), Some(131_087.0)]);
        assert_eq!(counters(&all, "GRBM_COUNT"), [Some(29465.0), Some(41616.0), Some(41603.0)]);
    }

    #[test]
    fn mi200_gives_launches_activities_and_the_device() {
        let Some(path) = shared_data("amd/vcopy_MI200") else { return };
        let (_, all) = into_memory(&path).unwrap();
        let activities = all.get(&tables::ACTIVITIES);
        let int = |name: &str| ints(activities, name).unwrap();
        assert_eq!(int("start_ns"), [Some(0), Some(113_760), Some(150_880)]);
        assert_eq!(int("end_ns"), [Some(20_480), Some(130_080), Some(166_400)]);
        assert_eq!([int("grid_x")[0], int("block_x")[0]], [Some(4096), Some(256)]);
        assert_eq!([int("registers_per_thread")[0], int("shared_bytes")[0]], [Some(8), Some(0)]);
        let launches = all.get(&tables::LAUNCHES);
        assert_eq!(ints(launches, "launch_index").unwrap(), [Some(0), Some(1), Some(2)]);
        assert_eq!(ints(launches, "device").unwrap(), [Some(2); 3]);
        assert_eq!(texts(launches, "grid").unwrap()[0].as_deref(), Some("(4096,1,1)"));
        assert_eq!(
            texts(launches, "name").unwrap()[0].as_deref(),
            Some("vecCopy(double*, double*, double*, int, int)")
        );
        let devices = all.get(&tables::DEVICES);
        assert_eq!(texts(devices, "arch").unwrap(), [Some("gfx90a".to_owned())]);
        assert_eq!(texts(devices, "host").unwrap(), [None]);
        assert_eq!(ints(devices, "sm_count").unwrap(), [Some(104)]);
        assert_eq!(ints(devices, "clock_hz").unwrap(), [Some(1_700_000_000)]);
        assert_eq!(ints(devices, "memory_bytes").unwrap(), [None]);
        assert_eq!(issue(&all, "times_are_means").map(|(count, _)| count), Some(3));
    }

    #[test]
    fn mi200_gives_the_roofs_of_four_devices_in_base_units() {
        let Some(path) = shared_data("amd/vcopy_MI200/roofline.csv") else { return };
        let (_, all) = into_memory(&path).unwrap();
        let roofs = all.get(&tables::CEILINGS);
        assert_eq!(roofs.height(), 4 * 11);
        let (names, units) = (texts(roofs, "name").unwrap(), texts(roofs, "unit").unwrap());
        let precisions = texts(roofs, "precision").unwrap();
        let levels = texts(roofs, "level").unwrap();
        let values = floats(roofs, "value").unwrap();
        let near = |at: usize, value: f64| (values[at].unwrap() / value - 1.0).abs() < 1e-12;
        assert!(levels[0].as_deref() == Some("DRAM") && near(0, 1.388_930_2e12));
        assert_eq!(names[10].as_deref(), Some("mfma"));
        assert_eq!([precisions[10].as_deref(), units[10].as_deref()], [Some("i8"), Some("op/s")]);
        assert!(near(10, 1.664_022_7e14));
        assert_eq!(units[4].as_deref(), Some("flop/s"));
    }

    #[test]
    fn times_that_a_spreadsheet_rounded_give_no_activities_and_an_issue() {
        let Some(path) = shared_data("amd/vcopy_MI300X") else { return };
        let (_, all) = into_memory(&path).unwrap();
        assert_eq!(all.get(&tables::ACTIVITIES).height(), 0);
        assert_eq!(ints(all.get(&tables::LAUNCHES), "activity").unwrap(), [None; 3]);
        let (count, detail) = issue(&all, "timestamp_rounded").unwrap();
        assert!(count == 3 && detail.contains("8.1097E+14"), "{detail}");
        assert_eq!(all.get(&tables::COUNTER_DEFS).height(), 2665);
        let values = floats(all.get(&tables::COUNTERS), "value").unwrap();
        assert_eq!(values.into_iter().flatten().reduce(|sum, value| sum + value), Some(1_550_972_224.0));
        assert_eq!(counters(&all, "TCC_EA0_WRREQ_sum"), [Some(131_072.0); 3]);
        assert_eq!(texts(all.get(&tables::DEVICES), "arch").unwrap(), [Some("gfx942".to_owned())]);
    }

    #[test]
    fn each_table_alone_is_claimed_and_a_machine_without_events_is_refused() {
        let Some(folder) = shared_data("amd/vcopy_MI200") else { return };
        let (imported, all) = into_memory(&folder.join("pmc_perf.csv")).unwrap();
        assert_eq!(imported.importer, "rocprofiler_compute");
        assert_eq!(texts(all.get(&tables::DEVICES), "name").unwrap(), [Some("AMD GPU".to_owned())]);
        let error = into_memory(&folder.join("sysinfo.csv")).unwrap_err();
        assert!(matches!(error, Error::NoRows { format: "rocprofiler_compute", .. }), "{error}");
    }

    #[test]
    fn parts_are_joined_by_kernel_and_number_of_earlier_launches() {
        let first =
            table(&["0,a,0,64,64,0,8,0,100,110,1", "1,b,0,64,64,0,8,0,120,130,2", "2,a,0,64,64,0,8,0,140,150,3"]);
        let second = "Dispatch_ID,Kernel_Name,GPU_ID,Grid_Size,Workgroup_Size,Start_Timestamp,End_Timestamp,SQ_WAVES,CPC_BUSY\n\
                      7,b,0,64,64,900,950,9,20\n8,a,0,64,64,960,970,9,10\n9,a,0,64,64,980,990,9,30\n";
        let level = "Dispatch_ID,Kernel_Name,GPU_ID,Grid_Size,Workgroup_Size,SQ_ACCUM_PREV_HIRES\n0,a,0,64,64,77\n";
        let files = [("pmc_perf_0.csv", first.as_str()), ("pmc_perf_1.csv", second), ("SQ_IFETCH_LEVEL.csv", level)];
        let all = workload(&files).unwrap();
        assert_eq!(counters(&all, "SQ_WAVES"), [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(counters(&all, "CPC_BUSY"), [Some(20.0), Some(10.0), Some(30.0)]);
        assert_eq!(counters(&all, "SQ_IFETCH_LEVEL_ACCUM"), [Some(77.0)]);
        assert_eq!(ints(all.get(&tables::ACTIVITIES), "start_ns").unwrap(), [Some(0), Some(20), Some(40)]);
        assert_eq!(ints(all.get(&tables::LAUNCHES), "launch_index").unwrap(), [Some(0), Some(0), Some(1)]);
        assert_eq!(all.get(&tables::LAUNCHES).height(), 3);
    }

    #[test]
    fn rows_of_one_counter_each_are_gathered_by_dispatch() {
        let long = "GPU_ID,GUID,Correlation_Id,Dispatch_ID,Grid_Size,Workgroup_Size,LDS_Per_Workgroup,\
                    Scratch_Per_Workitem,Arch_VGPR,Accum_VGPR,SGPR,Kernel_Name,Start_Timestamp,End_Timestamp,Kernel_ID,\
                    Counter_Name,Counter_Value\n\
                    1,g,1,0,1000,256,0,0,8,0,128,\"f(int, int)\",500,700,0,CPC_BUSY,592292.0\n\
                    1,g,1,0,1000,256,0,0,8,0,128,\"f(int, int)\",500,700,0,SQ_WAVES,4.0\n\
                    1,g,2,1,1000,256,0,0,8,0,128,\"f(int, int)\",800,900,0,CPC_BUSY,604248.0\n";
        let all = written("results_pmc_perf_13.csv", long).unwrap();
        assert_eq!(counters(&all, "CPC_BUSY"), [Some(592_292.0), Some(604_248.0)]);
        assert_eq!(counters(&all, "SQ_WAVES"), [Some(4.0)]);
        assert_eq!(ints(all.get(&tables::ACTIVITIES), "end_ns").unwrap(), [Some(200), Some(400)]);
        assert_eq!(ints(all.get(&tables::ACTIVITIES), "grid_x").unwrap(), [Some(4); 2]);
        assert!(issue(&all, "times_are_means").is_none());
    }

    #[test]
    fn a_cut_table_is_refused_with_its_line() {
        let error = written("pmc_perf.csv", &format!("{HEADER}\n0,a,0,64,64,0,8,0,100,110,1\n1,b,0,6")).unwrap_err();
        assert!(error.to_string().contains("line 3: it has 4 cells where the header has 11"), "{error}");
        let text = table(&["0,a,0,64,64,0,8,0,100,110,1"]).replace("Kernel_Name", "Kernel");
        let error = workload(&[("pmc_perf.csv", &text)]).unwrap_err();
        assert!(error.to_string().contains("it has no column Kernel_Name"), "{error}");
    }

    #[test]
    fn a_cell_that_is_no_number_is_left_out_and_many_end_the_import() {
        let good: Vec<String> = (0..120).map(|at| format!("{at},a,0,64,64,0,8,0,{at},{},1", at + 1)).collect();
        let mut rows: Vec<&str> = good.iter().map(String::as_str).collect();
        rows.push("120,a,0,64,64,0,8,0,200,210,many");
        let all = written("pmc_perf.csv", &table(&rows)).unwrap();
        assert_eq!(counters(&all, "SQ_WAVES").len(), 120);
        let (count, detail) = issue(&all, "not_a_number").unwrap();
        assert!(count == 1 && detail.contains("line 122, column SQ_WAVES: \"many\""), "{detail}");
        let error =
            written("pmc_perf.csv", &table(&["0,a,gpu,64,64,0,8,0,1,2,1", "1,b,0,64,64,0,8,0,1,2,x"])).unwrap_err();
        assert!(error.to_string().contains("line 2: no kernel name or no number of the GPU"), "{error}");
    }

    #[test]
    fn an_end_before_its_start_costs_the_activity_but_not_the_counters() {
        let good: Vec<String> = (0..120).map(|at| format!("{at},a,0,64,64,0,8,0,{at},{},1", at + 1)).collect();
        let mut rows: Vec<&str> = good.iter().map(String::as_str).collect();
        rows.push("120,a,0,64,64,0,8,0,210,200,1");
        let all = written("pmc_perf.csv", &table(&rows)).unwrap();
        assert_eq!(all.get(&tables::ACTIVITIES).height(), 120);
        assert_eq!(counters(&all, "SQ_WAVES").len(), 121);
        assert_eq!(ints(all.get(&tables::LAUNCHES), "activity").unwrap()[120], None);
        assert_eq!(issue(&all, "end_before_start").map(|(count, _)| count), Some(1));
    }

    #[test]
    fn the_columns_of_the_first_rocprof_are_read() {
        let text = "Index,KernelName,gpu-id,queue-id,queue-index,pid,tid,grd,wgp,lds,scr,arch_vgpr,accum_vgpr,sgpr,\
                    wave_size,sig,obj,SQ_WAVES,DispatchNs,BeginNs,EndNs,CompleteNs\n\
                    0,\"f(int) [clone .kd]\",3,0,0,1,1,512,64,128,0,8,4,16,64,0x0,0x7f,8,1,10,20,30\n";
        let all = written("pmc_perf.csv", text).unwrap();
        assert_eq!(counters(&all, "SQ_WAVES"), [Some(8.0)]);
        assert_eq!(all.get(&tables::COUNTER_DEFS).height(), 1);
        let row = |name: &str| ints(all.get(&tables::ACTIVITIES), name).unwrap()[0];
        assert_eq!(["grid_x", "registers_per_thread", "shared_bytes", "end_ns"].map(row), [8, 12, 128, 10].map(Some));
    }
}
