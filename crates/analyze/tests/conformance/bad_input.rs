//! Bad input: every metric returns its columns, without a panic, a number that is not finite, or a negative time.

use proftool_analyze::Window;
use proftool_trace::tables;

use crate::generated::Dice;
use crate::promises::broken;
use crate::scene::Scene;
use crate::shuffle::{changed, shuffled};

/// What is wrong, and a timeline with it.
type Bad = (&'static str, Scene);

fn no_work() -> Vec<Bad> {
    let device = [("device", 0.into()), ("kind", "cuda".into())];
    vec![
        ("no rows at all", Scene::default()),
        ("a device that did nothing", Scene::default().row(&tables::DEVICES, device)),
        ("calls and ranges without kernels", {
            let scene = Scene::default().call("cudaLaunchKernel", [0, 1], (0, 5)).range("step", [0, 1], (0, Some(9)));
            scene.range("block", [0, 1], (0, Some(9))).with("domain", "proftool")
        }),
        ("synchronisation only", Scene::default().activity("sync", "Stream Sync", [0, 0, 0], (3, 9))),
        ("one kernel", Scene::default().kernel(0, (5, 9))),
        ("one kernel of no length", Scene::default().kernel(0, (5, 5))),
        ("one kernel of no length with its call", {
            Scene::default().kernel(0, (5, 5)).launched("cudaLaunchKernel", [0, 1], (5, 5))
        }),
        ("one whole graph", Scene::default().activity("graph", "CUDA graph 1", [0, 0, 0], (1, 9))),
    ]
}

fn odd_times() -> Vec<Bad> {
    let launch = "cudaLaunchKernel";
    vec![
        (
            "kernels over each other on one queue",
            Scene::default().kernel(0, (0, 9)).kernel(0, (3, 12)).kernel(0, (4, 5)),
        ),
        ("the same kernel three times", Scene::default().kernel(0, (0, 9)).kernel(0, (0, 9)).kernel(0, (0, 9))),
        ("kernels of no length between others", {
            Scene::default().kernel(0, (0, 0)).kernel(0, (0, 5)).kernel(0, (5, 5)).kernel(0, (9, 9))
        }),
        ("an end before its start: a clock that stepped back", {
            let scene = Scene::default().kernel(0, (9, 2)).launched(launch, [0, 1], (8, 1)).kernel(0, (20, 30));
            scene.range("step", [0, 1], (40, Some(3))).call("cudaDeviceSynchronize", [0, 1], (25, 15))
        }),
        ("kernels before their calls: clocks that disagree", {
            let scene = Scene::default().kernel(0, (0, 5)).launched(launch, [0, 1], (10, 12));
            scene.kernel(0, (6, 8)).launched(launch, [0, 1], (30, 40))
        }),
        ("times before the session", Scene::default().kernel(0, (-50, -40)).kernel(1, (-45, 10))),
        ("windows of no length", {
            let scene = Scene::default().kernel(0, (0, 9)).range("block", [0, 1], (5, Some(5)));
            scene.with("domain", "proftool").range("step", [0, 1], (3, Some(3)))
        }),
        ("copies of no length and of negative size", {
            let scene = Scene::default().activity("copy", "copy", [0, 0, 0], (4, 4)).with("bytes", 100);
            let scene = scene.activity("copy", "copy", [0, 0, 0], (5, 9)).with("bytes", -100).with("copy_kind", "h2d");
            scene.activity("set", "set", [0, 0, 0], (9, 9)).with("bytes", i64::MAX)
        }),
        ("a request that ends before it arrives", {
            let values = [("request", "a".into()), ("arrival_ns", 50.into()), ("status", "ok".into())];
            let scene = Scene::default().kernel(0, (0, 9)).row(&tables::REQUESTS, values);
            let scene = scene.with("first_token_ns", 40).with("end_ns", 30).with("output_tokens", -4);
            let values = [("request", "a".into()), ("kind", "kv_transfer".into()), ("start_ns", 60.into())];
            scene.row(&tables::REQUEST_EVENTS, values).with("end_ns", 20).with("bytes", -1)
        }),
    ]
}

fn odd_ranges() -> Vec<Bad> {
    let launched = || Scene::default().kernel(0, (5, 9)).launched("cudaLaunchKernel", [0, 1], (2, 3));
    vec![
        ("a range that never ends", launched().range("step", [0, 1], (0, None)).range("step", [0, 1], (1, None))),
        ("a range that ends on another thread", {
            launched().range("decode", [0, 1], (0, Some(9))).with("style", "start_end").with("end_thread", 2)
        }),
        ("ranges that cross", launched().range("a", [0, 1], (0, Some(4))).range("b", [0, 1], (2, Some(9)))),
        ("a range that is its own parent", launched().range("a", [0, 1], (0, Some(9))).with("parent", 0)),
        ("a range that is a mark", launched().range("a", [0, 1], (0, Some(9))).with("style", "mark")),
        ("a style that nobody knows", launched().range("a", [0, 1], (0, Some(9))).with("style", "spiral")),
        ("empty names", launched().range("", [0, 1], (0, Some(9))).activity("kernel", "", [0, 0, 0], (12, 20))),
    ]
}

fn odd_rows() -> Vec<Bad> {
    let launch = "cudaLaunchKernel";
    vec![
        (
            "a rank missing",
            Scene::default().activity("kernel", "ncclDevKernel_AllReduce", [0, 0, 0], (0, 9)).activity(
                "kernel",
                "ncclDevKernel_AllReduce",
                [3, 0, 0],
                (2, 9),
            ),
        ),
        ("collectives of ranks that are not there", {
            let scene = Scene::default().activity("kernel", "ncclDevKernel_AllReduce", [1, 0, 0], (0, 9));
            let values = [("rank", 1.into()), ("activity", 0.into()), ("operation", "all_reduce".into())];
            let scene = scene.row(&tables::COLLECTIVES, values).with("group_size", 0).with("bytes_in", -8);
            let values = [("rank", 1.into()), ("activity", 77.into()), ("operation", "send".into())];
            scene.row(&tables::COLLECTIVES, values).with("peer", 1).with("sequence", -1)
        }),
        ("one call of several kernels, one kernel of an unknown call", {
            let scene = Scene::default().kernel(0, (5, 9)).launched(launch, [0, 1], (2, 3)).kernel(0, (10, 12));
            scene.with("call", 0).with("correlation", 1).kernel(1, (10, 12)).with("call", 99).with("correlation", 1)
        }),
        ("ids twice", {
            let scene = Scene::default().kernel(0, (5, 9)).launched(launch, [0, 1], (2, 3)).kernel(0, (10, 12));
            let scene = scene.with("id", 0).launched(launch, [0, 1], (4, 5)).with("id", 0).depends(0, 0, 0, "data");
            scene.range("a", [0, 1], (0, Some(9))).range("b", [0, 1], (1, Some(8))).with("id", 0)
        }),
        ("dependencies in a circle, on itself and on nothing", {
            let scene = Scene::default().kernel(0, (0, 9)).kernel(1, (2, 12)).depends(0, 0, 1, "data");
            let scene = scene.depends(0, 1, 0, "event").depends(0, 0, 0, "queue").depends(0, 5, 0, "data");
            scene.depends(0, 0, 5, "data").depends(0, 0, 1, "what").depends(4, 0, 1, "data")
        }),
        ("work of nothing, and work twice", {
            let work = |scene: Scene, activity: i64| {
                scene.row(&tables::WORK, [("activity", activity.into()), ("stage", (-3).into()), ("step", 1.into())])
            };
            let scene = work(work(work(Scene::default().kernel(0, (0, 9)).kernel(1, (2, 12)), 0), 0), 9);
            scene.with("micro_batch", -1).with("rows", 0).with("flop", -5).with("dram_bytes", i64::MAX)
        }),
        ("kinds, directions and memories that nobody knows", {
            let scene =
                Scene::default().activity("dance", "x", [0, 0, 0], (0, 9)).activity("copy", "c", [0, 0, 0], (1, 2));
            scene.with("copy_kind", "x2y").with("src_memory", "paper").with("bytes", 7).with("src_device", -1)
        }),
        ("negative ranks, devices and queues", {
            Scene::default().activity("kernel", "gemm", [-1, -2, -3], (0, 9)).activity("copy", "c", [-1, 7, 0], (5, 9))
        }),
        ("rows without a queue and a process", {
            let values = [("id", 1.into()), ("kind", "kernel".into()), ("name", "k".into()), ("end_ns", 9.into())];
            let scene = Scene::default().row(&tables::ACTIVITIES, values).with("start_ns", 3);
            let values = [("id", 0.into()), ("api", "tea".into()), ("name", "x".into()), ("end_ns", 9.into())];
            scene.row(&tables::CALLS, values)
        }),
        ("samples and links of nothing", {
            let values = [("def", 9.into()), ("device", 4.into()), ("start_ns", 9.into()), ("end_ns", 3.into())];
            let scene = Scene::default().kernel(0, (0, 9)).row(&tables::SAMPLES, values).with("value", -1e300);
            let scene = scene.row(&tables::LINKS, [("src", 0.into()), ("dst", 0.into()), ("bytes_per_s", 0.0.into())]);
            let values = [("kind", "compute".into()), ("value", (-1.0).into()), ("precision", "f32".into())];
            scene.row(&tables::CEILINGS, values)
        }),
    ]
}

fn extremes() -> Vec<Bad> {
    let (low, high) = (i64::MIN, i64::MAX);
    vec![
        (
            "one kernel of all time",
            Scene::default().kernel(0, (low, high)).launched("cudaLaunchKernel", [0, 1], (low, high)),
        ),
        ("the first and the last instant", {
            let scene = Scene::default().kernel(0, (low, low)).kernel(0, (high, high)).kernel(1, (low, high));
            let scene =
                scene.launched("cudaLaunchKernel", [0, 1], (high, high)).range("step", [0, 1], (low, Some(high)));
            scene.activity("copy", "c", [0, 1, 0], (low, high)).with("bytes", high).with("copy_kind", "h2d")
        }),
        ("kernels at both ends of time with their calls", {
            let scene =
                Scene::default().kernel(0, (low, low + 1)).launched("cudaLaunchKernel", [0, 1], (high - 1, high));
            let scene = scene.kernel(0, (high - 1, high)).launched("cudaGraphLaunch", [0, 1], (low, low));
            scene.call("cudaDeviceSynchronize", [0, 1], (low, high)).depends(0, 1, 0, "data")
        }),
        ("identifiers at the limits", {
            let scene = Scene::default().kernel(0, (0, 5)).with("id", high).with("correlation", low).with("call", low);
            let scene = scene.kernel(high, (2, 8)).with("id", low).with("process", high).with("graph_id", low);
            scene
                .with("graph_node", high)
                .range("ProfilerStep#9223372036854775807", [0, 1], (0, Some(9)))
                .with("id", high)
        }),
    ]
}

/// Scenes in which everything is by chance, the values at the limits too.
fn wild(seed: u64) -> Scene {
    let mut dice = Dice::new(seed);
    let mut time = move || match dice.below(12) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => i64::MIN + 1,
        3 => -1,
        4 => i64::MAX / 2,
        _ => dice.below(50),
    };
    let mut scene = Scene::default();
    for number in 0..24_i64 {
        let (kind, name) = [
            ("kernel", "gemm"),
            ("kernel", "ncclDevKernel_AllReduce_Sum"),
            ("copy", "c"),
            ("set", "s"),
            ("sync", "y"),
            ("graph", "g"),
        ][(number % 6) as usize];
        scene = scene.activity(kind, name, [number % 2, number % 3 / 2, number % 4], (time(), time()));
        scene = scene.with("bytes", time()).with("graph_id", number % 5);
        if number % 3 > 0 {
            let name = ["cudaLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync"][(number % 3) as usize];
            scene = scene.launched(name, [number % 2, number % 2], (time(), time()));
        }
        if number % 4 == 0 {
            let values = [("rank", (number % 2).into()), ("activity", number.into()), ("step", time().into())];
            scene = scene.row(&tables::WORK, values).with("stage", number % 3).with("phase", "decode");
            scene = scene.with("micro_batch", time()).with("rows", time()).with("flop", time());
        }
        if number % 6 == 1 {
            let values =
                [("rank", (number % 2).into()), ("activity", number.into()), ("operation", "all_reduce".into())];
            scene = scene.row(&tables::COLLECTIVES, values).with("bytes_in", time()).with("group_size", time());
        }
        scene = scene.depends(number % 2, number, time(), "data").depends(number % 2, number, number - 2, "event");
        scene = scene.call("cudaStreamSynchronize", [number % 2, 0], (time(), time()));
        scene = scene.range(
            ["decode", "prefill", "ProfilerStep#3"][(number % 3) as usize],
            [number % 2, 0],
            (time(), Some(time())),
        );
        let values = [("request", "r".into()), ("kind", "decode".into()), ("start_ns", time().into())];
        scene = scene.row(&tables::REQUEST_EVENTS, values).with("end_ns", time()).with("bytes", time());
        let values = [("start_ns", time().into()), ("end_ns", time().into()), ("decode_batch", time().into())];
        scene = scene.row(&tables::STEPS, values).with("kv_tokens", time()).with("prefill_tokens", time());
    }
    let values = [("request", "r".into()), ("arrival_ns", time().into()), ("status", "ok".into())];
    scene.row(&tables::REQUESTS, values).with("first_token_ns", time()).with("end_ns", time())
}

fn check(bad: Vec<Bad>, sums: bool) {
    let mut found = Vec::new();
    for (what, scene) in bad {
        let tables = scene.tables();
        for window in [Window::Default, Window::Each] {
            found.extend(broken(&format!("{what}, {window:?}"), &tables, &window, sums));
        }
    }
    assert!(found.is_empty(), "{} promises broken:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_timeline_without_work_has_an_answer() {
    check(no_work(), true);
}

#[test]
fn times_that_cannot_be_have_an_answer() {
    check(odd_times(), true);
}

#[test]
fn ranges_that_do_not_nest_have_an_answer() {
    check(odd_ranges(), true);
}

#[test]
fn rows_that_name_nothing_have_an_answer() {
    check(odd_rows(), true);
}

#[test]
fn times_at_the_limits_of_their_type_have_an_answer() {
    check(extremes(), false);
}

#[test]
fn anything_at_all_has_an_answer() {
    let mut found = Vec::new();
    for seed in 0..40 {
        found.extend(broken(&format!("seed {seed}"), &wild(seed).tables(), &Window::Default, false));
    }
    assert!(found.is_empty(), "{} promises broken:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_order_of_bad_rows_changes_no_result() {
    let mut found = Vec::new();
    let all = [no_work(), odd_times(), odd_ranges(), odd_rows()].into_iter().flatten();
    for (what, scene) in all.filter(|(what, _)| *what != "ids twice") {
        let tables = scene.tables();
        found.extend(changed(what, &tables, &shuffled(&tables, 3), &Window::Default));
    }
    assert!(found.is_empty(), "{} results changed:\n{}", found.len(), found.join("\n"));
}
