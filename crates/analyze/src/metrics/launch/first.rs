//! Which activity is the first that its launching call started on a device or queue. A graph launch starts many: only
//! the first waits for the launch, the others wait for their predecessors.

use crate::classes::Class;
use crate::model::Activity;

/// Finds first activities, one device or queue after the other.
pub(crate) struct Firsts {
    /// Of each call the last turn in which it was seen.
    seen: Vec<u32>,
    turn: u32,
}

impl Firsts {
    /// For a model with so many calls.
    pub(crate) fn new(calls: usize) -> Self {
        Self { seen: vec![0; calls], turn: 0 }
    }

    /// Of rows of one device or queue, sorted by start: whether each is the first work of its launching call.
    pub(crate) fn of<'m>(&mut self, rows: impl IntoIterator<Item = &'m Activity>) -> Vec<bool> {
        self.turn += 1;
        rows.into_iter().map(|row| row.class != Class::Sync && row.call.is_some_and(|call| self.is_new(call))).collect()
    }

    fn is_new(&mut self, call: u32) -> bool {
        self.seen.get_mut(call as usize).is_some_and(|seen| std::mem::replace(seen, self.turn) != self.turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn only_the_first_activity_of_a_call_is_first_and_each_device_begins_anew() {
        let model = Fixture::new()
            .kernel(0, 0, (0, 1))
            .launched((0, 1))
            .kernel(0, 0, (2, 3))
            .launched_with(0)
            .kernel(0, 0, (4, 5))
            .kernel(1, 0, (6, 7))
            .launched_with(0)
            .model();
        let mut firsts = Firsts::new(model.calls.len());
        assert_eq!(firsts.of(model.of_device((0, 0))), [true, false, false]);
        assert_eq!(firsts.of(model.of_device((0, 1))), [true]);
    }
}
