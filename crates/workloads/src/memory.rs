//! How much memory a workload may take.

use std::fs;
use std::path::Path;

/// At most this, on any machine: a workload that needs more is a mistake in its sizes more often than a wish.
const MOST_BYTES: u64 = 8 << 30;

/// Bytes that a workload may take: four fifths of what the system and the control group of this process have left, and
/// no more than 8 GiB. What cannot be read does not limit.
pub(crate) fn limit() -> u64 {
    limit_at(Path::new("/"))
}

fn limit_at(root: &Path) -> u64 {
    let left = available(root).into_iter().chain(group_left(root)).min().unwrap_or(u64::MAX);
    (left / 5 * 4).min(MOST_BYTES)
}

fn available(root: &Path) -> Option<u64> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Limit less use of the control group that a container shows as its root, version 2 or 1.
fn group_left(root: &Path) -> Option<u64> {
    let number = |file: &str| {
        let text = fs::read_to_string(root.join("sys/fs/cgroup").join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let left = |limit, used| Some(number(limit)?.saturating_sub(number(used)?));
    left("memory.max", "memory.current")
        .or_else(|| left("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root whose files have that content.
    fn root(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("proftool-memory-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn the_tightest_of_system_group_and_cap_decides() {
        let system = ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:    5000000 kB\n");
        let large = ("proc/meminfo", "MemAvailable: 500000000 kB\n");
        let group = [("sys/fs/cgroup/memory.max", "2000000000\n"), ("sys/fs/cgroup/memory.current", "1000000000\n")];
        let old = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n"),
        ];
        let unlimited = [("sys/fs/cgroup/memory.max", "max\n"), ("sys/fs/cgroup/memory.current", "1\n")];
        let cases = [
            (root("a", &[system]), 5_000_000 * 1024 / 5 * 4),
            (root("b", &[large]), MOST_BYTES),
            (root("c", &[large, group[0], group[1]]), 800_000_000),
            (root("d", &[large, old[0], old[1]]), 400),
            (root("e", &[system, unlimited[0], unlimited[1]]), 5_000_000 * 1024 / 5 * 4),
        ];
        for (root, bytes) in cases {
            assert_eq!(limit_at(&root), bytes, "{}", root.display());
            fs::remove_dir_all(root).expect("removed");
        }
        assert_eq!(limit_at(Path::new("/nonexistent")), MOST_BYTES);
        assert!(limit() > 0);
    }
}
