//! What the steps of a phase held: tokens, requests that decode, and their context.
//!
//! Three sources, per phase the first that has it: the table `steps` (an engine's log), ranges whose name states the batch
//! ([`crate::steps::batch`]), and the rows that a built-in target states for each micro-batch. A sum of which a part is not
//! stated is null.

use std::collections::BTreeMap;
use std::rc::Rc;

use proftool_trace::tables;

use crate::Error;
use crate::classes::Class;
use crate::metrics::Input;
use crate::metrics::phases::begun;
use crate::model::{DeviceKey, Model, Rows};
use crate::operators::{Span, contains};
use crate::phases::Phase;
use crate::roofline::Engine;
use crate::statistics::median;
use crate::steps::batch::Batch;
use crate::steps::{self, Step, Steps};

/// What the steps of one phase held on one device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// How many steps (of a target: micro-batches).
    pub(crate) steps: i64,
    /// Tokens that they computed.
    pub(crate) tokens: Option<i64>,
    /// Median number of requests that decode.
    pub(crate) batch: Option<f64>,
    /// Tokens that a decoding request reads, on average.
    pub(crate) context: Option<f64>,
    /// `steps`, `annotation` or `work`.
    pub(crate) source: &'static str,
}

/// The steps of all devices.
#[derive(Default)]
pub(crate) struct Log {
    /// Device, start and batch of each row of `steps`.
    rows: Vec<(DeviceKey, i64, Batch)>,
    steps: Rc<Steps>,
}

impl Log {
    /// Reads the steps that the tables and the names of ranges state.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(crate) fn read(input: &Input) -> Result<Self, Error> {
        let model = input.model()?;
        let rows = Rows::of_pass(input.tables.get(&tables::STEPS), &model.pass)?;
        let (ranks, devices, starts) = (rows.ints("rank")?, rows.ints("device")?, rows.ints("start_ns")?);
        let (prompts, decoding) = (rows.optional_ints("prefill_tokens")?, rows.optional_ints("decode_batch")?);
        let mut log = Self { rows: Vec::new(), steps: steps::of_model(model) };
        for (at, kv_tokens) in rows.optional_ints("kv_tokens")?.into_iter().enumerate() {
            if let Some(batch) = logged(prompts[at], decoding[at], kv_tokens) {
                log.rows.push(((ranks[at], devices[at]), starts[at], batch));
            }
        }
        Ok(log)
    }

    /// The same for one device.
    pub(crate) fn of_device(&self, model: &Model, device: DeviceKey) -> DeviceLog {
        let rows = self.rows.iter().filter(|row| row.0 == device).map(|row| (row.1, row.2)).collect();
        let steps = self.steps.of_device(device);
        // A step is where its first work begins.
        let mut begins: Vec<Option<i64>> = vec![None; steps.len()];
        for row in model.of_device(device).iter().filter(|row| row.class != Class::Sync && !steps.is_empty()) {
            let call = row.call.and_then(|call| model.calls.get(call as usize));
            if let Some(step) = call.and_then(|call| steps::containing(steps, call.span.0)) {
                begins[step].get_or_insert(row.span.0);
            }
        }
        let annotated = |(step, begin): (&Step, Option<i64>)| {
            let batches = step.annotations.iter().filter_map(|name| Batch::parse(model.names.text(*name)));
            Some((begin?, batches.reduce(Batch::or)?))
        };
        DeviceLog { device, rows, annotated: steps.iter().zip(begins).filter_map(annotated).collect() }
    }
}

/// A row of `steps`; `None` where it held nothing.
pub(super) fn logged(prompts: Option<i64>, decoding: Option<i64>, kv_tokens: Option<i64>) -> Option<Batch> {
    let count = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let (prompts, decoding) = (count(prompts), count(decoding).filter(|count| *count > 0));
    let phase = match (prompts.is_some_and(|tokens| tokens > 0), decoding.is_some()) {
        (true, true) => Phase::Mixed,
        (true, false) => Phase::Prefill,
        (false, true) => Phase::Decode,
        (false, false) => return None,
    };
    let tokens = Some(prompts.unwrap_or(0).saturating_add(decoding.unwrap_or(0)));
    Some(Batch { phase, tokens, decoding, kv_tokens: count(kv_tokens) })
}

/// The steps of one device, each with the instant that it is counted at.
pub(crate) struct DeviceLog {
    device: DeviceKey,
    rows: Vec<(i64, Batch)>,
    annotated: Vec<(i64, Batch)>,
}

impl DeviceLog {
    /// What each phase held inside the windows.
    pub(crate) fn of(&self, model: &Model, engine: &Engine, windows: &[Span]) -> BTreeMap<String, Held> {
        let mut held = self.of_work(model, engine, windows);
        held.extend(of_batches(&self.annotated, windows, "annotation"));
        held.extend(of_batches(&self.rows, windows, "steps"));
        held
    }

    /// Each micro-batch of a phase handles its rows once, however many operations it takes.
    fn of_work(&self, model: &Model, engine: &Engine, windows: &[Span]) -> BTreeMap<String, Held> {
        let mut rows: BTreeMap<(&str, Option<i64>, Option<i64>), i64> = BTreeMap::new();
        for (index, row) in begun(model, self.device, windows).filter(|(_, row)| row.class == Class::Compute) {
            let phase = engine.of_activity(index).and_then(|placed| placed.phase);
            let Some((work, phase)) = row.work().zip(phase) else { continue };
            if let Some(count) = work.rows.filter(|count| *count > 0) {
                let most = rows.entry((engine.names.text(phase), work.step, work.micro_batch)).or_insert(count);
                *most = count.max(*most);
            }
        }
        let mut phases: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for ((phase, ..), count) in rows {
            phases.entry(phase).or_default().push(count);
        }
        phases.into_iter().map(|(phase, counts)| (phase.to_owned(), of_rows(phase, &counts))).collect()
    }
}

fn of_rows(phase: &str, counts: &[i64]) -> Held {
    let batches: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
    Held {
        steps: counts.len() as i64,
        tokens: Some(counts.iter().fold(0, |sum: i64, count| sum.saturating_add(*count))),
        batch: median(&batches).filter(|_| phase == Phase::Decode.name()),
        context: None,
        source: "work",
    }
}

fn of_batches(steps: &[(i64, Batch)], windows: &[Span], source: &'static str) -> BTreeMap<String, Held> {
    let mut phases: BTreeMap<Phase, Vec<Batch>> = BTreeMap::new();
    for (_, batch) in steps.iter().filter(|(begin, _)| contains(windows, *begin)) {
        phases.entry(batch.phase).or_default().push(*batch);
    }
    let held = |(phase, batches): (Phase, Vec<Batch>)| (phase.name().to_owned(), of_phase(&batches, source));
    phases.into_iter().map(held).collect()
}

fn of_phase(batches: &[Batch], source: &'static str) -> Held {
    let tokens = batches.iter().try_fold(0_u64, |sum, batch| Some(sum.saturating_add(batch.tokens?)));
    let decoding: Option<Vec<f64>> = batches.iter().map(|batch| Some(batch.decoding? as f64)).collect();
    let read = batches.iter().try_fold(0.0, |sum, batch| Some(sum + batch.kv_tokens? as f64));
    let requests = decoding.as_ref().map(|decoding| decoding.iter().sum::<f64>());
    Held {
        steps: batches.len() as i64,
        tokens: tokens.map(|tokens| i64::try_from(tokens).unwrap_or(i64::MAX)),
        batch: decoding.and_then(|decoding| median(&decoding)),
        context: read.zip(requests).map(|(read, requests)| read / requests).filter(|context| context.is_finite()),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{Tables, build, int_column, text_column};

    /// Start, prompt tokens, decode batch, KV tokens.
    type Logged = (i64, Option<i64>, Option<i64>, Option<i64>);

    fn with_steps(fixture: &Fixture, rows: &[Logged]) -> Tables {
        let mut tables = fixture.tables();
        let columns = vec![
            text_column("pass", rows.iter().map(|_| Some("host"))),
            int_column("rank", rows.iter().map(|_| Some(0))),
            int_column("device", rows.iter().map(|_| Some(0))),
            int_column("start_ns", rows.iter().map(|row| Some(row.0))),
            int_column("end_ns", rows.iter().map(|row| Some(row.0 + 1))),
            int_column("prefill_tokens", rows.iter().map(|row| row.1)),
            int_column("decode_batch", rows.iter().map(|row| row.2)),
            int_column("kv_tokens", rows.iter().map(|row| row.3)),
        ];
        tables.set(&tables::STEPS, build(&tables::STEPS, columns).unwrap()).unwrap();
        tables
    }

    fn held(tables: &Tables, windows: &[Span]) -> BTreeMap<String, Held> {
        let input = Input::new("run", "target", tables, Window::Default);
        let (model, engine) = (input.model().unwrap(), input.engine().unwrap());
        Log::read(&input).unwrap().of_device(model, (0, 0)).of(model, engine, windows)
    }

    #[test]
    fn a_log_of_steps_tells_each_phase() {
        let rows = [
            (0, Some(100), Some(0), None),
            (10, None, Some(4), Some(400)),
            (20, Some(0), Some(8), Some(1040)),
            (30, Some(50), Some(8), None),
            (40, None, None, Some(1)),
            (99, None, Some(1000), Some(1)),
        ];
        let tables = with_steps(&Fixture::new().kernel(0, 0, (0, 50)), &rows);
        let found = held(&tables, &[(0, 90)]);
        let expected =
            |steps, tokens, batch, context| Held { steps, tokens: Some(tokens), batch, context, source: "steps" };
        assert_eq!(found["prefill"], expected(1, 100, None, None));
        // (400 + 1040) / (4 + 8) tokens of context.
        assert_eq!(found["decode"], expected(2, 12, Some(6.0), Some(120.0)));
        assert_eq!(found["mixed"], expected(1, 58, Some(8.0), None));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn annotated_steps_count_where_their_first_work_begins() {
        let fixture = Fixture::new()
            .range("step[DECODE bs=2]", (0, 10))
            .range("execute_2_context_0(sq0sk0sqsq0sqsk0)_generation_2(sq2sk90sqsq2sqsk90)", (1, 9))
            .range("step[DECODE bs=6]", (10, 20))
            .range("step[EXTEND bs=1]", (20, 30))
            .kernel(0, 0, (12, 15))
            .launched((5, 6))
            .kernel(0, 0, (50, 55))
            .launched((15, 16))
            .kernel(0, 0, (55, 60))
            .launched((25, 26));
        let found = held(&fixture.tables(), &[(0, 100)]);
        let decode = Held { steps: 2, tokens: Some(8), batch: Some(4.0), context: None, source: "annotation" };
        assert_eq!(found["decode"], decode);
        assert_eq!(found["prefill"].tokens, None, "the name does not state them");
        let first = held(&fixture.tables(), &[(0, 40)]);
        assert_eq!(
            first["decode"],
            Held { steps: 1, tokens: Some(2), batch: Some(2.0), context: Some(45.0), ..decode }
        );
    }

    #[test]
    fn a_micro_batch_of_a_target_counts_its_rows_once() {
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 1))
            .work(0, "prefill", 0, 0, 16)
            .kernel(0, 0, (1, 2))
            .work(0, "prefill", 1, 0, 16)
            .kernel(0, 0, (2, 3))
            .work(0, "decode", 0, 0, 4)
            .kernel(0, 0, (3, 4))
            .work(0, "decode", 0, 1, 4)
            .kernel(0, 0, (4, 5))
            .work(1, "decode", 0, 0, 1);
        let found = held(&fixture.tables(), &[(0, 100)]);
        let expected =
            |steps, tokens, batch| Held { steps, tokens: Some(tokens), batch, context: None, source: "work" };
        assert_eq!(found["prefill"], expected(1, 16, None));
        assert_eq!(found["decode"], expected(3, 9, Some(4.0)));
    }
}
