//! genai-perf's raw export, read one request at a time: `{"experiments": [{"experiment": .., "requests": [..]}]}`.

use std::fmt;
use std::io::BufReader;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json::{self, Filled, Whole};
use super::sse::Heard;
use crate::Error;
use crate::raw::Source;

/// One request with its responses.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// When it was sent, Unix time.
    pub(crate) sent: Option<i64>,
    /// When each response came.
    pub(crate) times: Vec<Whole>,
    /// What the responses said.
    pub(crate) heard: Heard,
}

/// Calls `each` with the number of the experiment (a load level), the number of the request in it, and the request.
/// Without `listen` the responses are passed over, which is most of the work.
///
/// # Errors
/// Where the file is no such export, and what `each` says.
pub(crate) fn exchanges(
    source: &Source,
    listen: bool,
    each: &mut dyn FnMut(u64, u64, &Exchange) -> Result<(), Error>,
) -> Result<(), Error> {
    let reader = BufReader::with_capacity(1 << 18, source.reader()?);
    let mut walk = Walk { each, listen, experiment: 0, request: 0, exchange: Exchange::default(), stopped: None };
    let mut document = serde_json::Deserializer::from_reader(reader);
    let seed = Level { walk: &mut walk, path: &["experiments", "*", "requests", "*"] };
    let read = seed.deserialize(&mut document).and_then(|()| document.end());
    match (walk.stopped, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(json::error(source, None, error)),
    }
}

struct Walk<'f> {
    each: &'f mut dyn FnMut(u64, u64, &Exchange) -> Result<(), Error>,
    listen: bool,
    experiment: u64,
    request: u64,
    exchange: Exchange,
    stopped: Option<Error>,
}

/// A place on the way down to the requests: a key to enter, or `*` for every item of a list.
struct Level<'w, 'f> {
    walk: &'w mut Walk<'f>,
    path: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.path.first() {
            Some(&"*") => deserializer.deserialize_seq(self),
            Some(_) => deserializer.deserialize_map(self),
            None => self.walk.one_request(deserializer),
        }
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            ["*", ..] => formatter.write_str("a list of experiments or requests"),
            _ => formatter.write_str("an object with experiments or requests"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == self.path[0] {
                entries.next_value_seed(Level { walk: &mut *self.walk, path: &self.path[1..] })?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let requests = self.path.len() == 1;
        if requests {
            self.walk.request = 0;
        }
        while items.next_element_seed(Level { walk: &mut *self.walk, path: &self.path[1..] })?.is_some() {
            let number = if requests { &mut self.walk.request } else { &mut self.walk.experiment };
            *number += 1;
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn one_request<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        self.exchange.sent = None;
        self.exchange.times.clear();
        self.exchange.heard.clear();
        deserializer.deserialize_map(AsExchange(&mut self.exchange, self.listen))?;
        (self.each)(self.experiment, self.request, &self.exchange).map_err(|error| {
            self.stopped = Some(error);
            D::Error::custom("stopped")
        })
    }
}

struct AsExchange<'e>(&'e mut Exchange, bool);

impl<'de> Visitor<'de> for AsExchange<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "timestamp" => self.0.sent = entries.next_value::<Whole>()?.0,
                "response_timestamps" => entries.next_value_seed(Into(&mut self.0.times))?,
                "response_outputs" if self.1 => entries.next_value_seed(Outputs(&mut self.0.heard))?,
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a list into a vector that is used again.
struct Into<'v>(&'v mut Vec<Whole>);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of times")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.clear();
        while let Some(time) = items.next_element()? {
            self.0.push(time);
        }
        Ok(())
    }
}

/// Hears a list of responses, or one of them.
struct Outputs<'h>(&'h mut Heard);

impl<'de> DeserializeSeed<'de> for Outputs<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Outputs<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("responses")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Outputs(&mut *self.0))?.is_some() {}
        Ok(())
    }

    /// One response: `response` is what an HTTP server sent, the others are tensors of a Triton server.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let before = self.0.output.len();
        let mut output = false;
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "response" => entries.next_value_seed(Response(&mut *self.0))?,
                "text_output" | "output_ids" => output |= entries.next_value::<Filled>()?.0,
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        if self.0.output.len() == before {
            self.0.hear_value(output);
        }
        Ok(())
    }
}

struct Response<'h>(&'h mut Heard);

impl<'de> DeserializeSeed<'de> for Response<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Response<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the text of a response")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.hear(text);
        Ok(())
    }
}

impl Exchange {
    /// The moments of the responses that held output; nothing when a moment cannot be read or the lists differ.
    pub(crate) fn outputs(&self, moments: &mut Vec<i64>) -> Option<()> {
        moments.clear();
        if self.times.len() != self.heard.output.len() {
            return None;
        }
        for (time, output) in self.times.iter().zip(&self.heard.output) {
            let time = time.0?;
            if *output {
                moments.push(time);
            }
        }
        Some(())
    }
}
