//! Requests on their way into the tables: moved to the session start, and checked.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use proftool_trace::rows::{Request, RequestEvent};

use crate::Error;
use crate::raw::{Import, Severity};

/// Times from here on (March 1973) are read as Unix times, smaller ones as times from a zero that the log states.
const UNIX_FROM_NS: i64 = 100_000_000_000_000_000;
/// Bytes of a reason that are kept: a traceback can be pages long.
const REASON_BYTES: usize = 200;

/// Why a record is left out.
#[derive(Debug)]
pub(crate) struct Bad {
    /// Code of the issue.
    pub(crate) code: &'static str,
    /// What is wrong with the record.
    pub(crate) reason: String,
}

impl Bad {
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// A field that must be there is not.
    pub(crate) fn missing(name: &str) -> Self {
        Self::new("missing_value", format!("it has no {name}"))
    }

    /// A field does not hold what it should.
    pub(crate) fn value(name: &str, text: &str, wanted: &str) -> Self {
        let shown: String = text.chars().take(40).collect();
        Self::new("bad_value", format!("{name} is {shown:?}, which is no {wanted}"))
    }
}

/// The session start of a log whose earliest arrival is `earliest`, in the log's own times: that arrival where the
/// times are Unix times, else the zero that the log states.
pub(crate) fn session_start(earliest: i64) -> i64 {
    if earliest >= UNIX_FROM_NS { earliest } else { 0 }
}

/// The last line of an error text that is not blank (of a traceback, the error itself), cut to a bearable length.
pub(crate) fn reason(text: &str) -> Option<String> {
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let end = (0..=last.len().min(REASON_BYTES)).rev().find(|at| last.is_char_boundary(*at))?;
    Some(last[..end].to_owned())
}

/// Takes the requests of one log.
pub(crate) struct Log<'i, 's> {
    import: &'i mut Import<'s>,
    start_ns: i64,
    hasher: RandomState,
    seen: HashSet<u64>,
    shifted: Vec<i64>,
}

impl<'i, 's> Log<'i, 's> {
    /// A log whose session starts at `start_ns` of its own times.
    pub(crate) fn new(import: &'i mut Import<'s>, start_ns: i64) -> Self {
        Self { import, start_ns, hasher: RandomState::new(), seen: HashSet::new(), shifted: Vec::new() }
    }

    /// Takes a request and the times of its streamed chunks, all in the log's own times. One that cannot be true is
    /// left out and counted.
    pub(crate) fn take(
        &mut self,
        request: &Request<'_>,
        tokens: &[i64],
        place: impl Fn() -> String,
    ) -> Result<(), Error> {
        let row = match self.shift(request, tokens).and_then(|row| check(&row, &self.shifted).map(|()| row)) {
            Ok(row) => row,
            Err(bad) => {
                self.left_out(&bad, place);
                return Ok(());
            }
        };
        let last = row.end_ns.or(row.first_token_ns).unwrap_or(row.arrival_ns);
        if !self.import.possible(row.arrival_ns, last, &place) {
            return Ok(());
        }
        self.import.put(&row)?;
        for time in &self.shifted {
            let event = RequestEvent {
                request: row.request,
                kind: "token",
                start_ns: *time,
                end_ns: *time,
                ..RequestEvent::default()
            };
            self.import.put(&event)?;
        }
        Ok(())
    }

    /// As [`Log::take`], of a request whose identifier the log states: one that an earlier request has is left out.
    /// Costs about 9 bytes a request.
    pub(crate) fn take_named(
        &mut self,
        request: &Request<'_>,
        tokens: &[i64],
        place: impl Fn() -> String,
    ) -> Result<(), Error> {
        if self.seen.insert(self.hasher.hash_one(request.request)) {
            return self.take(request, tokens, place);
        }
        let bad = Bad::new("duplicate_request", format!("request {:?} stands in the log before", request.request));
        self.left_out(&bad, place);
        Ok(())
    }

    /// Counts a record that is left out.
    pub(crate) fn left_out(&mut self, bad: &Bad, place: impl Fn() -> String) {
        self.import.bad_row(bad.code, || format!("{}: {}", place(), bad.reason));
    }

    /// Notes what a reader of the results should know; nothing for a count of 0.
    pub(crate) fn note(&mut self, severity: Severity, code: &'static str, count: u64, detail: &str) {
        self.import.issue(severity, code, count, detail);
    }

    fn shift<'r>(&mut self, request: &Request<'r>, tokens: &[i64]) -> Result<Request<'r>, Bad> {
        let start = self.start_ns;
        let far = |time: i64| Bad::new("time_out_of_range", format!("the time {time} ns is too far from the others"));
        let shift = |time: i64| time.checked_sub(start).ok_or_else(|| far(time));
        self.shifted.clear();
        for time in tokens {
            self.shifted.push(shift(*time)?);
        }
        Ok(Request {
            arrival_ns: shift(request.arrival_ns)?,
            first_token_ns: request.first_token_ns.map(shift).transpose()?,
            end_ns: request.end_ns.map(shift).transpose()?,
            ..*request
        })
    }
}

/// What must hold of a request by itself: no negative count or length, times in their order.
pub(crate) fn check(row: &Request<'_>, tokens: &[i64]) -> Result<(), Bad> {
    let counts = [row.prompt_tokens, row.output_tokens, row.cached_tokens];
    if let Some(count) = counts.into_iter().flatten().find(|count| *count < 0) {
        return Err(Bad::new("negative_value", format!("a token count is {count}")));
    }
    let lengths = [row.slo_ttft_ns, row.slo_tpot_ns, row.predicted_ttft_ns];
    if let Some(length) = lengths.into_iter().flatten().find(|length| *length < 0) {
        return Err(Bad::new("negative_value", format!("a time limit or prediction is {length} ns")));
    }
    if let Some(first) = row.first_token_ns {
        if first < row.arrival_ns {
            let reason = format!("first token {first} ns lies before arrival {} ns", row.arrival_ns);
            return Err(Bad::new("end_before_start", reason));
        }
        if let Some(end) = row.end_ns.filter(|end| *end < first) {
            return Err(Bad::new("end_before_start", format!("end {end} ns lies before first token {first} ns")));
        }
    }
    let bounds = row.first_token_ns.unwrap_or(row.arrival_ns)..=row.end_ns.unwrap_or(i64::MAX);
    if !tokens.is_sorted() || !tokens.iter().all(|time| bounds.contains(time)) {
        return Err(Bad::new("tokens_out_of_order", "its token times go back or lie outside the request"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_error_of_a_traceback() {
        assert_eq!(reason("Traceback:\n  File\nTimeoutError: late\n\n").as_deref(), Some("TimeoutError: late"));
        assert_eq!(reason(" \n"), None);
        assert_eq!(reason(&"é".repeat(500)).map(|text| text.len()), Some(200));
    }

    #[test]
    fn small_times_count_from_the_zero_that_the_log_states() {
        assert_eq!(session_start(5_000_000_000), 0);
        assert_eq!(session_start(-5), 0);
        assert_eq!(session_start(1_700_158_546_680_590_000), 1_700_158_546_680_590_000);
    }

    #[test]
    fn times_stand_in_their_order() {
        let row = |first, end| Request { arrival_ns: 10, first_token_ns: first, end_ns: end, ..Request::default() };
        assert!(check(&row(Some(10), Some(10)), &[10, 10]).is_ok());
        assert_eq!(check(&row(Some(9), None), &[]).unwrap_err().code, "end_before_start");
        assert_eq!(check(&row(Some(12), Some(11)), &[]).unwrap_err().code, "end_before_start");
        assert_eq!(check(&row(Some(11), Some(20)), &[11, 13, 12]).unwrap_err().code, "tokens_out_of_order");
        assert_eq!(check(&row(Some(11), Some(20)), &[11, 21]).unwrap_err().code, "tokens_out_of_order");
        let negative = Request { output_tokens: Some(-1), ..Request::default() };
        assert_eq!(check(&negative, &[]).unwrap_err().code, "negative_value");
    }
}
