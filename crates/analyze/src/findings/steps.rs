//! Steps: warm-up inside the window, and single steps that take far longer than the others.

use std::collections::BTreeMap;

use super::sheet::{Line, Place, Sheet};
use super::wording::{capital, count, percent, short, time};
use super::{Finding, Rule, matters};
use crate::Error;
use crate::metrics::{Input, steps};
use crate::statistics::median_ns;

/// Steps of one phase from which a median says something.
const LEAST_STEPS: usize = 6;

/// How many medians a step takes that is named.
const LONG_STEP: i64 = 2;

pub(super) const WARM_UP_IN_WINDOW: Rule = Rule {
    code: "warm_up_in_window",
    doc: "The window holds warm-up steps that are slower than the steady ones.",
    apply: warm_up_in_window,
};

pub(super) const UNSTABLE_STEPS: Rule = Rule {
    code: "unstable_steps",
    doc: "Steps take more than twice the median of their phase, without more tokens.",
    apply: unstable_steps,
};

const KEYS: &[&str] = &["rank", "device", "window", "step"];

/// One step that is compared.
#[derive(Clone, Copy)]
struct Step<'s> {
    line: Line<'s>,
    ns: i64,
}

/// The steps of one device in one window set and one phase.
type Groups<'s> = BTreeMap<(Place, Option<String>), Vec<Step<'s>>>;

fn groups(sheet: &Sheet) -> Groups<'_> {
    let mut groups: Groups = BTreeMap::new();
    for line in sheet.lines() {
        let step = Step { line, ns: line.int_or_zero("span_ns") };
        groups.entry((line.place(), line.text("phase"))).or_default().push(step);
    }
    groups
}

/// The sum of the lengths of the steps.
fn sum(steps: &[Step]) -> i64 {
    steps.iter().fold(0, |sum, step| sum.saturating_add(step.ns))
}

fn warm_up_in_window(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &steps::METRIC)?;
    let mut found = Vec::new();
    for steps in groups(&sheet).into_values() {
        let of = |state| steps.iter().filter(move |step: &&Step| step.line.is("state", state));
        let Some(median) = median(of("steady")) else { continue };
        let excess = of("warm_up").fold(0_i64, |sum, step| sum.saturating_add((step.ns - median).max(0)));
        let (warm, whole) = (of("warm_up").count() as i64, sum(&steps));
        let Some(first) = of("warm_up").next().filter(|_| matters(excess, whole)) else { continue };
        let finding = Finding {
            title: format!(
                "{} of {} in the window are warm-up: they take {} longer than steady ones ({} of all steps)",
                warm,
                count(steps.len() as i64, "step", "steps"),
                time(excess),
                percent(excess, whole)
            ),
            evidence: format!("Median steady step {}; the first takes {}", time(median), time(first.ns)),
            advice: "Leave them out: warm up before recording, or choose a window (--window) of steady steps; averages over \
                     the window are too slow.",
            ..Finding::cost("warm_up_in_window", first.line, KEYS, excess, whole)
        };
        found.push(finding.limits("No cost of the steady program: a distortion of every average of this window."));
    }
    Ok(found)
}

fn median<'s, 'g: 's>(steps: impl Iterator<Item = &'s Step<'g>>) -> Option<i64> {
    median_ns(&steps.map(|step| step.ns).collect::<Vec<_>>())
}

fn unstable_steps(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &steps::METRIC)?;
    let mut found = Vec::new();
    for steps in groups(&sheet).into_values() {
        let steady: Vec<Step> = steps.iter().filter(|step| !step.line.is("state", "warm_up")).copied().collect();
        let Some(median) = median(steady.iter()).filter(|median| *median > 0 && steady.len() >= LEAST_STEPS) else {
            continue;
        };
        let tokens = median_ns(&steady.iter().filter_map(|step| step.line.int("tokens")).collect::<Vec<_>>());
        let long = |step: &&Step| step.ns > median.saturating_mul(LONG_STEP) && !is_larger(step, tokens);
        let mut long: Vec<Step> = steady.iter().filter(long).copied().collect();
        long.sort_by_key(|step| (std::cmp::Reverse(step.ns), step.line.int("step")));
        let excess = long.iter().fold(0_i64, |sum, step| sum.saturating_add(step.ns - median));
        let whole = sum(&steps);
        let Some(worst) = long.first().filter(|_| matters(excess, whole)) else { continue };
        let names: Vec<String> = long.iter().take(3).map(name).collect();
        let finding = Finding {
            title: format!(
                "{} of {} steps of {} take more than twice the median: {} in excess ({} of all steps)",
                long.len(),
                steady.len(),
                worst.line.device(),
                time(excess),
                percent(excess, whole)
            ),
            evidence: format!(
                "Median {}; longest: {}; the longest is idle for {}",
                time(median),
                names.join(", "),
                time(worst.line.int_or_zero("idle_ns"))
            ),
            advice: "Look at the longest one (metric gaps in its time): garbage collection, allocation, checkpoints, data \
                     loading, a late peer, preemption of requests.",
            ..Finding::cost("unstable_steps", worst.line, KEYS, excess, whole)
        };
        found.push(match tokens {
            Some(_) => finding,
            None => finding.limits("The batch of the steps is not recorded: a longer step may simply have more to do."),
        });
    }
    Ok(found)
}

/// Whether a step has so many more tokens than the median that it may take twice as long.
fn is_larger(step: &Step, median: Option<i64>) -> bool {
    let own = step.line.int("tokens");
    own.zip(median).is_some_and(|(own, median)| own > median.saturating_mul(3) / 2)
}

fn name(step: &Step) -> String {
    let name =
        step.line.text("name").map_or_else(|| format!("step {}", step.line.int_or_zero("step")), |name| short(&name));
    format!("{} ({})", capital(&name), time(step.ns))
}
