//! Roofs of a GPU, measured: matrix and vector peaks, L2 and DRAM, the links to the host and to other GPUs.
//!
//! The method is that of the CPU's (many short trials, rounds over all rows, the fastest that others support), timed by
//! events of the device, the multiprocessors' clock read behind each trial. What is counted, and the pitfalls, are in
//! `docs/ceilings.md`. A row that the device, a library or its driver does not support is absent, with the reason.

mod data;
mod jobs;
mod matmul;
mod places;
mod rows;
mod sizes;
mod stage;
mod trial;
mod units;

use std::time::{Duration, Instant};

use super::best::{Best, Tally};
use crate::Error;
use crate::cuda::{Gpu, Versions};
use jobs::{Chosen, Prepared};
use rows::{Capability, Row, Way};
pub use sizes::Scale;
use stage::Stage;
use trial::Batch;

/// Rounds of every row, also of those that agree sooner.
const LEAST_ROUNDS: usize = 3;

/// Rounds that a device of a test double needs.
const TINY_ROUNDS: usize = 2;

/// Trials of a row in one round.
const TRIALS: usize = 12;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rounds start only inside this time, which begins when all rows are prepared: that takes some seconds more.
    pub budget: Duration,
    /// How large the problems are.
    pub scale: Scale,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: Duration::from_secs(10), scale: Scale::Full }
    }
}

/// What was measured on one GPU.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The GPU.
    pub gpu: Gpu,
    /// Versions of the driver and of the libraries.
    pub versions: Versions,
    /// The roofs, each once.
    pub roofs: Vec<Roof>,
    /// The rows that could not be measured.
    pub absent: Vec<Absent>,
}

/// One measured roof of a GPU; a row of the table `ceilings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Roof {
    /// `compute` or `bandwidth`.
    pub kind: &'static str,
    /// `fma`, `mma`, `matmul`, `matmul_fast_accumulate`; `read`, `write`, `copy`; `h2d`, `d2h`, `h2d_and_d2h`; `to_1`,
    /// `to_and_from_1` with the number of the other GPU.
    pub name: String,
    /// The precision as hardware specs name it (`f32`, `matrix_bf16`); none for a bandwidth.
    pub precision: Option<&'static str>,
    /// `L2`, `DRAM`, `host` or `peer`; none for compute.
    pub level: Option<&'static str>,
    /// The units: `tensor`, `simt` or `copy_engine`.
    pub isa: &'static str,
    /// Streaming multiprocessors that ran it together; none for copy engines.
    pub cores: Option<i64>,
    /// FLOP/s (a multiply-add is two) or bytes/s that the program moves.
    pub value: f64,
    /// `flop/s` or `bytes/s`.
    pub unit: &'static str,
    /// The value by multiprocessor and cycle of the clock behind the trial; none where it could not be read.
    pub per_cycle: Option<f64>,
    /// Whether the trials do not agree.
    pub contended: bool,
    /// Number of the other GPU, of a link to one.
    pub peer: Option<usize>,
    /// Both directions of a link at once; the value is their sum.
    pub both: bool,
}

/// A row that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The row, for example `matmul matrix_f8`.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Told (settled rows, all rows, the row at work); gives whether to go on.
type Progress<'a> = dyn FnMut(usize, usize, &str) -> bool + 'a;

/// Measures all roofs of `gpu`; `all` are the GPUs that it may have links to. `progress` is told (settled rows, all rows,
/// the row at work) before each row, which takes a second at most, and gives whether to go on.
///
/// # Errors
/// When a library is missing, the GPU cannot be used, or no row at all could be measured; [`Error::Interrupted`] when
/// `progress` says so.
pub fn measure(gpu: &Gpu, all: &[Gpu], options: Options, progress: &mut Progress<'_>) -> Result<Measured, Error> {
    let versions = crate::cuda::check()?;
    let stage = Stage::new(gpu, all, options.scale)?;
    let capability = capability(gpu);
    let mut absent = stage.absent();
    let mut states = Vec::new();
    let rows = rows::rows(capability, &stage.peers());
    for (at, &row) in rows.iter().enumerate() {
        let what = format!("preparing {} ({} of {})", row.label(capability), at + 1, rows.len());
        if !progress(0, rows.len(), &what) {
            return Err(Error::Interrupted);
        }
        match stage.prepare(row) {
            Ok(prepared) => states.push(State { row, prepared, tally: Tally::default(), clocked: true, lost: false }),
            Err(reason) => absent.push(Absent { what: row.label(capability), reason }),
        }
        if !stage.is_alive() {
            break;
        }
    }
    rounds(&stage, &mut states, options, &mut absent, progress)?;
    let units = gpu.sm_count.max(1);
    let roofs: Vec<Roof> = states.iter().filter_map(|state| state.roof(capability, units)).collect();
    if roofs.is_empty() {
        stage.finish()?;
        let what = format!("no roof of {} could be measured", gpu.name);
        return Err(Error::CudaMissing { what, hint: "`proftool doctor` shows what is missing" });
    }
    Ok(Measured { gpu: gpu.clone(), versions, roofs, absent })
}

fn capability(gpu: &Gpu) -> Capability {
    gpu.compute_capability.0 * 10 + gpu.compute_capability.1
}

/// Rounds over all rows until they agree or the time is over. A row that fails is left out from then on; a device that
/// answers no more ends them all, and what was measured until then is kept.
///
/// # Errors
/// Only [`Error::Interrupted`].
fn rounds(
    stage: &Stage,
    states: &mut [State<'_>],
    options: Options,
    absent: &mut Vec<Absent>,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let began = Instant::now();
    let tiny = options.scale == Scale::Tiny;
    let least = if tiny { TINY_ROUNDS } else { LEAST_ROUNDS };
    for round in 0.. {
        for index in 0..states.len() {
            let (done, total) = (states.iter().filter(|state| state.is_done()).count(), states.len());
            let state = &mut states[index];
            let enough = round > 0 && (began.elapsed() > options.budget || (round >= least && state.is_done()));
            if enough || state.lost {
                continue;
            }
            if !progress(done, total, &state.row.label(stage.capability())) {
                return Err(Error::Interrupted);
            }
            if let Err(error) = state.round(stage, round) {
                state.lost = true;
                absent.push(Absent { what: state.row.label(stage.capability()), reason: error.to_string() });
                if !stage.is_alive() {
                    return Ok(());
                }
            }
        }
        let settled = round + 1 >= least && states.iter().all(State::is_done);
        if began.elapsed() > options.budget || settled || (tiny && round + 1 >= least) {
            break;
        }
    }
    progress(states.len(), states.len(), "done");
    Ok(())
}

/// A row with its trials so far.
struct State<'a> {
    row: Row,
    prepared: Prepared<'a>,
    tally: Tally,
    /// Every trial came with a clock.
    clocked: bool,
    /// It failed.
    lost: bool,
}

impl State<'_> {
    fn best(&self) -> Option<Best> {
        self.tally.best(self.row.criteria(self.clocked))
    }

    fn is_done(&self) -> bool {
        self.lost || self.best().is_some_and(|best| best.settled)
    }

    /// One batch of trials, shared out among the chosen candidates.
    fn round(&mut self, stage: &Stage, round: usize) -> Result<(), Error> {
        stage.fill(&self.prepared)?;
        let trial_ns = stage.scale().trial_ns(self.row.trial());
        let trials = stage.scale().trials(TRIALS, self.prepared.chosen.len());
        for Chosen { job, one_ns } in &self.prepared.chosen {
            let batch = Batch { trials, trial_ns, one_ns: *one_ns, round, clock: self.row.on_units() };
            let (points, clocked) = stage.bench(self.row).batch(job, batch)?;
            self.clocked &= clocked;
            self.tally.extend(points);
        }
        Ok(())
    }

    fn roof(&self, capability: Capability, units: i64) -> Option<Roof> {
        let best = self.best().filter(|best| best.value.is_finite() && best.value > 0.0)?;
        let names = self.row.names(capability);
        let on_units = self.row.on_units();
        Some(Roof {
            kind: names.kind,
            name: names.name,
            precision: names.precision,
            level: names.level,
            isa: names.isa,
            cores: on_units.then_some(units),
            value: best.value,
            unit: names.unit,
            per_cycle: (on_units && self.clocked && best.per_cycle.is_finite()).then_some(best.per_cycle),
            contended: best.contended,
            peer: if let Row::Peer(peer, _) = self.row { Some(peer) } else { None },
            both: matches!(self.row, Row::Host(Way::Both) | Row::Peer(_, Way::Both)),
        })
    }
}
