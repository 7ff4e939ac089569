//! The operations of a block and what each needs, found by following its buffers in program order.

use std::collections::BTreeMap;

use super::config::Config;
use super::partition::{Stage, partition};
use crate::backend::{QueueName, Role};

/// Which part of the inference an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The prompts.
    Prefill,
    /// One row a sequence and step.
    Decode,
    /// The hand-over of the KV block.
    KvTransfer,
}

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::KvTransfer => "kv_transfer",
        }
    }
}

/// A buffer by its meaning: the same key is the same memory in every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The prompts of a micro-batch.
    Prompt { iteration: usize, micro_batch: usize },
    /// Columns of a layer's output, computed by `stage`, in the memory of `device`.
    Piece { phase: Phase, slot: usize, layer: usize, stage: usize, device: usize },
    /// What a prefill gives.
    PrefillOut { iteration: usize, micro_batch: usize },
    /// What a decode step gives.
    DecodeOut { iteration: usize, step: usize, micro_batch: usize },
    /// The KV block in the decode memory.
    Keys { slot: usize, micro_batch: usize },
    /// A decode step's output where the next step reads it.
    Previous { slot: usize, micro_batch: usize },
    /// A decode step's input in the memory of `device`.
    Context { slot: usize, micro_batch: usize, device: usize },
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Columns of a layer.
    Linear { layer: usize, first: usize, columns: usize },
    /// The input of a decode step; `keys_start` sequences of the first KV buffer belong to others.
    Attention { first_step: bool, keys_start: usize },
    /// A hand-over to another memory.
    Copy { from_device: usize, to_device: usize },
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) queue: QueueName,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    /// Iteration in the block.
    pub(crate) iteration: usize,
    pub(crate) stage: usize,
    pub(crate) micro_batch: usize,
    pub(crate) rows: usize,
    /// Buffers read, in the order of their columns.
    pub(crate) reads: Vec<Key>,
    pub(crate) write: Key,
    /// Nodes that wrote what this one reads.
    pub(crate) data: Vec<usize>,
    /// Nodes that must have ended before this one overwrites its buffer.
    pub(crate) order: Vec<usize>,
}

/// How much memory rotates: what is in flight can't be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// KV blocks and decode activations: iterations in flight.
    pub(crate) iterations: usize,
    /// Prefill activations: micro-batches in flight.
    pub(crate) micro_batches: usize,
}

/// The operations of a block, in program order: iteration by iteration.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Values in each buffer.
    pub(crate) sizes: BTreeMap<Key, usize>,
    /// The nodes that complete each iteration.
    pub(crate) finals: Vec<Vec<usize>>,
}

/// Columns of an activation: where they are.
#[derive(Clone, Copy)]
struct Piece {
    key: Key,
    device: usize,
    width: usize,
    stage: usize,
}

/// One micro-batch on its way through the layers.
#[derive(Clone, Copy)]
struct InFlight {
    phase: Phase,
    iteration: usize,
    micro_batch: usize,
    rows: usize,
    /// Where its activations are kept.
    slot: usize,
}

struct Builder<'a> {
    config: &'a Config,
    stages: Vec<Stage>,
    slots: Slots,
    graph: Graph,
    writers: BTreeMap<Key, usize>,
    readers: BTreeMap<Key, Vec<usize>>,
}

impl Graph {
    /// The graph of a block of `iterations`.
    pub(crate) fn new(config: &Config, iterations: usize, slots: Slots) -> Self {
        let stages = partition(&config.widths, config.stages, config.chunks);
        let graph = Self { nodes: Vec::new(), sizes: BTreeMap::new(), finals: Vec::new() };
        let mut builder = Builder { config, stages, slots, graph, writers: BTreeMap::new(), readers: BTreeMap::new() };
        for iteration in 0..iterations {
            let first = builder.graph.nodes.len();
            let finals = builder.iteration(iteration);
            builder.graph.finals.push(finals);
            builder.hold_back(iteration, first);
        }
        builder.graph
    }
}

impl Builder<'_> {
    /// Adds an iteration; gives the nodes that complete it.
    fn iteration(&mut self, iteration: usize) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.config.microbatches).map(|index| self.prefill(iteration, index)).collect();
        for step in 0..self.config.decode_steps {
            last = (0..self.config.decode_microbatches).map(|index| self.decode(iteration, step, index)).collect();
        }
        last
    }

    /// Lets the iteration, whose nodes begin at `first`, start when the one `slots.iterations` before is complete: prompts
    /// that run ahead further would only delay the decode steps of the earlier iterations.
    fn hold_back(&mut self, iteration: usize, first: usize) {
        let Some(before) = iteration.checked_sub(self.slots.iterations) else { return };
        let finals = self.graph.finals[before].clone();
        for node in self.graph.nodes[first..].iter_mut().filter(|node| matches!(node.reads[..], [Key::Prompt { .. }])) {
            node.order.extend(&finals);
        }
    }

    fn prefill(&mut self, iteration: usize, micro_batch: usize) -> usize {
        let rows = self.config.prefill_rows();
        let slot = (iteration * self.config.microbatches + micro_batch) % self.slots.micro_batches;
        let batch = InFlight { phase: Phase::Prefill, iteration, micro_batch, rows, slot };
        let prompt = Key::Prompt { iteration, micro_batch };
        self.graph.sizes.insert(prompt, rows * self.config.width());
        let output = self.forward(batch, prompt, None, Key::PrefillOut { iteration, micro_batch });
        let last = self.graph.nodes.len() - 1;
        let keys = Key::Keys { slot: iteration % self.slots.iterations, micro_batch };
        self.copy(InFlight { phase: Phase::KvTransfer, ..batch }, output, 0, keys);
        last
    }

    fn decode(&mut self, iteration: usize, step: usize, micro_batch: usize) -> usize {
        let config = self.config;
        let (rows, slot) = (config.sequences / config.decode_microbatches, iteration % self.slots.iterations);
        let state = slot * config.decode_microbatches + micro_batch;
        let batch = InFlight { phase: Phase::Decode, iteration, micro_batch, rows, slot: state };
        let context = Key::Context { slot, micro_batch, device: 0 };
        self.attention(batch, step, slot, context);
        let piece = Piece { key: context, device: 0, width: config.width(), stage: 0 };
        let output = self.forward(batch, context, Some(piece), Key::DecodeOut { iteration, step, micro_batch });
        let last = self.graph.nodes.len() - 1;
        if step + 1 < config.decode_steps && output.device != 0 {
            self.copy(batch, output, 0, Key::Previous { slot, micro_batch });
        }
        last
    }

    fn attention(&mut self, batch: InFlight, step: usize, slot: usize, context: Key) {
        let config = self.config;
        let sequences = config.sequences / config.microbatches;
        let first = batch.micro_batch * batch.rows;
        let mut reads: Vec<Key> = (first / sequences..=(first + batch.rows - 1) / sequences)
            .map(|micro_batch| Key::Keys { slot, micro_batch })
            .collect();
        if step > 0 {
            reads.push(self.previous(batch, step, slot));
        }
        let kind = Kind::Attention { first_step: step == 0, keys_start: first % sequences };
        self.add((0, Role::Compute), kind, batch, 0, reads, context, batch.rows * config.width());
    }

    /// Where the output of the step before is for device 0.
    fn previous(&self, batch: InFlight, step: usize, slot: usize) -> Key {
        let (iteration, micro_batch) = (batch.iteration, batch.micro_batch);
        if self.stages.last().is_some_and(|stage| stage.device == 0) {
            Key::DecodeOut { iteration, step: step - 1, micro_batch }
        } else {
            Key::Previous { slot, micro_batch }
        }
    }

    /// Takes rows through all layers. `input` is copied from `at` to the devices that need it; without `at` it is in every
    /// memory (a prompt).
    fn forward(&mut self, batch: InFlight, input: Key, at: Option<Piece>, output: Key) -> Piece {
        let mut pieces: Vec<Piece> = at.into_iter().collect();
        let mut copies: BTreeMap<(Key, usize), Key> = BTreeMap::new();
        for layer in 0..self.config.layers() {
            let mut next = Vec::new();
            for stage in 0..self.stages.len() {
                let device = self.stages[stage].device;
                for segment in self.stages[stage].segments.clone().iter().filter(|segment| segment.layer == layer) {
                    let reads = if pieces.is_empty() {
                        vec![input]
                    } else {
                        pieces.iter().map(|piece| self.on_device(batch, *piece, layer, device, &mut copies)).collect()
                    };
                    let last = layer + 1 == self.config.layers();
                    let piece = Key::Piece { phase: batch.phase, slot: batch.slot, layer, stage, device };
                    let key = if last { output } else { piece };
                    let kind = Kind::Linear { layer, first: segment.first, columns: segment.columns };
                    self.add((device, Role::Compute), kind, batch, stage, reads, key, batch.rows * segment.columns);
                    next.push(Piece { key, device, width: segment.columns, stage });
                }
            }
            pieces = next;
        }
        pieces[0]
    }

    /// The key of `piece` in the memory of `device`, copied there if need be, once.
    fn on_device(
        &mut self,
        batch: InFlight,
        piece: Piece,
        layer: usize,
        device: usize,
        copies: &mut BTreeMap<(Key, usize), Key>,
    ) -> Key {
        if piece.device == device {
            return piece.key;
        }
        if let Some(&copy) = copies.get(&(piece.key, device)) {
            return copy;
        }
        let key = match piece.key {
            Key::Context { slot, micro_batch, .. } => Key::Context { slot, micro_batch, device },
            _ => Key::Piece { phase: batch.phase, slot: batch.slot, layer: layer - 1, stage: piece.stage, device },
        };
        self.copy(batch, piece, device, key);
        copies.insert((piece.key, device), key);
        key
    }

    fn copy(&mut self, batch: InFlight, piece: Piece, to_device: usize, key: Key) {
        let role = if batch.phase == Phase::KvTransfer { Role::Kv } else { Role::Copy };
        let kind = Kind::Copy { from_device: piece.device, to_device };
        self.add((piece.device, role), kind, batch, piece.stage, vec![piece.key], key, batch.rows * piece.width);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a node, each named once here")]
    fn add(
        &mut self,
        queue: QueueName,
        kind: Kind,
        batch: InFlight,
        stage: usize,
        reads: Vec<Key>,
        write: Key,
        size: usize,
    ) {
        let node = self.graph.nodes.len();
        let mut data: Vec<usize> = reads.iter().filter_map(|key| self.writers.get(key).copied()).collect();
        data.dedup();
        let mut order = self.readers.remove(&write).unwrap_or_default();
        order.extend(self.writers.insert(write, node));
        for &key in &reads {
            self.readers.entry(key).or_default().push(node);
        }
        self.graph.sizes.insert(write, size);
        let InFlight { phase, iteration, micro_batch, rows, .. } = batch;
        self.graph.nodes.push(Node {
            queue,
            kind,
            phase,
            iteration,
            stage,
            micro_batch,
            rows,
            reads,
            write,
            data,
            order,
        });
    }
}
