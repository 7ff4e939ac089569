//! What each device of a serving run did over time.
//!
//! Busy is the union of its batch steps where the pass has `steps`, else of the prefill and decode stages of requests there.
//! Waiting and running are means over time, of the stages of requests where they name the device, else of its samples
//! `waiting_requests` and `running_requests`. A ratio of busy time is over the time in which the device
//! was up, of what it was busy then.

mod devices;

use polars::prelude::DataFrame;
use proftool_timeline::levels::Levels;
use proftool_trace::table::{Table, float, int, text};

use super::serving::{PASS, SIMULATED};
use super::serving_time::MOST_BINS;
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET};
use crate::Error;
use crate::operators::Span;
use crate::requests::{Bins, Log};
use devices::sampled;
pub(crate) use devices::{Device, read};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "device_load",
    doc: "Requests, tokens, busy share, queue and KV use of each device of a serving run, as a whole and over time.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "device_load",
    doc: "A device in the whole run (bin null) or in a part of it.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        RANK,
        DEVICE,
        text("name", "Name of the device.").or_null(),
        text(
            "role",
            "`prefill`, `decode` or `mixed`: as the log states, else as its work was; null where it did none.",
        )
        .or_null(),
        int("bin", "Number of the part, from 0; null for the whole.").or_null(),
        int("start_ns", "Its first instant."),
        int("end_ns", "The instant behind it."),
        int("prefills", "Prompts whose computation begins in it; null without stages.").or_null(),
        int("decodes", "Stretches of decoding that begin in it, likewise.").or_null(),
        int("prefill_tokens", "Prompt tokens of the steps that end in it.").or_null(),
        int("decode_tokens", "Tokens that came out of them: the sum of their decoding requests.").or_null(),
        int("busy_ns", "Union of its steps, or of its requests' stages.").or_null(),
        float("busy_ratio", "Share of the time that it was up in which it was busy.").or_null(),
        text("busy_source", "`steps` or `stages`.").or_null(),
        float("waiting_mean", "Requests that wait there.").or_null(),
        int("waiting_max", "Most that wait at once, of stages only.").or_null(),
        float("running_mean", "Requests whose prompt is computed there or that decode there.").or_null(),
        float("kv_usage_ratio", "Share of its KV memory in use, mean over time.").or_null(),
        float("kv_usage_max_ratio", "The most of it.").or_null(),
        int("up_ns", "Time that it was up."),
    ],
};

struct Row<'d> {
    log: &'d Log,
    device: &'d Device,
    bin: Option<usize>,
    span: Span,
    up: i64,
    busy: Option<i64>,
    kv: Option<(f64, f64)>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut all = Vec::new();
    for log in input.logs()? {
        if let Some(window) = log.window() {
            all.push((log, window, read(input, log, window)?));
        }
    }
    let mut rows = Vec::new();
    for (log, window, devices) in &all {
        let bins = Bins::of(*window, MOST_BINS);
        for device in devices {
            rows.push(Row::of(log, device, None, *window));
            rows.extend((0..bins.count()).map(|bin| Row::of(log, device, Some(bin), bins.span(bin))));
        }
    }
    build(input, &rows)
}

impl<'d> Row<'d> {
    fn of(log: &'d Log, device: &'d Device, bin: Option<usize>, span: Span) -> Self {
        let (up, busy, kv) =
            (device.up.inside(span), device.busy.as_ref().map(|busy| busy.inside(span)), device.kv(span));
        Self { log, device, bin, span, up, busy, kv }
    }

    fn begun(&self, kind: usize) -> Option<i64> {
        let starts = self.device.starts.as_ref()?;
        let before = |instant: i64| starts[kind].partition_point(|start| *start < instant);
        // What begins at the end of the run belongs to it.
        let end = if self.bin.is_none() { self.span.1.saturating_add(1) } else { self.span.1 };
        Some(before(end).saturating_sub(before(self.span.0)) as i64)
    }

    /// Mean and most of the requests that wait.
    fn waiting(&self) -> (Option<f64>, Option<i64>) {
        if let Some(waiting) = &self.device.waiting {
            let levels = Levels::inside(waiting, self.span);
            return (levels.mean(), levels.max().map(|most| most as i64));
        }
        (sampled(self.device.waiting_samples.as_ref(), self.span), None)
    }

    fn running(&self) -> Option<f64> {
        let stages = self.device.running.as_ref().map(|running| Levels::inside(running, self.span).mean());
        stages.unwrap_or_else(|| sampled(self.device.running_samples.as_ref(), self.span))
    }
}

fn build(input: &Input, rows: &[Row]) -> Result<DataFrame, Error> {
    Output::new(input.run, input.target, rows)
        .text("pass", |row| Some(&row.log.pass))
        .bool("simulated", |row| Some(row.log.simulated))
        .int("rank", |row| Some(row.device.key.0))
        .int("device", |row| Some(row.device.key.1))
        .text("name", |row| row.device.name.as_ref())
        .text("role", |row| row.device.role.as_ref())
        .int("bin", |row| row.bin.map(|bin| bin as i64))
        .int("start_ns", |row| Some(row.span.0))
        .int("end_ns", |row| Some(row.span.1))
        .int("prefills", |row| row.begun(0))
        .int("decodes", |row| row.begun(1))
        .int("prefill_tokens", |row| row.device.tokens(row.span, row.bin.is_none()).map(|tokens| tokens[0]))
        .int("decode_tokens", |row| row.device.tokens(row.span, row.bin.is_none()).map(|tokens| tokens[1]))
        .int("busy_ns", |row| row.busy)
        .float("busy_ratio", |row| row.device.busy_ratio(row.span))
        .text("busy_source", |row| row.busy.map(|_| row.device.busy_source))
        .float("waiting_mean", |row| row.waiting().0)
        .int("waiting_max", |row| row.waiting().1)
        .float("running_mean", Row::running)
        .float("kv_usage_ratio", |row| Some(row.kv?.0))
        .float("kv_usage_max_ratio", |row| Some(row.kv?.1))
        .int("up_ns", |row| Some(row.up))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints, texts};

    #[test]
    fn a_device_is_what_its_steps_and_stages_say() {
        let fixture = Fixture::new()
            .request(0, Some(30), Some(60), 5)
            .event("queued", Some(0), (0, 10))
            .event("prefill", Some(0), (10, 30))
            .event("decode", Some(1), (30, 60))
            .device(0, "simulated", None)
            .device(1, "simulated", None)
            .device(2, "simulated", None)
            .step(0, (10, 30), 100, 0)
            .step(1, (30, 45), 0, 1)
            .step(1, (45, 60), 0, 1)
            .sample("kv_usage_ratio", 1, (0, 60), 0.25)
            .sample("up", 1, (0, 30), 0.0);
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(frame.height(), 3 * 61);
        let (int, float) = (
            |name: &str, row: usize| ints(&frame, name).unwrap()[row],
            |name: &str, row: usize| floats(&frame, name).unwrap()[row],
        );
        let roles = [0, 61, 122].map(|row| texts(&frame, "role").unwrap()[row].clone());
        assert_eq!(roles, [Some("prefill".to_owned()), Some("decode".to_owned()), None]);
        assert_eq!((int("busy_ns", 0), int("prefill_tokens", 0), int("prefills", 0)), (Some(20), Some(100), Some(1)));
        assert_eq!(
            (int("busy_ns", 61), int("decode_tokens", 61), int("up_ns", 61), float("busy_ratio", 61)),
            (Some(30), Some(2), Some(30), Some(1.0))
        );
        assert_eq!(
            (int("busy_ns", 122), float("kv_usage_ratio", 61), float("waiting_mean", 122)),
            (Some(0), Some(0.25), Some(0.0))
        );
        // Bins of 1 ns: the tenth of device 0 still waits, the next computes.
        assert_eq!(
            (float("waiting_mean", 1 + 9), float("running_mean", 1 + 10), int("busy_ns", 1 + 9)),
            (Some(1.0), Some(1.0), Some(0))
        );
    }

    #[test]
    fn a_step_that_reaches_beyond_the_time_up_is_no_share_above_one() {
        let fixture = Fixture::new()
            .request(0, Some(30), Some(60), 5)
            .device(0, "simulated", None)
            .step(0, (0, 50), 1, 0)
            .sample("up", 0, (20, 60), 0.0);
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        let busy = floats(&frame, "busy_ratio").unwrap();
        assert_eq!((busy[0], ints(&frame, "busy_ns").unwrap()[0], busy[1 + 30]), (Some(1.0), Some(50), None));
    }

    #[test]
    fn without_steps_and_stages_the_samples_speak() {
        let fixture = Fixture::new().request(0, Some(30), Some(60), 5).device(0, "cuda", None).sample(
            "waiting_requests",
            0,
            (0, 60),
            2.0,
        );
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(
            (floats(&frame, "waiting_mean").unwrap()[0], ints(&frame, "busy_ns").unwrap()[0]),
            (Some(2.0), None)
        );
    }
}
