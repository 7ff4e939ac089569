//! Names of the metrics that the sampler of NVML, and of power what router logs, write into `counter_defs` and `samples`: one
//! place, for those who write them and the metrics that read them.
//!
//! A row of `samples` covers the time from the reading before to its own; the first reading of a metric covers none
//! (`start_ns` = `end_ns`). So each value says what was true until it was read, and of [`ENERGY`] two readings that follow
//! one another give the energy of the time between them. Values are in base units: watts, joules, hertz.

/// One sampled metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// `counter_defs.metric`.
    pub name: &'static str,
    /// `counter_defs.unit`.
    pub unit: &'static str,
    /// What it is and which call of NVML tells it.
    pub doc: &'static str,
}

/// Power drawn.
pub const POWER: Sampled = Sampled {
    name: "nvml.power_w",
    unit: "W",
    doc: "Power drawn by the board (nvmlDeviceGetPowerUsage): since Ampere, except GA100, the average of the last second.",
};

/// Power drawn at the instant of reading.
pub const POWER_INSTANT: Sampled = Sampled {
    name: "nvml.power_instant_w",
    unit: "W",
    doc: "Power drawn at the instant of the reading (field NVML_FI_DEV_POWER_INSTANT).",
};

/// The limit that power management holds.
pub const POWER_LIMIT: Sampled = Sampled {
    name: "nvml.power_limit_w",
    unit: "W",
    doc: "Power limit that is enforced (nvmlDeviceGetEnforcedPowerLimit); a setting, not a reading.",
};

/// What a device draws at most.
pub const BOARD_POWER: Sampled = Sampled {
    name: "board_power_w",
    unit: "W",
    doc: "The most that a device draws by its vendor's word, from the head of a router log; no reading.",
};

/// The counter of energy.
pub const ENERGY: Sampled = Sampled {
    name: "nvml.energy_j",
    unit: "J",
    doc: "Energy since the driver was loaded (nvmlDeviceGetTotalEnergyConsumption, which counts mJ); it only grows.",
};

/// Clock of the multiprocessors.
pub const SM_CLOCK: Sampled = Sampled {
    name: "nvml.sm_clock_hz",
    unit: "Hz",
    doc: "Clock of the multiprocessors (nvmlDeviceGetClockInfo, NVML_CLOCK_SM, which is in MHz).",
};

/// Clock of the memory.
pub const MEMORY_CLOCK: Sampled = Sampled {
    name: "nvml.memory_clock_hz",
    unit: "Hz",
    doc: "Clock of the memory (nvmlDeviceGetClockInfo, NVML_CLOCK_MEM, which is in MHz).",
};

/// Temperature of the chip.
pub const TEMPERATURE: Sampled =
    Sampled { name: "nvml.temperature_c", unit: "C", doc: "Temperature of the chip (nvmlDeviceGetTemperature)." };

/// Share of the time in which a kernel ran.
pub const GPU_UTILIZATION: Sampled = Sampled {
    name: "nvml.gpu_utilization_ratio",
    unit: "ratio",
    doc: "Share of the last 1/6 s to 1 s in which a kernel ran (nvmlDeviceGetUtilizationRates).",
};

/// Share of the time in which device memory was accessed.
pub const MEMORY_UTILIZATION: Sampled = Sampled {
    name: "nvml.memory_utilization_ratio",
    unit: "ratio",
    doc: "Share of that time in which device memory was read or written (nvmlDeviceGetUtilizationRates).",
};

/// Device memory in use.
pub const MEMORY_USED: Sampled = Sampled {
    name: "nvml.memory_used_bytes",
    unit: "bytes",
    doc: "Device memory in use, without what the driver reserves (nvmlDeviceGetMemoryInfo_v2).",
};

/// Size of the device memory.
pub const MEMORY_TOTAL: Sampled = Sampled {
    name: "nvml.memory_total_bytes",
    unit: "bytes",
    doc: "Size of the device memory (nvmlDeviceGetMemoryInfo_v2).",
};

/// What the device sends over PCIe.
pub const PCIE_SENT: Sampled = Sampled {
    name: "nvml.pcie_sent_bytes_per_s",
    unit: "bytes/s",
    doc: "What the device sent over PCIe in the last 20 ms (nvmlDeviceGetPcieThroughput, in KB/s).",
};

/// What the device receives over PCIe.
pub const PCIE_RECEIVED: Sampled = Sampled {
    name: "nvml.pcie_received_bytes_per_s",
    unit: "bytes/s",
    doc: "What the device received over PCIe in the last 20 ms (nvmlDeviceGetPcieThroughput, in KB/s).",
};

/// Counter of what the device sent over NVLink.
pub const NVLINK_SENT: Sampled = Sampled {
    name: "nvml.nvlink_sent_bytes",
    unit: "bytes",
    doc: "Payload sent over all NVLinks since the driver was loaded (field NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX).",
};

/// Counter of what the device received over NVLink.
pub const NVLINK_RECEIVED: Sampled = Sampled {
    name: "nvml.nvlink_received_bytes",
    unit: "bytes",
    doc: "Payload received over all NVLinks since the driver was loaded (field ..NVLINK_THROUGHPUT_DATA_RX).",
};

/// Every metric of NVML but the reasons for a low clock, which are [`REASONS`].
pub const ALL: &[Sampled] = &[
    POWER,
    POWER_INSTANT,
    POWER_LIMIT,
    ENERGY,
    SM_CLOCK,
    MEMORY_CLOCK,
    TEMPERATURE,
    GPU_UTILIZATION,
    MEMORY_UTILIZATION,
    MEMORY_USED,
    MEMORY_TOTAL,
    PCIE_SENT,
    PCIE_RECEIVED,
    NVLINK_SENT,
    NVLINK_RECEIVED,
];

/// What the name of a reason's metric begins with: `nvml.throttle.sw_power_cap`, 1 while it holds and else 0.
pub const THROTTLE: &str = "nvml.throttle.";

/// A reason for which the clock is lower than asked for: a bit of nvmlDeviceGetCurrentClocksEventReasons (before R535:
/// ..ThrottleReasons).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The name behind [`THROTTLE`].
    pub name: &'static str,
    /// The bit in NVML's mask.
    pub bit: u64,
    /// Whether it takes speed from a device that has work: idleness and settings do not.
    pub slows: bool,
    /// What NVML says of it.
    pub doc: &'static str,
}

const fn reason(name: &'static str, bit: u64, slows: bool, doc: &'static str) -> Reason {
    Reason { name, bit, slows, doc }
}

/// Every reason that NVML documents, by its bit.
pub const REASONS: &[Reason] = &[
    reason("gpu_idle", 0x1, false, "Nothing runs and the clocks drop to the idle state."),
    reason("applications_clocks_setting", 0x2, false, "Clocks are limited by the setting of the applications' clocks."),
    reason("sw_power_cap", 0x4, true, "Software lowers the clocks to stay within the power limit."),
    reason("hw_slowdown", 0x8, true, "Hardware halves the clocks or more: heat, power brake or a power peak."),
    reason("sync_boost", 0x10, false, "The device keeps the clock of its group."),
    reason("sw_thermal_slowdown", 0x20, true, "Software lowers the clocks to stay within the temperature limits."),
    reason("hw_thermal_slowdown", 0x40, true, "Hardware halves the clocks or more because of heat."),
    reason(
        "hw_power_brake_slowdown",
        0x80,
        true,
        "Hardware halves the clocks or more on a signal of the power supply.",
    ),
    reason("display_clock_setting", 0x100, false, "Clocks are limited by the setting of the display's clocks."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_bits_are_told_apart() {
        let names: BTreeSet<&str> = ALL.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), ALL.len());
        let bits = REASONS.iter().fold(0, |bits, reason| bits | reason.bit);
        assert_eq!(bits, 0x1ff);
        assert!(REASONS.iter().enumerate().all(|(at, reason)| reason.bit == 1 << at));
    }
}
