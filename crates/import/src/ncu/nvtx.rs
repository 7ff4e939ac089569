//! The phase of a launch, from the NVTX ranges that ncu prints beside it.
//!
//! A cell of the column `thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg` looks like
//! `1  "<default domain>:forward:none:none:none:none:none:none"  "<default domain>:layer.0:none:..."`: an identifier,
//! then one quoted entry a range, outermost first. Names may hold colons; the six fields after them hold none.

/// Fields of an entry after the range's name.
const FIELDS_AFTER_NAME: usize = 6;
/// Words that name a phase of serving.
const PHASES: &[&str] = &["prefill", "decode", "kv_transfer"];

/// The names of the ranges in one cell.
pub(super) fn ranges(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('"').skip(1).step_by(2).filter_map(name)
}

fn name(entry: &str) -> Option<&str> {
    let (_, rest) = entry.split_once(':')?;
    let name = match rest.rmatch_indices(':').nth(FIELDS_AFTER_NAME - 1) {
        Some((end, _)) => &rest[..end],
        None => rest.split(':').next().unwrap_or(rest),
    };
    Some(name).filter(|name| !name.is_empty() && *name != "none")
}

/// The phase that these ranges tell: the only range's name, or, where they nest, the only one that names a phase of
/// serving. `None` where that is not clear.
pub(super) fn phase<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [only] => Some(only),
        several => {
            let mut phases = several.iter().filter(|name| PHASES.contains(&name.to_ascii_lowercase().as_str()));
            let first = phases.next()?;
            phases.all(|other| other == first).then_some(first)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "1  \"<default domain>:step_3:none:none:none:none:none:none\"  \
                          \"<default domain>:module:model.layers.0:none:none:none:none:none:none\" ";

    #[test]
    fn names_of_ranges_may_hold_colons() {
        assert_eq!(ranges(NESTED).collect::<Vec<_>>(), ["step_3", "module:model.layers.0"]);
        assert_eq!(ranges("0:<default domain>").count(), 0);
        assert_eq!(ranges("7  \"<default domain>:short:none\"").collect::<Vec<_>>(), ["short"]);
    }

    #[test]
    fn a_phase_is_named_only_where_it_is_clear() {
        assert_eq!(phase(["forward"].into_iter()), Some("forward"));
        assert_eq!(phase(["step", "Decode", "attention"].into_iter()), Some("Decode"));
        assert_eq!(phase(ranges(NESTED)), None);
        assert_eq!(phase(["prefill", "decode"].into_iter()), None);
        assert_eq!(phase([].into_iter()), None);
    }
}
