//! Which run is faster, by how much, and whether that is significant.

use proftool_trace::frame::{ints, texts};
use proftool_trace::tables::{ACTIVITIES, REQUESTS};
use serde::Serialize;

use super::Built;
use crate::error::Error;
use crate::format;
use crate::run::{Report, Row, Run};
use crate::views::serving;

#[derive(Serialize)]
struct Values {
    claim: String,
    comparison: Option<Comparison>,
    order: Option<String>,
    runs: Vec<Line>,
    contended: Option<String>,
}

#[derive(Serialize)]
struct Comparison {
    ratio: String,
    low: String,
    high: String,
    p_value: String,
    blocks: String,
    confidence: String,
    steady: String,
    baseline: String,
    optimized: String,
}

#[derive(Serialize)]
struct Line {
    label: String,
    iterations: String,
    median: String,
    range: String,
    fill: String,
    cpu: String,
    ideal_ratio: String,
    contention: String,
}

/// Wall over CPU time of the compute queues above which a run counts as disturbed.
const CONTENDED: f64 = 1.05;

pub(super) fn build(report: &Report) -> Result<Option<Built>, Error> {
    let unverified = report.unverified();
    if let Some(served) = served(report) {
        let claim = unverified.map_or_else(|| served.clone(), |unverified| format!("{unverified} {served}"));
        let values = Values { claim, comparison: None, order: None, runs: Vec::new(), contended: None };
        return Built::new("headline", &values, Vec::new()).map(Some);
    }
    // What compares wrong outputs is no comparison.
    let row = report.of_pair("comparison").first().filter(|_| unverified.is_none());
    let values = Values {
        claim: unverified.unwrap_or_else(|| claim(report, row)),
        comparison: row.map(comparison),
        order: report
            .subject()
            .and_then(|run| run.artifact.manifest.pair.as_ref())
            .map(|pair| format::code(&pair.order)),
        runs: report.runs.iter().filter(|run| !run.artifact.manifest.is_imported()).map(|run| line(run, row)).collect(),
        contended: contended(report),
    };
    Built::new("headline", &values, Vec::new()).map(Some)
}

/// What users felt, of runs that served requests instead of iterating.
fn served(report: &Report) -> Option<String> {
    let row = |run: &Run| serving::rows(run, "serving").first().map(|row| (*row).clone());
    let rows: Vec<Row> = report.runs.iter().map(row).collect::<Option<_>>()?;
    let iterates = |run: &Run| !run.artifact.manifest.results.iteration_ns.is_empty();
    if rows.iter().all(|row| row.int("ttft_p50_ns").is_none())
        || report.runs.iter().any(|run| iterates(run) || run.tables.get(&ACTIVITIES).height() > 0)
    {
        return None;
    }
    let each = |show: &dyn Fn(&Row) -> String| rows.iter().map(show).collect::<Vec<_>>().join(" to ");
    let time = |column: &'static str| each(&move |row| format::or_absent(row.int(column), format::duration));
    let rate = |column: &'static str| each(&move |row| format::or_absent(row.float(column), format::significant));
    let mut parts = vec![
        format!("TTFT median {}, 99th percentile {}", time("ttft_p50_ns"), time("ttft_p99_ns")),
        format!("TPOT median {}", time("tpot_p50_ns")),
        format!("{} output tokens/s", rate("output_tokens_per_s")),
    ];
    if rows.iter().all(|row| row.float("goodput_requests_per_s").is_some()) {
        parts.push(format!("goodput {} requests/s", rate("goodput_requests_per_s")));
    }
    let lost = |row: &Row| ["rejected", "failed", "aborted"].iter().filter_map(|status| row.int(status)).sum::<i64>();
    if rows.iter().any(|row| lost(row) > 0) {
        parts.push(format!("requests not served {}", each(&|row| format::count(lost(row)))));
    }
    let name = report.subject().map_or_else(String::new, |run| format::code(&run.artifact.manifest.target.name));
    let time = if serving::is_simulated(report) { ", simulated" } else { "" };
    let requests = each(&|row| format::or_absent(row.int("requests"), format::count));
    let about = if report.is_pair() { "baseline to optimized".to_owned() } else { format!("{requests} requests") };
    let ends = match same_requests(report) {
        _ if !report.is_pair() => "A single run carries no comparison.",
        Some(true) => "One run a side on the same requests: what was observed, no claim about others.",
        Some(false) => "**The two runs served different requests**: nothing here says which of them is better.",
        None => "One run a side: what was observed, no claim about others.",
    };
    Some(format!("{name}{time}, {about}: {}. {ends}", parts.join("; ")))
}

/// Name of a request and length of its prompt.
type Asked = (Option<String>, Option<i64>);

/// Whether both runs of a pair were asked the same; none where a run has no table of its requests.
fn same_requests(report: &Report) -> Option<bool> {
    let asked = |run: &Run| -> Option<Vec<Asked>> {
        let frame = run.tables.get(&REQUESTS);
        let (names, prompts) = (texts(frame, "request").ok()?, ints(frame, "prompt_tokens").ok()?);
        let asked: Vec<Asked> = names.into_iter().zip(prompts).collect();
        (!asked.is_empty()).then_some(asked)
    };
    let [a, b] = report.runs.as_slice() else { return None };
    Some(is_same(asked(a)?, asked(b)?))
}

/// Requests of the same names with prompts of the same lengths, as far as both sides know them.
fn is_same(mut a: Vec<Asked>, mut b: Vec<Asked>) -> bool {
    a.sort_unstable();
    b.sort_unstable();
    let agree = |(a, b): (&Asked, &Asked)| a.0 == b.0 && a.1.zip(b.1).is_none_or(|(a, b)| a == b);
    a.len() == b.len() && a.iter().zip(&b).all(agree)
}

/// One sentence that a reader can quote.
fn claim(report: &Report, row: Option<&Row>) -> String {
    let Some(subject) = report.subject() else { return String::new() };
    if subject.artifact.manifest.is_imported() {
        return imported(subject);
    }
    if !report.is_pair() {
        let median = format::or_absent(median(&subject.artifact.manifest.results.iteration_ns), format::duration);
        let name = format::code(&subject.artifact.manifest.target.name);
        return format!("{name}: median iteration {median}. A single run carries no comparison.");
    }
    let Some(row) = row else {
        return format!("**No claim**: {}.", subject.missing("comparison").unwrap_or_default());
    };
    let ratio = format::or_absent(row.float("speedup_ratio"), format::factor);
    let reason = row.text("reason").map_or_else(String::new, |reason| format!(" ({})", format::plain(reason)));
    match row.text("verdict").unwrap_or("no claim") {
        verdict @ ("faster" | "slower") => {
            format!("The optimized run is **{verdict}: {ratio} the throughput of the baseline**{reason}.")
        }
        "no claim" => format!("**No claim**{reason}. The observed throughput ratio is {ratio}."),
        other => format!("Verdict: **{}**{reason}. The observed throughput ratio is {ratio}.", format::plain(other)),
    }
}

/// Devices that the headline of an imported capture names.
const MOST_DEVICES: usize = 8;

/// How busy the devices of an imported capture were; from the metric `idle`.
fn imported(run: &Run) -> String {
    let name = format::code(&run.artifact.manifest.target.name);
    let worked = |row: &&Row| row.int("queue").is_none() && row.int("span_ns").is_some_and(|span| span > 0);
    let of_devices = run.metric("idle").iter().filter(worked);
    let devices: Vec<String> = of_devices.map(busy).collect();
    match devices.as_slice() {
        [] => format!("{name}, imported: {}.", counted(run)),
        all => {
            let more = all.len().saturating_sub(MOST_DEVICES);
            let more = if more > 0 { format!("; {more} more devices") } else { String::new() };
            let shown: Vec<String> = all.iter().take(MOST_DEVICES).cloned().collect();
            format!("{name}, an imported capture: {}{more}.", shown.join("; "))
        }
    }
}

/// What a file without a timeline holds.
fn counted(run: &Run) -> String {
    let tables = &run.artifact.manifest.tables;
    let rows = |name: &str| tables.iter().find(|table| table.name == name).map_or(0, |table| table.rows as i64);
    let kinds = [("requests", "requests"), ("launches", "profiled launches"), ("counters", "counter values")];
    let found: Vec<String> = kinds
        .into_iter()
        .filter(|(table, _)| rows(table) > 0)
        .map(|(table, what)| format!("{} {what}", format::count(rows(table))))
        .collect();
    if found.is_empty() { "no device work".to_owned() } else { format!("{}, no timeline", found.join(", ")) }
}

fn busy(row: &Row) -> String {
    let number = |name: &str| row.int(name).unwrap_or_default();
    let span = number("span_ns");
    let share =
        if span > 0 { format::percent(number("busy_ns") as f64 / span as f64) } else { format::ABSENT.to_owned() };
    format!("device {} of rank {} busy {share} of {}", number("device"), number("rank"), format::duration(span))
}

fn comparison(row: &Row) -> Comparison {
    let time = |name: &str| format::or_absent(row.float(name), |ns| format::duration(ns.round() as i64));
    let factor = |name: &str| format::or_absent(row.float(name), format::factor);
    let blocks = |name: &str| format::or_absent(row.int(name), format::count);
    Comparison {
        ratio: factor("speedup_ratio"),
        confidence: format::or_absent(row.float("confidence_ratio"), |ratio| format!("{:.0} %", ratio * 100.0)),
        low: factor("speedup_low_ratio"),
        high: factor("speedup_high_ratio"),
        steady: factor("iteration_speedup_ratio"),
        p_value: format::or_absent(row.float("p_value"), format::small),
        blocks: format!("{} and {}", blocks("baseline_blocks"), blocks("optimized_blocks")),
        baseline: time("baseline_ns"),
        optimized: time("optimized_ns"),
    }
}

fn line(run: &Run, row: Option<&Row>) -> Line {
    let results = &run.artifact.manifest.results;
    let times = &results.iteration_ns;
    let range = times.iter().min().zip(times.iter().max());
    let contention = &results.contention_ratio;
    let worst = contention.iter().copied().fold(f64::NAN, f64::max);
    Line {
        label: format::plain(run.label()),
        iterations: format!("{} in {} blocks", times.len(), run.artifact.manifest.blocks),
        median: format::or_absent(median(times), format::duration),
        range: format::or_absent(range, |(low, high)| {
            format!("{} to {}", format::duration(*low), format::duration(*high))
        }),
        fill: format::or_absent(median(&results.fill_ns), format::duration),
        cpu: format::or_absent(median(&results.cpu_ns), format::duration),
        ideal_ratio: ideal_ratio(run, row),
        contention: if contention.is_empty() { format::ABSENT.to_owned() } else { format::significant(worst) },
    }
}

/// T_ideal / T: as the comparison states it (the median over blocks), else from the bubble (the ratio of the sums).
fn ideal_ratio(run: &Run, row: Option<&Row>) -> String {
    let stated = row.and_then(|row| row.float(&format!("{}_ideal_ratio", run.label())));
    let bubble = run.metric("bubble").first();
    let summed = bubble.and_then(|row| {
        let span = row.int("span_ns").filter(|span| *span > 0)?;
        Some(row.int("ideal_makespan_ns")? as f64 / span as f64)
    });
    format::or_absent(stated.or(summed), format::percent)
}

/// Named loudly: a disturbed machine makes every absolute number too slow.
fn contended(report: &Report) -> Option<String> {
    let blocks = |run: &Run| {
        let ratios = &run.artifact.manifest.results.contention_ratio;
        let disturbed = ratios.iter().filter(|ratio| **ratio > CONTENDED).count();
        (disturbed > 0).then(|| format!("{} of {} blocks of {}", disturbed, ratios.len(), format::plain(run.label())))
    };
    let found: Vec<String> = report.runs.iter().filter_map(blocks).collect();
    (!found.is_empty()).then(|| found.join(" and "))
}

/// The median, the lower of the middle two averaged with the upper.
fn median(values: &[i64]) -> Option<i64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(i64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_compared_on_the_same_requests_or_said_not_to_be() {
        let asked = |name: &str, prompt| (Some(name.to_owned()), prompt);
        let one = || vec![asked("a", Some(5)), asked("b", Some(7))];
        assert!(is_same(one(), vec![asked("b", None), asked("a", Some(5))]));
        assert!(!is_same(one(), vec![asked("a", Some(5)), asked("b", Some(8))]));
        assert!(!is_same(one(), vec![asked("a", Some(5)), asked("c", Some(7))]));
        assert!(!is_same(one(), one().into_iter().take(1).collect()));
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!([median(&[4, 1, 3]), median(&[1, 2, 4, 9]), median(&[])], [Some(3), Some(3), None]);
    }
}
