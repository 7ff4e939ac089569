//! Where the time to the first token went: a partition of [arrival, first token) in whole nanoseconds.

use super::{Event, Kind, Log, Request};
use crate::operators::{Span, into_union, split_totals};

/// Nanoseconds between arrival and first token; the parts sum to the TTFT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) queue: i64,
    pub(crate) prefill: i64,
    pub(crate) kv: i64,
    pub(crate) decode: i64,
    pub(crate) host: i64,
}

impl Split {
    /// The parts in the order queue, prefill, kv, decode, host.
    pub(crate) fn parts(&self) -> [i64; 5] {
        [self.queue, self.prefill, self.kv, self.decode, self.host]
    }
}

impl Log {
    /// prefill = |U(prefill)|, kv = |U(KV transfers and migrations) \ prefill|, decode = |U(decode) \ both|, queue =
    /// |U(queued) \ the three|, host = the rest. None of a request that was not served whole, or of which the log knows
    /// no stage.
    pub(crate) fn split(&self, request: &Request) -> Option<Split> {
        let ttft = request.ttft()?;
        let window = (request.arrival, request.arrival.saturating_add(ttft));
        let stages = self.stages(request);
        if stages.is_empty() {
            return None;
        }
        let set = |kinds: &[Kind]| into_union(spans(stages, kinds));
        let (prefill, kv) = (set(&[Kind::Prefill]), set(&[Kind::KvTransfer, Kind::Migrate]));
        let (decode, queued) = (set(&[Kind::Decode]), set(&[Kind::Queued]));
        let whole = if window.0 < window.1 { vec![window] } else { Vec::new() };
        let parts = split_totals(&whole, &[&prefill, &kv, &decode, &queued]);
        Some(Split { prefill: parts[0], kv: parts[1], decode: parts[2], queue: parts[3], host: parts[4] })
    }
}

fn spans(stages: &[Event], kinds: &[Kind]) -> Vec<Span> {
    stages.iter().filter(|event| kinds.contains(&event.kind)).map(|event| event.span).collect()
}

/// Means of parts that sum to the mean of the whole, both in whole nanoseconds: the mean of all parts up to and with each,
/// rounded down, less that up to the one before. Each is within a nanosecond of its mean.
pub(crate) fn shares(sums: [i128; 5], count: usize) -> Option<[i64; 5]> {
    let count = i128::try_from(count).ok().filter(|count| *count > 0)?;
    let (mut sum, mut before) = (0, 0);
    Some(sums.map(|part| {
        sum += part;
        let mean = sum.div_euclid(count);
        let share = mean - before;
        before = mean;
        share as i64
    }))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_nanosecond_before_the_first_token_has_one_cause() {
        // Host 0..5, queue 5..20, prefill 20..50 (in two chunks, a transfer beside it), kv 50..60, decode 60..70.
        let log = Fixture::new()
            .request(0, Some(75), Some(100), 3)
            .event("queued", None, (5, 25))
            .event("prefill", None, (20, 40))
            .event("prefill", None, (38, 50))
            .event("kv_transfer", None, (45, 60))
            .event("decode", None, (55, 70))
            .event("queued", None, (90, 95))
            .request(1, Some(9), Some(20), 3)
            .log();
        let split = log.split(&log.requests[0]).unwrap();
        assert_eq!(split, Split { queue: 15, prefill: 30, kv: 10, decode: 10, host: 10 });
        assert_eq!(log.split(&log.requests[1]), None);
    }

    #[test]
    fn shares_sum_to_the_mean_of_the_whole() {
        assert_eq!(shares([1, 1, 1, 1, 1], 3), Some([0, 0, 1, 0, 0]));
        assert_eq!(shares([10, 0, 5, 0, 1], 2), Some([5, 0, 2, 0, 1]));
        assert_eq!(shares([1; 5], 0), None);
    }

    proptest! {
        #[test]
        fn the_parts_sum_to_the_time_to_the_first_token(
            ttft in 0_i64..200,
            stages in proptest::collection::vec((0_usize..6, -50_i64..250, 0_i64..90), 1..12),
        ) {
            let mut fixture = Fixture::new().request(0, Some(ttft), Some(300), 2);
            for (kind, start, length) in stages {
                fixture = fixture.event(Kind::ALL[kind].1, None, (start, start + length));
            }
            let log = fixture.log();
            let parts = log.split(&log.requests[0]).unwrap().parts();
            prop_assert_eq!(parts.iter().sum::<i64>(), ttft);
            prop_assert!(parts.iter().all(|part| *part >= 0));
        }
    }
}
