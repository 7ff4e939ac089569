//! Which process of a job this is, from the variables that launchers set.
//!
//! Each rank captures for itself and asks nobody: the folder that its artifact lies in follows from its own environment
//! alone, and is the same for all ranks of one job.

use std::fmt::Write as _;

/// This process's place in its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Its number among all processes of the job, from 0.
    pub rank: i64,
    /// How many processes the job has, where the launcher tells.
    pub world_size: Option<i64>,
    /// Its number among those of its node.
    pub local_rank: Option<i64>,
    /// Who said so, for example `torchrun`.
    pub launcher: &'static str,
    /// Name of the job, fit for a folder: the same for all of its ranks.
    pub job: String,
}

/// The variables of one launcher.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    world_size: &'static [&'static str],
    local_rank: &'static [&'static str],
    /// Whether the rank means something only beside a world size: a plain name that other programs use too.
    needs_world_size: bool,
}

/// The innermost first: torchrun may run under srun, and mpirun in an allocation of Slurm.
///
/// Sources: PyTorch, torchrun, "Environment Variables"; Open MPI FAQ, "What environment variables are set"; PMIx standard
/// 4.1, section 3.4.20 and PRRTE's `PMIX_RANK`; MPICH's Hydra (`PMI_RANK`, `PMI_SIZE`, `MPI_LOCALRANKID`); srun(1),
/// "OUTPUT ENVIRONMENT VARIABLES".
static LAUNCHERS: &[Launcher] = &[
    Launcher {
        name: "torchrun",
        rank: "RANK",
        world_size: &["WORLD_SIZE"],
        local_rank: &["LOCAL_RANK"],
        needs_world_size: true,
    },
    Launcher {
        name: "mpirun (Open MPI)",
        rank: "OMPI_COMM_WORLD_RANK",
        world_size: &["OMPI_COMM_WORLD_SIZE"],
        local_rank: &["OMPI_COMM_WORLD_LOCAL_RANK"],
        needs_world_size: false,
    },
    Launcher {
        name: "mpirun (PMI)",
        rank: "PMI_RANK",
        world_size: &["PMI_SIZE"],
        local_rank: &["MPI_LOCALRANKID", "PMI_LOCAL_RANK"],
        needs_world_size: false,
    },
    Launcher {
        name: "PMIx",
        rank: "PMIX_RANK",
        world_size: &["SLURM_NTASKS"],
        local_rank: &["SLURM_LOCALID"],
        needs_world_size: false,
    },
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        world_size: &["SLURM_NTASKS", "SLURM_NPROCS"],
        local_rank: &["SLURM_LOCALID"],
        needs_world_size: false,
    },
];

/// The rank that the variables tell (`get` reads one); none for a process that stands alone.
pub fn detect(get: &dyn Fn(&str) -> Option<String>) -> Option<Rank> {
    let number = |name: &str| get(name)?.trim().parse::<i64>().ok().filter(|number| *number >= 0);
    let first = |names: &[&str]| names.iter().find_map(|name| number(name));
    let (launcher, rank) = LAUNCHERS.iter().find_map(|launcher| {
        let rank = number(launcher.rank)?;
        (!launcher.needs_world_size || first(launcher.world_size).is_some()).then_some((launcher, rank))
    })?;
    let world_size = first(launcher.world_size);
    if world_size == Some(1) {
        return None;
    }
    Some(Rank { rank, world_size, local_rank: first(launcher.local_rank), launcher: launcher.name, job: job(get) })
}

/// What all ranks of one job have in common, and other jobs have not.
fn job(get: &dyn Fn(&str) -> Option<String>) -> String {
    let value = |name: &str| get(name).map(|text| slug(&text)).filter(|text| !text.is_empty() && text != "none");
    if let Some(job) = value("SLURM_JOB_ID") {
        return match value("SLURM_STEP_ID") {
            Some(step) => format!("slurm-{job}.{step}"),
            None => format!("slurm-{job}"),
        };
    }
    if let Some(job) = value("PMIX_NAMESPACE").or_else(|| value("OMPI_MCA_ess_base_jobid")) {
        return format!("mpi-{job}");
    }
    if let Some(job) = value("TORCHELASTIC_RUN_ID") {
        return format!("torch-{job}");
    }
    if let (Some(address), Some(port)) = (get("MASTER_ADDR"), get("MASTER_PORT")) {
        // The name of a machine does not belong into an artifact; its hash serves as well.
        let run = if is_one_node(get) { launcher_of_this_node() } else { String::new() };
        return format!("master-{:08x}", fnv1a(&format!("{address}:{port}{run}")) & 0xffff_ffff);
    }
    format!("parent-{}", std::os::unix::process::parent_id())
}

/// Whether all ranks are on one node: then they have one parent.
fn is_one_node(get: &dyn Fn(&str) -> Option<String>) -> bool {
    get("LOCAL_WORLD_SIZE").is_some_and(|local| get("WORLD_SIZE") == Some(local))
}

/// The parent and when it began: address and port are the same for every run of a launcher with its defaults.
fn launcher_of_this_node() -> String {
    let parent = std::os::unix::process::parent_id();
    // proc(5): the name, in parentheses, may hold anything; the start is the 22nd field, the 20th behind it.
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    let start = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).unwrap_or_default();
    format!(" {parent} {start}")
}

/// Bytes of a job's name in the name of its folder.
const LONGEST: usize = 64;

/// A name fit for a folder: letters, digits, `.`, `_` and `-`, everything else as a dash.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.trim().chars().take(LONGEST) {
        let plain = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        slug.push(if plain { letter } else { '-' });
    }
    slug.trim_matches(['.', '-']).to_owned()
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923): the same on every machine and in every version.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Rank {
    /// What the folder of its artifact begins with: `rank3`.
    pub fn label(&self) -> String {
        let mut label = "rank".to_owned();
        // Writing into a String cannot fail.
        let _ = write!(label, "{}", self.rank);
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Rank> {
        detect(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn told(variables: &[(&str, &str)]) -> (i64, Option<i64>, Option<i64>, &'static str, String) {
        let rank = of(variables).expect("a rank");
        (rank.rank, rank.world_size, rank.local_rank, rank.launcher, rank.job)
    }

    #[test]
    fn each_launcher_is_known_by_its_variables() {
        assert_eq!(
            told(&[("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("TORCHELASTIC_RUN_ID", "a b/../c")]),
            (3, Some(8), Some(1), "torchrun", "torch-a-b-..-c".to_owned())
        );
        assert_eq!(
            told(&[
                ("OMPI_COMM_WORLD_RANK", "1"),
                ("OMPI_COMM_WORLD_SIZE", "2"),
                ("OMPI_COMM_WORLD_LOCAL_RANK", "0"),
                ("PMIX_RANK", "1"),
                ("PMIX_NAMESPACE", "prterun-node-17@1"),
            ]),
            (1, Some(2), Some(0), "mpirun (Open MPI)", "mpi-prterun-node-17-1".to_owned())
        );
        let pmi = told(&[("PMI_RANK", "2"), ("PMI_SIZE", "4"), ("SLURM_JOB_ID", "77"), ("SLURM_STEP_ID", "0")]);
        assert_eq!(pmi, (2, Some(4), None, "mpirun (PMI)", "slurm-77.0".to_owned()));
        let srun =
            told(&[("SLURM_PROCID", "5"), ("SLURM_NTASKS", "16"), ("SLURM_LOCALID", "1"), ("SLURM_JOB_ID", "9")]);
        assert_eq!(srun, (5, Some(16), Some(1), "srun", "slurm-9".to_owned()));
        assert_eq!(told(&[("PMIX_RANK", "0"), ("PMIX_NAMESPACE", "n")]).3, "PMIx");
    }

    #[test]
    fn torchrun_under_srun_gives_the_rank_of_torchrun() {
        let all = [("SLURM_PROCID", "1"), ("SLURM_NTASKS", "2"), ("RANK", "9"), ("WORLD_SIZE", "16")];
        assert_eq!(of(&all).map(|rank| (rank.rank, rank.launcher)), Some((9, "torchrun")));
    }

    #[test]
    fn a_process_that_stands_alone_has_no_rank() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("RANK", "3")]), None, "a plain name without a world size");
        assert_eq!(of(&[("RANK", "0"), ("WORLD_SIZE", "1")]), None);
        assert_eq!(of(&[("PMI_RANK", "x")]), None);
        assert_eq!(of(&[("PMI_RANK", "-1")]), None);
    }

    #[test]
    fn all_ranks_of_a_job_name_the_same_folder_without_the_name_of_a_machine() {
        let job = |rank, port| {
            let variables =
                [("RANK", rank), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "node-a.example"), ("MASTER_PORT", port)];
            told(&[("TORCHELASTIC_RUN_ID", "none")].into_iter().chain(variables).collect::<Vec<_>>()).4
        };
        assert_eq!(job("0", "29500"), job("3", "29500"));
        assert_ne!(job("0", "29500"), job("0", "29501"));
        assert!(!job("0", "29500").contains("node"), "{}", job("0", "29500"));
    }
}
