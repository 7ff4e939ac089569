//! The rows of one device after the other: reasons, their union, clocks.

use std::collections::BTreeMap;

use proftool_timeline::weighted::Weighted;
use proftool_trace::tables;

use super::{Clocks, Kind, Known, LOW, Row, lost, seen};
use crate::Error;
use crate::classes::Kind as Work;
use crate::metrics::Input;
use crate::metrics::roofline_sampled::sampled_sets;
use crate::model::{DeviceKey, Model, Rows};
use crate::operators::{Span, clip_set, covered, intersect, into_union, total, union};
use crate::samples::clocks::{self, Domain, Held};
use crate::samples::series::{self, Series};
use crate::samples::{by_device, weighted};
use crate::windows::WindowSet;

const NO_REASONS: &str = "no reasons for low clocks were sampled, which says nothing of whether there were any";
const NO_CLOCKS: &str = "no clock was sampled";

/// A sampled clock.
struct Clock {
    domain: Domain,
    metric: String,
    hertz: Weighted,
    seen: Option<f64>,
    spec: Option<(f64, String)>,
}

/// One device.
struct Place {
    device: DeviceKey,
    /// Its kernels: a set, and one by one.
    running: Vec<Span>,
    kernels: Vec<Span>,
    reasons: Vec<Held>,
    clocks: Vec<Clock>,
}

pub(super) fn rows(input: &Input) -> Result<Vec<Row>, Error> {
    let model = input.model()?;
    let wanted =
        |metric: &str, unit: Option<&str>| clocks::told(metric).is_some() || clocks::clock(metric, unit).is_some();
    let mut series = by_device(series::read(input.tables, &model.pass, wanted)?);
    for device in model.device_keys() {
        series.entry(device).or_default();
    }
    let stated = if series.values().all(Vec::is_empty) { BTreeMap::new() } else { stated_clocks(input, model)? };
    let mut rows = Vec::new();
    for (device, series) in series {
        let place = Place::of(input, device, &series, stated.get(&device))?;
        let extents: Vec<Span> = series.iter().filter_map(Series::extent).collect();
        for set in sampled_sets(input, device, &extents)? {
            place.of_set(&set, &mut rows);
        }
    }
    Ok(rows)
}

/// The clocks that drivers state.
fn stated_clocks(input: &Input, model: &Model) -> Result<BTreeMap<DeviceKey, i64>, Error> {
    let rows = Rows::of_pass(input.tables.get(&tables::DEVICES), &model.pass)?;
    let keys = rows.ints("rank")?.into_iter().zip(rows.ints("device")?);
    let clocks = rows.optional_ints("clock_hz")?.into_iter();
    Ok(keys.zip(clocks).filter_map(|(key, hz)| Some((key, hz.filter(|hz| *hz > 0)?))).collect())
}

impl Place {
    fn of(input: &Input, device: DeviceKey, series: &[Series], stated: Option<&i64>) -> Result<Self, Error> {
        let rows = input.model()?.of_device(device).iter();
        let kernels: Vec<Span> =
            rows.filter(|row| matches!(row.kind, Work::Kernel | Work::Graph)).map(|row| row.span).collect();
        let spec = if series.is_empty() { None } else { spec(input, device, stated)? };
        let clock = |series: &Series| {
            let (domain, scale) = clocks::clock(&series.metric, series.unit.as_deref())?;
            let hertz = weighted(series, scale);
            let spec = spec.clone().filter(|_| domain == Domain::Compute);
            Some(Clock { domain, metric: series.metric.clone(), seen: seen(&hertz), hertz, spec })
        };
        let mut clocks: Vec<Clock> = series.iter().filter_map(clock).collect();
        clocks.sort_by(|a, b| (a.domain, &a.metric).cmp(&(b.domain, &b.metric)));
        Ok(Self {
            device,
            running: union(&kernels),
            kernels,
            reasons: series.iter().flat_map(clocks::held).collect(),
            clocks,
        })
    }

    fn of_set(&self, set: &WindowSet, rows: &mut Vec<Row>) {
        if self.reasons.is_empty() {
            rows.push(Row { why: Some(NO_REASONS), ..self.row(Kind::Reason, set) });
        } else {
            rows.push(self.any(set));
            rows.extend(self.reasons.iter().map(|reason| self.reason(reason, set)));
        }
        if self.clocks.is_empty() {
            rows.push(Row { why: Some(NO_CLOCKS), ..self.row(Kind::Clock, set) });
        }
        rows.extend(self.clocks.iter().map(|clock| self.clock(clock, set)));
    }

    fn row(&self, kind: Kind, set: &WindowSet) -> Row {
        Row {
            device: self.device,
            window: set.name.clone(),
            kind,
            name: None,
            metric: None,
            slows: None,
            span: total(&set.spans),
            known: None,
            clocks: Clocks::default(),
            why: None,
        }
    }

    /// What is known of times at which something was active (a set).
    fn known(&self, samples: Option<i64>, covered_ns: i64, active: &[Span]) -> Known {
        let met = |kernel: &&Span| covered(**kernel, active) > 0;
        Known {
            samples,
            covered: covered_ns,
            active: total(active),
            kernels: self.kernels.iter().filter(met).count() as i64,
            kernel_ns: total(&intersect(&self.running, active)),
        }
    }

    /// The union of the reasons that take speed. Its absence is known where all of them are.
    fn any(&self, set: &WindowSet) -> Row {
        let slowing = || self.reasons.iter().filter(|reason| reason.slows == Some(true));
        let row = Row { name: Some("any".to_owned()), slows: Some(true), ..self.row(Kind::Reason, set) };
        let all = slowing().map(|reason| sampled(&reason.samples)).reduce(|all, one| intersect(&all, &one));
        let Some(all) = all else {
            return Row { why: Some("no reason that takes speed from a device with work was sampled"), ..row };
        };
        let on = into_union(slowing().flat_map(|reason| reason.on.iter().copied()).collect());
        let known = into_union(all.into_iter().chain(on.iter().copied()).collect());
        let known = total(&clip_set(&known, &set.spans));
        Row { known: Some(self.known(None, known, &clip_set(&on, &set.spans))), ..row }
    }

    fn reason(&self, reason: &Held, set: &WindowSet) -> Row {
        let held = reason.samples.over(&set.spans);
        let active = clip_set(&reason.on, &set.spans);
        Row {
            name: Some(reason.name.clone()),
            metric: Some(reason.metric.clone()),
            slows: reason.slows,
            known: Some(self.known(Some(held.pieces()), held.covered_ns(), &active)),
            ..self.row(Kind::Reason, set)
        }
    }

    fn clock(&self, clock: &Clock, set: &WindowSet) -> Row {
        let held = clock.hertz.over(&set.spans);
        let kernels = clip_set(&self.running, &set.spans);
        let running = clock.hertz.over(&kernels);
        let limit = clock.seen.map(|hz| hz * LOW);
        let low = clock.hertz.pieces().filter(|(_, hz)| limit.is_some_and(|limit| *hz < limit)).map(|(span, _)| span);
        let low = clip_set(&into_union(low.collect()), &set.spans);
        let why = [
            (held.pieces() == 0, "no sample of this clock lies in the windows"),
            (running.pieces() == 0, "no kernel ran while this clock was sampled"),
            (held.pieces_where(|hz| hz <= 0.0) > 0, "clocks of 0 or less were sampled"),
        ];
        Row {
            name: Some(clock.domain.name().to_owned()),
            metric: Some(clock.metric.clone()),
            known: Some(self.known(Some(held.pieces()), held.covered_ns(), &low)),
            clocks: Clocks {
                mean: held.mean(),
                kernel_mean: running.mean(),
                min: held.min(),
                max: held.max(),
                seen: clock.seen,
                lost: lost(&running, clock.seen).filter(|_| clock.domain == Domain::Compute),
                spec: clock.spec.clone(),
            },
            why: why.iter().find(|(holds, _)| *holds).map(|(_, why)| *why),
            ..self.row(Kind::Clock, set)
        }
    }
}

/// When samples say anything: a set.
fn sampled(samples: &Weighted) -> Vec<Span> {
    into_union(samples.pieces().map(|(span, _)| span).collect())
}

/// The compute clock that the device should reach: of its hardware spec, else as its driver states.
fn spec(input: &Input, device: DeviceKey, stated: Option<&i64>) -> Result<Option<(f64, String)>, Error> {
    let spec = input.engine()?.roofs(device).and_then(|roofs| roofs.gpu);
    let boost = spec.and_then(|spec| Some((spec.clock("boost")?.hz, format!("boost clock of {}", spec.slug))));
    let stated = || stated.map(|hz| (*hz as f64, "clock that the driver states".to_owned()));
    Ok(boost.or_else(stated).filter(|(hz, _)| hz.is_finite() && *hz > 0.0))
}
