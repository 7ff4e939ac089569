//! A server that answers every request with what a function says, a thread a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proftool_serving::engines::Address;

/// A server; it ends when it is dropped.
pub(crate) struct Stub {
    port: u16,
    ended: Arc<AtomicBool>,
}

/// What `/metrics` says.
pub(crate) type Page = fn() -> &'static str;

/// The other end of a connection.
pub(crate) struct Peer(TcpStream);

impl Stub {
    /// Answers to POST; has no `/metrics`.
    pub(crate) fn new(answer: fn(&mut Peer)) -> Self {
        Self::listen(&TcpListener::bind("127.0.0.1:0").expect("a port"), answer, None)
    }

    /// On a port that was free.
    pub(crate) fn at(address: &Address, answer: fn(&mut Peer)) -> Self {
        let place = address.to_string();
        Self::listen(&TcpListener::bind(place.trim_start_matches("http://")).expect("a port"), answer, None)
    }

    /// With a page at `/metrics`.
    pub(crate) fn with_metrics(answer: fn(&mut Peer), page: Page) -> Self {
        Self::listen(&TcpListener::bind("127.0.0.1:0").expect("a port"), answer, Some(page))
    }

    fn listen(listener: &TcpListener, answer: fn(&mut Peer), page: Option<Page>) -> Self {
        let port = listener.local_addr().expect("bound").port();
        let (listener, ended) = (listener.try_clone().expect("a handle"), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::spawn(move || serve(stream, answer, page));
            }
        });
        Self { port, ended }
    }

    pub(crate) fn address(&self) -> Address {
        Address::local(self.port)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(stream: TcpStream, answer: fn(&mut Peer), page: Option<Page>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first).is_err() {
        return;
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut peer = Peer(stream);
    match (first.starts_with("POST"), page) {
        (true, _) => {
            let body: serde_json::Value = serde_json::from_slice(&body).expect("a JSON body");
            // Twenty tokens, or as many words.
            let ids = body["prompt"].as_array().map(Vec::len);
            let words = body["messages"][0]["content"].as_str().map(|text| text.split(' ').count());
            assert!(body["stream"] == true && ids.or(words) == Some(20), "{body}");
            assert_eq!(first.contains("/chat/"), words.is_some());
            answer(&mut peer);
        }
        (false, Some(page)) if first.contains("/metrics") => {
            let page = page();
            peer.raw(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len()));
        }
        (false, _) => peer.refuse("404 Not Found", "no such page"),
    }
}

impl Peer {
    /// Begins an event stream of chunks.
    pub(crate) fn stream(&mut self) {
        self.raw(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n",
        );
    }

    /// A part of the stream, as one chunk.
    pub(crate) fn say(&mut self, text: &str) {
        self.raw(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// Bytes as they are; nobody may be there any more.
    pub(crate) fn raw(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes());
    }

    /// An error.
    pub(crate) fn refuse(&mut self, status: &str, message: &str) {
        let body = format!("{{\"error\":{{\"message\":\"{message}\"}}}}");
        self.raw(&format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }
}

/// A good answer of four tokens.
pub(crate) fn four_tokens(peer: &mut Peer) {
    peer.stream();
    for word in ["a", "b", "c", "d"] {
        peer.say(&chunk(word));
    }
    peer.say(&events(&[&usage(20, 4, 0), "[DONE]"]));
}

/// Takes its time.
pub(crate) fn wait(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// A chunk of a completion.
pub(crate) fn chunk(text: &str) -> String {
    events(&[&format!(
        r#"{{"object":"text_completion","choices":[{{"index":0,"text":"{text}","finish_reason":null}}]}}"#
    )])
}

/// The counts at the end.
pub(crate) fn usage(prompt: u32, output: u32, cached: u32) -> String {
    format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{output},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
    )
}

/// An event stream's text.
pub(crate) fn events(data: &[&str]) -> String {
    let line = |data: &&str| ["data: ", *data, "\n\n"].concat();
    data.iter().map(line).collect::<Vec<_>>().concat()
}

/// Where nobody listens.
pub(crate) fn nobody() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    Address::local(listener.local_addr().expect("bound").port())
}
