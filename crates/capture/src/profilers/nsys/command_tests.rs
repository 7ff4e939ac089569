use super::super::version::Version;
use super::*;

/// The line for a version, without the words that every line has.
fn line(version: Version, options: &Options) -> Line {
    let target = ["python", "serve.py"].map(OsString::from);
    profile(Path::new("nsys"), &Known::from_version(version), options, Path::new("/raw/nsys"), 0, "s", &target)
}

fn text(line: &Line) -> String {
    line.words.join(OsStr::new(" ")).into_string().expect("plain words")
}

const OLD: Version = Version::of(2022, 4);
const MIDDLE: [Version; 1] = [Version::of(2023, 4)];
const NEW: [Version; 2] = [Version::of(2024, 5), Version::of(2025, 3)];

#[test]
fn the_default_line_is_the_same_for_every_version_from_2022_4() {
    let expected = "nsys profile --output=/raw/nsys/nsys --force-overwrite=true --session-new=s \
                    --trace=cuda,nvtx,osrt --sample=none --cpuctxsw=none --cuda-graph-trace=node \
                    --trace-fork-before-exec=true --wait=primary --kill=sigterm --stats=false --export=none \
                    python serve.py";
    for version in [OLD].into_iter().chain(MIDDLE).chain(NEW) {
        let line = line(version, &Options::default());
        assert_eq!(text(&line), expected, "{version}");
        assert!(line.left_out.is_empty());
    }
}

#[test]
fn counters_of_gpus_and_network_cards_are_asked_for_in_the_words_of_the_version() {
    let options = Options {
        trace: Trace::ALL.to_vec(),
        gpu_metrics: GpuMetrics::Visible,
        gpu_metrics_hz: Some(20_000),
        nic_metrics: true,
        sampling: Sampling::ProcessTree,
        wait: Wait::All,
        ..Options::default()
    };
    let expected = |metrics: &str| {
        format!(
            "nsys profile --output=/raw/nsys/nsys --force-overwrite=true --session-new=s \
             --trace=cuda,nvtx,osrt,cublas,cudnn,mpi,ucx --sample=process-tree --cpuctxsw=process-tree \
             --cuda-graph-trace=node --trace-fork-before-exec=true --wait=all --kill=sigterm --stats=false \
             --export=none {metrics} --gpu-metrics-frequency=20000 --nic-metrics=true python serve.py"
        )
    };
    for version in [OLD].into_iter().chain(MIDDLE) {
        assert_eq!(text(&line(version, &options)), expected("--gpu-metrics-device=all"), "{version}");
    }
    for version in NEW {
        assert_eq!(text(&line(version, &options)), expected("--gpu-metrics-devices=cuda-visible"), "{version}");
    }
}

#[test]
fn a_part_of_a_run_is_recorded_from_a_delay_or_a_range_on() {
    let options = Options {
        trace: vec![Trace::Nvtx, Trace::Cuda],
        graph_nodes: false,
        gpu_metrics: GpuMetrics::Devices(vec![0, 3]),
        delay: Duration::from_millis(1500),
        duration: Some(Duration::from_secs(30)),
        range: Range::Nvtx("decode@*".to_owned()),
        range_end: RangeEnd::StopShutdown,
        kill: Kill::None,
        trace_fork_before_exec: false,
        ..Options::default()
    };
    let expected = |metrics: &str| {
        format!(
            "nsys profile --output=/raw/nsys/nsys --force-overwrite=true --session-new=s --trace=cuda,nvtx \
             --sample=none --cpuctxsw=none --cuda-graph-trace=graph --trace-fork-before-exec=false --wait=primary \
             --kill=none --stats=false --export=none {metrics}=0,3 --delay=2 --duration=30 --capture-range=nvtx \
             --nvtx-capture=decode@* --capture-range-end=stop-shutdown python serve.py"
        )
    };
    for version in [OLD].into_iter().chain(MIDDLE) {
        assert_eq!(text(&line(version, &options)), expected("--gpu-metrics-device"), "{version}");
    }
    for version in NEW {
        let line = line(version, &options);
        assert_eq!(text(&line), expected("--gpu-metrics-devices"), "{version}");
        assert_eq!(line.environment, ["NSYS_NVTX_PROFILER_REGISTER_ONLY=0"]);
    }
}

#[test]
fn what_a_version_lacks_is_left_out_and_named_unless_it_means_the_same() {
    let options = Options { nic_metrics: true, ..Options::default() };
    let older = line(Version::of(2022, 1), &options);
    assert!(!text(&older).contains("--cuda-graph-trace"), "nodes are all that it records");
    assert_eq!(older.left_out, ["--nic-metrics=true"]);
    let whole = Options { graph_nodes: false, ..Options::default() };
    assert_eq!(line(Version::of(2022, 1), &whole).left_out, ["--cuda-graph-trace=graph"]);
}

#[test]
fn nothing_to_trace_is_said_and_the_profiler_api_needs_no_range() {
    let options = Options { trace: Vec::new(), range: Range::CudaProfiler, ..Options::default() };
    let text = text(&line(OLD, &options));
    assert!(text.contains("--trace=none") && !text.contains("--cuda-graph-trace"), "{text}");
    assert!(text.contains("--capture-range=cudaProfilerApi --capture-range-end=stop"), "{text}");
}

#[test]
fn ranks_write_files_of_their_own_and_a_percent_sign_is_no_pattern() {
    let folder = Path::new("/raw/50%q{HOME}");
    assert_eq!(report(folder, 0), folder.join("nsys.nsys-rep"));
    assert_eq!(database(folder, 12), folder.join("nsys-rank12.sqlite"));
    let known = Known::from_version(OLD);
    let line = profile(Path::new("nsys"), &known, &Options::default(), folder, 3, "s", &[]);
    assert_eq!(line.words[2], "--output=/raw/50%%q{HOME}/nsys-rank3");
}

#[test]
fn the_lines_after_a_run_name_their_files() {
    let joined = |words: Vec<OsString>| words.join(OsStr::new(" ")).into_string().expect("plain words");
    assert_eq!(
        joined(export(Path::new("nsys"), Path::new("/r/nsys.nsys-rep"), Path::new("/r/nsys.sqlite"))),
        "nsys export --type=sqlite --force-overwrite=true --quiet=true --output=/r/nsys.sqlite /r/nsys.nsys-rep"
    );
    assert_eq!(joined(stop(Path::new("nsys"), "s")), "nsys stop --session=s");
    let import = import(Path::new("QdstrmImporter"), Path::new("a.qdstrm"), Path::new("a.nsys-rep"));
    assert_eq!(joined(import), "QdstrmImporter -i a.qdstrm -o a.nsys-rep");
}
