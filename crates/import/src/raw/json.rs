//! A pull parser for JSON files of any size: windows of the file, and a cursor that borrows from one.
//!
//! [`Stream`] reads the file into one reusable window and runs a closure on every element of an array, a whole element
//! at a time; [`Cursor`] parses inside the window without copying. Nothing here builds a tree: what a caller does not ask
//! for is skipped by its brackets and quotes, at about the speed of looking at each byte once, and is not checked further
//! (neither its UTF-8 nor the spelling of its numbers). Text is checked when it is read.
//!
//! The grammar is that of RFC 8259, with three things that profilers write accepted: control characters inside strings,
//! the bare words `NaN`, `nan`, `Infinity` and `inf` where a value is skipped, and a byte-order mark.

mod decimal;
mod stream;
mod text;

pub(crate) use decimal::{float, integer, scaled};
pub(crate) use stream::{Failure, Place, Stop, Stream};
pub(crate) use text::{Checked, Text};

/// Deepest nesting of arrays and objects that is read.
pub(crate) const DEEPEST: u32 = 128;

/// Why a value could not be parsed; where is [`Cursor::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end inside the value: more of the file is needed, or the file was cut.
    Short,
    /// Something else than this was expected.
    Expected(&'static str),
    /// Arrays and objects are nested deeper than [`DEEPEST`].
    Deep,
    /// A string that is needed is not UTF-8.
    Utf8,
    /// A string that is needed has an escape that does not exist.
    Escape,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => out.write_str("the file ends in the middle of a value"),
            Self::Expected(what) => write!(out, "expected {what}"),
            Self::Deep => write!(out, "arrays and objects are nested deeper than {DEEPEST}"),
            Self::Utf8 => out.write_str("a string is not UTF-8"),
            Self::Escape => out.write_str("a string has an escape that JSON does not know"),
        }
    }
}

/// What kind of value comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    Text,
    /// A number, or one of the bare words.
    Scalar,
}

/// A place in a slice of JSON.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bytes passed; after an error, the place of what is wrong.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns to a place that [`Self::at`] gave.
    #[inline]
    pub(crate) fn back(&mut self, at: usize) {
        self.at = at;
    }

    /// The bytes since a place that [`Self::at`] gave.
    #[inline]
    pub(crate) fn since(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..self.at).unwrap_or_default()
    }

    /// Passes white space and returns the byte after it, which stays unread.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, Fault> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Fault::Short)
    }

    /// Passes this byte, after white space.
    #[inline]
    pub(crate) fn pass(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(Fault::Expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// The kind of the value that comes next.
    #[inline]
    pub(crate) fn kind(&mut self) -> Result<Kind, Fault> {
        match self.peek()? {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::Text),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Ok(Kind::Scalar),
            _ => Err(Fault::Expected("a value")),
        }
    }

    /// Passes `{`.
    #[inline]
    pub(crate) fn object(&mut self) -> Result<(), Fault> {
        self.pass(b'{', "an object")
    }

    /// Passes `[`.
    #[inline]
    pub(crate) fn array(&mut self) -> Result<(), Fault> {
        self.pass(b'[', "an array")
    }

    /// The next key of an object, its colon passed; `None` at the end of the object, which is passed. `first` is whether
    /// none was asked for before, and is cleared.
    #[inline]
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Text<'a>>, Fault> {
        if !self.more(first, b'}', "a comma or the end of an object")? {
            return Ok(None);
        }
        if self.peek()? != b'"' {
            return Err(Fault::Expected("a key"));
        }
        let key = self.text()?;
        self.pass(b':', "a colon")?;
        Ok(Some(key))
    }

    /// Whether an array has one more element, at whose first byte the cursor then stands; at the end the bracket is
    /// passed.
    #[inline]
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, Fault> {
        self.more(first, b']', "a comma or the end of an array")
    }

    #[inline]
    fn more(&mut self, first: &mut bool, close: u8, what: &'static str) -> Result<bool, Fault> {
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            return Ok(false);
        }
        if *first {
            *first = false;
        } else if byte == b',' {
            self.at += 1;
            if self.peek()? == close {
                return Err(Fault::Expected("a value after the comma"));
            }
        } else {
            return Err(Fault::Expected(what));
        }
        Ok(true)
    }

    /// The string that comes next.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Fault> {
        if self.peek()? != b'"' {
            return Err(Fault::Expected("a string"));
        }
        let start = self.at + 1;
        let (end, escaped) = text::end(self.bytes, start).ok_or(Fault::Short)?;
        self.at = end + 1;
        Ok(Text::new(&self.bytes[start..end], escaped))
    }

    /// The string that comes next, its UTF-8 checked.
    #[inline]
    pub(crate) fn checked(&mut self) -> Result<Checked<'a>, Fault> {
        self.peek()?;
        let start = self.at;
        let checked = self.text()?.checked();
        if checked.is_err() {
            self.at = start;
        }
        checked
    }

    /// The characters of the number or bare word that comes next.
    #[inline]
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], Fault> {
        if self.kind()? != Kind::Scalar {
            return Err(Fault::Expected("a number"));
        }
        let start = self.at;
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'a'..=b'z' | b'A'..=b'Z') {
                return Ok(&self.bytes[start..self.at]);
            }
            self.at += 1;
        }
        Err(Fault::Short)
    }

    /// Passes a value of any kind and returns its bytes.
    pub(crate) fn value(&mut self) -> Result<&'a [u8], Fault> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Ok(self.since(start))
    }

    /// Passes a value of any kind.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        match self.kind()? {
            Kind::Scalar => self.scalar().map(|_| ()),
            Kind::Text => self.text().map(|_| ()),
            Kind::Object | Kind::Array => self.close(&mut Nesting::default()),
        }
    }

    /// Passes a value of any kind and returns the characters of a number, or of a string as they stand in the file;
    /// nothing for anything else.
    #[inline]
    pub(crate) fn characters(&mut self) -> Result<&'a [u8], Fault> {
        match self.kind()? {
            Kind::Scalar => self.scalar(),
            Kind::Text => self.text().map(Text::raw),
            Kind::Object | Kind::Array => self.skip().map(|()| &self.bytes[..0]),
        }
    }

    /// Passes the rest of an object whose bracket was passed.
    #[inline]
    pub(crate) fn leave_object(&mut self) -> Result<(), Fault> {
        let mut nesting = Nesting::default();
        nesting.open(b'{')?;
        self.close(&mut nesting)
    }

    /// Runs `each` on every member of the object that comes next, at its value; a value of another kind is passed.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&'a [u8], &mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.kind()? != Kind::Object {
            return self.skip();
        }
        let mut first = true;
        self.object()?;
        while let Some(key) = self.key(&mut first)? {
            each(key.raw(), self)?;
        }
        Ok(())
    }

    /// Runs `each` at every element of the array that comes next; a value of another kind is passed.
    pub(crate) fn items(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.kind()? != Kind::Array {
            return self.skip();
        }
        let mut first = true;
        self.array()?;
        while self.element(&mut first)? {
            each(self)?;
        }
        Ok(())
    }

    /// Passes brackets and strings until everything that `nesting` holds, or the first bracket opens, is closed.
    fn close(&mut self, nesting: &mut Nesting) -> Result<(), Fault> {
        let bytes = self.bytes;
        let mut at = self.at;
        while let Some(&byte) = bytes.get(at) {
            match MARKS[byte as usize] {
                Mark::None => at += 1,
                Mark::Quote => match text::end(bytes, at + 1) {
                    Some((end, _)) => at = end + 1,
                    None => break,
                },
                mark => {
                    self.at = at;
                    let step = if mark == Mark::Open { nesting.open(byte) } else { nesting.close(byte) };
                    step?;
                    at += 1;
                    if nesting.depth == 0 {
                        self.at = at;
                        return Ok(());
                    }
                }
            }
        }
        self.at = bytes.len();
        Err(Fault::Short)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Quote,
    Open,
    Close,
}

/// What a byte means to somebody who skips.
static MARKS: [Mark; 256] = {
    let mut marks = [Mark::None; 256];
    marks[b'"' as usize] = Mark::Quote;
    marks[b'{' as usize] = Mark::Open;
    marks[b'[' as usize] = Mark::Open;
    marks[b'}' as usize] = Mark::Close;
    marks[b']' as usize] = Mark::Close;
    marks
};

/// The brackets that are open, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Nesting {
    depth: u32,
    objects: u128,
}

impl Nesting {
    fn open(&mut self, byte: u8) -> Result<(), Fault> {
        if self.depth == DEEPEST {
            return Err(Fault::Deep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(byte == b'{');
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<(), Fault> {
        if (self.objects & 1 == 1) != (byte == b'}') {
            return Err(Fault::Expected("another closing bracket"));
        }
        self.depth = self.depth.checked_sub(1).ok_or(Fault::Expected("a value"))?;
        self.objects >>= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> Result<Vec<String>, Fault> {
        let (mut cursor, mut first, mut keys) = (Cursor::new(json.as_bytes()), true, Vec::new());
        cursor.object()?;
        while let Some(key) = cursor.key(&mut first)? {
            keys.push(key.read(&mut String::new())?.to_owned());
            cursor.skip()?;
        }
        Ok(keys)
    }

    #[test]
    fn values_of_every_kind_are_skipped() {
        let json = r#" { "a" : 1.5e3 , "b":"x\"}]","c":[1,{"d":"]"},[]],"e":{},"f":null,"g":-Infinity,"h":true } "#;
        assert_eq!(keys(json), Ok(["a", "b", "c", "e", "f", "g", "h"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_value_that_is_cut_anywhere_is_short() {
        let json = r#"{"a":[1,{"b":"c\\"}],"d":-1.5,"e":"x"}"#;
        assert!(keys(json).is_ok());
        for end in 0..json.len() {
            assert_eq!(keys(&json[..end]), Err(Fault::Short), "{}", &json[..end]);
        }
    }

    #[test]
    fn wrong_punctuation_is_named() {
        for (json, what) in [
            (r#"{"a" 1}"#, "a colon"),
            (r#"{"a":1 "b":2}"#, "a comma or the end of an object"),
            (r#"{"a":1,}"#, "a value after the comma"),
            (r"{a:1}", "a key"),
            (r#"{"a":}"#, "a value"),
            (r#"{"a":[1}}"#, "another closing bracket"),
            (r#"["a"]"#, "an object"),
        ] {
            assert_eq!(keys(json), Err(Fault::Expected(what)), "{json}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(Cursor::new(nested(128).as_bytes()).skip(), Ok(()));
        assert_eq!(Cursor::new(nested(129).as_bytes()).skip(), Err(Fault::Deep));
        assert_eq!(Cursor::new(nested(1_000_000).as_bytes()).skip(), Err(Fault::Deep));
    }

    #[test]
    fn the_rest_of_an_object_is_left_in_one_step() {
        let mut cursor = Cursor::new(br#"{"ph":"s","args":{"a":["}"]}},7"#);
        let mut first = true;
        cursor.object().unwrap();
        assert_eq!(cursor.key(&mut first).unwrap().unwrap().raw(), b"ph");
        cursor.skip().unwrap();
        cursor.leave_object().unwrap();
        assert_eq!(cursor.pass(b',', "a comma"), Ok(()));
    }
}
