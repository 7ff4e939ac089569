//! A measured target whose iteration is one call on one core: it decides about a set of requests.

use std::io;
use std::path::Path;

use proftool_tracer::{ABSENT, Capacity, Device, Head, Operation, Queue, Range, Recorder, ThreadBuffer};

use crate::backend::{pin, thread_cpu_ns};
use crate::{Block, Check, Error, Outputs, Session, Settings};

/// Calls that are recorded: 184 MB. Those beyond are counted as lost.
const MOST_RECORDS: usize = 1 << 20;

/// The arithmetic of a target.
pub(crate) trait Work: Send {
    /// Name of the operation in the trace, and of what it computes.
    const NAME: &'static str;

    /// Decisions that a call makes.
    fn decisions(&self) -> u64;

    /// Floating-point operations of a call; none where it computes with whole numbers.
    fn flop(&self) -> Option<i64>;

    /// Decides about everything once.
    fn decide(&mut self);

    /// What the last call decided, as numbers.
    fn decided(&self) -> Vec<f32>;

    /// The same by the plainest code there is.
    fn reference(&self) -> Vec<f32>;

    /// See [`Session::trend`].
    fn trend(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A session of such calls. A thread of its own, bound to the first core, makes them; nothing else runs meanwhile.
pub(crate) struct Measured<W: Work> {
    work: W,
    variant: &'static str,
    core: Option<usize>,
    iterations: usize,
    record: bool,
    recorder: Recorder,
    buffer: ThreadBuffer,
    outputs: Outputs,
    blocks: usize,
}

/// When each call of a block ended, and what the thread used.
#[expect(clippy::struct_field_names, reason = "units stand in names")]
struct Times {
    start_ns: i64,
    ends_ns: Vec<i64>,
    cpu_ns: i64,
}

impl<W: Work> Measured<W> {
    /// A session; `variant` is which of the pair's ways `work` goes.
    pub(crate) fn new(work: W, variant: &'static str, settings: &Settings) -> Self {
        let recorder = Recorder::new(head(settings));
        let calls = if settings.record { (settings.iterations * settings.blocks).min(MOST_RECORDS) } else { 0 };
        let capacity = Capacity { operations: calls, dependencies: 0, calls: 0, ranges: settings.blocks + 1 };
        Self {
            work,
            variant,
            core: settings.cores.first().copied(),
            iterations: settings.iterations,
            record: settings.record,
            buffer: recorder.thread(0, capacity),
            recorder,
            outputs: Outputs::with_tolerance(0.0),
            blocks: 0,
        }
    }

    /// So many calls, one right after the other.
    fn call(&mut self, calls: usize) -> Result<Times, Error> {
        let (core, recorder, work) = (self.core, &self.recorder, &mut self.work);
        let run = move || {
            // A refusal costs precision only.
            let _ = core.map(pin);
            let mut ends_ns = Vec::with_capacity(calls);
            let (cpu_ns, start_ns) = (thread_cpu_ns(), recorder.now_ns());
            for _ in 0..calls {
                work.decide();
                ends_ns.push(recorder.now_ns());
            }
            Times { start_ns, ends_ns, cpu_ns: thread_cpu_ns() - cpu_ns }
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, run).map_err(Error::Thread)?;
            thread.join().map_err(|_| Error::Thread(io::Error::other("the thread of the decisions panicked")))
        })
    }

    fn range(&mut self, name: &str, start_ns: i64, end_ns: i64) {
        if !self.record {
            return;
        }
        let (domain, name) = (self.recorder.intern("proftool"), self.recorder.intern(name));
        let id = self.recorder.next_id();
        self.buffer.range(&Range { id, parent: ABSENT, domain, name, start_ns, end_ns, depth: 0 });
    }

    fn operations(&mut self, times: &Times) {
        if !self.record {
            return;
        }
        let name = self.recorder.intern(&format!("{} {}", W::NAME, self.variant));
        let (phase, precision) = (self.recorder.intern("route"), self.recorder.intern("f32"));
        let mut start_ns = times.start_ns;
        for (at, &end_ns) in times.ends_ns.iter().enumerate() {
            let plain = Operation {
                id: self.recorder.next_id(),
                name,
                start_ns,
                end_ns,
                step: (self.blocks * self.iterations + at) as i64,
                phase,
                rows: self.work.decisions() as i64,
                ..Operation::default()
            };
            // Without floating-point operations there is no type of them.
            self.buffer.operation(&match self.work.flop() {
                Some(flop) => Operation { flop, precision, ..plain },
                None => plain,
            });
            start_ns = end_ns;
        }
    }
}

impl<W: Work> Session for Measured<W> {
    fn warm_up(&mut self, iterations: usize) -> Result<(), Error> {
        let times = self.call(iterations)?;
        let end_ns = times.ends_ns.last().copied().unwrap_or(times.start_ns);
        self.range("warm_up", times.start_ns, end_ns);
        Ok(())
    }

    fn iterations(&self) -> usize {
        self.iterations
    }

    fn run_block(&mut self) -> Result<Block, Error> {
        let times = self.call(self.iterations)?;
        let end_ns = times.ends_ns.last().copied().unwrap_or(times.start_ns);
        self.operations(&times);
        self.range("block", times.start_ns, end_ns);
        self.outputs.insert(self.blocks, "decisions", self.work.decided());
        self.blocks += 1;
        let wall_ns = (end_ns - times.start_ns).max(1);
        Ok(Block {
            iteration_ns: times.ends_ns.windows(2).map(|pair| pair[1] - pair[0]).collect(),
            fill_ns: times.ends_ns.first().map_or(0, |first| first - times.start_ns),
            cpu_ns: times.cpu_ns,
            contention_ratio: wall_ns as f64 / times.cpu_ns.max(1) as f64,
        })
    }

    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        let name = format!("{} decisions of every block against a plain reference", self.variant);
        let mut check = Check::within(name, 0.0);
        let reference = self.work.reference();
        for block in 0..self.blocks {
            let found = self.outputs.get(block, "decisions").unwrap_or_default();
            check.add(found, reference.iter().copied().map(f64::from));
        }
        Ok(vec![check])
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn modelled(&self) -> Vec<String> {
        Vec::new()
    }

    fn simulated(&self) -> bool {
        false
    }

    fn lines(&self, blocks: &[Block]) -> Vec<String> {
        let mut each: Vec<i64> = blocks.iter().flat_map(|block| block.iteration_ns.iter().copied()).collect();
        each.sort_unstable();
        let decisions = self.work.decisions().max(1) as f64;
        let line = |&median: &i64| {
            let ns = median as f64 / decisions;
            format!(
                "{} {}: {ns:.3} ns a decision (measured, median of {} iterations)",
                W::NAME,
                self.variant,
                each.len()
            )
        };
        each.get(each.len() / 2).map(line).into_iter().collect()
    }

    fn trend(&self) -> Vec<String> {
        self.work.trend()
    }

    fn finish(self: Box<Self>, path: &Path) -> Result<(), Error> {
        let Self { recorder, buffer, .. } = *self;
        drop(buffer);
        Ok(recorder.write(path)?)
    }
}

fn head(settings: &Settings) -> Head {
    let device = Device {
        device: 0,
        kind: "cpu".to_owned(),
        name: settings.device_name.clone(),
        arch: settings.arch.clone(),
        cores: 1,
        memory_bytes: None,
        clock_hz: None,
        uuid: None,
        pci_bus_id: None,
        numa_node: None,
    };
    let queue = Queue { device: 0, queue: 0, role: "compute".to_owned(), priority: 0 };
    Head { devices: vec![device], queues: vec![queue], ..Head::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Counts its calls; the reference is what it should decide.
    struct Counted(Vec<f32>);

    impl Work for Counted {
        const NAME: &'static str = "count";

        fn decisions(&self) -> u64 {
            2
        }

        fn flop(&self) -> Option<i64> {
            None
        }

        fn decide(&mut self) {
            std::hint::black_box(&self.0);
        }

        fn decided(&self) -> Vec<f32> {
            self.0.clone()
        }

        fn reference(&self) -> Vec<f32> {
            vec![1.0, 2.0]
        }
    }

    fn after(decided: Vec<f32>) -> (Measured<Counted>, Vec<Block>) {
        let settings = Settings {
            seed: 1,
            parameters: BTreeMap::new(),
            cores: vec![0],
            iterations: 3,
            blocks: 2,
            warmup: 1,
            device_name: "test".to_owned(),
            arch: "test".to_owned(),
            backend: crate::Backend::Cpu,
            record: true,
        };
        let mut session = Measured::new(Counted(decided), "plain", &settings);
        session.warm_up(1).expect("warmed up");
        let blocks = (0..2).map(|_| session.run_block().expect("a block")).collect();
        (session, blocks)
    }

    #[test]
    fn a_block_has_one_interval_less_than_calls_and_every_call_is_recorded() {
        let (mut session, blocks) = after(vec![1.0, 2.0]);
        assert!(blocks.iter().all(|block| block.iteration_ns.len() == 2));
        assert_eq!((session.buffer.operations().len(), session.buffer.ranges().len()), (6, 3));
        assert_eq!((session.buffer.lost(), session.lines(&blocks).len()), (0, 1));
        assert!(session.verify().expect("verified")[0].passes());
    }

    #[test]
    fn a_wrong_decision_fails_verification() {
        let (mut session, _) = after(vec![1.0, 3.0]);
        assert!(!session.verify().expect("verified")[0].passes());
        let (mut session, _) = after(vec![1.0]);
        assert!(!session.verify().expect("verified")[0].passes());
    }
}
