//! Peaks that a page states: work per cycle from ncu's table of the hardware, times the clock that it measured.

use super::page::{Page, in_roofline};
use super::sum::{Domain, Moment, value};
use super::tensor_name::{Name, of_capability, precision};
use super::{Note, bytes};
use crate::{Level, Precision};

/// One statement of a peak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peak<K> {
    /// Precision and sparsity, or level.
    pub(super) of: K,
    slot: usize,
    factor: f64,
    /// Whose cycles it is per; none where it is per second.
    per: Option<Domain>,
}

impl<K> Peak<K> {
    /// Work per second; absent without a clock.
    pub(super) fn value(&self, values: &[f64], moment: &Moment) -> Option<f64> {
        let clock = match self.per {
            Some(domain) => moment.clock[domain as usize]?,
            None => 1.0,
        };
        Some(value(values, self.slot)? * self.factor * clock).filter(|peak| *peak > 0.0 && peak.is_finite())
    }
}

fn stated<K>(page: &mut Page<'_>, base: &str, factor: f64, of: K) -> Option<Peak<K>> {
    if let Some(slot) = page.slot(&format!("{base}.sum.peak_sustained_elapsed.per_second")) {
        return Some(Peak { of, slot, factor, per: None });
    }
    let slot = page.slot(&format!("{base}.sum.peak_sustained"))?;
    Some(Peak { of, slot, factor, per: Some(Domain::of(base)) })
}

/// Peaks of the vector units: an FMA in every lane and cycle.
pub(super) fn vector(page: &mut Page<'_>, half_fma: f64) -> Vec<Peak<(Precision, bool)>> {
    let sm = Some(Domain::Sm);
    let mut peaks = Vec::new();
    for (letter, precision, fma) in
        [("d", Precision::F64, 2.0), ("f", Precision::F32, 2.0), ("h", Precision::F16, half_fma)]
    {
        let of = (precision, false);
        let name = format!("sass_thread_inst_executed_op_{letter}fma_pred_on");
        let named = ["sm", "smsp"].iter().find_map(|unit| stated(page, &format!("{unit}__{name}"), fma, of));
        let product = || format!("derived__sm__{name}_x{fma}");
        let peak = named.or_else(|| page.slot(&product()).map(|slot| Peak { of, slot, factor: 1.0, per: sm }));
        let peak = peak.or_else(|| {
            let upper = letter.to_ascii_uppercase();
            let operations = format!("Theoretical Predicated-On {upper}FMA Operations");
            let instructions = format!("Theoretical Predicated-On {upper}FMA Thread Instructions Executed");
            let shown = page.shown(&operations, in_roofline).map(|slot| (slot, 1.0));
            let shown = shown.or_else(|| page.shown(&instructions, in_roofline).map(|slot| (slot, fma)));
            shown.map(|(slot, factor)| Peak { of, slot, factor, per: sm })
        });
        peaks.extend(peak);
    }
    peaks
}

/// Peaks of the tensor cores. The peak of an aggregate is that of its fastest part, which is the sparse one where the
/// device has one (a GB200 states 2490368 a cycle for BF16: sparse, twice the dense 1245184), so parts are taken.
pub(super) fn tensor(page: &mut Page<'_>, arch: Option<u32>, notes: &mut Vec<Note>) -> Vec<Peak<(Precision, bool)>> {
    let suffixes = [".sum.peak_sustained_elapsed.per_second", ".sum.peak_sustained"];
    let mut bases: Vec<&str> =
        page.names().filter_map(|name| suffixes.iter().find_map(|suffix| name.strip_suffix(suffix))).collect();
    bases.sort_unstable();
    bases.dedup();
    let listed: Vec<String> = arch.into_iter().flat_map(of_capability).collect();
    let has_sparse = |src: &str| {
        let sparse =
            |name: &str| Name::parse(name).is_some_and(|name| name.types.0 == src && name.sparse == Some(true));
        listed.is_empty() || listed.iter().any(|name| sparse(name))
    };
    let mut peaks = Vec::new();
    let mut mixed = false;
    for base in bases {
        let Some(name) = Name::parse(base) else { continue };
        let Some(precision) = precision(name.types) else { continue };
        // No device has sparse FP64 or binary arithmetic.
        let only_dense = matches!(precision, Precision::MatrixF64 | Precision::MatrixI1) || !has_sparse(name.types.0);
        match name.sparse.or(only_dense.then_some(false)) {
            Some(sparse) => peaks.extend(stated(page, base, 1.0, (precision, sparse))),
            None => mixed |= name.is_aggregate(),
        }
    }
    if mixed && peaks.is_empty() {
        let detail = "the page states tensor peaks of dense and sparse operations together: none is taken as a roof";
        notes.push(Note { code: "mixed-tensor-peaks", detail: detail.to_owned() });
    }
    peaks
}

/// Bandwidths of DRAM, and of L2 and L1 in the way that their bytes are counted (`parts` of the formula).
pub(super) fn bandwidth(page: &mut Page<'_>, parts: &[&str]) -> Vec<Peak<Level>> {
    let mut peaks = Vec::new();
    if let Some(peak) = stated(page, "dram__bytes", 1.0, Level::Dram) {
        peaks.push(peak);
    } else if let Some(slot) = page.shown("Theoretical DRAM Bytes Accessible", in_roofline) {
        peaks.push(Peak { of: Level::Dram, slot, factor: 1.0, per: Some(Domain::Dram) });
    }
    for (level, ways) in [(Level::L2, bytes::L2), (Level::L1, bytes::L1)] {
        // What comes back from L2 only is held against no peak.
        let mut taken = ways.iter().filter(|(part, _)| parts.contains(part) && *part != "l2-xbar-reads");
        peaks.extend(taken.find_map(|(_, counters)| match counters {
            [(base, factor)] => stated(page, base, *factor, level),
            _ => None,
        }));
    }
    peaks
}

/// The largest statement of each peak.
pub(super) fn largest<K: Copy + PartialEq>(peaks: &[Peak<K>], values: &[f64], moment: &Moment) -> Vec<(K, f64)> {
    let mut found = Vec::<(K, f64)>::new();
    for peak in peaks {
        let Some(value) = peak.value(values, moment) else { continue };
        match found.iter_mut().find(|(of, _)| *of == peak.of) {
            Some((_, most)) => *most = most.max(value),
            None => found.push((peak.of, value)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{counted, notes};
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found / expected - 1.0).abs() < tolerance, "{found} and {expected}");
    }

    #[test]
    fn peaks_of_a_gb200_page_are_work_per_cycle_times_the_clock() {
        let metrics = [
            ("sm__sass_thread_inst_executed_op_ffma_pred_on.sum.peak_sustained", 19456.0),
            ("derived__sm__sass_thread_inst_executed_op_ffma_pred_on_x2", 38912.0),
            ("sm__cycles_elapsed.avg.per_second", 730_631_193.14),
            ("dram__bytes.sum.peak_sustained", 1984.0),
            ("dram__cycles_elapsed.avg.per_second", 3_975_308_641.98),
            ("derived__lts__lts2xbar_bytes.sum.per_second", 1.0),
            ("derived__lts__lts2xbar_bytes.sum.peak_sustained", 12032.0),
            ("lts__cycles_elapsed.avg.per_second", 1_684_510_030.86),
            ("gpu__time_duration.sum", 5184.0),
        ];
        let found = counted(&metrics, None, Some("sm_100"));
        // 152 SM x 128 lanes x 2 = 38912 a cycle.
        assert_eq!(found.peaks.len(), 1);
        close(found.peaks[0].2, 38912.0 * 730_631_193.14, 1e-12);
        let of = |level| found.bandwidth_peaks.iter().find(|(other, _)| *other == level).unwrap().1;
        close(of(Level::Dram), 7.887_012_345_7e12, 1e-9);
        close(of(Level::L2), 2.026_802_469e13, 1e-7);
    }

    #[test]
    fn a_tensor_peak_is_dense_or_sparse_and_the_aggregates_is_not_taken_for_dense() {
        let p = "sm__ops_path_tensor_";
        let names = [
            (format!("{p}src_bf16_dst_fp32.sum.peak_sustained_elapsed.per_second"), 1_819.5e12),
            (format!("{p}op_utchmma_src_bf16_dst_fp32_sparsity_off.sum.peak_sustained_elapsed.per_second"), 909.8e12),
            (format!("{p}op_utchmma_src_bf16_dst_fp32_sparsity_on.sum.peak_sustained_elapsed.per_second"), 1_819.5e12),
            (format!("{p}op_hmma_src_bf16_dst_fp32_sparsity_off.sum.peak_sustained_elapsed.per_second"), 227.4e12),
        ];
        let names: Vec<(&str, f64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let bf16 = Precision::MatrixBf16;
        let found = counted(&names, None, Some("sm_100"));
        assert_eq!(found.peaks, [(bf16, false, 909.8e12), (bf16, true, 1_819.5e12)]);
        assert!(counted(&names[..1], None, Some("sm_100")).peaks.is_empty());
        assert!(notes(&names[..1], Some("sm_100")).contains(&"mixed-tensor-peaks"));
        let double =
            [("sm__ops_path_tensor_src_fp64.sum.peak_sustained", 19456.0), ("sm__cycles_elapsed.avg.per_second", 1e9)];
        assert_eq!(counted(&double, None, Some("sm_100")).peaks, [(Precision::MatrixF64, false, 19456e9)]);
    }

    #[test]
    fn peaks_of_a_details_page_are_those_of_its_chart() {
        let chart = |label: &str, name: &str| format!("section:GPU Speed Of Light Roofline Chart/{label}|{name}");
        let names = [
            (chart("Single Precision Roofline", "Theoretical Predicated-On FFMA Operations"), 43520.0),
            (chart("Single Precision Roofline", "SM Frequency"), 2.15e9),
            (chart("Single Precision Roofline", "Theoretical DRAM Bytes Accessible"), 128.0),
            (chart("Single Precision Roofline", "DRAM Frequency"), 13.72e9),
        ];
        let names: Vec<(&str, f64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let found = counted(&names, None, Some("sm_120"));
        // 170 SM x 128 x 2 = 43520; 43520 x 2.15 GHz = 93.568 TFLOP/s; 128 x 13.72 = 1756.16 GB/s.
        assert_eq!(found.peaks.len(), 1);
        close(found.peaks[0].2, 93.568e12, 1e-12);
        close(found.bandwidth_peaks[0].1, 1756.16e9, 1e-12);
    }
}
