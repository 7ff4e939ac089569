//! Names as people type them: the prefixes of the original course material, and the nearest known name.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use proftool_workloads::TARGETS;

/// The name without the prefixes of the original course material (`ch17:`, `labs/dynamic_router:`); of a lab without a
/// workload, its own.
pub(crate) fn plain(name: &str) -> &str {
    let name = name.strip_prefix("labs/").unwrap_or(name);
    ["ch17:", "dynamic_router:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

/// Every name that `--target` takes, in order: targets and pairs.
pub(crate) fn targets() -> Vec<&'static str> {
    let pairs = TARGETS.iter().filter_map(|target| target.pair.map(|(pair, _)| pair));
    let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).chain(pairs).collect();
    known.sort_unstable();
    known.dedup();
    known
}

/// Takes any name of a target, since the course's prefixes are many, and tells shell completions those that there are.
#[derive(Clone, Debug)]
pub(crate) struct TargetName;

impl TypedValueParser for TargetName {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(targets().into_iter().map(PossibleValue::new)))
    }
}

/// A sentence that names the known names nearest to `name`, or all of them when none is near.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut ranked: Vec<(f64, &str)> =
        known.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let near: Vec<&str> = ranked.iter().filter(|(score, _)| *score > 0.75).take(3).map(|(_, name)| *name).collect();
    if near.is_empty() {
        let all: Vec<&str> = ranked.iter().map(|(_, name)| *name).collect();
        format!("known: {}", all.join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbours_and_a_foreign_one_lists_all() {
        let known = ["baseline_pipeline_parallelism", "optimized_pipeline_parallelism", "synthetic"];
        assert!(suggest("synthetik", known).contains("synthetic"));
        assert!(suggest("zzz", known).starts_with("known: "));
    }

    #[test]
    fn course_prefixes_are_dropped() {
        assert_eq!(plain("ch17:pipeline_parallelism"), "pipeline_parallelism");
        assert_eq!(plain("pipeline_parallelism"), "pipeline_parallelism");
        assert_eq!(plain("labs/dynamic_router:baseline_router"), "baseline_router");
        assert_eq!(plain("labs/dynamic_router"), "dynamic_router");
    }
}
