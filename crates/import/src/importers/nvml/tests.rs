use proftool_trace::frame::{Tables, floats, ints, texts};
use proftool_trace::{sampled, tables};

use super::*;
use crate::driver::Imported;
use crate::fixture::import_bytes;

const HEAD: &str = r#"{"head":{"format":"proftool-nvml","version":1,"pass":"timeline","rank":2,"clock":"CLOCK_MONOTONIC","start_monotonic_ns":1000,"start_unix_ns":5000,"period_ns":50,"driver_version":"550.0","nvml_version":"12.550.0","devices":[{"device":0,"name":"NVIDIA H100 80GB HBM3","uuid":"GPU-1","pci_bus_id":"00000000:01:00.0","arch":"sm_90","memory_bytes":85899345920,"clock_hz":1980000000,"power_limit_w":700.0},{"device":1,"name":null,"uuid":null,"pci_bus_id":null,"arch":null,"memory_bytes":null,"clock_hz":null,"power_limit_w":null}]}}"#;
const END: &str = r#"{"end":{"monotonic_ns":9000,"unix_ns":13000,"lanes":[{"device":0,"lane":"state","samples":2,"missed_periods":3,"failed":0,"ended":"stopped"}]}}"#;

fn sample(device: i64, begin: i64, end: i64, values: &str) -> String {
    format!(r#"{{"sample":{{"device":{device},"begin_ns":{begin},"end_ns":{end},"values":{{{values}}}}}}}"#)
}

fn imported(lines: &[&str]) -> Result<(Imported, Tables), Error> {
    import_bytes("nvml.jsonl", (lines.join("\n") + "\n").as_bytes())
}

/// Code and count of each issue.
fn issues(tables: &Tables) -> Vec<(String, i64)> {
    let issues = tables.get(&tables::ISSUES);
    let codes = texts(issues, "code").unwrap().into_iter().flatten();
    codes.zip(ints(issues, "count").unwrap().into_iter().flatten()).collect()
}

/// Device, start, end and value of each sample of a metric.
fn series(tables: &Tables, metric: &str) -> Vec<(i64, i64, i64, f64)> {
    let (defs, samples) = (tables.get(&tables::COUNTER_DEFS), tables.get(&tables::SAMPLES));
    let at = texts(defs, "metric").unwrap().iter().position(|name| name.as_deref() == Some(metric)).unwrap();
    let def = ints(defs, "def").unwrap()[at];
    let all = |column| ints(samples, column).unwrap();
    let (devices, numbers, starts, ends) = (all("device"), all("def"), all("start_ns"), all("end_ns"));
    let values = floats(samples, "value").unwrap();
    let rows = (0..numbers.len()).filter(|row| numbers[*row] == def);
    rows.map(|row| (devices[row].unwrap(), starts[row].unwrap(), ends[row].unwrap(), values[row].unwrap())).collect()
}

#[test]
fn values_cover_the_time_since_the_one_before_on_the_monotonic_clock() {
    let lines = [
        HEAD,
        &sample(0, 2000, 2010, r#""energy_j":5000.5,"power_w":200.0,"clocks_event_reasons":4"#),
        &sample(1, 2500, 2500, r#""power_w":90.5"#),
        &sample(0, 3000, 3020, r#""energy_j":5001.0,"power_w":300.0,"clocks_event_reasons":0"#),
        END,
    ];
    let (imported, tables) = imported(&lines).unwrap();
    assert_eq!((imported.importer, imported.pass.as_str(), imported.rank), ("nvml", "timeline", 2));
    let session = &imported.session;
    assert_eq!((session.start_monotonic_ns, session.start_unix_ns), (1000, 5000));
    assert_eq!((session.clock.as_str(), session.time_simulated), ("CLOCK_MONOTONIC", false));
    let power = [(0, 1005, 1005, 200.0), (1, 1500, 1500, 90.5), (0, 1005, 2010, 300.0)];
    assert_eq!(series(&tables, sampled::POWER.name), power);
    assert_eq!(series(&tables, sampled::ENERGY.name), [(0, 1005, 1005, 5000.5), (0, 1005, 2010, 5001.0)]);
    assert_eq!(series(&tables, "nvml.throttle.sw_power_cap"), [(0, 1005, 1005, 1.0), (0, 1005, 2010, 0.0)]);
    assert_eq!(series(&tables, "nvml.throttle.gpu_idle"), [(0, 1005, 1005, 0.0), (0, 1005, 2010, 0.0)]);
    let defs = tables.get(&tables::COUNTER_DEFS);
    assert_eq!(defs.height(), 2 + sampled::REASONS.len());
    assert!(texts(defs, "tool_version").unwrap().iter().all(|version| version.as_deref() == Some("12.550.0")));
    assert!(!imported.lost);
    assert_eq!(issues(&tables).last(), Some(&("missed_periods".to_owned(), 3)));
}

#[test]
fn devices_are_described_as_probed() {
    let (_, tables) = imported(&[HEAD, &sample(0, 1, 2, r#""power_w":1.0"#), END]).unwrap();
    let devices = tables.get(&tables::DEVICES);
    let names = texts(devices, "name").unwrap();
    assert_eq!(names[0].as_deref(), Some("NVIDIA H100 80GB HBM3"));
    assert_eq!(names[1].as_deref(), Some("unknown CUDA device"));
    assert_eq!(texts(devices, "uuid").unwrap(), [Some("GPU-1".to_owned()), None]);
    assert_eq!(ints(devices, "clock_hz").unwrap(), [Some(1_980_000_000), None]);
}

#[test]
fn every_cut_keeps_the_whole_lines_and_says_so() {
    let lines = [HEAD, &sample(0, 2000, 2010, r#""power_w":200.0"#), &sample(0, 3000, 3010, r#""power_w":300.0"#), END];
    let text = lines.join("\n") + "\n";
    for length in 1..text.len() - 1 {
        match import_bytes("nvml.jsonl", &text.as_bytes()[..length]) {
            Ok((imported, tables)) => {
                assert!(imported.lost, "cut at {length}");
                let codes = issues(&tables);
                assert!(codes.iter().any(|(code, _)| code == "cut_short" || code == "no_end"), "cut at {length}");
            }
            Err(Error::Malformed { .. } | Error::NoRows { .. } | Error::UnknownFormat { .. }) => {
                assert!(length < HEAD.len() + lines[1].len() + 1, "cut at {length}");
            }
            Err(error) => panic!("cut at {length}: {error}"),
        }
    }
    assert!(!import_bytes("nvml.jsonl", text.as_bytes()).unwrap().0.lost);
}

#[test]
fn what_went_wrong_while_sampling_is_told() {
    let note = |kind, reading| {
        format!(r#"{{"note":{{"device":1,"at_ns":7,"kind":"{kind}","reading":{reading},"reason":"because"}}}}"#)
    };
    let end = END.replace(r#""failed":0,"ended":"stopped""#, r#""failed":2,"ended":"detached""#);
    let lines = [
        HEAD,
        &note("unsupported", r#""memory_clock_hz""#),
        &note("unsupported", r#""energy_j""#),
        &note("failed", r#""power_w""#),
        &sample(0, 1, 2, r#""power_w":1.0,"fan_rpm":900"#),
        &note("lost", "null"),
        &note("lost", "null"),
        &end,
    ];
    let (imported, tables) = imported(&lines).unwrap();
    let told: Vec<(String, i64)> = issues(&tables).into_iter().filter(|(code, _)| code != "unknown_hardware").collect();
    let expected = [
        ("unsupported_reading", 2),
        ("failed_reading", 1),
        ("unknown_metric", 1),
        ("device_lost", 1),
        ("missed_periods", 3),
        ("failed_attempts", 2),
        ("detached_reading", 1),
    ];
    assert_eq!(told, expected.map(|(code, count)| (code.to_owned(), count)));
    assert!(imported.lost);
}

#[test]
fn one_bad_line_in_a_hundred_is_left_out_and_more_are_too_many() {
    let good: Vec<String> = (0..150).map(|at| sample(0, at * 10, at * 10 + 1, r#""power_w":1.0"#)).collect();
    for bad in [
        "what",
        "{}",
        "[1]",
        HEAD,
        r#"{"sample":{"device":0}}"#,
        r#"{"sample":{"device":7,"begin_ns":1,"end_ns":2,"values":{"power_w":1.0}}}"#,
        r#"{"sample":{"device":0,"begin_ns":2,"end_ns":1,"values":{"power_w":1.0}}}"#,
        r#"{"sample":{"device":0,"begin_ns":9223372036854775807,"end_ns":9223372036854775807,"values":{"power_w":1.0}}}"#,
        r#"{"sample":{"device":0,"begin_ns":-5000,"end_ns":-5000,"values":{"power_w":1.0}}}"#,
        r#"{"sample":{"device":0,"begin_ns":1,"end_ns":2,"values":{"power_w":1e999}}}"#,
    ] {
        let lines: Vec<&str> =
            [HEAD].into_iter().chain(good.iter().map(String::as_str)).chain([bad, &good[149], END]).collect();
        let (one, tables) = imported(&lines).unwrap();
        assert!(one.lost, "{bad}");
        assert_eq!(series(&tables, "nvml.power_w").len(), 151, "{bad}");
        let few: Vec<&str> =
            [HEAD].into_iter().chain(good[..5].iter().map(String::as_str)).chain([bad, &good[149], END]).collect();
        let error = imported(&few).unwrap_err().to_string();
        assert!(error.contains("nvml.jsonl is damaged at") && error.contains("line 7"), "{bad}: {error}");
    }
}

#[test]
fn a_newer_version_a_bad_pass_and_a_file_without_samples_are_refused() {
    let newer = HEAD.replace(r#""version":1,"#, r#""version":2,"new":true,"#);
    assert!(matches!(imported(&[&newer]), Err(Error::NewerVersion { found: 2, .. })));
    let outside = HEAD.replace("timeline", "../outside");
    assert!(imported(&[&outside]).unwrap_err().to_string().contains("names no folder"));
    assert!(matches!(imported(&[HEAD, END]), Err(Error::NoRows { .. })));
}
