//! JSON as Python writes it: `json.dumps` prints `NaN`, `Infinity` and `-Infinity`, which JSON does not have.

use std::io::{self, BufRead, Read};

/// Replaces those words by an empty string of the same length, which reads as "no number". Outside of strings no other
/// JSON word holds an `N` or an `I`.
pub(crate) struct PythonJson<R> {
    inner: R,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Outside,
    /// Inside a string.
    Inside,
    /// Inside a string, behind a backslash.
    Escaped,
    /// Inside one of the words, whose second letter is still to come.
    Opened,
    /// Inside one of the words, further on.
    Word,
}

impl<R: BufRead> PythonJson<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, state: State::Outside }
    }

    /// The byte in place of `byte`. `next` is the one after it.
    fn replace(&mut self, byte: u8, next: Option<u8>) -> u8 {
        let (state, written) = match (self.state, byte) {
            (State::Inside, b'\\') => (State::Escaped, byte),
            (State::Inside, b'"') => (State::Outside, byte),
            (State::Inside | State::Escaped, _) | (State::Outside | State::Word, b'"') => (State::Inside, byte),
            (State::Opened, _) => (State::Word, b'"'),
            (State::Word, letter) if letter.is_ascii_alphabetic() => (State::Word, b' '),
            (State::Outside, b'N' | b'I') => (State::Opened, b'"'),
            (State::Outside, b'-') if next == Some(b'I') => (State::Opened, b'"'),
            (State::Outside | State::Word, _) => (State::Outside, byte),
        };
        self.state = state;
        written
    }
}

impl<R: BufRead> Read for PythonJson<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for at in 0..count {
            let next = match buffer[..count].get(at + 1) {
                Some(next) => Some(*next),
                None if buffer[at] == b'-' => self.inner.fill_buf()?.first().copied(),
                None => None,
            };
            buffer[at] = self.replace(buffer[at], next);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &str, piece: usize) -> String {
        let mut reader = PythonJson::new(io::BufReader::with_capacity(piece, text.as_bytes()));
        let (mut out, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(out).unwrap(),
                count => out.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn words_that_json_lacks_become_empty_strings_wherever_a_buffer_ends() {
        let text = r#"{"rate": Infinity, "NaN": [NaN,-Infinity,-1.5e-3,null], "t": "say \"NaN\" \\", "u": NaN}"#;
        let wanted = r#"{"rate": ""      , "NaN": ["" ,""       ,-1.5e-3,null], "t": "say \"NaN\" \\", "u": "" }"#;
        for piece in 1..20 {
            assert_eq!(through(text, piece), wanted, "pieces of {piece}");
        }
        assert!(serde_json::from_str::<serde_json::Value>(wanted).is_ok());
    }
}
