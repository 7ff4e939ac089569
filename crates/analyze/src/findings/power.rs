//! Low clocks: what the driver states as reasons, and what they cost at most.

use std::collections::BTreeMap;

use super::sheet::{Line, Place, Sheet};
use super::wording::{percent, share, time};
use super::{Finding, LEAST_PERCENT, Rule, Severity, is_share, matters};
use crate::Error;
use crate::metrics::{Input, throttling};

/// How much below the highest clock seen the mean must be where no reason is recorded: the step of boost clocks is 1 %.
const LEAST_DROP: f64 = 0.05;

pub(super) const POWER_THROTTLING: Rule = Rule {
    code: "power_throttling",
    doc: "The clock was held down while kernels ran: by reasons that the driver states, or far below the highest seen.",
    apply: power_throttling,
};

const KEYS: &[&str] = &["rank", "device", "window", "kind", "name"];

/// The rows of one device in one window set.
#[derive(Default)]
struct Rows<'s> {
    any: Option<Line<'s>>,
    clock: Option<Line<'s>>,
    reasons: Vec<Line<'s>>,
}

fn power_throttling(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &throttling::METRIC)?;
    let mut devices: BTreeMap<Place, Rows> = BTreeMap::new();
    for line in sheet.lines() {
        let rows = devices.entry(line.place()).or_default();
        match (line.is("kind", "reason"), line.text("name").as_deref()) {
            (true, Some("any")) => rows.any = Some(line),
            (true, Some(_)) if line.flag("slows") == Some(true) && line.int_or_zero("kernel_ns") > 0 => {
                rows.reasons.push(line);
            }
            (false, Some("compute")) => rows.clock = Some(line),
            _ => {}
        }
    }
    Ok(devices.into_values().filter_map(|rows| by_reason(&rows).or_else(|| by_clock(&rows))).collect())
}

/// The driver states why.
fn by_reason(rows: &Rows) -> Option<Finding> {
    let line = rows.any?;
    let (held, span) = (line.int_or_zero("kernel_ns"), line.int_or_zero("span_ns"));
    if !is_share(held, span, LEAST_PERCENT) {
        return None;
    }
    let mut reasons = rows.reasons.clone();
    reasons.sort_by_key(|line| (std::cmp::Reverse(line.int("kernel_ns")), line.text("name")));
    let named = |line: &Line| {
        format!("{} {}", line.text("name").unwrap_or_default(), percent(line.int_or_zero("kernel_ns"), span))
    };
    let named: Vec<String> = reasons.iter().map(named).collect();
    let lost = rows.clock.and_then(|clock| clock.int("lost_ns"));
    let clock = rows.clock.and_then(|clock| clock.float("drop_ratio"));
    let finding = Finding {
        title: format!(
            "The clock of {} is held down during {} of the window while kernels run ({})",
            line.device(),
            percent(held, span),
            named.first().map_or("", String::as_str)
        ),
        evidence: format!(
            "Reasons of the driver: {}; mean clock while kernels run {}",
            named.join(", "),
            clock.map_or_else(|| "unknown".to_owned(), |drop| format!("{} below the highest seen", share(drop)))
        ),
        advice: "Check power limit, cooling and neighbours (nvidia-smi -q -d PERFORMANCE), and compare runs only at the same \
                 clock.",
        ..Finding::cost("power_throttling", line, KEYS, lost.unwrap_or(held), span)
    };
    let finding = Finding { size_ns: lost, severity: Severity::of(held, span), ..finding };
    Some(finding.limits("Size: if all kernels scaled with the clock; those bound by memory or links lose less."))
}

/// No reason is recorded, but the clock is.
fn by_clock(rows: &Rows) -> Option<Finding> {
    let line = rows.clock?;
    let (lost, span) = (line.int("lost_ns")?, line.int_or_zero("span_ns"));
    let drop = line.float("drop_ratio").filter(|drop| *drop >= LEAST_DROP)?;
    if !matters(lost, span) {
        return None;
    }
    let finding = Finding {
        title: format!(
            "While kernels run, the clock of {} is {} below the highest that was seen: {} at most",
            line.device(),
            share(drop),
            time(lost)
        ),
        evidence: format!(
            "Mean {:.0} MHz, highest {:.0} MHz",
            line.float("kernel_mean_hz").unwrap_or(0.0) / 1e6,
            line.float("seen_hz").unwrap_or(0.0) / 1e6
        ),
        advice: "Record the throttle reasons (NVML) to see why; compare runs only at the same clock.",
        ..Finding::cost("power_throttling", line, KEYS, lost, span)
    };
    Some(
        finding.limits(
            "Why is not recorded. Size: if all kernels scaled with the clock; those bound by memory lose less.",
        ),
    )
}
