//! Engines that behave and engines that don't: stubs on sockets of this machine.

#[path = "engines/endpoints.rs"]
mod endpoints;
#[path = "engines/run.rs"]
mod run;
#[path = "engines/stub.rs"]
mod stub;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proftool_serving::admission::{Everyone, Slos};
use proftool_serving::engines::{Api, Clock, Ending, Endpoint, Job, Limits, Options, Protocol, drive};
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::{Role, policies};
use run::{MS, endpoint, quick, ran, workload};
use stub::{Stub, chunk, events, usage};

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
    assert!(ttft_ns >= 60 * MS, "{ttft_ns}");
    // Eleven tokens, whatever the number of chunks. (No upper bounds: this machine may be busy.)
    assert!(tpot_ns >= 8 * MS && tpot_ns == (served.end_ns - served.arrival_ns - ttft_ns) / 10, "{served:?}");
    assert_eq!(ran.rows("event").len(), 2);
    assert_eq!((ran.rows("request")[0]["status"].as_str(), ran.issue("no_usage")), (Some("ok"), None));
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
fn the_last_event_may_lack_its_end() {
    let stub = Stub::new(|peer| {
        peer.raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        peer.raw(&chunk("a"));
        peer.raw(&events(&[r#"{"choices":[{"text":"b","finish_reason":"length"}]}"#]));
        peer.raw(events(&[&usage(20, 2, 0)]).trim_end());
    });
    let ran = ran(&workload(1, 0), &[endpoint(stub.address(), "a")], "round_robin", &quick(), &AtomicBool::new(false));
    assert_eq!((&ran.served[0].ending, ran.served[0].output_tokens), (&Ending::Ok, Some(2)));
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
    // A front end of several tells that one of them is gone, and ends the stream as if nothing were.
    let gone = failure(|peer| {
        peer.stream();
        peer.say(&chunk("a"));
        peer.say("event: error\n: no worker left\n\n");
        peer.say(&events(&["[DONE]"]));
    });
    assert_eq!(gone, "engine_error: no worker left");
    assert_eq!(failure(|peer| peer.refuse("429 Too Many Requests", "too many")), "http_429: too many");
    assert_eq!(failure(|peer| peer.refuse("503 Service Unavailable", "loading")), "http_503: loading");
    assert_eq!(failure(|peer| peer.refuse("400 Bad Request", "no such model")), "http_400: no such model");
    assert!(failure(|_| {}).starts_with("cut"));
}

#[test]
fn arrivals_wait_for_no_reply() {
    let stub = Stub::new(|peer| {
        stub::wait(600);
        stub::four_tokens(peer);
    });
    let options = Options { limits: Limits { first_token: Duration::from_secs(9), ..quick().limits }, ..quick() };
    let ran =
        ran(&workload(50, 2 * MS), &[endpoint(stub.address(), "a")], "round_robin", &options, &AtomicBool::new(false));
    assert!(ran.served.iter().all(|served| served.ending == Ending::Ok), "{:?}", ran.served);
    // All are sent before the first reply comes, and each about when it arrives.
    let late = ran.served.iter().map(|served| served.sent_ns.expect("sent") - served.arrival_ns).max();
    let first_reply = ran.served.iter().filter_map(|served| served.first_token_ns).min();
    let last_sent = ran.served.iter().filter_map(|served| served.sent_ns).max();
    assert!(late < Some(500 * MS), "{late:?}");
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
