//! The order of operations on each queue, chosen by simulating a block with measured durations.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use super::config::{Config, Style};
use super::graph::{Graph, Kind, Node, Phase, Slots};
use crate::backend::cpu::Room;
use crate::backend::{Link, QueueName};

/// What a duration depends on: kind of operation (layer, or none for the attention), stage, phase and rows.
pub(crate) type Class = (Option<usize>, usize, Phase, usize);

/// Measured durations of the arithmetic in nanoseconds.
pub(crate) type Durations = BTreeMap<Class, i64>;

/// A block's graph and the order in which its operations are enqueued.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    /// Nodes by simulated start: an order in which everything comes after what it needs.
    pub(crate) order: Vec<usize>,
    /// For each node, the nodes on other queues whose events its queue waits for first.
    pub(crate) waits: Vec<Vec<usize>>,
    /// Whether an event is recorded after the node.
    pub(crate) recorded: Vec<bool>,
    /// Simulated makespan in nanoseconds.
    pub(crate) makespan_ns: i64,
}

/// Time from the end of an operation to the start of another queue's that waits for it.
const WAKE_UP_NS: i64 = 15_000;
/// What copies between GPUs, or in one, are planned with: it decides about the order only, no time is taken from it.
const GPU_LINK: Link = Link { bytes_per_s: 2e11, latency: Duration::from_micros(3) };
/// Fewer iterations in flight, which complete earlier and more evenly, are preferred while they are not slower than this.
const SLACK: f64 = 1.01;
/// Iterations in flight: with one, devices wait for each other; more than four only delay the first completions.
const LEAST_IN_FLIGHT: usize = 2;
pub(crate) const MOST_IN_FLIGHT: usize = 4;

impl Plan {
    /// The best of several numbers of iterations in flight.
    pub(crate) fn new(config: &Config, iterations: usize, durations: &Durations) -> Self {
        let plan = |in_flight| Self::simulate(graph(config, iterations, in_flight), config, durations);
        let faster = |a: Self, b: Self| if b.makespan_ns as f64 * SLACK < a.makespan_ns as f64 { b } else { a };
        (LEAST_IN_FLIGHT + 1..=MOST_IN_FLIGHT).map(plan).fold(plan(LEAST_IN_FLIGHT), faster)
    }

    /// The plain order, for a host that synchronises after every operation.
    pub(crate) fn in_program_order(config: &Config, iterations: usize) -> Self {
        let graph = program_order_graph(config, iterations);
        let count = graph.nodes.len();
        Self {
            graph,
            order: (0..count).collect(),
            waits: vec![Vec::new(); count],
            recorded: vec![false; count],
            makespan_ns: 0,
        }
    }

    fn simulate(graph: Graph, config: &Config, durations: &Durations) -> Self {
        let times: Vec<i64> = graph.nodes.iter().map(|node| duration(node, &graph, config, durations)).collect();
        let priorities = priorities(&graph, &times);
        let (order, makespan_ns) = list_schedule(&graph, &times, &priorities);
        let waits = waits(&graph, &order);
        let mut recorded = vec![false; graph.nodes.len()];
        waits.iter().flatten().for_each(|&node| recorded[node] = true);
        Self { graph, order, waits, recorded, makespan_ns }
    }
}

fn graph(config: &Config, iterations: usize, in_flight: usize) -> Graph {
    let micro_batches = config.stages * config.chunks + 2;
    Graph::new(config, iterations, Slots { iterations: in_flight, micro_batches })
}

fn program_order_graph(config: &Config, iterations: usize) -> Graph {
    Graph::new(config, iterations, Slots { iterations: 1, micro_batches: 1 })
}

/// The most records that the measured blocks need, whichever plan each of them runs.
pub(crate) fn room(config: &Config) -> Room {
    if !config.execution.record {
        return Room::default();
    }
    let graphs: Vec<Graph> = match config.style {
        Style::Baseline => vec![program_order_graph(config, config.iterations)],
        Style::Optimized => {
            (LEAST_IN_FLIGHT..=MOST_IN_FLIGHT).map(|in_flight| graph(config, config.iterations, in_flight)).collect()
        }
    };
    let mut room = Room { ranges: config.blocks + 1, ..Room::default() };
    for graph in graphs {
        let needed = block_room(&graph, config);
        for (queue, operations) in needed.operations {
            let most = room.operations.entry(queue).or_default();
            *most = operations.max(*most);
        }
        room.dependencies = room.dependencies.max(needed.dependencies);
        room.calls = room.calls.max(needed.calls);
    }
    room.operations.values_mut().for_each(|operations| *operations *= config.blocks);
    room.dependencies *= config.blocks;
    room.calls *= config.blocks;
    room
}

/// The most records that a block of `graph` needs, in whichever order it runs.
fn block_room(graph: &Graph, config: &Config) -> Room {
    let mut room = Room::default();
    let (mut waits, nodes) = (0, graph.nodes.len());
    for node in &graph.nodes {
        *room.operations.entry(node.queue).or_default() += 1;
        room.dependencies += node.data.len();
        // A node waits for one event of another queue at most.
        let others: BTreeSet<QueueName> =
            node.data.iter().chain(&node.order).map(|&before| graph.nodes[before].queue).collect();
        waits += others.iter().filter(|queue| **queue != node.queue).count();
    }
    // A launch each, its waits, the events that these wait for, and the drain of three queues a device.
    room.calls = nodes + waits + waits.min(nodes) + 3 * config.stages;
    match config.style {
        // The host synchronises after each operation, nothing waits.
        Style::Baseline => room.calls = 2 * nodes + 3 * config.stages,
        Style::Optimized => room.dependencies += waits,
    }
    room
}

/// The class of a node's duration; none for a copy, whose time follows from the link.
pub(crate) fn class(node: &Node) -> Option<Class> {
    let layer = match node.kind {
        Kind::Linear { layer, .. } => Some(layer),
        Kind::Attention { .. } => None,
        Kind::Copy { .. } => return None,
    };
    Some((layer, node.stage, node.phase, node.rows))
}

fn duration(node: &Node, graph: &Graph, config: &Config, durations: &Durations) -> i64 {
    match class(node) {
        Some(class) => durations.get(&class).copied().unwrap_or_else(|| estimate(node, config)),
        None if config.execution.is_cuda() => GPU_LINK.duration_ns(graph.sizes[&node.write]),
        None => config.link.duration_ns(graph.sizes[&node.write]) + 2 * WAKE_UP_NS,
    }
}

/// Before anything is measured: 75 GFLOP/s or 13 GB/s, whichever takes longer.
fn estimate(node: &Node, config: &Config) -> i64 {
    match node.kind {
        Kind::Linear { layer, columns, .. } => {
            let weights = config.widths[layer] * columns;
            (weights as f64 * (2.0 * node.rows as f64 / 75.0).max(4.0 / 13.0)) as i64
        }
        Kind::Attention { .. } | Kind::Copy { .. } => 50_000,
    }
}

/// The earliest iteration goes first, then the longest remaining path: smaller is earlier. The longest path alone gives a
/// makespan a few per cent shorter, but completes all iterations of a block together at its end.
fn priorities(graph: &Graph, times: &[i64]) -> Vec<(i64, i64, usize)> {
    let mut remaining = times.to_vec();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        for &producer in &node.data {
            remaining[producer] = remaining[producer].max(times[producer] + remaining[index]);
        }
    }
    let priority = |(index, node): (usize, &Node)| (node.iteration as i64, -remaining[index], index);
    graph.nodes.iter().enumerate().map(priority).collect()
}

/// List scheduling: an idle queue starts the first of the operations that are ready. Gives the nodes by start, and the
/// makespan.
fn list_schedule(graph: &Graph, times: &[i64], priorities: &[(i64, i64, usize)]) -> (Vec<usize>, i64) {
    let mut missing: Vec<usize> = graph.nodes.iter().map(|node| node.data.len() + node.order.len()).collect();
    let mut successors: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    let mut ready: BTreeMap<QueueName, BTreeSet<(i64, i64, usize)>> = BTreeMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        node.data.iter().chain(&node.order).for_each(|&before| successors[before].push(index));
        let queue = ready.entry(node.queue).or_default();
        if missing[index] == 0 {
            queue.insert(priorities[index]);
        }
    }
    let mut busy: BTreeSet<QueueName> = BTreeSet::new();
    let mut running: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
    let (mut order, mut now_ns) = (Vec::with_capacity(graph.nodes.len()), 0);
    loop {
        for (queue, ready) in &mut ready {
            if !busy.contains(queue)
                && let Some((_, _, node)) = ready.pop_first()
            {
                busy.insert(*queue);
                running.push(Reverse((now_ns + times[node], node)));
                order.push(node);
            }
        }
        let Some(Reverse((end_ns, node))) = running.pop() else { return (order, now_ns) };
        now_ns = end_ns;
        busy.remove(&graph.nodes[node].queue);
        for &successor in &successors[node] {
            missing[successor] -= 1;
            if missing[successor] == 0 {
                ready.entry(graph.nodes[successor].queue).or_default().insert(priorities[successor]);
            }
        }
    }
}

/// The events that each node waits for: of every other queue the last operation that it needs, unless its own queue has
/// waited for that one or a later one before.
fn waits(graph: &Graph, order: &[usize]) -> Vec<Vec<usize>> {
    let mut position = vec![0; order.len()];
    order.iter().enumerate().for_each(|(index, &node)| position[node] = index);
    let mut waited: BTreeMap<(QueueName, QueueName), usize> = BTreeMap::new();
    let mut waits = vec![Vec::new(); order.len()];
    for &node in order {
        let own = graph.nodes[node].queue;
        let mut last: BTreeMap<QueueName, usize> = BTreeMap::new();
        for &before in graph.nodes[node].data.iter().chain(&graph.nodes[node].order) {
            let queue = graph.nodes[before].queue;
            let latest = last.entry(queue).or_insert(before);
            if position[before] > position[*latest] {
                *latest = before;
            }
        }
        for (queue, before) in last.into_iter().filter(|(queue, _)| *queue != own) {
            let seen = waited.get(&(own, queue)).copied();
            if seen.is_none_or(|seen| seen < position[before]) {
                waited.insert((own, queue), position[before]);
                waits[node].push(before);
            }
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::tests::full;

    /// When each iteration of a plan completes, simulated.
    fn completions(plan: &Plan, config: &Config) -> Vec<i64> {
        let mut ends = vec![0; plan.order.len()];
        let mut free: BTreeMap<QueueName, i64> = BTreeMap::new();
        for &index in &plan.order {
            let node = &plan.graph.nodes[index];
            let ready = node.data.iter().chain(&node.order).map(|&before| ends[before]).max().unwrap_or(0);
            let queue = free.entry(node.queue).or_default();
            ends[index] = ready.max(*queue) + duration(node, &plan.graph, config, &Durations::new());
            *queue = ends[index];
        }
        plan.graph.finals.iter().map(|finals| finals.iter().map(|&node| ends[node]).max().unwrap_or(0)).collect()
    }

    #[test]
    fn two_devices_are_kept_busy_and_iterations_complete_evenly() {
        let config = full();
        let plan = Plan::new(&config, 16, &Durations::new());
        let mut busy: BTreeMap<QueueName, i64> = BTreeMap::new();
        for node in &plan.graph.nodes {
            *busy.entry(node.queue).or_default() += duration(node, &plan.graph, &config, &Durations::new());
        }
        let most = busy.values().copied().max().unwrap_or(0);
        assert!(most as f64 > 0.95 * plan.makespan_ns as f64, "{most} of {}", plan.makespan_ns);
        let ends = completions(&plan, &config);
        let gaps: Vec<i64> = ends.windows(2).map(|pair| pair[1] - pair[0]).take(14).collect();
        let (least, largest) = (gaps.iter().min().copied().unwrap_or(0), gaps.iter().max().copied().unwrap_or(0));
        assert!(least > 0 && largest * 10 < least * 12, "{gaps:?}");
    }

    #[test]
    fn an_operation_comes_after_what_it_needs_and_its_queue_waits_for_other_queues() {
        let config = Config { stages: 3, ..full() };
        let plan = Plan::new(&config, 3, &Durations::new());
        let mut position = vec![0; plan.order.len()];
        plan.order.iter().enumerate().for_each(|(at, &node)| position[node] = at);
        let mut seen: BTreeMap<(QueueName, QueueName), usize> = BTreeMap::new();
        for &index in &plan.order {
            let node = &plan.graph.nodes[index];
            for &wait in &plan.waits[index] {
                assert!(plan.recorded[wait]);
                seen.insert((node.queue, plan.graph.nodes[wait].queue), position[wait]);
            }
            for &before in node.data.iter().chain(&node.order) {
                assert!(position[before] < position[index]);
                let queue = plan.graph.nodes[before].queue;
                assert!(queue == node.queue || seen[&(node.queue, queue)] >= position[before]);
            }
        }
    }
}
