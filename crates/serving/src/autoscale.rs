//! Pools that grow and shrink with their load.
//!
//! Every period of simulated time each pool is looked at once, and at most one of its replicas is started or stopped:
//!
//! - **Load** is what a replica has in the mean, those that are starting counted in: requests that neither decode nor have
//!   their prompt computed (the queue), and usage: of the prefill pool the share of the period in which its devices
//!   computed, of the decode pool the share of its KV memory that requests hold.
//! - **Up** where the queue or the usage is at or above its threshold, or fewer replicas serve than the pool must have: a
//!   replica that is being stopped serves again at once (its cache is warm), else the first that is off is started, and
//!   serves after the start-up time.
//! - **Down** where both are at or below their thresholds, nothing is starting or stopping, and more replicas serve than
//!   the pool must have: the one with the fewest requests, of those the last. It gets no new work, finishes what it has, and is
//!   off. It costs until then.
//!
//! A run begins with the first `least` devices of each pool; the cluster holds the others, off. A device that has failed and
//! comes back serves again, unless its pool has as many as it may: then it is off.

use crate::{Cluster, Role, SetupError};

/// How pools scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscale {
    /// How often the load is looked at.
    pub period_ns: i64,
    /// Time from the start of a replica until it serves.
    pub start_up_ns: i64,
    /// Devices that only compute prompts; fixed without.
    pub prefill: Option<Scaling>,
    /// Devices that decode, those that do both included; fixed without.
    pub decode: Option<Scaling>,
}

impl Default for Autoscale {
    /// Looked at every second; 30 s until a replica serves (an assumption: reading the weights from local disks, and warming
    /// up). No pool scales.
    fn default() -> Self {
        Self { period_ns: 1_000_000_000, start_up_ns: 30_000_000_000, prefill: None, decode: None }
    }
}

/// How one pool scales.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Replicas at least.
    pub least: usize,
    /// Replicas at most.
    pub most: usize,
    /// At or above one of these it grows.
    pub up: Load,
    /// At or below both of these it shrinks.
    pub down: Load,
}

/// Load of a replica, in the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Requests that wait.
    pub queue_length: f64,
    /// Share of the time in which it computes, or of the KV memory in use.
    pub usage_ratio: f64,
}

/// A pool that scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Prefill,
    Decode,
}

impl Pool {
    pub(crate) const ALL: [Self; 2] = [Self::Prefill, Self::Decode];

    pub(crate) fn has(self, role: Role) -> bool {
        role.decodes() == (self == Self::Decode)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

impl Autoscale {
    pub(crate) fn of(&self, pool: Pool) -> Option<&Scaling> {
        match pool {
            Pool::Prefill => self.prefill.as_ref(),
            Pool::Decode => self.decode.as_ref(),
        }
    }

    /// Whether the cluster can be scaled so.
    ///
    /// # Errors
    /// For counts and thresholds that contradict each other, or that the cluster cannot follow.
    pub fn check(&self, cluster: &Cluster) -> Result<(), SetupError> {
        if self.period_ns <= 0 {
            return Err(SetupError::Period("the period of scaling"));
        }
        if self.start_up_ns < 0 {
            return Err(SetupError::Period("the start-up time"));
        }
        for pool in Pool::ALL {
            let Some(&Scaling { least, most, up, down }) = self.of(pool) else { continue };
            let has = cluster.devices.iter().filter(|device| pool.has(device.role)).count();
            if !(1..=most).contains(&least) || most > has {
                return Err(SetupError::Pool { pool: pool.name(), least, most, has });
            }
            // Not a number is not below either.
            if !(down.queue_length < up.queue_length && down.usage_ratio < up.usage_ratio) {
                return Err(SetupError::Thresholds(pool.name()));
            }
        }
        Ok(())
    }
}
