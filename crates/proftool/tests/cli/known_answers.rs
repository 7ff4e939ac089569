//! The `synthetic` target through the whole program: capture, import, metrics. The answers are computed by hand from the
//! schedules drawn in `crates/workloads/src/synthetic/cases.rs`; here they stand in microseconds.

use serde_json::Value;

use super::support::Place;

/// Captures one block of a case and returns the rows of a metric.
fn rows(case: &str, metric: &str) -> Vec<Value> {
    let place = Place::new();
    place.ok(&[
        "capture",
        "--target",
        "synthetic",
        "--set",
        &format!("case={case}"),
        "--blocks",
        "1",
        "--iterations",
        "1",
    ]);
    let printed = place.ok(&["analyze", "--metric", metric, "--format", "json"]).out;
    serde_json::from_str(&printed).expect("an array of rows")
}

/// Microseconds of a column that must hold whole microseconds; null stays null.
fn us(row: &Value, column: &str) -> Option<i64> {
    let ns = row.get(column).unwrap_or_else(|| panic!("no column {column} in {row}")).as_i64();
    ns.map(|ns| {
        assert_eq!(ns % 1000, 0, "{column} = {ns} ns");
        ns / 1000
    })
}

fn columns<const N: usize>(row: &Value, names: [&str; N]) -> [Option<i64>; N] {
    names.map(|name| us(row, &format!("{name}_ns")))
}

fn device(rows: &[Value], device: i64, queue: Option<i64>) -> &Value {
    rows.iter()
        .find(|row| row["device"] == device && row["queue"].as_i64() == queue)
        .unwrap_or_else(|| panic!("no row of device {device}, queue {queue:?} in {rows:?}"))
}

const CAUSES: [&str; 9] =
    ["span", "busy", "idle", "kv_wait", "dependency_wait", "sync", "host_wait", "launch", "other"];

#[test]
fn two_stages_idle() {
    let rows = rows("two_stage", "idle");
    let some = |values: [i64; 9]| values.map(Some);
    assert_eq!(columns(device(&rows, 0, None), CAUSES), some([160, 88, 72, 35, 0, 0, 0, 27, 10]));
    assert_eq!(columns(device(&rows, 0, Some(0)), CAUSES), some([160, 80, 80, 35, 0, 0, 0, 35, 10]));
    assert_eq!(columns(device(&rows, 1, None), CAUSES), some([160, 80, 80, 0, 10, 0, 0, 40, 30]));
}

#[test]
fn two_stages_bubble() {
    let rows = rows("two_stage", "bubble");
    assert_eq!(rows.len(), 1);
    let parts = columns(&rows[0], ["span", "fill_drain", "imbalance", "transfer", "host", "dependency", "other"]);
    assert_eq!(parts, [160, 40, 20, 70, 0, 50, 0].map(Some));
    let ratio = rows[0]["bubble_ratio"].as_f64().expect("a ratio");
    assert!((ratio - 180.0 / 320.0).abs() < 1e-12, "{ratio}");
    // A 30, B 30, C 30 and D 30 pipeline to 90; E 20 follows D: 110.
    assert_eq!(us(&rows[0], "ideal_makespan_ns"), Some(110));
}

#[test]
fn two_stages_overlap() {
    let rows = rows("two_stage", "overlap");
    let part = |device: i64, kind: &str, column: &str| {
        let row = rows.iter().find(|row| row["device"] == device && row["kind"] == kind).expect("a row");
        us(row, column)
    };
    assert_eq!(["total_ns", "hidden_ns", "exposed_ns"].map(|name| part(1, "kv", name)), [35, 15, 20].map(Some));
    assert_eq!(["total_ns", "hidden_ns", "exposed_ns"].map(|name| part(0, "copy", name)), [18, 10, 8].map(Some));
    let exclusive = |device| -> i64 {
        let kinds = ["compute", "comm", "kv", "copy", "set", "idle"];
        kinds.iter().filter_map(|kind| part(device, kind, "exclusive_ns")).sum()
    };
    assert_eq!((exclusive(0), exclusive(1)), (160, 160));
}

#[test]
fn each_cause_of_idle_time_is_told_apart() {
    // case, then span, busy, idle, kv_wait, dependency_wait, sync, host_wait, launch, other of the compute queue.
    let cases = [
        ("kv_wait", [100, 60, 40, 20, 0, 0, 0, 20, 0]),
        ("host_wait", [100, 50, 50, 0, 0, 0, 35, 15, 0]),
        ("launch", [100, 60, 40, 0, 0, 0, 0, 40, 0]),
        ("sync", [100, 60, 40, 0, 0, 25, 5, 10, 0]),
    ];
    for (case, wanted) in cases {
        let rows = rows(case, "idle");
        let found = columns(device(&rows, 0, Some(0)), CAUSES);
        for (index, name) in CAUSES.iter().enumerate() {
            // Without recorded dependencies the causes that need them are unknown, not zero.
            let unknown = case != "kv_wait" && matches!(*name, "kv_wait" | "dependency_wait");
            assert_eq!(found[index], (!unknown).then_some(wanted[index]), "{case} {name}");
        }
    }
}

#[test]
fn each_instant_of_overlapping_work_is_given_once() {
    let rows = rows("overlap", "overlap");
    let exclusive = |kind: &str| us(rows.iter().find(|row| row["kind"] == kind).expect("a row"), "exclusive_ns");
    assert_eq!(["compute", "kv", "copy", "idle"].map(exclusive), [50, 40, 0, 10].map(Some));
}

#[test]
fn waiting_for_communication_is_told_apart() {
    let rows = rows("comm_wait", "idle");
    let found = columns(device(&rows, 0, Some(0)), ["idle", "kv_wait", "comm_wait", "dependency_wait", "launch"]);
    assert_eq!(found, [40, 0, 30, 0, 10].map(Some));
    assert_eq!(columns(device(&rows, 0, None), ["busy", "idle", "launch"]), [90, 10, 10].map(Some));
}

#[test]
fn a_bubble_has_its_six_parts() {
    let rows = rows("bubble", "bubble");
    let parts = columns(&rows[0], ["span", "fill_drain", "imbalance", "transfer", "host", "dependency", "other"]);
    assert_eq!(parts, [200, 40, 90, 28, 64, 20, 8].map(Some));
    let ratio = rows[0]["bubble_ratio"].as_f64().expect("a ratio");
    assert!((ratio - 250.0 / 400.0).abs() < 1e-12, "{ratio}");
}

#[test]
fn half_of_a_kv_transfer_hides_behind_the_prefill() {
    let found = rows("kv_half_hidden", "kv_transfer");
    let all = found.iter().find(|row| row["request"].is_null()).expect("a row for all transfers");
    assert_eq!(columns(all, ["total", "hidden", "exposed"]), [40, 20, 20].map(Some));
    assert_eq!((all["bytes"].as_i64(), all["link_ratio"].as_f64()), (Some(400_000), Some(0.5)));
    let idle = rows("kv_half_hidden", "idle");
    let causes = columns(device(&idle, 1, None), ["idle", "kv_wait", "launch", "other"]);
    assert_eq!(causes, [120, 40, 70, 10].map(Some));
}

#[test]
fn the_gaps_of_a_graph_are_launched_gaps() {
    let rows = rows("graph", "idle");
    let causes = columns(device(&rows, 0, None), ["busy", "idle", "host_wait", "launch", "other"]);
    assert_eq!(causes, [120, 60, 0, 50, 10].map(Some));
}

#[test]
fn a_skewed_clock_is_put_right_by_the_ends_of_collectives() {
    for case in ["skew", "straggler"] {
        let ranks = rows(case, "ranks");
        let of = |rank: i64| ranks.iter().find(|row| row["rank"] == rank).expect("a row of each rank");
        assert_eq!(columns(of(1), ["refined", "residual", "residual_max"]), [-137, 0, 0].map(Some), "{case}");
        assert_eq!(us(of(0), "refined_ns"), Some(0), "{case}");
    }
}

#[test]
fn a_straggler_is_the_last_to_arrive_and_the_others_wait() {
    let collectives = rows("straggler", "collectives");
    assert_eq!(collectives.len(), 3);
    for row in &collectives {
        let found = columns(row, ["start_skew", "end_skew", "transfer", "wait"]);
        assert_eq!(found, [40, 0, 20, 40].map(Some), "{row}");
        assert_eq!(row["last_rank"], 1, "{row}");
    }
    let even = rows("skew", "collectives");
    assert!(even.iter().all(|row| columns(row, ["start_skew", "wait"]) == [0, 0].map(Some)), "{even:?}");
}

#[test]
fn a_graph_of_three_nodes_is_launched_twice() {
    let rows = rows("graph", "graph_launches");
    let row = &rows[0];
    assert_eq!((row["launches"].as_i64(), row["nodes_median"].as_i64()), (Some(2), Some(3)), "{row}");
    let parts = columns(row, ["api_total", "span", "busy", "gap", "between_idle"]);
    assert_eq!(parts, [10, 140, 120, 20, 20].map(Some), "{row}");
}
