//! Capturing: run a target under its profilers, write `raw/`, and describe the run in a manifest.
//!
//! A capture ends with raw files and a [`Manifest`](proftool_trace::Manifest) whose tables are still missing: importing
//! is the next step, and the same for a capture and for anybody's files.

pub mod command;
pub mod environment;
pub mod process;
pub mod profilers;
pub mod profiles;
pub mod ranks;
pub mod session;

pub use session::{Captured, Environment, Error, Progress, Request, capture, checked};
