//! Presets of passes (`--profile`).

use crate::profilers::{self, Profiler};

/// A preset of passes.
pub struct Profile {
    /// Value of `--profile`.
    pub name: &'static str,
    /// What it records.
    pub doc: &'static str,
    /// The profilers of the one pass of a built-in target; none where it cannot capture one.
    pub built_in: Option<&'static [&'static Profiler]>,
    /// The passes of a user's command, in the order in which they run.
    pub passes: &'static [Plan],
}

impl Profile {
    /// The profilers of the one pass of a built-in target.
    pub fn profilers(&self) -> &'static [&'static Profiler] {
        self.built_in.unwrap_or_default()
    }
}

/// One pass over a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the pass; also its folder under `raw/`.
    pub name: &'static str,
    /// Its profilers. A pass whose profilers are all absent is left out, unless it is the preset's only one.
    pub profilers: &'static [Wanted],
}

/// A profiler that a pass names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// Whether the pass is the same without it: it takes part where it can work.
    pub where_present: bool,
}

const fn needed(name: &'static str) -> Wanted {
    Wanted { name, where_present: false }
}

const fn where_present(name: &'static str) -> Wanted {
    Wanted { name, where_present: true }
}

const COUNTS: Plan = Plan { name: "ncu", profilers: &[needed("ncu")] };
const TIMELINE: Plan = Plan { name: "nsys", profilers: &[needed("nsys"), where_present("nvml")] };
// CUPTI serves one subscriber a process, so that a pass has the injected recorder or nsys.
const RECORDS: Plan = Plan { name: "minimal", profilers: &[where_present("cupti"), where_present("nvml")] };

/// Wall clock only.
pub static NONE: Profile = Profile {
    name: "none",
    doc: "wall clock only: results, no trace",
    built_in: Some(&[]),
    passes: &[Plan { name: "none", profilers: &[] }],
};

/// The default.
pub static MINIMAL: Profile = Profile {
    name: "minimal",
    doc: "the built-in tracer; of a command what needs no installed tool: CUPTI records and NVML samples where present",
    built_in: Some(&[&profilers::host::PROFILER]),
    passes: &[RECORDS],
};

/// When everything ran.
pub static TIMELINE_PROFILE: Profile = Profile {
    name: "timeline",
    doc: "a timeline by Nsight Systems, with NVML samples where present (commands only)",
    built_in: None,
    passes: &[TIMELINE],
};

/// Counts and times of kernels.
pub static ROOFLINE: Profile = Profile {
    name: "roofline",
    doc: "two runs: counts by Nsight Compute, then times by Nsight Systems (commands only)",
    built_in: None,
    passes: &[COUNTS, TIMELINE],
};

/// Everything.
pub static DEEP: Profile = Profile {
    name: "deep",
    doc: "three runs: counts, timeline, and CUPTI records where present (commands only)",
    built_in: None,
    passes: &[COUNTS, TIMELINE, RECORDS],
};

/// Every preset that this version offers.
pub static PROFILES: &[&Profile] = &[&NONE, &MINIMAL, &TIMELINE_PROFILE, &ROOFLINE, &DEEP];

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().copied().find(|profile| profile.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::artifact::is_pass_name;

    #[test]
    fn the_passes_of_a_preset_have_names_of_their_own_that_name_folders() {
        for profile in PROFILES {
            let mut names: Vec<_> = profile.passes.iter().map(|pass| pass.name).collect();
            assert!(!names.is_empty() && names.iter().all(|name| is_pass_name(name)), "{}", profile.name);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), profile.passes.len(), "{}", profile.name);
        }
    }
}
