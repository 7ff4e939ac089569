//! What the driver's management library tells about a GPU while its roofs are measured: whether others use it.

use std::ffi::OsString;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;

/// A GPU that nobody uses is busy at most this many percent of the time.
const IDLE_PERCENT: u32 = 5;

/// The library, from where the sampler takes it, too.
fn open() -> Option<Nvml> {
    let stated = std::env::var_os(proftool_capture::profilers::nvml::PATH_VARIABLE);
    let library = stated.unwrap_or_else(|| OsString::from("libnvidia-ml.so.1"));
    Nvml::builder().lib_path(&library).init().ok()
}

/// What else uses a GPU right now, before proftool does. None where nothing does, or nothing is known.
pub(crate) fn busy(uuid: &str) -> Option<String> {
    let nvml = open()?;
    let percent = nvml.device_by_uuid(uuid).ok()?.utilization_rates().ok()?.gpu;
    (percent > IDLE_PERCENT).then(|| format!("another process used the GPU {percent} % of the time before the trials"))
}

/// Modes of a GPU; none where they are not known, or it has no such mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// The driver stays loaded while no program uses the GPU.
    pub(crate) persistent: Option<bool>,
    /// The GPU is cut into slices.
    pub(crate) mig: Option<bool>,
}

/// The modes of a GPU.
pub(crate) fn modes(uuid: &str) -> Modes {
    let Some(nvml) = open() else { return Modes::default() };
    let Ok(device) = nvml.device_by_uuid(uuid) else { return Modes::default() };
    Modes { persistent: device.is_in_persistent_mode().ok(), mig: device.mig_mode().ok().map(|mode| mode.current == 1) }
}

/// Clock of the memory, in Hz.
pub(crate) fn memory_clock_hz(uuid: &str) -> Option<f64> {
    let nvml = open()?;
    let megahertz = nvml.device_by_uuid(uuid).ok()?.clock_info(Clock::Memory).ok()?;
    Some(f64::from(megahertz) * 1e6)
}
