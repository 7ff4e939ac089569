//! Operations that one group of tensor counters says a launch did.

use super::sum::{Moment, Sum, Term};
use crate::Precision;

/// Operations of one group of counters.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) precision: Precision,
    /// All of them, where the page has the aggregate.
    pub(super) total: Option<Term>,
    /// Dense ones; of an aggregate the rest.
    pub(super) dense: Sum,
    /// Sparse ones, where the page tells them apart.
    pub(super) sparse: Sum,
    /// Whether `dense` and `sparse` are everything that the aggregate adds up.
    pub(super) split: bool,
    /// Whether nothing of the group is missing on the page.
    pub(super) complete: bool,
}

/// What a launch did in one group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Done {
    pub(super) dense: f64,
    pub(super) sparse: f64,
    /// Whether all of it was counted.
    pub(super) whole: bool,
    /// By what factor the parts differ from the aggregate, where they should be equal.
    pub(super) mismatch: Option<f64>,
}

impl Group {
    pub(super) fn done(&self, values: &[f64], moment: &Moment) -> Done {
        let (dense, dense_whole) = self.dense.any(values, moment);
        let (sparse, sparse_whole) = self.sparse.any(values, moment);
        let parts = dense.unwrap_or(0.0) + sparse.unwrap_or(0.0);
        let Some(total) = self.total.and_then(|term| term.value(values, moment)) else {
            let whole = self.split && self.complete && dense_whole && sparse_whole && parts.is_finite();
            return Done { dense: dense.unwrap_or(0.0), sparse: sparse.unwrap_or(0.0), whole, mismatch: None };
        };
        let sparse = sparse.unwrap_or(0.0).min(total);
        let known = self.split && dense_whole && sparse_whole && total > 0.0 && parts.is_finite();
        // Rates are printed with two decimals: allow for that before calling the parts unequal.
        let mismatch = known.then(|| parts / total).filter(|ratio| (ratio - 1.0).abs() > 0.01);
        Done { dense: total - sparse, sparse, whole: self.complete, mismatch }
    }

    /// The metric to name when the parts differ from the aggregate.
    pub(super) fn slot(&self) -> Option<usize> {
        self.total.map(|term| term.slot)
    }
}
