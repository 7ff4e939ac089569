//! Dates as text to nanoseconds.

use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time, UtcOffset};

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
