//! What the tests of request logs share.

use std::path::Path;
use std::sync::Arc;

use polars::prelude::DataFrame;
use proftool_trace::frame::{self, Tables};
use proftool_trace::{Table, tables};
use tempfile::TempDir;

use crate::Error;
use crate::driver::{Imported, into_memory};
use crate::raw::{Progress, Source};

/// A source of those bytes; the folder must live as long.
pub(crate) fn source(bytes: &[u8]) -> (TempDir, Source) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, bytes).unwrap();
    let source = Source::open(&path, &Arc::new(Progress::default())).unwrap();
    (folder, source)
}

/// Those bytes imported as a user would import them.
pub(crate) fn import(bytes: &[u8]) -> Result<Log, Error> {
    let (folder, _) = source(bytes);
    import_file(&folder.path().join("log"))
}

/// What the import of those bytes says when it fails.
pub(crate) fn failure(bytes: &[u8]) -> String {
    import(bytes).map(|log| log.imported).unwrap_err().to_string()
}

/// A file imported as a user would import it.
pub(crate) fn import_file(path: &Path) -> Result<Log, Error> {
    let (imported, tables) = into_memory(path)?;
    Ok(Log { imported, tables })
}

/// An imported log.
pub(crate) struct Log {
    pub(crate) imported: Imported,
    tables: Tables,
}

impl Log {
    fn frame(&self, table: &'static Table) -> &DataFrame {
        self.tables.get(table)
    }

    pub(crate) fn ints(&self, column: &str) -> Vec<Option<i64>> {
        frame::ints(self.frame(&tables::REQUESTS), column).unwrap()
    }

    pub(crate) fn texts(&self, column: &str) -> Vec<Option<String>> {
        frame::texts(self.frame(&tables::REQUESTS), column).unwrap()
    }

    /// The values of a column that are present.
    pub(crate) fn present(&self, column: &str) -> Vec<i64> {
        self.ints(column).into_iter().flatten().collect()
    }

    pub(crate) fn sum(&self, column: &str) -> i64 {
        self.present(column).iter().sum()
    }

    pub(crate) fn statuses(&self) -> Vec<String> {
        self.texts("status").into_iter().flatten().collect()
    }

    /// Request and time of each `token` row.
    pub(crate) fn tokens(&self) -> Vec<(String, i64)> {
        let frame = self.frame(&tables::REQUEST_EVENTS);
        assert!(frame::texts(frame, "kind").unwrap().iter().all(|kind| kind.as_deref() == Some("token")));
        assert_eq!(frame::ints(frame, "start_ns").unwrap(), frame::ints(frame, "end_ns").unwrap());
        let requests = frame::texts(frame, "request").unwrap().into_iter().flatten();
        requests.zip(frame::ints(frame, "start_ns").unwrap().into_iter().flatten()).collect()
    }

    /// Code, severity and count of each issue.
    pub(crate) fn issues(&self) -> Vec<(String, String, i64)> {
        let frame = self.frame(&tables::ISSUES);
        let text = |column| frame::texts(frame, column).unwrap().into_iter().flatten();
        let counts = frame::ints(frame, "count").unwrap().into_iter().flatten();
        text("code")
            .zip(text("severity"))
            .zip(counts)
            .map(|((code, severity), count)| (code, severity, count))
            .collect()
    }

    /// The detail of an issue.
    pub(crate) fn detail(&self, code: &str) -> String {
        let frame = self.frame(&tables::ISSUES);
        let codes = frame::texts(frame, "code").unwrap();
        let at = codes.iter().position(|other| other.as_deref() == Some(code)).expect("the issue was noted");
        frame::texts(frame, "detail").unwrap()[at].clone().unwrap()
    }
}
