//! Clocks, waits and stragglers.

use super::*;
use crate::clock::fixture::{Args, Ranks};
use crate::fixture::shared_data;
use crate::windows::Window;
use proftool_trace::frame::{floats, ints, texts};
use proptest::prelude::*;

fn ranks_of(ranks: &Ranks) -> DataFrame {
    let (tables, manifest) = (ranks.tables(), ranks.manifest());
    compute(&Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest)).unwrap()
}

fn column(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    ints(frame, name).unwrap()
}

/// Rank 1 computes 40 longer before each of two all-reduces of 20, and its clock is 137 ahead.
fn straggler() -> Ranks {
    Ranks::default()
        .kernel((0, 0), "gemm", (0, 40))
        .all_reduce(0, 1, 2, (40, 100))
        .kernel((0, 0), "gemm", (120, 160))
        .all_reduce(0, 2, 2, (160, 220))
        .kernel((1, 0), "gemm", (137, 217))
        .all_reduce(1, 1, 2, (217, 237))
        .kernel((1, 0), "gemm", (257, 337))
        .all_reduce(1, 2, 2, (337, 357))
}

#[test]
fn a_straggler_is_the_one_that_makes_the_others_wait() {
    let frame = ranks_of(&straggler());
    assert_eq!(column(&frame, "refined_ns"), [Some(0), Some(-137)]);
    assert_eq!(column(&frame, "residual_max_ns"), [Some(0), Some(0)]);
    assert_eq!(column(&frame, "wait_ns"), [Some(80), Some(0)]);
    assert_eq!(column(&frame, "transfer_ns"), [Some(40), Some(40)]);
    assert_eq!(column(&frame, "last_count"), [Some(0), Some(2)]);
    assert_eq!(column(&frame, "late_ns"), [Some(0), Some(80)]);
    assert_eq!(column(&frame, "caused_wait_ns"), [Some(0), Some(80)]);
    assert_eq!(floats(&frame, "last_ratio").unwrap(), [Some(0.0), Some(1.0)]);
    assert_eq!((column(&frame, "span_ns")[0], column(&frame, "busy_ns")[0]), (Some(220), Some(200)));
    let pairs = ["matched", "complete", "paired_by_order", "point_to_point"].map(|name| column(&frame, name)[1]);
    assert_eq!(pairs, [2, 2, 0, 0].map(Some));
    assert_eq!(texts(&frame, "reason").unwrap(), [None, None]);
}

#[test]
fn all_that_communicate_may_be_a_part_of_a_group_of_unknown_size() {
    // Two of who knows how many meet twice by name: rank 1 comes 6 later, and nobody can say that it came last of all.
    let nccl = "ncclDevKernel_AllReduce_Sum";
    let ranks = [0, 100].into_iter().fold(Ranks::default(), |ranks, at| {
        ranks.kernel((0, 0), nccl, (at, at + 20)).kernel((1, 0), nccl, (at + 6, at + 20))
    });
    let frame = ranks_of(&ranks);
    let pairs = |frame: &DataFrame| {
        ["matched", "complete", "paired_by_order", "point_to_point", "late_ns"].map(|name| column(frame, name)[1])
    };
    assert_eq!(pairs(&frame), [2, 0, 2, 0, 12].map(Some));
    assert_eq!(texts(&frame, "reason").unwrap()[1].as_deref(), Some(UNSIZED));
    // One more, of a group of three of which two were seen.
    let frame = ranks_of(&ranks.all_reduce(0, 1, 3, (200, 220)).all_reduce(1, 1, 3, (206, 220)));
    assert_eq!(pairs(&frame), [3, 0, 2, 0, 18].map(Some));
    assert!(texts(&frame, "reason").unwrap()[1].as_ref().unwrap().starts_with("not every rank of the groups was seen"));
}

#[test]
fn a_rank_without_partners_says_so() {
    let frame = ranks_of(&Ranks::default().kernel((0, 0), "gemm", (0, 4)).all_reduce(3, 1, 2, (0, 9)));
    assert_eq!(column(&frame, "wait_ns"), [None, None]);
    assert_eq!(column(&frame, "refined_ns"), [None, None]);
    let reasons = texts(&frame, "reason").unwrap();
    assert!(reasons[0].as_ref().unwrap().starts_with("no communication kernel"), "{reasons:?}");
    assert!(reasons[1].as_ref().unwrap().starts_with("no collective was matched"), "{reasons:?}");
}

#[test]
fn clocks_without_session_start_tell_nothing_about_messages() {
    let nccl = "ncclDevKernel_SendRecv";
    let ranks = Ranks::default().kernel((0, 0), nccl, (0, 4)).kernel((1, 0), nccl, (0, 4)).file(0, 0, 0);
    let frame = ranks_of(&ranks);
    assert_eq!((column(&frame, "wait_ns"), column(&frame, "last_count")), (vec![None, None], vec![None, None]));
    assert_eq!(column(&frame, "offset_ns"), [None, None]);
    assert_eq!(texts(&frame, "reason").unwrap()[1].as_deref(), Some("the clocks of the ranks are not aligned"));
}

#[test]
fn a_clock_that_runs_faster_shows_its_drift() {
    // Rank 1 gains 50 ns a millisecond: 50 ppm.
    let ranks = (0..30).fold(Ranks::default(), |ranks, at| {
        let (end, gained) = (at * 1_000_000, at * 50);
        ranks.all_reduce(0, at, 2, (end - 900, end)).all_reduce(1, at, 2, (end + gained - 900, end + gained))
    });
    let drifts = floats(&ranks_of(&ranks), "drift_ppm").unwrap();
    assert!(drifts[0].is_none() && (drifts[1].unwrap() - 50.0).abs() < 1e-9, "{drifts:?}");
}

proptest! {
    #[test]
    fn skewed_clocks_change_nothing_but_their_offsets(
        arrivals in prop::collection::vec(prop::collection::vec(0..60_i64, 3), 1..6),
        skews in prop::collection::vec(-1_000_000..1_000_000_i64, 3),
    ) {
        let of = |skews: &[i64]| {
            arrivals.iter().zip(0..).fold(Ranks::default(), |ranks, (arrivals, at)| {
                arrivals.iter().zip(skews).zip(0..).fold(ranks, |ranks, ((arrival, skew), rank)| {
                    let first = 100 * at + skew;
                    ranks.all_reduce(rank, at, 3, (first + arrival, first + 80))
                })
            })
        };
        let (skewed, plain) = (ranks_of(&of(&skews)), ranks_of(&of(&[0, 0, 0])));
        let expected: Vec<_> = skews.iter().map(|skew| Some(skews[0] - skew)).collect();
        prop_assert_eq!(column(&skewed, "refined_ns"), expected);
        for name in ["wait_ns", "transfer_ns", "last_count", "late_ns", "caused_wait_ns", "residual_max_ns"] {
            prop_assert_eq!(column(&skewed, name), column(&plain, name), "{}", name);
        }
        // Nanosecond by nanosecond: a rank waits where it is there and another is not.
        for rank in 0..3 {
            let waits = |arrivals: &Vec<i64>| (arrivals[rank]..80).filter(|t| arrivals.iter().any(|a| a > t)).count();
            let waited: usize = arrivals.iter().map(waits).sum();
            prop_assert_eq!(column(&plain, "wait_ns")[rank], Some(waited as i64));
        }
    }

    #[test]
    fn communication_is_wait_and_transfer_and_the_order_of_rows_changes_nothing(
        rows in prop::collection::vec((0..3_i64, 0..4_i64, 0..90_i64, 0..9_i64), 0..16), by in 0..20_usize,
    ) {
        let ranks = rows.iter().fold(Ranks::default(), |ranks, (rank, sequence, start, length)| {
            ranks.all_reduce(*rank, *sequence, 3, (*start, start + length))
        });
        let frame = ranks_of(&ranks);
        prop_assert_eq!(&frame, &ranks_of(&ranks.clone().shuffled(by)));
        let (comm, wait) = (column(&frame, "comm_ns"), column(&frame, "wait_ns"));
        for (at, transfer) in column(&frame, "transfer_ns").into_iter().enumerate() {
            prop_assert_eq!(transfer.zip(wait[at]).map(|(a, b)| a + b), wait[at].and(comm[at]));
            prop_assert!(transfer.is_none_or(|transfer| transfer >= 0));
        }
    }
}

#[test]
fn the_devices_of_one_report_meet_in_their_messages() {
    let Some(path) = shared_data("nsys/h100x2_train_before.schema3.25.sqlite") else { return };
    let tables = proftool_import::into_memory(&path).unwrap().1;
    let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
    assert_eq!(column(&frame, "matched"), [Some(33), Some(33)]);
    assert_eq!((column(&frame, "complete"), column(&frame, "point_to_point")), (vec![Some(0); 2], vec![Some(33); 2]));
    assert_eq!(column(&frame, "aligned_by"), [Some(0), Some(0)], "messages align nothing, and one report is one clock");
    // Sums over the k-th ncclDevKernel_SendRecv of each device in CUPTI_ACTIVITY_KIND_KERNEL.
    assert_eq!(column(&frame, "comm_ns"), [17_172_652, 8_229_100].map(Some));
    assert_eq!(column(&frame, "wait_ns"), [10_898_336, 2_477_480].map(Some));
    assert_eq!(column(&frame, "last_count"), [11, 22].map(Some));
    assert_eq!(column(&frame, "late_ns"), [2_477_480, 10_898_336].map(Some));
}

proptest! {
    #[test]
    fn any_data_has_an_answer(
        rows in prop::collection::vec((0..3_i64, 0..3_i64, any::<i64>(), any::<i64>(), any::<bool>()), 0..12),
        files in prop::collection::vec((any::<i64>(), any::<i64>()), 0..3),
        values in prop::collection::vec(prop::option::of(any::<i64>()), 5),
    ) {
        let args = Args {
            group: values[0].map(|_| "g"),
            sequence: values[1],
            operation: if values[2].is_some() { "all_reduce" } else { "send" },
            bytes: (values[2], values[3]),
            group_size: values[3],
            peer: values[4],
        };
        let ranks = rows.iter().fold(Ranks::default(), |ranks, (rank, device, start, end, stated)| {
            let ranks = ranks.kernel((*rank, *device), "ncclDevKernel_AllReduce", (*start, *end));
            if *stated { ranks.args(args) } else { ranks }
        });
        let starts = files.iter().zip(0..);
        let ranks = starts.fold(ranks, |ranks, ((unix, monotonic), rank)| ranks.file(rank, *unix, *monotonic));
        let (tables, manifest) = (ranks.tables(), ranks.manifest());
        let input = Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest);
        for name in ["ranks", "collectives", "collective_sizes"] {
            let metric = crate::metrics::find(name).unwrap();
            let frame = (metric.compute)(&input).unwrap();
            proftool_trace::frame::check(metric.table, &frame).unwrap();
        }
    }
}
