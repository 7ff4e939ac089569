//! The thread that takes some of the readings of one device, over and over.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::file::{self, Line, Note, Sample, Values, Writer};
use super::readings::{Reading, Trouble};
use proftool_tracer::clock::monotonic_ns;

/// What the threads share. Each holds it alive: a library whose call never returns is never shut down.
pub(super) struct Shared {
    pub(super) nvml: Nvml,
    pub(super) writer: Writer,
    pub(super) stop: Stop,
    pub(super) period: Duration,
}

/// The wish to stop, which wakes those who wait.
#[derive(Default)]
pub(super) struct Stop {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn want(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn is_wanted(&self) -> bool {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until then, or until somebody wants to stop.
    fn wait_until(&self, then: Instant) {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let left = then.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(wanted, left, |wanted| !*wanted));
    }
}

/// What a thread tells the sampler.
pub(super) enum Event {
    /// Its first turn is over, or there will be none.
    Began,
    /// It has ended.
    Ended,
}

/// One thread's device, readings and progress.
pub(super) struct Lane {
    pub(super) device: u32,
    name: &'static str,
    readings: &'static [Reading],
    /// Whether it takes a last sample when it is stopped: readings that take long do not.
    last: bool,
    progress: Progress,
}

#[derive(Default)]
struct Progress {
    samples: AtomicU64,
    missed: AtomicU64,
    failed: AtomicU64,
    /// When the turn under way began, 0 between turns.
    began_ns: AtomicI64,
    lost: AtomicBool,
    idle: AtomicBool,
    ended: AtomicBool,
}

impl Lane {
    pub(super) fn new(device: u32, name: &'static str, readings: &'static [Reading], last: bool) -> Self {
        Self { device, name, readings, last, progress: Progress::default() }
    }

    /// What has become of it until now; periods that a turn under way has missed count.
    pub(super) fn summary(&self, period: Duration) -> file::Lane {
        let progress = &self.progress;
        let is = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        let ended = match () {
            () if !is(&progress.ended) => "detached",
            () if is(&progress.lost) => "lost",
            () if is(&progress.idle) => "unsupported",
            () => "stopped",
        };
        let began = progress.began_ns.load(Ordering::Acquire);
        let under_way = if began == 0 { 0 } else { (monotonic_ns() - began) as u64 / period.as_nanos().max(1) as u64 };
        file::Lane {
            device: self.device,
            lane: self.name,
            samples: progress.samples.load(Ordering::Relaxed),
            missed_periods: progress.missed.load(Ordering::Relaxed) + under_way,
            failed: progress.failed.load(Ordering::Relaxed),
            ended,
        }
    }
}

/// Takes turns until it is stopped, the device is lost, nothing can be read, or nothing can be written.
pub(super) fn run(shared: &Shared, lane: &Lane, events: &Sender<Event>) {
    match shared.nvml.device_by_index(lane.device) {
        Ok(device) => take_turns(shared, lane, &device, events),
        Err(error) => {
            lane.progress.lost.store(true, Ordering::Release);
            note(shared, lane, Trouble::Lost, None, &error);
        }
    }
    lane.progress.ended.store(true, Ordering::Release);
    // Nobody listens where the sampler has given this thread up.
    let _ = events.send(Event::Ended);
}

fn take_turns(shared: &Shared, lane: &Lane, device: &Device<'_>, events: &Sender<Event>) {
    let mut wanted: Vec<Wanted> = lane.readings.iter().map(|reading| Wanted { reading, noted: false }).collect();
    let (start, period) = (Instant::now(), shared.period.as_nanos().max(1));
    let mut turn = 0;
    loop {
        let last = shared.stop.is_wanted();
        if last && !lane.last || !shared.writer.is_open() {
            return;
        }
        let go_on = take_turn(shared, lane, device, &mut wanted);
        if last || !go_on {
            return;
        }
        if turn == 0 {
            let _ = events.send(Event::Began);
        }
        let next = start.elapsed().as_nanos() / period + 1;
        lane.progress.missed.fetch_add((next - turn - 1) as u64, Ordering::Relaxed);
        turn = next;
        shared.stop.wait_until(start + Duration::from_nanos((turn * period) as u64));
    }
}

/// A reading that is still tried, and whether a failure of it has been noted.
struct Wanted {
    reading: &'static Reading,
    noted: bool,
}

/// One turn of readings and its line; false where there is no use in another.
fn take_turn(shared: &Shared, lane: &Lane, device: &Device<'_>, wanted: &mut Vec<Wanted>) -> bool {
    let mut values = Values::default();
    let mut lost = None;
    let begin_ns = monotonic_ns();
    lane.progress.began_ns.store(begin_ns, Ordering::Release);
    wanted.retain_mut(|one| {
        if lost.is_some() {
            return true;
        }
        let Err(error) = (one.reading.read)(device, &mut values) else { return true };
        let trouble = Trouble::of(&error);
        match trouble {
            Trouble::Lost => lost = Some(error),
            Trouble::Unsupported => note(shared, lane, trouble, Some(one.reading), &error),
            Trouble::Failed => {
                lane.progress.failed.fetch_add(1, Ordering::Relaxed);
                if !one.noted {
                    note(shared, lane, trouble, Some(one.reading), &error);
                }
                one.noted = true;
            }
        }
        trouble != Trouble::Unsupported
    });
    let end_ns = monotonic_ns();
    lane.progress.began_ns.store(0, Ordering::Release);
    let mut open = true;
    if !values.is_empty() {
        open = shared.writer.put(&Line::Sample(Sample { device: lane.device, begin_ns, end_ns, values: &values }));
        lane.progress.samples.fetch_add(u64::from(open), Ordering::Relaxed);
    }
    if let Some(error) = &lost {
        lane.progress.lost.store(true, Ordering::Release);
        note(shared, lane, Trouble::Lost, None, error);
    }
    lane.progress.idle.store(wanted.is_empty(), Ordering::Release);
    open && lost.is_none() && !wanted.is_empty()
}

fn note(shared: &Shared, lane: &Lane, trouble: Trouble, reading: Option<&Reading>, error: &NvmlError) {
    let (device, at_ns, reason) = (lane.device, monotonic_ns(), error.to_string());
    let (kind, reading) = (trouble.name(), reading.map(|reading| reading.name));
    shared.writer.put(&Line::Note(Note { device, at_ns, kind, reading, reason }));
}
