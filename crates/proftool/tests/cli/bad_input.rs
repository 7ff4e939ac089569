//! Bad input: one clear error, the documented exit code, nothing half-written.

use super::support::{Place, copy_folder, repository, shared_data};

#[test]
fn an_unknown_target_names_the_nearest_and_is_a_usage_error() {
    let place = Place::new();
    let ran = place.run(&["run", "--target", "pipeline_paralelism"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("pipeline_parallelism"), "{}", ran.err);
    assert!(place.artifacts().is_empty());
}

#[test]
fn an_unknown_or_impossible_parameter_is_a_usage_error_before_anything_runs() {
    for (given, wanted) in [
        ("microbatch=4", "microbatches"),
        ("microbatches=7", "microbatches"),
        ("stages=0", "stages"),
        ("stages=x", "stages"),
    ] {
        let place = Place::new();
        let ran = place.run(&["capture", "--target", "optimized_pipeline_parallelism", "--set", given]);
        assert_eq!(ran.code, Some(2), "{given}: {}", ran.err);
        assert!(ran.err.contains(wanted), "{given}: {}", ran.err);
        assert!(place.artifacts().is_empty(), "{given} left something behind");
    }
}

#[test]
fn an_unwritable_output_is_refused_before_anything_runs() {
    let place = Place::new();
    std::fs::write(place.path().join("artifacts"), "a file in the way").expect("the file can be written");
    let ran = place.run(&["run", "--target", "pipeline_parallelism"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("artifacts"), "{}", ran.err);
}

#[test]
fn a_folder_without_artifacts_is_said_with_the_command_that_makes_one() {
    let place = Place::new();
    for command in ["roofline", "analyze", "report"] {
        let missing = place.run(&[command, "--artifacts", "nowhere"]);
        assert_eq!(missing.code, Some(4), "{command}");
        assert!(missing.err.contains("nowhere"), "{}", missing.err);
    }
    std::fs::create_dir(place.path().join("artifacts")).expect("the folder can be made");
    let empty = place.run(&["roofline"]);
    assert_eq!(empty.code, Some(4));
    assert!(empty.err.contains("proftool run"), "{}", empty.err);
}

fn with_golden() -> (Place, std::path::PathBuf) {
    let place = Place::new();
    let artifact = place.path().join("artifacts/two_stage");
    copy_folder(&repository().join("artifacts/golden/two_stage"), &artifact);
    (place, artifact)
}

#[test]
fn a_truncated_manifest_is_named_with_what_to_do() {
    let (place, artifact) = with_golden();
    let file = artifact.join("manifest.json");
    let text = std::fs::read_to_string(&file).expect("the manifest can be read");
    std::fs::write(&file, &text[..text.len() / 2]).expect("the manifest can be written");
    let ran = place.run(&["analyze", "--artifacts", "artifacts/two_stage"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("damaged") && ran.err.contains("hint"), "{}", ran.err);
    let listed = place.run(&["analyze"]);
    assert_eq!(listed.code, Some(4));
    assert!(listed.err.contains("two_stage"), "{}", listed.err);
}

#[test]
fn a_newer_format_is_refused_with_instructions() {
    let (place, artifact) = with_golden();
    let file = artifact.join("manifest.json");
    let text = std::fs::read_to_string(&file).expect("the manifest can be read");
    std::fs::write(&file, text.replacen("\"major\": 1", "\"major\": 2", 1)).expect("the manifest can be written");
    let ran = place.run(&["analyze", "--artifacts", "artifacts/two_stage"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("update proftool"), "{}", ran.err);
}

#[test]
fn a_truncated_table_is_named_with_what_to_do() {
    let (place, artifact) = with_golden();
    let file = artifact.join("tables/activities.parquet");
    let bytes = std::fs::read(&file).expect("the table can be read");
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("the table can be written");
    let ran = place.run(&["analyze", "--artifacts", "artifacts/two_stage"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("activities.parquet") && ran.err.contains("hint"), "{}", ran.err);
}

#[test]
fn a_foreign_table_is_named_with_what_to_do() {
    let (place, artifact) = with_golden();
    std::fs::copy(artifact.join("tables/queues.parquet"), artifact.join("tables/activities.parquet"))
        .expect("the table can be copied");
    let ran = place.run(&["analyze", "--artifacts", "artifacts/two_stage"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("activities.parquet") && ran.err.contains("missing"), "{}", ran.err);
}

#[test]
fn a_file_of_no_known_format_is_refused_and_leaves_nothing_behind() {
    let place = Place::new();
    for (name, bytes) in [
        ("empty.trace", &b""[..]),
        ("text.trace", b"hello, this is no trace"),
        ("cut.trace", b"proftool-host\0\x01\x00head"),
    ] {
        std::fs::write(place.path().join(name), bytes).expect("the file can be written");
        let ran = place.run(&["import", name]);
        assert_eq!(ran.code, Some(4), "{name}: {}", ran.err);
        assert!(ran.err.contains(name), "{}", ran.err);
        assert!(place.artifacts().is_empty(), "{name}: {:?}", place.artifacts());
    }
}

#[test]
fn files_that_hold_nothing_are_refused_by_content_whatever_they_are_called() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    for (file, part) in [
        ("negatives/git-lfs-pointer.sqlite", "git lfs pull"),
        ("negatives/ncu_raw_empty.csv", "hint"),
        ("negatives/ncu_ERR_NVGPUCTRPERM_no_kernels.csv", "hint"),
        ("ncu/rtx5070_kernels/table_ncu_full.tex", "tried"),
    ] {
        std::fs::copy(data.join(file), place.path().join("host.trace")).expect("the file can be copied");
        let ran = place.run(&["import", "host.trace"]);
        assert_eq!(ran.code, Some(4), "{file}: {}", ran.err);
        assert!(ran.err.contains("host.trace") && ran.err.contains(part), "{file}: {}", ran.err);
        assert!(place.artifacts().is_empty(), "{file}");
    }
}

#[test]
fn a_table_that_is_missing_or_cut_is_named_not_taken_for_empty() {
    let (place, artifact) = with_golden();
    std::fs::remove_file(artifact.join("tables/dependencies.parquet")).expect("the table can be removed");
    let ran = place.run(&["analyze", "--artifacts", "artifacts/two_stage"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("dependencies.parquet"), "{}", ran.err);
}

#[test]
fn a_pass_name_that_leads_out_of_the_folder_is_refused() {
    let place = Place::new();
    let golden = repository().join("artifacts/golden/two_stage/raw/host/host.trace");
    let bytes = std::fs::read(golden).expect("the trace can be read");
    let from = b"\"pass\":\"host\"";
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the head names its pass");
    let mut hostile = bytes;
    hostile[at..at + from.len()].copy_from_slice(b"\"pass\":\"../x\"");
    std::fs::write(place.path().join("hostile.trace"), hostile).expect("the file can be written");
    let ran = place.run(&["import", "hostile.trace", "--artifacts", "a/b"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(!place.path().join("a/x").exists());
}

#[test]
fn csv_of_several_metrics_is_refused() {
    let (place, _) = with_golden();
    let ran = place.run(&["analyze", "--format", "csv"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("--metric"), "{}", ran.err);
}

#[test]
fn an_unknown_window_or_metric_is_a_usage_error() {
    let (place, _) = with_golden();
    for arguments in [["--window", "nope"], ["--metric", "idel"]] {
        let ran = place.run(&[&["analyze"], &arguments[..]].concat());
        assert_eq!(ran.code, Some(2), "{}", ran.err);
    }
}

#[test]
fn profiles_and_backends_that_are_not_there_say_what_to_use() {
    let place = Place::new();
    for arguments in [["--profile", "roofline"], ["--backend", "cuda"]] {
        let ran = place.run(&[&["capture", "--target", "synthetic"], &arguments[..]].concat());
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("hint"), "{}", ran.err);
    }
}
