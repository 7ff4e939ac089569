//! All policies of a case on the same seeds and loads.

use super::bootstrap::{Difference, difference};
use super::parallel::in_order;
use super::run::{Case, Entry, Error, Score, score};
use super::source::Half;
use super::tune::log_p99;

/// A policy at a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Policy.
    pub policy: &'static str,
    /// Factor on the workload's rate.
    pub load: f64,
    /// A run a seed.
    pub scores: Vec<Score>,
    /// Of ours less this policy's: the logarithm of p99 TTFT; none where one of the runs has none.
    pub log_p99_ttft: Option<Difference>,
    /// This policy's less ours: goodput per dollar, relative to the mean of this policy's. Less is better for ours, too.
    pub goodput: Option<Difference>,
}

/// A case's cells, by load and then in the order of the policies.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The case.
    pub case: &'static str,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// Runs every policy at every load on `seeds` seeds of the second half, and compares `ours` with each.
///
/// # Errors
/// When a knob is not known or out of its range, or the cluster cannot serve.
pub fn compare(
    case: &Case,
    loads: &[f64],
    entries: &[Entry],
    ours: &str,
    seeds: u64,
    threads: usize,
) -> Result<Comparison, Error> {
    let jobs: Vec<(f64, u64)> = loads.iter().flat_map(|&load| (0..seeds).map(move |seed| (load, seed))).collect();
    let runs = in_order(&jobs, threads, |&(load, seed)| {
        let mut workload = case.source.workload(Half::Shown, seed);
        workload.scale(load);
        entries.iter().map(|entry| score(case, &workload, entry, seed)).collect::<Result<Vec<_>, _>>()
    });
    let runs: Vec<Vec<Score>> = runs.into_iter().collect::<Result<_, _>>()?;
    let own = entries.iter().position(|entry| entry.maker.name == ours).unwrap_or(0);
    let mut cells = Vec::new();
    for (&load, runs) in loads.iter().zip(runs.chunks(seeds.max(1) as usize)) {
        for (at, entry) in entries.iter().enumerate() {
            let pairs: Vec<(&Score, &Score)> = runs.iter().map(|scores| (&scores[own], &scores[at])).collect();
            let scores = pairs.iter().map(|(_, theirs)| (*theirs).clone()).collect();
            let (log_p99_ttft, goodput) = differences(&pairs);
            cells.push(Cell { policy: entry.maker.name, load, scores, log_p99_ttft, goodput });
        }
    }
    Ok(Comparison { case: case.name, cells })
}

fn differences(pairs: &[(&Score, &Score)]) -> (Option<Difference>, Option<Difference>) {
    let p99: Option<Vec<f64>> = pairs.iter().map(|(ours, theirs)| Some(log_p99(ours)? - log_p99(theirs)?)).collect();
    let mean = pairs.iter().map(|(_, theirs)| theirs.goodput_per_dollar).sum::<f64>() / pairs.len() as f64;
    let goodput = pairs.iter().map(|(ours, theirs)| (theirs.goodput_per_dollar - ours.goodput_per_dollar) / mean);
    let goodput = if mean > 0.0 { difference(&goodput.collect::<Vec<f64>>(), 1) } else { None };
    (p99.and_then(|p99| difference(&p99, 0)), goodput)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{Source, Verdict, tune};
    use crate::sources::Synthetic;
    use crate::{Model, Slo, policies, scenarios};

    fn case() -> Case {
        let model = Model::find("llama-3.1-8b").expect("known");
        let scenario = scenarios::find("mig_slices").expect("known");
        Case {
            name: "test",
            source: Source::Synthetic(Synthetic {
                requests: 200,
                tenants: 4,
                shared_tokens: 512,
                ..Synthetic::default()
            }),
            cluster: scenario.cluster(model, None, None).expect("fits"),
            slo: Slo { ttft_ns: 350_000_000, tpot_ns: 45_000_000 },
            migration_period_ns: Some(250_000_000),
            changes: Vec::new(),
        }
    }

    #[test]
    fn knobs_and_results_are_the_same_on_one_thread_and_on_two() {
        let case = case();
        let budget = tune::Budget { settings: 3, seeds: 2, seed: 1 };
        let run = |threads: usize| {
            let entries = tune::tune(&case, 0.5, policies::POLICIES, &budget, threads).expect("ranges fit");
            let knobs: Vec<_> = entries.iter().map(|entry| entry.knobs.clone()).collect();
            (knobs, compare(&case, &[0.5, 1.0], &entries, "least_delay", 3, threads).expect("allowed"))
        };
        let (knobs, comparison) = run(1);
        assert_eq!((knobs, comparison.clone()), run(2));
        assert_eq!(comparison.cells.len(), 2 * policies::POLICIES.len());
        for cell in &comparison.cells {
            assert_eq!(cell.scores.len(), 3);
            if cell.policy == "least_delay" {
                assert_eq!(cell.log_p99_ttft.map(|found| (found.mean, found.verdict())), Some((0.0, Verdict::Tied)));
            }
        }
    }
}
