//! Where decode leaves the memory roof: the batch at which arithmetic takes as long as memory, and the context at which
//! the KV cache costs as many bytes as the weights.
//!
//! A kernel is a line where bytes = W + k rows and FLOP = f rows: one whose stated work lies on it exactly at two or more
//! numbers of rows, in any phase; or a matrix product whose operator tells its shapes ([`crate::roofline::layers`]). The lines of
//! what decode launched make one [`batch_at_ridge`]. The KV bytes of a token come from the shapes of attention operators.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proftool_roofline::models::{batch_at_ridge, context_at_weights};
use proftool_roofline::{Level, Precision, Roofs};

use crate::classes::Class;
use crate::metrics::phases::begun;
use crate::model::{Activity, DeviceKey, Model, Work};
use crate::operators::Span;
use crate::roofline::Engine;
use crate::roofline::layers::{Layer, layer};
use crate::roofline::operators::{Attribution, Role};

/// The crossing of one phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Crossing {
    /// Rows of a step.
    pub(crate) batch: Option<f64>,
    /// Tokens of a request.
    pub(crate) context: Option<f64>,
    /// What they are computed from, or why they are null.
    pub(crate) reason: Option<String>,
}

/// FLOP and bytes of a kernel by its rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    flop_per_row: f64,
    fixed_bytes: f64,
    bytes_per_row: f64,
    precision: Precision,
}

/// A launch: rows (at least one), FLOP and bytes, none of them negative.
pub(crate) type Point = (i64, i64, i64);

impl Line {
    /// The line on which all points lie exactly; `None` for fewer than two numbers of rows.
    pub(crate) fn through(points: &BTreeSet<Point>, precision: Precision) -> Option<Self> {
        let (first, last) = (*points.first()?, *points.last()?);
        let (rows, bytes) = (i128::from(last.0 - first.0), i128::from(last.2 - first.2));
        let on_line = |point: &Point| {
            i128::from(point.2 - first.2) * rows == bytes * i128::from(point.0 - first.0)
                && i128::from(point.1) * i128::from(first.0) == i128::from(first.1) * i128::from(point.0)
        };
        let fixed = i128::from(first.2) * rows - bytes * i128::from(first.0);
        if rows == 0 || bytes < 0 || fixed < 0 || !points.iter().all(on_line) {
            return None;
        }
        Some(Self {
            flop_per_row: first.1 as f64 / first.0 as f64,
            fixed_bytes: fixed as f64 / rows as f64,
            bytes_per_row: bytes as f64 / rows as f64,
            precision,
        })
    }
}

/// What is known about the layers of one device.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// By the number of a kernel's name, from stated work.
    by_name: BTreeMap<u32, Line>,
    /// By the index of an activity, from the shapes of its operator; and the bytes of that operator.
    by_activity: HashMap<u32, (Option<Layer>, f64)>,
}

impl Layers {
    /// The layers of all that ran on a device.
    pub(crate) fn of_device(model: &Model, device: DeviceKey, operators: &Attribution) -> Self {
        let mut layers = Self { by_name: lines(model, device), ..Self::default() };
        let mut known: HashMap<(u32, u32), Option<Layer>> = HashMap::new();
        let rows = model.of_device(device);
        let first = rows.first().map_or(0, |row| model.index_of(row));
        for index in first..first + rows.len() {
            let Some(Role::Main(number)) = operators.role(index) else { continue };
            let (operator, operation) = (operators.operators[number as usize], operators.operation(number));
            let of_operator = || layer(&operators.signatures[operator.signature as usize], operation);
            let layer = *known.entry((operator.signature, operator.operation)).or_insert_with(of_operator);
            layers.by_activity.insert(index as u32, (layer, operation.bytes));
        }
        layers
    }

    /// The layer of a launch, and the bytes that are stated about it.
    fn of(&self, index: usize, row: &Activity) -> (Option<Layer>, f64) {
        if let Some(known) = self.by_activity.get(&(index as u32)) {
            return *known;
        }
        let bytes = row.work().and_then(|work| work.dram_bytes).unwrap_or(0).max(0);
        (self.by_name.get(&row.name).copied().map(Layer::Linear), bytes as f64)
    }
}

/// The lines of the kernels of one device, by the number of their name.
fn lines(model: &Model, device: DeviceKey) -> BTreeMap<u32, Line> {
    let mut points: BTreeMap<u32, (BTreeSet<Point>, BTreeSet<u32>)> = BTreeMap::new();
    for row in model.of_device(device).iter().filter(|row| row.class == Class::Compute) {
        if let Some((point, precision)) = row.work().as_ref().and_then(point) {
            let known = points.entry(row.name).or_default();
            known.0.insert(point);
            known.1.insert(precision);
        }
    }
    let line = |(name, (points, precisions)): (u32, (BTreeSet<Point>, BTreeSet<u32>))| {
        let precision = precisions.first().filter(|_| precisions.len() == 1)?;
        let precision = Precision::parse(model.names.text(*precision))?;
        Some((name, Line::through(&points, precision)?))
    };
    points.into_iter().filter_map(line).collect()
}

fn point(work: &Work) -> Option<(Point, u32)> {
    let (rows, flop, bytes) = (work.rows?, work.flop?, work.dram_bytes?);
    Some(((rows, flop, bytes), work.precision?)).filter(|_| rows > 0 && flop >= 0 && bytes >= 0)
}

/// What decode launched inside the windows.
#[derive(Debug, Default)]
struct Decode {
    launches: usize,
    bytes: f64,
    lines: Vec<Line>,
    bytes_of_lines: f64,
    attention: usize,
    kv_bytes_per_token: f64,
}

/// The crossing of the phase `decode` on one device.
pub(crate) fn of_decode(
    model: &Model,
    engine: &Engine,
    device: DeviceKey,
    windows: &[Span],
    layers: &Layers,
) -> Crossing {
    let mut decode = Decode::default();
    for (index, row) in begun(model, device, windows).filter(|(_, row)| row.class == Class::Compute) {
        let phase = engine.of_activity(index).and_then(|placed| placed.phase);
        if phase.is_some_and(|phase| engine.names.text(phase) == "decode") {
            decode.add(layers.of(index, row));
        }
    }
    let (batch, of_batch) = match decode.batch(engine.roofs(device).map(|roofs| &roofs.used)) {
        Ok((batch, basis)) => (Some(batch), basis),
        Err(reason) => (None, reason),
    };
    let (context, of_context) = match decode.context() {
        Ok((context, basis)) => (Some(context), basis),
        Err(reason) => (None, reason.to_owned()),
    };
    Crossing { batch, context, reason: Some(format!("batch: {of_batch}; context: {of_context}")) }
}

impl Decode {
    fn add(&mut self, (layer, bytes): (Option<Layer>, f64)) {
        self.launches += 1;
        self.bytes += bytes;
        match layer {
            Some(Layer::Linear(line)) => {
                self.lines.push(line);
                self.bytes_of_lines += bytes;
            }
            Some(Layer::Attention { kv_bytes_per_token }) => {
                self.attention += 1;
                self.kv_bytes_per_token += kv_bytes_per_token;
            }
            None => {}
        }
    }

    /// The batch and what it is computed from, or why there is none.
    fn batch(&self, roofs: Option<&Roofs>) -> Result<(f64, String), String> {
        let Some(first) = self.lines.first() else {
            return Err("no kernel was seen with two numbers of rows on one line, nor with shapes".to_owned());
        };
        let roofs = roofs.ok_or("the device has no roofs")?;
        let peak = |precision: Precision| match roofs.compute.get(&(precision, false)) {
            Some(roof) => Ok(roof.value),
            None => Err(format!("no compute roof for {}", precision.name())),
        };
        let bandwidth = roofs.bandwidth.get(&Level::Dram).ok_or("no DRAM roof")?.value;
        let (reference, mut sum) = (peak(first.precision)?, (0.0, 0.0, 0.0));
        for line in &self.lines {
            // Arithmetic of another precision counts by its time.
            sum.0 += line.flop_per_row * reference / peak(line.precision)?;
            sum.1 += line.fixed_bytes;
            sum.2 += line.bytes_per_row;
        }
        let batch = batch_at_ridge(sum.0, sum.1, sum.2, reference, bandwidth)
            .ok_or("none leaves the memory roof: the bytes of a row take longer than its arithmetic")?;
        Ok((batch, self.basis()))
    }

    fn basis(&self) -> String {
        let share = self.bytes_of_lines / self.bytes;
        let share = if share.is_finite() { share * 100.0 } else { 0.0 };
        let (lines, all) = (self.lines.len(), self.launches);
        format!("bytes = W + k rows of {lines} of {all} launches, which hold {share:.1} % of the stated bytes")
    }

    /// The context and what it is computed from, or why there is none.
    fn context(&self) -> Result<(f64, String), &'static str> {
        if self.attention == 0 {
            return Err("the KV bytes of a token are not known");
        }
        let weights = self.lines.iter().map(|line| line.fixed_bytes).sum::<f64>();
        let context = Some(weights).filter(|weights| *weights > 0.0).ok_or("the bytes of the weights are not known")?;
        let context = context_at_weights(context, self.kv_bytes_per_token, 1.0);
        let context = context.ok_or("the KV bytes of a token are not known")?;
        let basis = format!("W over the KV bytes a token of {} launches of attention", self.attention);
        Ok((context, basis))
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the quotients are exact")]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use proftool_roofline::{Roof, RoofSource};

    fn roof(value: f64) -> Roof {
        Roof { value, source: RoofSource::Measured, label: String::new(), disputed: None }
    }

    fn roofs() -> Roofs {
        let mut roofs = Roofs::default();
        roofs.compute.insert((Precision::F32, false), roof(10.0));
        roofs.compute.insert((Precision::MatrixBf16, false), roof(100.0));
        roofs.bandwidth.insert(Level::Dram, roof(10.0));
        roofs
    }

    /// 200 FLOP and 10 bytes a row beside 1000 bytes of weights; attention: 10 FLOP and 100 bytes a row; one kernel that was
    /// seen with one number of rows, one off its line.
    fn model() -> Model {
        let kernel = |fixture: Fixture, name, rows, flop, bytes| {
            fixture.named_kernel(name, 0, 0, (rows, rows + 1)).work(0, "decode", 0, 0, rows).counts(flop, bytes)
        };
        let launches = [
            ("gemm", 4, 800, 1040),
            ("gemm", 8, 1600, 1080),
            ("gemm", 16, 3200, 1160),
            ("attention", 4, 40, 400),
            ("attention", 8, 80, 800),
            ("once", 4, 40, 400),
            ("bent", 4, 40, 400),
            ("bent", 8, 80, 800),
            ("bent", 12, 120, 1300),
        ];
        launches
            .into_iter()
            .fold(Fixture::new(), |fixture, (name, rows, flop, bytes)| kernel(fixture, name, rows, flop, bytes))
            .model()
    }

    fn decode(model: &Model, lines: &BTreeMap<u32, Line>, launches: &[(&str, f64)]) -> Decode {
        let mut decode = Decode::default();
        for (name, bytes) in launches {
            let line = lines.get(&model.names.find(name).unwrap());
            decode.add((line.copied().map(Layer::Linear), *bytes));
        }
        decode
    }

    #[test]
    fn kernels_seen_with_two_numbers_of_rows_give_a_line_if_all_launches_lie_on_it() {
        let model = model();
        let lines = lines(&model, (0, 0));
        let line = |name| lines.get(&model.names.find(name).unwrap()).copied();
        let (f32, number) =
            (Precision::F32, |flop_per_row, fixed_bytes, bytes_per_row| (flop_per_row, fixed_bytes, bytes_per_row));
        let of = |(flop_per_row, fixed_bytes, bytes_per_row)| {
            Some(Line { flop_per_row, fixed_bytes, bytes_per_row, precision: f32 })
        };
        assert_eq!(line("gemm"), of(number(200.0, 1000.0, 10.0)));
        assert_eq!(line("attention"), of(number(10.0, 0.0, 100.0)));
        assert_eq!((line("once"), line("bent")), (None, None));
    }

    #[test]
    fn the_crossing_weighs_each_kernel_by_its_launches() {
        // 2 gemm + 1 attention: 410 FLOP and 120 bytes a row, 2000 bytes once, at 10 FLOP/s and 10 bytes/s:
        // 200 s / (41 - 12 s) = 6.897 rows. The lines hold 3000 of 4000 bytes.
        let model = model();
        let lines = lines(&model, (0, 0));
        let launched = [("gemm", 1250.0), ("gemm", 1250.0), ("attention", 500.0), ("once", 1000.0)];
        let (batch, basis) = decode(&model, &lines, &launched).batch(Some(&roofs())).unwrap();
        assert_eq!(batch, 200.0 / 29.0);
        assert_eq!(basis, "bytes = W + k rows of 3 of 4 launches, which hold 75.0 % of the stated bytes");
    }

    #[test]
    fn another_precision_counts_by_its_time() {
        // The gemm at 100 FLOP/s and attention at 10: 200 / 100 + 10 / 10 - 110 / 10 s < 0, so never; with the
        // gemm alone 2 - 1 s a row against 100 s.
        let model = model();
        let mut lines = lines(&model, (0, 0));
        lines.get_mut(&model.names.find("gemm").unwrap()).unwrap().precision = Precision::MatrixBf16;
        let gemm = decode(&model, &lines, &[("gemm", 1.0)]);
        assert_eq!(gemm.batch(Some(&roofs())).unwrap().0, 100.0);
        let both = decode(&model, &lines, &[("gemm", 1.0), ("attention", 1.0)]);
        let reason = both.batch(Some(&roofs())).unwrap_err();
        assert!(reason.starts_with("none leaves the memory roof"), "{reason}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let model = model();
        let lines = lines(&model, (0, 0));
        let reason = |launched, roofs: Option<&Roofs>| decode(&model, &lines, launched).batch(roofs).unwrap_err();
        assert!(reason(&[("once", 1.0)], None).starts_with("no kernel was seen with two numbers of rows"));
        assert_eq!(reason(&[("gemm", 1.0)], None), "the device has no roofs");
        assert_eq!(reason(&[("gemm", 1.0)], Some(&Roofs::default())), "no DRAM roof");
        let mut without = roofs();
        without.compute.clear();
        assert_eq!(reason(&[("gemm", 1.0)], Some(&without)), "no compute roof for f32");
        let gemm = decode(&model, &lines, &[("gemm", 1.0)]);
        assert_eq!(gemm.context(), Err("the KV bytes of a token are not known"));
    }

    #[test]
    fn the_cache_costs_as_much_as_the_weights_at_their_quotient() {
        // 2 x 1000 bytes of weights, two launches of attention with 4 and 6 bytes a token of context.
        let model = model();
        let mut decode = decode(&model, &lines(&model, (0, 0)), &[("gemm", 1.0), ("gemm", 1.0)]);
        for kv_bytes_per_token in [4.0, 6.0] {
            decode.add((Some(Layer::Attention { kv_bytes_per_token }), 1.0));
        }
        assert_eq!(decode.context().unwrap().0, 200.0);
        decode.lines.clear();
        assert_eq!(decode.context(), Err("the bytes of the weights are not known"));
    }
}
