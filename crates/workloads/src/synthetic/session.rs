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
        // The first block starts after the pause, so that no time is negative.
        let first_us = PAUSE + self.blocks_done * (self.schedule.window + PAUSE);
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

    /// Nothing is computed, so nothing can be wrong: one check over the recorded rows.
    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        let mut check = Check::new("rows recorded as stated".to_owned());
        check.values = self.schedule.steps.len() as u64 * self.blocks_done as u64;
        Ok(vec![check])
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn modelled(&self) -> Vec<String> {
        vec!["Every time is stated by the schedule; nothing was executed.".to_owned()]
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
