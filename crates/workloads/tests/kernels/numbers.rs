//! Test data, and numbers of 16 bits by plain f64 arithmetic.

use std::cmp::Ordering;

use super::host::Buffer;

/// How a kernel stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    F32,
    Bf16,
}

impl Storage {
    pub(crate) const BOTH: [Self; 2] = [Self::F32, Self::Bf16];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Largest relative error of a stored number.
    pub(crate) fn rounding(self) -> f64 {
        if self == Self::F32 { 2.0_f64.powi(-24) } else { 2.0_f64.powi(-8) }
    }

    pub(crate) fn buffer(self, values: &[f32]) -> Buffer {
        match self {
            Self::F32 => Buffer::new(&values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>()),
            Self::Bf16 => {
                Buffer::new(&values.iter().flat_map(|value| to_bf16(*value).to_ne_bytes()).collect::<Vec<_>>())
            }
        }
    }

    pub(crate) fn values(self, buffer: &Buffer) -> Vec<f32> {
        let bytes = buffer.bytes();
        match self {
            Self::F32 => bytes.chunks(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Self::Bf16 => bytes.chunks(2).map(|b| from_bf16(u16::from_ne_bytes([b[0], b[1]]))).collect(),
        }
    }

    /// `count` values in [-1, 1] that the storage holds exactly; different for every seed.
    pub(crate) fn random(self, count: usize, seed: u64) -> Vec<f32> {
        let values: Vec<f32> = (0..count as u64).map(|index| noise(seed, index)).collect();
        self.values(&self.buffer(&values))
    }
}

/// A value in [-1, 1] from a hash (the finaliser of splitmix64).
pub(crate) fn noise(seed: u64, index: u64) -> f32 {
    let mut bits = (seed << 32 ^ index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest bf16, the even one of two: the neighbours below and above are compared as f64.
fn to_bf16(value: f32) -> u16 {
    if value.is_nan() {
        return 0x7fff;
    }
    let below = (value.to_bits() >> 16) as u16;
    if value.is_infinite() {
        return below;
    }
    // Above the largest finite number lies, for rounding, what would be the next power of two.
    let number = |bits: u16| if bits & 0x7fff == 0x7f80 { 2.0_f64.powi(128) } else { f64::from(from_bf16(bits)).abs() };
    let above = below + 1;
    let (down, up) = (f64::from(value).abs() - number(below), number(above) - f64::from(value).abs());
    match down.total_cmp(&up) {
        Ordering::Less => below,
        Ordering::Equal => below + below % 2,
        Ordering::Greater => above,
    }
}

/// `x` with a significand of `bits`, to nearest, ties to even; for numbers that stay normal.
pub(crate) fn rounded(x: f64, bits: i32) -> f64 {
    let unit = 2.0_f64.powi(x.abs().log2().floor() as i32 + 1 - bits);
    (x / unit).round_ties_even() * unit
}

pub(crate) fn from_half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size =
        if exponent == 0 { fraction * 2.0_f64.powi(-24) } else { (1024.0 + fraction) * 2.0_f64.powi(exponent - 25) };
    if bits >> 15 == 0 { size } else { -size }
}

/// Asserts that all values are near the expected ones: `relative` of each, and `absolute`.
pub(crate) fn assert_near(what: &str, actual: &[f32], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (index, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let allowed = relative * expected.abs() + absolute;
        assert!((f64::from(actual) - expected).abs() <= allowed, "{what}, value {index}: {actual}, not {expected}");
    }
}
