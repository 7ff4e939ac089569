//! Recording a schedule.

use std::path::Path;

use proftool_tracer::{
    ABSENT, Api, Call, Capacity, CopyKind, Dependency, DependencyKind, Device, Head, Operation, OperationKind, Queue,
    Range, Recorder, ThreadBuffer,
};

use super::schedule::{On, ROLES, Schedule};
use crate::{Block, Check, Error, Outputs, Session};

/// Time between the ends and the starts of two blocks, in microseconds.
const PAUSE: i64 = 1000;
/// Bytes of every copy, and operations and bytes of every kernel, for each microsecond that it takes.
const BYTES_PER_US: i64 = 10_000;
const FLOP_PER_US: i64 = 50_000;

/// A schedule that is recorded once a block.
pub(crate) struct Synthetic {
    schedule: Schedule,
    recorder: Recorder,
    buffer: ThreadBuffer,
    outputs: Outputs,
    blocks_done: i64,
}

impl Synthetic {
    pub(crate) fn new(schedule: Schedule, blocks: usize) -> Self {
        let recorder = Recorder::new(head(&schedule));
        let operations = schedule.steps.len() * blocks;
        let calls = (schedule.steps.len() + schedule.syncs.len()) * blocks;
        let capacity = Capacity { operations, dependencies: operations * 4, calls, ranges: blocks };
        let buffer = recorder.thread(0, capacity);
        Self { schedule, recorder, buffer, outputs: Outputs::default(), blocks_done: 0 }
    }

    /// Start of a block in microseconds. The first starts after the pause, so that no time is negative.
    fn first_us(&self, block: i64) -> i64 {
        PAUSE + block * (self.schedule.window + PAUSE)
    }

    /// The spans that the schedule states for a block, in the order of the records: operations, calls (launches, then
    /// host waits), the block; in nanoseconds.
    fn stated(&self, block: i64) -> [Vec<Span>; 3] {
        let Schedule { steps, syncs, window, .. } = &self.schedule;
        let ns =
            |(start, end): (i64, i64)| ((self.first_us(block) + start) * 1000, (self.first_us(block) + end) * 1000);
        let span =
            |device: usize, queue: On, times| Span { device: device as i64, queue: queue as i64, times: ns(times) };
        let operations = steps.iter().map(|step| span(step.device, step.on, step.span)).collect();
        let launches = steps.iter().map(|step| span(step.device, step.on, step.call));
        let waits = syncs.iter().map(|&times| span(0, On::Compute, times));
        [operations, launches.chain(waits).collect(), vec![span(0, On::Compute, (0, *window))]]
    }

    /// Deviations of the recorded rows from the stated ones: rows that differ, are missing or too many.
    fn differences(&self) -> u64 {
        let blocks: Vec<_> = (0..self.blocks_done).map(|block| self.stated(block)).collect();
        let stated = |kind: usize| blocks.iter().flat_map(move |block| &block[kind]).copied();
        let operations =
            self.buffer.operations().iter().map(|row| Span::new(row.device, row.queue, row.start_ns, row.end_ns));
        let calls = self.buffer.calls().iter().map(|row| Span::new(row.device, row.queue, row.start_ns, row.end_ns));
        let ranges = self.buffer.ranges().iter().map(|row| Span::new(0, 0, row.start_ns, row.end_ns));
        let reads =
            self.schedule.steps.iter().map(|step| step.reads.len() as u64).sum::<u64>() * self.blocks_done as u64;
        unequal(operations, stated(0))
            + unequal(calls, stated(1))
            + unequal(ranges, stated(2))
            + reads.abs_diff(self.buffer.dependencies().len() as u64)
            + self.buffer.lost()
    }

    fn record_steps(&mut self, first_us: i64) {
        let ns = |us: i64| (first_us + us) * 1000;
        let ids: Vec<i64> = self.schedule.steps.iter().map(|_| self.recorder.next_id()).collect();
        for (step, &id) in self.schedule.steps.iter().zip(&ids) {
            let name = self.recorder.intern(step.name);
            let (start_ns, end_ns) = (ns(step.span.0), ns(step.span.1));
            let call = self.recorder.next_id();
            let (device, queue) = (step.device as i64, step.on as i64);
            let launch = self.recorder.intern(if step.on == On::Compute { "launch" } else { "copy_async" });
            self.buffer.call(&Call {
                id: call,
                api: Api::Runtime,
                name: launch,
                start_ns: ns(step.call.0),
                end_ns: ns(step.call.1),
                device,
                queue,
                target_event: ABSENT,
            });
            let duration = step.span.1 - step.span.0;
            let kernel = Operation {
                id,
                device,
                queue,
                name,
                start_ns,
                end_ns,
                call,
                simulated: true,
                step: self.blocks_done,
                phase: self.recorder.intern(step.phase),
                stage: step.stage,
                micro_batch: step.micro_batch,
                rows: 1,
                flop: duration * FLOP_PER_US,
                dram_bytes: duration * BYTES_PER_US,
                precision: self.recorder.intern("f32"),
                ..Operation::default()
            };
            self.buffer.operation(&if step.on == On::Compute { kernel } else { as_copy(kernel, duration) });
            for &read in &step.reads {
                let (activity, depends_on) = (id, ids[read]);
                self.buffer.dependency(&Dependency {
                    activity,
                    depends_on,
                    kind: DependencyKind::Data,
                    inferred: false,
                });
            }
        }
    }

    fn record_syncs(&mut self, first_us: i64) {
        let name = self.recorder.intern("queue_synchronize");
        for &(start, end) in &self.schedule.syncs {
            let (start_ns, end_ns) = ((first_us + start) * 1000, (first_us + end) * 1000);
            let id = self.recorder.next_id();
            let (device, queue) = (0, 0);
            self.buffer.call(&Call {
                id,
                api: Api::Runtime,
                name,
                start_ns,
                end_ns,
                device,
                queue,
                target_event: ABSENT,
            });
        }
    }
}

/// Where and when a row says that something ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    device: i64,
    queue: i64,
    times: (i64, i64),
}

impl Span {
    fn new(device: i64, queue: i64, start_ns: i64, end_ns: i64) -> Self {
        Self { device, queue, times: (start_ns, end_ns) }
    }
}

/// Positions at which two lists differ, or at which one has ended.
fn unequal(found: impl Iterator<Item = Span>, stated: impl Iterator<Item = Span>) -> u64 {
    let (mut found, mut stated) = (found.fuse(), stated.fuse());
    let pairs = std::iter::from_fn(|| Some((found.next(), stated.next())).filter(|pair| *pair != (None, None)));
    pairs.filter(|(found, stated)| found != stated).count() as u64
}

fn as_copy(operation: Operation, duration: i64) -> Operation {
    Operation {
        kind: OperationKind::Copy,
        bytes: duration * BYTES_PER_US,
        copy_kind: Some(CopyKind::PeerToPeer),
        src_device: operation.device,
        dst_device: operation.device,
        flop: 0,
        dram_bytes: ABSENT,
        precision: proftool_tracer::Text::NONE,
        ..operation
    }
}

fn head(schedule: &Schedule) -> Head {
    let device = |device: usize| Device {
        device: device as i64,
        kind: "simulated".to_owned(),
        name: "synthetic".to_owned(),
        arch: "synthetic".to_owned(),
        cores: 1,
        memory_bytes: None,
        clock_hz: None,
    };
    let queues = (0..schedule.devices).flat_map(|device| {
        let queue = move |(queue, role): (usize, &&str)| Queue {
            device: device as i64,
            queue: queue as i64,
            role: (*role).to_owned(),
            priority: 0,
        };
        ROLES.iter().enumerate().map(queue)
    });
    Head {
        time: "simulated",
        devices: (0..schedule.devices).map(device).collect(),
        queues: queues.collect(),
        ..Head::default()
    }
}

impl Session for Synthetic {
    fn warm_up(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn run_block(&mut self) -> Result<Block, Error> {
        let first_us = self.first_us(self.blocks_done);
        self.record_steps(first_us);
        self.record_syncs(first_us);
        let (domain, name) = (self.recorder.intern("proftool"), self.recorder.intern("block"));
        let (start_ns, end_ns) = (first_us * 1000, (first_us + self.schedule.window) * 1000);
        let id = self.recorder.next_id();
        self.buffer.range(&Range { id, parent: ABSENT, domain, name, start_ns, end_ns, depth: 0 });
        self.blocks_done += 1;
        let busy = self.schedule.steps.iter().filter(|step| step.on == On::Compute);
        let cpu_ns = busy.map(|step| (step.span.1 - step.span.0) * 1000).sum();
        Ok(Block { iteration_ns: Vec::new(), fill_ns: end_ns - start_ns, cpu_ns, contention_ratio: 1.0 })
    }

    fn iterations(&self) -> usize {
        1
    }

    /// Nothing is computed: the recorded rows are compared with the stated ones. The deviation is the share of rows that
    /// differ, are missing, or are too many.
    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        let mut check = Check::new("rows recorded as stated".to_owned());
        let Schedule { steps, syncs, .. } = &self.schedule;
        let a_block = steps.iter().map(|step| 2 + step.reads.len()).sum::<usize>() + syncs.len() + 1;
        check.values = a_block as u64 * self.blocks_done as u64;
        let differences = self.differences();
        if differences > 0 {
            // A single row of very many would be a share below what rounding may change in an output.
            check.max_relative_error = (differences as f64 / check.values.max(1) as f64).max(2.0 * check.tolerance);
        }
        Ok(vec![check])
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn modelled(&self) -> Vec<String> {
        vec![
            "Every time is stated by the schedule; nothing was executed. A block holds the schedule once, whatever the \
             number of iterations, and there is no warm-up."
                .to_owned(),
        ]
    }

    fn simulated(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, path: &Path) -> Result<(), Error> {
        let Self { recorder, buffer, .. } = *self;
        drop(buffer);
        Ok(recorder.write(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{case_names, find_case, random};

    fn after(schedule: Schedule, room: usize, blocks: usize) -> Synthetic {
        let mut session = Synthetic::new(schedule, room);
        for _ in 0..blocks {
            session.run_block().expect("a block is recorded");
        }
        session
    }

    fn passes(session: &mut Synthetic) -> bool {
        session.verify().expect("verified").iter().all(|check| check.values > 0 && check.passes())
    }

    #[test]
    fn every_case_is_recorded_as_stated() {
        for name in case_names() {
            let schedule = find_case(name).unwrap_or_else(|| random(3, 40));
            assert!(passes(&mut after(schedule, 3, 3)), "{name}");
        }
    }

    #[test]
    fn lost_changed_and_additional_rows_fail_verification() {
        assert!(!passes(&mut after(random(1, 40), 1, 2)), "the second block did not fit");
        let mut changed = after(random(1, 40), 1, 1);
        changed.schedule.steps[7].span.1 += 1;
        assert!(!passes(&mut changed));
        let mut more = after(random(1, 40), 2, 1);
        more.record_syncs(0);
        assert!(!passes(&mut more));
        assert!(!passes(&mut after(random(1, 40), 1, 0)), "nothing was recorded");
    }
}
