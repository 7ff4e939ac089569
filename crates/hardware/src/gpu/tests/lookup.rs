//! From names and probes to specs.

use std::collections::BTreeMap;

use crate::gpu::{Match, Probed, all, find, matching, suggest};

fn probe<'a>(name: &'a str, arch: &'a str, units: i64, memory_bytes: i64) -> Probed<'a> {
    Probed { name, arch: Some(arch), sm_count: Some(units), memory_bytes: Some(memory_bytes), clock_hz: None }
}

fn found(probed: &Probed<'_>) -> Option<(&'static str, &'static str, bool)> {
    matching(probed).map(|Match { spec, by, note }| (spec.slug.as_str(), by, note.is_some()))
}

#[test]
fn devices_as_profilers_recorded_them_find_their_specs() {
    for (name, arch, units, memory, slug, by) in [
        ("NVIDIA A100-SXM4-80GB", "sm_80", 108, 84_990_623_744, "a100-80gb", "probed name"),
        ("NVIDIA A100-SXM4-40GB", "sm_80", 108, 42_297_524_224, "a100-40gb", "probed name"),
        ("NVIDIA A100-PG509-200", "sm_80", 108, 42_505_273_344, "a100-40gb", "probed name"),
        ("NVIDIA GH200 120GB", "sm_90", 132, 101_468_602_368, "gh200-96gb", "probed name"),
        ("NVIDIA H100 80GB HBM3", "sm_90", 132, 85_018_279_936, "h100-sxm", "probed name"),
        ("NVIDIA GeForce RTX 3080", "sm_86", 68, 10_736_893_952, "rtx-3080", "probed name"),
        ("GeForce RTX 5070", "sm_120", 48, 12_820_938_752, "rtx-5070", "probed name"),
        ("NVIDIA GB200", "sm_100", 152, 197_897_748_480, "gb200", "probed name"),
        ("Tesla V100-SXM2-32GB", "sm_70", 80, 34_089_730_048, "v100-sxm2", "probed name"),
        ("NVIDIA L40S", "sm_89", 142, 48_305_799_168, "l40s", "probed name"),
        ("AMD Instinct MI300X", "gfx942:sramecc+:xnack-", 304, 206_141_652_992, "mi300x", "probed name"),
        ("gfx942", "gfx942", 304, 206_141_652_992, "mi300x", "architecture and SM count"),
        ("AMD Radeon Graphics", "gfx90a", 104, 68_702_699_520, "mi210", "architecture and SM count"),
        ("AMD Instinct MI350X", "gfx950", 256, 309_220_868_096, "mi350x", "probed name"),
    ] {
        // Only where no spec has the name is there something to say.
        let unknown = name == "AMD Radeon Graphics";
        assert_eq!(found(&probe(name, arch, units, memory)), Some((slug, by, unknown)), "{name}");
    }
}

#[test]
fn a_device_without_a_name_is_found_by_its_shape_where_that_is_unique() {
    let shape = |arch, units, memory| found(&probe("", arch, units, memory)).map(|found| found.0);
    assert_eq!(shape("sm_90", 114, 85_000_000_000), Some("h100-pcie"));
    assert_eq!(shape("sm_90", 132, 101_468_602_368), Some("gh200-96gb"));
    assert_eq!(shape("sm_90", 132, 150_754_820_096), None, "H200 or GH200 with 144 GB");
    assert_eq!(shape("sm_80", 108, 84_990_623_744), None, "SXM or PCIe");
    assert_eq!(shape("gfx950", 256, 309_220_868_096), None, "MI350X or MI355X");
    let probed = Probed { clock_hz: Some(2.4e9), ..probe("", "gfx950", 256, 309_220_868_096) };
    assert_eq!(found(&probed).map(|found| found.0), Some("mi355x"));
    assert_eq!(
        found(&probe("NVIDIA A800-SXM4-80GB", "sm_80", 108, 84_990_623_744)).map(|found| found.0),
        Some("a100-80gb")
    );
}

#[test]
fn a_slice_or_another_variant_of_the_name_is_said() {
    let slice = matching(&probe("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "sm_80", 14, 5_100_000_000)).unwrap();
    assert_eq!(slice.spec.slug, "a100-40gb");
    assert!(slice.note.is_some_and(|note| note.contains("14 SMs, the spec 108") && note.contains("bytes of memory")));
    // The 12 GB card: 70 SMs.
    let card = matching(&probe("NVIDIA GeForce RTX 3080", "sm_86", 70, 12_622_168_064)).unwrap();
    assert!(card.note.is_some_and(|note| note.contains("70 SMs, the spec 68")));
    assert_eq!(found(&probe("H100", "sm_90", 132, 85_018_279_936)), Some(("h100-sxm", "name", false)));
    assert_eq!(found(&probe("NVIDIA GeForce RTX 5070 Ti", "sm_120", 70, 17_000_000_000)), None);
    let cousin = matching(&probe("NVIDIA A40", "sm_86", 84, 48_305_799_168)).unwrap();
    assert!(cousin.note.is_some_and(|note| note.contains("\"NVIDIA A40\"") && note.contains("rtx-a6000")));
}

#[test]
fn slugs_and_aliases_are_found_in_any_spelling() {
    for (text, slug) in [
        ("h100-sxm", "h100-sxm"),
        ("H100_SXM", "h100-sxm"),
        ("v100", "v100-sxm2"),
        ("RTX 5070", "rtx-5070"),
        ("gh200", "gh200-96gb"),
    ] {
        assert_eq!(find(text).map(|spec| spec.slug.as_str()), Some(slug), "{text}");
    }
    assert!(find("").is_none() && find("NVIDIA").is_none() && find("a100").is_none(), "40 or 80 GB");
}

#[test]
fn no_name_leads_to_two_specs() {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let plain = |name: &str| name.to_lowercase().replace("nvidia ", "").replace("amd ", "").replace([' ', '_'], "-");
    for spec in all() {
        for name in spec.probed.iter().chain(&spec.aliases).chain([&spec.slug]) {
            let owner = *owners.entry(plain(name)).or_insert(&spec.slug);
            assert_eq!(owner, spec.slug, "{name}");
        }
        assert!(!spec.probed.is_empty());
        for name in &spec.probed {
            let probed = Probed { name, ..Probed::default() };
            assert_eq!(found(&probed), Some((spec.slug.as_str(), "probed name", false)), "{name}");
        }
    }
}

#[test]
fn wrong_names_are_answered_with_close_ones() {
    assert_eq!(suggest("h100-smx").first(), Some(&"h100-sxm"));
    assert_eq!(suggest("a100"), ["a100-40gb", "a100-40gb-pcie", "a100-80gb", "a100-80gb-pcie"]);
    assert!(suggest("rtx5080").contains(&"rtx-5090"));
    assert!(suggest("").is_empty() && suggest("toaster").is_empty());
}

#[test]
fn hostile_probes_find_nothing_and_stop_nothing() {
    let long = "é".repeat(1 << 20);
    for (units, memory, clock) in [(i64::MIN, i64::MAX, f64::NAN), (-1, 0, f64::INFINITY), (108, -5, -0.0)] {
        let probed = Probed {
            name: &long,
            arch: Some("sm_80"),
            sm_count: Some(units),
            memory_bytes: Some(memory),
            clock_hz: Some(clock),
        };
        assert_eq!(matching(&probed), None);
        let named = Probed { name: "NVIDIA H200", ..probed };
        assert!(matching(&named).is_some_and(|found| found.note.is_some()));
    }
    assert!(suggest(&long).is_empty() && find(&long).is_none());
    assert_eq!(matching(&Probed::default()), None);
}
