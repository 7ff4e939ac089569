//! The step waterfall: where the time of a step of a device went, as parts that sum to it exactly.
//!
//! Each nanosecond belongs to the first active class: compute, comm, kv, copy or set, gap. Compute is split evenly over
//! the kernels running in it, which gives w_k (`shares`). roof = sum of min(w_k, bound_k), inefficiency = what w_k
//! has beyond it, unplaced = sum of w_k of kernels without a bound and of whole-graph rows. bound_k is the least time that
//! the roofs allow for the launch, times the share of it inside the step. launch = the gap parts host_wait and launch
//! of [`super::idle`], idle = its other parts. above_roof = sum of max(0, bound_k - w_k) stands outside the sum; kernels
//! that run side by side reach it without crossing a roof, as each is given only part of the time.
//!
//! Rows: each window set, then (in the default window) each step of `steps`.

mod shares;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, idle, ratio};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, clip, split, total, union, within};
use crate::phases;
use crate::steps::{self, Step};
use crate::windows::{Window, WindowSet};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "waterfall",
    doc: "Where the time of each step went: roof, inefficiency, exposed transfers, launch and idle, summing exactly.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "waterfall",
    doc: "One window set (step null) or one step of a device; span_ns is the sum of the eight parts up to idle_ns.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        int("step", "Number of the step in its rank, from 0; null for the whole window set.").or_null(),
        text("name", "Name of the step's range; null for the whole window set.").or_null(),
        text("phase", "Phase that the name tells.").or_null(),
        int("span_ns", "Length of the step on this device."),
        int("roof_ns", "Compute that the roofs demand: sum of min(w, bound)."),
        int("inefficiency_ns", "Compute beyond it: sum of w - min(w, bound)."),
        int("unplaced_ns", "Compute of kernels without counts or roofs, and of whole-graph rows."),
        int("exposed_comm_ns", "Communication that no compute hides."),
        int("exposed_kv_ns", "KV transfer that neither compute nor communication hides."),
        int("exposed_copy_ns", "Other copies and sets that nothing of these hides."),
        int("launch_ns", "Gaps before or after the launching call of what follows (host_wait and launch)."),
        int("idle_ns", "Gaps with any other cause."),
        int("above_roof_ns", "Sum of max(0, bound - w), which stands outside the sum."),
        float("coverage_ratio", "Share of the compute that has a bound; null without compute.").or_null(),
        float("launch_coverage_ratio", "Share of the gap-following activities whose launching call is recorded.")
            .or_null(),
        text("classes", "The order in which a nanosecond is attributed."),
        boolean("reliable", "False where whole-graph rows hide the kernels and the gaps between them."),
    ],
};

/// Parts of one or more windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    span: i64,
    roof: i64,
    inefficiency: i64,
    unplaced: i64,
    exposed: [i64; 3],
    launch: i64,
    idle: i64,
    above_roof: i64,
    followed: i64,
    covered: i64,
    graphs: bool,
}

impl Parts {
    fn add(&mut self, other: &Self) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.span, other.span);
        add(&mut self.roof, other.roof);
        add(&mut self.inefficiency, other.inefficiency);
        add(&mut self.unplaced, other.unplaced);
        for (sum, more) in self.exposed.iter_mut().zip(other.exposed) {
            add(sum, more);
        }
        add(&mut self.launch, other.launch);
        add(&mut self.idle, other.idle);
        add(&mut self.above_roof, other.above_roof);
        add(&mut self.followed, other.followed);
        add(&mut self.covered, other.covered);
        self.graphs |= other.graphs;
    }

    /// Takes a kernel that was given `w` of the time and needs at least `bound`.
    fn add_kernel(&mut self, w: i64, bound: Option<i64>) {
        let Some(bound) = bound else {
            self.unplaced = self.unplaced.saturating_add(w);
            return;
        };
        self.roof = self.roof.saturating_add(w.min(bound));
        self.inefficiency = self.inefficiency.saturating_add(w - w.min(bound));
        self.above_roof = self.above_roof.saturating_add(bound.saturating_sub(w).max(0));
    }
}

struct Row {
    device: DeviceKey,
    window: String,
    step: Option<(i64, String)>,
    phase: Option<&'static str>,
    parts: Parts,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (engine, steps) = (input.engine()?, steps::of_model(input.model()?));
    let bound = |activity: usize| engine.of_activity(activity)?.bound.map(|bound| bound.ns.max(0));
    let with_steps = !matches!(input.window, Window::Named(_));
    let rows = input.of_devices(|model, device, sets| {
        let place = Place::of(model, device);
        let mut rows = of_sets(&place, sets, &bound);
        if with_steps && !place.work.is_empty() {
            let window = sets.first().map_or("trace", |set| set.name.as_str());
            rows.extend(of_steps(&place, window, steps.of_device(device), &bound));
        }
        rows
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .int("step", |row| row.step.as_ref().map(|step| step.0))
        .text("name", |row| row.step.as_ref().map(|step| &step.1))
        .text("phase", |row| row.phase)
        .int("span_ns", |row| Some(row.parts.span))
        .int("roof_ns", |row| Some(row.parts.roof))
        .int("inefficiency_ns", |row| Some(row.parts.inefficiency))
        .int("unplaced_ns", |row| Some(row.parts.unplaced))
        .int("exposed_comm_ns", |row| Some(row.parts.exposed[0]))
        .int("exposed_kv_ns", |row| Some(row.parts.exposed[1]))
        .int("exposed_copy_ns", |row| Some(row.parts.exposed[2]))
        .int("launch_ns", |row| Some(row.parts.launch))
        .int("idle_ns", |row| Some(row.parts.idle))
        .int("above_roof_ns", |row| Some(row.parts.above_roof))
        .float("coverage_ratio", |row| {
            let placed = row.parts.roof.saturating_add(row.parts.inefficiency);
            ratio(placed, placed.saturating_add(row.parts.unplaced))
        })
        .float("launch_coverage_ratio", |row| ratio(row.parts.covered, row.parts.followed))
        .text("classes", |_| Some("compute, comm, kv, copy or set, gap"))
        .bool("reliable", |row| Some(!row.parts.graphs))
        .build(&TABLE)
}

fn of_sets(place: &Place, sets: &[WindowSet], bound: &impl Fn(usize) -> Option<i64>) -> Vec<Row> {
    let windows: Vec<Span> = sets.iter().flat_map(|set| set.spans.iter().copied()).collect();
    let mut parts = place.parts(&windows, bound).into_iter();
    let row = |set: &WindowSet| {
        let mut sum = Parts::default();
        parts.by_ref().take(set.spans.len()).for_each(|more| sum.add(&more));
        Row { device: place.device, window: set.name.clone(), step: None, phase: None, parts: sum }
    };
    sets.iter().map(row).collect()
}

/// The steps that take any time on the device.
fn of_steps(place: &Place, window: &str, steps: &[Step], bound: &impl Fn(usize) -> Option<i64>) -> Vec<Row> {
    let windows = steps::windows(place.model, place.device, steps);
    let parts = place.parts(&windows, bound);
    let numbered = steps.iter().enumerate().zip(parts).filter(|(_, parts)| parts.span > 0);
    let row = |((number, step), parts): ((usize, &Step), Parts)| {
        let name = place.model.names.text(step.name);
        let (step, phase) = (Some((number as i64, name.to_owned())), phases::of_range(name).map(phases::Phase::name));
        Row { device: place.device, window: window.to_owned(), step, phase, parts }
    };
    numbered.map(row).collect()
}

/// A device with what it worked in the whole pass.
struct Place<'m> {
    model: &'m Model,
    device: DeviceKey,
    /// All its work, sorted by start and id.
    work: Vec<&'m Activity>,
    /// Indices in the model and rows of compute class, in the same order.
    compute: Vec<(usize, &'m Activity)>,
    /// When compute, comm, kv, and copy or set ran.
    classes: [Vec<Span>; 4],
}

impl<'m> Place<'m> {
    fn of(model: &'m Model, device: DeviceKey) -> Self {
        let rows = model.of_device(device);
        let first = rows.first().map_or(0, |row| model.index_of(row));
        let work: Vec<&Activity> = rows.iter().filter(|row| row.class != Class::Sync).collect();
        let compute = rows.iter().enumerate().filter(|(_, row)| row.class == Class::Compute);
        let compute = compute.map(|(at, row)| (first + at, row)).collect();
        let class = |wanted: &[Class]| {
            let spans = work.iter().filter(|row| wanted.contains(&row.class)).map(|row| row.span);
            union(&spans.collect::<Vec<_>>())
        };
        let classes =
            [class(&[Class::Compute]), class(&[Class::Comm]), class(&[Class::Kv]), class(&[Class::Copy, Class::Set])];
        Self { model, device, work, compute, classes }
    }

    /// The parts of each window; windows are sorted and disjoint. One sweep over the kernels.
    fn parts(&self, windows: &[Span], bound: &impl Fn(usize) -> Option<i64>) -> Vec<Parts> {
        let (mut open, mut next): (Vec<(usize, &Activity)>, usize) = (Vec::new(), 0);
        let mut parts = Vec::with_capacity(windows.len());
        for window in windows {
            open.retain(|(_, row)| row.span.1 > window.0);
            while let Some(kernel) = self.compute.get(next).filter(|(_, row)| row.span.0 < window.1) {
                open.extend(Some(*kernel).filter(|(_, row)| row.span.1 > row.span.0.max(window.0)));
                next += 1;
            }
            parts.push(self.part(*window, &open, bound));
        }
        parts
    }

    fn part(&self, window: Span, kernels: &[(usize, &Activity)], bound: &impl Fn(usize) -> Option<i64>) -> Parts {
        if window.1 <= window.0 {
            return Parts::default();
        }
        let classes: Vec<Vec<Span>> = self.classes.iter().map(|class| within(class, window)).collect();
        let pieces = split(&[window], &classes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let causes = idle::causes(self.model, &self.work, &pieces[4]);
        let launch = causes.parts[4].saturating_add(causes.parts[5]);
        let waits = causes.parts.iter().fold(0_i64, |sum, part| sum.saturating_add(*part));
        let mut parts = Parts {
            span: window.1.saturating_sub(window.0),
            exposed: [total(&pieces[1]), total(&pieces[2]), total(&pieces[3])],
            launch,
            idle: waits.saturating_sub(launch),
            followed: causes.followed,
            covered: causes.covered,
            ..Parts::default()
        };
        let spans: Vec<Span> = kernels.iter().map(|(_, row)| row.span).collect();
        for ((index, row), w) in kernels.iter().zip(shares::even(&spans, window)) {
            let is_graph = row.kind == Kind::Graph;
            parts.graphs |= is_graph;
            let bound = bound(*index).filter(|_| !is_graph);
            parts.add_kernel(w, bound.map(|bound| inside(bound, row.span, window)));
        }
        parts
    }
}

/// The share of a bound that falls to the part of the span inside the window, rounded to a nanosecond.
fn inside(bound: i64, span: Span, window: Span) -> i64 {
    if span.1 <= span.0 || bound <= 0 {
        return 0;
    }
    let whole = u128::from(span.1.abs_diff(span.0));
    let part = clip(span, window).map_or(0, |part| part.1.abs_diff(part.0));
    // Half a nanosecond is rounded up.
    let scaled = (u128::from(bound.unsigned_abs()) * u128::from(part) + whole / 2) / whole;
    i64::try_from(scaled).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, FixtureCeiling};
    use proftool_trace::frame::{bools, ints, texts};
    use proptest::prelude::*;

    const PARTS: [&str; 8] = [
        "roof_ns",
        "inefficiency_ns",
        "unplaced_ns",
        "exposed_comm_ns",
        "exposed_kv_ns",
        "exposed_copy_ns",
        "launch_ns",
        "idle_ns",
    ];

    fn parts(model: &Model, window: Span, bounds: &[Option<i64>]) -> Parts {
        Place::of(model, (0, 0)).parts(&[window], &|index| bounds[index])[0]
    }

    fn sum(parts: &Parts) -> i64 {
        let Parts { roof, inefficiency, unplaced, exposed, launch, idle, .. } = *parts;
        roof + inefficiency + unplaced + exposed.iter().sum::<i64>() + launch + idle
    }

    /// A kernel in 0..40 and one in 30..50 with bounds of 20 and 50, communication in 45..60, a KV copy in 55..65, a copy
    /// in 60..75, a kernel without a bound in 90..100 launched at 85, then nothing.
    fn step() -> Fixture {
        Fixture::new()
            .queue(0, 3, "kv")
            .kernel(0, 0, (0, 40))
            .kernel(0, 1, (30, 50))
            .named_kernel("ncclSendRecv", 0, 2, (45, 60))
            .copy(0, 3, (55, 65), 1, 8)
            .copy(0, 4, (60, 75), 1, 8)
            .kernel(0, 0, (90, 100))
            .launched((85, 86))
    }

    const BOUNDS: [Option<i64>; 6] = [Some(20), Some(50), None, None, None, None];

    #[test]
    fn each_nanosecond_belongs_to_the_first_class_and_kernels_share_theirs() {
        // w: 30 + 5 = 35 and 5 + 10 = 15. roof: min(35, 20) + min(15, 50); inefficiency: 15; above: 50 - 15.
        // Gap 75..90: before and after the launching call, all of it launch. 100..120: nothing follows.
        let found = parts(&step().model(), (0, 120), &BOUNDS);
        let expected = Parts {
            span: 120,
            roof: 35,
            inefficiency: 15,
            unplaced: 10,
            exposed: [10, 5, 10],
            launch: 15,
            idle: 20,
            above_roof: 35,
            followed: 1,
            covered: 1,
            graphs: false,
        };
        assert_eq!(found, expected);
        assert_eq!(sum(&found), 120);
    }

    #[test]
    fn a_bound_counts_by_the_share_of_its_kernel_inside_the_step() {
        // 10..35 of the first: alone 20 ns, then 2.5 (3 by id); its bound is 20 x 25 / 40 = 12.5, rounded to 13.
        // 30..35 of the second: 2; its bound is 50 x 5 / 20 = 12.5, rounded to 13.
        let found = parts(&step().model(), (10, 35), &BOUNDS);
        assert_eq!((found.roof, found.inefficiency, found.above_roof), (13 + 2, 10, 11));
        assert_eq!(sum(&found), 25);
    }

    #[test]
    fn graph_rows_are_compute_without_a_place_and_not_reliable() {
        let model = Fixture::new().kernel(0, 0, (0, 10)).other("graph", 0, 1, (5, 25)).model();
        let found = parts(&model, (0, 30), &[Some(1), Some(1)]);
        assert_eq!((found.roof, found.inefficiency, found.unplaced, found.graphs), (1, 7, 17, true));
    }

    #[test]
    fn sums_that_count_extremes_saturate() {
        assert_eq!(inside(i64::MAX, (i64::MIN, i64::MAX), (i64::MIN, i64::MAX)), i64::MAX);
        assert_eq!(inside(10, (5, 5), (0, 9)), 0);
        let mut found = Parts { above_roof: i64::MAX, ..Parts::default() };
        found.add_kernel(1, Some(i64::MAX));
        assert_eq!((found.roof, found.above_roof), (1, i64::MAX));
    }

    #[test]
    fn steps_have_rows_of_their_own_behind_the_window_set() {
        let fixture = Fixture::new()
            .range("ProfilerStep#3", (0, 50))
            .range("ProfilerStep#4", (50, 100))
            .kernel(0, 0, (10, 60))
            .launched((5, 6))
            .kernel(0, 0, (70, 80))
            .launched((65, 66))
            .other("graph", 0, 0, (80, 90))
            .launched((66, 67));
        let tables = fixture.tables();
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        assert_eq!(ints(&frame, "step").unwrap(), [None, Some(0), Some(1)]);
        let names = texts(&frame, "name").unwrap();
        assert_eq!(names, [None, Some("ProfilerStep#3".to_owned()), Some("ProfilerStep#4".to_owned())]);
        // Step 3 ends with its kernel at 60, where step 4 begins.
        assert_eq!(ints(&frame, "span_ns").unwrap(), [80, 60, 40].map(Some));
        assert_eq!(bools(&frame, "reliable").unwrap(), [false, true, false].map(Some));
        // 0..10 waits for the first launch at 5 and then for the kernel; 60..70 the same; 90..100 nothing follows.
        assert_eq!(ints(&frame, "launch_ns").unwrap(), [10, 10, 10].map(Some));
        assert_eq!(ints(&frame, "idle_ns").unwrap(), [0, 0, 10].map(Some));
        for row in 0..3 {
            let total: i64 = PARTS.iter().map(|part| ints(&frame, part).unwrap()[row].unwrap()).sum();
            assert_eq!(Some(total), ints(&frame, "span_ns").unwrap()[row]);
        }
        let named = Window::Named("ProfilerStep#3".to_owned());
        let frame = compute(&Input::new("run", "target", &tables, named)).unwrap();
        assert_eq!((ints(&frame, "step").unwrap(), ints(&frame, "span_ns").unwrap()), (vec![None], vec![Some(50)]));
    }

    #[test]
    fn bounds_come_from_what_the_target_states_and_the_roofs() {
        // 10 GB/s: 1000 bytes are 100 ns of the 150, 30 bytes 3 ns of which the window of 40 ns holds 2.
        let value = 10e9;
        let (precision, level, isa, per_cycle) = (None, Some("DRAM"), None, None);
        let dram = FixtureCeiling { name: "read", precision, level, isa, cores: 1, value, per_cycle };
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 150))
            .work(0, "decode", 0, 0, 1)
            .counts(1, 1000)
            .kernel(0, 0, (160, 220))
            .work(0, "decode", 0, 0, 1)
            .counts(1, 30)
            .block((0, 200))
            .ceiling(dram);
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        let found: Vec<i64> = PARTS.iter().map(|part| ints(&frame, part).unwrap()[0].unwrap()).collect();
        assert_eq!(found, [102, 88, 0, 0, 0, 0, 0, 10]);
    }

    /// Kind, queue, start, length, start of the launching call, bound.
    type RandomRow = (usize, i64, i64, i64, i64, Option<i64>);

    const KINDS: usize = 6;

    fn random(rows: &[RandomRow]) -> Model {
        let mut fixture = Fixture::new().queue(0, 9, "kv");
        for (at, (kind, queue, start, length, launched, _)) in rows.iter().enumerate() {
            let span = (*start, start + length);
            fixture = match kind {
                0 => fixture.kernel(0, *queue, span),
                1 => fixture.other("graph", 0, *queue, span),
                2 => fixture.named_kernel("ncclSendRecv", 0, *queue, span),
                3 => fixture.copy(0, 9, span, 1, 8),
                4 => fixture.copy(0, *queue, span, 1, 8),
                _ => fixture.other("set", 0, *queue, span),
            };
            // Every third row has no call.
            fixture = if at % 3 == 2 { fixture } else { fixture.launched((*launched, launched + 1)) };
        }
        fixture.model()
    }

    /// One decision a nanosecond, straight from the definition.
    fn brute_force(model: &Model, window: Span, bounds: &[Option<i64>]) -> Parts {
        let rows = &model.activities;
        let runs = |row: &Activity, t: i64| row.span.0 <= t && t < row.span.1;
        let mut parts = Parts { span: window.1 - window.0, ..Parts::default() };
        // Shares in 1/840 ns: a multiple of 1 to 8.
        let (mut shares, mut whole) = (vec![0_i64; rows.len()], 0);
        for t in window.0..window.1 {
            let of = |wanted: &[Class]| -> Vec<usize> {
                (0..rows.len()).filter(|at| wanted.contains(&rows[*at].class) && runs(&rows[*at], t)).collect()
            };
            let kernels = of(&[Class::Compute]);
            if !kernels.is_empty() {
                for at in &kernels {
                    shares[*at] += 840 / kernels.len() as i64;
                }
                whole += 1;
                continue;
            }
            let others = [of(&[Class::Comm]), of(&[Class::Kv]), of(&[Class::Copy, Class::Set])];
            if let Some(first) = others.iter().position(|rows| !rows.is_empty()) {
                parts.exposed[first] += 1;
                continue;
            }
            let end = (t..window.1).find(|t| rows.iter().any(|row| runs(row, *t))).unwrap_or(window.1);
            let next = rows.iter().filter(|row| row.span.0 >= end).min_by_key(|row| (row.span.0, row.id));
            let known = next.is_some_and(|row| row.call.is_some());
            *if known { &mut parts.launch } else { &mut parts.idle } += 1;
        }
        let mut w: Vec<i64> = shares.iter().map(|share| share / 840).collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|at| (-(shares[*at] % 840), *at));
        order.iter().take((whole - w.iter().sum::<i64>()) as usize).for_each(|at| w[*at] += 1);
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.class == Class::Compute) {
            let Some(bound) = bounds[at].filter(|_| row.kind != Kind::Graph) else {
                parts.unplaced += w[at];
                continue;
            };
            let length = clip(row.span, window).map_or(0, |part| part.1 - part.0);
            let scaled = bound as f64 * length as f64 / (row.span.1 - row.span.0).max(1) as f64;
            let scaled = (scaled + 0.5).floor() as i64;
            parts.roof += w[at].min(scaled);
            parts.inefficiency += (w[at] - scaled).max(0);
            parts.above_roof += if length > 0 { (scaled - w[at]).max(0) } else { 0 };
        }
        parts
    }

    proptest! {
        #[test]
        fn the_parts_agree_with_a_decision_for_each_nanosecond_and_sum_to_the_span(
            rows in prop::collection::vec(
                (0..KINDS, 0..4_i64, 0..90_i64, 0..25_i64, 0..90_i64, prop::option::of(0..30_i64)), 0..9),
            lengths in prop::collection::vec((0..20_i64, 0..40_i64), 1..4),
        ) {
            // Two kernels with one start and end are told apart by id, so the model's order is that of the bounds.
            let mut rows = rows;
            rows.sort_by_key(|row| row.2);
            let model = random(&rows);
            let bounds: Vec<Option<i64>> = rows.iter().map(|row| row.5).collect();
            let mut at = 0;
            let windows: Vec<Span> = lengths.iter().map(|(skip, length)| {
                let window = (at + skip, at + skip + length);
                at = window.1;
                window
            }).collect();
            let found = Place::of(&model, (0, 0)).parts(&windows, &|index| bounds[index]);
            for (window, found) in windows.iter().zip(found) {
                prop_assert_eq!(sum(&found), window.1 - window.0);
                let expected = brute_force(&model, *window, &bounds);
                let Parts { followed, covered, graphs, .. } = found;
                prop_assert_eq!(found, Parts { followed, covered, graphs, ..expected });
            }
        }
    }
}
