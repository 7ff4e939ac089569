//! Engines that behave and engines that don't: stubs on sockets of this machine.

#[path = "engines/stub.rs"]
mod stub;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proftool_serving::admission::{Everyone, Slos};
use proftool_serving::engines::{Address, Api, Clock, Ending, Endpoint, Job, Limits, Options, Protocol, Served, drive};
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::{Device, Request, Role, StepModel, Workload, policies};
use stub::{Stub, chunk, events, usage};

const MS: i64 = 1_000_000;

fn workload(requests: usize, gap_ns: i64) -> Workload {
    let mut workload = Workload { name: "test".to_owned(), block_tokens: 16, ..Workload::default() };
    for number in 0..requests {
        let arrival_ns = number as i64 * gap_ns;
        workload.push(Request { arrival_ns, prompt_tokens: 20, output_tokens: 4, ..Request::default() }, &[]);
    }
    workload
}

fn endpoint(address: Address, name: &str) -> Endpoint {
    let device = Device {
        name: name.to_owned(),
        role: Role::Mixed,
        steps: StepModel::default(),
        kv_capacity_tokens: 4096,
        step_tokens: 2048,
        most_sequences: 4,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    };
    Endpoint { address, model: "tiny".to_owned(), device }
}

fn quick() -> Options {
    let limits = Limits {
        connect: Duration::from_secs(2),
        first_token: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        drain: Duration::from_secs(20),
    };
    Options { limits, telemetry_period: None, ..Options::default() }
}

struct Ran {
    served: Vec<Served>,
    /// First key and line.
    log: Vec<(String, serde_json::Value)>,
}

impl Ran {
    /// Rows of a kind: the first key of a line tells it.
    fn rows(&self, kind: &str) -> Vec<&serde_json::Value> {
        self.log.iter().filter(|(first, _)| first == kind).map(|(_, row)| row).collect()
    }

    fn issue(&self, code: &str) -> Option<i64> {
        self.rows("issue").into_iter().find(|row| row["issue"] == code).and_then(|row| row["count"].as_i64())
    }
}

fn ran(workload: &Workload, endpoints: &[Endpoint], policy: &str, options: &Options, stop: &AtomicBool) -> Ran {
    let clock = Clock::start();
    let job = Job { workload, endpoints, options, clock, stop };
    let cluster = job.cluster();
    let head = Head {
        time: Time::Measured,
        start_unix_ns: clock.start_unix_ns(),
        workload: &workload.name,
        policy,
        seed: options.seed,
        cluster: &cluster,
        slos: &Slos::default(),
        block_tokens: workload.block_tokens,
        modelled: &[],
    };
    let mut policy = policies::find(policy).expect("known").with(&BTreeMap::new(), 1).expect("no knobs");
    let mut log = Log::new(Vec::new(), &head);
    let served = drive(&job, policy.as_mut(), &mut Everyone, &mut log).expect("a run");
    let text = String::from_utf8(log.finish().expect("memory")).expect("UTF-8");
    let first = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let log = text.lines().map(|line| (first(line), serde_json::from_str(line).expect("JSON"))).collect();
    Ran { served, log }
}

/// One request to a stub that answers so: how it failed.
fn failure(answer: fn(&mut stub::Peer)) -> String {
    let stub = Stub::new(answer);
    let ran = ran(&workload(1, 0), &[endpoint(stub.address(), "a")], "round_robin", &quick(), &AtomicBool::new(false));
    assert_eq!((ran.served.len(), ran.rows("request").len()), (1, 1));
    let row = ran.rows("request")[0];
    match &ran.served[0].ending {
        Ending::Failed(failure) => {
            assert_eq!(row["status"], "failed");
            assert_eq!(row["reason"], failure.to_string());
            failure.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn times_are_of_bytes_and_counts_are_the_engines() {
    // Ten tokens in two chunks, the second 80 ms after the first, and an empty one before.
    let stub = Stub::new(|peer| {
        peer.stream();
        peer.say(&chunk(""));
        stub::wait(60);
        peer.say(&chunk("a b c"));
        stub::wait(80);
        peer.say(&chunk("d"));
        peer.say(&events(&[&usage(20, 11, 16), "[DONE]"]));
    });
    let ran = ran(&workload(1, 0), &[endpoint(stub.address(), "a")], "round_robin", &quick(), &AtomicBool::new(false));
    let served = &ran.served[0];
    assert_eq!((&served.ending, served.output_tokens, served.cached_tokens), (&Ending::Ok, Some(11), Some(16)));
    let (ttft_ns, tpot_ns) = (served.ttft_ns().expect("a token"), served.tpot_ns().expect("tokens"));
    assert!((60 * MS..200 * MS).contains(&ttft_ns), "{ttft_ns}");
    assert!((8 * MS..20 * MS).contains(&tpot_ns), "{tpot_ns}");
    assert_eq!(ran.rows("event").len(), 2);
    assert_eq!((ran.rows("request")[0]["status"].as_str(), ran.rows("issue").len()), (Some("ok"), 0));
}

#[test]
fn a_chat_begins_with_its_first_text_or_thought() {
    let stub = Stub::new(|peer| {
        peer.stream();
        peer.say(&events(&[r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#]));
        stub::wait(50);
        peer.say(&events(&[r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#]));
        peer.say(&events(&[
            r#"{"choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}"#,
            &usage(25, 2, 0),
            "[DONE]",
        ]));
    });
    let options = Options { protocol: Protocol { api: Api::Chat, ..Protocol::default() }, ..quick() };
    let ran = ran(&workload(1, 0), &[endpoint(stub.address(), "a")], "round_robin", &options, &AtomicBool::new(false));
    let served = &ran.served[0];
    // The template's tokens count too, as the engine counts them.
    assert_eq!((&served.ending, served.prompt_tokens, ran.rows("event").len()), (&Ending::Ok, 25, 2));
    assert!(served.ttft_ns() >= Some(50 * MS), "{served:?}");
}

#[test]
fn every_misbehaviour_is_a_row_with_its_reason() {
    assert!(failure(|_| stub::wait(600)).starts_with("first_token_timeout"));
    let stalls = failure(|peer| {
        peer.stream();
        peer.say(&chunk("a"));
        stub::wait(900);
    });
    assert!(stalls.starts_with("stalled"), "{stalls}");
    let cuts = failure(|peer| {
        peer.stream();
        peer.say(&chunk("a"));
    });
    assert!(cuts.starts_with("cut"), "{cuts}");
    assert!(
        failure(|peer| peer.raw("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<h1>hi</h1>"))
            .starts_with("garbage")
    );
    assert!(failure(|peer| peer.raw("SSH-2.0-OpenSSH_9.7\r\n")).starts_with("garbage"));
    let noise = failure(|peer| {
        peer.stream();
        peer.say("data: not json\n\n");
    });
    assert!(noise.starts_with("garbage: not a completion: not json"), "{noise}");
    let empty = failure(|peer| {
        peer.stream();
        peer.say(&events(&["[DONE]"]));
    });
    assert!(empty.starts_with("empty"), "{empty}");
    let told = failure(|peer| {
        peer.stream();
        peer.say(&events(&[r#"{"error":{"message":"out of memory"}}"#]));
    });
    assert_eq!(told, "engine_error: out of memory");
    assert_eq!(failure(|peer| peer.refuse("429 Too Many Requests", "too many")), "http_429: too many");
    assert_eq!(failure(|peer| peer.refuse("503 Service Unavailable", "loading")), "http_503: loading");
    assert_eq!(failure(|peer| peer.refuse("400 Bad Request", "no such model")), "http_400: no such model");
    assert!(failure(|_| {}).starts_with("cut"));
}

#[test]
fn nobody_listens_and_nobody_is_known_are_told_apart() {
    for (address, reason) in
        [(stub::nobody(), "refused"), ("http://no-such-host.invalid:80".parse().expect("an address"), "dns")]
    {
        let ran = ran(&workload(1, 0), &[endpoint(address, "a")], "round_robin", &quick(), &AtomicBool::new(false));
        assert!(
            matches!(&ran.served[0].ending, Ending::Failed(failure) if failure.code() == reason),
            "{:?}",
            ran.served
        );
        assert_eq!(ran.issue("endpoint_down"), Some(1));
    }
}

#[test]
fn an_endpoint_that_is_down_takes_nobody_else_with_it() {
    let good = Stub::new(stub::four_tokens);
    let endpoints = [endpoint(stub::nobody(), "down"), endpoint(good.address(), "good")];
    // A policy that sends everybody where fewest are would send everybody where nobody can be.
    let ran = ran(&workload(20, 10 * MS), &endpoints, "least_loaded", &quick(), &AtomicBool::new(false));
    let failed: Vec<&Served> = ran.served.iter().filter(|served| served.ending != Ending::Ok).collect();
    assert_eq!((ran.served.len(), ran.issue("endpoint_down")), (20, Some(1)));
    assert!(failed.len() <= 2 && failed.iter().all(|served| served.endpoint == Some(0)), "{failed:?}");
}

#[test]
fn an_endpoint_that_comes_back_is_used_again() {
    let place = stub::nobody();
    let endpoints = [endpoint(place.clone(), "late")];
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        Stub::at(&place, stub::four_tokens)
    });
    let ran = ran(&workload(16, 100 * MS), &endpoints, "round_robin", &quick(), &AtomicBool::new(false));
    drop(late.join());
    let reasons: Vec<String> = ran
        .served
        .iter()
        .map(|served| match &served.ending {
            Ending::Failed(failure) => failure.code(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons[0], "refused");
    assert!(reasons[1..].iter().all(|reason| reason == "no_endpoint" || reason == "Ok"), "{reasons:?}");
    assert_eq!(reasons.last().map(String::as_str), Some("Ok"));
}

#[test]
fn arrivals_wait_for_no_reply() {
    let stub = Stub::new(|peer| {
        stub::wait(250);
        stub::four_tokens(peer);
    });
    let ran =
        ran(&workload(50, 2 * MS), &[endpoint(stub.address(), "a")], "round_robin", &quick(), &AtomicBool::new(false));
    assert!(ran.served.iter().all(|served| served.ending == Ending::Ok), "{:?}", ran.served);
    // All are sent before the first reply comes, and each about when it arrives.
    let late = ran.served.iter().map(|served| served.sent_ns.expect("sent") - served.arrival_ns).max();
    let first_reply = ran.served.iter().filter_map(|served| served.first_token_ns).min();
    let last_sent = ran.served.iter().filter_map(|served| served.sent_ns).max();
    assert!(late < Some(120 * MS), "{late:?}");
    assert!(last_sent < first_reply, "{last_sent:?} {first_reply:?}");
}

#[test]
fn the_end_of_a_run_aborts_what_is_left() {
    let stub = Stub::new(|peer| {
        peer.stream();
        peer.say(&chunk("a"));
        stub::wait(1500);
    });
    let patient = Limits { stall: Duration::from_mins(1), drain: Duration::from_millis(150), ..quick().limits };
    let options = Options { limits: patient, ..quick() };
    let ran = ran(&workload(3, 0), &[endpoint(stub.address(), "a")], "round_robin", &options, &AtomicBool::new(false));
    assert_eq!(ran.served.len(), 3);
    assert!(ran.served.iter().all(|served| matches!(served.ending, Ending::Aborted(why) if why.starts_with("drain"))));
    assert!(ran.rows("request").iter().all(|row| row["status"] == "aborted" && row["first_token_ns"].is_i64()));
}

#[test]
fn an_interrupt_ends_the_run_at_once() {
    let stub = Stub::new(|_| stub::wait(2000));
    let stop = AtomicBool::new(false);
    let options = Options { limits: Limits::default(), ..quick() };
    let start = Instant::now();
    let ran = std::thread::scope(|threads| {
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            stop.store(true, Ordering::Relaxed);
        });
        ran(&workload(5, 100 * MS), &[endpoint(stub.address(), "a")], "round_robin", &options, &stop)
    });
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!(!ran.served.is_empty() && ran.served.len() < 5);
    assert!(ran.served.iter().all(|served| matches!(served.ending, Ending::Aborted(_))));
    assert_eq!(ran.issue("not_sent"), Some(1));
}

#[test]
fn telemetry_shows_the_load_that_others_make() {
    let page = "vllm:num_requests_running{engine=\"0\"} 9.0\nvllm:num_requests_waiting{engine=\"0\"} 3.0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n";
    let busy = Stub::with_metrics(stub::four_tokens, page);
    let idle = Stub::with_metrics(stub::four_tokens, "vllm:num_requests_running{engine=\"0\"} 0.0\n");
    let endpoints = [endpoint(busy.address(), "busy"), endpoint(idle.address(), "idle")];
    let options = Options { telemetry_period: Some(Duration::from_millis(50)), ..quick() };
    let mut workload = workload(12, 40 * MS);
    // After the first reading.
    workload.requests[1..].iter_mut().for_each(|request| request.arrival_ns += 300 * MS);
    let ran = ran(&workload, &endpoints, "least_loaded", &options, &AtomicBool::new(false));
    let late: Vec<Option<usize>> =
        ran.served.iter().filter(|served| served.request > 0).map(|served| served.endpoint).collect();
    assert_eq!(late, vec![Some(1); 11]);
    let told = |metric: &str| {
        let rows = ran.rows("sample");
        rows.into_iter()
            .filter(|row| row["sample"] == metric && row["device"] == 0)
            .filter_map(|row| row["value"].as_f64())
            .fold(0.0, f64::max)
    };
    assert!((told("engine_waiting_requests") - 3.0).abs() < 1e-9 && (told("kv_usage_ratio") - 0.5).abs() < 0.05);
}

#[test]
fn endpoints_without_telemetry_and_without_usage_are_said_to_be_so() {
    let stub = Stub::new(|peer| {
        peer.stream();
        peer.say(&chunk("a"));
        peer.say(&events(&["[DONE]"]));
    });
    let options = Options { telemetry_period: Some(Duration::from_millis(30)), ..quick() };
    let ran =
        ran(&workload(4, 40 * MS), &[endpoint(stub.address(), "a")], "kv_overlap", &options, &AtomicBool::new(false));
    assert_eq!((ran.issue("no_telemetry"), ran.issue("no_usage")), (Some(1), Some(4)));
    assert!(ran.served.iter().all(|served| served.ending == Ending::Ok && served.tpot_ns().is_none()));
}

#[test]
fn what_can_not_be_driven_is_refused() {
    let workload = workload(1, 0);
    let (options, stop) = (quick(), AtomicBool::new(false));
    let error = |endpoints: &[Endpoint], options: &Options| {
        let job = Job { workload: &workload, endpoints, options, clock: Clock::start(), stop: &stop };
        let cluster = job.cluster();
        let head = Head {
            time: Time::Measured,
            start_unix_ns: 0,
            workload: "w",
            policy: "round_robin",
            seed: 0,
            cluster: &cluster,
            slos: &Slos::default(),
            block_tokens: 16,
            modelled: &[],
        };
        let mut policy = policies::find("round_robin").expect("known").with(&BTreeMap::new(), 1).expect("no knobs");
        drive(&job, policy.as_mut(), &mut Everyone, &mut Log::new(Vec::new(), &head))
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert!(error(&[], &options).is_err_and(|text| text.contains("0 endpoints")));
    let mut one = endpoint(stub::nobody(), "p");
    one.device.role = Role::Prefill;
    assert!(error(&[one], &options).is_err_and(|text| text.contains("role other than mixed")));
    let narrow = Options { vocabulary: 5..6, ..quick() };
    assert!(error(&[endpoint(stub::nobody(), "a")], &narrow).is_err_and(|text| text.contains("5..6")));
}
