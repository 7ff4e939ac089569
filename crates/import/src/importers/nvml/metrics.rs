//! The sampled values by their names in the file, and the metrics that they become.

use proftool_trace::sampled::{self, Sampled};

/// What every metric's name begins with; behind it stands the name in the file.
const PREFIX: &str = "nvml.";

/// The file's mask of reasons for a low clock, which becomes a metric for each of [`sampled::REASONS`].
pub(super) const REASONS: &str = "clocks_event_reasons";

/// The number of a metric in its pass, and the metric; by its name in the file.
pub(super) fn find(key: &str) -> Option<(usize, &'static Sampled)> {
    sampled::ALL.iter().enumerate().find(|(_, metric)| metric.name.strip_prefix(PREFIX) == Some(key))
}

/// How many metrics there are; the reasons are numbered from here.
pub(super) fn count() -> usize {
    sampled::ALL.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_found_by_its_name_without_the_prefix() {
        for (at, metric) in sampled::ALL.iter().enumerate() {
            let key = metric.name.strip_prefix(PREFIX).unwrap();
            assert_eq!(find(key), Some((at, metric)));
        }
        assert_eq!((find("power_w").map(|(at, _)| at), find(REASONS), find("")), (Some(0), None, None));
    }
}
