//! Buffers and weights in the memory of GPUs.

use std::sync::Arc;

use crate::Error;
use crate::backend::{Place, Slice};
use crate::cuda::memory::Memory;
use crate::cuda::numbers::{Precision, from_bf16, to_bf16};

use super::{Devices, Role};

/// Memory with its owner.
pub(super) type Shared = Arc<Memory>;
/// A matrix that several buffers share: host, and [`crate::backend::Matrix::id`].
pub(super) type MatrixName = (usize, (usize, usize, usize));

/// Rows and columns in the memory of one GPU, or the same in each.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The memory by GPU; none where that GPU does not have it.
    memory: Vec<Option<Shared>>,
    /// Values before the first.
    first: usize,
    /// 1 where the rows follow each other: then all values are columns.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Values from one row to the next, in a matrix with more columns.
    pub(super) stride: Option<usize>,
}

impl View {
    /// The memory on that GPU, or on the first that has it.
    pub(super) fn on(&self, gpu: usize) -> Result<&Shared, Error> {
        let own = self.memory.get(gpu).and_then(Option::as_ref);
        own.or_else(|| self.memory.iter().flatten().next()).ok_or_else(|| Error::CudaMissing {
            what: "a buffer has no memory".to_owned(),
            hint: "this is a bug of proftool",
        })
    }

    /// The address of its first value there.
    pub(super) fn address(&self, gpu: usize, precision: Precision) -> Result<u64, Error> {
        Ok(self.on(gpu)?.address() + (self.first * precision.bytes()) as u64)
    }
}

/// A layer's columns on the GPUs that need them, by host and first column, each kept by output column.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(super) inputs: usize,
    pub(super) slices: Arc<Vec<(Slice, Shared, Shared)>>,
}

impl Weights {
    /// Weights and bias of that slice.
    pub(super) fn slice(&self, host: usize, first: usize) -> Result<(&Shared, &Shared), Error> {
        let found = self.slices.iter().find(|(slice, _, _)| slice.device == host && slice.first == first);
        found.map(|(_, weights, bias)| (weights, bias)).ok_or_else(|| Error::CudaMissing {
            what: format!("device {host} has no weights from column {first} on"),
            hint: "this is a bug of proftool",
        })
    }
}

impl Devices {
    pub(super) fn gpu_of(&self, host: usize) -> usize {
        self.queues.get(&(host, Role::Compute)).map_or(0, |queue| queue.gpu)
    }

    pub(super) fn allocate(&mut self, place: &Place) -> Result<View, Error> {
        let bytes = self.precision.bytes();
        let mut memory: Vec<Option<Shared>> = vec![None; self.gpus.len()];
        let Some(host) = place.device else {
            for (gpu, memory) in self.gpus.iter().zip(&mut memory) {
                *memory = Some(Arc::new(Memory::new(&gpu.context, place.values * bytes)?));
            }
            return Ok(View { memory, first: 0, rows: 1, columns: place.values, stride: None });
        };
        let gpu = self.gpu_of(host);
        let Some(part) = place.part else {
            memory[gpu] = Some(Arc::new(Memory::new(&self.gpus[gpu].context, place.values * bytes)?));
            return Ok(View { memory, first: 0, rows: 1, columns: place.values, stride: None });
        };
        let rows = place.values / part.columns;
        let name = (host, part.id);
        if !self.matrices.contains_key(&name) {
            let matrix = Memory::new(&self.gpus[gpu].context, rows * part.width * bytes)?;
            self.matrices.insert(name, Arc::new(matrix));
        }
        memory[gpu] = self.matrices.get(&name).cloned();
        Ok(View { memory, first: part.first, rows, columns: part.columns, stride: Some(part.width) })
    }

    /// Writes a buffer that is whole in each of its memories.
    pub(super) fn upload(&self, view: &View, write: &mut dyn FnMut(&mut [f32])) -> Result<(), Error> {
        let mut values = vec![0.0; view.rows * view.columns];
        write(&mut values);
        let narrow: Vec<u16> = match self.precision {
            Precision::F32 => Vec::new(),
            Precision::Bf16 => values.iter().copied().map(to_bf16).collect(),
        };
        for memory in view.memory.iter().flatten() {
            match self.precision {
                Precision::F32 => memory.upload(&values)?,
                Precision::Bf16 => memory.upload(&narrow)?,
            }
        }
        Ok(())
    }

    /// Reads a buffer that is whole in its memory.
    pub(super) fn download(&self, view: &View) -> Result<Vec<f32>, Error> {
        let (count, memory) = (view.rows * view.columns, view.on(0)?);
        match self.precision {
            Precision::F32 => {
                let mut values = vec![0.0; count];
                memory.download(&mut values)?;
                Ok(values)
            }
            Precision::Bf16 => {
                let mut values = vec![0_u16; count];
                memory.download(&mut values)?;
                Ok(values.into_iter().map(from_bf16).collect())
            }
        }
    }

    /// Puts each slice of a layer, transposed, into the memory of its host's GPU.
    pub(super) fn lay_out(
        &self,
        inputs: usize,
        bias: &[f32],
        slices: &[Slice],
        fill: &mut dyn FnMut(usize, &mut [f32]),
    ) -> Result<Weights, Error> {
        let outputs = bias.len();
        let mut transposed = vec![0.0_f32; inputs * outputs];
        let mut row = vec![0.0; outputs];
        for input in 0..inputs {
            fill(input, &mut row);
            row.iter().enumerate().for_each(|(output, value)| transposed[output * inputs + input] = *value);
        }
        let mut kept = Vec::new();
        for &slice in slices {
            let columns = slice.first..slice.first + slice.columns;
            let weights = self.keep(slice.device, &transposed[columns.start * inputs..columns.end * inputs])?;
            kept.push((slice, weights, self.keep(slice.device, &bias[columns])?));
        }
        Ok(Weights { inputs, slices: Arc::new(kept) })
    }

    /// Values in memory of their own.
    fn keep(&self, host: usize, values: &[f32]) -> Result<Shared, Error> {
        let context = &self.gpus[self.gpu_of(host)].context;
        let memory = Memory::new(context, values.len() * self.precision.bytes())?;
        match self.precision {
            Precision::F32 => memory.upload(values)?,
            Precision::Bf16 => memory.upload(&values.iter().copied().map(to_bf16).collect::<Vec<_>>())?,
        }
        Ok(Arc::new(memory))
    }
}
