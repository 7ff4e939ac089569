//! Router targets from outside: `capture` and `run` of simulations, of measured decisions, and of the topology probe.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proftool_trace::{frame, tables};
use serde_json::Value;

use super::support::Place;

fn manifest(artifact: &Path) -> Value {
    let text = std::fs::read_to_string(artifact.join("manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("it is JSON")
}

fn of_target(artifacts: &[PathBuf], name: &str) -> PathBuf {
    let is = |path: &&PathBuf| path.to_string_lossy().contains(&format!("-{name}-"));
    artifacts.iter().find(is).unwrap_or_else(|| panic!("no {name} in {artifacts:?}")).clone()
}

fn rows(artifact: &Path, table: &str) -> u64 {
    let tables = manifest(artifact)["tables"].clone();
    let found = tables.as_array().expect("a list").iter().find(|row| row["name"] == table).cloned();
    found.map_or(0, |row| row["rows"].as_u64().expect("a count"))
}

#[test]
fn a_router_pair_is_simulated_on_the_same_requests_and_its_tables_come_from_the_log() {
    let place = Place::new();
    let ran = place.ok(&["capture", "--target", "labs/dynamic_router:router", "--set", "requests=300"]);
    let found = place.artifacts();
    assert_eq!((found.len(), ran.out.lines().count()), (2, 2), "{ran:?}");
    let [baseline, optimized] = ["baseline_router", "optimized_router"].map(|name| of_target(&found, name));
    for (artifact, role) in [(&baseline, "baseline"), (&optimized, "optimized")] {
        let manifest = manifest(artifact);
        assert_eq!((&manifest["time"], &manifest["pair"]["role"]), (&"simulated".into(), &role.into()));
        assert_eq!(manifest["hardware_key"], "simulated-flagship_vs_mid-2p4d");
        assert_eq!(manifest["results"]["verified"], true);
        assert!(manifest["results"]["checks"].as_array().expect("a list").len() >= 5, "{manifest}");
        assert!(manifest["modelled"][0].as_str().expect("a sentence").contains("simulated"));
        assert_eq!((rows(artifact, "requests"), manifest["devices"].as_array().map(Vec::len)), (300, Some(6)));
        assert!(rows(artifact, "decisions") >= 600 && rows(artifact, "steps") > 0 && rows(artifact, "samples") > 0);
        assert!(artifact.join("raw/simulation/router.jsonl").is_file());
    }
    let arrivals = |artifact: &Path| {
        let requests = frame::read(&tables::REQUESTS, &artifact.join("tables")).expect("the table");
        let mut arrivals = frame::ints(&requests, "arrival_ns").expect("ints");
        arrivals.sort_unstable();
        arrivals
    };
    assert_eq!(arrivals(&baseline), arrivals(&optimized));
    assert!(ran.err.contains("optimized_router against baseline_router (simulated): TTFT p50"), "{}", ran.err);
}

#[test]
fn the_same_seed_writes_the_same_bytes_and_another_seed_others() {
    let place = Place::new();
    let log = |seed: &str| {
        let folder = place.path().join("artifacts");
        let arguments = ["capture", "--target", "optimized_dynamic_router", "--set", "requests=200", "--seed", seed];
        let ran = place.ok(&arguments);
        let bytes =
            std::fs::read(place.path().join(ran.out.trim()).join("raw/simulation/router.jsonl")).expect("a log");
        std::fs::remove_dir_all(folder).expect("removed");
        bytes
    };
    let first = log("5");
    assert_eq!(first, log("5"));
    assert_ne!(first, log("6"));
}

#[test]
fn the_dynamic_router_is_steadier_and_faster_and_moves_requests() {
    let place = Place::new();
    let ran = place.ok(&["capture", "--target", "dynamic_router", "--trace"]);
    let change =
        ran.err.lines().find(|line| line.starts_with("optimized_dynamic_router against")).expect("a comparison");
    let percent = |what: &str| {
        let rest = change.split(&format!("{what} ")).nth(1).unwrap_or_else(|| panic!("{what} in {change}"));
        rest.split(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or_else(|| panic!("{change}"))
    };
    assert!(percent("stddev") < 0.0 && percent("tokens/s") > 0.0 && percent("goodput") > 0.0, "{change}");
    assert!(change.contains("migrations 0 to ") && !change.ends_with("0 to 0"), "{change}");
    assert_eq!(ran.err.matches("by arrival in bins of").count(), 2, "{}", ran.err);
}

#[test]
fn early_rejection_tells_how_good_its_prediction_was_and_keeps_the_promise_to_more() {
    let place = Place::new();
    let ran = place.ok(&["capture", "--target", "ch17:early_rejection", "--set", "requests=1500"]);
    for part in ["actual over predicted", "premium (SLO 200 ms", "free (SLO 1000 ms", "without early rejection"] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let goodput: Vec<f64> =
        ran.err.split("goodput ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect();
    assert!(goodput.len() == 2 && goodput[0] > goodput[1], "{}", ran.err);
    let requests = frame::read(&tables::REQUESTS, &place.artifacts()[0].join("tables")).expect("the table");
    let statuses = frame::texts(&requests, "status").expect("texts");
    assert!(statuses.iter().flatten().any(|status| status == "rejected"));
    assert!(frame::ints(&requests, "predicted_ttft_ns").expect("ints").iter().all(Option::is_some));
    let late = ["--set", "admission=none", "--set", "deadline_slos=1", "--set", "requests=1500"];
    let ran = place.ok(&[&["capture", "--target", "early_rejection"], &late[..]].concat());
    assert!(!ran.err.lines().next().expect("a line").contains("; 0 rejected"), "{}", ran.err);
}

#[test]
fn a_sweep_writes_an_artifact_a_value_in_either_spelling() {
    let place = Place::new();
    let extra = r#"labs/dynamic_router:optimized_router="--arrival-rate 8,16 --requests=50 --seed 1,2""#;
    let ran = place.ok(&["capture", "--target", "optimized_router", "--target-extra-arg", extra]);
    let told: Vec<(String, u64)> = ran
        .out
        .lines()
        .map(|path| manifest(&place.path().join(path))["target"].clone())
        .map(|target| {
            let rate = target["parameters"]["arrival_rate"].as_str().expect("text").to_owned();
            (rate, target["seed"].as_u64().expect("a number"))
        })
        .collect();
    let wanted = [("8", 1), ("8", 2), ("16", 1), ("16", 2)].map(|(rate, seed)| (rate.to_owned(), seed));
    assert_eq!(told, wanted);
}

#[test]
fn a_recorded_trace_is_replayed_and_what_was_left_out_is_told_and_kept() {
    let place = Place::new();
    let mut trace = String::new();
    for at in 0..20 {
        let _ = writeln!(
            trace,
            r#"{{"timestamp": {}, "input_length": 1600, "output_length": 5, "hash_ids": [1, 2, 3, {}]}}"#,
            at * 1000,
            100 + at
        );
    }
    trace.push_str("{\"timestamp\": 20000, \"input_length\": 0, \"output_length\": 5, \"hash_ids\": []}\n");
    std::fs::write(place.path().join("trace.jsonl"), trace).expect("written");
    let ran =
        place.ok(&["capture", "--target", "optimized_router", "--set", "requests_from=trace.jsonl", "--set", "load=2"]);
    assert!(ran.err.contains("20 requests of trace") && ran.err.contains("left out: 1 x"), "{}", ran.err);
    let artifact = place.artifacts().remove(0);
    let issues = frame::read(&tables::ISSUES, &artifact.join("tables")).expect("the table");
    let codes: Vec<String> = frame::texts(&issues, "code").expect("texts").into_iter().flatten().collect();
    assert!(rows(&artifact, "requests") == 20 && codes.iter().any(|code| code == "zero_prompt"), "{codes:?}");
    assert!(manifest(&artifact)["target"]["parameters"].get("arrival_rate").is_none());
    let strict = ["capture", "--strict", "--target", "optimized_router", "--set", "requests_from=trace.jsonl"];
    assert_eq!(place.run(&strict).code, Some(5));
}

#[test]
fn what_a_router_target_cannot_be_given_is_refused_before_anything_is_written() {
    let place = Place::new();
    std::fs::write(place.path().join("text.txt"), "hello\n").expect("written");
    for (arguments, code, part) in [
        (&["--set", "arival_rate=3"][..], 2, "did you mean arrival_rate"),
        (&["--set", "arrival_rate=0"], 2, "arrival_rate=0"),
        (&["--set", "arrival_rate=8,x"], 2, "arrival_rate=x"),
        (&["--set", "policy=round_robbin"], 2, "round_robin"),
        (&["--set", "scenario=x"], 2, "mig_slices"),
        (&["--set", "admission=x"], 2, "predicted"),
        (&["--set", "slo_ttft_ms=0"], 2, "slo_ttft_ms=0"),
        (&["--set", "decode_gpus=0"], 2, "from 1 to 32"),
        (&["--set", "migration_gap=nan"], 2, "migration_gap=nan"),
        (&["--set", "premium_share=0.8", "--set", "free_share=0.3"], 2, "premium_share=0.8"),
        (&["--set", "model=llama-3.1-70b"], 2, "more devices a replica"),
        (&["--set", "requests_from=text.txt", "--set", "arrival_rate=3"], 2, "load=2"),
        (&["--set", "requests_from=absent.jsonl"], 4, "cannot read absent.jsonl"),
        (&["--set", "requests_from=text.txt"], 4, "text.txt"),
        (&["--target-extra-arg", "synthetic=--case x"], 2, "not captured here"),
        (&["--target-extra-arg", "router=--burst-factor"], 2, "no value"),
        (&["--seed", "3", "--set", "seed=4"], 2, "leave one out"),
        (&["--iterations", "3"], 2, "not in measured blocks"),
        (&["--warmup", "1"], 2, "not in measured blocks"),
        (&["--blocks", "8"], 2, "not in measured blocks"),
        (&["--backend", "cpu"], 2, "leave it out"),
        (&["--profile", "timeline"], 2, "writes its own log"),
        (&["--timeout", "5s"], 2, "leave it out"),
        (&["--kernel", "x"], 2, "--profile roofline"),
    ] {
        let ran = place.run(&[&["capture", "--target", "router"][..], arguments].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
        assert!(place.artifacts().is_empty(), "{arguments:?}: {:?}", place.artifacts());
    }
}

#[test]
fn decisions_are_measured_verified_and_compared_with_their_counterpart() {
    let place = Place::new();
    for (pair, what, small) in
        [("dynamic_routing", "decide", "batches=64"), ("ch17:routing_static", "route_static", "requests=32")]
    {
        let ran = place.ok(&["capture", "--target", pair, "--blocks", "2", "--set", small]);
        assert_eq!(ran.err.matches("ns a decision (measured").count(), 2, "{}", ran.err);
        for path in ran.out.lines() {
            let manifest = manifest(&place.path().join(path));
            assert_eq!((&manifest["time"], &manifest["results"]["verified"]), (&"measured".into(), &true.into()));
            let checks = manifest["results"]["checks"].as_array().expect("a list").clone();
            assert!(checks.iter().any(|check| check["name"] == "baseline and optimized, every output"), "{checks:?}");
            assert_eq!(manifest["results"]["iteration_ns"].as_array().map(Vec::len), Some(6));
            let activities =
                frame::read(&tables::ACTIVITIES, &place.path().join(path).join("tables")).expect("the table");
            let names = frame::texts(&activities, "name").expect("texts");
            assert!(names.len() == 8 && names.iter().flatten().all(|name| name.starts_with(what)), "{names:?}");
        }
    }
}

#[test]
fn the_decisions_of_routing_are_shown_over_time_as_the_router_that_they_are_for() {
    let place = Place::new();
    let extra = r#"ch17:dynamic_routing="--trace --batches 64""#;
    let ran = place.ok(&["capture", "--target", "ch17:dynamic_routing", "--target-extra-arg", extra, "--blocks", "1"]);
    for name in ["baseline_dynamic_router", "optimized_dynamic_router"] {
        assert!(ran.err.contains(&format!("{name} (simulated), by arrival in bins of")), "{}", ran.err);
    }
}

#[test]
fn router_targets_are_listed_and_completed() {
    let place = Place::new();
    let listed = place.ok(&["list", "targets", "--format", "csv"]).out;
    let completed = place.ok(&["completions", "bash"]).out;
    for name in ["optimized_router", "early_rejection", "topology_probe", "baseline_routing_static"] {
        assert!(listed.contains(name) && completed.contains(name), "{name}");
    }
    assert!(listed.contains("Of the pair dynamic_router.") && listed.contains("kv_locality=auto"), "{listed}");
}

#[test]
fn the_topology_probe_writes_the_node_of_each_device_of_a_tree() {
    let place = Place::new();
    let put = |path: &str, text: &str| {
        let path = place.path().join("sys").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    for (node, cpus, distance) in [(0, "0-3", "10 21"), (1, "4-7", "21 10")] {
        put(&format!("devices/system/node/node{node}/cpulist"), cpus);
        put(&format!("devices/system/node/node{node}/distance"), distance);
    }
    for (address, node) in [("0000:3b:00.0", "1"), ("0000:af:00.0", "0")] {
        for (name, text) in [("class", "0x030200"), ("vendor", "0x10de"), ("device", "0x2330"), ("numa_node", node)] {
            put(&format!("bus/pci/devices/{address}/{name}"), text);
        }
    }
    let ran = place.ok(&["capture", "--target", "topology_probe", "--set", "sysfs_root=sys"]);
    assert!(ran.err.contains("device 0 10de:2330 at 0000:3b:00.0: node 1, cores 4-7"), "{}", ran.err);
    let artifact = place.artifacts().remove(0);
    let devices = frame::read(&tables::DEVICES, &artifact.join("tables")).expect("the table");
    assert_eq!(frame::ints(&devices, "numa_node").expect("ints"), [Some(1), Some(0), Some(0), Some(1)]);
    let kinds: Vec<String> = frame::texts(&devices, "kind").expect("texts").into_iter().flatten().collect();
    assert_eq!(kinds, ["cuda", "cuda", "cpu", "cpu"]);
    let text = std::fs::read_to_string(artifact.join("raw/host/topology.json")).expect("written");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["nodes"][1]["distances"], serde_json::json!([21, 10]));
    put("bus/pci/devices/0000:3b:00.0/numa_node", "7");
    let ran = place.run(&["capture", "--target", "topology_probe", "--set", "sysfs_root=sys"]);
    assert_eq!(ran.code, Some(3), "a device on a node that is not there: {ran:?}");
    let ran = place.run(&["capture", "--target", "topology_probe", "--set", "sysfs_root=nowhere"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
}

#[test]
fn a_run_of_a_router_pair_ends_with_a_report_and_can_be_imported_again() {
    let place = Place::new();
    let ran = place.ok(&["run", "--target", "router", "--set", "requests=200"]);
    assert!(ran.out.contains("optimized_router against baseline_router (simulated)"), "{}", ran.out);
    let report = ran.out.lines().find_map(|line| line.strip_prefix("report: ")).expect("a report");
    assert!(place.path().join(report).is_file());
    let before = of_target(&place.artifacts(), "optimized_router");
    let ran = place.ok(&["import", &before.to_string_lossy(), "--artifacts", "again"]);
    let after = place.path().join(ran.out.trim());
    assert_eq!(manifest(&after), manifest(&before));
}
