//! `manifest.json`: what was captured, on what, how, and what came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format that this build writes.
pub const FORMAT: Format = Format { major: 1, minor: 0 };

/// Version of the artifact format. A newer minor version only adds; a newer major version is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Changes when an older reader would misread.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the artifact format.
    pub format: Format,
    /// What was run.
    pub target: Target,
    /// The pair that this run belongs to, where two targets were measured alternately.
    #[serde(default)]
    pub pair: Option<Pair>,
    /// Slug of the devices used, for example `cpu-amd-epyc-zen4-2c`.
    pub hardware_key: String,
    /// `measured` or `simulated`.
    pub time: Time,
    /// When the capture began, as `2026-01-31T23:59:59Z`.
    pub captured_utc: String,
    /// The command line, the program's name in place of its path.
    pub command_line: Vec<String>,
    /// State of the source tree that the command was run in, null outside a checkout.
    #[serde(default)]
    pub git: Option<Git>,
    /// The machine.
    pub host: Host,
    /// The devices, as probed.
    pub devices: Vec<Device>,
    /// Versions of the driver and the tools.
    pub versions: BTreeMap<String, String>,
    /// The passes, in the order in which they ran.
    pub passes: Vec<Pass>,
    /// Warm-up iterations before the first measured block.
    pub warmup: u64,
    /// Measured iterations a block.
    pub iterations: u64,
    /// Measured blocks.
    pub blocks: u64,
    /// The tables and their row counts.
    #[serde(default)]
    pub tables: Vec<TableRows>,
    /// What came out.
    pub results: Results,
    /// What was modelled rather than measured, one sentence each (for example the KV link).
    #[serde(default)]
    pub modelled: Vec<String>,
    /// What was launched, where the target is a user's command or ran under profilers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

impl Manifest {
    /// Whether the artifact was made from raw files alone: what ran, on which host, and whether its outputs were right
    /// is then not known.
    pub fn is_imported(&self) -> bool {
        self.target.parameters.contains_key(IMPORTED_AS)
    }
}

/// The parameter that names the importers of an imported artifact.
pub const IMPORTED_AS: &str = "imported_as";

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the target, or the first word of the user's command.
    pub name: String,
    /// Every parameter with its value, defaults included.
    pub parameters: BTreeMap<String, String>,
    /// Seed of the workload.
    pub seed: u64,
}

/// Two runs that were measured alternately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name of the pair, for example `pipeline_parallelism`.
    pub name: String,
    /// `baseline` or `optimized`.
    pub role: String,
    /// Directory name of the other run.
    pub other: String,
    /// Order of the measured blocks of both, for example `ABBAABBA` (A the baseline).
    pub order: String,
}

/// A user's command as it was launched. Secrets are left out of its words and its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub line: Vec<String>,
    /// Its place in a job of several processes.
    #[serde(default)]
    pub rank: Option<JobRank>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Names of the variables that were left out because they hold, or may hold, secrets.
    pub environment_removed: Vec<String>,
    /// What each pass launched, in the order of the passes.
    pub launches: Vec<Launched>,
}

/// A process's place in a job, as its launcher told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRank {
    /// Name of the job: the same for all its ranks.
    pub job: String,
    /// Its number, from 0.
    pub rank: i64,
    /// How many processes the job has.
    pub world_size: Option<i64>,
    /// Its number among those of its node.
    pub local_rank: Option<i64>,
    /// Who said so, for example `torchrun`.
    pub launcher: String,
}

/// One launch of a command: how it ended and what it used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// The pass.
    pub pass: String,
    /// The program and its arguments, with those of the profiler that wraps it.
    pub line: Vec<String>,
    /// Its exit code, null when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Why proftool ended it: `timeout` or `interrupted`; null when it ended by itself.
    pub stopped: Option<String>,
    /// Wall time.
    pub wall_ns: i64,
    /// CPU time in user mode, of it and of the children that it waited for.
    pub user_ns: i64,
    /// CPU time in the kernel, likewise.
    pub system_ns: i64,
    /// Largest resident memory of any one of these processes; null where it is no larger than proftool's own, which the
    /// kernel counts too.
    #[serde(default)]
    pub max_rss_bytes: Option<i64>,
    /// Processes that outlived it and were ended.
    pub left_behind: u64,
}

/// Whether durations were measured or computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Time {
    /// Real time of a real run.
    Measured,
    /// Computed by a model.
    Simulated,
}

/// State of a source tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Commit hash.
    pub commit: String,
    /// Whether the tree differed from the commit.
    pub dirty: bool,
}

/// The machine, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Operating system and kernel version.
    pub os: String,
    /// Processor model as probed.
    pub cpu: String,
    /// Cores that the capture could use.
    pub cores: u64,
    /// Installed memory.
    pub memory_bytes: u64,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Number of the device.
    pub device: i64,
    /// `cpu`, `cuda`, `hip` or `simulated`.
    pub kind: String,
    /// Name as probed.
    pub name: String,
    /// Architecture, for example `zen3` or `sm_90`.
    #[serde(default)]
    pub arch: Option<String>,
}

/// One run of the target under one set of profilers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Name; also its folder under `raw/`.
    pub name: String,
    /// The profilers that observed it.
    pub profilers: Vec<String>,
    /// Clock that its times come from.
    pub clock: String,
    /// Session start on the wall clock.
    pub start_unix_ns: i64,
    /// Session start on the monotonic clock, 0 where the profiler does not tell.
    pub start_monotonic_ns: i64,
    /// What each imported file says for itself, where a pass was put together from files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankStart>,
}

/// One file of a pass: each rank's times count from the session start of its own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankStart {
    /// The rank.
    pub rank: i64,
    /// Its file below `raw/<pass>/`.
    pub file: String,
    /// Session start on the wall clock, 0 where the file does not tell.
    pub start_unix_ns: i64,
    /// Session start on the monotonic clock, 0 where the file does not tell.
    pub start_monotonic_ns: i64,
}

/// Rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// Name of the table.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
}

/// What came out of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Time between consecutive completions inside a measured block, the fills left out, in the order of the blocks.
    pub iteration_ns: Vec<i64>,
    /// Time from each block's start to its first completion.
    pub fill_ns: Vec<i64>,
    /// CPU time that each measured block used, all threads.
    pub cpu_ns: Vec<i64>,
    /// Wall time over CPU time of the compute queues, one value a block: 1.0 is a quiet machine.
    #[serde(default)]
    pub contention_ratio: Vec<f64>,
    /// Whether every check of the outputs passed.
    pub verified: bool,
    /// Largest deviation from the references, relative to the largest magnitude of the reference.
    pub max_relative_error: Option<f64>,
    /// Each check with its deviation.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Exit code of the target.
    pub exit_code: i32,
}

/// One check of the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was compared with what.
    pub name: String,
    /// How many values were compared.
    pub values: u64,
    /// Largest deviation, relative to the largest magnitude of the reference.
    pub max_relative_error: f64,
    /// The deviation that is allowed.
    pub tolerance: f64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest as small as it can be.
    pub(crate) fn example(target: &str, captured_utc: &str) -> Manifest {
        Manifest {
            format: FORMAT,
            target: Target { name: target.to_owned(), parameters: BTreeMap::new(), seed: 1 },
            pair: None,
            hardware_key: "cpu-test-1c".to_owned(),
            time: Time::Simulated,
            captured_utc: captured_utc.to_owned(),
            command_line: Vec::new(),
            git: None,
            host: Host { os: String::new(), cpu: String::new(), cores: 1, memory_bytes: 0 },
            devices: Vec::new(),
            versions: BTreeMap::new(),
            passes: Vec::new(),
            warmup: 0,
            iterations: 1,
            blocks: 1,
            tables: Vec::new(),
            results: Results::default(),
            modelled: Vec::new(),
            command: None,
        }
    }

    #[test]
    fn a_manifest_survives_being_written_and_read() {
        let manifest = example("synthetic", "2026-01-31T23:59:59Z");
        let text = serde_json::to_string(&manifest).expect("a manifest is JSON");
        assert_eq!(serde_json::from_str::<Manifest>(&text).expect("it can be read"), manifest);
    }

    #[test]
    fn a_manifest_says_nothing_of_a_command_where_there_was_none_and_keeps_one_whole() {
        let mut manifest = example("synthetic", "2026-01-31T23:59:59Z");
        assert!(!serde_json::to_string(&manifest).expect("a manifest is JSON").contains("\"command\":"));
        let environment = [("A".to_owned(), "b".to_owned())].into();
        manifest.command = Some(Command { line: vec!["serve".to_owned()], environment, ..Command::default() });
        let text = serde_json::to_string(&manifest).expect("a manifest is JSON");
        assert_eq!(serde_json::from_str::<Manifest>(&text).expect("it can be read"), manifest);
    }

    #[test]
    fn a_manifest_with_keys_of_a_later_minor_version_is_still_read() {
        let text = serde_json::to_string(&example("synthetic", "2026-01-31T23:59:59Z")).expect("a manifest is JSON");
        let newer = text.replacen('{', "{\"added_later\": 1, ", 1);
        assert!(serde_json::from_str::<Manifest>(&newer).is_ok());
    }
}
