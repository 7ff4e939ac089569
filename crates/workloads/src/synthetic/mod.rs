//! Schedules that are recorded without running anything.

mod cases;
mod random;
mod schedule;
mod session;

pub(crate) use cases::{case_names, find_case};
pub(crate) use random::random;
pub(crate) use session::Synthetic;
