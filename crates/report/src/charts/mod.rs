//! Charts: plain data in, one SVG picture out. Nothing here reads files or computes a metric.

pub(crate) mod bars;
mod crowds;
mod grid;
mod keys;
mod labels;
pub(crate) mod lane;
pub(crate) mod legend;
pub(crate) mod limiter;
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
