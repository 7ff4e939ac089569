//! The pipeline bubble, cut into six parts that sum exactly.
//!
//! p stage hosts; c_i = |U(compute on host i)| in the window of length T; j the host with the largest c_i (the first on
//! ties). In host-ns (denominator pT): imbalance = sum (c_j - c_i); fill_drain = p ((s_j - W0) + (W1 - e_j)); the
//! interior gaps of j, times p, go by the next operation of j to the first of: an input transfer is in flight
//! (transfer), its inputs are complete (host), a producer of its inputs computes (dependency), other. Their sum is
//! pT - sum c_i. Each block is cut by itself, then the parts are summed and the ratios taken from the sums.

use std::collections::{BTreeSet, HashSet};

use polars::prelude::DataFrame;
use proftool_trace::table::{Column, Table, float, int, text};

use super::{Input, Metric, Output, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::ideal::{Durations, ideal_ratio, of_windows};
use crate::model::{DeviceKey, Edge, Model};
use crate::operators::{Span, clip, gaps, split_totals, total, union, within};
use crate::windows::{Scope, WindowSet};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "bubble",
    doc: "How much host time a pipeline wastes, cut into six parts that sum exactly, beside the ideals.",
    table: &TABLE,
    compute,
};

const fn part(name: &'static str, doc: &'static str) -> Column {
    int(name, doc).or_null()
}

const fn share(name: &'static str, doc: &'static str) -> Column {
    float(name, doc).or_null()
}

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "bubble",
    doc: "The bubble of one window set; the six `_ns` parts are host-ns and sum to capacity_ns - compute_ns.",
    columns: &[
        RUN,
        TARGET,
        WINDOW,
        text("hosts", "The stage hosts: devices, or device/queue where one device hosts several stages."),
        int("host_count", "Number of stage hosts, p."),
        part(
            "micro_batches",
            "Equal micro-batches that one window streams, m (iterations times micro-batches); null where they differ.",
        ),
        int("span_ns", "Length of the windows, T."),
        part("capacity_ns", "p times T, the host-ns of the windows."),
        part("compute_ns", "Sum over the hosts of the time in which they compute."),
        part("fill_drain_ns", "Before the first and after the last operation of the busiest host, times p."),
        part("imbalance_ns", "What the other hosts compute less than the busiest."),
        part(
            "transfer_ns",
            "The busiest host waits for an input transfer in flight, times p; null without dependencies.",
        ),
        part(
            "host_ns",
            "Its inputs are complete and the operation has not started, times p; null without dependencies.",
        ),
        part("dependency_ns", "A producer of its inputs computes, times p; null without dependencies."),
        part("other_ns", "The rest of its gaps, times p."),
        share("bubble_ratio", "1 - compute_ns / capacity_ns: the sum of the six ratios."),
        share("fill_drain_ratio", "fill_drain_ns / capacity_ns."),
        share("imbalance_ratio", "imbalance_ns / capacity_ns."),
        share("transfer_ratio", "transfer_ns / capacity_ns."),
        share("host_ratio", "host_ns / capacity_ns."),
        share("dependency_ratio", "dependency_ns / capacity_ns."),
        share("other_ratio", "other_ns / capacity_ns."),
        share("ideal_overhead_ratio", "r = (p-1)/m: bubble over ideal time of m equal micro-batches; null elsewhere."),
        share(
            "ideal_fraction_ratio",
            "f = (p-1)/(m+p-1): bubble over wall time of m equal micro-batches; null elsewhere.",
        ),
        part(
            "ideal_makespan_ns",
            "Makespan of the ideal list schedule, summed over the windows; null without data dependencies.",
        ),
        share("ideal_ratio", "Median over the windows of ideal makespan / length."),
        text("reason", "Why the parts are null, or why all of the bubble is in other.").or_null(),
    ],
};

/// A stage host with what it computed, activity indices sorted by start and id.
#[derive(Clone, Debug)]
pub struct Host {
    /// Rank and device.
    pub device: DeviceKey,
    /// The queue, where one device hosts several stages.
    pub queue: Option<i64>,
    pub(crate) rows: Vec<usize>,
    pub(crate) busy: Vec<Span>,
}

/// The bubble of one or more windows, in host-ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Length of the windows, T.
    pub span: i64,
    /// p times T.
    pub capacity: i64,
    /// Sum of the hosts' compute time.
    pub compute: i64,
    /// fill_drain, imbalance, transfer, host, dependency, other.
    pub bubble: [i64; 6],
}

impl Parts {
    /// Adds the parts of another window.
    pub fn add(&mut self, other: &Self) {
        self.span += other.span;
        self.capacity += other.capacity;
        self.compute += other.compute;
        for (sum, part) in self.bubble.iter_mut().zip(other.bubble) {
            *sum += part;
        }
    }
}

/// The names of [`Parts::bubble`].
pub const PART_NAMES: [&str; 6] = ["fill_drain", "imbalance", "transfer", "host", "dependency", "other"];

/// The stage hosts of a pass: the devices that compute, or their compute queues where a device has several with stages.
/// Where the trace names stages, a device without any is no stage host.
pub fn stage_hosts(model: &Model) -> Vec<Host> {
    let compute = || model.activities.iter().enumerate().filter(|(_, row)| row.class == Class::Compute);
    let staged: BTreeSet<(DeviceKey, Option<i64>)> = compute()
        .filter(|(_, row)| row.work().is_some_and(|work| work.stage.is_some()))
        .map(|(_, row)| (row.device, row.queue))
        .collect();
    let devices: BTreeSet<DeviceKey> = staged.iter().map(|host| host.0).collect();
    let keys: BTreeSet<(DeviceKey, Option<i64>)> = if staged.len() > devices.len() {
        staged
    } else if staged.is_empty() {
        compute().map(|(_, row)| (row.device, None)).collect()
    } else {
        devices.into_iter().map(|device| (device, None)).collect()
    };
    let host = |(device, queue): (DeviceKey, Option<i64>)| {
        let mine = compute().filter(|(_, row)| row.device == device && (queue.is_none() || row.queue == queue));
        let rows: Vec<usize> = mine.map(|(index, _)| index).collect();
        let busy = union(&rows.iter().map(|index| model.activities[*index].span).collect::<Vec<_>>());
        Host { device, queue, rows, busy }
    };
    keys.into_iter().map(host).collect()
}

/// The bubble of one window.
pub fn of_window(model: &Model, hosts: &[Host], window: Span) -> Parts {
    let (p, span) = (hosts.len() as i64, (window.1 - window.0).max(0));
    let busy: Vec<Vec<Span>> = hosts.iter().map(|host| within(&host.busy, window)).collect();
    let times: Vec<i64> = busy.iter().map(|set| total(set)).collect();
    let compute: i64 = times.iter().sum();
    let mut parts = Parts { span, capacity: p * span, compute, bubble: [0; 6] };
    let longest = times.iter().copied().max().unwrap_or(0);
    let Some(j) = times.iter().position(|time| *time == longest && longest > 0) else {
        parts.bubble[5] = parts.capacity;
        return parts;
    };
    let (start, end) = (busy[j][0].0, busy[j][busy[j].len() - 1].1);
    let mut interior = [0; 4];
    for gap in gaps(&busy[j], (start, end)) {
        for (sum, part) in interior.iter_mut().zip(cut(model, &hosts[j], gap)) {
            *sum += part;
        }
    }
    parts.bubble = [p * (start - window.0 + window.1 - end), p * longest - compute, 0, 0, 0, 0];
    for (part, sum) in parts.bubble[2..].iter_mut().zip(interior) {
        *part = p * sum;
    }
    parts
}

/// Cuts an interior gap of the busiest host into transfer, host, dependency and other.
fn cut(model: &Model, host: &Host, gap: Span) -> [i64; 4] {
    if !model.has_dependencies {
        return [0, 0, 0, gap.1 - gap.0];
    }
    let next = host.rows.partition_point(|index| model.activities[*index].span.0 < gap.1);
    let Some(next) = host.rows.get(next) else { return [0, 0, 0, gap.1 - gap.0] };
    let (transfers, producers) = inputs(model, *next);
    let spans = |rows: &[usize]| {
        union(&rows.iter().filter_map(|row| clip(model.activities[*row].span, gap)).collect::<Vec<_>>())
    };
    let ends = transfers.iter().chain(&producers).map(|row| model.activities[*row].span.1);
    let complete = ends.max().unwrap_or(i64::MIN).clamp(gap.0, gap.1);
    let parts = split_totals(&[gap], &[&spans(&transfers), &union(&[(complete, gap.1)]), &spans(&producers)]);
    std::array::from_fn(|at| parts[at])
}

/// The transfers that bring the inputs of an operation, and the operations that produce them. Inputs are its data
/// dependencies; of a trace that states none, its events and collectives.
fn inputs(model: &Model, operation: usize) -> (Vec<usize>, Vec<usize>) {
    let stated = model.has_edge(Edge::Data);
    let is_input =
        |edge: Edge| if stated { edge == Edge::Data } else { matches!(edge, Edge::Event | Edge::Collective) };
    let (mut transfers, mut producers) = (Vec::new(), Vec::new());
    let (mut seen, mut open) = (HashSet::new(), vec![operation]);
    while let Some(at) = open.pop() {
        for (input, _) in model.inputs(at).filter(|(_, edge)| is_input(*edge)) {
            if !seen.insert(input) {
                continue;
            }
            match model.activities[input].class {
                Class::Compute => producers.push(input),
                Class::Sync => {}
                _ => {
                    transfers.push(input);
                    open.push(input);
                }
            }
        }
    }
    (transfers, producers)
}

/// How many equal micro-batches the window streams: all of one phase and with equally many rows.
fn micro_batches(model: &Model, window: Span) -> Option<i64> {
    let (mut found, mut sizes) = (BTreeSet::new(), BTreeSet::new());
    for row in model.begun_in(&[window]).filter(|row| row.class == Class::Compute) {
        let Some(work) = row.work() else { continue };
        found.insert((work.step, work.micro_batch?));
        sizes.insert((work.phase, work.rows?));
    }
    (sizes.len() == 1).then_some(found.len() as i64)
}

/// The value that all have in common.
fn common<T: PartialEq + Copy>(values: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut values = values.into_iter();
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

struct Row {
    window: String,
    parts: Parts,
    micro_batches: Option<i64>,
    ideal: Option<i64>,
    ideal_ratio: Option<f64>,
    reason: Option<&'static str>,
}

fn row(model: &Model, hosts: &[Host], durations: &Durations, set: &WindowSet) -> Row {
    let mut parts = Parts::default();
    for window in &set.spans {
        parts.add(&of_window(model, hosts, *window));
    }
    let ideals = of_windows(model, &set.spans, durations);
    let reason = match () {
        () if hosts.is_empty() => Some("no compute: the pass has no stage host"),
        () if parts.span == 0 => Some("the window is empty"),
        () if parts.compute == 0 => Some("no host computes in the window: all of it is other"),
        () if !model.has_dependencies => Some("no dependencies are recorded: the causes that need them are in other"),
        () => None,
    };
    Row {
        window: set.name.clone(),
        parts,
        micro_batches: common(set.spans.iter().map(|window| micro_batches(model, *window))),
        ideal: ideals.iter().map(|block| block.ideal_makespan_ns).sum::<Option<i64>>().filter(|_| !ideals.is_empty()),
        ideal_ratio: ideal_ratio(&ideals),
        reason,
    }
}

fn host_names(hosts: &[Host]) -> String {
    let several_ranks = hosts.iter().any(|host| host.device.0 != hosts[0].device.0);
    let name = |host: &Host| {
        let rank = if several_ranks { format!("rank {} ", host.device.0) } else { String::new() };
        let queue = host.queue.map_or_else(String::new, |queue| format!("/{queue}"));
        format!("{rank}{}{queue}", host.device.1)
    };
    hosts.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let model = input.model()?;
    let hosts = stage_hosts(model);
    let durations = Durations::measure(model);
    let sets = input.sets(Scope::All)?;
    let rows: Vec<Row> = sets.iter().map(|set| row(model, &hosts, &durations, set)).collect();
    let (p, names, has_dependencies) = (hosts.len() as i64, host_names(&hosts), model.has_dependencies);
    let defined = |row: &Row| row.parts.capacity > 0;
    let known = move |row: &Row, at: usize| defined(row) && (has_dependencies || !(2..5).contains(&at));
    let ns = |at: usize| move |row: &Row| known(row, at).then_some(row.parts.bubble[at]);
    let share = |at: usize| move |row: &Row| ns(at)(row).and_then(|part| ratio(part, row.parts.capacity));
    Output::new(input.run, input.target, &rows)
        .text("window", |row| Some(&row.window))
        .text("hosts", |_| Some(&names))
        .int("host_count", |_| Some(p))
        .int("micro_batches", |row| row.micro_batches)
        .int("span_ns", |row| Some(row.parts.span))
        .int("capacity_ns", |row| defined(row).then_some(row.parts.capacity))
        .int("compute_ns", |row| defined(row).then_some(row.parts.compute))
        .int("fill_drain_ns", ns(0))
        .int("imbalance_ns", ns(1))
        .int("transfer_ns", ns(2))
        .int("host_ns", ns(3))
        .int("dependency_ns", ns(4))
        .int("other_ns", ns(5))
        .float("bubble_ratio", |row| ratio(row.parts.bubble.iter().sum(), row.parts.capacity))
        .float("fill_drain_ratio", share(0))
        .float("imbalance_ratio", share(1))
        .float("transfer_ratio", share(2))
        .float("host_ratio", share(3))
        .float("dependency_ratio", share(4))
        .float("other_ratio", share(5))
        .float("ideal_overhead_ratio", |row| row.micro_batches.and_then(|m| ratio(p - 1, m)))
        .float("ideal_fraction_ratio", |row| row.micro_batches.and_then(|m| ratio(p - 1, m + p - 1)))
        .int("ideal_makespan_ns", |row| row.ideal)
        .float("ideal_ratio", |row| row.ideal_ratio)
        .text("reason", |row| row.reason)
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};
    use proptest::prelude::*;

    fn bubble(fixture: &Fixture, window: Window) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), window)).unwrap()
    }

    fn parts(frame: &DataFrame, row: usize) -> Vec<Option<i64>> {
        PART_NAMES.iter().map(|name| ints(frame, &format!("{name}_ns")).unwrap()[row]).collect()
    }

    /// Two stages in the block 0..100. Device 0 computes 5..25 and 30..50. Device 1, the busiest, computes 30..50,
    /// 70..95: its second operation needs the copy 55..65 of what device 0 made in 30..50.
    fn two_stages() -> Fixture {
        Fixture::new()
            .queue(0, 1, "copy")
            .kernel(0, 0, (5, 25))
            .work(0, "prefill", 0, 0, 8)
            .copy(0, 1, (25, 30), 1, 8)
            .after(&[0])
            .kernel(1, 0, (30, 50))
            .work(0, "prefill", 1, 0, 8)
            .after(&[1])
            .kernel(0, 0, (30, 53))
            .work(0, "prefill", 0, 1, 8)
            .copy(0, 1, (55, 65), 1, 8)
            .after(&[3])
            .kernel(1, 0, (70, 95))
            .work(0, "prefill", 1, 1, 8)
            .after(&[4])
            .block((0, 100))
    }

    #[test]
    fn the_six_parts_of_a_hand_written_schedule() {
        let frame = bubble(&two_stages(), Window::Default);
        // c = 43 and 45; j = device 1: s = 30, e = 95. Its gap 50..70: the producer computes until 53 (dependency), the
        // copy begins at 55 (other until then), flies until 65 (transfer), then the inputs are complete (host).
        assert_eq!(parts(&frame, 0), [2 * (30 + 5), 2, 2 * 10, 2 * 5, 2 * 3, 2 * 2].map(Some));
        assert_eq!(ints(&frame, "capacity_ns").unwrap(), [Some(200)]);
        assert_eq!(ints(&frame, "compute_ns").unwrap(), [Some(88)]);
        assert_eq!(floats(&frame, "bubble_ratio").unwrap(), [Some(112.0 / 200.0)]);
        assert_eq!(texts(&frame, "hosts").unwrap(), [Some("0, 1".to_owned())]);
        assert_eq!(ints(&frame, "micro_batches").unwrap(), [Some(2)]);
        assert_eq!(floats(&frame, "ideal_overhead_ratio").unwrap(), [Some(0.5)]);
        assert_eq!(floats(&frame, "ideal_fraction_ratio").unwrap(), [Some(1.0 / 3.0)]);
        // Medians: stage 0 (20 + 23) / 2 rounded down = 21, stage 1 (20 + 25) / 2 = 22: 21 + 22 + 22.
        assert_eq!(ints(&frame, "ideal_makespan_ns").unwrap(), [Some(65)]);
        assert_eq!(floats(&frame, "ideal_ratio").unwrap(), [Some(0.65)]);
    }

    #[test]
    fn without_dependencies_only_fill_drain_and_imbalance_are_known() {
        let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (20, 40)).kernel(1, 0, (10, 20)).block((0, 50));
        let frame = bubble(&fixture, Window::Default);
        assert_eq!(parts(&frame, 0), [Some(20), Some(20), None, None, None, Some(20)]);
        assert_eq!(floats(&frame, "host_ratio").unwrap(), [None]);
        assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().contains("dependencies"));
    }

    #[test]
    fn queues_are_the_hosts_where_one_device_hosts_several_stages() {
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 10))
            .work(0, "prefill", 0, 0, 8)
            .kernel(0, 1, (10, 20))
            .work(0, "prefill", 1, 0, 8)
            .after(&[0]);
        let frame = bubble(&fixture, Window::Default);
        assert_eq!(texts(&frame, "hosts").unwrap(), [Some("0/0, 0/1".to_owned())]);
        assert_eq!(parts(&frame, 0), [Some(2 * 10), Some(0), Some(0), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn empty_windows_are_null_and_idle_ones_are_all_other() {
        let frame = bubble(&two_stages().range("none", (96, 99)).range("point", (4, 4)), Window::Named("none".into()));
        assert_eq!(parts(&frame, 0), [0, 0, 0, 0, 0, 6].map(Some));
        assert_eq!(floats(&frame, "bubble_ratio").unwrap(), [Some(1.0)]);
        let frame = bubble(&two_stages().range("point", (4, 4)), Window::Named("point".into()));
        assert_eq!(parts(&frame, 0), [None; 6]);
        assert_eq!(texts(&frame, "reason").unwrap()[0].as_deref(), Some("the window is empty"));
        let nothing = bubble(&Fixture::new(), Window::Default);
        assert_eq!(
            (floats(&nothing, "bubble_ratio").unwrap(), ints(&nothing, "host_count").unwrap()),
            (vec![None], vec![Some(0)])
        );
    }

    #[test]
    fn different_micro_batches_have_no_closed_form() {
        let frame = bubble(&two_stages().kernel(1, 0, (96, 97)).work(0, "decode", 1, 0, 1), Window::Default);
        assert_eq!(ints(&frame, "micro_batches").unwrap(), [None]);
        assert_eq!(floats(&frame, "ideal_overhead_ratio").unwrap(), [None]);
    }

    #[test]
    fn each_block_is_cut_by_itself_and_blocks_sum() {
        let fixture = two_stages().kernel(0, 0, (110, 150)).work(1, "prefill", 0, 0, 8).block((100, 160));
        let (each, both) = (bubble(&fixture, Window::Each), bubble(&fixture, Window::Default));
        for at in 0..6 {
            assert_eq!(parts(&each, 0)[at].unwrap() + parts(&each, 1)[at].unwrap(), parts(&both, 0)[at].unwrap());
        }
        // The second block's busiest host is device 0.
        assert_eq!(parts(&each, 1), [2 * (10 + 10), 40, 0, 0, 0, 0].map(Some));
        assert_eq!(crate::ideal::block_ideals(&fixture.model()).len(), 2);
    }

    /// device, queue (1 copies), start, length.
    type RandomRow = (i64, i64, i64, i64);

    /// What a row reads: the copies that bring it and the kernels that made it.
    fn read_by(rows: &[RandomRow], edges: &[(usize, usize)], at: usize) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut copies, mut kernels) = (BTreeSet::new(), BTreeSet::new());
        for input in edges.iter().filter(|edge| edge.0 == at && edge.1 < at).map(|edge| edge.1) {
            if rows[input].1 == 0 {
                kernels.insert(input);
            } else if copies.insert(input) {
                let further = read_by(rows, edges, input);
                copies.extend(further.0);
                kernels.extend(further.1);
            }
        }
        (copies, kernels)
    }

    /// The parts by brute force: one decision a nanosecond, straight from the definition.
    fn by_nanosecond(rows: &[RandomRow], edges: &[(usize, usize)], window: Span) -> [i64; 6] {
        let hosts: Vec<i64> =
            rows.iter().filter(|row| row.1 == 0).map(|row| row.0).collect::<BTreeSet<_>>().into_iter().collect();
        let runs = |at: usize, t: i64| rows[at].2 <= t && t < rows[at].2 + rows[at].3;
        let computes =
            |host: i64, t: i64| (0..rows.len()).any(|at| (rows[at].0, rows[at].1) == (host, 0) && runs(at, t));
        let busy = |host: i64| (window.0..window.1).filter(|t| computes(host, *t)).count() as i64;
        let (p, mut parts) = (hosts.len() as i64, [0; 6]);
        let longest = hosts.iter().map(|host| busy(*host)).max().unwrap_or(0);
        let Some(j) = hosts.iter().copied().find(|host| busy(*host) == longest && longest > 0) else {
            parts[5] = p * (window.1 - window.0);
            return parts;
        };
        parts[1] = hosts.iter().map(|host| longest - busy(*host)).sum();
        for t in (window.0..window.1).filter(|t| !computes(j, *t)) {
            let Some(end) = (t..window.1).find(|t| computes(j, *t)).filter(|_| (window.0..t).any(|t| computes(j, t)))
            else {
                parts[0] += p;
                continue;
            };
            let mine = (0..rows.len()).filter(|at| (rows[*at].0, rows[*at].1) == (j, 0) && rows[*at].2 >= end);
            let next = mine.min_by_key(|at| (rows[*at].2, *at));
            let (copies, kernels) = next.map_or_else(Default::default, |next| read_by(rows, edges, next));
            let complete = copies.iter().chain(&kernels).all(|at| rows[*at].2 + rows[*at].3 <= t);
            let part = match () {
                () if copies.iter().any(|at| runs(*at, t)) => 2,
                () if complete && next.is_some() => 3,
                () if kernels.iter().any(|at| runs(*at, t)) => 4,
                () => 5,
            };
            parts[part] += p;
        }
        parts
    }

    proptest! {
        #[test]
        fn the_parts_agree_with_a_decision_for_each_nanosecond(
            rows in prop::collection::vec((0..3_i64, 0..2_i64, 0..90_i64, 0..25_i64), 1..14),
            edges in prop::collection::vec((0..14_usize, 0..14_usize), 0..20),
            window in (0..60_i64, 1..60_i64),
        ) {
            let window = (window.0, window.0 + window.1);
            let mut fixture = Fixture::new();
            for (at, (device, queue, start, length)) in rows.iter().enumerate() {
                let span = (*start, start + length);
                fixture = if *queue == 0 { fixture.kernel(*device, 0, span) } else { fixture.copy(*device, 1, span, 0, 8) };
                let inputs: Vec<i64> =
                    edges.iter().filter(|edge| edge.0 == at && edge.1 < at).map(|edge| edge.1 as i64).collect();
                fixture = fixture.after(&inputs);
            }
            let frame = bubble(&fixture.block(window), Window::Default);
            let expected = by_nanosecond(&rows, &edges, window);
            let found = parts(&frame, 0);
            prop_assert_eq!(found.iter().flatten().sum::<i64>(), expected.iter().sum::<i64>());
            let (capacity, compute) = (ints(&frame, "capacity_ns").unwrap()[0], ints(&frame, "compute_ns").unwrap()[0]);
            if let (Some(capacity), Some(compute)) = (capacity, compute) {
                prop_assert_eq!(capacity - compute, expected.iter().sum::<i64>());
            }
            if edges.iter().any(|edge| edge.0 < rows.len() && edge.1 < edge.0) && capacity.is_some() {
                prop_assert_eq!(found, expected.map(Some).to_vec());
            }
        }
    }
}
