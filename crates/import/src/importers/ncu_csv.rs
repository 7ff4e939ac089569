//! The importer of what `ncu --csv` prints (`docs/importers/ncu.md`).

use super::{Importer, Session};
use crate::Error;
use crate::ncu;
use crate::raw::{Import, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "ncu_csv",
    doc: "Pages that Nsight Compute prints with --csv: raw, details, sections and chosen metrics.",
    sniff: |head| ncu::is_page(head.bytes),
    import,
};

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass(ncu::PASS);
    ncu::read(source, &|| source.reader(), import, None)?;
    Ok(ncu::session())
}
