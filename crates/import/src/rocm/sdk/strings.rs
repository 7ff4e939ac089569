//! Strings and settings of a process.

use std::io::Read;

use super::Process;
use super::stream::{collect, members, skip};
use crate::Error;
use crate::raw::Source;
use crate::raw::json::{Cursor, Fault, Kind, Stream};
use crate::rocm::fields;
use crate::rocm::names::{self, Operations};

/// Names of operations and the messages of ROCTx.
pub(super) fn strings<R: Read>(source: &Source, stream: &mut Stream<R>, process: &mut Process) -> Result<(), Error> {
    members(source, stream, |stream, key| {
        match key {
            "buffer_records" => process.operations = Operations::new(collect(source, stream, key, names::kind)?),
            "marker_api" => {
                process.messages = collect(source, stream, key, message)?.into_iter().flatten().collect();
            }
            _ => skip(source, stream)?,
        }
        Ok(())
    })
}

/// A message of ROCTx by the correlation id of its range.
fn message(cursor: &mut Cursor<'_>) -> Result<Option<(i64, Box<str>)>, Fault> {
    let (mut correlation, mut text) = (None, None);
    fields::object(cursor, |key, cursor| {
        match key {
            b"key" => correlation = fields::int(cursor)?,
            b"value" => text = fields::text(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(correlation.zip(text))
}

/// A counter's name by its handle.
pub(super) fn counter(cursor: &mut Cursor<'_>) -> Result<Option<(i64, Box<str>)>, Fault> {
    let (mut id, mut name) = (None, None);
    fields::object(cursor, |key, cursor| {
        match key {
            b"id" => id = fields::handle(cursor)?,
            b"name" => name = fields::text(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(id.zip(name))
}

/// Whether `--group-by-queue` was given.
pub(super) fn groups_by_queue(cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
    let mut by_queue = false;
    fields::object(cursor, |key, cursor| {
        if key != b"group_by_queue" || cursor.kind()? != Kind::Scalar {
            return Ok(false);
        }
        by_queue = cursor.scalar()? == b"true";
        Ok(true)
    })?;
    Ok(by_queue)
}
