//! Names that are kept, each once, and a hasher for short keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// A map whose hash costs a multiplication a word. Keys come from the user's own file: no defence against somebody who
/// makes them collide.
pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

/// Multiplies and folds each word.
#[derive(Default)]
pub(crate) struct Quick(u64);

impl Quick {
    #[inline]
    fn add(&mut self, word: u64) {
        // An odd constant with well spread bits (2^64 over the golden ratio).
        let product = u128::from(self.0 ^ word) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        self.add(last ^ 0x5851_F42D_4C95_7F2D);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte) | 1 << 32);
    }

    fn write_i64(&mut self, word: i64) {
        self.add(word as u64 ^ 0x5851_F42D_4C95_7F2D);
    }
}

/// Names, each kept once and known by a number.
#[derive(Default)]
pub(crate) struct Names {
    numbers: QuickMap<Rc<str>, u32>,
    names: Vec<Rc<str>>,
}

impl Names {
    /// The number of a name; the same for the same name.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (number, name) = (self.names.len() as u32, Rc::<str>::from(name));
        self.numbers.insert(Rc::clone(&name), number);
        self.names.push(name);
        number
    }

    /// The name of a number that [`Self::number`] gave.
    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let mut names = Names::default();
        let numbers: Vec<u32> =
            ["a", "b", "a", "", "a long name of a kernel", "b"].iter().map(|name| names.number(name)).collect();
        assert_eq!(numbers, [0, 1, 0, 2, 3, 1]);
        assert_eq!((names.name(3), names.name(2), names.name(9)), ("a long name of a kernel", "", ""));
    }

    #[test]
    fn words_that_differ_in_little_are_spread() {
        let mut low = std::collections::BTreeSet::new();
        for word in 0..4096_i64 {
            let mut quick = Quick::default();
            quick.write_i64(word << 20);
            low.insert(quick.finish() & 4095);
        }
        assert!(low.len() > 2000, "{}", low.len());
    }
}
