//! CUPTI's activity records of an unmodified program: the CUDA driver loads proftool's library into it, which writes a file
//! (`docs/inject.md`).

pub(super) mod child;
pub(super) mod library;

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

pub use library::embed;

use super::{Found, Inject, Kind, Launch, Missing, Note, Profiler, Severity, Variables};

/// The injected recorder.
pub static PROFILER: Profiler = Profiler {
    name: "cupti",
    doc: "CUPTI activity records of any CUDA program, written by a library that the driver loads: kernels, copies, calls, NVTX",
    available,
    kind: Kind::Injected(Inject { environment, after }),
};

/// Variable by which the driver knows the library.
const INJECTION: &str = "CUDA_INJECTION64_PATH";

/// What a loaded kernel module of NVIDIA shows. Some containers, and Windows' Linux, hide it though CUDA works; device
/// files such as /dev/nvidiactl are no sign in its place, since they are also there where CUDA finds no device.
const MODULE: &str = "/proc/driver/nvidia/version";

fn available() -> Result<Found, Missing> {
    driver()?;
    let path = library::find()?;
    let cupti = proftool_inject::find().ok_or_else(|| Missing {
        reason: "CUPTI was not found in the places where CUDA and Python wheels put it".to_owned(),
        fix: "`pip install nvidia-cuda-cupti-cu12`, or name the library with PROFTOOL_CUPTI_PATH".to_owned(),
    })?;
    let version = cupti.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Found { version, path: Some(path) })
}

/// Whether a driver is there: its kernel module says so, or else it counts a device.
pub(super) fn driver() -> Result<(), Missing> {
    static COUNTED: OnceLock<Result<String, String>> = OnceLock::new();
    if Path::new(MODULE).exists() {
        return Ok(());
    }
    let count = || child::ask(|| proftool_inject::devices().map(|count| count.to_string()));
    let why = match COUNTED.get_or_init(count).as_deref() {
        Ok("0") => "the driver counts no device",
        Ok(_) => return Ok(()),
        Err(reason) => reason,
    };
    Err(Missing {
        reason: format!("no NVIDIA driver works here: {MODULE} is absent, and {why}"),
        fix: "install the driver, or start the container with its devices, for example `docker run --gpus all`"
            .to_owned(),
    })
}

fn environment(found: &Found, launch: &Launch<'_>) -> Result<Variables, Missing> {
    let path = found.path.clone().map_or_else(library::find, Ok)?;
    let library = library::provide(&path)?;
    let mut variables = vec![
        (OsString::from(INJECTION), library.into_os_string()),
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
    let mut notes: Vec<Note> = replaced(std::env::var_os(INJECTION)).into_iter().collect();
    if written > 0 {
        return notes;
    }
    let detail = "no process of the command wrote CUPTI records: it used no CUDA, or stderr.txt says why they could not be recorded";
    notes.push(Note { severity: Severity::Info, code: "no_cupti_records", detail: detail.to_owned() });
    notes
}

/// The driver loads one library: a tool that the user named took no part.
fn replaced(named: Option<OsString>) -> Option<Note> {
    let named = named.filter(|path| !path.is_empty())?;
    let detail = format!(
        "{INJECTION} named {}, which took no part: proftool's recorder stood in its place (hint: `--profile none` leaves it \
         as it is)",
        Path::new(&named).display()
    );
    Some(Note { severity: Severity::Info, code: "injection_replaced", detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_the_user_injects_is_not_replaced_silently() {
        assert!(replaced(None).is_none() && replaced(Some("".into())).is_none());
        let note = replaced(Some("/opt/other.so".into())).expect("it is told");
        assert!(note.detail.contains("/opt/other.so"), "{}", note.detail);
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
