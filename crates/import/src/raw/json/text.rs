//! Strings: finding their end, and reading them.

use super::Fault;

/// A string as it stands in the file, between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// Marks (the top bit of) bytes of `word` that equal `byte`; bytes above the first marked one may be marked wrongly.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * byte as u64);
    zero.wrapping_sub(ONES) & !zero & TOPS
}

/// The place of the quote that ends the string whose first character is at `start`, and whether a backslash comes before
/// it; `None` where the bytes end first.
#[inline]
pub(crate) fn end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    // Most strings are short: eight bytes a step without a call.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let marks = equal(word, b'"') | equal(word, b'\\');
        if marks != 0 {
            at += (marks.trailing_zeros() / 8) as usize;
            break;
        }
        at += 8;
    }
    loop {
        match bytes.get(at)? {
            b'"' => return Some((at, false)),
            b'\\' => return end_escaped(bytes, at),
            _ => at += 1,
        }
    }
}

/// The same from the first backslash on.
#[cold]
fn end_escaped(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some((at, true));
        }
        at += 2;
    }
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Self { raw, escaped }
    }

    /// The bytes between the quotes, escapes as they stand.
    #[inline]
    pub(crate) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The same string once its UTF-8 is checked.
    ///
    /// # Errors
    /// [`Fault::Utf8`].
    #[inline]
    pub(crate) fn checked(self) -> Result<Checked<'a>, Fault> {
        let text = str::from_utf8(self.raw).map_err(|_| Fault::Utf8)?;
        Ok(Checked { text, escaped: self.escaped })
    }

    /// Checks and reads it; see [`Checked::read`].
    ///
    /// # Errors
    /// [`Fault::Utf8`] and [`Fault::Escape`].
    pub(crate) fn read<'s>(self, scratch: &'s mut String) -> Result<&'s str, Fault>
    where
        'a: 's,
    {
        self.checked()?.read(scratch)
    }
}

/// A string as it stands in the file, known to be UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked<'a> {
    text: &'a str,
    escaped: bool,
}

impl<'a> Checked<'a> {
    /// The characters: borrowed from the file where there is no escape, otherwise written to `scratch`.
    ///
    /// Half of a surrogate pair alone becomes U+FFFD.
    ///
    /// # Errors
    /// [`Fault::Escape`].
    #[inline]
    pub(crate) fn read<'s>(self, scratch: &'s mut String) -> Result<&'s str, Fault>
    where
        'a: 's,
    {
        if !self.escaped {
            return Ok(self.text);
        }
        unescape(self.text, scratch)?;
        Ok(scratch)
    }
}

/// Replaces escapes.
fn unescape(text: &str, out: &mut String) -> Result<(), Fault> {
    out.clear();
    let mut rest = text;
    while let Some(slash) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..slash]);
        let letter = *rest.as_bytes().get(slash + 1).ok_or(Fault::Escape)?;
        let mut used = slash + 2;
        match letter {
            b'"' | b'\\' | b'/' => out.push(char::from(letter)),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => used += code_point(&rest.as_bytes()[used..], out)?,
            _ => return Err(Fault::Escape),
        }
        rest = &rest[used..];
    }
    out.push_str(rest);
    Ok(())
}

/// Reads the digits after `\u`, with the second half of a surrogate pair; returns how many bytes those are.
fn code_point(digits: &[u8], out: &mut String) -> Result<usize, Fault> {
    let first = hex(digits)?;
    if (0xD800..0xDC00).contains(&first) && digits.get(4..6) == Some(b"\\u") {
        let second = hex(&digits[6..])?;
        if (0xDC00..0xE000).contains(&second) {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return Ok(10);
        }
    }
    out.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(4)
}

fn hex(digits: &[u8]) -> Result<u32, Fault> {
    let digits = digits.first_chunk::<4>().ok_or(Fault::Escape)?;
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(Fault::Escape)?;
        Ok(value << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Cursor;
    use super::*;

    fn read(json: &[u8]) -> Result<String, Fault> {
        Cursor::new(json).text()?.read(&mut String::new()).map(str::to_owned)
    }

    #[test]
    fn escapes_are_replaced_and_surrogates_joined() {
        for (json, wanted) in [
            (r#""plain""#, "plain"),
            (r#""""#, ""),
            (r#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{c}\n\r\t"),
            (r#""A\u00e9\u20AC\uD83D\uDE00z""#, "Aé€😀z"),
            (r#""\ud83d|\ude00|\ud83dA""#, "\u{fffd}|\u{fffd}|\u{fffd}A"),
            (
                r#""longer than eight bytes, and a quote \" after them""#,
                "longer than eight bytes, and a quote \" after them",
            ),
            ("\"grüße\"", "grüße"),
        ] {
            assert_eq!(read(json.as_bytes()).as_deref(), Ok(wanted), "{json}");
        }
    }

    #[test]
    fn text_that_is_no_text_is_refused() {
        assert_eq!(read(b"\"\xff\""), Err(Fault::Utf8));
        assert_eq!(read(br#""\x41""#), Err(Fault::Escape));
        assert_eq!(read(br#""\u12""#), Err(Fault::Escape));
        assert_eq!(read(br#""\ud83d\u1""#), Err(Fault::Escape));
        assert_eq!(read(br#""abc"#), Err(Fault::Short));
        assert_eq!(read(br#""abc\"#), Err(Fault::Short));
        assert_eq!(read(br#""abcdefghijk\""#), Err(Fault::Short));
    }

    #[test]
    fn the_end_is_found_wherever_it_stands_in_a_word() {
        for length in 0..40 {
            let text = "x".repeat(length);
            assert_eq!(end(format!("{text}\" tail \\ tail").as_bytes(), 0), Some((length, false)));
            assert_eq!(end(format!("{text}\\\"y\"").as_bytes(), 0), Some((length + 3, true)));
            assert_eq!(end(text.as_bytes(), 0), None);
        }
    }
}
