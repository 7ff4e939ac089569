//! Our own: the least delay, for the request and for those that it delays.
//!
//! Every term is a time, so that nothing needs to be weighed but whose time it is. What a router knows suffices: the lengths of
//! the prompts that it has placed, the devices' queues and memory, and how long a step takes.

mod moves;
mod work;

use self::work::{Work, drain_ns, prefill_ns, steps};
use super::{Knob, Maker};
use crate::policy::{cheapest, decodes, prefills};
use crate::steps::Batch;
use crate::{Ask, Device, Explanation, Migration, Policy, State, View};

pub(super) static MAKER: Maker = Maker {
    name: "least_delay",
    doc: "The least delay in all: the request's own predicted TTFT, and what its prompt takes from those who come after it or decode beside it; migrates.",
    knobs: &[
        Knob {
            name: "work_weight",
            default: 2.0,
            range: (0.0, 100.0),
            doc: "Weight of the time that the prompt takes from those who come to the device after it.",
        },
        Knob {
            name: "decode_weight",
            default: 0.05,
            range: (0.0, 100.0),
            doc: "What a second of decoding counts beside one before the first token.",
        },
        Knob {
            name: "move_ratio",
            default: 1.25,
            range: (1.0, 1e6),
            doc: "How many times as long the rest of a decoding request must take where it is as elsewhere, for it to move.",
        },
    ],
    make: |knobs, _| {
        let (work, decode) = (knobs.get("work_weight"), knobs.get("decode_weight"));
        Box::new(LeastDelay { work, decode, move_ratio: knobs.get("move_ratio") })
    },
};

/// Output tokens that a request is taken to have: nobody knows. Only where memory is short or prompts queue does it matter.
const OUTPUT: u32 = 256;

struct LeastDelay {
    work: f64,
    decode: f64,
    move_ratio: f64,
}

const TERMS: [&str; 4] = ["ttft_ns", "room_ns", "work_ns", "decode_ns"];

impl LeastDelay {
    /// The request's own delays and those that it causes, in ns:
    /// - `ttft_ns`: the prompts that wait there and its own, each with its own attention, to the end of its last step. (Where in
    ///   its step the device is was tried, too: it made nothing better.)
    /// - `room_ns`: until there is memory for it.
    /// - `work_ns`: what its prompt takes from those that come to this device while it is busy, and from those that would find
    ///   no free device elsewhere: as many will as wait even at the shortest queue. While a device is free, it does that work
    ///   and nobody waits for it. Counted in the time of a mean device: which one is faster is in the first term already.
    /// - `decode_ns`: what its prompt takes from those that decode beside it, and its own decoding. A pause now and then is
    ///   lost in an output; only where prompts follow each other do pauses add up, so it counts as far as devices are busy.
    fn terms(&self, device: usize, ask: &Ask<'_>, view: &View<'_>, load: &Load) -> [f64; 4] {
        let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
        let (prompt, cached) = lengths(ask, device);
        let work = Work::of(prompt - cached, cached);
        let all = Work::waiting(state).plus(work);
        let ttft_ns = prefill_ns(spec, state, all, steps(spec, state, all.tokens).ceil());
        let own_ns = prefill_ns(spec, state, work, steps(spec, state, work.tokens));
        let work_ns = (load.busy * busy(f64::from(state.waiting)) + f64::from(load.least)) * load.mean_ns(work);
        let decode_ns = if spec.role.decodes() {
            own_ns * f64::from(state.running) + f64::from(OUTPUT) * pace_ns(spec, state, prompt)
        } else {
            0.0
        };
        [
            ttft_ns + drain_ns(spec, work, own_ns),
            room_ns(spec, state, prompt),
            self.work * work_ns,
            self.decode * load.busy * decode_ns,
        ]
    }
}

/// The request's prompt tokens, and how many of them a device has.
fn lengths(ask: &Ask<'_>, device: usize) -> (u32, u32) {
    let prompt = ask.request.prompt_tokens;
    (prompt, ask.cached_tokens[device].min(prompt))
}

/// Share of the time in which a device is busy, from the requests that wait there: `L = r / (1 - r)` of M/M/1.
fn busy(waiting: f64) -> f64 {
    waiting / (1.0 + waiting)
}

/// A step of those that decode there, with a context more.
fn pace_ns(spec: &Device, state: &State, context: u32) -> f64 {
    let kv_tokens = state.kv_tokens.saturating_sub(state.waiting_tokens) + u64::from(context);
    let batch = Batch { sequences: u64::from(state.running) + 1, kv_tokens, ..Batch::default() };
    spec.steps.step_ns(&batch) as f64
}

/// Time until a device has memory and a seat for a context, with what all that are there will still generate (half of
/// [`OUTPUT`] each, in the mean): they leave one after the other, each after [`OUTPUT`] steps.
fn room_ns(spec: &Device, state: &State, context: u32) -> f64 {
    let requests = state.requests() + 1;
    let need = state.kv_tokens + u64::from(context) + u64::from(requests) * u64::from(OUTPUT / 2);
    let missing = need.saturating_sub(spec.kv_capacity_tokens) as f64;
    let seats = f64::from(requests.saturating_sub(spec.most_sequences));
    if missing <= 0.0 && seats <= 0.0 {
        return 0.0;
    }
    let share = (missing / state.kv_tokens.max(1) as f64).max(seats / f64::from(state.requests().max(1)));
    share * f64::from(OUTPUT) * pace_ns(spec, state, 0)
}

/// What all devices that compute prompts have in common.
struct Load {
    /// Share of the time in which the mean one is busy.
    busy: f64,
    /// Requests that wait where the fewest do.
    least: u32,
    /// Time that a prompt token and a pair take, in the mean.
    token_ns: f64,
    pair_ns: f64,
}

impl Load {
    fn new(view: &View<'_>) -> Self {
        let able = (0..view.devices.len()).filter(|&device| view.devices[device].up && prefills(view, device));
        let (mut devices, mut waiting, mut token_ns, mut pair_ns) = (0_u32, 0_u32, 0.0, 0.0);
        let mut least = u32::MAX;
        for device in able {
            let steps = &view.cluster.devices[device].steps;
            let depth = steps.pipeline.depth() as f64;
            devices += 1;
            waiting += view.devices[device].waiting;
            least = least.min(view.devices[device].waiting);
            token_ns += steps.compute.prefill_token / depth;
            pair_ns += steps.compute.prefill_pair / depth;
        }
        let devices = f64::from(devices.max(1));
        let busy = busy(f64::from(waiting) / devices);
        Self { busy, least, token_ns: token_ns / devices, pair_ns: pair_ns / devices }
    }

    fn mean_ns(&self, work: Work) -> f64 {
        self.token_ns * work.tokens as f64 + self.pair_ns * work.pairs as f64
    }
}

impl Policy for LeastDelay {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let load = Load::new(view);
        let cost = |device: usize| self.terms(device, ask, view, &load).iter().sum::<f64>();
        let chosen = cheapest(view, |device| prefills(view, device), cost, why)?;
        if why.wanted {
            why.terms.extend(TERMS.into_iter().zip(self.terms(chosen, ask, view, &load)));
        }
        Some(chosen)
    }

    /// Where it decodes soonest and fastest: the time until there is memory for it, and its own steps.
    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let context = ask.request.prompt_tokens;
        let terms = |device: usize| {
            let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
            [room_ns(spec, state, context), f64::from(OUTPUT) * pace_ns(spec, state, context)]
        };
        let chosen = cheapest(view, |device| decodes(view, ask, device), |device| terms(device).iter().sum(), why)?;
        if why.wanted {
            why.terms.extend(["room_ns", "decode_ns"].into_iter().zip(terms(chosen)));
        }
        Some(chosen)
    }

    fn plan_migrations(&mut self, view: &View<'_>, plan: &mut Vec<Migration>) {
        plan.extend(moves::plan(view, self.move_ratio));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cluster, Cost, Request, Role, StepModel, testing};

    /// A token takes a microsecond, a step a millisecond more; a decode step 1 ms and 1 us a request.
    fn device(kv_capacity_tokens: u64) -> Device {
        let compute = Cost { prefill_token: 1000.0, sequence: 1000.0, ..Cost::default() };
        let steps = StepModel { base_ns: 1e6, compute, ..StepModel::default() };
        Device { steps, kv_capacity_tokens, step_tokens: 2000, most_sequences: 64, ..testing::device(Role::Mixed) }
    }

    fn chosen(devices: Vec<Device>, states: &[State], cached_tokens: &[u32]) -> (Option<usize>, Explanation) {
        let cluster = Cluster { devices, ..Cluster::default() };
        let request = Request { prompt_tokens: 1000, output_tokens: 1, ..Request::default() };
        let ask = Ask { number: 0, request: &request, cached_tokens, prefilled_on: None };
        let view = View { now_ns: 0, cluster: &cluster, devices: states };
        let mut why = Explanation { wanted: true, ..Explanation::default() };
        let mut policy = MAKER.with(&std::collections::BTreeMap::new(), 0).expect("defaults");
        (policy.place_prefill(&ask, &view, &mut why), why)
    }

    fn state(waiting: u32, waiting_tokens: u64, running: u32, kv_tokens: u64) -> State {
        State { up: true, waiting, waiting_tokens, running, kv_tokens, ..State::default() }
    }

    #[test]
    fn on_idle_devices_only_the_own_prompt_counts() {
        let idle = state(0, 0, 0, 0);
        let (device, why) = chosen(vec![device(1 << 20); 2], &[idle, idle], &[0, 512]);
        assert_eq!(device, Some(1));
        // 488 tokens in a step.
        assert_eq!(why.terms[..3], [("ttft_ns", 1_488_000.0), ("room_ns", 0.0), ("work_ns", 0.0)]);
        assert_eq!(why.terms[3], ("decode_ns", 0.0));
    }

    #[test]
    fn a_cached_prefix_is_waited_for_only_as_long_as_it_saves() {
        let idle = state(0, 0, 0, 0);
        for (waiting_tokens, device_chosen) in [(300, 0), (900, 1)] {
            let busy = state(1, waiting_tokens, 0, 1000);
            let (chosen, _) = chosen(vec![device(1 << 20); 2], &[busy, idle], &[512, 0]);
            assert_eq!(chosen, Some(device_chosen), "{waiting_tokens}");
        }
    }

    #[test]
    fn where_all_wait_a_cached_prefix_is_worth_more_than_it_saves_itself() {
        // 400 us more wait at the first than at the second, 200 of its tokens are cached.
        let near = state(1, 900, 0, 2000);
        let (alone, _) = chosen(vec![device(1 << 20); 2], &[near, state(0, 0, 0, 0)], &[200, 0]);
        let (all, _) = chosen(vec![device(1 << 20); 2], &[near, state(1, 500, 0, 2000)], &[200, 0]);
        assert_eq!((alone, all), (Some(1), Some(0)));
    }

    #[test]
    fn a_device_whose_memory_will_be_full_is_left_alone() {
        let (full, free) = (state(0, 0, 4, 4000), state(0, 0, 8, 8000));
        let (chosen, why) = chosen(vec![device(5500), device(1 << 20)], &[full, free], &[0, 0]);
        assert_eq!(chosen, Some(1));
        // 4,000 + 1,000 and 128 for each of five: 140 too many, of 4,000 that leave in 256 steps.
        let missing = room_ns(&device(5500), &full, 1000) / (140.0 / 4000.0 * 256.0 * 1_005_000.0);
        assert!((missing - 1.0).abs() < 1e-9, "{missing}");
        assert_eq!(why.terms[1], ("room_ns", 0.0));
    }
}
