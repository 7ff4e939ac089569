//! Graphs of hand-written schedules, and of real files.

use proftool_timeline::graph::{Anchor, Kind};

use super::*;
use crate::clock::fixture::Ranks;
use crate::fixture::{Fixture, shared_data};
use crate::metrics::Input;
use crate::windows::Window;
use proftool_trace::Manifest;
use proftool_trace::frame::Tables;

fn with_scopes<T>(tables: &Tables, manifest: Option<&Manifest>, look: impl Fn(&Input, &[Scope]) -> T) -> T {
    let input = Input::new("run", "target", tables, Window::Default);
    let input = match manifest {
        Some(manifest) => input.with_manifest(manifest),
        None => input,
    };
    look(&input, &scopes(&input).unwrap())
}

/// What the path of the whole trace was spent on: segment, name, length.
fn path(fixture: &Fixture) -> Vec<(&'static str, String, i64)> {
    with_scopes(&fixture.tables(), None, |input, scopes| words(input, &scopes[0]))
}

fn words(input: &Input, scope: &Scope) -> Vec<(&'static str, String, i64)> {
    let window = scope.sets(input).unwrap()[0].spans[0];
    let segments = scope.segments(&scope.graph.view(window));
    let text = |name: Option<u32>| name.map_or("", |name| scope.model.names.text(name)).to_owned();
    segments.iter().map(|one| (one.what.name(), text(one.name), one.span.1 - one.span.0)).collect()
}

fn word(segment: &'static str, name: &str, length: i64) -> (&'static str, String, i64) {
    (segment, name.to_owned(), length)
}

#[test]
fn a_late_host_is_on_the_path_by_what_it_was_doing() {
    // Kernel a (10..20) launched at 2..5; the host is in operator x until 30 and in y until 40, then launches b
    // (45..60) at 40..44.
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (10, 20))
        .launched_by("launch", (2, 5))
        .named_kernel("b", 0, 0, (45, 60))
        .launched_by("launch", (40, 44))
        .host_call("op", "x", (4, 30))
        .host_call("op", "y", (31, 50));
    let expected = [
        word("operation", "b", 15),
        word("launch", "", 1),
        word("call", "launch", 4),
        word("host", "y", 9),
        word("host", "", 1),
        word("host", "x", 20),
    ];
    assert_eq!(path(&fixture), expected, "the window begins with kernel a, at 10");
}

#[test]
fn a_blocking_call_puts_the_work_that_it_waited_for_on_the_path() {
    // Kernel a (5..50) holds the host in a synchronisation (10..53), after which it launches b (60..70) at 55..58.
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (5, 50))
        .launched_by("launch", (0, 4))
        .named_kernel("b", 0, 1, (60, 70))
        .launched_by("launch", (55, 58))
        .sync_call((10, 53));
    let expected = [
        word("operation", "b", 10),
        word("launch", "", 2),
        word("call", "launch", 3),
        word("host", "", 2),
        word("return", "cudaStreamSynchronize", 3),
        word("operation", "a", 45),
    ];
    assert_eq!(path(&fixture), expected);
}

#[test]
fn a_copy_that_runs_inside_its_call_holds_the_call() {
    let fixture = Fixture::new()
        .copy(0, 0, (10, 40), 0, 8)
        .launched_by("cudaMemcpy", (5, 43))
        .named_kernel("b", 0, 0, (50, 70))
        .launched_by("launch", (43, 48));
    let expected = [
        word("operation", "b", 20),
        word("launch", "", 2),
        word("call", "launch", 5),
        word("return", "cudaMemcpy", 3),
        word("operation", "copy", 30),
    ];
    assert_eq!(path(&fixture), expected);
}

#[test]
fn queue_gaps_are_told_apart_by_whether_the_launch_is_recorded() {
    let gap = |fixture: Fixture| path(&fixture)[1].clone();
    let fixture = || Fixture::new().kernel(0, 0, (10, 20)).kernel(0, 0, (23, 30));
    assert_eq!(gap(fixture()), word("unexplained", "", 3));
    assert_eq!(gap(fixture().launched((0, 4))), word("queue", "", 3));
    assert_eq!(gap(fixture().after(&[0])), word("dependency", "", 3), "what the program states comes first");
}

#[test]
fn rows_that_overlap_on_a_queue_bind_their_starts() {
    let fixture = Fixture::new().kernel(0, 0, (0, 10)).kernel(0, 0, (6, 20)).kernel(0, 0, (12, 13));
    with_scopes(&fixture.tables(), None, |_, scopes| {
        let bound = |at: usize| scopes[0].graph.bound_by(scopes[0].heads[at]);
        assert_eq!(bound(1), Some((scopes[0].heads[0], Kind::Queue, Anchor::Start)));
        // The third follows the end of the first (10); the second, which runs on, began before that.
        assert_eq!(bound(2), Some((scopes[0].heads[0], Kind::Queue, Anchor::End)));
        assert_eq!(scopes[0].graph.dropped().contradicted, 0);
    });
}

#[test]
fn an_event_between_queues_is_inferred_from_the_order_of_the_calls() {
    // a on queue 0 is recorded in an event; queue 1 waits for it; b is launched there.
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (5, 50))
        .launched_by("launch", (0, 2))
        .host_call("runtime", "cudaEventRecord", (2, 3))
        .host_call("runtime", "cudaStreamWaitEvent", (3, 4))
        .named_kernel("b", 0, 1, (52, 70))
        .launched_by("launch", (4, 6));
    with_scopes(&fixture.tables(), None, |_, scopes| assert_eq!(scopes[0].inferred, 1));
    assert_eq!(path(&fixture)[1..], [word("dependency", "", 2), word("operation", "a", 45)]);
}

#[test]
fn the_first_node_of_a_further_queue_of_a_graph_follows_the_nearest_earlier_end() {
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (10, 20))
        .launched_by("cudaGraphLaunch", (0, 5))
        .graph_node(1, 1)
        .named_kernel("b", 0, 1, (21, 30))
        .launched_with(0)
        .graph_node(1, 2);
    assert_eq!(path(&fixture), [word("operation", "b", 9), word("dependency", "", 1), word("operation", "a", 10)]);
}

#[test]
fn a_thread_that_is_silent_while_another_works_goes_on_after_it() {
    // Thread 1 launches a (5..10) in the operator 0..6, waits silently, and launches c (95..99) in 80..90. Thread 2 works
    // from 10 to 70: its operator launches b (60..75) at 40..50.
    let fixture = Fixture::new()
        .named_kernel("a", 0, 0, (5, 10))
        .launched_on(1, "launch", (2, 4))
        .named_kernel("b", 0, 1, (60, 75))
        .launched_on(2, "launch", (40, 50))
        .named_kernel("c", 0, 0, (95, 99))
        .launched_on(1, "launch", (85, 88))
        .op_on(1, "forward", (0, 6))
        .op_on(2, "backward", (10, 70))
        .op_on(1, "step", (80, 90));
    let expected = [
        word("operation", "c", 4),
        word("launch", "", 7),
        word("call", "launch", 3),
        word("host", "step", 5),
        word("host", "", 30),
        word("call", "launch", 10),
        word("host", "backward", 30),
        word("host", "", 5),
    ];
    with_scopes(&fixture.tables(), None, |_, scopes| assert_eq!(scopes[0].inferred, 2));
    assert_eq!(path(&fixture), expected, "thread 2 began after the call of thread 1 (4); the window begins at 5");
}

#[test]
fn work_before_its_call_is_no_launch_and_is_counted() {
    let fixture = Fixture::new().kernel(0, 0, (10, 20)).launched((12, 15));
    with_scopes(&fixture.tables(), None, |_, scopes| {
        assert_eq!(scopes[0].graph.dropped().contradicted, 1);
        assert!(!scopes[0].graph.has_input(scopes[0].heads[0], Kind::Launch));
    });
}

#[test]
fn the_last_to_arrive_at_a_collective_is_on_the_path_of_all_ranks() {
    // Rank 0 computes until 30 and waits in the collective; rank 1 computes until 90. Both transfer until 100, and
    // rank 0 works on until 150. Another collective gives the clocks: rank 1 counts 1000 less.
    let ranks = Ranks::default()
        .all_reduce(0, 1, 2, (0, 10))
        .kernel((0, 0), "gemm", (10, 30))
        .all_reduce(0, 2, 2, (30, 100))
        .kernel((0, 0), "gemm", (100, 150))
        .all_reduce(1, 1, 2, (-1000, -990))
        .kernel((1, 0), "slow", (-990, -910))
        .all_reduce(1, 2, 2, (-910, -900));
    with_scopes(&ranks.tables(), Some(&ranks.manifest()), |input, scopes| {
        assert_eq!(scopes.len(), 1);
        assert_eq!(scopes[0].name(), "2 ranks");
        let reduce = "ncclDevKernel_AllReduce_Sum";
        let expected = [
            word("operation", "gemm", 50),
            word("operation", reduce, 10),
            word("operation", "slow", 80),
            word("operation", reduce, 10),
        ];
        assert_eq!(words(input, &scopes[0]), expected);
        // Without the slow kernel the ranks would meet at 30: 20 + 10 + 50 after the first collective, so 60 earlier.
        let view = scopes[0].graph.view((0, 150));
        let slow = |family: Family| scopes[0].model.names.text(family.0) == "slow";
        assert_eq!(scopes[0].saved(&[view], slow), 60);
    });
}

#[test]
fn ranks_that_nothing_connects_have_paths_of_their_own() {
    let ranks = Ranks::default().kernel((0, 0), "a", (0, 10)).kernel((3, 0), "b", (5, 7));
    with_scopes(&ranks.tables(), None, |input, scopes| {
        let names: Vec<String> = scopes.iter().map(Scope::name).collect();
        assert_eq!(names, ["rank 0", "rank 3"]);
        assert_eq!(words(input, &scopes[1]), [word("operation", "b", 2)]);
    });
}

/// Files of Nsight Systems and PyTorch.
const FILES: [&str; 14] = [
    "nsys/a100_cloverleaf.schema3.13.sqlite",
    "nsys/a100_saxpy.schema2.9.sqlite",
    "nsys/gh200_jacobi.schema3.6.sqlite",
    "nsys/h100x2_train_before.schema3.25.sqlite",
    "nsys/rtx3080_min.schema3.24.sqlite",
    "nsys/v100_p2p_nvlink.schema3.0.sqlite",
    "nsys/v100_staged_host.schema3.0.sqlite",
    "kineto/a100_alexnet.json.gz",
    "kineto/a100_nccl_world2.json.gz",
    "kineto/cuda_event_sync_multi_stream.json.gz",
    "kineto/h100_qwen_0.5b.json.gz",
    "kineto/mi250_minitoy_train.json.gz",
    "kineto/mi300x_sglang_prefilldecode.json.gz",
    "kineto/mi300x_vllm_piecewise_graph.json.gz",
];

#[test]
fn on_real_files_the_schedule_is_the_recorded_one_and_the_path_sums_to_the_window() {
    for file in FILES {
        let Some(file) = shared_data(file) else { return };
        let tables = proftool_import::into_memory(&file).unwrap().1;
        with_scopes(&tables, None, |input, scopes| {
            assert!(!scopes.is_empty());
            for scope in scopes {
                let graph = &scope.graph;
                let starts: Vec<i64> = (0..graph.len() as u32).map(|node| graph.span(node).0).collect();
                assert_eq!(graph.simulate(|node| graph.duration(node)), starts);
                assert_eq!(graph.dropped().cyclic, 0);
                let set = scope.sets(input).unwrap().remove(0);
                let view = graph.view(set.spans[0]);
                assert_eq!(view.end_without(|_| false), view.end());
                let segments = scope.segments(&view);
                assert_eq!(
                    segments.iter().map(|one| one.span.1 - one.span.0).sum::<i64>(),
                    set.spans[0].1 - set.spans[0].0
                );
                assert!(view.slack().iter().flatten().all(|slack| *slack >= 0));
            }
        });
    }
}
