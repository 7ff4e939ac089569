//! What a page does not count or tell, so that its FLOP are not known or a lower bound: said in notes.

use super::Note;
use super::tensor::Tensor;
use super::tensor_inst::Instructions;
use super::vector::Vector;
use crate::Precision;

fn note(notes: &mut Vec<Note>, code: &'static str, detail: impl Into<String>) {
    notes.push(Note { code, detail: detail.into() });
}

/// The version of ncu and the compute capability.
pub(super) fn origin(year: Option<u32>, capability: Option<u32>, notes: &mut Vec<Note>) {
    if year.is_none() {
        let detail = "the page does not tell the version of ncu: the formula is what its counters allow";
        note(notes, "unknown-version", detail);
    }
    if capability.is_none() {
        let detail = "the compute capability is not known: the formula is what the page's counters allow";
        note(notes, "unknown-capability", detail);
    }
}

/// Kinds of arithmetic without any counter. `counts` is whether the page counts anything else.
pub(super) fn arithmetic(
    capability: Option<u32>,
    vector: &Vector,
    tensor: &Tensor,
    instructions: &Instructions,
    counts: bool,
    notes: &mut Vec<Note>,
) {
    let tensors = !tensor.groups.is_empty() || instructions.any();
    match (vector.plans.is_empty(), tensors) {
        (true, false) if counts => note(notes, "flop-not-counted", "the page counts no arithmetic: FLOP are not known"),
        (true, false) => return,
        (true, true) => note(notes, "vector-not-counted", "the page counts tensor cores only: FLOP are a lower bound"),
        (false, _) if !vector.absent.is_empty() => {
            types(&vector.absent, notes);
        }
        (false, _) => {}
    }
    // Devices before 7.0 have no tensor cores.
    if !tensors && capability.is_none_or(|capability| capability >= 70) {
        let detail = "the page has no counters of the tensor cores: FLOP are a lower bound where they work";
        note(notes, "tensor-not-counted", detail);
    }
}

/// Precisions of which the page counts nothing, or not everything.
pub(super) fn types(absent: &[Precision], notes: &mut Vec<Note>) {
    if !absent.is_empty() {
        let names: Vec<&str> = absent.iter().map(|precision| precision.name()).collect();
        let detail = format!("the page has not all counters of {}: FLOP are a lower bound", some(&names));
        note(notes, "types-missing", detail);
    }
}

/// The first names, and how many more.
fn some(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names[..names.len() - more].join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// How many names a note holds.
const NAMED: usize = 4;

/// Groups of tensor counters that the device has and the page does not, or not in full; by source type.
pub(super) fn tensor_groups(code: &'static str, what: &str, sources: &[&str], notes: &mut Vec<Note>) {
    let mut names = sources.to_vec();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        note(notes, code, format!("tensor operations on {} {what}: FLOP are a lower bound", some(&names)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{notes, page};
    use super::super::{Def, Formulas};

    const SINGLE: [&str; 3] = ["fadd", "fmul", "ffma"];

    fn single() -> Vec<(String, f64)> {
        let name = |op| (format!("sm__sass_thread_inst_executed_op_{op}_pred_on.sum"), 1.0);
        SINGLE.map(name).to_vec()
    }

    fn borrowed(metrics: &[(String, f64)]) -> Vec<(&str, f64)> {
        metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    fn detail(metrics: &[(&str, f64)], arch: &str, code: &str) -> Option<String> {
        let defs: Vec<Def<'_>> = page(metrics);
        let formulas = Formulas::choose(&defs, None, Some(arch));
        formulas.notes().iter().find(|note| note.code == code).map(|note| note.detail.clone())
    }

    #[test]
    fn precisions_and_tensor_cores_without_counters_are_named() {
        let metrics = single();
        let metrics = borrowed(&metrics);
        let missing = detail(&metrics, "sm_80", "types-missing").unwrap();
        assert_eq!(missing, "the page has not all counters of f64, f16: FLOP are a lower bound");
        assert!(detail(&metrics, "sm_80", "tensor-not-counted").is_some());
        assert!(detail(&metrics, "sm_61", "tensor-not-counted").is_none(), "no tensor cores");
        assert!(notes(&metrics, None).contains(&"tensor-not-counted"));
    }

    #[test]
    fn a_page_of_bytes_or_of_tensor_cores_alone_says_so() {
        let bytes = [("dram__bytes.sum", 1.0)];
        assert!(notes(&bytes, Some("sm_80")).contains(&"flop-not-counted"));
        let tensor = [("sm__inst_executed_pipe_tensor.sum", 1.0)];
        let found = notes(&tensor, Some("sm_80"));
        assert!(found.contains(&"vector-not-counted") && !found.contains(&"tensor-not-counted"));
    }

    #[test]
    fn missing_groups_and_parts_of_groups_are_named() {
        // GH100 counts bf16, fp16, fp64, fp8, int1, int8 and tf32; here one whole and one of two halves.
        let metrics =
            [("sm__ops_path_tensor_src_bf16_dst_fp32.sum", 1.0), ("sm__ops_path_tensor_src_fp8_sparsity_on.sum", 1.0)];
        let missing = detail(&metrics, "sm_90", "tensor-groups-missing").unwrap();
        assert_eq!(
            missing,
            "tensor operations on fp16, fp64, int1, int8 and 1 more are not counted: FLOP are a lower bound"
        );
        let parts = detail(&metrics, "sm_90", "tensor-leaves-incomplete").unwrap();
        assert_eq!(parts, "tensor operations on fp8 are counted in part: FLOP are a lower bound");
        assert!(detail(&metrics, "sm_999", "tensor-groups-unknown").is_some());
    }

    #[test]
    fn notes_are_short() {
        let mut metrics = single();
        for name in ["sm__inst_executed_pipe_tensor", "sm__inst_executed_pipe_tensor_op_gmma", "dram__bytes"] {
            metrics.push((format!("{name}.sum"), 1.0));
        }
        for op in ["hfma", "ffma2"] {
            metrics.push((format!("smsp__sass_thread_inst_executed_op_{op}_pred_on.sum.per_cycle_elapsed"), 1.0));
        }
        let tensor: Vec<_> =
            metrics.iter().cloned().chain([("sm__ops_path_tensor_src_fp8.sum".to_owned(), 1.0)]).collect();
        for arch in [None, Some("sm_80"), Some("sm_90"), Some("sm_100"), Some("sm_121"), Some("gfx942")] {
            for (metrics, version) in [(&metrics, None), (&metrics, Some("2024.1")), (&tensor, Some("2025.1"))] {
                let metrics = borrowed(metrics);
                for note in Formulas::choose(&page(&metrics), version, arch).notes() {
                    assert!(note.detail.chars().count() <= 120, "{}", note.detail);
                }
            }
        }
    }
}
