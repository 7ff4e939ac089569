//! CUPTI's functions, found at run time. Declared by hand after `cupti_activity.h`, `cupti_callbacks.h` and
//! `cupti_version.h`; the header files of CUDA 11.7 to 13.5 agree on all of them.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

use crate::layouts;
use crate::library::{Library, ResultText, function, status_text};
use crate::text;

/// `CUptiResult`; 0 is success.
type Status = u32;
/// Asks for a buffer: its address, its size, and how many records it may hold (0: as many as fit).
pub(crate) type Requested = extern "C" fn(*mut *mut u8, *mut usize, *mut usize);
/// Hands a buffer back: context, stream (both unused since CUDA 6), buffer, size, bytes that hold records.
pub(crate) type Completed = extern "C" fn(*mut c_void, u32, *mut u8, usize, usize);

type Register = unsafe extern "C" fn(Requested, Completed) -> Status;
type Number = unsafe extern "C" fn(u32) -> Status;
type Next = unsafe extern "C" fn(*mut u8, usize, *mut *mut u8) -> Status;
type Dropped = unsafe extern "C" fn(*mut c_void, u32, *mut usize) -> Status;
type Timestamp = unsafe extern "C" fn(*mut u64) -> Status;
type Name = unsafe extern "C" fn(u32, u32, *mut *const c_char) -> Status;
type Version = unsafe extern "C" fn(*mut u32) -> Status;

/// `CUPTI_ACTIVITY_FLAG_FLUSH_FORCED`: buffers with records that are not complete are handed back as well.
const FORCED: u32 = 1;
/// `CUPTI_ACTIVITY_THREAD_ID_TYPE_SYSTEM`: threads are numbered like the system does it.
const SYSTEM_THREADS: u32 = 1;
/// The first version of the next major release, of which nothing is known. 12.x counted 18 to 28, 13.x 130000 on.
const UNKNOWN: u32 = 140_000;

/// The functions that are used.
#[derive(Debug)]
pub(crate) struct Cupti {
    /// `CUPTI_API_VERSION` of the library.
    pub(crate) version: u32,
    /// The library.
    pub(crate) library: Library,
    register: Register,
    enable: Number,
    flush: Number,
    next: Next,
    dropped: Dropped,
    timestamp: Timestamp,
    name: Name,
    result: ResultText,
    names: Mutex<HashMap<(u32, u32), String>>,
}

impl Cupti {
    /// Loads CUPTI and checks that its records can be read.
    pub(crate) fn load() -> Result<Self, String> {
        let library = Library::cupti().ok_or(
            "CUPTI was not found (hint: set PROFTOOL_CUPTI_PATH to libcupti.so, or pip install nvidia-cuda-cupti-cu12)",
        )?;
        let version = function!(library, c"cuptiGetVersion", Version);
        let mut number = 0;
        // SAFETY: the pointer is to a number that lives.
        unsafe { version(&raw mut number) };
        readable(number)?;
        let cupti = Self {
            version: number,
            library,
            register: function!(library, c"cuptiActivityRegisterCallbacks", Register),
            enable: function!(library, c"cuptiActivityEnable", Number),
            flush: function!(library, c"cuptiActivityFlushAll", Number),
            next: function!(library, c"cuptiActivityGetNextRecord", Next),
            dropped: function!(library, c"cuptiActivityGetNumDroppedRecords", Dropped),
            timestamp: function!(library, c"cuptiGetTimestamp", Timestamp),
            name: function!(library, c"cuptiGetCallbackName", Name),
            result: function!(library, c"cuptiGetResultString", ResultText),
            names: Mutex::default(),
        };
        if library.symbol(c"cuptiSetThreadIdType").is_ok() {
            let threads = function!(library, c"cuptiSetThreadIdType", Number);
            // SAFETY: the function takes a number. Where it fails, threads have the numbers of pthreads.
            unsafe { threads(SYSTEM_THREADS) };
        }
        Ok(cupti)
    }

    /// Says who gives and takes buffers.
    pub(crate) fn register(&self, requested: Requested, completed: Completed) -> Result<(), String> {
        // SAFETY: both are functions of this library, which stays loaded, with the types that CUPTI calls.
        self.check(unsafe { (self.register)(requested, completed) })
    }

    /// Records a kind of activity from now on.
    pub(crate) fn enable(&self, kind: u32) -> Result<(), String> {
        // SAFETY: the function takes a number.
        self.check(unsafe { (self.enable)(kind) })
    }

    /// Has all buffers whose records are complete handed back, or, forced, all buffers.
    pub(crate) fn flush(&self, forced: bool) {
        // SAFETY: the function takes a number; callbacks are registered, and this is none of them. A failure has no
        // other effect than that nothing is handed back.
        unsafe { (self.flush)(if forced { FORCED } else { 0 }) };
    }

    /// The record after `record` (null: the first) of a buffer; `Ok(None)` after the last.
    ///
    /// # Safety
    /// The buffer is one that CUPTI has just handed back, with `valid` bytes, and the record one of it.
    pub(crate) unsafe fn next(
        &self,
        buffer: *mut u8,
        valid: usize,
        record: *mut u8,
    ) -> Result<Option<*mut u8>, Status> {
        /// `CUPTI_ERROR_MAX_LIMIT_REACHED`.
        const END: Status = 12;
        let mut record = record;
        // SAFETY: the caller's promise.
        match unsafe { (self.next)(buffer, valid, &raw mut record) } {
            0 if !record.is_null() => Ok(Some(record)),
            0 | END => Ok(None),
            status => Err(status),
        }
    }

    /// Records that CUPTI dropped since it was last asked.
    pub(crate) fn dropped(&self) -> i64 {
        let mut count = 0;
        // SAFETY: a null context is the global queue, where records are since CUDA 6; the pointer is to a live number.
        let status = unsafe { (self.dropped)(std::ptr::null_mut(), 0, &raw mut count) };
        if status == 0 { count as i64 } else { 0 }
    }

    /// Now, on CUPTI's clock.
    pub(crate) fn timestamp(&self) -> Option<i64> {
        let mut time = 0;
        // SAFETY: the pointer is to a number that lives.
        let status = unsafe { (self.timestamp)(&raw mut time) };
        i64::try_from(time).ok().filter(|time| status == 0 && *time > 0)
    }

    /// The name of a function of CUDA; `domain` 1 is the driver, 2 the runtime.
    pub(crate) fn function(&self, domain: u32, number: u32) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || {
            let mut name = std::ptr::null();
            // SAFETY: the pointer is to a pointer that lives, which CUPTI points at a string of its own.
            let found = unsafe { (self.name)(domain, number, &raw mut name) } == 0;
            // SAFETY: see above.
            let name = if found { unsafe { text::owned(name) } } else { None };
            name.unwrap_or_else(|| format!("function {number}"))
        };
        names.entry((domain, number)).or_insert_with(ask).clone()
    }

    fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        Err(status_text(self.result, status))
    }
}

/// Whether records of that version can be read. A newer release of a known major version only appends fields, as all
/// since 11.7 did; another major version may not.
fn readable(version: u32) -> Result<(), String> {
    let oldest = *layouts::VERSIONS.start();
    if version >= oldest && version < UNKNOWN {
        return Ok(());
    }
    let age = if version < oldest { "older" } else { "newer" };
    Err(format!(
        "CUPTI has version {version}, {age} than those whose records are known, {oldest} (CUDA 11.7) to {} \
         (hint: set PROFTOOL_CUPTI_PATH to a libcupti.so.12 or libcupti.so.13)",
        layouts::VERSIONS.end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_older_or_of_another_major_release_is_refused() {
        assert!([17, 28, 130_000, 130_500, 130_900].into_iter().all(|version| readable(version).is_ok()));
        assert!(readable(16).is_err_and(|reason| reason.contains("older")));
        assert!(readable(140_000).is_err_and(|reason| reason.contains("newer")));
    }
}
