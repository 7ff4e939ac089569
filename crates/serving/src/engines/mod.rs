//! Real engines behind OpenAI-compatible HTTP interfaces, driven by the same [`Policy`](crate::Policy) objects as the simulator.
//!
//! [`drive`] sends a workload to endpoints in an open loop: a request goes out when it arrives, whatever the replies do. Time
//! stamps are taken when bytes arrive. Every request has one row, those that fail too, with a reason that begins with a stable
//! word ([`Failure`]).
//!
//! One thread runs all streams on tokio's current-thread runtime, another paces the arrivals. The HTTP client is httparse and
//! a decoder of chunks: hyper would compile polars a second time, as it changes features of what both depend on.

mod arrival;
mod body;
mod books;
mod call;
mod chunk;
mod clock;
mod describe;
mod driver;
mod failure;
mod fit;
mod http;
mod job;
mod journal;
mod launch;
mod life;
mod pacer;
mod prompt;
mod rounds;
mod scrape;
mod telemetry;

use std::ops::Range;
use std::time::Duration;

pub use call::{Api, Form, Protocol};
pub use clock::Clock;
pub use describe::{Model, describe, discover};
pub use driver::drive;
pub use failure::Failure;
pub use fit::{Decoded, Fitted, Prefilled, fit};
pub use http::Address;
pub use job::Job;
pub use launch::{Engines, Plan};
pub use rounds::{Round, rounds};
pub use scrape::Gauges;

use crate::Device;
use crate::admission::Slos;

/// One engine, or a front end of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// Name of the model in requests.
    pub model: String,
    /// Most tokens of a prompt and its output together, where that is known: policies don't see it where more are asked for
    /// and others can take them.
    pub context_tokens: Option<u64>,
    /// What policies know about it: name, step model, KV capacity, price. Its role must be [`crate::Role::Mixed`].
    pub device: Device,
}

/// How to drive engines.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Interface and form of prompts.
    pub protocol: Protocol,
    /// Seed of the prompts.
    pub seed: u64,
    /// Number of the run: another one gives prompts that share nothing with those of other runs, so that none finds a cache
    /// that another has filled.
    pub nonce: u64,
    /// Token ids that prompts are made of.
    pub vocabulary: Range<u32>,
    /// What is agreed on with each tier.
    pub slos: Slos,
    /// Whether decisions are written with what explains them.
    pub decisions: bool,
    /// Whether every chunk of a stream is written as a `token` event.
    pub tokens: bool,
    /// How often `/metrics` is read and samples are written; never without.
    pub telemetry_period: Option<Duration>,
    /// How often migrations are planned; such endpoints can't move a request, so that plans are counted and left.
    pub migration_period: Option<Duration>,
    /// Limits of time.
    pub limits: Limits,
}

/// Limits of time, after which a request has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// From sending to the first content.
    pub first_token: Duration,
    /// Between two parts of a stream.
    pub stall: Duration,
    /// From the last arrival to the end of the run: requests that go on are aborted.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            seed: 0,
            nonce: 0,
            // Ordinary words in every vocabulary that we know of: special tokens are below or far above.
            vocabulary: 300..2300,
            slos: Slos::default(),
            decisions: false,
            tokens: true,
            telemetry_period: Some(Duration::from_millis(250)),
            migration_period: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_mins(2),
            stall: Duration::from_secs(30),
            drain: Duration::from_mins(5),
        }
    }
}

/// How one request went.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// Its number in the workload.
    pub request: usize,
    /// When it arrived, as scheduled, from the start of the run.
    pub arrival_ns: i64,
    /// When it was sent; none where it was not.
    pub sent_ns: Option<i64>,
    /// First chunk with content.
    pub first_token_ns: Option<i64>,
    /// Last chunk, or when it was given up.
    pub end_ns: i64,
    /// Prompt length, as the engine counts it where it says so.
    pub prompt_tokens: u32,
    /// Output length as the engine counts it; never a number of chunks.
    pub output_tokens: Option<u32>,
    /// Prompt tokens in its cache, as the engine counts them.
    pub cached_tokens: Option<u32>,
    /// Where it went.
    pub endpoint: Option<usize>,
    /// Time to the first token as predicted when it was placed.
    pub predicted_ttft_ns: Option<i64>,
    /// How it ended.
    pub ending: Ending,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Whole.
    Ok,
    /// Admission refused it.
    Rejected(&'static str),
    /// It failed.
    Failed(Failure),
    /// The run ended before it.
    Aborted(&'static str),
}

impl Served {
    /// Time to the first token, from its arrival.
    pub fn ttft_ns(&self) -> Option<i64> {
        self.first_token_ns.map(|first_ns| first_ns - self.arrival_ns)
    }

    /// Time per output token after the first; none of a single token, and where the engine does not count them.
    pub fn tpot_ns(&self) -> Option<i64> {
        let more = i64::from(self.output_tokens?) - 1;
        (more > 0).then(|| (self.end_ns - self.first_token_ns.unwrap_or(self.end_ns)) / more.max(1))
    }
}

/// Why engines can't be driven.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that is none.
    #[error("`{0}` is no address of an engine (hint: http://127.0.0.1:8000; of https put a local proxy in front)")]
    Address(String),
    /// Nothing to send to, or too many.
    #[error("{0} endpoints were given (hint: 1 to 64)")]
    Endpoints(usize),
    /// Endpoints that only compute prompts or only decode.
    #[error("{0} has a role other than mixed (hint: an endpoint serves whole requests)")]
    Role(String),
    /// No tokens to make prompts of.
    #[error("the vocabulary {start}..{end} has fewer than 2 tokens (hint: 300..2300)")]
    Vocabulary {
        /// First id.
        start: u32,
        /// One more than the last.
        end: u32,
    },
    /// Threads, sockets and timers.
    #[error("failed to {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// An endpoint does not answer as an engine does.
    #[error("{address} {what} (hint: is the engine up? try `curl {address}/v1/models`)")]
    Answer {
        /// Where.
        address: String,
        /// What it did.
        what: String,
    },
    /// Engines can't be launched here.
    #[error("{what} (hint: {hint})")]
    Launch {
        /// What.
        what: String,
        /// What to try.
        hint: String,
    },
}
