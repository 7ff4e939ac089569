//! Pipelines and devices that share the work: bubble, imbalance.

use std::collections::BTreeMap;

use super::sheet::{Line, Sheet};
use super::wording::{capital, percent, share, time};
use super::{Finding, LEAST_PERCENT, Rule, is_share, matters};
use crate::Error;
use crate::classes::Class;
use crate::metrics::overlap::Unions;
use crate::metrics::{Input, bubble, overlap};
use crate::model::DeviceKey;
use crate::operators::{Span, intersect, total};
use crate::windows::Scope;

/// How much less than the busiest a device of the same rank computes before it is named: less is the rounding of layers
/// over devices.
const IMBALANCE_PERCENT: i128 = 20;

pub(super) const PIPELINE_BUBBLE: Rule = Rule {
    code: "pipeline_bubble",
    doc: "The stages of a pipeline (stated or named by ranges) compute for less than 95 % of the window.",
    apply: pipeline_bubble,
};

pub(super) const STAGE_IMBALANCE: Rule = Rule {
    code: "stage_imbalance",
    doc: "The other stages compute less than the busiest: a twentieth of the pipeline's time is lost by that.",
    apply: stage_imbalance,
};

pub(super) const DEVICE_IMBALANCE: Rule = Rule {
    code: "device_imbalance",
    doc: "Devices of one rank that are no stages compute for very different times.",
    apply: device_imbalance,
};

/// The parts of the bubble: column, what it means, what to do.
const PARTS: [(&str, &str, &str); 6] = [
    (
        "fill_drain",
        "the pipeline fills and drains",
        "Stream more micro-batches through one fill, or interleave stages.",
    ),
    (
        "imbalance",
        "the other stages have less to compute than the busiest",
        "Move layers from the busiest stage to the others.",
    ),
    (
        "transfer",
        "the busiest stage waits for an input on its way",
        "Send activations on a queue of their own, earlier or in smaller pieces.",
    ),
    (
        "host",
        "inputs are ready and the host has not started the operation",
        "Launch ahead, or use CUDA graphs per stage.",
    ),
    (
        "dependency",
        "the busiest stage waits for the stage that makes its input",
        "Change the schedule so that the producer works ahead (more micro-batches in flight).",
    ),
    (
        "other",
        "of causes that are not recorded",
        "Record dependencies (events, or a built-in target) to see the cause.",
    ),
];

/// The rows about pipelines: stages that are known, more than one.
fn pipelines(sheet: &Sheet) -> impl Iterator<Item = Line<'_>> {
    let known = |line: &Line| line.is("stages", "declared") || line.is("stages", "inferred from ranges");
    sheet
        .lines()
        .filter(move |line| known(line) && line.int_or_zero("stage_count") > 1 && line.flag("reliable") == Some(true))
}

const KEYS: &[&str] = &["window", "stages"];

fn pipeline_bubble(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &bubble::METRIC)?;
    let mut found = Vec::new();
    for line in pipelines(&sheet) {
        let (capacity, computed) = (line.int_or_zero("capacity_ns"), line.int_or_zero("compute_ns"));
        let lost = capacity.saturating_sub(computed);
        if !is_share(lost, capacity, LEAST_PERCENT) {
            continue;
        }
        let ns = |part: &(&str, &str, &str)| line.int(&format!("{}_ns", part.0)).unwrap_or(0);
        let largest = PARTS.iter().rev().max_by_key(|part| ns(part)).unwrap_or(&PARTS[5]);
        let hosts = line.int_or_zero("host_count").max(1);
        let ideal = line.float("ideal_fraction_ratio");
        let ideal = ideal.map_or_else(String::new, |f| format!("; equal micro-batches would leave {}", share(f)));
        found.push(Finding {
            title: format!(
                "The pipeline of {hosts} hosts idles {} of its time; the largest part ({}): {}",
                percent(lost, capacity),
                percent(ns(largest), capacity),
                largest.1
            ),
            evidence: format!(
                "{}{ideal}",
                PARTS
                    .map(|part| {
                        let value = line.int(&format!("{}_ns", part.0));
                        format!("{} {}", part.0, value.map_or_else(|| "unknown".to_owned(), |ns| percent(ns, capacity)))
                    })
                    .join(", ")
            ),
            advice: largest.2,
            limits: line.text("reason"),
            ..Finding::cost("pipeline_bubble", line, KEYS, lost / hosts, line.int_or_zero("span_ns"))
        });
    }
    Ok(found)
}

fn stage_imbalance(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &bubble::METRIC)?;
    let mut found = Vec::new();
    for line in pipelines(&sheet) {
        let (capacity, lost) = (line.int_or_zero("capacity_ns"), line.int_or_zero("imbalance_ns"));
        if !is_share(lost, capacity, LEAST_PERCENT) {
            continue;
        }
        let hosts = line.int_or_zero("host_count").max(1);
        let finding = Finding {
            title: format!(
                "The stages are unequal: {} of the pipeline's time is what the others compute less than the busiest",
                percent(lost, capacity)
            ),
            evidence: format!(
                "{} of {} host time; hosts {}",
                time(lost),
                time(capacity),
                line.text("hosts").unwrap_or_default()
            ),
            advice: "Move layers from the busiest stage to the others (embedding and output layers count too).",
            ..Finding::cost("stage_imbalance", line, KEYS, lost / hosts, line.int_or_zero("span_ns"))
        };
        found
            .push(finding.limits("Part of pipeline_bubble. Size: the loss of a host, if the work were spread evenly."));
    }
    Ok(found)
}

/// A device with what it computes in its window, and while all devices of its rank are at work.
struct Share<'s> {
    line: Line<'s>,
    common_ns: i64,
}

impl Share<'_> {
    fn whole_ns(&self) -> i64 {
        self.line.int_or_zero("total_ns")
    }
}

fn device_imbalance(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, bubble) = (Sheet::of(input, &overlap::METRIC)?, Sheet::of(input, &bubble::METRIC)?);
    if pipelines(&bubble).next().is_some() {
        return Ok(Vec::new());
    }
    let mut ranks: BTreeMap<(Option<i64>, Option<String>), Vec<Line>> = BTreeMap::new();
    for line in sheet.lines().filter(|line| line.is("kind", "compute") && line.int_or_zero("total_ns") > 0) {
        let (rank, _, window) = line.place();
        ranks.entry((rank, window)).or_default().push(line);
    }
    let mut found = Vec::new();
    for lines in ranks.into_values().filter(|lines| lines.len() > 1) {
        let (shares, span) = shares(input, &lines)?;
        found.extend(uneven(&shares, span));
    }
    Ok(found)
}

/// The devices, and the length of the time in which all of them have begun and none is done.
fn shares<'s>(input: &Input, lines: &[Line<'s>]) -> Result<(Vec<Share<'s>>, i64), Error> {
    let (model, mut common) = (input.model()?, None::<Vec<Span>>);
    let keys = lines.iter().filter_map(|line| {
        let (rank, device, window) = line.place();
        Some((*line, (rank?, device?), window?))
    });
    let keys: Vec<_> = keys.collect();
    for (_, key, window) in &keys {
        let sets = input.sets(Scope::Device(*key))?;
        let own = sets.into_iter().find(|set| set.name == *window).map_or_else(Vec::new, |set| set.spans);
        common = Some(common.map_or_else(|| own.clone(), |common| intersect(&common, &own)));
    }
    let common = common.unwrap_or_default();
    let share = |(line, key, _): (Line<'s>, DeviceKey, String)| {
        let compute = Unions::of(model, key).class(Class::Compute, &common);
        Share { line, common_ns: total(&compute) }
    };
    Ok((keys.into_iter().map(share).collect(), total(&common)))
}

fn uneven(shares: &[Share], span: i64) -> Option<Finding> {
    let by_time =
        |a: &&Share, b: &&Share| a.common_ns.cmp(&b.common_ns).then_with(|| b.line.place().cmp(&a.line.place()));
    let (most, least) = (shares.iter().max_by(by_time)?, shares.iter().min_by(by_time)?);
    let sum: i128 = shares.iter().map(|share| i128::from(share.common_ns)).sum();
    let mean = i64::try_from(sum / shares.len() as i128).ok()?;
    let gained = most.common_ns.saturating_sub(mean);
    let differ = |more: i64, less: i64| is_share(more.saturating_sub(less), more, IMBALANCE_PERCENT);
    // Both: of the whole window, which the row shows, and of the time in which all are at work.
    if !differ(most.common_ns, least.common_ns) || !differ(most.whole_ns(), least.whole_ns()) || !matters(gained, span)
    {
        return None;
    }
    let finding = Finding {
        title: format!(
            "{} computes {} and {} only {} while all {} devices of the rank are at work",
            capital(&most.line.device()),
            time(most.common_ns),
            least.line.device(),
            time(least.common_ns),
            shares.len()
        ),
        evidence: format!(
            "The mean is {}, the busiest is {} above it; in the whole window {} and {}",
            time(mean),
            time(gained),
            time(most.whole_ns()),
            time(least.whole_ns())
        ),
        advice: "Check that each device is meant to do the same; then balance the batch, the experts or the layers.",
        ..Finding::cost("device_imbalance", most.line, &["rank", "device", "window", "kind"], gained, span)
    };
    Some(finding.limits("Devices may be meant to differ (prefill and decode, drafts); no row tells their roles."))
}
