//! Where ncu lies, and its version.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tool;
use crate::profilers::{Found, Missing};

/// How long `ncu --version` may take: it takes milliseconds, seconds from a cold network folder.
const LIMIT: Duration = Duration::from_secs(20);

/// The ncu of this machine: the first on `PATH`, else the newest of the CUDA toolkits and of `/opt/nvidia`.
///
/// # Errors
/// When there is none, or none that tells its version.
pub fn find() -> Result<Found, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    choose(candidates(&path, Path::new("/")))
}

/// The first candidate that is Nsight Compute. The npm package `npm-check-updates` installs a program of the same name.
fn choose(candidates: Vec<PathBuf>) -> Result<Found, Missing> {
    let mut refused = None;
    for candidate in candidates {
        match tool::ask(&candidate, ["--version"], LIMIT).map(|said| (version(&said.text()), said)) {
            Ok((Some(version), _)) => return Ok(Found { version, path: Some(candidate) }),
            Ok((None, said)) => {
                let words: String = said.text().split_whitespace().take(8).collect::<Vec<_>>().join(" ");
                refused.get_or_insert(format!("{} is not Nsight Compute, it says: {words}", candidate.display()));
            }
            Err(missing) => {
                refused.get_or_insert(missing.reason);
            }
        }
    }
    let reason = refused.unwrap_or_else(|| {
        "ncu (Nsight Compute) is not on PATH, in /usr/local/cuda*/bin or in /opt/nvidia/nsight-compute".to_owned()
    });
    let fix = "install Nsight Compute: Debian's package nsight-compute of the non-free component \
               (scripts/install_profilers.sh), or a newer one from https://developer.nvidia.com/nsight-compute, and put \
               its folder first on PATH";
    Err(Missing { reason, fix: fix.to_owned() })
}

/// Every program that may be ncu, the best first; `root` is `/` but for tests.
fn candidates(path: &OsStr, root: &Path) -> Vec<PathBuf> {
    let on_path = std::env::split_paths(path).map(|folder| folder.join("ncu"));
    let toolkits = folders(&root.join("usr/local"), "cuda").into_iter().map(|folder| folder.join("bin/ncu"));
    let own = folders(&root.join("opt/nvidia/nsight-compute"), "").into_iter().map(|folder| folder.join("ncu"));
    // Nsight Compute's own packages are newer than the copy in a toolkit.
    let all = on_path.chain(own).chain(toolkits);
    let mut known = Vec::new();
    all.filter(|file| {
        is_executable(file) && !known.contains(file) && {
            known.push(file.clone());
            true
        }
    })
    .collect()
}

/// Folders whose names begin so, the largest version first.
fn folders(parent: &Path, start: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name.strip_prefix(start)?.to_owned();
            Some((numbers(&rest), entry.path()))
        })
        .collect();
    // Of two with the same numbers the order of names, so that the choice is the same every time.
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn numbers(name: &str) -> Vec<u32> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The version in what `ncu --version` prints: `2022.3.0.0` of `Version 2022.3.0.0 (build 31729285) (public-release)`.
fn version(text: &str) -> Option<String> {
    if !text.contains("Nsight Compute") {
        return None;
    }
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Version "))?;
    let version: String = line.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "NVIDIA (R) Nsight Compute Command Line Profiler\nCopyright (c) 2018-2022 NVIDIA Corporation\n\
                           Version 2022.3.0.0 (build 31729285) (public-release)\n";

    fn program(root: &Path, place: &str, says: &str) -> PathBuf {
        let file = root.join(place);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, format!("#!/bin/sh\ncat <<'END'\n{says}\nEND\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    #[test]
    fn a_version_is_that_of_nsight_compute_only() {
        assert_eq!(version(VERSION).as_deref(), Some("2022.3.0.0"));
        assert_eq!(version("16.14.20"), None, "npm-check-updates");
        assert_eq!(version("Nsight Compute\nVersion unknown"), None);
    }

    #[test]
    fn path_comes_first_then_the_newest_package_then_the_newest_toolkit() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for place in ["usr/local/cuda-9.2/bin/ncu", "usr/local/cuda-12.10/bin/ncu", "usr/local/cuda-12.9/bin/ncu"] {
            program(root, place, VERSION);
        }
        let own = program(root, "opt/nvidia/nsight-compute/2025.1.0/ncu", VERSION);
        let first = program(root, "bin/ncu", VERSION);
        std::fs::write(root.join("opt/nvidia/nsight-compute/notes.txt"), "").unwrap();
        let path = std::env::join_paths([root.join("nothing"), root.join("bin"), root.join("bin")]).unwrap();
        let toolkits = ["12.10", "12.9", "9.2"].map(|version| root.join(format!("usr/local/cuda-{version}/bin/ncu")));
        assert_eq!(candidates(&path, root), [[first, own].as_slice(), &toolkits].concat());
    }

    #[test]
    fn another_program_of_the_name_is_passed_over_and_told_when_it_is_the_only_one() {
        let root = tempfile::tempdir().unwrap();
        let npm = program(root.path(), "npm/ncu", "16.14.20");
        let real = program(root.path(), "cuda/ncu", VERSION);
        let found = choose(vec![npm.clone(), real.clone()]).unwrap();
        assert_eq!(found, Found { version: "2022.3.0.0".to_owned(), path: Some(real) });
        let missing = choose(vec![npm]).unwrap_err();
        assert!(missing.reason.contains("not Nsight Compute, it says: 16.14.20"), "{missing}");
        let missing = choose(Vec::new()).unwrap_err().to_string();
        assert!(missing.contains("not on PATH") && missing.contains("nsight-compute"), "{missing}");
    }
}
