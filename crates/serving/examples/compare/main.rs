//! Compares all policies on five workloads and writes the report `scripts/benchmark/policies.md`, and its numbers as CSV.
//!
//! `cargo run --release -p proftool-serving --example compare -- TRACES OUT [THREADS] [SEEDS] [CASE]`: the folder of the published
//! traces, the report without its ending, threads (1), seeds (20), and a part of the names of the cases to run (all).

mod ablation;
mod calibrate;
mod cases;
mod report;
mod settling;
mod statement;
mod tables;

use std::path::PathBuf;

use proftool_serving::evaluation::{Case, Comparison, Entry, Half, compare, tune};
use proftool_serving::policies::POLICIES;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// Shares of the best policy's capacity.
pub(crate) const LOADS: [f64; 3] = [0.5, 0.8, 1.0];
/// The policy of this project.
pub(crate) const OURS: &str = "least_delay";
/// What every policy with knobs gets.
pub(crate) const BUDGET: tune::Budget = tune::Budget { settings: 24, seeds: 10, seed: 24 };

/// A case with what was found.
pub(crate) struct Found {
    pub(crate) case: Case,
    /// Of the second half.
    pub(crate) rates: calibrate::Rates,
    pub(crate) entries: Vec<Entry>,
    pub(crate) comparison: Comparison,
    /// Capacity of each policy with its chosen knobs on the second half, in requests/s.
    pub(crate) capacities: Vec<Option<f64>>,
}

struct Args {
    traces: PathBuf,
    out: PathBuf,
    threads: usize,
    seeds: u64,
    part: String,
}

fn args() -> Result<Args, Failure> {
    let mut args = std::env::args().skip(1);
    let usage = "compare TRACES OUT [THREADS] [SEEDS] [CASE]";
    let (traces, out) = (args.next().ok_or(usage)?.into(), args.next().ok_or(usage)?.into());
    let threads = args.next().map_or(Ok(1), |count| count.parse())?;
    let seeds = args.next().map_or(Ok(20), |count| count.parse())?;
    Ok(Args { traces, out, threads, seeds, part: args.next().unwrap_or_default() })
}

fn main() -> Result<(), Failure> {
    let args = args()?;
    let mut cases = cases::all(&args.traces)?;
    cases.retain(|case| case.name.contains(&args.part));
    let mut all = Vec::new();
    for case in cases {
        eprintln!("{}", case.name);
        all.push(found(case, &args)?);
    }
    let extra = [ablation::section(&all, &args)?, settling::section(&all, &args)?];
    let mut report = report::text(&all, args.seeds);
    for section in extra {
        report.push_str(&section);
    }
    std::fs::write(args.out.with_extension("md"), report)?;
    std::fs::write(args.out.with_extension("csv"), tables::csv(&all))?;
    Ok(())
}

fn found(case: Case, args: &Args) -> Result<Found, Failure> {
    let tuning = LOADS[1] * calibrate::rates(&case, Half::Tuning, args.threads)?.best;
    let rates = calibrate::rates(&case, Half::Shown, args.threads)?;
    let loads = LOADS.map(|share| share * rates.best);
    let entries = tune::tune(&case, tuning, POLICIES, &BUDGET, args.threads)?;
    let comparison = compare(&case, &loads, &entries, OURS, args.seeds, args.threads)?;
    let capacities = calibrate::capacities(&case, &entries, args.threads)?;
    Ok(Found { case, rates, entries, comparison, capacities })
}
