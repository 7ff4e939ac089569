//! The lab's telemetry-driven policy: a score of what streams and devices show, smoothed.
//!
//! Each term is between 0 and 1, relative to the other devices, so that none swamps the others whatever its unit. (Without
//! that a rate in the thousands decides alone: the device that once was fastest gets everything.)

use std::collections::VecDeque;

use super::{Knob, Knobs, Maker};
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Migration, Observation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "ewma_score",
    doc: "The highest score of smoothed TTFT, TPOT, queue, free memory and KV hit rate, with KV locality, cost and NUMA; migrates.",
    knobs: KNOBS,
    make: |knobs, _| Box::new(EwmaScore::new(knobs)),
};

static KNOBS: &[Knob] = &[
    Knob { name: "ewma_alpha", default: 0.3, range: (0.001, 1.0), doc: "Weight of the newest observation." },
    Knob { name: "queue_urgency", default: 1.0, range: (0.0, 100.0), doc: "Weight of the queue." },
    Knob { name: "kv_locality", default: 1.5, range: (0.0, 100.0), doc: "Score of a prompt that is cached wholly." },
    Knob {
        name: "cost_penalty",
        default: 0.0,
        range: (0.0, 10.0),
        doc: "Power of the relative price that divides the score.",
    },
    Knob {
        name: "numa_bias",
        default: 0.1,
        range: (0.0, 10.0),
        doc: "Score of a decode device on the prefill's NUMA node.",
    },
    Knob {
        name: "migration_gap",
        default: 0.5,
        range: (0.0, 100.0),
        doc: "Difference of scores above which requests move.",
    },
    Knob { name: "migration_budget", default: 32.0, range: (0.0, 1e6), doc: "Requests that may move in a window." },
    Knob { name: "migration_window_s", default: 1.0, range: (0.001, 3600.0), doc: "Length of the window, in seconds." },
    Knob { name: "migration_batch", default: 2.0, range: (0.0, 1000.0), doc: "Requests that move at a time." },
];

struct EwmaScore {
    alpha: f64,
    queue: f64,
    locality: f64,
    cost: f64,
    numa: f64,
    gap: f64,
    budget: usize,
    window_ns: i64,
    batch: u32,
    /// What streams showed, by device.
    seen: Vec<Seen>,
    /// When requests moved, within the window.
    moves: VecDeque<i64>,
}

/// Smoothed observations; none until the first.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ttft_ns: Option<f64>,
    tpot_ns: Option<f64>,
    hit_ratio: Option<f64>,
}

/// Weights of the terms, as in the lab: TTFT decides where prompts go, TPOT where tokens are generated.
struct Weights {
    ttft: f64,
    tpot: f64,
    memory: f64,
    queue: f64,
    hits: f64,
}

const PREFILL: Weights = Weights { ttft: 1.5, tpot: 0.5, memory: 1.0, queue: 2.0, hits: 0.2 };
const DECODE: Weights = Weights { ttft: 0.5, tpot: 1.5, memory: 1.0, queue: 1.0, hits: 0.0 };

impl EwmaScore {
    fn new(knobs: &Knobs) -> Self {
        Self {
            alpha: knobs.get("ewma_alpha"),
            queue: knobs.get("queue_urgency"),
            locality: knobs.get("kv_locality"),
            cost: knobs.get("cost_penalty"),
            numa: knobs.get("numa_bias"),
            gap: knobs.get("migration_gap"),
            budget: knobs.get("migration_budget") as usize,
            window_ns: (knobs.get("migration_window_s") * 1e9) as i64,
            batch: knobs.get("migration_batch") as u32,
            seen: Vec::new(),
            moves: VecDeque::new(),
        }
    }

    fn seen(&mut self, device: usize) -> &mut Seen {
        if self.seen.len() <= device {
            self.seen.resize(device + 1, Seen::default());
        }
        &mut self.seen[device]
    }

    fn of(&self, device: usize) -> Seen {
        self.seen.get(device).copied().unwrap_or_default()
    }

    /// The terms of a device's score, relative to the largest of each among the devices that `may` serve.
    fn terms(&self, view: &View<'_>, weights: &Weights, scale: &Scale, device: usize) -> [f64; 5] {
        let (seen, state) = (self.of(device), &view.devices[device]);
        let capacity = view.cluster.devices[device].kv_capacity_tokens.max(1) as f64;
        let least = |value: f64, most: f64| if most > 0.0 { 1.0 - value / most } else { 1.0 };
        [
            weights.ttft * least(seen.ttft_ns.unwrap_or(0.0), scale.ttft_ns),
            weights.tpot * least(seen.tpot_ns.unwrap_or(0.0), scale.tpot_ns),
            weights.memory * (1.0 - (state.kv_tokens as f64 / capacity).min(1.0)),
            weights.queue * self.queue * least(scale.load(view, device), scale.most_load),
            weights.hits * seen.hit_ratio.unwrap_or(0.0),
        ]
    }

    fn scale(&self, view: &View<'_>, prefill: bool, may: impl Fn(usize) -> bool) -> Scale {
        let mut scale = Scale { prefill, ..Scale::default() };
        for device in (0..view.devices.len()).filter(|&device| view.devices[device].up && may(device)) {
            let seen = self.of(device);
            scale.ttft_ns = scale.ttft_ns.max(seen.ttft_ns.unwrap_or(0.0));
            scale.tpot_ns = scale.tpot_ns.max(seen.tpot_ns.unwrap_or(0.0));
            scale.most_load = scale.most_load.max(scale.load(view, device));
            scale.cheapest = scale.cheapest.min(view.cluster.devices[device].cost_per_hour);
        }
        scale
    }

    /// A score less for what it costs, relative to the cheapest device.
    fn priced(&self, view: &View<'_>, scale: &Scale, device: usize, score: f64) -> f64 {
        let price = view.cluster.devices[device].cost_per_hour / scale.cheapest;
        if price.is_finite() && price > 0.0 { score / price.powf(self.cost) } else { score }
    }
}

/// The largest values among the devices in question.
struct Scale {
    prefill: bool,
    ttft_ns: f64,
    tpot_ns: f64,
    most_load: f64,
    cheapest: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { prefill: false, ttft_ns: 0.0, tpot_ns: 0.0, most_load: 0.0, cheapest: f64::INFINITY }
    }
}

impl Scale {
    /// What waits on a device: prompt tokens, or requests that decode for each it has room for.
    fn load(&self, view: &View<'_>, device: usize) -> f64 {
        let state = &view.devices[device];
        if self.prefill {
            state.waiting_tokens as f64
        } else {
            f64::from(state.running) / f64::from(view.cluster.devices[device].most_sequences.max(1))
        }
    }
}

const TERMS: [&str; 5] = ["ttft", "tpot", "free_memory", "queue", "kv_hits"];

impl Policy for EwmaScore {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn observe(&mut self, observation: &Observation, _view: &View<'_>) {
        let alpha = self.alpha;
        let smooth = |old: &mut Option<f64>, new: f64| *old = Some(old.map_or(new, |old| old + alpha * (new - old)));
        match *observation {
            Observation::FirstToken { device, ttft_ns, prompt_tokens, cached_tokens } => {
                let seen = self.seen(device);
                smooth(&mut seen.ttft_ns, ttft_ns as f64);
                smooth(&mut seen.hit_ratio, f64::from(cached_tokens) / f64::from(prompt_tokens.max(1)));
            }
            Observation::Finished { device, tpot_ns: Some(tpot_ns) } => {
                smooth(&mut self.seen(device).tpot_ns, tpot_ns as f64);
            }
            Observation::Finished { .. } => {}
            // What was seen of a device that was down says nothing about it now.
            Observation::Changed { device, .. } => *self.seen(device) = Seen::default(),
        }
    }

    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let scale = self.scale(view, true, |device| prefills(view, device));
        let local = |device: usize| {
            self.locality * f64::from(ask.cached_tokens[device]) / f64::from(ask.request.prompt_tokens.max(1))
        };
        let score = |device: usize| self.terms(view, &PREFILL, &scale, device).iter().sum::<f64>() + local(device);
        let cost = |device: usize| -self.priced(view, &scale, device, score(device));
        let chosen = cheapest(view, |device| prefills(view, device), cost, why)?;
        if why.wanted {
            why.terms.extend(TERMS.into_iter().zip(self.terms(view, &PREFILL, &scale, chosen)));
            why.terms.push(("kv_locality", local(chosen)));
        }
        Some(chosen)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let may = |device: usize| decodes(view, ask, device);
        let scale = self.scale(view, false, may);
        let near = |device: usize| {
            let node = |device: usize| view.cluster.devices[device].numa;
            ask.prefilled_on.map_or(0.0, |from| self.numa * f64::from(u8::from(node(from) == node(device))))
        };
        let local = |device: usize| {
            self.locality * f64::from(ask.cached_tokens[device]) / f64::from(ask.request.prompt_tokens.max(1))
        };
        let score = |device: usize| {
            self.terms(view, &DECODE, &scale, device).iter().sum::<f64>() + near(device) + local(device)
        };
        let chosen = cheapest(view, may, |device| -self.priced(view, &scale, device, score(device)), why)?;
        if why.wanted {
            why.terms.extend(TERMS.into_iter().zip(self.terms(view, &DECODE, &scale, chosen)));
            why.terms.extend([("kv_locality", local(chosen)), ("numa", near(chosen))]);
        }
        Some(chosen)
    }

    /// From the worst decode device to the best, where their scores differ by more than the gap and the window's budget
    /// allows it. Score and budget are in the time of the view, simulated or real.
    fn plan_migrations(&mut self, view: &View<'_>, plan: &mut Vec<Migration>) {
        while self.moves.front().is_some_and(|&at_ns| at_ns <= view.now_ns - self.window_ns) {
            self.moves.pop_front();
        }
        let left = self.budget.saturating_sub(self.moves.len()) as u32;
        let may = |device: usize| view.devices[device].up && view.cluster.devices[device].role.decodes();
        let scale = self.scale(view, false, may);
        let score = |device: usize| {
            let score = self.terms(view, &DECODE, &scale, device).iter().sum::<f64>();
            self.priced(view, &scale, device, score)
        };
        let able = || (0..view.devices.len()).filter(|&device| may(device));
        let best = able().map(|device| (device, score(device))).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let loaded = able().filter(|&device| view.devices[device].running > 0);
        let worst = loaded.map(|device| (device, score(device))).min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let (Some((to, high)), Some((from, low))) = (best, worst) else { return };
        // Half the difference at most: more would turn the tables.
        let surplus = view.devices[from].running.saturating_sub(view.devices[to].running) / 2;
        let count = self.batch.min(left).min(surplus);
        if from == to || high - low <= self.gap || count == 0 {
            return;
        }
        self.moves.extend(std::iter::repeat_n(view.now_ns, count as usize));
        plan.push(Migration { from, to, count, gap: high - low });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::State;
    use crate::testing::device;
    use crate::{Cluster, Device, Role};
    use std::collections::BTreeMap;

    /// Two decode devices, `running` requests on each; the second has shown a longer time per token.
    fn planned(knobs: &[(&str, f64)], running: [u32; 2], rounds: i64) -> Vec<Migration> {
        let device = Device { kv_capacity_tokens: 1000, most_sequences: 100, ..device(Role::Decode) };
        let cluster = Cluster { devices: vec![device.clone(), device], ..Cluster::default() };
        let state = |running| State { up: true, running, kv_tokens: u64::from(running), ..State::default() };
        let states = running.map(state);
        let given: BTreeMap<String, f64> = knobs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let mut policy = MAKER.with(&given, 0).expect("allowed");
        let mut plan = Vec::new();
        for round in 0..rounds {
            let view = View { now_ns: round * 100_000_000, cluster: &cluster, devices: &states };
            for (device, tpot_ns) in [(0, 10), (1, 20)] {
                policy.observe(&Observation::Finished { device, tpot_ns: Some(tpot_ns) }, &view);
            }
            policy.plan_migrations(&view, &mut plan);
        }
        plan
    }

    #[test]
    fn requests_move_only_where_the_gap_of_scores_is_above_the_knob() {
        let moved = planned(&[], [0, 50], 1);
        // TPOT 1.5 x 0.5, queue 1 and free memory 0.05 for the first.
        let [Migration { from: 1, to: 0, count: 2, gap }] = moved[..] else { panic!("{moved:?}") };
        assert!((gap - (0.75 + 1.0 + 0.05)).abs() < 1e-12, "{gap}");
        assert_eq!(planned(&[("migration_gap", 1.79)], [0, 50], 1).len(), 1);
        assert!(planned(&[("migration_gap", 1.81)], [0, 50], 1).is_empty());
        // Not where it would turn the tables.
        assert!(planned(&[("migration_gap", 0.0)], [50, 50], 1).is_empty());
        assert!(planned(&[("migration_gap", 0.0)], [49, 50], 1).is_empty());
    }

    #[test]
    fn no_window_has_more_moves_than_its_budget() {
        let knobs = [("migration_budget", 5.0), ("migration_window_s", 1.0), ("migration_batch", 2.0)];
        let counts: Vec<u32> = planned(&knobs, [0, 50], 15).iter().map(|migration| migration.count).collect();
        // 2, 2 and 1 at 0, 0.1 and 0.2 s; the same a second later.
        assert_eq!(counts, [2, 2, 1, 2, 2, 1]);
        assert!(planned(&[("migration_budget", 0.0)], [0, 50], 15).is_empty());
    }
}
