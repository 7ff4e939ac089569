//! The decision of the course's dynamic routing for many requests at once: compute the prompt elsewhere, and serve it at all.
//!
//! A prompt is offloaded to a prefill device when more than `prompt_length_threshold` of its tokens are not cached and fewer
//! than `prefill_queue_limit` requests wait there. A request is admitted when the queues' estimate
//! `prefill_queue x prefill_ms + decode_queue x decode_ms` is within the TTFT limit; of those above it only low priority is
//! refused.

/// State of the cluster and limits: one for a batch of decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Tokens that are not cached, above which a prompt is offloaded.
    pub prompt_length_threshold: u32,
    /// Requests that wait for prefill devices.
    pub prefill_queue: u32,
    /// Limit of those.
    pub prefill_queue_limit: u32,
    /// Requests that wait for decode devices.
    pub decode_queue: u32,
    /// Estimated time of a waiting prompt, and of a waiting decode, in ms.
    pub prefill_ms: u32,
    /// The second.
    pub decode_ms: u32,
    /// Limit of the estimate, in ms.
    pub ttft_limit_ms: u32,
}

impl Default for Rule {
    /// The course's numbers, and empty queues.
    fn default() -> Self {
        Self {
            prompt_length_threshold: 100,
            prefill_queue: 0,
            prefill_queue_limit: 10,
            decode_queue: 0,
            prefill_ms: 50,
            decode_ms: 10,
            ttft_limit_ms: 500,
        }
    }
}

/// Bit of a decision: the prompt is computed on a prefill device.
pub const OFFLOAD: u8 = 1;
/// Bit of a decision: the request is served.
pub const ADMIT: u8 = 2;

/// Requests to decide about, column by column: all of one length.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    /// Prompt tokens.
    pub prompt_tokens: &'a [u32],
    /// Those of them that are cached.
    pub cached_tokens: &'a [u32],
    /// Whether the request is of low priority: 0 or 1.
    pub low_priority: &'a [u8],
}

impl Rule {
    fn room(&self) -> bool {
        self.prefill_queue < self.prefill_queue_limit
    }

    fn within(&self) -> bool {
        let wait_ms = u64::from(self.prefill_queue) * u64::from(self.prefill_ms)
            + u64::from(self.decode_queue) * u64::from(self.decode_ms);
        wait_ms <= u64::from(self.ttft_limit_ms)
    }

    /// Decides about one request.
    pub fn one(&self, prompt_tokens: u32, cached_tokens: u32, low_priority: bool) -> u8 {
        let mut decision = 0;
        if prompt_tokens.saturating_sub(cached_tokens) > self.prompt_length_threshold && self.room() {
            decision |= OFFLOAD;
        }
        if self.within() || !low_priority {
            decision |= ADMIT;
        }
        decision
    }

    /// Decides about one request after the other, into `decisions`: what the columns have in common.
    pub fn scalar(&self, requests: &Requests<'_>, decisions: &mut [u8]) {
        let columns = requests.prompt_tokens.iter().zip(requests.cached_tokens).zip(requests.low_priority);
        for (((&prompt, &cached), &low), decision) in columns.zip(decisions) {
            // A black box keeps the compiler from making the other version of this one.
            *decision = std::hint::black_box(self.one(prompt, cached, low != 0));
        }
    }

    /// The same for as many requests at a time as a vector holds.
    pub fn simd(&self, requests: &Requests<'_>, decisions: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just detected.
                return unsafe { self.avx2(requests, decisions) };
            }
        }
        self.columns(requests, decisions);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn avx2(&self, requests: &Requests<'_>, decisions: &mut [u8]) {
        self.columns(requests, decisions);
    }

    /// Without a branch, so that the compiler makes vectors of it in the instruction set of its caller.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must be compiled with the target features of its caller")]
    fn columns(&self, requests: &Requests<'_>, decisions: &mut [u8]) {
        let offload = if self.room() { OFFLOAD } else { 0 };
        let (all, refused) = (if self.within() { ADMIT } else { 0 }, if self.within() { 0 } else { ADMIT });
        let columns = requests.prompt_tokens.iter().zip(requests.cached_tokens).zip(requests.low_priority);
        for (((&prompt, &cached), &low), decision) in columns.zip(decisions) {
            let long = u8::from(prompt.saturating_sub(cached) > self.prompt_length_threshold);
            *decision = (offload & long.wrapping_neg()) | all | (refused & low.min(1).wrapping_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_versions_decide_as_the_rule_says(
            rows in prop::collection::vec((0_u32..400, 0_u32..400, 0_u8..3), 0..200),
            (prefill_queue, decode_queue) in (0_u32..20, 0_u32..60),
        ) {
            let rule = Rule { prefill_queue, decode_queue, ..Rule::default() };
            let prompt: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let cached: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let low: Vec<u8> = rows.iter().map(|row| row.2).collect();
            let requests = Requests { prompt_tokens: &prompt, cached_tokens: &cached, low_priority: &low };
            let expected: Vec<u8> = rows
                .iter()
                .map(|&(prompt, cached, low)| {
                    let offload = i64::from(prompt) - i64::from(cached) > 100 && prefill_queue < 10;
                    let admit = prefill_queue * 50 + decode_queue * 10 <= 500 || low == 0;
                    u8::from(offload) + 2 * u8::from(admit)
                })
                .collect();
            let (mut scalar, mut simd) = (vec![9; rows.len()], vec![9; rows.len()]);
            rule.scalar(&requests, &mut scalar);
            rule.simd(&requests, &mut simd);
            prop_assert_eq!(&scalar, &expected);
            prop_assert_eq!(&simd, &expected);
        }
    }
}
