//! The doubles of CUDA's libraries, through cudarc: what the tests that run on them rely on.

#[path = "cuda_double/mod.rs"]
mod cuda_double;
#[path = "cuda_double/graphs.rs"]
mod graphs;
#[path = "cuda_double/memory.rs"]
mod memory;
#[path = "cuda_double/products.rs"]
mod products;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cuda_double::inside;
use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, CudaFunction, CudaStream, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};

/// Adds `step` to each of `count` values.
const ADD: &str = r#"
extern "C" __global__ void add(float *values, float step, int count) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) values[at] += step;
}
"#;

fn compile(source: &str, arch: &'static str) -> Result<Ptx, CompileError> {
    compile_ptx_with_opts(source, CompileOptions { arch: Some(arch), ..CompileOptions::default() })
}

/// A context whose streams are ordered by hand, and the kernel `add`.
fn ready() -> (Arc<CudaContext>, CudaFunction) {
    let context = CudaContext::new(0).unwrap();
    // SAFETY: the tests order their streams by events.
    unsafe { context.disable_event_tracking() };
    let module = context.load_module(compile(ADD, "compute_90").unwrap()).unwrap();
    let function = module.load_function("add").unwrap();
    (context, function)
}

/// Launches `add` over `count` values at an address.
fn add(stream: &CudaStream, function: &CudaFunction, address: u64, step: f32, count: i32) -> Result<(), DriverError> {
    let shape = LaunchConfig { grid_dim: (count as u32 / 64 + 1, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are those of `add`.
    unsafe { stream.launch_builder(function).arg(&address).arg(&step).arg(&count).launch(shape) }.map(|_| ())
}

fn address<T>(slice: &cudarc::driver::CudaSlice<T>) -> u64 {
    use cudarc::driver::DevicePtr;
    slice.device_ptr(slice.stream()).0
}

fn code<T>(result: Result<T, DriverError>) -> Option<CUresult> {
    result.err().map(|error| error.0)
}

#[test]
fn a_kernel_runs_in_blocks_and_threads() {
    if !inside("a_kernel_runs_in_blocks_and_threads", &[]) {
        return;
    }
    let (context, function) = ready();
    let stream = context.default_stream();
    let slice = stream.clone_htod(&vec![1.0_f32; 1000]).unwrap();
    add(&stream, &function, address(&slice), 0.5, 999).unwrap();
    let mut expected = vec![1.5; 1000];
    expected[999] = 1.0;
    assert_eq!(stream.clone_dtoh(&slice).unwrap(), expected);
    let shape = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (1025, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the launch is refused.
    let refused = unsafe { stream.launch_builder(&function).arg(&0_u64).arg(&0.0_f32).arg(&0_i32).launch(shape) };
    assert_eq!(code(refused), Some(CUresult::CUDA_ERROR_INVALID_VALUE));
}

unsafe extern "C" fn sleep(milliseconds: *mut std::ffi::c_void) {
    std::thread::sleep(Duration::from_millis(milliseconds as u64));
}

/// Keeps a stream busy so long.
fn delay(stream: &CudaStream, milliseconds: usize) {
    // SAFETY: the function takes a number in place of a pointer.
    let status = unsafe { sys::cuLaunchHostFunc(stream.cu_stream(), Some(sleep), milliseconds as *mut _) };
    status.result().unwrap();
}

/// What [`closed`] waits for.
static OPEN: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn closed(_: *mut std::ffi::c_void) {
    while !OPEN.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Milliseconds from one event to another. Under its first name: a driver before 12.8 has no other.
fn elapsed(first: sys::CUevent, last: sys::CUevent) -> Result<f32, DriverError> {
    type Elapsed = unsafe extern "C" fn(*mut f32, sys::CUevent, sys::CUevent) -> CUresult;
    let mut milliseconds = 0.0;
    // SAFETY: the signature is that of cuda.h.
    unsafe {
        let function = sys::culib().get::<Elapsed>(b"cuEventElapsedTime\0").unwrap();
        function(&raw mut milliseconds, first, last).result()?;
    }
    Ok(milliseconds)
}

#[test]
fn streams_run_side_by_side_and_an_event_orders_them() {
    if !inside("streams_run_side_by_side_and_an_event_orders_them", &[]) {
        return;
    }
    let (context, function) = ready();
    let (first, second) = (context.new_stream().unwrap(), context.new_stream().unwrap());
    let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
    let slice = first.clone_htod(&[1.0_f32; 64]).unwrap();
    first.synchronize().unwrap();
    let begin = first.record_event(timed).unwrap();
    // SAFETY: the function takes no argument.
    unsafe { sys::cuLaunchHostFunc(first.cu_stream(), Some(closed), std::ptr::null_mut()) }.result().unwrap();
    add(&first, &function, address(&slice), 1.0, 64).unwrap();
    let middle = first.record_event(timed).unwrap();
    // Not ordered: it reads what was there before.
    assert_eq!(second.clone_dtoh(&slice).unwrap(), [1.0; 64]);
    assert_eq!(middle.try_is_complete(), Ok(false));
    assert_eq!(code(elapsed(begin.cu_event(), middle.cu_event())), Some(CUresult::CUDA_ERROR_NOT_READY));
    second.wait(&middle).unwrap();
    add(&second, &function, address(&slice), 1.0, 64).unwrap();
    let end = second.record_event(timed).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(end.try_is_complete(), Ok(false), "it waits for the other stream");
    OPEN.store(true, Ordering::Release);
    assert_eq!(second.clone_dtoh(&slice).unwrap(), [3.0; 64]);
    assert!(elapsed(begin.cu_event(), middle.cu_event()).unwrap() >= 50.0);
    assert!(elapsed(middle.cu_event(), end.cu_event()).unwrap() >= 0.0);
    let untimed = second.record_event(None).unwrap();
    second.synchronize().unwrap();
    assert_eq!(code(elapsed(begin.cu_event(), untimed.cu_event())), Some(CUresult::CUDA_ERROR_INVALID_HANDLE));
}

#[test]
fn a_stated_call_fails_and_no_other() {
    let variables = [("DOUBLE_FAIL", "cuMemAlloc_v2:2,cuStreamSynchronize"), ("DOUBLE_FAIL_CODE", "2")];
    if !inside("a_stated_call_fails_and_no_other", &variables) {
        return;
    }
    let _context = CudaContext::new(0).unwrap();
    // SAFETY: the memory isn't used.
    let allocate = || unsafe { cudarc::driver::result::malloc_sync(64) };
    assert_eq!(code(allocate()), None);
    assert_eq!(code(allocate()), Some(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    assert_eq!(code(allocate()), None);
}

#[test]
fn a_kernel_that_fails_shows_at_the_next_wait() {
    if !inside("a_kernel_that_fails_shows_at_the_next_wait", &[("DOUBLE_FAIL", "kernel:2")]) {
        return;
    }
    let (context, function) = ready();
    let stream = context.default_stream();
    let slice = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    add(&stream, &function, address(&slice), 1.0, 64).unwrap();
    stream.synchronize().unwrap();
    add(&stream, &function, address(&slice), 1.0, 64).unwrap();
    assert_eq!(code(stream.synchronize()), Some(CUresult::CUDA_ERROR_LAUNCH_FAILED));
    std::mem::forget(slice);
}

#[test]
fn a_source_that_is_wrong_gives_the_compilers_text() {
    if !inside("a_source_that_is_wrong_gives_the_compilers_text", &[]) {
        return;
    }
    let error = compile("extern \"C\" __global__ void wrong() {\n    missing = 1;\n}\n", "sm_90").unwrap_err();
    let CompileError::CompileError { log, .. } = error else { panic!("{error}") };
    let log = log.to_str().unwrap();
    assert!(log.contains("default_program:2") && log.contains("missing"), "{log}");
}

#[test]
fn a_compiler_older_than_the_device_has_a_way_out() {
    if !inside("a_compiler_older_than_the_device_has_a_way_out", &[("DOUBLE_NVRTC_MAX_ARCH", "86")]) {
        return;
    }
    assert!(compile(ADD, "sm_90").unwrap_err().to_string().contains("INVALID_OPTION"));
    let context = CudaContext::new(0).unwrap();
    context.load_module(compile(ADD, "compute_86").unwrap()).unwrap();
    let cubin = Ptx::from_binary(b"// proftool test double: sm_86 /nowhere.so\n\0".to_vec());
    assert_eq!(code(context.load_module(cubin)), Some(CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU));
}

#[test]
fn a_peers_memory_is_copied_always_and_used_by_kernels_once_access_is_enabled() {
    let name = "a_peers_memory_is_copied_always_and_used_by_kernels_once_access_is_enabled";
    if !inside(name, &[("DOUBLE_DEVICES", "2")]) {
        return;
    }
    assert_eq!(CudaContext::device_count().unwrap(), 2);
    let (here, function) = ready();
    let there = CudaContext::new(1).unwrap();
    assert_ne!(here.uuid().unwrap().bytes, there.uuid().unwrap().bytes);
    // Not the default ones: cudarc changes the current context, which they belong to, before it copies.
    let (stream, remote) = (here.new_stream().unwrap(), there.new_stream().unwrap());
    let far = remote.clone_htod(&[1.0_f32; 64]).unwrap();
    remote.synchronize().unwrap();
    here.bind_to_thread().unwrap();
    // SAFETY: both contexts live.
    unsafe { sys::cuCtxEnablePeerAccess(there.cu_ctx(), 0) }.result().unwrap();
    add(&stream, &function, address(&far), 1.0, 64).unwrap();
    stream.synchronize().unwrap();
    let mut near = stream.alloc_zeros::<f32>(64).unwrap();
    stream.memcpy_dtod(&far, &mut near).unwrap();
    assert_eq!(stream.clone_dtoh(&near).unwrap(), [2.0; 64]);
    here.bind_to_thread().unwrap();
    // SAFETY: both contexts live.
    unsafe { sys::cuCtxDisablePeerAccess(there.cu_ctx()) }.result().unwrap();
    add(&stream, &function, address(&far), 1.0, 64).unwrap();
    assert_eq!(code(stream.synchronize()), Some(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
    std::mem::forget(near);
}
