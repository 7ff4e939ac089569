//! The course's early rejection: the free tier first.

use super::{Admission, Asked, Predicted};
use crate::{Tier, View};

/// Refuses requests of the free tier above a limit of their own, and others as it is told to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyRejection {
    /// Predicted TTFT above which a request of the free tier is refused; none where no limit holds.
    pub free_ttft_ns: Option<i64>,
    /// Whom else it refuses: those who would miss what was agreed on with their tier; nobody without.
    pub predicted: Option<Predicted>,
}

impl Default for EarlyRejection {
    /// The course's: 500 ms, and everybody who would miss the SLO.
    fn default() -> Self {
        Self { free_ttft_ns: Some(500_000_000), predicted: Some(Predicted::default()) }
    }
}

impl Admission for EarlyRejection {
    fn name(&self) -> &'static str {
        "early_rejection"
    }

    fn admit(&mut self, asked: &Asked<'_>, view: &View<'_>) -> Result<(), &'static str> {
        let free = asked.ask.request.tier == Tier::Free;
        if free && self.free_ttft_ns.is_some_and(|limit_ns| asked.predicted_ttft_ns > limit_ns) {
            return Err("predicted TTFT is above the limit of the free tier");
        }
        self.predicted.as_mut().map_or(Ok(()), |predicted| predicted.admit(asked, view))
    }
}
