//! The better of two devices drawn at random (Mitzenmacher 2001).

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Maker;
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "power_of_two",
    doc: "Of two devices drawn by the run's seed the one with fewer requests.",
    knobs: &[],
    make: |_, seed| Box::new(PowerOfTwo { random: SmallRng::seed_from_u64(seed) }),
};

struct PowerOfTwo {
    random: SmallRng,
}

impl PowerOfTwo {
    fn choose(&mut self, view: &View<'_>, may: impl Fn(usize) -> bool, why: &mut Explanation) -> Option<usize> {
        let able: Vec<usize> =
            (0..view.devices.len()).filter(|&device| view.devices[device].up && may(device)).collect();
        let first = *able.get(self.random.random_range(0..able.len().max(1)))?;
        // Of the others, so that two devices are always compared where there are two.
        let mut second = able[self.random.random_range(0..able.len().saturating_sub(1).max(1))];
        if second == first {
            second = able[able.len() - 1];
        }
        let drawn = |device: usize| device == first || device == second;
        cheapest(view, drawn, |device| f64::from(view.devices[device].requests()), why)
    }
}

impl Policy for PowerOfTwo {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, _ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        self.choose(view, |device| prefills(view, device), why)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        self.choose(view, |device| decodes(view, ask, device), why)
    }
}
