//! One request on the wire, from its connection to the last byte of its stream.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::chunk::{Events, Usage, read};
use super::failure::Failure;
use super::http::{Address, Answer, message, read as receive};
use super::{Clock, Limits};

/// The interface of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// `/v1/completions`.
    #[default]
    Completions,
    /// `/v1/chat/completions`: prompts are texts, and have the tokens of the chat template too.
    Chat,
}

/// How prompts are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As token ids: vLLM, SGLang and llama.cpp take them in completions.
    #[default]
    Tokens,
    /// As text.
    Text,
}

/// Interface and form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The interface.
    pub api: Api,
    /// Form of prompts in completions.
    pub form: Form,
    /// Whether engines are asked to generate all tokens of the workload whatever the model says (`ignore_eos`, which vLLM,
    /// SGLang and llama.cpp know; others may refuse a key that is not OpenAI's).
    pub exact_output: bool,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { api: Api::default(), form: Form::default(), exact_output: true }
    }
}

impl Protocol {
    /// Path of requests.
    pub(super) fn path(self) -> &'static str {
        match self.api {
            Api::Completions => "/v1/completions",
            Api::Chat => "/v1/chat/completions",
        }
    }

    /// Whether prompts are words.
    pub(super) fn words(self) -> bool {
        self.api == Api::Chat || self.form == Form::Text
    }

    /// The body of a request without the model's name, which is known when it is placed.
    pub(super) fn rest(self, prompt: &str, output_tokens: u32) -> String {
        let prompt = match self.api {
            Api::Completions => format!("\"prompt\":{prompt}"),
            Api::Chat => format!("\"messages\":[{{\"role\":\"user\",\"content\":{prompt}}}]"),
        };
        let eos = if self.exact_output { ",\"ignore_eos\":true" } else { "" };
        format!(
            ",{prompt},\"max_tokens\":{output_tokens},\"temperature\":0,\"stream\":true,\
             \"stream_options\":{{\"include_usage\":true}}{eos}}}"
        )
    }
}

/// The body of a request to a model.
pub(super) fn body(model: &str, rest: &str) -> String {
    format!("{{\"model\":{}{rest}", serde_json::Value::from(model))
}

/// What a stream tells while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The request is sent.
    Sent,
    /// A chunk with content.
    Content,
}

/// A stream that came whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// When its last chunk came: the last that has content or says that the output has ended.
    pub(super) last_ns: i64,
    /// The engine's counts.
    pub(super) usage: Option<Usage>,
}

/// How long an error's text may take: what it says matters less than that it ends.
const ERROR_LIMIT: Duration = Duration::from_secs(5);
const LARGEST_ERROR: usize = 64 << 10;
const BUFFER: usize = 16 << 10;

/// Sends a request and reads its stream; `tell` hears of its progress with the time at which the bytes arrived.
pub(super) async fn exchange(
    to: (&Address, &str),
    body: &str,
    (limits, clock): (&Limits, &Clock),
    mut tell: impl FnMut(Told, i64),
) -> Result<Whole, Failure> {
    let (address, path) = to;
    let stream = address.connect(limits.connect).await?;
    // The first content counts from the beginning of the request, any other part of the stream from the one before.
    let mut since = Instant::now();
    // An engine may refuse before it has read all, or never read: what it says counts, and where it says nothing, reading
    // fails.
    let _ = timeout(limits.first_token, address.post(&stream, path, body)).await;
    tell(Told::Sent, clock.now_ns());
    let (mut answer, mut reading, mut decoded) = (Answer::default(), Reading::default(), Vec::new());
    let mut buffer = vec![0; BUFFER];
    loop {
        let (limit, late) = if reading.began {
            (limits.stall, Failure::Stalled(limits.stall))
        } else {
            (limits.first_token, Failure::FirstToken(limits.first_token))
        };
        let left = limit.saturating_sub(since.elapsed());
        let read = timeout(left, receive(&stream, &mut buffer)).await.map_err(|_| late)?.map_err(|_| Failure::Cut)?;
        let at_ns = clock.now_ns();
        decoded.clear();
        answer.push(&buffer[..read], &mut decoded)?;
        if answer.status != 0 && (answer.status != 200 || !answer.events) {
            return Err(refusal(answer, &stream, decoded).await);
        }
        if reading.push(&decoded, at_ns, &mut tell)? {
            since = Instant::now();
        }
        let whole = answer.whole(read == 0);
        if whole && !reading.done {
            reading.last(at_ns, &mut tell)?;
        }
        if reading.done || read == 0 || whole {
            return reading.end(whole);
        }
    }
}

/// What is known of a stream.
#[derive(Debug, Default)]
struct Reading {
    events: Events,
    began: bool,
    finished: bool,
    done: bool,
    last_ns: i64,
    usage: Option<Usage>,
}

impl Reading {
    /// Takes what arrived; gives whether the stream went on: with its first content, or anything after that.
    fn push(&mut self, bytes: &[u8], at_ns: i64, tell: &mut impl FnMut(Told, i64)) -> Result<bool, Failure> {
        let Self { events, began, finished, done, last_ns, usage } = self;
        let mut on = false;
        events.push(bytes, |data| {
            let chunk = read(data)?;
            if chunk.content {
                tell(Told::Content, at_ns);
            }
            if chunk.content || chunk.finished {
                *last_ns = at_ns;
            }
            *began |= chunk.content;
            on |= *began;
            *finished |= chunk.finished;
            *done |= chunk.done;
            *usage = chunk.usage.or(*usage);
            Ok(())
        })?;
        Ok(on)
    }

    /// The body is whole: its last event may lack the empty line behind it. One that is no event was cut.
    fn last(&mut self, at_ns: i64, tell: &mut impl FnMut(Told, i64)) -> Result<(), Failure> {
        match self.push(b"\n\n", at_ns, tell) {
            Err(Failure::Garbage(_)) => Err(Failure::Cut),
            result => result.map(|_| ()),
        }
    }

    /// The end: engines say why an output ended, or that the stream is over. One that does neither was cut, as was one
    /// whose body is not whole.
    fn end(self, whole: bool) -> Result<Whole, Failure> {
        if !(self.done || (self.finished && whole)) {
            return Err(Failure::Cut);
        }
        if !self.began {
            return Err(Failure::Empty);
        }
        Ok(Whole { last_ns: self.last_ns, usage: self.usage })
    }
}

/// What an answer says that is no stream.
async fn refusal(mut answer: Answer, stream: &TcpStream, mut text: Vec<u8>) -> Failure {
    if let Ok(Ok(rest)) = timeout(ERROR_LIMIT, answer.rest(stream, LARGEST_ERROR)).await {
        text.extend_from_slice(rest.as_bytes());
    }
    let message = message(&String::from_utf8_lossy(&text));
    match answer.status {
        200 => Failure::Garbage(format!("the answer is no event stream: {message}")),
        status => Failure::Http { status, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_json_in_both_interfaces() {
        for (api, key) in [(Api::Completions, "prompt"), (Api::Chat, "messages")] {
            let protocol = Protocol { api, ..Protocol::default() };
            let value: serde_json::Value =
                serde_json::from_str(&body("a\"b", &protocol.rest("\"hi\"", 7))).expect("JSON");
            assert_eq!((&value["model"], &value["max_tokens"]), (&"a\"b".into(), &7.into()));
            assert_eq!((&value["stream_options"]["include_usage"], value.get(key).is_some()), (&true.into(), true));
        }
    }
}
