//! Sums over the instances of one group of ranges.

use proftool_timeline::nesting::Projected;

use super::instances::Unprojected;
use crate::statistics::median_ns;

/// What is kept of each instance until its group is done; the vectors serve one group after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Numbers of the threads, some of them more than once.
    threads: Vec<u32>,
    /// Host durations of the finished ones.
    host: Vec<i64>,
    /// Lengths of the projections.
    projections: Vec<i64>,
}

impl Scratch {
    /// Counts an instance by its thread and, where it ended, its host duration.
    pub(super) fn begin(&mut self, thread: u32, host: Option<i64>) {
        if self.threads.last() != Some(&thread) {
            self.threads.push(thread);
        }
        self.host.extend(host);
    }

    /// Completes the sums of a group.
    pub(super) fn finish(&mut self, mut sums: Sums) -> Sums {
        let sum = |lengths: &[i64]| lengths.iter().fold(0, |sum: i64, length| sum.saturating_add(*length));
        self.threads.sort_unstable();
        self.threads.dedup();
        sums.threads = self.threads.len() as i64;
        (sums.host, sums.host_median) = (sum(&self.host), median_ns(&self.host));
        sums.projections = self.projections.len() as i64;
        (sums.projected, sums.projected_median) = (sum(&self.projections), median_ns(&self.projections));
        self.threads.clear();
        self.host.clear();
        self.projections.clear();
        sums
    }
}

/// Sums of one group in one window set.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub(super) group: u32,
    pub(super) instances: i64,
    pub(super) threads: i64,
    /// Sum of the host durations of those that ended.
    pub(super) host: i64,
    pub(super) host_median: Option<i64>,
    /// How many hold anything, and the lengths of those.
    pub(super) projections: i64,
    pub(super) projected: i64,
    pub(super) projected_median: Option<i64>,
    /// Number of ancestors, which its path gives; none where no instance is projected.
    pub(super) level: Option<i64>,
    pub(super) launches: i64,
    pub(super) operations: i64,
    pub(super) work: i64,
    pub(super) busy: i64,
    pub(super) own_operations: i64,
    pub(super) own_busy: i64,
    pub(super) first: i64,
    /// How often each of [`Unprojected::ALL`].
    unprojected: [i64; Unprojected::ALL.len()],
}

impl Sums {
    pub(super) fn of(group: u32) -> Self {
        Self { group, first: i64::MAX, ..Self::default() }
    }

    /// Adds what one of them holds.
    pub(super) fn hold(&mut self, held: &Projected, scratch: &mut Scratch) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        self.level = Some(i64::from(held.level));
        if let Some((start, end)) = held.span() {
            scratch.projections.push(end.saturating_sub(start));
        }
        self.launches += i64::from(held.launches);
        self.operations += i64::from(held.operations);
        self.own_operations += i64::from(held.own_operations);
        add(&mut self.work, held.work);
        add(&mut self.busy, held.busy);
        add(&mut self.own_busy, held.own_busy);
    }

    /// Counts one that is not projected.
    pub(super) fn leave_out(&mut self, why: Unprojected) {
        self.unprojected[why as usize] += 1;
    }

    pub(super) fn unprojected(&self) -> i64 {
        self.unprojected.iter().sum()
    }

    /// What was not projected, and why: `2 never ended, 1 ended on another thread`.
    pub(super) fn reason(&self) -> Option<String> {
        let counts = Unprojected::ALL.iter().zip(self.unprojected).filter(|(_, count)| *count > 0);
        let each: Vec<String> = counts.map(|(why, count)| format!("{count} {}", why.name())).collect();
        (!each.is_empty()).then(|| each.join(", "))
    }
}
