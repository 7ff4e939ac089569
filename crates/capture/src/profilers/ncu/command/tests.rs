use super::*;
use crate::profilers::ncu::resolve::Wanted;

/// Options of ncu 2022.3 that matter here, as its help prints them.
const HELP_2022: &str = "\
Options:
  --nvtx                                Enable NVTX support.
  --target-processes arg (=application-only)
                                          all
  --replay-mode arg (=kernel)           Mechanism used for replaying a kernel launch
                                          kernel (default)
                                          application
                                          range
  --profile-from-start arg (=1)         Allowed values:
                                          on/off
  --cache-control arg (=all)            Allowed values:
                                          all
                                          none
  --clock-control arg (=base)           Allowed values:
                                          base
                                          none
                                          reset
  -k [ --kernel-name ] arg              Filter the kernel
  -c [ --launch-count ] arg             Limit the number of collected profile results.
  -s [ --launch-skip ] arg (=0)         Set the number of kernel launches to skip
  --metrics arg                         Specify all metrics to be profiled, separated by comma.
  --nvtx-include arg                    Adds include statement to the NVTX filter
  --log-file arg                        Send all tool output to the specified file
";

/// What ncu 2025 has beside these.
const MORE_2025: &str = "\
Options:
  --config-file arg (=1)                Use config.ncu-cfg to set parameters.
  --replay-mode arg (=kernel)           Mechanism used for replaying a kernel launch
                                          kernel (default)
                                          application
                                          range
                                          app-range
  --graph-profiling arg (=node)         CUDA graph profiling mode:
                                          node (default)
                                          graph
  --pipeline-boost-state arg (=stable)  Control the Tensor Core boost state.
                                          stable
                                          dynamic
  --rename-kernels arg (=1)             Perform simplification on the kernel demangled names.
  --disable-extra-suffixes              Disable the collection of extra suffixes
";

fn old() -> Knows {
    Knows::parse(HELP_2022)
}

fn new() -> Knows {
    Knows::parse(&format!("{HELP_2022}{MORE_2025}"))
}

fn line(knows: &Knows, options: &Options) -> Result<String, Missing> {
    let target = ["python", "serve.py", "--port", "1"].map(OsString::from);
    let files = Files::new(Path::new("/a/raw/ncu"), 3);
    let metrics = ["gpu__time_duration.sum", "dram__bytes.sum"];
    let words = profile(Path::new("/usr/bin/ncu"), knows, options, &metrics, &files, &target)?;
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Ok(words.join(" "))
}

fn filtered() -> Options {
    Options {
        kernels: Some("gemm|attention".to_owned()),
        launch_skip: 10,
        launch_count: Some(5),
        clocks: Clocks::Free,
        caches: Caches::Kept,
        ..Options::default()
    }
}

fn of_ranges(replay: Replay) -> Options {
    Options {
        replay,
        ranges: vec!["decode/".to_owned(), "app@step/".to_owned()],
        from_start: false,
        ..Options::default()
    }
}

const END: &str =
    "--log-file /a/raw/ncu/ncu-rank3.log --export /a/raw/ncu/ncu-rank3 --force-overwrite python serve.py --port 1";
const METRICS: &str = "--metrics gpu__time_duration.sum,dram__bytes.sum";

#[test]
fn the_default_command_line_of_each_version() {
    assert_eq!(
        line(&old(), &Options::default()).unwrap(),
        format!(
            "/usr/bin/ncu --target-processes all --replay-mode kernel --clock-control base --cache-control all --nvtx \
             {METRICS} {END}"
        )
    );
    assert_eq!(
        line(&new(), &Options::default()).unwrap(),
        format!(
            "/usr/bin/ncu --config-file off --target-processes all --replay-mode kernel --graph-profiling node \
             --clock-control base --pipeline-boost-state stable --cache-control all --rename-kernels off --nvtx \
             {METRICS} --disable-extra-suffixes {END}"
        )
    );
}

#[test]
fn a_filtered_command_line_with_clocks_and_caches_as_they_are() {
    assert_eq!(
        line(&old(), &filtered()).unwrap(),
        format!(
            "/usr/bin/ncu --target-processes all --replay-mode kernel --clock-control none --cache-control none \
             --kernel-name regex:gemm|attention --launch-skip 10 --launch-count 5 --nvtx {METRICS} {END}"
        )
    );
    assert_eq!(
        line(&new(), &filtered()).unwrap(),
        format!(
            "/usr/bin/ncu --config-file off --target-processes all --replay-mode kernel --graph-profiling node \
             --clock-control none --pipeline-boost-state dynamic --cache-control none --kernel-name \
             regex:gemm|attention --rename-kernels off --launch-skip 10 --launch-count 5 --nvtx {METRICS} \
             --disable-extra-suffixes {END}"
        )
    );
}

#[test]
fn ranges_are_replayed_as_wholes() {
    assert_eq!(
        line(&old(), &of_ranges(Replay::Range)).unwrap(),
        format!(
            "/usr/bin/ncu --target-processes all --replay-mode range --clock-control base --cache-control all \
             --nvtx --nvtx-include decode/ --nvtx-include app@step/ {METRICS} {END}"
        )
    );
    assert_eq!(
        line(&new(), &of_ranges(Replay::ApplicationRange)).unwrap(),
        format!(
            "/usr/bin/ncu --config-file off --target-processes all --replay-mode app-range --graph-profiling node \
             --clock-control base --pipeline-boost-state stable --cache-control all --rename-kernels off \
             --nvtx --nvtx-include decode/ --nvtx-include app@step/ {METRICS} \
             --disable-extra-suffixes {END}"
        )
    );
}

#[test]
fn what_the_version_lacks_is_refused_with_the_option() {
    let missing = line(&old(), &of_ranges(Replay::ApplicationRange)).unwrap_err();
    assert_eq!(missing.reason, "this ncu does not know --replay-mode app-range");
    let named = Options { kernels: Some("gemm".to_owned()), ..of_ranges(Replay::Range) };
    assert!(line(&old(), &named).unwrap_err().reason.contains("by name"), "ncu refuses it too");
    let late = Options { from_start: false, ..Options::default() };
    assert!(line(&old(), &late).unwrap().contains("--profile-from-start off"));
    let whole = Options { graphs: Graphs::Whole, ..Options::default() };
    assert!(line(&old(), &whole).unwrap_err().reason.contains("--graph-profiling graph"));
    assert!(line(&new(), &whole).unwrap().contains("--graph-profiling graph"));
}

#[test]
fn a_percent_sign_in_a_path_is_no_macro() {
    let files = Files::new(Path::new("/a/100%p"), 0);
    let options =
        Options { wanted: Wanted { details: false, tensor_parts: false, in_ranges: false }, ..Options::default() };
    let words = profile(Path::new("ncu"), &old(), &options, &[], &files, &[]).unwrap();
    assert!(words.contains(&OsString::from("/a/100%%p/ncu-rank0")), "{words:?}");
    assert!(words.contains(&OsString::from("/a/100%p/ncu-rank0.log")), "the log's name has no macros");
}

#[test]
fn a_report_is_printed_as_its_raw_page_in_base_units() {
    let words = print(Path::new("/a b/ncu-rank0.ncu-rep"));
    assert_eq!(words.join(OsStr::new(" ")), "--import /a b/ncu-rank0.ncu-rep --csv --page raw --print-units base");
}
