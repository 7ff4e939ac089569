//! What tests need and rarely care about.

use crate::{Device, Outcome, Role, Status, StepModel, Tier};

/// A device that takes no time, with one of everything and no price.
pub(crate) fn device(role: Role) -> Device {
    Device {
        name: "d".to_owned(),
        role,
        steps: StepModel::default(),
        kv_capacity_tokens: 1,
        step_tokens: 1,
        most_sequences: 1,
        cost_per_hour: 0.0,
        watts: None,
        numa: 0,
    }
}

/// A request of 100 tokens, 25 of them cached, that arrived at 0 and was served.
pub(crate) fn outcome(first_token_ns: i64, end_ns: i64, output_tokens: u32) -> Outcome {
    Outcome {
        request: 0,
        arrival_ns: 0,
        first_token_ns: Some(first_token_ns),
        end_ns,
        prompt_tokens: 100,
        output_tokens,
        cached_tokens: 25,
        tier: Tier::Standard,
        prefill_device: Some(0),
        decode_device: Some(0),
        predicted_ttft_ns: 0,
        migrations: 0,
        preemptions: 0,
        status: Status::Ok,
    }
}
