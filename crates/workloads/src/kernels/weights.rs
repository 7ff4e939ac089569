//! A weight matrix, laid out once in the order in which the micro-kernel reads it.

use super::microkernel::{Kernels, kernels};
use crate::backend::advise_huge_pages;

/// A matrix of `inputs` x `outputs` in panels of [`Kernels::panel`] output columns: a panel holds, for each input, its
/// columns side by side, so that a product reads memory strictly forwards.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) inputs: usize,
    pub(crate) bias: Vec<f32>,
    panels: Vec<f32>,
    pub(crate) kernels: Kernels,
}

impl Weights {
    /// Lays out a row-major `inputs` x `outputs` matrix whose rows `fill` writes: `fill(input, row)`.
    ///
    /// `outputs` is a multiple of [`TILE`](super::TILE).
    pub(crate) fn new(inputs: usize, bias: Vec<f32>, mut fill: impl FnMut(usize, &mut [f32])) -> Self {
        let (kernels, outputs) = (kernels(), bias.len());
        let mut panels = huge(inputs * outputs);
        panels.resize(inputs * outputs, 0.0);
        let mut row = vec![0.0; outputs];
        for input in 0..inputs {
            fill(input, &mut row);
            for (panel, columns) in row.chunks_exact(kernels.panel).enumerate() {
                let start = (panel * inputs + input) * kernels.panel;
                panels[start..start + kernels.panel].copy_from_slice(columns);
            }
        }
        Self { inputs, bias, panels, kernels }
    }

    /// The panel that begins at that output column, from that input on.
    pub(crate) fn panel(&self, column: usize, input: usize) -> &[f32] {
        let start = column * self.inputs + input * self.kernels.panel;
        &self.panels[start..(column + self.kernels.panel) * self.inputs]
    }
}

/// An empty vector whose memory asks for huge pages: streaming weights through 4 kB pages costs a page walk every
/// sixteen cache lines of a panel. The roofs that these products are held against are measured on the same pages;
/// `docs/ceilings.md` has what they gain.
fn huge(capacity: usize) -> Vec<f32> {
    let mut items: Vec<f32> = Vec::with_capacity(capacity);
    advise_huge_pages(items.spare_capacity_mut());
    items
}
