//! Operators: which rows they own, how often and how long, by name and by arguments.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proftool_trace::tables;

use super::{OUTSIDE, TENTH_US};
use crate::check::List;
use crate::sheet::Sheet;
use crate::trace::{Trace, text, whole};

/// The innermost operator in which the launching call of each row begins: places in `activities` and in `calls`.
pub(super) fn owners(trace: &Trace) -> HashMap<usize, usize> {
    type Lane = (Vec<usize>, Vec<usize>);
    let mut threads: BTreeMap<(Option<i64>, Option<i64>), Lane> = BTreeMap::new();
    for (place, call) in trace.calls.iter().enumerate().filter(|(_, call)| call.api == "op") {
        threads.entry((call.process, call.thread)).or_default().0.push(place);
    }
    for (place, row) in trace.activities.iter().enumerate() {
        if let Some(call) = trace.call(row) {
            threads.entry((call.process, call.thread)).or_default().1.push(place);
        }
    }
    let mut owners = HashMap::new();
    let launch = |place: usize| trace.call(&trace.activities[place]).unwrap().span.0;
    for (mut operators, mut rows) in threads.into_values() {
        operators.sort_by_key(|place| (trace.calls[*place].span.0, -trace.calls[*place].span.1));
        rows.sort_by_key(|place| launch(*place));
        let (mut next, mut open): (usize, Vec<usize>) = (0, Vec::new());
        for place in rows {
            while next < operators.len() && trace.calls[operators[next]].span.0 <= launch(place) {
                open.retain(|operator| trace.calls[*operator].span.1 > trace.calls[operators[next]].span.0);
                open.push(operators[next]);
                next += 1;
            }
            open.retain(|operator| trace.calls[*operator].span.1 >= launch(place));
            if let Some(operator) = open.last() {
                owners.insert(place, *operator);
            }
        }
    }
    owners
}

/// Shapes, types and scalar inputs of operators as text, by their place in `calls`.
pub(super) struct Arguments {
    shapes: HashMap<usize, [String; 3]>,
}

impl Arguments {
    pub(super) fn read(trace: &Trace) -> Self {
        let table = &tables::OPERATORS;
        let calls = whole(&trace.tables, table, "call");
        let ids = whole(&trace.tables, &tables::CALLS, "id");
        let places: HashMap<i64, usize> = ids.into_iter().enumerate().map(|(place, id)| (id.unwrap(), place)).collect();
        let [shapes, dtypes, concrete] =
            ["shapes", "dtypes", "concrete_inputs"].map(|column| text(&trace.tables, table, column));
        let plain = |text: &Option<String>| plain(text.as_deref().unwrap_or(""));
        let of = |at: usize| [plain(&shapes[at]), plain(&dtypes[at]), plain(&concrete[at])];
        Self { shapes: calls.into_iter().enumerate().map(|(at, call)| (places[&call.unwrap()], of(at))).collect() }
    }

    pub(super) fn of(&self, operator: usize) -> [String; 3] {
        self.shapes.get(&operator).cloned().unwrap_or_default()
    }
}

/// Lists as text without what JSON and Python write differently: `[[16,559],[]]` and `((16, 559), ())`.
pub(super) fn plain(text: &str) -> String {
    let same = |letter: char| match letter {
        '(' => Some('['),
        ')' => Some(']'),
        '"' => Some('\''),
        ' ' => None,
        other => Some(other),
    };
    text.chars().filter_map(same).collect::<String>().replace(",]", "]")
}

/// Operations that launched something, and nanoseconds of what they launched.
type Owned = (BTreeSet<usize>, i64);

/// Rows by `key` of their operator; rows outside of operators by the call.
fn owned<K: Ord>(trace: &Trace, owners: &HashMap<usize, usize>, key: impl Fn(usize) -> K) -> BTreeMap<K, Owned> {
    let mut groups: BTreeMap<K, Owned> = BTreeMap::new();
    for (place, row) in trace.activities.iter().enumerate().filter(|(_, row)| row.kind != "sync") {
        let Some(call) = row.call else { continue };
        let owner = owners.get(&place).copied().unwrap_or(call);
        let group = groups.entry(key(owner)).or_default();
        group.0.insert(owner);
        group.1 += row.length();
    }
    groups
}

/// The name without a number at its end, for ranges of profilers.
fn without_number(name: &str) -> &str {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if name.contains("_profiler::") && stem.len() < name.len() { stem.trim_end_matches('_') } else { name }
}

/// Sums a column of rows that share a key.
fn summed<K: Ord>(sheet: &Sheet, column: &str, key: impl Fn(usize) -> K) -> BTreeMap<K, f64> {
    let mut sums = BTreeMap::new();
    for row in 0..sheet.rows.len() {
        *sums.entry(key(row)).or_insert(0.0) += sheet.number(row, column);
    }
    sums
}

pub(super) fn operators(list: &mut List, sheet: &Sheet, trace: &Trace, owners: &HashMap<usize, usize>) {
    let mut ours = owned(trace, owners, |owner| without_number(&trace.calls[owner].name).to_owned());
    let name = |row: usize| sheet.text(row, "name").to_owned();
    let (counts, times) = (summed(sheet, "Count", name), summed(sheet, "total_direct_kernel_time_sum", name));
    let shares = summed(sheet, "Percentage (%)", name);
    let all: i64 = ours.values().map(|(_, time)| time).sum();
    let mut outside = Vec::new();
    for (name, count) in &counts {
        let Some((operations, time)) = ours.remove(name) else {
            list.differs(|| format!("{name} is there only"));
            continue;
        };
        list.number(|| format!("operations of {name}"), operations.len() as f64, *count, 0.0);
        list.number(|| format!("time of {name}"), time as f64 / 1e3, times[name], TENTH_US);
        list.number(|| format!("share of {name}"), 100.0 * time as f64 / all as f64, shares[name], 1e-3);
        let first = &trace.calls[*operations.first().unwrap()];
        if first.api != "op" || first.name != *name {
            list.tally.explained += 1;
            outside.push(format!("`{}`", first.name));
        } else {
            list.tally.equal += 1;
        }
    }
    for name in ours.keys() {
        list.differs(|| format!("{name} is here only"));
    }
    if !outside.is_empty() {
        list.note(format!("*{OUTSIDE}*: {}.", outside.join(", ")));
    }
}

pub(super) fn arguments(list: &mut List, sheet: &Sheet, trace: &Trace, owners: &HashMap<usize, usize>) {
    let arguments = Arguments::read(trace);
    let mut ours = owned(trace, owners, |owner| {
        let [shapes, types, concrete] = arguments.of(owner);
        [without_number(&trace.calls[owner].name).to_owned(), shapes, types, concrete]
    });
    let key = |row: usize| {
        let columns = ["Input Dims", "Input type", "Concrete Inputs"].map(|column| plain(sheet.text(row, column)));
        let [shapes, types, concrete] = columns;
        [sheet.text(row, "name").to_owned(), shapes, types, concrete]
    };
    let (counts, times) = (summed(sheet, "operation_count", key), summed(sheet, "total_direct_kernel_time_sum", key));
    for (key, count) in &counts {
        let Some((operations, time)) = ours.remove(key) else {
            list.differs(|| format!("{key:?} is there only"));
            continue;
        };
        list.tally.equal += 1;
        list.number(|| format!("operations of {key:?}"), operations.len() as f64, *count, 0.0);
        list.number(|| format!("time of {key:?}"), time as f64 / 1e3, times[key], TENTH_US);
    }
    for key in ours.keys() {
        list.differs(|| format!("{key:?} is here only"));
    }
    list.note("rows that differ in strides or module only are added up.".to_owned());
}
