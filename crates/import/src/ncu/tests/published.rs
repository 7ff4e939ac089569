//! What the authors of the captures computed from them, computed again from the imported counters.

use std::collections::BTreeMap;

use super::{Page, column, csv_rows};
use crate::fixture::shared_data;

fn close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    // No bytes give an infinite intensity in both.
    let difference = if ours == theirs { 0.0 } else { (ours / theirs - 1.0).abs() };
    assert!(difference <= tolerance, "{what}: {ours} and {theirs}");
}

/// NERSC's recipe: time from cycles, an FMA is two FLOP, a tensor instruction 512 (right on V100 only, and used here by
/// the authors on an A100).
#[test]
fn flop_time_and_intensity_of_flash_attention_are_the_authors() {
    let Some(folder) = shared_data("ncu/a100_attention_nersc_metrics") else { return };
    let page = Page::read(&folder.join("bert_flashattn_nsight.csv"));
    let mut reader = csv::Reader::from_path(folder.join("bert_flashattn_nsight_processed_res.csv")).unwrap();
    let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let mut kernels = 0;
    for (launch, row) in reader.records().map(Result::unwrap).enumerate() {
        let launch = launch as i64;
        let theirs = |name: &str| row[heads.iter().position(|head| head == name).unwrap()].parse::<f64>().unwrap();
        let op = |precision: char| {
            let op =
                |kind| page.get(launch, &format!("sm__sass_thread_inst_executed_op_{precision}{kind}_pred_on.sum"));
            op("add") + op("mul") + 2.0 * op("fma")
        };
        let time = page.get(launch, "sm__cycles_elapsed.avg") / page.get(launch, "sm__cycles_elapsed.avg.per_second");
        let cores = op('d') + op('f') + op('h');
        let tensor = 512.0 * page.get(launch, "sm__inst_executed_pipe_tensor.sum");
        close(time, theirs("Time"), 1e-15, "time");
        close(cores, theirs("CC FLOPs"), 0.0, "FLOP outside tensor cores");
        close(tensor, theirs("TC FLOPs"), 0.0, "FLOP in tensor cores");
        for (level, bytes) in [("HBM", "dram__bytes.sum"), ("L2", "lts__t_bytes.sum"), ("L1", "l1tex__t_bytes.sum")] {
            close((cores + tensor) / page.get(launch, bytes), theirs(&format!("AI {level}")), 1e-15, level);
        }
        // In this file their GFLOP/s is 10^9 per second.
        close((cores + tensor) / time / 1e9, theirs("GFLOP/s"), 1e-14, "GFLOP/s");
        assert_eq!(page.launches("name")[kernels].as_deref(), Some(&row[heads.len() - 1]));
        kernels += 1;
    }
    assert_eq!(kernels, 10);
}

#[test]
fn the_table_of_counters_of_seven_kernels_is_the_authors() {
    let Some(folder) = shared_data("ncu/rtx5070_kernels") else { return };
    let table = std::fs::read_to_string(folder.join("table_ncu_counters.tex")).unwrap();
    let mut kernels = 0;
    for line in table.lines().filter(|line| line.contains("\\_") || line.starts_with("saxpy")) {
        let cells: Vec<String> =
            line.trim_end_matches("\\\\").split('&').map(|cell| cell.trim().replace('\\', "")).collect();
        let page = Page::read(&folder.join(format!("ncu_{}.csv", cells[0])));
        let get = |metric: &str| page.get(0, metric);
        let sectors = |op: &str| {
            let count = |what: &str| get(&format!("l1tex__t_{what}_pipe_lsu_mem_global_op_{op}.sum"));
            count("sectors") / count("requests")
        };
        let bytes = get("dram__bytes_op_read.sum") + get("dram__bytes_op_write.sum");
        let ours = [
            get("lts__t_sector_hit_rate.pct"),
            get("sm__warps_active.avg.pct_of_peak_sustained_active"),
            get("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum") / 1e6,
            sectors("ld"),
            sectors("st"),
            bytes / get("gpu__time_duration.sum"),
        ];
        for (ours, theirs) in ours.iter().zip(&cells[1..]) {
            assert_eq!(format!("{ours:.2}"), *theirs, "{line}");
        }
        assert_eq!(page.unit("gpu__time_duration.sum"), Some("ns"));
        assert_eq!(page.issue("program_output").1, 6);
        kernels += 1;
    }
    assert_eq!(kernels, 7);
    let naive = Page::read(&folder.join("ncu_gemm_naive.csv"));
    assert_eq!(naive.get(0, "lts__t_sector_hit_rate.pct"), 100.39, "not clipped");
}

#[test]
fn the_summary_of_ten_kernels_of_an_inference_is_the_authors() {
    let Some(folder) = shared_data("ncu/rtx5090_ocr_inference") else { return };
    let mut reader = csv::Reader::from_path(folder.join("analysis__metrics_summary.csv")).unwrap();
    let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let (sol, memory) = ("GPU Speed Of Light Throughput", "Memory Workload Analysis");
    let mut kernels = 0;
    for row in reader.records().map(Result::unwrap) {
        let path = folder.join(format!("{}__ncu.details.csv", &row[0]));
        if !path.exists() {
            continue;
        }
        let page = Page::read(&path);
        for (head, section, name, scale) in [
            ("sm_throughput_pct", sol, "Compute (SM) Throughput", 1.0),
            ("dram_throughput_pct", sol, "DRAM Throughput", 1.0),
            ("mem_throughput_pct", sol, "Memory Throughput", 1.0),
            ("l1tex_throughput_pct", sol, "L1/TEX Cache Throughput", 1.0),
            ("l2_throughput_pct", sol, "L2 Cache Throughput", 1.0),
            ("duration_us", sol, "Duration", 1e3),
            ("mem_busy_pct", memory, "Mem Busy", 1.0),
            ("max_bandwidth_pct", memory, "Max Bandwidth", 1.0),
            ("memory_throughput_gbs", memory, "Memory Throughput", 1e9),
            ("l1tex_hit_rate_pct", memory, "L1/TEX Hit Rate", 1.0),
            ("l2_hit_rate_pct", memory, "L2 Hit Rate", 1.0),
            ("achieved_occupancy_pct", "Occupancy", "Achieved Occupancy", 1.0),
            ("theoretical_occupancy_pct", "Occupancy", "Theoretical Occupancy", 1.0),
        ] {
            let theirs: f64 = row[heads.iter().position(|other| other == head).unwrap()].parse().unwrap();
            let (ours, _) = page.display(0, section, name);
            close(ours, theirs * scale, 1e-12, &format!("{} {head}", &row[0]));
        }
        kernels += 1;
    }
    assert_eq!(kernels, 10);
}

/// The longer table of the same authors: every number of every details page that they kept.
#[test]
fn every_number_in_the_authors_long_table_is_in_the_details_pages() {
    let Some(folder) = shared_data("ncu/rtx5090_ocr_inference") else { return };
    let mut pages: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let mut reader = csv::Reader::from_path(folder.join("analysis__all_metrics_long.csv")).unwrap();
    let mut numbers = 0;
    for row in reader.records().map(Result::unwrap) {
        let path = folder.join(format!("{}__ncu.details.csv", &row[0]));
        if path.exists() {
            let rows = pages.entry(row[0].to_owned()).or_insert_with(|| csv_rows(&path));
            let (name, value) = (column(rows, "Metric Name"), column(rows, "Metric Value"));
            let theirs: f64 = row[3].parse().unwrap();
            let printed = |cell: &str| cell.replace(',', "").parse() == Ok(theirs);
            assert!(rows[1..].iter().any(|cells| cells[name] == row[2] && printed(&cells[value])), "{row:?}");
            numbers += 1;
        }
    }
    assert_eq!(numbers, 300);
}
