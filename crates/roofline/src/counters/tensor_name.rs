//! Names of tensor-core operation counters: `sm__ops_path_tensor_[op_<unit>_]src_<types>[_dst_<type>][_sparsity_<on|off>]`.
//!
//! A name without `op_` and without sparsity is the aggregate of those with them. Which names a device has is in
//! `tensor_metrics.txt`, from the section files of Nsight Compute 2025.

use crate::Precision;

const PREFIX: &str = "sm__ops_path_tensor_";
const BY_CAPABILITY: &str = include_str!("tensor_metrics.txt");

/// Source and accumulator types of a group of counters: `("fp16", Some("fp32"))`.
pub(super) type Types<'a> = (&'a str, Option<&'a str>);

/// A counter's name without its rollup, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// The instruction (`hmma`, `utcqmma`); an aggregate over instructions has none.
    pub(super) op: Option<&'a str>,
    pub(super) types: Types<'a>,
    /// Whether it counts sparse operations only (`Some(true)`), dense ones only, or both.
    pub(super) sparse: Option<bool>,
}

impl<'a> Name<'a> {
    /// Takes a name apart: `sm__ops_path_tensor_src_fp64`, without `.sum`.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let (rest, sparse) = match rest.rsplit_once("_sparsity_") {
            Some((rest, "on")) => (rest, Some(true)),
            Some((rest, "off")) => (rest, Some(false)),
            Some(_) => return None,
            None => (rest, None),
        };
        let (op, types) = match rest.strip_prefix("op_") {
            Some(rest) => rest.split_once("_src_").map(|(op, types)| (Some(op), types))?,
            None => (None, rest.strip_prefix("src_")?),
        };
        let types = types.split_once("_dst_").map_or((types, None), |(src, dst)| (src, Some(dst)));
        Some(Self { op, types, sparse })
    }

    /// Whether it may be the sum of others.
    pub(super) fn is_aggregate(&self) -> bool {
        self.op.is_none() && self.sparse.is_none()
    }
}

/// The precision of a group of counters.
///
/// FP8 that is counted together with FP4 and FP6 (compute capability 10.0, 11.0) goes to the mix of them. TU10x counts
/// half, bfloat16 and TF32 together and has instructions of half only. GH100 counts half of both accumulators together;
/// both have one peak.
pub(super) fn precision((src, dst): Types<'_>) -> Option<Precision> {
    let half_accumulator = dst == Some("fp16");
    Some(match src {
        "fp64" => Precision::MatrixF64,
        "tf32" => Precision::MatrixTf32,
        "bf16" => Precision::MatrixBf16,
        "fp16" if half_accumulator => Precision::MatrixF16Acc16,
        "fp16" | "fp16_bf16_tf32" => Precision::MatrixF16,
        "fp8" if half_accumulator => Precision::MatrixF8Acc16,
        "fp8" => Precision::MatrixF8,
        "fp4" => Precision::MatrixF4,
        "fp6" | "fp4_fp6" | "fp4_fp6_fp8" => Precision::MatrixF6,
        "int8" => Precision::MatrixI8,
        "int4" => Precision::MatrixI4,
        "int1" => Precision::MatrixI1,
        _ => return None,
    })
}

/// The names of a compute capability (90), in full; none where it is not in the list.
pub(super) fn of_capability(capability: u32) -> impl Iterator<Item = String> {
    let head = format!("sm_{capability} ");
    let lines = BY_CAPABILITY.lines().skip_while(move |line| !line.starts_with(&head)).skip(1);
    lines.take_while(|line| line.starts_with(' ')).map(|line| format!("{PREFIX}{}", line.trim()))
}

/// The group that a counter belongs to, given the aggregates that exist: that of all accumulators of its source type,
/// else that of its source and accumulator.
pub(super) fn group<'a>(name: &Name<'a>, aggregates: &[Types<'_>]) -> Types<'a> {
    let (src, _) = name.types;
    if aggregates.contains(&(src, None)) { (src, None) } else { name.types }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn a_name_is_an_instruction_types_and_sparsity() {
        let name = Name::parse("sm__ops_path_tensor_op_utcqmma_src_fp4_fp6_fp8_dst_fp16_sparsity_on").unwrap();
        assert_eq!(name, Name { op: Some("utcqmma"), types: ("fp4_fp6_fp8", Some("fp16")), sparse: Some(true) });
        assert_eq!(precision(name.types), Some(Precision::MatrixF6));
        let name = Name::parse("sm__ops_path_tensor_src_fp16").unwrap();
        assert!(name.is_aggregate() && name.types == ("fp16", None));
        for bad in ["sm__ops_path_tensor_", "sm__ops_path_tensor_op_hmma", "sm__ops_path_tensor_src_x_sparsity_maybe"] {
            assert_eq!(Name::parse(bad), None);
        }
        assert_eq!(precision(("fp3", None)), None);
    }

    #[test]
    fn every_name_of_every_capability_has_one_precision_and_one_group() {
        let mut capabilities = BTreeMap::new();
        for line in BY_CAPABILITY.lines().filter(|line| line.starts_with("sm_")) {
            let capability: u32 = line[3..].split(' ').next().unwrap().parse().unwrap();
            let names: Vec<String> = of_capability(capability).collect();
            let parsed: Vec<Name<'_>> = names.iter().map(|name| Name::parse(name).unwrap()).collect();
            let aggregates: Vec<_> = parsed.iter().filter(|name| name.is_aggregate()).map(|name| name.types).collect();
            let mut groups = BTreeSet::new();
            for name in &parsed {
                let group = group(name, &aggregates);
                assert!(precision(group).is_some(), "{name:?}");
                groups.insert(group);
            }
            capabilities.insert(capability, (names.len(), groups.len()));
        }
        // Names as counted in the list; groups by hand, for example 9.0: bf16, fp16, fp64, fp8, int1, int8, tf32.
        let expected = [
            (75, (5, 5)),
            (80, (14, 8)),
            (86, (14, 8)),
            (87, (14, 8)),
            (89, (16, 9)),
            (90, (28, 7)),
            (100, (35, 9)),
            (103, (36, 11)),
            (110, (35, 9)),
            (120, (26, 11)),
            (121, (26, 11)),
        ];
        assert_eq!(capabilities.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(of_capability(70).count(), 0);
    }
}
