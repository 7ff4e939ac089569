//! From a run to what a chart shows: choosing rows, pooling devices, naming things. No drawing, no markdown.

pub(crate) mod ceilings;
pub(crate) mod denominator;
pub(crate) mod points;
pub(crate) mod pool;
pub(crate) mod roofline;
pub(crate) mod roofs;
pub(crate) mod series;
pub(crate) mod serving;
pub(crate) mod serving_distribution;
pub(crate) mod serving_rate;
pub(crate) mod timeline;
pub(crate) mod waterfall;

pub(crate) use series::MOST_SERIES;
