//! What a target is and what running it gives.

use std::collections::BTreeMap;
use std::path::Path;

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
    /// Makes a session.
    pub prepare: fn(&Settings) -> Result<Box<dyn Session>, Error>,
    /// Every parameter with its effective value.
    pub(crate) resolve: fn(&Settings) -> Result<BTreeMap<String, String>, Error>,
}

impl Target {
    /// Every parameter with its effective value, defaults included, also those that depend on the machine.
    ///
    /// # Errors
    /// For the first parameter that is unknown or has a bad value.
    pub fn resolve(&self, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
        (self.resolve)(settings)
    }
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
