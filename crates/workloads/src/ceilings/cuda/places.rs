//! Parts of device memory, pinned memory of the host, and copies between them.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys;

use crate::Error;
use crate::cuda::context::Context;
use crate::cuda::memory::Memory;
use crate::cuda::status::driver;
use crate::cuda::stream::Stream;

/// A part of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: sys::CUdeviceptr,
    pub(super) bytes: u64,
}

impl Span {
    /// All of an allocation.
    pub(super) fn of(memory: &Memory) -> Self {
        Self { start: memory.address(), bytes: memory.bytes() as u64 }
    }

    /// The first so many bytes, and what lies behind them from a multiple of 256 bytes on, as allocations begin.
    pub(super) fn split(self, bytes: u64) -> (Self, Self) {
        let first = bytes.min(self.bytes);
        let begin = first.next_multiple_of(256).min(self.bytes);
        (Self { bytes: first, ..self }, Self { start: self.start + begin, bytes: self.bytes - begin })
    }

    /// Copies bytes of the host to its begin, as far as they fit, and waits.
    pub(super) fn fill(self, bytes: &[u8]) -> Result<(), Error> {
        let bytes = &bytes[..bytes.len().min(usize::try_from(self.bytes).unwrap_or(usize::MAX))];
        // SAFETY: the span lies in a live allocation of the current context and holds that many bytes.
        let status = unsafe { sys::cuMemcpyHtoD_v2(self.start, bytes.as_ptr().cast(), bytes.len()) };
        driver("cuMemcpyHtoD_v2", status)
    }

    /// Fills it with a pattern, and waits: the pattern is copied to its begin, and what is filled is copied behind itself
    /// until all is.
    pub(super) fn repeat(self, pattern: &[u8], stream: &Stream) -> Result<(), Error> {
        self.fill(pattern)?;
        let mut filled = (pattern.len() as u64).min(self.bytes);
        while filled > 0 && filled < self.bytes {
            let more = filled.min(self.bytes - filled);
            // SAFETY: both parts lie in the span and do not overlap.
            let status =
                unsafe { sys::cuMemcpyDtoDAsync_v2(self.start + filled, self.start, more as usize, stream.handle()) };
            driver("cuMemcpyDtoDAsync_v2", status)?;
            filled += more;
        }
        stream.synchronize()
    }

    /// Enqueues a copy to the memory of another GPU.
    pub(super) fn copy_to(self, from: &Context, to: &Context, out: Self, stream: &Stream) -> Result<(), Error> {
        let bytes = out.bytes.min(self.bytes) as usize;
        // SAFETY: both spans lie in allocations of their contexts, which live until the stream is waited for.
        let status = unsafe {
            sys::cuMemcpyPeerAsync(out.start, to.handle(), self.start, from.handle(), bytes, stream.handle())
        };
        driver("cuMemcpyPeerAsync", status)
    }
}

/// Pinned memory of the host.
#[derive(Debug)]
pub(super) struct Pinned {
    context: Arc<Context>,
    start: *mut c_void,
    bytes: usize,
}

impl Pinned {
    /// Every page of it is written.
    ///
    /// # Errors
    /// When the system pins no more memory.
    pub(super) fn new(context: &Arc<Context>, bytes: u64) -> Result<Self, Error> {
        context.bind()?;
        let bytes = bytes as usize;
        let mut start: *mut c_void = std::ptr::null_mut();
        // SAFETY: a context is current; the address is filled.
        driver("cuMemHostAlloc", unsafe { sys::cuMemHostAlloc(&raw mut start, bytes, 0) })?;
        if start.is_null() {
            driver("cuMemHostAlloc", sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
        }
        // SAFETY: the driver allocated that many bytes there.
        unsafe { start.cast::<u8>().write_bytes(0x3f, bytes) };
        Ok(Self { context: Arc::clone(context), start, bytes })
    }

    /// Enqueues a copy of all of it to the device.
    pub(super) fn copy_in(&self, out: Span, stream: &Stream) -> Result<(), Error> {
        let bytes = self.bytes.min(out.bytes as usize);
        // SAFETY: both hold that many bytes and live until the stream is waited for.
        let status = unsafe { sys::cuMemcpyHtoDAsync_v2(out.start, self.start, bytes, stream.handle()) };
        driver("cuMemcpyHtoDAsync_v2", status)
    }

    /// Enqueues a copy from the device over all of it.
    pub(super) fn copy_out(&self, from: Span, stream: &Stream) -> Result<(), Error> {
        let bytes = self.bytes.min(from.bytes as usize);
        // SAFETY: as above; nothing else refers to this memory.
        let status = unsafe { sys::cuMemcpyDtoHAsync_v2(self.start, from.start, bytes, stream.handle()) };
        driver("cuMemcpyDtoHAsync_v2", status)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Errors at the end have nobody to tell.
        let _ = self.context.synchronize();
        // SAFETY: allocated once by this value, and no copy is under way any more.
        let _ = unsafe { sys::cuMemFreeHost(self.start) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_split_where_an_allocation_could_begin() {
        let (first, rest) = Span { start: 4096, bytes: 2000 }.split(300);
        assert_eq!((first, rest), (Span { start: 4096, bytes: 300 }, Span { start: 4608, bytes: 1488 }));
        let (all, none) = first.split(1000);
        assert_eq!((all.bytes, none.bytes), (300, 0));
    }
}
