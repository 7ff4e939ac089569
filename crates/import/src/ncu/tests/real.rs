//! Real pages against each other and against an independent reader of comma-separated text.

use super::{Page, column, csv_rows};
use crate::fixture::shared_data;

const GB200: &str = "ncu/gb200_cuda_graph_full/jaxtoolbox_cuda_graph_pdl";

#[test]
fn the_scaled_and_the_base_page_of_one_report_give_the_same_values() {
    let (Some(scaled), Some(base)) =
        (shared_data(&format!("{GB200}.raw.csv")), shared_data(&format!("{GB200}.raw-base.csv")))
    else {
        return;
    };
    let (scaled, base) = (Page::read(&scaled), Page::read(&base));
    assert_eq!(scaled.counters, base.counters);
    let interval = "profiler__pmsampler_interval_time";
    assert_eq!((base.get(0, interval), base.unit(interval)), (1000.0, Some("ns")), "printed as 1.000000 usecond");
}

#[test]
fn every_numeric_cell_of_a_raw_page_becomes_one_counter() {
    let Some(path) = shared_data(&format!("{GB200}.raw-base.csv")) else { return };
    let (page, rows) = (Page::read(&path), csv_rows(&path));
    let identity =
        ["ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream", "Device", "CC"];
    let mut cells = 0;
    for (launch, row) in rows[2..].iter().enumerate() {
        for (name, cell) in rows[0].iter().zip(row).filter(|(name, _)| !identity.contains(&name.as_str())) {
            if let Some(value) = cell.parse().ok().filter(|value: &f64| value.is_finite()) {
                cells += 1;
                assert_eq!(page.get(launch as i64, name).to_bits(), value.to_bits(), "{name}");
            }
        }
    }
    assert_eq!((page.rows, cells), (3 * 2429, 3 * 2429), "3 launches, 2,429 columns of numbers");
    assert_eq!(page.launches("name")[0].as_deref(), Some("kernelA(float *, int)"));
    assert_eq!(page.launches("grid"), ["(4,1,1)", "(2,1,1)", "(2,1,1)"].map(|grid| Some(grid.to_owned())));
    assert_eq!(page.numbers("launch_index"), [0, 0, 0]);
    let devices = page.tables.get(&proftool_trace::tables::DEVICES);
    let text = |name| proftool_trace::frame::texts(devices, name).unwrap()[0].clone().unwrap();
    assert_eq!([text("name"), text("arch"), text("pci_bus_id")], ["NVIDIA GB200", "sm_100", "00000008:01:00.0"]);
    assert_eq!(proftool_trace::frame::ints(devices, "sm_count").unwrap(), [Some(152)]);
    // For each launch four words (the device's name is one more), two "no data" and a nan; 14 metrics were not collected.
    assert_eq!(page.issue("text_metric"), ("info".to_owned(), 12));
    assert_eq!(page.issue("no_value"), ("info".to_owned(), 9));
    assert_eq!(page.issues().len(), 2);
}

#[test]
fn the_details_page_agrees_with_the_raw_page_where_both_print_a_metric() {
    let (Some(details), Some(raw)) =
        (shared_data(&format!("{GB200}.details.csv")), shared_data(&format!("{GB200}.raw.csv")))
    else {
        return;
    };
    let (details, raw) = (Page::read(&details), Page::read(&raw));
    for launch in 0..3 {
        for (section, name, metric) in [
            ("GPU Speed Of Light Throughput", "Duration", "gpu__time_duration.sum"),
            ("GPU Speed Of Light Throughput", "DRAM Frequency", "dram__cycles_elapsed.avg.per_second"),
            ("GPU Speed Of Light Throughput", "SM Frequency", "gpc__cycles_elapsed.avg.per_second"),
            ("GPU Speed Of Light Throughput", "Elapsed Cycles", "gpc__cycles_elapsed.max"),
            ("GPU Speed Of Light Throughput", "SM Active Cycles", "sm__cycles_active.avg"),
            ("Memory Workload Analysis", "Memory Throughput", "dram__bytes.sum.per_second"),
            ("Memory Workload Analysis", "L2 Hit Rate", "lts__t_sector_hit_rate.pct"),
            ("Launch Statistics", "Registers Per Thread", "launch__registers_per_thread"),
            ("GPU and Memory Workload Distribution", "Total SM Elapsed Cycles", "sm__cycles_elapsed.sum"),
        ] {
            assert_eq!(details.display(launch, section, name).0.to_bits(), raw.get(launch, metric).to_bits(), "{name}");
        }
        // The same name, another section, another metric: 1.24 % and 1.33 GB/s, both printed without a unit.
        let sections = ["GPU Speed Of Light Throughput", "Memory Workload Analysis"];
        let [percent, rate] = sections.map(|section| details.display(launch, section, "Memory Throughput").0);
        assert!(percent < 100.0 && rate > 1e8, "{percent} {rate}");
        let bytes = raw.get(launch, "dram__bytes_read.sum") + raw.get(launch, "dram__bytes_write.sum");
        let seconds = raw.get(launch, "gpu__time_duration.sum") * 1e-9;
        assert!((bytes / seconds / raw.get(launch, "dram__bytes.sum.per_second") - 1.0).abs() < 1e-9);
    }
    assert_eq!(details.issue("profiler_warning"), ("info".to_owned(), 63));
    assert_eq!(details.launches("name"), raw.launches("name"));
}

#[test]
fn ragged_rows_of_details_pages_are_whole() {
    for kernel in ["0001_67bdb7e29d1bb4e0ca0aec954ef18af3", "0004_16864015d8ec27ba6cf878e5c5ff03d9"] {
        for kind in ["details", "metrics", "section_SpeedOfLight", "section_SpeedOfLight_RooflineChart"] {
            let file = format!("ncu/rtx5090_ocr_inference/kernel_{kernel}__ncu.{kind}.csv");
            let Some(path) = shared_data(&file) else { return };
            let (page, rows) = (Page::read(&path), csv_rows(&path));
            let (value, metric) = (column(&rows, "Metric Value"), column(&rows, "Metric Name"));
            let number = |cell: &String| cell.replace(',', "").parse::<f64>().is_ok();
            let numeric = rows[1..].iter().filter(|row| number(&row[value])).count();
            assert!(rows[1..].iter().any(|row| row.len() < rows[0].len()), "{file} has ragged rows");
            assert_eq!(page.rows, numeric, "{file}");
            let unavailable = rows[1..].iter().filter(|row| row[value] == "n/a").count() as i64;
            let rules = rows[1..].iter().filter(|row| row[metric].is_empty()).count() as i64;
            assert_eq!(page.issues().get("no_value").map_or(0, |issue| issue.1), unavailable, "{file}");
            assert_eq!(page.issue("rule_result"), ("info".to_owned(), rules), "{file}");
        }
    }
}

#[test]
fn separators_messages_and_a_failed_kernel_are_understood() {
    let Some(folder) = shared_data("ncu/a100_sgemm") else { return };
    for (file, bytes, l1, ffma) in [
        ("gemm.csv", 5_318_969_728.0, 16_764_800_860_160.0, 838_860_800.0),
        ("sgemm.csv", 5_323_503_232.0, 16_840_298_332_000.0, 838_860_800.0),
        ("share_tile.csv", 5_443_677_824.0, 16_852_881_244_160.0, 838_860_800.0),
    ] {
        let page = Page::read(&folder.join(file));
        assert_eq!(page.get(0, "dram__bytes.sum"), bytes, "{file}");
        assert_eq!(page.get(0, "l1tex__t_bytes.sum"), l1, "{file}");
        assert_eq!(page.get(0, "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum"), ffma, "{file}");
        assert_eq!(page.unit("smsp__cycles_elapsed.avg.per_second"), Some("hz"));
        assert_eq!((page.rows, page.launches("grid")[0].as_deref()), (45, Some("(640,1280,1)")), "{file}");
        // Two matrices of other sizes are initialised by the same kernel, so neither launch repeats the other.
        assert_eq!(page.numbers("launch_index"), [0, 0, 0], "{file}");
        let errors = if file == "share_tile.csv" { Some(("data_loss".to_owned(), 2)) } else { None };
        assert_eq!(page.issues().remove("profiler_error"), errors, "{file}");
    }
}

#[test]
fn a_file_saved_again_by_pandas_gives_what_the_original_gives() {
    let Some(folder) = shared_data("ncu/a100_attention_nersc_metrics") else { return };
    let original = Page::read(&folder.join("bert_flashattn_nsight.csv"));
    let saved = Page::read(&folder.join("bert_flashattn_nsight_processed.csv"));
    assert_eq!((original.launches("name").len(), saved.rows), (10, 230));
    assert_eq!(original.launches("name"), saved.launches("name"));
    let same = saved.counters.iter().filter(|(key, value)| original.counters.get(key) == Some(*value)).count();
    assert_eq!(same, 230, "the authors kept 23 metrics a kernel");
    assert_eq!(original.launches("grid")[0], None, "pages of 2023 do not print it");
}

#[test]
fn a_pivot_keeps_its_values_and_says_what_it_lost() {
    let Some(path) = shared_data("ncu/a100_attention_nersc_metrics/relu_nsight_result.csv") else { return };
    let page = Page::read(&path);
    assert_eq!((page.launches("name").len(), page.rows), (4237, 4237 * 21));
    assert_eq!(page.get(0, "dram__bytes.sum"), 7_864_448.0);
    assert_eq!(page.get(0, "sm__cycles_elapsed.avg.per_second"), 1_024_468_659.04);
    assert_eq!((page.launches("name")[0].as_deref(), page.unit("dram__bytes.sum")), (Some("unknown"), None));
    assert_eq!(page.issue("no_units"), ("data_loss".to_owned(), 1));
}
