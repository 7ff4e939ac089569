//! What a target is and what running it gives.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proftool_serving::Summary;

use crate::outputs::{Check, Outputs};
use crate::{Backend, Error, Parameter};

/// A named, seeded, parametrised workload.
#[derive(Debug)]
pub struct Target {
    /// Name: the value of `--target`, and the stem of its source file.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// The pair that it belongs to, and its role in it.
    pub pair: Option<(&'static str, Role)>,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// How it is run.
    pub run: Run,
    /// Every parameter with its effective value.
    pub(crate) resolve: Resolve,
}

type Resolve = fn(&Target, &Settings) -> Result<BTreeMap<String, String>, Error>;

impl Target {
    /// Every parameter with its effective value, defaults included, also those that depend on the machine.
    ///
    /// # Errors
    /// For the first parameter that is unknown or has a bad value.
    pub fn resolve(&self, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
        (self.resolve)(self, settings)
    }

    /// Makes the session of a target that runs in measured blocks.
    ///
    /// # Errors
    /// As the target says, and for one that runs once.
    pub fn prepare(&self, settings: &Settings) -> Result<Box<dyn Session>, Error> {
        match self.run {
            Run::Blocks(prepare) => prepare(settings),
            Run::Once(_) => Err(Error::NoBlocks { target: self.name }),
        }
    }

    /// How it runs, where it runs once.
    pub fn once(&self) -> Option<&Once> {
        match &self.run {
            Run::Blocks(_) => None,
            Run::Once(once) => Some(once),
        }
    }
}

/// How a target is run.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// In measured blocks of iterations, of a session that this makes.
    Blocks(fn(&Settings) -> Result<Box<dyn Session>, Error>),
    /// Once, over its requests or its devices.
    Once(Once),
}

/// A target that runs once and writes its raw file itself: the router log of the requests that it served, or what it found.
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// Name of its pass, and of the folder of its raw file.
    pub pass: &'static str,
    /// What observes the pass.
    pub observer: &'static str,
    /// Parameters whose values may hold commas; of the others such a value is a list: a run for each.
    pub whole: &'static [&'static str],
    /// Slug of the devices for these (resolved) parameters; none where they are this machine's.
    pub hardware_key: fn(&BTreeMap<String, String>) -> Option<String>,
    /// Runs it: the raw file goes into the folder of `place`.
    pub serve: fn(&Target, &Settings, &Place<'_>) -> Result<Served, Error>,
}

/// Where such a target runs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Folder of its raw file; it is there and empty.
    pub folder: &'a Path,
    /// Set when the user asks to stop: a target that takes long looks at it, ends and returns what it has.
    pub stop: &'a AtomicBool,
}

/// What such a target gave.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Whether the times were computed rather than measured.
    pub simulated: bool,
    /// What was modelled rather than measured, one sentence each.
    pub modelled: Vec<String>,
    /// Checks of what was written.
    pub checks: Vec<Check>,
    /// What users felt; none where nobody was served.
    pub summary: Option<Summary>,
    /// The result in lines for people.
    pub lines: Vec<String>,
    /// TTFT and TPOT over time, in lines for people who ask for them.
    pub trend: Vec<String>,
}

/// What a target is in its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The best plain code.
    Baseline,
    /// The code that is compared with it.
    Optimized,
}

/// How to run a target.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seed of weights, inputs and drawn checks.
    pub seed: u64,
    /// Parameters as given.
    pub parameters: BTreeMap<String, String>,
    /// Cores that may be used, by number.
    pub cores: Vec<usize>,
    /// Iterations a measured block; see [`Session::iterations`].
    pub iterations: usize,
    /// Measured blocks that will be asked for: the recorder makes room for them.
    pub blocks: usize,
    /// Warm-up iterations that will be asked for. They are not recorded, so they need no room.
    pub warmup: usize,
    /// Processor name for the device rows of the trace.
    pub device_name: String,
    /// Microarchitecture for the device rows of the trace.
    pub arch: String,
    /// What executes it. The names above are those of the processor; GPUs name themselves.
    pub backend: Backend,
    /// Whether the measured blocks are recorded; without it they only give their times.
    pub record: bool,
}

/// A target that is ready to run.
pub trait Session {
    /// Runs unmeasured iterations; of their records only one range `warm_up` is kept.
    ///
    /// # Errors
    /// When a queue stopped.
    fn warm_up(&mut self, iterations: usize) -> Result<(), Error>;

    /// Iterations that a measured block holds: `Settings::iterations`, unless the target knows none.
    fn iterations(&self) -> usize;

    /// Runs one measured block of [`Session::iterations`]; it starts and ends with all queues drained.
    ///
    /// # Errors
    /// When a queue stopped.
    fn run_block(&mut self) -> Result<Block, Error>;

    /// Compares outputs with a plain f64 reference: at least two whole sequences (prompt rows and all decode steps),
    /// drawn by the seed from all measured iterations.
    ///
    /// # Errors
    /// When nothing was run.
    fn verify(&mut self) -> Result<Vec<Check>, Error>;

    /// All outputs of all measured iterations.
    fn outputs(&self) -> &Outputs;

    /// What was modelled rather than measured, one sentence each.
    fn modelled(&self) -> Vec<String>;

    /// Whether the recorded times were computed rather than measured.
    fn simulated(&self) -> bool;

    /// The result of these blocks in lines for people, where there is more to say than their times.
    fn lines(&self, _blocks: &[Block]) -> Vec<String> {
        Vec::new()
    }

    /// What people may ask for beside it: TTFT and TPOT over time, where the target is about serving.
    fn trend(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends the session and writes `host.trace`.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn finish(self: Box<Self>, path: &Path) -> Result<(), Error>;
}

/// One measured block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Time between consecutive completions of iterations: one less than iterations.
    pub iteration_ns: Vec<i64>,
    /// Time from the start to the first completion.
    pub fill_ns: i64,
    /// On cores: CPU time that the threads of all compute queues used between the start and the end of the block,
    /// together; neither the host's thread nor the threads of the copy queues are in it. On GPUs: CPU time of the host's
    /// thread, which enqueues and waits.
    pub cpu_ns: i64,
    /// On cores: time in operations / CPU time, of the compute queue where that is largest: 1 on an idle machine, more
    /// where others take a core. On GPUs it is not known and infinite; a capture leaves it out.
    pub contention_ratio: f64,
}
