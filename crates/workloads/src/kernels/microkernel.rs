//! The register-blocked inner product of the `gemm` crates, chosen by what the processor has.
//!
//! Its micro-kernels are called directly: their packed operand is exactly the layout that [`Weights`](super::Weights)
//! keeps, so no call repacks a weight, which the crate's own driver would do.

use std::sync::OnceLock;

use super::thin::{self, Thin};

/// Signature of the micro-kernels of `gemm-f32` 0.19: `dst = alpha * dst + beta * lhs * rhs`, where `alpha_status` 0
/// means that `dst` is not read and 1 that alpha is one.
pub(crate) type Micro = unsafe fn(
    usize,
    usize,
    usize,
    *mut f32,
    *const f32,
    *const f32,
    isize,
    isize,
    isize,
    isize,
    isize,
    f32,
    f32,
    u8,
    bool,
    bool,
    bool,
    *const f32,
);

/// The micro-kernels of one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    /// `avx512`, `avx2`, `neon` or `scalar`.
    pub(crate) isa: &'static str,
    /// Output columns of a panel; divides [`TILE`](super::TILE).
    pub(crate) panel: usize,
    /// One micro-kernel for each number of rows, from 1.
    pub(crate) micro: &'static [Micro],
    /// Depth of a block: a panel block and a row block stay in the first-level cache.
    pub(crate) depth: usize,
    /// Kernels for few rows, where there are any.
    pub(crate) thin: &'static [Thin],
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}x{}", self.isa, self.panel, self.micro.len())
    }
}

macro_rules! kernels {
    ($isa:literal, $module:ident, $lanes:literal, $panel:literal x $rows:literal, $depth:literal, $thin:expr) => {{
        use gemm_f32::microkernel::$module::f32 as set;
        // The unsafe calls in `linear` rest on these: another version of the crate must not change them unseen.
        const _: () = assert!(set::MR_DIV_N * $lanes == $panel && set::NR == $rows);
        const _: () = assert!(super::TILE % $panel == 0 && set::UKR[set::MR_DIV_N - 1].len() == $rows);
        static MICRO: [Micro; set::NR] = set::UKR[set::MR_DIV_N - 1];
        Kernels { isa: $isa, panel: set::MR_DIV_N * $lanes, micro: &MICRO, depth: $depth, thin: $thin }
    }};
}

/// The micro-kernels for this processor.
pub(crate) fn kernels() -> Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    *CHOSEN.get_or_init(choose)
}

#[cfg(target_arch = "x86_64")]
fn choose() -> Kernels {
    const _: () = assert!(thin::AVX2_PANEL == 16 && thin::AVX512_PANEL == 64);
    if is_x86_feature_detected!("avx512f") {
        kernels!("avx512", avx512f, 16, 64 x 6, 256, &thin::AVX512)
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        kernels!("avx2", fma, 8, 16 x 6, 256, &thin::AVX2)
    } else {
        kernels!("scalar", scalar, 1, 2 x 4, 256, &[])
    }
}

#[cfg(target_arch = "aarch64")]
fn choose() -> Kernels {
    if std::arch::is_aarch64_feature_detected!("neon") {
        kernels!("neon", neon, 4, 16 x 4, 256, &[])
    } else {
        kernels!("scalar", scalar, 1, 2 x 4, 256, &[])
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn choose() -> Kernels {
    kernels!("scalar", scalar, 1, 2 x 4, 256, &[])
}
