//! From the identifier of a row to its place.

use std::collections::HashMap;

/// Rank and identifier: what is unique inside a pass.
type Key = (i64, i64);

/// Places of rows by rank and identifier. Rows that stand in the order of their identifiers, as importers write them, are
/// found without a map, which would take 40 bytes and a hash a row.
#[derive(Debug)]
pub(crate) enum Index {
    /// The keys, strictly increasing.
    Ordered(Vec<Key>),
    /// Any other order; of equal keys the last.
    Mapped(HashMap<Key, u32>),
}

impl Index {
    /// The index of rows with those keys, in their order.
    pub(crate) fn of(keys: impl Iterator<Item = Key>) -> Self {
        let keys: Vec<Key> = keys.collect();
        if keys.is_sorted_by(|a, b| a < b) {
            return Self::Ordered(keys);
        }
        Self::Mapped(keys.into_iter().enumerate().map(|(place, key)| (key, place as u32)).collect())
    }

    /// The place of a row.
    pub(crate) fn get(&self, rank: i64, id: i64) -> Option<u32> {
        let key = (rank, id);
        match self {
            Self::Ordered(keys) => {
                // Most tables number their rows from zero.
                let guess = usize::try_from(id).ok().filter(|guess| keys.get(*guess) == Some(&key));
                guess.or_else(|| keys.binary_search(&key).ok()).map(|place| place as u32)
            }
            Self::Mapped(places) => places.get(&key).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_index_finds_what_a_search_from_the_end_finds(keys in prop::collection::vec((0..3_i64, -2..9_i64), 0..12), sort: bool) {
            let mut keys = keys;
            if sort {
                keys.sort_unstable();
                keys.dedup();
            }
            let index = Index::of(keys.iter().copied());
            for rank in 0..3 {
                for id in -3..10 {
                    let found = keys.iter().rposition(|key| *key == (rank, id)).map(|place| place as u32);
                    prop_assert_eq!(index.get(rank, id), found);
                }
            }
        }
    }
}
