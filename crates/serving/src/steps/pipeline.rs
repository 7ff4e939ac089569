//! Replicas in stages.

use super::Batch;

/// Stages in sequence, each with its share of the layers.
///
/// A step is split into `m` micro-batches, as many as there are chunks of `micro_tokens` or requests that decode, at most
/// one a stage. A stage computes one in `s = (base_ns + max(compute, memory)) / stages + hop`, costs of a micro-batch on the
/// whole model. The first leaves the last stage after `stages x s` and each other `s` later: `(m + p - 1) s` for all (Huang
/// et al. 2019, GPipe; of the chunks of one prompt: Agrawal et al. 2024, Sarathi-Serve, and Qin et al. 2025, Mooncake).
/// Prompts alone let the first stage begin with the next step after `m s`, so that a long prompt flows through without a
/// bubble; a request that decodes is there again after `p s`, when its token is known. Micro-batches of a step count as
/// equal, and tokens of decoding requests as there at the end of their step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pipeline {
    /// How many; 0 and 1 are none.
    pub stages: u32,
    /// Tokens of a micro-batch, at most.
    pub micro_tokens: u32,
    /// What a stage waits for the one before it, of each micro-batch.
    pub hop_ns: f64,
    /// The same for each of its tokens.
    pub hop_token_ns: f64,
}

impl Pipeline {
    /// Stages, at least 1.
    pub fn depth(&self) -> u64 {
        u64::from(self.stages.max(1))
    }

    /// Micro-batches of a step.
    pub(super) fn micro_batches(&self, batch: &Batch) -> u64 {
        let chunks = batch.prefill_tokens.div_ceil(u64::from(self.micro_tokens.max(1)));
        chunks.max(batch.sequences).clamp(1, self.depth())
    }
}
