//! `proftool simulate` from outside.

use std::fmt::Write as _;

use serde_json::Value;

use super::support::Place;

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
            let more = ["--burst-factor", burst, "--arrival-rate", "16", "--seeds", "3", "--format", "json"];
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
fn what_cannot_be_simulated_is_refused_with_what_can() {
    let place = Place::new();
    std::fs::write(place.path().join("empty.jsonl"), "").expect("written");
    std::fs::write(place.path().join("zero.jsonl"), r#"{"timestamp": 0, "input_length": 0, "output_length": 1}"#)
        .expect("written");
    for (arguments, code, part) in [
        (&["--policy", "round_robbin"][..], 2, "round_robin"),
        (&["--scenario", "x"], 2, "flagship_vs_mid"),
        (&["--model", "llama"], 2, "llama-3.1-8b"),
        (&["--set", "migration_gap=x"], 2, "is no number"),
        (&["--set", "migration_gap=-1"], 2, "a number from 0 to 100"),
        (&["--set", "nothing=1"], 2, "no knob"),
        (&["--model", "llama-3.1-70b"], 2, "more devices a replica"),
        (&["--loads", "0"], 2, "above 0"),
        (&["--requests-from", "absent.jsonl"], 4, "cannot read absent.jsonl"),
        (&["--requests-from", "empty.jsonl"], 4, "no request"),
        (&["--requests-from", "zero.jsonl"], 4, "line 1: a prompt without tokens"),
    ] {
        let ran = place.run(&[&["simulate"][..], arguments].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
}
