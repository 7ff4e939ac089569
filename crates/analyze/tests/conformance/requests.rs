//! Request logs beside what their publishers say of them.

use std::path::Path;

use proftool_trace::tables;
use serde_json::Value;

use crate::check::Check;
use crate::number::{Format, Numbers};
use crate::page::Section;
use crate::results::Results;
use crate::trace::{Trace, whole};

/// Logs of arrivals, and the number of their requests.
const TRACES: &[(&str, &str, i64)] = &[
    ("Mooncake conversation", "mooncake_fast25_conversation_trace.jsonl.gz", 12_031),
    ("Mooncake synthetic", "mooncake_fast25_synthetic_trace.jsonl.gz", 3_993),
    ("Azure 2023 conversation", "azure2023_conv.csv", 19_366),
];

pub(crate) fn section(shared: &Path) -> Section {
    let mut section = Section::new("request logs", "Request logs");
    let folder = shared.join("data/serving");
    section.heading("Numbers of requests");
    let count = |(name, file, requests): &(&str, &str, i64)| {
        let trace = Trace::import(&folder.join(file));
        Check::exact(format!("{name}: requests"), trace.tables.get(&tables::REQUESTS).height() as i64, *requests)
    };
    section.checks("published", &TRACES.iter().map(count).collect::<Vec<_>>());
    section.heading("genai-perf: the run at concurrency 1 beside its own summary");
    section.paragraph(
        "Time to first token and request latency of the raw export beside `c1_profile_export_genai_perf.json`, which \
         genai-perf computed from the same run; quantiles interpolated linearly. Compared to 0.001 ns (doubles of \
         milliseconds). Its inter-token latency is not compared: it counts tokens with a tokenizer of its own (58.06 \
         a request), the export holds the server's count (50).",
    );
    section.checks("genai-perf", &genai_perf(&folder.join("genai_perf_llama3_8b")));
    section.heading("The metric `serving` of that run beside the same summary");
    section.paragraph(
        "Means, standard deviations, least and largest values, and the rate; the percentiles of the metric are of the \
         nearest rank, so that each lies between two of the sorted values between which genai-perf interpolates.",
    );
    section.checks("genai-perf", &serving_metric(&folder.join("genai_perf_llama3_8b")));
    section
}

fn genai_perf(folder: &Path) -> Vec<Check> {
    let trace = Trace::import(&folder.join("c1_200_50.json.gz"));
    let bytes = std::fs::read(folder.join("c1_profile_export_genai_perf.json")).unwrap();
    let summary: Value = serde_json::from_slice(&bytes).unwrap();
    let column = |name| whole(&trace.tables, &tables::REQUESTS, name);
    let (arrival, end) = (column("arrival_ns"), column("end_ns"));
    let mut checks = Vec::new();
    for (metric, name, to) in [
        ("time_to_first_token", "time to first token", column("first_token_ns")),
        ("request_latency", "request latency", end.clone()),
    ] {
        let lengths: Numbers = arrival.iter().zip(&to).map(|(from, to)| to.unwrap() - from.unwrap()).collect();
        let quantiles = [
            ("min", 0.0),
            ("p25", 0.25),
            ("p50", 0.5),
            ("p75", 0.75),
            ("p90", 0.9),
            ("p95", 0.95),
            ("p99", 0.99),
            ("max", 1.0),
        ];
        let values = quantiles.map(|(what, part)| (what, lengths.quantile(part)));
        for (what, ours) in [("avg", lengths.mean())].into_iter().chain(values) {
            let theirs = summary[metric][what].as_f64().unwrap() * 1e6;
            checks.push(Check::float(format!("{name}, {what}, ns"), ours, theirs, Format::Fixed(2), 1e-3));
        }
    }
    let seconds = end.iter().flatten().max().unwrap() - arrival.iter().flatten().min().unwrap();
    let rate = arrival.len() as f64 / (seconds as f64 / 1e9);
    let theirs = summary["request_throughput"]["avg"].as_f64().unwrap();
    checks.push(Check::float("requests a second", rate, theirs, Format::Fixed(9), 1e-12));
    checks
}

/// What the metrics say of the run, beside the summary: nothing of it is recomputed here.
fn serving_metric(folder: &Path) -> Vec<Check> {
    let trace = Trace::import(&folder.join("c1_200_50.json.gz"));
    let bytes = std::fs::read(folder.join("c1_profile_export_genai_perf.json")).unwrap();
    let summary: Value = serde_json::from_slice(&bytes).unwrap();
    let serving = Results::compute(&trace.tables, "serving");
    let distribution = Results::compute(&trace.tables, "serving_distribution");
    let at = |quantity: &str, percent: f64| {
        let is = |row| {
            distribution.text(row, "quantity") == Some(quantity) && distribution.float(row, "percent") == Some(percent)
        };
        distribution.int(distribution.only(is), "value_ns").unwrap() as f64
    };
    let mut checks = Vec::new();
    for (metric, name) in [("time_to_first_token", "ttft"), ("request_latency", "e2e")] {
        let theirs = |what: &str| summary[metric][what].as_f64().unwrap() * 1e6;
        let mean = serving.float(0, &format!("{name}_mean_ns")).unwrap();
        let mut found = vec![("avg", mean), ("min", at(name, 0.0)), ("max", at(name, 100.0))];
        if name == "ttft" {
            found.push(("std", serving.float(0, "ttft_stddev_ns").unwrap()));
        }
        for (what, ours) in found {
            checks.push(Check::float(format!("{name}, {what}, ns"), ours, theirs(what), Format::Fixed(2), 1e-3));
        }
    }
    let rate = serving.float(0, "requests_per_s").unwrap();
    let theirs = summary["request_throughput"]["avg"].as_f64().unwrap();
    checks.push(Check::float("requests a second", rate, theirs, Format::Fixed(9), 1e-12));
    checks
}
