//! Tensor instructions, on pages that count no operations (the recipe of NERSC and the sections of 2022).
//!
//! 512 FLOP an instruction are right for Volta's HMMA, and for DMMA (8 x 8 x 4 multiply-accumulates). Elsewhere the
//! shapes are many and larger; the factor is kept, since published numbers were made with it, and marked.

use super::page::Page;
use super::sum::Sum;
use super::vector::FlopPlan;
use super::{Note, Vector};
use crate::Precision;

const FLOP: f64 = 512.0;

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Instructions {
    pub(super) plans: Vec<FlopPlan>,
    pub(super) complete: bool,
    pub(super) part: Option<&'static str>,
    /// Whether half-precision FMA of the vector units may be among them.
    pub(super) holds_hfma: bool,
}

/// Chooses instructions by type, else all of them; of the latter the type is unknown, and half is assumed.
pub(super) fn choose(page: &mut Page<'_>, arch: Option<u32>, vector: &Vector, notes: &mut Vec<Note>) -> Instructions {
    let mut chosen = Instructions::default();
    let mut term = |kind: &str| {
        let [sm, smsp] = ["sm", "smsp"].map(|unit| format!("{unit}__inst_executed_pipe_tensor{kind}"));
        page.term(&[&sm, &smsp], FLOP)
    };
    for (kind, precision) in
        [("_op_hmma", Precision::MatrixF16), ("_op_imma", Precision::MatrixI8), ("_op_dmma", Precision::MatrixF64)]
    {
        chosen.plans.extend(term(kind).map(|term| FlopPlan { precision, sum: Sum(vec![term]) }));
    }
    let by_type = !chosen.plans.is_empty();
    let has = |precision| chosen.plans.iter().any(|plan| plan.precision == precision);
    chosen.complete = has(Precision::MatrixF16) && has(Precision::MatrixI8);
    if !by_type {
        let term = term("");
        chosen.complete = term.is_some();
        chosen.plans.extend(term.map(|term| FlopPlan { precision: Precision::MatrixF16, sum: Sum(vec![term]) }));
    }
    if chosen.plans.is_empty() {
        return chosen;
    }
    let verified = arch == Some(70);
    chosen.part = Some(if verified { "tensor-inst-512" } else { "tensor-inst-512-unverified" });
    chosen.holds_hfma = !by_type && vector.half_fma_count.is_some() && arch.is_none_or(|arch| arch == 80);
    if !verified {
        let detail = "the page counts tensor instructions, taken as 512 FLOP each: that is right for HMMA of Volta only, \
                      elsewhere an estimate";
        notes.push(Note { code: "tensor-instructions", detail: detail.to_owned() });
    }
    if chosen.holds_hfma {
        let detail = "an A100 runs half-precision FMA of the vector units on the tensor pipe and counts them as tensor \
                      instructions: launches where that happens are flagged";
        notes.push(Note { code: "hfma-in-tensor-pipe", detail: detail.to_owned() });
    }
    chosen
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::super::SuspicionKind;
    use super::super::tests::{counted, notes, ops};
    use crate::Precision;

    #[test]
    fn a_tensor_instruction_is_512_flop_and_marked_off_volta() {
        let metrics = [("sm__inst_executed_pipe_tensor.sum", 2048.0)];
        let found = counted(&metrics, None, Some("sm_80"));
        // The authors' TC FLOPs of their flash-attention kernel.
        assert_eq!(ops(&found, Precision::MatrixF16), 1_048_576.0);
        assert_eq!(found.counts.formula.as_deref(), Some("tensor-inst-512-unverified/ncu"));
        assert!(notes(&metrics, Some("sm_80")).contains(&"tensor-instructions"));
        let found = counted(&metrics, None, Some("sm_70"));
        assert_eq!(found.counts.formula.as_deref(), Some("tensor-inst-512/ncu"));
        assert!(!notes(&metrics, Some("sm_70")).contains(&"tensor-instructions"));
    }

    #[test]
    fn instructions_by_type_replace_their_total() {
        let metrics = [
            ("smsp__inst_executed_pipe_tensor.sum", 7.0),
            ("smsp__inst_executed_pipe_tensor_op_hmma.sum", 4.0),
            ("smsp__inst_executed_pipe_tensor_op_imma.sum", 2.0),
            ("smsp__inst_executed_pipe_tensor_op_dmma.sum", 1.0),
        ];
        let found = counted(&metrics, None, Some("sm_86"));
        assert_eq!(ops(&found, Precision::MatrixF16), 2048.0);
        assert_eq!(ops(&found, Precision::MatrixI8), 1024.0);
        assert_eq!(ops(&found, Precision::MatrixF64), 512.0);
        assert_eq!(found.counts.flop_sum(), Some(2560.0), "integer operations are no FLOP");
    }

    #[test]
    fn operations_replace_instructions() {
        let metrics = [("sm__inst_executed_pipe_tensor.sum", 7.0), ("sm__ops_path_tensor_src_bf16_dst_fp32.sum", 9.0)];
        let found = counted(&metrics, None, Some("sm_90"));
        assert_eq!((ops(&found, Precision::MatrixF16), ops(&found, Precision::MatrixBf16)), (0.0, 9.0));
    }

    #[test]
    fn vector_instructions_on_the_tensor_pipe_of_an_a100_are_flagged_with_the_flop_they_add() {
        // A launch of the authors' file: 10240 half FMA of threads are 320 warp instructions, all of the pipe's.
        let half = "sm__sass_thread_inst_executed_op_hfma_pred_on.sum";
        let metrics = |pipe, hfma| [("sm__inst_executed_pipe_tensor.sum", pipe), (half, hfma)];
        let found = counted(&metrics(320.0, 10240.0), None, Some("sm_80"));
        assert_eq!(found.suspicious[0].kind, SuspicionKind::HfmaInTensorPipe);
        assert_eq!(found.suspicious[0].value, 163_840.0);
        // Their flash attention has none; another device runs them elsewhere.
        assert!(counted(&metrics(2048.0, 0.0), None, Some("sm_80")).suspicious.is_empty());
        assert!(counted(&metrics(320.0, 10240.0), None, Some("sm_86")).suspicious.is_empty());
    }
}
