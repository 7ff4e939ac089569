//! Devices that are cores of the host: real arithmetic in real time, links modelled.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use proftool_tracer::nvtx::Payload;
use proftool_tracer::{
    ABSENT, Api, Call, Capacity, Dependency, DependencyKind, Head, OpenRange, Recorder, Text, ThreadBuffer,
};

use super::event::Event;
use super::pacing::Link;
use super::queue::{Item, Launch, Queue, Role};
use super::work::{Buffer, Label, Ticket, Work, buffer, read, write};
use super::{Executor, Place, QueueName, Slice};
use crate::Error;
use crate::kernels::Weights;

/// How to set the devices up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The core of each device.
    pub(crate) cores: Vec<usize>,
    /// Processor name and microarchitecture.
    pub(crate) name: String,
    pub(crate) arch: String,
    /// The link between every two devices, and inside one.
    pub(crate) link: Link,
    /// What will be recorded, at most.
    pub(crate) room: Room,
}

/// How many records the operations of a run need, at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Operations of each queue.
    pub(crate) operations: BTreeMap<QueueName, usize>,
    pub(crate) dependencies: usize,
    pub(crate) calls: usize,
    pub(crate) ranges: usize,
}

/// The devices of a session and the host's side of their queues.
pub(crate) struct Devices {
    queues: BTreeMap<QueueName, Queue>,
    /// Activities that the next operation of a queue waits for.
    waits: BTreeMap<QueueName, Vec<i64>>,
    last: BTreeMap<QueueName, i64>,
    host: ThreadBuffer,
    /// Whether what happens now is recorded.
    recording: bool,
    names: CallNames,
    recorder: Recorder,
}

struct CallNames {
    launch: Text,
    copy: Text,
    record: Text,
    wait: Text,
    synchronize: Text,
}

pub(super) const ROLES: [Role; 3] = [Role::Compute, Role::Copy, Role::Kv];

impl Devices {
    /// Starts the queues of every device.
    pub(crate) fn start(setup: &Setup) -> Result<Self, Error> {
        let recorder = Recorder::new(head(setup)).with_nvtx();
        let mut queues = BTreeMap::new();
        for (device, &core) in setup.cores.iter().enumerate() {
            for (number, role) in ROLES.into_iter().enumerate() {
                let thread = (1 + device * ROLES.len() + number) as i64;
                let operations = setup.room.operations.get(&(device, role)).copied().unwrap_or(0);
                let capacity = Capacity { operations, dependencies: 0, calls: 0, ranges: 0 };
                let buffer = recorder.thread(thread, capacity);
                queues.insert((device, role), Queue::start(device, number, role, core, buffer)?);
            }
        }
        let names = CallNames {
            launch: recorder.intern("launch"),
            copy: recorder.intern("copy_async"),
            record: recorder.intern("event_record"),
            wait: recorder.intern("queue_wait_event"),
            synchronize: recorder.intern("queue_synchronize"),
        };
        let Room { dependencies, calls, ranges, .. } = setup.room;
        let host = recorder.thread(0, Capacity { operations: 0, dependencies, calls, ranges });
        let (waits, last) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { queues, waits, last, host, recording: true, names, recorder })
    }

    fn queue(&self, name: QueueName) -> &Queue {
        &self.queues[&name]
    }

    /// Records a call of the host around `work`.
    fn call<T>(&mut self, name: Text, queue: QueueName, target: i64, work: impl FnOnce(&mut Self, i64) -> T) -> T {
        let id = self.recorder.next_id();
        let start_ns = self.host.now_ns();
        let result = work(self, id);
        let (device, queue) = (queue.0 as i64, self.queue(queue).number as i64);
        let end_ns = self.host.now_ns();
        if self.recording {
            let api = Api::Runtime;
            self.host.call(&Call { id, api, name, start_ns, end_ns, device, queue, target_event: target });
        }
        result
    }

    fn depend(&mut self, activity: i64, on: &[i64], kind: DependencyKind) {
        for &depends_on in on.iter().filter(|_| self.recording) {
            self.host.dependency(&Dependency { activity, depends_on, kind, inferred: false });
        }
    }
}

impl Executor for Devices {
    type Buffer = Buffer;
    type Weights = Arc<Weights>;
    type Event = Event;

    fn weights(
        &mut self,
        inputs: usize,
        bias: Vec<f32>,
        _slices: &[Slice],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Self::Weights, Error> {
        Ok(Arc::new(Weights::new(inputs, bias, fill)))
    }

    fn buffer(&mut self, place: &Place) -> Result<Buffer, Error> {
        Ok(buffer(place.values))
    }

    fn fill(&mut self, buffer: &Buffer, fill: &mut dyn FnMut(&mut [f32])) -> Result<(), Error> {
        fill(&mut write(buffer));
        Ok(())
    }

    fn fetch(&mut self, buffer: &Buffer) -> Result<Vec<f32>, Error> {
        Ok(read(buffer).clone())
    }

    fn launch(&mut self, queue: QueueName, work: Work, label: Label, data: &[i64]) -> Result<(i64, Ticket), Error> {
        let name = if matches!(work, Work::Copy { .. }) { self.names.copy } else { self.names.launch };
        let (id, ticket) = (self.recorder.next_id(), Ticket::default());
        self.depend(id, data, DependencyKind::Data);
        let waits = self.waits.remove(&queue).unwrap_or_default();
        self.depend(id, &waits, DependencyKind::Event);
        let launched = ticket.clone();
        self.call(name, queue, ABSENT, |this, call| {
            let launch = Launch { work, label, id, call, ticket: launched, recorded: this.recording };
            this.queue(queue).push(Item::Run(Box::new(launch)));
        });
        self.last.insert(queue, id);
        Ok((id, ticket))
    }

    fn record(&mut self, queue: QueueName) -> Result<Event, Error> {
        let event = Event::new(self.last.get(&queue).copied().unwrap_or(ABSENT));
        self.call(self.names.record, queue, event.activity, |this, _| {
            this.queue(queue).push(Item::Record(event.clone()));
        });
        Ok(event)
    }

    fn wait(&mut self, queue: QueueName, event: &Event) -> Result<(), Error> {
        self.waits.entry(queue).or_default().push(event.activity);
        self.call(self.names.wait, queue, event.activity, |this, _| this.queue(queue).push(Item::Wait(event.clone())));
        Ok(())
    }

    fn synchronize(&mut self, queue: QueueName) -> Result<(), Error> {
        let event = Event::new(self.last.get(&queue).copied().unwrap_or(ABSENT));
        self.call(self.names.synchronize, queue, event.activity, |this, _| {
            this.queue(queue).push(Item::Record(event.clone()));
            event.wait().map_err(|_| this.queue(queue).stopped())
        })
    }

    fn synchronize_all(&mut self) -> Result<(), Error> {
        let names: Vec<QueueName> = self.queues.keys().copied().collect();
        names.into_iter().try_for_each(|name| self.synchronize(name))
    }

    fn cpu_ns(&self) -> Result<Vec<i64>, Error> {
        let compute = self.queues.iter().filter(|((_, role), _)| *role == Role::Compute);
        let cpu_ns = |queue: &Queue| {
            let (reply, answer) = mpsc::channel();
            queue.push(Item::CpuTime(reply));
            answer.recv().map_err(|_| queue.stopped())
        };
        compute.map(|(_, queue)| cpu_ns(queue)).collect()
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

fn head(setup: &Setup) -> Head {
    let devices = 0..setup.cores.len();
    let device = |device: usize| proftool_tracer::Device {
        device: device as i64,
        kind: "cpu".to_owned(),
        name: setup.name.clone(),
        arch: setup.arch.clone(),
        cores: 1,
        memory_bytes: None,
        clock_hz: None,
        uuid: None,
        pci_bus_id: None,
        numa_node: None,
    };
    let queue = |device: usize, (number, role): (usize, Role)| proftool_tracer::Queue {
        device: device as i64,
        queue: number as i64,
        role: role.name().to_owned(),
        priority: 0,
    };
    let link = |src: usize, dst: usize| proftool_tracer::Link {
        src: src as i64,
        dst: dst as i64,
        bytes_per_s: setup.link.bytes_per_s,
        latency_ns: Some(setup.link.latency.as_nanos() as i64),
        contended: false,
    };
    Head {
        devices: devices.clone().map(device).collect(),
        queues: devices.clone().flat_map(|of| ROLES.into_iter().enumerate().map(move |role| queue(of, role))).collect(),
        links: devices.clone().flat_map(|src| devices.clone().map(move |dst| link(src, dst))).collect(),
        ..Head::default()
    }
}
