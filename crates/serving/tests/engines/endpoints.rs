//! Endpoints that come and go, tell their load, and can't take every request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proftool_serving::engines::{Ending, Endpoint, Options, Served};
use proftool_serving::{Ask, Explanation, Policy, View};

use crate::run::{MS, endpoint, quick, ran, ran_by, workload};
use crate::stub::{self, Stub, chunk, events};

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
fn telemetry_shows_the_load_that_others_make() {
    let page = || "vllm:num_requests_running{engine=\"0\"} 9.0\nvllm:num_requests_waiting{engine=\"0\"} 3.0\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.5\n";
    let busy = Stub::with_metrics(stub::four_tokens, page);
    let idle = Stub::with_metrics(stub::four_tokens, || "vllm:num_requests_running{engine=\"0\"} 0.0\n");
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
fn telemetry_that_begins_with_the_first_request_is_not_missed() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let stub = Stub::with_metrics(stub::four_tokens, || match ASKED.fetch_add(1, Ordering::Relaxed) {
        0 => "# a front end without requests lists none\n",
        _ => "dynamo_frontend_inflight_requests{model=\"m\"} 5\n",
    });
    let options = Options { telemetry_period: Some(Duration::from_millis(30)), ..quick() };
    let endpoints = [endpoint(stub.address(), "a")];
    let ran = ran(&workload(6, 50 * MS), &endpoints, "round_robin", &options, &AtomicBool::new(false));
    assert!(ran.rows("sample").iter().any(|row| row["sample"] == "engine_running_requests" && row["value"] == 5.0));
    assert_eq!(ran.issue("no_telemetry"), None);
}

/// One that takes contexts of so many tokens.
fn of_context(stub: &Stub, name: &str, tokens: u64) -> Endpoint {
    Endpoint { context_tokens: Some(tokens), ..endpoint(stub.address(), name) }
}

#[test]
fn nobody_is_sent_where_the_context_is_too_short_while_others_can_take_it() {
    let (short, long) = (Stub::new(|peer| peer.refuse("400 Bad Request", "too long")), Stub::new(stub::four_tokens));
    // 20 tokens of prompt and 4 of output.
    let endpoints = [of_context(&short, "short", 23), of_context(&long, "long", 24)];
    for policy in ["round_robin", "least_loaded", "least_delay"] {
        let ran = ran(&workload(6, 5 * MS), &endpoints, policy, &quick(), &AtomicBool::new(false));
        assert!(ran.served.iter().all(|one| one.endpoint == Some(1) && one.ending == Ending::Ok), "{:?}", ran.served);
    }
    // Where nobody can, the engine's refusal is told.
    let ran = ran(&workload(2, 5 * MS), &endpoints[..1], "round_robin", &quick(), &AtomicBool::new(false));
    assert!(ran.rows("request").iter().all(|row| row["reason"] == "http_400: too long"));
}

#[test]
fn an_endpoint_that_never_reads_is_given_up() {
    // The kernel connects; nobody accepts.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", deaf.local_addr().expect("bound")).parse().expect("an address");
    let mut workload = workload(1, 0);
    // More than sockets hold.
    workload.requests[0].prompt_tokens = 4_000_000;
    let ran = ran(&workload, &[endpoint(address, "deaf")], "round_robin", &quick(), &AtomicBool::new(false));
    let ending = &ran.served[0].ending;
    assert!(matches!(ending, Ending::Failed(why) if why.code() == "first_token_timeout"), "{ending:?}");
}

/// Takes 70 ms for a decision.
struct Slow;

impl Policy for Slow {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn place_prefill(&mut self, _: &Ask<'_>, _: &View<'_>, _: &mut Explanation) -> Option<usize> {
        stub::wait(70);
        Some(0)
    }

    fn place_decode(&mut self, _: &Ask<'_>, _: &View<'_>, _: &mut Explanation) -> Option<usize> {
        Some(0)
    }
}

#[test]
fn a_client_that_is_too_slow_says_so() {
    let stub = Stub::new(stub::four_tokens);
    let endpoints = [endpoint(stub.address(), "a")];
    let ran = ran_by(&mut Slow, &workload(3, 0), &endpoints, &quick(), &AtomicBool::new(false));
    assert!(ran.issue("late") >= Some(2));
    // What it lost counts.
    assert!(ran.served.iter().filter_map(Served::ttft_ns).max() >= Some(140 * MS));
}
