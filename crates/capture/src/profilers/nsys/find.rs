//! Where nsys is, and whether it is whole.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::version::{OLDEST, Version};
use crate::process::ask::ask;
use crate::profilers::{Found, Missing};

/// Time that `nsys --version` gets; the first start from a cold disk reads some 40 MB.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where nsys lies below the root when it is not in `PATH`; `*` stands for any rest of a name.
const PLACES: &[&str] = &[
    "opt/nvidia/nsight-systems*/*/bin/nsys",
    "opt/nvidia/nsight-systems*/*/target-linux-*/nsys",
    "opt/nvidia/nsight-systems*/bin/nsys",
    "usr/local/cuda*/bin/nsys",
    "usr/local/cuda*/nsight-systems-*/bin/nsys",
    "usr/lib/nsight-systems/bin/nsys",
    // Nsight Compute brings one along.
    "opt/nvidia/nsight-compute/*/host/target-linux-*/nsys",
];

const INSTALL: &str = "install Nsight Systems (`sudo apt install nsight-systems` from NVIDIA's or Debian's non-free \
                       packages, or https://developer.nvidia.com/nsight-systems) and put nsys into PATH";

/// The first nsys that answers: those in `PATH`, then the usual places, the newest first.
///
/// # Errors
/// Where none answers, the one that does is too old, or it lacks its importer.
pub fn find() -> Result<Found, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut broken = None;
    for program in candidates(&path, Path::new("/")) {
        match version_of(&program) {
            Ok((version, printed)) => return check(program, version, printed),
            Err(reason) => {
                broken.get_or_insert_with(|| format!("{} does not work: {reason}", program.display()));
            }
        }
    }
    Err(Missing { reason: broken.unwrap_or_else(|| "nsys was not found".to_owned()), fix: INSTALL.to_owned() })
}

/// The programs to try, in order: existing files, each installation once.
pub fn candidates(path: &OsStr, root: &Path) -> Vec<PathBuf> {
    let in_path = std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join("nsys"));
    let elsewhere = PLACES.iter().flat_map(|place| {
        let mut files = expand(root, place);
        files.sort_by_key(|file| Reverse(version_in(file)));
        files
    });
    let (mut found, mut real): (Vec<PathBuf>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    for program in in_path.chain(elsewhere).filter(|program| program.is_file()) {
        // One installation has several names; what they lead to is compared.
        let leads_to = fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
        if !real.contains(&leads_to) {
            real.push(leads_to);
            found.push(program);
        }
    }
    found
}

/// The version in a path such as `/opt/nvidia/nsight-systems/2024.5.1/bin/nsys`.
fn version_in(path: &Path) -> Option<Version> {
    path.components().find_map(|part| part.as_os_str().to_str()?.parse().ok())
}

/// The paths that a pattern below `root` stands for; those without `*` need not exist.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').fold(vec![root.to_owned()], |folders, part| {
        let Some((start, _)) = part.split_once('*') else {
            return folders.into_iter().map(|folder| folder.join(part)).collect();
        };
        let entries = folders.into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
            .collect()
    })
}

fn version_of(program: &Path) -> Result<(Version, String), String> {
    let answer = ask(&[program.as_os_str(), "--version".as_ref()], &[], PATIENCE)?;
    let words = || answer.out.split_whitespace();
    words().find_map(|word| Some((word.parse().ok()?, word.split('-').next()?.to_owned()))).ok_or_else(|| {
        answer.last_line().map_or_else(
            || "it answers --version with nothing".to_owned(),
            |line| format!("its answer to --version names no version: {line}"),
        )
    })
}

fn check(program: PathBuf, version: Version, printed: String) -> Result<Found, Missing> {
    if version < OLDEST {
        return Err(Missing {
            reason: format!("{} is version {version}; {OLDEST} or newer is needed", program.display()),
            fix: "install a newer one from https://developer.nvidia.com/nsight-systems".to_owned(),
        });
    }
    let real = fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
    match lacks_importer(&real, Path::new("/")) {
        Some(missing) => Err(missing),
        None => Ok(Found { version: printed, path: Some(program) }),
    }
}

/// The importer of an installation, where it is in its usual place beside the folder of `nsys`.
pub fn importer(program: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(program).ok()?;
    let base = real.parent()?.parent()?;
    expand(base, "host-*").into_iter().map(|host| host.join("QdstrmImporter")).find(|importer| importer.is_file())
}

/// Why `nsys`, a path without links, will not find its importer.
///
/// Only an installation laid out as NVIDIA does it (`target-linux-x64/nsys` beside `host-linux-x64/`) can be judged; a
/// wrapper script is taken at its word. Debian 12 puts the two into different folders and links them one way only.
fn lacks_importer(real: &Path, root: &Path) -> Option<Missing> {
    let target = real.parent()?;
    let name = target.file_name()?.to_str()?.strip_prefix("target-")?;
    let base = target.parent()?;
    if expand(base, "host-*").iter().any(|host| host.is_dir()) {
        return None;
    }
    let expected = base.join(format!("host-{name}"));
    let elsewhere = root.join("usr/lib/nsight-systems").join(format!("host-{name}"));
    let fix = if elsewhere.is_dir() {
        format!("sudo ln -s {} {}", elsewhere.display(), expected.display())
    } else {
        "install the whole package: `sudo apt install nsight-systems`, not its target part alone".to_owned()
    };
    Some(Missing { reason: format!("{} cannot write reports: its importer was not found", real.display()), fix })
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
