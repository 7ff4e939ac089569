//! Which profiled launches speak for which activities: phases, several pages, other devices.

use proftool_trace::frame::{Tables, text_column};
use proftool_trace::tables;

use super::*;

/// A counter page of that pass, of launches in those phases.
fn add_page(tables: &mut Tables, page: &Fixture, pass: &str, phases: &[Option<&str>]) {
    let page = page.tables();
    for table in [&tables::LAUNCHES, &tables::COUNTER_DEFS, &tables::COUNTERS, &tables::DEVICES] {
        let mut frame = page.get(table).clone();
        let height = frame.height();
        frame.with_column(text_column("pass", (0..height).map(|_| Some(pass)))).unwrap();
        if table.name == "launches" {
            let phase = |at: usize| phases.get(at).copied().flatten();
            frame.with_column(text_column("phase", (0..height).map(phase))).unwrap();
        }
        tables.append(table, &frame).unwrap();
    }
}

fn page_of(gpu: &'static str, arch: &'static str, launches: &[&[(&'static str, f64)]]) -> Fixture {
    let page = Fixture::new().gpu(gpu, arch);
    launches.iter().fold(page, |page, counters| page.profiled("k(float *)", Some(SHAPE), counters))
}

fn test_page(launches: &[&[(&'static str, f64)]]) -> Fixture {
    page_of("Some accelerator", "sm_00", launches)
}

/// Launches of `k` of 50 ns each on device 0, one after the other.
fn timeline(phases: &[Option<&'static str>]) -> Fixture {
    let mut fixture = measured();
    for (at, phase) in phases.iter().enumerate() {
        let start = 50 * at as i64;
        fixture = fixture.named_kernel("k(float*)", 0, 0, (start, start + 50)).shape(SHAPE[0], SHAPE[1]);
        if let Some(phase) = phase {
            fixture = fixture.work(0, phase, 0, 0, 1);
        }
    }
    fixture
}

type Told = (Option<f64>, Option<f64>, Option<Quality>, Option<Reason>);

/// FLOP, DRAM bytes, quality and reason of each launch.
fn told(tables: &Tables) -> Vec<Told> {
    let input = Input::new("run", "target", tables, Window::Default);
    let engine = input.engine().unwrap();
    let one = |launch: &crate::roofline::Placed| {
        let counts = engine.counts(launch.counts);
        let flop = counts.and_then(proftool_roofline::Counts::flop_sum);
        (flop, counts.and_then(|counts| counts.bytes_of(Level::Dram)), launch.quality, launch.reason)
    };
    engine.placed().iter().map(one).collect()
}

fn frame(tables: &Tables, name: &str) -> DataFrame {
    let input = Input::new("run", "target", tables, Window::Default);
    (find(name).unwrap().compute)(&input).unwrap()
}

const PREFILL: Option<&str> = Some("prefill");
const DECODE: Option<&str> = Some("decode");
const LAUNCH: Option<Quality> = Some(Quality::Launch);
const MEAN: Option<Quality> = Some(Quality::Shape);

#[test]
fn a_phase_has_the_counts_of_its_own_profiled_launches() {
    // One launch of a million FLOP in prefill, one of a thousand in decode; two and three of them ran.
    let page = test_page(&[&page(500_000.0, 10.0, 9.0), &page(500.0, 10.0, 9.0)]);
    let told_with = |rows: &[Option<&'static str>], phases: &[Option<&str>]| {
        let mut tables = timeline(rows).tables();
        add_page(&mut tables, &page, "ncu", phases);
        told(&tables)
    };
    let (many, few) = ((Some(1e6), Some(10.0), MEAN, None), (Some(1e3), Some(10.0), MEAN, None));
    let rows = [PREFILL, PREFILL, DECODE, DECODE, DECODE];
    let phases = [PREFILL, Some("decode step 3")];
    assert_eq!(told_with(&rows, &phases), [many, many, few, few, few]);
    // As many as were profiled: the n-th of a phase.
    let launch = |told: Told| (told.0, told.1, LAUNCH, told.3);
    assert_eq!(told_with(&[DECODE, PREFILL], &phases), [launch(few), launch(many)]);
    // A phase that was not profiled has what was profiled in no known phase, if anything.
    let other = (None, None, None, Some(Reason::OtherPhase));
    assert_eq!(told_with(&[PREFILL, PREFILL, DECODE], &[PREFILL, PREFILL])[2], other);
    assert_eq!(told_with(&[PREFILL, PREFILL, DECODE, DECODE], &[PREFILL, Some("layers.0")])[2], few);
    // A timeline without phases has the mean of all.
    assert_eq!(told_with(&[None; 3], &phases), [(Some(500_500.0), Some(10.0), MEAN, None); 3]);
}

#[test]
fn a_page_without_phases_is_matched_over_all_phases() {
    let page = test_page(&[&page(500.0, 10.0, 9.0), &page(1500.0, 10.0, 9.0)]);
    let mut tables = timeline(&[DECODE, PREFILL]).tables();
    add_page(&mut tables, &page, "ncu", &[]);
    let flop: Vec<_> = told(&tables).into_iter().map(|told| (told.0, told.2)).collect();
    assert_eq!(flop, [(Some(1e3), LAUNCH), (Some(3e3), LAUNCH)]);
    let mut tables = timeline(&[DECODE, DECODE, PREFILL, PREFILL]).tables();
    add_page(&mut tables, &page, "ncu", &[]);
    assert!(told(&tables).iter().all(|told| (told.0, told.2) == (Some(2e3), MEAN)));
}

#[test]
fn phases_of_a_page_alone_have_the_names_of_the_rules() {
    let page = test_page(&[&page(500.0, 10.0, 9.0), &page(500.0, 10.0, 9.0), &page(500.0, 10.0, 9.0)]);
    let mut tables = measured().tables();
    add_page(
        &mut tables,
        &page,
        "ncu",
        &[Some("Decode"), Some("execute_context_0(0)_generation_64(64)"), Some("layers.0")],
    );
    let rows = frame(&tables, "roofline");
    let phases: std::collections::BTreeSet<String> = text(&rows, "phase").into_iter().collect();
    assert_eq!(phases.into_iter().collect::<Vec<_>>(), ["", "decode"]);
}

#[test]
fn what_one_pass_lacks_another_has_counted() {
    // FLOP in one pass and bytes in the other, of two launches each.
    let flop = test_page(&[&[(FFMA, 500.0), (TIME, 90.0)], &[(FFMA, 1500.0), (TIME, 90.0)]]);
    let bytes = |more: &[f64]| {
        let launches: Vec<_> = more.iter().map(|bytes| [(DRAM, *bytes), (TIME, 80.0)]).collect();
        test_page(&launches.iter().map(<[_; 2]>::as_slice).collect::<Vec<_>>())
    };
    let with = |timeline: Fixture, more: &[f64]| {
        let mut tables = timeline.tables();
        add_page(&mut tables, &flop, "flop", &[]);
        add_page(&mut tables, &bytes(more), "memory", &[]);
        tables
    };
    let alone = with(measured(), &[100.0, 300.0]);
    let both = [(Some(1e3), Some(100.0), LAUNCH, None), (Some(3e3), Some(300.0), LAUNCH, None)];
    assert_eq!(told(&alone), both);
    let rows = frame(&alone, "roofline");
    assert_eq!(
        (ints(&rows, "time_ns").unwrap(), ints(&rows, "dram_bytes").unwrap()),
        (vec![Some(180)], vec![Some(400)])
    );
    let ids = text(&rows, "formula_id");
    assert!(ids[0].matches(';').count() == 1 && ids[0].starts_with("dram-"), "{ids:?}");
    let notes = text(&rows, "formula_note");
    assert!(!notes[0].contains("FLOP are not known"), "{notes:?}");
    assert_eq!(told(&with(timeline(&[None; 2]), &[100.0, 300.0])), both);
    // A third launch that only one pass knows: alone it stays; for a timeline the mean of the three fills in.
    let third = (None, Some(500.0), LAUNCH, None);
    assert_eq!(told(&with(measured(), &[100.0, 300.0, 500.0])), [both[0], both[1], third]);
    let filled = [(Some(1e3), Some(300.0), LAUNCH, None), (Some(3e3), Some(300.0), LAUNCH, None)];
    assert_eq!(told(&with(timeline(&[None; 2]), &[100.0, 300.0, 500.0])), filled);
}

#[test]
fn passes_that_counted_different_phases_stay_beside_each_other() {
    let mut tables = timeline(&[PREFILL, DECODE, DECODE]).tables();
    add_page(&mut tables, &test_page(&[&page(5000.0, 10.0, 9.0)]), "a", &[PREFILL]);
    add_page(&mut tables, &test_page(&[&page(50.0, 20.0, 9.0)]), "b", &[DECODE]);
    let few = (Some(1e2), Some(20.0), MEAN, None);
    assert_eq!(told(&tables), [(Some(1e4), Some(10.0), LAUNCH, None), few, few]);
}

#[test]
fn pages_of_two_machines_keep_their_launches_and_their_roofs() {
    // 33.5232 MB at the H100's 3352.32 GB/s are 10 us; the A100-40GB has 1555.2 GB/s: 21.556 us.
    let of = |gpu, arch| page_of(gpu, arch, &[&page(1.0, 33_523_200.0, 30_000.0)]);
    let mut tables = Fixture::new().tables();
    add_page(&mut tables, &of(H100, "sm_90"), "a", &[]);
    add_page(&mut tables, &of("NVIDIA A100-SXM4-40GB", "sm_80"), "b", &[]);
    let rows = frame(&tables, "roofline");
    assert_eq!(ints(&rows, "device").unwrap(), [Some(0), Some(1)]);
    let bounds = ints(&rows, "bound_ns").unwrap();
    assert_eq!((bounds[0], bounds[1].map(|ns| ns / 100)), (Some(10_000), Some(215)));
    assert!(text(&rows, "roof_note")[1].contains("device 0 of pass b"), "{:?}", text(&rows, "roof_note"));
}

#[test]
fn to_another_kind_of_device_flop_travel_and_bytes_do_not() {
    let fixture = || {
        let fixture = Fixture::new().gpu(H100, "sm_90").named_kernel("k(float*)", 0, 0, (0, 50_000));
        fixture.shape(SHAPE[0], SHAPE[1])
    };
    let with = |counters: &[(&'static str, f64)]| {
        let mut tables = fixture().tables();
        add_page(&mut tables, &page_of("NVIDIA A100-SXM4-40GB", "sm_80", &[counters]), "ncu", &[]);
        tables
    };
    let tables = with(&page(2.5e6, 1e6, 9.0));
    assert_eq!(told(&tables), [(Some(5e6), None, MEAN, None)]);
    let notes = text(&frame(&tables, "roofline"), "formula_note");
    assert!(notes[0].contains("profiled on sm_80, ran on sm_90"), "{notes:?}");
    let bytes = with(&[(DRAM, 1e6), (TIME, 9.0)]);
    assert_eq!(told(&bytes), [(None, None, None, Some(Reason::OtherDevice))]);
    // A page of the timeline's own kind comes first.
    let mut both = with(&page(2.5e6, 1e6, 9.0));
    add_page(&mut both, &page_of(H100, "sm_90", &[&page(1e6, 2e6, 9.0)]), "own", &[]);
    assert_eq!(told(&both), [(Some(2e6), Some(2e6), LAUNCH, None)]);
}

#[test]
fn launches_of_another_device_or_of_a_shorter_name_are_not_matched_one_by_one() {
    let page = || test_page(&[&page(500.0, 10.0, 9.0), &page(1500.0, 10.0, 9.0)]);
    let of = |name: &str, device| {
        let kernel = |fixture: Fixture, start| {
            fixture.named_kernel(name, device, 0, (start, start + 9)).shape(SHAPE[0], SHAPE[1])
        };
        let mut tables = kernel(kernel(measured(), 0), 10).tables();
        add_page(&mut tables, &page(), "ncu", &[]);
        told(&tables).into_iter().map(|told| (told.0, told.2)).collect::<Vec<_>>()
    };
    assert_eq!(of("k(float*)", 0), [(Some(1e3), LAUNCH), (Some(3e3), LAUNCH)]);
    assert_eq!(of("k(float*)", 1), [(Some(2e3), MEAN); 2]);
    assert_eq!(of("ns::k(float*)", 0), [(Some(2e3), MEAN); 2]);
}

#[test]
fn rates_do_not_travel() {
    let mut tables = timeline(&[None]).tables();
    add_page(&mut tables, &test_page(&[&[("dram__bytes.sum.per_second", 5e9)]]), "ncu", &[]);
    assert_eq!(told(&tables), [(None, None, None, Some(Reason::OnlyRates))]);
    assert_eq!(text(&frame(&tables, "roofline_unplaced"), "reason"), ["rates do not travel to another clock"]);
}

#[test]
fn counts_that_a_tool_ties_to_an_activity_are_means_for_all_others() {
    // Two of four launches were counted, each of them tied to its activity; the two others get the mean.
    let fixture = timeline(&[None; 4])
        .profiled("k(float*)", Some(SHAPE), &page(500.0, 10.0, 9.0))
        .profiled("k(float*)", Some(SHAPE), &page(1500.0, 10.0, 9.0))
        .profiled_in_place();
    let flop: Vec<_> = told(&fixture.tables()).into_iter().map(|told| (told.0, told.2)).collect();
    assert_eq!(flop, [(Some(1e3), LAUNCH), (Some(3e3), LAUNCH), (Some(2e3), MEAN), (Some(2e3), MEAN)]);
}

#[test]
fn means_and_passes_of_the_largest_values_stay_finite() {
    let most = test_page(&[&page(f64::MAX, f64::MAX, f64::MAX), &page(f64::MAX / 2.0, f64::MAX, 1.0)]);
    let mut tables = timeline(&[PREFILL, DECODE, None]).tables();
    add_page(&mut tables, &most, "a", &[]);
    add_page(&mut tables, &test_page(&[&[("lts__t_bytes.sum", f64::MAX)]]), "b", &[DECODE]);
    let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
    assert!(told(&tables).iter().all(|told| finite(told.0) && finite(told.1)), "{:?}", told(&tables));
}
