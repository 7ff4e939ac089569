//! Nsight Systems reports (`.nsys-rep`, `.qdrep`), read by `nsys export` where nsys is installed.

use crate::Error;
use crate::importers::{Importer, Session};
use crate::nsys::{self, Sqlite};
use crate::raw::{Head, Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nsys_report",
    doc: "A report of Nsight Systems (.nsys-rep, .qdrep), exported by the nsys on PATH.",
    sniff,
    import,
};

fn sniff(head: &Head<'_>) -> bool {
    nsys::is_report(head.bytes)
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass("nsys");
    let (_folder, database) = nsys::export_report(source)?;
    nsys::import(&Sqlite::open_at(source, &database)?, source, import)
}
