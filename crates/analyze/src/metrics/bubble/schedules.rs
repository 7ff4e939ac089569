//! Schedules with known bubbles: hand-made pipelines, played without gaps between what must follow.

use std::collections::BTreeMap;

use super::{METRIC, PART_NAMES};
use crate::fixture::Fixture;
use crate::metrics::Input;
use crate::windows::Window;
use polars::prelude::DataFrame;
use proftool_trace::frame::{floats, ints, texts};

/// Stage, micro-batch, whether it is a backward pass.
type Operation = (i64, i64, bool);

/// Plays the operations of each host in their order: each starts when its host is free and its inputs are complete. Returns
/// what ran where and when, in the order of time.
fn play(orders: &[Vec<Operation>], stages: i64, time: impl Fn(Operation) -> i64) -> Vec<(usize, Operation, i64)> {
    let (mut ends, mut free): (BTreeMap<Operation, i64>, Vec<i64>) = (BTreeMap::new(), vec![0; orders.len()]);
    let (mut next, mut played) = (vec![0; orders.len()], Vec::new());
    while played.len() < orders.iter().map(Vec::len).sum() {
        let before = played.len();
        for host in 0..orders.len() {
            let Some(operation) = orders[host].get(next[host]).copied() else { continue };
            let inputs = inputs(operation, stages);
            if inputs.iter().all(|input| ends.contains_key(input)) {
                let start = inputs.iter().map(|input| ends[input]).max().unwrap_or(0).max(free[host]);
                free[host] = start + time(operation);
                ends.insert(operation, free[host]);
                played.push((host, operation, start));
                next[host] += 1;
            }
        }
        assert!(played.len() > before, "the order of the hosts is a dead end");
    }
    played.sort_by_key(|(host, _, start)| (*start, *host));
    played
}

fn inputs((stage, micro_batch, backward): Operation, stages: i64) -> Vec<Operation> {
    match (backward, stage) {
        (false, 0) => Vec::new(),
        (false, stage) => vec![(stage - 1, micro_batch, false)],
        (true, stage) if stage == stages - 1 => vec![(stage, micro_batch, false)],
        (true, stage) => vec![(stage + 1, micro_batch, true)],
    }
}

/// The schedule as a trace: its block is exactly the schedule.
fn trace(orders: &[Vec<Operation>], stages: i64, time: impl Fn(Operation) -> i64) -> Fixture {
    let (mut fixture, mut ids, mut end) = (Fixture::new(), BTreeMap::new(), 0);
    for (id, (host, operation, start)) in play(orders, stages, &time).into_iter().enumerate() {
        let phase = if operation.2 { "backward" } else { "forward" };
        let finish = start + time(operation);
        fixture = fixture.named_kernel(phase, host as i64, 0, (start, finish));
        fixture = fixture.work(0, phase, operation.0, operation.1, 8);
        let after: Vec<i64> = inputs(operation, stages).iter().map(|input| ids[input]).collect();
        fixture = fixture.after(&after);
        ids.insert(operation, id as i64);
        end = end.max(finish);
    }
    fixture.block((0, end))
}

/// All forward passes, then all backward passes.
fn gpipe(p: i64, m: i64, backward: bool) -> Vec<Vec<Operation>> {
    let passes = |stage| {
        let back = (0..m).map(move |at| (stage, at, true)).filter(move |_| backward);
        (0..m).map(move |at| (stage, at, false)).chain(back).collect()
    };
    (0..p).map(passes).collect()
}

/// Forward passes until the last stage has begun, then one forward and one backward pass in turn.
fn one_forward_one_backward(p: i64, m: i64) -> Vec<Vec<Operation>> {
    let order = |stage: i64| {
        let ahead = (p - 1 - stage).min(m);
        let mut order: Vec<Operation> = (0..ahead).map(|at| (stage, at, false)).collect();
        for at in 0..m {
            order.extend((at + ahead < m).then_some((stage, at + ahead, false)));
            order.push((stage, at, true));
        }
        order
    };
    (0..p).map(order).collect()
}

/// The interleaved schedule of v chunks a host: micro-batches go in groups of p through the chunks.
fn interleaved(p: i64, m: i64, v: i64) -> Vec<Vec<Operation>> {
    let order = |host: i64| {
        let pass = |at: i64, backward: bool| {
            let chunk = at % (p * v) / p;
            let chunk = if backward { v - 1 - chunk } else { chunk };
            (chunk * p + host, at / (p * v) * p + at % p, backward)
        };
        let ahead = ((p - host - 1) * 2 + (v - 1) * p).min(m * v);
        let mut order: Vec<Operation> = (0..ahead).map(|at| pass(at, false)).collect();
        for at in 0..m * v {
            order.extend((at + ahead < m * v).then(|| pass(at + ahead, false)));
            order.push(pass(at, true));
        }
        order
    };
    (0..p).map(order).collect()
}

fn bubble(fixture: &Fixture) -> DataFrame {
    (METRIC.compute)(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
}

fn int(frame: &DataFrame, name: &str) -> i64 {
    ints(frame, name).unwrap()[0].unwrap()
}

fn float(frame: &DataFrame, name: &str) -> Option<f64> {
    floats(frame, name).unwrap()[0]
}

fn parts(frame: &DataFrame) -> [i64; 6] {
    PART_NAMES.map(|name| int(frame, &format!("{name}_ns")))
}

/// Length and bubble, in host-ns, of a schedule whose parts must sum.
fn measured(fixture: &Fixture) -> (i64, i64, DataFrame) {
    let frame = bubble(fixture);
    let sum = parts(&frame).iter().sum();
    assert_eq!(int(&frame, "capacity_ns") - int(&frame, "compute_ns"), sum);
    (int(&frame, "span_ns"), sum, frame)
}

#[test]
fn equal_stages_have_the_bubble_of_the_closed_form() {
    // p = 4, m = 8, passes of 7 (backward 14): T = (8 + 3) passes, the bubble 3 of them on each of 4 hosts.
    let cases = [
        (gpipe(4, 8, false), 7, "GPipe, forward only"),
        (gpipe(4, 8, true), 21, "GPipe"),
        (one_forward_one_backward(4, 8), 21, "1F1B"),
    ];
    for (orders, pass, name) in cases {
        let (span, sum, frame) = measured(&trace(&orders, 4, |operation| if operation.2 { 14 } else { 7 }));
        assert_eq!((span, sum), (11 * pass, 4 * 3 * pass), "{name}");
        let (b, f) = (float(&frame, "bubble_ratio").unwrap(), float(&frame, "ideal_fraction_ratio").unwrap());
        assert!((b - 3.0 / 11.0).abs() < 1e-15 && (b - f).abs() < 1e-15, "{name}: {b} {f}");
        assert_eq!(float(&frame, "ideal_overhead_ratio"), Some(0.375), "{name}");
        assert_eq!((int(&frame, "micro_batches"), int(&frame, "stage_count")), (8, 4), "{name}");
        assert_eq!(texts(&frame, "stages").unwrap()[0].as_deref(), Some("declared"));
        assert!(int(&frame, "ideal_makespan_ns") <= span, "{name}");
    }
}

#[test]
fn of_forward_passes_alone_the_first_host_drains_and_the_ideal_is_the_schedule() {
    let (span, _, frame) = measured(&trace(&gpipe(4, 8, false), 4, |_| 7));
    assert_eq!(parts(&frame), [4 * 3 * 7, 0, 0, 0, 0, 0]);
    assert_eq!(int(&frame, "ideal_makespan_ns"), span);
}

#[test]
fn interleaving_divides_the_bubble_by_the_chunks() {
    // Two chunks a host, each pass half as long: T = (2 * 8 + 3) half passes.
    for (forward, backward) in [(5, 5), (5, 10)] {
        let orders = interleaved(4, 8, 2);
        let (span, sum, frame) = measured(&trace(&orders, 8, |operation| if operation.2 { backward } else { forward }));
        let pass = forward + backward;
        assert_eq!((span, sum), (19 * pass, 4 * 3 * pass));
        assert_eq!((int(&frame, "chunk_count"), int(&frame, "host_count")), (2, 4));
        let (b, f) = (float(&frame, "bubble_ratio").unwrap(), float(&frame, "ideal_fraction_ratio").unwrap());
        assert!((b - 3.0 / 19.0).abs() < 1e-15 && (b - f).abs() < 1e-15);
    }
}

#[test]
fn an_unequal_stage_is_imbalance() {
    // Three stages of 5, 10 and 5, four micro-batches: T = 5 + 4 * 10 + 5. The second is busiest: 40, without a gap.
    let (span, sum, frame) =
        measured(&trace(&gpipe(3, 4, false), 3, |operation| if operation.0 == 1 { 10 } else { 5 }));
    assert_eq!((span, sum), (50, 3 * 50 - 80));
    assert_eq!(parts(&frame), [3 * 10, 40, 0, 0, 0, 0]);
    assert_eq!(int(&frame, "ideal_makespan_ns"), 50);
}

#[test]
fn a_v_of_stages_has_no_closed_form_and_says_so() {
    // Host 0 has the ends (two chunks), host 1 the middle (one): 0, 1, 2, 3 for each of two micro-batches, of 5 each.
    let first: Vec<Operation> = vec![(0, 0, false), (0, 1, false), (3, 0, false), (3, 1, false)];
    let middle = vec![(1, 0, false), (2, 0, false), (1, 1, false), (2, 1, false)];
    let (span, sum, frame) = measured(&trace(&[first, middle], 4, |_| 5));
    // Host 1 works 5..25, host 0 0..10, 15..20 and 25..30.
    assert_eq!((span, sum), (30, 2 * 30 - 40));
    assert_eq!((float(&frame, "ideal_overhead_ratio"), int(&frame, "micro_batches")), (None, 2));
    assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().contains("chunks"));
}

#[test]
fn the_order_of_rows_changes_nothing() {
    use proftool_trace::tables::{ACTIVITIES, CALLS, DEPENDENCIES, DEVICES, RANGES, WORK};
    let fixture = trace(&one_forward_one_backward(4, 8), 4, |operation| 5 + operation.0);
    let (plain, mut reversed) = (fixture.tables(), fixture.tables());
    for table in [&ACTIVITIES, &CALLS, &DEPENDENCIES, &DEVICES, &RANGES, &WORK] {
        let frame = reversed.get(table).reverse();
        reversed.set(table, frame).unwrap();
    }
    for metric in [METRIC, super::super::bubble_iteration::METRIC] {
        let of = |tables| (metric.compute)(&Input::new("run", "target", tables, Window::Each)).unwrap();
        assert!(of(&plain).equals_missing(&of(&reversed)), "{}", metric.name);
    }
}
