//! The parts of a device's time that samples are read for: scopes.
//!
//! A scope is a set of times inside the windows:
//!
//! - the windows themselves; in them the times in which the device is busy (kernel, copy, set or graph) and idle, which are
//!   a partition of the windows;
//! - of each phase the times in which its activities run on the device;
//! - of each state of steps (warm-up, steady, cool-down) the times of its steps;
//! - of each name of ranges their projections onto the device: from the first start to the last end of the device's work
//!   that has the range, or one inside it, as its innermost range.
//!
//! Phases, steps and ranges overlap where the device works for several at once, so only disjoint scopes add up.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::Error;
use crate::classes::Class;
use crate::metrics::Input;
use crate::metrics::ranges::{Instances, label};
use crate::metrics::steps::follow;
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, clip_set, contains, gaps_in, into_union, total};
use crate::phases::Phases;
use crate::steps::series::Series;
use crate::windows::{Window, WindowSet};

/// Names of ranges that are kept of a device and window set, those of the longest projections.
pub(crate) const RANGE_NAMES: usize = 20;

/// What a scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The windows.
    Window,
    /// Busy or idle.
    Activity,
    /// A phase.
    Phase,
    /// A state of steps.
    StepState,
    /// A name of ranges.
    Range,
}

impl Kind {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Activity => "activity",
            Self::Phase => "phase",
            Self::StepState => "step_state",
            Self::Range => "range",
        }
    }

    /// What the column `scope_kind` holds.
    pub(crate) const DOC: &'static str = "`window` (the whole of it), `activity` (busy or idle), `phase`, `step_state` or `range`; scopes overlap, except busy and idle.";
}

/// A part of the windows of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: Kind,
    /// Which of its kind; none for the window.
    pub(crate) name: Option<String>,
    /// A set.
    pub(crate) spans: Vec<Span>,
    /// Names of ranges that were not kept; of ranges only.
    pub(crate) left_out: Option<i64>,
}

/// What scopes of every device are made of.
pub(crate) struct Scoper<'m> {
    model: &'m Model,
    phases: Rc<Phases>,
    ranges: Rc<Instances>,
    steps: Series,
    /// Whether the windows are ranges that the user named.
    named: bool,
}

impl<'m> Scoper<'m> {
    /// Reads the phases, ranges and steps.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(crate) fn read(input: &'m Input) -> Result<Self, Error> {
        let model = input.model()?;
        Ok(Self {
            model,
            phases: Phases::of_model(model),
            ranges: Instances::of_model(model),
            steps: Series::read(input)?,
            named: matches!(input.window, Window::Named(_)),
        })
    }

    /// The scopes of one device.
    pub(crate) fn of_device(&self, device: DeviceKey) -> Scopes {
        let rows = self.model.of_device(device).iter().filter(|row| row.class != Class::Sync);
        let busy = into_union(rows.map(|row| row.span).collect());
        let mut sets = self.of_phases(device);
        let steps = self.of_steps(device);
        let mut states: BTreeMap<&'static str, Vec<Span>> = BTreeMap::new();
        for step in &steps {
            states.entry(step.state).or_default().push(step.span);
        }
        sets.extend(states.into_iter().map(|(state, spans)| (Kind::StepState, state.to_owned(), into_union(spans))));
        sets.extend(self.of_ranges(device));
        Scopes { busy, sets, steps, named: self.named }
    }

    fn indices(&self, device: DeviceKey) -> std::ops::Range<usize> {
        let first = self.model.activities.partition_point(|row| row.device < device);
        first..first + self.model.of_device(device).len()
    }

    fn of_phases(&self, device: DeviceKey) -> Vec<(Kind, String, Vec<Span>)> {
        let mut phases: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
        for at in self.indices(device) {
            let row = &self.model.activities[at];
            if let Some(phase) = self.phases.text(at).filter(|_| row.class != Class::Sync) {
                phases.entry(phase).or_default().push(row.span);
            }
        }
        phases.into_iter().map(|(phase, spans)| (Kind::Phase, phase.to_owned(), into_union(spans))).collect()
    }

    fn of_steps(&self, device: DeviceKey) -> Vec<Step> {
        let steps = self.steps.of_device(self.model, device);
        let (states, _) = follow(&steps);
        let with_state = steps.iter().zip(states);
        with_state
            .filter_map(|(step, state)| Some(Step { span: step.span, state: state.ok()?, tokens: step.tokens }))
            .collect()
    }

    fn of_ranges(&self, device: DeviceKey) -> Vec<(Kind, String, Vec<Span>)> {
        let projected = &self.ranges.projected;
        let mut extents: Vec<Option<Span>> = vec![None; projected.len()];
        for at in self.indices(device) {
            if let Some(range) = self.ranges.innermost.get(at).copied().flatten() {
                extend(&mut extents[range as usize], self.model.activities[at].span);
            }
        }
        // What is inside a range is inside those around it, the deepest first.
        let mut order: Vec<usize> = (0..projected.len()).collect();
        order.sort_by_key(|at| Reverse(projected[*at].level));
        for at in order {
            if let Some((extent, parent)) = extents[at].zip(projected[at].parent) {
                extend(&mut extents[parent as usize], extent);
            }
        }
        // The recorder's own ranges are the windows.
        let own = self.model.names.find("proftool");
        let mut labels: HashMap<u32, String> = HashMap::new();
        let mut names: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
        let found: Vec<(u32, Span)> = extents
            .iter()
            .zip(&self.ranges.range)
            .filter_map(|(extent, range)| Some(((*extent)?, &self.model.ranges[*range as usize])))
            .filter(|(_, range)| range.domain.is_none() || range.domain != own)
            .map(|(extent, range)| (range.name, extent))
            .collect();
        for (name, _) in &found {
            labels.entry(*name).or_insert_with(|| label(self.model.names.text(*name)));
        }
        for (name, extent) in found {
            names.entry(&labels[&name]).or_default().push(extent);
        }
        names.into_iter().map(|(name, spans)| (Kind::Range, name.to_owned(), into_union(spans))).collect()
    }
}

fn extend(extent: &mut Option<Span>, span: Span) {
    let (start, end) = extent.unwrap_or(span);
    *extent = Some((start.min(span.0), end.max(span.1)));
}

/// A step whose state is known.
struct Step {
    span: Span,
    state: &'static str,
    tokens: Option<i64>,
}

/// The scopes of one device.
pub(crate) struct Scopes {
    /// When the device works: a set.
    pub(crate) busy: Vec<Span>,
    sets: Vec<(Kind, String, Vec<Span>)>,
    steps: Vec<Step>,
    named: bool,
}

impl Scopes {
    /// The scopes inside the windows, that of the windows first; those without time are left out.
    pub(crate) fn of_set(&self, set: &WindowSet) -> Vec<Scope> {
        let scope = |kind, name: &str, spans| Scope { kind, name: Some(name.to_owned()), spans, left_out: None };
        let mut all = vec![Scope { kind: Kind::Window, name: None, spans: set.spans.clone(), left_out: None }];
        if !self.busy.is_empty() {
            all.push(scope(Kind::Activity, "busy", clip_set(&self.busy, &set.spans)));
            all.push(scope(Kind::Activity, "idle", gaps_in(&self.busy, &set.spans)));
        }
        let within = |(kind, name, spans): &(Kind, String, Vec<Span>)| scope(*kind, name, clip_set(spans, &set.spans));
        let found: Vec<Scope> = self.sets.iter().map(within).filter(|scope| !scope.spans.is_empty()).collect();
        let (mut ranges, others): (Vec<Scope>, Vec<Scope>) =
            found.into_iter().partition(|scope| scope.kind == Kind::Range);
        all.extend(others);
        ranges.sort_by_cached_key(|scope| (Reverse(total(&scope.spans)), scope.name.clone()));
        let left_out = ranges.len().saturating_sub(RANGE_NAMES) as i64;
        ranges.truncate(RANGE_NAMES);
        all.extend(ranges.into_iter().map(|scope| Scope { left_out: Some(left_out), ..scope }));
        all
    }

    /// The tokens of the steps of a state that begin in the windows; `None` where one of them does not state its own.
    pub(crate) fn tokens_of_state(&self, state: &str, set: &WindowSet) -> Option<i64> {
        // The window of a whole trace is the extent of the device's work; a host begins its first step before.
        let all = !self.named && set.name == "trace";
        let steps = self.steps.iter().filter(|step| step.state == state);
        let mut begun = steps.filter(|step| all || contains(&set.spans, step.span.0)).peekable();
        begun.peek()?;
        begun.try_fold(0, |sum: i64, step| Some(sum.saturating_add(step.tokens?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Scope as Devices;

    fn scopes(fixture: &Fixture) -> Vec<(&'static str, Option<String>, Vec<Span>)> {
        let tables = fixture.tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        let set = input.sets(Devices::Device((0, 0))).unwrap().remove(0);
        let scopes = Scoper::read(&input).unwrap().of_device((0, 0)).of_set(&set);
        scopes.into_iter().map(|scope| (scope.kind.name(), scope.name, scope.spans)).collect()
    }

    #[test]
    fn phases_ranges_and_gaps_are_parts_of_the_windows() {
        // Device 0: prefill in 10..20, launched inside `layer` of `decode`, decode in 30..50. Device 1 works for `decode`
        // too, which is not this device's time.
        let fixture = Fixture::new()
            .range("decode", (0, 9))
            .range("layer", (4, 9))
            .kernel(0, 0, (10, 20))
            .launched((5, 6))
            .work(0, "prefill", 0, 0, 1)
            .kernel(0, 0, (30, 50))
            .launched((2, 3))
            .work(0, "decode", 0, 0, 1)
            .kernel(1, 0, (50, 90))
            .launched((7, 8))
            .block((0, 40));
        let named = |kind, name: &str, spans: &[Span]| (kind, Some(name.to_owned()), spans.to_vec());
        let expected = vec![
            ("window", None, vec![(0, 40)]),
            named("activity", "busy", &[(10, 20), (30, 40)]),
            named("activity", "idle", &[(0, 10), (20, 30)]),
            named("phase", "decode", &[(30, 40)]),
            named("phase", "prefill", &[(10, 20)]),
            named("range", "decode", &[(10, 40)]),
            named("range", "layer", &[(10, 20)]),
        ];
        assert_eq!(scopes(&fixture), expected);
    }

    #[test]
    fn of_many_names_the_longest_are_kept_and_the_rest_are_counted() {
        const NAMES: [&str; 22] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
            "v",
        ];
        let mut fixture = Fixture::new();
        for (at, name) in NAMES.iter().enumerate() {
            let at = at as i64;
            let start = 100 + 100 * at;
            fixture = fixture.range(name, (4 * at, 4 * at + 3)).kernel(0, 0, (start, start + 10 + at));
            fixture = fixture.launched((4 * at + 1, 4 * at + 2));
        }
        let tables = fixture.tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        let set = input.sets(Devices::Device((0, 0))).unwrap().remove(0);
        let scopes = Scoper::read(&input).unwrap().of_device((0, 0)).of_set(&set);
        let ranges: Vec<&Scope> = scopes.iter().filter(|scope| scope.kind == Kind::Range).collect();
        assert_eq!((ranges.len(), ranges[0].name.as_deref(), ranges[0].left_out), (RANGE_NAMES, Some("v"), Some(2)));
        assert_eq!(ranges[19].name.as_deref(), Some("c"));
    }

    #[test]
    fn a_device_that_ran_nothing_has_its_window_alone() {
        let tables = Fixture::new().kernel(0, 0, (0, 9)).tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        let set = WindowSet { name: "trace".to_owned(), spans: vec![(0, 9)] };
        let scopes = Scoper::read(&input).unwrap().of_device((0, 7)).of_set(&set);
        assert_eq!(scopes.iter().map(|scope| scope.kind).collect::<Vec<_>>(), [Kind::Window]);
    }
}
