//! The events of a stream and what OpenAI's interfaces say in them.

use serde::Deserialize;

use super::failure::{Failure, shortened};

/// Splits an event stream into the data of its events (WHATWG HTML, section 9.2, without ids and retry times).
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The line that has no end yet.
    rest: Vec<u8>,
    /// Data of the event that has no end yet, and whether it has some.
    data: Option<Vec<u8>>,
    /// Whether that event is named `error`.
    error: bool,
    /// Its last comment.
    comment: Vec<u8>,
}

/// Longer lines and events are garbage.
const LONGEST: usize = 4 << 20;

impl Events {
    /// Takes what arrived and hands out the data of each whole event.
    ///
    /// # Errors
    /// What `each` says, that an event is an error, or that one has no end.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(length) = text[from..].iter().position(|&byte| byte == b'\n') {
            let line = text[from..from + length].trim_ascii_end();
            from += length + 1;
            if !line.is_empty() {
                self.line(line)?;
            } else if let Some(data) = self.end()? {
                each(&data)?;
            }
        }
        text.drain(..from);
        self.rest = text;
        if self.rest.len() + self.data.as_ref().map_or(0, Vec::len) > LONGEST {
            return Err(Failure::Garbage("an event of the stream has no end".to_owned()));
        }
        Ok(())
    }

    /// A line that is not empty.
    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"" => self.comment = value.to_vec(),
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.error = value == b"error",
            b"id" | b"retry" => {}
            // llama.cpp's older servers tell errors in a field of that name.
            b"error" => return Err(told(value)),
            _ => return Err(Failure::Garbage(format!("not an event: {}", shortened(&String::from_utf8_lossy(line))))),
        }
        Ok(())
    }

    /// The end of an event: its data, where it has some. Dynamo's front end tells errors in events of that name, with the
    /// message in a comment, and ends the stream with `[DONE]` like any other.
    fn end(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let (data, comment) = (self.data.take(), std::mem::take(&mut self.comment));
        if std::mem::take(&mut self.error) { Err(told(data.as_ref().unwrap_or(&comment))) } else { Ok(data) }
    }
}

/// An error that an engine tells.
fn told(message: &[u8]) -> Failure {
    Failure::Engine(super::http::message(&String::from_utf8_lossy(message)))
}

/// What one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Whether it holds text, also of reasoning.
    pub(super) content: bool,
    /// Whether it says why the output ended.
    pub(super) finished: bool,
    /// Whether it ends the stream.
    pub(super) done: bool,
    /// Counts of tokens.
    pub(super) usage: Option<Usage>,
}

/// Counts of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    /// Of the prompt.
    #[serde(default)]
    pub(super) prompt_tokens: Option<u32>,
    /// Of the output.
    #[serde(default)]
    pub(super) completion_tokens: Option<u32>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u32>,
}

impl Usage {
    /// Prompt tokens that were cached.
    pub(super) fn cached_tokens(&self) -> Option<u32> {
        self.prompt_tokens_details?.cached_tokens
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default)]
    object: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// vLLM and SGLang name thoughts `reasoning_content`, newer versions `reasoning`.
#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
}

/// Reasons for an output's end that are none of its own: vLLM, SGLang and Dynamo say so where they gave a request up.
const GIVEN_UP: [&str; 4] = ["abort", "error", "cancelled", "canceled"];

impl Choice {
    /// Why the engine gave the request up.
    fn given_up(&self) -> Option<&str> {
        self.finish_reason.as_deref().filter(|reason| GIVEN_UP.contains(reason))
    }

    fn content(&self) -> bool {
        let parts = |delta: &Delta| {
            [&delta.content, &delta.reasoning_content, &delta.reasoning]
                .into_iter()
                .flatten()
                .any(|text| !text.is_empty())
        };
        self.text.as_ref().is_some_and(|text| !text.is_empty()) || self.delta.as_ref().is_some_and(parts)
    }
}

/// Reads the data of an event.
///
/// # Errors
/// Where it is no JSON object of a completion, or tells an error.
pub(super) fn read(data: &[u8]) -> Result<Chunk, Failure> {
    if data.trim_ascii() == b"[DONE]" {
        return Ok(Chunk { done: true, ..Chunk::default() });
    }
    let event: Event = serde_json::from_slice(data)
        .map_err(|_| Failure::Garbage(format!("not a completion: {}", shortened(&String::from_utf8_lossy(data)))))?;
    if let Some(error) = event.error.filter(|error| !error.is_null()) {
        let message =
            error.get("message").and_then(serde_json::Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
        return Err(Failure::Engine(shortened(&message)));
    }
    // vLLM before 0.9 tells errors as objects of their own.
    if event.object.as_ref().is_some_and(|object| object == "error") {
        return Err(told(data));
    }
    if event.choices.is_none() && event.usage.is_none() {
        return Err(Failure::Garbage("an event without choices and usage".to_owned()));
    }
    let choices = event.choices.unwrap_or_default();
    if let Some(reason) = choices.iter().find_map(Choice::given_up) {
        return Err(Failure::Engine(format!("it gave the request up ({reason})")));
    }
    Ok(Chunk {
        content: choices.iter().any(Choice::content),
        finished: choices.iter().any(|choice| choice.finish_reason.is_some()),
        done: false,
        usage: event.usage,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], at_once: usize) -> Result<Vec<String>, Failure> {
        let (mut events, mut all) = (Events::default(), Vec::new());
        for part in text.chunks(at_once) {
            events.push(part, |data| {
                all.push(String::from_utf8_lossy(data).into_owned());
                Ok(())
            })?;
        }
        Ok(all)
    }

    #[test]
    fn events_are_the_same_however_their_bytes_arrive() {
        let text = b": hello\r\nevent: x\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata:b\n\n\nid: 3\n\ndata: [DONE]\n\n";
        for at_once in 1..text.len() {
            assert_eq!(all(text, at_once).expect("events"), ["{\"a\":\n1}", "b", "[DONE]"]);
        }
        assert!(all(b"<html>\n", 9).is_err());
    }

    #[test]
    fn an_event_of_the_name_error_is_one_also_where_its_message_is_a_comment() {
        let told = |text: &[u8]| all(text, 7).err().map(|failure| failure.to_string());
        assert_eq!(
            told(b"event: error\n: no worker left\n\ndata: [DONE]\n\n").as_deref(),
            Some("engine_error: no worker left")
        );
        assert_eq!(told(b"event: error\ndata: {\"message\":\"x\"}\n\n").as_deref(), Some("engine_error: x"));
        assert_eq!(told(b": keep-alive\n\nevent: message\ndata: a\n\n"), None);
    }

    #[test]
    fn content_is_text_or_thought_and_never_a_role_or_an_empty_string() {
        let content = |text: &str| read(text.as_bytes()).map(|chunk| (chunk.content, chunk.finished));
        assert_eq!(content(r#"{"choices":[{"text":"a","index":0,"finish_reason":null}]}"#), Ok((true, false)));
        assert_eq!(content(r#"{"choices":[{"text":"","finish_reason":"length"}]}"#), Ok((false, true)));
        assert_eq!(content(r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#), Ok((false, false)));
        assert_eq!(content(r#"{"choices":[{"delta":{"content":"b"}}]}"#), Ok((true, false)));
        assert_eq!(content(r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#), Ok((true, false)));
        assert_eq!(content(r#"{"choices":[],"usage":null}"#), Ok((false, false)));
    }

    #[test]
    fn usage_and_errors_are_read_and_anything_else_is_garbage() {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":5}}}"#;
        let chunk = read(usage.as_bytes()).expect("a chunk").usage.expect("usage");
        assert_eq!((chunk.prompt_tokens, chunk.completion_tokens, chunk.cached_tokens()), (Some(9), Some(4), Some(5)));
        assert_eq!(
            read(b"{\"error\":{\"message\":\"out of memory\"}}"),
            Err(Failure::Engine("out of memory".to_owned()))
        );
        assert_eq!(
            read(b"{\"object\":\"error\",\"message\":\"too long\"}"),
            Err(Failure::Engine("too long".to_owned()))
        );
        let given_up = read(br#"{"choices":[{"text":"","finish_reason":"abort"}]}"#);
        assert!(matches!(given_up, Err(Failure::Engine(why)) if why.contains("abort")));
        for wrong in [&b"{}"[..], b"hello", b"{\"choices\":3}", b"[]", b"\xff"] {
            assert!(matches!(read(wrong), Err(Failure::Garbage(_))), "{wrong:?}");
        }
        assert!(read(b" [DONE]").is_ok_and(|chunk| chunk.done));
    }
}
