//! `proftool roofline` from outside: a page worked out by hand, counters joined to a timeline, the gate and its exit codes.

use serde_json::Value;

use super::support::{Place, copy_folder, repository, shared_data};

/// One raw page of two kernels on an H100 (132 SMs): a GEMM of n = 4096 in bf16, 2 n^3 = 137,438,953,472 operations and
/// 3 n^2 x 2 bytes in 200 us; and a copying kernel without FLOP, 2 x 100 MB in 80 us.
const PAGE: &str = r#""ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC","dram__bytes_read.sum","dram__bytes_write.sum","gpu__time_duration.sum","sm__ops_path_tensor_src_bf16_dst_fp32.sum","smsp__sass_thread_inst_executed_op_fadd_pred_on.sum","smsp__sass_thread_inst_executed_op_ffma_pred_on.sum","smsp__sass_thread_inst_executed_op_fmul_pred_on.sum"
"","","","","","","","","","","","byte","byte","ns","","inst","inst","inst"
"0","1","serve","host","void gemm<(int)128>(const T1 *)","1","7","(128, 1, 1)","(132, 1, 1)","0","9.0","67108864","33554432","200000","137438953472","0","0","0"
"1","1","serve","host","void move<float>(const T1 *)","1","7","(128, 1, 1)","(132, 1, 1)","0","9.0","100000000","100000000","80000","0","0","0","0"
"#;

fn rows(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let ran = place.ok(&[&["roofline", "--format", "json"], arguments].concat());
    serde_json::from_str::<Value>(&ran.out).expect("JSON").as_array().expect("an array").clone()
}

fn with_page(hardware: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.path().join("page.csv"), PAGE).expect("the page can be written");
    place.ok(&["import", "page.csv", "--hardware", hardware]);
    place
}

fn near(value: &Value, expected: f64, tolerance: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is a number near {expected}"));
    assert!((found / expected - 1.0).abs() <= tolerance, "{found} instead of {expected}");
}

#[test]
fn a_page_of_counters_equals_what_is_worked_out_by_hand() {
    let place = with_page("h100-sxm");
    let found = rows(&place, &[]);
    let gemm =
        found.iter().find(|row| row["name"].as_str().is_some_and(|name| name.contains("gemm"))).expect("the GEMM");
    assert_eq!(gemm["flop"], 137_438_953_472_i64);
    assert_eq!(gemm["dram_bytes"], 100_663_296);
    assert_eq!(gemm["precision"], "matrix_bf16");
    near(&gemm["arithmetic_intensity"], 137_438_953_472.0 / 100_663_296.0, 1e-12);
    near(&gemm["flop_per_s"], 137_438_953_472.0 / 200e-6, 1e-12);
    // 989.4 TFLOP/s and 3.35 TB/s are what the datasheet says: 138.9 us of arithmetic, 30.0 us of bytes.
    near(&gemm["bound_ns"], 138_910.0, 1e-3);
    near(&gemm["efficiency_ratio"], 0.694_55, 1e-3);
    assert_eq!((gemm["limiter"].as_str(), gemm["roof_source"].as_str()), (Some("compute"), Some("datasheet")));
    assert!(gemm["time_source"].as_str().is_some_and(|source| source.starts_with("replay")), "{gemm}");
    let moved =
        found.iter().find(|row| row["name"].as_str().is_some_and(|name| name.contains("move"))).expect("the other");
    // 200 MB at 3.35 TB/s: 59.7 us of 80.
    near(&moved["efficiency_ratio"], 0.746, 2e-3);
    assert_eq!(moved["limiter"], "memory");
    assert!(found.iter().all(|row| row["schema_version"] == 1));
}

#[test]
fn filters_choose_rows_and_an_unknown_one_is_a_usage_error() {
    let place = with_page("h100-sxm");
    assert_eq!(rows(&place, &["--precision", "bf16"]).len(), 1);
    assert_eq!(rows(&place, &["--phase", "none"]).len(), 2);
    assert_eq!(rows(&place, &["--phase", "decode"]).len(), 0);
    assert_eq!(rows(&place, &["--top", "1"]).len(), 1);
    let level = rows(&place, &["--level", "dram"]);
    assert!(level.len() == 2 && level.iter().all(|row| row["level"] == "DRAM"), "{level:?}");
    for wrong in [["--precision", "bf17"], ["--level", "L9"], ["--fail-below", "60"], ["--against", "guess"]] {
        let ran = place.run(&[&["roofline"], &wrong[..]].concat());
        assert_eq!(ran.code, Some(2), "{wrong:?}: {ran:?}");
    }
}

#[test]
fn the_gate_passes_fails_and_refuses_to_judge() {
    let place = with_page("h100-sxm");
    let gate = |place: &Place, arguments: &[&str]| {
        let ran = place.run(&[&["roofline", "--format", "csv"], arguments].concat());
        (ran.code, ran.err)
    };
    // 138.9 + 59.7 of 280 us: 70.9 %.
    let (code, said) = gate(&place, &["--fail-below", "70%"]);
    assert!(code == Some(0) && said.contains("gate: passed"), "{said}");
    let (code, said) = gate(&place, &["--fail-below", "0.72"]);
    assert!(code == Some(6) && said.contains("less than 72.0 %"), "{said}");
    let (code, said) = gate(&place, &["--fail-below", "1%", "--phase", "decode"]);
    assert!(code == Some(6) && said.contains("no row"), "{said}");
    // Without a spec nothing can be placed.
    let place = Place::new();
    std::fs::write(place.path().join("page.csv"), PAGE).expect("the page can be written");
    place.ok(&["import", "page.csv"]);
    let (code, said) = gate(&place, &["--fail-below", "1%"]);
    assert!(code == Some(6) && said.contains("no kernel could be placed"), "{said}");
}

#[test]
fn an_unknown_device_name_is_refused_with_the_close_ones() {
    let place = Place::new();
    std::fs::write(place.path().join("page.csv"), PAGE).expect("the page can be written");
    let wrong = place.run(&["import", "page.csv", "--hardware", "a100-40gb"]);
    assert!(wrong.code == Some(4) && wrong.err.contains("sm_90"), "{wrong:?}");
    let ran = place.run(&["import", "page.csv", "--hardware", "h100-sxn"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("h100-sxm"), "{}", ran.err);
    assert!(place.artifacts().is_empty());
}

#[test]
fn one_capture_is_drawn_in_several_ways_and_two_on_one_chart() {
    let place = with_page("h100-sxm");
    let other = PAGE.replace(r#""9.0""#, r#""8.0""#);
    std::fs::write(place.path().join("other.csv"), other).expect("the page can be written");
    place.ok(&["import", "other.csv", "--hardware", "a100-80gb"]);
    let drawn = |arguments: &[&str]| {
        let file = place.path().join("chart.svg");
        place.ok(&[&["roofline", "--chart", "chart.svg"], arguments].concat());
        let text = std::fs::read_to_string(&file).expect("a chart");
        std::fs::remove_file(&file).expect("it is there");
        text
    };
    let (both, normalised) = (drawn(&["--all"]), drawn(&["--all", "--normalised"]));
    assert!(both.contains("h100-sxm") && both.contains("a100-80gb"), "both devices are labelled");
    assert!(normalised != both && normalised.contains("ridge"));
    assert!(drawn(&["--precision", "bf16"]).contains("gemm"));
    let ran = place.run(&["roofline", "--chart", "nowhere/chart.svg"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

#[test]
fn counters_in_the_folder_of_a_timeline_are_joined_to_it() {
    let place = Place::new();
    let folder = place.path().join("both");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("page.csv"), PAGE).expect("the page can be written");
    // The same kernels in a trace, at 150 us and 70 us; the GEMM a second time with another grid.
    let event = |name: &str, ts: f64, dur: f64, grid: i64| {
        format!(
            r#"{{"ph":"X","cat":"kernel","name":"{name}","pid":0,"tid":7,"ts":{ts},"dur":{dur},"args":{{"device":0,"stream":7,"correlation":0,"grid":[{grid},1,1],"block":[128,1,1]}}}}"#
        )
    };
    let events = [
        event("void gemm<128>(float const*)", 1000.0, 150.0, 132),
        event("void move<float>(float const*)", 1200.0, 70.0, 132),
        event("void other(float const*)", 1300.0, 20.0, 1),
    ];
    let trace = format!(
        r#"{{"schemaVersion":1,"deviceProperties":[{{"id":0,"name":"NVIDIA H100 80GB HBM3","totalGlobalMem":85029158912,"computeMajor":9,"computeMinor":0,"numSms":132}}],"traceEvents":[{}]}}"#,
        events.join(",")
    );
    std::fs::write(folder.join("trace.json"), trace).expect("the trace can be written");
    place.ok(&["import", "both"]);
    let found = rows(&place, &[]);
    let of = |part: &str| {
        found.iter().find(|row| row["name"].as_str().is_some_and(|name| name.contains(part))).expect("a row").clone()
    };
    let gemm = of("gemm");
    assert_eq!((gemm["time_ns"].as_i64(), gemm["match"].as_str()), (Some(150_000), Some("launch")));
    near(&gemm["efficiency_ratio"], 138.91 / 150.0, 1e-3);
    assert_eq!(of("other")["placed"], false);
    let unplaced = place.ok(&["analyze", "--metric", "roofline_unplaced", "--format", "json"]).out;
    let unplaced: Value = serde_json::from_str(&unplaced).expect("JSON");
    near(&unplaced[0]["time_ratio"], 20.0 / 240.0, 1e-9);
    near(&unplaced[0]["placed_time_ratio"], 220.0 / 240.0, 1e-9);
}

#[test]
fn a_committed_capture_has_its_measured_roofs_and_every_list() {
    let place = Place::new();
    copy_folder(&repository().join("artifacts/golden/pipeline_parallelism"), &place.path().join("artifacts"));
    let all = place.ok(&["roofline", "--details", "--format", "json"]).out;
    let all: Value = serde_json::from_str(&all).expect("JSON");
    for list in
        ["roofline", "roofline_unplaced", "triage", "phases", "waterfall", "roofline_level", "roofline_flop", "roofs"]
    {
        assert!(all[list].is_array(), "{list}");
    }
    let parts = ["roof", "inefficiency", "unplaced", "exposed_comm", "exposed_kv", "exposed_copy", "launch", "idle"];
    let steps = all["waterfall"].as_array().expect("rows");
    assert!(!steps.is_empty());
    for row in steps {
        let sum: i64 = parts.iter().map(|part| row[format!("{part}_ns")].as_i64().expect("a part")).sum();
        assert_eq!(row["span_ns"].as_i64(), Some(sum));
    }
    let sources: Vec<&str> =
        all["roofs"].as_array().expect("rows").iter().filter_map(|row| row["source"].as_str()).collect();
    assert!(sources.contains(&"measured") && sources.contains(&"datasheet"), "{sources:?}");
}

#[test]
fn a_page_that_names_no_device_is_placed_once_its_device_is_named() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let page = data.join("ncu/a100_attention_nersc_metrics/bert_flashattn_nsight.csv");
    place.ok(&["import", page.to_str().expect("a path"), "--hardware", "a100-40gb"]);
    let found = rows(&place, &[]);
    assert!(found.iter().all(|row| row["placed"] == true), "{found:?}");
    assert!(found.iter().all(|row| row["formula_note"].as_str().is_some_and(|note| note.contains("512"))));
}

/// A page of one launch with the L2 bytes of that counter.
fn page_of_l2(counter: &str) -> String {
    format!(
        "\"ID\",\"Kernel Name\",\"Block Size\",\"Grid Size\",\"Device\",\"CC\",\"gpu__time_duration.sum\",\"{counter}\"\n\
         \"\",\"\",\"\",\"\",\"\",\"\",\"ns\",\"byte\"\n\
         \"0\",\"k\",\"(32, 1, 1)\",\"(1, 1, 1)\",\"0\",\"8.0\",\"1000\",\"4096\"\n"
    )
}

#[test]
fn bytes_of_a_level_that_count_different_things_are_not_compared() {
    let place = Place::new();
    for (file, counter) in [("old.csv", "lts__t_bytes.sum"), ("new.csv", "l1tex__m_xbar2l1tex_read_bytes.sum")] {
        std::fs::write(place.path().join(file), page_of_l2(counter)).expect("the page can be written");
        place.ok(&["import", file, "--hardware", "a100-40gb"]);
    }
    let ran = place.run(&["roofline", "--level", "L2", "--all"]);
    assert!(ran.code == Some(2) && ran.err.contains("L2 bytes do not compare"), "{ran:?}");
    place.ok(&["roofline", "--all"]);
}

#[test]
fn matrix_instructions_without_a_known_flop_leave_the_flop_open() {
    let place = Place::new();
    let page = "\"ID\",\"Kernel Name\",\"Block Size\",\"Grid Size\",\"Device\",\"CC\",\"gpu__time_duration.sum\",\"dram__bytes.sum\",\
        \"sm__inst_executed_pipe_tensor.sum\",\"sm__inst_executed_pipe_tensor_op_gmma.sum\",\
        \"smsp__sass_thread_inst_executed_op_ffma_pred_on.sum\"\n\
        \"\",\"\",\"\",\"\",\"\",\"\",\"ns\",\"byte\",\"inst\",\"inst\",\"inst\"\n\
        \"0\",\"wgmma\",\"(32, 1, 1)\",\"(1, 1, 1)\",\"0\",\"9.0\",\"1000\",\"4096\",\"100000\",\"100000\",\"0\"\n";
    std::fs::write(place.path().join("page.csv"), page).expect("the page can be written");
    place.ok(&["import", "page.csv", "--hardware", "h100-sxm"]);
    let row = &rows(&place, &[])[0];
    assert!(row["flop"].is_null() && row["flop_per_s"].is_null() && row["partial_launches"] == 1, "{row}");
    assert!(row["formula_note"].as_str().is_some_and(|note| note.contains("GMMA")), "{row}");
}

#[test]
fn a_phase_that_is_neither_known_nor_there_is_a_typing_error() {
    let place = with_page("h100-sxm");
    let ran = place.run(&["roofline", "--phase", "decoed"]);
    assert!(ran.code == Some(2) && ran.err.contains("phases: none"), "{ran:?}");
    assert_eq!(place.run(&["roofline", "--chart", "chart.png"]).code, Some(2));
}

#[test]
fn nobody_who_reads_standard_error_is_no_failure() {
    let place = with_page("h100-sxm");
    let mut child = place
        .command(&["roofline", "--format", "json"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_trace_of_which_less_than_four_fifths_can_be_placed_is_not_judged() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    let trace = data.join("kineto/h100_qwen_0.5b.json.gz");
    place.ok(&["import", trace.to_str().expect("a path")]);
    // 509 kernels of the file have no launching call, so that no operator and no shapes are known.
    let ran = place.run(&["roofline", "--fail-below", "1%", "--format", "csv"]);
    assert!(ran.code == Some(6) && ran.err.contains("could be placed"), "{}", ran.err);
}
