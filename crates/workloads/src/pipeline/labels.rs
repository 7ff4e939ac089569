//! What operations state about themselves.

use proftool_tracer::{Recorder, Text};

use super::config::Config;
use super::graph::{Graph, Kind, Node, Phase};
use crate::backend::Label;

/// The strings of the trace.
pub(crate) struct Names {
    layers: Vec<Text>,
    attention: Text,
    hand_over: Text,
    kv: Text,
    prefill: Text,
    decode: Text,
    kv_transfer: Text,
    precision: Text,
}

impl Names {
    pub(crate) fn new(config: &Config, recorder: &Recorder) -> Self {
        let text = |text: &str| recorder.intern(text);
        let layer = |layer: usize| {
            let kind = if layer + 1 == config.layers() { "linear" } else { "linear_gelu" };
            text(&format!("{kind}_{}x{}", config.widths[layer], config.widths[layer + 1]))
        };
        Self {
            layers: (0..config.layers()).map(layer).collect(),
            attention: text("attention"),
            hand_over: text("stage_hand_over"),
            kv: text("kv_hand_over"),
            prefill: text(Phase::Prefill.name()),
            decode: text(Phase::Decode.name()),
            kv_transfer: text(Phase::KvTransfer.name()),
            precision: text(config.execution.precision.name()),
        }
    }

    /// What the operation states about itself: 2 operations for each multiply-add (bias, activation, softmax and norm are
    /// not counted), and each value that it must read or write once.
    pub(crate) fn label(&self, config: &Config, node: &Node, graph: &Graph, timed: bool) -> Label {
        let written = graph.sizes[&node.write];
        let read: usize = node.reads.iter().map(|key| graph.sizes[key]).sum();
        let (name, flop, values) = match node.kind {
            Kind::Linear { layer, columns, .. } => {
                let inputs = config.widths[layer];
                (self.layers[layer], 2 * node.rows * inputs * columns, inputs * columns + columns + read + written)
            }
            Kind::Attention { .. } => {
                let keys = node.rows * config.prompt_tokens * config.width();
                (self.attention, 4 * keys, keys + 2 * written)
            }
            Kind::Copy { .. } if node.phase == Phase::KvTransfer => (self.kv, 0, 0),
            Kind::Copy { .. } => (self.hand_over, 0, 0),
        };
        let arithmetic = !matches!(node.kind, Kind::Copy { .. });
        let bytes = values * config.execution.precision.bytes();
        Label {
            name,
            step: node.iteration as i64,
            phase: match node.phase {
                Phase::Prefill => self.prefill,
                Phase::Decode => self.decode,
                Phase::KvTransfer => self.kv_transfer,
            },
            stage: node.stage as i64,
            micro_batch: node.micro_batch as i64,
            rows: node.rows as i64,
            flop: flop as i64,
            dram_bytes: if arithmetic { bytes as i64 } else { proftool_tracer::ABSENT },
            precision: if arithmetic { self.precision } else { Text::NONE },
            timed,
        }
    }
}
