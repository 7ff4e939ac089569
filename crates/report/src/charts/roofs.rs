//! The roofs of a roofline: bandwidth slopes and compute peaks, each with its value and source written on the line.

use super::labels::{Area, Obstacles};
use super::roof_labels;
use super::scale::Scale;
use super::svg::{Element, line, path};
use crate::format;

/// Where a roof comes from, which is also how it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Micro-benchmarks on this device: a solid line.
    Measured,
    /// The vendor's number: a dashed line.
    Datasheet,
    /// The vendor's number at the clock that was observed: a dotted line.
    Observed,
    /// The measured bandwidth of all cores, shared by the cores in use: dashes and dots.
    Shared,
}

impl Source {
    /// Every source, in the order of a legend.
    pub(crate) const ALL: [Self; 4] = [Self::Measured, Self::Datasheet, Self::Observed, Self::Shared];

    /// The source that a result row names.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.word() == name)
    }

    /// The CSS class of its lines.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Measured => "roof",
            Self::Datasheet => "sheet",
            Self::Observed => "observed",
            Self::Shared => "shared",
        }
    }

    /// What a label calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Datasheet => "datasheet",
            Self::Observed => "observed",
            Self::Shared => "shared",
        }
    }

    /// What the legend calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured on the device",
            Self::Datasheet => "datasheet",
            Self::Observed => "datasheet at the observed clock",
            Self::Shared => "measured, memory shared by the cores in use",
        }
    }
}

/// One line: a compute peak or a bandwidth.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// FLOP/s or bytes/s.
    pub(crate) value: f64,
    /// Precision or level.
    pub(crate) name: String,
    /// What reached or states it.
    pub(crate) what: String,
}

/// The roofs of one device from one source.
#[derive(Clone, Debug)]
pub(crate) struct RoofSet {
    pub(crate) source: Source,
    /// Number of the series that it belongs to, where there are several.
    pub(crate) series: Option<usize>,
    pub(crate) compute: Vec<Limit>,
    pub(crate) bandwidth: Vec<Limit>,
}

impl RoofSet {
    /// The highest compute peak.
    pub(crate) fn peak(&self) -> Option<f64> {
        self.compute.iter().map(|limit| limit.value).max_by(f64::total_cmp)
    }

    /// The steepest bandwidth.
    fn steepest(&self) -> Option<f64> {
        self.bandwidth.iter().map(|limit| limit.value).max_by(f64::total_cmp)
    }

    /// What the lines say, with what they come from: a legend's or a description's text.
    pub(crate) fn words(&self) -> String {
        let own = self.series.map_or_else(String::new, |number| format!("({number}) "));
        let named = |limit: &Limit, value: String| {
            let what = if limit.what.is_empty() || limit.what == limit.name {
                String::new()
            } else {
                format!(" ({})", limit.what)
            };
            format!("{} {value}{what}", limit.name)
        };
        let compute = self.compute.iter().map(|limit| named(limit, format::flop_rate(limit.value)));
        let bandwidth = self.bandwidth.iter().map(|limit| named(limit, format::bandwidth(limit.value)));
        format!("{own}{}: {}", self.source.name(), compute.chain(bandwidth).collect::<Vec<_>>().join(", "))
    }
}

/// FLOP/s at which the bandwidth slopes of a set end: its own peak, else the one of the same device's measured or other
/// roofs.
pub(crate) fn cap(sets: &[RoofSet], set: &RoofSet) -> Option<f64> {
    let like = |source: Option<Source>| {
        let same = sets.iter().filter(|other| other.series == set.series);
        let mut peaks = same.filter(|other| source.is_none_or(|source| other.source == source));
        peaks.find_map(RoofSet::peak)
    };
    set.peak().or_else(|| like(Some(Source::Measured))).or_else(|| like(None))
}

/// A drawn line with the words of its label.
pub(super) struct Drawn {
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
    pub(super) name: String,
    /// Number of its series, where there are several.
    pub(super) series: Option<usize>,
    /// FLOP/s or bytes/s.
    pub(super) rate: f64,
    pub(super) value: String,
    pub(super) source: Source,
    pub(super) what: String,
}

impl Drawn {
    fn tooltip(&self) -> String {
        let what = if self.what.is_empty() { String::new() } else { format!(" ({})", self.what) };
        format!("{} {}, {}{what}", self.name, self.value, self.source.name())
    }
}

/// Draws every roof and its label into the plot, off the `markers` where a line has room; what other labels must respect
/// is added to `obstacles`. Returns how many labels were left out for want of room.
pub(crate) fn draw(
    svg: &mut Element,
    sets: &[RoofSet],
    axes: (&Scale, &Scale),
    (plot, markers): (Area, &[Area]),
    obstacles: &mut Obstacles,
) -> usize {
    let (mut slopes, mut peaks) = (Vec::new(), Vec::new());
    for set in sets {
        let cap = cap(sets, set);
        slopes.extend(set.bandwidth.iter().filter_map(|limit| slope(set, limit, cap, axes)));
        let steepest = set.steepest().or_else(|| steepest(sets, set.series));
        peaks.extend(set.compute.iter().filter_map(|limit| peak(set, limit, steepest, axes)));
    }
    for drawn in slopes.iter().chain(&peaks) {
        let data = format!("M{:.1} {:.1}L{:.1} {:.1}", drawn.from.0, drawn.from.1, drawn.to.0, drawn.to.1);
        svg.push(path(&data, drawn.source.class()).tooltip(&drawn.tooltip()));
        obstacles.lines.push((drawn.from, drawn.to));
    }
    // The highest peak of a series, and its outermost level, which is the slowest.
    let (peaks, others) = roof_labels::chosen(peaks, |one, known| one.rate > known.rate);
    let (slopes, inner) = roof_labels::chosen(slopes, |one, known| one.rate < known.rate);
    let dropped = roof_labels::peaks(svg, peaks, (plot, markers), obstacles);
    others + inner + dropped + roof_labels::slopes(svg, slopes, (plot, markers), obstacles)
}

fn owned(set: &RoofSet, name: &str) -> String {
    set.series.map_or_else(|| name.to_owned(), |number| format!("({number}) {name}"))
}

fn slope(set: &RoofSet, limit: &Limit, cap: Option<f64>, (x, y): (&Scale, &Scale)) -> Option<Drawn> {
    let ((x_low, x_high), (y_low, y_high)) = (x.ends(), y.ends());
    let start = x_low.max(y_low / limit.value);
    let end = x_high.min(cap.unwrap_or(y_high).min(y_high) / limit.value);
    let at = |intensity: f64| (x.pixel(intensity), y.pixel(intensity * limit.value));
    let drawn = || Drawn {
        from: at(start),
        to: at(end),
        name: owned(set, &limit.name),
        series: set.series,
        rate: limit.value,
        value: format::bandwidth(limit.value),
        source: set.source,
        what: limit.what.clone(),
    };
    (start < end).then(drawn)
}

/// The steepest bandwidth of a series from any source: where its peaks begin if their own source states none.
fn steepest(sets: &[RoofSet], series: Option<usize>) -> Option<f64> {
    sets.iter().filter(|set| set.series == series).filter_map(RoofSet::steepest).max_by(f64::total_cmp)
}

fn peak(set: &RoofSet, limit: &Limit, steepest: Option<f64>, (x, y): (&Scale, &Scale)) -> Option<Drawn> {
    let ((x_low, x_high), (y_low, y_high)) = (x.ends(), y.ends());
    let start = steepest.map_or(x_low, |bandwidth| limit.value / bandwidth).max(x_low);
    let drawn = || Drawn {
        from: (x.pixel(start), y.pixel(limit.value)),
        to: (x.pixel(x_high), y.pixel(limit.value)),
        name: owned(set, &limit.name),
        series: set.series,
        rate: limit.value,
        value: format::flop_rate(limit.value),
        source: set.source,
        what: limit.what.clone(),
    };
    (start < x_high && (y_low..=y_high).contains(&limit.value)).then(drawn)
}

/// One line of the legend a source: a sample, and its words where the lines do not say all.
pub(crate) fn sample(source: Source, x: f64, y: f64) -> Element {
    line((x, y), (x + 34.0, y), source.class())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, value: f64) -> Limit {
        Limit { value, name: name.to_owned(), what: String::new() }
    }

    fn set(source: Source, compute: &[(&str, f64)], bandwidth: &[(&str, f64)]) -> RoofSet {
        let limits = |all: &[(&str, f64)]| all.iter().map(|(name, value)| limit(name, *value)).collect();
        RoofSet { source, series: None, compute: limits(compute), bandwidth: limits(bandwidth) }
    }

    fn rendered(sets: &[RoofSet]) -> String {
        let plot = Area { x: 0.0, y: 0.0, width: 800.0, height: 400.0 };
        let (x, y) = (Scale::log(0.01, 1e4, (0.0, 800.0)), Scale::log(1e9, 1e16, (400.0, 0.0)));
        let mut svg = Element::new("g");
        draw(&mut svg, sets, (&x, &y), (plot, &[]), &mut Obstacles::default());
        svg.render()
    }

    #[test]
    fn near_lines_share_a_label_that_names_them_once() {
        let svg = rendered(&[
            set(Source::Datasheet, &[("bf16", 989e12)], &[("DRAM", 3.35e12)]),
            set(Source::Measured, &[("bf16", 800e12)], &[("DRAM", 3.0e12), ("L2", 8e12)]),
        ]);
        assert!(svg.contains(">bf16 989 TFLOP/s datasheet, 800 TFLOP/s measured<"), "{svg}");
        // 8 and 3.35 TB/s lie 0.38 decades apart: 60 pixels a decade on the y axis, 137 on the x axis, so 21 across.
        assert!(
            svg.contains(">DRAM 3.35 TB/s datasheet, 3.00 TB/s measured<") && svg.contains(">L2 8.00 TB/s measured<")
        );
        assert!(svg.contains("class=\"sheet\"") && svg.contains("class=\"roof\""));
    }

    #[test]
    fn sources_that_read_the_same_need_one_number() {
        let both = [set(Source::Datasheet, &[("f32", 67e12)], &[]), set(Source::Measured, &[("f32", 67e12)], &[])];
        assert!(rendered(&both).contains(">f32 67.0 TFLOP/s datasheet and measured<"));
    }

    #[test]
    fn a_bandwidth_without_a_peak_of_its_source_ends_at_the_measured_one() {
        let sets = [set(Source::Measured, &[("f32", 1e12)], &[]), set(Source::Shared, &[], &[("DRAM", 1e10)])];
        assert_eq!(cap(&sets, &sets[1]), Some(1e12));
        assert_eq!(cap(&sets[1..], &sets[1]), None);
        assert!(rendered(&sets[1..]).contains("DRAM 10.0 GB/s shared"));
    }

    #[test]
    fn hostile_values_draw_nothing_that_is_not_finite() {
        let hostile = [f64::MIN_POSITIVE, 1e308].map(|value| set(Source::Datasheet, &[("a", value)], &[("b", value)]));
        let svg = rendered(&hostile);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
