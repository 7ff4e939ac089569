//! Hand-written ranks for tests: rows of `activities` with what `collectives` says about them, and session starts.

use proftool_trace::frame::{Tables, bool_column, build, int_column, text_column};
use proftool_trace::manifest::{Manifest, Pass, RankStart};
use proftool_trace::tables;

use crate::operators::Span;

/// Group, sequence, operation, bytes in and out, group size and peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Args {
    pub(crate) group: Option<&'static str>,
    pub(crate) sequence: Option<i64>,
    pub(crate) operation: &'static str,
    pub(crate) bytes: (Option<i64>, Option<i64>),
    pub(crate) group_size: Option<i64>,
    pub(crate) peer: Option<i64>,
}

#[derive(Clone, Debug)]
struct Row {
    id: i64,
    rank: i64,
    device: i64,
    name: &'static str,
    span: Span,
    args: Option<Args>,
}

/// Rows of several ranks, added one by one; times are those of the rank's own clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranks {
    rows: Vec<Row>,
    files: Vec<RankStart>,
    host: Option<&'static str>,
    gpu: Option<&'static str>,
}

impl Ranks {
    pub(crate) fn kernel(mut self, (rank, device): (i64, i64), name: &'static str, span: Span) -> Self {
        self.rows.push(Row { id: self.rows.len() as i64, rank, device, name, span, args: None });
        self
    }

    /// What the arguments of the last kernel say.
    pub(crate) fn args(mut self, args: Args) -> Self {
        self.rows.last_mut().expect("a kernel was added").args = Some(args);
        self
    }

    /// An all-reduce of 800 bytes on device 0, with its position in the group of all ranks.
    pub(crate) fn all_reduce(self, rank: i64, sequence: i64, group_size: i64, span: Span) -> Self {
        self.kernel((rank, 0), "ncclDevKernel_AllReduce_Sum", span).args(Args {
            group: Some("world"),
            sequence: Some(sequence),
            operation: "all_reduce",
            bytes: (Some(800), Some(800)),
            group_size: Some(group_size),
            peer: None,
        })
    }

    /// The session start of a rank on the wall clock and on the monotonic clock.
    pub(crate) fn file(mut self, rank: i64, start_unix_ns: i64, start_monotonic_ns: i64) -> Self {
        self.files.push(RankStart { rank, file: format!("{rank}"), start_unix_ns, start_monotonic_ns });
        self
    }

    pub(crate) fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    pub(crate) fn gpu(mut self, name: &'static str) -> Self {
        self.gpu = Some(name);
        self
    }

    /// The rows in another order, their ids as before.
    pub(crate) fn shuffled(mut self, by: usize) -> Self {
        let count = self.rows.len().max(1);
        self.rows.rotate_left(by % count);
        self.rows.reverse();
        self
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let mut manifest = crate::fixture::manifest(1);
        let first = self.files.first();
        manifest.passes.push(Pass {
            name: "p".to_owned(),
            profilers: Vec::new(),
            clock: "unix epoch".to_owned(),
            start_unix_ns: first.map_or(0, |file| file.start_unix_ns),
            start_monotonic_ns: first.map_or(0, |file| file.start_monotonic_ns),
            ranks: self.files.clone(),
        });
        manifest
    }

    pub(crate) fn tables(&self) -> Tables {
        let rows = &self.rows;
        let mut tables = Tables::default();
        let ints = |name, value: &dyn Fn(&Row) -> Option<i64>| int_column(name, rows.iter().map(value));
        let columns = vec![
            text_column("pass", rows.iter().map(|_| Some("p"))),
            ints("rank", &|row| Some(row.rank)),
            ints("id", &|row| Some(row.id)),
            ints("device", &|row| Some(row.device)),
            ints("queue", &|_| Some(0)),
            text_column("kind", rows.iter().map(|_| Some("kernel"))),
            text_column("name", rows.iter().map(|row| Some(row.name))),
            ints("start_ns", &|row| Some(row.span.0)),
            ints("end_ns", &|row| Some(row.span.1)),
            bool_column("simulated", rows.iter().map(|_| Some(false))),
        ];
        tables.set(&tables::ACTIVITIES, build(&tables::ACTIVITIES, columns).unwrap()).unwrap();
        let stated: Vec<(&Row, Args)> = rows.iter().filter_map(|row| Some((row, row.args?))).collect();
        let ints =
            |name, value: &dyn Fn(&Args) -> Option<i64>| int_column(name, stated.iter().map(|row| value(&row.1)));
        let columns = vec![
            text_column("pass", stated.iter().map(|_| Some("p"))),
            int_column("rank", stated.iter().map(|row| Some(row.0.rank))),
            int_column("activity", stated.iter().map(|row| Some(row.0.id))),
            text_column("group", stated.iter().map(|row| row.1.group)),
            ints("sequence", &|args| args.sequence),
            text_column("operation", stated.iter().map(|row| Some(row.1.operation))),
            ints("bytes_in", &|args| args.bytes.0),
            ints("bytes_out", &|args| args.bytes.1),
            ints("group_size", &|args| args.group_size),
            ints("peer", &|args| args.peer),
        ];
        tables.set(&tables::COLLECTIVES, build(&tables::COLLECTIVES, columns).unwrap()).unwrap();
        let devices: std::collections::BTreeSet<(i64, i64)> = rows.iter().map(|row| (row.rank, row.device)).collect();
        let columns = vec![
            text_column("pass", devices.iter().map(|_| Some("p"))),
            int_column("rank", devices.iter().map(|key| Some(key.0))),
            int_column("device", devices.iter().map(|key| Some(key.1))),
            text_column("host", devices.iter().map(|_| self.host)),
            text_column("kind", devices.iter().map(|_| Some("cuda"))),
            text_column("name", devices.iter().map(|_| Some(self.gpu.unwrap_or("test")))),
        ];
        tables.set(&tables::DEVICES, build(&tables::DEVICES, columns).unwrap()).unwrap();
        tables
    }
}
