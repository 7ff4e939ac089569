//! Memory of a GPU, and copies between the host and it.

use std::sync::Arc;

use cudarc::driver::sys::{self, CUdeviceptr};

use super::context::Context;
use super::status;
use crate::Error;

/// Memory of a GPU, freed when dropped. It begins at a multiple of 256 bytes.
#[derive(Debug)]
pub(crate) struct Memory {
    context: Arc<Context>,
    address: CUdeviceptr,
    bytes: usize,
}

impl Memory {
    /// That many bytes, rounded up to a multiple of 4, all of them set: as f32 or bf16 each value is not a number, so
    /// that what is read before it was written shows in the outputs.
    pub(crate) fn new(context: &Arc<Context>, bytes: usize) -> Result<Self, Error> {
        context.bind()?;
        let words = bytes.div_ceil(4).max(1);
        let mut address = 0;
        // SAFETY: a context is current; the address is filled.
        status::driver("cuMemAlloc_v2", unsafe { sys::cuMemAlloc_v2(&raw mut address, words * 4) })?;
        let memory = Self { context: Arc::clone(context), address, bytes };
        // SAFETY: the memory has that many words.
        status::driver("cuMemsetD32_v2", unsafe { sys::cuMemsetD32_v2(address, u32::MAX, words) })?;
        settle()?;
        Ok(memory)
    }

    /// Its first byte.
    pub(crate) fn address(&self) -> CUdeviceptr {
        self.address
    }

    /// Its size as asked for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies from the host to its beginning, and waits. Bytes beyond its end are left out.
    pub(crate) fn upload<T: Plain>(&self, values: &[T]) -> Result<(), Error> {
        self.context.bind()?;
        let bytes = size_of_val(values).min(self.bytes);
        // SAFETY: both sides have that many bytes.
        let status = unsafe { sys::cuMemcpyHtoD_v2(self.address, values.as_ptr().cast(), bytes) };
        status::driver("cuMemcpyHtoD_v2", status)?;
        settle()
    }

    /// Copies its beginning to the host, and waits. Values beyond its end are left as they are.
    pub(crate) fn download<T: Plain>(&self, values: &mut [T]) -> Result<(), Error> {
        self.context.bind()?;
        let bytes = size_of_val(values).min(self.bytes);
        // SAFETY: both sides have that many bytes; every bit pattern is a value of a plain number.
        let status = unsafe { sys::cuMemcpyDtoH_v2(values.as_mut_ptr().cast(), self.address, bytes) };
        status::driver("cuMemcpyDtoH_v2", status)
    }
}

/// Waits for what the calls without a stream left under way: sets, and the second half of copies from pageable memory,
/// which return when the driver has its own copy of it. Streams that don't wait for the default stream would overtake
/// them.
fn settle() -> Result<(), Error> {
    // SAFETY: a context is current; null is its default stream.
    status::driver("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(std::ptr::null_mut()) })
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Errors at the end have nobody to tell.
        let _ = self.context.bind();
        // SAFETY: allocated once by this value. The driver waits for what still uses it.
        let _ = unsafe { sys::cuMemFree_v2(self.address) };
    }
}

/// A number without padding, every bit pattern of which is a value.
pub(crate) trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
