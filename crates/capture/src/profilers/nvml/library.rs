//! NVIDIA's management library: found, started, asked what devices it sees.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::file::Described;
use crate::profilers::{Found, Missing};

/// The library, which comes with the driver.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The environment variable that names another library, for machines on which the loader does not find it.
pub const PATH_VARIABLE: &str = "PROFTOOL_NVML_PATH";

const INSTALL: &str = "install the NVIDIA driver, which brings it; in a container give the GPU to the container \
    (`docker run --gpus all`); PROFTOOL_NVML_PATH names a library that lies elsewhere";
const RELOAD: &str = "reboot, so that the installed driver is the loaded one";
const MODPROBE: &str = "sudo modprobe nvidia";
const DEVICE_FILES: &str = "let the user read and write /dev/nvidiactl and /dev/nvidia0";
const GIVE_GPU: &str = "check `nvidia-smi -L`; in a container give the GPU to the container (`docker run --gpus all`)";
const CHECK: &str = "run `nvidia-smi` and mend what it says";

/// Starts the library at `path`, else where the environment says, else where the loader finds it.
///
/// # Errors
/// Why it cannot be used, with the fix.
pub(super) fn open(path: Option<&Path>) -> Result<Nvml, Missing> {
    let stated = path.map(|path| path.as_os_str().to_owned()).or_else(|| std::env::var_os(PATH_VARIABLE));
    let library = stated.unwrap_or_else(|| OsString::from(LIBRARY));
    let nvml = Nvml::builder().lib_path(&library).init().map_err(|error| missing(&library, &error))?;
    match nvml.device_count() {
        Ok(0) => Err(lacks("NVML finds no GPU", GIVE_GPU)),
        Ok(_) => Ok(nvml),
        Err(error) => Err(missing(&library, &error)),
    }
}

/// Whether sampling can work here.
///
/// # Errors
/// As [`open`].
pub(super) fn find() -> Result<Found, Missing> {
    let nvml = open(None)?;
    let version = nvml.sys_nvml_version().unwrap_or_else(|_| "unknown".to_owned());
    Ok(Found { version, path: std::env::var_os(PATH_VARIABLE).map(Into::into) })
}

fn lacks(reason: impl Into<String>, fix: &str) -> Missing {
    Missing { reason: reason.into(), fix: fix.to_owned() }
}

fn missing(library: &OsStr, error: &NvmlError) -> Missing {
    let library = library.to_string_lossy();
    match error {
        NvmlError::LibloadingError(cause) => {
            let cause = cause.to_string();
            // The loader's words for a file that is in none of its folders.
            let absent = cause.contains("No such file");
            let reason = if absent { "was not found".to_owned() } else { format!("cannot be loaded: {cause}") };
            lacks(format!("{library} {reason}"), INSTALL)
        }
        NvmlError::FailedToLoadSymbol(_) => lacks(format!("{library} lacks the functions of NVML"), INSTALL),
        NvmlError::DriverNotLoaded => lacks("the NVIDIA driver is not loaded", MODPROBE),
        NvmlError::LibRmVersionMismatch => {
            lacks(format!("{library} and the loaded NVIDIA driver are of different versions"), RELOAD)
        }
        NvmlError::NoPermission => lacks("the NVIDIA driver refuses this user", DEVICE_FILES),
        other => lacks(format!("{library} does not work: {other}"), CHECK),
    }
}

/// What the head of the file says of a device. What cannot be told is absent.
pub(super) fn describe(nvml: &Nvml, index: u32) -> Described {
    let device = nvml.device_by_index(index).ok();
    let ask = device.as_ref();
    let capability = ask.and_then(|device| device.cuda_compute_capability().ok());
    Described {
        device: index,
        name: ask.and_then(|device| device.name().ok()),
        uuid: ask.and_then(|device| device.uuid().ok()),
        pci_bus_id: ask.and_then(|device| Some(device.pci_info().ok()?.bus_id)),
        arch: capability.map(|capability| format!("sm_{}{}", capability.major, capability.minor)),
        memory_bytes: ask.and_then(|device| Some(device.memory_info().ok()?.total)),
        clock_hz: ask.and_then(max_clock),
        power_limit_w: ask.and_then(|device| Some(f64::from(device.enforced_power_limit().ok()?) / 1e3)),
    }
}

fn max_clock(device: &Device<'_>) -> Option<u64> {
    Some(u64::from(device.max_clock_info(Clock::SM).ok()?) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_fix() {
        let of = |error| missing(OsStr::new(LIBRARY), &error).to_string();
        assert!(of(NvmlError::DriverNotLoaded).contains("modprobe nvidia"));
        assert!(of(NvmlError::LibRmVersionMismatch).contains("reboot"));
        assert!(of(NvmlError::NoPermission).contains("/dev/nvidiactl"));
        assert!(of(NvmlError::Unknown).contains("nvidia-smi"));
    }

    #[test]
    fn a_file_that_is_no_library_is_told_from_one_that_is_not_there() {
        let said = |path| open(Some(Path::new(path))).map(drop).unwrap_err().to_string();
        let absent = said("/nowhere/libnvidia-ml.so.1");
        assert!(
            absent.contains("/nowhere/libnvidia-ml.so.1 was not found (hint: install the NVIDIA driver"),
            "{absent}"
        );
        let other = said("/proc/self/status");
        assert!(other.contains("cannot be loaded"), "{other}");
    }
}
