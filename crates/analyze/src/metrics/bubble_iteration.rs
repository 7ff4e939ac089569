//! The pipeline bubble of each iteration, with the steady state told from warm-up and cool-down.
//!
//! The iterations of a window and the rests before and after them partition it (see `bubble/iterations.rs` for how they
//! are cut); each is cut into the six parts by itself, so it has its own busiest host, and the parts of all do not sum to
//! those of the whole window, while the spans and the bubbles do.

use polars::prelude::DataFrame;
use proftool_timeline::steady::{State, Unsteady};
use proftool_trace::table::{Column, Table, float, int, text};

use super::bubble::clocks::{NO_CLOCK, Timeline};
use super::bubble::iterations::{Iteration, Iterations, NO_SOURCE};
use super::bubble::stages::{Staging, staging};
use super::bubble::{Parts, known, of_window, reason, unknown};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::model::Model;
use crate::operators::Span;
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "bubble_iteration",
    doc: "The pipeline bubble of each iteration in its six parts, and which iterations are the steady state.",
    table: &TABLE,
    compute,
};

const fn part(name: &'static str, doc: &'static str) -> Column {
    int(name, doc).or_null()
}

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "bubble_iteration",
    doc: "One iteration of a window, or the rest of the window before or after them; the spans sum to the window.",
    columns: &[
        RUN,
        TARGET,
        text("window", "The one window: `block N`, `trace`, or the name of a range, numbered where there are several."),
        part(
            "iteration",
            "work.step, or the place in the order of completion; null for what lies outside of iterations.",
        ),
        text("name", "The range of the iteration, or which rest of the window it is; null for work.step.").or_null(),
        text(
            "source",
            "What tells the iterations: `work.step`, `annotated steps`, `ProfilerStep ranges`, `ranges named as iterations`.",
        )
        .or_null(),
        text("state", "`warm_up`, `steady` or `cool_down`; null for rests and where nothing is steady.").or_null(),
        int("start_ns", "Begin: the completion of the iteration before; of the first one its first operation."),
        int("span_ns", "Length, T: to the completion of its last operation on any stage host."),
        int("host_count", "Number of stage hosts, p."),
        text("stages", "How the stage hosts are known, as in the metric bubble."),
        part("micro_batches", "Different micro-batches of its operations; null where none are told."),
        part("capacity_ns", "p times T."),
        part("compute_ns", "Sum over the hosts of the time in which they compute."),
        part("fill_drain_ns", "Before the first and after the last operation of the busiest host, times p."),
        part("imbalance_ns", "What the other hosts compute less than the busiest."),
        part("transfer_ns", "The busiest host waits for an input transfer in flight; null without dependencies."),
        part("host_ns", "Its inputs are complete and the operation has not started; null without dependencies."),
        part("dependency_ns", "A producer of its inputs computes; null without dependencies."),
        part("other_ns", "The rest of its gaps."),
        float("bubble_ratio", "1 - compute_ns / capacity_ns; null for an empty span.").or_null(),
        text("classes", "The class of rows that count as computing."),
        text("reason", "Why values are null, in other, or not steady.").or_null(),
    ],
};

struct Row {
    window: String,
    iteration: Iteration,
    name: Option<String>,
    parts: Parts,
    reason: Option<String>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let timeline = Timeline::of(input)?;
    let model: &Model = &timeline;
    let staging = staging(model);
    let iterations = Iterations::read(model, &staging);
    let comparable = timeline.comparable(&staging);
    let of_span = |name: &str, window: Span| {
        if comparable {
            of_span(model, &staging, &iterations, (name, window))
        } else {
            vec![not_comparable(name, window)]
        }
    };
    let rows: Vec<Row> = timeline.sets(input)?.iter().flat_map(|set| of_set(set, of_span)).collect();
    let has_dependencies = model.has_dependencies;
    let ns = |at: usize| move |row: &Row| known(&row.parts, has_dependencies, at);
    let defined = |row: &Row| row.parts.capacity > 0;
    Output::new(input.run, input.target, &rows)
        .text("window", |row| Some(&row.window))
        .int("iteration", |row| row.iteration.number)
        .text("name", |row| row.name.as_deref())
        .text("source", |_| iterations.source())
        .text("state", |row| row.iteration.state.map(State::name))
        .int("start_ns", |row| Some(row.iteration.span.0))
        .int("span_ns", |row| Some(row.parts.span))
        .int("host_count", |_| Some(staging.hosts.len() as i64))
        .text("stages", |_| Some(staging.source.name()))
        .int("micro_batches", |row| row.iteration.micro_batches)
        .int("capacity_ns", |row| defined(row).then_some(row.parts.capacity))
        .int("compute_ns", |row| defined(row).then_some(row.parts.compute))
        .int("fill_drain_ns", ns(0))
        .int("imbalance_ns", ns(1))
        .int("transfer_ns", ns(2))
        .int("host_ns", ns(3))
        .int("dependency_ns", ns(4))
        .int("other_ns", ns(5))
        .float("bubble_ratio", |row| row.parts.ratio())
        .text("classes", |_| Some("compute"))
        .text("reason", |row| row.reason.as_deref())
        .build(&TABLE)
}

/// The rows of every window of a set, each with the name of its window.
fn of_set(set: &WindowSet, of_span: impl Fn(&str, Span) -> Vec<Row>) -> Vec<Row> {
    let name = |at: usize| match set.name.as_str() {
        "blocks" => format!("block {at}"),
        name if set.spans.len() > 1 => format!("{name} {at}"),
        name => name.to_owned(),
    };
    set.spans.iter().enumerate().flat_map(|(at, window)| of_span(&name(at), *window)).collect()
}

/// The one row of a window whose ranks have no common time.
fn not_comparable(name: &str, window: Span) -> Row {
    let iteration = Iteration { span: window, number: None, name: None, micro_batches: None, state: None };
    Row { window: name.to_owned(), iteration, name: None, parts: unknown(window), reason: Some(NO_CLOCK.to_owned()) }
}

fn of_span(model: &Model, staging: &Staging, iterations: &Iterations, (name, window): (&str, Span)) -> Vec<Row> {
    let cut = iterations.cut(model, staging, window);
    let first = cut.iterations.iter().position(|iteration| iteration.number.is_some());
    let row = |(at, iteration): (usize, &Iteration)| {
        let parts = of_window(model, &staging.hosts, iteration.span);
        let rest = match first {
            None => "no iteration in the window",
            Some(first) if at < first => "before the first iteration",
            Some(_) => "after the last iteration",
        };
        let range = iteration.name.map(|name| model.names.text(name));
        let unsteady = match (iterations.source(), iteration.number, iteration.state) {
            (None, ..) => Some(NO_SOURCE),
            (_, Some(_), None) => cut.unsteady.map(Unsteady::reason),
            _ => None,
        };
        let reasons: Vec<String> =
            reason(model, staging, &parts).into_iter().chain(unsteady.map(str::to_owned)).collect();
        Row {
            window: name.to_owned(),
            iteration: *iteration,
            name: range.or(iteration.number.is_none().then_some(rest)).map(str::to_owned),
            parts,
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        }
    };
    cut.iterations.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixture::Ranks;
    use crate::fixture::Fixture;
    use crate::metrics::bubble;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};
    use proptest::prelude::*;

    fn frame(fixture: &Fixture, window: Window) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), window)).unwrap()
    }

    fn column(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
        ints(frame, name).unwrap()
    }

    fn names(frame: &DataFrame, name: &str) -> Vec<String> {
        texts(frame, name).unwrap().into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Ten iterations of two micro-batches stream through two stages of 5: completions at 15, 25, .. 105.
    fn streamed() -> Fixture {
        let fixture = (0..20).fold(Fixture::new(), |fixture, at| {
            let first = fixture.kernel(0, 0, (5 * at, 5 * at + 5)).work(at / 2, "forward", 0, at % 2, 8);
            first.kernel(1, 0, (5 * at + 5, 5 * at + 10)).work(at / 2, "forward", 1, at % 2, 8).after(&[2 * at])
        });
        fixture.block((0, 110))
    }

    #[test]
    fn streamed_iterations_are_cut_at_their_completions_and_fill_and_drain_are_told_apart() {
        let found = frame(&streamed(), Window::Default);
        let numbers: Vec<Option<i64>> = (0..10).map(Some).chain([None]).collect();
        assert_eq!(column(&found, "iteration"), numbers);
        let spans: Vec<Option<i64>> = [15].into_iter().chain([10; 9]).chain([5]).map(Some).collect();
        assert_eq!(column(&found, "span_ns"), spans);
        let mut states = vec!["steady"; 11];
        // The second stage begins at 5, the first one ends at 100, the last iteration at 105.
        (states[0], states[9], states[10]) = ("warm_up", "cool_down", "");
        assert_eq!(names(&found, "state"), states);
        assert_eq!(names(&found, "name")[10], "after the last iteration");
        assert_eq!(names(&found, "source")[0], "work.step");
        assert_eq!(column(&found, "micro_batches")[..2], [Some(2), Some(2)]);
        // Of 0..15 host 0 computes all, host 1 computes 10.
        assert_eq!(column(&found, "imbalance_ns")[0], Some(5));
        assert_eq!(floats(&found, "bubble_ratio").unwrap()[..2], [Some(5.0 / 30.0), Some(0.0)]);
        let whole =
            (bubble::METRIC.compute)(&Input::new("run", "target", &streamed().tables(), Window::Default)).unwrap();
        assert_eq!(floats(&whole, "bubble_ratio").unwrap(), [Some(20.0 / 220.0)]);
        assert_eq!(floats(&whole, "steady_bubble_ratio").unwrap(), [Some(0.0)]);
        assert_eq!(column(&whole, "iterations"), [Some(10)]);
        assert_eq!(
            (column(&whole, "steady_iterations"), column(&whole, "steady_span_ns")),
            (vec![Some(8)], vec![Some(80)])
        );
    }

    #[test]
    fn blocks_are_cut_one_by_one_and_short_ones_have_no_steady_state() {
        let fixture = streamed().kernel(0, 0, (120, 130)).work(0, "forward", 0, 0, 8).block((115, 140));
        let found = frame(&fixture, Window::Default);
        assert_eq!(names(&found, "window")[10..], ["block 0", "block 1", "block 1", "block 1"]);
        assert_eq!(column(&found, "span_ns")[11..], [Some(5), Some(10), Some(10)]);
        assert_eq!(names(&found, "name")[11..], ["before the first iteration", "", "after the last iteration"]);
        assert!(names(&found, "reason")[12].contains("fewer than 6 iterations"));
        assert_eq!(names(&found, "state")[12], "");
    }

    #[test]
    fn steps_that_ranges_draw_are_iterations_and_micro_batches_may_differ() {
        // A serving engine: one host thread launches steps of 10 on two devices; the second computes 5 later. Steps 0 and 9
        // hold fewer requests; step 3 is slower.
        const NAMES: [&str; 2] = ["execute_context_0(0)_generation_4(4)", "execute_context_0(0)_generation_9(9)"];
        let (mut fixture, mut at) = (Fixture::new(), 0);
        for step in 0..10 {
            let (name, length) = (NAMES[usize::from(step % 9 != 0)], if step == 3 { 14 } else { 10 });
            fixture = fixture.range(name, (at, at + length));
            fixture = fixture.kernel(0, 0, (at + 2, at + length)).launched((at + 1, at + 2));
            fixture = fixture.kernel(1, 0, (at + 7, at + length + 5)).launched((at + 1, at + 2));
            at += length;
        }
        let found = frame(&fixture, Window::Default);
        assert_eq!(names(&found, "source")[0], "annotated steps");
        assert_eq!(names(&found, "name")[..2], NAMES);
        assert_eq!(column(&found, "iteration")[..3], [Some(0), Some(1), Some(2)]);
        // The first: from 2 to 15; then a completion every 10, with one of 14.
        assert_eq!(column(&found, "span_ns")[..5], [Some(13), Some(10), Some(10), Some(14), Some(10)]);
        let mut states = vec!["steady"; 10];
        (states[0], states[9]) = ("warm_up", "cool_down");
        assert_eq!(names(&found, "state"), states);
        assert_eq!(column(&found, "micro_batches")[0], None);
        assert!(names(&found, "reason")[1].contains("no dependencies") && names(&found, "stages")[0] == "devices");
    }

    #[test]
    fn without_iterations_the_window_is_one_rest_with_a_reason() {
        let found = frame(&Fixture::new().kernel(0, 0, (0, 10)).kernel(1, 0, (10, 20)), Window::Default);
        assert_eq!((found.height(), column(&found, "iteration")), (1, vec![None]));
        assert_eq!(names(&found, "name"), ["no iteration in the window"]);
        assert!(names(&found, "reason")[0].ends_with("the trace names no iterations"));
        assert_eq!(floats(&found, "bubble_ratio").unwrap(), [Some(0.5)]);
        let one = frame(&Fixture::new().kernel(0, 0, (0, 10)).range("step 1", (0, 10)), Window::Default);
        assert!(names(&one, "reason")[0].contains("one host: no pipeline"));
        assert_eq!(frame(&Fixture::new(), Window::Default).height(), 0);
    }

    #[test]
    fn ranks_are_brought_into_one_time_first() {
        // Rank 1 began 100 later: its 0..10 is 100..110, after rank 0 ended.
        let ranks = Ranks::default().kernel((0, 0), "gemm", (90, 100)).kernel((1, 0), "gemm", (0, 10));
        let of = |ranks: &Ranks| {
            let (tables, manifest) = (ranks.tables(), ranks.manifest());
            let input = Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest);
            ((bubble::METRIC.compute)(&input).unwrap(), compute(&input).unwrap())
        };
        let (whole, each) = of(&ranks.clone().host("node").file(0, 0, 1_000).file(1, 0, 1_100));
        assert_eq!((column(&whole, "span_ns"), column(&whole, "compute_ns")), (vec![Some(20)], vec![Some(20)]));
        assert_eq!(names(&whole, "hosts"), ["rank 0 0, rank 1 0"]);
        assert_eq!(column(&each, "start_ns"), [Some(90)]);
        let (whole, each) = of(&ranks.file(0, 0, 0).file(1, 0, 0));
        assert_eq!((column(&whole, "compute_ns"), floats(&whole, "bubble_ratio").unwrap()), (vec![None], vec![None]));
        assert!(names(&whole, "reason")[0].contains("clocks") && names(&each, "reason")[0].contains("clocks"));
    }

    #[test]
    fn completions_are_those_that_the_recorder_of_a_real_run_reports() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artifacts/golden/pipeline_parallelism");
        let runs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 2);
        for path in runs {
            let artifact = proftool_trace::Artifact::open(&path).unwrap();
            let tables = proftool_trace::frame::Tables::read(&artifact).unwrap();
            let found = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
            let (numbers, spans) = (column(&found, "iteration"), column(&found, "span_ns"));
            // The recorder keeps the first completion of each block apart: with what goes before, it is the fill.
            let (mut fills, mut iterations) = (Vec::new(), Vec::new());
            for at in (0..numbers.len()).filter(|at| numbers[*at].is_some()) {
                match numbers[at - 1] {
                    None => fills.push(spans[at].unwrap() + spans[at - 1].unwrap()),
                    Some(_) => iterations.push(spans[at].unwrap()),
                }
            }
            let results = artifact.manifest.results;
            assert_eq!((iterations, fills), (results.iteration_ns, results.fill_ns));
        }
    }

    /// device, step, start, length.
    type RandomRow = (i64, i64, i64, i64);

    fn random(rows: &[RandomRow], window: Span) -> Fixture {
        let rows = rows.iter().enumerate();
        let fixture = rows.fold(Fixture::new(), |fixture, (at, (device, step, start, length))| {
            let end = start.saturating_add(*length);
            let fixture = fixture.kernel(*device, 0, (*start, end)).work(*step, "decode", *device, at as i64, 1);
            if at > 0 { fixture.after(&[at as i64 / 2]) } else { fixture }
        });
        fixture.block(window)
    }

    proptest! {
        #[test]
        fn iterations_partition_their_window_and_their_parts_sum(
            rows in prop::collection::vec((0..3_i64, 0..6_i64, 0..90_i64, 0..25_i64), 1..25), window in (0..60_i64, 1..80_i64),
        ) {
            let (start, end) = (window.0, window.0 + window.1);
            let fixture = random(&rows, (start, end));
            let found = frame(&fixture, Window::Default);
            let whole = (bubble::METRIC.compute)(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
            let mut at = start;
            for row in 0..found.height() {
                prop_assert_eq!(column(&found, "start_ns")[row], Some(at));
                at += column(&found, "span_ns")[row].unwrap();
                let parts: i64 = bubble::PART_NAMES.iter().filter_map(|part| column(&found, &format!("{part}_ns"))[row]).sum();
                let both = column(&found, "capacity_ns")[row].zip(column(&found, "compute_ns")[row]);
                prop_assert_eq!(parts, both.map_or(0, |(capacity, compute)| capacity - compute));
            }
            prop_assert_eq!(at, end);
            let computed: i64 = column(&found, "compute_ns").into_iter().flatten().sum();
            prop_assert_eq!(Some(computed), column(&whole, "compute_ns")[0]);
        }

        #[test]
        fn no_time_panics(
            rows in prop::collection::vec((0..3_i64, any::<i64>(), any::<i64>(), any::<i64>()), 1..8), window in any::<Span>(),
        ) {
            let fixture = random(&rows, window);
            for window in [Window::Default, Window::Each] {
                frame(&fixture, window.clone());
                (bubble::METRIC.compute)(&Input::new("run", "target", &fixture.tables(), window)).unwrap();
            }
        }
    }
}
