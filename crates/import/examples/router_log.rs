//! How fast a router log is written and read: `router_log [REQUESTS]` (200,000 by default) prints rows a second of each, on one
//! thread. A request leaves a decision, three events, its row, a sample, and its share of 40 decode steps in batches of 8.
//!
//! The time is CPU time of the thread as Linux tells it, so that other programs do not count.

use std::io::{self, Write};
use std::path::Path;

use proftool_import::driver;
use proftool_serving::admission::Slos;
use proftool_serving::log::{DecisionRow, EventRow, Head, Log, RequestRow, SampleRow, StepRow, Time};
use proftool_serving::{Cluster, Model, scenarios};
use proftool_trace::tables;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let model = Model::find("llama-3.1-8b").ok_or("the model is known")?;
    let scenario = scenarios::find("flagship_vs_mid").ok_or("the scenario is known")?;
    let cluster = scenario.cluster(model, None, None)?;
    // Once to touch the code.
    written(io::sink(), &cluster, count / 10)?;
    let begun = cpu_ns()?;
    let (rows, _) = written(io::sink(), &cluster, count)?;
    say("written to nothing", rows, cpu_ns()? - begun);
    let place = std::env::temp_dir().join(format!("router_log-{}.jsonl", std::process::id()));
    let begun = cpu_ns()?;
    let (rows, _) = written(std::fs::File::create(&place)?, &cluster, count)?;
    say("written to a file", rows, cpu_ns()? - begun);
    let bytes = std::fs::metadata(&place)?.len();
    println!("{bytes} bytes, {:.0} a row", bytes as f64 / rows as f64);
    let outcome = read(&place);
    std::fs::remove_file(&place)?;
    outcome
}

fn read(place: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let begun = cpu_ns()?;
    let (_, tables) = driver::into_memory(place)?;
    let took = cpu_ns()? - begun;
    let rows = tables::ALL.iter().map(|table| tables.get(table).height() as u64).sum();
    say("read into tables in memory", rows, took);
    Ok(())
}

fn say(what: &str, rows: u64, ns: u64) {
    println!(
        "{rows} rows {what}: {:.2} s, {:.2} million rows a second",
        ns as f64 / 1e9,
        rows as f64 * 1e3 / ns.max(1) as f64
    );
}

/// CPU time of this thread.
fn cpu_ns() -> Result<u64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("the file begins with a time")?.parse()?)
}

/// Rows, and the writer.
fn written<W: Write>(out: W, cluster: &Cluster, count: u64) -> io::Result<(u64, W)> {
    let slos = Slos::default();
    let head = Head {
        time: Time::Simulated,
        start_unix_ns: 0,
        workload: "made up",
        policy: "least_delay",
        seed: 1,
        cluster,
        slos: &slos,
        block_tokens: 16,
        modelled: &[],
    };
    let (mut log, mut rows) = (Log::new(out, &head), 0);
    for number in 0..count {
        rows += request(&mut log, number, number as i64 * 41_000_000 + 7);
    }
    Ok((rows, log.finish()?))
}

/// What a request leaves; how many rows.
fn request<W: Write>(log: &mut Log<W>, number: u64, at_ns: i64) -> u64 {
    let (request, device) = (number.into(), (number % 6) as i64);
    let terms = [("ttft_ns", at_ns as f64 / 3.0), ("work_ns", 17_000.5), ("decode_ns", 0.25)];
    let (chosen, runner_up) = (Some("prefill_flagship_0"), Some(("prefill_flagship_1", 18.75)));
    let decision =
        DecisionRow { request, t_ns: at_ns, kind: "prefill", policy: "least_delay", ..DecisionRow::default() };
    log.decision(&DecisionRow { chosen, score: Some(17.5), terms: &terms, runner_up, ..decision });
    let ends = [at_ns + 1_200_345, at_ns + 23_456_789, at_ns + 345_678_901];
    let (mut start_ns, kinds) = (at_ns, ["queued", "prefill", "decode"]);
    for (kind, end_ns) in kinds.into_iter().zip(ends) {
        log.event(&EventRow { kind, request, device: Some(device), start_ns, end_ns, bytes: None });
        start_ns = end_ns;
    }
    // Eight requests share a batch, so that each has an eighth of its steps.
    let first =
        StepRow { device, start_ns: ends[1], decode_batch: Some(8), kv_tokens: Some(9_000), ..StepRow::default() };
    log.steps(&first, (1..=5).map(|step| ends[1] + step * 8_123_456));
    let (metric, unit) = ("waiting_tokens", Some("tokens"));
    log.sample(&SampleRow { metric, unit, device, start_ns: at_ns, end_ns: ends[0], value: number as f64 });
    log.request(&RequestRow {
        request,
        arrival_ns: at_ns,
        first_token_ns: Some(ends[1]),
        end_ns: Some(ends[2]),
        prompt_tokens: Some(1_234),
        output_tokens: Some(40),
        cached_tokens: Some(512),
        priority: Some(1),
        tier: Some("standard"),
        slo_ttft_ns: Some(500_000_000),
        slo_tpot_ns: Some(50_000_000),
        predicted_ttft_ns: Some(22_222_222),
        policy: Some("least_delay"),
        prefill_device: Some(device),
        decode_device: Some(device),
        first_token_device: Some(device),
        status: "ok",
        reason: None,
    });
    11
}
