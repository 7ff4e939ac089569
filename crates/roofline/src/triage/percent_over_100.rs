//! Causes of a percentage over 100 (Nsight Compute's guide, "Range and precision"; the FAQ of ROCm Compute Profiler).

use super::facts::ratio;
use super::{Cause, Facts, Fit, Percentage, Symptom, text};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        slug: "multi_pass",
        symptom: Symptom::PercentOver100,
        doc: "The two counters of the ratio were collected in different replays of the launch.",
        advice: "collect fewer metrics, so that they fit in one pass",
        fits: multi_pass,
    },
    Cause {
        slug: "short_launch",
        symptom: Symptom::PercentOver100,
        doc: "The launch is too short for the device to reach a steady state (about 20 us).",
        advice: "profile a larger launch",
        fits: short_launch,
    },
    Cause {
        slug: "burst_rate",
        symptom: Symptom::PercentOver100,
        doc: "The denominator is the sustained peak, which a burst can pass.",
        advice: "read it as 100 %",
        fits: burst_rate,
    },
    Cause {
        slug: "summed_instances",
        symptom: Symptom::PercentOver100,
        doc: "The percentage is a sum over units, each of which has 100.",
        advice: "divide by the number of units, or collect the average",
        fits: summed_instances,
    },
    Cause {
        slug: "dual_issue",
        symptom: Symptom::PercentOver100,
        doc: "The unit can issue two instructions a cycle, the peak counts one.",
        advice: "read it as a rate of up to 200 %",
        fits: dual_issue,
    },
    Cause {
        slug: "clock_drift",
        symptom: Symptom::PercentOver100,
        doc: "The device ran at a higher clock than the peak assumes.",
        advice: "compare with the peak at the observed clock",
        fits: clock_drift,
    },
    Cause {
        slug: "shared_device",
        symptom: Symptom::PercentOver100,
        doc: "A display, a copy engine or another process used the memory that the metric counts.",
        advice: "profile on a device that nothing else uses",
        fits: shared_device,
    },
];

/// The metric in question, in lower case, and its share of one.
fn metric(facts: &Facts) -> Option<(String, f64)> {
    let Percentage { metric, value } = facts.percentages.first()?;
    Some((metric.to_ascii_lowercase(), value / 100.0))
}

/// A launch that is long enough for counters of two passes to agree (Nsight Compute's guide: generally over 20 us).
const STEADY_NS: f64 = 20_000.0;

/// The time of one launch, by the counting tool where it says it.
fn launch_ns(facts: &Facts) -> Option<f64> {
    let total = facts.replay_ns.or(facts.time_ns).filter(|ns| *ns > 0.0)?;
    Some(total / facts.runs())
}

fn multi_pass(facts: &Facts) -> Option<Fit> {
    let (name, _) = metric(facts)?;
    // Hits and queries of one pass cannot give more than all; other ratios need to be known to be of several.
    let is_hits = ["hit rate", "hit_rate", "hit ratio"].iter().any(|rate| name.contains(rate));
    match facts.passes {
        Some(0 | 1) => None,
        Some(passes) => Some(Fit::of(is_hits, format!("the launch was replayed in {passes} passes"))),
        None => is_hits.then(|| Fit::possible("one pass cannot count more hits than queries".to_owned())),
    }
}

fn short_launch(facts: &Facts) -> Option<Fit> {
    metric(facts)?;
    let launch = launch_ns(facts).filter(|launch| *launch < STEADY_NS)?;
    Some(Fit::possible(format!("the launch takes {}", text::ns(launch))))
}

fn burst_rate(facts: &Facts) -> Option<Fit> {
    let (name, share) = metric(facts)?;
    let sustained = name.contains("peak_sustained") || name.contains("throughput");
    (sustained && share <= 1.05).then(|| Fit::possible(format!("{} of the sustained peak", text::percent(share))))
}

fn summed_instances(facts: &Facts) -> Option<Fit> {
    let (name, share) = metric(facts)?;
    let units = facts.units.or(facts.cores).filter(|units| *units > 1.0)?;
    let summed = name.contains(".sum") || name.ends_with("_sum") || name.contains("cpu");
    (summed && share <= units * 1.001)
        .then(|| Fit::likely(format!("{0} units have {0} times 100 %", text::plain(units))))
}

fn dual_issue(facts: &Facts) -> Option<Fit> {
    let (name, share) = metric(facts)?;
    let vector = name.contains("valu") && (name.contains("util") || name.contains("flop"));
    (vector && share <= 2.0)
        .then(|| Fit::likely(format!("{} of a peak of one instruction a cycle", text::percent(share))))
}

fn clock_drift(facts: &Facts) -> Option<Fit> {
    let (_, share) = metric(facts)?;
    let assumed = facts.roof.as_ref().and_then(|roof| roof.clock_hz);
    let scale = ratio(facts.clock_hz, assumed).filter(|scale| *scale > 1.001)?;
    let [observed, assumed] = [facts.clock_hz, assumed].map(|clock| text::hz(clock.unwrap_or_default()));
    Some(Fit::of(share <= scale * 1.001, format!("{observed} observed, {assumed} assumed")))
}

fn shared_device(facts: &Facts) -> Option<Fit> {
    let (name, _) = metric(facts)?;
    let memory = ["dram", "lts__", "l2", "pcie", "nvlink", "memory", "fbpa"].iter().any(|unit| name.contains(unit));
    (memory && facts.shared == Some(true)).then(|| Fit::possible("something else used the device".to_owned()))
}
