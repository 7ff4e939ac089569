//! Operations of the tensor cores, two a multiply-accumulate: aggregates or their leaves, never both.

use std::collections::BTreeMap;

use super::Note;
use super::page::Page;
use super::sum::Sum;
use super::tensor_group::Group;
use super::tensor_name::{Name, Types, group, of_capability, precision};
use crate::Precision;

/// What was chosen for the tensor cores.
#[derive(Clone, Debug, Default)]
pub(super) struct Tensor {
    pub(super) groups: Vec<Group>,
    /// Whether the page has every group that the device can count.
    pub(super) complete: bool,
    pub(super) part: Option<String>,
}

/// The counters of one group.
#[derive(Default)]
struct Members<'a> {
    total: Option<&'a str>,
    halves: [Option<&'a str>; 2],
    leaves: Vec<(&'a str, Name<'a>)>,
}

impl<'a> Members<'a> {
    fn take(&mut self, base: &'a str, name: Name<'a>, is_root: bool) {
        match (name.op, name.sparse) {
            (None, None) if is_root => self.total = Some(base),
            (None, Some(sparse)) if is_root => self.halves[usize::from(sparse)] = Some(base),
            _ => self.leaves.push((base, name)),
        }
    }
}

fn gather<'a>(bases: &[&'a str], aggregates: &[Types<'_>]) -> BTreeMap<Types<'a>, Members<'a>> {
    let mut groups = BTreeMap::<_, Members<'_>>::new();
    for base in bases {
        let Some(name) = Name::parse(base) else { continue };
        let types = group(&name, aggregates);
        groups.entry(types).or_default().take(base, name, types == name.types);
    }
    groups
}

fn aggregates<'a>(bases: &[&'a str]) -> Vec<Types<'a>> {
    bases.iter().filter_map(|base| Name::parse(base)).filter(Name::is_aggregate).map(|name| name.types).collect()
}

/// Names without their rollup, each once.
fn bases<'a>(page: &Page<'a>) -> Vec<&'a str> {
    let rollups = [".sum.per_cycle_elapsed", ".sum.per_second", ".sum"];
    let base = |name: &'a str| rollups.iter().find_map(|rollup| name.strip_suffix(rollup));
    let mut bases: Vec<&str> =
        page.names().filter(|name| name.contains("__ops_path_tensor_")).filter_map(base).collect();
    bases.sort_unstable();
    bases.dedup();
    bases
}

/// Chooses one way to each group that the page counts.
pub(super) fn choose(page: &mut Page<'_>, arch: Option<u32>, notes: &mut Vec<Note>) -> Tensor {
    let bases = bases(page);
    let listed: Vec<String> = arch.into_iter().flat_map(of_capability).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    let existing = [aggregates(&bases), aggregates(&listed)].concat();
    let wanted = gather(&listed, &existing);
    let found = gather(&bases, &existing);
    let mut tensor = Tensor { complete: !wanted.is_empty(), ..Tensor::default() };
    tensor.complete &= wanted.keys().all(|types| found.contains_key(types));
    let mut kinds = [false; 2];
    for (types, members) in &found {
        let Some(precision) = precision(*types) else {
            let detail = format!("operations on {} are counted and left out", types.0);
            notes.push(Note { code: "unknown-tensor-type", detail });
            tensor.complete = false;
            continue;
        };
        let group = plan(page, precision, members, wanted.get(types));
        kinds[usize::from(group.total.is_none())] = true;
        if group.total.is_some() && !members.leaves.is_empty() {
            push_once(notes, "aggregates-over-leaves", "the page has tensor aggregates and their parts: counted once");
        }
        remark(types.0, members, precision, notes);
        tensor.complete &= group.complete;
        tensor.groups.push(group);
    }
    let rate = tensor.groups.iter().any(|group| {
        group.total.is_some_and(|term| term.is_rate()) || group.dense.has_rate() || group.sparse.has_rate()
    });
    let kind = match kinds {
        [false, false] => return Tensor::default(),
        [true, false] => "aggregate",
        [false, true] => "leaves",
        [true, true] => "mixed",
    };
    tensor.part = Some(format!("tensor-ops-{kind}{}", if rate { "-rate" } else { "" }));
    tensor
}

/// The aggregate; else its halves by sparsity; else its leaves.
fn plan(page: &mut Page<'_>, precision: Precision, members: &Members<'_>, wanted: Option<&Members<'_>>) -> Group {
    let total = members.total.and_then(|base| page.term(&[base], 1.0));
    let [off, on] = members.halves;
    let halves = [off, on].map(|base| base.and_then(|base| page.term(&[base], 1.0)));
    if let [Some(off), Some(on)] = halves {
        let (dense, sparse) = (Sum(vec![off]), Sum(vec![on]));
        return Group { precision, total, dense, sparse, split: true, complete: true };
    }
    let mut group =
        Group { precision, total, dense: Sum::default(), sparse: Sum::default(), split: false, complete: false };
    for (base, name) in &members.leaves {
        let sum = if name.sparse == Some(true) { &mut group.sparse } else { &mut group.dense };
        sum.0.extend(page.term(&[base], 1.0));
    }
    for (half, sum) in halves.into_iter().zip([&mut group.dense, &mut group.sparse]) {
        if sum.0.is_empty() {
            sum.0.extend(half);
        }
    }
    group.split = has_all(members, wanted);
    group.complete = total.is_some() || group.split;
    if total.is_some() && !group.split {
        // Part of the parts says nothing about the rest.
        (group.dense, group.sparse) = (Sum::default(), Sum::default());
    }
    group
}

/// Whether the page has every part that the device can count of a group.
fn has_all(members: &Members<'_>, wanted: Option<&Members<'_>>) -> bool {
    let Some(wanted) = wanted else { return false };
    let has = |leaf: &Name<'_>| members.leaves.iter().any(|(_, name)| name == leaf);
    let halves = wanted.halves.iter().zip(members.halves).all(|(wanted, found)| wanted.is_none() || found.is_some());
    let any = !wanted.leaves.is_empty() || wanted.halves.iter().any(Option::is_some);
    any && halves && wanted.leaves.iter().all(|(_, leaf)| has(leaf))
}

fn remark(source: &str, members: &Members<'_>, precision: Precision, notes: &mut Vec<Note>) {
    if source == "fp4_fp6_fp8" {
        let detail = "this device counts FP8 together with FP4 and FP6: they stand under matrix_f6";
        push_once(notes, "fp8-grouped", detail);
    }
    if precision == Precision::MatrixF16 && source == "fp16_bf16_tf32" {
        push_once(notes, "fp16-grouped", "this device counts FP16 accumulated in FP32 under a wider name");
    }
    if members.halves[1].is_some() || members.leaves.iter().any(|(_, name)| name.sparse == Some(true)) {
        let detail = "whether sparse operations are counted as executed or as if dense is not verified";
        push_once(notes, "sparse-ops-unverified", detail);
    }
}

fn push_once(notes: &mut Vec<Note>, code: &'static str, detail: &str) {
    if !notes.iter().any(|note| note.code == code) {
        notes.push(Note { code, detail: detail.to_owned() });
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
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
    fn an_aggregate_alone_or_with_some_leaves_is_not_split() {
        for names in [&HOPPER_BF16[..1], &HOPPER_BF16[..3]] {
            let found = of(names, "sm_90");
            assert_eq!((ops(&found, Precision::MatrixBf16), sparse(&found, Precision::MatrixBf16)), (100.0, 0.0));
        }
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
}
