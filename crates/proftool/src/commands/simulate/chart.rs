//! The picture of a sweep: goodput against the rate of arrivals, a line a policy.

use std::path::Path;

use proftool_report::{GoodputPoint, goodput_lines};

use super::cases::Row;
use crate::failure::Failure;

/// Writes the picture; the mean over the seeds is a point.
///
/// # Errors
/// When no policy was run at two rates, or the file cannot be written.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<(), Failure> {
    let svg = goodput_lines(&points(rows), None).ok_or_else(|| {
        Failure::usage("--chart: no policy has two rates of arrivals (hint: --loads 0.5,1,1.5,2)".to_owned())
    })?;
    let shown = path.display();
    std::fs::write(path, svg).map_err(|error| {
        Failure::io(format!("cannot write {shown}: {error} (hint: name a file in a folder that exists)"))
    })
}

fn points(rows: &[Row]) -> Vec<GoodputPoint> {
    let mut points: Vec<(f64, u32, GoodputPoint)> = Vec::new();
    for row in rows {
        let Some(arrivals_per_s) = row.arrivals_per_s else { continue };
        let own = GoodputPoint {
            target: row.policy.to_owned(),
            arrivals_per_s,
            goodput_requests_per_s: row.summary.goodput_requests_per_s,
            slo_attainment_ratio: row.summary.slo_attainment_ratio,
            simulated: true,
        };
        let same = |(load, _, point): &&mut (f64, u32, GoodputPoint)| {
            load.to_bits() == row.load.to_bits() && point.target == row.policy
        };
        match points.iter_mut().find(same) {
            Some((_, count, sum)) => {
                *count += 1;
                sum.arrivals_per_s += own.arrivals_per_s;
                sum.goodput_requests_per_s += own.goodput_requests_per_s;
                sum.slo_attainment_ratio += own.slo_attainment_ratio;
            }
            None => points.push((row.load, 1, own)),
        }
    }
    let mean = |(_, count, sum): (f64, u32, GoodputPoint)| GoodputPoint {
        arrivals_per_s: sum.arrivals_per_s / f64::from(count),
        goodput_requests_per_s: sum.goodput_requests_per_s / f64::from(count),
        slo_attainment_ratio: sum.slo_attainment_ratio / f64::from(count),
        ..sum
    };
    points.into_iter().map(mean).collect()
}
