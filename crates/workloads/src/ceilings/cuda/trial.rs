//! Trials: launches between two events, each followed by a reading of the multiprocessors' clock.

use std::sync::Arc;

use super::super::best::Point;
use super::sizes::{Scale, launches};
use crate::Error;
use crate::cuda::context::Context;
use crate::cuda::kernels::{Function, Module, Shape};
use crate::cuda::memory::Memory;
use crate::cuda::stream::{Event, Stream};

/// A trial was disturbed when the clocks before and after it differ by this share.
const CLOCK_MOVED: f64 = 0.02;

/// Iterations of one clock reading, 256 cycles each: 0.1 to 0.2 ms, at least a hundred ticks of the slowest timer.
const CLOCK_ITERATIONS: u32 = 1024;

/// Those of a test double, whose threads run one after another.
const TINY_CLOCK_ITERATIONS: u32 = 8;

/// Warm-up before the trials of a batch, in lengths of a trial: clocks rise, caches fill.
const WARM: u32 = 2;

/// Enqueues one launch.
type Launch<'a> = dyn Fn(&Lanes<'_>) -> Result<(), Error> + 'a;

/// What is launched again and again.
pub(super) struct Job<'a> {
    /// FLOP or bytes of one launch.
    pub(super) amount: f64,
    /// Enqueues it on the stream; a job of two lanes puts its second half on the other.
    pub(super) launch: Box<Launch<'a>>,
    /// Whether it uses both lanes.
    pub(super) both: bool,
}

/// The streams of a job.
pub(super) struct Lanes<'a> {
    pub(super) main: &'a Stream,
    pub(super) other: &'a Stream,
}

/// Times jobs on one GPU.
pub(super) struct Bench {
    pub(super) main: Stream,
    other: Stream,
    start: Event,
    end: Event,
    joint: Event,
    clock: Option<Clock>,
    units: f64,
}

impl Bench {
    /// Of the GPU whose context it is. `other` may be a stream of another GPU. Without `clock` trials have no clock.
    ///
    /// # Errors
    /// When the driver makes no streams or events.
    pub(super) fn new(context: &Arc<Context>, other: Stream, clock: Option<Clock>) -> Result<Self, Error> {
        let event = || Event::new(context, true);
        Ok(Self {
            main: Stream::new(context)?,
            joint: Event::new(&other.context, true)?,
            other,
            start: event()?,
            end: event()?,
            clock,
            units: (context.gpu.sm_count.max(1)) as f64,
        })
    }

    /// Nanoseconds of so many launches and, where it is asked for and can be read, the clock after them.
    fn time(&self, job: &Job<'_>, launches: u32, with_clock: bool) -> Result<(f64, Option<f64>), Error> {
        let lanes = Lanes { main: &self.main, other: &self.other };
        self.start.record(&self.main)?;
        if job.both {
            self.other.wait(&self.start)?;
        }
        for _ in 0..launches {
            (job.launch)(&lanes)?;
        }
        if job.both {
            self.joint.record(&self.other)?;
            self.main.wait(&self.joint)?;
        }
        self.end.record(&self.main)?;
        let clock = self.clock.as_ref().filter(|_| with_clock);
        if let Some(clock) = clock {
            clock.launch(&self.main)?;
        }
        self.main.synchronize()?;
        let ns = self.end.since_ns(&self.start)? as f64;
        let hz = clock.map(Clock::read).transpose()?.flatten();
        // Half a microsecond is what the events resolve: nothing can have taken less.
        Ok((ns.max(500.0), hz))
    }

    /// FLOP/s or bytes/s of a job, from the fastest of a few short trials, and nanoseconds of one launch.
    pub(super) fn estimate(&self, job: &Job<'_>, trial_ns: f64) -> Result<(f64, f64), Error> {
        // The first launch loads code.
        self.time(job, 1, false)?;
        let (first, _) = self.time(job, 1, false)?;
        let mut one_ns = first;
        for _ in 0..3 {
            let count = launches(trial_ns, one_ns);
            let (ns, _) = self.time(job, count, false)?;
            one_ns = one_ns.min(ns / f64::from(count));
        }
        Ok((job.amount * 1e9 / one_ns, one_ns))
    }

    /// Trials of a job of which one launch takes about `one_ns`, and whether each came with a clock.
    pub(super) fn batch(&self, job: &Job<'_>, plan: Batch) -> Result<(Vec<Point>, bool), Error> {
        let count = launches(plan.trial_ns, plan.one_ns);
        let (_, mut before) = self.time(job, count.saturating_mul(WARM), plan.clock)?;
        let mut points = Vec::with_capacity(plan.trials);
        let mut clocked = true;
        for _ in 0..plan.trials {
            let (ns, after) = self.time(job, count, plan.clock)?;
            let moved = before.zip(after).map(|(before, after)| (before - after).abs() / before.max(after));
            points.push(Point {
                value: job.amount * f64::from(count) * 1e9 / ns,
                clock_sum_hz: after.map_or(1.0, |hz| hz * self.units),
                clean: moved.is_none_or(|moved| moved <= CLOCK_MOVED),
                round: plan.round,
            });
            clocked &= after.is_some();
            before = after;
        }
        Ok((points, clocked))
    }
}

/// How trials are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) trials: usize,
    pub(super) trial_ns: f64,
    pub(super) one_ns: f64,
    pub(super) round: usize,
    /// Whether the multiprocessors' clock is read behind each trial: of what they do not run it says nothing.
    pub(super) clock: bool,
}

/// Reads the multiprocessors' clock by `kernels/clock.cu`: one warp, behind the work of a stream.
pub(super) struct Clock {
    function: Function,
    output: Memory,
    iterations: u32,
}

impl Clock {
    /// # Errors
    /// When the kernel cannot be compiled or loaded.
    pub(super) fn new(context: &Arc<Context>, scale: Scale) -> Result<Self, Error> {
        let function = Module::load(context, "clock.cu")?.function(c"clock_rate")?;
        let iterations = if scale == Scale::Tiny { TINY_CLOCK_ITERATIONS } else { CLOCK_ITERATIONS };
        Ok(Self { function, output: Memory::new(context, 16)?, iterations })
    }

    fn launch(&self, stream: &Stream) -> Result<(), Error> {
        let (mut output, mut addend, mut iterations) = (self.output.address(), 1f32, self.iterations);
        let mut parameters = [(&raw mut output).cast(), (&raw mut addend).cast(), (&raw mut iterations).cast()];
        let shape = Shape { grid: [1, 1, 1], block: [32, 1, 1], shared_bytes: 0 };
        // SAFETY: a pointer to 16 bytes, an f32 and an unsigned: what `clock_rate` takes.
        unsafe { self.function.launch(stream, shape, &mut parameters) }
    }

    /// In Hz; none where the timer did not move.
    fn read(&self) -> Result<Option<f64>, Error> {
        let mut words = [0u64; 2];
        self.output.download(&mut words)?;
        Ok(rate(words))
    }
}

/// Hz from cycles and nanoseconds; none for what no GPU runs at.
fn rate([cycles, ns]: [u64; 2]) -> Option<f64> {
    let hz = cycles as f64 * 1e9 / ns as f64;
    (1e7..1e10).contains(&hz).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_cycles_by_time_and_nothing_where_the_timer_stood_still() {
        assert_eq!(rate([262_144, 131_072]), Some(2e9));
        assert_eq!([rate([262_144, 0]), rate([0, 131_072]), rate([0, 0])], [None; 3]);
    }
}
