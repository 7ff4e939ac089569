//! The device with the fewest requests.

use super::Maker;
use crate::policy::{cheapest, decodes, prefills};
use crate::{Ask, Explanation, Policy, View};

pub(super) static MAKER: Maker = Maker {
    name: "least_loaded",
    doc: "The device with the fewest requests, waiting or decoding.",
    knobs: &[],
    make: |_, _| Box::new(LeastLoaded),
};

struct LeastLoaded;

impl Policy for LeastLoaded {
    fn name(&self) -> &'static str {
        MAKER.name
    }

    fn place_prefill(&mut self, _ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        cheapest(view, |device| prefills(view, device), |device| requests(view, device), why)
    }

    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize> {
        cheapest(view, |device| decodes(view, ask, device), |device| requests(view, device), why)
    }
}

fn requests(view: &View<'_>, device: usize) -> f64 {
    f64::from(view.devices[device].requests())
}
