//! The fields of one of CUPTI's records.

use std::ffi::c_char;

use proftool_tracer::ABSENT;

/// `CUPTI_SYNCHRONIZATION_INVALID_VALUE` and the other identifiers that stand for none.
const INVALID: i64 = u32::MAX as i64;

/// The bytes of a record, at least as many as are read.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(pub(crate) &'a [u8]);

impl Record<'_> {
    pub(crate) fn bytes<const N: usize>(self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }

    pub(crate) fn byte(self, at: usize) -> i64 {
        i64::from(self.0[at])
    }

    pub(crate) fn half(self, at: usize) -> i64 {
        i64::from(u16::from_ne_bytes(self.bytes(at)))
    }

    pub(crate) fn word(self, at: usize) -> i64 {
        i64::from(u32::from_ne_bytes(self.bytes(at)))
    }

    /// A number of 64 bits; the few above `i64::MAX` wrap.
    pub(crate) fn long(self, at: usize) -> i64 {
        i64::from_ne_bytes(self.bytes(at))
    }

    pub(crate) fn pointer(self, at: usize) -> *const c_char {
        usize::from_ne_bytes(self.bytes(at)) as *const c_char
    }

    /// An identifier, absent where it is the one for none.
    pub(crate) fn id(self, at: usize) -> i64 {
        Some(self.word(at)).filter(|id| *id != INVALID).unwrap_or(ABSENT)
    }

    /// Start and end; both absent where CUPTI could not take the time and left a 0.
    pub(crate) fn span(self, start: usize, end: usize) -> [i64; 2] {
        let span = [self.long(start), self.long(end)];
        if span.contains(&0) { [ABSENT; 2] } else { span }
    }

    /// Graph and node; absent outside a graph.
    pub(crate) fn graph(self, graph: usize, node: usize) -> [i64; 2] {
        let some = |value: i64| if value == 0 { ABSENT } else { value };
        [some(self.id(graph)), some(self.long(node))]
    }
}
