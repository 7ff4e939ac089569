//! The library that the CUDA driver loads into an unmodified program: CUPTI's activity records, written as they come.
//!
//! With `CUDA_INJECTION64_PATH=libproftool_inject.so` the driver calls [`InitializeInjection`] from `cuInit`. What is
//! recorded, and the file, is described in `docs/inject.md`. Whatever fails here costs one line on stderr and the
//! recording, never the program.

mod callbacks;
mod clock;
mod counted;
mod counter_file;
mod counters;
mod cupti;
mod decode;
mod driver;
pub mod host;
mod layouts;
mod library;
mod output;
mod param_layouts;
mod params;
mod pool;
mod range;
mod record;
mod refusals;
mod search;
mod session;
mod settings;
mod text;

pub use driver::{devices, is_ready as is_driver_ready};
pub use search::{candidates, find};

/// Starts the recording; the CUDA driver calls it once a process. Returns 1, success, in any case: the driver would
/// otherwise refuse to work for the program.
#[unsafe(no_mangle)]
pub extern "C" fn InitializeInjection() -> libc::c_int {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let started = std::panic::catch_unwind(|| {
        ONCE.call_once(|| {
            if let Err(reason) = session::start() {
                text::say(&format!("no CUPTI recording: {reason}"));
            }
        });
    });
    if started.is_err() {
        text::say("no CUPTI recording: it failed while it started");
    }
    1
}
