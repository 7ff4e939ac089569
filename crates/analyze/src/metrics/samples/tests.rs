//! Sampled metrics by scope: by hand, as partitions, and on a real capture.

use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{Tables, floats, ints, texts};
use proftool_trace::tables;
use proptest::prelude::*;

fn sampled(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

/// The row of a metric in a scope.
fn at(frame: &DataFrame, metric: &str, kind: &str, scope: Option<&str>) -> usize {
    let texts = |name| texts(frame, name).unwrap();
    let (metrics, kinds, scopes) = (texts("metric"), texts("scope_kind"), texts("scope"));
    (0..metrics.len())
        .find(|at| {
            (metrics[*at].as_deref(), kinds[*at].as_deref(), scopes[*at].as_deref())
                == (Some(metric), Some(kind), scope)
        })
        .unwrap_or_else(|| panic!("no row of {metric} in {kind} {scope:?}"))
}

fn two_phases() -> Fixture {
    Fixture::new()
        .range("decode", (0, 9))
        .kernel(0, 0, (0, 40))
        .work(0, "prefill", 0, 0, 1)
        .kernel(0, 0, (50, 100))
        .launched((5, 6))
        .work(0, "decode", 0, 0, 1)
}

#[test]
fn a_sample_counts_in_each_scope_with_its_time_inside_it() {
    // 95 % in -10..45, 20 % in 45..90; nothing in 90..100.
    let mut tables = two_phases().tables();
    series::put(&mut tables, &[("SM Active", "%", &[(-10, 45, 95.0), (45, 90, 20.0)])]);
    let frame = sampled(&tables);
    let row = |kind, scope| {
        let row = at(&frame, "SM Active", kind, scope);
        let int = |name| ints(&frame, name).unwrap()[row].unwrap();
        (int("span_ns"), int("covered_ns"), int("samples"), floats(&frame, "mean").unwrap()[row].unwrap())
    };
    assert_eq!(row("window", None), (100, 90, 2, (45.0 * 95.0 + 45.0 * 20.0) / 90.0));
    assert_eq!(row("phase", Some("prefill")), (40, 40, 1, 95.0));
    assert_eq!(row("phase", Some("decode")), (50, 40, 1, 20.0));
    // The gap 40..50 has 5 ns of each.
    assert_eq!(row("activity", Some("idle")), (10, 10, 2, 57.5));
    assert_eq!(row("range", Some("decode")), (50, 40, 1, 20.0));
    let whole = at(&frame, "SM Active", "window", None);
    let float = |name| floats(&frame, name).unwrap()[whole];
    assert_eq!(["min", "p50", "p95", "max"].map(float), [20.0, 20.0, 95.0, 95.0].map(Some));
    assert_eq!((ints(&frame, "above_90_ns").unwrap()[whole], float("above_90_ratio")), (Some(45), Some(0.5)));
    let issues = texts(&frame, "issue").unwrap();
    assert_eq!(issues[whole], None);
    // Samples of 50 ns on average in a gap of 10.
    assert_eq!(issues[at(&frame, "SM Active", "activity", Some("idle"))].as_deref(), Some("coarse_samples"));
}

#[test]
fn values_that_cannot_be_are_flagged_and_cold_is_not() {
    let mut tables = two_phases().tables();
    series::put(
        &mut tables,
        &[
            ("Warps [Avg]", "Avg", &[(0, 50, -4.0), (50, 100, 7.0)]),
            ("SM Active", "%", &[(0, 100, 100.5)]),
            ("temperature", "C", &[(0, 100, -3.0)]),
        ],
    );
    let frame = sampled(&tables);
    let issue = |metric| texts(&frame, "issue").unwrap()[at(&frame, metric, "window", None)].clone();
    assert_eq!(issue("Warps [Avg]").as_deref(), Some("negative_samples"));
    assert_eq!(issue("SM Active").as_deref(), Some("over_limit_samples"));
    assert_eq!(issue("temperature"), None);
    let negative = |metric| ints(&frame, "negative_samples").unwrap()[at(&frame, metric, "window", None)];
    assert_eq!((negative("Warps [Avg]"), negative("temperature")), (Some(1), Some(1)));
}

#[test]
fn a_device_on_which_nothing_ran_has_the_extent_of_its_samples() {
    let mut tables = Fixture::new().other("sync", 0, 0, (0, 3)).tables();
    series::put(&mut tables, &[("rx", "B/s", &[(5, 15, 2.0)])]);
    let frame = sampled(&tables);
    assert_eq!((frame.height(), texts(&frame, "window").unwrap()[0].as_deref()), (1, Some("trace")));
    assert_eq!(ints(&frame, "span_ns").unwrap(), [Some(10)]);
}

#[test]
fn the_order_of_the_rows_changes_nothing() {
    let mut tables = two_phases().tables();
    let first = [(0, 30, 95.0), (30, 60, 20.0), (30, 60, 10.0), (60, 100, 1.0)];
    series::put(&mut tables, &[("b", "%", &first), ("a", "W", &[(0, 50, 1.5), (50, 100, 0.1)])]);
    let straight = sampled(&tables);
    for table in [&tables::SAMPLES, &tables::COUNTER_DEFS, &tables::ACTIVITIES, &tables::RANGES] {
        let reversed = tables.get(table).reverse();
        tables.set(table, reversed).unwrap();
    }
    assert!(sampled(&tables).equals_missing(&straight));
}

#[test]
fn the_steady_steps_of_a_trace_are_a_scope() {
    const NAMES: [&str; 8] = ["step 0", "step 1", "step 2", "step 3", "step 4", "step 5", "step 6", "step 7"];
    // The first step takes 300 ns, the others 100 each.
    let mut fixture = Fixture::new();
    let mut start = 0;
    for (at, name) in NAMES.iter().enumerate() {
        let end = start + if at == 0 { 300 } else { 100 };
        fixture = fixture.range(name, (start, end)).kernel(0, 0, (start, end)).launched((start, start + 1));
        start = end;
    }
    let mut tables = fixture.tables();
    series::put(&mut tables, &[("SM Active", "%", &[(0, 300, 10.0), (300, 1000, 80.0)])]);
    let frame = sampled(&tables);
    let mean = |state| floats(&frame, "mean").unwrap()[at(&frame, "SM Active", "step_state", Some(state))];
    assert_eq!((mean("warm_up"), mean("steady")), (Some(10.0), Some(80.0)));
}

proptest! {
    #[test]
    fn busy_and_idle_sum_to_the_window(
        samples in prop::collection::vec((0..200_i64, 1..30_i64, -50..50_i32), 1..20),
        kernels in prop::collection::vec((0..200_i64, 1..30_i64), 1..8),
    ) {
        let fixture = kernels.iter().fold(Fixture::new(), |fixture, (start, length)| fixture.kernel(0, 0, (*start, start + length)));
        let mut tables = fixture.tables();
        let samples: Vec<_> = samples.iter().map(|(start, length, value)| (*start, start + length, f64::from(*value))).collect();
        series::put(&mut tables, &[("m", "x", &samples)]);
        let frame = sampled(&tables);
        let integral = |kind, scope| {
            let row = at(&frame, "m", kind, scope);
            let covered = ints(&frame, "covered_ns").unwrap()[row].unwrap();
            (covered, (floats(&frame, "mean").unwrap()[row].unwrap_or(0.0) * covered as f64).round())
        };
        let (whole, busy, idle) =
            (integral("window", None), integral("activity", Some("busy")), integral("activity", Some("idle")));
        prop_assert_eq!((busy.0 + idle.0, busy.1 + idle.1), whole);
    }
}

#[test]
fn a_million_real_samples_equal_a_plain_loop_over_the_database() {
    let Some(path) = shared_data("nsys/gh200_gpu_metrics.schema3.7.sqlite.gz") else { return };
    let (_, tables) = proftool_import::into_memory(&path).unwrap();
    let frame = sampled(&tables);
    let value = |column, metric| floats(&frame, column).unwrap()[at(&frame, metric, "window", None)].unwrap();
    let read = "DRAM Read Bandwidth [Throughput %]";
    // As in `roofline_sampled`.
    assert!((value("mean", read) - 12.779_116_993_301_562).abs() < 1e-9);
    assert!((value("mean", "SM Active [Throughput %]") - 98.346_600_089_789_48).abs() < 1e-9);
    let write = "DRAM Write Bandwidth [Throughput %]";
    assert_eq!(["min", "p50", "p95", "max"].map(|column| value(column, write) as i64), [0, 13, 13, 98]);
    assert_eq!(ints(&frame, "above_90_ns").unwrap()[at(&frame, write, "window", None)], Some(449_728));
    let flagged: Vec<(Option<String>, Option<String>)> = texts(&frame, "metric")
        .unwrap()
        .into_iter()
        .zip(texts(&frame, "issue").unwrap())
        .zip(texts(&frame, "scope_kind").unwrap())
        .filter(|((_, issue), kind)| issue.is_some() && kind.as_deref() == Some("window"))
        .map(|(row, _)| row)
        .collect();
    let expected = [
        ("Compute Warps in Flight [Avg]", "negative_samples;over_limit_samples"),
        ("Unallocated Warps in Active SMs [Avg]", "over_limit_samples"),
    ];
    assert_eq!(flagged, expected.map(|(metric, issue)| (Some(metric.to_owned()), Some(issue.to_owned()))));
}
