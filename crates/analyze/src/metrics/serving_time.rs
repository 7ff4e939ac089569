//! What users felt over the time of a run.
//!
//! Bins are at most 60, of a round width. A request counts in the bin of its arrival with what it felt later, so that a
//! step of the load is seen where it happened; what came out (`ended`, `output_tokens`) counts in the bin of its end.
//! Depths are means over the time of a bin: of the requests' stages where the log has any, else of the devices' samples
//! `waiting_requests` and `running_requests`, summed over the devices.

use polars::prelude::DataFrame;
use proftool_timeline::levels::Levels;
use proftool_trace::table::{Table, float, int, text};

use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::operators::{Span, depth};
use crate::requests::{Bins, By, Group, Kind, Latencies, Log, Request, Status};
use crate::samples::series::{self, Series};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "serving_time",
    doc: "Arrivals, TTFT, TPOT, queue depth, KV use and goodput over the time of a serving run.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "serving_time",
    doc: "A part of a run: of all requests, then of each policy where there are several.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("policy", "The policy; null for all requests.").or_null(),
        int("bin", "Number of the part, from 0."),
        int("start_ns", "Its first instant."),
        int("end_ns", "The instant behind it."),
        int("arrivals", "Requests that arrive in it."),
        int("ended", "Requests of any status that end in it."),
        int("ttft_p50_ns", "Median TTFT of those that arrive in it (nearest rank).").or_null(),
        int("ttft_p99_ns", "99th percentile.").or_null(),
        int("tpot_p50_ns", "Median TPOT of those that arrive in it.").or_null(),
        int("tpot_p99_ns", "99th percentile.").or_null(),
        int("output_tokens", "Output tokens of the `ok` requests that end in it."),
        int(
            "slo_met",
            "Requests that arrive in it and meet every SLO; null without any, and where the log knows no first token.",
        )
        .or_null(),
        float("slo_attainment_ratio", "slo_met / arrivals.").or_null(),
        float("goodput_requests_per_s", "slo_met / length of the part.").or_null(),
        float(
            "in_flight_mean",
            "Requests that have arrived and not ended; one whose end is not known stays to the end, a rejected one not at all.",
        ),
        float("queued_mean", "Requests that wait.").or_null(),
        int("queued_max", "Most that wait at once, of stages only.").or_null(),
        float("running_mean", "Requests whose prompt is computed or that decode.").or_null(),
        text("depth_source", "`stages` or `samples`.").or_null(),
        float("kv_usage_ratio", "Share of the KV memory in use, mean over time and devices.").or_null(),
    ],
};

/// Parts of a run.
pub(crate) const MOST_BINS: u32 = 60;

#[derive(Default)]
struct Row {
    pass: String,
    simulated: bool,
    policy: Option<String>,
    bin: usize,
    span: Span,
    arrivals: i64,
    ended: i64,
    ttft: [Option<i64>; 2],
    tpot: [Option<i64>; 2],
    output_tokens: i64,
    met: Option<i64>,
    in_flight: f64,
    queued: Option<f64>,
    queued_max: Option<i64>,
    running: Option<f64>,
    source: Option<&'static str>,
    kv_usage: Option<f64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        let Some(window) = log.window() else { continue };
        let bins = Bins::of(window, MOST_BINS);
        let samples = Samples::read(input, &log.pass)?;
        for group in log.groups(&[By::Policy]) {
            let of_all = group.kind == "all";
            rows.extend(of_group(log, &group, &bins, of_all.then_some(&samples)));
        }
    }
    let per = |count: Option<i64>, whole: i64| (whole > 0).then_some(count? as f64 / whole as f64);
    Output::new(input.run, input.target, &rows)
        .text("pass", |row| Some(&row.pass))
        .bool("simulated", |row| Some(row.simulated))
        .text("policy", |row| row.policy.as_ref())
        .int("bin", |row| Some(row.bin as i64))
        .int("start_ns", |row| Some(row.span.0))
        .int("end_ns", |row| Some(row.span.1))
        .int("arrivals", |row| Some(row.arrivals))
        .int("ended", |row| Some(row.ended))
        .int("ttft_p50_ns", |row| row.ttft[0])
        .int("ttft_p99_ns", |row| row.ttft[1])
        .int("tpot_p50_ns", |row| row.tpot[0])
        .int("tpot_p99_ns", |row| row.tpot[1])
        .int("output_tokens", |row| Some(row.output_tokens))
        .int("slo_met", |row| row.met)
        .float("slo_attainment_ratio", |row| per(row.met, row.arrivals))
        .float("goodput_requests_per_s", |row| Some(per(row.met, row.span.1.saturating_sub(row.span.0))? * 1e9))
        .float("in_flight_mean", |row| Some(row.in_flight))
        .float("queued_mean", |row| row.queued)
        .int("queued_max", |row| row.queued_max)
        .float("running_mean", |row| row.running)
        .text("depth_source", |row| row.source)
        .float("kv_usage_ratio", |row| row.kv_usage)
        .build(&TABLE)
}

fn of_group(log: &Log, group: &Group, bins: &Bins, samples: Option<&Samples>) -> Vec<Row> {
    let arrived = |value: fn(&Request) -> Option<i64>| {
        bins.latencies(group.requests.iter().filter_map(|request| Some((request.arrival, value(request)?))))
    };
    let (ttft, tpot) = (arrived(Request::ttft), arrived(Request::tpot));
    let any_slo = log.tells_slos() && group.requests.iter().any(|request| request.slo.is_stated());
    let ends = |value: Latencies| [value.permille(500), value.permille(990)];
    let row = |(bin, (ttft, tpot)): (usize, (Latencies, Latencies))| Row {
        pass: log.pass.clone(),
        simulated: log.simulated,
        policy: (group.kind != "all").then(|| group.name.clone()),
        bin,
        span: bins.span(bin),
        ttft: ends(ttft),
        tpot: ends(tpot),
        met: any_slo.then_some(0),
        ..Row::default()
    };
    let mut rows: Vec<Row> = ttft.into_iter().zip(tpot).enumerate().map(row).collect();
    for request in &group.requests {
        if let Some(row) = bins.at(request.arrival).and_then(|at| rows.get_mut(at)) {
            row.arrivals += 1;
            row.met = row.met.map(|met| met + i64::from(request.meets()));
        }
        if let Some(row) = request.end.and_then(|end| bins.at(end)).and_then(|at| rows.get_mut(at)) {
            row.ended += 1;
            let tokens = request.output_tokens.filter(|_| request.status == Status::Ok).unwrap_or(0);
            row.output_tokens = row.output_tokens.saturating_add(tokens);
        }
    }
    let last = log.window().map_or(i64::MAX, |window| window.1);
    // One whose end is not known is there to the end, but for a rejected one, which never was.
    let until = |request: &Request| if request.status == Status::Rejected { request.arrival } else { last };
    let in_flight = |request: &&Request| (request.arrival, request.end.unwrap_or_else(|| until(request)));
    let in_flight = depth(&group.requests.iter().map(in_flight).collect::<Vec<_>>());
    let (queued, running) = (stages(log, group, &[Kind::Queued]), stages(log, group, &[Kind::Prefill, Kind::Decode]));
    for row in &mut rows {
        row.in_flight = Levels::inside(&in_flight, row.span).mean().unwrap_or(0.0);
        if !log.events.is_empty() {
            let waiting = Levels::inside(&queued, row.span);
            (row.queued, row.queued_max) = (waiting.mean(), waiting.max().map(|most| most as i64));
            row.running = Levels::inside(&running, row.span).mean();
        } else if let Some(samples) = samples {
            (row.queued, row.running) = (sum(&samples.waiting, row.span), sum(&samples.running, row.span));
        }
        let source = if log.events.is_empty() { "samples" } else { "stages" };
        row.source = row.queued.or(row.running).map(|_| source);
        row.kv_usage = samples.and_then(|samples| mean(&samples.kv, row.span));
    }
    rows
}

/// How many requests of a group are in one of those stages, over time.
fn stages(log: &Log, group: &Group, kinds: &[Kind]) -> Vec<(Span, usize)> {
    let all = group.requests.iter().flat_map(|request| log.stages(request));
    depth(&all.filter(|event| kinds.contains(&event.kind)).map(|event| event.span).collect::<Vec<_>>())
}

/// What the devices' samples tell.
struct Samples {
    waiting: Vec<Series>,
    running: Vec<Series>,
    kv: Vec<Series>,
}

impl Samples {
    fn read(input: &Input, pass: &str) -> Result<Self, Error> {
        let read = |wanted: fn(&str) -> bool| series::read(input.tables, pass, |metric, _| wanted(metric));
        Ok(Self {
            waiting: read(|metric| metric == "waiting_requests")?,
            running: read(|metric| metric == "running_requests")?,
            kv: read(is_kv_usage)?,
        })
    }
}

/// The share of the KV memory in use: of router logs, and of engines as they name it.
pub(crate) fn is_kv_usage(metric: &str) -> bool {
    metric == "kv_usage_ratio" || metric.ends_with("kv_cache_usage_perc") || metric.ends_with("gpu_cache_usage_perc")
}

fn means(series: &[Series], span: Span) -> impl Iterator<Item = f64> {
    series.iter().filter_map(move |series| series.over(&[span], None).mean())
}

fn sum(series: &[Series], span: Span) -> Option<f64> {
    means(series, span).fold(None, |sum, mean| Some(sum.unwrap_or(0.0) + mean))
}

fn mean(series: &[Series], span: Span) -> Option<f64> {
    Some(sum(series, span)? / means(series, span).count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    fn over_time(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn a_request_counts_where_it_arrived_and_its_tokens_where_it_ended() {
        let fixture = Fixture::new()
            .request(0, Some(30), Some(50), 5)
            .slo(30, 5)
            .event("queued", None, (0, 10))
            .event("prefill", None, (10, 30))
            .request(40, Some(60), Some(60), 1)
            .slo(10, 5);
        let frame = over_time(&fixture);
        let ints = |name| ints(&frame, name).unwrap();
        // 60 ns are 60 bins of 1 ns.
        assert_eq!((frame.height(), ints("end_ns")[59]), (60, Some(60)));
        let at = |name, bin: usize| ints(name)[bin];
        assert_eq!(
            (at("arrivals", 0), at("arrivals", 40), at("ended", 50), at("ended", 59)),
            (Some(1), Some(1), Some(1), Some(1))
        );
        assert_eq!((at("ttft_p50_ns", 0), at("ttft_p99_ns", 40), at("ttft_p50_ns", 1)), (Some(30), Some(20), None));
        assert_eq!((at("slo_met", 0), at("slo_met", 40), at("output_tokens", 50)), (Some(1), Some(0), Some(5)));
        let floats = |name| floats(&frame, name).unwrap();
        assert_eq!(
            (floats("queued_mean")[9], floats("queued_mean")[10], floats("running_mean")[10]),
            (Some(1.0), Some(0.0), Some(1.0))
        );
        assert_eq!((floats("in_flight_mean")[45], floats("in_flight_mean")[50]), (Some(2.0), Some(1.0)));
        assert_eq!(texts(&frame, "depth_source").unwrap()[0].as_deref(), Some("stages"));
    }

    #[test]
    fn a_rejected_request_without_an_end_was_never_in_flight() {
        let fixture = Fixture::new().request(0, Some(30), Some(60), 5).request(10, None, None, 0).status("rejected");
        assert_eq!(floats(&over_time(&fixture), "in_flight_mean").unwrap()[40], Some(1.0));
        let failed = fixture.request(10, None, None, 0).status("failed");
        assert_eq!(floats(&over_time(&failed), "in_flight_mean").unwrap()[40], Some(2.0));
    }

    #[test]
    fn without_stages_the_samples_of_all_devices_tell_the_depth() {
        let fixture = Fixture::new()
            .request(0, Some(30), Some(60), 5)
            .sample("waiting_requests", 0, (0, 60), 3.0)
            .sample("waiting_requests", 1, (0, 30), 1.0)
            .sample("vllm:kv_cache_usage_perc", 0, (0, 60), 0.5);
        let frame = over_time(&fixture);
        let floats = |name| floats(&frame, name).unwrap();
        assert_eq!(
            (floats("queued_mean")[0], floats("queued_mean")[40], floats("running_mean")[0]),
            (Some(4.0), Some(3.0), None)
        );
        assert_eq!(
            (floats("kv_usage_ratio")[5], texts(&frame, "depth_source").unwrap()[0].as_deref()),
            (Some(0.5), Some("samples"))
        );
    }
}
