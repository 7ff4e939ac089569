use super::*;
use crate::operators::{total, union};
use proptest::prelude::*;

fn range(lane: u32, id: i64, span: Span) -> Range {
    Range { lane, id, span }
}

fn operation(lane: u32, launch: u32, call: Span, span: Span) -> Operation {
    Operation { lane, launch, call, span }
}

/// The definitions, one pair of a range and an operation after the other.
fn naive(ranges: &[Range], operations: &[Operation]) -> Projection {
    let encloses =
        |outer: &Range, lane: u32, span: Span| outer.lane == lane && outer.span.0 <= span.0 && span.1 <= outer.span.1;
    // The innermost is the last of those that enclose, in this order.
    let order = |range: &Range| (range.span.0, Reverse(range.span.1), range.id);
    let last = |among: &dyn Fn(&Range) -> bool| {
        let found = ranges.iter().enumerate().filter(|(_, range)| among(range));
        found.max_by_key(|(_, range)| order(range)).map(|(at, _)| at as u32)
    };
    let innermost: Vec<Option<u32>> =
        operations.iter().map(|own| last(&|range| encloses(range, own.lane, call(own)))).collect();
    let parents: Vec<Option<u32>> = ranges
        .iter()
        .map(|own| last(&|range| encloses(range, own.lane, own.span) && order(range) < order(own)))
        .collect();
    let projected = ranges.iter().enumerate().map(|(at, range)| {
        let held = operations.iter().filter(|own| encloses(range, own.lane, call(own)));
        let held: Vec<&Operation> = held.collect();
        let spans: Vec<Span> = held.iter().map(|own| work(own)).collect();
        let own = || operations.iter().zip(&innermost).filter(|(_, range)| **range == Some(at as u32));
        let launches: std::collections::BTreeSet<u32> = held.iter().map(|own| own.launch).collect();
        let mut level = 0;
        let mut above = parents[at];
        while let Some(parent) = above {
            (level, above) = (level + 1, parents[parent as usize]);
        }
        Projected {
            parent: parents[at],
            level,
            children: parents.iter().filter(|parent| **parent == Some(at as u32)).count() as u32,
            launches: launches.len() as u32,
            operations: held.len() as u32,
            own_operations: own().count() as u32,
            projection: spans
                .iter()
                .fold(None, |all: Option<Span>, span| {
                    Some(all.map_or(*span, |all| (all.0.min(span.0), all.1.max(span.1))))
                })
                .unwrap_or_default(),
            work: spans.iter().map(|(start, end)| end - start).sum(),
            busy: total(&union(&spans)),
            own_busy: total(&union(&own().map(|(own, _)| work(own)).collect::<Vec<_>>())),
        }
    });
    Projection { ranges: projected.collect(), innermost }
}

#[test]
fn a_step_with_two_layers_projects_as_worked_out_by_hand() {
    // Lane 0: step 0..100 with layer 10..40 and layer 40..90; lane 1: its own range. Calls: 12..14 and 15..16 in the
    // first layer, 50..52 (a graph of two) in the second, 95..96 in the step alone, 99..101 leaves the step.
    let ranges = [range(0, 0, (0, 100)), range(0, 1, (10, 40)), range(0, 2, (40, 90)), range(1, 3, (0, 100))];
    let operations = [
        operation(0, 0, (12, 14), (20, 30)),
        operation(0, 1, (15, 16), (25, 45)),
        operation(0, 2, (50, 52), (60, 70)),
        operation(0, 2, (50, 52), (70, 75)),
        operation(0, 3, (95, 96), (200, 210)),
        operation(0, 4, (99, 101), (210, 220)),
        operation(1, 5, (5, 6), (65, 80)),
    ];
    let found = project(&ranges, &operations);
    assert_eq!(found.innermost, [Some(1), Some(1), Some(2), Some(2), Some(0), None, Some(3)]);
    let step = found.ranges[0];
    assert_eq!((step.span(), step.parent, step.level, step.children), (Some((20, 210)), None, 0, 2));
    // 20..45, 60..75 and 200..210; the durations are 10 + 20 + 10 + 5 + 10.
    assert_eq!((step.launches, step.operations, step.work, step.busy), (4, 5, 55, 50));
    assert_eq!((step.own_operations, step.own_busy), (1, 10));
    let layer = found.ranges[1];
    assert_eq!((layer.span(), layer.parent, layer.level), (Some((20, 45)), Some(0), 1));
    assert_eq!((layer.work, layer.busy, layer.own_busy), (30, 25, 25));
    assert_eq!(found.ranges[2].launches, 1);
    assert_eq!(found.ranges[3].span(), Some((65, 80)));
}

#[test]
fn crossing_ranges_hold_what_they_share_both() {
    // 0..50 and 30..80 cross; the call 35..40 lies in both, 45..60 in the second alone.
    let ranges = [range(0, 0, (0, 50)), range(0, 1, (30, 80))];
    let operations = [operation(0, 0, (35, 40), (100, 110)), operation(0, 1, (45, 60), (110, 130))];
    let found = project(&ranges, &operations);
    assert_eq!(found.innermost, [Some(1), Some(1)]);
    assert_eq!([found.ranges[0].busy, found.ranges[1].busy], [10, 30]);
    assert_eq!([found.ranges[0].parent, found.ranges[1].parent], [None, None]);
}

#[test]
fn of_equal_ranges_the_one_with_the_larger_identifier_is_inside() {
    let ranges = [range(0, 7, (0, 50)), range(0, 3, (0, 50))];
    let found = project(&ranges, &[operation(0, 0, (0, 50), (60, 61))]);
    assert_eq!([found.ranges[0].parent, found.ranges[1].parent], [Some(1), None]);
    assert_eq!(found.innermost, [Some(0)]);
}

#[test]
fn the_largest_times_saturate_and_nothing_panics() {
    let all = (i64::MIN, i64::MAX);
    let ranges = [range(0, 0, all), range(0, 1, (0, 0)), range(3, 2, all)];
    let operations = [operation(0, 0, (0, 0), all), operation(0, 1, (5, 4), all), operation(9, 0, (0, 1), (3, 1))];
    let found = project(&ranges, &operations);
    assert_eq!((found.ranges[0].busy, found.ranges[0].work), (i64::MAX, i64::MAX));
    assert_eq!(found.ranges[1].own_busy, i64::MAX);
    assert_eq!(project(&[], &operations).innermost, [None; 3]);
    assert_eq!(project(&ranges, &[]).ranges[2].span(), None);
}

/// Ranges that cross and touch, calls that nest, times on several devices.
fn rows() -> impl Strategy<Value = (Vec<Range>, Vec<Operation>)> {
    let ranges = prop::collection::vec((0..2_u32, 0..40_i64, 0..30_i64), 0..14);
    let calls = prop::collection::vec((0..2_u32, 0..50_i64, 0..12_i64), 1..10);
    let operations = prop::collection::vec((0..10_usize, 0..80_i64, -3..20_i64), 0..16);
    (ranges, calls, operations).prop_map(|(ranges, calls, operations)| {
        let ranges = ranges.into_iter().enumerate();
        let ranges = ranges.map(|(id, (lane, start, length))| range(lane, id as i64, (start, start + length)));
        let operations = operations.into_iter().map(|(launch, start, length)| {
            let launch = launch % calls.len();
            let (lane, begin, took) = calls[launch];
            operation(lane, launch as u32, (begin, begin + took), (start, start + length))
        });
        (ranges.collect(), operations.collect())
    })
}

/// Ranges that cross and nest over calls of one thread whose operations run one after the other.
fn chained() -> impl Strategy<Value = (Vec<Range>, Vec<Operation>)> {
    let ranges = prop::collection::vec((0..60_i64, 0..40_i64), 0..14);
    let calls = prop::collection::vec((0..4_i64, 0..4_i64, 1..4_usize), 1..14);
    let gaps = prop::collection::vec((0..3_i64, 0..5_i64), 42);
    (ranges, calls, gaps).prop_map(|(ranges, calls, gaps)| {
        let ranges = ranges.into_iter().enumerate();
        let ranges = ranges.map(|(id, (start, length))| range(0, id as i64, (start, start + length)));
        let (mut begin, mut at, mut gaps) = (0, 0, gaps.into_iter());
        let mut operations = Vec::new();
        for (launch, (wait, took, count)) in calls.into_iter().enumerate() {
            begin += wait;
            for (gap, length) in gaps.by_ref().take(count) {
                at += gap;
                operations.push(operation(0, launch as u32, (begin, begin + took), (at, at + length)));
                at += length;
            }
            begin += took;
        }
        (ranges.collect(), operations)
    })
}

proptest! {
    #[test]
    fn a_chain_of_operations_gives_what_every_pair_looked_at_gives((ranges, operations) in chained()) {
        prop_assert_eq!(project(&ranges, &operations), naive(&ranges, &operations));
    }

    #[test]
    fn the_sweep_agrees_with_every_pair_looked_at((ranges, operations) in rows()) {
        prop_assert_eq!(project(&ranges, &operations), naive(&ranges, &operations));
    }

    #[test]
    fn the_order_of_rows_changes_nothing(
        (ranges, operations) in rows(), seed in any::<u64>(),
    ) {
        // A shuffle by a multiplicative hash of the place.
        let key = |at: usize| (at as u64 + 1).wrapping_mul(seed | 1).rotate_left(17);
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by_key(|at| key(*at));
        let mut backwards: Vec<usize> = (0..operations.len()).collect();
        backwards.sort_by_key(|at| key(*at));
        let shuffled: Vec<Range> = order.iter().map(|at| ranges[*at]).collect();
        let mixed: Vec<Operation> = backwards.iter().map(|at| operations[*at]).collect();
        let (one, other) = (project(&ranges, &operations), project(&shuffled, &mixed));
        for (now, before) in order.iter().enumerate() {
            let old = |range: u32| order[range as usize] as u32;
            let found = Projected { parent: other.ranges[now].parent.map(old), ..other.ranges[now] };
            prop_assert_eq!(found, one.ranges[*before]);
        }
    }
}
