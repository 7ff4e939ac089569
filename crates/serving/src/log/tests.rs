//! Lines as they are documented, and what a simulation leaves in them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::*;
use crate::admission::{Admission, Everyone, QueueThreshold, Slos};
use crate::sources::{Synthetic, synthetic};
use crate::{Cluster, Duty, Model, Options, Sink, State, Tier, policies, scenarios, simulate};

fn cluster() -> Cluster {
    let model = Model::find("llama-3.1-8b").expect("known");
    scenarios::find("flagship_vs_mid").expect("known").cluster(model, Some(1), Some(1)).expect("fits")
}

fn log<W: Write>(out: W, cluster: &Cluster) -> Log<W> {
    Log::new(
        out,
        &Head {
            time: Time::Simulated,
            start_unix_ns: 0,
            workload: "synthetic",
            policy: "round_robin",
            seed: 17,
            cluster,
            slos: &Slos::default(),
            block_tokens: 16,
            modelled: &["everything".to_owned()],
        },
    )
}

/// The lines between head and end.
fn lines(write: impl FnOnce(&mut Log<Vec<u8>>)) -> Vec<String> {
    let cluster = cluster();
    let mut log = log(Vec::new(), &cluster);
    write(&mut log);
    let text = String::from_utf8(log.finish().expect("memory")).expect("UTF-8");
    let all: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(all.last().map(String::as_str), Some(format!("{{\"end\":{}}}", all.len() - 1).as_str()));
    all[1..all.len() - 1].to_vec()
}

#[test]
fn each_row_is_a_line_that_begins_with_what_it_is() {
    let written = lines(|log| {
        log.event(&EventRow { kind: "queued", request: Id::Number(12), end_ns: 5, ..EventRow::default() });
        log.request(&RequestRow { request: "a\"b".into(), arrival_ns: -3, status: "ok", ..RequestRow::default() });
        log.issue(&IssueRow { code: "stall", source: "engines", severity: "info", count: 1, detail: "é" });
        log.sample(&SampleRow { metric: "up", value: f64::NAN, ..SampleRow::default() });
        log.sample(&SampleRow { metric: "up", unit: Some("ratio"), value: 0.5, ..SampleRow::default() });
        let terms = [("queue", 2.5), ("odd", f64::INFINITY)];
        let decision = DecisionRow { kind: "prefill", policy: "p", terms: &terms, ..DecisionRow::default() };
        log.decision(&DecisionRow { score: Some(1.0), chosen: Some("a"), runner_up: Some(("b", 3.0)), ..decision });
        log.decision(&DecisionRow { terms: &[], runner_up: Some(("b", f64::NAN)), ..decision });
    });
    assert_eq!(
        written,
        [
            r#"{"event":"queued","request":12,"start_ns":0,"end_ns":5}"#,
            r#"{"request":"a\"b","arrival_ns":-3,"status":"ok"}"#,
            r#"{"issue":"stall","source":"engines","severity":"info","count":1,"detail":"é"}"#,
            r#"{"sample":"up","device":0,"start_ns":0,"end_ns":0}"#,
            r#"{"sample":"up","unit":"ratio","device":0,"start_ns":0,"end_ns":0,"value":0.5}"#,
            r#"{"decision":"prefill","request":0,"t_ns":0,"policy":"p","chosen":"a","terms":{"score":1.0,"queue":2.5},"runner_up":{"device":"b","score":3.0}}"#,
            r#"{"decision":"prefill","request":0,"t_ns":0,"policy":"p","runner_up":{"device":"b"}}"#,
        ]
    );
}

#[test]
fn steps_of_one_batch_share_a_line_of_limited_length() {
    let first = StepRow {
        device: 1,
        start_ns: 100,
        end_ns: 110,
        decode_batch: Some(3),
        kv_tokens: Some(50),
        ..StepRow::default()
    };
    let written = lines(|log| {
        log.step(&first);
        log.steps(&first, [110, 121, 133]);
        log.steps(&first, []);
        log.steps(&first, (1..=LINE_STEPS as i64 + 1).map(|step| 100 + step));
    });
    assert_eq!(written[0], r#"{"steps":[10],"device":1,"start_ns":100,"decode_batch":3,"kv_tokens":50}"#);
    assert_eq!(written[1], r#"{"steps":[10,11,12],"device":1,"start_ns":100,"decode_batch":3,"kv_tokens":50}"#);
    assert_eq!(written.len(), 4);
    assert_eq!(written[3], r#"{"steps":[1],"device":1,"start_ns":1124,"decode_batch":3,"kv_tokens":3122}"#);
}

#[test]
fn the_head_describes_the_run_and_holds_only_numbers() {
    let mut cluster = cluster();
    cluster.devices[0].watts = Some(700.0);
    (cluster.devices[1].cost_per_hour, cluster.link.bytes_per_s) = (f64::NAN, f64::INFINITY);
    let text = String::from_utf8(log(Vec::new(), &cluster).finish().expect("memory")).expect("UTF-8");
    let head = text.lines().next().expect("a head");
    assert!(head.starts_with(r#"{"format":"proftool-router-log","version":{"major":1,"minor":0},"time":"simulated","#));
    let head: serde_json::Value = serde_json::from_str(head).expect("JSON");
    let device = &head["devices"][0];
    assert_eq!((device["role"].as_str(), device["kind"].as_str()), (Some("prefill"), Some("simulated")));
    assert_eq!((device["watts"].as_f64(), device["cost_per_hour"].as_f64()), (Some(700.0), Some(4.0)));
    assert!(head["devices"][1].get("cost_per_hour").is_none() && head["links"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(head["slos"][1]["ttft_ns"].as_i64(), Some(Slos::default().of(Tier::Standard).ttft_ns));
}

#[test]
fn the_first_error_of_the_writer_is_kept() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let cluster = cluster();
    let mut log = log(Full(100_000), &cluster);
    (0..10_000_u32).for_each(|request| log.request(&RequestRow { request: request.into(), ..RequestRow::default() }));
    assert_eq!(log.finish().map(|_| ()).map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
}

/// The log of a simulation.
fn simulated(admission: &mut dyn Admission) -> Vec<serde_json::Value> {
    let cluster = cluster();
    let workload = synthetic("made_up", &Synthetic { requests: 80, per_s: 400.0, ..Synthetic::default() });
    let mut policy = policies::find("least_delay").expect("known").with(&BTreeMap::new(), 3).expect("its defaults");
    let slos = Slos::default();
    let options = Options { decisions: true, sample_period_ns: Some(100_000_000), slos, ..Options::default() };
    let mut sink = Simulated::new(log(Vec::new(), &cluster), "least_delay", &slos);
    simulate(&workload, &cluster, &mut *policy, admission, &options, &mut sink).expect("a cluster that serves");
    let text = String::from_utf8(sink.into_log().finish().expect("memory")).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of<'v>(lines: &'v [serde_json::Value], key: &str) -> Vec<&'v serde_json::Value> {
    lines.iter().filter(|line| line.get(key).is_some()).collect()
}

#[test]
fn every_request_of_a_simulation_has_a_row_and_a_refusal_explains_itself() {
    let lines = simulated(&mut QueueThreshold { most_waiting: 3, most_kv_ratio: 1.0 });
    let requests: Vec<_> = lines.iter().filter(|line| line.get("status").is_some()).collect();
    let refused = requests.iter().filter(|line| line["status"] == "rejected").count();
    assert!(requests.len() == 80 && (1..80).contains(&refused), "{refused}");
    let decisions = of(&lines, "decision");
    let admit: Vec<_> = decisions.iter().filter(|line| line["decision"] == "admit").collect();
    assert!(admit.len() == refused && admit.iter().all(|line| line.get("chosen").is_none()));
    assert!(admit[0]["terms"]["predicted_ttft_ns"].is_number() && admit[0]["terms"]["slo_ttft_ns"] == 5e8);
    let placed = decisions.iter().find(|line| line["decision"] == "prefill").expect("one");
    assert!(placed["chosen"].is_string() && placed["terms"]["score"].is_number());
    assert!(requests.iter().all(|line| (line["status"] == "ok") == (line["first_token_device"] == 0)));
}

#[test]
fn a_sampled_value_goes_on_until_it_changes() {
    let cluster = cluster();
    let half = cluster.devices[1].kv_capacity_tokens / 2;
    let mut sink = Simulated::new(log(Vec::new(), &cluster), "p", &Slos::default());
    let idle = State { up: true, ..State::default() };
    let busy = State { waiting: 2, waiting_tokens: 300, running: 1, kv_tokens: half, ..idle };
    for (at_ns, second) in [(10, idle), (20, busy), (30, busy), (40, State { up: false, ..idle })] {
        sink.sample(at_ns, &[idle, second]);
    }
    let text = String::from_utf8(sink.into_log().finish().expect("memory")).expect("UTF-8");
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |device: u64, metric: &str| -> Vec<(i64, i64, f64)> {
        let mine = rows.iter().filter(|row| row["sample"] == metric && row["device"] == device);
        let number = |row: &serde_json::Value, key: &str| row[key].as_f64().expect("a number");
        mine.map(|row| (number(row, "start_ns") as i64, number(row, "end_ns") as i64, number(row, "value"))).collect()
    };
    assert_eq!(of(0, "up"), [(10, 40, 1.0)]);
    assert_eq!(of(1, "up"), [(10, 40, 1.0), (40, 40, 0.0)]);
    assert_eq!(of(1, "waiting_requests"), [(10, 20, 0.0), (20, 40, 2.0), (40, 40, 0.0)]);
    assert_eq!(of(1, "waiting_tokens")[1], (20, 40, 300.0));
    let [_, (20, 40, used), _] = of(1, "kv_usage_ratio")[..] else { panic!("three values") };
    assert!((used - 0.5).abs() < 1e-4, "{used}");
}

#[test]
fn a_device_is_paid_for_from_the_start_until_it_is_off() {
    let cluster = cluster();
    let mut sink = Simulated::new(log(Vec::new(), &cluster), "p", &Slos::default());
    for (at_ns, duty) in
        [(0, Duty::Off), (50, Duty::Starting), (60, Duty::Serving), (90, Duty::Draining), (95, Duty::Off)]
    {
        sink.duty(at_ns, 1, duty);
    }
    sink.sample(200, &[State::default(); 2]);
    let text = String::from_utf8(sink.into_log().finish().expect("memory")).expect("UTF-8");
    let paid: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"sample\":\"paid\"")).collect();
    let row = |device: u8, start: u8, end: u8, value: &str| {
        format!(
            r#"{{"sample":"paid","unit":"ratio","device":{device},"start_ns":{start},"end_ns":{end},"value":{value}}}"#
        )
    };
    assert_eq!(paid, [row(1, 0, 50, "0.0"), row(1, 50, 95, "1.0"), row(0, 0, 200, "1.0"), row(1, 95, 200, "0.0")]);
}

#[test]
fn the_same_simulation_writes_the_same_bytes() {
    assert_eq!(simulated(&mut Everyone), simulated(&mut Everyone));
}
