//! Throttling by hand, without samples, and on a real capture.

use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::samples::series::put;
use crate::windows::Window;
use proftool_trace::frame::{Tables, bools, floats, ints, texts};
use proftool_trace::tables;

fn throttling(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn at(frame: &DataFrame, name: &str) -> usize {
    texts(frame, "name").unwrap().iter().position(|known| known.as_deref() == Some(name)).unwrap()
}

/// Kernels in 0..40, 40..60 and 80..100 of a window of 100 ns.
fn three_kernels() -> Fixture {
    Fixture::new().kernel(0, 0, (0, 40)).kernel(0, 0, (40, 60)).kernel(0, 0, (80, 100))
}

#[test]
fn each_reason_has_its_time_and_the_kernels_that_it_met() {
    // The power cap holds in 30..70, heat in 60..90; the device is idle in 60..80. Heat is known until 90.
    let mut tables = three_kernels().tables();
    put(
        &mut tables,
        &[
            ("nvml.throttle.sw_power_cap", "", &[(0, 30, 0.0), (30, 70, 1.0), (70, 100, 0.0)]),
            ("nvml.throttle.hw_thermal_slowdown", "", &[(0, 60, 0.0), (60, 90, 1.0)]),
            ("nvml.throttle.gpu_idle", "", &[(0, 100, 1.0)]),
        ],
    );
    let frame = throttling(&tables);
    let row = |name| {
        let row = at(&frame, name);
        ["covered_ns", "active_ns", "kernels", "kernel_ns"].map(|column| ints(&frame, column).unwrap()[row].unwrap())
    };
    // 30..40 and 40..60 of two kernels; 80..90 of the third.
    assert_eq!(row("sw_power_cap"), [100, 40, 2, 30]);
    assert_eq!(row("hw_thermal_slowdown"), [90, 30, 1, 10]);
    assert_eq!(row("any"), [90, 60, 3, 40]);
    assert_eq!(row("gpu_idle")[1], 100);
    assert_eq!(bools(&frame, "slows").unwrap()[at(&frame, "gpu_idle")], Some(false));
    let why = texts(&frame, "reason").unwrap();
    assert_eq!(why.iter().flatten().count(), 1, "only of the missing clock: {why:?}");
}

#[test]
fn a_mask_holds_all_reasons() {
    // 0x24: power cap and software thermal slowdown; then 0x1: idle.
    let mut tables = three_kernels().tables();
    put(&mut tables, &[("clocks_event_reasons.active", "", &[(0, 50, 36.0), (50, 100, 1.0)])]);
    let frame = throttling(&tables);
    let active = |name| ints(&frame, "active_ns").unwrap()[at(&frame, name)];
    let expected =
        [("sw_power_cap", 50), ("sw_thermal_slowdown", 50), ("gpu_idle", 50), ("hw_slowdown", 0), ("any", 50)];
    assert_eq!(expected.map(|(name, _)| active(name)), expected.map(|(_, ns)| Some(ns)));
}

#[test]
fn a_clock_drops_against_the_highest_seen_while_kernels_run() {
    // 2 GHz until 40, 1.5 GHz until 60, 0.3 GHz while idle, 1 GHz until 100.
    let mut tables = three_kernels().gpu("NVIDIA H200", "sm_90").tables();
    let clock = [(0, 40, 2000.0), (40, 60, 1500.0), (60, 80, 300.0), (80, 100, 1000.0)];
    put(&mut tables, &[("nvml.sm_clock_hz", "MHz", &clock), ("nvml.memory_clock_hz", "Hz", &[(0, 100, 3e9)])]);
    let frame = throttling(&tables);
    let row = at(&frame, "compute");
    let float = |name| floats(&frame, name).unwrap()[row];
    // (40 x 2 + 20 x 1.5 + 20 x 1) / 80 = 1.625 GHz.
    assert_eq!((float("kernel_mean_hz"), float("seen_hz")), (Some(1.625e9), Some(2e9)));
    assert_eq!(float("drop_ratio"), Some(0.1875));
    assert_eq!((float("spec_hz"), float("spec_drop_ratio")), (Some(1.98e9), Some(1.0 - 1.625 / 1.98)));
    let int = |name| ints(&frame, name).unwrap()[row];
    // 20 ns at three quarters and 20 at half.
    assert_eq!(
        (int("lost_ns"), int("active_ns"), int("kernels"), int("kernel_ns")),
        (Some(15), Some(60), Some(2), Some(40))
    );
    let memory = at(&frame, "memory");
    assert_eq!(
        (floats(&frame, "drop_ratio").unwrap()[memory], ints(&frame, "active_ns").unwrap()[memory]),
        (Some(0.0), Some(0))
    );
    assert_eq!((floats(&frame, "spec_hz").unwrap()[memory], ints(&frame, "lost_ns").unwrap()[memory]), (None, None));
}

#[test]
fn without_samples_it_is_not_known_whether_it_throttled() {
    let frame = throttling(&three_kernels().tables());
    assert_eq!(texts(&frame, "kind").unwrap(), ["reason", "clock"].map(|kind| Some(kind.to_owned())));
    assert_eq!(ints(&frame, "active_ns").unwrap(), [None, None]);
    assert!(texts(&frame, "reason").unwrap()[0].as_deref().unwrap().starts_with("no reasons"));
}

#[test]
fn clocks_that_cannot_be_have_an_answer() {
    let mut tables = three_kernels().tables();
    put(
        &mut tables,
        &[
            ("nvml.sm_clock_hz", "Hz", &[(0, 50, -1.0), (50, 100, 0.0)]),
            ("clocks_event_reasons.active", "", &[(i64::MIN, 50, -4.0), (50, i64::MAX, 1e300)]),
        ],
    );
    let frame = throttling(&tables);
    let row = at(&frame, "compute");
    assert_eq!((floats(&frame, "drop_ratio").unwrap()[row], ints(&frame, "lost_ns").unwrap()[row]), (None, None));
    assert!(texts(&frame, "reason").unwrap()[row].as_deref().unwrap().contains("0 or less"));
}

#[test]
fn the_order_of_the_rows_changes_nothing() {
    let mut tables = three_kernels().tables();
    put(
        &mut tables,
        &[
            ("nvml.sm_clock_hz", "Hz", &[(0, 50, 2e9), (50, 100, 1e9), (50, 100, 1.5e9)]),
            ("nvml.throttle.sw_power_cap", "", &[(0, 30, 0.0), (30, 70, 1.0)]),
        ],
    );
    let straight = throttling(&tables);
    for table in [&tables::SAMPLES, &tables::COUNTER_DEFS, &tables::ACTIVITIES] {
        let reversed = tables.get(table).reverse();
        tables.set(table, reversed).unwrap();
    }
    assert!(throttling(&tables).equals_missing(&straight));
}

#[test]
fn the_clock_of_a_real_capture_is_that_of_a_plain_loop() {
    let Some(path) = shared_data("nsys/gh200_gpu_metrics.schema3.7.sqlite.gz") else { return };
    let (_, tables) = proftool_import::into_memory(&path).unwrap();
    let frame = throttling(&tables);
    let row = at(&frame, "compute");
    let float = |name| floats(&frame, name).unwrap()[row].unwrap();
    // Over the rows of the database: max(value) of metricId 0, its values weighted by their overlap with the union of the
    // kernels, and covered - integral / max = 7506878.95 ns.
    assert!((float("seen_hz") - 1_996_081_246.0).abs() < 0.5);
    assert!((float("kernel_mean_hz") - 1_988_839_205.394_139_8).abs() < 1e-3);
    assert!((float("drop_ratio") - 0.003_628_129_175_790_14).abs() < 1e-12);
    let int = |name| ints(&frame, name).unwrap()[row];
    assert_eq!((int("lost_ns"), int("active_ns"), int("kernels")), (Some(7_506_879), Some(0), Some(0)));
}
