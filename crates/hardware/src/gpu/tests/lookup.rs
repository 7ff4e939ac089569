//! From names and probes to specs.

use std::collections::BTreeMap;

use crate::gpu::{Match, Part, Probed, all, closest, find, is_placeholder, matching, suggest};

fn probe<'a>(name: &'a str, arch: &'a str, units: i64, memory_bytes: i64) -> Probed<'a> {
    Probed { name, arch: Some(arch), sm_count: Some(units), memory_bytes: Some(memory_bytes), clock_hz: None }
}

fn found(probed: &Probed<'_>) -> Option<(&'static str, &'static str, bool)> {
    matching(probed).map(|Match { spec, by, note, .. }| (spec.slug.as_str(), by, note.is_some()))
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
        assert_eq!(found(&probe(name, arch, units, memory)), Some((slug, by, false)), "{name}");
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
    let placeholder = probe("unnamed sm_80", "sm_80", 108, 84_990_623_744);
    assert_eq!(found(&placeholder), None, "no name, so it may be the PCIe card");
}

#[test]
fn a_product_without_a_spec_takes_the_roofs_of_no_other_product() {
    // Architectures and units are those of the RTX A6000, L40S, L40S and H100 SXM; clocks, precisions or links are not.
    for (name, arch, units, memory, like) in [
        ("NVIDIA A40", "sm_86", 84, 48_305_799_168, Some("rtx-a6000")),
        ("NVIDIA L40", "sm_89", 142, 48_305_799_168, Some("l40s")),
        ("NVIDIA RTX 6000 Ada Generation", "sm_89", 142, 51_000_000_000, Some("l40s")),
        ("NVIDIA H800", "sm_90", 132, 85_018_279_936, Some("h100-sxm")),
        ("NVIDIA A800-SXM4-80GB", "sm_80", 108, 84_990_623_744, Some("a100-80gb")),
        ("NVIDIA GeForce RTX 5060 Ti", "sm_120", 36, 16_600_000_000, Some("rtx-5070")),
        ("Toaster", "sm_75", 1, 1, None),
    ] {
        let probed = probe(name, arch, units, memory);
        assert_eq!(found(&probed), None, "{name}");
        assert_eq!(closest(&probed).map(|spec| spec.slug.as_str()), like, "{name}");
    }
}

#[test]
fn a_name_that_tells_no_product_is_none() {
    for name in [
        "",
        "NVIDIA",
        "unknown CUDA device",
        "Unknown CUDA device",
        "unnamed sm_80",
        "sm_90a",
        "gfx942",
        "Device 0",
        "CUDA device",
        "cuda:7",
        "AMD GPU",
        "AMD Radeon Graphics",
        "NVIDIA Graphics Device",
        "MI200",
    ] {
        assert!(is_placeholder(name), "{name}");
    }
    for name in ["NVIDIA A40", "h100-sxm", "MI300X_A1", "AMD Radeon RX 7900 XTX", "T4", "GPU of Ada", "Quadro 4000"] {
        assert!(!is_placeholder(name), "{name}");
    }
    assert!(all().iter().all(|spec| spec.probed.iter().chain(&spec.aliases).all(|name| !is_placeholder(name))));
}

#[test]
fn an_architecture_of_one_product_is_enough_for_a_device_without_a_name() {
    let arch = |name, arch| Probed { name, arch: Some(arch), ..Probed::default() };
    assert_eq!(found(&arch("unnamed sm_121", "sm_121")), Some(("gb10", "architecture", true)));
    assert_eq!(found(&Probed { sm_count: Some(48), ..arch("", "sm_121a") }).map(|found| found.0), Some("gb10"));
    assert_eq!(found(&Probed { sm_count: Some(20), ..arch("", "sm_121") }), None);
    // No spec, several specs, and one of many products.
    for several in ["sm_87", "sm_90", "sm_75"] {
        assert_eq!(found(&arch("", several)), None, "{several}");
    }
    assert_eq!(found(&arch("NVIDIA N1X", "sm_121")), None);
}

#[test]
fn a_slice_or_another_variant_of_the_name_is_said() {
    let slice = matching(&probe("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "sm_80", 14, 5_100_000_000)).unwrap();
    assert_eq!(slice.spec.slug, "a100-40gb");
    let note = slice.note.unwrap_or_default();
    assert!(note.contains("14 SMs, the spec 108: a MIG slice") && note.contains("bytes of memory"), "{note}");
    assert_eq!((slice.part, slice.part.words(slice.spec)), (Part::Slice(Some(14)), Some("14 of 108 SM".to_owned())));
    // 14 / 108.
    assert!(slice.part.share(slice.spec).is_some_and(|share| (share - 0.129_63).abs() < 1e-5));
    let unknown = matching(&Probed { name: "NVIDIA H100 80GB HBM3 MIG 1g.10gb", ..Probed::default() }).unwrap();
    assert_eq!((unknown.part, unknown.part.share(unknown.spec)), (Part::Slice(None), None));
    assert!(unknown.note.is_some());
    let cut = matching(&probe("NVIDIA H100 80GB HBM3", "sm_90", 16, 85_018_279_936)).unwrap();
    assert_eq!((cut.part, cut.part.words(cut.spec)), (Part::Units(16), Some("16 of 132 SM".to_owned())));
    // The 12 GB card: 70 SMs.
    let card = matching(&probe("NVIDIA GeForce RTX 3080", "sm_86", 70, 12_622_168_064)).unwrap();
    assert_eq!((card.part, card.part.words(card.spec)), (Part::Whole, None));
    assert!(card.note.is_some_and(|note| note.contains("70 SMs, the spec 68: another variant")));
    assert_eq!(found(&probe("H100", "sm_90", 132, 85_018_279_936)), Some(("h100-sxm", "name", false)));
    assert_eq!(found(&probe("NVIDIA GeForce RTX 5070 Ti", "sm_120", 70, 17_000_000_000)), None);
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
        let slice = Probed { name: "NVIDIA H200 MIG 1g.18gb", ..probed };
        assert!(matching(&slice).is_some_and(|found| found.part.share(found.spec).is_none_or(f64::is_finite)));
    }
    assert!(suggest(&long).is_empty() && find(&long).is_none());
    assert_eq!(matching(&Probed::default()), None);
}
