//! The table `StringIds` in one piece of memory.

use super::export::{Export, at};
use crate::Error;

const TABLE: &str = "StringIds";
const WANTED: &[&str] = &["id", "value"];
const ID: usize = at(WANTED, "id");
const VALUE: usize = at(WANTED, "value");

/// Texts by number. They stay in memory while an export is read: they grow with the distinct names, not the rows.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    text: String,
    /// Number of each text and where it ends in `text`, sorted by number.
    ends: Vec<(i64, usize)>,
}

impl Strings {
    pub(crate) fn read(export: &dyn Export) -> Result<Self, Error> {
        let mut strings = Self::default();
        let mut sorted = true;
        export.scan(TABLE, WANTED, &mut |row| {
            let (Some(id), Some(value)) = (row.int(ID), row.text(VALUE)) else { return Ok(()) };
            strings.text.push_str(&value);
            sorted &= strings.ends.last().is_none_or(|last| last.0 < id);
            strings.ends.push((id, strings.text.len()));
            Ok(())
        })?;
        if !sorted {
            strings.sort();
        }
        Ok(strings)
    }

    /// Brings the texts into the order of their numbers; of a number given twice the first counts.
    fn sort(&mut self) {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let mut entries: Vec<(i64, usize, usize)> =
            starts.zip(&self.ends).map(|(start, (id, end))| (*id, start, *end)).collect();
        entries.sort_by_key(|entry| entry.0);
        entries.dedup_by_key(|entry| entry.0);
        let mut text = String::with_capacity(self.text.len());
        self.ends.clear();
        for (id, start, end) in entries {
            text.push_str(&self.text[start..end]);
            self.ends.push((id, text.len()));
        }
        self.text = text;
    }

    /// The text of a number.
    #[inline]
    pub(crate) fn get(&self, id: i64) -> Option<&str> {
        let first = self.ends.first()?.0;
        // Numbers are nearly always consecutive.
        let guess = usize::try_from(id.wrapping_sub(first)).unwrap_or(usize::MAX);
        let index = match self.ends.get(guess) {
            Some(entry) if entry.0 == id => guess,
            _ => self.ends.binary_search_by_key(&id, |entry| entry.0).ok()?,
        };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1);
        Some(&self.text[start..self.ends[index].1])
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn read(rows: &[(i64, &str)]) -> Strings {
        let mut fake = Fake::default();
        for (id, value) in rows {
            fake.row("StringIds", &[("id", (*id).into()), ("value", (*value).into())]);
        }
        Strings::read(&fake).unwrap()
    }

    #[test]
    fn texts_are_found_by_consecutive_sparse_and_shuffled_numbers() {
        let strings = read(&[(0, "zero"), (1, ""), (2, "two"), (900, "far")]);
        let found: Vec<Option<&str>> = [0, 1, 2, 3, 900, -1].into_iter().map(|id| strings.get(id)).collect();
        assert_eq!(found, [Some("zero"), Some(""), Some("two"), None, Some("far"), None]);
        let strings = read(&[(7, "seven"), (3, "three"), (7, "again")]);
        assert_eq!((strings.get(3), strings.get(7)), (Some("three"), Some("seven")));
        assert_eq!(read(&[]).get(0), None);
    }
}
