//! What devices show at a moment.

use super::*;

fn sampled(requests: &[(i64, u32, u32)], period_ns: i64) -> Vec<(i64, u32, u32, u64)> {
    let options = Options { sample_period_ns: Some(period_ns), ..Options::default() };
    let all = run(&workload(requests), &cluster(vec![device(Role::Mixed, 1000)]), "round_robin", &options);
    all.samples.iter().map(|(at, states)| (*at, states[0].waiting, states[0].running, states[0].kv_tokens)).collect()
}

#[test]
fn devices_are_shown_at_every_multiple_of_the_period_and_at_the_end() {
    // [100, 1740) and [1740, 3100) the prompt; then steps until 4300 and 5501.
    let shown = sampled(&[(100, 100, 3)], 1000);
    // The memory of the whole context is taken when its prompt is begun, a token more a step.
    assert_eq!(
        shown,
        [
            (1000, 0, 1, 100),
            (2000, 0, 1, 100),
            (3000, 0, 1, 100),
            (4000, 0, 1, 101),
            (5000, 0, 1, 102),
            (5501, 0, 0, 0)
        ]
    );
}

#[test]
fn what_happens_at_a_moment_has_happened_when_it_is_shown() {
    // The prompt is done at 1100, the only moment that is a multiple.
    assert_eq!(sampled(&[(0, 10, 2)], 1100), [(0, 0, 1, 10), (1100, 0, 1, 11), (2200, 0, 1, 11), (2210, 0, 0, 0)]);
}

#[test]
fn a_prompt_that_is_computed_runs_and_one_that_is_not_begun_or_on_its_way_waits() {
    // The first computes from 0 to 1640, the second waits for it.
    assert_eq!(sampled(&[(0, 64, 2), (5, 64, 2)], 1000)[0], (0, 0, 1, 64));
    assert_eq!(sampled(&[(0, 64, 2), (5, 64, 2)], 1000)[1], (1000, 1, 1, 64));
    // Its context moves from 1500 to 2500, and decodes until 3650.
    let options = Options { sample_period_ns: Some(1000), ..Options::default() };
    let apart = cluster(vec![device(Role::Prefill, 1000), device(Role::Decode, 1000)]);
    let all = run(&workload(&[(0, 50, 2)]), &apart, "round_robin", &options);
    let shown =
        |(at_ns, states): &(i64, Vec<State>)| (*at_ns, [0, 1].map(|at| (states[at].waiting, states[at].running)));
    let shown: Vec<(i64, [(u32, u32); 2])> = all.samples.iter().map(shown).collect();
    let (none, waits, runs) = ((0, 0), (1, 0), (0, 1));
    assert_eq!(
        shown,
        [(0, [runs, none]), (1000, [runs, none]), (2000, [none, waits]), (3000, [none, runs]), (3650, [none, none])]
    );
}

#[test]
fn an_empty_time_is_shown_once_and_the_rhythm_goes_on() {
    let shown = sampled(&[(0, 10, 1), (1_000_000_000, 10, 1)], 300);
    let times: Vec<i64> = shown.iter().map(|&(at_ns, ..)| at_ns).collect();
    // 10^9 = 3333333 x 300 + 100.
    assert_eq!(times, [0, 300, 600, 900, 1200, 1_000_000_200, 1_000_000_500, 1_000_000_800, 1_000_001_100]);
    assert!(shown[4].2 == 0 && shown[5].2 == 1);
}
