//! Early rejection: who would miss what was agreed on is refused before it costs anything (Mooncake, FAST 2025, section 6).

use super::{Admission, Asked};
use crate::policy::State;
use crate::steps::Batch;
use crate::{Device, Role, Tier, View};

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
            step_ns = step_ns.min(spec.steps.step_ns(&beside(spec, state, context)));
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

/// The batch that the request would decode in: with all who are there, since those who wait decode before it, as far as a
/// batch goes. Chunks of prompts that come later, which make some of its steps longer, are not known.
fn beside(spec: &Device, state: &State, context: u64) -> Batch {
    let all = u64::from(state.requests()) + 1;
    let sequences = all.min(u64::from(spec.most_sequences.max(1)));
    Batch { sequences, kv_tokens: context * sequences / all, ..Batch::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;
    use crate::{Ask, Cluster, Cost, Link, Request, Slo, StepModel};

    #[test]
    fn those_who_wait_will_decode_beside_it() {
        let compute = Cost { constant: 1000.0, sequence: 100.0, kv_token: 1.0, ..Cost::default() };
        let steps = StepModel { compute, ..StepModel::default() };
        let mixed = Device { steps, kv_capacity_tokens: 1 << 20, most_sequences: 8, ..device(Role::Mixed) };
        let link = Link { bytes_per_s: 1.0, latency_ns: 0 };
        let cluster =
            Cluster { name: "c".to_owned(), devices: vec![mixed], link, numa_link: None, kv_bytes_per_token: 1 };
        let request = Request { prompt_tokens: 50, output_tokens: 9, ..Request::default() };
        let ask = Ask { number: 0, request: &request, cached_tokens: &[0], prefilled_on: None };
        let admits = |waiting, tpot_ns| {
            let state = State { up: true, waiting, running: 1, kv_tokens: 150, ..State::default() };
            let view = View { now_ns: 0, cluster: &cluster, devices: &[state] };
            let slo = Slo { ttft_ns: 1000, tpot_ns };
            Predicted::default().admit(&Asked { ask, device: 0, predicted_ttft_ns: 0, slo }, &view)
        };
        // 1000 + 100 (1 + 1) + 200; two more who wait are 200 ns more.
        let above = Err("predicted TPOT is above the SLO");
        assert_eq!((admits(0, 1400), admits(0, 1399)), (Ok(()), above));
        assert_eq!((admits(2, 1600), admits(2, 1599)), (Ok(()), above));
        // Of twenty only eight decode at a time, over eight twentieths of the tokens.
        assert_eq!((admits(18, 1880), admits(18, 1879)), (Ok(()), above));
    }
}
