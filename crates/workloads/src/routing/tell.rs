//! What a run gave, in lines for people.

use proftool_serving::{Outcome, Status, Summary, Tier, nearest_rank};

use super::Plan;
use crate::Served;

/// One line about a simulated run.
pub(crate) fn line(target: &str, policy: &str, workload: &str, requests: usize, summary: &Summary) -> String {
    let ttft = times("TTFT", summary.ttft_ns);
    let deviation = summary.ttft_stddev_ns.map_or_else(String::new, |ns| format!(", stddev {}", ms(ns)));
    let tpot = times("TPOT", summary.tpot_ns);
    format!(
        "{target} (simulated): {policy}, {requests} requests of {workload}: {ttft}{deviation}; {tpot}; {:.0} tokens/s; goodput \
         {:.2} requests/s ({} within the SLO); {} rejected, {} failed, {} migrations",
        summary.output_tokens_per_s,
        summary.goodput_requests_per_s,
        percent(summary.slo_attainment_ratio),
        summary.rejected,
        summary.failed,
        summary.migrations,
    )
}

/// What changed from a baseline to its counterpart, in a line; none where one of them served nobody.
pub fn changes(baseline: (&str, &Served), optimized: (&str, &Served)) -> Option<String> {
    let (before, after) = (baseline.1.summary.as_ref()?, optimized.1.summary.as_ref()?);
    let kind = if optimized.1.simulated { "simulated" } else { "measured" };
    let at = |times: Option<[i64; 3]>, at: usize| times.map(|times| times[at] as f64);
    let parts = [
        change("TTFT p50", at(before.ttft_ns, 0), at(after.ttft_ns, 0)),
        change("p99", at(before.ttft_ns, 2), at(after.ttft_ns, 2)),
        change("stddev", before.ttft_stddev_ns, after.ttft_stddev_ns),
        change("TPOT p50", at(before.tpot_ns, 0), at(after.tpot_ns, 0)),
        change("tokens/s", Some(before.output_tokens_per_s), Some(after.output_tokens_per_s)),
        change("goodput", Some(before.goodput_requests_per_s), Some(after.goodput_requests_per_s)),
        format!("migrations {} to {}", before.migrations, after.migrations),
    ];
    Some(format!("{} against {} ({kind}): {}", optimized.0, baseline.0, parts.join(", ")))
}

fn change(what: &str, before: Option<f64>, after: Option<f64>) -> String {
    match before.zip(after).filter(|(before, _)| *before > 0.0) {
        Some((before, after)) => format!("{what} {:+.1} %", (after / before - 1.0) * 100.0),
        None => format!("{what} n/a"),
    }
}

/// How the prediction that admission rests on compares with what then happened, and what each tier got. `all` are the
/// outcomes of the same requests where everybody is served.
pub(crate) fn calibration(plan: &Plan, outcomes: &[Outcome], all: (&Summary, &[Outcome])) -> Vec<String> {
    let mut ratios: Vec<f64> = outcomes.iter().filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let within = |share: f64| {
        let close = ratios.iter().filter(|ratio| (**ratio - 1.0).abs() <= share).count();
        percent(close as f64 / ratios.len().max(1) as f64)
    };
    let first = nearest_rank(&ratios, 0.5).map_or_else(
        || "predicted TTFT (simulated): nobody was served".to_owned(),
        |middle| {
            format!(
                "predicted TTFT (simulated): actual over predicted {middle:.2} in the median; {} of those served within 10 % \
                 of it, {} within 25 %, {} within 50 %",
                within(0.1),
                within(0.25),
                within(0.5)
            )
        },
    );
    let tiers = Tier::ALL.into_iter().filter_map(|tier| of_tier(plan, tier, outcomes, all.1));
    let (summary, _) = all;
    let without = format!(
        "without early rejection (simulated): goodput {:.2} requests/s ({} within the SLO)",
        summary.goodput_requests_per_s,
        percent(summary.slo_attainment_ratio)
    );
    std::iter::once(first).chain(tiers).chain([without]).collect()
}

/// What a tier got; none where nobody is of it.
fn of_tier(plan: &Plan, tier: Tier, outcomes: &[Outcome], all: &[Outcome]) -> Option<String> {
    let slo = plan.slos.of(tier);
    let own: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.tier == tier).collect();
    let refused: Vec<&&Outcome> = own.iter().filter(|one| matches!(one.status, Status::Rejected(_))).collect();
    let served = own.iter().filter(|one| one.status == Status::Ok).count();
    let good = own.iter().filter(|outcome| outcome.meets(&plan.slos)).count();
    // Requests end in another order without refusals.
    let mut otherwise = vec![None; all.len()];
    for outcome in all {
        if let Some(place) = otherwise.get_mut(outcome.request as usize) {
            *place = Some(outcome);
        }
    }
    let missed = refused.iter().filter_map(|one| otherwise.get(one.request as usize).copied().flatten());
    let missed = missed.filter(|outcome| !outcome.meets(&plan.slos)).count();
    (!own.is_empty()).then(|| {
        format!(
            "  {} (SLO {}, {} a token): {} requests, {} refused ({missed} of them miss it where everybody is served), {} of \
             those served met it",
            tier.name(),
            ms(slo.ttft_ns as f64),
            ms(slo.tpot_ns as f64),
            own.len(),
            refused.len(),
            percent(good as f64 / served.max(1) as f64),
        )
    })
}

/// Actual over predicted TTFT, of those who were served.
fn ratio(outcome: &Outcome) -> Option<f64> {
    let ttft_ns = outcome.ttft_ns()?;
    (outcome.predicted_ttft_ns > 0).then(|| ttft_ns as f64 / outcome.predicted_ttft_ns as f64)
}

fn times(what: &str, times: Option<[i64; 3]>) -> String {
    times.map_or_else(
        || format!("{what} n/a"),
        |[p50, _, p99]| format!("{what} p50 {}, p99 {}", ms(p50 as f64), ms(p99 as f64)),
    )
}

/// Nanoseconds in milliseconds, three digits.
pub(crate) fn ms(ns: f64) -> String {
    let ms = ns / 1e6;
    let digits = if ms >= 100.0 {
        0
    } else if ms >= 10.0 {
        1
    } else {
        2
    };
    format!("{ms:.digits$} ms")
}

fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(ttft_ms: i64, tokens_per_s: f64) -> Served {
        let ns = ttft_ms * 1_000_000;
        let summary = Summary {
            ttft_ns: Some([ns, ns, 2 * ns]),
            ttft_stddev_ns: Some(ns as f64),
            output_tokens_per_s: tokens_per_s,
            ..Summary::default()
        };
        Served { simulated: true, summary: Some(summary), ..Served::default() }
    }

    #[test]
    fn a_change_is_told_relative_to_the_baseline() {
        let line = changes(("a", &served(200, 100.0)), ("b", &served(100, 110.0))).expect("both served");
        assert_eq!(
            line,
            "b against a (simulated): TTFT p50 -50.0 %, p99 -50.0 %, stddev -50.0 %, TPOT p50 n/a, tokens/s +10.0 %, goodput \
             n/a, migrations 0 to 0"
        );
        assert_eq!(changes(("a", &Served::default()), ("b", &served(1, 1.0))), None);
    }

    #[test]
    fn a_time_has_three_digits() {
        assert_eq!([1_234_567.0, 12_345_678.0, 123_456_789.0].map(ms), ["1.23 ms", "12.3 ms", "123 ms"]);
    }
}
