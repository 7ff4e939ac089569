//! Framework operators: how long their device work took, and how much of it their inputs explain.
//!
//! FLOP and bytes follow from the recorded shapes and types ([`proftool_roofline::analytic`]), of attention over a paged
//! cache from the annotation of its step. The time is the sum over all device rows of the operator (memsets and epilogues
//! too), as TraceLens has it. A call belongs to the window in which its longest kernel begins; one that launched copies
//! only, in which its first row begins.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW};
use crate::Error;
use crate::model::{DeviceKey, Model};
use crate::roofline::operators::{Attribution, Operator, Signature, attribute};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_operator",
    doc: "FLOP and compulsory bytes of framework operators from their shapes, with the time of their device rows.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_operator",
    doc: "One operator with the same inputs on one device in one window set, the longest first.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("phase", "Null: an operator is summed over the phases.").or_null(),
        text("name", "Name of the operator."),
        text("shapes", "Sizes of its inputs, as JSON."),
        text("dtypes", "Types of its inputs, as JSON."),
        text("concrete_inputs", "Its scalar inputs, as JSON.").or_null(),
        text("kind", "`gemm`, `attention`, `convolution`, `normalization`, `elementwise`, `copy` and so on."),
        int("calls", "Calls that launched device rows."),
        int("launches", "Those rows: kernels, copies and sets."),
        int("time_ns", "Sum of their durations."),
        int("flop", "Floating-point operations (of integer precisions integer operations), an FMA counted as two."),
        int("dram_bytes", "Compulsory bytes: each input and output once."),
        float("arithmetic_intensity", "flop / dram_bytes.").or_null(),
        float("flop_per_s", "flop / time_ns; null without FLOP or time.").or_null(),
        float("mean_flop_per_s", "Mean over the calls of their own FLOP / time, as TraceLens prints it.").or_null(),
        float("bytes_per_s", "dram_bytes / time_ns.").or_null(),
        text("precision", "Type of the arithmetic; null without FLOP.").or_null(),
        text("formula_id", "The formula of FLOP and bytes."),
    ],
};

struct Row<'a> {
    device: DeviceKey,
    window: String,
    signature: &'a Signature,
    kind: &'static str,
    calls: i64,
    launches: i64,
    time: i64,
    flop: f64,
    bytes: f64,
    /// Sum of the rates of the calls, and how many have one.
    rates: (f64, i64),
    precision: Option<&'static str>,
    formula: &'static str,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let attribution = attribute(input.tables, input.model()?)?;
    let calls = anchors(&attribution);
    let rows = input.of_devices(|model, device, sets| {
        sets.iter().flat_map(|set| of_device(model, &attribution, &calls, device, set)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("phase", |_| None::<&str>)
        .text("name", |row| Some(&row.signature.name))
        .text("shapes", |row| Some(&row.signature.shapes))
        .text("dtypes", |row| Some(&row.signature.dtypes))
        .text("concrete_inputs", |row| row.signature.concrete.as_deref())
        .text("kind", |row| Some(row.kind))
        .int("calls", |row| Some(row.calls))
        .int("launches", |row| Some(row.launches))
        .int("time_ns", |row| Some(row.time))
        // Sums of counts of at most 2^62 each: the cast saturates.
        .int("flop", |row| Some(row.flop.round() as i64))
        .int("dram_bytes", |row| Some(row.bytes.round() as i64))
        .float("arithmetic_intensity", |row| quotient(row.flop, row.bytes))
        .float("flop_per_s", |row| quotient(row.flop * 1e9, row.time as f64).filter(|_| row.flop > 0.0))
        .float("mean_flop_per_s", |row| quotient(row.rates.0, row.rates.1 as f64).filter(|_| row.flop > 0.0))
        .float("bytes_per_s", |row| quotient(row.bytes * 1e9, row.time as f64))
        .text("precision", |row| row.precision)
        .text("formula_id", |row| Some(row.formula))
        .build(&TABLE)
}

fn quotient(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole).filter(|value| value.is_finite())
}

/// The operator calls by the activity that stands for each, sorted.
fn anchors(attribution: &Attribution) -> Vec<(usize, &Operator)> {
    let anchor = |operator: &Operator| operator.main.unwrap_or(operator.first) as usize;
    let mut calls: Vec<_> = attribution.operators.iter().map(|operator| (anchor(operator), operator)).collect();
    calls.sort_by_key(|(activity, _)| *activity);
    calls
}

fn of_device<'a>(
    model: &Model,
    attribution: &'a Attribution,
    calls: &[(usize, &Operator)],
    device: DeviceKey,
    set: &WindowSet,
) -> Vec<Row<'a>> {
    let mut rows: BTreeMap<u32, Row> = BTreeMap::new();
    for window in &set.spans {
        // Activities are sorted by device and start, and so are the calls by their activities.
        let begins = |at: usize| (model.activities[at].device, model.activities[at].span.0);
        let first = calls.partition_point(|(at, _)| begins(*at) < (device, window.0));
        let inside = calls[first..].iter().take_while(|(at, _)| begins(*at) < (device, window.1));
        for (_, operator) in inside {
            let row = rows.entry(operator.signature).or_insert_with(|| empty(attribution, operator, device, set));
            add(row, attribution, operator);
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.time), row.signature));
    rows
}

fn empty<'a>(attribution: &'a Attribution, operator: &Operator, device: DeviceKey, set: &WindowSet) -> Row<'a> {
    let work = &attribution.operations[operator.operation as usize];
    Row {
        device,
        window: set.name.clone(),
        signature: &attribution.signatures[operator.signature as usize],
        kind: work.kind,
        calls: 0,
        launches: 0,
        time: 0,
        flop: 0.0,
        bytes: 0.0,
        rates: (0.0, 0),
        precision: (work.flop > 0.0).then(|| work.precision.name()),
        formula: work.formula,
    }
}

fn add(row: &mut Row, attribution: &Attribution, operator: &Operator) {
    let work = &attribution.operations[operator.operation as usize];
    row.calls += 1;
    row.launches += operator.launches;
    row.time = row.time.saturating_add(operator.time_ns);
    row.flop += work.flop;
    row.bytes += work.bytes;
    if operator.time_ns > 0 {
        row.rates = (row.rates.0 + work.flop * 1e9 / operator.time_ns as f64, row.rates.1 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::import_bytes;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    /// Times in microseconds.
    fn trace(events: &[serde_json::Value]) -> proftool_trace::frame::Tables {
        let text = serde_json::json!({ "schemaVersion": 1, "traceEvents": events }).to_string();
        import_bytes("trace.json", text.as_bytes())
    }

    fn operator(name: &str, span: (i64, i64), shapes: &str) -> serde_json::Value {
        let dims: serde_json::Value = serde_json::from_str(shapes).unwrap();
        let dtypes = vec!["c10::Half"; dims.as_array().unwrap().len()];
        let arguments = serde_json::json!({ "External id": 1, "Input Dims": dims, "Input type": dtypes });
        serde_json::json!({
            "ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": span.0, "dur": span.1 - span.0,
            "args": arguments
        })
    }

    /// A launch of a microsecond and what it launched.
    fn launch(at: i64, correlation: i64, kind: &str, span: (i64, i64)) -> [serde_json::Value; 2] {
        let call = serde_json::json!({
            "ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": at, "dur": 1,
            "args": { "correlation": correlation }
        });
        let row = serde_json::json!({
            "ph": "X", "cat": kind, "name": "k", "pid": 0, "tid": 7, "ts": span.0, "dur": span.1 - span.0,
            "args": { "correlation": correlation, "device": 0, "stream": 7 }
        });
        [call, row]
    }

    fn compute_on(events: &[serde_json::Value]) -> DataFrame {
        compute(&Input::new("run", "target", &trace(events), Window::Default)).unwrap()
    }

    #[test]
    fn work_goes_to_the_inner_operator_once() {
        // linear calls addmm, which sets 1 us and multiplies 10 us; then linear alone adds what no model explains.
        let mut events = vec![
            operator("aten::linear", (0, 100), "[[4,5],[6,5],[6]]"),
            operator("aten::addmm", (10, 50), "[[6],[4,5],[5,6]]"),
        ];
        events.extend(launch(20, 1, "gpu_memset", (200, 201)));
        events.extend(launch(30, 2, "kernel", (201, 211)));
        events.extend(launch(60, 3, "kernel", (211, 212)));
        let frame = compute_on(&events);
        assert_eq!(texts(&frame, "name").unwrap(), [Some("aten::addmm".to_owned())]);
        let ints = |name| ints(&frame, name).unwrap();
        // 2*4*6*5 + 24 FLOP; (6 + 20 + 30 + 24) * 2 bytes; 11 us.
        assert_eq!((ints("flop"), ints("dram_bytes")), (vec![Some(264)], vec![Some(160)]));
        assert_eq!((ints("launches"), ints("time_ns")), (vec![Some(2)], vec![Some(11_000)]));
        assert_eq!(floats(&frame, "flop_per_s").unwrap(), [Some(264e9 / 11_000.0)]);
        assert_eq!(texts(&frame, "precision").unwrap(), [Some("matrix_f16".to_owned())]);
    }

    #[test]
    fn the_mean_rate_is_that_of_the_calls() {
        // 240 FLOP each, in 1 and in 3 us: 240e6 and 80e6 a second.
        let mut events = Vec::new();
        for (at, length) in [(0, 1), (100, 3)] {
            events.push(operator("aten::mm", (at, at + 50), "[[4,5],[5,6]]"));
            events.extend(launch(at + 10, at + 1, "kernel", (at + 20, at + 20 + length)));
        }
        let frame = compute_on(&events);
        assert_eq!(ints(&frame, "calls").unwrap(), [Some(2)]);
        assert_eq!(floats(&frame, "flop_per_s").unwrap(), [Some(120e6)]);
        assert_eq!(floats(&frame, "mean_flop_per_s").unwrap(), [Some(160e6)]);
    }

    #[test]
    fn what_no_operator_launched_is_not_here() {
        let mut events = vec![operator("aten::mm", (0, 50), "[[4,5],[5,6]]")];
        events.extend(launch(60, 1, "kernel", (70, 80)));
        assert_eq!(compute_on(&events).height(), 0);
    }
}
