//! Ceilings of a device from its hardware spec, and from what the counter page tells about its clock and peaks.

use proftool_hardware::gpu::{self, Clock, GpuSpec, Match, Part, Probed};
use proftool_roofline::{Level, Precision, Roof, RoofSource};

use super::ceilings::{Ceiling, Resource, byte_rate, flop_rate};
use super::devices::Probe;
use super::profiled::Observed;

/// The hardware spec of a probed GPU.
pub(crate) fn matching(probe: &Probe) -> Option<Match> {
    if probe.kind == "cpu" {
        return None;
    }
    gpu::matching(&Probed {
        name: &probe.name,
        arch: probe.arch.as_deref(),
        sm_count: probe.sm_count,
        memory_bytes: probe.memory_bytes,
        clock_hz: probe.clock_hz.map(|hz| hz as f64),
    })
}

/// A number of the spec.
struct Number<'a> {
    resource: Resource,
    name: &'a str,
    value: f64,
    clock_hz: Option<f64>,
    accumulate: Option<&'a str>,
    confidence: &'a str,
    disputed: Option<&'a String>,
    /// What the sources say of the clock.
    clock_disputed: Option<&'a String>,
}

/// Every ceiling that a spec states for the part that the device is, at the clocks that it assumes.
pub(crate) fn datasheet(matched: &Match) -> Vec<Ceiling> {
    let ceiling = |number: Number<'_>| {
        let at = number.clock_hz.map_or_else(String::new, megahertz);
        let (words, device) = (words(number.resource, number.name), device(matched, number.resource));
        let label = format!("{words} {device}, datasheet {}{at}", rate(&number));
        number.ceiling(RoofSource::Datasheet, label)
    };
    numbers(matched.spec).filter_map(|number| number.of_part(matched)).map(ceiling).collect()
}

/// Ceilings while kernels were profiled: the peaks that the pages of those passes state, and else those of the spec at the
/// clock that they observed. DRAM has a clock of its own and keeps the datasheet's bandwidth.
pub(crate) fn observed(matched: Option<&Match>, observed: &Observed, passes: &str) -> Vec<Ceiling> {
    let clock_hz = observed.clock_hz();
    let mut all: Vec<Ceiling> = page(observed, clock_hz, passes).collect();
    let stated: Vec<Resource> = all.iter().map(|ceiling| ceiling.resource).collect();
    let Some((matched, hz)) = matched.zip(clock_hz) else { return all };
    let numbers = scaled(matched.spec, hz).filter_map(|number| number.of_part(matched));
    for number in numbers.filter(|number| !stated.contains(&number.resource)) {
        let (words, device) = (words(number.resource, number.name), device(matched, number.resource));
        let at = match number.resource {
            Resource::Bandwidth(Level::Dram) => " (it does not follow the compute clock)".to_owned(),
            _ => format!("{}, the median clock of {passes}", megahertz(hz)),
        };
        let label = format!("{words} {device}, observed {}{at}", rate(&number));
        all.push(number.ceiling(RoofSource::Observed, label));
    }
    all
}

/// The peaks that a page states.
fn page(observed: &Observed, clock_hz: Option<f64>, passes: &str) -> impl Iterator<Item = Ceiling> {
    let compute = observed.peaks().map(|((precision, sparse), value)| (Resource::Compute(precision, sparse), value));
    let bandwidth = observed.bandwidths().map(|(level, value)| (Resource::Bandwidth(level), value));
    compute.chain(bandwidth).map(move |(resource, value)| {
        let clock_hz = clock_hz.filter(|_| matches!(resource, Resource::Compute(..)));
        let number = Number {
            resource,
            name: "page",
            value,
            clock_hz,
            accumulate: None,
            confidence: "observed",
            disputed: None,
            clock_disputed: None,
        };
        let at = clock_hz.map_or_else(String::new, megahertz);
        let label =
            format!("{}, observed {}{at}: the median peak that {passes} state", words(resource, ""), rate(&number));
        Ceiling { confidence: None, ..number.ceiling(RoofSource::Observed, label) }
    })
}

fn numbers(spec: &GpuSpec) -> impl Iterator<Item = Number<'_>> {
    let clock = |name: &String| spec.clock(name);
    let compute = spec.compute.iter().filter_map(move |row| {
        Some(Number {
            resource: Resource::Compute(Precision::parse(&row.precision)?, row.sparse),
            name: "peak",
            value: row.value,
            clock_hz: clock(&row.clock).map(|clock| clock.hz),
            accumulate: Some(row.accumulate.as_str()),
            confidence: &row.confidence,
            disputed: row.disputed.as_ref(),
            clock_disputed: clock(&row.clock).and_then(disputed),
        })
    });
    let bandwidth = spec.bandwidth.iter().filter_map(move |row| {
        Some(Number {
            resource: Resource::Bandwidth(Level::parse(&row.level)?),
            name: "peak",
            value: row.value,
            clock_hz: row.clock.as_ref().and_then(clock).map(|clock| clock.hz),
            accumulate: None,
            confidence: &row.confidence,
            disputed: row.disputed.as_ref(),
            clock_disputed: row.clock.as_ref().and_then(clock).and_then(disputed),
        })
    });
    let links = spec.link.iter().map(|row| Number {
        resource: Resource::Link,
        name: &row.name,
        value: row.value,
        clock_hz: None,
        accumulate: None,
        confidence: &row.confidence,
        disputed: row.disputed.as_ref(),
        clock_disputed: None,
    });
    let row = &spec.instructions;
    let instructions = Number {
        resource: Resource::Instructions,
        name: "issue",
        value: row.value,
        clock_hz: clock(&row.clock).map(|clock| clock.hz),
        accumulate: None,
        confidence: &row.confidence,
        disputed: row.disputed.as_ref(),
        clock_disputed: clock(&row.clock).and_then(disputed),
    };
    compute.chain(bandwidth).chain(links).chain([instructions])
}

fn disputed(clock: &Clock) -> Option<&String> {
    clock.disputed.as_ref()
}

/// The numbers of a spec that follow the compute clock at that clock, and DRAM as it is. Which clock the datasheet assumes
/// does not matter to them, so neither does what is disputed about it.
fn scaled(spec: &GpuSpec, hz: f64) -> impl Iterator<Item = Number<'_>> {
    let at = spec.at_clock(hz);
    let value = move |number: &Number<'_>| {
        let at = at.as_ref()?;
        match number.resource {
            Resource::Compute(precision, sparse) => {
                let is = |row: &gpu::Compute| row.precision == precision.name() && row.sparse == sparse;
                at.compute.iter().find(|(row, _)| is(row)).map(|(_, value)| *value)
            }
            Resource::Bandwidth(level) => {
                at.bandwidth.iter().find(|(row, _)| Level::parse(&row.level) == Some(level)).map(|(_, value)| *value)
            }
            Resource::Instructions => Some(at.instructions),
            Resource::Link => None,
        }
    };
    numbers(spec).filter_map(move |number| {
        let clock_hz = number.clock_hz.map(|_| hz);
        Some(Number { value: value(&number)?, clock_hz, clock_disputed: None, ..number })
    })
}

/// Whether each unit of the device has its own.
fn is_of_unit(resource: Resource) -> bool {
    match resource {
        Resource::Compute(..) | Resource::Instructions => true,
        Resource::Bandwidth(level) => matches!(level, Level::L1 | Level::Lds),
        Resource::Link => false,
    }
}

/// `h100-sxm`, and of what belongs to units while the device has fewer of them `h100-sxm (16 of 132 SM)`.
fn device(matched: &Match, resource: Resource) -> String {
    let part = matched.part.words(matched.spec).filter(|_| is_of_unit(resource));
    part.map_or_else(|| matched.spec.slug.clone(), |part| format!("{} ({part})", matched.spec.slug))
}

impl Number<'_> {
    /// What of it the matched part has. A slice has an unknown share of the memory and of the caches that all units share.
    fn of_part(self, matched: &Match) -> Option<Self> {
        if is_of_unit(self.resource) {
            return Some(Self { value: self.value * matched.part.share(matched.spec)?, ..self });
        }
        let shared = matches!(self.resource, Resource::Bandwidth(_));
        (!shared || !matches!(matched.part, Part::Slice(_))).then_some(self)
    }

    fn ceiling(self, source: RoofSource, label: String) -> Ceiling {
        Ceiling {
            resource: self.resource,
            name: self.name.to_owned(),
            roof: Roof { value: self.value, source, label, disputed: self.disputed.or(self.clock_disputed).cloned() },
            clock_hz: self.clock_hz,
            accumulate: self.accumulate.map(str::to_owned),
            confidence: Some(self.confidence.to_owned()),
        }
    }
}

fn words(resource: Resource, name: &str) -> String {
    match resource {
        Resource::Compute(precision, false) => precision.name().to_owned(),
        Resource::Compute(precision, true) => format!("{} sparse", precision.name()),
        Resource::Bandwidth(level) => level.name().to_owned(),
        Resource::Link => format!("link {name}"),
        Resource::Instructions => "warp instructions".to_owned(),
    }
}

fn rate(number: &Number<'_>) -> String {
    match number.resource {
        Resource::Compute(precision, _) if precision.is_integer() => flop_rate(number.value).replace("FLOP", "op"),
        Resource::Compute(..) => flop_rate(number.value),
        Resource::Bandwidth(_) => byte_rate(number.value),
        Resource::Link => format!("{} one way", byte_rate(number.value)),
        Resource::Instructions => format!("{:.1} GIPS", number.value / 1e9),
    }
}

fn megahertz(hz: f64) -> String {
    format!(" at {:.0} MHz", hz / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str, sm_count: Option<i64>) -> Match {
        let probe = Probe { name: name.to_owned(), kind: "cuda".to_owned(), sm_count, ..Probe::default() };
        matching(&probe).unwrap()
    }

    fn roof(matched: &Match, resource: Resource) -> Option<Roof> {
        datasheet(matched).into_iter().find(|ceiling| ceiling.resource == resource).map(|ceiling| ceiling.roof)
    }

    const BF16: Resource = Resource::Compute(Precision::MatrixBf16, false);
    const L1: Resource = Resource::Bandwidth(Level::L1);
    const DRAM: Resource = Resource::Bandwidth(Level::Dram);

    #[test]
    fn what_is_disputed_about_a_clock_is_disputed_about_the_roofs_that_assume_it() {
        let disputed = |slug: &str, resource| roof(&probe(slug, None), resource).and_then(|roof| roof.disputed);
        let said = |slug: &str, resource, text: &str| disputed(slug, resource).is_some_and(|said| said.contains(text));
        assert!(said("b200", BF16, "no document states the clock") && said("b200", L1, "37 to 40 (f64)"));
        assert!(said("gb200", Resource::Instructions, "1.2 GHz") && said("rtx-5090", BF16, "above its boost clock"));
        // Its own words come first, and DRAM has none of the clock's.
        assert!(said("b300", BF16, "bf16 2.25 or 3.5") && said("b200", DRAM, "8 TB/s (DGX)"));
        assert_eq!(
            (disputed("h100-sxm", DRAM), disputed("h100-sxm", BF16), disputed("rtx-5090", DRAM)),
            (None, None, None)
        );
        // At an observed clock that of the datasheet does not matter.
        let b200 = gpu::find("b200").unwrap();
        let at = |resource| scaled(b200, 1e9).find(|number| number.resource == resource).unwrap();
        assert!(at(BF16).clock_disputed.is_none() && at(BF16).disputed.is_none());
    }

    #[test]
    fn a_part_with_fewer_units_has_that_share_of_what_belongs_to_units() {
        let part = probe("NVIDIA H100 80GB HBM3", Some(16));
        // 16 x 4096 FLOP x 1.83 GHz = 119.93 TFLOP/s, 16 x 128 B x 1.98 GHz = 4.055 TB/s, 16 x 4 x 1.98 = 126.72 GIPS.
        for (resource, value) in [(BF16, 119.931e12), (L1, 4.055_04e12), (Resource::Instructions, 126.72e9)] {
            let roof = roof(&part, resource).unwrap();
            assert!((roof.value / value - 1.0).abs() < 1e-4, "{roof:?}");
            assert!(roof.label.contains("h100-sxm (16 of 132 SM), datasheet"), "{roof:?}");
        }
        let dram = roof(&part, DRAM).unwrap();
        assert!(
            (dram.value / 3352.32e9 - 1.0).abs() < 1e-9 && dram.label.contains("DRAM h100-sxm, datasheet"),
            "{dram:?}"
        );
        assert!(part.note.is_some_and(|note| note.contains("16 SMs, the spec 132")));
        // Nothing is known of a device with no units at all, or more than were sold.
        for units in [i64::MIN, 0, 133, i64::MAX] {
            let whole = probe("NVIDIA H100 80GB HBM3", Some(units));
            assert!(roof(&whole, BF16).is_some_and(|roof| roof.value > 989e12) && whole.note.is_some());
        }
    }

    #[test]
    fn a_slice_has_no_roof_of_what_all_units_share() {
        let slice = probe("NVIDIA A100-SXM4-40GB MIG 1g.5gb", Some(14));
        // 14 x 2048 FLOP x 1.41 GHz = 40.43 TFLOP/s.
        assert!(roof(&slice, BF16).is_some_and(|roof| (roof.value / 40.4275e12 - 1.0).abs() < 1e-4));
        let levels = [DRAM, Resource::Bandwidth(Level::L2)];
        assert!(levels.iter().all(|level| roof(&slice, *level).is_none()) && roof(&slice, L1).is_some());
        let unknown = probe("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None);
        let left = [BF16, L1, DRAM, Resource::Instructions].map(|resource| roof(&unknown, resource));
        assert_eq!(left, [None, None, None, None]);
    }
}
