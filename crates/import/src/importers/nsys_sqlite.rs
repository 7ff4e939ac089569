//! Nsight Systems exports in SQLite (`nsys export --type=sqlite`), schema 2.9 and newer.

use crate::Error;
use crate::importers::{Importer, Session};
use crate::nsys::{self, Sqlite};
use crate::raw::{Head, Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nsys_sqlite",
    doc: "A SQLite export of Nsight Systems (`nsys export --type=sqlite`).",
    sniff,
    import,
};

fn sniff(head: &Head<'_>) -> bool {
    nsys::is_export(head.sqlite.iter().map(String::as_str))
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass("nsys");
    nsys::import(&Sqlite::open(source)?, source, import)
}
