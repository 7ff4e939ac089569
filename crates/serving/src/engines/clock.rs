//! The clock of a run.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counts nanoseconds from the start of a run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_ns: i64,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix_ns: i64::try_from(unix.as_nanos()).unwrap_or_default() }
    }

    /// When it started, in ns since 1970: for the head of a log.
    pub fn start_unix_ns(&self) -> i64 {
        self.start_unix_ns
    }

    /// Now, in ns from its start.
    pub fn now_ns(&self) -> i64 {
        self.start.elapsed().as_nanos() as i64
    }

    /// How long it is until a moment; nothing where that is past.
    pub(crate) fn until(&self, at_ns: i64) -> Duration {
        Duration::from_nanos(u64::try_from(at_ns - self.now_ns()).unwrap_or_default())
    }
}
