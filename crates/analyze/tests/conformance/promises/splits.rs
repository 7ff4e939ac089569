//! Parts that sum to their whole.

use std::collections::BTreeMap;

use crate::results::Results;

/// In each row of a metric, the columns of `parts` sum to those of `whole`; a part that is null is nothing, a row in which
/// the whole or every part is null is left out.
struct Split {
    metric: &'static str,
    parts: &'static [&'static str],
    whole: &'static [&'static str],
}

const CAUSES: &[&str] =
    &["kv_wait_ns", "comm_wait_ns", "dependency_wait_ns", "sync_ns", "host_wait_ns", "launch_ns", "other_ns"];

const BUBBLE: &[&str] =
    &["compute_ns", "fill_drain_ns", "imbalance_ns", "transfer_ns", "host_ns", "dependency_ns", "other_ns"];

const SPLITS: &[Split] = &[
    Split { metric: "idle", parts: CAUSES, whole: &["idle_ns"] },
    Split { metric: "idle", parts: &["busy_ns", "idle_ns"], whole: &["span_ns"] },
    Split { metric: "gaps", parts: CAUSES, whole: &["length_ns"] },
    Split { metric: "gaps", parts: &["start_ns", "length_ns"], whole: &["end_ns"] },
    Split { metric: "launch", parts: &["host_wait_ns", "call_ns", "queue_ns", "rest_ns"], whole: &["idle_ns"] },
    Split { metric: "launch", parts: &["host_wait_ns", "call_ns"], whole: &["launch_bound_ns"] },
    Split { metric: "bubble", parts: BUBBLE, whole: &["capacity_ns"] },
    Split { metric: "bubble_iteration", parts: BUBBLE, whole: &["capacity_ns"] },
    Split { metric: "overlap", parts: &["hidden_ns", "exposed_ns"], whole: &["total_ns"] },
    Split { metric: "kv_transfer", parts: &["hidden_ns", "exposed_ns"], whole: &["total_ns"] },
    Split { metric: "kv_transfer", parts: &["sender_hidden_ns", "sender_exposed_ns"], whole: &["sender_ns"] },
    Split { metric: "kv_transfer", parts: &["decode_busy_ns", "decode_stall_ns"], whole: &["decode_wait_ns"] },
    Split {
        metric: "kv_transfer",
        parts: &["stall_transfer_ns", "stall_queue_ns", "stall_other_ns"],
        whole: &["decode_stall_ns"],
    },
    Split {
        metric: "waterfall",
        parts: &[
            "roof_ns",
            "inefficiency_ns",
            "unplaced_ns",
            "exposed_comm_ns",
            "exposed_kv_ns",
            "exposed_copy_ns",
            "launch_ns",
            "idle_ns",
        ],
        whole: &["span_ns"],
    },
    Split { metric: "steps", parts: &["busy_ns", "idle_ns"], whole: &["span_ns"] },
    Split { metric: "ranges", parts: &["busy_ns", "idle_ns"], whole: &["projected_ns"] },
    Split { metric: "graph_launches", parts: &["busy_ns", "other_ns", "gap_ns"], whole: &["span_ns"] },
    Split { metric: "graph_launches", parts: &["between_busy_ns", "between_idle_ns"], whole: &["between_ns"] },
    Split { metric: "copies", parts: &["hidden_ns", "exposed_ns"], whole: &["union_ns"] },
    Split { metric: "ranks", parts: &["wait_ns", "transfer_ns"], whole: &["comm_ns"] },
];

/// Rows of a metric by their keys: a column of the rows that are parts (`column` is null or has another text than `text`)
/// sums to a column of a whole.
struct Rows {
    metric: &'static str,
    keys: &'static [&'static str],
    /// Which rows count.
    of: fn(&Results, usize) -> bool,
    column: &'static str,
    /// The metric, rows and column of the whole.
    whole: (&'static str, fn(&Results, usize) -> bool, &'static str),
}

const DEVICE: &[&str] = &["rank", "device", "window"];

const QUEUE: &[&str] = &["rank", "device", "queue", "window"];

fn any(_: &Results, _: usize) -> bool {
    true
}

fn of_device(result: &Results, row: usize) -> bool {
    result.int(row, "queue").is_none()
}

fn bin(result: &Results, row: usize) -> bool {
    result.int(row, "bin").is_some()
}

fn no_bin(result: &Results, row: usize) -> bool {
    !bin(result, row)
}

fn of_histogram(result: &Results, row: usize) -> bool {
    result.text(row, "kind") == Some("bin")
}

fn idle_kind(result: &Results, row: usize) -> bool {
    result.text(row, "kind") == Some("idle")
}

fn no_name(result: &Results, row: usize) -> bool {
    result.text(row, "name").is_none()
}

fn named(result: &Results, row: usize) -> bool {
    !no_name(result, row)
}

fn whole_window(result: &Results, row: usize) -> bool {
    result.int(row, "step").is_none()
}

fn of_graph(result: &Results, row: usize) -> bool {
    result.text(row, "graph").is_some()
}

fn of_all_graphs(result: &Results, row: usize) -> bool {
    !of_graph(result, row)
}

const ROWS: &[Rows] = &[
    Rows { metric: "overlap", keys: DEVICE, of: any, column: "exclusive_ns", whole: ("idle", of_device, "span_ns") },
    Rows {
        metric: "overlap",
        keys: DEVICE,
        of: idle_kind,
        column: "exclusive_ns",
        whole: ("idle", of_device, "idle_ns"),
    },
    Rows {
        metric: "waterfall",
        keys: DEVICE,
        of: whole_window,
        column: "span_ns",
        whole: ("idle", of_device, "span_ns"),
    },
    Rows { metric: "launch", keys: DEVICE, of: no_name, column: "idle_ns", whole: ("idle", of_device, "idle_ns") },
    Rows { metric: "launch", keys: DEVICE, of: named, column: "launches", whole: ("launch", no_name, "launches") },
    Rows {
        metric: "launch",
        keys: DEVICE,
        of: named,
        column: "queue_delay_total_ns",
        whole: ("launch", no_name, "queue_delay_total_ns"),
    },
    Rows { metric: "queue_depth", keys: QUEUE, of: bin, column: "span_ns", whole: ("queue_depth", no_bin, "span_ns") },
    Rows {
        metric: "queue_depth",
        keys: QUEUE,
        of: bin,
        column: "empty_ns",
        whole: ("queue_depth", no_bin, "empty_ns"),
    },
    Rows {
        metric: "queue_depth",
        keys: QUEUE,
        of: bin,
        column: "starved_ns",
        whole: ("queue_depth", no_bin, "starved_ns"),
    },
    Rows {
        metric: "queue_depth",
        keys: QUEUE,
        of: bin,
        column: "launches",
        whole: ("queue_depth", no_bin, "launches"),
    },
    Rows {
        metric: "graph_launches",
        keys: DEVICE,
        of: of_graph,
        column: "span_ns",
        whole: ("graph_launches", of_all_graphs, "span_ns"),
    },
    Rows {
        metric: "graph_launches",
        keys: DEVICE,
        of: of_graph,
        column: "between_ns",
        whole: ("graph_launches", of_all_graphs, "between_ns"),
    },
];

/// All sums that do not hold, the first of each kind.
pub(super) fn broken(results: &[Results]) -> Vec<String> {
    let find = |name: &str| results.iter().find(|result| result.table.name == name);
    let mut found = Vec::new();
    for split in SPLITS {
        found.extend(find(split.metric).and_then(|result| unequal(result, split)));
    }
    for rows in ROWS {
        let (Some(parts), Some(whole)) = (find(rows.metric), find(rows.whole.0)) else { continue };
        let [parts, whole] = [(parts, rows.of, rows.column), (whole, rows.whole.1, rows.whole.2)]
            .map(|(result, of, column)| grouped(result, rows.keys, of, column));
        // A device without parts of the kind (a queue without work) has no whole to compare with, and the other way round.
        let wrong = parts.iter().find(|(key, sum)| whole.get(*key).is_some_and(|whole| whole != *sum));
        found.extend(wrong.map(|(key, sum)| {
            format!("{}: {} of {key:?} sums to {sum}, {} to {}", rows.metric, rows.column, rows.whole.2, whole[key])
        }));
    }
    found.extend(find("critical_path").and_then(paths));
    found.extend(find("bubble").zip(find("bubble_iteration")).and_then(|(whole, parts)| iterations(whole, parts)));
    found.extend(find("kernels").zip(find("kernel_durations")).and_then(|(kernels, bins)| histogram(kernels, bins)));
    found
}

fn unequal(result: &Results, split: &Split) -> Option<String> {
    (0..result.rows).find_map(|row| {
        let parts: Vec<Option<i64>> = split.parts.iter().map(|part| result.int(row, part)).collect();
        let whole: Option<i64> = split.whole.iter().map(|part| result.int(row, part)).sum();
        let sum: i64 = parts.iter().flatten().sum();
        let counts = parts.iter().any(Option::is_some);
        (counts && whole.is_some_and(|whole| whole != sum)).then(|| {
            format!(
                "{}: row {row}: {:?} = {parts:?} sum to {sum}, {:?} to {whole:?}",
                split.metric, split.parts, split.whole
            )
        })
    })
}

fn grouped(
    result: &Results,
    keys: &[&str],
    of: fn(&Results, usize) -> bool,
    column: &str,
) -> BTreeMap<Vec<String>, i64> {
    let mut sums = BTreeMap::new();
    for row in (0..result.rows).filter(|row| of(result, *row)) {
        let key = keys.iter().map(|key| result.shown(row, key)).collect();
        *sums.entry(key).or_default() += result.int(row, column).unwrap_or(0);
    }
    sums
}

/// The segments of a path sum to its windows.
fn paths(result: &Results) -> Option<String> {
    let free = |row: usize| result.text(row, "segment") == Some("free");
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in (0..result.rows).filter(|row| !free(*row)) {
        let key = ["scope", "window"].map(|key| result.shown(row, key)).join(" ");
        let sum = sums.entry(key).or_default();
        sum.0 += result.int(row, "on_path_ns").unwrap_or(0);
        sum.1 = result.int(row, "span_ns").unwrap_or(0);
    }
    let wrong = sums.into_iter().find(|(_, (sum, span))| sum != span);
    wrong.map(|(key, (sum, span))| format!("critical_path: the path of {key} sums to {sum}, not to {span}"))
}

/// The iterations and the rest before and behind them sum to the windows of the bubble.
fn iterations(bubble: &Results, iterations: &Results) -> Option<String> {
    let (sum, whole) = (iterations.sum("span_ns"), bubble.sum("span_ns"));
    (iterations.rows > 0 && sum != whole).then(|| format!("bubble_iteration: spans sum to {sum}, not to {whole}"))
}

/// The bins hold every kernel once. Rows of whole graphs are in `kernels` only.
fn histogram(kernels: &Results, bins: &Results) -> Option<String> {
    let kernel = |result: &Results, row: usize| {
        result.table.name != "kernels" || !result.text(row, "name").is_some_and(|name| name.starts_with("CUDA graph"))
    };
    for (ours, theirs) in [("kernels", "launches"), ("total_ns", "total_ns")] {
        let bins = grouped(bins, DEVICE, of_histogram, ours);
        let mut all: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        for row in (0..kernels.rows).filter(|row| kernel(kernels, *row)) {
            let key = DEVICE.iter().map(|key| kernels.shown(row, key)).collect();
            *all.entry(key).or_default() += kernels.int(row, theirs).unwrap_or(0);
        }
        if let Some((key, sum)) = all.iter().find(|(key, sum)| bins.get(*key).copied().unwrap_or(0) != **sum) {
            return Some(format!("kernel_durations: {ours} of {key:?} sum to {:?}, not to {sum}", bins.get(key)));
        }
    }
    None
}
