//! Files that were imported side by side, joined into one set of tables in the order of the files.

use std::fs;
use std::path::{Path, PathBuf};

use proftool_trace::frame;
use proftool_trace::sink::Sink;
use proftool_trace::tables;

use super::Imported;
use crate::Error;

/// A folder of tables for each file.
pub(super) struct Parts {
    folder: PathBuf,
    parts: PathBuf,
}

impl Parts {
    pub(super) fn create(folder: &Path, count: usize) -> Result<Self, Error> {
        let parts = Self { folder: folder.to_owned(), parts: folder.join(".parts") };
        for index in 0..count {
            let path = parts.folder(index);
            fs::create_dir_all(&path).map_err(|cause| Error::Create { path, cause })?;
        }
        Ok(parts)
    }

    pub(super) fn folder(&self, index: usize) -> PathBuf {
        self.parts.join(index.to_string())
    }

    /// Appends the parts table by table, one row group in memory at a time, each file's rows under its final pass.
    pub(super) fn join(self, imported: &[(PathBuf, Imported)]) -> Result<Sink, Error> {
        let mut sink = Sink::folder("", 0, &self.folder);
        for table in tables::ALL {
            for (part, one) in imported {
                let path = part.join(format!("{}.parquet", table.name));
                if path.exists() {
                    frame::read_groups(table, &path, |group| {
                        sink.put_frame(table, &frame::with_pass(group, &one.pass)?)
                    })?;
                }
            }
        }
        fs::remove_dir_all(&self.parts).map_err(|cause| Error::Io { path: self.parts.clone(), cause })?;
        Ok(sink)
    }
}
