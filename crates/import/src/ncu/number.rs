//! Numbers as ncu prints them: with or without thousands separators, in English or in another locale.
//!
//! `5,318,969,728.00` and `19.66` are English; a German or Polish locale prints `5.318.969.728,00` and `19,66`. ncu
//! prints no, two or six decimals, so `9,495` is nine thousand; `9.495` could be either, and other values of the page
//! decide. Values are correctly rounded: up to 15 digits by one exact operation, longer ones by the standard library.

/// Which character separates decimals on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// `1,234.5`
    #[default]
    Point,
    /// `1.234,5`
    Comma,
}

impl Style {
    fn decimal(self) -> u8 {
        match self {
            Self::Point => b'.',
            Self::Comma => b',',
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }
}

/// What a cell holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// A number.
    Number(f64),
    /// Nothing: the metric was not collected for this launch.
    Nothing,
    /// ncu says that there is no value: `n/a`, `no data`, `nan`, `inf`.
    Unavailable,
    /// A number beyond the range of a float.
    Huge,
    /// A number of the other style.
    OtherStyle,
    /// Words.
    Words,
}

/// Reads the cells of one page, and gathers which style they prove.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    style: Style,
    /// A value was seen that only this style allows.
    pub(super) proven: bool,
    /// Values whose separator could be of either style.
    pub(super) ambiguous: u64,
    digits: String,
}

/// Powers of ten that a float holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// The largest integer up to which a float holds all exactly.
const EXACT: u64 = 1 << 53;
/// Digits that fit into 64 bits whatever they are.
const WORD_DIGITS: usize = 19;
/// Bytes that [`Numbers::quick`] looks at: quote, digits, point, quote, comma.
const QUICK: usize = WORD_DIGITS + 4;

impl Numbers {
    pub(super) fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    pub(super) fn style(&self) -> Style {
        self.style
    }

    /// The common cell, `"123.45",`, read and left in one go: the value times ten to `power`, and the bytes it took.
    /// `None` for every other cell, which is then to be read by [`Numbers::read`].
    #[inline]
    pub(super) fn quick(&mut self, bytes: &[u8], power: i32) -> Option<(f64, usize)> {
        let bytes: &[u8; QUICK] = bytes.first_chunk()?;
        if bytes[0] != b'"' {
            return None;
        }
        let (mut mantissa, mut at) = (0, 1);
        while at <= WORD_DIGITS && bytes[at].is_ascii_digit() {
            mantissa = mantissa * 10 + u64::from(bytes[at] - b'0');
            at += 1;
        }
        let mut decimals = 0;
        if bytes[at] == b'.' {
            if self.style != Style::Point {
                return None;
            }
            let point = at;
            at += 1;
            while at <= WORD_DIGITS + 1 && bytes[at].is_ascii_digit() {
                mantissa = mantissa * 10 + u64::from(bytes[at] - b'0');
                at += 1;
            }
            decimals = at - point - 1;
            // Three decimals could be thousands, none is no number that ncu prints.
            if point == 1 || decimals == 3 || decimals == 0 {
                return None;
            }
            self.proven = true;
        }
        if at == 1 || bytes[at] != b'"' || bytes[at + 1] != b',' {
            return None;
        }
        let value = if mantissa <= EXACT {
            scale(mantissa, power - decimals as i32)?
        } else if power == 0 {
            std::str::from_utf8(&bytes[1..at]).ok()?.parse().ok()?
        } else {
            return None;
        };
        Some((value, at + 2))
    }

    /// What a cell holds, in the base unit: the printed number times ten to `power`.
    ///
    /// A metric with instances is printed as `12 (1; 2; 3)`; its value is the aggregate before the parenthesis.
    /// `(!)` before a value is ncu's mark of a warning about it.
    pub(super) fn read(&mut self, cell: &[u8], power: i32) -> Value {
        let cell = cell.trim_ascii();
        let cell = cell.strip_prefix(b"(!)").unwrap_or(cell).trim_ascii();
        let cell = match cell.windows(2).position(|two| two == b" (") {
            Some(end) if cell.ends_with(b")") => cell[..end].trim_ascii_end(),
            _ => cell,
        };
        if cell.is_empty() {
            return Value::Nothing;
        }
        if self.normalise(cell, self.style) {
            self.note_style(cell);
            self.normalise(cell, self.style);
            return self.value(power);
        }
        if self.normalise(cell, self.style.other()) {
            return Value::OtherStyle;
        }
        let word = cell.to_ascii_lowercase();
        let bare = word.strip_prefix(b"-").or(word.strip_prefix(b"+")).unwrap_or(&word);
        match bare {
            b"n/a" | b"no data" | b"nan" | b"inf" | b"infinity" | b"nan(ind)" => Value::Unavailable,
            _ => Value::Words,
        }
    }

    fn note_style(&mut self, cell: &[u8]) {
        if !cell.iter().any(|byte| matches!(byte, b'.' | b',')) {
            return;
        }
        if !self.normalise(cell, self.style.other()) {
            self.proven = true;
        } else if cell.contains(&b'.') {
            // A lone comma before three digits groups thousands in either case: ncu prints no three decimals.
            self.ambiguous += 1;
        }
    }

    /// Fills `digits` with the number as Rust writes it; false when the cell is no number of that style.
    fn normalise(&mut self, cell: &[u8], style: Style) -> bool {
        self.digits.clear();
        let (sign, rest) = match cell {
            [sign @ (b'-' | b'+'), rest @ ..] => (*sign, rest),
            rest => (b'+', rest),
        };
        if sign == b'-' {
            self.digits.push('-');
        }
        let end = rest.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(rest.len());
        let (number, exponent) = rest.split_at(end);
        let decimal = number.iter().position(|byte| *byte == style.decimal());
        let (whole, fraction) = number.split_at(decimal.unwrap_or(number.len()));
        self.whole(whole, style) && self.fraction(fraction.get(1..).unwrap_or_default()) && self.exponent(exponent)
    }

    /// Takes the digits before the decimals, in groups or not.
    fn whole(&mut self, mut whole: &[u8], style: Style) -> bool {
        let mut groups = 0;
        let first = digits(whole);
        let mut length = first;
        loop {
            self.digits.extend(whole[..length].iter().map(|byte| char::from(*byte)));
            whole = &whole[length..];
            if whole.is_empty() {
                break;
            }
            let Some(separator) = separator(whole, style) else { return false };
            whole = &whole[separator..];
            length = digits(whole);
            groups += 1;
            // Groups are of three; India also writes groups of two before the last.
            let last = length == whole.len();
            if length != 3 && (last || length != 2) {
                return false;
            }
        }
        first > 0 && (groups == 0 || (first <= 3 && !self.digits.trim_start_matches('-').starts_with('0')))
    }

    fn fraction(&mut self, fraction: &[u8]) -> bool {
        if !fraction.is_empty() {
            self.digits.push('.');
            self.digits.extend(fraction.iter().map(|byte| char::from(*byte)));
        }
        digits(fraction) == fraction.len()
    }

    fn exponent(&mut self, exponent: &[u8]) -> bool {
        let [_, number @ ..] = exponent else { return true };
        self.digits.push('e');
        let unsigned = match number {
            [sign @ (b'-' | b'+'), rest @ ..] => {
                self.digits.push(char::from(*sign));
                rest
            }
            rest => rest,
        };
        self.digits.extend(unsigned.iter().map(|byte| char::from(*byte)));
        !unsigned.is_empty() && digits(unsigned) == unsigned.len()
    }

    /// The normalised number times ten to `power`.
    fn value(&mut self, power: i32) -> Value {
        let (number, exponent) = self.digits.split_once('e').unwrap_or((&self.digits, "0"));
        let Some(power) = exponent.parse().ok().and_then(|exponent: i32| exponent.checked_add(power)) else {
            return if exponent.starts_with('-') { Value::Number(0.0) } else { Value::Huge };
        };
        match format!("{number}e{power}").parse::<f64>() {
            Ok(value) if value.is_finite() => Value::Number(value),
            _ => Value::Huge,
        }
    }
}

/// `mantissa` times ten to `power`, where one operation gives the correctly rounded value.
#[inline]
fn scale(mantissa: u64, power: i32) -> Option<f64> {
    let tens = TENS.get(power.unsigned_abs() as usize)?;
    // Both operands are exact, so the result is rounded once.
    Some(if power < 0 { mantissa as f64 / tens } else { mantissa as f64 * tens })
}

/// How many digits the bytes begin with.
fn digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Length of the thousands separator that the bytes begin with: the mark that is not the decimal one, a space (plain,
/// no-break, narrow no-break) or an apostrophe.
fn separator(bytes: &[u8], style: Style) -> Option<usize> {
    let grouping = style.other().decimal();
    match bytes {
        [b' ' | b'\'', ..] => Some(1),
        [first, ..] if *first == grouping => Some(1),
        [0xc2, 0xa0, ..] => Some(2),
        [0xe2, 0x80, 0xaf | 0x99, ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "values are the printed ones to the bit")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(style: Style, cell: &str) -> Value {
        Numbers::new(style).read(cell.as_bytes(), 0)
    }

    #[test]
    fn english_numbers_are_read_with_and_without_separators() {
        for (cell, value) in [
            ("5,318,969,728.00", 5_318_969_728.0),
            ("16,764,800,860,160.00", 16_764_800_860_160.0),
            ("13,485", 13_485.0),
            ("9,495.42", 9_495.42),
            ("0.005831", 0.005_831),
            ("-0.00", 0.0),
            ("1e+06", 1e6),
            ("1.5E-3", 0.0015),
            ("12,34,567.00", 1_234_567.0),
            ("5 318\u{202f}969\u{a0}728.5", 5_318_969_728.5),
            ("204358280894.36", 204_358_280_894.36),
            ("184467440737095516150", 184_467_440_737_095_516_150.0),
        ] {
            assert_eq!(read(Style::Point, cell), Value::Number(value), "{cell}");
        }
    }

    #[test]
    fn numbers_of_another_locale_are_read_as_such_and_otherwise_told_apart() {
        for (cell, value) in [("5.318.969.728,00", 5_318_969_728.0), ("19,66", 19.66), ("13.485", 13_485.0)] {
            assert_eq!(read(Style::Comma, cell), Value::Number(value), "{cell}");
        }
        for cell in ["5.318.969.728,00", "19,66", "1234,5", "0,123"] {
            assert_eq!(read(Style::Point, cell), Value::OtherStyle, "{cell}");
        }
        let mut numbers = Numbers::new(Style::Point);
        for (cell, proven, ambiguous) in
            [("12", false, 0), ("1,234", false, 0), ("9.495", false, 1), ("0.123", true, 1)]
        {
            numbers.read(cell.as_bytes(), 0);
            assert_eq!((numbers.proven, numbers.ambiguous), (proven, ambiguous), "{cell}");
        }
    }

    #[test]
    fn instances_warnings_and_missing_values_are_what_they_are() {
        for (cell, value) in [
            ("1376256 (294912; 196608)", Value::Number(1_376_256.0)),
            ("(!) 12.5", Value::Number(12.5)),
            ("(!) nan", Value::Unavailable),
            ("n/a", Value::Unavailable),
            ("-inf", Value::Unavailable),
            ("no data", Value::Unavailable),
            ("", Value::Nothing),
            ("  ", Value::Nothing),
            ("(64; 64)", Value::Words),
            ("No-CC", Value::Words),
            ("NVIDIA GB200", Value::Words),
            ("0x1f", Value::Words),
            ("1,2,3", Value::Words),
            ("1.2.3", Value::Words),
            ("-", Value::Words),
            ("1e", Value::Words),
            ("1e400", Value::Huge),
            ("1e99999999999", Value::Huge),
            ("1e-99999999999", Value::Number(0.0)),
        ] {
            assert_eq!(read(Style::Point, cell), value, "{cell}");
        }
        assert_eq!(read(Style::Point, &"9".repeat(400)), Value::Huge);
    }

    #[test]
    fn moving_the_decimal_point_is_exact() {
        let mut numbers = Numbers::new(Style::Point);
        assert_eq!(numbers.read(b"25.170048", 6), Value::Number(25_170_048.0));
        assert_eq!(numbers.quick(b"\"25.170048\",\"and the cells after it", 6), Some((25_170_048.0, 12)));
        let long = b"\"1234567890123456.78\",\"0\"";
        assert_eq!(numbers.quick(long, 0), "1234567890123456.78".parse().ok().map(|value| (value, 22)));
        assert_eq!(numbers.quick(long, 3), None);
    }

    #[test]
    fn the_quick_way_leaves_what_it_does_not_know() {
        let mut numbers = Numbers::new(Style::Point);
        let rest = ",\"0\"".repeat(10);
        for cell in ["", "n/a", "1,234", "9.495", "-1.5", ".5", "1.", "12345678901234567890", "1 (1; 2)", "1e5"] {
            assert_eq!(numbers.quick(format!("\"{cell}\"{rest}").as_bytes(), 0), None, "{cell}");
        }
        assert_eq!(numbers.quick(b"\"1\"", 0), None, "too short a rest of the window");
        assert_eq!(Numbers::new(Style::Comma).quick(format!("\"19.66\"{rest}").as_bytes(), 0), None);
        assert_eq!(Numbers::new(Style::Comma).quick(format!("\"19\"{rest}").as_bytes(), 0), Some((19.0, 5)));
    }

    proptest! {
        #[test]
        fn both_ways_give_what_the_standard_library_parses(whole: u64, length in 8_usize..20, decimals in 0_usize..7, power in -3_i32..13) {
            let digits = &format!("{whole:020}")[20 - length..];
            let (before, after) = digits.split_at(length - decimals);
            let cell = if decimals == 0 { before.to_owned() } else { format!("{before}.{after}") };
            let expected: f64 = format!("{cell}e{power}").parse().unwrap();
            let mut numbers = Numbers::new(Style::Point);
            prop_assert_eq!(numbers.read(cell.as_bytes(), power), Value::Number(expected));
            let line = format!("\"{cell}\",{}", "\"0\",".repeat(10));
            if let Some((value, length)) = numbers.quick(line.as_bytes(), power) {
                prop_assert_eq!(value, expected);
                prop_assert_eq!(length, cell.len() + 3);
            }
        }

        #[test]
        fn no_cell_makes_it_panic(cell in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut numbers = Numbers::new(Style::Point);
            let _ = numbers.read(&cell, 9);
            let _ = numbers.quick(&cell, 9);
        }
    }
}
