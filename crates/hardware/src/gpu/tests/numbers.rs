//! The files as they are, and every number of them made wrong.

use std::collections::BTreeSet;

use super::check::{close, problems};
use super::published::DEVICES;
use crate::gpu::files::FILES;
use crate::gpu::{GpuSpec, all, find};

fn spec(slug: &str) -> &'static GpuSpec {
    find(slug).unwrap_or_else(|| panic!("{slug}"))
}

fn peak(slug: &str, precision: &str) -> f64 {
    spec(slug).peak(precision, false).map_or(f64::NAN, |row| row.value)
}

#[test]
fn the_list_is_the_folder_and_every_file_parses_under_its_name() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/specs/gpu")).unwrap();
    let files: BTreeSet<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, FILES.iter().map(|(stem, _)| format!("{stem}.toml")).collect());
    for (stem, text) in FILES {
        let spec: GpuSpec = toml::from_str(text).unwrap_or_else(|error| panic!("{stem}: {error}"));
        assert_eq!(&spec.slug, stem);
    }
    assert_eq!((all().len(), DEVICES.len()), (FILES.len(), FILES.len()));
}

#[test]
fn every_number_derives_and_is_the_published_one() {
    let found: Vec<_> =
        all().iter().flat_map(|spec| problems(spec).into_iter().map(|text| (&spec.slug, text))).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Calls `changed` with the table twice for each number in it, and with the place of that number, which is made wrong by
/// one percent up and down (whole numbers by one at least).
fn each_number(
    value: &toml::Value,
    place: &str,
    rebuild: &dyn Fn(toml::Value) -> toml::Value,
    changed: &mut dyn FnMut(String, toml::Value),
) {
    match value {
        toml::Value::Integer(number) => {
            let step = (number / 100).max(1);
            for wrong in [number + step, number - step] {
                changed(format!("{place} as {wrong}"), rebuild(toml::Value::Integer(wrong)));
            }
        }
        toml::Value::Float(number) => {
            for wrong in [number * 1.01, number * 0.99] {
                changed(format!("{place} as {wrong}"), rebuild(toml::Value::Float(wrong)));
            }
        }
        toml::Value::Table(table) => {
            for (key, child) in table {
                let rebuild_child = |child| {
                    let mut table = table.clone();
                    table.insert(key.clone(), child);
                    rebuild(toml::Value::Table(table))
                };
                each_number(child, &format!("{place}.{key}"), &rebuild_child, changed);
            }
        }
        toml::Value::Array(array) => {
            for (at, child) in array.iter().enumerate() {
                let rebuild_child = |child| {
                    let mut array = array.clone();
                    array[at] = child;
                    rebuild(toml::Value::Array(array))
                };
                each_number(child, &format!("{place}[{at}]"), &rebuild_child, changed);
            }
        }
        _ => {}
    }
}

#[test]
fn any_number_of_any_file_made_wrong_by_one_percent_is_noticed() {
    let mut count = 0;
    for (stem, text) in FILES {
        let value: toml::Value = toml::from_str(text).unwrap();
        each_number(&value, stem, &|value| value, &mut |place, wrong| {
            count += 1;
            let spec: GpuSpec = wrong.try_into().unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(!problems(&spec).is_empty(), "{place} can be wrong unnoticed");
        });
    }
    assert!(count > 4_800, "{count} numbers");
}

#[test]
fn a_clock_wrong_together_with_every_value_that_assumes_it_is_noticed() {
    for spec in all() {
        for (at, clock) in spec.clock.iter().enumerate() {
            for factor in [1.01, 0.99] {
                let mut wrong = spec.clone();
                wrong.clock[at].hz *= factor;
                let name = clock.name.as_str();
                wrong.compute.iter_mut().filter(|row| row.clock == name).for_each(|row| row.value *= factor);
                let chip = wrong.bandwidth.iter_mut().filter(|row| row.clock.as_deref() == Some(name));
                chip.for_each(|row| row.value *= factor);
                if wrong.instructions.clock == name {
                    wrong.instructions.value *= factor;
                }
                assert!(!problems(&wrong).is_empty(), "{} {name} {factor}", spec.slug);
                // One value of them alone.
                for row in 0..spec.compute.len() {
                    let mut wrong = spec.clone();
                    wrong.clock[at].hz *= factor;
                    wrong.compute[row].value *= factor;
                    assert!(!problems(&wrong).is_empty(), "{} {name} {factor} {row}", spec.slug);
                }
            }
        }
    }
}

#[test]
fn a_peak_wrong_together_with_all_its_parts_is_noticed() {
    for spec in all() {
        for at in 0..spec.compute.len() {
            let mut wrong = spec.clone();
            wrong.compute[at].flop_per_cycle_per_unit *= 2;
            wrong.compute[at].value *= 2.0;
            assert!(!problems(&wrong).is_empty(), "{} {:?}", spec.slug, spec.compute[at]);
        }
        let mut wrong = spec.clone();
        for memory in wrong.bandwidth.iter_mut().filter(|row| row.level == "DRAM") {
            memory.bits_per_s_per_pin = memory.bits_per_s_per_pin.map(|rate| rate * 1.02);
            memory.value *= 1.02;
        }
        assert!(!problems(&wrong).is_empty(), "{}", spec.slug);
    }
}

#[test]
fn precisions_of_one_device_stand_in_the_ratios_of_their_widths() {
    for spec in all() {
        let rate = |precision: &str| spec.peak(precision, false).map(|row| row.flop_per_cycle_per_unit);
        for row in spec.compute.iter().filter(|row| row.sparse) {
            let dense = rate(&row.precision).unwrap();
            // Blackwell Ultra raised FP4 for dense products only.
            let double = if spec.arch == "sm_103" && row.precision == "matrix_f4" { dense / 3 * 4 } else { dense * 2 };
            assert_eq!(row.flop_per_cycle_per_unit, double, "{} {}", spec.slug, row.precision);
        }
        // The bfloat16 of the first CDNA runs at half rate.
        if let Some(bf16) = rate("matrix_bf16").filter(|_| spec.slug != "mi100") {
            assert_eq!(Some(bf16), rate("matrix_f16"), "{}", spec.slug);
        }
        if let Some(f8) = rate("matrix_f8") {
            assert_eq!(Some(f8), rate("matrix_f16").map(|f16| 2 * f16), "{}", spec.slug);
            // The integer units of Blackwell Ultra were cut.
            let widest = rate("matrix_f8_acc16").unwrap_or(f8);
            assert!(rate("matrix_i8") == Some(widest) || spec.arch == "sm_103", "{}", spec.slug);
        }
        let geforce = spec.slug.starts_with("rtx-") && spec.slug != "rtx-a6000";
        if let Some(half) = rate("matrix_f16_acc16") {
            assert_eq!(rate("matrix_f16").map(|f32| half / f32), Some(if geforce { 2 } else { 1 }), "{}", spec.slug);
        }
    }
}

#[test]
fn v9_and_v10_are_the_numbers_of_the_papers() {
    // arXiv 2008.11326: 80 SM x 32 FMA x 2 x 1.312 GHz = 6.717 TFLOP/s, with 58 % FMA 6.717 x 1.58/2 = 5.306.
    let v100 = spec("v100").at_clock(1.312e9).unwrap();
    let f64_peak = v100.compute.iter().find(|(row, _)| row.precision == "f64").unwrap().1;
    assert!(close(f64_peak, 6.717e12, 0.01) && close(f64_peak * 1.58 / 2.0, 5.306e12, 0.02), "{f64_peak}");
    // Ding and Williams: 80 x 4 x 1.53 = 489.6 and 108 x 4 x 1.41 = 609.12 GIPS; 2039/32 = 63.72 GTXN/s of 32 bytes.
    assert!(close(spec("v100").instructions.value, 489.6e9, 1e-9));
    assert!(close(spec("a100-80gb").instructions.value, 609.12e9, 1e-9));
    assert!(close(spec("a100-80gb").bandwidth("DRAM").unwrap().value / 32.0, 63.72e9, 0.01));
}

#[test]
fn v20_and_v23_derive_to_the_published_peaks() {
    assert!(close(peak("h100-sxm", "matrix_bf16"), 989.4e12, 0.1));
    assert!(close(peak("mi300x", "matrix_bf16"), 1307.4e12, 0.1));
    assert!(close(peak("rtx-5090", "matrix_f16"), 209.5e12, 0.1));
    assert!(close(peak("mi355x", "matrix_f8"), 5033e12, 0.1));
    // A profiler scales the 1513 TFLOP/s of the PCIe model by SMs and clock: 132/114 x 1980/1755 x 1513 = 1976.5.
    let scaled = peak("h100-pcie", "matrix_f8") * 132.0 / 114.0 * 1980.0 / 1755.0;
    assert!(close(scaled, 1976.5e12, 0.1) && close(scaled, peak("h100-sxm", "matrix_f8"), 0.2), "{scaled}");
}

#[test]
fn ridges_of_an_h100_are_those_of_the_datasheet() {
    // 989.4 TFLOP/s over 3.35 TB/s = 295 FLOP a byte.
    let ridge = peak("h100-sxm", "matrix_bf16") / spec("h100-sxm").bandwidth("DRAM").unwrap().value;
    assert!(close(ridge, 295.22, 0.1), "{ridge}");
}

#[test]
fn an_rtx_5070_at_the_clock_of_a_recorded_run_has_the_ceilings_of_that_run() {
    // 48 SM x 128 x 2 x 2.625 GHz = 32.256 TFLOP/s; 192 bits x 2 x 14.001 GHz = 672.048 GB/s. At 2.512 GHz: 30.87.
    let card = spec("rtx-5070");
    let at = card.at_clock(card.clock("sample").unwrap().hz).unwrap();
    let f32_peak = at.compute.iter().find(|(row, _)| row.precision == "f32").unwrap().1;
    assert!(close(f32_peak, 32.256e12, 1e-9), "{f32_peak}");
    assert!(close(card.peak("f32", false).unwrap().value, 30.87e12, 0.01));
    assert!(close(card.bandwidth("DRAM").unwrap().value, 672.048e9, 0.01));
}

#[test]
fn drivers_report_the_same_clocks_caches_and_bandwidths() {
    // TARGET_INFO_GPU of four exports of nsys: clockRate, l2CacheSize, memoryBandwidth.
    for (slug, hz, l2, dram) in [
        ("a100-80gb", 1.41e9, 41_943_040, 2_039.04e9),
        ("a100-40gb", 1.41e9, 41_943_040, 1_555.2e9),
        ("gh200", 1.98e9, 62_914_560, 4_022.784e9),
        ("rtx-3080", 1.71e9, 5_242_880, 760.08e9),
    ] {
        let card = spec(slug);
        let same = close(card.clock("boost").unwrap().hz, hz, 1e-9) && card.bytes("L2") == Some(l2);
        assert!(same && close(card.bandwidth("DRAM").unwrap().value, dram, 1e-9), "{slug}");
    }
    // A raw page of ncu on a GB200, per cycle: 1,245,184 and 4,980,736 tensor operations (bf16 and FP4, dense), 9,728 double
    // and 19,456 single FMA, 19,456 bytes from L1.
    let card = spec("gb200").at_clock(1.0).unwrap();
    let rate = |name: &str| card.compute.iter().find(|(row, _)| row.precision == name && !row.sparse).unwrap().1;
    let rates = ["matrix_bf16", "matrix_f4", "f64", "f32"].map(rate);
    assert_eq!(rates.map(|rate| rate as u64), [1_245_184, 4_980_736, 2 * 9_728, 2 * 19_456]);
    assert_eq!(card.bandwidth.iter().find(|(row, _)| row.level == "L1").unwrap().1 as u64, 19_456);
}

#[test]
fn another_clock_scales_everything_but_dram() {
    let card = spec("h100-sxm");
    let at = card.at_clock(1e9).unwrap();
    let bf16 = at.compute.iter().find(|(row, _)| row.precision == "matrix_bf16").unwrap().1;
    // 132 x 4096 a cycle, 132 x 128 bytes a cycle, 132 x 4 instructions a cycle.
    assert!(close(bf16, 540.672e12, 1e-9) && close(at.instructions, 528e9, 1e-9));
    let bandwidth = |level: &str| at.bandwidth.iter().find(|(row, _)| row.level == level).unwrap().1;
    assert!(close(bandwidth("L1"), 16.896e12, 1e-9) && close(bandwidth("DRAM"), 3352.32e9, 1e-9));
    for hz in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX] {
        assert_eq!(card.at_clock(hz), None);
    }
}

#[test]
fn measurements_of_an_mi210_stay_below_its_roofs() {
    // roofline.csv of a rocprofiler-compute run on 104 compute units, GFLOP/s and GB/s.
    let card = spec("mi210");
    for (precision, measured) in [
        ("f64", 20_272.5),
        ("f32", 20_942.0),
        ("matrix_bf16", 170_483.2),
        ("matrix_f16", 164_938.2),
        ("matrix_f32", 41_438.7),
    ] {
        let share = measured * 1e9 / card.peak(precision, false).unwrap().value;
        assert!((0.85..1.0).contains(&share), "{precision} {share}");
    }
    for (level, measured) in [("DRAM", 1388.9), ("L2", 5018.3), ("L1", 9226.7), ("LDS", 17_717.8)] {
        let share = measured * 1e9 / card.bandwidth(level).unwrap().value;
        assert!((0.7..1.0).contains(&share), "{level} {share}");
    }
}

#[test]
fn numbers_whose_sources_disagree_say_so() {
    let about = |slug: &str, what: &str| spec(slug).disputes().into_iter().any(|(name, _)| name == what);
    for (slug, what) in [
        ("l40s", "matrix_bf16"),
        ("l40s", "size L2"),
        ("b200", "DRAM"),
        ("b300", "matrix_bf16"),
        ("b300", "matrix_f8"),
        ("b300", "matrix_f4"),
        ("gb10", "matrix_bf16"),
        ("gb10", "matrix_f4 sparse"),
        ("h200", "DRAM"),
        ("mi355x", "DRAM"),
        ("mi210", "f32"),
    ] {
        assert!(about(slug, what), "{slug} {what}");
    }
    // 3352.32 and 3350 GB/s: 0.07 %; 760.08 and 760: 0.01 %; 936 and 936.1: 0.01 %; 672 and 672.05: 0.01 %; 898.05 and
    // 900: 0.22 %; 5324.8 and 5300: 0.47 %. The other number of the L4 is that of an H100.
    for slug in ["h100-sxm", "rtx-3080", "rtx-3090", "rtx-5070", "v100-sxm2", "v100-pcie", "mi300x", "l4"] {
        let dram = spec(slug).bandwidth("DRAM").unwrap();
        assert!(!about(slug, "DRAM") && dram.remark.is_some(), "{slug}");
    }
    assert!(!about("h100-sxm", "matrix_bf16"));
    for slug in ["b300", "gb300", "gb10"] {
        let matrix = spec(slug).compute.iter().filter(|row| row.precision.starts_with("matrix_"));
        assert!(matrix.clone().count() > 9 && matrix.clone().all(|row| row.confidence == "uncertain"), "{slug}");
    }
}
