//! Any sequence of rows that can be true survives writing and reading.

use proftool_serving::log::{DecisionRow, EventRow, Id, IssueRow, RequestRow, SampleRow, StepRow};
use proptest::prelude::*;

use super::*;

/// A row of a log, with owned texts.
#[derive(Clone, Debug)]
enum Row {
    Request { name: String, times: [i64; 3], counts: [Option<u32>; 3], text: Option<String>, status: usize },
    Event { of: usize, kind: usize, device: Option<u8>, start_ns: i64, length: u32, bytes: Option<u32> },
    Steps { device: u8, start_ns: i64, lengths: Vec<u32>, counts: [Option<u16>; 3] },
    Sample { metric: String, unit: Option<String>, device: u8, start_ns: i64, length: u32, value: f64 },
    Decision { of: usize, t_ns: i64, kind: usize, text: String, chosen: Option<String>, score: f64 },
    Issue { code: String, detail: String, count: u32 },
}

const KINDS: [&str; 7] = ["queued", "prefill", "kv_transfer", "decode", "token", "preempt", "migrate"];
const STATUSES: [&str; 4] = ["ok", "rejected", "failed", "aborted"];
const DECISIONS: [&str; 4] = ["admit", "prefill", "decode", "migrate"];

fn time() -> impl Strategy<Value = i64> {
    -1_000_000_000_i64..1_000_000_000_000
}

fn row() -> impl Strategy<Value = Row> {
    use prop::option::of;
    let name = prop_oneof!["[0-9]{1,9}", any::<String>()];
    prop_oneof![
        (
            name,
            [time(), time(), time()],
            [of(any::<u32>()), of(any::<u32>()), of(any::<u32>())],
            of(any::<String>()),
            0..4_usize
        )
            .prop_map(|(name, mut times, counts, text, status)| {
                times.sort_unstable();
                Row::Request { name, times, counts, text, status }
            }),
        (any::<usize>(), 0..7_usize, of(0..2_u8), time(), any::<u32>(), of(any::<u32>())).prop_map(
            |(of, kind, device, start_ns, length, bytes)| Row::Event { of, kind, device, start_ns, length, bytes }
        ),
        (
            0..2_u8,
            time(),
            prop::collection::vec(any::<u32>(), 1..6),
            [of(any::<u16>()), of(any::<u16>()), of(any::<u16>())]
        )
            .prop_map(|(device, start_ns, lengths, counts)| Row::Steps { device, start_ns, lengths, counts }),
        (any::<String>(), of(any::<String>()), 0..2_u8, time(), any::<u32>(), prop::num::f64::ANY).prop_map(
            |(metric, unit, device, start_ns, length, value)| Row::Sample {
                metric,
                unit,
                device,
                start_ns,
                length,
                value
            }
        ),
        (any::<usize>(), time(), 0..4_usize, any::<String>(), of(any::<String>()), prop::num::f64::ANY)
            .prop_map(|(of, t_ns, kind, text, chosen, score)| Row::Decision { of, t_ns, kind, text, chosen, score }),
        (any::<String>(), "[ -~]{0,80}", 1..u32::MAX).prop_map(|(code, detail, count)| Row::Issue {
            code,
            detail,
            count
        }),
    ]
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// A number in the log where it is one, so that both kinds of identifier are tried.
fn id(name: &str) -> Id<'_> {
    match name.parse::<u64>() {
        Ok(number) if number.to_string() == name => Id::Number(number),
        _ => Id::Text(name),
    }
}

/// The rows written, and as the tables should have them: requests, events, steps, decisions, issues; samples by metric.
#[derive(Default)]
struct Expected {
    requests: Vec<Vec<String>>,
    events: Vec<Vec<String>>,
    steps: Vec<Vec<String>>,
    samples: Vec<(String, [i64; 3], f64)>,
    decisions: Vec<Vec<String>>,
    issues: Vec<Vec<String>>,
}

impl Expected {
    fn write(&mut self, log: &mut Log<Vec<u8>>, row: &Row, names: &[&str]) {
        match row {
            Row::Request { name, times, counts, text, status } => {
                let [arrival_ns, first, end] = *times;
                let [prompt, output, cached] = counts.map(|count| count.map(i64::from));
                let (first, end) = (prompt.map(|_| first), output.map(|_| end));
                log.request(&RequestRow {
                    request: id(name),
                    arrival_ns,
                    first_token_ns: first,
                    end_ns: end,
                    prompt_tokens: prompt,
                    output_tokens: output,
                    cached_tokens: cached,
                    priority: cached,
                    tier: text.as_deref(),
                    slo_ttft_ns: prompt,
                    slo_tpot_ns: output,
                    predicted_ttft_ns: cached,
                    policy: text.as_deref(),
                    prefill_device: prompt.map(|_| 0),
                    decode_device: output.map(|_| 1),
                    first_token_device: None,
                    status: STATUSES[*status],
                    reason: text.as_deref(),
                });
                let mut row = vec![name.clone(), arrival_ns.to_string()];
                row.extend([first, end, prompt, output, cached, cached].map(cell));
                row.push(cell(text.as_ref()));
                row.extend([prompt, output, cached].map(cell));
                row.push(cell(text.as_ref()));
                row.extend([prompt.map(|_| 0), output.map(|_| 1), None::<i64>].map(cell));
                row.extend([STATUSES[*status].to_owned(), cell(text.as_ref())]);
                self.requests.push(row);
            }
            Row::Event { of, kind, device, start_ns, length, bytes } if !names.is_empty() => {
                let (name, kind) = (names[of % names.len()], KINDS[*kind]);
                let (device, bytes) = (device.map(i64::from), bytes.map(i64::from));
                let (start_ns, end_ns) = (*start_ns, start_ns + i64::from(*length));
                log.event(&EventRow { kind, request: id(name), device, start_ns, end_ns, bytes });
                let cells = [cell(device), cell(Some(start_ns)), cell(Some(end_ns)), cell(bytes)];
                self.events.push([[name, kind].map(str::to_owned).to_vec(), cells.to_vec()].concat());
            }
            Row::Steps { device, start_ns, lengths, counts } => {
                let [prefill_tokens, decode_batch, kv_tokens] = counts.map(|count| count.map(i64::from));
                let device = i64::from(*device);
                let mut ends_ns = Vec::new();
                for length in lengths {
                    let step = ends_ns.len() as i64;
                    let start_ns = ends_ns.last().copied().unwrap_or(*start_ns);
                    let end_ns = start_ns + i64::from(*length);
                    ends_ns.push(end_ns);
                    let kv_tokens = kv_tokens.map(|tokens| tokens + step * decode_batch.unwrap_or(0));
                    let cells = [Some(device), Some(start_ns), Some(end_ns), prefill_tokens, decode_batch, kv_tokens];
                    self.steps.push(cells.map(cell).to_vec());
                }
                let first = StepRow { device, start_ns: *start_ns, end_ns: 0, prefill_tokens, decode_batch, kv_tokens };
                log.steps(&first, ends_ns);
            }
            Row::Sample { metric, unit, device, start_ns, length, value } => {
                let (device, start_ns, end_ns) = (i64::from(*device), *start_ns, start_ns + i64::from(*length));
                log.sample(&SampleRow { metric, unit: unit.as_deref(), device, start_ns, end_ns, value: *value });
                self.samples.push((metric.clone(), [device, start_ns, end_ns], *value));
            }
            Row::Decision { of, t_ns, kind, text, chosen, score } => {
                let name = names.get(of % names.len().max(1)).copied().unwrap_or("nobody");
                let (kind, chosen, terms) = (DECISIONS[*kind], chosen.as_deref(), [(text.as_str(), *score)]);
                let decision = DecisionRow {
                    request: id(name),
                    t_ns: *t_ns,
                    kind,
                    policy: text,
                    chosen,
                    ..DecisionRow::default()
                };
                log.decision(&DecisionRow { terms: &terms, runner_up: Some((text, *score)), ..decision });
                self.decisions
                    .push([name, &t_ns.to_string(), kind, text, chosen.unwrap_or("null")].map(str::to_owned).to_vec());
            }
            Row::Issue { code, detail, count } => {
                let count = i64::from(*count);
                log.issue(&IssueRow { code, source: "s", severity: "info", count, detail });
                self.issues.push(vec![
                    "s".to_owned(),
                    "info".to_owned(),
                    code.clone(),
                    count.to_string(),
                    detail.clone(),
                ]);
            }
            Row::Event { .. } => {}
        }
    }

    /// Samples with their metrics' names; those of the head, which come last, left out.
    fn same_samples(&self, tables: &Tables) {
        let (frame, metrics) = (tables.get(&tables::SAMPLES), texts(tables.get(&tables::COUNTER_DEFS), "metric"));
        let columns = ["def", "device", "start_ns", "end_ns"].map(|column| ints(frame, column));
        let values = frame::floats(frame, "value").unwrap();
        for (at, (metric, cells, value)) in self.samples.iter().enumerate() {
            let [def, rest @ ..] = [0, 1, 2, 3].map(|column| columns[column][at].unwrap());
            assert_eq!((metrics[def as usize].as_ref(), rest), (Some(metric), *cells));
            // The parser of JSON may be off by the last bit.
            let close = |read: f64| (read - value).abs() <= value.abs() * 1e-15;
            assert_eq!(values[at].map(close), value.is_finite().then_some(true), "{value}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sequence_of_rows_survives(made in prop::collection::vec(row(), 1..40)) {
        let (mut seen, mut names, mut written) = (std::collections::HashSet::new(), Vec::new(), Vec::new());
        for row in &made {
            match row {
                Row::Request { name, .. } if !seen.insert(name) => continue,
                Row::Request { name, .. } => names.push(name.as_str()),
                _ => {}
            }
            written.push(row);
        }
        let (cluster, mut expected) = (cluster(), Expected::default());
        let mut log = log(Time::Measured, &cluster);
        for row in written {
            expected.write(&mut log, row, &names);
        }
        let bytes = log.finish().unwrap();
        let events = expected.requests.len() + expected.events.len() + expected.steps.len() + expected.samples.len();
        if events + expected.decisions.len() == 0 {
            prop_assert!(refused(&bytes).contains("holds no events"));
            return Ok(());
        }
        let (_, tables) = imported(&bytes);
        prop_assert_eq!(rows(&tables, &tables::REQUESTS), expected.requests.clone());
        prop_assert_eq!(rows(&tables, &tables::REQUEST_EVENTS), expected.events.clone());
        prop_assert_eq!(rows(&tables, &tables::STEPS), expected.steps.clone());
        let decisions: Vec<_> = rows(&tables, &tables::DECISIONS).into_iter().map(|row| row[..5].to_vec()).collect();
        prop_assert_eq!(decisions, expected.decisions.clone());
        prop_assert_eq!(rows(&tables, &tables::ISSUES), expected.issues.clone());
        expected.same_samples(&tables);
    }
}
