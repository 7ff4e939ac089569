//! Published numbers, one test each, under the ids by which the documentation names them.
//!
//! Where a source prints a rounded number, the expected value here is the exact quotient of its inputs, worked out with
//! rational arithmetic, and the printed one stands in the comment. Arithmetic agrees to 1e-12, peaks to 0.1 %.

use proftool_hardware::gpu::{self, GpuSpec};
use proftool_roofline::analytic::annotation::{self, Phase, Sums};
use proftool_roofline::analytic::attention::{self, Heads, Work};
use proftool_roofline::counters::{Counted, Def, Formulas};
use proftool_roofline::models::{
    Energy, Gemm, Linear, Times, attainable, attention_intensity, attention_intensity_limit, bus_bandwidth,
    bytes_per_token, critical_batch, dot_intensity, fma_ceiling, giga_instructions, intensity, network_intensity, peak,
    peak_giga_instructions, ridge, roof_ratio, seconds_at, tokens_per_s, transactions, two_chip_width,
};
use proftool_roofline::triage::{Facts, triage};
use proftool_roofline::{Level, analytic};

const ARITHMETIC: f64 = 1e-12;
const PEAK: f64 = 1e-3;

#[track_caller]
fn close(found: Option<f64>, expected: f64, tolerance: f64) {
    let found = found.expect("a value");
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{found} is not {expected}");
}

#[track_caller]
fn exact(found: Option<f64>, expected: f64) {
    close(found, expected, ARITHMETIC);
}

/// The spec of a GPU.
fn spec(slug: &str) -> &'static GpuSpec {
    gpu::find(slug).expect("a spec")
}

/// Its dense peak.
fn dense(slug: &str, precision: &str) -> Option<f64> {
    spec(slug).peak(precision, false).map(|peak| peak.value)
}

/// The accelerator of the "How to Scale Your Model" examples: bf16 FLOP/s and bytes/s of a TPU v5e.
const TPU: (f64, f64) = (1.97e14, 8.2e11);

/// "How to Scale Your Model", question 5: 9.89e14 / 3.35e12, about 295.
#[test]
fn v01_ridge_of_the_h100() {
    exact(ridge(9.89e14, 3.35e12), 295.223_880_597_014_93);
}

/// The same book: 1.97e14 / 8.2e11 = 240 in bf16.
#[test]
fn v02_ridge_of_the_tpu() {
    exact(ridge(TPU.0, TPU.1), 240.243_902_439_024_4);
}

/// (2N - 1) / (4N + 2) for bf16, which tends to 1/2.
#[test]
fn v03_a_dot_product_stays_at_half_a_flop_for_a_byte() {
    exact(dot_intensity(1.0, 2.0), 1.0 / 6.0);
    exact(dot_intensity(2.0, 2.0), 0.3);
    exact(dot_intensity(4096.0, 2.0), 0.499_877_944_586_842_4);
    exact(dot_intensity(1e6, 2.0), 0.499_999_500_000_25);
}

/// bf16 activations x int8 weights, `2BD + DF + 2BF` bytes: FLOP/s at batches, and the batch where they reach the peak.
#[test]
fn v04_int8_weights_reach_the_peak_at_batch_136() {
    type Reached = (f64, f64);
    let cases: [(f64, &[Reached], f64); 2] = [
        (
            4096.0,
            &[
                (1.0, 1.6384e12),
                (64.0, 98_785_882_352_941.17),
                (120.0, 176_156_643_356_643.36),
                (128.0, 186_595_555_555_555.56),
                (137.0, 1.97e14),
                (1e6, 1.97e14),
            ],
            136.085_701_179_200_73,
        ),
        (
            1024.0,
            &[(1.0, 1_633_618_677_042.801_6), (64.0, 8.3968e13), (120.0, 133_991_489_361_702.13)],
            226.314_844_731_646_02,
        ),
    ];
    for (width, batches, crossing) in cases {
        let layer = Linear::new(width, width, 1.0, 2.0);
        for (batch, flop_per_s) in batches {
            let gemm = Gemm { b_bytes: 1.0, ..Gemm::new(*batch, width, width, 2.0) };
            exact(gemm.attainable(TPU.0, TPU.1), *flop_per_s);
            exact(attainable(layer.intensity(*batch).unwrap(), TPU.0, TPU.1), *flop_per_s);
        }
        exact(layer.batch_at_ridge(TPU.0, TPU.1), crossing);
    }
    // Activations for nothing: half of the ridge.
    exact(critical_batch(TPU.0, TPU.1, 1.0), 120.121_951_219_512_2);
}

/// Two chips over a 45 GB/s link, split along D: D / 2 > 4377, D > 8755.
#[test]
fn v05_two_chips_need_a_width_of_8755() {
    let width = two_chip_width(TPU.0, 4.5e10).unwrap();
    exact(Some(width), 8_755.555_555_555_556);
    // B = 16, F = 1024: each chip does B D F operations and sends 2 B F bytes.
    let (batch, outer) = (16.0, 1024.0);
    exact(network_intensity(batch * width * outer, 2.0 * batch * outer), 4_377.777_777_777_777);
}

/// int8 x int8: 3.94e14 / 8.2e11 = 480, so B > 240 as each weight byte does two operations a row.
#[test]
fn v06_int8_needs_a_batch_of_240() {
    exact(ridge(3.94e14, 8.2e11), 480.487_804_878_048_8);
    exact(critical_batch(3.94e14, 8.2e11, 1.0), 240.243_902_439_024_4);
}

/// The coefficients that torchao prints for the MI300X (pytorch/ao #1913) at 78 % of 1307 TFLOP/s (bf16; 2614 fp8) and
/// 92 % of 5.3 TB/s, with a floor of 2 us for a launch.
#[test]
fn v07_gemm_time_of_torchao() {
    close(seconds_at(2.0, 1307e12, 0.78), 1.961_822_925_862_71e-15, 1e-14);
    close(seconds_at(2.0, 5.3e12, 0.92), 4.101_722_723_543_89e-13, 1e-14);
    close(seconds_at(2.0, 2614e12, 0.78), 9.809_114_629_313_56e-16, 1e-14);
    close(seconds_at(1.0, 5.3e12, 0.92), 2.050_861_361_771_94e-13, 1e-14);
    let time = |size: f64| {
        let gemm = Gemm::new(size, size, size, 2.0);
        gemm.times(1307e12 * 0.78, 5.3e12 * 0.92).unwrap().with_launches(1.0, 2e-6)
    };
    exact(time(64.0), 2e-6);
    // 1024: 3 x 1024^2 x 4.10e-13 = 1.29 us and 1024^3 x 1.96e-15 = 2.106 us; 4096^3 x 1.96e-15 = 134.8 us.
    close(time(1024.0), 1_073_741_824.0 * 1.961_822_925_862_71e-15, ARITHMETIC);
    close(time(4096.0), 68_719_476_736.0 * 1.961_822_925_862_71e-15, ARITHMETIC);
}

/// GPP on a V100 (nersc-roofline): a point climbs the HBM roof and then stays under the peak. GFLOP/s and GB/s.
#[test]
fn v08_hierarchical_roofline_of_gpp() {
    let (peak, hbm) = (7068.86, 828.758);
    let levels = [14336.0, 2996.77, hbm];
    let ai_hbm = [2.584_785_579, 4.738_878_073, 6.892_970_567, 9.047_063_062, 11.086_192_59, 13.211_544_34];
    let ai_l2 = [2.250_285_265, 3.343_596_85, 3.245_471_837, 3.766_406_852, 4.356_477_696, 5.182_021_625];
    let ai_l1 = [0.865_326_481, 1.556_526_957, 2.222_121_895, 2.863_508_257, 3.446_245_893, 4.034_947_498];
    let reached = [2_085.756_683, 3_593.593_112, 4_381.739_349, 4_625.535_516, 4_599.764_097, 4_692.209_405];
    // 97.4, 91.5, 76.7, 65.4, 65.1 and 66.4 % of the HBM roofline.
    let of_roof = [
        0.973_669_101_089_294_9,
        0.915_009_564_299_575_3,
        0.767_030_055_748_793_2,
        0.654_353_816_032_571,
        0.650_708_048_681_116_9,
        0.663_785_872_828_150_8,
    ];
    exact(attainable(ai_hbm[0], peak, hbm), 2_142.161_726_880_882);
    for at in 0..6 {
        exact(roof_ratio(reached[at], ai_hbm[at], peak, hbm), of_roof[at]);
        assert_eq!(ai_hbm[at] < ridge(peak, hbm).unwrap(), at < 3, "from nw=4 on the peak limits");
        // No level is above its roof, and HBM is the nearest of the three.
        let shares = [ai_l1[at], ai_l2[at], ai_hbm[at]].map(|ai| reached[at] / ai);
        let shares: Vec<f64> = shares.iter().zip(levels).map(|(bytes, roof)| bytes / roof).collect();
        assert!(shares[0] < shares[1] && shares[1] < shares[2] && shares[2] < 1.0, "{shares:?}");
    }
    // Without FMA the peak is half: nw=4 is above that ceiling, so it fuses.
    close(fma_ceiling(peak, 0.0), 3535.79, PEAK);
    assert!(reached[3] > 3535.79);
}

/// V100 at 1312 MHz: 80 SM x 32 FMA of f64 x 2; 58 % FMA leaves 5.3 of 6.7 TFLOP/s (arXiv 2008.11326).
#[test]
fn v09_ceiling_of_a_code_with_58_percent_fma() {
    let peak = peak(80.0, 64.0, 1.312e9);
    exact(peak, 6.717_44e12);
    exact(fma_ceiling(peak.unwrap(), 0.58), 5.306_777_6e12);
    // The spec has the boost clock.
    let at_1312_mhz = spec("v100-sxm2").at_clock(1.312e9).unwrap();
    let f64 = at_1312_mhz.compute.iter().find(|(row, _)| row.precision == "f64");
    exact(f64.map(|(_, value)| *value), 6.717_44e12);
}

/// Ding and Williams: 80 SM x 4 schedulers x 1.53 GHz = 489.6 GIPS; memory roofs in transactions of 32 bytes.
#[test]
fn v10_instruction_roofline() {
    exact(peak_giga_instructions(80.0, 4.0, 1.53e9), 489.6);
    exact(peak_giga_instructions(108.0, 4.0, 1.41e9), 609.12);
    exact(transactions(2.039e12), 63.718_75);
    // V100, printed with one decimal: L1 437.5, L2 93.6, HBM 25.9 GTXN/s.
    for (bytes_per_s, printed) in [(14_000e9, 437.5), (2996.77e9, 93.6), (828.758e9, 25.9)] {
        close(transactions(bytes_per_s), printed, PEAK);
    }
    exact(giga_instructions(489.6e9, 1.0), 489.6);
    for (slug, peak) in [("v100-sxm2", 489.6), ("a100-80gb", 609.12)] {
        close(Some(spec(slug).instructions.value / 1e9), peak, PEAK);
    }
}

/// Bytes that the copy of 2^20 doubles has to read, and to write.
const COPY: f64 = 8_388_608.0;

/// A dispatch of that copy on an MI200 (rocprofiler-compute, `tests/workloads/vcopy/MI200`): 131 086 reads of 64 bytes.
fn copy_on_mi200(writes: f64) -> Counted {
    let counters = [
        ("TCC_EA_RDREQ_sum", 131_086.0),
        ("TCC_EA_RDREQ_32B_sum", 0.0),
        ("TCC_EA_WRREQ_sum", writes),
        ("TCC_EA_WRREQ_64B_sum", writes),
        ("TCP_TOTAL_CACHE_ACCESSES_sum", 524_288.0),
        ("TCP_TCC_READ_REQ_sum", 131_072.0),
        ("TCP_TCC_WRITE_REQ_sum", 131_072.0),
        ("TCP_TCC_ATOMIC_WITH_RET_REQ_sum", 0.0),
        ("TCP_TCC_ATOMIC_WITHOUT_RET_REQ_sum", 0.0),
        ("SQ_INSTS_VALU_FMA_F64", 0.0),
    ];
    let def = |(at, (metric, _)): (usize, &(&'static str, f64))| Def { def: at as i64, metric, ..Def::default() };
    let defs: Vec<Def<'_>> = counters.iter().enumerate().map(def).collect();
    let formulas = Formulas::choose(&defs, None, Some("gfx90a"));
    let mut values = vec![f64::NAN; formulas.slots()];
    for (def, (_, value)) in defs.iter().zip(counters) {
        if let Some(slot) = formulas.slot(def.def) {
            values[slot] = value;
        }
    }
    formulas.counts(&values)
}

/// Its first dispatch takes 20 480 ns and moves 0.005 % more than it has to, at 58.98 % of the 1388.93 GB/s that the
/// same files hold as measured.
#[test]
fn v11_bytes_of_a_copy_on_the_mi200() {
    let counts = copy_on_mi200(131_072.0).counts;
    let bytes = counts.bytes_of(Level::Dram);
    assert_eq!(bytes, Some(16_778_112.0));
    close(bytes, 2.0 * COPY, 5.4e-5);
    assert_eq!((counts.bytes_of(Level::L2), counts.bytes_of(Level::L1)), (Some(16_777_216.0), Some(33_554_432.0)));
    assert!(counts.flop.is_empty());
    let bytes_per_s = bytes.map(|bytes| bytes / 20_480e-9);
    exact(bytes_per_s, 819.243_75e9);
    exact(bytes_per_s.map(|rate| rate / 1388.93e9), 0.589_838_040_793_992_5);
    assert_eq!(intensity(0.0, bytes.unwrap()), Some(0.0));
}

/// The next dispatch writes 91 072 lines back, fewer than the copy has to: flagged, not clipped.
#[test]
fn v12_bytes_below_the_compulsory_ones() {
    let bytes = copy_on_mi200(91_072.0).counts.bytes_of(Level::Dram);
    assert_eq!(bytes, Some(14_218_112.0));
    let facts = Facts {
        counter_bytes: bytes,
        counter_read_bytes: Some(64.0 * 131_086.0),
        counter_write_bytes: Some(64.0 * 91_072.0),
        compulsory_bytes: Some(2.0 * COPY),
        compulsory_read_bytes: Some(COPY),
        compulsory_write_bytes: Some(COPY),
        cache_bytes: Some(8_388_608.0),
        ..Facts::default()
    };
    let causes: Vec<_> = triage(&facts).iter().map(|finding| (finding.symptom.name(), finding.cause)).collect();
    assert_eq!(causes, [("under_compulsory_bytes", "dirty_lines_in_cache")]);
}

/// 64 query and 8 KV heads of 128, two bytes an element.
const HEADS: Heads = Heads { h_q: 64, h_kv: 8, d_qk: 128, d_v: 128, bytes_q: 2, bytes_kv: 2 };

fn work(step: &str) -> Work {
    attention::of_step(&annotation::parse(step).expect("a step"), &HEADS).expect("its work")
}

/// vLLM: two context requests of 4096 tokens on 4096 and 2048 on 3048, three decodes.
const MIXED: &str = "execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_3(sq3sk6144sqsq3sqsk6144)";

#[test]
fn v13_sums_of_an_annotation() {
    let requests = [(4096, 4096), (2048, 3048)];
    let sum = |of: fn((u64, u64)) -> u64| Some(requests.into_iter().map(of).sum());
    let context = Sums {
        requests: Some(2),
        sq: sum(|(q, _)| q),
        sk: sum(|(_, k)| k),
        sqsq: sum(|(q, _)| q * q),
        sqsk: sum(|(q, k)| q * k),
    };
    assert_eq!((context.sqsq, context.sqsk), (Some(20_971_520), Some(23_019_520)));
    let step = annotation::parse(MIXED).unwrap();
    let generation = Sums { requests: Some(3), sq: Some(3), sk: Some(6144), sqsq: Some(3), sqsk: Some(6144) };
    assert_eq!((step.context, step.generation), (Some(context), Some(generation)));
    assert_eq!((step.phase(), step.tokens()), (Some(Phase::Mixed), Some(6147)));
}

/// The work of that step, as TraceLens counts it: causal among the new tokens, all of the cached ones.
#[test]
fn v14_attention_of_a_mixed_step() {
    let work = work(MIXED);
    assert_eq!(work, Work { flop: 410_907_574_272.0, bytes: 255_852_544.0 });
    exact(intensity(work.flop, work.bytes), 1_606.032_786_885_246);
}

/// 64 decodes at 2048 tokens: 7.97 FLOP/byte, just under the limit of 8 of this head grouping.
#[test]
fn v15_attention_of_a_decode_step() {
    let work = work("step[DECODE bs=64 g_sq=64 g_sqsq=64 g_sqsk=131072 g_sk=131072]");
    assert_eq!(work, Work { flop: 4_294_967_296.0, bytes: 538_968_064.0 });
    exact(intensity(work.flop, work.bytes), 7.968_871_595_330_739);
    exact(attention_intensity(64.0, 8.0, 128.0, 1.0, 2048.0, 2.0), 7.968_871_595_330_739);
    exact(attention_intensity_limit(64.0, 8.0, 1.0, 2.0), 8.0);
}

/// The same with two tokens a request (speculation): twice the work on the same cache.
#[test]
fn v16_attention_of_a_speculative_step() {
    let work = work("step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]");
    assert_eq!(work, Work { flop: 8_589_934_592.0, bytes: 541_065_216.0 });
    exact(intensity(work.flop, work.bytes), 15.875_968_992_248_062);
    exact(attention_intensity(64.0, 8.0, 128.0, 2.0, 2048.0, 2.0), 15.875_968_992_248_062);
    exact(attention_intensity_limit(64.0, 8.0, 2.0, 2.0), 16.0);
}

/// M 16, N = K = 8192 in bf16 at 708 TFLOP/s and 5300 GB/s: 3.033 us of arithmetic, 25.423 us of memory.
#[test]
fn v17_a_decode_gemm_is_bound_by_memory() {
    let gemm = Gemm::new(16.0, 8192.0, 8192.0, 2.0);
    let times = gemm.times(708e12, 5300e9).unwrap();
    exact(Some(times.math), 3.033_168_994_350_282e-6);
    exact(Some(times.memory), 2.542_302_188_679_245e-5);
    let bf16 = "c10::BFloat16";
    let dtypes = format!("[\"{bf16}\",\"{bf16}\"]");
    let operator = analytic::operator("aten::mm", "[[16,8192],[8192,8192]]", &dtypes, None).unwrap();
    assert_eq!((Some(operator.flop), Some(operator.bytes)), (gemm.flop(), gemm.bytes()));
    assert_eq!(times.lower(), Some(times.memory));
    assert_eq!(times.upper(), Some(times.math + times.memory));
}

/// A 27B model on a 3090 that measures 854.2 GB/s of reads: 37.44 tokens/s are 69.6 % of it (ninfer #51), and 623 GB/s
/// are 66.5 % of the 936.2 of the datasheet.
#[test]
fn v18_bytes_that_a_token_reads() {
    let bytes = bytes_per_token(854.2e9, 0.696, 37.44);
    exact(bytes, 15.879_358_974_358_974e9);
    exact(tokens_per_s(854.2e9, 0.696, bytes.unwrap()), 37.44);
    exact(roof_ratio(623.0, 1.0, f64::MAX, 936.2), 0.665_456_099_124_118_8);
    exact(bus_bandwidth(384.0, 19.5e9), 936e9);
}

/// A layer of decode attention on an RTX 5090 as imp #1668 corrects it: 65 536 FLOP at 838 TFLOP/s and 4 MB at 1.8 TB/s
/// are about 28 400 to one, not 28. With 65 000 FLOP and 4 MiB, as the text rounds them: 0.0000776 and 2.33 us.
#[test]
fn v19_decode_is_28_thousand_to_one() {
    let ratio = |flop: f64, bytes: f64| Some(seconds_at(bytes, 1.8e12, 1.0)? / seconds_at(flop, 838e12, 1.0)?);
    exact(seconds_at(65_536.0, 838e12, 1.0), 7.820_525_059_665_87e-11);
    exact(ratio(65_536.0, 4e6), 28_415.256_076_388_89);
    exact(seconds_at(65e3, 838e12, 1.0), 7.756_563_245_823_389e-11);
    exact(seconds_at(4.0 * 1_048_576.0, 1.8e12, 1.0), 2.330_168_888_888_889e-6);
    exact(ratio(65e3, 4.0 * 1_048_576.0), 30_041.254_290_598_29);
}

/// Datasheet peaks from units, operations per cycle and clock, and the same in the specs.
#[test]
fn v20_peaks_derive_from_units_and_clocks() {
    let peaks = [
        ("h100-sxm", "matrix_bf16", [132.0, 4096.0, 1.83e9], 989.4e12),
        ("mi300x", "matrix_bf16", [304.0, 2048.0, 2.1e9], 1307.4e12),
        // Accumulated in f32.
        ("rtx-5090", "matrix_f16", [170.0, 512.0, 2.407e9], 209.5e12),
        ("mi355x", "matrix_f8", [256.0, 8192.0, 2.4e9], 5033e12),
        ("a100-80gb", "matrix_bf16", [108.0, 2048.0, 1.41e9], 312e12),
        ("rtx-4090", "matrix_f16", [128.0, 512.0, 2.52e9], 165.2e12),
    ];
    for (slug, precision, [units, per_cycle, hz], datasheet) in peaks {
        close(peak(units, per_cycle, hz), datasheet, PEAK);
        close(dense(slug, precision), datasheet, PEAK);
    }
    // The L40S datasheet prints the peak of 2.49 GHz beside a clock of 2.52; the spec says that it is disputed.
    close(peak(142.0, 1024.0, 2.49e9), 362.05e12, PEAK);
    close(dense("l40s", "matrix_bf16"), 366.4e12, PEAK);
    assert!(spec("l40s").peak("matrix_bf16", false).is_some_and(|peak| peak.disputed.is_some()));
    close(bus_bandwidth(5120.0, 3.186e9), 2.039e12, PEAK);
    close(spec("a100-80gb").bandwidth("DRAM").map(|row| row.value), 2.039e12, PEAK);
}

/// ERT on Edison (cs-roofline-toolkit): 355.79 GFLOP/s over 83.0 GB/s of DRAM.
#[test]
fn v21_ridges_of_edison() {
    exact(ridge(355.79, 83.0), 4.286_626_506_024_096);
    let ridges = [1723.23, 1075.56, 669.08, 83.0].map(|bandwidth| ridge(355.79, bandwidth).unwrap());
    assert!(ridges.is_sorted(), "a slower level needs more FLOP for a byte: {ridges:?}");
}

/// Advisor's reference in ReFrame #916: AI 0.166 at 2.79 GFLOP/s, so one FLOP for six bytes at L1.
#[test]
fn v22_intensity_of_a_scalar_stencil() {
    close(intensity(1.0, 6.0), 0.166, 5e-3);
    exact(intensity(2.79, 2.79 * 6.0), 1.0 / 6.0);
    // 293 GiB/s of L1: under its roof of 52.4 GFLOP/s.
    assert!(roof_ratio(2.79e9, 1.0 / 6.0, 1e12, 293.0 * 1_073_741_824.0).unwrap() < 0.06);
}

/// Proton scales the H100's PCIe datasheet of fp8 by SMs and clock: 0.1 % under the 1978.9 of the SXM.
#[test]
fn v23_peak_scaled_by_units_and_clock() {
    let scaled = peak(132.0 / 114.0, 1.0, 1980.0 / 1755.0).map(|scale| scale * 1513.0);
    exact(scaled, 1_976.496_626_180_836_7);
    close(scaled, 1978.9, 1.3e-3);
    // The peaks that it starts from and arrives at: dense, fp8.
    close(dense("h100-pcie", "matrix_f8"), 1513e12, PEAK);
    close(dense("h100-sxm", "matrix_f8"), 1978.9e12, PEAK);
}

/// Beside the vectors: the two forms of a bound bracket a time, and energy has its own balance.
#[test]
fn forms_without_a_published_number_agree_with_each_other() {
    let times = Times { math: 1.0, memory: 1.0, link: 0.0 };
    assert_eq!(times.upper(), times.lower().map(|lower| 2.0 * lower));
    let device = Energy { per_flop: 1e-12, per_byte: 4e-12, constant_w: 0.0 };
    let at_balance = device.flop_per_joule(device.balance().unwrap(), 1e12, 1e12);
    close(at_balance, 0.5e12, ARITHMETIC);
}
