//! How soon TTFT and TPOT come to rest after the load has doubled.

use proftool_serving::Outcome;
use proftool_serving::evaluation::{Case, Entry, Error, Half, Settled, Source, bins, in_order, outcomes, settling};
use proftool_serving::policies;
use proftool_serving::sources::Synthetic;

use crate::tables::{head, number, row};
use crate::{Args, Failure, Found, OURS};

/// Share of round robin's capacity after the step: it must be able to settle.
const AFTER: f64 = 0.9;
const POLICIES: [&str; 3] = ["round_robin", "ewma_score", OURS];
/// Requests of a bin after the step, in the mean.
const PER_BIN: f64 = 800.0;
const REQUESTS: usize = 36_000;

/// The table.
pub(crate) fn section(all: &[Found], args: &Args) -> Result<String, Failure> {
    let mut text = format!(
        "\n## Settling after a load step\n\n\
        The lab's clusters without bursts. At a third of {REQUESTS} requests the rate doubles, to {AFTER} of `round_robin`'s own capacity. Bins hold {PER_BIN} requests in the mean \
        (TTFT by arrival, TPOT by end); final = median of the last quarter of the bins after the step, settled when all later bins lie within 10 % of it, overshoot = \
        largest bin / final - 1. Medians over the seeds; a run that never settles counts as the longest; `within` is the share of the bins within 10 %. \
        Default knobs.\n\n"
    );
    let names = ["case", "policy", "metric", "final ms", "settled after s", "never settled", "overshoot %", "within %"];
    head(&mut text, &names.map(str::to_owned));
    for found in all.iter().filter(|found| ["flagship_vs_mid", "mig_slices"].contains(&found.case.name)) {
        let Some(capacity) = found.rates.round_robin else { continue };
        let after_per_s = capacity * found.rates.own_per_s * AFTER;
        for policy in POLICIES {
            lines(&mut text, &found.case, policy, after_per_s, args)?;
        }
    }
    Ok(text)
}

fn lines(text: &mut String, case: &Case, policy: &str, after_per_s: f64, args: &Args) -> Result<(), Error> {
    let Some(maker) = policies::find(policy) else { return Ok(()) };
    let width_ns = (PER_BIN / after_per_s * 1e9) as i64;
    let seeds: Vec<u64> = (0..args.seeds).collect();
    let runs = in_order(&seeds, args.threads, |&seed| {
        let Source::Synthetic(shape) = &case.source else { return Ok([None; 2]) };
        let shape = Synthetic { requests: REQUESTS, per_s: after_per_s / 2.0, ..shape.clone() };
        let mut workload = Source::Synthetic(shape).workload(Half::Shown, seed);
        let step_ns = workload.requests[REQUESTS / 3].arrival_ns;
        workload.step(step_ns, 2.0);
        let end_ns = workload.requests.last().map_or(0, |request| request.arrival_ns);
        let outcomes = outcomes(case, &workload, &Entry::default_of(maker), seed)?;
        Ok(trends(&outcomes).map(|trend| settling(&bins(&trend, step_ns, end_ns, width_ns), width_ns)))
    });
    let runs: Vec<[Option<Settled>; 2]> = runs.into_iter().collect::<Result<_, Error>>()?;
    for (at, metric) in ["TTFT", "TPOT"].into_iter().enumerate() {
        let settled: Vec<Settled> = runs.iter().filter_map(|run| run[at]).collect();
        row(text, line(case.name, policy, metric, &settled));
    }
    Ok(())
}

/// TTFT by arrival and TPOT by end, in ms.
fn trends(outcomes: &[Outcome]) -> [Vec<(i64, f64)>; 2] {
    let (mut ttft, mut tpot) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let Some(first_ns) = outcome.first_token_ns else { continue };
        ttft.push((outcome.arrival_ns, (first_ns - outcome.arrival_ns) as f64 / 1e6));
        if outcome.output_tokens > 1 {
            tpot.push((
                outcome.end_ns,
                (outcome.end_ns - first_ns) as f64 / 1e6 / f64::from(outcome.output_tokens - 1),
            ));
        }
    }
    [ttft, tpot]
}

fn line(case: &str, policy: &str, metric: &str, runs: &[Settled]) -> Vec<String> {
    let median = |of: &dyn Fn(&Settled) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let text = |value: Option<f64>| {
        value.map_or("-".to_owned(), |value| if value.is_finite() { number(value) } else { "never".to_owned() })
    };
    vec![
        case.to_owned(),
        policy.to_owned(),
        metric.to_owned(),
        text(median(&|run| run.last)),
        text(median(&|run| run.after_ns.map_or(f64::INFINITY, |after_ns| after_ns as f64 / 1e9))),
        format!("{} of {}", runs.iter().filter(|run| run.after_ns.is_none()).count(), runs.len()),
        text(median(&|run| run.overshoot_ratio * 100.0)),
        text(median(&|run| run.within_ratio * 100.0)),
    ]
}
