//! Two runs that were measured alternately, compared.
//!
//! The value of a block is its length over its iterations, fill and drain included. Ratios are median(baseline) /
//! median(optimized), with a percentile bootstrap over block values: iterations of one stream depend on each other, whole
//! blocks much less. The Mann-Whitney rank test on the block values decides whether anything is claimed, and with fewer
//! than eight blocks a side nothing is.

use polars::prelude::DataFrame;
use proftool_trace::Manifest;
use proftool_trace::table::{Table, float, int, text};

use crate::Error;
use crate::ideal::{block_ideals, ideal_ratio};
use crate::metrics::{Input, Output, RUN, TARGET};
use crate::statistics::{Interval, median, median_ns, rank_test, ratio_interval};
use crate::windows::{Scope, blocks};

/// Fewest blocks a side for a claim: complete separation of 8 and 8 has p = 0.00016, of 4 and 4 only 0.03.
pub const MIN_BLOCKS: usize = 8;
/// Largest p-value at which a difference is claimed.
pub const SIGNIFICANCE: f64 = 0.05;
/// Coverage of the bootstrap interval.
pub const CONFIDENCE: f64 = 0.95;
const ROUNDS: usize = 4000;
/// Any fixed number: the same blocks give the same interval.
const SEED: u64 = 0x70_72_6f_66;

/// Schema of the result of [`compare`].
pub static TABLE: Table = Table {
    name: "comparison",
    doc: "A run (the optimized one) against its baseline.",
    columns: &[
        RUN,
        TARGET,
        text("baseline_run", "Name of the baseline's run."),
        text("baseline_target", "Name of the baseline's target."),
        int("baseline_blocks", "Measured blocks of the baseline."),
        int("optimized_blocks", "Measured blocks of the optimized run."),
        float("baseline_ns", "Median over the blocks of block length / iterations, fill and drain included.").or_null(),
        float("optimized_ns", "The same of the optimized run.").or_null(),
        float("speedup_ratio", "baseline_ns / optimized_ns.").or_null(),
        float("speedup_low_ratio", "Lower limit of its bootstrap interval.").or_null(),
        float("speedup_high_ratio", "Upper limit of its bootstrap interval.").or_null(),
        float("confidence_ratio", "Coverage of the interval."),
        int("baseline_iteration_ns", "Median steady iteration: time between completions inside a block.").or_null(),
        int("optimized_iteration_ns", "The same of the optimized run.").or_null(),
        float("iteration_speedup_ratio", "baseline_iteration_ns / optimized_iteration_ns.").or_null(),
        float("p_value", "Two-sided Mann-Whitney rank test on the block values.").or_null(),
        text("verdict", "`faster`, `slower`, `no significant difference` or `no claim`."),
        text("reason", "What the verdict rests on."),
        text("order", "Order in which the blocks of both were measured, A the baseline.").or_null(),
        float("baseline_contention_ratio", "Median over the blocks of wall / CPU time; 1.0 is a quiet machine.")
            .or_null(),
        float("optimized_contention_ratio", "The same of the optimized run.").or_null(),
        float("baseline_ideal_ratio", "Median over the blocks of ideal makespan / block length.").or_null(),
        float("optimized_ideal_ratio", "The same of the optimized run.").or_null(),
    ],
};

/// One of the two runs.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its name, target and tables; the window is not used, as blocks are what is compared.
    pub input: &'a Input<'a>,
    /// Its manifest.
    pub manifest: &'a Manifest,
}

impl Side<'_> {
    /// Block length over iterations, one value a measured block.
    fn block_values(&self) -> Result<Vec<f64>, Error> {
        let iterations = self.manifest.iterations.max(1) as f64;
        let blocks = blocks(self.input.model()?, Scope::All);
        Ok(blocks.into_iter().map(|block| (block.1 - block.0) as f64 / iterations).collect())
    }

    fn ideal_ratio(&self) -> Result<Option<f64>, Error> {
        Ok(ideal_ratio(&block_ideals(self.input.model()?)))
    }
}

/// What is said about two samples of block values.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// median(baseline) / median(optimized).
    pub ratio: Option<f64>,
    /// Its bootstrap interval.
    pub interval: Option<Interval>,
    /// p-value of the rank test.
    pub p_value: Option<f64>,
    /// `faster`, `slower`, `no significant difference` or `no claim`.
    pub verdict: &'static str,
    /// What the verdict rests on.
    pub reason: String,
}

/// Judges two samples of block values (smaller is better).
pub fn judge(baseline: &[f64], optimized: &[f64]) -> Judgement {
    let ratio =
        median(baseline).zip(median(optimized)).filter(|(_, bottom)| *bottom > 0.0).map(|(top, bottom)| top / bottom);
    let interval = ratio_interval(baseline, optimized, CONFIDENCE, ROUNDS, SEED);
    let p_value = rank_test(baseline, optimized);
    let fewest = baseline.len().min(optimized.len());
    let (verdict, reason) = match (p_value, ratio) {
        _ if fewest < MIN_BLOCKS => ("no claim", format!("{fewest} blocks a side, {MIN_BLOCKS} are needed")),
        (Some(p), Some(1.0)) => {
            ("no significant difference", format!("the medians are equal (p = {p:.2}) on {fewest} blocks a side"))
        }
        (Some(p), Some(ratio)) if p < SIGNIFICANCE => (
            if ratio > 1.0 { "faster" } else { "slower" },
            format!("p = {p:.2e} < {SIGNIFICANCE} on {fewest} blocks a side"),
        ),
        (Some(p), Some(_)) => {
            ("no significant difference", format!("p = {p:.2} >= {SIGNIFICANCE} on {fewest} blocks a side"))
        }
        _ => ("no claim", "the blocks have no length".to_owned()),
    };
    Judgement { ratio, interval, p_value, verdict, reason }
}

/// Compares a run with its baseline: one row.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub fn compare(baseline: Side, optimized: Side) -> Result<DataFrame, Error> {
    let values = [baseline.block_values()?, optimized.block_values()?];
    let ideals = [baseline.ideal_ratio()?, optimized.ideal_ratio()?];
    let judgement = judge(&values[0], &values[1]);
    let steady = [baseline, optimized].map(|side| median_ns(&side.manifest.results.iteration_ns));
    let contention = [baseline, optimized].map(|side| median(&side.manifest.results.contention_ratio));
    let iteration_ratio = steady[0].zip(steady[1]).filter(|(_, below)| *below > 0).map(|(a, b)| a as f64 / b as f64);
    let order = optimized.manifest.pair.as_ref().map(|pair| pair.order.as_str());
    Output::new(optimized.input.run, optimized.input.target, &[()])
        .text("baseline_run", |()| Some(baseline.input.run))
        .text("baseline_target", |()| Some(baseline.input.target))
        .int("baseline_blocks", |()| Some(values[0].len() as i64))
        .int("optimized_blocks", |()| Some(values[1].len() as i64))
        .float("baseline_ns", |()| median(&values[0]))
        .float("optimized_ns", |()| median(&values[1]))
        .float("speedup_ratio", |()| judgement.ratio)
        .float("speedup_low_ratio", |()| judgement.interval.map(|interval| interval.low))
        .float("speedup_high_ratio", |()| judgement.interval.map(|interval| interval.high))
        .float("confidence_ratio", |()| Some(CONFIDENCE))
        .int("baseline_iteration_ns", |()| steady[0])
        .int("optimized_iteration_ns", |()| steady[1])
        .float("iteration_speedup_ratio", |()| iteration_ratio)
        .float("p_value", |()| judgement.p_value)
        .text("verdict", |()| Some(judgement.verdict))
        .text("reason", |()| Some(judgement.reason.as_str()))
        .text("order", |()| order)
        .float("baseline_contention_ratio", |()| contention[0])
        .float("optimized_contention_ratio", |()| contention[1])
        .float("baseline_ideal_ratio", |()| ideals[0])
        .float("optimized_ideal_ratio", |()| ideals[1])
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, manifest};
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    fn blocks_of(length: i64, count: i64) -> Fixture {
        let block = |fixture: Fixture, at: i64| {
            let start = at * 10_000;
            fixture
                .kernel(0, 0, (start, start + length / 2))
                .work(0, "prefill", 0, 0, 8)
                .block((start, start + length + at))
        };
        (0..count).fold(Fixture::new(), block)
    }

    fn compared(baseline: &Fixture, optimized: &Fixture) -> DataFrame {
        let tables = [baseline.tables(), optimized.tables()];
        let inputs =
            [("a", &tables[0]), ("b", &tables[1])].map(|(run, t)| Input::new(run, "target", t, Window::Default));
        let manifest = manifest(10);
        compare(Side { input: &inputs[0], manifest: &manifest }, Side { input: &inputs[1], manifest: &manifest })
            .unwrap()
    }

    #[test]
    fn eight_separate_blocks_a_side_are_faster() {
        // Blocks of 2000..2007 and 1000..1007 ns with 10 iterations each.
        let frame = compared(&blocks_of(2000, 8), &blocks_of(1000, 8));
        assert_eq!(texts(&frame, "verdict").unwrap(), [Some("faster".to_owned())]);
        let value = |name| floats(&frame, name).unwrap()[0].unwrap();
        assert!((value("baseline_ns") - 200.35).abs() < 1e-9);
        assert!((value("speedup_ratio") - 200.35 / 100.35).abs() < 1e-12);
        assert!(
            value("speedup_low_ratio") <= value("speedup_ratio")
                && value("speedup_ratio") <= value("speedup_high_ratio")
        );
        assert!((value("p_value") - 2.0 / 12_870.0).abs() < 1e-12);
        assert_eq!(ints(&frame, "optimized_iteration_ns").unwrap(), [Some(11)]);
        let slower = compared(&blocks_of(1000, 8), &blocks_of(2000, 8));
        assert_eq!(texts(&slower, "verdict").unwrap(), [Some("slower".to_owned())]);
    }

    #[test]
    fn seven_blocks_make_no_claim_and_equal_ones_no_difference() {
        let few = compared(&blocks_of(2000, 7), &blocks_of(1000, 8));
        assert_eq!(texts(&few, "verdict").unwrap(), [Some("no claim".to_owned())]);
        assert!(texts(&few, "reason").unwrap()[0].as_deref().unwrap().contains("7 blocks"));
        let same = compared(&blocks_of(1000, 8), &blocks_of(1000, 8));
        assert_eq!(texts(&same, "verdict").unwrap(), [Some("no significant difference".to_owned())]);
    }

    #[test]
    fn equal_medians_are_no_difference_whatever_the_ranks_say() {
        // Ten values below and ten above a common median of 100; the baseline's lie higher on both sides.
        let around = |low: u32, high: u32| -> Vec<f64> {
            (0..10).flat_map(|at| [low + at, high + at]).chain([100]).map(f64::from).collect()
        };
        let judgement = judge(&around(50, 200), &around(10, 150));
        assert!(judgement.p_value.unwrap() < SIGNIFICANCE);
        assert_eq!((judgement.ratio, judgement.verdict), (Some(1.0), "no significant difference"));
    }

    #[test]
    fn runs_without_blocks_make_no_claim() {
        let frame = compared(&Fixture::new(), &Fixture::new());
        assert_eq!(texts(&frame, "verdict").unwrap(), [Some("no claim".to_owned())]);
        assert_eq!(floats(&frame, "speedup_ratio").unwrap(), [None]);
    }
}
