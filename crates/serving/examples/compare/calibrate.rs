//! Which loads are compared, and how much each policy can carry.

use proftool_serving::capacity::Search;
use proftool_serving::evaluation::{Case, Entry, Error, Half, in_order, score};
use proftool_serving::policies::POLICIES;

use crate::Failure;

/// Rates of a half of a case.
pub(crate) struct Rates {
    /// The workload's own rate, in requests/s.
    pub(crate) own_per_s: f64,
    /// The largest capacity of any policy at its default knobs, as a factor on that.
    pub(crate) best: f64,
    /// Whose it is.
    pub(crate) best_policy: &'static str,
    /// That of `round_robin`; none where even the lowest rate misses the share.
    pub(crate) round_robin: Option<f64>,
}

/// Capacities on a half, as it was recorded, with default knobs.
pub(crate) fn rates(case: &Case, half: Half, threads: usize) -> Result<Rates, Failure> {
    let entries: Vec<Entry> = POLICIES.iter().map(|&maker| Entry::default_of(maker)).collect();
    let factors = factors(case, half, &entries, threads)?;
    let named = || entries.iter().zip(&factors);
    let best = named().filter_map(|(entry, factor)| Some((entry.maker.name, (*factor)?)));
    let (best_policy, best) = best
        .fold(None, |best: Option<(&str, f64)>, one| Some(best.filter(|best| best.1 >= one.1).unwrap_or(one)))
        .ok_or("no policy meets the SLOs at any rate (hint: loosen them)")?;
    let round_robin = named().find(|(entry, _)| entry.maker.name == "round_robin").and_then(|(_, factor)| *factor);
    Ok(Rates { own_per_s: per_s(case, half), best, best_policy, round_robin })
}

/// Capacities on the second half, as it was recorded, in requests/s.
pub(crate) fn capacities(case: &Case, entries: &[Entry], threads: usize) -> Result<Vec<Option<f64>>, Failure> {
    let own_per_s = per_s(case, Half::Shown);
    let factors = factors(case, Half::Shown, entries, threads)?;
    Ok(factors.into_iter().map(|factor| Some(factor? * own_per_s)).collect())
}

fn per_s(case: &Case, half: Half) -> f64 {
    let workload = case.source.as_recorded(half);
    workload.requests.len() as f64 / (workload.span_ns().max(1) as f64 / 1e9)
}

fn factors(case: &Case, half: Half, entries: &[Entry], threads: usize) -> Result<Vec<Option<f64>>, Error> {
    let recorded = case.source.as_recorded(half);
    let search = |entry: &Entry| {
        let mut failure = None;
        let found = Search::default().run(|factor| {
            let mut workload = recorded.clone();
            workload.scale(factor);
            match score(case, &workload, entry, 0) {
                Ok(score) => score.summary.slo_attainment_ratio,
                Err(error) => {
                    failure = Some(error);
                    0.0
                }
            }
        });
        failure.map_or(Ok(found.factor), Err)
    };
    in_order(entries, threads, search).into_iter().collect()
}
