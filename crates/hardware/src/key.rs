//! The hardware key: a slug that tells which results can be compared.

use crate::probe::Cpu;

/// Lower case, digits and single dashes; everything else becomes a dash.
pub fn slug(text: &str) -> String {
    let dashed: String = text
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// `cpu-<vendor>-<family>-<microarchitecture>-<cores>c`, for example `cpu-amd-epyc-zen4-2c`; the family word of the model
/// name is left out where there is none or the microarchitecture begins with it.
pub fn hardware_key(cpu: &Cpu, cores_used: usize) -> String {
    let family = family(&cpu.model_name).filter(|family| !cpu.arch.starts_with(family));
    let parts = ["cpu", &cpu.vendor, family.unwrap_or_default(), &cpu.arch, &format!("{cores_used}c")];
    slug(&parts.join("-"))
}

/// Product families, most specific first.
const FAMILIES: &[&str] = &[
    "epyc",
    "threadripper",
    "ryzen",
    "xeon",
    "atom",
    "celeron",
    "pentium",
    "core",
    "neoverse",
    "cortex",
    "graviton",
    "altra",
    "grace",
];

fn family(model_name: &str) -> Option<&'static str> {
    let name = slug(model_name);
    let has = |family: &&&str| name.split('-').any(|word| word == **family);
    // "EPYC 9354 32-Core Processor" is no Core, so the first of the list wins, not the first in the name.
    FAMILIES.iter().find(has).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(vendor: &str, model_name: &str, arch: &str) -> String {
        let cpu = Cpu {
            vendor: vendor.to_owned(),
            model_name: model_name.to_owned(),
            arch: arch.to_owned(),
            ..crate::probe_at(std::path::Path::new("/nonexistent")).cpu
        };
        hardware_key(&cpu, 2)
    }

    #[test]
    fn keys_are_slugs_of_vendor_family_microarchitecture_and_cores() {
        assert_eq!(key("amd", "AMD EPYC 9354 32-Core Processor", "zen4"), "cpu-amd-epyc-zen4-2c");
        assert_eq!(
            key("intel", "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "sapphirerapids"),
            "cpu-intel-xeon-sapphirerapids-2c"
        );
        assert_eq!(key("intel", "12th Gen Intel(R) Core(TM) i7-12700", "alderlake"), "cpu-intel-core-alderlake-2c");
        assert_eq!(key("arm", "Arm Neoverse-V1", "neoverse-v1"), "cpu-arm-neoverse-v1-2c");
        assert_eq!(key("unknown", "", "generic"), "cpu-unknown-generic-2c");
    }
}
