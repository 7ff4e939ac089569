//! The devices of a serving run with what the tables say of each.

use std::collections::BTreeMap;

use proftool_timeline::measure::Measure;
use proftool_trace::tables;

use crate::Error;
use crate::metrics::Input;
use crate::metrics::ratio;
use crate::metrics::serving_time::is_kv_usage;
use crate::model::{DeviceKey, Rows};
use crate::operators::{Span, depth, gaps, into_union, total, within};
use crate::requests::{Kind, Log};
use crate::samples::series::{self, Series};

/// One device.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<String>,
    /// Inside the window.
    pub(crate) up: Measure,
    pub(crate) busy: Option<Measure>,
    pub(crate) busy_source: &'static str,
    /// Starts of its prefills and decodes, sorted.
    pub(crate) starts: Option<[Vec<i64>; 2]>,
    pub(super) waiting: Option<Vec<(Span, usize)>>,
    pub(super) running: Option<Vec<(Span, usize)>>,
    pub(super) waiting_samples: Option<Series>,
    pub(super) running_samples: Option<Series>,
    kv_samples: Option<Series>,
    /// End of each step, and the prompt and decode tokens up to and with it.
    steps: Vec<(i64, [i64; 2])>,
}

impl Device {
    /// Mean and most of the KV memory in use.
    pub(super) fn kv(&self, span: Span) -> Option<(f64, f64)> {
        let tally = self.kv_samples.as_ref()?.over(&[span], None);
        tally.mean().zip(tally.max)
    }

    /// Share of the time that it was up, inside a span, in which it was busy; a step that a failure cut short reaches beyond.
    pub(crate) fn busy_ratio(&self, span: Span) -> Option<f64> {
        let up = within(self.up.set(), span);
        ratio(self.busy.as_ref()?.inside_set(&up), total(&up))
    }

    /// Prompt and decode tokens of the steps that end in a span, its end included where it is that of the run.
    pub(crate) fn tokens(&self, span: Span, whole: bool) -> Option<[i64; 2]> {
        self.steps.last()?;
        let until = |instant: i64| {
            let count = self.steps.partition_point(|(end, _)| *end <= instant);
            if count == 0 { [0, 0] } else { self.steps[count - 1].1 }
        };
        // A step that ends where a part begins belongs to the part before; one at the start of the run to the first.
        let (from, to) = (if whole { [0, 0] } else { until(span.0) }, until(span.1));
        Some([to[0].saturating_sub(from[0]), to[1].saturating_sub(from[1])])
    }
}

/// Mean of a series in a span.
pub(super) fn sampled(series: Option<&Series>, span: Span) -> Option<f64> {
    series?.over(&[span], None).mean()
}

/// The devices that the pass declares or that appear in its steps, stages or requests, by number.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn read(input: &Input, log: &Log, window: Span) -> Result<Vec<Device>, Error> {
    let mut devices: BTreeMap<DeviceKey, Device> = BTreeMap::new();
    let rows = Rows::of_pass(input.tables.get(&tables::DEVICES), &log.pass)?;
    let (ranks, numbers, names) = (rows.ints("rank")?, rows.ints("device")?, rows.texts("name")?);
    for (at, name) in names.into_iter().enumerate() {
        devices.entry((ranks[at], numbers[at])).or_default().name = name;
    }
    for request in &log.requests {
        if let Some(device) = request.prefill_device {
            devices.entry((request.rank, device)).or_default();
        }
    }
    let steps = steps(input, &log.pass)?;
    let stages = stages(log);
    for key in steps.keys().chain(stages.keys()) {
        devices.entry(*key).or_default();
    }
    for (key, device) in &mut devices {
        device.key = *key;
        let own = stages.get(key);
        let spans = |kinds: &[Kind]| {
            let of_kind = own.into_iter().flatten().filter(|(kind, _)| kinds.contains(kind)).map(|(_, span)| *span);
            of_kind.collect::<Vec<Span>>()
        };
        let work = [spans(&[Kind::Prefill]), spans(&[Kind::Decode])];
        if !stages.is_empty() {
            device.waiting = Some(depth(&spans(&[Kind::Queued])));
            device.running = Some(depth(&work.concat()));
        }
        device.set_busy(steps.get(key), !steps.is_empty(), &work, !stages.is_empty());
        if !stages.is_empty() {
            device.starts = Some(work.map(|spans| spans.into_iter().map(|span| span.0).collect()));
            device.starts.iter_mut().flatten().for_each(|starts| starts.sort_unstable());
        }
    }
    add_roles(input, log, &mut devices)?;
    add_samples(input, log, window, &mut devices)?;
    Ok(devices.into_values().collect())
}

impl Device {
    fn set_busy(&mut self, steps: Option<&Vec<StepRow>>, any_step: bool, work: &[Vec<Span>; 2], any_stage: bool) {
        let mut did = [!work[0].is_empty(), !work[1].is_empty()];
        if any_step {
            let own = steps.map_or(&[][..], Vec::as_slice);
            self.busy = Some(Measure::of(into_union(own.iter().map(|step| step.span).collect())));
            self.busy_source = "steps";
            let mut sums = [0_i64; 2];
            for step in own {
                sums = [0, 1].map(|at| sums[at].saturating_add(step.tokens[at]));
                self.steps.push((step.span.1, sums));
            }
            did = [0, 1].map(|at| did[at] || sums[at] > 0);
        } else if any_stage {
            self.busy = Some(Measure::of(into_union(work.concat())));
            self.busy_source = "stages";
        }
        let role = match did {
            [true, true] => "mixed",
            [true, false] => "prefill",
            [false, true] => "decode",
            [false, false] => return,
        };
        self.role = Some(role.to_owned());
    }
}

/// A batch step: its time, and the prompt and decode tokens that it computes.
struct StepRow {
    span: Span,
    tokens: [i64; 2],
}

/// The steps of each device, by end.
fn steps(input: &Input, pass: &str) -> Result<BTreeMap<DeviceKey, Vec<StepRow>>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::STEPS), pass)?;
    let (ranks, numbers) = (rows.ints("rank")?, rows.ints("device")?);
    let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
    let (prompts, batches) = (rows.optional_ints("prefill_tokens")?, rows.optional_ints("decode_batch")?);
    let mut steps: BTreeMap<DeviceKey, Vec<StepRow>> = BTreeMap::new();
    for at in 0..starts.len() {
        let tokens = [prompts[at], batches[at]].map(|count| count.unwrap_or(0).max(0));
        let step = StepRow { span: (starts[at], ends[at].max(starts[at])), tokens };
        steps.entry((ranks[at], numbers[at])).or_default().push(step);
    }
    for own in steps.values_mut() {
        own.sort_by_key(|step| (step.span.1, step.span.0, step.tokens));
    }
    Ok(steps)
}

/// The stages of all requests by the device that they name.
fn stages(log: &Log) -> BTreeMap<DeviceKey, Vec<(Kind, Span)>> {
    let mut stages: BTreeMap<DeviceKey, Vec<(Kind, Span)>> = BTreeMap::new();
    for event in &log.events {
        if let Some(device) = event.device {
            stages.entry((log.requests[event.request].rank, device)).or_default().push((event.kind, event.span));
        }
    }
    stages
}

/// The roles that the log states, as those of a device's queues.
fn add_roles(input: &Input, log: &Log, devices: &mut BTreeMap<DeviceKey, Device>) -> Result<(), Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::QUEUES), &log.pass)?;
    let (ranks, numbers, roles) = (rows.ints("rank")?, rows.ints("device")?, rows.texts("role")?);
    for (at, role) in roles.into_iter().enumerate() {
        let role = role.filter(|role| matches!(role.as_str(), "prefill" | "decode" | "mixed"));
        if let (Some(role), Some(device)) = (role, devices.get_mut(&(ranks[at], numbers[at]))) {
            device.role = Some(role);
        }
    }
    Ok(())
}

fn add_samples(input: &Input, log: &Log, window: Span, devices: &mut BTreeMap<DeviceKey, Device>) -> Result<(), Error> {
    let mut down: BTreeMap<DeviceKey, Vec<Span>> = BTreeMap::new();
    let wanted = |metric: &str, _: Option<&str>| {
        matches!(metric, "waiting_requests" | "running_requests" | "up") || is_kv_usage(metric)
    };
    for series in series::read(input.tables, &log.pass, wanted)? {
        let Some(device) = devices.get_mut(&series.device) else { continue };
        match series.metric.as_str() {
            "waiting_requests" => device.waiting_samples = Some(series),
            "running_requests" => device.running_samples = Some(series),
            "up" => down.entry(series.device).or_default().extend(idle(&series)),
            _ => device.kv_samples = Some(series),
        }
    }
    for (key, device) in devices {
        let down = into_union(down.remove(key).unwrap_or_default());
        device.up = Measure::of(gaps(&down, window));
    }
    Ok(())
}

/// When a series is 0.
fn idle(series: &Series) -> impl Iterator<Item = Span> {
    series.pieces().filter(|(_, value)| *value <= 0.0).map(|(span, _)| span)
}
