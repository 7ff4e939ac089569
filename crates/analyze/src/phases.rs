//! The phase of each activity, from a rule table over the names of ranges. It is data: a new engine is a new line.
//!
//! What the target states comes first; KV-cache traffic ([`Class::Kv`]) is `kv_transfer`; then the innermost range with
//! a rule in which the launching call began (same rank, process and thread; the kernels of a graph have the call that
//! launched the graph); then the innermost range that the profiler drew on the device's queue. A range that no rule
//! matches says nothing, so an activity outside of all others has no phase.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::classes::{Class, KV_RANGES, contains_any};
use crate::model::{DeviceKey, Model, Range};
use crate::operators::Span;
use crate::steps::batch::Batch;

/// A phase of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Prompt tokens only.
    Prefill,
    /// One new token (or a few drafted ones) for each request.
    Decode,
    /// Prompt tokens and new tokens in one batch.
    Mixed,
    /// Movement of a KV cache.
    KvTransfer,
    /// Known to be none of these, such as a warm-up.
    Other,
}

impl Phase {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
            Self::KvTransfer => "kv_transfer",
            Self::Other => "other",
        }
    }
}

/// One condition on the words of a name: see `words`.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// The name, in lower case, contains one of these.
    Contains(&'static [&'static str]),
    /// These words follow one another somewhere.
    Words(&'static [&'static str]),
    /// This word stands somewhere, and every other word is a number or one of [`COMPANIONS`].
    Alone(&'static str),
    /// None of the words is one of these.
    Without(&'static [&'static str]),
}

/// One line of the rule table.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What must hold, all of it.
    pub conditions: &'static [Condition],
    /// The phase that it gives.
    pub phase: Phase,
}

/// Words that may stand beside a word which by itself is too common to tell a phase.
pub const COMPANIONS: &[&str] = &[
    "batch",
    "executor",
    "forward",
    "inference",
    "iteration",
    "loop",
    "model",
    "pass",
    "phase",
    "run",
    "stage",
    "step",
];

/// What else is decoded than tokens by a model.
const OTHER_DECODING: Condition =
    Condition::Without(&["audio", "base64", "image", "jpeg", "json", "tokenizer", "vae", "video"]);

const fn rule(conditions: &'static [Condition], phase: Phase) -> Rule {
    Rule { conditions, phase }
}

/// The rule table; the first rule that matches decides. Names that state a batch come before it.
pub const RULES: &[Rule] = &[
    rule(&[Condition::Contains(KV_RANGES)], Phase::KvTransfer),
    rule(&[Condition::Words(&["warmup"])], Phase::Other),
    rule(&[Condition::Words(&["warm", "up"])], Phase::Other),
    rule(&[Condition::Words(&["dummy", "run"])], Phase::Other),
    rule(&[Condition::Words(&["profile", "run"])], Phase::Other),
    rule(&[Condition::Words(&["graph", "capture"])], Phase::Other),
    rule(&[Condition::Words(&["capture", "graph"])], Phase::Other),
    rule(&[Condition::Alone("mixed")], Phase::Mixed),
    rule(&[Condition::Words(&["prefill"]), Condition::Words(&["decode"]), OTHER_DECODING], Phase::Mixed),
    rule(&[Condition::Words(&["prefill"])], Phase::Prefill),
    rule(&[Condition::Words(&["decode"]), OTHER_DECODING], Phase::Decode),
    rule(&[Condition::Alone("context")], Phase::Prefill),
    rule(&[Condition::Alone("extend")], Phase::Prefill),
    rule(&[Condition::Alone("generation")], Phase::Decode),
];

/// The phase that the name of a range tells.
pub fn of_range(name: &str) -> Option<Phase> {
    if let Some(batch) = Batch::parse(name) {
        return Some(batch.phase);
    }
    let words = words(name);
    let matches = |rule: &&Rule| rule.conditions.iter().all(|condition| holds(condition, name, &words));
    RULES.iter().find(matches).map(|rule| rule.phase)
}

fn holds(condition: &Condition, name: &str, words: &[String]) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    match condition {
        Condition::Contains(parts) => contains_any(name, parts),
        Condition::Words(wanted) => words.windows(wanted.len()).any(|found| found == *wanted),
        Condition::Alone(wanted) => {
            let beside = |word: &&str| is_number(word) || COMPANIONS.contains(word);
            let mut others = words.iter().map(String::as_str).filter(|word| word != wanted);
            words.iter().any(|word| word == wanted) && others.all(|word| beside(&word))
        }
        Condition::Without(unwanted) => !words.iter().any(|word| unwanted.contains(&word.as_str())),
    }
}

/// The words of a name in lower case: cut at everything that is no letter or digit, between letters and digits, and
/// where the case changes (`KVTransferStep2` is kv, transfer, step, 2).
pub(crate) fn words(name: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut characters = name.chars().peekable();
    let mut before = '\0';
    while let Some(character) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        let cut = !character.is_alphanumeric()
            || before.is_numeric() != character.is_numeric()
            || (before.is_lowercase() && character.is_uppercase())
            || (before.is_uppercase() && character.is_uppercase() && next_is_lower);
        if cut && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Number of a phase's name in [`Phases`].
pub(crate) type PhaseId = u32;

/// The phase of every activity of a model.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    of: Vec<Option<PhaseId>>,
    names: Vec<String>,
}

impl Phases {
    /// The phases of all activities, found once for a model.
    pub(crate) fn of_model(model: &Model) -> Rc<Self> {
        Rc::clone(model.phases.get_or_init(|| Rc::new(Self::find(model))))
    }

    /// One sweep a thread and a queue.
    fn find(model: &Model) -> Self {
        let told = Told::of_model(model);
        let mut phases = Self::default();
        let mut numbers: HashMap<&str, PhaseId> = HashMap::new();
        let mut of = Vec::with_capacity(model.activities.len());
        for (index, row) in model.activities.iter().enumerate() {
            let told = || told.by_call[index].or(told.by_queue[index]).map(Phase::name);
            let kv = Some(Phase::KvTransfer.name()).filter(|_| row.class == Class::Kv);
            let name = model.phase(row).or(kv).or_else(told);
            of.push(name.map(|name| {
                *numbers.entry(name).or_insert_with(|| {
                    phases.names.push(name.to_owned());
                    phases.names.len() as PhaseId - 1
                })
            }));
        }
        Self { of, ..phases }
    }

    /// The phase of an activity by its index in the model.
    pub(crate) fn of(&self, activity: usize) -> Option<PhaseId> {
        self.of.get(activity).copied().flatten()
    }

    /// The name of a phase.
    pub(crate) fn name(&self, phase: PhaseId) -> &str {
        &self.names[phase as usize]
    }

    /// The name of the phase of an activity.
    pub(crate) fn text(&self, activity: usize) -> Option<&str> {
        self.of(activity).map(|phase| self.name(phase))
    }
}

/// What the ranges tell about each activity.
struct Told {
    by_call: Vec<Option<Phase>>,
    by_queue: Vec<Option<Phase>>,
}

/// Where ranges nest: a host thread, or a queue of a device (or the device, for a range without a queue).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Lane {
    Thread(u32),
    Queue(DeviceKey, Option<i64>),
}

impl Told {
    fn of_model(model: &Model) -> Self {
        let ranges = lanes(model);
        let mut asked: BTreeMap<Lane, Vec<(i64, u32)>> = BTreeMap::new();
        let mut ask = |lane, instant, index| {
            if ranges.contains_key(&lane) {
                asked.entry(lane).or_default().push((instant, index));
            }
        };
        let count = model.activities.len();
        for (index, row) in model.activities.iter().enumerate().filter(|_| !ranges.is_empty()) {
            if let Some(call) = row.call.and_then(|call| model.calls.get(call as usize)) {
                ask(Lane::Thread(call.thread), call.span.0, index as u32);
            }
            ask(Lane::Queue(row.device, row.queue), row.span.0, index as u32);
            if row.queue.is_some() {
                ask(Lane::Queue(row.device, None), row.span.0, index as u32);
            }
        }
        let mut told = Self { by_call: vec![None; count], by_queue: vec![None; count] };
        for (lane, mut instants) in asked {
            instants.sort_unstable();
            let answers = if matches!(lane, Lane::Thread(..)) { &mut told.by_call } else { &mut told.by_queue };
            for ((_, index), phase) in instants.iter().zip(innermost(&ranges[&lane], &instants)) {
                let answer = &mut answers[*index as usize];
                *answer = phase.or(*answer);
            }
        }
        told
    }
}

/// The ranges that a rule matches, by lane, sorted: outer before inner.
fn lanes(model: &Model) -> BTreeMap<Lane, Vec<(Span, Phase)>> {
    let mut known: HashMap<u32, Option<Phase>> = HashMap::new();
    let mut lanes: BTreeMap<Lane, Vec<(Span, Phase)>> = BTreeMap::new();
    // The recorder's own ranges (block, warm_up) mark what is measured; its targets state their phases.
    let (own, gpu) = (model.names.find("proftool"), model.names.find("gpu"));
    // A range that a device drew is no good without its place.
    let usable = |range: &&Range| {
        let is = |domain: Option<u32>| domain.is_some() && range.domain == domain;
        !is(own) && (range.place.is_some() || !is(gpu))
    };
    for range in model.ranges.iter().filter(usable) {
        let phase = *known.entry(range.name).or_insert_with(|| of_range(model.names.text(range.name)));
        let Some(phase) = phase else { continue };
        let lane = match model.place_of(range) {
            Some((device, queue)) => Lane::Queue((range.rank, device), queue),
            None => Lane::Thread(range.thread),
        };
        lanes.entry(lane).or_default().push((range.span, phase));
    }
    for ranges in lanes.values_mut() {
        ranges.sort_by_key(|((start, end), _)| (*start, std::cmp::Reverse(*end)));
    }
    lanes
}

/// For each instant (sorted) the phase of the range with the latest start that contains it, `[start, end)`.
fn innermost(ranges: &[(Span, Phase)], instants: &[(i64, u32)]) -> Vec<Option<Phase>> {
    let (mut open, mut next): (Vec<&(Span, Phase)>, usize) = (Vec::new(), 0);
    let mut found = Vec::with_capacity(instants.len());
    for (instant, _) in instants {
        while let Some(range) = ranges.get(next).filter(|range| range.0.0 <= *instant) {
            open.push(range);
            next += 1;
        }
        // What has ended lies above what is still open, or below it, where it waits to be uncovered.
        while open.last().is_some_and(|range| range.0.1 <= *instant) {
            open.pop();
        }
        found.push(open.last().map(|range| range.1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use Phase::{Decode, KvTransfer, Mixed, Other, Prefill};

    fn texts(model: &Model) -> Vec<Option<String>> {
        let phases = Phases::of_model(model);
        (0..model.activities.len()).map(|index| phases.text(index).map(str::to_owned)).collect()
    }

    #[test]
    fn words_are_cut_at_cases_digits_and_signs() {
        assert_eq!(words("KVTransferStep2_a[EXTEND bs=1]"), ["kv", "transfer", "step", "2", "a", "extend", "bs", "1"]);
        assert_eq!(words("forward_decode"), ["forward", "decode"]);
        assert!(words("...").is_empty());
    }

    #[test]
    fn whole_words_tell_a_phase_and_parts_of_words_do_not() {
        let told = [
            ("prefill", Some(Prefill)),
            ("layer 3: PrefillAttention", Some(Prefill)),
            ("forward_extend", Some(Prefill)),
            ("context phase 2", Some(Prefill)),
            ("decode_step 17", Some(Decode)),
            ("generation", Some(Decode)),
            ("mixed_batch", Some(Mixed)),
            ("prefill+decode", Some(Mixed)),
            ("nixl read of a prefill's blocks", Some(KvTransfer)),
            ("warmup decode", Some(Other)),
            ("prefiller_init", None),
            ("decoder_layer", None),
            ("vae_decode", None),
            ("LoadContext of the driver", None),
            ("number generation with a seed", None),
            ("forward", None),
        ];
        for (name, phase) in told {
            assert_eq!(of_range(name), phase, "{name}");
        }
    }

    #[test]
    fn annotations_tell_the_phase_by_their_batch() {
        let told = [
            ("execute_context_2(6144)_generation_3(3)", Some(Mixed)),
            ("execute_context_0(0)_generation_3(3)", Some(Decode)),
            (
                "execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_0(sq0sk0sqsq0sqsk0)",
                Some(Prefill),
            ),
            ("execute_context_0(0)_generation_0(0)", None),
            ("execute_model", None),
            ("step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]", Some(Decode)),
            ("step[EXTEND bs=15 toks=15360]", Some(Prefill)),
            ("execute_context_99999999999999999999999(1)_generation_0(0)", None),
            ("step[", None),
            ("prefill[bs=2 tok=14721 ctx=[1] sqsq=2 sqsk=3 sk=4]", Some(Prefill)),
            ("[Executor] _forward_step 12: 2 ctx reqs, 9 ctx tokens, 32 gen reqs", Some(Mixed)),
            ("[Executor] _forward_step 12: 0 ctx reqs, 32 gen reqs", Some(Decode)),
            ("[Executor] _forward_step gen reqs", None),
        ];
        for (name, phase) in told {
            assert_eq!(of_range(name), phase, "{name}");
        }
    }

    #[test]
    fn the_innermost_range_around_the_launching_call_decides() {
        // Launched at 5 (prefill), 15 (decode inside prefill), 25 (prefill again), 40 (no longer inside), not at all.
        let model = Fixture::new()
            .range("prefill", (0, 40))
            .range("decode", (10, 20))
            .range("layer", (11, 20))
            .kernel(0, 0, (100, 110))
            .launched((5, 6))
            .kernel(0, 0, (110, 120))
            .launched((15, 16))
            .kernel(0, 0, (120, 130))
            .launched((25, 26))
            .kernel(0, 0, (130, 140))
            .launched((40, 41))
            .kernel(0, 0, (140, 150))
            .model();
        let found = texts(&model);
        let expected =
            [Some("prefill"), Some("decode"), Some("prefill"), None, None].map(|text| text.map(str::to_owned));
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_target_states_comes_first_and_kv_traffic_is_never_decode() {
        let model = Fixture::new()
            .queue(0, 1, "kv")
            .range("decode", (0, 40))
            .kernel(0, 0, (10, 20))
            .launched((5, 6))
            .work(0, "prefill", 0, 0, 4)
            .copy(0, 1, (20, 30), 1, 8)
            .launched((6, 7))
            .model();
        assert_eq!(texts(&model), [Some("prefill".to_owned()), Some("kv_transfer".to_owned())]);
    }

    #[test]
    fn ranges_on_the_queue_speak_where_the_call_is_unknown() {
        // On queue 1 of device 0: decode in 0..50. The range of the whole device ends first.
        let mut model = Fixture::new()
            .range("decode", (0, 50))
            .range("prefill", (0, 20))
            .kernel(0, 1, (10, 20))
            .kernel(0, 2, (10, 20))
            .kernel(0, 2, (20, 30))
            .model();
        model.places = vec![(0, Some(1)), (0, None)];
        model.ranges[0].place = Some(0);
        model.ranges[1].place = Some(1);
        assert_eq!(texts(&model), [Some("decode".to_owned()), Some("prefill".to_owned()), None]);
    }

    #[test]
    fn ranges_that_cross_do_not_hide_one_another() {
        let ranges = [((0, 30), Prefill), ((10, 40), Decode), ((20, 25), Mixed)];
        let instants = [5, 15, 22, 27, 35, 40].map(|instant| (instant, 0));
        let found = innermost(&ranges, &instants);
        assert_eq!(found, [Some(Prefill), Some(Decode), Some(Mixed), Some(Decode), Some(Decode), None]);
    }
}
