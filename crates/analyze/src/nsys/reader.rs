//! Reads one export: the order of the tables, the numbers of the rows, and what all of them share.

use std::borrow::Cow;

use super::devices::Devices;
use super::diagnostics::Diagnostics;
use super::export::{Export, Row};
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
    };
    let diagnostics = Diagnostics::read(export)?;
    // Calls before what they launched, kernels and copies before synchronisation: they tell the devices of contexts.
    calls::read(&mut reader)?;
    mpi::read(&mut reader)?;
    reader.launches.sort();
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
        let detail = "device rows whose launching call is not in the file (usually launched before the capture began)";
        self.import.issue(Severity::Info, "launch_not_recorded", self.launches.missed, detail);
        diagnostics.write(self.import);
        let nothing = self.ids.activity == 0 && self.ids.call == 0 && self.ids.range == 0 && self.ids.sample == 0;
        if nothing && diagnostics.say_something() {
            return Err(diagnostics::nothing(self.source, diagnostics));
        }
        if self.ids.kernels == 0 {
            diagnostics::no_kernels(self.import, diagnostics, self.export.has("CUPTI_ACTIVITY_KIND_RUNTIME"));
        }
        self.devices.write(self.import)
    }
}

/// The first of these columns that names a text, or is one.
pub(super) fn name<'r>(strings: &'r Strings, row: &Row<'r>, numbers: &[usize], text: usize) -> Option<Cow<'r, str>> {
    let numbered = numbers.iter().find_map(|column| strings.get(row.int(*column)?));
    numbered.map(Cow::Borrowed).or_else(|| row.text(text)).filter(|name| !name.is_empty())
}

/// What a row is called whose name is not to be found.
pub(super) const UNKNOWN: &str = "[unknown]";
