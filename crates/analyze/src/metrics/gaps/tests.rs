//! Gaps worked out by hand, against `idle`, and in any order of the rows.

use proftool_trace::frame::{Tables, bools, build, floats, int_column, ints, text_column, texts};
use proftool_trace::tables;
use proptest::prelude::*;

use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::metrics::idle;
use crate::operators::clip;
use crate::windows::Window;

/// id, thread, api, name, start and end.
type CallRow = (i64, i64, &'static str, &'static str, Span);

/// id, thread, end thread, style, name, start and end.
type RangeRow = (i64, i64, i64, &'static str, &'static str, Span);

/// The fixture with calls and ranges of named threads in place of its own; a call is named by its id.
fn tables_with(fixture: &Fixture, calls: &[CallRow], ranges: &[RangeRow]) -> Tables {
    let mut tables = fixture.tables();
    let columns = vec![
        text_column("pass", std::iter::repeat_n(Some("host"), calls.len())),
        int_column("rank", std::iter::repeat_n(Some(0), calls.len())),
        int_column("process", std::iter::repeat_n(Some(1), calls.len())),
        int_column("id", calls.iter().map(|call| Some(call.0))),
        int_column("thread", calls.iter().map(|call| Some(call.1))),
        text_column("api", calls.iter().map(|call| Some(call.2))),
        text_column("name", calls.iter().map(|call| Some(call.3))),
        int_column("start_ns", calls.iter().map(|call| Some(call.4.0))),
        int_column("end_ns", calls.iter().map(|call| Some(call.4.1))),
    ];
    tables.set(&tables::CALLS, build(&tables::CALLS, columns).unwrap()).unwrap();
    let columns = vec![
        text_column("pass", std::iter::repeat_n(Some("host"), ranges.len())),
        int_column("rank", std::iter::repeat_n(Some(0), ranges.len())),
        int_column("process", std::iter::repeat_n(Some(1), ranges.len())),
        int_column("id", ranges.iter().map(|range| Some(range.0))),
        int_column("thread", ranges.iter().map(|range| Some(range.1))),
        int_column("end_thread", ranges.iter().map(|range| Some(range.2))),
        text_column("style", ranges.iter().map(|range| Some(range.3))),
        text_column("name", ranges.iter().map(|range| Some(range.4))),
        int_column("start_ns", ranges.iter().map(|range| Some(range.5.0))),
        int_column("end_ns", ranges.iter().map(|range| Some(range.5.1))),
    ];
    tables.set(&tables::RANGES, build(&tables::RANGES, columns).unwrap()).unwrap();
    tables
}

fn gaps_of(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn device_ints(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    let queues = ints(frame, "queue").unwrap();
    ints(frame, name).unwrap().into_iter().zip(queues).filter(|(_, queue)| queue.is_none()).map(|pair| pair.0).collect()
}

fn device_texts(frame: &DataFrame, name: &str) -> Vec<String> {
    let queues = ints(frame, "queue").unwrap();
    let all = texts(frame, name).unwrap().into_iter().zip(queues);
    all.filter(|(_, queue)| queue.is_none()).map(|pair| pair.0.unwrap_or_default()).collect()
}

/// Kernels a, b, c, d at 0..10, 100..110, 160..170, 200..210, launched by calls 0, 1, 2, and d by none.
///
/// Gap 10..100: on thread 7 cudaMalloc takes 20..80, of it 30..50 in mmap; b is launched at 90. host_wait 80, launch 10.
/// cudaMalloc was innermost for 40, no call for 10..20 and 80..90.
/// Gap 110..160: cudaDeviceSynchronize of thread 8 is open 115..150, c is launched at 112: launch 3 + 10, sync 35, and
/// host_wait 2. Gap 170..200: d has no call.
fn schedule() -> Tables {
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (0, 10))
        .launched((0, 0))
        .named_kernel("b", 0, 0, (100, 110))
        .launched((0, 0))
        .named_kernel("c", 0, 0, (160, 170))
        .launched((0, 0))
        .named_kernel("d", 0, 0, (200, 210));
    let calls = [
        (0, 7, "runtime", "launch a", (-5, -3)),
        (1, 7, "runtime", "launch b", (90, 95)),
        (2, 7, "runtime", "launch c", (112, 114)),
        (3, 7, "runtime", "cudaMalloc", (20, 80)),
        (4, 7, "osrt", "mmap", (30, 50)),
        (5, 8, "runtime", "cudaDeviceSynchronize", (115, 150)),
        (6, 8, "runtime", "cudaStreamSynchronize", (140, 149)),
        (7, 9, "runtime", "of another thread", (10, 90)),
    ];
    let ranges = [
        (0, 7, 7, "push_pop", "step", (0, 120)),
        (1, 7, 7, "push_pop", "allocate", (15, 85)),
        (2, 7, 9, "start_end", "ends elsewhere", (40, 60)),
        (3, 7, 7, "mark", "mark", (50, 50)),
        (4, 8, 8, "push_pop", "wait", (100, 200)),
    ];
    tables_with(&fixture, &calls, &ranges)
}

#[test]
fn each_gap_names_its_neighbours_its_cause_and_who_is_responsible() {
    let frame = gaps_of(&schedule());
    assert_eq!(device_ints(&frame, "place"), [1, 2, 3].map(Some));
    assert_eq!(device_ints(&frame, "start_ns"), [10, 110, 170].map(Some));
    assert_eq!(device_ints(&frame, "length_ns"), [90, 50, 30].map(Some));
    assert_eq!(device_ints(&frame, "idle_ns"), [170; 3].map(Some));
    assert_eq!(device_texts(&frame, "previous"), ["a", "b", "c"]);
    assert_eq!(device_texts(&frame, "next"), ["b", "c", "d"]);
    assert_eq!(device_texts(&frame, "cause"), ["host_wait", "sync", "other"]);
    assert_eq!(device_ints(&frame, "host_wait_ns"), [80, 2, 0].map(Some));
    assert_eq!(device_ints(&frame, "launch_ns"), [10, 13, 0].map(Some));
    assert_eq!(device_ints(&frame, "sync_ns"), [0, 35, 0].map(Some));
    assert_eq!(device_ints(&frame, "other_ns"), [0, 0, 30].map(Some));
    assert_eq!(device_ints(&frame, "kv_wait_ns"), [None; 3]);
    assert_eq!(device_texts(&frame, "call"), ["cudaMalloc", "cudaDeviceSynchronize", ""]);
    assert_eq!(device_ints(&frame, "call_ns"), [Some(40), Some(35), None]);
    assert_eq!(device_ints(&frame, "call_thread"), [Some(7), Some(8), None]);
    assert_eq!(device_ints(&frame, "unrecorded_ns"), [Some(20), None, None]);
    let roles = ["runs before the launch", "synchronises", "the launching call is not recorded"];
    assert_eq!(device_texts(&frame, "call_role"), roles);
    assert_eq!(device_texts(&frame, "range"), ["allocate", "wait", ""]);
    let (ratio, cumulative) = (floats(&frame, "idle_ratio").unwrap(), floats(&frame, "cumulative_ratio").unwrap());
    assert_eq!((ratio[1], cumulative[1], cumulative[2]), (Some(50.0 / 170.0), Some(140.0 / 170.0), Some(1.0)));
    assert_eq!(bools(&frame, "reliable").unwrap()[0], Some(true));
}

#[test]
fn a_wait_that_no_call_explains_has_no_responsible_call_but_its_range() {
    // The launch of b comes at 90; before it the thread is in `short` for 10 ns and in no call for 70.
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (100, 110)).launched((0, 0));
    let calls = [(0, 7, "runtime", "launch", (90, 95)), (1, 7, "runtime", "short", (20, 30))];
    let ranges = [(0, 7, 7, "push_pop", "data loading", (25, 85))];
    let frame = gaps_of(&tables_with(&fixture, &calls, &ranges));
    assert_eq!(device_texts(&frame, "call"), [""]);
    assert_eq!(device_texts(&frame, "call_role"), ["no recorded call"]);
    assert_eq!(device_ints(&frame, "unrecorded_ns"), [Some(70)]);
    assert_eq!(device_ints(&frame, "call_thread"), [Some(7)]);
    // The middle of 10..90 is 50.
    assert_eq!(device_texts(&frame, "range"), ["data loading"]);
}

#[test]
fn a_gap_that_is_the_launch_itself_names_the_launching_call() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (100, 110)).launched((2, 5)).range("step", (0, 4));
    let frame = gaps_of(&fixture.tables());
    assert_eq!(device_texts(&frame, "cause"), ["launch"]);
    assert_eq!(device_texts(&frame, "call_role"), ["launches"]);
    // The call had returned before the gap began: it is open for none of it, and its range is that of its start.
    assert_eq!(device_ints(&frame, "call_ns"), [Some(0)]);
    assert_eq!(device_texts(&frame, "range"), ["step"]);
}

#[test]
fn a_gap_behind_another_queue_names_the_dependency_that_ran_longest() {
    // The gap of device 0 is 10..100; it waits for a kernel of 20..60 and one of 50..95 of device 1.
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 10))
        .named_kernel("first", 1, 0, (20, 60))
        .named_kernel("second", 1, 0, (50, 95))
        .kernel(0, 0, (100, 110))
        .launched((15, 16))
        .after(&[1, 2]);
    let frame = gaps_of(&fixture.tables());
    assert_eq!(device_texts(&frame, "cause")[0], "dependency_wait");
    assert_eq!(device_ints(&frame, "dependency_wait_ns")[0], Some(75));
    assert_eq!(device_texts(&frame, "waited_for")[0], "second");
    assert_eq!(device_ints(&frame, "waited_for_id")[0], Some(2));
    assert_eq!(device_texts(&frame, "call")[0], "");
}

#[test]
fn the_edges_of_the_windows_end_gaps_and_nothing_follows_the_last() {
    let fixture = Fixture::new().kernel(0, 0, (10, 20)).block((0, 15)).block((15, 40));
    let frame = gaps_of(&fixture.tables());
    assert_eq!(device_ints(&frame, "start_ns"), [20, 0].map(Some));
    assert_eq!(device_ints(&frame, "previous_id"), [Some(0), None]);
    assert_eq!(device_ints(&frame, "next_id"), [None, Some(0)]);
    assert_eq!(device_texts(&frame, "call_role"), ["no activity follows", "the launching call is not recorded"]);
}

#[test]
fn only_the_longest_gaps_are_listed_and_their_number_and_share_are_told() {
    // Gaps of 1 to 5 ns; of equal ones the first comes first.
    let mut gaps = vec![(0, 1), (10, 13), (20, 25), (30, 33), (40, 42)];
    longest(&mut gaps, 3);
    assert_eq!(gaps, [(20, 25), (10, 13), (30, 33)]);
    let kernels =
        (0..=QUEUE_LIMIT as i64 + 1).fold(Fixture::new(), |fixture, at| fixture.kernel(0, 0, (at * 4, at * 4 + 1)));
    let frame = gaps_of(&kernels.tables());
    let (queues, counts) = (ints(&frame, "queue").unwrap(), ints(&frame, "gap_count").unwrap());
    assert_eq!(queues.iter().filter(|queue| queue.is_some()).count(), QUEUE_LIMIT);
    assert!(counts.iter().all(|count| *count == Some(QUEUE_LIMIT as i64 + 1)));
    let last = *floats(&frame, "cumulative_ratio").unwrap().last().unwrap();
    assert_eq!(last, Some(QUEUE_LIMIT as f64 / (QUEUE_LIMIT + 1) as f64));
}

#[test]
fn damaged_times_have_an_answer() {
    let fixture = Fixture::new()
        .kernel(0, 0, (i64::MIN, i64::MIN + 1))
        .kernel(0, 0, (5, 5))
        .kernel(0, 0, (i64::MAX - 1, i64::MAX))
        .launched((0, 0));
    let calls = [(0, 7, "runtime", "launch", (i64::MAX, i64::MIN)), (1, 7, "runtime", "long", (i64::MIN, i64::MAX))];
    let ranges = [(0, 7, 7, "push_pop", "all", (i64::MIN, i64::MAX))];
    let frame = gaps_of(&tables_with(&fixture, &calls, &ranges));
    assert_eq!(device_ints(&frame, "length_ns"), [Some(i64::MAX)]);
    assert_eq!(device_texts(&frame, "call"), ["long"]);
    assert_eq!(device_texts(&frame, "range"), ["all"]);
}

/// The gaps of each device and queue that are all listed sum to its row of `idle`; others are told by their count.
fn equals_idle(tables: &Tables) {
    let input = Input::new("run", "target", tables, Window::Default);
    let (gaps, idle) = (compute(&input).unwrap(), (idle::METRIC.compute)(&input).unwrap());
    let keys = |frame: &DataFrame| {
        let columns = ["rank", "device", "queue"].map(|name| ints(frame, name).unwrap());
        (0..frame.height()).map(|at| columns.each_ref().map(|column| column[at])).collect::<Vec<_>>()
    };
    let (gap_keys, idle_keys) = (keys(&gaps), keys(&idle));
    let counts = ints(&gaps, "gap_count").unwrap();
    for (at, key) in idle_keys.iter().enumerate() {
        let mine: Vec<usize> = (0..gap_keys.len()).filter(|gap| gap_keys[*gap] == *key).collect();
        let whole = |name: &str| ints(&idle, name).unwrap()[at];
        let sum = |name: &str| {
            let values = ints(&gaps, name).unwrap();
            mine.iter().map(|gap| values[*gap]).sum::<Option<i64>>()
        };
        let Some(first) = mine.first() else {
            assert_eq!(whole("idle_ns"), Some(0), "{key:?}");
            continue;
        };
        assert_eq!(ints(&gaps, "idle_ns").unwrap()[*first], whole("idle_ns"), "{key:?}");
        if counts[*first] != Some(mine.len() as i64) {
            assert_eq!(mine.len(), if key[2].is_some() { QUEUE_LIMIT } else { DEVICE_LIMIT }, "{key:?}");
            continue;
        }
        assert_eq!(sum("length_ns"), whole("idle_ns"), "{key:?}");
        for cause in CAUSES {
            let name = format!("{cause}_ns");
            assert_eq!(sum(&name), whole(&name), "{key:?} {name}");
        }
    }
}

#[test]
fn the_gaps_of_real_traces_sum_to_their_idle_time_by_cause() {
    equals_idle(&schedule());
    let files =
        ["nsys/h100x2_train_after.schema3.25.sqlite", "kineto/a100_alexnet.json.gz", "kineto/h100_qwen_0.5b.json.gz"];
    for file in files.iter().filter_map(|file| shared_data(file)) {
        equals_idle(&proftool_import::into_memory(&file).unwrap().1);
    }
}

/// What a script that reads the SQLite file itself found of one gap: device, place, length, sync, host_wait, launch, call,
/// its time, range.
type Found = (i64, i64, [i64; 4], &'static str, Option<i64>, &'static str);

fn has_gaps(file: &str, expected: &[Found]) {
    let Some(path) = shared_data(file) else { return };
    let frame = gaps_of(&proftool_import::into_memory(&path).unwrap().1);
    let int = |name: &str, at: usize| ints(&frame, name).unwrap()[at];
    let text = |name: &str, at: usize| texts(&frame, name).unwrap()[at].clone().unwrap_or_default();
    for (device, place, lengths, call, call_ns, range) in expected {
        let of_gap = |at: &usize| {
            int("queue", *at).is_none() && int("device", *at) == Some(*device) && int("place", *at) == Some(*place)
        };
        let at = (0..frame.height()).find(of_gap).unwrap();
        let found = ["length_ns", "sync_ns", "host_wait_ns", "launch_ns"].map(|name| int(name, at).unwrap());
        assert_eq!((found, text("call", at).as_str()), (*lengths, *call), "{file} {device} {place}");
        assert_eq!(int("call_ns", at).or(int("unrecorded_ns", at)), *call_ns, "{file} {device} {place}");
        assert!(
            text("range", at).starts_with(range) && range.is_empty() == text("range", at).is_empty(),
            "{file} {place}"
        );
    }
}

#[test]
fn the_longest_gaps_of_real_traces_are_those_that_a_script_finds_in_the_files() {
    // Without a call the time in none. The importer cuts the version off the names (`cudaMalloc_v3020`).
    has_gaps(
        "nsys/h100x2_train_after.schema3.25.sqlite",
        &[
            (0, 1, [6_587_753, 0, 901_505, 5_686_248], "cudaMemsetAsync", Some(5_686_248), "aten::addmm, seq = 47487"),
            (0, 2, [3_144_245, 0, 3_125_090, 19_155], "", Some(3_125_090), "aten::native_layer_norm, seq = 47729"),
            (0, 4, [1_349_530, 0, 1_314_972, 34_558], "cudaLaunchKernel", Some(1_216_976), "aten::copy_"),
            (1, 4, [1_233_787, 10_543, 1_210_603, 12_641], "", Some(1_210_603), "aten::mul, seq = 46738"),
            (1, 6, [545_150, 0, 533_317, 11_833], "", Some(533_317), "aten::native_layer_norm, seq = 47656"),
        ],
    );
    has_gaps(
        "nsys/v100_single_gpu.schema3.0.sqlite",
        &[
            (0, 1, [1_490_740, 9_316, 1_468_172, 13_252], "cudaHostAlloc", Some(1_009_550), ""),
            (0, 2, [850_585, 0, 807_138, 43_447], "cudaMemcpy", Some(805_733), "Jacobi Solve"),
        ],
    );
    let forward = "[param|pytorch.model.alex_net|0|0|0|warmup|forward]";
    has_gaps(
        "kineto/a100_alexnet.json.gz",
        &[
            (0, 1, [10_033_725_000, 0, 6_978_161_000, 3_055_564_000], "cudaFree", Some(6_008_692_000), forward),
            (0, 5, [52_853_000, 29_000, 52_784_000, 40_000], "aten::mul", Some(21_316_000), "[param|clear_cache]"),
        ],
    );
    let context = "torch/utils/_contextlib.py(113): decorate_context";
    has_gaps(
        "kineto/h100_qwen_0.5b.json.gz",
        &[
            (0, 2, [242_784, 0, 234_188, 8_596], context, Some(38_585), "ProfilerStep#6"),
            (0, 4, [137_599, 0, 129_613, 7_986], "aten::bmm", Some(38_941), "ProfilerStep#6"),
        ],
    );
    // A call that had returned before the gap: none of it is the call's.
    has_gaps(
        "kineto/mi300x_vllm_piecewise_graph.json.gz",
        &[(2, 1, [13_801, 0, 0, 13_801], "hipLaunchKernel", Some(0), "execute_8192_context_9")],
    );
}

/// start, length, thread, start of the launching call, length of it.
type RandomRow = (i64, i64, i64, i64, i64);

fn random(rows: &[RandomRow], syncs: &[Span], order: &[usize]) -> Tables {
    let fixture = rows.iter().fold(Fixture::new(), |fixture, (start, length, ..)| {
        fixture.kernel(0, start % 2, (*start, start + length)).launched((0, 0))
    });
    let launch = |(at, row): (usize, &RandomRow)| (at as i64, row.2, "runtime", "launch", (row.3, row.3 + row.4));
    let sync = |(at, span): (usize, &Span)| (100 + at as i64, 3, "runtime", "cudaDeviceSynchronize", *span);
    let mut calls: Vec<CallRow> = rows.iter().enumerate().map(launch).collect();
    calls.extend(syncs.iter().enumerate().map(sync));
    let calls: Vec<CallRow> = order.iter().filter_map(|at| calls.get(*at).copied()).collect();
    tables_with(&fixture, &calls, &[(0, 1, 1, "push_pop", "one", (0, 70)), (1, 2, 2, "push_pop", "two", (30, 150))])
}

proptest! {
    #[test]
    fn parts_sum_calls_are_the_longest_and_the_order_of_the_rows_changes_nothing(
        rows in prop::collection::vec((0..150_i64, 0..12_i64, 1..3_i64, 0..150_i64, 0..40_i64), 1..14),
        syncs in prop::collection::vec((0..150_i64, 0..30_i64), 0..4),
        keys in prop::collection::vec(any::<u32>(), 20),
    ) {
        let syncs: Vec<Span> = syncs.iter().map(|(start, length)| (*start, start + length)).collect();
        let order: Vec<usize> = (0..20).collect();
        let tables = random(&rows, &syncs, &order);
        let frame = gaps_of(&tables);
        equals_idle(&tables);
        let column = |name: &str| ints(&frame, name).unwrap();
        let (starts, ends, calls, times) = (column("start_ns"), column("end_ns"), column("call_id"), column("call_ns"));
        let (unrecorded, waits) = (column("unrecorded_ns"), column("host_wait_ns"));
        for (at, cause) in texts(&frame, "cause").unwrap().into_iter().enumerate() {
            let gap = (starts[at].unwrap(), ends[at].unwrap());
            if cause.as_deref() == Some("sync") {
                // Brute force: the part of each call in the gap.
                let longest = syncs.iter().filter_map(|span| clip(*span, gap)).map(length).max();
                prop_assert_eq!(times[at], longest);
                prop_assert!(calls[at].unwrap() >= 100);
            }
            if cause.as_deref() == Some("host_wait") {
                prop_assert!(unrecorded[at].unwrap() + times[at].unwrap_or(0) <= waits[at].unwrap());
                prop_assert!(times[at].is_none_or(|time| time >= unrecorded[at].unwrap()));
            }
        }
        let mut shuffled = order;
        shuffled.sort_unstable_by_key(|at| keys[*at]);
        let mut tables = random(&rows, &syncs, &shuffled);
        for table in [&tables::ACTIVITIES, &tables::RANGES] {
            tables.set(table, tables.get(table).reverse()).unwrap();
        }
        prop_assert!(gaps_of(&tables).equals_missing(&frame));
    }
}
