//! `proftool ceilings`: measure this machine's roofs.

use polars::prelude::DataFrame;

use crate::ceilings;
use crate::failure::Outcome;
use crate::output::{self, Format};

const COLUMNS: &[&str] = &["kind", "name", "precision", "level", "isa", "cores", "value", "per_cycle", "contended"];

/// Measure this machine's roofs: arithmetic peaks and bandwidths, one core and all.
///
/// Bandwidths count the bytes that the program loads and stores; a write-allocate that the hardware adds is not counted.
/// The result is cached for later captures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool ceilings
  proftool ceilings --format json
  proftool ceilings --cached        show what captures use, measure only where there is nothing yet")]
pub(crate) struct Args {
    /// Show the cached roofs; measure only where there are none
    #[arg(long)]
    cached: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let machine = proftool_hardware::probe();
    let measured: DataFrame =
        if args.cached { ceilings::cached_or_measured(&machine)? } else { ceilings::measure(&machine)? };
    output::print(args.format, &format!("ceilings of {}", machine.cpu.model_name), &measured, Some(COLUMNS))?;
    Ok(0)
}
