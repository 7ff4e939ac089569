//! The clocks: CUPTI's, the session's, and pairs of both.

use crate::cupti::Cupti;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn monotonic_ns() -> i64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970-01-01 UTC.
pub(crate) fn unix_ns() -> i64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the call fills. Both clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// One moment on CUPTI's clock and on `CLOCK_MONOTONIC`: of five readings the one whose monotonic times, before and after,
/// lie closest together. `None` when CUPTI gives no time.
pub(crate) fn pair(cupti: &Cupti) -> Option<[i64; 2]> {
    let reading = |_| {
        let before = monotonic_ns();
        let time = cupti.timestamp()?;
        let after = monotonic_ns();
        Some((after - before, [time, before + (after - before) / 2]))
    };
    (0..5).filter_map(reading).min_by_key(|(width, _)| *width).map(|(_, pair)| pair)
}
