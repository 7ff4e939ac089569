//! The sampled roofline: what percentages of GPU metrics say about memory, links and matrix units, without a replay.
//!
//! A percentage is weighted by the time that its sample covers inside the windows. Times a datasheet peak it is a rate:
//! bytes/s = DRAM % x bandwidth, FLOP/s = matrix units active % x their peak, and the quotient of both a sampled
//! intensity. "Active" counts cycles in which the unit had work, so that FLOP/s made of it is an upper estimate. The
//! windows of a phase are the times in which its activities run on the device; a phase that is null is the whole window.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use polars::prelude::DataFrame;
use proftool_roofline::{Level, Precision};
use proftool_trace::table::{Table, float, int, text};
use proftool_trace::tables;

use super::roofline_instruction::launches_in;
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::model::{DeviceKey, Model, Rows};
use crate::operators::{Span, intersect, union};
use crate::roofline::wire::{Link, link_roof};
use crate::roofline::{DeviceRoofs, Engine};
use crate::samples::series::{self, Series, Tally};
use crate::windows::{Scope, WindowSet};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_sampled",
    doc: "What sampled GPU metrics say about memory, links and matrix units in each phase, against the datasheet.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_sampled",
    doc: "One sampled metric of one device in one phase of one window set, and sums of metrics that belong together.",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text("phase", "The phase whose activities bound the windows, or null for the whole window set.").or_null(),
        text("metric", "Name that the tool gives it; of a sum the names' common part."),
        text("role", "What it measures: `dram_read`, `dram_write`, `dram`, `nvlink_rx`, `nvlink_tx`, `nvlink_protocol`, `pcie_rx`, `pcie_tx`, `sm_active`, `sm_issue`, `matrix_active`, `clock`; null for another.")
            .or_null(),
        text("unit", "Unit of mean, min and max.").or_null(),
        int("samples", "Samples that touch the windows."),
        int("span_ns", "Length of the windows."),
        int("covered_ns", "Part of it that samples cover."),
        float("coverage_ratio", "covered_ns / span_ns.").or_null(),
        float("mean", "Mean of the values, weighted by their time inside the windows.").or_null(),
        float("min", "Smallest value.").or_null(),
        float("max", "Largest value.").or_null(),
        float("roof_ratio", "Share of the roof: mean / 100 of a percentage.").or_null(),
        float("bytes_per_s", "roof_ratio x roof_bytes_per_s.").or_null(),
        float("roof_bytes_per_s", "The datasheet bandwidth of the memory, or of one direction of the link.").or_null(),
        float("flop_per_s", "roof_ratio x roof_flop_per_s: an upper estimate.").or_null(),
        float("roof_flop_per_s", "The datasheet's dense peak of the precision.").or_null(),
        text("precision", "The one matrix precision that the kernels of the windows are known to use.").or_null(),
        float("arithmetic_intensity", "Sampled flop_per_s / sampled DRAM bytes_per_s.").or_null(),
        float("clock_hz", "Mean of the sampled compute clock.").or_null(),
        text("roof", "The denominator.").or_null(),
        text("reason", "Why a rate that the role allows is null.").or_null(),
        text("flags", "`negative_samples`, `over_100_samples`, `over_limit_samples`, joined by `;`; null where none is.")
            .or_null(),
        int("negative_samples", "Samples below zero, which none of these metrics can be: its counter overflowed."),
        int("over_100_samples", "Samples of a percentage above 100; null for another unit.").or_null(),
        int("over_limit_samples", "Samples above `limit`; null without one.").or_null(),
        float("limit", "What the device can hold at most: of warps 64 a multiprocessor.").or_null(),
    ],
};

/// Parts of a metric's name, in lower case, that tell what it measures; the first line whose parts all occur decides.
/// The names are those of Nsight Systems' GPU metrics, whose wording changed between versions.
const ROLES: &[(&[&str], Role)] = &[
    (&["dram", "read"], Role::DramRead),
    (&["dram", "write"], Role::DramWrite),
    (&["dram", "bandwidth"], Role::Dram),
    (&["nvlink", "protocol"], Role::NvlinkProtocol),
    (&["nvlink", "rx"], Role::NvlinkRx),
    (&["nvlink", "tx"], Role::NvlinkTx),
    (&["pcie", "rx"], Role::PcieRx),
    (&["pcie", "tx"], Role::PcieTx),
    (&["sm active"], Role::SmActive),
    (&["sms active"], Role::SmActive),
    (&["sm issue"], Role::SmIssue),
    (&["sm instructions"], Role::SmIssue),
    (&["tensor active"], Role::MatrixActive),
    (&["gpc clock"], Role::Clock),
    (&["sm clock"], Role::Clock),
];

/// Warps that a multiprocessor of any generation can hold at most (compute capability 7.0 and 8.0 to 10.0: 64; others
/// hold fewer).
pub(in crate::metrics) const WARPS: f64 = 64.0;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    DramRead,
    DramWrite,
    Dram,
    NvlinkProtocol,
    NvlinkRx,
    NvlinkTx,
    PcieRx,
    PcieTx,
    SmActive,
    SmIssue,
    MatrixActive,
    Clock,
}

impl Role {
    fn of(metric: &str) -> Option<Self> {
        let name = metric.to_ascii_lowercase();
        ROLES.iter().find(|(parts, _)| parts.iter().all(|part| name.contains(part))).map(|(_, role)| *role)
    }

    fn name(self) -> &'static str {
        match self {
            Self::DramRead => "dram_read",
            Self::DramWrite => "dram_write",
            Self::Dram => "dram",
            Self::NvlinkProtocol => "nvlink_protocol",
            Self::NvlinkRx => "nvlink_rx",
            Self::NvlinkTx => "nvlink_tx",
            Self::PcieRx => "pcie_rx",
            Self::PcieTx => "pcie_tx",
            Self::SmActive => "sm_active",
            Self::SmIssue => "sm_issue",
            Self::MatrixActive => "matrix_active",
            Self::Clock => "clock",
        }
    }

    fn link(self) -> Option<Link> {
        match self {
            Self::NvlinkRx | Self::NvlinkTx | Self::NvlinkProtocol => Some(Link::Nvlink),
            Self::PcieRx | Self::PcieTx => Some(Link::Pcie),
            _ => None,
        }
    }

    fn is_dram(self) -> bool {
        matches!(self, Self::DramRead | Self::DramWrite | Self::Dram)
    }
}

/// One phase of one window set on one device.
struct Place {
    window: String,
    phase: Option<String>,
    spans: Vec<Span>,
    /// Matrix precisions of the launches whose counts are known.
    precisions: BTreeSet<Precision>,
}

/// What is known about a device.
struct Facts<'a> {
    device: DeviceKey,
    roofs: Option<&'a DeviceRoofs>,
    sm_count: Option<i64>,
}

#[derive(Clone, Default)]
struct Row {
    device: DeviceKey,
    window: String,
    phase: Option<String>,
    metric: String,
    role: Option<Role>,
    unit: Option<String>,
    tally: Tally,
    span: i64,
    mean: Option<f64>,
    ratio: Option<f64>,
    bytes: Option<f64>,
    roof_bytes: Option<f64>,
    flop: Option<f64>,
    roof_flop: Option<f64>,
    precision: Option<Precision>,
    intensity: Option<f64>,
    clock: Option<f64>,
    roof: Option<String>,
    reason: Option<&'static str>,
    percent: bool,
    limit: Option<f64>,
}

impl Row {
    fn over_100(&self) -> Option<i64> {
        self.percent.then_some(self.tally.over)
    }

    fn over_limit(&self) -> Option<i64> {
        self.limit.map(|_| self.tally.over)
    }

    fn flags(&self) -> Option<String> {
        let flagged = [
            ("negative_samples", Some(self.tally.negative)),
            ("over_100_samples", self.over_100()),
            ("over_limit_samples", self.over_limit()),
        ];
        let named: Vec<&str> =
            flagged.iter().filter(|(_, count)| count.is_some_and(|count| count > 0)).map(|(name, _)| *name).collect();
        (!named.is_empty()).then(|| named.join(";"))
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let rows = rows(input)?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("phase", |row| row.phase.as_deref())
        .text("metric", |row| Some(&row.metric))
        .text("role", |row| row.role.map(Role::name))
        .text("unit", |row| row.unit.as_deref())
        .int("samples", |row| Some(row.tally.samples))
        .int("span_ns", |row| Some(row.span))
        .int("covered_ns", |row| Some(row.tally.covered_ns))
        .float("coverage_ratio", |row| ratio(row.tally.covered_ns, row.span))
        .float("mean", |row| row.mean)
        .float("min", |row| row.tally.min)
        .float("max", |row| row.tally.max)
        .float("roof_ratio", |row| row.ratio)
        .float("bytes_per_s", |row| row.bytes)
        .float("roof_bytes_per_s", |row| row.roof_bytes)
        .float("flop_per_s", |row| row.flop)
        .float("roof_flop_per_s", |row| row.roof_flop)
        .text("precision", |row| row.precision.map(Precision::name))
        .float("arithmetic_intensity", |row| row.intensity)
        .float("clock_hz", |row| row.clock)
        .text("roof", |row| row.roof.as_deref())
        .text("reason", |row| row.reason)
        .text("flags", Row::flags)
        .int("negative_samples", |row| Some(row.tally.negative))
        .int("over_100_samples", Row::over_100)
        .int("over_limit_samples", Row::over_limit)
        .float("limit", |row| row.limit)
        .build(&TABLE)
}

fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let (model, engine) = (input.model()?, input.engine()?);
    let wanted =
        |metric: &str, unit: Option<&str>| unit == Some("%") || Role::of(metric).is_some() || is_warps(metric, unit);
    let mut devices: BTreeMap<DeviceKey, Vec<Series>> = BTreeMap::new();
    for one in series::read(input.tables, &model.pass, wanted)? {
        devices.entry(one.device).or_default().push(one);
    }
    let sm_counts = sm_counts(input, model)?;
    let mut rows = Vec::new();
    for (device, series) in &devices {
        let facts =
            Facts { device: *device, roofs: engine.roofs(*device), sm_count: sm_counts.get(device).copied().flatten() };
        let extents = series.iter().filter_map(Series::extent).collect::<Vec<_>>();
        for set in sampled_sets(input, *device, &extents)? {
            for place in places(model, engine, *device, &set) {
                rows.extend(of_place(&facts, &place, series));
            }
        }
    }
    Ok(rows)
}

pub(in crate::metrics) fn sm_counts(input: &Input, model: &Model) -> Result<HashMap<DeviceKey, Option<i64>>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::DEVICES), &model.pass)?;
    let keys = rows.ints("rank")?.into_iter().zip(rows.ints("device")?);
    Ok(keys.zip(rows.optional_ints("sm_count")?).collect())
}

/// The window sets of a device. One that ran nothing has those of all devices; where none did, what the samples span.
pub(in crate::metrics) fn sampled_sets(
    input: &Input,
    device: DeviceKey,
    extents: &[Span],
) -> Result<Vec<WindowSet>, Error> {
    for scope in [Scope::Device(device), Scope::All] {
        let sets = input.sets(scope)?;
        if sets.iter().any(|set| !set.spans.is_empty()) {
            return Ok(sets);
        }
    }
    let from = extents.iter().map(|extent| extent.0).min();
    let to = extents.iter().map(|extent| extent.1).max();
    Ok(vec![WindowSet { name: "trace".to_owned(), spans: from.zip(to).into_iter().collect() }])
}

/// The whole of the windows, then each phase by name.
fn places(model: &Model, engine: &Engine, device: DeviceKey, set: &WindowSet) -> Vec<Place> {
    let mut phases: BTreeMap<Option<&str>, (Vec<Span>, BTreeSet<Precision>)> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for placed in launches_in(model, engine, device, set) {
        let Some(activity) = placed.activity.and_then(|index| model.activities.get(index as usize)) else { continue };
        let matrix = engine.counts(placed.counts).into_iter().flat_map(|counts| &counts.flop);
        let matrix = matrix.map(|flop| flop.precision).filter(|precision| precision.is_matrix());
        let phase = placed.phase.map(|phase| engine.names.text(phase));
        if phase.is_some() {
            let (spans, precisions) = phases.entry(phase).or_default();
            spans.push(activity.span);
            precisions.extend(matrix.clone());
        }
        whole.extend(matrix);
    }
    let window = || set.name.clone();
    let first = Place { window: window(), phase: None, spans: set.spans.clone(), precisions: whole };
    let others = phases.into_iter().map(|(phase, (spans, precisions))| Place {
        window: window(),
        phase: phase.map(str::to_owned),
        spans: intersect(&union(&spans), &set.spans),
        precisions,
    });
    std::iter::once(first).chain(others).collect()
}

/// The length of spans that do not overlap.
pub(in crate::metrics) fn length(spans: &[Span]) -> i64 {
    spans.iter().fold(0, |sum: i64, span| sum.saturating_add(span.1.saturating_sub(span.0)))
}

pub(in crate::metrics) fn is_warps(metric: &str, unit: Option<&str>) -> bool {
    unit == Some("Avg") && metric.to_ascii_lowercase().contains("warps in")
}

/// The rows of one place: each metric, then the sums.
fn of_place(facts: &Facts, place: &Place, all: &[Series]) -> Vec<Row> {
    let mut rows: Vec<Row> = all.iter().map(|series| of_series(facts, place, series)).collect();
    let clock = mean_of(&rows, Role::Clock);
    rows.extend(sum(facts, &rows, "DRAM read + write", Role::Dram, &[Role::DramRead, Role::DramWrite]));
    for (name, role) in [("NVLink RX user data", Role::NvlinkRx), ("NVLink TX user data", Role::NvlinkTx)] {
        rows.extend(sum(facts, &rows, name, role, &[role]));
    }
    let dram = rows.iter().find(|row| row.role == Some(Role::Dram)).and_then(|row| row.bytes);
    for row in rows.iter_mut().filter(|row| row.role == Some(Role::MatrixActive)) {
        matrix_rate(facts, place, row);
        row.clock = clock;
        row.intensity = row.flop.zip(dram.filter(|bytes| *bytes > 0.0)).map(|(flop, bytes)| flop / bytes);
    }
    rows
}

fn mean_of(rows: &[Row], role: Role) -> Option<f64> {
    rows.iter().find(|row| row.role == Some(role) && row.flags().is_none()).and_then(|row| row.mean)
}

fn of_series(facts: &Facts, place: &Place, series: &Series) -> Row {
    let percent = series.unit.as_deref() == Some("%");
    let warps = is_warps(&series.metric, series.unit.as_deref());
    let limit = facts.sm_count.filter(|count| warps && *count > 0).map(|count| count as f64 * WARPS);
    let tally = series.over(&place.spans, limit.or(percent.then_some(100.0)));
    let mut row = Row {
        device: facts.device,
        window: place.window.clone(),
        phase: place.phase.clone(),
        metric: series.metric.clone(),
        role: Role::of(&series.metric),
        unit: series.unit.clone(),
        tally,
        span: length(&place.spans),
        mean: tally.mean(),
        percent,
        limit,
        ..Row::default()
    };
    byte_rate(facts, &mut row);
    row
}

/// Turns a percentage of a bandwidth into bytes/s.
fn byte_rate(facts: &Facts, row: &mut Row) {
    row.ratio = row.mean.filter(|_| row.percent && row.tally.negative == 0).map(|mean| mean / 100.0);
    let Some(role) = row.role.filter(|role| role.is_dram() || role.link().is_some()) else { return };
    let roof = match role.link() {
        Some(link) => facts.roofs.and_then(|roofs| link_roof(roofs, link)),
        None => facts.roofs.and_then(|roofs| roofs.datasheet.bandwidth.get(&Level::Dram)).cloned(),
    };
    row.reason = match (&roof, row.ratio) {
        _ if row.tally.negative > 0 => Some("values below 0: the counter overflowed"),
        (_, None) => Some("no percentage was sampled in the windows"),
        (None, _) => Some("the device's datasheet bandwidth is not known"),
        _ => None,
    };
    let Some(roof) = roof else { return };
    row.bytes = row.ratio.map(|ratio| ratio * roof.value);
    row.roof_bytes = Some(roof.value);
    row.roof = Some(roof.label);
}

/// Turns the activity of the matrix units into FLOP/s where their precision is known.
fn matrix_rate(facts: &Facts, place: &Place, row: &mut Row) {
    row.precision = place.precisions.first().filter(|_| place.precisions.len() == 1).copied();
    let peaks = facts.roofs.map(|roofs| &roofs.datasheet.compute);
    let roof = row.precision.and_then(|precision| peaks?.get(&(precision, false)));
    row.reason = match (place.precisions.len(), roof, row.ratio) {
        _ if row.tally.negative > 0 => Some("values below 0: the counter overflowed"),
        (_, _, None) => Some("no percentage was sampled in the windows"),
        (_, _, Some(0.0)) | (1, Some(_), _) => None,
        (0, ..) => Some("no kernel's counts say what precision the matrix units computed"),
        (1, None, _) => Some("the device's datasheet peak of this precision is not known"),
        _ => Some("the kernels use several matrix precisions"),
    };
    // Units that did nothing did no FLOP of any precision.
    row.flop = row.ratio.filter(|ratio| *ratio == 0.0);
    let Some(roof) = roof else { return };
    row.flop = row.ratio.map(|ratio| ratio * roof.value);
    row.roof_flop = Some(roof.value);
    row.roof = Some(roof.label.clone());
}

/// The sum of the percentages with these roles, where there are several; covered where the least covered one is.
fn sum(facts: &Facts, rows: &[Row], metric: &str, role: Role, parts: &[Role]) -> Option<Row> {
    let parts: Vec<&Row> =
        rows.iter().filter(|row| row.percent && row.role.is_some_and(|role| parts.contains(&role))).collect();
    let first = parts.first().filter(|_| parts.len() > 1)?;
    let counted = |count: fn(&Tally) -> i64| parts.iter().map(|row| count(&row.tally)).fold(0, i64::saturating_add);
    let least = |count: fn(&Tally) -> i64| parts.iter().map(|row| count(&row.tally)).min().unwrap_or(0);
    let tally = Tally {
        samples: least(|tally| tally.samples),
        covered_ns: least(|tally| tally.covered_ns),
        negative: counted(|tally| tally.negative),
        over: counted(|tally| tally.over),
        ..Tally::default()
    };
    let mean = parts.iter().map(|row| row.mean).sum::<Option<f64>>();
    let mut row = Row { metric: metric.to_owned(), role: Some(role), tally, mean, ..(*first).clone() };
    byte_rate(facts, &mut row);
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, shared_data};
    use crate::windows::Window;
    use proftool_roofline::{Roof, RoofSource};
    use proftool_trace::frame::{Tables, floats, ints, texts};

    fn sampled(tables: &Tables) -> DataFrame {
        compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
    }

    /// The row of a metric (and a phase).
    fn at(frame: &DataFrame, metric: &str, phase: Option<&str>) -> usize {
        let rows = texts(frame, "metric").unwrap().into_iter().zip(texts(frame, "phase").unwrap());
        rows.into_iter().position(|row| row.0.as_deref() == Some(metric) && row.1.as_deref() == phase).unwrap()
    }

    #[test]
    fn percentages_are_weighted_by_time_in_the_window_and_in_each_phase() {
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 40))
            .work(0, "prefill", 0, 0, 1)
            .kernel(0, 0, (50, 100))
            .work(0, "decode", 0, 0, 1);
        let mut tables = fixture.tables();
        let read = [(-10, 50, 50.0), (50, 90, 20.0)];
        let write = [(0, 100, 10.0)];
        series::put(
            &mut tables,
            &[("DRAM Read Bandwidth [Throughput %]", "%", &read), ("DRAM Write Bandwidth [Throughput %]", "%", &write)],
        );
        let frame = sampled(&tables);
        let read = "DRAM Read Bandwidth [Throughput %]";
        let row = |phase| {
            let row = at(&frame, read, phase);
            let column = |name| ints(&frame, name).unwrap()[row];
            (column("span_ns"), column("covered_ns"), column("samples"), floats(&frame, "mean").unwrap()[row])
        };
        // 50 ns of 50 % and 40 ns of 20 % over 90 ns of the 100: 3300 / 90. Decode: its last 10 ns have no sample.
        assert_eq!(row(None), (Some(100), Some(90), Some(2), Some(3300.0 / 90.0)));
        assert_eq!(row(Some("prefill")), (Some(40), Some(40), Some(1), Some(50.0)));
        assert_eq!(row(Some("decode")), (Some(50), Some(40), Some(1), Some(20.0)));
        let both = at(&frame, "DRAM read + write", Some("prefill"));
        assert_eq!(floats(&frame, "mean").unwrap()[both], Some(60.0));
        assert_eq!(floats(&frame, "roof_ratio").unwrap()[both], Some(0.6));
        assert!(texts(&frame, "reason").unwrap()[both].as_deref().unwrap().contains("datasheet bandwidth"));
    }

    fn series_of(metrics: &[series::FixtureMetric<'_>]) -> Vec<Series> {
        let mut tables = Tables::default();
        series::put(&mut tables, metrics);
        series::read(&tables, "host", |_, _| true).unwrap()
    }

    fn roof(value: f64) -> Roof {
        Roof { value, source: RoofSource::Datasheet, label: "a datasheet".to_owned(), disputed: None }
    }

    #[test]
    fn a_percentage_times_its_roof_is_a_rate_and_two_rates_an_intensity() {
        let mut roofs = DeviceRoofs::default();
        roofs.datasheet.bandwidth.insert(Level::Dram, roof(2e12));
        roofs.datasheet.compute.insert((Precision::MatrixBf16, false), roof(1e15));
        let facts = Facts { device: (0, 0), roofs: Some(&roofs), sm_count: Some(2) };
        let mut place = Place {
            window: "trace".to_owned(),
            phase: None,
            spans: vec![(0, 10)],
            precisions: BTreeSet::from([Precision::MatrixBf16]),
        };
        let all = series_of(&[
            ("DRAM Read Bandwidth [Throughput %]", "%", &[(0, 10, 30.0)]),
            ("DRAM Write Bandwidth [Throughput %]", "%", &[(0, 10, 10.0)]),
            ("Tensor Active [Throughput %]", "%", &[(0, 10, 20.0)]),
            ("GPC Clock Frequency [MHz]", "Hz", &[(0, 10, 1.5e9)]),
        ]);
        // DRAM: 40 % of 2 TB/s = 0.8 TB/s. Matrix units: 20 % of 1 PFLOP/s = 0.2 PFLOP/s. Quotient 250 FLOP/byte.
        let rows = of_place(&facts, &place, &all);
        let matrix = rows.iter().find(|row| row.role == Some(Role::MatrixActive)).unwrap();
        let dram = rows.iter().find(|row| row.role == Some(Role::Dram)).unwrap();
        assert_eq!((dram.bytes, matrix.flop, matrix.clock), (Some(8e11), Some(2e14), Some(1.5e9)));
        assert_eq!((matrix.intensity, matrix.reason), (Some(250.0), None));
        place.precisions.insert(Precision::MatrixF8);
        let rows = of_place(&facts, &place, &all);
        let matrix = rows.iter().find(|row| row.role == Some(Role::MatrixActive)).unwrap();
        assert_eq!((matrix.flop, matrix.intensity), (None, None));
        assert!(matrix.reason.unwrap().contains("several"));
    }

    #[test]
    fn values_that_cannot_be_are_counted_and_make_no_rate() {
        let roofs = DeviceRoofs::default();
        let facts = Facts { device: (0, 0), roofs: Some(&roofs), sm_count: Some(2) };
        let place = Place { window: String::new(), phase: None, spans: vec![(0, 30)], precisions: BTreeSet::default() };
        let all = series_of(&[
            ("DRAM Read Bandwidth [Throughput %]", "%", &[(0, 10, -3.0), (10, 20, 101.0), (20, 30, 100.0)]),
            // Two multiprocessors hold 128 warps.
            ("Compute Warps in Flight [Avg]", "Avg", &[(0, 10, 128.0), (10, 20, 129.0)]),
        ]);
        let rows = of_place(&facts, &place, &all);
        let seen: Vec<_> = rows.iter().map(|row| (row.tally.negative, row.over_100(), row.over_limit())).collect();
        assert_eq!(seen, [(1, Some(1), None), (0, None, Some(1))]);
        assert_eq!(rows[0].flags().unwrap(), "negative_samples;over_100_samples");
        assert_eq!((rows[0].bytes, rows[0].ratio, rows[0].tally.min), (None, None, Some(-3.0)));
        assert_eq!((rows[1].flags().unwrap().as_str(), rows[1].limit), ("over_limit_samples", Some(128.0)));
    }

    #[test]
    fn every_wording_of_a_metric_has_its_role() {
        let role = |name| Role::of(name).map(Role::name);
        assert_eq!(role("SMs Active [Throughput %]"), Some("sm_active"));
        assert_eq!(role("NVLink RX Responses User Data [Throughput %]"), Some("nvlink_rx"));
        assert_eq!(role("NVLink TX Requests Protocol Data [Throughput %]"), Some("nvlink_protocol"));
        assert_eq!(role("DRAM Write Bandwidth [Throughput %]"), Some("dram_write"));
        assert_eq!(role("Unallocated Warps in Active SMs [Avg]"), None);
    }

    #[test]
    fn the_two_overflowed_metrics_of_a_real_capture_are_flagged_and_no_other() {
        let Some(path) = shared_data("nsys/gh200_gpu_metrics.schema3.7.sqlite.gz") else { return };
        let (_, tables) = proftool_import::into_memory(&path).unwrap();
        let frame = sampled(&tables);
        let flags = texts(&frame, "flags").unwrap();
        let metrics = texts(&frame, "metric").unwrap();
        let flagged: Vec<_> = metrics.iter().zip(&flags).filter(|(_, flags)| flags.is_some()).collect();
        assert_eq!(flagged.len(), 2, "{flagged:?}");
        // Counted and summed by a plain loop over the rows of the database, clipped to 287532320..2391511648 ns.
        let warps = at(&frame, "Compute Warps in Flight [Avg]", None);
        let unallocated = at(&frame, "Unallocated Warps in Active SMs [Avg]", None);
        let count = |name, row: usize| ints(&frame, name).unwrap()[row];
        assert_eq!((count("negative_samples", warps), count("over_limit_samples", warps)), (Some(40_947), Some(1046)));
        assert_eq!(count("over_limit_samples", unallocated), Some(41_993));
        let read = at(&frame, "DRAM Read Bandwidth [Throughput %]", None);
        assert_eq!((count("samples", read), count("covered_ns", read)), (Some(42_080), Some(2_103_979_328)));
        let matrix = at(&frame, "Tensor Active [Throughput %]", None);
        assert_eq!(
            floats(&frame, "arithmetic_intensity").unwrap()[matrix],
            Some(0.0),
            "its kernels use no tensor core"
        );
        let mean = |metric| floats(&frame, "mean").unwrap()[at(&frame, metric, None)].unwrap();
        assert!((mean("DRAM Read Bandwidth [Throughput %]") - 12.779_116_993_301_562).abs() < 1e-9);
        assert!((mean("DRAM read + write") - 25.551_259_058_758_205).abs() < 1e-9);
        assert!((mean("SM Active [Throughput %]") - 98.346_600_089_789_48).abs() < 1e-9);
    }
}
