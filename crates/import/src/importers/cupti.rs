//! The importer of what `libproftool_inject.so` records of a CUDA program, `rank0.pid12.cupti.trace` (`docs/inject.md`).

use std::collections::BTreeMap;

use cpp_demangle::Symbol;
use proftool_trace::artifact::is_pass_name;

use super::{Importer, Session};
use crate::Error;
use crate::cupti::{
    Clock, Content, Head, MAGIC, VERSION, activities, calls, counters, devices, ranges, refused, version,
};
use crate::raw::{Import, Severity, Source};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "cupti",
    doc: "CUPTI's activity records and counts of any CUDA program, as libproftool_inject.so writes them, *.cupti.trace.",
    sniff: |head| head.bytes.starts_with(MAGIC),
    import,
};

/// The pass of a file that holds counts.
const COUNTING: &str = "cupti_counters";

/// How many fields the rows of each table have.
const WIDTHS: [([u8; 4], usize); 16] = [
    (*b"clok", 2),
    (*b"devi", 9),
    (*b"cont", 2),
    (*b"strm", 3),
    (*b"call", 8),
    (*b"kern", 17),
    (*b"copy", 14),
    (*b"mset", 11),
    (*b"sync", 7),
    (*b"mark", 7),
    (*b"cset", 6),
    (*b"cdef", 3),
    (*b"crng", 11),
    (*b"cval", 3),
    (*b"clos", 4),
    (*b"note", 2),
];

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let bytes = source.read_to_vec()?;
    let damaged = |reason: String| Error::Damaged { path: source.path().to_owned(), reason };
    let newer = |found| {
        let path = source.path().to_owned();
        Err(Error::NewerVersion { path, format: "cupti", found, supported: VERSION })
    };
    if let Some(found) = version(&bytes).filter(|found| *found > VERSION) {
        return newer(found);
    }
    let (head, content) = Content::read(&bytes).map_err(damaged)?;
    drop(bytes);
    if head.version > VERSION {
        return newer(head.version);
    }
    check(&head, &content).map_err(damaged)?;
    if let Some((reason, hint)) = refused(&content) {
        return Err(Error::Unsupported { path: source.path().to_owned(), reason, hint });
    }
    let Some(clock) = Clock::new(content.rows(*b"clok"), head.session_start_monotonic_ns) else {
        return Err(damaged("it states no time of CUPTI's clock on the monotonic one".to_owned()));
    };
    import.sink.set_pass(&head.pass);
    import.sink.set_rank(head.rank);
    rows(&head, &content, &clock, import)?;
    issues(&head, &content, import);
    Ok(Session {
        start_unix_ns: head.session_start_unix_ns,
        start_monotonic_ns: head.session_start_monotonic_ns,
        clock: head.clock,
        time_simulated: false,
    })
}

fn check(head: &Head, content: &Content) -> Result<(), String> {
    if head.format != "cupti" {
        return Err(format!("it holds {:?}, not the records of CUPTI", head.format));
    }
    if !is_pass_name(&head.pass) {
        return Err(format!("its pass {:?} names no folder: one word without / or \\ is meant", head.pass));
    }
    content.uneven(&WIDTHS).map_or(Ok(()), Err)
}

fn rows(head: &Head, content: &Content, clock: &Clock, import: &mut Import<'_>) -> Result<(), Error> {
    let (calls, untimed_calls) = calls(content, clock);
    let names = kernel_names(content);
    let (activities, untimed) = activities(content, &names, clock, head.process, &calls);
    let (ranges, ends) = ranges(content, clock);
    devices(content, &activities, import)?;
    for (row, activity) in activities.iter().enumerate() {
        import.activity(activity, || format!("activity {row}, {}", activity.name))?;
    }
    for (row, call) in calls.iter().enumerate() {
        import.call(call, || format!("call {row}, {}", call.name))?;
    }
    for (row, (range, payload)) in ranges.into_iter().enumerate() {
        let range = proftool_trace::rows::Range { payload: payload.as_deref(), ..range };
        import.range(&range, || format!("range {row}, {}", range.name))?;
    }
    counters(head, content, &names, import)?;
    let whole = activities.iter().filter(|activity| activity.kind == "graph").count() as u64;
    import.issue(
        Severity::Error,
        "graph_granularity",
        whole,
        "whole graph launches without the kernels inside them: idle time, kernels and roofline of these spans are not known \
         (hint: record without PROFTOOL_CUPTI_GRAPHS=graph)",
    );
    let text = "records for which CUPTI had no time were left out";
    import.issue(Severity::DataLoss, "untimed_records", untimed + untimed_calls, text);
    let text = "ranges that began before the recording did were left out";
    import.issue(Severity::Info, "ranges_without_start", ends, text);
    Ok(())
}

/// The names of kernels by their number, as a C++ programmer writes them.
fn kernel_names(content: &Content) -> BTreeMap<i64, String> {
    let mut names = BTreeMap::new();
    let counted = content.rows::<11>(*b"crng").map(|row| row[3]);
    for number in content.rows::<17>(*b"kern").map(|row| row[6]).chain(counted) {
        if let Some(name) = content.text(number) {
            names.entry(number).or_insert_with(|| demangled(name));
        }
    }
    names
}

fn demangled(name: &str) -> String {
    let readable = Symbol::new(name).ok().and_then(|symbol| symbol.demangle().ok());
    readable.unwrap_or_else(|| name.to_owned())
}

fn issues(head: &Head, content: &Content, import: &mut Import<'_>) {
    if content.cut {
        let text =
            "the file ends in a block that is not whole, which was left out; capture again, with enough free disk";
        import.issue(Severity::DataLoss, "truncated_file", 1, text);
    }
    if !content.complete {
        let text = if head.pass == COUNTING {
            "the program did not end by itself: the counts of its last kernels may be missing, 64 of each context unless \
             PROFTOOL_CUPTI_RANGES says otherwise"
        } else {
            "the program did not end by itself: what it did in its last 100 ms may be missing"
        };
        import.issue(Severity::DataLoss, "no_tail", 1, text);
    }
    if head.cupti_version > head.newest_known_version {
        let (found, known) = (head.cupti_version, head.newest_known_version);
        let text =
            format!("CUPTI {found} is newer than {known}, the last whose records were checked when this was built");
        import.issue(Severity::Info, "newer_cupti", 1, text);
    }
    let [dropped, refused, unknown, unreadable] = content.rows::<4>(*b"lost").next_back().unwrap_or_default();
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let text = format!(
        "records that CUPTI dropped; {refused} requests for a buffer were refused (hint: raise PROFTOOL_CUPTI_BUFFERS, or \
         record a shorter run)"
    );
    import.issue(Severity::DataLoss, "dropped_records", count(dropped), text);
    import.issue(Severity::Info, "unknown_records", count(unknown), "records of kinds that are not read were left out");
    import.issue(
        Severity::DataLoss,
        "unreadable_records",
        count(unreadable),
        "records that made no sense were left out",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::import_bytes;
    use proftool_trace::frame::{Tables, floats, ints, texts};
    use proftool_trace::tables;

    const N: i64 = i64::MIN;
    const HEAD: &str = r#"{"format": "cupti", "version": 1, "pass": "cupti", "rank": 2, "process": 42, "parent_process": 1,
        "session_start_unix_ns": 5, "session_start_monotonic_ns": 1000, "clock": "CLOCK_MONOTONIC", "cupti_version": 26,
        "newest_known_version": 130500, "whole_graphs": false}"#;

    fn push(bytes: &mut Vec<u8>, tag: [u8; 4], payload: &[u8]) {
        bytes.extend(tag);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(crc32fast::hash(&[&tag[..], payload].concat()).to_le_bytes());
        bytes.extend(payload);
    }

    fn push_rows(bytes: &mut Vec<u8>, tag: [u8; 4], fields: &[i64]) {
        push(bytes, tag, &fields.iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>());
    }

    fn start(head: &str) -> Vec<u8> {
        let mut bytes = b"proftool-stream\0\x01\0".to_vec();
        push(&mut bytes, *b"head", head.as_bytes());
        bytes
    }

    /// One of everything; CUPTI's clock is 5000 ns ahead of the monotonic one, which is at 1000 when the session starts.
    fn file() -> Vec<u8> {
        let mut bytes = start(HEAD);
        let names = ["_Z4gemmPf", "cudaLaunchKernel_v7000", "cuLaunchKernel", "Double H100", "step", "vllm", "inner"];
        let strings = names.map(|name| [&(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat()).concat();
        push(&mut bytes, *b"strs", &strings);
        push_rows(&mut bytes, *b"clok", &[6000, 1000, 16_000, 11_000]);
        push_rows(&mut bytes, *b"devi", &[1, 3, 9, 0, 132, 80 << 30, 1_980_000_000, 1, 2]);
        push_rows(&mut bytes, *b"cont", &[2, 1]);
        push_rows(&mut bytes, *b"strm", &[2, 7, -3]);
        push_rows(&mut bytes, *b"call", &[1, 11, 42, 43, 6020, 6030, 2, 0, 0, 11, 42, 43, 6010, 6040, 1, 0]);
        push_rows(&mut bytes, *b"kern", &[11, 1, 2, 7, 6100, 6300, 0, 4, 1, 1, 128, 1, 1, 40, 1024, N, N]);
        push_rows(&mut bytes, *b"kern", &[12, 1, 2, 7, N, N, 0, 4, 1, 1, 128, 1, 1, 40, 1024, N, N]);
        push_rows(&mut bytes, *b"copy", &[13, 1, 2, 8, 6050, 6090, 4096, 1, 2, 3, N, N, 5, 99]);
        push_rows(&mut bytes, *b"copy", &[14, 1, 2, 8, 6400, 6500, 64, 8, 3, 3, 0, 1, N, N]);
        push_rows(&mut bytes, *b"mset", &[15, 1, 2, 7, 6600, 6610, 512, 0, 3, N, N]);
        push_rows(&mut bytes, *b"sync", &[16, 2, 7, 6300, 6700, 3, N]);
        push_rows(&mut bytes, *b"mark", &[2, 2, 6010, 42, 43, 6, 5, 1, 2, 6005, 42, 43, 4, 5]);
        push_rows(
            &mut bytes,
            *b"mark",
            &[2, 4, 6020, 42, 43, N, N, 1, 4, 6800, 42, 43, N, N, 9, 4, 6001, 42, 43, N, N],
        );
        push_rows(&mut bytes, *b"mdat", &[1, 1, 4096, 5]);
        push_rows(&mut bytes, *b"what", &[1]);
        bytes
    }

    fn whole() -> Vec<u8> {
        let mut bytes = file();
        push(&mut bytes, *b"tail", br#"{"complete": true}"#);
        bytes
    }

    fn imported(bytes: &[u8]) -> Result<(Session, Tables), Error> {
        let (imported, tables) = import_bytes("rank2.pid42.cupti.trace", bytes)?;
        assert_eq!((imported.importer, imported.pass.as_str(), imported.rank), ("cupti", "cupti", 2));
        Ok((imported.session, tables))
    }

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    fn codes(tables: &Tables) -> Vec<String> {
        texts(tables.get(&tables::ISSUES), "code").unwrap().into_iter().flatten().collect()
    }

    #[test]
    fn activities_stand_by_start_on_the_session_s_clock_with_the_calls_that_launched_them() {
        let (session, tables) = imported(&whole()).unwrap();
        assert_eq!((session.start_unix_ns, session.start_monotonic_ns, session.time_simulated), (5, 1000, false));
        let table = tables.get(&tables::ACTIVITIES);
        let names = [
            "[CUDA memcpy Host-to-Device]",
            "gemm(float*)",
            "Stream Sync",
            "[CUDA memcpy Peer-to-Peer]",
            "[CUDA memset]",
        ];
        assert_eq!(texts(table, "name").unwrap(), some(&names));
        assert_eq!(ints(table, "start_ns").unwrap(), [50, 100, 300, 400, 600].map(Some));
        assert_eq!(ints(table, "call").unwrap(), [None, Some(0), None, None, None]);
        assert_eq!(ints(table, "queue").unwrap(), [8, 7, 7, 8, 7].map(Some));
        assert_eq!(ints(table, "graph_node").unwrap(), [Some(99), None, None, None, None]);
        assert_eq!(texts(table, "copy_kind").unwrap()[3].as_deref(), Some("p2p"));
        assert_eq!(ints(table, "shared_bytes").unwrap()[1], Some(1024));
        let calls = tables.get(&tables::CALLS);
        assert_eq!(texts(calls, "name").unwrap(), some(&["cudaLaunchKernel", "cuLaunchKernel"]));
        assert_eq!(ints(tables.get(&tables::QUEUES), "priority").unwrap(), [Some(-3), None]);
        assert_eq!(texts(tables.get(&tables::DEVICES), "arch").unwrap(), some(&["sm_90"]));
    }

    /// Written by the recorder in a program of its tests (`crates/inject/tests/program.c`, mode `end`).
    const RECORDED: &[u8] = include_bytes!("../cupti/testdata/rank0.pid42.cupti.trace");

    #[test]
    fn what_the_recorder_writes_is_read_whole() {
        let (imported, tables) = import_bytes("rank0.pid42.cupti.trace", RECORDED).unwrap();
        assert_eq!((imported.importer, imported.rank), ("cupti", 0));
        let table = tables.get(&tables::ACTIVITIES);
        let names = ["gemm(float*)", "Stream Sync", "[CUDA memcpy Host-to-Device]", "[CUDA memset]"];
        assert_eq!(texts(table, "name").unwrap(), some(&names));
        let times = |table, column: &str| ints(table, column).unwrap().into_iter().flatten().collect::<Vec<_>>();
        let (starts, ends) = (times(table, "start_ns"), times(table, "end_ns"));
        let calls = times(tables.get(&tables::CALLS), "start_ns");
        let near = |time: i64, wanted: i64| assert!((time - wanted).abs() < 10, "{time} {wanted}");
        near(starts[0] - calls[0], 800);
        near(ends[0] - starts[0], 2000);
        assert_eq!(ints(table, "call").unwrap(), [Some(0), None, None, None]);
        assert_eq!(ints(table, "graph_id").unwrap(), [None, None, None, Some(5)]);
        assert_eq!(texts(tables.get(&tables::RANGES), "name").unwrap(), some(&["step"]));
        assert_eq!(texts(tables.get(&tables::DEVICES), "name").unwrap(), some(&["Double H100"]));
        assert!(codes(&tables).iter().all(|code| code == "unknown_hardware"));
    }

    /// Three launches of two kernels, one of them in a graph, with the values of two metrics.
    fn counted(end: &[(&[u8; 4], &[i64])]) -> Vec<u8> {
        let head = HEAD.replace("\"pass\": \"cupti\"", "\"pass\": \"cupti_counters\"");
        let mut bytes = start(&head.replace("\"cupti_version\": 26", "\"cupti_version\": 130500"));
        let names = [
            "_Z4gemmPf",
            "GH100",
            "gpu__time_duration.sum",
            "ns",
            "dram__bytes.sum",
            "Double H100",
            "no_permission",
            "it was busy (hint: wait)",
        ];
        let strings = names.map(|name| [&(name.len() as u32).to_le_bytes()[..], name.as_bytes()].concat()).concat();
        push(&mut bytes, *b"strs", &strings);
        push_rows(&mut bytes, *b"clok", &[6000, 1000]);
        push_rows(&mut bytes, *b"devi", &[1, 5, 9, 0, 132, N, 1_980_000_000, N, N]);
        push_rows(&mut bytes, *b"cont", &[2, 1]);
        for (tag, fields) in end {
            push_rows(&mut bytes, **tag, fields);
        }
        push(&mut bytes, *b"tail", b"{}");
        bytes
    }

    #[test]
    fn counted_kernels_are_launches_with_values_as_those_of_ncu() {
        let value = |value: f64| value.to_bits().cast_signed();
        let bytes = counted(&[
            (b"cset", &[2, 1, 1, 3, 64, 1]),
            (b"cdef", &[0, 2, 3, 1, 4, N]),
            (b"crng", &[0, 1, 2, 0, 4, 1, 1, 128, 1, 1, 0, 1, 1, 2, 0, 4, 1, 1, 128, 1, 1, 0]),
            (b"cval", &[0, 0, value(1500.5), 0, 1, value(4096.0), 1, 0, value(f64::NAN)]),
            (b"crng", &[2, 1, 2, N, N, N, N, N, N, N, 1, 3, 1, 2, N, N, N, N, N, N, N, 0]),
            (b"clos", &[1, 1, 2, 1]),
        ]);
        let (imported, tables) = import_bytes("rank2.pid42.cupti.trace", &bytes).unwrap();
        assert_eq!((imported.importer, imported.pass.as_str(), imported.lost), ("cupti", "cupti_counters", true));
        let launches = tables.get(&tables::LAUNCHES);
        assert_eq!(texts(launches, "name").unwrap(), some(&["gemm(float*)", "gemm(float*)", "CUDA graph", "unknown"]));
        assert_eq!(ints(launches, "launch_index").unwrap(), [0, 1, 0, 0].map(Some));
        assert_eq!(texts(launches, "block").unwrap()[1..3], [Some("(128,1,1)".to_owned()), None]);
        assert_eq!(ints(launches, "activity").unwrap(), [None; 4]);
        let defs = tables.get(&tables::COUNTER_DEFS);
        assert_eq!(texts(defs, "metric").unwrap(), some(&["gpu__time_duration.sum", "dram__bytes.sum"]));
        assert_eq!(texts(defs, "unit").unwrap(), [Some("ns".to_owned()), None]);
        assert_eq!(texts(defs, "tool_version").unwrap(), some(&["13.5", "13.5"]));
        assert_eq!(floats(tables.get(&tables::COUNTERS), "value").unwrap(), [Some(1500.5), Some(4096.0)]);
        assert_eq!(texts(tables.get(&tables::DEVICES), "uuid").unwrap(), [None]);
        let found = codes(&tables);
        for code in ["dropped_ranges", "unnamed_kernels", "uncounted_launches", "missing_values"] {
            assert!(found.contains(&code.to_owned()), "{found:?}");
        }
    }

    /// Written by the recorder in a program of its tests (`crates/inject/tests/counting_program.c`, mode `graph 3`).
    const COUNTED: &[u8] = include_bytes!("../cupti/testdata/rank0.pid43.cupti.trace");

    #[test]
    fn what_the_recorder_counts_is_read_whole() {
        let (imported, tables) = import_bytes("rank0.pid43.cupti.trace", COUNTED).unwrap();
        assert_eq!((imported.pass.as_str(), imported.rank, imported.devices), ("cupti_counters", 0, vec![0]));
        let launches = tables.get(&tables::LAUNCHES);
        let [gemm, copy, graph] = ["gemm(float*)", "copy(float*)", "CUDA graph"];
        assert_eq!(texts(launches, "name").unwrap(), some(&[gemm, copy, gemm, graph, graph, graph, gemm]));
        assert_eq!(ints(launches, "launch_index").unwrap(), [0, 0, 1, 0, 1, 2, 2].map(Some));
        assert_eq!(texts(launches, "grid").unwrap()[0].as_deref(), Some("(4,5,6)"));
        let values = floats(tables.get(&tables::COUNTERS), "value").unwrap();
        assert_eq!((values.len(), values[0], values[20]), (21, Some(1000.0), Some(7002.0)));
        assert_eq!(texts(tables.get(&tables::DEVICES), "arch").unwrap(), some(&["sm_90"]));
        assert!(codes(&tables).iter().all(|code| code == "unknown_hardware"), "{:?}", codes(&tables));
    }

    #[test]
    fn a_pass_that_was_refused_is_one_error_that_says_why() {
        let error = imported(&counted(&[(b"note", &[6, 7])])).unwrap_err().to_string();
        assert!(error.contains("holds no counts: it was busy") && error.contains("hint: wait)"), "{error}");
    }

    #[test]
    fn ranges_nest_and_have_payloads() {
        let (_, tables) = imported(&whole()).unwrap();
        let ranges = tables.get(&tables::RANGES);
        assert_eq!(texts(ranges, "name").unwrap(), some(&["step", "inner"]));
        assert_eq!(ints(ranges, "parent").unwrap(), [None, Some(0)]);
        assert_eq!(ints(ranges, "end_ns").unwrap(), [800, 20].map(Some));
        assert_eq!(texts(ranges, "payload").unwrap(), [Some("category=5, 4096".to_owned()), None]);
        assert_eq!(texts(ranges, "domain").unwrap(), some(&["vllm", "vllm"]));
        let mut found = codes(&tables);
        found.retain(|code| code != "unknown_hardware");
        assert_eq!(found, ["untimed_records", "ranges_without_start"]);
    }

    #[test]
    fn every_cut_keeps_the_whole_blocks_or_is_one_clear_error() {
        let bytes = whole();
        for length in 18..bytes.len() {
            match imported(&bytes[..length]) {
                Ok((_, tables)) => assert!(codes(&tables).contains(&"no_tail".to_owned()), "cut at {length}"),
                Err(Error::Damaged { .. } | Error::NoRows { .. }) => {}
                Err(error) => panic!("cut at {length}: {error}"),
            }
        }
    }

    #[test]
    fn a_block_that_was_changed_ends_the_file() {
        let mut bytes = whole();
        let place = bytes.len() - 40;
        bytes[place] ^= 1;
        assert!(codes(&imported(&bytes).unwrap().1).contains(&"truncated_file".to_owned()));
    }

    #[test]
    fn losses_are_issues_and_the_last_count_holds() {
        let mut bytes = file();
        push_rows(&mut bytes, *b"lost", &[1, 0, 0, 0, 7, 3, 2, 1]);
        push(&mut bytes, *b"tail", b"{}");
        let (_, tables) = imported(&bytes).unwrap();
        let issues = tables.get(&tables::ISSUES);
        let found: Vec<_> = codes(&tables).into_iter().zip(ints(issues, "count").unwrap()).collect();
        for wanted in [("dropped_records", 7), ("unknown_records", 2), ("unreadable_records", 1)] {
            assert!(found.contains(&(wanted.0.to_owned(), Some(wanted.1))), "{found:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_one_clear_error() {
        let mut uneven = file();
        push_rows(&mut uneven, *b"kern", &[1]);
        let mut odd = file();
        push(&mut odd, *b"kern", b"abc");
        let mut string = file();
        push(&mut string, *b"strs", &[200, 0, 0, 0, 1]);
        let mut timeless = start(HEAD);
        push_rows(&mut timeless, *b"cont", &[1, 2]);
        let other = start(&HEAD.replace("\"cupti\", \"version\"", "\"host\", \"version\""));
        let outside = start(&HEAD.replace("\"pass\": \"cupti\"", "\"pass\": \"../x\""));
        let cases = [
            (uneven, "17 fields"),
            (odd, "fields"),
            (string, "string"),
            (timeless, "no time"),
            (other, "\"host\""),
            (outside, "names no folder"),
        ];
        for (bytes, part) in cases {
            let error = imported(&bytes).unwrap_err().to_string();
            assert!(error.contains("is damaged") && error.contains(part), "{error}");
        }
        let mut newer = whole();
        newer[16] = 2;
        assert!(matches!(imported(&newer), Err(Error::NewerVersion { found: 2, .. })));
        let newer = start(&HEAD.replace("\"version\": 1", "\"version\": 3"));
        assert!(matches!(imported(&newer), Err(Error::NewerVersion { found: 3, .. })));
    }
}
