//! Settling of hand-made bins and logs.

use super::*;
use crate::requests::fixture::Fixture;
use crate::windows::Window;
use proftool_trace::frame::{floats, ints, texts};

fn bins(values: &[i64]) -> Vec<(i64, i64)> {
    values.iter().enumerate().map(|(at, value)| (at as i64 * 10, *value)).collect()
}

#[test]
fn it_has_settled_where_all_later_bins_are_near_the_final_value() {
    let found = settled(&bins(&[300, 120, 95, 111, 100, 105, 100, 98]), 0, false);
    // Final is the median of 100 and 98 (nearest rank: 98); 111 is 13 % above it, all later ones are near.
    assert_eq!((found.last, found.settling), (Some(98), Some(40)));
    assert!((found.overshoot.unwrap() - (300.0 / 98.0 - 1.0)).abs() < 1e-12);
    assert_eq!(settled(&bins(&[100; 8]), 0, false).settling, Some(0));
}

#[test]
fn what_does_not_settle_says_why() {
    let reason = |values: &[i64], over| settled(&bins(values), 0, over).reason.unwrap_or_default();
    assert!(reason(&[1, 2, 3], false).contains("too few"));
    assert!(reason(&[1; 8], true).contains("over capacity"));
    assert!(reason(&[1, 1, 1, 1, 1, 1, 1, 9], false).contains("not settled"));
    assert_eq!(settled(&bins(&[0; 8]), 0, false).overshoot, None);
}

/// 400 requests, one every 10 ns and in the second half one every 5; each takes as long as `ttft` says.
fn stepped(ttft: impl Fn(i64) -> i64) -> Fixture {
    (0..400).fold(Fixture::new(), |fixture, number| {
        let arrival = if number < 200 { number * 10 } else { 2000 + (number - 200) * 5 };
        let first = arrival + ttft(number);
        fixture.request(arrival, Some(first), Some(first + 20), 3)
    })
}

#[test]
fn a_step_of_the_load_is_found_and_what_follows_it_settles_by_itself() {
    let fixture = stepped(|number| if (200..260).contains(&number) { 90 } else { 30 });
    let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
    let from = texts(&frame, "from").unwrap();
    assert_eq!(from, ["start", "start", "load_step", "load_step"].map(|from| Some(from.to_owned())));
    let at = ints(&frame, "from_ns").unwrap()[2].unwrap();
    assert!((1950..=2050).contains(&at), "{at}");
    let rates = ["rate_before_per_s", "rate_after_per_s"].map(|name| floats(&frame, name).unwrap()[2].unwrap());
    assert!((rates[0] / 1e8 - 1.0).abs() < 0.05 && (rates[1] / 2e8 - 1.0).abs() < 0.05, "{rates:?}");
    let settling: Vec<i64> = ints(&frame, "settling_ns").unwrap().into_iter().flatten().collect();
    // Of the start all of the run's first half counts; 60 requests after the step last 300 ns.
    assert!(settling[0] >= 2200 && (200..=400).contains(&settling[2]) && settling[3] == 0, "{settling:?}");
    assert_eq!(floats(&frame, "overshoot_ratio").unwrap()[2], Some(2.0));
}

#[test]
fn a_last_bin_of_a_few_requests_does_not_decide_and_a_log_without_ends_is_not_over_capacity() {
    // 400 requests in 3990 ns are 20 bins of 200 ns; two more at 4010 ns are a bin of 10 ns, far from all others.
    let fixture =
        (0..400).fold(Fixture::new(), |fixture, number| fixture.request(number * 10, Some(number * 10 + 30), None, 3));
    let fixture = [4000, 4010].into_iter().fold(fixture, |fixture, at| fixture.request(at, Some(at + 900), None, 3));
    let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
    let int = |name| ints(&frame, name).unwrap()[0];
    assert_eq!((int("bin_ns"), int("bins"), int("final_ns")), (Some(500), Some(8), Some(30)));
    assert!(!texts(&frame, "reason").unwrap()[0].as_deref().unwrap().starts_with("over capacity"));
}

#[test]
fn under_a_steady_load_only_the_final_value_is_told_and_why() {
    // Every tenth request takes three times as long.
    let fixture = (0..400).fold(Fixture::new(), |fixture, number| {
        let first = number * 10 + if number % 10 == 0 { 90 } else { 30 };
        fixture.request(number * 10, Some(first), Some(first + 20), 3)
    });
    let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
    assert_eq!(texts(&frame, "from").unwrap(), ["start", "start"].map(|from| Some(from.to_owned())));
    assert_eq!(ints(&frame, "settling_ns").unwrap(), [None, None]);
    assert_eq!(floats(&frame, "overshoot_ratio").unwrap(), [None, None]);
    assert_eq!(ints(&frame, "final_ns").unwrap(), [Some(30), Some(10)]);
    assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().starts_with("no load step: "));
    let empty = settled(&bins(&[1, 2]), 0, false).without_step();
    assert!(empty.reason.unwrap().starts_with("too few"));
}

#[test]
fn a_run_whose_requests_pile_up_is_over_capacity() {
    let frame =
        compute(&Input::new("run", "target", &stepped(|number| number * 20).tables(), Window::Default)).unwrap();
    assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().starts_with("over capacity"));
    assert_eq!(ints(&frame, "settling_ns").unwrap()[0], None);
}
