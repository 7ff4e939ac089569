//! The critical path: what the end of the work waited for, and what would be gained where.
//!
//! The path runs back from the end of the window: from the work that ends last over the input that was ready last
//! (`crate::path` says which inputs there are), to the window's start. Each nanosecond belongs to the segment that it
//! was spent on: an operation, a host call, host code between calls, or the wait of an operation whose inputs were ready,
//! by the kind of the last of them. The segments sum to the window exactly.
//!
//! free_saved = the window's last end - the same when these kernels take no time: the graph is scheduled again with all
//! other durations, and all waits after the inputs were ready, as recorded. slack = how much longer an operation could
//! take without the last end moving; on the path it is 0.
//!
//! The graph is as good as its edges: what no tool recorded (locks between host threads, the edges inside a graph launch)
//! bounds nothing, so that free_saved is an estimate; edges that are guesses are counted in `inferred_edges`.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use polars::prelude::{DataFrame, PlHashMap};
use proftool_timeline::graph::{Kind as EdgeKind, View};
use proftool_trace::table::{Table, boolean, float, int, text};

use super::{Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::glob::matches;
use crate::classes::{Class, Kind};
use crate::model::{Activity, Model};
use crate::operators::total;
use crate::path::{Family, Node, Scope, Segment, What, scopes};
use crate::windows::WindowSet;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "critical_path",
    doc: "What the end of the work waited for, and how much earlier it would come if a kernel took no time.",
    table: &TABLE,
    compute,
};

/// Families whose absence is simulated, by their time on the path.
const SIMULATED: usize = 20;

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "critical_path",
    doc: "One kind of segment of the critical path, and every kernel family beside it.",
    columns: &[
        RUN,
        TARGET,
        text("scope", "The ranks whose operations are one graph: `rank N`, or how many share one time."),
        RANK.or_null(),
        int("device", "Number of the device inside its rank; null for host segments.").or_null(),
        WINDOW,
        int("span_ns", "Length of the windows; the column on_path_ns sums to it."),
        text(
            "segment",
            "`operation` (a device worked), `call` (a host call ran), `return` (a blocking call returned late), `host` \
             (between calls), `launch`, `queue`, `dependency`, `collective` (inputs of that kind were ready, the work had \
             not begun), `unexplained` (the queue was free, the launch is not recorded), `start` (nothing that was waited \
             for is recorded), `tail` (after the last work); `free` is no segment but the answer about the kernels that the \
             user named.",
        ),
        text("name", "Kernel, host call, or what the host was doing (its innermost operator or range).").or_null(),
        text("class", "Class of the kernel.").or_null(),
        int("on_path_ns", "Time on the path."),
        float("on_path_ratio", "on_path_ns / span_ns.").or_null(),
        int("segments", "Number of segments on the path."),
        int("launches", "Operations of the family that begin in the windows.").or_null(),
        int("total_ns", "Their time inside the windows, on the path or not.").or_null(),
        int(
            "free_saved_ns",
            "How much earlier the last work would end if all operations of that name and class in the scope took no time; \
             null beyond the 20 with the most time on the path.",
        )
        .or_null(),
        int("slack_ns", "The least by which one of them could take longer without the last end moving.").or_null(),
        float("coverage_ratio", "Share of the operations whose launching call is recorded.").or_null(),
        int("inferred_edges", "Edges of the graph that no tool recorded."),
        int("dropped_edges", "Edges that the times contradict or that close a cycle."),
        boolean("reliable", "False where whole-graph rows hide the kernels and what they wait for."),
    ],
};

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    what: What,
    rank: Option<i64>,
    device: Option<i64>,
    name: Option<u32>,
    class: Option<Class>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    on_path: i64,
    segments: i64,
    launches: i64,
    total: i64,
    slack: Option<i64>,
}

/// With a faster hash than the standard one: a path may have a million segments.
type AllSums = PlHashMap<Key, Sums>;

struct Row<'s> {
    set: &'s Set,
    key: Key,
    name: Option<&'s str>,
    sums: Sums,
    saved: Option<i64>,
}

/// What all rows of a window set have in common.
struct Set {
    scope: String,
    window: String,
    span: i64,
    coverage: Option<f64>,
    inferred: i64,
    dropped: i64,
    reliable: bool,
    /// The names that the user asks about.
    glob: Option<String>,
    rows: Vec<(Key, Sums, Option<i64>)>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut sets = Vec::new();
    for scope in scopes(input)? {
        sets.extend(scope.sets(input)?.iter().map(|set| of_set(&scope, set, input.free.as_deref())));
    }
    let model = input.model()?;
    let mut rows: Vec<Row> = Vec::new();
    for set in &sets {
        let text = |key: &Key| {
            let name = key.name.map(|name| model.names.text(name));
            match key.what {
                What::Free => set.glob.as_deref(),
                What::Operation => name,
                _ => name.map(stem),
            }
        };
        let first = rows.len();
        rows.extend(set.rows.iter().map(|(key, sums, saved)| Row {
            set,
            key: *key,
            name: text(key),
            sums: *sums,
            saved: *saved,
        }));
        rows[first..].sort_by_key(|row| {
            let size = (row.key.what == What::Free, row.sums.on_path, row.sums.total);
            (Reverse(size), row.key.what, row.name, row.key)
        });
    }
    let work = |value: fn(&Sums) -> i64| {
        move |row: &Row| matches!(row.key.what, What::Operation | What::Free).then(|| value(&row.sums))
    };
    Output::new(input.run, input.target, &rows)
        .text("scope", |row| Some(&row.set.scope))
        .int("rank", |row| row.key.rank)
        .int("device", |row| row.key.device)
        .text("window", |row| Some(&row.set.window))
        .int("span_ns", |row| Some(row.set.span))
        .text("segment", |row| Some(row.key.what.name()))
        .text("name", |row| row.name)
        .text("class", |row| row.key.class.map(Class::name))
        .int("on_path_ns", |row| Some(row.sums.on_path))
        .float("on_path_ratio", |row| ratio(row.sums.on_path, row.set.span))
        .int("segments", |row| Some(row.sums.segments))
        .int("launches", work(|sums| sums.launches))
        .int("total_ns", work(|sums| sums.total))
        .int("free_saved_ns", |row| row.saved)
        .int("slack_ns", |row| row.sums.slack)
        .float("coverage_ratio", |row| row.set.coverage)
        .int("inferred_edges", |row| Some(row.set.inferred))
        .int("dropped_edges", |row| Some(row.set.dropped))
        .bool("reliable", |row| Some(row.set.reliable))
        .build(&TABLE)
}

fn of_set(scope: &Scope, set: &WindowSet, glob: Option<&str>) -> Set {
    let views: Vec<View> = set.spans.iter().map(|window| scope.graph.view(*window)).collect();
    let (mut sums, mut count): (AllSums, Count) = (AllSums::default(), Count::default());
    let mut stems = Stems::default();
    for view in &views {
        on_path(scope, view, &mut sums, &mut stems);
        off_path(scope, view, &mut sums, &mut count);
    }
    let saved = saved(scope, &views, &sums);
    let with_saved =
        |(key, sums): (Key, Sums)| (key, sums, family(&key).and_then(|family| saved.get(&family).copied()));
    let mut rows: Vec<(Key, Sums, Option<i64>)> = Vec::new();
    rows.extend(glob.map(|glob| asked(scope, &views, &sums, glob)));
    rows.extend(sums.into_iter().map(with_saved));
    let dropped = scope.graph.dropped();
    Set {
        scope: scope.name(),
        window: set.name.clone(),
        span: total(&views.iter().map(View::window).collect::<Vec<_>>()),
        coverage: ratio(count.launched, count.operations),
        inferred: scope.inferred as i64,
        dropped: (dropped.contradicted + dropped.cyclic + scope.impossible) as i64,
        reliable: !count.graphs,
        glob: glob.map(str::to_owned),
        rows,
    }
}

/// What is counted for the coverage.
#[derive(Default)]
struct Count {
    operations: i64,
    launched: i64,
    graphs: bool,
}

fn key_of(row: &Activity) -> Key {
    let (rank, device) = row.device;
    Key { what: What::Operation, rank: Some(rank), device: Some(device), name: Some(row.name), class: Some(row.class) }
}

fn family(key: &Key) -> Option<Family> {
    (key.what == What::Operation).then_some((key.name?, key.class?))
}

/// What PyTorch appends to the name of an operator's range, different each time.
const APPENDED: [&str; 3] = [", seq = ", ", op_id = ", ", sizes = "];

/// A name without what is appended.
fn stem(name: &str) -> &str {
    let end = APPENDED.iter().filter_map(|part| name.find(part)).min();
    &name[..end.unwrap_or(name.len())]
}

/// One number for all names of a stem: that of the name which was met first.
#[derive(Default)]
struct Stems<'s> {
    first: HashMap<&'s str, u32>,
    /// By number of the name: a path has a piece for every call of the host, whose names are few.
    known: Vec<Option<u32>>,
}

impl<'s> Stems<'s> {
    fn number(&mut self, model: &'s Model, name: u32) -> u32 {
        let at = name as usize;
        if let Some(Some(number)) = self.known.get(at) {
            return *number;
        }
        let number = *self.first.entry(stem(model.names.text(name))).or_insert(name);
        self.known.resize(self.known.len().max(at + 1), None);
        self.known[at] = Some(number);
        number
    }
}

/// Adds the segments of a path. Names of one stem are one.
fn on_path<'s>(scope: &Scope<'s>, view: &View, sums: &mut AllSums, stems: &mut Stems<'s>) {
    for &Segment { what, node, name, span } in scope.segments(view).iter() {
        let row = node.and_then(|node| scope.activity(node));
        let key = match (what, row) {
            (What::Operation, Some(row)) => key_of(row),
            (What::Start | What::Tail, _) => Key { what, rank: None, device: None, name: None, class: None },
            _ => Key {
                what,
                rank: node.and_then(|node| scope.rank(node)),
                device: row.map(|row| row.device.1),
                name: name.map(|name| stems.number(scope.model, name)),
                class: None,
            },
        };
        let sum = sums.entry(key).or_default();
        sum.on_path += span.1 - span.0;
        sum.segments += 1;
    }
}

/// Adds every operation of the window, on the path or not.
fn off_path(scope: &Scope, view: &View, sums: &mut AllSums, count: &mut Count) {
    let window = view.window();
    for (node, slack) in view.operations().iter().zip(view.slack()) {
        let Node::Activity(at) = scope.nodes[*node as usize] else { continue };
        let row = &scope.model.activities[at as usize];
        let sum = sums.entry(key_of(row)).or_default();
        sum.slack = sum.slack.into_iter().chain(slack).min();
        sum.launches += 1;
        let span = scope.common(row.device.0, row.span);
        // Overlapping rows of hostile times may add up beyond any window.
        let inside = span.1.min(window.1).saturating_sub(span.0.max(window.0));
        sum.total = sum.total.saturating_add(inside.max(0));
        count.operations += 1;
        count.launched += i64::from(scope.graph.has_input(scope.heads[at as usize], EdgeKind::Launch));
        count.graphs |= row.kind == Kind::Graph;
    }
}

/// How much earlier the windows' work would end without each of the families with the most time on the path.
fn saved(scope: &Scope, views: &[View], sums: &AllSums) -> HashMap<Family, i64> {
    let mut on_path: HashMap<Family, i64> = HashMap::new();
    for (key, sums) in sums.iter().filter(|(_, sums)| sums.on_path > 0) {
        if let Some(family) = family(key) {
            *on_path.entry(family).or_default() += sums.on_path;
        }
    }
    let mut families: Vec<Family> = on_path.keys().copied().collect();
    // Of equal times the name decides: numbers of names depend on the order of the rows.
    families.sort_by_key(|family| (Reverse(on_path[family]), scope.model.names.text(family.0), family.1));
    families.truncate(SIMULATED);
    families.into_iter().map(|family| (family, scope.saved(views, |other| other == family))).collect()
}

/// The row about the kernels whose names match: how much earlier the windows' work would end without them.
fn asked(scope: &Scope, views: &[View], sums: &AllSums, glob: &str) -> (Key, Sums, Option<i64>) {
    let (mut asked, mut names) = (Sums::default(), HashSet::new());
    for (family, sums) in sums.iter().filter_map(|(key, sums)| Some((family(key)?, sums))) {
        if matches(glob, scope.model.names.text(family.0)) {
            names.insert(family.0);
            asked.launches += sums.launches;
            asked.total = asked.total.saturating_add(sums.total);
            asked.slack = asked.slack.into_iter().chain(sums.slack).min();
        }
    }
    let key = Key { what: What::Free, rank: None, device: None, name: None, class: None };
    // Nothing that matches is no answer.
    let saved = (asked.launches > 0).then(|| scope.saved(views, |family| names.contains(&family.0)));
    (key, asked, saved)
}
