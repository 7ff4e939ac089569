//! The engine on hand-written pages and timelines. The device of most has measured roofs of 100 GFLOP/s f32 and 10 GB/s,
//! so that 100 FLOP or 10 bytes take a nanosecond.

mod join;

use polars::prelude::DataFrame;
use proftool_roofline::{Level, Limiter, Precision};
use proftool_trace::frame::{bools, floats, ints, texts};

use super::join::Reason;
use super::{Against, Engine, Quality};
use crate::fixture::{Fixture, FixtureCeiling};
use crate::metrics::{Input, find};
use crate::windows::Window;

const FFMA: &str = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum";
const DRAM: &str = "dram__bytes.sum";
const TIME: &str = "gpu__time_duration.sum";
const SHAPE: [[i64; 3]; 2] = [[4, 1, 1], [128, 1, 1]];
const OTHER: [[i64; 3]; 2] = [[8, 1, 1], [128, 1, 1]];
const H100: &str = "NVIDIA H100 80GB HBM3";

fn ceiling(name: &'static str, precision: Option<&'static str>, value: f64) -> FixtureCeiling {
    let level = if precision.is_some() { None } else { Some("DRAM") };
    FixtureCeiling { name, precision, level, isa: None, cores: 1, value, per_cycle: None }
}

/// A GPU that no spec knows, with measured roofs.
fn measured() -> Fixture {
    let fixture = Fixture::new().gpu("Some accelerator", "sm_00");
    fixture.ceiling(ceiling("fma", Some("f32"), 100e9)).ceiling(ceiling("read", None, 10e9))
}

/// Counters of a launch that did that many FMA, moved that many bytes, and took that long.
fn page(ffma: f64, bytes: f64, ns: f64) -> [(&'static str, f64); 3] {
    [(FFMA, ffma), (DRAM, bytes), (TIME, ns)]
}

fn engine<R>(fixture: &Fixture, look: impl FnOnce(&Engine) -> R) -> R {
    let tables = fixture.tables();
    let input = Input::new("run", "target", &tables, Window::Default);
    look(input.engine().unwrap())
}

fn metric(name: &str, fixture: &Fixture, against: Against) -> DataFrame {
    let tables = fixture.tables();
    let input = Input::new("run", "target", &tables, Window::Default).with_against(against);
    (find(name).unwrap().compute)(&input).unwrap()
}

fn roofline(fixture: &Fixture) -> DataFrame {
    metric("roofline", fixture, Against::Measured)
}

fn text(frame: &DataFrame, column: &str) -> Vec<String> {
    texts(frame, column).unwrap().into_iter().map(Option::unwrap_or_default).collect()
}

/// FLOP, quality and reason of each launch.
fn placed(fixture: &Fixture) -> Vec<(Option<f64>, Option<Quality>, Option<Reason>)> {
    engine(fixture, |engine| {
        let flop = |counts| engine.counts(counts).and_then(proftool_roofline::Counts::flop_sum);
        engine.placed().iter().map(|launch| (flop(launch.counts), launch.quality, launch.reason)).collect()
    })
}

#[test]
fn a_page_alone_is_timed_by_its_own_replay() {
    // 5000 FMA = 10000 FLOP = 100 ns; 100 bytes = 10 ns; took 150 ns. The other: 2 ns and 60 ns of 80 ns.
    let fixture = measured().profiled("void gemm<(int)4>(float *)", Some(SHAPE), &page(5000.0, 100.0, 150.0));
    let fixture = fixture.profiled("copy(float *)", Some(SHAPE), &page(100.0, 600.0, 80.0));
    let frame = roofline(&fixture);
    let column = |name| ints(&frame, name).unwrap();
    assert_eq!(text(&frame, "family"), ["gemm", "copy"]);
    assert_eq!(text(&frame, "time_source"), ["replay (pass ncu)", "replay (pass ncu)"]);
    assert_eq!((column("time_ns"), column("bound_ns")), (vec![Some(150), Some(80)], vec![Some(100), Some(60)]));
    assert_eq!((column("flop"), column("dram_bytes")), (vec![Some(10_000), Some(200)], vec![Some(100), Some(600)]));
    assert_eq!((text(&frame, "limiter"), text(&frame, "limiter_level")), (two("compute", "memory"), two("", "DRAM")));
    assert_eq!(column("recoverable_ns"), [Some(50), Some(20)]);
    assert_eq!(floats(&frame, "cumulative_recoverable_ratio").unwrap(), [Some(50.0 / 70.0), Some(1.0)]);
    assert_eq!(floats(&frame, "time_ratio").unwrap(), [Some(150.0 / 230.0), Some(80.0 / 230.0)]);
    assert_eq!(
        (text(&frame, "match"), text(&frame, "flop_source")),
        (two("launch", "launch"), two("counter", "counter"))
    );
    assert_eq!(bools(&frame, "placed").unwrap(), [Some(true), Some(true)]);
}

fn two(a: &str, b: &str) -> Vec<String> {
    vec![a.to_owned(), b.to_owned()]
}

#[test]
fn counts_travel_to_the_timeline_launch_by_launch_where_both_have_as_many() {
    let fixture = measured()
        .named_kernel("gemm<4>(float*)", 0, 0, (100, 150))
        .shape(SHAPE[0], SHAPE[1])
        .named_kernel("gemm<4>(float*)", 0, 0, (200, 230))
        .shape(SHAPE[0], SHAPE[1])
        .profiled("void gemm<(int)4>(float *)", Some(SHAPE), &page(500.0, 0.0, 999.0))
        .profiled("void gemm<(int)4>(float *)", Some(SHAPE), &page(1500.0, 0.0, 999.0));
    let launch = Some(Quality::Launch);
    assert_eq!(placed(&fixture), [(Some(1000.0), launch, None), (Some(3000.0), launch, None)]);
    let frame = roofline(&fixture);
    // The timeline's time, never the replay's: 80 ns against 10 + 30.
    assert_eq!((ints(&frame, "time_ns").unwrap(), ints(&frame, "bound_ns").unwrap()), (vec![Some(80)], vec![Some(40)]));
    assert_eq!(
        (text(&frame, "time_source"), text(&frame, "match")),
        (vec!["host".to_owned()], vec!["launch".to_owned()])
    );
}

#[test]
fn launches_of_one_shape_get_the_mean_where_the_numbers_differ() {
    let fixture = measured()
        .named_kernel("gemm", 0, 0, (0, 50))
        .shape(SHAPE[0], SHAPE[1])
        .named_kernel("gemm", 0, 0, (50, 90))
        .shape(OTHER[0], OTHER[1])
        .named_kernel("other", 0, 0, (90, 100))
        .shape(SHAPE[0], SHAPE[1])
        .profiled("gemm(float *)", Some(SHAPE), &page(500.0, 10.0, 9.0))
        .profiled("gemm(float *)", Some(SHAPE), &page(1500.0, 30.0, 9.0));
    let expected = [
        (Some(2000.0), Some(Quality::Shape), None),
        (None, None, Some(Reason::OtherShape)),
        (None, None, Some(Reason::NotProfiled)),
    ];
    assert_eq!(placed(&fixture), expected);
    let frame = metric("roofline_unplaced", &fixture, Against::Measured);
    assert_eq!(text(&frame, "reason"), ["other grid or block", "not profiled"]);
    assert_eq!(floats(&frame, "time_ratio").unwrap(), [Some(0.4), Some(0.1)]);
    assert_eq!(floats(&frame, "placed_time_ratio").unwrap(), [Some(0.5), Some(0.5)]);
    let frame = roofline(&fixture);
    assert_eq!(ints(&frame, "matched_launches").unwrap(), [Some(1), Some(0)]);
}

#[test]
fn without_grids_a_kernel_that_ran_in_one_way_is_known_by_name() {
    let with = |more: Option<[[i64; 3]; 2]>| {
        let fixture = measured()
            .named_kernel("gemm", 0, 0, (0, 50))
            .named_kernel("gemm", 0, 0, (50, 90))
            .named_kernel("gemm", 0, 0, (90, 95))
            .profiled("ns::gemm<float>(float *)", Some(SHAPE), &page(500.0, 10.0, 9.0));
        match more {
            Some(shape) => fixture.profiled("ns::gemm<float>(float *)", Some(shape), &page(900.0, 10.0, 9.0)),
            None => fixture,
        }
    };
    assert_eq!(placed(&with(None)), [(Some(1000.0), Some(Quality::Name), None); 3]);
    assert_eq!(placed(&with(Some(OTHER))), [(None, None, Some(Reason::OtherShape)); 3]);
    let two_kernels = with(None).profiled("ns::gemm<double>(double *)", Some(OTHER), &page(1.0, 1.0, 9.0));
    assert_eq!(placed(&two_kernels), [(None, None, Some(Reason::Ambiguous)); 3]);
}

#[test]
fn instances_of_one_template_are_different_kernels() {
    let fixture = measured().named_kernel("void gemm<8>(float*)", 0, 0, (0, 50)).shape(SHAPE[0], SHAPE[1]).profiled(
        "void gemm<(int)4>(float *)",
        Some(SHAPE),
        &page(500.0, 10.0, 9.0),
    );
    assert_eq!(placed(&fixture), [(None, None, Some(Reason::NotProfiled))]);
}

#[test]
fn a_tool_with_a_timeline_names_the_activity_itself() {
    let fixture = measured()
        .named_kernel("a", 0, 0, (0, 50))
        .named_kernel("b", 0, 0, (50, 90))
        .profiled("a", None, &page(500.0, 10.0, 9.0))
        .profiled("b", None, &page(50.0, 10.0, 9.0))
        .profiled_in_place();
    assert_eq!(placed(&fixture), [1000.0, 100.0].map(|flop| (Some(flop), Some(Quality::Launch), None)));
}

#[test]
fn counters_in_any_order_give_the_same_counts() {
    let fixture = || {
        let fixture = measured().profiled("a", Some(SHAPE), &page(500.0, 10.0, 9.0));
        fixture.profiled("b", Some(SHAPE), &page(50.0, 20.0, 9.0)).profiled("c", None, &page(5.0, 30.0, 9.0))
    };
    assert_eq!(placed(&fixture()), [1000.0, 100.0, 10.0].map(|flop| (Some(flop), Some(Quality::Launch), None)));
    assert_eq!(placed(&fixture().shuffled()), placed(&fixture()));
}

#[test]
fn a_kernel_without_flop_is_bound_by_memory() {
    // 500 bytes at 10 GB/s: 50 ns.
    let fixture = measured().profiled("copy", Some(SHAPE), &page(0.0, 500.0, 100.0));
    let frame = roofline(&fixture);
    assert_eq!(
        (ints(&frame, "bound_ns").unwrap(), text(&frame, "limiter")),
        (vec![Some(50)], vec!["memory".to_owned()])
    );
    assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [Some(5e9)]);
    assert_eq!(floats(&frame, "efficiency_ratio").unwrap(), [Some(0.5)]);
}

#[test]
fn times_of_several_precisions_add() {
    // 10000 f32 FLOP at 100 GFLOP/s and 1000 f64 FLOP at 10 GFLOP/s: 100 ns each.
    let counters =
        [(FFMA, 5000.0), ("smsp__sass_thread_inst_executed_op_dfma_pred_on.sum", 500.0), (DRAM, 10.0), (TIME, 400.0)];
    let fixture = measured().ceiling(ceiling("fma", Some("f64"), 10e9)).profiled("mixed", None, &counters);
    let frame = roofline(&fixture);
    assert_eq!(
        (ints(&frame, "bound_ns").unwrap(), ints(&frame, "flop").unwrap()),
        (vec![Some(200)], vec![Some(11_000)])
    );
    let parts = metric("roofline_flop", &fixture, Against::Measured);
    assert_eq!(
        (text(&parts, "precision"), ints(&parts, "flop").unwrap()),
        (two("f32", "f64"), vec![Some(10_000), Some(1000)])
    );
    // 10000 FLOP in 400 ns are 25 GFLOP/s, a quarter of the roof.
    assert_eq!(floats(&parts, "peak_ratio").unwrap(), [Some(0.25), Some(0.25)]);
    assert_eq!(floats(&parts, "math_ns").unwrap(), [Some(100.0), Some(100.0)]);
}

#[test]
fn copies_and_sets_are_held_against_what_they_cross() {
    // H100: PCIe 63.01538 GB/s one way, DRAM 3352.32 GB/s, of which a copy inside the memory uses twice its bytes.
    let fixture = Fixture::new()
        .gpu(H100, "sm_90")
        .copy(0, 0, (0, 2_000_000), 0, 63_015_380)
        .copy_kind("h2d")
        .copy(0, 0, (2_000_000, 2_004_000), 0, 3_352_320)
        .copy_kind("d2d")
        .copy(0, 0, (2_004_000, 2_005_000), 0, 450_000)
        .copy_kind("p2p");
    let bounds = engine(&fixture, |engine| {
        engine.placed().iter().map(|launch| launch.bound.map(|bound| (bound.ns, bound.limiter))).collect::<Vec<_>>()
    });
    let memory = Limiter::Memory(Level::Dram);
    assert_eq!(bounds, [Some((1_000_000, Limiter::Link)), Some((2000, memory)), Some((1000, Limiter::Link))]);
    assert_eq!(text(&roofline(&fixture), "family"), ["copy"]);
}

#[test]
fn roofs_that_nobody_measured_are_those_of_the_datasheet() {
    // f32 measured 50 TFLOP/s (datasheet 66.90816), DRAM only from the datasheet: 3352.32 GB/s.
    // 5 GFLOP at 50 TFLOP/s: 100 us; 33.5232 MB: 10 us. At the datasheet's 66.90816 TFLOP/s 74.729 us.
    let fixture = Fixture::new().gpu(H100, "sm_90").ceiling(ceiling("fma", Some("f32"), 50e12)).profiled(
        "gemm",
        Some(SHAPE),
        &page(2.5e9, 33_523_200.0, 200_000.0),
    );
    let used = roofline(&fixture);
    assert_eq!(ints(&used, "bound_ns").unwrap(), [Some(100_000)]);
    assert_eq!(ints(&used, "bound_datasheet_ns").unwrap(), [Some(74_729)]);
    assert_eq!(text(&used, "roof_source"), ["measured+datasheet"]);
    assert!(text(&used, "roof_datasheet")[0].contains("h100-sxm, datasheet 66.9 TFLOP/s at 1980 MHz"));
    assert!(!text(&used, "roof_note")[0].contains("disputed"), "3352 and 3350 GB/s are rounding");
    let against = metric("roofline", &fixture, Against::Datasheet);
    assert_eq!(ints(&against, "bound_ns").unwrap(), [Some(74_729)]);
    assert_eq!(text(&against, "roof_source"), ["datasheet"]);
    let roofs = metric("roofs", &fixture, Against::Measured);
    let rows = text(&roofs, "precision").into_iter().zip(text(&roofs, "source")).zip(bools(&roofs, "used").unwrap());
    let f32: Vec<_> =
        rows.filter(|((precision, _), _)| precision == "f32").map(|((_, source), used)| (source, used)).collect();
    assert_eq!(f32, [("datasheet".to_owned(), Some(false)), ("measured".to_owned(), Some(true))]);
}

#[test]
fn at_the_observed_clock_the_peaks_scale_and_dram_does_not() {
    // 132 SM x 256 FLOP x 0.99 GHz = 33.45408 TFLOP/s, half of the boost clock's.
    let counters =
        [&page(2.5e9, 33_523_200.0, 200_000.0)[..], &[("sm__cycles_elapsed.avg.per_second", 0.99e9)]].concat();
    let fixture = Fixture::new().gpu(H100, "sm_90").profiled("gemm", Some(SHAPE), &counters);
    let frame = roofline(&fixture);
    // 5e9 / 33.45408e12 s = 149459 ns.
    assert_eq!(ints(&frame, "bound_observed_ns").unwrap(), [Some(149_459)]);
    engine(&fixture, |engine| {
        let roofs = engine.roofs((0, 0)).unwrap();
        let dram = |roofs: &proftool_roofline::Roofs| roofs.bandwidth[&Level::Dram].value.to_bits();
        assert_eq!(dram(&roofs.observed), dram(&roofs.datasheet));
    });
    // With a timeline of its own the clock of the replay says nothing about the time.
    let timed = fixture.named_kernel("gemm", 0, 0, (0, 200_000)).shape(SHAPE[0], SHAPE[1]);
    assert_eq!(ints(&roofline(&timed), "bound_observed_ns").unwrap(), [None]);
}

#[test]
fn a_device_that_no_spec_knows_and_nobody_measured_has_no_roof() {
    let fixture = Fixture::new().gpu("Some accelerator", "sm_00").profiled("gemm", None, &page(5.0, 5.0, 5.0));
    assert_eq!(placed(&fixture), [(Some(10.0), Some(Quality::Launch), Some(Reason::NoRoof))]);
    let frame = roofline(&fixture);
    assert_eq!((ints(&frame, "bound_ns").unwrap(), bools(&frame, "placed").unwrap()), (vec![None], vec![Some(false)]));
    assert_eq!(text(&metric("roofline_unplaced", &fixture, Against::Measured), "reason"), ["no roof"]);
}

#[test]
fn counters_make_the_bound_and_stated_counts_stand_beside() {
    // Counted 2000 FLOP and 300 bytes, stated 1000 and 100: twice the FLOP, three times the bytes.
    let fixture = measured()
        .named_kernel("gemm", 0, 0, (0, 50))
        .work(0, "prefill", 0, 0, 8)
        .counts(1000, 100)
        .profiled("gemm", None, &page(1000.0, 300.0, 9.0));
    let frame = roofline(&fixture);
    assert_eq!((ints(&frame, "bound_ns").unwrap(), ints(&frame, "flop").unwrap()), (vec![Some(30)], vec![Some(2000)]));
    assert_eq!(floats(&frame, "amplification_ratio").unwrap(), [Some(3.0)]);
    assert_eq!(floats(&frame, "flop_amplification_ratio").unwrap(), [Some(2.0)]);
    assert_eq!(text(&frame, "bytes_source"), ["counter"]);
}

#[test]
fn bytes_that_no_counter_tells_are_the_stated_ones() {
    let fixture = measured()
        .named_kernel("gemm", 0, 0, (0, 50))
        .work(0, "prefill", 0, 0, 8)
        .counts(1000, 100)
        .profiled("gemm", None, &[(FFMA, 1000.0), (TIME, 9.0)]);
    let frame = roofline(&fixture);
    // 2000 FLOP: 20 ns; 100 bytes: 10 ns.
    assert_eq!(
        (ints(&frame, "bound_ns").unwrap(), ints(&frame, "dram_bytes").unwrap()),
        (vec![Some(20)], vec![Some(100)])
    );
    assert_eq!(text(&frame, "bytes_source"), ["analytic (compulsory; the counters hold no DRAM bytes)"]);
    assert_eq!(text(&frame, "flop_source"), ["counter"]);
    assert_eq!(floats(&frame, "amplification_ratio").unwrap(), [None]);
}

#[test]
fn a_row_above_its_roof_is_triaged() {
    // 2000 bytes at 10 GB/s are 200 ns, took 50: four times the roof. The other stays below.
    let fixture = measured().profiled("fast", None, &page(5.0, 2000.0, 50.0));
    let fixture = fixture.profiled("slow", None, &page(5.0, 100.0, 50.0));
    let frame = metric("triage", &fixture, Against::Measured);
    assert!(!text(&frame, "name").is_empty() && text(&frame, "name").iter().all(|name| name == "fast"));
    assert!(text(&frame, "symptom").iter().all(|symptom| symptom == "above_roof"));
    assert_eq!(floats(&frame, "size").unwrap()[0], Some(4.0));
    let rows = roofline(&fixture);
    assert_eq!(text(&rows, "triage").iter().filter(|causes| !causes.is_empty()).count(), 1);
    assert_eq!(ints(&rows, "above_roof_ns").unwrap(), [Some(0), Some(150)]);
}

#[test]
fn kernels_that_ran_at_once_explain_a_row_above_its_roof() {
    // Two launches of 1000 bytes, 100 ns each at the roof, took 80 ns each; half of the first overlaps the second.
    let fixture = measured()
        .named_kernel("a", 0, 0, (0, 80))
        .work(0, "decode", 0, 0, 1)
        .counts(1, 1000)
        .named_kernel("b", 0, 1, (40, 120))
        .work(0, "decode", 0, 0, 1)
        .counts(1, 1000);
    let frame = metric("triage", &fixture, Against::Measured);
    let evidence: Vec<String> = text(&frame, "cause")
        .into_iter()
        .zip(text(&frame, "evidence"))
        .filter(|(cause, _)| cause.contains("overlap"))
        .map(|(_, evidence)| evidence)
        .collect();
    assert!(evidence.len() == 2 && evidence.iter().all(|text| text.contains("50")), "{evidence:?}");
}

#[test]
fn levels_stand_in_rows_of_their_own() {
    let counters = [&page(500.0, 100.0, 100.0)[..], &[("lts__t_bytes.sum", 400.0)]].concat();
    let l2 = FixtureCeiling { level: Some("L2"), ..ceiling("read", None, 20e9) };
    let fixture = measured().ceiling(l2).profiled("gemm", None, &counters);
    let frame = metric("roofline_level", &fixture, Against::Measured);
    assert_eq!(
        (text(&frame, "level"), ints(&frame, "bytes").unwrap()),
        (two("DRAM", "L2"), vec![Some(100), Some(400)])
    );
    // 1000 FLOP over 100 and 400 bytes; 1 and 4 GB/s of 10 and 20.
    assert_eq!(floats(&frame, "arithmetic_intensity").unwrap(), [Some(10.0), Some(2.5)]);
    assert_eq!(floats(&frame, "roof_ratio").unwrap(), [Some(0.1), Some(0.2)]);
    assert_eq!(text(&frame, "level_formula"), two("", "l2-t-bytes"));
    let frame = roofline(&fixture);
    // L2: 400 bytes at 20 GB/s = 20 ns; DRAM 10 ns; math 10 ns.
    assert_eq!(
        (ints(&frame, "bound_ns").unwrap(), text(&frame, "limiter_level")),
        (vec![Some(20)], vec!["L2".to_owned()])
    );
    assert_eq!(
        (text(&frame, "level"), ints(&frame, "l2_bytes").unwrap()),
        (vec!["DRAM;L2".to_owned()], vec![Some(400)])
    );
}

#[test]
fn a_page_of_rates_without_durations_gives_points_and_no_sums() {
    let fixture = measured().profiled("gemm", None, &[("dram__bytes.sum.per_second", 5e9)]);
    let frame = roofline(&fixture);
    assert_eq!((ints(&frame, "bound_ns").unwrap(), ints(&frame, "dram_bytes").unwrap()), (vec![None], vec![None]));
    assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [Some(5e9)]);
    assert_eq!(floats(&frame, "efficiency_ratio").unwrap(), [Some(0.5)]);
    assert_eq!(
        (text(&frame, "limiter"), bools(&frame, "placed").unwrap()),
        (vec!["memory".to_owned()], vec![Some(true)])
    );
    assert_eq!(text(&frame, "time_source"), ["no duration: mean rates (pass ncu)"]);
}

#[test]
fn hostile_counters_make_no_number_that_is_none() {
    let values = [f64::INFINITY, -1e300, 1e300, f64::MAX, 0.0, -0.0, 5e-324];
    let mut fixture = measured();
    for (at, value) in values.into_iter().enumerate() {
        let other = values[(at + 3) % values.len()];
        fixture = fixture.profiled("a", None, &page(value, other, 10.0)).profiled("b", None, &page(1.0, 1.0, value));
    }
    for name in ["roofline", "roofline_flop", "roofline_level", "roofline_unplaced", "roofs"] {
        let frame = metric(name, &fixture, Against::Measured);
        for column in frame.columns() {
            if let Ok(column) = column.f64() {
                assert!(column.iter().flatten().all(f64::is_finite), "{name}: {}", column.name());
            }
        }
    }
}

#[test]
fn a_clock_that_jumped_to_the_ends_of_time_breaks_nothing() {
    let fixture = measured()
        .named_kernel("a", 0, 0, (i64::MIN, i64::MAX))
        .work(0, "decode", 0, 0, 1)
        .counts(i64::MAX, i64::MAX)
        .named_kernel("a", 0, 1, (-5, 5))
        .work(0, "decode", 0, 0, 1)
        .counts(i64::MAX, i64::MAX);
    let frame = roofline(&fixture);
    assert_eq!(
        (ints(&frame, "time_ns").unwrap(), ints(&frame, "flop").unwrap()),
        (vec![Some(i64::MAX)], vec![Some(i64::MAX)])
    );
    assert_eq!(metric("triage", &fixture, Against::Measured).height(), 0);
}

#[test]
fn every_precision_of_a_spec_is_one_of_the_roofs() {
    for spec in proftool_hardware::gpu::all() {
        for row in &spec.compute {
            assert!(Precision::parse(&row.precision).is_some(), "{}: {}", spec.slug, row.precision);
        }
        for row in &spec.bandwidth {
            assert!(Level::parse(&row.level).is_some(), "{}: {}", spec.slug, row.level);
        }
    }
}
