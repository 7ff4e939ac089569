//! cuBLASLt's objects: what the layers of a target and the roofs are multiplied with.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::Arc;

use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtHandle_t, cublasLtMatmulAlgo_t, cublasLtMatmulDesc_t,
    cublasLtMatmulDescAttributes_t as DescAttribute, cublasLtMatmulHeuristicResult_t, cublasLtMatmulPreference_t,
    cublasLtMatmulPreferenceAttributes_t as PreferenceAttribute, cublasLtMatrixLayout_t, cublasStatus_t,
    cudaDataType_t,
};
use cudarc::driver::sys::CUdeviceptr;

use super::context::Context;
use super::status::cublaslt;
use super::stream::Stream;
use crate::Error;

/// `CUBLAS_OP_T` of cublas_api.h, which cudarc's names of cuBLASLt lack. Its `CUBLAS_OP_N` is the default.
const TRANSPOSED: i32 = 1;

/// The largest workspace that a GPU gets.
pub(crate) const MOST_WORKSPACE_BYTES: usize = 32 << 20;

/// NVIDIA's recommendation: 32 MiB from Hopper on, 4 MiB before.
pub(crate) fn workspace_bytes((major, _): (i32, i32)) -> usize {
    if major >= 9 { MOST_WORKSPACE_BYTES } else { 4 << 20 }
}

/// A handle of the library for one GPU.
#[derive(Debug)]
pub(crate) struct Library {
    context: Arc<Context>,
    handle: cublasLtHandle_t,
}

// SAFETY: cuBLASLt allows a handle in several threads at once.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    pub(crate) fn new(context: &Arc<Context>) -> Result<Arc<Self>, Error> {
        super::cublaslt()?;
        context.bind()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: a context is current; the handle is filled.
        cublaslt("cublasLtCreate", unsafe { sys::cublasLtCreate(&raw mut handle) })?;
        Ok(Arc::new(Self { context: Arc::clone(context), handle }))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // Errors at the end have nobody to tell.
        let _ = self.context.bind();
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cublasLtDestroy(self.handle) };
    }
}

/// D = A' B for column-major matrices: what is computed, and in which layouts. C is D, its factor 0.
#[derive(Debug)]
pub(crate) struct Product {
    library: Arc<Library>,
    operation: Operation,
    /// A, B and D.
    layouts: [Layout; 3],
}

/// Where a product reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    /// A, B and D.
    pub(crate) matrices: [CUdeviceptr; 3],
    pub(crate) workspace: CUdeviceptr,
    pub(crate) workspace_bytes: usize,
}

impl Product {
    pub(crate) fn new(library: &Arc<Library>, operation: Operation, layouts: [Layout; 3]) -> Self {
        Self { library: Arc::clone(library), operation, layouts }
    }

    /// Up to `MOST` algorithms that work, the likeliest first: at least one.
    pub(crate) fn algorithms<const MOST: usize>(
        &self,
        preference: &Preference,
    ) -> Result<Vec<cublasLtMatmulAlgo_t>, Error> {
        const NAME: &str = "cublasLtMatmulAlgoGetHeuristic";
        let mut found = [const { MaybeUninit::<cublasLtMatmulHeuristicResult_t>::uninit() }; MOST];
        let (mut count, [a, b, d]) = (0, self.handles());
        self.library.context.bind()?;
        // SAFETY: all handles are valid; the array has room for the number that is asked for.
        let status = unsafe {
            sys::cublasLtMatmulAlgoGetHeuristic(
                self.library.handle,
                self.operation.0,
                a,
                b,
                d,
                d,
                preference.0,
                MOST as i32,
                found.as_mut_ptr().cast(),
                &raw mut count,
            )
        };
        cublaslt(NAME, status)?;
        // SAFETY: the library has filled the first `count`.
        let filled = found.iter().take(count.max(0) as usize).map(|result| unsafe { result.assume_init() });
        let works = |result: &cublasLtMatmulHeuristicResult_t| result.state == cublasStatus_t::CUBLAS_STATUS_SUCCESS;
        let algorithms: Vec<_> = filled.filter(works).map(|result| result.algo).collect();
        if algorithms.is_empty() {
            // No result without a failure: the library knows no algorithm.
            cublaslt(NAME, cublasStatus_t::CUBLAS_STATUS_NOT_SUPPORTED)?;
        }
        Ok(algorithms)
    }

    /// Gives the product to a stream. The factors one and zero are in the operation's type of factors.
    ///
    /// # Safety
    /// The addresses hold matrices of the layouts and a workspace of that size; the factors are of the type of the
    /// operation; the algorithm came from [`Product::algorithms`].
    pub(crate) unsafe fn launch(
        &self,
        stream: &Stream,
        operands: Operands,
        [one, zero]: [*const c_void; 2],
        algorithm: &cublasLtMatmulAlgo_t,
    ) -> Result<(), Error> {
        let pointer = |address: CUdeviceptr| address as *mut c_void;
        let ([a, b, d], at) = (self.handles(), operands.matrices.map(pointer));
        self.library.context.bind()?;
        // SAFETY: all handles are valid; the caller promises the rest. C is not read, since its factor is 0: it may be D.
        let status = unsafe {
            sys::cublasLtMatmul(
                self.library.handle,
                self.operation.0,
                one,
                at[0],
                a,
                at[1],
                b,
                zero,
                at[2],
                d,
                at[2],
                d,
                std::ptr::from_ref(algorithm),
                pointer(operands.workspace),
                operands.workspace_bytes,
                stream.handle().cast(),
            )
        };
        cublaslt("cublasLtMatmul", status)
    }

    fn handles(&self) -> [cublasLtMatrixLayout_t; 3] {
        [0, 1, 2].map(|at| self.layouts[at].0)
    }
}

/// What is computed: A transposed, B as it is.
#[derive(Debug)]
pub(crate) struct Operation(cublasLtMatmulDesc_t);
/// A column-major matrix.
#[derive(Debug)]
pub(crate) struct Layout(cublasLtMatrixLayout_t);
/// What an algorithm may use.
pub(crate) struct Preference(cublasLtMatmulPreference_t);

impl Operation {
    /// With that arithmetic and type of the factors.
    pub(crate) fn new(compute: cublasComputeType_t, factors: cudaDataType_t) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is filled.
        let status = unsafe { sys::cublasLtMatmulDescCreate(&raw mut handle, compute, factors) };
        cublaslt("cublasLtMatmulDescCreate", status)?;
        let operation = Self(handle);
        operation.set(DescAttribute::CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        Ok(operation)
    }

    /// Sets an attribute, whose type in cublasLt.h is `T`.
    pub(crate) fn set<T>(&self, attribute: DescAttribute, value: &T) -> Result<(), Error> {
        // SAFETY: the handle is valid; the callers' types are those that cublasLt.h states for the attribute.
        let status = unsafe {
            sys::cublasLtMatmulDescSetAttribute(self.0, attribute, std::ptr::from_ref(value).cast(), size_of::<T>())
        };
        cublaslt("cublasLtMatmulDescSetAttribute", status)
    }
}

impl Layout {
    /// `stride` values from one column to the next.
    pub(crate) fn new(data: cudaDataType_t, rows: usize, columns: usize, stride: usize) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is filled.
        let status = unsafe {
            sys::cublasLtMatrixLayoutCreate(&raw mut handle, data, rows as u64, columns as u64, stride as i64)
        };
        cublaslt("cublasLtMatrixLayoutCreate", status)?;
        Ok(Self(handle))
    }
}

impl Preference {
    /// With a workspace of that size at most.
    pub(crate) fn new(workspace_bytes: usize) -> Result<Self, Error> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is filled.
        let status = unsafe { sys::cublasLtMatmulPreferenceCreate(&raw mut handle) };
        cublaslt("cublasLtMatmulPreferenceCreate", status)?;
        let preference = Self(handle);
        preference.set(PreferenceAttribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &(workspace_bytes as u64))?;
        Ok(preference)
    }

    /// Sets an attribute, whose type in cublasLt.h is `T`.
    pub(crate) fn set<T>(&self, attribute: PreferenceAttribute, value: &T) -> Result<(), Error> {
        // SAFETY: as for the operation's attributes.
        let status = unsafe {
            let value = std::ptr::from_ref(value).cast();
            sys::cublasLtMatmulPreferenceSetAttribute(self.0, attribute, value, size_of::<T>())
        };
        cublaslt("cublasLtMatmulPreferenceSetAttribute", status)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cublasLtMatmulDescDestroy(self.0) };
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cublasLtMatrixLayoutDestroy(self.0) };
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: created once by this value.
        let _ = unsafe { sys::cublasLtMatmulPreferenceDestroy(self.0) };
    }
}
