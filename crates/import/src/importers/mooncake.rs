//! The importer of Mooncake's request traces: JSON lines of arrival, lengths and the hashes of the prompt's blocks.

use proftool_trace::rows::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Severity, Source};
use crate::requests::NO_OUTCOME;
use crate::requests::decimal::{self, Unit};
use crate::requests::json;
use crate::requests::lines::Lines;
use crate::requests::log::{Bad, Log, session_start};
use crate::requests::shape::{self, Shape};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "mooncake",
    doc: "Mooncake's request traces: JSON lines with timestamp (ms), input_length, output_length and hash_ids.",
    sniff: |head| shape::of(head) == Some(Shape::Mooncake),
    import,
};

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    input_length: Option<&'a RawValue>,
    #[serde(borrow)]
    output_length: Option<&'a RawValue>,
    #[serde(default)]
    hash_ids: json::Filled,
}

impl<'a> Record<'a> {
    fn request(&self) -> Result<Request<'a>, Bad> {
        let count = |name, value: Option<&RawValue>| {
            let text = value.ok_or_else(|| Bad::missing(name))?.get();
            decimal::whole(text).ok_or_else(|| Bad::value(name, text, "whole number"))
        };
        let stamp = self.timestamp.ok_or_else(|| Bad::missing("timestamp"))?.get();
        let arrival = decimal::nanoseconds(stamp, Unit::Ms);
        Ok(Request {
            arrival_ns: arrival.ok_or_else(|| Bad::value("timestamp", stamp, "number of milliseconds"))?,
            prompt_tokens: Some(count("input_length", self.input_length)?),
            output_tokens: Some(count("output_length", self.output_length)?),
            status: "ok",
            ..Request::default()
        })
    }
}

/// Requests are numbered from 0 in the order of the file. The trace says when they came and how long they were, not
/// when they were answered: those times stay null.
fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let start_ns = session_start(earliest(source)?);
    let mut log = Log::new(import, start_ns);
    let (mut number, mut hashed, mut taken) = (0_u64, 0, 0);
    let mut lines = Lines::open(source)?;
    while let Some((at, line)) = lines.next()? {
        let place = || format!("line {at}");
        match serde_json::from_slice::<Record<'_>>(line) {
            Ok(record) => match record.request() {
                Ok(request) => {
                    let name = number.to_string();
                    log.take(&Request { request: &name, ..request }, &[], place)?;
                    (hashed, taken) = (hashed + u64::from(record.hash_ids.0), taken + 1);
                }
                Err(bad) => log.left_out(&bad, place),
            },
            Err(error) if error.is_data() => log.left_out(&Bad::new("bad_value", error.to_string()), place),
            Err(error) => return Err(json::error(source, Some(at), error)),
        }
        number += 1;
    }
    log.note(Severity::Info, "no_outcome", taken, NO_OUTCOME);
    log.note(
        Severity::Info,
        "block_hashes",
        hashed,
        "requests whose hash_ids (blocks of a shared prefix) stay in the raw file; no table holds them",
    );
    let clock = if start_ns == 0 { "relative" } else { "unix" };
    Ok(Session { start_unix_ns: start_ns, clock: clock.to_owned(), ..Session::default() })
}

/// The first arrival that can be read, or the earliest of all where times are Unix times.
fn earliest(source: &Source) -> Result<i64, Error> {
    let mut earliest = i64::MAX;
    let mut lines = Lines::open(source)?;
    while let Some((_, line)) = lines.next()? {
        let record = serde_json::from_slice::<Record<'_>>(line).ok();
        if let Some(request) = record.and_then(|record| record.request().ok()) {
            earliest = earliest.min(request.arrival_ns);
            if session_start(earliest) == 0 {
                break;
            }
        }
    }
    Ok(if earliest == i64::MAX { 0 } else { earliest })
}

#[cfg(test)]
mod tests {
    use crate::fixture::shared_data;
    use crate::requests::testing::{failure, import, import_file};

    /// Counts and sums by Python's json module over the same files.
    #[test]
    fn the_published_traces_are_whole() {
        for (file, requests, prompt, output, last_ns) in [
            ("conversation", 12_031, 144_793_823, 4_122_048, 3_536_999_000_000),
            ("synthetic", 3_993, 61_194_628, 595_432, 1_022_025_000_000),
        ] {
            let Some(path) = shared_data(&format!("serving/mooncake_fast25_{file}_trace.jsonl.gz")) else { return };
            let log = import_file(&path).unwrap();
            assert_eq!(log.statuses(), vec!["ok"; requests]);
            assert_eq!((log.sum("prompt_tokens"), log.sum("output_tokens")), (prompt, output));
            assert_eq!(log.present("arrival_ns").iter().copied().reduce(i64::max), Some(last_ns));
            assert_eq!(log.present("arrival_ns")[0], 0);
            assert!(log.present("end_ns").is_empty() && log.present("cached_tokens").is_empty());
            let noted = log.issues().into_iter().map(|(code, severity, count)| (code, severity, count as usize));
            assert!(noted.eq(["no_outcome", "block_hashes"].map(|code| (
                code.to_owned(),
                "info".to_owned(),
                requests
            ))));
            assert_eq!((log.imported.importer, log.imported.session.start_unix_ns), ("mooncake", 0));
        }
    }

    fn trace(count: usize, other: &str) -> String {
        let line =
            |at| format!("{{\"timestamp\": {at}, \"input_length\": 10, \"output_length\": 2, \"hash_ids\": [0]}}\n");
        (0..count).map(line).collect::<String>() + other
    }

    #[test]
    fn a_trace_cut_in_a_line_is_refused_with_the_line() {
        let error = failure(trace(3, "{\"timestamp\": 3, \"input_len").as_bytes());
        assert!(error.contains("damaged at line 4, column") && error.contains("ends inside a JSON value"), "{error}");
        let error = failure(trace(3, "{\"timestamp\": NaN, \"input_length\": 1, \"output_length\": 1}").as_bytes());
        assert!(error.contains("damaged at line 4") && error.contains("invalid JSON"), "{error}");
    }

    #[test]
    fn one_bad_line_in_a_hundred_is_left_out_and_more_are_too_many() {
        for bad in [
            "{\"timestamp\": 1, \"input_length\": 1}",
            "{\"timestamp\": 1, \"input_length\": -1, \"output_length\": 2}",
            "{\"timestamp\": 1, \"input_length\": 1.5, \"output_length\": 2}",
            "{\"timestamp\": 1e300, \"input_length\": 1, \"output_length\": 2}",
            "{\"timestamp\": \"1\", \"input_length\": 1, \"output_length\": 2}",
            "[1, 2]",
            "7",
            "\"text\"",
            "null",
        ] {
            let log = import(trace(200, bad).as_bytes()).unwrap();
            assert_eq!(log.statuses().len(), 200, "{bad}");
            assert!(log.imported.lost, "{bad}");
            assert!(log.issues().iter().any(|(_, severity, count)| severity == "data_loss" && *count == 1), "{bad}");
            let error = failure(trace(20, bad).as_bytes());
            assert!(error.contains("line 21: ") && error.contains("1 of its 21 rows"), "{bad}: {error}");
        }
        let log = import(trace(200, "{}").as_bytes()).unwrap();
        assert_eq!(log.detail("missing_value"), "rows left out, the first: line 201: it has no timestamp");
    }

    #[test]
    fn arrivals_keep_fractions_of_a_millisecond_and_unix_times_start_at_the_first() {
        let line =
            |stamp: &str| format!("{{\"timestamp\": {stamp}, \"input_length\": 1, \"output_length\": 1}}\r\n\r\n");
        let log = import(format!("\u{feff}{}{}", line("0.25"), line("1000")).as_bytes()).unwrap();
        assert_eq!(log.present("arrival_ns"), [250_000, 1_000_000_000]);
        assert!(log.issues().iter().all(|(code, ..)| code != "block_hashes"));
        let log = import((line("1700158546681") + &line("1700158546680.59")).as_bytes()).unwrap();
        assert_eq!(log.present("arrival_ns"), [410_000, 0]);
        assert_eq!(log.imported.session.start_unix_ns, 1_700_158_546_680_590_000);
    }
}
