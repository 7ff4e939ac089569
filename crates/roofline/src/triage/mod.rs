//! Why a point is where it cannot be: above its roof, below the bytes that it must move, over 100 %, below zero.
//!
//! Nothing is clipped and nothing is guessed: a cause is named where the row's own data allow it, `likely` where they
//! account for the whole of what is wrong and `possible` where they point there without giving its size. A row that no
//! cause fits is `unexplained`. A new cause is one entry of its list and one function.

mod above_roof;
mod facts;
mod negative_average;
mod overstated_flop;
mod percent_over_100;
#[cfg(test)]
mod tests;
mod text;
mod under_compulsory_bytes;

pub use facts::{Facts, FlopFact, LeftWrites, Matched, Negative, Percentage, RoofFact};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Symptom {
    /// The roofs allow no time as short as the one that was measured.
    AboveRoof,
    /// Counters saw fewer DRAM bytes than the tensors have, or than were written.
    UnderCompulsoryBytes,
    /// Counters saw more FLOP than the kernel does.
    OverstatedFlop,
    /// A metric in percent is over 100.
    PercentOver100,
    /// A sampled metric that cannot be negative is.
    NegativeAverage,
}

impl Symptom {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::AboveRoof => "above_roof",
            Self::UnderCompulsoryBytes => "under_compulsory_bytes",
            Self::OverstatedFlop => "overstated_flop",
            Self::PercentOver100 => "percent_over_100",
            Self::NegativeAverage => "negative_average",
        }
    }
}

/// How well a cause fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// It accounts for the whole of it.
    Likely,
    /// The data point there, and don't give its size or leave a rest.
    Possible,
}

impl Confidence {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Possible => "possible",
        }
    }
}

/// That a cause fits, and by which numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// How well.
    pub confidence: Confidence,
    /// The numbers of the row that say so.
    pub evidence: String,
}

impl Fit {
    fn likely(evidence: String) -> Self {
        Self { confidence: Confidence::Likely, evidence }
    }

    fn possible(evidence: String) -> Self {
        Self { confidence: Confidence::Possible, evidence }
    }

    /// Likely where it explains the whole.
    fn of(whole: bool, evidence: String) -> Self {
        if whole { Self::likely(evidence) } else { Self::possible(evidence) }
    }
}

/// One cause of one symptom.
#[derive(Debug)]
pub struct Cause {
    /// The name in results; one symptom has it once.
    pub slug: &'static str,
    /// What it explains.
    pub symptom: Symptom,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Whether the row's data allow it.
    fits: fn(&Facts) -> Option<Fit>,
}

/// Every cause, by symptom.
pub fn causes() -> impl Iterator<Item = &'static Cause> {
    [
        above_roof::CAUSES,
        under_compulsory_bytes::CAUSES,
        overstated_flop::CAUSES,
        percent_over_100::CAUSES,
        negative_average::CAUSES,
    ]
    .into_iter()
    .flatten()
}

/// The slug of a row that no cause fits.
pub const UNEXPLAINED: &str = "unexplained";

/// One thing that is wrong and one cause that fits.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub symptom: Symptom,
    /// Its size: bound / time, counted / compulsory bytes, counted FLOP / those of them that are done, percent / 100, the
    /// smallest value; `None` where the row took no time, or did nothing.
    pub size: Option<f64>,
    /// The metric, of the symptoms of metrics.
    pub metric: Option<String>,
    /// Slug of the cause, or [`UNEXPLAINED`].
    pub cause: &'static str,
    /// How well it fits.
    pub confidence: Confidence,
    /// The numbers.
    pub evidence: String,
    /// What to do.
    pub advice: &'static str,
}

/// What is wrong with a row, each thing with the causes that fit, the likely ones first; empty where nothing is.
pub fn triage(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let facts = &facts.cleaned();
    if let Some((time, roof)) = facts.above() {
        let numbers = format!(
            "{} for {} that the {} roof of {} allows",
            text::ns(time),
            text::ns(roof.bound_ns),
            roof.source.name(),
            limiter(roof)
        );
        diagnose(facts, Symptom::AboveRoof, facts.excess(), None, &numbers, &mut found);
    }
    if let Some((size, numbers)) = under_compulsory_bytes::symptom(facts) {
        diagnose(facts, Symptom::UnderCompulsoryBytes, size, None, &numbers, &mut found);
    }
    if let Some((size, numbers)) = overstated_flop::symptom(facts) {
        diagnose(facts, Symptom::OverstatedFlop, size, None, &numbers, &mut found);
    }
    let mut alone = Facts { percentages: Vec::new(), negatives: Vec::new(), ..facts.clone() };
    for metric in &facts.percentages {
        alone.percentages = vec![metric.clone()];
        let numbers = format!("{} is {} %", metric.metric, text::plain(metric.value));
        diagnose(
            &alone,
            Symptom::PercentOver100,
            Some(metric.value / 100.0),
            Some(&metric.metric),
            &numbers,
            &mut found,
        );
    }
    alone.percentages.clear();
    for metric in &facts.negatives {
        alone.negatives = vec![metric.clone()];
        let (negative, samples, min) = (metric.negative, metric.samples, text::plain(metric.min));
        let numbers = format!("{}: {negative} of {samples} samples are negative, down to {min}", metric.metric);
        diagnose(&alone, Symptom::NegativeAverage, Some(metric.min), Some(&metric.metric), &numbers, &mut found);
    }
    found
}

/// Adds the causes that fit one symptom, or that none does.
fn diagnose(
    facts: &Facts,
    symptom: Symptom,
    size: Option<f64>,
    metric: Option<&str>,
    numbers: &str,
    found: &mut Vec<Finding>,
) {
    let start = found.len();
    let finding = |cause, confidence, evidence, advice| Finding {
        symptom,
        size,
        metric: metric.map(str::to_owned),
        cause,
        confidence,
        evidence,
        advice,
    };
    for cause in causes().filter(|cause| cause.symptom == symptom) {
        if let Some(fit) = (cause.fits)(facts) {
            let evidence = format!("{numbers}; {}", fit.evidence);
            found.push(finding(cause.slug, fit.confidence, evidence, cause.advice));
        }
    }
    if found.len() == start {
        found.push(finding(UNEXPLAINED, Confidence::Possible, numbers.to_owned(), unexplained(symptom)));
    }
    found[start..].sort_by_key(|finding| finding.confidence);
}

/// What to collect where nothing fits.
fn unexplained(symptom: Symptom) -> &'static str {
    match symptom {
        Symptom::AboveRoof => {
            "record the compute clock, measure the ceilings on this device (`proftool ceilings`) and count FLOP and bytes \
             with a profiler"
        }
        Symptom::UnderCompulsoryBytes => "count reads and writes of DRAM apart, over several launches",
        Symptom::OverstatedFlop => "collect counters of tensor operations instead of instructions",
        Symptom::PercentOver100 => "collect the metric alone, over a longer launch",
        Symptom::NegativeAverage => "do not average the metric; use the variant of it that is a percentage",
    }
}

fn limiter(roof: &RoofFact) -> String {
    match roof.limiter {
        crate::Limiter::Memory(level) => level.name().to_owned(),
        other => other.name().to_owned(),
    }
}
