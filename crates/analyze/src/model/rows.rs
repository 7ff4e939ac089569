//! The rows of a frame that belong to one pass, column by column.

use polars::prelude::{Column, DataFrame, StringChunked};
use serde::Deserialize;

use super::kinds::parse;
use super::{Names, Place};
use crate::Error;

/// Payload of a range on a device.
#[derive(Deserialize)]
struct Payload {
    device: Option<i64>,
    queue: Option<i64>,
}

/// The rows of a frame that belong to one pass, or all of them.
pub(crate) struct Rows<'a> {
    frame: &'a DataFrame,
    keep: Option<Vec<bool>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn all(frame: &'a DataFrame) -> Self {
        Self { frame, keep: None }
    }

    pub(crate) fn of_pass(frame: &'a DataFrame, pass: &str) -> Result<Self, Error> {
        let column = frame.column("pass").map_err(|error| unreadable(&error))?;
        // One value for all rows needs no look at each.
        if let Column::Scalar(value) = column
            && value.scalar().value().get_str() == Some(pass)
        {
            return Ok(Self::all(frame));
        }
        let keep = each(text_values(frame, "pass")?, |name| name == Some(pass));
        let all = keep.iter().all(|keep| *keep);
        Ok(Self { frame, keep: (!all).then_some(keep) })
    }

    fn kept<T>(&self, values: impl Iterator<Item = T>) -> Vec<T> {
        match &self.keep {
            None => values.collect(),
            Some(keep) => values.zip(keep).filter(|(_, keep)| **keep).map(|(value, _)| value).collect(),
        }
    }

    pub(crate) fn optional_ints(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        let column = self.frame.column(name).map_err(|error| unreadable(&error))?;
        // A column of nulls is one value until somebody asks for its rows.
        if column.null_count() == column.len() {
            return Ok(self.kept(std::iter::repeat_n(None, column.len())));
        }
        Ok(self.kept(column.i64().map_err(|error| unreadable(&error))?.iter()))
    }

    /// A column that the schema keeps free of nulls.
    pub(crate) fn ints(&self, name: &str) -> Result<Vec<i64>, Error> {
        let column = self.frame.column(name).and_then(|column| column.i64()).map_err(|error| unreadable(&error))?;
        // Slices instead of the column's iterator, which is unoptimised in the dev build.
        Ok(self.kept(column.downcast_iter().flat_map(|chunk| chunk.values().iter().copied())))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Vec<Option<f64>>, Error> {
        let column = self.frame.column(name).and_then(|column| column.f64()).map_err(|error| unreadable(&error))?;
        Ok(self.kept(column.iter()))
    }

    /// A column of few names, as the values that they stand for.
    pub(super) fn parsed<T: Copy>(&self, name: &str, all: &[(T, &str)]) -> Result<Vec<Option<T>>, Error> {
        let column = text_values(self.frame, name)?;
        if column.null_count() == column.len() {
            return Ok(self.kept(std::iter::repeat_n(None, column.len())));
        }
        Ok(self.kept(each(column, |text| parse(all, text?)).into_iter()))
    }

    pub(super) fn bools(&self, name: &str) -> Result<Vec<bool>, Error> {
        let column = self.frame.column(name).and_then(|column| column.bool()).map_err(|error| unreadable(&error))?;
        Ok(self.kept(column.iter().map(Option::unwrap_or_default)))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<Option<String>>, Error> {
        let column = text_values(self.frame, name)?;
        Ok(self.kept(column.iter().map(|text| text.map(str::to_owned))))
    }

    /// Device and queue of the ranges of the device domain.
    pub(super) fn places(&self, gpu: Option<u32>, domains: &[Option<u32>]) -> Result<Vec<Option<Place>>, Error> {
        if gpu.is_none() {
            return Ok(vec![None; domains.len()]);
        }
        let payloads = self.kept(text_values(self.frame, "payload")?.iter());
        let place = |(payload, domain): (Option<&str>, &Option<u32>)| {
            let text = payload.filter(|_| *domain == gpu)?;
            let payload: Payload = serde_json::from_str(text).ok()?;
            Some((payload.device?, payload.queue))
        };
        Ok(payloads.into_iter().zip(domains).map(place).collect())
    }

    /// The numbers of the texts of a column.
    pub(crate) fn names(&self, name: &str, names: &mut Names) -> Result<Vec<Option<u32>>, Error> {
        let column = text_values(self.frame, name)?;
        Ok(self.kept(each(column, |text| text.map(|text| names.intern(text))).into_iter()))
    }
}

/// Places of [`each`]; a power of two.
const PLACES: usize = 256;

/// What each text of a column stands for. Equal texts mostly stand in one place of the column's memory, to which its rows
/// point; the answer for a pointer is kept, so that most rows need neither the text nor a hash of it.
fn each<T: Copy>(column: &StringChunked, mut value: impl FnMut(Option<&str>) -> T) -> Vec<T> {
    let mut values = Vec::with_capacity(column.len());
    let (none, has_nulls) = (value(None), column.null_count() > 0);
    for chunk in column.downcast_iter() {
        let mut known: Vec<Option<(u128, T)>> = vec![None; PLACES];
        for (at, view) in chunk.views().iter().enumerate() {
            if has_nulls && chunk.get(at).is_none() {
                values.push(none);
                continue;
            }
            let bits = view.as_u128();
            let mixed = ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let place = &mut known[(mixed >> 56) as usize % PLACES];
            let answer = place.filter(|(other, _)| *other == bits).map(|(_, answer)| answer);
            let answer = answer.unwrap_or_else(|| value(Some(chunk.value(at))));
            *place = Some((bits, answer));
            values.push(answer);
        }
    }
    values
}

fn text_values<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a StringChunked, Error> {
    frame.column(name).and_then(|column| column.str()).map_err(|error| unreadable(&error))
}

/// The tables were checked when they were read, so this is a frame that some code built by hand.
fn unreadable(error: &polars::prelude::PolarsError) -> Error {
    proftool_trace::Error::Schema {
        table: "frame".to_owned(),
        path: None,
        reason: error.to_string(),
        hint: "build the frame with the table's own columns",
    }
    .into()
}
