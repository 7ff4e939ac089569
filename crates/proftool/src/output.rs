//! Result frames on standard output: tables for people, JSON, CSV and markdown for everything else.

use std::fmt::Write as _;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use polars::prelude::DataFrame;
use proftool_trace::frame;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::tty;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns with readable units.
    #[default]
    Table,
    /// An array of objects, one a row, with every column.
    Json,
    /// Every column, a header line first.
    Csv,
    /// A markdown table with readable units.
    Markdown,
}

/// Prints one result. `title` and the choice of `columns` concern the readable formats only; JSON and CSV carry every
/// column in base units.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(format: Format, title: &str, frame: &DataFrame, columns: Option<&[&str]>) -> Result<(), Failure> {
    tty::print(&render(format, title, frame, columns)?)
}

/// Prints several results: in JSON one object with a key a result, otherwise one after the other.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_all(format: Format, results: &[(&str, DataFrame, Option<&[&str]>)]) -> Result<(), Failure> {
    if let [(title, frame, columns)] = results {
        return print(format, title, frame, *columns);
    }
    if format == Format::Json {
        let all = Object(results.iter().map(|(title, frame, _)| ((*title).to_owned(), rows(frame))).collect());
        return tty::print(&json_text(&all)?);
    }
    for (title, frame, columns) in results {
        print(format, title, frame, *columns)?;
    }
    Ok(())
}

/// An object whose keys keep their order: that of the columns.
struct Object<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// The rows of a frame, each value under its column's name, in the order of the columns.
fn rows(frame: &DataFrame) -> Vec<Object<Value>> {
    let names = names(frame);
    let row = |mut row: serde_json::Map<String, Value>| {
        Object(names.iter().map(|name| (name.clone(), row.remove(name).unwrap_or_default())).collect())
    };
    frame::json_rows(frame).into_iter().map(row).collect()
}

fn names(frame: &DataFrame) -> Vec<String> {
    frame.columns().iter().map(|column| column.name().to_string()).collect()
}

fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Kind::Bug, error))?;
    Ok(text + "\n")
}

fn render(format: Format, title: &str, frame: &DataFrame, columns: Option<&[&str]>) -> Result<String, Failure> {
    Ok(match format {
        Format::Json => json_text(&rows(frame))?,
        Format::Csv => csv_text(frame)?,
        Format::Table => format!("{title}\n{}\n\n", readable(frame, columns, presets::NOTHING)),
        Format::Markdown => format!("## {title}\n\n{}\n\n", readable(frame, columns, presets::ASCII_MARKDOWN)),
    })
}

fn csv_text(frame: &DataFrame) -> Result<String, Failure> {
    let broken = |error: csv::Error| Failure::io(format!("cannot write CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names(frame)).map_err(broken)?;
    for Object(row) in rows(frame) {
        writer.write_record(row.iter().map(|(_, value)| plain(value))).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::io(format!("cannot write CSV: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn readable(frame: &DataFrame, columns: Option<&[&str]>, preset: &str) -> Table {
    let shown: Vec<String> = frame
        .columns()
        .iter()
        .map(|column| column.name().to_string())
        .filter(|name| columns.is_none_or(|columns| columns.contains(&name.as_str())))
        .collect();
    let mut table = Table::new();
    table.load_preset(preset).set_content_arrangement(ContentArrangement::Dynamic);
    if preset == presets::NOTHING {
        table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    }
    table.set_header(headings(&shown));
    let rows = frame::json_rows(frame);
    for row in &rows {
        table.add_row(shown.iter().map(|name| shortened(cell(name, &row[name]))));
    }
    for (index, name) in shown.iter().enumerate() {
        if rows.iter().any(|row| row[name].is_number())
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The columns' names without the units that the cells then show, except where two would read the same.
fn headings(names: &[String]) -> Vec<String> {
    let bare: Vec<String> = names.iter().map(|name| heading(name)).collect();
    let twice = |text: &String| bare.iter().filter(|other| *other == text).count() > 1;
    names
        .iter()
        .zip(&bare)
        .map(|(name, text)| if twice(text) { name.replace('_', " ") } else { text.clone() })
        .collect()
}

/// One column's name without its unit.
fn heading(name: &str) -> String {
    let bare = ["_per_s", "_ns", "_ratio", "_hz"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    bare.replace('_', " ")
}

/// Longest text of a cell: demangled kernel names run to a thousand characters. JSON and CSV hold them whole.
const LONGEST_CELL: usize = 96;

/// A long text without its middle: beginning and end tell kernel names apart.
fn shortened(text: String) -> String {
    let count = text.chars().count();
    if count <= LONGEST_CELL {
        return text;
    }
    let (start, end) = (LONGEST_CELL * 2 / 3, LONGEST_CELL / 3 - 1);
    let first: String = text.chars().take(start).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{first}…{last}")
}

fn cell(name: &str, value: &Value) -> String {
    let Some(number) = value.as_f64() else { return plain(value) };
    if name.ends_with("_ns") {
        nanoseconds(number)
    } else if name.ends_with("_ratio") {
        format!("{:.1} %", number * 100.0)
    } else if name == "flop" || name.ends_with("flop_per_s") {
        scaled(number, if name == "flop" { "FLOP" } else { "FLOP/s" })
    } else if name.ends_with("bytes_per_s") {
        scaled(number, "B/s")
    } else if name == "bytes" || name.ends_with("_bytes") {
        scaled(number, "B")
    } else if name == "value" {
        scaled(number, "")
    } else if value.is_i64() || value.is_u64() {
        value.to_string()
    } else {
        significant(number)
    }
}

fn nanoseconds(value: f64) -> String {
    let (divisor, unit) = match value.abs() {
        size if size >= 1e9 => (1e9, "s"),
        size if size >= 1e6 => (1e6, "ms"),
        size if size >= 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    };
    format!("{} {unit}", significant(value / divisor))
}

fn scaled(value: f64, unit: &str) -> String {
    let steps = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (divisor, prefix) = steps.into_iter().find(|(divisor, _)| value.abs() >= *divisor).unwrap_or((1.0, ""));
    format!("{} {prefix}{unit}", significant(value / divisor))
}

/// Four significant digits, trailing zeros kept so that columns line up.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(3 - digits).unwrap_or(0).min(6);
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write!(text, "{value:.decimals$}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_columns() -> DataFrame {
        let columns =
            vec![frame::text_column("run", [Some("x"), None]), frame::int_column("bytes", [Some(1), Some(2)])];
        DataFrame::new(2, columns).expect("two columns of two rows")
    }

    #[test]
    fn csv_and_json_keep_the_order_of_the_columns() {
        let text = |format| render(format, "", &two_columns(), None).expect("it can be rendered");
        assert_eq!(text(Format::Csv), "run,bytes\nx,1\n,2\n");
        let json: String = text(Format::Json).split_whitespace().collect();
        assert_eq!(json, r#"[{"run":"x","bytes":1},{"run":null,"bytes":2}]"#);
    }

    #[test]
    fn cells_show_the_unit_that_the_heading_drops() {
        assert_eq!(cell("time_ns", &Value::from(1_234_567)), "1.235 ms");
        assert_eq!(cell("idle_ratio", &Value::from(0.125)), "12.5 %");
        assert_eq!(cell("flop_per_s", &Value::from(9.5e10)), "95.00 GFLOP/s");
        assert_eq!(cell("launches", &Value::from(12)), "12");
        assert_eq!(cell("time_ns", &Value::Null), "");
        assert_eq!(headings(&["flop_per_s".to_owned()]), ["flop"]);
        assert_eq!(headings(&["hidden_ns".to_owned(), "hidden_ratio".to_owned()]), ["hidden ns", "hidden ratio"]);
    }
}
