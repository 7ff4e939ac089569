//! From a run to what a chart shows: choosing rows, pooling devices, naming things. No drawing, no markdown.

pub(crate) mod roofline;
pub(crate) mod timeline;
