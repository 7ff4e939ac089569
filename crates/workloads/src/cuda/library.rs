//! The libraries of CUDA: whether they are there, where they are, which versions.
//!
//! cudarc loads a library by its bare name when a function is first called and panics where it is not found, or lacks a
//! function. So they are looked for here first, also where bare names don't reach (Python's wheels, `/usr/local/cuda`):
//! a library that was loaded by its path is found by its name from then on. The functions that are called are looked
//! up, too: [`DRIVER`], [`NVRTC`] and [`CUBLASLT`] list them, all there since CUDA 11.4.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use cudarc::cublaslt::sys as lt;
use cudarc::driver::sys;
use cudarc::nvrtc::sys as nv;

use super::{search, status};
use crate::Error;

/// A version of CUDA: major and minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i32, pub i32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// The versions of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The newest CUDA that the driver supports.
    pub driver: Version,
    /// NVRTC's.
    pub nvrtc: Version,
    /// cuBLASLt's.
    pub cublaslt: Version,
}

/// Functions of the driver that this crate calls.
pub(crate) static DRIVER: &[&CStr] = &[
    c"cuCtxEnablePeerAccess",
    c"cuCtxSetCurrent",
    c"cuCtxSynchronize",
    c"cuDeviceCanAccessPeer",
    c"cuDeviceGet",
    c"cuDeviceGetAttribute",
    c"cuDeviceGetCount",
    c"cuDeviceGetName",
    c"cuDeviceGetPCIBusId",
    c"cuDeviceGetUuid_v2",
    c"cuDevicePrimaryCtxRelease_v2",
    c"cuDevicePrimaryCtxRetain",
    c"cuDeviceTotalMem_v2",
    c"cuDriverGetVersion",
    c"cuEventCreate",
    c"cuEventDestroy_v2",
    c"cuEventElapsedTime",
    c"cuEventRecord",
    c"cuEventRecordWithFlags",
    c"cuEventSynchronize",
    c"cuGetErrorName",
    c"cuGetErrorString",
    c"cuGraphDestroy",
    c"cuGraphExecDestroy",
    c"cuGraphInstantiateWithFlags",
    c"cuGraphLaunch",
    c"cuGraphUpload",
    c"cuInit",
    c"cuLaunchKernel",
    c"cuMemAlloc_v2",
    c"cuMemFreeHost",
    c"cuMemFree_v2",
    c"cuMemGetInfo_v2",
    c"cuMemHostAlloc",
    c"cuMemcpy2DAsync_v2",
    c"cuMemcpyDtoDAsync_v2",
    c"cuMemcpyDtoHAsync_v2",
    c"cuMemcpyDtoH_v2",
    c"cuMemcpyHtoDAsync_v2",
    c"cuMemcpyHtoD_v2",
    c"cuMemcpyPeerAsync",
    c"cuMemsetD32_v2",
    c"cuModuleGetFunction",
    c"cuModuleLoadDataEx",
    c"cuModuleUnload",
    c"cuStreamBeginCapture_v2",
    c"cuStreamCreate",
    c"cuStreamDestroy_v2",
    c"cuStreamEndCapture",
    c"cuStreamSynchronize",
    c"cuStreamWaitEvent",
];

/// Functions of NVRTC that this crate calls.
pub(crate) static NVRTC: &[&CStr] = &[
    c"nvrtcCompileProgram",
    c"nvrtcCreateProgram",
    c"nvrtcDestroyProgram",
    c"nvrtcGetCUBIN",
    c"nvrtcGetCUBINSize",
    c"nvrtcGetErrorString",
    c"nvrtcGetNumSupportedArchs",
    c"nvrtcGetPTX",
    c"nvrtcGetPTXSize",
    c"nvrtcGetProgramLog",
    c"nvrtcGetProgramLogSize",
    c"nvrtcGetSupportedArchs",
    c"nvrtcVersion",
];

/// Functions of cuBLASLt that this crate calls.
pub(crate) static CUBLASLT: &[&CStr] = &[
    c"cublasLtCreate",
    c"cublasLtDestroy",
    c"cublasLtGetVersion",
    c"cublasLtMatmul",
    c"cublasLtMatmulAlgoGetHeuristic",
    c"cublasLtMatmulDescCreate",
    c"cublasLtMatmulDescDestroy",
    c"cublasLtMatmulDescSetAttribute",
    c"cublasLtMatmulPreferenceCreate",
    c"cublasLtMatmulPreferenceDestroy",
    c"cublasLtMatmulPreferenceSetAttribute",
    c"cublasLtMatrixLayoutCreate",
    c"cublasLtMatrixLayoutDestroy",
];

/// Whether everything that the backend needs is there, and its versions. GPUs are not counted: see [`super::gpus`].
///
/// # Errors
/// [`Error::CudaMissing`] for the first library or function that is missing, with its fix; [`Error::Cuda`] where the
/// driver does not start.
pub fn check() -> Result<Versions, Error> {
    Ok(Versions { driver: driver()?, nvrtc: nvrtc()?, cublaslt: cublaslt()? })
}

/// Loads the driver's library and starts it; gives the newest CUDA version that it supports.
///
/// # Errors
/// As [`check`].
pub fn driver() -> Result<Version, Error> {
    static STATE: OnceLock<Result<(), Missing>> = OnceLock::new();
    const HINT: &str =
        "install NVIDIA's driver; in a container, start it with the GPU's devices and libraries (`--gpus all`)";
    // SAFETY: loading NVIDIA's library runs its initialisers only; `culib` is called after it was found.
    let found = STATE.get_or_init(|| unsafe { load(&SYS, &search::DRIVER, HINT) });
    found.clone().map_err(Missing::error)?;
    // SAFETY: the function exists (it was looked up), and 0 is its only flag.
    status::driver("cuInit", unsafe { sys::cuInit(0) })?;
    let mut version = 0;
    // SAFETY: the function exists and fills the number.
    status::driver("cuDriverGetVersion", unsafe { sys::cuDriverGetVersion(&raw mut version) })?;
    Ok(Version(version / 1000, version % 1000 / 10))
}

/// Loads NVRTC; gives its version.
///
/// # Errors
/// As [`check`].
pub fn nvrtc() -> Result<Version, Error> {
    static STATE: OnceLock<Result<(), Missing>> = OnceLock::new();
    const HINT: &str = "`pip install nvidia-cuda-nvrtc-cu12` in the active virtual environment, or put the folder of \
                        libnvrtc.so.12 into LD_LIBRARY_PATH";
    // SAFETY: as for the driver.
    let found = STATE.get_or_init(|| unsafe { load(&NV, &search::NVRTC, HINT) });
    found.clone().map_err(Missing::error)?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the function exists and fills both numbers.
    status::nvrtc("nvrtcVersion", unsafe { nv::nvrtcVersion(&raw mut major, &raw mut minor) })?;
    Ok(Version(major, minor))
}

/// Loads cuBLASLt; gives its version.
///
/// # Errors
/// As [`check`].
pub fn cublaslt() -> Result<Version, Error> {
    static STATE: OnceLock<Result<(), Missing>> = OnceLock::new();
    const HINT: &str = "`pip install nvidia-cublas-cu12` in the active virtual environment, or put the folder of \
                        libcublasLt.so.12 into LD_LIBRARY_PATH";
    // SAFETY: as for the driver.
    let found = STATE.get_or_init(|| unsafe { load(&LT, &search::CUBLASLT, HINT) });
    found.clone().map_err(Missing::error)?;
    // SAFETY: the function exists and takes nothing.
    let version = unsafe { lt::cublasLtGetVersion() } as i32;
    // 120402 is 12.4.2; before 11 it was 10201.
    Ok(Version(version / 10_000, version % 10_000 / 100))
}

/// What is missing, kept: looking for it again would not find it, since the loader reads its paths once.
#[derive(Clone, Debug)]
struct Missing {
    what: String,
    hint: &'static str,
}

impl Missing {
    fn error(self) -> Error {
        Error::CudaMissing { what: self.what, hint: self.hint }
    }
}

/// One library as cudarc sees it.
struct Library {
    name: &'static str,
    present: unsafe fn() -> bool,
    has: unsafe fn(&CStr) -> bool,
    functions: &'static [&'static CStr],
}

static SYS: Library = Library {
    name: "libcuda (NVIDIA's driver)",
    present: sys::is_culib_present,
    // SAFETY: the address is only compared, never called with this type.
    has: |name| unsafe { sys::culib().get::<unsafe extern "C" fn()>(name.to_bytes_with_nul()).is_ok() },
    functions: DRIVER,
};
static NV: Library = Library {
    name: "NVRTC (libnvrtc)",
    present: nv::is_culib_present,
    // SAFETY: as above.
    has: |name| unsafe { nv::culib().get::<unsafe extern "C" fn()>(name.to_bytes_with_nul()).is_ok() },
    functions: NVRTC,
};
static LT: Library = Library {
    name: "cuBLASLt (libcublasLt)",
    present: lt::is_culib_present,
    // SAFETY: as above.
    has: |name| unsafe { lt::culib().get::<unsafe extern "C" fn()>(name.to_bytes_with_nul()).is_ok() },
    functions: CUBLASLT,
};

/// Makes sure that cudarc finds the library and all its functions.
///
/// # Safety
/// Loading a library runs its initialisers: `names` are NVIDIA's.
unsafe fn load(library: &Library, names: &[&str], hint: &'static str) -> Result<(), Missing> {
    // SAFETY: the function opens and closes NVIDIA's library by its names.
    if !unsafe { (library.present)() } {
        let mut refused = String::new();
        let files = search::candidates(|name| std::env::var(name).ok(), names);
        for file in files.iter().filter(|file| file.is_file()) {
            match open(file) {
                Ok(()) => break,
                Err(why) => refused = format!(": {why}"),
            }
        }
        // SAFETY: as above.
        if !unsafe { (library.present)() } {
            return Err(Missing { what: format!("{} was not found{refused}", library.name), hint });
        }
    }
    // SAFETY: the library was found, so that cudarc can load it.
    let absent = library.functions.iter().find(|name| !unsafe { (library.has)(name) });
    match absent {
        Some(name) => Err(Missing {
            what: format!("{} has no {}: it is older than CUDA 11.4", library.name, name.to_string_lossy()),
            hint: "install a newer version",
        }),
        None => Ok(()),
    }
}

/// Loads a library by its path, for ever and for all: its bare name finds it from then on.
fn open(path: &Path) -> Result<(), String> {
    let Ok(name) = CString::new(path.as_os_str().as_bytes()) else { return Err("a path with a zero byte".to_owned()) };
    // SAFETY: the name is a C string; the file's name says that it is NVIDIA's.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: the text belongs to this thread until its next call of the loader.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return Err(format!("{} cannot be loaded", path.display()));
    }
    // SAFETY: as above, a C string.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a folder's files.
    fn texts(folder: &Path) -> Vec<String> {
        let entries =
            std::fs::read_dir(folder).expect("the folder is readable").map(|entry| entry.expect("one").path());
        let text = |path: std::path::PathBuf| {
            if path.is_dir() { texts(&path) } else { vec![std::fs::read_to_string(&path).expect("a text")] }
        };
        entries.flat_map(text).collect()
    }

    /// What a text calls in a module: the names between `module` and an opening bracket.
    fn called<'a>(text: &'a str, module: &str) -> Vec<&'a str> {
        let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let name = |rest: &'a str| rest.split_once('(').map(|(name, _)| name).filter(|name| name.chars().all(in_name));
        text.split(module).skip(1).filter_map(name).collect()
    }

    #[test]
    fn every_function_that_is_called_is_looked_up_first() {
        let listed = |list: &[&CStr]| list.iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let lists = [DRIVER, NVRTC, CUBLASLT].map(listed);
        assert!(lists.iter().all(|list| list.is_sorted()), "{lists:?}");
        let texts = texts(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
        for module in ["sys::", "nv::", "lt::"] {
            let names = texts.iter().flat_map(|text| called(text, module));
            for name in
                names.filter(|name| !name.starts_with("culib") && (name.starts_with("cu") || name.starts_with("nvrtc")))
            {
                assert!(lists.iter().flatten().any(|listed| listed == name), "{name} is called and not listed");
            }
        }
    }

    #[test]
    fn a_machine_without_cuda_is_told_what_to_install() {
        for found in [driver(), nvrtc(), cublaslt()] {
            if let Err(error) = found {
                assert!(error.to_string().contains("(hint: "), "{error}");
            }
        }
    }
}
