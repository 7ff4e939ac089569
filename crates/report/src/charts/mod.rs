//! Charts: plain data in, one SVG picture out. Nothing here reads files or computes a metric.

pub(crate) mod bars;
mod labels;
pub(crate) mod lane;
pub(crate) mod legend;
pub(crate) mod points;
pub(crate) mod roofline;
mod scale;
pub(crate) mod style;
mod svg;
pub(crate) mod timeline;
pub(crate) mod waterfall;

pub(crate) use svg::escape;
