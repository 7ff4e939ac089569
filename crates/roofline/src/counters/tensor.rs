//! Operations of the tensor cores, two a multiply-accumulate: aggregates or their leaves, never both.

use std::collections::BTreeMap;

use super::page::Page;
use super::sum::Sum;
use super::tensor_group::Group;
use super::tensor_name::{Name, Types, group, of_capability, precision};
use super::{Note, missing};
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
    let mut partial = Vec::new();
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
        if group.total.is_some() && !group.split && !group.sparse.0.is_empty() {
            push_once(
                notes,
                "sparse-lower-bound",
                "sparse tensor operations are at least those counted as sparse; the rest is taken as dense",
            );
        }
        remark(types.0, members, precision, notes);
        tensor.complete &= group.complete;
        partial.extend((!group.complete && wanted.contains_key(types)).then_some(types.0));
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
    lacking(&wanted, &found, &partial, notes);
    tensor.part = Some(format!("tensor-ops-{kind}{}", if rate { "-rate" } else { "" }));
    tensor
}

/// Says which groups of the device the page has not, or not in full.
fn lacking(
    wanted: &BTreeMap<Types<'_>, Members<'_>>,
    found: &BTreeMap<Types<'_>, Members<'_>>,
    partial: &[&str],
    notes: &mut Vec<Note>,
) {
    if wanted.is_empty() {
        let detail = "which tensor counters the device has is not known: FLOP may be a lower bound";
        notes.push(Note { code: "tensor-groups-unknown", detail: detail.to_owned() });
    }
    let absent: Vec<&str> = wanted.keys().filter(|types| !found.contains_key(*types)).map(|types| types.0).collect();
    missing::tensor_groups("tensor-groups-missing", "are not counted", &absent, notes);
    missing::tensor_groups("tensor-leaves-incomplete", "are counted in part", partial, notes);
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
        // Sparse operations are at least those of the parts that tell; the rest of the aggregate is taken as dense.
        group.dense = Sum::default();
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
mod tests;
