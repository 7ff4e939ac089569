//! The metrics of a roofline and the printing of reports, with a real ncu and no GPU.
//!
//! Without ncu a test says so and ends; CI installs the one of Debian 12 (2022.3) and looks for that word.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proftool_capture::process::ask::Answer;
use proftool_capture::profilers::ncu::catalog::{self, Catalog};
use proftool_capture::profilers::ncu::command::{self, Files};
use proftool_capture::profilers::ncu::knows::Knows;
use proftool_capture::profilers::ncu::options::{Options, Replay};
use proftool_capture::profilers::ncu::quantities::{QUANTITIES, Way};
use proftool_capture::profilers::ncu::resolve::{Wanted, matches};
use proftool_capture::profilers::ncu::{self, export, tool};
use proftool_capture::profilers::{Found, Kind, Launch, Note};

/// The chips that ncu 2022.3 lists.
const CHIPS: [&str; 17] = [
    "ad102", "ad103", "ga100", "ga102", "ga103", "ga104", "ga106", "ga107", "ga10b", "gh100", "gv100", "gv11b",
    "tu102", "tu104", "tu106", "tu116", "tu117",
];

/// Names of metrics that later versions have, from pages and section files of 2025 and 2026.
const LATER: [&str; 10] = [
    "dram__bytes_op_read",
    "dram__bytes_op_write",
    "sm__inst_executed_pipe_tensor_op_gmma",
    "sm__ops_path_tensor_src_fp64",
    "smsp__sass_thread_inst_executed_op_fadd2_pred_on",
    "smsp__sass_thread_inst_executed_op_fmul2_pred_on",
    "smsp__sass_thread_inst_executed_op_ffma2_pred_on",
    "sm__pipe_tensor_cycles_active",
    "sm__issue_active",
    "lts__lts2xbar_cycles_active",
];

const WANTED: Wanted = Wanted { details: true, tensor_parts: false, in_ranges: false };

fn skip(why: &str) {
    // Not by a macro of the standard library: the test runner keeps those from a test that passes.
    let _ = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
}

/// The installed ncu and whether it is that of Debian 12.
fn installed() -> Option<(PathBuf, bool)> {
    match ncu::find() {
        Ok(found) => Some((found.path?, found.version.starts_with("2022.3"))),
        Err(missing) => {
            skip(&format!("ncu not found: {missing}"));
            None
        }
    }
}

fn debian() -> Option<PathBuf> {
    let (program, debian) = installed()?;
    if !debian {
        skip("this test knows the names of ncu 2022.3 only");
    }
    debian.then_some(program)
}

/// A report that comes with Debian's package: version 2022.1, one launch on an RTX A2000.
fn example() -> Option<PathBuf> {
    let path = Path::new("/usr/share/doc/nsight-compute/examples/uncoalescedGlobalAccesses/addConstDouble.ncu-rep");
    if !path.exists() {
        skip("the examples of the package nsight-compute are not there");
    }
    path.exists().then(|| path.to_owned())
}

/// What each chip is asked for, quantity by quantity.
fn chosen(program: &Path, chip: &str) -> Vec<(&'static str, Vec<String>)> {
    ncu::metrics(program, Some(chip), WANTED).expect(chip).chosen
}

fn arithmetic(letter: &str) -> [String; 3] {
    ["add", "mul", "fma"].map(|operation| format!("sm__sass_thread_inst_executed_op_{letter}{operation}_pred_on.sum"))
}

/// What all chips of ncu 2022.3 with memory of their own are asked for, but for tensor cores and stalls.
fn expected_everywhere() -> Vec<(&'static str, Vec<String>)> {
    let one = |name: &str| vec![name.to_owned()];
    let peak = |letter: &str| one(&format!("sm__sass_thread_inst_executed_op_{letter}fma_pred_on.sum.peak_sustained"));
    vec![
        ("time", one("gpu__time_duration.sum")),
        ("sm_clock", one("sm__cycles_elapsed.avg.per_second")),
        ("l1_clock", one("l1tex__cycles_elapsed.avg.per_second")),
        ("l2_clock", one("lts__cycles_elapsed.avg.per_second")),
        ("dram_clock", one("dram__cycles_elapsed.avg.per_second")),
        ("f64", arithmetic("d").to_vec()),
        ("f32", arithmetic("f").to_vec()),
        ("f16", arithmetic("h").to_vec()),
        ("instructions", one("smsp__inst_executed.sum")),
        ("dram_bytes", one("dram__bytes.sum")),
        ("dram_directions", vec!["dram__bytes_read.sum".to_owned(), "dram__bytes_write.sum".to_owned()]),
        ("l2_bytes", one("lts__t_bytes.sum")),
        ("l1_bytes", one("l1tex__t_bytes.sum")),
        ("peak_f64", peak("d")),
        ("peak_f32", peak("f")),
        ("peak_f16", peak("h")),
        ("peak_dram", one("dram__bytes.sum.peak_sustained")),
        ("peak_l2", one("lts__t_bytes.sum.peak_sustained")),
        ("peak_l1", one("l1tex__t_bytes.sum.peak_sustained")),
        ("occupancy", one("sm__warps_active.avg.pct_of_peak_sustained_active")),
        ("issue", one("smsp__issue_active.avg.pct_of_peak_sustained_active")),
        ("tensor_active", one("sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active")),
    ]
}

#[test]
fn gh100_ga100_and_tu102_are_asked_for_these_names() {
    let Some(program) = debian() else { return };
    let stalls = [
        "barrier",
        "branch_resolving",
        "dispatch_stall",
        "drain",
        "imc_miss",
        "lg_throttle",
        "long_scoreboard",
        "math_pipe_throttle",
        "membar",
        "mio_throttle",
        "misc",
        "no_instruction",
        "not_selected",
        "selected",
        "short_scoreboard",
        "sleeping",
        "tex_throttle",
        "wait",
    ];
    for (chip, types, more_stalls) in [
        ("gh100", &["", "_op_hmma", "_op_imma", "_op_dmma"][..], &[][..]),
        ("ga100", &["", "_op_hmma", "_op_imma", "_op_dmma"], &[]),
        ("tu102", &["", "_op_hmma", "_op_imma"], &["mio_throttle_pipe_mio"]),
    ] {
        let mut expected: BTreeSet<(&str, Vec<String>)> = expected_everywhere().into_iter().collect();
        expected.insert(("tensor", types.iter().map(|of| format!("sm__inst_executed_pipe_tensor{of}.sum")).collect()));
        let mut stalls = [&stalls[..], more_stalls].concat();
        stalls.sort_unstable();
        let stall = |why: &&str| format!("smsp__average_warps_issue_stalled_{why}_per_issue_active.ratio");
        let mut names: Vec<String> = stalls.iter().map(stall).collect();
        names.sort();
        expected.insert(("stalls", names));
        assert_eq!(chosen(&program, chip).into_iter().collect::<BTreeSet<_>>(), expected, "{chip}");
    }
}

#[test]
fn every_chip_gives_every_quantity_but_the_memory_that_is_not_counted() {
    let Some(program) = debian() else { return };
    for chip in CHIPS {
        let set = ncu::metrics(&program, Some(chip), WANTED).expect(chip);
        let without_memory = ["ga10b", "gv11b"].contains(&chip);
        let unresolved = if without_memory { vec!["dram_clock", "dram_bytes"] } else { Vec::new() };
        assert_eq!(set.unresolved, unresolved, "{chip}");
    }
}

#[test]
fn no_pattern_matches_nothing_anywhere() {
    let Some(program) = debian() else { return };
    let mut catalogs: Vec<Catalog> =
        CHIPS.iter().map(|chip| catalog::query(&program, Some(chip)).expect(chip)).collect();
    catalogs.push(Catalog::of_names("later", LATER));
    for quantity in QUANTITIES {
        for way in quantity.ways {
            let patterns: Vec<String> = match way {
                Way::All(patterns) | Way::Any(patterns) => patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
                Way::Arithmetic(letter, width) => {
                    let unit = if width.is_empty() { "sm" } else { "smsp" };
                    let name = |of| format!("{unit}__sass_thread_inst_executed_op_{letter}{of}{width}_pred_on.sum");
                    ["add", "mul", "fma"].map(name).to_vec()
                }
                // Held against the list of every compute capability beside their code.
                Way::TensorOperations | Way::TensorPeaks => continue,
            };
            for pattern in patterns {
                let found = catalogs.iter().any(|catalog| !matches(&pattern, catalog).is_empty());
                assert!(found, "{}: {pattern} matches no metric of any chip", quantity.name);
            }
        }
    }
}

#[test]
fn a_chip_that_ncu_does_not_know_and_a_machine_without_a_driver_are_told() {
    let Some(program) = debian() else { return };
    let missing = catalog::query(&program, Some("gb100")).unwrap_err().to_string();
    assert!(missing.contains("Invalid chip gb100") && missing.contains("--list-chips"), "{missing}");
    if !Path::new("/proc/driver/nvidia/version").exists() {
        let missing = catalog::query(&program, None).unwrap_err().to_string();
        assert!(missing.contains("found no NVIDIA driver"), "{missing}");
    }
}

/// Runs a command line as the capture does.
fn run(words: &[OsString]) -> Answer {
    tool::ask(Path::new(&words[0]), &words[1..], std::time::Duration::from_mins(1)).unwrap()
}

#[test]
fn ncu_takes_every_option_that_is_composed_and_the_target_its_own_output() {
    let Some((program, _)) = installed() else { return };
    let knows = Knows::ask(&program).unwrap();
    let of = |wanted| ncu::metrics(&program, Some("ga100"), wanted).unwrap();
    let (by_kernel, by_range) = (of(WANTED), of(Wanted { in_ranges: true, ..WANTED }));
    let ranges =
        Options { replay: Replay::Range, ranges: vec!["step/".to_owned()], from_start: false, ..Options::default() };
    let filtered = Options {
        kernels: Some("a|b".to_owned()),
        launch_skip: 1,
        launch_count: Some(2),
        replay: Replay::Application,
        ..Options::default()
    };
    for options in [Options::default(), ranges, filtered] {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(&folder.path().join("100%p"), 0);
        std::fs::create_dir(folder.path().join("100%p")).unwrap();
        let target = ["sh", "-c", "echo data; exit 3"].map(OsString::from);
        let set = if options.replay.is_of_ranges() { &by_range } else { &by_kernel };
        let words = command::profile(&program, &knows, &options, &set.metrics(), &files, &target).unwrap();
        let said = run(&words);
        // With ranges ncu warns before its log begins.
        assert!(said.out.ends_with("data\n") && said.code == Some(3), "{}", said.text());
        let notes = export::finish(&program, &files, Path::new("stderr.txt"));
        assert_eq!(notes.iter().map(|note| note.code).collect::<Vec<_>>(), ["no_kernels"], "{notes:?}");
    }
}

#[test]
fn a_report_is_printed_beside_itself_in_base_units() {
    let (Some(program), Some(example)) = (debian(), example()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), 2);
    std::fs::copy(example, &files.report).unwrap();
    std::fs::write(&files.log, "==PROF== Profiling \"addConstDouble\" - 0: 0%....50%....100% - 35 passes\n").unwrap();
    assert_eq!(export::finish(&program, &files, Path::new("stderr.txt")), []);
    assert!(files.report.exists(), "the report stays");
    let page = std::fs::read_to_string(&files.page).unwrap();
    let lines: Vec<&str> = page.lines().collect();
    let place = lines[0].split("\",\"").position(|name| name == "dram__bytes_read.sum").unwrap();
    let cell = |line: &str| line.split("\",\"").nth(place).unwrap().to_owned();
    assert_eq!((lines.len(), cell(lines[1]), cell(lines[2])), (3, "byte".to_owned(), "25170048".to_owned()));
}

#[test]
fn a_report_that_is_newer_than_ncu_or_cut_off_is_told_and_leaves_no_page() {
    let (Some(program), Some(example)) = (debian(), example()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path(), 0);
    let bytes = std::fs::read(example).unwrap();
    std::fs::write(&files.report, &bytes[..bytes.len() / 2]).unwrap();
    let mut reports = vec![files.report.clone()];
    let newer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ncu/gb200_cuda_graph_full");
    reports.extend(Some(newer.join("report.2025.3.ncu-rep")).filter(|report| report.exists()));
    for report in reports {
        let missing = export::print_page(&program, &report, &files.page).unwrap_err().to_string();
        let name = report.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
        assert!(missing.contains(&*name) && missing.contains("written by a newer version, or is cut off"), "{missing}");
        assert!(!files.page.exists(), "a message is no page");
    }
}

/// A stand-in that answers as the installed ncu does about an A100, and profiles by copying a report that is there; with
/// a target named `forbidden` it says what ncu says without permission.
fn stand_in(folder: &Path, real: &Path, example: &Path) -> Found {
    let path = folder.join("ncu");
    let (real, example) = (real.display(), example.display());
    let script = format!(
        r#"#!/bin/sh
case "$1" in
  --query-metrics*) exec {real} "$@" --chips ga100 ;;
  --import | --help | --version) exec {real} "$@" ;;
esac
while [ "$1" != --force-overwrite ]; do
  case "$1" in --export) report=$2 ;; --log-file) log=$2 ;; esac
  shift
done
shift
if [ "$1" = forbidden ]; then
  echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters' > "$log"
  exit 1
fi
echo '==PROF== Connected to process 26 (app)' > "$log"
"$@"
code=$?
cp {example} "$report.ncu-rep"
exit $code
"#
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Found { version: "2022.3.0.0".to_owned(), path: Some(path) }
}

/// What the profiler tells about a launch of the stand-in, and the files that it leaves.
fn capture(found: &Found, folder: &Path, target: &[&str]) -> (Vec<Note>, Vec<String>) {
    let target: Vec<OsString> = target.iter().map(OsString::from).collect();
    let launch = Launch { target: &target, folder, rank: 1 };
    let Kind::Wraps(wrap) = &ncu::PROFILER.kind else { panic!("ncu starts the target") };
    let (words, _) = (wrap.command)(found, &launch, &proftool_capture::profilers::Options::default()).unwrap();
    assert!(words.contains(&OsString::from("--metrics")), "{words:?}");
    run(&words);
    let notes = (wrap.after)(found, &launch);
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("ncu-")).collect();
    names.sort();
    (notes, names)
}

#[test]
fn a_launch_leaves_a_report_its_page_and_a_log_or_the_reason_why_not() {
    let (Some(program), Some(example)) = (debian(), example()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let found = stand_in(folder.path(), &program, &example);
    let (notes, names) = capture(&found, folder.path(), &["forbidden"]);
    assert_eq!((notes.len(), notes[0].code, names), (1, "no_permission", vec!["ncu-rank1.log".to_owned()]));
    assert!(notes[0].detail.contains("NVreg_RestrictProfilingToAdminUsers=0"), "{}", notes[0].detail);
    let (notes, names) = capture(&found, folder.path(), &["true"]);
    assert_eq!(notes, [], "an A100 gives everything");
    assert_eq!(names, ["ncu-rank1.csv", "ncu-rank1.log", "ncu-rank1.ncu-rep"]);
}

#[test]
#[ignore = "needs a GPU"]
fn the_gpu_of_this_machine_gives_the_metrics_of_a_roofline() {
    let (program, _) = installed().expect("ncu is installed");
    let set = ncu::metrics(&program, None, WANTED).unwrap();
    assert!(set.metrics().contains(&"gpu__time_duration.sum"), "{set:?}");
}
