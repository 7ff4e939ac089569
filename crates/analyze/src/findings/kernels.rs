//! Kernels: many small ones, one that dominates, and the one whose absence would help most.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::sheet::{Line, Place, Sheet};
use super::waiting::spans;
use super::wording::{capital, count, percent, share, short, time};
use super::{Finding, HIGH_PERCENT, LEAST_PERCENT, Rule, Severity, is_share};
use crate::Error;
use crate::classes::{Class, Kind};
use crate::metrics::{Input, classes, critical_path, graph_launches, kernel_durations, kernels, launch};

/// Kernels shorter than this take about as long as their launch.
const SHORT_NS: i64 = 5_000;

/// Share of the kernels from which the short ones set the rhythm.
const SHORT_RATIO: f64 = 1.0 / 3.0;

/// Kernels from which a histogram says something.
const LEAST_KERNELS: i64 = 100;

/// Share of the time of all kernels from which one dominates: nothing else can give as much.
const DOMINANT: f64 = 0.5;

/// What a kernel must save if it took no time before it is named: a tenth of the window.
const SAVED_PERCENT: i128 = 10;

/// Share of the operations with a launching call below which the critical path is guesswork.
const PATH_COVERAGE: f64 = 0.9;

pub(super) const SMALL_KERNELS: Rule = Rule {
    code: "small_kernels",
    doc: "A third of the kernels take less than 5 us, and the device waits for launches.",
    apply: small_kernels,
};

pub(super) const ONE_KERNEL_DOMINATES: Rule = Rule {
    code: "one_kernel_dominates",
    doc: "Half of the time of all kernels is in one compute kernel, and it fills a fifth of the window.",
    apply: one_kernel_dominates,
};

pub(super) const CRITICAL_PATH_KERNEL: Rule = Rule {
    code: "critical_path_kernel",
    doc: "Without this kernel the work would end a tenth of the window earlier, more than without any other.",
    apply: critical_path_kernel,
};

pub(super) const GRAPH_GAPS: Rule =
    Rule { code: "graph_gaps", doc: "The device does nothing between graph launches.", apply: graph_gaps };

pub(super) const UNCLASSIFIED_COMM: Rule = Rule {
    code: "unclassified_comm",
    doc: "Kernels that no rule knows are named as communication: they count as compute.",
    apply: unclassified_comm,
};

fn small_kernels(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, launches) = (Sheet::of(input, &kernel_durations::METRIC)?, Sheet::of(input, &launch::METRIC)?);
    let all = launches.lines().filter(|line| line.is_null("name"));
    let launches: BTreeMap<Place, Line> = all.map(|line| (line.place(), line)).collect();
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is("kind", "below") && line.int("to_ns") == Some(SHORT_NS)) {
        let ratio = line.float("kernels_ratio").filter(|ratio| *ratio >= SHORT_RATIO);
        let kernels = line.int_or_zero("kernels");
        let (Some(ratio), Some(launch)) = (ratio, launches.get(&line.place())) else { continue };
        let (span, Some(bound)) = (launch.int_or_zero("span_ns"), launch.int("launch_bound_ns")) else { continue };
        if kernels < LEAST_KERNELS || !is_share(bound, span, LEAST_PERCENT) {
            continue;
        }
        let size = (bound as f64 * ratio) as i64;
        let finding = Finding {
            title: format!(
                "{kernels} kernels on {} ({} of all) take less than 5 us each, and the device waits for launches {} of the \
                 window",
                line.device(),
                share(ratio),
                percent(bound, span)
            ),
            evidence: format!(
                "Together they run {}; the median launching call alone takes {}",
                time(line.int_or_zero("total_ns")),
                launch.int("api_median_ns").map_or_else(|| "an unknown time".to_owned(), time)
            ),
            advice: "Fuse them (torch.compile, custom kernels, foreach optimizers) or capture the step in a CUDA graph.",
            ..Finding::cost("small_kernels", line, &["rank", "device", "window", "kind", "to_ns"], size, span)
        };
        found.push(finding.limits(
            "Size: the launch-bound time (metric launch) times their share of all kernels; part of host_bound.",
        ));
    }
    Ok(found)
}

/// The kernels that some activity ran as communication or KV transfer.
fn transfer_names(input: &Input) -> Result<HashSet<String>, Error> {
    let model = input.model()?;
    let rows = model.activities.iter().filter(|row| matches!(row.class, Class::Comm | Class::Kv));
    let names: HashSet<u32> = rows.map(|row| row.name).collect();
    Ok(names.into_iter().map(|name| model.names.text(name).to_owned()).collect())
}

/// The row of the kernel with the most time of each device and window, and whether it dominates.
fn dominant(sheet: &Sheet) -> BTreeMap<Place, Line<'_>> {
    let mut largest: BTreeMap<Place, Line> = BTreeMap::new();
    for line in sheet.lines().filter(|line| line.float("time_ratio").is_some_and(|ratio| ratio >= DOMINANT)) {
        largest.entry(line.place()).or_insert(line);
    }
    largest
}

fn one_kernel_dominates(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, spans, transfers) = (Sheet::of(input, &kernels::METRIC)?, spans(input)?, transfer_names(input)?);
    let (path, launches) = (Sheet::of(input, &critical_path::METRIC)?, Sheet::of(input, &launch::METRIC)?);
    let hidden: HashSet<Place> =
        launches.lines().filter(|line| line.flag("reliable") == Some(false)).map(|line| line.place()).collect();
    let mut found = Vec::new();
    for (place, line) in dominant(&sheet) {
        let Some(name) = line.text("name").filter(|name| !transfers.contains(name)) else { continue };
        let span = spans.get(&place).copied().unwrap_or(0);
        let (ns, ratio) = (line.int_or_zero("total_ns").min(span), line.float("time_ratio").unwrap_or(0.0));
        if !is_share(ns, span, HIGH_PERCENT) || hidden.contains(&place) {
            continue;
        }
        let saved = best(&path).into_iter().find(|best| best.is("name", &name) && best.is_place(&place));
        let saved = saved.and_then(|best| best.int("free_saved_ns"));
        let finding = Finding {
            title: format!("One kernel has {} of the kernel time of {}: {}", share(ratio), line.device(), short(&name)),
            evidence: format!(
                "{} take {} ({} of the window), median {}{}",
                count(line.int_or_zero("launches"), "launch", "launches"),
                time(line.int_or_zero("total_ns")),
                percent(ns, span),
                time(line.int_or_zero("median_ns")),
                saved.map_or_else(String::new, |ns| format!("; without it the work would end {} earlier", time(ns)))
            ),
            advice: "Measure how far it is from its roof (proftool roofline with an ncu pass) before anything else.",
            ..Finding::kernel(
                "one_kernel_dominates",
                line,
                &["rank", "device", "window", "name"],
                saved.unwrap_or(ns),
                span,
            )
        };
        found.push(
            finding.limits("An upper limit: no kernel becomes free; only its distance from the roof can be gained."),
        );
    }
    Ok(found)
}

/// Of each scope and window the row of the family whose absence would save most.
fn best(path: &Sheet) -> Vec<Line<'_>> {
    let mut best: HashMap<(Option<String>, Option<String>), Line> = HashMap::new();
    for line in path.lines().filter(|line| line.is("segment", "operation") && line.int("free_saved_ns").is_some()) {
        let saved = |line: &Line| (line.int("free_saved_ns"), line.int("on_path_ns"));
        let known = best.entry((line.text("scope"), line.text("window"))).or_insert(line);
        if saved(&line) > saved(known) {
            *known = line;
        }
    }
    let mut best: Vec<Line> = best.into_values().collect();
    best.sort_by_key(Line::place);
    best
}

fn critical_path_kernel(input: &Input) -> Result<Vec<Finding>, Error> {
    let (path, kernels) = (Sheet::of(input, &critical_path::METRIC)?, Sheet::of(input, &kernels::METRIC)?);
    let dominant = dominant(&kernels);
    let mut found = Vec::new();
    for line in best(&path) {
        let Some(name) = line.text("name") else { continue };
        let (span, saved) = (line.int_or_zero("span_ns"), line.int_or_zero("free_saved_ns"));
        // one_kernel_dominates says it of that kernel.
        let said = dominant.values().any(|dominant| dominant.is("name", &name) && !line.is("class", "comm"));
        let known = line.flag("reliable") == Some(true)
            && line.float("coverage_ratio").is_some_and(|coverage| coverage >= PATH_COVERAGE);
        if said || !known || !is_share(saved, span, SAVED_PERCENT) {
            continue;
        }
        let guessed = line.int_or_zero("inferred_edges");
        let finding = Finding {
            title: format!(
                "The critical path depends most on {}: without it the work would end {} earlier ({} of the window)",
                short(&name),
                time(saved),
                percent(saved, span)
            ),
            evidence: format!(
                "{} of {} take {}, of which {} are on the critical path",
                count(line.int_or_zero("launches"), "launch", "launches"),
                line.text("class").unwrap_or_else(|| "work".to_owned()),
                time(line.int_or_zero("total_ns")),
                time(line.int_or_zero("on_path_ns"))
            ),
            advice: "Make this kernel faster, or move it beside other work, before kernels that only have more time in sum.",
            ..Finding::kernel(
                "critical_path_kernel",
                line,
                &["scope", "device", "window", "segment", "name"],
                saved,
                span,
            )
        };
        found.push(finding.limits(&format!(
            "A re-simulation of the recorded graph; {guessed} of its edges are inferred, and no kernel becomes free."
        )));
    }
    Ok(found)
}

fn graph_gaps(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, spans) = (Sheet::of(input, &graph_launches::METRIC)?, spans(input)?);
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is_null("graph")) {
        let (idle, span) = (line.int_or_zero("between_idle_ns"), spans.get(&line.place()).copied().unwrap_or(0));
        let between = line.int_or_zero("between");
        if between == 0 || !super::matters(idle, span) {
            continue;
        }
        found.push(Finding {
            title: format!(
                "{} does nothing for {} ({} of the window) between graph launches",
                capital(&line.device()),
                time(idle),
                percent(idle, span)
            ),
            evidence: format!(
                "{} follow another one with a gap, {} of idle time each on average; inside graphs {} are idle",
                count(between, "launch", "launches"),
                time(idle / between),
                line.int("gap_ns").map_or_else(|| "an unknown time".to_owned(), time)
            ),
            advice: "Prepare the next step while the graph runs (asynchronous scheduling), and take sampling and input \
                     copies into the graph.",
            ..Finding::cost("graph_gaps", line, &["rank", "device", "window", "graph"], idle, span)
        });
    }
    Ok(found)
}

/// Parts of kernel names, without underscores and in lower case, that only communication has.
const COMM_WORDS: &[&str] = &[
    "allreduce",
    "allgather",
    "reducescatter",
    "alltoall",
    "sendrecv",
    "nccl",
    "rccl",
    "nvshmem",
    "multimem",
    "mscclpp",
    "crossdevice",
    "peertopeer",
    "deepep",
];

/// Share of the time of work from which what it may hide matters.
const UNKNOWN_RATIO: f64 = 0.01;

fn unclassified_comm(input: &Input) -> Result<Vec<Finding>, Error> {
    let (model, sheet) = (input.model()?, Sheet::of(input, &classes::METRIC)?);
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is("class", "compute") && line.is_null("rule")) {
        let (Some(rank), Some(device), _) = line.place() else { continue };
        let rows = model.of_device((rank, device)).iter();
        let mut times: HashMap<u32, i64> = HashMap::new();
        for row in rows.filter(|row| row.kind == Kind::Kernel && row.rule.is_none()) {
            let sum = times.entry(row.name).or_default();
            *sum = sum.saturating_add(crate::operators::length(row.span));
        }
        let mut suspects: Vec<(i64, &str)> =
            times.iter().map(|(name, ns)| (*ns, model.names.text(*name))).filter(|(_, name)| is_comm(name)).collect();
        suspects.sort_by(|a, b| b.cmp(a));
        let ns = suspects.iter().fold(0_i64, |sum, (ns, _)| sum.saturating_add(*ns));
        let unclassified = line.int_or_zero("total_ns");
        let ratio = line.float("time_ratio").unwrap_or(0.0) * ns as f64 / unclassified.max(1) as f64;
        let Some((_, name)) = suspects.first().filter(|_| ratio >= UNKNOWN_RATIO) else { continue };
        found.push(Finding {
            severity: if ratio >= 0.1 { Severity::High } else { Severity::Medium },
            title: format!(
                "Kernels of {} that are named as communication count as compute: {} in all",
                line.device(),
                time(ns)
            ),
            evidence: format!(
                "No rule knows {} such as {}; {} of the time of the device's work",
                count(suspects.len() as i64, "name", "names"),
                short(name),
                share(ratio)
            ),
            advice: "Add a rule for them (--rules FILE) and compute again.",
            limits: Some("Unsafe: exposed and hidden communication, compute, bubble. By the name alone; the time is of the whole trace.".to_owned()),
            ..Finding::data("unclassified_comm", line, &["rank", "device", "window", "class", "rule"])
        });
    }
    Ok(found)
}

/// Whether a kernel is named as communication.
fn is_comm(name: &str) -> bool {
    let name = name.replace('_', "").to_ascii_lowercase();
    COMM_WORDS.iter().any(|word| name.contains(word))
}
