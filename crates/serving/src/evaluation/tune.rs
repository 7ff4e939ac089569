//! Choosing knobs: the same budget for every policy, on requests on which no result is shown.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::bootstrap::{Verdict, difference};
use super::parallel::in_order;
use super::run::{Case, Entry, Error, Score, score};
use super::source::Half;
use crate::policies::Maker;

/// Values from which a knob is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The policy.
    pub policy: &'static str,
    /// The knob.
    pub knob: &'static str,
    /// The least and the largest value.
    pub range: (f64, f64),
    /// Whether its logarithm is drawn evenly, instead of itself.
    pub logarithmic: bool,
}

const fn even(policy: &'static str, knob: &'static str, least: f64, most: f64) -> Range {
    Range { policy, knob, range: (least, most), logarithmic: false }
}

const fn log(policy: &'static str, knob: &'static str, least: f64, most: f64) -> Range {
    Range { policy, knob, range: (least, most), logarithmic: true }
}

/// What is drawn: a decade about the default on both sides for weights, all that makes sense for shares. Knobs that are not
/// here keep their defaults.
pub static RANGES: &[Range] = &[
    log("ewma_score", "ewma_alpha", 0.03, 1.0),
    log("ewma_score", "queue_urgency", 0.1, 10.0),
    log("ewma_score", "kv_locality", 0.15, 15.0),
    even("ewma_score", "numa_bias", 0.0, 0.5),
    even("ewma_score", "cost_penalty", 0.0, 0.5),
    log("ewma_score", "migration_gap", 0.05, 5.0),
    log("kv_overlap", "overlap_weight", 0.1, 10.0),
    log("cache_aware", "balance_abs_threshold", 1.0, 256.0),
    log("cache_aware", "balance_rel_threshold", 1.05, 5.0),
    even("cache_aware", "cache_threshold", 0.0, 0.9),
    log("weighted_scorers", "prefix", 0.3, 30.0),
    log("weighted_scorers", "queue", 0.2, 20.0),
    log("weighted_scorers", "kv_utilization", 0.2, 20.0),
    log("dynamo_config", "prompt_length_threshold", 25.0, 2500.0),
    log("dynamo_config", "prefix_cache_weight", 1.0, 100.0),
    log("dynamo_config", "queue_length_weight", 0.15, 15.0),
    log("dynamo_config", "decode_load_weight", 0.05, 5.0),
    even("dynamo_config", "min_cache_hit_ratio", 0.0, 0.9),
    log("least_delay", "work_weight", 0.2, 20.0),
    log("least_delay", "decode_weight", 0.005, 0.5),
];

/// How knobs are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Settings that are tried for each policy with knobs, its defaults first.
    pub settings: usize,
    /// Seeds on which each is run.
    pub seeds: u64,
    /// Seed of the settings.
    pub seed: u64,
}

/// Share of the best goodput that a setting must reach to be chosen.
const GOODPUT_RATIO: f64 = 0.99;

/// The settings of a policy: its defaults, then draws.
pub fn settings(maker: &'static Maker, budget: &Budget) -> Vec<Entry> {
    let ranges: Vec<&Range> = RANGES.iter().filter(|range| range.policy == maker.name).collect();
    let mut random = SmallRng::seed_from_u64(budget.seed);
    let mut entries = vec![Entry::default_of(maker)];
    while !ranges.is_empty() && entries.len() < budget.settings {
        let drawn = ranges.iter().map(|range| (range.knob.to_owned(), range.draw(&mut random)));
        entries.push(Entry { maker, knobs: drawn.collect::<BTreeMap<_, _>>() });
    }
    entries
}

impl Range {
    /// Three digits, so that a report can state it.
    fn draw(&self, random: &mut SmallRng) -> f64 {
        let (least, most) = self.range;
        let at: f64 = random.random();
        let value = if self.logarithmic { least * (most / least).powf(at) } else { least + (most - least) * at };
        let digits = 10_f64.powf(2.0 - value.abs().max(1e-9).log10().floor());
        ((value * digits).round() / digits).clamp(least, most)
    }
}

/// Each policy's knobs for a case at a load: of the settings whose goodput (mean over the seeds) is at least 99 % of its
/// best setting's the one with the lowest p99 TTFT (mean of the logarithms), the first on ties. The
/// defaults stay where they are among them and the gain over them is not certain: where its bootstrap interval holds 0.
///
/// # Errors
/// When a range does not fit its knob, or the cluster cannot serve.
pub fn tune(
    case: &Case,
    load: f64,
    makers: &[&'static Maker],
    budget: &Budget,
    threads: usize,
) -> Result<Vec<Entry>, Error> {
    let settings: Vec<Vec<Entry>> = makers.iter().map(|maker| settings(maker, budget)).collect();
    let seeds: Vec<u64> = (0..budget.seeds).collect();
    let runs = in_order(&seeds, threads, |&seed| {
        let mut workload = case.source.workload(Half::Tuning, seed);
        workload.scale(load);
        settings.iter().flatten().map(|entry| score(case, &workload, entry, seed)).collect::<Result<Vec<_>, _>>()
    });
    let runs: Vec<Vec<Score>> = runs.into_iter().collect::<Result<_, _>>()?;
    let mut at = 0;
    let chosen = settings.iter().map(|entries| {
        let range = at..at + entries.len();
        at = range.end;
        entries[choose(&runs, range)].clone()
    });
    Ok(chosen.collect())
}

/// The best of the settings in `range`, from the range's start.
fn choose(runs: &[Vec<Score>], range: std::ops::Range<usize>) -> usize {
    let goodput = |at: usize| runs.iter().map(|scores| scores[at].goodput_per_dollar).sum::<f64>();
    let ttft = |at: usize| runs.iter().map(|scores| log_p99(&scores[at]).unwrap_or(f64::INFINITY)).sum::<f64>();
    let best = range.clone().map(goodput).fold(0.0, f64::max);
    let able = |at: usize| goodput(at) >= GOODPUT_RATIO * best;
    let lowest = range.clone().filter(|&at| able(at)).min_by(|&a, &b| ttft(a).total_cmp(&ttft(b)));
    let certain = |at: usize| {
        let log = |scores: &[Score], at: usize| log_p99(&scores[at]).unwrap_or(0.0);
        let gains: Vec<f64> = runs.iter().map(|scores| log(scores, at) - log(scores, range.start)).collect();
        difference(&gains, 0).is_some_and(|found| found.verdict() == Verdict::Better)
    };
    let chosen = lowest.filter(|&at| !able(range.start) || certain(at));
    chosen.map_or(0, |at| at - range.start)
}

/// Logarithm of the 99th percentile of the TTFT; none where nobody was served.
pub(super) fn log_p99(score: &Score) -> Option<f64> {
    score.summary.ttft_ns.map(|[.., p99_ns]| (p99_ns.max(1) as f64).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Summary, policies};

    #[test]
    fn every_range_lies_within_its_knobs() {
        for range in RANGES {
            let maker = policies::find(range.policy).expect("a policy");
            let knob = maker.knobs.iter().find(|knob| knob.name == range.knob).expect("a knob");
            assert!(knob.range.0 <= range.range.0 && range.range.1 <= knob.range.1, "{range:?}");
            assert!(range.range.0 < range.range.1 && (!range.logarithmic || range.range.0 > 0.0), "{range:?}");
        }
    }

    #[test]
    fn policies_with_knobs_have_the_same_budget_and_the_defaults_are_in_it() {
        let budget = Budget { settings: 24, seeds: 1, seed: 5 };
        for maker in policies::POLICIES {
            let entries = settings(maker, &budget);
            let drawn = RANGES.iter().any(|range| range.policy == maker.name);
            assert_eq!(entries.len(), if drawn { 24 } else { 1 });
            assert!(entries[0].knobs.is_empty());
            assert!(entries.iter().all(|entry| maker.with(&entry.knobs, 0).is_ok()), "{}", maker.name);
        }
    }

    #[test]
    fn the_lowest_p99_of_those_with_goodput_is_chosen() {
        let score = |p99_ns: i64, goodput_per_dollar: f64| Score {
            summary: Summary { ttft_ns: Some([0, 0, p99_ns]), ..Summary::default() },
            goodput_per_dollar,
        };
        let runs = [vec![score(1, 9.0), score(50, 9.95), score(40, 10.0), score(30, 9.8)]];
        assert_eq!((choose(&runs, 0..4), choose(&runs, 1..3), choose(&runs, 3..4)), (2, 1, 0));
        let score = |p99_ns: i64| score(p99_ns, 10.0);
        let chance = [vec![score(100), score(60)], vec![score(100), score(120)], vec![score(100), score(70)]];
        assert_eq!((choose(&chance, 0..2), choose(&chance[..1], 0..2)), (0, 1));
    }
}
