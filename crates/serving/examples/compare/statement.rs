//! The lab's statement: its optimized router has steadier first tokens and more tokens per second than round robin.

use proftool_serving::evaluation::{Cell, Difference, Score, difference};

use crate::tables::{at_load, head, mean, number, row};
use crate::{Found, LOADS};

/// The table of `ewma_score` against `round_robin`.
pub(crate) fn section(all: &[Found]) -> String {
    let mut text = "\n## `ewma_score` against `round_robin`\n\n\
        The lab says that its optimized router has a lower variance of TTFT and more tokens per second than the baseline. Means over the \
        seeds of the standard deviation of TTFT and of tokens/s, and the paired 95 % interval of the relative difference (of the logarithm for the \
        deviation). Tokens/s count from the first arrival to the last end: below saturation they differ by how soon the last requests end.\n\n"
        .to_owned();
    let names = [
        "case",
        "load",
        "TTFT deviation, round_robin ms",
        "ewma_score ms",
        "difference %",
        "tokens/s, round_robin",
        "ewma_score",
        "difference %",
    ];
    head(&mut text, &names.map(str::to_owned));
    for found in all {
        for (load, share) in LOADS.iter().enumerate() {
            let cells = at_load(found, load);
            let of = |name: &str| cells.iter().find(|cell| cell.policy == name);
            if let (Some(base), Some(new)) = (of("round_robin"), of("ewma_score")) {
                row(&mut text, line(found, *share, base, new));
            }
        }
    }
    text
}

fn line(found: &Found, share: f64, base: &Cell, new: &Cell) -> Vec<String> {
    let spread = |score: &Score| score.summary.ttft_stddev_ns.unwrap_or(0.0).max(1.0);
    let tokens = |score: &Score| score.summary.output_tokens_per_s.max(1e-9);
    let pairs = || base.scores.iter().zip(&new.scores);
    let spreads: Vec<f64> = pairs().map(|(base, new)| (spread(new) / spread(base)).ln()).collect();
    let rates: Vec<f64> = pairs().map(|(base, new)| (tokens(new) / tokens(base)).ln()).collect();
    vec![
        found.case.name.to_owned(),
        share.to_string(),
        number(mean(&base.scores, spread) / 1e6),
        number(mean(&new.scores, spread) / 1e6),
        ratio(difference(&spreads, 2)),
        number(mean(&base.scores, tokens)),
        number(mean(&new.scores, tokens)),
        ratio(difference(&rates, 3)),
    ]
}

/// A difference of logarithms as a percentage with its interval.
pub(crate) fn ratio(difference: Option<Difference>) -> String {
    difference.map_or("no claim".to_owned(), |found| {
        let [mean, low, high] = [found.mean, found.low, found.high].map(|value| 100.0 * value.exp_m1());
        format!("{mean:+.2} [{low:+.2}, {high:+.2}]")
    })
}
