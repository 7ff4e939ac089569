//! Logs that are not whole, and rows that cannot be true.

use proftool_serving::log::{EventRow, IssueRow, RequestRow, StepRow};

use super::*;

/// A log of 200 requests with an event each: the head, 400 lines, the end.
fn good() -> Vec<String> {
    let cluster = cluster();
    let mut log = log(Time::Simulated, &cluster);
    for number in 0..200_u64 {
        let (request, at) = (number.into(), number as i64 * 1000);
        log.event(&EventRow { kind: "prefill", request, device: Some(0), start_ns: at, end_ns: at + 500, bytes: None });
        let end_ns = Some(at + 900);
        log.request(&RequestRow { request, arrival_ns: at, end_ns, status: "ok", ..RequestRow::default() });
    }
    let text = String::from_utf8(log.finish().unwrap()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn of(lines: &[String]) -> Vec<u8> {
    (lines.join("\n") + "\n").into_bytes()
}

/// Requests, events and issues of a log.
fn counts(lines: &[String]) -> (usize, usize, Vec<String>) {
    let (_, tables) = imported(&of(lines));
    let height = |table| tables.get(table).height();
    (height(&tables::REQUESTS), height(&tables::REQUEST_EVENTS), issues(&tables))
}

#[test]
fn a_whole_log_has_no_issue() {
    assert_eq!(counts(&good()), (200, 200, vec![]));
}

#[test]
fn of_a_log_that_is_cut_everything_before_is_kept() {
    let mut lines = good();
    lines.truncate(301);
    let cut = lines[300].len() / 2;
    lines[300].truncate(cut);
    // The cut line is the row of request 149, whose event is the line before.
    let (requests, events, issues) = counts(&lines);
    assert_eq!((requests, events), (149, 149));
    assert_eq!(issues, ["cut_short data_loss 1", "events_without_request data_loss 1"]);
    lines.truncate(300);
    assert_eq!(counts(&lines).2, ["no_end data_loss 1", "events_without_request data_loss 1"]);
    assert!(imported(&of(&lines)).0.lost);
}

#[test]
fn a_line_that_is_missing_or_damaged_is_counted_and_the_rest_kept() {
    let mut lines = good();
    lines.remove(10);
    assert_eq!(
        counts(&lines),
        (199, 199, vec!["lines_missing data_loss 1".into(), "events_without_request data_loss 1".into()])
    );
    let mut lines = good();
    lines[11].truncate(20);
    assert_eq!(counts(&lines), (200, 199, vec!["bad_line data_loss 1".into()]));
    let (_, tables) = imported(&of(&lines));
    let detail = texts(tables.get(&tables::ISSUES), "detail")[0].clone().unwrap();
    assert!(detail.contains("line 12: EOF while parsing"), "{detail}");
}

#[test]
fn rows_that_cannot_be_true_are_left_out_with_their_line() {
    let cases = [
        (r#"{"request":7,"arrival_ns":0,"status":"ok"}"#, "duplicate_request", "stands in the log before"),
        (r#"{"request":"7","arrival_ns":0,"status":"ok"}"#, "duplicate_request", "stands in the log before"),
        (r#"{"request":"x","arrival_ns":9,"first_token_ns":8,"status":"ok"}"#, "end_before_start", "before arrival 9"),
        (r#"{"request":"x","arrival_ns":9,"end_ns":8,"status":"failed"}"#, "end_before_start", "before start 9"),
        (r#"{"request":"x","arrival_ns":0,"prompt_tokens":-1,"status":"ok"}"#, "negative_value", "token count"),
        (r#"{"request":"x","arrival_ns":0,"decode_device":9,"status":"ok"}"#, "unknown_device", "device 9"),
        (r#"{"request":"x","arrival_ns":0,"status":"done"}"#, "bad_value", "status is"),
        (r#"{"event":"nap","request":7,"start_ns":0,"end_ns":1}"#, "bad_value", "event is"),
        (r#"{"event":"token","request":7,"start_ns":5,"end_ns":1}"#, "end_before_start", "end 1"),
        (r#"{"event":"kv_transfer","request":7,"start_ns":0,"end_ns":1,"bytes":-1}"#, "negative_value", "bytes is -1"),
        (r#"{"steps":[],"device":0,"start_ns":0}"#, "bad_value", "durations"),
        (r#"{"steps":[5,-1],"device":0,"start_ns":0}"#, "bad_value", "durations"),
        (r#"{"steps":[9223372036854775807],"device":0,"start_ns":1}"#, "bad_value", "add up"),
        (r#"{"steps":[1,1],"device":0,"start_ns":0,"decode_batch":9223372036854775807}"#, "bad_value", "add up"),
        (r#"{"steps":[1],"device":0,"start_ns":9000000000000000000}"#, "time_out_of_range", "2^61"),
        (r#"{"sample":"up","device":-1,"start_ns":0,"end_ns":1,"value":1}"#, "unknown_device", "device -1"),
        (r#"{"sample":"up","device":0,"start_ns":0,"end_ns":1,"value":1e400}"#, "bad_line", "number out of range"),
        (r#"{"decision":"x","request":7,"t_ns":0,"policy":"p"}"#, "bad_value", "decision is"),
        (r#"{"decision":"admit","request":7,"t_ns":0,"policy":"p","terms":[1]}"#, "bad_value", "terms is"),
        (r#"{"issue":"c","source":"s","severity":"bad","count":1,"detail":""}"#, "bad_value", "severity is"),
        (r#"{"issue":"c","source":"s","severity":"info","count":0,"detail":""}"#, "bad_value", "count is 0"),
        (r#"{"other":1}"#, "bad_line", "first key"),
        (r#"{"end":3}"#, "bad_line", "second last line"),
        (r#"{"request":-7,"arrival_ns":0,"status":"ok"}"#, "bad_line", "a request's number or name"),
        (r#"{"request":8,"request":8,"arrival_ns":0,"status":"ok"}"#, "bad_line", "duplicate field"),
    ];
    for (line, code, reason) in cases {
        let mut lines = good();
        lines.push(line.to_owned());
        lines.push(good()[1].clone());
        let (_, tables) = imported(&of(&lines));
        let detail = texts(tables.get(&tables::ISSUES), "detail")[0].clone().unwrap();
        assert_eq!(issues(&tables), [format!("{code} data_loss 1")], "{line}: {detail}");
        assert!(detail.contains("line 403") && detail.contains(reason), "{line}: {detail}");
        assert_eq!(tables.get(&tables::REQUESTS).height(), 200, "{line}");
    }
}

#[test]
fn a_log_that_is_mostly_bad_is_refused_with_its_first_bad_line() {
    let mut lines = good();
    (1..20).for_each(|at| lines[at].truncate(8));
    let error = refused(&of(&lines));
    assert!(error.contains("damaged at line 2") && error.contains("hint: "), "{error}");
}

#[test]
fn a_head_that_is_newer_or_damaged_is_refused_and_a_newer_minor_version_is_read() {
    let with = |from: &str, to: &str| {
        let mut lines = good();
        lines[0] = lines[0].replace(from, to);
        lines.insert(9, "{\"weather\":{\"sunny\":true}}".to_owned());
        of(&lines)
    };
    let error = refused(&with("\"major\":1", "\"major\":2"));
    assert!(error.contains("version 2 of the router_log format") && error.contains("update proftool"), "{error}");
    for (from, to) in
        [("\"version\"", "\"v\""), ("\"time\":\"simulated\"", "\"time\":\"felt\""), ("\"links\":[", "\"links\":")]
    {
        let error = refused(&with(from, to));
        assert!(error.contains("damaged at line 1"), "{error}");
    }
    let (_, tables) = imported(&with("\"minor\":0", "\"minor\":7"));
    assert_eq!(issues(&tables), ["unknown_lines info 1"]);
}

#[test]
fn a_head_alone_holds_no_events_and_devices_that_stand_twice_are_taken_once() {
    let mut lines = good();
    let error = refused(&of(&lines[..1]));
    assert!(error.contains("holds no events (read as router_log"), "{error}");
    lines[0] = lines[0].replace("{\"device\":1,", "{\"device\":0,");
    let (_, tables) = imported(&of(&lines));
    // The links to and from device 1 lead nowhere then.
    assert_eq!(issues(&tables), ["duplicate_device data_loss 1", "unknown_device data_loss 2"]);
}

#[test]
fn what_the_run_itself_lost_is_lost_for_the_import() {
    let cluster = cluster();
    let mut log = log(Time::Measured, &cluster);
    log.step(&StepRow { end_ns: 1, ..StepRow::default() });
    let issue = IssueRow { code: "scrape", source: "engines", severity: "data_loss", count: 3, detail: "a\nb" };
    log.issue(&issue);
    log.issue(&IssueRow { severity: "info", ..issue });
    let (imported, tables) = imported(&log.finish().unwrap());
    assert!(imported.lost);
    assert_eq!(issues(&tables), ["scrape data_loss 3", "scrape info 3", "lost_in_the_run data_loss 1"]);
    assert_eq!(texts(tables.get(&tables::ISSUES), "detail")[0].as_deref(), Some("a\\nb"));
}
