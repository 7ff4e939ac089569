//! A queue: a thread that does what it is given, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use proftool_tracer::{CopyKind, Operation, OperationKind, ThreadBuffer, nvtx};

use super::event::Event;
use super::system::{pin, prefer_prompt_wakeups, thread_cpu_ns};
use super::work::{Label, Ticket, Work};
use crate::Error;
use crate::kernels::Scratch;

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Arithmetic, on a core of its own.
    Compute,
    /// Copies between stages.
    Copy,
    /// The KV hand-over.
    Kv,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Copy => "copy",
            Self::Kv => "kv",
        }
    }
}

/// One thing that a queue is given.
pub(crate) enum Item {
    /// An operation, with what is recorded about it.
    Run(Box<Launch>),
    /// Reaches an event.
    Record(Event),
    /// Blocks the queue until an event is reached.
    Wait(Event),
    /// Answers with the CPU time of the thread.
    CpuTime(mpsc::Sender<i64>),
}

/// An operation on its way to a queue.
pub(crate) struct Launch {
    pub(crate) work: Work,
    pub(crate) label: Label,
    pub(crate) id: i64,
    pub(crate) call: i64,
    pub(crate) ticket: Ticket,
    /// Whether it is recorded: a warm-up's operations are not.
    pub(crate) recorded: bool,
}

/// The sending end of a queue.
pub(crate) struct Queue {
    pub(crate) device: usize,
    pub(crate) number: usize,
    channel: Arc<Channel>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Channel {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    closed: bool,
    failed: bool,
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item; blocks until there is one. None when the queue was closed.
    fn next(&self) -> Option<Item> {
        let empty = |state: &mut State| state.items.is_empty() && !state.closed;
        self.ready.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner).items.pop_front()
    }
}

impl Queue {
    /// Starts the thread of a queue, a compute queue pinned to `core`.
    pub(crate) fn start(
        device: usize,
        number: usize,
        role: Role,
        core: usize,
        buffer: ThreadBuffer,
    ) -> Result<Self, Error> {
        let channel = Arc::new(Channel::default());
        let worker = Worker { device, number, channel: Arc::clone(&channel), buffer, scratch: Scratch::default() };
        let run = move || {
            nvtx::name_thread(std::thread::current().name().unwrap_or_default());
            if role == Role::Compute {
                // A refusal (a core outside the process's set) leaves the thread unpinned, which the contention ratio shows.
                let _ = pin(core);
            } else {
                prefer_prompt_wakeups();
            }
            worker.run();
        };
        let name = format!("{}-{device}.{number}", role.name());
        let thread = std::thread::Builder::new().name(name).spawn(run).map_err(Error::Thread)?;
        Ok(Self { device, number, channel, thread: Some(thread) })
    }

    /// Gives the queue an item. An event that a stopped queue should reach fails at once.
    pub(crate) fn push(&self, item: Item) {
        let mut state = self.channel.lock();
        if state.failed {
            if let Item::Record(event) = item {
                event.fail();
            }
            return;
        }
        state.items.push_back(item);
        drop(state);
        self.channel.ready.notify_one();
    }

    /// The error that says that this queue stopped.
    pub(crate) fn stopped(&self) -> Error {
        Error::QueueStopped { device: self.device, queue: self.number }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.channel.lock().closed = true;
        self.channel.ready.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported to everybody who waited for it.
            let _ = thread.join();
        }
    }
}

/// The receiving end, on the queue's thread.
struct Worker {
    device: usize,
    number: usize,
    channel: Arc<Channel>,
    buffer: ThreadBuffer,
    scratch: Scratch,
}

/// Fails what is left when the thread ends, so that nobody waits for ever.
impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.channel.lock();
        state.failed = true;
        for item in state.items.drain(..) {
            if let Item::Record(event) = item {
                event.fail();
            }
        }
    }
}

impl Worker {
    fn run(mut self) {
        while let Some(item) = self.channel.next() {
            match item {
                Item::Run(launch) => self.execute(&launch),
                Item::Record(event) => event.reach(),
                Item::Wait(event) => {
                    if event.wait().is_err() {
                        return;
                    }
                }
                Item::CpuTime(reply) => {
                    // Nobody is left to tell when the asking side has gone.
                    let _ = reply.send(thread_cpu_ns());
                }
            }
        }
    }

    fn execute(&mut self, launch: &Launch) {
        let start_ns = self.buffer.now_ns();
        launch.work.run(&mut self.scratch);
        let end_ns = self.buffer.now_ns();
        if launch.recorded {
            self.buffer.operation(&self.describe(launch, start_ns, end_ns));
        }
        launch.ticket.set(start_ns, end_ns);
    }

    fn describe(&self, launch: &Launch, start_ns: i64, end_ns: i64) -> Operation {
        let label = &launch.label;
        let operation = Operation {
            id: launch.id,
            device: self.device as i64,
            queue: self.number as i64,
            name: label.name,
            start_ns,
            end_ns,
            call: launch.call,
            step: label.step,
            phase: label.phase,
            stage: label.stage,
            micro_batch: label.micro_batch,
            rows: label.rows,
            flop: label.flop,
            dram_bytes: label.dram_bytes,
            precision: label.precision,
            ..Operation::default()
        };
        match &launch.work {
            Work::Copy { from, src_device, dst_device, .. } => Operation {
                kind: OperationKind::Copy,
                bytes: (super::work::read(from).len() * size_of::<f32>()) as i64,
                copy_kind: Some(if src_device == dst_device { CopyKind::DeviceToDevice } else { CopyKind::PeerToPeer }),
                src_device: *src_device as i64,
                dst_device: *dst_device as i64,
                simulated: true,
                ..operation
            },
            Work::Linear { .. } | Work::Attention { .. } => operation,
        }
    }
}
