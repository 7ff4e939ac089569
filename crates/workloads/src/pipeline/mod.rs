//! An inference pipeline: a multi-layer perceptron over prompts, then decode steps that read what the prompts produced.
//!
//! One iteration takes `sequences` prompts of `prompt_tokens` rows through the layers (prefill). The rows that come out are
//! the sequence's KV block, keys and values in one; it is handed over to the decode memory by a copy. A decode step makes
//! one row a sequence from the row before and the KV block ([`crate::kernels::attention`]) and takes it through the
//! layers. The baseline runs that on one device, operation after operation; the optimized target on several, as a graph
//! whose order is planned.

pub(crate) mod config;
mod execution;
mod footprint;
mod graph;
mod labels;
mod model;
mod partition;
mod places;
mod plan;
mod session;
mod verify;

pub(crate) use config::{Config, PARAMETERS, Style, effective};
pub(crate) use model::Model;
pub(crate) use session::prepare;

#[cfg(test)]
mod tests;
