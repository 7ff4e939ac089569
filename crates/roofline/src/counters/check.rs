//! Two counts of one thing on a page: a total and its parts, which must be equal.

use super::page::Page;
use super::sum::{Moment, Sum, Term};

/// By how much the parts may differ from the total.
const SLACK: f64 = 0.01;

/// A total and its parts, both counts.
#[derive(Clone, Debug)]
pub(super) struct Check {
    total: Term,
    parts: Sum,
}

impl Check {
    /// All bytes of DRAM and those read and written, where the page counts both.
    pub(super) fn dram(page: &mut Page<'_>) -> Option<Self> {
        let mut slot = |name: &str| page.slot(&format!("dram__bytes{name}.sum"));
        let reads = slot("_read").or_else(|| slot("_op_read"))?;
        let writes = slot("_write").or_else(|| slot("_op_write"))?;
        let total = Term::count(slot("")?, 1.0);
        Some(Self { total, parts: Sum(vec![Term::count(reads, 1.0), Term::count(writes, 1.0)]) })
    }

    /// The slot of the total, and the parts divided by it where they are not equal. A total of zero is taken as one.
    pub(super) fn mismatch(&self, values: &[f64], moment: &Moment) -> Option<(usize, f64)> {
        let (total, parts) = self.total.value(values, moment).zip(self.parts.all(values, moment))?;
        let differ = (parts - total).abs() > SLACK * total;
        differ.then(|| (self.total.slot, parts / total.max(1.0)))
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::super::SuspicionKind;
    use super::super::tests::counted;
    use crate::Level;

    #[test]
    fn dram_bytes_that_are_not_those_read_and_written_are_flagged() {
        let page = |total, writes| {
            let metrics =
                [("dram__bytes.sum", total), ("dram__bytes_read.sum", 5e6), ("dram__bytes_write.sum", writes)];
            let found = counted(&metrics, None, Some("sm_80"));
            (found.counts.bytes_of(Level::Dram), found.suspicious)
        };
        // 5 and 6 MB are 11 times the 1 MB of the total, which is kept.
        let (bytes, suspicious) = page(1e6, 6e6);
        assert_eq!(
            (bytes, suspicious[0].kind, suspicious[0].value),
            (Some(1e6), SuspicionKind::AggregateMismatch, 11.0)
        );
        assert_eq!(&*suspicious[0].metric, "dram__bytes.sum");
        // 10.05 of 10 MB is half a percent; nothing at all is equal to nothing.
        assert!(page(10e6, 5.05e6).1.is_empty());
        assert_eq!(page(0.0, 0.0).1[0].value, 5e6);
    }
}
