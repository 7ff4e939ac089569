//! The recording of one process: buffers that CUPTI asks for and hands back, the thread that asks for them, exit, fork.

use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::counters;
use crate::cupti::Cupti;
use crate::decode::kind;
use crate::output::Output;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::text::say;

/// The kinds that are recorded, the devices first. Graphs are recorded node by node, unless the settings say otherwise.
const KINDS: [u32; 14] = [
    kind::DEVICE,
    kind::CONTEXT,
    kind::STREAM,
    kind::NAME,
    kind::CONCURRENT_KERNEL,
    kind::MEMCPY,
    kind::MEMCPY2,
    kind::MEMSET,
    kind::SYNCHRONIZATION,
    kind::RUNTIME,
    kind::DRIVER,
    kind::MARKER,
    kind::MARKER_DATA,
    kind::EXTERNAL_CORRELATION,
];

/// The recording of this process, never freed: CUPTI's thread may use it until the end. A forked child gets its own.
static SESSION: AtomicPtr<Session> = AtomicPtr::new(null_mut());

/// One process's recording.
struct Session {
    cupti: &'static Cupti,
    settings: &'static Settings,
    pool: Pool,
    output: Mutex<File>,
    refused: AtomicI64,
    flushing: AtomicBool,
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// The file, which a forked child creates when it has something to write.
enum File {
    None,
    Open(Box<Output>),
    Closed,
}

/// How far the thread that flushes is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Recording,
    Ending,
    Ended,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn current() -> Option<&'static Session> {
    // SAFETY: null, or a session that was leaked.
    unsafe { SESSION.load(Ordering::Acquire).as_ref() }
}

fn install(cupti: &'static Cupti, settings: &'static Settings, file: File) -> &'static Session {
    let session: &Session = Box::leak(Box::new(Session {
        cupti,
        settings,
        pool: Pool::new(settings.buffer_bytes, settings.buffers),
        output: Mutex::new(file),
        refused: AtomicI64::new(0),
        flushing: AtomicBool::new(false),
        phase: Mutex::new(Phase::Recording),
        changed: Condvar::new(),
    }));
    SESSION.store(std::ptr::from_ref(session).cast_mut(), Ordering::Release);
    session
}

/// Starts recording, or counting where metrics are named: kernels that run again and again have no times worth a record.
pub(crate) fn start() -> Result<(), String> {
    let settings: &Settings = Box::leak(Box::new(Settings::read(|name| std::env::var(name).ok())));
    let cupti: &Cupti = Box::leak(Box::new(Cupti::load()?));
    if !settings.metrics.is_empty() {
        return counters::start(settings, cupti);
    }
    let output = Output::create(settings, cupti).map_err(|error| error.to_string())?;
    let session = install(cupti, settings, File::Open(Box::new(output)));
    if let Err(reason) = record(session) {
        if let File::Open(output) = std::mem::replace(&mut *lock(&session.output), File::Closed) {
            output.discard();
        }
        return Err(reason);
    }
    // SAFETY: both are functions of this library, which the driver never unloads.
    unsafe {
        libc::atexit(at_exit);
        libc::pthread_atfork(None, None, Some(after_fork));
    }
    session.start_flushing();
    Ok(())
}

fn record(session: &Session) -> Result<(), String> {
    session.cupti.register(requested, completed).map_err(|reason| {
        format!(
            "CUPTI does not start: {reason} (hint: a GPU must be visible, and its driver not older than this CUPTI)"
        )
    })?;
    enable(session)
}

/// Enables all kinds; without kernels there is nothing to record, without another kind one line says what is missing.
fn enable(session: &Session) -> Result<(), String> {
    let whole = session.settings.whole_graphs.then_some(kind::GRAPH_TRACE);
    let mut failed = Vec::new();
    for kind in KINDS.into_iter().chain(whole) {
        match session.cupti.enable(kind) {
            Ok(()) => {}
            Err(reason) if kind == kind::CONCURRENT_KERNEL => {
                let hint = "no other profiler may be attached, and the driver must let this user profile";
                return Err(format!("CUPTI does not record kernels: {reason} (hint: {hint})"));
            }
            Err(reason) => failed.push(format!("kind {kind}: {reason}")),
        }
    }
    if !failed.is_empty() {
        say(&format!("CUPTI does not record everything: {}", failed.join(", ")));
    }
    Ok(())
}

extern "C" fn requested(buffer: *mut *mut u8, bytes: *mut usize, records: *mut usize) {
    let taken = std::panic::catch_unwind(|| {
        let session = current()?;
        session.start_flushing();
        let taken = session.pool.take();
        session.refused.fetch_add(i64::from(taken.is_none()), Ordering::Relaxed);
        Some((taken?, session.pool.bytes()))
    });
    let (address, size) = taken.ok().flatten().map_or((null_mut(), 0), |(taken, size)| (NonNull::as_ptr(taken), size));
    // SAFETY: CUPTI passes the addresses of three variables. A null buffer of size 0 has it drop and count records.
    unsafe {
        *buffer = address;
        *bytes = size;
        *records = 0;
    }
}

extern "C" fn completed(_context: *mut c_void, _stream: u32, buffer: *mut u8, bytes: usize, valid: usize) {
    let done = std::panic::catch_unwind(|| {
        let Some(session) = current().filter(|session| session.pool.has(buffer)) else { return };
        // SAFETY: CUPTI has just handed back this buffer, which the pool gave it.
        unsafe { session.append(buffer, valid.min(bytes)) };
        session.pool.give(buffer);
    });
    if done.is_err() {
        say("a buffer of CUPTI's records could not be written");
    }
}

impl Session {
    /// Writes a buffer's records.
    ///
    /// # Safety
    /// The buffer is one that CUPTI has just handed back, with `valid` bytes.
    unsafe fn append(&self, buffer: *mut u8, valid: usize) {
        if valid == 0 {
            return;
        }
        let mut file = lock(&self.output);
        if matches!(*file, File::None) {
            *file = self.create();
        }
        let File::Open(output) = &mut *file else { return };
        output.refused(self.refused.load(Ordering::Relaxed));
        // SAFETY: the caller's promise.
        if let Err(error) = unsafe { output.append(buffer, valid, self.cupti) } {
            say(&format!("the CUPTI recording stops: {error}"));
            *file = File::Closed;
        }
    }

    fn create(&self) -> File {
        match Output::create(self.settings, self.cupti) {
            Ok(output) => File::Open(Box::new(output)),
            Err(error) => {
                say(&format!("no CUPTI recording: {error}"));
                File::Closed
            }
        }
    }

    /// Starts the thread that has records handed back again and again, once a process: CUPTI itself hands back only full
    /// buffers (with `cuptiActivityFlushPeriod` too), so a killed program would lose up to a buffer a thread.
    fn start_flushing(&'static self) {
        if self.flushing.swap(true, Ordering::AcqRel) {
            return;
        }
        let thread = std::thread::Builder::new().name("proftool-cupti".to_owned());
        let started = without_signals(|| thread.spawn(|| self.flush_until_end()));
        if let Err(error) = started {
            say(&format!("no thread for CUPTI's records ({error}): they are written when their buffers are full"));
            *lock(&self.phase) = Phase::Ended;
        }
    }

    fn flush_until_end(&self) {
        loop {
            let phase = lock(&self.phase);
            let waited =
                self.changed.wait_timeout_while(phase, self.settings.flush, |phase| *phase == Phase::Recording);
            let (phase, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let ending = *phase != Phase::Recording;
            drop(phase);
            if self.pool.in_use() {
                self.cupti.flush(ending);
            }
            if ending {
                self.close();
                *lock(&self.phase) = Phase::Ended;
                self.changed.notify_all();
                return;
            }
        }
    }

    fn close(&self) {
        let mut file = lock(&self.output);
        if let File::Open(output) = &mut *file {
            output.refused(self.refused.load(Ordering::Relaxed));
            if let Err(error) = output.finish(self.cupti) {
                say(&format!("the CUPTI recording lacks its end: {error}"));
            }
        }
        *file = File::Closed;
    }

    /// Has the thread write what is left, and waits for it, but not for longer than the settings allow.
    fn end(&self) {
        if !self.flushing.load(Ordering::Acquire) {
            return;
        }
        let mut phase = lock(&self.phase);
        if *phase == Phase::Recording {
            *phase = Phase::Ending;
        }
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(phase, self.settings.exit, |phase| *phase != Phase::Ended);
        let (phase, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *phase != Phase::Ended {
            say("CUPTI did not hand back its last records in time: they are missing");
        }
    }
}

/// Runs something with all signals blocked: a thread that it starts never gets one that the program's threads expect.
pub(crate) fn without_signals<T>(run: impl FnOnce() -> T) -> T {
    // SAFETY: a set of signals is plain memory that `sigfillset` fills; the calls get addresses of live sets.
    let before = unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    };
    let result = run();
    // SAFETY: the set is the one that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, null_mut()) };
    result
}

extern "C" fn at_exit() {
    // A panic here must not keep the program from ending as it would.
    let _ = std::panic::catch_unwind(|| {
        if let Some(session) = current() {
            session.end();
        }
    });
}

/// In a forked child: its parent's file, buffers and thread are not its own. It gets a file when CUPTI first hands it a
/// buffer, which takes a driver that works after fork; until then nothing happens here.
unsafe extern "C" fn after_fork() {
    if let Some(session) = current() {
        install(session.cupti, session.settings, File::None);
    }
}
