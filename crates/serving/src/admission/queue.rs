//! Thresholds on the queue.

use super::{Admission, Asked};
use crate::{Tier, View};

/// Accepts a request while few wait and memory is free; premium requests always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueThreshold {
    /// Requests that may wait on the chosen device.
    pub most_waiting: u32,
    /// Share of its KV memory that may be in use.
    pub most_kv_ratio: f64,
}

impl Default for QueueThreshold {
    /// Ten requests, as in the course's dynamic routing, and 95 % of the memory.
    fn default() -> Self {
        Self { most_waiting: 10, most_kv_ratio: 0.95 }
    }
}

impl Admission for QueueThreshold {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn admit(&mut self, asked: &Asked<'_>, view: &View<'_>) -> Result<(), &'static str> {
        let state = &view.devices[asked.device];
        let capacity = view.cluster.devices[asked.device].kv_capacity_tokens.max(1) as f64;
        if asked.ask.request.tier == Tier::Premium {
            return Ok(());
        }
        if state.waiting >= self.most_waiting {
            return Err("too many requests wait");
        }
        if state.kv_tokens as f64 / capacity > self.most_kv_ratio {
            return Err("too little KV memory is free");
        }
        Ok(())
    }
}
