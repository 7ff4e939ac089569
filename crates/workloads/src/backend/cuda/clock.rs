//! The GPU's times on the host's clock.

use proftool_tracer::{ABSENT, Range};

use super::Devices;
use crate::Error;

/// Tries of an anchor: the one between the two closest reads of the clock counts.
const TRIES: usize = 10;

impl Devices {
    /// Sets the zero of each GPU's times. The streams are drained.
    pub(super) fn anchor(&mut self) -> Result<(), Error> {
        for gpu in 0..self.gpus.len() {
            let (start_ns, end_ns) = self.anchor_gpu(gpu)?;
            self.gpus[gpu].anchor_ns = i64::midpoint(start_ns, end_ns);
            if self.recording {
                let (domain, name) = (self.recorder.intern("proftool"), self.recorder.intern("gpu_clock"));
                let id = self.recorder.next_id();
                self.host.range(&Range { id, parent: ABSENT, domain, name, start_ns, end_ns, depth: 0 });
            }
        }
        Ok(())
    }

    /// The two closest reads of the clock around an anchor of that GPU.
    fn anchor_gpu(&mut self, gpu: usize) -> Result<(i64, i64), Error> {
        let Some(queue) = self.queues.values().find(|queue| queue.gpu == gpu) else { return Ok((0, 0)) };
        let state = &mut self.gpus[gpu];
        let mut best: Option<(i64, i64)> = None;
        for _ in 0..TRIES {
            let start_ns = self.host.now_ns();
            state.spare.record(&queue.stream)?;
            state.spare.synchronize()?;
            let end_ns = self.host.now_ns();
            if best.is_none_or(|(from, to)| end_ns - start_ns < to - from) {
                best = Some((start_ns, end_ns));
                std::mem::swap(&mut state.spare, &mut state.anchor);
            }
        }
        Ok(best.unwrap_or((0, 0)))
    }
}
