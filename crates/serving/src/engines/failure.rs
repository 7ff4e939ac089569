//! How requests fail.

use std::io;
use std::time::Duration;

/// Why a request has no whole answer. Its text begins with a stable word, which results are counted by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens.
    #[error("refused: nobody listens there")]
    Refused,
    /// The host's name is not known.
    #[error("dns: the host's name is not known")]
    Dns,
    /// The connection can't be made for another reason.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// This machine has no more sockets.
    #[error("client: this side has no more sockets (hint: ulimit -n 65536, or fewer requests a second)")]
    Client,
    /// No endpoint is up.
    #[error("no_endpoint: no endpoint is up")]
    NoEndpoint,
    /// No content within the limit.
    #[error("first_token_timeout: no content in {} s", .0.as_secs_f64())]
    FirstToken(Duration),
    /// A stream that stopped.
    #[error("stalled: nothing more in {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// A stream that ended before its end.
    #[error("cut: the stream ended before its end")]
    Cut,
    /// A stream without a single content.
    #[error("empty: the stream ended without content")]
    Empty,
    /// An answer that is no event stream of an OpenAI interface.
    #[error("garbage: {0}")]
    Garbage(String),
    /// An error that the engine tells amid the stream.
    #[error("engine_error: {0}")]
    Engine(String),
    /// Another HTTP status than 200.
    #[error("http_{status}: {message}")]
    Http {
        /// The status.
        status: u16,
        /// What the answer says.
        message: String,
    },
}

impl Failure {
    /// The stable word.
    pub fn code(&self) -> String {
        let text = self.to_string();
        text.split(':').next().unwrap_or_default().to_owned()
    }

    /// Whether the endpoint can't be reached: nobody is sent there until it answers again.
    pub(crate) fn unreachable(&self) -> bool {
        matches!(self, Self::Refused | Self::Dns | Self::Unreachable(_))
    }

    /// Of a connection that can't be made.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        // No port is left, or EMFILE and ENFILE, which have no kind: nothing is wrong with the endpoint.
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::ConnectionRefused, _) => Self::Refused,
            (io::ErrorKind::AddrNotAvailable, _) | (_, Some(23 | 24)) => Self::Client,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// The first part of a text on one line: messages of engines may be pages long.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > MOST {
        line = line.chars().take(MOST).chain(['…']).collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_by_its_first_word() {
        assert_eq!(Failure::Http { status: 429, message: "slow: down".to_owned() }.code(), "http_429");
        assert_eq!(Failure::Cut.code(), "cut");
        assert_eq!(Failure::Stalled(Duration::from_millis(500)).to_string(), "stalled: nothing more in 0.5 s");
        for code in [23, 24, 99] {
            let full = Failure::connecting(&io::Error::from_raw_os_error(code));
            assert!(full == Failure::Client && !full.unreachable());
        }
        assert_eq!(shortened(" a\n b "), "a b");
        assert_eq!(shortened(&"é".repeat(500)).chars().count(), 201);
    }
}
