//! The built-in tracer: what each queue executed, each host call and range, from inside the target.

use super::{Found, Kind, Profiler};

/// The built-in tracer.
pub static PROFILER: Profiler = Profiler {
    name: "host",
    doc: "built-in tracer of the built-in targets: queue activity, host calls, ranges, declared dependencies",
    available: || Ok(Found { version: env!("CARGO_PKG_VERSION").to_owned(), path: None }),
    kind: Kind::Inside,
};

/// Folder under `raw/` and name of the pass.
pub const PASS: &str = "host";

/// File that the tracer writes into its folder.
pub const FILE: &str = "host.trace";
