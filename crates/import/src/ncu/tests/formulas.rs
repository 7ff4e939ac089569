//! FLOP and bytes of published pages by the formulas that are chosen for them, against what the authors computed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proftool_roofline::counters::{Counted, Def, Formulas, SuspicionKind};
use proftool_roofline::{Level, Precision};
use proftool_trace::frame::{self, Tables};
use proftool_trace::sink::{Filled, Sink};
use proftool_trace::tables;

use super::{Page, csv_rows};
use crate::fixture::shared_data;
use crate::raw::{Import, Progress, Source};

/// The formulas for a page of a device, and what they give for each launch.
fn counted(page: &Page, arch: Option<&str>) -> (Formulas, Vec<Counted>) {
    let known: BTreeSet<_> =
        page.counters.iter().map(|((_, metric, formula), (_, unit))| (metric, formula, unit)).collect();
    let known: Vec<_> = known.into_iter().collect();
    let defs: Vec<_> = known
        .iter()
        .zip(0..)
        .map(|((metric, formula, unit), def)| Def {
            def,
            metric,
            unit: unit.as_deref(),
            formula_id: formula.as_deref(),
            tool: Some("ncu"),
        })
        .collect();
    let formulas = Formulas::choose(&defs, None, arch);
    let launches: BTreeSet<i64> = page.counters.keys().map(|(launch, ..)| *launch).collect();
    let counts = launches.into_iter().map(|launch| {
        let mut values = vec![f64::NAN; formulas.slots()];
        for (def, (metric, formula, _)) in known.iter().enumerate() {
            let key = (launch, (*metric).clone(), (*formula).clone());
            if let (Some(slot), Some((value, _))) = (formulas.slot(def as i64), page.counters.get(&key)) {
                values[slot] = *value;
            }
        }
        formulas.counts(&values)
    });
    let counts = counts.collect();
    (formulas, counts)
}

fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    let difference = if ours == theirs { 0.0 } else { (ours / theirs - 1.0).abs() };
    assert!(difference <= tolerance, "{what}: {ours} and {theirs}");
}

fn matrix(counted: &Counted) -> f64 {
    counted.counts.flop.iter().filter(|flop| flop.precision.is_matrix()).map(|flop| flop.ops).sum()
}

#[test]
fn flash_attention_on_an_a100_has_the_authors_flop_time_and_intensity() {
    let Some(folder) = shared_data("ncu/a100_attention_nersc_metrics") else { return };
    let (formulas, launches) = counted(&Page::read(&folder.join("bert_flashattn_nsight.csv")), Some("sm_80"));
    let formula = "sass-hfma2+tensor-inst-512-unverified+dram-bytes+l2-t-bytes+l1-t-bytes/ncu";
    assert_eq!(formulas.id().map(|id| &**id), Some(formula));
    let mut reader = csv::Reader::from_path(folder.join("bert_flashattn_nsight_processed_res.csv")).unwrap();
    let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), launches.len()), (10, 10));
    for (row, launch) in rows.iter().zip(&launches) {
        let theirs = |name: &str| row[heads.iter().position(|head| head == name).unwrap()].parse::<f64>().unwrap();
        let (counts, flop) = (&launch.counts, launch.counts.flop_sum().unwrap());
        assert!(counts.flop_known);
        close(flop, theirs("all FLOPs"), 0.0, "FLOP");
        close(matrix(launch), theirs("TC FLOPs"), 0.0, "FLOP in tensor cores");
        close(counts.replay_ns.unwrap(), theirs("Time") * 1e9, 1e-14, "time");
        for (level, name) in [(Level::Dram, "AI HBM"), (Level::L2, "AI L2"), (Level::L1, "AI L1")] {
            close(flop / counts.bytes_of(level).unwrap(), theirs(name), 1e-15, name);
        }
        close(flop / counts.replay_ns.unwrap(), theirs("GFLOP/s"), 1e-14, "GFLOP/s");
    }
    // In three of the ten all tensor instructions are half-precision FMA of the vector units: a random generator, an
    // elementwise kernel and a reduction. The matrix products and the attention kernel have none.
    let flagged: Vec<usize> = (0..10)
        .filter(|at| launches[*at].suspicious.iter().any(|one| one.kind == SuspicionKind::HfmaInTensorPipe))
        .collect();
    assert_eq!(flagged, [4, 6, 9]);
    for at in flagged {
        assert_eq!(launches[at].suspicious[0].value, matrix(&launches[at]), "all of them");
    }
}

#[test]
fn a_matrix_product_on_an_a100_has_two_flop_a_multiply_accumulate() {
    let Some(page) = shared_data("ncu/a100_sgemm/sgemm.csv") else { return };
    let (_, launches) = counted(&Page::read(&page), Some("sm_80"));
    let single = launches[2].counts.flop.iter().find(|flop| flop.precision == Precision::F32).unwrap();
    // 40960 x 40960 by 20480: a block of 32 x 32 threads of the grid of 1280 x 1280 each.
    assert_eq!(single.ops, 2.0 * 40960.0 * 40960.0 * 20480.0);
    // Its tensor instructions are all HFMA: 2149161369600 threads are 67161292800 instructions.
    let flagged = &launches[2].suspicious[0];
    assert_eq!((flagged.kind, flagged.value), (SuspicionKind::HfmaInTensorPipe, 67_161_292_800.0 * 512.0));
}

#[test]
fn seven_kernels_on_an_rtx_5070_have_the_authors_dram_bandwidth() {
    let Some(folder) = shared_data("ncu/rtx5070_kernels") else { return };
    let table = std::fs::read_to_string(folder.join("table_ncu_counters.tex")).unwrap();
    let mut kernels = 0;
    for line in table.lines().filter(|line| line.contains("\\_") || line.starts_with("saxpy")) {
        let cells: Vec<String> =
            line.trim_end_matches("\\\\").split('&').map(|cell| cell.trim().replace('\\', "")).collect();
        let page = Page::read(&folder.join(format!("ncu_{}.csv", cells[0])));
        let (_, launches) = counted(&page, Some("sm_120"));
        let counts = &launches[0].counts;
        let bandwidth = counts.bytes_of(Level::Dram).unwrap() / counts.replay_ns.unwrap();
        assert_eq!(format!("{bandwidth:.2}"), cells[6], "{}", cells[0]);
        assert!(!counts.flop_known, "the page counts no arithmetic");
        // The naive product has the hit rate of 100.39 %.
        assert_eq!(launches[0].suspicious.len(), usize::from(cells[0] == "gemm_naive"));
        kernels += 1;
    }
    assert_eq!(kernels, 7);
}

#[test]
fn a_gb200_page_of_rates_gives_counts_and_the_peaks_that_it_states() {
    let Some(page) = shared_data("ncu/gb200_cuda_graph_full/jaxtoolbox_cuda_graph_pdl.raw-base.csv") else { return };
    let (formulas, launches) = counted(&Page::read(&page), Some("sm_100"));
    let formula = "sass-hfma4-rate+tensor-ops-aggregate+dram-bytes+l2-lts2xbar+l1-writeback-lgds/ncu";
    assert_eq!(formulas.id().map(|id| &**id), Some(formula));
    let first = &launches[0];
    assert!(first.counts.flop_known);
    // 0.27 additions a cycle in 3787.59 cycles; 1024 threads add once.
    close(first.counts.flop_sum().unwrap(), 0.27 * 3787.59, 1e-12, "FLOP");
    close(first.counts.flop_sum().unwrap(), 1024.0, 0.002, "FLOP");
    close(first.counts.bytes_of(Level::Dram).unwrap(), 6912.0, 0.0, "DRAM");
    // 13901234567.90 byte/s in 5184 ns; 32 active cycles of 128 bytes.
    close(first.counts.bytes_of(Level::L2).unwrap(), 72064.0, 1e-9, "L2");
    close(first.counts.bytes_of(Level::L1).unwrap(), 4096.0, 0.0, "L1");
    assert_eq!((first.counts.instructions, first.counts.replay_ns), (Some(578.0), Some(5184.0)));
    let peak = |precision, sparse| {
        first.peaks.iter().find(|(of, with, _)| (*of, *with) == (precision, sparse)).map(|(_, _, value)| *value)
    };
    // Work per cycle times 730631193.14 Hz: 152 SM x 8192 dense, twice that sparse; 152 x 128 x 2 in the vector units.
    let clock = 730_631_193.14;
    close(peak(Precision::MatrixBf16, false).unwrap(), 152.0 * 8192.0 * clock, 1e-9, "dense");
    close(peak(Precision::MatrixBf16, true).unwrap(), 152.0 * 16384.0 * clock, 1e-9, "sparse");
    close(peak(Precision::F32, false).unwrap(), 152.0 * 256.0 * clock, 1e-9, "f32");
    close(peak(Precision::MatrixF64, false).unwrap(), 152.0 * 128.0 * clock, 1e-9, "f64");
    let dram = first.bandwidth_peaks.iter().find(|(level, _)| *level == Level::Dram).unwrap().1;
    close(dram, 1984.0 * 3_975_308_641.98, 1e-12, "DRAM");
    assert!(first.suspicious.is_empty());
}

#[test]
fn tensor_flop_on_an_rtx_5090_are_the_authors_and_their_intensity_is_a_million_times_too_large() {
    let Some(folder) = shared_data("ncu/rtx5090_ocr_inference") else { return };
    let rows = csv_rows_of(&folder.join("analysis__metrics_summary.csv"));
    let column = |name: &str| rows[0].iter().position(|head| head == name).unwrap();
    let mut kernels = 0;
    for row in &rows[1..] {
        let Ok(theirs) = row[column("roofline_flops_per_s")].parse::<f64>() else { continue };
        let page = folder.join(format!("{}__ncu.metrics.csv", row[column("kernel_id")]));
        if !page.exists() {
            // The pages of the later kernels are not among the data.
            continue;
        }
        let (_, launches) = counted(&Page::read(&page), Some("sm_120"));
        let counts = &launches[0].counts;
        let flop = counts.flop_sum().unwrap();
        close(flop / counts.replay_ns.unwrap() * 1e9, theirs, 1e-12, "FLOP/s");
        // They divide by the number that stands before "Mbyte".
        let intensity: f64 = row[column("roofline_ai_flops_per_byte")].parse().unwrap();
        if counts.bytes_of(Level::Dram).unwrap() > 1e6 {
            close(flop / counts.bytes_of(Level::Dram).unwrap() * 1e6, intensity, 1e-2, "FLOP per byte");
        }
        kernels += 1;
    }
    assert_eq!(kernels, 3);
}

fn csv_rows_of(path: &Path) -> Vec<Vec<String>> {
    let reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.into_records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// The chart's own numbers: FFMA operations a cycle, clock and bandwidth of a page without a duration.
#[test]
fn a_chart_of_an_rtx_5090_gives_rates_and_peaks() {
    let Some(folder) = shared_data("ncu/rtx5090_ocr_inference") else { return };
    let stem = "kernel_0003_0a7671622339a06b4a022feebfe90426__ncu.section_SpeedOfLight_RooflineChart.csv";
    let path = folder.join(stem);
    assert!(csv_rows(&path).len() > 20);
    let (formulas, launches) = counted(&Page::read(&path), Some("sm_120"));
    assert!(formulas.notes().iter().any(|note| note.code == "no-duration"));
    let rates = launches[0].rates.as_ref().unwrap();
    // (26.51 + 0 + 13.26) operations a cycle at 2.01 GHz.
    close(rates.flop_sum().unwrap(), 39.77 * 2.01e9, 1e-12, "FLOP/s");
    close(rates.bytes_of(Level::Dram).unwrap(), 143.20e9, 1e-12, "bytes/s");
    assert!(!launches[0].counts.is_placed());
    close(launches[0].peaks.iter().find(|peak| peak.0 == Precision::F32).unwrap().2, 43520.0 * 2.01e9, 1e-12, "peak");
    close(launches[0].bandwidth_peaks[0].1, 128.0 * 13.77e9, 1e-12, "bandwidth");
}

/// One launch of a page that tells the compute capability and not the device.
const UNNAMED: &str = "\"ID\",\"Process ID\",\"Process Name\",\"Host Name\",\"Kernel Name\",\"Context\",\"Stream\",\
\"Block Size\",\"Grid Size\",\"Device\",\"CC\",\"Section Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n\
\"0\",\"1\",\"a\",\"127.0.0.1\",\"k()\",\"1\",\"7\",\"(32, 1, 1)\",\"(1, 1, 1)\",\"0\",\"8.0\",\
\"Command line profiler metrics\",\"dram__bytes.sum\",\"byte\",\"64\"\n";

fn imported(text: &str, hardware: Option<&str>) -> Tables {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.csv");
    std::fs::write(&path, text).unwrap();
    let source = Source::open(&path, &Arc::new(Progress::default())).unwrap();
    let mut import = Import::new("ncu_csv", &source, Sink::memory("ncu", 0));
    import.hardware = hardware.map(str::to_owned);
    crate::ncu::read(&source, &|| source.reader(), &mut import, None).unwrap();
    let Filled::Tables(tables) = import.finish().unwrap().0.finish().unwrap() else { unreachable!() };
    *tables
}

#[test]
fn a_device_without_a_name_has_that_of_its_architecture_unless_the_user_names_it() {
    let found = |text: &str, hardware| {
        let tables = imported(text, hardware);
        let devices = tables.get(&tables::DEVICES);
        let codes = frame::texts(tables.get(&tables::ISSUES), "code").unwrap();
        let texts = |name| frame::texts(devices, name).unwrap().into_iter().map(Option::unwrap_or_default);
        let rows: Vec<_> = texts("name").zip(texts("arch")).map(|(name, arch)| format!("{name}|{arch}")).collect();
        (rows, codes.iter().flatten().any(|code| code == "unnamed_device"))
    };
    assert_eq!(found(UNNAMED, None), (vec!["unnamed sm_80|sm_80".to_owned()], true));
    assert_eq!(found(UNNAMED, Some("a100-40gb")), (vec!["a100-40gb|sm_80".to_owned()], false));
    // Decimal commas make the importer begin again: the name is kept.
    let commas = UNNAMED.replace("\"64\"", "\"1.064,50\"");
    assert_eq!(found(&commas, Some("a100-40gb")).0, ["a100-40gb|sm_80"]);
    let unknown = UNNAMED.replace("\"8.0\"", "\"\"");
    assert_eq!(found(&unknown, None), (Vec::new(), true));
    assert_eq!(found(&unknown, Some("a100-40gb")), (vec!["a100-40gb|".to_owned()], false));
}

#[test]
fn the_sms_of_a_device_are_the_most_that_a_launch_of_it_could_use() {
    let sms = |text: &str| frame::ints(imported(text, None).get(&tables::DEVICES), "sm_count").unwrap();
    let row = |launch: u32, sms: &str| {
        format!(
            "\"{launch}\",\"1\",\"a\",\"127.0.0.1\",\"k()\",\"1\",\"7\",\"(32, 1, 1)\",\"(1, 1, 1)\",\"0\",\"8.0\",\
            \"Launch Statistics\",\"# SMs\",\"SM\",\"{sms}\"\n"
        )
    };
    assert_eq!(sms(UNNAMED), [None]);
    // The launch in the middle ran in a green context.
    assert_eq!(sms(&format!("{UNNAMED}{}{}{}", row(0, "108"), row(1, "16"), row(2, "108"))), [Some(108)]);
    assert_eq!(sms(&format!("{UNNAMED}{}{}", row(0, "0"), row(1, "1.5"))), [None]);
    let raw = |columns: &str, values: &str| {
        sms(&format!(
            "\"ID\",\"Kernel Name\",\"CC\",\"launch__sm_count\"{columns}\n\"\",\"\",\"\",\"\"{}\n\
            \"0\",\"k()\",\"8.0\",\"104\"{values}\n",
            ",\"\"".repeat(columns.len().min(1))
        ))
    };
    assert_eq!(raw("", ""), [Some(104)]);
    assert_eq!(raw(",\"device__attribute_multiprocessor_count\"", ",\"108\""), [Some(108)]);
}
