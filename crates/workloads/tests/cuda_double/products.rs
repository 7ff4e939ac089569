//! Matrix products of the double, against plain loops.

use std::ffi::c_void;
use std::ptr::from_ref;
use std::sync::Arc;

use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::cublasLtMatmulDescAttributes_t as Attribute;
use cudarc::cublaslt::sys::{self, cublasComputeType_t as Compute, cublasStatus_t as Status, cudaDataType as Type};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream};

use super::address;
use super::cuda_double::inside;

const DEFAULT: u32 = 1;
const BIAS: u32 = 4;
const GELU_BIAS: u32 = 36;

/// A type of matrices: how values are stored in it, and read.
#[derive(Clone, Copy)]
struct Storage {
    of: Type,
    compute: Compute,
    scale: Type,
    bytes: usize,
    /// Of one rounding, relative.
    step: f64,
}

const F32: Storage = Storage {
    of: Type::CUDA_R_32F,
    compute: Compute::CUBLAS_COMPUTE_32F,
    scale: Type::CUDA_R_32F,
    bytes: 4,
    step: 6e-8,
};
const F64: Storage = Storage {
    of: Type::CUDA_R_64F,
    compute: Compute::CUBLAS_COMPUTE_64F,
    scale: Type::CUDA_R_64F,
    bytes: 8,
    step: 1.2e-16,
};
const BF16: Storage = Storage { of: Type::CUDA_R_16BF, bytes: 2, step: 3.91e-3, ..F32 };
const F16: Storage = Storage { of: Type::CUDA_R_16F, bytes: 2, step: 4.89e-4, ..F32 };
/// Inputs are rounded to eleven bits.
const TF32: Storage = Storage { compute: Compute::CUBLAS_COMPUTE_32F_FAST_TF32, step: 1e-3, ..F32 };

impl Storage {
    /// The bytes of a multiple of 1/8 up to 8 in size, which every type holds exactly.
    fn encode(self, value: f64) -> Vec<u8> {
        let single = value as f32;
        match self.of {
            Type::CUDA_R_64F => value.to_le_bytes().to_vec(),
            Type::CUDA_R_32F => single.to_le_bytes().to_vec(),
            Type::CUDA_R_16BF => ((single.to_bits() >> 16) as u16).to_le_bytes().to_vec(),
            _ if value == 0.0 => vec![0, 0],
            _ => {
                let bits = single.to_bits();
                let half = (bits >> 16 & 0x8000) | ((bits >> 13 & 0x3ffff) - (112 << 10)) & 0x7fff;
                (half as u16).to_le_bytes().to_vec()
            }
        }
    }

    fn decode(self, bytes: &[u8]) -> f64 {
        let word = || u32::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        match self.of {
            Type::CUDA_R_64F => f64::from_le_bytes(bytes.try_into().unwrap()),
            Type::CUDA_R_32F => f64::from(f32::from_le_bytes(bytes.try_into().unwrap())),
            Type::CUDA_R_16BF => f64::from(f32::from_bits(word() << 16)),
            _ => {
                let (sign, mantissa) = (if word() & 0x8000 == 0 { 1.0 } else { -1.0 }, f64::from(word() & 1023));
                match (word() >> 10 & 31) as i32 {
                    0 => sign * mantissa * 2_f64.powi(-24),
                    31 => f64::NAN,
                    exponent => sign * (1024.0 + mantissa) * 2_f64.powi(exponent - 25),
                }
            }
        }
    }
}

/// Column-major values with a leading dimension, on the host and on the device.
struct Matrix {
    values: Vec<f64>,
    rows: usize,
    columns: usize,
    leading: usize,
    device: CudaSlice<u8>,
}

impl Matrix {
    /// Multiples of 1/8 that differ by seed; what lies between columns isn't a number.
    fn new(stream: &Arc<CudaStream>, storage: Storage, rows: usize, columns: usize, seed: usize) -> Self {
        let leading = rows.div_ceil(8) * 8 + 8;
        let value = |at: usize| ((at * 7919 + seed * 104_729) % 17) as f64 / 8.0 - 1.0;
        let values: Vec<f64> = (0..leading * columns).map(value).collect();
        let mut bytes = vec![0xff; leading * columns * storage.bytes];
        for (at, chunk) in bytes.chunks_mut(storage.bytes).enumerate() {
            if at % leading < rows {
                chunk.copy_from_slice(&storage.encode(values[at]));
            }
        }
        let device = stream.clone_htod(&bytes).unwrap();
        Self { values, rows, columns, leading, device }
    }

    fn at(&self, row: usize, column: usize, transposed: bool) -> f64 {
        let (row, column) = if transposed { (column, row) } else { (row, column) };
        self.values[row + column * self.leading]
    }

    fn layout(&self, storage: Storage) -> sys::cublasLtMatrixLayout_t {
        result::create_matrix_layout(storage.of, self.rows as u64, self.columns as u64, self.leading as i64).unwrap()
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh())
}

/// A product with everything that it needs: D = epilogue(1.5 op(A) op(B) + 0.5 C).
struct Product {
    stream: Arc<CudaStream>,
    storage: Storage,
    epilogue: u32,
    transposed: [bool; 2],
    matrices: [Matrix; 4],
    bias: Matrix,
}

impl Product {
    fn new(context: &Arc<CudaContext>, storage: Storage, epilogue: u32, transposed: [bool; 2]) -> Self {
        let stream = context.new_stream().unwrap();
        let (m, n, k) = (37, 19, 53);
        let swap = |rows, columns, swapped: bool| if swapped { (columns, rows) } else { (rows, columns) };
        let shapes = [swap(m, k, transposed[0]), swap(k, n, transposed[1]), (m, n), (m, n)];
        let mut seed = 0;
        let matrices = shapes.map(|(rows, columns)| {
            seed += 1;
            Matrix::new(&stream, storage, rows, columns, seed)
        });
        let bias = Matrix::new(&stream, storage, m, 1, 5);
        stream.synchronize().unwrap();
        Self { stream, storage, epilogue, transposed, matrices, bias }
    }

    /// What a plain loop gives, and the sum of the terms' sizes, which bounds the error.
    fn expected(&self, row: usize, column: usize) -> (f64, f64) {
        let [a, b, c, _] = &self.matrices;
        let depth = if self.transposed[0] { a.rows } else { a.columns };
        let terms = (0..depth).map(|k| a.at(row, k, self.transposed[0]) * b.at(k, column, self.transposed[1]));
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        let mut value = 1.5 * sum + 0.5 * c.at(row, column, false);
        if self.epilogue & BIAS != 0 {
            value += self.bias.at(row, 0, false);
        }
        (if self.epilogue == GELU_BIAS { gelu(value) } else { value }, 1.5 * size + 2.0)
    }

    fn description(&self) -> sys::cublasLtMatmulDesc_t {
        let description = result::create_matmul_desc(self.storage.compute, self.storage.scale).unwrap();
        let set = |attribute, value: *const c_void, bytes| {
            // SAFETY: the value has that many bytes.
            unsafe { result::set_matmul_desc_attribute(description, attribute, value, bytes) }.unwrap();
        };
        let operations = self.transposed.map(i32::from);
        set(Attribute::CUBLASLT_MATMUL_DESC_TRANSA, from_ref(&operations[0]).cast(), 4);
        set(Attribute::CUBLASLT_MATMUL_DESC_TRANSB, from_ref(&operations[1]).cast(), 4);
        set(Attribute::CUBLASLT_MATMUL_DESC_EPILOGUE, from_ref(&self.epilogue).cast(), 4);
        if self.epilogue & BIAS != 0 {
            let bias = address(&self.bias.device);
            set(Attribute::CUBLASLT_MATMUL_DESC_BIAS_POINTER, from_ref(&bias).cast(), 8);
        }
        description
    }

    /// Finds an algorithm and allocates the workspace: so many bytes more than it asks for.
    fn prepare(&self, more: i64) -> Result<Prepared<'_>, CublasError> {
        let handle = result::create_handle()?;
        let description = self.description();
        let layouts = self.matrices.each_ref().map(|matrix| matrix.layout(self.storage));
        let preference = result::create_matmul_pref()?;
        let most = 1_u64 << 22;
        let attribute = sys::cublasLtMatmulPreferenceAttributes_t::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        let [a, b, c, d] = layouts;
        // SAFETY: the value has eight bytes; descriptions live until the process ends.
        let found = unsafe {
            result::set_matmul_pref_attribute(preference, attribute, from_ref(&most).cast(), 8)?;
            result::get_matmul_algo_heuristic(handle, description, a, b, c, d, preference)?
        };
        let bytes = (found.workspaceSize as i64 + more) as usize;
        // SAFETY: its contents don't matter.
        let workspace = unsafe { self.stream.alloc(bytes) }.unwrap();
        Ok(Prepared { product: self, handle, description, layouts, algorithm: found.algo, workspace })
    }

    fn check(&self) {
        let d = &self.matrices[3];
        let bytes = self.stream.clone_dtoh(&d.device).unwrap();
        let values: Vec<f64> = bytes.chunks(self.storage.bytes).map(|chunk| self.storage.decode(chunk)).collect();
        for column in 0..d.columns {
            for row in 0..d.rows {
                let (expected, size) = self.expected(row, column);
                let found = values[row + column * d.leading];
                // Sums of such values are exact in f32; what remains is GELU's arithmetic and the rounding of the result.
                let tolerance = self.storage.step * expected.abs() + 1e-6 * size * (self.storage.step / 6e-8).min(1.0);
                assert!((found - expected).abs() <= tolerance, "({row}, {column}): {found}, not {expected}");
            }
        }
        assert!(values[d.rows].is_nan() || self.storage.bytes == 2, "nothing is written between columns");
    }
}

/// A product with its algorithm.
struct Prepared<'p> {
    product: &'p Product,
    handle: sys::cublasLtHandle_t,
    description: sys::cublasLtMatmulDesc_t,
    layouts: [sys::cublasLtMatrixLayout_t; 4],
    algorithm: sys::cublasLtMatmulAlgo_t,
    workspace: CudaSlice<u8>,
}

impl Prepared<'_> {
    fn enqueue(&self) -> Result<(), CublasError> {
        let product = self.product;
        let place = |at: usize| address(&product.matrices[at].device) as *mut c_void;
        let [a, b, c, d] = self.layouts;
        let (single, double) = ([1.5_f32, 0.5], [1.5_f64, 0.5]);
        let wide = matches!(product.storage.scale, Type::CUDA_R_64F);
        let scalar = |at: usize| if wide { from_ref(&double[at]).cast() } else { from_ref(&single[at]).cast() };
        // SAFETY: descriptions and device memory live as long as this value, whose work is waited for.
        unsafe {
            result::matmul(
                self.handle,
                self.description,
                scalar(0),
                scalar(1),
                place(0),
                a,
                place(1),
                b,
                place(2),
                c,
                place(3),
                d,
                &raw const self.algorithm,
                address(&self.workspace) as *mut c_void,
                self.workspace.len(),
                product.stream.cu_stream().cast(),
            )
        }
    }
}

/// A context in which nothing orders streams unasked.
fn context() -> Arc<CudaContext> {
    let context = CudaContext::new(0).unwrap();
    // SAFETY: each product has one stream.
    unsafe { context.disable_event_tracking() };
    context
}

#[test]
fn products_are_those_of_a_plain_loop() {
    if !inside("products::products_are_those_of_a_plain_loop", &[]) {
        return;
    }
    let context = context();
    for storage in [F32, F64, BF16, F16, TF32] {
        for epilogue in [DEFAULT, BIAS, GELU_BIAS] {
            for transposed in [[false, false], [true, false], [false, true], [true, true]] {
                let product = Product::new(&context, storage, epilogue, transposed);
                product.prepare(0).unwrap().enqueue().unwrap();
                product.check();
            }
        }
    }
}

#[test]
fn a_product_is_captured_into_a_graph() {
    if !inside("products::a_product_is_captured_into_a_graph", &[]) {
        return;
    }
    let context = context();
    let product = Product::new(&context, BF16, GELU_BIAS, [true, false]);
    let prepared = product.prepare(0).unwrap();
    product.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).unwrap();
    prepared.enqueue().unwrap();
    let graph = product.stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
    let before = product.stream.clone_dtoh(&product.matrices[3].device).unwrap();
    assert_eq!(before[..2], product.storage.encode(product.matrices[3].values[0]), "capturing computes nothing");
    graph.launch().unwrap();
    product.check();
}

#[test]
fn too_small_a_workspace_and_unknown_types_are_refused() {
    if !inside("products::too_small_a_workspace_and_unknown_types_are_refused", &[]) {
        return;
    }
    let context = context();
    let product = Product::new(&context, F32, DEFAULT, [true, false]);
    let refused = product.prepare(-1).unwrap().enqueue();
    assert_eq!(refused, Err(CublasError(Status::CUBLAS_STATUS_INVALID_VALUE)));
    let fp8 = Storage { of: Type::CUDA_R_8F_E4M3, ..BF16 };
    let product = Product::new(&context, fp8, DEFAULT, [true, false]);
    assert_eq!(product.prepare(0).err(), Some(CublasError(Status::CUBLAS_STATUS_NOT_SUPPORTED)));
}
