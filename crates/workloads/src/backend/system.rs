//! What the backend asks of the operating system. Refusals cost timing precision, never correctness.

use std::io;
use std::mem::MaybeUninit;

/// CPUs that the system's fixed set can name; a number beyond it is outside the array behind it.
const CPU_SET: usize = 1024;

/// Binds the calling thread to a CPU.
///
/// # Errors
/// When the number is beyond the system's set, or the process may not use that CPU.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    if core >= CPU_SET {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Asks for huge pages behind `memory`, which has not been written yet. A refusal (a kernel without them) costs speed only.
pub(crate) fn advise_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let start = memory.as_mut_ptr() as usize;
        let (first, end) = (start.next_multiple_of(PAGE), start + size_of_val(memory));
        if first < end {
            // SAFETY: the range lies inside the exclusively borrowed memory, and the advice changes no contents.
            unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_does_not_exist_is_refused_however_large_its_number() {
        for absent in [1000, 1024, 100_000] {
            let refused = std::thread::spawn(move || pin(absent).is_err()).join();
            assert!(refused.expect("no panic"), "{absent}");
        }
    }
}
