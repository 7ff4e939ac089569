//! Helpers of the tests here, and published pages through the whole of it.

use proptest::prelude::*;

use super::*;

/// Definitions of metrics; `section:Name/Label|Metric` is a display name.
pub(super) fn page<'a>(metrics: &[(&'a str, f64)]) -> Vec<Def<'a>> {
    let def = |(number, (name, _)): (usize, &(&'a str, f64))| {
        let (formula_id, metric) = match name.strip_prefix("section:").and(name.rsplit_once('|')) {
            Some((section, metric)) => (Some(section), metric),
            None => (None, *name),
        };
        Def { def: number as i64, metric, formula_id, ..Def::default() }
    };
    metrics.iter().enumerate().map(def).collect()
}

/// The values of the metrics in their slots.
pub(super) fn values(metrics: &[(&str, f64)], slots: usize, slot: impl Fn(i64) -> Option<usize>) -> Vec<f64> {
    let mut values = vec![f64::NAN; slots];
    for (number, (_, value)) in metrics.iter().enumerate() {
        if let Some(slot) = slot(number as i64) {
            values[slot] = *value;
        }
    }
    values
}

/// One launch with these counters.
pub(super) fn counted(metrics: &[(&str, f64)], version: Option<&str>, arch: Option<&str>) -> Counted {
    let formulas = Formulas::choose(&page(metrics), version, arch);
    formulas.counts(&values(metrics, formulas.slots(), |def| formulas.slot(def)))
}

pub(super) fn notes(metrics: &[(&str, f64)], arch: Option<&str>) -> Vec<&'static str> {
    Formulas::choose(&page(metrics), None, arch).notes().iter().map(|note| note.code).collect()
}

/// Dense operations of a precision.
pub(super) fn ops(found: &Counted, precision: Precision) -> f64 {
    let flop = found.counts.flop.iter().find(|flop| flop.precision == precision && !flop.sparse);
    flop.map_or(0.0, |flop| flop.ops)
}

/// The launches of the flash-attention file on an A100 with the authors' results.
struct Published {
    /// dadd, dmul, dfma, fadd, fmul, ffma, hadd, hmul, hfma, tensor instructions.
    operations: [f64; 10],
    dram: f64,
    l2: f64,
    l1: f64,
    cuda_core_flop: f64,
    tensor_flop: f64,
    intensity_l2: f64,
}

const PUBLISHED: [Published; 10] = [
    row(
        [0., 0., 0., 0., 0., 983_040., 196_608., 0., 0., 0.],
        384.,
        957_056.,
        393_216.,
        2_162_688.,
        0.,
        2.259_729_838_170_389,
    ),
    row([0., 0., 0., 0., 0., 3840., 768., 0., 0., 0.], 0., 150_848., 1536., 8448., 0., 0.056_003_394_145_099_7),
    row(
        [0., 0., 0., 0., 0., 327_680., 65_536., 0., 0., 0.],
        128.,
        435_040.,
        131_072.,
        720_896.,
        0.,
        1.657_079_808_753_218_1,
    ),
    row([0., 0., 0., 0., 0., 1280., 256., 0., 0., 0.], 0., 146_976., 512., 2816., 0., 0.019_159_590_681_471_803),
    row(
        [0., 0., 0., 20_480., 143_360., 317_440., 0., 0., 10_240., 320.],
        128.,
        210_464.,
        20_480.,
        819_200.,
        163_840.,
        4.670_822_563_478_79,
    ),
    row(
        [0., 0., 0., 0., 49_152., 49_152., 49_152., 0., 0., 6144.],
        415_488.,
        2_319_200.,
        1_354_752.,
        196_608.,
        3_145_728.,
        1.441_159_020_351_845_4,
    ),
    row([0., 0., 0., 0., 0., 0., 0., 0., 3., 1.], 128., 111_584., 32., 6., 512., 0.004_642_242_615_428_735),
    row(
        [0., 4096., 0., 131_072., 32_768., 69_632., 0., 0., 0., 2048.],
        61_824.,
        708_160.,
        341_632.,
        307_200.,
        1_048_576.,
        1.914_505_196_565_747_8,
    ),
    row(
        [0., 0., 0., 0., 49_152., 0., 0., 0., 0., 3072.],
        151_680.,
        1_557_376.,
        802_816.,
        49_152.,
        1_572_864.,
        1.041_505_712_172_269_3,
    ),
    row(
        [0., 0., 0., 51_200., 10_240., 0., 61_440., 0., 30_720., 960.],
        82_432.,
        467_552.,
        167_936.,
        184_320.,
        491_520.,
        1.445_486_277_462_186,
    ),
];

const fn row(
    operations: [f64; 10],
    dram: f64,
    l2: f64,
    l1: f64,
    cuda_core_flop: f64,
    tensor_flop: f64,
    intensity_l2: f64,
) -> Published {
    Published { operations, dram, l2, l1, cuda_core_flop, tensor_flop, intensity_l2 }
}

#[test]
fn flop_and_intensity_of_flash_attention_on_an_a100_are_the_authors() {
    let names: Vec<String> = ["dadd", "dmul", "dfma", "fadd", "fmul", "ffma", "hadd", "hmul", "hfma"]
        .iter()
        .map(|op| format!("sm__sass_thread_inst_executed_op_{op}_pred_on.sum"))
        .chain(["sm__inst_executed_pipe_tensor.sum".to_owned()])
        .collect();
    for row in &PUBLISHED {
        let mut metrics: Vec<(&str, f64)> = names.iter().map(String::as_str).zip(row.operations).collect();
        metrics.extend([("dram__bytes.sum", row.dram), ("lts__t_bytes.sum", row.l2), ("l1tex__t_bytes.sum", row.l1)]);
        let found = counted(&metrics, None, Some("sm_80")).counts;
        assert!(found.flop_known);
        let tensor: f64 = found.flop.iter().filter(|flop| flop.precision.is_matrix()).map(|flop| flop.ops).sum();
        let sum = found.flop_sum().unwrap();
        assert_eq!((sum - tensor, tensor), (row.cuda_core_flop, row.tensor_flop));
        assert_eq!(found.bytes_of(Level::Dram), Some(row.dram));
        assert_eq!(found.bytes_of(Level::L1), Some(row.l1));
        let intensity = sum / found.bytes_of(Level::L2).unwrap();
        assert!((intensity / row.intensity_l2 - 1.0).abs() < 1e-15, "{intensity}");
        let formula = "sass-hfma2+tensor-inst-512-unverified+dram-bytes+l2-t-bytes+l1-t-bytes/ncu";
        assert_eq!(found.formula.as_deref(), Some(formula));
    }
}

#[test]
fn flop_of_a_matrix_product_on_an_a100_are_two_a_multiply_accumulate() {
    // 40960 x 40960 x 20480 multiply-accumulates, the ffma of the published page.
    let ffma = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum";
    let found = counted(&[(ffma, 34_359_738_368_000.0)], None, Some("sm_80"));
    assert_eq!(ops(&found, Precision::F32), 2.0 * 40960.0 * 40960.0 * 20480.0);
}

#[test]
fn a_chart_without_a_duration_gives_rates() {
    let chart = |label: &str, name: &str| format!("section:GPU Speed Of Light Roofline Chart/{label}|{name}");
    let achieved = "Single Precision Achieved Value";
    let names = [
        (chart(achieved, "Predicated-On FFMA Operations Per Cycle"), 158.12),
        (chart(achieved, "Predicated-On FADD Thread Instructions Executed Per Cycle"), 1.97),
        (chart(achieved, "Predicated-On FMUL Thread Instructions Executed Per Cycle"), 0.0),
        (chart(achieved, "SM Frequency"), 2.15e9),
        (chart(achieved, "DRAM Bandwidth"), 345.14e9),
    ];
    let mut metrics: Vec<(&str, f64)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let found = counted(&metrics, None, Some("sm_120"));
    assert!(!found.counts.is_placed() && found.counts.replay_ns.is_none());
    let rates = found.rates.unwrap();
    // (158.12 + 1.97) x 2.15 GHz = 344.1935 GFLOP/s.
    assert!((rates.flop_sum().unwrap() / 344.1935e9 - 1.0).abs() < 1e-12);
    assert_eq!(rates.bytes_of(Level::Dram), Some(345.14e9));
    assert!(notes(&metrics, Some("sm_120")).contains(&"no-duration"));
    // With the duration of the same launch (6.75 us, 2.33 Mbyte) they are counts.
    metrics.push(("section:GPU Speed Of Light Throughput|Duration", 6750.0));
    let found = counted(&metrics, None, Some("sm_120"));
    assert!(found.rates.is_none());
    assert!((found.counts.bytes_of(Level::Dram).unwrap() / 2.33e6 - 1.0).abs() < 1e-3);
    assert!((found.counts.flop_sum().unwrap() / (344.1935e9 * 6.75e-6) - 1.0).abs() < 1e-12);
}

#[test]
fn bytes_of_a_cache_are_compared_only_when_they_are_counted_alike() {
    let (old, new) = ("sass+dram-bytes+l2-t-bytes/ncu-2022", "sass+dram-sectors+l2-lts2xbar/ncu-2025");
    assert!(comparable(old, new, Level::Dram) && comparable(old, "hbm-ea/rocprof", Level::Dram));
    assert!(!comparable(old, new, Level::L2));
    assert!(comparable(new, "l2-lts2xbar/ncu-2026", Level::L2));
    assert!(!comparable(old, old, Level::L1) && !comparable("", "", Level::Dram));
    assert!(!comparable(old, old, Level::Mall));
}

#[test]
fn a_page_without_counters_says_nothing() {
    let formulas = Formulas::choose(&[], None, None);
    assert_eq!((formulas.slots(), formulas.id()), (0, None));
    assert_eq!(formulas.counts(&[]), Counted::default());
    let codes: Vec<_> = formulas.notes().iter().map(|note| note.code).collect();
    assert_eq!(codes, ["unknown-version", "unknown-capability"]);
}

/// Names of which hostile pages are made.
const NAMES: [&str; 16] = [
    "sm__sass_thread_inst_executed_op_ffma_pred_on.sum",
    "smsp__sass_thread_inst_executed_op_hfma_pred_on.sum.per_cycle_elapsed",
    "sm__ops_path_tensor_src_fp16.sum",
    "sm__ops_path_tensor_op_hgmma_src_fp16_sparsity_on.sum",
    "sm__ops_path_tensor_op_hgmma_src_fp16_sparsity_off.sum.per_second",
    "sm__ops_path_tensor_src__dst__sparsity_on.sum",
    "sm__inst_executed_pipe_tensor.sum",
    "sm__cycles_elapsed.avg.per_second",
    "sm__cycles_elapsed.avg",
    "gpu__time_duration.sum",
    "dram__bytes.sum.per_second",
    "dram__bytes.sum.peak_sustained",
    "lts__t_sector_hit_rate.pct",
    "TCC_EA_RDREQ[0]",
    "SQ_INSTS_VALU_FMA_F32",
    "section:GPU Speed Of Light Throughput|Duration",
];

proptest! {
    #[test]
    fn whatever_a_page_holds_results_are_finite_and_not_negative(
        picked in proptest::collection::vec((0..NAMES.len(), prop_oneof![
            any::<f64>(), Just(f64::MAX), Just(-1.0), Just(0.0), Just(f64::MIN_POSITIVE), 0.0..1e15
        ]), 0..16),
        arch in prop_oneof![Just(None), Just(Some("sm_90")), Just(Some("sm_")), Just(Some("gfx90a"))],
    ) {
        let metrics: Vec<(&str, f64)> = picked.iter().map(|(name, value)| (NAMES[*name], *value)).collect();
        let found = counted(&metrics, Some("2025"), arch);
        let good = |value: f64| value.is_finite() && value >= 0.0;
        for counts in [Some(&found.counts), found.rates.as_ref()].into_iter().flatten() {
            prop_assert!(counts.flop.iter().all(|flop| good(flop.ops)));
            prop_assert!(counts.bytes.iter().all(|traffic| good(traffic.bytes)));
            let others = [counts.instructions, counts.replay_ns, counts.clock_hz];
            prop_assert!(others.into_iter().flatten().all(good));
        }
        prop_assert!(found.peaks.iter().all(|(_, _, value)| good(*value)));
        prop_assert!(found.bandwidth_peaks.iter().all(|(_, value)| good(*value)));
        prop_assert!(found.suspicious.iter().all(|one| one.value.is_finite()));
    }
}
