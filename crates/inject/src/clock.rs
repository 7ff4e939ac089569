//! CUPTI's clock beside the session's.

use proftool_tracer::clock::monotonic_ns;

use crate::cupti::Cupti;

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
