//! Numbers as spreadsheets, pandas and profilers write them.

/// A time in nanoseconds read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// Known to the nanosecond; a fraction, as means over passes have, is rounded to the nearest.
    Exact(i64),
    /// Written in scientific notation with fewer digits than its nanoseconds have: a spreadsheet rounded it.
    Rounded,
    /// No number.
    Bad,
}

/// Reads a time. The text is never taken through a float, which has 53 bits where a time may need 63.
pub(crate) fn time(text: &str) -> Time {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) => (mantissa, exponent),
            Err(_) => return Time::Bad,
        },
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (negative, whole) = match whole.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, whole),
    };
    let digits = whole.len() + fraction.len();
    if digits == 0 || digits > 36 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Time::Bad;
    }
    // At most 36 digits, which an i128 holds.
    let value = whole.bytes().chain(fraction.bytes()).fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
    let power = exponent.saturating_sub(fraction.len() as i32);
    if power > 0 {
        return if value == 0 { Time::Exact(0) } else { Time::Rounded };
    }
    let divisor = 10_i128.checked_pow(power.unsigned_abs());
    let nanoseconds = divisor.map_or(0, |divisor| (value + divisor / 2) / divisor);
    i64::try_from(if negative { -nanoseconds } else { nanoseconds }).map_or(Time::Bad, Time::Exact)
}

/// Reads a whole number; `4.0`, as pandas writes an integer column that has gaps, is one.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'));
    whole.map_or(text, |(whole, _)| whole).parse().ok()
}

/// Reads a finite number.
pub(crate) fn float(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

/// Whether a cell says that there is no value.
pub(crate) fn is_absent(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || ["nan", "n/a", "na", "none", "null"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_all_its_digits() {
        assert_eq!(time("9007199254740993"), Time::Exact(9_007_199_254_740_993));
        assert_eq!(time(" 1411551767635712.0 "), Time::Exact(1_411_551_767_635_712));
        assert_eq!(time("10.5"), Time::Exact(11));
        assert_eq!(time("-10.4"), Time::Exact(-10));
        assert_eq!(time("1.4115517676357124e+16"), Time::Exact(14_115_517_676_357_124));
        assert_eq!(time("12e-1"), Time::Exact(1));
    }

    #[test]
    fn a_time_that_a_spreadsheet_rounded_is_told_apart_from_none() {
        assert_eq!(time("8.1097E+14"), Time::Rounded);
        for text in ["", "-", ".", "abc", "1e", "1e99999999999", "0x10", "99999999999999999999", "1.2.3"] {
            assert_eq!(time(text), Time::Bad, "{text}");
        }
    }

    #[test]
    fn integers_written_as_floats_are_integers() {
        assert_eq!([integer("4.0"), integer(" 7"), integer("4.5"), integer("x")], [Some(4), Some(7), None, None]);
        assert_eq!([float("1e3"), float("inf"), float("nan")], [Some(1000.0), None, None]);
        assert!(is_absent("NaN") && is_absent(" ") && !is_absent("0"));
    }
}
