//! Classes: what the rules made of the activities, rule by rule, so that a wrong class or time without one is seen.
//!
//! An activity belongs to the row of the rule that gave its class; kernels that no rule matched are compute and have a row
//! of their own, with `rule` null. `total_ns` adds the activities' times inside the windows one by one, so that rows that
//! run at once count twice: the rows add up to the work of the device, not to its time. `union_ns` counts each instant
//! once inside a row. Sync records are no work and have no share of it.

use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, clip, total, union};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "classes",
    doc: "Which rule classified how much time as compute, communication, KV transfer or copy, and what no rule matched.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "classes",
    doc: "The activities of one device in one window set that one rule put into one class, the longest first in each class.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("class", "`compute`, `comm`, `kv`, `copy`, `set` or `sync`."),
        text("rule", "Name of the rule; null for kernels that no rule matched, which count as compute.").or_null(),
        int("activities", "Activities that ran inside the windows."),
        int("total_ns", "Sum of their times inside the windows."),
        int("union_ns", "Time inside the windows during which at least one of them ran."),
        float("time_ratio", "total_ns / that of all kernel, copy, set and graph rows; null for sync records.")
            .or_null(),
        int("names", "Different names among them."),
        text("largest_name", "The name with the largest sum of times.").or_null(),
        int("largest_ns", "The sum of times of that name."),
        text("example_names", "Up to three names with the largest sums of times, separated by semicolons.").or_null(),
    ],
};

/// How many names a row gives as examples.
const EXAMPLES: usize = 3;

struct Row {
    device: DeviceKey,
    window: String,
    class: Class,
    rule: Option<String>,
    activities: i64,
    total: i64,
    union: i64,
    ratio: Option<f64>,
    /// The largest first.
    names: Vec<(String, i64)>,
}

impl Row {
    fn examples(&self) -> Option<String> {
        let names: Vec<&str> = self.names.iter().take(EXAMPLES).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join("; "))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = input.of_devices(|model, device, sets| {
        let reach = reach(model.of_device(device));
        sets.iter().flat_map(|set| of_set(model, device, &reach, set)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("class", |row| Some(row.class.name()))
        .text("rule", |row| row.rule.as_ref())
        .int("activities", |row| Some(row.activities))
        .int("total_ns", |row| Some(row.total))
        .int("union_ns", |row| Some(row.union))
        .float("time_ratio", |row| row.ratio)
        .int("names", |row| Some(row.names.len() as i64))
        .text("largest_name", |row| row.names.first().map(|(name, _)| name))
        .int("largest_ns", |row| Some(row.names.first().map_or(0, |(_, time)| *time)))
        .text("example_names", Row::examples)
        .build(&TABLE)
}

/// The latest end among the activities up to each one: it never falls, so that those that reach into a window are found by
/// bisection.
fn reach(rows: &[Activity]) -> Vec<i64> {
    let latest = |latest: &mut i64, row: &Activity| {
        *latest = row.span.1.max(*latest);
        Some(*latest)
    };
    rows.iter().scan(i64::MIN, latest).collect()
}

/// What is known of one class and rule.
#[derive(Default)]
struct Group {
    activities: i64,
    total: i64,
    spans: Vec<Span>,
    names: HashMap<u32, i64>,
}

impl Group {
    fn add(&mut self, row: &Activity, part: Span, is_new: bool) {
        let time = part.1.saturating_sub(part.0);
        self.activities += i64::from(is_new);
        self.total = self.total.saturating_add(time);
        self.spans.push(part);
        let name = self.names.entry(row.name).or_default();
        *name = name.saturating_add(time);
    }
}

fn of_set(model: &Model, device: DeviceKey, reach: &[i64], set: &WindowSet) -> Vec<Row> {
    let groups = groups(model, device, reach, &set.spans);
    let work = groups.iter().filter(|((class, _), _)| *class != Class::Sync);
    let work = work.fold(0_i64, |sum, (_, group)| sum.saturating_add(group.total));
    let row = |((class, rule), group): ((Class, Option<&str>), Group)| Row {
        device,
        window: set.name.clone(),
        class,
        rule: rule.map(str::to_owned),
        activities: group.activities,
        total: group.total,
        union: total(&union(&group.spans)),
        ratio: ratio(group.total, work).filter(|_| class != Class::Sync),
        names: by_time(model, &group.names),
    };
    let mut rows: Vec<Row> = groups.into_iter().map(row).collect();
    rows.sort_by(|a, b| (a.class, b.total, &a.rule).cmp(&(b.class, a.total, &b.rule)));
    rows
}

fn by_time(model: &Model, names: &HashMap<u32, i64>) -> Vec<(String, i64)> {
    let mut names: Vec<(&str, i64)> = names.iter().map(|(name, time)| (model.names.text(*name), *time)).collect();
    names.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    names.into_iter().map(|(name, time)| (name.to_owned(), time)).collect()
}

/// The activities inside the windows (sorted and disjoint) by class and name of the rule.
fn groups<'m>(
    model: &'m Model,
    device: DeviceKey,
    reach: &[i64],
    windows: &[Span],
) -> HashMap<(Class, Option<&'m str>), Group> {
    let rows = model.of_device(device);
    let mut groups: HashMap<(Class, Option<u32>), Group> = HashMap::new();
    let mut before = None;
    for window in windows {
        let first = reach.partition_point(|end| *end < window.0);
        let started = rows.partition_point(|row| row.span.0 < window.1);
        for row in rows.get(first..started).unwrap_or_default() {
            // One that began before the end of the window before has been counted there.
            let is_new = before.is_none_or(|end| row.span.0 >= end);
            if let Some(part) = part(row.span, *window) {
                groups.entry((row.class, row.rule)).or_default().add(row, part, is_new);
            }
        }
        before = Some(window.1);
    }
    named(model, groups)
}

/// The part of an activity inside a window; of one without length its instant.
fn part(span: Span, window: Span) -> Option<Span> {
    let instant = span.0 >= span.1 && window.0 <= span.0 && span.0 < window.1;
    if instant { Some((span.0, span.0)) } else { clip(span, window) }
}

/// The groups by the name of their rule: several rules may have one name.
fn named(model: &Model, groups: HashMap<(Class, Option<u32>), Group>) -> HashMap<(Class, Option<&str>), Group> {
    let mut named: HashMap<(Class, Option<&str>), Group> = HashMap::new();
    for ((class, rule), group) in groups {
        let name = rule.and_then(|rule| model.rules.get(rule as usize)).map(String::as_str);
        let all = named.entry((class, name)).or_default();
        all.activities += group.activities;
        all.total = all.total.saturating_add(group.total);
        all.spans.extend(group.spans);
        for (name, time) in group.names {
            let sum = all.names.entry(name).or_default();
            *sum = sum.saturating_add(time);
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::Rules;
    use crate::fixture::{Fixture, shared_data};
    use crate::metrics::overlap;
    use crate::windows::Window;
    use proftool_trace::frame::{Tables, floats, ints, texts};
    use proptest::prelude::*;

    fn classes(tables: &Tables, window: Window) -> DataFrame {
        compute(&Input::new("run", "target", tables, window)).unwrap()
    }

    /// class, rule, activities, total, union, names, largest, its time.
    type Found = (String, Option<String>, i64, i64, i64, i64, Option<String>, i64);

    fn found(frame: &DataFrame) -> Vec<Found> {
        let number = |name: &str| ints(frame, name).unwrap().into_iter().flatten().collect::<Vec<i64>>();
        let (class, rule) = (texts(frame, "class").unwrap(), texts(frame, "rule").unwrap());
        let numbers = ["activities", "total_ns", "union_ns", "names", "largest_ns"].map(number);
        let largest = texts(frame, "largest_name").unwrap();
        (0..frame.height())
            .map(|at| {
                let [activities, total, union, names, time] = [0, 1, 2, 3, 4].map(|column: usize| numbers[column][at]);
                (
                    class[at].clone().unwrap(),
                    rule[at].clone(),
                    activities,
                    total,
                    union,
                    names,
                    largest[at].clone(),
                    time,
                )
            })
            .collect()
    }

    #[test]
    fn time_without_a_rule_is_shown_with_its_names() {
        // The two unknown kernels overlap in 30..40; their 40 + 20 ns are 60 % of the 100 ns of work.
        let fixture = Fixture::new()
            .named_kernel("mystery", 0, 0, (0, 40))
            .named_kernel("riddle", 0, 1, (30, 50))
            .named_kernel("ncclDevKernel_SendRecv(x)", 0, 1, (50, 70))
            .copy(0, 2, (70, 90), 1, 8)
            .other("sync", 0, 0, (0, 90));
        let frame = classes(&fixture.tables(), Window::Default);
        let row = |class: &str, rule: Option<&str>, numbers: [i64; 4], largest: &str, time| {
            let [activities, total, union, names] = numbers;
            let (class, rule, largest) = (class.to_owned(), rule.map(str::to_owned), Some(largest.to_owned()));
            (class, rule, activities, total, union, names, largest, time)
        };
        assert_eq!(
            found(&frame),
            [
                row("compute", None, [2, 60, 50, 2], "mystery", 40),
                row("comm", Some("nccl, rccl"), [1, 20, 20, 1], "ncclDevKernel_SendRecv(x)", 20),
                row("copy", Some("copy"), [1, 20, 20, 1], "copy", 20),
                row("sync", Some("sync record"), [1, 90, 90, 1], "sync", 90),
            ]
        );
        assert_eq!(floats(&frame, "time_ratio").unwrap(), [Some(0.6), Some(0.2), Some(0.2), None]);
        assert_eq!(texts(&frame, "example_names").unwrap()[0].as_deref(), Some("mystery; riddle"));
    }

    #[test]
    fn a_file_of_rules_moves_time_from_unclassified_to_its_class_in_every_metric() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Two rules of one name make one row.
        let rule = |glob: &str| format!("[[rule]]\nname = 'mine'\nclass = 'comm'\nfunction = ['{glob}']\n");
        std::fs::write(file.path(), rule("my_send") + &rule("my_receive")).unwrap();
        let rules = Some(Arc::new(Rules::with_file(file.path()).unwrap()));
        let fixture = Fixture::new().kernel(0, 0, (0, 10)).named_kernel("void my_send<int>(int)", 0, 1, (5, 20));
        let tables = fixture.named_kernel("my_receive", 0, 1, (20, 30)).tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        assert_eq!(ints(&compute(&input).unwrap(), "total_ns").unwrap(), [Some(25), Some(10)]);
        let input = Input::new("run", "target", &tables, Window::Default).with_rules(rules);
        let frame = compute(&input).unwrap();
        let rows: Vec<_> = found(&frame).into_iter().map(|row| (row.0, row.1, row.2, row.3)).collect();
        let wanted = [("compute", "matrix product", 1, 10), ("comm", "mine", 2, 25)];
        assert_eq!(
            rows,
            wanted.map(|(class, rule, count, time)| (class.to_owned(), Some(rule.to_owned()), count, time))
        );
        // Of U(comm) = 5..30 the 5 ns to 10 are hidden.
        let overlap = (overlap::METRIC.compute)(&input).unwrap();
        assert_eq!(ints(&overlap, "exposed_ns").unwrap()[1], Some(20));
    }

    #[test]
    fn activities_without_length_are_counted_and_empty_windows_hold_nothing() {
        let fixture = Fixture::new().named_kernel("x", 0, 0, (5, 5)).named_kernel("x", 0, 0, (3, 9));
        let frame = classes(&fixture.block((4, 6)).tables(), Window::Default);
        assert_eq!((ints(&frame, "activities").unwrap()[0], ints(&frame, "total_ns").unwrap()[0]), (Some(2), Some(2)));
        let frame = classes(&Fixture::new().named_kernel("x", 0, 0, (5, 5)).tables(), Window::Default);
        assert_eq!(frame.height(), 0);
    }

    #[test]
    fn times_at_the_ends_of_the_clock_have_no_negative_sum() {
        let long = (i64::MIN, i64::MAX);
        let fixture = Fixture::new().named_kernel("x", 0, 0, long).named_kernel("x", 0, 0, long);
        let tables = fixture.tables();
        let frame = classes(&tables, Window::Default);
        assert_eq!(
            (ints(&frame, "total_ns").unwrap()[0], ints(&frame, "union_ns").unwrap()[0]),
            (Some(i64::MAX), Some(i64::MAX))
        );
        assert_eq!(floats(&frame, "time_ratio").unwrap(), [Some(1.0)]);
        let input = Input::new("run", "target", &tables, Window::Default);
        let overlap = (overlap::METRIC.compute)(&input).unwrap();
        assert_eq!(ints(&overlap, "exclusive_ns").unwrap()[0], Some(i64::MAX));
    }

    #[test]
    fn of_the_real_traces_every_nccl_kernel_has_its_rule() {
        // Kernels named nccl* and the sum of their times over both devices, by SQL over the file.
        for (file, count, time) in [("before", 66, 25_401_752), ("after", 62, 33_742_101)] {
            let Some(path) = shared_data(&format!("nsys/h100x2_train_{file}.schema3.25.sqlite")) else { return };
            let frame = classes(&proftool_import::into_memory(&path).unwrap().1, Window::Default);
            let comm: Vec<Found> = found(&frame).into_iter().filter(|row| row.0 == "comm").collect();
            assert!(comm.iter().all(|row| row.1.as_deref() == Some("nccl, rccl")));
            assert_eq!(comm.iter().map(|row| row.2).sum::<i64>(), count);
            assert_eq!(comm.iter().map(|row| row.3).sum::<i64>(), time);
        }
    }

    const NAMES: [&str; 4] = ["mystery", "riddle", "ncclKernel_Broadcast", "gemm"];

    /// Name, queue, start, length.
    type RandomRow = (usize, i64, i64, i64);

    fn fixture(rows: &[RandomRow], windows: &[Span]) -> Fixture {
        let fixture = windows.iter().fold(Fixture::new().queue(0, 1, "kv"), |fixture, window| fixture.block(*window));
        rows.iter().fold(fixture, |fixture, (name, queue, start, length)| {
            fixture.named_kernel(NAMES[*name], 0, *queue, (*start, start + length))
        })
    }

    proptest! {
        #[test]
        fn rows_agree_with_a_count_for_each_nanosecond_in_any_order_of_the_table(
            rows in prop::collection::vec((0..4_usize, 0..2_i64, 0..90_i64, 0..40_i64), 1..14),
            lengths in prop::collection::vec((0..20_i64, 1..25_i64), 1..3),
        ) {
            let window = |(at, (start, length)): (usize, &(i64, i64))| (at as i64 * 50 + start, at as i64 * 50 + start + length);
            let windows: Vec<Span> = lengths.iter().enumerate().map(window).collect();
            let frame = classes(&fixture(&rows, &windows).tables(), Window::Default);
            let expected = |name: usize, queue: i64| match (NAMES[name], queue) {
                ("ncclKernel_Broadcast", 1) => ("kv", Some("kv queue")),
                ("ncclKernel_Broadcast", _) => ("comm", Some("nccl, rccl")),
                ("gemm", _) => ("compute", Some("matrix product")),
                _ => ("compute", None),
            };
            let inside = |t: i64| windows.iter().any(|window| window.0 <= t && t < window.1);
            let runs = |row: &RandomRow, t: i64| row.2 <= t && t < row.2 + row.3;
            let counts = |row: &RandomRow| inside(row.2) || (0..150).any(|t| runs(row, t) && inside(t));
            let keys: BTreeSet<_> = rows.iter().filter(|row| counts(row)).map(|row| expected(row.0, row.1)).collect();
            prop_assert_eq!(frame.height(), keys.len());
            for (class, rule, activities, total, union, ..) in found(&frame) {
                let own = |row: &&RandomRow| expected(row.0, row.1) == (class.as_str(), rule.as_deref());
                let own: Vec<&RandomRow> = rows.iter().filter(own).collect();
                let times = (0..150).filter(|t| inside(*t)).map(|t| own.iter().filter(|row| runs(row, t)).count() as i64);
                let times: Vec<i64> = times.collect();
                prop_assert_eq!(activities, own.iter().filter(|row| counts(row)).count() as i64);
                prop_assert_eq!((total, union), (times.iter().sum(), times.iter().filter(|open| **open > 0).count() as i64));
            }
            let mut turned = rows.clone();
            turned.reverse();
            prop_assert!(frame.equals_missing(&classes(&fixture(&turned, &windows).tables(), Window::Default)));
        }
    }
}
