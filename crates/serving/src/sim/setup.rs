//! What makes a simulation impossible.

use crate::admission::Slos;
use crate::{Cluster, Options, Tier, Workload};

/// Why a simulation cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// More devices than are kept track of.
    #[error("{0} devices are too many (hint: at most {most} in one cluster)", most = Cluster::MOST_DEVICES)]
    TooManyDevices(usize),
    /// Prompts have no place.
    #[error("no device computes prompts (hint: at least one of role prefill or mixed)")]
    NoPrefill,
    /// Tokens have no place.
    #[error("no device decodes (hint: at least one of role decode or mixed)")]
    NoDecode,
    /// A device's number is none, or makes every request wait for ever.
    #[error("{device} cannot serve with this {what} (hint: a number above 0; prices and power may be 0)")]
    Number {
        /// The device.
        device: String,
        /// Which of its numbers.
        what: &'static str,
    },
    /// A link moves nothing.
    #[error("a link needs a bandwidth above 0 and a latency of 0 or more")]
    Link,
    /// Nobody can keep it.
    #[error("the SLO of tier {tier} is not above 0 (hint: leave it large where nothing was agreed on)", tier = .0.name())]
    Slo(Tier),
    /// A pool cannot grow as far as it may.
    #[error(
        "the {pool} pool may have {least} to {most} replicas, the cluster has {has} of them (hint: 1 <= least <= most <= {has})"
    )]
    Pool {
        /// The pool.
        pool: &'static str,
        /// Replicas at least.
        least: usize,
        /// Replicas at most.
        most: usize,
        /// Devices of the pool.
        has: usize,
    },
    /// Scaling would go up and down at once.
    #[error("the {0} pool scales down at a load at which it scales up (hint: lower thresholds for down than for up)")]
    Thresholds(&'static str),
    /// A period of no time.
    #[error("{0} must be above 0 ns")]
    Period(&'static str),
    /// A device that does not exist.
    #[error("device {device} cannot go down or come back: there are {has} (hint: they count from 0)")]
    Change {
        /// The device.
        device: usize,
        /// Devices.
        has: usize,
    },
    /// A request arrives when times cannot be added up any more.
    #[error("request {0} arrives more than 146 years from the start (hint: a smaller window, or a higher load)")]
    Time(usize),
    /// A request arrives before the one that stands before it.
    #[error("request {0} arrives before the one that stands before it (hint: Workload::sort)")]
    Order(usize),
    /// A request's blocks are not in the workload.
    #[error("request {0} has prefix blocks that the workload lacks")]
    Blocks(usize),
}

impl Slos {
    /// Whether they can be kept at all.
    ///
    /// # Errors
    /// For the first tier whose SLO is 0 or less.
    pub fn check(&self) -> Result<(), SetupError> {
        let wrong = Tier::ALL.into_iter().find(|&tier| self.of(tier).ttft_ns <= 0 || self.of(tier).tpot_ns <= 0);
        wrong.map_or(Ok(()), |tier| Err(SetupError::Slo(tier)))
    }
}

/// Whether all of it fits together.
pub(super) fn check(workload: &Workload, cluster: &Cluster, options: &Options) -> Result<(), SetupError> {
    cluster.check()?;
    options.slos.check()?;
    let has = cluster.devices.len();
    if let Some(change) = options.changes.iter().find(|change| change.device >= has) {
        return Err(SetupError::Change { device: change.device, has });
    }
    let periods =
        [("the sample period", options.sample_period_ns), ("the migration period", options.migration_period_ns)];
    let deadlines = options.deadlines_ns.map(|deadline| ("a deadline", deadline));
    let none = |(_, period): &(&str, Option<i64>)| period.is_some_and(|period| period <= 0);
    if let Some((what, _)) = periods.into_iter().chain(deadlines).find(none) {
        return Err(SetupError::Period(what));
    }
    if let Some(autoscale) = &options.autoscale {
        autoscale.check(cluster)?;
    }
    requests(workload)
}

/// Arrivals up to here leave room for what follows.
const MOST_NS: u64 = 1 << 62;

fn requests(workload: &Workload) -> Result<(), SetupError> {
    let far = workload.requests.iter().position(|request| request.arrival_ns.unsigned_abs() > MOST_NS);
    if let Some(at) = far {
        return Err(SetupError::Time(at));
    }
    let pairs = workload.requests.windows(2).position(|pair| pair[1].arrival_ns < pair[0].arrival_ns);
    if let Some(at) = pairs {
        return Err(SetupError::Order(at + 1));
    }
    let held = workload.blocks.len() as u64;
    let outside = |first: u64, count: u32| first.checked_add(u64::from(count)).is_none_or(|end| end > held);
    let unknown = |blocks: &[u32]| blocks.iter().any(|&block| block >= workload.distinct_blocks);
    // All blocks in one pass: which request has the wrong one is asked only where there is one.
    let any = unknown(&workload.blocks);
    let lacks = workload.requests.iter().position(|request| {
        outside(request.first_block, request.block_count) || (any && unknown(workload.blocks_of(request)))
    });
    lacks.map_or(Ok(()), |at| Err(SetupError::Blocks(at)))
}
