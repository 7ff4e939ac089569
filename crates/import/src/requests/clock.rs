//! Dates as text to nanoseconds since 1970, by integers only.

/// A moment that a text states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    pub(crate) unix_ns: i64,
    /// Whether the text names its zone; without one it was read as UTC.
    pub(crate) zoned: bool,
}

/// `YYYY-MM-DD HH:MM:SS`, with `T` or a space between, a fraction of up to nine digits (more are cut off), and `Z`,
/// `UTC`, `+HH:MM` or nothing behind. `None` for anything else, for a day or hour that does not exist, and for a year
/// that 64 bits of nanoseconds do not reach (before 1678, after 2261).
pub(crate) fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let separated = bytes.len() >= 19 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':' && bytes[16] == b':';
    if !separated || !matches!(bytes[10], b' ' | b'T' | b't') {
        return None;
    }
    let field = |from: usize, to: usize| digits(&bytes[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ns, zone) = fraction(&text[19..])?;
    let (zone_minutes, zoned) = offset(zone)?;
    let minutes = (days_from_1970(year, month, day) * 24 + hour) * 60 + minute - zone_minutes;
    let unix_ns = (minutes * 60 + second).checked_mul(1_000_000_000)?.checked_add(fraction_ns)?;
    Some(Moment { unix_ns, zoned })
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Nanoseconds of `.1234567`, and what follows.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(text) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let kept = &text.as_bytes()[..end.min(9)];
    let scale = 10_i64.pow(9 - kept.len() as u32);
    (end > 0).then_some((digits(kept)? * scale, &text[end..]))
}

/// Minutes east of UTC, and whether a zone is named.
fn offset(text: &str) -> Option<(i64, bool)> {
    let text = text.trim_start();
    let sign = match text.as_bytes().first() {
        None => return Some((0, false)),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return (text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc")).then_some((0, true)),
    };
    let bytes = &text.as_bytes()[1..];
    let (hours, minutes) = match bytes.len() {
        2 => (digits(bytes)?, 0),
        4 => (digits(&bytes[..2])?, digits(&bytes[2..])?),
        5 if bytes[2] == b':' => (digits(&bytes[..2])?, digits(&bytes[3..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes), true))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar: Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `days_from_civil`. Years run from March, so that the leap day is the last of its year.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> Option<i64> {
        moment(text).map(|moment| moment.unix_ns)
    }

    #[test]
    fn seven_digits_of_a_second_are_exact() {
        // Values of Python's datetime and of GNU date.
        assert_eq!(ns("2023-11-16 18:15:46.6805900"), Some(1_700_158_546_680_590_000));
        assert_eq!(ns("2024-05-10 00:00:00.009930+00:00"), Some(1_715_299_200_009_930_000));
        assert_eq!(ns("2024-02-29T12:00:00Z"), Some(1_709_208_000_000_000_000));
        assert_eq!(ns("2024-05-10 02:30:00 +0230"), ns("2024-05-10 00:00:00"));
        assert_eq!(ns("2024-05-09T22:00:00-02"), ns("2024-05-10 00:00:00"));
        assert_eq!(ns("1970-01-01 00:00:00"), Some(0));
        assert_eq!(ns("1969-12-31 23:59:59.999999999"), Some(-1));
        assert_eq!(ns("2024-05-10 00:00:00.1234567899"), Some(1_715_299_200_123_456_789));
    }

    #[test]
    fn a_missing_zone_is_told_apart() {
        assert!(moment("2024-05-10 00:00:00 UTC").unwrap().zoned);
        assert!(!moment("2024-05-10 00:00:00").unwrap().zoned);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2023-02-29 00:00:00",
            "2023-13-01 00:00:00",
            "2023-11-16 24:00:00",
            "2023-11-16",
            "2023/11/16 18:15:46",
            "2023-11-16 18:15:46.",
            "2023-11-16 18:15:46 CET",
            "2023-11-16 18:15:46+1",
            "9999-01-01 00:00:00",
            "1000-01-01 00:00:00",
            "2023-11-16 18:15:4é",
            "２０２３-11-16 18:15:46",
            "2023-11-16 18:15:46+25:00",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
