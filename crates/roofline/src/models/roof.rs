//! The roofline itself (Williams, Waterman, Patterson, CACM 2009) and where its peaks come from.

use super::{count, finite, positive, share};

/// Arithmetic intensity in FLOP/byte; `None` where nothing was moved, because no point on the axis is infinite.
pub fn intensity(flop: f64, bytes: f64) -> Option<f64> {
    finite(count(flop)? / positive(bytes)?)
}

/// The intensity at which the two roofs meet, FLOP/byte: P / B.
pub fn ridge(flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
    finite(positive(flop_per_s)? / positive(bytes_per_s)?)
}

/// The roof at an intensity, FLOP/s: min(P, AI x B).
pub fn attainable(intensity: f64, flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
    let slope = count(intensity)? * positive(bytes_per_s)?;
    finite(positive(flop_per_s)?.min(slope))
}

/// Share of the roof that was reached: FLOP/s / min(P, AI x B). Over 1 is a point above its roof and is not clipped.
pub fn roof_ratio(achieved: f64, intensity: f64, flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
    finite(count(achieved)? / positive(attainable(intensity, flop_per_s, bytes_per_s)?)?)
}

/// The ceiling of code of which the share `fma` of the floating-point instructions is fused: P (1 + fma) / 2, since an
/// FMA does two operations in the slot of one (Yang et al., arXiv 2008.11326).
pub fn fma_ceiling(flop_per_s: f64, fma: f64) -> Option<f64> {
    finite(positive(flop_per_s)? * (1.0 + share(fma)?) / 2.0)
}

/// A peak from its parts, per s: units x operations per cycle and unit x clock.
pub fn peak(units: f64, per_cycle: f64, hz: f64) -> Option<f64> {
    finite(positive(units)? * positive(per_cycle)? * positive(hz)?)
}

/// Bandwidth of a memory bus, bytes/s: pins x bits/s of a pin / 8.
pub fn bus_bandwidth(pins: f64, bits_per_s_per_pin: f64) -> Option<f64> {
    finite(positive(pins)? * positive(bits_per_s_per_pin)? / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roof_rises_to_the_ridge_and_stays() {
        // P = 8, B = 2: ridge 4; at 1 the slope gives 2, at 4 and beyond the peak.
        assert_eq!(ridge(8.0, 2.0), Some(4.0));
        let roof = [1.0, 4.0, 100.0].map(|at| attainable(at, 8.0, 2.0));
        assert_eq!(roof, [Some(2.0), Some(8.0), Some(8.0)]);
        assert_eq!(roof_ratio(1.0, 1.0, 8.0, 2.0), Some(0.5));
        assert_eq!(roof_ratio(16.0, 100.0, 8.0, 2.0), Some(2.0));
    }

    #[test]
    fn without_bytes_or_a_peak_there_is_no_answer() {
        assert_eq!((intensity(1.0, 0.0), intensity(0.0, 4.0)), (None, Some(0.0)));
        assert_eq!((ridge(1.0, 0.0), ridge(f64::MAX, f64::MIN_POSITIVE)), (None, None));
        assert_eq!(roof_ratio(0.0, 0.0, 8.0, 2.0), None);
    }

    #[test]
    fn half_of_the_peak_is_left_without_fusing() {
        let ceilings = [0.0, 0.5, 1.0].map(|fma| fma_ceiling(8.0, fma));
        assert_eq!((ceilings, fma_ceiling(8.0, 1.1)), ([Some(4.0), Some(6.0), Some(8.0)], None));
    }

    #[test]
    fn peaks_follow_from_units_and_clocks() {
        // A100: 108 SM x 2048 FLOP x 1.41 GHz = 311.9 TFLOP/s; HBM2e of 5120 pins at 3.186 Gbit/s = 2039 GB/s.
        assert_eq!(peak(108.0, 2048.0, 1.41e9), Some(311.869_44e12));
        assert_eq!(bus_bandwidth(5120.0, 3.186e9), Some(2.039_04e12));
    }
}
