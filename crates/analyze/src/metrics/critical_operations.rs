//! The operations of the critical path one by one: those with the largest share of it, and what each waited for.
//!
//! One row a node of the graph that [`super::critical_path`] describes: its own time on the path, the time that it waited
//! on the path though its inputs were ready (lag), and the input that was ready last.

use std::cmp::Reverse;
use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_timeline::graph::{Anchor, View};
use proftool_trace::table::{Table, float, int, text};

use super::{Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::operators::{Span, total};
use crate::path::{Node, Scope, What, scopes};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "critical_operations",
    doc: "The operations with the largest share of the critical path, and what each of them waited for.",
    table: &TABLE,
    compute,
};

/// Rows of a window set.
const LISTED: usize = 1000;

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "critical_operations",
    doc: "One operation of the critical path; of each window set the 1,000 with the most time on it.",
    columns: &[
        RUN,
        TARGET,
        text("scope", "The ranks whose operations are one graph: `rank N`, or how many share one time."),
        RANK,
        int("device", "Number of the device inside its rank; null for host operations.").or_null(),
        int("queue", "Queue, where it has one.").or_null(),
        WINDOW,
        text("kind", "`activity` (row of `activities`), `call` (row of `calls`) or `host` (before that call)."),
        int("id", "The row of its table."),
        text("name", "Kernel, host call, or what the host did for the longest part of it.").or_null(),
        int("start_ns", "Recorded start, in the time of its rank."),
        int("end_ns", "Recorded end."),
        int("on_path_ns", "Its own time on the path."),
        int("lag_ns", "Time on the path before it began although its inputs were ready."),
        float("on_path_ratio", "(on_path_ns + lag_ns) / length of the windows.").or_null(),
        int(
            "slack_ns",
            "How much longer it could take without the last end moving; null if it began before the window.",
        )
        .or_null(),
        text("bound_by", "Kind of the input that was ready last: launch, queue, data, event, sync, collective, host.")
            .or_null(),
        text("bound_at", "`end` or `start` of that input.").or_null(),
        text("input_kind", "`activity` (of a collective the last to arrive), `call` or `host`.").or_null(),
        int("input_id", "The row of its table.").or_null(),
        text("input_name", "Its name.").or_null(),
    ],
};

/// What a node is in results: kind, row of its table, name.
#[derive(Clone, Copy)]
struct Named {
    kind: &'static str,
    id: i64,
    name: Option<u32>,
}

struct Row {
    window: String,
    scope: String,
    whole: i64,
    rank: i64,
    device: Option<i64>,
    queue: Option<i64>,
    named: Named,
    span: Span,
    on_path: i64,
    lag: i64,
    slack: Option<i64>,
    bound: Option<(&'static str, &'static str)>,
    input: Option<Named>,
}

/// What is summed for a node: time on the path, lag, and the name that a host piece has for longest.
#[derive(Default)]
struct Sums {
    on_path: i64,
    lag: i64,
    longest: Option<(i64, Option<u32>)>,
}

impl Sums {
    /// What it contributes to the path.
    fn length(&self) -> i64 {
        self.on_path.saturating_add(self.lag)
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut rows = Vec::new();
    for scope in scopes(input)? {
        for set in scope.sets(input)? {
            rows.extend(of_set(&scope, &set));
        }
    }
    let names = &input.model()?.names;
    let text = |name: Option<u32>| name.map(|name| names.text(name));
    Output::new(input.run, input.target, &rows)
        .text("scope", |row| Some(&row.scope))
        .int("rank", |row| Some(row.rank))
        .int("device", |row| row.device)
        .int("queue", |row| row.queue)
        .text("window", |row| Some(&row.window))
        .text("kind", |row| Some(row.named.kind))
        .int("id", |row| Some(row.named.id))
        .text("name", |row| text(row.named.name))
        .int("start_ns", |row| Some(row.span.0))
        .int("end_ns", |row| Some(row.span.1))
        .int("on_path_ns", |row| Some(row.on_path))
        .int("lag_ns", |row| Some(row.lag))
        .float("on_path_ratio", |row| ratio(row.on_path.saturating_add(row.lag), row.whole))
        .int("slack_ns", |row| row.slack)
        .text("bound_by", |row| row.bound.map(|bound| bound.0))
        .text("bound_at", |row| row.bound.map(|bound| bound.1))
        .text("input_kind", |row| row.input.map(|input| input.kind))
        .int("input_id", |row| row.input.map(|input| input.id))
        .text("input_name", |row| row.input.and_then(|input| text(input.name)))
        .build(&TABLE)
}

fn of_set(scope: &Scope, set: &WindowSet) -> Vec<Row> {
    let views: Vec<View> = set.spans.iter().map(|window| scope.graph.view(*window)).collect();
    let whole = total(&views.iter().map(View::window).collect::<Vec<_>>());
    let mut nodes: Vec<(usize, u32, Sums)> = Vec::new();
    for (at, view) in views.iter().enumerate() {
        of_view(scope, at, view, &mut nodes);
    }
    // Rows are made only of what can be listed: a path may hold a node for every call of the host.
    if nodes.len() > LISTED {
        let (_, last, _) = nodes.select_nth_unstable_by_key(LISTED - 1, |(_, _, sums)| Reverse(sums.length()));
        let least = last.2.length();
        nodes.retain(|(_, _, sums)| sums.length() >= least);
    }
    let mut listed = vec![false; scope.nodes.len()];
    for (_, node, _) in &nodes {
        listed[*node as usize] = true;
    }
    let mut slack: HashMap<(usize, u32), Option<i64>> = HashMap::new();
    for (at, view) in views.iter().enumerate() {
        let all = view.operations().iter().zip(view.slack()).filter(|(node, _)| listed[**node as usize]);
        slack.extend(all.map(|(node, slack)| ((at, *node), slack)));
    }
    let row = |(at, node, sums): (usize, u32, Sums)| {
        row(scope, set, whole, node, &sums, slack.get(&(at, node)).copied().flatten())
    };
    let mut rows: Vec<Row> = nodes.into_iter().map(row).collect();
    rows.sort_by_key(|row| (Reverse(row.on_path + row.lag), row.rank, row.span, row.named.kind, row.named.id));
    rows.truncate(LISTED);
    rows
}

/// Adds the nodes of a window's path. The path goes from the end to the start and never back, so the pieces of a node
/// follow one another.
fn of_view(scope: &Scope, at: usize, view: &View, nodes: &mut Vec<(usize, u32, Sums)>) {
    for segment in scope.segments(view).iter() {
        let Some(node) = segment.node.filter(|_| segment.what != What::Tail) else { continue };
        if nodes.last().is_none_or(|last| (last.0, last.1) != (at, node)) {
            nodes.push((at, node, Sums::default()));
        }
        let Some((_, _, sums)) = nodes.last_mut() else { continue };
        let length = segment.span.1 - segment.span.0;
        match segment.what {
            What::Operation | What::Call | What::Return | What::Host => {
                sums.on_path += length;
                // Of equal ones the name decides: numbers of names depend on the order of the rows.
                let text = |name: Option<u32>| name.map(|name| scope.model.names.text(name));
                let longer = |(known, name): (i64, Option<u32>)| {
                    (length, Reverse(text(segment.name))) > (known, Reverse(text(name)))
                };
                if sums.longest.is_none_or(longer) {
                    sums.longest = Some((length, segment.name));
                }
            }
            _ => sums.lag += length,
        }
    }
}

fn row(scope: &Scope, set: &WindowSet, whole: i64, node: u32, sums: &Sums, slack: Option<i64>) -> Row {
    let activity = scope.activity(node);
    let rank = scope.rank(node).unwrap_or_default();
    let bound = scope.graph.bound_by(node);
    let at = |anchor| if anchor == Anchor::End { "end" } else { "start" };
    let own = named(scope, node).unwrap_or(Named { kind: "activity", id: 0, name: None });
    Row {
        window: set.name.clone(),
        scope: scope.name(),
        whole,
        rank,
        device: activity.map(|row| row.device.1),
        queue: activity.and_then(|row| row.queue),
        named: Named { name: own.name.or(sums.longest.and_then(|longest| longest.1)), ..own },
        span: scope.own(rank, scope.graph.span(node)),
        on_path: sums.on_path,
        lag: sums.lag,
        slack,
        bound: bound.map(|(_, kind, anchor)| (kind.name(), at(anchor))),
        input: bound.and_then(|bound| named(scope, bound.0)),
    }
}

/// What a node is; a meeting is the last to arrive.
fn named(scope: &Scope, node: u32) -> Option<Named> {
    let model = scope.model;
    let call = |call: u32| &model.calls[call as usize];
    Some(match scope.nodes[node as usize] {
        Node::Activity(at) | Node::Arrival(at) => {
            let row = &model.activities[at as usize];
            Named { kind: "activity", id: row.id, name: Some(row.name) }
        }
        Node::Call(at) | Node::Enter(at) | Node::Return(at) => {
            Named { kind: "call", id: call(at).id, name: Some(call(at).name) }
        }
        Node::Host(at) => Named { kind: "host", id: call(at).id, name: None },
        Node::Meeting => return named(scope, scope.graph.bound_by(node)?.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{ints, texts};

    #[test]
    fn each_operation_of_the_path_says_what_it_waited_for() {
        // Call 0 (0..4) launches kernel 0 (7..20), call 1 (4..9) kernel 1 (22..30) on the same queue.
        let fixture = Fixture::new()
            .named_kernel("a", 0, 0, (7, 20))
            .launched_by("launch", (0, 4))
            .named_kernel("b", 0, 0, (22, 30))
            .launched_by("launch", (4, 9))
            .block((0, 31));
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        let text = |name: &str| texts(&frame, name).unwrap();
        let some = |values: [&str; 3]| values.map(|value| Some(value.to_owned()));
        assert_eq!(text("name"), some(["a", "b", "launch"]));
        assert_eq!(text("kind"), some(["activity", "activity", "call"]));
        assert_eq!(ints(&frame, "on_path_ns").unwrap(), [13, 8, 4].map(Some));
        assert_eq!(ints(&frame, "lag_ns").unwrap(), [3, 2, 0].map(Some));
        assert_eq!(ints(&frame, "slack_ns").unwrap(), [0, 0, 0].map(Some));
        assert_eq!(text("bound_by"), [Some("launch".to_owned()), Some("queue".to_owned()), None]);
        assert_eq!(text("input_name"), [Some("launch".to_owned()), Some("a".to_owned()), None]);
        assert_eq!(ints(&frame, "input_id").unwrap(), [Some(0), Some(0), None]);
    }

    #[test]
    fn host_time_is_named_by_what_the_host_did_longest() {
        let fixture = Fixture::new()
            .named_kernel("a", 0, 0, (1, 2))
            .launched((0, 1))
            .named_kernel("b", 0, 0, (60, 70))
            .launched((50, 55))
            .host_call("op", "short", (1, 10))
            .host_call("op", "long", (10, 45));
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!(texts(&frame, "name").unwrap()[0].as_deref(), Some("long"));
        // From the window's start (1) to the call (50).
        assert_eq!(ints(&frame, "on_path_ns").unwrap()[0], Some(49));
    }
}
