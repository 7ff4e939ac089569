//! Counters of AMD's profilers (rocprofiler-compute, rocprofv3).
//!
//! Source of the formulas: `roofline_calc.py` of rocprofiler-compute. A wavefront's instruction is 64 operations, an FMA
//! twice that, a transcendental as an addition; `MFMA_MOPS` count 512 operations.

use std::sync::Arc;

use super::bytes::BytesPlan;
use super::page::Page;
use super::sum::{Moment, Sum, Term};
use super::suspicion::{SuspicionKind, Worst};
use super::vector::FlopPlan;
use super::{Note, missing};
use crate::{Level, Precision};

mod family;

use family::Family;

/// What was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Amd {
    pub(super) flop: Vec<FlopPlan>,
    pub(super) bytes: Vec<BytesPlan>,
    /// Whether the page counts all arithmetic of the vector units, and of the matrix units.
    pub(super) complete: [bool; 2],
    /// Where the page counts matrix instructions: none of them is no matrix arithmetic.
    pub(super) matrix_instructions: Option<usize>,
    pub(super) instructions: Option<Term>,
    pub(super) writes: Option<Writes>,
    pub(super) part: Option<&'static str>,
}

/// What the L1s write through to the L2 and what the L2 writes to memory, in requests of 64 bytes at most.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    slot: usize,
    through: Sum,
    out: Sum,
}

impl Writes {
    /// Flags a launch of whose writes more than a percent were still in the L2 when its counters were read.
    ///
    /// Both are taken as 64 bytes a request: L1s may write less with one, and the L2 then sends 32, where nothing is
    /// missing.
    pub(super) fn suspect(&self, values: &[f64], moment: &Moment, metrics: &[Arc<str>], worst: &mut Worst) {
        let sums = self.through.all(values, moment).zip(self.out.all(values, moment));
        if let Some((through, out)) = sums.filter(|(through, out)| through - out > 0.01 * through) {
            worst.add_part(SuspicionKind::WritesLeftInCache, &metrics[self.slot], through - out, Some(through));
        }
    }
}

/// Whether a page holds counters of an AMD device.
pub(super) fn is_amd(page: &Page<'_>, arch: Option<&str>) -> bool {
    let known = |name: &str| ["SQ_", "TCC_", "TCP_"].iter().any(|block| name.starts_with(block));
    arch.is_some_and(|arch| arch.starts_with("gfx")) || page.names().any(known)
}

pub(super) fn choose(page: &mut Page<'_>, arch: Option<&str>, notes: &mut Vec<Note>) -> Amd {
    let family = Family::of(page, arch, notes);
    let cdna3 = family.is_cdna3();
    let mut amd = Amd::default();
    let mut absent = vector(page, &mut amd);
    absent.extend(matrix(page, family, &mut amd));
    if !amd.flop.is_empty() {
        missing::types(&absent, notes);
    }
    amd.part = (!amd.flop.is_empty()).then_some("valu64-mfma512");
    amd.matrix_instructions = page.slot("SQ_INSTS_MFMA");
    amd.instructions = counter(page, &["SQ_INSTS"], 1.0).first().copied();
    amd.bytes.extend(hbm(page, cdna3, notes));
    amd.bytes.extend(l2(page, cdna3));
    amd.writes = writes(page);
    let l1 = counter(page, &["TCP_TOTAL_CACHE_ACCESSES"], 64.0);
    if !l1.is_empty() {
        amd.bytes.push(BytesPlan { level: Level::L1, sum: Sum(l1), part: "l1-tcp-accesses-64" });
        if cdna3 {
            let detail = "L1 bytes are accesses of 64 bytes, as rocprofiler-compute has it; lines are 128 bytes here";
            notes.push(Note { code: "cache-line-128", detail: detail.to_owned() });
        }
    }
    amd.bytes.extend(lds(page));
    amd
}

/// The terms of a counter: its total (`NAME_sum` or `NAME`), else all of its channels (`NAME[0]` ...).
fn counter(page: &mut Page<'_>, names: &[&str], factor: f64) -> Vec<Term> {
    for name in names {
        let total = page.slot(&format!("{name}_sum")).or_else(|| page.slot(name));
        if let Some(slot) = total {
            return vec![Term::count(slot, factor)];
        }
        let open = format!("{name}[");
        let mut channels: Vec<&str> = page.names().filter(|other| other.starts_with(&open)).collect();
        channels.sort_unstable();
        if !channels.is_empty() {
            return channels.iter().filter_map(|name| page.slot(name)).map(|slot| Term::count(slot, factor)).collect();
        }
    }
    Vec::new()
}

/// Chooses the counters of the vector units; what the page has not, or not all of, comes back.
fn vector(page: &mut Page<'_>, amd: &mut Amd) -> Vec<Precision> {
    let mut absent = Vec::new();
    for (element, precision) in [("F16", Precision::F16), ("F32", Precision::F32), ("F64", Precision::F64)] {
        let (mut sum, mut whole) = (Sum::default(), true);
        for (operation, flop) in [("ADD", 64.0), ("MUL", 64.0), ("FMA", 128.0), ("TRANS", 64.0)] {
            let terms = counter(page, &[&format!("SQ_INSTS_VALU_{operation}_{element}")], flop);
            whole &= !terms.is_empty();
            sum.0.extend(terms);
        }
        absent.extend((!whole).then_some(precision));
        if !sum.0.is_empty() {
            amd.flop.push(FlopPlan { precision, sum });
        }
    }
    amd.complete[0] = absent.is_empty();
    absent
}

/// Chooses the counters of the matrix units; what the device has and the page does not count comes back.
fn matrix(page: &mut Page<'_>, family: Family, amd: &mut Amd) -> Vec<Precision> {
    let mut absent = Vec::new();
    for (element, precision) in [
        ("F16", Precision::MatrixF16),
        ("BF16", Precision::MatrixBf16),
        ("F32", Precision::MatrixF32),
        ("XF32", Precision::MatrixTf32),
        ("F64", Precision::MatrixF64),
        ("I8", Precision::MatrixI8),
        ("F8", Precision::MatrixF8),
        ("F6F4", Precision::MatrixF6),
    ] {
        let sum = Sum(counter(page, &[&format!("SQ_INSTS_VALU_MFMA_MOPS_{element}")], 512.0));
        if !sum.0.is_empty() {
            amd.flop.push(FlopPlan { precision, sum });
        } else if family.has_matrix(element) {
            absent.push(precision);
        }
    }
    amd.complete[1] = absent.is_empty();
    absent
}

/// 32 R32 + 64 (R - R32) + 64 W64 + 32 (W - W64); of MI300 also reads of 128 bytes (`BUBBLE`), which R counts once.
fn hbm(page: &mut Page<'_>, cdna3: bool, notes: &mut Vec<Note>) -> Option<BytesPlan> {
    let mut term = |name: &str, bytes| {
        let names = ["TCC_EA", "TCC_EA0"].map(|block| format!("{block}_{name}"));
        let terms = counter(page, &[&names[0], &names[1]], bytes);
        (!terms.is_empty()).then_some(terms)
    };
    let mut terms = term("RDREQ", 64.0)?;
    terms.extend(term("RDREQ_32B", -32.0)?);
    terms.extend(term("WRREQ", 32.0)?);
    terms.extend(term("WRREQ_64B", 32.0)?);
    let bubble = counter(page, &["TCC_BUBBLE"], 64.0);
    if cdna3 && bubble.is_empty() {
        let detail = "the page does not count reads of 128 bytes (TCC_BUBBLE): HBM bytes are a lower bound";
        notes.push(Note { code: "no-bubble-counter", detail: detail.to_owned() });
    }
    let part = if bubble.is_empty() { "hbm-ea" } else { "hbm-ea-bubble" };
    terms.extend(bubble);
    Some(BytesPlan { level: Level::Dram, sum: Sum(terms), part })
}

/// Requests to write, of the L1s and of the L2.
fn writes(page: &mut Page<'_>) -> Option<Writes> {
    let through = counter(page, &["TCP_TCC_WRITE_REQ"], 64.0);
    let out = counter(page, &["TCC_EA_WRREQ", "TCC_EA0_WRREQ"], 64.0);
    let slot = out.first()?.slot;
    (!through.is_empty()).then_some(Writes { slot, through: Sum(through), out: Sum(out) })
}

/// 64 bytes a request between L1 and L2. From gfx940 a read fetches a line of 128: a copy of 8 MiB makes 65536 of them.
fn l2(page: &mut Page<'_>, cdna3: bool) -> Option<BytesPlan> {
    let mut terms = Vec::new();
    for (name, bytes) in [
        ("READ", if cdna3 { 128.0 } else { 64.0 }),
        ("WRITE", 64.0),
        ("ATOMIC_WITH_RET", 64.0),
        ("ATOMIC_WITHOUT_RET", 64.0),
    ] {
        let of = counter(page, &[&format!("TCP_TCC_{name}_REQ")], bytes);
        if of.is_empty() {
            return None;
        }
        terms.extend(of);
    }
    let part = if cdna3 { "l2-tcp-tcc-128" } else { "l2-tcp-tcc-64" };
    Some(BytesPlan { level: Level::L2, sum: Sum(terms), part })
}

/// 32 banks of 4 bytes in each cycle that the index unit works and does not wait for a conflict.
fn lds(page: &mut Page<'_>) -> Option<BytesPlan> {
    let mut terms = counter(page, &["SQ_LDS_IDX_ACTIVE"], 128.0);
    let conflicts = counter(page, &["SQ_LDS_BANK_CONFLICT"], -128.0);
    if terms.is_empty() || conflicts.is_empty() {
        return None;
    }
    terms.extend(conflicts);
    Some(BytesPlan { level: Level::Lds, sum: Sum(terms), part: "lds-idx" })
}

#[cfg(test)]
mod tests;
