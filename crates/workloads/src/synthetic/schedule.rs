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
}

/// Roles of the queues of every device, by number.
pub(crate) const ROLES: [&str; 3] = ["compute", "copy", "kv"];

/// One operation. Times are in microseconds from the start of the block.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) device: usize,
    pub(crate) on: On,
    /// Start and end.
    pub(crate) span: (i64, i64),
    /// Start and end of the host call that launched it.
    pub(crate) call: (i64, i64),
    pub(crate) phase: &'static str,
    pub(crate) stage: i64,
    pub(crate) micro_batch: i64,
    /// Operations whose result it reads, by index in the schedule.
    pub(crate) reads: Vec<usize>,
}

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) devices: usize,
    /// Length of the block in microseconds: the window.
    pub(crate) window: i64,
    pub(crate) steps: Vec<Step>,
    /// Host calls that wait for a device, start and end.
    pub(crate) syncs: Vec<(i64, i64)>,
}

impl Schedule {
    /// What makes a schedule impossible, if anything: overlapping operations on a queue, or times out of order.
    #[cfg(test)]
    pub(crate) fn problem(&self) -> Option<String> {
        for (index, step) in self.steps.iter().enumerate() {
            if step.span.0 >= step.span.1
                || step.call.1 > step.span.0
                || step.span.1 > self.window
                || step.device >= self.devices
            {
                return Some(format!("{index} has impossible times"));
            }
            if let Some(read) = step.reads.iter().find(|&&read| read >= index || self.steps[read].span.1 > step.span.0)
            {
                return Some(format!("{index} starts before {read} ends"));
            }
            let clash = |other: &&Step| {
                other.device == step.device
                    && other.on == step.on
                    && other.span.0 < step.span.1
                    && step.span.0 < other.span.1
            };
            if self.steps[..index].iter().any(|other| clash(&other)) {
                return Some(format!("{index} overlaps another operation on its queue"));
            }
        }
        None
    }
}
