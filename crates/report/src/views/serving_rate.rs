//! What the chart of goodput against the rate of arrivals shows: several runs of a sweep, a line a target.

use crate::charts::lines::{Limit, Lines, Panel, Quantity, Series};
use crate::run::{Row, Run};

/// Targets that one chart tells apart.
const MOST_TARGETS: usize = 5;

/// A run of a sweep as a point of [`crate::goodput_lines`].
#[derive(Clone, Debug, PartialEq)]
pub struct GoodputPoint {
    /// The line that it belongs to: a target or a policy.
    pub target: String,
    /// Requests a second that came.
    pub arrivals_per_s: f64,
    /// Those that met every SLO, a second.
    pub goodput_requests_per_s: f64,
    /// Their share.
    pub slo_attainment_ratio: f64,
    /// Whether a model computed the times.
    pub simulated: bool,
}

/// The points of runs that state a rate and a goodput, a line a target, in the order of their names.
pub(crate) fn points(runs: &[Run]) -> Vec<GoodputPoint> {
    let mut points: Vec<GoodputPoint> = runs.iter().filter_map(point).collect();
    points.sort_by(|a, b| a.target.cmp(&b.target));
    points
}

/// Goodput and SLO attainment over the rate of arrivals, lines in the order of their first points; none where no line has two.
pub(crate) fn chart(points: &[GoodputPoint], share: Option<f64>) -> Option<Lines> {
    let mut targets: Vec<&str> = Vec::new();
    for point in points {
        if !targets.contains(&point.target.as_str()) {
            targets.push(&point.target);
        }
    }
    let left_out = targets.len().saturating_sub(MOST_TARGETS);
    targets.truncate(MOST_TARGETS);
    let series = |value: fn(&GoodputPoint) -> f64| {
        let line = |(group, target): (usize, &&str)| {
            let own = points.iter().filter(|point| point.target == **target);
            let mut along: Vec<(f64, Option<f64>)> =
                own.map(|point| (point.arrivals_per_s, Some(value(point)))).collect();
            along.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { group, dashed: false, points: along }
        };
        targets.iter().enumerate().map(line).collect::<Vec<Series>>()
    };
    let panel = |title: &str, axis, series, limits| {
        let below = "arrivals a second".to_owned();
        Panel { title: title.to_owned(), below, axes: (Quantity::Count, axis), series, limits }
    };
    let goodput = series(|point| point.goodput_requests_per_s);
    if goodput.iter().all(|series| series.points.len() < 2) {
        return None;
    }
    let wanted = share.map(|share| Limit { upright: false, value: share, name: "wanted share".to_owned() });
    let simulated = points.iter().any(|point| point.simulated);
    let mut notes = vec![
        "A point is a run, or the mean of several seeds; goodput from the first arrival to the last end.".to_owned(),
    ];
    if left_out > 0 {
        notes.push(format!("{left_out} more targets are not drawn."));
    }
    if simulated {
        notes.push("Simulated: a model computed these times, no hardware was measured.".to_owned());
    }
    Some(Lines {
        id: "goodput_rate".to_owned(),
        title: format!("Goodput against the rate of arrivals{}", if simulated { " (simulated)" } else { "" }),
        subtitle: "Requests that meet every SLO".to_owned(),
        groups: targets.iter().map(|target| (*target).to_owned()).collect(),
        strokes: None,
        beside: true,
        panels: vec![
            panel("Requests a second that meet every SLO", Quantity::Count, goodput, Vec::new()),
            panel(
                "Their share",
                Quantity::Share,
                series(|point| point.slo_attainment_ratio),
                wanted.into_iter().collect(),
            ),
        ],
        notes,
    })
}

fn point(run: &Run) -> Option<GoodputPoint> {
    let row: &Row = run.metric("serving").first()?;
    Some(GoodputPoint {
        target: run.artifact.manifest.target.name.clone(),
        arrivals_per_s: row.float("arrivals_per_s")?,
        goodput_requests_per_s: row.float("goodput_requests_per_s")?,
        slo_attainment_ratio: row.float("slo_attainment_ratio")?,
        simulated: row.boolean("simulated") == Some(true),
    })
}
