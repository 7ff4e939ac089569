//! Numbers, read from their characters.

/// The decimal number times `10^shift`, exactly, as an integer; digits behind the point of the result are rounded, halves
/// away from zero. With `shift` 3, microseconds become nanoseconds. `None` when it is no decimal number or does not fit.
pub(crate) fn scaled(text: &[u8], shift: i32) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(point);
    let (fraction, exponent) = match rest.split_first() {
        None => (&rest[..0], 0),
        Some((b'.', rest)) => {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            (&rest[..end], exponent(&rest[end..])?)
        }
        Some(_) => (&rest[..0], exponent(rest)?),
    };
    if whole.is_empty() {
        return None;
    }
    let magnitude = move_point(whole, fraction, exponent.checked_add(shift)?)?;
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// `e`, a sign, digits; nothing is 0. Everything beyond 10^6 is as good as that.
fn exponent(text: &[u8]) -> Option<i32> {
    let Some((first, rest)) = text.split_first() else { return Some(0) };
    if !matches!(first, b'e' | b'E') {
        return None;
    }
    let (negative, digits) = match rest.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_i32, |value, digit| (value * 10 + i32::from(digit - b'0')).min(1_000_000));
    Some(if negative { -value } else { value })
}

/// The digits `whole` and `fraction` with the point moved `by` digits to the right, rounded.
fn move_point(whole: &[u8], fraction: &[u8], by: i32) -> Option<u64> {
    let kept = whole.len() as i64 + i64::from(by);
    let mut digits = whole.iter().chain(fraction).map(|digit| u64::from(digit - b'0'));
    if kept < 0 {
        return Some(0);
    }
    let mut value = 0_u64;
    for place in 0..kept {
        match digits.next() {
            Some(digit) => value = value.checked_mul(10)?.checked_add(digit)?,
            None if value == 0 => return Some(0),
            None => value = value.checked_mul(10).filter(|_| place < 1_000)?,
        }
    }
    value.checked_add(u64::from(digits.next().is_some_and(|digit| digit >= 5)))
}

/// An integer; `7.0` and `7e0` are integers too. `None` for anything else.
#[inline]
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return integer_slow(text);
    }
    Some(text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

#[cold]
fn integer_slow(text: &[u8]) -> Option<i64> {
    if text.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        let millionths = scaled(text, 6)?;
        return (millionths % 1_000_000 == 0).then_some(millionths / 1_000_000);
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// A finite float.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    if !matches!(text.first()?, b'-' | b'0'..=b'9') {
        return None;
    }
    str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ns(text: &str) -> Option<i64> {
        scaled(text.as_bytes(), 3)
    }

    #[test]
    fn microseconds_become_nanoseconds_as_text() {
        for (text, wanted) in [
            ("0", 0),
            ("123", 123_000),
            ("123.4", 123_400),
            ("123.456", 123_456),
            ("-123.456", -123_456),
            ("1669783687464181.123", 1_669_783_687_464_181_123),
            ("4458676522690.655", 4_458_676_522_690_655),
            ("1.669e15", 1_669_000_000_000_000_000),
            ("1.2345E+2", 123_450),
            ("12345e-2", 123_450),
            ("1e-9", 0),
            ("1e-4", 0),
            ("5e-4", 1),
            ("0.0004", 0),
            ("0.0005", 1),
            ("-0.0005", -1),
            ("1.0004999", 1_000),
            ("9.9995", 10_000),
            ("0e999999999999", 0),
            ("0.000e5", 0),
            ("9223372036854775.807", i64::MAX),
            ("-9223372036854775.808", i64::MIN),
        ] {
            assert_eq!(ns(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_does_not_fit_is_refused() {
        let far = format!("1{}", "0".repeat(400));
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1.5x",
            "0x10",
            "NaN",
            "inf",
            "null",
            "--1",
            "1-1",
            "9223372036854775.808",
            "-9223372036854775.809",
            "1e16",
            "1e99999999999",
            &far,
        ] {
            assert_eq!(ns(text), None, "{text}");
        }
    }

    #[test]
    fn integers_may_be_written_as_floats() {
        for (text, wanted) in
            [("7", Some(7)), ("-1", Some(-1)), ("7.0", Some(7)), ("7.5", None), ("4294967295", Some(4_294_967_295))]
        {
            assert_eq!(integer(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!(integer(b""), None);
        assert_eq!(float(b"-1.5e3"), Some(-1500.0));
        assert_eq!(float(b"1e999"), None);
        assert_eq!(float(b"nan"), None);
    }

    proptest! {
        #[test]
        fn three_decimals_survive(value in any::<i64>()) {
            let text = format!("{}{}.{:03}", if value < 0 { "-" } else { "" }, value.unsigned_abs() / 1000, value.unsigned_abs() % 1000);
            prop_assert_eq!(ns(&text), Some(value));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,24}") {
            ns(&text);
            integer(text.as_bytes());
            float(text.as_bytes());
        }
    }
}
