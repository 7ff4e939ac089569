//! What importers share: opening a raw file whatever its packing, looking at its beginning, and checking its rows.

mod head;
mod import;
pub(crate) mod json;
mod packed;
mod source;
pub(crate) mod tool;

pub use head::{HEAD_BYTES, Head};
pub use import::Import;
pub(crate) use import::{FARTHEST_NS, LONGEST_NS};
pub use packed::{BOMB_BYTES, BOMB_RATIO};
pub use proftool_trace::Severity;
pub use source::{Progress, Source};
