use super::pageable::pageable;
use super::staged::{Staged, staged_through_host};
use super::*;
use crate::fixture::{Fixture, shared_data};
use crate::metrics::Input;
use crate::windows::Window;
use polars::prelude::DataFrame;
use proftool_trace::frame::{Tables, bool_column, build, floats, int_column, ints, text_column, texts};
use proftool_trace::tables;

fn copies(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn import(relative: &str) -> Option<Tables> {
    Some(proftool_import::into_memory(&shared_data(relative)?).unwrap().1)
}

/// A copy with all that the findings ask about.
#[derive(Clone, Copy)]
struct Copy {
    device: i64,
    process: i64,
    kind: &'static str,
    span: (i64, i64),
    bytes: i64,
    memory: [&'static str; 2],
    call: Option<i64>,
}

const READ: Copy =
    Copy { device: 0, process: 1, kind: "d2h", span: (0, 10), bytes: 65_536, memory: ["device", "pinned"], call: None };
const WRITTEN: Copy = Copy { device: 1, kind: "h2d", span: (30, 50), memory: ["pinned", "device"], ..READ };

/// The tables of some copies and of calls by name, whose ids count from 0.
fn tables_of(copies: &[Copy], calls: &[&'static str]) -> Tables {
    let mut tables = Tables::default();
    let ints = |name, value: &dyn Fn(usize, &Copy) -> Option<i64>| {
        int_column(name, copies.iter().enumerate().map(|(at, copy)| value(at, copy)))
    };
    let texts =
        |name, value: &dyn Fn(&Copy) -> &'static str| text_column(name, copies.iter().map(|copy| Some(value(copy))));
    let columns = vec![
        texts("pass", &|_| "host"),
        ints("rank", &|_, _| Some(0)),
        ints("id", &|at, _| Some(at as i64)),
        ints("process", &|_, copy| Some(copy.process)),
        ints("device", &|_, copy| Some(copy.device)),
        texts("kind", &|_| "copy"),
        texts("name", &|copy| copy.kind),
        texts("copy_kind", &|copy| copy.kind),
        ints("start_ns", &|_, copy| Some(copy.span.0)),
        ints("end_ns", &|_, copy| Some(copy.span.1)),
        ints("bytes", &|_, copy| Some(copy.bytes)),
        ints("call", &|_, copy| copy.call),
        texts("src_memory", &|copy| copy.memory[0]),
        texts("dst_memory", &|copy| copy.memory[1]),
        bool_column("simulated", copies.iter().map(|_| Some(false))),
    ];
    tables.set(&tables::ACTIVITIES, build(&tables::ACTIVITIES, columns).unwrap()).unwrap();
    let columns = vec![
        text_column("pass", calls.iter().map(|_| Some("host"))),
        int_column("rank", calls.iter().map(|_| Some(0))),
        int_column("id", (0..calls.len()).map(|id| Some(id as i64))),
        text_column("api", calls.iter().map(|_| Some("runtime"))),
        text_column("name", calls.iter().map(|name| Some(*name))),
        int_column("start_ns", calls.iter().map(|_| Some(0))),
        int_column("end_ns", calls.iter().map(|_| Some(5))),
    ];
    tables.set(&tables::CALLS, build(&tables::CALLS, columns).unwrap()).unwrap();
    tables
}

fn staged(copies: &[Copy], calls: &[&'static str]) -> Vec<Staged> {
    staged_through_host(&Model::read(&tables_of(copies, calls)).unwrap())
}

#[test]
fn rates_come_from_the_union_and_from_single_copies() {
    // 3000 bytes while 100..250 is covered: 20 GB/s of 40; one by one 10 and 20 GB/s. The device computes in 0..120.
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 120))
        .copy(0, 1, (100, 200), 1, 1000)
        .copy(0, 1, (150, 250), 1, 2000)
        .link(0, 1, 40e9);
    let frame = copies(&fixture.tables());
    let int = |name| ints(&frame, name).unwrap()[0];
    let float = |name| floats(&frame, name).unwrap()[0];
    assert_eq!(frame.height(), 1);
    assert_eq!(texts(&frame, "copy_kind").unwrap()[0].as_deref(), Some("p2p"));
    assert_eq!(["copies", "bytes", "total_ns", "union_ns"].map(int), [2, 3000, 200, 150].map(Some));
    assert_eq!(["hidden_ns", "exposed_ns", "small_copies", "small_ns"].map(int), [20, 130, 2, 200].map(Some));
    assert_eq!(["bytes_per_s", "median_bytes_per_s"].map(float), [Some(2e10), Some(1.5e10)]);
    assert_eq!(["min_bytes_per_s", "max_bytes_per_s"].map(float), [Some(1e10), Some(2e10)]);
    assert_eq!((float("roof_ratio"), float("hidden_ratio")), (Some(0.5), Some(20.0 / 150.0)));
    assert_eq!((int("async_pageable_copies"), int("staged_copies")), (None, Some(0)));
}

#[test]
fn copies_belong_whole_to_the_window_in_which_they_begin() {
    let fixture = Fixture::new().copy(0, 1, (90, 130), 1, 100).copy(0, 1, (100, 110), 1, 7).block((50, 100));
    let frame = copies(&fixture.tables());
    assert_eq!((ints(&frame, "bytes").unwrap(), ints(&frame, "union_ns").unwrap()), (vec![Some(100)], vec![Some(40)]));
}

#[test]
fn a_copy_of_no_length_or_unknown_size_has_no_rate() {
    let fixture = Fixture::new().copy(0, 1, (5, 5), 0, 8).other("set", 0, 0, (10, 20));
    let frame = copies(&fixture.tables());
    assert_eq!(texts(&frame, "copy_kind").unwrap(), [Some("set".to_owned()), Some("d2d".to_owned())]);
    assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [None, None]);
    assert_eq!(ints(&frame, "bytes").unwrap(), [None, Some(8)]);
    assert_eq!(ints(&frame, "small_copies").unwrap(), [None, Some(1)]);
    assert_eq!(floats(&frame, "hidden_ratio").unwrap(), [Some(0.0), None]);
}

#[test]
fn a_copy_of_equal_size_soon_after_on_another_device_is_a_likely_transfer() {
    let found = staged(&[READ, WRITTEN], &[]);
    let expected = Staged { rank: 0, src: 0, dst: 1, pairs: 1, one_call: 0, bytes: 65_536, ns: 30, first: (0, 1) };
    assert_eq!(found, [expected]);
    let frame = copies(&tables_of(&[READ, WRITTEN], &[]));
    assert_eq!(texts(&frame, "finding").unwrap(), vec![Some("P2P not used".to_owned()); 2]);
    assert_eq!(ints(&frame, "staged_ns").unwrap(), [Some(10), Some(20)]);
}

#[test]
fn what_only_looks_like_a_transfer_is_none() {
    let late = 10 + staged::SOON_NS + 1;
    let near_misses = [
        Copy { device: 0, ..WRITTEN },
        Copy { bytes: 65_537, ..WRITTEN },
        Copy { span: (5, 50), ..WRITTEN },
        Copy { span: (late, late + 1), ..WRITTEN },
        Copy { process: 2, ..WRITTEN },
        Copy { memory: ["pageable", "device"], ..WRITTEN },
    ];
    for (at, miss) in near_misses.into_iter().enumerate() {
        assert_eq!(staged(&[READ, miss], &[]), [], "near miss {at}");
    }
    let small = |copy| Copy { bytes: 4, ..copy };
    assert_eq!(staged(&[small(READ), small(WRITTEN)], &[]), []);
}

#[test]
fn two_halves_of_one_copy_call_are_certain_whatever_their_size() {
    let of_call = |copy| Copy { bytes: 4, call: Some(0), ..copy };
    let found = staged(&[of_call(READ), of_call(WRITTEN)], &["cudaMemcpyPeerAsync"]);
    assert_eq!((found[0].pairs, found[0].one_call), (1, 1));
    assert_eq!(staged(&[of_call(READ), of_call(WRITTEN)], &["cudaGraphLaunch"]), [], "a graph holds many copies");
}

#[test]
fn each_copy_is_half_of_one_transfer_at_most() {
    let again = Copy { span: (60, 70), ..WRITTEN };
    assert_eq!(staged(&[READ, WRITTEN, again], &[])[0].pairs, 1);
    let back = [Copy { device: 1, span: (60, 70), ..READ }, Copy { device: 0, span: (70, 80), ..WRITTEN }];
    let found = staged(&[READ, WRITTEN, back[0], back[1]], &[]);
    assert_eq!(found.iter().map(|one| (one.src, one.dst, one.pairs)).collect::<Vec<_>>(), [(0, 1, 1), (1, 0, 1)]);
}

#[test]
fn the_order_of_the_rows_changes_nothing() {
    let fixture = |order: &[usize]| {
        let all = [((0, 10), 65_536), ((10, 30), 4096), ((20, 25), 65_536), ((25, 60), 80_000)];
        order.iter().fold(Fixture::new().kernel(0, 0, (0, 5)), |fixture, at| {
            fixture.copy(0, *at as i64 % 2, all[*at].0, 1, all[*at].1)
        })
    };
    let (frame, other) = (copies(&fixture(&[0, 1, 2, 3]).tables()), copies(&fixture(&[3, 1, 0, 2]).tables()));
    assert!(frame.equals_missing(&other));
}

#[test]
fn only_asynchronous_calls_on_pageable_memory_are_a_finding() {
    let one = |memory, call| Copy { kind: "h2d", memory, call, ..READ };
    let rows = [
        one(["pageable", "device"], Some(0)),
        one(["pageable", "device"], Some(1)),
        one(["pinned", "device"], Some(0)),
        one(["pageable", "device"], None),
    ];
    let tables = tables_of(&rows, &["cudaMemcpyAsync_v3020", "cudaMemcpy_v3020"]);
    let found = pageable(&Model::read(&tables).unwrap());
    assert_eq!(
        found.iter().map(|one| (one.copies, one.bytes, one.ns, one.first)).collect::<Vec<_>>(),
        [(1, 65_536, 10, 0)]
    );
    let frame = copies(&tables);
    let mut findings = texts(&frame, "finding").unwrap();
    findings.sort();
    assert_eq!(findings, [None, Some("pageable copy".to_owned())]);
}

#[test]
fn a_program_that_stages_its_peer_copies_is_told_so() {
    let Some(tables) = import("nsys/v100_staged_host.schema3.0.sqlite") else { return };
    // CUPTI_ACTIVITY_KIND_MEMCPY joined with itself on correlationId: 2002 calls from device 0 to 7 and 2002 back, each
    // a copy of 65536 bytes to the host and one from it, none overlapping: sums of end - start.
    let found = staged_through_host(&Model::read(&tables).unwrap());
    let seen: Vec<_> = found.iter().map(|one| (one.src, one.dst, one.pairs, one.one_call, one.bytes, one.ns)).collect();
    let (there, back) = (12_335_830 + 16_958_010, 12_577_015 + 16_995_118);
    assert_eq!(seen, [(0, 7, 2002, 2002, 131_203_072, there), (7, 0, 2002, 2002, 131_203_072, back)]);
    let frame = copies(&tables);
    let staged: i64 = ints(&frame, "staged_copies").unwrap().into_iter().flatten().sum();
    assert_eq!(staged, 8008);
}

#[test]
fn a_program_that_copies_peer_to_peer_is_not() {
    let Some(tables) = import("nsys/v100_p2p_nvlink.schema3.0.sqlite") else { return };
    assert_eq!(staged_through_host(&Model::read(&tables).unwrap()), []);
    let frame = copies(&tables);
    assert!(texts(&frame, "finding").unwrap().iter().all(Option::is_none));
    // SELECT count(*), sum(bytes), sum(end - start) by copyKind = 10 and deviceId.
    let kinds = texts(&frame, "copy_kind").unwrap();
    let p2p: Vec<usize> = (0..kinds.len()).filter(|row| kinds[*row].as_deref() == Some("p2p")).collect();
    let column = |name| p2p.iter().map(|row| ints(&frame, name).unwrap()[*row].unwrap()).collect::<Vec<_>>();
    assert_eq!((column("copies"), column("bytes")), (vec![2002, 2002], vec![131_203_072, 131_203_072]));
    assert_eq!(column("total_ns"), [8_187_422, 7_831_541]);
}

/// copies, bytes and total_ns of one kind, over the devices.
fn sums(frame: &DataFrame, kind: &str) -> [i64; 3] {
    let kinds = texts(frame, "copy_kind").unwrap();
    ["copies", "bytes", "total_ns"].map(|name| {
        let values = ints(frame, name).unwrap();
        (0..kinds.len()).filter(|row| kinds[*row].as_deref() == Some(kind)).filter_map(|row| values[row]).sum()
    })
}

#[test]
fn sums_are_those_of_nsys_stats() {
    // cuda_gpu_mem_time_sum and cuda_gpu_mem_size_sum; sizes are printed there in MB of three decimals, here summed by SQL.
    let Some(tables) = import("nsys/h100x2_train_after.schema3.25.sqlite") else { return };
    let frame = copies(&tables);
    assert_eq!(sums(&frame, "d2d"), [872, 7_195_376_640, 5_061_490]);
    assert_eq!(sums(&frame, "h2d"), [32, 256, 25_184]);
    assert_eq!([sums(&frame, "set")[0], sums(&frame, "set")[2]], [242, 187_423]);
    let Some(tables) = import("nsys/a100_cloverleaf.schema3.13.sqlite") else { return };
    let frame = copies(&tables);
    assert_eq!(sums(&frame, "h2d"), [254, 225_065_752, 9_346_285]);
    assert_eq!(sums(&frame, "d2h"), [25, 51_200, 44_638]);
}

#[test]
fn rates_of_single_copies_are_those_of_hta() {
    let Some(tables) = import("kineto/a100_nccl_world2.json.gz") else { return };
    // a100_nccl_world2__memory_bw_summary.csv of HTA 0.5.0: `Memcpy DtoD` min, 50%, max in GB/s. It counts 640 copies, as
    // it leaves out the last of three profiler steps of 320 copies each.
    let frame = copies(&tables);
    let kinds = texts(&frame, "copy_kind").unwrap();
    let row = kinds.iter().position(|kind| kind.as_deref() == Some("d2d")).unwrap();
    assert_eq!(ints(&frame, "copies").unwrap()[row], Some(960));
    for (name, theirs) in [
        ("min_bytes_per_s", 0.005_102_040_816_326_53),
        ("median_bytes_per_s", 0.711_111_111_111_111_1),
        ("max_bytes_per_s", 605.200_945_626_477_6),
    ] {
        let ours = floats(&frame, name).unwrap()[row].unwrap() / 1e9;
        assert!((ours / theirs - 1.0).abs() < 1e-9, "{name}: {ours} {theirs}");
    }
}
