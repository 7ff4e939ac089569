//! How long a request waits between its prefill and its first decode, and for what.

use proftool_timeline::measure::Measure;

use super::phase::hidden;
use crate::operators::{Span, split, total};

/// The parts of one wait or of several; they sum to it exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stall {
    /// The decode device decodes, or the same batch does elsewhere; `None` where neither is known.
    pub(super) busy: Option<i64>,
    /// An own transfer is in flight.
    pub(super) transfer: i64,
    /// The request is queued; `None` where no event says when requests are.
    pub(super) queue: Option<i64>,
    /// The rest.
    pub(super) other: i64,
}

impl Stall {
    pub(super) fn stall(&self) -> i64 {
        self.transfer.saturating_add(self.queue.unwrap_or(0)).saturating_add(self.other)
    }

    pub(super) fn wait(&self) -> i64 {
        self.busy.unwrap_or(0).saturating_add(self.stall())
    }

    pub(super) fn add(&mut self, other: &Self) {
        let sum = |a: Option<i64>, b: Option<i64>| {
            (a.is_some() || b.is_some()).then(|| a.unwrap_or(0).saturating_add(b.unwrap_or(0)))
        };
        self.busy = sum(self.busy, other.busy);
        self.transfer = self.transfer.saturating_add(other.transfer);
        self.queue = sum(self.queue, other.queue);
        self.other = self.other.saturating_add(other.other);
    }
}

/// What is known about a wait; the sets are sorted and disjoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait<'a> {
    /// Own decoding elsewhere, where batches are told apart.
    pub(super) own: Option<&'a [Span]>,
    /// Own transfers.
    pub(super) transfers: &'a [Span],
    /// When the request is queued, where events say so.
    pub(super) queued: Option<&'a [Span]>,
    /// When the decode device decodes.
    pub(super) device: Option<&'a Measure>,
}

impl Wait<'_> {
    /// Cuts one wait; an empty or negative one has no parts. The cost grows with the own sets only: what the device does
    /// is looked up by bisection.
    pub(super) fn cut(&self, wait: Span) -> Stall {
        let wait = [wait].into_iter().filter(|wait| wait.0 < wait.1).collect::<Vec<Span>>();
        let (own, queued) = (self.own.unwrap_or_default(), self.queued.unwrap_or_default());
        let pieces = split(&wait, &[own, self.transfers, queued]);
        let piece = |at: usize| pieces.get(at).map_or(&[][..], Vec::as_slice);
        let busy = |at: usize| hidden(piece(at), self.device);
        let free = |at: usize| total(piece(at)).saturating_sub(busy(at));
        let all_busy = [busy(1), busy(2), busy(3)].into_iter().fold(total(piece(0)), i64::saturating_add);
        Stall {
            busy: (self.own.is_some() || self.device.is_some()).then_some(all_busy),
            transfer: free(1),
            queue: self.queued.map(|_| free(2)),
            other: free(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{contains, union};
    use proptest::prelude::*;

    #[test]
    fn each_nanosecond_of_a_wait_belongs_to_the_first_that_holds() {
        // Wait 0..100: the batch decodes elsewhere 0..10, the device decodes 5..20; transfer 15..40, queued 30..60.
        let device = Measure::of(vec![(5, 20)]);
        let wait =
            Wait { own: Some(&[(0, 10)]), transfers: &[(15, 40)], queued: Some(&[(30, 60)]), device: Some(&device) };
        assert_eq!(wait.cut((0, 100)), Stall { busy: Some(20), transfer: 20, queue: Some(20), other: 40 });
        let blind = Wait { own: None, queued: None, device: None, ..wait };
        assert_eq!(blind.cut((0, 100)), Stall { busy: None, transfer: 25, queue: None, other: 75 });
        assert_eq!(wait.cut((100, 0)), Stall { busy: Some(0), queue: Some(0), ..Stall::default() });
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0..50_i64, 0..12_i64), 0..6).prop_map(|pairs| {
            union(&pairs.into_iter().map(|(start, length)| (start, start + length)).collect::<Vec<_>>())
        })
    }

    proptest! {
        #[test]
        fn the_parts_agree_with_a_decision_for_each_nanosecond(
            own in spans(), transfers in spans(), queued in spans(), device in spans(), start in 0..60_i64, length in 0..40_i64,
        ) {
            let mut parts = [0; 4];
            for t in start..start + length {
                let first = [contains(&own, t) || contains(&device, t), contains(&transfers, t), contains(&queued, t), true];
                parts[first.iter().position(|holds| *holds).unwrap()] += 1;
            }
            let measure = Measure::of(device);
            let wait = Wait { own: Some(&own), transfers: &transfers, queued: Some(&queued), device: Some(&measure) };
            let stall = wait.cut((start, start + length));
            prop_assert_eq!([stall.busy.unwrap(), stall.transfer, stall.queue.unwrap(), stall.other], parts);
            prop_assert_eq!(stall.wait(), length);
        }
    }
}
