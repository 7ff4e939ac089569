//! Which requests go on decoding elsewhere.

use super::{OUTPUT, pace_ns, room_ns};
use crate::policy::State;
use crate::{Device, Migration, View};

/// From the device on which the rest of a request takes longest to the one on which it takes least, as long as it takes `ratio`
/// times as long here as there, and the transfer. Each that goes makes the rest shorter here and longer there, so that those
/// who go never turn the tables. A mean context stands for theirs: the simulator takes the shortest first.
pub(super) fn plan(view: &View<'_>, ratio: f64) -> Option<Migration> {
    let able =
        || (0..view.devices.len()).filter(|&device| view.devices[device].up && of(view, device).0.role.decodes());
    let here = able().filter(|&device| view.devices[device].running > 0).map(|device| {
        let (spec, state) = of(view, device);
        (device, rest_ns(spec, state, -1, mean_context(state)))
    });
    // The lowest number on ties, of both.
    let (from, most_ns) = here.reduce(|most, next| if next.1 > most.1 { next } else { most })?;
    let context = mean_context(&view.devices[from]);
    let there = able().filter(|&device| device != from).map(|device| {
        let (spec, state) = of(view, device);
        (device, rest_ns(spec, state, 0, context))
    });
    let (to, least_ns) = there.reduce(|least, next| if next.1 < least.1 { next } else { least })?;
    let transfer_ns = view.cluster.link(from, to).duration_ns(context * view.cluster.kv_bytes_per_token) as f64;
    let ((source, leaving), (target, joining)) = (of(view, from), of(view, to));
    let pays = |count: &u32| {
        let count = i64::from(*count);
        let there_ns = rest_ns(target, joining, count - 1, context);
        rest_ns(source, leaving, -count, context) > ratio * there_ns + count as f64 * transfer_ns
    };
    let count = (1..=leaving.running).take_while(pays).count() as u32;
    (count > 0).then_some(Migration { from, to, count, gap: most_ns - least_ns })
}

fn of<'a>(view: &View<'a>, device: usize) -> (&'a Device, &'a State) {
    (&view.cluster.devices[device], &view.devices[device])
}

/// Mean tokens in the contexts of those that decode; too many where prompts wait that are cached or begun, since a router's
/// count has them: then fewer move.
fn mean_context(state: &State) -> u64 {
    state.kv_tokens.saturating_sub(state.waiting_tokens).checked_div(u64::from(state.running)).unwrap_or(0)
}

/// What is left of a request with a context, in the mean half of its output, if `more` others of that context decoded on the
/// device, or fewer: the wait for memory (also of those who are there and grow) and the steps.
fn rest_ns(spec: &Device, state: &State, more: i64, context: u64) -> f64 {
    let requests = (i64::from(state.running) + more).max(0) as u32;
    let tokens = context * more.unsigned_abs();
    let kv_tokens = if more < 0 { state.kv_tokens.saturating_sub(tokens) } else { state.kv_tokens + tokens };
    let state = State { running: requests, kv_tokens: kv_tokens.max(state.waiting_tokens), ..*state };
    let context = u32::try_from(context).unwrap_or(u32::MAX);
    room_ns(spec, &state, context) + f64::from(OUTPUT / 2) * pace_ns(spec, &state, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;
    use crate::{Cluster, Cost, Role, StepModel};

    /// A decode step takes 1 ms and as much for each request.
    fn cluster(kv_capacity_tokens: [u64; 2]) -> Cluster {
        let steps =
            StepModel { base_ns: 1e6, compute: Cost { sequence: 1e6, ..Cost::default() }, ..StepModel::default() };
        let device =
            |kv_capacity_tokens| Device { steps, kv_capacity_tokens, most_sequences: 64, ..device(Role::Decode) };
        Cluster { devices: kv_capacity_tokens.map(device).into(), ..Cluster::default() }
    }

    fn planned(kv_capacity_tokens: [u64; 2], running: [u32; 2]) -> Option<(usize, usize, u32)> {
        let cluster = cluster(kv_capacity_tokens);
        let state = |running| State { up: true, running, kv_tokens: 100 * u64::from(running), ..State::default() };
        let states = running.map(state);
        let plan = plan(&View { now_ns: 0, cluster: &cluster, devices: &states }, 1.25)?;
        Some((plan.from, plan.to, plan.count))
    }

    #[test]
    fn requests_go_until_the_rest_takes_as_long_here_as_there() {
        // Of ten, the third finds steps of 9 ms here and of 4 ms there, the fourth 8 and 5, the fifth 7 and 6.
        assert_eq!(planned([1 << 20; 2], [10, 0]), Some((0, 1, 4)));
        assert_eq!(planned([1 << 20; 2], [0, 10]), Some((1, 0, 4)));
    }

    #[test]
    fn a_small_gain_moves_nobody() {
        assert_eq!(planned([1 << 20; 2], [6, 5]), None);
        assert_eq!(planned([1 << 20; 2], [1, 0]), None);
        assert_eq!(planned([1 << 20; 2], [0, 0]), None);
    }

    #[test]
    fn where_memory_will_be_short_requests_leave() {
        // Eight of 100 tokens grow by 128 each, in the mean: 1,824 in all.
        assert_eq!(planned([1 << 20, 1 << 20], [8, 8]), None);
        assert_eq!(planned([1000, 1 << 20], [8, 8]).map(|(from, to, _)| (from, to)), Some((0, 1)));
    }

    #[test]
    fn nobody_goes_to_a_device_that_is_down() {
        let cluster = cluster([1 << 20; 2]);
        let busy = State { up: true, running: 10, kv_tokens: 1000, ..State::default() };
        let view = View { now_ns: 0, cluster: &cluster, devices: &[busy, State::default()] };
        assert_eq!(plan(&view, 1.25), None);
        assert_eq!(plan(&View { devices: &[State::default(); 2], ..view }, 1.25), None);
    }
}
