//! FLOP outside the tensor cores.
//!
//! `op_{d,f,h}{add,mul,fma}_pred_on` count thread instructions. An FMA is two FLOP. A thread's half-precision
//! instruction works on a pair: the sections of 2025 multiply HFMA by 4 and HADD, HMUL by 2, those of 2022 by 2 and 1.

use super::page::{Page, in_roofline};
use super::sum::{Domain, Scale, Sum, Term};
use super::{Note, version};
use crate::Precision;

/// Operations of one precision.
#[derive(Clone, Debug)]
pub(super) struct FlopPlan {
    pub(super) precision: Precision,
    pub(super) sum: Sum,
}

/// What was chosen for the vector units.
#[derive(Clone, Debug, Default)]
pub(super) struct Vector {
    pub(super) plans: Vec<FlopPlan>,
    /// Whether the page has all of add, multiply and FMA of all three precisions.
    pub(super) complete: bool,
    /// Precisions of which the page has none of them.
    pub(super) absent: Vec<Precision>,
    /// The part of the formula's identifier.
    pub(super) part: Option<String>,
    /// FLOP of a half-precision FMA.
    pub(super) half_fma: f64,
    /// Where the page counts half-precision FMA instructions of threads.
    pub(super) half_fma_count: Option<Term>,
}

/// Chooses the counters of add, multiply and FMA of each precision.
pub(super) fn choose(page: &mut Page<'_>, year: Option<u32>, arch: Option<u32>, notes: &mut Vec<Note>) -> Vector {
    let half = version::half(page, year);
    let pair = if half.packed { 2.0 } else { 1.0 };
    let mut vector = Vector { complete: true, half_fma: 2.0 * pair, ..Vector::default() };
    let mut has_half = false;
    for (letter, precision, factor) in
        [("d", Precision::F64, 1.0), ("f", Precision::F32, 1.0), ("h", Precision::F16, pair)]
    {
        let mut sum = Sum::default();
        let mut missing = Vec::new();
        for (operation, flop) in [("add", factor), ("mul", factor), ("fma", 2.0 * factor)] {
            match operation_term(page, letter, operation, flop) {
                Some(term) => sum.0.push(term),
                None => missing.push(operation),
            }
        }
        vector.complete &= missing.is_empty();
        if sum.0.is_empty() {
            vector.absent.push(precision);
            continue;
        }
        if !missing.is_empty() {
            let detail = format!("{} has no counter of {}: a lower bound", precision.name(), missing.join(", "));
            notes.push(Note { code: "incomplete-operations", detail });
        }
        if letter == "h" {
            has_half = true;
            vector.half_fma_count = half_fma_count(page);
        }
        if letter == "f" {
            packed_single(page, arch, &mut sum, notes);
        }
        vector.plans.push(FlopPlan { precision, sum });
    }
    if has_half {
        notes.push(Note { code: "packed-half-factor", detail: half.reason(vector.half_fma) });
    }
    let rate = vector.plans.iter().any(|plan| plan.sum.has_rate());
    if rate {
        let detail = "FLOP are rates times cycles; rates are printed with two decimals: one of 0.27 is known to 2 %";
        notes.push(Note { code: "rates", detail: detail.to_owned() });
    }
    let half_part = if has_half { format!("-hfma{}", vector.half_fma) } else { String::new() };
    let rate_part = if rate { "-rate" } else { "" };
    vector.part = (!vector.plans.is_empty()).then(|| format!("sass{half_part}{rate_part}"));
    vector
}

fn bases(letter: &str, operation: &str) -> [String; 2] {
    ["sm", "smsp"].map(|unit| format!("{unit}__sass_thread_inst_executed_op_{letter}{operation}_pred_on"))
}

/// The counter of one operation, weighted by its FLOP; else the page's own product; else what its chart shows.
fn operation_term(page: &mut Page<'_>, letter: &str, operation: &str, flop: f64) -> Option<Term> {
    let [sm, smsp] = bases(letter, operation);
    let per_cycle = |slot, factor| Term { slot, factor, scale: Scale::PerCycle(Domain::Sm) };
    if let Some(term) = page.term(&[&sm, &smsp], flop) {
        return Some(term);
    }
    // The products of the page are FLOP already: `derived__smsp__..._x2` is per cycle.
    for factor in ["4", "2"] {
        if let Some(slot) = page.slot(&format!("derived__{smsp}_x{factor}")) {
            return Some(per_cycle(slot, 1.0));
        }
    }
    let name = format!("{letter}{operation}").to_ascii_uppercase();
    let achieved = |section: &str| in_roofline(section) && !section.contains("Theoretical");
    if let Some(slot) = page.shown(&format!("Predicated-On {name} Operations Per Cycle"), achieved) {
        return Some(per_cycle(slot, 1.0));
    }
    let slot = page.shown(&format!("Predicated-On {name} Thread Instructions Executed Per Cycle"), achieved)?;
    Some(per_cycle(slot, flop))
}

fn half_fma_count(page: &mut Page<'_>) -> Option<Term> {
    let [sm, smsp] = bases("h", "fma");
    page.term(&[&sm, &smsp], 1.0)
}

/// Blackwell works on pairs of singles too; ncu's own chart leaves these out.
fn packed_single(page: &mut Page<'_>, arch: Option<u32>, sum: &mut Sum, notes: &mut Vec<Note>) {
    let mut found = false;
    for (operation, flop) in [("add2", 2.0), ("mul2", 2.0), ("fma2", 4.0)] {
        let [sm, smsp] = bases("f", operation);
        if let Some(term) = page.term(&[&sm, &smsp], flop) {
            sum.0.push(term);
            found = true;
        }
    }
    if found {
        let detail =
            "FFMA2 is 4 FLOP, FADD2 and FMUL2 2; ncu's chart omits them, its rule text counts otherwise (unverified)";
        notes.push(Note { code: "ffma2-added", detail: detail.to_owned() });
    } else if arch.is_some_and(|arch| arch >= 100) {
        let detail = "the page has no counters of FFMA2, FADD2 and FMUL2 (pairs of singles): f32 may be a lower bound";
        notes.push(Note { code: "ffma2-not-counted", detail: detail.to_owned() });
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::super::tests::{counted, notes, ops};
    use crate::Precision;

    const OP: &str = "smsp__sass_thread_inst_executed_op_";

    fn all(unit: &str, half: f64) -> Vec<(String, f64)> {
        let of = |letter: &str, value: f64| {
            ["add", "mul", "fma"].map(|op| (format!("{unit}{letter}{op}_pred_on.sum"), value)).to_vec()
        };
        [of("d", 1.0), of("f", 10.0), of("h", half)].concat()
    }

    fn borrowed(metrics: &[(String, f64)]) -> Vec<(&str, f64)> {
        metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    #[test]
    fn an_fma_is_two_flop_and_a_half_instruction_works_on_a_pair() {
        let metrics = all(OP, 100.0);
        // d: 1 + 1 + 2 = 4; f: 10 + 10 + 20 = 40; h: 200 + 200 + 400 = 800.
        let found = counted(&borrowed(&metrics), Some("2025.3.0.0"), Some("sm_90"));
        assert_eq!(ops(&found, Precision::F64), 4.0);
        assert_eq!(ops(&found, Precision::F32), 40.0);
        assert_eq!(ops(&found, Precision::F16), 800.0);
        assert!(found.counts.formula.unwrap().starts_with("sass-hfma4/ncu-2025"));
        // The sections of 2022 count h as 100 + 100 + 200.
        let found = counted(&borrowed(&metrics), Some("2022.3.0.0"), Some("sm_80"));
        assert_eq!(ops(&found, Precision::F16), 400.0);
        assert!(found.counts.formula.unwrap().starts_with("sass-hfma2/ncu-2022"));
    }

    #[test]
    fn counters_of_sm_and_of_its_partitions_are_the_same_and_never_added() {
        let metrics = [all(OP, 0.0), all("sm__sass_thread_inst_executed_op_", 0.0)].concat();
        assert_eq!(ops(&counted(&borrowed(&metrics), None, None), Precision::F32), 40.0);
    }

    #[test]
    fn pairs_of_singles_are_added_and_their_absence_on_blackwell_is_said() {
        let mut metrics = all(OP, 0.0);
        assert!(notes(&borrowed(&metrics), Some("sm_100")).contains(&"ffma2-not-counted"));
        assert!(!notes(&borrowed(&metrics), Some("sm_90")).contains(&"ffma2-not-counted"));
        metrics.push((format!("{OP}ffma2_pred_on.sum"), 5.0));
        metrics.push((format!("{OP}fadd2_pred_on.sum"), 3.0));
        // 40 + 4 * 5 + 2 * 3.
        assert_eq!(ops(&counted(&borrowed(&metrics), None, Some("sm_100")), Precision::F32), 66.0);
        assert!(notes(&borrowed(&metrics), Some("sm_100")).contains(&"ffma2-added"));
    }

    #[test]
    fn rates_are_multiplied_by_the_cycles() {
        // The first launch of a GB200 page: 0.27 additions per cycle in 3787.59 cycles.
        let metrics = [
            ("smsp__sass_thread_inst_executed_op_fadd_pred_on.sum.per_cycle_elapsed", 0.27),
            ("smsp__sass_thread_inst_executed_op_fmul_pred_on.sum.per_cycle_elapsed", 0.0),
            ("smsp__sass_thread_inst_executed_op_ffma_pred_on.sum.per_cycle_elapsed", 0.0),
            ("smsp__cycles_elapsed.avg", 3787.59),
        ];
        let found = counted(&metrics, None, Some("sm_100"));
        assert!((ops(&found, Precision::F32) - 1022.6493).abs() < 1e-9);
        assert!(notes(&metrics, Some("sm_100")).contains(&"rates"));
    }

    #[test]
    fn products_of_the_page_are_flop_already() {
        let metrics = [
            ("derived__smsp__sass_thread_inst_executed_op_ffma_pred_on_x2", 152.0),
            ("derived__smsp__sass_thread_inst_executed_op_hfma_pred_on_x4", 8.0),
            ("sm__cycles_elapsed.avg", 1000.0),
        ];
        let found = counted(&metrics, None, None);
        assert_eq!((ops(&found, Precision::F32), ops(&found, Precision::F16)), (152_000.0, 8000.0));
        assert!(notes(&metrics, None).contains(&"incomplete-operations") && !found.counts.flop_known);
    }

    #[test]
    fn a_missing_operation_makes_a_lower_bound() {
        let found = counted(&[("sm__sass_thread_inst_executed_op_ffma_pred_on.sum", 3.0)], None, None);
        assert_eq!((ops(&found, Precision::F32), found.counts.flop_known), (6.0, false));
    }

    #[test]
    fn a_launch_without_its_own_value_of_an_operation_has_a_lower_bound() {
        let mut metrics = all(OP, 0.0);
        // The page has no tensor counters: before 7.0 there are no tensor cores.
        assert!(counted(&borrowed(&metrics), None, Some("sm_61")).counts.flop_known);
        metrics.iter_mut().find(|(name, _)| name.contains("ffma")).unwrap().1 = f64::NAN;
        let found = counted(&borrowed(&metrics), None, Some("sm_61"));
        // 10 + 10 of f32, and an FMA that is not known.
        assert_eq!((ops(&found, Precision::F32), found.counts.flop_known), (20.0, false));
    }

    #[test]
    fn a_pair_of_singles_in_an_fma_is_four_flop_and_ncus_other_rule_is_said() {
        let metrics = [(format!("{OP}ffma2_pred_on.sum"), 1.0), (format!("{OP}ffma_pred_on.sum"), 0.0)];
        let metrics = borrowed(&metrics);
        assert_eq!(ops(&counted(&metrics, None, Some("sm_100")), Precision::F32), 4.0);
        let formulas = super::super::Formulas::choose(&super::super::tests::page(&metrics), None, Some("sm_100"));
        let note = formulas.notes().iter().find(|note| note.code == "ffma2-added").unwrap();
        assert!(note.detail.contains("rule text counts otherwise (unverified)"));
    }
}
