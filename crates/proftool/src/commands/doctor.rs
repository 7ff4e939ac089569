//! `proftool doctor`: what this machine can do, and the fix for what it cannot.

use std::path::PathBuf;

use polars::prelude::DataFrame;
use proftool_capture::profilers::PROFILERS;
use proftool_trace::artifact;
use proftool_trace::frame::text_column;

use crate::ceilings;
use crate::failure::{Failure, Kind, Outcome};
use crate::output::{self, Format};

/// Show what this machine can do, and the fix for what it cannot.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool doctor
  proftool doctor --artifacts artifacts --format json")]
pub(crate) struct Args {
    /// Folder whose interrupted captures are named
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

type Row = [String; 3];

pub(crate) fn run(args: &Args) -> Outcome {
    let machine = proftool_hardware::probe();
    let cpu = &machine.cpu;
    let mut rows = vec![
        row("processor", &format!("{} ({}), {} cores", cpu.model_name, cpu.arch, cpu.cores.len()), ""),
        row("instruction sets", &cpu.isas.join(", "), ""),
        roofs(&machine),
    ];
    rows.extend(PROFILERS.iter().map(|profiler| match (profiler.available)() {
        Ok(()) => row(profiler.name, "works here", ""),
        Err(fix) => row(profiler.name, "cannot work here", &fix),
    }));
    rows.extend(leftovers(args));
    output::print(args.format, "doctor", &frame(&rows)?, None)?;
    Ok(0)
}

fn row(what: &str, state: &str, fix: &str) -> Row {
    [what.to_owned(), state.to_owned(), fix.to_owned()]
}

fn roofs(machine: &proftool_hardware::Machine) -> Row {
    match ceilings::cache_folder(machine).filter(|folder| folder.join("ceilings.parquet").exists()) {
        Some(folder) => row("measured roofs", &format!("cached in {}", folder.display()), ""),
        None => row("measured roofs", "not yet measured", "the first capture measures them, or `proftool ceilings`"),
    }
}

fn leftovers(args: &Args) -> Vec<Row> {
    let found = artifact::find(&args.artifacts, true).unwrap_or_default();
    let partial = found.partial.iter().map(|folder| {
        let folder = folder.display();
        row("interrupted capture", &folder.to_string(), &format!("`proftool import {folder}`, or remove it"))
    });
    let unreadable = found.unreadable.iter().map(|error| row("unreadable artifact", &error.to_string(), ""));
    partial.chain(unreadable).collect()
}

fn frame(rows: &[Row]) -> Result<DataFrame, Failure> {
    let column = |name: &str, index: usize| text_column(name, rows.iter().map(|row| Some(row[index].as_str())));
    DataFrame::new(rows.len(), vec![column("what", 0), column("state", 1), column("fix", 2)])
        .map_err(|error| Failure::new(Kind::Bug, error))
}
