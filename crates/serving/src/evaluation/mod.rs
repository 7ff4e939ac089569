//! The comparison of policies: what is run, on which seeds, and what may be said of the difference.
//!
//! - [`Case`]: a workload, a cluster and what was agreed on; [`Source`] makes its requests for a seed, from one of two halves.
//! - [`tune`]: each policy's knobs, drawn within stated ranges and chosen on the first half with the same budget for all.
//! - [`score`]: a run in the numbers that are compared; [`compare()`]: all policies on the same seeds and loads.
//! - [`difference`]: of paired seeds, with a bootstrap interval; [`Verdict`] is what it allows to say.
//! - [`settling`]: when a trend has come to rest after a load step.
//!
//! Times are simulated. The results are the same for any number of threads.

mod bootstrap;
mod compare;
mod parallel;
mod resample;
mod run;
mod settle;
mod source;
pub mod tune;

pub use bootstrap::{Difference, Verdict, difference};
pub use compare::{Cell, Comparison, compare};
pub use parallel::in_order;
pub use resample::{halves, resample};
pub use run::{Case, Entry, Error, Score, outcomes, score};
pub use settle::{Settled, bins, settling};
pub use source::{Half, Source};
