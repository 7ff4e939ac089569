//! The steps of a device: ranges that a framework or engine draws around each iteration.
//!
//! Three styles are known, and a thread's steps are those of the first one that it has: annotations that state their batch
//! (vLLM `execute_..`, SGLang `step[..]`, TensorRT-LLM `_forward_step ..`), PyTorch's `ProfilerStep#N`, and ranges named
//! as an iteration (`step 12`, `train_iteration_3`). Of steps that nest or cross, the one that began first counts. Where
//! several threads of a rank draw steps, a device has those of the thread that launched most of its work.

pub(crate) mod batch;
pub(crate) mod series;
pub(crate) mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::classes::Class;
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::phases::{COMPANIONS, words};
use crate::steps::batch::Batch;

/// How a range tells that it is a step, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Style {
    /// It states its batch.
    Annotation,
    /// `ProfilerStep#N`.
    Profiler,
    /// It is named as an iteration.
    Iteration,
}

/// One step of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Number of the name in the model.
    pub(crate) name: u32,
    /// From the begin to the end of the range.
    pub(crate) span: Span,
    /// Numbers of the names of the annotations in it, its own first: engines nest one format in another.
    pub(crate) annotations: Vec<u32>,
}

/// Words that name an iteration.
const STEPS: &[&str] = &["step", "iteration", "iter"];
/// Words that may stand beside them and the [`COMPANIONS`].
const BESIDE: &[&str] = &["decode", "engine", "eval", "prefill", "train", "training"];

/// What the name of every step contains, except of those that state their batch.
const BEGINNINGS: [&str; 2] = ["step", "iter"];

/// Whether a name contains a part (of lower case), whatever the case of the name.
fn contains_ignoring_case(name: &str, part: &str) -> bool {
    name.as_bytes().windows(part.len()).any(|found| found.eq_ignore_ascii_case(part.as_bytes()))
}

/// How the name of a range tells that it is a step, if it does.
pub(crate) fn style(name: &str) -> Option<Style> {
    // Most ranges are no steps, and a trace may have millions of different names: their words are not worth looking at.
    if !BEGINNINGS.iter().any(|part| contains_ignoring_case(name, part)) && Batch::parse(name).is_none() {
        return None;
    }
    if Batch::parse(name).is_some() {
        return Some(Style::Annotation);
    }
    if name.starts_with("ProfilerStep#") {
        return Some(Style::Profiler);
    }
    let (words, mut named) = (words(name), false);
    let plain = words.iter().map(String::as_str).all(|word| {
        named |= STEPS.contains(&word);
        STEPS.contains(&word)
            || COMPANIONS.contains(&word)
            || BESIDE.contains(&word)
            || word.bytes().all(|byte| byte.is_ascii_digit())
    });
    (plain && named).then_some(Style::Iteration)
}

/// The steps of one host thread.
#[derive(Debug)]
struct Drawn {
    /// As a place in the model's threads.
    thread: u32,
    style: Style,
    steps: Vec<Step>,
}

/// The steps of every device.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Sorted by thread.
    lanes: Vec<Drawn>,
    of: BTreeMap<DeviceKey, usize>,
}

impl Steps {
    /// The steps of a device in the order of time, disjoint; empty where it has none.
    pub(crate) fn of_device(&self, device: DeviceKey) -> &[Step] {
        self.of.get(&device).map_or(&[], |lane| &self.lanes[*lane].steps)
    }

    /// How the steps of a device are told.
    pub(crate) fn style(&self, device: DeviceKey) -> Option<Style> {
        self.of.get(&device).map(|lane| self.lanes[*lane].style)
    }
}

/// The steps of all devices, found once for a model.
pub(crate) fn of_model(model: &Model) -> Rc<Steps> {
    Rc::clone(model.steps.get_or_init(|| Rc::new(find(model))))
}

fn find(model: &Model) -> Steps {
    let mut found: BTreeMap<u32, Vec<(Style, Span, u32)>> = BTreeMap::new();
    let mut known: HashMap<u32, Option<Style>> = HashMap::new();
    // The recorder's own ranges are windows; see `crate::windows`.
    let own = model.names.find("proftool");
    for range in model.ranges.iter().filter(|range| range.place.is_none() && range.span.0 < range.span.1) {
        let style = *known.entry(range.name).or_insert_with(|| style(model.names.text(range.name)));
        if let Some(style) = style.filter(|_| range.domain.is_none() || range.domain != own) {
            found.entry(range.thread).or_default().push((style, range.span, range.name));
        }
    }
    let drawn = |(thread, ranges): (u32, Vec<(Style, Span, u32)>)| {
        let style = ranges.iter().map(|range| range.0).min()?;
        Some(Drawn { thread, style, steps: outermost(ranges, style) })
    };
    let lanes: Vec<Drawn> = found.into_iter().filter_map(drawn).collect();
    let of = |device: DeviceKey| Some((device, lane_of(model, device, &lanes)?));
    Steps { of: model.device_keys().into_iter().filter_map(of).collect(), lanes }
}

/// The lane whose steps a device has: the thread that launched most of its work; where none of the launching threads
/// draws steps (a backward pass has a thread of its own), one of the process that launched most; else any of the rank. Of
/// equal ones the most telling style, then the most steps.
fn lane_of(model: &Model, device: DeviceKey, lanes: &[Drawn]) -> Option<usize> {
    let thread = |drawn: &Drawn| model.threads[drawn.thread as usize];
    let from = lanes.partition_point(|drawn| thread(drawn).rank < device.0);
    let count = lanes[from..].partition_point(|drawn| thread(drawn).rank == device.0);
    let own = &lanes[from..from + count];
    if count < 2 {
        return (count == 1).then_some(from);
    }
    let (mut threads, mut processes) = (HashMap::<u32, usize>::new(), HashMap::<Option<i64>, usize>::new());
    for row in model.of_device(device).iter().filter(|row| row.class != Class::Sync) {
        let call = row.call.and_then(|call| model.calls.get(call as usize));
        let process = call.map_or(row.process, |call| model.thread_of(call).process);
        *processes.entry(process).or_default() += 1;
        if let Some(call) = call {
            *threads.entry(call.thread).or_default() += 1;
        }
    }
    let launched = |drawn: &Drawn| {
        let of = |counts: Option<&usize>| counts.copied().unwrap_or(0);
        let telling = std::cmp::Reverse(drawn.style);
        (of(threads.get(&drawn.thread)), of(processes.get(&thread(drawn).process)), telling, drawn.steps.len())
    };
    // The last of equal ones is taken: the first lane.
    let (at, _) = own.iter().enumerate().rev().max_by_key(|(_, drawn)| launched(drawn))?;
    Some(from + at)
}

fn outermost(mut ranges: Vec<(Style, Span, u32)>, best: Style) -> Vec<Step> {
    ranges.retain(|range| range.0 == best);
    ranges.sort_by_key(|(_, (start, end), name)| (*start, std::cmp::Reverse(*end), *name));
    let mut steps: Vec<Step> = Vec::new();
    for (style, span, name) in ranges {
        let annotations = if style == Style::Annotation { vec![name] } else { Vec::new() };
        match steps.last_mut() {
            Some(step) if span.0 < step.span.1 => step.annotations.extend(annotations),
            _ => steps.push(Step { name, span, annotations }),
        }
    }
    steps
}

/// The time of each step on one device: it begins with its range, or when the device is done with the step before; it
/// ends with its range, or with the last compute that was launched in it, whichever is later. A host that runs ahead
/// of its device ends a range before the work has begun, so the range alone would show another step's work. The windows
/// are sorted and disjoint; one may be empty.
pub(crate) fn windows(model: &Model, device: DeviceKey, steps: &[Step]) -> Vec<Span> {
    let mut ends: Vec<i64> = steps.iter().map(|step| step.span.1).collect();
    for row in model.of_device(device).iter().filter(|row| row.class == Class::Compute) {
        let Some(call) = row.call.and_then(|call| model.calls.get(call as usize)) else { continue };
        if let Some(step) = containing(steps, call.span.0) {
            ends[step] = ends[step].max(row.span.1);
        }
    }
    let mut before = i64::MIN;
    let window = |(step, end): (&Step, i64)| {
        let begin = step.span.0.max(before);
        before = end.max(begin);
        (begin, before)
    };
    steps.iter().zip(ends).map(window).collect()
}

/// The step that contains an instant.
pub(crate) fn containing(steps: &[Step], instant: i64) -> Option<usize> {
    let next = steps.partition_point(|step| step.span.1 <= instant);
    steps.get(next).filter(|step| step.span.0 <= instant).map(|_| next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use proftool_trace::frame::int_column;
    use proftool_trace::tables;

    #[test]
    fn names_tell_steps_and_how() {
        let told = [
            ("execute_context_2(6144)_generation_3(3)", Some(Style::Annotation)),
            ("step[EXTEND bs=15 toks=15360]", Some(Style::Annotation)),
            ("ProfilerStep#6", Some(Style::Profiler)),
            ("step 12", Some(Style::Iteration)),
            ("train_iteration_3", Some(Style::Iteration)),
            ("decode_step", Some(Style::Iteration)),
            ("Optimizer.step#SGD.step", None),
            ("decode", None),
            ("12", None),
            ("", None),
        ];
        for (name, expected) in told {
            assert_eq!(style(name), expected, "{name}");
        }
    }

    #[test]
    fn the_outermost_of_the_most_telling_style_counts_and_keeps_what_it_holds() {
        let model = Fixture::new()
            .kernel(0, 0, (0, 1))
            .range("ProfilerStep#1", (0, 100))
            .range("step[DECODE bs=2]", (10, 30))
            .range("execute_context_0(0)_generation_2(2)", (12, 28))
            .range("step[DECODE bs=3]", (30, 50))
            .range("iteration 7", (0, 9))
            .model();
        let all = of_model(&model);
        let steps = all.of_device((0, 0));
        let texts: Vec<Vec<&str>> =
            steps.iter().map(|step| step.annotations.iter().map(|name| model.names.text(*name)).collect()).collect();
        let first = vec!["step[DECODE bs=2]", "execute_context_0(0)_generation_2(2)"];
        assert_eq!(texts, [first, vec!["step[DECODE bs=3]"]]);
        assert_eq!(steps.iter().map(|step| step.span).collect::<Vec<_>>(), [(10, 30), (30, 50)]);
        let within = [9, 10, 29, 30, 49, 50].map(|instant| containing(steps, instant));
        assert_eq!(within, [None, Some(0), Some(0), Some(1), Some(1), None]);
    }

    #[test]
    fn a_step_ends_with_its_own_work_and_the_next_begins_then() {
        // The host runs ahead: step 0 launches at 5 what runs in 20..70, step 1 launches at 15 what runs in 70..90, step 2
        // has a range longer than its work. A copy that drags on does not lengthen a step.
        let model = Fixture::new()
            .range("step 0", (0, 10))
            .range("step 1", (10, 20))
            .range("step 2", (95, 130))
            .kernel(0, 0, (20, 70))
            .launched((5, 6))
            .kernel(0, 0, (70, 90))
            .launched((15, 16))
            .kernel(0, 0, (100, 110))
            .launched((96, 97))
            .copy(0, 1, (20, 200), 1, 8)
            .launched((7, 8))
            .kernel(1, 0, (200, 210))
            .model();
        let all = of_model(&model);
        let steps = all.of_device((0, 0));
        assert_eq!(windows(&model, (0, 0), steps), [(0, 70), (70, 90), (95, 130)]);
        assert_eq!(windows(&model, (0, 1), steps), [(0, 10), (10, 20), (95, 130)]);
    }

    #[test]
    fn a_step_that_the_one_before_swallows_is_empty() {
        let model = Fixture::new()
            .range("step 0", (0, 10))
            .range("step 1", (10, 20))
            .kernel(0, 0, (5, 40))
            .launched((5, 6))
            .model();
        assert_eq!(windows(&model, (0, 0), of_model(&model).of_device((0, 0))), [(0, 40), (40, 40)]);
    }

    /// Lets calls and ranges be of those threads.
    fn with_threads(fixture: &Fixture, calls: &[i64], ranges: &[i64]) -> Model {
        let mut tables = fixture.tables();
        for (table, threads) in [(&tables::CALLS, calls), (&tables::RANGES, ranges)] {
            let mut frame = tables.get(table).clone();
            frame.with_column(int_column("thread", threads.iter().map(|thread| Some(*thread)))).unwrap();
            tables.set(table, frame).unwrap();
        }
        Model::read(&tables).unwrap()
    }

    #[test]
    fn each_device_has_the_steps_of_the_thread_that_launched_most_of_its_work() {
        // Thread 1 drives device 0 and thread 2 device 1, in steps that overlap; a third thread has steps and one
        // launch on device 1. Nobody launched anything on device 2: it has the first lane of the most steps.
        let fixture = Fixture::new()
            .range("ProfilerStep#5", (1000, 1040))
            .range("ProfilerStep#6", (1100, 1140))
            .range("ProfilerStep#5", (1030, 1120))
            .range("ProfilerStep#6", (1130, 1220))
            .range("step 7", (0, 900))
            .kernel(0, 0, (1050, 1100))
            .launched((1005, 1006))
            .kernel(1, 0, (1060, 1160))
            .launched((1045, 1046))
            .kernel(1, 0, (1160, 1240))
            .launched((1145, 1146))
            .copy(1, 1, (800, 810), 1, 8)
            .launched((790, 791))
            .kernel(2, 0, (0, 1));
        let model = with_threads(&fixture, &[1, 2, 2, 3], &[1, 1, 2, 2, 3]);
        let steps = of_model(&model);
        let spans = |device| steps.of_device(device).iter().map(|step| step.span).collect::<Vec<_>>();
        assert_eq!(spans((0, 0)), [(1000, 1040), (1100, 1140)]);
        assert_eq!(spans((0, 1)), [(1030, 1120), (1130, 1220)]);
        assert_eq!(spans((0, 2)), spans((0, 0)));
        assert!(spans((7, 0)).is_empty());
        // The kernel of the first step of thread 2 ends at 1160, after the next one began.
        assert_eq!(windows(&model, (0, 1), steps.of_device((0, 1))), [(1030, 1160), (1160, 1240)]);
    }

    #[test]
    fn a_thread_that_launches_without_steps_leaves_those_of_its_process() {
        let fixture = Fixture::new()
            .range("ProfilerStep#5", (0, 100))
            .kernel(0, 0, (10, 20))
            .launched((5, 6))
            .kernel(0, 0, (30, 60))
            .launched((25, 26));
        let model = with_threads(&fixture, &[9, 9], &[1]);
        assert_eq!(windows(&model, (0, 0), of_model(&model).of_device((0, 0))), [(0, 100)]);
        let fixture = fixture.range("step 1", (0, 5));
        let model = with_threads(&fixture, &[9, 9], &[1, 2]);
        assert_eq!(of_model(&model).of_device((0, 0))[0].span, (0, 100), "the more telling style");
    }
}
