//! CUPTI's activity records of an unmodified program: the CUDA driver loads proftool's library into it, which writes a file
//! (`docs/inject.md`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Found, Inject, Kind, Launch, Missing, Note, Profiler, Severity, Variables};

/// The injected recorder.
pub static PROFILER: Profiler = Profiler {
    name: "cupti",
    doc: "CUPTI activity records of any CUDA program, written by a library that the driver loads: kernels, copies, calls, NVTX",
    available,
    kind: Kind::Injected(Inject { environment, after }),
};

/// File of the library that the driver loads.
const LIBRARY: &str = "libproftool_inject.so";

/// Variable that names the library where it is not beside the program.
const LIBRARY_VARIABLE: &str = "PROFTOOL_INJECT_PATH";

/// What a loaded driver of NVIDIA shows.
const DRIVER: &str = "/proc/driver/nvidia/version";

fn available() -> Result<Found, Missing> {
    if !Path::new(DRIVER).exists() {
        return Err(Missing {
            reason: format!("no NVIDIA driver is loaded: {DRIVER} is absent"),
            fix: "install the driver, or start the container with its devices, for example `docker run --gpus all`"
                .to_owned(),
        });
    }
    let path = library(std::env::var_os(LIBRARY_VARIABLE), std::env::current_exe().ok().as_deref())?;
    let cupti = proftool_inject::find().ok_or_else(|| Missing {
        reason: "CUPTI was not found in the places where CUDA and Python wheels put it".to_owned(),
        fix: "`pip install nvidia-cuda-cupti-cu12`, or name the library with PROFTOOL_CUPTI_PATH".to_owned(),
    })?;
    let version = cupti.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Found { version, path: Some(path) })
}

/// The library: the stated one, or that beside the program, where cargo leaves it, or below the `lib` of its prefix.
fn library(stated: Option<OsString>, program: Option<&Path>) -> Result<PathBuf, Missing> {
    if let Some(stated) = stated.filter(|text| !text.is_empty()).map(PathBuf::from) {
        if stated.is_file() {
            return Ok(stated);
        }
        let reason = format!("{LIBRARY_VARIABLE} names {}, which is no file", stated.display());
        return Err(Missing { reason, fix: format!("let it name {LIBRARY}") });
    }
    let folder = program.and_then(Path::parent).unwrap_or(Path::new("."));
    let places =
        [folder.join(LIBRARY), folder.join("deps").join(LIBRARY), folder.join("../lib/proftool").join(LIBRARY)];
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| Missing {
        reason: format!("{LIBRARY} is not beside the program"),
        fix: format!("`cargo build --release -p proftool-inject`, or name it with {LIBRARY_VARIABLE}"),
    })
}

fn environment(found: &Found, launch: &Launch<'_>) -> Result<Variables, Missing> {
    let library = found.path.clone().ok_or_else(|| Missing {
        reason: format!("{LIBRARY} was not found"),
        fix: format!("name it with {LIBRARY_VARIABLE}"),
    })?;
    let mut variables = vec![
        (OsString::from("CUDA_INJECTION64_PATH"), library.into_os_string()),
        (OsString::from("PROFTOOL_RAW_DIR"), launch.folder.as_os_str().to_owned()),
        (OsString::from("PROFTOOL_RANK"), launch.rank.to_string().into()),
    ];
    // Without this NVTX hands its ranges to nobody; a tool that the user named keeps them.
    let named = std::env::var_os("NVTX_INJECTION64_PATH").is_some();
    if let Some(cupti) = proftool_inject::find().filter(|_| !named) {
        variables.push((OsString::from("NVTX_INJECTION64_PATH"), cupti.into_os_string()));
    }
    Ok(variables)
}

fn after(_: &Found, launch: &Launch<'_>) -> Vec<Note> {
    let entries = std::fs::read_dir(launch.folder).into_iter().flatten().flatten();
    let written = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".cupti.trace")).count();
    if written > 0 {
        return Vec::new();
    }
    let detail = "no process of the command wrote CUPTI records: it used no CUDA, or stderr.txt says why they could not be recorded";
    vec![Note { severity: Severity::Info, code: "no_cupti_records", detail: detail.to_owned() }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_the_stated_one_or_beside_the_program() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let program = folder.path().join("proftool");
        let missing = library(None, Some(&program)).expect_err("it is not there");
        assert!(missing.to_string().contains("cargo build --release -p proftool-inject"), "{missing}");
        let beside = folder.path().join(LIBRARY);
        std::fs::write(&beside, "").expect("the file can be written");
        assert_eq!(library(None, Some(&program)), Ok(beside.clone()));
        assert_eq!(library(Some(beside.clone().into_os_string()), None), Ok(beside));
        let wrong = library(Some("/no/such.so".into()), Some(&program)).expect_err("it names nothing");
        assert!(wrong.reason.contains("/no/such.so"), "{wrong}");
    }

    #[test]
    fn the_target_learns_of_the_library_and_of_the_folder() {
        let found = Found { version: "libcupti.so.12".to_owned(), path: Some("/x/lib.so".into()) };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let launch = Launch { target: &[], folder: folder.path(), rank: 0 };
        let variables = environment(&found, &launch).expect("the library is known");
        let of = |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!(of("CUDA_INJECTION64_PATH"), Some("/x/lib.so".into()));
        assert_eq!(of("PROFTOOL_RAW_DIR"), Some(folder.path().as_os_str().to_owned()));
        assert_eq!(after(&found, &launch)[0].code, "no_cupti_records");
        std::fs::write(folder.path().join("rank0.pid7.cupti.trace"), "").expect("the file can be written");
        assert!(after(&found, &launch).is_empty());
    }
}
