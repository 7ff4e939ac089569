//! Cutting the layers into stages of equal cost.

use crate::kernels::TILE;

/// Columns of a layer that a stage computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) layer: usize,
    /// First column, a multiple of [`TILE`].
    pub(crate) first: usize,
    /// Columns, a multiple of [`TILE`].
    pub(crate) columns: usize,
}

/// One stage: consecutive segments on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) device: usize,
    pub(crate) segments: Vec<Segment>,
}

/// Lays all columns of all layers on a line, as long as their work, and cuts it into `stages * chunks` equal parts at
/// multiples of [`TILE`] columns. Stage s runs on device s mod `stages`.
///
/// The last layer is not cut: its rows leave as a whole. No real configuration asks for that (its share is 1/15, a stage's
/// at least 1/8).
pub(crate) fn partition(widths: &[usize], stages: usize, chunks: usize) -> Vec<Stage> {
    let tiles: Vec<(usize, usize, usize)> = (0..widths.len() - 1)
        .flat_map(|layer| (0..widths[layer + 1]).step_by(TILE).map(move |column| (layer, column, widths[layer])))
        .collect();
    let total: usize = tiles.iter().map(|tile| tile.2).sum();
    let parts = stages * chunks;
    let mut all: Vec<Stage> = (0..parts).map(|part| Stage { device: part % stages, segments: Vec::new() }).collect();
    let mut done = 0;
    for (layer, column, cost) in tiles {
        // The part in which the middle of the tile lies.
        let part = if layer + 2 == widths.len() { parts - 1 } else { (2 * done + cost) * parts / (2 * total) };
        add(&mut all[part].segments, layer, column);
        done += cost;
    }
    all
}

fn add(segments: &mut Vec<Segment>, layer: usize, column: usize) {
    match segments.last_mut() {
        Some(last) if last.layer == layer => last.columns += TILE,
        _ => segments.push(Segment { layer, first: column, columns: TILE }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [usize; 5] = [1024, 4096, 4096, 2048, 1024];

    fn cost(stage: &Stage) -> usize {
        stage.segments.iter().map(|segment| WIDTHS[segment.layer] * segment.columns).sum()
    }

    #[test]
    fn two_stages_share_the_second_layer_and_differ_by_less_than_a_hundredth() {
        let stages = partition(&WIDTHS, 2, 1);
        assert_eq!(stages[0].segments[1], Segment { layer: 1, first: 0, columns: 2816 });
        assert_eq!(stages[1].segments[0], Segment { layer: 1, first: 2816, columns: 1280 });
        assert!(cost(&stages[0]).abs_diff(cost(&stages[1])) * 100 < cost(&stages[0]));
    }

    #[test]
    fn every_column_is_computed_once_and_stages_are_balanced() {
        for (stages, chunks) in [(1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (3, 2), (4, 2)] {
            let all = partition(&WIDTHS, stages, chunks);
            assert_eq!(all.len(), stages * chunks);
            for layer in 0..4 {
                let mut next = 0;
                for segment in all.iter().flat_map(|stage| &stage.segments).filter(|segment| segment.layer == layer) {
                    assert_eq!(segment.first, next);
                    next += segment.columns;
                }
                assert_eq!(next, WIDTHS[layer + 1]);
            }
            let (least, most) = (all.iter().map(cost).min().unwrap_or(0), all.iter().map(cost).max().unwrap_or(0));
            assert!(most * 100 <= least * 108, "{stages} x {chunks}: {least} to {most}");
            assert!(all.iter().enumerate().all(|(index, stage)| stage.device == index % stages));
        }
    }
}
