//! TTFT and TPOT over time.

use crate::{Outcome, Status, nearest_rank};

/// Requests that arrive in `[start_ns, end_ns)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Start.
    pub start_ns: i64,
    /// End.
    pub end_ns: i64,
    /// How many.
    pub requests: usize,
    /// Those that were served.
    pub ok: usize,
    /// Their median TTFT by the nearest rank; none where nobody was served, as below.
    pub ttft_p50_ns: Option<i64>,
    /// The 99th percentile.
    pub ttft_p99_ns: Option<i64>,
    /// Their median TPOT.
    pub tpot_p50_ns: Option<i64>,
}

/// The bins of a run from 0 to its last arrival: `wanted` of them, about, for their width is 1, 2 or 5 times a power of ten
/// in ns. A request counts in the bin in which it arrived, one
/// that arrived before 0 in the first.
pub fn trend(outcomes: &[Outcome], wanted: i64) -> Vec<Bin> {
    let Some(last_ns) = outcomes.iter().map(|outcome| outcome.arrival_ns.max(0)).max() else { return Vec::new() };
    let width_ns = nice((last_ns / wanted.max(1)).max(1));
    let mut parts: Vec<Vec<&Outcome>> = vec![Vec::new(); (last_ns / width_ns) as usize + 1];
    for outcome in outcomes {
        parts[(outcome.arrival_ns.max(0) / width_ns) as usize].push(outcome);
    }
    parts.iter().zip(0..).map(|(part, at)| bin(part, at * width_ns, width_ns)).collect()
}

fn bin(outcomes: &[&Outcome], start_ns: i64, width_ns: i64) -> Bin {
    let sorted = |of: fn(&Outcome) -> Option<i64>| {
        let mut times: Vec<i64> = outcomes.iter().filter_map(|outcome| of(outcome)).collect();
        times.sort_unstable();
        times
    };
    let (ttft, tpot) = (sorted(Outcome::ttft_ns), sorted(Outcome::tpot_ns));
    Bin {
        start_ns,
        end_ns: start_ns.saturating_add(width_ns),
        requests: outcomes.len(),
        ok: outcomes.iter().filter(|outcome| outcome.status == Status::Ok).count(),
        ttft_p50_ns: nearest_rank(&ttft, 0.5),
        ttft_p99_ns: nearest_rank(&ttft, 0.99),
        tpot_p50_ns: nearest_rank(&tpot, 0.5),
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below it.
fn nice(width_ns: i64) -> i64 {
    let power = 10_i64.pow(width_ns.ilog10());
    [1, 2, 5].into_iter().map(|step| step * power).find(|&nice| nice >= width_ns).unwrap_or(power.saturating_mul(10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn outcome(arrival_ns: i64, ttft_ns: i64) -> Outcome {
        let first_ns = arrival_ns + ttft_ns;
        Outcome { arrival_ns, ..testing::outcome(first_ns, first_ns + 40, 5) }
    }

    #[test]
    fn bins_hold_what_arrives_in_them_and_empty_ones_have_no_time() {
        let mut outcomes = vec![outcome(0, 7), outcome(99, 9), outcome(6000, 30)];
        outcomes.push(Outcome { status: Status::Rejected("full"), ..outcome(6001, 5) });
        let found = trend(&outcomes, 60);
        // 6001 / 60 = 100 ns.
        assert_eq!(found.len(), 61);
        let (ttft_p50_ns, ttft_p99_ns, tpot_p50_ns) = (Some(7), Some(9), Some(10));
        let first = Bin { start_ns: 0, end_ns: 100, requests: 2, ok: 2, ttft_p50_ns, ttft_p99_ns, tpot_p50_ns };
        assert_eq!(found[0], first);
        assert_eq!((found[1].requests, found[1].ttft_p50_ns), (0, None));
        assert_eq!((found[60].requests, found[60].ok, found[60].ttft_p50_ns), (2, 1, Some(30)));
        assert_eq!(trend(&[], 60), []);
        assert_eq!(trend(&[outcome(-500, 7), outcome(99, 9)], 1)[0].requests, 2);
    }

    #[test]
    fn widths_are_round_and_there_are_at_most_about_as_many_bins_as_wanted() {
        assert_eq!([1, 2, 3, 7, 10, 11, 499].map(nice), [1, 2, 5, 10, 10, 20, 500]);
        for last_ns in (1..1_000_000).step_by(9973) {
            assert!(trend(&[outcome(last_ns, 1)], 20).len() <= 22, "{last_ns}");
        }
    }
}
