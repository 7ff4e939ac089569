//! Text to integers, never through a float: a nanosecond of a Unix time needs 19 digits, a float has 15.

use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time, UtcOffset};

/// Unit of a time, by the ending of its column's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Ns,
    Us,
    Ms,
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

/// Digits before the point, and after it, that are looked at: together they fit into 128 bits.
const WHOLE_DIGITS: usize = 20;
const PART_DIGITS: usize = 18;

/// A decimal number in `unit` as nanoseconds, half a nanosecond rounded away from zero.
pub(super) fn nanoseconds(text: &str, unit: Unit) -> Option<i64> {
    decimal(text, unit.exponent()).map(|(value, _)| value)
}

/// A whole number from 0 on, also one written `44.0` or `4.4e1`.
pub(super) fn whole(text: &str) -> Option<u64> {
    decimal(text, 0).filter(|(_, exact)| *exact).and_then(|(value, _)| u64::try_from(value).ok())
}

/// `text` times 10^`exponent`, and whether nothing was rounded away; none of what is no finite decimal number of 64 bits.
fn decimal(text: &str, exponent: i32) -> Option<(i64, bool)> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, stated) = match digits.split_once(['e', 'E']) {
        Some((digits, stated)) => (digits, stated.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !number(whole) || !number(part) {
        return None;
    }
    let (whole, kept) = (whole.trim_start_matches('0'), &part[..part.len().min(PART_DIGITS)]);
    if whole.len() > WHOLE_DIGITS {
        return None;
    }
    let value = |text: &str| if text.is_empty() { Some(0_i128) } else { text.parse().ok() };
    let mantissa = value(whole)? * 10_i128.pow(kept.len() as u32) + value(kept)?;
    let shift = stated.checked_add(exponent)?.checked_sub(kept.len() as i32)?;
    let (magnitude, exact) = shifted(mantissa, shift)?;
    let magnitude = if text.starts_with('-') { -magnitude } else { magnitude };
    let rest = part[kept.len()..].bytes().all(|byte| byte == b'0');
    Some((i64::try_from(magnitude).ok()?, exact && rest))
}

fn shifted(mantissa: i128, shift: i32) -> Option<(i128, bool)> {
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    if mantissa == 0 {
        return Some((0, true));
    }
    if shift >= 0 {
        return Some((mantissa.checked_mul(power?)?, true));
    }
    let Some(divisor) = power else { return Some((0, false)) };
    let (quotient, rest) = (mantissa / divisor, mantissa % divisor);
    Some((quotient + i128::from(rest >= divisor - rest), rest == 0))
}

/// `YYYY-MM-DD HH:MM:SS`, with `T` or a space between, a fraction of up to nine digits, and `Z`, `UTC`, `+HH:MM` or nothing
/// behind: nanoseconds since 1970, and whether the zone is stated. Without one it is read as UTC.
pub(super) fn date(text: &str) -> Option<(i64, bool)> {
    let text = text.trim();
    let day = Date::parse(text.get(..10)?, format_description!("[year]-[month]-[day]")).ok()?;
    let rest = text.get(10..)?.strip_prefix([' ', 'T', 't'])?;
    let (clock, zone) = match rest.find(['+', '-', 'Z', 'z', 'U', 'u', ' ']) {
        Some(at) => (&rest[..at], rest[at..].trim_start()),
        None => (rest, ""),
    };
    let format = format_description!("[hour]:[minute]:[second][optional [.[subsecond]]]");
    let stated = PrimitiveDateTime::new(day, Time::parse(clock, format).ok()?);
    let offset = match zone {
        "" | "Z" | "z" => UtcOffset::UTC,
        name if name.eq_ignore_ascii_case("utc") => UtcOffset::UTC,
        _ => UtcOffset::parse(zone, format_description!("[offset_hour sign:mandatory]:[offset_minute]")).ok()?,
    };
    let unix_ns = stated.assume_offset(offset).unix_timestamp_nanos();
    Some((i64::try_from(unix_ns).ok()?, !zone.is_empty()))
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
        assert_eq!((nanoseconds("0.4", Unit::Ns), nanoseconds("0.5", Unit::Ns)), (Some(0), Some(1)));
        assert_eq!((nanoseconds("1e-400", Unit::S), nanoseconds("0e999999", Unit::S)), (Some(0), Some(0)));
        assert_eq!(nanoseconds(&format!("0.{}", "9".repeat(10_000)), Unit::S), Some(1_000_000_000));
    }

    #[test]
    fn what_is_no_finite_number_of_64_bits_is_refused() {
        for text in ["", "-", ".", "nan", "-Infinity", "1.2.3", "0x10", "1_000", "1,5", "1e", "1e9999999999", "--1"] {
            assert_eq!(nanoseconds(text, Unit::Ns), None, "{text}");
        }
        assert_eq!(nanoseconds("9223372036854775807", Unit::Ns), Some(i64::MAX));
        assert_eq!((nanoseconds("9223372036854775808", Unit::Ns), nanoseconds("9223372037", Unit::S)), (None, None));
    }

    #[test]
    fn a_count_is_whole_and_not_negative() {
        assert_eq!(["44", "44.000", "4.4e1"].map(whole), [Some(44); 3]);
        assert_eq!(["44.5", "-1", "4.45e1", "x"].map(whole), [None; 4]);
    }

    #[test]
    fn dates_are_read_with_and_without_a_zone() {
        let utc = 1_700_158_546_680_590_000;
        assert_eq!(date("2023-11-16 18:15:46.6805900"), Some((utc, false)));
        for text in ["2023-11-16T18:15:46.68059Z", "2023-11-16 20:15:46.680590+02:00", "2023-11-16 18:15:46.68059 UTC"]
        {
            assert_eq!(date(text), Some((utc, true)), "{text}");
        }
        for text in
            ["", "2023-11-16", "2023-02-30 00:00:00", "2023-11-16 25:00:00", "12.5", "2023-11-16 18:15:46 +x", "ééééé"]
        {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
