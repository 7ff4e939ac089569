//! Columns of the timeline that the model does not hold, in the order of its activities.

use std::collections::HashMap;

use polars::prelude::StringChunked;
use proftool_trace::frame::Tables;
use proftool_trace::{Table, tables};

use super::profiled::{Shape, ShapeId, Shapes, texts};
use super::wire::{domain, wire_bytes};
use crate::Error;
use crate::model::{Model, Rows};

/// Direction of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Direction {
    /// Between host and device.
    Host,
    /// Inside one device's memory.
    Inside,
    /// Between devices.
    Peer,
}

impl Direction {
    /// The direction that the name of a kind of copy tells.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "h2d" | "d2h" => Self::Host,
            "d2d" => Self::Inside,
            "p2p" => Self::Peer,
            _ => return None,
        })
    }

    /// The direction of a copy: as stated, but by its two devices where they are known: a copy between two of them
    /// crosses a link also where a tool calls it `d2d`.
    pub(crate) fn between(stated: Option<Self>, src: Option<i64>, dst: Option<i64>) -> Option<Self> {
        match (stated, src.zip(dst)) {
            (Some(Self::Host), _) => stated,
            (_, Some((src, dst))) => Some(if src == dst { Self::Inside } else { Self::Peer }),
            _ => stated,
        }
    }
}

/// Grid, block and direction of every activity, by its index in the model.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) shapes: Vec<ShapeId>,
    pub(crate) directions: Vec<Option<Direction>>,
}

impl Timeline {
    /// Reads them; shapes are numbered in `shapes`.
    ///
    /// # Errors
    /// When the frame does not have the columns of its table.
    pub(crate) fn read(tables: &Tables, model: &Model, shapes: &mut Shapes) -> Result<Self, Error> {
        let own = OfPass::new(tables, &tables::ACTIVITIES, &model.pass)?;
        let (ranks, devices, ids) = (own.ints("rank")?, own.ints("device")?, own.ints("id")?);
        let starts = own.ints("start_ns")?;
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        // The order of the model's activities.
        order.sort_by_key(|at| {
            let at = *at as usize;
            ((ranks[at], devices[at]), starts[at], ids[at])
        });
        let (grids, blocks) = (own.dimensions("grid")?, own.dimensions("block")?);
        let mut shape = |at: usize| shapes.number(Shape { grid: grids[at], block: blocks[at] });
        let kinds = own.texts("copy_kind")?;
        let kind = |row: usize| kinds.get(row).and_then(Direction::parse);
        Ok(Self {
            shapes: order.iter().map(|at| shape(*at as usize)).collect(),
            directions: order.iter().map(|at| kind(own.rows[*at as usize] as usize)).collect(),
        })
    }
}

/// The rows of a table that belong to one pass.
struct OfPass<'a> {
    table: Rows<'a>,
    frame: &'a polars::prelude::DataFrame,
    rows: Vec<u32>,
}

impl<'a> OfPass<'a> {
    fn new(tables: &'a Tables, table: &Table, pass: &str) -> Result<Self, Error> {
        let frame = tables.get(table);
        let passes = texts(frame, "pass")?;
        let rows = passes.iter().enumerate().filter(|(_, own)| *own == Some(pass)).map(|(at, _)| at as u32).collect();
        Ok(Self { table: Rows::all(frame), frame, rows })
    }

    fn texts(&self, name: &str) -> Result<&'a StringChunked, Error> {
        texts(self.frame, name)
    }

    fn ints(&self, name: &str) -> Result<Vec<i64>, Error> {
        let all = self.table.ints(name)?;
        Ok(if all.len() == self.rows.len() { all } else { self.rows.iter().map(|at| all[*at as usize]).collect() })
    }

    fn optional_ints(&self, name: &str) -> Result<Vec<Option<i64>>, Error> {
        let all = self.table.optional_ints(name)?;
        Ok(self.rows.iter().map(|at| all[*at as usize]).collect())
    }

    /// The three columns of a dimension; known where x is, and y and z are 1 where they are not told.
    fn dimensions(&self, name: &str) -> Result<Vec<Option<[i64; 3]>>, Error> {
        let of = |axis| self.optional_ints(&format!("{name}_{axis}"));
        let (x, y, z) = (of('x')?, of('y')?, of('z')?);
        let one = |((x, y), z): ((Option<i64>, Option<i64>), Option<i64>)| Some([x?, y.unwrap_or(1), z.unwrap_or(1)]);
        Ok(x.into_iter().zip(y).zip(z).map(one).collect())
    }
}

/// Rank and id of an activity.
pub(crate) type ActivityId = (i64, i64);

/// The index of each activity by rank and id.
pub(crate) fn by_id(model: &Model) -> HashMap<ActivityId, u32> {
    model.activities.iter().enumerate().map(|(at, row)| ((row.device.0, row.id), at as u32)).collect()
}

/// Bytes that each collective must move over the links of its rank, by rank and activity; of those only whose link is
/// the device's own ([`super::wire::collective_link`]): the others have no roof to be held against.
///
/// # Errors
/// When the frame does not have the columns of its table.
pub(crate) fn collectives(tables: &Tables, model: &Model) -> Result<Vec<(ActivityId, f64)>, Error> {
    let own = OfPass::new(tables, &tables::COLLECTIVES, &model.pass)?;
    let (ranks, ids) = (own.ints("rank")?, own.ints("activity")?);
    let (inputs, outputs) = (own.optional_ints("bytes_in")?, own.optional_ints("bytes_out")?);
    let (sizes, operations) = (own.optional_ints("group_size")?, own.texts("operation")?);
    let reach = reach(tables, model)?;
    let bytes = |at: usize| {
        let size = sizes[at].filter(|size| *size <= reach)?;
        let operation = operations.get(own.rows[at] as usize).unwrap_or_default();
        wire_bytes(operation, inputs[at], outputs[at], Some(size))
    };
    Ok((0..ids.len()).filter_map(|at| Some(((ranks[at], ids[at]), bytes(at)?))).collect())
}

/// Ranks that the links of the devices connect at most.
fn reach(tables: &Tables, model: &Model) -> Result<i64, Error> {
    let names = Rows::of_pass(tables.get(&tables::DEVICES), &model.pass)?.texts("name")?;
    Ok(names.iter().flatten().map(|name| domain(name)).max().unwrap_or_else(|| domain("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_devices_of_a_copy_tell_more_than_its_kind() {
        let between = |kind, src, dst| Direction::between(Direction::parse(kind), src, dst);
        assert_eq!(between("d2d", Some(0), Some(1)), Some(Direction::Peer));
        assert_eq!(between("p2p", Some(1), Some(1)), Some(Direction::Inside));
        assert_eq!(between("d2d", None, Some(1)), Some(Direction::Inside));
        assert_eq!((between("h2d", Some(0), Some(1)), between("?", None, None)), (Some(Direction::Host), None));
    }
}
