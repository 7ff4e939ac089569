//! Linear layers by cuBLASLt: product, bias and GELU in one kernel.
//!
//! cuBLASLt counts by columns. A row-major matrix is its transpose read by columns, so `Y = X W` becomes
//! `Yt = Wt Xt`: A is the weights, which are kept by output column (inputs x columns, contiguous) and transposed by the
//! product ("TN"), B is the activations (inputs x rows), D the output (columns x rows). The bias belongs to D's rows, which
//! are output columns.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::cublaslt::sys::{
    self as lt, cublasLtEpilogue_t as Epilogue, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as DescAttribute, cublasLtMatmulHeuristicResult_t, cublasLtMatmulPreference_t,
    cublasLtMatmulPreferenceAttributes_t as PreferenceAttribute, cublasLtMatrixLayout_t, cudaDataType_t,
};
use cudarc::driver::sys::CUdeviceptr;

use super::context::Context;
use super::memory::Memory;
use super::numbers::Precision;
use super::status::cublaslt;
use super::stream::Stream;
use crate::Error;

/// A handle of cuBLASLt for one GPU.
#[derive(Debug)]
pub(crate) struct Handle {
    context: Arc<Context>,
    handle: cublasLtHandle_t,
}

// SAFETY: cuBLASLt allows a handle in several threads at once.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    pub(crate) fn new(context: &Arc<Context>) -> Result<Arc<Self>, Error> {
        super::cublaslt()?;
        context.bind()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: a context is current; the handle is filled.
        cublaslt("cublasLtCreate", unsafe { lt::cublasLtCreate(&raw mut handle) })?;
        Ok(Arc::new(Self { context: Arc::clone(context), handle }))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Errors at the end have nobody to tell.
        let _ = self.context.bind();
        // SAFETY: created once by this value.
        let _ = unsafe { lt::cublasLtDestroy(self.handle) };
    }
}

/// What a product is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) columns: usize,
    /// Values from one row of the input to the next.
    pub(crate) input_stride: usize,
    /// Values from one row of the output to the next.
    pub(crate) output_stride: usize,
    /// A power of two that divides the output's address, 256 at most.
    pub(crate) output_alignment: usize,
    /// Whether GELU follows the bias.
    pub(crate) gelu: bool,
    pub(crate) precision: Precision,
}

/// A product of a shape with one bias, its algorithm chosen.
#[derive(Debug)]
pub(crate) struct Gemm {
    handle: Arc<Handle>,
    operation: Operation,
    weights: Layout,
    input: Layout,
    output: Layout,
    algorithm: cublasLtMatmulAlgo_t,
}

/// Addresses of a product's matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    pub(crate) weights: CUdeviceptr,
    pub(crate) input: CUdeviceptr,
    pub(crate) output: CUdeviceptr,
}

/// Algorithms that are asked for: the first that the library says works is taken.
const ASKED: usize = 8;
/// What cuMemAlloc guarantees.
const MOST_ALIGNMENT: usize = 256;

/// The largest power of two that divides an address, 256 at most.
pub(crate) fn alignment(address: CUdeviceptr) -> usize {
    if address == 0 { MOST_ALIGNMENT } else { MOST_ALIGNMENT.min(1 << address.trailing_zeros().min(8)) }
}

impl Gemm {
    /// Asks the library for its best algorithm that needs no more than `workspace_bytes`. Weights and input are aligned to
    /// 256 bytes, the bias to 128, at address `bias`.
    pub(crate) fn new(
        handle: &Arc<Handle>,
        shape: &Shape,
        bias: CUdeviceptr,
        workspace_bytes: usize,
    ) -> Result<Self, Error> {
        handle.context.bind()?;
        let Shape { rows, inputs, columns, input_stride, output_stride, precision, .. } = *shape;
        let operation = Operation::new(shape, bias)?;
        let weights = Layout::new(precision, inputs, columns, inputs)?;
        let input = Layout::new(precision, inputs, rows, input_stride)?;
        let output = Layout::new(precision, columns, rows, output_stride)?;
        let preference = Preference::new(shape, workspace_bytes)?;
        let mut found: [std::mem::MaybeUninit<cublasLtMatmulHeuristicResult_t>; ASKED] =
            [std::mem::MaybeUninit::uninit(); ASKED];
        let mut count = 0;
        // SAFETY: all handles are valid; the array has room for the number that is asked for.
        let status = unsafe {
            lt::cublasLtMatmulAlgoGetHeuristic(
                handle.handle,
                operation.0,
                weights.0,
                input.0,
                output.0,
                output.0,
                preference.0,
                ASKED as i32,
                found.as_mut_ptr().cast(),
                &raw mut count,
            )
        };
        cublaslt("cublasLtMatmulAlgoGetHeuristic", status)?;
        // SAFETY: the library has filled the first `count`.
        let filled = found.iter().take(count.max(0) as usize).map(|result| unsafe { result.assume_init() });
        let best = filled.into_iter().find(|result| result.state == lt::cublasStatus_t::CUBLAS_STATUS_SUCCESS);
        // No result without a failure: the library knows no algorithm.
        let state = best.map_or(lt::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED, |best| best.state);
        cublaslt("cublasLtMatmulAlgoGetHeuristic", state)?;
        let algorithm = best.map_or(cublasLtMatmulAlgo_t { data: [0; 8] }, |best| best.algo);
        Ok(Self { handle: Arc::clone(handle), operation, weights, input, output, algorithm })
    }

    /// Gives the product to a stream. The workspace is the stream's own, and as large as it was said to be.
    pub(crate) fn launch(&self, stream: &Stream, operands: Operands, workspace: &Memory) -> Result<(), Error> {
        let (one, zero) = (1.0_f32, 0.0_f32);
        let pointer = |address: CUdeviceptr| address as *mut c_void;
        self.handle.context.bind()?;
        // SAFETY: all handles are valid, the factors are f32 as the operation says, and the caller's addresses hold
        // matrices of the layouts. C is not read, since its factor is 0; it may be D then.
        let status = unsafe {
            lt::cublasLtMatmul(
                self.handle.handle,
                self.operation.0,
                (&raw const one).cast(),
                pointer(operands.weights),
                self.weights.0,
                pointer(operands.input),
                self.input.0,
                (&raw const zero).cast(),
                pointer(operands.output),
                self.output.0,
                pointer(operands.output),
                self.output.0,
                &raw const self.algorithm,
                pointer(workspace.address()),
                workspace.bytes(),
                stream.handle().cast(),
            )
        };
        cublaslt("cublasLtMatmul", status)
    }
}

#[derive(Debug)]
struct Operation(cublasLtMatmulDesc_t);
#[derive(Debug)]
struct Layout(cublasLtMatrixLayout_t);
struct Preference(cublasLtMatmulPreference_t);

impl Operation {
    fn new(shape: &Shape, bias: CUdeviceptr) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // Products of f32 in full: TF32 would be CUBLAS_COMPUTE_32F_FAST_TF32.
        let compute = lt::cublasComputeType_t::CUBLAS_COMPUTE_32F;
        // SAFETY: the handle is filled.
        let status = unsafe { lt::cublasLtMatmulDescCreate(&raw mut handle, compute, cudaDataType_t::CUDA_R_32F) };
        cublaslt("cublasLtMatmulDescCreate", status)?;
        let operation = Self(handle);
        // CUBLAS_OP_T of cublas_api.h: A is transposed, B is not (CUBLAS_OP_N, the default).
        operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_TRANSA, &1_i32)?;
        let epilogue =
            if shape.gelu { Epilogue::CUBLASLT_EPILOGUE_GELU_BIAS } else { Epilogue::CUBLASLT_EPILOGUE_BIAS };
        operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &(epilogue as u32))?;
        operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        Ok(operation)
    }

    fn set<T>(&self, attribute: DescAttribute, value: &T) -> Result<(), Error> {
        // SAFETY: the handle is valid; the callers' types are those that cublasLt.h states for the attribute.
        let status = unsafe {
            lt::cublasLtMatmulDescSetAttribute(self.0, attribute, std::ptr::from_ref(value).cast(), size_of::<T>())
        };
        cublaslt("cublasLtMatmulDescSetAttribute", status)
    }
}

impl Layout {
    /// A matrix by columns.
    fn new(precision: Precision, rows: usize, columns: usize, stride: usize) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is filled.
        let status = unsafe {
            let (rows, columns) = (rows as u64, columns as u64);
            lt::cublasLtMatrixLayoutCreate(&raw mut handle, precision.data_type(), rows, columns, stride as i64)
        };
        cublaslt("cublasLtMatrixLayoutCreate", status)?;
        Ok(Self(handle))
    }
}

impl Preference {
    fn new(shape: &Shape, workspace_bytes: usize) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is filled.
        let status = unsafe { lt::cublasLtMatmulPreferenceCreate(&raw mut handle) };
        cublaslt("cublasLtMatmulPreferenceCreate", status)?;
        let preference = Self(handle);
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &(workspace_bytes as u64))?;
        let output = shape.output_alignment as u32;
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &(MOST_ALIGNMENT as u32))?;
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &(MOST_ALIGNMENT as u32))?;
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &output)?;
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &output)?;
        Ok(preference)
    }

    fn set<T>(&self, attribute: PreferenceAttribute, value: &T) -> Result<(), Error> {
        // SAFETY: as for the operation's attributes.
        let status = unsafe {
            let value = std::ptr::from_ref(value).cast();
            lt::cublasLtMatmulPreferenceSetAttribute(self.0, attribute, value, size_of::<T>())
        };
        cublaslt("cublasLtMatmulPreferenceSetAttribute", status)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { lt::cublasLtMatmulDescDestroy(self.0) };
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { lt::cublasLtMatrixLayoutDestroy(self.0) };
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { lt::cublasLtMatmulPreferenceDestroy(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alignment_is_the_largest_power_of_two_up_to_256() {
        assert_eq!([0, 256, 512, 128, 384, 0x1040].map(alignment), [256, 256, 256, 128, 128, 64]);
    }
}
