//! One capture in several formats: every table has to be the same.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use proftool_import::Error;
use proftool_import::into_memory;
use proftool_trace::frame::{Tables, texts};
use proftool_trace::{Column, Table, tables};

use crate::check::List;
use crate::page::Section;

/// The export that the others are compared with.
const SQLITE: &str = "gh200_gpu_metrics.schema3.7.sqlite.gz";
const JSON: &str = "gh200_jacobi.export.jsonl.gz";
const PARQUET: &str = "gh200_jacobi.parquetdir";
const REPORT: &str = "gh200_jacobi.nsys-rep";

/// Numbers of event types in exports of JSON lines.
const TYPES: [(&str, &str); 4] =
    [("59", "NVTX ranges"), ("79", "kernels"), ("80", "copies and sets"), ("106", "synchronisations")];

pub(crate) fn section(shared: &Path) -> Section {
    let mut section = Section::new("one capture, three formats", "nsys: one capture in several formats");
    let folder = shared.join("data/nsys");
    let import = |file: &str| into_memory(&folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}")).1;
    let (sqlite, json, parquet) = (import(SQLITE), import(JSON), import(PARQUET));
    section.paragraph(&format!(
        "`{SQLITE}`, `{JSON}`, `{PARQUET}` and `{REPORT}` are one capture (process 2976, session start \
         2024-05-30 13:20:26 UTC). Every table of every format is compared with that of SQLite, column by column, in \
         order, identifiers and nulls included; a value of this table is a whole column. Left out: `pass`, and `source` \
         of `issues`, which name the importer. `gh200_jacobi.schema3.6.sqlite` is another run of the same program, 58 \
         seconds earlier (process 2844), and stands under `nsys stats`. The `.nsys-rep` needs an `nsys` of 2023.4 or \
         newer; a test of its own compares it where one is on the path."
    ));
    let mut lists = compare("JSON lines", &json, &sqlite, true);
    lists.extend(compare("Parquet folder", &parquet, &sqlite, false));
    section.lists(&lists, None);
    section.paragraph(&format!("Explained: {} {}", json_lines_hold(&folder.join(JSON)), issues(&json)));
    section
}

/// Compares every table that has rows on either side; `partial` when the format's file lacks some records: what it
/// lacks has to be null or absent, never another value.
fn compare(format: &str, tables: &Tables, sqlite: &Tables, partial: bool) -> Vec<List> {
    let wanted = tables::ALL.iter().filter(|table| !partial || table.name != tables::ISSUES.name);
    let filled = wanted.filter(|table| sqlite.get(table).height() + tables.get(table).height() > 0);
    filled.map(|table| one(format, table, tables, sqlite, partial)).collect()
}

fn one(format: &str, table: &Table, tables: &Tables, sqlite: &Tables, partial: bool) -> List {
    let (ours, theirs) = (tables.get(table), sqlite.get(table));
    let mut list = List::new(format!("{format}: `{}`", table.name));
    list.rows = ours.height();
    let names_the_importer =
        |column: &Column| column.name == "pass" || (table.name == "issues" && column.name == "source");
    for column in table.columns.iter().filter(|column| !names_the_importer(column)) {
        let [left, right] = [ours, theirs].map(|frame| frame.column(column.name).unwrap());
        let nothing = || left.null_count() == left.len() || only_unknown(table, column, tables);
        if left.equals_missing(right) {
            list.tally.equal += 1;
        } else if partial && nothing() {
            list.explained(1);
        } else {
            list.differs(|| format!("column {}", column.name));
        }
    }
    list
}

/// Whether the column is the name of a device that the file does not describe.
fn only_unknown(table: &Table, column: &Column, tables: &Tables) -> bool {
    (table.name, column.name) == ("devices", "name")
        && texts(tables.get(table), "name").unwrap().iter().flatten().all(|name| name.starts_with("unknown"))
}

/// What events the stored JSON lines hold, counted in the file.
fn json_lines_hold(path: &Path) -> String {
    let file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in BufReader::new(file).lines().map(Result::unwrap) {
        if let Some(rest) = line.strip_prefix("{\"Type\":") {
            let number: String = rest.trim_start_matches('"').chars().take_while(char::is_ascii_digit).collect();
            *counts.entry(number).or_default() += 1;
        }
    }
    assert!(counts.keys().all(|number| TYPES.iter().any(|(known, _)| known == number)), "{counts:?}");
    let held = TYPES.map(|(number, what)| format!("{} {what}", counts.get(number).copied().unwrap_or(0)));
    format!(
        "the JSON lines were stored without records of calls, devices, streams and metrics. The file holds {}; what it \
         lacks is null or absent in the tables, and nothing else differs.",
        held.join(", ")
    )
}

/// What the importer noted about the file.
fn issues(tables: &Tables) -> String {
    let [codes, details] = ["code", "detail"].map(|column| texts(tables.get(&tables::ISSUES), column).unwrap());
    let notes = codes.into_iter().flatten().zip(details.into_iter().flatten());
    let notes: Vec<String> = notes.map(|(code, detail)| format!("`{code}` ({detail})")).collect();
    format!("Its `issues`, which are not compared: {}.", notes.join("; "))
}

/// Compares the report itself, where an `nsys` that reads it is on the path.
pub(crate) fn report(shared: &Path) -> Result<(), String> {
    let folder = shared.join("data/nsys");
    let tables = match into_memory(&folder.join(REPORT)) {
        Ok((_, tables)) => tables,
        Err(error @ (Error::Tool { .. } | Error::Unsupported { .. })) => return Err(error.to_string()),
        Err(error) => panic!("{error}"),
    };
    let sqlite = into_memory(&folder.join(SQLITE)).unwrap().1;
    for list in compare("report", &tables, &sqlite, false) {
        assert_eq!(list.tally.unexplained, 0, "{list:?}");
    }
    Ok(())
}
