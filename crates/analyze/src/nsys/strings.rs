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
        let mut entries: Vec<(i64, usize, usize)> = Vec::new();
        let mut sorted = true;
        export.scan(TABLE, WANTED, &mut |row| {
            let (Some(id), Some(value)) = (row.int(ID), row.text(VALUE)) else { return Ok(()) };
            let start = strings.text.len();
            strings.text.push_str(&value);
            sorted &= entries.last().is_none_or(|last| last.0 < id);
            entries.push((id, start, strings.text.len()));
            Ok(())
        })?;
        if !sorted {
            strings.sort(&mut entries);
        }
        strings.ends = entries.into_iter().map(|(id, _, end)| (id, end)).collect();
        Ok(strings)
    }

    /// Brings text and entries into the order of the numbers; of a number given twice the first counts.
    fn sort(&mut self, entries: &mut Vec<(i64, usize, usize)>) {
        entries.sort_by_key(|entry| entry.0);
        entries.dedup_by_key(|entry| entry.0);
        let mut text = String::with_capacity(self.text.len());
        for entry in entries {
            let start = text.len();
            text.push_str(&self.text[entry.1..entry.2]);
            (entry.1, entry.2) = (start, text.len());
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
