//! The cases, on all cores.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proftool_serving::policies::Maker;
use proftool_serving::{Options, Sink, Summary, Tally, Workload, simulate, summarize_tiers};

use super::Args;
use super::setup::Setup;
use super::trend::{Bin, bins};
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
    /// Where it was written.
    pub(super) artifact: Option<PathBuf>,
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
    simulate(workload, &setup.cluster, policy.as_mut(), admission.as_mut(), options, sink)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// Runs all cases on the threads of `--threads`, or on all cores; the results stand in the order of the cases, whoever ran them.
pub(super) fn all<T: Send>(
    cases: &[Case],
    args: &Args,
    run: impl Fn(&Case) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let bar = Bar::new("simulate");
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let failed = Mutex::new(None);
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(cores, usize::from).min(cases.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at).filter(|_| !interrupt::asked()) else { return };
                    match run(case) {
                        Ok(row) => {
                            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            done.push((at, row));
                            bar.set(done.len(), cases.len(), case.maker.name);
                        }
                        Err(failure) => {
                            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failure);
                            next.store(cases.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    interrupt::check(if args.artifacts.is_some() { "artifacts that are whole stay" } else { "nothing was written" })?;
    if let Some(failure) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(failure);
    }
    let mut rows = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}
