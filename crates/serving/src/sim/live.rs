//! Requests that are neither finished nor given up.

use crate::policy::pairs;

/// A request in the system.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Live {
    /// Its number in the workload.
    pub(super) request: u32,
    /// Grows whenever it leaves a list: what refers to an older epoch is void.
    pub(super) epoch: u32,
    /// Where it is, or is going to.
    pub(super) device: u8,
    /// Where it comes from while it moves: its memory there is still held.
    pub(super) from: u8,
    /// Where its prompt was computed first.
    pub(super) prefilled_on: u8,
    pub(super) phase: Phase,
    /// Prompt tokens that were cached when it was first computed.
    pub(super) cached_tokens: u32,
    /// Tokens of its context that are there.
    pub(super) context: u32,
    /// Tokens of its context that must be computed before it decodes.
    pub(super) target: u32,
    /// What the router counts as still to be computed.
    pub(super) expected: u32,
    /// Tokens generated when it last joined a batch.
    pub(super) generated: u32,
    /// Step of the device in which it joined.
    pub(super) joined: u64,
    /// Tokens of its own memory on the device, and blocks that it uses there.
    pub(super) private: u32,
    pub(super) held: u32,
    /// The same where it comes from, while it moves.
    pub(super) from_private: u32,
    pub(super) from_held: u32,
    /// Whether it moves by a migration.
    pub(super) moving: bool,
    /// Start of its phase.
    pub(super) since_ns: i64,
    pub(super) first_token_ns: i64,
    pub(super) predicted_ttft_ns: i64,
    /// Whether admission has let it in.
    pub(super) accepted: bool,
    pub(super) migrations: u16,
    pub(super) preemptions: u16,
}

impl Live {
    /// Pairs of one of the expected tokens and a token before it.
    pub(super) fn expected_pairs(&self) -> u64 {
        pairs(u64::from(self.expected), u64::from(self.target - self.expected))
    }
}

/// What a request is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its place is free.
    #[default]
    Gone,
    /// It waits for its prompt to be computed.
    Waiting,
    /// Its prompt is being computed.
    Prefilling,
    /// It waits for memory on the device that it moves to.
    Incoming,
    /// It moves.
    Moving,
    /// It waits for the next step.
    Joining,
    /// It decodes.
    Running,
}

/// All of them; places are used again.
#[derive(Default)]
pub(super) struct Slab {
    lives: Vec<Live>,
    free: Vec<u32>,
}

impl Slab {
    pub(super) fn insert(&mut self, live: Live) -> u32 {
        if let Some(place) = self.free.pop() {
            let epoch = self.lives[place as usize].epoch;
            self.lives[place as usize] = Live { epoch, ..live };
            return place;
        }
        // By a quarter, not to twice as many: memory for those that are there, not for those that may come.
        if self.lives.len() == self.lives.capacity() {
            self.lives.reserve_exact((self.lives.len() / 4).max(64));
        }
        self.lives.push(live);
        self.lives.len() as u32 - 1
    }

    pub(super) fn remove(&mut self, place: u32) {
        let live = &mut self.lives[place as usize];
        live.phase = Phase::Gone;
        live.epoch += 1;
        self.free.push(place);
    }

    pub(super) fn get(&self, place: u32) -> &Live {
        &self.lives[place as usize]
    }

    pub(super) fn get_mut(&mut self, place: u32) -> &mut Live {
        &mut self.lives[place as usize]
    }

    /// Places of those that are there.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        let there = |(place, live): (usize, &Live)| (live.phase != Phase::Gone).then_some(place as u32);
        self.lives.iter().enumerate().filter_map(there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::device::Member;

    #[test]
    fn a_request_and_its_seat_are_small() {
        // tests/memory.rs counts what it takes with all lists.
        assert!(size_of::<Live>() <= 96 && size_of::<Member>() <= 16);
    }
}
