//! Numbers and names as a sentence says them.

/// How many characters of a kernel's name a sentence holds: templates run to thousands.
const NAME_CHARS: usize = 72;

/// A length of time in the unit that keeps it between 1 and 1,000: `812 ns`, `3.1 us`, `25.4 ms`, `1.73 s`.
pub(super) fn time(ns: i64) -> String {
    let value = ns as f64;
    match ns.unsigned_abs() {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", value / 1e6),
        _ => format!("{:.3} s", value / 1e9),
    }
}

/// A share: `25.4 %`; 0 of nothing.
pub(super) fn percent(part: i64, whole: i64) -> String {
    share(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// A share from 0 to 1: `25.4 %`.
pub(super) fn share(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

/// An amount of bytes: `17 B`, `4.1 KB`, `25.4 MB`, `1.61 GB`.
pub(super) fn bytes(count: i64) -> String {
    let value = count as f64;
    match count.unsigned_abs() {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} KB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// A rate: `2.5 GB/s`.
pub(super) fn rate(bytes_per_s: f64) -> String {
    format!("{:.1} GB/s", bytes_per_s / 1e9)
}

/// The start of a long name.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// `1 copy`, `12 copies`.
pub(super) fn count(number: i64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// With a capital letter, to begin a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_unit_that_fits_them() {
        assert_eq!([812, 3_140, 25_402_000, 1_732_965_000].map(time), ["812 ns", "3.1 us", "25.40 ms", "1.733 s"]);
        assert_eq!([17, 4_100, 25_400_000, 1_610_555_200].map(bytes), ["17 B", "4.1 KB", "25.4 MB", "1.61 GB"]);
        assert_eq!((percent(1, 8), percent(1, 0), rate(2.5e9)), ("12.5 %".into(), "0.0 %".into(), "2.5 GB/s".into()));
        assert_eq!([1, 2].map(|number| count(number, "copy", "copies")), ["1 copy", "2 copies"]);
        assert_eq!((capital("device 0"), capital("")), ("Device 0".into(), String::new()));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(NAME_CHARS + 1);
        assert_eq!(short(&long), format!("{}...", "é".repeat(NAME_CHARS)));
        assert_eq!(short("gemm"), "gemm");
    }
}
