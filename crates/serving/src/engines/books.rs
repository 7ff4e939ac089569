//! What the router knows of the endpoints: its own requests there, what engines tell, and which prefixes went where.

use super::Gauges;
use crate::cache::Caches;
use crate::policy::{State, pairs};
use crate::{Cluster, Request, Workload};

/// The router's books.
pub(super) struct Books<'a> {
    workload: &'a Workload,
    cluster: &'a Cluster,
    /// What the policy sees: own requests and others'.
    pub(super) states: Vec<State>,
    own: Vec<State>,
    others: Vec<State>,
    /// What each endpoint was told at the last reading, for the log.
    pub(super) gauges: Vec<Gauges>,
    caches: Caches,
}

/// One of the router's own requests at an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) device: usize,
    /// Prompt tokens that are to be computed there.
    fresh: u64,
    /// Pairs of one of them and a token before it.
    pairs: u64,
    kv_tokens: u64,
    began: bool,
}

impl<'a> Books<'a> {
    pub(super) fn new(workload: &'a Workload, cluster: &'a Cluster) -> Self {
        let devices = cluster.devices.len();
        Self {
            workload,
            cluster,
            states: vec![State { up: true, ..State::default() }; devices],
            own: vec![State { up: true, ..State::default() }; devices],
            others: vec![State::default(); devices],
            gauges: vec![Gauges::default(); devices],
            caches: Caches::new(devices, workload.distinct_blocks),
        }
    }

    /// Prompt tokens that each endpoint should have in its cache: those of the whole blocks that went there last, as many as
    /// its memory holds. Engines drop blocks by rules of their own, so that this is an estimate.
    pub(super) fn cached(&self, request: &Request, cached: &mut [u32]) {
        self.caches.prefixes(self.blocks(request), cached);
        let most = request.prompt_tokens.saturating_sub(1);
        for tokens in cached {
            *tokens = tokens.saturating_mul(self.workload.block_tokens).min(most);
        }
    }

    fn blocks(&self, request: &Request) -> &'a [u32] {
        let whole = request.prompt_tokens / self.workload.block_tokens.max(1);
        let blocks = self.workload.blocks_of(request);
        &blocks[..blocks.len().min(whole as usize)]
    }

    /// A request goes to an endpoint.
    pub(super) fn place(&mut self, request: &Request, device: usize, cached: u32) -> Held {
        let blocks = self.blocks(request);
        // In use for a moment only: what matters is the order of last uses.
        self.caches.take(device, blocks);
        self.caches.release(device, blocks);
        let block_tokens = u64::from(self.workload.block_tokens.max(1));
        let capacity = self.cluster.devices[device].kv_capacity_tokens / block_tokens;
        self.caches.evict(device, self.caches.resident(device).saturating_sub(capacity));
        let prompt = u64::from(request.prompt_tokens);
        let fresh = prompt - u64::from(cached).min(prompt);
        let held = Held { device, fresh, pairs: pairs(fresh, prompt - fresh), kv_tokens: prompt, began: false };
        let own = &mut self.own[device];
        own.waiting += 1;
        own.waiting_tokens += held.fresh;
        own.waiting_pairs += held.pairs;
        own.kv_tokens += prompt;
        self.see(device);
        held
    }

    /// A chunk with content arrived: gives whether it is the first.
    pub(super) fn content(&mut self, held: &mut Held) -> bool {
        let own = &mut self.own[held.device];
        let first = !held.began;
        if first {
            own.waiting -= 1;
            own.waiting_tokens -= held.fresh;
            own.waiting_pairs -= held.pairs;
            own.running += 1;
            held.began = true;
        }
        // A chunk is about a token: this is what the context has grown to, no result.
        own.kv_tokens += 1;
        held.kv_tokens += 1;
        self.see(held.device);
        first
    }

    /// A request has left.
    pub(super) fn leave(&mut self, held: &Held) {
        let own = &mut self.own[held.device];
        if held.began {
            own.running -= 1;
        } else {
            own.waiting -= 1;
            own.waiting_tokens -= held.fresh;
            own.waiting_pairs -= held.pairs;
        }
        own.kv_tokens -= held.kv_tokens;
        self.see(held.device);
    }

    /// The router's own requests at an endpoint.
    pub(super) fn own(&self, device: usize) -> State {
        self.own[device]
    }

    /// An engine told its gauges. What it has beyond the router's own requests is others': `most` is the larger of those at
    /// the beginning and at the end of the reading, between which the engine has counted.
    pub(super) fn told(&mut self, device: usize, gauges: &Gauges, most: State) {
        self.gauges[device] = *gauges;
        // No engine has a million; sums over all endpoints stay in range.
        let count = |value: Option<f64>| value.unwrap_or(0.0).clamp(0.0, 1e6) as u32;
        let (waiting, running) = (count(gauges.waiting), count(gauges.running));
        let more = (waiting + running).saturating_sub(most.requests());
        let wait = waiting.saturating_sub(most.waiting).min(more);
        let capacity = self.cluster.devices[device].kv_capacity_tokens as f64;
        let held = (gauges.kv_usage_ratio.unwrap_or(0.0).clamp(0.0, 1.0) * capacity) as u64;
        self.others[device] = State {
            up: true,
            waiting: wait,
            // Of others' prompts nothing is known.
            waiting_tokens: 0,
            waiting_pairs: 0,
            running: more - wait,
            kv_tokens: held.saturating_sub(most.kv_tokens),
        };
        self.see(device);
    }

    /// An endpoint went down, or answers again: then it has forgotten everything.
    pub(super) fn change(&mut self, device: usize, up: bool) {
        self.own[device].up = up;
        self.others[device] = State::default();
        self.gauges[device] = Gauges::default();
        if !up {
            self.caches.clear(device);
        }
        self.see(device);
    }

    fn see(&mut self, device: usize) {
        let (own, others) = (self.own[device], self.others[device]);
        self.states[device] = State {
            up: own.up,
            waiting: own.waiting + others.waiting,
            waiting_tokens: own.waiting_tokens + others.waiting_tokens,
            waiting_pairs: own.waiting_pairs + others.waiting_pairs,
            running: own.running + others.running,
            kv_tokens: own.kv_tokens + others.kv_tokens,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Role, StepModel};

    fn cluster() -> Cluster {
        let device = |name: &str| Device {
            name: name.to_owned(),
            role: Role::Mixed,
            steps: StepModel::default(),
            kv_capacity_tokens: 32,
            step_tokens: 2048,
            most_sequences: 4,
            cost_per_hour: 1.0,
            watts: None,
            numa: 0,
        };
        Cluster { devices: vec![device("a"), device("b")], ..Cluster::default() }
    }

    fn workload() -> Workload {
        let mut workload = Workload { block_tokens: 8, distinct_blocks: 8, ..Workload::default() };
        let request = Request { prompt_tokens: 17, output_tokens: 3, ..Request::default() };
        workload.push(request, &[0, 1]);
        workload.push(request, &[0, 2]);
        workload.push(Request { prompt_tokens: 16, ..request }, &[3, 4]);
        workload
    }

    #[test]
    fn prefixes_are_expected_where_they_went_until_the_memory_is_full() {
        let (cluster, workload) = (cluster(), workload());
        let mut books = Books::new(&workload, &cluster);
        let cached = |books: &Books<'_>, number: usize| {
            let mut cached = [0; 2];
            books.cached(&workload.requests[number], &mut cached);
            cached
        };
        books.place(&workload.requests[0], 1, 0);
        assert_eq!((cached(&books, 0), cached(&books, 1)), ([0, 16], [0, 8]));
        books.place(&workload.requests[2], 1, 0);
        // A prompt that is all there still has its last token computed.
        assert_eq!(cached(&books, 2), [0, 15]);
        // Four blocks fill the memory: the fifth takes the place of the one used least recently, the tail of the first.
        books.place(&workload.requests[1], 1, 8);
        assert_eq!((cached(&books, 0), cached(&books, 1)), ([0, 8], [0, 16]));
        books.change(1, false);
        assert_eq!(cached(&books, 0), [0, 0]);
    }

    #[test]
    fn a_request_waits_then_runs_then_leaves_nothing_behind() {
        let (cluster, workload) = (cluster(), workload());
        let mut books = Books::new(&workload, &cluster);
        let mut held = books.place(&workload.requests[0], 0, 8);
        assert_eq!((books.states[0].waiting, books.states[0].waiting_tokens, books.states[0].kv_tokens), (1, 9, 17));
        assert!(books.content(&mut held) && !books.content(&mut held));
        assert_eq!((books.states[0].waiting, books.states[0].running, books.states[0].kv_tokens), (0, 1, 19));
        books.leave(&held);
        assert_eq!(books.states[0], State { up: true, ..State::default() });
    }

    #[test]
    fn what_an_engine_has_beyond_our_own_is_others() {
        let (cluster, workload) = (cluster(), workload());
        let mut books = Books::new(&workload, &cluster);
        let held = books.place(&workload.requests[0], 0, 0);
        let gauges = Gauges { waiting: Some(1.0), running: Some(3.0), kv_usage_ratio: Some(0.75), ..Gauges::default() };
        books.told(0, &gauges, books.own(0));
        // 4 requests of which one is ours; 24 of 32 tokens of which 17 are.
        assert_eq!((books.states[0].waiting, books.states[0].running, books.states[0].kv_tokens), (1, 3, 24));
        books.told(0, &Gauges { waiting: Some(1e300), running: Some(f64::MAX), ..gauges }, books.own(0));
        assert!(books.states[0].requests() > 1_000_000);
        books.leave(&held);
        books.told(0, &Gauges::default(), books.own(0));
        assert_eq!(books.states[0], State { up: true, ..State::default() });
    }
}
