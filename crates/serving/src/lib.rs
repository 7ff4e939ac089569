//! Router policies for LLM serving, and a simulator that shows what they do to users and devices.
//!
//! - [`Workload`] is what arrives: requests with prompt and output lengths and the hash blocks of their prompts.
//! - [`Cluster`] is what serves: devices with roles, memory, links and a [`StepModel`], the duration of one batch step.
//! - [`Policy`] decides where a request goes. The same objects drive the simulator and real engines.
//! - [`simulate`] runs a workload on a cluster under a policy, in discrete events and integer nanoseconds.
//!
//! Everything is deterministic: the same workload, cluster, policy and seed give the same outcomes, bit for bit.

pub mod admission;
mod autoscale;
mod cache;
pub mod capacity;
mod cluster;
pub mod decide;
mod dynamo_config;
pub mod engines;
pub mod evaluation;
pub mod log;
mod model;
mod outcome;
pub mod policies;
mod policy;
pub mod scenarios;
mod sim;
pub mod sources;
mod steps;
mod summary;
#[cfg(test)]
mod testing;
mod trend;
mod workload;

pub use autoscale::{Autoscale, Load, Scaling};
pub use cluster::{Cluster, Device, Link, Role};
pub use dynamo_config::{DynamoConfig, Error as DynamoConfigError};
pub use model::{Error as ModelError, MODELS, Model, Replica};
pub use outcome::nearest_rank;
pub use policy::{Ask, Cause, Explanation, Migration, Observation, Policy, State, View};
pub use sim::{Change, Duty, Options, Outcome, Run, SetupError, Sink, Span, SpanKind, Status, Until, simulate};
pub use steps::{Cost, Pipeline, StepModel};
pub use summary::{Summary, Tally, summarize, summarize_tiers};
pub use trend::{Bin, trend};
pub use workload::{Request, Slo, Tier, Workload};
