//! Everything that is wrong with a spec, as sentences; none where every number is what it should be.

use std::collections::{BTreeMap, BTreeSet};

use super::published::{CACHES, DEVICES, LINKS, PEAKS, POWERS, RATES, SIZES};
use crate::gpu::{Compute, GpuSpec};

pub(super) fn problems(spec: &GpuSpec) -> Vec<String> {
    let mut found = Vec::new();
    device(spec, &mut found);
    power(spec, &mut found);
    derivations(spec, &mut found);
    rates(spec, &mut found);
    peaks(spec, &mut found);
    links(spec, &mut found);
    caches(spec, &mut found);
    provenance(spec, &mut found);
    found
}

/// Whether two numbers are the same to so many percent.
pub(super) fn close(a: f64, b: f64, percent: f64) -> bool {
    (a - b).abs() <= b.abs() * percent / 100.0
}

/// The `name=text` parts of the rows that name the device.
fn row(table: &'static [(&str, &str)], slug: &str) -> BTreeMap<&'static str, &'static str> {
    let rows = table.iter().filter(|(slugs, _)| slugs.split(' ').any(|known| known == slug));
    rows.flat_map(|(_, text)| text.split_whitespace().filter_map(|part| part.split_once('='))).collect()
}

fn hz(spec: &GpuSpec, clock: &str) -> f64 {
    spec.clock(clock).map_or(f64::NAN, |clock| clock.hz)
}

fn device(spec: &GpuSpec, found: &mut Vec<String>) {
    let Some(row) = DEVICES.iter().find(|row| row.0 == spec.slug) else {
        return found.push("the device is in no table of published numbers".to_owned());
    };
    let &(_, arch, units, boost, matrix, memory, l2, l1, bus, dram, percent) = row;
    let stated = (spec.arch.as_str(), spec.units.value);
    if stated != (arch, units) {
        found.push(format!("{stated:?} is not {arch} with {units}"));
    }
    let maker = (spec.vendor.as_str(), spec.kind.as_str(), spec.units.unit.as_str(), arch.starts_with("sm_"));
    if ![("nvidia", "cuda", "SM", true), ("amd", "hip", "CU", false)].contains(&maker) {
        found.push(format!("{maker:?}"));
    }
    let clocks = [("boost", boost), ("tensor_peak", matrix), ("sample", 2625.0)];
    for clock in &spec.clock {
        if !clocks.iter().any(|(name, mhz)| *name == clock.name && close(clock.hz, mhz * 1e6, 1e-9)) {
            found.push(format!("{clock:?}"));
        }
    }
    let gib: Vec<u64> = memory.iter().map(|gib| gib << 30).collect();
    let sizes = |name: &str| spec.size.iter().filter(|size| size.name == name).map(|size| size.value).collect();
    let stated: [Vec<u64>; 3] = ["memory", "L2", "L1"].map(sizes);
    if stated != [gib, vec![l2 << 10], vec![l1 << 10]] {
        found.push(format!("sizes {stated:?}"));
    }
    let per = |name: &str| if ["L1", "LDS"].contains(&name) { "unit" } else { "device" };
    if spec.size.iter().any(|size| size.unit != "bytes" || size.per != per(&size.name)) {
        found.push(format!("{:?}", spec.size));
    }
    let more = self::row(SIZES, &spec.slug);
    for size in spec.size.iter().filter(|size| !["memory", "L2", "L1"].contains(&size.name.as_str())) {
        let kib = more.get(size.name.as_str()).and_then(|text| text.parse::<u64>().ok());
        if kib.is_none_or(|kib| size.value != kib << 10) {
            found.push(format!("{size:?}"));
        }
    }
    let memory = spec.bandwidth("DRAM");
    if percent > 0.1 && memory.is_some_and(|row| row.disputed.is_none() && row.remark.is_none()) {
        found.push(format!("DRAM does not say that {dram} GB/s is published"));
    }
    if memory
        .is_none_or(|row| row.bus_bits != Some(bus) || row.unit != "bytes/s" || !close(row.value, dram * 1e9, percent))
    {
        found.push(format!("{memory:?} is not {bus} bits, {dram} GB/s"));
    }
}

/// The board power is the published one, and none where none is.
fn power(spec: &GpuSpec, found: &mut Vec<String>) {
    let published = row(POWERS, &spec.slug).remove("W").and_then(|watts| watts.parse().ok());
    if spec.board_watts() != published {
        found.push(format!("board power {:?} is not {published:?}", spec.board_watts()));
    }
}

/// Every value is the product of its parts, to 0.01 %.
fn derivations(spec: &GpuSpec, found: &mut Vec<String>) {
    let mut derive = |what: &str, value: f64, product: f64| {
        if !close(value, product, 0.01) {
            found.push(format!("{what} is {value:e}, its parts make {product:e}"));
        }
    };
    for row in &spec.compute {
        let product = f64::from(row.units) * f64::from(row.flop_per_cycle_per_unit) * hz(spec, &row.clock);
        derive(&row.precision, row.value, product);
    }
    for row in &spec.bandwidth {
        let bus = row.bus_bits.zip(row.bits_per_s_per_pin).map(|(bits, rate)| f64::from(bits) * rate / 8.0);
        let clock = row.clock.as_ref().map(|clock| hz(spec, clock));
        let chip = row.units.zip(row.bytes_per_cycle_per_unit).zip(clock);
        let chip = chip.map(|((units, bytes), hz)| f64::from(units) * f64::from(bytes) * hz);
        // Exactly one of the two ways.
        derive(&row.level, row.value, if bus.is_some() == chip.is_some() { f64::NAN } else { bus.or(chip).unwrap() });
    }
    let row = &spec.instructions;
    let product = f64::from(row.units) * f64::from(row.per_cycle_per_unit) * hz(spec, &row.clock);
    derive("instructions", row.value, product);
    for row in &spec.link {
        derive(&row.name, row.value, f64::from(row.lanes) * row.bytes_per_s_per_lane);
    }
    // Four schedulers an SM; one wavefront instruction a cycle and compute unit.
    let schedulers = if spec.vendor == "nvidia" { 4 } else { 1 };
    if (row.units, row.per_cycle_per_unit, row.clock.as_str()) != (spec.units.value, schedulers, "boost")
        || row.unit != "warp instructions/s"
    {
        found.push(format!("{row:?}"));
    }
}

/// The rows are exactly those of the table, on all units, at the clock that is meant for them.
fn rates(spec: &GpuSpec, found: &mut Vec<String>) {
    let mut expected = BTreeMap::new();
    for (precision, text) in row(RATES, &spec.slug) {
        for (at, rate) in text.split('/').enumerate() {
            expected.insert((precision, at == 1), rate.parse().ok());
        }
    }
    let key = |row: &'static Compute| ((row.precision.as_str(), row.sparse), Some(row.flop_per_cycle_per_unit));
    // The rows are leaked for the sake of the borrowed keys: tests only.
    let rows: &'static [Compute] = Vec::leak(spec.compute.clone());
    let stated: BTreeMap<_, Option<u32>> = rows.iter().map(key).collect();
    if stated != expected || stated.len() != rows.len() {
        found.push(format!("{stated:?} is not {expected:?}"));
    }
    let matrix = if spec.clock("tensor_peak").is_some() { "tensor_peak" } else { "boost" };
    for row in rows {
        let vector = !row.precision.starts_with("matrix_") || row.precision == "matrix_f64";
        let clock = if vector { "boost" } else { matrix };
        let integer = row.precision.starts_with("matrix_i");
        let unit = if integer { "op/s" } else { "flop/s" };
        if (row.units, row.clock.as_str(), row.unit.as_str()) != (spec.units.value, clock, unit)
            || row.accumulate != accumulator(&row.precision)
        {
            found.push(format!("{row:?}"));
        }
    }
}

fn accumulator(precision: &str) -> &str {
    match precision {
        "matrix_f64" => "f64",
        "matrix_f16_acc16" | "matrix_f8_acc16" => "f16",
        "matrix_i8" | "matrix_i4" | "matrix_i1" => "i32",
        matrix if matrix.starts_with("matrix_") => "f32",
        vector => vector,
    }
}

fn peaks(spec: &GpuSpec, found: &mut Vec<String>) {
    let published = row(PEAKS, &spec.slug);
    if !published.contains_key("f32") {
        found.push("no published f32 peak".to_owned());
    }
    for (name, text) in published {
        let (digits, percent) = text.split_once('~').unwrap_or((text, "0.1"));
        let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32);
        let printed: f64 = digits.parse().unwrap();
        let row = spec.peak(name.trim_end_matches('*'), name.ends_with('*'));
        let value = row.map_or(f64::NAN, |row| row.value / 1e12);
        // Half of the last digit, or a whole one where a table cuts instead of rounding.
        let rounded = (value - printed).abs() <= 0.501 * 10_f64.powi(-decimals);
        if !rounded && !close(value, printed, percent.parse().unwrap()) {
            found.push(format!("{name} is {value}, published {printed}"));
        }
        // What is not the published number to 0.1 % says so, itself or at its clock.
        let disputed =
            |row: &Compute| row.disputed.is_some() || spec.clock(&row.clock).is_some_and(|row| row.disputed.is_some());
        let remarked =
            |row: &Compute| row.remark.is_some() || spec.clock(&row.clock).is_some_and(|row| row.remark.is_some());
        if text.contains('~') && !row.is_some_and(|row| disputed(row) || remarked(row)) {
            found.push(format!("{name} does not say that {printed} is published"));
        }
        // Apart by more than half a percent, which is more than rounding.
        if text.contains('~') && !close(value, printed, 0.5) && !row.is_some_and(disputed) {
            found.push(format!("{name} is {value}, published {printed}, and not disputed"));
        }
    }
}

fn links(spec: &GpuSpec, found: &mut Vec<String>) {
    let expected = row(LINKS, &spec.slug);
    let stated: BTreeSet<&str> = spec.link.iter().map(|link| link.name.as_str()).collect();
    if stated != expected.keys().copied().collect() || spec.link.len() != expected.len() {
        found.push(format!("links {stated:?}"));
    }
    for link in &spec.link {
        let text = expected.get(link.name.as_str()).and_then(|text| text.split_once(':'));
        let (lanes, both) = text.map_or((0, f64::NAN), |(lanes, both)| (lanes.parse().unwrap(), both.parse().unwrap()));
        if link.lanes != lanes || !close(2.0 * link.value, both * 1e9, 0.1) || link.unit != "bytes/s per direction" {
            found.push(format!("{link:?}"));
        }
    }
}

fn caches(spec: &GpuSpec, found: &mut Vec<String>) {
    let expected = row(CACHES, &spec.slug);
    let on_chip = || spec.bandwidth.iter().filter(|row| row.level != "DRAM");
    let stated: BTreeSet<&str> = on_chip().map(|row| row.level.as_str()).collect();
    if stated != expected.keys().copied().collect() || spec.bandwidth.len() != expected.len() + 1 {
        found.push(format!("levels {stated:?}"));
    }
    for row in on_chip() {
        let text = expected.get(row.level.as_str()).and_then(|text| text.split_once('x'));
        let parsed = text.map(|(units, bytes)| (units.parse().unwrap(), bytes.parse().unwrap()));
        let units = parsed.map(|(units, _): (u32, u32)| if units == 0 { spec.units.value } else { units });
        if row.units != units || row.bytes_per_cycle_per_unit != parsed.map(|parsed| parsed.1) {
            found.push(format!("{row:?}"));
        }
        if row.clock.as_deref() != Some("boost") || row.unit != "bytes/s" {
            found.push(format!("{row:?}"));
        }
    }
}

/// Every number names a source that exists, every source is named, and what is disputed or uncertain says why.
fn provenance(spec: &GpuSpec, found: &mut Vec<String>) {
    let mut rows = vec![(&spec.units.source, &spec.units.confidence, &spec.units.disputed, &spec.units.remark)];
    rows.extend(spec.board_power_w.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    rows.extend(spec.clock.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    rows.extend(spec.size.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    rows.extend(spec.compute.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    rows.extend(spec.bandwidth.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    let instructions = &spec.instructions;
    rows.push((&instructions.source, &instructions.confidence, &instructions.disputed, &instructions.remark));
    rows.extend(spec.link.iter().map(|row| (&row.source, &row.confidence, &row.disputed, &row.remark)));
    for (source, confidence, disputed, remark) in &rows {
        let text = disputed.as_ref().or(remark.as_ref());
        let known = ["documented", "secondary", "derived", "uncertain"].contains(&confidence.as_str());
        let said = text.map_or(*confidence != "uncertain", |text| text.len() > 20);
        if !known || !said || (disputed.is_some() && remark.is_some()) || !spec.sources.contains_key(*source) {
            found.push(format!("{source} {confidence} {disputed:?} {remark:?}"));
        }
    }
    let used: BTreeSet<&String> = rows.iter().map(|row| row.0).collect();
    if used != spec.sources.keys().collect() || spec.sources.values().any(|text| text.len() < 20) {
        found.push(format!("sources {used:?}"));
    }
}
