//! Trials: pinned threads that start together, each timed together with the clock of its core.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::Error;
use super::best::Point;
use super::kernels::{Compute, Stream, dependent_adds};
use crate::backend;

/// Additions of one clock reading: 4 to 8 us, 200 times the cost of reading the time, which is subtracted.
const CLOCK_ADDS: u64 = 16_384;

/// Readings on either side of a trial; the fastest counts, since an interruption can only make a clock look slower.
const CLOCK_READINGS: usize = 4;

/// A trial was disturbed when its wall time exceeds its CPU time by this factor.
const PREEMPTED: f64 = 1.05;

/// A trial was disturbed when the clocks before and after it differ by this share.
const CLOCK_MOVED: f64 = 0.01;

/// What one thread does in every trial of a batch.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// `loops` passes of an arithmetic kernel.
    Compute { kernel: Compute, loops: usize },
    /// `blocks` blocks of a memory kernel, from where the last trial ended.
    Stream { kernel: Stream, walk: Walk, blocks: usize },
}

/// The arrays of a memory kernel and the position in them.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// Start of the first array; the others follow at `stride`.
    pub(super) start: *mut u8,
    pub(super) stride: usize,
    /// Bytes of each array; a power of two where `wraps`.
    pub(super) bytes: usize,
    /// Wrap inside a trial (a cache), or start the array anew between trials (a buffer larger than the caches).
    pub(super) wraps: bool,
    pub(super) offset: usize,
}

// SAFETY: the arrays belong to an arena that outlives the threads, and every thread of a batch has its own.
unsafe impl Send for Work {}

impl Work {
    /// FLOP or bytes of one trial.
    fn amount(&self) -> f64 {
        match self {
            Self::Compute { kernel, loops } => kernel.flop_per_loop as f64 * *loops as f64,
            Self::Stream { kernel, blocks, .. } => (kernel.block * kernel.op.arrays() * blocks) as f64,
        }
    }

    /// Passes or blocks of one trial.
    pub(super) fn units(&self) -> usize {
        match self {
            Self::Compute { loops, .. } => *loops,
            Self::Stream { blocks, .. } => *blocks,
        }
    }

    /// The same with another number of passes or blocks, at most one round of an array that does not wrap.
    pub(super) fn with_units(mut self, units: usize) -> Self {
        match &mut self {
            Self::Compute { loops, .. } => *loops = units.max(1),
            Self::Stream { kernel, walk, blocks } => {
                let limit = if walk.wraps { usize::MAX } else { walk.bytes / kernel.block };
                *blocks = units.clamp(1, limit);
            }
        }
        self
    }

    fn run(&mut self) {
        match self {
            // SAFETY: `kernels::compute` offers only kernels of instruction sets that the CPU has; `loops` >= 1.
            Self::Compute { kernel, loops } => unsafe { (kernel.run)(*loops as u64) },
            Self::Stream { kernel, walk, blocks } => walk.run(kernel, *blocks),
        }
    }
}

impl Walk {
    fn run(&mut self, kernel: &Stream, blocks: usize) {
        let length = blocks * kernel.block;
        if !self.wraps && self.offset + length > self.bytes {
            self.offset = 0;
        }
        let mask = if self.wraps { self.bytes - 1 } else { usize::MAX };
        let arrays = [0, 1, 2].map(|array| self.start.wrapping_add(array * self.stride));
        // SAFETY: `plan` gives each array `bytes` bytes inside an arena, whole blocks and 64-byte alignment; the offset
        // stays below `bytes` by the mask, or by the restart above; `kernels::streams` offers only what the CPU has.
        unsafe { (kernel.run)(arrays, self.offset, mask, blocks) };
        self.offset = (self.offset + length) & mask;
    }
}

/// How long a batch may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Untimed trials first, so that the timed ones see the caches as they will leave them.
    pub(super) warm: usize,
    pub(super) trials: usize,
    pub(super) time: Duration,
}

/// One trial as one thread saw it.
#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ns: u128,
    end_ns: u128,
    cpu_ns: u128,
    clock_before_hz: f64,
    clock_after_hz: f64,
}

impl Sample {
    fn clock_hz(&self) -> f64 {
        self.clock_before_hz.max(self.clock_after_hz)
    }

    fn clean(&self) -> bool {
        let wall = (self.end_ns - self.start_ns) as f64;
        let moved = (self.clock_before_hz - self.clock_after_hz).abs() / self.clock_hz();
        wall <= PREEMPTED * self.cpu_ns as f64 && moved <= CLOCK_MOVED
    }
}

/// What the threads of a batch share.
struct Shared {
    epoch: Instant,
    threads: usize,
    /// Arrivals at the barrier so far; it only grows, so that a late thread cannot miss a round.
    arrived: AtomicUsize,
    /// The first trial that no thread runs any more. Set by the first thread before it arrives at that trial.
    stop_at: AtomicUsize,
    /// A thread gave up or could not be started: nobody waits any longer.
    failed: AtomicBool,
}

impl Shared {
    /// Waits, spinning, until all threads have arrived for the time `round` (from 1), or one has failed: a thread that
    /// sleeps would start tens of microseconds after the others.
    fn wait(&self, round: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < round * self.threads && !self.has_failed() {
            std::hint::spin_loop();
        }
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// Runs trials of `work` at once on `cores`, one thread each, and gives one point a trial and its length.
pub(super) fn batch(
    cores: &[usize],
    work: &mut [Work],
    limits: Limits,
    round: usize,
) -> Result<Vec<(Point, Duration)>, Error> {
    batch_with(cores, work, limits, round, |_| Builder::new())
}

/// [`batch`] with the thread of each index built by `builder`.
fn batch_with(
    cores: &[usize],
    work: &mut [Work],
    limits: Limits,
    round: usize,
    builder: impl Fn(usize) -> Builder,
) -> Result<Vec<(Point, Duration)>, Error> {
    let shared = Shared {
        epoch: Instant::now(),
        threads: cores.len(),
        arrived: AtomicUsize::new(0),
        stop_at: AtomicUsize::new(limits.trials),
        failed: AtomicBool::new(false),
    };
    let amount: f64 = work.iter().map(Work::amount).sum();
    let samples = std::thread::scope(|scope| {
        let start = |(index, (&core, work))| {
            let shared = &shared;
            let run = move || member(core, work, limits, shared, index == 0);
            // Those that started already wait for this one.
            builder(index).spawn_scoped(scope, run).inspect_err(|_| shared.fail()).map_err(Error::Thread)
        };
        let threads: Vec<_> = cores.iter().zip(work.iter_mut()).enumerate().map(start).collect();
        threads.into_iter().map(|thread| join(thread?)).collect::<Result<Vec<_>, Error>>()
    })?;
    let trials = samples.iter().map(Vec::len).min().unwrap_or(0);
    let trial = |index| samples.iter().map(|thread| thread[index]).collect::<Vec<_>>();
    Ok((0..trials).map(|index| combine(&trial(index), amount, round)).collect())
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T, Error>>) -> Result<T, Error> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One trial of all threads: the window from the first start to the last end.
fn combine(samples: &[Sample], amount: f64, round: usize) -> (Point, Duration) {
    let start = samples.iter().map(|sample| sample.start_ns).min().unwrap_or(0);
    let end = samples.iter().map(|sample| sample.end_ns).max().unwrap_or(0);
    let window_ns = (end - start).max(1);
    let point = Point {
        value: amount * 1e9 / window_ns as f64,
        clock_sum_hz: samples.iter().map(Sample::clock_hz).sum(),
        clean: samples.iter().all(Sample::clean),
        round,
    };
    (point, Duration::from_nanos(window_ns as u64))
}

fn member(core: usize, work: &mut Work, limits: Limits, shared: &Shared, leads: bool) -> Result<Vec<Sample>, Error> {
    // The others must not wait for a thread that gives up.
    pin(core).inspect_err(|_| shared.fail())?;
    shared.wait(1);
    if shared.has_failed() {
        return Ok(Vec::new());
    }
    (0..limits.warm).for_each(|_| work.run());
    let mut samples = Vec::with_capacity(limits.trials);
    for trial in 0..limits.trials {
        let clock_before_hz = clock_hz();
        shared.wait(trial + 2);
        if trial >= shared.stop_at.load(Ordering::Acquire) {
            break;
        }
        samples.push(timed(work, shared.epoch, clock_before_hz));
        if leads && shared.epoch.elapsed() > limits.time {
            shared.stop_at.store(trial + 1, Ordering::Release);
        }
    }
    Ok(samples)
}

fn timed(work: &mut Work, epoch: Instant, clock_before_hz: f64) -> Sample {
    let cpu = thread_cpu_ns();
    let start_ns = epoch.elapsed().as_nanos();
    work.run();
    let end_ns = epoch.elapsed().as_nanos();
    let cpu_ns = thread_cpu_ns().saturating_sub(cpu);
    Sample { start_ns, end_ns, cpu_ns, clock_before_hz, clock_after_hz: clock_hz() }
}

/// The clock of this core, from additions that each take one cycle.
fn clock_hz() -> f64 {
    let readings = (0..CLOCK_READINGS).map(|_| elapsed(|| dependent_adds(CLOCK_ADDS)).saturating_sub(timer_cost()));
    let fastest = readings.min().unwrap_or_default().as_secs_f64();
    CLOCK_ADDS as f64 / fastest.max(1e-9)
}

/// What reading the time twice adds to an interval.
fn timer_cost() -> Duration {
    (0..4).map(|_| elapsed(|| ())).min().unwrap_or_default()
}

fn elapsed(task: impl FnOnce()) -> Duration {
    let start = Instant::now();
    task();
    start.elapsed()
}

/// CPU time of this thread. Zero where the system has no such clock, which marks every trial as disturbed.
fn thread_cpu_ns() -> u128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_nanos()
}

fn pin(core: usize) -> Result<(), Error> {
    backend::pin(core).map_err(|source| Error::Pin { core, source })
}

/// Runs `task` on a thread of its own that is pinned to `core`.
pub(super) fn on_core(core: usize, task: impl FnOnce() + Send) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let thread = Builder::new().spawn_scoped(scope, || pin(core).map(|()| task()));
        join(thread.map_err(Error::Thread)?)
    })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected values are computed exactly")]
mod tests {
    use super::*;

    fn sample(start_ns: u128, end_ns: u128, cpu_ns: u128) -> Sample {
        Sample { start_ns, end_ns, cpu_ns, clock_before_hz: 2e9, clock_after_hz: 2e9 }
    }

    #[test]
    fn the_window_of_a_trial_is_first_start_to_last_end() {
        let (point, window) = combine(&[sample(100, 1100, 1000), sample(350, 1350, 1000)], 2500.0, 0);
        assert_eq!(window, Duration::from_nanos(1250));
        assert_eq!((point.value, point.clock_sum_hz, point.clean), (2e9, 4e9, true));
    }

    #[test]
    fn a_lost_core_or_a_moving_clock_marks_a_trial() {
        assert!(!combine(&[sample(0, 1000, 1000), sample(0, 1100, 1000)], 1.0, 0).0.clean);
        let moved = Sample { clock_after_hz: 1.97e9, ..sample(0, 1000, 1000) };
        assert!(!combine(&[moved], 1.0, 0).0.clean);
        assert_eq!(moved.clock_hz(), 2e9);
    }

    #[test]
    fn a_core_that_does_not_exist_ends_the_whole_batch_with_an_error() {
        let kernel = super::super::kernels::compute()[0];
        let mut work = vec![Work::Compute { kernel, loops: 1 }; 2];
        let limits = Limits { warm: 0, trials: 2, time: Duration::from_millis(1) };
        for absent in [1000, 100_000] {
            let error = batch(&[0, absent], &mut work, limits, 0).unwrap_err();
            assert!(matches!(error, Error::Pin { core, .. } if core == absent), "{error}");
        }
    }

    #[test]
    fn a_thread_that_cannot_be_started_ends_the_whole_batch_with_an_error() {
        let kernel = super::super::kernels::compute()[0];
        let mut work = vec![Work::Compute { kernel, loops: 1 }; 3];
        let limits = Limits { warm: 0, trials: 2, time: Duration::from_millis(1) };
        for refused in 0..3 {
            // No machine has the address space for such a stack.
            let builder = |index| if index == refused { Builder::new().stack_size(1 << 60) } else { Builder::new() };
            let error = batch_with(&[0, 0, 0], &mut work, limits, 0, builder).unwrap_err();
            assert!(matches!(error, Error::Thread(_)) && error.to_string().contains("hint"), "{error}");
        }
    }
}
