//! The numbers of one device.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::BoardPower;

/// What one GPU can reach at most.
///
/// In each row `source` is a key of [`GpuSpec::sources`], `confidence` is `documented` (the vendor states it, or its driver
/// reports it), `secondary` (measured or printed by others), `derived` (made from other numbers) or `uncertain`, and
/// `disputed` is what the other sources say where they differ by more than half a percent. What they only round, and what
/// no source states otherwise, is a `remark`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct GpuSpec {
    /// The file's stem and the value of `--hardware`, for example `h100-sxm`.
    pub slug: String,
    /// Full name.
    pub name: String,
    /// `nvidia` or `amd`.
    pub vendor: String,
    /// `cuda` or `hip`, as in the table `devices`.
    pub kind: String,
    /// Architecture as in the table `devices`, for example `sm_90` and `gfx942`.
    pub arch: String,
    /// Other values of `--hardware`.
    pub aliases: Vec<String>,
    /// Names as drivers report them.
    pub probed: Vec<String>,
    /// Streaming multiprocessors or compute units.
    pub units: Units,
    /// The most that the device draws; none where the vendor does not state it.
    pub board_power_w: Option<BoardPower>,
    /// Clocks that the peaks assume; `boost` always exists.
    pub clock: Vec<Clock>,
    /// Sizes of memory and caches. `memory` occurs once a variant that is sold under the same name.
    pub size: Vec<Size>,
    /// Arithmetic peaks, one a precision and sparsity.
    pub compute: Vec<Compute>,
    /// Bandwidths, one a level.
    pub bandwidth: Vec<Bandwidth>,
    /// The peak of issued instructions.
    pub instructions: Instructions,
    /// Links to other devices and to the CPU.
    pub link: Vec<Link>,
    /// Documents by the short names that the rows refer to.
    pub sources: BTreeMap<String, String>,
}

/// How many units a device has.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// The count.
    pub value: u32,
    /// `SM` or `CU`.
    pub unit: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// A clock that a peak assumes.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// `boost`, `tensor_peak` (where the matrix peaks assume another), or `sample` (of one card, no peak assumes it).
    pub name: String,
    /// Cycles a second.
    pub hz: f64,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// Size of a memory or cache.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// `memory`, `L2`, `MALL`, `L1` (with the shared memory where both are one), or `LDS`.
    pub name: String,
    /// Bytes; a device reports somewhat less memory than that.
    pub value: u64,
    /// `bytes`.
    pub unit: String,
    /// `device`, or `unit`: of each SM or compute unit.
    pub per: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// An arithmetic peak.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// `f64`, `f32`, `f16`, `bf16` (vector units), or `matrix_` and an element type; `_acc16` accumulates in f16.
    pub precision: String,
    /// Whether it counts the zeros of 2:4 structured sparsity.
    pub sparse: bool,
    /// Type of the accumulator.
    pub accumulate: String,
    /// SMs or compute units.
    pub units: u32,
    /// FLOP (integer operations) a cycle of each.
    pub flop_per_cycle_per_unit: u32,
    /// Name of the clock that the value assumes.
    pub clock: String,
    /// Product of the three.
    pub value: f64,
    /// `flop/s` or, for integer types, `op/s`.
    pub unit: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// A bandwidth: of DRAM from bus and rate, of a cache from units, bytes a cycle and clock.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// `DRAM`, `MALL`, `L2`, `L1` or `LDS`.
    pub level: String,
    /// Width of the memory bus; DRAM only.
    pub bus_bits: Option<u32>,
    /// Bits a second on each wire of it; DRAM only.
    pub bits_per_s_per_pin: Option<f64>,
    /// SMs, compute units, slices or channels; caches only.
    pub units: Option<u32>,
    /// Bytes a cycle of each; caches only.
    pub bytes_per_cycle_per_unit: Option<u32>,
    /// Name of the clock that the value assumes; caches only.
    pub clock: Option<String>,
    /// Bytes a second.
    pub value: f64,
    /// `bytes/s`.
    pub unit: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// The peak of issued warp (wavefront) instructions: the compute roof of the instruction roofline (Ding and Williams).
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Instructions {
    /// SMs or compute units.
    pub units: u32,
    /// Schedulers of each that issue in one cycle.
    pub per_cycle_per_unit: u32,
    /// Name of the clock that the value assumes.
    pub clock: String,
    /// Warp instructions a second.
    pub value: f64,
    /// `warp instructions/s`.
    pub unit: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// A link of the device, all its lanes together, in one direction.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `nvlink`, `xgmi`, `c2c` (to the CPU of the same module) or `pcie`.
    pub name: String,
    /// Links, or lanes of PCIe.
    pub lanes: u32,
    /// Bytes a second of each, one direction.
    pub bytes_per_s_per_lane: f64,
    /// Product of the two; datasheets print the sum of both directions, twice as much.
    pub value: f64,
    /// `bytes/s per direction`.
    pub unit: String,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`].
    pub remark: Option<String>,
}

/// The peaks of a device at another clock.
#[derive(Clone, Debug, PartialEq)]
pub struct AtClock<'a> {
    /// FLOP/s (op/s) beside the row of the datasheet.
    pub compute: Vec<(&'a Compute, f64)>,
    /// Bytes/s beside the row of the datasheet; DRAM has a clock of its own and keeps its value.
    pub bandwidth: Vec<(&'a Bandwidth, f64)>,
    /// Warp instructions a second.
    pub instructions: f64,
}

impl GpuSpec {
    /// Whether a probed architecture (`sm_90a`, `gfx942:sramecc+`) is that of the spec.
    pub fn has_arch(&self, arch: &str) -> bool {
        super::lookup::plain_arch(arch) == self.arch
    }

    /// The peak of a precision, for example `matrix_bf16`.
    pub fn peak(&self, precision: &str, sparse: bool) -> Option<&Compute> {
        self.compute.iter().find(|row| row.precision == precision && row.sparse == sparse)
    }

    /// The bandwidth of a level, for example `DRAM`.
    pub fn bandwidth(&self, level: &str) -> Option<&Bandwidth> {
        self.bandwidth.iter().find(|row| row.level == level)
    }

    /// A link, for example `nvlink`.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.link.iter().find(|row| row.name == name)
    }

    /// A clock, for example `boost`.
    pub fn clock(&self, name: &str) -> Option<&Clock> {
        self.clock.iter().find(|row| row.name == name)
    }

    /// Bytes of a memory or cache, for example `L2`; of the first variant where there are several.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.size.iter().find(|row| row.name == name).map(|row| row.value)
    }

    /// The peaks at the clock that was observed, whatever clock each row of the datasheet assumes. None where `hz` is not
    /// a positive number.
    pub fn at_clock(&self, hz: f64) -> Option<AtClock<'_>> {
        if !(hz.is_finite() && hz > 0.0) {
            return None;
        }
        let compute = |row: &Compute| f64::from(row.units) * f64::from(row.flop_per_cycle_per_unit) * hz;
        let bandwidth = |row: &Bandwidth| match (row.units, row.bytes_per_cycle_per_unit) {
            (Some(units), Some(bytes)) => f64::from(units) * f64::from(bytes) * hz,
            _ => row.value,
        };
        let scaled = AtClock {
            compute: self.compute.iter().map(|row| (row, compute(row))).collect(),
            bandwidth: self.bandwidth.iter().map(|row| (row, bandwidth(row))).collect(),
            instructions: f64::from(self.instructions.units) * f64::from(self.instructions.per_cycle_per_unit) * hz,
        };
        let values = scaled.compute.iter().map(|row| row.1).chain(scaled.bandwidth.iter().map(|row| row.1));
        values.chain([scaled.instructions]).all(f64::is_finite).then_some(scaled)
    }

    /// What sources disagree about: the number's name and what the others say.
    pub fn disputes(&self) -> Vec<(String, &str)> {
        let sparse = |row: &Compute| if row.sparse { " sparse" } else { "" };
        let mut rows = vec![(self.units.unit.clone(), &self.units.disputed)];
        rows.extend(self.board_power_w.iter().map(|row| ("board power".to_owned(), &row.disputed)));
        rows.extend(self.clock.iter().map(|row| (format!("clock {}", row.name), &row.disputed)));
        rows.extend(self.size.iter().map(|row| (format!("size {}", row.name), &row.disputed)));
        rows.extend(self.compute.iter().map(|row| (format!("{}{}", row.precision, sparse(row)), &row.disputed)));
        rows.extend(self.bandwidth.iter().map(|row| (row.level.clone(), &row.disputed)));
        rows.push(("instructions".to_owned(), &self.instructions.disputed));
        rows.extend(self.link.iter().map(|row| (format!("link {}", row.name), &row.disputed)));
        rows.into_iter().filter_map(|(what, disputed)| Some((what, disputed.as_deref()?))).collect()
    }
}
