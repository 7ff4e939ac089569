//! The sampler of NVML against a small C library with scripted values (`nvml_double.c`), which is compiled here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use proftool_capture::profilers::nvml::{FILE, Lane, Options, Sampler, Summary};
use serde_json::Value;

/// Compiles the double with these definitions; `None`, and a line that CI looks for, where there is no C compiler.
fn double(folder: &Path, definitions: &[&str]) -> Option<PathBuf> {
    let library = folder.join("libnvml_double.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nvml_double.c");
    let flags = definitions.iter().map(|definition| format!("-D{definition}"));
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).args(flags).arg(source);
    let Ok(status) = command.status() else {
        // Not a print macro: the test harness hides those.
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: cc not found\n").unwrap();
        return None;
    };
    assert!(status.success());
    Some(library)
}

/// What a run left behind.
struct Run {
    summary: Summary,
    stopped_in: Duration,
    lines: Vec<Value>,
}

/// Samples a double with these definitions for so long, at the default period.
fn sample(definitions: &[&str], lasting: Duration) -> Option<Run> {
    sample_with(definitions, lasting, Options::default())
}

fn sample_with(definitions: &[&str], lasting: Duration, options: Options) -> Option<Run> {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { library: Some(double(folder.path(), definitions)?), ..options };
    let pass = folder.path().join("timeline");
    std::fs::create_dir(&pass).unwrap();
    let sampler = Sampler::start(&pass, &options).unwrap().unwrap();
    std::thread::sleep(lasting);
    let stopping = Instant::now();
    let summary = sampler.stop().unwrap();
    let stopped_in = stopping.elapsed();
    let text = std::fs::read_to_string(pass.join(FILE)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Some(Run { summary, stopped_in, lines })
}

impl Run {
    fn of_kind<'r>(&'r self, kind: &'r str) -> impl Iterator<Item = &'r Value> {
        self.lines.iter().filter_map(move |line| line.get(kind))
    }

    /// Monotonic time (the middle of the reading) and value of each sample of a device that holds it.
    fn series(&self, device: u64, name: &str) -> Vec<(i64, f64)> {
        let samples = self.of_kind("sample").filter(|sample| sample["device"] == device);
        let point = |sample: &Value| {
            let (begin, end) = (sample["begin_ns"].as_i64()?, sample["end_ns"].as_i64()?);
            assert!(end >= begin);
            Some((i64::midpoint(begin, end), sample["values"].get(name)?.as_f64()?))
        };
        samples.filter_map(point).collect()
    }

    fn lane(&self, device: u32, name: &str) -> &Lane {
        self.summary.lanes.iter().find(|lane| lane.device == device && lane.lane == name).unwrap()
    }

    fn notes(&self) -> Vec<(u64, String, String)> {
        let word = |note: &'_ Value, key| note[key].as_str().unwrap_or("").to_owned();
        self.of_kind("note")
            .map(|note| (note["device"].as_u64().unwrap(), word(note, "kind"), word(note, "reading")))
            .collect()
    }
}

#[test]
fn the_file_holds_what_the_device_said_in_base_units() {
    let lasting = Duration::from_millis(500);
    let Some(run) = sample(&["SWITCH_MS=200"], lasting) else { return };
    let head = &run.lines[0]["head"];
    assert_eq!((head["format"].as_str(), head["version"].as_u64()), (Some("proftool-nvml"), Some(1)));
    assert_eq!((head["pass"].as_str(), head["rank"].as_i64()), (Some("timeline"), Some(0)));
    assert_eq!((head["driver_version"].as_str(), head["nvml_version"].as_str()), (Some("550.0"), Some("12.550.0")));
    let device = &head["devices"][0];
    assert_eq!(device["name"], "NVIDIA H100 80GB HBM3");
    assert_eq!(device["uuid"], "GPU-00000000-0000-0000-0000-000000000000");
    assert_eq!((device["pci_bus_id"].as_str(), device["arch"].as_str()), (Some("00000000:01:00.0"), Some("sm_90")));
    assert_eq!((device["memory_bytes"].as_u64(), device["clock_hz"].as_u64()), (Some(80 << 30), Some(1_980_000_000)));
    assert_eq!(device["power_limit_w"], 700.0);
    let ends = |name: &str| {
        let series = run.series(0, name);
        (series.first().unwrap().1, series.last().unwrap().1)
    };
    assert_eq!(ends("power_w"), (200.0, 300.0));
    assert_eq!(ends("power_instant_w"), (201.0, 301.0));
    assert_eq!(ends("power_limit_w"), (700.0, 700.0));
    assert_eq!(ends("sm_clock_hz"), (1.2e9, 1.98e9));
    assert_eq!(ends("clocks_event_reasons"), (1.0, 4.0));
    assert_eq!((ends("gpu_utilization_ratio").0, ends("memory_utilization_ratio").0), (0.87, 0.25));
    let gib = f64::from(1 << 30);
    assert_eq!((ends("memory_used_bytes").0, ends("memory_total_bytes").0), (20.0 * gib, 80.0 * gib));
    assert_eq!(ends("temperature_c"), (61.0, 61.0));
    assert_eq!((ends("nvlink_sent_bytes").0, ends("nvlink_received_bytes").0), (4096.0 * 1024.0, 8192.0 * 1024.0));
    assert_eq!((ends("pcie_sent_bytes_per_s").0, ends("pcie_received_bytes_per_s").0), (1.5e6, 2.5e6));
    let unsupported = (0, "unsupported".to_owned(), "memory_clock_hz".to_owned());
    assert_eq!(run.notes(), [unsupported], "each is named once");
    let end = &run.lines.last().unwrap()["end"];
    assert!(end["monotonic_ns"].as_i64() > head["start_monotonic_ns"].as_i64());
    assert_eq!(end["lanes"].as_array().unwrap().len(), 2);
    // Twenty turns a second are due and ten are promised; those that a busy machine made it miss are told.
    let (samples, missed) = (run.series(0, "power_w").len() as u64, run.lane(0, "state").missed_periods);
    assert!(samples + missed >= 10, "{samples} samples in {lasting:?}, {missed} missed");
}

#[test]
fn energy_from_power_is_that_of_the_counter() {
    let (lasting, options) =
        (Duration::from_millis(200), Options { period: Duration::from_millis(5), ..Options::default() });
    let Some(run) = sample_with(&["SWITCH_MS=80"], lasting, options) else { return };
    let (power, energy) = (run.series(0, "power_w"), run.series(0, "energy_j"));
    assert_eq!((power.len(), power[0].1, power.last().unwrap().1), (energy.len(), 200.0, 300.0));
    let seconds = (power.last().unwrap().0 - power[0].0) as f64 / 1e9;
    assert!(seconds >= lasting.as_secs_f64(), "the first sample is taken before the target, the last after it");
    // As the tables have it: a value says what was true since the reading before.
    let integral: f64 = power.windows(2).map(|pair| pair[1].1 * (pair[1].0 - pair[0].0) as f64 / 1e9).sum();
    let counted = energy.last().unwrap().1 - energy[0].1;
    // The power changes once, by 100 W, somewhere in one interval; the counter is read at most half a turn from the
    // middle of its turn, at both ends, and counts millijoules.
    let longest = power.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap() as f64 / 1e9;
    let turns = run.of_kind("sample").filter(|sample| sample["values"].get("energy_j").is_some());
    let turn = turns.map(|sample| sample["end_ns"].as_i64().unwrap() - sample["begin_ns"].as_i64().unwrap()).max();
    let turn = turn.unwrap() as f64 / 1e9;
    let allowed = 100.0 * longest + 300.0 * turn + 0.002;
    assert!((integral - counted).abs() <= allowed, "{integral} J, {counted} J, {allowed} J");
    assert_eq!(run.lane(0, "state").ended, "stopped");
    assert_eq!(run.lane(0, "state").samples, power.len() as u64);
}

#[test]
fn a_device_that_is_lost_ends_alone() {
    let Some(run) = sample(&["DEVICES=2", "LOST_DEVICE=1"], Duration::from_millis(700)) else { return };
    assert_eq!(run.series(1, "power_w").len(), 5);
    assert!(run.series(0, "power_w").len() > 5);
    assert!(run.notes().contains(&(1, "lost".to_owned(), String::new())));
    assert_eq!((run.lane(1, "state").ended, run.lane(1, "pcie").ended), ("lost", "lost"));
    assert_eq!((run.lane(0, "state").ended, run.lane(0, "pcie").ended), ("stopped", "stopped"));
}

#[test]
fn stopping_does_not_wait_for_a_reading_that_hangs_and_missed_periods_are_told() {
    let Some(run) = sample(&["DEVICES=2", "HANG_DEVICE=0", "HANG_MS=60000"], Duration::from_millis(700)) else {
        return;
    };
    assert!(run.stopped_in < Duration::from_secs(30), "{:?}", run.stopped_in);
    let state = run.lane(0, "state");
    assert_eq!(state.ended, "detached");
    assert!(state.missed_periods >= 6, "{state:?}");
    assert_eq!(run.lane(1, "state").ended, "stopped");
    assert!(run.series(1, "power_w").len() > run.series(0, "power_w").len(), "the other device is not held up");
    assert!(run.lines.last().unwrap().get("end").is_some(), "nothing stands behind the end");
}

#[test]
fn a_library_without_a_function_gives_the_rest() {
    let Some(run) = sample(&["NO_NVLINK"], Duration::from_millis(100)) else { return };
    let unsupported: Vec<String> = run.notes().into_iter().map(|(_, _, reading)| reading).collect();
    assert_eq!(unsupported, ["power_instant_w", "memory_clock_hz", "nvlink_sent_bytes", "nvlink_received_bytes"]);
    assert!(!run.series(0, "power_w").is_empty());
}

#[test]
fn without_the_library_the_fix_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libnvidia-ml.so.1");
    let missing = Sampler::start(folder.path(), &Options { library: Some(library), ..Options::default() });
    let missing = missing.map(|_| ()).unwrap_err();
    assert!(missing.reason.ends_with("libnvidia-ml.so.1 was not found"), "{missing}");
    assert!(missing.fix.starts_with("install the NVIDIA driver"), "{missing}");
    assert!(!folder.path().join(FILE).exists(), "nothing is written");
}

#[test]
fn a_folder_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = double(folder.path(), &[]) else { return };
    let options = Options { library: Some(library), ..Options::default() };
    let missing = Sampler::start(&folder.path().join("absent"), &options).map(|_| ()).unwrap_err();
    assert!(missing.reason.contains("absent/nvml.jsonl"), "{missing}");
}

#[test]
fn the_ranks_of_a_job_share_the_devices_and_sample_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = double(folder.path(), &["DEVICES=2"]) else { return };
    let rank = |rank: i64, job: &str| {
        let pass = folder.path().join(format!("{job}-{rank}"));
        std::fs::create_dir(&pass).unwrap();
        let job = Some(format!("{job}-{}", std::process::id()));
        let options = Options { library: Some(library.clone()), rank, job, ..Options::default() };
        (Sampler::start(&pass, &options).unwrap(), pass.join(FILE))
    };
    let (first, file) = rank(0, "job");
    let (second, none) = rank(1, "job");
    assert!(second.is_none() && !none.exists(), "the first has them all");
    let (other, _) = rank(0, "another-job");
    assert_eq!(other.unwrap().stop().unwrap().lanes.len(), 4, "another job has its own");
    assert_eq!(first.unwrap().stop().unwrap().lanes.len(), 4);
    assert!(file.exists());
    let (third, _) = rank(2, "job");
    assert!(third.is_some(), "the devices are free again");
}

#[test]
#[ignore = "needs a GPU"]
fn a_real_device_gives_power_and_clocks_ten_times_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let sampler = Sampler::start(folder.path(), &Options::default()).unwrap().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let summary = sampler.stop().unwrap();
    let state = summary.lanes.iter().filter(|lane| lane.lane == "state");
    assert!(state.clone().count() > 0 && state.clone().all(|lane| lane.samples >= 20), "{summary:?}");
}
