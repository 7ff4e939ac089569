//! A simulated run of 1200 requests on two devices that compute prompts and two that decode: a load step, one busy device.

use std::path::Path;

use polars::prelude::Column;
use proftool_trace::artifact::{Artifact, Draft};
use proftool_trace::frame::{bool_column, float_column, int_column, text_column};
use proftool_trace::manifest::{Manifest, Pass, Results, Time};
use serde_json::{Map, Value, json};

use super::{MS, manifest, store};

const BINS: i64 = 24;
const SECOND: i64 = 1000 * MS;

/// The run, with the results that its serving metrics have.
pub(crate) fn serving(parent: &Path) -> Artifact {
    let plain = manifest("optimized");
    let passes = plain.passes.iter().map(|pass| Pass { name: "simulation".into(), ..pass.clone() }).collect();
    let results =
        Results { iteration_ns: Vec::new(), fill_ns: Vec::new(), cpu_ns: Vec::new(), ..plain.results.clone() };
    let manifest = Manifest { time: Time::Simulated, pair: None, passes, results, blocks: 0, iterations: 0, ..plain };
    let manifest = Manifest { hardware_key: "simulated-example-2p2d".into(), ..manifest };
    let draft = Draft::create(parent, "20260131T120000Z-optimized_router-simulated-example").unwrap();
    let artifact = draft.finish(manifest).unwrap();
    let tables: [(&str, Vec<Value>); 10] = [
        ("serving", groups()),
        ("serving_time", (0..BINS).map(bin).collect()),
        ("serving_distribution", distributions()),
        ("device_load", (0..4).flat_map(loads).collect()),
        ("load_balance", vec![balance("prefill", 0.9, 0.62), balance("decode", 0.5, 0.45)]),
        ("settling", settling()),
        ("calibration", predictions()),
        ("slowest_requests", vec![slowest()]),
        ("samples", (0..4).flat_map(sampled).collect()),
        ("kv_transfer", vec![moved()]),
    ];
    for (name, rows) in tables {
        store(&artifact, name, columns(&rows));
    }
    artifact
}

/// A run of a sweep at that many times 20 requests a second, of which 50 meet their SLO at most.
pub(crate) fn swept(parent: &Path, load: i64) -> Artifact {
    let plain = manifest("optimized");
    let manifest = Manifest { time: Time::Simulated, pair: None, ..plain };
    std::fs::create_dir_all(parent).unwrap();
    let draft = Draft::create(parent, &format!("20260131T120000Z-optimized_router-{load}")).unwrap();
    let artifact = draft.finish(manifest).unwrap();
    let arrivals = 20.0 * load as f64;
    let goodput = if load < 3 { arrivals * 0.97 } else { 50.0 - 10.0 * (load - 3) as f64 };
    let all = json!({"group_kind": "all", "group": "all", "arrivals_per_s": arrivals, "goodput_requests_per_s": goodput,
        "slo_attainment_ratio": goodput / arrivals});
    store(&artifact, "serving", columns(&[row(all)]));
    artifact
}

/// One column a key, in the order of the first object; each holds values of one type or nulls.
fn columns(rows: &[Value]) -> Vec<Column> {
    let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let all = |name: &String| rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)).collect::<Vec<&Value>>();
    let column = |name: &String| {
        let values = all(name);
        match values.iter().find(|value| !value.is_null()) {
            Some(Value::String(_)) => text_column(name, values.iter().map(|value| value.as_str())),
            Some(Value::Bool(_)) => bool_column(name, values.iter().map(|value| value.as_bool())),
            Some(Value::Number(number)) if number.is_f64() => {
                float_column(name, values.iter().map(|value| value.as_f64()))
            }
            _ => int_column(name, values.iter().map(|value| value.as_i64())),
        }
    };
    rows[0].keys().map(column).collect()
}

/// A row with the columns that every serving metric has.
fn row(values: Value) -> Value {
    let mut all = json!({"pass": "simulation", "simulated": true});
    if let (Value::Object(all), Value::Object(values)) = (&mut all, values) {
        all.extend(values);
    }
    all
}

fn groups() -> Vec<Value> {
    let group = |kind: &str, group: &str, requests: i64, slow: i64| {
        row(
            json!({"group_kind": kind, "group": group, "requests": requests, "ok": requests - 120, "rejected": 120, "failed": 0,
            "aborted": 0, "span_ns": 24 * SECOND, "ttft_requests": requests - 120, "split_requests": requests - 120,
            "ttft_p50_ns": 90 * MS * slow, "ttft_p95_ns": 400 * MS * slow, "ttft_p99_ns": 900 * MS * slow,
            "ttft_stddev_ns": 2.1e8, "tpot_p50_ns": 6 * MS, "tpot_p95_ns": 9 * MS, "tpot_p99_ns": 24 * MS,
            "itl_source": "steps", "itl_p99_ns": 25 * MS, "e2e_p50_ns": SECOND, "output_tokens_per_s": 5512.5,
            "slo_attainment_ratio": 0.91, "goodput_requests_per_s": 45.4, "goodput_requests_per_dollar": 6970.2,
            "goodput_requests_per_j": 0.0216, "energy_source": "board_power_w",
            "cached_ratio": 0.44, "ttft_queue_mean_ns": 60 * MS * slow, "ttft_prefill_mean_ns": 55 * MS,
            "ttft_kv_mean_ns": 4 * MS, "ttft_decode_mean_ns": 0, "ttft_host_mean_ns": 2 * MS}),
        )
    };
    vec![group("all", "all", 1200, 2), group("tier", "free", 400, 3), group("tier", "premium", 800, 1)]
}

/// The load doubles at 12 s; nobody arrives in the last second.
fn bin(bin: i64) -> Value {
    let settling = if bin < 12 { 0 } else { (18 - bin).max(1) };
    let arrived = (bin < BINS - 1).then_some(());
    row(json!({"policy": null, "bin": bin, "start_ns": bin * SECOND, "end_ns": (bin + 1) * SECOND,
        "ttft_p50_ns": arrived.map(|()| (60 + 80 * settling) * MS), "ttft_p99_ns": arrived.map(|()| (200 + 700 * settling) * MS),
        "tpot_p50_ns": arrived.map(|()| (5 + settling) * MS), "tpot_p99_ns": arrived.map(|()| (8 + 3 * settling) * MS),
        "in_flight_mean": 20.0 + 15.0 * settling as f64}))
}

fn distributions() -> Vec<Value> {
    let percentile = |quantity: &'static str, values: i64, slo: i64, base: f64, growth: f64| {
        (0..=100).map(move |percent| {
            let value = base * growth.powf(f64::from(percent) / 100.0);
            row(json!({"group_kind": "all", "group": "all", "quantity": quantity, "values": values, "percent": f64::from(percent),
                "value_ns": value as i64, "slo_ns": slo}))
        })
    };
    percentile("ttft", 1080, 500 * MS, 8e6, 120.0).chain(percentile("tpot", 1020, 50 * MS, 5e6, 5.0)).collect()
}

fn loads(device: i64) -> Vec<Value> {
    let (role, part) = if device < 2 { ("prefill", 1.0 - 0.4 * device as f64) } else { ("decode", 0.5) };
    let name = format!("{role}_flagship_{device}");
    let load = |bin: Option<i64>| {
        let busy = bin.map_or(0.6, |bin| if bin < 12 { 0.45 } else { 0.95 }) * part;
        let waiting = bin.map_or(3.2, |bin| (bin - 11).clamp(0, 6) as f64 * 2.5) * if device < 2 { part } else { 0.0 };
        let (start, end) = bin.map_or((0, BINS * SECOND), |bin| (bin * SECOND, (bin + 1) * SECOND));
        row(
            json!({"rank": 0, "device": device, "name": name, "role": role, "bin": bin, "start_ns": start, "end_ns": end,
            "busy_ratio": busy, "waiting_mean": waiting, "kv_usage_ratio": busy * 0.2}),
        )
    };
    // The whole stands first, with a number in the column so that its type is known.
    std::iter::once(load(None)).chain((0..BINS).map(|bin| load(Some(bin)))).collect()
}

fn balance(role: &str, most: f64, mean: f64) -> Value {
    row(json!({"role": role, "devices": 2, "idle_devices": 0, "busy_mean_ratio": mean, "busy_max_ratio": most,
        "imbalance_ratio": most / mean, "busy_cv_ratio": 0.3, "requests_imbalance_ratio": 1.4, "tokens_imbalance_ratio": 1.5}))
}

fn settling() -> Vec<Value> {
    let settled = |quantity: &str, from: &str, from_ns: i64, settling: Option<i64>, reason: Option<&str>| {
        let rate = |rate: f64| (from == "load_step").then_some(rate);
        row(
            json!({"policy": null, "quantity": quantity, "from": from, "from_ns": from_ns, "rate_before_per_s": rate(33.0),
            "rate_after_per_s": rate(66.0), "bin_ns": SECOND, "final_ns": 140 * MS, "settling_ns": settling,
            "overshoot_ratio": reason.is_none_or(|reason| !reason.starts_with("no load step")).then_some(2.4), "reason": reason}),
        )
    };
    vec![
        settled("ttft", "load_step", 12 * SECOND, Some(6 * SECOND), None),
        settled("ttft", "start", 0, None, Some("not settled: the last bin lies beyond 10 % of the final value")),
        settled(
            "tpot",
            "start",
            0,
            None,
            Some("no load step: none was found in the arrivals, and without one the bins scatter by chance"),
        ),
    ]
}

fn predictions() -> Vec<Value> {
    let predicted = |decile: Option<i64>, bias: f64| {
        row(
            json!({"group_kind": "all", "group": "all", "decile": decile, "requests": 1080, "predicted_p50_ns": 101 * MS,
            "actual_p50_ns": 90 * MS, "bias_ratio": bias, "absolute_error_p50_ns": 12 * MS, "within_10_ratio": 0.4,
            "within_25_ratio": 0.7, "within_50_ratio": 0.95, "promised_missed": 4, "warned_met": 31}),
        )
    };
    vec![predicted(None, 0.12), predicted(Some(1), 0.01), predicted(Some(10), 0.25)]
}

fn slowest() -> Value {
    row(json!({"request": "r|17", "ttft_ns": 1900 * MS, "ttft_queue_ns": 1700 * MS, "ttft_prefill_ns": 180 * MS,
        "ttft_kv_ns": 15 * MS, "ttft_decode_ns": 0, "ttft_host_ns": 5 * MS, "prompt_tokens": 8123, "cached_tokens": 512,
        "prefill_device": 0, "predicted_ttft_ns": 2100 * MS}))
}

/// What a device's queue held, and what the log states of the device.
fn sampled(device: i64) -> Vec<Value> {
    let of = |metric: &str, unit: &str, mean: f64, most: f64| {
        json!({"rank": 0, "device": device, "window": "trace", "metric": metric, "unit": unit, "scope_kind": "window",
            "scope": null, "span_ns": 24 * SECOND, "coverage_ratio": 1.0, "mean": mean, "min": 0.0, "p50": mean, "p95": most,
            "max": most, "above_90_ratio": null, "issue": null})
    };
    let (tokens, watts) = if device % 2 == 0 { (917_026.0, 700.0) } else { (181_132.0, 350.0) };
    let constant = |metric: &str, unit: &str, value: f64| of(metric, unit, value, value);
    vec![
        of("waiting_requests", "requests", 3.2, 15.0),
        constant("kv_capacity_tokens", "tokens", tokens),
        constant("board_power_w", "W", watts),
    ]
}

/// The transfers of all requests.
fn moved() -> Value {
    json!({"request": null, "source": "requests", "window": "trace", "bytes": 1_600_000_000, "total_ns": 40 * MS,
        "simulated_ns": 40 * MS, "hidden_ns": 10 * MS, "exposed_ns": 30 * MS, "bytes_per_s": 4e10, "link_ratio": 0.8})
}
