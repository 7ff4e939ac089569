//! The sampled values by their names in the file, and the metrics that they become.

use proftool_trace::sampled::{self, Sampled};

/// What every metric's name begins with; behind it stands the name in the file.
const PREFIX: &str = "nvml.";

/// The file's mask of reasons for a low clock, which becomes a metric for each of [`sampled::REASONS`].
pub(super) const REASONS: &str = "clocks_event_reasons";

/// What the sampler reads besides [`sampled::ALL`].
const OTHERS: &[Sampled] = &[
    Sampled {
        name: "nvml.gpu_utilization_ratio",
        unit: "ratio",
        doc: "Share of the last 1/6 s to 1 s in which a kernel ran (nvmlDeviceGetUtilizationRates).",
    },
    Sampled {
        name: "nvml.memory_utilization_ratio",
        unit: "ratio",
        doc: "Share of that time in which device memory was read or written (nvmlDeviceGetUtilizationRates).",
    },
    Sampled {
        name: "nvml.memory_used_bytes",
        unit: "bytes",
        doc: "Device memory in use, without what the driver reserves (nvmlDeviceGetMemoryInfo_v2).",
    },
    Sampled {
        name: "nvml.memory_total_bytes",
        unit: "bytes",
        doc: "Size of the device memory (nvmlDeviceGetMemoryInfo_v2).",
    },
    Sampled {
        name: "nvml.pcie_sent_bytes_per_s",
        unit: "bytes/s",
        doc: "What the device sent over PCIe in the last 20 ms (nvmlDeviceGetPcieThroughput, in KB/s).",
    },
    Sampled {
        name: "nvml.pcie_received_bytes_per_s",
        unit: "bytes/s",
        doc: "What the device received over PCIe in the last 20 ms (nvmlDeviceGetPcieThroughput, in KB/s).",
    },
    Sampled {
        name: "nvml.nvlink_sent_bytes",
        unit: "bytes",
        doc: "Payload sent over all NVLinks since the driver was loaded (field NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX).",
    },
    Sampled {
        name: "nvml.nvlink_received_bytes",
        unit: "bytes",
        doc: "Payload received over all NVLinks since the driver was loaded (field ..NVLINK_THROUGHPUT_DATA_RX).",
    },
];

/// The number of a metric in its pass, and the metric; by its name in the file.
pub(super) fn find(key: &str) -> Option<(usize, &'static Sampled)> {
    all().enumerate().find(|(_, metric)| metric.name.strip_prefix(PREFIX) == Some(key))
}

/// How many metrics there are; the reasons are numbered from here.
pub(super) fn count() -> usize {
    all().count()
}

fn all() -> impl Iterator<Item = &'static Sampled> {
    sampled::ALL.iter().chain(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_found_by_its_name_without_the_prefix() {
        for (at, metric) in all().enumerate() {
            let key = metric.name.strip_prefix(PREFIX).unwrap();
            assert_eq!(find(key), Some((at, metric)));
        }
        assert_eq!((find("power_w").map(|(at, _)| at), find(REASONS), find("")), (Some(0), None, None));
    }
}
