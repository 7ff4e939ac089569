//! Whether a request is served at all, one rule a file.

mod early_rejection;
mod none;
mod predicted;
mod queue;

use crate::{Ask, Slo, Tier, View};

pub use early_rejection::EarlyRejection;
pub use none::Everyone;
pub use predicted::Predicted;
pub use queue::QueueThreshold;

/// A rule of admission. It is asked after the policy has chosen a device, and before the request is placed there.
pub trait Admission: Send {
    /// Its name: the value of `--admission`, and the stem of its source file.
    fn name(&self) -> &'static str;

    /// Accepts the request, or says why not.
    ///
    /// # Errors
    /// The reason, which the outcome states.
    fn admit(&mut self, asked: &Asked<'_>, view: &View<'_>) -> Result<(), &'static str>;
}

/// What is to be decided.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request.
    pub ask: Ask<'a>,
    /// Where it would go.
    pub device: usize,
    /// Its predicted time to first token there.
    pub predicted_ttft_ns: i64,
    /// What was agreed on for its tier.
    pub slo: Slo,
}

/// What is agreed on with each tier: premium, standard and free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slos(pub [Slo; 3]);

impl Slos {
    /// Of a tier.
    pub fn of(&self, tier: Tier) -> Slo {
        self.0[tier as usize]
    }
}

impl Default for Slos {
    /// Those of the course's early rejection: 200, 500 and 1000 ms to the first token, 30, 50 and 100 ms a token.
    fn default() -> Self {
        let slo = |ttft_ms: i64, tpot_ms: i64| Slo { ttft_ns: ttft_ms * 1_000_000, tpot_ns: tpot_ms * 1_000_000 };
        Self([slo(200, 30), slo(500, 50), slo(1000, 100)])
    }
}
