//! Decimal text to integers without a float between: a nanosecond of a Unix time needs 19 digits, a float has 15.

/// Unit of a time, by the ending of its column's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl Unit {
    /// Power of ten that makes nanoseconds of it.
    fn exponent(self) -> i32 {
        match self {
            Self::Ns => 0,
            Self::Us => 3,
            Self::Ms => 6,
            Self::S => 9,
        }
    }
}

/// A decimal number in `unit` as nanoseconds, half a nanosecond rounded away from zero; `None` for anything but a finite
/// decimal number, or one beyond 64 bits.
pub fn nanoseconds(text: &str, unit: Unit) -> Option<i64> {
    scaled(text, unit.exponent()).map(|(value, _)| value)
}

/// A whole number, also one written `44.0` or `4.4e1`; `None` for a fraction or anything else.
pub fn whole(text: &str) -> Option<i64> {
    scaled(text, 0).filter(|(_, exact)| *exact).map(|(value, _)| value)
}

/// `text` times 10^`exponent`, and whether nothing was rounded away.
fn scaled(text: &str, exponent: i32) -> Option<(i64, bool)> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, stated) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (mantissa, shift, kept) = mantissa(digits)?;
    let (magnitude, exact) = shifted(mantissa, shift.checked_add(stated)?.checked_add(exponent)?)?;
    let value = if negative { -magnitude } else { magnitude };
    Some((i64::try_from(value).ok()?, exact && kept))
}

/// The digits as one integer, the power of ten that belongs to it, and whether all of them were kept.
fn mantissa(digits: &str) -> Option<(i128, i32, bool)> {
    // 28 digits are far more than a result of 64 bits needs; what follows can only decide a tie.
    const MOST: i128 = 10_i128.pow(28);
    let (mut mantissa, mut shift, mut kept) = (0_i128, 0_i32, true);
    let (mut point, mut any) = (false, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' if mantissa < MOST => {
                mantissa = mantissa * 10 + i128::from(byte - b'0');
                shift = shift.checked_sub(i32::from(point))?;
                any = true;
            }
            b'0'..=b'9' => {
                kept &= byte == b'0';
                shift = shift.checked_add(i32::from(!point))?;
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    any.then_some((mantissa, shift, kept))
}

fn shifted(mantissa: i128, shift: i32) -> Option<(i128, bool)> {
    let power = |count: u32| 10_i128.checked_pow(count);
    if mantissa == 0 {
        return Some((0, true));
    }
    if shift >= 0 {
        return Some((mantissa.checked_mul(power(shift.unsigned_abs())?)?, true));
    }
    let Some(divisor) = power(shift.unsigned_abs()) else { return Some((0, false)) };
    let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
    Some((quotient + i128::from(rest >= divisor - rest), rest == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_time_in_seconds_keeps_its_nanoseconds() {
        assert_eq!(nanoseconds("1730923333.851941241", Unit::S), Some(1_730_923_333_851_941_241));
        assert_eq!(nanoseconds("255.88656799999998", Unit::Ms), Some(255_886_568));
        assert_eq!(nanoseconds(" -1.5", Unit::Us), Some(-1_500));
        assert_eq!(nanoseconds("1.5E-3", Unit::S), Some(1_500_000));
        assert_eq!(nanoseconds("0.4", Unit::Ns), Some(0));
        assert_eq!(nanoseconds("0.5", Unit::Ns), Some(1));
        assert_eq!(nanoseconds(".25", Unit::S), Some(250_000_000));
        assert_eq!(nanoseconds("1e-400", Unit::S), Some(0));
        assert_eq!(nanoseconds("0e999999", Unit::S), Some(0));
    }

    #[test]
    fn what_is_no_finite_number_of_64_bits_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "1.2.3",
            "0x10",
            "1_000",
            "1,5",
            "1e",
            "1e9999999999",
            "--1",
        ] {
            assert_eq!(nanoseconds(text, Unit::Ns), None, "{text}");
        }
        assert_eq!(nanoseconds("9223372036854775807", Unit::Ns), Some(i64::MAX));
        assert_eq!(nanoseconds("9223372036854775808", Unit::Ns), None);
        assert_eq!(nanoseconds("9223372037", Unit::S), None);
        assert_eq!(nanoseconds(&"9".repeat(10_000), Unit::Ns), None);
        assert_eq!(nanoseconds(&format!("0.{}", "9".repeat(10_000)), Unit::S), Some(1_000_000_000));
    }

    #[test]
    fn a_count_is_whole() {
        assert_eq!(whole("44"), Some(44));
        assert_eq!(whole("44.000"), Some(44));
        assert_eq!(whole("4.4e1"), Some(44));
        assert_eq!(whole("44.5"), None);
        assert_eq!(whole("4.45e1"), None);
    }
}
