//! FLOP and bytes of each kernel by CUPTI's range profiler, from inside the program and without Nsight Compute
//! (`docs/inject.md`). Kernels run one after the other, each as often as its metrics need, so that the pass has counts and
//! no timeline, as one of Nsight Compute.

pub mod metrics;

use std::ffi::OsString;
use std::sync::OnceLock;

use proftool_inject::host::Host;

use super::ncu::resolve::MetricSet;
use super::{Found, Inject, Kind, Launch, Missing, Note, Profiler, Severity, Variables, cupti};

/// The injected recorder, counting.
pub static PROFILER: Profiler = Profiler {
    name: "cupti_counters",
    doc: "CUPTI's range profiler: FLOP and bytes of each kernel without Nsight Compute; replays kernels",
    available,
    kind: Kind::Injected(Inject { environment, after }),
};

/// What the kernel module says about itself, and about this process.
const PARAMETERS: &str = "/proc/driver/nvidia/params";
const STATUS: &str = "/proc/self/status";
/// `CAP_SYS_ADMIN`, by number.
const ADMIN: u32 = 21;

fn available() -> Result<Found, Missing> {
    cupti::driver()?;
    let path = cupti::library::find()?;
    let host = host()?;
    let [parameters, status] = [PARAMETERS, STATUS].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    permission(&parameters, &status)?;
    wanted(&host)?;
    Ok(Found { version: format!("CUPTI API {}", host.version()), path: Some(path) })
}

/// CUPTI, if it is new enough.
fn host() -> Result<Host, Missing> {
    Host::load(proftool_inject::find().as_deref()).map_err(|refusal| Missing {
        reason: format!("no CUPTI that counts: {refusal}"),
        fix: "`pip install nvidia-cuda-cupti-cu12` (12.6 or newer), or name the library with PROFTOOL_CUPTI_PATH"
            .to_owned(),
    })
}

/// Whether this process may count, by the kernel module's parameters and the status of the process.
fn permission(parameters: &str, status: &str) -> Result<(), Missing> {
    let value = |text: &str, name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let restricted = value(parameters, "RmProfilingAdminOnly:").as_deref() == Some("1");
    let capabilities = value(status, "CapEff:").and_then(|text| u64::from_str_radix(&text, 16).ok());
    let administrator = capabilities.is_some_and(|all| all >> ADMIN & 1 == 1);
    if !restricted || administrator {
        return Ok(());
    }
    Err(Missing {
        reason: "the driver lets only administrators count (RmProfilingAdminOnly: 1)".to_owned(),
        fix: "run as root, give the container `--cap-add SYS_ADMIN`, or load the kernel module with \
              NVreg_RestrictProfilingToAdminUsers=0 (https://developer.nvidia.com/ERR_NVGPUCTRPERM)"
            .to_owned(),
    })
}

/// The metrics of a roofline that all GPUs of this machine count, and what they do not count.
fn wanted(host: &Host) -> Result<(Vec<String>, Vec<&'static str>), Missing> {
    let sets: Result<Vec<MetricSet>, Missing> =
        chips(host)?.iter().map(|chip| metrics::metrics(host, chip, metrics::WANTED)).collect();
    common(&sets?).ok_or_else(|| Missing {
        reason: "the driver sees no GPU".to_owned(),
        fix: "run `nvidia-smi`, and look at CUDA_VISIBLE_DEVICES".to_owned(),
    })
}

/// The chips of this machine's GPUs, each once.
fn chips(host: &Host) -> Result<Vec<String>, Missing> {
    static CHIPS: OnceLock<Result<String, String>> = OnceLock::new();
    let question = || host.device_chips().map(|chips| chips.join("\n")).map_err(|refusal| refusal.to_string());
    let told = CHIPS.get_or_init(|| cupti::child::ask(question)).as_ref().map_err(|reason| Missing {
        reason: format!("CUPTI does not tell the chips of this machine: {reason}"),
        fix: "run `nvidia-smi`; the driver's CUDA must not be older than CUPTI's".to_owned(),
    })?;
    let mut chips: Vec<String> = told.lines().map(str::to_owned).collect();
    chips.sort_unstable();
    chips.dedup();
    Ok(chips)
}

/// What every set has, and what any lacks; `None` without a set.
fn common(sets: &[MetricSet]) -> Option<(Vec<String>, Vec<&'static str>)> {
    let everywhere = |metric: &&str| sets.iter().all(|set| set.metrics().contains(metric));
    let names = sets.first()?.metrics().into_iter().filter(everywhere).map(str::to_owned).collect();
    let mut unresolved: Vec<_> = sets.iter().flat_map(|set| set.unresolved.iter().copied()).collect();
    unresolved.sort_unstable();
    unresolved.dedup();
    Some((names, unresolved))
}

fn environment(found: &Found, launch: &Launch<'_>) -> Result<Variables, Missing> {
    let (names, _) = wanted(&host()?)?;
    let library = cupti::library::provide(&found.path.clone().map_or_else(cupti::library::find, Ok)?)?;
    let mut variables: Variables = vec![
        ("CUDA_INJECTION64_PATH".into(), library.into_os_string()),
        ("PROFTOOL_RAW_DIR".into(), launch.folder.as_os_str().to_owned()),
        ("PROFTOOL_RANK".into(), launch.rank.to_string().into()),
        ("PROFTOOL_CUPTI_METRICS".into(), names.join(",").into()),
    ];
    // The one whose names these are: a program may bring an older CUPTI, which cannot count.
    variables
        .extend(proftool_inject::find().map(|path| (OsString::from("PROFTOOL_CUPTI_PATH"), path.into_os_string())));
    Ok(variables)
}

fn after(_: &Found, launch: &Launch<'_>) -> Vec<Note> {
    let entries = std::fs::read_dir(launch.folder).into_iter().flatten().flatten();
    let written = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".cupti.trace")).count();
    if written == 0 {
        let detail =
            "no process of the command wrote counts: it used no CUDA, or stderr.txt says why nothing was counted";
        return vec![Note { severity: Severity::Info, code: "no_cupti_counters", detail: detail.to_owned() }];
    }
    let lacking = host().and_then(|host| wanted(&host)).map(|(_, unresolved)| unresolved).unwrap_or_default();
    let note = || Note {
        severity: Severity::Info,
        code: "not_counted",
        detail: format!("CUPTI does not count on this GPU, or not in full: {}", lacking.join(", ")),
    };
    (!lacking.is_empty()).then(note).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restricted_driver_without_the_capability_forbids_to_count() {
        let (restricted, open) = ("A: 1\nRmProfilingAdminOnly: 1\n", "RmProfilingAdminOnly: 0\n");
        let (user, admin) = ("CapEff:\t0000000000000000\n", "Name:\tx\nCapEff:\t000001ffffffffff\n");
        let missing = permission(restricted, user).expect_err("it is forbidden").to_string();
        assert!(missing.contains("NVreg_RestrictProfilingToAdminUsers=0"), "{missing}");
        for (parameters, status) in [(restricted, admin), (open, user), ("", "")] {
            assert_eq!(permission(parameters, status), Ok(()));
        }
    }

    #[test]
    fn gpus_of_several_kinds_are_asked_for_what_all_count() {
        let set = |names: &[&str], unresolved: &[&'static str]| MetricSet {
            chosen: vec![("time", names.iter().map(|&name| name.to_owned()).collect())],
            unresolved: unresolved.to_vec(),
        };
        let (names, lacking) = common(&[set(&["a", "b", "c"], &["f16"]), set(&["c", "a"], &["f16", "f64"])]).unwrap();
        assert_eq!((names, lacking), (vec!["a".to_owned(), "c".to_owned()], vec!["f16", "f64"]));
        assert!(common(&[]).is_none());
    }

    #[test]
    fn a_run_without_counts_is_noted() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let found = Found { version: String::new(), path: None };
        let launch = Launch { target: &[], folder: folder.path(), rank: 0 };
        assert_eq!(after(&found, &launch)[0].code, "no_cupti_counters");
    }
}
