use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{Tables, bools, floats, ints, texts};
use proptest::prelude::*;

fn graphs(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn at(frame: &DataFrame, row: usize, names: &[&str]) -> Vec<Option<i64>> {
    names.iter().map(|name| ints(frame, name).unwrap()[row]).collect()
}

const SPAN: [&str; 4] = ["span_ns", "busy_ns", "other_ns", "gap_ns"];
const BETWEEN: [&str; 4] = ["between", "between_ns", "between_busy_ns", "between_idle_ns"];

/// Graph 7 in 100..150 (nodes 100..110, 130..150; other work 120..125) and in 200..210 (one node 200..210); between
/// them a copy in 160..170.
fn two() -> Fixture {
    Fixture::new()
        .kernel(0, 0, (100, 110))
        .launched_by("cudaGraphLaunch_v10000", (40, 60))
        .graph_node(7, 1)
        .kernel(0, 0, (130, 150))
        .launched_with(0)
        .graph_node(7, 2)
        .kernel(0, 1, (120, 125))
        .launched((90, 95))
        .other("copy", 0, 1, (160, 170))
        .kernel(0, 0, (200, 210))
        .launched_by("cudaGraphLaunch_v10000", (180, 190))
        .graph_node(7, 1)
}

#[test]
fn a_launch_is_cut_into_own_nodes_other_work_and_gaps() {
    let frame = graphs(&two().tables());
    assert_eq!(texts(&frame, "graph").unwrap(), [None, Some("graph 7".to_owned())]);
    for row in 0..2 {
        assert_eq!(at(&frame, row, &["launches", "nodes", "nodes_min", "nodes_max"]), [2, 3, 1, 2].map(Some));
        assert_eq!(at(&frame, row, &SPAN), [60, 40, 5, 15].map(Some));
        // 150..200, of it the copy.
        assert_eq!(at(&frame, row, &BETWEEN), [1, 50, 10, 40].map(Some));
        assert_eq!(at(&frame, row, &["api_total_ns", "first_node_latency_median_ns"]), [30, 40].map(Some));
    }
    assert_eq!(floats(&frame, "api_per_node_ns").unwrap()[0], Some(10.0));
    assert_eq!(floats(&frame, "coverage_ratio").unwrap()[0], Some(1.0));
    assert_eq!(bools(&frame, "reliable").unwrap()[0], Some(true));
}

#[test]
fn a_whole_graph_row_is_a_launch_of_unknown_nodes() {
    let fixture = two().other("graph", 0, 0, (300, 350)).launched_by("cudaGraphLaunch", (280, 290));
    let frame = graphs(&fixture.tables());
    assert_eq!(at(&frame, 0, &["launches", "nodes", "busy_ns"]), [Some(3), None, None]);
    assert_eq!(at(&frame, 2, &["launches", "nodes", "span_ns", "api_total_ns"]), [Some(1), None, Some(50), Some(10)]);
    assert_eq!(bools(&frame, "reliable").unwrap(), [false, true, false].map(Some));
    assert_eq!(floats(&frame, "api_per_node_ns").unwrap()[2], None);
}

#[test]
fn graphs_without_a_number_are_told_apart_by_their_nodes() {
    let add = |fixture: Fixture, at: i64, call: i64, names: [&str; 2]| {
        let fixture =
            fixture.named_kernel(names[0], 0, 0, (at, at + 4)).launched_by("hipGraphLaunch", (at - 9, at - 5));
        fixture.named_kernel(names[1], 0, 0, (at + 4, at + 8)).launched_with(call)
    };
    let fixture = add(add(add(Fixture::new(), 10, 0, ["a", "b"]), 30, 1, ["a", "c"]), 50, 2, ["b", "a"]);
    // Several activities of another call are no graph.
    let fixture = fixture.kernel(0, 0, (70, 71)).launched((60, 61)).kernel(0, 0, (72, 73)).launched_with(3);
    let frame = graphs(&fixture.tables());
    assert_eq!(ints(&frame, "launches").unwrap(), [3, 2, 1].map(Some));
    let names: Vec<_> = texts(&frame, "graph").unwrap().into_iter().flatten().collect();
    assert_eq!(names, ["hipGraphLaunch, 2 nodes #1", "hipGraphLaunch, 2 nodes #2"]);
    assert_eq!(ints(&frame, "graph_id").unwrap(), [None; 3]);
}

#[test]
fn nodes_without_a_call_are_coverage_and_no_launch() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).graph_node(3, 1).kernel(0, 0, (20, 30)).graph_node(3, 2);
    let frame = graphs(&fixture.tables());
    assert_eq!((frame.height(), at(&frame, 0, &["launches", "api_total_ns"])), (1, vec![Some(0), None]));
    assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [Some(0.0)]);
    assert_eq!(graphs(&Fixture::new().kernel(0, 0, (0, 10)).tables()).height(), 0, "no graph is no row");
}

proptest! {
    #[test]
    fn the_parts_sum_to_the_spans_and_agree_with_each_nanosecond(
        rows in prop::collection::vec((0..4_usize, 0..80_i64, 0..15_i64), 1..16), reversed: bool,
    ) {
        // Call 3 is no graph launch.
        let order: Vec<_> = if reversed { rows.iter().rev().copied().collect() } else { rows.clone() };
        let base = ["cuGraphLaunch", "cuGraphLaunch", "cuGraphLaunch", "cuLaunchKernel"].into_iter();
        let base = base.fold(Fixture::new(), |fixture, name| fixture.host_call("driver", name, (-5, -1)));
        let add = |fixture: Fixture, row: &(usize, i64, i64)| {
            fixture.kernel(0, 0, (row.1, row.1 + row.2)).launched_with(row.0 as i64)
        };
        let frame = graphs(&order.iter().fold(base, add).block((-10, 100)).tables());
        let runs = |row: &&(usize, i64, i64), t: i64| row.1 <= t && t < row.1 + row.2;
        let mut expected = [0; 4];
        let mut spans = Vec::new();
        for call in 0..3 {
            let own: Vec<_> = rows.iter().filter(|row| row.0 == call).collect();
            let Some(start) = own.iter().map(|row| row.1).min() else { continue };
            let end = own.iter().map(|row| row.1 + row.2).max().unwrap();
            spans.push((start, end));
            for t in start..end {
                expected[0] += 1;
                let mine = own.iter().any(|row| runs(row, t));
                expected[if mine { 1 } else if rows.iter().any(|row| runs(&row, t)) { 2 } else { 3 }] += 1;
            }
        }
        if spans.is_empty() {
            prop_assert_eq!(frame.height(), 0);
            return Ok(());
        }
        prop_assert_eq!(at(&frame, 0, &SPAN), expected.map(Some));
        spans.sort_unstable();
        let (mut between, mut idle, mut end) = (0, 0, spans[0].1);
        for span in &spans[1..] {
            between += (span.0 - end).max(0);
            idle += (end..span.0).filter(|t| !rows.iter().any(|row| runs(&row, *t))).count() as i64;
            end = end.max(span.1);
        }
        prop_assert_eq!(at(&frame, 0, &["between_ns", "between_idle_ns"]), [between, idle].map(Some));
        for name in SPAN.iter().chain(&BETWEEN) {
            let column = ints(&frame, name).unwrap();
            prop_assert_eq!(column[1..].iter().flatten().sum::<i64>(), column[0].unwrap(), "{}", name);
        }
    }
}

/// Counted from the file by a separate script with plain loops.
#[test]
fn a_real_trace_of_graphs_gives_what_a_script_counts() {
    let Some(path) = shared_data("kineto/mi300x_vllm_piecewise_graph.json.gz") else { return };
    let frame = graphs(&proftool_import::into_memory(&path).unwrap().1);
    // 23 whole launches of 15 nodes; the trace begins with the last 4 and ends with the first 12 nodes of one.
    assert_eq!(ints(&frame, "launches").unwrap(), [25, 1, 23, 1].map(Some));
    assert_eq!(at(&frame, 0, &["nodes", "nodes_min", "nodes_median", "nodes_max"]), [361, 4, 15, 15].map(Some));
    assert_eq!(at(&frame, 0, &["api_total_ns", "api_median_ns"]), [951_935, 38_360].map(Some));
    assert_eq!(at(&frame, 0, &["first_node_latency_median_ns"]), [Some(208_433_623)]);
    assert_eq!(at(&frame, 0, &SPAN), [149_937_913, 149_919_643, 0, 18_270].map(Some));
    assert_eq!(at(&frame, 0, &BETWEEN), [24, 6_032_907, 6_032_907 - 299_630, 299_630].map(Some));
}
