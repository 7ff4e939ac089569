//! The few functions of the CUDA driver that counting needs: it makes contexts current, and describes their devices.

use std::ffi::{c_char, c_void};
use std::path::Path;

use proftool_tracer::ABSENT;

use crate::library::{Library, function};
use crate::text;

/// The driver's library.
const LIBRARY: &str = "libcuda.so.1";

/// `CU_DEVICE_ATTRIBUTE_*`: compute capability, multiprocessors, clock in kHz.
const MAJOR: i32 = 75;
const MINOR: i32 = 76;
const MULTIPROCESSORS: i32 = 16;
const CLOCK_KHZ: i32 = 13;

type Push = unsafe extern "C" fn(*mut c_void) -> u32;
type Pop = unsafe extern "C" fn(*mut *mut c_void) -> u32;
type CurrentDevice = unsafe extern "C" fn(*mut i32) -> u32;
type Name = unsafe extern "C" fn(*mut c_char, i32, i32) -> u32;
type Attribute = unsafe extern "C" fn(*mut i32, i32, i32) -> u32;
type Memory = unsafe extern "C" fn(*mut usize, i32) -> u32;
type Uuid = unsafe extern "C" fn(*mut [u8; 16], i32) -> u32;

/// The functions.
pub(crate) struct Driver {
    push: Push,
    pop: Pop,
    current: CurrentDevice,
    name: Name,
    attribute: Attribute,
    memory: Memory,
    uuid: Uuid,
}

/// What the driver says about a device.
pub(crate) struct Device {
    pub(crate) number: i64,
    pub(crate) name: Option<String>,
    /// The fields of a row `devi` after its name.
    pub(crate) fields: [i64; 7],
}

type Count = unsafe extern "C" fn(*mut i32) -> u32;

/// Whether this process has initialised the driver; it is not initialised for the question.
pub fn is_ready() -> bool {
    let asked = || -> Result<u32, String> {
        let library = Library::open(Path::new(LIBRARY), true).ok_or("it is not loaded")?;
        let count = function!(library, c"cuDeviceGetCount", Count);
        let mut number = 0;
        // SAFETY: the pointer is to a number that lives; before `cuInit` the function only says so.
        Ok(unsafe { count(&raw mut number) })
    };
    asked() == Ok(0)
}

/// Initialises the driver; how many devices it lets this process use.
///
/// # Errors
/// When there is no driver, or one that does not work, as a sentence.
pub fn devices() -> Result<usize, String> {
    let library = Library::open(Path::new(LIBRARY), false).ok_or("libcuda.so.1 cannot be loaded")?;
    let initialize = function!(library, c"cuInit", unsafe extern "C" fn(u32) -> u32);
    let count = function!(library, c"cuDeviceGetCount", Count);
    let failed = |name: &str, status: u32| format!("{name} failed with CUDA error {status}");
    // SAFETY: 0 is the only value that the function takes.
    let status = unsafe { initialize(0) };
    if status != 0 {
        return Err(failed("cuInit", status));
    }
    let mut number = 0;
    // SAFETY: the pointer is to a number that lives.
    let status = unsafe { count(&raw mut number) };
    if status == 0 { Ok(number.max(0) as usize) } else { Err(failed("cuDeviceGetCount", status)) }
}

impl Driver {
    /// The driver that has loaded this library.
    pub(crate) fn load() -> Result<Self, String> {
        let library = Library::open(Path::new(LIBRARY), true).ok_or("libcuda.so.1 is not loaded")?;
        Ok(Self {
            push: function!(library, c"cuCtxPushCurrent_v2", Push),
            pop: function!(library, c"cuCtxPopCurrent_v2", Pop),
            current: function!(library, c"cuCtxGetDevice", CurrentDevice),
            name: function!(library, c"cuDeviceGetName", Name),
            attribute: function!(library, c"cuDeviceGetAttribute", Attribute),
            memory: function!(library, c"cuDeviceTotalMem_v2", Memory),
            uuid: function!(library, c"cuDeviceGetUuid", Uuid),
        })
    }

    /// Runs something while a context is current; `None` when the driver no longer lets it be, as at its end.
    pub(crate) fn with<T>(&self, context: usize, run: impl FnOnce() -> T) -> Option<T> {
        // SAFETY: the driver checks whether the context is one of its own.
        let pushed = unsafe { (self.push)(context as *mut c_void) } == 0;
        let result = pushed.then(run);
        if pushed {
            let mut popped = std::ptr::null_mut();
            // SAFETY: the pointer is to a pointer that lives.
            unsafe { (self.pop)(&raw mut popped) };
        }
        result
    }

    /// The device of the current context.
    pub(crate) fn device(&self) -> Option<Device> {
        let mut device = 0;
        // SAFETY: here and below the pointers are to values that live and are as large as the function says.
        if unsafe { (self.current)(&raw mut device) } != 0 {
            return None;
        }
        let mut name = [0; 256];
        // SAFETY: see above; one byte is left for the end of the string.
        let named = unsafe { (self.name)(name.as_mut_ptr(), name.len() as i32 - 1, device) } == 0;
        // SAFETY: the last byte is zero.
        let name = if named { unsafe { text::owned(name.as_ptr()) } } else { None };
        let mut bytes = 0;
        // SAFETY: see above.
        let known = unsafe { (self.memory)(&raw mut bytes, device) } == 0;
        let memory = if known { bytes as i64 } else { ABSENT };
        let mut uuid = [0; 16];
        // SAFETY: see above.
        let known = unsafe { (self.uuid)(&raw mut uuid, device) } == 0;
        let half = |at: usize| i64::from_be_bytes(std::array::from_fn(|index| uuid[at + index]));
        let [first, second] = if known { [half(0), half(8)] } else { [ABSENT; 2] };
        let clock = self.attribute(CLOCK_KHZ, device);
        let clock = if clock == ABSENT { ABSENT } else { clock * 1000 };
        let [major, minor, count] = [MAJOR, MINOR, MULTIPROCESSORS].map(|attribute| self.attribute(attribute, device));
        Some(Device { number: i64::from(device), name, fields: [major, minor, count, memory, clock, first, second] })
    }

    fn attribute(&self, attribute: i32, device: i32) -> i64 {
        let mut value = 0;
        // SAFETY: the pointer is to a number that lives.
        let known = unsafe { (self.attribute)(&raw mut value, attribute, device) } == 0;
        if known { i64::from(value) } else { ABSENT }
    }
}
