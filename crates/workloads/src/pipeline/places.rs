//! Where the buffers of a graph are, and which columns of the layers each device needs.

use super::config::Config;
use super::graph::Key;
use super::partition::{Stage, partition};
use crate::backend::{Matrix, Place, Slice};

/// The stages of a pipeline, as places of buffers and weights.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    stages: Vec<Stage>,
    widths: Vec<usize>,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Self {
        Self { stages: partition(&config.widths, config.stages, config.chunks), widths: config.widths.clone() }
    }

    /// Columns of a layer, by the devices that compute them.
    pub(crate) fn slices(&self, layer: usize) -> Vec<Slice> {
        let segments = |stage: &Stage| {
            let device = stage.device;
            let own = stage.segments.clone().into_iter().filter(move |segment| segment.layer == layer);
            own.map(move |segment| Slice { device, first: segment.first, columns: segment.columns })
        };
        self.stages.iter().flat_map(segments).collect()
    }

    /// Where a buffer of `values` is.
    pub(crate) fn of(&self, key: Key, values: usize) -> Place {
        let whole = |device| Place { values, device: Some(device), part: None };
        match key {
            Key::Prompt { .. } => Place { values, device: None, part: None },
            Key::PrefillOut { .. } | Key::DecodeOut { .. } => whole(self.stages.last().map_or(0, |stage| stage.device)),
            Key::Keys { .. } | Key::Previous { .. } => whole(0),
            Key::Context { device, .. } => whole(device),
            Key::Piece { phase, slot, layer, stage, device } => {
                let segments = self.stages.get(stage).map_or(&[][..], |stage| &stage.segments);
                let part = segments.iter().find(|segment| segment.layer == layer).map(|segment| Matrix {
                    id: (phase as usize, slot, layer),
                    width: self.widths[layer + 1],
                    first: segment.first,
                    columns: segment.columns,
                });
                Place { values, device: Some(device), part }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::graph::{Graph, Kind, Slots};
    use crate::pipeline::tests::full;

    #[test]
    fn what_a_layer_reads_lies_side_by_side_in_one_matrix_of_its_device() {
        for (stages, chunks) in [(1, 1), (2, 1), (2, 2), (3, 2), (4, 1)] {
            let config = Config { stages, chunks, ..full() };
            let places = Places::new(&config);
            let graph = Graph::new(&config, 1, Slots { iterations: 1, micro_batches: 1 });
            for node in graph.nodes.iter().filter(|node| matches!(node.kind, Kind::Linear { .. })) {
                let read: Vec<Place> = node.reads.iter().map(|key| places.of(*key, graph.sizes[key])).collect();
                let parts: Vec<Matrix> = read.iter().filter_map(|place| place.part).collect();
                assert!(read.iter().all(|place| place.device.is_none_or(|device| device == node.queue.0)));
                assert!(parts.is_empty() && read.len() == 1 || parts.len() == read.len());
                let mut next = 0;
                for part in &parts {
                    assert_eq!((part.id, part.first), (parts[0].id, next));
                    next += part.columns;
                }
                assert!(parts.first().is_none_or(|part| part.width == next));
            }
            let columns: usize = (0..4).flat_map(|layer| places.slices(layer)).map(|slice| slice.columns).sum();
            assert_eq!(columns, config.widths[1..].iter().sum::<usize>());
        }
    }
}
