//! Where the ideal speed-up of an optimized run was lost, in host-ns an iteration.
//!
//! With p hosts, T the length of the blocks and C the compute time, all summed over the blocks and divided by the
//! iterations, p * T_opt = C_base + sum over phases of (C_opt - C_base) + the six bubble parts, exactly. Without any of
//! the terms after the first, T_opt would be C_base / p: the ideal speed-up p over the baseline's own compute time.
//!
//! Rounding keeps the sum: term k is round(S_k / n) - round(S_(k-1) / n) with S the running sum and n the iterations.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use crate::Error;
use crate::comparison::Side;
use crate::metrics::bubble::{Host, PART_NAMES, Parts, of_window, stage_hosts};
use crate::metrics::{Output, RUN, TARGET, ratio};
use crate::model::Model;
use crate::operators::{Span, split_totals, union, within};
use crate::roofline::family;
use crate::windows::{Scope, blocks};

/// Schema of the result of [`losses`].
pub static TABLE: Table = Table {
    name: "losses",
    doc: "One term of p * T_opt = C_base + extra compute + bubble, or a reference beside it.",
    columns: &[
        RUN,
        TARGET,
        text(
            "part",
            "`baseline_compute`, `extra_compute`, a bubble part, or a reference: `total` (p * T_opt), `wall` (T_opt), `baseline_wall` (T_base), `baseline_idle` (hosts * T_base - C_base).",
        ),
        text("phase", "Phase of the compute; null for the others.").or_null(),
        text("kind", "`term`: the terms sum to `total`; `reference`: beside the sum."),
        int(
            "ns",
            "Host-ns an iteration; negative where the optimized run computes less. T_opt and T_base are wall ns.",
        ),
        float("share_ratio", "ns / total; null for references.").or_null(),
        text("limiter", "The roof that limits this phase of the optimized run; null elsewhere.").or_null(),
        text("meaning", "What the term stands for."),
    ],
};

struct Row {
    part: &'static str,
    phase: Option<String>,
    reference: bool,
    ns: i64,
    limiter: Option<&'static str>,
    meaning: &'static str,
}

/// Sums of one run over its blocks.
struct Sums {
    hosts: i64,
    iterations: i64,
    phases: Vec<i64>,
    parts: Parts,
}

/// Where the ideal speed-up was lost. No rows where a run has no blocks or no hosts.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub fn losses(baseline: Side, optimized: Side) -> Result<DataFrame, Error> {
    let rows = rows(baseline, optimized)?;
    let total = rows.iter().find(|row| row.part == "total").map_or(0, |row| row.ns);
    Output::new(optimized.input.run, optimized.input.target, &rows)
        .text("part", |row| Some(row.part))
        .text("phase", |row| row.phase.as_deref())
        .text("kind", |row| Some(if row.reference { "reference" } else { "term" }))
        .int("ns", |row| Some(row.ns))
        .float("share_ratio", |row| if row.reference { None } else { ratio(row.ns, total) })
        .text("limiter", |row| row.limiter)
        .text("meaning", |row| Some(row.meaning))
        .build(&TABLE)
}

fn rows(baseline: Side, optimized: Side) -> Result<Vec<Row>, Error> {
    let phases = phases(&[baseline.input.model()?, optimized.input.model()?]);
    let (base, opt) = (sums(baseline, &phases)?, sums(optimized, &phases)?);
    if base.parts.capacity == 0 || opt.parts.capacity == 0 {
        return Ok(Vec::new());
    }
    let base_compute = per_iteration(&base.phases, base.iterations);
    let all: Vec<i64> = opt.phases.iter().copied().chain(opt.parts.bubble).collect();
    let terms = per_iteration(&all, opt.iterations);
    let families = optimized.input.families()?;
    let mut rows = Vec::new();
    for (at, phase) in phases.iter().enumerate() {
        let meaning = "what the baseline computes";
        rows.push(Row { phase: phase.clone(), ..term("baseline_compute", base_compute[at], meaning) });
    }
    for (at, phase) in phases.iter().enumerate() {
        let limiter = family::phase_limiter(families, phase.as_deref());
        let extra = term("extra_compute", terms[at] - base_compute[at], extra_meaning(limiter, phase.as_deref()));
        rows.push(Row { phase: phase.clone(), limiter, ..extra });
    }
    let known =
        |name: &&str| optimized.input.model().is_ok_and(|model| model.has_dependencies) || !NEED_EDGES.contains(name);
    for (at, name) in PART_NAMES.iter().enumerate().filter(|(_, name)| known(name)) {
        rows.push(term(name, terms[phases.len() + at], BUBBLE_MEANINGS[at]));
    }
    rows.extend(references(&base, &opt));
    Ok(rows)
}

/// Bubble parts that are unknown without dependencies; their time is in `other`.
const NEED_EDGES: [&str; 3] = ["transfer", "host", "dependency"];

const BUBBLE_MEANINGS: [&str; 6] = [
    "the pipeline fills and drains once a block",
    "the other hosts compute less than the busiest",
    "the busiest host waits for an input transfer in flight",
    "the busiest host has its inputs and has not started",
    "the busiest host waits while a producer of its input computes",
    "the rest of the gaps of the busiest host",
];

fn term(part: &'static str, ns: i64, meaning: &'static str) -> Row {
    Row { part, phase: None, reference: false, ns, limiter: None, meaning }
}

/// Why the same work takes longer: by the measured limiter of the phase, else by what the phase usually is.
fn extra_meaning(limiter: Option<&str>, phase: Option<&str>) -> &'static str {
    match (limiter, phase) {
        (Some("memory"), _) | (None, Some("decode")) => "the hosts share the memory bandwidth",
        (Some("compute"), _) | (None, Some("prefill")) => {
            "small GEMMs: micro-batches and slices run below the speed of the whole"
        }
        _ => "the same work takes longer",
    }
}

fn references(base: &Sums, opt: &Sums) -> Vec<Row> {
    let reference =
        |part, sum, iterations, meaning| Row { reference: true, ..term(part, rounded(sum, iterations), meaning) };
    let base_idle = rounded(base.parts.capacity, base.iterations) - rounded(base.parts.compute, base.iterations);
    vec![
        reference("total", opt.parts.capacity, opt.iterations, "p * T_opt: the host time of the optimized run"),
        reference("wall", opt.parts.span, opt.iterations, "T_opt: block length / iterations"),
        reference("baseline_wall", base.parts.span, base.iterations, "T_base: block length / iterations"),
        Row { reference: true, ..term("baseline_idle", base_idle, "host time in which the baseline does not compute") },
    ]
    .into_iter()
    .map(|row| Row {
        meaning: if opt.hosts == 1 && row.part == "total" { "T_opt: one host" } else { row.meaning },
        ..row
    })
    .collect()
}

/// Every phase of the compute of both runs, in the order in which it first begins.
fn phases(models: &[&Model]) -> Vec<Option<String>> {
    let mut found: Vec<Option<String>> = Vec::new();
    for model in models {
        let mut rows: Vec<_> = stage_hosts(model).iter().flat_map(|host| host.rows.clone()).collect();
        rows.sort_by_key(|row| (model.activities[*row].span.0, *row));
        for row in rows {
            let phase = model.phase(&model.activities[row]);
            if !found.iter().any(|known| known.as_deref() == phase) {
                found.push(phase.map(str::to_owned));
            }
        }
    }
    found
}

fn sums(side: Side, phases: &[Option<String>]) -> Result<Sums, Error> {
    let model = side.input.model()?;
    let (hosts, windows) = (stage_hosts(model), blocks(model, Scope::All));
    let mut sums = Sums {
        hosts: hosts.len() as i64,
        iterations: (windows.len() as i64 * side.manifest.iterations as i64).max(1),
        phases: vec![0; phases.len()],
        parts: Parts::default(),
    };
    for window in &windows {
        sums.parts.add(&of_window(model, &hosts, *window));
    }
    for host in &hosts {
        for (sum, ns) in sums.phases.iter_mut().zip(phase_times(model, host, phases, &windows)) {
            *sum += ns;
        }
    }
    Ok(sums)
}

/// The compute time of one host by phase; where phases overlap on a host, an instant counts for the first.
fn phase_times(model: &Model, host: &Host, phases: &[Option<String>], windows: &[Span]) -> Vec<i64> {
    let of_phase = |phase: &Option<String>| {
        let rows = host.rows.iter().map(|row| &model.activities[*row]);
        union(&rows.filter(|row| model.phase(row) == phase.as_deref()).map(|row| row.span).collect::<Vec<_>>())
    };
    let sets: Vec<Vec<Span>> = phases.iter().map(of_phase).collect();
    let mut times = vec![0; phases.len()];
    for window in windows {
        let inside: Vec<Vec<Span>> = sets.iter().map(|set| within(set, *window)).collect();
        let classes: Vec<&[Span]> = inside.iter().map(Vec::as_slice).collect();
        let parts = split_totals(&within(&host.busy, *window), &classes);
        for (time, part) in times.iter_mut().zip(parts) {
            *time += part;
        }
    }
    times
}

/// Each value over `n`, rounded so that the results sum to the rounded sum.
fn per_iteration(values: &[i64], n: i64) -> Vec<i64> {
    let mut sum = 0;
    let mut each = Vec::with_capacity(values.len());
    for value in values {
        let before = rounded(sum, n);
        sum += value;
        each.push(rounded(sum, n) - before);
    }
    each
}

/// `sum / n` to the nearest integer, halves up.
fn rounded(sum: i64, n: i64) -> i64 {
    (2 * i128::from(sum) + i128::from(n)).div_euclid(2 * i128::from(n)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, manifest};
    use crate::metrics::Input;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};
    use proptest::prelude::*;

    fn lost(baseline: &Fixture, optimized: &Fixture, iterations: [u64; 2]) -> Vec<(String, Option<String>, i64)> {
        let tables = [baseline.tables(), optimized.tables()];
        let inputs =
            [("a", &tables[0]), ("b", &tables[1])].map(|(run, t)| Input::new(run, "target", t, Window::Default));
        let manifests = iterations.map(manifest);
        let side = |at: usize| Side { input: &inputs[at], manifest: &manifests[at] };
        let frame = losses(side(0), side(1)).unwrap();
        let names = texts(&frame, "part").unwrap().into_iter().map(Option::unwrap);
        let rows = names.zip(texts(&frame, "phase").unwrap()).zip(ints(&frame, "ns").unwrap());
        rows.map(|((name, phase), ns)| (name, phase, ns.unwrap())).collect()
    }

    #[test]
    fn the_terms_of_a_hand_written_pair() {
        // Baseline: prefill 100 and decode 40 in a block of 150. Optimized on two hosts in a block of 100: prefill
        // 0..60 on host 0, 60..100 on host 1 reading from it, decode 10..55 on host 1. Two iterations each.
        let baseline = Fixture::new()
            .kernel(0, 0, (0, 100))
            .work(0, "prefill", 0, 0, 8)
            .kernel(0, 0, (105, 145))
            .work(0, "decode", 0, 0, 1)
            .block((0, 150));
        let optimized = Fixture::new()
            .kernel(0, 0, (0, 60))
            .work(0, "prefill", 0, 0, 4)
            .kernel(1, 0, (10, 55))
            .work(0, "decode", 1, 0, 1)
            .kernel(1, 0, (60, 100))
            .work(0, "prefill", 1, 1, 4)
            .after(&[0])
            .block((0, 100));
        let rows = lost(&baseline, &optimized, [2, 2]);
        let value = |part: &str, phase: Option<&str>| {
            rows.iter().find(|row| row.0 == part && row.1.as_deref() == phase).map(|row| row.2)
        };
        assert_eq!(value("baseline_compute", Some("prefill")), Some(50));
        assert_eq!(value("baseline_compute", Some("decode")), Some(20));
        assert_eq!(value("extra_compute", Some("prefill")), Some(0));
        // 45 against 40 over two iterations is 2.5; the running sum rounds it to 3 (50 + 22.5 = 72.5, halves up).
        assert_eq!(value("extra_compute", Some("decode")), Some(3));
        // j = host 1 (85): fill 10, so 2 * 10; host 0 computes 25 less; the gap 55..60 waits for the producer.
        assert_eq!(value("fill_drain", None), Some(10));
        assert_eq!(value("imbalance", None), Some(12));
        assert_eq!(value("dependency", None), Some(5));
        assert_eq!(value("total", None), Some(100));
        assert_eq!((value("wall", None), value("baseline_wall", None)), (Some(50), Some(75)));
        assert_eq!(value("baseline_idle", None), Some(5));
    }

    #[test]
    fn runs_without_blocks_lose_nothing() {
        assert!(lost(&Fixture::new(), &Fixture::new(), [1, 1]).is_empty());
    }

    proptest! {
        #[test]
        fn the_terms_sum_to_the_total(
            base in prop::collection::vec((0..90_i64, 1..20_i64, any::<bool>()), 1..8),
            opt in prop::collection::vec((0..3_i64, 0..90_i64, 1..20_i64, any::<bool>()), 1..12),
            iterations in (1..7_u64, 1..7_u64),
        ) {
            let phase = |decode: bool| if decode { "decode" } else { "prefill" };
            let baseline = base.iter().fold(Fixture::new(), |fixture, (start, length, decode)| {
                fixture.kernel(0, 0, (*start, start + length)).work(0, phase(*decode), 0, 0, 8)
            });
            let optimized = opt.iter().fold(Fixture::new(), |fixture, (host, start, length, decode)| {
                fixture.kernel(*host, 0, (*start, start + length)).work(0, phase(*decode), *host, 0, 8)
            });
            let rows = lost(&baseline.block((0, 100)), &optimized.block((5, 97)), [iterations.0, iterations.1]);
            let references = ["total", "wall", "baseline_wall", "baseline_idle"];
            let terms: i64 = rows.iter().filter(|row| !references.contains(&row.0.as_str())).map(|row| row.2).sum();
            let total = rows.iter().find(|row| row.0 == "total").unwrap().2;
            prop_assert_eq!(terms, total);
        }
    }
}
