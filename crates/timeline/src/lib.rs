//! Exact arithmetic on timelines, in integer nanoseconds and without tables: interval operators, nested ranges, graphs of
//! operations, clocks of several ranks, steady states. Metrics are short compositions of these.

pub mod clock;
pub mod graph;
pub mod levels;
pub mod measure;
pub mod nesting;
pub mod operators;
pub mod steady;
pub mod summary;
pub mod weighted;
