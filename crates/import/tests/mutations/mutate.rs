//! Damaging a file: what disks, copies, other programs and other versions do to one, and what an attacker would.

use crate::input::Input;
use crate::random::Random;
use crate::sqlite;

/// Pieces of text that parsers stumble over.
const TOKENS: &[&[u8]] = &[
    b"-1",
    b"0",
    b"-0",
    b"-0.0",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b"0.0000000000000000000000000001",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551615",
    b"340282366920938463463374607431768211456",
    b"9007199254740993.9999",
    b"9223372036854775807.999",
    b"2147483648",
    b"4294967295",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"-inf",
    b"\"\"",
    b"\"\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\u0000\"",
    b"\"\xff\xfe\"",
    b"\"\\\"",
    b"\\",
    b"\"",
    b"'",
    b"{}",
    b"[]",
    b"[[]]",
    b"{",
    b"}",
    b"]",
    b",",
    b",,",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xf0\x9f\x92\xa5",
    b"\xef\xbb\xbf",
    b"1,234,567.8",
    b"1.234.567",
    b"n/a",
    b"%s%n",
    b"../../x",
    b"2023-02-30 25:61:61.9999999999",
    b"0001-01-01 00:00:00",
    b"9999-12-31T23:59:59.999999999Z",
];

/// A damaged copy of `seed`; `other` is a second seed of the format to splice with.
pub(crate) fn mutated(seed: &Input, other: &Input, random: &mut Random) -> Input {
    match (seed, other) {
        (Input::File(bytes), Input::File(other)) => Input::File(file(bytes, other, random)),
        (Input::Folder(files), Input::Folder(others)) => {
            let mut files = files.clone();
            if random.once_in(12) {
                let at = random.below(files.len());
                if at < files.len() {
                    files.remove(at);
                }
            }
            let at = random.below(files.len());
            if let (Some((_, bytes)), Some((_, other))) = (files.get_mut(at), random.pick(others)) {
                *bytes = file(bytes, other, random);
            }
            Input::Folder(files)
        }
        _ => seed.clone(),
    }
}

fn file(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    if seed.starts_with(sqlite::MAGIC)
        && !random.once_in(3)
        && let Some(bytes) = sqlite::mutated(seed, random)
    {
        return bytes;
    }
    let mut bytes = seed.to_owned();
    for _ in 0..=random.length(6) {
        once(&mut bytes, other, random);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    // Most damage is of fields: that of bytes seldom comes past the first bracket.
    match random.below(20) {
        0 => flip(bytes, at, random),
        1 => overwrite(bytes, at, random),
        2 => drop(bytes.drain(span(bytes.len(), at, random))),
        3 => repeat(bytes, at, random),
        4 => splice(bytes, at, other, random),
        5 => bytes.truncate(at),
        6 => nest(bytes, at, random),
        7 => swap_lines(bytes, random),
        8 => repeat_line(bytes, random),
        9 => insert(bytes, at, random.pick(TOKENS).copied().unwrap_or_default()),
        10..=11 => swap_fields(bytes, random),
        12 => digit(bytes, at, random),
        _ => replace_field(bytes, random),
    }
}

fn span(length: usize, at: usize, random: &mut Random) -> std::ops::Range<usize> {
    at..(at + 1 + random.length(256)).min(length).max(at)
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// Writes a number over up to eight bytes: lengths and offsets of binary formats.
fn overwrite(bytes: &mut [u8], at: usize, random: &mut Random) {
    let values = [0, 1, 0x7f, 0x80, 0xff, 0xffff, i32::MAX as u64, u64::from(u32::MAX), i64::MAX as u64, u64::MAX];
    let value = random.pick(&values).copied().unwrap_or_default().to_le_bytes();
    let width = 1 << random.below(4);
    for (byte, new) in bytes.iter_mut().skip(at).zip(&value[..width]) {
        *byte = *new;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

fn repeat(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let copied = bytes[span(bytes.len(), at, random)].to_vec();
    for _ in 0..=random.length(64) {
        insert(bytes, at, &copied);
    }
}

fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.below(other.len());
    if random.once_in(2) {
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    } else {
        let piece = &other[span(other.len(), from, random)];
        insert(bytes, at, piece);
    }
}

/// Brackets inside brackets, closed again or not.
fn nest(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let depth = if random.once_in(8) { 200_000 } else { random.length(300) };
    let (open, close) = if random.once_in(2) { ("[", "]") } else { ("{\"a\":", "}") };
    let close = if random.once_in(2) { "" } else { close };
    insert(bytes, at, format!("{}1{}", open.repeat(depth), close.repeat(depth)).as_bytes());
}

/// Where the line around a random place begins and ends, its end of line included.
fn line(bytes: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let at = random.below(bytes.len());
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |after| at + after + 1);
    start..end
}

fn swap_lines(bytes: &mut [u8], random: &mut Random) {
    let line = line(bytes, random);
    let middle = random.below(line.len() + 1);
    bytes[line].rotate_left(middle);
}

fn repeat_line(bytes: &mut Vec<u8>, random: &mut Random) {
    let line = line(bytes, random);
    if line.len() < 1 << 16 {
        let (start, copied) = (line.start, bytes[line].to_vec());
        insert(bytes, start, &copied);
    }
}

fn digit(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
        *byte = b'0' + random.below(10) as u8;
    }
}

/// Where the field after a random place begins and ends: a string with its quotes, or what stands between commas,
/// colons, brackets and ends of lines.
fn field(bytes: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let breaks = |byte: &u8| matches!(byte, b',' | b':' | b'[' | b']' | b'{' | b'}' | b'\n' | b'\r' | b'|' | b';');
    let at = random.below(bytes.len());
    let Some(before) = bytes[at..].iter().position(breaks) else { return at..at };
    let rest = &bytes[at + before + 1..];
    let start = at + before + 1 + rest.iter().take_while(|byte| **byte == b' ').count();
    let rest = &bytes[start..];
    let end = match rest.strip_prefix(b"\"") {
        Some(inside) => inside.iter().position(|byte| *byte == b'"').map(|end| end + 2),
        None => rest.iter().position(breaks),
    };
    start..start + end.unwrap_or(rest.len())
}

fn replace_field(bytes: &mut Vec<u8>, random: &mut Random) {
    let field = field(bytes, random);
    let token = random.pick(TOKENS).copied().unwrap_or_default();
    // Half of the replaced strings stay strings, since a number is refused sooner in their place.
    let quoted = bytes.get(field.start) == Some(&b'"') && !token.starts_with(b"\"") && random.once_in(2);
    let token = if quoted { [b"\"", token, b"\""].concat() } else { token.to_owned() };
    bytes.splice(field, token);
}

fn swap_fields(bytes: &mut Vec<u8>, random: &mut Random) {
    let (one, two) = (field(bytes, random), field(bytes, random));
    let (first, second) = if one.start <= two.start { (one, two) } else { (two, one) };
    if first.end <= second.start {
        let (left, right) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
        bytes.splice(second, left);
        bytes.splice(first, right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_repeated_by_its_seed_and_never_fails_itself() {
        let seeds = [&b""[..], b"x", b"{\"a\": [1, 2.5, \"b\"], \"c\": null}\n", b"a,b\n1,2\n3,4\n", &[0xff; 40]];
        let run = |seed| {
            let mut random = Random::new(seed);
            let pick = |random: &mut Random| Input::File(random.pick(&seeds).unwrap().to_vec());
            let (one, other) = (pick(&mut random), pick(&mut random));
            mutated(&one, &other, &mut random)
        };
        let first: Vec<Input> = (0..3000).map(run).collect();
        assert_eq!(first[..500], (0..500).map(run).collect::<Vec<_>>());
        assert!(first.iter().collect::<std::collections::HashSet<_>>().len() > 1500);
    }
}
