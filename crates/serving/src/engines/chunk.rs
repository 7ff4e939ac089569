//! The events of a stream and what OpenAI's interfaces say in them.

use serde::Deserialize;

use super::failure::{Failure, shortened};

/// Splits an event stream into the data of its events (WHATWG HTML, section 9.2, without event names and retry times).
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

/// Longer lines are garbage.
const LONGEST_LINE: usize = 4 << 20;

impl Lines {
    /// Takes what arrived and hands out the data of each whole line.
    ///
    /// # Errors
    /// What `each` says, or that a line has no end.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.rest.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(length) = self.rest[from..].iter().position(|&byte| byte == b'\n') {
            let line = self.rest[from..from + length].trim_ascii_end();
            from += length + 1;
            if let Some(data) = data(line)? {
                each(data)?;
            }
        }
        self.rest.drain(..from);
        if self.rest.len() > LONGEST_LINE {
            return Err(Failure::Garbage("a line of the event stream has no end".to_owned()));
        }
        Ok(())
    }
}

/// The data of a line; none of empty lines, comments and other fields.
fn data(line: &[u8]) -> Result<Option<&[u8]>, Failure> {
    if line.is_empty() || line.starts_with(b":") {
        return Ok(None);
    }
    let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match &line[..colon] {
        b"data" => Ok(Some(value)),
        b"event" | b"id" | b"retry" => Ok(None),
        // llama.cpp's older servers tell errors in a field of that name.
        b"error" => Err(Failure::Engine(super::http::message(&String::from_utf8_lossy(value)))),
        _ => Err(Failure::Garbage(format!("not an event: {}", shortened(&String::from_utf8_lossy(line))))),
    }
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

impl Choice {
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
    if event.choices.is_none() && event.usage.is_none() {
        return Err(Failure::Garbage("an event without choices and usage".to_owned()));
    }
    let choices = event.choices.unwrap_or_default();
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

    #[test]
    fn events_are_the_same_however_their_bytes_arrive() {
        let text = b": hello\r\nevent: x\ndata: {\"a\":1}\r\n\r\ndata:b\n\ndata: [DONE]\n\n";
        for at_once in 1..text.len() {
            let (mut lines, mut all) = (Lines::default(), Vec::new());
            for part in text.chunks(at_once) {
                let read = |data: &[u8]| {
                    all.push(String::from_utf8_lossy(data).into_owned());
                    Ok(())
                };
                lines.push(part, read).expect("events");
            }
            assert_eq!(all, ["{\"a\":1}", "b", "[DONE]"]);
        }
        assert!(Lines::default().push(b"<html>\n", |_| Ok(())).is_err());
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
        for wrong in [&b"{}"[..], b"hello", b"{\"choices\":3}", b"[]", b"\xff"] {
            assert!(matches!(read(wrong), Err(Failure::Garbage(_))), "{wrong:?}");
        }
        assert!(read(b" [DONE]").is_ok_and(|chunk| chunk.done));
    }
}
