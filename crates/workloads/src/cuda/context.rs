//! A GPU's primary context, which cuBLASLt uses, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::sys::{self, CUcontext, CUdevice};

use super::{Gpu, status};
use crate::Error;

/// The primary context of a GPU, held while this lives.
#[derive(Debug)]
pub(crate) struct Context {
    /// The GPU.
    pub(crate) gpu: Gpu,
    device: CUdevice,
    handle: CUcontext,
}

// SAFETY: the driver's functions may be called from any thread at once, and a context belongs to no thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Holds the primary context and makes it the current one. It is held to the end of the process: to make one takes
    /// some tenths of a second.
    pub(crate) fn open(gpu: &Gpu) -> Result<Arc<Self>, Error> {
        static OPEN: Mutex<BTreeMap<usize, Arc<Context>>> = Mutex::new(BTreeMap::new());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let context = match open.get(&gpu.number) {
            Some(context) => Arc::clone(context),
            None => Self::retain(gpu)?,
        };
        context.bind()?;
        open.insert(gpu.number, Arc::clone(&context));
        Ok(context)
    }

    fn retain(gpu: &Gpu) -> Result<Arc<Self>, Error> {
        let device = gpu.handle()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the device is valid; the handle is filled.
        let status = unsafe { sys::cuDevicePrimaryCtxRetain(&raw mut handle, device) };
        status::driver("cuDevicePrimaryCtxRetain", status)?;
        Ok(Arc::new(Self { gpu: gpu.clone(), device, handle }))
    }

    /// Makes it the current context of the calling thread.
    pub(crate) fn bind(&self) -> Result<(), Error> {
        // SAFETY: the context lives as long as this value.
        status::driver("cuCtxSetCurrent", unsafe { sys::cuCtxSetCurrent(self.handle) })
    }

    /// The driver's handle.
    pub(crate) fn handle(&self) -> CUcontext {
        self.handle
    }

    /// Bytes of memory that are free, and all.
    pub(crate) fn memory(&self) -> Result<(usize, usize), Error> {
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: a context is current; both numbers are filled.
        status::driver("cuMemGetInfo_v2", unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut total) })?;
        Ok((free, total))
    }

    /// Lets kernels and copies of this GPU reach the memory of `peer` directly, where the machine can. Gives whether it
    /// can: copies go through the host's memory otherwise.
    pub(crate) fn reach(&self, peer: &Self) -> Result<bool, Error> {
        let mut can = 0;
        // SAFETY: both devices are valid; the number is filled.
        let status = unsafe { sys::cuDeviceCanAccessPeer(&raw mut can, self.device, peer.device) };
        status::driver("cuDeviceCanAccessPeer", status)?;
        if can == 0 {
            return Ok(false);
        }
        self.bind()?;
        // SAFETY: the peer's context is held; flags must be 0.
        let status = unsafe { sys::cuCtxEnablePeerAccess(peer.handle, 0) };
        if status == sys::CUresult::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED {
            return Ok(true);
        }
        status::driver("cuCtxEnablePeerAccess", status)?;
        Ok(true)
    }

    /// Blocks until the GPU has done all that it was given in this context.
    pub(crate) fn synchronize(&self) -> Result<(), Error> {
        self.bind()?;
        // SAFETY: a context is current.
        status::driver("cuCtxSynchronize", unsafe { sys::cuCtxSynchronize() })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was retained once by this value. An error at the end has nobody to tell.
        let _ = unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
    }
}
