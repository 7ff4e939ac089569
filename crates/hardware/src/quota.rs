//! How much CPU time the control groups of this process allow.

use std::path::{Path, PathBuf};

use crate::text::read;

/// Cores that the CPU quota of this process allows, rounded down, at least one; none where there is no quota.
///
/// More busy threads than that are stopped for the rest of each period, which no affinity mask says. The quotas of all
/// groups above the process hold together; inside a container the groups above its own are not visible.
pub(crate) fn cores(root: &Path) -> Option<usize> {
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let all = groups.lines().filter_map(controllers_and_group).flat_map(|(controllers, group)| {
        if controllers.is_empty() {
            quotas(root, &["", "unified"], group, of_version_2)
        } else {
            quotas(root, &["cpu", "cpu,cpuacct"], group, of_version_1)
        }
    });
    all.reduce(f64::min).map(|cores| (cores as usize).max(1))
}

/// What `quota` reads in the group's folder, and in those above it, below each of `mounts`.
fn quotas(root: &Path, mounts: &[&str], group: &str, quota: fn(&Path) -> Option<f64>) -> Vec<f64> {
    let folders = mounts.iter().flat_map(|mount| with_parents(&root.join("sys/fs/cgroup").join(mount), group));
    folders.filter_map(|folder| quota(&folder)).collect()
}

/// The parts of a line `hierarchy:controllers:group`: version 2 names no controllers; of version 1 only `cpu` counts.
fn controllers_and_group(line: &str) -> Option<(&str, &str)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, group) = (parts.next()?, parts.next()?);
    (controllers.is_empty() || controllers.split(',').any(|name| name == "cpu")).then_some((controllers, group))
}

/// The group's folder and all above it down to the mount; of a group that the mount does not show, the mount.
fn with_parents(mount: &Path, group: &str) -> Vec<PathBuf> {
    let folder = mount.join(group.trim_start_matches('/'));
    folder.ancestors().take_while(|folder| folder.starts_with(mount)).map(Path::to_owned).collect()
}

/// `cpu.max`: quota and period in microseconds, or `max`.
fn of_version_2(folder: &Path) -> Option<f64> {
    let text = read(&folder.join("cpu.max"))?;
    let (quota, period) = text.split_once(' ')?;
    ratio(quota, period)
}

/// The same as two files; -1 is no quota.
fn of_version_1(folder: &Path) -> Option<f64> {
    ratio(&read(&folder.join("cpu.cfs_quota_us"))?, &read(&folder.join("cpu.cfs_period_us"))?)
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores_of(fixture: &str) -> Option<usize> {
        cores(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture))
    }

    #[test]
    fn the_smallest_quota_of_the_group_and_those_above_it_decides() {
        // 3.5 cores for the pod, 8 for the container in it.
        assert_eq!(cores_of("quota-v2"), Some(3));
        // Half a core.
        assert_eq!(cores_of("quota-v1"), Some(1));
    }

    #[test]
    fn without_a_quota_nothing_is_limited() {
        assert_eq!(cores_of("quota-none"), None);
        assert_eq!(cores_of("zen3-vm"), None);
        assert_eq!((ratio("max", "100000"), ratio("-1", "100000"), ratio("5", "0")), (None, None, None));
    }
}
