//! MPI and UCX calls, and the rank that MPI gave the process.

use std::collections::BTreeSet;

use proftool_trace::rows::Call;

use super::export::{Export, Row, at};
use super::ids::{process, thread};
use super::reader::{Reader, UNKNOWN, name, next};
use crate::Error;
use crate::raw::{Import, Severity};

/// Each table with the interface that its calls belong to.
const TABLES: &[(&str, &str)] = &[
    ("MPI_P2P_EVENTS", "mpi"),
    ("MPI_COLLECTIVES_EVENTS", "mpi"),
    ("MPI_START_WAIT_EVENTS", "mpi"),
    ("MPI_OTHER_EVENTS", "mpi"),
    ("UCP_SUBMIT_EVENTS", "ucx"),
    ("UCP_PROGRESS_EVENTS", "ucx"),
    ("UCP_EVENTS", "ucx"),
];
const WANTED: &[&str] = &["start", "end", "globalTid", "textId", "text"];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const THREAD: usize = at(WANTED, "globalTid");
const TEXT_ID: usize = at(WANTED, "textId");
const TEXT: usize = at(WANTED, "text");

/// Takes over the rank that MPI gave, where the export holds exactly one; to be called before the first row.
pub(super) fn set_rank(export: &dyn Export, import: &mut Import<'_>) -> Result<(), Error> {
    let mut ranks = BTreeSet::new();
    export.scan("MPI_RANKS", &["rank"], &mut |row| {
        ranks.extend(row.int(0).filter(|rank| *rank >= 0));
        Ok(())
    })?;
    match ranks.len() {
        0 => {}
        1 => import.sink.set_rank(ranks.first().copied().unwrap_or(0)),
        many => {
            let detail = "MPI ranks in one capture; their rows share a rank here, their processes tell them apart";
            import.issue(Severity::Info, "several_ranks", many as u64, detail);
        }
    }
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    let mut unfinished = 0;
    for (table, api) in TABLES {
        reader.demand(table, &["start"])?;
        let mut last = None;
        export.scan(table, WANTED, &mut |row| {
            // A wait for several requests has one row a request.
            let this = [START, END, THREAD, TEXT_ID].map(|column| row.int(column));
            if *table == "MPI_START_WAIT_EVENTS" && last == Some(this) {
                return Ok(());
            }
            last = Some(this);
            unfinished += u64::from(this[1].is_none());
            call(reader, table, api, row)
        })?;
    }
    let detail = "MPI or UCX calls that had not ended when the capture did; they are written with no length";
    reader.import.issue(Severity::Info, "open_call", unfinished, detail);
    Ok(())
}

fn call(reader: &mut Reader<'_, '_>, table: &str, api: &str, row: &Row<'_>) -> Result<(), Error> {
    let Some((start_ns, end)) = reader.times(table, row, START, END) else { return Ok(()) };
    let found = name(&reader.strings, row, &[TEXT_ID], TEXT);
    let known = found.is_some();
    let global = row.int(THREAD);
    reader.import.put(&Call {
        id: next(&mut reader.ids.call),
        process: global.map(process),
        thread: global.map(thread),
        api,
        name: found.as_deref().unwrap_or(UNKNOWN),
        start_ns,
        end_ns: end.unwrap_or(start_ns),
        ..Call::default()
    })?;
    if !known {
        reader.nameless();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{ints, texts};
    use proftool_trace::tables;

    #[test]
    fn a_wait_for_many_requests_is_one_call_and_the_only_rank_is_taken_over() {
        let mut fake = Fake::default();
        fake.row("StringIds", &[("id", 1.into()), ("value", "MPI_Waitall".into())]);
        fake.row("StringIds", &[("id", 2.into()), ("value", "ucp_put_nbx".into())]);
        fake.row("MPI_RANKS", &[("globalTid", 5.into()), ("rank", 3.into())]);
        for request in 0..4 {
            let row = [("start", 10.into()), ("end", 20.into()), ("globalTid", 9.into()), ("textId", 1.into())];
            fake.row("MPI_START_WAIT_EVENTS", &[&row[..], &[("requestHandle", i64::into(request))]].concat());
        }
        fake.row("UCP_SUBMIT_EVENTS", &[("start", 30.into()), ("globalTid", 9.into()), ("textId", 2.into())]);
        let tables = fake.import().unwrap();
        let calls = tables.get(&tables::CALLS);
        assert_eq!(ints(calls, "start_ns").unwrap(), [Some(10), Some(30)]);
        assert_eq!(ints(calls, "end_ns").unwrap(), [Some(20), Some(30)]);
        assert_eq!(ints(calls, "rank").unwrap(), [Some(3), Some(3)]);
        let apis = texts(calls, "api").unwrap();
        assert_eq!(apis.iter().map(Option::as_deref).collect::<Vec<_>>(), [Some("mpi"), Some("ucx")]);
    }
}
