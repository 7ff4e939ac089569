//! Nsight Systems exports in Parquet (`nsys export --type=parquetdir`): a directory with one file a table.

use crate::Error;
use crate::importers::{Importer, Session};
use crate::nsys::{self, Parquet};
use crate::raw::{Head, Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nsys_parquet",
    doc: "A directory of Parquet files from Nsight Systems (`nsys export --type=parquetdir`).",
    sniff,
    import,
};

/// A directory of nsys' tables, or any one Parquet file: no other format that is read here comes as Parquet, and the
/// error can then say what is missing.
fn sniff(head: &Head<'_>) -> bool {
    let stems = head.files.iter().filter_map(|name| name.strip_suffix(".parquet"));
    nsys::is_export(stems) || head.bytes.starts_with(b"PAR1")
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    if !source.is_dir() {
        return Err(Error::Unsupported {
            path: source.path().to_owned(),
            reason: "is one Parquet file: perhaps a table of an nsys export, which means nothing without the others"
                .to_owned(),
            hint: "import the folder that holds it".to_owned(),
        });
    }
    import.sink.set_pass("nsys");
    nsys::import(&Parquet::open(source)?, source, import)
}
