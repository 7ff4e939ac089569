//! A small pair of artifacts with plausible numbers: a two-stage pipeline on two cores against one core.

mod gpu;
mod serving;
mod timeline;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use polars::prelude::{Column, DataFrame, ParquetWriter};
use proftool_trace::artifact::{Artifact, Draft};
use proftool_trace::frame::{Tables, bool_column, build, float_column, int_column, text_column};
use proftool_trace::manifest::{Check, Device, FORMAT, Host, Manifest, Pair, Pass, Results, Target, Time};
use proftool_trace::table::Table;
use proftool_trace::tables::{ACTIVITIES, CEILINGS, DEVICES, ISSUES, QUEUES, RANGES, WORK};

pub(crate) use gpu::{crowd, gpu, gpus};
pub(crate) use serving::{serving, swept};
pub(crate) use timeline::{timeline, without_findings};

const MS: i64 = 1_000_000;
const BLOCKS: i64 = 3;
const ITERATIONS: i64 = 4;

/// One operation: device, queue, kind, name, start, end, step, phase, micro-batch.
type Operation = (i64, i64, &'static str, &'static str, i64, i64, i64, &'static str, i64);

/// Writes both runs below `parent` and returns baseline and optimized.
pub(crate) fn pair(parent: &Path) -> [Artifact; 2] {
    ["baseline", "optimized"].map(|role| run(parent, role))
}

/// One run; `metrics` are written only when asked for.
pub(crate) fn run_without_metrics(parent: &Path, role: &str) -> Artifact {
    let draft = Draft::create(parent, &format!("20260131T120000Z-{role}_pipeline_parallelism-cpu-example-2c")).unwrap();
    let tables = tables(role).write(&draft.tables_dir()).unwrap();
    draft.finish(Manifest { tables, ..manifest(role) }).unwrap()
}

fn run(parent: &Path, role: &str) -> Artifact {
    let artifact = run_without_metrics(parent, role);
    metrics(&artifact, role);
    artifact
}

/// A run of one pass with activities and a block at the ends of the type.
pub(crate) fn run_with_hostile_times(parent: &Path) -> Artifact {
    let spans = [(i64::MIN, i64::MAX), (i64::MIN, i64::MIN + 5), (i64::MAX - 5, i64::MAX), (0, -7)];
    let mut tables = Tables::default();
    tables.set(&ACTIVITIES, kernels(&spans.map(|span| ("host", span)))).unwrap();
    let work = |rows: usize| {
        let ids = || (0..rows as i64).map(Some);
        vec![int_column("activity", ids()), int_column("step", ids())]
    };
    tables.set(&WORK, frame(&WORK, spans.len(), work(spans.len()))).unwrap();
    tables.set(&RANGES, marks(&[("host", 0, (i64::MIN, i64::MAX))])).unwrap();
    finish(parent, &tables)
}

/// A run of two passes: the second has more activities; the first marks one block on rank 0 and others on rank 1.
pub(crate) fn run_with_two_passes(parent: &Path) -> Artifact {
    let mut tables = Tables::default();
    tables.set(&ACTIVITIES, kernels(&[("first", (5, 9)), ("second", (1, 2)), ("second", (3, 4))])).unwrap();
    let marked = [("first", 1, (0, 3)), ("first", 0, (0, 10)), ("first", 1, (4, 9)), ("second", 0, (0, 1))];
    tables.set(&RANGES, marks(&marked)).unwrap();
    finish(parent, &tables)
}

fn finish(parent: &Path, tables: &Tables) -> Artifact {
    let draft = Draft::create(parent, "20260131T120000Z-odd-cpu-example-2c").unwrap();
    let tables = tables.write(&draft.tables_dir()).unwrap();
    draft.finish(Manifest { tables, ..manifest("baseline") }).unwrap()
}

/// Kernels of device 0, queue 0, by pass.
fn kernels(rows: &[(&'static str, (i64, i64))]) -> DataFrame {
    let columns = vec![
        texts("pass", rows, |row| row.0),
        ints("rank", rows, |_| 0),
        int_column("id", (0..rows.len() as i64).map(Some)),
        ints("device", rows, |_| 0),
        ints("queue", rows, |_| 0),
        texts("kind", rows, |_| "kernel"),
        texts("name", rows, |_| "gemm"),
        ints("start_ns", rows, |row| row.1.0),
        ints("end_ns", rows, |row| row.1.1),
        bool_column("simulated", vec![Some(false); rows.len()]),
    ];
    build(&ACTIVITIES, columns).unwrap()
}

/// Ranges named `block`: pass, rank, start and end.
fn marks(rows: &[(&'static str, i64, (i64, i64))]) -> DataFrame {
    let columns = vec![
        texts("pass", rows, |row| row.0),
        ints("rank", rows, |row| row.1),
        int_column("id", (0..rows.len() as i64).map(Some)),
        texts("domain", rows, |_| "proftool"),
        texts("name", rows, |_| "block"),
        texts("style", rows, |_| "start_end"),
        ints("start_ns", rows, |row| row.2.0),
        ints("end_ns", rows, |row| row.2.1),
    ];
    build(&RANGES, columns).unwrap()
}

fn manifest(role: &str) -> Manifest {
    let optimized = role == "optimized";
    let median = if optimized { 30 * MS } else { 55 * MS };
    let parameters = [("sequences", "8"), ("prompt_tokens", "32"), ("stages", if optimized { "2" } else { "1" })];
    let device =
        |device| Device { device, kind: "cpu".into(), name: "Example CPU @ 3.7 GHz".into(), arch: Some("zen4".into()) };
    let check = |name: &str| Check { name: name.into(), values: 65_536, max_relative_error: 3.1e-7, tolerance: 1e-4 };
    Manifest {
        format: FORMAT,
        target: Target {
            name: format!("{role}_pipeline_parallelism"),
            parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            seed: 42,
        },
        pair: Some(Pair {
            name: "pipeline_parallelism".into(),
            role: role.into(),
            other: "the other".into(),
            order: "ABBAABBAABBAABBA".into(),
        }),
        hardware_key: "cpu-example-2c".into(),
        time: Time::Measured,
        captured_utc: "2026-01-31T12:00:00Z".into(),
        command_line: ["proftool", "run", "--target", "pipeline_parallelism"].map(str::to_owned).into(),
        git: None,
        host: Host { os: "Linux 6.1".into(), cpu: "Example CPU".into(), cores: 2, memory_bytes: 16_000_000_000 },
        devices: (0..if optimized { 2 } else { 1 }).map(device).collect(),
        versions: BTreeMap::from([("proftool".to_owned(), "0.1.0".to_owned())]),
        passes: vec![Pass {
            name: "host".into(),
            profilers: vec!["host".into()],
            clock: "CLOCK_MONOTONIC".into(),
            start_unix_ns: 0,
            start_monotonic_ns: 0,
            ranks: Vec::new(),
        }],
        warmup: 2,
        iterations: ITERATIONS as u64,
        blocks: BLOCKS as u64,
        tables: Vec::new(),
        results: Results {
            iteration_ns: (0..9).map(|index| median + (index - 4) * MS / 10).collect(),
            fill_ns: vec![median + 3 * MS; 3],
            cpu_ns: vec![8 * median; 3],
            contention_ratio: if optimized { vec![1.01, 1.02, 1.09] } else { vec![1.0, 1.01, 1.02] },
            verified: true,
            max_relative_error: Some(3.1e-7),
            checks: vec![check("baseline against optimized"), check("2 sequences against f64 reference")],
            exit_code: 0,
        },
        modelled: vec!["KV link: 25 GB/s, 2 us latency (paced copies, no core used)".into()],
        command: None,
    }
}

/// Stage times in microseconds of one micro-batch of prefill and of one decode step.
fn operations(role: &str) -> Vec<Operation> {
    let mut all = Vec::new();
    let mut at = 0;
    for _ in 0..BLOCKS {
        let start = at;
        for iteration in 0..ITERATIONS {
            at = if role == "optimized" {
                optimized(&mut all, at, iteration)
            } else {
                baseline(&mut all, at, iteration)
            };
        }
        at += (at - start) / 20;
    }
    all
}

fn baseline(all: &mut Vec<Operation>, mut at: i64, step: i64) -> i64 {
    for layer_us in [4_400, 17_600, 8_800, 2_200] {
        all.push((0, 0, "kernel", "gemm_bias_gelu", at, at + layer_us * 1000, step, "prefill", 0));
        at += layer_us * 1000 + 20_000;
    }
    for _ in 0..8 {
        all.push((0, 0, "kernel", "attention", at, at + 300_000, step, "decode", 0));
        at += 310_000;
        for layer_us in [300, 1_200, 600, 150] {
            all.push((0, 0, "kernel", "gemm_bias_gelu", at, at + layer_us * 1000, step, "decode", 0));
            at += layer_us * 1000 + 8_000;
        }
    }
    at
}

fn optimized(all: &mut Vec<Operation>, start: i64, step: i64) -> i64 {
    let (mut first, mut second) = (start, start + 600_000);
    for micro_batch in 0..4 {
        for layer_us in [1_100, 3_100] {
            all.push((0, 0, "kernel", "gemm_bias_gelu", first, first + layer_us * 1000, step, "prefill", micro_batch));
            first += layer_us * 1000 + 15_000;
        }
        all.push((0, 1, "copy", "kv_copy", first, first + 250_000, step, "kv_transfer", micro_batch));
        second = second.max(first + 60_000);
        for layer_us in [1_400, 2_250, 550] {
            all.push((
                1,
                0,
                "kernel",
                "gemm_bias_gelu",
                second,
                second + layer_us * 1000,
                step,
                "prefill",
                micro_batch,
            ));
            second += layer_us * 1000 + 10_000;
        }
        all.push((1, 1, "copy", "kv_copy", second, second + 250_000, step, "kv_transfer", micro_batch));
    }
    for _ in 0..8 {
        for device in 0..2 {
            let at = if device == 0 { &mut first } else { &mut second };
            all.push((device, 0, "kernel", "attention", *at, *at + 180_000, step, "decode", 0));
            all.push((device, 0, "kernel", "gemm_bias_gelu", *at + 190_000, *at + 1_300_000, step, "decode", 0));
            *at += 1_320_000;
        }
        second = second.max(first + 30_000 - 1_320_000);
    }
    first.max(start + 1)
}

fn host(rows: usize) -> [Column; 2] {
    [text_column("pass", vec![Some("host"); rows]), int_column("rank", vec![Some(0); rows])]
}

fn frame(table: &'static Table, rows: usize, columns: Vec<Column>) -> DataFrame {
    build(table, host(rows).into_iter().chain(columns).collect()).unwrap()
}

fn ints<T>(name: &str, rows: &[T], value: impl Fn(&T) -> i64) -> Column {
    int_column(name, rows.iter().map(|row| Some(value(row))))
}

fn texts<T>(name: &str, rows: &[T], value: impl Fn(&T) -> &'static str) -> Column {
    text_column(name, rows.iter().map(|row| Some(value(row))))
}

fn tables(role: &str) -> Tables {
    let operations = operations(role);
    let numbered: Vec<(i64, Operation)> = (0..).zip(operations).collect();
    let mut tables = Tables::default();
    let activities = vec![
        ints("id", &numbered, |row| row.0),
        ints("device", &numbered, |row| row.1.0),
        ints("queue", &numbered, |row| row.1.1),
        texts("kind", &numbered, |row| row.1.2),
        texts("name", &numbered, |row| row.1.3),
        ints("start_ns", &numbered, |row| row.1.4),
        ints("end_ns", &numbered, |row| row.1.5),
        bool_column("simulated", numbered.iter().map(|row| Some(row.1.2 == "copy"))),
    ];
    tables.set(&ACTIVITIES, frame(&ACTIVITIES, numbered.len(), activities)).unwrap();
    let work = vec![
        ints("activity", &numbered, |row| row.0),
        ints("step", &numbered, |row| row.1.6),
        texts("phase", &numbered, |row| row.1.7),
        ints("micro_batch", &numbered, |row| row.1.8),
    ];
    tables.set(&WORK, frame(&WORK, numbered.len(), work)).unwrap();
    tables.set(&RANGES, ranges(&numbered)).unwrap();
    let devices = if role == "optimized" { vec![0, 1] } else { vec![0] };
    devices_and_queues(&mut tables, &devices);
    tables.set(&CEILINGS, ceilings()).unwrap();
    let issues = vec![
        text_column("source", [Some("host")]),
        text_column("severity", [Some(if role == "optimized" { "data_loss" } else { "info" })]),
        text_column("code", [Some("lost_ranges")]),
        int_column("count", [Some(3)]),
        text_column("detail", [Some("3 ranges | were <dropped>: raise the buffer size")]),
    ];
    tables.set(&ISSUES, frame(&ISSUES, 1, issues)).unwrap();
    tables
}

fn ranges(numbered: &[(i64, Operation)]) -> DataFrame {
    let each = numbered.len() as i64 / BLOCKS;
    let block = |index: i64| {
        let of_block = numbered.iter().filter(|row| row.0 / each == index);
        (of_block.clone().map(|row| row.1.4).min().unwrap(), of_block.map(|row| row.1.5).max().unwrap())
    };
    let blocks: Vec<(i64, i64)> = (0..BLOCKS).map(block).collect();
    let columns = vec![
        int_column("id", (0..BLOCKS).map(Some)),
        text_column("domain", vec![Some("proftool"); BLOCKS as usize]),
        text_column("name", vec![Some("block"); BLOCKS as usize]),
        text_column("style", vec![Some("start_end"); BLOCKS as usize]),
        ints("start_ns", &blocks, |block| block.0),
        ints("end_ns", &blocks, |block| block.1),
    ];
    frame(&RANGES, blocks.len(), columns)
}

fn devices_and_queues(tables: &mut Tables, numbers: &[i64]) {
    let columns = vec![
        ints("device", numbers, |number| *number),
        texts("kind", numbers, |_| "cpu"),
        texts("name", numbers, |_| "Example CPU @ 3.7 GHz"),
    ];
    tables.set(&DEVICES, frame(&DEVICES, numbers.len(), columns)).unwrap();
    let queues: Vec<(i64, i64)> = numbers.iter().flat_map(|number| [(*number, 0), (*number, 1)]).collect();
    let columns = vec![
        ints("device", &queues, |queue| queue.0),
        ints("queue", &queues, |queue| queue.1),
        texts("role", &queues, |queue| if queue.1 == 0 { "compute" } else { "kv" }),
    ];
    tables.set(&QUEUES, frame(&QUEUES, queues.len(), columns)).unwrap();
}

fn ceilings() -> DataFrame {
    type Row = (&'static str, &'static str, Option<&'static str>, Option<&'static str>, i64, f64, &'static str);
    let rows: [Row; 7] = [
        ("compute", "fma", Some("f32"), None, 1, 112e9, "measured"),
        ("compute", "fma", Some("f32"), None, 2, 221e9, "measured"),
        ("compute", "fma", Some("f64"), None, 1, 56e9, "measured"),
        ("bandwidth", "read", None, Some("DRAM"), 1, 18e9, "measured"),
        ("bandwidth", "read", None, Some("DRAM"), 2, 25e9, "measured"),
        ("compute", "fma", Some("f32"), None, 1, 118.4e9, "datasheet"),
        ("bandwidth", "read", None, Some("DRAM"), 1, 38.4e9, "datasheet"),
    ];
    let columns = vec![
        ints("device", &rows, |_| 0),
        texts("kind", &rows, |row| row.0),
        texts("name", &rows, |row| row.1),
        text_column("precision", rows.iter().map(|row| row.2)),
        text_column("level", rows.iter().map(|row| row.3)),
        text_column("isa", rows.iter().map(|row| row.2.map(|_| "avx512"))),
        ints("cores", &rows, |row| row.4),
        float_column("value", rows.iter().map(|row| Some(row.5))),
        texts("unit", &rows, |row| if row.0 == "compute" { "flop/s" } else { "bytes/s" }),
        float_column("per_cycle", rows.iter().map(|row| Some(row.5 / row.4 as f64 / 3.7e9))),
        texts("source", &rows, |row| row.6),
        bool_column("contended", rows.iter().map(|row| Some(row.4 == 2 && row.0 == "bandwidth"))),
    ];
    frame(&CEILINGS, rows.len(), columns)
}

fn store(artifact: &Artifact, name: &str, columns: Vec<Column>) {
    let rows = columns[0].len();
    let head = [
        text_column("run", vec![Some(artifact.run()); rows]),
        text_column("target", vec![Some(artifact.manifest.target.name.clone()); rows]),
    ];
    let mut frame = DataFrame::new(rows, head.into_iter().chain(columns).collect()).unwrap();
    let file = File::create(artifact.metrics_dir().join(format!("{name}.parquet"))).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
}

/// One family: device, name, phase, launches, time, flop, bytes.
type Family = (i64, &'static str, &'static str, i64, i64, Option<i64>, i64);

fn families(role: &str) -> Vec<Family> {
    let devices = if role == "optimized" { 2 } else { 1 };
    let mut rows = Vec::new();
    for device in 0..devices {
        let share = |value: i64| value / devices;
        rows.push((
            device,
            "gemm_bias_gelu",
            "prefill",
            96,
            share(396 * MS),
            Some(share(37_500 * MS)),
            share(850 * MS),
        ));
        rows.push((
            device,
            "gemm_bias_gelu",
            "decode",
            384,
            share(216 * MS),
            Some(share(9_400 * MS)),
            share(2_350 * MS),
        ));
        rows.push((device, "attention", "decode", 96, share(29 * MS), Some(share(101 * MS)), share(201 * MS)));
        if role == "optimized" {
            rows.push((device, "kv_copy", "kv_transfer", 48, 12 * MS, None, 290 * MS));
        }
    }
    rows
}

fn metrics(artifact: &Artifact, role: &str) {
    let rows = families(role);
    let bound = |row: &Family, bandwidth: f64| {
        let roof = if row.5.is_none() { 25e9 } else { bandwidth };
        let compute = row.5.map_or(0.0, |flop| flop as f64 / 112e9);
        ((row.6 as f64 / roof).max(compute) * 1e9) as i64
    };
    let limiter = |row: &Family, bandwidth: f64| match row.5 {
        None => "link",
        Some(flop) if flop as f64 / 112e9 > row.6 as f64 / bandwidth => "compute",
        Some(_) => "memory",
    };
    let float = |name: &str, value: &dyn Fn(&Family) -> Option<f64>| float_column(name, rows.iter().map(value));
    let of_flop = |row: &Family, value: &'static str| row.5.map(|_| value);
    store(
        artifact,
        "roofline",
        vec![
            ints("device", &rows, |row| row.0),
            texts("window", &rows, |_| "blocks"),
            texts("name", &rows, |row| row.1),
            texts("phase", &rows, |row| row.2),
            text_column("precision", rows.iter().map(|row| of_flop(row, "f32"))),
            ints("launches", &rows, |row| row.3),
            ints("time_ns", &rows, |row| row.4),
            int_column("flop", rows.iter().map(|row| row.5)),
            ints("dram_bytes", &rows, |row| row.6),
            float("arithmetic_intensity", &|row| Some(row.5? as f64 / row.6 as f64)),
            float("flop_per_s", &|row| Some(row.5? as f64 / row.4 as f64 * 1e9)),
            ints("bound_ns", &rows, |row| bound(row, 18e9)),
            float("efficiency_ratio", &|row| Some(bound(row, 18e9) as f64 / row.4 as f64)),
            float("efficiency_datasheet_ratio", &|row| Some(bound(row, 38.4e9) as f64 / row.4 as f64)),
            ints("recoverable_ns", &rows, |row| (row.4 - bound(row, 18e9)).max(0)),
            ints("above_roof_ns", &rows, |row| (bound(row, 18e9) - row.4).max(0)),
            texts("limiter", &rows, |row| limiter(row, 18e9)),
            ints("shared_bound_ns", &rows, |row| bound(row, 12.5e9)),
            float("shared_efficiency_ratio", &|row| Some(bound(row, 12.5e9) as f64 / row.4 as f64)),
            texts("shared_limiter", &rows, |row| limiter(row, 12.5e9)),
            text_column(
                "roof_compute",
                rows.iter().map(|row| of_flop(row, "f32 avx512 fma, 1 core, measured 112.0 GFLOP/s")),
            ),
            text_column("roof_bandwidth", rows.iter().map(|row| of_flop(row, "DRAM read, 1 core, measured 18.0 GB/s"))),
            text_column(
                "roof_shared",
                rows.iter().map(|row| of_flop(row, "DRAM read, 2 cores, measured 25.0 GB/s / 2 in use")),
            ),
            float("roof_flop_per_s", &|row| row.5.map(|_| 112e9)),
            float("roof_bytes_per_s", &|row| Some(if row.5.is_some() { 18e9 } else { 25e9 })),
            float("roof_shared_bytes_per_s", &|row| row.5.filter(|_| role == "optimized").map(|_| 12.5e9)),
            texts("formula_id", &rows, |_| "work-1"),
            texts("flop_source", &rows, |_| "analytic"),
            texts("bytes_source", &rows, |_| "analytic (compulsory)"),
            texts("time_source", &rows, |_| "pass host"),
        ],
    );
    pipeline_metrics(artifact, role == "optimized");
    if role == "optimized" {
        comparison(artifact);
    }
}

fn pipeline_metrics(artifact: &Artifact, optimized: bool) {
    let one = |value: i64| vec![Some(value)];
    let ratio = |value: f64| vec![Some(value)];
    let parts: [i64; 6] = if optimized { [9, 14, 3, 6, 8, 1] } else { [1, 0, 0, 17, 0, 2] };
    let (hosts, span) = if optimized { (2, 360 * MS) } else { (1, 660 * MS) };
    let names = ["fill_drain", "imbalance", "transfer", "host", "dependency", "other"];
    let mut columns = vec![
        text_column("window", [Some("blocks")]),
        text_column("hosts", [Some(if optimized { "device 0, device 1" } else { "device 0" })]),
        int_column("host_count", one(hosts)),
        int_column("micro_batches", one(16)),
        int_column("span_ns", one(span)),
        float_column("bubble_ratio", ratio(parts.iter().sum::<i64>() as f64 * MS as f64 / (hosts * span) as f64)),
        float_column("ideal_overhead_ratio", ratio((hosts - 1) as f64 / 16.0)),
        float_column("ideal_fraction_ratio", ratio((hosts - 1) as f64 / (15 + hosts) as f64)),
        int_column("ideal_makespan_ns", one(span * 93 / 100)),
    ];
    for (name, part) in names.iter().zip(parts) {
        columns.push(int_column(&format!("{name}_ns"), one(part * MS)));
        columns.push(float_column(&format!("{name}_ratio"), ratio((part * MS) as f64 / (hosts * span) as f64)));
    }
    store(artifact, "bubble", columns);
    let kinds = [("compute", 330, None), ("kv", 12, Some(11)), ("idle", 18, None)];
    store(
        artifact,
        "overlap",
        vec![
            ints("device", &kinds, |_| 0),
            texts("window", &kinds, |_| "blocks"),
            texts("kind", &kinds, |row| row.0),
            ints("total_ns", &kinds, |row| row.1 * MS),
            int_column("hidden_ns", kinds.iter().map(|row| Some(row.2? * MS))),
            int_column("exposed_ns", kinds.iter().map(|row| Some((row.1 - row.2?) * MS))),
            float_column("hidden_ratio", kinds.iter().map(|row| Some(row.2? as f64 / row.1 as f64))),
            ints("exclusive_ns", &kinds, |row| row.1 * MS),
        ],
    );
    if optimized {
        store(
            artifact,
            "kv_transfer",
            vec![
                text_column::<&str>("request", [None]),
                text_column("window", [Some("blocks")]),
                int_column("bytes", one(580 * MS)),
                int_column("total_ns", one(24 * MS)),
                int_column("simulated_ns", one(24 * MS)),
                int_column("hidden_ns", one(22 * MS)),
                int_column("exposed_ns", one(2 * MS)),
                float_column("bytes_per_s", ratio(24.1e9)),
                float_column("link_ratio", ratio(0.966)),
            ],
        );
    }
}

fn comparison(artifact: &Artifact) {
    let float = |name: &str, value: f64| float_column(name, [Some(value)]);
    store(
        artifact,
        "comparison",
        vec![
            float("baseline_ns", 55e6),
            float("optimized_ns", 30e6),
            float("speedup_ratio", 1.833),
            float("speedup_low_ratio", 1.812),
            float("speedup_high_ratio", 1.851),
            float("confidence_ratio", 0.95),
            float("iteration_speedup_ratio", 1.84),
            float("p_value", 0.000_31),
            int_column("baseline_blocks", [Some(8)]),
            int_column("optimized_blocks", [Some(8)]),
            text_column("verdict", [Some("faster")]),
            text_column("reason", [Some("p = 3.10e-4 < 0.05 on 8 blocks a side")]),
        ],
    );
    losses(artifact);
}

fn losses(artifact: &Artifact) {
    let rows = [
        ("baseline_compute", Some("prefill"), "term", 33_000, "what the baseline computes"),
        ("baseline_compute", Some("decode"), "term", 20_200, "what the baseline computes"),
        ("extra_compute", Some("prefill"), "term", 2_100, "small GEMMs"),
        ("extra_compute", Some("decode"), "term", 1_900, "the hosts share the memory bandwidth"),
        ("fill_drain", None, "term", 750, "the pipeline fills and drains once a block"),
        ("imbalance", None, "term", 1_200, "the other hosts compute less than the busiest"),
        ("transfer", None, "term", 250, "the busiest host waits for an input transfer in flight"),
        ("host", None, "term", 500, "the busiest host has its inputs and has not started"),
        ("dependency", None, "term", 660, "the busiest host waits while a producer of its input computes"),
        ("other", None, "term", -5, "the rest of the gaps of the busiest host"),
        ("wall", None, "reference", 30_000, "T_opt: block length / iterations"),
    ];
    let terms = rows.map(|row| (row.2 == "term").then_some(row.3 as f64 / 60_555.0));
    store(
        artifact,
        "losses",
        vec![
            texts("part", &rows, |row| row.0),
            text_column("phase", rows.iter().map(|row| row.1)),
            texts("kind", &rows, |row| row.2),
            ints("ns", &rows, |row| row.3 * 1000),
            float_column("share_ratio", terms),
            text_column("limiter", rows.iter().map(|row| row.1.map(|_| "compute"))),
            texts("meaning", &rows, |row| row.4),
        ],
    );
}
