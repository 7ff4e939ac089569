//! The ranks in one time.

use super::fixture::{Args, Ranks};
use super::*;
use crate::windows::Window;
use proptest::prelude::*;

fn aligned_of(ranks: &Ranks) -> Aligned {
    let (tables, manifest) = (ranks.tables(), ranks.manifest());
    aligned(&Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest)).unwrap()
}

fn offsets(ranks: &Ranks) -> Vec<i64> {
    aligned_of(ranks).offsets.into_values().collect()
}

#[test]
fn session_starts_are_refined_by_the_ends_of_collectives() {
    // Rank 1 began 1 ms later by the wall clock, which is 137 us off: its end of the first reads 500 us, in truth
    // 1500 us of rank 0, which ends at 1637 us.
    let ranks = Ranks::default()
        .all_reduce(0, 1, 2, (1_000_000, 1_637_000))
        .all_reduce(0, 2, 2, (3_000_000, 3_137_000))
        .all_reduce(1, 1, 2, (100_000, 500_000))
        .all_reduce(1, 2, 2, (1_200_000, 2_000_000))
        .file(0, 5_000_000_000, 0)
        .file(1, 5_001_000_000, 0);
    let found = aligned_of(&ranks);
    assert_eq!(found.offsets, BTreeMap::from([(0, 0), (1, 1_137_000)]));
    let clock = found.clocks[&1];
    assert_eq!((clock.source, clock.session, clock.refined), (Source::Wall, Some(1_000_000), Some(137_000)));
    assert_eq!((clock.reference, found.groups.len()), (Some(0), 2));
}

#[test]
fn one_host_is_aligned_by_its_monotonic_clock() {
    let ranks = |files: [(i64, i64); 2]| {
        let ranks = Ranks::default().kernel((0, 0), "gemm", (0, 5)).kernel((1, 0), "gemm", (0, 5));
        files.into_iter().zip(0..).fold(ranks, |ranks, ((unix, monotonic), rank)| ranks.file(rank, unix, monotonic))
    };
    // Booted 20 ms apart: two hosts, unless they have one name.
    let apart = ranks([(50_000_000, 10_000_000), (80_000_000, 20_000_000)]);
    assert_eq!(offsets(&apart), [0, 30_000_000]);
    assert_eq!(offsets(&apart.host("node")), [0, 10_000_000]);
    // Booted 3 us apart, by clocks that NTP adjusts: one host.
    assert_eq!(offsets(&ranks([(50_000_000, 10_000_000), (80_003_000, 40_000_000)])), [0, 30_000_000]);
    assert_eq!(offsets(&ranks([(50_000_000, 0), (80_003_000, 0)])), [0, 30_003_000], "no monotonic clock");
}

#[test]
fn times_from_the_epoch_need_no_session_start_and_others_are_not_comparable_without() {
    let epoch = 1_700_000_000_000_000_000;
    let ranks = Ranks::default()
        .kernel((0, 0), "ncclDevKernel_SendRecv", (epoch, epoch + 5))
        .kernel((1, 0), "ncclDevKernel_SendRecv", (epoch, epoch + 5))
        .file(0, 0, 0)
        .file(1, 0, 0);
    let found = aligned_of(&ranks);
    assert_eq!((found.clocks[&1].source, found.offsets[&1]), (Source::Epoch, 0));
    let ranks = Ranks::default()
        .kernel((0, 0), "ncclDevKernel_SendRecv", (0, 5))
        .kernel((1, 0), "ncclDevKernel_SendRecv", (900, 905))
        .file(0, 0, 0)
        .file(1, 0, 0);
    let (found, tables) = (aligned_of(&ranks), ranks.tables());
    assert_eq!(found.clocks[&1].source, Source::Unknown);
    let model = Model::read(&tables).unwrap();
    assert!(!found.comparable(&model, &found.groups[0]), "messages do not align, so nobody knows");
}

#[test]
fn a_rank_that_is_missing_leaves_the_others_aligned() {
    let ranks = Ranks::default().all_reduce(0, 1, 3, (0, 10)).all_reduce(1, 1, 3, (0, 25)).file(0, 5, 0).file(1, 5, 0);
    let found = aligned_of(&ranks);
    assert_eq!((found.offsets[&1], found.groups[0].complete), (-15, Some(false)));
}

#[test]
fn pairs_of_ranks_connect_all_through_their_groups() {
    // Tensor-parallel pairs 0-1 and 2-3, data-parallel pairs 0-2 and 1-3; clocks 0, 10, 200 and 3000 ahead.
    let ahead = [0, 10, 200, 3000];
    let pairs = [("tp0", [0, 1]), ("tp1", [2, 3]), ("dp0", [0, 2]), ("dp1", [1, 3])];
    let mut ranks = Ranks::default();
    for (at, (group, members)) in pairs.into_iter().enumerate() {
        for rank in members {
            let end = 100 * at as i64 + 50 + ahead[rank];
            let operation = "all_reduce";
            let args =
                Args { group: Some(group), sequence: Some(1), operation, group_size: Some(2), ..Args::default() };
            ranks = ranks.kernel((rank as i64, 0), "nccl", (end - 20, end)).args(args);
        }
    }
    assert_eq!(offsets(&ranks), [0, -10, -200, -3000]);
    assert!(aligned_of(&ranks).groups.iter().all(|group| group.complete == Some(true) && group.members.len() == 2));
}

#[test]
fn without_arguments_kernels_of_one_name_pair_by_order_and_by_overlap_where_the_counts_differ() {
    let nccl = "ncclDevKernel_AllReduce_Sum";
    let ranks = Ranks::default()
        .kernel((0, 0), nccl, (0, 10))
        .kernel((0, 0), nccl, (100, 110))
        .kernel((1, 0), nccl, (5, 13))
        .kernel((1, 0), nccl, (101, 113));
    let found = aligned_of(&ranks);
    assert_eq!((found.offsets[&1], found.groups[0].how), (-3, How::Name), "the ends are 3 later");
    assert!(
        found.groups.iter().all(|group| group.complete.is_none() && group.aligns),
        "the size of the group is unknown"
    );
    // Three against two: nobody knows which is missing, so that the clocks stay as they are.
    let ranks = ranks.kernel((1, 0), nccl, (200, 210));
    let found = aligned_of(&ranks);
    assert_eq!(found.groups.iter().map(|group| group.how).collect::<Vec<_>>(), [How::Overlap; 2]);
    assert_eq!(found.offsets[&1], 0);
    assert_eq!(found.groups[1].members.len(), 2);
}

#[test]
fn an_order_that_cannot_be_is_replaced_by_what_overlaps() {
    // Equal counts, but rank 0 lost its last and rank 1 its first: only one pair can have met.
    let nccl = "ncclDevKernel_SendRecv";
    let ranks = Ranks::default()
        .kernel((0, 0), nccl, (0, 10))
        .kernel((0, 0), nccl, (100, 110))
        .kernel((1, 0), nccl, (102, 110))
        .kernel((1, 0), nccl, (200, 210));
    let found = aligned_of(&ranks);
    assert_eq!(found.groups.len(), 1);
    assert_eq!((found.groups[0].how, found.groups[0].members.as_slice()), (How::Overlap, [1, 2].as_slice()));
}

#[test]
fn messages_pair_the_sender_with_its_receiver() {
    let message = |operation, peer| Args { operation, peer: Some(peer), group: Some("pp"), ..Args::default() };
    let ranks = Ranks::default()
        .kernel((0, 0), "ncclDevKernel_SendRecv", (0, 10))
        .args(message("send", 1))
        .kernel((1, 0), "ncclDevKernel_SendRecv", (3, 11))
        .args(message("recv", 0))
        .kernel((2, 0), "ncclDevKernel_SendRecv", (3, 11))
        .args(message("recv", 3));
    let found = aligned_of(&ranks);
    assert_eq!(found.groups.len(), 1);
    assert_eq!((found.groups[0].how, found.groups[0].aligns), (How::Message, false));
    assert_eq!(found.groups[0].complete, Some(true), "a message has two ends");
}

#[test]
fn communicators_that_share_a_name_are_not_taken_for_one() {
    let ranks = (0..4).fold(Ranks::default(), |ranks, rank| ranks.all_reduce(rank, 1, 2, (0, 10)));
    assert!(aligned_of(&ranks).groups.is_empty());
}

proptest! {
    #[test]
    fn the_order_of_rows_changes_nothing(
        rows in prop::collection::vec((0..3_i64, 0..4_i64, 0..90_i64, 0..9_i64), 0..20), by in 0..20_usize,
    ) {
        let files = Ranks::default().file(0, 5, 0).file(1, 9, 0);
        let ranks = rows.iter().fold(files, |ranks, (rank, sequence, start, length)| {
            ranks.all_reduce(*rank, *sequence, 3, (*start, start + length))
        });
        let (a, b) = (aligned_of(&ranks), aligned_of(&ranks.clone().shuffled(by)));
        prop_assert_eq!(a.offsets, b.offsets);
        prop_assert_eq!(a.groups, b.groups);
    }
}
