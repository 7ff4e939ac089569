//! Operations as calls into CUDA.

use std::ffi::c_void;

use cudarc::driver::sys::{self, CUDA_MEMCPY2D, CUmemorytype};
use proftool_tracer::Text;

use super::memory::{View, Weights};
use super::{Devices, Queue};
use crate::Error;
use crate::backend::{Fault, QueueName, Work};
use crate::cuda::gemm::{Gemm, Operands, Shape, alignment};
use crate::cuda::kernels::Shape as Launch;
use crate::cuda::status;
use crate::kernels::Activation;

/// A product: address of its weights, rows, strides of input and output, alignment of the output.
pub(super) type GemmName = (u64, usize, usize, usize, usize);

/// Blocks of keys that `kernels/decode_attention.cu` takes.
pub(crate) const MOST_KEY_BLOCKS: usize = 64;
/// Its threads a block.
const ATTENTION_THREADS: u32 = 1024;

/// The argument `keys` of `kernels/decode_attention.cu`, by value.
#[repr(C)]
struct KeyBlocks([u64; MOST_KEY_BLOCKS]);

/// A linear layer's product as cuBLASLt wants it.
struct Product {
    name: GemmName,
    shape: Shape,
    operands: Operands,
    bias: u64,
}

impl Devices {
    /// Asks cuBLASLt for the algorithm of a layer, once.
    pub(super) fn choose_algorithm(&mut self, queue: QueueName, work: &Work<View, Weights>) -> Result<(), Error> {
        let Some(product) = self.product(queue, work)? else { return Ok(()) };
        if self.gemms.contains_key(&product.name) {
            return Ok(());
        }
        let queue = &self.queues[&queue];
        let workspace = queue.workspace.as_ref().map_or(0, crate::cuda::memory::Memory::bytes);
        let gemm = Gemm::new(&self.gpus[queue.gpu].library, &product.shape, product.bias, workspace)?;
        self.gemms.insert(product.name, gemm);
        Ok(())
    }

    fn product(&self, queue: QueueName, work: &Work<View, Weights>) -> Result<Option<Product>, Error> {
        let Work::Linear { weights, first, columns, rows, inputs, output, activation } = work else {
            return Ok(None);
        };
        let gpu = self.queues[&queue].gpu;
        let (slice, bias) = weights.slice(queue.0, *first)?;
        // Several inputs are columns of one matrix, the first of them its beginning.
        let input = inputs.first().ok_or_else(|| bug("a layer without an input"))?;
        let output_address = output.address(gpu, self.precision)?;
        let shape = Shape {
            rows: *rows,
            inputs: weights.inputs,
            columns: *columns,
            input_stride: input.stride.unwrap_or(weights.inputs),
            output_stride: output.stride.unwrap_or(*columns),
            output_alignment: alignment(output_address),
            gelu: *activation == Activation::Gelu,
            precision: self.precision,
        };
        let operands =
            Operands { weights: slice.address(), input: input.address(gpu, self.precision)?, output: output_address };
        let Shape { rows, input_stride, output_stride, output_alignment, .. } = shape;
        let name = (operands.weights, rows, input_stride, output_stride, output_alignment);
        Ok(Some(Product { name, shape, operands, bias: bias.address() }))
    }

    /// The name of the call that an operation will be.
    pub(super) fn call_name(&self, work: &Work<View, Weights>) -> Text {
        match work {
            Work::Linear { .. } => self.names.matmul,
            Work::Attention { .. } => self.names.kernel,
            Work::Copy { from, to, .. } if from.stride.is_some() || to.stride.is_some() => self.names.copy_2d,
            Work::Copy { src_device, dst_device, .. } if self.gpu_of(*src_device) != self.gpu_of(*dst_device) => {
                self.names.copy_peer
            }
            Work::Copy { .. } => self.names.copy,
        }
    }

    /// Gives an operation to its stream.
    pub(super) fn enqueue(&mut self, name: QueueName, work: &Work<View, Weights>) -> Result<(), Error> {
        match work {
            Work::Linear { .. } => self.enqueue_product(name, work),
            Work::Attention { .. } => self.enqueue_attention(&self.queues[&name], work),
            // What a test breaks in a copy: here it is never made.
            Work::Copy { fault, .. } if *fault != Fault::None => Ok(()),
            Work::Copy { from, to, src_device, dst_device, .. } => {
                let (source, target) = (self.gpu_of(*src_device), self.gpu_of(*dst_device));
                if from.stride.is_some() || to.stride.is_some() {
                    return self.copy_rows(&self.queues[&name], (from, source), (to, target));
                }
                self.copy(&self.queues[&name], (from, source), (to, target))
            }
        }
    }

    fn enqueue_product(&mut self, name: QueueName, work: &Work<View, Weights>) -> Result<(), Error> {
        self.choose_algorithm(name, work)?;
        let Some(product) = self.product(name, work)? else { return Err(bug("a layer that is none")) };
        let queue = &self.queues[&name];
        let workspace = queue.workspace.as_ref().ok_or_else(|| bug("a product on a queue of copies"))?;
        let gemm = self.gemms.get(&product.name).ok_or_else(|| bug("a product that was not prepared"))?;
        gemm.launch(&queue.stream, product.operands, workspace)
    }

    fn enqueue_attention(&self, queue: &Queue, work: &Work<View, Weights>) -> Result<(), Error> {
        let Work::Attention { width, prompt_tokens, previous, keys, keys_start, output } = work else {
            return Err(bug("an attention that is none"));
        };
        let address = |view: &View| view.address(queue.gpu, self.precision);
        let mut blocks = KeyBlocks([0; MOST_KEY_BLOCKS]);
        if keys.len() > MOST_KEY_BLOCKS {
            return Err(bug("more blocks of keys than the kernel takes"));
        }
        for (block, view) in blocks.0.iter_mut().zip(keys) {
            *block = address(view)?;
        }
        let mut output_address = address(output)?;
        let mut previous = previous.as_ref().map_or(Ok(0), address)?;
        let sequences = output.columns / width;
        let per_block = keys.first().map_or(0, |view| view.columns / (width * prompt_tokens));
        let [mut keys_start, mut per_block, mut tokens, mut width] =
            [*keys_start, per_block, *prompt_tokens, *width].map(|number| number as u32);
        let mut parameters: [*mut c_void; 7] = [
            (&raw mut output_address).cast(),
            (&raw mut previous).cast(),
            (&raw mut blocks).cast(),
            (&raw mut keys_start).cast(),
            (&raw mut per_block).cast(),
            (&raw mut tokens).cast(),
            (&raw mut width).cast(),
        ];
        let shape = Launch { grid: [sequences as u32, 1, 1], block: [ATTENTION_THREADS, 1, 1], shared_bytes: 0 };
        // SAFETY: the arguments are those of `kernels/decode_attention.cu` in their order, and the buffers are as large as
        // the graph of operations made them.
        unsafe { self.gpus[queue.gpu].attention.launch(&queue.stream, shape, &mut parameters) }
    }

    fn copy(&self, queue: &Queue, (from, source): (&View, usize), (to, target): (&View, usize)) -> Result<(), Error> {
        let bytes = from.columns.min(to.columns) * self.precision.bytes();
        let (from, to) = (from.address(source, self.precision)?, to.address(target, self.precision)?);
        let stream = queue.stream.handle();
        queue.stream.context.bind()?;
        if source == target {
            // SAFETY: both buffers have that many bytes on this GPU.
            let status = unsafe { sys::cuMemcpyDtoDAsync_v2(to, from, bytes, stream) };
            return status::driver("cuMemcpyDtoDAsync_v2", status);
        }
        let (source, target) = (self.gpus[source].context.handle(), self.gpus[target].context.handle());
        // SAFETY: both buffers have that many bytes, each in its context.
        let status = unsafe { sys::cuMemcpyPeerAsync(to, target, from, source, bytes, stream) };
        status::driver("cuMemcpyPeerAsync", status)
    }

    /// Copies columns between matrices. Unified addresses say which GPU each belongs to.
    fn copy_rows(
        &self,
        queue: &Queue,
        (from, source): (&View, usize),
        (to, target): (&View, usize),
    ) -> Result<(), Error> {
        let bytes = self.precision.bytes();
        let (rows, columns) = if from.stride.is_some() { (from.rows, from.columns) } else { (to.rows, to.columns) };
        let kind =
            if source == target { CUmemorytype::CU_MEMORYTYPE_DEVICE } else { CUmemorytype::CU_MEMORYTYPE_UNIFIED };
        let copy = CUDA_MEMCPY2D {
            srcXInBytes: 0,
            srcY: 0,
            srcMemoryType: kind,
            srcHost: std::ptr::null(),
            srcDevice: from.address(source, self.precision)?,
            srcArray: std::ptr::null_mut(),
            srcPitch: from.stride.unwrap_or(columns) * bytes,
            dstXInBytes: 0,
            dstY: 0,
            dstMemoryType: kind,
            dstHost: std::ptr::null_mut(),
            dstDevice: to.address(target, self.precision)?,
            dstArray: std::ptr::null_mut(),
            dstPitch: to.stride.unwrap_or(columns) * bytes,
            WidthInBytes: columns * bytes,
            Height: rows,
        };
        queue.stream.context.bind()?;
        // SAFETY: both matrices have that many rows and columns. The description is read before the call returns.
        let status = unsafe { sys::cuMemcpy2DAsync_v2(&raw const copy, queue.stream.handle()) };
        status::driver("cuMemcpy2DAsync_v2", status)
    }

    /// Bytes that a copy moves.
    pub(super) fn copied_bytes(&self, from: &View) -> i64 {
        (from.rows * from.columns * self.precision.bytes()) as i64
    }
}

fn bug(what: &str) -> Error {
    Error::CudaMissing { what: what.to_owned(), hint: "this is a bug of proftool" }
}

// The pointers that the kernel's struct holds.
const _: () = assert!(size_of::<KeyBlocks>() == 64 * 8);
