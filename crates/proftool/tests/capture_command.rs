//! `proftool capture -- COMMAND` with real processes: how it ends, what it keeps, and that nothing of it stays behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A folder of its own to run the binary in.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_proftool"), arguments)
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", cache).stdin(Stdio::null());
        for name in ["RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"] {
            command.env_remove(name);
        }
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    /// Captures a shell script, options before it.
    fn capture(&self, options: &[&str], script: &str) -> Output {
        self.output(&[&["capture"], options, &["--", "sh", "-c", script]].concat())
    }

    fn artifacts(&self) -> Vec<PathBuf> {
        folders(&self.path().join("artifacts"))
    }

    /// The manifest of the one artifact.
    fn manifest(&self) -> Value {
        let [artifact] = &self.artifacts()[..] else { panic!("not one artifact: {:?}", self.artifacts()) };
        manifest(artifact)
    }

    fn raw(&self, pass: &str, file: &str) -> String {
        let path = self.artifacts()[0].join("raw").join(pass).join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether each process whose number the script wrote has ended.
    fn all_gone(&self) -> bool {
        let text = std::fs::read_to_string(self.path().join("pids")).expect("the script wrote its numbers");
        text.split_whitespace().all(|pid| !alive(pid))
    }
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The details of the rows of `issues`.
fn issues(place: &Place) -> String {
    use proftool_trace::{frame, tables};
    let rows = frame::read(&tables::ISSUES, &place.artifacts()[0].join("tables")).expect("the table can be read");
    frame::texts(&rows, "detail").expect("a column").into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn wait_for(file: &Path) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !file.exists() {
        assert!(Instant::now() < deadline, "{} never came", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A trace of the built-in recorder, which an importer reads.
fn a_trace() -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../artifacts/golden");
    let mut found: Vec<PathBuf> = folders(&golden).iter().map(|one| one.join("raw/host/host.trace")).collect();
    found.retain(|path| path.is_file());
    found.swap_remove(0)
}

#[test]
fn a_command_gives_an_artifact_with_its_output_and_what_it_used() {
    let place = Place::new();
    let ran = place.capture(&["--profile", "none"], "echo data; echo progress >&2");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert_eq!(String::from_utf8_lossy(&ran.stdout).lines().count(), 1, "stdout names the artifact and nothing else");
    assert!(err(&ran).contains("data\n") && err(&ran).contains("progress\n"), "{}", err(&ran));
    let manifest = place.manifest();
    assert_eq!((&manifest["target"]["name"], &manifest["results"]["exit_code"]), (&"sh".into(), &0.into()));
    let launch = &manifest["command"]["launches"][0];
    assert_eq!((&launch["pass"], &launch["exit_code"], &launch["signal"]), (&"none".into(), &0.into(), &Value::Null));
    assert!(launch["wall_ns"].as_i64() > Some(0), "{launch}");
    assert_eq!(
        (place.raw("none", "stdout.txt"), place.raw("none", "stderr.txt")),
        ("data\n".into(), "progress\n".into())
    );
    assert!(issues(&place).contains("no profiler took part"), "{}", issues(&place));
    let report = place.output(&["report"]);
    assert!(report.status.success(), "{}", err(&report));
}

#[test]
fn a_command_that_fails_is_code_3_or_its_own_and_still_an_artifact() {
    for (options, code) in [(&[][..], 3), (&["--forward-exit-code"][..], 7)] {
        let place = Place::new();
        let ran = place.capture(&[&["--profile", "none"], options].concat(), "exit 7");
        assert_eq!(ran.status.code(), Some(code), "{}", err(&ran));
        assert!(err(&ran).contains("exit code 7"), "{}", err(&ran));
        assert_eq!(place.manifest()["results"]["exit_code"], 7);
    }
}

#[test]
fn a_crash_is_told_by_its_signal() {
    let place = Place::new();
    let ran = place.capture(&["--profile", "none", "--forward-exit-code"], "kill -SEGV $$");
    assert_eq!(ran.status.code(), Some(139));
    assert!(err(&ran).contains("SIGSEGV"), "{}", err(&ran));
    assert_eq!(place.manifest()["command"]["launches"][0]["signal"], 11);
    assert!(issues(&place).contains("SIGSEGV"));
}

#[test]
fn a_command_that_hangs_is_ended_with_its_children_and_what_there_is_is_kept() {
    let place = Place::new();
    let options = ["--profile", "none", "--timeout", "3s", "--grace", "300ms"];
    let ran = place.capture(&options, "echo started; sleep 600 & echo $! $$ > pids; trap '' INT; wait; sleep 600");
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    assert!(err(&ran).contains("did not end within 3 s"), "{}", err(&ran));
    assert!(place.all_gone());
    assert_eq!(place.raw("none", "stdout.txt"), "started\n");
    assert_eq!(place.manifest()["command"]["launches"][0]["stopped"], "timeout");
}

#[test]
fn a_child_that_cleans_its_environment_and_leaves_its_session_is_still_ended() {
    let place = Place::new();
    let script = "env -i PATH=\"$PATH\" setsid sh -c 'echo $$ > pids; exec sleep 600' & while [ ! -s pids ]; do sleep 0.01; done";
    let ran = place.capture(&["--profile", "none"], script);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    assert!(place.all_gone());
    assert_eq!(place.manifest()["command"]["launches"][0]["left_behind"], 1);
}

fn start(place: &Place, script: &str) -> Child {
    // Whoever started the tests may have ignored these signals, which proftool would inherit.
    let default = ["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_proftool")];
    let capture = ["capture", "--profile", "none", "--", "sh", "-c", script];
    let mut command = place.program("env", &[&default[..], &capture].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    wait_for(&place.path().join("pids"));
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

#[test]
fn the_signal_that_proftool_gets_is_the_one_that_the_command_gets() {
    for name in ["INT", "TERM", "HUP"] {
        let place = Place::new();
        let script =
            format!("trap 'echo {name} > got; exit 0' {name}; echo $$ > pids; while true; do sleep 0.02; done");
        let child = start(&place, &script);
        signal(&child, name);
        let ran = child.wait_with_output().expect("the binary ends");
        assert_eq!(ran.status.code(), Some(130), "{name}: {}", err(&ran));
        assert_eq!(std::fs::read_to_string(place.path().join("got")).expect("the command got it").trim(), name);
        assert!(place.all_gone());
        let left = place.artifacts();
        assert!(left.len() == 1 && left[0].to_string_lossy().ends_with(".partial"), "{left:?}");
    }
}

#[test]
fn under_nohup_a_hangup_ends_neither_proftool_nor_the_command() {
    let place = Place::new();
    let script = "touch started; while [ ! -e go ]; do sleep 0.02; done";
    let nohup = "trap '' HUP; exec \"$0\" capture --profile none -- sh -c \"$1\"";
    let mut command = place.program("sh", &["-c", nohup, env!("CARGO_BIN_EXE_proftool"), script]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    wait_for(&place.path().join("started"));
    for _ in 0..2 {
        let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }
    std::fs::write(place.path().join("go"), "").expect("written");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(place.manifest()["results"]["exit_code"], 0);
}

#[test]
fn a_killed_proftool_takes_the_command_with_it() {
    let place = Place::new();
    let mut child = start(&place, "echo $$ > pids; exec sleep 600");
    child.kill().expect("killed");
    child.wait().expect("ended");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !place.all_gone() {
        assert!(Instant::now() < deadline, "the command runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn secrets_are_not_in_the_manifest() {
    let place = Place::new();
    let arguments = ["capture", "--profile", "none", "--", "sh", "-c", "true", "--api-key", "hunter2-argument"];
    let mut command = place.command(&arguments);
    command.env("HF_TOKEN", "hunter2-variable").env("PROXY", "http://u:hunter2@host:1").env("MAX_TOKENS", "64");
    let ran = command.output().expect("the binary starts");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let text = std::fs::read_to_string(place.artifacts()[0].join("manifest.json")).expect("a manifest");
    assert!(!text.contains("hunter2"), "{text}");
    let manifest = place.manifest();
    assert_eq!(manifest["command"]["environment"]["MAX_TOKENS"], "64");
    let removed = manifest["command"]["environment_removed"].as_array().expect("a list").clone();
    assert!(removed.contains(&"HF_TOKEN".into()) && removed.contains(&"PROXY".into()), "{removed:?}");
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_written() {
    let place = Place::new();
    let missing = place.output(&["capture", "--", "proftool-no-such-program"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(err(&missing).contains("not in PATH"), "{}", err(&missing));
    // An empty PATH has no tool; the program is given with its path.
    let mut command = place.command(&["capture", "--profile", "roofline", "--", "/bin/sh", "-c", "true"]);
    let no_tool = command.env("PATH", "").output().expect("the binary starts");
    assert!(matches!(no_tool.status.code(), Some(3)), "{}", err(&no_tool));
    assert!(
        err(&no_tool).contains("--profile roofline needs ncu") && err(&no_tool).contains("hint"),
        "{}",
        err(&no_tool)
    );
    for bad in [
        &["capture"][..],
        &["capture", "--target", "synthetic", "--", "true"],
        &["capture", "--iterations", "2", "--", "true"],
        &["capture", "--target", "synthetic", "--timeout", "5s"],
        &["capture", "--timeout", "soon", "--", "true"],
    ] {
        assert_eq!(place.output(bad).status.code(), Some(2), "{bad:?}");
    }
    assert!(place.artifacts().is_empty());
}

#[test]
fn a_profile_that_the_command_writes_itself_is_imported_with_its_pass() {
    let place = Place::new();
    let script = format!("cp '{}' \"$PROFTOOL_RAW_DIR/own.trace\"", a_trace().display());
    let ran = place.capture(&["--profile", "none"], &script);
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let manifest = place.manifest();
    let tables = manifest["tables"].as_array().expect("a list");
    let rows = |name: &str| tables.iter().find(|table| table["name"] == name).and_then(|table| table["rows"].as_i64());
    assert!(rows("activities") > Some(0), "{tables:?}");
    assert_eq!(manifest["passes"][0]["name"], "none");
    let idle = place.output(&["analyze", "--metric", "idle", "--format", "json"]);
    assert!(idle.status.success(), "{}", err(&idle));
}

#[test]
fn four_ranks_capture_without_talking_and_import_joins_them() {
    let place = Place::new();
    // What PyTorch's profiler writes, as little of it as can be.
    let script = r#"printf '%s' "$TRACE" > "$PROFTOOL_RAW_DIR/rank$RANK.json""#;
    let trace = r#"{"schemaVersion":1,"deviceProperties":[],"traceEvents":[{"ph":"X","cat":"kernel","name":"k","pid":0,
        "tid":7,"ts":1,"dur":1,"args":{"device":0,"stream":7,"correlation":1}}]}"#;
    let ranks: Vec<Child> = (0..4)
        .map(|rank: i32| {
            let mut command = place.command(&["capture", "--profile", "none", "--", "sh", "-c", script]);
            command.env("TRACE", trace).envs([
                ("RANK", rank.to_string()),
                ("WORLD_SIZE", "4".into()),
                ("LOCAL_RANK", rank.to_string()),
            ]);
            command.envs([("MASTER_ADDR", "node.example"), ("MASTER_PORT", "29500"), ("TORCHELASTIC_RUN_ID", "none")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
        })
        .collect();
    for child in ranks {
        let ran = child.wait_with_output().expect("the binary ends");
        assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    }
    let [job] = &place.artifacts()[..] else { panic!("not one job: {:?}", place.artifacts()) };
    let parts = folders(job);
    assert_eq!(parts.len(), 4, "{parts:?}");
    for (rank, part) in parts.iter().enumerate() {
        assert!(part.file_name().expect("a name").to_string_lossy().starts_with(&format!("rank{rank}-")), "{part:?}");
        let told = &manifest(part)["command"]["rank"];
        assert_eq!((&told["rank"], &told["world_size"]), (&rank.into(), &4.into()));
    }
    let joined = place.output(&["import", &job.to_string_lossy(), "--artifacts", "joined"]);
    assert!(joined.status.success(), "{}", err(&joined));
    let whole = manifest(&folders(&place.path().join("joined"))[0]);
    let mut ranks: Vec<i64> = whole["passes"][0]["ranks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|rank| rank["rank"].as_i64())
        .collect();
    ranks.sort_unstable();
    assert_eq!((whole["passes"].as_array().map(Vec::len), ranks), (Some(1), vec![0, 1, 2, 3]));
}

#[test]
fn doctor_gives_every_line_a_state() {
    let place = Place::new();
    let ran = place.output(&["doctor", "--format", "json"]);
    assert!(ran.status.success(), "{}", err(&ran));
    let rows: Vec<Value> = serde_json::from_slice(&ran.stdout).expect("rows");
    for row in &rows {
        assert!(["ok", "degraded", "missing"].iter().any(|state| row["state"] == *state), "{row}");
    }
    for what in ["processor", "nvidia driver", "CUDA driver", "CUPTI", "host", "cpu counters", "clock source", "disk"] {
        assert!(rows.iter().any(|row| row["what"] == what), "no line about {what}");
    }
}
