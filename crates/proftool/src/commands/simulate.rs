//! `proftool simulate`: router policies on recorded or made-up requests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use polars::prelude::DataFrame;
use proftool_serving::admission::{Admission, Everyone, Predicted, QueueThreshold, Slos};
use proftool_serving::policies::{self, Maker};
use proftool_serving::sources::{self, Synthetic};
use proftool_serving::{
    Cluster, Model, Options, Outcome, Sink, Slo, Summary, Workload, scenarios, simulate, summarize,
};
use proftool_trace::frame::{float_column, int_column, text_column};

use crate::failure::{Failure, Kind, Outcome as Exit};
use crate::output::{self, Format};
use crate::progress::Bar;
use crate::{interrupt, names};

/// Compare router policies in the simulator: on recorded or made-up requests, at several loads and seeds.
///
/// Times are simulated: the steps of a device take what the roofline of its datasheet says for the model (60 % of the matrix
/// peak, 80 % of the bandwidth, 1 ms a step beside the kernels). The same seed gives the same numbers on every run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool simulate                                               every policy on the lab's cluster
  proftool simulate --policy round_robin,ewma_score --scenario mig_slices --burst-factor 4
  proftool simulate --requests-from conversation_trace.jsonl --loads 1,2 --devices 8
  proftool simulate --policy ewma_score --set migration_gap=0.3 --slo-ttft-ms 300 --format json
  proftool list policies                                          the policies and their knobs")]
pub(crate) struct Args {
    /// Policies, separated by commas; all by default
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<String>,
    /// The cluster: `flagship_vs_mid` or `mig_slices`
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
    /// A recorded trace in place of made-up requests: Mooncake's JSON lines or Azure's CSV
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arrival_rate", "burst_factor", "tenants"])]
    requests_from: Option<PathBuf>,
    /// Requests: made up, or the first of a trace
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests: Option<u32>,
    /// Arrivals per second outside bursts
    #[arg(long, value_name = "RATE", default_value_t = 24.0, value_parser = positive)]
    arrival_rate: f64,
    /// Times as many in a burst, which a fifth of all seconds is
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = positive)]
    burst_factor: f64,
    /// Tenants whose prompts begin with the same 512 tokens
    #[arg(long, value_name = "N", default_value_t = 0)]
    tenants: u16,
    /// Times as fast as recorded or stated, separated by commas
    #[arg(long, value_name = "F", value_delimiter = ',', default_values_t = [1.0], value_parser = positive)]
    loads: Vec<f64>,
    /// Seed of made-up requests and of the policies' choices
    #[arg(long, value_name = "N", default_value_t = 17)]
    seed: u64,
    /// Seeds from there on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// A knob of the policies that have it (repeatable)
    #[arg(long = "set", value_name = "KNOB=VALUE")]
    set: Vec<String>,
    /// Who is served: everyone, while queues are short, or while predictions meet the SLO
    #[arg(long, value_name = "NAME", default_value = "none", value_parser = ["none", "queue", "predicted"])]
    admission: String,
    /// Agreed time to the first token, in ms
    #[arg(long, value_name = "MS", default_value_t = 500.0, value_parser = positive)]
    slo_ttft_ms: f64,
    /// Agreed time per output token after it, in ms
    #[arg(long, value_name = "MS", default_value_t = 50.0, value_parser = positive)]
    slo_tpot_ms: f64,
    /// Time between plans of migrations, in ms
    #[arg(long, value_name = "MS", default_value_t = 250.0, value_parser = positive)]
    migration_period_ms: f64,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0.0 && number <= 1e9 { Ok(number) } else { Err("not a number above 0 and up to 10^9".to_owned()) }
}

/// Tokens that the prompts of a tenant begin with: a system prompt.
const SHARED_TOKENS: u32 = 512;

pub(crate) fn run(args: &Args) -> Exit {
    let makers = makers(&args.policy)?;
    let knobs = knobs(&args.set, &makers)?;
    let model = Model::find(&args.model).ok_or_else(|| unknown("model", &args.model, model_names()))?;
    let scenario =
        scenarios::find(&args.scenario).ok_or_else(|| unknown("scenario", &args.scenario, scenario_names()))?;
    let pool = |count: Option<u8>| count.map(usize::from);
    let cluster = scenario
        .cluster(model, pool(args.prefill_gpus), pool(args.decode_gpus))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let recorded = args.requests_from.as_deref().map(recorded).transpose()?;
    interrupt::listen();
    let cases = cases(args, &makers);
    let rows = all(&cases, |case| one(case, args, &cluster, recorded.as_ref(), &knobs))?;
    let note = args.format.is_readable().then(|| note(args, &cluster));
    output::print_noted(args.format, "simulation", &frame(&rows)?, Some(COLUMNS), note.as_deref())?;
    Ok(0)
}

/// One simulation: a policy at a load with a seed.
struct Case {
    maker: &'static Maker,
    load: f64,
    seed: u64,
}

fn cases(args: &Args, makers: &[&'static Maker]) -> Vec<Case> {
    let seeds = (0..u64::from(args.seeds)).map(|number| args.seed.wrapping_add(number));
    let at = |load: f64| {
        let seeds = seeds.clone();
        makers.iter().flat_map(move |&maker| seeds.clone().map(move |seed| Case { maker, load, seed }))
    };
    args.loads.iter().flat_map(|&load| at(load)).collect()
}

/// Runs all cases on all cores; the rows stand in the order of the cases, whoever ran them.
fn all<T: Send>(cases: &[Case], run: impl Fn(&Case) -> Result<T, Failure> + Sync) -> Result<Vec<(usize, T)>, Failure> {
    let bar = Bar::new("simulate");
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let failed = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(cases.len().max(1));
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
    interrupt::check("nothing was written".to_owned())?;
    if let Some(failure) = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(failure);
    }
    let mut rows = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows)
}

/// What came out of a case.
struct Row {
    policy: &'static str,
    load: f64,
    seed: u64,
    requests: usize,
    dollars_per_hour: f64,
    summary: Summary,
}

#[derive(Default)]
struct Kept(Vec<Outcome>);

impl Sink for Kept {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
}

fn one(
    case: &Case,
    args: &Args,
    cluster: &Cluster,
    recorded: Option<&Workload>,
    knobs: &BTreeMap<String, f64>,
) -> Result<Row, Failure> {
    let mut workload = recorded.cloned().unwrap_or_else(|| made_up(args, case.seed));
    if let Some(most) = args.requests {
        workload.requests.truncate(most as usize);
    }
    workload.scale(case.load);
    let known = knobs.iter().filter(|(name, _)| case.maker.knobs.iter().any(|knob| knob.name == *name));
    let known: BTreeMap<String, f64> = known.map(|(name, &value)| (name.clone(), value)).collect();
    let mut policy = case.maker.with(&known, case.seed).map_err(|error| Failure::usage(error.to_string()))?;
    let slo = slo(args);
    let options = Options {
        migration_period_ns: Some((args.migration_period_ms * 1e6) as i64),
        slos: Slos([slo; 3]),
        ..Options::default()
    };
    let mut kept = Kept::default();
    simulate(&workload, cluster, policy.as_mut(), admission(&args.admission).as_mut(), &options, &mut kept);
    let dollars_per_hour = cluster.devices.iter().map(|device| device.cost_per_hour).sum();
    let summary = summarize(&kept.0, Some(slo));
    Ok(Row {
        policy: case.maker.name,
        load: case.load,
        seed: case.seed,
        requests: kept.0.len(),
        dollars_per_hour,
        summary,
    })
}

fn slo(args: &Args) -> Slo {
    Slo { ttft_ns: (args.slo_ttft_ms * 1e6) as i64, tpot_ns: (args.slo_tpot_ms * 1e6) as i64 }
}

fn admission(name: &str) -> Box<dyn Admission> {
    match name {
        "queue" => Box::new(QueueThreshold::default()),
        "predicted" => Box::new(Predicted::default()),
        _ => Box::new(Everyone),
    }
}

fn made_up(args: &Args, seed: u64) -> Workload {
    let shared_tokens = if args.tenants > 0 { SHARED_TOKENS } else { 0 };
    let shape = Synthetic {
        requests: args.requests.map_or(2000, |requests| requests as usize),
        per_s: args.arrival_rate,
        burst_factor: args.burst_factor,
        seed,
        tenants: args.tenants,
        shared_tokens,
        ..Synthetic::default()
    };
    sources::synthetic("made up", &shape)
}

/// A recorded trace, its kind told by its first line.
fn recorded(path: &Path) -> Result<Workload, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("cannot read {shown}: {error} (hint: name a trace, unpacked)")))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let json = text.trim_start().starts_with('{');
    let read = if json { sources::mooncake(&name, &text) } else { sources::azure(&name, &text) };
    let workload = read.map_err(|error| Failure::io(format!("{shown}: {error}")))?;
    if workload.requests.is_empty() {
        return Err(Failure::io(format!("{shown} holds no request (hint: Mooncake's JSON lines or Azure's CSV)")));
    }
    Ok(workload)
}

fn makers(given: &[String]) -> Result<Vec<&'static Maker>, Failure> {
    if given.is_empty() {
        return Ok(policies::POLICIES.to_vec());
    }
    let find = |name: &String| {
        let known = policies::POLICIES.iter().map(|maker| maker.name).collect();
        policies::find(name.trim()).ok_or_else(|| unknown("policy", name, known))
    };
    given.iter().map(find).collect()
}

/// The knobs of `--set`: at least one of the policies must have each.
fn knobs(given: &[String], makers: &[&'static Maker]) -> Result<BTreeMap<String, f64>, Failure> {
    let mut all = BTreeMap::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("--set {text}: no value (hint: write --set {text}=VALUE)")));
        };
        let known: Vec<&str> = makers.iter().flat_map(|maker| maker.knobs).map(|knob| knob.name).collect();
        if !known.contains(&name) {
            return Err(unknown("knob of these policies", name, known));
        }
        let number: f64 = value.parse().map_err(|_| Failure::usage(format!("--set {text}: {value} is no number")))?;
        all.insert(name.to_owned(), number);
    }
    Ok(all)
}

fn unknown(what: &str, name: &str, known: Vec<&str>) -> Failure {
    Failure::usage(format!("no {what} is called {name} ({})", names::suggest(name, known)))
}

fn model_names() -> Vec<&'static str> {
    proftool_serving::MODELS.iter().map(|model| model.name).collect()
}

fn scenario_names() -> Vec<&'static str> {
    scenarios::SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

/// What a table for people shows.
const COLUMNS: &[&str] = &[
    "policy",
    "load",
    "ttft_p50_ns",
    "ttft_p99_ns",
    "ttft_stddev_ns",
    "tpot_p50_ns",
    "tpot_p99_ns",
    "output_tokens_per_s",
    "slo_attainment_ratio",
    "kv_hit_ratio",
    "rejected",
    "migrations",
];

fn frame(rows: &[(usize, Row)]) -> Result<DataFrame, Failure> {
    let rows: Vec<&Row> = rows.iter().map(|(_, row)| row).collect();
    let int = |name, of: fn(&Row) -> i64| int_column(name, rows.iter().map(|row| Some(of(row))));
    let float = |name, of: fn(&Row) -> f64| float_column(name, rows.iter().map(|row| Some(of(row))));
    let percentile = |name, times: fn(&Summary) -> Option<[i64; 3]>, at: usize| {
        int_column(name, rows.iter().map(|row| times(&row.summary).map(|times| times[at])))
    };
    let ttft: fn(&Summary) -> Option<[i64; 3]> = |summary| summary.ttft_ns;
    let tpot: fn(&Summary) -> Option<[i64; 3]> = |summary| summary.tpot_ns;
    let deviation = rows.iter().map(|row| row.summary.ttft_stddev_ns.map(|ns| ns as i64));
    let columns = vec![
        text_column("policy", rows.iter().map(|row| Some(row.policy))),
        float("load", |row| row.load),
        int("seed", |row| row.seed as i64),
        int("requests", |row| row.requests as i64),
        int("ok", |row| row.summary.ok as i64),
        int("rejected", |row| row.summary.rejected as i64),
        int("failed", |row| row.summary.failed as i64),
        percentile("ttft_p50_ns", ttft, 0),
        percentile("ttft_p95_ns", ttft, 1),
        percentile("ttft_p99_ns", ttft, 2),
        int_column("ttft_stddev_ns", deviation),
        percentile("tpot_p50_ns", tpot, 0),
        percentile("tpot_p95_ns", tpot, 1),
        percentile("tpot_p99_ns", tpot, 2),
        float("output_tokens_per_s", |row| row.summary.output_tokens_per_s),
        float("goodput_requests_per_s", |row| row.summary.goodput_requests_per_s),
        float("slo_attainment_ratio", |row| row.summary.slo_attainment_ratio),
        float("goodput_requests_per_dollar", |row| {
            row.summary.goodput_requests_per_s * 3600.0 / row.dollars_per_hour.max(f64::MIN_POSITIVE)
        }),
        float("kv_hit_ratio", |row| row.summary.kv_hit_ratio),
        int("migrations", |row| row.summary.migrations as i64),
        int("preemptions", |row| row.summary.preemptions as i64),
    ];
    DataFrame::new(rows.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

fn note(args: &Args, cluster: &Cluster) -> String {
    let dollars: f64 = cluster.devices.iter().map(|device| device.cost_per_hour).sum();
    format!(
        "Simulated: {} serving {} on {} devices at ${dollars:.2} an hour (assumed); SLO {} ms to the first token, {} ms a token.",
        cluster.name,
        args.model,
        cluster.devices.len(),
        args.slo_ttft_ms,
        args.slo_tpot_ms
    )
}
