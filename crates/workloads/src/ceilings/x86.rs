//! Kernels for x86-64, written in assembly so that no compiler can fold, hoist or vectorise them.
//!
//! Every kernel states what it needs in its `Safety` section; [`super::kernels`] asks the CPU before it offers one.

use std::arch::asm;
use std::arch::is_x86_feature_detected as has;

use super::kernels::{Compute, Isa, Op, Precision, Stream};

/// 64 bytes of one constant, so that every register width can be loaded from it.
#[repr(align(64))]
struct F32s([f32; 16]);
#[repr(align(64))]
struct F64s([f64; 8]);

// acc = acc * 0.5 + 1 converges to 2: no overflow and no denormals, however long the loop.
static HALF_F32: F32s = F32s([0.5; 16]);
static ONE_F32: F32s = F32s([1.0; 16]);
static HALF_F64: F64s = F64s([0.5; 8]);
static ONE_F64: F64s = F64s([1.0; 8]);

/// Independent chains: at least latency x ports (5 x 2 on Haswell, 4 x 2 on all later ones).
const CHAINS: u64 = 12;
const UNROLL: u64 = 4;

/// A loop of `UNROLL` x `CHAINS` instructions `$step`, register number `\r` of width `$reg`.
macro_rules! chains {
    ($(#[$doc:meta])* $name:ident, $reg:literal, $half:ident, $one:ident, $($step:literal),+) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The CPU has the instruction set, and `loops` is at least 1.
        unsafe fn $name(loops: u64) {
            // SAFETY: reads two 64-byte statics, writes only the registers listed.
            unsafe {
                asm!(
                    ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,13",
                    concat!("vmovups ", $reg, "mm\\r, [{one}]"),
                    ".endr",
                    concat!("vmovups ", $reg, "mm12, [{half}]"),
                    "2:",
                    ".rept 4",
                    ".irp r,0,1,2,3,4,5,6,7,8,9,10,11",
                    $($step,)+
                    ".endr",
                    ".endr",
                    "dec {n}",
                    "jnz 2b",
                    "vzeroupper",
                    n = inout(reg) loops => _,
                    half = in(reg) $half.0.as_ptr(),
                    one = in(reg) $one.0.as_ptr(),
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                    out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _,
                    options(nostack)
                );
            }
        }
    };
}

chains!(
    /// AVX-512, f32.
    fma_f32_avx512, "z", HALF_F32, ONE_F32, "vfmadd213ps zmm\\r, zmm12, zmm13");
chains!(
    /// AVX-512, f64.
    fma_f64_avx512, "z", HALF_F64, ONE_F64, "vfmadd213pd zmm\\r, zmm12, zmm13");
chains!(
    /// AVX2 with FMA, f32.
    fma_f32_avx2, "y", HALF_F32, ONE_F32, "vfmadd213ps ymm\\r, ymm12, ymm13");
chains!(
    /// AVX2 with FMA, f64.
    fma_f64_avx2, "y", HALF_F64, ONE_F64, "vfmadd213pd ymm\\r, ymm12, ymm13");
chains!(
    /// One lane with FMA, f32.
    fma_f32_scalar, "x", HALF_F32, ONE_F32, "vfmadd213ss xmm\\r, xmm12, xmm13");
chains!(
    /// One lane with FMA, f64.
    fma_f64_scalar, "x", HALF_F64, ONE_F64, "vfmadd213sd xmm\\r, xmm12, xmm13");

/// One lane without FMA: a multiplication and an addition; runs on every x86-64, so it avoids VEX encodings.
macro_rules! mul_add {
    ($name:ident, $half:ident, $one:ident, $mul:literal, $add:literal) => {
        /// # Safety
        /// `loops` is at least 1.
        unsafe fn $name(loops: u64) {
            // SAFETY: reads two 64-byte statics, writes only the registers listed.
            unsafe {
                asm!(
                    ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,13",
                    "movups xmm\\r, [{one}]",
                    ".endr",
                    "movups xmm12, [{half}]",
                    "2:",
                    ".rept 4",
                    ".irp r,0,1,2,3,4,5,6,7,8,9,10,11",
                    concat!($mul, " xmm\\r, xmm12"),
                    concat!($add, " xmm\\r, xmm13"),
                    ".endr",
                    ".endr",
                    "dec {n}",
                    "jnz 2b",
                    n = inout(reg) loops => _,
                    half = in(reg) $half.0.as_ptr(),
                    one = in(reg) $one.0.as_ptr(),
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _,
                    out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _,
                    options(nostack)
                );
            }
        }
    };
}

mul_add!(mul_add_f32, HALF_F32, ONE_F32, "mulss", "addss");
mul_add!(mul_add_f64, HALF_F64, ONE_F64, "mulsd", "addsd");

/// A loop over blocks of up to three arrays at `offset`, which wraps at `mask` without a branch: a nested loop would pay
/// a mispredicted exit on every pass over a small working set.
macro_rules! walk {
    ($name:ident, $displacements:literal, $block:literal, [$($before:literal),*], [$($step:literal),+], [$($after:literal),*]) => {
        /// # Safety
        /// The CPU has the instruction set; `offset` is a multiple of the block; each array that the kernel uses is
        /// 64-byte aligned and valid for every offset that the walk reaches; `blocks` is at least 1.
        unsafe fn $name(arrays: [*mut u8; 3], offset: usize, mask: usize, blocks: usize) {
            // SAFETY: the caller promises that all addresses are valid; only the registers listed are written.
            unsafe {
                asm!(
                    $($before,)*
                    "2:",
                    concat!(".irp d,", $displacements),
                    $($step,)+
                    ".endr",
                    concat!("add {o}, ", $block),
                    "and {o}, {mask}",
                    "dec {n}",
                    "jnz 2b",
                    $($after,)*
                    "/* {a} {b} {c} {s} */",
                    a = in(reg) arrays[0],
                    b = in(reg) arrays[1],
                    c = in(reg) arrays[2],
                    s = in(reg) HALF_F32.0.as_ptr(),
                    o = inout(reg) offset => _,
                    mask = in(reg) mask,
                    n = inout(reg) blocks => _,
                    out("xmm0") _, out("xmm1") _,
                    options(nostack)
                );
            }
        }
    };
}

walk!(read_avx512, "0,64,128,192,256,320,384,448", "512", [], ["vmovaps zmm0, [{a} + {o} + \\d]"], ["vzeroupper"]);
walk!(
    copy_avx512,
    "0,64,128,192",
    "256",
    [],
    ["vmovaps zmm0, [{a} + {o} + \\d]", "vmovaps [{b} + {o} + \\d], zmm0"],
    ["vzeroupper"]
);
walk!(
    copy_nt_avx512,
    "0,64,128,192",
    "256",
    [],
    ["vmovaps zmm0, [{a} + {o} + \\d]", "vmovntps [{b} + {o} + \\d], zmm0"],
    ["sfence", "vzeroupper"]
);
walk!(
    triad_avx512,
    "0,64,128,192",
    "256",
    ["vmovaps zmm1, [{s}]"],
    ["vmovaps zmm0, [{b} + {o} + \\d]", "vfmadd213ps zmm0, zmm1, [{a} + {o} + \\d]", "vmovaps [{c} + {o} + \\d], zmm0"],
    ["vzeroupper"]
);
walk!(
    triad_nt_avx512,
    "0,64,128,192",
    "256",
    ["vmovaps zmm1, [{s}]"],
    [
        "vmovaps zmm0, [{b} + {o} + \\d]",
        "vfmadd213ps zmm0, zmm1, [{a} + {o} + \\d]",
        "vmovntps [{c} + {o} + \\d], zmm0"
    ],
    ["sfence", "vzeroupper"]
);

walk!(
    read_avx2,
    "0,32,64,96,128,160,192,224,256,288,320,352,384,416,448,480",
    "512",
    [],
    ["vmovaps ymm0, [{a} + {o} + \\d]"],
    ["vzeroupper"]
);
walk!(
    copy_avx2,
    "0,32,64,96,128,160,192,224",
    "256",
    [],
    ["vmovaps ymm0, [{a} + {o} + \\d]", "vmovaps [{b} + {o} + \\d], ymm0"],
    ["vzeroupper"]
);
walk!(
    copy_nt_avx2,
    "0,32,64,96,128,160,192,224",
    "256",
    [],
    ["vmovaps ymm0, [{a} + {o} + \\d]", "vmovntps [{b} + {o} + \\d], ymm0"],
    ["sfence", "vzeroupper"]
);
walk!(
    triad_avx2,
    "0,32,64,96,128,160,192,224",
    "256",
    ["vmovaps ymm1, [{s}]"],
    ["vmovaps ymm0, [{b} + {o} + \\d]", "vfmadd213ps ymm0, ymm1, [{a} + {o} + \\d]", "vmovaps [{c} + {o} + \\d], ymm0"],
    ["vzeroupper"]
);
walk!(
    triad_nt_avx2,
    "0,32,64,96,128,160,192,224",
    "256",
    ["vmovaps ymm1, [{s}]"],
    [
        "vmovaps ymm0, [{b} + {o} + \\d]",
        "vfmadd213ps ymm0, ymm1, [{a} + {o} + \\d]",
        "vmovntps [{c} + {o} + \\d], ymm0"
    ],
    ["sfence", "vzeroupper"]
);

// The x86-64 baseline: 8-byte loads; the non-temporal store of that width is the one of the integer unit.
walk!(read_scalar, "0,8,16,24,32,40,48,56", "64", [], ["movsd xmm0, [{a} + {o} + \\d]"], []);
walk!(
    copy_scalar,
    "0,8,16,24,32,40,48,56",
    "64",
    [],
    ["movsd xmm0, [{a} + {o} + \\d]", "movsd [{b} + {o} + \\d], xmm0"],
    []
);
walk!(
    triad_scalar,
    "0,8,16,24,32,40,48,56",
    "64",
    ["movaps xmm1, [{s}]"],
    [
        "movsd xmm0, [{b} + {o} + \\d]",
        "mulps xmm0, xmm1",
        "movsd xmm1, [{a} + {o} + \\d]",
        "addps xmm0, xmm1",
        "movaps xmm1, [{s}]",
        "movsd [{c} + {o} + \\d], xmm0"
    ],
    []
);

/// Adds that each wait for the one before: `adds` cycles, whatever else the machine does. A register operand, since
/// recent Intel cores resolve the addition of a constant without executing it.
pub(super) fn dependent_adds(adds: u64) {
    // SAFETY: integer registers only.
    unsafe {
        asm!(
            "2:",
            ".rept 64",
            "add {x}, {one}",
            ".endr",
            "sub {n}, 64",
            "ja 2b",
            x = inout(reg) 0_u64 => _,
            one = in(reg) 1_u64,
            n = inout(reg) adds => _,
            options(nomem, nostack)
        );
    }
}

fn fma(isa: Isa, precision: Precision, lanes: u64, run: unsafe fn(u64)) -> Compute {
    Compute { isa, precision, flop_per_loop: CHAINS * UNROLL * lanes * 2, run }
}

/// The arithmetic kernels that this CPU can run.
pub(super) fn compute() -> Vec<Compute> {
    let mut kernels = Vec::new();
    if has!("avx512f") {
        kernels.push(fma(Isa::Avx512, Precision::F64, 8, fma_f64_avx512));
        kernels.push(fma(Isa::Avx512, Precision::F32, 16, fma_f32_avx512));
    }
    if has!("avx2") && has!("fma") {
        kernels.push(fma(Isa::Avx2, Precision::F64, 4, fma_f64_avx2));
        kernels.push(fma(Isa::Avx2, Precision::F32, 8, fma_f32_avx2));
        kernels.push(fma(Isa::Scalar, Precision::F64, 1, fma_f64_scalar));
        kernels.push(fma(Isa::Scalar, Precision::F32, 1, fma_f32_scalar));
    } else {
        kernels.push(fma(Isa::Scalar, Precision::F64, 1, mul_add_f64));
        kernels.push(fma(Isa::Scalar, Precision::F32, 1, mul_add_f32));
    }
    kernels
}

/// The memory kernels of the widest instruction set that this CPU has.
pub(super) fn streams() -> Vec<Stream> {
    let stream = |isa, op, block, run| Stream { isa, op, block, run };
    if has!("avx512f") {
        return vec![
            stream(Isa::Avx512, Op::Read, 512, read_avx512 as super::kernels::Walk),
            stream(Isa::Avx512, Op::Copy, 256, copy_avx512),
            stream(Isa::Avx512, Op::Triad, 256, triad_avx512),
            stream(Isa::Avx512, Op::CopyNt, 256, copy_nt_avx512),
            stream(Isa::Avx512, Op::TriadNt, 256, triad_nt_avx512),
        ];
    }
    if has!("avx2") && has!("fma") {
        return vec![
            stream(Isa::Avx2, Op::Read, 512, read_avx2 as super::kernels::Walk),
            stream(Isa::Avx2, Op::Copy, 256, copy_avx2),
            stream(Isa::Avx2, Op::Triad, 256, triad_avx2),
            stream(Isa::Avx2, Op::CopyNt, 256, copy_nt_avx2),
            stream(Isa::Avx2, Op::TriadNt, 256, triad_nt_avx2),
        ];
    }
    vec![
        stream(Isa::Scalar, Op::Read, 64, read_scalar as super::kernels::Walk),
        stream(Isa::Scalar, Op::Copy, 64, copy_scalar),
        stream(Isa::Scalar, Op::Triad, 64, triad_scalar),
    ]
}
