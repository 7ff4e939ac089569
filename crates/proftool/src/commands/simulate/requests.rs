//! What arrives: requests that are made up for a seed, or the part of a trace that is replayed.

use proftool_serving::Workload;
use proftool_serving::sources::{self, Issue, Synthetic};

use super::Args;
use crate::failure::Failure;

/// Made-up requests where no number is given.
const REQUESTS: usize = 2000;
/// Tokens that the prompts of a tenant begin with: a system prompt.
const SHARED_TOKENS: u32 = 512;

/// The requests of a seed.
pub(super) fn made_up(args: &Args, seed: u64) -> Workload {
    sources::synthetic("made up", &shape(args, seed))
}

/// What they are like.
pub(super) fn shape(args: &Args, seed: u64) -> Synthetic {
    Synthetic {
        requests: args.requests.map_or(REQUESTS, |requests| requests as usize),
        per_s: args.arrival_rate,
        burst_factor: args.burst_factor,
        seed,
        tenants: args.tenants,
        shared_tokens: if args.tenants > 0 { SHARED_TOKENS } else { 0 },
        tiers: args.tiers.unwrap_or_default(),
        ..Synthetic::default()
    }
}

/// The part of the trace that is replayed, and what was left out of it or assumed; none without a trace.
///
/// # Errors
/// When it cannot be read, or holds no request between `--from` and `--until`.
pub(super) fn recorded(args: &Args) -> Result<Option<(Workload, Vec<Issue>)>, Failure> {
    let Some(path) = &args.requests_from else { return Ok(None) };
    let sources::Read { mut workload, issues } = sources::open(path).map_err(Failure::io)?;
    let span_s = workload.span_ns() as f64 / 1e9;
    if args.from.is_some() || args.until.is_some() {
        let (from_ns, until_ns) = (args.from.unwrap_or(0), args.until.unwrap_or(i64::MAX));
        if from_ns >= until_ns {
            return Err(Failure::usage("--from is not before --until (hint: both are seconds of the trace)"));
        }
        workload.window(from_ns, until_ns);
    }
    if let Some(most) = args.requests {
        workload.requests.truncate(most as usize);
    }
    if workload.requests.is_empty() {
        let hint = format!("hint: it goes from 0 to {span_s:.3} s");
        return Err(Failure::usage(format!(
            "no request of {} lies between --from and --until ({hint})",
            path.display()
        )));
    }
    Ok(Some((workload, issues)))
}
