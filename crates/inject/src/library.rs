//! Libraries that are found at run time.

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::search;
use crate::text;

/// What CUPTI's profilers load by these names without saying where; they lie beside it.
const BESIDE: [&str; 2] = ["libnvperf_host.so", "libnvperf_target.so"];

/// A loaded library, which is never unloaded: a thread of it may be running.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library(*mut c_void);

// SAFETY: the handle is a number to the loader, whose functions may be called on every thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// A library, only if the program has it loaded (`loaded`), or else from that file or the loader's folders.
    pub(crate) fn open(path: &Path, loaded: bool) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).ok()?;
        let flags = libc::RTLD_NOW | libc::RTLD_LOCAL | if loaded { libc::RTLD_NOLOAD } else { 0 };
        // SAFETY: the path is a string that ends in a zero byte. Loading runs the initialisers of the user's own library.
        let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
        (!handle.is_null()).then_some(Self(handle))
    }

    /// CUPTI as the program has it loaded already, since two in one process disturb each other; else from where it may
    /// be.
    pub(crate) fn cupti() -> Option<Self> {
        let stated = std::env::var("PROFTOOL_CUPTI_PATH").is_ok_and(|text| !text.is_empty());
        if !stated && let Some(library) = search::NAMES.iter().find_map(|name| Self::open(Path::new(name), true)) {
            return Some(library);
        }
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let files = search::candidates(|name| std::env::var(name).ok(), &maps);
        let open = |path: &Path| Self::open(path, false);
        let found = files.iter().filter(|path| path.is_file()).find_map(|path| open(path));
        found.or_else(|| if stated { None } else { search::NAMES.iter().find_map(|name| open(Path::new(name))) })
    }

    /// The address of a function.
    pub(crate) fn symbol(self, name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: the handle is of a loaded library, the name ends in a zero byte.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        if address.is_null() {
            return Err(format!("the library has no function {}", name.to_string_lossy()));
        }
        Ok(address)
    }

    /// The folder of the file that holds a function of this library.
    fn folder(self, function: &CStr) -> Option<PathBuf> {
        let address = self.symbol(function).ok()?;
        let mut found = libc::Dl_info {
            dli_fname: std::ptr::null(),
            dli_fbase: std::ptr::null_mut(),
            dli_sname: std::ptr::null(),
            dli_saddr: std::ptr::null_mut(),
        };
        // SAFETY: the address is of a loaded library; the structure lives.
        let known = unsafe { libc::dladdr(address, &raw mut found) } != 0;
        if !known || found.dli_fname.is_null() {
            return None;
        }
        // SAFETY: the loader keeps this string, which ends in a zero byte, as long as the library is loaded.
        let path = unsafe { CStr::from_ptr(found.dli_fname) }.to_bytes().to_vec();
        PathBuf::from(std::ffi::OsString::from_vec(path)).parent().map(Path::to_owned)
    }

    /// Loads what lies beside CUPTI and what its profilers ask the loader for by name alone: a wheel's folder is not
    /// among the loader's. What can't be loaded is told by the first function of CUPTI that needs it.
    pub(crate) fn load_beside(self) {
        if let Some(folder) = self.folder(c"cuptiGetVersion") {
            for name in BESIDE {
                Self::open(&folder.join(name), false);
            }
        }
    }
}

/// A function of a library: `function!(library, c"name", type)`, an error with its name where it is missing.
macro_rules! function {
    ($library:expr, $name:expr, $type:ty) => {{
        let address = $library.symbol($name)?;
        // SAFETY: the header declares the function of this name with this type.
        unsafe { std::mem::transmute::<*mut std::ffi::c_void, $type>(address) }
    }};
}
pub(crate) use function;

/// `cuptiGetResultString`.
pub(crate) type ResultText = unsafe extern "C" fn(u32, *mut *const std::ffi::c_char) -> u32;

/// What a status of CUPTI means, by CUPTI itself.
pub(crate) fn status_text(describe: ResultText, status: u32) -> String {
    let mut name = std::ptr::null();
    // SAFETY: the pointer is to a pointer that lives, which CUPTI points at a string of its own.
    let found = unsafe { describe(status, &raw mut name) } == 0;
    // SAFETY: see above.
    let name = if found { unsafe { text::owned(name) } } else { None };
    name.unwrap_or_else(|| format!("CUPTI error {status}"))
}
