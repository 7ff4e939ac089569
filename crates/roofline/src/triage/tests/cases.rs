//! The rows of each cause.

use super::super::*;
use super::rows::*;
use crate::{Limiter, RoofSource, Source};

pub(super) type Case = (&'static str, Facts, Confidence, Facts);

pub(super) const LIKELY: Confidence = Confidence::Likely;
pub(super) const POSSIBLE: Confidence = Confidence::Possible;

/// Slug, a row that fires it, how well it fits, and a row with the symptom that nearly fires it.
fn above_roof() -> Vec<Case> {
    let bytes =
        |cache: f64| Facts { compulsory_bytes: Some(1000.0), cache_bytes: Some(cache), ..dram(Source::Analytic) };
    let counted = |cache: f64| Facts {
        counter_bytes: Some(1000.0),
        cache_bytes: Some(cache),
        replay_ns: Some(150.0),
        caches_flushed: Some(true),
        ..dram(Source::Counter)
    };
    let replay = |replay: f64| Facts { replay_ns: Some(replay), clock_hz: Some(0.9e9), ..compute() };
    let shapes = |counter: f64| Facts {
        counter_flop: Some(counter),
        analytic_flop: Some(12_000.0),
        ..matrix(|flop| flop.source = Source::Analytic)
    };
    let matched = |spread: f64| Facts { matched: Some(Matched::Name), spread_ratio: Some(spread), ..compute() };
    let near = |bound: f64| Facts { roof: Some(roof(Limiter::Compute, RoofSource::Measured, bound)), ..compute() };
    vec![
        ("tolerance", near(102.0), LIKELY, near(102.1)),
        // 1000 bytes a launch: a cache of 1000 can hold them.
        ("cache_reuse", bytes(1000.0), POSSIBLE, bytes(999.0)),
        // 120 x (1 - 170/1000) = 99.6 ns; with 160 it is 100.8.
        ("flushed_caches", counted(170.0), LIKELY, counted(160.0)),
        ("overcounted_bytes", named("fused_moe_kernel", bytes(1.0)), POSSIBLE, named("rms_norm", bytes(1.0))),
        (
            "sparse_peak",
            named("xmma_sparse_gemm", matrix(|flop| flop.sparse_peak = Some(2e11))),
            LIKELY,
            named("block_sparse_attention", matrix(|flop| flop.sparse_peak = Some(2e11))),
        ),
        (
            "wrong_accumulate",
            named("ampere_h16816gemm_128x128", matrix(|flop| flop.acc16_peak = Some(2e11))),
            LIKELY,
            named("ampere_fp16_s16816gemm", matrix(|flop| flop.acc16_peak = Some(2e11))),
        ),
        (
            "tf32",
            vector(|flop| (flop.tf32_peak, flop.source) = (Some(8e11), Source::Analytic)),
            LIKELY,
            vector(|flop| flop.tf32_peak = Some(8e11)),
        ),
        // 12 000 / 120 a ns = 100 ns; at 119 a ns 100.8.
        (
            "dual_issue",
            vector(|flop| flop.packed_peak = Some(1.2e11)),
            LIKELY,
            vector(|flop| flop.packed_peak = Some(1.19e11)),
        ),
        (
            "boost_clock",
            Facts { clock_hz: Some(1.2e9), ..compute() },
            LIKELY,
            Facts { clock_hz: Some(1.2e9), ..dram(Source::Counter) },
        ),
        (
            "roof_too_low",
            Facts { other_roofs: vec![roof(Limiter::Compute, RoofSource::Datasheet, 100.0)], ..near(120.0) },
            LIKELY,
            Facts { other_roofs: vec![roof(Limiter::Compute, RoofSource::Datasheet, 101.0)], ..near(120.0) },
        ),
        (
            "disputed_roof",
            Facts {
                roof: Some(RoofFact {
                    disputed: Some("366 or 362 TFLOP/s".to_owned()),
                    ..roof(Limiter::Compute, RoofSource::Datasheet, 120.0)
                }),
                ..compute()
            },
            POSSIBLE,
            compute(),
        ),
        (
            "other_device",
            Facts { units: Some(120.0), ..compute() },
            LIKELY,
            Facts { units: Some(120.0), ..dram(Source::Counter) },
        ),
        ("more_cores", Facts { cores: Some(120.0), ..compute() }, LIKELY, Facts { cores: Some(100.0), ..compute() }),
        // A sixth of the 120 ns is too much.
        (
            "overlapping_queues",
            Facts { overlap_ratio: Some(0.17), ..compute() },
            POSSIBLE,
            Facts { overlap_ratio: Some(0.16), ..compute() },
        ),
        // 134 ns at 0.9 of the clock are 120.6 at the whole.
        ("undercounted_time", replay(134.0), LIKELY, replay(100.0)),
        (
            "timer_resolution",
            Facts { timer_ns: Some(20.0), ..compute() },
            LIKELY,
            Facts { timer_ns: Some(9.0), ..compute() },
        ),
        ("overcounted_flop", shapes(10_000.0), LIKELY, shapes(12_000.0)),
        // 10 000 of 12 000 FLOP remain.
        (
            "vector_in_matrix_pipe",
            Facts { misplaced_flop: Some(2000.0), ..matrix(|_| ()) },
            LIKELY,
            Facts { misplaced_flop: Some(0.0), ..matrix(|_| ()) },
        ),
        (
            "unverified_formula",
            Facts { formula: Some("tensor-inst-512-unverified+dram-bytes".to_owned()), ..compute() },
            POSSIBLE,
            Facts { formula: Some("tensor-ops+dram-bytes".to_owned()), ..compute() },
        ),
        (
            "rounded_page",
            Facts { digits_ratio: Some(0.21), ..compute() },
            LIKELY,
            Facts { digits_ratio: Some(0.19), ..compute() },
        ),
        ("matched_by_name", matched(1.3), LIKELY, Facts { matched: Some(Matched::Shape), ..matched(1.3) }),
        (
            "counted_graph",
            Facts { counted_nodes: Some(2), ..compute() },
            LIKELY,
            Facts { counted_nodes: Some(1), ..compute() },
        ),
        (
            "other_link",
            // 4000 bytes at 40 in a ns take 100 ns.
            Facts { wire_bytes: Some(4000.0), links: vec![("nvlink".to_owned(), 4e10)], ..link() },
            LIKELY,
            Facts { wire_bytes: Some(4000.0), links: vec![("nvlink".to_owned(), 3.9e10)], ..link() },
        ),
        (
            "in_network_reduction",
            named("ncclDevKernel_AllReduce_Sum_bf16_NVLS", link()),
            LIKELY,
            named("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", link()),
        ),
    ]
}

fn under_compulsory_bytes() -> Vec<Case> {
    let matched = |spread: f64| Facts { matched: Some(Matched::Name), spread_ratio: Some(spread), ..missing() };
    vec![
        (
            "dirty_lines_in_cache",
            sided(500.0, 300.0),
            LIKELY,
            Facts { cache_bytes: Some(199.0), ..sided(500.0, 300.0) },
        ),
        ("warm_cache", sided(300.0, 500.0), LIKELY, Facts { caches_flushed: Some(true), ..sided(300.0, 500.0) }),
        // 4 of 5 channels see 800 of 1000 bytes.
        (
            "partial_channels",
            Facts { channels: Some((4, 5)), ..missing() },
            LIKELY,
            Facts { channels: Some((5, 5)), ..missing() },
        ),
        ("multi_pass", Facts { passes: Some(2), ..missing() }, POSSIBLE, Facts { passes: Some(1), ..missing() }),
        (
            "overstated_bytes",
            Facts { counter_flop: Some(80.0), analytic_flop: Some(100.0), ..missing() },
            LIKELY,
            Facts { counter_flop: Some(100.0), analytic_flop: Some(100.0), ..missing() },
        ),
        (
            "compressed_memory",
            Facts { compressed_ratio: Some(0.5), ..missing() },
            POSSIBLE,
            Facts { compressed_ratio: Some(0.0), ..missing() },
        ),
        (
            "other_memory",
            Facts { elsewhere_bytes: Some(200.0), ..missing() },
            LIKELY,
            Facts { elsewhere_bytes: Some(20.0), ..missing() },
        ),
        ("matched_by_name", matched(1.25), LIKELY, matched(1.0)),
    ]
}

fn overstated_flop() -> Vec<Case> {
    // 12 000 FLOP below their roof.
    let row = |misplaced: f64, parts: f64| Facts {
        time_ns: Some(200.0),
        misplaced_flop: Some(misplaced),
        parts_ratio: Some(parts),
        ..matrix(|_| ())
    };
    vec![
        ("vector_in_matrix_pipe", row(121.0, 1.0), LIKELY, row(120.0, 0.5)),
        ("aggregate_mismatch", row(0.0, 0.98), POSSIBLE, row(3000.0, 0.99)),
    ]
}

fn percent_over_100() -> Vec<Case> {
    let with = |facts: Facts, passes: u64| Facts { passes: Some(passes), ..facts };
    let hits = || percentage("L2 Hit Rate", 100.39);
    let launch = |ns: f64| Facts { time_ns: Some(2.0 * ns), launches: Some(2), ..hits() };
    let clock = |hz: f64| Facts { clock_hz: Some(hz), ..Facts { percentages: hits().percentages, ..compute() } };
    let sum = |value: f64| Facts { units: Some(4.0), ..percentage("sm__inst_issued.sum.pct", value) };
    vec![
        ("multi_pass", with(hits(), 7), LIKELY, with(hits(), 1)),
        ("short_launch", launch(19_999.0), POSSIBLE, launch(20_000.0)),
        (
            "burst_rate",
            percentage("lts__t_sectors.avg.pct_of_peak_sustained_elapsed", 104.0),
            POSSIBLE,
            percentage("lts__t_sectors.avg.pct_of_peak_sustained_elapsed", 106.0),
        ),
        ("summed_instances", sum(400.0), LIKELY, sum(401.0)),
        ("dual_issue", percentage("VALU Utilization", 200.0), LIKELY, percentage("VALU Utilization", 201.0)),
        ("clock_drift", clock(1.01e9), LIKELY, clock(1e9)),
        (
            "shared_device",
            Facts { shared: Some(true), ..percentage("dram__throughput", 120.0) },
            POSSIBLE,
            Facts { shared: Some(false), ..percentage("dram__throughput", 120.0) },
        ),
    ]
}

fn negative_average() -> Vec<Case> {
    let warps = "Compute Warps in Flight [Avg]";
    vec![
        // The extremes of a recording on a GH200; half of 24 bits is 8 388 608.
        (
            "signed_overflow",
            negative(warps, -8_385_458.0, 8_384_462.0),
            LIKELY,
            negative(warps, -500_000.0, 5_000_000.0),
        ),
        ("difference", negative("Unallocated Warps", -1.0, 20.0), POSSIBLE, negative("Unallocated Warps", -3.0, 20.0)),
        ("idle_baseline", negative("GPU Power [W]", -2.0, 300.0), POSSIBLE, negative("SM Active [%]", -2.0, 300.0)),
    ]
}

pub(super) fn cases() -> Vec<(Symptom, Case)> {
    let tag = |symptom, cases: Vec<Case>| cases.into_iter().map(move |case| (symptom, case));
    tag(Symptom::AboveRoof, above_roof())
        .chain(tag(Symptom::UnderCompulsoryBytes, under_compulsory_bytes()))
        .chain(tag(Symptom::OverstatedFlop, overstated_flop()))
        .chain(tag(Symptom::PercentOver100, percent_over_100()))
        .chain(tag(Symptom::NegativeAverage, negative_average()))
        .collect()
}
