//! What this machine is, from `/proc` and `/sys`.
//!
//! Nothing here fails: what the system does not tell is absent or, for cache sizes, a marked assumption.

use std::path::Path;

use crate::arch;
use crate::caches::{self, Cache};
use crate::quota;
use crate::text::{cpu_list, field, read};

/// A processor as the system reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// `amd`, `intel`, `arm`, `apple`, `ampere`, `nvidia`, or `unknown`.
    pub vendor: String,
    /// Model name as reported; made from the part number on Arm. Empty where nothing is known.
    pub model_name: String,
    /// CPU family; the implementer on Arm.
    pub family: u32,
    /// Model number; the part number on Arm.
    pub model: u32,
    /// Microarchitecture, for example `zen3` or `neoverse-v1`; `generic` where it is not known.
    pub arch: String,
    /// Usable instruction sets, widest first, out of `avx512`, `avx2` (with FMA), `neon`, `scalar`.
    pub isas: Vec<&'static str>,
    /// Logical CPUs that this process may use.
    pub cpus: Vec<usize>,
    /// One logical CPU of each physical core among them, no more than the CPU quota of the process allows.
    pub cores: Vec<usize>,
    /// Level 1 data cache of the first core.
    pub l1d: Option<Cache>,
    /// Level 2 cache of the first core.
    pub l2: Option<Cache>,
    /// Level 3 cache of the first core.
    pub l3: Option<Cache>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its processor.
    pub cpu: Cpu,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system, for example `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// Kernel, for example `Linux 6.1.0-18-amd64`.
    pub kernel: String,
}

/// Probes this machine.
pub fn probe() -> Machine {
    probe_at(Path::new("/"))
}

/// Probes the machine whose `/proc`, `/sys` and `/etc` lie under `root`.
pub fn probe_at(root: &Path) -> Machine {
    let release = read(&root.join("etc/os-release")).unwrap_or_default();
    let os = field(&release, "PRETTY_NAME").map(|name| name.trim_matches('"').to_owned());
    let kernel = read(&root.join("proc/sys/kernel/osrelease")).map(|release| format!("Linux {release}"));
    Machine {
        cpu: cpu(root),
        memory_bytes: memory_bytes(root),
        os: os.unwrap_or_else(|| std::env::consts::OS.to_owned()),
        kernel: kernel.unwrap_or_else(|| std::env::consts::OS.to_owned()),
    }
}

fn cpu(root: &Path) -> Cpu {
    let info = read(&root.join("proc/cpuinfo")).unwrap_or_default();
    let cpus = cpus(root, &info);
    let mut cores = physical_cores(root, &cpus);
    cores.truncate(quota::cores(root).unwrap_or(usize::MAX));
    let [l1d, l2, l3] = caches::probe(root, cores[0], &cores);
    let id = Identity::of(&info);
    Cpu {
        vendor: id.vendor,
        model_name: id.model_name,
        family: id.family,
        model: id.model,
        arch: id.arch,
        isas: isas(&info),
        cpus,
        cores,
        l1d,
        l2,
        l3,
    }
}

struct Identity {
    vendor: String,
    model_name: String,
    family: u32,
    model: u32,
    arch: String,
}

impl Identity {
    fn of(info: &str) -> Self {
        if field(info, "CPU implementer").is_some() { Self::of_arm(info) } else { Self::of_x86(info) }
    }

    fn of_x86(info: &str) -> Self {
        let vendor = match field(info, "vendor_id") {
            Some("AuthenticAMD") => "amd",
            Some("GenuineIntel") => "intel",
            Some("HygonGenuine") => "hygon",
            _ => "unknown",
        };
        let number = |key| field(info, key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let (family, model) = (number("cpu family"), number("model"));
        Self {
            vendor: vendor.to_owned(),
            model_name: field(info, "model name").unwrap_or_default().to_owned(),
            family,
            model,
            arch: arch::microarchitecture(vendor, family, model, number("stepping")).to_owned(),
        }
    }

    fn of_arm(info: &str) -> Self {
        let number = |key| {
            let digits = field(info, key).and_then(|text| text.strip_prefix("0x"));
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
        };
        let (family, model) = (number("CPU implementer"), number("CPU part"));
        let (vendor, name, arch) = arch::arm(family, model);
        let model_name = field(info, "model name").unwrap_or(name).to_owned();
        Self { vendor: vendor.to_owned(), model_name, family, model, arch: arch.to_owned() }
    }
}

fn flags(info: &str) -> impl Iterator<Item = &str> {
    field(info, "flags").or_else(|| field(info, "Features")).unwrap_or_default().split_whitespace()
}

fn isas(info: &str) -> Vec<&'static str> {
    let has = |wanted: &str| flags(info).any(|flag| flag == wanted);
    let mut isas = Vec::new();
    if has("avx512f") {
        isas.push("avx512");
    }
    if has("avx2") && has("fma") {
        isas.push("avx2");
    }
    if has("asimd") {
        isas.push("neon");
    }
    isas.push("scalar");
    isas
}

/// The affinity mask of this process, or every CPU of `/proc/cpuinfo`; never empty.
fn cpus(root: &Path, info: &str) -> Vec<usize> {
    let status = read(&root.join("proc/self/status")).unwrap_or_default();
    let allowed = field(&status, "Cpus_allowed_list").map(cpu_list).unwrap_or_default();
    if !allowed.is_empty() {
        return allowed;
    }
    let listed: Vec<usize> = info.lines().filter_map(|line| field(line, "processor")?.parse().ok()).collect();
    if !listed.is_empty() {
        return listed;
    }
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// The first usable CPU of each set of hardware threads.
fn physical_cores(root: &Path, cpus: &[usize]) -> Vec<usize> {
    let siblings = |cpu: usize| {
        let file = root.join(format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"));
        read(&file).map_or_else(|| vec![cpu], |list| cpu_list(&list))
    };
    let first = |cpu: usize| cpus.iter().copied().find(|other| siblings(cpu).contains(other)) == Some(cpu);
    let cores: Vec<usize> = cpus.iter().copied().filter(|&cpu| first(cpu)).collect();
    if cores.is_empty() { cpus.to_vec() } else { cores }
}

fn memory_bytes(root: &Path) -> Option<u64> {
    let info = read(&root.join("proc/meminfo"))?;
    let kilobytes = field(&info, "MemTotal")?.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware_key;

    fn fixture(name: &str) -> Machine {
        probe_at(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name))
    }

    fn caches(expected: [(u64, usize); 3]) -> [Option<Cache>; 3] {
        expected.map(|(bytes, shared_by)| Some(Cache { bytes, shared_by, probed: true }))
    }

    #[test]
    fn a_zen_3_guest_with_two_cores() {
        let machine = fixture("zen3-vm");
        let cpu = &machine.cpu;
        assert_eq!((cpu.vendor.as_str(), cpu.arch.as_str(), cpu.family, cpu.model), ("amd", "zen3", 25, 1));
        assert_eq!(cpu.isas, ["avx2", "scalar"]);
        assert_eq!((&cpu.cpus, &cpu.cores), (&vec![0, 1], &vec![0, 1]));
        assert_eq!([cpu.l1d, cpu.l2, cpu.l3], caches([(32 << 10, 1), (512 << 10, 1), (32 << 20, 2)]));
        assert_eq!(machine.memory_bytes, Some(24_100_000 * 1024));
        assert_eq!(
            (machine.os.as_str(), machine.kernel.as_str()),
            ("Debian GNU/Linux 12 (bookworm)", "Linux 6.1.0-18")
        );
        assert_eq!(hardware_key(cpu, cpu.cores.len()), "cpu-amd-epyc-zen3-2c");
    }

    #[test]
    fn a_sapphire_rapids_host_of_which_two_cores_with_two_threads_each_may_be_used() {
        let cpu = fixture("sapphire-rapids").cpu;
        assert_eq!((cpu.vendor.as_str(), cpu.arch.as_str()), ("intel", "sapphirerapids"));
        assert_eq!(cpu.isas, ["avx512", "avx2", "scalar"]);
        assert_eq!((&cpu.cpus, &cpu.cores), (&vec![2, 3, 6, 7], &vec![2, 3]));
        assert_eq!([cpu.l1d, cpu.l2, cpu.l3], caches([(48 << 10, 1), (2 << 20, 1), (105 << 20, 2)]));
        assert_eq!(hardware_key(&cpu, 2), "cpu-intel-xeon-sapphirerapids-2c");
    }

    #[test]
    fn a_graviton_3_names_its_core_by_part_number() {
        let cpu = fixture("graviton3").cpu;
        assert_eq!((cpu.vendor.as_str(), cpu.model_name.as_str()), ("arm", "Arm Neoverse-V1"));
        assert_eq!(cpu.isas, ["neon", "scalar"]);
        assert_eq!([cpu.l1d, cpu.l2, cpu.l3], caches([(64 << 10, 1), (1 << 20, 1), (32 << 20, 2)]));
        assert_eq!(hardware_key(&cpu, 2), "cpu-arm-neoverse-v1-2c");
    }

    #[test]
    fn a_cpu_quota_limits_the_cores_but_not_the_cpus() {
        let cpu = fixture("quota-v2").cpu;
        assert_eq!((cpu.cpus.len(), &cpu.cores), (8, &vec![0, 1, 2]));
    }

    #[test]
    fn a_system_that_tells_nothing_still_gives_a_usable_description() {
        let machine = probe_at(Path::new("/nonexistent"));
        let cpu = &machine.cpu;
        assert_eq!((cpu.arch.as_str(), &cpu.isas[..]), ("generic", &["scalar"][..]));
        assert!(!cpu.cores.is_empty());
        assert!([cpu.l1d, cpu.l2, cpu.l3].iter().flatten().all(|cache| !cache.probed));
        assert_eq!(machine.memory_bytes, None);
    }

    #[test]
    fn this_machine_has_at_least_one_core_and_no_more_cores_than_cpus() {
        let cpu = probe().cpu;
        assert!(!cpu.cores.is_empty() && cpu.cores.len() <= cpu.cpus.len());
        assert!(cpu.cores.iter().all(|core| cpu.cpus.contains(core)));
    }
}
