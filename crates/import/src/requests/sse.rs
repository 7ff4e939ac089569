//! What a model's response says: whether there is output in it, the token counts that the server states, an error.

use serde::Deserialize;

use super::json::{Filled, Whole};

/// Bytes of one event that comes in pieces; the events of model servers take some hundred.
const LONGEST_EVENT: usize = 64 << 10;

/// What the responses of one request said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Whether each response held output.
    pub(crate) output: Vec<bool>,
    /// Prompt tokens that the server counted.
    pub(crate) prompt_tokens: Option<i64>,
    /// Output tokens that the server counted.
    pub(crate) output_tokens: Option<i64>,
    /// Prompt tokens that the server found in its cache.
    pub(crate) cached_tokens: Option<i64>,
    /// An error that a response states.
    pub(crate) error: Option<String>,
    /// Whether the responses are a stream of server-sent events.
    pub(crate) events: bool,
    /// Data that could not be read.
    pub(crate) unreadable: u64,
    /// An event whose data is continued in the next response, and the response in which it began.
    begun: String,
    began: usize,
}

#[derive(Deserialize)]
struct Body {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    #[serde(default)]
    text_output: Filled,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Message>,
    message: Option<Message>,
    #[serde(default)]
    text: Filled,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default)]
    content: Filled,
    #[serde(default)]
    reasoning_content: Filled,
    #[serde(default)]
    reasoning: Filled,
    #[serde(default)]
    tool_calls: Filled,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Whole,
    #[serde(default)]
    completion_tokens: Whole,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Whole,
}

impl Heard {
    /// Forgets everything, for the next request.
    pub(crate) fn clear(&mut self) {
        let (mut output, mut begun) = (std::mem::take(&mut self.output), std::mem::take(&mut self.begun));
        output.clear();
        begun.clear();
        *self = Self { output, begun, ..Self::default() };
    }

    /// Whether any response held output.
    pub(crate) fn any_output(&self) -> bool {
        self.output.contains(&true)
    }

    /// Hears a response that is not text: whether it holds output.
    pub(crate) fn hear_value(&mut self, output: bool) {
        self.output.push(output);
    }

    /// Hears a response: a JSON object, or one or several server-sent events, the last of which may go on in the next
    /// response (genai-perf records what the network delivers).
    pub(crate) fn hear(&mut self, response: &str) {
        self.output.push(false);
        let here = self.output.len() - 1;
        let starts_event = ["data:", "event:", "id:", "retry:", ":"].iter().any(|field| response.starts_with(field));
        self.events |= starts_event;
        if self.begun.is_empty() || starts_event {
            self.begun.clear();
            self.events_of(response, here);
        } else {
            let (whole, began) = (std::mem::take(&mut self.begun) + response, self.began);
            // Every piece parses the event again: one that never ends is given up.
            if whole.len() > LONGEST_EVENT { self.unreadable += 1 } else { self.events_of(&whole, began) }
        }
    }

    fn events_of(&mut self, text: &str, response: usize) {
        if text.trim_start().starts_with('{') {
            return self.data(text.trim(), response, false);
        }
        let mut failed = false;
        for line in text.lines().map(str::trim) {
            if let Some(data) = line.strip_prefix("data:") {
                self.data(data.trim(), response, failed);
            } else if let Some(event) = line.strip_prefix("event:") {
                failed = event.trim() == "error";
            }
        }
    }

    fn data(&mut self, data: &str, response: usize, failed: bool) {
        if failed && !data.starts_with('{') {
            self.error = self.error.take().or_else(|| super::log::reason(data));
            return;
        }
        if data.is_empty() || data == "[DONE]" {
            return;
        }
        match serde_json::from_str::<Body>(data) {
            Ok(body) => self.body(&body, response),
            Err(error) if error.is_eof() => {
                self.begun = if self.events { format!("data: {data}") } else { data.to_owned() };
                self.began = response;
            }
            Err(_) => self.unreadable += 1,
        }
    }

    fn body(&mut self, body: &Body, response: usize) {
        let says = |message: &Option<Message>| {
            message.as_ref().is_some_and(|message| {
                message.content.0 || message.reasoning_content.0 || message.reasoning.0 || message.tool_calls.0
            })
        };
        let output = |choice: &Choice| choice.text.0 || says(&choice.delta) || says(&choice.message);
        self.output[response] |= body.text_output.0 || body.choices.iter().flatten().any(output);
        if let Some(usage) = &body.usage {
            self.prompt_tokens = usage.prompt_tokens.0.or(self.prompt_tokens);
            self.output_tokens = usage.completion_tokens.0.or(self.output_tokens);
            let details = usage.prompt_tokens_details.as_ref();
            self.cached_tokens = details.and_then(|details| details.cached_tokens.0).or(self.cached_tokens);
        }
        if let Some(error) = body.error.as_ref().filter(|_| self.error.is_none()) {
            let stated = error.as_str().or_else(|| error.get("message")?.as_str()).and_then(super::log::reason);
            self.error = stated.or_else(|| Some("the server answered with an error".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(responses: &[&str]) -> Heard {
        let mut heard = Heard::default();
        for response in responses {
            heard.hear(response);
        }
        heard
    }

    #[test]
    fn a_role_alone_is_no_output_and_done_neither() {
        let heard = heard(&[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n",
            "data: [DONE]\n\n",
        ]);
        assert_eq!(heard.output, [false, false, true, true, false, false]);
        assert_eq!((heard.prompt_tokens, heard.output_tokens, heard.cached_tokens), (Some(7), Some(2), Some(4)));
        assert!(heard.events && heard.unreadable == 0 && heard.error.is_none());
    }

    #[test]
    fn an_event_that_two_responses_share_belongs_to_the_first() {
        let heard = heard(&[
            "data: {\"choices\":[{\"delta\":{\"con",
            "tent\":\"Hi\"}}]}\n\ndata: [DONE]\n\n",
            "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\n",
        ]);
        assert_eq!(heard.output, [true, false, true]);
    }

    #[test]
    fn errors_are_told() {
        assert_eq!(heard(&["event: error\ndata: too late\n\n"]).error.as_deref(), Some("too late"));
        let json = heard(&[r#"{"error": {"message": "no such model", "code": 404}}"#]);
        assert_eq!((json.error.as_deref(), json.events), (Some("no such model"), false));
        assert_eq!(heard(&[r#"{"error": "down"}"#]).error.as_deref(), Some("down"));
        assert!(heard(&["data: {\"choices\": 3}"]).unreadable == 1);
    }

    #[test]
    fn one_whole_answer_is_output_without_events() {
        let heard = heard(&["{\n \"choices\": [\n {\"message\": {\"content\": \"Hi\"}}]\n}\n"]);
        assert!(heard.any_output() && !heard.events);
    }
}
