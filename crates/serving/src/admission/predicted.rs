//! Early rejection: who would miss what was agreed on is refused before it costs anything (Mooncake, FAST 2025, section 6).

use super::{Admission, Asked};
use crate::steps::Batch;
use crate::{Role, Tier, View};

/// Refuses a request whose predicted TTFT or TPOT is above what was agreed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Times the agreed value that a prediction may be.
    pub slack: f64,
    /// Share of every decode device's KV memory that is kept for premium requests.
    pub reserved_ratio: f64,
}

impl Default for Predicted {
    fn default() -> Self {
        Self { slack: 1.0, reserved_ratio: 0.0 }
    }
}

impl Admission for Predicted {
    fn name(&self) -> &'static str {
        "predicted"
    }

    fn admit(&mut self, asked: &Asked<'_>, view: &View<'_>) -> Result<(), &'static str> {
        if asked.predicted_ttft_ns as f64 > asked.slo.ttft_ns as f64 * self.slack {
            return Err("predicted TTFT is above the SLO");
        }
        let request = asked.ask.request;
        let able = (0..view.devices.len()).filter(|&device| {
            let role = view.cluster.devices[device].role;
            let here = role == Role::Mixed && device == asked.device;
            let apart = role.decodes() && view.cluster.devices[asked.device].role == Role::Prefill;
            view.devices[device].up && (here || apart)
        });
        let (mut step_ns, mut free) = (i64::MAX, false);
        for device in able {
            let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
            let context = state.kv_tokens + u64::from(request.prompt_tokens);
            let batch = Batch { sequences: u64::from(state.running) + 1, kv_tokens: context, ..Batch::default() };
            step_ns = step_ns.min(spec.steps.step_ns(&batch));
            free |= context as f64 <= spec.kv_capacity_tokens as f64 * (1.0 - self.reserved_ratio);
        }
        if step_ns == i64::MAX {
            return Err("no device decodes");
        }
        // Nobody knows the output length yet; a single token has no TPOT to miss.
        if step_ns as f64 > asked.slo.tpot_ns as f64 * self.slack {
            return Err("predicted TPOT is above the SLO");
        }
        if request.tier != Tier::Premium && self.reserved_ratio > 0.0 && !free {
            return Err("the free memory is reserved for premium requests");
        }
        Ok(())
    }
}
