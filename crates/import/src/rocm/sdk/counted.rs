//! Counters of launches.

use std::borrow::Cow;

use proftool_trace::rows::Counter;

use super::{Counting, Process, Reader};
use crate::Error;
use crate::rocm::ids::take;
use crate::rocm::records::Counted;

impl Reader<'_, '_> {
    /// The counters of a launch. Values of one counter are those of the instances of a hardware block, and add up, as
    /// rocprofv3's own tables have it. A launch that was replayed comes again: it keeps the first value of a counter.
    pub(super) fn counted(&mut self, counted: Counted, process: &mut Process) -> Result<(), Error> {
        if process.agents.device(counted.dispatch.agent).is_none() {
            let number = counted.dispatch.dispatch.unwrap_or_default();
            self.import.bad_row("unknown_device", || {
                format!("counter_collection with dispatch_id {number}: its agent is no GPU")
            });
            return Ok(());
        }
        let mut sums: Vec<(i64, f64)> = Vec::new();
        for (counter, value) in counted.values {
            let Some(value) = value else { continue };
            let def = self.def(counter, process)?;
            match sums.iter_mut().find(|(other, _)| *other == def) {
                Some((_, sum)) => *sum += value,
                None => sums.push((def, value)),
            }
        }
        let known = counted.dispatch.dispatch.and_then(|dispatch| process.counted.get(&dispatch).copied());
        let at = known.unwrap_or(process.launches.len());
        if known.is_none() {
            let launch = take(&mut self.ids.launch);
            process.counted.extend(counted.dispatch.dispatch.map(|dispatch| (dispatch, at)));
            process.launches.push(Counting { launch, dispatch: counted.dispatch, defs: Vec::new() });
        }
        let Counting { launch, defs, .. } = &mut process.launches[at];
        for (def, value) in sums {
            if !defs.contains(&def) {
                defs.push(def);
                self.import.put(&Counter { launch: *launch, def, value: Some(value) })?;
            }
        }
        Ok(())
    }

    fn def(&mut self, counter: i64, process: &Process) -> Result<i64, Error> {
        let metric = match process.counters.get(&counter) {
            Some(metric) => Cow::Borrowed(&**metric),
            None => Cow::Owned(format!("counter {counter}")),
        };
        self.ids.def(&metric, None, self.import)
    }
}
