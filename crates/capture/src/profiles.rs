//! Presets of passes (`--profile`).

use crate::profilers::{self, Profiler};

/// A preset of passes.
pub struct Profile {
    /// Value of `--profile`.
    pub name: &'static str,
    /// What it records.
    pub doc: &'static str,
    /// The profilers of its one pass.
    pub profilers: &'static [&'static Profiler],
}

/// Wall clock only.
pub static NONE: Profile = Profile { name: "none", doc: "wall clock only: results, no trace", profilers: &[] };

/// The default.
pub static MINIMAL: Profile =
    Profile { name: "minimal", doc: "the built-in tracer", profilers: &[&profilers::host::PROFILER] };

/// Every preset that this version offers.
pub static PROFILES: &[&Profile] = &[&NONE, &MINIMAL];

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().copied().find(|profile| profile.name == name)
}
