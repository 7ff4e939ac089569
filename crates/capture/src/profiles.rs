//! Presets of passes (`--profile`).

/// A preset of passes.
pub struct Profile {
    /// Value of `--profile`.
    pub name: &'static str,
    /// What it records.
    pub doc: &'static str,
    /// Whether the built-in tracer records the first pass over a built-in target, which gives the results and runs under
    /// no other tool.
    pub traced: bool,
    /// The further passes over a built-in target, in the order in which they run.
    pub target_passes: &'static [Plan],
    /// The passes over a user's command, in the order in which they run.
    pub passes: &'static [Plan],
}

/// One pass over a command, or over a built-in target that runs as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the pass; also its folder under `raw/`.
    pub name: &'static str,
    /// Its profilers. A pass whose profilers are all absent is left out, unless it is the preset's only one.
    pub profilers: &'static [Wanted],
    /// What of a run it records.
    pub records: Records,
    /// The pass that takes its place where one of its profilers cannot work.
    pub otherwise: Option<&'static Plan>,
}

/// What a pass records: it decides on which backends it has anything to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// What any program shows: calls, ranges, and work of GPUs where there is some.
    Anything,
    /// Work of GPUs alone.
    Gpu,
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

const fn plan(name: &'static str, records: Records, profilers: &'static [Wanted]) -> Plan {
    Plan { name, profilers, records, otherwise: None }
}

const TIMELINE: Plan = plan("nsys", Records::Anything, &[needed("nsys"), where_present("nvml")]);
// CUPTI serves one subscriber a process, so that a pass has the injected recorder or nsys.
const RECORDS: Plan = plan("minimal", Records::Anything, &[where_present("cupti"), where_present("nvml")]);
const CUPTI: Plan = Plan { name: "cupti", records: Records::Gpu, ..RECORDS };
static COUNTERS: Plan = plan("cupti_counters", Records::Gpu, &[needed("cupti_counters")]);
static CUPTI_TIMES: Plan = plan("cupti", Records::Gpu, &[needed("cupti"), where_present("nvml")]);
const COUNTS: Plan = plan("ncu", Records::Gpu, &[needed("ncu")]);
/// Counts by whatever counts here, then times by whatever takes times here.
const ROOFLINE_PASSES: &[Plan] =
    &[Plan { otherwise: Some(&COUNTERS), ..COUNTS }, Plan { otherwise: Some(&CUPTI_TIMES), ..TIMELINE }];

/// Wall clock only.
pub static NONE: Profile = Profile {
    name: "none",
    doc: "wall clock only: results, no trace",
    traced: false,
    target_passes: &[],
    passes: &[plan("none", Records::Anything, &[])],
};

/// The default.
pub static MINIMAL: Profile = Profile {
    name: "minimal",
    doc: "what needs no installed tool: the built-in tracer of a target, CUPTI records and NVML samples where present",
    traced: true,
    target_passes: &[CUPTI],
    passes: &[RECORDS],
};

/// When everything ran.
pub static TIMELINE_PROFILE: Profile = Profile {
    name: "timeline",
    doc: "a timeline by Nsight Systems, with NVML samples where present",
    traced: true,
    target_passes: &[TIMELINE],
    passes: &[TIMELINE],
};

/// Counts and times of kernels.
pub static ROOFLINE: Profile = Profile {
    name: "roofline",
    doc: "two runs: counts by Nsight Compute (or else CUPTI's counters), then times by Nsight Systems (or else CUPTI)",
    traced: true,
    target_passes: ROOFLINE_PASSES,
    passes: ROOFLINE_PASSES,
};

/// Everything.
pub static DEEP: Profile = Profile {
    name: "deep",
    doc: "three runs: counts, timeline, and CUPTI records where present",
    traced: true,
    target_passes: &[Plan { otherwise: Some(&COUNTERS), ..COUNTS }, TIMELINE, CUPTI],
    passes: &[Plan { otherwise: Some(&COUNTERS), ..COUNTS }, TIMELINE, RECORDS],
};

/// Every preset that this version offers.
pub static PROFILES: &[&Profile] = &[&NONE, &MINIMAL, &TIMELINE_PROFILE, &ROOFLINE, &DEEP];

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().copied().find(|profile| profile.name == name)
}

impl Profile {
    /// Whether one of its passes, over a command or a target, may use that profiler.
    pub fn uses(&self, profiler: &str) -> bool {
        let names = |plan: &Plan| plan.profilers.iter().any(|wanted| wanted.name == profiler);
        self.passes.iter().chain(self.target_passes).any(|plan| names(plan) || plan.otherwise.is_some_and(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_trace::artifact::is_pass_name;

    #[test]
    fn the_passes_of_a_preset_have_names_of_their_own_that_name_folders() {
        for profile in PROFILES {
            for passes in [profile.passes, profile.target_passes] {
                let all = passes.iter().flat_map(|pass| [Some(pass), pass.otherwise]).flatten();
                let mut names: Vec<_> = all.map(|pass| pass.name).collect();
                assert!(names.iter().all(|name| is_pass_name(name) && *name != "host"), "{}", profile.name);
                let count = names.len();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), count, "{}", profile.name);
            }
            assert!(!profile.passes.is_empty(), "{}", profile.name);
        }
    }

    #[test]
    fn a_preset_knows_the_tools_that_it_may_use() {
        assert!(ROOFLINE.uses("ncu") && ROOFLINE.uses("nsys") && ROOFLINE.uses("cupti_counters"));
        assert!(TIMELINE_PROFILE.uses("nsys") && !TIMELINE_PROFILE.uses("ncu") && !MINIMAL.uses("nsys"));
    }
}
