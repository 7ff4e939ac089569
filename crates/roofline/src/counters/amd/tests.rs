//! Tests of the counters of AMD.

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
fn writes_that_stay_in_the_l2_are_flagged_from_a_percent_on() {
    let left = |writes: f64| -> Vec<_> {
        let found = counted(&vcopy(writes), None, Some("gfx90a")).suspicious.into_iter();
        found.map(|one| (one.kind, one.metric.to_string(), one.value, one.whole)).collect()
    };
    // Vector V12: 8388608 bytes written through, 5828608 of them to memory.
    let kind = SuspicionKind::WritesLeftInCache;
    assert_eq!(left(91_072.0), [(kind, "TCC_EA_WRREQ_sum".to_owned(), 2_560_000.0, Some(8_388_608.0))]);
    // A percent of 131072 requests are 1310.72.
    assert_eq!((left(129_762.0).len(), left(129_761.0).len(), left(131_072.0).len()), (0, 1, 0));
    assert_eq!(left(f64::NAN), [], "nothing to compare with");
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

#[test]
fn each_generation_needs_the_matrix_types_that_it_has() {
    let known = |elements: &[&str], arch| {
        let mut metrics = arithmetic(1.0);
        metrics.retain(|(name, _)| !name.contains("MOPS_F64"));
        metrics.extend(elements.iter().map(|element| (format!("SQ_INSTS_VALU_MFMA_MOPS_{element}"), 1.0)));
        let metrics = borrowed(&metrics);
        assert_eq!(
            counted(&metrics, None, Some(arch)).counts.flop_known,
            !notes(&metrics, Some(arch)).contains(&"types-missing")
        );
        counted(&metrics, None, Some(arch)).counts.flop_known
    };
    assert!(known(&[], "gfx908") && !known(&[], "gfx90a") && known(&["F64"], "gfx90a"));
    assert!(!known(&["F64", "F8"], "gfx942") && known(&["F64", "F8", "XF32"], "gfx942"));
    assert!(!known(&["F64", "F8", "XF32"], "gfx950") && known(&["F64", "F8", "F6F4"], "gfx950"));
    // XF32 is what others call TF32: 512 FLOP a count.
    let found = counted(&[("SQ_INSTS_VALU_MFMA_MOPS_XF32", 3.0)], None, Some("gfx942"));
    assert_eq!((ops(&found, Precision::MatrixTf32), found.counts.flop_known), (1536.0, false));
}

#[test]
fn matrix_instructions_without_operations_make_the_flop_unknown() {
    let mut metrics = arithmetic(0.0);
    metrics.push(("SQ_INSTS_MFMA".to_owned(), 1000.0));
    assert!(!counted(&borrowed(&metrics), None, Some("gfx90a")).counts.flop_known);
    // 512 operations account for them.
    metrics.iter_mut().find(|(name, _)| name.ends_with("MOPS_BF16")).unwrap().1 = 1.0;
    assert!(counted(&borrowed(&metrics), None, Some("gfx90a")).counts.flop_known);
}

#[test]
fn names_tell_cdna3_where_the_architecture_is_not_known() {
    let requests = |block: &str| {
        let names = ["RDREQ", "RDREQ_32B", "WRREQ", "WRREQ_64B"].map(|name| (format!("TCC_{block}_{name}_sum"), 1.0));
        let more = ["READ", "WRITE", "ATOMIC_WITH_RET", "ATOMIC_WITHOUT_RET"];
        names.into_iter().chain(more.map(|name| (format!("TCP_TCC_{name}_REQ_sum"), 1.0))).collect::<Vec<_>>()
    };
    let (old, new) = (requests("EA"), requests("EA0"));
    // A read is a line of 128 bytes, the other three requests are 64.
    assert_eq!(counted(&borrowed(&new), None, None).counts.bytes_of(Level::L2), Some(320.0));
    assert_eq!(notes(&borrowed(&new), None), ["derived-architecture", "no-bubble-counter"]);
    assert_eq!(counted(&borrowed(&old), None, None).counts.bytes_of(Level::L2), Some(256.0));
    assert_eq!(notes(&borrowed(&old), None), ["unknown-architecture"]);
    let arithmetic = arithmetic(1.0);
    assert!(!counted(&borrowed(&arithmetic), None, None).counts.flop_known, "an MI300 has FP8 too");
    let whole = [borrowed(&arithmetic), borrowed(&old)].concat();
    assert!(counted(&whole, None, None).counts.flop_known, "an MI200 has not");
}
