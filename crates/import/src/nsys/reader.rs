//! Reads one export: the order of the tables, the numbers of the rows, and what all of them share.

use std::borrow::Cow;

use super::devices::Devices;
use super::diagnostics::Diagnostics;
use super::export::{Export, Row};
use super::ids::process;
use super::launches::Launches;
use super::strings::Strings;
use super::{calls, copies, diagnostics, graphs, kernels, metrics, mpi, network, nvtx, session, syncs};
use crate::Error;
use crate::importers::Session;
use crate::raw::{Import, Severity, Source};

/// One import of an export under way.
pub(super) struct Reader<'a, 's> {
    pub(super) export: &'a dyn Export,
    pub(super) source: &'a Source,
    pub(super) import: &'a mut Import<'s>,
    pub(super) strings: Strings,
    pub(super) devices: Devices,
    pub(super) launches: Launches,
    pub(super) ids: Ids,
    /// Names that the table of texts does not hold.
    unnamed: u64,
    /// Rows left out because they lack their end, and where the first stands.
    endless: u64,
    first_endless: String,
}

/// The next number of each kind of row.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) activity: i64,
    pub(super) call: i64,
    pub(super) range: i64,
    pub(super) def: i64,
    pub(super) sample: u64,
    /// Activities that are kernels or whole graphs.
    pub(super) kernels: u64,
    /// Rows of kernels and whole graphs whose times are no times.
    pub(super) kernels_left_out: u64,
}

/// Takes the number and moves on.
pub(super) fn next(id: &mut i64) -> i64 {
    *id += 1;
    *id - 1
}

/// Puts everything that an export holds into the import's sink.
///
/// # Errors
/// When a table cannot be read or lacks its times, when the schema is newer than what is known, when the capture holds
/// nothing and says why, or when a row cannot be written.
pub(crate) fn import(export: &dyn Export, source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let schema = session::schema(export, source)?;
    demand_names(export, source)?;
    mpi::set_rank(export, import)?;
    let mut reader = Reader {
        export,
        source,
        import,
        strings: Strings::read(export)?,
        devices: Devices::read(export)?,
        launches: Launches::default(),
        ids: Ids::default(),
        unnamed: 0,
        endless: 0,
        first_endless: String::new(),
    };
    let diagnostics = Diagnostics::read(export)?;
    // Calls before what they launched, kernels and copies before synchronisation: they tell the devices of contexts.
    calls::read(&mut reader)?;
    mpi::read(&mut reader)?;
    reader.launches.sort();
    reader.launches.one_process = reader.launches.lacks_process() && one_process(export)?;
    kernels::read(&mut reader)?;
    copies::read(&mut reader)?;
    graphs::read(&mut reader)?;
    syncs::read(&mut reader)?;
    nvtx::read(&mut reader)?;
    metrics::read(&mut reader, &schema)?;
    network::read(&mut reader, &schema)?;
    reader.finish(&diagnostics)?;
    session::read(export)
}

/// Refuses an export whose names are all numbers of texts that it does not hold: one that was cut short, or a folder that
/// was copied in part.
fn demand_names(export: &dyn Export, source: &Source) -> Result<(), Error> {
    const NAMED: &[(&str, &str)] = &[
        ("CUPTI_ACTIVITY_KIND_KERNEL", "demangledName"),
        ("CUPTI_ACTIVITY_KIND_RUNTIME", "nameId"),
        ("OSRT_API", "nameId"),
    ];
    let numbered = |(table, column): &(&str, &str)| export.columns(table)?.iter().find(|known| known == column);
    if export.has("StringIds") || !NAMED.iter().any(|named| numbered(named).is_some()) {
        return Ok(());
    }
    let reason = "StringIds is missing, which holds the names: the export was cut short or copied in part";
    Err(source.damaged("its tables", reason, "export it again; nothing was taken from it"))
}

/// Whether all work is of one process, as far as it is stated. Asked only where calls state none.
fn one_process(export: &dyn Export) -> Result<bool, Error> {
    const TABLES: [&str; 5] = [kernels::TABLE, copies::COPIES, copies::SETS, graphs::TABLE, syncs::TABLE];
    let mut first = None;
    let mut one = true;
    for table in TABLES {
        export.scan(table, &["globalPid"], &mut |row| {
            if let Some(process) = row.int(0).map(process) {
                one &= *first.get_or_insert(process) == process;
            }
            Ok(())
        })?;
    }
    Ok(one)
}

impl Reader<'_, '_> {
    /// Refuses a table that is there and lacks a column without which its rows mean nothing.
    pub(super) fn demand(&self, table: &str, columns: &[&str]) -> Result<(), Error> {
        let Some(present) = self.export.columns(table) else { return Ok(()) };
        let Some(missing) = columns.iter().find(|wanted| !present.iter().any(|column| column == *wanted)) else {
            return Ok(());
        };
        let hint = "export it again with `nsys export`, or report this schema";
        Err(self.source.damaged(format!("table {table}"), format!("it has no column {missing}"), hint))
    }

    /// The times of a row whose end may be absent; `None`, and the row counted as bad, where they are impossible.
    pub(super) fn times(&mut self, table: &str, row: &Row<'_>, start: usize, end: usize) -> Option<(i64, Option<i64>)> {
        let place = || format!("{table} row {}", row.number + 1);
        let Some(begin) = row.int(start) else {
            self.import.bad_row("no_start", || format!("{}: it has no start", place()));
            return None;
        };
        let finish = row.int(end);
        self.import.possible(begin, finish.unwrap_or(begin), place).then_some((begin, finish))
    }

    /// The times of a row that means nothing without its end; `None`, and the row counted, where they cannot be used.
    #[inline]
    pub(super) fn span(&mut self, table: &str, row: &Row<'_>, start: usize, end: usize) -> Option<(i64, i64)> {
        let (begin, finish) = self.times(table, row, start, end)?;
        if finish.is_none() {
            self.endless(table, row);
        }
        finish.map(|finish| (begin, finish))
    }

    /// Counts a row without an end. It is possible (what ran when capturing stopped), so that many do not fail the
    /// import.
    #[cold]
    fn endless(&mut self, table: &str, row: &Row<'_>) {
        if self.endless == 0 {
            self.first_endless = format!("{table} row {}", row.number + 1);
        }
        self.endless += 1;
    }

    /// Notes that a row's name is not to be found.
    #[cold]
    pub(super) fn nameless(&mut self) {
        self.unnamed += 1;
    }

    fn finish(&mut self, diagnostics: &Diagnostics) -> Result<(), Error> {
        if self.unnamed > 0 {
            let detail = "names that the table StringIds does not hold, written as [unknown]";
            self.import.issue(Severity::DataLoss, "unknown_name", self.unnamed, detail);
        }
        let detail = format!("rows left out because they have no end, the first: {}", self.first_endless);
        self.import.issue(Severity::DataLoss, "no_end", self.endless, detail);
        self.missed_launches();
        diagnostics.write(self.import);
        let nothing = self.ids.activity == 0 && self.ids.call == 0 && self.ids.range == 0 && self.ids.sample == 0;
        if nothing && self.endless == 0 && diagnostics.say_something() {
            return Err(diagnostics::nothing(self.source, diagnostics));
        }
        if self.ids.kernels == 0 {
            self.no_kernels(diagnostics);
        }
        self.devices.write(self.import)
    }

    /// Says why there are no kernels. Where the file lists some, what nsys says about the capture is not the reason.
    fn no_kernels(&mut self, diagnostics: &Diagnostics) {
        let left_out = self.ids.kernels_left_out;
        if left_out == 0 {
            diagnostics::no_kernels(self.import, diagnostics, self.export.has("CUPTI_ACTIVITY_KIND_RUNTIME"));
        } else {
            let detail = format!("none of the {left_out} kernels that the file lists could be read: see no_end");
            self.import.issue(Severity::DataLoss, "no_kernels", 1, detail);
        }
    }

    /// Says of how much work the launching call is not known, and why.
    fn missed_launches(&mut self) {
        let missed = self.launches.missed;
        let detail = "device rows whose launching call is not in the file (usually launched before the capture began)";
        self.import.issue(Severity::Info, "launch_not_recorded", missed.absent, detail);
        let detail = |table: &str, column: &str| {
            format!(
                "device rows whose launching call cannot be told: {table} have no {column}, and several calls have their \
                 correlation number (hint: export again with all columns)"
            )
        };
        let (work, calls) = (detail("they", "globalPid"), detail("calls", "globalTid"));
        self.import.issue(Severity::Info, "launch_ambiguous", missed.work_unstated, work);
        self.import.issue(Severity::Info, "launch_ambiguous", missed.calls_unstated, calls);
    }
}

/// The first of these columns that names a text, or is one.
pub(super) fn name<'r>(strings: &'r Strings, row: &Row<'r>, numbers: &[usize], text: usize) -> Option<Cow<'r, str>> {
    let numbered = numbers.iter().find_map(|column| strings.get(row.int(*column)?));
    numbered.map(Cow::Borrowed).or_else(|| row.text(text)).filter(|name| !name.is_empty())
}

/// What a row is called whose name is not to be found.
pub(super) const UNKNOWN: &str = "[unknown]";

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{Tables, ints, texts};
    use proftool_trace::tables;

    const TABLES: [&str; 7] = [
        "CUPTI_ACTIVITY_KIND_KERNEL",
        "CUPTI_ACTIVITY_KIND_MEMCPY",
        "CUPTI_ACTIVITY_KIND_MEMSET",
        "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
        "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
        "CUPTI_ACTIVITY_KIND_RUNTIME",
        "OSRT_API",
    ];

    /// Severity, count and detail of the issue of that code.
    fn issue(tables: &Tables, code: &str) -> Option<(String, i64, String)> {
        let issues = tables.get(&tables::ISSUES);
        let row = texts(issues, "code").unwrap().iter().position(|known| known.as_deref() == Some(code))?;
        let text = |column| texts(issues, column).unwrap()[row].clone().unwrap();
        Some((text("severity"), ints(issues, "count").unwrap()[row].unwrap(), text("detail")))
    }

    #[test]
    fn rows_without_an_end_are_counted_in_every_table() {
        for table in TABLES.into_iter().chain(["NET_NIC_METRIC"]) {
            let mut fake = Fake::default();
            fake.row(table, &[("start", 1.into()), ("end", 2.into()), ("value", 7.into())]);
            fake.row(table, &[("start", 5.into()), ("value", 7.into())]);
            let expected = format!("rows left out because they have no end, the first: {table} row 2");
            assert_eq!(issue(&fake.import().unwrap(), "no_end"), Some(("data_loss".to_owned(), 1, expected)));
        }
    }

    #[test]
    fn kernels_without_an_end_are_not_blamed_on_the_capture() {
        let mut fake = Fake::default();
        fake.row("DIAGNOSTIC_EVENT", &[("severity", 2.into()), ("text", "The paranoid level is 3.".into())]);
        fake.row("OSRT_API", &[("start", 1.into()), ("end", 2.into())]);
        let kernel = "CUPTI_ACTIVITY_KIND_KERNEL";
        fake.row(kernel, &[("start", 1.into())]);
        fake.column(kernel, "end");
        let tables = fake.import().unwrap();
        let detail = "none of the 1 kernels that the file lists could be read: see no_end";
        assert_eq!(issue(&tables, "no_kernels"), Some(("data_loss".to_owned(), 1, detail.to_owned())));
        assert_eq!(issue(&tables, "no_end").unwrap().1, 1);
    }
}
