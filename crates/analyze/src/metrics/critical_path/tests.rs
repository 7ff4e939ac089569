use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{Tables, floats, ints, texts};
use proftool_trace::tables;
use proptest::prelude::*;

fn result(tables: &Tables, window: Window) -> DataFrame {
    compute(&Input::new("run", "target", tables, window)).unwrap()
}

/// Two queues: a (0..40) and b (40..100) on one; c (0..30) on the other, which b waits for too.
fn two_queues() -> Fixture {
    Fixture::new()
        .named_kernel("a", 0, 0, (0, 40))
        .named_kernel("c", 0, 1, (0, 30))
        .named_kernel("b", 0, 0, (40, 100))
        .after(&[1])
}

#[test]
fn the_path_and_what_would_be_saved_agree_with_a_schedule_by_hand() {
    let frame = result(&two_queues().tables(), Window::Default);
    assert_eq!(texts(&frame, "name").unwrap(), ["b", "a", "c"].map(|name| Some(name.to_owned())));
    assert_eq!(ints(&frame, "on_path_ns").unwrap(), [60, 40, 0].map(Some));
    assert_eq!(ints(&frame, "span_ns").unwrap(), [100; 3].map(Some));
    // Without a, b waits for c until 30: 10 earlier, not 40. c is not on the path and can take 10 longer.
    assert_eq!(ints(&frame, "free_saved_ns").unwrap(), [Some(60), Some(10), None]);
    assert_eq!(ints(&frame, "slack_ns").unwrap(), [0, 0, 10].map(Some));
    assert_eq!(ints(&frame, "total_ns").unwrap(), [60, 40, 30].map(Some));
    assert_eq!(floats(&frame, "coverage_ratio").unwrap()[0], Some(0.0));
}

#[test]
fn a_user_may_ask_about_kernels_by_a_glob() {
    let tables = two_queues().tables();
    let ask = |glob: &str| {
        let input = Input::new("run", "target", &tables, Window::Default).with_free(Some(glob.to_owned()));
        let frame = compute(&input).unwrap();
        assert_eq!(ints(&frame, "on_path_ns").unwrap().iter().flatten().sum::<i64>(), 100);
        assert_eq!(texts(&frame, "name").unwrap()[0].as_deref(), Some(glob));
        (ints(&frame, "launches").unwrap()[0].unwrap(), ints(&frame, "free_saved_ns").unwrap()[0])
    };
    // Without a and c, b runs from 0. What nothing matches has no answer.
    assert_eq!([ask("a"), ask("*"), ask("x*")], [(1, Some(10)), (3, Some(100)), (0, None)]);
}

#[test]
fn blocks_are_summed_or_taken_one_by_one() {
    let fixture = two_queues().named_kernel("a", 0, 0, (200, 250)).block((0, 100)).block((190, 260));
    let tables = fixture.tables();
    let frame = result(&tables, Window::Default);
    assert_eq!(ints(&frame, "span_ns").unwrap()[0], Some(170));
    assert_eq!(ints(&frame, "on_path_ns").unwrap().iter().flatten().sum::<i64>(), 170);
    let each = result(&tables, Window::Each);
    let of_block = |name: &str| -> Vec<(Option<String>, Option<i64>)> {
        let windows = texts(&each, "window").unwrap();
        let (segments, lengths) = (texts(&each, "segment").unwrap(), ints(&each, "on_path_ns").unwrap());
        let rows = windows.iter().zip(segments).zip(lengths);
        rows.filter(|row| row.0.0.as_deref() == Some(name)).map(|row| (row.0.1, row.1)).collect()
    };
    // In the second block a runs from 200 to 250 of 190..260. The queue was free since 100.
    let expected = [("operation", 50), ("tail", 10), ("unexplained", 10)];
    let mut found = of_block("block 1");
    found.retain(|row| row.1 != Some(0));
    found.sort_by_key(|row| (Reverse(row.1), row.0.clone()));
    assert_eq!(found, expected.map(|(segment, length)| (Some(segment.to_owned()), Some(length))));
}

#[test]
fn a_window_without_work_is_a_tail_and_one_without_length_has_no_ratio() {
    let frame = result(&Fixture::new().kernel(0, 0, (0, 10)).block((20, 30)).tables(), Window::Default);
    assert_eq!(texts(&frame, "segment").unwrap(), [Some("tail".to_owned())]);
    assert_eq!(ints(&frame, "on_path_ns").unwrap(), [Some(10)]);
    let frame = result(&Fixture::new().kernel(0, 0, (5, 5)).tables(), Window::Default);
    assert_eq!(floats(&frame, "on_path_ratio").unwrap(), [] as [Option<f64>; 0]);
}

#[test]
fn on_real_files_the_segments_sum_to_the_window_and_only_what_is_on_the_path_saves() {
    for file in ["nsys/h100x2_train_after.schema3.25.sqlite", "kineto/h100_qwen_0.5b.json.gz"] {
        let Some(file) = shared_data(file) else { return };
        let tables = proftool_import::into_memory(&file).unwrap().1;
        let frame = result(&tables, Window::Default);
        let sum = ints(&frame, "on_path_ns").unwrap().iter().flatten().sum::<i64>();
        assert_eq!(Some(sum), ints(&frame, "span_ns").unwrap()[0]);
        let rows = ints(&frame, "free_saved_ns").unwrap().into_iter().zip(ints(&frame, "total_ns").unwrap());
        assert!(rows.clone().filter(|row| row.0.is_some()).count() > 0);
        assert!(rows.into_iter().filter_map(|row| row.0).all(|saved| saved >= 0));
    }
}

/// Queue, start, length, begin of the launching call.
type RandomRow = (i64, i64, i64, i64);

fn random(rows: &[RandomRow], syncs: &[(i64, i64)]) -> Tables {
    let mut fixture = Fixture::new();
    for (at, (queue, start, length, launched)) in rows.iter().enumerate() {
        fixture = fixture.named_kernel(["a", "b", "c"][at % 3], 0, *queue, (*start, start + length));
        fixture = if at % 4 == 3 { fixture } else { fixture.launched((*launched, launched + 2)) };
    }
    syncs.iter().fold(fixture, |fixture, (start, length)| fixture.sync_call((*start, start + length))).tables()
}

proptest! {
    #[test]
    fn segments_sum_to_the_window_and_row_order_changes_nothing(
        rows in prop::collection::vec((0..2_i64, 0..60_i64, 0..15_i64, 0..60_i64), 1..12),
        syncs in prop::collection::vec((0..60_i64, 1..20_i64), 0..4),
    ) {
        let tables = random(&rows, &syncs);
        let frame = result(&tables, Window::Default);
        let sum = ints(&frame, "on_path_ns").unwrap().iter().flatten().sum::<i64>();
        prop_assert_eq!(sum, ints(&frame, "span_ns").unwrap().first().copied().flatten().unwrap_or(0));
        let mut reversed = tables.clone();
        for table in [&tables::ACTIVITIES, &tables::CALLS] {
            reversed.set(table, tables.get(table).reverse()).unwrap();
        }
        prop_assert!(frame.equals_missing(&result(&reversed, Window::Default)));
    }
}

#[test]
fn a_jacobi_solver_agrees_with_a_reference_written_apart() {
    // A program of 150 lines that follows the definitions edge by edge over the export's own tables found these.
    let Some(file) = shared_data("nsys/gh200_jacobi.schema3.6.sqlite") else { return };
    let frame = result(&proftool_import::into_memory(&file).unwrap().1, Window::Default);
    let (segments, names) = (texts(&frame, "segment").unwrap(), texts(&frame, "name").unwrap());
    let (lengths, saved) = (ints(&frame, "on_path_ns").unwrap(), ints(&frame, "free_saved_ns").unwrap());
    let row = |segment: &str, name: &str| {
        let fits = |at: &usize| {
            segments[*at].as_deref() == Some(segment) && names[*at].as_deref().unwrap_or("").starts_with(name)
        };
        let at = (0..frame.height()).find(fits).unwrap();
        (lengths[at].unwrap(), saved[at])
    };
    assert_eq!(row("operation", "jacobi_kernel"), (2_071_927_531, Some(2_071_926_714)));
    assert_eq!(row("operation", "[CUDA memset]"), (1_760_704, Some(1_110_612)));
    assert_eq!(row("operation", "initialize_boundaries").1, Some(4_687));
    assert_eq!(row("queue", ""), (7_433_216, None));
    assert_eq!(row("launch", ""), (5_327_401, None));
    assert_eq!(row("call", "cudaMemcpy"), (3_459_200, None));
    assert_eq!(row("return", "cudaMemcpy"), (2_738_963, None));
    assert_eq!(row("return", "cudaDeviceSynchronize"), (1_826_628, None));
    assert_eq!(row("call", "cudaHostAlloc"), (461_568, None));
}

#[test]
fn the_largest_and_smallest_times_neither_overflow_nor_break_the_sum() {
    let (least, most) = (i64::MIN, i64::MAX);
    let spans = [(least, most), (most, least), (0, most), (least, 0), (5, 5)];
    let mut fixture = Fixture::new();
    for (at, span) in spans.into_iter().enumerate() {
        fixture = fixture.kernel(0, 0, span).launched_on(1 + at as i64 % 2, "launch", span).kernel(0, 1, span);
        fixture = fixture.op_on(1 + at as i64 % 2, "operator", span).sync_call(span);
    }
    let frame = result(&fixture.tables(), Window::Default);
    assert!(frame.height() > 0);
    let sum = ints(&frame, "on_path_ns").unwrap().iter().flatten().sum::<i64>();
    assert_eq!(Some(sum), ints(&frame, "span_ns").unwrap()[0]);
    assert!(ints(&frame, "free_saved_ns").unwrap().into_iter().flatten().all(|saved| saved >= 0));
}
