//! `kernels/*.cu`, embedded and compiled at run time for the GPU that is there.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::Arc;

use cudarc::driver::sys::{self, CUfunction, CUmodule};
use cudarc::nvrtc::sys::{self as nv, nvrtcProgram, nvrtcResult};

use super::context::Context;
use super::stream::Stream;
use super::{Gpu, library, status};
use crate::Error;

/// One source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name in `kernels/`.
    pub(crate) file: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

/// Every file of `kernels/`, by name.
pub(crate) static SOURCES: &[Source] = &[
    Source { file: "ceiling_fma.cu", text: include_str!("../../../../kernels/ceiling_fma.cu") },
    Source { file: "ceiling_memory.cu", text: include_str!("../../../../kernels/ceiling_memory.cu") },
    Source { file: "ceiling_mma.cu", text: include_str!("../../../../kernels/ceiling_mma.cu") },
    Source { file: "clock.cu", text: include_str!("../../../../kernels/clock.cu") },
    Source { file: "decode_attention.cu", text: include_str!("../../../../kernels/decode_attention.cu") },
];

/// Options of every compilation, after the architecture. `scripts/kernels/cubin.py` reads them from here.
pub(crate) const OPTIONS: [&str; 2] = ["--std=c++17", "--generate-line-info"];

/// The source of that name.
pub(crate) fn source(file: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.file == file)
}

/// A compiled file, loaded into a context.
#[derive(Debug)]
pub(crate) struct Module {
    context: Arc<Context>,
    handle: CUmodule,
}

// SAFETY: a module belongs to its context and to no thread; the driver's functions may be called from any.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Compiles the file of that name in `kernels/` and loads it. Takes some tenths of a second.
    pub(crate) fn load(context: &Arc<Context>, file: &'static str) -> Result<Arc<Self>, Error> {
        let Some(source) = source(file) else {
            let hint = "this is a bug of proftool: the file is not in its list of kernels";
            return Err(Error::CudaMissing { what: format!("kernels/{file} is not embedded"), hint });
        };
        Self::compile(context, source.file, source.text)
    }

    /// Compiles a source text, which errors call `file`, and loads it.
    pub(crate) fn compile(context: &Arc<Context>, file: &'static str, text: &str) -> Result<Arc<Self>, Error> {
        let image = compile(file, text, &context.gpu)?;
        context.bind()?;
        let mut handle = std::ptr::null_mut();
        let (options, values) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a context is current; the image is a whole CUBIN, or PTX with its final 0; there are no options.
        let status = unsafe { sys::cuModuleLoadDataEx(&raw mut handle, image.as_ptr().cast(), 0, options, values) };
        status::driver("cuModuleLoadDataEx", status)?;
        Ok(Arc::new(Self { context: Arc::clone(context), handle }))
    }

    /// The kernel of that name.
    pub(crate) fn function(self: &Arc<Self>, name: &CStr) -> Result<Function, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the module is loaded; the handle is filled.
        let status = unsafe { sys::cuModuleGetFunction(&raw mut handle, self.handle, name.as_ptr()) };
        status::driver("cuModuleGetFunction", status)?;
        Ok(Function { module: Arc::clone(self), handle })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // Errors at the end have nobody to tell.
        let _ = self.context.bind();
        // SAFETY: loaded once by this value.
        let _ = unsafe { sys::cuModuleUnload(self.handle) };
    }
}

/// A kernel of a loaded module.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Keeps the code loaded.
    module: Arc<Module>,
    handle: CUfunction,
}

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Blocks.
    pub(crate) grid: [u32; 3],
    /// Threads of a block.
    pub(crate) block: [u32; 3],
    /// Dynamic shared memory of a block in bytes.
    pub(crate) shared_bytes: u32,
}

impl Function {
    /// Gives the kernel to a stream of its module's GPU. `parameters` are pointers to the kernel's arguments in order; they
    /// are copied before this returns.
    ///
    /// # Safety
    /// Number, types and values of the arguments are those that the kernel takes.
    pub(crate) unsafe fn launch(
        &self,
        stream: &Stream,
        shape: Shape,
        parameters: &mut [*mut c_void],
    ) -> Result<(), Error> {
        let Shape { grid: [gx, gy, gz], block: [bx, by, bz], shared_bytes } = shape;
        let (arguments, extra) = (parameters.as_mut_ptr(), std::ptr::null_mut());
        self.module.context.bind()?;
        // SAFETY: the function is loaded and the stream lives; the caller promises the rest.
        let status = unsafe {
            sys::cuLaunchKernel(self.handle, gx, gy, gz, bx, by, bz, shared_bytes, stream.handle(), arguments, extra)
        };
        status::driver("cuLaunchKernel", status)
    }
}

/// Compiles a source for a GPU: to its own machine code; where NVRTC does not know the GPU yet, to PTX for the newest
/// architecture before it, which the driver compiles.
fn compile(file: &'static str, text: &str, gpu: &Gpu) -> Result<Vec<c_char>, Error> {
    library::nvrtc()?;
    let attempts = attempts(gpu.compute_capability, &supported()?);
    let hint = "install a newer NVRTC (`pip install nvidia-cuda-nvrtc-cu12`)";
    let what = format!("NVRTC has no architecture for {} ({})", gpu.name, gpu.arch());
    let mut refused = Error::CudaMissing { what, hint };
    for arch in &attempts {
        match Program::compile(file, text, arch) {
            Ok(program) => return program.image(arch.starts_with("sm_")),
            // An architecture that it lists and does not take, such as one with an `a`: the next may do.
            Err(error @ Error::Cuda { code: INVALID_OPTION, .. }) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

const INVALID_OPTION: i64 = nvrtcResult::NVRTC_ERROR_INVALID_OPTION as i64;

/// Architectures that NVRTC compiles for: 90 for compute capability 9.0.
fn supported() -> Result<Vec<i32>, Error> {
    let mut count = 0;
    // SAFETY: the count is filled.
    status::nvrtc("nvrtcGetNumSupportedArchs", unsafe { nv::nvrtcGetNumSupportedArchs(&raw mut count) })?;
    let mut all = vec![0; count.max(0) as usize];
    // SAFETY: the array has room for that many numbers.
    status::nvrtc("nvrtcGetSupportedArchs", unsafe { nv::nvrtcGetSupportedArchs(all.as_mut_ptr()) })?;
    Ok(all)
}

/// What to compile for, the best first: the GPU's own architecture with the features that only it has, without them, PTX
/// of the newest one that the driver can compile for it.
fn attempts((major, minor): (i32, i32), supported: &[i32]) -> Vec<String> {
    let own = major * 10 + minor;
    let mut found = Vec::new();
    if supported.contains(&own) {
        if own >= 90 {
            found.push(format!("sm_{own}a"));
        }
        found.push(format!("sm_{own}"));
    }
    if let Some(older) = supported.iter().filter(|arch| **arch <= own).max() {
        found.push(format!("compute_{older}"));
    }
    found
}

/// A program of NVRTC.
struct Program(nvrtcProgram);

impl Program {
    fn compile(file: &'static str, text: &str, arch: &str) -> Result<Self, Error> {
        let zero = || Error::CudaCompile { file, arch: arch.to_owned(), log: "the source has a zero byte".to_owned() };
        let source = CString::new(text).map_err(|_| zero())?;
        let name = CString::new(file).map_err(|_| zero())?;
        let mut handle = std::ptr::null_mut();
        let none = std::ptr::null;
        // SAFETY: both texts are C strings that NVRTC copies; there are no headers.
        let status =
            unsafe { nv::nvrtcCreateProgram(&raw mut handle, source.as_ptr(), name.as_ptr(), 0, none(), none()) };
        status::nvrtc("nvrtcCreateProgram", status)?;
        let program = Self(handle);
        let given = std::iter::once(format!("--gpu-architecture={arch}")).chain(OPTIONS.map(str::to_owned));
        let options: Vec<CString> = given.filter_map(|option| CString::new(option).ok()).collect();
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program is valid, and the options live until the call returns.
        let status = unsafe { nv::nvrtcCompileProgram(program.0, pointers.len() as i32, pointers.as_ptr()) };
        if status == nvrtcResult::NVRTC_ERROR_COMPILATION {
            return Err(Error::CudaCompile { file, arch: arch.to_owned(), log: program.log() });
        }
        status::nvrtc("nvrtcCompileProgram", status)?;
        Ok(program)
    }

    /// What NVRTC said; empty where it cannot be read.
    fn log(&self) -> String {
        let mut bytes = 0;
        // SAFETY: the program is valid; the size is filled.
        if unsafe { nv::nvrtcGetProgramLogSize(self.0, &raw mut bytes) } != nvrtcResult::NVRTC_SUCCESS || bytes == 0 {
            return String::new();
        }
        let mut text: Vec<u8> = vec![0; bytes];
        // SAFETY: the buffer has the size that was asked for.
        let _ = unsafe { nv::nvrtcGetProgramLog(self.0, text.as_mut_ptr().cast()) };
        String::from_utf8_lossy(&text).trim_end_matches('\0').trim().to_owned()
    }

    /// The machine code, or the PTX with its final 0.
    fn image(&self, binary: bool) -> Result<Vec<c_char>, Error> {
        let mut bytes = 0;
        // SAFETY: the program was compiled; the size is filled.
        let (call, status) = unsafe {
            if binary {
                ("nvrtcGetCUBINSize", nv::nvrtcGetCUBINSize(self.0, &raw mut bytes))
            } else {
                ("nvrtcGetPTXSize", nv::nvrtcGetPTXSize(self.0, &raw mut bytes))
            }
        };
        status::nvrtc(call, status)?;
        let mut image: Vec<c_char> = vec![0; bytes];
        // SAFETY: the buffer has the size that was asked for.
        let (call, status) = unsafe {
            if binary {
                ("nvrtcGetCUBIN", nv::nvrtcGetCUBIN(self.0, image.as_mut_ptr()))
            } else {
                ("nvrtcGetPTX", nv::nvrtcGetPTX(self.0, image.as_mut_ptr()))
            }
        };
        status::nvrtc(call, status)?;
        Ok(image)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { nv::nvrtcDestroyProgram(&raw mut self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_gets_its_own_code_and_one_that_nvrtc_does_not_know_gets_ptx() {
        let known = [75, 80, 86, 90];
        assert_eq!(attempts((9, 0), &known), ["sm_90a", "sm_90", "compute_90"]);
        assert_eq!(attempts((8, 0), &known), ["sm_80", "compute_80"]);
        assert_eq!(attempts((10, 0), &known), ["compute_90"]);
        assert!(attempts((5, 0), &known).is_empty());
    }

    #[test]
    fn the_list_names_every_file_in_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kernels");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder is readable")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        files.sort();
        let listed: Vec<&str> = SOURCES.iter().map(|source| source.file).collect();
        assert_eq!(files, listed);
    }
}
