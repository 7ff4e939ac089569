//! The report's text.

use std::fmt::Write as _;

use proftool_serving::evaluation::tune::RANGES;
use proftool_serving::evaluation::{Cell, Difference, Verdict};

use crate::tables::{at_load, head, mean, number, p99_ms, row, verdict};
use crate::{BUDGET, Found, LOADS, OURS, statement};

type Of = fn(&Cell) -> Option<Difference>;

/// The two comparisons.
const METRICS: [(&str, Of); 2] = [("p99 TTFT", |cell| cell.log_p99_ttft), ("goodput per dollar", |cell| cell.goodput)];

/// Everything but the ablation and the settling.
pub(crate) fn text(all: &[Found], seeds: u64) -> String {
    let mut text = intro(seeds);
    summary(&mut text, all);
    cases(&mut text, all);
    for (at, (name, _)) in METRICS.iter().enumerate() {
        let _ = writeln!(text, "\n## Every policy: {name}\n");
        text.push_str(if at == 0 { P99 } else { GOODPUT });
        for found in all {
            table(&mut text, found, at);
        }
    }
    capacity(&mut text, all);
    text.push_str(&statement::section(all));
    knobs(&mut text, all);
    text
}

const P99: &str = "Geometric mean over the seeds of the 99th percentile of TTFT in ms; then by how many percent ours is above (+) or below (-) it on the same seed, with its 95 % interval.\n";
const GOODPUT: &str = "Requests that met every SLO for a dollar (all devices are paid from the first arrival to the last end), mean over the seeds; then by how many percent ours is above (+) or below (-) it, with its 95 % interval.\n";

fn intro(seeds: u64) -> String {
    format!(
        "# Router policies compared\n\n\
        **All times are simulated** (docs/serving.md says what is modelled). Made by\n\n\
        ```\ncargo run --release -p proftool-serving --example compare -- TRACES scripts/benchmark/policies\n```\n\n\
        where TRACES holds `conversation_trace.jsonl` and `synthetic_trace.jsonl` (Mooncake, FAST 2025) and `AzureLLMInferenceTrace_conv.csv` (Azure 2023). The same command gives \
        the same bytes, on any number of threads. The numbers are in `policies.csv`.\n\n\
        - **Loads**: 0.5, 0.8 and 1.0 of the largest capacity that any policy has at its default knobs: the highest rate at which 90 % of the requests meet every SLO.\n\
        - **Knobs**: each policy that has any gets {} settings (its defaults, and draws from the ranges below) on {} seeds of the first half at load 0.8; of those with at least 99 % of the \
        policy's best goodput the one with the lowest p99 TTFT is taken, unless its gain over the defaults may be chance (its interval, as below, holds 0). Results are from the second half alone.\n\
        - **Seeds**: {seeds}, of the second half. A recorded trace is drawn again: sessions (requests that share a prefix beyond the system prompt; in Azure's trace each request is one) with replacement, each with its own times, \
        blocks of copies renamed, every request moved by up to 3 s (Mooncake conversation: the resolution of its times) or 1 s. The lab's requests are made up anew.\n\
        - **Verdicts**: the 95 % bootstrap interval of the mean paired difference. *better*: it lies on our side of 0; *tied*: it holds 0; *worse*: it lies on theirs. No correction for many comparisons: of \
        a hundred ties some five read as a difference.\n",
        BUDGET.settings, BUDGET.seeds
    )
}

/// How often ours is better, tied and worse; each case where it is worse.
fn summary(text: &mut String, all: &[Found]) {
    let _ = writeln!(text, "\n## `{OURS}` against every other policy\n");
    head(
        text,
        &["policy", "p99 TTFT: better", "tied", "worse", "goodput per dollar: better", "tied", "worse"]
            .map(str::to_owned),
    );
    let cells: Vec<(&str, &Cell)> =
        all.iter().flat_map(|found| found.comparison.cells.iter().map(|cell| (found.case.name, cell))).collect();
    let policies: Vec<&str> =
        all.first().map_or(Vec::new(), |found| found.entries.iter().map(|entry| entry.maker.name).collect());
    for policy in policies.into_iter().filter(|&policy| policy != OURS) {
        let count = |of: Of, verdict: Verdict| {
            let own = cells.iter().filter(|(_, cell)| cell.policy == policy);
            own.filter(|(_, cell)| of(cell).is_some_and(|found| found.verdict() == verdict)).count().to_string()
        };
        let counts = METRICS
            .iter()
            .flat_map(|&(_, of)| [Verdict::Better, Verdict::Tied, Verdict::Worse].map(|verdict| count(of, verdict)));
        row(text, std::iter::once(policy.to_owned()).chain(counts));
    }
    let _ = writeln!(text, "\nWhere ours is worse:\n");
    let mut any = false;
    for (metric, (name, of)) in METRICS.iter().enumerate() {
        for (case, cell) in
            cells.iter().filter(|(_, cell)| of(cell).is_some_and(|found| found.verdict() == Verdict::Worse))
        {
            any = true;
            let _ = writeln!(
                text,
                "- {name}, {case}, {:.2} times the rate: against `{}` {} %",
                cell.load,
                cell.policy,
                verdict(of(cell), metric == 0, false)
            );
        }
    }
    if !any {
        text.push_str("- nowhere\n");
    }
}

fn cases(text: &mut String, all: &[Found]) {
    let _ = writeln!(text, "\n## Cases\n");
    head(
        text,
        &[
            "case",
            "cluster",
            "SLO: TTFT, TPOT",
            "requests/s at load 1.0",
            "factor on the own rate",
            "capacity of",
            "round_robin's capacity",
        ]
        .map(str::to_owned),
    );
    for found in all {
        let mut kinds: Vec<(String, usize, f64)> = Vec::new();
        for device in &found.case.cluster.devices {
            let kind = device.name.rsplit_once('_').map_or(device.name.as_str(), |(kind, _)| kind);
            let kind = if kind.starts_with(device.role.name()) {
                kind.replace('_', " ")
            } else {
                format!("{} {kind}", device.role.name())
            };
            match kinds.iter_mut().find(|(known, ..)| *known == kind) {
                Some((_, count, _)) => *count += 1,
                None => kinds.push((kind, 1, device.cost_per_hour)),
            }
        }
        let cluster: Vec<String> =
            kinds.iter().map(|(kind, count, dollars)| format!("{count} {kind} ({dollars:.2} $/h)")).collect();
        let slo = found.case.slo;
        row(
            text,
            [
                found.case.name.to_owned(),
                cluster.join(", "),
                format!("{} ms, {} ms", slo.ttft_ns / 1_000_000, slo.tpot_ns / 1_000_000),
                number(found.rates.best * found.rates.own_per_s),
                number(found.rates.best),
                format!("`{}`", found.rates.best_policy),
                found.rates.round_robin.map_or("none".to_owned(), |factor| {
                    format!("{} requests/s", number(factor * found.rates.own_per_s))
                }),
            ],
        );
    }
    text.push_str("\nMooncake's cases serve llama-3.1-70b on four devices a replica (200 GB/s between replicas), Azure's qwen2.5-32b, the lab's llama-3.1-8b. \
        The lab's bursts are four times the rate in a fifth of the seconds; with tenants the first 512 tokens of a prompt are one of 16 tenants'. Prices are assumptions.\n");
}

fn table(text: &mut String, found: &Found, metric: usize) {
    let (_, of) = METRICS[metric];
    let _ = writeln!(text, "\n### {}\n", found.case.name);
    let loads = LOADS.iter().flat_map(|load| [format!("load {load}"), "ours %".to_owned()]);
    head(text, &std::iter::once("policy".to_owned()).chain(loads).collect::<Vec<_>>());
    for (at, entry) in found.entries.iter().enumerate() {
        let cells = (0..LOADS.len()).flat_map(|load| {
            let cell = &at_load(found, load)[at];
            let value = if metric == 0 {
                p99_ms(&cell.scores)
            } else {
                Some(mean(&cell.scores, |score| score.goodput_per_dollar))
            };
            [value.map_or("none".to_owned(), number), verdict(of(cell), metric == 0, cell.policy == OURS)]
        });
        row(text, std::iter::once(format!("`{}`", entry.maker.name)).chain(cells));
    }
}

fn capacity(text: &mut String, all: &[Found]) {
    let _ = writeln!(
        text,
        "\n## Capacity\n\nThe highest rate, in requests/s, at which 90 % of the requests meet every SLO: on the second half as it was recorded (the lab's: its first seed), chosen knobs, to 1 %, the first failure from below.\n"
    );
    let names = all.iter().map(|found| found.case.name.to_owned());
    head(text, &std::iter::once("policy".to_owned()).chain(names).collect::<Vec<_>>());
    let Some(first) = all.first() else { return };
    for (at, entry) in first.entries.iter().enumerate() {
        let rates = all.iter().map(|found| found.capacities[at].map_or("none".to_owned(), number));
        row(text, std::iter::once(format!("`{}`", entry.maker.name)).chain(rates));
    }
}

fn knobs(text: &mut String, all: &[Found]) {
    let _ = writeln!(
        text,
        "\n## Knobs\n\nRanges from which they were drawn, and what was chosen; an empty field is the default.\n"
    );
    let names = all.iter().map(|found| found.case.name.to_owned());
    head(text, &["knob".to_owned(), "range".to_owned()].into_iter().chain(names).collect::<Vec<_>>());
    for range in RANGES {
        let (least, most) = range.range;
        let chosen = all.iter().map(|found| {
            let entry = found.entries.iter().find(|entry| entry.maker.name == range.policy);
            entry.and_then(|entry| entry.knobs.get(range.knob)).map_or(String::new(), ToString::to_string)
        });
        let how = if range.logarithmic { " (log)" } else { "" };
        row(
            text,
            [format!("`{}` {}", range.policy, range.knob), format!("{least} to {most}{how}")].into_iter().chain(chosen),
        );
    }
}
