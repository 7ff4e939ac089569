//! Sizes, rates and their reasons.

use super::*;
use crate::clock::fixture::{Args, Ranks};
use crate::fixture::shared_data;
use crate::windows::Window;
use proftool_trace::frame::{floats, ints, texts};
use proptest::prelude::*;

fn sizes(ranks: &Ranks) -> DataFrame {
    let (tables, manifest) = (ranks.tables(), ranks.manifest());
    compute(&Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest)).unwrap()
}

fn int(frame: &DataFrame, name: &str) -> Vec<Option<i64>> {
    ints(frame, name).unwrap()
}

#[test]
fn bus_bandwidth_is_that_of_the_exchange_after_the_last_arrival() {
    // 800 bytes, 4 ranks: arrivals 0, 10, 20, 60, all end at 100. Transfer 40 ns: 20 GB/s, x 2 * 3/4 = 30 GB/s. By the
    // ranks' own durations 100, 90, 80, 40: 8, 8.8889, 10 and 20 GB/s, median 9.4444, x 1.5 = 14.1667.
    let ranks = [0, 10, 20, 60].into_iter().enumerate();
    let ranks = ranks.fold(Ranks::default().gpu("NVIDIA H100 80GB HBM3"), |ranks, (rank, start)| {
        ranks.all_reduce(rank as i64, 1, 4, (start, 100))
    });
    let frame = sizes(&ranks);
    assert_eq!((int(&frame, "transfer_ns"), int(&frame, "shortest_ns")), (vec![Some(40)], vec![Some(40)]));
    assert_eq!((int(&frame, "duration_ns"), int(&frame, "start_skew_ns")), (vec![Some(85)], vec![Some(60)]));
    let rate = |name| floats(&frame, name).unwrap()[0].unwrap() / 1e9;
    assert!((rate("algorithm_bytes_per_s") - 20.0).abs() < 1e-9 && (rate("bus_bytes_per_s") - 30.0).abs() < 1e-9);
    assert!((rate("duration_bus_bytes_per_s") - 85.0 / 6.0).abs() < 1e-9);
    // NVLink of an H100: 450 GB/s one way.
    assert!((rate("link_bytes_per_s") - 450.0).abs() < 1e-9);
    assert!((floats(&frame, "link_ratio").unwrap()[0].unwrap() - 30.0 / 450.0).abs() < 1e-9);
    assert_eq!(texts(&frame, "time_source").unwrap()[0].as_deref(), Some("transfer"));
    assert_eq!(texts(&frame, "reason").unwrap(), [None]);
}

#[test]
fn a_group_of_one_rank_and_unknown_sizes_or_groups_have_reasons() {
    let args = Args { operation: "all_reduce", bytes: (Some(8), Some(8)), ..Args::default() };
    let ranks = Ranks::default()
        .kernel((0, 0), "nccl", (0, 9))
        .args(Args { group_size: Some(1), ..args })
        .kernel((0, 0), "nccl", (10, 19))
        .args(args)
        .kernel((0, 0), "ncclDevKernel_AllGather", (20, 29))
        .kernel((0, 0), "nccl", (30, 30))
        .args(Args { group_size: Some(2), ..args })
        .kernel((0, 0), "nccl", (31, 32));
    let frame = sizes(&ranks);
    let reasons: Vec<_> = texts(&frame, "reason").unwrap().into_iter().flatten().collect();
    assert_eq!(
        reasons,
        [
            "the size is not recorded",
            "the number of ranks is not recorded",
            "a group of one rank moves nothing",
            "the durations are 0",
            "the size is not recorded"
        ],
        "all_gather, all_reduce of unknown, of one and of two ranks, collective"
    );
    assert!(floats(&frame, "bus_bytes_per_s").unwrap().iter().all(Option::is_none));
}

#[test]
fn a_group_of_unknown_size_has_no_transfer_time() {
    // Two ranks of who knows how many send 8 bytes at once and end together: the shorter took 10, and the last may be
    // one that was not captured.
    let args = Args { group: Some("g"), operation: "broadcast", bytes: (Some(8), Some(8)), ..Args::default() };
    let ranks = |args| {
        let ranks = Ranks::default().kernel((0, 0), "nccl", (0, 20)).args(args);
        ranks.kernel((1, 0), "nccl", (10, 20)).args(args)
    };
    let frame = sizes(&ranks(args));
    assert_eq!((int(&frame, "complete"), int(&frame, "transfer_ns")), (vec![Some(0)], vec![None]));
    assert_eq!((int(&frame, "collectives"), int(&frame, "shortest_ns")), (vec![Some(1)], vec![Some(10)]));
    assert_eq!(texts(&frame, "time_source").unwrap()[0].as_deref(), Some("shortest of the ranks seen"));
    assert!(texts(&frame, "reason").unwrap()[0].as_ref().unwrap().ends_with(UNSIZED));
    let frame = sizes(&ranks(Args { group_size: Some(2), ..args }));
    assert_eq!((int(&frame, "complete"), int(&frame, "transfer_ns")), (vec![Some(1)], vec![Some(10)]));
}

#[test]
fn many_sizes_are_put_together_by_powers_of_two() {
    // 63 sizes stay apart; 1..=64 make the seven bins 1, 2..=3, 4..=7, ... 32..=63, 64.
    let of = |count: i64| {
        let args = |size| Args { operation: "broadcast", bytes: (Some(size), None), ..Args::default() };
        (1..=count).fold(Ranks::default(), |ranks, size| {
            ranks.kernel((0, 0), "nccl", (size * 10, size * 10 + 5)).args(args(size))
        })
    };
    assert_eq!(sizes(&of(63)).height(), 63);
    let frame = sizes(&of(64));
    let expected = [1, 2, 4, 8, 16, 32, 64].map(Some).to_vec();
    assert_eq!((int(&frame, "from_bytes"), int(&frame, "to_bytes")[5]), (expected, Some(63)));
    assert_eq!(int(&frame, "collectives").into_iter().flatten().sum::<i64>(), 64);
    assert_eq!(int(&frame, "bytes").into_iter().flatten().sum::<i64>(), 64 * 65 / 2);
}

proptest! {
    #[test]
    fn every_communication_kernel_is_in_one_collective_and_the_order_of_rows_changes_nothing(
        rows in prop::collection::vec((0..3_i64, 0..4_i64, 0..90_i64, 0..9_i64), 0..16), by in 0..20_usize,
    ) {
        let ranks = rows.iter().fold(Ranks::default(), |ranks, (rank, sequence, start, length)| {
            ranks.all_reduce(*rank, *sequence, 3, (*start, start + length))
        });
        let frame = sizes(&ranks);
        prop_assert_eq!(&frame, &sizes(&ranks.clone().shuffled(by)));
        let counted: i64 = int(&frame, "collectives").into_iter().flatten().sum();
        prop_assert!(counted <= rows.len() as i64);
    }
}

#[test]
fn one_rank_of_two_shows_its_own_durations() {
    let Some(path) = shared_data("kineto/a100_nccl_world2.json.gz") else { return };
    let tables = proftool_import::into_memory(&path).unwrap().1;
    let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
    let counts = int(&frame, "collectives");
    assert_eq!(counts.iter().flatten().sum::<i64>(), 21);
    assert!(int(&frame, "complete").iter().all(|complete| *complete == Some(0)), "the other rank is missing");
    assert!(int(&frame, "transfer_ns").iter().all(Option::is_none));
    // By hand from the arguments and durations: three all-reduces of 7875584 floats in 2424.415, 2673.916 and 5983.024
    // us.
    let row = int(&frame, "from_bytes").iter().position(|bytes| *bytes == Some(31_502_336)).unwrap();
    assert_eq!((counts[row], int(&frame, "duration_ns")[row]), (Some(3), Some(2_673_916)));
    let rate = |name| floats(&frame, name).unwrap()[row].unwrap();
    assert!((rate("algorithm_bytes_per_s") / 11_781_348_404.0 - 1.0).abs() < 1e-9);
    assert!((rate("bus_bytes_per_s") / rate("algorithm_bytes_per_s") - 1.0).abs() < 1e-12, "2(n-1)/n of two is 1");
    let source = texts(&frame, "time_source").unwrap()[row].clone().unwrap();
    assert_eq!(source, "shortest of the ranks seen");
}
