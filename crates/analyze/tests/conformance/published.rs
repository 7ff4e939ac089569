//! Numbers that the authors of the captures published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proftool_trace::frame::floats;
use proftool_trace::tables;

use crate::check::Check;
use crate::number::Format;
use crate::page::Section;
use crate::results::Results;
use crate::trace::{Gpu, Trace};

const ROUNDED: &str = "rounded parts";

pub(crate) fn section() -> Section {
    let mut section = Section::new("the captures' authors", "Numbers that the captures' authors published");
    section.paragraph(
        "Compared as printed: equal when the difference is at most half a unit of the last printed digit, unless \
         stated otherwise. Sources and licences are in the README of the shared data.",
    );
    section
}

fn ms(ns: i64) -> f64 {
    ns as f64 / 1e6
}

/// Half a unit of the second digit behind the point, and of the third.
const CENT: f64 = 0.005_000_001;
const MIL: f64 = 0.000_500_001;

fn two(quantity: &str, ours: f64, theirs: f64) -> Check {
    Check::float(quantity, ours, theirs, Format::Fixed(2), CENT)
}

/// Kernels of one device, as nsys-ai divides them.
struct Device {
    all: i64,
    busy: i64,
    span: i64,
    exposed_comm: i64,
}

/// From the metrics `idle`, `overlap` and `kernels` of the kernels: nsys-ai leaves copies out of the span.
fn devices(trace: &Trace) -> Vec<Device> {
    let numbers: BTreeSet<i64> = trace.activities.iter().map(|row| row.device).collect();
    let device = |number: i64| {
        let tables = trace.only(|row| row.kind == "kernel" && row.device == number);
        let [idle, overlap, kernels] = ["idle", "overlap", "kernels"].map(|metric| Results::compute(&tables, metric));
        let whole = idle.only(|row| idle.int(row, "queue").is_none());
        let comm = overlap.only(|row| overlap.text(row, "kind") == Some("comm"));
        Device {
            all: kernels.sum("total_ns"),
            busy: idle.int(whole, "busy_ns").unwrap(),
            span: idle.int(whole, "span_ns").unwrap(),
            exposed_comm: overlap.int(comm, "exposed_ns").unwrap(),
        }
    };
    numbers.into_iter().map(device).collect()
}

/// Milliseconds with two digits.
fn rounded(ns: i64) -> f64 {
    (ns as f64 / 1e4).round() / 1e2
}

/// The parts that nsys-ai rounds to two digits for each device before it adds them: compute, communication, and the rest
/// of the span (idle and launch).
fn rounded_parts(devices: &[Device]) -> [f64; 3] {
    let sum = |part: fn(&Device) -> i64| devices.iter().map(|device| rounded(part(device))).sum();
    [sum(|d| d.busy - d.exposed_comm), sum(|d| d.exposed_comm), sum(|d| d.span - d.busy)]
}

/// Count and time of the kernels whose name contains `part`: the metric `kernels` over both devices.
fn kernels_named(trace: &Trace, part: &str) -> (f64, f64) {
    let kernels = Results::compute(&trace.only(|row| row.name.contains(part)), "kernels");
    (kernels.sum("launches") as f64, ms(kernels.sum("total_ns")))
}

/// The pair of training steps on two H100 (nsys-ai's documentation of its own fixtures).
pub(crate) fn h100_pair(section: &mut Section, before: &Trace, after: &Trace) {
    section.heading("h100x2_train_before, h100x2_train_after (nsys-ai 0.3.0)");
    section.paragraph(&format!(
        "Kernels of both devices. *Exposed communication* is |nccl \\ other kernels|, a step the span of each device's \
         kernels, both added over the devices. *{ROUNDED}*: nsys-ai rounds compute, communication, idle and launch of \
         each device to 0.01 ms and adds these; so rounded, proftool's parts give its numbers."
    ));
    let [first, second] = [before, after].map(devices);
    let exact = |devices: &[Device], part: fn(&Device) -> i64| ms(devices.iter().map(part).sum());
    let [old, new] = [&first, &second].map(|devices| rounded_parts(devices));
    let mut checks = Vec::new();
    let published =
        [("before", &first, old, [535.20, 25.400, 598.52]), ("after", &second, new, [488.84, 33.740, 598.46])];
    for (name, devices, parts, [gpu, comm, step]) in published {
        checks.push(two(&format!("total GPU time {name}, ms"), exact(devices, |d| d.all), gpu));
        let check = Check::float(
            format!("exposed communication {name}, ms"),
            exact(devices, |d| d.exposed_comm),
            comm,
            Format::Fixed(3),
            MIL,
        );
        checks.push(check.or_by(ROUNDED, parts[1]));
        checks.push(
            two(&format!("step {name}, ms"), exact(devices, |d| d.span), step).or_by(ROUNDED, parts.iter().sum()),
        );
    }
    let change = |part: fn(&Device) -> i64| exact(&second, part) - exact(&first, part);
    checks.push(two("total GPU time, change, ms", change(|d| d.all), -46.37));
    let check =
        Check::float("exposed communication, change, ms", change(|d| d.exposed_comm), 8.340, Format::Fixed(3), MIL);
    checks.push(check.or_by(ROUNDED, new[1] - old[1]));
    checks
        .push(two("compute, change, ms", change(|d| d.busy - d.exposed_comm), -54.70).or_by(ROUNDED, new[0] - old[0]));
    checks.push(
        two("idle and launch, change, ms", change(|d| d.span - d.busy), 4.95 + 41.35).or_by(ROUNDED, new[2] - old[2]),
    );
    for (part, counts, time) in [("SendRecv", [66, 62], 8.34), ("flash_fwd", [68, 60], -31.56)] {
        let [old, new] = [before, after].map(|trace| kernels_named(trace, part));
        checks.push(Check::exact(format!("{part} launches before"), old.0 as i64, counts[0]));
        checks.push(Check::exact(format!("{part} launches after"), new.0 as i64, counts[1]));
        checks.push(two(&format!("{part}, change, ms"), new.1 - old.1, time));
    }
    section.checks("nsys-ai", &checks);
}

/// The same program with peer copies.
pub(crate) fn v100_peer(section: &mut Section, trace: &Trace) {
    section.heading("v100_p2p_nvlink");
    let copies: Vec<&Gpu> = trace.activities.iter().filter(|row| row.copy_kind.as_deref() == Some("p2p")).collect();
    let first: Vec<&&Gpu> = copies.iter().filter(|row| row.device == 0).collect();
    section.paragraph(&format!(
        "Peer copies (`copy_kind` p2p) of device 0, {} of {} in the capture; device 3 sends as many back.",
        Format::Whole.show(first.len() as f64),
        Format::Whole.show(copies.len() as f64)
    ));
    let peers = trace.only(|row| row.device == 0 && row.copy_kind.as_deref() == Some("p2p"));
    let peers = Results::compute(&peers, "copies");
    let (bytes, time) = (peers.sum("bytes"), peers.sum("total_ns"));
    section.checks(
        "published",
        &[
            Check::float("bytes, MB", bytes as f64 / 1e6, 131.2, Format::Fixed(1), 0.050_001),
            two("time, ms", ms(time), 8.19),
        ],
    );
}

/// Values of counters by launch, metric and formula.
pub(crate) struct Counters {
    values: BTreeMap<(i64, String, Option<String>), f64>,
    pub(crate) names: Vec<String>,
}

impl Counters {
    pub(crate) fn import(path: &Path) -> Self {
        let trace = Trace::import(path);
        let tables = &trace.tables;
        let number = |table, name| crate::trace::whole(tables, table, name);
        let text = |table, name| crate::trace::text(tables, table, name);
        let defs = &tables::COUNTER_DEFS;
        let known = number(defs, "def").into_iter().zip(text(defs, "metric").into_iter().zip(text(defs, "formula_id")));
        let known: BTreeMap<Option<i64>, (Option<String>, Option<String>)> = known.collect();
        let rows = number(&tables::COUNTERS, "launch").into_iter().zip(number(&tables::COUNTERS, "def"));
        let values = floats(tables.get(&tables::COUNTERS), "value").unwrap();
        let key = |(launch, def): (Option<i64>, Option<i64>)| {
            let (metric, formula) = known[&def].clone();
            (launch.unwrap(), metric.unwrap(), formula)
        };
        let values = rows.zip(values).filter_map(|(row, value)| Some((key(row), value?))).collect();
        Self { values, names: text(&tables::LAUNCHES, "name").into_iter().flatten().collect() }
    }

    /// A metric of a raw page.
    pub(crate) fn get(&self, launch: i64, metric: &str) -> f64 {
        self.values.get(&(launch, metric.to_owned(), None)).copied().unwrap_or_else(|| panic!("no {metric}"))
    }

    /// A value of a section of the details page.
    pub(crate) fn display(&self, launch: i64, section: &str, metric: &str) -> f64 {
        let key = (launch, metric.to_owned(), Some(format!("section:{section}")));
        self.values.get(&key).copied().unwrap_or_else(|| panic!("no {metric} in {section}"))
    }
}
