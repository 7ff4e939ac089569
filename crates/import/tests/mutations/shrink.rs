//! Making a real file small: what is kept stays as it was written, letter by letter.

/// Elements that are kept in a row of a list, of one inside another, and of one deeper still: lists side by side, which
/// belong together, keep the same. Of the rest every one stays whose number is half as large again as the last.
const KEPT: [usize; 3] = [110, 12, 4];
/// Lines that are kept in a row. As with elements they are more than a hundred, so that one bad row is left out and does
/// not fail the import.
const LINES: usize = 110;

/// A smaller file of the same format: fewer elements of each list of a JSON document, or fewer lines.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    if matches!(bytes.get(first), Some(b'{' | b'[')) {
        let mut copy = Copy { bytes, out: Vec::new() };
        if copy.value(first, 0, true) == bytes.trim_ascii_end().len() {
            return copy.out;
        }
    }
    let mut kept = Kept::new(LINES);
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|_| kept.next()).collect::<Vec<_>>().concat()
}

/// Which elements of a list stay.
struct Kept {
    number: usize,
    next: usize,
    row: usize,
}

impl Kept {
    fn new(row: usize) -> Self {
        Self { number: 0, next: row, row }
    }

    fn next(&mut self) -> bool {
        self.number += 1;
        let sparse = self.number > self.next;
        if sparse {
            self.next += self.next / 2 + 1;
        }
        sparse || self.number <= self.row
    }
}

/// A copy of a valid JSON document under way.
struct Copy<'a> {
    bytes: &'a [u8],
    out: Vec<u8>,
}

impl Copy<'_> {
    fn is(&self, at: usize, wanted: &[u8]) -> bool {
        self.bytes.get(at).is_some_and(|byte| wanted.contains(byte))
    }

    fn skip(&self, mut at: usize, what: &[u8]) -> usize {
        while self.is(at, what) {
            at += 1;
        }
        at
    }

    fn push(&mut self, keep: bool, bytes: std::ops::Range<usize>) {
        if keep {
            self.out.extend_from_slice(self.bytes.get(bytes).unwrap_or_default());
        }
    }

    /// Copies the value that begins at `at` (not, where it is not to be kept) and returns its end.
    fn value(&mut self, at: usize, lists: usize, keep: bool) -> usize {
        let end = match self.bytes.get(at) {
            Some(b'{') => return self.members(at, b'}', lists, keep),
            Some(b'[') => return self.members(at, b']', lists + 1, keep),
            Some(b'"') => self.string_end(at),
            _ => self.bytes[at..]
                .iter()
                .position(|byte| b",]} \t\r\n".contains(byte))
                .map_or(self.bytes.len(), |n| at + n),
        };
        self.push(keep, at..end);
        end
    }

    fn members(&mut self, at: usize, close: u8, lists: usize, keep: bool) -> usize {
        let row = if close == b']' { KEPT[(lists - 1).min(KEPT.len() - 1)] } else { usize::MAX / 4 };
        let (mut kept, mut first) = (Kept::new(row), true);
        self.push(keep, at..at + 1);
        let mut place = self.skip(at + 1, b" \t\r\n");
        while place < self.bytes.len() && !self.is(place, &[close]) {
            let keep = keep && kept.next();
            if keep && !std::mem::take(&mut first) {
                self.out.extend_from_slice(b",\n");
            }
            if close == b'}' {
                let value = self.skip(self.string_end(place), b" \t\r\n:");
                self.push(keep, place..value);
                place = value;
            }
            let end = self.value(place, lists, keep).max(place + 1);
            place = self.skip(end, b" \t\r\n,");
        }
        self.push(keep, place..place + 1);
        place + 1
    }

    fn string_end(&self, at: usize) -> usize {
        let mut place = at + 1;
        while let Some(byte) = self.bytes.get(place) {
            match byte {
                b'"' => return place + 1,
                b'\\' => place += 2,
                _ => place += 1,
            }
        }
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_become_short_and_everything_else_stays() {
        let list: Vec<String> = (0..500).map(|n| format!("{{\"a\": {n}.500, \"b\": \"x,]\\\"{n}\"}}")).collect();
        let json = format!("{{\"head\": {{\"v\": [1, [], 2]}}, \"list\": [{}], \"end\": null}} ", list.join(", "));
        let small = text(json.as_bytes());
        let value: serde_json::Value = serde_json::from_slice(&small).unwrap();
        assert_eq!((&value["head"]["v"][2], value["end"].is_null()), (&2.into(), true));
        let kept = value["list"].as_array().unwrap();
        assert!((KEPT[0]..KEPT[0] + 10).contains(&kept.len()), "{}", kept.len());
        assert_eq!((&kept[3]["b"], &kept[KEPT[0]]["b"]), (&"x,]\"3".into(), &"x,]\"110".into()));
        assert!(String::from_utf8(small).unwrap().contains("\"a\": 3.500"));
    }

    #[test]
    fn of_lines_the_first_and_some_of_the_rest_stay() {
        let log = (0..1000).map(|n| format!("{n},1\n")).collect::<Vec<_>>().concat();
        let small = String::from_utf8(text(log.as_bytes())).unwrap();
        assert!(small.starts_with("0,1\n1,1\n2,1\n") && small.lines().count() < LINES + 12);
        assert_eq!(text(b"a\nb"), b"a\nb");
        assert_eq!(text(b"{\"a\": 1}\n{\"a\": 2}\n"), b"{\"a\": 1}\n{\"a\": 2}\n");
    }
}
