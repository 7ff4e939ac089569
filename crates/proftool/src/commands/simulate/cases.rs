//! The cases, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

use proftool_serving::evaluation::in_order;
use proftool_serving::policies::Maker;
use proftool_serving::{Bin, Options, Sink, Summary, Tally, Until, Workload, simulate, summarize_tiers};
use proftool_trace::Artifact;

use super::Args;
use super::setup::Setup;
use super::trend::bins;
use crate::failure::Failure;
use crate::interrupt;
use crate::progress::Bar;

/// One simulation: a policy at a load with a seed.
pub(super) struct Case {
    pub(super) maker: &'static Maker,
    pub(super) load: f64,
    pub(super) seed: u64,
}

/// What came out of one.
pub(super) struct Row {
    pub(super) policy: &'static str,
    pub(super) load: f64,
    pub(super) seed: u64,
    pub(super) requests: usize,
    /// Requests a second, first arrival to last; none for a single one.
    pub(super) arrivals_per_s: Option<f64>,
    pub(super) dollars: f64,
    pub(super) joules: Option<f64>,
    pub(super) imbalance_ratio: Option<f64>,
    pub(super) summary: Summary,
    pub(super) trend: Vec<Bin>,
    /// What was written.
    pub(super) artifact: Option<Artifact>,
}

/// All cases, in the order of their rows.
pub(super) fn cases(args: &Args, makers: &[&'static Maker]) -> Vec<Case> {
    let seeds = (0..u64::from(args.seeds)).map(|number| args.seed.wrapping_add(number));
    let at = |load: f64| {
        let seeds = seeds.clone();
        makers.iter().flat_map(move |&maker| seeds.clone().map(move |seed| Case { maker, load, seed }))
    };
    args.loads.iter().flat_map(|&load| at(load)).collect()
}

/// Runs a case.
pub(super) fn one(case: &Case, setup: &Setup<'_>) -> Result<Row, Failure> {
    let workload = setup.workload(case.load, case.seed);
    let mut tally = Tally::default();
    let artifact = match &setup.place {
        Some(place) => Some(place.write(case, setup, &workload, &mut tally)?),
        None => simulated(case, setup, &workload, &setup.options, &mut tally).map(|()| None)?,
    };
    Ok(Row {
        policy: case.maker.name,
        load: case.load,
        seed: case.seed,
        requests: tally.outcomes.len(),
        arrivals_per_s: rate(&workload),
        dollars: tally.dollars(&setup.cluster.devices),
        joules: tally.joules(&setup.cluster.devices),
        imbalance_ratio: tally.imbalance_ratio(&setup.cluster.devices),
        summary: summarize_tiers(&tally.outcomes, Some(&setup.options.slos)),
        trend: if setup.traced() { bins(&tally.outcomes) } else { Vec::new() },
        artifact,
    })
}

fn rate(workload: &Workload) -> Option<f64> {
    let span_s = workload.span_ns() as f64 / 1e9;
    (span_s > 0.0).then(|| (workload.requests.len() - 1) as f64 / span_s)
}

/// Tells what happens to these requests.
///
/// # Errors
/// For knobs and a cluster that cannot be simulated, and once the user asked to stop: the run is not whole then.
pub(super) fn simulated(
    case: &Case,
    setup: &Setup<'_>,
    workload: &Workload,
    options: &Options,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let knobs = setup.knobs_of(case.maker);
    let mut policy = case.maker.with(&knobs, case.seed).map_err(|error| Failure::usage(error.to_string()))?;
    let mut admission = setup.admission();
    let mut sink = Until::new(sink, &interrupt::asked);
    simulate(workload, &setup.cluster, policy.as_mut(), admission.as_mut(), options, &mut sink)
        .map_err(|error| Failure::usage(error.to_string()))?;
    interrupt::check("the simulation is not whole")
}

/// Runs all cases on the threads of `--threads`, or on all cores; the results stand in the order of the cases, whoever ran them.
///
/// # Errors
/// The failure of the first case that fails, in that order. Cases after one that failed need not run.
pub(super) fn all<T: Send>(
    cases: &[Case],
    args: &Args,
    run: impl Fn(&Case) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let bar = Bar::new("simulate");
    let (done, first) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(cores, usize::from).min(cases.len());
    let numbers: Vec<usize> = (0..cases.len()).collect();
    let results = in_order(&numbers, threads, |&at| {
        if interrupt::asked() || at > first.load(Ordering::Relaxed) {
            return None;
        }
        let result = run(&cases[at]);
        match &result {
            Ok(_) => bar.set(done.fetch_add(1, Ordering::Relaxed) + 1, cases.len(), cases[at].maker.name),
            Err(_) => _ = first.fetch_min(at, Ordering::Relaxed),
        }
        Some(result)
    });
    interrupt::check(if args.artifacts.is_some() { "artifacts that are whole stay" } else { "nothing was written" })?;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use proftool_serving::policies::POLICIES;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_failure_that_is_told_is_the_first_in_the_order_of_the_cases() {
        let cases: Vec<Case> = (0..8).map(|seed| Case { maker: POLICIES[0], load: 1.0, seed }).collect();
        let run = |case: &Case| match case.seed {
            2 => {
                // The next one has failed long before.
                std::thread::sleep(Duration::from_millis(50));
                Err(Failure::usage("second"))
            }
            3 => Err(Failure::usage("third")),
            seed => Ok(seed),
        };
        for threads in ["1", "2", "8"] {
            let args = Line::parse_from(["simulate", "--threads", threads]).args;
            let failure = all(&cases, &args, run).err().map(|failure| failure.to_string());
            assert_eq!(failure.as_deref(), Some("second"), "{threads}");
            assert_eq!(all(&cases, &args, |case| Ok(case.seed)).expect("none fails"), [0, 1, 2, 3, 4, 5, 6, 7]);
        }
    }
}
