//! Scenes by chance: two ranks with two devices each, on a coarse grid of time so that most instants are ties, and every
//! table that a metric reads.

use proftool_trace::tables;

use crate::scene::Scene;

/// Numbers that look random and are the same in every run (the linear congruence of Knuth's MMIX).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides) as i64
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

const RANKS: i64 = 2;
const DEVICES: i64 = 2;

/// The unit of all times.
const TICK: i64 = 10;

const COLLECTIVE: &str = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096>)";

const KERNELS: [&str; 5] = ["gemm", "flash_fwd_kernel", "softmax<float, 4>(float*)", "paged_decode", COLLECTIVE];

/// The scene of a seed; every other one has measured blocks.
pub(crate) fn scene(seed: u64) -> Scene {
    let mut dice = Dice::new(seed);
    let mut scene = Scene::default();
    for rank in 0..RANKS {
        for device in 0..DEVICES {
            for queue in 0..3 {
                let role = ["compute", "comm", "kv"][queue as usize];
                let values = [("rank", rank.into()), ("device", device.into()), ("queue", queue.into())];
                scene = scene.row(&tables::QUEUES, values).with("role", role);
            }
            for _ in 0..80 {
                scene = activity(scene, &mut dice, rank, device);
            }
        }
        scene = host(scene, &mut dice, rank, seed);
    }
    scene = dependencies(scene, &mut dice);
    serving(measured(scene, &mut dice), &mut dice)
}

fn activity(scene: Scene, dice: &mut Dice, rank: i64, device: i64) -> Scene {
    let start = dice.below(400) * TICK;
    let span = (start, start + dice.below(6) * TICK);
    let id = scene.count(&tables::ACTIVITIES);
    let (kind, name) = match dice.below(20) {
        0 | 1 => ("copy", "[CUDA memcpy Host-to-Device]"),
        2 | 3 => ("copy", "[CUDA memcpy Peer-to-Peer]"),
        4 => ("set", "[CUDA memset]"),
        5 => ("sync", "Stream Sync"),
        _ => ("kernel", dice.pick(&KERNELS)),
    };
    let queue = if name == COLLECTIVE { 1 } else { dice.pick(&[0, 0, 0, 2]) };
    let mut scene = scene.activity(kind, name, [rank, device, queue], span);
    if kind == "copy" {
        let peer = name.contains("Peer");
        scene = scene.with("bytes", dice.below(1 << 20)).with("copy_kind", if peer { "p2p" } else { "h2d" });
        scene = scene.with("dst_device", if peer { 1 - device } else { device });
        scene = if peer { scene.with("src_device", device) } else { scene.with("src_memory", "pageable") };
    }
    if kind == "kernel" && dice.below(8) == 0 {
        scene = scene.with("graph_id", dice.below(2)).with("graph_node", dice.below(4));
    }
    if dice.below(5) > 0 {
        let call = start - dice.below(8) * TICK;
        let name = dice.pick(&["cudaLaunchKernel", "cudaMemcpyAsync", "cudaGraphLaunch"]);
        scene = scene.launched(name, [rank, dice.below(2)], (call, call + dice.below(4) * TICK));
    }
    if name == COLLECTIVE {
        return collective(scene, dice, rank, id);
    }
    if kind == "kernel" && dice.below(2) == 0 { work(scene, dice, [rank, device], id) } else { scene }
}

fn collective(scene: Scene, dice: &mut Dice, rank: i64, id: i64) -> Scene {
    let values = [
        ("rank", rank.into()),
        ("activity", id.into()),
        ("group", "tp".into()),
        ("operation", "all_reduce".into()),
        ("bytes_in", (1 << dice.below(8)).into()),
        ("group_size", (RANKS * DEVICES).into()),
    ];
    scene.row(&tables::COLLECTIVES, values)
}

fn work(scene: Scene, dice: &mut Dice, [rank, device]: [i64; 2], id: i64) -> Scene {
    let phase = dice.pick(&["prefill", "decode"]);
    let scene = scene.row(&tables::WORK, [("rank", rank.into()), ("activity", id.into()), ("phase", phase.into())]);
    let scene = scene.with("step", dice.below(4)).with("stage", device).with("micro_batch", dice.below(2));
    let scene = scene.with("rows", dice.below(3) + 1).with("flop", dice.below(1000)).with("precision", "f32");
    scene.with("dram_bytes", dice.below(1000))
}

/// Calls that launch nothing, framework operators, and ranges.
fn host(mut scene: Scene, dice: &mut Dice, rank: i64, seed: u64) -> Scene {
    for _ in 0..30 {
        let (start, thread) = (dice.below(400) * TICK, dice.below(2));
        let name = dice.pick(&["cudaStreamSynchronize", "cudaEventSynchronize", "aten::mm", "aten::add"]);
        scene = scene.call(name, [rank, thread], (start, start + dice.below(20) * TICK));
    }
    for step in 0..4 {
        let at = [rank, 0];
        scene = scene.range(&format!("ProfilerStep#{step}"), at, (step * 1000, Some(step * 1000 + 990)));
        scene = scene.range("decode", at, (step * 1000 + 100, Some(step * 1000 + 600)));
        if seed.is_multiple_of(2) {
            let block = (step * 1000, Some(step * 1000 + 900));
            scene = scene.range("block", at, block).with("domain", "proftool");
        }
    }
    for _ in 0..12 {
        let (start, thread) = (dice.below(400) * TICK, dice.below(2));
        let end = (dice.below(6) > 0).then(|| start + dice.below(40) * TICK);
        scene = scene.range(dice.pick(&["kv_transfer", "layer"]), [rank, thread], (start, end));
        scene = scene.with("style", dice.pick(&["push_pop", "start_end", "mark"]));
        if dice.below(4) == 0 {
            scene = scene.with("end_thread", 1 - thread);
        }
    }
    scene
}

fn dependencies(mut scene: Scene, dice: &mut Dice) -> Scene {
    let each = scene.count(&tables::ACTIVITIES) / RANKS;
    for _ in 0..120 {
        let rank = dice.below(RANKS as u64);
        let [a, b] = [0, 1].map(|_| rank * each + dice.below(each as u64));
        let kind = dice.pick(&["data", "event", "queue", "collective", "launch"]);
        scene = scene.depends(rank, a, b, kind);
    }
    scene
}

/// Samples of counters, roofs and links.
fn measured(mut scene: Scene, dice: &mut Dice) -> Scene {
    let metrics = ["SMs Active [Throughput %]", "DRAM Read Bandwidth [Throughput %]", "power_w"];
    for rank in 0..RANKS {
        for (def, metric) in metrics.into_iter().enumerate() {
            let values = [("rank", rank.into()), ("def", (def as i64).into()), ("metric", metric.into())];
            scene = scene.row(&tables::COUNTER_DEFS, values).with("source", "counter");
        }
        for _ in 0..40 {
            let start = dice.below(400) * TICK;
            let values = [
                ("rank", rank.into()),
                ("device", dice.below(DEVICES as u64).into()),
                ("def", dice.below(3).into()),
                ("start_ns", start.into()),
                ("end_ns", (start + TICK).into()),
                ("value", (dice.below(100) as f64).into()),
            ];
            scene = scene.row(&tables::SAMPLES, values);
        }
        for device in 0..DEVICES {
            let values = [
                ("rank", rank.into()),
                ("device", device.into()),
                ("kind", "compute".into()),
                ("name", "fma".into()),
                ("precision", "f32".into()),
                ("value", 1e12.into()),
                ("source", "measured".into()),
            ];
            scene = scene.row(&tables::CEILINGS, values);
            let values = [("rank", rank.into()), ("src", device.into()), ("dst", (1 - device).into())];
            scene = scene.row(&tables::LINKS, values).with("bytes_per_s", 25e9);
        }
    }
    scene
}

/// Requests with their events, and the log of an engine.
fn serving(mut scene: Scene, dice: &mut Dice) -> Scene {
    for number in 0..12 {
        let (name, arrival) = (format!("r{number}"), dice.below(300) * TICK);
        let [prefill, kv, decode, end] = [1, 2, 3, 4].map(|part| arrival + part * 10 * TICK + dice.below(8) * TICK);
        let values = [("request", name.as_str().into()), ("arrival_ns", arrival.into()), ("status", "ok".into())];
        scene = scene.row(&tables::REQUESTS, values).with("first_token_ns", decode).with("end_ns", end);
        scene = scene.with("prefill_device", 0).with("decode_device", 1).with("first_token_device", dice.below(2));
        scene = scene.with("prompt_tokens", 100).with("output_tokens", dice.below(20));
        let events = [("queued", arrival, prefill), ("prefill", prefill, kv), ("kv_transfer", kv, decode)];
        for (kind, start, end) in events.into_iter().chain([("decode", decode, end)]) {
            let values = [("request", name.as_str().into()), ("kind", kind.into()), ("start_ns", start.into())];
            scene = scene.row(&tables::REQUEST_EVENTS, values).with("end_ns", end);
            scene = scene.with("device", i64::from(kind == "decode")).with("bytes", dice.below(1 << 20));
        }
    }
    for number in 0..20 {
        let start = number * 20 * TICK;
        let values = [("device", dice.below(2).into()), ("start_ns", start.into()), ("end_ns", (start + 190).into())];
        scene = scene.row(&tables::STEPS, values).with("prefill_tokens", dice.below(2) * 100);
        scene = scene.with("decode_batch", dice.below(4)).with("kv_tokens", dice.below(1000));
    }
    scene
}
