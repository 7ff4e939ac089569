//! What a queue can be asked to do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use proftool_tracer::Text;

use super::pacing::Link;
use crate::kernels::{self, Activation, Attention, Linear, Scratch, Weights};

/// Memory of a device that is a core. An operation holds its lock while it reads or writes: a forgotten wait then gives old values, not
/// undefined behaviour.
pub(crate) type Buffer = Arc<RwLock<Vec<f32>>>;

/// A buffer of that many values, none of them a number: what is read before it was written shows in the outputs. Every
/// page is written here, before a block starts; zeros would come from the system untouched, and each page's first use
/// would be a page fault inside an operation.
pub(crate) fn buffer(values: usize) -> Buffer {
    Arc::new(RwLock::new(vec![f32::NAN; values]))
}

/// Reads a buffer.
pub(crate) fn read(buffer: &Buffer) -> RwLockReadGuard<'_, Vec<f32>> {
    buffer.read().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a buffer.
pub(crate) fn write(buffer: &Buffer) -> RwLockWriteGuard<'_, Vec<f32>> {
    buffer.write().unwrap_or_else(PoisonError::into_inner)
}

/// An operation on buffers of a backend, with its laid-out weights.
#[derive(Clone, Debug)]
pub(crate) enum Work<B = Buffer, W = Arc<Weights>> {
    /// `activation(x W + bias)` for a slice of output columns; the input is the columns of `inputs` side by side.
    Linear { weights: W, first: usize, columns: usize, rows: usize, inputs: Vec<B>, output: B, activation: Activation },
    /// A decode step's reduction over the handed-over prompt rows; `previous` is absent at the first step.
    Attention { width: usize, prompt_tokens: usize, previous: Option<B>, keys: Vec<B>, keys_start: usize, output: B },
    /// A copy of all values; on cores it is paced by a link.
    Copy { from: B, to: B, link: Link, src_device: usize, dst_device: usize, fault: Fault },
}

/// What a test breaks in a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests break copies"))]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It takes its time but moves nothing.
    Removed,
    /// Every value arrives 1 % too large.
    Corrupted,
    /// It starts moving after that many nanoseconds.
    Delayed(i64),
}

/// What is said about an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) name: Text,
    pub(crate) step: i64,
    pub(crate) phase: Text,
    pub(crate) stage: i64,
    pub(crate) micro_batch: i64,
    pub(crate) rows: i64,
    pub(crate) flop: i64,
    pub(crate) dram_bytes: i64,
    pub(crate) precision: Text,
    /// Whether somebody wants to know when it ran.
    pub(crate) timed: bool,
}

/// When an operation ran; valid after its queue was synchronised, if its label asked for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ticket(Arc<[AtomicI64; 2]>);

impl Ticket {
    pub(crate) fn set(&self, start_ns: i64, end_ns: i64) {
        self.0[0].store(start_ns, Ordering::Release);
        self.0[1].store(end_ns, Ordering::Release);
    }

    pub(crate) fn end_ns(&self) -> i64 {
        self.0[1].load(Ordering::Acquire)
    }

    pub(crate) fn duration_ns(&self) -> i64 {
        self.end_ns() - self.0[0].load(Ordering::Acquire)
    }
}

impl Work {
    /// Does it on the calling thread.
    pub(crate) fn run(&self, scratch: &mut Scratch) {
        match self {
            Self::Linear { weights, first, columns, rows, inputs, output, activation } => {
                let guards: Vec<_> = inputs.iter().map(read).collect();
                let pieces: Vec<&[f32]> = guards.iter().map(|guard| guard.as_slice()).collect();
                let layer = Linear {
                    weights,
                    first: *first,
                    columns: *columns,
                    rows: *rows,
                    pieces: &pieces,
                    activation: *activation,
                };
                kernels::linear(&layer, &mut write(output), scratch);
            }
            Self::Attention { width, prompt_tokens, previous, keys, keys_start, output } => {
                let previous = previous.as_ref().map(read);
                let guards: Vec<_> = keys.iter().map(read).collect();
                let keys: Vec<&[f32]> = guards.iter().map(|guard| guard.as_slice()).collect();
                let step = Attention {
                    width: *width,
                    prompt_tokens: *prompt_tokens,
                    previous: previous.as_ref().map_or(&[], |previous| previous.as_slice()),
                    keys: &keys,
                    keys_start: *keys_start,
                };
                kernels::attention(&step, &mut write(output), scratch);
            }
            Self::Copy { from, to, link, fault, .. } => link.copy(from, to, *fault),
        }
    }
}
