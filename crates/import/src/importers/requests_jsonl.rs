//! The importer of the generic JSON-lines request log (`docs/importers/requests.md`).

use std::borrow::Cow;
use std::fmt;

use proftool_trace::rows::Request;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Source};
use crate::requests::columns::{self, Cells, Column};
use crate::requests::generic::{Found, session};
use crate::requests::json;
use crate::requests::lines::Lines;
use crate::requests::log::{Bad, Log};
use crate::requests::shape::{self, Shape};

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "requests_jsonl",
    doc: "The generic request log as JSON lines: arrival_ms, ttft_ms, ... (docs/importers/requests.md).",
    sniff: |head| shape::of(head) == Some(Shape::Jsonl),
    import,
};

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let found = look(source)?;
    let mut log = Log::new(import, found.start_ns());
    let (mut tokens, mut number, mut keys) = (Vec::new(), 0_u64, Keys::default());
    let mut lines = Lines::open(source)?;
    while let Some((at, line)) = lines.next()? {
        let place = || format!("line {at}");
        match keys.cells(line) {
            Ok(Ok(mut cells)) => {
                cells.shorten_reason();
                match cells.request(&mut tokens) {
                    Ok(row) => match cells.identifier() {
                        Some(request) => log.take_named(&Request { request, ..row }, &tokens, place)?,
                        None => log.take(&Request { request: &number.to_string(), ..row }, &tokens, place)?,
                    },
                    Err(bad) => log.left_out(&bad, place),
                }
            }
            Ok(Err(bad)) => log.left_out(&bad, place),
            Err(error) if error.is_data() => log.left_out(&Bad::new("bad_value", error.to_string()), place),
            Err(error) => return Err(json::error(source, Some(at), error)),
        }
        number += 1;
    }
    found.note(&mut log);
    Ok(session(&found))
}

/// What the first reading of the file tells.
fn look(source: &Source) -> Result<Found, Error> {
    let (mut found, mut keys) = (Found::default(), Keys::default());
    let mut lines = Lines::open(source)?;
    while let Some((_, line)) = lines.next()? {
        if let Ok(Ok(cells)) = keys.cells(line) {
            found.see(&cells);
        }
    }
    keys.0.iter().filter(|(_, column)| column.is_none()).for_each(|(name, _)| found.unknown(name));
    Ok(found)
}

/// The keys met so far. The lines of a log have the same keys in the same order, so that the place of a key in its line
/// finds it again.
#[derive(Default)]
struct Keys(Vec<(String, Option<Column>)>);

/// Keys that are remembered; of a file with more, each further one is looked up anew.
const MOST_KEYS: usize = 256;

impl Keys {
    fn column(&mut self, place: usize, key: &str) -> Option<Column> {
        let here = self.0.get(place).filter(|(name, _)| name == key);
        if let Some((_, column)) = here.or_else(|| self.0.iter().find(|(name, _)| name == key)) {
            return *column;
        }
        let column = columns::column(key);
        if self.0.len() < MOST_KEYS {
            self.0.push((key.to_owned(), column));
        }
        column
    }

    /// The values of a line; the outer error is one of JSON.
    fn cells<'l>(&mut self, line: &'l [u8]) -> Result<Result<Cells<'l>, Bad>, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(line);
        let cells = AsCells(self).deserialize(&mut json)?;
        json.end()?;
        Ok(cells)
    }
}

struct AsCells<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for AsCells<'_> {
    type Value = Result<Cells<'de>, Bad>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AsCells<'_> {
    type Value = Result<Cells<'de>, Bad>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut cells, mut bad, mut place) = (Cells::default(), None, 0);
        while let Some(key) = entries.next_key::<Cow<'de, str>>()? {
            let value = entries.next_value::<&'de RawValue>()?;
            if let Some(column) = self.0.column(place, &key) {
                bad = bad.or(cells.set(column, text(value.get())).err());
            }
            place += 1;
        }
        Ok(bad.map_or(Ok(cells), Err))
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

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use crate::requests::testing::{failure, import};

    #[test]
    fn the_documented_example_is_what_the_document_says() {
        let document = include_str!("../../../../docs/importers/requests.md");
        let (_, lines) = document.split_once("```json\n").expect("an example");
        let (lines, _) = lines.split_once("```").expect("its end");
        let log = import(lines.as_bytes()).unwrap();
        assert_eq!(log.texts("request").into_iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(log.present("arrival_ns"), [0, 12_500_000, 20_000_000]);
        assert_eq!(log.ints("first_token_ns"), [Some(180_250_000), Some(302_500_000), None]);
        assert_eq!(log.ints("end_ns"), [Some(900_000_000), Some(1_012_500_000), Some(20_100_000)]);
        assert_eq!(log.statuses(), ["ok", "ok", "rejected"]);
        let tokens = [180_250_000, 540_000_000, 900_000_000].map(|time| ("a".to_owned(), time));
        assert_eq!(log.tokens(), tokens);
        assert_eq!(log.detail("unknown_columns"), "columns that no table has, left out: model");
    }

    #[test]
    fn values_may_be_text_null_or_missing_and_keys_in_any_order() {
        let lines = "\u{feff}{\"arrival_s\": 0.5, \"output_tokens\": 3, \"request\": \"\\u00e9\"}\r\n\r\n\
            {\"request\": 7, \"output_tokens\": null, \"arrival_s\": \"1e-9\", \"extra\": {\"arrival_s\": 1}}\n";
        let log = import(lines.as_bytes()).unwrap();
        assert_eq!(log.texts("request"), [Some("é".to_owned()), Some("7".to_owned())]);
        assert_eq!(log.present("arrival_ns"), [500_000_000, 1]);
        assert_eq!(log.ints("output_tokens"), [Some(3), None]);
    }

    #[test]
    fn lines_that_cannot_be_are_refused_with_their_number() {
        let good = "{\"arrival_ms\": 1, \"output_tokens\": 3}\n";
        for (bad, reason) in [
            ("{\"arrival_ms\": 1, \"output_tok", "line 2, column 29: it ends inside a JSON value"),
            ("{\"arrival_ms\": NaN}", "line 2, column 16: invalid JSON"),
            ("{\"arrival_ms\": 1} {}", "line 2, column 19: invalid JSON"),
            ("arrival_ms,output_tokens", "line 2, column 1: invalid JSON"),
            ("[1]", "line 2: invalid type: sequence, expected an object"),
            ("{\"level\": \"info\", \"message\": \"hello\"}", "line 2: it has no arrival"),
            ("{\"arrival_ms\": 1, \"arrival_ms\": 2}", "line 2: it says arrival twice"),
            ("{\"arrival_ms\": true}", "line 2: arrival is \"true\""),
            ("{\"arrival_ms\": 1, \"token_times_ms\": [2, 1]}", "line 2: end 1000000 ns lies before first token"),
            ("{\"arrival_ms\": 1, \"token_times_ms\": [2, \"x\"]}", "line 2: a token time is"),
        ] {
            let error = failure(format!("{good}{bad}").as_bytes());
            assert!(error.contains(&format!("damaged at {reason}")), "{error}");
        }
        let error = failure(&[good.as_bytes(), b"{\"arrival_ms\": 1, \"request\": \"\xff\"}"].concat());
        assert!(error.contains("damaged at line 2"), "{error}");
    }
}
