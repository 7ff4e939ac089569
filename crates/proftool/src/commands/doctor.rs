//! `proftool doctor`: what this machine can do, and the fix for what it cannot.

mod cuda;

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::DataFrame;
use proftool_capture::profilers::PROFILERS;
use proftool_trace::artifact;
use proftool_trace::frame::text_column;

use crate::ceilings::{self, store};
use crate::failure::{Failure, Kind, Outcome};
use crate::output::{self, Format};

/// Show what this machine can do, and the fix for what it cannot.
///
/// Each line is `ok`, `degraded` (it works, with something missing or imprecise) or `missing`, with what mends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  proftool doctor
  proftool doctor --artifacts artifacts --format json")]
pub(crate) struct Args {
    /// Folder whose disk is looked at, and whose interrupted captures are named
    #[arg(long, value_name = "DIR", default_value = "artifacts")]
    artifacts: PathBuf,
    /// How to print the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const OK: &str = "ok";
const DEGRADED: &str = "degraded";
const MISSING: &str = "missing";

/// What is looked at, its state, what was found, what mends it.
type Row = [String; 4];

/// A disk with less free space than this is named: one capture of a long run takes some GB.
const LITTLE_SPACE: u64 = 5 << 30;
/// Sentences are wrapped at this width where the terminal does not say otherwise.
const WIDTH: usize = 120;

pub(crate) fn run(args: &Args) -> Outcome {
    let machine = proftool_hardware::probe();
    let cpu = &machine.cpu;
    let cores = cpu.cores.len();
    let mut rows = vec![
        row("processor", OK, &format!("{} ({}), {cores} cores", cpu.model_name, cpu.arch), ""),
        row("instruction sets", OK, &cpu.isas.join(", "), ""),
        roofs(&machine),
    ];
    rows.extend(gpu_roofs());
    rows.extend(cuda::rows());
    rows.extend(profilers());
    rows.push(gpu_counters(&text("/proc/driver/nvidia/params"), is_root()));
    rows.push(perf_events(
        &text("/proc/sys/kernel/perf_event_paranoid"),
        Path::new("/sys/bus/event_source/devices/cpu"),
    ));
    rows.push(clock(&text("/sys/devices/system/clocksource/clocksource0/current_clocksource")));
    rows.push(tracing(&text("/proc/sys/kernel/yama/ptrace_scope"), &text("/proc/self/status")));
    rows.push(disk(&args.artifacts));
    rows.extend(leftovers(args));
    output::print_wrapped(args.format, "doctor", &frame(&rows)?, WIDTH)?;
    Ok(0)
}

fn row(what: &str, state: &str, found: &str, fix: &str) -> Row {
    [what.to_owned(), state.to_owned(), found.to_owned(), fix.to_owned()]
}

/// A file of the system; empty where there is none.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn roofs(machine: &proftool_hardware::Machine) -> Row {
    match ceilings::cache_folder(machine).filter(|folder| folder.join("ceilings.parquet").exists()) {
        Some(folder) => row("measured roofs", OK, &format!("cached in {}", folder.display()), ""),
        None => row(
            "measured roofs",
            DEGRADED,
            "not yet measured",
            "`proftool ceilings`, or the first capture measures them",
        ),
    }
}

/// The GPUs whose roofs are kept.
fn gpu_roofs() -> Vec<Row> {
    let folders = store::base().and_then(|base| fs::read_dir(base).ok()).into_iter().flatten().flatten();
    let found = |folder: fs::DirEntry| row("measured roofs", OK, &format!("cached in {}", folder.path().display()), "");
    folders.map(found).collect()
}

fn profilers() -> Vec<Row> {
    let of_one = |profiler: &&proftool_capture::profilers::Profiler| match (profiler.available)() {
        Ok(found) => {
            let place = found.path.map_or_else(String::new, |path| format!(", {}", path.display()));
            row(profiler.name, OK, &format!("{}{place}", found.version), "")
        }
        Err(missing) => row(profiler.name, MISSING, &missing.reason, &missing.fix),
    };
    PROFILERS.iter().map(of_one).collect()
}

/// Whether GPU counters may be read: `RmProfilingAdminOnly: 1` keeps them for the administrator
/// (NVIDIA, "ERR_NVGPUCTRPERM: Permission issue with Performance Counters").
fn gpu_counters(params: &str, root: bool) -> Row {
    let only = params.lines().find_map(|line| line.strip_prefix("RmProfilingAdminOnly:").map(str::trim));
    let what = "gpu counters";
    let fix = "`echo 'options nvidia NVreg_RestrictProfilingToAdminUsers=0' | sudo tee /etc/modprobe.d/nvidia-profiling.conf`, \
        then reboot; in a container `--cap-add SYS_ADMIN`";
    match only {
        Some("0") => row(what, OK, "every user may read them", ""),
        Some(_) if root => {
            row(what, OK, "only the administrator may read them, who this is; a container also needs CAP_SYS_ADMIN", "")
        }
        Some(_) => row(what, DEGRADED, "only the administrator may read them", fix),
        None => row(
            what,
            MISSING,
            "no NVIDIA kernel module tells",
            "install the driver of the GPU and load it: `modprobe nvidia`; a container needs /proc/driver/nvidia",
        ),
    }
}

/// perf_event_paranoid: -1 everything, 1 own processes with kernel, 2 own processes, above that (Debian, Ubuntu) nothing.
fn perf_events(paranoid: &str, hardware: &Path) -> Row {
    let what = "cpu counters";
    let fix = "`sudo sysctl kernel.perf_event_paranoid=1`";
    if paranoid.is_empty() {
        return row(what, MISSING, "this kernel has no perf events", "use a kernel with CONFIG_PERF_EVENTS");
    }
    let found = format!("kernel.perf_event_paranoid = {paranoid}");
    match paranoid.parse::<i32>() {
        _ if !hardware.exists() => {
            let fix = "give the virtual machine a PMU (KVM: `-cpu host,pmu=on`), or use a machine that is not virtual";
            row(what, MISSING, &format!("{found}; this (virtual) machine has no hardware counters"), fix)
        }
        Ok(level) if level <= 1 => row(what, OK, &found, ""),
        Ok(2) => row(what, DEGRADED, &format!("{found}: only what runs in user mode"), fix),
        _ => row(what, DEGRADED, &format!("{found}: none for this user"), fix),
    }
}

fn clock(current: &str) -> Row {
    let fix = "boot with `clocksource=tsc tsc=reliable` where the processor's counter is invariant";
    match current {
        "" => {
            row("clock source", DEGRADED, "the kernel does not tell", "let /sys be readable: a container may hide it")
        }
        "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page" => {
            row("clock source", OK, current, "")
        }
        other => row(
            "clock source",
            DEGRADED,
            &format!("{other}: reading it takes a system call, a microsecond and more"),
            fix,
        ),
    }
}

/// What keeps tools from following a process: Yama's scope, and a filter of system calls.
fn tracing(scope: &str, status: &str) -> Row {
    let filtered = status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    let fix = "`sudo sysctl kernel.yama.ptrace_scope=1`";
    match (scope, filtered) {
        ("2" | "3", _) => {
            row("tracing", DEGRADED, &format!("kernel.yama.ptrace_scope = {scope}: tools cannot follow a process"), fix)
        }
        (_, true) => row(
            "tracing",
            DEGRADED,
            "a seccomp filter is at work (a container's): perf_event_open or ptrace may be refused",
            "run the container with `--cap-add SYS_ADMIN --security-opt seccomp=unconfined`",
        ),
        _ => row("tracing", OK, "processes of the same user can be followed", ""),
    }
}

/// Free space where artifacts go; the nearest folder that exists stands for one that does not yet.
fn disk(artifacts: &Path) -> Row {
    let whole = std::path::absolute(artifacts).unwrap_or_else(|_| artifacts.to_owned());
    let Some(free) = whole.ancestors().find(|folder| folder.is_dir()).and_then(free_bytes) else {
        return row("disk", DEGRADED, &format!("the space at {} is not known", artifacts.display()), "check the path");
    };
    let found = format!("{:.1} GB free at {}", free as f64 / 1e9, artifacts.display());
    if free < LITTLE_SPACE {
        return row("disk", DEGRADED, &found, "free some space, or name a folder on another disk with --artifacts");
    }
    row("disk", OK, &found, "")
}

fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: the path ends in a zero byte; a zeroed statvfs is valid, outlives the call and is filled by it.
    unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut stat) == 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn leftovers(args: &Args) -> Vec<Row> {
    let found = artifact::find(&args.artifacts, true).unwrap_or_default();
    let partial = found.partial.iter().map(|folder| {
        let folder = folder.display();
        row("interrupted capture", DEGRADED, &folder.to_string(), &format!("`proftool import {folder}`, or remove it"))
    });
    let unreadable = found.unreadable.iter().map(|error| {
        row("unreadable artifact", DEGRADED, &error.to_string(), "capture or import it again, or remove it")
    });
    partial.chain(unreadable).collect()
}

fn frame(rows: &[Row]) -> Result<DataFrame, Failure> {
    let column = |name: &str, index: usize| text_column(name, rows.iter().map(|row| Some(row[index].as_str())));
    let columns = vec![column("what", 0), column("state", 1), column("found", 2), column("fix", 3)];
    DataFrame::new(rows.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_are_kept_for_the_administrator_come_with_the_fix() {
        let kept = "A: 1\nRmProfilingAdminOnly: 1\n";
        assert_eq!(gpu_counters(kept, false)[1], "degraded");
        assert!(gpu_counters(kept, false)[3].contains("NVreg_RestrictProfilingToAdminUsers=0"));
        assert_eq!(gpu_counters(kept, true)[1], "ok");
        assert_eq!(gpu_counters("RmProfilingAdminOnly: 0", false)[1], "ok");
        assert!(gpu_counters("", false)[1] == "missing" && !gpu_counters("", false)[3].is_empty());
    }

    #[test]
    fn limits_of_the_kernel_are_graded() {
        let here = Path::new("/");
        let states = ["-1", "1", "2", "4", "x", ""].map(|level| perf_events(level, here)[1].clone());
        assert_eq!(states, ["ok", "ok", "degraded", "degraded", "degraded", "missing"]);
        let without = perf_events("1", Path::new("/no/such"));
        assert!(without[1] == "missing" && !without[3].is_empty() && !clock("")[3].is_empty());
        assert_eq!([clock("tsc")[1].as_str(), clock("hpet")[1].as_str()], ["ok", "degraded"]);
        assert_eq!(tracing("2", "")[1], "degraded");
        assert_eq!(tracing("1", "Name: x\nSeccomp:\t2")[1], "degraded");
        assert_eq!(tracing("", "Seccomp:\t0")[1], "ok");
    }

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_that_of_its_parent() {
        assert!(disk(Path::new("/no/such/folder"))[2].contains("GB free"));
    }
}
