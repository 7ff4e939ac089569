//! The ceilings that the bounds were computed from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::Report;
use crate::views::ceilings::{Ceiling, ceilings};

#[derive(Serialize)]
struct Values {
    rows: Vec<Line>,
    around: Option<String>,
    contended: bool,
}

/// One row, in the order of its fields: compute, then the memory levels inwards out.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    #[serde(skip)]
    rank: u32,
    kind: String,
    precision: String,
    level: String,
    name: String,
    isa: String,
    #[serde(skip)]
    core_count: Option<i64>,
    cores: String,
    source: String,
    value: String,
    per_cycle: String,
    contended: &'static str,
    devices: String,
}

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let mut all = Vec::new();
    for run in &report.runs {
        all.extend(ceilings(run)?);
    }
    if all.is_empty() && report.runs.iter().any(|run| !run.metric("roofs").is_empty()) {
        // The section of the roofs says which datasheet roofs the bounds use.
        return Ok(None);
    }
    let (around, shown): (Vec<Ceiling>, Vec<Ceiling>) = all.into_iter().partition(Ceiling::is_around_its_cache);
    let rows = lines(&shown);
    let contended = rows.iter().any(|row| row.contended == "yes");
    let values = Values { around: left_out(lines(&around).len()), rows, contended };
    Built::new("ceilings", &values, Vec::new()).map(Some)
}

/// One line for all devices of all runs that have the same ceiling: the devices of a CPU share one measurement, and so
/// do the runs of a pair.
fn lines(ceilings: &[Ceiling]) -> Vec<Line> {
    let mut devices: BTreeMap<Line, BTreeSet<i64>> = BTreeMap::new();
    for ceiling in ceilings {
        devices.entry(line(ceiling)).or_default().insert(ceiling.device);
    }
    let named = |(line, devices): (Line, BTreeSet<i64>)| {
        let devices = devices.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        Line { devices, ..line }
    };
    devices.into_iter().map(named).collect()
}

/// Says what the table leaves out, where it does.
fn left_out(rows: usize) -> Option<String> {
    (rows > 0).then(|| {
        format!(
            "Not listed: {rows} non-temporal rows (`_nt`) of cache levels, which write around the cache and are no limit \
             of it; they are in `tables/ceilings.parquet`."
        )
    })
}

/// A ceiling without its device.
fn line(ceiling: &Ceiling) -> Line {
    let text = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), format::plain);
    let compute = ceiling.kind == "compute";
    let unit = if compute { "FLOP" } else { "B" };
    Line {
        rank: ceiling.rank(),
        kind: format::plain(&ceiling.kind),
        precision: text(&ceiling.precision),
        level: text(&ceiling.level),
        name: format::plain(&ceiling.name),
        isa: text(&ceiling.isa),
        core_count: ceiling.cores,
        cores: ceiling.cores.map_or_else(|| "-".to_owned(), |cores| cores.to_string()),
        source: format::plain(&ceiling.source),
        value: if compute { format::flop_rate(ceiling.value) } else { format::bandwidth(ceiling.value) },
        per_cycle: ceiling
            .per_cycle
            .map_or_else(|| "-".to_owned(), |value| format!("{} {unit}", format::significant(value))),
        contended: if ceiling.contended { "yes" } else { "no" },
        devices: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bandwidth(device: i64, name: &str, level: &str, cores: i64) -> Ceiling {
        Ceiling {
            device,
            kind: "bandwidth".to_owned(),
            name: name.to_owned(),
            precision: None,
            level: Some(level.to_owned()),
            isa: None,
            cores: Some(cores),
            value: 18e9,
            per_cycle: None,
            source: "measured".to_owned(),
            contended: false,
        }
    }

    #[test]
    fn equal_ceilings_of_several_devices_are_one_line_and_levels_stand_from_the_inside_out() {
        let compute = Ceiling { kind: "compute".to_owned(), level: None, ..bandwidth(0, "fma", "", 1) };
        let read = |device, level, cores| bandwidth(device, "read", level, cores);
        let all = [read(1, "DRAM", 1), read(0, "DRAM", 10), read(0, "DRAM", 2), read(0, "L2", 1), compute];
        let found = lines(&[&all[..], &[read(0, "DRAM", 1)]].concat());
        let shown: Vec<_> =
            found.iter().map(|line| (line.kind.as_str(), &*line.level, &*line.cores, &*line.devices)).collect();
        let wanted = [
            ("compute", "-", "1", "0"),
            ("bandwidth", "L2", "1", "0"),
            ("bandwidth", "DRAM", "1", "0, 1"),
            ("bandwidth", "DRAM", "2", "0"),
            ("bandwidth", "DRAM", "10", "0"),
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_writes_around_a_cache_is_no_limit_of_it_and_is_one_of_the_memory() {
        assert!(bandwidth(0, "copy_nt", "L2", 1).is_around_its_cache());
        assert!(!bandwidth(0, "copy_nt", "DRAM", 1).is_around_its_cache());
        assert!(!bandwidth(0, "copy", "L2", 1).is_around_its_cache());
    }
}
