//! The importer of vLLM's serving benchmark (`vllm bench serve`, `benchmark_serving.py`) with details, and of SGLang's
//! `bench_serving`, which writes the same lists.

use std::io::BufReader;

use proftool_trace::rows::Request;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests::json::{self, Reason, Seconds, Whole};
use crate::requests::log::{Bad, Log};
use crate::requests::python_json::PythonJson;
use crate::requests::shape::{self, Shape};
use crate::requests::{summary, unsupported};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "vllm_bench",
    doc: "Results of `vllm bench serve --save-detailed` and of SGLang's `bench_serving --output-details`.",
    sniff: |head| shape::of(head) == Some(Shape::VllmBench),
    import,
};

const ARRIVALS_UNKNOWN: &str = "the file holds no start_times (newer vLLM versions write them): every request stands \
    at 0; its own times are right, rates and goodput are not";

/// One run: a list a quantity, one entry a request. Times are float seconds.
#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    completed: Whole,
    input_lens: Option<Vec<Whole>>,
    output_lens: Option<Vec<Whole>>,
    ttfts: Option<Vec<Seconds>>,
    itls: Option<Gaps>,
    latencies: Option<Vec<Seconds>>,
    start_times: Option<Vec<Seconds>>,
    errors: Option<Vec<Reason>>,
}

/// The gaps between the chunks of every request, one list behind the other.
#[derive(Default)]
struct Gaps {
    ns: Vec<Option<i64>>,
    ends: Vec<usize>,
}

impl Gaps {
    fn of(&self, request: usize) -> &[Option<i64>] {
        let start = if request == 0 { 0 } else { self.ends[request - 1] };
        &self.ns[start..self.ends[request]]
    }
}

impl<'de> Deserialize<'de> for Gaps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsGaps;
        impl<'de> Visitor<'de> for AsGaps {
            type Value = Gaps;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of lists of seconds")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut lists: A) -> Result<Gaps, A::Error> {
                let mut gaps = Gaps::default();
                while let Some(list) = lists.next_element::<Vec<Seconds>>()? {
                    gaps.ns.extend(list.into_iter().map(|Seconds(ns)| ns));
                    gaps.ends.push(gaps.ns.len());
                }
                Ok(gaps)
            }
        }
        deserializer.deserialize_seq(AsGaps)
    }
}

impl Run {
    /// Number of requests: every list that is there has as many entries.
    fn count(&self, source: &Source) -> Result<usize, Error> {
        let lists = [
            ("input_lens", self.input_lens.as_ref().map(Vec::len)),
            ("output_lens", self.output_lens.as_ref().map(Vec::len)),
            ("ttfts", self.ttfts.as_ref().map(Vec::len)),
            ("itls", self.itls.as_ref().map(|gaps| gaps.ends.len())),
            ("latencies", self.latencies.as_ref().map(Vec::len)),
            ("start_times", self.start_times.as_ref().map(Vec::len)),
            ("errors", self.errors.as_ref().map(Vec::len)),
        ];
        let mut present = lists.into_iter().filter_map(|(name, length)| Some((name, length?)));
        let Some((first, count)) = present.next() else { return Ok(0) };
        if let Some((name, other)) = present.find(|(_, other)| *other != count) {
            let reason = format!("{first} lists {count} requests, {name} {other}");
            return Err(source.damaged(name, reason, "run the benchmark again"));
        }
        Ok(count)
    }

    /// The request's times and counts; `tokens` gets the moments of its chunks. Without start times it arrives at 0.
    fn request<'r>(&'r self, at: usize, tokens: &mut Vec<i64>) -> Result<Request<'r>, Bad> {
        tokens.clear();
        let arrival = match &self.start_times {
            Some(times) => times[at].0.ok_or_else(|| Bad::missing("start time"))?,
            None => 0,
        };
        let output = self.output_lens.as_ref().and_then(|list| list[at].0);
        let ttft = self.ttfts.as_ref().and_then(|list| list[at].0).filter(|ttft| *ttft != 0);
        let latency = self.latencies.as_ref().and_then(|list| list[at].0).filter(|latency| *latency != 0);
        let prompt_tokens = self.input_lens.as_ref().and_then(|list| list[at].0);
        let row = Request { arrival_ns: arrival, prompt_tokens, ..Request::default() };
        let error = self.errors.as_ref().and_then(|list| list[at].0.as_deref());
        if error.is_some() || (ttft.is_none() && latency.is_none()) {
            return Ok(Request { status: "failed", reason: error, ..row });
        }
        let far = || Bad::new("time_out_of_range", "a time is beyond 64 bits of nanoseconds");
        let after = |length: i64| arrival.checked_add(length).ok_or_else(far);
        let first_token_ns = ttft.map(after).transpose()?;
        if let Some(first) = first_token_ns {
            chunks(first, self.itls.as_ref().map_or(&[], |gaps| gaps.of(at)), tokens)?;
        }
        // Old versions count the closing usage message into `latencies`, which holds no token; the chunks do not.
        let last = tokens.last().copied().filter(|_| self.itls.is_some());
        let end_ns = if let Some(last) = last { Some(last) } else { latency.map(after).transpose()? };
        Ok(Request { first_token_ns, end_ns, output_tokens: output, status: "ok", ..row })
    }
}

/// The moments of the chunks: the first token, then gap by gap.
fn chunks(first: i64, gaps: &[Option<i64>], tokens: &mut Vec<i64>) -> Result<(), Bad> {
    tokens.push(first);
    let mut moment = first;
    for gap in gaps {
        let next = gap.and_then(|gap| moment.checked_add(gap));
        moment = next.ok_or_else(|| Bad::new("bad_value", "a gap between its tokens is no number of seconds"))?;
        tokens.push(moment);
    }
    Ok(())
}

/// Requests are numbered from 0 in the order of the lists.
fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let run = read(source)?;
    let count = run.count(source)?;
    if run.input_lens.is_none() || (run.ttfts.is_none() && run.latencies.is_none()) {
        let reason = "holds a benchmark's summary: percentiles, no requests";
        let hint = "run it again with --save-detailed (vllm bench serve) or --output-details (SGLang) and import that";
        return Err(summary(source, reason, hint));
    }
    let starts = run.start_times.iter().flatten().filter_map(|start| start.0);
    let start_ns = starts.min().unwrap_or(0);
    let mut log = Log::new(import, start_ns);
    let (mut tokens, mut ok) = (Vec::new(), 0);
    for at in 0..count {
        let place = || format!("request {at}");
        match run.request(at, &mut tokens) {
            Ok(row) => {
                ok += i64::from(row.status == "ok");
                log.take(&Request { request: &at.to_string(), ..row }, &tokens, place)?;
            }
            Err(bad) => log.left_out(&bad, place),
        }
    }
    if run.start_times.is_none() {
        log.note(Severity::DataLoss, "arrivals_unknown", count as u64, ARRIVALS_UNKNOWN);
    }
    if let Some(completed) = run.completed.0.filter(|completed| *completed != ok) {
        let detail = format!("the file says that {completed} requests completed, its lists show {ok}");
        log.note(Severity::Error, "completed_differs", completed.abs_diff(ok), &detail);
    }
    let clock = if run.start_times.is_some() { "monotonic" } else { "relative" };
    Ok(Session { start_monotonic_ns: start_ns, clock: clock.to_owned(), ..Session::default() })
}

/// The file's one run. Both tools can append further runs to a file.
fn read(source: &Source) -> Result<Run, Error> {
    let reader = PythonJson::new(BufReader::with_capacity(1 << 18, source.reader()?));
    let mut runs = serde_json::Deserializer::from_reader(BufReader::new(reader)).into_iter::<Run>();
    let run = match runs.next() {
        Some(run) => run.map_err(|error| json::error(source, None, error))?,
        None => return Err(source.damaged("its start", "there is no JSON object", "run the benchmark again")),
    };
    match runs.next() {
        None => Ok(run),
        Some(Ok(_)) => {
            let reason = "holds several runs, whose requests would be mixed";
            Err(unsupported(source, reason, "import them one by one: `sed -n 2p FILE > run2.json` takes the second"))
        }
        Some(Err(error)) => Err(json::error(source, None, error)),
    }
}

#[cfg(test)]
mod tests {
    use crate::requests::testing::{failure, import};

    /// As `vllm bench serve --save-result --save-detailed` writes it; one request timed out.
    const DETAILED: &str = r#"{"date": "20260102-030405", "endpoint_type": "openai", "backend": "openai", "label": null,
        "model_id": "m", "tokenizer_id": "m", "num_prompts": 3, "request_rate": "inf", "burstiness": 1.0,
        "max_concurrency": null, "duration": 1.25, "completed": 2, "failed": 1, "total_input_tokens": 30,
        "total_output_tokens": 5, "request_throughput": 1.6, "request_goodput": null, "output_throughput": 4.0,
        "input_lens": [10, 20, 5], "output_lens": [3, 2, 0], "ttfts": [0.1, 0.2, 0.0],
        "itls": [[0.05, 0.07], [0.1], []], "start_times": [1234567.5, 1234568.123456789, 1234568.5],
        "generated_texts": ["a \"secret\" answer", "b", ""], "errors": ["", "", "Traceback:\n  File\nTimeoutError: late\n"],
        "mean_ttft_ms": 150.0, "median_ttft_ms": 150.0, "mean_tpot_ms": 80.0, "mean_itl_ms": 73.33}"#;

    #[test]
    fn a_detailed_result_gives_requests_and_their_chunks() {
        let log = import(DETAILED.as_bytes()).unwrap();
        assert_eq!(log.imported.session.start_monotonic_ns, 1_234_567_500_000_000);
        assert_eq!(log.present("arrival_ns"), [0, 623_456_789, 1_000_000_000]);
        assert_eq!(log.ints("first_token_ns"), [Some(100_000_000), Some(823_456_789), None]);
        assert_eq!(log.ints("end_ns"), [Some(220_000_000), Some(923_456_789), None]);
        assert_eq!(log.ints("output_tokens"), [Some(3), Some(2), None]);
        assert_eq!(log.present("prompt_tokens"), [10, 20, 5]);
        assert_eq!(log.statuses(), ["ok", "ok", "failed"]);
        assert_eq!(log.texts("reason"), [None, None, Some("TimeoutError: late".to_owned())]);
        let tokens =
            [("0", 100_000_000), ("0", 150_000_000), ("0", 220_000_000), ("1", 823_456_789), ("1", 923_456_789)];
        assert_eq!(log.tokens(), tokens.map(|(request, time)| (request.to_owned(), time)));
        assert!(log.issues().is_empty());
    }

    #[test]
    fn a_result_without_start_times_says_that_rates_are_wrong() {
        let log = import(DETAILED.replace("start_times", "other").as_bytes()).unwrap();
        assert_eq!(log.present("arrival_ns"), [0, 0, 0]);
        assert_eq!(log.present("end_ns"), [220_000_000, 300_000_000]);
        assert_eq!(log.issues(), [("arrivals_unknown".to_owned(), "data_loss".to_owned(), 3)]);
    }

    #[test]
    fn sglang_prints_infinity_and_no_start_times() {
        let sglang = r#"{"backend": "sglang", "dataset_name": "random", "request_rate": Infinity, "max_concurrency": null,
            "duration": 2.0, "completed": 1, "total_input_tokens": 7, "accept_length": NaN, "input_lens": [7],
            "output_lens": [2], "ttfts": [0.5], "itls": [[0.25]], "generated_texts": ["-Infinity"], "errors": [""]}"#;
        let log = import((sglang.to_owned() + "\n").as_bytes()).unwrap();
        assert_eq!((log.present("first_token_ns"), log.present("end_ns")), (vec![500_000_000], vec![750_000_000]));
        let error = failure(format!("{sglang}\n{sglang}\n").as_bytes());
        assert!(error.contains("holds several runs") && error.contains("one by one"), "{error}");
    }

    #[test]
    fn a_summary_asks_for_details() {
        let summary = r#"{"date": "x", "duration": 1.25, "completed": 2, "total_input_tokens": 30, "latencies": [0.2, 0.3],
            "request_throughput": 1.6, "mean_ttft_ms": 150.0}"#;
        let error = failure(summary.as_bytes());
        assert!(error.contains("percentiles, no requests") && error.contains("--save-detailed"), "{error}");
    }

    #[test]
    fn answers_that_are_not_streamed_have_an_end_and_no_first_token() {
        let pooling = r#"{"duration": 1.0, "completed": 2, "total_input_tokens": 30, "input_lens": [10, 20],
            "latencies": [0.2, 0.3], "errors": ["", ""]}"#;
        let log = import(pooling.as_bytes()).unwrap();
        assert_eq!(log.present("end_ns"), [200_000_000, 300_000_000]);
        assert!(log.present("first_token_ns").is_empty() && log.statuses() == ["ok", "ok"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let broken = |from: &str, to: &str| failure(DETAILED.replace(from, to).as_bytes());
        let error = failure(&DETAILED.as_bytes()[..DETAILED.len() / 2 + 200]);
        assert!(error.contains("damaged at line") && error.contains("ends inside a JSON value"), "{error}");
        let error = broken("[0.1, 0.2, 0.0]", "[0.1, 0.2]");
        assert!(error.contains("input_lens lists 3 requests, ttfts 2"), "{error}");
        let error = broken("[0.05, 0.07]", "[0.15, -0.07]");
        assert!(error.contains("damaged at request 0: ") && error.contains("go back"), "{error}");
        let error = broken("[0.05, 0.07]", "[NaN, 0.07]");
        assert!(error.contains("request 0: a gap between its tokens"), "{error}");
        let error = broken("1234567.5", "1e300");
        assert!(error.contains("request 0: it has no start time"), "{error}");
        let error = broken("[[0.05, 0.07], [0.1], []]", "3");
        assert!(error.contains("a list of lists of seconds"), "{error}");
        let error = broken("[0.1, 0.2, 0.0]", "[-0.1, 0.2, 0.0]");
        assert!(error.contains("request 0: first token") && error.contains("before arrival"), "{error}");
    }

    #[test]
    fn a_count_that_the_lists_contradict_is_noted() {
        let log = import(DETAILED.replace("\"completed\": 2", "\"completed\": 3").as_bytes()).unwrap();
        assert_eq!(log.issues(), [("completed_differs".to_owned(), "error".to_owned(), 1)]);
    }
}
