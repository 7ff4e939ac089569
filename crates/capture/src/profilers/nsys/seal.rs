//! The report and its SQLite file without secrets.
//!
//! nsys keeps more than the run: its own environment, its command line, and the environment of every process of the
//! machine that the user may look into (seen of 2022.4.2, which reads `/proc/*/environ` when the target starts and again for
//! each process that the target starts). So nothing that the target is given or denied makes a report safe; the files are
//! cleaned once they are written, and the export tells whether that worked. A report that cannot be cleaned goes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::mask::{Masked, mask};
use super::{after, clean};
use crate::environment::{Secret, secrets, secrets_of_line};
use crate::profilers::{Note, Severity};

/// Environment variable that keeps a report that holds secrets.
const KEEP: &str = "PROFTOOL_KEEP_NSYS_REPORT";

/// What to work on.
pub(super) struct Sealing<'a> {
    pub(super) nsys: &'a Path,
    pub(super) report: &'a Path,
    pub(super) database: &'a Path,
}

impl Sealing<'_> {
    /// Writes the SQLite file, masks the secrets in the report and takes what identifies out of the SQLite file.
    pub(super) fn run(&self, target: &[OsString]) -> Vec<Note> {
        let mut known = of_this_process(target);
        let first = match self.export_masked(&known) {
            Ok(masked) => masked,
            Err(notes) => return notes,
        };
        let (left, more) = match self.mask_rest(&mut known, first.is_some()) {
            Ok(found) => found,
            Err(error) => return vec![unclean(self.database, &error)],
        };
        let mut notes = Vec::new();
        if !left.is_empty() {
            notes.push(self.give_up(&left));
        } else if first.into_iter().chain(more).any(|masked| !masked.is_empty()) {
            notes.push(masked_note(&known, self.report));
        }
        if let Err(error) = clean::clean(self.database, &known) {
            notes.push(unclean(self.database, &error));
        }
        notes
    }

    /// Masks and exports. None where the masked report could not be read any more: then it is as nsys wrote it.
    ///
    /// # Errors
    /// Where it cannot be exported, masked or not; the report stays masked.
    fn export_masked(&self, secrets: &[Secret]) -> Result<Option<Masked>, Vec<Note>> {
        // What cannot be masked shows in the export.
        let masked = mask(self.report, secrets).ok();
        let Err(notes) = self.export() else { return Ok(masked) };
        let Some(masked) = masked.filter(|masked| !masked.is_empty()) else { return Err(notes) };
        if masked.undo(self.report).is_ok() && self.export().is_ok() {
            return Ok(None);
        }
        // It was not the mask: a damaged report is handed on without secrets, too.
        let _ = mask(self.report, secrets);
        Err(notes)
    }

    /// Masks what the export showed besides, and adds it to `known`. Returns what the report still holds.
    fn mask_rest(&self, known: &mut Vec<Secret>, maskable: bool) -> rusqlite::Result<(Vec<Secret>, Option<Masked>)> {
        let left = clean::find(self.database, known)?;
        known.extend(left.iter().cloned());
        if left.is_empty() || !maskable {
            return Ok((left, None));
        }
        match self.export_masked(&left) {
            Ok(Some(masked)) if !masked.is_empty() => Ok((clean::find(self.database, known)?, Some(masked))),
            _ => Ok((left, None)),
        }
    }

    fn export(&self) -> Result<(), Vec<Note>> {
        after::export(self.nsys, self.report, self.database)
    }

    fn give_up(&self, left: &[Secret]) -> Note {
        let report = self.report.file_name().unwrap_or_default().to_string_lossy();
        let whose = names(left);
        if std::env::var_os(KEEP).is_some_and(|value| !value.is_empty()) {
            let detail = format!("{report} holds secrets ({whose}); {KEEP} keeps it (hint: do not hand it on)");
            return Note { severity: Severity::Error, code: "secrets_in_report", detail };
        }
        // One that cannot be removed is told below all the same: the folder is not writable then.
        let removed = fs::remove_file(self.report).is_ok();
        let what = if removed { "was removed" } else { "could not be removed" };
        let detail = format!(
            "{report} held secrets ({whose}) that could not be masked, and {what}; its tables are kept in the SQLite file \
             (hint: capture without these variables, or set {KEEP}=1)"
        );
        Note { severity: if removed { Severity::Info } else { Severity::Error }, code: "report_removed", detail }
    }
}

/// The secrets of proftool's own environment, and of the command that is profiled.
fn of_this_process(target: &[OsString]) -> Vec<Secret> {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let variables: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let mut found = secrets(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let line: Vec<String> = target.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    found.extend(secrets_of_line(&line));
    found
}

fn masked_note(known: &[Secret], report: &Path) -> Note {
    let report = report.file_name().unwrap_or_default().to_string_lossy();
    let detail = format!(
        "secrets ({}) were overwritten in {report}; it still names the host, its processes and their other variables",
        names(known)
    );
    Note { severity: Severity::Info, code: "secrets_masked", detail }
}

fn names(secrets: &[Secret]) -> String {
    let mut names: Vec<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn unclean(database: &Path, error: &rusqlite::Error) -> Note {
    let file = database.file_name().unwrap_or_default().to_string_lossy();
    let detail = format!(
        "{file} could not be cleaned: {error}; it and the report may hold the environment of this machine's processes \
         (hint: free some space and capture again, and do not hand the raw files on)"
    );
    Note { severity: Severity::Error, code: "not_cleaned", detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SECRET: &str = "hunter2-of-the-target";

    /// A tool whose export copies what `script` makes of the report into a database.
    fn tool(folder: &Path, script: &str) -> std::path::PathBuf {
        let path = folder.join("nsys");
        let text = format!(
            "#!/bin/sh\nfor last; do report=$last; case $last in --output=*) out=${{last#*=}};; esac; done\n{script}\n"
        );
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    fn seal(script: &str, report: &str) -> (Vec<&'static str>, Option<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let template = folder.path().join("template");
        let made = rusqlite::Connection::open(&template).expect("made");
        made.execute_batch("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)").expect("made");
        made.execute("INSERT INTO StringIds VALUES (1, ?)", [format!("A=b\0API_TOKEN={SECRET}")]).expect("filled");
        made.execute("INSERT INTO StringIds VALUES (2, 'x')", []).expect("filled");
        drop(made);
        let empty = folder.path().join("empty");
        let other = rusqlite::Connection::open(&empty).expect("made");
        other.execute_batch("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)").expect("made");
        drop(other);
        let nsys = tool(folder.path(), &script.replace('@', &folder.path().display().to_string()));
        let path = folder.path().join("nsys.nsys-rep");
        fs::write(&path, report).expect("written");
        let database = folder.path().join("nsys.sqlite");
        let notes = Sealing { nsys: &nsys, report: &path, database: &database }.run(&[]);
        (notes.iter().map(|note| note.code).collect(), fs::read_to_string(&path).ok())
    }

    /// Exports the secret as long as the report holds it.
    const HONEST: &str = "if grep -q hunter2 $report; then cp @/template $out; else cp @/empty $out; fi";

    #[test]
    fn the_secret_of_another_process_is_masked_once_the_export_shows_it() {
        let (codes, report) = seal(HONEST, &format!("head {SECRET} tail"));
        assert_eq!(codes, ["secrets_masked"]);
        assert_eq!(report, Some(format!("head {} tail", "x".repeat(SECRET.len()))));
    }

    #[test]
    fn a_report_whose_secret_cannot_be_found_is_removed() {
        let (codes, report) = seal("cp @/template $out", "compressed beyond recognition");
        assert_eq!((codes, report), (vec!["report_removed"], None));
    }

    #[test]
    fn a_report_that_cannot_be_read_once_masked_is_removed() {
        let script = "grep -q hunter2 $report || { echo checksum >&2; exit 1; }; cp @/template $out";
        assert_eq!(seal(script, &format!("head {SECRET} tail")), (vec!["report_removed"], None));
    }

    #[test]
    fn a_report_without_secrets_stays_as_it_is() {
        let (codes, report) = seal("cp @/empty $out", "nothing to hide");
        assert_eq!((codes, report.as_deref()), (vec![], Some("nothing to hide")));
    }
}
