//! What CUPTI tells about a program's calls of the driver, while they are made: launches of kernels, captures of streams,
//! the end of contexts. One subscriber a process is all that CUPTI allows.

use std::ffi::c_void;

use crate::host::{Host, Refusal};
use crate::library::function;
use crate::param_layouts::cbid;
use crate::params::{CallbackData, LaunchKernel, LaunchKernelEx, ResourceData};
use crate::text;

/// `CUPTI_CB_DOMAIN_*`.
const DRIVER: u32 = 1;
const RESOURCE: u32 = 3;
/// `CUPTI_CBID_RESOURCE_CONTEXT_DESTROY_STARTING`.
const CONTEXT_ENDS: u32 = 2;

/// A launch of one kernel, its parameters being those of `cuLaunchKernel`: they are the same of cooperative launches.
const PLAIN: [u32; 4] = [
    cbid::LAUNCH_KERNEL,
    cbid::LAUNCH_KERNEL_PTSZ,
    cbid::LAUNCH_COOPERATIVE_KERNEL,
    cbid::LAUNCH_COOPERATIVE_KERNEL_PTSZ,
];
const EXTENDED: [u32; 2] = [cbid::LAUNCH_KERNEL_EX, cbid::LAUNCH_KERNEL_EX_PTSZ];
/// Launches from before CUDA 4, whose parameters tell no grid.
const OLD: [u32; 3] = [cbid::LAUNCH, cbid::LAUNCH_GRID, cbid::LAUNCH_GRID_ASYNC];
/// Launches of any number of kernels.
const MANY: [u32; 3] = [cbid::GRAPH_LAUNCH, cbid::GRAPH_LAUNCH_PTSZ, cbid::LAUNCH_COOPERATIVE_KERNEL_MULTI_DEVICE];
const CAPTURE_BEGINS: [u32; 6] = [
    cbid::STREAM_BEGIN_CAPTURE,
    cbid::STREAM_BEGIN_CAPTURE_PTSZ,
    cbid::STREAM_BEGIN_CAPTURE_V2,
    cbid::STREAM_BEGIN_CAPTURE_V2_PTSZ,
    cbid::STREAM_BEGIN_CAPTURE_TO_GRAPH,
    cbid::STREAM_BEGIN_CAPTURE_TO_GRAPH_PTSZ,
];
const CAPTURE_ENDS: [u32; 2] = [cbid::STREAM_END_CAPTURE, cbid::STREAM_END_CAPTURE_PTSZ];
/// `CUDA_ERROR_INVALID_VALUE`, `..._INVALID_HANDLE`, `..._ILLEGAL_STATE`, `..._STREAM_CAPTURE_UNMATCHED`,
/// `..._STREAM_CAPTURE_WRONG_THREAD`: of an end that ended no capture. All others did, though it was of no use.
const NOT_ENDED: [u32; 5] = [1, 400, 401, 903, 908];

/// A launch, as its call tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) correlation: u32,
    /// The kernel's mangled name; `None` of a graph.
    pub(crate) name: Option<String>,
    /// Grid and block.
    pub(crate) dimensions: Option<[u32; 6]>,
    /// Whether it may be any number of kernels.
    pub(crate) many: bool,
}

/// What happens in the program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A launch in a context (its address and CUPTI's number of it) is about to be called.
    Launching {
        context: usize,
        number: u32,
        launch: Launch,
    },
    /// It has been called, and failed or not.
    Launched {
        context: usize,
        correlation: u32,
        failed: bool,
    },
    /// A stream is about to be captured, or could not be.
    CaptureBegins,
    CaptureFailed,
    /// The capture of a stream has ended.
    CaptureEnded,
    /// A context is about to be destroyed.
    ContextEnds {
        context: usize,
    },
}

/// `CUpti_CallbackFunc`.
pub(crate) type Callback = extern "C" fn(*mut c_void, u32, u32, *const c_void);
type Subscribe = unsafe extern "C" fn(*mut *mut c_void, Callback, *mut c_void) -> u32;
type EnableCallback = unsafe extern "C" fn(u32, *mut c_void, u32, u32) -> u32;

/// Has the callback called for everything that [`event`] reads, from now on.
pub(crate) fn subscribe(host: &Host, callback: Callback) -> Result<(), Refusal> {
    let library = host.library();
    let subscribe = function!(library, c"cuptiSubscribe", Subscribe);
    let enable = function!(library, c"cuptiEnableCallback", EnableCallback);
    let mut subscriber = std::ptr::null_mut();
    // SAFETY: the function is one of this library, which stays loaded, with the type that CUPTI calls.
    let status = unsafe { subscribe(&raw mut subscriber, callback, std::ptr::null_mut()) };
    host.check("cuptiSubscribe", status)?;
    let needed = PLAIN.iter().chain(&EXTENDED).chain(&MANY).chain(&CAPTURE_BEGINS[..4]).chain(&CAPTURE_ENDS);
    for number in needed {
        // SAFETY: the subscriber is CUPTI's.
        host.check("cuptiEnableCallback", unsafe { enable(1, subscriber, DRIVER, *number) })?;
    }
    for number in OLD.iter().chain(&CAPTURE_BEGINS[4..]) {
        // SAFETY: as above. A release may lack these.
        unsafe { enable(1, subscriber, DRIVER, *number) };
    }
    // SAFETY: as above.
    host.check("cuptiEnableCallback", unsafe { enable(1, subscriber, RESOURCE, CONTEXT_ENDS) })
}

/// What a call of the callback says; `None` for what is of no concern.
///
/// # Safety
/// The arguments are those that CUPTI has called the callback with.
pub(crate) unsafe fn event(domain: u32, number: u32, data: *const c_void) -> Option<Event> {
    if data.is_null() {
        return None;
    }
    if (domain, number) == (RESOURCE, CONTEXT_ENDS) {
        // SAFETY: this is what CUPTI passes in this domain.
        let data = unsafe { &*data.cast::<ResourceData>() };
        return Some(Event::ContextEnds { context: data.context as usize });
    }
    if domain != DRIVER {
        return None;
    }
    // SAFETY: this is what CUPTI passes in this domain.
    let data = unsafe { &*data.cast::<CallbackData>() };
    let entered = data.site == 0;
    // SAFETY: after the call, CUPTI points at what it returned, or at nothing.
    let status = if entered || data.returned.is_null() { 0 } else { unsafe { *data.returned } };
    let failed = status != 0;
    if CAPTURE_BEGINS.contains(&number) {
        let failed = failed.then_some(Event::CaptureFailed);
        return if entered { Some(Event::CaptureBegins) } else { failed };
    }
    if CAPTURE_ENDS.contains(&number) {
        return (!entered && !NOT_ENDED.contains(&status)).then_some(Event::CaptureEnded);
    }
    let context = data.context as usize;
    if !entered {
        return Some(Event::Launched { context, correlation: data.correlation, failed });
    }
    // SAFETY: the caller's promise.
    let launch = unsafe { launch(number, data) };
    Some(Event::Launching { context, number: data.context_number, launch })
}

/// # Safety
/// The data is what CUPTI passes before a launch.
unsafe fn launch(number: u32, data: &CallbackData) -> Launch {
    let many = MANY.contains(&number);
    // SAFETY: of a launch, CUPTI points at the kernel's name; of a graph, it says nothing.
    let name = if many { None } else { unsafe { text::owned(data.symbol) } };
    let known = !data.parameters.is_null();
    let dimensions = if known && PLAIN.contains(&number) {
        // SAFETY: CUPTI points at the parameters of this function.
        Some(unsafe { (*data.parameters.cast::<LaunchKernel>()).dimensions })
    } else if known && EXTENDED.contains(&number) {
        // SAFETY: as above; they point at the program's configuration, or at nothing, which the driver will refuse.
        unsafe { (*data.parameters.cast::<LaunchKernelEx>()).dimensions.as_ref() }.copied()
    } else {
        None
    };
    Launch { correlation: data.correlation, name, dimensions, many }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(site: u32) -> CallbackData {
        // SAFETY: the fields are numbers and pointers, for which zero is a value.
        let mut data: CallbackData = unsafe { std::mem::zeroed() };
        (data.site, data.context, data.context_number, data.correlation) = (site, 64 as *mut c_void, 2, 7);
        data
    }

    fn of(number: u32, data: &CallbackData) -> Option<Event> {
        // SAFETY: the data is laid out as CUPTI does.
        unsafe { event(DRIVER, number, std::ptr::from_ref(data).cast()) }
    }

    #[test]
    fn a_launch_is_read_with_its_kernel_and_its_grid_whichever_function_makes_it() {
        let plain = LaunchKernel { function: std::ptr::null_mut(), dimensions: [4, 5, 6, 128, 2, 1] };
        let extended = LaunchKernelEx { dimensions: &raw const plain.dimensions };
        let mut call = data(0);
        call.symbol = c"_Z4gemmPf".as_ptr();
        for (number, parameters) in [
            (cbid::LAUNCH_KERNEL, (&raw const plain).cast()),
            (cbid::LAUNCH_KERNEL_EX_PTSZ, (&raw const extended).cast::<c_void>()),
        ] {
            call.parameters = parameters;
            let Some(Event::Launching { context: 64, number: 2, launch }) = of(number, &call) else { panic!() };
            assert_eq!((launch.name.as_deref(), launch.correlation), (Some("_Z4gemmPf"), 7));
            assert_eq!((launch.dimensions, launch.many), (Some([4, 5, 6, 128, 2, 1]), false));
        }
        let Some(Event::Launching { launch, .. }) = of(cbid::GRAPH_LAUNCH, &call) else { panic!() };
        assert_eq!(launch, Launch { correlation: 7, many: true, ..Launch::default() });
    }

    #[test]
    fn ends_of_calls_tell_whether_they_failed() {
        let (mut after, error) = (data(1), 700);
        assert_eq!(
            of(cbid::LAUNCH_KERNEL, &after),
            Some(Event::Launched { context: 64, correlation: 7, failed: false })
        );
        after.returned = &raw const error;
        assert_eq!(
            of(cbid::LAUNCH_KERNEL, &after),
            Some(Event::Launched { context: 64, correlation: 7, failed: true })
        );
        assert_eq!(of(cbid::STREAM_BEGIN_CAPTURE, &after), Some(Event::CaptureFailed));
        assert_eq!(of(cbid::STREAM_END_CAPTURE, &after), Some(Event::CaptureEnded));
        assert_eq!(of(cbid::STREAM_END_CAPTURE, &data(0)), None);
        let wrong_thread = 908;
        after.returned = &raw const wrong_thread;
        assert_eq!(of(cbid::STREAM_END_CAPTURE, &after), None, "the capture goes on");
    }
}
