//! One interface to devices, their queues and events, after CUDA's: work is enqueued and runs later, in order within a
//! queue; events order queues among each other; the host waits only when it synchronises.
//!
//! [`cpu`] executes on cores of the host, [`cuda`] on NVIDIA's GPUs.

mod choice;
pub(crate) mod cpu;
pub(crate) mod cuda;
mod event;
mod pacing;
mod place;
mod queue;
mod system;
mod work;

use proftool_tracer::{OpenRange, Recorder};

pub use choice::Backend;
pub(crate) use pacing::Link;
pub(crate) use place::{Matrix, Place, Slice};
pub(crate) use queue::Role;
pub(crate) use system::{advise_huge_pages, pin, thread_cpu_ns};
pub(crate) use work::{Fault, Label, Ticket, Work};

use crate::Error;

/// Which queue: device and role.
pub(crate) type QueueName = (usize, Role);

/// How the operations of a run reach the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One by one.
    Enqueue,
    /// Not yet: they are only noted as a graph.
    Capture,
    /// All at once, by launching that graph; the run goes through the same operations again to record them.
    Replay,
}

/// Devices, and the host's side of their queues. A run is [`Executor::start`], operations, records and waits in an order in
/// which everything comes after what it needs, [`Executor::synchronize_all`] and [`Executor::settle`].
pub(crate) trait Executor {
    /// Memory of a device.
    type Buffer: Clone;
    /// The weights of a layer, laid out.
    type Weights: Clone;
    /// A point in a queue.
    type Event: Clone;

    /// Whether [`Executor::prepare`] has anything to do.
    const PREPARES: bool = false;

    /// Lays out a row-major `inputs` x `bias.len()` matrix whose rows `fill` writes: `fill(input, row)`. `slices` says
    /// which columns each device multiplies with.
    fn weights(
        &mut self,
        inputs: usize,
        bias: Vec<f32>,
        slices: &[Slice],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Self::Weights, Error>;

    /// Memory, none of whose values is a number yet.
    fn buffer(&mut self, place: &Place) -> Result<Self::Buffer, Error>;

    /// Writes a buffer that no operation uses now.
    fn fill(&mut self, buffer: &Self::Buffer, write: &mut dyn FnMut(&mut [f32])) -> Result<(), Error>;

    /// Reads a buffer that no operation writes now.
    fn fetch(&mut self, buffer: &Self::Buffer) -> Result<Vec<f32>, Error>;

    /// Makes ready what an operation needs besides its buffers.
    fn prepare(&mut self, _queue: QueueName, _work: &Work<Self::Buffer, Self::Weights>) -> Result<(), Error> {
        Ok(())
    }

    /// Makes room for a run of operations on those queues and sets the clock of its times, outside of it.
    fn reserve(&mut self, _operations: &[QueueName]) -> Result<(), Error> {
        Ok(())
    }

    /// Begins a run.
    fn start(&mut self, _mode: Mode) -> Result<(), Error> {
        Ok(())
    }

    /// Enqueues an operation that reads what the activities `data` wrote.
    fn launch(
        &mut self,
        queue: QueueName,
        work: Work<Self::Buffer, Self::Weights>,
        label: Label,
        data: &[i64],
    ) -> Result<(i64, Ticket), Error>;

    /// An event after what the queue was given so far.
    fn record(&mut self, queue: QueueName) -> Result<Self::Event, Error>;

    /// Makes the queue wait for an event before what it is given next.
    fn wait(&mut self, queue: QueueName, event: &Self::Event) -> Result<(), Error>;

    /// Blocks the host until the queue has done all that it was given.
    fn synchronize(&mut self, queue: QueueName) -> Result<(), Error>;

    /// Ends a run: blocks the host until every queue is drained.
    fn synchronize_all(&mut self) -> Result<(), Error>;

    /// Reads when the operations of a run that has ended ran, where they have not told by then. Tickets are valid after it.
    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes back a run that failed, so that the devices can be dropped.
    fn abandon(&mut self) {}

    /// CPU time so far, of each device's compute queue or of the host's thread alone. The queues are drained.
    fn cpu_ns(&self) -> Result<Vec<i64>, Error>;

    /// Records what follows, or does not. The queues are drained.
    fn set_recording(&mut self, recording: bool);

    /// Nanoseconds since the session start.
    fn now_ns(&self) -> i64;

    /// Begins a range of the host; `number` is what an NVTX tool shows as its payload.
    fn begin(&mut self, name: &str, number: usize) -> OpenRange;

    /// Ends it.
    fn end(&mut self, range: OpenRange);

    /// The session's recorder.
    fn recorder(&self) -> &Recorder;

    /// Ends the queues and gives their records to the recorder, which is returned.
    fn stop(self) -> Recorder;
}
