//! The columns of the generic request logs (CSV and JSON lines), documented in `docs/importers/requests.md`.

use std::borrow::Cow;

use proftool_trace::rows::Request;

use super::clock;
use super::decimal::{self, Unit};
use super::log::{Bad, reason};

/// What a column says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Request,
    Arrival,
    FirstToken,
    End,
    Ttft,
    Latency,
    Tokens,
    SloTtft,
    SloTpot,
    PredictedTtft,
    PromptTokens,
    OutputTokens,
    CachedTokens,
    Priority,
    PrefillDevice,
    DecodeDevice,
    FirstTokenDevice,
    Tier,
    Policy,
    Status,
    Reason,
}

const FIELDS: usize = Field::Reason as usize + 1;

/// How a column's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decimal numbers in a unit.
    Time(Unit),
    /// Dates, as `clock::moment` reads them.
    Date,
    /// Whole numbers.
    Count,
    /// Text.
    Text,
}

/// A column that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// What it says.
    pub(crate) field: Field,
    /// How.
    pub(crate) kind: Kind,
}

/// Columns whose name ends in a unit: `arrival_ms`. Without one, those of moments hold dates.
const TIMES: &[(&str, Field)] = &[
    ("arrival", Field::Arrival),
    ("arrival_time", Field::Arrival),
    ("timestamp", Field::Arrival),
    ("first_token", Field::FirstToken),
    ("first_token_time", Field::FirstToken),
    ("end", Field::End),
    ("end_time", Field::End),
    ("ttft", Field::Ttft),
    ("time_to_first_token", Field::Ttft),
    ("latency", Field::Latency),
    ("request_latency", Field::Latency),
    ("e2e_latency", Field::Latency),
    ("token_times", Field::Tokens),
    ("slo_ttft", Field::SloTtft),
    ("slo_tpot", Field::SloTpot),
    ("predicted_ttft", Field::PredictedTtft),
];

/// Other columns, and the names that simulators and servers give them.
const OTHERS: &[(&str, Field, Kind)] = &[
    ("request", Field::Request, Kind::Text),
    ("request_id", Field::Request, Kind::Text),
    ("prompt_tokens", Field::PromptTokens, Kind::Count),
    ("input_tokens", Field::PromptTokens, Kind::Count),
    ("input_length", Field::PromptTokens, Kind::Count),
    ("context_tokens", Field::PromptTokens, Kind::Count),
    ("num_prefill_tokens", Field::PromptTokens, Kind::Count),
    ("output_tokens", Field::OutputTokens, Kind::Count),
    ("output_length", Field::OutputTokens, Kind::Count),
    ("completion_tokens", Field::OutputTokens, Kind::Count),
    ("generated_tokens", Field::OutputTokens, Kind::Count),
    ("num_decode_tokens", Field::OutputTokens, Kind::Count),
    ("cached_tokens", Field::CachedTokens, Kind::Count),
    ("priority", Field::Priority, Kind::Count),
    ("prefill_device", Field::PrefillDevice, Kind::Count),
    ("decode_device", Field::DecodeDevice, Kind::Count),
    ("first_token_device", Field::FirstTokenDevice, Kind::Count),
    ("tier", Field::Tier, Kind::Text),
    ("policy", Field::Policy, Kind::Text),
    ("status", Field::Status, Kind::Text),
    ("reason", Field::Reason, Kind::Text),
    ("error", Field::Reason, Kind::Text),
    // Vidur's traces give seconds without saying so.
    ("arrived_at", Field::Arrival, Kind::Time(Unit::S)),
];

/// The names that stand for each status.
const STATUSES: &[(&str, &str)] = &[
    ("ok", "ok"),
    ("success", "ok"),
    ("completed", "ok"),
    ("rejected", "rejected"),
    ("failed", "failed"),
    ("error", "failed"),
    ("aborted", "aborted"),
    ("cancelled", "aborted"),
    ("canceled", "aborted"),
];

/// The column of that name; upper case, spaces and hyphens do not matter.
pub(crate) fn column(name: &str) -> Option<Column> {
    let name: String = name
        .trim()
        .chars()
        .map(|letter| match letter {
            ' ' | '-' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect();
    if let Some((_, field, kind)) = OTHERS.iter().find(|(other, ..)| *other == name) {
        return Some(Column { field: *field, kind: *kind });
    }
    let (stem, kind) = split_unit(&name);
    let (_, field) = TIMES.iter().find(|(other, _)| *other == stem)?;
    let moment = matches!(field, Field::Arrival | Field::FirstToken | Field::End);
    (moment || kind != Kind::Date).then_some(Column { field: *field, kind })
}

fn split_unit(name: &str) -> (&str, Kind) {
    let units = [("_ns", Unit::Ns), ("_us", Unit::Us), ("_ms", Unit::Ms), ("_s", Unit::S)];
    let split = units.into_iter().find_map(|(ending, unit)| Some((name.strip_suffix(ending)?, Kind::Time(unit))));
    split.unwrap_or((name, Kind::Date))
}

/// Whether these columns are those of a request log: an arrival, and something that only requests have. A bare
/// timestamp is in every program's log, so that it takes tokens to tell.
pub(crate) fn tell_a_log<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let (mut arrival, mut timestamp, mut tokens, mut request) = (false, false, false, false);
    for name in names {
        let Some(column) = column(name) else { continue };
        match column.field {
            Field::Arrival if name.to_ascii_lowercase().starts_with("timestamp") => timestamp = true,
            Field::Arrival => arrival = true,
            Field::FirstToken | Field::Ttft | Field::PromptTokens | Field::OutputTokens => tokens = true,
            Field::Request | Field::End | Field::Latency => request = true,
            _ => {}
        }
    }
    (arrival && (tokens || request)) || (timestamp && tokens)
}

/// The values of one record, by field.
#[derive(Default)]
pub(crate) struct Cells<'a> {
    values: [Option<(Cow<'a, str>, Kind)>; FIELDS],
}

impl<'a> Cells<'a> {
    /// Takes a value; an empty one is absent. A field that has one already makes the record ambiguous.
    pub(crate) fn set(&mut self, column: Column, value: Cow<'a, str>) -> Result<(), Bad> {
        if value.trim().is_empty() {
            return Ok(());
        }
        let cell = &mut self.values[column.field as usize];
        if cell.is_some() {
            return Err(Bad::new("ambiguous_value", format!("it says {} twice", name(column.field))));
        }
        *cell = Some((value, column.kind));
        Ok(())
    }

    fn text(&self, field: Field) -> Option<&str> {
        self.values[field as usize].as_ref().map(|(value, _)| value.trim())
    }

    /// A count, a moment or a length of time.
    fn number(&self, field: Field) -> Result<Option<i64>, Bad> {
        let Some((value, kind)) = &self.values[field as usize] else { return Ok(None) };
        let (number, wanted) = match kind {
            Kind::Time(unit) => (decimal::nanoseconds(value, *unit), "time in the unit of its column"),
            Kind::Date => (clock::moment(value).map(|moment| moment.unix_ns), "date (a number needs a unit: NAME_ms)"),
            Kind::Count | Kind::Text => (decimal::whole(value), "whole number of 64 bits"),
        };
        number.map(Some).ok_or_else(|| Bad::value(name(field), value, wanted))
    }

    /// When the request arrived.
    pub(crate) fn arrival(&self) -> Result<i64, Bad> {
        self.number(Field::Arrival)?.ok_or_else(|| Bad::missing("arrival"))
    }

    /// Whether the arrival is a date without a zone.
    pub(crate) fn zoneless(&self) -> bool {
        let value = self.values[Field::Arrival as usize].as_ref();
        let date = value.filter(|(_, kind)| *kind == Kind::Date).and_then(|(value, _)| clock::moment(value));
        date.is_some_and(|moment| !moment.zoned)
    }

    /// The identifier that the log states.
    pub(crate) fn identifier(&self) -> Option<&str> {
        self.text(Field::Request)
    }

    /// The request, in the log's own times, without its identifier; `tokens` gets the times of its streamed chunks.
    ///
    /// A first token may be stated as a moment, as a time after arrival, or as the first chunk; an end as a moment, as
    /// a time after arrival, or as the last chunk.
    pub(crate) fn request(&self, tokens: &mut Vec<i64>) -> Result<Request<'_>, Bad> {
        self.tokens(tokens)?;
        let arrival = self.arrival()?;
        let after = |length: i64| {
            let far = || Bad::new("time_out_of_range", format!("{length} ns after {arrival} ns is out of range"));
            arrival.checked_add(length).ok_or_else(far)
        };
        let first = match (self.number(Field::FirstToken)?, self.number(Field::Ttft)?) {
            (Some(moment), _) => Some(moment),
            (None, Some(length)) => Some(after(length)?),
            (None, None) => tokens.first().copied(),
        };
        let end = match (self.number(Field::End)?, self.number(Field::Latency)?) {
            (Some(moment), _) => Some(moment),
            (None, Some(length)) => Some(after(length)?),
            (None, None) => tokens.last().copied(),
        };
        let reason = self.text(Field::Reason);
        Ok(Request {
            arrival_ns: arrival,
            first_token_ns: first,
            end_ns: end,
            prompt_tokens: self.number(Field::PromptTokens)?,
            output_tokens: self.number(Field::OutputTokens)?,
            cached_tokens: self.number(Field::CachedTokens)?,
            priority: self.number(Field::Priority)?,
            tier: self.text(Field::Tier),
            slo_ttft_ns: self.number(Field::SloTtft)?,
            slo_tpot_ns: self.number(Field::SloTpot)?,
            predicted_ttft_ns: self.number(Field::PredictedTtft)?,
            policy: self.text(Field::Policy),
            prefill_device: self.number(Field::PrefillDevice)?,
            decode_device: self.number(Field::DecodeDevice)?,
            first_token_device: self.number(Field::FirstTokenDevice)?,
            status: self.status(reason)?,
            reason,
            ..Request::default()
        })
    }

    /// The stated status; without one, a request with a reason failed and any other went well.
    fn status(&self, reason: Option<&str>) -> Result<&'static str, Bad> {
        let Some(text) = self.text(Field::Status) else { return Ok(if reason.is_some() { "failed" } else { "ok" }) };
        let known = STATUSES.iter().find(|(other, _)| text.eq_ignore_ascii_case(other));
        known.map(|(_, status)| *status).ok_or_else(|| Bad::value("status", text, "ok, rejected, failed or aborted"))
    }

    /// Token times are a list: `[1.5, 2.5]`, or separated by spaces or semicolons.
    fn tokens(&self, tokens: &mut Vec<i64>) -> Result<(), Bad> {
        tokens.clear();
        let Some((list, Kind::Time(unit))) = &self.values[Field::Tokens as usize] else { return Ok(()) };
        let list = list.trim().trim_start_matches('[').trim_end_matches(']');
        for text in list.split([',', ';', ' ']).map(str::trim).filter(|text| !text.is_empty()) {
            let time = decimal::nanoseconds(text, *unit);
            tokens.push(time.ok_or_else(|| Bad::value("a token time", text, "time in the unit of its column"))?);
        }
        Ok(())
    }

    /// Cuts an error text to its last line.
    pub(crate) fn shorten_reason(&mut self) {
        if let Some((value, _)) = &mut self.values[Field::Reason as usize] {
            *value = Cow::Owned(reason(value).unwrap_or_default());
        }
    }
}

fn name(field: Field) -> &'static str {
    let timed = TIMES.iter().find(|(_, other)| *other == field).map(|(name, _)| *name);
    timed.or_else(|| OTHERS.iter().find(|(_, other, _)| *other == field).map(|(name, ..)| *name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<'a>(values: &[(&str, &'a str)]) -> Cells<'a> {
        let mut cells = Cells::default();
        for (name, value) in values {
            cells.set(column(name).expect(name), Cow::Borrowed(value)).unwrap();
        }
        cells
    }

    #[test]
    fn names_carry_their_unit() {
        let kind = |name| column(name).map(|column| (column.field, column.kind));
        assert_eq!(kind("arrival_ms"), Some((Field::Arrival, Kind::Time(Unit::Ms))));
        assert_eq!(kind("Arrival Time_S"), Some((Field::Arrival, Kind::Time(Unit::S))));
        assert_eq!(kind("timestamp"), Some((Field::Arrival, Kind::Date)));
        assert_eq!(kind("TTFT-ns"), Some((Field::Ttft, Kind::Time(Unit::Ns))));
        assert_eq!(kind("ttft"), None, "a length of time needs a unit");
        assert_eq!(kind("prompt_tokens"), Some((Field::PromptTokens, Kind::Count)));
        assert_eq!(kind("tps"), None);
    }

    #[test]
    fn every_field_of_the_list_is_a_column_of_the_table() {
        let times = TIMES.iter().map(|(name, field)| (*name, *field));
        for (alias, field) in times.chain(OTHERS.iter().map(|(name, field, _)| (*name, *field))) {
            let documented = include_str!("../../../../docs/importers/requests.md");
            assert!(documented.contains(&format!("`{alias}")), "docs/importers/requests.md lacks {alias}");
            assert!(!name(field).is_empty());
        }
    }

    #[test]
    fn lengths_of_time_count_from_the_arrival() {
        let mut tokens = Vec::new();
        let values =
            [("arrival_s", "2.5"), ("ttft_ms", "100"), ("latency_ms", "350.5"), ("token_times_s", "[2.6, 2.85]")];
        let row = cells(&values);
        let row = row.request(&mut tokens).unwrap();
        assert_eq!((row.arrival_ns, row.first_token_ns), (2_500_000_000, Some(2_600_000_000)));
        assert_eq!((row.end_ns, row.status), (Some(2_850_500_000), "ok"));
        assert_eq!(tokens, [2_600_000_000, 2_850_000_000]);
    }

    #[test]
    fn chunks_stand_in_for_first_token_and_end() {
        let mut tokens = Vec::new();
        let row = cells(&[("arrival_ns", "5"), ("token_times_ns", "7;9 12")]);
        let row = row.request(&mut tokens).unwrap();
        assert_eq!((row.first_token_ns, row.end_ns), (Some(7), Some(12)));
    }

    #[test]
    fn a_reason_without_a_status_means_failed() {
        let mut tokens = Vec::new();
        let status = |values: &[(&str, &str)], tokens: &mut Vec<i64>| {
            cells(values).request(tokens).map(|row| row.status.to_owned()).map_err(|bad| bad.code)
        };
        assert_eq!(status(&[("arrival_ns", "5"), ("error", "late")], &mut tokens), Ok("failed".to_owned()));
        assert_eq!(status(&[("arrival_ns", "5"), ("status", "Cancelled")], &mut tokens), Ok("aborted".to_owned()));
        assert_eq!(status(&[("arrival_ns", "5"), ("status", "maybe")], &mut tokens), Err("bad_value"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut tokens = Vec::new();
        let mut bad = |values: &[(&str, &str)]| cells(values).request(&mut tokens).unwrap_err().reason;
        assert_eq!(bad(&[("ttft_ms", "5")]), "it has no arrival");
        assert!(bad(&[("arrival_ms", "NaN")]).starts_with("arrival is \"NaN\""));
        assert!(bad(&[("timestamp", "12.5")]).contains("a number needs a unit"));
        assert!(bad(&[("arrival_ns", "9e18"), ("ttft_s", "9e9")]).contains("out of range"));
        assert!(bad(&[("arrival_ns", "1"), ("output_tokens", "1.5")]).contains("whole number"));
        let mut twice = cells(&[("arrival_ns", "1")]);
        assert_eq!(twice.set(column("arrival_ms").unwrap(), "2".into()).unwrap_err().code, "ambiguous_value");
    }
}
