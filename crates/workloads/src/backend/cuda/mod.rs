//! Devices that are streams of NVIDIA's GPUs: the same operations as on cores, by cuBLASLt and `kernels/*.cu`.
//!
//! A device of the plan is a stage's host. Host `h` is three streams (compute, copy, kv) of GPU `h mod GPUs`, so that
//! one GPU can run several stages; in the trace, devices are the GPUs, and the streams their queues. Every copy and every
//! product is real.
//!
//! **Times.** Each operation lies between two events of its stream, read after the run. An event's time counts from the
//! run's anchor: an event that was recorded and waited for between two reads of the host's clock. The anchor is put in the
//! middle between the two, so that all times of a run on a GPU may be off together by half their distance, which the range
//! `gpu_clock` before the run shows: it reaches from one read to the other. Between each other they are exact to the steps
//! of the GPU's clock, about half a microsecond.
//!
//! **Graphs.** A run can be captured and launched as one graph: [`Mode`]. The streams are forked from the first one and
//! joined to it by events; the timing events become nodes. A replay goes through the same operations again, after the
//! launch and while the GPU works, to record them; its only calls are the launch and the wait.

mod clock;
mod enqueue;
mod gpu;
mod memory;
mod run;
mod setup;

use std::collections::BTreeMap;

use proftool_tracer::nvtx::Payload;
use proftool_tracer::{Api, Call, Dependency, DependencyKind, OpenRange, Recorder, Text, ThreadBuffer};

use super::queue::Role;
use super::work::{Label, Ticket, Work};
use super::{Executor, Mode, Place, QueueName, Slice, thread_cpu_ns};
use crate::Error;
use crate::cuda::gemm::Gemm;
use crate::cuda::numbers::Precision;
use crate::cuda::stream::{Graph, Stream};
pub(crate) use enqueue::MOST_KEY_BLOCKS;
use gpu::GpuState;
use memory::{View, Weights};
pub(crate) use setup::Setup;

/// The streams of a session and the host's side of them.
pub(crate) struct Devices {
    // Dropped in this order: first what uses the memory and the contexts of what follows.
    graph: Option<Graph>,
    queues: BTreeMap<QueueName, Queue>,
    matrices: BTreeMap<memory::MatrixName, memory::Shared>,
    /// Products with their algorithms.
    gemms: BTreeMap<enqueue::GemmName, Gemm>,
    gpus: Vec<GpuState>,
    precision: Precision,
    mode: Mode,
    /// The call that launched the graph, in a replay.
    graph_call: i64,
    /// Operations of the run whose times are not known yet.
    pending: Vec<run::Pending>,
    /// Activities that the next operation of a queue waits for.
    waits: BTreeMap<QueueName, Vec<i64>>,
    last: BTreeMap<QueueName, i64>,
    host: ThreadBuffer,
    recording: bool,
    names: CallNames,
    recorder: Recorder,
}

/// A stream and what it has for itself.
struct Queue {
    gpu: usize,
    /// Its number on the GPU.
    number: i64,
    stream: Stream,
    /// cuBLASLt's, of compute streams.
    workspace: Option<crate::cuda::memory::Memory>,
}

/// A point in a queue: which of the GPU's events, and the activity that it follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    gpu: usize,
    event: usize,
    activity: i64,
}

struct CallNames {
    matmul: Text,
    kernel: Text,
    copy: Text,
    copy_2d: Text,
    copy_peer: Text,
    record: Text,
    wait: Text,
    synchronize: Text,
    graph: Text,
}

impl Devices {
    /// Records a call of the host that began at `start_ns` and ends now.
    fn call(&mut self, id: i64, name: Text, queue: QueueName, target_event: i64, start_ns: i64) {
        if self.recording {
            let end_ns = self.host.now_ns();
            let (device, queue) = (self.queues[&queue].gpu as i64, self.queues[&queue].number);
            let api = Api::Driver;
            self.host.call(&Call { id, api, name, start_ns, end_ns, device, queue, target_event });
        }
    }

    fn depend(&mut self, activity: i64, on: &[i64], kind: DependencyKind) {
        for &depends_on in on.iter().filter(|_| self.recording) {
            self.host.dependency(&Dependency { activity, depends_on, kind, inferred: false });
        }
    }
}

impl Executor for Devices {
    type Buffer = View;
    type Weights = Weights;
    type Event = Point;

    const PREPARES: bool = true;

    fn weights(
        &mut self,
        inputs: usize,
        bias: Vec<f32>,
        slices: &[Slice],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Weights, Error> {
        self.lay_out(inputs, &bias, slices, fill)
    }

    fn buffer(&mut self, place: &Place) -> Result<View, Error> {
        self.allocate(place)
    }

    fn fill(&mut self, buffer: &View, write: &mut dyn FnMut(&mut [f32])) -> Result<(), Error> {
        self.upload(buffer, write)
    }

    fn fetch(&mut self, buffer: &View) -> Result<Vec<f32>, Error> {
        self.download(buffer)
    }

    fn prepare(&mut self, queue: QueueName, work: &Work<View, Weights>) -> Result<(), Error> {
        self.choose_algorithm(queue, work)
    }

    fn reserve(&mut self, operations: &[QueueName]) -> Result<(), Error> {
        self.make_room(operations)?;
        self.anchor()
    }

    fn start(&mut self, mode: Mode) -> Result<(), Error> {
        self.begin_run(mode)
    }

    fn launch(
        &mut self,
        queue: QueueName,
        work: Work<View, Weights>,
        label: Label,
        data: &[i64],
    ) -> Result<(i64, Ticket), Error> {
        self.run_operation(queue, &work, label, data)
    }

    fn record(&mut self, queue: QueueName) -> Result<Point, Error> {
        self.record_event(queue)
    }

    fn wait(&mut self, queue: QueueName, event: &Point) -> Result<(), Error> {
        self.wait_for(queue, *event)
    }

    fn synchronize(&mut self, queue: QueueName) -> Result<(), Error> {
        self.drain(queue)
    }

    fn synchronize_all(&mut self) -> Result<(), Error> {
        self.end_run()
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.read_times()
    }

    fn abandon(&mut self) {
        self.give_up();
    }

    fn cpu_ns(&self) -> Result<Vec<i64>, Error> {
        Ok(vec![thread_cpu_ns()])
    }

    fn set_recording(&mut self, recording: bool) {
        self.recording = recording;
        // No record may refer to an activity that has none.
        self.last.clear();
    }

    fn now_ns(&self) -> i64 {
        self.recorder.now_ns()
    }

    fn begin(&mut self, name: &str, number: usize) -> OpenRange {
        let name = self.recorder.range_name("proftool", Some("session"), name);
        self.host.begin_with(&name, Payload::Unsigned(number as u64))
    }

    fn end(&mut self, range: OpenRange) {
        self.host.end(range);
    }

    fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn stop(self) -> Recorder {
        let recorder = self.recorder.clone();
        drop(self);
        recorder
    }
}
