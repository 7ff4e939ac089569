//! What `proftool roofline` does with the metric's rows: choosing some of them, and judging them.

pub(crate) mod gate;
pub(crate) mod selection;
