//! The GPUs that the driver lists.

use std::ffi::{CStr, c_char};
use std::fmt::Write;

use cudarc::driver::sys::{self, CUdevice, CUdevice_attribute as Attribute};

use super::{library, status};
use crate::Error;

/// One GPU, as the driver describes it. Numbers follow `CUDA_VISIBLE_DEVICES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Number among the visible ones, from 0.
    pub number: usize,
    /// Product name.
    pub name: String,
    /// `GPU-` and 32 hexadecimal digits in groups, as `nvidia-smi -L` shows it; of a MIG slice, the slice's.
    pub uuid: String,
    /// Domain, bus and device, `0000:1b:00.0`.
    pub pci_bus_id: String,
    /// Major and minor compute capability.
    pub compute_capability: (i32, i32),
    /// Streaming multiprocessors.
    pub sm_count: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Second-level cache in bytes.
    pub l2_bytes: i64,
    /// Highest clock of the multiprocessors in hertz; none where the driver does not say.
    pub clock_hz: Option<i64>,
    /// Highest clock of the memory in hertz; none where the driver does not say.
    pub memory_clock_hz: Option<i64>,
    /// Shared memory that a block can be given, in bytes.
    pub shared_bytes: i64,
}

impl Gpu {
    /// The architecture in the words of the hardware specs: `sm_90`.
    pub fn arch(&self) -> String {
        let (major, minor) = self.compute_capability;
        format!("sm_{major}{minor}")
    }

    /// The driver's handle.
    pub(crate) fn handle(&self) -> Result<CUdevice, Error> {
        let mut device = 0;
        // SAFETY: the driver was started when this value was made; the handle is filled.
        status::driver("cuDeviceGet", unsafe { sys::cuDeviceGet(&raw mut device, self.number as i32) })?;
        Ok(device)
    }
}

/// Every visible GPU.
///
/// # Errors
/// As [`library::driver`]; [`Error::CudaMissing`] where there is none.
pub fn gpus() -> Result<Vec<Gpu>, Error> {
    library::driver()?;
    let mut count = 0;
    // SAFETY: the driver was started; the count is filled.
    status::driver("cuDeviceGetCount", unsafe { sys::cuDeviceGetCount(&raw mut count) })?;
    if count < 1 {
        let hint = "`nvidia-smi -L` must list one; look at CUDA_VISIBLE_DEVICES";
        return Err(Error::CudaMissing { what: "the driver lists no GPU".to_owned(), hint });
    }
    (0..count as usize).map(describe).collect()
}

fn describe(number: usize) -> Result<Gpu, Error> {
    let mut device = 0;
    // SAFETY: the number is below the count; the handle is filled.
    status::driver("cuDeviceGet", unsafe { sys::cuDeviceGet(&raw mut device, number as i32) })?;
    let mut memory_bytes = 0_usize;
    // SAFETY: the handle is valid; the number is filled.
    status::driver("cuDeviceTotalMem_v2", unsafe { sys::cuDeviceTotalMem_v2(&raw mut memory_bytes, device) })?;
    let wanted = |what| attribute(device, what).map(i64::from);
    // In kHz; 0 on devices that hide it.
    let clock = |what| wanted(what).ok().filter(|khz| *khz > 0).map(|khz| khz * 1000);
    Ok(Gpu {
        number,
        name: name(device)?,
        uuid: uuid(device)?,
        pci_bus_id: pci_bus_id(device)?,
        compute_capability: (
            attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(device, Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        sm_count: wanted(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        memory_bytes: memory_bytes as i64,
        l2_bytes: wanted(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE).unwrap_or(0),
        clock_hz: clock(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        memory_clock_hz: clock(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        // Every GPU since Kepler gives a block 48 KiB without asking.
        shared_bytes: wanted(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN).unwrap_or(48 << 10),
    })
}

fn attribute(device: CUdevice, what: Attribute) -> Result<i32, Error> {
    let mut value = 0;
    // SAFETY: the handle is valid; the number is filled.
    status::driver("cuDeviceGetAttribute", unsafe { sys::cuDeviceGetAttribute(&raw mut value, what, device) })?;
    Ok(value)
}

fn name(device: CUdevice) -> Result<String, Error> {
    let mut text: [c_char; 256] = [0; 256];
    // SAFETY: the buffer has the stated length, and its last byte stays 0.
    let status = unsafe { sys::cuDeviceGetName(text.as_mut_ptr(), 255, device) };
    status::driver("cuDeviceGetName", status)?;
    Ok(string(&text))
}

fn pci_bus_id(device: CUdevice) -> Result<String, Error> {
    let mut text: [c_char; 32] = [0; 32];
    // SAFETY: as above.
    let status = unsafe { sys::cuDeviceGetPCIBusId(text.as_mut_ptr(), 31, device) };
    status::driver("cuDeviceGetPCIBusId", status)?;
    Ok(string(&text).to_lowercase())
}

fn uuid(device: CUdevice) -> Result<String, Error> {
    let mut uuid = sys::CUuuid { bytes: [0; 16] };
    // SAFETY: the handle is valid; the 16 bytes are filled.
    status::driver("cuDeviceGetUuid_v2", unsafe { sys::cuDeviceGetUuid_v2(&raw mut uuid, device) })?;
    Ok(format_uuid(uuid.bytes.map(|byte| byte as u8)))
}

/// As `nvidia-smi -L` writes it.
fn format_uuid(bytes: [u8; 16]) -> String {
    let mut text = "GPU-".to_owned();
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn string(text: &[c_char]) -> String {
    // SAFETY: the callers' buffers end with 0.
    unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_as_nvidia_smi_writes_it() {
        let bytes: [u8; 16] = std::array::from_fn(|index| index as u8 * 17);
        assert_eq!(format_uuid(bytes), "GPU-00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn the_first_gpu_has_memory_and_multiprocessors() {
        let all = gpus().expect("a GPU");
        assert!(all[0].memory_bytes > 0 && all[0].sm_count > 0 && all[0].compute_capability.0 >= 7, "{all:?}");
    }
}
