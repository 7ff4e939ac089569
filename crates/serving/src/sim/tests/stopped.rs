//! Runs that are stopped before their end.

use std::cell::Cell;

use super::*;

/// What a run tells until it has been asked so many times whether to stop.
fn until(polls: u32, workload: &Workload) -> All {
    let devices = [Role::Prefill, Role::Decode, Role::Mixed].map(|role| device(role, 1 << 40)).to_vec();
    let mut policy = policies::find("least_loaded").expect("known").with(&BTreeMap::new(), 7).expect("defaults");
    let (mut all, asked) = (All::default(), Cell::new(0));
    let stop = || asked.replace(asked.get() + 1) >= polls;
    let options = Options { sample_period_ns: Some(10_000), ..Options::default() };
    let mut sink = Until::new(&mut all, &stop);
    simulate(workload, &cluster(devices), policy.as_mut(), &mut Everyone, &options, &mut sink).expect("sound");
    all
}

#[test]
fn a_run_that_is_stopped_is_the_beginning_of_the_whole_one_and_aborts_who_is_there() {
    let requests: Vec<(i64, u32, u32)> =
        (0..3000).map(|number| (number * 900, 20 + 7 * (number as u32 % 9), 1 + number as u32 % 40)).collect();
    let workload = workload(&requests);
    let (part, whole) = (until(2, &workload), until(u32::MAX, &workload));
    assert_eq!(until(2, &workload), part);
    let ok = part.outcomes.iter().filter(|outcome| outcome.status == Status::Ok).count();
    assert_eq!(part.outcomes[..ok], whole.outcomes[..ok]);
    let aborted = &part.outcomes[ok..];
    assert!(ok > 100 && aborted.len() > 10, "{ok} {}", aborted.len());
    let stopped = Status::Aborted("stopped: the run was interrupted");
    let end_ns = aborted[0].end_ns;
    assert!(aborted.iter().all(|outcome| (outcome.status, outcome.end_ns) == (stopped, end_ns)));
    // Those who had arrived, each once, and nobody else.
    let mut numbers: Vec<usize> = part.outcomes.iter().map(|outcome| outcome.request as usize).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..part.outcomes.len()).collect::<Vec<_>>());
    assert!(workload.requests[numbers.len()].arrival_ns >= end_ns);
    // Every token that is out has its step, also in the runs that were broken off.
    let decoded: u64 = part.runs.iter().map(|run| run.sequences * run.steps).sum();
    let first = part.outcomes.iter().filter(|outcome| outcome.first_token_ns.is_some()).count() as u64;
    assert_eq!(part.outcomes.iter().map(|outcome| u64::from(outcome.output_tokens)).sum::<u64>(), decoded + first);
    assert_eq!(part.samples.last().map(|(at_ns, _)| *at_ns), Some(end_ns));
}

#[test]
fn one_that_nobody_stops_ends_by_itself() {
    let few = workload(&[(0, 10, 2), (5, 10, 2)]);
    assert_eq!(until(0, &few), until(u32::MAX, &few));
}
