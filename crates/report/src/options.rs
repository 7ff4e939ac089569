//! What a roofline chart shows.

use crate::run::Row;

/// Roofs that results are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Measured roofs, a datasheet's where nothing was measured: what the results hold.
    Measured,
    /// The datasheet's roofs.
    Datasheet,
}

/// What stands for rows without a phase among the wanted phases.
const NO_PHASE: &str = "none";

/// What a roofline chart shows of its runs, and how.
#[derive(Clone, Debug, Default)]
pub struct RooflineOptions {
    /// Intensity / ridge against the share of the bound, instead of intensity against FLOP/s.
    pub normalised: bool,
    /// Families are drawn, the longest first, until they reach this share (0..1) of the placed kernel time. Without it
    /// a dozen are drawn whole, and of more than those 95 %.
    pub cut_ratio: Option<f64>,
    /// The only level whose bytes and roof are shown, for example `L2`; without one the outermost, the others hollow.
    pub level: Option<String>,
    /// The only precisions shown, as results name them (`matrix_bf16`); all where empty.
    pub precisions: Vec<String>,
    /// The only phases shown, `none` for rows without one; all where empty.
    pub phases: Vec<String>,
    /// Roofs to hold the points against, where not those of the results.
    pub against: Option<Against>,
}

impl RooflineOptions {
    /// Whether a row of `roofline` is to be shown.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        let among = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|one| one.eq_ignore_ascii_case(value)))
        };
        among(&self.precisions, row.text("precision")) && among(&self.phases, row.text("phase").or(Some(NO_PHASE)))
    }

    /// What the filters leave, for a subtitle; empty without any.
    pub(crate) fn words(&self) -> String {
        let level = self.level.as_ref().map(|level| format!("bytes of {}", level.to_ascii_uppercase()));
        let against = self.against.map(|against| match against {
            Against::Measured => "measured roofs".to_owned(),
            Against::Datasheet => "datasheet roofs".to_owned(),
        });
        let some = |values: &[String]| (!values.is_empty()).then(|| values.join(" or "));
        let phase = |name: &String| if name == NO_PHASE { "rows without a phase".to_owned() } else { name.clone() };
        let phases: Vec<String> = self.phases.iter().map(phase).collect();
        let parts = [some(&phases), some(&self.precisions), level, against];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_phase_none_wants_the_rows_without_a_phase() {
        let options = |phase: &str| RooflineOptions { phases: vec![phase.to_owned()], ..RooflineOptions::default() };
        let [bare, decode] = [json!({"phase": null}), json!({"phase": "decode"})].map(Row::of);
        assert!(options("none").wants(&bare) && !options("none").wants(&decode));
        assert!(!options("decode").wants(&bare) && options("decode").wants(&decode));
        assert_eq!(options("none").words(), "rows without a phase");
    }

    #[test]
    fn filters_are_said_in_the_order_phase_precision_level_roofs() {
        let options = RooflineOptions {
            phases: vec!["decode".to_owned()],
            precisions: vec!["f16".to_owned(), "matrix_f16".to_owned()],
            level: Some("l2".to_owned()),
            against: Some(Against::Datasheet),
            ..RooflineOptions::default()
        };
        assert_eq!(options.words(), "decode, f16 or matrix_f16, bytes of L2, datasheet roofs");
        assert_eq!(RooflineOptions::default().words(), "");
    }
}
