//! Ranks of files that do not state theirs, and passes of files that claim the same rank.

use std::collections::BTreeSet;

use super::{Claimed, Imported};

/// Importers (beginnings of names) whose files are written a process each. The numbers in the names of request logs and
/// counter pages are loads and sizes: those files are runs of their own.
const HAS_RANKS: &[&str] = &["host", "kineto", "nsys", "rocpd", "rocprofv3"];

/// Numbers files of one importer whose names differ in exactly one number, as in `report_0.sqlite`, `report_1.sqlite`:
/// that number is the rank where the numbers begin at 0 or 1, else (they may be process ids) its place among them. A
/// name that says `rank` has been read already.
pub(super) fn number(claimed: &mut [Claimed]) {
    if claimed.iter().any(|one| one.source.rank_hint().is_some()) {
        return;
    }
    let names: Vec<String> = claimed.iter().map(|one| one.source.head().name.to_owned()).collect();
    let one_kind = claimed.windows(2).all(|pair| pair[0].importer.name == pair[1].importer.name);
    let of_ranks = claimed.iter().all(|one| HAS_RANKS.iter().any(|name| one.importer.name.starts_with(name)));
    if let Some(ranks) = differing_number(&names).filter(|_| one_kind && of_ranks) {
        for (one, rank) in claimed.iter_mut().zip(ranks) {
            one.rank = rank;
        }
    }
}

/// The numbers at the one place where the names differ; `None` when they differ elsewhere too or twice say the same.
fn differing_number(names: &[String]) -> Option<Vec<i64>> {
    let split: Vec<Vec<&str>> = names.iter().map(|name| words(name)).collect();
    let first = split.first().filter(|_| names.len() > 1)?;
    if split.iter().any(|other| other.len() != first.len()) {
        return None;
    }
    let mut differing = (0..first.len()).filter(|place| split.iter().any(|other| other[*place] != first[*place]));
    let (place, None) = (differing.next()?, differing.next()) else { return None };
    let numbers: Vec<i64> = split.iter().map(|words| words[place].parse().ok()).collect::<Option<_>>()?;
    let sorted: BTreeSet<i64> = numbers.iter().copied().collect();
    if sorted.len() != numbers.len() {
        return None;
    }
    let are_ranks = sorted.first().is_some_and(|first| *first <= 1);
    let place = |number: &i64| if are_ranks { *number } else { sorted.range(..number).count() as i64 };
    Some(numbers.iter().map(place).collect())
}

/// A name cut where digits begin or end.
fn words(name: &str) -> Vec<&str> {
    name.as_bytes()
        .chunk_by(|left, right| left.is_ascii_digit() == right.is_ascii_digit())
        .map(|chunk| std::str::from_utf8(chunk).unwrap_or_default())
        .collect()
}

/// Gives a pass of its own (`nsys-2`) to every file whose pass and rank an earlier file has already; returns how many.
pub(super) fn make_passes_unique<'i>(imported: impl Iterator<Item = &'i mut Imported>) -> u64 {
    let (mut taken, mut renamed) = (BTreeSet::new(), 0);
    for one in imported {
        let stated = one.pass.clone();
        let mut number = 1;
        while !taken.insert((one.pass.clone(), one.rank)) {
            number += 1;
            one.pass = format!("{stated}-{number}");
        }
        renamed += u64::from(number > 1);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(names: &[&str]) -> Option<Vec<i64>> {
        differing_number(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_one_number_that_differs_is_the_rank() {
        assert_eq!(ranks(&["run7.0.json", "run7.1.json", "run7.12.json"]), Some(vec![0, 1, 12]));
        assert_eq!(ranks(&["trace_4328.json", "trace_4321.json"]), Some(vec![1, 0]), "process ids");
        assert_eq!(ranks(&["run7.0.json", "run8.1.json"]), None, "two numbers differ");
        assert_eq!(ranks(&["a.json", "b.json"]), None, "no number");
        assert_eq!(ranks(&["a01.json", "a1.json"]), None, "the same number twice");
        assert_eq!(ranks(&["a1.json"]), None, "a file alone");
    }
}
