//! What a simulation is told and what it tells.

use crate::admission::Slos;
use crate::policy::State;
use crate::{Autoscale, Explanation, Tier};

/// How many events lie between two looks at [`Sink::stopped`]: some 0.2 ms, so that looking costs nothing.
pub(super) const POLL_EVENTS: u32 = 1024;

/// How to simulate.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How often migrations are planned; none without.
    pub migration_period_ns: Option<i64>,
    /// When devices go down and come back.
    pub changes: Vec<Change>,
    /// What is agreed on with each tier.
    pub slos: Slos,
    /// Whether decisions are explained to the sink.
    pub decisions: bool,
    /// How often the sink sees the devices' state; never without.
    pub sample_period_ns: Option<i64>,
    /// Time from a request's arrival within which its prompt must be begun, of each tier: it is refused when its turn comes
    /// later. Without, it waits as long as it takes.
    pub deadlines_ns: [Option<i64>; 3],
    /// How pools grow and shrink; they do not without.
    pub autoscale: Option<Autoscale>,
    /// Whether every prompt is computed whole: nothing is kept for others.
    pub no_prefix_cache: bool,
}

/// A device goes down or comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at_ns: i64,
    /// Which.
    pub device: usize,
    /// Whether it serves from then on.
    pub up: bool,
}

/// What a device is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// It is not in use and costs nothing.
    Off,
    /// It gets ready to serve.
    Starting,
    /// It serves.
    Serving,
    /// It finishes what it has and gets no new work.
    Draining,
    /// It has failed.
    Failed,
}

impl Duty {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }

    /// Whether a device must be paid for.
    pub fn costs(self) -> bool {
        !matches!(self, Self::Off | Self::Failed)
    }
}

/// Receives what happens, in the order of its end. Nothing is kept by the simulator.
pub trait Sink {
    /// Whether the run should stop now: asked every 1,024 events. Requests that are there then end as
    /// [`Status::Aborted`]; those that have not arrived have no outcome.
    fn stopped(&self) -> bool {
        false
    }
    /// A request ended.
    fn outcome(&mut self, _outcome: &Outcome) {}
    /// Something about a request.
    fn span(&mut self, _span: &Span) {}
    /// Steps of a device.
    fn steps(&mut self, _run: &Run) {}
    /// The state of every device at a moment, when all that happens at it has happened: at the multiples of
    /// [`Options::sample_period_ns`] and at the end. While nobody is there, one sample stands for the whole time.
    ///
    /// It is what an engine would show, by vLLM's definitions, and not what a router counts ([`State`]): `running` are the
    /// requests in the device's batch, whose prompt is being computed or that decode; `waiting` those that are not in it yet,
    /// also those whose context is there or on its way. `kv_tokens` is the memory that requests hold, blocks that they share
    /// counted once, never above the capacity. Prompt tokens still to be computed are those of both.
    fn sample(&mut self, _at_ns: i64, _devices: &[State]) {}
    /// What a device is there for from now on; until it is told, it serves.
    fn duty(&mut self, _at_ns: i64, _device: usize, _duty: Duty) {}
    /// A decision.
    fn decision(&mut self, _at_ns: i64, _request: u32, _chosen: Option<usize>, _why: &Explanation) {}
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number in the workload.
    pub request: u32,
    /// Arrival.
    pub arrival_ns: i64,
    /// First token; none where there is none.
    pub first_token_ns: Option<i64>,
    /// Last token, or when it was given up.
    pub end_ns: i64,
    /// Prompt length.
    pub prompt_tokens: u32,
    /// Tokens that came out.
    pub output_tokens: u32,
    /// Prompt tokens that were cached where it was computed first.
    pub cached_tokens: u32,
    /// Service tier.
    pub tier: Tier,
    /// Device that computed the prompt, or was to: where a request waited that was given up.
    pub prefill_device: Option<u8>,
    /// Device that generated the last token.
    pub decode_device: Option<u8>,
    /// Time to the first token as predicted when it was placed first.
    pub predicted_ttft_ns: i64,
    /// How often it moved while it decoded.
    pub migrations: u16,
    /// How often it lost its memory.
    pub preemptions: u16,
    /// How it ended.
    pub status: Status,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With all its tokens.
    Ok,
    /// It was not accepted.
    Rejected(&'static str),
    /// It could not be served.
    Failed(&'static str),
    /// The run was stopped before its end.
    Aborted(&'static str),
}

/// A part of a request's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its number in the workload.
    pub request: u32,
    /// What.
    pub kind: SpanKind,
    /// Where; of a transfer the receiving device.
    pub device: u8,
    /// From when.
    pub start_ns: i64,
    /// To when.
    pub end_ns: i64,
    /// Bytes of a transfer.
    pub bytes: u64,
}

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Waiting for its prompt to be computed.
    Queued,
    /// Its prompt is computed.
    Prefill,
    /// Its keys and values move from the device that computed the prompt.
    KvTransfer,
    /// Tokens are generated.
    Decode,
    /// It lost its memory.
    Preempt,
    /// It moves to another device while it decodes.
    Migrate,
}

/// Consecutive steps of a device with the same batch; the decode part grows by a token a request and step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The device.
    pub device: u8,
    /// Start of the first step.
    pub start_ns: i64,
    /// End of the last.
    pub end_ns: i64,
    /// How many.
    pub steps: u64,
    /// Prompt tokens of each.
    pub prefill_tokens: u64,
    /// Requests that decode.
    pub sequences: u64,
    /// Tokens in their contexts at the first step.
    pub kv_tokens: u64,
    /// The durations, for the ends of the steps between.
    pub(crate) line: crate::steps::DecodeRun,
}

impl Run {
    /// End of each step.
    pub fn ends_ns(&self) -> impl Iterator<Item = i64> {
        let run = *self;
        (1..=self.steps).map(
            move |step| {
                if step == run.steps { run.end_ns } else { run.start_ns + run.line.end_ns(step) }
            },
        )
    }
}
