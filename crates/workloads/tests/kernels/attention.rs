//! `decode_attention.cu`.

use super::host::{Argument, Buffer, Field, Kernels, buffer, word};
use super::numbers::{Storage, assert_near};

/// A decode step: `blocks` KV blocks of `sequences_per_block`, of which `keys_start` sequences are skipped.
struct Step {
    sequences: usize,
    prompt_tokens: usize,
    width: usize,
    sequences_per_block: usize,
    keys_start: usize,
    first: bool,
}

impl Step {
    fn blocks(&self) -> usize {
        (self.keys_start + self.sequences).div_ceil(self.sequences_per_block)
    }

    fn keys(&self, storage: Storage) -> Vec<Vec<f32>> {
        let values = self.sequences_per_block * self.prompt_tokens * self.width;
        (0..self.blocks()).map(|block| storage.random(values, block as u64)).collect()
    }

    fn values(&self) -> [(&'static str, u64); 3] {
        [
            ("sequences", self.sequences as u64),
            ("prompt_tokens", self.prompt_tokens as u64),
            ("width", self.width as u64),
        ]
    }

    /// Output, previous, then the KV blocks.
    fn buffers(&self, storage: Storage) -> Vec<Buffer> {
        let previous = storage.random(self.sequences * self.width, 99);
        let own = [storage.buffer(&vec![f32::NAN; previous.len()]), storage.buffer(&previous)];
        own.into_iter().chain(self.keys(storage).iter().map(|keys| storage.buffer(keys))).collect()
    }

    fn arguments(&self) -> Vec<Argument> {
        let mut pointers = vec![Field::Word(0); 64];
        for (block, pointer) in pointers.iter_mut().take(self.blocks()).enumerate() {
            *pointer = Field::Buffer(2 + block, 0);
        }
        let previous = if self.first { word(0_u64) } else { buffer(1) };
        let numbers = [self.keys_start, self.sequences_per_block, self.prompt_tokens, self.width];
        let numbers = numbers.map(|number| word(number as u64));
        [buffer(0), previous, pointers].into_iter().chain(numbers).collect()
    }

    /// The formula in f64.
    fn expected(&self, storage: Storage) -> Vec<f64> {
        let keys: Vec<f64> = self.keys(storage).concat().into_iter().map(f64::from).collect();
        let previous = storage.random(self.sequences * self.width, 99);
        let sequence = self.prompt_tokens * self.width;
        let keys = keys.chunks(sequence).skip(self.keys_start).take(self.sequences);
        keys.enumerate()
            .flat_map(|(index, keys)| {
                let row: Vec<f64> = if self.first {
                    keys[sequence - self.width..].to_vec()
                } else {
                    previous[index * self.width..][..self.width].iter().copied().map(f64::from).collect()
                };
                attend(&row, keys)
            })
            .collect()
    }
}

fn attend(row: &[f64], keys: &[f64]) -> Vec<f64> {
    let width = row.len();
    let dot = |key: &[f64]| key.iter().zip(row).map(|(k, x)| k * x).sum::<f64>();
    let scores: Vec<f64> = keys.chunks(width).map(|key| (4.0 / width as f64 * dot(key)).exp()).collect();
    let total: f64 = scores.iter().sum();
    let mut sum = row.to_vec();
    for (score, key) in scores.iter().zip(keys.chunks(width)) {
        sum.iter_mut().zip(key).for_each(|(sum, value)| *sum += score / total * value);
    }
    let norm = (sum.iter().map(|value| value * value).sum::<f64>() / width as f64 + 1e-6).sqrt();
    sum.iter().map(|value| value / norm).collect()
}

// Tokens with and without a rest after groups of four, widths that no warp or strip divides, blocks that begin in the
// middle.
const SIZES: [Step; 3] = [
    Step { sequences: 3, prompt_tokens: 12, width: 1048, sequences_per_block: 2, keys_start: 1, first: false },
    Step { sequences: 2, prompt_tokens: 135, width: 64, sequences_per_block: 4, keys_start: 0, first: false },
    Step { sequences: 1, prompt_tokens: 132, width: 520, sequences_per_block: 1, keys_start: 2, first: false },
];

#[test]
fn decode_attention_gives_the_formula_and_counts_what_its_header_states() {
    let Some(kernels) = Kernels::build("decode_attention.cu") else { return };
    for storage in Storage::BOTH {
        let entry = format!("decode_attention_{}", storage.name());
        for step in &SIZES {
            let buffers = kernels.check(&entry, &step.values(), &step.arguments(), &step.buffers(storage));
            let actual = storage.values(&buffers[0]);
            // f32 sums of some thousand terms, then the rounding of the result.
            assert_near(&entry, &actual, &step.expected(storage), storage.rounding(), 3e-6);
        }
    }
    for storage in Storage::BOTH {
        first_step_and_limits(&kernels, storage);
    }
}

/// Without a previous row, with all 1024 tokens, with the largest width.
fn first_step_and_limits(kernels: &Kernels, storage: Storage) {
    let entry = format!("decode_attention_{}", storage.name());
    for (prompt_tokens, width, first) in [(6, 256, true), (1024, 64, true), (1, 4096, false)] {
        let step = Step { sequences: 2, prompt_tokens, width, sequences_per_block: 1, keys_start: 1, first };
        let mut buffers = step.buffers(storage);
        kernels.run(&entry, &step.values(), &step.arguments(), &mut buffers);
        assert_near(&entry, &storage.values(&buffers[0]), &step.expected(storage), storage.rounding(), 3e-6);
    }
}
