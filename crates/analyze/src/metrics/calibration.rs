//! What the router predicted of the time to the first token beside what happened.
//!
//! A prediction counts where it is above 0 and the request came out whole. Deciles are of the predictions: equal numbers of
//! requests, the smallest predictions first. A good prediction has bias 0 in every decile, not only over all.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET, ratio};
use crate::Error;
use crate::requests::{By, Group, Latencies, Log, Request, Status};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "calibration",
    doc: "Predicted against actual TTFT: bias, error, shares within 10, 25 and 50 %, by decile of the prediction.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "calibration",
    doc: "All predictions of a pass (decile null), a tenth of them, or those of a policy or tier where there are several.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("group_kind", "`all`, `tier` or `policy`."),
        text("group", "`all`, or the name of the tier or policy."),
        int("decile", "1 (the smallest predictions) to 10; null for all.").or_null(),
        int("requests", "Requests with a prediction and a TTFT."),
        int("predicted_p50_ns", "Median prediction (nearest rank)."),
        int("actual_p50_ns", "Median TTFT."),
        float("bias_ns", "Mean of prediction - TTFT: above 0 the router is pessimistic."),
        float("bias_ratio", "Sum of the predictions / sum of the TTFTs - 1.").or_null(),
        int("absolute_error_p50_ns", "Median of |prediction - TTFT|."),
        float("within_10_ratio", "Share of requests whose prediction is within 10 % of their TTFT."),
        float("within_25_ratio", "Within 25 %."),
        float("within_50_ratio", "Within 50 %."),
        int("slo_requests", "Requests with an SLO of the TTFT."),
        int("promised_missed", "Requests predicted within their SLO that missed it."),
        int("warned_met", "Requests predicted beyond their SLO that met it."),
        int("rejected", "Rejected requests that have a prediction: nobody knows what they would have felt.").or_null(),
        int("rejected_predicted_p50_ns", "Median prediction of those.").or_null(),
    ],
};

/// Fewer predictions than this are not cut into tenths.
const LEAST_FOR_DECILES: usize = 20;

struct Row<'l> {
    log: &'l Log,
    kind: &'static str,
    group: String,
    decile: Option<usize>,
    /// Prediction, TTFT, SLO of it.
    pairs: Vec<(i64, i64, Option<i64>)>,
    rejected: Option<Latencies>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        for group in log.groups(&[By::Tier, By::Policy]) {
            rows.extend(of_group(log, &group));
        }
    }
    build(input, &rows)
}

/// A prediction; 0 stands for none.
fn predicted(request: &Request) -> Option<i64> {
    request.predicted_ttft.filter(|predicted| *predicted > 0)
}

fn of_group<'l>(log: &'l Log, group: &Group) -> Vec<Row<'l>> {
    let pair = |request: &&Request| Some((predicted(request)?, request.ttft()?, request.slo.ttft_ns));
    let mut pairs: Vec<(i64, i64, Option<i64>)> = group.requests.iter().filter_map(pair).collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    pairs.sort_unstable();
    let refused = group.requests.iter().filter(|request| request.status == Status::Rejected);
    let rejected: Latencies = refused.filter_map(|request| predicted(request)).collect();
    let row = |decile, pairs: &[(i64, i64, Option<i64>)], rejected| Row {
        log,
        kind: group.kind,
        group: group.name.clone(),
        decile,
        pairs: pairs.to_vec(),
        rejected,
    };
    let mut rows = vec![row(None, &pairs, Some(rejected))];
    if group.kind == "all" && pairs.len() >= LEAST_FOR_DECILES {
        let edge = |decile: usize| pairs.len() * decile / 10;
        rows.extend((1..=10).map(|decile| row(Some(decile), &pairs[edge(decile - 1)..edge(decile)], None)));
    }
    rows
}

impl Row<'_> {
    fn count(&self, wanted: impl Fn(i64, i64, Option<i64>) -> bool) -> i64 {
        self.pairs.iter().filter(|(predicted, actual, slo)| wanted(*predicted, *actual, *slo)).count() as i64
    }

    fn share(&self, wanted: impl Fn(i64, i64, Option<i64>) -> bool) -> Option<f64> {
        ratio(self.count(wanted), self.pairs.len() as i64)
    }

    fn within(&self, percent: i128) -> Option<f64> {
        self.share(|predicted, actual, _| {
            let error = (i128::from(predicted) - i128::from(actual)).abs();
            error * 100 <= i128::from(actual).abs() * percent
        })
    }

    /// Sums of the predictions and of the TTFTs.
    fn sums(&self) -> (i128, i128) {
        self.pairs.iter().fold((0, 0), |sums, pair| (sums.0 + i128::from(pair.0), sums.1 + i128::from(pair.1)))
    }

    fn median(&self, value: impl Fn(&(i64, i64, Option<i64>)) -> i64) -> Option<i64> {
        self.pairs.iter().map(value).collect::<Latencies>().permille(500)
    }
}

fn build(input: &Input, rows: &[Row]) -> Result<DataFrame, Error> {
    let bias = |row: &Row| {
        let (predicted, actual) = row.sums();
        (predicted - actual) as f64 / row.pairs.len() as f64
    };
    let relative = |row: &Row| {
        let (predicted, actual) = row.sums();
        (actual > 0).then(|| predicted as f64 / actual as f64 - 1.0)
    };
    Output::new(input.run, input.target, rows)
        .text("pass", |row| Some(&row.log.pass))
        .bool("simulated", |row| Some(row.log.simulated))
        .text("group_kind", |row| Some(row.kind))
        .text("group", |row| Some(&row.group))
        .int("decile", |row| row.decile.map(|decile| decile as i64))
        .int("requests", |row| Some(row.pairs.len() as i64))
        .int("predicted_p50_ns", |row| row.median(|pair| pair.0))
        .int("actual_p50_ns", |row| row.median(|pair| pair.1))
        .float("bias_ns", |row| Some(bias(row)))
        .float("bias_ratio", relative)
        .int("absolute_error_p50_ns", |row| row.median(|pair| pair.0.saturating_sub(pair.1).saturating_abs()))
        .float("within_10_ratio", |row| row.within(10))
        .float("within_25_ratio", |row| row.within(25))
        .float("within_50_ratio", |row| row.within(50))
        .int("slo_requests", |row| Some(row.count(|_, _, slo| slo.is_some())))
        .int("promised_missed", |row| {
            Some(row.count(|predicted, actual, slo| slo.is_some_and(|slo| predicted <= slo && actual > slo)))
        })
        .int("warned_met", |row| {
            Some(row.count(|predicted, actual, slo| slo.is_some_and(|slo| predicted > slo && actual <= slo)))
        })
        .int("rejected", |row| row.rejected.as_ref().map(|rejected| rejected.count() as i64))
        .int("rejected_predicted_p50_ns", |row| row.rejected.as_ref()?.permille(500))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints};

    fn calibration(fixture: &Fixture) -> DataFrame {
        compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap()
    }

    #[test]
    fn predictions_are_held_against_what_happened() {
        let predicted = |fixture: Fixture, ns| fixture.with(|request| request.predicted_ttft_ns = Some(ns));
        let fixture = predicted(Fixture::new().request(0, Some(100), Some(200), 2).slo(100, 9), 90);
        let fixture = predicted(fixture.request(0, Some(100), Some(200), 2).slo(90, 9), 80);
        let fixture = predicted(fixture.request(0, Some(100), Some(200), 2).slo(120, 9), 160);
        let fixture = predicted(fixture.request(0, None, Some(1), 0).status("rejected"), 700);
        // Neither has a prediction.
        let fixture = predicted(fixture.request(0, Some(7), Some(9), 2), 0).request(0, Some(7), Some(9), 2);
        let frame = calibration(&fixture);
        let (int, float) = (|name| ints(&frame, name).unwrap()[0], |name| floats(&frame, name).unwrap()[0]);
        assert_eq!(
            (frame.height(), int("requests"), int("predicted_p50_ns"), int("actual_p50_ns")),
            (1, Some(3), Some(90), Some(100))
        );
        assert_eq!((float("bias_ns"), float("bias_ratio")), (Some(10.0), Some(330.0 / 300.0 - 1.0)));
        assert_eq!(int("absolute_error_p50_ns"), Some(20));
        let within = ["within_10_ratio", "within_25_ratio", "within_50_ratio"].map(float);
        assert_eq!(within, [Some(1.0 / 3.0), Some(2.0 / 3.0), Some(2.0 / 3.0)]);
        assert_eq!((int("promised_missed"), int("warned_met")), (Some(1), Some(1)));
        assert_eq!((int("rejected"), int("rejected_predicted_p50_ns")), (Some(1), Some(700)));
    }

    #[test]
    fn tenths_hold_equal_numbers_of_requests() {
        let mut fixture = Fixture::new();
        for number in 1..=25 {
            fixture =
                fixture.request(0, Some(50), Some(60), 2).with(|request| request.predicted_ttft_ns = Some(number));
        }
        let frame = calibration(&fixture);
        let counts: Vec<i64> = ints(&frame, "requests").unwrap().into_iter().flatten().collect();
        assert_eq!(counts, [25, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3]);
        assert_eq!(ints(&frame, "decile").unwrap()[10], Some(10));
    }
}
