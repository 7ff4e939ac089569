//! A link, modelled: real bytes move, in chunks, at a stated rate.

use std::time::Duration;

use super::system::{monotonic_ns, sleep_until};
use super::work::{Buffer, Fault, read, write};

/// Bandwidth and latency of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    /// Bytes per second.
    pub(crate) bytes_per_s: f64,
    /// Time before the first byte.
    pub(crate) latency: Duration,
}

/// Values of a chunk: a memory copy of 512 kB takes a core for some 50 microseconds, and a wake-up a few.
const CHUNK: usize = 128 << 10;

impl Link {
    /// The time that a transfer takes alone.
    pub(crate) fn duration_ns(&self, values: usize) -> i64 {
        self.latency.as_nanos() as i64 + (values as f64 * 4e9 / self.bytes_per_s) as i64
    }

    /// Copies `from` to `to` as a DMA engine would: the thread sleeps except while it moves a chunk, and a chunk counts as
    /// moved when the link could have carried it. Deadlines are absolute, so late wake-ups do not add up.
    pub(crate) fn copy(&self, from: &Buffer, to: &Buffer, fault: Fault) {
        let mut start_ns = monotonic_ns();
        if let Fault::Delayed(delay_ns) = fault {
            start_ns += delay_ns;
            sleep_until(start_ns);
        }
        let values = read(from).len();
        for chunk in (0..values).step_by(CHUNK) {
            let end = (chunk + CHUNK).min(values);
            move_chunk(from, to, chunk..end, fault);
            sleep_until(start_ns + self.duration_ns(end));
        }
    }
}

/// Moves one chunk; the locks are held for its time only.
fn move_chunk(from: &Buffer, to: &Buffer, range: std::ops::Range<usize>, fault: Fault) {
    if fault == Fault::Removed {
        return;
    }
    let (from, mut to) = (read(from), write(to));
    let target = &mut to[range.clone()];
    target.copy_from_slice(&from[range]);
    if fault == Fault::Corrupted {
        for value in target {
            *value *= 1.01;
        }
    }
}
