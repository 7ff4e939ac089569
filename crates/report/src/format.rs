//! Numbers and names as a reader sees them. Only this crate formats; every table holds plain units.

/// What is printed where a value is absent.
pub const ABSENT: &str = "n/a";

/// Three significant digits, so `1.23`, `12.3` and `123`, without an exponent.
pub fn significant(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    // 9.996 prints as 10.0: round first, then count the digits before the point.
    let digits = (magnitude.log10() + 1e-12).floor() as i32;
    let rounded = format!("{magnitude:.*}", usize::try_from(2 - digits).unwrap_or(0));
    let digits = rounded.parse::<f64>().map_or(digits, |value| (value.log10() + 1e-12).floor() as i32);
    format!("{value:.*}", usize::try_from(2 - digits).unwrap_or(0).min(12))
}

fn scaled(value: f64, steps: &[(f64, &str)]) -> String {
    let magnitude = value.abs();
    // 999.6 of a unit prints as 1000 of it: go to the next unit from there on.
    let step = steps.iter().rev().find(|(factor, _)| magnitude >= factor * 0.9995);
    let (factor, unit) = step.or(steps.first()).copied().unwrap_or((1.0, ""));
    format!("{} {unit}", significant(value / factor)).trim_end().to_owned()
}

/// Nanoseconds as `812 ns`, `4.51 µs`, `12.3 ms` or `1.25 s`.
pub fn duration(ns: i64) -> String {
    if ns == 0 {
        return "0".to_owned();
    }
    scaled(ns as f64, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

/// Nanoseconds as milliseconds without the unit, for a column whose heading has it.
pub fn milliseconds(ns: i64) -> String {
    let value = ns as f64 / 1e6;
    if value.abs() >= 100.0 { format!("{value:.1}") } else { format!("{value:.3}") }
}

/// Bytes with SI prefixes: `1.50 MB` is 1 500 000 bytes.
pub fn bytes(value: f64) -> String {
    scaled(value, &[(1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB")])
}

/// Bytes a second with SI prefixes.
pub fn bandwidth(value: f64) -> String {
    format!("{}/s", bytes(value))
}

/// A FLOP count with SI prefixes.
pub fn flop(value: f64) -> String {
    scaled(value, &[(1.0, "FLOP"), (1e3, "kFLOP"), (1e6, "MFLOP"), (1e9, "GFLOP"), (1e12, "TFLOP"), (1e15, "PFLOP")])
}

/// FLOP a second with SI prefixes.
pub fn flop_rate(value: f64) -> String {
    format!("{}/s", flop(value))
}

/// A ratio as a percentage with one decimal: `93.4 %`.
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    if value != 0.0 && value.abs() < 0.05 {
        return format!("{} 0.1 %", if value < 0.0 { "> -" } else { "<" }).replace("> - ", "> -");
    }
    format!("{value:.1} %")
}

/// A factor such as a speed-up: `1.874x`.
pub fn factor(value: f64) -> String {
    format!("{value:.3}x")
}

/// A deviation or a probability, in scientific form below one thousandth.
pub fn small(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() < 1e-3 {
        format!("{value:.1e}")
    } else {
        significant(value)
    }
}

/// A count with groups of three digits: `1 048 576`.
pub fn count(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + 8);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// A value through its formatter, or `n/a`.
pub fn or_absent<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), show)
}

/// Text from an artifact, safe inside a markdown paragraph or table cell: nothing in it is markup.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' | '$' => safe.extend(['\\', character]),
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}

/// Text from an artifact as inline code that also fits a table cell.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    format!("`{}`", text.replace('`', "'").replace('|', "\\|"))
}

/// Longest kernel name that a table shows; demangled template names run to a thousand characters.
const LONGEST_NAME: usize = 96;

/// A kernel name as code, its middle left out where it is long: beginning and end tell instances apart. The tables and
/// `--format json` hold it whole.
pub fn name(text: &str) -> String {
    code(&middle(text, LONGEST_NAME))
}

/// A text of at most that many characters, its middle left out where it is longer.
pub fn middle(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_owned();
    }
    let end = (longest / 3).saturating_sub(1);
    let first: String = text.chars().take(longest * 2 / 3).collect();
    let last: String = text.chars().skip(count - end).collect();
    format!("{first}…{last}")
}

/// Words of a command line, quoted for a POSIX shell where that is needed.
pub fn shell(words: &[String]) -> String {
    let harmless = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(harmless) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''").replace(char::is_control, " "))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_survive_rounding_up_to_the_next_power() {
        assert_eq!(significant(9.996), "10.0");
        assert_eq!(significant(0.012_345), "0.0123");
        assert_eq!(significant(1234.0), "1234");
        assert_eq!(significant(-12.34), "-12.3");
    }

    #[test]
    fn durations_change_unit_before_they_reach_four_digits() {
        let shown = [0, 999, 999_600, 12_345_678, 1_250_000_000].map(duration);
        assert_eq!(shown, ["0", "999 ns", "1.00 ms", "12.3 ms", "1.25 s"]);
    }

    #[test]
    fn rates_ratios_and_counts_read_as_an_engineer_writes_them() {
        assert_eq!(flop_rate(111.6e9), "112 GFLOP/s");
        assert_eq!(bandwidth(18e9), "18.0 GB/s");
        assert_eq!(percent(0.934), "93.4 %");
        assert_eq!(percent(0.0002), "< 0.1 %");
        assert_eq!(percent(-0.0002), "> -0.1 %");
        assert_eq!(count(-1_048_576), "-1 048 576");
        assert_eq!(or_absent(None::<i64>, duration), "n/a");
    }

    #[test]
    fn text_from_an_artifact_cannot_become_markup() {
        assert_eq!(plain("a|b<c>\n*d*"), r"a\|b&lt;c&gt; \*d\*");
        assert_eq!(code("x`y|z"), r"`x'y\|z`");
        assert_eq!(shell(&["a b".into(), "it's".into(), "--x=1".into()]), r"'a b' 'it'\''s' --x=1");
    }
}
