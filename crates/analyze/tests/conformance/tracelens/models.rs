//! Reports with modelled FLOP and bytes: the metric `roofline_operator` beside `GEMM`, `SDPA_fwd`, `UnaryElementwise`, ...

use std::collections::BTreeMap;

use proftool_analyze::metrics::{self, Input};
use proftool_analyze::windows::Window;
use proftool_trace::frame::{floats, ints, texts};

use super::TENTH_US;
use super::operators::plain;
use crate::check::List;
use crate::sheet::Sheet;
use crate::trace::Trace;

/// The reports that have a model, by their file stems.
pub(super) const FILES: &[&str] = &[
    "GEMM",
    "SDPA_fwd",
    "InferenceAttention_fwd",
    "BinaryElementwise",
    "UnaryElementwise",
    "Reduce_fwd",
    "RMSNorm_fwd",
    "RoPE_fwd",
];

/// Name, shapes and types, without what JSON and Python write differently. Scalar inputs are no part of it: the reports
/// add up rows that differ in those that their models do not read.
type Key = [String; 3];

/// One call's FLOP and bytes, and the calls together.
#[derive(Clone, Copy, Debug)]
struct Work {
    flop: f64,
    bytes: f64,
    calls: f64,
    us: f64,
    /// Mean over the calls of FLOP / time; null without FLOP.
    flop_per_s: f64,
}

impl Work {
    /// Adds calls with the same FLOP and bytes.
    fn add(&mut self, more: &Self) {
        let calls = self.calls + more.calls;
        self.flop_per_s = (self.flop_per_s * self.calls + more.flop_per_s * more.calls) / calls;
        (self.calls, self.us) = (calls, self.us + more.us);
    }
}

/// The metric's rows.
pub(super) struct Operators(BTreeMap<Key, Work>);

impl Operators {
    pub(super) fn compute(trace: &Trace) -> Self {
        let input = Input::new("", "", &trace.tables, Window::Default);
        let frame = (metrics::find("roofline_operator").unwrap().compute)(&input).unwrap();
        let [name, shapes, dtypes] = ["name", "shapes", "dtypes"].map(|name| texts(&frame, name).unwrap());
        let whole = |name| ints(&frame, name).unwrap().into_iter().map(|value| value.unwrap() as f64).collect();
        let [flop, bytes, calls, time]: [Vec<f64>; 4] = ["flop", "dram_bytes", "calls", "time_ns"].map(whole);
        let rates = floats(&frame, "mean_flop_per_s").unwrap();
        let mut all: BTreeMap<Key, Work> = BTreeMap::new();
        for at in 0..frame.height() {
            let key = [&name[at], &shapes[at], &dtypes[at]].map(|text| plain(text.as_deref().unwrap()));
            let (flop, bytes) = (flop[at] / calls[at], bytes[at] / calls[at]);
            let flop_per_s = rates[at].unwrap_or(0.0);
            let work = Work { flop, bytes, calls: calls[at], us: time[at] / 1e3, flop_per_s };
            all.entry(key).and_modify(|sum| sum.add(&work)).or_insert(work);
        }
        Self(all)
    }
}

/// Rows of one report by key, each with its shortest time; those that differ in strides only are added up.
fn theirs(sheet: &Sheet) -> BTreeMap<Key, (Work, f64)> {
    let mut all: BTreeMap<Key, (Work, f64)> = BTreeMap::new();
    for row in 0..sheet.rows.len() {
        let key = ["name", "Input Dims_first", "Input type_first"].map(|column| plain(sheet.text(row, column)));
        let number = |column| sheet.number(row, column);
        let work = Work {
            flop: number("GFLOPS_first") * 1e9,
            bytes: number("Data Moved (MB)_first") * f64::from(1 << 20),
            calls: number("name_count"),
            us: number("Kernel Time (µs)_sum"),
            flop_per_s: number("TFLOPS/s_mean") * 1e12,
        };
        let shortest = number("Kernel Time (µs)_min");
        let add = |(sum, least): &mut (Work, f64)| {
            sum.add(&work);
            *least = least.min(shortest);
        };
        all.entry(key).and_modify(add).or_insert((work, shortest));
    }
    all
}

/// What TraceLens makes of a row where it counts by another rule, and the label of the rule.
fn by_their_rule(key: &Key, ours: &Work) -> Option<(&'static str, f64, f64)> {
    let [name, shapes, dtypes] = key;
    let first = |text: &str| text.trim_start_matches('[').split(']').next().unwrap_or("").to_owned();
    let sizes: Vec<f64> = first(shapes).split(',').filter_map(|size| size.parse().ok()).collect();
    let elements: f64 = sizes.iter().product();
    let is_integer = dtypes.starts_with("['int") || dtypes.starts_with("['longint");
    Some(match name.as_str() {
        "aten::copy_" => ("copies", elements, ours.bytes),
        "aten::mean" => ("rows", ours.flop, ours.bytes - 4.0 * (elements / sizes.last()? - 1.0)),
        "aten::cumsum" if dtypes.starts_with("['int") => ("integers", elements, 2.0 * 4.0 * elements),
        "aten::cumsum" | "aten::max" | "aten::neg" if is_integer => ("integers", elements, ours.bytes),
        "sgl_kernel::rotary_embedding" => ("indices", ours.flop, ours.bytes - 8.0 * elements),
        "sglang::store_cache" => ("indices", ours.flop, ours.bytes - 8.0 * sizes.first()?),
        _ => return None,
    })
}

fn same(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * theirs.abs()
}

/// Compares two numbers by their ratio.
fn near(list: &mut List, (what, key): (&str, &Key), ours: f64, theirs: f64, tolerance: f64) {
    if (ours - theirs).abs() <= tolerance * theirs.abs() {
        list.tally.equal += 1;
    } else {
        list.differs(|| format!("{what} of {key:?}: {ours} here, {theirs} there"));
    }
}

pub(super) fn compare(list: &mut List, sheet: &Sheet, operators: &Operators) {
    let mut labels = Vec::new();
    for (key, (theirs, shortest)) in theirs(sheet) {
        let Some(ours) = operators.0.get(&key) else {
            outer(list, &mut labels, &key, &theirs, operators);
            continue;
        };
        list.number(|| format!("calls of {key:?}"), ours.calls, theirs.calls, 0.0);
        let inner = inner_copy(ours, &theirs, operators);
        if inner {
            list.explained(1);
            labels.push("inner");
        } else {
            list.number(|| format!("time of {key:?}"), ours.us, theirs.us, TENTH_US);
        }
        let (flop, bytes) = match by_their_rule(&key, ours) {
            Some((label, flop, bytes)) => {
                let places = [(ours.flop, flop), (ours.bytes, bytes)];
                list.explained(places.into_iter().filter(|(own, rule)| !same(*own, *rule)).count());
                labels.push(label);
                (flop, bytes)
            }
            None => (ours.flop, ours.bytes),
        };
        if same(flop, ours.flop) {
            near(list, ("FLOP", &key), flop, theirs.flop, 1e-9);
            // Their durations are differences of doubles of epoch microseconds, 2 ns apart at worst.
            let rounding = 2e-3 / shortest;
            near(list, ("FLOP/s", &key), ours.flop_per_s, theirs.flop_per_s, rounding);
        } else if !same(flop, theirs.flop) {
            list.differs(|| format!("FLOP of {key:?} by their rule: {flop} here, {} there", theirs.flop));
        }
        if same(bytes, ours.bytes) {
            near(list, ("bytes", &key), bytes, theirs.bytes, 1e-9);
        } else if !same(bytes, theirs.bytes) {
            list.differs(|| format!("bytes of {key:?} by their rule: {bytes} here, {} there", theirs.bytes));
        }
    }
    labels.sort_unstable();
    labels.dedup();
    if !labels.is_empty() {
        let labels: Vec<String> = labels.into_iter().map(|label| format!("*{label}*")).collect();
        list.note(format!("{}.", labels.join(", ")));
    }
}

/// Whether their time holds that of a copy which the operator made by an operator of its own.
fn inner_copy(ours: &Work, theirs: &Work, operators: &Operators) -> bool {
    let copies = operators.0.iter().filter(|(key, _)| key[0] == "aten::copy_").map(|(_, copy)| copy);
    let with = |copy: &Work| (ours.us + copy.us - theirs.us).abs() <= TENTH_US;
    (ours.us - theirs.us).abs() > TENTH_US && copies.filter(|copy| with(copy)).count() == 1
}

/// A wrapper around an operator that has a model itself: the same rows, FLOP and bytes stand under both there.
fn outer(list: &mut List, labels: &mut Vec<&'static str>, key: &Key, theirs: &Work, operators: &Operators) {
    let is_inner = |(inner, ours): &(&Key, &Work)| {
        inner[0] == "aten::mm"
            && same(ours.flop, theirs.flop)
            && same(ours.bytes, theirs.bytes)
            && (ours.us - theirs.us).abs() <= TENTH_US
    };
    if key[0] == "aiter::gemm_a16w16" && operators.0.iter().any(|pair| is_inner(&pair)) {
        list.explained(4);
        labels.push("wrappers");
    } else {
        list.differs(|| format!("{key:?} is there only"));
    }
}

/// The labels, for the head of the section.
pub(super) const LABELS: [&str; 6] = [
    "*copies*: TraceLens counts one FLOP an element of a copy; a copy computes nothing. The bytes are equal.",
    "*integers*: TraceLens counts integer operations as FLOP, and the output of a sum of 4-byte integers with 4 bytes, \
     where PyTorch makes 8.",
    "*rows*: TraceLens takes the output of every reduction for one element; a mean over the last size leaves a row each.",
    "*indices*: positions of a rotary embedding and slots of a cache are read too, which TraceLens leaves out.",
    "*wrappers*: `aiter::gemm_a16w16` calls `aten::mm`; TraceLens reports the same rows under both, here they belong to \
     the inner one.",
    "*inner*: `aten::cumsum` of `int` first calls `aten::copy_`; TraceLens adds the time of that row to both, here it \
     belongs to the copy.",
];
