//! What the backend asks of the operating system. Refusals cost timing precision, never correctness.

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn monotonic_ns() -> i64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread in nanoseconds.
pub(crate) fn thread_cpu_ns() -> i64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call fills; both clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Sleeps until that time of `CLOCK_MONOTONIC`; returns at once when it has passed.
pub(crate) fn sleep_until(deadline_ns: i64) {
    while monotonic_ns() < deadline_ns {
        #[cfg(target_os = "linux")]
        {
            let time = libc::timespec { tv_sec: deadline_ns / 1_000_000_000, tv_nsec: deadline_ns % 1_000_000_000 };
            // SAFETY: `time` is a valid timespec and no remainder is asked for. An interruption is handled by the loop.
            unsafe {
                libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const time, std::ptr::null_mut())
            };
        }
        #[cfg(not(target_os = "linux"))]
        std::thread::sleep(std::time::Duration::from_nanos((deadline_ns - monotonic_ns()).max(0) as u64));
    }
}

/// Makes the calling thread, which works for microseconds between sleeps, get a core at once when it wakes: timers are
/// not rounded, and its time slice is the shortest, which since Linux 6.12 lets it interrupt a thread with a longer one.
pub(crate) fn prefer_prompt_wakeups() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call changes a number of the calling thread.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize) };
        set_slice_ns(100_000);
    }
}

/// `struct sched_attr` of `sched_setattr(2)`, first version.
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for a time slice; kernels before 6.12 ignore it.
#[cfg(target_os = "linux")]
fn set_slice_ns(slice_ns: u64) {
    // SAFETY: the call reads the nice value of the calling thread, which setting the slice must not change.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, nice, runtime: slice_ns, ..SchedAttr::default() };
    // SAFETY: `attr` is a valid sched_attr of the stated size; 0 names the calling thread, and flags are 0.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}
