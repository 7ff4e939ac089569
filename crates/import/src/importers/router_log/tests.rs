//! Logs as the document has them, damaged ones, and what comes back of what was written.

mod damaged;
mod simulation;
mod survival;

use polars::prelude::{AnyValue, DataFrame};
use proftool_serving::admission::Slos;
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::{Cluster, Model, scenarios};
use proftool_trace::frame::{self, Tables};
use proftool_trace::{Table, tables};

use crate::driver::Imported;
use crate::fixture::import_bytes;

/// Two devices: one for prompts, one that decodes.
fn cluster() -> Cluster {
    let model = Model::find("llama-3.1-8b").unwrap();
    scenarios::find("flagship_vs_mid").unwrap().cluster(model, Some(1), Some(1)).unwrap()
}

/// A log in memory.
fn log(time: Time, cluster: &Cluster) -> Log<Vec<u8>> {
    let (slos, modelled) = (Slos::default(), ["everything".to_owned()]);
    let head = Head {
        time,
        start_unix_ns: 1_700_000_000_000_000_000,
        workload: "w",
        policy: "round_robin",
        seed: 1,
        cluster,
        slos: &slos,
        block_tokens: 16,
        modelled: &modelled,
    };
    Log::new(Vec::new(), &head)
}

fn imported(bytes: &[u8]) -> (Imported, Tables) {
    import_bytes("router.jsonl", bytes).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    import_bytes("router.jsonl", bytes).unwrap_err().to_string()
}

fn ints(frame: &DataFrame, column: &str) -> Vec<Option<i64>> {
    frame::ints(frame, column).unwrap()
}

fn texts(frame: &DataFrame, column: &str) -> Vec<Option<String>> {
    frame::texts(frame, column).unwrap()
}

/// The rows of a table as text, `pass` and `rank` left out: one form for all types.
fn rows(tables: &Tables, table: &'static Table) -> Vec<Vec<String>> {
    let frame = tables.get(table);
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => "null".to_owned(),
        AnyValue::Float64(value) => format!("{value:?}"),
        value => value.get_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let row = |at: usize| frame.get(at).unwrap().into_iter().skip(2).map(cell).collect();
    (0..frame.height()).map(row).collect()
}

/// Code, severity and count of each issue, in their order.
fn issues(tables: &Tables) -> Vec<String> {
    let frame = tables.get(&tables::ISSUES);
    let (codes, severities, counts) = (texts(frame, "code"), texts(frame, "severity"), ints(frame, "count"));
    let all = codes.into_iter().zip(severities).zip(counts);
    all.map(|((code, severity), count)| format!("{} {} {}", code.unwrap(), severity.unwrap(), count.unwrap())).collect()
}

#[test]
fn the_documented_example_is_what_the_document_says() {
    let document = include_str!("../../../../../docs/importers/router_log.md");
    let (_, lines) = document.split_once("```json\n").expect("an example");
    let (lines, _) = lines.split_once("```").expect("its end");
    let (imported, tables) = imported(lines.as_bytes());
    assert_eq!((imported.importer, imported.lost, imported.problems), ("router_log", false, 0));
    assert!(imported.session.time_simulated && imported.session.clock == "simulated");
    let number = |text: &str| text.to_owned();
    let devices = tables.get(&tables::DEVICES);
    assert_eq!(texts(devices, "kind"), [Some("simulated".to_owned())]);
    assert_eq!(ints(devices, "numa_node"), [Some(0)]);
    assert_eq!(rows(&tables, &tables::QUEUES), [["0", "0", "mixed", "null"].map(number)]);
    assert_eq!(
        rows(&tables, &tables::REQUEST_EVENTS),
        [["7", "queued", "0", "0", "1000", "null"], ["7", "prefill", "0", "1000", "26000", "null"]]
            .map(|row| row.map(number))
    );
    assert_eq!(
        rows(&tables, &tables::STEPS),
        [["0", "26000", "36000", "0", "1", "101"], ["0", "36000", "46001", "0", "1", "102"]].map(|row| row.map(number))
    );
    let requests = tables.get(&tables::REQUESTS);
    assert_eq!((ints(requests, "first_token_ns"), ints(requests, "end_ns")), (vec![Some(26_000)], vec![Some(46_001)]));
    assert_eq!(texts(requests, "status"), [Some("ok".to_owned())]);
    let decisions = tables.get(&tables::DECISIONS);
    assert_eq!(texts(decisions, "terms"), [Some("{\"score\":1.0,\"requests\":0.0}".to_owned())]);
    let samples = rows(&tables, &tables::SAMPLES);
    assert_eq!(samples[0], ["0", "0", "0", "1000", "1.0"].map(number));
    let metrics = texts(tables.get(&tables::COUNTER_DEFS), "metric").into_iter().flatten();
    assert_eq!(metrics.collect::<Vec<_>>(), ["waiting_requests", "kv_capacity_tokens", "board_power_w"]);
    assert_eq!(samples[1..].iter().map(|row| row[4].as_str()).collect::<Vec<_>>(), ["100000.0", "700.0"]);
    assert_eq!(issues(&tables), ["scaled_load info 1"]);
}

#[test]
fn the_head_tells_the_clock_and_the_links() {
    let cluster = cluster();
    for (time, kind, clock, links) in
        [(Time::Simulated, "simulated", "simulated", 2), (Time::Measured, "endpoint", "unix", 0)]
    {
        let mut log = log(time, &cluster);
        log.step(&proftool_serving::log::StepRow { end_ns: 5, ..Default::default() });
        let (imported, tables) = imported(&log.finish().unwrap());
        let session = imported.session;
        assert_eq!((session.start_unix_ns, session.clock.as_str()), (1_700_000_000_000_000_000, clock));
        assert_eq!(session.time_simulated, time == Time::Simulated);
        assert_eq!(texts(tables.get(&tables::DEVICES), "kind"), [Some(kind.to_owned()), Some(kind.to_owned())]);
        assert_eq!(tables.get(&tables::LINKS).height(), links);
        assert_eq!(imported.devices, [0]);
    }
}

#[test]
fn blanks_between_the_parts_of_a_line_change_nothing() {
    let mut log = log(Time::Simulated, &cluster());
    log.step(&proftool_serving::log::StepRow { end_ns: 5, ..Default::default() });
    let written = String::from_utf8(log.finish().unwrap()).unwrap();
    let plain = imported(written.as_bytes()).1;
    // No text of this log has one of the three.
    let spaced = written.replace('{', "{ ").replace(':', " : ").replace(',', " ,\t");
    for text in [spaced.clone(), format!("\u{feff} {spaced}"), format!("\r\n\n{spaced}")] {
        let (found, tables) = imported(text.as_bytes());
        assert_eq!((found.importer, found.lost, found.problems), ("router_log", false, 0), "{text}");
        assert!(
            [&tables::STEPS, &tables::SAMPLES, &tables::DEVICES]
                .into_iter()
                .all(|table| rows(&tables, table) == rows(&plain, table))
        );
    }
    assert!(!super::is_head(b"{\"format\": \"proftool-router-log-2\",") && !super::is_head(b"{\"format"));
    assert!(!super::is_head(b"{\n \"format\": \"proftool-router-log\",\n"), "over several lines");
}
