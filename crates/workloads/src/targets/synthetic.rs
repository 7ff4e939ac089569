//! Schedules whose idle time, overlap and bubble are known by construction: nothing runs, rows with fixed times are
//! recorded. The schedules are drawn in `crates/workloads/src/synthetic/cases.rs`.

use std::collections::BTreeMap;

use crate::parameters::Given;
use crate::synthetic::{Synthetic, case_names, find_case, random};
use crate::{Error, Parameter, Session, Settings, Target};

const NAME: &str = "synthetic";

static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "case",
        default: "two_stage",
        doc: "Schedule: two_stage, kv_wait, host_wait, launch, sync, overlap, or random (drawn by the seed).",
    },
    Parameter { name: "operations", default: "40", doc: "Operations of case=random, 1 to 10000." },
];

/// The target.
pub static TARGET: Target = Target {
    name: NAME,
    doc: "A schedule with known idle time, overlap and bubble, for tests of the analysis; a block holds it once.",
    pair: None,
    parameters: PARAMETERS,
    prepare,
    resolve,
};

fn choose(settings: &Settings) -> Result<(String, usize), Error> {
    let given = Given::new(NAME, PARAMETERS, &settings.parameters)?;
    let names: Vec<(&str, &str)> = case_names().map(|name| (name, name)).collect();
    Ok((given.choice("case", &names)?.to_owned(), given.number("operations", 1..=10_000)?))
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
