use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::windows::Window;
use proftool_trace::frame::{Tables, floats, ints};
use proptest::prelude::*;

fn queues(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn at(frame: &DataFrame, row: usize, names: &[&str]) -> Vec<Option<i64>> {
    names.iter().map(|name| ints(frame, name).unwrap()[row]).collect()
}

const STATE: [&str; 5] = ["span_ns", "max_depth", "full_ns", "empty_ns", "starved_ns"];

#[test]
fn a_launch_waits_from_its_call_to_its_start() {
    // Waiting: 0..10, 2..20 and 30..35; running: 10..20, 20..25, 35..40. Depth 0 in 20..30 and 35..40.
    let fixture = Fixture::new()
        .kernel(0, 0, (10, 20))
        .launched((0, 3))
        .kernel(0, 0, (20, 25))
        .launched((2, 4))
        .kernel(0, 0, (35, 40))
        .launched((30, 32))
        .block((0, 40));
    let frame = queues(&fixture.tables());
    assert_eq!(at(&frame, 0, &STATE), [40, 2, 0, 15, 5].map(Some));
    // 2 + 8 * 2 + 10 + 5 = 33 launch-nanoseconds; 40 ns give 40 bins.
    assert_eq!(floats(&frame, "mean_depth").unwrap()[0], Some(33.0 / 40.0));
    assert_eq!((frame.height(), at(&frame, 3, &["bin", "start_ns", "max_depth"])), (41, [2, 2, 2].map(Some).to_vec()));
    assert_eq!(at(&frame, 0, &["launches", "p95_depth"]), [3, 2].map(Some));
}

#[test]
fn nodes_of_a_graph_are_one_entry_and_unknown_launches_lower_the_coverage() {
    let fixture = Fixture::new()
        .kernel(0, 3, (10, 20))
        .launched((0, 3))
        .kernel(0, 3, (20, 30))
        .launched_with(0)
        .kernel(0, 3, (30, 40))
        .kernel(0, 3, (40, 50))
        .launched((45, 47))
        .kernel(0, 5, (40, 50))
        .launched_with(0);
    let frame = queues(&fixture.tables());
    // The window is 10..50: nothing of queue 3 waits in it, and all launches but the one that began at 40 before its
    // call and the one without a call are counted.
    assert_eq!(at(&frame, 0, &["queue", "launches", "max_depth"]), [3, 1, 0].map(Some));
    assert_eq!(floats(&frame, "coverage_ratio").unwrap()[0], Some(1.0 / 3.0));
    let other = ints(&frame, "queue").unwrap().iter().position(|queue| *queue == Some(5)).unwrap();
    assert_eq!(at(&frame, other, &STATE), [40, 1, 0, 10, 0].map(Some));
}

#[test]
fn a_window_of_no_length_has_one_row_without_depths() {
    let frame = queues(&Fixture::new().kernel(0, 0, (5, 5)).launched((0, 1)).tables());
    assert_eq!((frame.height(), at(&frame, 0, &STATE)), (1, vec![Some(0), None, Some(0), Some(0), Some(0)]));
    assert_eq!(floats(&frame, "mean_depth").unwrap(), [None]);
}

proptest! {
    #[test]
    fn bins_sum_to_the_whole_and_agree_with_a_count_at_each_nanosecond(
        rows in prop::collection::vec((0..2_i64, 0..300_i64, 0..20_i64, 0..90_i64), 1..14), reversed: bool,
    ) {
        let order: Vec<_> = if reversed { rows.iter().rev().collect() } else { rows.iter().collect() };
        let add = |fixture: Fixture, row: &&(i64, i64, i64, i64)| {
            fixture.kernel(0, row.0, (row.1, row.1 + row.2)).launched((row.1 - row.3, row.1 - row.3))
        };
        let windows = [(0, 130), (150, 290)];
        let frame = queues(&order.iter().fold(Fixture::new().block(windows[0]).block(windows[1]), add).tables());
        let (queues, places) = (ints(&frame, "queue").unwrap(), ints(&frame, "bin").unwrap());
        for queue in [0, 1] {
            let mine: Vec<_> = rows.iter().filter(|row| row.0 == queue).collect();
            let Some(whole) = (0..frame.height()).find(|row| (queues[*row], places[*row]) == (Some(queue), None)) else {
                prop_assert!(mine.is_empty());
                continue;
            };
            let depth = |t: i64| mine.iter().filter(|row| row.1 - row.3 <= t && t < row.1).count();
            let instants = || windows.iter().flat_map(|window| window.0..window.1);
            let idle = |t: i64| !mine.iter().any(|row| row.1 - row.3 <= t && t < row.1 + row.2);
            let expected = [
                270,
                instants().map(depth).max().unwrap() as i64,
                0,
                instants().filter(|t| depth(*t) == 0).count() as i64,
                instants().filter(|t| idle(*t)).count() as i64,
            ];
            prop_assert_eq!(at(&frame, whole, &STATE), expected.map(Some));
            let parts: Vec<usize> = (0..frame.height()).filter(|row| queues[*row] == Some(queue) && places[*row].is_some()).collect();
            prop_assert!(parts.len() <= 200);
            for name in ["span_ns", "launches", "empty_ns", "starved_ns"] {
                let column = ints(&frame, name).unwrap();
                prop_assert_eq!(parts.iter().map(|row| column[*row].unwrap()).sum::<i64>(), column[whole].unwrap());
            }
            let depths = ints(&frame, "max_depth").unwrap();
            prop_assert_eq!(parts.iter().map(|row| depths[*row]).max().unwrap(), depths[whole]);
        }
    }
}

/// HTA's longest queues of a file of which it keeps all rows; its values are after each event.
#[test]
fn the_longest_queue_is_that_of_hta() {
    let Some(path) = shared_data("kineto/a100_alexnet.json.gz") else { return };
    let golden = path.parent().unwrap().join("../../golden/hta/a100_alexnet__queue_length_summary.csv");
    // The first launch waits before the window of the device's work begins: name all of the time.
    let (_, mut tables) = proftool_import::into_memory(&path).unwrap();
    let all = Fixture::new().range("all", (i64::MIN / 2, i64::MAX / 2)).tables();
    let ranges = &proftool_trace::tables::RANGES;
    let pass =
        proftool_trace::frame::texts(tables.get(&proftool_trace::tables::ACTIVITIES), "pass").unwrap()[0].clone();
    let mut frame = all.get(ranges).clone();
    frame.with_column(proftool_trace::frame::text_column("pass", [pass])).unwrap();
    tables.append(ranges, &frame).unwrap();
    let frame = compute(&Input::new("run", "target", &tables, Window::Named("all".into()))).unwrap();
    let (queues, places) = (ints(&frame, "queue").unwrap(), ints(&frame, "bin").unwrap());
    let records = csv::Reader::from_path(golden).unwrap().into_records().map(Result::unwrap).skip(1);
    let mut compared = 0;
    for record in records {
        let queue: i64 = record[1].parse().unwrap();
        let row = (0..frame.height()).find(|row| (queues[*row], places[*row]) == (Some(queue), None)).unwrap();
        // Each launch is two events.
        let launches = at(&frame, row, &["launches"])[0].unwrap();
        let theirs = |column: usize| record[column].parse::<f64>().unwrap() as i64;
        let longest = at(&frame, row, &["max_depth"])[0].unwrap();
        assert_eq!((2 * launches, longest), (theirs(2), theirs(9)), "queue {queue}");
        compared += 1;
    }
    assert_eq!(compared, 2);
}
