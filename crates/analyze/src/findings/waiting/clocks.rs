//! Whether the times of the host and of a device can be compared: a launched activity begins after its call does.

use std::collections::BTreeMap;

use crate::Error;
use crate::classes::Class;
use crate::findings::sheet::{Line, Place, Sheet};
use crate::findings::wording::{count, percent, time};
use crate::findings::{Finding, Severity};
use crate::metrics::{Input, launch};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::length;

use super::LAUNCH_KEYS;

/// Launches in a hundred that may begin before their call: single ones come from correlation numbers that are used
/// again. Clocks that are apart move every launch, and all that wait for less than the offset show it.
const EARLY_PERCENT: i128 = 1;

/// Launches from which a delay that all have says something: one kernel may wait for anything.
const LEAST_LAUNCHES: i64 = 10;

/// What it says beside a finding that compares times of both.
pub(super) const UNSAFE: &str =
    "The clocks of host and device seem to disagree (clocks_disagree): the cause and the host call are unsure.";

/// What shows that the clocks of a device and its host disagree.
enum Sign {
    /// Launches that begin before their call does.
    Early(i64),
    /// The shortest queue delay, and from the first start to the last end of the device's work, which is shorter.
    Late(i64, i64),
}

impl Sign {
    fn of(model: &Model, line: Line) -> Option<Self> {
        let [starts, early] = ["launches", "started_before_call"].map(|name| line.int_or_zero(name));
        // More than that share: one early launch of a hundred is none.
        if i128::from(early) * 100 > i128::from(starts) * EARLY_PERCENT {
            return Some(Self::Early(early));
        }
        let (Some(rank), Some(device), _) = line.place() else { return None };
        let delay = line.int("queue_delay_median_ns").filter(|_| starts >= LEAST_LAUNCHES)?;
        // A window may be a moment of a deep queue; the whole recording isn't.
        let whole = extent(model, (rank, device)).max(line.int_or_zero("span_ns"));
        // Behind work from before the recording the median delay is long too, but grows from a shorter one.
        let least = if delay > whole { least_delay(model, (rank, device))? } else { return None };
        (least > whole).then_some(Self::Late(least, whole))
    }
}

/// The shortest time from the end of a call to the begin of what it launched.
fn least_delay(model: &Model, device: DeviceKey) -> Option<i64> {
    let delay = |row: &Activity| Some(row.span.0.saturating_sub(model.calls.get(row.call? as usize)?.span.1));
    model.of_device(device).iter().filter(|row| row.class != Class::Sync).filter_map(delay).min()
}

/// From the first start to the last end of a device's work.
fn extent(model: &Model, device: DeviceKey) -> i64 {
    let work = || model.of_device(device).iter().filter(|row| row.class != Class::Sync).map(|row| row.span);
    let ends = work().map(|span| span.0).min().zip(work().map(|span| span.1).max());
    ends.map_or(0, length)
}

/// The devices and windows in which the clocks disagree, with the row that shows it.
fn signs<'s>(model: &Model, launches: &'s Sheet) -> BTreeMap<Place, (Line<'s>, Sign)> {
    let all = launches.lines().filter(|line| line.is_null("name"));
    all.filter_map(|line| Some((line.place(), (line, Sign::of(model, line)?)))).collect()
}

/// Where times of the host and of a device must not be compared.
#[derive(Debug)]
pub(super) struct Apart(Vec<Place>);

impl Apart {
    pub(super) fn of(input: &Input) -> Result<Self, Error> {
        let launches = Sheet::of(input, &launch::METRIC)?;
        Ok(Self(signs(input.model()?, &launches).into_keys().collect()))
    }

    /// Whether they disagree on that device in that window.
    pub(super) fn has(&self, place: &Place) -> bool {
        self.0.contains(place)
    }

    /// The finding, with its limits where they disagree.
    pub(super) fn limit(&self, finding: Finding) -> Finding {
        if !self.has(&(finding.rank, finding.device, finding.window.clone())) {
            return finding;
        }
        let limits = finding.limits.iter().map(String::as_str).chain([UNSAFE]).collect::<Vec<_>>().join(" ");
        finding.limits(&limits)
    }
}

pub(super) fn clocks_disagree(input: &Input) -> Result<Vec<Finding>, Error> {
    let (model, launches) = (input.model()?, Sheet::of(input, &launch::METRIC)?);
    let found = signs(model, &launches).into_values().map(|(line, sign)| {
        let starts = line.int_or_zero("launches");
        // Nothing but clocks explains an early start; of a late one there may be other reasons.
        let (severity, disagree, what, limits) = match sign {
            Sign::Early(early) => (
                Severity::High,
                "disagree",
                format!("{early} of {} begin before the call that launched them", count(starts, "launch", "launches")),
                "Unsafe",
            ),
            Sign::Late(delay, whole) => (
                Severity::Medium,
                "may disagree",
                format!(
                    "all of {} begin {} or more after their call, and all work together takes {}",
                    count(starts, "launch", "launches"),
                    time(delay),
                    time(whole)
                ),
                "Launches that waited for work from before the recording look the same. Unsafe",
            ),
        };
        Finding {
            severity,
            title: format!("The clocks of the host and of {} {disagree}: {what}", line.device()),
            evidence: format!(
                "Of {}, {} ({}) begin before their call and {} after it returned; their median queue delay is {}, the \
                 window {}",
                count(starts, "launch", "launches"),
                line.int_or_zero("started_before_call"),
                percent(line.int_or_zero("started_before_call"), starts),
                line.int_or_zero("queued"),
                line.int("queue_delay_median_ns").map_or_else(|| "unknown".to_owned(), time),
                time(line.int_or_zero("span_ns"))
            ),
            advice: "Capture again; if it stays, check which clock the importer read for the host's times and which for the \
                     device's.",
            limits: Some(format!(
                "{limits}: queue delays, host_wait, launch and sync of idle, the host call of a gap, and the critical path; \
                 host_bound and kernel_gaps are left out.",
            )),
            ..Finding::data("clocks_disagree", line, LAUNCH_KEYS)
        }
    });
    Ok(found.collect())
}
