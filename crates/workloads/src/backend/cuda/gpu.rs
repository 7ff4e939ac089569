//! What a session has on one GPU.

use std::sync::Arc;

use crate::Error;
use crate::cuda::context::Context;
use crate::cuda::kernels::{Function, Module};
use crate::cuda::lt::Library;
use crate::cuda::numbers::Precision;
use crate::cuda::stream::Event;

/// A GPU in use.
pub(super) struct GpuState {
    pub(super) context: Arc<Context>,
    pub(super) library: Arc<Library>,
    pub(super) attention: Function,
    /// Beginning and end of each operation of a run, in the order of enqueueing.
    pub(super) timers: Vec<(Event, Event)>,
    /// Operations of this run so far.
    pub(super) timed: usize,
    /// Events that order streams.
    pub(super) points: Vec<Event>,
    /// Those of this run so far.
    pub(super) recorded: usize,
    /// The zero of the run's times, and when it was reached in nanoseconds since the session start.
    pub(super) anchor: Event,
    pub(super) anchor_ns: i64,
    /// Another event to try an anchor with.
    pub(super) spare: Event,
}

impl GpuState {
    pub(super) fn open(context: &Arc<Context>, precision: Precision) -> Result<Self, Error> {
        let module = Module::load(context, "decode_attention.cu")?;
        let name = match precision {
            Precision::F32 => c"decode_attention_f32",
            Precision::Bf16 => c"decode_attention_bf16",
        };
        Ok(Self {
            attention: module.function(name)?,
            library: Library::new(context)?,
            timers: Vec::new(),
            timed: 0,
            points: Vec::new(),
            recorded: 0,
            anchor: Event::new(context, true)?,
            anchor_ns: 0,
            spare: Event::new(context, true)?,
            context: Arc::clone(context),
        })
    }

    /// Makes sure that a run of that many operations, with an event after each and two for every stream, has its events.
    pub(super) fn make_room(&mut self, operations: usize, streams: usize) -> Result<(), Error> {
        while self.timers.len() < operations {
            self.timers.push((Event::new(&self.context, true)?, Event::new(&self.context, true)?));
        }
        while self.points.len() < operations + 2 * streams {
            self.points.push(Event::new(&self.context, false)?);
        }
        Ok(())
    }

    /// An event of this run that orders streams: its number.
    pub(super) fn next_point(&mut self) -> Result<usize, Error> {
        if self.recorded == self.points.len() {
            self.points.push(Event::new(&self.context, false)?);
        }
        self.recorded += 1;
        Ok(self.recorded - 1)
    }

    /// The pair of events of this run's next operation: its number.
    pub(super) fn next_timer(&mut self) -> Result<usize, Error> {
        if self.timed == self.timers.len() {
            self.timers.push((Event::new(&self.context, true)?, Event::new(&self.context, true)?));
        }
        self.timed += 1;
        Ok(self.timed - 1)
    }
}
