//! CUPTI's range profiler, which counts on a context: one range a kernel, each run again as often as the metrics need.

use std::ffi::{CStr, CString, c_void};

use crate::host::{Chip, Host, Refusal};
use crate::library::function;
use crate::params::{
    Availability, DataInfo, DataInitialize, DataSize, Decode, Disable, Enable, EnableCaches, Names, Pop,
    ProfilerInitialize, Push, SetConfig, Start, Stop,
};

/// `CUPTI_AutoRange`, `CUPTI_KernelReplay`.
const AUTO_RANGE: u32 = 1;
const KERNEL_REPLAY: u32 = 2;
/// `CUPTI_CACHE_CONTROL_MODE_ALL`: each pass begins with empty caches, as those of ncu do.
const EMPTY_CACHES: u32 = 1;
/// CUDA 13.4, whose profiler can empty the caches.
const WITH_CACHES: u32 = 130_400;

type Call<P> = unsafe extern "C" fn(*mut P) -> u32;

/// The functions.
pub(crate) struct Ranges {
    host: &'static Host,
    initialize: Call<ProfilerInitialize>,
    availability: Call<Availability>,
    enable: Call<Enable>,
    enable_caches: Call<EnableCaches>,
    disable: Call<Disable>,
    data_size: Call<DataSize>,
    data_initialize: Call<DataInitialize>,
    set_config: Call<SetConfig>,
    start: Call<Start>,
    stop: Call<Stop>,
    push: Call<Push>,
    pop: Call<Pop>,
    decode: Call<Decode>,
    data_info: Call<DataInfo>,
}

impl Ranges {
    pub(crate) fn of(host: &'static Host) -> Result<Self, Refusal> {
        let library = host.library();
        Ok(Self {
            host,
            initialize: function!(library, c"cuptiProfilerInitialize", Call<ProfilerInitialize>),
            availability: function!(library, c"cuptiProfilerGetCounterAvailability", Call<Availability>),
            enable: function!(library, c"cuptiRangeProfilerEnable", Call<Enable>),
            enable_caches: function!(library, c"cuptiRangeProfilerEnable", Call<EnableCaches>),
            disable: function!(library, c"cuptiRangeProfilerDisable", Call<Disable>),
            data_size: function!(library, c"cuptiRangeProfilerGetCounterDataSize", Call<DataSize>),
            data_initialize: function!(library, c"cuptiRangeProfilerCounterDataImageInitialize", Call<DataInitialize>),
            set_config: function!(library, c"cuptiRangeProfilerSetConfig", Call<SetConfig>),
            start: function!(library, c"cuptiRangeProfilerStart", Call<Start>),
            stop: function!(library, c"cuptiRangeProfilerStop", Call<Stop>),
            push: function!(library, c"cuptiRangeProfilerPushRange", Call<Push>),
            pop: function!(library, c"cuptiRangeProfilerPopRange", Call<Pop>),
            decode: function!(library, c"cuptiRangeProfilerDecodeData", Call<Decode>),
            data_info: function!(library, c"cuptiRangeProfilerGetCounterDataInfo", Call<DataInfo>),
        })
    }

    /// Initialises the profiler, and gives what a context's GPU lets be counted.
    pub(crate) fn available(&self, context: usize) -> Result<Vec<u8>, Refusal> {
        let mut initialize = ProfilerInitialize::new();
        // SAFETY: here and below the structure is the header's, and what it points at lives.
        self.host.check("cuptiProfilerInitialize", unsafe { (self.initialize)(&raw mut initialize) })?;
        let name = "cuptiProfilerGetCounterAvailability";
        let mut params = Availability::new();
        params.context = context as *mut c_void;
        // SAFETY: a null image asks for its size.
        self.host.check(name, unsafe { (self.availability)(&raw mut params) })?;
        let mut image = vec![0; params.bytes];
        params.image = image.as_mut_ptr();
        // SAFETY: the image has the stated length.
        self.host.check(name, unsafe { (self.availability)(&raw mut params) })?;
        Ok(image)
    }
}

/// The profiler of one context.
pub(crate) struct Profiler {
    ranges: &'static Ranges,
    chip: Chip<'static>,
    /// The profiler's object, which the functions take; a number, since a pointer can't go from thread to thread.
    object: usize,
    metrics: Vec<CString>,
    config: Vec<u8>,
    data: Vec<u8>,
    /// Runs of each kernel.
    pub(crate) passes: usize,
    /// Kernels whose data fits at a time.
    pub(crate) capacity: usize,
    /// Whether each pass begins with empty caches.
    pub(crate) empty_caches: bool,
}

/// What decoding gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Ranges that have values.
    pub(crate) ranges: usize,
    /// Ranges for which the image had no room.
    pub(crate) dropped: usize,
    /// Whether every run that the metrics need has been made.
    pub(crate) complete: bool,
}

impl Profiler {
    /// A profiler that counts these metrics, all of which the chip accepts, for up to `capacity` kernels at a time, or for
    /// as many fewer as CUPTI agrees to.
    pub(crate) fn enable(
        ranges: &'static Ranges,
        chip: Chip<'static>,
        context: usize,
        metrics: Vec<CString>,
        capacity: usize,
    ) -> Result<Self, Refusal> {
        chip.add(&references(&metrics))?;
        let mut config = chip.config()?;
        let passes = ranges.host.passes(&mut config)?;
        let empty_caches = ranges.host.version() >= WITH_CACHES;
        let object = enabled(ranges, context, empty_caches)?;
        let data = Vec::new();
        let mut profiler = Self { ranges, chip, object, metrics, config, data, passes, capacity, empty_caches };
        // A profiler that is dropped is disabled.
        loop {
            match profiler.configure() {
                Err(_) if profiler.capacity > 1 => profiler.capacity /= 2,
                done => return done.map(|()| profiler),
            }
        }
    }

    fn object(&self) -> *mut c_void {
        self.object as *mut c_void
    }

    fn check(&self, call: &'static str, status: u32) -> Result<(), Refusal> {
        self.ranges.host.check(call, status)
    }

    /// Makes an image of the wanted size and states how to count.
    fn configure(&mut self) -> Result<(), Refusal> {
        let names: Vec<_> = self.metrics.iter().map(|name| name.as_ptr()).collect();
        let mut size = DataSize::new();
        (size.object, size.names, size.count) = (self.object(), names.as_ptr() as Names, names.len());
        // The tree has at least a node a range, and one more where a range surrounds them.
        (size.ranges, size.nodes) = (self.capacity, 2 * self.capacity as u32 + 1);
        // SAFETY: here and below the structure is the header's, the object is enabled, and what it points at lives.
        let status = unsafe { (self.ranges.data_size)(&raw mut size) };
        self.check("cuptiRangeProfilerGetCounterDataSize", status)?;
        if self.data.len() != size.bytes {
            self.data = vec![0; size.bytes];
        }
        self.empty()?;
        let mut params = SetConfig::new();
        params.object = self.object();
        (params.config, params.config_bytes) = (self.config.as_ptr(), self.config.len());
        (params.image, params.image_bytes) = (self.data.as_mut_ptr(), self.data.len());
        (params.range, params.replay, params.ranges_a_pass) = (AUTO_RANGE, KERNEL_REPLAY, self.capacity);
        (params.levels, params.first_level, params.level) = (1, 1, 1);
        // SAFETY: as above; CUPTI keeps the addresses of both images, which stay until it is disabled or told others.
        self.check("cuptiRangeProfilerSetConfig", unsafe { (self.ranges.set_config)(&raw mut params) })
    }

    /// Empties the image.
    fn empty(&mut self) -> Result<(), Refusal> {
        let mut params = DataInitialize::new();
        (params.object, params.image, params.bytes) = (self.object(), self.data.as_mut_ptr(), self.data.len());
        // SAFETY: as in `configure`.
        let status = unsafe { (self.ranges.data_initialize)(&raw mut params) };
        self.check("cuptiRangeProfilerCounterDataImageInitialize", status)
    }

    /// Counts from the next kernel on. `within` surrounds the kernels with a range.
    pub(crate) fn start(&mut self, within: bool) -> Result<(), Refusal> {
        if self.begin().is_err() {
            // A second session may need its configuration again.
            self.configure()?;
            self.begin()?;
        }
        if !within {
            return Ok(());
        }
        let mut params = Push::new();
        (params.object, params.name) = (self.object(), c"proftool".as_ptr());
        // SAFETY: as in `configure`.
        let pushed = self.check("cuptiRangeProfilerPushRange", unsafe { (self.ranges.push)(&raw mut params) });
        // What has begun must end before it can begin otherwise.
        pushed.map_err(|refusal| self.stop(false).err().unwrap_or(refusal))
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        let mut params = Start::new();
        params.object = self.object();
        // SAFETY: as in `configure`.
        self.check("cuptiRangeProfilerStart", unsafe { (self.ranges.start)(&raw mut params) })
    }

    /// Ends what `start` began, and has its data brought from the GPU.
    pub(crate) fn stop(&mut self, within: bool) -> Result<Decoded, Refusal> {
        if within {
            let mut params = Pop::new();
            params.object = self.object();
            // SAFETY: here and below as in `configure`.
            self.check("cuptiRangeProfilerPopRange", unsafe { (self.ranges.pop)(&raw mut params) })?;
        }
        let mut stop = Stop::new();
        stop.object = self.object();
        // SAFETY: see above.
        self.check("cuptiRangeProfilerStop", unsafe { (self.ranges.stop)(&raw mut stop) })?;
        let mut decode = Decode::new();
        decode.object = self.object();
        // SAFETY: see above.
        self.check("cuptiRangeProfilerDecodeData", unsafe { (self.ranges.decode)(&raw mut decode) })?;
        let mut info = DataInfo::new();
        (info.image, info.bytes) = (self.data.as_ptr(), self.data.len());
        // SAFETY: see above.
        self.check("cuptiRangeProfilerGetCounterDataInfo", unsafe { (self.ranges.data_info)(&raw mut info) })?;
        let complete = stop.all_submitted != 0;
        Ok(Decoded { ranges: info.ranges, dropped: decode.dropped, complete })
    }

    /// The values of every metric in a decoded range, in their order; not a number where CUPTI has none.
    pub(crate) fn values(&self, range: usize) -> Result<Vec<f64>, Refusal> {
        let names = references(&self.metrics);
        self.chip.evaluate(&self.data, range, &names).or_else(|refusal| {
            // One metric without a value must not cost the others theirs.
            let one =
                |name: &&CStr| self.chip.evaluate(&self.data, range, &[name]).ok().and_then(|of| of.first().copied());
            let values: Vec<f64> = names.iter().map(|name| one(name).unwrap_or(f64::NAN)).collect();
            if values.iter().all(|value| value.is_nan()) { Err(refusal) } else { Ok(values) }
        })
    }

    /// Makes room for the next kernels, once the values are taken.
    pub(crate) fn clear(&mut self) -> Result<(), Refusal> {
        self.empty()
    }

    /// Names of the metrics.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().filter_map(|name| name.to_str().ok())
    }

    /// The unit of a metric's counter, in CUPTI's words.
    pub(crate) fn unit(&self, metric: &str) -> Option<String> {
        self.chip.unit(metric).ok().flatten()
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        let mut params = Disable::new();
        params.object = self.object();
        // SAFETY: the object is enabled, and nobody has it any more. A failure leaves it as it is.
        unsafe { (self.ranges.disable)(&raw mut params) };
    }
}

/// Enables the profiler of a context; its object.
fn enabled(ranges: &Ranges, context: usize, empty_caches: bool) -> Result<usize, Refusal> {
    let context = context as *mut c_void;
    let name = "cuptiRangeProfilerEnable";
    if empty_caches {
        let mut params = EnableCaches::new();
        (params.context, params.caches) = (context, EMPTY_CACHES);
        // SAFETY: the structure is the header's, the context is one that the driver has just told.
        ranges.host.check(name, unsafe { (ranges.enable_caches)(&raw mut params) })?;
        return Ok(params.object as usize);
    }
    let mut params = Enable::new();
    params.context = context;
    // SAFETY: as above.
    ranges.host.check(name, unsafe { (ranges.enable)(&raw mut params) })?;
    Ok(params.object as usize)
}

fn references(names: &[CString]) -> Vec<&CStr> {
    names.iter().map(CString::as_c_str).collect()
}
