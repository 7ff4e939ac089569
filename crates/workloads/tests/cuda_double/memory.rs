//! Device memory of the double: copies, and what lies outside of it.

use cudarc::driver::CudaContext;
use cudarc::driver::sys::{self, CUresult};

use super::cuda_double::inside;
use super::{add, address, code, ready};

#[test]
fn memory_comes_back_as_it_was_written() {
    if !inside("memory::memory_comes_back_as_it_was_written", &[]) {
        return;
    }
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.name().unwrap(), "proftool test double");
    assert_eq!(context.compute_capability().unwrap(), (9, 0));
    let stream = context.default_stream();
    let values: Vec<u32> = (0..1000).collect();
    let mut slice = stream.clone_htod(&values).unwrap();
    let (free, total) = context.mem_get_info().unwrap();
    assert_eq!((total, total - free), (80_000_000_000, 4096));
    let copied = stream.clone_dtod(&slice).unwrap();
    stream.memset_zeros(&mut slice).unwrap();
    assert_eq!(stream.clone_dtoh(&copied).unwrap(), values);
    assert_eq!(stream.clone_dtoh(&slice).unwrap(), [0; 1000]);
    // SAFETY: what is read is only compared.
    let fresh = unsafe { stream.alloc::<f32>(4) }.unwrap();
    assert!(stream.clone_dtoh(&fresh).unwrap().iter().all(|value| value.is_nan()), "memory isn't zero by chance");
}

#[test]
fn rows_are_copied_between_pitches() {
    if !inside("memory::rows_are_copied_between_pitches", &[]) {
        return;
    }
    let context = CudaContext::new(0).unwrap();
    let stream = context.default_stream();
    let from = stream.clone_htod(&(0..40).collect::<Vec<u8>>()).unwrap();
    let to = stream.alloc_zeros::<u8>(12).unwrap();
    let device = sys::CUmemorytype::CU_MEMORYTYPE_DEVICE;
    // Columns 2 to 4 of rows 1 to 3 of a matrix of 4 x 10, into columns 1 to 3 of one of 3 x 4.
    let mut shape = sys::CUDA_MEMCPY2D {
        srcXInBytes: 2,
        srcY: 1,
        srcMemoryType: device,
        srcHost: std::ptr::null(),
        srcDevice: address(&from),
        srcArray: std::ptr::null_mut(),
        srcPitch: 10,
        dstXInBytes: 1,
        dstY: 0,
        dstMemoryType: device,
        dstHost: std::ptr::null_mut(),
        dstDevice: address(&to),
        dstArray: std::ptr::null_mut(),
        dstPitch: 4,
        WidthInBytes: 3,
        Height: 3,
    };
    // SAFETY: both matrices live; what lies outside of them is refused.
    let mut copy = |pitch| unsafe {
        shape.dstPitch = pitch;
        sys::cuMemcpy2DAsync_v2(&raw const shape, stream.cu_stream())
    };
    assert_eq!(copy(4), CUresult::CUDA_SUCCESS);
    assert_eq!(stream.clone_dtoh(&to).unwrap(), [0, 12, 13, 14, 0, 22, 23, 24, 0, 32, 33, 34]);
    assert_eq!(copy(3), CUresult::CUDA_ERROR_INVALID_VALUE);
    assert_eq!(copy(5), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn what_was_freed_or_is_too_long_is_an_illegal_address() {
    if !inside("memory::what_was_freed_or_is_too_long_is_an_illegal_address", &[]) {
        return;
    }
    let (context, function) = ready();
    let stream = context.new_stream().unwrap();
    let slice = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    let place = address(&slice);
    stream.synchronize().unwrap();
    let mut bytes = vec![0_u8; 257];
    // SAFETY: the copy is refused.
    let refused = unsafe { cudarc::driver::result::memcpy_dtoh_sync(&mut bytes, place) };
    assert_eq!(code(refused), Some(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
    drop(slice);
    stream.synchronize().unwrap();
    // The launch itself succeeds; the error shows later and stays.
    add(&stream, &function, place, 1.0, 64).unwrap();
    assert_eq!(code(stream.synchronize()), Some(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
    assert_eq!(code(context.mem_get_info()), Some(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
}

#[test]
fn a_kernel_that_leaves_its_memory_is_an_illegal_address() {
    if !inside("memory::a_kernel_that_leaves_its_memory_is_an_illegal_address", &[]) {
        return;
    }
    let (context, function) = ready();
    let stream = context.default_stream();
    let slice = stream.clone_htod(&[1.0_f32; 64]).unwrap();
    add(&stream, &function, address(&slice), 1.0, 65).unwrap();
    assert_eq!(code(stream.synchronize()), Some(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS));
    std::mem::forget(slice);
}

#[test]
fn memory_ends() {
    if !inside("memory::memory_ends", &[("DOUBLE_MEMORY_BYTES", "65536")]) {
        return;
    }
    let context = CudaContext::new(0).unwrap();
    assert_eq!(context.total_mem().unwrap(), 65536);
    let stream = context.default_stream();
    let most = stream.alloc_zeros::<u8>(65536).unwrap();
    assert_eq!(code(stream.alloc_zeros::<u8>(1)), Some(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    drop(most);
    stream.synchronize().unwrap();
    stream.alloc_zeros::<u8>(1).unwrap();
}
