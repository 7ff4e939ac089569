//! After a run: the report is printed beside itself, and what ncu said becomes notes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::command::{self, Files};
use super::{explain, tool};
use crate::profilers::{Missing, Note, Severity};

/// How long printing may take. It needs a minute for a gigabyte.
const LIMIT: Duration = Duration::from_mins(30);
/// Bytes of a log that are read, from its end: progress of many kernels may come before.
const LOG_BYTES: u64 = 4 << 20;

/// Prints the raw page of a report to a file beside it.
///
/// # Errors
/// When ncu cannot read the report or write the page; no page is left then.
pub fn print_page(program: &Path, report: &Path, page: &Path) -> Result<(), Missing> {
    // By its log-file option ncu writes the page itself, of any size.
    let mut arguments = command::print(report);
    arguments.extend(["--log-file".into(), page.as_os_str().to_owned()]);
    let said = tool::ask(program, arguments, LIMIT)?;
    let text = tail(page) + &said.text();
    if said.code == Some(0) && text.lines().any(|line| line.starts_with("\"ID\"")) {
        return Ok(());
    }
    // It holds a message and no page. Where there is none nothing is to be removed.
    let _ = fs::remove_file(page);
    let name = report.file_name().unwrap_or(report.as_os_str()).to_string_lossy();
    Err(match explain::explain(&text) {
        Some(told) => Missing { reason: format!("{name} could not be printed: {}", told.reason), fix: told.fix },
        None => Missing {
            reason: format!("{name} could not be printed: {}", explain::last_words(&text)),
            fix: "run `ncu --import REPORT --page raw` by hand to see why".to_owned(),
        },
    })
}

/// Prints the page of a finished launch, and tells what ncu said about it. `stderr` is the file with the launch's
/// standard error: complaints about its command line stand there, and only when it never began.
pub fn finish(program: &Path, files: &Files, stderr: &Path) -> Vec<Note> {
    let said = if files.log.exists() { tail(&files.log) } else { tail(stderr) };
    let mut notes: Vec<Note> = explain::explain_all(&said).into_iter().map(note).collect();
    if files.report.exists() {
        if let Err(missing) = print_page(program, &files.report, &files.page) {
            let detail = missing.to_string();
            notes.push(Note { severity: Severity::DataLoss, code: "report_not_printed", detail });
        }
    } else if notes.iter().all(|note| note.severity == Severity::Info) {
        let detail = format!(
            "ncu wrote no report; it said: {} (hint: run the target without a profiler to see whether it ends by itself; \
             ncu writes its report at the end)",
            explain::last_words(&said)
        );
        notes.push(Note { severity: Severity::DataLoss, code: "no_report", detail });
    }
    notes
}

fn note(explained: explain::Explained) -> Note {
    let explain::Explained { code, severity, reason, fix } = explained;
    Note { severity, code, detail: format!("{reason} (hint: {fix})") }
}

/// The end of a text file, nothing where there is none. A page is read from its beginning: it is short where it is a
/// message, and begins with its columns where it is not.
fn tail(file: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(file)?;
        let mut bytes = Vec::new();
        let length = file.metadata()?.len();
        if length > 2 * LOG_BYTES {
            file.by_ref().take(LOG_BYTES).read_to_end(&mut bytes)?;
            file.seek(SeekFrom::Start(length - LOG_BYTES))?;
        }
        file.take(2 * LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(log: Option<&str>) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), 0);
        if let Some(log) = log {
            fs::write(&files.log, log).unwrap();
        }
        (folder, files)
    }

    fn codes(notes: &[Note]) -> Vec<&'static str> {
        notes.iter().map(|note| note.code).collect()
    }

    #[test]
    fn without_a_report_the_notes_say_why() {
        let nowhere = Path::new("/nowhere");
        let (_folder, own) = files(Some("==WARNING== No kernels were profiled.\n"));
        let notes = finish(nowhere, &own, nowhere);
        assert_eq!((codes(&notes), notes[0].severity), (vec!["no_kernels"], Severity::DataLoss));
        let (_folder, own) = files(Some("==PROF== Connected to process 26 (/app)\n"));
        let notes = finish(nowhere, &own, nowhere);
        assert_eq!(codes(&notes), ["no_report"]);
        assert!(notes[0].detail.contains("Connected to process 26"), "{}", notes[0].detail);
    }

    #[test]
    fn standard_error_counts_only_when_ncu_never_began() {
        let nowhere = Path::new("/nowhere");
        let (folder, own) = files(None);
        let stderr = folder.path().join("stderr.txt");
        fs::write(&stderr, "unrecognised option '--nonsense'\n\nUse --help for further details.\n").unwrap();
        assert_eq!(codes(&finish(nowhere, &own, &stderr)), ["command_line"]);
        fs::write(&own.log, "==WARNING== No kernels were profiled.\n").unwrap();
        assert_eq!(codes(&finish(nowhere, &own, &stderr)), ["no_kernels"]);
    }

    #[test]
    fn a_report_that_cannot_be_printed_is_kept_and_told() {
        let (_folder, own) = files(Some(""));
        fs::write(&own.report, "NVR").unwrap();
        let notes = finish(Path::new("/nowhere/ncu"), &own, Path::new("/nowhere"));
        assert_eq!(codes(&notes), ["report_not_printed"]);
        assert!(own.report.exists() && !own.page.exists());
    }

    #[test]
    fn beginning_and_end_of_a_long_file_are_read() {
        let (_folder, own) = files(Some(&format!("first\n{}last\n", "x\n".repeat(5 << 20))));
        let text = tail(&own.log);
        assert!(text.starts_with("first") && text.ends_with("last\n") && text.len() as u64 == 2 * LOG_BYTES);
    }
}
