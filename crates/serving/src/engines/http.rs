//! HTTP/1.1 on a connection of its own for each request.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Error;
use super::body::Body;
use super::failure::{Failure, shortened};

/// Host, port and path in front of `/v1`, written as `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    path: String,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let none = || Error::Address(text.to_owned());
        let rest = text.trim().strip_prefix("http://").ok_or_else(none)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The clients' convention names the interface's root; ours is the server's.
        let path = path.trim_end_matches('/');
        let path = if path == "v1" { "" } else { path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/') };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| none())?),
            _ => (authority, 80),
        };
        let allowed = |byte: u8| byte.is_ascii_graphic();
        if host.is_empty() || !rest.bytes().all(allowed) || authority.contains(['@', '?', '#']) {
            return Err(none());
        }
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, path })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}{path}")
        } else {
            write!(f, "http://{host}:{port}{path}")
        }
    }
}

impl Address {
    /// A port of this machine.
    pub fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port, path: String::new() }
    }

    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Refused`], [`Failure::Dns`] or [`Failure::Unreachable`].
    pub(super) async fn connect(&self, limit: Duration) -> Result<TcpStream, Failure> {
        let connecting = async {
            let places = lookup_host((self.host.as_str(), self.port)).await.map_err(|_| Failure::Dns)?;
            let mut last = Failure::Dns;
            for place in places {
                match TcpStream::connect(place).await {
                    Ok(stream) => {
                        stream.set_nodelay(true).map_err(|error| Failure::connecting(&error))?;
                        return Ok(stream);
                    }
                    Err(error) => last = Failure::connecting(&error),
                }
            }
            Err(last)
        };
        timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(Failure::Unreachable(format!("no connection in {} s", limit.as_secs()))))
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let Self { host, port, path: before } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("{method} {before}{path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{more}\r\n")
    }

    /// Sends a JSON body.
    pub(super) async fn post(&self, stream: &TcpStream, path: &str, body: &str) -> io::Result<()> {
        let more = format!(
            "content-type: application/json\r\naccept: text/event-stream\r\ncontent-length: {}\r\n",
            body.len()
        );
        let mut message = self.head("POST", path, &more).into_bytes();
        message.extend_from_slice(body.as_bytes());
        write(stream, &message).await
    }

    /// The whole answer to a GET: its status and its text.
    ///
    /// # Errors
    /// When there is none within the limit.
    pub(super) async fn get(&self, path: &str, limit: Duration) -> Result<(u16, String), Failure> {
        let exchange = async {
            let stream = self.connect(limit).await?;
            let message = self.head("GET", path, "accept: */*\r\n");
            write(&stream, message.as_bytes()).await.map_err(|error| Failure::Unreachable(error.to_string()))?;
            let mut answer = Answer::default();
            let text = answer.rest(&stream, LARGEST_PAGE).await?;
            match answer.ended {
                true => Ok((answer.status, text)),
                false if text.len() >= LARGEST_PAGE => Err(Failure::Garbage("the page is too large".to_owned())),
                false => Err(Failure::Cut),
            }
        };
        timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(Failure::Unreachable(format!("no answer in {} s", limit.as_secs_f64()))))
    }
}

/// Reads what has arrived, at least a byte; 0 at the end. (tokio's `io-util` feature would compile polars again.)
pub(super) async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Pages of `/metrics` are some 100 kB.
const LARGEST_PAGE: usize = 8 << 20;
/// Heads of answers are below 1 kB.
const LARGEST_HEAD: usize = 64 << 10;
const HEADERS: usize = 64;

/// An answer as it arrives.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Its status; 0 until the head is there.
    pub(super) status: u16,
    /// Whether the body is an event stream.
    pub(super) events: bool,
    /// Whether [`Answer::rest`] has read all of it.
    ended: bool,
    head: Vec<u8>,
    body: Option<Body>,
}

impl Answer {
    /// Takes what arrived; decoded bytes of the body go to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let garbage = |what: &str| Failure::Garbage(what.to_owned());
        if let Some(body) = &mut self.body {
            return body.push(bytes, out).map_err(garbage);
        }
        self.head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.head).map_err(|_| garbage("the answer is not HTTP"))?;
        let httparse::Status::Complete(used) = parsed else {
            return if self.head.len() > LARGEST_HEAD { Err(garbage("the answer's head has no end")) } else { Ok(()) };
        };
        self.status = response.code.unwrap_or_default();
        let value = |name: &str| {
            let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
        };
        self.events = value("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let chunked = value("transfer-encoding").is_some_and(|how| how.ends_with("chunked"));
        let mut body = Body::new(value("content-length").and_then(|length| length.parse().ok()), chunked);
        let rest = self.head.split_off(used);
        // 100 Continue and its like have no body; the answer follows.
        if (100..200).contains(&self.status) {
            *self = Self::default();
            return if rest.is_empty() { Ok(()) } else { self.push(&rest, out) };
        }
        body.push(&rest, out).map_err(garbage)?;
        self.body = Some(body);
        Ok(())
    }

    /// Whether it is whole, now that (`closed`) nothing more comes, or before.
    pub(super) fn whole(&self, closed: bool) -> bool {
        self.body.as_ref().is_some_and(|body| body.whole(closed))
    }

    /// Reads to the end, at most so many bytes of the body.
    pub(super) async fn rest(&mut self, stream: &TcpStream, most: usize) -> Result<String, Failure> {
        let (mut out, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
        self.ended = self.whole(false);
        while !self.ended && out.len() < most {
            let read = read(stream, &mut buffer).await.map_err(|_| Failure::Cut)?;
            if read == 0 {
                self.ended = self.whole(true);
                break;
            }
            self.push(&buffer[..read], &mut out)?;
            self.ended = self.whole(false);
        }
        if self.status == 0 { Err(Failure::Cut) } else { Ok(String::from_utf8_lossy(&out).into_owned()) }
    }
}

/// What an answer that is an error says: its `error.message` or `message` where it is JSON, else its text.
pub(super) fn message(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let inner =
        ["/error/message", "/message", "/error", "/detail"].iter().find_map(|path| value.pointer(path)?.as_str());
    shortened(inner.unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_port_and_a_path() {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
        assert_eq!(address("http://127.0.0.1:8000/v1/").as_deref(), Some("http://127.0.0.1:8000"));
        assert_eq!(address("http://h/a/v1").as_deref(), Some("http://h:80/a"));
        assert_eq!(address("http://h/a/bv1").as_deref(), Some("http://h:80/a/bv1"));
        assert_eq!(address("http://[::1]:81").as_deref(), Some("http://[::1]:81"));
        for wrong in ["https://h", "h:80", "http://", "http://h:x", "http://a b", "http://u@h", "http://h:99999", ""] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_head_may_arrive_byte_by_byte() {
        let text = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        for at_once in [1, 7, 500] {
            let (mut answer, mut out) = (Answer::default(), Vec::new());
            for part in text.chunks(at_once) {
                answer.push(part, &mut out).expect("an answer");
            }
            assert_eq!((answer.status, answer.events, out.as_slice()), (200, true, &b"hi"[..]));
            assert!(answer.whole(false));
        }
        assert!(Answer::default().push(b"SSH-2.0-x\r\n\r\n", &mut Vec::new()).is_err());
    }

    #[test]
    fn errors_are_told_by_what_the_engine_says() {
        assert_eq!(message(r#"{"error":{"message":"too many"}}"#), "too many");
        assert_eq!(message(r#"{"detail":"none"}"#), "none");
        assert_eq!(message("<h1>\nBad</h1>"), "<h1> Bad</h1>");
    }
}
