//! Which signal asked proftool to stop, so that the command gets the same one.

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// The signals that ask to stop.
const SIGNALS: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

static LAST: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static GROUP: AtomicI32 = AtomicI32::new(0);

/// From now on the signals that ask to stop are noted; whatever handled them before still does. To be called once the
/// program has its own handlers. What is ignored stays so. A second signal kills the command that runs at once, since proftool itself may end then.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in SIGNALS.into_iter().filter(|signal| !is_ignored(*signal)) {
            // SAFETY: the handler touches atomics and calls kill, all async-signal-safe.
            // Without it the command gets SIGINT instead of the signal itself, which is no reason to refuse.
            let _ = unsafe { signal_hook::low_level::register(signal, move || note(signal)) };
        }
    });
}

/// Runs what installs the program's handlers. A hangup that was ignored before is so afterwards: `nohup proftool capture`
/// outlives its terminal, and so does the command, which inherits it.
pub fn keeping_nohup<T>(install: impl FnOnce() -> T) -> T {
    let ignored = is_ignored(libc::SIGHUP);
    let installed = install();
    if ignored {
        // SAFETY: a valid signal and a valid disposition; the handler that it replaces is not needed any more.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    }
    installed
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: zeroed is a valid sigaction, which the call fills; nothing is changed where no new one is given.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut current) == 0 && current.sa_sigaction == libc::SIG_IGN
    }
}

fn note(signal: libc::c_int) {
    LAST.store(signal, Ordering::Relaxed);
    let group = GROUP.load(Ordering::Relaxed);
    if COUNT.fetch_add(1, Ordering::Relaxed) > 0 && group > 0 {
        // SAFETY: kill takes numbers only; the group is that of a command that has not been reaped.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// The last signal that asked to stop.
pub(super) fn last() -> Option<libc::c_int> {
    Some(LAST.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// The group of the command that runs, until the value is dropped.
pub(super) fn forward_to_group(group: libc::pid_t) -> Forwarding {
    GROUP.store(group, Ordering::Relaxed);
    Forwarding
}

/// Forgets the group when dropped.
pub(super) struct Forwarding;

impl Drop for Forwarding {
    fn drop(&mut self) {
        GROUP.store(0, Ordering::Relaxed);
    }
}
