//! From tables to the requests of each pass.

use std::collections::HashMap;

use proftool_trace::manifest::Time;
use proftool_trace::tables;

use super::{Event, Kind, Log, Request, Slo, Status};
use crate::Error;
use crate::metrics::Input;
use crate::model::{Names, Rows};

/// The logs of all passes that have requests, by the name of the pass; of the pass that was asked for alone where it is
/// one of them.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn read(input: &Input) -> Result<Vec<Log>, Error> {
    let mut names = Names::default();
    Rows::all(input.tables.get(&tables::REQUESTS)).names("pass", &mut names)?;
    let mut passes: Vec<&str> = names.from(0).collect();
    passes.sort_unstable();
    if let Some(wanted) = input.pass.as_deref().filter(|wanted| passes.contains(wanted)) {
        passes = vec![wanted];
    }
    passes.into_iter().map(|pass| of_pass(input, pass)).collect()
}

fn of_pass(input: &Input, pass: &str) -> Result<Log, Error> {
    let mut names = Names::default();
    let mut requests = requests(input, pass, &mut names)?;
    let text = |request: &Request| names.text(request.name);
    requests.sort_by(|a, b| (a.arrival, a.rank).cmp(&(b.arrival, b.rank)).then_with(|| text(a).cmp(text(b))));
    let (events, tokens) = events(input, pass, &requests, &mut names)?;
    let tokens = place(&mut requests, &events, tokens);
    let simulated = is_simulated(input, pass)?;
    Ok(Log { pass: pass.to_owned(), simulated, names, requests, events, tokens })
}

fn requests(input: &Input, pass: &str, names: &mut Names) -> Result<Vec<Request>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::REQUESTS), pass)?;
    let (ranks, arrivals) = (rows.ints("rank")?, rows.ints("arrival_ns")?);
    let (requests, statuses) = (rows.names("request", names)?, rows.texts("status")?);
    let (tiers, policies) = (rows.names("tier", names)?, rows.names("policy", names)?);
    let ints = |name: &str| rows.optional_ints(name);
    let (firsts, ends) = (ints("first_token_ns")?, ints("end_ns")?);
    let (prompts, outputs, cached) = (ints("prompt_tokens")?, ints("output_tokens")?, ints("cached_tokens")?);
    let (ttfts, tpots, predicted) = (ints("slo_ttft_ns")?, ints("slo_tpot_ns")?, ints("predicted_ttft_ns")?);
    let devices = ints("prefill_device")?;
    let request = |at: usize| Request {
        name: requests[at].unwrap_or_default(),
        rank: ranks[at],
        arrival: arrivals[at],
        first_token: firsts[at],
        end: ends[at],
        prompt_tokens: prompts[at],
        output_tokens: outputs[at],
        cached_tokens: cached[at],
        tier: tiers[at],
        policy: policies[at],
        slo: input.slo.or(Slo { ttft_ns: ttfts[at], tpot_ns: tpots[at] }),
        predicted_ttft: predicted[at],
        prefill_device: devices[at],
        status: status(statuses[at].as_deref()),
        events: 0..0,
        tokens: 0..0,
    };
    Ok((0..arrivals.len()).map(request).collect())
}

fn status(text: Option<&str>) -> Status {
    match text {
        Some("ok") => Status::Ok,
        Some("rejected") => Status::Rejected,
        Some("aborted") => Status::Aborted,
        _ => Status::Failed,
    }
}

/// The stages and the tokens of the requests, each with the request's place, sorted.
type Events = (Vec<Event>, Vec<(usize, i64)>);

fn events(input: &Input, pass: &str, requests: &[Request], names: &mut Names) -> Result<Events, Error> {
    let mut places: HashMap<(i64, u32), usize> = HashMap::with_capacity(requests.len());
    for (place, request) in requests.iter().enumerate() {
        places.entry((request.rank, request.name)).or_insert(place);
    }
    let rows = Rows::of_pass(input.tables.get(&tables::REQUEST_EVENTS), pass)?;
    let mut kind_names = Names::default();
    let (ranks, owners, kinds) =
        (rows.ints("rank")?, rows.names("request", names)?, rows.names("kind", &mut kind_names)?);
    let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
    let (devices, bytes) = (rows.optional_ints("device")?, rows.optional_ints("bytes")?);
    let of_name = |name: &str| Kind::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
    let known: Vec<Option<Kind>> = kind_names.from(0).map(of_name).collect();
    let token = kind_names.find("token");
    let (mut stages, mut tokens) = (Vec::new(), Vec::new());
    for at in 0..starts.len() {
        let Some(kind) = kinds[at] else { continue };
        let Some(&request) = owners[at].and_then(|name| places.get(&(ranks[at], name))) else { continue };
        if Some(kind) == token {
            tokens.push((request, starts[at]));
        } else if let Some(kind) = known[kind as usize] {
            let span = (starts[at], ends[at].max(starts[at]));
            stages.push(Event { request, span, kind, device: devices[at], bytes: bytes[at] });
        }
    }
    stages.sort_by_key(|event| (event.request, event.span, event.kind, event.device, event.bytes));
    tokens.sort_unstable();
    Ok((stages, tokens))
}

/// Tells each request where its stages and tokens stand; returns the times of the tokens.
fn place(requests: &mut [Request], events: &[Event], tokens: Vec<(usize, i64)>) -> Vec<i64> {
    let (mut event, mut token) = (0, 0);
    for (at, request) in requests.iter_mut().enumerate() {
        let count = events[event..].partition_point(|event| event.request <= at);
        request.events = event..event + count;
        event += count;
        let count = tokens[token..].partition_point(|token| token.0 <= at);
        request.tokens = token..token + count;
        token += count;
    }
    tokens.into_iter().map(|(_, time)| time).collect()
}

/// Whether a model computed the times: the manifest says so; without one, a device of the pass that is simulated does.
fn is_simulated(input: &Input, pass: &str) -> Result<bool, Error> {
    if let Some(manifest) = input.manifest {
        return Ok(manifest.time == Time::Simulated);
    }
    let kinds = Rows::of_pass(input.tables.get(&tables::DEVICES), pass)?.texts("kind")?;
    Ok(kinds.iter().any(|kind| kind.as_deref() == Some("simulated")))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    #[test]
    fn requests_are_sorted_and_have_their_own_events() {
        let log = Fixture::new()
            .request(50, Some(60), Some(90), 3)
            .event("token", None, (90, 90))
            .event("token", None, (60, 60))
            .event("prefill", Some(1), (55, 60))
            .request(10, Some(20), Some(30), 2)
            .event("queued", Some(0), (10, 12))
            .log();
        let arrivals: Vec<i64> = log.requests.iter().map(|request| request.arrival).collect();
        assert_eq!(arrivals, [10, 50]);
        assert_eq!((log.tokens(&log.requests[0]).len(), log.tokens(&log.requests[1])), (0, &[60, 90][..]));
        let spans = |at: usize| log.stages(&log.requests[at]).iter().map(|event| event.span).collect::<Vec<_>>();
        assert_eq!((spans(0), spans(1)), (vec![(10, 12)], vec![(55, 60)]));
        assert!(log.has_tokens() && !log.simulated);
    }
}
