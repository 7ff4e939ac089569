//! Columns joined from pieces. A column with one value in all rows is kept as that value: traces have many such columns
//! (a pass, a rank, what a tool does not record), which would take hundreds of megabytes.

use polars::prelude::{AnyValue, Column, DataType, PolarsResult, Scalar, Series};

/// A column whose pieces come one by one.
#[derive(Default)]
pub(super) enum Joined {
    #[default]
    Nothing,
    /// One value so far, and how often.
    Single(Scalar, usize),
    Rows(Series),
}

impl Joined {
    /// Appends a piece.
    pub(super) fn push(self, piece: &Column) -> PolarsResult<Self> {
        let rows = || piece.as_materialized_series().clone();
        Ok(match (self, single(piece)) {
            (Self::Nothing, Some(value)) => Self::Single(value, piece.len()),
            (Self::Single(known, count), Some(value)) if known == value => Self::Single(known, count + piece.len()),
            (Self::Nothing, None) => Self::Rows(rows()),
            (Self::Single(known, count), _) => {
                let mut all = Column::new_scalar(piece.name().clone(), known, count).take_materialized_series();
                all.append(&rows())?;
                Self::Rows(all)
            }
            (Self::Rows(mut all), _) => {
                all.append(&rows())?;
                Self::Rows(all)
            }
        })
    }

    /// The whole column; `None` where no piece came.
    pub(super) fn finish(self, name: &str) -> Option<Column> {
        match self {
            Self::Nothing => None,
            Self::Single(value, count) => Some(Column::new_scalar(name.into(), value, count)),
            Self::Rows(all) => Some(all.into()),
        }
    }
}

/// The value of all rows, where there are rows and they have one. Of numbers with a fraction only null is told: they
/// hardly ever repeat.
pub(super) fn single(column: &Column) -> Option<Scalar> {
    if column.is_empty() {
        return None;
    }
    if column.null_count() == column.len() {
        return Some(Scalar::null(column.dtype().clone()));
    }
    if let Column::Scalar(known) = column {
        return Some(known.scalar().clone());
    }
    if column.null_count() > 0 {
        return None;
    }
    match column.dtype() {
        DataType::Int64 => {
            let values = column.i64().ok()?;
            let first = values.get(0)?;
            let same = values.downcast_iter().all(|chunk| chunk.values().iter().all(|value| *value == first));
            same.then(|| Scalar::from(first))
        }
        DataType::String => {
            let texts = column.str().ok()?;
            let first = texts.get(0)?;
            // Equal texts of a file mostly stand in one place, so that the views alone tell.
            let same = texts.downcast_iter().all(|chunk| {
                let mut told = None;
                chunk.views().iter().enumerate().all(|(at, view)| {
                    let bits = view.as_u128();
                    told == Some(bits) || (chunk.value(at) == first && told.replace(bits).is_none_or(|_| true))
                })
            });
            same.then(|| Scalar::new(DataType::String, AnyValue::StringOwned(first.into())))
        }
        DataType::Boolean => {
            let values = column.bool().ok()?;
            let first = values.get(0)?;
            let set = values.downcast_iter().map(|chunk| chunk.values().set_bits()).sum::<usize>();
            (set == if first { column.len() } else { 0 }).then(|| Scalar::from(first))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{bool_column, float_column, int_column, text_column};

    fn joined(pieces: &[Column]) -> Joined {
        pieces.iter().try_fold(Joined::default(), Joined::push).expect("the pieces have one type")
    }

    #[test]
    fn a_column_of_one_value_is_kept_as_that_value_and_any_other_as_its_rows() {
        let long = "a text that is too long to stand inside its view";
        let single = [
            vec![int_column("c", [Some(7), Some(7)]), int_column("c", [Some(7)])],
            vec![int_column("c", [None, None]), int_column("c", [None])],
            vec![text_column("c", [Some(long), Some(long)]), text_column("c", [Some(long)])],
            vec![text_column("c", [Some(""), Some("")]), text_column("c", [Some("")])],
            vec![bool_column("c", [Some(false), Some(false)]), bool_column("c", [Some(false)])],
            vec![float_column("c", [None, None]), float_column("c", [None])],
        ];
        let rows = [
            vec![int_column("c", [Some(7), Some(7)]), int_column("c", [Some(8)])],
            vec![int_column("c", [Some(7), None]), int_column("c", [Some(7)])],
            vec![int_column("c", [None, None]), int_column("c", [Some(0)])],
            vec![text_column("c", [Some(long), Some("a")]), text_column("c", [Some(long)])],
            vec![text_column("c", [Some("a"), Some("a")]), text_column("c", [None::<&str>])],
            vec![bool_column("c", [Some(true), Some(false)]), bool_column("c", [Some(true)])],
            vec![float_column("c", [Some(1.5), Some(1.5)]), float_column("c", [Some(1.5)])],
        ];
        for (pieces, is_single) in single.iter().map(|pieces| (pieces, true)).chain(rows.iter().map(|p| (p, false))) {
            let all = joined(pieces);
            assert_eq!(matches!(all, Joined::Single(..)), is_single, "{pieces:?}");
            let column = all.finish("c").expect("pieces came");
            let given = pieces.iter().flat_map(|piece| (0..piece.len()).map(|at| piece.get(at).expect("a row")));
            let kept = (0..column.len()).map(|at| column.get(at).expect("a row"));
            assert!(kept.eq(given), "{pieces:?}");
            assert_eq!(column.dtype(), pieces[0].dtype());
        }
        assert!(Joined::default().finish("c").is_none());
    }
}
