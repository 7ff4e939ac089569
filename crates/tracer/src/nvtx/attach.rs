//! Finding the tool and letting it fill the tables.

use std::ffi::{CString, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

use super::abi::{self, Addresses, CallbackTable, Slot, Slots, VersionTable};

/// The module with the names of threads.
pub(super) static CORE: Slots<{ abi::core::SIZE }> = abi::slots();
/// The module of domains.
pub(super) static CORE2: Slots<{ abi::core2::SIZE }> = abi::slots();
// Modules that a tool may fill and that this program never calls: names of CUDA and OpenCL objects, synchronisation.
static CUDA: Slots<10> = abi::slots();
static OPENCL: Slots<16> = abi::slots();
static CUDART: Slots<8> = abi::slots();
static SYNC: Slots<8> = abi::slots();

static CORE_ADDRESSES: Addresses<{ abi::core::SIZE }> = Addresses::of(&CORE);
static CORE2_ADDRESSES: Addresses<{ abi::core2::SIZE }> = Addresses::of(&CORE2);
static CUDA_ADDRESSES: Addresses<10> = Addresses::of(&CUDA);
static OPENCL_ADDRESSES: Addresses<16> = Addresses::of(&OPENCL);
static CUDART_ADDRESSES: Addresses<8> = Addresses::of(&CUDART);
static SYNC_ADDRESSES: Addresses<8> = Addresses::of(&SYNC);

static CALLBACKS: CallbackTable = CallbackTable { size: size_of::<CallbackTable>(), module };
static VERSION: VersionTable =
    VersionTable { size: size_of::<VersionTable>(), version: abi::VERSION as u32, reserved: 0, set_tool_version };

/// Whether a tool is attached; the first call looks for one and loads it.
pub(super) fn attached() -> bool {
    static ATTACHED: OnceLock<bool> = OnceLock::new();
    *ATTACHED.get_or_init(|| attach(find()))
}

/// Lets a tool fill the tables. What a tool that refuses has filled is cleared.
fn attach(initialize: Option<abi::Initialize>) -> bool {
    // SAFETY: the function is the tool's entry point, called once with what the interface says.
    let accepted = initialize.is_some_and(|initialize| unsafe { initialize(export_table) } != 0);
    if !accepted {
        CORE.iter().chain(&CORE2).for_each(Slot::clear);
    }
    accepted
}

/// The entry point of the tool: of the library that the environment names, else of a tool that is part of this process.
/// A library that cannot be loaded or has no entry point is no tool, and nothing else is tried: so do the headers.
fn find() -> Option<abi::Initialize> {
    let address = match std::env::var_os(abi::PATH_VARIABLE) {
        Some(path) => load(path),
        // SAFETY: the symbol, where it exists, is a variable that holds the address of the entry point or null.
        None => unsafe { symbol(libc::RTLD_DEFAULT, abi::INITIALIZE_POINTER).cast::<*mut c_void>().as_ref() }.copied(),
    }?;
    // SAFETY: the address is not null, and both places hold the address of a function of this type.
    (!address.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, abi::Initialize>(address) })
}

/// Loads a library, for the rest of the process, and finds its entry point.
fn load(path: std::ffi::OsString) -> Option<*mut c_void> {
    let path = CString::new(path.into_vec()).ok()?;
    // SAFETY: the path ends with a zero. The user asked for this library's initialisers to run.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY) };
    // SAFETY: the library was loaded and is never unloaded.
    (!library.is_null()).then(|| unsafe { symbol(library, abi::INITIALIZE) })
}

/// The address of a symbol, or null.
///
/// # Safety
/// `library` is loaded, or a handle that `dlsym` defines.
unsafe fn symbol(library: *mut c_void, name: &std::ffi::CStr) -> *mut c_void {
    // SAFETY: the caller's promise, and a name that ends with a zero.
    unsafe { libc::dlsym(library, name.as_ptr()) }
}

/// Gives the tool the table of that number, or null.
extern "C" fn export_table(number: u32) -> *const c_void {
    match number {
        abi::TABLE_CALLBACKS => (&raw const CALLBACKS).cast(),
        abi::TABLE_VERSION => (&raw const VERSION).cast(),
        _ => std::ptr::null(),
    }
}

/// Gives the tool a module's slots; 0 when there is no such module.
///
/// # Safety
/// Each address is null or may be written.
unsafe extern "C" fn module(number: c_uint, table: *mut *const *const Slot, size: *mut c_uint) -> c_int {
    let (addresses, count) = match number {
        1 => CORE_ADDRESSES.parts(),
        2 => CUDA_ADDRESSES.parts(),
        3 => OPENCL_ADDRESSES.parts(),
        4 => CUDART_ADDRESSES.parts(),
        5 => CORE2_ADDRESSES.parts(),
        6 => SYNC_ADDRESSES.parts(),
        _ => return 0,
    };
    // SAFETY: the caller's promise.
    unsafe {
        if !table.is_null() {
            table.write(addresses);
        }
        if !size.is_null() {
            size.write(count);
        }
    }
    1
}

/// A tool states its version here; nothing depends on it.
extern "C" fn set_tool_version(_: u32) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_its_documented_number_of_functions() {
        let functions = |number| {
            let (mut table, mut size) = (std::ptr::null(), 0);
            // SAFETY: both addresses are of variables.
            let known = unsafe { module(number, &raw mut table, &raw mut size) };
            // SAFETY: the table has `size` + 1 entries.
            let filled = (0..=size as usize).filter(|_| known != 0).filter(|&at| !unsafe { *table.add(at) }.is_null());
            (known, size, filled.count())
        };
        let modules = [(1, 16, 15), (1, 9, 8), (1, 15, 14), (1, 7, 6), (1, 16, 15), (1, 7, 6)];
        assert_eq!((1..=6).map(functions).collect::<Vec<_>>(), modules);
        assert_eq!((functions(0).0, functions(7).0), (0, 0));
        // SAFETY: nothing may be written to a null address.
        assert_eq!(unsafe { module(1, std::ptr::null_mut(), std::ptr::null_mut()) }, 1);
    }

    #[test]
    fn only_the_documented_export_tables_exist() {
        let known: Vec<u32> = (0..8).filter(|&number| !export_table(number).is_null()).collect();
        assert_eq!(known, [1, 3]);
    }
}
