use super::*;
use std::collections::BTreeSet;

use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{floats, ints, texts};
use proptest::prelude::*;

fn bubble(fixture: &Fixture, window: Window) -> DataFrame {
    compute(&Input::new("run", "target", &fixture.tables(), window)).unwrap()
}

fn parts(frame: &DataFrame, row: usize) -> Vec<Option<i64>> {
    PART_NAMES.iter().map(|name| ints(frame, &format!("{name}_ns")).unwrap()[row]).collect()
}

/// Two stages in the block 0..100. Device 0 computes 5..25 and 30..50. Device 1, the busiest, computes 30..50,
/// 70..95: its second operation needs the copy 55..65 of what device 0 made in 30..50.
fn two_stages() -> Fixture {
    Fixture::new()
        .queue(0, 1, "copy")
        .kernel(0, 0, (5, 25))
        .work(0, "prefill", 0, 0, 8)
        .copy(0, 1, (25, 30), 1, 8)
        .after(&[0])
        .kernel(1, 0, (30, 50))
        .work(0, "prefill", 1, 0, 8)
        .after(&[1])
        .kernel(0, 0, (30, 53))
        .work(0, "prefill", 0, 1, 8)
        .copy(0, 1, (55, 65), 1, 8)
        .after(&[3])
        .kernel(1, 0, (70, 95))
        .work(0, "prefill", 1, 1, 8)
        .after(&[4])
        .block((0, 100))
}

#[test]
fn the_six_parts_of_a_hand_written_schedule() {
    let frame = bubble(&two_stages(), Window::Default);
    // c = 43 and 45; j = device 1: s = 30, e = 95. Its gap 50..70: the producer computes until 53 (dependency), the
    // copy begins at 55 (other until then), flies until 65 (transfer), then the inputs are complete (host).
    assert_eq!(parts(&frame, 0), [2 * (30 + 5), 2, 2 * 10, 2 * 5, 2 * 3, 2 * 2].map(Some));
    assert_eq!(ints(&frame, "capacity_ns").unwrap(), [Some(200)]);
    assert_eq!(ints(&frame, "compute_ns").unwrap(), [Some(88)]);
    assert_eq!(floats(&frame, "bubble_ratio").unwrap(), [Some(112.0 / 200.0)]);
    assert_eq!(texts(&frame, "hosts").unwrap(), [Some("0, 1".to_owned())]);
    assert_eq!(ints(&frame, "micro_batches").unwrap(), [Some(2)]);
    assert_eq!(floats(&frame, "ideal_overhead_ratio").unwrap(), [Some(0.5)]);
    assert_eq!(floats(&frame, "ideal_fraction_ratio").unwrap(), [Some(1.0 / 3.0)]);
    // Medians: stage 0 (20 + 23) / 2 rounded down = 21, stage 1 (20 + 25) / 2 = 22: 21 + 22 + 22.
    assert_eq!(ints(&frame, "ideal_makespan_ns").unwrap(), [Some(65)]);
    assert_eq!(floats(&frame, "ideal_ratio").unwrap(), [Some(0.65)]);
}

#[test]
fn without_dependencies_only_fill_drain_and_imbalance_are_known() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (20, 40)).kernel(1, 0, (10, 20)).block((0, 50));
    let frame = bubble(&fixture, Window::Default);
    assert_eq!(parts(&frame, 0), [Some(20), Some(20), None, None, None, Some(20)]);
    assert_eq!(floats(&frame, "host_ratio").unwrap(), [None]);
    assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().contains("dependencies"));
}

#[test]
fn queues_are_the_hosts_where_one_device_hosts_several_stages() {
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 10))
        .work(0, "prefill", 0, 0, 8)
        .kernel(0, 1, (10, 20))
        .work(0, "prefill", 1, 0, 8)
        .after(&[0]);
    let frame = bubble(&fixture, Window::Default);
    assert_eq!(texts(&frame, "hosts").unwrap(), [Some("0/0, 0/1".to_owned())]);
    assert_eq!(parts(&frame, 0), [Some(2 * 10), Some(0), Some(0), Some(0), Some(0), Some(0)]);
}

#[test]
fn empty_windows_are_null_and_idle_ones_are_all_other() {
    let frame = bubble(&two_stages().range("none", (96, 99)).range("point", (4, 4)), Window::Named("none".into()));
    assert_eq!(parts(&frame, 0), [0, 0, 0, 0, 0, 6].map(Some));
    assert_eq!(floats(&frame, "bubble_ratio").unwrap(), [Some(1.0)]);
    let frame = bubble(&two_stages().range("point", (4, 4)), Window::Named("point".into()));
    assert_eq!(parts(&frame, 0), [None; 6]);
    assert_eq!(texts(&frame, "reason").unwrap()[0].as_deref(), Some("the window is empty"));
    let nothing = bubble(&Fixture::new(), Window::Default);
    assert_eq!(
        (floats(&nothing, "bubble_ratio").unwrap(), ints(&nothing, "host_count").unwrap()),
        (vec![None], vec![Some(0)])
    );
}

#[test]
fn different_micro_batches_have_no_closed_form() {
    let frame = bubble(&two_stages().kernel(1, 0, (96, 97)).work(0, "decode", 1, 0, 1), Window::Default);
    assert_eq!(ints(&frame, "micro_batches").unwrap(), [None]);
    assert_eq!(floats(&frame, "ideal_overhead_ratio").unwrap(), [None]);
}

#[test]
fn each_block_is_cut_by_itself_and_blocks_sum() {
    let fixture = two_stages().kernel(0, 0, (110, 150)).work(1, "prefill", 0, 0, 8).block((100, 160));
    let (each, both) = (bubble(&fixture, Window::Each), bubble(&fixture, Window::Default));
    for at in 0..6 {
        assert_eq!(parts(&each, 0)[at].unwrap() + parts(&each, 1)[at].unwrap(), parts(&both, 0)[at].unwrap());
    }
    // The second block's busiest host is device 0.
    assert_eq!(parts(&each, 1), [2 * (10 + 10), 40, 0, 0, 0, 0].map(Some));
    assert_eq!(crate::ideal::block_ideals(&fixture.model()).len(), 2);
}

/// The bubble and its iterations of a file of the shared data.
fn of_file(relative: &str) -> Option<(DataFrame, DataFrame)> {
    let tables = proftool_import::into_memory(&shared_data(relative)?).unwrap().1;
    let input = Input::new("run", "target", &tables, Window::Default);
    Some((compute(&input).unwrap(), (crate::metrics::bubble_iteration::METRIC.compute)(&input).unwrap()))
}

#[test]
fn real_files_of_two_devices_have_the_parts_of_another_implementation() {
    // Length, compute (kernels that are not nccl*), fill_drain, imbalance and interior gaps: by unions written in another
    // language over the rows of the SQLite file.
    let expected = [
        ("nsys/h100x2_train_after.schema3.25.sqlite", [299_272_477, 455_093_305, 67_998, 124_601, 143_259_050]),
        (
            "nsys/v100_p2p_nvlink.schema3.0.sqlite",
            [7_606_510_603, 9_294_085_950, 176_741_042, 4_653_913_042, 1_088_281_172],
        ),
    ];
    for (file, expected) in expected {
        let Some((frame, _)) = of_file(file) else { return };
        let int = |name: &str| ints(&frame, name).unwrap()[0].unwrap();
        let interior = parts(&frame, 0)[2..].iter().flatten().sum::<i64>();
        let found = [int("span_ns"), int("compute_ns"), int("fill_drain_ns"), int("imbalance_ns"), interior];
        assert_eq!(found, expected, "{file}");
        assert_eq!(texts(&frame, "stages").unwrap()[0].as_deref(), Some("devices"));
        assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().contains("every device is taken"));
    }
}

#[test]
fn a_real_file_of_one_rank_is_no_pipeline_and_its_iterations_partition_it() {
    // Length and compute of the exact reference in ../shared/golden/exact_ns.
    let expected = [
        ("kineto/a100_nccl_world2.json.gz", 660_551_005, 115_655_847),
        ("kineto/mi300x_vllm_piecewise_graph.json.gz", 156_466_417, 156_008_394),
    ];
    for (file, span, computed) in expected {
        let Some((frame, each)) = of_file(file) else { return };
        let sum = |frame: &DataFrame, name: &str| ints(frame, name).unwrap().into_iter().flatten().sum::<i64>();
        assert_eq!([sum(&frame, "span_ns"), sum(&frame, "compute_ns")], [span, computed], "{file}");
        assert_eq!([sum(&each, "span_ns"), sum(&each, "compute_ns")], [span, computed], "{file}");
        assert_eq!(
            ints(&frame, "iterations").unwrap()[0].unwrap_or(0),
            ints(&each, "iteration").unwrap().iter().flatten().count() as i64
        );
        assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().contains("one host: no pipeline"));
    }
}

/// device, queue (1 copies), start, length.
type RandomRow = (i64, i64, i64, i64);

/// What a row reads: the copies that bring it and the kernels that made it.
fn read_by(rows: &[RandomRow], edges: &[(usize, usize)], at: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let (mut copies, mut kernels) = (BTreeSet::new(), BTreeSet::new());
    for input in edges.iter().filter(|edge| edge.0 == at && edge.1 < at).map(|edge| edge.1) {
        if rows[input].1 == 0 {
            kernels.insert(input);
        } else if copies.insert(input) {
            let further = read_by(rows, edges, input);
            copies.extend(further.0);
            kernels.extend(further.1);
        }
    }
    (copies, kernels)
}

/// The parts by brute force: one decision a nanosecond, straight from the definition.
fn by_nanosecond(rows: &[RandomRow], edges: &[(usize, usize)], window: Span) -> [i64; 6] {
    let hosts: Vec<i64> =
        rows.iter().filter(|row| row.1 == 0).map(|row| row.0).collect::<BTreeSet<_>>().into_iter().collect();
    let runs = |at: usize, t: i64| rows[at].2 <= t && t < rows[at].2 + rows[at].3;
    let computes = |host: i64, t: i64| (0..rows.len()).any(|at| (rows[at].0, rows[at].1) == (host, 0) && runs(at, t));
    let busy = |host: i64| (window.0..window.1).filter(|t| computes(host, *t)).count() as i64;
    let (p, mut parts) = (hosts.len() as i64, [0; 6]);
    let longest = hosts.iter().map(|host| busy(*host)).max().unwrap_or(0);
    let Some(j) = hosts.iter().copied().find(|host| busy(*host) == longest && longest > 0) else {
        parts[5] = p * (window.1 - window.0);
        return parts;
    };
    parts[1] = hosts.iter().map(|host| longest - busy(*host)).sum();
    for t in (window.0..window.1).filter(|t| !computes(j, *t)) {
        let Some(end) = (t..window.1).find(|t| computes(j, *t)).filter(|_| (window.0..t).any(|t| computes(j, t)))
        else {
            parts[0] += p;
            continue;
        };
        let mine = (0..rows.len()).filter(|at| (rows[*at].0, rows[*at].1) == (j, 0) && rows[*at].2 >= end);
        let next = mine.min_by_key(|at| (rows[*at].2, *at));
        let (copies, kernels) = next.map_or_else(Default::default, |next| read_by(rows, edges, next));
        let complete = copies.iter().chain(&kernels).all(|at| rows[*at].2 + rows[*at].3 <= t);
        let part = match () {
            () if copies.iter().any(|at| runs(*at, t)) => 2,
            () if complete && next.is_some() => 3,
            () if kernels.iter().any(|at| runs(*at, t)) => 4,
            () => 5,
        };
        parts[part] += p;
    }
    parts
}

proptest! {
    #[test]
    fn the_parts_agree_with_a_decision_for_each_nanosecond(
        rows in prop::collection::vec((0..3_i64, 0..2_i64, 0..90_i64, 0..25_i64), 1..14),
        edges in prop::collection::vec((0..14_usize, 0..14_usize), 0..20),
        window in (0..60_i64, 1..60_i64),
    ) {
        let window = (window.0, window.0 + window.1);
        let mut fixture = Fixture::new();
        for (at, (device, queue, start, length)) in rows.iter().enumerate() {
            let span = (*start, start + length);
            fixture = if *queue == 0 { fixture.kernel(*device, 0, span) } else { fixture.copy(*device, 1, span, 0, 8) };
            let inputs: Vec<i64> =
                edges.iter().filter(|edge| edge.0 == at && edge.1 < at).map(|edge| edge.1 as i64).collect();
            fixture = fixture.after(&inputs);
        }
        let frame = bubble(&fixture.block(window), Window::Default);
        let expected = by_nanosecond(&rows, &edges, window);
        let found = parts(&frame, 0);
        prop_assert_eq!(found.iter().flatten().sum::<i64>(), expected.iter().sum::<i64>());
        let (capacity, compute) = (ints(&frame, "capacity_ns").unwrap()[0], ints(&frame, "compute_ns").unwrap()[0]);
        if let (Some(capacity), Some(compute)) = (capacity, compute) {
            prop_assert_eq!(capacity - compute, expected.iter().sum::<i64>());
        }
        if edges.iter().any(|edge| edge.0 < rows.len() && edge.1 < edge.0) && capacity.is_some() {
            prop_assert_eq!(found, expected.map(Some).to_vec());
        }
    }
}
