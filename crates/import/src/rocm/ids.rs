//! Numbers of rows, and the calls that rows refer to.

use std::collections::HashMap;

use proftool_trace::rows::CounterDef;

use crate::Error;
use crate::raw::Import;

/// The next free number of each kind of row, and the counters that have one.
#[derive(Default)]
pub(crate) struct Ids {
    pub(crate) activity: i64,
    pub(crate) call: i64,
    pub(crate) range: i64,
    pub(crate) launch: i64,
    defs: HashMap<Box<str>, i64>,
}

/// A number, and moves on to the next.
pub(crate) fn take(next: &mut i64) -> i64 {
    *next += 1;
    *next - 1
}

impl Ids {
    /// The number of a counter, which is defined when it comes first.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub(crate) fn def(&mut self, metric: &str, unit: Option<&str>, import: &mut Import<'_>) -> Result<i64, Error> {
        if let Some(def) = self.defs.get(metric) {
            return Ok(*def);
        }
        let def = self.defs.len() as i64;
        let tool = Some("rocprofv3");
        import.put(&CounterDef { def, metric, unit, source: "counter", tool, ..CounterDef::default() })?;
        self.defs.insert(metric.into(), def);
        Ok(def)
    }
}

/// The calls of one process by rocprofiler's internal correlation id.
///
/// The call that caused a record is the one with the same id. A traced HIP call that reaches the GPU through a traced HSA
/// call leaves the id of the inner one on the record. Should two calls have one id, the first row counts.
#[derive(Default)]
pub(crate) struct Callers(Vec<(i64, i64)>);

impl Callers {
    /// Adds a call; one without a correlation id is nobody's.
    pub(crate) fn add(&mut self, correlation: Option<i64>, call: i64) {
        self.0.extend(correlation.map(|correlation| (correlation, call)));
    }

    /// To be called when all calls are known and before they are asked for.
    pub(crate) fn close(&mut self) {
        self.0.sort_unstable();
    }

    /// The call that caused a record.
    #[inline]
    pub(crate) fn get(&self, correlation: Option<i64>) -> Option<i64> {
        let correlation = correlation?;
        let at = self.0.partition_point(|(other, _)| *other < correlation);
        self.0.get(at).filter(|(other, _)| *other == correlation).map(|(_, call)| *call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_with_the_same_correlation_is_the_caller() {
        let mut callers = Callers::default();
        for (id, call) in [(Some(9), 0), (None, 1), (Some(4), 2), (Some(9), 3)] {
            callers.add(id, call);
        }
        callers.close();
        assert_eq!([Some(9), Some(4), Some(5), None].map(|id| callers.get(id)), [Some(0), Some(2), None, None]);
    }
}
