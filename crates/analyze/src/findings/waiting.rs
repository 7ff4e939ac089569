//! What an idle device waits for: the host, the gaps between launched kernels, single long stalls, synchronisation.
//!
//! Idle time in gaps of [`LONG_NS`] or more is told gap by gap (`long_gaps`); the rest is the rhythm of the program
//! (`host_bound`, `kernel_gaps`: [`rhythm`]). So the two kinds of sizes do not hold the same time twice. Where the clocks
//! of host and device disagree ([`clocks`]), no rhythm is told, and causes get a limit.

use std::collections::{BTreeMap, HashMap};

use proftool_timeline::levels::bins;
use proftool_timeline::measure::Measure;

use super::sheet::{Line, Place, Sheet};
use super::wording::{capital, count, percent, share, short, time};
use super::{Finding, LEAST_PERCENT, Rule, Severity, is_share, matters};
use crate::Error;
use crate::classes::Class;
use crate::metrics::idle::{self, Cutter};
use crate::metrics::{Input, gaps};
use crate::operators::{gaps_in, into_union, length};
use crate::windows::{Scope, WindowSet};
use clocks::Apart;

mod clocks;
mod rhythm;

pub(crate) use rhythm::Shorts;

/// A gap from which no rhythm of launches explains it: launching one kernel through a framework takes 5 to 100 us.
const LONG_NS: i64 = 1_000_000;

/// Gaps without a launching call from which the causes say little: one in ten.
const LEAST_COVERAGE: f64 = 0.9;

/// An idle share below which nobody asks for its causes.
const LEAST_IDLE: f64 = 0.05;

pub(super) const CLOCKS_DISAGREE: Rule = Rule {
    code: "clocks_disagree",
    doc: "More than one launch in 100 begins before its call, or each waits for longer than all work takes.",
    apply: clocks::clocks_disagree,
};

pub(super) const HOST_BOUND: Rule = Rule {
    code: "host_bound",
    doc: "The host launches too late: in gaps below 1 ms the next launch had not begun or was under way.",
    apply: rhythm::host_bound,
};

pub(super) const KERNEL_GAPS: Rule = Rule {
    code: "kernel_gaps",
    doc: "Work had been launched, and the device still paused between kernels: the sum of many short gaps.",
    apply: rhythm::kernel_gaps,
};

pub(super) const LONG_GAPS: Rule = Rule {
    code: "long_gaps",
    doc: "Single gaps of 1 ms or more hold much of the window; the longest is named with its host call.",
    apply: long_gaps,
};

pub(super) const SYNC_BOUND: Rule = Rule {
    code: "sync_bound",
    doc: "The device is idle while the host sits in a blocking synchronisation.",
    apply: sync_bound,
};

pub(super) const LOW_COVERAGE: Rule = Rule {
    code: "low_coverage",
    doc: "Few of the activities behind gaps have a launching call, so the causes of idle time are unsure.",
    apply: low_coverage,
};

pub(super) const LOW_UTILISATION: Rule = Rule {
    code: "low_utilisation",
    doc: "A device that is busy for most of the window is busy for less than half of some of its 30 parts.",
    apply: low_utilisation,
};

pub(super) const GRAPH_GRANULARITY: Rule = Rule {
    code: "graph_granularity",
    doc: "Whole-graph rows hide kernels and the gaps between them.",
    apply: graph_granularity,
};

const DEVICE_KEYS: &[&str] = &["rank", "device", "queue", "window"];
const LAUNCH_KEYS: &[&str] = &["rank", "device", "window", "name"];

/// The gaps of one device in one window set.
struct Gaps<'s> {
    longest: Line<'s>,
    /// How many gaps are long, and their length.
    long: i64,
    long_ns: i64,
    /// Time of the part sync by host call, of the listed gaps.
    syncs: HashMap<String, i64>,
}

fn of_devices(sheet: &Sheet) -> BTreeMap<Place, Gaps<'_>> {
    let mut devices: BTreeMap<Place, Gaps> = BTreeMap::new();
    for line in sheet.lines().filter(|line| line.is_null("queue")) {
        // The rows of a device come the longest first.
        let gaps = devices.entry(line.place()).or_insert_with(|| Gaps {
            longest: line,
            long: 0,
            long_ns: 0,
            syncs: HashMap::new(),
        });
        let length = line.int_or_zero("length_ns");
        if length >= LONG_NS {
            gaps.long += 1;
            gaps.long_ns = gaps.long_ns.saturating_add(length);
        }
        if line.is("cause", "sync")
            && let Some(call) = line.text("call")
        {
            let sum = gaps.syncs.entry(call).or_default();
            *sum = sum.saturating_add(line.int_or_zero("sync_ns"));
        }
    }
    devices
}

fn long_gaps(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &gaps::METRIC)?;
    let (spans, apart) = (spans(input)?, Apart::of(input)?);
    let mut found = Vec::new();
    for (place, gaps) in of_devices(&sheet) {
        let span = spans.get(&place).copied().unwrap_or(0);
        let line = gaps.longest;
        if gaps.long == 0 || !matters(gaps.long_ns, span) || line.flag("reliable") != Some(true) {
            continue;
        }
        let length = line.int_or_zero("length_ns");
        found.push(apart.limit(Finding {
            title: format!(
                "{} stands still {} in {} of 1 ms or more ({} of the window); the longest takes {}",
                capital(&line.device()),
                time(gaps.long_ns),
                count(gaps.long, "gap", "gaps"),
                percent(gaps.long_ns, span),
                time(length)
            ),
            evidence: story(line),
            advice: if apart.has(&place) { ANY_GAP } else { first_step(line) },
            ..Finding::cost("long_gaps", line, &["rank", "device", "queue", "window", "place"], gaps.long_ns, span)
        }));
    }
    Ok(found)
}

/// The longest gap in words.
fn story(line: Line) -> String {
    let name =
        |column: &str, otherwise: &str| line.text(column).map_or_else(|| otherwise.to_owned(), |name| short(&name));
    let neighbours = format!(
        "It lies between {} and {}; cause {}",
        name("previous", "the start of the window"),
        name("next", "its end"),
        name("cause", "other")
    );
    let culprit = match (line.text("call"), line.int("call_ns")) {
        (Some(call), _) if is_held(line) => {
            let after = line.int_or_zero("end_ns").saturating_sub(line.int_or_zero("call_end_ns"));
            format!(": {} had returned {} before the launched work began", short(&call), time(after))
        }
        (Some(call), Some(open)) => {
            format!(": {} ({}) was running for {}", short(&call), name("call_role", "host call"), time(open))
        }
        (Some(call), None) => format!(": {}", short(&call)),
        (None, _) => line.text("call_role").map_or_else(String::new, |why| format!(" ({why})")),
    };
    let range = line.text("range").map_or_else(String::new, |range| format!("; in range {}", short(&range)));
    format!("{neighbours}{culprit}{range}")
}

/// Whether the launching call had returned for most of the gap: the work was launched, and did not begin.
fn is_held(line: Line) -> bool {
    let [begin, end] = ["start_ns", "end_ns"].map(|name| i128::from(line.int_or_zero(name)));
    let returned = line.int("call_end_ns").map(i128::from);
    line.is("cause", "launch") && returned.is_some_and(|returned| (returned - begin) * 2 < end - begin)
}

/// What to look at first where the cause is not known.
const ANY_GAP: &str = "Look at the longest gaps (metric gaps) and at what their next activity depends on.";

/// What to look at first, by the cause of the longest gap.
fn first_step(line: Line) -> &'static str {
    match line.text("cause").as_deref() {
        Some("launch") if is_held(line) => {
            "Something held the launched work: an event of another queue, another process on the device, code that is \
             loaded on first use. Look at what runs on other queues and devices at that time."
        }
        Some("launch") => {
            "The launching call itself took that long: a first launch loads code, allocation waits for the device, or the \
             queue was full. Warm up, or leave start-up out with --window."
        }
        Some("sync") => "Look at what the host waits for there, and launch the next work before it waits.",
        Some("host_wait") => {
            "Look at what the host does in the longest gaps (metric gaps: call and range). Start-up (allocation, loading, \
             compilation) belongs outside the window: warm up, or choose one with --window."
        }
        _ => ANY_GAP,
    }
}

fn sync_bound(input: &Input) -> Result<Vec<Finding>, Error> {
    let (idle, gaps) = (Sheet::of(input, &idle::METRIC)?, Sheet::of(input, &gaps::METRIC)?);
    let (gaps, apart) = (of_devices(&gaps), Apart::of(input)?);
    let blocked = blocked(input)?;
    let mut found = Vec::new();
    for line in idle.lines().filter(|line| line.is_null("queue") && line.flag("reliable") == Some(true)) {
        let (span, open) = (line.int_or_zero("span_ns"), line.int_or_zero("sync_ns"));
        let sync = blocked.get(&line.place()).copied().unwrap_or(0);
        if !matters(sync, span) {
            continue;
        }
        let calls = gaps.get(&line.place()).map(|gaps| &gaps.syncs);
        let main = calls.and_then(|calls| calls.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))));
        let main = main.map_or_else(String::new, |(call, ns)| {
            format!(", {} of it in gaps in which {} was open longest", time(*ns), short(call))
        });
        let finding = Finding {
            title: format!(
                "{} is idle for {} ({} of the window) while the host blocks in a synchronisation",
                capital(&line.device()),
                time(sync),
                percent(sync, span)
            ),
            evidence: format!(
                "Of {} idle, a synchronisation call of the process that launches next was open for {}{main}; for {} of it \
                 the next work had not been launched",
                time(line.int_or_zero("idle_ns")),
                time(open),
                time(sync)
            ),
            advice: "Do not wait for the device where the host needs no result: use events between queues, read results \
                     (such as .item()) a step later, and launch the next step before waiting.",
            ..Finding::cost("sync_bound", line, DEVICE_KEYS, sync, span)
        };
        found.push(apart.limit(finding.limits("What the host launches late after the call returned is not in it.")));
    }
    Ok(found)
}

/// Parts of a window, and the share below which one counts as hardly used: those of the rule `gpu_time_util` of Nsight
/// Systems, here of the union of work and not of its sum.
const PARTS: u32 = 30;

/// For how long of the idle time of each device a synchronisation call was open and the next work was not launched: after
/// that it was not the host that held it.
fn blocked(input: &Input) -> Result<BTreeMap<Place, i64>, Error> {
    let rows = input.of_devices(|model, device, sets| {
        let Some(place) = idle::Place::all(model, device).into_iter().next() else { return Vec::new() };
        let of_set = |set: &WindowSet| {
            let mut cutter = Cutter::new(model, &place.work);
            let blocked = gaps_in(&place.busy, &set.spans).into_iter().map(|gap| {
                let Some(next) = cutter.next(gap) else { return 0 };
                let Some(call) = next.call.and_then(|call| model.calls.get(call as usize)) else { return 0 };
                cutter.cut(Some(next), (gap.0, call.span.1.clamp(gap.0, gap.1)))[SYNC]
            });
            let key = (Some(device.0), Some(device.1), Some(set.name.clone()));
            (key, blocked.fold(0_i64, i64::saturating_add))
        };
        sets.iter().map(of_set).collect()
    })?;
    Ok(rows.into_iter().collect())
}

/// Place of the cause in [`idle::CAUSES`].
const SYNC: usize = 3;

fn low_utilisation(input: &Input) -> Result<Vec<Finding>, Error> {
    let (model, sheet) = (input.model()?, Sheet::of(input, &idle::METRIC)?);
    let mut found = Vec::new();
    // A device that idles for half of the window is no case of some parts.
    let busy = |line: &Line| line.is_null("queue") && line.float("idle_ratio").is_some_and(|ratio| ratio < 0.5);
    for line in sheet.lines().filter(busy) {
        let (Some(rank), Some(device), Some(window)) = line.place() else { continue };
        let sets = input.sets(Scope::Device((rank, device)))?;
        let Some(set) = sets.iter().find(|set| set.name == window) else { continue };
        let work = model.of_device((rank, device)).iter().filter(|row| row.class != Class::Sync);
        let work = Measure::of(into_union(work.map(|row| row.span).collect()));
        let parts = set.spans.iter().flat_map(|span| bins(*span, PARTS));
        let idle = parts.filter_map(|part| {
            let idle = length(part).saturating_sub(work.inside(part));
            (i128::from(idle) * 2 > i128::from(length(part))).then_some(idle)
        });
        let idle: Vec<i64> = idle.collect();
        let sum = idle.iter().fold(0_i64, |sum, idle| sum.saturating_add(*idle));
        let span = line.int_or_zero("span_ns");
        if !is_share(sum, span, LEAST_PERCENT) {
            continue;
        }
        found.push(Finding {
            title: format!(
                "{} is busy {} of the window, but less than half of {} of its {} parts: {} idle in those",
                capital(&line.device()),
                percent(line.int_or_zero("busy_ns"), span),
                idle.len(),
                PARTS as usize * set.spans.len(),
                time(sum)
            ),
            evidence: format!("{} idle in all, {} of it there", time(line.int_or_zero("idle_ns")), percent(sum, line.int_or_zero("idle_ns"))),
            advice: "Something interrupts the work from time to time: see the longest gaps, then the steps in which they lie.",
            ..Finding::cost("low_utilisation", line, DEVICE_KEYS, sum, span)
        });
    }
    Ok(found)
}

fn low_coverage(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &idle::METRIC)?;
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is_null("queue")) {
        let coverage = line.float("coverage_ratio").filter(|coverage| *coverage < LEAST_COVERAGE);
        let idle = line.float("idle_ratio").filter(|idle| *idle >= LEAST_IDLE);
        let Some((coverage, idle)) = coverage.zip(idle) else { continue };
        // Many gaps may be little time.
        let unknown = line.int_or_zero("other_ns");
        if !is_share(unknown, line.int_or_zero("idle_ns"), LEAST_PERCENT) {
            continue;
        }
        found.push(Finding {
            severity: if coverage < 0.5 { Severity::High } else { Severity::Medium },
            title: format!(
                "Only {} of the gaps of {} end with work whose launching call is recorded: causes of idle time are unsure",
                share(coverage),
                line.device()
            ),
            evidence: format!(
                "{} of the window is idle; {} of it has no cause (other)",
                share(idle),
                time(line.int_or_zero("other_ns"))
            ),
            advice: "Record the CUDA (HIP) API from the first launch on: start the profiler before the work, trace runtime \
                     and driver calls, and do not cut the host out of the file.",
            limits: Some("Unsafe: host_wait, launch and sync of idle, and the critical path.".to_owned()),
            ..Finding::data("low_coverage", line, DEVICE_KEYS)
        });
    }
    Ok(found)
}

fn graph_granularity(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &idle::METRIC)?;
    let hidden = sheet.lines().filter(|line| line.is_null("queue") && line.flag("reliable") == Some(false));
    let finding = |line: Line| Finding {
        severity: Severity::High,
        title: format!(
            "Graph launches of {} are recorded as one row each: kernels and gaps inside are hidden",
            line.device()
        ),
        evidence: format!(
            "{} of {} counts as busy, rows of whole graphs among it",
            time(line.int_or_zero("busy_ns")),
            time(line.int_or_zero("span_ns"))
        ),
        advice: "Record again with node granularity: nsys profile --cuda-graph-trace=node.",
        limits: Some(
            "Unsafe: idle, overlap, kernels and bubble of this device; busy time is an upper limit.".to_owned(),
        ),
        ..Finding::data("graph_granularity", line, DEVICE_KEYS)
    };
    Ok(hidden.map(finding).collect())
}

/// The length of the windows of each device.
pub(super) fn spans(input: &Input) -> Result<HashMap<Place, i64>, Error> {
    let sheet = Sheet::of(input, &idle::METRIC)?;
    let devices = sheet.lines().filter(|line| line.is_null("queue"));
    Ok(devices.map(|line| (line.place(), line.int_or_zero("span_ns"))).collect())
}
