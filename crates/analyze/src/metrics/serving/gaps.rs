//! Gaps between tokens.

use proftool_trace::tables;

use crate::Error;
use crate::metrics::Input;
use crate::model::Rows;
use crate::requests::{Latencies, Log, Request, Status};

/// Gaps between consecutive tokens of the requests that came out whole.
pub(crate) fn token_gaps<'l>(log: &'l Log, requests: &'l [&'l Request]) -> impl Iterator<Item = i64> + 'l {
    let of = |request: &&'l Request| log.tokens(request).windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    requests.iter().filter(|request| request.status == Status::Ok).flat_map(of)
}

/// The batch steps of each device in which requests decode, weighted by their number: a step that begins where another
/// ended (or before) lasts from that end, as tokens come out at the ends of steps; after a pause it lasts from its own
/// start. None where the pass has no such steps.
pub(super) fn step_gaps(input: &Input, pass: &str) -> Result<Option<Latencies>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::STEPS), pass)?;
    let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
    let (starts, ends, batches) = (rows.ints("start_ns")?, rows.ints("end_ns")?, rows.optional_ints("decode_batch")?);
    let mut steps: Vec<_> = (0..starts.len()).map(|at| (ranks[at], devices[at], starts[at], ends[at], at)).collect();
    steps.sort_unstable();
    let mut gaps = Vec::new();
    let mut before: Option<(i64, i64, i64)> = None;
    for (rank, device, start, end, at) in steps {
        let follows = before.filter(|before| (before.0, before.1) == (rank, device) && before.2 >= start);
        let from = follows.map_or(start, |before| before.2);
        let batch = batches[at].and_then(|batch| u64::try_from(batch).ok()).unwrap_or(0);
        if batch > 0 && end > from {
            gaps.push((end.saturating_sub(from), batch));
        }
        before = Some((rank, device, follows.map_or(end, |before| before.2.max(end))));
    }
    Ok((!gaps.is_empty()).then(|| Latencies::weighted(gaps)))
}
