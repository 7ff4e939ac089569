//! The lines of a router log (`docs/importers/router_log.md`): the first key of each tells what it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// What a first line of any version says.
#[derive(serde::Deserialize)]
pub(super) struct FirstLine {
    pub(super) version: Version,
}

#[derive(Clone, Copy, serde::Deserialize)]
pub(super) struct Version {
    pub(super) major: u16,
    pub(super) minor: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Time {
    Simulated,
    Measured,
}

#[derive(serde::Deserialize)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) time: Time,
    pub(super) start_unix_ns: i64,
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
}

#[derive(serde::Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Device {
    pub(super) device: i64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) role: Option<String>,
    pub(super) memory_bytes: Option<i64>,
    pub(super) numa_node: Option<i64>,
    pub(super) kv_capacity_tokens: Option<i64>,
    pub(super) cost_per_hour: Option<f64>,
    pub(super) watts: Option<f64>,
}

#[derive(serde::Deserialize)]
pub(super) struct Link {
    pub(super) src: i64,
    pub(super) dst: i64,
    pub(super) bytes_per_s: f64,
    pub(super) latency_ns: Option<i64>,
    #[serde(default)]
    pub(super) contended: bool,
}

/// A line after the head.
pub(super) enum Line<'l> {
    Request(Request<'l>),
    Event(Event<'l>),
    Steps(Steps),
    Sample(Sample<'l>),
    Decision(Decision<'l>),
    Issue(Issue<'l>),
    End(End),
    /// Of a kind that this version does not have.
    Unknown,
}

/// A text that is copied only where it has escapes; serde copies an optional [`Cow`] always.
#[derive(serde::Deserialize)]
pub(super) struct Text<'l>(#[serde(borrow)] pub(super) Cow<'l, str>);

#[derive(serde::Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Request<'l> {
    #[serde(borrow)]
    pub(super) request: Id<'l>,
    pub(super) arrival_ns: i64,
    pub(super) first_token_ns: Option<i64>,
    pub(super) end_ns: Option<i64>,
    pub(super) prompt_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) cached_tokens: Option<i64>,
    pub(super) priority: Option<i64>,
    #[serde(borrow)]
    pub(super) tier: Option<Text<'l>>,
    pub(super) slo_ttft_ns: Option<i64>,
    pub(super) slo_tpot_ns: Option<i64>,
    pub(super) predicted_ttft_ns: Option<i64>,
    #[serde(borrow)]
    pub(super) policy: Option<Text<'l>>,
    pub(super) prefill_device: Option<i64>,
    pub(super) decode_device: Option<i64>,
    pub(super) first_token_device: Option<i64>,
    #[serde(borrow)]
    pub(super) status: Text<'l>,
    #[serde(borrow)]
    pub(super) reason: Option<Text<'l>>,
}

#[derive(serde::Deserialize)]
pub(super) struct Event<'l> {
    #[serde(borrow, rename = "event")]
    pub(super) kind: Text<'l>,
    #[serde(borrow)]
    pub(super) request: Id<'l>,
    pub(super) device: Option<i64>,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) bytes: Option<i64>,
}

#[derive(serde::Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
pub(super) struct Steps {
    /// Duration of each.
    pub(super) steps: Vec<i64>,
    pub(super) device: i64,
    pub(super) start_ns: i64,
    pub(super) prefill_tokens: Option<i64>,
    pub(super) decode_batch: Option<i64>,
    pub(super) kv_tokens: Option<i64>,
}

#[derive(serde::Deserialize)]
pub(super) struct Sample<'l> {
    #[serde(borrow, rename = "sample")]
    pub(super) metric: Text<'l>,
    #[serde(borrow)]
    pub(super) unit: Option<Text<'l>>,
    pub(super) device: i64,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) value: Option<f64>,
}

#[derive(serde::Deserialize)]
pub(super) struct Decision<'l> {
    #[serde(borrow, rename = "decision")]
    pub(super) kind: Text<'l>,
    #[serde(borrow)]
    pub(super) request: Id<'l>,
    pub(super) t_ns: i64,
    #[serde(borrow)]
    pub(super) policy: Text<'l>,
    #[serde(borrow)]
    pub(super) chosen: Option<Text<'l>>,
    /// Objects, which the table holds as they are written.
    #[serde(borrow)]
    pub(super) terms: Option<&'l RawValue>,
    #[serde(borrow)]
    pub(super) runner_up: Option<&'l RawValue>,
}

#[derive(serde::Deserialize)]
pub(super) struct Issue<'l> {
    #[serde(borrow, rename = "issue")]
    pub(super) code: Text<'l>,
    #[serde(borrow)]
    pub(super) source: Text<'l>,
    #[serde(borrow)]
    pub(super) severity: Text<'l>,
    pub(super) count: i64,
    #[serde(borrow)]
    pub(super) detail: Text<'l>,
}

#[derive(serde::Deserialize)]
pub(super) struct End {
    /// Lines before it, the head included.
    pub(super) end: u64,
}

/// A number or a text.
pub(super) enum Id<'l> {
    Number(u64),
    Text(Cow<'l, str>),
}

impl<'de: 'l, 'l> Deserialize<'de> for Id<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsId)
    }
}

struct AsId;

impl<'de> Visitor<'de> for AsId {
    type Value = Id<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a request's number or name")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Id::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Id::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Id::Text(Cow::Owned(text.to_owned())))
    }
}

/// The line, or what is wrong with it.
pub(super) fn parse(line: &[u8]) -> Result<Line<'_>, String> {
    fn of<'l, T: Deserialize<'l>>(line: &'l [u8], kind: fn(T) -> Line<'l>) -> Result<Line<'l>, String> {
        serde_json::from_slice(line).map(kind).map_err(|error| error.to_string())
    }
    match first_key(line) {
        Some(b"request") => of(line, Line::Request),
        Some(b"event") => of(line, Line::Event),
        Some(b"steps") => of(line, Line::Steps),
        Some(b"sample") => of(line, Line::Sample),
        Some(b"decision") => of(line, Line::Decision),
        Some(b"issue") => of(line, Line::Issue),
        Some(b"end") => of(line, Line::End),
        Some(_) => Ok(Line::Unknown),
        None => Err("it is no JSON object".to_owned()),
    }
}

/// The first key of an object, escapes left as they are.
fn first_key(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_tells_what_a_line_is() {
        assert_eq!(first_key(b"{ \"steps\" : [1]}"), Some(&b"steps"[..]));
        assert_eq!((first_key(b"[1]"), first_key(b"{}"), first_key(b"{\"cut")), (None, None, None));
        assert!(matches!(parse(b"{\"future\":{"), Ok(Line::Unknown)));
    }

    #[test]
    fn an_identifier_is_a_number_or_a_text() {
        let id = |text: &str| match serde_json::from_str::<Id<'_>>(text) {
            Ok(Id::Number(number)) => format!("number {number}"),
            Ok(Id::Text(text)) => format!("text {text}"),
            Err(_) => "none".to_owned(),
        };
        let found = ["7", "\"7\"", "\"\\u00e9\"", "-7", "7.5", "null"].map(id);
        assert_eq!(found, ["number 7", "text 7", "text é", "none", "none", "none"]);
    }
}
