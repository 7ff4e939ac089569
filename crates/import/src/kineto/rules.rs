//! The importer's rules on small files.

use proftool_trace::frame::{Tables, ints, json_rows, texts};
use proftool_trace::tables::{ACTIVITIES, CALLS, COLLECTIVES, ISSUES, RANGES};

use crate::fixture::import_bytes;

fn import(json: &str) -> Tables {
    import_bytes("trace.json", json.as_bytes()).unwrap().1
}

fn codes(tables: &Tables) -> Vec<(String, i64)> {
    let frame = tables.get(&ISSUES);
    let codes = texts(frame, "code").unwrap().into_iter().zip(ints(frame, "count").unwrap());
    codes.map(|(code, count)| (code.unwrap(), count.unwrap())).collect()
}

/// A launch or a kernel with that number.
fn event(category: &str, pid: i64, ts: i64, correlation: i64) -> String {
    let args = format!(r#"{{"correlation":{correlation},"device":0,"stream":7}}"#);
    format!(r#"{{"ph":"X","cat":"{category}","name":"k","pid":{pid},"tid":1,"ts":{ts},"dur":1,"args":{args}}}"#)
}

/// The calls of the activities, by their number.
fn calls(tables: &Tables) -> Vec<Option<i64>> {
    let frame = tables.get(&ACTIVITIES);
    let mut rows: Vec<_> = ints(frame, "id").unwrap().into_iter().zip(ints(frame, "call").unwrap()).collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, call)| call).collect()
}

#[test]
fn two_processes_in_one_file_have_numbers_of_their_own() {
    let mut events = Vec::new();
    for (process, begin) in [(100, 0), (200, 1000)] {
        events.extend((1..4).flat_map(|number| {
            let ts = begin + number * 10;
            [event("cuda_runtime", process, ts, number), event("kernel", 0, ts + 5, number)]
        }));
    }
    let tables = import(&format!("[{}]", events.join(",")));
    assert_eq!(calls(&tables), [0, 1, 2, 3, 4, 5].map(Some));
    let processes = ints(tables.get(&ACTIVITIES), "process").unwrap();
    assert_eq!(processes.iter().filter(|process| **process == Some(200)).count(), 3);
    assert_eq!(codes(&tables)[1], ("correlation_repeated".to_owned(), 3));
}

#[test]
fn a_row_that_names_a_process_belongs_to_a_call_of_it() {
    let launches = [event("cuda_runtime", 100, 1, 7), event("cuda_runtime", 200, 2, 7)].join(",");
    let kernels = [100, 200, 0, 300].map(|pid| event("kernel", pid, 9, 7)).join(",");
    assert_eq!(calls(&import(&format!("[{launches},{kernels}]"))), [0, 1, 1, 1].map(Some));
}

#[test]
fn correlation_zero_links_nothing() {
    let events = [event("cuda_runtime", 1, 1, 0), event("cuda_driver", 1, 2, 0), event("kernel", 0, 3, 0)].join(",");
    let tables = import(&format!("[{events}]"));
    assert_eq!(calls(&tables), [None]);
    assert_eq!(ints(tables.get(&CALLS), "correlation").unwrap(), [None, None]);
    assert_eq!(codes(&tables)[0], ("launch_not_recorded".to_owned(), 1));
    assert!(!codes(&tables).iter().any(|(code, _)| code == "correlation_repeated"));
}

#[test]
fn group_sizes_may_stand_behind_the_events() {
    for rank in [0, 3] {
        let json = format!(
            r#"{{"traceEvents":[{{"ph":"X","cat":"kernel","name":"nccl","ts":2,"dur":1,"args":{{"Collective name":"allreduce",
            "Process Group Name":"tp"}}}}],"distributedInfo":{{"rank":{rank},"pg_config":[{{"pg_name":"tp","pg_size":8}}]}}}}"#
        );
        let rows = json_rows(import(&json).get(&COLLECTIVES));
        assert_eq!((rows.len(), &rows[0]["group_size"]), (1, &8.into()), "{rank}");
    }
}

#[test]
fn device_annotations_are_narrowed_in_files_with_decimals_only() {
    let spans = |kernel: &str| {
        let annotation = r#"{"ph":"X","cat":"gpu_user_annotation","name":"a","pid":0,"tid":7"#;
        let events = format!(
            r#"{annotation},"ts":10,"dur":20.5}},{{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":{kernel},"dur":1}}"#
        );
        let tables = import(&format!("[{events}]"));
        let ranges = tables.get(&RANGES);
        (ints(ranges, "start_ns").unwrap()[0].unwrap(), ints(ranges, "end_ns").unwrap()[0].unwrap())
    };
    assert_eq!(spans("11.5"), (10_001, 30_499));
    assert_eq!(spans("11"), (10_000, 30_500));
}

#[test]
fn an_array_may_end_without_its_bracket_but_not_inside_an_event() {
    let one = event("kernel", 0, 1, 7);
    for end in ["", ",", "\n", ",\n", ",]", " , ]\n"] {
        let tables = import(&format!("[{one},{one}{end}"));
        assert_eq!(tables.get(&ACTIVITIES).height(), 2, "{end:?}");
        assert!(codes(&tables).contains(&("array_not_closed".to_owned(), 1)), "{end:?}");
    }
    let bad = [&one[..one.len() - 1], "{", &format!("{one},,]"), &format!("{one},] 7"), &format!("{one} {one}]")];
    for (number, rest) in [2, 2, 3, 0, 3].into_iter().zip(bad) {
        let message = import_bytes("trace.json", format!("[{one},{rest}").as_bytes()).unwrap_err().to_string();
        let event = format!("(event {number})");
        assert!(message.contains("byte ") && (number == 0 || message.contains(&event)), "{message}");
    }
}

#[test]
fn a_missing_length_is_zero() {
    let tables = import(r#"[{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":4}]"#);
    let frame = tables.get(&ACTIVITIES);
    assert_eq!((ints(frame, "start_ns").unwrap()[0], ints(frame, "end_ns").unwrap()[0]), (Some(4000), Some(4000)));
    assert!(codes(&tables).contains(&("no_duration".to_owned(), 1)));
}
