//! The product of a few rows with a panel: a decode step.
//!
//! With eight rows a step does 4 operations for each byte of weights, about what a core can take from memory. The general
//! micro-kernel waits for memory and computes in turn; this one asks for the next block of the panel while it computes.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

/// `output[row * stride + column] (+)= sum over k of weights[k * panel + column] * input[k * rows + row]`, reading
/// ahead: `ahead` is what the next calls will read.
pub(crate) type Thin = unsafe fn(&Block<'_>, *mut f32);

/// One block of a panel and of the rows.
pub(crate) struct Block<'a> {
    /// `depth` x `panel` weights.
    pub(crate) weights: &'a [f32],
    /// `depth` x `rows` inputs.
    pub(crate) input: &'a [f32],
    /// Steps of depth.
    pub(crate) depth: usize,
    /// Distance of two rows of the output.
    pub(crate) stride: usize,
    /// Whether to add to the output.
    pub(crate) add: bool,
    /// First of the weights to read ahead, one panel row at a time.
    pub(crate) ahead: *const f32,
    /// Every how many steps of depth a panel row is read ahead.
    pub(crate) every: usize,
}

#[cfg(target_arch = "x86_64")]
macro_rules! thin {
    ($name:ident, $panel:ident, $feature:literal, $vectors:literal, $lanes:literal, $vector:ty, $zero:ident, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident) => {
        /// Output columns that the kernels of this instruction set take.
        pub(crate) const $panel: usize = $vectors * $lanes;

        /// # Safety
        /// The processor has the feature; `block` holds `depth` x panel weights and `depth` x `ROWS` inputs; `output` is
        /// valid for the `ROWS` rows of a panel, `stride` apart.
        #[target_feature(enable = $feature)]
        unsafe fn $name<const ROWS: usize>(block: &Block<'_>, output: *mut f32) {
            // SAFETY: every pointer below stays inside the slices and rows that the caller vouches for; a prefetch may
            // be of any address.
            unsafe {
                let mut sums: [[$vector; $vectors]; ROWS] = [[$zero(); $vectors]; ROWS];
                let (mut weights, mut input, mut ahead) = (block.weights.as_ptr(), block.input.as_ptr(), block.ahead);
                let mut countdown = 0;
                for _ in 0..block.depth {
                    if countdown == 0 {
                        for line in 0..$panel / 16 {
                            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(line * 16).cast());
                        }
                        ahead = ahead.wrapping_add($panel);
                        countdown = block.every;
                    }
                    countdown -= 1;
                    let mut columns = [$zero(); $vectors];
                    for vector in 0..$vectors {
                        columns[vector] = $load(weights.add(vector * $lanes));
                    }
                    for row in 0..ROWS {
                        let value = $splat(*input.add(row));
                        for vector in 0..$vectors {
                            sums[row][vector] = $fma(columns[vector], value, sums[row][vector]);
                        }
                    }
                    weights = weights.add($panel);
                    input = input.add(ROWS);
                }
                for row in 0..ROWS {
                    for vector in 0..$vectors {
                        let target = output.add(row * block.stride + vector * $lanes);
                        let sum = sums[row][vector];
                        $store(target, if block.add { $add($load(target), sum) } else { sum });
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
thin!(
    avx2,
    AVX2_PANEL,
    "avx2,fma",
    2,
    8,
    __m256,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_storeu_ps
);
#[cfg(target_arch = "x86_64")]
thin!(
    avx512,
    AVX512_PANEL,
    "avx512f",
    4,
    16,
    __m512,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_storeu_ps
);

/// The kernels for 1 to 6 rows, for panels of 16 columns.
#[cfg(target_arch = "x86_64")]
pub(crate) static AVX2: [Thin; 6] = [avx2::<1>, avx2::<2>, avx2::<3>, avx2::<4>, avx2::<5>, avx2::<6>];
/// The kernels for 1 to 6 rows, for panels of 64 columns.
#[cfg(target_arch = "x86_64")]
pub(crate) static AVX512: [Thin; 6] = [avx512::<1>, avx512::<2>, avx512::<3>, avx512::<4>, avx512::<5>, avx512::<6>];
