//! `proftool simulate`: router policies on recorded or made-up requests.

mod artifacts;
mod capacity;
mod cases;
mod chart;
mod parameters;
mod requests;
mod setup;
mod summary;
mod trend;
mod values;

use std::path::PathBuf;

use super::capture;
use crate::failure::{Failure, Outcome as Exit};
use crate::output::{self, Format};
use crate::{interrupt, tty};
use cases::{all, cases, one};
use setup::Setup;
use values::{Fail, Step};

/// Compare router policies in the simulator: on recorded or made-up requests, at several loads and seeds.
///
/// Times are simulated: the steps of a device take what the roofline of its datasheet says for the model (60 % of the matrix
/// peak, 80 % of the bandwidth, 1 ms a step beside the kernels). The same seed gives the same numbers on every run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool simulate                                               every policy on the lab's cluster
  proftool simulate --policy round_robin,ewma_score --scenario mig_slices --burst-factor 4
  proftool simulate --requests-from conversation_trace.jsonl.gz --loads 1,2 --prefill-gpus 4 --decode-gpus 8
  proftool simulate --policy ewma_score --set migration_gap=0.3 --slo-ttft-ms 300 --format json
  proftool simulate --step 2@40 --fail 3@60:70 --trace            twice the load from 40 s on, a device fails for 10 s
  proftool simulate --policy round_robin,least_delay --loads 1,2,3,4 --chart goodput.svg
  proftool simulate --capacity 0.9                                the highest rate at which 90 % meet the SLO
  proftool list policies                                          the policies and their knobs")]
pub(crate) struct Args {
    /// Policies, separated by commas; all by default
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<String>,
    /// The cluster, model and policy of the course's `dynamo_config.yaml`, its scaling and its early rejection
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "prefill_gpus", "decode_gpus", "model", "admission", "reserve"])]
    dynamo_config: Option<PathBuf>,
    /// The cluster: `flagship_vs_mid`, `mig_slices` or `pipeline_and_pool`
    #[arg(long, value_name = "NAME", default_value = "flagship_vs_mid")]
    scenario: String,
    /// Devices that compute prompts (default: as the scenario has)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    prefill_gpus: Option<u8>,
    /// Devices that decode (default: as the scenario has)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    decode_gpus: Option<u8>,
    /// The model that is served
    #[arg(long, value_name = "NAME", default_value = "llama-3.1-8b")]
    model: String,
    /// A recorded trace in place of made-up requests: Mooncake, Azure, CSV, JSON lines, vllm bench serve; .gz too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arrival_rate", "burst_factor", "tenants"])]
    requests_from: Option<PathBuf>,
    /// Start of the part of the trace that is replayed, in seconds
    #[arg(long, value_name = "SECONDS", requires = "requests_from", value_parser = values::seconds)]
    from: Option<i64>,
    /// Its end
    #[arg(long, value_name = "SECONDS", requires = "requests_from", value_parser = values::seconds)]
    until: Option<i64>,
    /// Requests: made up, or the first of a trace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    requests: Option<u32>,
    /// Arrivals per second outside bursts
    #[arg(long, value_name = "RATE", default_value_t = 24.0, value_parser = values::positive)]
    arrival_rate: f64,
    /// Times as many in a burst, which a fifth of all seconds is
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = values::positive)]
    burst_factor: f64,
    /// Tenants whose prompts begin with the same 512 tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    tenants: u16,
    /// Shares of premium and of free requests, the others are standard (default: as the trace says)
    #[arg(long, value_name = "PREMIUM,FREE", value_parser = values::shares)]
    tiers: Option<(f64, f64)>,
    /// Times as fast as recorded or stated, separated by commas
    #[arg(long, value_name = "F", value_delimiter = ',', default_values_t = [1.0], value_parser = values::positive)]
    loads: Vec<f64>,
    /// A step of the load: that many times as fast from those seconds on
    #[arg(long, value_name = "F@SECONDS", value_parser = values::step)]
    step: Option<Step>,
    /// A device, by name or number, fails after so many seconds and comes back at the others (repeatable)
    #[arg(long, value_name = "DEVICE@SECONDS[:SECONDS]", value_parser = values::fail)]
    fail: Vec<Fail>,
    /// Seed of made-up requests and of the policies' choices
    #[arg(long, value_name = "N", default_value_t = 17)]
    seed: u64,
    /// Seeds from there on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// A knob of the policies that have it (repeatable)
    #[arg(long = "set", value_name = "KNOB=VALUE")]
    set: Vec<String>,
    /// Who is served: everyone, while queues are short, while predictions meet the SLO, or these without free requests
    /// that miss the standard one
    #[arg(long, value_name = "NAME", default_value = "none", value_parser = ["none", "queue", "predicted", "early_rejection"])]
    admission: String,
    /// Share of the decode memory that `--admission predicted` keeps for premium requests
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = values::share)]
    reserve: f64,
    /// Agreed time to the first token, in ms: for all, or for premium, standard and free
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [500.0], value_parser = values::positive)]
    slo_ttft_ms: Vec<f64>,
    /// Agreed time per output token after it, in ms: likewise
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [50.0], value_parser = values::positive)]
    slo_tpot_ms: Vec<f64>,
    /// Time within which a prompt must be begun, in ms, else it is refused when its turn comes: likewise
    #[arg(long, value_name = "MS", value_delimiter = ',', value_parser = values::positive)]
    deadline_ms: Vec<f64>,
    /// Time between plans of migrations, in ms
    #[arg(long, value_name = "MS", default_value_t = 250.0, value_parser = values::positive)]
    migration_period_ms: f64,
    /// Find the highest rate at which this share of the requests meets the SLO, in place of running at `--loads`
    #[arg(long, value_name = "SHARE", value_parser = values::some, conflicts_with_all = ["loads", "trace"])]
    capacity: Option<f64>,
    /// Write each case as an artifact into this folder, for `analyze` and `report`
    #[arg(long, value_name = "DIR", conflicts_with = "capacity")]
    artifacts: Option<PathBuf>,
    /// Draw goodput against the rate of arrivals into this SVG file, a line a policy; wants several `--loads`
    #[arg(long, value_name = "FILE", conflicts_with = "capacity")]
    chart: Option<PathBuf>,
    /// Also TTFT and TPOT over time: drawn on standard error, rows under `trend` with `--format json`
    #[arg(long)]
    trace: bool,
    /// Cases that run at the same time (default: one a core); the result is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Exit {
    if args.chart.is_some() && args.loads.len() < 2 {
        return Err(Failure::usage(
            "--chart draws goodput against rates of arrivals (hint: --loads 0.5,1,1.5,2)".to_owned(),
        ));
    }
    let setup = Setup::new(args)?;
    for issue in &setup.issues {
        tty::say(&format!("{}: {issue}", setup.source));
    }
    interrupt::listen();
    let note = args.format.is_readable().then(|| setup.note());
    if let Some(share) = args.capacity {
        let found = all(&cases(args, &setup.makers), args, |case| capacity::one(case, &setup, share))?;
        let frame = capacity::frame(&found, &setup)?;
        output::print_noted(args.format, "capacity", &frame, Some(capacity::COLUMNS), note.as_deref())?;
        return Ok(0);
    }
    let rows = all(&cases(args, &setup.makers), args, |case| one(case, &setup))?;
    let artifacts = || rows.iter().filter_map(|row| row.artifact.as_ref());
    for artifact in artifacts() {
        tty::say(&artifact.path.display().to_string());
    }
    artifacts().try_for_each(capture::verified)?;
    if let Some(path) = &args.chart {
        chart::write(path, &rows)?;
    }
    let frame = summary::frame(&rows)?;
    if !args.trace {
        output::print_noted(args.format, "simulation", &frame, Some(summary::COLUMNS), note.as_deref())?;
        return Ok(0);
    }
    if args.format.is_readable() {
        output::print_noted(args.format, "simulation", &frame, Some(summary::COLUMNS), note.as_deref())?;
        for line in trend::drawn(&rows) {
            tty::say(&line);
        }
        return Ok(0);
    }
    output::print_all(args.format, &[("simulation", frame, None), ("trend", trend::frame(&rows)?, None)])?;
    Ok(0)
}
