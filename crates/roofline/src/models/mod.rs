//! Closed forms of the roofline literature: pure arithmetic on FLOP, bytes, seconds and peaks.
//!
//! Units are SI throughout: FLOP (an FMA is two), bytes, seconds, Hz, joules; rates are per second. Every function gives
//! `None` where an argument is out of its domain (not finite, a peak that is not positive, a negative count) or where the
//! answer is not a finite number, so that nothing that is not a number reaches a table.

mod batch;
mod energy;
mod gemm;
mod instruction;
mod network;
mod read_set;
mod roof;
mod time;

pub use batch::{
    Linear, attention_intensity, attention_intensity_limit, batch_at_ridge, context_at_weights, critical_batch,
};
pub use energy::Energy;
pub use gemm::{Gemm, dot_intensity};
pub use instruction::{
    TRANSACTION_BYTES, giga_instructions, instruction_intensity, peak_giga_instructions, transactions,
};
pub use network::{network_intensity, two_chip_width};
pub use read_set::{bytes_per_token, experts_read, tokens_per_s};
pub use roof::{attainable, bus_bandwidth, fma_ceiling, intensity, peak, ridge, roof_ratio};
pub use time::{Times, seconds_at};

/// A number that is one.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A rate, peak or size that something is divided by.
fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

/// A count, which may be zero.
fn count(value: f64) -> Option<f64> {
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// A share of one.
fn share(value: f64) -> Option<f64> {
    (0.0..=1.0).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every form, of the same six numbers.
    fn every_form([a, b, c, d, e, f]: [f64; 6]) -> Vec<Option<f64>> {
        let layer = Linear { flop_per_row: a, fixed_bytes: b, bytes_per_row: c };
        let gemm = Gemm { m: a, n: b, k: c, a_bytes: d, b_bytes: e, c_bytes: f };
        let (times, energy) =
            (Times { math: a, memory: b, link: c }, Energy { per_flop: a, per_byte: b, constant_w: c });
        vec![
            intensity(a, b),
            ridge(a, b),
            attainable(a, b, c),
            roof_ratio(a, b, c, d),
            fma_ceiling(a, b),
            peak(a, b, c),
            bus_bandwidth(a, b),
            layer.bytes(d),
            layer.intensity(d),
            layer.batch_at_ridge(d, e),
            critical_batch(a, b, c),
            context_at_weights(a, b, c),
            attention_intensity(a, b, c, d, e, f),
            attention_intensity_limit(a, b, c, d),
            gemm.flop(),
            gemm.bytes(),
            gemm.intensity(),
            gemm.attainable(a, b),
            dot_intensity(a, b),
            times.lower(),
            times.upper(),
            times.overlap(d),
            times.with_launches(d, e),
            seconds_at(a, b, c),
            network_intensity(a, b),
            two_chip_width(a, b),
            giga_instructions(a, b),
            peak_giga_instructions(a, b, c),
            instruction_intensity(a, b),
            transactions(a),
            energy.joules(d, e, f),
            energy.balance(),
            energy.flop_per_joule(d, e, f),
            bytes_per_token(a, b, c),
            tokens_per_s(a, b, c),
            experts_read(a, b, c),
        ]
    }

    proptest! {
        #[test]
        fn every_answer_is_a_number_that_is_not_negative(
            numbers in prop::array::uniform6(prop_oneof![
                any::<f64>(),
                0.0..1e15,
                prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE]),
            ]),
        ) {
            for (at, answer) in every_form(numbers).into_iter().enumerate() {
                prop_assert!(answer.is_none_or(|answer| answer.is_finite() && answer >= 0.0), "form {at}: {answer:?}");
            }
        }
    }

    #[test]
    fn nothing_that_is_not_a_number_passes() {
        for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert_eq!((positive(hostile), count(hostile), share(hostile)), (None, None, None));
        }
        assert_eq!((positive(0.0), count(0.0), share(0.0)), (None, Some(0.0), Some(0.0)));
        assert_eq!((finite(f64::NAN), finite(f64::INFINITY), finite(-1.0)), (None, None, Some(-1.0)));
    }
}
