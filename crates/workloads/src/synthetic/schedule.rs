//! A schedule as plain data.

/// What a queue is for; its number on every device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Queue 0.
    Compute = 0,
    /// Queue 1.
    Copy = 1,
    /// Queue 2.
    Kv = 2,
    /// Queue 3, where the schedule communicates.
    Comm = 3,
}

/// Roles of the queues of every device, by number.
pub(crate) const ROLES: [&str; 4] = ["compute", "copy", "kv", "comm"];

/// One operation. Times are in microseconds from the start of the block.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// The process that runs it.
    pub(crate) rank: usize,
    pub(crate) device: usize,
    pub(crate) on: On,
    /// Start and end.
    pub(crate) span: (i64, i64),
    /// Start and end of the host call that launched it.
    pub(crate) call: (i64, i64),
    /// Whether it is a node of the graph that the operation before it began: the same call launched both.
    pub(crate) in_graph: bool,
    pub(crate) phase: &'static str,
    pub(crate) stage: i64,
    pub(crate) micro_batch: i64,
    /// Operations whose result it reads, by index in the schedule.
    pub(crate) reads: Vec<usize>,
}

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Devices of each rank.
    pub(crate) devices: usize,
    /// One entry a rank: how far its clock is ahead, in microseconds. Steps are stated in true time.
    pub(crate) skews: Vec<i64>,
    /// Length of the block in microseconds: the window.
    pub(crate) window: i64,
    pub(crate) steps: Vec<Step>,
    /// Host calls that wait for a device, start and end.
    pub(crate) syncs: Vec<(i64, i64)>,
    /// Rate of the links between the devices, where there are any.
    pub(crate) link_bytes_per_s: Option<f64>,
}

impl Schedule {
    /// Roles of the queues of every device.
    pub(crate) fn roles(&self) -> &'static [&'static str] {
        let communicates = self.steps.iter().any(|step| step.on == On::Comm);
        if communicates { &ROLES } else { &ROLES[..3] }
    }

    /// The steps of a rank, with their indices.
    pub(crate) fn of_rank(&self, rank: usize) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(move |(_, step)| step.rank == rank)
    }

    /// What makes a schedule impossible, if anything: overlapping operations on a queue, or times out of order.
    #[cfg(test)]
    pub(crate) fn problem(&self) -> Option<String> {
        for (index, step) in self.steps.iter().enumerate() {
            if step.span.0 >= step.span.1
                || step.call.1 > step.span.0
                || step.span.1 > self.window
                || step.device >= self.devices
                || step.rank >= self.skews.len()
            {
                return Some(format!("{index} has impossible times"));
            }
            let early = |read: &usize| self.steps[*read].span.1 > step.span.0 || self.steps[*read].rank != step.rank;
            if let Some(read) = step.reads.iter().find(|&read| *read >= index || early(read)) {
                return Some(format!("{index} starts before {read} ends"));
            }
            let clash = |other: &&Step| {
                (other.rank, other.device) == (step.rank, step.device)
                    && other.on == step.on
                    && other.span.0 < step.span.1
                    && step.span.0 < other.span.1
            };
            let begins = |before: &Step| (before.rank, before.call) == (step.rank, step.call);
            if step.in_graph && !index.checked_sub(1).is_some_and(|before| begins(&self.steps[before])) {
                return Some(format!("{index} is in a graph that nothing began"));
            }
            if self.steps[..index].iter().any(|other| clash(&other)) {
                return Some(format!("{index} overlaps another operation on its queue"));
            }
        }
        None
    }
}
