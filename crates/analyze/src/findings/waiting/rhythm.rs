//! The rhythm of a program: idle time between pieces of work, in gaps below [`LONG_NS`], by the launching call.
//!
//! Only a gap with work before and after it inside the window belongs to it: what lies before the first and after the
//! last work of a window is its start and end, not a pause. In a gap, *late* is host_wait and the part of launch before
//! the launching call returns; *held* is the part of launch after both that and the end of each recorded input.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::Error;
use crate::findings::sheet::{Line, Place, Sheet};
use crate::findings::wording::{capital, count, percent, share, time};
use crate::findings::{Finding, matters};
use crate::metrics::idle::{self, Cutter};
use crate::metrics::{Input, bubble, launch};
use crate::model::{Activity, Model};
use crate::operators::{Span, gaps_in, length};

use super::clocks::Apart;
use super::{LAUNCH_KEYS, LEAST_COVERAGE, LONG_NS};

/// Launches from which pauses are a rhythm: of fewer, one that something else held makes up most of the sum.
const LEAST_LAUNCHES: i64 = 10;

/// By device and window set.
pub(crate) type Shorts = BTreeMap<Place, Short>;

/// What the short gaps of a device between two pieces of work hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Short {
    gaps: i64,
    /// The launching call had not begun; was under way; had returned, and no recorded input was missing.
    wait: i64,
    call: i64,
    held: i64,
    /// Gaps with something held.
    held_gaps: i64,
}

impl Short {
    /// Of the work in those windows, sorted by start and id, and its union.
    fn of(model: &Model, place: &idle::Place, windows: &[Span]) -> Self {
        let (mut sums, mut cutter) = (Self::default(), Cutter::new(model, &place.work));
        for window in windows {
            for gap in gaps_in(&place.busy, &[*window]) {
                let is_inside = window.0 < gap.0 && gap.1 < window.1;
                if let Some(next) = cutter.next(gap).filter(|_| is_inside && length(gap) < LONG_NS) {
                    sums.add(model, &mut cutter, next, gap);
                }
            }
        }
        sums
    }

    fn add(&mut self, model: &Model, cutter: &mut Cutter, next: &Activity, gap: Span) {
        self.gaps += 1;
        let Some(call) = next.call.and_then(|call| model.calls.get(call as usize)) else { return };
        let returned = call.span.1.clamp(gap.0, gap.1);
        let ready = model.inputs(model.index_of(next)).map(|(input, _)| model.activities[input].span.1).max();
        let ready = ready.map_or(returned, |ready| ready.clamp(returned, gap.1));
        let head = cutter.cut(Some(next), (gap.0, returned));
        let held = cutter.cut(Some(next), (ready, gap.1))[LAUNCH];
        for (sum, part) in [(&mut self.wait, head[HOST_WAIT]), (&mut self.call, head[LAUNCH]), (&mut self.held, held)] {
            *sum = sum.saturating_add(part);
        }
        self.held_gaps += i64::from(held > 0);
    }

    fn late(self) -> i64 {
        self.wait.saturating_add(self.call)
    }
}

/// Places of causes in [`idle::CAUSES`].
const HOST_WAIT: usize = 4;
const LAUNCH: usize = 5;

/// The rows about all launches of the devices that both clocks tell about, with what their short gaps hold.
fn rhythms<'s>(input: &Input, launches: &'s Sheet) -> Result<Vec<(Line<'s>, Short)>, Error> {
    let (shorts, apart) = (shorts(input)?, Apart::of(input)?);
    let all = launches.lines().filter(|line| line.is_null("name") && line.flag("reliable") == Some(true));
    let known = all.filter(|line| !apart.has(&line.place()));
    Ok(known.filter_map(|line| Some((line, *shorts.get(&line.place())?))).collect())
}

/// What the short gaps hold, found once for the two rules that ask.
fn shorts(input: &Input) -> Result<Rc<Shorts>, Error> {
    if let Some(known) = input.shorts.get() {
        return Ok(Rc::clone(known));
    }
    let shorts = input
        .of_devices(|model, device, sets| {
            let Some(place) = idle::Place::all(model, device).into_iter().next() else { return Vec::new() };
            let key = |name: &String| (Some(device.0), Some(device.1), Some(name.clone()));
            sets.iter().map(|set| (key(&set.name), Short::of(model, &place, &set.spans))).collect()
        })?
        .into_iter()
        .collect();
    Ok(Rc::clone(input.shorts.get_or_init(|| Rc::new(shorts))))
}

pub(super) fn host_bound(input: &Input) -> Result<Vec<Finding>, Error> {
    let launches = Sheet::of(input, &launch::METRIC)?;
    let mut found = Vec::new();
    for (line, short) in rhythms(input, &launches)? {
        let (span, starts, late) = (line.int_or_zero("span_ns"), line.int_or_zero("launches"), short.late());
        // Where most gaps have no launching call, low_coverage speaks.
        if !matters(late, span) || line.float("gap_coverage_ratio").unwrap_or(0.0) < 0.5 || starts == 0 {
            continue;
        }
        found.push(Finding {
            title: format!(
                "The host keeps {} waiting for {} ({} of the window): its next work was not launched in time",
                line.device(),
                time(late),
                percent(late, span)
            ),
            evidence: format!(
                "{} between pieces of work shorter than 1 ms: {} passed before the launching call and {} during it, of {} \
                 idle in all; {}, one every {}; the median call takes {}",
                count(short.gaps, "gap", "gaps"),
                time(short.wait),
                time(short.call),
                time(line.int_or_zero("idle_ns")),
                count(starts, "launch", "launches"),
                time(span / starts),
                line.int("api_median_ns").map_or_else(|| "an unknown time".to_owned(), time),
            ),
            advice: "Launch less often: CUDA (HIP) graphs, larger batches, fused or compiled operators; then move host work \
                     (see the ranges in the metric gaps) off the launching thread.",
            limits: line.float("gap_coverage_ratio").filter(|coverage| *coverage < LEAST_COVERAGE).map(|coverage| {
                format!("Only {} of the gaps end with work whose launching call is recorded.", share(coverage))
            }),
            ..Finding::cost("host_bound", line, LAUNCH_KEYS, late, span)
        });
    }
    Ok(found)
}

/// The windows in which stages wait for each other and nothing records for what: pipeline_bubble speaks.
fn untold_pipelines(input: &Input) -> Result<BTreeSet<String>, Error> {
    if input.model()?.has_dependencies {
        return Ok(BTreeSet::new());
    }
    let sheet = Sheet::of(input, &bubble::METRIC)?;
    let is_known = |line: &Line| line.is("stages", "declared") || line.is("stages", "inferred from ranges");
    let pipelines = sheet.lines().filter(|line| is_known(line) && line.int_or_zero("stage_count") > 1);
    Ok(pipelines.filter_map(|line| line.text("window")).collect())
}

pub(super) fn kernel_gaps(input: &Input) -> Result<Vec<Finding>, Error> {
    let launches = Sheet::of(input, &launch::METRIC)?;
    let pipelines = untold_pipelines(input)?;
    let mut found = Vec::new();
    for (line, short) in rhythms(input, &launches)? {
        let (span, held, gaps) = (line.int_or_zero("span_ns"), short.held, short.held_gaps);
        let is_rhythm = line.int_or_zero("launches") >= LEAST_LAUNCHES && gaps > 0;
        if !matters(held, span) || !is_rhythm || line.text("window").is_some_and(|name| pipelines.contains(&name)) {
            continue;
        }
        let finding = Finding {
            title: format!(
                "{} pauses {} ({} of the window) between pieces of work that had already been launched",
                capital(&line.device()),
                time(held),
                percent(held, span)
            ),
            evidence: format!(
                "In {} of {} between pieces of work shorter than 1 ms, the launching call had returned before the work \
                 began; {} a gap from then on",
                gaps,
                count(short.gaps, "gap", "gaps"),
                time(held / gaps)
            ),
            advice: "CUDA graphs or programmatic dependent launch shorten the pause after each kernel; fusing kernels \
                     removes it.",
            ..Finding::cost("kernel_gaps", line, LAUNCH_KEYS, held, span)
        };
        found.push(
            finding.limits("An event of another queue that was waited for is not told from the device's own pause."),
        );
    }
    Ok(found)
}
