//! The metrics of a roofline held against what CUPTI's host profiler lists of every chip. No GPU is needed, only CUPTI from
//! CUDA 12.6 on and the driver's library; without them the test says so and ends, and CI looks for that word.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proftool_capture::profilers::cupti_counters::metrics::{self, WANTED};
use proftool_capture::profilers::ncu::catalog::Catalog;
use proftool_capture::profilers::ncu::quantities::{QUANTITIES, Way};
use proftool_capture::profilers::ncu::resolve::{MetricSet, Wanted, matches};
use proftool_inject::host::Host;

/// Everything that a capture by Nsight Compute asks for.
const ALL: Wanted = Wanted { details: true, tensor_parts: false, in_ranges: false };

/// Chips whose memory is LPDDR, which they share with the processor: Orin, Thor, GB10 and its like.
const SHARED_MEMORY: &[&str] = &["GA10B", "GB10B", "GB10C", "GB20B", "GB20C"];

/// What chips do not count: the quantity, what their names begin with, and why.
const LACKS: &[(&str, &[&str], &str)] = &[
    ("dram_bytes", SHARED_MEMORY, "bytes of shared LPDDR are not counted on the GPU"),
    ("dram_clock", SHARED_MEMORY, "as its bytes"),
    ("dram_directions", SHARED_MEMORY, "as its bytes"),
    ("peak_dram", SHARED_MEMORY, "as its bytes"),
    (
        "f32_pairs",
        &["GV", "TU", "GA", "GH", "AD", "GB10B", "GB10C", "GB20"],
        "instructions on pairs of FP32 came with compute capability 10.0, and 11 and 12 do not count them apart",
    ),
    ("peak_tensor", &["TU116", "TU117"], "Turing without tensor cores"),
];

fn lacks(quantity: &str, chip: &str) -> bool {
    LACKS.iter().any(|(name, chips, _)| *name == quantity && chips.iter().any(|start| chip.starts_with(start)))
}

fn say(text: &str) {
    // Not by a macro of the standard library: the test runner keeps those from a test that passes.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// CUPTI's host profiler opens chips on one thread at a time: on several it refuses now and then.
static ALONE: Mutex<()> = Mutex::new(());

/// CUPTI and the chips that its range profiler takes: those from Volta or Turing on.
fn installed() -> Option<(MutexGuard<'static, ()>, Host, Vec<String>)> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = match Host::load(proftool_inject::find().as_deref()) {
        Ok(host) => host,
        Err(refusal) => {
            say(&format!("skipped: no CUPTI ({refusal})"));
            return None;
        }
    };
    match host.chips() {
        Ok(mut chips) => {
            chips.retain(|chip| host.chip(chip, Vec::new()).is_ok());
            if chips.is_empty() {
                say("skipped: no CUPTI (its host profiler opens no chip)");
            }
            (!chips.is_empty()).then_some((alone, host, chips))
        }
        Err(refusal) => {
            say(&format!("skipped: no CUPTI ({refusal}; it needs libcuda.so.1, Debian's libcuda1)"));
            None
        }
    }
}

fn has(set: &MetricSet, quantity: &str) -> bool {
    set.chosen.iter().any(|(name, metrics)| *name == quantity && !metrics.is_empty())
}

#[test]
fn every_quantity_has_metrics_on_every_chip_that_cupti_knows() {
    let Some((_alone, host, chips)) = installed() else { return };
    say(&format!("CUPTI {}: {} chips", host.version(), chips.len()));
    say("chip    metrics passes  of a roofline alone: metrics passes");
    for chip in &chips {
        let set = metrics::metrics(&host, chip, ALL).expect(chip);
        for quantity in QUANTITIES {
            let (found, lacking) = (has(&set, quantity.name), lacks(quantity.name, chip));
            assert!(found || lacking, "{chip} has no metric for {}", quantity.name);
            assert!(!found || !lacking, "{chip} now counts {}: shorten the list", quantity.name);
        }
        let alone = metrics::metrics(&host, chip, WANTED).expect(chip);
        let [(all, passes), (core, core_passes)] = [&set, &alone].map(|set| {
            let names = set.metrics();
            (names.len(), metrics::passes(&host, chip, &names).expect(chip))
        });
        say(&format!("{chip:7} {all:7} {passes:6} {core:29} {core_passes:6}"));
        assert!(core <= all && (1..=passes).contains(&core_passes) && passes < 40, "{chip}");
    }
    if host.version() >= 130_000 {
        assert!(chips.len() >= 32, "{chips:?}");
    }
}

#[test]
fn no_pattern_matches_nothing_on_every_chip() {
    let Some((_alone, host, chips)) = installed() else { return };
    if host.version() < 130_000 {
        say("patterns are held against CUPTI of CUDA 13, which knows the newest chips");
        return;
    }
    let open = |name: &String| metrics::catalog(&host.chip(name, Vec::new()).expect(name), name).expect(name);
    let catalogs: Vec<Catalog> = chips.iter().map(open).collect();
    for quantity in QUANTITIES {
        for pattern in quantity.ways.iter().flat_map(patterns) {
            let found = catalogs.iter().any(|catalog| !matches(&pattern, catalog).is_empty());
            assert!(found, "{}: {pattern} matches no metric of any chip", quantity.name);
        }
    }
}

/// The patterns of a way; those of the tensor cores are held against lists beside their code.
fn patterns(way: &Way) -> Vec<String> {
    match way {
        Way::All(patterns) | Way::Any(patterns) => patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
        Way::Arithmetic(letter, width) => {
            let name = |operation| format!("smsp__sass_thread_inst_executed_op_{letter}{operation}{width}_pred_on.sum");
            ["add", "mul", "fma"].map(name).to_vec()
        }
        Way::TensorOperations | Way::TensorPeaks => Vec::new(),
    }
}

#[test]
fn a_chip_that_cupti_does_not_know_is_told() {
    let Some((_alone, host, _)) = installed() else { return };
    let missing = metrics::metrics(&host, "XX999", WANTED).expect_err("there is none").to_string();
    assert!(missing.contains("XX999") && missing.contains("cuptiProfilerHostInitialize"), "{missing}");
}
