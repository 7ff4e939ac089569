//! Schedules whose idle time, overlap and bubble are known by construction: nothing runs, rows with fixed times are
//! recorded. The schedules are drawn in `crates/workloads/src/synthetic/cases.rs`.

use std::collections::BTreeMap;

use crate::parameters::Given;
use crate::synthetic::{Synthetic, case_names, find_case, random};
use crate::{Error, Parameter, Run, Session, Settings, Target};

const NAME: &str = "synthetic";

static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "case",
        default: "two_stage",
        doc: "Schedule: two_stage, kv_wait, host_wait, launch, sync, overlap, comm_wait, bubble, kv_half_hidden, graph, skew, straggler (both of two ranks), or random (drawn by the seed).",
    },
    Parameter { name: "operations", default: "40", doc: "Operations of case=random, 1 to 10000." },
];

/// Bytes of an operation in the recorder: its record, its call, and room for four dependencies.
const OPERATION_BYTES: u64 = 176 + 72 + 4 * 32;
/// At most this for all blocks: over two million operations, more than any test of the analysis needs.
const MOST_BYTES: u64 = 1 << 30;

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "A schedule with known idle time, overlap and bubble, for tests of the analysis; a block holds it once.",
    pair: None,
    parameters: PARAMETERS,
    run: Run::Blocks(prepare),
    resolve: |_, settings| resolve(settings),
};

fn choose(settings: &Settings) -> Result<(String, usize), Error> {
    let given = Given::new(NAME, PARAMETERS, &settings.parameters)?;
    let names: Vec<(&str, &str)> = case_names().map(|name| (name, name)).collect();
    let (case, operations) = (given.choice("case", &names)?.to_owned(), given.number("operations", 1..=10_000)?);
    let count = find_case(&case).map_or(operations, |schedule| schedule.steps.len());
    let (needed_bytes, limit_bytes) =
        ((count as u64).saturating_mul(settings.blocks as u64).saturating_mul(OPERATION_BYTES), MOST_BYTES);
    if needed_bytes > limit_bytes {
        let what = format!("case={case} with {count} operations and {} blocks", settings.blocks);
        return Err(Error::TooLarge {
            what,
            needed_bytes,
            limit_bytes,
            parameters: "operations or the number of blocks",
        });
    }
    Ok((case, operations))
}

fn resolve(settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    let (case, operations) = choose(settings)?;
    Ok(BTreeMap::from([("case".to_owned(), case), ("operations".to_owned(), operations.to_string())]))
}

fn prepare(settings: &Settings) -> Result<Box<dyn Session>, Error> {
    let (case, operations) = choose(settings)?;
    let schedule = find_case(&case).unwrap_or_else(|| random(settings.seed, operations));
    Ok(Box::new(Synthetic::new(schedule, settings.blocks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(parameters: &[(&str, &str)], blocks: usize) -> Result<BTreeMap<String, String>, Error> {
        resolve(&Settings {
            seed: 1,
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            cores: vec![0],
            iterations: 1,
            blocks,
            warmup: 0,
            device_name: "test".to_owned(),
            arch: "test".to_owned(),
            backend: crate::Backend::Cpu,
            record: true,
        })
    }

    #[test]
    fn operations_of_all_blocks_cannot_be_more_than_memory_holds() {
        let random = [("case", "random"), ("operations", "10000")];
        assert_eq!(resolved(&random, 8).expect("allowed")["operations"], "10000");
        let error = resolved(&random, 1000).expect_err("ten million").to_string();
        assert!(error.contains("10000 operations and 1000 blocks"), "{error}");
        assert!(resolved(&[], 1_000_000).is_err());
        assert!(resolved(&[], 8).is_ok());
    }
}
