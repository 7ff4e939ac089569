//! Roofs of this machine's CPU, measured: FMA peaks and the bandwidth of every level of the memory.
//!
//! The method is described with its pitfalls in `docs/ceilings.md`. In short: trials of at most 1 ms, so that most of
//! them fall between two interruptions; many of them, of which the fastest that others support is the answer; several
//! rounds over all rows, so that a burst of foreign load hits different rows; the clock measured in each trial by
//! additions that depend on one another, so that a value can be stated per cycle.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod arena;
mod best;
pub mod cuda;
mod kernels;
mod plan;
mod trial;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::io;
use std::time::{Duration, Instant};

use arena::Arena;
use best::{Best, Tally};
use plan::{Kernel, Level, Row};
use trial::{Limits, Walk, Work};

/// Rounds start only inside this time; the last one adds at most two seconds.
const BUDGET: Duration = Duration::from_secs(7);

/// Rounds of every row, also of those that agree sooner: a neighbour on the same physical core takes from a core's caches
/// and units without touching its clock or its time, and the longer the rounds reach, the likelier one misses him.
const LEAST_ROUNDS: usize = 3;

/// Passes or blocks of the first calibration trial: a microsecond or two.
const FIRST_UNITS: usize = 16;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A thread could not be bound to its core.
    #[error(
        "cannot pin a thread to core {core}: {source} (hint: name cores that this process may use, see `taskset -p`)"
    )]
    Pin {
        /// The core.
        core: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread for the trials: {0} (hint: raise the limit of processes, `ulimit -u`)")]
    Thread(#[source] io::Error),
    /// The buffers could not be had.
    #[error(
        "cannot reserve {bytes} bytes for the bandwidth trials: {source} (hint: raise the memory limit of the process)"
    )]
    Memory {
        /// Size of the mapping.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// No kernels exist for this architecture.
    #[error(
        "no micro-benchmarks for {0} (hint: x86_64 and aarch64 have them; give the ceilings of a hardware spec instead)"
    )]
    Architecture(&'static str),
    /// There is nothing to measure on.
    #[error("no cores were named to measure on (hint: give at least one)")]
    NoCores,
}

/// The cores to measure on and the caches that decide the working sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Level 1 data cache of a core, in bytes.
    pub l1_bytes: usize,
    /// Level 2 cache of a core, in bytes; 0 where there is none.
    pub l2_bytes: usize,
    /// One level 3 cache, in bytes; 0 where there is none.
    pub l3_bytes: usize,
    /// How many of `cores` share one level 3 cache.
    pub cores_per_l3: usize,
    /// Logical CPUs, one a physical core.
    pub cores: Vec<usize>,
}

/// One measured roof; a row of the `ceilings` table.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// `compute` or `bandwidth`.
    pub kind: &'static str,
    /// `fma`, `read`, `copy`, `triad`, `copy_nt` or `triad_nt`.
    pub name: &'static str,
    /// `f32` or `f64`; none for a bandwidth.
    pub precision: Option<&'static str>,
    /// `L1`, `L2`, `L3` or `DRAM`; none for compute.
    pub level: Option<&'static str>,
    /// `avx512`, `avx2`, `neon` or `scalar`: of the arithmetic, or of the loads and stores.
    pub isa: &'static str,
    /// Cores that ran it together.
    pub cores: i64,
    /// FLOP/s (an FMA is two), or bytes/s that the program loads and stores, of all those cores.
    pub value: f64,
    /// `flop/s` or `bytes/s`.
    pub unit: &'static str,
    /// The value divided by the cores and by the clock of the same trial.
    pub per_cycle: f64,
    /// That clock, the mean of the cores, in Hz.
    pub clock_hz: f64,
    /// Whether other load disturbed every trial, or so many that the rest do not agree.
    pub contended: bool,
}

/// Measures all roofs on the cores of `shape`; `progress` is told (settled rows, all rows, the row at work).
///
/// Takes 5 to 7 seconds on an idle machine with two cores, and 10 at most: it ends when every row's best was repeated in
/// another round.
///
/// # Errors
/// When a thread cannot be pinned, memory is short, or the architecture has no kernels.
pub fn measure(shape: &Shape, progress: &mut dyn FnMut(usize, usize, &str)) -> Result<Vec<Measured>, Error> {
    let began = Instant::now();
    let mut bench = Bench::new(shape)?;
    for round in 0.. {
        for index in 0..bench.rows.len() {
            if round > 0 && (began.elapsed() > BUDGET || (round >= LEAST_ROUNDS && bench.rows[index].settled())) {
                continue;
            }
            progress(bench.settled(), bench.rows.len(), &bench.rows[index].row.label());
            bench.round(index, round)?;
        }
        if began.elapsed() > BUDGET || (round + 1 >= LEAST_ROUNDS && bench.settled() == bench.rows.len()) {
            break;
        }
    }
    progress(bench.rows.len(), bench.rows.len(), "done");
    Ok(bench.rows.iter().filter_map(State::measured).collect())
}

/// A row with its trials so far.
struct State {
    row: Row,
    /// Passes or blocks of one trial, once calibrated.
    units: Option<usize>,
    tally: Tally,
}

impl State {
    fn settled(&self) -> bool {
        self.tally.best(self.row.criteria()).is_some_and(|best| best.settled)
    }

    fn measured(&self) -> Option<Measured> {
        let Best { value, per_cycle, contended, .. } = self.tally.best(self.row.criteria())?;
        let (kind, name, precision, level, isa, unit) = match self.row.kernel {
            Kernel::Compute(kernel) => {
                ("compute", "fma", Some(kernel.precision.name()), None, kernel.isa.name(), "flop/s")
            }
            Kernel::Stream(kernel, level) => {
                ("bandwidth", kernel.op.name(), None, Some(level.name()), kernel.isa.name(), "bytes/s")
            }
        };
        let (cores, clock_hz) = (self.row.cores as i64, value / per_cycle / self.row.cores as f64);
        Some(Measured { kind, name, precision, level, isa, cores, value, unit, per_cycle, clock_hz, contended })
    }
}

/// All rows, and the memory of each core.
struct Bench<'a> {
    shape: &'a Shape,
    arenas: Vec<Arena>,
    rows: Vec<State>,
}

impl<'a> Bench<'a> {
    fn new(shape: &'a Shape) -> Result<Self, Error> {
        if shape.cores.is_empty() {
            return Err(Error::NoCores);
        }
        let rows = plan::rows(shape);
        if rows.iter().all(|row| row.level().is_some()) {
            return Err(Error::Architecture(std::env::consts::ARCH));
        }
        let (one, all) = (shape.arena_bytes(1), shape.arena_bytes(shape.cores.len()));
        let arena = |(index, &core): (usize, &usize)| {
            let arena = Arena::new(if index == 0 { one.max(all) } else { all })?;
            trial::on_core(core, || arena.touch())?;
            Ok(arena)
        };
        let arenas = shape.cores.iter().enumerate().map(arena).collect::<Result<_, Error>>()?;
        let state = |row| State { row, units: None, tally: Tally::default() };
        Ok(Self { shape, arenas, rows: rows.into_iter().map(state).collect() })
    }

    fn settled(&self) -> usize {
        self.rows.iter().filter(|state| state.settled()).count()
    }

    /// One batch of trials of one row.
    fn round(&mut self, index: usize, round: usize) -> Result<(), Error> {
        let row = self.rows[index].row;
        let cores = self.cores(row, round);
        let work = self.work(row);
        let units = match self.rows[index].units {
            Some(units) => units,
            None => calibrate(row, &cores, &work)?,
        };
        self.rows[index].units = Some(units);
        let mut work: Vec<Work> = work.into_iter().map(|work| work.with_units(units)).collect();
        let trials = (row.batch().as_nanos() / row.trial().as_nanos()) as usize;
        let limits = Limits { warm: self.warm(row, &work[0]), trials, time: row.batch() };
        let points = trial::batch(&cores, &mut work, limits, round)?;
        self.rows[index].tally.extend(points.into_iter().map(|(point, _)| point));
        Ok(())
    }

    /// The cores of a row: a single-core row alternates between two that share the cache, so that one busy core does not
    /// decide it.
    fn cores(&self, row: Row, round: usize) -> Vec<usize> {
        let first = if row.cores == 1 { round % self.shape.sharers().min(2) } else { 0 };
        self.shape.cores.iter().skip(first).take(row.cores).copied().collect()
    }

    fn work(&self, row: Row) -> Vec<Work> {
        let work = |arena: &Arena| match row.kernel {
            Kernel::Compute(kernel) => Work::Compute { kernel, loops: FIRST_UNITS },
            Kernel::Stream(kernel, level) => {
                let plan::Arrays { bytes, stride, wraps } = self.shape.arrays(level, kernel.op, row.cores);
                let walk = Walk { start: arena.start(), stride, bytes, wraps, offset: 0 };
                Work::Stream { kernel, walk, blocks: FIRST_UNITS }
            }
        };
        self.arenas.iter().take(row.cores).map(work).collect()
    }

    /// Untimed trials before the timed ones: caches are filled by one pass over the arrays; DRAM trials walk 1.5 times
    /// the last cache first, or the first timed stores would find clean lines to replace and look too fast.
    fn warm(&self, row: Row, work: &Work) -> usize {
        let (Work::Stream { kernel, walk, .. }, Some(level)) = (work, row.level()) else { return 1 };
        let trial = work.units() * kernel.block * kernel.op.arrays();
        let bytes = match level {
            Level::Dram => self.shape.last_level_bytes() * 3 / 2 / self.shape.sharers().min(row.cores),
            _ => walk.bytes * kernel.op.arrays(),
        };
        bytes.div_ceil(trial).max(1)
    }
}

/// Passes or blocks that fill the row's trial time: grows fourfold until a quarter of it is reached, then scales.
fn calibrate(row: Row, cores: &[usize], work: &[Work]) -> Result<usize, Error> {
    let target = row.trial();
    let mut units = FIRST_UNITS;
    loop {
        let mut work: Vec<Work> = work.iter().map(|work| work.clone().with_units(units)).collect();
        let limits = Limits { warm: 1, trials: 4, time: target * 8 };
        let trials = trial::batch(cores, &mut work, limits, 0)?;
        let fastest = trials.iter().map(|(_, time)| *time).min().unwrap_or(target);
        // A walk that does not wrap may be too short for the whole trial time.
        if fastest * 4 >= target || work[0].units() < units {
            let scale = target.as_secs_f64() / fastest.as_secs_f64();
            return Ok(((units as f64 * scale) as usize).max(1));
        }
        units *= 4;
    }
}
