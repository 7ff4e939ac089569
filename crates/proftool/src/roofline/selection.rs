//! Which rows of the roofline are shown: those of a phase, a precision, a level, the first few.

use polars::prelude::{BooleanChunked, DataFrame};
use proftool_roofline::counters::comparable;
use proftool_roofline::{Level, Precision};
use proftool_trace::frame;

use crate::failure::{Failure, Kind};

/// The chosen rows; nothing chosen is everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Phases, by name; `none` is the rows without one.
    pub(crate) phases: Vec<String>,
    /// Precisions, by name or element type.
    pub(crate) precisions: Vec<String>,
    /// A level whose bytes are known.
    pub(crate) level: Option<Level>,
}

impl Selection {
    /// The rows of `rows` (of `roofline` or `roofline_level`) that are chosen.
    ///
    /// # Errors
    /// When the frame lacks a column.
    pub(crate) fn of(&self, rows: &DataFrame) -> Result<DataFrame, Failure> {
        let (phases, precisions) = (frame::texts(rows, "phase")?, optional(rows, "precision")?);
        let levels = optional(rows, "level")?;
        let keep: BooleanChunked = (0..rows.height())
            .map(|at| {
                self.has_phase(phases[at].as_deref())
                    && self.has_precision(precisions[at].as_deref())
                    && self.has_level(levels[at].as_deref())
            })
            .collect();
        rows.filter(&keep).map_err(|error| Failure::new(Kind::Bug, error))
    }

    fn has_phase(&self, phase: Option<&str>) -> bool {
        let wanted = |name: &String| name.eq_ignore_ascii_case(phase.unwrap_or("none"));
        self.phases.is_empty() || self.phases.iter().any(wanted)
    }

    fn has_precision(&self, precision: Option<&str>) -> bool {
        // The precisions of CPUs have the names of the vector units.
        let known = precision.and_then(Precision::parse);
        let wanted = |name: &String| known.is_some_and(|known| known.matches(name));
        self.precisions.is_empty() || self.precisions.iter().any(wanted)
    }

    /// `roofline` lists the levels of a row (`DRAM, L2`), `roofline_level` has one.
    fn has_level(&self, levels: Option<&str>) -> bool {
        let Some(wanted) = self.level else { return true };
        levels.is_some_and(|levels| levels.split([',', ' ', ';', '+']).any(|level| Level::parse(level) == Some(wanted)))
    }

    /// The chosen precisions, as results name them.
    pub(crate) fn precision_names(&self) -> Vec<String> {
        let chosen = |one: &Precision| self.precisions.iter().any(|name| one.matches(name));
        Precision::all().filter(chosen).map(|one| one.name().to_owned()).collect()
    }

    /// Whether nothing was chosen.
    pub(crate) fn is_all(&self) -> bool {
        self.phases.is_empty() && self.precisions.is_empty() && self.level.is_none()
    }
}

fn optional(rows: &DataFrame, name: &str) -> Result<Vec<Option<String>>, Failure> {
    match rows.column(name) {
        Ok(_) => Ok(frame::texts(rows, name)?),
        Err(_) => Ok(vec![None; rows.height()]),
    }
}

/// Refuses rows whose bytes of a level are of formulas that count different things: the counters of L1 and L2 changed their
/// meaning between versions of the tools.
///
/// # Errors
/// A usage error that names both; also when the frame lacks a column.
pub(crate) fn check_comparable(levels: &DataFrame, level: Level) -> Result<(), Failure> {
    let (runs, formulas) = (frame::texts(levels, "run")?, frame::texts(levels, "formula_id")?);
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (run, formulas) in runs.iter().zip(&formulas) {
        let (Some(run), Some(formulas)) = (run, formulas) else { continue };
        for formula in formulas.split(';') {
            if let Some((other_run, other)) = seen.iter().find(|(_, other)| !comparable(other, formula, level)) {
                let hint = "show one run at a time, or --level DRAM";
                return Err(Failure::usage(format!(
                    "{} bytes do not compare: {other_run} counts them by {other}, {run} by {formula} (hint: {hint})",
                    level.name()
                )));
            }
            if !seen.iter().any(|(_, known)| *known == formula) {
                seen.push((run, formula));
            }
        }
    }
    Ok(())
}

/// The values that the rows have, for a message about a choice that none has.
pub(crate) fn known(rows: &DataFrame, column: &str) -> Result<String, Failure> {
    let mut values: Vec<String> =
        optional(rows, column)?.into_iter().map(|value| value.unwrap_or_else(|| "none".to_owned())).collect();
    values.sort_unstable();
    values.dedup();
    Ok(values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::frame::{int_column, text_column};

    fn rows() -> DataFrame {
        let columns = vec![
            text_column("phase", [Some("prefill"), Some("decode"), None]),
            text_column("precision", [Some("matrix_bf16"), Some("f32"), None]),
            text_column("level", [Some("DRAM, L2"), Some("DRAM"), None]),
            int_column("time_ns", [Some(1), Some(2), Some(3)]),
        ];
        DataFrame::new(3, columns).expect("a frame")
    }

    fn times(selection: &Selection) -> Vec<i64> {
        let chosen = selection.of(&rows()).expect("the columns are there");
        frame::ints(&chosen, "time_ns").expect("times").into_iter().flatten().collect()
    }

    #[test]
    fn a_choice_keeps_the_rows_that_have_it() {
        let by = |phases: &[&str], precisions: &[&str], level| Selection {
            phases: phases.iter().map(|name| (*name).to_owned()).collect(),
            precisions: precisions.iter().map(|name| (*name).to_owned()).collect(),
            level,
        };
        assert_eq!(times(&Selection::default()), [1, 2, 3]);
        assert_eq!(times(&by(&["Decode"], &[], None)), [2]);
        assert_eq!(times(&by(&["none", "prefill"], &[], None)), [1, 3]);
        assert_eq!(times(&by(&[], &["bf16"], None)), [1]);
        assert_eq!(times(&by(&[], &["fp32"], None)), [2]);
        assert_eq!(times(&by(&[], &[], Some(Level::L2))), [1]);
        assert_eq!(times(&by(&[], &[], Some(Level::Dram))), [1, 2]);
        assert_eq!(known(&rows(), "phase").expect("known"), "decode, none, prefill");
    }
}
