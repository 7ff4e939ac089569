//! Where requests come from.

mod recorded;
mod synthetic;

pub use recorded::{Error, azure, mooncake};
pub use synthetic::{Lengths, Synthetic, synthetic};
