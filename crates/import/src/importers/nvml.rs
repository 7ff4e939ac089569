//! The importer of the NVML sampler's file, `nvml.jsonl` (docs/nvml-format.md).

mod lines;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::artifact::is_pass_name;
use proftool_trace::{rows, sampled};

use self::lines::{End, FirstLine, Head, Line, Note, Sample};
use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests::lines::Lines;

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "nvml",
    doc: "The NVML sampler's file, nvml.jsonl: power, energy, clocks, utilisation and traffic of NVIDIA GPUs over time.",
    sniff: |head| head.bytes.starts_with(MAGIC),
    import,
};

const MAGIC: &[u8] = br#"{"head":{"format":"proftool-nvml","#;
const VERSION: u16 = 1;
const AGAIN: &str = "capture again; nothing was taken from it";
const NO_END: &str =
    "it has no last line: the sampler was ended early, and what it missed and when it stopped is not told";
const CUT: &str = "the last line is incomplete: the sampler was ended while it wrote it";

/// A sample stands at the middle of its turn: each of its values was read at most half a turn from there. Its interval is
/// the time since the value before, as [`sampled`] says.
fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let mut lines = Lines::open(source)?;
    let head = match lines.next()? {
        Some((_, line)) => head(source, line)?,
        None => return Err(source.damaged("line 1", "it is blank", AGAIN)),
    };
    import.sink.set_pass(&head.pass);
    import.sink.set_rank(head.rank);
    devices(import, &head)?;
    let mut reading = Reading::of(&head);
    // A line that cannot be read is bad, unless it is the last: then it was cut off.
    let mut bad: Option<(u64, String)> = None;
    while let Some((at, line)) = lines.next()? {
        if let Some((at, error)) = bad.take() {
            import.bad_row("bad_line", || format!("line {at}: {error}"));
        }
        match serde_json::from_slice(line) {
            Ok(line) => reading.line(import, at, line)?,
            Err(error) => bad = Some((at, error.to_string())),
        }
    }
    if bad.is_some() {
        import.issue(Severity::DataLoss, "cut_short", 1, CUT);
    } else if !reading.ended {
        import.issue(Severity::DataLoss, "no_end", 1, NO_END);
    }
    Ok(Session {
        start_unix_ns: head.start_unix_ns,
        start_monotonic_ns: head.start_monotonic_ns,
        clock: head.clock,
        time_simulated: false,
    })
}

fn head(source: &Source, line: &[u8]) -> Result<Head, Error> {
    let damaged = |error: serde_json::Error| source.damaged("line 1", error, AGAIN);
    let found = serde_json::from_slice::<FirstLine>(line).map_err(damaged)?.head.version;
    if found > VERSION {
        let path = source.path().to_owned();
        return Err(Error::NewerVersion { path, format: IMPORTER.name, found, supported: VERSION });
    }
    let Line::Head(head) = serde_json::from_slice(line).map_err(damaged)? else {
        return Err(source.damaged("line 1", "it is no head", AGAIN));
    };
    if !is_pass_name(&head.pass) {
        let reason = format!("its pass {:?} names no folder: one word without / or \\ is meant", head.pass);
        return Err(source.damaged("line 1", reason, AGAIN));
    }
    Ok(head)
}

fn devices(import: &mut Import<'_>, head: &Head) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for device in head.devices.iter().filter(|device| seen.insert(device.device)) {
        import.device(&rows::Device {
            device: device.device,
            kind: "cuda",
            name: device.name.as_deref().unwrap_or("unknown CUDA device"),
            uuid: device.uuid.as_deref(),
            arch: device.arch.as_deref(),
            memory_bytes: device.memory_bytes,
            clock_hz: device.clock_hz,
            pci_bus_id: device.pci_bus_id.as_deref(),
            ..rows::Device::default()
        })?;
    }
    Ok(())
}

/// A file under way.
struct Reading {
    start_ns: i64,
    version: Option<String>,
    devices: BTreeSet<i64>,
    /// Metrics that `counter_defs` has.
    defined: BTreeSet<usize>,
    /// When a metric (its number) of a device was read last.
    last: BTreeMap<(i64, usize), i64>,
    lost: BTreeSet<i64>,
    ended: bool,
}

impl Reading {
    fn of(head: &Head) -> Self {
        Self {
            start_ns: head.start_monotonic_ns,
            version: head.nvml_version.clone(),
            devices: head.devices.iter().map(|device| device.device).collect(),
            defined: BTreeSet::new(),
            last: BTreeMap::new(),
            lost: BTreeSet::new(),
            ended: false,
        }
    }

    fn line(&mut self, import: &mut Import<'_>, at: u64, line: Line) -> Result<(), Error> {
        match line {
            Line::Sample(sample) => return self.sample(import, at, &sample),
            Line::Note(note) => self.note(import, &note),
            Line::End(end) => self.end(import, &end),
            Line::Head(_) => import.bad_row("bad_line", || format!("line {at}: a second head")),
        }
        Ok(())
    }

    fn sample(&mut self, import: &mut Import<'_>, at: u64, sample: &Sample) -> Result<(), Error> {
        let (begin, end) = (sample.begin_ns, sample.end_ns);
        if !self.devices.contains(&sample.device) {
            import.bad_row("unknown_device", || format!("line {at}: device {} is not in the head", sample.device));
            return Ok(());
        }
        // The middle, of times that may be any number.
        let time_ns = begin.midpoint(end).saturating_sub(self.start_ns);
        if end < begin {
            import.bad_row("end_before_start", || format!("line {at}: its end {end} ns lies before {begin} ns"));
            return Ok(());
        }
        for (key, value) in &sample.values {
            if key == metrics::REASONS {
                self.reasons(import, at, (sample.device, time_ns), *value)?;
            } else if let Some((number, metric)) = metrics::find(key) {
                self.define(import, number, metric.name, Some(metric.unit))?;
                self.put(import, at, (sample.device, time_ns), number, *value)?;
            } else {
                import.issue(
                    Severity::Info,
                    "unknown_metric",
                    1,
                    format!("values of no known metric, the first: {key}"),
                );
            }
        }
        Ok(())
    }

    /// A reason holds or not: 1 or 0.
    fn reasons(&mut self, import: &mut Import<'_>, at: u64, place: (i64, i64), mask: f64) -> Result<(), Error> {
        // The cast saturates: a value below 0 is no mask and has no bit.
        let mask = mask as u64;
        for (which, reason) in sampled::REASONS.iter().enumerate() {
            let number = metrics::count() + which;
            let name = format!("{}{}", sampled::THROTTLE, reason.name);
            self.define(import, number, &name, None)?;
            self.put(import, at, place, number, if mask & reason.bit == 0 { 0.0 } else { 1.0 })?;
        }
        Ok(())
    }

    fn define(
        &mut self,
        import: &mut Import<'_>,
        number: usize,
        metric: &str,
        unit: Option<&str>,
    ) -> Result<(), Error> {
        if !self.defined.insert(number) {
            return Ok(());
        }
        import.put(&rows::CounterDef {
            def: number as i64,
            metric,
            unit,
            source: "counter",
            formula_id: None,
            tool: Some(IMPORTER.name),
            tool_version: self.version.as_deref(),
        })
    }

    fn put(
        &mut self,
        import: &mut Import<'_>,
        at: u64,
        (device, end_ns): (i64, i64),
        number: usize,
        value: f64,
    ) -> Result<(), Error> {
        let start_ns = self.last.get(&(device, number)).copied().unwrap_or(end_ns);
        let row = rows::Sample { device, def: number as i64, start_ns, end_ns, value: Some(value) };
        // A bad time must not become the start of the next.
        if import.possible(start_ns, end_ns, || format!("line {at}")) {
            self.last.insert((device, number), end_ns);
            import.put(&row)?;
        }
        Ok(())
    }

    fn note(&mut self, import: &mut Import<'_>, note: &Note) {
        let (device, reason) = (note.device, note.reason.as_str());
        match (note.kind.as_str(), note.reading.as_deref()) {
            ("unsupported", Some(reading)) => {
                let detail =
                    format!("readings that a device does not have, the first: {reading} of device {device} ({reason})");
                import.issue(Severity::Info, "unsupported_reading", 1, detail);
            }
            ("lost", _) => {
                let detail =
                    format!("devices that were lost while they were sampled, the first: device {device} ({reason})");
                import.issue(Severity::DataLoss, "device_lost", u64::from(self.lost.insert(device)), detail);
            }
            // How often stands in the last line, where there is one.
            ("failed", Some(reading)) => {
                let detail =
                    format!("readings that failed at times, the first: {reading} of device {device} ({reason})");
                import.issue(Severity::DataLoss, "failed_reading", 1, detail);
            }
            (kind, _) => {
                import.issue(Severity::Info, "unknown_note", 1, format!("notes of an unknown kind, the first: {kind}"));
            }
        }
    }

    fn end(&mut self, import: &mut Import<'_>, end: &End) {
        self.ended = true;
        for lane in &end.lanes {
            let who = format!("device {} ({})", lane.device, lane.lane);
            let detail = format!(
                "periods without a sample because a reading took too long, the first of {who}: longer intervals"
            );
            import.issue(Severity::Info, "missed_periods", lane.missed_periods, detail);
            let detail = format!("attempts at readings that failed, the first of {who}");
            import.issue(Severity::DataLoss, "failed_attempts", lane.failed, detail);
            let detail = format!("readings that had not returned when the sampler was stopped, the first of {who}");
            import.issue(Severity::DataLoss, "detached_reading", u64::from(lane.ended == "detached"), detail);
        }
    }
}

#[cfg(test)]
mod tests;
