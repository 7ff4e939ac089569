//! Charts: plain data in, one SVG picture out. Nothing here reads files or computes a metric.

mod axis;
pub(crate) mod bandwidth;
pub(crate) mod bars;
pub(crate) mod columns;
mod crowds;
pub(crate) mod depth;
mod grid;
pub(crate) mod heat_map;
pub(crate) mod histogram;
mod keys;
mod labels;
pub(crate) mod lane;
pub(crate) mod legend;
pub(crate) mod limiter;
pub(crate) mod lines;
mod plane;
pub(crate) mod points;
mod roof_labels;
pub(crate) mod roofline;
pub(crate) mod roofs;
mod scale;
pub(crate) mod step_waterfall;
pub(crate) mod style;
mod svg;
pub(crate) mod timeline;
pub(crate) mod waterfall;

pub(crate) use svg::escape;
