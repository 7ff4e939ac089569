//! Pages as their files have them, and pages of single launches cut out of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use csv::{QuoteStyle, ReaderBuilder, WriterBuilder};
use tempfile::TempDir;

/// A CSV page without the lines that the program and the profiler printed before its header.
pub(super) struct Page {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Page {
    pub(super) fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let is_header = |line: &&str| ["\"ID\",", "ID,", "Dispatch_ID,"].iter().any(|start| line.starts_with(start));
        let lines = text.trim_start_matches('\u{feff}').lines().skip_while(|line| !is_header(line));
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let head = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        Self { head, rows }
    }

    /// A field; nothing where a ragged row does not reach it, or the page has no such column.
    pub(super) fn field<'r>(&self, row: &'r [String], column: &str) -> &'r str {
        let at = self.head.iter().position(|head| head == column);
        at.and_then(|at| row.get(at)).map_or("", String::as_str)
    }

    /// The launches, in the order of their numbers.
    pub(super) fn launches(&self) -> Vec<String> {
        let ids: BTreeSet<i64> = self.rows.iter().filter_map(|row| row[0].parse().ok()).collect();
        ids.iter().map(i64::to_string).collect()
    }

    /// Writes the page of one launch into `folder`: its rows, and the row of units, which has no number.
    pub(super) fn write_launch(&self, launch: &str, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        let quoted = if self.head[0] == "ID" { QuoteStyle::Always } else { QuoteStyle::Necessary };
        let mut writer = WriterBuilder::new().flexible(true).quote_style(quoted).from_path(&path).unwrap();
        writer.write_record(&self.head).unwrap();
        for row in self.rows.iter().filter(|row| row[0] == launch || row[0].is_empty()) {
            writer.write_record(row).unwrap();
        }
        writer.flush().unwrap();
        path
    }
}

/// The page of each launch alone, in a folder of its own; the files of the folder beside it come along as they are.
pub(super) fn alone(path: &Path, beside: &[&str]) -> Vec<TempDir> {
    let page = Page::open(path);
    let cut = |launch: &String| {
        let folder = tempfile::tempdir().unwrap();
        page.write_launch(launch, folder.path(), path.file_name().unwrap().to_str().unwrap());
        for name in beside {
            std::fs::copy(path.with_file_name(name), folder.path().join(name)).unwrap();
        }
        folder
    };
    page.launches().iter().map(cut).collect()
}
