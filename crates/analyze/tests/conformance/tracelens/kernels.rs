//! Kernels: by parent operator, and short ones.

use std::collections::{BTreeMap, HashMap};

use super::operators::{Arguments, plain};
use super::{SHORT_NS, parts};
use crate::check::List;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

fn linked_span(trace: &Trace) -> i64 {
    let linked: Vec<&Gpu> = trace.work().into_iter().filter(|row| row.call.is_some()).collect();
    parts(&linked)["total_time"]
}

/// Kernels by parent operator, name and stream, those without a launching call too.
pub(super) fn kernels(list: &mut List, sheet: &Sheet, trace: &Trace, owners: &HashMap<usize, usize>) {
    let mut groups: BTreeMap<(String, String, i64), Vec<i64>> = BTreeMap::new();
    for (place, row) in trace.activities.iter().enumerate().filter(|(_, row)| row.kind == "kernel") {
        let owner = owners.get(&place).map_or(String::new(), |operator| trace.calls[*operator].name.clone());
        groups.entry((owner, row.name.clone(), row.queue.unwrap())).or_default().push(row.length());
    }
    let (all, span) = (groups.values().flatten().sum::<i64>() as f64, linked_span(trace) as f64);
    for row in 0..sheet.rows.len() {
        let name = sheet.text(row, "Kernel name").to_owned();
        let key = (sheet.text(row, "Parent cpu_op").to_owned(), name, sheet.number(row, "Kernel stream") as i64);
        let Some(lengths) = groups.remove(&key) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        list.tally.equal += 1;
        let (sum, count) = (lengths.iter().sum::<i64>() as f64, lengths.len() as f64);
        let least = *lengths.iter().min().unwrap() as f64;
        let most = *lengths.iter().max().unwrap() as f64;
        let values = [
            ("Kernel duration (µs)_sum", sum / 1e3),
            ("Kernel duration (µs)_count", count),
            ("Kernel duration (µs)_mean", sum / count / 1e3),
            ("Kernel duration (µs)_min", least / 1e3),
            ("Kernel duration (µs)_max", most / 1e3),
            ("Percent of kernels time (%)", 100.0 * sum / all),
            ("Percent of total time (%)", 100.0 * sum / span),
        ];
        for (column, ours) in values {
            list.number(|| format!("{column} of {key:?}"), ours, sheet.number(row, column), 1e-3);
        }
    }
    for key in groups.keys() {
        list.differs(|| format!("{key:?} is here only"));
    }
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
