//! Stream capture and graphs of the double: that the driver's rules hold.

use cudarc::driver::CudaContext;
use cudarc::driver::result::DriverError;
use cudarc::driver::sys::{self, CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode};

use super::cuda_double::inside;
use super::{add, address, code, delay, elapsed, ready};

const PLAIN: CUgraphInstantiate_flags = CUgraphInstantiate_flags(0);
const MODE: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

#[test]
fn a_captured_fork_and_join_runs_at_each_launch() {
    if !inside("graphs::a_captured_fork_and_join_runs_at_each_launch", &[]) {
        return;
    }
    let (context, function) = ready();
    let (origin, branch) = (context.new_stream().unwrap(), context.new_stream().unwrap());
    let slices = [0.0_f32, 10.0].map(|value| origin.clone_htod(&[value; 64]).unwrap());
    let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    let (begin, end) = (context.new_event(timed).unwrap(), context.new_event(timed).unwrap());
    let (forked, joined) = (context.new_event(None).unwrap(), context.new_event(None).unwrap());
    origin.synchronize().unwrap();
    let external = |event: sys::CUevent| {
        // SAFETY: event and stream live.
        unsafe { sys::cuEventRecordWithFlags(event, origin.cu_stream(), 1) }.result()
    };
    assert_eq!(code(external(begin.cu_event())), Some(CUresult::CUDA_ERROR_INVALID_VALUE), "outside of a capture");
    origin.begin_capture(MODE).unwrap();
    external(begin.cu_event()).unwrap();
    add(&origin, &function, address(&slices[0]), 1.0, 64).unwrap();
    forked.record(&origin).unwrap();
    branch.wait(&forked).unwrap();
    for stream in [&origin, &branch] {
        delay(stream, 100);
    }
    add(&branch, &function, address(&slices[1]), 1.0, 64).unwrap();
    joined.record(&branch).unwrap();
    origin.wait(&joined).unwrap();
    add(&origin, &function, address(&slices[1]), 1.0, 64).unwrap();
    external(end.cu_event()).unwrap();
    let graph = origin.end_capture(PLAIN).unwrap().unwrap();
    graph.upload().unwrap();
    assert_eq!(origin.clone_dtoh(&slices[0]).unwrap(), [0.0; 64], "capturing runs nothing");
    let mut at_once = false;
    for launched in 1..=10_i16 {
        graph.launch().unwrap();
        end.synchronize().unwrap();
        assert_eq!(origin.clone_dtoh(&slices[0]).unwrap(), [f32::from(launched); 64]);
        assert_eq!(origin.clone_dtoh(&slices[1]).unwrap(), [10.0 + 2.0 * f32::from(launched); 64]);
        let milliseconds = elapsed(begin.cu_event(), end.cu_event()).unwrap();
        assert!(milliseconds >= 100.0, "it waits for both branches, {milliseconds} ms");
        at_once |= milliseconds < 190.0;
        // A busy machine gets more tries.
        if at_once && launched > 1 {
            break;
        }
    }
    assert!(at_once, "the branches run at once");
}

/// Captures what `body` does and gives its first error, and that of the end of the capture.
fn capture(
    context: &std::sync::Arc<CudaContext>,
    body: impl FnOnce(&std::sync::Arc<cudarc::driver::CudaStream>) -> Result<(), DriverError>,
) -> (Option<CUresult>, Option<CUresult>) {
    let stream = context.new_stream().unwrap();
    stream.begin_capture(MODE).unwrap();
    let first = code(body(&stream));
    (first, code(stream.end_capture(PLAIN)))
}

#[test]
fn what_the_driver_forbids_in_a_capture_ends_it() {
    if !inside("graphs::what_the_driver_forbids_in_a_capture_ends_it", &[]) {
        return;
    }
    let (context, function) = ready();
    let other = context.new_stream().unwrap();
    let slice = other.clone_htod(&[0.0_f32; 64]).unwrap();
    let outside = other.record_event(None).unwrap();
    other.synchronize().unwrap();
    let unsupported = Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    let invalidated = Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_eq!(capture(&context, |stream| stream.synchronize()), (unsupported, invalidated));
    assert_eq!(capture(&context, |_| context.synchronize()), (unsupported, invalidated));
    // SAFETY: nothing is allocated.
    let allocate = || unsafe { cudarc::driver::result::malloc_sync(64) }.map(|_| ());
    assert_eq!(capture(&context, |_| allocate()), (unsupported, invalidated));
    assert_eq!(capture(&context, |_| outside.try_is_complete().map(|_| ())), (unsupported, invalidated));
    let isolation = Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    assert_eq!(capture(&context, |stream| stream.wait(&outside)), (isolation, invalidated));
    let unjoined = Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    let fork = |stream: &std::sync::Arc<cudarc::driver::CudaStream>| {
        other.wait(&stream.record_event(None)?)?;
        add(&other, &function, address(&slice), 1.0, 64)
    };
    assert_eq!(capture(&context, fork), (None, unjoined));
    let inner = |stream: &std::sync::Arc<cudarc::driver::CudaStream>| {
        let event = stream.record_event(None)?;
        event.synchronize()
    };
    assert_eq!(capture(&context, inner), (Some(CUresult::CUDA_ERROR_CAPTURED_EVENT), invalidated));
    // Nothing of it ran, and the stream works again.
    add(&other, &function, address(&slice), 1.0, 64).unwrap();
    assert_eq!(other.clone_dtoh(&slice).unwrap(), [1.0; 64]);
}

#[test]
fn a_capture_ends_in_its_own_stream_and_thread() {
    if !inside("graphs::a_capture_ends_in_its_own_stream_and_thread", &[]) {
        return;
    }
    let (context, _) = ready();
    let (origin, other) = (context.new_stream().unwrap(), context.new_stream().unwrap());
    assert_eq!(code(origin.end_capture(PLAIN)), Some(CUresult::CUDA_ERROR_ILLEGAL_STATE));
    origin.begin_capture(MODE).unwrap();
    assert_eq!(code(origin.begin_capture(MODE)), Some(CUresult::CUDA_ERROR_ILLEGAL_STATE));
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| code(origin.end_capture(PLAIN))).join().unwrap());
    assert_eq!(elsewhere, Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD));
    other.wait(&origin.record_event(None).unwrap()).unwrap();
    assert_eq!(code(other.end_capture(PLAIN)), Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNMATCHED));
    assert_eq!(code(origin.end_capture(PLAIN)), Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
    assert_eq!(
        code(context.default_stream().begin_capture(MODE)),
        Some(CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
    );
}
