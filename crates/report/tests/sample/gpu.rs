//! An artifact with the results of a roofline on two kinds of GPU: 12 kernels, three levels, two precisions; some
//! without FLOP, one above its roof, two without counts, and steps with phases.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::Column;
use proftool_trace::artifact::{Artifact, Draft};
use proftool_trace::frame::{Tables, bool_column, float_column, int_column, text_column};
use proftool_trace::manifest::{Device, Manifest, Pass, Target};

use super::{ints, manifest, store, texts};

/// FLOP/s by precision, bytes/s by level, and the sources of both.
struct Roof {
    kind: &'static str,
    name: &'static str,
    sources: &'static [(&'static str, f64)],
}

/// Roofs of an H100 SXM and of an A100 80GB SXM.
const ROOFS: [[Roof; 5]; 2] = [
    [
        compute("matrix_bf16", &[("datasheet", 989.4e12), ("observed", 812e12)]),
        compute("f32", &[("datasheet", 66.9e12), ("observed", 54.9e12)]),
        bandwidth("DRAM", &[("datasheet", 3.352e12), ("measured", 2.98e12)]),
        bandwidth("L2", &[("measured", 7.1e12)]),
        bandwidth("L1", &[("datasheet", 33.4e12)]),
    ],
    [
        compute("matrix_bf16", &[("datasheet", 311.9e12), ("observed", 290e12)]),
        compute("f32", &[("datasheet", 19.5e12), ("observed", 18.1e12)]),
        bandwidth("DRAM", &[("datasheet", 2.039e12), ("measured", 1.74e12)]),
        bandwidth("L2", &[("measured", 4.6e12)]),
        bandwidth("L1", &[("datasheet", 19.5e12)]),
    ],
];

const NAMES: [&str; 2] = ["NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"];

const fn compute(name: &'static str, sources: &'static [(&'static str, f64)]) -> Roof {
    Roof { kind: "compute", name, sources }
}

const fn bandwidth(name: &'static str, sources: &'static [(&'static str, f64)]) -> Roof {
    Roof { kind: "bandwidth", name, sources }
}

impl Roof {
    /// What the bounds use: a measured value where there is one, else the datasheet's.
    fn used(&self) -> (&'static str, f64) {
        let of = |wanted: &str| self.sources.iter().find(|(source, _)| *source == wanted);
        *of("measured").or_else(|| of("datasheet")).unwrap()
    }
}

/// Name, phase, precision, launches, microseconds on an H100, GFLOP, and MB of DRAM, L2 and L1; without bytes it has no
/// counts.
type Kernel = (&'static str, Option<&'static str>, Option<&'static str>, i64, i64, f64, Option<[f64; 3]>);

const BF16: Option<&str> = Some("matrix_bf16");
const F32: Option<&str> = Some("f32");

const KERNELS: [Kernel; 12] = [
    (
        "nvjet_tst_192x192_64x4_2x1_v_bz_coopB_TNN",
        Some("prefill"),
        BF16,
        128,
        31_000,
        20.9e6,
        Some([12e3, 50e3, 210e3]),
    ),
    (
        "flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128, 64, 128>>",
        Some("prefill"),
        BF16,
        64,
        9_800,
        4.9e6,
        Some([2.1e3, 9.3e3, 88e3]),
    ),
    ("nvjet_tst_64x8_64x16_4x1_v_bz_TNT", Some("decode"), BF16, 2048, 26_000, 143e3, Some([71.5e3, 74e3, 120e3])),
    (
        "paged_attention_v2_kernel<__nv_bfloat16, 128, 16>",
        Some("decode"),
        F32,
        512,
        14_500,
        60e3,
        Some([30e3, 36e3, 61e3]),
    ),
    ("rms_norm_kernel<c10::BFloat16>", Some("prefill"), F32, 256, 2_900, 9e3, Some([5.6e3, 6.1e3, 9.8e3])),
    ("act_and_mul_kernel<c10::BFloat16, silu>", Some("prefill"), F32, 64, 2_500, 6.2e3, Some([7.9e3, 8.1e3, 8.8e3])),
    (
        "rotary_embedding_kernel<c10::BFloat16, true>",
        Some("decode"),
        F32,
        512,
        1_100,
        0.9e3,
        Some([0.9e3, 1.6e3, 2.4e3]),
    ),
    (
        "fused_add_rms_norm_kernel<c10::BFloat16, 8>",
        Some("decode"),
        F32,
        1024,
        1_900,
        4.1e3,
        Some([7.9e3, 8.4e3, 11e3]),
    ),
    (
        "reshape_and_cache_flash_kernel<__nv_bfloat16>",
        Some("decode"),
        None,
        512,
        1_300,
        0.0,
        Some([1.4e3, 1.6e3, 1.7e3]),
    ),
    ("vectorized_elementwise_kernel<4, FillFunctor<int>>", None, None, 96, 700, 0.0, Some([1.5e3, 1.5e3, 1.6e3])),
    ("topk_topp_sampling_kernel", Some("decode"), None, 256, 5_400, 0.0, None),
    ("cub::DeviceRadixSortOnesweepKernel", None, None, 512, 2_100, 0.0, None),
];

/// A kernel on a device with its bound: time, FLOP, bytes by level, bound, limiter, level.
struct Row {
    device: i64,
    kernel: &'static Kernel,
    time: i64,
    flop: Option<i64>,
    bytes: Option<[i64; 3]>,
    /// Of the used and of the datasheet's roofs, with the limiter and its level.
    bound: Option<[(i64, &'static str, Option<&'static str>); 2]>,
}

impl Row {
    fn new(device: i64, kernel: &'static Kernel) -> Self {
        let slower = if device == 0 { 1.0 } else { 2.3 };
        let flop = kernel.6.map(|_| (kernel.5 * 1e9 / 1e3) as i64);
        let bytes = kernel.6.map(|levels| levels.map(|mega| (mega * 1e6) as i64));
        let time = (kernel.4 as f64 * 1e3 * slower) as i64;
        let bound =
            flop.zip(bytes).map(|(flop, bytes)| [true, false].map(|used| bound(device, kernel, flop, bytes, used)));
        Self { device, kernel, time, flop, bytes, bound }
    }

    fn above(&self) -> Option<i64> {
        Some((self.bound?[0].0 - self.time).max(0))
    }

    fn roof(&self, name: &str) -> f64 {
        ROOFS[self.device as usize].iter().find(|roof| roof.name == name).unwrap().used().1
    }
}

fn bound(
    device: i64,
    kernel: &Kernel,
    flop: i64,
    bytes: [i64; 3],
    used: bool,
) -> (i64, &'static str, Option<&'static str>) {
    let mut best = (0.0, "memory", Some("DRAM"));
    for (index, roof) in ROOFS[device as usize].iter().enumerate() {
        let stated = roof.sources.iter().find(|(source, _)| *source == "datasheet").map(|(_, value)| *value);
        let Some(value) = (if used { Some(roof.used().1) } else { stated }) else { continue };
        let (amount, limiter, level) = match roof.kind {
            "compute" if kernel.2 == Some(roof.name) => (flop, "compute", None),
            "bandwidth" => (bytes[index - 2], "memory", Some(roof.name)),
            _ => continue,
        };
        if amount as f64 / value > best.0 {
            best = (amount as f64 / value, limiter, level);
        }
    }
    ((best.0 * 1e9).round() as i64, best.1, best.2)
}

/// An imported capture of an H100.
pub(crate) fn gpu(parent: &Path) -> Artifact {
    capture(parent, "nvidia-h100-x1", 1)
}

/// An imported capture of two kinds of GPU.
pub(crate) fn gpus(parent: &Path) -> Artifact {
    capture(parent, "nvidia-h100-x1-a100-x1", 2)
}

fn capture(parent: &Path, key: &str, devices: i64) -> Artifact {
    let draft = Draft::create(parent, &format!("20260131T120000Z-serving-{key}")).unwrap();
    let tables = Tables::default().write(&draft.tables_dir()).unwrap();
    let device =
        |device, name: &str| Device { device, kind: "cuda".into(), name: name.into(), arch: Some("sm".into()) };
    let artifact = draft
        .finish(Manifest {
            target: Target { name: "serving".into(), parameters: BTreeMap::new(), seed: 0 },
            pair: None,
            hardware_key: key.into(),
            devices: (0..devices).map(|number| device(number, NAMES[number as usize])).collect(),
            passes: vec![Pass { name: "nsys".into(), ..manifest("baseline").passes.remove(0) }],
            tables,
            ..manifest("baseline")
        })
        .unwrap();
    let rows: Vec<Row> =
        (0..devices).flat_map(|device| KERNELS.iter().map(move |kernel| Row::new(device, kernel))).collect();
    store(&artifact, "roofline", roofline(&rows));
    store(&artifact, "roofline_level", levels(&rows));
    store(&artifact, "roofs", roofs(devices));
    unplaced(&artifact, &rows);
    triage(&artifact, &rows);
    steps(&artifact, devices);
    phases(&artifact);
    artifact
}

/// An imported capture of so many families on an H100: intensities over ten decades, some without FLOP, some hostile.
pub(crate) fn crowd(parent: &Path, families: i64) -> Artifact {
    let artifact = gpu(parent);
    let all: Vec<i64> = (0..families).collect();
    let time = |index: &i64| if index % 50 == 7 { i64::MIN + index } else { 1_000_000_000 / (index + 1) };
    let flop = |index: &i64| match index % 10 {
        0 => 0,
        3 if *index > 100 => i64::MAX,
        digit => 10_i64.pow(digit.unsigned_abs() as u32 + 4),
    };
    let bytes = |index: &i64| if index % 77 == 5 { -1 } else { 10_i64.pow((index / 7 % 9) as u32 + 1) };
    let columns = vec![
        ints("rank", &all, |_| 0),
        ints("device", &all, |_| 0),
        texts("window", &all, |_| "trace"),
        text_column("name", all.iter().map(|index| Some(format!("void kernel_{index}<{}>(float*)", "x".repeat(300))))),
        ints("launches", &all, |_| i64::MAX),
        ints("time_ns", &all, time),
        ints("flop", &all, flop),
        ints("dram_bytes", &all, bytes),
        ints("bound_ns", &all, |index| time(index) / 3),
        float_column("efficiency_ratio", all.iter().map(|_| Some(1.0 / 3.0))),
        texts("limiter", &all, |index| if index % 2 == 0 { "memory" } else { "compute" }),
    ];
    store(&artifact, "roofline", columns);
    artifact
}

fn roofline(rows: &[Row]) -> Vec<Column> {
    let float = |name: &str, value: &dyn Fn(&Row) -> Option<f64>| float_column(name, rows.iter().map(value));
    let int = |name: &str, value: &dyn Fn(&Row) -> Option<i64>| int_column(name, rows.iter().map(value));
    let text = |name: &str, value: &dyn Fn(&Row) -> Option<&'static str>| text_column(name, rows.iter().map(value));
    let placed = |row: &Row, value: &'static str| row.bytes.map(|_| value);
    vec![
        int("rank", &|_| Some(0)),
        int("device", &|row| Some(row.device)),
        text("window", &|_| Some("trace")),
        text("name", &|row| Some(row.kernel.0)),
        text("family", &|row| row.kernel.0.split('<').next()),
        text("phase", &|row| row.kernel.1),
        text("precision", &|row| row.kernel.2),
        int("launches", &|row| Some(row.kernel.3)),
        int("time_ns", &|row| Some(row.time)),
        int("flop", &|row| row.flop),
        int("dram_bytes", &|row| Some(row.bytes?[0])),
        int("l2_bytes", &|row| Some(row.bytes?[1])),
        int("l1_bytes", &|row| Some(row.bytes?[2])),
        float("arithmetic_intensity", &|row| Some(row.flop? as f64 / row.bytes?[0] as f64)),
        float("flop_per_s", &|row| Some(row.flop? as f64 * 1e9 / row.time as f64)),
        float("bytes_per_s", &|row| Some(row.bytes?[0] as f64 * 1e9 / row.time as f64)),
        int("bound_ns", &|row| Some(row.bound?[0].0)),
        float("efficiency_ratio", &|row| Some(row.bound?[0].0 as f64 / row.time as f64)),
        int("bound_datasheet_ns", &|row| Some(row.bound?[1].0)),
        float("efficiency_datasheet_ratio", &|row| Some(row.bound?[1].0 as f64 / row.time as f64)),
        int("recoverable_ns", &|row| Some((row.time - row.bound?[0].0).max(0))),
        int("above_roof_ns", &Row::above),
        text("limiter", &|row| Some(row.bound?[0].1)),
        text("limiter_level", &|row| row.bound?[0].2),
        text("level", &|row| placed(row, "DRAM, L2, L1")),
        text("match", &|row| placed(row, if row.kernel.3 > 500 { "name" } else { "launch" })),
        int("matched_launches", &|row| row.bytes.map(|_| row.kernel.3)),
        bool_column("placed", rows.iter().map(|row| Some(row.bytes.is_some()))),
        text("roof_source", &|row| placed(row, "measured+datasheet")),
        text("roof_note", &|row| placed(row, "spec says 132 SMs")),
        float("amplification_ratio", &|row| row.bytes.filter(|_| row.kernel.0.starts_with("nvjet")).map(|_| 1.31)),
        float("roof_flop_per_s", &|row| row.kernel.2.map(|precision| row.roof(precision))),
        float("roof_bytes_per_s", &|row| row.bytes.map(|_| row.roof("DRAM"))),
        text("roof_compute", &|row| row.kernel.2.map(|_| "datasheet peak")),
        text("roof_bandwidth", &|row| placed(row, "DRAM read")),
        text("triage", &|row| row.above().filter(|ns| *ns > 0).map(|_| "cache_reuse;matched_by_name")),
        float("time_ratio", &|row| Some(row.time as f64 / 1e8)),
        text("formula_id", &|row| placed(row, "ncu-sass-2025+dram-bytes")),
        text("flop_source", &|row| placed(row, "counter")),
        text("bytes_source", &|row| placed(row, "counter")),
        text("time_source", &|_| Some("pass nsys")),
        int("schema_version", &|_| Some(1)),
    ]
}

fn levels(rows: &[Row]) -> Vec<Column> {
    let all: Vec<(&Row, usize)> =
        rows.iter().filter(|row| row.bytes.is_some()).flat_map(|row| (0..3).map(move |level| (row, level))).collect();
    vec![
        ints("rank", &all, |_| 0),
        ints("device", &all, |(row, _)| row.device),
        texts("window", &all, |_| "trace"),
        texts("name", &all, |(row, _)| row.kernel.0),
        text_column("phase", all.iter().map(|(row, _)| row.kernel.1)),
        texts("level", &all, |(_, level)| ["DRAM", "L2", "L1"][*level]),
        int_column("bytes", all.iter().map(|(row, level)| Some(row.bytes?[*level]))),
    ]
}

fn roofs(devices: i64) -> Vec<Column> {
    type Line = (i64, &'static Roof, (&'static str, f64));
    let mut all: Vec<Line> = Vec::new();
    for (device, roofs) in (0..devices).zip(&ROOFS) {
        all.extend(roofs.iter().flat_map(|roof| roof.sources.iter().map(move |source| (device, roof, *source))));
    }
    let of = |kind: &'static str| move |line: &Line| (line.1.kind == kind).then_some(line.1.name);
    vec![
        ints("rank", &all, |_| 0),
        ints("device", &all, |line| line.0),
        texts("kind", &all, |line| line.1.kind),
        text_column("precision", all.iter().map(of("compute"))),
        text_column("level", all.iter().map(of("bandwidth"))),
        bool_column("sparse", all.iter().map(|_| Some(false))),
        texts("source", &all, |line| line.2.0),
        float_column("value", all.iter().map(|line| Some(line.2.1))),
        texts("unit", &all, |line| if line.1.kind == "compute" { "flop/s" } else { "bytes/s" }),
        float_column("clock_hz", all.iter().map(|line| (line.1.kind == "compute").then_some(1.83e9))),
        text_column("accumulate", all.iter().map(|line| (line.1.name == "matrix_bf16").then_some("f32"))),
        text_column("confidence", all.iter().map(|line| (line.2.0 == "datasheet").then_some("high"))),
        text_column("disputed", all.iter().map(|line| (line.1.name == "L1").then_some("33.4 or 30.1 TB/s"))),
        text_column("label", all.iter().map(|line| Some(format!("{}, {} stated", line.1.name, line.2.0)))),
        bool_column("used", all.iter().map(|line| Some(line.1.used().0 == line.2.0))),
    ]
}

fn unplaced(artifact: &Artifact, rows: &[Row]) {
    let all: Vec<&Row> = rows.iter().filter(|row| row.bytes.is_none()).collect();
    let reason = |row: &&Row| if row.kernel.0.starts_with("cub") { "not profiled" } else { "other grid or block" };
    let columns = vec![
        ints("rank", &all, |_| 0),
        ints("device", &all, |row| row.device),
        texts("window", &all, |_| "trace"),
        texts("name", &all, |row| row.kernel.0),
        text_column("phase", all.iter().map(|row| row.kernel.1)),
        ints("launches", &all, |row| row.kernel.3),
        ints("time_ns", &all, |row| row.time),
        float_column("time_ratio", all.iter().map(|row| Some(row.time as f64 / 1e8))),
        texts("reason", &all, reason),
    ];
    store(artifact, "roofline_unplaced", columns);
}

fn triage(artifact: &Artifact, rows: &[Row]) {
    let above: Vec<&Row> = rows.iter().filter(|row| row.above().is_some_and(|ns| ns > 0)).collect();
    let columns = vec![
        ints("rank", &above, |_| 0),
        ints("device", &above, |row| row.device),
        texts("window", &above, |_| "trace"),
        texts("name", &above, |row| row.kernel.0),
        text_column("phase", above.iter().map(|row| row.kernel.1)),
        texts("symptom", &above, |_| "above_roof"),
        texts("cause", &above, |_| "cache_reuse"),
        texts("confidence", &above, |_| "likely"),
        texts("evidence", &above, |_| "DRAM 2.0 GB against 7.9 GB | by shape"),
        texts("advice", &above, |_| "profile with the caches flushed"),
    ];
    store(artifact, "triage", columns);
}

/// Step, name, phase, and the eight parts in microseconds.
type Step = (Option<i64>, &'static str, Option<&'static str>, [i64; 8]);

fn steps(artifact: &Artifact, devices: i64) {
    let mut all: Vec<(i64, Step)> = Vec::new();
    for device in 0..devices {
        let step = |index: i64| -> Step {
            let scale = 1 + device;
            let (name, phase) =
                if index % 6 == 0 { ("execute_context_1", "prefill") } else { ("execute_decode", "decode") };
            let busy = if index % 6 == 0 { 4 } else { 1 };
            (
                Some(index),
                name,
                Some(phase),
                [900 * busy, 1_200 * scale, 300, 150 * busy, 40, 10, 220 + 9 * index, 180].map(|part| part * 1_000),
            )
        };
        let each: Vec<Step> = (0..27).map(step).collect();
        let sum = std::array::from_fn(|part| each.iter().map(|step| step.3[part]).sum());
        all.push((device, (None, "all", None, sum)));
        all.extend(each.into_iter().map(|step| (device, step)));
    }
    let names = ["roof", "inefficiency", "unplaced", "exposed_comm", "exposed_kv", "exposed_copy", "launch", "idle"];
    let mut columns = vec![
        ints("rank", &all, |_| 0),
        ints("device", &all, |row| row.0),
        texts("window", &all, |_| "trace"),
        int_column("step", all.iter().map(|row| row.1.0)),
        text_column("name", all.iter().map(|row| row.1.0.map(|_| row.1.1))),
        text_column("phase", all.iter().map(|row| row.1.2)),
        ints("span_ns", &all, |row| row.1.3.iter().sum()),
    ];
    for (index, name) in names.iter().enumerate() {
        columns.push(ints(&format!("{name}_ns"), &all, |row| row.1.3[index]));
    }
    columns.push(ints("above_roof_ns", &all, |_| 12_000));
    columns.push(float_column("coverage_ratio", all.iter().map(|_| Some(0.91))));
    columns.push(texts("classes", &all, |_| "compute, comm, kv, copy or set, gap"));
    columns.push(bool_column("reliable", all.iter().map(|_| Some(true))));
    store(artifact, "waterfall", columns);
}

fn phases(artifact: &Artifact) {
    let rows: [(&str, i64, i64); 3] =
        [("prefill", 512, 47_000_000), ("decode", 5_120, 50_200_000), ("other", 608, 2_800_000)];
    let decode = |row: &(&str, i64, i64)| row.0 == "decode";
    let columns = vec![
        ints("rank", &rows, |_| 0),
        ints("device", &rows, |_| 0),
        texts("window", &rows, |_| "trace"),
        texts("phase", &rows, |row| row.0),
        ints("launches", &rows, |row| row.1),
        ints("time_ns", &rows, |row| row.2),
        int_column("flop", rows.iter().map(|row| (row.0 != "other").then_some(row.1 * 50_000_000))),
        int_column("dram_bytes", rows.iter().map(|row| (row.0 != "other").then_some(row.1 * 21_000_000))),
        int_column("tokens", rows.iter().map(|row| (row.0 != "other").then_some(row.1 / 2))),
        text_column("tokens_source", rows.iter().map(|row| (row.0 != "other").then_some("steps"))),
        float_column("bytes_per_token", rows.iter().map(|row| (row.0 != "other").then_some(42e6))),
        float_column("flop_per_token", rows.iter().map(|row| (row.0 != "other").then_some(1e8))),
        float_column("arithmetic_intensity", rows.iter().map(|row| (row.0 != "other").then_some(2.38))),
        text_column("limiter", rows.iter().map(|row| (row.0 != "other").then_some("memory"))),
        float_column("batch", rows.iter().map(|row| decode(row).then_some(10.0))),
        text_column("batch_source", rows.iter().map(|row| decode(row).then_some("steps"))),
        float_column("crossing_batch", rows.iter().map(|row| decode(row).then_some(295.4))),
        int_column("crossing_context", rows.iter().map(|_| None)),
        text_column("crossing_reason", rows.iter().map(|row| decode(row).then_some("heads are not known"))),
    ];
    store(artifact, "phases", columns);
}
