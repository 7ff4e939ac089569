//! The importer of genai-perf's raw exports and AIPerf's records. Both tools measure at the client: a request arrives
//! when it is sent, and tokens when the client receives them.

use proftool_trace::rows::Request;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests;
use crate::requests::aiperf::Record;
use crate::requests::genai::{self, Exchange};
use crate::requests::json;
use crate::requests::lines::Lines;
use crate::requests::log::{Bad, Log};
use crate::requests::shape::{self, Shape};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "genai_perf",
    doc: "genai-perf's profile_export.json (every response) and AIPerf's profile_export.jsonl (one record a request).",
    sniff: |head| shape::of(head).is_some_and(|shape| SHAPES.contains(&shape)),
    import,
};

const NO_TOKEN_COUNTS: &str = "answers in which the server states no usage: their token counts are null (genai-perf \
    counts with a tokenizer); to have them, profile with --extra-inputs '{\"stream_options\":{\"include_usage\":true}}'";
const UNREADABLE: &str = "response data that is not the JSON of a model server, taken as no output";
const SHAPES: &[Shape] = &[Shape::GenaiRaw, Shape::GenaiSummary, Shape::Aiperf, Shape::AiperfRaw];

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let start_ns = match shape::of(&source.head()) {
        Some(Shape::GenaiRaw) => import_exchanges(source, import)?,
        Some(Shape::Aiperf) => import_records(source, import)?,
        Some(Shape::AiperfRaw) => {
            let reason = "holds AIPerf's raw requests and responses";
            return Err(requests::summary(
                source,
                reason,
                "import profile_export.jsonl beside it, which holds their times",
            ));
        }
        _ => return Err(summary(source)),
    };
    Ok(Session { start_unix_ns: start_ns, clock: "unix".to_owned(), ..Session::default() })
}

fn summary(source: &Source) -> Error {
    let name = source.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = match name.split_once("_genai_perf.") {
        Some((stem, _)) => format!("{stem}.json"),
        None => "profile_export.json (genai-perf) or profile_export.jsonl (AIPerf)".to_owned(),
    };
    let reason = "holds the tool's conclusions: percentiles, no requests";
    requests::summary(source, reason, format!("import the requests themselves, {beside} in the same folder"))
}

/// Requests are named by their number, with several experiments (load levels) by `experiment/number`.
fn import_exchanges(source: &Source, import: &mut Import<'_>) -> Result<i64, Error> {
    let (mut earliest, mut experiments) = (i64::MAX, 0);
    genai::exchanges(source, false, &mut |experiment, _, exchange| {
        experiments = experiments.max(experiment + 1);
        earliest = exchange.sent.map_or(earliest, |sent| earliest.min(sent));
        Ok(())
    })?;
    let start_ns = if earliest == i64::MAX { 0 } else { earliest };
    let mut log = Log::new(import, start_ns);
    let (mut moments, mut uncounted, mut unreadable) = (Vec::new(), 0, 0);
    genai::exchanges(source, true, &mut |experiment, number, exchange| {
        let name = if experiments > 1 { format!("{experiment}/{number}") } else { number.to_string() };
        let place = || format!("request {number} of experiment {experiment}");
        unreadable += exchange.heard.unreadable;
        match answered(exchange, &mut moments) {
            Ok(row) => {
                uncounted += u64::from(row.status == "ok" && row.output_tokens.is_none());
                let tokens = if row.first_token_ns.is_some() { moments.as_slice() } else { &[] };
                log.take(&Request { request: &name, ..row }, tokens, place)
            }
            Err(bad) => {
                log.left_out(&bad, place);
                Ok(())
            }
        }
    })?;
    log.note(Severity::Info, "no_token_counts", uncounted, NO_TOKEN_COUNTS);
    log.note(Severity::DataLoss, "unreadable_response", unreadable, UNREADABLE);
    Ok(start_ns)
}

/// First token and end are the first and last response with output, as genai-perf takes them: not the role message
/// before, not `[DONE]` behind. A response that is not part of a stream has an end and no first token.
fn answered<'r>(exchange: &'r Exchange, moments: &mut Vec<i64>) -> Result<Request<'r>, Bad> {
    let heard = &exchange.heard;
    let lists = || {
        let (times, outputs) = (exchange.times.len(), heard.output.len());
        Bad::new("bad_value", format!("its {times} response_timestamps do not fit its {outputs} response_outputs"))
    };
    exchange.outputs(moments).ok_or_else(lists)?;
    let row = Request {
        arrival_ns: exchange.sent.ok_or_else(|| Bad::missing("timestamp"))?,
        prompt_tokens: heard.prompt_tokens,
        output_tokens: heard.output_tokens,
        cached_tokens: heard.cached_tokens,
        ..Request::default()
    };
    let last = exchange.times.last().and_then(|time| time.0);
    if heard.error.is_some() || !heard.any_output() {
        moments.clear();
        let reason = heard.error.as_deref().unwrap_or("no response with output");
        return Ok(Request { end_ns: last, status: "failed", reason: Some(reason), ..row });
    }
    let streamed = heard.events || heard.output.len() > 1;
    let first_token_ns = moments.first().copied().filter(|_| streamed);
    Ok(Request { first_token_ns, end_ns: moments.last().copied(), status: "ok", ..row })
}

/// Requests are named by AIPerf's x_request_id, those without by their number.
fn import_records(source: &Source, import: &mut Import<'_>) -> Result<i64, Error> {
    let start_ns = earliest(source)?;
    let mut log = Log::new(import, start_ns);
    let (mut tokens, mut number, mut warmup) = (Vec::new(), 0_u64, 0);
    let mut lines = Lines::open(source)?;
    while let Some((at, line)) = lines.next()? {
        let place = || format!("line {at}");
        match serde_json::from_slice::<Record<'_>>(line) {
            Ok(record) if record.warmup() => warmup += 1,
            Ok(record) => {
                let reason = record.reason();
                match record.request(reason.as_deref(), &mut tokens) {
                    Err(bad) => log.left_out(&bad, place),
                    Ok(row) => match record.identifier() {
                        Some(request) => log.take_named(&Request { request, ..row }, &tokens, place)?,
                        None => log.take(&Request { request: &number.to_string(), ..row }, &tokens, place)?,
                    },
                }
            }
            Err(error) if error.is_data() => log.left_out(&Bad::new("bad_value", error.to_string()), place),
            Err(error) => return Err(json::error(source, Some(at), error)),
        }
        number += 1;
    }
    log.note(
        Severity::Info,
        "warmup_left_out",
        warmup,
        "requests of the warm-up phase, which AIPerf's own results leave out too",
    );
    Ok(start_ns)
}

fn earliest(source: &Source) -> Result<i64, Error> {
    let mut earliest = None;
    let mut lines = Lines::open(source)?;
    while let Some((_, line)) = lines.next()? {
        let record = serde_json::from_slice::<Record<'_>>(line).ok().filter(|record| !record.warmup());
        if let Some(sent) = record.and_then(|record| record.sent()) {
            earliest = Some(earliest.map_or(sent, |other: i64| other.min(sent)));
        }
    }
    Ok(earliest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::fixture::shared_data;
    use crate::requests::testing::{Log, failure, import, import_file};

    /// Seconds between two columns of the requests that have both.
    fn lengths(log: &Log, from: &str, to: &str) -> Vec<f64> {
        let pairs = log.ints(from).into_iter().zip(log.ints(to));
        let mut lengths: Vec<f64> = pairs.filter_map(|(from, to)| Some((to? - from?) as f64)).collect();
        lengths.sort_by(f64::total_cmp);
        lengths
    }

    /// numpy's default percentile: linear between the two nearest ranks.
    fn percentile(sorted: &[f64], percent: f64) -> f64 {
        let rank = percent / 100.0 * (sorted.len() - 1) as f64;
        let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
        sorted[low] + (sorted[high] - sorted[low]) * rank.fract()
    }

    /// genai-perf's own conclusions from this export, to the digits that it prints.
    #[test]
    fn the_published_export_agrees_with_its_own_summary() {
        let Some(raw) = shared_data("serving/genai_perf_llama3_8b/c1_200_50.json.gz") else { return };
        let log = import_file(&raw).unwrap();
        let summary = std::fs::read(raw.with_file_name("c1_profile_export_genai_perf.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
        for (metric, to) in [("time_to_first_token", "first_token_ns"), ("request_latency", "end_ns")] {
            let lengths = lengths(&log, "arrival_ns", to);
            let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
            let mut pairs = vec![("avg", mean), ("min", lengths[0]), ("max", lengths[52])];
            let percentiles =
                [("p25", 25.0), ("p50", 50.0), ("p75", 75.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0)];
            pairs.extend(percentiles.map(|(name, percent)| (name, percentile(&lengths, percent))));
            for (name, ours) in pairs {
                let theirs = summary[metric][name].as_f64().unwrap() * 1e6;
                assert!((ours - theirs).abs() < 1e-3, "{metric} {name}: {ours} ns, {theirs} ns");
            }
        }
        let seconds = log.present("end_ns").into_iter().max().unwrap() as f64 / 1e9;
        let throughput = summary["request_throughput"]["avg"].as_f64().unwrap();
        assert!((53.0 / seconds - throughput).abs() < 1e-12, "none of the 53 requests was left out");
    }

    /// Counts, sums and times by Python's json module over the same file.
    #[test]
    fn the_published_export_is_whole() {
        let Some(raw) = shared_data("serving/genai_perf_llama3_8b/c1_200_50.json.gz") else { return };
        let log = import_file(&raw).unwrap();
        assert_eq!(log.statuses(), vec!["ok"; 53]);
        assert_eq!(log.imported.session.start_unix_ns, 1_730_923_333_851_941_241);
        assert_eq!(log.present("arrival_ns")[52], 34_709_813_424);
        let (arrived, first, end) = (log.sum("arrival_ns"), log.sum("first_token_ns"), log.sum("end_ns"));
        assert_eq!((first - arrived, end - arrived), (1_298_047_436, 35_371_344_335));
        assert_eq!((log.sum("prompt_tokens"), log.sum("output_tokens")), (10_016, 2_650));
        let tokens = log.tokens();
        assert_eq!((tokens.len(), tokens.iter().map(|(_, time)| time).sum::<i64>()), (2_650, 46_907_087_088_297));
        assert!(log.issues().is_empty() && log.present("cached_tokens").is_empty());
    }

    #[test]
    fn summaries_name_the_file_to_import_instead() {
        for file in ["c1_profile_export_genai_perf.json", "c1_profile_export_genai_perf.csv"] {
            let Some(path) = shared_data(&format!("serving/genai_perf_llama3_8b/{file}")) else { return };
            let error = import_file(&path).map(|log| log.imported).unwrap_err().to_string();
            assert!(
                error.contains("percentiles, no requests") && error.contains("c1_profile_export.json in"),
                "{error}"
            );
        }
        let raw = r#"{"metadata":{"worker_id":"w"},"start_perf_ns":1,"responses":[]}"#;
        assert!(failure(raw.as_bytes()).contains("import profile_export.jsonl beside it"));
    }

    fn export(requests: &str) -> String {
        format!(
            r#"{{"experiments":[{{"experiment":{{"mode":"concurrency","value":1}},"requests":[{requests}],"window_boundaries":[1]}}],"version":"2.48.0"}}"#
        )
    }

    fn request(sent: &str, times: &str, outputs: &str) -> String {
        format!(
            r#"{{"timestamp":{sent},"request_inputs":{{"payload":"secret"}},"response_timestamps":[{times}],"response_outputs":[{outputs}]}}"#
        )
    }

    const CHUNK: &str = r#"{"response":"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"}"#;
    const ROLE: &str = r#"{"response":"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"}"#;
    const WHOLE: &str = r#"{"response":"{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}"}"#;
    const ERROR: &str = r#"{"response":"event: error\ndata: overloaded\n\n"}"#;

    #[test]
    fn answers_of_every_kind() {
        let requests = [
            request(
                "1730000000000000100",
                "1730000000000000110,1730000000000000120,1730000000000000130",
                &[ROLE, CHUNK, CHUNK].join(","),
            ),
            request("1730000000000000000", "1730000000000000050", WHOLE),
            request("1730000000000000200", "1730000000000000250", ERROR),
            request("1730000000000000300", "1730000000000000350", ROLE),
            request("1730000000000000400", "", ""),
            request(
                "1730000000000000500",
                "1730000000000000510,1730000000000000520",
                r#"{"text_output":"a"},{"text_output":""}"#,
            ),
        ];
        let log = import(export(&requests.join(",")).as_bytes()).unwrap();
        assert_eq!(log.present("arrival_ns"), [100, 0, 200, 300, 400, 500]);
        assert_eq!(log.ints("first_token_ns"), [Some(120), None, None, None, None, Some(510)]);
        assert_eq!(log.ints("end_ns"), [Some(130), Some(50), Some(250), Some(350), None, Some(510)]);
        assert_eq!(log.ints("output_tokens"), [None, Some(1), None, None, None, None]);
        assert_eq!(log.statuses(), ["ok", "ok", "failed", "failed", "failed", "ok"]);
        assert_eq!(
            log.texts("reason")[2..4],
            [Some("overloaded".to_owned()), Some("no response with output".to_owned())]
        );
        assert_eq!(log.tokens(), [("0", 120), ("0", 130), ("5", 510)].map(|(name, time)| (name.to_owned(), time)));
        assert_eq!(log.issues(), [("no_token_counts".to_owned(), "info".to_owned(), 2)]);
        assert_eq!(log.texts("request")[5].as_deref(), Some("5"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        let good = request("1730000000000000000", "1730000000000000050", WHOLE);
        let cut = export(&good);
        let error = failure(&cut.as_bytes()[..cut.len() - 60]);
        assert!(error.contains("damaged at line 1, column") && error.contains("ends inside a JSON value"), "{error}");
        for (bad, reason) in [
            (request("1730000000000000000", "1730000000000000050", ""), "1 response_timestamps do not fit its 0"),
            (request("1730000000000000000", "null", WHOLE), "do not fit"),
            (request("1730000000000000060", "1730000000000000050", WHOLE), "lies before start"),
            (request("99999999999999999999", "1730000000000000050", WHOLE), "it has no timestamp"),
            (
                request("1730000000000000000", "1730000000000000050,1730000000000000040", &[CHUNK, CHUNK].join(",")),
                "lies before first token",
            ),
        ] {
            let error = failure(export(&[good.as_str(), &bad].join(",")).as_bytes());
            assert!(error.contains("damaged at request 1 of experiment 0: ") && error.contains(reason), "{error}");
        }
        assert!(failure(export("").as_bytes()).contains("holds no events"));
        assert!(failure(export("3").as_bytes()).contains("expected a request"));
    }

    const RECORD: &str = r#"{"metadata":{"session_num":45,"x_request_id":"id","turn_index":0,"request_start_ns":1759813207532900363,"request_ack_ns":1759813207650730976,"request_end_ns":1759813207838764604,"worker_id":"w","benchmark_phase":"profiling","was_cancelled":false,"cancellation_time_ns":null},"metrics":{"input_sequence_length":{"value":550,"unit":"tokens"},"time_to_first_token":{"value":255.88656799999998,"unit":"ms"},"request_latency":{"value":297.52522799999997,"unit":"ms"},"output_token_count":{"value":9,"unit":"tokens"},"inter_chunk_latency":{"value":[4.898437,5.316006,4.801489,5.674918,4.811467,5.097998,5.504797,5.533548],"unit":"ms"},"output_sequence_length":{"value":9,"unit":"tokens"},"usage_prompt_cache_read_tokens":{"value":512,"unit":"tokens"}},"error":null}"#;
    const CANCELLED: &str = r#"{"metadata":{"x_request_id":"other","timestamp_ns":1759813207532900000,"request_end_ns":1759813207532900500,"worker_id":"w","credit_phase":"profiling","was_cancelled":true},"metrics":{"error_isl":{"value":550,"unit":"tokens"}},"error":{"code":499,"type":"RequestCancellationError","message":"cancelled after 0.000 seconds"}}"#;

    /// The record of AIPerf's documentation: its chunks end where its latency does, to the nanosecond.
    #[test]
    fn a_record_gives_a_request_and_its_chunks() {
        let log = import(format!("{RECORD}\n{CANCELLED}\n").as_bytes()).unwrap();
        assert_eq!(log.imported.session.start_unix_ns, 1_759_813_207_532_900_000);
        assert_eq!(log.present("arrival_ns"), [363, 0]);
        assert_eq!(log.ints("first_token_ns"), [Some(363 + 255_886_568), None]);
        assert_eq!(log.present("end_ns"), [363 + 297_525_228, 500]);
        assert_eq!((log.present("prompt_tokens"), log.ints("output_tokens")), (vec![550, 550], vec![Some(9), None]));
        assert_eq!(log.ints("cached_tokens"), [Some(512), None]);
        assert_eq!(log.statuses(), ["ok", "aborted"]);
        let reason = "RequestCancellationError: cancelled after 0.000 seconds";
        assert_eq!(log.texts("reason"), [None, Some(reason.to_owned())]);
        let tokens = log.tokens();
        assert_eq!((tokens.len(), tokens[8].1), (9, 363 + 297_525_228));
    }

    #[test]
    fn warm_up_is_left_out_and_said() {
        let warmup = RECORD.replace("profiling", "warmup").replace("\"id\"", "\"first\"");
        let log = import(format!("{warmup}\n{RECORD}\n").as_bytes()).unwrap();
        assert_eq!(log.statuses(), ["ok"]);
        assert_eq!(log.issues(), [("warmup_left_out".to_owned(), "info".to_owned(), 1)]);
    }

    #[test]
    fn records_that_cannot_be_are_refused_with_their_line() {
        for (bad, reason) in [
            (RECORD.to_owned(), "request \"id\" stands in the log before"),
            (RECORD.replace("297.5", "7.5").replace("\"id\"", "\"x\""), "lies before first token"),
            (RECORD.replace("\"unit\":\"ms\"", "\"unit\":\"fortnights\"").replace("\"id\"", "\"x\""), "unit of time"),
            (RECORD.replace("request_start_ns", "start").replace("\"id\"", "\"x\""), "it has no request_start_ns"),
            (RECORD.replace("[4.898437", "[-400").replace("\"id\"", "\"x\""), "go back"),
        ] {
            let error = failure(format!("{RECORD}\n{bad}\n").as_bytes());
            assert!(error.contains("damaged at line 2: ") && error.contains(reason), "{error}");
        }
    }
}
