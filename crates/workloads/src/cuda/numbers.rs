//! What values are kept as on GPUs.

use cudarc::cublaslt::sys::cudaDataType_t;

/// What values are kept as. Sums are f32 in both cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// 32 bits, also in the products: not TF32.
    F32,
    /// 16 bits: the upper half of an f32.
    Bf16,
}

impl Precision {
    /// Its name in the tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of a value.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Its name in CUDA's libraries.
    pub(crate) fn data_type(self) -> cudaDataType_t {
        match self {
            Self::F32 => cudaDataType_t::CUDA_R_32F,
            Self::Bf16 => cudaDataType_t::CUDA_R_16BF,
        }
    }
}

/// The upper half of an f32, rounded to nearest, ties to even; what is not a number stays so.
pub(crate) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return 0x7fff;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// The value of a bf16.
pub(crate) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even_and_keeps_what_is_not_a_number() {
        // 1 + 2^-8 and 1 + 3 * 2^-8 lie in the middle between two of them.
        let middle = 1.0 / 256.0;
        let rounded = [1.0, 1.0 + middle, 1.0 + 3.0 * middle, -2.5, 0.0].map(to_bf16);
        assert_eq!(rounded, [0x3f80, 0x3f80, 0x3f82, 0xc020, 0]);
        assert_eq!(rounded.map(from_bf16).map(f32::to_bits), rounded.map(|bits| u32::from(bits) << 16));
        assert!(from_bf16(to_bf16(f32::NAN)).is_nan());
        assert!(from_bf16(to_bf16(f32::MAX)).is_infinite());
    }
}
