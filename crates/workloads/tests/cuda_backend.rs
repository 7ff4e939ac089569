//! The pipeline targets on the doubles of CUDA's libraries: what is computed, recorded and refused, without a GPU.

#[path = "cuda_double/mod.rs"]
mod cuda_double;

use std::collections::BTreeMap;

use cuda_double::inside;
use proftool_workloads::{Backend, Block, Check, Error, Outputs, Session, Settings, compare, find, narrow};

const BASELINE: &str = "baseline_pipeline_parallelism";
const OPTIMIZED: &str = "optimized_pipeline_parallelism";

/// Few rows: the doubles multiply plainly.
const SMALL: [(&str, &str); 3] = [("sequences", "2"), ("prompt_tokens", "1"), ("decode_steps", "2")];

fn settings(parameters: &[(&str, &str)]) -> Settings {
    let given = SMALL.iter().chain(parameters).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings {
        seed: 7,
        parameters: given.collect::<BTreeMap<_, _>>(),
        cores: vec![0],
        iterations: 2,
        blocks: 1,
        warmup: 1,
        device_name: "a processor".to_owned(),
        arch: "test".to_owned(),
        backend: Backend::Cuda,
        record: true,
    }
}

/// What a run of a target gave.
struct Ran {
    blocks: Vec<Block>,
    checks: Vec<Check>,
    outputs: Outputs,
    /// The tags and payloads of its trace.
    trace: Vec<(String, Vec<u8>)>,
}

/// Runs a target with narrow layers.
fn run(target: &str, parameters: &[(&str, &str)]) -> Result<Ran, Error> {
    let settings = settings(parameters);
    ran(narrow::prepare(find(target).expect("a target"), &settings)?, &settings)
}

/// Runs a target as it is.
fn run_whole(target: &str, parameters: &[(&str, &str)]) -> Result<Ran, Error> {
    let settings = settings(parameters);
    ran(find(target).expect("a target").prepare(&settings)?, &settings)
}

fn ran(mut session: Box<dyn Session>, settings: &Settings) -> Result<Ran, Error> {
    session.warm_up(settings.warmup)?;
    let blocks = (0..settings.blocks).map(|_| session.run_block()).collect::<Result<Vec<_>, _>>()?;
    let (checks, outputs) = (session.verify()?, session.outputs().clone());
    assert!(!session.simulated() && session.modelled().is_empty());
    let path = std::env::temp_dir().join(format!("proftool-cuda-backend-{}.trace", std::process::id()));
    session.finish(&path)?;
    let bytes = std::fs::read(&path).expect("the trace is readable");
    std::fs::remove_file(&path).expect("the trace is removed");
    let (mut rest, mut trace) = (&bytes[16..], Vec::new());
    while !rest.is_empty() {
        let length = i64::from_le_bytes(rest[4..12].try_into().expect("eight bytes")) as usize;
        trace.push((String::from_utf8_lossy(&rest[..4]).into_owned(), rest[12..12 + length].to_vec()));
        rest = &rest[12 + length..];
    }
    Ok(Ran { blocks, checks, outputs, trace })
}

impl Ran {
    fn records<const N: usize>(&self, tag: &str) -> Vec<[i64; N]> {
        let number = |field: &[u8]| i64::from_le_bytes(field.try_into().expect("eight bytes"));
        let payloads =
            self.trace.iter().filter(|(of, _)| of == tag).flat_map(|(_, payload)| payload.chunks_exact(N * 8));
        payloads.map(|record| std::array::from_fn(|index| number(&record[index * 8..][..8]))).collect()
    }

    fn text(&self, tag: &str) -> String {
        self.trace.iter().filter(|(of, _)| of == tag).map(|(_, payload)| String::from_utf8_lossy(payload)).collect()
    }

    fn passes(&self) -> bool {
        self.checks.len() == 2 && self.checks.iter().all(Check::passes)
    }
}

// Fields of an operation in the file, see `docs/host-format.md`.
const ID: usize = 0;
const DEVICE: usize = 2;
const QUEUE: usize = 3;
const START: usize = 6;
const END: usize = 7;

/// Everything that holds for any run: outputs, times in order within each queue and inside no other operation's.
fn check(ran: &Ran, name: &str) {
    assert!(ran.passes(), "{name}: {:?}", ran.checks);
    for block in &ran.blocks {
        assert!(block.fill_ns > 0 && block.cpu_ns >= 0 && block.iteration_ns.len() == 1, "{name}: {block:?}");
        assert!(block.contention_ratio.is_infinite(), "{name}: {block:?}");
    }
    assert!(
        ran.text("tail").contains(r#""operations":0,"dependencies":0,"calls":0,"ranges":0"#),
        "{name}: {}",
        ran.text("tail")
    );
    let mut rows = ran.records::<22>("oper");
    rows.sort_by_key(|row| (row[DEVICE], row[QUEUE], row[START], row[END]));
    assert!(!rows.is_empty(), "{name}");
    for pair in rows.windows(2).filter(|pair| (pair[0][DEVICE], pair[0][QUEUE]) == (pair[1][DEVICE], pair[1][QUEUE])) {
        assert!(pair[0][END] <= pair[1][START], "{name}: {pair:?}");
    }
    assert!(rows.iter().all(|row| row[START] < row[END]), "{name}");
}

/// Every dependency's end lies before its operation's start, up to what the clock leaves open.
fn check_order(ran: &Ran, slack_ns: i64) {
    let times: BTreeMap<i64, (i64, i64)> =
        ran.records::<22>("oper").into_iter().map(|row| (row[ID], (row[START], row[END]))).collect();
    let dependencies = ran.records::<4>("deps");
    assert!(!dependencies.is_empty());
    for [activity, on, ..] in dependencies {
        let (Some(later), Some(earlier)) = (times.get(&activity), times.get(&on)) else { continue };
        assert!(earlier.1 <= later.0 + slack_ns, "{activity} on {on}");
    }
}

/// Names of the driver's calls that the host made, with how often.
fn calls(ran: &Ran) -> BTreeMap<String, usize> {
    let texts: Vec<String> = serde_json::from_str(&ran.text("strs")).expect("a list of strings");
    let mut counts = BTreeMap::new();
    for row in ran.records::<9>("call") {
        *counts.entry(texts[row[3] as usize].clone()).or_default() += 1;
    }
    counts
}

fn agree(run: impl Fn(&str, &[(&str, &str)]) -> Result<Ran, Error>, precision: &str, shapes: &[(&str, &str)]) {
    let baseline = run(BASELINE, &[("precision", precision)]).expect("it runs");
    check(&baseline, precision);
    for (graph, stages) in shapes {
        let name = format!("{precision}, graph {graph}, {stages} stages");
        let given = [("precision", precision), ("graph", graph), ("stages", stages), ("microbatches", "2")];
        let optimized = run(OPTIMIZED, &given).expect("it runs");
        check(&optimized, &name);
        check_order(&optimized, 200_000);
        let pair = compare(&optimized.outputs, &baseline.outputs);
        assert!(pair.passes(), "{name}: {pair:?}");
        let calls = calls(&optimized);
        match *graph {
            // All operations are one launch, and the host waits once.
            "on" => assert_eq!(
                calls,
                BTreeMap::from([("cuGraphLaunch".to_owned(), 1), ("cuStreamSynchronize".to_owned(), 1)])
            ),
            _ => assert!(calls["cublasLtMatmul"] > 4 && calls["cuLaunchKernel"] >= 4, "{name}: {calls:?}"),
        }
    }
}

#[test]
fn f32_agrees_with_the_reference_and_the_pair_with_and_without_a_graph() {
    if inside("f32_agrees_with_the_reference_and_the_pair_with_and_without_a_graph", &[]) {
        agree(run, "f32", &[("on", "2"), ("off", "2"), ("on", "4")]);
    }
}

#[test]
fn bf16_agrees_with_the_reference_and_the_pair_within_its_tolerance() {
    if inside("bf16_agrees_with_the_reference_and_the_pair_within_its_tolerance", &[]) {
        agree(run, "bf16", &[("on", "1"), ("off", "4")]);
    }
}

#[test]
fn without_a_record_only_completions_are_timed() {
    if !inside("without_a_record_only_completions_are_timed", &[]) {
        return;
    }
    for graph in ["on", "off"] {
        let given = settings(&[("graph", graph), ("stages", "2")]);
        let ran = ran(
            narrow::prepare(find(OPTIMIZED).expect("a target"), &Settings { record: false, ..given.clone() })
                .expect("it is made"),
            &given,
        )
        .expect("it runs");
        assert!(ran.passes() && ran.records::<22>("oper").is_empty(), "{graph}: {:?}", ran.checks);
        assert!(ran.blocks.iter().all(|block| block.fill_ns > 0 && block.iteration_ns[0] > 0), "{:?}", ran.blocks);
    }
}

#[test]
fn layers_of_the_real_widths_agree_too() {
    if inside("layers_of_the_real_widths_agree_too", &[]) {
        let ran = run_whole(OPTIMIZED, &[("stages", "3"), ("microbatches", "2")]).expect("it runs");
        check(&ran, "real widths");
    }
}

#[test]
fn two_gpus_hand_over_to_each_other_and_are_two_devices() {
    if !inside("two_gpus_hand_over_to_each_other_and_are_two_devices", &[("DOUBLE_DEVICES", "2")]) {
        return;
    }
    for graph in ["on", "off"] {
        let ran = run(OPTIMIZED, &[("graph", graph), ("stages", "3"), ("microbatches", "2")]).expect("it runs");
        check(&ran, graph);
        let devices: std::collections::BTreeSet<i64> =
            ran.records::<22>("oper").iter().map(|row| row[DEVICE]).collect();
        assert_eq!(devices.len(), 2);
        let head: serde_json::Value = serde_json::from_str(&ran.text("head")).expect("a head");
        assert_eq!(head["devices"][1]["kind"], "cuda", "{head}");
        // Stages 0 and 2 share a GPU: six streams and three.
        assert_eq!(head["queues"].as_array().map(Vec::len), Some(9), "{head}");
    }
}

/// Runs the optimized target in a process whose doubles get these variables; gives its error, or nothing where it ran.
fn failure(variables: &[(&str, &str)], parameters: &str) -> Option<String> {
    let libraries = cuda_double::build()?;
    let mut command = cuda_double::command(std::env::current_exe().expect("this file"), &libraries);
    command.args(["fails_as_told", "--exact", "--ignored", "--nocapture"]).envs(variables.iter().copied());
    let output = command.env("FAILS_WITH", parameters).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{variables:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().find_map(|line| line.split_once("refused: ")).map(|(_, error)| error.to_owned())
}

/// Not a test of its own: what [`failure`] runs.
#[test]
#[ignore = "run by other tests"]
fn fails_as_told() {
    let given = std::env::var("FAILS_WITH").unwrap_or_default();
    let parameters: Vec<(&str, &str)> = given.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    if let Err(error) = run(OPTIMIZED, &parameters) {
        println!("refused: {error}");
    }
}

#[test]
fn an_error_of_any_call_ends_with_its_name_and_a_hint() {
    let enqueued = [
        "cuInit",
        "cuDevicePrimaryCtxRetain",
        "cuModuleLoadDataEx",
        "cuModuleGetFunction",
        "cuStreamCreate",
        "cuEventCreate",
        "cuMemAlloc_v2",
        "cuMemcpyHtoD_v2",
        "cublasLtCreate",
        "cublasLtMatmulAlgoGetHeuristic",
        "cublasLtMatmul",
        "cuLaunchKernel",
        "cuMemcpyDtoDAsync_v2",
        "cuEventRecord",
        "cuStreamWaitEvent",
        "cuEventElapsedTime",
        "cuMemcpyDtoH_v2",
        "nvrtcCompileProgram",
    ];
    let captured = [
        "cuStreamBeginCapture_v2",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphUpload",
        "cuGraphLaunch",
        "cuEventRecordWithFlags",
    ];
    let all = enqueued
        .map(|name| (name, "graph=off stages=2"))
        .into_iter()
        .chain(captured.map(|name| (name, "graph=on stages=2")));
    for (name, parameters) in all {
        if cuda_double::build().is_none() {
            return;
        }
        let error = failure(&[("DOUBLE_FAIL", name)], parameters).unwrap_or_default();
        assert!(error.starts_with(&format!("{name} failed: ")) && error.contains("(hint: "), "{name}: {error}");
    }
}

#[test]
fn a_kernel_that_fails_while_it_runs_is_told_by_the_call_that_notices() {
    if cuda_double::build().is_some() {
        for graph in ["graph=on", "graph=off"] {
            let error = failure(&[("DOUBLE_FAIL", "kernel:2")], graph).expect("an error");
            assert!(error.contains("CUDA_ERROR_LAUNCH_FAILED (719)") && error.contains("compute-sanitizer"), "{error}");
        }
    }
}

#[test]
fn too_little_memory_is_refused_before_anything_is_allocated() {
    if cuda_double::build().is_some() {
        let error = failure(&[("DOUBLE_MEMORY_BYTES", "100000000")], "").expect("an error");
        assert!(error.starts_with("a pair on proftool test double (GPU 0) would need about"), "{error}");
    }
}

#[test]
fn an_nvrtc_older_than_the_gpu_leaves_the_compilation_to_the_driver() {
    if cuda_double::build().is_some() {
        assert_eq!(failure(&[("DOUBLE_NVRTC_MAX_ARCH", "86")], "graph=off"), None);
    }
}

#[test]
fn what_gpus_cannot_do_is_refused_with_what_to_leave_out() {
    if !inside("what_gpus_cannot_do_is_refused_with_what_to_leave_out", &[]) {
        return;
    }
    let refused =
        |name, value| run(OPTIMIZED, &[(name, value)]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused("link_gbps", "10").contains("links between GPUs are real"));
    assert!(refused("cuda_devices", "1").ends_with("all, or numbers of visible GPUs, each once: 0"));
    assert!(refused("cuda_devices", "0,0").contains("each once"));
    let target = find(OPTIMIZED).expect("a target");
    let resolved = target.resolve(&settings(&[])).expect("allowed");
    assert_eq!(
        ["precision", "graph", "cuda_devices", "stages"].map(|name| resolved[name].as_str()),
        ["bf16", "on", "0", "2"]
    );
    assert!(!resolved.contains_key("link_gbps"));
    // What was recorded can be given again.
    let again: Vec<(&str, &str)> = resolved.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(target.resolve(&settings(&again)).expect("allowed"), resolved);
}

#[test]
#[ignore = "needs a GPU"]
fn both_targets_agree_on_a_gpu() {
    for precision in ["f32", "bf16"] {
        agree(run_whole, precision, &[("on", "1"), ("off", "1"), ("on", "2"), ("off", "2")]);
    }
}
