//! The distributions of what users felt, percent by percent: what cumulative charts draw.

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int, text};

use super::serving::{PASS, SIMULATED, token_gaps};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::requests::{By, Group, Latencies, Log, Request};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "serving_distribution",
    doc: "Every percentile of TTFT, TPOT, ITL and end-to-end time: all requests, then by tier and policy.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "serving_distribution",
    doc: "One percentile of one quantity of a group of requests (nearest rank).",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        text("group_kind", "`all`, `tier` or `policy`."),
        text("group", "`all`, or the name of the tier or policy."),
        text("quantity", "`ttft`, `tpot`, `itl` (gaps between streamed tokens only) or `e2e`."),
        int("values", "Values that there are."),
        float("percent", "Share of the values that are not larger, 0 to 100; 0 is the smallest, 100 the largest."),
        int("value_ns", "The value."),
        int("slo_ns", "What was agreed on, where it is the same for all requests of the group; of ttft and tpot.")
            .or_null(),
    ],
};

/// Permille of the percentiles: each percent, and two more in the tail.
fn permilles() -> impl Iterator<Item = u32> {
    (0..=99).map(|percent| percent * 10).chain([995, 999, 1000])
}

struct Row {
    pass: String,
    simulated: bool,
    kind: &'static str,
    group: String,
    quantity: &'static str,
    values: i64,
    permille: u32,
    value: i64,
    slo: Option<i64>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for log in input.logs()? {
        for group in log.groups(&[By::Tier, By::Policy]) {
            rows.extend(of_group(log, &group));
        }
    }
    Output::new(input.run, input.target, &rows)
        .text("pass", |row| Some(&row.pass))
        .bool("simulated", |row| Some(row.simulated))
        .text("group_kind", |row| Some(row.kind))
        .text("group", |row| Some(&row.group))
        .text("quantity", |row| Some(row.quantity))
        .int("values", |row| Some(row.values))
        .float("percent", |row| Some(f64::from(row.permille) / 10.0))
        .int("value_ns", |row| Some(row.value))
        .int("slo_ns", |row| row.slo)
        .build(&TABLE)
}

fn of_group(log: &Log, group: &Group) -> Vec<Row> {
    let of = |value: fn(&Request) -> Option<i64>| group.requests.iter().filter_map(|request| value(request)).collect();
    let quantities: [(&'static str, Latencies, Option<i64>); 4] = [
        ("ttft", of(Request::ttft), limit(group, |request| request.slo.ttft_ns)),
        ("tpot", of(Request::tpot), limit(group, |request| request.slo.tpot_ns)),
        ("itl", token_gaps(log, &group.requests).collect(), None),
        ("e2e", of(Request::e2e), None),
    ];
    let mut rows = Vec::new();
    for (quantity, values, slo) in quantities {
        let row = |permille| {
            Some(Row {
                pass: log.pass.clone(),
                simulated: log.simulated,
                kind: group.kind,
                group: group.name.clone(),
                quantity,
                values: values.count() as i64,
                permille,
                value: values.permille(permille)?,
                slo,
            })
        };
        rows.extend(permilles().filter_map(row));
    }
    rows
}

/// The limit that all requests of a group share.
fn limit(group: &Group, of: fn(&Request) -> Option<i64>) -> Option<i64> {
    let first = of(group.requests.first()?)?;
    group.requests.iter().all(|request| of(request) == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};

    #[test]
    fn percentiles_ascend_from_the_smallest_value_to_the_largest() {
        let mut fixture = Fixture::new();
        for number in 1..=200 {
            fixture = fixture.request(0, Some(number), Some(900), 1).slo(150, 10);
        }
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        // TTFT and end-to-end time: a single token has no TPOT, and no token is recorded.
        assert_eq!(frame.height(), 2 * 103);
        let (values, quantities) = (ints(&frame, "value_ns").unwrap(), texts(&frame, "quantity").unwrap());
        assert_eq!([0, 1, 50, 99, 100, 101, 102].map(|row| values[row]), [1, 2, 100, 198, 199, 200, 200].map(Some));
        assert_eq!((quantities[102].as_deref(), quantities[103].as_deref()), (Some("ttft"), Some("e2e")));
        assert_eq!((ints(&frame, "slo_ns").unwrap()[0], ints(&frame, "slo_ns").unwrap()[103]), (Some(150), None));
    }
}
