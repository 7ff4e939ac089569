//! Statistics by name of kernels and annotations.

use std::collections::BTreeMap;

use super::times::CLASSES;
use super::{FRAME, Pair, TENTH_US, last_step};
use crate::check::List;
use crate::number::{Numbers, quantile};
use crate::quantities::class;
use crate::sheet::Sheet;
use crate::trace::Gpu;

/// Durations by name of the classes that HTA lists.
fn by_name<'a>(rows: &[&'a Gpu]) -> BTreeMap<(&'a str, &'static str), Numbers> {
    let mut names: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for row in rows {
        let kind = CLASSES.iter().find(|(known, _)| *known == class(row)).unwrap().1;
        names.entry((&row.name, kind)).or_default().push(row.length());
    }
    names.into_iter().map(|(key, lengths)| (key, lengths.into_iter().collect())).collect()
}

/// Compares sum, max, min, standard deviation and mean of rows that both sides have.
fn statistics(list: &mut List, sheet: &Sheet, ours: &BTreeMap<(String, String), [f64; 5]>, kind: Option<&str>) {
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let kind = kind.unwrap_or_else(|| sheet.text(row, "kernel_type"));
        let key = (sheet.text(row, "name").to_owned(), kind.to_owned());
        let Some(values) = ours.get(&key) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        for (column, ours) in ["sum", "max", "min", "stddev", "mean"].into_iter().zip(values) {
            list.number(|| format!("{column} of {}", key.0), *ours, sheet.number(row, column), TENTH_US);
        }
    }
    for _ in sheet.rows.len()..ours.len() {
        list.differs(|| "a row is here only".to_owned());
    }
}

fn five(numbers: &Numbers) -> [f64; 5] {
    let to_us = |ns: f64| ns / 1e3;
    [numbers.sum() as f64, numbers.max() as f64, numbers.min() as f64, numbers.deviation(), numbers.mean()].map(to_us)
}

/// `get_gpu_kernel_breakdown`, every kernel.
pub(super) fn kernels(pair: &Pair) -> List {
    let mut list = List::new("gpu_kernel_breakdown_all: sum, max, min, deviation, mean by name");
    let ours = by_name(&pair.kept)
        .iter()
        .map(|(key, numbers)| ((key.0.to_owned(), key.1.to_owned()), five(numbers)))
        .collect();
    statistics(&mut list, &pair.sheet("gpu_kernel_breakdown_all"), &ours, None);
    list
}

/// `get_gpu_kernel_breakdown` as it is called without arguments: of each class the ten names with the largest sums,
/// those behind the 0.8 quantile of the running sums joined under `others`; statistics are over the sums of names.
pub(super) fn grouped_kernels(pair: &Pair) -> List {
    let mut list = List::new("gpu_kernel_breakdown_default: the same, small ones joined");
    let mut ours = BTreeMap::new();
    let all = by_name(&pair.kept);
    for (_, kind) in CLASSES {
        let of_kind = all.iter().filter(|((_, known), _)| *known == kind);
        let mut sums: Vec<(i64, &str, &Numbers)> =
            of_kind.map(|((name, _), numbers)| (numbers.sum(), *name, numbers)).collect();
        sums.sort_by_key(|one| std::cmp::Reverse(one.0));
        if sums.len() <= 10 {
            ours.extend(sums.iter().map(|(_, name, numbers)| (((*name).to_owned(), kind.to_owned()), five(numbers))));
            continue;
        }
        let running: Vec<f64> = sums
            .iter()
            .scan(0, |sum, one| {
                *sum += one.0;
                Some(*sum as f64)
            })
            .collect();
        let limit = quantile(&running, 0.8);
        let mut joined: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for (place, (sum, name, _)) in sums.iter().enumerate() {
            let name = if running[place] > limit || place >= 10 { "others" } else { name };
            joined.entry(name).or_default().push(*sum);
        }
        ours.extend(
            joined
                .into_iter()
                .map(|(name, sums)| ((name.to_owned(), kind.to_owned()), five(&sums.into_iter().collect()))),
        );
    }
    statistics(&mut list, &pair.sheet("gpu_kernel_breakdown_default"), &ours, None);
    list
}

/// `get_gpu_user_annotation_breakdown`.
pub(super) fn annotations(pair: &Pair) -> Option<List> {
    let path = pair.folder.join(format!("{}__gpu_user_annotation_breakdown.csv", pair.name));
    if !path.exists() {
        return None;
    }
    let mut list = List::new("gpu_user_annotation_breakdown: sum, max, min, deviation, mean by name");
    let last = last_step(pair.trace);
    let mut names: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
    for range in pair.trace.ranges.iter().filter(|range| range.domain.as_deref() == Some("gpu")) {
        if last.is_none_or(|last| range.start < last) {
            names.entry((range.name.clone(), String::new())).or_default().push(range.end.unwrap() - range.start);
        }
    }
    let count: usize = names.values().map(Vec::len).sum();
    let ours = |wider: i64| {
        names
            .iter()
            .map(|(key, lengths)| (key.clone(), five(&lengths.iter().map(|length| length + wider).collect())))
            .collect()
    };
    let sheet = Sheet::open(&path);
    statistics(&mut list, &sheet, &ours(0), Some(""));
    if list.tally.unexplained > 0 {
        // Kineto's frame is 1 µs before and 0.5 µs behind.
        let mut framed = List::new(list.what.clone());
        statistics(&mut framed, &sheet, &ours(1500), Some(""));
        let explained = framed.tally.equal.saturating_sub(list.tally.equal);
        framed.tally.equal -= explained;
        framed.explained(explained);
        framed.note(format!("*{FRAME}*: with 1.5 µs more for each of the {count} rows all values are HTA's."));
        list = framed;
    }
    Some(list)
}
