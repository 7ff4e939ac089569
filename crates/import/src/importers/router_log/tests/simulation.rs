//! The log of a simulation, imported, holds row by row what a sink saw.

use std::collections::BTreeMap;

use proftool_serving::admission::QueueThreshold;
use proftool_serving::log::Simulated;
use proftool_serving::sources::{Synthetic, synthetic};
use proftool_serving::{
    Change, Explanation, Options, Outcome, Run, Sink, Span, SpanKind, State, Status, policies, simulate,
};

use super::*;

const POLICY: &str = "ewma_score";

/// A decision: the row without its objects, and those.
struct Decision {
    row: [String; 5],
    terms: BTreeMap<String, f64>,
    runner_up: Option<(String, f64)>,
}

/// Writes the log, and keeps everything as the tables should have it.
struct Seen {
    log: Simulated<Vec<u8>>,
    names: Vec<String>,
    requests: Vec<Vec<String>>,
    events: Vec<Vec<String>>,
    steps: Vec<Vec<String>>,
    decisions: Vec<Decision>,
    states: Vec<(i64, Vec<State>)>,
}

fn cells(values: &[Option<i64>]) -> Vec<String> {
    values.iter().map(|value| value.map_or_else(|| "null".to_owned(), |value| value.to_string())).collect()
}

impl Sink for Seen {
    fn outcome(&mut self, outcome: &Outcome) {
        let slo = Slos::default().of(outcome.tier);
        let device = |device: Option<u8>| device.map(i64::from);
        let began = outcome.first_token_ns.is_some();
        let mut row = vec![outcome.request.to_string()];
        row.extend(cells(&[
            Some(outcome.arrival_ns),
            outcome.first_token_ns,
            Some(outcome.end_ns),
            Some(outcome.prompt_tokens.into()),
            Some(outcome.output_tokens.into()),
            began.then_some(outcome.cached_tokens.into()),
            Some(outcome.tier as i64),
        ]));
        row.push(outcome.tier.name().to_owned());
        row.extend(cells(&[Some(slo.ttft_ns), Some(slo.tpot_ns), Some(outcome.predicted_ttft_ns)]));
        row.push(POLICY.to_owned());
        row.extend(cells(&[
            device(outcome.prefill_device),
            device(outcome.decode_device),
            device(outcome.prefill_device).filter(|_| began),
        ]));
        row.extend(match outcome.status {
            Status::Ok => ["ok", "null"].map(str::to_owned),
            Status::Rejected(reason) => ["rejected", reason].map(str::to_owned),
            Status::Failed(reason) => ["failed", reason].map(str::to_owned),
            Status::Aborted(reason) => ["aborted", reason].map(str::to_owned),
        });
        self.requests.push(row);
        self.log.outcome(outcome);
    }

    fn span(&mut self, span: &Span) {
        let (kind, bytes) = match span.kind {
            SpanKind::Queued => ("queued", None),
            SpanKind::Prefill => ("prefill", None),
            SpanKind::KvTransfer => ("kv_transfer", Some(span.bytes as i64)),
            SpanKind::Decode => ("decode", None),
            SpanKind::Preempt => ("preempt", None),
            SpanKind::Migrate => ("migrate", Some(span.bytes as i64)),
        };
        let mut row = vec![span.request.to_string(), kind.to_owned()];
        row.extend(cells(&[Some(span.device.into()), Some(span.start_ns), Some(span.end_ns), bytes]));
        self.events.push(row);
        self.log.span(span);
    }

    fn steps(&mut self, run: &Run) {
        let (mut start_ns, mut kv_tokens) = (run.start_ns, run.kv_tokens);
        for end_ns in run.ends_ns() {
            let counts = [run.prefill_tokens, run.sequences, kv_tokens].map(|count| Some(count as i64));
            self.steps.push(cells(&[&[Some(run.device.into()), Some(start_ns), Some(end_ns)][..], &counts].concat()));
            (start_ns, kv_tokens) = (end_ns, kv_tokens + run.sequences);
        }
        self.log.steps(run);
    }

    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        self.states.push((at_ns, devices.to_vec()));
        self.log.sample(at_ns, devices);
    }

    fn decision(&mut self, at_ns: i64, request: u32, chosen: Option<usize>, why: &Explanation) {
        let name = |device: usize| self.names[device].clone();
        let mut terms: BTreeMap<String, f64> =
            why.terms.iter().map(|(term, value)| ((*term).to_owned(), *value)).collect();
        terms.extend(chosen.map(|_| ("score".to_owned(), why.score)));
        self.decisions.push(Decision {
            row: [
                request.to_string(),
                at_ns.to_string(),
                format!("{:?}", why.cause).to_lowercase(),
                POLICY.to_owned(),
                chosen.map_or("null".to_owned(), name),
            ],
            terms,
            runner_up: why.runner_up.map(|(device, score)| (name(device), score)),
        });
        self.log.decision(at_ns, request, chosen, why);
    }
}

/// A simulation in which requests wait, are refused, move, and lose a device.
fn simulated(period_ns: i64) -> Seen {
    let model = Model::find("llama-3.1-8b").unwrap();
    let cluster = scenarios::find("flagship_vs_mid").unwrap().cluster(model, None, None).unwrap();
    let shape = Synthetic { requests: 600, per_s: 150.0, tiers: (0.2, 0.3), ..Synthetic::default() };
    let workload = synthetic("made_up", &shape);
    let mut policy = policies::find(POLICY).unwrap().with(&BTreeMap::new(), 1).unwrap();
    let changes = [(1_000_000_000, false), (2_000_000_000, true)].map(|(at_ns, up)| Change { at_ns, device: 3, up });
    let options = Options {
        decisions: true,
        migration_period_ns: Some(100_000_000),
        sample_period_ns: Some(period_ns),
        changes: changes.to_vec(),
        ..Options::default()
    };
    let mut seen = Seen {
        log: Simulated::new(log(Time::Simulated, &cluster), POLICY, &Slos::default()),
        names: cluster.devices.iter().map(|device| device.name.clone()).collect(),
        requests: Vec::new(),
        events: Vec::new(),
        steps: Vec::new(),
        decisions: Vec::new(),
        states: Vec::new(),
    };
    let mut admission = QueueThreshold { most_waiting: 6, ..QueueThreshold::default() };
    simulate(&workload, &cluster, &mut *policy, &mut admission, &options, &mut seen).unwrap();
    seen
}

/// The parser of JSON may be off by the last bit.
fn same(read: &BTreeMap<String, f64>, seen: &BTreeMap<String, f64>) {
    assert!(read.keys().eq(seen.keys()), "{read:?} {seen:?}");
    assert!(read.values().zip(seen.values()).all(|(read, seen)| (read - seen).abs() <= seen.abs() * 1e-15));
}

#[test]
fn the_log_of_a_simulation_comes_back_row_by_row() {
    let seen = simulated(50_000_000);
    let (imported, tables) = imported(&seen.log.into_log().finish().unwrap());
    assert_eq!((imported.lost, imported.devices.len(), issues(&tables)), (false, 6, vec![]));
    assert!(seen.requests.len() == 600 && seen.requests.iter().any(|row| row[16] == "rejected"));
    assert!(seen.events.iter().any(|row| row[1] == "kv_transfer") && seen.decisions.len() > 600);
    assert_eq!(rows(&tables, &tables::REQUESTS), seen.requests);
    assert_eq!(rows(&tables, &tables::REQUEST_EVENTS), seen.events);
    assert_eq!(rows(&tables, &tables::STEPS), seen.steps);
    let mut refused = 0;
    let mut expected = seen.decisions.iter();
    for row in rows(&tables, &tables::DECISIONS) {
        if row[2] == "admit" {
            refused += 1;
            continue;
        }
        let decision = expected.next().unwrap();
        assert_eq!(row[..5], decision.row);
        same(&serde_json::from_str(&row[5]).unwrap(), &decision.terms);
        let runner_up: Option<serde_json::Value> = serde_json::from_str(&row[6]).unwrap();
        assert_eq!(runner_up.is_some(), decision.runner_up.is_some());
        if let Some((runner_up, (name, score))) = runner_up.zip(decision.runner_up.as_ref()) {
            assert_eq!(runner_up["device"], **name);
            assert!((runner_up["score"].as_f64().unwrap() - score).abs() <= score.abs() * 1e-15);
        }
    }
    assert!(expected.next().is_none());
    assert_eq!(refused, seen.requests.iter().filter(|row| row[16] == "rejected").count());
}

/// From when, to when, and the value.
type Held = (i64, i64, f64);

#[test]
fn at_every_moment_that_was_sampled_the_samples_say_what_was_seen() {
    let seen = simulated(20_000_000);
    let states = seen.states;
    let (_, tables) = imported(&seen.log.into_log().finish().unwrap());
    let frame = tables.get(&tables::SAMPLES);
    let metrics = texts(tables.get(&tables::COUNTER_DEFS), "metric");
    let columns = ["device", "def", "start_ns", "end_ns"].map(|column| ints(frame, column));
    let values = frame::floats(frame, "value").unwrap();
    let mut held: BTreeMap<(i64, &str), Vec<Held>> = BTreeMap::new();
    for at in 0..frame.height() {
        let [device, def, start, end] = [0, 1, 2, 3].map(|column| columns[column][at].unwrap());
        let metric = metrics[def as usize].as_deref().unwrap();
        held.entry((device, metric)).or_default().push((start, end, values[at].unwrap()));
    }
    let value = |device: usize, metric: &str, at_ns: i64| {
        let rows = &held[&(device as i64, metric)];
        rows.iter().rfind(|(start, end, _)| (*start..=*end).contains(&at_ns)).unwrap().2
    };
    assert!(states.len() > 100 && states.iter().any(|(_, devices)| devices.iter().any(|state| state.waiting > 0)));
    for (at_ns, devices) in &states {
        for (device, state) in devices.iter().enumerate() {
            let seen = [state.waiting, state.running, u32::from(state.up)];
            let read = ["waiting_requests", "running_requests", "up"];
            let read = read.map(|metric| value(device, metric, *at_ns) as u32);
            assert_eq!(read, seen, "device {device} at {at_ns}");
        }
    }
}
