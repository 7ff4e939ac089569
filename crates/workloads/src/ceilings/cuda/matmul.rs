//! Matrix products by cuBLASLt.
//!
//! D (m x n) = A' (m x k) B (k x n), all column-major, A and B stored along k: the layout that every type has, and the only
//! one of FP8. No bias, no addition (beta = 0). cuBLASLt's heuristic names some algorithms; which is fastest is measured.

use std::sync::Arc;

use cudarc::cublaslt::sys::{
    cublasComputeType_t as Compute, cublasLtMatmulAlgo_t, cublasLtMatmulDescAttributes_t as Attribute,
    cudaDataType_t as Data,
};

use super::places::Span;
use super::rows::Type;
use super::sizes::Product;
use crate::Error;
use crate::cuda::lt::{self, Layout, Library, Operation, Preference};
use crate::cuda::stream::Stream;

/// Algorithms that are asked for.
const MOST_ALGORITHMS: usize = 5;

/// How a type is computed: the operands, the product, the arithmetic, the factors.
fn types(of: Type) -> (Data, Data, Compute, Data) {
    use {Compute as C, Data as D};
    match of {
        Type::F64 => (D::CUDA_R_64F, D::CUDA_R_64F, C::CUBLAS_COMPUTE_64F, D::CUDA_R_64F),
        // Without a "fast" type, so that no TF32 stands in for f32 (unless NVIDIA_TF32_OVERRIDE says so).
        Type::F32 => (D::CUDA_R_32F, D::CUDA_R_32F, C::CUBLAS_COMPUTE_32F, D::CUDA_R_32F),
        Type::Tf32 => (D::CUDA_R_32F, D::CUDA_R_32F, C::CUBLAS_COMPUTE_32F_FAST_TF32, D::CUDA_R_32F),
        Type::F16 => (D::CUDA_R_16F, D::CUDA_R_16F, C::CUBLAS_COMPUTE_32F, D::CUDA_R_32F),
        Type::F16Acc16 => (D::CUDA_R_16F, D::CUDA_R_16F, C::CUBLAS_COMPUTE_16F, D::CUDA_R_16F),
        Type::Bf16 => (D::CUDA_R_16BF, D::CUDA_R_16BF, C::CUBLAS_COMPUTE_32F, D::CUDA_R_32F),
        Type::F8 => (D::CUDA_R_8F_E4M3, D::CUDA_R_16BF, C::CUBLAS_COMPUTE_32F, D::CUDA_R_32F),
    }
}

/// One and zero in the type of the factors.
fn factors(of: Type) -> [[u8; 8]; 2] {
    let mut one = [0; 8];
    match of {
        Type::F64 => one = 1f64.to_ne_bytes(),
        Type::F16Acc16 => one[..2].copy_from_slice(&0x3c00u16.to_ne_bytes()),
        _ => one[..4].copy_from_slice(&1f32.to_ne_bytes()),
    }
    [one, [0; 8]]
}

/// Where the operands, the product and the rest of a multiplication lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) a: Span,
    pub(super) b: Span,
    pub(super) d: Span,
    pub(super) workspace: Span,
    /// A single f32 one: the scale of both FP8 operands.
    pub(super) scale: Span,
}

/// A multiplication that is ready to be launched, with the algorithms that the library offers.
pub(super) struct Matmul {
    product: Product,
    places: Places,
    multiplication: lt::Product,
    algorithms: Vec<cublasLtMatmulAlgo_t>,
}

impl Matmul {
    /// # Errors
    /// When the library offers no algorithm for it.
    pub(super) fn new(library: &Arc<Library>, product: Product, fast: bool, places: Places) -> Result<Self, Error> {
        let (operand, output, ..) = types(product.of);
        let [m, n, k] = product.shape.map(|size| size as usize);
        let layouts = [Layout::new(operand, k, m, k)?, Layout::new(operand, k, n, k)?, Layout::new(output, m, n, m)?];
        let multiplication = lt::Product::new(library, operation(product.of, fast, places.scale)?, layouts);
        let preference = Preference::new(places.workspace.bytes as usize)?;
        let algorithms = multiplication.algorithms::<MOST_ALGORITHMS>(&preference)?;
        Ok(Self { product, places, multiplication, algorithms })
    }

    /// What is multiplied.
    pub(super) fn product(&self) -> Product {
        self.product
    }

    /// How many algorithms there are: at least one.
    pub(super) fn algorithms(&self) -> usize {
        self.algorithms.len()
    }

    /// Enqueues it with one of the algorithms.
    ///
    /// # Errors
    /// When the library refuses after all.
    pub(super) fn launch(&self, algorithm: usize, stream: &Stream) -> Result<(), Error> {
        let Places { a, b, d, workspace, .. } = self.places;
        let operands = lt::Operands {
            matrices: [a.start, b.start, d.start],
            workspace: workspace.start,
            workspace_bytes: workspace.bytes as usize,
        };
        let factors = factors(self.product.of);
        let pointers = [&factors[0], &factors[1]].map(|factor| factor.as_ptr().cast());
        // SAFETY: the spans hold what the layouts describe, the factors have the type of the operation and are read
        // during the call, and the algorithm came from the heuristic for these layouts.
        unsafe { self.multiplication.launch(stream, operands, pointers, &self.algorithms[algorithm]) }
    }
}

fn operation(of: Type, fast: bool, scale: Span) -> Result<Operation, Error> {
    let (_, _, compute, factors) = types(of);
    let operation = Operation::new(compute, factors)?;
    if of == Type::F8 {
        operation.set(Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &scale.start)?;
        operation.set(Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &scale.start)?;
        operation.set(Attribute::CUBLASLT_MATMUL_DESC_FAST_ACCUM, &i8::from(fast))?;
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_are_one_and_zero_in_their_own_type() {
        assert_eq!(f64::from_ne_bytes(factors(Type::F64)[0]).to_bits(), 1f64.to_bits());
        assert_eq!(&factors(Type::Bf16)[0][..4], &1f32.to_ne_bytes());
        assert_eq!(&factors(Type::F16Acc16)[0][..2], &[0x00, 0x3c]);
        assert_eq!(factors(Type::F64)[1], [0; 8]);
    }
}
