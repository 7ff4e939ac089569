//! The body of an HTTP/1.1 answer, as its parts arrive.

/// How the end of a body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// Chunks, the last of which is empty.
    Chunked(Part),
    /// When the connection closes.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The line with the size of a chunk.
    Size,
    /// So many more bytes of it.
    Data(u64),
    /// The line end behind it.
    End,
    /// The last chunk was there.
    Done,
}

/// Takes the framing off a body.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// What is not decoded yet: at most a line with a size.
    rest: Vec<u8>,
}

/// Longer lines with sizes are garbage.
const LONGEST_LINE: usize = 256;

impl Body {
    /// A body whose framing is what these headers say.
    pub(super) fn new(length: Option<u64>, chunked: bool) -> Self {
        let framing = match (chunked, length) {
            (true, _) => Framing::Chunked(Part::Size),
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Close,
        };
        Self { framing, rest: Vec::new() }
    }

    /// Decodes what arrived, into `out`.
    ///
    /// # Errors
    /// What is wrong with the framing.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        match &mut self.framing {
            Framing::Close => out.extend_from_slice(bytes),
            Framing::Length(left) => {
                let take = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                out.extend_from_slice(&bytes[..take]);
                *left -= take as u64;
            }
            Framing::Chunked(part) => {
                while !bytes.is_empty() && *part != Part::Done {
                    let (next, used) = step(*part, bytes, &mut self.rest, out)?;
                    (*part, bytes) = (next, &bytes[used..]);
                }
            }
        }
        Ok(())
    }

    /// Whether it is whole, now that (`closed`) nothing more comes, or before.
    pub(super) fn whole(&self, closed: bool) -> bool {
        match self.framing {
            Framing::Length(left) => left == 0,
            Framing::Chunked(part) => part == Part::Done,
            Framing::Close => closed,
        }
    }
}

/// Decodes the next part of a chunked body: what comes after it, and how many bytes it took.
fn step(part: Part, bytes: &[u8], rest: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(Part, usize), &'static str> {
    if let Part::Data(left) = part {
        let take = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        out.extend_from_slice(&bytes[..take]);
        let left = left - take as u64;
        return Ok((if left == 0 { Part::End } else { Part::Data(left) }, take));
    }
    // A line: of a size, or the empty one behind a chunk.
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let used = end.map_or(bytes.len(), |end| end + 1);
    rest.extend_from_slice(&bytes[..used]);
    if rest.len() > LONGEST_LINE {
        return Err("a chunk's size is no number");
    }
    if end.is_none() {
        return Ok((part, used));
    }
    let line = std::mem::take(rest);
    if part == Part::End {
        return if line.trim_ascii().is_empty() {
            Ok((Part::Size, used))
        } else {
            Err("a chunk is longer than its size")
        };
    }
    match httparse::parse_chunk_size(&line) {
        Ok(httparse::Status::Complete((_, 0))) => Ok((Part::Done, used)),
        Ok(httparse::Status::Complete((_, size))) => Ok((Part::Data(size), used)),
        _ => Err("a chunk's size is no number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &mut Body, text: &[u8], at_once: usize) -> Result<String, &'static str> {
        let mut out = Vec::new();
        for part in text.chunks(at_once) {
            body.push(part, &mut out)?;
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn a_body_is_the_same_however_its_bytes_arrive() {
        for at_once in 1..30 {
            let mut chunked = Body::new(None, true);
            let text = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
            assert_eq!(decoded(&mut chunked, text, at_once), Ok("hello world".to_owned()), "{at_once}");
            assert!(chunked.whole(false));
            let mut counted = Body::new(Some(5), false);
            assert_eq!(decoded(&mut counted, b"hello!", at_once), Ok("hello".to_owned()));
            assert!(counted.whole(false));
        }
    }

    #[test]
    fn a_body_that_ends_early_is_not_whole() {
        let (mut chunked, mut counted, mut closed) =
            (Body::new(None, true), Body::new(Some(9), false), Body::new(None, false));
        assert_eq!(decoded(&mut chunked, b"5\r\nhel", 3), Ok("hel".to_owned()));
        assert_eq!(decoded(&mut counted, b"hel", 3), Ok("hel".to_owned()));
        assert_eq!(decoded(&mut closed, b"hel", 3), Ok("hel".to_owned()));
        assert_eq!(
            [chunked.whole(true), counted.whole(true), closed.whole(true), closed.whole(false)],
            [false, false, true, false]
        );
    }

    #[test]
    fn sizes_that_are_none_are_errors() {
        assert!(decoded(&mut Body::new(None, true), b"hello\r\n", 2).is_err());
        assert!(decoded(&mut Body::new(None, true), &[b'1'; 500], 7).is_err());
        assert!(decoded(&mut Body::new(None, true), b"2\r\nabc\r\n", 1).is_err());
    }
}
