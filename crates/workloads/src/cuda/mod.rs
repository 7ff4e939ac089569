//! CUDA, loaded at run time: nothing here is needed to build, and [`check`] says what is missing to run.
//!
//! Objects own their handles and destroy them. No function waits for the device unless its name says so, and none
//! panics: every status becomes an [`Error`](crate::Error) that names the call.

pub(crate) mod context;
pub mod counts;
mod device;
pub(crate) mod gemm;
pub(crate) mod kernels;
mod library;
pub(crate) mod lt;
pub(crate) mod memory;
pub(crate) mod numbers;
mod search;
pub(crate) mod status;
pub(crate) mod stream;

pub use device::{Gpu, gpus};
pub use library::{Version, Versions, check, cublaslt, driver, nvrtc};
