//! The requests that waited longest for their first token, and for what.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, int, text};

use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::requests::{Log, Request, Split};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "slowest_requests",
    doc: "The 100 requests of a pass with the longest time to first token, each split into what it waited for.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "slowest_requests",
    doc: "One request, the one with the longest TTFT first.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        int("rank", "Rank of the process."),
        text("request", "Identifier."),
        int("arrival_ns", "Arrival."),
        int("ttft_ns", "First token - arrival: the sum of the five parts."),
        int("ttft_queue_ns", "Part spent queued; null where the log has no stage of it, as all parts.").or_null(),
        int("ttft_prefill_ns", "Part in which the prompt was computed.").or_null(),
        int("ttft_kv_ns", "Part in which its KV moved.").or_null(),
        int("ttft_decode_ns", "Part that a decode took.").or_null(),
        int("ttft_host_ns", "The rest.").or_null(),
        text("longest_part", "`queue`, `prefill`, `kv`, `decode` or `host`.").or_null(),
        int("tpot_ns", "Time per output token after the first.").or_null(),
        int("e2e_ns", "From arrival to the last token.").or_null(),
        int("prompt_tokens", "Prompt length.").or_null(),
        int("cached_tokens", "Prompt tokens found in a prefix cache.").or_null(),
        int("output_tokens", "Output length.").or_null(),
        text("tier", "Service tier.").or_null(),
        int("prefill_device", "Device that computed its prompt.").or_null(),
        int("predicted_ttft_ns", "TTFT that the router predicted.").or_null(),
        boolean("slo_met", "Whether it met every SLO; null without one.").or_null(),
    ],
};

/// Requests of a pass.
const MOST: usize = 100;

struct Row<'l> {
    log: &'l Log,
    request: &'l Request,
    ttft: i64,
    split: Option<Split>,
}

impl Row<'_> {
    fn longest(&self) -> Option<&'static str> {
        let parts = self.split?.parts();
        let names = ["queue", "prefill", "kv", "decode", "host"];
        // Of equal parts the first.
        (0..parts.len()).rev().max_by_key(|at| parts[*at]).map(|at| names[at])
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        let mut slowest: Vec<(&Request, i64)> =
            log.requests.iter().filter_map(|request| Some((request, request.ttft()?))).collect();
        // Stable: of equal ones the first that arrived.
        slowest.sort_by_key(|(_, ttft)| std::cmp::Reverse(*ttft));
        slowest.truncate(MOST);
        rows.extend(slowest.into_iter().map(|(request, ttft)| Row { log, request, ttft, split: log.split(request) }));
    }
    let part = |at: usize| move |row: &Row| Some(row.split?.parts()[at]);
    Output::new(input.run, input.target, &rows)
        .text("pass", |row| Some(&row.log.pass))
        .bool("simulated", |row| Some(row.log.simulated))
        .int("rank", |row| Some(row.request.rank))
        .text("request", |row| row.log.text(Some(row.request.name)))
        .int("arrival_ns", |row| Some(row.request.arrival))
        .int("ttft_ns", |row| Some(row.ttft))
        .int("ttft_queue_ns", part(0))
        .int("ttft_prefill_ns", part(1))
        .int("ttft_kv_ns", part(2))
        .int("ttft_decode_ns", part(3))
        .int("ttft_host_ns", part(4))
        .text("longest_part", Row::longest)
        .int("tpot_ns", |row| row.request.tpot())
        .int("e2e_ns", |row| row.request.e2e())
        .int("prompt_tokens", |row| row.request.prompt_tokens)
        .int("cached_tokens", |row| row.request.cached_tokens)
        .int("output_tokens", |row| row.request.output_tokens)
        .text("tier", |row| row.log.text(row.request.tier))
        .int("prefill_device", |row| row.request.prefill_device)
        .int("predicted_ttft_ns", |row| row.request.predicted_ttft)
        .bool("slo_met", |row| row.request.slo.is_stated().then(|| row.request.meets()))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};

    #[test]
    fn the_slowest_stands_first_with_what_it_waited_for() {
        let fixture = Fixture::new()
            .request(0, Some(10), Some(20), 2)
            .request(5, Some(45), Some(60), 2)
            .event("queued", None, (5, 20))
            .event("prefill", None, (20, 40))
            .request(0, None, Some(99), 0)
            .status("failed");
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(texts(&frame, "request").unwrap(), ["r1", "r0"].map(|name| Some(name.to_owned())));
        assert_eq!(ints(&frame, "ttft_ns").unwrap(), [Some(40), Some(10)]);
        let parts = ["queue", "prefill", "kv", "decode", "host"]
            .map(|part| ints(&frame, &format!("ttft_{part}_ns")).unwrap()[0]);
        assert_eq!(parts, [15, 20, 0, 0, 5].map(Some));
        assert_eq!(texts(&frame, "longest_part").unwrap(), [Some("prefill".to_owned()), None]);
    }
}
