//! Energy by scope: by hand, as a partition, and with bad readings.

use super::*;
use crate::fixture::Fixture;
use crate::samples::series::put;
use crate::windows::Window;
use proftool_trace::frame::{Tables, build, floats, int_column, ints, text_column, texts};
use proftool_trace::tables;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn power(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn at(frame: &DataFrame, kind: &str, scope: Option<&str>) -> usize {
    let (kinds, scopes) = (texts(frame, "scope_kind").unwrap(), texts(frame, "scope").unwrap());
    (0..kinds.len()).find(|at| (kinds[*at].as_deref(), scopes[*at].as_deref()) == (Some(kind), scope)).unwrap()
}

fn float(frame: &DataFrame, name: &str, row: usize) -> Option<f64> {
    floats(frame, name).unwrap()[row]
}

/// Start, prompt tokens, decode batch of steps of device 0.
fn with_steps(tables: &mut Tables, steps: &[(i64, i64, i64)]) {
    let columns = vec![
        text_column("pass", steps.iter().map(|_| Some("host"))),
        int_column("rank", steps.iter().map(|_| Some(0))),
        int_column("device", steps.iter().map(|_| Some(0))),
        int_column("start_ns", steps.iter().map(|step| Some(step.0))),
        int_column("end_ns", steps.iter().map(|step| Some(step.0 + 1))),
        int_column("prefill_tokens", steps.iter().map(|step| Some(step.1))),
        int_column("decode_batch", steps.iter().map(|step| Some(step.2))),
    ];
    tables.set(&tables::STEPS, build(&tables::STEPS, columns).unwrap()).unwrap();
}

/// 4 s prefill, 1 s idle, 5 s decode, in a block of 10 s.
fn served() -> Tables {
    Fixture::new()
        .kernel(0, 0, (10 * SECOND, 14 * SECOND))
        .work(0, "prefill", 0, 0, 1)
        .kernel(0, 0, (15 * SECOND, 20 * SECOND))
        .work(0, "decode", 0, 0, 1)
        .block((10 * SECOND, 20 * SECOND))
        .tables()
}

#[test]
fn the_counter_is_read_before_the_samples_and_its_difference_is_the_energy() {
    let mut tables = served();
    // One reading a second: 300 J each in prefill, 80 J idle, 200 J each in decode.
    let mut readings = vec![(10 * SECOND, 10 * SECOND, 7000.0)];
    for second in 11..21 {
        let joules = if second <= 14 {
            300.0
        } else if second == 15 {
            80.0
        } else {
            200.0
        };
        readings.push(((second - 1) * SECOND, second * SECOND, readings[second as usize - 11].2 + joules));
    }
    put(&mut tables, &[("nvml.energy_j", "J", &readings), ("nvml.power_w", "W", &[(0, 20 * SECOND, 999.0)])]);
    with_steps(&mut tables, &[(11 * SECOND, 90, 0), (16 * SECOND, 0, 30)]);
    let frame = power(&tables);
    let window = at(&frame, "window", None);
    // 1200 + 80 + 1000 J for 90 + 30 tokens.
    assert_eq!(float(&frame, "energy_j", window), Some(2280.0));
    assert_eq!((float(&frame, "joule_per_token", window), float(&frame, "mean_w", window)), (Some(19.0), Some(228.0)));
    assert_eq!(texts(&frame, "source").unwrap()[window].as_deref(), Some("energy_counter"));
    assert_eq!(texts(&frame, "other_metrics").unwrap()[window].as_deref(), Some("nvml.power_w"));
    let (busy, idle) = (at(&frame, "activity", Some("busy")), at(&frame, "activity", Some("idle")));
    assert_eq!((float(&frame, "energy_j", busy), float(&frame, "energy_j", idle)), (Some(2200.0), Some(80.0)));
    assert_eq!(float(&frame, "energy_ratio", idle), Some(80.0 / 2280.0));
    let (prefill, decode) = (at(&frame, "phase", Some("prefill")), at(&frame, "phase", Some("decode")));
    assert_eq!(float(&frame, "joule_per_token", prefill), Some(1200.0 / 90.0));
    assert_eq!(float(&frame, "tokens_per_joule", decode).map(|rate| (rate * 1e12).round()), Some(30e9));
    assert_eq!(ints(&frame, "tokens").unwrap()[decode], Some(30));
    assert_eq!(texts(&frame, "reason").unwrap()[window], None);
}

#[test]
fn coarse_and_missing_readings_have_energy_and_no_ratios() {
    let mut tables = served();
    // One sample covers all but the last 3 s, at 100 W.
    put(&mut tables, &[("power.draw", "mW", &[(10 * SECOND, 17 * SECOND, 100e3)])]);
    with_steps(&mut tables, &[(11 * SECOND, 90, 0)]);
    let frame = power(&tables);
    let window = at(&frame, "window", None);
    let reason = |row: usize| texts(&frame, "reason").unwrap()[row].clone().unwrap();
    // Milliwatts are no binary fraction of watts.
    let energy = float(&frame, "energy_j", window).unwrap();
    assert!((energy - 700.0).abs() < 1e-9 && float(&frame, "joule_per_token", window).is_none());
    assert!(reason(window).contains("nine tenths"));
    let prefill = at(&frame, "phase", Some("prefill"));
    assert!(reason(prefill).contains("longer than a stretch") && float(&frame, "joule_per_token", prefill).is_none());
    assert_eq!(float(&frame, "coverage_ratio", prefill), Some(1.0));
}

#[test]
fn several_devices_have_a_sum_over_the_tokens_of_the_requests() {
    let mut tables = Fixture::new().kernel(0, 0, (0, 10 * SECOND)).kernel(1, 0, (0, 10 * SECOND)).tables();
    put(&mut tables, &[("nvml.power_w", "W", &[(0, 10 * SECOND, 100.0), (0, 10 * SECOND, 300.0)])]);
    let mut samples = tables.get(&tables::SAMPLES).clone();
    samples.with_column(int_column("device", [Some(0), Some(1)])).unwrap();
    tables.set(&tables::SAMPLES, samples).unwrap();
    let columns = vec![
        text_column("pass", [Some("host")]),
        int_column("rank", [Some(0)]),
        text_column("request", [Some("a")]),
        int_column("arrival_ns", [Some(0)]),
        int_column("end_ns", [Some(SECOND)]),
        int_column("output_tokens", [Some(40)]),
        text_column("status", [Some("ok")]),
    ];
    tables.set(&tables::REQUESTS, build(&tables::REQUESTS, columns).unwrap()).unwrap();
    let frame = power(&tables);
    let row = ints(&frame, "device").unwrap().iter().position(Option::is_none).unwrap();
    // 1000 + 3000 J over 40 tokens; the devices by themselves computed an unknown part of them.
    assert_eq!(
        (float(&frame, "energy_j", row), float(&frame, "joule_per_output_token", row)),
        (Some(4000.0), Some(100.0))
    );
    assert_eq!(float(&frame, "mean_w", row), Some(400.0));
    assert_eq!(ints(&frame, "output_tokens").unwrap().iter().flatten().count(), 1);
}

#[test]
fn a_power_that_is_an_average_says_nothing_about_short_windows() {
    // Half a second at 100 W, read every 0.1 s.
    let samples: Vec<_> = (0..5).map(|at| (at * SECOND / 10, (at + 1) * SECOND / 10, 100.0)).collect();
    let of = |arch| {
        let mut tables = Fixture::new().gpu("some GPU", arch).kernel(0, 0, (0, SECOND / 2)).tables();
        put(&mut tables, &[("nvml.power_w", "W", &samples)]);
        with_steps(&mut tables, &[(1, 5, 0)]);
        let frame = power(&tables);
        let window = at(&frame, "window", None);
        (float(&frame, "energy_j", window), float(&frame, "joule_per_token", window))
    };
    assert_eq!((of("sm_80"), of("sm_90")), ((Some(50.0), Some(10.0)), (Some(50.0), None)));
}

#[test]
fn a_trace_without_readings_has_no_rows() {
    let mut tables = served();
    assert_eq!(power(&tables).height(), 0);
    put(&mut tables, &[("power.limit", "W", &[(0, SECOND, 700.0)]), ("SM Active", "%", &[(0, SECOND, 7.0)])]);
    assert_eq!(power(&tables).height(), 0);
}

proptest! {
    #[test]
    fn energies_of_busy_and_idle_sum_to_that_of_the_window(
        samples in prop::collection::vec((0..200_i64, 1..30_i64, 0..800_i32), 1..20),
        kernels in prop::collection::vec((0..200_i64, 1..30_i64), 1..8),
    ) {
        let fixture = kernels.iter().fold(Fixture::new(), |fixture, (start, length)| fixture.kernel(0, 0, (*start, start + length)));
        let mut tables = fixture.tables();
        let samples: Vec<_> = samples.iter().map(|(start, length, value)| (*start, start + length, f64::from(*value))).collect();
        put(&mut tables, &[("nvml.power_w", "W", &samples)]);
        let frame = power(&tables);
        let nanojoules = |kind, scope| {
            let joules = float(&frame, "energy_j", at(&frame, kind, scope)).unwrap_or(0.0);
            (joules * 1e9).round() as i64
        };
        let parts = nanojoules("activity", Some("busy")) + nanojoules("activity", Some("idle"));
        prop_assert_eq!(parts, nanojoules("window", None));
    }

    #[test]
    fn wild_readings_have_an_answer(readings in prop::collection::vec((any::<i64>(), any::<i64>(), any::<f64>()), 0..8)) {
        let mut tables = served();
        put(&mut tables, &[("nvml.energy_j", "J", &readings), ("nvml.power_w", "W", &readings)]);
        let frame = power(&tables);
        for name in ["energy_j", "mean_w", "energy_ratio", "joule_per_token", "coverage_ratio"] {
            prop_assert!(floats(&frame, name).unwrap().into_iter().flatten().all(f64::is_finite), "{}", name);
        }
    }
}
