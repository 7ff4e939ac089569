//! One recording that fires each rule, and one that only just does not.

use crate::clock::fixture::{Args, Ranks};
use crate::fixture::Fixture;
use crate::samples::series::put;
use proftool_trace::Manifest;
use proftool_trace::frame::Tables;

/// A recording.
pub(super) struct Given {
    pub(super) tables: Tables,
    pub(super) manifest: Option<Manifest>,
}

/// A rule with both recordings and the size that was worked out by hand.
pub(super) struct Case {
    pub(super) code: &'static str,
    pub(super) size_ns: Option<i64>,
    pub(super) fires: fn() -> Given,
    pub(super) near_miss: fn() -> Given,
}

impl From<Fixture> for Given {
    fn from(fixture: Fixture) -> Self {
        Self { tables: fixture.tables(), manifest: None }
    }
}

impl From<Ranks> for Given {
    fn from(ranks: Ranks) -> Self {
        Self { tables: ranks.tables(), manifest: Some(ranks.manifest()) }
    }
}

const MS: i64 = 1_000_000;
const NCCL: &str = "ncclDevKernel_AllReduce_Sum";

/// Kernels of `busy`; before each but the first the host waits, then calls, then the launched kernel waits.
pub(super) fn rhythm(count: i64, busy: i64, [wait, call, queue]: [i64; 3]) -> Fixture {
    let period = busy + wait + call + queue;
    (0..count).fold(Fixture::new(), |fixture, at| {
        let start = at * period;
        fixture.kernel(0, 0, (start, start + busy)).launched((start - queue - call, start - queue))
    })
}

/// A hundred kernels, the first so many of which begin before the call that launched them.
fn before_call(early: i64) -> Given {
    let kernel = |fixture: Fixture, at: i64| {
        let (start, late) = (at * 20, if at < early { 6 } else { 0 });
        fixture.kernel(0, 0, (start, start + 10)).launched((start - 5 + late, start - 4 + late))
    };
    (0..100).fold(Fixture::new(), kernel).into()
}

/// Compute until `until` and a transfer on queue 1 in 50..100.
fn beside(until: i64, transfer: fn(Fixture) -> Fixture) -> Given {
    transfer(Fixture::new().kernel(0, 0, (0, until))).into()
}

fn comm(fixture: Fixture) -> Fixture {
    fixture.named_kernel(NCCL, 0, 1, (50, 100))
}

fn copy(fixture: Fixture) -> Fixture {
    fixture.copy(0, 1, (50, 100), 1, 8)
}

fn kv(fixture: Fixture) -> Fixture {
    copy(fixture.queue(0, 1, "kv"))
}

/// A prefill until 50 whose cache begins to move at `start` and takes 40.
fn cache(start: i64) -> Given {
    let fixture = Fixture::new().queue(0, 1, "kv").kernel(0, 0, (0, 50)).work(0, "prefill", 0, 0, 8);
    let fixture = fixture.copy(0, 1, (start, start + 40), 1, 100);
    fixture.kernel(1, 0, (start + 40, start + 60)).work(0, "decode", 1, 0, 1).into()
}

fn copies_on(queue: i64) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 50)).copy(0, queue, (50, 70), 1, 8).copy_kind("h2d");
    fixture.copy(0, queue, (70, 90), 1, 8).copy_kind("d2h").into()
}

/// What device 0 sends to the host goes to device 1.
fn staged(bytes: i64) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).copy(0, 0, (10, 20), 1, bytes).copy_kind("d2h");
    fixture.copy(1, 0, (30, 50), 1, bytes).copy_kind("h2d").into()
}

fn pageable(call: &'static str) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 50)).copy(0, 1, (50, 70), 1, 8).copy_kind("h2d");
    fixture.memories("pageable", "device").launched_by(call, (40, 45)).into()
}

fn many_copies(count: i64) -> Given {
    let add = |fixture: Fixture, at: i64| fixture.copy(0, 1, (at * 10, at * 10 + 5), 1, 8).copy_kind("h2d");
    (0..count).fold(Fixture::new(), add).into()
}

/// A copy by that call between two kernels.
fn copied_by(call: &'static str) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 50)).copy(0, 0, (60, 80), 1, 8).copy_kind("d2h");
    let fixture = fixture.memories("device", "pinned").launched_by(call, (40, 90));
    fixture.kernel(0, 0, (100, 140)).launched((95, 97)).into()
}

/// A fill of that memory between two kernels.
fn filled(memory: &'static str) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 50)).other("set", 0, 0, (60, 80)).memories("device", memory);
    fixture.launched_by("cudaMemset", (40, 90)).kernel(0, 0, (100, 140)).launched((95, 97)).into()
}

/// Kernels of different names and of these lengths, one after the other, launched before.
fn different(lengths: &[i64]) -> Given {
    const NAMES: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let (mut fixture, mut now) = (Fixture::new(), 100);
    for (at, length) in lengths.iter().enumerate() {
        let call = at as i64;
        fixture = fixture.named_kernel(NAMES[at], 0, 0, (now, now + length)).launched((call, call + 1));
        now += length;
    }
    fixture.into()
}

/// Two launches of a graph of one kernel of 50.
fn graphs(gap: i64) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 50)).graph_node(1, 1).launched_by("cudaGraphLaunch", (-9, -5));
    let next = (50 + gap, 100 + gap);
    fixture.kernel(0, 0, next).graph_node(1, 1).launched_by("cudaGraphLaunch", (1, 5)).into()
}

/// Two stages; the first computes all of 0..100, the second until `until`.
fn stages(from: i64, until: i64) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 100)).work(0, "prefill", 0, 0, 8);
    fixture.kernel(1, 0, (from, until)).work(0, "prefill", 1, 0, 8).block((0, 100)).into()
}

/// A kernel until 80 and another one from `from` to 100.
fn pause(from: i64) -> Given {
    Fixture::new().kernel(0, 0, (0, 80)).kernel(0, 0, (from, 100)).into()
}

/// Kernels in 0..60 and 80..100; the power cap holds in that time, and the clock is low from 40 to 60 where it does.
fn capped(held: (i64, i64)) -> Given {
    let fixture = Fixture::new().kernel(0, 0, (0, 40)).kernel(0, 0, (40, 60)).kernel(0, 0, (80, 100));
    let mut tables = fixture.tables();
    let cap = [(0, held.0, 0.0), (held.0, held.1, 1.0), (held.1, 100, 0.0)];
    let low = if held.1 > 40 { 1500.0 } else { 2000.0 };
    let clock = [(0, 40, 2000.0), (40, 60, low), (60, 100, 2000.0)];
    put(&mut tables, &[("nvml.throttle.sw_power_cap", "", &cap), ("nvml.sm_clock_hz", "MHz", &clock)]);
    Given { tables, manifest: None }
}

fn devices(second: i64) -> Given {
    Fixture::new().kernel(0, 0, (0, 100)).kernel(1, 0, (0, second - 5)).kernel(1, 0, (95, 100)).into()
}

/// Collectives every 100 of 20 after the last arrival; `late` says by how much rank 1 comes later (or rank 0).
fn collectives(late: impl Fn(i64) -> i64) -> Ranks {
    (0..10).fold(Ranks::default(), |ranks, at| {
        let (start, late) = (at * 100, late(at));
        let end = start + late.abs() + 20;
        let starts = [start + (-late).max(0), start + late.max(0)];
        ranks.all_reduce(0, at, 2, (starts[0], end)).all_reduce(1, at, 2, (starts[1], end))
    })
}

/// Collectives of two ranks whose ends on rank 1 scatter around those of rank 0 by `off` to either side.
fn scattered(off: i64) -> Given {
    let ranks = (0..10).fold(Ranks::default(), |ranks, at| {
        let (start, off) = (at * MS, if at % 2 == 0 { off } else { -off });
        ranks.all_reduce(0, at, 2, (start, start + 100_000)).all_reduce(1, at, 2, (start + off, start + 100_000 + off))
    });
    ranks.into()
}

/// Four ranks reduce 32 MiB at once in that time.
fn large(ns: i64) -> Given {
    let args = Args {
        group: Some("world"),
        sequence: Some(1),
        operation: "all_reduce",
        bytes: (Some(32 << 20), Some(32 << 20)),
        group_size: Some(4),
        peer: None,
    };
    let ranks = Ranks::default().gpu("NVIDIA H100 80GB HBM3");
    (0..4).fold(ranks, |ranks, rank| ranks.kernel((rank, 0), NCCL, (0, ns)).args(args)).into()
}

/// Twenty iterations of 10, that one of another length.
fn iterations(odd: i64, took: i64) -> Given {
    let (mut fixture, mut now) = (Fixture::new(), 0);
    for step in 0..20 {
        let took = if step == odd { took } else { 10 };
        fixture = fixture.kernel(0, 0, (now, now + took)).work(step, "decode", 0, 0, 4);
        now += took + 2;
    }
    fixture.into()
}

fn named(name: &str) -> Given {
    Fixture::new().kernel(0, 0, (0, 80)).named_kernel(name, 0, 0, (80, 100)).into()
}

pub(super) const CASES: &[Case] = &[
    // Half of +-30 us each: 15 us of residual, against 30 us of waiting at most.
    Case { code: "clock_skew", size_ns: None, fires: || scattered(30_000), near_miss: || scattered(9_000) },
    // Two of a hundred; one may be a number that was used twice.
    Case { code: "clocks_disagree", size_ns: None, fires: || before_call(2), near_miss: || before_call(1) },
    // 32 MiB x 1.5 / 450 GB/s = 0.11185 ms of 1 ms: 0.88815 ms lost; of 0.2 ms it is 56 % of the link.
    Case { code: "collective_slow", size_ns: Some(888_151), fires: || large(MS), near_miss: || large(MS / 5) },
    // 40 of 110: the first of three; of eleven equal ones none has a tenth.
    Case {
        code: "critical_path_kernel",
        size_ns: Some(45),
        fires: || different(&[45, 30, 35]),
        near_miss: || different(&[10; 11]),
    },
    // Mean (100 + 50) / 2.
    Case { code: "device_imbalance", size_ns: Some(25), fires: || devices(50), near_miss: || devices(85) },
    Case { code: "exposed_comm", size_ns: Some(50), fires: || beside(50, comm), near_miss: || beside(96, comm) },
    Case { code: "exposed_copy", size_ns: Some(50), fires: || beside(50, copy), near_miss: || beside(96, copy) },
    Case { code: "exposed_kv", size_ns: Some(50), fires: || beside(50, kv), near_miss: || beside(96, kv) },
    Case { code: "graph_gaps", size_ns: Some(20), fires: || graphs(20), near_miss: || graphs(4) },
    Case {
        code: "graph_granularity",
        size_ns: None,
        fires: || Fixture::new().other("graph", 0, 0, (0, 50)).into(),
        near_miss: || graphs(4),
    },
    // 19 gaps with 7 + 2 us before the call has returned.
    Case {
        code: "host_bound",
        size_ns: Some(171_000),
        fires: || rhythm(20, 10_000, [7_000, 2_000, 1_000]).into(),
        near_miss: || rhythm(20, 10_000, [300, 100, 9_600]).into(),
    },
    Case {
        code: "kernel_gaps",
        size_ns: Some(17_100),
        fires: || rhythm(20, 10_000, [0, 100, 900]).into(),
        near_miss: || rhythm(20, 10_000, [900, 100, 300]).into(),
    },
    // At 50 nothing of the transfer is hidden; at 45 it is 5 of 40.
    Case { code: "kv_not_hidden", size_ns: Some(40), fires: || cache(50), near_miss: || cache(45) },
    Case {
        code: "long_gaps",
        size_ns: Some(3 * MS),
        fires: || rhythm(2, 5 * MS, [2_900_000, 90_000, 10_000]).into(),
        near_miss: || rhythm(2, 5 * MS, [800_000, 90_000, 10_000]).into(),
    },
    Case {
        code: "low_coverage",
        size_ns: None,
        fires: || Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (20, 30)).into(),
        near_miss: || Fixture::new().kernel(0, 0, (0, 100)).kernel(0, 0, (104, 200)).into(),
    },
    // Parts of 3 and 4: those from 80 on, of which 99..100 is busy.
    Case { code: "low_utilisation", size_ns: Some(19), fires: || pause(99), near_miss: || pause(84) },
    Case {
        code: "one_kernel_dominates",
        size_ns: Some(80),
        fires: || different(&[80, 20]),
        near_miss: || different(&[49, 26, 25]),
    },
    Case { code: "p2p_not_used", size_ns: Some(20), fires: || staged(1 << 16), near_miss: || staged((1 << 16) - 1) },
    Case {
        code: "pageable_copy",
        size_ns: Some(20),
        fires: || pageable("cudaMemcpyAsync"),
        near_miss: || pageable("cudaMemcpy"),
    },
    // The second host computes 50 of 200: 50 lost, 25 a host.
    Case { code: "pipeline_bubble", size_ns: Some(25), fires: || stages(0, 50), near_miss: || stages(0, 91) },
    // The power cap holds while kernels run in 30..40 and 40..60; a quarter of the clock is missing in 40..60.
    Case { code: "power_throttling", size_ns: Some(5), fires: || capped((30, 70)), near_miss: || capped((36, 40)) },
    Case { code: "single_stream", size_ns: Some(40), fires: || copies_on(0), near_miss: || copies_on(1) },
    Case { code: "small_copies", size_ns: Some(500), fires: || many_copies(100), near_miss: || many_copies(99) },
    // 119 gaps of 3.5 us before the call has returned.
    Case {
        code: "small_kernels",
        size_ns: Some(416_500),
        fires: || rhythm(120, 2_000, [3_000, 500, 100]).into(),
        near_miss: || rhythm(120, 5_000, [3_000, 500, 100]).into(),
    },
    Case { code: "stage_imbalance", size_ns: Some(25), fires: || stages(0, 50), near_miss: || stages(0, 91) },
    // Rank 1 is 40 late ten times; then it and rank 0 by turns.
    Case {
        code: "straggler_rank",
        size_ns: Some(400),
        fires: || collectives(|_| 40).into(),
        near_miss: || collectives(|at| if at % 2 == 0 { 40 } else { -40 }).into(),
    },
    // 50..80 of the gap that ends at 90.
    Case {
        code: "sync_bound",
        size_ns: Some(30),
        fires: || {
            Fixture::new().kernel(0, 0, (0, 50)).sync_call((40, 80)).kernel(0, 0, (90, 140)).launched((85, 86)).into()
        },
        near_miss: || {
            Fixture::new().kernel(0, 0, (0, 50)).sync_call((40, 56)).kernel(0, 0, (90, 140)).launched((85, 86)).into()
        },
    },
    // The copy in 60..80, and 80..90 of the wait for the launch at 95.
    Case {
        code: "sync_memcpy",
        size_ns: Some(30),
        fires: || copied_by("cudaMemcpy"),
        near_miss: || copied_by("cudaMemcpyAsync"),
    },
    Case { code: "sync_memset", size_ns: Some(30), fires: || filled("pinned"), near_miss: || filled("device") },
    Case {
        code: "unclassified_comm",
        size_ns: None,
        fires: || named("acme_ringallreduce"),
        near_miss: || named("acme_ring_tall"),
    },
    Case { code: "unstable_steps", size_ns: Some(20), fires: || iterations(12, 30), near_miss: || iterations(12, 20) },
    Case {
        code: "warm_up_in_window",
        size_ns: Some(90),
        fires: || iterations(0, 100),
        near_miss: || iterations(0, 10),
    },
];
