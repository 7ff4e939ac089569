//! Counter pages of Nsight Compute beside what their authors computed from them.

use std::path::Path;

use crate::check::{Check, List};
use crate::number::{Format, printed};
use crate::page::Section;
use crate::published::Counters;
use crate::sheet::Sheet;

pub(crate) fn section(shared: &Path) -> Section {
    let mut section = Section::new("ncu, the authors' results", "ncu: what the authors computed from the same pages");
    let folder = shared.join("data/ncu");
    rtx5070(&mut section, &folder.join("rtx5070_kernels"));
    section.heading("a100_attention_nersc_metrics and rtx5090_ocr_inference");
    section.paragraph(
        "A100: `bert_flashattn_nsight_processed_res.csv`, NERSC's recipe: time = cycles / (cycles per second), FLOP = \
         add + mul + 2 fma of the three precisions, 512 FLOP a tensor instruction (right on V100; the authors use it on \
         this A100 and so does this comparison), arithmetic intensity by DRAM, L2 and L1 bytes, GFLOP/s of 10^9. \
         RTX 5090: thirteen columns of `analysis__metrics_summary.csv` for the ten kernels whose details pages are \
         stored. Compared to 1 part in 10^14, the last digit of a double.",
    );
    section.lists(&[attention(&folder), inference(&folder)], None);
    section
}

/// Table of seven kernels, values as printed with two digits.
fn rtx5070(section: &mut Section, folder: &Path) {
    section.heading("rtx5070_kernels: the authors' `table_ncu_counters.tex`");
    section.paragraph(
        "Sectors a request = sectors / requests of global loads and stores; DRAM GB/s = (read + write bytes) / duration; \
         conflicts = shared-memory bank conflicts in millions.",
    );
    let table = std::fs::read_to_string(folder.join("table_ncu_counters.tex")).unwrap();
    let mut checks = Vec::new();
    for line in table.lines().filter(|line| line.contains("\\_") || line.starts_with("saxpy")) {
        let cells = line.trim_end_matches("\\\\").split('&').map(|cell| cell.trim().replace('\\', ""));
        let cells: Vec<String> = cells.collect();
        let page = Counters::import(&folder.join(format!("ncu_{}.csv", cells[0])));
        let get = |metric: &str| page.get(0, metric);
        let sectors = |op: &str| {
            let count = |what: &str| get(&format!("l1tex__t_{what}_pipe_lsu_mem_global_op_{op}.sum"));
            count("sectors") / count("requests")
        };
        let bytes = get("dram__bytes_op_read.sum") + get("dram__bytes_op_write.sum");
        let values = [
            ("L2 hit, %", get("lts__t_sector_hit_rate.pct")),
            ("occupancy, %", get("sm__warps_active.avg.pct_of_peak_sustained_active")),
            ("conflicts, M", get("l1tex__data_bank_conflicts_pipe_lsu_mem_shared.sum") / 1e6),
            ("sectors a load", sectors("ld")),
            ("sectors a store", sectors("st")),
            ("DRAM, GB/s", bytes / get("gpu__time_duration.sum")),
        ];
        for ((what, ours), theirs) in values.into_iter().zip(&cells[1..]) {
            let (theirs, half) = printed(theirs).unwrap();
            checks.push(Check::float(format!("{}: {what}", cells[0]), ours, theirs, Format::Fixed(2), half));
        }
    }
    section.checks("authors", &checks);
}

/// Compares relatively; both infinite is equal.
fn close(list: &mut List, place: impl FnOnce() -> String, ours: f64, theirs: f64) {
    if ours.is_infinite() && theirs.is_infinite() {
        list.tally.equal += 1;
    } else {
        list.number(place, ours, theirs, theirs.abs() * 1e-14);
    }
}

fn attention(folder: &Path) -> List {
    let folder = folder.join("a100_attention_nersc_metrics");
    let page = Counters::import(&folder.join("bert_flashattn_nsight.csv"));
    let sheet = Sheet::open(&folder.join("bert_flashattn_nsight_processed_res.csv"));
    let mut list = List::new("A100 flash attention: time, FLOP, intensity, GFLOP/s, name");
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let get = |metric: &str| page.get(row as i64, metric);
        let op = |precision: char| {
            let op = |kind| get(&format!("sm__sass_thread_inst_executed_op_{precision}{kind}_pred_on.sum"));
            op("add") + op("mul") + 2.0 * op("fma")
        };
        let time = get("sm__cycles_elapsed.avg") / get("sm__cycles_elapsed.avg.per_second");
        let (cores, tensor) = (op('d') + op('f') + op('h'), 512.0 * get("sm__inst_executed_pipe_tensor.sum"));
        let flop = cores + tensor;
        let values = [
            ("Time", time),
            ("CC FLOPs", cores),
            ("TC FLOPs", tensor),
            ("AI HBM", flop / get("dram__bytes.sum")),
            ("AI L2", flop / get("lts__t_bytes.sum")),
            ("AI L1", flop / get("l1tex__t_bytes.sum")),
            ("GFLOP/s", flop / time / 1e9),
        ];
        for (column, ours) in values {
            close(&mut list, || format!("{column} of kernel {row}"), ours, sheet.number(row, column));
        }
        list.text(|| format!("name of kernel {row}"), &page.names[row], sheet.rows[row].last().unwrap());
    }
    list
}

fn inference(folder: &Path) -> List {
    let folder = folder.join("rtx5090_ocr_inference");
    let sheet = Sheet::open(&folder.join("analysis__metrics_summary.csv"));
    let (sol, memory) = ("GPU Speed Of Light Throughput", "Memory Workload Analysis");
    let columns = [
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
    ];
    let mut list = List::new("RTX 5090 inference: throughputs, duration, hit rates, occupancy");
    for row in 0..sheet.rows.len() {
        let path = folder.join(format!("{}__ncu.details.csv", sheet.rows[row][0]));
        if !path.exists() {
            continue;
        }
        let page = Counters::import(&path);
        list.rows += 1;
        for (column, section, metric, scale) in columns {
            let ours = page.display(0, section, metric);
            close(&mut list, || format!("{column} of {}", sheet.rows[row][0]), ours, sheet.number(row, column) * scale);
        }
    }
    list
}
