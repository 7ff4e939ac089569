//! Files that are not what they should be: one clear message, or rows left out and counted.

use proftool_trace::frame::{Tables, ints, texts};
use proftool_trace::tables::{ACTIVITIES, CALLS, ISSUES, RANGES, SAMPLES};

use crate::Error;
use crate::driver::Imported;
use crate::fixture::import_bytes;

fn import(json: &str) -> Result<(Imported, Tables), Error> {
    import_bytes("trace.json", json.as_bytes())
}

fn message(json: &[u8]) -> String {
    import_bytes("trace.json", json).unwrap_err().to_string()
}

/// A trace of these events after 200 good ones.
fn trace(events: &str) -> String {
    let good = r#"{"ph":"X","cat":"cpu_op","name":"op","pid":1,"tid":1,"ts":10,"dur":5},"#.repeat(200);
    format!(r#"{{"traceEvents":[{good}{events}]}}"#)
}

fn issues(tables: &Tables) -> Vec<(String, i64, String)> {
    let frame = tables.get(&ISSUES);
    let (codes, counts) = (texts(frame, "code").unwrap(), ints(frame, "count").unwrap());
    let details = texts(frame, "detail").unwrap();
    let rows = codes.into_iter().zip(counts).zip(details);
    rows.map(|((code, count), detail)| (code.unwrap(), count.unwrap(), detail.unwrap())).collect()
}

fn left_out(events: &str) -> (String, i64, String) {
    let (imported, tables) = import(&trace(events)).unwrap();
    assert!(imported.lost);
    assert_eq!(tables.get(&CALLS).height(), 200);
    issues(&tables).into_iter().next().unwrap()
}

#[test]
fn a_file_that_was_cut_names_the_byte_and_the_event() {
    let whole = trace(r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1,"dur":1}"#);
    let cut = &whole.as_bytes()[..whole.len() - 20];
    let message = message(cut);
    let place = format!("byte {} (event 201)", cut.len());
    assert!(message.contains("trace.json") && message.contains(&place), "{message}");
    assert!(message.contains("ends in the middle") && message.contains("hint:"), "{message}");
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
    let whole = r#"{"baseTimeNanoseconds":1,"traceEvents":[{"ph":"B","cat":"c","name":"a\n","pid":0,"tid":7,"ts":1,"args":
        {"x":[1]}},{"ph":"E","pid":0,"tid":7,"ts":2}],"distributedInfo":{"rank":1}}"#;
    assert!(import(whole).is_ok());
    for end in 40..whole.len() {
        assert!(import(&whole[..end]).is_err(), "{}", &whole[..end]);
    }
}

#[test]
fn what_is_no_json_names_the_byte() {
    let text = message(br#"{"traceEvents": oops}"#);
    assert!(text.contains("byte 16: expected an array"), "{text}");
    let text = message(br#"{"traceEvents": [{"ph": "X" "ts": 1}]}"#);
    assert!(text.contains("byte 28 (event 1): expected a comma"), "{text}");
    let text = message(br#"{"traceEvents": []} trailing"#);
    assert!(text.contains("byte 20: expected the end of the file"), "{text}");
    let text = message(br#"{"traceEvents": [{"ph":"X","ts":1,"dur":1},]}"#);
    assert!(text.contains("byte 43 (event 2): expected a value after the comma"), "{text}");
}

#[test]
fn a_trace_without_events_says_so() {
    let text = message(br#"{"schemaVersion": 1, "deviceProperties": [], "x": "\"traceEvents\""}"#);
    assert!(text.contains("it has no traceEvents"), "{text}");
    let text = message(br#"{"traceEvents": []}"#);
    assert!(text.contains("holds no events"), "{text}");
    let text = message(br#"{"traceEvents": [{"ph":"X","ts":1,"dur":1}], "traceEvents": []}"#);
    assert!(text.contains("traceEvents stands twice"), "{text}");
}

#[test]
fn times_that_do_not_fit_are_left_out_and_counted() {
    for event in [
        r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":9e30,"dur":1}"#,
        r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":9223372036854775808,"dur":1}"#,
        r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":9000000000000000,"dur":9000000000000000}"#,
        r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":4000000000000000,"dur":1}"#,
        r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1,"dur":null}"#,
        r#"{"ph":"i","name":"k","pid":0,"tid":7}"#,
        r#"{"ph":"B","name":"k","pid":0,"tid":7,"ts":"soon"}"#,
    ] {
        let (code, count, detail) = left_out(event);
        assert_eq!((code.as_str(), count), ("time_out_of_range", 1), "{event}");
        assert!(detail.contains("(event 201)"), "{detail}");
    }
}

#[test]
fn negative_durations_are_left_out_and_counted() {
    let (code, count, detail) = left_out(r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":5,"dur":-1}"#);
    assert_eq!((code.as_str(), count), ("end_before_start", 1));
    assert!(detail.contains("(event 201)"), "{detail}");
    let (code, ..) = left_out(r#"{"ph":"B","name":"k","ts":5},{"ph":"E","ts":4}"#);
    assert_eq!(code, "end_before_start");
}

#[test]
fn many_bad_rows_fail_the_import() {
    let bad = r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":5,"dur":-1},"#.repeat(10);
    let text = message(trace(bad.trim_end_matches(',')).as_bytes());
    assert!(text.contains("10 of its 410 rows are impossible") && text.contains("(event 201)"), "{text}");
}

#[test]
fn a_million_tiny_strings_in_place_of_events_are_refused() {
    let json = format!(r#"{{"traceEvents":[{}"x"]}}"#, r#""x","#.repeat(1_000_000));
    let text = message(json.as_bytes());
    assert!(text.contains("1000001 of its 1000001 rows are impossible") && text.contains("it is no object"), "{text}");
}

#[test]
fn a_million_tiny_strings_inside_and_beside_an_event_are_passed() {
    let many = r#""x","#.repeat(1_000_000);
    let event = r#"{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1,"dur":1,"args""#;
    let json = format!(
        r#"{{"schemaVersion":1,"record_shapes":1,"list":[{many}"x"],"traceEvents":[{event}:{{"list":[{many}"x"],"stream":8}}}}]}}"#
    );
    let (_, tables) = import(&json).unwrap();
    assert_eq!(ints(tables.get(&ACTIVITIES), "queue").unwrap(), [Some(8)]);
}

#[test]
fn text_that_is_not_utf8_names_its_byte() {
    let text = message(b"{\"traceEvents\": [{\"ph\":\"X\",\"ts\":1,\"dur\":1,\"name\":\"a\xff\"}]}");
    assert!(text.contains("byte 49 (event 1): a string is not UTF-8"), "{text}");
    let text = message(
        b"{\"traceEvents\": [{\"ph\":\"X\",\"ts\":1,\"dur\":1,\"cat\":\"cpu_op\",\"args\":{\"Input Dims\":\"\xff\"}}]}",
    );
    assert!(text.contains("(event 1): a string is not UTF-8"), "{text}");
}

#[test]
fn deep_nesting_is_refused() {
    for begin in ["{\"traceEvents\": [{\"ph\":\"X\",\"args\":", "{\"traceEvents\": [], \"x\":"] {
        let text = message(format!("{begin}{}", "[".repeat(100_000)).as_bytes());
        assert!(text.contains("nested deeper than 128"), "{text}");
    }
}

#[test]
fn of_two_equal_keys_the_last_counts() {
    let json = trace(
        r#"{"ph":"X","cat":"cpu_op","cat":"kernel","name":"a","name":"b","ts":1,"ts":2,"dur":1,"args":{"stream":1},"args":{}}"#,
    );
    let (_, tables) = import(&json).unwrap();
    let frame = tables.get(&ACTIVITIES);
    assert_eq!(texts(frame, "name").unwrap(), [Some("b".to_owned())]);
    assert_eq!((ints(frame, "start_ns").unwrap()[0], ints(frame, "queue").unwrap()[0]), (Some(2000), None));
}

#[test]
fn halves_become_whole_events_and_those_alone_are_noted() {
    let json = trace(
        r#"{"ph":"B","cat":"user_annotation","name":"outer","pid":1,"tid":2,"ts":1},
        {"ph":"B","cat":"cpu_op","name":"inner","pid":1,"tid":2,"ts":2,"args":{"External id":5}},{"ph":"E","pid":1,"tid":2,"ts":3},
        {"ph":"B","cat":"cpu_op","name":"lost","pid":1,"tid":3,"ts":4},{"ph":"E","pid":1,"tid":4,"ts":5}"#,
    );
    let (_, tables) = import(&json).unwrap();
    let ends = ints(tables.get(&CALLS), "end_ns").unwrap();
    assert_eq!((ends.len(), ends[200]), (201, Some(3000)));
    let ranges = tables.get(&RANGES);
    assert_eq!((ints(ranges, "start_ns").unwrap()[0], ints(ranges, "end_ns").unwrap()[0]), (Some(1000), None));
    let codes: Vec<_> = issues(&tables).into_iter().map(|(code, count, _)| (code, count)).collect();
    assert_eq!(codes, [("end_without_begin".to_owned(), 1), ("begin_without_end".to_owned(), 1)]);
}

#[test]
fn any_chrome_trace_is_read() {
    let json = r#"[
        {"name":"work","cat":"mine","ph":"X","pid":"p","tid":"t","ts":1.5,"dur":2.25,"args":{"a":1}},
        {"name":"note","cat":"mine","ph":"I","pid":1,"tid":2,"ts":2,"args":{ "why" : "x" }},
        {"name":"load","ph":"C","pid":0,"ts":3,"args":{"used":0.5,"free":"NaN","text":"x"}},
        {"name":"async","ph":"b","id":1,"ts":3}]"#;
    let (imported, tables) = import(json).unwrap();
    assert_eq!(imported.session.clock, "trace");
    let ranges = proftool_trace::frame::json_rows(tables.get(&RANGES));
    assert_eq!((&ranges[0]["domain"], &ranges[0]["end_ns"]), (&"mine".into(), &3750.into()));
    assert_eq!((&ranges[1]["style"], &ranges[1]["payload"]), (&"mark".into(), &"{\"why\":\"x\"}".into()));
    let samples = proftool_trace::frame::json_rows(tables.get(&SAMPLES));
    assert_eq!((samples.len(), &samples[0]["value"]), (2, &0.5.into()));
    assert!(samples[1]["value"].is_null());
    let codes: Vec<_> = issues(&tables).into_iter().map(|(code, count, _)| (code, count)).collect();
    assert_eq!(codes, [("phase_not_read".to_owned(), 1), ("unknown_category".to_owned(), 1)]);
}

#[test]
fn the_rank_may_stand_before_or_behind_the_events() {
    let event = r#""traceEvents":[{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":1,"dur":1}]"#;
    let rank = r#""distributedInfo":{"rank":5,"world_size":8}"#;
    for json in [format!("{{{rank},{event}}}"), format!("{{{event},{rank}}}")] {
        let (imported, tables) = import_bytes("trace_rank3.json", json.as_bytes()).unwrap();
        assert_eq!((imported.rank, ints(tables.get(&ACTIVITIES), "rank").unwrap()), (5, vec![Some(5)]), "{json}");
        let (_, _, detail) = issues(&tables).into_iter().find(|issue| issue.0 == "part_of_world").unwrap();
        assert!(detail.starts_with("this file is rank 5 of 8 "), "{detail}");
    }
    let (imported, _) = import_bytes("trace_rank3.json", format!("{{{event}}}").as_bytes()).unwrap();
    assert_eq!(imported.rank, 3);
}

#[test]
fn epoch_times_are_told_by_their_size_or_by_the_base() {
    let trace =
        |ts: &str, rest: &str| format!(r#"{{"traceEvents":[{{"ph":"X","name":"k","ts":{ts},"dur":1}}]{rest}}}"#);
    for (ts, rest, clock, start) in [
        ("1669783687464181", "", "unix epoch", 0),
        ("1.669783687464181e15", "", "unix epoch", 0),
        ("4458676522690.655", r#","baseTimeNanoseconds":1711964646000000000"#, "unix epoch", 1_711_964_646_000_000_000),
        ("12.5", "", "trace", 0),
    ] {
        let (imported, _) = import(&trace(ts, rest)).unwrap();
        assert_eq!((imported.session.clock.as_str(), imported.session.start_unix_ns), (clock, start), "{ts}");
    }
}

#[test]
fn a_kernel_takes_the_collective_of_its_operator() {
    let json = r#"{"traceEvents":[
        {"ph":"X","cat":"cpu_op","name":"record_param_comms","ts":1,"dur":1,"args":{"External id":9,"Collective name":"allreduce",
            "In msg nelems":4,"dtype":"Float"}},
        {"ph":"X","cat":"kernel","name":"add","ts":2,"dur":1,"args":{"External id":9}},
        {"ph":"X","cat":"kernel","name":"ncclDevKernel_AllReduce","ts":2,"dur":1,"args":{"External id":9}}]}"#;
    let (_, tables) = import(json).unwrap();
    let rows = proftool_trace::frame::json_rows(tables.get(&proftool_trace::tables::COLLECTIVES));
    assert_eq!((rows.len(), &rows[0]["activity"], &rows[0]["bytes_in"]), (1, &1.into(), &16.into()));
}

#[test]
fn the_inner_of_two_calls_with_one_correlation_launched() {
    let json = r#"{"traceEvents":[
        {"ph":"X","cat":"kernel","name":"early","ts":3,"dur":1,"args":{"correlation":7,"stream":1}},
        {"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":5,"tid":6,"ts":1,"dur":1,"args":{"correlation":7}},
        {"ph":"X","cat":"cuda_driver","name":"cuLaunchKernel","pid":5,"tid":6,"ts":1,"dur":1,"args":{"correlation":7}},
        {"ph":"X","cat":"kernel","name":"late","ts":5,"dur":1,"args":{"correlation":7,"stream":4294967295}},
        {"ph":"X","cat":"kernel","name":"alone","ts":6,"dur":1,"args":{"correlation":8,"stream":1}}]}"#;
    let (_, tables) = import(json).unwrap();
    let frame = tables.get(&ACTIVITIES);
    let names = texts(frame, "name").unwrap();
    let of = |name: &str, column| {
        let at = names.iter().position(|other| other.as_deref() == Some(name)).unwrap();
        ints(frame, column).unwrap()[at]
    };
    assert_eq!((of("early", "call"), of("late", "call"), of("alone", "call")), (Some(1), Some(1), None));
    assert_eq!((of("early", "process"), of("alone", "process")), (Some(5), Some(5)));
    assert_eq!((of("early", "id"), of("late", "id"), of("late", "queue")), (Some(0), Some(1), None));
    let codes: Vec<_> = issues(&tables).into_iter().map(|(code, count, _)| (code, count)).collect();
    let wanted = [("launch_not_recorded", 1), ("device_not_listed", 1), ("correlation_repeated", 1)];
    assert_eq!(codes, wanted.map(|(code, count)| (code.to_owned(), count)));
}

/// One event of every kind.
const EVERYTHING: &str = r#"{"schemaVersion":1,"deviceProperties":[{"id":0,"name":"d","numSms":1,"computeMajor":9,"computeMinor":0}],
"distributedInfo":{"rank":1,"pg_config":[{"pg_name":"0","pg_size":2}]},"traceEvents":[
{"ph":"M","name":"process_name","pid":1,"args":{"name":"p"}},
{"ph":"X","cat":"cpu_op","name":"op","pid":1,"tid":2,"ts":1.5,"dur":9,"args":{"External id":3,"Input Dims":[[1,2],[]],"Input type":["a"]}},
{"ph":"X","cat":"cuda_runtime","name":"cudaLaunchKernel","pid":1,"tid":2,"ts":2,"dur":1,"args":{"correlation":7,"External id":3}},
{"ph":"s","id":7,"cat":"ac2g","name":"ac2g","pid":1,"tid":2,"ts":2},
{"ph":"X","cat":"kernel","name":"nccl\u00e9","pid":0,"tid":7,"ts":4.25,"dur":1.125,"args":{"correlation":7,"stream":7,"device":0,
"grid":[1,2,3],"block":[4,5,6],"Collective name":"allreduce","In msg nelems":8,"dtype":"Half","Process Group Name":"0"}},
{"ph":"X","cat":"gpu_memcpy","name":"Memcpy HtoD (Pageable -> Device)","pid":0,"tid":7,"ts":6,"dur":1,"args":{"stream":7,"bytes":9}},
{"ph":"X","cat":"gpu_user_annotation","name":"a","pid":0,"tid":7,"ts":3.000,"dur":5.000,"args":{}},
{"ph":"B","cat":"user_annotation","name":"a","pid":1,"tid":2,"ts":1},{"ph":"E","pid":1,"tid":2,"ts":12},
{"ph":"i","cat":"cpu_instant_event","name":"[memory]","ts":5,"args":{"Device Type":1,"Device Id":0,"Total Allocated":1}},
{"ph":"X","cat":"cuda_profiler_range","name":"k","pid":0,"ts":1,"dur":1,"args":{"m":1e9}},
{"ph":"C","name":"c","pid":0,"ts":1,"args":{"v":-0.5}}],"baseTimeNanoseconds":1711964646000000000}"#;

#[test]
fn whatever_is_changed_nothing_panics() {
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        // Knuth's MMIX generator.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let words: [&[u8]; 12] =
        [b"9", b"-", b"\"", b"{", b"]", b"\\u", b"null", b"1e99", b"9223372036854775807", b"\xff", b"", b","];
    let mut read = 0;
    for _ in 0..2000 {
        let mut json = EVERYTHING.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let start = random(json.len());
            let end = (start + random(6)).min(json.len());
            json.splice(start..end, words[random(words.len())].iter().copied());
        }
        read += u32::from(import_bytes("trace.json", &json).is_ok());
    }
    assert!(import(EVERYTHING).is_ok() && read > 100, "{read}");
}
