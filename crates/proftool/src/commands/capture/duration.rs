//! Lengths of time on the command line: `90`, `90s`, `250ms`, `5m`, `1h`.

use std::time::Duration;

/// The longest that is taken: a year, far below where times in ns end.
const LONGEST_S: f64 = 366.0 * 86_400.0;

/// Reads a length of time; a plain number is seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit} is no unit of time (hint: ms, s, m or h, as in 90s)")),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("{text} is no time (hint: write 90s, 5m or 1h)"))?;
    let value = value * seconds;
    // Written so that a NaN is refused too.
    if !(value > 0.0 && value <= LONGEST_S) {
        return Err(format!("{text} is not between 0 and a year (hint: write 90s, 5m or 1h)"));
    }
    Ok(Duration::from_secs_f64(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        let seconds = |text| parse(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("1.5s"), Ok(1.5));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("5m"), Ok(300.0));
        assert_eq!(seconds(" 2h"), Ok(7200.0));
        for bad in ["", "s", "0", "-1s", "nan", "inf", "1e99h", "5 parsecs", "1d"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
