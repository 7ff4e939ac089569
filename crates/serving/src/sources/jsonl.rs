//! JSON lines: the generic columns as keys, and Mooncake's traces, whose keys are among them.

use std::borrow::Cow;
use std::fmt;

use proftool_trace::decimal::Unit;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::builder::Builder;
use super::columns::{self, Field};
use super::lines::{Input, Lines};
use super::read::{CUT, DAMAGED, Error, Read, Reason};
use super::row::Row;

/// Keys that are remembered; of a file with more, each further one is looked up anew.
const MOST_KEYS: usize = 256;

/// Reads a trace; in Mooncake's a bare `timestamp` is in ms.
pub(super) fn read(name: &str, input: Input<'_>, mooncake: bool) -> Result<Read, Error> {
    let mut builder = Builder::new(name);
    let mut keys = Keys { known: Vec::new(), mooncake };
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next().map_err(|cause| Error::Io { name: name.to_owned(), cause })? {
        match keys.row(line.bytes) {
            Ok(Ok(row)) => builder.take(&row, line.number),
            Ok(Err(reason)) => builder.left_out(reason, line.number),
            // Only the last line of a file whose writing was cut lacks its end.
            Err(error) if error.is_eof() && !line.ended => builder.left_out(&CUT, line.number),
            Err(_) => builder.left_out(&DAMAGED, line.number),
        }
    }
    let unknown: Vec<String> =
        keys.known.into_iter().filter(|(_, field)| field.is_none()).map(|(name, _)| name).collect();
    builder.unknown(&unknown);
    builder.finish()
}

/// Whether an object has the keys of Mooncake's traces.
pub(super) fn is_mooncake(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only their being there matters")]
    struct Mooncake {
        timestamp: f64,
        input_length: IgnoredAny,
        output_length: IgnoredAny,
    }
    serde_json::from_slice::<Mooncake>(line).is_ok()
}

/// The keys met so far. The lines of a trace have the same keys in the same order, so that the place of a key in its line
/// finds it again.
struct Keys {
    known: Vec<(String, Option<Field>)>,
    mooncake: bool,
}

impl Keys {
    fn field(&mut self, place: usize, key: &str) -> Option<Field> {
        let here = self.known.get(place).filter(|(name, _)| name == key);
        if let Some((_, field)) = here.or_else(|| self.known.iter().find(|(name, _)| name == key)) {
            return *field;
        }
        let field =
            if self.mooncake && key == "timestamp" { Some(Field::Arrival(Unit::Ms)) } else { columns::field(key) };
        if self.known.len() < MOST_KEYS {
            self.known.push((key.to_owned(), field));
        }
        field
    }

    /// The values of a line; the outer error is one of JSON.
    fn row(&mut self, line: &[u8]) -> Result<Result<Row, &'static Reason>, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(line);
        let row = AsRow(self).deserialize(&mut json)?;
        json.end()?;
        Ok(row)
    }
}

struct AsRow<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for AsRow<'_> {
    type Value = Result<Row, &'static Reason>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AsRow<'_> {
    type Value = Result<Row, &'static Reason>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut row, mut bad, mut place) = (Row::default(), None, 0);
        while let Some(key) = entries.next_key::<Text<'de>>()? {
            let value = entries.next_value::<&'de RawValue>()?;
            if let Some(field) = self.0.field(place, &key.0) {
                bad = bad.or(row.set(field, &text(value.get())).err());
            }
            place += 1;
        }
        Ok(bad.map_or(Ok(row), Err))
    }
}

/// A string without its quotation marks, null as nothing, and any other value as it is written.
fn text(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Text<'_>>(raw).map_or(Cow::Borrowed(raw), |text| text.0),
        Some(b'n') => Cow::Borrowed(""),
        _ => Cow::Borrowed(raw),
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
