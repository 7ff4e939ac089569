//! Ranges and marks: kept until the end of the file, because their parents are known only then.

use std::cmp::Reverse;

use proftool_trace::rows::Range;

use super::event::{Event, integer};
use super::names::{Names, QuickMap};
use crate::Error;
use crate::raw::Import;

/// Stands for no end and no text.
const NONE: i64 = i64::MAX;
const NO_TEXT: u32 = u32::MAX;

/// Ranges, 32 bytes each beside their names.
#[derive(Default)]
pub(crate) struct Ranges {
    kept: Vec<Kept>,
    lanes: Vec<Lane>,
    by_key: QuickMap<Box<[u8]>, u32>,
    /// The lane found last, and its key: events of one thread come in long runs.
    recent: (Vec<u8>, u32),
    key: Vec<u8>,
    names: Names,
}

struct Kept {
    start: i64,
    end: i64,
    lane: u32,
    name: u32,
    payload: u32,
    style: Style,
}

/// How a range began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// It has a begin and an end on one thread.
    PushPop,
    /// It is an instant.
    Mark,
}

/// One thread and domain: where ranges nest.
struct Lane {
    device: bool,
    process: Option<i64>,
    thread: Option<i64>,
    domain: u32,
}

/// Which thread and domain a range is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain<'a> {
    /// What the program named on a host thread; `cat` unless that is `user_annotation`.
    Host(&'a str),
    /// The same as a device saw it: `pid` is the device and `tid` the stream.
    Device,
}

impl Ranges {
    /// Takes a range; `end` is `None` for a mark, and for one that never ended. Device ranges get
    /// `{"device":..,"queue":..}` as payload, others the one that is given.
    pub(crate) fn add(
        &mut self,
        event: &Event<'_>,
        name: &str,
        domain: Domain<'_>,
        (style, start, end): (Style, i64, Option<i64>),
        payload: Option<&str>,
    ) {
        let lane = self.lane(event, domain);
        let payload = match (domain, payload) {
            (Domain::Device, _) => self.names.number(&place(event)),
            (Domain::Host(_), Some(text)) => self.names.number(text),
            (Domain::Host(_), None) => NO_TEXT,
        };
        let name = self.names.number(name);
        self.kept.push(Kept { start, end: end.unwrap_or(NONE), lane, name, payload, style });
    }

    fn lane(&mut self, event: &Event<'_>, domain: Domain<'_>) -> u32 {
        let name = match domain {
            Domain::Host(name) => name,
            Domain::Device => "gpu",
        };
        self.key.clear();
        for part in [event.pid, b"\0", event.tid, b"\0", name.as_bytes()] {
            self.key.extend_from_slice(part);
        }
        if self.recent.0 == self.key && !self.lanes.is_empty() {
            return self.recent.1;
        }
        let number = self.by_key.get(self.key.as_slice()).copied().unwrap_or_else(|| {
            let host = matches!(domain, Domain::Host(_));
            let of_host = |text| integer(text).filter(|_| host);
            let domain = if name.is_empty() { NO_TEXT } else { self.names.number(name) };
            self.lanes.push(Lane { device: !host, process: of_host(event.pid), thread: of_host(event.tid), domain });
            let number = self.lanes.len() as u32 - 1;
            self.by_key.insert(self.key.as_slice().into(), number);
            number
        });
        self.recent.0.clone_from(&self.key);
        self.recent.1 = number;
        number
    }

    /// Takes a nanosecond off both ends of every device range: Kineto draws one from 1 ns before its first work to 1 ns
    /// behind its last. Files of whole microseconds cannot show that, and are left as they are.
    pub(crate) fn narrow(&mut self) {
        for kept in &mut self.kept {
            let known = kept.end != NONE && self.lanes[kept.lane as usize].device;
            if known && kept.end.saturating_sub(kept.start) >= 2 {
                kept.start += 1;
                kept.end -= 1;
            }
        }
    }

    /// Hands all ranges over, in the order of the file.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn finish(self, import: &mut Import<'_>) -> Result<(), Error> {
        let text = |number| (number != NO_TEXT).then(|| self.names.name(number));
        for (id, (kept, (parent, depth))) in self.kept.iter().zip(self.nesting()).enumerate() {
            let lane = &self.lanes[kept.lane as usize];
            import.put(&Range {
                id: id as i64,
                parent: parent.map(i64::from),
                process: lane.process,
                thread: lane.thread,
                end_thread: lane.thread.filter(|_| kept.style == Style::PushPop),
                domain: text(lane.domain),
                name: self.names.name(kept.name),
                style: if kept.style == Style::Mark { "mark" } else { "push_pop" },
                start_ns: kept.start,
                end_ns: Some(kept.end).filter(|end| *end != NONE),
                depth: Some(i64::from(depth)),
                payload: text(kept.payload),
            })?;
        }
        Ok(())
    }

    /// Parent and depth of each range: a sweep of each lane with the stack of what is open. A range is inside another
    /// when that one begins no later and ends no earlier; of two equal ones the earlier in the file is outside. One that
    /// outlasts the range it began in ends it for this purpose.
    fn nesting(&self) -> Vec<(Option<u32>, u32)> {
        let last = |kept: &Kept| if kept.style == Style::Mark { kept.start } else { kept.end };
        let mut order: Vec<u32> = (0..self.kept.len() as u32).collect();
        order.sort_unstable_by_key(|&index| {
            let kept = &self.kept[index as usize];
            (kept.lane, kept.start, Reverse(last(kept)), index)
        });
        let mut nesting = vec![(None, 0); self.kept.len()];
        let mut open: Vec<u32> = Vec::new();
        let mut lane = None;
        for index in order {
            let kept = &self.kept[index as usize];
            if lane.replace(kept.lane) != Some(kept.lane) {
                open.clear();
            }
            while let Some(top) = open.last().map(|top| &self.kept[*top as usize]) {
                if top.end > kept.start && top.end >= last(kept) {
                    break;
                }
                open.pop();
            }
            nesting[index as usize] = (open.last().copied(), open.len() as u32);
            if kept.style == Style::PushPop {
                open.push(index);
            }
        }
        nesting
    }
}

/// Where a device range was, as JSON.
fn place(event: &Event<'_>) -> String {
    let number = |text| integer(text).map_or_else(|| "null".to_owned(), |number| number.to_string());
    format!(r#"{{"device":{},"queue":{}}}"#, number(event.pid), number(event.tid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nesting(ranges: &[(&'static [u8], i64, Option<i64>, Style)]) -> Vec<(Option<u32>, u32)> {
        let mut all = Ranges::default();
        for (thread, start, end, style) in ranges {
            let event = Event { pid: b"1", tid: thread, ..Event::default() };
            all.add(&event, "name", Domain::Host(""), (*style, *start, *end), None);
        }
        all.nesting()
    }

    #[test]
    fn ranges_nest_on_their_thread_in_any_order() {
        use Style::{Mark, PushPop};
        let found = nesting(&[
            (b"1", 2, Some(4), PushPop),
            (b"1", 0, Some(10), PushPop),
            (b"2", 1, Some(3), PushPop),
            (b"1", 0, Some(10), PushPop),
            (b"1", 4, Some(9), PushPop),
            (b"1", 3, None, Mark),
            (b"1", 10, Some(12), PushPop),
        ]);
        assert_eq!(found, [(Some(3), 2), (None, 0), (None, 0), (Some(1), 1), (Some(3), 2), (Some(0), 3), (None, 0)]);
    }

    #[test]
    fn a_range_that_outlasts_its_surroundings_ends_them() {
        use Style::PushPop;
        let found = nesting(&[(b"1", 0, Some(5), PushPop), (b"1", 3, Some(8), PushPop), (b"1", 4, Some(5), PushPop)]);
        assert_eq!(found, [(None, 0), (None, 0), (Some(1), 1)]);
    }

    #[test]
    fn one_that_never_ended_encloses_what_follows() {
        use Style::PushPop;
        assert_eq!(nesting(&[(b"1", 0, None, PushPop), (b"1", 3, Some(8), PushPop)]), [(None, 0), (Some(0), 1)]);
    }
}
