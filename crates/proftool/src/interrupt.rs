//! Ctrl-C during a capture: the first one ends it in good order, a second one at once.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use proftool_capture::process::signals;

use crate::failure::{Failure, Kind};

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C (and a polite kill) sets the flag that is returned; a second one ends the process. What `nohup` has
/// the process ignore stays ignored.
pub(crate) fn listen() -> &'static AtomicBool {
    signals::keeping_nohup(|| {
        // A second handler in one process is the only way this fails, and there is one.
        let _ = ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(Kind::Interrupted as u8));
            }
            crate::tty::say("stopping; press Ctrl-C again to stop at once");
        });
    });
    &STOP
}

/// Whether the user asked to stop.
pub(crate) fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Goes on unless the user asked to stop; `left` says what is left behind.
///
/// # Errors
/// Once the user asked to stop.
pub(crate) fn check(left: impl Display) -> Result<(), Failure> {
    if asked() {
        return Err(Failure::new(Kind::Interrupted, anyhow::anyhow!("interrupted; {left}")));
    }
    Ok(())
}
