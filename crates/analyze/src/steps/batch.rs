//! What one step of a serving engine held, as the name of its range states it.

use proftool_roofline::analytic::annotation::{self, Sums};

use crate::phases::Phase;

/// A batch; absent is what the name does not state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// What it held.
    pub(crate) phase: Phase,
    /// Tokens that the step computed, of prompts and of requests that decode.
    pub(crate) tokens: Option<u64>,
    /// Requests that decode.
    pub(crate) decoding: Option<u64>,
    /// Tokens whose keys and values those requests read.
    pub(crate) kv_tokens: Option<u64>,
}

impl Batch {
    /// The batch that the name of a range states: of vLLM, SGLang and ATOM ([`annotation`]), or TensorRT-LLM's
    /// `_forward_step I: N ctx reqs, K ctx tokens, M gen reqs`, older versions without the tokens.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let Some(step) = annotation::parse(name) else { return Self::of_tensorrt(name) };
        let phase = match step.phase()? {
            annotation::Phase::Prefill => Phase::Prefill,
            annotation::Phase::Decode => Phase::Decode,
            annotation::Phase::Mixed => Phase::Mixed,
        };
        // Where the groups are summed together, nobody knows who of them decodes.
        let known = phase != Phase::Mixed || (step.context.is_some() && step.generation.is_some());
        let decoding = step.generation.filter(|sums| known && sums.requests != Some(0));
        let of_decoding = |value: fn(&Sums) -> Option<u64>| decoding.as_ref().and_then(value);
        Some(Self {
            phase,
            tokens: step.tokens(),
            decoding: of_decoding(|sums| sums.requests),
            kv_tokens: of_decoding(|sums| sums.sk),
        })
    }

    fn of_tensorrt(name: &str) -> Option<Self> {
        let (_, text) = name.split_once("_forward_step ")?;
        let count = |unit: &str| text[..text.find(unit)?].rsplit([' ', ',']).next()?.parse::<u64>().ok();
        let (prompts, decoding) = (count(" ctx reqs")?, count(" gen reqs")?);
        let phase = match (prompts > 0, decoding > 0) {
            (true, true) => Phase::Mixed,
            (true, false) => Phase::Prefill,
            (false, true) => Phase::Decode,
            (false, false) => return None,
        };
        // A request that decodes may have drafted tokens beside its own, which the name does not tell.
        let tokens = if decoding == 0 { count(" ctx tokens") } else { None };
        Some(Self { phase, tokens, decoding: Some(decoding).filter(|count| *count > 0), kv_tokens: None })
    }

    /// What one of two names of the same step states; its own first.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            phase: self.phase,
            tokens: self.tokens.or(other.tokens),
            decoding: self.decoding.or(other.decoding),
            kv_tokens: self.kv_tokens.or(other.kv_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(phase: Phase, tokens: Option<u64>, decoding: Option<u64>, kv_tokens: Option<u64>) -> Batch {
        Batch { phase, tokens, decoding, kv_tokens }
    }

    #[test]
    fn the_batches_of_four_engines_are_read() {
        let vllm = "execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_3(sq3sk6144sqsq3sqsk6144)";
        assert_eq!(Batch::parse(vllm).unwrap(), batch(Phase::Mixed, Some(6147), Some(3), Some(6144)));
        let plain = "execute_context_0(0)_generation_3(3)";
        assert_eq!(Batch::parse(plain).unwrap(), batch(Phase::Decode, Some(3), Some(3), None));
        assert_eq!(Batch::parse("execute_context_0(0)_generation_0(0)"), None);
        let sglang = "step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]";
        assert_eq!(Batch::parse(sglang).unwrap(), batch(Phase::Decode, Some(128), Some(64), Some(131_072)));
        assert_eq!(
            Batch::parse("step[EXTEND bs=15 toks=15360]").unwrap(),
            batch(Phase::Prefill, Some(15_360), None, None)
        );
        let trt = "[Executor] _forward_step 12: 2 ctx reqs, 900 ctx tokens, 32 gen reqs";
        assert_eq!(Batch::parse(trt).unwrap(), batch(Phase::Mixed, None, Some(32), None));
        let prompts = "[Executor] _forward_step 12: 2 ctx reqs, 900 ctx tokens, 0 gen reqs";
        assert_eq!(Batch::parse(prompts).unwrap(), batch(Phase::Prefill, Some(900), None, None));
        assert_eq!(Batch::parse("[Executor] _forward_step 12: 0 ctx reqs, 0 gen reqs"), None);
        assert_eq!(Batch::parse("_forward_step  gen reqs ctx reqs"), None);
    }

    #[test]
    fn two_names_of_one_step_complete_each_other() {
        let outer = Batch::parse("step[DECODE bs=2]").unwrap();
        let inner = Batch::parse("execute_3_context_0(sq0sk0sqsq0sqsk0)_generation_2(sq2sk90sqsq2sqsk90)").unwrap();
        assert_eq!(outer.or(inner), batch(Phase::Decode, Some(2), Some(2), Some(90)));
    }
}
