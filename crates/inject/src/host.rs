//! CUPTI's host profiler: which metrics a chip has, how many passes a set of them takes, and their values. Listing,
//! scheduling and counting passes need no GPU.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;

use crate::driver;
use crate::library::{Library, ResultText, function, status_text};
use crate::params::{
    AddMetrics, BaseMetrics, ChipName, Chips, ConfigImage, ConfigSize, Evaluate, HostDeinitialize, HostInitialize,
    Passes, Properties,
};
use crate::text;

/// `CUPTI_API_VERSION` of CUDA 12.6 Update 2, the first with these functions.
pub const OLDEST_PROFILER: u32 = 24;
/// `CUPTI_PROFILER_TYPE_RANGE_PROFILER`.
const RANGES: u32 = 0;

/// What a function of CUPTI refused, or which was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The function.
    pub call: &'static str,
    /// `CUptiResult`; 0 where there was no call.
    pub status: u32,
    /// CUPTI's word for it, or a sentence.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.call.is_empty() { out.write_str(&self.reason) } else { write!(out, "{}: {}", self.call, self.reason) }
    }
}

impl std::error::Error for Refusal {}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { call: "", status: 0, reason }
    }
}

/// What a metric is, which decides its suffixes (`CUpti_MetricType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Takes `.sum`, `.avg`, `.min`, `.max` and what follows from them.
    Counter,
    /// Takes `.pct`, `.ratio`, `.max_rate`.
    Ratio,
    /// Takes the rollups with `.pct_of_peak_...` behind them.
    Throughput,
}

impl MetricKind {
    /// Every kind, in CUPTI's order.
    pub const ALL: [Self; 3] = [Self::Counter, Self::Ratio, Self::Throughput];
}

type Call<P> = unsafe extern "C" fn(*mut P) -> u32;

/// The functions, of a loaded CUPTI.
pub struct Host {
    version: u32,
    library: Library,
    result: ResultText,
    initialize: Call<HostInitialize>,
    deinitialize: Call<HostDeinitialize>,
    chips: Call<Chips>,
    base_metrics: Call<BaseMetrics>,
    properties: Call<Properties>,
    add: Call<AddMetrics>,
    config_size: Call<ConfigSize>,
    config_image: Call<ConfigImage>,
    passes: Call<Passes>,
    evaluate: Call<Evaluate>,
    chip_name: Call<ChipName>,
    // Nothing says that two threads may ask at once.
    one: Mutex<()>,
}

impl Host {
    /// Loads a CUPTI, or the one that `PROFTOOL_CUPTI_PATH` and the usual places give.
    ///
    /// # Errors
    /// When there is none, or one that is older than CUDA 12.6.
    pub fn load(path: Option<&Path>) -> Result<Self, Refusal> {
        let library = match path {
            Some(path) => Library::open(path, false).ok_or_else(|| format!("{} cannot be loaded", path.display()))?,
            None => Library::cupti().ok_or_else(|| "CUPTI was not found".to_owned())?,
        };
        Self::of(library)
    }

    pub(crate) fn of(library: Library) -> Result<Self, Refusal> {
        let mut version = 0;
        let ask = function!(library, c"cuptiGetVersion", unsafe extern "C" fn(*mut u32) -> u32);
        // SAFETY: the pointer is to a number that lives.
        unsafe { ask(&raw mut version) };
        if version < OLDEST_PROFILER {
            return Err(format!(
                "CUPTI has version {version}, and counters need at least {OLDEST_PROFILER}, of CUDA 12.6 (hint: `pip \
                 install nvidia-cuda-cupti-cu12`, and name its libcupti.so.12 with PROFTOOL_CUPTI_PATH)"
            )
            .into());
        }
        library.load_beside();
        Ok(Self {
            version,
            library,
            result: function!(library, c"cuptiGetResultString", ResultText),
            initialize: function!(library, c"cuptiProfilerHostInitialize", Call<HostInitialize>),
            deinitialize: function!(library, c"cuptiProfilerHostDeinitialize", Call<HostDeinitialize>),
            chips: function!(library, c"cuptiProfilerHostGetSupportedChips", Call<Chips>),
            base_metrics: function!(library, c"cuptiProfilerHostGetBaseMetrics", Call<BaseMetrics>),
            properties: function!(library, c"cuptiProfilerHostGetMetricProperties", Call<Properties>),
            add: function!(library, c"cuptiProfilerHostConfigAddMetrics", Call<AddMetrics>),
            config_size: function!(library, c"cuptiProfilerHostGetConfigImageSize", Call<ConfigSize>),
            config_image: function!(library, c"cuptiProfilerHostGetConfigImage", Call<ConfigImage>),
            passes: function!(library, c"cuptiProfilerHostGetNumOfPasses", Call<Passes>),
            evaluate: function!(library, c"cuptiProfilerHostEvaluateToGpuValues", Call<Evaluate>),
            chip_name: function!(library, c"cuptiDeviceGetChipName", Call<ChipName>),
            one: Mutex::default(),
        })
    }

    /// `CUPTI_API_VERSION`: 24 to 28 of CUDA 12.6 to 12.9, 130000 and on from CUDA 13.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn library(&self) -> Library {
        self.library
    }

    pub(crate) fn check(&self, call: &'static str, status: u32) -> Result<(), Refusal> {
        if status == 0 {
            return Ok(());
        }
        Err(Refusal { call, status, reason: status_text(self.result, status) })
    }

    /// Names of the chips that it knows (`GH100`), some of which only older profilers take.
    ///
    /// # Errors
    /// What CUPTI says.
    pub fn chips(&self) -> Result<Vec<String>, Refusal> {
        let mut params = Chips::new();
        let _one = self.one.lock();
        // SAFETY: the structure is the header's, and lives.
        self.check("cuptiProfilerHostGetSupportedChips", unsafe { (self.chips)(&raw mut params) })?;
        // SAFETY: CUPTI has set both: an array of its own with that many strings.
        Ok(unsafe { strings(params.names, params.count) })
    }

    /// The chip of a device, which takes a driver that is initialised.
    ///
    /// # Errors
    /// What CUPTI says.
    pub fn chip_of(&self, device: usize) -> Result<String, Refusal> {
        let mut params = ChipName::new();
        params.device = device;
        // SAFETY: the structure is the header's, and lives.
        self.check("cuptiDeviceGetChipName", unsafe { (self.chip_name)(&raw mut params) })?;
        // SAFETY: CUPTI has set it to a string of its own.
        unsafe { text::owned(params.name) }.ok_or_else(|| "cuptiDeviceGetChipName gave no name".to_owned().into())
    }

    /// The chips of the devices that this process may use. It initialises the driver: ask in a child process.
    ///
    /// # Errors
    /// When there is no driver, or it does not work; what CUPTI says.
    pub fn device_chips(&self) -> Result<Vec<String>, Refusal> {
        (0..driver::devices()?).map(|device| self.chip_of(device)).collect()
    }

    /// Opens a chip. `availability` is what a context's GPU lets be counted, empty where there is no GPU.
    ///
    /// # Errors
    /// What CUPTI says, of a chip before Turing that it does not support (`CUPTI_ERROR_NOT_SUPPORTED`, 27).
    pub fn chip(&self, name: &str, availability: Vec<u8>) -> Result<Chip<'_>, Refusal> {
        let chip = c_string(name)?;
        let mut params = HostInitialize::new();
        (params.kind, params.chip) = (RANGES, chip.as_ptr());
        if !availability.is_empty() {
            params.availability = availability.as_ptr();
        }
        let _one = self.one.lock();
        // SAFETY: the structure is the header's; what it points at lives as long as the chip.
        self.check("cuptiProfilerHostInitialize", unsafe { (self.initialize)(&raw mut params) })?;
        Ok(Chip { host: self, object: params.host, _name: chip, _availability: availability })
    }

    /// How often a kernel runs to be counted as a configuration says.
    ///
    /// # Errors
    /// What CUPTI says.
    pub fn passes(&self, config: &mut [u8]) -> Result<usize, Refusal> {
        let mut params = Passes::new();
        (params.bytes, params.image) = (config.len(), config.as_mut_ptr());
        let _one = self.one.lock();
        // SAFETY: the structure is the header's; the image has the stated length.
        self.check("cuptiProfilerHostGetNumOfPasses", unsafe { (self.passes)(&raw mut params) })?;
        Ok(params.count)
    }
}

/// A chip whose metrics can be listed, scheduled and evaluated.
pub struct Chip<'a> {
    host: &'a Host,
    object: *mut c_void,
    _name: CString,
    _availability: Vec<u8>,
}

// SAFETY: the object belongs to no thread, and every call of its functions takes the host's lock.
unsafe impl Send for Chip<'_> {}

impl Chip<'_> {
    /// Names of all metrics of a kind, without suffixes.
    ///
    /// # Errors
    /// What CUPTI says.
    pub fn metrics(&self, kind: MetricKind) -> Result<Vec<String>, Refusal> {
        let mut params = BaseMetrics::new();
        (params.host, params.kind) = (self.object, kind as u32);
        let _one = self.host.one.lock();
        // SAFETY: the structure is the header's, the object is open.
        let status = unsafe { (self.host.base_metrics)(&raw mut params) };
        self.host.check("cuptiProfilerHostGetBaseMetrics", status)?;
        // SAFETY: CUPTI has set both: an array of its own with that many strings.
        Ok(unsafe { strings(params.names, params.count) })
    }

    /// The unit of what a metric counts, in CUPTI's words (`byte`, `nanosecond`); a rate's is that of its counter.
    ///
    /// # Errors
    /// When the chip has no such metric.
    pub fn unit(&self, metric: &str) -> Result<Option<String>, Refusal> {
        let name = c_string(metric)?;
        let mut params = Properties::new();
        (params.host, params.name) = (self.object, name.as_ptr());
        let _one = self.host.one.lock();
        // SAFETY: the structure is the header's, the object is open, the name lives.
        let status = unsafe { (self.host.properties)(&raw mut params) };
        self.host.check("cuptiProfilerHostGetMetricProperties", status)?;
        // SAFETY: CUPTI has left it null or set it to a string of its own.
        Ok(unsafe { text::owned(params.unit) }.filter(|unit| !unit.is_empty()))
    }

    /// Has metrics counted from now on, by their full names.
    ///
    /// # Errors
    /// When the chip does not have one of them: then none of them counts as added.
    pub fn add(&self, metrics: &[&CStr]) -> Result<(), Refusal> {
        let names: Vec<*const c_char> = metrics.iter().map(|name| name.as_ptr()).collect();
        let mut params = AddMetrics::new();
        (params.host, params.names, params.count) = (self.object, names.as_ptr(), names.len());
        let _one = self.host.one.lock();
        // SAFETY: the structure is the header's, the object is open, the names live.
        self.host.check("cuptiProfilerHostConfigAddMetrics", unsafe { (self.host.add)(&raw mut params) })
    }

    /// The configuration that counts the added metrics.
    ///
    /// # Errors
    /// What CUPTI says.
    pub fn config(&self) -> Result<Vec<u8>, Refusal> {
        let mut size = ConfigSize::new();
        size.host = self.object;
        let _one = self.host.one.lock();
        // SAFETY: the structure is the header's, the object is open.
        let status = unsafe { (self.host.config_size)(&raw mut size) };
        self.host.check("cuptiProfilerHostGetConfigImageSize", status)?;
        let mut image = vec![0; size.bytes];
        let mut params = ConfigImage::new();
        (params.host, params.bytes, params.image) = (self.object, image.len(), image.as_mut_ptr());
        // SAFETY: as above; the image has the stated length.
        self.host.check("cuptiProfilerHostGetConfigImage", unsafe { (self.host.config_image)(&raw mut params) })?;
        Ok(image)
    }

    /// The values of metrics in one range of decoded data.
    ///
    /// # Errors
    /// What CUPTI says.
    pub(crate) fn evaluate(&self, data: &[u8], range: usize, metrics: &[&CStr]) -> Result<Vec<f64>, Refusal> {
        let names: Vec<*const c_char> = metrics.iter().map(|name| name.as_ptr()).collect();
        let mut values = vec![f64::NAN; names.len()];
        let mut params = Evaluate::new();
        (params.host, params.image, params.bytes, params.range) = (self.object, data.as_ptr(), data.len(), range);
        (params.names, params.count, params.values) = (names.as_ptr(), names.len(), values.as_mut_ptr());
        let _one = self.host.one.lock();
        // SAFETY: the structure is the header's, the object is open; names, data and values have the stated lengths.
        let status = unsafe { (self.host.evaluate)(&raw mut params) };
        self.host.check("cuptiProfilerHostEvaluateToGpuValues", status)?;
        Ok(values)
    }
}

impl Drop for Chip<'_> {
    fn drop(&mut self) {
        let mut params = HostDeinitialize::new();
        params.host = self.object;
        let _one = self.host.one.lock();
        // SAFETY: the object is open, and nobody has it any more. A failure leaves it open.
        unsafe { (self.host.deinitialize)(&raw mut params) };
    }
}

pub(crate) fn c_string(text: &str) -> Result<CString, Refusal> {
    CString::new(text).map_err(|_| format!("the name {text:?} holds a zero byte").into())
}

/// Copies of strings.
///
/// # Safety
/// The array is null or has that many strings, each null or ending in a zero byte.
unsafe fn strings(names: *const *const c_char, count: usize) -> Vec<String> {
    if names.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    (0..count).filter_map(|index| unsafe { text::owned(*names.add(index)) }).collect()
}
