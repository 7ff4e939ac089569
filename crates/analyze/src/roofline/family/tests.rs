//! Rows of rates, of zeros, and of launches that know different things. Roofs: 100 GFLOP/s f32, 10 GB/s.

use polars::prelude::DataFrame;
use proftool_trace::frame::{Tables, floats, ints, texts};

use crate::fixture::{Fixture, FixtureCeiling, shared_data};
use crate::metrics::{Against, Input, find};
use crate::windows::Window;

const FFMA: &str = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum";
const FFMA_RATE: &str = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum.per_second";
const DFMA_RATE: &str = "smsp__sass_thread_inst_executed_op_dfma_pred_on.sum.per_second";
const DRAM: &str = "dram__bytes.sum";
const DRAM_RATE: &str = "dram__bytes.sum.per_second";
const TIME: &str = "gpu__time_duration.sum";

fn measured() -> Fixture {
    let ceiling = |name, precision, level, value| FixtureCeiling {
        name,
        precision,
        level,
        isa: None,
        cores: 1,
        value,
        per_cycle: None,
    };
    let fixture = Fixture::new().gpu("Some accelerator", "sm_00").ceiling(ceiling("read", None, Some("DRAM"), 10e9));
    fixture.ceiling(ceiling("fma", Some("f32"), None, 100e9))
}

fn metric(name: &str, tables: &Tables, against: Against) -> DataFrame {
    let input = Input::new("run", "target", tables, Window::Default).with_against(against);
    (find(name).unwrap().compute)(&input).unwrap()
}

fn of(name: &str, fixture: &Fixture) -> DataFrame {
    metric(name, &fixture.tables(), Against::Measured)
}

fn text(frame: &DataFrame, column: &str) -> Vec<String> {
    texts(frame, column).unwrap().into_iter().map(Option::unwrap_or_default).collect()
}

#[test]
fn rates_stand_in_rows_by_precision_and_level_and_name_their_roofs() {
    // 15 G FMA/s = 30 GFLOP/s of 100, no f64; 5 GB/s of 10; 30 / 5 FLOP a byte.
    let fixture = measured().profiled("gemm", None, &[(FFMA_RATE, 15e9), (DFMA_RATE, 0.0), (DRAM_RATE, 5e9)]);
    let row = of("roofline", &fixture);
    assert_eq!((text(&row, "precision"), text(&row, "level")), (vec!["f32".to_owned()], vec!["DRAM".to_owned()]));
    assert_eq!(ints(&row, "matched_launches").unwrap(), [Some(1)]);
    assert_eq!((text(&row, "flop_source"), text(&row, "bytes_source")), (text(&row, "bytes_source"), counter()));
    assert_eq!(text(&row, "roof_source"), ["measured"]);
    assert!(text(&row, "roof_compute")[0].contains("f32") && text(&row, "roof_bandwidth")[0].contains("DRAM"));
    assert_eq!(floats(&row, "roof_flop_per_s").unwrap(), [Some(100e9)]);
    assert_eq!(floats(&row, "roof_bytes_per_s").unwrap(), [Some(10e9)]);
    let parts = of("roofline_flop", &fixture);
    assert_eq!(text(&parts, "precision"), ["f32", "f64"]);
    assert_eq!(floats(&parts, "flop_per_s").unwrap(), [Some(30e9), Some(0.0)]);
    assert_eq!(floats(&parts, "peak_ratio").unwrap(), [Some(0.3), None]);
    assert_eq!(
        (ints(&parts, "flop").unwrap(), floats(&parts, "math_ns").unwrap()),
        (vec![None, None], vec![None, None])
    );
    let levels = of("roofline_level", &fixture);
    assert_eq!((text(&levels, "level"), ints(&levels, "bytes").unwrap()), (vec!["DRAM".to_owned()], vec![None]));
    assert_eq!(floats(&levels, "roof_ratio").unwrap(), [Some(0.5)]);
    assert_eq!(floats(&levels, "arithmetic_intensity").unwrap(), [Some(6.0)]);
}

fn counter() -> Vec<String> {
    vec!["counter".to_owned()]
}

#[test]
fn a_mean_rate_is_that_of_the_launches_that_state_it() {
    // FLOP/s of one launch only; bytes/s of both: (5 + 3) / 2. The intensity is of the first: 30 / 5.
    let fixture = measured().profiled("gemm", None, &[(FFMA_RATE, 15e9), (DRAM_RATE, 5e9)]);
    let row = of("roofline", &fixture.profiled("gemm", None, &[(DRAM_RATE, 3e9)]));
    assert_eq!(floats(&row, "flop_per_s").unwrap(), [Some(30e9)]);
    assert_eq!(floats(&row, "bytes_per_s").unwrap(), [Some(4e9)]);
    assert_eq!(floats(&row, "arithmetic_intensity").unwrap(), [Some(6.0)]);
}

#[test]
fn an_intensity_is_over_the_launches_that_have_both() {
    // 200 FLOP and 100 bytes; 300 bytes; 600 FLOP: 200 / 100, not 800 / 400.
    let fixture = measured().profiled("a", None, &[(FFMA, 100.0), (DRAM, 100.0), (TIME, 50.0)]);
    let fixture = fixture.profiled("a", None, &[(DRAM, 300.0), (TIME, 50.0)]);
    let fixture = fixture.profiled("a", None, &[(FFMA, 300.0), (TIME, 50.0)]);
    let row = of("roofline", &fixture);
    assert_eq!((ints(&row, "flop").unwrap(), ints(&row, "dram_bytes").unwrap()), (vec![Some(800)], vec![Some(400)]));
    assert_eq!(floats(&row, "arithmetic_intensity").unwrap(), [Some(2.0)]);
    assert_eq!(floats(&of("roofline_level", &fixture), "arithmetic_intensity").unwrap(), [Some(2.0)]);
}

#[test]
fn a_counted_zero_is_zero_and_the_row_says_of_what() {
    let page = [(FFMA, 0.0), (DRAM, 100.0), (TIME, 50.0)];
    let fixture = measured().profiled("copy", None, &page);
    let row = of("roofline", &fixture);
    assert_eq!((ints(&row, "flop").unwrap(), floats(&row, "flop_per_s").unwrap()), (vec![Some(0)], vec![Some(0.0)]));
    assert!(text(&row, "formula_note")[0].contains("no operation of f32 was counted"));
    assert_eq!((text(&row, "precision"), text(&row, "limiter")), (vec![String::new()], vec!["memory".to_owned()]));
    let parts = of("roofline_flop", &fixture);
    assert_eq!((text(&parts, "precision"), ints(&parts, "flop").unwrap()), (vec!["f32".to_owned()], vec![Some(0)]));
    assert_eq!(floats(&parts, "peak_ratio").unwrap(), [Some(0.0)]);
    // Beside a timeline what the counters leave open comes from elsewhere: no zero may stand in its way.
    let timed = fixture.named_kernel("copy", 0, 0, (0, 50)).work(0, "decode", 0, 0, 1).counts(700, 100);
    assert_eq!(ints(&of("roofline", &timed), "flop").unwrap(), [Some(700)]);
}

#[test]
fn nothing_but_counted_zeros_is_no_point() {
    let fixture = measured().profiled("idle", None, &[(FFMA, 0.0), (TIME, 50.0)]);
    let row = of("roofline", &fixture);
    assert_eq!((ints(&row, "flop").unwrap(), ints(&row, "bound_ns").unwrap()), (vec![Some(0)], vec![None]));
    assert_eq!(text(&of("roofline_unplaced", &fixture), "reason"), ["no formula for its counters"]);
}

/// The efficiencies of a frame without the name of a roof beside them.
fn unnamed(frame: &DataFrame) -> Vec<String> {
    let pairs = [
        ("efficiency_ratio", "roof_source"),
        ("efficiency_datasheet_ratio", "roof_datasheet"),
        ("efficiency_observed_ratio", "roof_observed"),
        ("shared_efficiency_ratio", "roof_source"),
    ];
    let mut missing = Vec::new();
    for (ratio, roof) in pairs {
        for (at, (ratio, name)) in floats(frame, ratio).unwrap().into_iter().zip(text(frame, roof)).enumerate() {
            if ratio.is_some() && name.is_empty() {
                missing.push(format!("{}: {roof}", text(frame, "name")[at]));
            }
        }
    }
    let (compute, memory) = (text(frame, "roof_compute"), text(frame, "roof_bandwidth"));
    for (at, ratio) in floats(frame, "efficiency_ratio").unwrap().into_iter().enumerate() {
        if ratio.is_some() && compute[at].is_empty() && memory[at].is_empty() {
            missing.push(format!("{}: neither roof", text(frame, "name")[at]));
        }
    }
    missing
}

fn check(tables: &Tables, what: &str) {
    for against in [Against::Measured, Against::Datasheet] {
        assert_eq!(unnamed(&metric("roofline", tables, against)), [""; 0], "{what}, {against:?}");
    }
}

#[test]
fn no_efficiency_stands_without_its_roof() {
    let all = ["d", "f", "h"].map(|letter| ["add", "mul", "fma"].map(|operation| (letter, operation)));
    let name = |(letter, operation)| format!("smsp__sass_thread_inst_executed_op_{letter}{operation}_pred_on.sum");
    let leak = |name: String| -> &'static str { name.leak() };
    let idle: Vec<(&'static str, f64)> = all.concat().into_iter().map(|own| (leak(name(own)), 0.0)).collect();
    let page = |more: &[(&'static str, f64)]| [&idle[..], &[(TIME, 50.0)], more].concat();
    let h100 = || Fixture::new().gpu("NVIDIA H100 80GB HBM3", "sm_90");
    // sm_60 has no tensor cores, so that all nine zeros are all arithmetic: a bound of zero, from whichever roof.
    let old = Fixture::new().gpu("Tesla P100", "sm_60").ceiling(FixtureCeiling {
        name: "fma",
        precision: Some("f32"),
        level: None,
        isa: None,
        cores: 1,
        value: 1e12,
        per_cycle: None,
    });
    let fixtures = [
        old.profiled("idle", None, &page(&[])),
        measured().profiled("idle", None, &page(&[(DRAM, 10.0)])),
        measured().profiled("flop", None, &[(FFMA, 10.0), (TIME, 50.0)]),
        measured().profiled("bytes", None, &[(DRAM, 10.0), (TIME, 50.0)]),
        measured().profiled("rates", None, &[(FFMA_RATE, 1e9), (DRAM_RATE, 1e9)]),
        h100().profiled("flop", None, &[(FFMA, 10.0), (TIME, 50.0), ("sm__cycles_elapsed.avg.per_second", 1e9)]),
        h100().profiled("rates", None, &[(FFMA_RATE, 1e9), ("sm__cycles_elapsed.avg.per_second", 1e9)]),
        h100().profiled("l2", None, &[("lts__t_bytes.sum", 10.0), (TIME, 50.0)]),
        h100().copy(0, 0, (0, 50), 0, 100).copy_kind("h2d").copy(0, 0, (50, 90), 0, 100).copy_kind("d2d"),
        h100().copy(0, 0, (0, 50), 0, 100).copy_kind("p2p"),
        Fixture::new().copy(0, 1, (0, 50), 1, 100).link(0, 1, 5e9),
        measured().kernel(0, 0, (0, 50)).work(0, "decode", 0, 0, 1).counts(5, 5),
    ];
    for (at, fixture) in fixtures.iter().enumerate() {
        check(&fixture.tables(), &format!("fixture {at}"));
    }
}

/// A page of more bytes has nothing that a smaller one has not.
const LARGEST: u64 = 400_000;

#[test]
fn no_efficiency_of_a_published_page_stands_without_its_roof() {
    let Some(folder) = shared_data("ncu") else { return };
    let mut pages = 0;
    for entry in std::fs::read_dir(folder).unwrap().flat_map(|entry| std::fs::read_dir(entry.unwrap().path())).flatten()
    {
        let path = entry.unwrap().path();
        let small = std::fs::metadata(&path).unwrap().len() < LARGEST;
        if !small || path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        if let Ok((_, tables)) = proftool_import::into_memory(&path) {
            check(&tables, &path.display().to_string());
            pages += 1;
        }
    }
    assert!(pages > 20, "{pages}");
}
