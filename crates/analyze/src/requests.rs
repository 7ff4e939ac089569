//! The requests of a serving run as its log tells them: `requests`, `request_events`, and what follows for each of them.
//!
//! A log is that of one pass; its requests stand in the order of their arrival (then rank and name), whatever the order of
//! the rows. Rows of `request_events` whose request is not in `requests` are left out; of several requests of one name the
//! first has the events.

mod bins;
mod groups;
mod order;
mod read;
mod stages;

#[cfg(test)]
pub(crate) mod fixture;

use std::ops::Range;

use crate::model::Names;
use crate::operators::Span;

pub(crate) use bins::Bins;
pub(crate) use groups::{By, Group};
pub(crate) use order::Latencies;
pub(crate) use read::read;
pub(crate) use stages::{Split, shares};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// With all its tokens.
    Ok,
    /// It was not accepted.
    Rejected,
    /// It could not be served, or the log knows no such status.
    Failed,
    /// Its client gave it up.
    Aborted,
}

/// One request. Times are nanoseconds from the session start.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Number of its name in [`Log::names`].
    pub(crate) name: u32,
    pub(crate) rank: i64,
    pub(crate) arrival: i64,
    pub(crate) first_token: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cached_tokens: Option<i64>,
    /// Numbers of names.
    pub(crate) tier: Option<u32>,
    pub(crate) policy: Option<u32>,
    pub(crate) slo: Slo,
    pub(crate) predicted_ttft: Option<i64>,
    pub(crate) prefill_device: Option<i64>,
    pub(crate) status: Status,
    events: Range<usize>,
    tokens: Range<usize>,
}

/// What was agreed on, at most; nothing where it is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slo {
    /// Time to the first token.
    pub ttft_ns: Option<i64>,
    /// Time per output token after the first.
    pub tpot_ns: Option<i64>,
}

impl Slo {
    /// Whether anything was agreed on.
    pub(crate) fn is_stated(self) -> bool {
        self.ttft_ns.is_some() || self.tpot_ns.is_some()
    }

    /// These limits, where they are there, in place of those of a log.
    pub(crate) fn or(self, stated: Self) -> Self {
        Self { ttft_ns: self.ttft_ns.or(stated.ttft_ns), tpot_ns: self.tpot_ns.or(stated.tpot_ns) }
    }
}

impl Request {
    /// Time to the first token of a request that came out whole; none where it would be before the arrival.
    pub(crate) fn ttft(&self) -> Option<i64> {
        let first = self.first_token.filter(|_| self.status == Status::Ok)?;
        length(self.arrival, first)
    }

    /// (end - first token) / (output tokens - 1), rounded down; none of a single token.
    pub(crate) fn tpot(&self) -> Option<i64> {
        let gaps = self.output_tokens?.checked_sub(1).filter(|gaps| *gaps > 0)?;
        self.ttft()?;
        Some(length(self.first_token?, self.end?)? / gaps)
    }

    /// From arrival to the last token, of a request that came out whole.
    pub(crate) fn e2e(&self) -> Option<i64> {
        let end = self.end.filter(|_| self.status == Status::Ok)?;
        length(self.arrival, end)
    }

    /// Whether it meets every SLO that is stated for it: one without a first token meets none, and one without a TPOT
    /// misses no TPOT.
    pub(crate) fn meets(&self) -> bool {
        let Some(ttft) = self.ttft() else { return false };
        let within =
            |value: Option<i64>, limit: Option<i64>| value.zip(limit).is_none_or(|(value, limit)| value <= limit);
        within(Some(ttft), self.slo.ttft_ns) && within(self.tpot(), self.slo.tpot_ns)
    }
}

/// From one moment to a later one; none where it is earlier.
fn length(from: i64, to: i64) -> Option<i64> {
    (from <= to).then(|| to.saturating_sub(from))
}

/// What an event of a request is; tokens stand apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Queued,
    Prefill,
    KvTransfer,
    Decode,
    Preempt,
    Migrate,
}

impl Kind {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Queued, "queued"),
        (Self::Prefill, "prefill"),
        (Self::KvTransfer, "kv_transfer"),
        (Self::Decode, "decode"),
        (Self::Preempt, "preempt"),
        (Self::Migrate, "migrate"),
    ];
}

/// A stage of a request's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its place in [`Log::requests`].
    pub(crate) request: usize,
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    /// Where; of a transfer the receiving device.
    pub(crate) device: Option<i64>,
    pub(crate) bytes: Option<i64>,
}

/// The requests of one pass.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) pass: String,
    /// Whether a model computed the times.
    pub(crate) simulated: bool,
    pub(crate) names: Names,
    /// By arrival.
    pub(crate) requests: Vec<Request>,
    /// By request and start.
    pub(crate) events: Vec<Event>,
    /// Times of tokens, by request.
    tokens: Vec<i64>,
}

impl Log {
    /// The stages of a request, by start.
    pub(crate) fn stages(&self, request: &Request) -> &[Event] {
        &self.events[request.events.clone()]
    }

    /// When its tokens came, as far as they were streamed one by one or in chunks.
    pub(crate) fn tokens(&self, request: &Request) -> &[i64] {
        &self.tokens[request.tokens.clone()]
    }

    /// Whether any tokens were recorded.
    pub(crate) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The text of a number, of a tier for example.
    pub(crate) fn text(&self, number: Option<u32>) -> Option<&str> {
        number.map(|number| self.names.text(number))
    }

    /// Whether the log says anything about SLOs: one that knows the first token of none of the requests that came out whole
    /// does not say that they missed theirs.
    pub(crate) fn tells_slos(&self) -> bool {
        let mut whole = self.requests.iter().filter(|request| request.status == Status::Ok).peekable();
        whole.peek().is_none() || whole.any(|request| request.ttft().is_some())
    }

    /// From the first arrival to the last end; none where no end is known.
    pub(crate) fn window(&self) -> Option<Span> {
        let first = self.requests.first()?.arrival;
        let last = self.requests.iter().filter_map(|request| request.end).max()?;
        Some((first, last.max(first)))
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::Fixture;

    #[test]
    fn a_single_token_has_no_tpot_and_misses_none_and_what_was_not_served_misses_all() {
        let log = Fixture::new()
            .request(0, Some(100), Some(500), 5)
            .slo(100, 100)
            .request(1, Some(100), Some(101), 1)
            .slo(99, 1)
            .request(2, Some(100), Some(506), 5)
            .slo(99, 100)
            .request(3, None, Some(9), 0)
            .status("rejected")
            .log();
        let told: Vec<_> =
            log.requests.iter().map(|request| (request.ttft(), request.tpot(), request.meets())).collect();
        let wanted =
            [(Some(100), Some(100), true), (Some(99), None, true), (Some(98), Some(101), false), (None, None, false)];
        assert_eq!(told, wanted);
        assert_eq!(log.window(), Some((0, 506)));
    }
}
