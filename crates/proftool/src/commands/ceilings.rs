//! `proftool ceilings`: measure this machine's roofs.

use std::str::FromStr;
use std::time::Duration;

use polars::prelude::DataFrame;
use proftool_trace::frame::{self, float_column, text_column};
use proftool_trace::tables;
use proftool_workloads::cuda::Gpu;

use crate::ceilings::store::Kept;
use crate::ceilings::{self, gpu};
use crate::failure::{Failure, Kind, Outcome};
use crate::output::{self, Format};
use crate::tty;

const COLUMNS: &[&str] =
    &["kind", "name", "precision", "level", "isa", "cores", "value", "per_cycle", "clock", "contended"];

/// Measure this machine's roofs: arithmetic peaks and bandwidths of its processor and of its NVIDIA GPUs.
///
/// Of the processor: one core and all. Of a GPU: matrix and vector peaks, L2 and DRAM, the links to the host and to other
/// GPUs; nothing else may run on it meanwhile. Bandwidths count the bytes that the program moves; a write-allocate that the
/// hardware adds is not counted. The result is cached for later captures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool ceilings
  proftool ceilings --device cpu
  proftool ceilings --device cuda:1 --budget 30
  proftool ceilings --format json
  proftool ceilings --cached        show what captures use, measure only where there is nothing yet")]
pub(crate) struct Args {
    /// What to measure: `all`, `cpu`, `cuda` (every GPU) or `cuda:N`
    #[arg(long, value_name = "NAME", default_value = "all")]
    device: Which,
    /// Seconds for the trials of each GPU, after a preparation of some seconds more
    #[arg(long, value_name = "SECONDS", default_value_t = gpu::BUDGET.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    budget: u64,
    /// Show the cached roofs; measure only where there are none
    #[arg(long)]
    cached: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The devices that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Cpu,
    Cuda(Option<usize>),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(None)),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => Ok(Self::Cuda(number.parse().ok())),
            _ => Err("expected all, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

/// The roofs of one device.
struct Measured {
    title: String,
    frame: DataFrame,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut all = Vec::new();
    if matches!(args.device, Which::All | Which::Cpu) {
        all.push(processor(args)?);
    }
    if args.device != Which::Cpu {
        all.extend(graphics(args)?);
    }
    if args.format.is_readable() {
        for one in &all {
            output::print(args.format, &one.title, &readable(&one.frame)?, Some(COLUMNS))?;
        }
        return Ok(0);
    }
    let mut whole =
        DataFrame::empty_with_schema(all.first().map_or(&frame::empty(&tables::CEILINGS), |one| &one.frame).schema());
    for one in &all {
        whole = whole.vstack(&one.frame).map_err(bug)?;
    }
    output::print(args.format, "ceilings", &whole, None)?;
    Ok(0)
}

fn bug(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Kind::Bug, error)
}

fn processor(args: &Args) -> Result<Measured, Failure> {
    let machine = proftool_hardware::probe();
    let table = if args.cached { ceilings::cached_or_measured(&machine)? } else { ceilings::measure(&machine)? };
    let title = format!("ceilings of {}", machine.cpu.model_name);
    Ok(Measured { title, frame: with_place(table, "cpu", &machine.cpu.model_name)? })
}

/// The chosen GPUs. Without any, `all` is the processor alone.
fn graphics(args: &Args) -> Result<Vec<Measured>, Failure> {
    let found = match (gpu::list(), args.device) {
        (Err(_), Which::All) => return Ok(Vec::new()),
        (found, _) => found?,
    };
    let chosen = chosen(&found, args.device)?;
    let mut measured = Vec::new();
    for one in chosen {
        match kept(args, one, &found) {
            Ok(kept) => measured.push(described(one, &kept)?),
            // The processor's roofs are worth printing without those of a GPU.
            Err(failure) if args.device == Which::All => tty::say(&format!("cuda:{}: {failure}", one.number)),
            Err(failure) => return Err(failure),
        }
    }
    Ok(measured)
}

fn chosen(found: &[Gpu], which: Which) -> Result<Vec<&Gpu>, Failure> {
    let Which::Cuda(Some(number)) = which else { return Ok(found.iter().collect()) };
    let one = found.iter().find(|gpu| gpu.number == number);
    one.map(|gpu| vec![gpu]).ok_or_else(|| {
        let most = found.len().saturating_sub(1);
        Failure::usage(format!("--device cuda:{number}: there is no such GPU (hint: they are numbered 0 to {most})"))
    })
}

fn kept(args: &Args, gpu: &Gpu, all: &[Gpu]) -> Result<Kept, Failure> {
    let budget = Duration::from_secs(args.budget);
    if args.cached { gpu::cached_or_measured(gpu, all, budget) } else { gpu::measure(gpu, all, budget) }
}

fn described(gpu: &Gpu, kept: &Kept) -> Result<Measured, Failure> {
    let place = format!("cuda:{}", gpu.number);
    for absent in &kept.absent {
        tty::say(&format!("{place}: no roof of {absent}"));
    }
    if let Some(busy) = &kept.busy {
        tty::say(&format!("{place}: {busy}: every roof is marked contended"));
    }
    let memory = kept.memory_clock_hz.map_or_else(String::new, |hz| format!(", memory clock {:.0} MHz", hz / 1e6));
    let versions = format!("driver {}, CUDA {}, cuBLASLt {}", kept.driver, kept.cuda, kept.cublaslt);
    let title = format!("ceilings of {place}, {} ({versions}{memory})", kept.name);
    let number = i64::try_from(gpu.number).unwrap_or(i64::MAX);
    Ok(Measured { title, frame: with_place(gpu::table(kept, 0, number)?, &place, &kept.name)? })
}

/// The table with more columns: which device it is (processors and GPUs are both numbered from 0), its product's name, and
/// the clock.
fn with_place(mut table: DataFrame, place: &str, model: &str) -> Result<DataFrame, Failure> {
    let (values, rates) = (frame::floats(&table, "value")?, frame::floats(&table, "per_cycle")?);
    let cores = frame::ints(&table, "cores")?;
    let clock = |at: usize| {
        let clock = values[at]? / (rates[at]? * cores[at]? as f64);
        Some(clock).filter(|clock| clock.is_finite())
    };
    let clocks = float_column("clock_hz", (0..values.len()).map(clock));
    table.with_column(clocks).map_err(bug)?;
    for (name, text) in [("place", place), ("model", model)] {
        let column = text_column(name, std::iter::repeat_n(Some(text), values.len()));
        table.with_column(column).map_err(bug)?;
    }
    Ok(table)
}

/// The clock in words, for people.
fn readable(table: &DataFrame) -> Result<DataFrame, Failure> {
    let clocks = frame::floats(table, "clock_hz")?;
    let words = clocks.into_iter().map(|clock| clock.map(|hz| format!("{:.3} GHz", hz / 1e9)));
    let mut table = table.clone();
    table.with_column(text_column("clock", words)).map_err(bug)?;
    // Beside the rate that it belongs to.
    table.select(COLUMNS.iter().copied()).map_err(bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_as_people_write_it() {
        let parsed = |text: &str| text.parse::<Which>();
        assert_eq!(parsed("all"), Ok(Which::All));
        assert_eq!(parsed("cuda"), Ok(Which::Cuda(None)));
        assert_eq!(parsed("cuda:3"), Ok(Which::Cuda(Some(3))));
        assert!(["gpu", "cuda:", "cuda:x", "cpu:0", ""].iter().all(|text| parsed(text).is_err()));
    }

    #[test]
    fn the_clock_is_the_value_by_its_rate_and_cores() {
        let row = |precision: Option<f64>| {
            let kept = Kept {
                rows: vec![crate::ceilings::store::Row {
                    value: 4e12,
                    per_cycle: precision,
                    cores: Some(100),
                    ..Default::default()
                }],
                ..Kept::default()
            };
            with_place(gpu::table(&kept, 0, 0).expect("a table"), "cuda:0", "X").expect("more columns")
        };
        assert_eq!(frame::floats(&row(Some(20.0)), "clock_hz").expect("floats"), [Some(2e9)]);
        assert_eq!(frame::floats(&row(None), "clock_hz").expect("floats"), [None]);
        let shown = readable(&row(Some(20.0))).expect("it can be shown");
        assert_eq!(frame::texts(&shown, "clock").expect("texts"), [Some("2.000 GHz".to_owned())]);
    }
}
