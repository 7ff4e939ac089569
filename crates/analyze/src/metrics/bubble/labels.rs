//! What ranges tell about a pipeline: the stage and the micro-batch that work was launched for.
//!
//! Three ways to name them are known: PyTorch's schedules (`PP:2F5`: stage 2, forward, micro-batch 5), names made of
//! stage words and numbers only (`stage 2`, `pp_rank=1`, `PP1 forward microbatch 3`), and Megatron's timers
//! (`forward-compute`, `backward-recv`), which tell that there is a pipeline but not where. A name with any other word
//! tells nothing: a ZeRO stage, the stages of a data loader and files called stage.py are no pipelines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::classes::Class;
use crate::model::{Activity, DeviceKey, Model, Range};
use crate::operators::Span;
use crate::phases::words;

/// What a name tells; both absent where it only tells of a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Label {
    /// The stage.
    pub(crate) stage: Option<i64>,
    /// The micro-batch.
    pub(crate) micro_batch: Option<i64>,
}

impl Label {
    /// What the name of a range tells, if anything.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Some(action) = name.strip_prefix("PP:") {
            return Self::action(action);
        }
        let words = words(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if is_timer(&words) {
            return Some(Self::default());
        }
        if !words.iter().all(|word| PLAIN.contains(word) || is_number(word)) {
            return None;
        }
        let stage = after(&words, STAGES)?;
        Some(Self { stage: Some(stage), micro_batch: after(&words, MICRO_BATCHES) })
    }

    /// An action of PyTorch's pipeline schedules: stage, kind, micro-batch; two overlapped ones stand in brackets.
    fn action(text: &str) -> Option<Self> {
        if text.starts_with('(') {
            return Some(Self::default());
        }
        let kind = text.find(|letter: char| !letter.is_ascii_digit())?;
        let (stage, rest) = text.split_at(kind);
        let (kind, micro_batch) =
            rest.split_at(rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len()));
        let known = !kind.is_empty() && kind.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_');
        Some(Self { stage: Some(stage.parse().ok()?), micro_batch: micro_batch.parse().ok() }).filter(|_| known)
    }
}

/// What stands before the number of a stage.
const STAGES: &[&[&str]] =
    &[&["stage"], &["pp"], &["pp", "rank"], &["pipeline"], &["pipeline", "rank"], &["pipeline", "parallel", "rank"]];
/// What stands before the number of a micro-batch.
const MICRO_BATCHES: &[&[&str]] = &[&["microbatch"], &["micro", "batch"], &["mb"]];
/// The words that may stand in the name of a stage's range.
const PLAIN: &[&str] = &[
    "backward",
    "batch",
    "bwd",
    "chunk",
    "compute",
    "decode",
    "forward",
    "fwd",
    "iteration",
    "mb",
    "micro",
    "microbatch",
    "parallel",
    "pass",
    "pipeline",
    "pp",
    "prefill",
    "rank",
    "recv",
    "send",
    "stage",
    "step",
];

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number behind one of these word sequences.
fn after(words: &[&str], sequences: &[&[&str]]) -> Option<i64> {
    let ends = |at: usize| sequences.iter().any(|sequence| words[..at].ends_with(sequence));
    (1..words.len()).find(|at| ends(*at) && is_number(words[*at])).and_then(|at| words[at].parse().ok())
}

/// Whether it is a timer of Megatron's schedules, such as `forward-compute` or `backward-send-forward-recv`.
fn is_timer(words: &[&str]) -> bool {
    let direction = |word: &&str| matches!(*word, "forward" | "backward");
    let work = |word: &&str| matches!(*word, "compute" | "recv" | "send");
    words.first().is_some_and(direction)
        && words.iter().any(work)
        && words.iter().all(|word| direction(word) || work(word))
}

/// Where ranges nest: a host thread, or a queue of a device (or the device, for a range without a queue).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Lane {
    Thread(u32),
    Queue(DeviceKey, Option<i64>),
}

/// A range with what it tells.
type Labelled = (Span, i64, Label);

/// The label of each compute activity that has one, by its index in the model: that of the range which began last before
/// its launching call (or, for ranges that a device draws, before itself) and has not ended. One sort and one sweep a
/// lane. Ranges that are still open or end on another thread tell nothing.
pub(super) fn of_model(model: &Model) -> HashMap<usize, Label> {
    let ranges = lanes(model);
    let mut asked: BTreeMap<Lane, Vec<(i64, usize)>> = BTreeMap::new();
    if ranges.is_empty() {
        return HashMap::new();
    }
    for (index, row) in model.activities.iter().enumerate().filter(|(_, row)| row.class == Class::Compute) {
        for (lane, instant) in places(model, row).into_iter().flatten().filter(|(lane, _)| ranges.contains_key(lane)) {
            asked.entry(lane).or_default().push((instant, index));
        }
    }
    let mut labels = HashMap::new();
    for (lane, mut instants) in asked {
        instants.sort_unstable();
        for ((_, index), label) in instants.iter().zip(innermost(&ranges[&lane], &instants)) {
            if let Some(label) = label {
                labels.entry(*index).or_insert(label);
            }
        }
    }
    labels
}

/// Where an activity may be told about, the most telling first, and when.
fn places(model: &Model, row: &Activity) -> [Option<(Lane, i64)>; 3] {
    let call = row.call.and_then(|call| model.calls.get(call as usize));
    [
        call.map(|call| (Lane::Thread(call.thread), call.span.0)),
        row.queue.map(|queue| (Lane::Queue(row.device, Some(queue)), row.span.0)),
        Some((Lane::Queue(row.device, None), row.span.0)),
    ]
}

/// The ranges that tell something, by lane, outer before inner.
fn lanes(model: &Model) -> BTreeMap<Lane, Vec<Labelled>> {
    let mut known: HashMap<u32, Option<Label>> = HashMap::new();
    let mut lanes: BTreeMap<Lane, Vec<Labelled>> = BTreeMap::new();
    let own = model.names.find("proftool");
    let usable =
        |range: &&Range| range.span.0 < range.span.1 && !range.ends_elsewhere && (own.is_none() || range.domain != own);
    for range in model.ranges.iter().filter(usable) {
        let label = *known.entry(range.name).or_insert_with(|| Label::parse(model.names.text(range.name)));
        let Some(label) = label else { continue };
        let lane = match model.place_of(range) {
            Some((device, queue)) => Lane::Queue((range.rank, device), queue),
            None => Lane::Thread(range.thread),
        };
        lanes.entry(lane).or_default().push((range.span, range.id, label));
    }
    for ranges in lanes.values_mut() {
        ranges.sort_unstable_by_key(|((start, end), id, label)| (*start, Reverse(*end), *id, *label));
    }
    lanes
}

/// For each instant (sorted) the label of the range with the latest start that contains it, `[start, end)`.
fn innermost(ranges: &[Labelled], instants: &[(i64, usize)]) -> Vec<Option<Label>> {
    let (mut open, mut next): (Vec<&Labelled>, usize) = (Vec::new(), 0);
    let mut found = Vec::with_capacity(instants.len());
    for (instant, _) in instants {
        while let Some(range) = ranges.get(next).filter(|range| range.0.0 <= *instant) {
            open.push(range);
            next += 1;
        }
        // What ended below a range that is still open waits there to be uncovered.
        while open.last().is_some_and(|range| range.0.1 <= *instant) {
            open.pop();
        }
        found.push(open.last().map(|range| range.2));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use proptest::prelude::*;

    #[test]
    fn names_tell_stages_and_micro_batches() {
        let stage = |stage| Some(Label { stage: Some(stage), micro_batch: None });
        let both = |stage, micro_batch| Some(Label { stage: Some(stage), micro_batch: Some(micro_batch) });
        let told = [
            ("PP:2F5", both(2, 5)),
            ("PP:13B0", both(13, 0)),
            ("PP:3SEND_F1", both(3, 1)),
            ("PP:1UNSHARD", stage(1)),
            ("PP:(2F0;3B1)OVERLAP_F_B", Some(Label::default())),
            ("PP:F0", None),
            ("PP:12", None),
            ("stage 2", stage(2)),
            ("pp_rank=1", stage(1)),
            ("PP1", stage(1)),
            ("pipeline_stage_3 forward micro_batch 7", both(3, 7)),
            ("mb4/stage0", both(0, 4)),
            ("forward-compute", Some(Label::default())),
            ("forward-backward-send-forward-backward-recv", Some(Label::default())),
            ("DeepSpeedZeroOptimizer_Stage3.step", None),
            ("stage train.h5", None),
            ("stage_attn_3", None),
            ("forward", None),
            ("compute", None),
            ("stage", None),
            ("stage 99999999999999999999999", None),
            ("", None),
        ];
        for (name, expected) in told {
            assert_eq!(Label::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn work_belongs_to_the_innermost_range_around_its_call() {
        // Launched at 5 (stage 0), 15 (stage 1 inside it), 25 (stage 0 again), 45 (outside); the last has no call.
        let kernels = [5, 15, 25, 45];
        let fixture = Fixture::new().range("stage 0", (0, 40)).range("stage 1", (10, 20)).range("layer", (11, 19));
        let fixture = kernels
            .iter()
            .fold(fixture, |fixture, at| fixture.kernel(0, 0, (at + 100, at + 105)).launched((*at, at + 1)));
        let model = fixture.kernel(0, 0, (300, 301)).model();
        let labels = of_model(&model);
        let stages: Vec<Option<i64>> = (0..5).map(|at| labels.get(&at).and_then(|label| label.stage)).collect();
        assert_eq!(stages, [Some(0), Some(1), Some(0), None, None]);
    }

    #[test]
    fn a_range_that_ends_on_another_thread_tells_nothing_and_one_on_a_queue_does() {
        let mut model = Fixture::new()
            .range("stage 0", (0, 40))
            .range("stage 1", (100, 140))
            .kernel(0, 3, (110, 120))
            .launched((5, 6))
            .model();
        model.ranges[0].ends_elsewhere = true;
        assert!(of_model(&model).is_empty());
        model.places = vec![(0, Some(3))];
        model.ranges[1].place = Some(0);
        assert_eq!(of_model(&model)[&0].stage, Some(1));
    }

    proptest! {
        #[test]
        fn the_sweep_finds_what_trying_every_range_finds(
            spans in prop::collection::vec((0..60_i64, 1..30_i64), 0..12),
            mut instants in prop::collection::vec(0..90_i64, 0..12),
        ) {
            let mut ranges: Vec<Labelled> = spans
                .iter()
                .enumerate()
                .map(|(id, (start, length))| {
                    ((*start, start + length), id as i64, Label { stage: Some(id as i64), micro_batch: None })
                })
                .collect();
            ranges.sort_unstable_by_key(|((start, end), id, _)| (*start, Reverse(*end), *id));
            instants.sort_unstable();
            let asked: Vec<(i64, usize)> = instants.iter().map(|instant| (*instant, 0)).collect();
            let by_trial = |instant: i64| {
                ranges.iter().rev().find(|range| range.0.0 <= instant && instant < range.0.1).map(|range| range.2)
            };
            let expected: Vec<Option<Label>> = instants.iter().map(|instant| by_trial(*instant)).collect();
            prop_assert_eq!(innermost(&ranges, &asked), expected);
        }

        #[test]
        fn no_name_panics(name in ".{0,20}", tail in "[0-9A-Z_(;)]{0,12}") {
            let _ = (Label::parse(&name), Label::parse(&format!("PP:{tail}")));
        }
    }
}
