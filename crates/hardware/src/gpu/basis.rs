//! What makes a number, in words for labels and tables.

use super::{Bandwidth, Compute, GpuSpec, Instructions, Link};

impl Compute {
    /// What the number means: `dense, accumulates in f32`.
    pub fn kind(&self) -> String {
        let sparse = if self.sparse { "2:4 sparse" } else { "dense" };
        format!("{sparse}, accumulates in {}", self.accumulate)
    }
}

impl GpuSpec {
    /// `132 SM x 4096 FLOP x 1.83 GHz, dense, accumulates in f32 (documented: NVIDIA, H100 ...)`.
    pub fn basis_of_peak(&self, row: &Compute) -> String {
        let operations = if row.unit == "op/s" { "op" } else { "FLOP" };
        let product = self.product(row.units, row.flop_per_cycle_per_unit, operations, &row.clock);
        format!("{product}, {} {}", row.kind(), self.from(&row.source, &row.confidence))
    }

    /// `5120 bits x 5.238 Gb/s (documented: ...)`, or of a cache `132 x 128 B x 1.98 GHz (...)`.
    pub fn basis_of_bandwidth(&self, row: &Bandwidth) -> String {
        let product = match (row.bus_bits, row.bits_per_s_per_pin, row.units, row.bytes_per_cycle_per_unit) {
            (Some(bits), Some(rate), ..) => format!("{bits} bits x {} Gb/s", giga(rate)),
            (.., Some(units), Some(bytes)) => {
                let hz = row.clock.as_deref().and_then(|name| self.clock(name)).map_or(0.0, |clock| clock.hz);
                format!("{units} x {bytes} B x {} GHz", giga(hz))
            }
            _ => "stated".to_owned(),
        };
        format!("{product} {}", self.from(&row.source, &row.confidence))
    }

    /// `132 SM x 4 warp instructions x 1.98 GHz (documented: ...)`.
    pub fn basis_of_instructions(&self) -> String {
        let Instructions { units, per_cycle_per_unit, clock, source, confidence, .. } = &self.instructions;
        let product = self.product(*units, *per_cycle_per_unit, "warp instructions", clock);
        format!("{product} {}", self.from(source, confidence))
    }

    /// `18 x 25 GB/s, one direction (documented: ...)`.
    pub fn basis_of_link(&self, row: &Link) -> String {
        let rate = giga(row.bytes_per_s_per_lane);
        format!("{} x {rate} GB/s, one direction {}", row.lanes, self.from(&row.source, &row.confidence))
    }

    fn product(&self, units: u32, each: u32, what: &str, clock: &str) -> String {
        let ghz = giga(self.clock(clock).map_or(0.0, |clock| clock.hz));
        format!("{units} {} x {each} {what} x {ghz} GHz", self.units.unit)
    }

    fn from(&self, source: &str, confidence: &str) -> String {
        format!("({confidence}: {})", self.sources.get(source).map_or(source, String::as_str))
    }
}

/// In units of 1e9, without digits that are rounding only.
fn giga(value: f64) -> f64 {
    (value / 1e5).round() / 1e4
}

#[cfg(test)]
mod tests {
    use crate::gpu::find;

    #[test]
    fn a_number_tells_its_parts_its_kind_and_its_source() {
        let spec = find("h100-sxm").unwrap();
        let bf16 = spec.basis_of_peak(spec.peak("matrix_bf16", false).unwrap());
        assert!(bf16.starts_with("132 SM x 4096 FLOP x 1.83 GHz, dense, accumulates in f32 (documented: NVIDIA, H100"));
        let int8 = spec.basis_of_peak(spec.peak("matrix_i8", true).unwrap());
        assert!(int8.starts_with("132 SM x 16384 op x 1.83 GHz, 2:4 sparse, accumulates in i32 ("), "{int8}");
        let level = |name: &str| spec.basis_of_bandwidth(spec.bandwidth(name).unwrap());
        assert!(level("DRAM").starts_with("5120 bits x 5.238 Gb/s (documented: "));
        assert!(level("L1").starts_with("132 x 128 B x 1.98 GHz (secondary: "));
        assert!(spec.basis_of_instructions().starts_with("132 SM x 4 warp instructions x 1.98 GHz (documented: "));
        let link = |name: &str| spec.basis_of_link(spec.link(name).unwrap());
        assert!(link("nvlink").starts_with("18 x 25 GB/s, one direction (documented: "));
        assert!(link("pcie").starts_with("16 x 3.9385 GB/s, one direction (documented: "));
    }
}
