//! `--rules FILE`: a user's own classes, in every command that computes metrics.

use super::support::{Place, copy_folder, repository};

/// A copy of a golden artifact, and a file of rules beside it.
fn with_rules(rules: &str) -> Place {
    let place = Place::new();
    let golden = repository().join("artifacts/golden/two_stage");
    copy_folder(&golden, &place.path().join("artifacts/two_stage"));
    std::fs::write(place.path().join("my.toml"), rules).expect("the file can be written");
    place
}

/// Every kernel is communication.
const ALL_COMM: &str = "[[rule]]\nname = 'mine'\nclass = 'comm'\nfunction = ['*']\n";

#[test]
fn rules_of_a_file_decide_in_analyze_and_are_not_kept() {
    let place = with_rules(ALL_COMM);
    let classes = |more: &[&str]| {
        let arguments = ["analyze", "--artifacts", "artifacts", "--metric", "classes", "--format", "json"];
        place.ok(&[&arguments, more].concat()).out
    };
    let kept = place.path().join("artifacts/two_stage/metrics/classes.parquet");
    let mine = classes(&["--rules", "my.toml"]);
    assert!(mine.contains("\"mine\"") && !mine.contains("\"compute\""), "{mine}");
    assert!(!kept.exists(), "what other rules say is not what the artifact says");
    let built_in = classes(&[]);
    assert!(!built_in.contains("\"mine\"") && built_in.contains("\"compute\""), "{built_in}");
    assert!(kept.exists());
}

#[test]
fn a_report_by_rules_names_them_and_leaves_the_artifact_as_it_was() {
    let place = with_rules(ALL_COMM);
    let report = place.ok(&["report", "--artifacts", "artifacts", "--rules", "my.toml"]).out;
    let report = std::fs::read_to_string(place.path().join(report.trim())).expect("the report is where it says");
    assert!(report.contains("`my.toml`") && report.contains("report --artifacts DIR --rules my.toml"), "{report}");
    let kept = proftool_trace::frame::read_any(&place.path().join("artifacts/two_stage/metrics/classes.parquet"));
    let rules = proftool_trace::frame::texts(&kept.expect("the results are kept"), "rule").expect("a column");
    assert!(!rules.contains(&Some("mine".to_owned())), "{rules:?}");
}

#[test]
fn bad_rules_are_unreadable_input_that_names_file_line_and_key_before_anything_runs() {
    let place = with_rules("[[rule]]\nname = 'mine'\nclas = 'comm'\n");
    for command in [
        &["analyze", "--artifacts", "artifacts"][..],
        &["report", "--artifacts", "artifacts"],
        &["roofline", "--artifacts", "artifacts"],
        &["run", "--target", "pipeline_parallelism", "--artifacts", "new"],
    ] {
        let ran = place.run(&[command, &["--rules", "my.toml"]].concat());
        assert_eq!(ran.code, Some(4), "{command:?}: {}", ran.err);
        for wanted in ["my.toml", "line 3", "clas", "hint"] {
            assert!(ran.err.contains(wanted), "{command:?}: {}", ran.err);
        }
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    assert!(!place.path().join("new").exists(), "a capture was begun");
    let absent = place.run(&["analyze", "--artifacts", "artifacts", "--rules", "absent.toml"]);
    assert_eq!(absent.code, Some(4));
    assert!(absent.err.contains("absent.toml"), "{}", absent.err);
}
