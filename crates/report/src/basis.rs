//! What every number rests on: its window, event classes and coverage, in one line; and how sections name devices.

use crate::format;
use crate::run::{Report, Row, Run};

/// The rows of a metric in its first window set: with several the same time would be shown several times.
pub(crate) fn rows<'a>(run: &'a Run, metric: &str) -> Vec<&'a Row> {
    let rows = run.metric(metric);
    let window = rows.first().and_then(|row| row.text("window"));
    rows.iter().filter(|row| row.text("window") == window).collect()
}

/// Whether rows are of several ranks.
fn has_ranks<'a>(mut rows: impl Iterator<Item = &'a Row>) -> bool {
    rows.any(|row| row.int("rank").is_some_and(|rank| rank != 0))
}

/// Names devices: by their run in a pair, by their rank where there are several.
#[derive(Clone)]
pub(crate) struct Names {
    own: String,
    ranks: bool,
}

impl Names {
    /// For the devices of these rows of a run. All sections name a device alike, also one whose rows are of rank 0 only.
    pub(crate) fn new(report: &Report, run: &Run, rows: &[&Row]) -> Self {
        let own = if report.is_pair() { format!("{}: ", run.label()) } else { String::new() };
        let of_run = ["ranks", "idle"].iter().flat_map(|metric| run.metric(metric));
        Self { own, ranks: has_ranks(rows.iter().copied()) || has_ranks(of_run) }
    }

    /// For devices of one run.
    #[cfg(test)]
    pub(crate) fn of_one_run(ranks: bool) -> Self {
        Self { own: String::new(), ranks }
    }

    /// `optimized: rank 1 device 0`, not yet safe for markdown.
    pub(crate) fn device(&self, row: &Row) -> String {
        let device = row.int("device").map(|device| format!("device {device}"));
        let rank = row.int("rank").filter(|_| self.ranks || device.is_none()).map(|rank| format!("rank {rank}"));
        let parts: Vec<String> = [rank, device].into_iter().flatten().collect();
        format!("{}{}", self.own, if parts.is_empty() { format::ABSENT.to_owned() } else { parts.join(" ") })
    }

    /// The same as a cell of a table.
    pub(crate) fn cell(&self, row: &Row) -> String {
        format::plain(&self.device(row))
    }
}

/// The line under a section's title: `Window: trace, 300 ms; event classes: kernel, copy; launching calls known of
/// 99.4 %.` `covered` says what `coverage_ratio` is a share of, in words that a percentage follows.
pub(crate) fn line(rows: &[&Row], covered: &str) -> String {
    let mut parts = vec![format!("Window: {}", windows(rows))];
    let classes = distinct(rows.iter().filter_map(|row| row.text("classes")));
    if !classes.is_empty() {
        parts.push(format!("event classes: {}", format::plain(&classes.join("; or "))));
    }
    if let Some(coverage) = range(rows.iter().filter_map(|row| row.float("coverage_ratio")), format::percent) {
        parts.push(format!("{covered} {coverage}"));
    }
    let hidden = rows.iter().any(|row| row.boolean("reliable") == Some(false));
    let warning =
        if hidden { " **Not reliable**: whole-graph rows hide kernels and the gaps between them." } else { "" };
    format!("{}.{warning}", parts.join("; "))
}

/// Names of the windows, with their lengths where the rows have one.
fn windows(rows: &[&Row]) -> String {
    let name = |row: &&Row| row.text("window").map(str::to_owned);
    let names = distinct(rows.iter().filter_map(name));
    let [name] = names.as_slice() else { return format::plain(&shortened(&names)) };
    let span = range(rows.iter().filter_map(|row| row.int("span_ns")), format::duration);
    format!("{}{}", format::plain(name), span.map_or_else(String::new, |span| format!(", {span}")))
}

/// The first few of many.
fn shortened(names: &[String]) -> String {
    match names {
        [] => format::ABSENT.to_owned(),
        [a, b, .., last] if names.len() > 3 => format!("{a}, {b} … {last}"),
        names => names.join(", "),
    }
}

fn distinct<S: PartialEq>(values: impl Iterator<Item = S>) -> Vec<S> {
    values.fold(Vec::new(), |mut all, value| {
        if !all.contains(&value) {
            all.push(value);
        }
        all
    })
}

/// One value, or the smallest and the largest.
fn range<T: PartialOrd + Copy>(values: impl Iterator<Item = T>, show: fn(T) -> String) -> Option<String> {
    let ends = values.fold(None, |ends: Option<(T, T)>, value| {
        let (low, high) = ends.unwrap_or((value, value));
        Some((if value < low { value } else { low }, if value > high { value } else { high }))
    });
    let (low, high) = ends.map(|(low, high)| (show(low), show(high)))?;
    Some(if low == high { low } else { format!("{low} to {high}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_names_window_classes_and_coverage_once() {
        let row = |ns: i64, share: f64, reliable: bool| {
            Row::of(json!({"window": "trace", "span_ns": ns, "classes": "kernel, copy", "coverage_ratio": share,
                "reliable": reliable}))
        };
        let rows = [row(2_000_000, 1.0, true), row(3_000_000, 0.5, true)];
        let said = line(&rows.iter().collect::<Vec<_>>(), "launching calls known of");
        assert_eq!(
            said,
            "Window: trace, 2.00 ms to 3.00 ms; event classes: kernel, copy; launching calls known of 50.0 % to 100.0 %."
        );
        let hidden = [row(1, 1.0, false)];
        assert!(line(&hidden.iter().collect::<Vec<_>>(), "x").contains("Not reliable"));
        assert_eq!(line(&[], "x"), "Window: n/a.");
    }

    #[test]
    fn many_windows_are_named_by_their_ends() {
        let rows: Vec<Row> = (0..9).map(|index| Row::of(json!({"window": format!("block {index}")}))).collect();
        assert_eq!(line(&rows.iter().collect::<Vec<_>>(), "x"), "Window: block 0, block 1 … block 8.");
    }

    #[test]
    fn a_device_is_named_with_its_rank_where_there_are_several() {
        let row = Row::of(json!({"rank": 1, "device": 0}));
        let names = Names::of_one_run;
        assert_eq!(
            (names(true).device(&row), names(false).device(&row)),
            ("rank 1 device 0".into(), "device 0".into())
        );
        assert_eq!(names(false).device(&Row::of(json!({"rank": 3}))), "rank 3");
    }
}
