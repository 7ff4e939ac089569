//! Hardware specs as data: one TOML file a device under `specs/`, embedded in the binary.

use std::sync::LazyLock;

use serde::Deserialize;

/// What one device can reach at most.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the microarchitecture, as [`crate::Cpu::arch`] gives it; also the file's stem.
    pub arch: String,
    /// Full name.
    pub name: String,
    /// Kind of the device: `cpu`.
    pub kind: String,
    /// Other microarchitectures with the same limits.
    pub also: Vec<String>,
    /// Sources by the short names that the numbers refer to.
    pub sources: std::collections::BTreeMap<String, String>,
    /// Arithmetic limits.
    pub compute: Vec<Compute>,
    /// Bandwidth limits.
    #[serde(default)]
    pub bandwidth: Vec<Bandwidth>,
}

/// An arithmetic limit of one core.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// `avx512`, `avx2`, `neon` or `scalar`.
    pub isa: String,
    /// `f32` or `f64`.
    pub precision: String,
    /// FMA instructions that start in a cycle.
    pub units: u32,
    /// Elements of one instruction.
    pub lanes: u32,
    /// FLOP a cycle: units x lanes x 2.
    pub value: f64,
    /// `flop/cycle/core`.
    pub unit: String,
    /// A key of [`Spec::sources`].
    pub source: String,
    /// `documented` by the vendor, or `secondary`: measured or deduced by others.
    pub confidence: String,
}

/// A limit of the loads of one core.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// `L1` or `L2`.
    pub level: String,
    /// Width of the loads, where it matters.
    pub isa: Option<String>,
    /// Bytes a cycle.
    pub value: f64,
    /// `bytes/cycle/core`.
    pub unit: String,
    /// What makes the number.
    pub basis: String,
    /// A key of [`Spec::sources`].
    pub source: String,
    /// `documented` by the vendor, or `secondary`: measured or deduced by others.
    pub confidence: String,
}

/// A limit at a given clock: a datasheet row of the `ceilings` table.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// `compute` or `bandwidth`.
    pub kind: &'static str,
    /// `fma` or `read`.
    pub name: &'static str,
    /// `f32` or `f64`; none for a bandwidth.
    pub precision: Option<String>,
    /// `L1` or `L2`; none for compute.
    pub level: Option<String>,
    /// Instruction set; none for a bandwidth that does not depend on it.
    pub isa: Option<String>,
    /// Cores: 1.
    pub cores: i64,
    /// FLOP/s or bytes/s.
    pub value: f64,
    /// FLOP or bytes a cycle.
    pub per_cycle: f64,
}

/// Every file of `specs/` by its stem; a test compares the list with the folder.
const FILES: &[(&str, &str)] = &[
    ("alderlake", include_str!("../specs/alderlake.toml")),
    ("emeraldrapids", include_str!("../specs/emeraldrapids.toml")),
    ("graniterapids", include_str!("../specs/graniterapids.toml")),
    ("haswell", include_str!("../specs/haswell.toml")),
    ("icelake-sp", include_str!("../specs/icelake-sp.toml")),
    ("neoverse-n1", include_str!("../specs/neoverse-n1.toml")),
    ("neoverse-n2", include_str!("../specs/neoverse-n2.toml")),
    ("neoverse-v1", include_str!("../specs/neoverse-v1.toml")),
    ("neoverse-v2", include_str!("../specs/neoverse-v2.toml")),
    ("sapphirerapids", include_str!("../specs/sapphirerapids.toml")),
    ("skylake-sp", include_str!("../specs/skylake-sp.toml")),
    ("zen2", include_str!("../specs/zen2.toml")),
    ("zen3", include_str!("../specs/zen3.toml")),
    ("zen4", include_str!("../specs/zen4.toml")),
    ("zen5", include_str!("../specs/zen5.toml")),
    ("zen5-mobile", include_str!("../specs/zen5-mobile.toml")),
];

// A file that does not parse would be left out; the tests let none pass.
static SPECS: LazyLock<Vec<Spec>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, text)| toml::from_str(text).ok()).collect());

/// Every spec, by name of the file.
pub fn all() -> &'static [Spec] {
    &SPECS
}

/// The spec of a microarchitecture, by its own name or by one that has the same limits.
pub fn find(arch: &str) -> Option<&'static Spec> {
    let spec = SPECS.iter().find(|spec| spec.arch == arch);
    spec.or_else(|| SPECS.iter().find(|spec| spec.also.iter().any(|also| also == arch)))
}

/// The limits of one core of `arch` at `clock_hz`; empty where no spec is known.
///
/// The clock is the caller's: the one measured beside the roofs that these stand next to, or the highest that the system
/// states. Rates of all cores are the same numbers times the cores, at the clock that all of them sustain.
pub fn datasheet(arch: &str, clock_hz: f64) -> Vec<Ceiling> {
    let Some(spec) = find(arch) else { return Vec::new() };
    let compute = spec.compute.iter().map(|limit| Ceiling {
        kind: "compute",
        name: "fma",
        precision: Some(limit.precision.clone()),
        level: None,
        isa: Some(limit.isa.clone()),
        cores: 1,
        value: limit.value * clock_hz,
        per_cycle: limit.value,
    });
    let bandwidth = spec.bandwidth.iter().map(|limit| Ceiling {
        kind: "bandwidth",
        name: "read",
        precision: None,
        level: Some(limit.level.clone()),
        isa: limit.isa.clone(),
        cores: 1,
        value: limit.value * clock_hz,
        per_cycle: limit.value,
    });
    compute.chain(bandwidth).collect()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are small whole numbers")]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_the_folder_and_every_file_parses_under_its_name() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/specs")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // The folder `gpu` has a list and a test of its own.
        let files: BTreeSet<String> = names.filter(|name| name != "gpu").collect();
        assert_eq!(files, FILES.iter().map(|(stem, _)| format!("{stem}.toml")).collect());
        for (stem, text) in FILES {
            let spec: Spec = toml::from_str(text).unwrap_or_else(|error| panic!("{stem}: {error}"));
            assert_eq!(&spec.arch, stem);
        }
        assert_eq!(all().len(), FILES.len());
    }

    #[test]
    fn every_peak_derives_from_units_lanes_and_two() {
        let bits = |isa: &str, precision: &str| {
            let element = if precision == "f64" { 64 } else { 32 };
            [("avx512", 512), ("avx2", 256), ("neon", 128), ("scalar", element)]
                .iter()
                .find(|(name, _)| *name == isa)
                .map(|(_, bits)| bits / element)
        };
        for spec in all() {
            for limit in &spec.compute {
                assert_eq!(bits(&limit.isa, &limit.precision), Some(limit.lanes), "{} {limit:?}", spec.arch);
                assert_eq!(limit.value, f64::from(limit.units * limit.lanes * 2), "{} {limit:?}", spec.arch);
                assert_eq!(limit.unit, "flop/cycle/core");
            }
        }
    }

    #[test]
    fn every_number_names_a_source_and_a_confidence_and_occurs_once() {
        for spec in all() {
            let rows = spec.compute.iter().map(|limit| (&limit.source, &limit.confidence));
            let rows = rows.chain(spec.bandwidth.iter().map(|limit| (&limit.source, &limit.confidence)));
            for (source, confidence) in rows {
                assert!(spec.sources.contains_key(source), "{} {source}", spec.arch);
                assert!(["documented", "secondary"].contains(&confidence.as_str()), "{}", spec.arch);
            }
            assert!(spec.bandwidth.iter().all(|limit| limit.unit == "bytes/cycle/core"));
            let key = |row: &Ceiling| (row.kind, row.precision.clone(), row.level.clone(), row.isa.clone());
            let rows = datasheet(&spec.arch, 1e9);
            assert_eq!(rows.iter().map(key).collect::<BTreeSet<_>>().len(), rows.len(), "{}", spec.arch);
        }
    }

    #[test]
    fn peaks_of_f32_that_are_well_known() {
        let peak = |arch: &str, isa: &str| {
            let row = |row: &Ceiling| row.isa.as_deref() == Some(isa) && row.precision.as_deref() == Some("f32");
            datasheet(arch, 2e9).into_iter().find(row).map(|row| (row.per_cycle, row.value))
        };
        assert_eq!(peak("zen3", "avx2"), Some((32.0, 64e9)));
        assert_eq!(peak("zen4", "avx512"), Some((32.0, 64e9)));
        assert_eq!(peak("zen5", "avx512"), Some((64.0, 128e9)));
        assert_eq!(peak("cascadelake", "avx512"), Some((64.0, 128e9)));
        assert_eq!(peak("neoverse-v1", "neon"), Some((32.0, 64e9)));
        assert_eq!(peak("neoverse-n1", "neon"), Some((16.0, 32e9)));
        assert_eq!(peak("zen3", "scalar"), Some((4.0, 8e9)));
        assert_eq!(peak("generic", "scalar"), None);
    }

    #[test]
    fn no_name_leads_to_two_specs() {
        let names: Vec<&String> = all().iter().flat_map(|spec| spec.also.iter().chain([&spec.arch])).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
