//! What a capture needs to know about this machine, as plain data.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use proftool_capture::Environment;
use proftool_hardware::Machine;
use proftool_trace::manifest::{Git, Host};

/// Describes this machine for a capture.
pub(crate) fn environment(machine: &Machine) -> Environment {
    let cpu = &machine.cpu;
    Environment {
        hardware_key: proftool_hardware::hardware_key(cpu, cpu.cores.len()),
        host: Host {
            os: format!("{}, {}", machine.os, machine.kernel),
            cpu: cpu.model_name.clone(),
            cores: cpu.cores.len() as u64,
            memory_bytes: machine.memory_bytes.unwrap_or_default(),
        },
        device_name: cpu.model_name.clone(),
        arch: cpu.arch.clone(),
        versions: versions(machine),
        cores: cpu.cores.clone(),
        git: git(),
        captured_utc: utc_now(),
    }
}

fn versions(machine: &Machine) -> BTreeMap<String, String> {
    let proftool = ("proftool".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    BTreeMap::from([proftool, ("kernel".to_owned(), machine.kernel.clone())])
}

/// The state of the source tree around the working directory; null outside a checkout or without git.
fn git() -> Option<Git> {
    let run = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = run(&["rev-parse", "HEAD"])?;
    let dirty = !run(&["status", "--porcelain"])?.is_empty();
    Some(Git { commit, dirty })
}

/// Now, as `2026-01-31T23:59:59Z`.
pub(crate) fn utc_now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    utc(seconds)
}

/// Seconds since 1970 as `2026-01-31T23:59:59Z`.
fn utc(seconds: u64) -> String {
    let stamp = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    stamp.and_then(|stamp| stamp.format(format).ok()).unwrap_or_default()
}

/// The command line, the program's name in place of its path.
pub(crate) fn command_line() -> Vec<String> {
    let mut line: Vec<String> = std::env::args().collect();
    if let Some(program) = line.first_mut() {
        "proftool".clone_into(program);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        assert_eq!(utc(1_790_000_000), "2026-09-21T14:13:20Z");
    }
}
