//! Columns of the raw page whose values are also about the launch or its device.

use super::launches::{Device, Launch};

/// Values of a row by column.
pub(super) type Values = [(usize, f64)];

/// Where those columns stand.
#[derive(Debug)]
pub(super) struct Special {
    grid: [Option<usize>; 3],
    block: [Option<usize>; 3],
    device: Option<usize>,
    /// Its value is words, unlike that of the others.
    pub(super) display_name: Option<usize>,
    capability: [Option<usize>; 2],
    sm_count: Option<usize>,
    launch_sms: Option<usize>,
    memory: Option<usize>,
    clock_khz: Option<usize>,
    pci: [Option<usize>; 3],
}

impl Special {
    /// Finds the columns among the names of the metrics.
    pub(super) fn find(metrics: &[Option<String>]) -> Self {
        let find = |name: &str| metrics.iter().position(|metric| metric.as_deref() == Some(name));
        let each = |start: &str, ends: [&str; 3]| ends.map(|end| find(&format!("{start}{end}")));
        Self {
            grid: each("launch__grid_dim_", ["x", "y", "z"]),
            block: each("launch__block_dim_", ["x", "y", "z"]),
            device: find("launch__device_id"),
            display_name: find("device__attribute_display_name"),
            capability: ["major", "minor"].map(|end| find(&format!("device__attribute_compute_capability_{end}"))),
            sm_count: find("device__attribute_multiprocessor_count"),
            launch_sms: find("launch__sm_count"),
            memory: find("device__attribute_total_memory"),
            clock_khz: find("device__attribute_clock_rate"),
            pci: each("device__attribute_pci_", ["domain_id", "bus_id", "device_id"]),
        }
    }

    /// Fills in what the page has no identifying column for: pages before 2023 print no grid, block and device.
    pub(super) fn complete(&self, launch: &mut Launch, has_device: bool, values: &Values) {
        let dimensions = |columns: [Option<usize>; 3]| {
            let [x, y, z] = columns.map(|column| number(values, column));
            Some(format!("({},{},{})", x?, y?, z?))
        };
        launch.grid = launch.grid.take().or_else(|| dimensions(self.grid));
        launch.block = launch.block.take().or_else(|| dimensions(self.block));
        if !has_device {
            launch.device = number(values, self.device).unwrap_or(0);
        }
    }

    /// SMs that the launch could use.
    pub(super) fn launch_sms(&self, values: &Values) -> Option<f64> {
        value(values, self.launch_sms)
    }

    /// What the row tells about its device. `capability` is what the identifying column says.
    pub(super) fn device(&self, name: Option<String>, capability: Option<String>, values: &Values) -> Device {
        let number = |column| number(values, column);
        let [major, minor] = self.capability.map(number);
        let attributes = || Some(format!("{}.{}", major?, minor?));
        let [domain, bus, device] = self.pci.map(number);
        let pci = || Some(format!("{:08x}:{:02x}:{:02x}.0", domain?, bus?, device?));
        Device {
            name,
            capability: capability.or_else(attributes),
            sm_count: number(self.sm_count),
            launch_sms: None,
            memory_bytes: number(self.memory),
            clock_hz: number(self.clock_khz).and_then(|clock| clock.checked_mul(1000)),
            pci_bus_id: pci(),
        }
    }
}

/// The value of a column.
fn value(values: &Values, column: Option<usize>) -> Option<f64> {
    let index = values.binary_search_by_key(&column?, |(other, _)| *other).ok()?;
    Some(values[index].1)
}

/// The value of a column where it is a whole number.
fn number(values: &Values, column: Option<usize>) -> Option<i64> {
    let value = value(values, column)?;
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_pages_tell_grid_and_device_by_metrics() {
        let names = ["launch__grid_dim_x", "launch__grid_dim_y", "launch__grid_dim_z", "launch__device_id"];
        let special = Special::find(&names.map(|name| Some(name.to_owned())));
        let values = [(0, 12_288.0), (1, 1.0), (2, 1.0), (3, 2.0)];
        let mut launch = Launch::default();
        special.complete(&mut launch, false, &values);
        assert_eq!((launch.grid.as_deref(), launch.block.as_deref(), launch.device), (Some("(12288,1,1)"), None, 2));
        let mut stated = Launch { grid: Some("(4,1,1)".to_owned()), ..Launch::default() };
        special.complete(&mut stated, true, &values);
        assert_eq!((stated.grid.as_deref(), stated.device), (Some("(4,1,1)"), 0));
    }

    #[test]
    fn a_device_is_described_as_far_as_the_page_goes() {
        let names = ["device__attribute_compute_capability_major", "device__attribute_compute_capability_minor"];
        let more = ["device__attribute_clock_rate", "device__attribute_pci_bus_id"];
        let names: Vec<_> = names.into_iter().chain(more).map(|name| Some(name.to_owned())).collect();
        let device = Special::find(&names).device(None, None, &[(0, 8.0), (1, 6.0), (2, 1_200_000.0), (3, 45.0)]);
        assert_eq!(device.capability.as_deref(), Some("8.6"));
        assert_eq!((device.clock_hz, device.pci_bus_id, device.sm_count), (Some(1_200_000_000), None, None));
    }
}
