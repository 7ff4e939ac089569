//! `activation(x W + bias)` for a slice of output columns.

use super::elementwise::{Activation, bias_activation};
use super::thin::Block;
use super::weights::Weights;

/// A slice of a linear layer.
#[derive(Debug)]
pub(crate) struct Linear<'a> {
    /// The layer.
    pub(crate) weights: &'a Weights,
    /// First output column, a multiple of [`TILE`](super::TILE).
    pub(crate) first: usize,
    /// Output columns, a multiple of [`TILE`](super::TILE).
    pub(crate) columns: usize,
    /// Rows of the input and the output.
    pub(crate) rows: usize,
    /// The input as blocks of columns, each row-major: together `rows` x `weights.inputs`.
    pub(crate) pieces: &'a [&'a [f32]],
    /// What follows the bias.
    pub(crate) activation: Activation,
}

/// Memory that a thread keeps between operations: the input in the order in which the micro-kernel reads it, and the
/// scores of an attention.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    packed: Vec<f32>,
    pub(crate) scores: Vec<f32>,
}

/// Rows up to which each panel is streamed once and nothing of it is worth keeping.
const THIN_ROWS: usize = 16;
/// Columns of a group: with the depth of a block, 128 kB that stay in the second-level cache over all rows.
const GROUP: usize = 128;

/// Computes `layer` into `output`, row-major `rows` x `columns`.
///
/// Floating-point operations: 2 * rows * inputs * columns (bias and activation, below 0.1 %, are not counted).
pub(crate) fn linear(layer: &Linear<'_>, output: &mut [f32], scratch: &mut Scratch) {
    let kernels = layer.weights.kernels;
    pack(layer, &mut scratch.packed);
    let thin = layer.rows <= THIN_ROWS && !kernels.thin.is_empty();
    let group = if thin { kernels.panel } else { GROUP.max(kernels.panel) };
    let mut column = 0;
    while column < layer.columns {
        let width = group.min(layer.columns - column);
        if thin {
            thin_panel(layer, &scratch.packed, output, column);
        } else {
            grouped_panels(layer, &scratch.packed, output, column, width);
        }
        for row in output.chunks_exact_mut(layer.columns) {
            let bias = &layer.weights.bias[layer.first + column..][..width];
            bias_activation(&mut row[column..column + width], bias, layer.activation);
        }
        column += width;
    }
}

/// The product of a few rows with the panel that begins at `column` of the slice.
fn thin_panel(layer: &Linear<'_>, packed: &[f32], output: &mut [f32], column: usize) {
    let kernels = layer.weights.kernels;
    let panel = layer.weights.panel(layer.first + column, 0);
    let blocks = layer.rows.div_ceil(kernels.thin.len());
    for depth in (0..layer.weights.inputs).step_by(kernels.depth) {
        let block = kernels.depth.min(layer.weights.inputs - depth);
        for (index, (row, rows)) in row_blocks(layer.rows, kernels.thin.len()).enumerate() {
            let ahead = (depth + block + index * block / blocks) * kernels.panel;
            let call = Block {
                weights: &panel[depth * kernels.panel..][..block * kernels.panel],
                input: &packed[depth * layer.rows + row * block..][..rows * block],
                depth: block,
                stride: layer.columns,
                add: depth > 0,
                ahead: panel.as_ptr().wrapping_add(ahead),
                every: blocks,
            };
            let target = &mut output[row * layer.columns + column..][..(rows - 1) * layer.columns + kernels.panel];
            // SAFETY: the slices have the lengths that the kernel for `rows` rows asks for, and `target` ends with the
            // panel of its last row. The instruction set was detected when the kernels were chosen.
            unsafe { kernels.thin[rows - 1](&call, target.as_mut_ptr()) };
        }
    }
}

/// The product of all rows with `width` columns from `column` (of the slice) on.
fn grouped_panels(layer: &Linear<'_>, packed: &[f32], output: &mut [f32], column: usize, width: usize) {
    let kernels = layer.weights.kernels;
    for depth in (0..layer.weights.inputs).step_by(kernels.depth) {
        let block = kernels.depth.min(layer.weights.inputs - depth);
        let mut ahead = Ahead::new(layer, column, width, depth, block);
        for (row, rows) in row_blocks(layer.rows, kernels.micro.len()) {
            let input = &packed[depth * layer.rows + row * block..][..rows * block];
            for panel in (column..column + width).step_by(kernels.panel) {
                ahead.step();
                let weights = &layer.weights.panel(layer.first + panel, depth)[..block * kernels.panel];
                let target = &mut output[row * layer.columns + panel..][..(rows - 1) * layer.columns + kernels.panel];
                // SAFETY: the micro-kernel reads `block` x `panel` weights and `block` x `rows` inputs, both exactly the
                // slices above, and writes `panel` values to each of `rows` rows of `target`, `layer.columns` apart:
                // its last element is the last of the slice. The instruction set was detected when it was chosen.
                unsafe {
                    kernels.micro[rows - 1](
                        kernels.panel,
                        rows,
                        block,
                        target.as_mut_ptr(),
                        weights.as_ptr(),
                        input.as_ptr(),
                        layer.columns as isize,
                        1,
                        kernels.panel as isize,
                        rows as isize,
                        1,
                        1.0,
                        1.0,
                        u8::from(depth > 0),
                        false,
                        false,
                        false,
                        std::ptr::null(),
                    );
                }
            }
        }
    }
}

/// Reads the weights of the next block ahead, a little before each micro-kernel.
struct Ahead {
    /// First weights of the next block in each panel, and the distance to the next panel.
    next: *const f32,
    stride: usize,
    /// Cache lines a panel block, and lines in all.
    lines: usize,
    total: usize,
    done: usize,
    quota: usize,
}

impl Ahead {
    fn new(layer: &Linear<'_>, column: usize, width: usize, depth: usize, block: usize) -> Self {
        let kernels = layer.weights.kernels;
        let (inputs, panel) = (layer.weights.inputs, kernels.panel);
        // After the last block of depth comes the first one of the next group.
        let (column, depth) = if depth + block < inputs { (column, depth + block) } else { (column + width, 0) };
        let start = (layer.first + column) * inputs + depth * panel;
        let lines = block * panel / LINE;
        let total = lines * width / panel;
        let calls = layer.rows.div_ceil(kernels.micro.len()) * width / panel;
        let next = layer.weights.panel(0, 0).as_ptr().wrapping_add(start);
        Self { next, stride: inputs * panel, lines, total, done: 0, quota: total.div_ceil(calls) }
    }

    #[inline]
    fn step(&mut self) {
        for line in self.done..(self.done + self.quota).min(self.total) {
            let (panel, line) = (line / self.lines, line % self.lines);
            prefetch(self.next.wrapping_add(panel * self.stride + line * LINE));
        }
        self.done += self.quota;
    }
}

/// Values in a cache line.
const LINE: usize = 16;

#[inline]
fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch may be of any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Splits `rows` into the fewest blocks of at most `most`, as even as possible: (first, rows). Eight rows become four and
/// four, not six and two, which would leave the multipliers waiting for each other.
fn row_blocks(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = rows.div_ceil(most);
    (0..blocks).map(move |block| {
        let first = block * rows / blocks;
        (first, (block + 1) * rows / blocks - first)
    })
}

/// Copies the input into blocks of depth, in each block by row block, in each row block by input.
fn pack(layer: &Linear<'_>, packed: &mut Vec<f32>) {
    let kernels = layer.weights.kernels;
    packed.resize(layer.rows * layer.weights.inputs, 0.0);
    let mut start = 0;
    for piece in layer.pieces {
        let width = piece.len() / layer.rows;
        pack_piece(layer, kernels.depth, kernels.micro.len(), piece, start, width, packed);
        start += width;
    }
}

fn pack_piece(
    layer: &Linear<'_>,
    depth: usize,
    most: usize,
    piece: &[f32],
    start: usize,
    width: usize,
    packed: &mut [f32],
) {
    let mut done = 0;
    while done < width {
        let block_start = (start + done) / depth * depth;
        let block = depth.min(layer.weights.inputs - block_start);
        let (offset, count) = (start + done - block_start, (block_start + block - start - done).min(width - done));
        for (row, rows) in row_blocks(layer.rows, most) {
            let target = &mut packed[block_start * layer.rows + row * block + offset * rows..][..count * rows];
            for index in 0..rows {
                let source = &piece[(row + index) * width + done..][..count];
                for (value, target) in source.iter().zip(target[index..].iter_mut().step_by(rows)) {
                    *target = *value;
                }
            }
        }
        done += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(index: usize) -> f32 {
        ((index * 7919 + 13) % 2003) as f32 / 1001.5 - 1.0
    }

    #[test]
    fn a_slice_of_a_layer_equals_the_plain_product() {
        for (rows, inputs, outputs) in [(1, 64, 64), (7, 320, 128), (8, 256, 192), (33, 576, 320)] {
            let weights = Weights::new(inputs, (0..outputs).map(number).collect(), |input, row| {
                row.iter_mut().enumerate().for_each(|(column, w)| *w = number(input * outputs + column));
            });
            let x: Vec<f32> = (0..rows * inputs).map(|index| number(index + 5)).collect();
            // The input in two pieces that do not end at a block of depth.
            let cut = inputs / 64 / 2 * 64;
            let columns_of = |from: usize, to: usize| -> Vec<f32> {
                x.chunks(inputs).flat_map(|row| row[from..to].to_vec()).collect()
            };
            let (left, right) = (columns_of(0, cut), columns_of(cut, inputs));
            let pieces: Vec<&[f32]> = [&left[..], &right[..]].into_iter().filter(|piece| !piece.is_empty()).collect();
            let (first, columns) = (outputs - 64, 64);
            let layer =
                Linear { weights: &weights, first, columns, rows, pieces: &pieces, activation: Activation::None };
            let mut output = vec![f32::NAN; rows * columns];
            linear(&layer, &mut output, &mut Scratch::default());
            for row in 0..rows {
                for column in 0..columns {
                    let plain: f64 = (0..inputs)
                        .map(|k| f64::from(x[row * inputs + k]) * f64::from(number(k * outputs + first + column)))
                        .sum::<f64>()
                        + f64::from(number(first + column));
                    let found = f64::from(output[row * columns + column]);
                    assert!(
                        (found - plain).abs() < 1e-3,
                        "{rows}x{inputs}x{outputs} [{row},{column}]: {found} {plain}"
                    );
                }
            }
        }
    }

    #[test]
    fn row_blocks_are_even_and_cover_all_rows() {
        assert_eq!(row_blocks(8, 6).collect::<Vec<_>>(), [(0, 4), (4, 4)]);
        for rows in 1..60 {
            let blocks: Vec<_> = row_blocks(rows, 6).collect();
            assert_eq!(blocks.iter().map(|block| block.1).sum::<usize>(), rows);
            assert!(blocks.iter().all(|&(_, count)| (1..=6).contains(&count)));
        }
    }

    /// `cargo test -p proftool-workloads speed -- --ignored --nocapture`
    #[test]
    #[ignore = "prints speeds for tuning; nothing to judge"]
    fn speed_of_slices() {
        for rows in [8, 32, 64, 256] {
            for (inputs, columns) in [(1024, 4096), (4096, 2816), (4096, 2048), (2048, 1024)] {
                let weights = Weights::new(inputs, vec![0.1; columns], |_, row| row.fill(0.01));
                let (x, mut output) = (vec![0.5_f32; rows * inputs], vec![0.0; rows * columns]);
                let mut scratch = Scratch::default();
                let others = vec![1.0_f32; 10 << 20];
                let mut times: Vec<i64> = (0..15)
                    .map(|_| {
                        std::hint::black_box(others.iter().sum::<f32>());
                        let layer = Linear {
                            weights: &weights,
                            first: 0,
                            columns,
                            rows,
                            pieces: &[&x],
                            activation: Activation::Gelu,
                        };
                        let start = crate::backend::thread_cpu_ns();
                        linear(&layer, &mut output, &mut scratch);
                        crate::backend::thread_cpu_ns() - start
                    })
                    .collect();
                times.sort_unstable();
                let flop = (2 * rows * inputs * columns) as f64;
                println!(
                    "{rows:4} rows {inputs}x{columns}: best {:.1}, median {:.1} GFLOP/s, {:.1} GB/s",
                    flop / times[0] as f64,
                    flop / times[7] as f64,
                    (4 * inputs * columns) as f64 / times[7] as f64
                );
            }
        }
    }
}
