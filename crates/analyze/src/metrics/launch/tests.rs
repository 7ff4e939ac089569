use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{Tables, floats, ints, texts};
use proptest::prelude::*;

fn launch(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn at(frame: &DataFrame, row: usize, names: &[&str]) -> Vec<Option<i64>> {
    names.iter().map(|name| ints(frame, name).unwrap()[row]).collect()
}

const PARTS: [&str; 5] = ["idle_ns", "host_wait_ns", "call_ns", "queue_ns", "rest_ns"];

/// 0..10 and 100..110 on the device; the second was launched by the call 60..75, a synchronisation ran in 20..30.
fn two() -> Fixture {
    Fixture::new()
        .kernel(0, 0, (0, 10))
        .launched_by("cudaLaunchKernel", (-8, -3))
        .kernel(0, 0, (100, 110))
        .launched_by("cuLaunchKernelEx", (60, 75))
        .sync_call((20, 30))
        .block((0, 120))
}

#[test]
fn a_gap_is_cut_by_the_call_that_launched_what_follows() {
    let frame = launch(&two().tables());
    // 10..100: sync 10, before the call 40, in it 15, after it 25; 110..120 is followed by nothing: rest 10 + 10.
    assert_eq!(at(&frame, 0, &PARTS), [100, 40, 15, 25, 20].map(Some));
    assert_eq!(at(&frame, 0, &["launch_bound_ns", "span_ns"]), [Some(55), Some(120)]);
    assert_eq!(floats(&frame, "launch_bound_ratio").unwrap()[0], Some(55.0 / 120.0));
    assert_eq!(floats(&frame, "launch_bound_idle_ratio").unwrap()[0], Some(0.55));
    // The row of the driver's call owns the gap, the other has none: calls of 15 and 5, delays 25 and 3.
    let names = texts(&frame, "name").unwrap();
    assert_eq!(names[1..], ["cuLaunchKernelEx", "cudaLaunchKernel"].map(|name| Some(name.to_owned())));
    assert_eq!(at(&frame, 1, &PARTS), [90, 40, 15, 25, 10].map(Some));
    assert_eq!(at(&frame, 2, &PARTS), [0; 5].map(Some));
    let stats = ["launches", "api_total_ns", "api_median_ns", "queue_delay_total_ns", "latency_median_ns"];
    assert_eq!(at(&frame, 0, &stats), [2, 20, 10, 28, 24].map(Some));
}

#[test]
fn a_start_inside_or_before_the_call_has_no_queue_delay() {
    let fixture = Fixture::new()
        .kernel(0, 0, (10, 20))
        .launched((5, 12))
        .kernel(0, 0, (20, 30))
        .launched((25, 27))
        .kernel(0, 0, (40, 50))
        .launched((35, 40));
    let frame = launch(&fixture.tables());
    let stats = ["launches", "queued", "started_during_call", "started_before_call", "queue_delay_max_ns"];
    assert_eq!(at(&frame, 0, &stats), [3, 1, 2, 1, 0].map(Some));
}

#[test]
fn a_call_that_starts_many_is_one_launch() {
    let fixture = Fixture::new()
        .kernel(0, 0, (20, 30))
        .launched_by("cudaGraphLaunch", (0, 10))
        .kernel(0, 0, (30, 40))
        .launched_with(0)
        .kernel(0, 0, (50, 60))
        .launched_with(0);
    let frame = launch(&fixture.tables());
    let stats = ["activities", "with_call", "launches", "api_total_ns", "queue_delay_total_ns"];
    assert_eq!(at(&frame, 0, &stats), [3, 3, 1, 10, 10].map(Some));
    // The gap 40..50 inside the graph is behind the call.
    assert_eq!(at(&frame, 0, &PARTS), [10, 0, 0, 10, 0].map(Some));
}

#[test]
fn without_a_call_row_the_waits_are_null_with_a_reason() {
    let frame = launch(&Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (30, 40)).tables());
    assert_eq!(at(&frame, 0, &PARTS), [Some(20), None, None, None, None]);
    assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [Some(0.0)]);
    assert!(texts(&frame, "reason").unwrap()[0].is_some());
    assert_eq!(at(&frame, 0, &["launch_bound_ns", "api_median_ns"]), [None, None]);
    let one = launch(&Fixture::new().kernel(0, 0, (5, 5)).tables());
    // A window of no length holds no instant, and so no start.
    assert_eq!(at(&one, 0, &["activities", "span_ns", "idle_ns", "launch_bound_ns"]), [0; 4].map(Some));
    assert_eq!(floats(&one, "launch_bound_ratio").unwrap(), [None]);
}

proptest! {
    #[test]
    fn the_parts_sum_to_idle_and_agree_with_the_metric_idle(
        rows in prop::collection::vec((0..2_i64, 0..90_i64, 0..12_i64, -20..90_i64, 0..15_i64), 1..14),
        syncs in prop::collection::vec((0..90_i64, 1..10_i64), 0..3),
    ) {
        let mut fixture = Fixture::new().block((0, 50)).block((55, 95));
        for (place, (queue, start, length, call, lasted)) in rows.iter().enumerate() {
            fixture = fixture.kernel(0, *queue, (*start, start + length));
            if place % 4 != 3 {
                fixture = fixture.launched_by(["a", "b"][place % 2], (*call, call + lasted));
            }
        }
        let fixture = syncs.iter().fold(fixture, |fixture, (at, length)| fixture.sync_call((*at, at + length)));
        let tables = fixture.tables();
        let (frame, idle) = (launch(&tables), (crate::metrics::idle::METRIC.compute)(&Input::new("", "", &tables, Window::Default)).unwrap());
        let of_idle = |name: &str| ints(&idle, name).unwrap()[0].unwrap();
        let sum = |name: &str| ints(&frame, name).unwrap()[0];
        prop_assert_eq!(sum("idle_ns"), Some(of_idle("idle_ns")));
        if sum("rest_ns").is_some() {
            prop_assert_eq!(sum("host_wait_ns"), Some(of_idle("host_wait_ns")));
            prop_assert_eq!(sum("call_ns").unwrap() + sum("queue_ns").unwrap(), of_idle("launch_ns"));
            prop_assert_eq!(at(&frame, 0, &PARTS[1..]).iter().flatten().sum::<i64>(), of_idle("idle_ns"));
        }
        // Names take their parts from the same gaps.
        for name in ["host_wait_ns", "call_ns", "queue_ns", "launches", "api_total_ns"] {
            let column = ints(&frame, name).unwrap();
            if let Some(all) = column[0] {
                prop_assert_eq!(column[1..].iter().flatten().sum::<i64>(), all, "{}", name);
            }
        }
    }
}

proptest! {
    /// Of this metric and those that count the same launches and calls.
    #[test]
    fn no_time_panics_or_leaves_the_numbers(
        rows in prop::collection::vec((0..3_i64, any::<(i64, i64)>(), any::<(i64, i64)>(), 0..4_usize), 1..8),
        block in prop::option::of(any::<(i64, i64)>()),
    ) {
        let add = |fixture: Fixture, row: &(i64, Span, Span, usize)| {
            let fixture = match row.3 {
                0 => fixture.other("graph", 0, row.0, row.1),
                1 => fixture.kernel(0, row.0, row.1).graph_node(4, 2),
                _ => fixture.kernel(0, row.0, row.1),
            };
            if row.3 == 3 { fixture } else { fixture.launched_by("cuGraphLaunch", row.2) }
        };
        let fixture = rows.iter().fold(Fixture::new(), add);
        let tables = block.into_iter().fold(fixture, Fixture::block).tables();
        for name in ["launch", "graph_launches", "kernels", "kernel_durations", "calls", "queue_depth"] {
            let metric = crate::metrics::find(name).unwrap();
            let frame = (metric.compute)(&Input::new("run", "target", &tables, Window::Default)).unwrap();
            proftool_trace::frame::check(metric.table, &frame).unwrap();
            for column in metric.table.columns {
                match column.dtype {
                    proftool_trace::table::DataType::Float => {
                        prop_assert!(floats(&frame, column.name).unwrap().iter().flatten().all(|value| value.is_finite()));
                    }
                    proftool_trace::table::DataType::Int if !["start_ns", "end_ns"].contains(&column.name) => {
                        prop_assert!(ints(&frame, column.name).unwrap().iter().flatten().all(|value| *value >= 0), "{}", column.name);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// `nsys stats` cuda_kern_exec_sum: launches and queued launches of `cudaLaunchKernel` by device, summed over kernels.
#[test]
fn launches_and_delays_of_kernels_are_those_of_nsys() {
    let Some(path) = shared_data("nsys/h100x2_train_after.schema3.25.sqlite") else { return };
    let golden = path.parent().unwrap().join("../../golden/nsys-stats/h100x2_train_after/cuda_kern_exec_sum.csv");
    let (_, tables) = proftool_import::into_memory(&path).unwrap();
    let frame = launch(&tables);
    let mut sheet = csv::Reader::from_path(golden).unwrap();
    let head = sheet.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|known| known == name).unwrap();
    // Of each device and function: launches, queued, longest delay and the sum of the delays.
    let mut theirs: BTreeMap<(i64, String), (i64, i64, i64, f64)> = BTreeMap::new();
    for record in sheet.records().map(Result::unwrap) {
        let number = |name: &str| record[column(name)].parse::<f64>().unwrap_or(0.0);
        let key = (number("DevId") as i64, record[column("API Name")].to_owned());
        let sums = theirs.entry(key).or_default();
        sums.0 += number("Count") as i64;
        sums.1 += number("QCount") as i64;
        sums.2 = sums.2.max(number("QMax (ns)") as i64);
        sums.3 += number("QCount") * number("QAvg (ns)");
    }
    assert!(theirs.len() >= 4, "{theirs:?}");
    let (devices, names) = (ints(&frame, "device").unwrap(), texts(&frame, "name").unwrap());
    for ((device, name), (launches, queued, longest, sum)) in theirs {
        let row = (0..frame.height()).find(|row| devices[*row] == Some(device) && names[*row].as_ref() == Some(&name));
        let found = at(&frame, row.unwrap(), &["launches", "queued", "queue_delay_max_ns", "queue_delay_total_ns"]);
        assert_eq!(found[..3], [Some(launches), Some(queued), Some(longest)], "{device} {name}");
        // Their mean is rounded to a tenth of a nanosecond.
        let allowed = 0.05 * queued as f64 + 1.0;
        assert!((found[3].unwrap() as f64 - sum).abs() <= allowed, "{device} {name}: {found:?} is not {sum}");
    }
}

/// Counted from the file by a separate script: 423 rows, all launched, 87 calls, one graph launch a 25 of them.
#[test]
fn a_trace_with_graphs_counts_calls_and_not_nodes() {
    let Some(path) = shared_data("kineto/mi300x_vllm_piecewise_graph.json.gz") else { return };
    let frame = launch(&proftool_import::into_memory(&path).unwrap().1);
    assert_eq!(at(&frame, 0, &["activities", "with_call", "launches"]), [423, 423, 87].map(Some));
    let names = texts(&frame, "name").unwrap();
    let graph = names.iter().position(|name| name.as_deref() == Some("hipGraphLaunch")).unwrap();
    let found = at(&frame, graph, &["activities", "launches", "api_total_ns", "api_median_ns", "latency_median_ns"]);
    assert_eq!(found, [361, 25, 951_935, 38_360, 208_433_623].map(Some));
}
