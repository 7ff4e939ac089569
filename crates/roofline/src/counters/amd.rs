//! Counters of AMD's profilers (rocprofiler-compute, rocprofv3).
//!
//! Source of the formulas: `roofline_calc.py` of rocprofiler-compute. A wavefront's instruction is 64 operations, an FMA
//! twice that, a transcendental as an addition; `MFMA_MOPS` count 512 operations.

use super::Note;
use super::bytes::BytesPlan;
use super::page::Page;
use super::sum::{Sum, Term};
use super::vector::FlopPlan;
use crate::{Level, Precision};

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Amd {
    pub(super) flop: Vec<FlopPlan>,
    pub(super) bytes: Vec<BytesPlan>,
    /// Whether the page counts all arithmetic of the vector units, and of the matrix units.
    pub(super) complete: [bool; 2],
    /// Where the page counts matrix instructions: none of them is no matrix arithmetic.
    pub(super) matrix_instructions: Option<usize>,
    pub(super) instructions: Option<Term>,
    pub(super) part: Option<&'static str>,
}

/// Whether a page holds counters of an AMD device.
pub(super) fn is_amd(page: &Page<'_>, arch: Option<&str>) -> bool {
    let known = |name: &str| ["SQ_", "TCC_", "TCP_"].iter().any(|block| name.starts_with(block));
    arch.is_some_and(|arch| arch.starts_with("gfx")) || page.names().any(known)
}

pub(super) fn choose(page: &mut Page<'_>, arch: Option<&str>, notes: &mut Vec<Note>) -> Amd {
    let cdna3 = arch.is_some_and(|arch| arch.starts_with("gfx94") || arch.starts_with("gfx95"));
    let mut amd = Amd { complete: [true, true], ..Amd::default() };
    vector(page, &mut amd);
    matrix(page, cdna3, &mut amd);
    amd.part = (!amd.flop.is_empty()).then_some("valu64-mfma512");
    amd.matrix_instructions = page.slot("SQ_INSTS_MFMA");
    amd.instructions = counter(page, &["SQ_INSTS"], 1.0).first().copied();
    amd.bytes.extend(hbm(page, cdna3, notes));
    amd.bytes.extend(l2(page, cdna3));
    let l1 = counter(page, &["TCP_TOTAL_CACHE_ACCESSES"], 64.0);
    if !l1.is_empty() {
        amd.bytes.push(BytesPlan { level: Level::L1, sum: Sum(l1), part: "l1-tcp-accesses-64" });
        if cdna3 {
            let detail = "L1 bytes are accesses of 64 bytes, as rocprofiler-compute has it; lines are 128 bytes here";
            notes.push(Note { code: "cache-line-128", detail: detail.to_owned() });
        }
    }
    amd.bytes.extend(lds(page));
    amd
}

/// The terms of a counter: its total (`NAME_sum` or `NAME`), else all of its channels (`NAME[0]` ...).
fn counter(page: &mut Page<'_>, names: &[&str], factor: f64) -> Vec<Term> {
    for name in names {
        let total = page.slot(&format!("{name}_sum")).or_else(|| page.slot(name));
        if let Some(slot) = total {
            return vec![Term::count(slot, factor)];
        }
        let open = format!("{name}[");
        let mut channels: Vec<&str> = page.names().filter(|other| other.starts_with(&open)).collect();
        channels.sort_unstable();
        if !channels.is_empty() {
            return channels.iter().filter_map(|name| page.slot(name)).map(|slot| Term::count(slot, factor)).collect();
        }
    }
    Vec::new()
}

fn vector(page: &mut Page<'_>, amd: &mut Amd) {
    for (element, precision) in [("F16", Precision::F16), ("F32", Precision::F32), ("F64", Precision::F64)] {
        let mut sum = Sum::default();
        for (operation, flop) in [("ADD", 64.0), ("MUL", 64.0), ("FMA", 128.0), ("TRANS", 64.0)] {
            let terms = counter(page, &[&format!("SQ_INSTS_VALU_{operation}_{element}")], flop);
            amd.complete[0] &= !terms.is_empty();
            sum.0.extend(terms);
        }
        if !sum.0.is_empty() {
            amd.flop.push(FlopPlan { precision, sum });
        }
    }
}

fn matrix(page: &mut Page<'_>, cdna3: bool, amd: &mut Amd) {
    for (element, precision, needed) in [
        ("F16", Precision::MatrixF16, true),
        ("BF16", Precision::MatrixBf16, true),
        ("F32", Precision::MatrixF32, true),
        ("F64", Precision::MatrixF64, true),
        ("I8", Precision::MatrixI8, true),
        ("F8", Precision::MatrixF8, cdna3),
        ("F6F4", Precision::MatrixF6, false),
    ] {
        let sum = Sum(counter(page, &[&format!("SQ_INSTS_VALU_MFMA_MOPS_{element}")], 512.0));
        if sum.0.is_empty() {
            amd.complete[1] &= !needed;
        } else {
            amd.flop.push(FlopPlan { precision, sum });
        }
    }
}

/// 32 R32 + 64 (R - R32) + 64 W64 + 32 (W - W64); of MI300 also reads of 128 bytes (`BUBBLE`), which R counts once.
fn hbm(page: &mut Page<'_>, cdna3: bool, notes: &mut Vec<Note>) -> Option<BytesPlan> {
    let mut term = |name: &str, bytes| {
        let names = ["TCC_EA", "TCC_EA0"].map(|block| format!("{block}_{name}"));
        let terms = counter(page, &[&names[0], &names[1]], bytes);
        (!terms.is_empty()).then_some(terms)
    };
    let mut terms = term("RDREQ", 64.0)?;
    terms.extend(term("RDREQ_32B", -32.0)?);
    terms.extend(term("WRREQ", 32.0)?);
    terms.extend(term("WRREQ_64B", 32.0)?);
    let bubble = counter(page, &["TCC_BUBBLE"], 64.0);
    if cdna3 && bubble.is_empty() {
        let detail = "the page does not count reads of 128 bytes (TCC_BUBBLE): HBM bytes are a lower bound";
        notes.push(Note { code: "no-bubble-counter", detail: detail.to_owned() });
    }
    let part = if bubble.is_empty() { "hbm-ea" } else { "hbm-ea-bubble" };
    terms.extend(bubble);
    Some(BytesPlan { level: Level::Dram, sum: Sum(terms), part })
}

/// 64 bytes a request between L1 and L2. From gfx940 a read fetches a line of 128: a copy of 8 MiB makes 65536 of them.
fn l2(page: &mut Page<'_>, cdna3: bool) -> Option<BytesPlan> {
    let mut terms = Vec::new();
    for (name, bytes) in [
        ("READ", if cdna3 { 128.0 } else { 64.0 }),
        ("WRITE", 64.0),
        ("ATOMIC_WITH_RET", 64.0),
        ("ATOMIC_WITHOUT_RET", 64.0),
    ] {
        let of = counter(page, &[&format!("TCP_TCC_{name}_REQ")], bytes);
        if of.is_empty() {
            return None;
        }
        terms.extend(of);
    }
    let part = if cdna3 { "l2-tcp-tcc-128" } else { "l2-tcp-tcc-64" };
    Some(BytesPlan { level: Level::L2, sum: Sum(terms), part })
}

/// 32 banks of 4 bytes in each cycle that the index unit works and does not wait for a conflict.
fn lds(page: &mut Page<'_>) -> Option<BytesPlan> {
    let mut terms = counter(page, &["SQ_LDS_IDX_ACTIVE"], 128.0);
    let conflicts = counter(page, &["SQ_LDS_BANK_CONFLICT"], -128.0);
    if terms.is_empty() || conflicts.is_empty() {
        return None;
    }
    terms.extend(conflicts);
    Some(BytesPlan { level: Level::Lds, sum: Sum(terms), part: "lds-idx" })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{counted, notes, ops};
    use super::*;

    /// vcopy of 1048576 doubles on an MI200 as rocprofiler-compute's test data have it (vectors V11 and V12).
    fn vcopy(writes: f64) -> Vec<(&'static str, f64)> {
        vec![
            ("TCC_EA_RDREQ_sum", 131_086.0),
            ("TCC_EA_RDREQ_32B_sum", 0.0),
            ("TCC_EA_WRREQ_sum", writes),
            ("TCC_EA_WRREQ_64B_sum", writes),
            ("TCP_TOTAL_CACHE_ACCESSES_sum", 524_288.0),
            ("TCP_TCC_READ_REQ_sum", 131_072.0),
            ("TCP_TCC_WRITE_REQ_sum", 131_072.0),
            ("TCP_TCC_ATOMIC_WITH_RET_REQ_sum", 0.0),
            ("TCP_TCC_ATOMIC_WITHOUT_RET_REQ_sum", 0.0),
            ("SQ_LDS_IDX_ACTIVE", 0.0),
            ("SQ_LDS_BANK_CONFLICT", 0.0),
            ("SQ_INSTS", 393_216.0),
        ]
    }

    fn arithmetic(value: f64) -> Vec<(String, f64)> {
        let mut metrics = Vec::new();
        for element in ["F16", "F32", "F64"] {
            for operation in ["ADD", "MUL", "FMA", "TRANS"] {
                metrics.push((format!("SQ_INSTS_VALU_{operation}_{element}"), value));
            }
        }
        for element in ["F16", "BF16", "F32", "F64", "I8"] {
            metrics.push((format!("SQ_INSTS_VALU_MFMA_MOPS_{element}"), value));
        }
        metrics
    }

    fn borrowed(metrics: &[(String, f64)]) -> Vec<(&str, f64)> {
        metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    #[test]
    fn bytes_of_a_copy_on_an_mi200_are_those_of_vector_11() {
        let arithmetic = arithmetic(0.0);
        let metrics = [vcopy(131_072.0), borrowed(&arithmetic)].concat();
        let found = counted(&metrics, None, Some("gfx90a")).counts;
        assert_eq!(found.bytes_of(Level::Dram), Some(16_778_112.0));
        assert_eq!(found.bytes_of(Level::L2), Some(16_777_216.0));
        assert_eq!(found.bytes_of(Level::L1), Some(33_554_432.0));
        assert_eq!(found.bytes_of(Level::Lds), Some(0.0));
        assert!(found.flop_known && found.flop.is_empty());
        assert_eq!(found.instructions, Some(393_216.0));
        let formula = "valu64-mfma512+hbm-ea+l2-tcp-tcc-64+l1-tcp-accesses-64+lds-idx/rocprof";
        assert_eq!(found.formula.as_deref(), Some(formula));
        // 819.24 GB/s in the 20480 ns of the dispatch.
        assert_eq!(format!("{:.2}", found.bytes_of(Level::Dram).unwrap() / 20480.0), "819.24");
    }

    #[test]
    fn fewer_bytes_than_a_copy_must_move_are_counted_as_they_are() {
        let found = counted(&vcopy(91_072.0), None, Some("gfx90a")).counts;
        assert_eq!(found.bytes_of(Level::Dram), Some(14_218_112.0));
    }

    #[test]
    fn reads_of_128_bytes_of_an_mi300_are_added() {
        let metrics = [
            ("TCC_EA0_RDREQ_sum", 65_775.0),
            ("TCC_EA0_RDREQ_32B_sum", 0.0),
            ("TCC_EA0_WRREQ_sum", 131_072.0),
            ("TCC_EA0_WRREQ_64B_sum", 131_072.0),
            ("TCC_BUBBLE_sum", 65_536.0),
            ("TCP_TCC_READ_REQ_sum", 65_536.0),
            ("TCP_TCC_WRITE_REQ_sum", 131_072.0),
            ("TCP_TCC_ATOMIC_WITH_RET_REQ_sum", 0.0),
            ("TCP_TCC_ATOMIC_WITHOUT_RET_REQ_sum", 0.0),
        ];
        let found = counted(&metrics, None, Some("gfx942")).counts;
        // 128 x 65536 + 64 x 239 + 64 x 131072.
        assert_eq!(found.bytes_of(Level::Dram), Some(16_792_512.0));
        // Every byte of a copy of 2^20 doubles crosses once in each direction: 16 x 2^20.
        assert_eq!(found.bytes_of(Level::L2), Some(16_777_216.0));
        assert!(notes(&metrics[..4], Some("gfx942")).contains(&"no-bubble-counter"));
    }

    #[test]
    fn wavefront_instructions_are_64_operations_and_matrix_counts_512() {
        let metrics = arithmetic(1.0);
        let found = counted(&borrowed(&metrics), None, Some("gfx90a"));
        // 64 x (1 + 1 + 2 + 1) = 320 of each vector precision.
        assert_eq!((ops(&found, Precision::F16), ops(&found, Precision::F64)), (320.0, 320.0));
        assert_eq!((ops(&found, Precision::MatrixBf16), ops(&found, Precision::MatrixI8)), (512.0, 512.0));
        // 3 x 320 + 4 x 512; integer operations are no FLOP.
        assert_eq!(found.counts.flop_sum(), Some(3008.0));
    }

    #[test]
    fn no_matrix_instruction_is_no_matrix_arithmetic() {
        let mut metrics = arithmetic(0.0);
        let known = |metrics: &[(String, f64)]| counted(&borrowed(metrics), None, Some("gfx942")).counts.flop_known;
        assert!(!known(&metrics), "an MI300 has FP8 too");
        metrics.push(("SQ_INSTS_MFMA".to_owned(), 0.0));
        assert!(known(&metrics));
        metrics.last_mut().unwrap().1 = 1.0;
        assert!(!known(&metrics));
    }

    #[test]
    fn channels_are_added_where_there_is_no_total() {
        let metrics = [
            ("TCC_EA_RDREQ[0]", 2.0),
            ("TCC_EA_RDREQ[1]", 3.0),
            ("TCC_EA_RDREQ_32B_sum", 1.0),
            ("TCC_EA_WRREQ_sum", 0.0),
            ("TCC_EA_WRREQ_64B_sum", 0.0),
        ];
        // 64 x 4 + 32.
        assert_eq!(counted(&metrics, None, Some("gfx90a")).counts.bytes_of(Level::Dram), Some(288.0));
    }
}
