//! What the reader must know about counts of several passes.

use crate::roofline::profiled::{Group, Profiled};

/// Notes of a page about arithmetic that it does not count at all, and another pass may have counted.
const NOT_COUNTED: [&str; 3] = [FLOP_NOT_COUNTED, "tensor-not-counted", "vector-not-counted"];
const FLOP_NOT_COUNTED: &str = "flop-not-counted";

/// Notes of the formulas that are joined in `text`; those about arithmetic that a page does not count only where no other
/// counts it.
pub(super) fn joined_notes(profiled: &Profiled, text: &str) -> Vec<String> {
    let is = |group: &&Group| group.formulas.id().is_some_and(|own| text.split(';').any(|id| id == &**own));
    let groups: Vec<&Group> = profiled.groups.iter().filter(is).collect();
    let says = |group: &Group, code: &str| group.formulas.notes().iter().any(|note| note.code == code);
    let counting: Vec<&&Group> = groups.iter().filter(|group| !says(group, FLOP_NOT_COUNTED)).collect();
    let nobody = counting.is_empty();
    let holds = |code: &str| nobody || !NOT_COUNTED.contains(&code) || counting.iter().all(|group| says(group, code));
    let notes = groups.iter().flat_map(|group| group.formulas.notes());
    notes.filter(|note| holds(note.code)).map(|note| note.detail.clone()).collect()
}
