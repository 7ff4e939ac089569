//! Router targets on real sockets from outside: stubs that answer as OpenAI-compatible engines do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use proftool_trace::{frame, tables};
use serde_json::Value;

use super::support::Place;

/// An engine that answers with as many tokens as asked for, until the test's process ends; gives its address.
fn engine() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    let _ = reader.read_line(&mut first);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        length = line.strip_prefix("content-length: ").map_or(length, |text| text.trim().parse().expect("a number"));
        line.clear();
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    let text = if first.starts_with("POST") { tokens(&body) } else { page(&first) };
    // Nobody may listen any more.
    let _ = stream.write_all(text.as_bytes());
}

fn tokens(body: &[u8]) -> String {
    let asked: Value = serde_json::from_slice(body).expect("JSON");
    let (output, prompt) =
        (asked["max_tokens"].as_u64().expect("a number"), asked["prompt"].as_array().expect("ids").len());
    let chunk = "data: {\"choices\":[{\"index\":0,\"text\":\" a\",\"finish_reason\":null}]}\n\n";
    let usage = format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{output},\
         \"prompt_tokens_details\":{{\"cached_tokens\":16}}}}}}\n\ndata: [DONE]\n\n"
    );
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{}{usage}", chunk.repeat(output as usize))
}

fn page(first: &str) -> String {
    let text = match first.split(' ').nth(1) {
        Some("/v1/models") => r#"{"object":"list","data":[{"id":"stub"}]}"#,
        _ => "vllm:num_requests_running{engine=\"0\"} 0.0\nvllm:num_requests_waiting{engine=\"0\"} 0.0\n",
    };
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len())
}

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Few and short requests, quickly.
const SHORT: [&str; 10] = [
    "--set",
    "requests=24",
    "--set",
    "arrival_rate=60",
    "--set",
    "prompt_tokens=16-64",
    "--set",
    "output_tokens=2-8",
    "--set",
    "shared_tokens=64",
];

#[test]
fn a_pair_on_real_endpoints_is_measured_and_its_tables_come_from_the_log() {
    let place = Place::new();
    let endpoints = format!("endpoints={},{}", engine(), engine());
    let arguments = [&["capture", "--target", "dynamic_router_vllm", "--set", &endpoints][..], &SHORT].concat();
    let ran = place.ok(&arguments);
    assert!(ran.err.contains("optimized_dynamic_router_vllm (measured): kv_overlap, 24 requests"), "{}", ran.err);
    let found = place.artifacts();
    assert_eq!(found.len(), 2, "{ran:?}");
    for artifact in &found {
        let manifest = manifest(artifact);
        assert_eq!((&manifest["time"], &manifest["hardware_key"]), (&"measured".into(), &"endpoints-2".into()));
        assert_eq!(manifest["results"]["verified"], true, "{manifest}");
        let requests = frame::read(&tables::REQUESTS, &artifact.join("tables")).expect("the table");
        let column = |name: &str| frame::ints(&requests, name).expect("ints");
        let (arrivals, firsts) = (column("arrival_ns"), column("first_token_ns"));
        assert_eq!((arrivals.len(), column("cached_tokens").iter().flatten().sum::<i64>()), (24, 24 * 16));
        assert!(arrivals.iter().zip(&firsts).all(|(arrival, first)| arrival < first));
        let events = frame::read(&tables::REQUEST_EVENTS, &artifact.join("tables")).expect("the table");
        assert_eq!(events.height() as i64, column("output_tokens").iter().flatten().sum::<i64>());
        assert!(artifact.join("raw/requests/router.jsonl").is_file());
    }
    let metric = place.ok(&["analyze", "--artifacts", "artifacts", "--metric", "serving", "--format", "json"]);
    let rows: Value = serde_json::from_str(&metric.out).expect("JSON");
    assert!(rows.as_array().is_some_and(|rows| rows.len() >= 2 && rows[0]["ok"] == 24), "{rows}");
}

#[test]
fn what_can_not_be_driven_is_refused_with_what_to_try() {
    let place = Place::new();
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let gone = format!("endpoints=http://{gone}");
    for (set, code, part) in [
        ("requests=3", 2, "real engines are needed"),
        ("endpoints=https://example.com", 2, "no address of an engine"),
        ("launch=vllm", 2, "VLLM_MODEL"),
        ("launch=serve --port 80", 2, "{port}"),
        (gone.as_str(), 3, "does not answer (refused"),
    ] {
        let mut command = place.command(&["capture", "--target", "baseline_dynamic_router_vllm", "--set", set]);
        let ran = super::support::ran(&command.env_remove("VLLM_MODEL").output().expect("the binary starts"));
        assert_eq!(ran.code, Some(code), "{set}: {ran:?}");
        assert!(ran.err.contains(part) && ran.err.contains("hint"), "{set}: {ran:?}");
    }
    assert!(place.artifacts().is_empty());
    // A model that was given is not asked for: the requests fail, each with a row, and the run says that nobody was served.
    let arguments =
        [&["capture", "--target", "baseline_dynamic_router_vllm", "--set", &gone, "--set", "model=m"][..], &SHORT];
    let ran = place.run(&arguments.concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("requests failed: "), "{ran:?}");
}
