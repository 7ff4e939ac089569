//! The statuses of CUDA's calls as errors that name the call.

use std::ffi::{CStr, c_char};

use cudarc::cublaslt::sys as lt;
use cudarc::driver::sys::{self, CUresult};
use cudarc::nvrtc::sys as nv;

use crate::Error;

/// Turns a status of the driver into a result. `call` is the function's name.
pub(crate) fn driver(call: &'static str, status: CUresult) -> Result<(), Error> {
    if status == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let (mut name, mut text) = (std::ptr::null(), std::ptr::null());
    // SAFETY: both functions take any status and fill the pointer with a static string, or with null.
    unsafe {
        let _ = sys::cuGetErrorName(status, &raw mut name);
        let _ = sys::cuGetErrorString(status, &raw mut text);
    }
    let (name, text) = (text_of(name, || format!("{status:?}")), text_of(text, || "no description".to_owned()));
    Err(Error::Cuda { call, code: status as i64, name, text, hint: hint(status) })
}

fn hint(status: CUresult) -> &'static str {
    match status {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
            "make sequences, prompt_tokens or the number of iterations smaller, or free memory of the GPU (`nvidia-smi`)"
        }
        CUresult::CUDA_ERROR_NO_DEVICE | CUresult::CUDA_ERROR_INVALID_DEVICE => {
            "`nvidia-smi` must list a GPU; look at CUDA_VISIBLE_DEVICES and, in a container, at its device options"
        }
        CUresult::CUDA_ERROR_STUB_LIBRARY => {
            "the toolkit's stub of libcuda was loaded instead of the driver's: take `stubs` out of LD_LIBRARY_PATH"
        }
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "the driver's kernel module and its libraries differ: restart the machine after a driver update"
        }
        CUresult::CUDA_ERROR_INVALID_IMAGE
        | CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUresult::CUDA_ERROR_INVALID_PTX
        | CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | CUresult::CUDA_ERROR_JIT_COMPILER_NOT_FOUND => {
            "NVRTC and the driver do not fit: install an NVRTC of the driver's CUDA version (`nvidia-smi` shows it)"
        }
        CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | CUresult::CUDA_ERROR_LAUNCH_FAILED
        | CUresult::CUDA_ERROR_MISALIGNED_ADDRESS => {
            "a kernel failed: run again under `compute-sanitizer` to see which; this is a bug of proftool"
        }
        CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE => {
            "another process holds the GPU exclusively: end it, or `nvidia-smi -c DEFAULT`"
        }
        _ => "`nvidia-smi` and `proftool doctor` show the state of the GPU and of the driver",
    }
}

/// Turns a status of cuBLASLt into a result.
pub(crate) fn cublaslt(call: &'static str, status: lt::cublasStatus_t) -> Result<(), Error> {
    if status == lt::cublasStatus_t::CUBLAS_STATUS_SUCCESS {
        return Ok(());
    }
    let (text, hint) = match status {
        lt::cublasStatus_t::CUBLAS_STATUS_NOT_INITIALIZED => (
            "the library could not be initialised",
            "cuBLASLt needs a driver that is new enough for it: compare its version with `nvidia-smi`",
        ),
        lt::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED => (
            "out of memory",
            "make sequences, prompt_tokens or the number of iterations smaller, or free memory of the GPU",
        ),
        lt::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED => (
            "no algorithm for this shape, type and epilogue",
            "use precision=f32, or a newer cuBLASLt (`pip install nvidia-cublas-cu12`)",
        ),
        lt::cublasStatus_t::CUBLAS_STATUS_ARCH_MISMATCH => (
            "the GPU lacks what this needs",
            "use precision=f32, or a newer cuBLASLt (`pip install nvidia-cublas-cu12`)",
        ),
        _ => ("no description", "`proftool doctor` shows the versions of the driver and of cuBLASLt"),
    };
    Err(Error::Cuda { call, code: status as i64, name: format!("{status:?}"), text: text.to_owned(), hint })
}

/// Turns a status of NVRTC into a result.
pub(crate) fn nvrtc(call: &'static str, status: nv::nvrtcResult) -> Result<(), Error> {
    if status == nv::nvrtcResult::NVRTC_SUCCESS {
        return Ok(());
    }
    // SAFETY: the function takes any status and gives a static string.
    let name = text_of(unsafe { nv::nvrtcGetErrorString(status) }, || format!("{status:?}"));
    let (text, hint) = ("the run-time compiler failed".to_owned(), "`proftool doctor` shows the version of NVRTC");
    Err(Error::Cuda { call, code: status as i64, name, text, hint })
}

/// A static C string, or what stands in for a null pointer.
fn text_of(text: *const c_char, absent: impl FnOnce() -> String) -> String {
    if text.is_null() {
        return absent();
    }
    // SAFETY: the callers pass what CUDA filled in: a static string that ends with 0.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_call_code_and_what_to_try() {
        let status = lt::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED;
        let error = cublaslt("cublasLtMatmul", status).expect_err("an error").to_string();
        assert_eq!(
            error,
            "cublasLtMatmul failed: CUBLAS_STATUS_NOT_SUPPORTED (15), no algorithm for this shape, type and epilogue \
             (hint: use precision=f32, or a newer cuBLASLt (`pip install nvidia-cublas-cu12`))"
        );
        assert!(cublaslt("x", lt::cublasStatus_t::CUBLAS_STATUS_SUCCESS).is_ok());
    }
}
