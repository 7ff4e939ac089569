//! From the numbers that a processor reports to the name of its microarchitecture.
//!
//! Sources: Linux `arch/x86/include/asm/intel-family.h` and `arch/x86/kernel/cpu/amd.c` for x86, and
//! `arch/arm64/include/asm/cputype.h` for Arm.

/// Name of the microarchitecture of an x86 processor, or `generic` where it is not known.
///
/// `vendor` is `amd` or `intel`; `family`, `model` and `stepping` are those of `/proc/cpuinfo` (decimal there).
pub fn microarchitecture(vendor: &str, family: u32, model: u32, stepping: u32) -> &'static str {
    match vendor {
        "amd" => amd(family, model),
        "intel" if family == 6 => intel(model, stepping),
        _ => "generic",
    }
}

fn amd(family: u32, model: u32) -> &'static str {
    match (family, model) {
        (0x17, 0x00..=0x2f) => "zen",
        (0x17, 0x30..=0xaf) => "zen2",
        (0x19, 0x00..=0x0f | 0x20..=0x5f) => "zen3",
        (0x19, 0x10..=0x1f | 0x60..=0xaf) => "zen4",
        // Strix Point and Krackan Point have a 256-bit data path.
        (0x1a, 0x20..=0x2f | 0x60..=0x6f) => "zen5-mobile",
        (0x1a, 0x00..=0x1f | 0x40..=0x4f | 0x70..=0x7f) => "zen5",
        _ => "generic",
    }
}

fn intel(model: u32, stepping: u32) -> &'static str {
    match model {
        0x2a | 0x2d => "sandybridge",
        0x3a | 0x3e => "ivybridge",
        0x3c | 0x3f | 0x45 | 0x46 => "haswell",
        0x3d | 0x47 | 0x4f | 0x56 => "broadwell",
        0x4e | 0x5e | 0x8e | 0x9e | 0xa5 | 0xa6 => "skylake",
        0x55 => match stepping {
            0..=4 => "skylake-sp",
            5..=9 => "cascadelake",
            _ => "cooperlake",
        },
        0x6a | 0x6c => "icelake-sp",
        0x7d | 0x7e => "icelake",
        0x8c | 0x8d => "tigerlake",
        0xa7 => "rocketlake",
        0x8f => "sapphirerapids",
        0xcf => "emeraldrapids",
        0xad | 0xae => "graniterapids",
        0xaf => "sierraforest",
        0x97 | 0x9a => "alderlake",
        0xb7 | 0xba | 0xbf => "raptorlake",
        0xaa | 0xac => "meteorlake",
        0xbd => "lunarlake",
        0xb5 | 0xc5 | 0xc6 => "arrowlake",
        _ => "generic",
    }
}

/// Vendor, marketing name and microarchitecture of an Arm processor by its implementer and part number.
pub(crate) fn arm(implementer: u32, part: u32) -> (&'static str, &'static str, &'static str) {
    match (implementer, part) {
        (0x41, 0xd0c) => ("arm", "Arm Neoverse-N1", "neoverse-n1"),
        (0x41, 0xd49) => ("arm", "Arm Neoverse-N2", "neoverse-n2"),
        (0x41, 0xd8e) => ("arm", "Arm Neoverse-N3", "neoverse-n3"),
        (0x41, 0xd40) => ("arm", "Arm Neoverse-V1", "neoverse-v1"),
        (0x41, 0xd4f) => ("arm", "Arm Neoverse-V2", "neoverse-v2"),
        (0x41, 0xd83) => ("arm", "Arm Neoverse-V3AE", "neoverse-v3ae"),
        (0x41, 0xd84) => ("arm", "Arm Neoverse-V3", "neoverse-v3"),
        (0x41, 0xd08) => ("arm", "Arm Cortex-A72", "cortex-a72"),
        (0x41, 0xd0b) => ("arm", "Arm Cortex-A76", "cortex-a76"),
        (0x41, _) => ("arm", "Arm processor", "generic"),
        (0x4e, 0x010) => ("nvidia", "NVIDIA Olympus", "olympus"),
        (0x61, _) => ("apple", "Apple silicon", "apple"),
        (0xc0, 0xac3) => ("ampere", "Ampere AmpereOne", "ampere1"),
        (0xc0, 0xac4) => ("ampere", "Ampere AmpereOne A", "ampere1a"),
        _ => ("unknown", "AArch64 processor", "generic"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_map_to_the_names_that_their_makers_use() {
        for (vendor, family, model, stepping, name) in [
            ("amd", 23, 49, 0, "zen2"),
            ("amd", 25, 1, 1, "zen3"),
            ("amd", 25, 17, 1, "zen4"),
            ("amd", 25, 97, 2, "zen4"),
            ("amd", 25, 80, 0, "zen3"),
            ("amd", 26, 2, 1, "zen5"),
            ("amd", 26, 36, 0, "zen5-mobile"),
            ("intel", 6, 85, 4, "skylake-sp"),
            ("intel", 6, 85, 7, "cascadelake"),
            ("intel", 6, 106, 6, "icelake-sp"),
            ("intel", 6, 143, 8, "sapphirerapids"),
            ("intel", 6, 207, 2, "emeraldrapids"),
            ("intel", 6, 173, 1, "graniterapids"),
            ("intel", 6, 1, 0, "generic"),
            ("hygon", 24, 0, 0, "generic"),
        ] {
            assert_eq!(microarchitecture(vendor, family, model, stepping), name, "{vendor} {family} {model}");
        }
        assert_eq!(arm(0x41, 0xd40).2, "neoverse-v1");
    }
}
