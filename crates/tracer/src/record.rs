//! The records, field by field in the order of the file.

/// The value of a field that is absent.
pub const ABSENT: i64 = i64::MIN;

/// An interned string: its index in the session's string table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text(pub(crate) i64);

impl Text {
    /// No string.
    pub const NONE: Self = Self(ABSENT);
}

/// What kind of activity a device executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// A computation.
    Kernel = 0,
    /// A copy between memories.
    Copy = 1,
    /// A fill of memory.
    Set = 2,
    /// A wait; not work.
    Sync = 3,
    /// A graph launched as a whole.
    Graph = 4,
}

/// Between which memories a copy moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// Host to device.
    HostToDevice = 0,
    /// Device to host.
    DeviceToHost = 1,
    /// Inside one device.
    DeviceToDevice = 2,
    /// From one device to another.
    PeerToPeer = 3,
    /// Inside host memory.
    HostToHost = 4,
}

/// Why an activity depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyKind {
    /// It reads what the other wrote.
    Data = 0,
    /// It waits for an event that follows the other.
    Event = 1,
    /// It follows the other on the same queue.
    Queue = 2,
    /// Both are parts of one collective.
    Collective = 3,
    /// The other launched it.
    Launch = 4,
}

/// Which interface a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The runtime of a device.
    Runtime = 0,
    /// Its driver.
    Driver = 1,
    /// The operating system.
    Osrt = 2,
    /// MPI.
    Mpi = 3,
    /// UCX.
    Ucx = 4,
    /// An operator of a framework.
    Op = 5,
}

/// What a device executed. Optional fields hold [`ABSENT`] or [`Text::NONE`]; times are from [`Recorder::now_ns`].
///
/// [`Recorder::now_ns`]: crate::Recorder::now_ns
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Identifier, from [`Recorder::next_id`](crate::Recorder::next_id).
    pub id: i64,
    /// The device.
    pub device: i64,
    /// The queue of the device.
    pub queue: i64,
    /// What kind of activity.
    pub kind: OperationKind,
    /// Name.
    pub name: Text,
    /// Start in nanoseconds.
    pub start_ns: i64,
    /// End in nanoseconds.
    pub end_ns: i64,
    /// The call that launched it.
    pub call: i64,
    /// Bytes that a copy moved.
    pub bytes: i64,
    /// Between which memories.
    pub copy_kind: Option<CopyKind>,
    /// Device that a copy read.
    pub src_device: i64,
    /// Device that a copy wrote.
    pub dst_device: i64,
    /// Whether its time was modelled, not measured.
    pub simulated: bool,
    /// Iteration or step of the workload.
    pub step: i64,
    /// Phase, for example `prefill`; a row of `work` is written when it is present.
    pub phase: Text,
    /// Pipeline stage.
    pub stage: i64,
    /// Micro-batch.
    pub micro_batch: i64,
    /// Rows (tokens) processed.
    pub rows: i64,
    /// Floating-point operations.
    pub flop: i64,
    /// Compulsory memory traffic in bytes.
    pub dram_bytes: i64,
    /// Type of the arithmetic, for example `f32`.
    pub precision: Text,
}

impl Default for Operation {
    fn default() -> Self {
        Self {
            id: ABSENT,
            device: 0,
            queue: 0,
            kind: OperationKind::Kernel,
            name: Text::NONE,
            start_ns: 0,
            end_ns: 0,
            call: ABSENT,
            bytes: ABSENT,
            copy_kind: None,
            src_device: ABSENT,
            dst_device: ABSENT,
            simulated: false,
            step: ABSENT,
            phase: Text::NONE,
            stage: ABSENT,
            micro_batch: ABSENT,
            rows: ABSENT,
            flop: ABSENT,
            dram_bytes: ABSENT,
            precision: Text::NONE,
        }
    }
}

/// That an activity needed another to end first.
#[derive(Clone, Copy, Debug)]
pub struct Dependency {
    /// The activity that waited.
    pub activity: i64,
    /// The activity that it waited for.
    pub depends_on: i64,
    /// Why.
    pub kind: DependencyKind,
    /// Whether it was inferred rather than declared by the program.
    pub inferred: bool,
}

/// A call of the host. Optional fields hold [`ABSENT`].
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Identifier.
    pub id: i64,
    /// The interface.
    pub api: Api,
    /// Name.
    pub name: Text,
    /// Start in nanoseconds.
    pub start_ns: i64,
    /// End in nanoseconds.
    pub end_ns: i64,
    /// The device that it concerns.
    pub device: i64,
    /// The queue that it concerns.
    pub queue: i64,
    /// The activity that an event wait waits for.
    pub target_event: i64,
}

/// A named span of host time.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Identifier.
    pub id: i64,
    /// The enclosing range, or [`ABSENT`].
    pub parent: i64,
    /// Domain.
    pub domain: Text,
    /// Name.
    pub name: Text,
    /// Start in nanoseconds.
    pub start_ns: i64,
    /// End in nanoseconds.
    pub end_ns: i64,
    /// Nesting depth on its thread, from 0.
    pub depth: i64,
}

impl Operation {
    /// The 22 fields of an `oper` record.
    pub(crate) fn fields(&self, thread: i64) -> [i64; 22] {
        [
            self.id,
            thread,
            self.device,
            self.queue,
            self.kind as i64,
            self.name.0,
            self.start_ns,
            self.end_ns,
            self.call,
            self.bytes,
            self.copy_kind.map_or(ABSENT, |kind| kind as i64),
            self.src_device,
            self.dst_device,
            i64::from(self.simulated),
            self.step,
            self.phase.0,
            self.stage,
            self.micro_batch,
            self.rows,
            self.flop,
            self.dram_bytes,
            self.precision.0,
        ]
    }
}

impl Dependency {
    /// The 4 fields of a `deps` record.
    pub(crate) fn fields(&self) -> [i64; 4] {
        [self.activity, self.depends_on, self.kind as i64, i64::from(self.inferred)]
    }
}

impl Call {
    /// The 9 fields of a `call` record.
    pub(crate) fn fields(&self, thread: i64) -> [i64; 9] {
        let Self { id, api, name, start_ns, end_ns, device, queue, target_event } = *self;
        [id, thread, api as i64, name.0, start_ns, end_ns, device, queue, target_event]
    }
}

impl Range {
    /// The 9 fields of a `rang` record; every range of the recorder is a push and a pop.
    pub(crate) fn fields(&self, thread: i64) -> [i64; 9] {
        const PUSH_POP: i64 = 0;
        let Self { id, parent, domain, name, start_ns, end_ns, depth } = *self;
        [id, parent, thread, domain.0, name.0, PUSH_POP, start_ns, end_ns, depth]
    }
}
