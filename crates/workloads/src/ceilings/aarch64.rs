//! Kernels for AArch64 (NEON), written in assembly so that no compiler can fold, hoist or vectorise them.

use std::arch::asm;

use super::kernels::{Compute, Isa, Op, Precision, Stream, Walk};

/// Independent chains: Neoverse V1 and V2 and Apple cores have four pipes with a latency of four cycles.
const CHAINS: u64 = 20;

/// A loop of `CHAINS` instructions `$step` on register `\r`; v30 and v31 hold small constants.
macro_rules! chains {
    ($name:ident, $init:literal, $step:literal) => {
        /// # Safety
        /// `loops` is at least 1.
        unsafe fn $name(loops: u64) {
            // SAFETY: writes only the registers listed. acc += 0.5 * 0.25 grows until it saturates in the addition: no
            // overflow and no denormals, however long the loop.
            unsafe {
                asm!(
                    ".irp r,0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27",
                    concat!("fmov v\\r\\()", $init, ", #1.0"),
                    ".endr",
                    concat!("fmov v30", $init, ", #0.5"),
                    concat!("fmov v31", $init, ", #0.25"),
                    "2:",
                    ".irp r,0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27",
                    $step,
                    ".endr",
                    "subs {n}, {n}, #1",
                    "b.ne 2b",
                    n = inout(reg) loops => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                    out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                    out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v30") _, out("v31") _,
                    options(nostack)
                );
            }
        }
    };
}

chains!(fma_f32_neon, ".4s", "fmla v\\r\\().4s, v30.4s, v31.4s");
chains!(fma_f64_neon, ".2d", "fmla v\\r\\().2d, v30.2d, v31.2d");
chains!(fma_f32_scalar, ".4s", "fmadd s\\r, s30, s31, s\\r");
chains!(fma_f64_scalar, ".2d", "fmadd d\\r, d30, d31, d\\r");

/// A loop over 256-byte blocks of up to three arrays at `offset`, which wraps at `mask` without a branch.
macro_rules! walk {
    ($name:ident, [$($step:literal),+]) => {
        /// # Safety
        /// `offset` is a multiple of the block; each array that the kernel uses is 64-byte aligned and valid for every
        /// offset that the walk reaches; `blocks` is at least 1.
        unsafe fn $name(arrays: [*mut u8; 3], offset: usize, mask: usize, blocks: usize) {
            // SAFETY: the caller promises that all addresses are valid; only the registers listed are written.
            unsafe {
                asm!(
                    "fmov v4.4s, #0.5",
                    "2:",
                    "add {pa}, {a}, {o}",
                    "add {pb}, {b}, {o}",
                    "add {pc}, {c}, {o}",
                    ".irp d,0,32,64,96,128,160,192,224",
                    $($step,)+
                    ".endr",
                    "add {o}, {o}, #256",
                    "and {o}, {o}, {mask}",
                    "subs {n}, {n}, #1",
                    "b.ne 2b",
                    a = in(reg) arrays[0],
                    b = in(reg) arrays[1],
                    c = in(reg) arrays[2],
                    pa = out(reg) _,
                    pb = out(reg) _,
                    pc = out(reg) _,
                    o = inout(reg) offset => _,
                    mask = in(reg) mask,
                    n = inout(reg) blocks => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
                    options(nostack)
                );
            }
        }
    };
}

walk!(read_neon, ["ldp q0, q1, [{pa}, #\\d]"]);
walk!(copy_neon, ["ldp q0, q1, [{pa}, #\\d]", "stp q0, q1, [{pb}, #\\d]"]);
walk!(copy_nt_neon, ["ldp q0, q1, [{pa}, #\\d]", "stnp q0, q1, [{pb}, #\\d]"]);
walk!(
    triad_neon,
    [
        "ldp q0, q1, [{pa}, #\\d]",
        "ldp q2, q3, [{pb}, #\\d]",
        "fmla v0.4s, v2.4s, v4.4s",
        "fmla v1.4s, v3.4s, v4.4s",
        "stp q0, q1, [{pc}, #\\d]"
    ]
);
walk!(
    triad_nt_neon,
    [
        "ldp q0, q1, [{pa}, #\\d]",
        "ldp q2, q3, [{pb}, #\\d]",
        "fmla v0.4s, v2.4s, v4.4s",
        "fmla v1.4s, v3.4s, v4.4s",
        "stnp q0, q1, [{pc}, #\\d]"
    ]
);

/// Adds that each wait for the one before: `adds` cycles, whatever else the machine does.
pub(super) fn dependent_adds(adds: u64) {
    // SAFETY: integer registers only.
    unsafe {
        asm!(
            "2:",
            ".rept 64",
            "add {x}, {x}, {one}",
            ".endr",
            "subs {n}, {n}, #64",
            "b.hi 2b",
            x = inout(reg) 0_u64 => _,
            one = in(reg) 1_u64,
            n = inout(reg) adds => _,
            options(nomem, nostack)
        );
    }
}

fn fma(isa: Isa, precision: Precision, lanes: u64, run: unsafe fn(u64)) -> Compute {
    Compute { isa, precision, flop_per_loop: CHAINS * lanes * 2, run }
}

/// The arithmetic kernels; NEON is part of the architecture.
pub(super) fn compute() -> Vec<Compute> {
    vec![
        fma(Isa::Neon, Precision::F64, 2, fma_f64_neon),
        fma(Isa::Neon, Precision::F32, 4, fma_f32_neon),
        fma(Isa::Scalar, Precision::F64, 1, fma_f64_scalar),
        fma(Isa::Scalar, Precision::F32, 1, fma_f32_scalar),
    ]
}

/// The memory kernels.
pub(super) fn streams() -> Vec<Stream> {
    let stream = |op, run| Stream { isa: Isa::Neon, op, block: 256, run };
    vec![
        stream(Op::Read, read_neon as Walk),
        stream(Op::Copy, copy_neon),
        stream(Op::Triad, triad_neon),
        stream(Op::CopyNt, copy_nt_neon),
        stream(Op::TriadNt, triad_nt_neon),
    ]
}
