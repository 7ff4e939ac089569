//! The binary interface between a program and a tool, NVTX 3. The numbers and layouts are those of the public headers
//! (`nvToolsExt.h`, `nvtxDetail/nvtxTypes.h` of <https://github.com/NVIDIA/NVTX>), the same from NVTX 3.0 to 3.2.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a program asks of the tool's library: returns 0 when the tool refuses.
pub(super) type Initialize = unsafe extern "C" fn(GetExportTable) -> c_int;
/// What the tool asks of the program: the table of that number, or null.
pub(super) type GetExportTable = extern "C" fn(u32) -> *const c_void;

/// The variable that names the tool's library.
pub(super) const PATH_VARIABLE: &str =
    if size_of::<usize>() == 8 { "NVTX_INJECTION64_PATH" } else { "NVTX_INJECTION32_PATH" };
/// The function that a tool's library exports.
pub(super) const INITIALIZE: &std::ffi::CStr = c"InitializeInjectionNvtx2";
/// The variable with that function's address in a program that a tool is linked into.
pub(super) const INITIALIZE_POINTER: &std::ffi::CStr = c"InitializeInjectionNvtx2_fnptr";

pub(super) const TABLE_CALLBACKS: u32 = 1;
pub(super) const TABLE_VERSION: u32 = 3;
pub(super) const VERSION: u16 = 3;

const COLOR_ARGB: i32 = 1;
const MESSAGE_ASCII: i32 = 1;
const MESSAGE_REGISTERED: i32 = 3;

/// What belongs to an event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    version: u16,
    size: u16,
    pub(super) category: u32,
    color_type: i32,
    color: u32,
    /// 1 unsigned, 2 signed, 3 floating point, all of 64 bits; 0 none.
    pub(super) payload_type: i32,
    reserved: i32,
    /// The payload's bits.
    pub(super) payload: u64,
    message_type: i32,
    message: *const c_void,
}

/// What a tool reads as the size of the structure.
const _: () = assert!(size_of::<usize>() == 4 || size_of::<Attributes>() == 48);

impl Attributes {
    fn new(message_type: i32, message: *const c_void) -> Self {
        Self {
            version: VERSION,
            size: size_of::<Self>() as u16,
            category: 0,
            color_type: 0,
            color: 0,
            payload_type: 0,
            reserved: 0,
            payload: 0,
            message_type,
            message,
        }
    }

    /// An event whose message is a string.
    pub(super) fn ascii(message: *const c_char) -> Self {
        Self::new(MESSAGE_ASCII, message.cast())
    }

    /// An event whose message is the handle of a registered string.
    pub(super) fn registered(message: *const c_void) -> Self {
        Self::new(MESSAGE_REGISTERED, message)
    }

    pub(super) fn set_color(&mut self, argb: u32) {
        (self.color_type, self.color) = (COLOR_ARGB, argb);
    }
}

/// Where a tool puts the address of one of its functions. Null does nothing.
#[derive(Debug)]
pub(super) struct Slot(AtomicPtr<c_void>);

impl Slot {
    /// The tool's function.
    ///
    /// # Safety
    /// `F` is the type that the interface states for this slot's function.
    #[inline]
    pub(super) unsafe fn function<F: Copy>(&self) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        let address = self.0.load(Ordering::Relaxed);
        // SAFETY: the address is not null, and the caller states the type of the function there.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }

    pub(super) fn clear(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The slots of a module, numbered from 1; the first and the last stay empty.
pub(super) type Slots<const N: usize> = [Slot; N];

pub(super) const fn slots<const N: usize>() -> Slots<N> {
    [const { Slot(AtomicPtr::new(ptr::null_mut())) }; N]
}

/// What a tool is given for a module: the address of each slot.
pub(super) struct Addresses<const N: usize>([*const Slot; N]);

// SAFETY: the addresses are of statics and never change; the slots themselves are atomics.
unsafe impl<const N: usize> Sync for Addresses<N> {}

impl<const N: usize> Addresses<N> {
    pub(super) const fn of(slots: &'static Slots<N>) -> Self {
        let mut addresses = [ptr::null(); N];
        let mut index = 1;
        while index + 1 < N {
            addresses[index] = &raw const slots[index];
            index += 1;
        }
        Self(addresses)
    }

    /// The first address, and how many there are without the last, which is null.
    pub(super) fn parts(&'static self) -> (*const *const Slot, c_uint) {
        (self.0.as_ptr(), N as c_uint - 1)
    }
}

/// The export table that leads to the modules.
#[repr(C)]
pub(super) struct CallbackTable {
    pub(super) size: usize,
    pub(super) module: unsafe extern "C" fn(c_uint, *mut *const *const Slot, *mut c_uint) -> c_int,
}

/// The export table that states the version.
#[repr(C)]
pub(super) struct VersionTable {
    pub(super) size: usize,
    pub(super) version: u32,
    pub(super) reserved: u32,
    pub(super) set_tool_version: extern "C" fn(u32),
}

/// Functions of the module CORE (1).
pub(super) mod core {
    use super::c_char;

    pub(in super::super) const NAME_OS_THREAD: usize = 14;
    pub(in super::super) const SIZE: usize = 17;
    pub(in super::super) type NameOsThread = unsafe extern "C" fn(u32, *const c_char);
}

/// Functions of the module CORE2 (5). A domain and a registered string are addresses that only the tool understands.
pub(super) mod core2 {
    use super::{Attributes, c_char, c_int, c_void};

    pub(in super::super) const MARK: usize = 1;
    pub(in super::super) const RANGE_START: usize = 2;
    pub(in super::super) const RANGE_END: usize = 3;
    pub(in super::super) const RANGE_PUSH: usize = 4;
    pub(in super::super) const RANGE_POP: usize = 5;
    pub(in super::super) const NAME_CATEGORY: usize = 8;
    pub(in super::super) const REGISTER_STRING: usize = 10;
    pub(in super::super) const CREATE: usize = 12;
    pub(in super::super) const SIZE: usize = 17;

    pub(in super::super) type Domain = *mut c_void;
    pub(in super::super) type Mark = unsafe extern "C" fn(Domain, *const Attributes);
    pub(in super::super) type RangeStart = unsafe extern "C" fn(Domain, *const Attributes) -> u64;
    pub(in super::super) type RangeEnd = unsafe extern "C" fn(Domain, u64);
    pub(in super::super) type RangePush = unsafe extern "C" fn(Domain, *const Attributes) -> c_int;
    pub(in super::super) type RangePop = unsafe extern "C" fn(Domain) -> c_int;
    pub(in super::super) type NameCategory = unsafe extern "C" fn(Domain, u32, *const c_char);
    pub(in super::super) type RegisterString = unsafe extern "C" fn(Domain, *const c_char) -> *mut c_void;
    pub(in super::super) type Create = unsafe extern "C" fn(*const c_char) -> Domain;
}
