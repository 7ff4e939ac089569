//! Where importers put rows: Parquet files written row group by row group, or frames in memory.
//!
//! Memory is bounded by one row group a table, whatever the file's size.

use std::fs;
use std::path::{Path, PathBuf};

use polars::prelude::DataFrame;

use crate::artifact::Error;
use crate::batch::Batch;
use crate::frame::Tables;
use crate::manifest::TableRows;
use crate::rows::Row;
use crate::table::Table;
use crate::table_file::TableFile;
use crate::tables;

/// Rows of a row group: large enough that a page compresses, small enough that a batch of the widest table stays below
/// 40 MB.
const GROUP_ROWS: usize = 1 << 17;
/// Bytes of text after which a row group ends early.
const GROUP_TEXT_BYTES: usize = 16 << 20;

/// Takes rows of all tables for one pass and rank.
pub struct Sink {
    pass: String,
    rank: i64,
    batches: Vec<Option<Batch>>,
    rows: Vec<u64>,
    place: Place,
}

/// Where full batches go.
enum Place {
    Memory(Box<Tables>),
    Folder(PathBuf, Vec<Option<TableFile>>),
}

/// What a sink was filled with.
pub enum Filled {
    /// Frames in memory.
    Tables(Box<Tables>),
    /// Parquet files; name and row count of each.
    Files(Vec<TableRows>),
}

impl Sink {
    /// A sink that keeps frames in memory.
    pub fn memory(pass: &str, rank: i64) -> Self {
        Self::new(pass, rank, Place::Memory(Box::default()))
    }

    /// A sink that writes `<folder>/<table>.parquet`; the folder must exist.
    pub fn folder(pass: &str, rank: i64, folder: &Path) -> Self {
        let files = tables::ALL.iter().map(|_| None).collect();
        Self::new(pass, rank, Place::Folder(folder.to_owned(), files))
    }

    fn new(pass: &str, rank: i64, place: Place) -> Self {
        let batches = tables::ALL.iter().map(|_| None).collect();
        Self { pass: pass.to_owned(), rank, batches, rows: vec![0; tables::ALL.len()], place }
    }

    /// The pass that every row gets.
    pub fn pass(&self) -> &str {
        &self.pass
    }

    /// The rank that every row gets.
    pub fn rank(&self) -> i64 {
        self.rank
    }

    /// Sets the pass; to be called before the first row.
    pub fn set_pass(&mut self, pass: &str) {
        pass.clone_into(&mut self.pass);
    }

    /// Sets the rank; to be called before the first row.
    pub fn set_rank(&mut self, rank: i64) {
        self.rank = rank;
    }

    /// Rows of that table so far.
    pub fn rows(&self, table: &Table) -> u64 {
        tables::ALL.iter().position(|other| other.name == table.name).map_or(0, |index| self.rows[index])
    }

    /// Takes one row.
    ///
    /// # Errors
    /// [`Error::Io`] when a row group cannot be written.
    #[inline]
    pub fn put<R: Row>(&mut self, row: &R) -> Result<(), Error> {
        self.rows[R::INDEX] += 1;
        let batch = self.batches[R::INDEX].get_or_insert_with(|| Batch::new(R::TABLE));
        row.append(batch);
        if batch.rows() >= GROUP_ROWS || batch.text_bytes() >= GROUP_TEXT_BYTES { self.flush(R::INDEX) } else { Ok(()) }
    }

    /// Takes rows that are already a frame of the table, `pass` and `rank` included.
    ///
    /// # Errors
    /// [`Error::Schema`] when the frame is not of the table, [`Error::Io`] when it cannot be written.
    pub fn put_frame(&mut self, table: &'static Table, frame: &DataFrame) -> Result<(), Error> {
        let index = tables::ALL.iter().position(|other| other.name == table.name).unwrap_or_default();
        self.flush(index)?;
        self.rows[index] += frame.height() as u64;
        self.store(index, frame)
    }

    fn flush(&mut self, index: usize) -> Result<(), Error> {
        let Some(batch) = self.batches[index].as_mut().filter(|batch| batch.rows() > 0) else { return Ok(()) };
        let frame = batch.take(&self.pass, self.rank)?;
        self.store(index, &frame)
    }

    fn store(&mut self, index: usize, frame: &DataFrame) -> Result<(), Error> {
        let table = tables::ALL[index];
        match &mut self.place {
            Place::Memory(tables) => tables.append(table, frame),
            Place::Folder(folder, files) => {
                let file = match &mut files[index] {
                    Some(file) => file,
                    none => none.insert(TableFile::create(table, folder)?),
                };
                file.write(frame)
            }
        }
    }

    /// Drops everything taken so far, for an importer that has to begin again.
    ///
    /// # Errors
    /// [`Error::Io`] when a file that was begun cannot be removed.
    pub fn clear(&mut self) -> Result<(), Error> {
        self.batches.iter_mut().for_each(|batch| *batch = None);
        self.rows.fill(0);
        match &mut self.place {
            Place::Memory(tables) => **tables = Tables::default(),
            Place::Folder(_, files) => {
                for file in files.iter_mut().filter_map(Option::take) {
                    fs::remove_file(file.path()).map_err(|error| Error::io("cannot remove", file.path(), error))?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left and closes every file.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be written.
    pub fn finish(mut self) -> Result<Filled, Error> {
        for index in 0..self.batches.len() {
            self.flush(index)?;
        }
        match self.place {
            Place::Memory(tables) => Ok(Filled::Tables(tables)),
            Place::Folder(_, files) => {
                files.into_iter().flatten().try_for_each(TableFile::finish)?;
                let written = tables::ALL.iter().zip(self.rows).filter(|(_, rows)| *rows > 0);
                Ok(Filled::Files(
                    written.map(|(table, rows)| TableRows { name: table.name.to_owned(), rows }).collect(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;
    use crate::rows::{Counter, Queue};

    fn queue(queue: i64, role: Option<&str>) -> Queue<'_> {
        Queue { device: 1, queue, role, priority: None }
    }

    #[test]
    fn a_folder_and_memory_hold_the_same_rows() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let (mut memory, mut folder) = (Sink::memory("p", 3), Sink::folder("p", 3, place.path()));
        for sink in [&mut memory, &mut folder] {
            for number in 0..1000 {
                sink.put(&queue(number, (number % 3 == 0).then_some("kv"))).expect("taken");
                sink.put(&Counter { launch: number, def: 1, value: (number > 10).then_some(0.5) }).expect("taken");
            }
        }
        let Filled::Tables(tables) = memory.finish().expect("finished") else { panic!("memory") };
        let Filled::Files(rows) = folder.finish().expect("finished") else { panic!("files") };
        assert_eq!(
            rows.iter().map(|table| (table.name.as_str(), table.rows)).collect::<Vec<_>>(),
            [("queues", 1000), ("counters", 1000)]
        );
        for table in [&tables::QUEUES, &tables::COUNTERS] {
            let read = frame::read(table, place.path()).expect("readable");
            assert!(read.equals_missing(tables.get(table)), "{}", table.name);
        }
        assert_eq!(
            frame::texts(tables.get(&tables::QUEUES), "role").expect("text")[..2],
            [Some("kv".to_owned()), None]
        );
        assert_eq!(frame::ints(tables.get(&tables::QUEUES), "rank").expect("ints")[999], Some(3));
    }

    #[test]
    fn row_groups_are_flushed_and_read_back_whole() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut sink = Sink::folder("p", 0, place.path());
        let count = GROUP_ROWS as i64 * 2 + 5;
        (0..count).try_for_each(|number| sink.put(&queue(number, None))).expect("taken");
        assert!(matches!(sink.finish(), Ok(Filled::Files(_))));
        let read = frame::read(&tables::QUEUES, place.path()).expect("readable");
        let numbers = frame::ints(&read, "queue").expect("ints");
        assert!(numbers.iter().enumerate().all(|(at, number)| *number == Some(at as i64)));
        assert_eq!(numbers.len() as i64, count);
    }

    #[test]
    fn clearing_removes_what_was_begun() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut sink = Sink::folder("p", 0, place.path());
        (0..GROUP_ROWS as i64).try_for_each(|number| sink.put(&queue(number, None))).expect("taken");
        sink.clear().expect("cleared");
        let Ok(Filled::Files(rows)) = sink.finish() else { panic!("files") };
        assert!(rows.is_empty() && std::fs::read_dir(place.path()).expect("a folder").next().is_none());
    }
}
