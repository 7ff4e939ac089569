//! The file of the recorder that the CUDA driver loads (`docs/inject.md`): its blocks, its clocks, its rows.

mod blocks;
mod clock;
mod counters;
mod ranges;
mod work;

pub(crate) use blocks::{Content, Head, MAGIC, VERSION, version};
pub(crate) use clock::Clock;
pub(crate) use counters::{counters, refused};
pub(crate) use ranges::ranges;
pub(crate) use work::{activities, calls, devices};

/// A field that is absent.
const ABSENT: i64 = i64::MIN;

fn optional(value: i64) -> Option<i64> {
    (value != ABSENT).then_some(value)
}
