//! `proftool simulate` from outside.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::support::{Place, shared_data};

fn rows(printed: &str) -> Vec<Value> {
    serde_json::from_str(printed).expect("an array of rows")
}

fn number(row: &Value, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("{column} in {row}"))
}

#[test]
fn the_telemetry_driven_policy_has_lower_ttft_variance_and_more_tokens_than_round_robin_in_both_scenarios() {
    let place = Place::new();
    for scenario in ["flagship_vs_mid", "mig_slices"] {
        for burst in ["1", "4"] {
            let arguments = ["simulate", "--policy", "round_robin,ewma_score", "--scenario", scenario];
            // Near what the smaller cluster can do: far below it, tokens a second are those that arrive, whatever the policy.
            let more = ["--burst-factor", burst, "--arrival-rate", "24", "--seeds", "3", "--format", "json"];
            let rows = rows(&place.ok(&[&arguments[..], &more[..]].concat()).out);
            let of = |policy: &str| rows.iter().filter(|row| row["policy"] == policy).collect::<Vec<_>>();
            let (plain, scored) = (of("round_robin"), of("ewma_score"));
            assert_eq!((plain.len(), scored.len()), (3, 3));
            for (plain, scored) in plain.iter().zip(&scored) {
                assert_eq!(plain["seed"], scored["seed"]);
                let lower = |column| number(scored, column) < number(plain, column);
                assert!(lower("ttft_stddev_ns"), "{scenario} {burst}: {plain} {scored}");
                let more = number(scored, "output_tokens_per_s") > number(plain, "output_tokens_per_s");
                assert!(more, "{scenario} {burst}: {plain} {scored}");
            }
        }
    }
}

#[test]
fn the_same_seed_prints_the_same_bytes_and_another_seed_others() {
    let place = Place::new();
    let run = |seed: &str| place.ok(&["simulate", "--requests", "300", "--seed", seed, "--format", "csv"]).out;
    assert_eq!(run("5"), run("5"));
    assert_ne!(run("5"), run("6"));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = Place::new();
    let run = |threads: &str, format: &str| {
        let arguments =
            ["simulate", "--requests", "150", "--loads", "1,3", "--seeds", "2", "--tenants", "4", "--trace"];
        place.ok(&[&arguments[..], &["--threads", threads, "--format", format]].concat())
    };
    for format in ["json", "csv", "table"] {
        let (one, again) = (run("1", format), run("1", format));
        for ran in [&again, &run("2", format), &run("3", format)] {
            assert_eq!((&one.out, &one.err), (&ran.out, &ran.err), "{format}");
        }
    }
    let capacity = |threads: &str| {
        let arguments = ["simulate", "--requests", "100", "--capacity", "0.9", "--policy", "round_robin,least_delay"];
        place.ok(&[&arguments[..], &["--threads", threads]].concat()).out
    };
    assert_eq!(capacity("1"), capacity("3"));
}

#[test]
fn a_recorded_trace_is_replayed_and_shared_blocks_are_found() {
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
    std::fs::write(place.path().join("trace.jsonl"), trace).expect("written");
    let arguments = ["simulate", "--requests-from", "trace.jsonl", "--policy", "least_delay", "--format", "json"];
    let rows = rows(&place.ok(&arguments).out);
    // The first computes 1600 tokens, each of the others the 64 after its three blocks of 512.
    assert_eq!(rows[0]["ok"], 20);
    let hit = 19.0 * 1536.0 / (20.0 * 1600.0);
    assert!((number(&rows[0], "kv_hit_ratio") - hit).abs() < 1e-9, "{}", rows[0]);
}

#[test]
fn the_published_traces_are_read_whole() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    for (file, requests, hits) in [
        ("azure2023_conv.csv", 19_366, false),
        ("mooncake_fast25_conversation_trace.jsonl.gz", 12_031, true),
        ("mooncake_fast25_synthetic_trace.jsonl.gz", 3_993, true),
    ] {
        let path = data.join("serving").join(file).display().to_string();
        let pools = ["--prefill-gpus", "8", "--decode-gpus", "8", "--policy", "kv_overlap", "--format", "json"];
        let ran = place.ok(&[&["simulate", "--requests-from", &path][..], &pools].concat());
        let row = rows(&ran.out).remove(0);
        assert_eq!((&row["requests"], &row["ok"]), (&requests.into(), &requests.into()), "{file}");
        assert_eq!(number(&row, "kv_hit_ratio") > 0.0, hits, "{file}");
        // Azure's dates have no zone; nothing else is to be said about any of them.
        let told = ran.err.lines().filter(|line| !line.contains("read as UTC")).count();
        assert_eq!(told, 0, "{}", ran.err);
    }
}

#[test]
fn rows_that_cannot_be_served_are_told_and_the_others_simulated() {
    let place = Place::new();
    let csv =
        "arrival_s,prompt_tokens,output_tokens,model\n3,100,5,a\n1,100,5,a\n2,0,5,a\n4,ten,5,a\n5,99999999,5,a\n6,10";
    std::fs::write(place.path().join("log.csv"), csv).expect("written");
    let run = |file: &str, more: &[&str]| {
        let arguments = ["simulate", "--requests-from", file, "--policy", "round_robin", "--format", "json"];
        place.ok(&[&arguments[..], more].concat())
    };
    let ran = run("log.csv", &[]);
    // The prompt that no device can hold fails in the simulation.
    let row = rows(&ran.out).remove(0);
    assert_eq!((&row["requests"], &row["ok"], &row["failed"]), (&Value::from(3), &Value::from(2), &Value::from(1)));
    for told in [
        "log.csv: 1 x unknown column, not used: model (line 1)",
        "log.csv: 1 x an arrival before that of an earlier row: sorted (line 3)",
        "log.csv: left out: 1 x a prompt without tokens (line 4)",
        "log.csv: left out: 1 x a length that is no whole number from 0 on (line 5)",
        "log.csv: left out: 1 x the last line is cut (line 7)",
    ] {
        assert!(ran.err.contains(told), "{told} in {}", ran.err);
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(csv.as_bytes()).expect("packed");
    std::fs::write(place.path().join("log.gz"), packer.finish().expect("packed")).expect("written");
    assert_eq!(run("log.gz", &[]).out, ran.out);
    let part = rows(&run("log.gz", &["--from", "1", "--until", "2.5"]).out).remove(0);
    assert_eq!(part["requests"], 1);
}

#[test]
fn a_failing_device_and_a_step_of_the_load_are_seen_over_time() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let arguments = ["simulate", "--policy", "least_loaded", "--requests", "1500", "--arrival-rate", "30"];
        let more = [&arguments[..], more, &["--trace", "--format", "json"]].concat();
        serde_json::from_str::<Value>(&place.ok(&more).out).expect("both results")
    };
    let (plain, stepped, failing) = (run(&[]), run(&["--step", "4@20"]), run(&["--fail", "0@10:20", "--fail", "3@15"]));
    for result in [&plain, &stepped, &failing] {
        let row = &result["simulation"][0];
        assert_eq!((&row["ok"], &row["failed"]), (&Value::from(1500), &Value::from(0)), "{row}");
        let bins = result["trend"].as_array().expect("bins");
        assert_eq!(bins.iter().map(|bin| number(bin, "requests")).sum::<f64>().round() as i64, 1500);
    }
    let late = |result: &Value| {
        let bins = result["trend"].as_array().expect("bins").iter();
        bins.filter(|bin| number(bin, "start_ns") >= 20e9).map(|bin| number(bin, "ttft_p50_ns")).fold(0.0, f64::max)
    };
    assert!(late(&stepped) > 2.0 * late(&plain), "{} {}", late(&stepped), late(&plain));
    let dollars = |result: &Value| number(&result["simulation"][0], "goodput_requests_per_dollar");
    assert_ne!(dollars(&plain).to_bits(), dollars(&failing).to_bits());
    let ran = place.ok(&["simulate", "--policy", "round_robin", "--requests", "200", "--trace"]);
    assert!(ran.err.contains("TTFT, median of every") && ran.err.contains("  round_robin  load 1  "), "{}", ran.err);
}

/// Every option that changes a result is a parameter, and the log was read back.
fn described(manifest: &Value) {
    let parameters = &manifest["target"]["parameters"];
    let scored = parameters["policy"] == "ewma_score";
    for (name, value) in [
        ("fail", "decode_flagship_1@2:3.5"),
        ("requests_from", "none"),
        ("requests", "300"),
        ("arrival_rate", "24"),
        ("tenants", "3"),
        ("prefill_gpus", "2"),
        ("decode_gpus", "4"),
        ("slo_ttft_ms", "500"),
        ("migration_period_ms", "250"),
        ("load", "1"),
    ] {
        assert_eq!(parameters[name], value, "{name}: {parameters}");
    }
    // A policy's knobs are those that it has, at their defaults where they were not given.
    assert_eq!(parameters.get("migration_gap"), scored.then(|| Value::from("0.3")).as_ref());
    assert_eq!(parameters.get("migration_budget"), scored.then(|| Value::from("32")).as_ref());
    assert!(parameters.get("step").is_none() && parameters.get("reserve").is_none(), "{parameters}");
    let results = &manifest["results"];
    assert_eq!(results["verified"], true, "{results}");
    let checks = results["checks"].as_array().expect("checks");
    assert!(checks.len() == 5 && checks.iter().all(|check| check["values"].as_u64() > Some(0)), "{checks:?}");
}

#[test]
fn cases_become_artifacts_whose_metrics_say_the_same() {
    let place = Place::new();
    let names = [
        "simulate",
        "--policy",
        "round_robin,ewma_score",
        "--set",
        "migration_gap=0.3",
        "--fail",
        "decode_flagship_1@2:3.5",
    ];
    let arguments = [&names[..], &["--requests", "300", "--tenants", "3", "--format", "json"]].concat();
    let plain = place.ok(&arguments).out;
    let ran = place.ok(&[&arguments[..], &["--artifacts", "artifacts"]].concat());
    // Writing everything down changes nothing.
    assert_eq!(ran.out, plain);
    let artifacts = place.artifacts();
    assert_eq!(artifacts.len(), 2, "{artifacts:?}");
    for artifact in &artifacts {
        assert!(ran.err.contains(&artifact.file_name().expect("a name").to_string_lossy()[..]), "{}", ran.err);
        let manifest = std::fs::read_to_string(artifact.join("manifest.json")).expect("whole");
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        assert_eq!(
            (&manifest["time"], &manifest["hardware_key"]),
            (&"simulated".into(), &"simulated-flagship_vs_mid-2p4d".into())
        );
        described(&manifest);
    }
    let rows = rows(&plain);
    let analyzed = place.ok(&["analyze", "--artifacts", "artifacts", "--metric", "serving", "--format", "json"]).out;
    let analyzed: Vec<Value> = serde_json::from_str(&analyzed).expect("rows");
    for row in &rows {
        let target = format!("simulate-{}", row["policy"].as_str().expect("a name"));
        let same = analyzed.iter().find(|other| other["target"] == target.as_str()).expect("its row");
        for column in ["requests", "ok", "ttft_p50_ns", "ttft_p99_ns", "tpot_p50_ns", "tpot_p99_ns"] {
            assert_eq!(row[column], same[column], "{column}: {row} {same}");
        }
    }
}

#[test]
fn a_dynamo_config_is_simulated_or_refused_by_name() {
    let place = Place::new();
    let config = "model: llama-8b\nautoscale:\n  prefill:\n    min_replicas: 1\n    max_replicas: 4\n    scale_up: {queue_length: 2, gpu_utilization: 60}\n    \
        scale_down: {queue_length: 1, gpu_utilization: 20}\nqos: {enable_early_rejection: false, reject_on_slo_violation: false}\n";
    let write = |text: &str| std::fs::write(place.path().join("dynamo.yaml"), text).expect("written");
    write(config);
    let arguments = ["simulate", "--dynamo-config", "dynamo.yaml", "--arrival-rate", "40", "--format", "json"];
    let row = rows(&place.ok(&arguments).out).remove(0);
    assert_eq!((&row["policy"], &row["ok"]), (&"dynamo_config".into(), &2000.into()));
    write(&config.replace("max_replicas", "max_replica"));
    let ran = place.run(&arguments);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("dynamo.yaml: ") && ran.err.contains("did you mean max_replicas?"), "{}", ran.err);
}

#[test]
fn capacity_meets_the_share_and_the_next_rate_does_not() {
    let place = Place::new();
    let common = ["simulate", "--policy", "predicted_ttft", "--requests", "400", "--format", "json"];
    let found = rows(&place.ok(&[&common[..], &["--capacity", "0.8"]].concat()).out).remove(0);
    let at = |column: &str| {
        let load = number(&found, column).to_string();
        let row = rows(&place.ok(&[&common[..], &["--loads", &load]].concat()).out).remove(0);
        number(&row, "slo_attainment_ratio")
    };
    assert!(at("capacity_load") >= 0.8 && at("failed_load") < 0.8, "{found}");
    assert!(number(&found, "capacity_requests_per_s") < number(&found, "failed_requests_per_s"), "{found}");
}

#[test]
fn a_failure_meets_the_same_requests_at_every_rate_of_a_search_for_capacity() {
    let place = Place::new();
    let common = ["simulate", "--policy", "least_loaded", "--requests", "400", "--format", "json"];
    let found = |more: &[&str]| rows(&place.ok(&[&common[..], &["--capacity", "0.8"], more].concat()).out).remove(0);
    let failing = found(&["--fail", "decode_flagship_0@4:12"]);
    let load = number(&failing, "capacity_load");
    // The 400 requests span some 17 s; sooner by the load that was found, the failure leaves the same attainment.
    let fail = format!("decode_flagship_0@{}:{}", 4.0 / load, 12.0 / load);
    let row = rows(&place.ok(&[&common[..], &["--loads", &load.to_string(), "--fail", &fail]].concat()).out).remove(0);
    let same = |column| (number(&row, column) - number(&failing, column)).abs() < 1e-9;
    assert!(same("slo_attainment_ratio"), "{row} {failing}");
    assert!(load < number(&found(&[]), "capacity_load"), "{failing}");
}

#[test]
fn early_rejection_keeps_the_promise_to_those_who_are_served() {
    let place = Place::new();
    let run = |admission: &str| {
        let arguments = ["simulate", "--policy", "predicted_ttft", "--arrival-rate", "120", "--requests", "1500"];
        let more = ["--admission", admission, "--slo-ttft-ms", "300", "--format", "json"];
        rows(&place.ok(&[&arguments[..], &more[..]].concat()).out).remove(0)
    };
    let (all, some) = (run("none"), run("predicted"));
    assert_eq!(all["rejected"], 0);
    assert!(number(&some, "rejected") > 0.0);
    assert!(number(&some, "goodput_requests_per_s") > number(&all, "goodput_requests_per_s"), "{all} {some}");
}

#[test]
fn premium_requests_keep_their_promise_where_memory_is_reserved_for_them() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let arguments = ["simulate", "--policy", "predicted_ttft", "--arrival-rate", "150", "--requests", "1200"];
        let tiers =
            ["--tiers", "0.2,0.5", "--slo-ttft-ms", "200,500,1000", "--slo-tpot-ms", "30,50,100", "--format", "json"];
        rows(&place.ok(&[&arguments[..], &tiers, more].concat()).out).remove(0)
    };
    let (none, some) = (run(&[]), run(&["--admission", "predicted", "--reserve", "0.2"]));
    assert!(number(&some, "rejected") > 0.0 && number(&none, "rejected") == 0.0);
    assert!(number(&some, "slo_attainment_ratio") > number(&none, "slo_attainment_ratio"), "{none} {some}");
    let late = run(&["--deadline-ms", "50,100,200"]);
    assert!(number(&late, "rejected") > 0.0, "{late}");
}

#[test]
fn what_cannot_be_simulated_is_refused_with_what_can() {
    let place = Place::new();
    std::fs::write(place.path().join("empty.jsonl"), "").expect("written");
    std::fs::write(place.path().join("zero.jsonl"), r#"{"timestamp": 0, "input_length": 0, "output_length": 1}"#)
        .expect("written");
    std::fs::write(place.path().join("words.txt"), "hello\n").expect("written");
    std::fs::write(place.path().join("list.json"), "[{\"arrival_ms\": 1}]").expect("written");
    std::fs::write(place.path().join("one.csv"), "arrival_s,prompt_tokens,output_tokens\n1,1,1\n").expect("written");
    std::fs::write(place.path().join("gap.csv"), "arrival_s,prompt_tokens,output_tokens\n1,1,1\n4e9,1,1\n")
        .expect("written");
    place.ok(&["simulate", "--requests-from", "gap.csv"]);
    for (arguments, code, part) in [
        (&["--policy", "round_robbin"][..], 2, "round_robin"),
        (&["--policy", "round_robin, round_robin"], 2, "names round_robin twice"),
        (&["--loads", "1,2,1.0"], 2, "--loads has 1 twice"),
        (&["--scenario", "x"], 2, "flagship_vs_mid"),
        (&["--model", "llama"], 2, "llama-3.1-8b"),
        (&["--set", "migration_gap=x"], 2, "is no number"),
        (&["--set", "migration_gap=-1"], 2, "a number from 0 to 100"),
        (&["--set", "nothing=1"], 2, "no knob"),
        (&["--model", "llama-3.1-70b"], 2, "more devices a replica"),
        (&["--loads", "0"], 2, "above 0"),
        (&["--requests-from", "absent.jsonl"], 4, "cannot read absent.jsonl"),
        (&["--requests-from", "empty.jsonl"], 4, "it is empty"),
        (&["--requests-from", "zero.jsonl"], 4, "1 x a prompt without tokens (line 1) (hint: Mooncake"),
        (&["--requests-from", "words.txt"], 4, "none of its columns (hello) is an arrival"),
        (&["--requests-from", "."], 4, "cannot read ."),
        (&["--requests-from", "gap.csv", "--artifacts", "artifacts"], 2, "span more than 100 days"),
        (&["--requests-from", "one.csv", "--from", "5"], 2, "it goes from 0 to 0.000 s"),
        (&["--requests-from", "one.csv", "--from", "5", "--until", "4"], 2, "not before"),
        (&["--slo-ttft-ms", "0"], 2, "not a number above 0"),
        (&["--slo-tpot-ms", "1,2"], 2, "one for all, or three"),
        (&["--decode-gpus", "0"], 2, "--decode-gpus"),
        (&["--fail", "nobody@3"], 2, "no device of this cluster is called nobody"),
        (&["--fail", "99@3"], 2, "no device of this cluster"),
        (&["--fail", "0@5:4"], 2, "comes back before"),
        (&["--fail", "0"], 2, "3@60:70"),
        (&["--step", "2"], 2, "2@40"),
        (&["--tiers", "0.7,0.7"], 2, "more than 1"),
        (&["--capacity", "0"], 2, "above 0"),
        (&["--arrival-rate", "1e-9"], 2, "more than three years"),
        (&["--reserve", "0.2"], 2, "add --admission predicted"),
        (&["--requests-from", "list.json"], 4, "one JSON list"),
        (&["--deadline-ms", "0"], 2, "deadline"),
        (&["--threads", "0"], 2, "--threads"),
    ] {
        let ran = place.run(&[&["simulate"][..], arguments].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
}
