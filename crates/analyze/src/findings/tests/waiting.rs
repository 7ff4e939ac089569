//! What the rhythm of launches is and is not: long gaps, the edges of windows, inputs, clocks that disagree.

use super::cases::rhythm;
use super::*;
use crate::fixture::Fixture;
use crate::operators::Span;

const US: i64 = 1_000;

/// The sizes of the findings of a rule.
fn sizes(code: &str, given: &Given) -> Vec<Option<i64>> {
    of_rule(code, given).iter().map(|one| one.size_ns).collect()
}

fn of_rule(code: &str, given: &Given) -> Vec<Finding> {
    let rule = RULES.iter().find(|rule| rule.code == code).unwrap();
    with(given, |input| merged((rule.apply)(input).unwrap()))
}

#[test]
fn a_long_gap_takes_nothing_from_the_short_ones() {
    // 198 gaps of 20 + 5 + 15 us; then 20 us, a call of 5 us, and 30.015 ms in which the launched work does not begin.
    let rhythm = rhythm(199, 10 * US, [20 * US, 5 * US, 15 * US]);
    let last = 198 * 50 * US + 10 * US;
    let call = (last + 20 * US, last + 25 * US);
    let begin = last + 30_040 * US;
    let given: Given = rhythm.kernel(0, 0, (begin, begin + 10 * US)).launched(call).into();
    assert_eq!(sizes("host_bound", &given), [Some(4_950 * US)], "198 x 25 us");
    assert_eq!(sizes("kernel_gaps", &given), [Some(2_970 * US)], "198 x 15 us");
    assert_eq!(sizes("long_gaps", &given), [Some(30_040 * US)]);
}

/// A window of 1,000 with kernels that touch each other from 500 to 620, launched at those times after 0.
fn edges(launched: impl Fn(i64) -> Span) -> Given {
    let kernel =
        |fixture: Fixture, at: i64| fixture.kernel(0, 0, (500 + at * 10, 510 + at * 10)).launched(launched(at));
    (0..12).fold(Fixture::new(), kernel).block((0, 1_000)).into()
}

#[test]
fn the_start_and_the_end_of_a_window_are_no_pauses() {
    let early = edges(|at| (at, at + 1));
    assert_eq!((sizes("kernel_gaps", &early), sizes("host_bound", &early)), (vec![], vec![]));
    let late = edges(|at| (490 + at, 491 + at));
    assert_eq!((sizes("kernel_gaps", &late), sizes("host_bound", &late)), (vec![], vec![]));
}

#[test]
fn a_device_with_one_operation_has_no_pauses_between_pieces_of_work() {
    // As the synthetic case kv_half_hidden: device 1 runs one operation, launched at 0.
    let fixture = Fixture::new().kernel(0, 0, (0, 40)).launched((0, 1)).kernel(0, 0, (40, 80)).launched((0, 1));
    let given: Given = fixture.kernel(1, 0, (110, 150)).launched((0, 1)).block((0, 160)).into();
    assert_eq!((sizes("kernel_gaps", &given), sizes("host_bound", &given)), (vec![], vec![]));
}

#[test]
fn a_handful_of_launches_makes_a_rhythm() {
    let of = |count| Given::from(rhythm(count, 100, [0, 10, 50]));
    assert_eq!((sizes("kernel_gaps", &of(9)), sizes("kernel_gaps", &of(10))), (vec![], vec![Some(450)]));
}

/// Device 1 runs after device 0 by turns: from 40 to 70 of each 100 that, from 70 to 100 this; all launched before.
fn turns(stage: bool, depends: bool) -> Given {
    let work = |fixture: Fixture, at: i64, device: i64| {
        if stage { fixture.work(at, "prefill", device, 0, 8) } else { fixture }
    };
    let turn = |fixture: Fixture, at: i64| {
        let begin = at * 100;
        let first = fixture.kernel(0, 0, (begin + 40, begin + 70)).launched((begin - 90, begin - 80));
        let second = work(first, at, 0).kernel(1, 0, (begin + 70, begin + 100)).launched((begin - 80, begin - 70));
        let second = work(second, at, 1);
        if depends { second.after(&[2 * at]) } else { second }
    };
    (0..12).fold(Fixture::new(), turn).into()
}

#[test]
fn a_device_that_waits_for_a_recorded_input_does_not_pause() {
    // 11 gaps of 70 each; device 0 has no inputs.
    assert_eq!(of_rule("kernel_gaps", &turns(false, false))[0].devices, 2);
    let told = of_rule("kernel_gaps", &turns(false, true));
    assert_eq!((told.len(), told[0].devices, told[0].device, told[0].size_ns), (1, 1, Some(0), Some(770)));
}

#[test]
fn stages_whose_inputs_are_not_recorded_are_left_to_the_bubble() {
    let given = turns(true, false);
    assert_eq!(sizes("kernel_gaps", &given), []);
    assert_eq!(of_rule("pipeline_bubble", &given).len(), 1);
}

/// The rhythm of 60 kernels with a gap of 2 ms behind them, every call so much later.
fn moved(by: i64) -> Given {
    let kernel = |fixture: Fixture, at: i64| {
        let begin = at * 10 * US + if at == 60 { 2_000 * US } else { 0 };
        fixture.kernel(0, 0, (begin, begin + 5 * US)).launched((begin - 3 * US + by, begin - US + by))
    };
    (0..61).fold(Fixture::new(), kernel).into()
}

#[test]
fn clocks_that_disagree_leave_gaps_and_no_rhythm() {
    let good = moved(0);
    assert_eq!(sizes("clocks_disagree", &good), []);
    // 59 gaps of 5 us of which the host has 4; the work launched 1 us before it begins.
    assert_eq!(sizes("host_bound", &good), [Some(236 * US)]);
    assert_eq!(of_rule("long_gaps", &good)[0].limits, None);
    // All begin before their call; then all calls are 10 ms early, and the work takes 2.605 ms.
    for by in [4 * US, -10_000 * US] {
        let bad = moved(by);
        assert_eq!(sizes("clocks_disagree", &bad), [None]);
        assert_eq!((sizes("host_bound", &bad), sizes("kernel_gaps", &bad)), (vec![], vec![]));
        let long = of_rule("long_gaps", &bad).remove(0);
        assert_eq!(long.size_ns, Some(2_005 * US));
        assert!(long.limits.unwrap().contains("clocks_disagree") && !long.advice.contains("launching call"));
    }
}

#[test]
fn a_window_in_the_depth_of_a_queue_is_no_sign_of_clocks_that_disagree() {
    // Twenty kernels of 10, each launched 100 before; the window is 60 of them.
    let kernel = |fixture: Fixture, at: i64| {
        fixture.kernel(0, 0, (at * 10, at * 10 + 10)).launched((at * 10 - 101, at * 10 - 100))
    };
    let given: Given = (0..20).fold(Fixture::new(), kernel).block((100, 160)).into();
    assert_eq!(sizes("clocks_disagree", &given), []);
}

#[test]
fn work_behind_a_queue_from_before_the_recording_is_no_sign_either() {
    // Twenty kernels of 10 in 0..200, launched one a nanosecond from -190 on: delays of 189 to 360, the median above 200.
    let kernel =
        |fixture: Fixture, at: i64| fixture.kernel(0, 0, (at * 10, at * 10 + 10)).launched((at - 190, at - 189));
    assert_eq!(sizes("clocks_disagree", &(0..20).fold(Fixture::new(), kernel).into()), []);
}
