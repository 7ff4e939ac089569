//! Operations of the tensor cores: `sm__ops_path_tensor_[op_<instruction>_]src_<types>[_dst_<type>][_sparsity_<on|off>]`.
//!
//! A name without instruction and sparsity is the sum of those with them, and not every chip has it. Sums and parts
//! together would count twice if they were added; the engine takes one or the other, and here only what it needs is
//! asked for, since every metric may cost one more replay.

use std::collections::BTreeMap;

use super::catalog::Catalog;

const PREFIX: &str = "sm__ops_path_tensor_";

/// Source and accumulator types.
type Types<'a> = (&'a str, Option<&'a str>);

#[derive(Clone, Copy)]
struct Name<'a> {
    whole: &'a str,
    /// Whether it counts one instruction only.
    instruction: bool,
    types: Types<'a>,
    sparse: Option<bool>,
}

fn parse(whole: &str) -> Option<Name<'_>> {
    let rest = whole.strip_prefix(PREFIX)?;
    let (rest, sparse) = match rest.rsplit_once("_sparsity_") {
        Some((rest, state)) => (rest, Some(state == "on")),
        None => (rest, None),
    };
    let (instruction, types) = match rest.strip_prefix("op_") {
        Some(rest) => (true, rest.split_once("_src_")?.1),
        None => (false, rest.strip_prefix("src_")?),
    };
    let types = types.split_once("_dst_").map_or((types, None), |(src, dst)| (src, Some(dst)));
    Some(Name { whole, instruction, types, sparse })
}

/// The metrics of one pair of types.
#[derive(Default)]
struct Group<'a> {
    total: Option<&'a str>,
    /// Dense and sparse.
    halves: [Option<&'a str>; 2],
    parts: Vec<Name<'a>>,
}

impl<'a> Group<'a> {
    fn all(&self) -> impl Iterator<Item = &'a str> + '_ {
        let parts = self.parts.iter().map(|name| name.whole);
        self.total.into_iter().chain(self.halves.iter().flatten().copied()).chain(parts)
    }
}

fn groups(catalog: &Catalog) -> BTreeMap<Types<'_>, Group<'_>> {
    let names: Vec<Name<'_>> = catalog.names().filter_map(parse).collect();
    let is_total = |name: &&Name<'_>| !name.instruction && name.sparse.is_none();
    // GH100 has one sum for both accumulators of half, and parts by accumulator.
    let whole_sources: Vec<&str> =
        names.iter().filter(is_total).filter(|name| name.types.1.is_none()).map(|name| name.types.0).collect();
    let mut groups = BTreeMap::<_, Group<'_>>::new();
    for name in &names {
        let of_source = whole_sources.contains(&name.types.0);
        let types = if of_source { (name.types.0, None) } else { name.types };
        let group = groups.entry(types).or_default();
        match (name.instruction || types != name.types, name.sparse) {
            (false, None) => group.total = Some(name.whole),
            (false, Some(sparse)) => group.halves[usize::from(sparse)] = Some(name.whole),
            (true, _) => group.parts.push(*name),
        }
    }
    groups
}

/// What counts the operations of every pair of types, with `.sum`: its dense and its sparse operations where the chip
/// has both; else their sum and the sparse parts, which tell how much of it is sparse; else every part. `parts` adds
/// all parts, whose sum can then be held against the whole.
pub(super) fn operations(catalog: &Catalog, parts: bool) -> Vec<String> {
    let mut chosen = Vec::new();
    for group in groups(catalog).into_values() {
        let sparse = group.parts.iter().filter(|name| name.sparse == Some(true)).map(|name| name.whole);
        match (group.total, group.halves) {
            _ if parts => chosen.extend(group.all()),
            (_, [Some(dense), Some(sparse)]) => chosen.extend([dense, sparse]),
            (Some(total), [_, half]) => chosen.extend([total].into_iter().chain(half).chain(sparse)),
            (None, _) => chosen.extend(group.all()),
        }
    }
    with(chosen, "sum")
}

/// Peaks of the parts that tell whether they are dense or sparse, else of the sum: that of a sum of both is the sparse
/// one, which is no roof of dense operations.
pub(super) fn peaks(catalog: &Catalog) -> Vec<String> {
    let mut chosen = Vec::new();
    for group in groups(catalog).into_values() {
        let telling = group.parts.iter().filter(|name| name.sparse.is_some()).map(|name| name.whole);
        let of_group: Vec<&str> = group.halves.iter().flatten().copied().chain(telling).collect();
        match group.total {
            _ if !of_group.is_empty() => chosen.extend(of_group),
            Some(total) => chosen.push(total),
            None => chosen.extend(group.all()),
        }
    }
    with(chosen, "sum.peak_sustained")
}

fn with(mut bases: Vec<&str>, suffix: &str) -> Vec<String> {
    bases.sort_unstable();
    bases.dedup();
    bases.into_iter().map(|base| format!("{base}.{suffix}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine's own list of what each compute capability counts.
    const LISTS: &str = include_str!("../../../../roofline/src/counters/tensor_metrics.txt");

    fn catalog(capability: &str) -> Catalog {
        let lines = LISTS.lines().skip_while(|line| !line.starts_with(&format!("sm_{capability} "))).skip(1);
        let names: Vec<String> =
            lines.take_while(|line| line.starts_with(' ')).map(|line| format!("{PREFIX}{}", line.trim())).collect();
        Catalog::of_names(capability, names.iter().map(String::as_str))
    }

    fn short(names: &[String]) -> Vec<&str> {
        names.iter().map(|name| name.strip_prefix(PREFIX).unwrap()).collect()
    }

    #[test]
    fn dense_and_sparse_are_taken_where_the_chip_has_both_and_else_the_sum_with_its_sparse_parts() {
        let hopper = operations(&catalog("90"), false);
        let expected = [
            "op_hgmma_src_bf16_dst_fp32_sparsity_on.sum",
            "op_hgmma_src_fp16_sparsity_on.sum",
            "op_hgmma_src_tf32_dst_fp32_sparsity_on.sum",
            "op_hmma_src_bf16_dst_fp32_sparsity_on.sum",
            "op_hmma_src_fp16_dst_fp16_sparsity_on.sum",
            "op_hmma_src_fp16_dst_fp32_sparsity_on.sum",
            "op_hmma_src_tf32_dst_fp32_sparsity_on.sum",
            "op_igmma_src_int8_sparsity_on.sum",
            "op_imma_src_int8_sparsity_on.sum",
            "src_bf16_dst_fp32.sum",
            "src_fp16.sum",
            "src_fp64.sum",
            "src_fp8_sparsity_off.sum",
            "src_fp8_sparsity_on.sum",
            "src_int1.sum",
            "src_int8.sum",
            "src_tf32_dst_fp32.sum",
        ];
        assert_eq!(short(&hopper), expected);
        assert_eq!(operations(&catalog("80"), false).len(), 14, "GA100 has halves, FP64 and INT1 only");
        assert_eq!(operations(&catalog("90"), true).len(), 28, "everything that GH100 counts");
    }

    #[test]
    fn every_pair_of_types_of_every_capability_is_counted_in_full_and_has_a_peak() {
        for capability in ["75", "80", "86", "87", "89", "90", "100", "103", "110", "120", "121"] {
            let catalog = catalog(capability);
            let (chosen, peaks) = (operations(&catalog, false), peaks(&catalog));
            let of = |names: &[String], base: &str| names.iter().any(|name| name.split('.').next() == Some(base));
            for (types, group) in groups(&catalog) {
                let whole = group.total.is_some_and(|base| of(&chosen, base));
                let halves = group.halves.iter().all(|half| half.is_some_and(|base| of(&chosen, base)));
                let parts = group.parts.iter().all(|name| of(&chosen, name.whole)) && !group.parts.is_empty();
                assert!(whole || halves || parts, "{capability} {types:?}");
                assert!(group.all().any(|base| of(&peaks, base)), "{capability} {types:?}");
            }
            assert!(!chosen.is_empty());
        }
    }

    #[test]
    fn peaks_are_of_what_is_dense_or_sparse() {
        let hopper = peaks(&catalog("90"));
        let hopper = short(&hopper);
        assert!(hopper.contains(&"op_hgmma_src_bf16_dst_fp32_sparsity_off.sum.peak_sustained"));
        assert!(!hopper.contains(&"src_bf16_dst_fp32.sum.peak_sustained"));
        assert!(hopper.contains(&"src_fp64.sum.peak_sustained"));
    }

    #[test]
    fn a_chip_without_such_metrics_gives_none() {
        let names = ["sm__inst_executed_pipe_tensor", "sm__ops_path_tensor_", "sm__ops_path"];
        let catalog = Catalog::of_names("gv100", names);
        assert!(operations(&catalog, true).is_empty() && peaks(&catalog).is_empty());
    }
}
