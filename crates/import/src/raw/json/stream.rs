//! A file in windows.

use std::io::{self, Read};

use super::{Cursor, Fault, Text};

/// How much of the file is held at first.
const WINDOW: usize = 1 << 20;
/// How large one value may be.
const LARGEST: usize = 64 << 20;
/// How much of a skipped value is looked at before the rest is read.
const STRIDE: usize = 64 << 10;

/// A JSON file that is read from its begin to its end through one window. A value that a closure sees is in the window
/// as a whole; the window grows where one value needs it, up to 64 MiB.
pub(crate) struct Stream<R> {
    input: R,
    window: Vec<u8>,
    /// The part of the window that is not parsed yet.
    start: usize,
    end: usize,
    /// Place of the window's first byte in the file.
    offset: u64,
    ended: bool,
}

/// Why a file could not be parsed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not JSON, or not the JSON that is expected.
    Json {
        /// The byte, counted from 0.
        offset: u64,
        /// What is wrong there.
        fault: Fault,
    },
    /// One value is larger than a window may be.
    Large {
        /// Where it begins.
        offset: u64,
    },
    /// The file cannot be read.
    Io(io::Error),
}

/// Where an element of an array stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its first byte, counted from 0.
    pub(crate) offset: u64,
    /// Its number, counted from 1.
    pub(crate) number: u64,
}

/// Why a closure stops.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// The value cannot be parsed at the cursor's place.
    Fault(Fault),
    /// The file failed.
    Failure(Failure),
    /// The closure's own reason.
    Other(E),
}

impl<E> From<Fault> for Stop<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<E> From<Failure> for Stop<E> {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl<R: Read> Stream<R> {
    /// A stream at the first value of the file, a byte-order mark passed.
    ///
    /// # Errors
    /// [`Failure::Io`].
    pub(crate) fn new(input: R) -> Result<Self, Failure> {
        let mut stream = Self { input, window: vec![0; WINDOW], start: 0, end: 0, offset: 0, ended: false };
        stream.refill()?;
        if stream.window[..stream.end].starts_with(b"\xef\xbb\xbf") {
            stream.start = 3;
        }
        Ok(stream)
    }

    /// Place of the next byte in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Runs `parse` on the next part of the file, again with more of it where that was short.
    ///
    /// # Errors
    /// What the file or `parse` says.
    pub(crate) fn parse<T>(
        &mut self,
        mut parse: impl FnMut(&mut Cursor<'_>) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        loop {
            let mut cursor = Cursor::new(&self.window[self.start..self.end]);
            match parse(&mut cursor) {
                Ok(value) => {
                    self.start += cursor.at();
                    return Ok(value);
                }
                Err(Fault::Short) if !self.ended => self.refill()?,
                Err(fault) => return Err(Failure::Json { offset: self.offset() + cursor.at() as u64, fault }),
            }
        }
    }

    /// Whether the next value begins with this byte, which stays unread.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn begins(&mut self, byte: u8) -> Result<bool, Failure> {
        self.parse(|cursor| Ok(cursor.peek()? == byte))
    }

    /// Passes `{`.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn object(&mut self) -> Result<(), Failure> {
        self.parse(|cursor| cursor.pass(b'{', "an object"))
    }

    /// The next key of an object (see [`Cursor::key`]), written to `key`; `false` at the object's end.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn key(&mut self, first: &mut bool, key: &mut String) -> Result<bool, Failure> {
        let begun = *first;
        self.parse(|cursor| {
            *first = begun;
            key.clear();
            let Some(text) = cursor.key(first)? else { return Ok(false) };
            let mut scratch = String::new();
            key.push_str(Text::read(text, &mut scratch)?);
            Ok(true)
        })
    }

    /// Runs `each` on the elements of the array that comes next and returns how many those are.
    ///
    /// `each` passes exactly one value and must change nothing before it has: where the window ends inside the element it
    /// returns [`Fault::Short`] and is called again with more.
    ///
    /// # Errors
    /// What the file or `each` says, with the number of the element.
    pub(crate) fn elements<E>(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'_>, Place) -> Result<(), Stop<E>>,
    ) -> Result<u64, (u64, Stop<E>)> {
        let (mut first, mut number) = (true, 1);
        self.parse(|cursor| cursor.pass(b'[', "an array")).map_err(|failure| (0, failure.into()))?;
        loop {
            let base = self.offset();
            let mut cursor = Cursor::new(&self.window[self.start..self.end]);
            let (passed, stop) = loop {
                let (begun, whole) = (cursor.at(), first);
                let step = match cursor.element(&mut first) {
                    Ok(true) => {
                        let place = Place { offset: base + cursor.at() as u64, number };
                        each(&mut cursor, place)
                    }
                    Ok(false) => {
                        self.start += cursor.at();
                        return Ok(number - 1);
                    }
                    Err(fault) => Err(fault.into()),
                };
                match step {
                    Ok(()) => number += 1,
                    Err(Stop::Fault(Fault::Short)) if !self.ended => {
                        first = whole;
                        break (begun, None);
                    }
                    Err(stop) => break (cursor.at(), Some(stop)),
                }
            };
            self.start += passed;
            match stop {
                Some(Stop::Fault(fault)) => {
                    return Err((number, Failure::Json { offset: self.offset(), fault }.into()));
                }
                Some(stop) => return Err((number, stop)),
                None => self.refill().map_err(|failure| (number, failure.into()))?,
            }
        }
    }

    /// Passes a value of any size without holding it.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn skip(&mut self) -> Result<(), Failure> {
        let mut skipping = Skipping::default();
        loop {
            let until = self.end.min(self.start + STRIDE);
            match skipping.feed(&self.window[self.start..until]) {
                Ok(Some(used)) => {
                    self.start += used;
                    return Ok(());
                }
                Ok(None) => self.start = until,
                Err((at, fault)) => return Err(Failure::Json { offset: self.offset() + at as u64, fault }),
            }
            if self.start == self.end {
                if self.ended {
                    return Err(Failure::Json { offset: self.offset(), fault: Fault::Short });
                }
                self.refill()?;
            }
        }
    }

    /// Makes sure that nothing but white space follows.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        let rest = self.parse(|cursor| match cursor.peek() {
            Ok(_) => Err(Fault::Expected("the end of the file")),
            Err(fault) => Err(fault),
        });
        match rest {
            Err(Failure::Json { fault: Fault::Short, .. }) => Ok(()),
            other => other,
        }
    }

    /// Moves what is not parsed yet to the begin of the window, makes room, and reads.
    fn refill(&mut self) -> Result<(), Failure> {
        if self.start > 0 {
            self.window.copy_within(self.start..self.end, 0);
            self.offset += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.window.len() {
            if self.end >= LARGEST {
                return Err(Failure::Large { offset: self.offset });
            }
            self.window.resize((self.end * 2).min(LARGEST), 0);
        }
        while self.end < self.window.len() {
            match self.input.read(&mut self.window[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(Failure::Io(cause)),
            }
        }
        Ok(())
    }
}

/// A value that is passed byte by byte, its state kept between windows.
#[derive(Default)]
struct Skipping {
    state: State,
    nesting: super::Nesting,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Scalar,
    Between,
    Text,
    Escape,
}

impl Skipping {
    /// Looks at the next bytes; how many of them belong to the value, once it has ended.
    fn feed(&mut self, bytes: &[u8]) -> Result<Option<usize>, (usize, Fault)> {
        for (at, &byte) in bytes.iter().enumerate() {
            let ends = self.step(byte).map_err(|fault| (at, fault))?;
            match ends {
                Some(true) => return Ok(Some(at + 1)),
                Some(false) => return Ok(Some(at)),
                None => {}
            }
        }
        Ok(None)
    }

    /// Whether the value ends with this byte (`true`) or before it (`false`).
    fn step(&mut self, byte: u8) -> Result<Option<bool>, Fault> {
        match self.state {
            State::Before => self.begin(byte)?,
            State::Scalar if matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') => {
                return Ok(Some(false));
            }
            State::Scalar => {}
            State::Escape => self.state = State::Text,
            State::Text => return Ok(self.inside_text(byte)),
            State::Between => return self.between(byte),
        }
        Ok(None)
    }

    fn begin(&mut self, byte: u8) -> Result<(), Fault> {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => self.state = State::Scalar,
            b'"' | b'{' | b'[' => {
                self.between(byte)?;
            }
            _ => return Err(Fault::Expected("a value")),
        }
        Ok(())
    }

    fn inside_text(&mut self, byte: u8) -> Option<bool> {
        match byte {
            b'\\' => self.state = State::Escape,
            b'"' => {
                self.state = State::Between;
                return (self.nesting.depth == 0).then_some(true);
            }
            _ => {}
        }
        None
    }

    fn between(&mut self, byte: u8) -> Result<Option<bool>, Fault> {
        match byte {
            b'"' => self.state = State::Text,
            b'{' | b'[' => {
                self.nesting.open(byte)?;
                self.state = State::Between;
            }
            b'}' | b']' => {
                self.nesting.close(byte)?;
                return Ok((self.nesting.depth == 0).then_some(true));
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every boundary is met.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.0.len()).min(1);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    /// A stream whose window is as small as it can be.
    fn tiny(json: &[u8]) -> Stream<Drip<'_>> {
        Stream { input: Drip(json), window: vec![0; 1], start: 0, end: 0, offset: 0, ended: false }
    }

    fn sum(json: &[u8]) -> Result<(i64, u64), (u64, Stop<()>)> {
        let mut total = 0;
        let count = tiny(json).elements(|cursor, place| {
            assert_eq!(json[place.offset as usize], b'{', "the place is that of the element's first byte");
            let (mut first, mut value) = (true, 0);
            cursor.object()?;
            while cursor.key(&mut first)?.is_some() {
                value = super::super::integer(cursor.scalar()?).ok_or(Fault::Expected("an integer"))?;
            }
            total += value;
            Ok(())
        })?;
        Ok((total, count))
    }

    #[test]
    fn elements_are_whole_however_small_the_window_is() {
        assert!(matches!(sum(br#" [ {"a":1} , {"b":20,"a":300},{"c":4000} ] "#), Ok((4301, 3))));
        assert!(matches!(sum(b"[]"), Ok((0, 0))));
    }

    #[test]
    fn a_fault_has_its_place_and_the_number_of_its_element() {
        let place = |json: &[u8]| match sum(json) {
            Err((number, Stop::Failure(Failure::Json { offset, fault }))) => (number, offset, fault),
            other => panic!("{other:?}"),
        };
        assert_eq!(place(br#"[{"a":1},{"a":1"#), (2, 15, Fault::Short));
        assert_eq!(place(br#"[{"a":1},{"a":x}]"#), (2, 15, Fault::Expected("an integer")));
        assert_eq!(place(br#"[{"a":1} {"a":1}]"#), (2, 9, Fault::Expected("a comma or the end of an array")));
        assert_eq!(place(br#"{"a":1}"#), (0, 0, Fault::Expected("an array")));
    }

    #[test]
    fn keys_and_skipped_values_alternate() {
        let json = br#"{"a":{"x":["\"}",1,{"y":[]}]},"b":"}\\","c":-1.5e3,"d":true,"e":[] , "f":null}  "#;
        let (mut stream, mut first, mut key, mut keys) = (tiny(json), true, String::new(), String::new());
        stream.object().unwrap();
        while stream.key(&mut first, &mut key).unwrap() {
            keys.push_str(&key);
            stream.skip().unwrap();
        }
        assert_eq!(keys, "abcdef");
        stream.finish().unwrap();
    }

    #[test]
    fn what_follows_the_value_is_a_fault() {
        let mut stream = tiny(b"1 2");
        stream.skip().unwrap();
        assert!(matches!(stream.finish(), Err(Failure::Json { offset: 2, .. })));
        let mut cut = tiny(br#"{"a":[1,"#);
        assert!(matches!(cut.skip(), Err(Failure::Json { offset: 8, fault: Fault::Short })));
    }

    #[test]
    fn a_byte_order_mark_is_passed() {
        let mut stream = Stream::new(&b"\xef\xbb\xbf[7]"[..]).unwrap();
        assert_eq!(stream.offset(), 3);
        assert!(matches!(stream.elements::<()>(|cursor, _| Ok(cursor.skip()?)), Ok(1)));
    }

    #[test]
    fn a_value_beyond_the_largest_window_is_refused() {
        let long = io::Read::chain(&b"[\""[..], io::repeat(b'x'));
        let mut stream = Stream::new(long).unwrap();
        let refused = stream.elements::<()>(|cursor, _| Ok(cursor.skip()?));
        assert!(matches!(refused, Err((1, Stop::Failure(Failure::Large { offset: 1 })))));
    }
}
