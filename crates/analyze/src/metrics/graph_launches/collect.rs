//! Finds the graph launches of a device.

use std::collections::{BTreeMap, HashMap, HashSet};

use proftool_timeline::measure::Measure;

use crate::classes::{Class, Kind, contains_any};
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, into_union, total};

/// Parts of the names of calls that launch a graph: `cudaGraphLaunch`, `cuGraphLaunch`, `hipGraphLaunch` with any suffix,
/// and the recorder's own `graph_launch`.
const CALLS: &[&str] = &["graphlaunch", "graph_launch"];

/// One launch of a graph on one device.
#[derive(Debug)]
pub(super) struct Launch {
    /// First start to last end of its nodes.
    pub(super) span: Span,
    /// Smallest identifier of its nodes, which orders launches that begin at once.
    id: i64,
    /// Place of its graph in [`Device::graphs`].
    pub(super) graph: u32,
    /// Index of the launching call.
    pub(super) call: Option<u32>,
    /// How many nodes; unknown for a whole-graph row.
    pub(super) nodes: Option<i64>,
    /// Time of its span in which own nodes, only other work, nothing runs; unknown for a whole-graph row.
    pub(super) parts: Option<[i64; 3]>,
}

/// What tells graphs apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Number(i64),
    /// A whole-graph row, by its name, which tells executables of one graph apart, and its number.
    Whole(u32, Option<i64>),
    /// The name of the call and the sorted names of the nodes.
    Nodes(Option<u32>, Vec<u32>),
}

/// The graph launches of a device in the whole pass.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) key: DeviceKey,
    /// Each graph's text and number, in the order of their first launches.
    pub(super) graphs: Vec<(String, Option<i64>)>,
    /// By start and id.
    launches: Vec<Launch>,
    /// Of each launch the latest end of it and all before it.
    ends: Vec<i64>,
    busy: Measure,
    /// Start of each node, sorted, and how many nodes up to it have a call.
    nodes: Vec<(i64, u64)>,
}

impl Device {
    pub(super) fn of(model: &Model, key: DeviceKey, calls: &GraphCalls) -> Self {
        let rows = model.of_device(key);
        let is_work = |row: &&Activity| row.class != Class::Sync;
        let nodes: Vec<&Activity> = rows.iter().filter(is_work).filter(|row| calls.holds(model, row)).collect();
        let mut device = Self {
            key,
            graphs: Vec::new(),
            launches: Vec::new(),
            ends: Vec::new(),
            busy: Measure::default(),
            nodes: counted(&nodes),
        };
        if !nodes.is_empty() {
            let work = rows.iter().filter(is_work).map(|row| row.span);
            device.busy = Measure::of(into_union(work.collect()));
            device.collect(model, &nodes);
        }
        device
    }

    fn collect(&mut self, model: &Model, nodes: &[&Activity]) {
        let mut found: Vec<(Launch, Key)> = Vec::new();
        let (whole, single): (Vec<&Activity>, Vec<&Activity>) = nodes.iter().partition(|row| row.kind == Kind::Graph);
        found.extend(whole.into_iter().map(whole_graph));
        let mut single: Vec<(u32, &Activity)> = single.into_iter().filter_map(|row| Some((row.call?, row))).collect();
        single.sort_by_key(|(call, row)| (*call, row.span.0, row.id));
        found.extend(single.chunk_by(|a, b| a.0 == b.0).map(|nodes| self.launch(model, nodes)));
        found.sort_by_key(|(launch, _)| (launch.span.0, launch.id));
        self.name(model, found);
        let latest = self.launches.iter().scan(i64::MIN, |end, launch| {
            *end = launch.span.1.max(*end);
            Some(*end)
        });
        self.ends = latest.collect();
    }

    /// A launch from its nodes, which are sorted by start.
    fn launch(&self, model: &Model, nodes: &[(u32, &Activity)]) -> (Launch, Key) {
        let (call, first) = nodes[0];
        let spans: Vec<Span> = nodes.iter().map(|(_, row)| row.span).collect();
        let span = (first.span.0, spans.iter().map(|span| span.1).max().unwrap_or(first.span.1));
        let (own, busy) = (total(&into_union(spans)), self.busy.inside(span));
        let gap = span.1.saturating_sub(span.0).saturating_sub(busy);
        let key = nodes.iter().find_map(|(_, row)| row.graph_id).map_or_else(
            || {
                let mut names: Vec<u32> = nodes.iter().map(|(_, row)| row.name).collect();
                names.sort_unstable();
                Key::Nodes(model.calls.get(call as usize).map(|call| call.name), names)
            },
            Key::Number,
        );
        let launch = Launch {
            span,
            id: first.id,
            graph: 0,
            call: Some(call),
            nodes: Some(nodes.len() as i64),
            parts: Some([own, busy.saturating_sub(own), gap]),
        };
        (launch, key)
    }

    /// Numbers the graphs in the order of their first launches, and names them.
    fn name(&mut self, model: &Model, found: Vec<(Launch, Key)>) {
        let mut places: HashMap<Key, u32> = HashMap::new();
        for (mut launch, key) in found {
            launch.graph = *places.entry(key).or_insert_with_key(|key| {
                self.graphs.push((label(model, key), number(key)));
                self.graphs.len() as u32 - 1
            });
            self.launches.push(launch);
        }
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, (text, _)) in self.graphs.iter().enumerate() {
            alike.entry(text.clone()).or_default().push(place);
        }
        for (number, place) in
            alike.into_values().filter(|places| places.len() > 1).flat_map(|all| all.into_iter().enumerate())
        {
            self.graphs[place].0 = format!("{} #{}", self.graphs[place].0, number + 1);
        }
    }

    /// The launches that begin in a window, each with the time between it and those before it in the window: its length,
    /// and how much of that the device ran nothing.
    pub(super) fn begun(&self, window: Span) -> impl Iterator<Item = (&Launch, Option<(i64, i64)>)> {
        let first = self.launches.partition_point(|launch| launch.span.0 < window.0);
        let end = self.launches.partition_point(|launch| launch.span.0 < window.1).max(first);
        (first..end).map(move |at| {
            let between = (at > first).then(|| (self.ends[at - 1], self.launches[at].span.0));
            let between = between.filter(|span| span.0 < span.1).map(|span| {
                let length = span.1.saturating_sub(span.0);
                (length, length.saturating_sub(self.busy.inside(span)))
            });
            (&self.launches[at], between)
        })
    }

    /// Share of the nodes that begin in the windows whose launching call is recorded; `None` without nodes.
    pub(super) fn coverage(&self, windows: &[Span]) -> Option<f64> {
        let with_call = |place: usize| place.checked_sub(1).map_or(0, |last| self.nodes[last].1);
        let (mut known, mut all) = (0, 0);
        for window in windows {
            let place = |instant: i64| self.nodes.partition_point(|node| node.0 < instant);
            let (first, end) = (place(window.0), place(window.1));
            known += with_call(end).saturating_sub(with_call(first));
            all += end.saturating_sub(first);
        }
        (all > 0).then(|| known as f64 / all as f64)
    }
}

/// Start of each node and how many up to it have a call.
fn counted(nodes: &[&Activity]) -> Vec<(i64, u64)> {
    let running = nodes.iter().scan(0, |known, row| {
        *known += u64::from(row.call.is_some());
        Some((row.span.0, *known))
    });
    running.collect()
}

fn whole_graph(row: &Activity) -> (Launch, Key) {
    let launch = Launch { span: row.span, id: row.id, graph: 0, call: row.call, nodes: None, parts: None };
    (launch, Key::Whole(row.name, row.graph_id))
}

fn number(key: &Key) -> Option<i64> {
    match key {
        Key::Number(number) => Some(*number),
        Key::Whole(_, number) => *number,
        Key::Nodes(..) => None,
    }
}

fn label(model: &Model, key: &Key) -> String {
    match key {
        Key::Number(number) => format!("graph {number}"),
        Key::Whole(name, _) => model.names.text(*name).to_owned(),
        Key::Nodes(call, nodes) => {
            let call = call.map_or("graph launch", |name| model.names.text(name));
            format!("{call}, {} node{}", nodes.len(), if nodes.len() == 1 { "" } else { "s" })
        }
    }
}

/// Which names of calls launch a graph.
#[derive(Debug)]
pub(super) struct GraphCalls(HashSet<u32>);

impl GraphCalls {
    pub(super) fn of(model: &Model) -> Self {
        let mut known: HashMap<u32, bool> = HashMap::new();
        for call in &model.calls {
            known.entry(call.name).or_insert_with(|| contains_any(model.names.text(call.name), CALLS));
        }
        Self(known.into_iter().filter(|(_, graph)| *graph).map(|(name, _)| name).collect())
    }

    /// Whether a row of work is a node of a graph, or a whole graph.
    fn holds(&self, model: &Model, row: &Activity) -> bool {
        let launched = || row.call.and_then(|call| model.calls.get(call as usize));
        row.kind == Kind::Graph
            || row.graph_id.is_some()
            || row.graph_node.is_some()
            || launched().is_some_and(|call| self.0.contains(&call.name))
    }
}
