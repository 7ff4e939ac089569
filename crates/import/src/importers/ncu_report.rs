//! The importer of Nsight Compute's binary report, read by the ncu on PATH (`docs/importers/ncu.md`).

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::{Importer, Session};
use crate::Error;
use crate::ncu::{self, Report};
use crate::raw::tool::NCU;
use crate::raw::{Import, Severity, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "ncu_report",
    doc: "A report of Nsight Compute (.ncu-rep), printed by the ncu on PATH.",
    sniff: |head| ncu::is_report(head.bytes),
    import,
};

/// How long ncu may take. It needs a minute for a gigabyte.
const LIMIT: Duration = Duration::from_mins(30);

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    import.sink.set_pass(ncu::PASS);
    let report = Report::read(source.reader()?).map_err(|cause| source.io(cause))?;
    let folder = tempfile::TempDir::with_prefix("proftool-").map_err(|cause| source.io(cause))?;
    let page = folder.path().join("raw.csv");
    print(source, &report, &page)?;
    if let Some((newer, older)) = versions(&report, source).filter(|(newer, older)| ncu::is_newer(newer, older)) {
        let detail = format!(
            "the report was written by ncu {newer} and printed by ncu {older}, which may not know all of its metrics \
             and units (hint: {})",
            by_hand(source)
        );
        import.issue(Severity::Info, "older_tool", 1, detail);
    }
    let open = || Ok(Box::new(File::open(&page).map_err(|cause| source.io(cause))?) as _);
    ncu::read(source, &open, import, report.version.as_deref())?;
    Ok(ncu::session())
}

/// Lets ncu print the raw page in base units.
fn print(source: &Source, report: &Report, page: &Path) -> Result<(), Error> {
    let file = source.on_disk()?;
    let fixed = ["--csv", "--page", "raw", "--print-units", "base", "--log-file"].map(OsStr::new);
    let arguments = [OsStr::new("--import"), file.as_os_str()].into_iter().chain(fixed).chain([page.as_os_str()]);
    let output = NCU.run(arguments, source.path(), LIMIT).map_err(|error| with_version(error, report))?;
    if output.status.success() && page.exists() {
        return Ok(());
    }
    // What it says goes to the page instead of its output.
    let said = std::fs::read(page).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let said =
        said.lines().rev().find(|line| !line.trim().is_empty()).map_or_else(|| output.last_words(), str::to_owned);
    let reason = match versions(report, source) {
        Some((newer, older)) if ncu::is_newer(&newer, &older) => {
            format!("it was written by ncu {newer}, newer than the ncu {older} on PATH, which says: {said}")
        }
        Some((wrote, reads)) => format!("ncu {reads} says: {said} (the report was written by ncu {wrote})"),
        None => format!("ncu says: {said}"),
    };
    let wanted =
        report.version.as_deref().map_or_else(String::new, |version| format!("install ncu {version} or newer, or "));
    Err(NCU.error(source.path(), reason, format!("{wanted}{}", by_hand(source))))
}

/// How to make what can be imported without the right ncu here.
fn by_hand(source: &Source) -> String {
    let name = source.path().file_name().unwrap_or(source.path().as_os_str()).to_string_lossy().into_owned();
    format!(
        "on the machine that made it run `ncu --import {name} --csv --page raw --print-units base > {name}.csv` and \
         import that file"
    )
}

/// Versions of the ncu that wrote the report and of the one on PATH.
fn versions(report: &Report, source: &Source) -> Option<(String, String)> {
    let output = NCU.run(["--version"], source.path(), LIMIT).ok()?;
    Some((report.version.clone()?, ncu::find_version(output.stdout.as_bytes())?))
}

/// The error of a tool that is not there, with the version that is needed.
fn with_version(error: Error, report: &Report) -> Error {
    match (error, &report.version) {
        (Error::Tool { path, reason, hint }, Some(version)) => {
            Error::Tool { path, reason: format!("{reason}; the report was written by ncu {version}"), hint }
        }
        (other, _) => other,
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "values are the printed ones to the bit")]
mod tests {
    use super::*;
    use crate::fixture::{import_bytes, shared_data};

    /// Whether the ncu on PATH is the one that Debian 12 ships.
    fn debian_ncu() -> bool {
        let output = NCU.run(["--version"], Path::new("x"), LIMIT);
        output.is_ok_and(|output| output.stdout.contains("Version 2022.3"))
    }

    #[test]
    fn a_report_newer_than_the_installed_ncu_says_so() {
        let Some(path) = shared_data("ncu/gb200_cuda_graph_full/report.2025.3.ncu-rep") else { return };
        let error = crate::driver::into_memory(&path).unwrap_err().to_string();
        let parts: &[&str] = if debian_ncu() {
            &["written by ncu 2025.3.1.0, newer than the ncu 2022.3.0.0 on PATH", "Failed to load report file"]
        } else if NCU.find(&path).is_err() {
            &["ncu is not on PATH", "written by ncu 2025.3.1.0", "scripts/install_profilers.sh"]
        } else {
            return;
        };
        for part in parts.iter().chain(&["ncu --import", "--page raw"]) {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_report_is_printed_and_imported_with_its_version() {
        let examples = Path::new("/usr/share/doc/nsight-compute/examples/uncoalescedGlobalAccesses");
        let path = examples.join("addConstDouble.ncu-rep");
        if !debian_ncu() || !path.exists() {
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no ncu 2022.3 with its examples\n").unwrap();
            return;
        }
        let base = ncu::tests::Page::of(crate::driver::into_memory(&path).unwrap().1);
        assert_eq!(base.get(0, "dram__bytes_read.sum"), 25_170_048.0);
        assert_eq!(base.get(0, "gpu__time_duration.sum"), 239_008.0);
        assert_eq!(base.tool_version().as_deref(), Some("2022.1.1.0"));
        assert_eq!(base.launches("grid")[0].as_deref(), Some("(12288,1,1)"));
        // The page with scaled units, printed to six decimals, holds the same values.
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("auto.csv");
        let arguments = ["--csv", "--page", "raw", "--print-units", "auto", "--import"].map(OsStr::new);
        let all = arguments.into_iter().chain([path.as_os_str(), OsStr::new("--log-file"), page.as_os_str()]);
        assert!(NCU.run(all, &path, LIMIT).unwrap().status.success());
        let scaled = ncu::tests::Page::read(&page);
        assert_eq!(base.counters.len(), scaled.counters.len());
        for ((key, (ours, unit)), (other, (theirs, scaled_unit))) in base.counters.iter().zip(&scaled.counters) {
            assert_eq!((key, unit), (other, scaled_unit));
            // Base units are printed to two decimals, scaled ones to six.
            let rounding = 0.005 + 0.5e-6 * theirs.abs();
            assert!((ours - theirs).abs() <= rounding, "{key:?}: {ours} and {theirs}");
        }
    }

    #[test]
    fn what_only_begins_like_a_report_fails_with_what_ncu_says() {
        let error = import_bytes("r.ncu-rep", b"NVR\0\x02\0\0\0 cut").unwrap_err();
        assert!(matches!(error, Error::Tool { .. }), "{error}");
    }
}
