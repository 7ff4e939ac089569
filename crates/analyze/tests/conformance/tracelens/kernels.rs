//! Kernels: by parent operator, and short ones.

use std::collections::{BTreeMap, HashMap};

use super::operators::{Arguments, plain};
use super::{SHORT_NS, parts};
use crate::check::List;
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

fn linked_span(trace: &Trace) -> i64 {
    parts(trace, |row| row.call.is_some())["total_time"]
}

/// Kernels by parent operator, name and stream, those without a launching call too.
pub(super) fn kernels(list: &mut List, sheet: &Sheet, trace: &Trace, owners: &HashMap<usize, usize>) {
    let names: HashMap<*const Gpu, String> = (trace.activities.iter().enumerate())
        .map(|(place, row)| {
            let owner = owners.get(&place).map_or("", |operator| &trace.calls[*operator].name);
            (std::ptr::from_ref(row), group(owner, &row.name, row.queue.unwrap_or(-1)))
        })
        .collect();
    let named = |row: &Gpu| (row.kind == "kernel").then(|| names[&std::ptr::from_ref(row)].clone());
    let metric = Results::compute(&trace.named(named), "kernels");
    let mut groups: BTreeMap<&str, usize> =
        (0..metric.rows).filter_map(|row| Some((metric.text(row, "name")?, row))).collect();
    let span = linked_span(trace) as f64;
    for row in 0..sheet.rows.len() {
        let stream = sheet.number(row, "Kernel stream") as i64;
        let key = group(sheet.text(row, "Parent cpu_op"), sheet.text(row, "Kernel name"), stream);
        let Some(found) = groups.remove(key.as_str()) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        list.tally.equal += 1;
        let whole = |column| metric.int(found, column).unwrap() as f64;
        let values = [
            ("Kernel duration (µs)_sum", whole("total_ns") / 1e3),
            ("Kernel duration (µs)_count", whole("launches")),
            ("Kernel duration (µs)_mean", metric.float(found, "mean_ns").unwrap() / 1e3),
            ("Kernel duration (µs)_min", whole("min_ns") / 1e3),
            ("Kernel duration (µs)_max", whole("max_ns") / 1e3),
            ("Percent of kernels time (%)", 100.0 * metric.float(found, "time_ratio").unwrap()),
            ("Percent of total time (%)", 100.0 * whole("total_ns") / span),
        ];
        for (column, ours) in values {
            list.number(|| format!("{column} of {key:?}"), ours, sheet.number(row, column), 1e-3);
        }
    }
    for key in groups.keys() {
        list.differs(|| format!("{key:?} is here only"));
    }
}

fn group(operator: &str, kernel: &str, stream: i64) -> String {
    format!("{operator}\u{1f}{kernel}\u{1f}{stream}")
}

/// All short kernels, in bins of equal width from the shortest to the longest.
pub(super) fn histogram(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let short = trace.activities.iter().filter(|row| row.kind == "kernel" && row.length() < SHORT_NS);
    let lengths: Vec<i64> = short.map(Gpu::length).collect();
    let (least, most) = (*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap());
    let bins = sheet.rows.len() as i64;
    let mut counts = vec![0; sheet.rows.len()];
    for length in &lengths {
        // In whole numbers, so that an edge belongs to the bin that begins there, and the last to the last bin.
        counts[(((length - least) * bins) / (most - least)).min(bins - 1) as usize] += 1;
    }
    for (row, count) in counts.into_iter().enumerate() {
        let edge = |number: usize| (least as f64 + (most - least) as f64 * number as f64 / bins as f64) / 1e3;
        list.number(|| format!("start of bin {row}"), edge(row), sheet.number(row, "bin_start"), 1e-3);
        list.number(|| format!("end of bin {row}"), edge(row + 1), sheet.number(row, "bin_end"), 1e-3);
        list.number(|| format!("bin {row}"), f64::from(count), sheet.number(row, "count"), 0.0);
    }
    let durations = Results::compute(&trace.only(|row| row.kind == "kernel"), "kernel_durations");
    let below =
        |row: usize| durations.text(row, "kind") == Some("below") && durations.int(row, "to_ns") == Some(SHORT_NS);
    let ours = durations.int(durations.only(below), "kernels").unwrap() as f64;
    let theirs: f64 = (0..sheet.rows.len()).map(|row| sheet.number(row, "count")).sum();
    list.number(|| "all short kernels".to_owned(), ours, theirs, 0.0);
    list.note(format!(
        "short is under {} µs; {} kernels, also those without a launching call.",
        SHORT_NS / 1000,
        lengths.len()
    ));
}

/// Short kernels that an operator launched.
pub(super) fn short_kernels(list: &mut List, sheet: &Sheet, trace: &Trace, owners: &HashMap<usize, usize>) {
    let (arguments, span) = (Arguments::read(trace), linked_span(trace) as f64);
    let mut groups: BTreeMap<[String; 4], Vec<i64>> = BTreeMap::new();
    for (place, row) in trace.activities.iter().enumerate() {
        let Some(operator) = owners.get(&place).filter(|_| row.kind == "kernel" && row.length() < SHORT_NS) else {
            continue;
        };
        let [shapes, _, concrete] = arguments.of(*operator);
        let key = [trace.calls[*operator].name.clone(), shapes, concrete, row.name.clone()];
        groups.entry(key).or_default().push(row.length());
    }
    for row in 0..sheet.rows.len() {
        let key =
            ["Parent cpu_op", "Input dims", "Concrete Inputs", "Kernel name"].map(|column| sheet.text(row, column));
        let key = [key[0].to_owned(), plain(key[1]), plain(key[2]), key[3].to_owned()];
        let Some(lengths) = groups.remove(&key) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        list.tally.equal += 1;
        let (sum, count) = (lengths.iter().sum::<i64>() as f64, lengths.len() as f64);
        let values = [
            ("Short Kernel duration (µs) sum", sum / 1e3),
            ("Short Kernel count", count),
            ("Short Kernel duration (µs) mean", sum / count / 1e3),
            ("Short Kernel duration (µs) percent of total time", 100.0 * sum / span),
        ];
        for (column, ours) in values {
            list.number(|| format!("{column} of {key:?}"), ours, sheet.number(row, column), 1e-3);
        }
    }
    for key in groups.keys() {
        list.differs(|| format!("{key:?} is here only"));
    }
}
