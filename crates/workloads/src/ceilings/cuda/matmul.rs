//! Matrix products by cuBLASLt.
//!
//! D (m x n) = A' (m x k) B (k x n), all column-major, A and B stored along k: the layout that every type has, and the only
//! one of FP8. No bias, no addition (beta = 0). cuBLASLt's heuristic names some algorithms; which is fastest is measured.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use cudarc::cublaslt::sys::{
    self, cublasComputeType_t as Compute, cublasLtMatmulDescAttributes_t as Attribute,
    cublasLtMatmulPreferenceAttributes_t as Preference, cudaDataType_t as Data,
};

use super::places::Span;
use super::rows::{Capability, Type};
use super::sizes::Product;
use crate::Error;
use crate::cuda::status::cublaslt;
use crate::cuda::stream::Stream;

/// Algorithms that are asked for.
const MOST_ALGORITHMS: usize = 5;

/// `CUBLAS_OP_T` and `CUBLAS_OP_N` of cublas_api.h, which cudarc's names of cuBLASLt lack.
const TRANSPOSED: i32 = 1;
const AS_IT_IS: i32 = 0;

/// NVIDIA's recommendation: 32 MiB from Hopper on, 4 MiB before.
pub(super) fn workspace_bytes(capability: Capability) -> u64 {
    if capability >= 90 { 32 << 20 } else { 4 << 20 }
}

/// A handle of the library.
pub(super) struct Library(sys::cublasLtHandle_t);

impl Library {
    /// Of the GPU whose context is current. The library must have been checked.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn new() -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle outlives the call; it is destroyed once, when this is dropped.
        cublaslt("cublasLtCreate", unsafe { sys::cublasLtCreate(&raw mut handle) }).map(|()| Self(handle))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: created by `new`, destroyed once.
        let _ = unsafe { sys::cublasLtDestroy(self.0) };
    }
}

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
pub(super) struct Matmul<'a> {
    library: &'a Library,
    product: Product,
    places: Places,
    operation: Operation,
    layouts: [Layout; 3],
    algorithms: Vec<sys::cublasLtMatmulAlgo_t>,
}

impl<'a> Matmul<'a> {
    /// # Errors
    /// When the library offers no algorithm for it.
    pub(super) fn new(library: &'a Library, product: Product, fast: bool, places: Places) -> Result<Self, Error> {
        let (operand, output, ..) = types(product.of);
        let [m, n, k] = product.shape;
        let operation = Operation::new(product.of, fast, places.scale)?;
        let layouts = [Layout::new(operand, k, m)?, Layout::new(operand, k, n)?, Layout::new(output, m, n)?];
        let algorithms = algorithms(library, &operation, &layouts, places.workspace.bytes)?;
        Ok(Self { library, product, places, operation, layouts, algorithms })
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
        let [one, zero] = factors(self.product.of);
        let [a, b, d] = [&self.layouts[0], &self.layouts[1], &self.layouts[2]].map(|layout| layout.0);
        let at = |span: Span| span.start as *const c_void;
        let output = self.places.d.start as *mut c_void;
        let workspace = self.places.workspace;
        // SAFETY: the spans hold what the layouts describe, the factors have the type of the operation and are read
        // during the call, and the algorithm came from the heuristic for these layouts.
        let status = unsafe {
            sys::cublasLtMatmul(
                self.library.0,
                self.operation.0,
                one.as_ptr().cast(),
                at(self.places.a),
                a,
                at(self.places.b),
                b,
                zero.as_ptr().cast(),
                output.cast_const(),
                d,
                output,
                d,
                &raw const self.algorithms[algorithm],
                workspace.start as *mut c_void,
                workspace.bytes as usize,
                stream.handle().cast(),
            )
        };
        cublaslt("cublasLtMatmul", status)
    }
}

/// The algorithms that the heuristic names, the likeliest first.
fn algorithms(
    library: &Library,
    operation: &Operation,
    [a, b, d]: &[Layout; 3],
    workspace_bytes: u64,
) -> Result<Vec<sys::cublasLtMatmulAlgo_t>, Error> {
    let wishes = Wishes::new(workspace_bytes)?;
    let mut found = [const { MaybeUninit::<sys::cublasLtMatmulHeuristicResult_t>::zeroed() }; MOST_ALGORITHMS];
    let mut count = 0;
    // SAFETY: everything lives, and there is room for as many results as are asked for.
    let status = unsafe {
        sys::cublasLtMatmulAlgoGetHeuristic(
            library.0,
            operation.0,
            a.0,
            b.0,
            d.0,
            d.0,
            wishes.0,
            MOST_ALGORITHMS as i32,
            found.as_mut_ptr().cast(),
            &raw mut count,
        )
    };
    cublaslt("cublasLtMatmulAlgoGetHeuristic", status)?;
    let count = usize::try_from(count).unwrap_or(0).min(MOST_ALGORITHMS);
    // SAFETY: the library filled that many results, and zero is a valid one (its state says success).
    let found = found[..count].iter().map(|one| unsafe { one.assume_init_ref() });
    let usable = found.filter(|one| one.state == sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS);
    let algorithms: Vec<_> = usable.map(|one| one.algo).collect();
    if algorithms.is_empty() {
        cublaslt("cublasLtMatmulAlgoGetHeuristic", sys::cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED)?;
    }
    Ok(algorithms)
}

/// The description of a multiplication.
struct Operation(sys::cublasLtMatmulDesc_t);

impl Operation {
    fn new(of: Type, fast: bool, scale: Span) -> Result<Self, Error> {
        let (_, _, compute, factor) = types(of);
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle outlives the call; it is destroyed once, when this is dropped.
        let status = unsafe { sys::cublasLtMatmulDescCreate(&raw mut handle, compute, factor) };
        cublaslt("cublasLtMatmulDescCreate", status)?;
        let this = Self(handle);
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        this.set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, &AS_IT_IS)?;
        if of == Type::F8 {
            this.set(Attribute::CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &scale.start)?;
            this.set(Attribute::CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &scale.start)?;
            this.set(Attribute::CUBLASLT_MATMUL_DESC_FAST_ACCUM, &i8::from(fast))?;
        }
        Ok(this)
    }

    fn set<T>(&self, attribute: Attribute, value: &T) -> Result<(), Error> {
        let value: *const T = value;
        // SAFETY: the value has the size and type of the attribute (cublasLt.h) and is read during the call.
        let status = unsafe { sys::cublasLtMatmulDescSetAttribute(self.0, attribute, value.cast(), size_of::<T>()) };
        cublaslt("cublasLtMatmulDescSetAttribute", status)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        // SAFETY: created by `new`, destroyed once.
        let _ = unsafe { sys::cublasLtMatmulDescDestroy(self.0) };
    }
}

/// The layout of a column-major matrix without gaps.
struct Layout(sys::cublasLtMatrixLayout_t);

impl Layout {
    fn new(data: Data, rows: u64, columns: u64) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle outlives the call; it is destroyed once, when this is dropped.
        let status =
            unsafe { sys::cublasLtMatrixLayoutCreate(&raw mut handle, data, rows, columns, rows.cast_signed()) };
        cublaslt("cublasLtMatrixLayoutCreate", status).map(|()| Self(handle))
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: created by `new`, destroyed once.
        let _ = unsafe { sys::cublasLtMatrixLayoutDestroy(self.0) };
    }
}

/// What algorithms may use.
struct Wishes(sys::cublasLtMatmulPreference_t);

impl Wishes {
    fn new(workspace_bytes: u64) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle outlives the call; it is destroyed once, when this is dropped.
        let status = unsafe { sys::cublasLtMatmulPreferenceCreate(&raw mut handle) };
        cublaslt("cublasLtMatmulPreferenceCreate", status)?;
        let this = Self(handle);
        let attribute = Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        let bytes = &raw const workspace_bytes;
        // SAFETY: the value is 64 bits wide, as the attribute is, and is read during the call.
        let status = unsafe { sys::cublasLtMatmulPreferenceSetAttribute(this.0, attribute, bytes.cast(), 8) };
        cublaslt("cublasLtMatmulPreferenceSetAttribute", status).map(|()| this)
    }
}

impl Drop for Wishes {
    fn drop(&mut self) {
        // SAFETY: created by `new`, destroyed once.
        let _ = unsafe { sys::cublasLtMatmulPreferenceDestroy(self.0) };
    }
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
