use super::*;
use crate::fixture::{Fixture, shared_data};
use proftool_trace::frame::{Tables, build, floats, int_column, ints, text_column, texts};
use proftool_trace::tables;

fn steps(tables: &Tables, window: Window) -> DataFrame {
    compute(&Input::new("run", "target", tables, window)).unwrap()
}

fn values(frame: &DataFrame, column: &str) -> Vec<i64> {
    ints(frame, column).unwrap().into_iter().flatten().collect()
}

#[test]
fn a_step_is_cut_as_worked_out_by_hand() {
    // Step 0 is 0..10 on the host and 0..40 on the device: its kernel runs in 20..40, a collective in 30..50, of which
    // 40..50 is exposed and belongs to step 1, which begins when the device is done with step 0. Step 1: 40..60. Of both
    // what lies in the device's rows, 20..57, is known.
    let fixture = Fixture::new()
        .queue(0, 1, "comm")
        .range("ProfilerStep#1", (0, 10))
        .range("ProfilerStep#2", (12, 60))
        .kernel(0, 0, (20, 40))
        .launched((5, 6))
        .copy(0, 1, (30, 50), 1, 8)
        .launched((7, 8))
        .kernel(0, 0, (52, 57))
        .launched((13, 14));
    let frame = steps(&fixture.tables(), Window::Default);
    assert_eq!(values(&frame, "start_ns"), [20, 40]);
    assert_eq!(values(&frame, "span_ns"), [20, 17]);
    assert_eq!(values(&frame, "host_ns"), [10, 48]);
    assert_eq!(values(&frame, "busy_ns"), [20, 15]);
    assert_eq!(values(&frame, "idle_ns"), [0, 2]);
    assert_eq!(values(&frame, "compute_ns"), [20, 5]);
    assert_eq!(values(&frame, "exposed_comm_ns"), [0, 10]);
    assert_eq!(values(&frame, "kernels"), [1, 1]);
    assert_eq!(ints(&frame, "gap_ns").unwrap(), [None, Some(0)]);
    assert_eq!(floats(&frame, "idle_ratio").unwrap(), [Some(0.0), Some(2.0 / 17.0)]);
    assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [Some(1.0), Some(1.0)]);
    assert_eq!(texts(&frame, "source").unwrap()[0].as_deref(), Some("profiler"));
    let reason = texts(&frame, "state_reason").unwrap()[0].clone().unwrap();
    assert!(reason.starts_with("fewer than 6"), "{reason}");
}

/// Blocks of ten iterations each; the first takes 30 and the others 10, with 2 between them.
fn iterations() -> Fixture {
    let mut fixture = Fixture::new();
    for block in 0..2 {
        let mut now = block * 1000;
        for step in 0..10 {
            let took = if step == 0 { 30 } else { 10 };
            fixture = fixture.kernel(0, 0, (now, now + took)).work(step, "decode", 0, 0, 4);
            now += took + 2;
        }
        fixture = fixture.block((block * 1000, now));
    }
    fixture
}

#[test]
fn each_block_has_its_own_warm_up() {
    let tables = iterations().tables();
    let frame = steps(&tables, Window::Default);
    assert_eq!(frame.height(), 20);
    let states: Vec<_> = texts(&frame, "state").unwrap().into_iter().flatten().collect();
    let block: Vec<&str> = std::iter::once("warm_up").chain(std::iter::repeat_n("steady", 9)).collect();
    assert_eq!(states, [block.clone(), block].concat());
    let gaps = ints(&frame, "gap_ns").unwrap();
    assert_eq!((gaps[0], gaps[1], gaps[10]), (None, Some(2), None));
    let each = steps(&tables, Window::Each);
    let windows = texts(&each, "window").unwrap();
    assert_eq!((windows[9].as_deref(), windows[10].as_deref()), (Some("block 0"), Some("block 1")));
    assert_eq!(values(&each, "step")[10], 10);
}

#[test]
fn the_order_of_rows_changes_nothing() {
    let tables = iterations().tables();
    let mut shuffled = tables.clone();
    for table in [&tables::ACTIVITIES, &tables::WORK, &tables::RANGES] {
        shuffled.set(table, tables.get(table).reverse()).unwrap();
    }
    assert!(steps(&tables, Window::Default).equals_missing(&steps(&shuffled, Window::Default)));
}

#[test]
fn a_log_of_steps_is_taken_where_nothing_else_tells_and_bad_times_are_empty() {
    let mut tables = Fixture::new().kernel(0, 0, (0, 50)).other("sync", 0, 0, (50, 60)).tables();
    let rows = [(0, 20), (30, 60), (60, 55)];
    let columns = vec![
        text_column("pass", rows.iter().map(|_| Some("host"))),
        int_column("rank", rows.iter().map(|_| Some(0))),
        int_column("device", rows.iter().map(|_| Some(0))),
        int_column("start_ns", rows.iter().map(|row| Some(row.0))),
        int_column("end_ns", rows.iter().map(|row| Some(row.1))),
        int_column("decode_batch", rows.iter().map(|_| Some(3))),
    ];
    tables.set(&tables::STEPS, build(&tables::STEPS, columns).unwrap()).unwrap();
    let frame = steps(&tables, Window::Default);
    assert_eq!(values(&frame, "span_ns"), [20, 30, 0]);
    assert_eq!(values(&frame, "busy_ns"), [20, 20, 0]);
    assert_eq!(values(&frame, "decode_batch"), [3, 3, 3]);
    assert_eq!(ints(&frame, "gap_ns").unwrap(), [None, Some(10), Some(0)]);
    assert_eq!(floats(&frame, "idle_ratio").unwrap()[2], None);
    assert_eq!(floats(&frame, "coverage_ratio").unwrap(), [None; 3]);
}

#[test]
fn the_steps_of_a_real_capture_agree_with_a_plain_computation() {
    let Some(path) = shared_data("kineto/mi300x_sglang_prefilldecode.json.gz") else { return };
    let tables = proftool_import::into_memory(&path).unwrap().1;
    let input = Input::new("run", "target", &tables, Window::Default);
    let frame = compute(&input).unwrap();
    let model = input.model().unwrap();
    assert!(frame.height() > 0);
    let (starts, spans) = (values(&frame, "start_ns"), values(&frame, "span_ns"));
    let (ranks, devices) = (values(&frame, "rank"), values(&frame, "device"));
    let (busy, kernels) = (values(&frame, "busy_ns"), values(&frame, "kernels"));
    for at in 0..frame.height() {
        let window = (starts[at], starts[at] + spans[at]);
        let rows = model.activities.iter().filter(|row| row.device == (ranks[at], devices[at]));
        let rows: Vec<&Activity> = rows.filter(|row| row.class != Class::Sync).collect();
        let clipped: Vec<Span> = rows.iter().map(|row| (row.span.0.max(window.0), row.span.1.min(window.1))).collect();
        assert_eq!(busy[at], crate::operators::total(&union(&clipped)));
        let inside = |row: &&&Activity| row.kind == Kind::Kernel && (window.0..window.1).contains(&row.span.0);
        assert_eq!(kernels[at], rows.iter().filter(inside).count() as i64);
    }
}
