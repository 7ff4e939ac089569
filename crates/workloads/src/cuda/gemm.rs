//! Linear layers by cuBLASLt: product, bias and GELU in one kernel.
//!
//! cuBLASLt counts by columns. A row-major matrix is its transpose read by columns, so `Y = X W` becomes
//! `Yt = Wt Xt`: A is the weights, which are kept by output column (inputs x columns, contiguous) and transposed by the
//! product ("TN"), B is the activations (inputs x rows), D the output (columns x rows). The bias belongs to D's rows, which
//! are output columns.

use std::sync::Arc;

use cudarc::cublaslt::sys::{
    cublasComputeType_t as Compute, cublasLtEpilogue_t as Epilogue, cublasLtMatmulAlgo_t,
    cublasLtMatmulDescAttributes_t as DescAttribute, cublasLtMatmulPreferenceAttributes_t as PreferenceAttribute,
    cudaDataType_t,
};
use cudarc::driver::sys::CUdeviceptr;

use super::lt::{self, Layout, Library, Operation, Preference};
use super::memory::Memory;
use super::numbers::Precision;
use super::stream::Stream;
use crate::Error;

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
    product: lt::Product,
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
        library: &Arc<Library>,
        shape: &Shape,
        bias: CUdeviceptr,
        workspace_bytes: usize,
    ) -> Result<Self, Error> {
        let Shape { rows, inputs, columns, input_stride, output_stride, precision, .. } = *shape;
        let data = precision.data_type();
        let layouts = [
            Layout::new(data, inputs, columns, inputs)?,
            Layout::new(data, inputs, rows, input_stride)?,
            Layout::new(data, columns, rows, output_stride)?,
        ];
        let product = lt::Product::new(library, operation(shape, bias)?, layouts);
        let mut algorithms = product.algorithms::<ASKED>(&preference(shape, workspace_bytes)?)?;
        // There is at least one, and the first is the likeliest.
        let algorithm = algorithms.swap_remove(0);
        Ok(Self { product, algorithm })
    }

    /// Gives the product to a stream. The workspace is the stream's own, and as large as it was said to be.
    pub(crate) fn launch(&self, stream: &Stream, operands: Operands, workspace: &Memory) -> Result<(), Error> {
        let (one, zero) = (1.0_f32, 0.0_f32);
        let factors = [&raw const one, &raw const zero].map(<*const f32>::cast);
        let operands = lt::Operands {
            matrices: [operands.weights, operands.input, operands.output],
            workspace: workspace.address(),
            workspace_bytes: workspace.bytes(),
        };
        // SAFETY: the factors are f32 as the operation says, the caller's addresses hold matrices of the layouts, and the
        // algorithm was chosen for this product.
        unsafe { self.product.launch(stream, operands, factors, &self.algorithm) }
    }
}

/// Product, bias and GELU. Products of f32 are in full: TF32 would be CUBLAS_COMPUTE_32F_FAST_TF32.
fn operation(shape: &Shape, bias: CUdeviceptr) -> Result<Operation, Error> {
    let operation = Operation::new(Compute::CUBLAS_COMPUTE_32F, cudaDataType_t::CUDA_R_32F)?;
    let epilogue = if shape.gelu { Epilogue::CUBLASLT_EPILOGUE_GELU_BIAS } else { Epilogue::CUBLASLT_EPILOGUE_BIAS };
    operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_EPILOGUE, &(epilogue as u32))?;
    operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
    Ok(operation)
}

fn preference(shape: &Shape, workspace_bytes: usize) -> Result<Preference, Error> {
    let preference = Preference::new(workspace_bytes)?;
    let (inputs, output) = (MOST_ALIGNMENT as u32, shape.output_alignment as u32);
    preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &inputs)?;
    preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &inputs)?;
    preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &output)?;
    preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &output)?;
    Ok(preference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alignment_is_the_largest_power_of_two_up_to_256() {
        assert_eq!([0, 256, 512, 128, 384, 0x1040].map(alignment), [256, 256, 256, 128, 128, 64]);
    }
}
