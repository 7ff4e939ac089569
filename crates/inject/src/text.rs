//! Lines for people, and strings of CUPTI.

use std::ffi::{CStr, c_char};

/// Writes one line to stderr. The standard library's streams may be gone when a program exits; this works even then.
pub(crate) fn say(text: &str) {
    let line = format!("proftool: {text}\n");
    // SAFETY: the pointer and length are those of a live string. A failed write has nobody left to be told.
    unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
}

/// A copy of a string of C; `None` for a null pointer. What is no UTF-8 is replaced.
///
/// # Safety
/// The pointer is null or points at a string that ends in a zero byte.
pub(crate) unsafe fn owned(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}
