//! The real files: their rows against counts and sums that another program took from the JSON.

use proftool_trace::frame::{Tables, floats, ints, texts};
use proftool_trace::{Table, tables};

use crate::driver::{Imported, into_memory};
use crate::fixture::shared_data;

/// Counts and sums of one file, from a script that reads the JSON whole.
struct Expected {
    file: &'static str,
    /// Kernels, copies, sets, synchronisations.
    activities: [usize; 4],
    /// Runtime, driver, operators, Python frames.
    calls: [usize; 4],
    /// Ranges, marks.
    ranges: [usize; 2],
    samples: usize,
    collectives: usize,
    /// Launches, counters.
    counted: [usize; 2],
    /// Devices seen, queues.
    places: [usize; 2],
    /// Activities' nanoseconds and bytes, operators' external ids, length of all shapes as compact JSON, allocator bytes.
    sums: [i64; 5],
    rank: i64,
    start_unix_ns: i64,
}

fn import(file: &str) -> Option<(Imported, Tables)> {
    let path = shared_data(&format!("kineto/{file}.json.gz"))?;
    Some(into_memory(&path).unwrap())
}

fn tally<const N: usize>(tables: &Tables, table: &'static Table, column: &str, values: [&str; N]) -> [usize; N] {
    let column = texts(tables.get(table), column).unwrap();
    values.map(|value| column.iter().filter(|cell| cell.as_deref() == Some(value)).count())
}

fn sum(tables: &Tables, table: &'static Table, column: &str) -> i64 {
    ints(tables.get(table), column).unwrap().into_iter().flatten().sum()
}

fn rows(tables: &Tables, table: &'static Table) -> usize {
    tables.get(table).height()
}

impl Expected {
    fn check(&self) {
        let Some((imported, tables)) = import(self.file) else { return };
        let activities = tally(&tables, &tables::ACTIVITIES, "kind", ["kernel", "copy", "set", "sync"]);
        assert_eq!(activities, self.activities, "{}", self.file);
        assert_eq!(rows(&tables, &tables::ACTIVITIES), activities.iter().sum::<usize>());
        let calls = tally(&tables, &tables::CALLS, "api", ["runtime", "driver", "op", "python"]);
        assert_eq!(calls, self.calls, "{}", self.file);
        assert_eq!(rows(&tables, &tables::CALLS), calls.iter().sum::<usize>());
        assert_eq!(rows(&tables, &tables::OPERATORS), calls[2]);
        assert_eq!(tally(&tables, &tables::RANGES, "style", ["push_pop", "mark"]), self.ranges, "{}", self.file);
        assert_eq!(rows(&tables, &tables::SAMPLES), self.samples, "{}", self.file);
        assert_eq!(rows(&tables, &tables::COLLECTIVES), self.collectives, "{}", self.file);
        assert_eq!([rows(&tables, &tables::LAUNCHES), rows(&tables, &tables::COUNTERS)], self.counted, "{}", self.file);
        self.check_sums(&tables);
        assert_eq!(rows(&tables, &tables::QUEUES), self.places[1]);
        assert!(rows(&tables, &tables::DEVICES) <= self.places[0]);
        assert_eq!((imported.rank, imported.session.start_unix_ns), (self.rank, self.start_unix_ns), "{}", self.file);
        assert!(!imported.lost, "{}: {:?}", self.file, texts(tables.get(&tables::ISSUES), "detail"));
    }

    fn check_sums(&self, tables: &Tables) {
        let column = |name| ints(tables.get(&tables::ACTIVITIES), name).unwrap();
        let (starts, ends) = (column("start_ns"), column("end_ns"));
        let shapes = texts(tables.get(&tables::OPERATORS), "shapes").unwrap();
        let memory = floats(tables.get(&tables::SAMPLES), "value").unwrap();
        let found = [
            ends.iter().zip(&starts).map(|(end, start)| end.unwrap() - start.unwrap()).sum(),
            sum(tables, &tables::ACTIVITIES, "bytes"),
            sum(tables, &tables::OPERATORS, "external_id"),
            shapes.iter().flatten().map(|shapes| shapes.len() as i64).sum(),
            memory.iter().flatten().map(|value| *value as i64).sum(),
        ];
        assert_eq!(found, self.sums, "{}", self.file);
    }
}

macro_rules! files {
    ($($name:ident: $file:literal, $activities:expr, $calls:expr, $ranges:expr, $samples:literal, $collectives:literal,
        $counted:expr, $places:expr, $sums:expr, $rank:literal, $start:literal;)*) => {$(
        #[test]
        fn $name() {
            Expected {
                file: $file,
                activities: $activities,
                calls: $calls,
                ranges: $ranges,
                samples: $samples,
                collectives: $collectives,
                counted: $counted,
                places: $places,
                sums: $sums,
                rank: $rank,
                start_unix_ns: $start,
            }
            .check();
        }
    )*};
}

files! {
    a100_alexnet: "a100_alexnet", [79, 16, 3, 41], [361, 0, 359, 0], [9, 2], 0, 0, [0, 0], [1, 2],
        [67_681_000, 244_425_120, 66_037, 0, 0], 0, 0;
    a100_nccl: "a100_nccl_world2", [2700, 960, 114, 0], [8740, 0, 14346, 0], [73, 2], 0, 21, [0, 0], [1, 2],
        [165_185_838, 716_464_101, 103_264_086, 0, 0], 0, 1_711_964_646_000_000_000;
    event_sync: "cuda_event_sync_multi_stream", [3, 0, 3, 5], [39, 0, 6, 0], [1, 2], 0, 0, [0, 0], [1, 3],
        [405_000, 1536, 21, 0, 0], 0, 0;
    profiler_ranges: "cupti_profiler_ranges", [0, 0, 0, 0], [1862, 0, 375, 0], [10, 3], 0, 0, [77, 693], [1, 0],
        [0, 0, 72_021, 0, 0], 0, 0;
    h100_qwen: "h100_qwen_0.5b", [1465, 1, 241, 0], [1921, 1, 4186, 4262], [3, 2], 4500, 0, [0, 0], [1, 1],
        [45_647_300, 965, 85_923_929, 99_472, 9_369_055_296_000], 0, 1_751_410_836_000_000_000;
    mi250_minitoy: "mi250_minitoy_train", [14, 2, 0, 0], [21, 0, 70, 0], [6, 2], 0, 0, [0, 0], [1, 1],
        [149_042, 0, 18_708, 1125, 0], 0, 1_735_632_360_000_000_000;
    mi300x_sglang: "mi300x_sglang_prefilldecode", [527, 7, 0, 0], [1069, 0, 3786, 53321], [2, 0], 0, 0, [0, 0], [1, 2],
        [492_811_563, 380, 838_506_217, 101_432, 0], 0, 1_775_078_550_000_000_000;
    mi300x_vllm: "mi300x_vllm_piecewise_graph", [413, 10, 0, 0], [381, 0, 642, 17038], [1, 0], 0, 0, [0, 0], [1, 1],
        [156_085_905, 264_262, 45_665_781, 16_375, 0], 0, 1_767_189_312_000_000_000;
    sampled_rank_0: "sampled_rank-0_of_128", [1154, 40, 10, 0], [1204, 0, 2329, 0], [74, 0], 0, 0, [0, 0], [1, 5],
        [607_844_000, 222_097_863, 289_329_941, 66_199, 0], 0, 0;
    sampled_rank_1: "sampled_rank-1_of_128", [1104, 40, 10, 0], [1154, 0, 2302, 0], [66, 0], 0, 0, [0, 0], [1, 5],
        [667_530_000, 3_362_442_928, 290_349_541, 61_989, 0], 1, 0;
    v100_train: "v100_train_216k_events", [19370, 2040, 880, 0], [42373, 0, 56680, 0], [2036, 2], 53540, 0, [0, 0], [1, 2],
        [1_000_613_000, 5_893_131_460, 1_658_356_922, 0, 493_400_357_396_480], 1, 0;
}

fn cells(tables: &Tables, table: &'static Table, column: &str) -> Vec<String> {
    let rows = proftool_trace::frame::json_rows(tables.get(table));
    rows.iter().map(|row| row[column].to_string()).collect()
}

fn codes(tables: &Tables) -> Vec<String> {
    let codes = cells(tables, &tables::ISSUES, "code").into_iter().zip(cells(tables, &tables::ISSUES, "count"));
    codes.map(|(code, count)| format!("{} {count}", code.trim_matches('"'))).collect()
}

#[test]
fn devices_are_described_by_vendor() {
    for (file, wanted) in [
        ("h100_qwen_0.5b", r#"0 "cuda" "NVIDIA H100 80GB HBM3" "sm_90" 132 85018279936"#),
        ("mi250_minitoy_train", r#"2 "hip" "AMD Radeon Graphics" "gfx90a" 104 68702699520"#),
        ("mi300x_sglang_prefilldecode", r#"9 "hip" "AMD Instinct MI300X" "gfx942" 304 206141652992"#),
        ("mi300x_vllm_piecewise_graph", r#"2 "hip" "gfx942" "gfx942" 304 206141652992"#),
    ] {
        let Some((_, tables)) = import(file) else { return };
        let columns = ["device", "kind", "name", "arch", "sm_count", "memory_bytes"];
        let cell = |column| cells(&tables, &tables::DEVICES, column).join("|");
        assert_eq!(columns.map(cell).join(" "), wanted, "{file}");
    }
}

#[test]
fn a_graph_launch_is_the_call_of_all_its_kernels() {
    let Some((_, tables)) = import("mi300x_vllm_piecewise_graph") else { return };
    let calls = ints(tables.get(&tables::ACTIVITIES), "call").unwrap();
    let names = texts(tables.get(&tables::CALLS), "name").unwrap();
    let graph = calls.iter().flatten().filter(|call| names[**call as usize].as_deref() == Some("hipGraphLaunch"));
    assert_eq!(graph.count(), 361);
    assert!(cells(&tables, &tables::ACTIVITIES, "process").iter().all(|process| process == "851"));
}

#[test]
fn a_hip_kernel_has_the_grid_of_its_launch() {
    let Some((_, tables)) = import("mi250_minitoy_train") else { return };
    let kinds = cells(&tables, &tables::ACTIVITIES, "kind");
    let grids = cells(&tables, &tables::ACTIVITIES, "grid_x");
    assert!(kinds.iter().zip(&grids).all(|(kind, grid)| (kind == "\"kernel\"") == (grid != "null")));
    assert_eq!(tally(&tables, &tables::ACTIVITIES, "copy_kind", ["h2d"]), [2]);
}

#[test]
fn device_annotations_span_from_the_first_to_the_last_work() {
    for (file, first, last) in [
        ("h100_qwen_0.5b", 1_428_625_746_382_663, 1_428_625_781_275_082),
        ("mi250_minitoy_train", 4_203_669_612_357_612, 4_203_669_612_366_093),
    ] {
        let Some((_, tables)) = import(file) else { return };
        let ranges = tables.get(&tables::RANGES);
        let (starts, ends) = (ints(ranges, "start_ns").unwrap(), ints(ranges, "end_ns").unwrap());
        let domains = texts(ranges, "domain").unwrap();
        let gpu = domains.iter().position(|domain| domain.as_deref() == Some("gpu")).unwrap();
        assert_eq!((starts[gpu], ends[gpu]), (Some(first), Some(last)), "{file}");
        let work = tables.get(&tables::ACTIVITIES);
        assert!(ints(work, "start_ns").unwrap().contains(&Some(first)), "{file}");
        assert!(ints(work, "end_ns").unwrap().contains(&Some(last)), "{file}");
    }
}

#[test]
fn steps_nest_what_ran_inside_them() {
    let Some((_, tables)) = import("a100_nccl_world2") else { return };
    let rows = proftool_trace::frame::json_rows(tables.get(&tables::RANGES));
    let step =
        rows.iter().find(|row| row["name"].as_str().is_some_and(|name| name.starts_with("ProfilerStep#"))).unwrap();
    assert_eq!((&step["depth"], &step["parent"]), (&serde_json::json!(0), &serde_json::Value::Null));
    let inner = rows.iter().filter(|row| row["parent"] == step["id"]);
    let inside = |row: &serde_json::Map<String, serde_json::Value>| {
        row["start_ns"].as_i64() >= step["start_ns"].as_i64() && row["end_ns"].as_i64() <= step["end_ns"].as_i64()
    };
    assert!(inner.clone().count() > 0 && inner.clone().all(inside));
}

#[test]
fn collectives_state_their_bytes() {
    let Some((_, tables)) = import("a100_nccl_world2") else { return };
    let table = tables.get(&tables::COLLECTIVES);
    assert_eq!(tally(&tables, &tables::COLLECTIVES, "operation", ["all_reduce", "broadcast"]), [15, 6]);
    let (bytes, sizes) = (ints(table, "bytes_in").unwrap(), ints(table, "group_size").unwrap());
    // The first kernel: 6,637,568 floats.
    assert_eq!((bytes[0], sizes[0]), (Some(26_550_272), Some(2)));
    let names = texts(tables.get(&tables::ACTIVITIES), "name").unwrap();
    let ids = ints(tables.get(&tables::ACTIVITIES), "id").unwrap();
    for activity in ints(table, "activity").unwrap() {
        let at = ids.iter().position(|id| *id == activity).unwrap();
        assert!(names[at].as_deref().unwrap().starts_with("ncclKernel"));
    }
}

#[test]
fn synchronisation_without_a_stream_has_no_queue() {
    let Some((_, tables)) = import("cuda_event_sync_multi_stream") else { return };
    let rows = proftool_trace::frame::json_rows(tables.get(&tables::ACTIVITIES));
    let queues: Vec<_> = rows.iter().filter(|row| row["kind"] == "sync").map(|row| row["queue"].as_i64()).collect();
    assert_eq!(queues.iter().filter(|queue| queue.is_none()).count(), 4, "{queues:?}");
}

#[test]
fn what_is_left_out_is_counted() {
    let cases: [(&str, &[&str]); 4] = [
        ("h100_qwen_0.5b", &["launch_not_recorded 509", "flows_not_read 3629", "host_memory_not_read 200"]),
        ("cupti_profiler_ranges", &["flows_not_read 1862"]),
        ("sampled_rank-1_of_128", &["device_not_listed 1", "part_of_world 1"]),
        ("mi300x_sglang_prefilldecode", &["device_not_listed 1", "flows_not_read 1603"]),
    ];
    for (file, wanted) in cases {
        let Some((_, tables)) = import(file) else { return };
        assert_eq!(codes(&tables), wanted, "{file}");
    }
}

#[test]
fn counters_belong_to_their_kernel() {
    let Some((_, tables)) = import("cupti_profiler_ranges") else { return };
    assert_eq!(rows(&tables, &tables::COUNTER_DEFS), 9);
    let values = floats(tables.get(&tables::COUNTERS), "value").unwrap();
    // The first kernel's hfma and ffma, in the order of the file.
    assert_eq!((values[4], values[7]), (Some(4_866_048.0), Some(38_731_776.0)));
    assert_eq!(cells(&tables, &tables::LAUNCHES, "launch_index")[0], "0");
}
