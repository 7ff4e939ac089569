//! Tensor instructions, on pages that count no operations (the recipe of NERSC and the sections of 2022).
//!
//! 512 FLOP an instruction are right for Volta's HMMA, and for DMMA (8 x 8 x 4 multiply-accumulates). Elsewhere the
//! shapes are many and larger; the factor is kept, since published numbers were made with it, and marked.

use super::page::Page;
use super::sum::{Moment, Sum, Term};
use super::vector::FlopPlan;
use super::{Note, Vector};
use crate::Precision;

const FLOP: f64 = 512.0;

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Instructions {
    pub(super) plans: Vec<FlopPlan>,
    /// Whether the page may tell all of a launch; [`Instructions::rest`] says whether it does.
    pub(super) complete: bool,
    pub(super) rest: Rest,
    pub(super) part: Option<&'static str>,
    /// Whether half-precision FMA of the vector units may be among them.
    pub(super) holds_hfma: bool,
}

impl Instructions {
    /// Whether the page counts any.
    pub(super) fn any(&self) -> bool {
        self.rest.total.is_some() || self.rest.gmma.is_some() || !self.plans.is_empty()
    }
}

/// Which tensor instructions of a launch have no FLOP.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    /// All of them.
    total: Option<Term>,
    /// Those of the types that have FLOP; none where the page tells no types.
    parts: Sum,
    /// Those of warp groups (from Hopper): one has thousands of FLOP, how many no counter tells.
    gmma: Option<Term>,
    /// Whether the device has no other types than those that are counted.
    closed: bool,
}

/// What [`Rest`] finds for a launch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Left {
    /// Whether every instruction has its FLOP.
    pub(super) whole: bool,
    /// Whether instructions ran whose FLOP no counter tells.
    pub(super) untold: bool,
    /// The share of the instructions that have a type, with the total's slot, where it is not all of them.
    pub(super) mismatch: Option<(usize, f64)>,
}

impl Rest {
    pub(super) fn left(&self, values: &[f64], moment: &Moment) -> Left {
        if self.total.is_none() && self.gmma.is_none() && self.parts.0.is_empty() {
            return Left { whole: true, untold: false, mismatch: None };
        }
        let gmma = self.gmma.and_then(|term| term.value(values, moment)).unwrap_or(0.0);
        let total = self.total.and_then(|term| Some((term, term.value(values, moment)?)));
        let Some((term, total)) = total else {
            return Left { whole: self.closed && gmma == 0.0, untold: gmma > 0.0, mismatch: None };
        };
        // Rates are printed with two decimals.
        let slack = if term.is_rate() { 0.01 * total } else { 0.0 };
        if self.parts.0.is_empty() {
            let whole = gmma == 0.0 && (self.closed || total == 0.0);
            return Left { whole, untold: gmma > 0.0, mismatch: None };
        }
        let known = self.parts.any(values, moment).0.unwrap_or(0.0);
        let typed = known + gmma;
        let mismatch = (total - typed > slack).then_some((term.slot, typed / total));
        let untold = gmma > 0.0 || mismatch.is_some();
        Left { whole: gmma == 0.0 && mismatch.is_none(), untold, mismatch }
    }
}

/// Chooses instructions by type, else all of them; of the latter the type is unknown, and half is assumed.
///
/// Only devices before Hopper have no other types than HMMA, IMMA and DMMA worth a FLOP.
pub(super) fn choose(page: &mut Page<'_>, arch: Option<u32>, vector: &Vector, notes: &mut Vec<Note>) -> Instructions {
    let mut chosen = Instructions::default();
    let mut term = |kind: &str, flop| {
        let [sm, smsp] = ["sm", "smsp"].map(|unit| format!("{unit}__inst_executed_pipe_tensor{kind}"));
        page.term(&[&sm, &smsp], flop)
    };
    for (kind, precision) in
        [("_op_hmma", Precision::MatrixF16), ("_op_imma", Precision::MatrixI8), ("_op_dmma", Precision::MatrixF64)]
    {
        chosen.plans.extend(term(kind, FLOP).map(|term| FlopPlan { precision, sum: Sum(vec![term]) }));
        chosen.rest.parts.0.extend(term(kind, 1.0));
    }
    let by_type = !chosen.plans.is_empty();
    let has = |precision| chosen.plans.iter().any(|plan| plan.precision == precision);
    let all_types = !by_type || (has(Precision::MatrixF16) && has(Precision::MatrixI8));
    chosen.rest.total = term("", 1.0);
    chosen.rest.gmma = term("_op_gmma", 1.0);
    chosen.rest.closed = all_types && arch.is_some_and(|arch| arch < 90);
    chosen.complete = chosen.rest.total.is_some() || (by_type && chosen.rest.closed);
    if !by_type {
        // Those of warp groups are known not to have so few FLOP.
        let less = term("_op_gmma", -FLOP);
        let sum = term("", FLOP).map(|term| Sum([Some(term), less].into_iter().flatten().collect()));
        chosen.plans.extend(sum.map(|sum| FlopPlan { precision: Precision::MatrixF16, sum }));
    }
    remark(&chosen, by_type, notes);
    if chosen.plans.is_empty() {
        return chosen;
    }
    let verified = arch == Some(70);
    chosen.part = Some(if verified { "tensor-inst-512" } else { "tensor-inst-512-unverified" });
    chosen.holds_hfma = !by_type && vector.half_fma_count.is_some() && arch.is_none_or(|arch| arch == 80);
    if !verified {
        let detail =
            "tensor instructions are taken as 512 FLOP each: right for HMMA of Volta only, elsewhere an estimate";
        notes.push(Note { code: "tensor-instructions", detail: detail.to_owned() });
    }
    if chosen.holds_hfma {
        let detail =
            "an A100 counts half-precision FMA of the vector units as tensor instructions: such launches are flagged";
        notes.push(Note { code: "hfma-in-tensor-pipe", detail: detail.to_owned() });
    }
    chosen
}

/// Says what may be missing in the FLOP of the instructions.
fn remark(chosen: &Instructions, by_type: bool, notes: &mut Vec<Note>) {
    let rest = &chosen.rest;
    let mut note = |code, detail: &str| notes.push(Note { code, detail: detail.to_owned() });
    if rest.gmma.is_some() {
        note(
            "gmma-flop-unknown",
            "FLOP of warp-group instructions (GMMA) are not known: where there are any, a lower bound",
        );
    }
    if by_type && rest.total.is_some() {
        note(
            "tensor-rest",
            "tensor instructions that are in the total and in no type have no FLOP: then a lower bound",
        );
    }
    // Types without their total may not be all; a total without types may be of warp groups.
    if !rest.closed && by_type != rest.total.is_some() {
        note(
            "tensor-types-missing",
            "tensor instructions may be of types that the page does not tell: FLOP are a lower bound",
        );
    }
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

    const PIPE: &str = "sm__inst_executed_pipe_tensor";

    /// A launch whose vector units did nothing, with those tensor instructions (suffix, number).
    fn launch(tensor: &[(&str, f64)], arch: &str) -> (super::super::Counted, Vec<&'static str>) {
        let mut metrics: Vec<(String, f64)> =
            tensor.iter().map(|(kind, value)| (format!("{PIPE}{kind}.sum"), *value)).collect();
        for op in ["dadd", "dmul", "dfma", "fadd", "fmul", "ffma", "hadd", "hmul", "hfma"] {
            metrics.push((format!("sm__sass_thread_inst_executed_op_{op}_pred_on.sum"), 0.0));
        }
        let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        (counted(&metrics, None, Some(arch)), notes(&metrics, Some(arch)))
    }

    #[test]
    fn instructions_of_warp_groups_make_the_flop_unknown_and_not_zero() {
        let page = [("_op_hmma", 0.0), ("_op_imma", 0.0), ("_op_gmma", 100_000.0), ("", 100_000.0)];
        for page in [&page[..], &page[..3], &page[2..], &page[2..3]] {
            let (found, notes) = launch(page, "sm_90");
            assert!(!found.counts.flop_known && found.counts.flop.is_empty() && found.untold, "{page:?}");
            assert!(notes.contains(&"gmma-flop-unknown"));
        }
        let (found, notes) = launch(&[page[0], page[1], page[3]], "sm_90");
        assert!(!found.counts.flop_known && notes.contains(&"tensor-rest"));
        assert_eq!((found.suspicious[0].kind, found.suspicious[0].value), (SuspicionKind::AggregateMismatch, 0.0));
        // Without any tensor instruction the kernel did no tensor FLOP.
        let none = page.map(|(kind, _)| (kind, 0.0));
        let found = launch(&none, "sm_90").0;
        assert!(found.counts.flop_known && !found.untold);
    }

    #[test]
    fn types_are_all_before_hopper_unless_their_total_is_larger() {
        let page = [("_op_hmma", 3.0), ("_op_imma", 0.0), ("", 4.0)];
        // 3 x 512; without the total nothing says that there is a fourth.
        let (found, notes) = launch(&page[..2], "sm_80");
        assert!(found.counts.flop_known && !notes.contains(&"tensor-types-missing"));
        assert_eq!(ops(&found, Precision::MatrixF16), 1536.0);
        let (found, notes) = launch(&page[..2], "sm_90");
        assert!(!found.counts.flop_known && notes.contains(&"tensor-types-missing"));
        let (found, _) = launch(&page, "sm_80");
        assert!(!found.counts.flop_known);
        assert_eq!((ops(&found, Precision::MatrixF16), found.suspicious[0].value), (1536.0, 0.75));
        let (found, notes) = launch(&page[2..], "sm_90");
        assert!(!found.counts.flop_known && notes.contains(&"tensor-types-missing"), "a total may be of warp groups");
        assert_eq!(ops(&found, Precision::MatrixF16), 2048.0);
    }
}
