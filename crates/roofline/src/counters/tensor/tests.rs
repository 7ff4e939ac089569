//! Tests of the operations of the tensor cores.

use super::super::SuspicionKind;
use super::super::tests::{counted, notes, ops};
use super::*;

const P: &str = "sm__ops_path_tensor_";

fn of(names: &[(&str, f64)], arch: &str) -> super::super::Counted {
    let names: Vec<(String, f64)> = names.iter().map(|(name, value)| (format!("{P}{name}.sum"), *value)).collect();
    let names: Vec<(&str, f64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    counted(&names, None, Some(arch))
}

fn sparse(found: &super::super::Counted, precision: Precision) -> f64 {
    let found = found.counts.flop.iter().find(|flop| flop.precision == precision && flop.sparse);
    found.map_or(0.0, |flop| flop.ops)
}

const HOPPER_BF16: [(&str, f64); 5] = [
    ("src_bf16_dst_fp32", 100.0),
    ("op_hgmma_src_bf16_dst_fp32_sparsity_off", 60.0),
    ("op_hgmma_src_bf16_dst_fp32_sparsity_on", 20.0),
    ("op_hmma_src_bf16_dst_fp32_sparsity_off", 15.0),
    ("op_hmma_src_bf16_dst_fp32_sparsity_on", 5.0),
];

#[test]
fn an_aggregate_and_its_leaves_are_counted_once_and_split_by_sparsity() {
    for names in [&HOPPER_BF16[..], &HOPPER_BF16[1..]] {
        let found = of(names, "sm_90");
        // 60 + 15 dense, 20 + 5 sparse.
        assert_eq!((ops(&found, Precision::MatrixBf16), sparse(&found, Precision::MatrixBf16)), (75.0, 25.0));
        assert!(found.suspicious.is_empty());
    }
    let found = of(&HOPPER_BF16, "sm_90");
    assert_eq!(found.counts.formula.as_deref(), Some("tensor-ops-aggregate/ncu"));
    assert_eq!(of(&HOPPER_BF16[1..], "sm_90").counts.formula.as_deref(), Some("tensor-ops-leaves/ncu"));
}

#[test]
fn an_aggregate_without_sparse_parts_is_dense_and_with_some_at_least_they_are_sparse() {
    let split = |names: &[(&str, f64)]| {
        let found = of(names, "sm_90");
        (ops(&found, Precision::MatrixBf16), sparse(&found, Precision::MatrixBf16))
    };
    assert_eq!(split(&HOPPER_BF16[..1]), (100.0, 0.0));
    assert_eq!(split(&[HOPPER_BF16[0], HOPPER_BF16[1]]), (100.0, 0.0));
    // 20 sparse in warp-group instructions; of the other 80 nothing says it, or 60 are dense.
    assert_eq!(split(&HOPPER_BF16[..3]), (80.0, 20.0));
    assert_eq!(split(&[HOPPER_BF16[0], HOPPER_BF16[2]]), (80.0, 20.0));
    // 20 + 5 sparse, 100 - 25 dense.
    let on = [HOPPER_BF16[0], HOPPER_BF16[2], HOPPER_BF16[4]];
    assert_eq!(split(&on), (75.0, 25.0));
    let on = on.map(|(name, value)| (format!("{P}{name}.sum"), value));
    let on: Vec<(&str, f64)> = on.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert!(notes(&on, Some("sm_90")).contains(&"sparse-lower-bound"));
}

#[test]
fn leaves_that_do_not_add_up_to_their_aggregate_are_flagged() {
    let mut names = HOPPER_BF16;
    names[1].1 = 160.0;
    let found = of(&names, "sm_90");
    assert_eq!(found.suspicious[0].kind, SuspicionKind::AggregateMismatch);
    assert_eq!(found.suspicious[0].value, 2.0);
    assert_eq!(ops(&found, Precision::MatrixBf16), 75.0);
}

#[test]
fn leaves_of_other_accumulators_belong_to_the_aggregate_of_their_source() {
    // GH100 has one aggregate of FP16; leaves of hmma tell the accumulator.
    let names = [
        ("src_fp16", 10.0),
        ("op_hgmma_src_fp16_sparsity_off", 4.0),
        ("op_hgmma_src_fp16_sparsity_on", 0.0),
        ("op_hmma_src_fp16_dst_fp16_sparsity_off", 3.0),
        ("op_hmma_src_fp16_dst_fp16_sparsity_on", 0.0),
        ("op_hmma_src_fp16_dst_fp32_sparsity_off", 3.0),
        ("op_hmma_src_fp16_dst_fp32_sparsity_on", 0.0),
    ];
    for names in [&names[..], &names[1..]] {
        let found = of(names, "sm_90");
        assert_eq!((ops(&found, Precision::MatrixF16), ops(&found, Precision::MatrixF16Acc16)), (10.0, 0.0));
    }
    // Before Hopper the accumulators have counters of their own.
    let names = [("src_fp16_dst_fp16_sparsity_off", 1.0), ("src_fp16_dst_fp32_sparsity_off", 2.0)];
    let found = of(&names, "sm_80");
    assert_eq!((ops(&found, Precision::MatrixF16), ops(&found, Precision::MatrixF16Acc16)), (2.0, 1.0));
}

#[test]
fn on_every_device_all_counters_give_what_the_aggregates_or_the_leaves_alone_give() {
    for capability in [75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121] {
        let names: Vec<String> = of_capability(capability).collect();
        let bases: Vec<&str> = names.iter().map(String::as_str).collect();
        let groups = gather(&bases, &aggregates(&bases));
        // One operation in every part; an aggregate has as many as it has parts, one where it has none.
        let mut metrics = Vec::new();
        for members in groups.values() {
            let halves = members.halves.iter().flatten().count();
            let parts = members.leaves.len() + halves;
            metrics.extend(members.total.map(|base| (format!("{base}.sum"), parts.max(1) as f64, true, parts > 0)));
            let bases = members.leaves.iter().map(|(base, _)| *base).chain(members.halves.into_iter().flatten());
            let lone = members.total.is_none();
            metrics.extend(bases.map(|base| (format!("{base}.sum"), 1.0, lone, false)));
        }
        let arch = format!("sm_{capability}");
        let sum = |keep: &dyn Fn(bool, bool) -> bool| {
            let kept = metrics.iter().filter(|(_, _, top, has_parts)| keep(*top, *has_parts));
            let kept: Vec<(&str, f64)> = kept.map(|(name, value, ..)| (name.as_str(), *value)).collect();
            let found = counted(&kept, None, Some(&arch));
            assert!(found.suspicious.is_empty());
            found.counts.flop.iter().map(|flop| flop.ops).sum::<f64>()
        };
        let all = sum(&|_, _| true);
        assert_eq!(all, sum(&|top, _| top), "aggregates alone, {arch}");
        assert_eq!(all, sum(&|_, has_parts| !has_parts), "leaves alone, {arch}");
    }
}

#[test]
fn all_arithmetic_is_known_only_where_every_group_and_every_vector_operation_is_counted() {
    let mut metrics: Vec<(String, f64)> = of_capability(100).map(|name| (format!("{name}.sum"), 0.0)).collect();
    for letter in ["d", "f", "h"] {
        for op in ["add", "mul", "fma"] {
            metrics.push((format!("sm__sass_thread_inst_executed_op_{letter}{op}_pred_on.sum"), 0.0));
        }
    }
    let known = |metrics: &[(String, f64)], arch| {
        let metrics: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        counted(&metrics, None, arch).counts
    };
    let found = known(&metrics, Some("sm_100"));
    assert!(found.flop_known && found.flop.is_empty() && found.flop_sum() == Some(0.0));
    assert!(!known(&metrics, None).flop_known, "an unknown device may count more");
    let without: Vec<_> = metrics.iter().filter(|(name, _)| !name.contains("src_tf32")).cloned().collect();
    assert!(!known(&without, Some("sm_100")).flop_known);
    metrics[0].1 = f64::NAN;
    assert!(known(&metrics, Some("sm_100")).flop_known, "a leaf whose aggregate has a value");
}

#[test]
fn what_the_reader_must_know_is_noted() {
    let of = |name: &str, arch: &str| notes(&[(&format!("{P}{name}.sum"), 1.0)], Some(arch));
    assert!(of("src_fp4_fp6_fp8_dst_fp32", "sm_100").contains(&"fp8-grouped"));
    assert!(of("src_fp8_sparsity_on", "sm_90").contains(&"sparse-ops-unverified"));
    assert!(of("src_fp3_dst_fp32", "sm_90").contains(&"unknown-tensor-type"));
    assert!(of("src_fp16_bf16_tf32_dst_fp32", "sm_75").contains(&"fp16-grouped"));
}
