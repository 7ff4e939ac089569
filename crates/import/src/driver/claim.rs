//! What a path holds: the files and directories that importers claim.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{names, ranks};
use crate::Error;
use crate::importers::{IMPORTERS, Importer};
use crate::raw::{Progress, Source};

/// A file or directory with the importer that claims it.
#[derive(Debug)]
pub struct Claimed {
    /// The importer.
    pub importer: &'static Importer,
    /// What it will read.
    pub source: Source,
    /// The rank that the rows get where the file itself does not tell.
    pub rank: i64,
}

/// What was found below a path.
#[derive(Debug, Default)]
pub struct Found {
    /// What importers claim, sorted by path.
    pub claimed: Vec<Claimed>,
    /// Files that are left out.
    pub passed_over: Vec<PassedOver>,
}

/// A file of a directory that is left out.
#[derive(Clone, Debug)]
pub struct PassedOver {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
    /// Whether it should have given rows: it is empty, was never fetched, is still being written, of a version that
    /// cannot be read, or needs a tool that is missing. A file that is cut short fails the import instead.
    pub lost: bool,
}

impl PassedOver {
    /// A file that an import of several can do without; the error itself for one that it cannot.
    pub(super) fn from_error(path: &Path, error: Error) -> Result<Self, Error> {
        let (reason, lost) = match error {
            Error::UnknownFormat { looks, .. } => (looks, false),
            Error::SummaryOnly { reason, .. } => (reason, false),
            Error::NoRows { .. }
            | Error::Empty { .. }
            | Error::LfsPointer { .. }
            | Error::Unsupported { .. }
            | Error::Tool { .. } => (error.to_string(), true),
            error => return Err(error),
        };
        Ok(Self { path: path.to_owned(), reason, lost })
    }
}

/// Finds what to import at `path`: the file, a directory that is one capture, or every file below a directory.
///
/// # Errors
/// For a single file what opening or claiming it says; for a directory [`Error::NothingInside`] when no file is
/// claimed, [`Error::AmbiguousFormat`] when several importers claim one.
pub fn find(path: &Path, progress: &Arc<Progress>) -> Result<Found, Error> {
    let source = Source::open(path, progress)?;
    if !source.is_dir() {
        return Ok(Found { claimed: vec![claimed(source)?], passed_over: Vec::new() });
    }
    let source = if is_capture(&source) { source.entry("raw")? } else { source };
    let mut found = Found::default();
    walk(source, &mut found)?;
    leave_out_reports(&mut found);
    if found.claimed.is_empty() {
        return Err(nothing_inside(path, &found.passed_over));
    }
    ranks::number(&mut found.claimed);
    Ok(found)
}

/// Whether a directory is a capture of proftool, whole or `.partial`: what the profilers wrote lies in its `raw/`.
fn is_capture(source: &Source) -> bool {
    let partial = source.path().extension().is_some_and(|ending| ending == "partial");
    let whole = source.head().files.iter().any(|name| name == "manifest.json");
    (partial || whole) && source.place().join("raw").is_dir()
}

/// Leaves out `x.nsys-rep` where `x.sqlite` or another export of it is there too, as `nsys profile --stats=true` leaves
/// them: the same events twice would double every number.
fn leave_out_reports(found: &mut Found) {
    let stem = |one: &Claimed| {
        let path = one.source.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        path.with_file_name(name.split('.').next().unwrap_or_default())
    };
    let exported = |report: &Claimed| {
        let family = report.importer.name.strip_suffix("_report").unwrap_or_default();
        let of_family =
            |one: &&Claimed| one.importer.name != report.importer.name && one.importer.name.starts_with(family);
        found.claimed.iter().filter(of_family).any(|one| stem(one) == stem(report))
    };
    let twice: Vec<bool> =
        found.claimed.iter().map(|one| one.importer.name.ends_with("_report") && exported(one)).collect();
    let mut twice = twice.into_iter();
    let (reports, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut found.claimed).into_iter().partition(|_| twice.next().unwrap_or_default());
    found.claimed = rest;
    found.passed_over.extend(reports.into_iter().map(|one| PassedOver {
        path: one.source.path().to_owned(),
        reason: "an export of the same report lies beside it".to_owned(),
        lost: false,
    }));
}

pub(super) fn nothing_inside(path: &Path, passed_over: &[PassedOver]) -> Error {
    let looked = match passed_over {
        [] => "it is empty; a capture that ended before anything was recorded leaves such a folder".to_owned(),
        [PassedOver { path, reason, .. }, rest @ ..] => {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
            format!("{} files were looked at; the first, {name}: {reason}", rest.len() + 1)
        }
    };
    Error::NothingInside { path: path.to_owned(), looked, tried: names(IMPORTERS) }
}

fn walk(source: Source, found: &mut Found) -> Result<(), Error> {
    match claim(&source) {
        Ok(importer) => {
            let rank = source.rank_hint().unwrap_or(0);
            found.claimed.push(Claimed { importer, source, rank });
        }
        // Of a capture inside the folder only what the profilers wrote is of interest.
        Err(Error::UnknownFormat { .. }) if is_capture(&source) => walk(source.entry("raw")?, found)?,
        Err(Error::UnknownFormat { .. }) if source.is_dir() => {
            let is_raw = source.path().components().any(|part| part.as_os_str() == "raw");
            for name in source.head().files {
                let place = source.place().join(name);
                // A command may print what looks like a request log.
                if is_raw && ["stdout.txt", "stderr.txt"].contains(&name.as_str()) {
                    let (path, reason) = (source.path().join(name), "it is what the command printed".to_owned());
                    found.passed_over.push(PassedOver { path, reason, lost: false });
                    continue;
                }
                if place.is_symlink() && (place.is_dir() || !place.exists()) {
                    // A link to a folder may lead back here, and one to nothing has nothing to give.
                    let reason = if place.exists() { "it is a link to a folder" } else { "it is a link to nothing" };
                    let (path, reason) = (source.path().join(name), reason.to_owned());
                    found.passed_over.push(PassedOver { path, reason, lost: false });
                    continue;
                }
                match source.entry(name) {
                    Ok(entry) => walk(entry, found)?,
                    Err(error) => {
                        found.passed_over.push(PassedOver::from_error(&source.path().join(name), error)?);
                    }
                }
            }
        }
        Err(error) => found.passed_over.push(PassedOver::from_error(source.path(), error)?),
    }
    Ok(())
}

/// A single file or directory with its importer.
pub(super) fn claimed(source: Source) -> Result<Claimed, Error> {
    let importer = claim(&source)?;
    let rank = source.rank_hint().unwrap_or(0);
    Ok(Claimed { importer, source, rank })
}

/// The one importer that claims a source.
fn claim(source: &Source) -> Result<&'static Importer, Error> {
    let head = source.head();
    let claims: Vec<&'static Importer> = IMPORTERS.iter().filter(|importer| (importer.sniff)(&head)).collect();
    let path = || source.path().to_owned();
    match claims.as_slice() {
        [importer] => Ok(importer),
        [] => Err(Error::UnknownFormat { path: path(), looks: head.looks(), tried: names(IMPORTERS) }),
        several => Err(Error::AmbiguousFormat { path: path(), claimed: names(several.iter().copied()) }),
    }
}
