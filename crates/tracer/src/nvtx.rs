//! NVTX 3, so that Nsight Systems, Nsight Compute and CUPTI see the program's ranges.
//!
//! NVTX is a header, not a library: the program looks for a tool (the library that `NVTX_INJECTION64_PATH` names, which
//! the tools set for the programs that they start; else one that exports `InitializeInjectionNvtx2_fnptr` in this
//! process), and the tool writes the addresses of its functions into tables of the program. Declared here by hand: nothing
//! is needed to build, nothing is linked, and without a tool nothing is loaded. A function that a tool leaves out does
//! nothing. `docs/nvtx.md` states the costs.

mod abi;
mod attach;
mod domain;
mod event;
mod name;

pub use domain::{Domain, RangeId};
pub use event::{Category, Event, Message, Payload};
pub use name::RangeName;

/// Whether a tool is attached to this process. The first call looks for it, which may load its library.
pub fn attached() -> bool {
    attach::attached()
}

/// Tells the tool the name of the calling thread. Does nothing without one.
pub fn name_thread(name: &str) {
    if !attached() {
        return;
    }
    // SAFETY: the call takes nothing and cannot fail. The C library's own wrapper is missing before glibc 2.30.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
    // SAFETY: the slot's type; the text ends with a zero and a tool copies it.
    unsafe {
        if let Some(name_thread) = attach::CORE[abi::core::NAME_OS_THREAD].function::<abi::core::NameOsThread>() {
            name_thread(thread, domain::c_string(name).as_ptr());
        }
    }
}
