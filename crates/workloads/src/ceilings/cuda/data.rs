//! Random operands. Zeros and other constants toggle few wires, draw less power and leave a GPU that is at its power limit
//! at a higher clock than any real data would.

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

use super::rows::Type;

/// Elements of the pattern that fills an operand again and again: a prime, so that rows do not repeat each other.
const ELEMENTS: usize = 1_048_573;

/// Elements with random signs and significands and magnitudes of 1/32 to 1, so that no sum of 16384 products leaves the
/// range of half precision, as bytes in memory order.
pub(super) fn pattern(of: Type, seed: u64) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut bytes = Vec::with_capacity(ELEMENTS * of.bytes());
    for _ in 0..ELEMENTS {
        let bits = random.next_u64();
        let element = encode(of, bits).to_le_bytes();
        bytes.extend_from_slice(&element[..of.bytes()]);
    }
    bytes
}

/// The bits of one element: the sign, five exponents below 1, and the significand from random bits.
fn encode(of: Type, bits: u64) -> u64 {
    let (exponent_bits, significand_bits) = match of {
        Type::F64 => (11, 52),
        Type::F32 | Type::Tf32 => (8, 23),
        Type::F16 | Type::F16Acc16 => (5, 10),
        Type::Bf16 => (8, 7),
        Type::F8 => (4, 3),
    };
    let bias: u64 = (1 << (exponent_bits - 1)) - 1;
    // The lowest bits make the significand; the highest choose sign and exponent.
    let exponent = bias - 1 - (bits >> 56) % 5;
    let significand = bits & ((1 << significand_bits) - 1);
    (bits >> 63 << (exponent_bits + significand_bits)) | (exponent << significand_bits) | significand
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_below_one_and_no_smaller_than_a_32nd() {
        let half = |bits: u64| {
            let (sign, exponent, part) = (bits >> 15, (bits >> 10) & 31, bits & 1023);
            (1.0 + part as f64 / 1024.0) * 2f64.powi(exponent as i32 - 15) * if sign == 1 { -1.0 } else { 1.0 }
        };
        let mut random = SmallRng::seed_from_u64(1);
        for _ in 0..1000 {
            let bits = random.next_u64();
            let single = f64::from(f32::from_bits(encode(Type::F32, bits) as u32));
            let bf16 = f64::from(f32::from_bits((encode(Type::Bf16, bits) as u32) << 16));
            let all = [f64::from_bits(encode(Type::F64, bits)), single, bf16, half(encode(Type::F16, bits))];
            assert!(all.iter().all(|value| (1.0 / 32.0..1.0).contains(&value.abs())), "{all:?}");
        }
    }

    #[test]
    fn no_byte_of_fp8_is_a_nan_and_both_signs_occur() {
        let bytes = pattern(Type::F8, 7);
        assert_eq!(bytes.len(), ELEMENTS);
        assert!(bytes.iter().all(|byte| byte & 0x7f != 0x7f && byte & 0x7f >= 0x10));
        assert!(bytes.iter().any(|byte| byte & 0x80 != 0) && bytes.iter().any(|byte| byte & 0x80 == 0));
        assert_eq!(pattern(Type::Bf16, 7).len(), 2 * ELEMENTS);
    }
}
