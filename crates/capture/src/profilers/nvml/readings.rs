//! What is read of a device, and what an error of NVML means for the readings to come.

use std::ffi::c_uint;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::{NvmlError, nvml_try};
use nvml_wrapper::struct_wrappers::device::FieldValueSample;
use nvml_wrapper::sys_exports::field_id;
use nvml_wrapper_sys::bindings::nvmlFieldValue_t;

use super::file::Values;

/// One call of NVML and the values that it gives, in base units.
pub(super) struct Reading {
    /// The values' names; it stands in notes.
    pub(super) name: &'static str,
    /// Asks the device.
    pub(super) read: fn(&Device<'_>, &mut Values) -> Result<(), NvmlError>,
}

/// A reading of one value: its name, and how to ask the device for it.
macro_rules! reading {
    ($name:literal, $ask:expr) => {
        Reading {
            name: $name,
            read: |device, values| {
                let ask: fn(&Device<'_>) -> Result<f64, NvmlError> = $ask;
                values.put($name, ask(device)?);
                Ok(())
            },
        }
    };
}

/// What is read in every turn. Energy and power come first, so that they are read close to each other.
pub(super) static STATE: &[Reading] = &[
    reading!("energy_j", |device| Ok(device.total_energy_consumption()? as f64 / 1e3)),
    reading!("power_w", |device| Ok(milli(device.power_usage()?))),
    reading!("power_instant_w", |device| Ok(field(device, field_id::NVML_FI_DEV_POWER_INSTANT, 0)? / 1e3)),
    reading!("power_limit_w", |device| Ok(milli(device.enforced_power_limit()?))),
    reading!("sm_clock_hz", |device| Ok(mega(device.clock_info(Clock::SM)?))),
    reading!("memory_clock_hz", |device| Ok(mega(device.clock_info(Clock::Memory)?))),
    reading!("clocks_event_reasons", |device| Ok(device.current_throttle_reasons()?.bits() as f64)),
    Reading {
        name: "gpu_utilization_ratio and memory_utilization_ratio",
        read: |device, values| {
            let percent = device.utilization_rates()?;
            values.put("gpu_utilization_ratio", f64::from(percent.gpu) / 100.0);
            values.put("memory_utilization_ratio", f64::from(percent.memory) / 100.0);
            Ok(())
        },
    },
    Reading {
        name: "memory_used_bytes and memory_total_bytes",
        read: |device, values| {
            let memory = device.memory_info()?;
            values.put("memory_used_bytes", memory.used as f64);
            values.put("memory_total_bytes", memory.total as f64);
            Ok(())
        },
    },
    reading!("temperature_c", |device| Ok(f64::from(device.temperature(TemperatureSensor::Gpu)?))),
    reading!("nvlink_sent_bytes", |device| nvlink(device, field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX)),
    reading!("nvlink_received_bytes", |device| nvlink(device, field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX)),
];

/// Readings of which each counts bytes for 20 ms before it returns (nvmlDeviceGetPcieThroughput): they have a thread of
/// their own, so that they hold up nothing else.
pub(super) static PCIE: &[Reading] = &[
    reading!("pcie_sent_bytes_per_s", |device| Ok(kilo(device.pcie_throughput(PcieUtilCounter::Send)?))),
    reading!("pcie_received_bytes_per_s", |device| Ok(kilo(device.pcie_throughput(PcieUtilCounter::Receive)?))),
];

fn milli(value: u32) -> f64 {
    f64::from(value) / 1e3
}

fn kilo(value: u32) -> f64 {
    f64::from(value) * 1e3
}

fn mega(value: u32) -> f64 {
    f64::from(value) * 1e6
}

/// Bytes of payload over all links since the driver was loaded; NVML counts KiB.
fn nvlink(device: &Device<'_>, id: u32) -> Result<f64, NvmlError> {
    // nvml.h: this scope means the sum over the links; 0 would be the first link alone.
    Ok(field(device, id, c_uint::MAX)? * 1024.0)
}

/// One field of a device. The wrapper's own function cannot state a scope.
fn field(device: &Device<'_>, id: u32, scope: c_uint) -> Result<f64, NvmlError> {
    let function = device.nvml().lib().nvmlDeviceGetFieldValues.as_ref();
    let function = function.map_err(|error| NvmlError::FailedToLoadSymbol(error.to_string()))?;
    // SAFETY: the structure holds numbers and a union of numbers, for which all zeros are valid.
    let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    value.fieldId = id;
    value.scopeId = scope;
    // SAFETY: the handle is that of a device of this library, which `device` keeps alive; the call fills the one structure
    // that the pointer is of, as the count says.
    nvml_try(unsafe { function(device.handle(), 1, &raw mut value) })?;
    Ok(match FieldValueSample::try_from(value)?.value? {
        SampleValue::F64(value) => value,
        SampleValue::U32(value) => f64::from(value),
        SampleValue::U64(value) => value as f64,
        SampleValue::I64(value) => value as f64,
    })
}

/// What an error means for the readings to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The device answers nothing any more.
    Lost,
    /// This reading will never succeed here.
    Unsupported,
    /// The next attempt may succeed.
    Failed,
}

impl Trouble {
    /// The kind of the note.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
        }
    }

    pub(super) fn of(error: &NvmlError) -> Self {
        match error {
            NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::OperatingSystem => Self::Lost,
            NvmlError::NotSupported
            | NvmlError::InvalidArg
            | NvmlError::NoPermission
            | NvmlError::NotFound
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::UnexpectedVariant(_) => Self::Unsupported,
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(Trouble::of(&NvmlError::GpuLost), Trouble::Lost);
        assert_eq!(Trouble::of(&NvmlError::NotSupported), Trouble::Unsupported);
        assert_eq!(Trouble::of(&NvmlError::FailedToLoadSymbol(String::new())), Trouble::Unsupported);
        assert_eq!(Trouble::of(&NvmlError::Timeout), Trouble::Failed);
        assert_eq!(Trouble::of(&NvmlError::Unknown), Trouble::Failed);
    }
}
