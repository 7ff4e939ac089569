//! The gate of CI: what share of its roof a selection of kernels reaches, and whether enough of it was placed to say so.

use polars::prelude::DataFrame;
use proftool_trace::frame::{ints, texts};

use crate::failure::Failure;

/// A verdict rests on at least this share of the kernels' time.
pub(crate) const LEAST_PLACED: f64 = 0.8;

/// What one run's chosen kernels reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reached {
    /// The run.
    pub(crate) run: String,
    /// Sum of the bounds of the placed kernels.
    pub(crate) bound_ns: i64,
    /// Their time.
    pub(crate) placed_ns: i64,
    /// The time of all chosen kernels.
    pub(crate) time_ns: i64,
}

impl Reached {
    /// bound / time of the placed kernels.
    pub(crate) fn efficiency(&self) -> Option<f64> {
        (self.placed_ns > 0).then(|| self.bound_ns as f64 / self.placed_ns as f64)
    }

    /// The share of the kernels' time that was placed.
    pub(crate) fn placed(&self) -> f64 {
        if self.time_ns > 0 { self.placed_ns as f64 / self.time_ns as f64 } else { 0.0 }
    }

    /// Why the run fails at that threshold; `None` when it passes.
    pub(crate) fn refusal(&self, least: f64) -> Option<String> {
        let percent = |value: f64| format!("{:.1} %", value * 100.0);
        let Some(efficiency) = self.efficiency() else {
            return Some(format!("{}: no kernel could be placed under a roof", self.run));
        };
        if self.placed() < LEAST_PLACED {
            let (placed, least) = (percent(self.placed()), percent(LEAST_PLACED));
            return Some(format!(
                "{}: only {placed} of the kernels' time could be placed, less than {least}",
                self.run
            ));
        }
        (efficiency < least).then(|| {
            format!("{}: {} of the bound is reached, less than {}", self.run, percent(efficiency), percent(least))
        })
    }
}

/// What each run of the chosen rows reaches. Copies and sets are no kernels and stand outside.
///
/// # Errors
/// When the frame lacks a column.
pub(crate) fn reached(rows: &DataFrame) -> Result<Vec<Reached>, Failure> {
    let (runs, kinds) = (texts(rows, "run")?, texts(rows, "kind")?);
    let (times, bounds, placed) = (ints(rows, "time_ns")?, ints(rows, "bound_ns")?, ints(rows, "placed_time_ns")?);
    let mut all: Vec<Reached> = Vec::new();
    for at in 0..rows.height() {
        let run = runs[at].clone().unwrap_or_default();
        if !all.iter().any(|known| known.run == run) {
            all.push(Reached { run: run.clone(), bound_ns: 0, placed_ns: 0, time_ns: 0 });
        }
        let Some(one) = all.iter_mut().find(|known| known.run == run) else { continue };
        if !matches!(kinds[at].as_deref(), Some("kernel" | "graph")) {
            continue;
        }
        one.time_ns = one.time_ns.saturating_add(times[at].unwrap_or(0));
        if let Some(bound) = bounds[at] {
            one.bound_ns = one.bound_ns.saturating_add(bound);
            one.placed_ns = one.placed_ns.saturating_add(placed[at].unwrap_or(0));
        }
    }
    Ok(all)
}

/// `60%`, `60 %` or `0.6` as a ratio.
///
/// # Errors
/// A message about what it should be.
pub(crate) fn threshold(text: &str) -> Result<f64, String> {
    let wrong = || format!("{text:?} is no share: write 60% or 0.6");
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let value = number.parse::<f64>().map_err(|_| wrong())? / scale;
    if value.is_finite() && value > 0.0 && value <= 1.0 { Ok(value) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::frame::{int_column, text_column};

    #[test]
    fn a_share_is_written_as_percent_or_as_a_fraction() {
        assert_eq!(threshold("60%"), Ok(0.6));
        assert_eq!(threshold(" 12.5 % "), Ok(0.125));
        assert_eq!(threshold("0.6"), Ok(0.6));
        for wrong in ["", "60", "-1%", "0%", "nan", "inf%", "x"] {
            assert!(threshold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn copies_stand_outside_and_partly_placed_families_count_with_their_placed_time() {
        // 60 of 100 ns; a family of 50 ns of which 20 are placed at 50 %; an unplaced kernel of 10; a copy of 1000.
        let columns = vec![
            text_column("run", ["a"; 4].map(Some)),
            text_column("kind", ["kernel", "kernel", "kernel", "copy"].map(Some)),
            int_column("time_ns", [100, 50, 10, 1000].map(Some)),
            int_column("bound_ns", [Some(60), Some(10), None, Some(1000)]),
            int_column("placed_time_ns", [100, 20, 0, 1000].map(Some)),
        ];
        let found = reached(&DataFrame::new(4, columns).expect("a frame")).expect("columns");
        assert_eq!(found, [Reached { run: "a".to_owned(), bound_ns: 70, placed_ns: 120, time_ns: 160 }]);
        let refusal = found[0].refusal(0.1).expect("75 % is too little");
        assert!(refusal.contains("75.0 %"), "{refusal}");
    }

    #[test]
    fn a_run_passes_fails_or_cannot_be_judged() {
        let run = |bound_ns, placed_ns, time_ns| Reached { run: "a".to_owned(), bound_ns, placed_ns, time_ns };
        assert_eq!(run(60, 100, 120).refusal(0.6), None);
        assert!(run(59, 100, 100).refusal(0.6).expect("below").contains("59.0 %"));
        assert!(run(0, 0, 100).refusal(0.6).expect("nothing").contains("no kernel"));
        assert!(run(0, 0, 0).refusal(0.6).is_some());
    }
}
