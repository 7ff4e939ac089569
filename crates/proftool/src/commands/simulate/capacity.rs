//! The highest rate at which a share of the requests meets every SLO, a row a policy and seed.

use polars::prelude::DataFrame;
use proftool_serving::capacity::{Capacity, Search};
use proftool_serving::{Tally, summarize_tiers};
use proftool_trace::frame::{float_column, int_column, text_column};

use super::cases::{Case, simulated};
use super::setup::Setup;
use crate::failure::{Failure, Kind};
use crate::interrupt;

/// What a table for people shows.
pub(super) const COLUMNS: &[&str] = &[
    "policy",
    "capacity_requests_per_s",
    "failed_requests_per_s",
    "slo_attainment_ratio",
    "capacity_requests_per_dollar",
    "reason",
];

/// What was found for a policy.
pub(super) struct Found {
    policy: &'static str,
    seed: u64,
    share: f64,
    /// Requests per second at factor 1; none where all come at once.
    per_s: Option<f64>,
    capacity: Capacity,
}

/// Searches the capacity of a case; the factor multiplies its own load.
pub(super) fn one(case: &Case, setup: &Setup<'_>, share: f64) -> Result<Found, Failure> {
    let workload = setup.workload(case.load, case.seed);
    let per_s = (workload.span_ns() > 0).then(|| workload.requests.len() as f64 / (workload.span_ns() as f64 / 1e9));
    let mut failure = None;
    let attainment = |factor: f64| {
        if interrupt::asked() || failure.is_some() {
            return 0.0;
        }
        let mut faster = workload.clone();
        faster.scale(factor);
        let mut tally = Tally::default();
        match simulated(case, setup, &faster, &setup.faster(factor), &mut tally) {
            Ok(()) => summarize_tiers(&tally.outcomes, Some(&setup.options.slos)).slo_attainment_ratio,
            Err(found) => {
                failure = Some(found);
                0.0
            }
        }
    };
    let capacity = Search { share, ..Search::default() }.run(attainment);
    failure.map_or(Ok(Found { policy: case.maker.name, seed: case.seed, share, per_s, capacity }), Err)
}

/// The rows as a frame.
pub(super) fn frame(found: &[Found], setup: &Setup<'_>) -> Result<DataFrame, Failure> {
    let dollars_per_hour = setup.dollars_per_hour();
    let float = |name, of: &dyn Fn(&Found) -> Option<f64>| float_column(name, found.iter().map(of));
    let per_s = |found: &Found, factor: Option<f64>| Some(found.per_s? * factor?);
    let columns = vec![
        text_column("policy", found.iter().map(|found| Some(found.policy))),
        int_column("seed", found.iter().map(|found| Some(found.seed as i64))),
        float("share_ratio", &|found| Some(found.share)),
        float("capacity_load", &|found| found.capacity.factor),
        float("failed_load", &|found| found.capacity.failed),
        float("capacity_requests_per_s", &|found| per_s(found, found.capacity.factor)),
        float("failed_requests_per_s", &|found| per_s(found, found.capacity.failed)),
        float("slo_attainment_ratio", &|found| found.capacity.attainment_ratio),
        float("capacity_requests_per_dollar", &|found| {
            let good = per_s(found, found.capacity.factor)? * found.capacity.attainment_ratio?;
            (dollars_per_hour > 0.0).then(|| good * 3600.0 / dollars_per_hour)
        }),
        int_column("runs", found.iter().map(|found| Some(i64::from(found.capacity.runs)))),
        text_column("reason", found.iter().map(|found| found.capacity.reason)),
    ];
    DataFrame::new(found.len(), columns).map_err(|error| Failure::new(Kind::Bug, error))
}
