//! What is being counted: contexts, the launches in them that have no counts yet, and what is known about counting.

use std::collections::HashMap;

use crate::callbacks::Launch;
use crate::counter_file::CounterFile;
use crate::host::Refusal;
use crate::range::Profiler;
use crate::refusals;
use crate::text::say;

/// The state of a process's counting.
pub(crate) struct State {
    pub(crate) file: CounterFile,
    /// By address; `None` where nothing can be counted.
    pub(crate) contexts: HashMap<usize, Option<Context>>,
    /// Streams that are being captured.
    pub(crate) capturing: usize,
    /// Launches seen, and of them those that were to be counted.
    pub(crate) seen: u64,
    pub(crate) taken: u64,
    /// Whether kernels are surrounded by a range, and whether that has been seen to work.
    pub(crate) within: bool,
    pub(crate) proven: bool,
    /// Whether both ways were tried.
    pub(crate) tried: bool,
    pub(crate) closed: bool,
}

/// A context whose kernels are counted.
pub(crate) struct Context {
    pub(crate) profiler: Profiler,
    pub(crate) device: i64,
    pub(crate) number: u32,
    /// Whether it counts at present, and whether it surrounds kernels with a range while it does.
    pub(crate) running: bool,
    pub(crate) within: bool,
    /// Launches since it began to.
    pub(crate) pending: Vec<Launch>,
    /// Calls of them that have not returned.
    pub(crate) in_flight: usize,
    /// Whether two were under way at once, so that their order is not known.
    pub(crate) unsure: bool,
}

impl Context {
    pub(crate) fn begin(&mut self, within: bool) -> Result<(), Refusal> {
        if !self.running {
            self.profiler.start(within)?;
            (self.running, self.within) = (true, within);
        }
        Ok(())
    }

    fn add(&mut self, launch: Launch) {
        self.unsure |= self.in_flight > 0;
        self.in_flight += 1;
        self.pending.push(launch);
    }
}

impl State {
    pub(crate) fn new(file: CounterFile) -> Self {
        let contexts = HashMap::new();
        let (within, proven, tried, closed) = (true, false, false, false);
        Self { file, contexts, capturing: 0, seen: 0, taken: 0, within, proven, tried, closed }
    }

    /// Says on stderr and in the file why nothing is counted.
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        let (code, detail) = refusals::told(refusal);
        say(&format!("no counters: {detail}"));
        self.file.note(code, &detail);
    }

    pub(crate) fn give_up(&mut self, address: usize, refusal: &Refusal) {
        self.refuse(refusal);
        self.contexts.insert(address, None);
    }

    /// Disables a context's profiler. What could not be fetched has no counts, and a profiler stays as it is while a
    /// launch is under way in it.
    pub(crate) fn let_go(&mut self, address: usize) {
        let Some(Some(context)) = self.contexts.get(&address) else { return };
        if context.in_flight > 0 {
            return self.abandon(address);
        }
        self.file.lost.uncounted += context.pending.len() as i64;
        self.contexts.insert(address, None);
    }

    /// Leaves a context's profiler as it is: the driver no longer lets it be asked.
    pub(crate) fn abandon(&mut self, address: usize) {
        if let Some(Some(context)) = self.contexts.insert(address, None) {
            self.file.lost.uncounted += context.pending.len() as i64;
            std::mem::forget(context);
        }
    }

    /// Has a context's data decoded and written, unless a launch is under way in it.
    pub(crate) fn fetch(&mut self, address: usize) {
        let Some(Some(context)) = self.contexts.get_mut(&address) else { return };
        if !context.running || context.in_flight > 0 {
            return;
        }
        let within = context.within;
        let decoded = match context.profiler.stop(within) {
            Ok(decoded) => decoded,
            Err(refusal) => {
                self.file.lost.uncounted += context.pending.len() as i64;
                return self.give_up(address, &refusal);
            }
        };
        context.running = false;
        let pending = std::mem::take(&mut context.pending);
        let unsure = std::mem::take(&mut context.unsure);
        self.file.lost.dropped += decoded.dropped as i64;
        // Of a graph nobody knows how many there should be.
        let launches = if pending.iter().any(|launch| launch.many) { 0 } else { pending.len() };
        self.file.lost.uncounted += launches.saturating_sub(decoded.ranges + decoded.dropped) as i64;
        let written = context.write(&mut self.file, decoded.ranges, &pending, unsure);
        if let Err(refusal) = written.and_then(|()| context.profiler.clear()) {
            return self.give_up(address, &refusal);
        }
        if !decoded.complete {
            self.file.note("incomplete_passes", "CUPTI did not run kernels as often as their metrics need");
        }
        self.prove(address, decoded.ranges, &pending, within);
    }

    /// Counts a launch from here on.
    pub(crate) fn begin(&mut self, address: usize, launch: Launch) {
        let Some(Some(context)) = self.contexts.get_mut(&address) else {
            self.file.lost.uncounted += 1;
            return;
        };
        let mut begun = context.begin(self.within);
        if begun.is_err() && self.within && !self.proven {
            (self.within, self.tried) = (false, true);
            begun = context.begin(self.within);
        }
        match begun {
            Ok(()) => {
                context.add(launch);
                self.taken += 1;
            }
            Err(refusal) => {
                self.file.lost.uncounted += 1;
                self.give_up(address, &refusal);
            }
        }
    }

    /// Learns from the first kernel whether it has to be surrounded by a range. NVIDIA's sample does that for automatic
    /// ranges too, although the text around it asks for it in the other mode only; so that, without a range of that
    /// kernel, the other way is tried.
    fn prove(&mut self, address: usize, ranges: usize, pending: &[Launch], within: bool) {
        if ranges > 0 {
            (self.proven, self.within) = (true, within);
            return;
        }
        // Another context may have changed the way meanwhile.
        if self.proven || self.within != within || pending.iter().all(|launch| launch.many) {
            return;
        }
        if self.tried {
            self.give_up(address, &"CUPTI counts, and gives no range of any kernel".to_owned().into());
        }
        (self.within, self.tried) = (!within, true);
    }
}

impl Context {
    /// Writes the ranges. Their kernels are told where there are as many as launches, in a known order.
    fn write(&self, file: &mut CounterFile, ranges: usize, pending: &[Launch], unsure: bool) -> Result<(), Refusal> {
        let graph = pending.first().filter(|launch| launch.many && pending.len() == 1);
        let known = !unsure && ranges == pending.len();
        for range in 0..ranges {
            let launch = graph.or_else(|| pending.get(range).filter(|_| known));
            let values = self.profiler.values(range)?;
            file.range(self.device, self.number, launch, &self.profiler, &values);
        }
        Ok(())
    }
}
