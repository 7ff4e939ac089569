//! The records of rocprofv3's JSON.

use super::fields;
use crate::raw::json::{Cursor, Fault};

/// What every record has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    pub(crate) kind: Option<i64>,
    pub(crate) operation: Option<i64>,
    pub(crate) thread: Option<i64>,
    /// The internal correlation id: that of the call that caused the record.
    pub(crate) correlation: Option<i64>,
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
}

impl Record {
    /// Takes a member of a record; false where it is none that all records have.
    #[inline]
    fn take(&mut self, key: &[u8], cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        match key {
            b"kind" => self.kind = fields::int(cursor)?,
            b"operation" => self.operation = fields::int(cursor)?,
            b"thread_id" => self.thread = fields::int(cursor)?,
            b"correlation_id" => self.correlation = fields::member(cursor, b"internal")?,
            b"start_timestamp" => self.start = fields::time(cursor)?,
            b"end_timestamp" => self.end = fields::time(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads a call: a record without further members.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut record = Self::default();
        fields::object(cursor, |key, cursor| record.take(key, cursor))?;
        Ok(record)
    }
}

/// One launch of a kernel.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the file's own names")]
pub(crate) struct Dispatch {
    pub(crate) record: Record,
    pub(crate) agent: Option<i64>,
    pub(crate) queue: Option<i64>,
    pub(crate) stream: Option<i64>,
    pub(crate) kernel: Option<i64>,
    pub(crate) dispatch: Option<i64>,
    pub(crate) shared_bytes: Option<i64>,
    /// Work-items of a work-group.
    pub(crate) block: [Option<i64>; 3],
    /// Work-items of the launch.
    pub(crate) grid: [Option<i64>; 3],
    pub(crate) graph: Option<i64>,
    pub(crate) graph_node: Option<i64>,
}

impl Dispatch {
    /// Reads a record of `kernel_dispatch`.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut dispatch = Self::default();
        fields::object(cursor, |key, cursor| {
            match key {
                b"dispatch_info" => dispatch.info(cursor)?,
                b"stream_id" => dispatch.stream = fields::handle(cursor)?,
                b"graph_exec_id" => dispatch.graph = fields::handle(cursor)?.filter(|id| *id != 0),
                b"graph_node_id" => dispatch.graph_node = fields::handle(cursor)?,
                _ => return dispatch.record.take(key, cursor),
            }
            Ok(true)
        })?;
        dispatch.graph_node = dispatch.graph.and(dispatch.graph_node);
        Ok(dispatch)
    }

    fn info(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        fields::object(cursor, |key, cursor| {
            match key {
                b"agent_id" => self.agent = fields::handle(cursor)?,
                b"queue_id" => self.queue = fields::handle(cursor)?,
                b"kernel_id" => self.kernel = fields::int(cursor)?,
                b"dispatch_id" => self.dispatch = fields::int(cursor)?,
                b"group_segment_size" => self.shared_bytes = fields::int(cursor)?,
                b"workgroup_size" => self.block = fields::size(cursor)?,
                b"grid_size" => self.grid = fields::size(cursor)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    /// Blocks of the launch in each dimension.
    pub(crate) fn blocks(&self) -> [Option<i64>; 3] {
        [0, 1, 2].map(|axis| super::groups(self.grid[axis], self.block[axis]))
    }
}

/// One copy of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copy {
    pub(crate) record: Record,
    pub(crate) source: Option<i64>,
    pub(crate) target: Option<i64>,
    pub(crate) stream: Option<i64>,
    pub(crate) bytes: Option<i64>,
    pub(crate) graph: Option<i64>,
    pub(crate) graph_node: Option<i64>,
}

impl Copy {
    /// Reads a record of `memory_copy`.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut copy = Self::default();
        fields::object(cursor, |key, cursor| {
            match key {
                b"src_agent_id" => copy.source = fields::handle(cursor)?,
                b"dst_agent_id" => copy.target = fields::handle(cursor)?,
                b"stream_id" => copy.stream = fields::handle(cursor)?,
                b"bytes" => copy.bytes = fields::int(cursor)?.filter(|bytes| *bytes >= 0),
                b"graph_exec_id" => copy.graph = fields::handle(cursor)?.filter(|id| *id != 0),
                b"graph_node_id" => copy.graph_node = fields::handle(cursor)?,
                _ => return copy.record.take(key, cursor),
            }
            Ok(true)
        })?;
        copy.graph_node = copy.graph.and(copy.graph_node);
        Ok(copy)
    }
}

/// The counters of one launch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) dispatch: Dispatch,
    /// Counter and value, one an instance of the hardware block.
    pub(crate) values: Vec<(i64, Option<f64>)>,
}

impl Counted {
    /// Reads a record of `counter_collection`.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut counted = Self::default();
        let (mut thread, mut stream) = (None, None);
        fields::object(cursor, |key, cursor| {
            match key {
                b"thread_id" => thread = fields::int(cursor)?,
                b"stream_id" => stream = fields::handle(cursor)?,
                b"dispatch_data" => counted.dispatch = Dispatch::read(cursor)?,
                b"records" => counted.values = fields::list(cursor, value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        counted.dispatch.record.thread = thread;
        counted.dispatch.stream = stream;
        Ok(counted)
    }
}

fn value(cursor: &mut Cursor<'_>) -> Result<Option<(i64, Option<f64>)>, Fault> {
    let (mut counter, mut value) = (None, None);
    fields::object(cursor, |key, cursor| {
        match key {
            b"counter_id" => counter = fields::handle(cursor)?,
            b"value" | b"counter_value" => value = fields::number(cursor)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(counter.map(|counter| (counter, value)))
}
