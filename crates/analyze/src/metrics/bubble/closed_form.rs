//! The closed forms of pipelines with equal micro-batches, beside what was measured.
//!
//! With p stages of equal time and m micro-batches, a pipeline that fills and drains once needs m + p - 1 times the time
//! of one; the bubble is p - 1 of these. r = (p-1)/m is the bubble over the ideal time (Megatron-LM), f = (p-1)/(m+p-1) the
//! bubble over the whole (GPipe); f = r/(1+r), r = f/(1-f). GPipe and 1F1B have the same; where each host holds v separate
//! chunks of the stages (interleaved 1F1B), each fill step takes a v-th: r = (p-1)/(vm).

use std::collections::{BTreeMap, BTreeSet};

use super::stages::Staging;
use crate::classes::Class;
use crate::metrics::ratio;
use crate::model::Model;
use crate::operators::Span;

/// The phases of a training step: each micro-batch passes all of them.
const TRAINING: &[&str] = &["forward", "backward", "backward_input", "backward_weight"];

/// How many equal micro-batches the window streams: of one phase (or the phases of a training step) and with equally many
/// rows. `None` where they differ or the rows are not stated.
pub(super) fn micro_batches(model: &Model, window: Span) -> Option<i64> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in model.begun_in(&[window]).filter(|row| row.class == Class::Compute) {
        let Some(work) = row.work() else { continue };
        found.entry((work.step, work.micro_batch?)).or_default().insert((work.phase, work.rows?));
    }
    let sizes = found.values().next()?;
    let training = |phase: &Option<u32>| phase.is_some_and(|phase| TRAINING.contains(&model.names.text(phase)));
    let known = sizes.len() == 1 || sizes.iter().all(|(phase, _)| training(phase));
    (known && found.values().all(|other| other == sizes)).then_some(found.len() as i64)
}

/// r and f of m equal micro-batches; nothing where m or the number of chunks is not the same everywhere.
pub(super) fn ideals(staging: &Staging, micro_batches: Option<i64>) -> [Option<f64>; 2] {
    let Some((m, chunks)) = micro_batches.zip(staging.chunks) else { return [None; 2] };
    let (steps, ideal) = (staging.depth - 1, m.saturating_mul(chunks));
    if steps < 0 { [None; 2] } else { [ratio(steps, ideal), ratio(steps, ideal.saturating_add(steps))] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn staging(depth: i64, chunks: Option<i64>) -> Staging {
        Staging { depth, chunks, ..Staging::default() }
    }

    #[test]
    fn the_published_values() {
        // p = 4, m = 8: 0.375 over ideal, 3/11 of the wall; with two chunks a host 3/16 and 3/19.
        assert_eq!(ideals(&staging(4, Some(1)), Some(8)), [Some(0.375), Some(3.0 / 11.0)]);
        assert_eq!(ideals(&staging(4, Some(2)), Some(8)), [Some(3.0 / 16.0), Some(3.0 / 19.0)]);
        assert_eq!(ideals(&staging(1, Some(1)), Some(8)), [Some(0.0), Some(0.0)]);
        assert_eq!(ideals(&staging(4, None), Some(8)), [None; 2]);
        assert_eq!(ideals(&staging(4, Some(1)), None), [None; 2]);
        assert_eq!(ideals(&staging(0, Some(1)), Some(0)), [None; 2]);
        for (p, m) in [(2, 1), (4, 8), (8, 3), (16, 128)] {
            let [Some(r), Some(f)] = ideals(&staging(p, Some(1)), Some(m)) else { panic!("both are known") };
            assert!((f - r / (1.0 + r)).abs() < 1e-12 && (r - f / (1.0 - f)).abs() < 1e-12);
        }
    }

    #[test]
    fn training_passes_count_a_micro_batch_once_and_serving_phases_have_no_count() {
        let passes = |phases: [&'static str; 2], rows: i64| {
            let fixture = (0..4).fold(Fixture::new(), |fixture, at| {
                let work =
                    |fixture: Fixture, start, phase| fixture.kernel(0, 0, (start, start + 5)).work(0, phase, 0, at, 8);
                work(work(fixture, at * 10, phases[0]), at * 10 + 5, phases[1])
            });
            micro_batches(&fixture.kernel(0, 0, (40, 41)).work(0, phases[0], 0, 3, rows).model(), (0, 50))
        };
        assert_eq!(passes(["forward", "backward"], 8), Some(4));
        assert_eq!(passes(["forward", "backward"], 7), None, "the last one has other rows");
        assert_eq!(passes(["prefill", "prefill"], 8), Some(4));
        assert_eq!(passes(["prefill", "decode"], 8), None);
        assert_eq!(micro_batches(&Fixture::new().kernel(0, 0, (0, 1)).model(), (0, 50)), None);
    }
}
