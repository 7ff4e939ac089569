//! Texts by number.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Each distinct text once; a text is a small number elsewhere. All stand in one buffer, since traces may have millions of
/// names that occur once.
#[derive(Debug, Default)]
pub struct Names {
    buffer: String,
    /// Where each text ends.
    ends: Vec<usize>,
    known: HashTable<Known>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Known {
    /// Kept, so that a growing table need not read the texts again.
    hash: u64,
    number: u32,
}

impl Names {
    /// The number of a text, given when it is first seen: from 0, one by one.
    pub fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let same = |known: &Known| known.hash == hash && of(&self.buffer, &self.ends, known.number) == text;
        match self.known.entry(hash, same, |known| known.hash) {
            Entry::Occupied(known) => known.get().number,
            Entry::Vacant(place) => {
                let number = self.ends.len() as u32;
                place.insert(Known { hash, number });
                self.buffer.push_str(text);
                self.ends.push(self.buffer.len());
                number
            }
        }
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        of(&self.buffer, &self.ends, number)
    }

    /// The number of a text that has been seen.
    pub fn find(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        let same = |known: &Known| known.hash == hash && self.text(known.number) == text;
        self.known.find(hash, same).map(|known| known.number)
    }

    /// The texts from a number on, in the order of their numbers.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &str> {
        (first as u32..self.ends.len() as u32).map(|number| self.text(number))
    }
}

fn of<'t>(buffer: &'t str, ends: &[usize], number: u32) -> &'t str {
    let at = number as usize;
    &buffer[at.checked_sub(1).map_or(0, |before| ends[before])..ends[at]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_and_a_number_one_text() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..2_000).map(|at| "x".repeat(at % 7) + &at.to_string()).collect();
        let numbers: Vec<u32> = texts.iter().map(|text| names.intern(text)).collect();
        assert_eq!(numbers, (0..2_000).collect::<Vec<u32>>());
        assert_eq!(
            (names.intern("0"), names.intern(""), names.intern(""), names.intern("é")),
            (0, 2_000, 2_000, 2_001)
        );
        assert!(texts.iter().zip(&numbers).all(|(text, number)| names.text(*number) == text));
        assert_eq!((names.find("é"), names.find("ü"), names.text(2_000)), (Some(2_001), None, ""));
        assert_eq!((names.from(0).count(), names.from(2_001).next()), (2_002, Some("é")));
    }
}
