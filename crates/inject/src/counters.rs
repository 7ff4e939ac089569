//! Counting: CUPTI's range profiler on every context in which kernels are launched, one range a kernel.
//!
//! A context's profiler is enabled when the first kernel is about to be launched in it, and its data is fetched after
//! every few kernels, once no launch is under way. While a stream is being captured nothing is counted, since fetching
//! waits for the GPU, which a capture does not survive. Names come from the calls of the driver: CUPTI numbers ranges in
//! the order of their kernels, and calls are told in it too, as long as one thread launches at a time.

use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::callbacks::{self, Event, Launch};
use crate::counted::{Context, State};
use crate::counter_file::CounterFile;
use crate::cupti::Cupti;
use crate::driver::{Device, Driver};
use crate::host::{Host, Refusal};
use crate::range::{Profiler, Ranges};
use crate::refusals;
use crate::session::without_signals;
use crate::settings::Settings;
use crate::text::say;

/// The counting of this process, never freed. None in a forked child, where CUDA does not work.
static COUNTERS: AtomicPtr<Counters> = AtomicPtr::new(null_mut());

thread_local! {
    /// Whether this thread is inside the callback: what it calls there may be told to it again.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Counters {
    host: &'static Host,
    ranges: &'static Ranges,
    driver: Driver,
    settings: &'static Settings,
    state: Mutex<State>,
}

fn current() -> Option<&'static Counters> {
    // SAFETY: null, or what was leaked.
    unsafe { COUNTERS.load(Ordering::Acquire).as_ref() }
}

/// Starts counting.
pub(crate) fn start(settings: &'static Settings, cupti: &'static Cupti) -> Result<(), String> {
    let host: &Host = Box::leak(Box::new(Host::of(cupti.library).map_err(|refusal| refusal.to_string())?));
    let ranges: &Ranges = Box::leak(Box::new(Ranges::of(host).map_err(|refusal| refusal.to_string())?));
    let driver = Driver::load()?;
    let file = CounterFile::create(settings, cupti).map_err(|error| error.to_string())?;
    let state = Mutex::new(State::new(file));
    let counters: &Counters = Box::leak(Box::new(Counters { host, ranges, driver, settings, state }));
    COUNTERS.store(std::ptr::from_ref(counters).cast_mut(), Ordering::Release);
    if let Err(refusal) = callbacks::subscribe(host, callback) {
        COUNTERS.store(null_mut(), Ordering::Release);
        counters.lock().file.remove();
        return Err(refusals::told(&refusal).1);
    }
    // SAFETY: both are functions of this library, which the driver never unloads.
    unsafe {
        libc::atexit(at_exit);
        libc::pthread_atfork(None, None, Some(after_fork));
    }
    Ok(())
}

extern "C" fn callback(_user: *mut c_void, domain: u32, number: u32, data: *const c_void) {
    if INSIDE.replace(true) {
        return;
    }
    let done = std::panic::catch_unwind(|| {
        let Some(counters) = current() else { return };
        // SAFETY: CUPTI calls this with what it describes in its header.
        if let Some(event) = unsafe { callbacks::event(domain, number, data) } {
            counters.take(event);
        }
    });
    if done.is_err() {
        COUNTERS.store(null_mut(), Ordering::Release);
        say("counting stops: it failed in a call of the program");
    }
    INSIDE.set(false);
}

impl Counters {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, event: Event) {
        let mut state = self.lock();
        // What has begun ends even where nothing is written any more.
        if state.closed && matches!(event, Event::Launching { .. }) {
            return;
        }
        match event {
            Event::Launching { context, number, launch } => self.launching(&mut state, context, number, launch),
            Event::Launched { context, correlation, failed } => {
                self.launched(&mut state, context, correlation, failed);
            }
            Event::CaptureBegins => {
                state.capturing += 1;
                self.pause(&mut state);
            }
            Event::CaptureFailed | Event::CaptureEnded => state.capturing = state.capturing.saturating_sub(1),
            Event::ContextEnds { context } => self.end(&mut state, context),
        }
        if let Err(error) = state.file.flush() {
            say(&format!("counting stops: {error}"));
            state.closed = true;
        }
        // A capture survives neither fetching nor the end of a profiler.
        if state.capturing == 0 && (state.closed || state.taken >= self.settings.kernels) {
            self.end_idle(&mut state);
        }
    }

    /// Fetches before the first of the captures that are open: during a capture it would end it.
    fn pause(&self, state: &mut State) {
        if state.capturing > 1 {
            return;
        }
        let running = state.contexts.iter().filter(|(_, it)| is_idle(it.as_ref())).map(|(address, _)| *address);
        for context in running.collect::<Vec<_>>() {
            self.driver.with(context, || state.fetch(context));
        }
    }

    fn launching(&self, state: &mut State, address: usize, number: u32, launch: Launch) {
        state.seen += 1;
        if state.seen <= self.settings.skip || state.taken >= self.settings.kernels {
            return;
        }
        if state.capturing > 0 {
            state.file.lost.uncounted += 1;
            return;
        }
        if !state.contexts.contains_key(&address) {
            let opened = self.open(state, address, number).map_err(|refusal| state.refuse(&refusal)).ok();
            state.contexts.insert(address, opened);
        }
        if launch.many {
            state.fetch(address);
        }
        state.begin(address, launch);
    }

    fn launched(&self, state: &mut State, address: usize, correlation: u32, failed: bool) {
        let room = if state.proven { usize::MAX } else { 1 };
        let Some(Some(context)) = state.contexts.get_mut(&address) else { return };
        let Some(at) = context.pending.iter().position(|launch| launch.correlation == correlation) else { return };
        context.in_flight = context.in_flight.saturating_sub(1);
        let many = context.pending[at].many;
        if failed {
            context.pending.remove(at);
        }
        let full = context.pending.len() >= context.profiler.capacity.min(room);
        let enough = state.taken >= self.settings.kernels;
        // Not in a capture, which the fetching would end; it was fetched when that began, or is when the next launch ends.
        if (full || many || enough) && state.capturing == 0 {
            state.fetch(address);
        }
    }

    /// Lets every context go in which no launch is under way.
    fn end_idle(&self, state: &mut State) {
        let idle = state.contexts.iter().filter(|(_, it)| is_idle(it.as_ref())).map(|(address, _)| *address);
        for context in idle.collect::<Vec<_>>() {
            self.end(state, context);
        }
    }

    /// Enables the profiler of the current context.
    fn open(&self, state: &mut State, address: usize, number: u32) -> Result<Context, Refusal> {
        let device = self.driver.device().ok_or_else(|| "the driver does not tell the context's device".to_owned())?;
        state.file.device(&device, number);
        let chip = self.host.chip_of(device.number as usize)?;
        let profiler = self.profiler(state, address, &chip, &device)?;
        state.file.counting(device.number, number, &chip, &profiler);
        let (device, pending) = (device.number, Vec::new());
        Ok(Context { profiler, device, number, running: false, within: false, pending, in_flight: 0, unsure: false })
    }

    fn profiler(&self, state: &mut State, address: usize, chip: &str, device: &Device) -> Result<Profiler, Refusal> {
        let available = self.ranges.available(address)?;
        let trial = self.host.chip(chip, available.clone())?;
        let names = self.settings.metrics.iter().filter_map(|name| CString::new(name.as_str()).ok());
        let (metrics, refused): (Vec<CString>, Vec<CString>) = names.partition(|name| trial.add(&[name]).is_ok());
        drop(trial);
        if metrics.is_empty() {
            return Err(
                format!("{chip}, device {}, counts none of the metrics that were asked for", device.number).into()
            );
        }
        if !refused.is_empty() {
            let names: Vec<_> = refused.iter().map(|name| name.to_string_lossy()).collect();
            state.file.note("unknown_metrics", &format!("{chip} does not count {}", names.join(", ")));
        }
        Profiler::enable(self.ranges, self.host.chip(chip, available)?, address, metrics, self.settings.ranges)
    }

    /// Fetches what a context has left, and lets it go.
    fn end(&self, state: &mut State, address: usize) {
        if state.contexts.get(&address).is_some_and(Option::is_some) {
            let done = self.driver.with(address, || {
                state.fetch(address);
                state.let_go(address);
            });
            if done.is_none() {
                state.abandon(address);
            }
        }
        // The address may become that of another context, but not while this one's launches are not to be counted.
        if self.settings.kernels > state.taken {
            state.contexts.remove(&address);
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        let contexts: Vec<usize> = state.contexts.keys().copied().collect();
        for context in contexts {
            self.end(&mut state, context);
        }
        if !state.closed
            && let Err(error) = state.file.finish()
        {
            say(&format!("the counts lack their end: {error}"));
        }
        state.closed = true;
    }
}

fn is_idle(context: Option<&Context>) -> bool {
    context.is_some_and(|context| context.in_flight == 0)
}

extern "C" fn at_exit() {
    // A panic here must not keep the program from ending as it would.
    let _ = std::panic::catch_unwind(|| {
        let Some(counters) = current() else { return };
        let (done, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("proftool-cupti".to_owned());
        let run = move || {
            INSIDE.set(true);
            counters.close();
            let _ = done.send(());
        };
        let started = without_signals(|| thread.spawn(run)).is_ok();
        let done = started && ended.recv_timeout(counters.settings.exit).is_ok();
        // The thread may hold the lock for good, and what the program still calls while it ends must not wait for it.
        COUNTERS.store(null_mut(), Ordering::Release);
        if !done {
            say("CUPTI did not give its last counts in time: they are missing");
        }
    });
}

/// A forked child has no CUDA and no file.
unsafe extern "C" fn after_fork() {
    COUNTERS.store(null_mut(), Ordering::Release);
}
