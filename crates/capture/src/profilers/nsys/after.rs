//! After the run: the report's SQLite file, and what is left where there is no report.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::explain::explain;
use super::seal::Sealing;
use super::{command, find, private, program};
use crate::process::ask::{Answer, ask};
use crate::profilers::{Found, Launch, Missing, Note, Severity};

/// Time for an export or an import: reports of some GB take minutes.
const EXPORT: Duration = Duration::from_mins(30);
/// What is read from the start and from the end of what was printed; a target may print megabytes between.
const WINDOW: u64 = 64 << 10;

/// Leaves in the launch's folder: the report and its SQLite file without secrets, or whatever nsys had written until it ended. Tells
/// what went wrong. What is already there stays; nothing is removed but the run's own temporary folder.
pub fn after(found: &Found, launch: &Launch<'_>) -> Vec<Note> {
    let scratch = private::folder(launch);
    let report = command::report(launch.folder, launch.rank);
    let rescued = if report.is_file() { Vec::new() } else { rescue(found, launch, &scratch, &report) };
    // Later, since a report that nsys put elsewhere is there by now.
    let mut notes = printed(launch.folder, report.is_file());
    notes.extend(rescued);
    if report.is_file() {
        let database = command::database(launch.folder, launch.rank);
        let sealing = Sealing { nsys: program(found), report: &report, database: &database };
        notes.extend(sealing.run(launch.target));
    }
    // It is below the system's temporary folder: what cannot be removed goes with that.
    let _ = fs::remove_dir_all(&scratch);
    once(notes)
}

fn once(notes: Vec<Note>) -> Vec<Note> {
    let mut told: Vec<Note> = Vec::new();
    for note in notes {
        if told.iter().all(|other| other.code != note.code) {
            told.push(note);
        }
    }
    told
}

/// Writes the SQLite file of a report.
///
/// # Errors
/// Why there is none, each reason with its fix; a file that is there stays only when it was written anew.
pub fn export(nsys: &Path, report: &Path, database: &Path) -> Result<(), Vec<Note>> {
    let line = command::export(nsys, report, database);
    let words: Vec<_> = line.iter().map(std::ffi::OsString::as_os_str).collect();
    let failed = |reason: String| {
        let reason = format!("{} was not exported to SQLite: {reason}", report.display());
        vec![note(Severity::Error, "no_export", reason, "run `nsys export --type sqlite` on it by hand".to_owned())]
    };
    let answer = ask(&words, &[], EXPORT).map_err(failed)?;
    if answer.code == Some(0) && fs::metadata(database).is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    let known = explain(&both(&answer));
    if known.is_empty() { Err(failed(complaint(&answer))) } else { Err(known) }
}

/// Brings a report or what there is of one from the temporary folder into the launch's folder.
fn rescue(found: &Found, launch: &Launch<'_>, scratch: &Path, report: &Path) -> Vec<Note> {
    // nsys puts a report there when it cannot write where it was told.
    if let Some(other) = newest(scratch, "nsys-rep") {
        return match take(&other, report) {
            Ok(()) => Vec::new(),
            Err(error) => vec![lost(format!("{} cannot be written: {error}", report.display()))],
        };
    }
    let stream = report.with_extension("qdstrm");
    if let Some(other) = newest(scratch, "qdstrm")
        && let Err(error) = take(&other, &stream)
    {
        return vec![lost(format!("{} cannot be written: {error}", stream.display()))];
    }
    if !stream.is_file() {
        return vec![lost(format!("nsys left no report in {}", launch.folder.display()))];
    }
    import(found, &stream, report)
}

/// Makes a report of an intermediate file, which works only for one that is complete.
fn import(found: &Found, stream: &Path, report: &Path) -> Vec<Note> {
    let kept = format!("nsys wrote no report; what it had recorded is kept in {}", stream.display());
    let Some(importer) = find::importer(program(found)) else {
        let fix = "import it with the QdstrmImporter of the same version".to_owned();
        return vec![note(Severity::DataLoss, "no_report", kept, fix)];
    };
    let line = command::import(&importer, stream, report);
    let words: Vec<_> = line.iter().map(std::ffi::OsString::as_os_str).collect();
    match ask(&words, &[], EXPORT) {
        Ok(answer) if answer.code == Some(0) && report.is_file() => Vec::new(),
        Ok(answer) => {
            let known = explain(&both(&answer));
            if known.is_empty() { vec![lost(format!("{kept}: {}", complaint(&answer)))] } else { known }
        }
        Err(reason) => vec![lost(format!("{kept}: {reason}"))],
    }
}

fn lost(reason: String) -> Note {
    note(Severity::DataLoss, "no_report", reason, "see stderr.txt beside it, or capture again".to_owned())
}

fn note(severity: Severity, code: &'static str, reason: String, fix: String) -> Note {
    Note { severity, code, detail: Missing { reason, fix }.to_string() }
}

fn both(answer: &Answer) -> String {
    format!("{}\n{}", answer.out, answer.err)
}

fn complaint(answer: &Answer) -> String {
    answer.last_line().map_or_else(|| format!("it ended with {:?} and said nothing", answer.code), str::to_owned)
}

/// Moves a file, also to another disk.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(from, to).or_else(|_| {
        fs::copy(from, to).inspect_err(|_| {
            // A piece of a file would look like a whole one.
            let _ = fs::remove_file(to);
        })?;
        fs::remove_file(from)
    })
}

/// The file of that extension that was changed last.
fn newest(folder: &Path, extension: &str) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let files = files.filter(|file| file.extension().is_some_and(|found| found == extension));
    files.max_by_key(|file| fs::metadata(file).and_then(|data| data.modified()).ok())
}

/// What nsys said, among the target's own output.
///
/// Where there is a report only the notes count that can stand beside one: a target may print "End of file" itself.
fn printed(folder: &Path, reported: bool) -> Vec<Note> {
    let texts: Vec<String> = ["stderr.txt", "stdout.txt"].iter().map(|name| ends(&folder.join(name))).collect();
    let mut notes = explain(&texts.join("\n"));
    notes.retain(|note| !reported || ["trace_full", "no_permission"].contains(&note.code));
    notes
}

/// The first and the last [`WINDOW`] bytes of a file; empty where it cannot be read.
fn ends(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut text = Vec::new();
        file.by_ref().take(WINDOW).read_to_end(&mut text)?;
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW).max(text.len() as u64)))?;
        text.push(b'\n');
        file.take(WINDOW).read_to_end(&mut text)?;
        Ok(text)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_printed_the_beginning_and_the_end_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("stdout.txt");
        fs::write(&file, "short").expect("written");
        assert_eq!(ends(&file), "short\n");
        let long = format!("first{}last", "x".repeat(5 << 20));
        fs::write(&file, &long).expect("written");
        let read = ends(&file);
        assert!(read.starts_with("first") && read.ends_with("last") && read.len() < 200_000, "{}", read.len());
        assert_eq!(ends(&folder.path().join("absent")), "");
    }

    #[test]
    fn a_run_that_left_nothing_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = Found { version: "2022.4.2.1".to_owned(), path: Some(folder.path().join("nsys")) };
        let notes = after(&found, &Launch { target: &[], folder: folder.path(), rank: 0 });
        assert_eq!(notes.iter().map(|note| note.code).collect::<Vec<_>>(), ["no_report"]);
        assert!(notes[0].detail.contains("hint: "), "{}", notes[0].detail);
    }

    #[test]
    fn what_a_target_prints_is_not_taken_for_a_complaint_of_the_tool() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("stderr.txt"), "EOFError: End of file\nNo space left on device").expect("written");
        assert!(printed(folder.path(), true).is_empty());
        assert_eq!(printed(folder.path(), false).len(), 2);
    }
}
