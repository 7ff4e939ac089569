//! Programs that are recorded: they end, crash, are killed, fork; CUPTI is a double that a C compiler makes.

#[path = "recording/counting.rs"]
mod counting;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const ABSENT: i64 = i64::MIN;

/// The recorder, which lies beside the tests.
fn recorder() -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let folders = [test.parent(), test.parent().and_then(Path::parent)];
    let files = folders.iter().flatten().map(|folder| folder.join("libproftool_inject.so"));
    files.into_iter().find(|file| file.exists()).expect("libproftool_inject.so was built with its tests")
}

/// The double and the program, compiled once.
fn compiled() -> &'static (PathBuf, PathBuf) {
    static FILES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    FILES.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("inject");
        std::fs::create_dir_all(&place).expect("the folder is made");
        let (double, program) = (place.join("libcupti_double.so"), place.join("program"));
        compile(&double, &["cupti_double.c"], &["-shared", "-fPIC"]);
        compile(&program, &["program.c"], &["-ldl"]);
        (double, program)
    })
}

fn compile(output: &Path, sources: &[&str], options: &[&str]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let sources = sources.iter().map(|source| tests.join(source));
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-pthread", "-o"]).arg(output).args(sources).args(options);
    assert!(command.status().expect("cc is installed").success());
}

/// A program in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
    command: Command,
}

impl Run {
    fn new(mode: &[&str]) -> Self {
        let (double, program) = compiled();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.arg(recorder()).arg(double).args(mode).env("PROFTOOL_RAW_DIR", folder.path());
        command.env("PROFTOOL_CUPTI_PATH", double).env("PROFTOOL_CUPTI_FLUSH_MS", "50").env_remove("RANK");
        Self { folder, command }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn output(&mut self) -> Output {
        self.command.output().expect("the program runs")
    }

    /// The files, sorted by name.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder is readable");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        files
    }

    fn trace(&self) -> Trace {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        Trace::read(&files[0])
    }
}

/// A file's blocks, its rows joined by tag.
#[derive(Default)]
struct Trace {
    head: serde_json::Value,
    strings: Vec<String>,
    rows: HashMap<String, Vec<i64>>,
    complete: bool,
}

impl Trace {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the file is readable");
        assert_eq!(&bytes[..18], b"proftool-stream\0\x01\0");
        let mut trace = Self::default();
        let mut rest = &bytes[18..];
        while !rest.is_empty() {
            let end = 12 + word(rest, 4) as usize;
            assert_eq!(word(rest, 8), crc32fast::hash(&[&rest[..4], &rest[12..end]].concat()));
            trace.add(&String::from_utf8_lossy(&rest[..4]), &rest[12..end]);
            rest = &rest[end..];
        }
        trace
    }

    fn add(&mut self, tag: &str, mut payload: &[u8]) {
        match tag {
            "head" => self.head = serde_json::from_slice(payload).expect("JSON"),
            "tail" => self.complete = true,
            "strs" => {
                while !payload.is_empty() {
                    let end = 4 + word(payload, 0) as usize;
                    self.strings.push(String::from_utf8_lossy(&payload[4..end]).into_owned());
                    payload = &payload[end..];
                }
            }
            _ => {
                let fields = payload.chunks(8).map(|field| i64::from_le_bytes(field.try_into().expect("eight bytes")));
                self.rows.entry(tag.to_owned()).or_default().extend(fields);
            }
        }
    }

    fn rows<const N: usize>(&self, tag: &str) -> Vec<[i64; N]> {
        let fields = self.rows.get(tag).map_or(&[][..], Vec::as_slice);
        assert_eq!(fields.len() % N, 0, "{tag}");
        fields.chunks(N).map(|row| row.try_into().expect("a whole row")).collect()
    }

    fn text(&self, number: i64) -> &str {
        &self.strings[usize::try_from(number).expect("a string")]
    }

    /// How far CUPTI's clock is ahead of the monotonic one, by the first pair.
    fn ahead(&self) -> i64 {
        let [cupti, monotonic] = self.rows("clok")[0];
        cupti - monotonic
    }

    fn kernels(&self, name: &str) -> usize {
        self.rows::<17>("kern").iter().filter(|row| self.text(row[6]) == name).count()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn base(stdout: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(stdout);
    text.lines().find_map(|line| line.strip_prefix("base ")?.parse().ok()).expect("the program says when it began")
}

/// The scripted records are there, at their times on the monotonic clock.
fn holds_the_script(trace: &Trace, base: i64) {
    let near = |time: i64, wanted: i64| {
        let off = time - trace.ahead() - base - wanted;
        assert!(off.abs() < 50_000, "{wanted} ns is off by {off} ns");
    };
    let kernel = trace.rows::<17>("kern")[0];
    assert_eq!((kernel[0..4].to_vec(), trace.text(kernel[6])), (vec![11, 1, 2, 7], "_Z4gemmPf"));
    assert_eq!(kernel[7..], [4, 5, 6, 128, 2, 1, 40, 1024, ABSENT, ABSENT]);
    near(kernel[4], 1000);
    assert_eq!(kernel[5] - kernel[4], 2000);
    let copy = trace.rows::<14>("copy")[0];
    assert_eq!((copy[0], copy[5] - copy[4], &copy[6..10]), (12, 500, &[4096, 1, 2, 3][..]));
    let set = trace.rows::<11>("mset")[0];
    assert_eq!((set[0], &set[6..]), (13, &[512, 255, 3, 5, 99][..]));
    let sync = trace.rows::<7>("sync")[0];
    assert_eq!((&sync[..3], sync[4] - sync[3], &sync[5..]), (&[14, 2, 7][..], 1000, &[3, ABSENT][..]));
    let call = trace.rows::<8>("call")[0];
    assert_eq!((call[0], call[1], trace.text(call[6])), (0, 11, "cudaLaunchKernel_v7000"));
    near(call[4], 200);
    let markers = trace.rows::<7>("mark");
    assert_eq!((markers[0][1], markers[1][1], markers[1][5]), (2, 4, ABSENT));
    assert_eq!((trace.text(markers[0][5]), trace.text(markers[0][6])), ("step", "vllm"));
    assert_eq!(markers[1][2] - markers[0][2], 4900);
    let device = trace.rows::<9>("devi")[0];
    assert_eq!((trace.text(device[1]), device[2], device[4], device[6]), ("Double H100", 9, 132, 1_980_000_000));
    assert_eq!(device[7], 0x0102_0304_0506_0708);
    assert_eq!(trace.rows::<3>("strm"), [[2, 7, -3]]);
}

#[test]
fn a_program_that_ends_is_recorded_whole_and_keeps_its_exit_code() {
    let mut run = Run::new(&["end"]).with("OMPI_COMM_WORLD_RANK", "3");
    let output = run.output();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(5), ""));
    let trace = run.trace();
    holds_the_script(&trace, base(&output.stdout));
    assert!(trace.complete && trace.rows::<4>("lost").is_empty());
    assert_eq!((trace.head["rank"].as_i64(), trace.head["cupti_version"].as_i64()), (Some(3), Some(26)));
    let name = run.files()[0].file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(name, format!("rank3.pid{}.cupti.trace", trace.head["process"]));
}

#[test]
fn a_program_that_crashes_has_recorded_what_came_before() {
    let mut run = Run::new(&["crash"]);
    let output = run.output();
    assert_eq!(output.status.code(), None);
    let trace = run.trace();
    holds_the_script(&trace, base(&output.stdout));
    assert!(!trace.complete);
}

#[test]
fn a_program_that_is_killed_has_recorded_what_came_before() {
    use std::io::{BufRead, BufReader};
    let mut run = Run::new(&["wait"]);
    let mut child = run.command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    while !said.contains("ready") && lines.read_line(&mut said).expect("a line") > 0 {}
    child.kill().expect("the program is killed");
    child.wait().expect("the program is gone");
    holds_the_script(&run.trace(), base(said.as_bytes()));
}

#[test]
fn without_cupti_the_program_runs_and_one_line_says_why_nothing_is_recorded() {
    let mut run = Run::new(&["nothing"]).with("PROFTOOL_CUPTI_PATH", "/nowhere/libcupti.so");
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(7), 1));
    assert!(said.contains("CUPTI was not found") && said.contains("PROFTOOL_CUPTI_PATH"), "{said}");
    assert!(run.files().is_empty());
}

#[test]
fn a_cupti_of_an_unknown_major_version_is_refused_and_a_newer_minor_one_is_read() {
    let mut run = Run::new(&["nothing"]).with("DOUBLE_VERSION", "140000");
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(7), 1));
    assert!(said.contains("version 140000, newer than"), "{said}");
    let mut run = Run::new(&["end"]).with("DOUBLE_VERSION", "130900");
    let output = run.output();
    let trace = run.trace();
    holds_the_script(&trace, base(&output.stdout));
    assert!(trace.head["cupti_version"].as_i64() > trace.head["newest_known_version"].as_i64());
}

#[test]
fn many_buffers_lose_no_record() {
    let mut run = Run::new(&["kernels", "50000"]).with("PROFTOOL_CUPTI_BUFFER_KIB", "64");
    let output = run.output();
    let trace = run.trace();
    holds_the_script(&trace, base(&output.stdout));
    assert_eq!((trace.kernels("many"), trace.rows::<4>("lost").len()), (50_000, 0));
}

#[test]
fn when_all_buffers_are_taken_the_program_goes_on_and_what_is_lost_is_counted() {
    let run = Run::new(&["kernels", "1000"]).with("DOUBLE_HOLD", "1");
    let mut run = run.with("PROFTOOL_CUPTI_BUFFERS", "2").with("PROFTOOL_CUPTI_BUFFER_KIB", "16");
    let output = run.output();
    assert_eq!(output.status.code(), Some(5));
    let trace = run.trace();
    let lost = *trace.rows::<4>("lost").last().expect("losses are counted");
    let kept = trace.rows::<17>("kern").len() + 8;
    assert_eq!((kept, lost[0], lost[1]), (2 * 64, 1009 - 2 * 64, 1009 - 2 * 64));
    assert!(trace.complete);
}

#[test]
fn an_unknown_kind_is_skipped_and_a_damaged_rest_ends_its_buffer() {
    let mut run = Run::new(&["unknown"]);
    run.output();
    let trace = run.trace();
    assert_eq!(trace.kernels("after"), 1);
    assert_eq!(trace.rows::<4>("lost").last(), Some(&[0, 0, 1, 1]));
}

#[test]
fn a_kernel_without_times_is_kept_without_them() {
    let mut run = Run::new(&["untimed"]);
    run.output();
    let trace = run.trace();
    let rows = trace.rows::<17>("kern");
    assert_eq!((trace.text(rows[1][6]), rows[1][4], rows[1][5]), ("untimed", ABSENT, ABSENT));
}

#[test]
fn a_forked_child_gets_a_file_of_its_own_and_only_when_it_records() {
    let mut run = Run::new(&["fork"]);
    run.output();
    let traces: Vec<_> = run.files().iter().map(|file| Trace::read(file)).collect();
    let of_the_child = |trace: &Trace| trace.kernels("of_the_child");
    assert_eq!(traces.iter().map(of_the_child).collect::<Vec<_>>().iter().sum::<usize>(), 1);
    assert_eq!((traces.len(), traces.iter().map(|trace| trace.kernels("_Z4gemmPf")).sum::<usize>()), (2, 1));
    let mut run = Run::new(&["idle_fork"]);
    assert_eq!(run.output().status.code(), Some(0));
    holds_the_script(&run.trace(), run.trace().rows::<7>("mark")[0][2] - run.trace().ahead() - 100);
}

#[test]
fn an_end_that_hangs_in_cupti_is_waited_for_only_so_long() {
    let run = Run::new(&["end"]).with("DOUBLE_HANG", "1").with("PROFTOOL_CUPTI_EXIT_MS", "200");
    let mut run = run.with("PROFTOOL_CUPTI_FLUSH_MS", "10000");
    let start = Instant::now();
    let output = run.output();
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not hand back its last records"));
    assert!(!run.trace().complete);
}

#[test]
fn a_kind_that_cannot_be_enabled_is_named_and_without_kernels_nothing_is_recorded() {
    let mut run = Run::new(&["end"]).with("DOUBLE_REFUSE", "12");
    let output = run.output();
    assert!(String::from_utf8_lossy(&output.stderr).contains("kind 12: CUPTI_ERROR_NOT_COMPATIBLE"));
    holds_the_script(&run.trace(), base(&output.stdout));
    let mut run = Run::new(&["nothing"]).with("DOUBLE_REFUSE", "10");
    let output = run.output();
    assert!(run.files().is_empty());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("does not record kernels") && said.contains("hint"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_costs_one_line() {
    let mut run = Run::new(&["nothing"]).with("PROFTOOL_RAW_DIR", "/proc/nowhere");
    let output = run.output();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(7), 1));
    assert!(said.contains("/proc/nowhere/rank0.pid"), "{said}");
}
