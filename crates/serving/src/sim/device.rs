//! A device's batch and memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::live::Slab;
use crate::cache::Caches;
use crate::steps::{Batch, DecodeRun};

/// A device at work.
#[derive(Default)]
pub(super) struct Machine {
    /// Requests whose prompt has not been begun, in the order in which they will be.
    pub(super) waiting: VecDeque<u32>,
    /// Requests whose prompt is being computed.
    pub(super) prefilling: VecDeque<u32>,
    /// Requests that wait for memory here before they move here, with their epoch.
    pub(super) incoming: VecDeque<(u32, u32)>,
    /// Requests that decode from the next step on.
    pub(super) joining: VecDeque<u32>,
    /// Requests that decode, by the step in which they end.
    pub(super) running: BinaryHeap<Reverse<Member>>,
    /// How many of `running` are not void.
    pub(super) sequences: u64,
    /// Tokens in their contexts.
    pub(super) kv_tokens: u64,
    /// Tokens of memory that are not in the prefix cache.
    pub(super) private: u64,
    /// Steps done in which somebody decoded.
    pub(super) step: u64,
    pub(super) busy: Option<Busy>,
    /// Prompt tokens of the step in progress.
    pub(super) chunks: Vec<(u32, u32)>,
    /// Requests that leave at the end of the step, with their epoch, where to, and the gap that justifies it.
    pub(super) leaving: Vec<(u32, u32, usize, f64)>,
    /// Grows with every change of plan: the end of a step that was planned before is void.
    pub(super) generation: u32,
    /// Time in which it computed, up to the last step that ended, and when its load was last looked at.
    pub(super) worked_ns: i64,
    pub(super) looked_ns: i64,
    /// Until when it sends, and receives.
    pub(super) sending_until_ns: i64,
    pub(super) receiving_until_ns: i64,
}

/// A decoding request: the step in which it ends, its place and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) ends: u64,
    pub(super) place: u32,
    pub(super) epoch: u32,
}

/// What a device does until its next event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    pub(super) start_ns: i64,
    pub(super) steps: u64,
    pub(super) batch: Batch,
    pub(super) line: DecodeRun,
    /// End of the last of its steps.
    pub(super) end_ns: i64,
    /// Steps whose tokens the router counts already.
    pub(super) told: u64,
}

impl Busy {
    /// End of one of its steps, the first is 1.
    pub(super) fn step_end_ns(&self, step: u64) -> i64 {
        if step >= self.steps { self.end_ns } else { self.start_ns + self.line.end_ns(step) }
    }

    /// How many of its steps have ended by now.
    pub(super) fn ended(&self, now_ns: i64) -> u64 {
        if self.end_ns <= now_ns { self.steps } else { self.line.ended(now_ns - self.start_ns, self.steps) }
    }
}

impl Machine {
    /// Requests whose memory is taken for a batch.
    pub(super) fn seated(&self) -> u64 {
        self.sequences + (self.prefilling.len() + self.joining.len()) as u64
    }

    /// Requests in its batch: whose prompt is being computed, or that decode.
    pub(super) fn batch(&self) -> u32 {
        self.sequences as u32 + self.prefilling.len() as u32
    }

    /// Time in which it computed since this was last asked.
    pub(super) fn worked_since_last(&mut self, now_ns: i64) -> i64 {
        let all_ns = self.worked_ns + self.busy.as_ref().map_or(0, |busy| now_ns - busy.start_ns);
        all_ns - std::mem::replace(&mut self.looked_ns, all_ns)
    }

    /// The members that are still there.
    pub(super) fn members<'a>(&'a self, lives: &'a Slab) -> impl Iterator<Item = u32> + 'a {
        self.running
            .iter()
            .map(|Reverse(member)| *member)
            .filter(|member| lives.get(member.place).epoch == member.epoch)
            .map(|member| member.place)
    }
}

/// Tokens that fit into the memory of a device without evicting anything.
pub(super) fn free_tokens(machine: &Machine, caches: &Caches, device: usize, capacity: u64, block_tokens: u64) -> u64 {
    capacity.saturating_sub(machine.private + caches.resident(device) * block_tokens)
}

/// Makes room for that many tokens; evicts only if it then fits.
pub(super) fn make_room(
    machine: &Machine,
    caches: &mut Caches,
    device: usize,
    capacity: u64,
    block_tokens: u64,
    tokens: u64,
) -> bool {
    let free = free_tokens(machine, caches, device, capacity, block_tokens);
    if free >= tokens {
        return true;
    }
    let missing = (tokens - free).div_ceil(block_tokens.max(1));
    if caches.unused(device) < missing {
        return false;
    }
    caches.evict(device, missing);
    true
}
