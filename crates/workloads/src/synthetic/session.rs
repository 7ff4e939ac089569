//! Recording a schedule.

use std::path::Path;

use proftool_tracer::{
    ABSENT, Api, Call, Capacity, CopyKind, Dependency, DependencyKind, Device, Head, Link, Operation, OperationKind,
    Queue, Range, Recorder, ThreadBuffer,
};

use super::schedule::{On, Schedule, Step};
use crate::{Block, Check, Error, Outputs, Session};

/// Time between the ends and the starts of two blocks, in microseconds.
const PAUSE: i64 = 1000;
/// Bytes of every copy, and operations and bytes of every kernel, for each microsecond that it takes.
const BYTES_PER_US: i64 = 10_000;
const FLOP_PER_US: i64 = 50_000;

/// A schedule that is recorded once a block.
pub(crate) struct Synthetic {
    schedule: Schedule,
    ranks: Vec<Rank>,
    outputs: Outputs,
    blocks_done: i64,
}

/// One process of the schedule, with a recorder of its own that starts with the others.
struct Rank {
    recorder: Recorder,
    buffer: ThreadBuffer,
}

impl Synthetic {
    pub(crate) fn new(schedule: Schedule, blocks: usize) -> Self {
        let operations = schedule.steps.len() * blocks;
        let calls = (schedule.steps.len() + schedule.syncs.len()) * blocks;
        let capacity = Capacity { operations, dependencies: operations * 4, calls, ranges: blocks };
        let first = Recorder::new(head(&schedule, 0));
        let recorders = (1..schedule.skews.len()).map(|rank| first.beside(head(&schedule, rank as i64)));
        let recorders: Vec<Recorder> = std::iter::once(first.clone()).chain(recorders).collect();
        let ranks = recorders.into_iter().map(|recorder| Rank { buffer: recorder.thread(0, capacity), recorder });
        Self { ranks: ranks.collect(), schedule, outputs: Outputs::default(), blocks_done: 0 }
    }

    /// Start of a block in microseconds on the clock of a rank. The first starts after the pause, so that no time is
    /// negative.
    fn first_us(&self, rank: usize, block: i64) -> i64 {
        PAUSE + block * (self.schedule.window + PAUSE) + self.schedule.skews[rank]
    }

    /// The spans that the schedule states for a block of a rank, in the order of the records: operations, calls
    /// (launches, then host waits), the block; in nanoseconds.
    fn stated(&self, rank: usize, block: i64) -> [Vec<Span>; 3] {
        let first_us = self.first_us(rank, block);
        let ns = |(start, end): (i64, i64)| ((first_us + start) * 1000, (first_us + end) * 1000);
        let span =
            |device: usize, queue: On, times| Span { device: device as i64, queue: queue as i64, times: ns(times) };
        let steps = || self.schedule.of_rank(rank).map(|(_, step)| step);
        let operations = steps().map(|step| span(step.device, step.on, step.span)).collect();
        let launches = steps().filter(|step| !step.in_graph).map(|step| span(step.device, step.on, step.call));
        let waits = self.syncs(rank).iter().map(|&times| span(0, On::Compute, times));
        [operations, launches.chain(waits).collect(), vec![span(0, On::Compute, (0, self.schedule.window))]]
    }

    /// The host waits of a rank: the first has them all.
    fn syncs(&self, rank: usize) -> &[(i64, i64)] {
        if rank == 0 { &self.schedule.syncs } else { &[] }
    }

    /// Deviations of the recorded rows from the stated ones: rows that differ, are missing or too many.
    fn differences(&self) -> u64 {
        self.ranks.iter().enumerate().map(|(rank, recorded)| self.differences_of(rank, &recorded.buffer)).sum()
    }

    fn differences_of(&self, rank: usize, buffer: &ThreadBuffer) -> u64 {
        let blocks: Vec<_> = (0..self.blocks_done).map(|block| self.stated(rank, block)).collect();
        let stated = |kind: usize| blocks.iter().flat_map(move |block| &block[kind]).copied();
        let operations =
            buffer.operations().iter().map(|row| Span::new(row.device, row.queue, row.start_ns, row.end_ns));
        let calls = buffer.calls().iter().map(|row| Span::new(row.device, row.queue, row.start_ns, row.end_ns));
        let ranges = buffer.ranges().iter().map(|row| Span::new(0, 0, row.start_ns, row.end_ns));
        let reads = self.schedule.of_rank(rank).map(|(_, step)| step.reads.len() as u64).sum::<u64>();
        unequal(operations, stated(0))
            + unequal(calls, stated(1))
            + unequal(ranges, stated(2))
            + (reads * self.blocks_done as u64).abs_diff(buffer.dependencies().len() as u64)
            + buffer.lost()
    }

    fn record_steps(&mut self, rank: usize, first_us: i64) {
        let ns = |us: i64| (first_us + us) * 1000;
        let Self { schedule, ranks, blocks_done, .. } = self;
        let Rank { recorder, buffer } = &mut ranks[rank];
        let ids: Vec<i64> = schedule.steps.iter().map(|_| recorder.next_id()).collect();
        let mut call = ABSENT;
        for (index, step) in schedule.of_rank(rank) {
            let (device, queue) = (step.device as i64, step.on as i64);
            let begins_graph = schedule.steps.get(index + 1).is_some_and(|next| next.in_graph);
            if !step.in_graph {
                call = recorder.next_id();
                let name = recorder.intern(launch_name(step, begins_graph));
                let (start_ns, end_ns) = (ns(step.call.0), ns(step.call.1));
                let (id, api) = (call, Api::Runtime);
                buffer.call(&Call { id, api, name, start_ns, end_ns, device, queue, target_event: ABSENT });
            }
            let duration = step.span.1 - step.span.0;
            let kernel = Operation {
                id: ids[index],
                device,
                queue,
                name: recorder.intern(step.name),
                start_ns: ns(step.span.0),
                end_ns: ns(step.span.1),
                call,
                simulated: true,
                step: *blocks_done,
                phase: recorder.intern(step.phase),
                stage: step.stage,
                micro_batch: step.micro_batch,
                rows: 1,
                flop: duration * FLOP_PER_US,
                dram_bytes: duration * BYTES_PER_US,
                precision: recorder.intern("f32"),
                ..Operation::default()
            };
            buffer.operation(&match step.on {
                On::Compute => kernel,
                On::Comm => as_comm(kernel, duration),
                On::Copy | On::Kv => as_copy(kernel, duration, schedule.devices as i64),
            });
            for &read in &step.reads {
                let (activity, depends_on) = (ids[index], ids[read]);
                buffer.dependency(&Dependency { activity, depends_on, kind: DependencyKind::Data, inferred: false });
            }
        }
    }

    fn record_syncs(&mut self, rank: usize, first_us: i64) {
        let syncs = self.syncs(rank).to_vec();
        let Rank { recorder, buffer } = &mut self.ranks[rank];
        let name = recorder.intern("queue_synchronize");
        for (start, end) in syncs {
            let (start_ns, end_ns) = ((first_us + start) * 1000, (first_us + end) * 1000);
            let (id, api, device, queue) = (recorder.next_id(), Api::Runtime, 0, 0);
            buffer.call(&Call { id, api, name, start_ns, end_ns, device, queue, target_event: ABSENT });
        }
    }
}

fn launch_name(step: &Step, begins_graph: bool) -> &'static str {
    match step.on {
        _ if begins_graph => "graph_launch",
        On::Compute | On::Comm => "launch",
        On::Copy | On::Kv => "copy_async",
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

/// A copy to the next device.
fn as_copy(operation: Operation, duration: i64, devices: i64) -> Operation {
    Operation {
        kind: OperationKind::Copy,
        bytes: duration * BYTES_PER_US,
        copy_kind: Some(CopyKind::PeerToPeer),
        src_device: operation.device,
        dst_device: (operation.device + 1) % devices,
        flop: 0,
        dram_bytes: ABSENT,
        precision: proftool_tracer::Text::NONE,
        ..operation
    }
}

/// Communication: bytes over a link, no arithmetic.
fn as_comm(operation: Operation, duration: i64) -> Operation {
    let precision = proftool_tracer::Text::NONE;
    Operation { bytes: duration * BYTES_PER_US, flop: 0, dram_bytes: ABSENT, precision, ..operation }
}

fn head(schedule: &Schedule, rank: i64) -> Head {
    let device = |device: usize| Device {
        device: device as i64,
        kind: "simulated".to_owned(),
        name: "synthetic".to_owned(),
        arch: "synthetic".to_owned(),
        cores: 1,
        memory_bytes: None,
        clock_hz: None,
        uuid: None,
        pci_bus_id: None,
        numa_node: None,
    };
    let queues = (0..schedule.devices).flat_map(|device| {
        let queue = move |(queue, role): (usize, &&str)| Queue {
            device: device as i64,
            queue: queue as i64,
            role: (*role).to_owned(),
            priority: 0,
        };
        schedule.roles().iter().enumerate().map(queue)
    });
    Head {
        rank,
        time: "simulated",
        devices: (0..schedule.devices).map(device).collect(),
        queues: queues.collect(),
        links: links(schedule),
        ..Head::default()
    }
}

/// From each device to the next, where the schedule states a rate.
fn links(schedule: &Schedule) -> Vec<Link> {
    let link = |bytes_per_s: f64, src: usize| {
        let (src, dst) = (src as i64, ((src + 1) % schedule.devices) as i64);
        Link { src, dst, bytes_per_s, latency_ns: None, contended: false }
    };
    let rate = schedule.link_bytes_per_s;
    rate.map_or_else(Vec::new, |rate| (0..schedule.devices).map(|device| link(rate, device)).collect())
}

impl Session for Synthetic {
    fn warm_up(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn run_block(&mut self) -> Result<Block, Error> {
        for rank in 0..self.ranks.len() {
            let first_us = self.first_us(rank, self.blocks_done);
            self.record_steps(rank, first_us);
            self.record_syncs(rank, first_us);
            let Rank { recorder, buffer } = &mut self.ranks[rank];
            let (domain, name) = (recorder.intern("proftool"), recorder.intern("block"));
            let (start_ns, end_ns) = (first_us * 1000, (first_us + self.schedule.window) * 1000);
            let id = recorder.next_id();
            buffer.range(&Range { id, parent: ABSENT, domain, name, start_ns, end_ns, depth: 0 });
        }
        self.blocks_done += 1;
        let busy = self.schedule.steps.iter().filter(|step| step.on == On::Compute);
        let cpu_ns = busy.map(|step| (step.span.1 - step.span.0) * 1000).sum();
        let fill_ns = self.schedule.window * 1000;
        Ok(Block { iteration_ns: Vec::new(), fill_ns, cpu_ns, contention_ratio: 1.0 })
    }

    fn iterations(&self) -> usize {
        1
    }

    /// Nothing is computed: the recorded rows are compared with the stated ones. The deviation is the share of rows that
    /// differ, are missing, or are too many.
    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        let mut check = Check::new("rows recorded as stated".to_owned());
        let Schedule { steps, syncs, skews, .. } = &self.schedule;
        let rows = |step: &Step| 1 + usize::from(!step.in_graph) + step.reads.len();
        let a_block = steps.iter().map(rows).sum::<usize>() + syncs.len() + skews.len();
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

    /// The first rank writes the file, each other one a file beside it: `host.rank1.trace` and so on.
    fn finish(self: Box<Self>, path: &Path) -> Result<(), Error> {
        for (number, Rank { recorder, buffer }) in self.ranks.into_iter().enumerate() {
            drop(buffer);
            let path = if number == 0 { path.to_owned() } else { path.with_extension(format!("rank{number}.trace")) };
            recorder.write(&path)?;
        }
        Ok(())
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
        more.record_syncs(0, 0);
        assert!(!passes(&mut more));
        assert!(!passes(&mut after(random(1, 40), 1, 0)), "nothing was recorded");
    }
}
