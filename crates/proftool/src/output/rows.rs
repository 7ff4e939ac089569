//! Which rows of a long result a readable table shows.

use std::collections::HashMap;
use std::str::FromStr;

use polars::prelude::{BooleanChunked, DataFrame, NewChunkedArray};

/// How many rows of a result the readable formats show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every one.
    All,
    /// At most so many.
    First(usize),
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "all" => Ok(Self::All),
            Ok(count) if count > 0 => Ok(Self::First(count)),
            _ => Err("it must be a number from 1, or `all`".to_owned()),
        }
    }
}

/// What comes first in a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// The rows of each group (the values of these columns, where there are such) stand in an order of their own, so that
    /// the rows shown are shared between groups. Without this a long list of the first device would hide the second.
    pub groups: &'static [&'static str],
    /// Rows without a value here are about the whole and come before those about its parts.
    pub part: Option<&'static str>,
}

/// The first rows, in the order of the frame, and how many are left out.
pub(crate) fn first(frame: &DataFrame, rows: Rows, order: Order) -> (DataFrame, usize) {
    let count = match rows {
        Rows::First(count) if count < frame.height() => count,
        _ => return (frame.clone(), 0),
    };
    let mut chosen = vec![false; frame.height()];
    for row in ranked(frame, order).into_iter().take(count) {
        chosen[row] = true;
    }
    let mask = BooleanChunked::from_slice("chosen".into(), &chosen);
    // A mask of the frame's own height cannot fail.
    let shown = frame.filter(&mask).unwrap_or_else(|_| frame.head(Some(count)));
    (shown, frame.height() - count)
}

/// The rows by (whole before part, place inside the group, place in the frame).
fn ranked(frame: &DataFrame, order: Order) -> Vec<usize> {
    let columns: Vec<_> = order.groups.iter().filter_map(|name| frame.column(name).ok()).collect();
    let part = order.part.and_then(|name| frame.column(name).ok()).map(polars::prelude::Column::is_not_null);
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut keys: Vec<(bool, usize, usize)> = Vec::with_capacity(frame.height());
    for row in 0..frame.height() {
        let values: Vec<String> =
            columns.iter().map(|column| column.get(row).map(|value| value.to_string()).unwrap_or_default()).collect();
        let is_part = part.as_ref().and_then(|part| part.get(row)).unwrap_or(false);
        let place = places.entry(format!("{is_part}\0{}", values.join("\0"))).or_default();
        keys.push((is_part, *place, row));
        *place += 1;
    }
    keys.sort_unstable();
    keys.into_iter().map(|(_, _, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::frame::{int_column, ints};

    /// Two devices, each with two rows of its own and one of a queue; `length_ns` numbers them.
    fn gaps() -> DataFrame {
        let columns = vec![
            int_column("device", [0, 0, 0, 1, 1, 1].map(Some)),
            int_column("queue", [None, None, Some(7), None, None, Some(7)]),
            int_column("length_ns", (1..=6).map(Some)),
        ];
        DataFrame::new(6, columns).expect("three columns of six rows")
    }

    fn shown(rows: Rows, part: Option<&'static str>) -> (Vec<i64>, usize) {
        let (frame, left) = first(&gaps(), rows, Order { groups: &["run", "device"], part });
        (ints(&frame, "length_ns").expect("a column").into_iter().flatten().collect(), left)
    }

    #[test]
    fn devices_share_the_rows_and_their_own_come_before_those_of_queues() {
        assert_eq!(shown(Rows::First(2), Some("queue")), (vec![1, 4], 4));
        assert_eq!(shown(Rows::First(3), Some("queue")), (vec![1, 2, 4], 3));
        assert_eq!(shown(Rows::First(5), Some("queue")), (vec![1, 2, 3, 4, 5], 1));
        assert_eq!(shown(Rows::First(4), None), (vec![1, 2, 4, 5], 2), "a column that is not there groups nothing");
    }

    #[test]
    fn nothing_is_left_out_where_all_fit() {
        assert_eq!(shown(Rows::First(6), Some("queue")), ((1..=6).collect(), 0));
        assert_eq!(shown(Rows::All, None), ((1..=6).collect(), 0));
        assert_eq!(first(&DataFrame::empty(), Rows::First(1), Order { groups: &["run"], part: None }).1, 0);
    }

    #[test]
    fn a_number_of_rows_is_a_positive_number_or_all() {
        assert_eq!("all".parse(), Ok(Rows::All));
        assert_eq!("3".parse(), Ok(Rows::First(3)));
        for text in ["0", "-1", "", "some"] {
            assert!(text.parse::<Rows>().is_err(), "{text}");
        }
    }
}
