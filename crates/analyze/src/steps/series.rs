//! The steps of a device as series of time, from the first of three sources that tells any: what a built-in target states
//! about its activities (`work.step`), ranges of a host thread (see [`crate::steps`]), the table `steps` of an engine's log.
//!
//! A step takes time on its device: of `work` from the first start to the last end of its activities, which pipelined
//! iterations overlap; of ranges as [`crate::steps::windows`] has it; of a log from its start to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use proftool_trace::tables;

use crate::Error;
use crate::classes::Class;
use crate::metrics::Input;
use crate::model::{Activity, DeviceKey, Model, Rows};
use crate::operators::Span;
use crate::phases;
use crate::steps::batch::Batch;
use crate::steps::{Step, Steps, Style, of_model, tokens, windows};
use crate::windows::{Scope, blocks};

/// Where steps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The target states them.
    Work,
    /// Ranges of that style.
    Ranges(Style),
    /// The table `steps`.
    Log,
}

impl Source {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Ranges(Style::Annotation) => "annotation",
            Self::Ranges(Style::Profiler) => "profiler",
            Self::Ranges(Style::Iteration) => "iteration",
            Self::Log => "steps",
        }
    }
}

/// A step of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    /// Name of its range, or the iteration that the target states; none in a log.
    pub(crate) name: Option<String>,
    pub(crate) source: Source,
    /// Steps of different blocks, and those outside of blocks, are different series.
    pub(crate) series: usize,
    /// When its range was open on the host.
    pub(crate) host: Option<Span>,
    /// Its time on the device.
    pub(crate) span: Span,
    /// The one phase that it is in, where that is known.
    pub(crate) phase: Option<String>,
    /// Tokens that it computed.
    pub(crate) tokens: Option<i64>,
    /// Requests that decode.
    pub(crate) decoding: Option<i64>,
    /// Tokens whose keys and values those read.
    pub(crate) kv_tokens: Option<i64>,
}

/// The steps of all devices.
#[derive(Default)]
pub(crate) struct Series {
    ranges: Rc<Steps>,
    /// Device, time and batch of each row of `steps`.
    log: Vec<(DeviceKey, Span, Option<Batch>)>,
}

impl Series {
    /// Reads what ranges and the log tell.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(crate) fn read(input: &Input) -> Result<Self, Error> {
        let model = input.model()?;
        let rows = Rows::of_pass(input.tables.get(&tables::STEPS), &model.pass)?;
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
        let (prompts, decoding) = (rows.optional_ints("prefill_tokens")?, rows.optional_ints("decode_batch")?);
        let row = |(at, kv_tokens): (usize, Option<i64>)| {
            let span = (starts[at], ends[at].max(starts[at]));
            ((ranks[at], devices[at]), span, tokens::logged(prompts[at], decoding[at], kv_tokens))
        };
        let log = rows.optional_ints("kv_tokens")?.into_iter().enumerate().map(row).collect();
        Ok(Self { ranges: of_model(model), log })
    }

    /// The steps of one device by their begin.
    pub(crate) fn of_device(&self, model: &Model, device: DeviceKey) -> Vec<Timed> {
        let mut steps = of_work(model, device);
        if steps.is_empty() {
            steps = self.of_ranges(model, device);
        }
        if steps.is_empty() {
            steps = self.of_log(device);
        }
        let blocks = blocks(model, Scope::Device(device));
        for step in &mut steps {
            step.series = place(&blocks, step.span.0);
        }
        steps.sort_by(|a, b| (a.span, &a.name, a.tokens).cmp(&(b.span, &b.name, b.tokens)));
        steps
    }

    fn of_ranges(&self, model: &Model, device: DeviceKey) -> Vec<Timed> {
        let steps = self.ranges.of_device(device);
        let Some(style) = self.ranges.style(device) else { return Vec::new() };
        let timed = |(step, span): (&Step, Span)| {
            let name = model.names.text(step.name);
            let batches = step.annotations.iter().filter_map(|name| Batch::parse(model.names.text(*name)));
            let batch = batches.reduce(Batch::or);
            let phase = batch.map(|batch| batch.phase).or_else(|| phases::of_range(name));
            let (name, phase) = (Some(name.to_owned()), phase.map(|phase| phase.name().to_owned()));
            let held = Timed { phase, host: Some(step.span), ..timed(Source::Ranges(style), span, batch) };
            Timed { name, ..held }
        };
        steps.iter().zip(windows(model, device, steps)).map(timed).collect()
    }

    fn of_log(&self, device: DeviceKey) -> Vec<Timed> {
        let rows = self.log.iter().filter(|row| row.0 == device);
        rows.map(|(_, span, batch)| timed(Source::Log, *span, *batch)).collect()
    }
}

fn timed(source: Source, span: Span, batch: Option<Batch>) -> Timed {
    let count = |value: fn(&Batch) -> Option<u64>| i64::try_from(batch.as_ref().and_then(value)?).ok();
    Timed {
        name: None,
        source,
        series: 0,
        host: None,
        span,
        phase: batch.map(|batch| batch.phase.name().to_owned()),
        tokens: count(|batch| batch.tokens),
        decoding: count(|batch| batch.decoding),
        kv_tokens: count(|batch| batch.kv_tokens),
    }
}

/// A number for the block that an instant lies in, or the stretch between two blocks.
fn place(blocks: &[Span], instant: i64) -> usize {
    let begun = blocks.partition_point(|block| block.0 <= instant);
    let inside = begun > 0 && instant < blocks[begun - 1].1;
    2 * begun - usize::from(inside)
}

/// The iterations that a target states. A target counts them anew in each block.
fn of_work(model: &Model, device: DeviceKey) -> Vec<Timed> {
    #[derive(Default)]
    struct Stated {
        span: Option<Span>,
        phases: BTreeSet<Option<u32>>,
        /// Rows of each micro-batch of a phase, which several operations handle.
        rows: BTreeMap<(Option<u32>, Option<i64>), i64>,
    }
    let blocks = blocks(model, Scope::Device(device));
    let mut stated: BTreeMap<(usize, i64), Stated> = BTreeMap::new();
    let with_step = |row: &'_ Activity| row.work().and_then(|work| Some((work.step?, work)));
    let rows = model.of_device(device).iter().filter(|row| row.class != Class::Sync);
    for (row, (step, work)) in rows.filter_map(|row| Some((row, with_step(row)?))) {
        let of = stated.entry((place(&blocks, row.span.0), step)).or_default();
        let (start, end) = of.span.unwrap_or(row.span);
        of.span = Some((start.min(row.span.0), end.max(row.span.1)));
        if row.class == Class::Compute {
            of.phases.insert(work.phase);
            if let Some(count) = work.rows.filter(|count| *count > 0) {
                let most = of.rows.entry((work.phase, work.micro_batch)).or_insert(count);
                *most = count.max(*most);
            }
        }
    }
    let step = |((_, step), of): ((usize, i64), Stated)| {
        let phase = of.phases.first().copied().flatten().filter(|_| of.phases.len() == 1);
        let tokens = of.rows.values().fold(0, |sum: i64, count| sum.saturating_add(*count));
        Some(Timed {
            name: Some(format!("iteration {step}")),
            phase: phase.map(|phase| model.names.text(phase).to_owned()),
            tokens: Some(tokens).filter(|tokens| *tokens > 0),
            ..timed(Source::Work, of.span?, None)
        })
    };
    stated.into_iter().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;

    fn steps(fixture: &Fixture) -> Vec<Timed> {
        let tables = fixture.tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        Series::read(&input).unwrap().of_device(input.model().unwrap(), (0, 0))
    }

    #[test]
    fn iterations_that_a_target_states_come_first_and_are_counted_anew_in_each_block() {
        let fixture = Fixture::new()
            .range("step 1", (0, 90))
            .block((20, 50))
            .block((60, 90))
            .kernel(0, 0, (5, 10))
            .work(0, "prefill", 0, 0, 4)
            .kernel(0, 0, (20, 30))
            .work(0, "prefill", 0, 0, 16)
            .kernel(0, 0, (35, 40))
            .work(0, "decode", 0, 0, 2)
            .kernel(0, 0, (32, 44))
            .work(1, "decode", 0, 0, 2)
            .kernel(0, 0, (44, 48))
            .work(1, "decode", 0, 0, 3)
            .kernel(0, 0, (60, 70))
            .work(0, "prefill", 0, 0, 16);
        let found = steps(&fixture);
        let times: Vec<_> = found.iter().map(|step| (step.series, step.span, step.tokens)).collect();
        // 0 is before the first block, 1 the first, 3 the second. Of (decode, micro-batch 0) the larger count.
        assert_eq!(
            times,
            [(0, (5, 10), Some(4)), (1, (20, 40), Some(18)), (1, (32, 48), Some(3)), (3, (60, 70), Some(16))]
        );
        let phases: Vec<_> = found.iter().map(|step| step.phase.as_deref()).collect();
        assert_eq!(phases, [Some("prefill"), None, Some("decode"), Some("prefill")]);
        assert!(found.iter().all(|step| step.source == Source::Work && step.host.is_none()));
    }

    #[test]
    fn ranges_tell_the_batch_and_the_phase() {
        let fixture = Fixture::new()
            .range("execute_2_context_0(sq0sk0sqsq0sqsk0)_generation_2(sq2sk90sqsq2sqsk90)", (0, 10))
            .range("step[EXTEND bs=1 toks=99]", (10, 20))
            .kernel(0, 0, (12, 15))
            .launched((5, 6));
        let found = steps(&fixture);
        let batch = |step: &Timed| (step.phase.clone(), step.tokens, step.decoding, step.kv_tokens);
        assert_eq!(batch(&found[0]), (Some("decode".to_owned()), Some(2), Some(2), Some(90)));
        assert_eq!(batch(&found[1]), (Some("prefill".to_owned()), Some(99), None, None));
        // The first step's kernel ends at 15: the second has the device from then.
        assert_eq!([found[0].span, found[1].span], [(0, 15), (15, 20)]);
        assert_eq!(found[1].host, Some((10, 20)));
        assert_eq!(found[0].source.name(), "annotation");
    }

    #[test]
    fn an_instant_between_blocks_is_in_neither() {
        let blocks = [(10, 20), (20, 30), (40, 50)];
        assert_eq!([9, 10, 19, 20, 29, 30, 40, 50].map(|t| place(&blocks, t)), [0, 1, 1, 3, 3, 4, 5, 6]);
    }
}
