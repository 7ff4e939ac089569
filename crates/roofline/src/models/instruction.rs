//! The instruction roofline (Ding and Williams, "An Instruction Roofline Model for GPUs", PMBS 2019): warp instructions
//! instead of FLOP and 32-byte transactions instead of bytes, for kernels whose work is not floating point.
//!
//! Rates are in 10^9 a second as the authors plot them: GIPS (warp instructions) and GTXN/s (transactions).

use super::{count, finite, positive};

/// Bytes of a transaction: a sector, the smallest unit that DRAM, L2 and L1 move.
pub const TRANSACTION_BYTES: f64 = 32.0;

/// GIPS that a kernel reached: warp instructions / 10^9 / s.
pub fn giga_instructions(warp_instructions: f64, seconds: f64) -> Option<f64> {
    finite(count(warp_instructions)? / 1e9 / positive(seconds)?)
}

/// Peak GIPS: units x schedulers of a unit, each issuing one warp instruction a cycle, x clock.
pub fn peak_giga_instructions(units: f64, schedulers: f64, hz: f64) -> Option<f64> {
    super::peak(units, schedulers, hz).map(|per_s| per_s / 1e9)
}

/// Warp instructions for each transaction of a level.
pub fn instruction_intensity(warp_instructions: f64, bytes: f64) -> Option<f64> {
    finite(count(warp_instructions)? / (positive(bytes)? / TRANSACTION_BYTES))
}

/// The memory roof in GTXN/s: bytes/s / 10^9 / 32. Times the intensity it is GIPS.
pub fn transactions(bytes_per_s: f64) -> Option<f64> {
    finite(positive(bytes_per_s)? / 1e9 / TRANSACTION_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_floats_has_two_instructions_for_eight_transactions() {
        // A warp that loads and stores 32 floats: 2 instructions, 256 bytes, 8 transactions.
        assert_eq!(instruction_intensity(2.0, 256.0), Some(0.25));
        assert_eq!((giga_instructions(4e9, 2.0), transactions(6.4e10)), (Some(2.0), Some(2.0)));
        assert_eq!(peak_giga_instructions(10.0, 4.0, 1e9), Some(40.0));
    }

    #[test]
    fn without_time_or_traffic_there_is_no_point() {
        assert_eq!((giga_instructions(1.0, 0.0), instruction_intensity(1.0, 0.0)), (None, None));
    }
}
