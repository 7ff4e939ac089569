//! NVTX ranges, of markers for their starts and ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use proftool_trace::rows::Range;

use super::{ABSENT, Clock, Content, optional};

/// Flags of a marker (`CUPTI_ACTIVITY_FLAG_MARKER_*`).
const MARK: i64 = 1;
const START: i64 = 2;
const END: i64 = 4;
/// `CUpti_MetricValueKind` of the payloads that NVTX has.
const DOUBLE: i64 = 0;
const UNSIGNED: i64 = 1;
const SIGNED: i64 = 4;

/// Markers of one identifier.
#[derive(Default)]
struct Pair {
    start: Option<[i64; 7]>,
    end: Option<[i64; 7]>,
}

/// The ranges with their payloads as text, by thread and start; and how many ends had no start. A range whose start and
/// end are on one thread counts as pushed and popped: CUPTI does not tell them from those started and ended.
pub(crate) fn ranges<'a>(content: &'a Content, clock: &Clock) -> (Vec<(Range<'a>, Option<String>)>, u64) {
    let mut pairs: BTreeMap<i64, Pair> = BTreeMap::new();
    for row in content.rows::<7>(*b"mark") {
        let pair = pairs.entry(row[0]).or_default();
        if row[1] & END == 0 {
            pair.start = Some(row);
        } else {
            pair.end = Some(row);
        }
    }
    let payloads = payloads(content);
    let lost = pairs.values().filter(|pair| pair.start.is_none()).count() as u64;
    let whole = pairs.iter().filter_map(|(id, pair)| {
        let range = range(content, clock, pair.start?, pair.end);
        Some((range, payloads.get(id).cloned().flatten()))
    });
    let mut ranges: Vec<_> = whole.collect();
    ranges.sort_by_key(|(range, _)| (range.thread, range.start_ns, Reverse(range.end_ns.unwrap_or(i64::MAX))));
    nest(&mut ranges);
    (ranges, lost)
}

fn range<'a>(content: &'a Content, clock: &Clock, start: [i64; 7], end: Option<[i64; 7]>) -> Range<'a> {
    let mark = start[1] & MARK != 0 && start[1] & START == 0;
    let thread = optional(start[4]);
    let end_thread = end.and_then(|end| optional(end[4]));
    let crossing = end_thread.is_some() && end_thread != thread;
    Range {
        process: optional(start[3]),
        thread,
        end_thread,
        domain: content.text(start[6]),
        name: content.text(start[5]).unwrap_or_default(),
        style: if mark {
            "mark"
        } else if crossing {
            "start_end"
        } else {
            "push_pop"
        },
        start_ns: clock.session(start[2]),
        end_ns: end.filter(|_| !mark).map(|end| clock.session(end[2])),
        ..Range::default()
    }
}

/// Numbers ranges that stand by thread and start, and finds the parent of each: the innermost open one that holds it.
fn nest(ranges: &mut [(Range<'_>, Option<String>)]) {
    let mut open: Vec<(i64, i64)> = Vec::new();
    let mut thread = None;
    for (id, (range, _)) in ranges.iter_mut().enumerate() {
        range.id = id as i64;
        if thread != Some(range.thread) {
            (thread, open) = (Some(range.thread), Vec::new());
        }
        if range.style == "start_end" {
            continue;
        }
        let end = if range.style == "mark" { range.start_ns } else { range.end_ns.unwrap_or(i64::MAX) };
        while open.last().is_some_and(|(_, outer)| *outer <= range.start_ns || *outer < end) {
            open.pop();
        }
        range.parent = open.last().map(|(id, _)| *id);
        range.depth = Some(open.len() as i64);
        if range.style == "push_pop" {
            open.push((range.id, end));
        }
    }
}

/// Payloads by identifier, behind their category: `category=5, 4096`.
fn payloads(content: &Content) -> HashMap<i64, Option<String>> {
    let text = |[id, kind, payload, category]: [i64; 4]| {
        let value = match kind {
            // A marker without a payload has this kind and a payload of 0.
            DOUBLE if payload != 0 => {
                Some(f64::from_bits(payload.cast_unsigned())).filter(|v| v.is_finite()).map(|v| v.to_string())
            }
            UNSIGNED => Some(payload.cast_unsigned().to_string()),
            SIGNED => Some(payload.to_string()),
            _ => None,
        };
        let category =
            Some(category).filter(|category| ![0, ABSENT].contains(category)).map(|c| format!("category={c}"));
        let parts: Vec<_> = category.into_iter().chain(value).collect();
        (id, (!parts.is_empty()).then(|| parts.join(", ")))
    };
    content.rows::<4>(*b"mdat").map(text).collect()
}
