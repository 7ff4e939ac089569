//! The importer of what `ncu --csv` prints (`docs/importers/ncu.md`).

use std::fs::File;

use super::{Importer, Session};
use crate::Error;
use crate::ncu::{self, Report};
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
    let version = version_beside(source);
    ncu::read(source, &|| source.reader(), import, version.as_deref())?;
    Ok(ncu::session())
}

/// The version of ncu that collected the metrics. A page does not tell it; the report that it was printed from does, where
/// it lies beside the page under the same name, as captures leave it.
fn version_beside(source: &Source) -> Option<String> {
    let report = source.path().with_extension("ncu-rep");
    Report::read(File::open(report).ok()?).ok()?.version
}

#[cfg(test)]
mod tests {
    use crate::ncu::tests::Page;

    #[test]
    fn the_report_beside_a_page_tells_the_version_of_the_tool() {
        let page = "\"ID\",\"Process ID\",\"Process Name\",\"Host Name\",\"Kernel Name\",\"Context\",\"Stream\",\"Block Size\",\
                    \"Grid Size\",\"Device\",\"CC\",\"gpu__time_duration.sum\"\n\
                    \"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"nsecond\"\n\
                    \"0\",\"7\",\"app\",\"h\",\"k\",\"1\",\"7\",\"(1, 1, 1)\",\"(1, 1, 1)\",\"0\",\"9.0\",\"5\"\n";
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ncu-rank0.csv");
        std::fs::write(&path, page).expect("written");
        assert_eq!(Page::read(&path).tool_version(), None);
        std::fs::write(path.with_extension("ncu-rep"), b"NVR\0 2025.3.1.0 (build 5)").expect("written");
        assert_eq!(Page::read(&path).tool_version().as_deref(), Some("2025.3.1.0"));
    }
}
