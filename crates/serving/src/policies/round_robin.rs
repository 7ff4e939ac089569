//! One after the other, whatever happens: the control.

use super::Maker;
use crate::policy::{decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "round_robin",
    doc: "One device after the other, those that compute prompts and those that decode each in turn.",
    knobs: &[],
    make: |_, _| Box::new(RoundRobin::default()),
};

#[derive(Default)]
struct RoundRobin {
    prefill: usize,
    decode: usize,
}

impl Policy for RoundRobin {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, _ask: &Ask<'_>, view: &View<'_>, _why: &mut Explanation) -> Option<usize> {
        next(&mut self.prefill, view, |device| prefills(view, device))
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, _why: &mut Explanation) -> Option<usize> {
        next(&mut self.decode, view, |device| decodes(view, ask, device))
    }
}

/// The first device from `turn` on that is up and may serve.
fn next(turn: &mut usize, view: &View<'_>, may: impl Fn(usize) -> bool) -> Option<usize> {
    let count = view.devices.len();
    let mut devices = (0..count).map(|at| (*turn + at) % count);
    let device = devices.find(|&device| view.devices[device].up && may(device))?;
    *turn = (device + 1) % count;
    Some(device)
}
