//! A run: from its first operation to the times of all.

use proftool_tracer::{ABSENT, CopyKind, DependencyKind, Operation, OperationKind};

use super::memory::{View, Weights};
use super::{Devices, Point, Queue};
use crate::Error;
use crate::backend::{Label, Mode, QueueName, Role, Ticket, Work};

/// The queue whose stream a graph is launched in.
const ORIGIN: QueueName = (0, Role::Compute);

/// An operation whose times are not known yet.
pub(super) struct Pending {
    id: i64,
    call: i64,
    label: Label,
    ticket: Ticket,
    recorded: bool,
    gpu: usize,
    queue: i64,
    /// Which of the GPU's pairs of events, where it is timed.
    timer: Option<usize>,
    copy: Option<Copied>,
}

/// Which event of an operation's pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Start,
    End,
}

/// What is recorded about a copy.
#[derive(Clone, Copy)]
struct Copied {
    bytes: i64,
    source: usize,
    target: usize,
}

impl Devices {
    /// Makes the events of a run of those operations.
    pub(super) fn make_room(&mut self, operations: &[QueueName]) -> Result<(), Error> {
        for gpu in 0..self.gpus.len() {
            let own = |name: &&QueueName| self.queues.get(*name).is_some_and(|queue| queue.gpu == gpu);
            let (count, streams) = (operations.iter().filter(own).count(), self.queues.len());
            self.gpus[gpu].make_room(count, streams)?;
        }
        self.pending.reserve(operations.len());
        Ok(())
    }

    pub(super) fn begin_run(&mut self, mode: Mode) -> Result<(), Error> {
        self.mode = mode;
        self.pending.clear();
        self.waits.clear();
        for gpu in &mut self.gpus {
            (gpu.timed, gpu.recorded) = (0, 0);
        }
        match mode {
            Mode::Enqueue => Ok(()),
            Mode::Capture => self.fork(),
            Mode::Replay => {
                let (id, start_ns) = (self.recorder.next_id(), self.host.now_ns());
                let graph = self.graph.as_ref().ok_or_else(no_graph)?;
                self.queues[&ORIGIN].stream.launch(graph)?;
                self.graph_call = id;
                self.call(id, self.names.graph, ORIGIN, ABSENT, start_ns);
                Ok(())
            }
        }
    }

    /// Begins a capture that every stream takes part in.
    fn fork(&mut self) -> Result<(), Error> {
        self.graph = None;
        let origin = &self.queues[&ORIGIN];
        origin.stream.begin_capture()?;
        let gpu = &mut self.gpus[origin.gpu];
        let begun = gpu.next_point()?;
        gpu.points[begun].record(&origin.stream)?;
        for (_, queue) in self.queues.iter().filter(|(name, _)| **name != ORIGIN) {
            queue.stream.wait(&self.gpus[origin.gpu].points[begun])?;
        }
        Ok(())
    }

    /// Ends the capture: the first stream waits for all others.
    fn join(&mut self) -> Result<(), Error> {
        for (_, queue) in self.queues.iter().filter(|(name, _)| **name != ORIGIN) {
            let gpu = &mut self.gpus[queue.gpu];
            let ended = gpu.next_point()?;
            gpu.points[ended].record(&queue.stream)?;
            self.queues[&ORIGIN].stream.wait(&gpu.points[ended])?;
        }
        let origin = &self.queues[&ORIGIN].stream;
        let graph = origin.end_capture()?;
        origin.upload(&graph)?;
        origin.synchronize()?;
        self.graph = Some(graph);
        Ok(())
    }

    pub(super) fn run_operation(
        &mut self,
        name: QueueName,
        work: &Work<View, Weights>,
        label: Label,
        data: &[i64],
    ) -> Result<(i64, Ticket), Error> {
        let (id, ticket) = (self.recorder.next_id(), Ticket::default());
        if self.mode != Mode::Capture {
            self.depend(id, data, DependencyKind::Data);
            let waits = self.waits.remove(&name).unwrap_or_default();
            self.depend(id, &waits, DependencyKind::Event);
        }
        let gpu = self.queues[&name].gpu;
        let timer = label.timed.then(|| self.gpus[gpu].next_timer()).transpose()?;
        let call = match self.mode {
            Mode::Enqueue => {
                let call = self.recorder.next_id();
                self.stamp(name, timer, End::Start)?;
                let start_ns = self.host.now_ns();
                self.enqueue(name, work)?;
                self.call(call, self.call_name(work), name, ABSENT, start_ns);
                self.stamp(name, timer, End::End)?;
                call
            }
            Mode::Capture => {
                self.stamp(name, timer, End::Start)?;
                self.enqueue(name, work)?;
                self.stamp(name, timer, End::End)?;
                ABSENT
            }
            Mode::Replay => self.graph_call,
        };
        self.last.insert(name, id);
        let copy = match work {
            Work::Copy { from, src_device, dst_device, .. } => Some(Copied {
                bytes: self.copied_bytes(from),
                source: self.gpu_of(*src_device),
                target: self.gpu_of(*dst_device),
            }),
            Work::Linear { .. } | Work::Attention { .. } => None,
        };
        let (recorded, queue) = (self.recording, self.queues[&name].number);
        self.pending.push(Pending { id, call, label, ticket: ticket.clone(), recorded, gpu, queue, timer, copy });
        Ok((id, ticket))
    }

    /// Records an event of an operation's pair, if it has one.
    fn stamp(&self, name: QueueName, timer: Option<usize>, end: End) -> Result<(), Error> {
        let (Some(timer), Queue { gpu, stream, .. }) = (timer, &self.queues[&name]) else { return Ok(()) };
        let pair = &self.gpus[*gpu].timers[timer];
        let event = if end == End::Start { &pair.0 } else { &pair.1 };
        if self.mode == Mode::Capture { event.record_in_graph(stream) } else { event.record(stream) }
    }

    pub(super) fn record_event(&mut self, name: QueueName) -> Result<Point, Error> {
        let activity = self.last.get(&name).copied().unwrap_or(ABSENT);
        let gpu = self.queues[&name].gpu;
        let event = self.gpus[gpu].next_point()?;
        if self.mode != Mode::Replay {
            let (id, start_ns) = (self.recorder.next_id(), self.host.now_ns());
            self.gpus[gpu].points[event].record(&self.queues[&name].stream)?;
            if self.mode == Mode::Enqueue {
                self.call(id, self.names.record, name, activity, start_ns);
            }
        }
        Ok(Point { gpu, event, activity })
    }

    pub(super) fn wait_for(&mut self, name: QueueName, point: Point) -> Result<(), Error> {
        if self.mode != Mode::Capture {
            self.waits.entry(name).or_default().push(point.activity);
        }
        if self.mode != Mode::Replay {
            let (id, start_ns) = (self.recorder.next_id(), self.host.now_ns());
            self.queues[&name].stream.wait(&self.gpus[point.gpu].points[point.event])?;
            if self.mode == Mode::Enqueue {
                self.call(id, self.names.wait, name, point.activity, start_ns);
            }
        }
        Ok(())
    }

    pub(super) fn drain(&mut self, name: QueueName) -> Result<(), Error> {
        let (id, start_ns) = (self.recorder.next_id(), self.host.now_ns());
        self.queues[&name].stream.synchronize()?;
        let last = self.last.get(&name).copied().unwrap_or(ABSENT);
        self.call(id, self.names.synchronize, name, last, start_ns);
        Ok(())
    }

    pub(super) fn end_run(&mut self) -> Result<(), Error> {
        match self.mode {
            Mode::Capture => {
                self.pending.clear();
                self.join()
            }
            // The graph ends in its first stream.
            Mode::Replay => self.drain(ORIGIN),
            Mode::Enqueue => {
                let names: Vec<QueueName> = self.queues.keys().copied().collect();
                names.into_iter().try_for_each(|name| self.drain(name))
            }
        }
    }

    /// Reads the times of a run that has ended, records its operations and tells those who asked.
    pub(super) fn read_times(&mut self) -> Result<(), Error> {
        for pending in std::mem::take(&mut self.pending) {
            let gpu = &self.gpus[pending.gpu];
            let Some((start, end)) = pending.timer.map(|timer| &gpu.timers[timer]) else { continue };
            let start_ns = gpu.anchor_ns + start.since_ns(&gpu.anchor)?;
            let end_ns = (gpu.anchor_ns + end.since_ns(&gpu.anchor)?).max(start_ns);
            pending.ticket.set(start_ns, end_ns);
            if pending.recorded {
                self.host.operation(&describe(&pending, start_ns, end_ns));
            }
        }
        Ok(())
    }

    /// After an error: leaves no stream in a capture, and waits for what was enqueued, as far as that is possible.
    pub(super) fn give_up(&mut self) {
        if self.mode == Mode::Capture {
            self.queues[&ORIGIN].stream.abandon_capture();
        }
        self.mode = Mode::Enqueue;
        self.pending.clear();
        for gpu in &self.gpus {
            // The first error has been told; this one would only follow from it.
            let _ = gpu.context.synchronize();
        }
    }
}

fn no_graph() -> Error {
    Error::CudaMissing {
        what: "no graph was captured".to_owned(),
        hint: "this is a bug of proftool; run with --set graph=off",
    }
}

fn describe(pending: &Pending, start_ns: i64, end_ns: i64) -> Operation {
    let label = &pending.label;
    let operation = Operation {
        id: pending.id,
        device: pending.gpu as i64,
        queue: pending.queue,
        name: label.name,
        start_ns,
        end_ns,
        call: pending.call,
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
    match pending.copy {
        None => operation,
        Some(Copied { bytes, source, target }) => Operation {
            kind: OperationKind::Copy,
            bytes,
            copy_kind: Some(if source == target { CopyKind::DeviceToDevice } else { CopyKind::PeerToPeer }),
            src_device: source as i64,
            dst_device: target as i64,
            ..operation
        },
    }
}
