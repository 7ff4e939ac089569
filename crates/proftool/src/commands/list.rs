//! `proftool list`: what there is, from the same lists that the program runs on.

use clap::ValueEnum;
use polars::prelude::DataFrame;
use proftool_hardware::gpu;
use proftool_serving::policies::{Knob, Maker, POLICIES};
use proftool_trace::frame::{bool_column, text_column};
use proftool_trace::{Table, tables};
use proftool_workloads::Parameter;

use crate::failure::{Failure, Kind, Outcome};
use crate::output::{self, Format};
use crate::tty;

/// Sentences are wrapped at this width where the terminal does not say otherwise.
const WIDTH: usize = 100;

/// Show what there is: targets, profilers, importers, metrics, policies, hardware, tables.
///
/// Of metrics and tables every format but `table` documents each column: its type, whether it may be null, its meaning.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool list targets
  proftool list tables --format markdown      every column with its meaning
  proftool list hardware                      the devices whose datasheets are known
  proftool list metrics
  proftool list metrics --format json         the schema of every result")]
pub(crate) struct Args {
    /// What to list
    what: What,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Targets,
    Profilers,
    Importers,
    Metrics,
    Policies,
    Hardware,
    Tables,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let documented: Option<Vec<&'static Table>> = match args.what {
        What::Tables => Some(tables::ALL.to_vec()),
        What::Metrics => Some(proftool_analyze::METRICS.iter().map(|metric| metric.table).collect()),
        _ => None,
    };
    if let Some(tables) = documented.filter(|_| args.format != Format::Table) {
        output::print(args.format, "columns", &documentation(&tables)?, None)?;
        return Ok(0);
    }
    let (title, heading, rows) = match args.what {
        What::Targets => ("targets", ["target", "what it is", "parameters"], targets(args.format)),
        What::Profilers => ("profilers", ["profiler", "what it is", "state"], profilers()),
        What::Importers => ("importers", ["importer", "what it is", ""], importers()),
        What::Metrics => ("metrics", ["metric", "what it is", ""], metrics()),
        What::Policies => ("policies", ["policy", "what it is", "knobs"], policies(args.format)),
        What::Hardware => ("hardware", ["hardware", "what it is", "peaks"], hardware()),
        What::Tables => ("tables", ["table", "what it is", ""], canonical_tables()),
    };
    output::print_wrapped(args.format, title, &frame(heading, &rows)?, WIDTH)?;
    if args.format == Format::Table && matches!(args.what, What::Metrics | What::Tables) {
        tty::print(&format!("each column with its meaning: proftool list {title} --format markdown (csv, json)\n"))?;
    }
    Ok(0)
}

/// One row a column, with its type and meaning.
fn documentation(tables: &[&'static Table]) -> Result<DataFrame, Failure> {
    let rows: Vec<_> =
        tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table.name, column))).collect();
    let columns = vec![
        text_column("table", rows.iter().map(|(table, _)| Some(*table))),
        text_column("column", rows.iter().map(|(_, column)| Some(column.name))),
        text_column("type", rows.iter().map(|(_, column)| Some(column.dtype.name()))),
        bool_column("nullable", rows.iter().map(|(_, column)| Some(column.nullable))),
        text_column("meaning", rows.iter().map(|(_, column)| Some(column.doc))),
    ];
    DataFrame::new(rows.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

type Row = [String; 3];

fn frame(heading: [&str; 3], rows: &[Row]) -> Result<DataFrame, Failure> {
    let columns = (0..3)
        .filter(|&index| !heading[index].is_empty())
        .map(|index| text_column(heading[index], rows.iter().map(|row| Some(row[index].as_str()))))
        .collect();
    DataFrame::new(rows.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

/// Targets, each with its parameters and their defaults.
fn targets(format: Format) -> Vec<Row> {
    let row = |target: &&proftool_workloads::Target| {
        let text = |parameter: &Parameter| format!("{}={}: {}", parameter.name, parameter.default, parameter.doc);
        let pair = target.pair.map_or_else(String::new, |(pair, _)| format!(" Of the pair {pair}."));
        spread(
            target.name,
            &format!("{}{pair}", target.doc),
            &target.parameters.iter().map(text).collect::<Vec<_>>(),
            format,
        )
    };
    proftool_workloads::TARGETS.iter().flat_map(row).collect()
}

/// Router policies, each with its knobs and their defaults.
fn policies(format: Format) -> Vec<Row> {
    let row = |maker: &&'static Maker| {
        let text = |knob: &Knob| format!("{}={}: {}", knob.name, knob.default, knob.doc);
        spread(maker.name, maker.doc, &maker.knobs.iter().map(text).collect::<Vec<_>>(), format)
    };
    POLICIES.iter().flat_map(row).collect()
}

/// One row with a line each of `more`; in a table a row each, since no cell there holds a line break.
fn spread(name: &str, doc: &str, more: &[String], format: Format) -> Vec<Row> {
    let first = |more: String| [name.to_owned(), doc.to_owned(), more];
    if format != Format::Table {
        return vec![first(more.join("\n"))];
    }
    let [head, rest @ ..] = more else { return vec![first(String::new())] };
    let rest = rest.iter().map(|line| [String::new(), String::new(), line.clone()]);
    std::iter::once(first(head.clone())).chain(rest).collect()
}

fn profilers() -> Vec<Row> {
    proftool_capture::profilers::PROFILERS
        .iter()
        .map(|profiler| {
            let state = (profiler.available)().map_or_else(|missing| missing.to_string(), |_| "works here".to_owned());
            [profiler.name.to_owned(), profiler.doc.to_owned(), state]
        })
        .collect()
}

fn importers() -> Vec<Row> {
    let rows = proftool_import::importers::IMPORTERS.iter();
    rows.map(|importer| [importer.name.to_owned(), importer.doc.to_owned(), String::new()]).collect()
}

fn metrics() -> Vec<Row> {
    proftool_analyze::metrics::METRICS
        .iter()
        .map(|metric| [metric.name.to_owned(), metric.doc.to_owned(), String::new()])
        .collect()
}

/// GPUs by the name that `--hardware` takes, with what their roofs are; then the CPUs, which are probed.
fn hardware() -> Vec<Row> {
    let gpus = gpu::all().iter().map(|spec| [spec.slug.clone(), spec.name.clone(), peaks(spec)]);
    let cpus = proftool_hardware::all().iter();
    gpus.chain(cpus.map(|spec| {
        [spec.arch.clone(), spec.name.clone(), "probed, not for --hardware; per core and cycle".to_owned()]
    }))
    .collect()
}

/// The best-known peaks of a GPU: dense, at the clock that each assumes; short enough for a line.
fn peaks(spec: &gpu::GpuSpec) -> String {
    let half = if spec.peak("matrix_bf16", false).is_some() { "matrix_bf16" } else { "matrix_f16" };
    let rate = |precision: &str| {
        let peak = spec.peak(precision, false)?;
        Some(format!("{} {:.1}", precision.trim_start_matches("matrix_"), peak.value / 1e12))
    };
    let rates: Vec<String> = ["f32", half, "matrix_f8"].into_iter().filter_map(rate).collect();
    let dram = spec.bandwidth("DRAM").map_or_else(String::new, |dram| format!("; {:.0} GB/s", dram.value / 1e9));
    let disputed = if spec.disputes().is_empty() { "" } else { "; disputed" };
    format!("{}, {} {}s; {} TFLOP/s{dram}{disputed}", spec.arch, spec.units.value, spec.units.unit, rates.join(", "))
}

fn canonical_tables() -> Vec<Row> {
    tables::ALL.iter().map(|table| [table.name.to_owned(), table.doc.to_owned(), String::new()]).collect()
}
