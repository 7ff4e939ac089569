//! The iterations of a pipeline, cut out of a window so that they and the rests before and after partition it.
//!
//! An iteration is complete when the last of its operations ends on any stage host. Its time runs from the completion of
//! the one before (the first: from its own first operation) to its own, as `iteration_ns` is defined for built-in targets:
//! where iterations stream, completions come at the pace of the slowest stage, while starts may run ahead of it. Operations
//! belong to the iteration that `work.step` states; else to the step of [`crate::steps`] in which they were launched (of
//! several ranks, the n-th step of one name is one iteration).
//!
//! An iteration is `warm_up` when it begins before every host of the window has begun to compute, `cool_down` when it ends
//! after a host has computed for the last time; of those between, [`mod@proftool_timeline::steady`] tells the steady ones by
//! their lengths (and by the requests that decode in them, where the steps state these).

use std::collections::{BTreeMap, HashMap, HashSet};

use proftool_timeline::steady::{State, Steady, Unsteady, steady};

use super::parts::{Parts, of_window};
use super::stages::{Host, Staging};
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::steps::batch::Batch;
use crate::steps::{self, Step, Style};

/// What says which iteration an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Work,
    Ranges(Style),
}

/// What is known of an iteration before it is placed in time.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    step: Option<i64>,
    name: Option<u32>,
    size: Option<i64>,
}

/// The iteration of every operation of the stage hosts.
#[derive(Debug, Default)]
pub(crate) struct Iterations {
    origin: Option<Origin>,
    keys: Vec<Key>,
    /// For each host and each of its rows a key.
    of: Vec<Vec<Option<u32>>>,
}

/// One iteration, or a rest of the window that belongs to none (both numbers absent).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Iteration {
    /// Its part of the window.
    pub(crate) span: Span,
    /// `work.step`, or how many were complete before it in the window.
    pub(crate) number: Option<i64>,
    /// Number of the name of its range.
    pub(crate) name: Option<u32>,
    /// Different micro-batches that its operations belong to.
    pub(crate) micro_batches: Option<i64>,
    /// Where it lies; absent for rests, and between fill and drain where nothing is steady.
    pub(crate) state: Option<State>,
}

/// A window cut into iterations.
#[derive(Debug)]
pub(crate) struct Cut {
    /// In the order of time; together they are the window.
    pub(crate) iterations: Vec<Iteration>,
    /// Why none of them is steady.
    pub(crate) unsteady: Option<Unsteady>,
}

/// What an iteration did in the window.
#[derive(Default)]
struct Seen {
    first: i64,
    last: i64,
    micro_batches: HashSet<(Option<u32>, i64)>,
}

impl Iterations {
    /// Finds what tells the iterations, and the iteration of each operation.
    pub(crate) fn read(model: &Model, staging: &Staging) -> Self {
        let declared = Self::of_work(model, &staging.hosts);
        if declared.keys.is_empty() { Self::of_steps(model, &staging.hosts) } else { declared }
    }

    fn of_work(model: &Model, hosts: &[Host]) -> Self {
        let (mut keys, mut known) = (Vec::new(), HashMap::new());
        let mut key = |index: &usize| {
            let step = model.activities[*index].work()?.step?;
            Some(*known.entry(step).or_insert_with(|| {
                keys.push(Key { step: Some(step), ..Key::default() });
                keys.len() as u32 - 1
            }))
        };
        let of = hosts.iter().map(|host| host.rows.iter().map(&mut key).collect()).collect();
        Self { origin: Some(Origin::Work), keys, of }
    }

    fn of_steps(model: &Model, hosts: &[Host]) -> Self {
        let steps = steps::of_model(model);
        let mut keys: Vec<Key> = Vec::new();
        let mut known: HashMap<(u32, usize), u32> = HashMap::new();
        let mut devices: BTreeMap<DeviceKey, Vec<u32>> = BTreeMap::new();
        for host in hosts {
            devices.entry(host.device).or_insert_with(|| {
                let mut seen: HashMap<u32, usize> = HashMap::new();
                let mut key = |step: &Step| {
                    let occurrence = seen.entry(step.name).or_default();
                    *occurrence += 1;
                    *known.entry((step.name, *occurrence)).or_insert_with(|| {
                        keys.push(Key { step: None, name: Some(step.name), size: size(model, step) });
                        keys.len() as u32 - 1
                    })
                };
                steps.of_device(host.device).iter().map(&mut key).collect()
            });
        }
        let style = keys.iter().filter_map(|key| steps::style(model.names.text(key.name?))).min();
        let of = |host: &Host| {
            let (numbers, steps) = (&devices[&host.device], steps.of_device(host.device));
            let key = |index: &usize| {
                let row = &model.activities[*index];
                let call = row.call.and_then(|call| model.calls.get(call as usize));
                let instant = call.map_or(row.span.0, |call| call.span.0);
                steps::containing(steps, instant).map(|step| numbers[step])
            };
            host.rows.iter().map(key).collect()
        };
        Self { origin: style.map(Origin::Ranges), of: hosts.iter().map(of).collect(), keys }
    }

    /// What tells the iterations, for the column `source`; `None` where nothing does.
    pub(crate) fn source(&self) -> Option<&'static str> {
        Some(match self.origin? {
            Origin::Work => "work.step",
            Origin::Ranges(Style::Annotation) => "annotated steps",
            Origin::Ranges(Style::Profiler) => "ProfilerStep ranges",
            Origin::Ranges(Style::Iteration) => "ranges named as iterations",
        })
        .filter(|_| !self.keys.is_empty())
    }

    /// Cuts a window.
    pub(crate) fn cut(&self, model: &Model, staging: &Staging, window: Span) -> Cut {
        let mut placed: Vec<(u32, Seen)> = self.seen(model, staging, window).into_iter().collect();
        placed.sort_unstable_by_key(|(key, seen)| (seen.last, seen.first, self.keys[*key as usize].step, *key));
        let begin = placed.iter().map(|(_, seen)| seen.first).min().unwrap_or(window.1);
        let rest = |span| Iteration { span, number: None, name: None, micro_batches: None, state: None };
        let mut iterations = Vec::with_capacity(placed.len() + 2);
        let mut before = begin;
        for (at, (key, seen)) in placed.iter().enumerate() {
            let key = self.keys[*key as usize];
            let end = seen.last.max(before);
            let count = seen.micro_batches.len() as i64;
            iterations.push(Iteration {
                span: (before, end),
                number: key.step.or(Some(at as i64)),
                name: key.name,
                micro_batches: Some(count).filter(|count| *count > 0),
                state: None,
            });
            before = end;
        }
        let sizes: Vec<Option<i64>> = placed.iter().map(|(key, _)| self.keys[*key as usize].size).collect();
        let unsteady = states(&mut iterations, &sizes, &staging.hosts, window).err();
        if window.0 < begin {
            iterations.insert(0, rest((window.0, begin)));
        }
        if before < window.1 && !placed.is_empty() {
            iterations.push(rest((before, window.1)));
        }
        Cut { iterations, unsteady }
    }

    /// First start, last end (inside the window) and micro-batches of each iteration that begins in the window.
    fn seen(&self, model: &Model, staging: &Staging, window: Span) -> HashMap<u32, Seen> {
        let mut found: HashMap<u32, Seen> = HashMap::new();
        for (host, keys) in staging.hosts.iter().zip(&self.of) {
            let start = |index: &usize| model.activities[*index].span.0;
            let from = host.rows.partition_point(|index| start(index) < window.0);
            let to = host.rows.partition_point(|index| start(index) < window.1);
            for (index, key) in host.rows[from..to.max(from)].iter().zip(&keys[from..]) {
                let Some(key) = key else { continue };
                let row = &model.activities[*index];
                let (first, last) = (row.span.0, row.span.1.min(window.1));
                let seen = found.entry(*key).or_insert_with(|| Seen { first, last, ..Seen::default() });
                (seen.first, seen.last) = (seen.first.min(first), seen.last.max(last));
                let stated = row.work().and_then(|work| Some((work.phase, work.micro_batch?)));
                let told = || staging.labels.get(index).and_then(|label| Some((None, label.micro_batch?)));
                seen.micro_batches.extend(stated.or_else(told));
            }
        }
        found
    }
}

/// The requests that decode in a step, where its name states its batch; a step that only prefills has none.
fn size(model: &Model, step: &Step) -> Option<i64> {
    let batch = step.annotations.iter().find_map(|name| Batch::parse(model.names.text(*name)))?;
    Some(batch.decoding.map_or(0, |count| i64::try_from(count).unwrap_or(i64::MAX)))
}

/// Tells where each iteration lies.
fn states(iterations: &mut [Iteration], sizes: &[Option<i64>], hosts: &[Host], window: Span) -> Result<(), Unsteady> {
    let (full, drained) = at_work(hosts, window);
    let from = iterations.iter().take_while(|iteration| iteration.span.0 < full).count();
    let count = iterations[from..].iter().take_while(|iteration| iteration.span.1 <= drained).count();
    let lengths: Vec<i64> =
        iterations[from..from + count].iter().map(|row| row.span.1.saturating_sub(row.span.0)).collect();
    let sizes: Option<Vec<i64>> = sizes[from..from + count].iter().copied().collect();
    let found: Result<Steady, Unsteady> =
        steady(&lengths, sizes.filter(|sizes| sizes.iter().any(|size| *size > 0)).as_deref());
    for (at, iteration) in iterations.iter_mut().enumerate() {
        iteration.state = match at {
            at if at < from => Some(State::WarmUp),
            at if at >= from + count => Some(State::CoolDown),
            at => found.ok().map(|steady| steady.state(at - from)),
        };
    }
    found.map(|_| ())
}

/// From when on every host of the window has begun to compute, and until when none has stopped for good.
fn at_work(hosts: &[Host], window: Span) -> Span {
    let (mut full, mut drained) = (window.0, window.1);
    for host in hosts {
        let from = host.busy.partition_point(|span| span.1 <= window.0);
        let to = host.busy.partition_point(|span| span.0 < window.1);
        if from < to {
            full = full.max(host.busy[from].0);
            drained = drained.min(host.busy[to - 1].1);
        }
    }
    (full, drained)
}

/// The steady part of one or more windows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Summary {
    /// Iterations that were cut out, rests not counted.
    pub(super) iterations: i64,
    /// Those in the steady state.
    pub(super) steady: i64,
    /// Their bubble.
    pub(super) parts: Parts,
    /// Why there is no steady state, where no window has one.
    pub(super) reason: Option<&'static str>,
}

/// The reason where nothing tells the iterations.
pub(crate) const NO_SOURCE: &str = "no work.step and no range of a step: the trace names no iterations";

/// Sums the steady iterations of some windows.
pub(super) fn summary(model: &Model, staging: &Staging, iterations: &Iterations, windows: &[Span]) -> Summary {
    let mut summary = Summary::default();
    if iterations.source().is_none() {
        return Summary { reason: Some(NO_SOURCE), ..summary };
    }
    for window in windows {
        let cut = iterations.cut(model, staging, *window);
        for iteration in cut.iterations.iter().filter(|iteration| iteration.number.is_some()) {
            summary.iterations += 1;
            if iteration.state == Some(State::Steady) {
                summary.steady += 1;
                summary.parts.add(&of_window(model, &staging.hosts, iteration.span));
            }
        }
        summary.reason = summary.reason.or(cut.unsteady.map(Unsteady::reason));
    }
    Summary { reason: summary.reason.filter(|_| summary.steady == 0), ..summary }
}
