//! Programs whose kernels are counted, by a double of CUPTI's range profiler.

use super::*;

/// The doubles of CUPTI and of the driver, and the program, compiled once.
fn counted() -> &'static [PathBuf; 3] {
    static FILES: OnceLock<[PathBuf; 3]> = OnceLock::new();
    FILES.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("counting");
        std::fs::create_dir_all(&place).expect("the folder is made");
        let files = ["libcupti_double.so", "libcuda_double.so", "program"].map(|name| place.join(name));
        compile(&files[0], &["cupti_double.c", "counting_double.c"], &["-shared", "-fPIC"]);
        compile(&files[1], &["cuda_double.c"], &["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]);
        compile(&files[2], &["counting_program.c"], &["-ldl"]);
        files
    })
}

/// A program that is counted.
fn counting(mode: &[&str]) -> Run {
    let [cupti, cuda, program] = counted();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(program);
    command.arg(recorder()).arg(cupti).arg(cuda).args(mode).env("PROFTOOL_RAW_DIR", folder.path());
    command.env("PROFTOOL_CUPTI_PATH", cupti).env_remove("RANK");
    command.env("PROFTOOL_CUPTI_METRICS", "gpu__time_duration.sum,dram__bytes.sum,lts__t_bytes.sum");
    Run { folder, command }
}

/// The names of the ranges, absent where the kernel is not known, and the value of the first metric of each.
fn ranges(trace: &Trace) -> (Vec<&str>, Vec<f64>) {
    let rows = trace.rows::<11>("crng");
    let names = rows.iter().map(|row| if row[3] == ABSENT { "?" } else { trace.text(row[3]) }).collect();
    let first = trace.rows::<3>("cval").into_iter().filter(|row| row[1] == 0);
    (names, first.map(|row| f64::from_bits(row[2].cast_unsigned())).collect())
}

fn notes(trace: &Trace) -> Vec<(&str, &str)> {
    trace.rows::<2>("note").iter().map(|[code, detail]| (trace.text(*code), trace.text(*detail))).collect()
}

#[test]
fn every_kernel_has_its_name_its_grid_and_the_values_of_all_passes() {
    let mut run = counting(&["plain", "5"]);
    let output = run.output();
    assert_eq!(
        (output.status.code(), output.stderr.len()),
        (Some(5), 0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let trace = run.trace();
    assert_eq!(trace.head["pass"], "cupti_counters");
    let kernels = ["_Z4gemmPf", "_Z4copyPf", "_Z4gemmPf", "_Z4copyPf", "_Z4gemmPf"];
    assert_eq!(ranges(&trace), (kernels.to_vec(), vec![1000.0, 2000.0, 3000.0, 4000.0, 5000.0]));
    let row = trace.rows::<11>("crng")[1];
    assert_eq!((&row[..3], &row[4..]), (&[1, 0, 1][..], &[4, 5, 6, 128, 2, 1, 0][..]));
    let defs: Vec<_> = trace.rows::<3>("cdef").iter().map(|row| (trace.text(row[1]), trace.text(row[2]))).collect();
    let expected = [("gpu__time_duration.sum", "ns"), ("dram__bytes.sum", "byte"), ("lts__t_bytes.sum", "byte")];
    assert_eq!(defs, expected);
    let last = *trace.rows::<3>("cval").last().expect("values");
    assert_eq!((last[0], last[1], f64::from_bits(last[2].cast_unsigned())), (4, 2, 5002.0));
    // Two passes for three metrics, 64 kernels at a time, no emptied caches with CUDA 12.
    let set = trace.rows::<6>("cset")[0];
    assert_eq!((set[0], set[1], trace.text(set[2]), &set[3..]), (1, 0, "DOUBLE1", &[2, 64, 0][..]));
    let device = trace.rows::<9>("devi")[0];
    assert_eq!((trace.text(device[1]), device[2], device[4], device[6]), ("Double H100", 9, 132, 1_980_000_000));
    assert_eq!(device[7], 0x0102_0304_0506_0708);
    assert!(trace.complete && trace.rows::<4>("clos").is_empty() && trace.rows::<17>("kern").is_empty());
}

#[test]
fn more_kernels_than_fit_are_fetched_in_parts_and_a_refused_size_is_halved() {
    let mut run = counting(&["plain", "100"]).with("PROFTOOL_CUPTI_RANGES", "16").with("DOUBLE_ROOM", "5");
    run.output();
    let trace = run.trace();
    assert_eq!((ranges(&trace).1.len(), trace.rows::<6>("cset")[0][4]), (100, 4));
    assert_eq!(trace.rows::<4>("clos"), Vec::<[i64; 4]>::new());
}

#[test]
fn whichever_way_kernels_are_counted_is_found_with_the_first() {
    let none = Vec::<[i64; 4]>::new();
    for (how, first, lost) in
        [("needed", 1000.0, none.clone()), ("refused", 1000.0, none), ("harmful", 2000.0, vec![[0, 0, 1, 0]])]
    {
        let mut run = counting(&["plain", "3"]).with("DOUBLE_SURROUND", how).with("DOUBLE_VERSION", "130500");
        run.output();
        let trace = run.trace();
        assert_eq!((ranges(&trace).1[0], trace.rows::<4>("clos")), (first, lost.clone()), "{how}");
        let counted = 3 - lost.len();
        assert_eq!((ranges(&trace).1.len(), trace.rows::<6>("cset")[0][5]), (counted, 1), "emptied caches since 13.4");
    }
}

#[test]
fn a_refused_permission_costs_one_line_and_is_noted_with_its_fix() {
    let mut run = counting(&["plain", "3"]).with("DOUBLE_REFUSE_CALL", "cuptiRangeProfilerEnable:35");
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(5), 1), "{said}");
    assert!(said.contains("no counters: cuptiRangeProfilerEnable") && said.contains("SYS_ADMIN"), "{said}");
    let trace = run.trace();
    assert_eq!(notes(&trace)[0].0, "no_permission");
    assert_eq!(trace.rows::<4>("clos").last(), Some(&[0, 0, 3, 0]));
    assert!(trace.complete && trace.rows::<9>("devi").len() == 1);
}

#[test]
fn an_attached_profiler_and_a_cupti_that_is_too_old_are_told_in_one_line() {
    let mut run = counting(&["plain"]).with("DOUBLE_REFUSE_CALL", "cuptiSubscribe:39");
    let said = String::from_utf8_lossy(&run.output().stderr).into_owned();
    assert!(said.lines().count() == 1 && said.contains("end the other profiler"), "{said}");
    let mut old = counting(&["plain"]).with("DOUBLE_VERSION", "23");
    let output = old.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(5), 1), "{said}");
    assert!(said.contains("version 23") && said.contains("12.6"), "{said}");
    assert!(run.files().is_empty() && old.files().is_empty());
}

#[test]
fn any_failing_function_is_named_and_the_program_goes_on() {
    for name in [
        "cuptiProfilerInitialize",
        "cuptiProfilerGetCounterAvailability",
        "cuptiDeviceGetChipName",
        "cuptiProfilerHostInitialize",
        "cuptiProfilerHostGetConfigImage",
        "cuptiProfilerHostGetNumOfPasses",
        "cuptiRangeProfilerGetCounterDataSize",
        "cuptiRangeProfilerCounterDataImageInitialize",
        "cuptiRangeProfilerSetConfig",
        "cuptiRangeProfilerStart",
        "cuptiRangeProfilerStop",
        "cuptiRangeProfilerDecodeData",
        "cuptiRangeProfilerGetCounterDataInfo",
        "cuptiProfilerHostEvaluateToGpuValues",
    ] {
        let mut run = counting(&["plain", "3"]).with("DOUBLE_REFUSE_CALL", &format!("{name}:999"));
        let output = run.output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{name}");
        assert!(said.contains(&format!("no counters: {name}: ")), "{name}: {said}");
        let trace = run.trace();
        assert!(notes(&trace)[0].1.starts_with(name) && trace.complete, "{name}");
    }
}

#[test]
fn metrics_that_the_chip_lacks_and_values_that_are_none_are_told() {
    let metrics = "no__such.sum,dram__bytes.sum,nan__x.sum";
    let mut run = counting(&["plain", "2"]).with("PROFTOOL_CUPTI_METRICS", metrics);
    run.output();
    let trace = run.trace();
    assert_eq!(notes(&trace), [("unknown_metrics", "DOUBLE1 does not count no__such.sum")]);
    assert_eq!((trace.rows::<3>("cval").len(), trace.rows::<4>("clos").last()), (2, Some(&[0, 0, 0, 2])));
    let mut run = counting(&["plain", "2"]).with("PROFTOOL_CUPTI_METRICS", "no__such.sum");
    let said = String::from_utf8_lossy(&run.output().stderr).into_owned();
    assert!(said.contains("counts none of the metrics"), "{said}");
}

#[test]
fn ranges_that_find_no_room_are_counted_and_those_that_do_have_no_certain_name() {
    let mut run = counting(&["plain", "9"]).with("PROFTOOL_CUPTI_RANGES", "4").with("DOUBLE_DROP", "3");
    run.output();
    let trace = run.trace();
    // The first alone, then three of four twice.
    assert_eq!(ranges(&trace).0, ["_Z4gemmPf", "?", "?", "?", "?", "?", "?"]);
    assert_eq!(trace.rows::<4>("clos").last(), Some(&[2, 6, 0, 0]));
}

#[test]
fn a_crash_keeps_what_was_fetched() {
    let mut run = counting(&["crash", "10"]).with("PROFTOOL_CUPTI_RANGES", "4");
    run.output();
    let trace = run.trace();
    assert_eq!((ranges(&trace).0.len(), trace.complete), (9, false));
}

#[test]
fn a_graph_is_a_range_for_each_of_its_kernels_and_never_takes_the_names_of_others() {
    let mut run = counting(&["graph", "2"]);
    run.output();
    let trace = run.trace();
    assert_eq!(
        ranges(&trace),
        (
            vec!["_Z4gemmPf", "_Z4copyPf", "?", "?", "?", "_Z4gemmPf"],
            [1, 2, 3, 4, 5, 6].map(|n| f64::from(n) * 1000.0).to_vec()
        )
    );
    assert_eq!(trace.rows::<11>("crng").iter().map(|row| row[10]).collect::<Vec<_>>(), [0, 0, 1, 1, 1, 0]);
}

#[test]
fn a_capture_a_failed_launch_and_launches_at_once_leave_the_names_of_the_others_right() {
    let mut run = counting(&["capture", "2"]);
    run.output();
    assert_eq!(ranges(&run.trace()).0, ["_Z4gemmPf", "_Z4copyPf", "_Z4gemmPf"]);
    assert_eq!(run.trace().rows::<4>("clos").last(), Some(&[0, 0, 1, 0]));
    let mut run = counting(&["failing", "2"]);
    run.output();
    assert_eq!(ranges(&run.trace()).0, ["_Z4gemmPf", "_Z4copyPf", "_Z4gemmPf"]);
    let mut run = counting(&["at_once", "1"]).with("PROFTOOL_CUPTI_RANGES", "2");
    run.output();
    assert_eq!(ranges(&run.trace()).0, ["_Z4gemmPf", "?", "?", "_Z4gemmPf"]);
}

#[test]
fn a_context_that_ends_is_fetched_and_another_is_counted_on_its_device() {
    let mut run = counting(&["contexts", "3"]);
    run.output();
    let trace = run.trace();
    let devices: Vec<_> = trace.rows::<11>("crng").iter().map(|row| (row[1], row[2])).collect();
    assert_eq!(devices, [(0, 1), (0, 1), (0, 1), (1, 2)]);
    assert_eq!(trace.rows::<2>("cont"), [[1, 0], [2, 1]]);
}

#[test]
fn only_the_wanted_kernels_are_counted() {
    let mut run = counting(&["plain", "10"]).with("PROFTOOL_CUPTI_SKIP", "3").with("PROFTOOL_CUPTI_KERNELS", "4");
    run.output();
    let trace = run.trace();
    assert_eq!(ranges(&trace).1, [4000.0, 5000.0, 6000.0, 7000.0]);
    assert!(trace.complete && trace.rows::<4>("clos").is_empty());
}

#[test]
fn a_driver_that_has_ended_is_not_asked_any_more() {
    let mut run = counting(&["late", "3"]);
    assert_eq!(run.output().status.code(), Some(5));
    let trace = run.trace();
    assert_eq!(
        (ranges(&trace).0.len(), trace.rows::<4>("clos").last(), trace.complete),
        (1, Some(&[0, 0, 2, 0]), true)
    );
}

#[test]
fn an_end_that_hangs_holds_up_nothing_that_the_program_still_calls() {
    let mut run = counting(&["stuck", "3"]).with("DOUBLE_HANG", "2").with("PROFTOOL_CUPTI_EXIT_MS", "300");
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.contains("last counts in time")), (Some(5), true), "{said}");
    assert_eq!((ranges(&run.trace()).0.len(), run.trace().complete), (1, false));
}

#[test]
fn launches_that_are_under_way_at_the_end_are_told_as_not_counted() {
    let mut run = counting(&["open", "3"]);
    run.output();
    let trace = run.trace();
    assert_eq!((ranges(&trace).0.len(), trace.rows::<4>("clos").last()), (1, Some(&[0, 0, 3, 0])));
}

#[test]
fn nothing_is_fetched_while_any_capture_is_open() {
    let mut run = counting(&["captures", "1"]).with("PROFTOOL_CUPTI_RANGES", "4");
    let output = run.output();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ranges(&run.trace()).0, ["_Z4gemmPf", "before", "_Z4gemmPf"]);
}

#[test]
fn a_full_disk_costs_one_line_and_keeps_what_was_written() {
    use std::os::unix::process::CommandExt as _;
    let mut run = counting(&["plain", "60"]).with("PROFTOOL_CUPTI_RANGES", "4");
    let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: both calls are allowed between fork and exec; without the signal, a write past the limit fails.
    unsafe {
        run.command.pre_exec(move || {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
            Ok(())
        });
    }
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(5), 1), "{said}");
    assert!(said.contains("counting stops") && said.contains("disk"), "{said}");
    assert_eq!((ranges(&run.trace()).0, run.trace().complete), (vec!["_Z4gemmPf"], false));
}
