//! Hand-written request logs for tests: most methods speak about the request added last.

use proftool_trace::frame::Tables;
use proftool_trace::rows::{CounterDef, Device, Request, RequestEvent, Sample, Step};
use proftool_trace::sink::{Filled, Sink};

use super::{Log, read};
use crate::metrics::Input;
use crate::operators::Span;
use crate::windows::Window;

#[derive(Default)]
pub(crate) struct Fixture {
    requests: Vec<Request<'static>>,
    events: Vec<(usize, RequestEvent<'static>)>,
    steps: Vec<Step>,
    devices: Vec<Device<'static>>,
    samples: Vec<(&'static str, Sample)>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A request of status `ok`.
    pub(crate) fn request(mut self, arrival: i64, first: Option<i64>, end: Option<i64>, output: i64) -> Self {
        self.requests.push(Request {
            arrival_ns: arrival,
            first_token_ns: first,
            end_ns: end,
            prompt_tokens: Some(100),
            output_tokens: Some(output),
            status: "ok",
            ..Request::default()
        });
        self
    }

    /// Changes the request added last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Request<'static>)) -> Self {
        change(self.requests.last_mut().unwrap());
        self
    }

    pub(crate) fn status(self, status: &'static str) -> Self {
        self.with(|request| request.status = status)
    }

    pub(crate) fn slo(self, ttft: i64, tpot: i64) -> Self {
        self.with(|request| (request.slo_ttft_ns, request.slo_tpot_ns) = (Some(ttft), Some(tpot)))
    }

    pub(crate) fn event(mut self, kind: &'static str, device: Option<i64>, span: Span) -> Self {
        let event = RequestEvent { kind, device, start_ns: span.0, end_ns: span.1, ..RequestEvent::default() };
        self.events.push((self.requests.len() - 1, event));
        self
    }

    /// Device, span, prompt tokens, decoding requests.
    pub(crate) fn step(mut self, device: i64, span: Span, prefill: i64, decode: i64) -> Self {
        let (prefill_tokens, decode_batch) = (Some(prefill), Some(decode));
        let step = Step { device, start_ns: span.0, end_ns: span.1, prefill_tokens, decode_batch, ..Step::default() };
        self.steps.push(step);
        self
    }

    pub(crate) fn device(mut self, device: i64, kind: &'static str, cost_per_hour: Option<f64>) -> Self {
        self.devices.push(Device { device, kind, name: "test", cost_per_hour, ..Device::default() });
        self
    }

    pub(crate) fn sample(mut self, metric: &'static str, device: i64, span: Span, value: f64) -> Self {
        let sample = Sample { device, start_ns: span.0, end_ns: span.1, value: Some(value), ..Sample::default() };
        self.samples.push((metric, sample));
        self
    }

    pub(crate) fn tables(&self) -> Tables {
        let mut sink = Sink::memory("requests", 0);
        let names: Vec<String> = (0..self.requests.len()).map(|number| format!("r{number}")).collect();
        for (request, name) in self.requests.iter().zip(&names) {
            sink.put(&Request { request: name, ..*request }).unwrap();
        }
        for (request, event) in &self.events {
            sink.put(&RequestEvent { request: &names[*request], ..*event }).unwrap();
        }
        self.steps.iter().for_each(|step| sink.put(step).unwrap());
        self.devices.iter().for_each(|device| sink.put(device).unwrap());
        let mut metrics: Vec<&str> = self.samples.iter().map(|(metric, _)| *metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        for (def, metric) in (0..).zip(&metrics) {
            let unit = metric.ends_with("_w").then_some("W");
            sink.put(&CounterDef { def, metric, unit, source: "counter", ..CounterDef::default() }).unwrap();
        }
        for (metric, sample) in &self.samples {
            let def = metrics.iter().position(|known| known == metric).unwrap() as i64;
            sink.put(&Sample { def, ..*sample }).unwrap();
        }
        let Filled::Tables(tables) = sink.finish().unwrap() else { unreachable!("the sink is in memory") };
        *tables
    }

    /// The log of the only pass.
    pub(crate) fn log(&self) -> Log {
        let tables = self.tables();
        read(&Input::new("run", "target", &tables, Window::Default)).unwrap().remove(0)
    }
}
