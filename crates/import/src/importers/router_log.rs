//! The importer of the router log that simulations and runs on real engines write (`docs/importers/router_log.md`).

mod lines;
mod reading;
mod taking;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use proftool_trace::rows;

use self::lines::{FirstLine, Head, Time};
use self::reading::Reading;
use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests::lines::Lines;

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "router_log",
    doc: "The router log of a simulation or of a run on real engines: requests, steps, samples, decisions.",
    sniff: |head| is_head(head.bytes),
    import,
};

/// What the file begins with, apart from blanks: whoever prints the lines anew sets blanks of their own.
const MAGIC: [&[u8]; 5] = [b"{", b"\"format\"", b":", b"\"proftool-router-log\"", b","];
/// The newest version that is read: of a larger major one nothing, of a larger minor one what is known of it.
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const AGAIN: &str = "run it again; nothing was taken from it";
const NO_END: &str = "it has no last line: the run was ended early, and what came after is missing";
const CUT: &str = "the last line is incomplete: the run was ended while it was written";

/// Whether the file begins as a router log does.
fn is_head(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // A head over several lines is no line of a log.
    let line = bytes.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    MAGIC.iter().try_fold(line, |rest, part| rest.trim_ascii_start().strip_prefix(*part)).is_some()
}

/// Events come before the row of their request, which the log of a run that was killed may not have. Where that is so, the
/// file is read a second time without those events, so that memory holds no rows.
fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let head = first_line(source)?;
    let mut reading = Reading::new(&head);
    read(source, import, &head, &mut reading)?;
    if let Some(again) = reading.again(&head) {
        import.restart()?;
        reading = again;
        read(source, import, &head, &mut reading)?;
    }
    reading.finish(import, &head)?;
    let simulated = head.time == Time::Simulated;
    Ok(Session {
        start_unix_ns: head.start_unix_ns,
        start_monotonic_ns: 0,
        clock: if simulated { "simulated" } else { "unix" }.to_owned(),
        time_simulated: simulated,
    })
}

fn first_line(source: &Source) -> Result<Head, Error> {
    let mut lines = Lines::open(source)?;
    let Some((_, line)) = lines.next()? else { return Err(source.damaged("line 1", "it is blank", AGAIN)) };
    let damaged = |error: serde_json::Error| source.damaged("line 1", error, AGAIN);
    let found = serde_json::from_slice::<FirstLine>(line).map_err(damaged)?.version.major;
    if found > MAJOR {
        let path = source.path().to_owned();
        return Err(Error::NewerVersion { path, format: IMPORTER.name, found, supported: MAJOR });
    }
    serde_json::from_slice(line).map_err(damaged)
}

/// Takes the whole file.
fn read(source: &Source, import: &mut Import<'_>, head: &Head, reading: &mut Reading) -> Result<(), Error> {
    describe(import, head)?;
    let mut lines = Lines::open(source)?;
    lines.next()?;
    // A line that cannot be read is bad, unless it is the last: then it was cut off.
    let mut bad: Option<(u64, String)> = None;
    while let Some((at, line)) = lines.next()? {
        if let Some((at, error)) = bad.take() {
            reading.unreadable(import, at, &error);
        }
        match lines::parse(line) {
            Ok(line) => reading.line(import, at, line)?,
            Err(error) => bad = Some((at, error)),
        }
    }
    if bad.is_some() {
        import.issue(Severity::DataLoss, "cut_short", 1, CUT);
    } else if !reading.ended() {
        import.issue(Severity::DataLoss, "no_end", 1, NO_END);
    }
    Ok(())
}

/// Devices with their roles, and links of the head.
fn describe(import: &mut Import<'_>, head: &Head) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for device in &head.devices {
        if !known.insert(device.device) {
            import.bad_row("duplicate_device", || format!("line 1: device {} stands twice", device.device));
            continue;
        }
        import.device(&rows::Device {
            device: device.device,
            kind: &device.kind,
            name: &device.name,
            memory_bytes: device.memory_bytes,
            numa_node: device.numa_node,
            cost_per_hour: device.cost_per_hour,
            ..rows::Device::default()
        })?;
        if let Some(role) = &device.role {
            let queue = rows::Queue { device: device.device, queue: 0, role: Some(role), priority: None };
            import.put(&queue)?;
        }
    }
    for link in &head.links {
        if !known.contains(&link.src) || !known.contains(&link.dst) {
            import.bad_row("unknown_device", || format!("line 1: a link from {} to {}", link.src, link.dst));
            continue;
        }
        import.put(&rows::Link {
            src: link.src,
            dst: link.dst,
            bytes_per_s: link.bytes_per_s,
            latency_ns: link.latency_ns,
            contended: link.contended,
        })?;
    }
    Ok(())
}
