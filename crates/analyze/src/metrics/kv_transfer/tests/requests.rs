use super::*;
use crate::fixture::manifest;
use proftool_trace::manifest::Pass;

/// Request, kind, device, start, end and bytes of one event.
type Event = (&'static str, &'static str, Option<i64>, i64, i64, Option<i64>);

fn add_log(tables: &mut Tables, events: &[Event], devices: &[(&'static str, [Option<i64>; 3])]) {
    let count = devices.len();
    let device = |name, at: usize| int_column(name, devices.iter().map(|row| row.1[at]));
    let requests = vec![
        constant("pass", "log", count),
        int_column("rank", vec![Some(0); count]),
        text_column("request", devices.iter().map(|row| Some(row.0))),
        int_column("arrival_ns", vec![Some(0); count]),
        device("prefill_device", 0),
        device("decode_device", 1),
        device("first_token_device", 2),
        constant("status", "ok", count),
    ];
    tables.set(&tables::REQUESTS, build(&tables::REQUESTS, requests).unwrap()).unwrap();
    let rows = vec![
        constant("pass", "log", events.len()),
        int_column("rank", vec![Some(0); events.len()]),
        text_column("request", events.iter().map(|event| Some(event.0))),
        text_column("kind", events.iter().map(|event| Some(event.1))),
        int_column("device", events.iter().map(|event| event.2)),
        int_column("start_ns", events.iter().map(|event| Some(event.3))),
        int_column("end_ns", events.iter().map(|event| Some(event.4))),
        int_column("bytes", events.iter().map(|event| event.5)),
    ];
    tables.set(&tables::REQUEST_EVENTS, build(&tables::REQUEST_EVENTS, rows).unwrap()).unwrap();
}

#[test]
fn a_request_exposes_what_comes_after_its_prefill_to_whoever_emits_the_first_token() {
    let mut tables = Tables::default();
    let events = [
        ("a", "prefill", None, 0, 10, None),
        ("a", "kv_transfer", None, 5, 17, Some(24)),
        ("b", "prefill", None, 0, 10, None),
        ("b", "kv_transfer", None, 5, 17, None),
    ];
    add_log(&mut tables, &events, &[("a", [None, Some(1), Some(1)]), ("b", [None, Some(1), Some(0)])]);
    let frame = kv(&tables);
    // Rows: the timeline, all requests, a, b. Nobody knows the sender, so both transfers may be one device's.
    assert_eq!(ints(&frame, "exposed_ttft_ns").unwrap(), [None, Some(7), Some(7), None]);
    assert_eq!(ints(&frame, "exposed_itl_ns").unwrap(), [None, Some(7), None, Some(7)]);
    assert_eq!(ints(&frame, "total_ns").unwrap(), [Some(0), Some(12), Some(12), Some(12)]);
    assert_eq!(ints(&frame, "bytes").unwrap(), [Some(0), Some(24), Some(24), None]);
    assert_eq!(ints(&frame, "decode_wait_ns").unwrap(), [None; 4]);
    let reason = texts(&frame, "reason").unwrap()[2].clone().unwrap();
    assert!(reason.contains("prefill device") && reason.contains("no decode event"), "{reason}");
}

const REQUEST: [Event; 4] = [
    ("a", "prefill", None, 0, 60, None),
    ("a", "kv_transfer", None, 40, 80, Some(4000)),
    ("a", "queued", None, 80, 95, None),
    ("a", "decode", None, 110, 150, None),
];

fn pass(name: &str, unix: i64) -> Pass {
    Pass {
        name: name.to_owned(),
        profilers: Vec::new(),
        clock: String::new(),
        start_unix_ns: unix,
        start_monotonic_ns: 0,
        ranks: Vec::new(),
    }
}

/// Device 0 prefills 500..560, device 1 decodes 570..585 and 610..620, on the clock of the timeline.
fn timeline() -> Fixture {
    Fixture::new()
        .kernel(0, 0, (500, 560))
        .work(0, "prefill", 0, 0, 8)
        .kernel(1, 0, (570, 585))
        .work(0, "decode", 0, 0, 8)
        .kernel(1, 0, (610, 620))
        .work(0, "decode", 0, 0, 8)
        .link(0, 1, 2e11)
}

#[test]
fn a_request_log_of_another_pass_is_joined_by_a_clock() {
    // The log began 500 ns after the timeline: its transfer 40..80 is 540..580, half of it behind the prefill. The wait
    // 60..110 is 560..610: decoding 570..585, transfer 560..570, queued 585..595, other 595..610.
    let mut tables = timeline().tables();
    add_log(&mut tables, &REQUEST, &[("a", [Some(0), Some(1), Some(1)])]);
    let mut manifest = manifest(1);
    manifest.passes = vec![pass("host", 1000), pass("log", 1500)];
    let input = Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest);
    let frame = compute(&input).unwrap();
    for row in [1, 2] {
        assert_eq!(stall(&frame, row), [50, 15, 10, 10, 15].map(Some));
        let values = ["total_ns", "sender_hidden_ns", "sender_exposed_ns", "exposed_ttft_ns", "decode_stall_ns"];
        assert_eq!(values.map(|name| int(&frame, row, name)), [40, 20, 20, 20, 35].map(Some));
        assert_eq!(texts(&frame, "clock").unwrap()[row].as_deref(), Some("utc"));
        assert_eq!(texts(&frame, "compute_source").unwrap()[row].as_deref(), Some("activities"));
        // 4000 bytes in 40 ns are 100 GB/s of 200.
        assert_eq!(
            (float_of(&frame, row, "link_ratio"), float_of(&frame, row, "coverage_ratio")),
            (Some(0.5), [None, Some(1.0), None][row])
        );
    }
}

#[test]
fn without_a_common_clock_the_log_speaks_for_itself() {
    let mut tables = timeline().tables();
    add_log(&mut tables, &REQUEST, &[("a", [Some(0), Some(1), Some(1)])]);
    let frame = kv(&tables);
    // Nobody decodes on device 1 before 110: transfer 60..80, queued 80..95, other 95..110.
    assert_eq!(stall(&frame, 2), [50, 0, 20, 15, 15].map(Some));
    assert_eq!((int(&frame, 2, "sender_hidden_ns"), texts(&frame, "clock").unwrap()[2].as_deref()), (Some(20), None));
    assert_eq!(texts(&frame, "compute_source").unwrap()[2].as_deref(), Some("request_events"));
}

#[test]
fn a_preempted_request_waits_for_its_first_decode_only_and_others_decode_meanwhile() {
    let mut tables = Tables::default();
    let events = [
        ("a", "prefill", Some(0), 0, 10, None),
        ("a", "kv_transfer", Some(0), 10, 20, None),
        ("a", "decode", Some(1), 40, 50, None),
        ("a", "prefill", Some(0), 60, 70, None),
        ("a", "decode", Some(1), 80, 90, None),
        ("b", "decode", Some(1), 15, 30, None),
    ];
    add_log(&mut tables, &events, &[]);
    // Wait 10..40: b decodes 15..30, transfer 10..15, other 30..40; the log knows no queue.
    let frame = kv(&tables);
    assert_eq!(stall(&frame, 2), [Some(30), Some(15), Some(5), None, Some(10)]);
    assert_eq!(int(&frame, 2, "sender_hidden_ns"), Some(0));
}

#[test]
fn interference_of_a_log_compares_steps_of_equal_batch() {
    let mut tables = Tables::default();
    add_log(&mut tables, &[("a", "kv_transfer", None, 0, 100, None)], &[]);
    // start, end, prompt tokens, batch: 30 with a transfer over 20 without; the mixed step and batch 9 say nothing.
    let steps = [(0, 30, 0, 8), (200, 220, 0, 8), (40, 99, 64, 8), (300, 310, 0, 9)];
    let column =
        |name, value: fn(&(i64, i64, i64, i64)) -> i64| int_column(name, steps.iter().map(|step| Some(value(step))));
    let columns = vec![
        constant("pass", "log", steps.len()),
        int_column("rank", vec![Some(0); steps.len()]),
        int_column("device", vec![Some(1); steps.len()]),
        column("start_ns", |step| step.0),
        column("end_ns", |step| step.1),
        column("prefill_tokens", |step| step.2),
        column("decode_batch", |step| step.3),
    ];
    tables.set(&tables::STEPS, build(&tables::STEPS, columns).unwrap()).unwrap();
    let frame = kv(&tables);
    assert_eq!(float_of(&frame, all_of(&frame, "requests"), "interference_ratio"), Some(1.5));
}

#[test]
fn any_time_and_size_has_an_answer() {
    let (low, high) = (i64::MIN, i64::MAX);
    let mut tables = Fixture::new()
        .queue(0, 1, "kv")
        .kernel(0, 0, (low, high))
        .work(0, "prefill", 0, 0, 8)
        .copy(0, 1, (low, high), 1, high)
        .after(&[0])
        .copy(0, 1, (low, high), 1, high)
        .copy(0, 1, (5, 5), 1, -7)
        .kernel(1, 0, (high, high))
        .work(0, "decode", 0, 0, 8)
        .after(&[1, 2, 3])
        .link(0, 1, 1e-300)
        .tables();
    let events = [
        ("a", "prefill", Some(0), high, low, Some(low)),
        ("a", "kv_transfer", None, low, high, Some(low)),
        ("a", "decode", Some(0), low, low, None),
    ];
    add_log(&mut tables, &events, &[]);
    let frame = kv(&tables);
    for name in ["bytes_per_s", "link_ratio", "interference_ratio", "sender_hidden_ratio"] {
        assert!(floats(&frame, name).unwrap().into_iter().flatten().all(f64::is_finite), "{name}");
    }
    assert!(ints(&frame, "total_ns").unwrap().into_iter().flatten().all(|ns| ns >= 0));
}
