//! The report.

use std::fmt::Write;

use proftool_serving::engines::{Decoded, Fitted, Prefilled};

use crate::measure::AtLoad;

/// What medians may be off by.
const ALLOWED: f64 = 0.15;

/// The machine's load averages.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" and ")
}

/// How far off a prediction is.
fn error(predicted: f64, measured: f64) -> f64 {
    if measured > 0.0 { predicted / measured - 1.0 } else { f64::INFINITY }
}

/// All of it in Markdown. Times of engines are measured, those of the simulator say so.
pub(crate) fn markdown(
    command: &str,
    (slots, context): (u32, u32),
    (prefilled, decoded): (&[Prefilled], &[Decoded]),
    fitted: &Fitted,
    loads: &[AtLoad],
    load: &str,
) -> String {
    let mut text = String::new();
    let cost = &fitted.steps.compute;
    let name = command.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word).trim_matches('\''));
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "Engines: two of `{}`, {slots} requests and {context} tokens each.",
        name.collect::<Vec<_>>().join(" ")
    );
    let _ = writeln!(
        text,
        "Machine: load averages of 1 and 5 minutes {load} before it began, {} at its end.\n",
        load_average()
    );
    let _ = writeln!(text, "## Fitted\n\n| part of a step | time |\n|---|--:|");
    for (part, ns) in [
        ("every step", fitted.steps.base_ns),
        ("a prompt token", cost.prefill_token),
        ("a pair of a prompt token and one before it", cost.prefill_pair),
        ("a request that decodes", cost.sequence),
        ("a token in the contexts of those", cost.kv_token),
        ("a request beside its steps (HTTP, tokenisation, client)", fitted.overhead_ns),
    ] {
        let _ = writeln!(text, "| {part} | {:.3} us |", ns / 1e3);
    }
    let _ = writeln!(
        text,
        "\nFrom the medians of {} lengths of prompts alone and of {} batches that decoded together; median error of what was fitted {:.1} % of TTFT, {:.1} % of TPOT.\n",
        prefilled.len(),
        decoded.len(),
        fitted.ttft_error * 100.0,
        fitted.tpot_error * 100.0
    );
    measured(&mut text, prefilled, decoded);
    predictions(&mut text, loads);
    text
}

/// What was fitted.
fn measured(text: &mut String, prefilled: &[Prefilled], decoded: &[Decoded]) {
    let _ = writeln!(
        text,
        "| prompt alone | TTFT p50 | | decoding together | contexts | TPOT p50 |\n|--:|--:|---|--:|--:|--:|"
    );
    for at in 0..prefilled.len().max(decoded.len()) {
        let prompt = prefilled
            .get(at)
            .map_or_else(|| " | ".to_owned(), |row| format!("{} tokens | {:.2} ms", row.tokens, row.ttft_ns / 1e6));
        let batch = decoded.get(at).map_or_else(
            || " | | ".to_owned(),
            |row| format!("{} | {:.0} tokens | {:.2} ms", row.sequences, row.kv_tokens, row.tpot_ns / 1e6),
        );
        let _ = writeln!(text, "| {prompt} | | {batch} |");
    }
    let _ = writeln!(text);
}

fn predictions(text: &mut String, loads: &[AtLoad]) {
    let _ = writeln!(
        text,
        "## Other requests, predicted\n\n`factors`: how many times as long prompts and decoding take at that load as when they were fitted, from other requests again, run in between.\n"
    );
    let _ = writeln!(
        text,
        "| policy | load | requests/s | factors | requests | TTFT p50 measured | simulated | off by | TPOT p50 measured | simulated | off by | failed |"
    );
    let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut worst = [0.0_f64; 2];
    for (at, row) in loads.iter().flat_map(|at| at.compared.iter().map(move |row| (at, row))) {
        let ([ttft, tpot], [ttft_simulated, tpot_simulated]) = (row.measured.ms(), row.simulated.ms());
        let off = [error(ttft_simulated, ttft), error(tpot_simulated, tpot)];
        worst = [worst[0].max(off[0].abs()), worst[1].max(off[1].abs())];
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.2} | {:.2}, {:.2} | {} | {ttft:.1} ms | {ttft_simulated:.1} ms | {:+.1} % | {tpot:.2} ms | {tpot_simulated:.2} ms | {:+.1} % | {} |",
            row.policy,
            at.load,
            at.per_s,
            at.factors[0],
            at.factors[1],
            row.measured.ttft.len(),
            off[0] * 100.0,
            off[1] * 100.0,
            row.measured.failed
        );
    }
    let holds = |off: f64| if off <= ALLOWED { "holds" } else { "does not hold" };
    let _ = writeln!(
        text,
        "\nWithin 15 %: TTFT {} (largest {:.1} %), TPOT {} (largest {:.1} %).",
        holds(worst[0]),
        worst[0] * 100.0,
        holds(worst[1]),
        worst[1] * 100.0
    );
}
