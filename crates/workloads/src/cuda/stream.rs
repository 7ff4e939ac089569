//! Streams, events, and graphs captured from them.

use std::sync::Arc;

use cudarc::driver::sys::{self, CUevent, CUgraphExec, CUresult, CUstream};

use super::context::Context;
use super::status;
use crate::Error;

/// A stream that does not wait for the default stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Its context.
    pub(crate) context: Arc<Context>,
    handle: CUstream,
}

impl Stream {
    pub(crate) fn new(context: &Arc<Context>) -> Result<Self, Error> {
        context.bind()?;
        let mut handle = std::ptr::null_mut();
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: a context is current; the handle is filled.
        status::driver("cuStreamCreate", unsafe { sys::cuStreamCreate(&raw mut handle, flags) })?;
        Ok(Self { context: Arc::clone(context), handle })
    }

    /// The driver's handle.
    pub(crate) fn handle(&self) -> CUstream {
        self.handle
    }

    /// Blocks until it has done all that it was given.
    pub(crate) fn synchronize(&self) -> Result<(), Error> {
        // SAFETY: the stream lives as long as this value.
        status::driver("cuStreamSynchronize", unsafe { sys::cuStreamSynchronize(self.handle) })
    }

    /// Makes what it is given next wait for the event's latest record.
    pub(crate) fn wait(&self, event: &Event) -> Result<(), Error> {
        // SAFETY: both handles are valid; flags must be 0 outside of graphs' external waits.
        status::driver("cuStreamWaitEvent", unsafe { sys::cuStreamWaitEvent(self.handle, event.handle, 0) })
    }

    /// Begins to record what this stream, and those that wait for it, are given, instead of doing it.
    pub(crate) fn begin_capture(&self) -> Result<(), Error> {
        // Calls of this thread that would break the capture are errors; other threads are left alone.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream lives as long as this value.
        let status = unsafe { sys::cuStreamBeginCapture_v2(self.handle, mode) };
        status::driver("cuStreamBeginCapture_v2", status)
    }

    /// Ends the capture; gives a graph that can be launched.
    pub(crate) fn end_capture(&self) -> Result<Graph, Error> {
        let mut graph = std::ptr::null_mut();
        // SAFETY: the stream lives as long as this value; the handle is filled, with null where the capture was broken.
        let status = unsafe { sys::cuStreamEndCapture(self.handle, &raw mut graph) };
        let ended = status::driver("cuStreamEndCapture", status);
        if ended.is_err() || graph.is_null() {
            return Err(ended.err().unwrap_or_else(|| Error::Cuda {
                call: "cuStreamEndCapture",
                code: 0,
                name: "no graph".to_owned(),
                text: "the capture was broken by a call before".to_owned(),
                hint: "run with --set graph=off",
            }));
        }
        let mut handle = std::ptr::null_mut();
        // SAFETY: the graph is valid; the handle is filled. The template is not needed after it.
        let status = unsafe {
            let status = sys::cuGraphInstantiateWithFlags(&raw mut handle, graph, 0);
            let _ = sys::cuGraphDestroy(graph);
            status
        };
        status::driver("cuGraphInstantiateWithFlags", status)?;
        Ok(Graph { context: Arc::clone(&self.context), handle })
    }

    /// Ends a capture that failed, so that the stream can be used again.
    pub(crate) fn abandon_capture(&self) {
        let mut graph = std::ptr::null_mut();
        // SAFETY: as above. The error that broke the capture has been told.
        unsafe {
            let _ = sys::cuStreamEndCapture(self.handle, &raw mut graph);
            if !graph.is_null() {
                let _ = sys::cuGraphDestroy(graph);
            }
        }
    }

    /// Starts a graph after what this stream was given before.
    pub(crate) fn launch(&self, graph: &Graph) -> Result<(), Error> {
        // SAFETY: both handles are valid.
        status::driver("cuGraphLaunch", unsafe { sys::cuGraphLaunch(graph.handle, self.handle) })
    }

    /// Brings a graph to the GPU, so that its first launch does not.
    pub(crate) fn upload(&self, graph: &Graph) -> Result<(), Error> {
        // SAFETY: both handles are valid.
        status::driver("cuGraphUpload", unsafe { sys::cuGraphUpload(graph.handle, self.handle) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: created once by this value; what it was given still runs to its end.
        let _ = unsafe { sys::cuStreamDestroy_v2(self.handle) };
    }
}

/// A graph that can be launched.
#[derive(Debug)]
pub(crate) struct Graph {
    context: Arc<Context>,
    handle: CUgraphExec,
}

impl Drop for Graph {
    fn drop(&mut self) {
        // An error at the end has nobody to tell.
        let _ = self.context.bind();
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cuGraphExecDestroy(self.handle) };
    }
}

/// A point in a stream.
#[derive(Debug)]
pub(crate) struct Event {
    /// Keeps the context alive.
    _context: Arc<Context>,
    handle: CUevent,
}

impl Event {
    /// An event that orders streams; with `timed`, one that also has a time.
    pub(crate) fn new(context: &Arc<Context>, timed: bool) -> Result<Self, Error> {
        context.bind()?;
        let mut handle = std::ptr::null_mut();
        let flags =
            if timed { sys::CUevent_flags::CU_EVENT_DEFAULT } else { sys::CUevent_flags::CU_EVENT_DISABLE_TIMING };
        // SAFETY: a context is current; the handle is filled.
        status::driver("cuEventCreate", unsafe { sys::cuEventCreate(&raw mut handle, flags as u32) })?;
        Ok(Self { _context: Arc::clone(context), handle })
    }

    /// Puts it behind what the stream was given so far. The stream belongs to the event's context.
    pub(crate) fn record(&self, stream: &Stream) -> Result<(), Error> {
        // SAFETY: both handles are valid.
        status::driver("cuEventRecord", unsafe { sys::cuEventRecord(self.handle, stream.handle) })
    }

    /// In a capture: makes recording it an operation of the graph, so that each launch gives it a time.
    pub(crate) fn record_in_graph(&self, stream: &Stream) -> Result<(), Error> {
        let flags = sys::CUevent_record_flags::CU_EVENT_RECORD_EXTERNAL as u32;
        // SAFETY: both handles are valid; the flag is allowed in captures only, where the callers are.
        let status = unsafe { sys::cuEventRecordWithFlags(self.handle, stream.handle, flags) };
        status::driver("cuEventRecordWithFlags", status)
    }

    /// Blocks until it is reached.
    pub(crate) fn synchronize(&self) -> Result<(), Error> {
        // SAFETY: the event lives as long as this value.
        status::driver("cuEventSynchronize", unsafe { sys::cuEventSynchronize(self.handle) })
    }

    /// Nanoseconds from `earlier` to this event. Both have a time, belong to one GPU, and were reached. The GPU's clock
    /// has steps of about half a microsecond; the call gives milliseconds in f32, so that times of more than some
    /// 8 seconds are rounded to more than that.
    pub(crate) fn since_ns(&self, earlier: &Self) -> Result<i64, Error> {
        const CALL: &str = "cuEventElapsedTime";
        type Elapsed = unsafe extern "C" fn(*mut f32, CUevent, CUevent) -> CUresult;
        let mut milliseconds = 0.0_f32;
        // cudarc's names of CUDA 13 have only a newer version of the function, which older drivers lack.
        // SAFETY: the name and its type are those of cuda.h since CUDA 3.
        let Ok(elapsed) = (unsafe { sys::culib().get::<Elapsed>(c"cuEventElapsedTime".to_bytes_with_nul()) }) else {
            let what = format!("the driver has no {CALL}");
            return Err(Error::CudaMissing { what, hint: "this driver is not supported: report its version" });
        };
        // SAFETY: both events live; the number is filled.
        status::driver(CALL, unsafe { elapsed(&raw mut milliseconds, earlier.handle, self.handle) })?;
        if !milliseconds.is_finite() {
            return Err(Error::Cuda {
                call: CALL,
                code: 0,
                name: "no number".to_owned(),
                text: format!("it gave {milliseconds} ms"),
                hint: "`proftool doctor` shows the driver",
            });
        }
        Ok((f64::from(milliseconds) * 1e6).round() as i64)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cuEventDestroy_v2(self.handle) };
    }
}
