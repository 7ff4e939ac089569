//! Overlap: how much communication, KV transfer and copying is hidden behind compute on the same device.
//!
//! For X = comm, kv, copy: hidden = |U(X) ∩ U(compute)|, exposed = |U(X)| - hidden. `exclusive_ns` gives each
//! nanosecond of the windows to the first of compute, comm, kv, copy, set, idle that holds; those sum to T.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, intersect, split_totals, total, union, within};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "overlap",
    doc: "How much communication, KV transfer and copying is hidden behind compute, and how much is exposed.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "overlap",
    doc: "One class of one device in one window set.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("kind", "`compute`, `comm`, `kv`, `copy`, `set` or `idle`."),
        int("total_ns", "Length of the union of its activities, clipped to the windows."),
        int("hidden_ns", "Part of it during which the device also computed; null for compute, set and idle.").or_null(),
        int("exposed_ns", "total_ns - hidden_ns; null for compute, set and idle.").or_null(),
        float("hidden_ratio", "hidden_ns / total_ns; null where there is none.").or_null(),
        int("exclusive_ns", "Time given to it when each instant counts once, in the order of the kinds; sums to T."),
        int("simulated_ns", "Part of total_ns whose duration is modelled; null for idle.").or_null(),
    ],
};

struct Row {
    device: DeviceKey,
    window: String,
    kind: &'static str,
    total: i64,
    hidden: Option<i64>,
    exclusive: i64,
    simulated: Option<i64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = input.of_devices(|model, device, sets| {
        let unions = Unions::of(model, device);
        sets.iter().flat_map(|set| of_set(&unions, device, set)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("kind", |row| Some(row.kind))
        .int("total_ns", |row| Some(row.total))
        .int("hidden_ns", |row| row.hidden)
        .int("exposed_ns", |row| row.hidden.map(|hidden| row.total - hidden))
        .float("hidden_ratio", |row| row.hidden.and_then(|hidden| ratio(hidden, row.total)))
        .int("exclusive_ns", |row| Some(row.exclusive))
        .int("simulated_ns", |row| row.simulated)
        .build(&TABLE)
}

/// The unions of a device's activities by class, made once and clipped to one window set after the other.
pub(crate) struct Unions {
    classes: [Vec<Span>; Class::WORK.len()],
    simulated: [Vec<Span>; Class::WORK.len()],
}

impl Unions {
    pub(crate) fn of(model: &Model, device: DeviceKey) -> Self {
        let rows = model.of_device(device);
        let spans = |class: Class, all: bool| {
            let chosen = rows.iter().filter(|row| row.class == class && (all || row.simulated));
            union(&chosen.map(|row| row.span).collect::<Vec<_>>())
        };
        Self {
            classes: Class::WORK.map(|class| spans(class, true)),
            simulated: Class::WORK.map(|class| spans(class, false)),
        }
    }

    /// The activities of one class, clipped to the windows; none for a class that is no work.
    pub(crate) fn class(&self, class: Class, windows: &[Span]) -> Vec<Span> {
        clipped(&self.classes, class, windows)
    }

    /// As [`Unions::class`], of the activities whose duration is modelled.
    pub(crate) fn simulated(&self, class: Class, windows: &[Span]) -> Vec<Span> {
        clipped(&self.simulated, class, windows)
    }
}

fn clipped(sets: &[Vec<Span>], class: Class, windows: &[Span]) -> Vec<Span> {
    let set = Class::WORK.iter().position(|other| *other == class).and_then(|at| sets.get(at));
    set.map_or_else(Vec::new, |set| windows.iter().flat_map(|window| within(set, *window)).collect())
}

fn of_set(unions: &Unions, device: DeviceKey, set: &WindowSet) -> Vec<Row> {
    let classes = Class::WORK.map(|class| unions.class(class, &set.spans));
    let borrowed: Vec<&[Span]> = classes.iter().map(Vec::as_slice).collect();
    let exclusive = split_totals(&set.spans, &borrowed);
    let hideable = [Class::Comm, Class::Kv, Class::Copy];
    let mut rows = Vec::with_capacity(6);
    for (at, class) in Class::WORK.into_iter().enumerate() {
        let hidden = hideable.contains(&class).then(|| total(&intersect(&classes[at], &classes[0])));
        rows.push(Row {
            device,
            window: set.name.clone(),
            kind: class.name(),
            total: total(&classes[at]),
            hidden,
            exclusive: exclusive[at],
            simulated: Some(total(&unions.simulated(class, &set.spans))),
        });
    }
    let idle = exclusive[Class::WORK.len()];
    let window = set.name.clone();
    rows.push(Row { device, window, kind: "idle", total: idle, hidden: None, exclusive: idle, simulated: None });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, shared_data};
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};
    use proptest::prelude::*;

    fn overlap(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn transfers_are_hidden_only_behind_compute_of_their_own_device() {
        // Device 0 computes in 0..50. Its KV copy 40..70 is hidden for 10; the plain copy 60..90 not at all.
        let fixture = Fixture::new()
            .queue(0, 1, "kv")
            .kernel(0, 0, (0, 50))
            .copy(0, 1, (40, 70), 1, 8)
            .simulated()
            .copy(0, 2, (60, 90), 1, 8)
            .kernel(1, 0, (0, 100))
            .block((0, 100));
        let frame = overlap(&fixture);
        let column = |name| ints(&frame, name).unwrap()[..6].to_vec();
        assert_eq!(column("total_ns"), [50, 0, 30, 30, 0, 10].map(Some));
        assert_eq!(column("hidden_ns"), [None, Some(0), Some(10), Some(0), None, None]);
        assert_eq!(column("exposed_ns"), [None, Some(0), Some(20), Some(30), None, None]);
        assert_eq!(column("exclusive_ns"), [50, 0, 20, 20, 0, 10].map(Some));
        assert_eq!(column("simulated_ns"), [Some(0), Some(0), Some(30), Some(0), Some(0), None]);
    }

    #[test]
    fn exposed_communication_of_the_published_pair_comes_out() {
        // Published over both devices: 25.400 ms before, 33.740 ms after. The exact integers are of unions made in SQL and
        // Python over the same files: U(nccl) less U(other kernels), device 0 and device 1.
        for (file, exposed) in [("before", [17_172_652, 8_229_100]), ("after", [9_989_016, 23_753_085])] {
            let Some(path) = shared_data(&format!("nsys/h100x2_train_{file}.schema3.25.sqlite")) else { return };
            let (_, tables) = proftool_import::into_memory(&path).unwrap();
            let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
            let (kinds, found) = (texts(&frame, "kind").unwrap(), ints(&frame, "exposed_ns").unwrap());
            let comm = kinds.iter().zip(found).filter(|(kind, _)| kind.as_deref() == Some("comm"));
            assert_eq!(comm.map(|(_, exposed)| exposed.unwrap()).collect::<Vec<_>>(), exposed, "{file}");
        }
    }

    #[test]
    fn a_device_without_work_and_a_window_without_length_have_zeros() {
        let fixture = Fixture::new().kernel(0, 0, (7, 7)).range("empty", (3, 3));
        for window in [Window::Default, Window::Named("empty".to_owned())] {
            let frame = compute(&Input::new("run", "target", &fixture.tables(), window)).unwrap();
            assert_eq!(ints(&frame, "exclusive_ns").unwrap(), [Some(0); 6]);
            assert!(floats(&frame, "hidden_ratio").unwrap().iter().all(Option::is_none));
        }
    }

    proptest! {
        #[test]
        fn exclusive_agrees_with_a_bitmap_and_sums_to_the_windows(
            rows in prop::collection::vec((0..4_usize, 0..90_i64, 0..20_i64), 0..14),
            window in (0..50_i64, 1..50_i64),
        ) {
            // Queue 0 computes, 1 carries communication, 2 KV, 3 plain copies.
            let mut fixture = Fixture::new().queue(0, 1, "comm").queue(0, 2, "kv").kernel(0, 0, (0, 0));
            let window = (window.0, window.0 + window.1);
            for (queue, start, length) in &rows {
                let span = (*start, start + length);
                fixture = if *queue == 0 { fixture.kernel(0, 0, span) } else { fixture.copy(0, *queue as i64, span, 1, 8) };
            }
            let frame = overlap(&fixture.block(window));
            let exclusive = ints(&frame, "exclusive_ns").unwrap();
            let first = |t: i64| rows.iter().filter(|row| row.1 <= t && t < row.1 + row.2).map(|row| row.0).min();
            for (class, found) in exclusive.iter().take(4).enumerate() {
                let count = (window.0..window.1).filter(|t| first(*t) == Some(class)).count();
                prop_assert_eq!(*found, Some(count as i64));
            }
            prop_assert_eq!(exclusive.iter().flatten().sum::<i64>(), window.1 - window.0);
            let runs = |class: usize, t: i64| rows.iter().any(|row| row.0 == class && row.1 <= t && t < row.1 + row.2);
            let count = |holds: &dyn Fn(i64) -> bool| (window.0..window.1).filter(|t| holds(*t)).count() as i64;
            let (hidden, exposed) = (ints(&frame, "hidden_ns").unwrap(), ints(&frame, "exposed_ns").unwrap());
            for class in 1..4 {
                prop_assert_eq!(hidden[class], Some(count(&|t| runs(class, t) && runs(0, t))));
                prop_assert_eq!(exposed[class], Some(count(&|t| runs(class, t) && !runs(0, t))));
            }
        }
    }
}
