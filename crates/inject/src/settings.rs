//! What the environment says.

use std::path::PathBuf;
use std::time::Duration;

/// Variables that tell the rank, the first that is there counts: the capture's own, then those of launchers: torchrun (with
/// a world size, since other programs use so plain a name too), Open MPI, MPICH and Intel MPI, PMIx, Slurm.
const RANKS: [&str; 6] = ["PROFTOOL_RANK", "RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"];

/// How to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Folder of the file.
    pub(crate) folder: PathBuf,
    /// Rank of this process, 0 without one.
    pub(crate) rank: i64,
    /// Size of one buffer of records.
    pub(crate) buffer_bytes: usize,
    /// Buffers at most; beyond them records are dropped and counted.
    pub(crate) buffers: usize,
    /// How often records are asked for, which is what a killed program loses at most.
    pub(crate) flush: Duration,
    /// How long the program's end may wait for the last records.
    pub(crate) exit: Duration,
    /// Graphs as a whole instead of their nodes, which costs less.
    pub(crate) whole_graphs: bool,
    /// Full names of the metrics to count; with any, activities are not recorded.
    pub(crate) metrics: Vec<String>,
    /// Kernels whose counts are fetched together, which is what a killed program loses at most.
    pub(crate) ranges: usize,
    /// Kernels that are not counted, before the first that is; and how many are.
    pub(crate) skip: u64,
    pub(crate) kernels: u64,
}

impl Settings {
    /// The settings that the environment, as that function reads it, gives.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str, default: u64, most: u64| {
            variable(name).and_then(|text| text.trim().parse().ok()).unwrap_or(default).clamp(1, most)
        };
        let tells = |name: &str| name != "RANK" || variable("WORLD_SIZE").is_some();
        Self {
            folder: variable("PROFTOOL_RAW_DIR").filter(|text| !text.is_empty()).map_or_else(|| ".".into(), Into::into),
            rank: RANKS
                .iter()
                .filter(|name| tells(name))
                .find_map(|name| variable(name)?.trim().parse().ok())
                .unwrap_or(0),
            // 4 MiB hold some 20,000 kernels.
            buffer_bytes: number("PROFTOOL_CUPTI_BUFFER_KIB", 4096, 1 << 20) as usize * 1024,
            buffers: number("PROFTOOL_CUPTI_BUFFERS", 256, 1 << 16) as usize,
            flush: Duration::from_millis(number("PROFTOOL_CUPTI_FLUSH_MS", 100, 60_000)),
            exit: Duration::from_millis(number("PROFTOOL_CUPTI_EXIT_MS", 5000, 600_000)),
            whole_graphs: variable("PROFTOOL_CUPTI_GRAPHS").is_some_and(|text| text == "graph"),
            metrics: names(&variable("PROFTOOL_CUPTI_METRICS").unwrap_or_default()),
            ranges: number("PROFTOOL_CUPTI_RANGES", 64, 1024) as usize,
            skip: variable("PROFTOOL_CUPTI_SKIP").and_then(|text| text.trim().parse().ok()).unwrap_or(0),
            kernels: number("PROFTOOL_CUPTI_KERNELS", u64::MAX, u64::MAX),
        }
    }
}

/// Names between commas, each once.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Settings {
        Settings::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn an_empty_environment_records_rank_0_here() {
        let settings = of(&[]);
        assert_eq!((settings.folder, settings.rank, settings.buffer_bytes), (PathBuf::from("."), 0, 4 << 20));
    }

    #[test]
    fn every_launcher_tells_the_rank() {
        for name in RANKS {
            assert_eq!(of(&[(name, "7"), ("WORLD_SIZE", "8")]).rank, 7, "{name}");
        }
        assert_eq!(of(&[("SLURM_PROCID", "1"), ("RANK", "3"), ("WORLD_SIZE", "4")]).rank, 3);
        assert_eq!(of(&[("SLURM_PROCID", "1"), ("RANK", "3")]).rank, 1);
    }

    #[test]
    fn metrics_are_named_once_and_there_are_none_by_default() {
        let settings = of(&[("PROFTOOL_CUPTI_METRICS", "a.sum, b.avg,,a.sum"), ("PROFTOOL_CUPTI_SKIP", "3")]);
        assert_eq!((settings.metrics, settings.skip), (vec!["a.sum".to_owned(), "b.avg".to_owned()], 3));
        let none = of(&[("PROFTOOL_CUPTI_METRICS", " , ")]);
        assert_eq!((none.metrics.len(), none.ranges, none.skip, none.kernels), (0, 64, 0, u64::MAX));
    }

    #[test]
    fn values_that_make_no_sense_are_replaced() {
        let settings = of(&[("RANK", "first"), ("PROFTOOL_CUPTI_BUFFERS", "0"), ("PROFTOOL_CUPTI_FLUSH_MS", "-1")]);
        assert_eq!((settings.rank, settings.buffers, settings.flush), (0, 1, Duration::from_millis(100)));
    }
}
