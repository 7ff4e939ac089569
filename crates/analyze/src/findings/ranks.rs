//! Ranks: a straggler, clocks that cannot be compared, slow collectives.

use std::collections::BTreeMap;

use super::sheet::{Line, Sheet};
use super::wording::{bytes, capital, count, percent, rate, share, time};
use super::{Finding, Rule, Severity, matters};
use crate::Error;
use crate::metrics::{Input, collective_sizes, ranks};

/// Collectives below which being the last is chance.
const LEAST_COLLECTIVES: i64 = 10;

/// Share of the collectives to which a straggler comes last: of two ranks chance alone gives a half.
const LAST_RATIO: f64 = 0.6;

/// Bytes from which a collective is bound by bandwidth and not by latency (where the curves of nccl-tests flatten).
const LARGE_BYTES: i64 = 16 << 20;

/// Share of the link below which the bandwidth of a large collective is far from it: NCCL reaches 70 to 90 %.
const SLOW_RATIO: f64 = 0.4;

/// A residual below this makes no collective look late: it is about the start skew of equal kernels.
const LEAST_RESIDUAL_NS: i64 = 10_000;

pub(super) const STRAGGLER_RANK: Rule = Rule {
    code: "straggler_rank",
    doc: "One device comes last to most collectives, alone, and the others wait for it.",
    apply: straggler_rank,
};

pub(super) const CLOCK_SKEW: Rule = Rule {
    code: "clock_skew",
    doc: "The clocks of the ranks cannot be aligned as well as the waits that are to be measured with them.",
    apply: clock_skew,
};

pub(super) const COLLECTIVE_SLOW: Rule = Rule {
    code: "collective_slow",
    doc: "Large collectives of which all ranks were seen reach less than 40 % of the link.",
    apply: collective_slow,
};

const KEYS: &[&str] = &["rank", "device", "window"];

/// Mean time that is to be measured with the clocks: what a device waited or made others wait, a collective.
fn mean_wait(line: Line) -> Option<i64> {
    let matched = line.int("matched").filter(|matched| *matched > 0)?;
    Some(line.int("wait_ns")?.max(line.int_or_zero("caused_wait_ns")) / matched)
}

/// Whether the residual of the clocks is about as large as what is measured with them.
fn is_unsafe(line: Line) -> bool {
    let residual = line.int("residual_ns").unwrap_or(0);
    residual >= LEAST_RESIDUAL_NS && mean_wait(line).is_some_and(|wait| residual.saturating_mul(2) >= wait)
}

/// Whether all that a device met others in were messages between two.
fn are_messages(line: Line) -> bool {
    let messages = line.int_or_zero("point_to_point");
    messages > 0 && messages == line.int_or_zero("matched")
}

/// What a row of `ranks` leaves open about who came last: who belonged together, who was not captured, what the clocks
/// are worth.
fn unknown(line: Line) -> Option<String> {
    let (matched, ordered) = (line.int_or_zero("matched"), line.int_or_zero("paired_by_order"));
    let messages = line.int_or_zero("point_to_point");
    let pairs = match ordered {
        0 => None,
        _ if are_messages(line) => {
            Some("Point-to-point, paired by order: partners and direction are not recorded.".to_owned())
        }
        _ => Some(format!(
            "{ordered} of {matched} were paired by order, name or overlap: no sequence number says that they belong \
             together{}.",
            if messages > 0 { format!("; {messages} are point-to-point") } else { String::new() }
        )),
    };
    let unseen = line.text("reason").map(|reason| format!("{}.", capital(&reason)));
    let clocks = line.is_null("residual_ns") && !line.is("clock", "one session");
    let clocks = clocks.then(|| {
        "The clocks of the ranks were not checked by collectives: their error is unknown, and it is in every wait."
            .to_owned()
    });
    let limits: Vec<String> = [pairs, unseen, clocks].into_iter().flatten().collect();
    (!limits.is_empty()).then(|| limits.join(" "))
}

fn straggler_rank(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &ranks::METRIC)?;
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.int_or_zero("matched") >= LEAST_COLLECTIVES && !is_unsafe(*line)) {
        let (late, span) = (line.int_or_zero("late_ns"), line.int_or_zero("span_ns"));
        let Some(ratio) = line.float("last_ratio").filter(|ratio| *ratio >= LAST_RATIO) else { continue };
        if !matters(late, span) {
            continue;
        }
        let messages = are_messages(line);
        let mut finding = Finding {
            title: format!(
                "{} comes last to {} of its {}: the others would wait {} less if it were on time ({} of the window)",
                capital(&line.device()),
                share(ratio),
                if messages { "transfers" } else { "collectives" },
                time(late),
                percent(late, span)
            ),
            evidence: format!(
                "Last, alone, in {} of {}; the others waited {} for it, it waited {} for them; {}",
                line.int_or_zero("last_count"),
                line.int_or_zero("matched"),
                time(line.int_or_zero("caused_wait_ns")),
                time(line.int_or_zero("wait_ns")),
                match line.int("residual_ns") {
                    _ if line.is("clock", "one session") => "one clock for all".to_owned(),
                    Some(residual) => format!("clock residual {}", time(residual)),
                    None => "clock residual unknown".to_owned(),
                }
            ),
            advice: "Compare what it does before them with another rank: more work (shards, experts), a slower clock \
                     (metric throttling), or a late host.",
            limits: unknown(line),
            ..Finding::cost("straggler_rank", line, KEYS, late, span)
        };
        if messages {
            // Which of the two waited for the other is not known: the later may have been early enough for its own part.
            finding.severity = finding.severity.max(Severity::Medium);
        }
        found.push(finding);
    }
    Ok(found)
}

fn clock_skew(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &ranks::METRIC)?;
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| is_unsafe(*line)) {
        let (residual, wait) = (line.int_or_zero("residual_ns"), mean_wait(line).unwrap_or(0));
        let mut finding = Finding {
            severity: Severity::High,
            title: format!(
                "The clock of {} fits the others only within {}: waits between ranks ({} a collective) are unsafe",
                line.device(),
                time(residual),
                time(wait)
            ),
            evidence: format!(
                "Median residual {} (largest {}) over {} after alignment; clock source: {}",
                time(residual),
                line.int("residual_max_ns").map_or_else(|| "unknown".to_owned(), time),
                count(line.int_or_zero("aligned_by"), "collective", "collectives"),
                line.text("clock").unwrap_or_default()
            ),
            advice: "Record with clocks that are synchronised (chrony or PTP), or record a shorter time; trust durations \
                     inside one rank only.",
            ..Finding::data("clock_skew", line, KEYS)
        };
        finding.limits =
            Some("Unsafe: wait, late, skew and straggler of ranks and collectives, and paths across ranks.".to_owned());
        found.push(finding);
    }
    Ok(found)
}

fn collective_slow(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, lengths) = (Sheet::of(input, &collective_sizes::METRIC)?, super::transfers::lengths(input)?);
    let mut found: BTreeMap<usize, Finding> = BTreeMap::new();
    let seen = |line: &Line| line.is("time_source", "transfer") && line.int_or_zero("from_bytes") >= LARGE_BYTES;
    for (at, line) in sheet.lines().enumerate().filter(|(_, line)| seen(line)) {
        let Some(ratio) = line.float("link_ratio").filter(|ratio| *ratio < SLOW_RATIO) else { continue };
        let span = line.text("window").and_then(|window| lengths.get(&window).copied()).unwrap_or(0);
        let took = line.int_or_zero("transfer_ns").saturating_mul(line.int_or_zero("collectives"));
        let gained = (took as f64 * (1.0 - ratio)) as i64;
        if !matters(gained, span) {
            continue;
        }
        let finding = Finding {
            title: format!(
                "{} of {} or more reaches {} of bus bandwidth, {} of the link",
                capital(&line.text("operation").unwrap_or_default()),
                bytes(line.int_or_zero("from_bytes")),
                line.float("bus_bytes_per_s").map_or_else(|| "an unknown rate".to_owned(), rate),
                share(ratio)
            ),
            evidence: format!(
                "{} of {} ranks, {} each from the last arrival to the last end; link {} ({})",
                count(line.int_or_zero("collectives"), "collective", "collectives"),
                line.int_or_zero("group_size"),
                time(line.int_or_zero("transfer_ns")),
                line.float("link_bytes_per_s").map_or_else(|| "unknown".to_owned(), rate),
                line.text("link").unwrap_or_default()
            ),
            advice: "Check the path (NCCL_DEBUG=INFO: NVLink, P2P, GPUDirect RDMA), the number of channels, and compute that \
                     shares the device.",
            ..Finding::cost("collective_slow", line, &["window", "operation", "group", "from_bytes"], gained, span)
        };
        found.insert(
            at,
            finding.limits(
                "Size: if it ran at the link's rate; the ceiling is of the device, not of the path between nodes.",
            ),
        );
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixture::{Args, Ranks};
    use crate::windows::Window;

    /// Ten times, every 100: two ranks end together, and rank 1 begins 40 later.
    fn late(kernel: &'static str, args: [Option<Args>; 2]) -> Ranks {
        (0..10).fold(Ranks::default(), |ranks, at| {
            (0..2).fold(ranks, |ranks, rank| {
                let ranks = ranks.kernel((rank, 0), kernel, (at * 100 + rank * 40, at * 100 + 60));
                match args[rank as usize] {
                    Some(args) => ranks.args(args),
                    None => ranks,
                }
            })
        })
    }

    fn straggler(ranks: &Ranks) -> Finding {
        let (tables, manifest) = (ranks.tables(), ranks.manifest());
        let input = Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest);
        let mut found = straggler_rank(&input).unwrap();
        assert_eq!((found.len(), found[0].rank, found[0].size_ns), (1, Some(1), Some(400)), "{found:?}");
        found.remove(0)
    }

    #[test]
    fn collectives_of_known_size_and_sequence_leave_nothing_open() {
        let ranks = (0..10).fold(Ranks::default(), |ranks, at| {
            let end = at * 100 + 60;
            ranks.all_reduce(0, at, 2, (end - 60, end)).all_reduce(1, at, 2, (end - 20, end))
        });
        let one = straggler(&ranks);
        assert_eq!((one.severity, one.limits), (Severity::High, None), "400 of 920");
    }

    #[test]
    fn kernels_of_one_name_may_be_of_a_larger_group() {
        let limits = straggler(&late("ncclDevKernel_AllReduce_Sum", [None; 2])).limits.unwrap();
        assert!(limits.starts_with("10 of 10 were paired by order, name or overlap"), "{limits}");
        assert!(
            limits.ends_with("The size of the group is not recorded: a rank that was not captured may have come last.")
        );
    }

    #[test]
    fn transfers_without_partners_are_no_collectives_and_no_high_cost() {
        let one = straggler(&late("ncclDevKernel_SendRecv", [None; 2]));
        assert!(one.title.contains("comes last to 100.0 % of its transfers"), "{}", one.title);
        let limits = one.limits.unwrap();
        assert!(
            limits.starts_with("Point-to-point, paired by order: partners and direction are not recorded."),
            "{limits}"
        );
        assert!(limits.contains("The size of the group is not recorded"), "{limits}");
        assert_eq!(one.severity, Severity::Medium);
    }

    #[test]
    fn clocks_that_messages_cannot_check_are_a_limit() {
        let message = |operation, peer| Some(Args { operation, peer: Some(peer), ..Args::default() });
        let ranks = late("ncclDevKernel_SendRecv", [message("send", 1), message("recv", 0)]);
        assert_eq!(straggler(&ranks).limits, None, "one session, and both ends are recorded");
        let limits = straggler(&ranks.file(0, 5_000, 0).file(1, 5_000, 0)).limits.unwrap();
        assert!(limits.starts_with("The clocks of the ranks were not checked by collectives"), "{limits}");
    }
}
