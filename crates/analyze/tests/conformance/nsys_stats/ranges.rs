//! NVTX ranges, and what was launched inside them.

use std::collections::{BTreeMap, BTreeSet};

use proftool_analyze::classes::Kind;
use proftool_analyze::metrics::ranges::Instances;
use proftool_analyze::model::{Model, Range as Drawn};

use super::summary::{Summary, grouped};
use super::{number, spread};
use crate::check::List;
use crate::number::Numbers;
use crate::results::Results;
use crate::sheet::Sheet;
use crate::trace::Trace;

/// Ranges by name and style; one that never ended ends at the last time of any.
pub(super) fn ranges(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let last = trace.ranges.iter().map(|range| range.end.unwrap_or(range.start).max(range.start)).max().unwrap_or(0);
    let ours = trace.ranges.iter().filter(|range| range.style != "mark");
    let ours = ours.map(|range| {
        let name = named(range.domain.as_deref(), &range.name);
        (format!("{} {name}", style(&range.style)), range.end.unwrap_or(last) - range.start)
    });
    let theirs = |row: usize| format!("{} {}", sheet.text(row, "Style"), sheet.text(row, "Range"));
    let metric = BTreeMap::new();
    let summary = Summary { ours: grouped(ours), metric, total: "Total Time", count: "Instances", scale: 1.0 };
    summary.compare(list, sheet, &theirs);
    all_ranges(list, sheet, trace, last);
}

/// The metric `ranges` over all names: its rows are paths, and names without counters.
fn all_ranges(list: &mut List, sheet: &Sheet, trace: &Trace, last: i64) {
    let result = Results::compute(&trace.tables, "ranges");
    for wanted in ["PushPop", "StartEnd"] {
        let rows = (0..result.rows)
            .filter(|row| result.text(*row, "style").is_some_and(|own| own != "mark" && style(own) == wanted));
        let rows: Vec<usize> = rows.collect();
        let here = |column: &str| rows.iter().filter_map(|row| result.int(*row, column)).sum::<i64>() as f64;
        let theirs = (0..sheet.rows.len()).filter(|row| sheet.text(*row, "Style") == wanted);
        let there: Vec<usize> = theirs.collect();
        let there = |column: &str| there.iter().map(|row| sheet.number(*row, column)).sum::<f64>();
        // Ranges that never ended have no length in the metric.
        let open = trace
            .ranges
            .iter()
            .filter(|range| range.end.is_none() && style(&range.style) == wanted && range.style != "mark");
        let open: i64 = open.map(|range| last - range.start).sum();
        list.number(|| format!("all instances of {wanted}"), here("instances"), there("Instances"), 0.0);
        list.number(|| format!("all time of {wanted}"), here("total_ns") + open as f64, there("Total Time"), 0.5);
    }
}

fn style(style: &str) -> &'static str {
    if style == "push_pop" { "PushPop" } else { "StartEnd" }
}

/// The name behind its domain; a domain whose name was not recorded is `domain 1` here and nothing there.
fn named(domain: Option<&str>, name: &str) -> String {
    match domain.filter(|domain| !domain.starts_with("domain ")) {
        Some(domain) => format!("{domain}:{name}"),
        None => name.to_owned(),
    }
}

/// The projections that the metric `ranges` is made of.
struct Projections {
    model: Model,
    all: std::rc::Rc<Instances>,
}

impl Projections {
    fn of(trace: &Trace) -> Self {
        let model = Model::read(&trace.tables).unwrap();
        let all = Instances::of_model(&model);
        Self { model, all }
    }

    fn range(&self, at: usize) -> &Drawn {
        &self.model.ranges[self.all.range[at] as usize]
    }

    /// Style and name of a projected range, as nsys prints them.
    fn key(&self, at: usize) -> String {
        let range = self.range(at);
        let domain = range.domain.map(|domain| self.model.names.text(domain));
        format!("{} {}", style(range.style.name()), named(domain, self.model.names.text(range.name)))
    }

    /// The innermost range that holds an activity, and those around it.
    fn around(&self, activity: usize) -> impl Iterator<Item = usize> + '_ {
        let innermost = self.all.innermost[activity];
        let all = std::iter::successors(innermost, |at| self.all.projected[*at as usize].parent);
        all.map(|at| at as usize)
    }
}

/// Ranges projected onto the devices: from the start of the first row launched inside to the end of the last.
pub(super) fn projections(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let found = Projections::of(trace);
    let mut children = vec![0_i64; found.all.projected.len()];
    for held in found.all.projected.iter().filter(|held| held.operations > 0) {
        if let Some(parent) = held.parent {
            children[parent as usize] += 1;
        }
    }
    let mut groups: BTreeMap<String, Vec<[i64; 5]>> = BTreeMap::new();
    for (at, held) in found.all.projected.iter().enumerate() {
        let Some(span) = held.span() else { continue };
        let host = found.range(at).span;
        let values = [span.1 - span.0, host.1 - host.0, held.launches.into(), held.level.into(), children[at]];
        groups.entry(found.key(at)).or_default().push(values);
    }
    for row in 0..sheet.rows.len() {
        let key = format!("{} {}", sheet.text(row, "Style"), sheet.text(row, "Range"));
        let Some(values) = groups.remove(&key) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        list.tally.equal += 1;
        let [projected, original, rows, depth, children] =
            [0, 1, 2, 3, 4].map(|at| values.iter().map(|value| value[at]).collect::<Numbers>());
        let mut one = |column: &str, ours: f64| {
            number(list, || format!("{column} of {key}"), Some(ours), sheet.text(row, column));
        };
        one("Total Proj Time", projected.sum() as f64);
        one("Total Range Time", original.sum() as f64);
        one("Range Instances", projected.count() as f64);
        one("Total GPU Ops", rows.sum() as f64);
        one("Avg GPU Ops", rows.mean());
        one("Avg Range Lvl", depth.mean());
        one("Avg Num Child", children.mean());
        spread(list, sheet, row, (&key, "Proj ", 1.0), &projected);
    }
    for key in groups.keys() {
        list.differs(|| format!("{key} is here only"));
    }
}

/// Ranges, kernels, and the kernels' durations, as often as a range holds them.
type Group = (BTreeSet<usize>, BTreeSet<usize>, Vec<i64>);

/// Kernels by the ranges that they were launched in.
pub(super) fn range_kernels(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let found = Projections::of(trace);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (place, row) in found.model.activities.iter().enumerate().filter(|(_, row)| row.kind == Kind::Kernel) {
        let (kernel, length) = (found.model.names.text(row.name), row.span.1 - row.span.0);
        let mut add = |key: String, range: Option<usize>| {
            let group = groups.entry(key).or_default();
            group.0.extend(range);
            group.1.insert(place);
            group.2.push(length);
        };
        let mut inside = false;
        for at in found.around(place) {
            let range = found.range(at);
            let domain = range.domain.map(|domain| found.model.names.text(domain));
            let name = named(domain, found.model.names.text(range.name));
            let thread = found.model.threads[range.thread as usize];
            let ids = [thread.process, thread.thread].map(|id| id.unwrap_or(-1).to_string()).join(" ");
            add(format!("{name} {} {ids} {kernel}", style(range.style.name())), Some(at));
            inside = true;
        }
        if !inside {
            add(format!("    {kernel}"), None);
        }
    }
    for row in 0..sheet.rows.len() {
        let key = ["NVTX Range", "Style", "PID", "TID", "Kernel Name"].map(|column| sheet.text(row, column)).join(" ");
        let Some((ranges, kernels, lengths)) = groups.remove(&key) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        let lengths: Numbers = lengths.into_iter().collect();
        list.tally.equal += 1;
        number(list, || format!("NVTX Inst of {key}"), Some(ranges.len() as f64), sheet.text(row, "NVTX Inst"));
        number(list, || format!("Kern Inst of {key}"), Some(kernels.len() as f64), sheet.text(row, "Kern Inst"));
        number(list, || format!("Total Time of {key}"), Some(lengths.sum() as f64), sheet.text(row, "Total Time"));
        spread(list, sheet, row, (&key, "", 1.0), &lengths);
    }
    for key in groups.keys() {
        list.differs(|| format!("{key} is here only"));
    }
}
