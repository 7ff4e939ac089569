//! What a router policy is asked, what it sees and what it answers.

use crate::steps::Beside;
use crate::{Cluster, Request};

/// A router policy. It is told what happens and asked where requests go; it sees what a router can see, in the simulator as
/// on real engines: its own decisions, the devices' state, and what the streams show.
pub trait Policy: Send {
    /// Its name: the value of `--policy`, and the stem of its source file.
    fn name(&self) -> &'static str;

    /// Hears what happened.
    fn observe(&mut self, _observation: &Observation, _view: &View<'_>) {}

    /// Chooses the device that computes the prompt; none where no device is up.
    fn place_prefill(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize>;

    /// Chooses the device that generates the tokens, when the prompt is computed; none where no device is up. Where the one
    /// that computed the prompt decodes too, only its own `kv_tokens` are those of now: the request stays there as a rule.
    fn place_decode(&mut self, ask: &Ask<'_>, view: &View<'_>, why: &mut Explanation) -> Option<usize>;

    /// Plans migrations of decoding requests; asked at a fixed period of simulated or real time.
    fn plan_migrations(&mut self, _view: &View<'_>, _plan: &mut Vec<Migration>) {}
}

/// A request that must be placed.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its number in the workload.
    pub number: usize,
    /// The request; a policy must not look at its output length, which nobody knows yet.
    pub request: &'a Request,
    /// Tokens of its prompt in the cache of each device.
    pub cached_tokens: &'a [u32],
    /// Device that computed its prompt; none while that is to be decided.
    pub prefilled_on: Option<usize>,
}

/// What a router sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Now.
    pub now_ns: i64,
    /// The devices as they are configured.
    pub cluster: &'a Cluster,
    /// Their state.
    pub devices: &'a [State],
}

/// State of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether it serves.
    pub up: bool,
    /// Requests whose prompt is not computed yet, begun or not: a router does not see when it is begun. Samples count those
    /// that are begun as running ([`crate::Sink::sample`]).
    pub waiting: u32,
    /// Their prompt tokens that are still to be computed.
    pub waiting_tokens: u64,
    /// Pairs of one of those and a token before it in its prompt: what attention computes for them.
    pub waiting_pairs: u64,
    /// Requests that decode, or will once they fit.
    pub running: u32,
    /// Tokens in their contexts, those of waiting prompts included, as of now; in [`Policy::observe`] those of steps amid a run may be
    /// missing.
    pub kv_tokens: u64,
}

impl State {
    /// Requests there.
    pub fn requests(&self) -> u32 {
        self.waiting + self.running
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observation {
    /// A first token arrived.
    FirstToken {
        /// The device that made it.
        device: usize,
        /// Time since the request arrived.
        ttft_ns: i64,
        /// Prompt tokens.
        prompt_tokens: u32,
        /// Those of them that were cached.
        cached_tokens: u32,
    },
    /// A request is complete.
    Finished {
        /// The device that decoded it.
        device: usize,
        /// Time per output token; none of a single token.
        tpot_ns: Option<i64>,
    },
    /// A device went down, or came back.
    Changed {
        /// The device.
        device: usize,
        /// Whether it serves now.
        up: bool,
    },
}

/// Requests to move from one device to another. Of those that decode there, the lowest tier goes first, then the shortest
/// context (the cheapest transfer), then the youngest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Migration {
    /// From where.
    pub from: usize,
    /// To where.
    pub to: usize,
    /// How many.
    pub count: u32,
    /// The difference of scores that justifies it.
    pub gap: f64,
}

/// Why a device was chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Whether anybody will read it: where not, only the choice matters.
    pub wanted: bool,
    /// What is decided.
    pub cause: Cause,
    /// Cost or score of the chosen device.
    pub score: f64,
    /// The next best device with its score.
    pub runner_up: Option<(usize, f64)>,
    /// The terms that make up the score of the chosen device.
    pub terms: Vec<(&'static str, f64)>,
}

/// What a decision is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Whether a request is served.
    #[default]
    Admit,
    /// Where its prompt is computed.
    Prefill,
    /// Where it decodes.
    Decode,
    /// Where it goes on.
    Migrate,
}

/// The device of the lowest cost among those that `may` serve, the lowest number on ties; costs that are no number lose.
pub(crate) fn cheapest(
    view: &View<'_>,
    may: impl Fn(usize) -> bool,
    cost: impl Fn(usize) -> f64,
    why: &mut Explanation,
) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    let mut second: Option<(usize, f64)> = None;
    for device in (0..view.devices.len()).filter(|&device| view.devices[device].up && may(device)) {
        let cost = cost(device);
        let cost = if cost.is_nan() { f64::INFINITY } else { cost };
        if best.is_none_or(|(_, lowest)| cost < lowest) {
            second = best;
            best = Some((device, cost));
        } else if second.is_none_or(|(_, low)| cost < low) {
            second = Some((device, cost));
        }
    }
    let (device, score) = best?;
    (why.score, why.runner_up) = (score, second);
    Some(device)
}

/// Whether a device computes prompts.
pub(crate) fn prefills(view: &View<'_>, device: usize) -> bool {
    view.cluster.devices[device].role.prefills()
}

/// Whether a device may generate the tokens of this request: a mixed device keeps what it computed.
pub(crate) fn decodes(view: &View<'_>, ask: &Ask<'_>, device: usize) -> bool {
    let role = view.cluster.devices[device].role;
    role.decodes() && ask.prefilled_on.is_none_or(|from| !stays(view, from) || from == device)
}

/// Whether what a device computed stays there: it decodes too, and is up.
fn stays(view: &View<'_>, device: usize) -> bool {
    view.cluster.devices[device].role.decodes() && view.devices[device].up
}

/// Pairs of one of `tokens` tokens and one before it, the first of which has `before` before it.
pub(crate) fn pairs(tokens: u64, before: u64) -> u64 {
    tokens * before + tokens * tokens.saturating_sub(1) / 2
}

/// Time to the first token of a request that is placed on a device now: what waits there and its own prompt, computed in
/// chunks beside the requests that decode. The rest of the step in progress, which a router does not see, is left out.
pub(crate) fn predict_ttft_ns(view: &View<'_>, device: usize, ask: &Ask<'_>) -> i64 {
    let (spec, state) = (&view.cluster.devices[device], &view.devices[device]);
    let cached = u64::from(ask.cached_tokens[device]);
    let own = u64::from(ask.request.prompt_tokens) - cached.min(u64::from(ask.request.prompt_tokens));
    let tokens = state.waiting_tokens + own;
    let all_pairs = state.waiting_pairs + pairs(own, cached);
    let chunk = u64::from(spec.step_tokens).saturating_sub(u64::from(state.running)).max(1);
    let beside =
        Beside { sequences: u64::from(state.running), kv_tokens: state.kv_tokens.saturating_sub(state.waiting_tokens) };
    spec.steps.prefill_beside_ns(tokens, all_pairs, chunk, &beside)
}
