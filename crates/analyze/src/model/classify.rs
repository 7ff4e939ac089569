//! The class of each activity, by the rules.

use std::collections::HashMap;

use super::{Call, DeviceKey, Model};
use crate::classes::{Class, Facts, Rules};
use crate::operators::{Span, contains, union};

/// By thread, what [`Rules::lists_of`] says of the ranges and when they were open.
type RangeLists = HashMap<u32, Vec<(u64, Vec<Span>)>>;

/// The lists of which a range was open when a call began.
fn lists_at(lists: &RangeLists, call: &Call) -> u64 {
    let sets = lists.get(&call.thread).map_or(&[][..], Vec::as_slice);
    let open = sets.iter().filter(|(_, set)| contains(set, call.span.0));
    open.fold(0, |bits, (more, _)| bits | more)
}

impl Model {
    /// Gives each activity its class. The answer is kept for each set of [`Facts`], of which there are few.
    pub(super) fn classify(&mut self, rules: &Rules) {
        let lists = self.range_lists(rules);
        let roles: HashMap<(DeviceKey, i64), &str> = self
            .queues
            .iter()
            .filter_map(|queue| Some(((queue.device, queue.queue), queue.role.as_deref()?)))
            .collect();
        let mut known = HashMap::new();
        for row in &mut self.activities {
            let role =
                row.queue.filter(|_| !roles.is_empty()).and_then(|queue| roles.get(&(row.device, queue)).copied());
            let call = row.call.filter(|_| !lists.is_empty()).map(|call| &self.calls[call as usize]);
            let launched_in = call.map_or(0, |call| lists_at(&lists, call));
            let (kind, copy_kind) = (row.kind, row.copy_kind);
            row.rule = *known.entry((kind, row.name, role, copy_kind, launched_in)).or_insert_with(|| {
                rules.find(&Facts { kind, name: self.names.text(row.name), role, copy_kind, launched_in })
            });
            row.class = row.rule.map_or(Class::Compute, |rule| rules.class(rule));
        }
        self.rules = rules.names();
    }

    /// When ranges of each list of [`Rules::lists_of`] were open on each host thread.
    fn range_lists(&self, rules: &Rules) -> RangeLists {
        let mut bits: HashMap<u32, u64> = HashMap::new();
        let mut spans: HashMap<u32, HashMap<u64, Vec<Span>>> = HashMap::new();
        // What a profiler drew on a device says nothing of a host thread.
        for range in self.ranges.iter().filter(|range| range.place.is_none()) {
            let bits = *bits.entry(range.name).or_insert_with(|| rules.lists_of(self.names.text(range.name)));
            if bits != 0 {
                let thread = spans.entry(range.thread).or_default();
                thread.entry(bits).or_default().push(range.span);
            }
        }
        let unions =
            |spans: HashMap<u64, Vec<Span>>| spans.into_iter().map(|(bits, spans)| (bits, union(&spans))).collect();
        spans.into_iter().map(|(thread, spans)| (thread, unions(spans))).collect()
    }
}
