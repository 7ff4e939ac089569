//! What the importers of AMD's profilers share: geometry, names, roofs, and the readers of each file.

pub(crate) mod agents;
pub(crate) mod database;
pub(crate) mod fields;
#[cfg(test)]
mod hostile;
pub(crate) mod ids;
pub(crate) mod markers;
pub(crate) mod names;
pub(crate) mod number;
pub(crate) mod pmc;
pub(crate) mod records;
pub(crate) mod rocpd;
pub(crate) mod roofs;
pub(crate) mod sdk;
pub(crate) mod table;

/// Work-groups along one dimension of a launch. HSA and rocprof count a grid in work-items, the canonical tables count
/// it in blocks; a grid need not be a multiple of its work-group, and the last group is then a partial one, so the
/// quotient is rounded up. `None` where a size is absent or not positive.
pub(crate) fn groups(work_items: Option<i64>, group: Option<i64>) -> Option<i64> {
    let (items, group) = (work_items?, group.filter(|group| *group > 0)?);
    (items > 0).then(|| items / group + i64::from(items % group != 0))
}

/// Registers of a work-item: architectural and accumulation VGPRs together, for they come from one file since CDNA2.
pub(crate) fn registers(arch: Option<i64>, accumulation: Option<i64>) -> Option<i64> {
    let arch = arch.filter(|count| *count >= 0)?;
    Some(arch.saturating_add(accumulation.unwrap_or(0).max(0)))
}

/// A kernel's name without the mark of the kernel descriptor (`.kd`), which rocprof's older versions leave on it, so
/// that a kernel has one name in counters and in timelines.
pub(crate) fn kernel_name(name: &str) -> &str {
    let marks = [" [clone .kd]", " (.kd)", ".kd"];
    marks.iter().find_map(|mark| name.strip_suffix(mark)).unwrap_or(name).trim_end()
}

/// A launch's size as the table `launches` writes it.
pub(crate) fn size_text(size: [Option<i64>; 3]) -> Option<String> {
    let [x, y, z] = size;
    Some(format!("({},{},{})", x?, y.unwrap_or(1), z.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_work_group_is_a_block() {
        assert_eq!(groups(Some(1_048_576), Some(256)), Some(4096));
        assert_eq!(groups(Some(257), Some(256)), Some(2));
        assert_eq!(groups(Some(i64::MAX), Some(1)), Some(i64::MAX));
        assert_eq!([groups(Some(0), Some(1)), groups(Some(1), Some(0)), groups(Some(1), None)], [None; 3]);
    }

    #[test]
    fn a_kernel_has_one_name_however_it_was_written() {
        for name in ["f(int) [clone .kd]", "f(int) (.kd)", "f(int).kd", "f(int)"] {
            assert_eq!(kernel_name(name), "f(int)");
        }
    }

    #[test]
    fn both_kinds_of_register_count() {
        assert_eq!(registers(Some(4), Some(4)), Some(8));
        assert_eq!(registers(Some(8), None), Some(8));
        assert_eq!(registers(None, Some(4)), None);
    }
}
