//! Who arrived when at the collectives.

use std::collections::HashMap;

use crate::clock::{Aligned, How, MESSAGE, Timing};
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, contains};

/// How a device arrived at its collectives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrivals {
    pub(super) matched: i64,
    /// Those of which every rank was seen.
    pub(super) complete: i64,
    /// Those whose groups have a size that is not recorded.
    pub(super) unsized_groups: i64,
    /// Those that nothing but order, name or overlap puts together.
    pub(super) by_order: i64,
    /// Those between two.
    pub(super) messages: i64,
    /// Those whose clocks can be compared.
    pub(super) timed: i64,
    pub(super) last: i64,
    pub(super) late: i64,
    pub(super) caused: i64,
}

/// A device's part in a matched collective.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    /// Start on the device's own clock.
    pub(super) start: i64,
    pub(super) complete: Option<bool>,
    pub(super) by_order: bool,
    pub(super) message: bool,
    pub(super) timed: Option<Timed>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    /// From its start to the last one's, on its own clock; may be empty.
    pub(super) wait: Span,
    /// Where it was the last: by how much, and what the others waited.
    pub(super) last: Option<(i64, i64)>,
}

/// The arrivals at the collectives that begin in the windows.
pub(super) fn arrivals(meetings: &[Meeting], windows: &[Span]) -> Arrivals {
    let mut arrivals = Arrivals::default();
    for meeting in meetings.iter().filter(|meeting| contains(windows, meeting.start)) {
        arrivals.matched += 1;
        arrivals.complete += i64::from(meeting.complete == Some(true));
        arrivals.unsized_groups += i64::from(meeting.complete.is_none());
        arrivals.by_order += i64::from(meeting.by_order);
        arrivals.messages += i64::from(meeting.message);
        let Some(timed) = meeting.timed else { continue };
        arrivals.timed += 1;
        let Some((late, caused)) = timed.last else { continue };
        arrivals.last += 1;
        arrivals.late = arrivals.late.saturating_add(late);
        arrivals.caused = arrivals.caused.saturating_add(caused);
    }
    arrivals
}

/// The matched collectives of each device.
pub(super) fn meetings(model: &Model, aligned: &Aligned) -> HashMap<DeviceKey, Vec<Meeting>> {
    let mut meetings: HashMap<DeviceKey, Vec<Meeting>> = HashMap::new();
    for group in &aligned.groups {
        let timing = Timing::of(&aligned.spans(model, group)).filter(|_| aligned.comparable(model, group));
        let by_order = !matches!(group.how, How::Sequence | How::Message);
        let message = aligned.operation(group) == MESSAGE;
        for (at, activity) in group.members.iter().enumerate() {
            let row = &model.activities[*activity as usize];
            let add = aligned.offsets.get(&row.device.0).copied().unwrap_or(0);
            let timed = timing.map(|timing| Timed {
                wait: (row.span.0, timing.last_start.saturating_sub(add).min(row.span.1)),
                last: (timing.last == Some(at)).then_some((timing.late_ns, timing.wait_ns)),
            });
            meetings.entry(row.device).or_default().push(Meeting {
                start: row.span.0,
                complete: group.complete,
                by_order,
                message,
                timed,
            });
        }
    }
    meetings
}

/// When the communication kernels of each device begin.
pub(super) fn starts(model: &Model, aligned: &Aligned) -> HashMap<DeviceKey, Vec<i64>> {
    let mut starts: HashMap<DeviceKey, Vec<i64>> = HashMap::new();
    for part in &aligned.parts.rows {
        starts.entry(part.device).or_default().push(model.activities[part.activity as usize].span.0);
    }
    starts
}
