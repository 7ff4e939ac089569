//! Result frames on standard output: tables for people, JSON, CSV and markdown for everything else.

mod columns;
mod fit;
mod rows;

use std::fmt::Write as _;

use clap::ValueEnum;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, Width, presets};
use polars::prelude::DataFrame;
use proftool_trace::frame;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::tty;

pub(crate) use columns::columns;
use fit::{Fitted, Grid, PROSE, fit, shortened};
pub(crate) use rows::{Order, Rows, first};

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

impl Format {
    /// Whether it is made for people: then it may show less than all.
    pub(crate) fn is_readable(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}

/// Prints one result. `title` and the choice of `columns` concern the readable formats only; JSON and CSV carry every
/// column in base units.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print(format: Format, title: &str, frame: &DataFrame, columns: Option<&[&str]>) -> Result<(), Failure> {
    tty::print(&render(format, title, frame, columns, terminal_width())?)
}

/// As [`print()`], with a line about the result below it.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_noted(
    format: Format,
    title: &str,
    frame: &DataFrame,
    columns: Option<&[&str]>,
    note: Option<&str>,
) -> Result<(), Failure> {
    let mut text = render(format, title, frame, columns, terminal_width())?;
    if let Some(note) = note {
        // In markdown a blank line ends the table.
        let end = if format == Format::Markdown { text.len() } else { text.trim_end_matches('\n').len() + 1 };
        text.truncate(end);
        text += note;
        text += "\n\n";
    }
    tty::print(&text)
}

/// As [`print()`], in a table of at most `width` characters where the terminal does not say otherwise: for texts that have
/// no natural width.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_wrapped(format: Format, title: &str, frame: &DataFrame, width: usize) -> Result<(), Failure> {
    tty::print(&render(format, title, frame, None, terminal_width().or(Some(width)))?)
}

/// Width of the terminal, if standard output is one.
fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
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

fn render(
    format: Format,
    title: &str,
    frame: &DataFrame,
    columns: Option<&[&str]>,
    width: Option<usize>,
) -> Result<String, Failure> {
    Ok(match format {
        Format::Json => json_text(&rows(frame))?,
        Format::Csv => csv_text(frame)?,
        Format::Table => aligned(title, grid(frame, columns), width),
        Format::Markdown => format!("## {title}\n\n{}\n\n", markdown(&grid(frame, columns))),
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

/// The chosen columns as people read them.
fn grid(frame: &DataFrame, columns: Option<&[&str]>) -> Grid {
    let is_shown = |name: &String| columns.is_none_or(|columns| columns.contains(&name.as_str()));
    let names: Vec<String> = names(frame).into_iter().filter(is_shown).collect();
    let values = frame::json_rows(frame);
    let text = |row: &serde_json::Map<String, Value>, name: &String| {
        let text = without_controls(cell(name, &row[name]));
        if PROSE.contains(&name.as_str()) { text } else { shortened(&text, LONGEST_CELL) }
    };
    Grid {
        headings: headings(&names),
        rows: values.iter().map(|row| names.iter().map(|name| text(row, name)).collect()).collect(),
        numeric: names.iter().map(|name| values.iter().any(|row| row[name].is_number())).collect(),
        names,
    }
}

/// Aligned columns under a title; with a width made to fit it.
fn aligned(title: &str, mut grid: Grid, width: Option<usize>) -> String {
    let fitted = width.map_or_else(Fitted::default, |width| fit(&mut grid, width));
    let mut table = table(&grid, presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (index, width) in fitted.widths.iter().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        // One of the blanks is the table's own, between columns.
        let blanks = (fitted.between as u16).saturating_sub(1);
        column.set_padding((0, blanks));
        let width = u16::try_from(*width).unwrap_or(u16::MAX).saturating_add(blanks);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
    let shared = listed(": ", &fitted.shared, "");
    let empty = listed("(no value: ", &fitted.empty, ")\n");
    let hidden = listed("(no room: ", &fitted.hidden, ")\n");
    format!("{title}{shared}\n{table}\n{empty}{hidden}\n")
}

/// The texts one after the other; nothing for none.
fn listed(before: &str, texts: &[String], after: &str) -> String {
    if texts.is_empty() { String::new() } else { format!("{before}{}{after}", texts.join(", ")) }
}

/// A name comes from a file: it may not move the cursor of a terminal or break a row.
fn without_controls(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// A markdown table: never wrapped, a row is a line, a name is text and not markup.
fn markdown(grid: &Grid) -> Table {
    let escaped = |text: &String| {
        let mut safe = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '<' => safe += "&lt;",
                '|' | '`' | '\\' => safe.extend(['\\', letter]),
                letter => safe.push(letter),
            }
        }
        safe
    };
    let rows = grid.rows.iter().map(|row| row.iter().map(escaped).collect()).collect();
    let (headings, names, numeric) = (grid.headings.clone(), grid.names.clone(), grid.numeric.clone());
    table(&Grid { names, headings, rows, numeric }, presets::ASCII_MARKDOWN)
}

/// The grid as a table, numbers to the right.
fn table(grid: &Grid, preset: &str) -> Table {
    let mut table = Table::new();
    table.load_preset(preset).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(&grid.headings).add_rows(&grid.rows);
    for (index, _) in grid.numeric.iter().enumerate().filter(|(_, numeric)| **numeric) {
        if let Some(column) = table.column_mut(index) {
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

/// One column's name without the unit that its cells show.
fn heading(name: &str) -> String {
    let shown = ["flop_per_s", "bytes_per_s"].iter().any(|rate| name.ends_with(rate));
    let bare = match name.strip_suffix("_per_s") {
        Some(what) if shown => what.to_owned(),
        Some(what) => format!("{what}/s"),
        None => ["_ns", "_ratio", "_hz"].iter().find_map(|unit| name.strip_suffix(unit)).unwrap_or(name).to_owned(),
    };
    bare.replace('_', " ")
}

/// Longest text of a cell: demangled kernel names run to a thousand characters. JSON and CSV hold them whole.
const LONGEST_CELL: usize = 96;

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
    } else if name.ends_with("_hz") {
        scaled(number, "Hz")
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

/// Four significant digits, trailing zeros kept so that columns line up; a power of ten where six decimals show too few.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() < 1e-4 {
        return format!("{value:.3e}");
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
        let text = |format| render(format, "", &two_columns(), None, None).expect("it can be rendered");
        assert_eq!(text(Format::Csv), "run,bytes\nx,1\n,2\n");
        let json: String = text(Format::Json).split_whitespace().collect();
        assert_eq!(json, r#"[{"run":"x","bytes":1},{"run":null,"bytes":2}]"#);
    }

    #[test]
    fn names_that_a_file_gives_are_text_and_nothing_else() {
        let columns = vec![frame::text_column("name", [Some("a\u{1b}[31m<b>|`c`")])];
        let frame = DataFrame::new(1, columns).expect("a column of one row");
        let text = |format| render(format, "", &frame, None, None).expect("it can be rendered");
        assert!(text(Format::Table).contains("a\u{fffd}[31m<b>|`c`"), "{}", text(Format::Table));
        assert!(text(Format::Markdown).contains("a\u{fffd}[31m&lt;b>\\|\\`c\\`"), "{}", text(Format::Markdown));
        assert!(text(Format::Json).contains("\\u001b"), "JSON keeps the name");
    }

    #[test]
    fn a_narrow_table_says_above_what_its_rows_share_and_breaks_no_word() {
        let names = [Some("a_rather_long_name_of_a_kernel"), Some("b")];
        let columns = vec![
            frame::text_column("target", [Some("x"), Some("x")]),
            frame::text_column("name", names),
            frame::int_column("total_ns", [Some(1_234_567), Some(5)]),
        ];
        let frame = DataFrame::new(2, columns).expect("three columns of two rows");
        let text = render(Format::Table, "kernels", &frame, None, Some(32)).expect("it can be rendered");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[0], "kernels: target x");
        assert_eq!(lines[3], "a_rather_long_…ernel  1.235 ms", "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 32), "{text}");
        let whole = render(Format::Table, "kernels", &frame, None, None).expect("it can be rendered");
        assert!(whole.contains("a_rather_long_name_of_a_kernel"), "{whole}");
    }

    #[test]
    fn cells_show_the_unit_that_the_heading_drops() {
        assert_eq!(cell("time_ns", &Value::from(1_234_567)), "1.235 ms");
        assert_eq!(cell("idle_ratio", &Value::from(0.125)), "12.5 %");
        assert_eq!(cell("flop_per_s", &Value::from(9.5e10)), "95.00 GFLOP/s");
        assert_eq!(cell("launches", &Value::from(12)), "12");
        assert_eq!(cell("time_ns", &Value::Null), "");
        assert_eq!(cell("clock_hz", &Value::from(1.755e9)), "1.755 GHz");
        assert_eq!(cell("load", &Value::from(1.5e-9)), "1.500e-9");
        assert_eq!(headings(&["flop_per_s".to_owned()]), ["flop"]);
        let rates = ["output_tokens_per_s", "bus_bytes_per_s", "requests", "requests_per_s"].map(str::to_owned);
        assert_eq!(headings(&rates), ["output tokens/s", "bus bytes", "requests", "requests/s"]);
        assert_eq!(headings(&["hidden_ns".to_owned(), "hidden_ratio".to_owned()]), ["hidden ns", "hidden ratio"]);
    }
}
