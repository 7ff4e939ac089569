//! The split policy of the course's `dynamo_config.yaml`.

use super::{Knob, Maker};
use crate::policy::{cheapest, decodes};
use crate::{Ask, Explanation, Policy, Role, View};

pub(crate) static MAKER: Maker = Maker {
    name: "dynamo_config",
    doc: "The course's dynamo_config: short prompts are computed where they decode, long ones by the prefill pool; the lowest queue + load - cached prefix.",
    knobs: &[
        Knob {
            name: "prompt_length_threshold",
            default: 256.0,
            range: (0.0, 1e9),
            doc: "Uncached prompt tokens up to which a device that also decodes computes them.",
        },
        Knob {
            name: "prefill_queue_limit",
            default: 10.0,
            range: (0.0, 1e9),
            doc: "Waiting prompts a prefill device, in the mean, from which on the others compute long prompts too.",
        },
        Knob {
            name: "prefix_cache_weight",
            default: 10.0,
            range: (0.0, 1e6),
            doc: "Weight of the share of the prompt that is cached.",
        },
        Knob {
            name: "queue_length_weight",
            default: 1.5,
            range: (0.0, 1e6),
            doc: "Weight of a request that waits there.",
        },
        Knob {
            name: "decode_load_weight",
            default: 0.5,
            range: (0.0, 1e6),
            doc: "Weight of a request that decodes there.",
        },
        Knob {
            name: "enable_hotspot_prevention",
            default: 1.0,
            range: (0.0, 1.0),
            doc: "1: where more than twice as many wait as on the others of its role, and four more, the cache does not count; 0: it does.",
        },
        Knob {
            name: "min_cache_hit_ratio",
            default: 0.75,
            range: (0.0, 1.0),
            doc: "Cached share of a prompt below which it does not count.",
        },
    ],
    make: |knobs, _| {
        Box::new(DynamoConfig {
            threshold: knobs.get("prompt_length_threshold"),
            queue_limit: knobs.get("prefill_queue_limit"),
            prefix: knobs.get("prefix_cache_weight"),
            queue: knobs.get("queue_length_weight"),
            load: knobs.get("decode_load_weight"),
            spread: knobs.get("enable_hotspot_prevention") > 0.0,
            least_hit: knobs.get("min_cache_hit_ratio"),
        })
    },
};

/// The knobs: see there.
struct DynamoConfig {
    threshold: f64,
    queue_limit: f64,
    prefix: f64,
    queue: f64,
    load: f64,
    spread: bool,
    least_hit: f64,
}

impl DynamoConfig {
    /// Queue, load and, as a gain, the cached prefix.
    fn terms(&self, device: usize, ask: &Ask<'_>, view: &View<'_>) -> [f64; 3] {
        let state = &view.devices[device];
        let hit = f64::from(ask.cached_tokens[device]) / f64::from(ask.request.prompt_tokens.max(1));
        let hit = if hit < self.least_hit || self.is_hot(device, view) { 0.0 } else { hit };
        [self.queue * f64::from(state.waiting), self.load * f64::from(state.running), -self.prefix * hit]
    }

    fn cost(&self, device: usize, ask: &Ask<'_>, view: &View<'_>) -> f64 {
        self.terms(device, ask, view).iter().sum()
    }

    fn is_hot(&self, device: usize, view: &View<'_>) -> bool {
        let role = view.cluster.devices[device].role;
        let others = mean_queue(view, |other| other != device && has(view, other, role));
        self.spread && f64::from(view.devices[device].waiting) > 2.0 * others + HOT
    }
}

/// Requests that may wait beyond twice as many as elsewhere: short queues differ by chance.
const HOT: f64 = 4.0;

/// Requests that wait on one of these devices, in the mean; 0 where none is up.
fn mean_queue(view: &View<'_>, of: impl Fn(usize) -> bool) -> f64 {
    let up = (0..view.devices.len()).filter(|&device| view.devices[device].up && of(device));
    let (count, waiting) = up.fold((0, 0), |(count, sum), device| (count + 1, sum + view.devices[device].waiting));
    f64::from(waiting) / f64::from(count.max(1))
}

fn has(view: &View<'_>, device: usize, role: Role) -> bool {
    view.cluster.devices[device].role == role
}

impl Policy for DynamoConfig {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    /// Conditional disaggregation: the best device that decodes too computes the prompt itself when little of it is not
    /// cached there or too many wait for the prefill pool.
    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        let cost = |device: usize| self.cost(device, ask, view);
        let here = cheapest(view, |device| has(view, device, Role::Mixed), cost, why);
        let waiting = mean_queue(view, |device| has(view, device, Role::Prefill));
        let local = here.is_some_and(|device| {
            let fresh = ask.request.prompt_tokens.saturating_sub(ask.cached_tokens[device]);
            f64::from(fresh) <= self.threshold || waiting >= self.queue_limit
        });
        let (score, runner_up) = (why.score, why.runner_up);
        let apart = if local { None } else { cheapest(view, |device| has(view, device, Role::Prefill), cost, why) };
        if apart.is_none() {
            (why.score, why.runner_up) = (score, runner_up);
        }
        let chosen = apart.or(here)?;
        if why.wanted {
            why.terms.extend(["queue", "load", "prefix"].into_iter().zip(self.terms(chosen, ask, view)));
        }
        Some(chosen)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        cheapest(view, |device| decodes(view, ask, device), |device| self.cost(device, ask, view), why)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::device;
    use crate::{Cluster, Request, State};

    const ROLES: [Role; 4] = [Role::Prefill, Role::Prefill, Role::Mixed, Role::Mixed];

    /// Where a prompt of that length goes, of which each device has so much, with so many waiting there.
    fn chosen(prompt_tokens: u32, cached_tokens: &[u32; 4], waiting: [u32; 4], knobs: &[(&str, f64)]) -> Option<usize> {
        let cluster = Cluster { devices: ROLES.map(device).to_vec(), ..Cluster::default() };
        let devices = waiting.map(|waiting| State { up: true, waiting, ..State::default() });
        let request = Request { prompt_tokens, ..Request::default() };
        let ask = Ask { number: 0, request: &request, cached_tokens, prefilled_on: None };
        let view = View { now_ns: 0, cluster: &cluster, devices: &devices };
        let knobs: BTreeMap<String, f64> = knobs.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        MAKER.with(&knobs, 1).expect("allowed").place_prefill(&ask, &view, &mut Explanation::default())
    }

    #[test]
    fn short_uncached_parts_stay_where_they_decode_and_long_ones_go_to_the_pool_unless_it_is_full() {
        assert_eq!(chosen(256, &[0; 4], [0; 4], &[]), Some(2));
        assert_eq!(chosen(257, &[0; 4], [0; 4], &[]), Some(0));
        assert_eq!(chosen(257, &[0; 4], [0; 4], &[("prompt_length_threshold", 300.0)]), Some(2));
        // All but 200 tokens are cached on the last.
        assert_eq!(chosen(2000, &[0, 0, 0, 1800], [0; 4], &[]), Some(3));
        assert_eq!(chosen(2000, &[0; 4], [9, 10, 0, 0], &[]), Some(0));
        assert_eq!(chosen(2000, &[0; 4], [10, 10, 0, 0], &[]), Some(2));
        assert_eq!(chosen(2000, &[0; 4], [10, 10, 0, 0], &[("prefill_queue_limit", 11.0)]), Some(0));
    }

    #[test]
    fn a_cached_prefix_is_worth_a_queue_until_the_device_is_hot_or_too_little_is_cached() {
        let far = [("prompt_length_threshold", 0.0)];
        // 10 for the prefix against 1.5 a waiting request.
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [3, 6, 0, 0], &far), Some(1));
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [0, 7, 0, 0], &far), Some(0));
        let costly = [("prompt_length_threshold", 0.0), ("queue_length_weight", 3.0)];
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [2, 6, 0, 0], &costly), Some(0));
        assert_eq!(chosen(1000, &[0, 740, 0, 0], [0, 1, 0, 0], &far), Some(0));
        let any = [("prompt_length_threshold", 0.0), ("min_cache_hit_ratio", 0.5)];
        assert_eq!(chosen(1000, &[0, 740, 0, 0], [0, 1, 0, 0], &any), Some(1));
        // Seven wait there and none elsewhere: hot.
        let cheap = [("prompt_length_threshold", 0.0), ("queue_length_weight", 0.1)];
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [0, 7, 0, 0], &cheap), Some(0));
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [2, 7, 0, 0], &cheap), Some(1));
        let herd = [cheap[0], cheap[1], ("enable_hotspot_prevention", 0.0)];
        assert_eq!(chosen(1000, &[0, 1000, 0, 0], [0, 7, 0, 0], &herd), Some(1));
    }
}
