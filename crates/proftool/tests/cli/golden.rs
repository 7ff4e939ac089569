//! Golden artifacts x commands. `PROFTOOL_BLESS=1` rewrites what is expected.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Place, copy_folder, repository};

const COMMANDS: &[(&str, &[&str])] = &[
    ("idle.json", &["analyze", "--metric", "idle", "--format", "json"]),
    ("overlap.json", &["analyze", "--metric", "overlap", "--format", "json"]),
    ("bubble.json", &["analyze", "--metric", "bubble", "--format", "json"]),
    ("bubble-each.csv", &["analyze", "--metric", "bubble", "--window", "each", "--format", "csv"]),
    ("kv_transfer.json", &["analyze", "--metric", "kv_transfer", "--format", "json"]),
    ("kernels.md", &["analyze", "--metric", "kernels", "--format", "markdown"]),
    ("roofline.json", &["roofline", "--format", "json"]),
    ("overlap.txt", &["analyze", "--metric", "overlap"]),
    ("roofline.txt", &["roofline", "--format", "table"]),
];

fn groups() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(repository().join("artifacts/golden"))
        .expect("golden artifacts are committed")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no golden artifact");
    found
}

pub(super) fn compare(expected: &Path, found: &str) -> Result<(), String> {
    if std::env::var_os("PROFTOOL_BLESS").is_some() {
        std::fs::create_dir_all(expected.parent().expect("a file has a folder")).expect("the folder can be made");
        std::fs::write(expected, found).expect("the file can be written");
        return Ok(());
    }
    let wanted = std::fs::read_to_string(expected).unwrap_or_default();
    if wanted == found {
        return Ok(());
    }
    let line = wanted.lines().zip(found.lines()).position(|(a, b)| a != b).unwrap_or(0);
    Err(format!(
        "{} differs from line {}:\n  expected {:?}\n  found    {:?}\n(PROFTOOL_BLESS=1 rewrites it)",
        expected.display(),
        line + 1,
        wanted.lines().nth(line),
        found.lines().nth(line)
    ))
}

/// A golden folder in `place/artifacts`: one artifact, or a folder of two that form a pair.
fn lay_out(place: &Place, group: &Path) {
    let single = group.join("manifest.json").exists();
    let name = group.file_name().expect("a folder has a name");
    let target = if single { place.path().join("artifacts").join(name) } else { place.path().join("artifacts") };
    copy_folder(group, &target);
}

#[test]
fn every_golden_artifact_gives_the_expected_results_in_every_command() {
    let mut wrong = Vec::new();
    for group in groups() {
        let place = Place::new();
        lay_out(&place, &group);
        let name = group.file_name().expect("a folder has a name");
        let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        for (file, arguments) in COMMANDS {
            let found = place.ok(arguments).out;
            wrong.extend(compare(&expected.join(file), &found).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_golden_artifact_renders_the_committed_report() {
    let mut wrong = Vec::new();
    for group in groups() {
        let place = Place::new();
        lay_out(&place, &group);
        let printed = place.ok(&["report", "--html"]).out;
        let report = place.path().join(printed.trim());
        let name = group.file_name().expect("a folder has a name");
        let expected = repository().join("reports/golden").join(name);
        let folder = report.parent().expect("a report has a folder");
        let page = std::fs::read_to_string(folder.join("report.html")).expect("the page was asked for");
        assert!(page.contains("<svg") && !page.contains("src=\"http"), "the page of {} stands alone", name.display());
        std::fs::remove_file(folder.join("report.html")).expect("the page can be removed");
        for file in files(folder) {
            let found = std::fs::read_to_string(folder.join(&file)).expect("reports are text");
            wrong.extend(compare(&expected.join(&file), &found).err());
        }
        if files(folder) != files(&expected) {
            wrong.push(format!("{}: rendered {:?}, expected {:?}", name.display(), files(folder), files(&expected)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("the entry can be read").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn importing_the_raw_file_again_gives_the_same_results() {
    for case in ["two_stage", "sync"] {
        let place = Place::new();
        let golden = repository().join("artifacts/golden").join(case);
        copy_folder(&golden, &place.path().join("golden"));
        copy_folder(&golden, &place.path().join("raw_only"));
        std::fs::remove_dir_all(place.path().join("raw_only/tables")).expect("the tables can be removed");
        place.ok(&["import", "raw_only"]);
        for metric in ["idle", "overlap", "bubble"] {
            let rows = |artifacts: &str| -> Vec<Value> {
                let printed =
                    place.ok(&["analyze", "--artifacts", artifacts, "--metric", metric, "--format", "json"]).out;
                let mut rows: Vec<Value> = serde_json::from_str(&printed).expect("an array of rows");
                for row in &mut rows {
                    row.as_object_mut().expect("a row is an object").retain(|key, _| key != "run" && key != "target");
                }
                rows
            };
            assert_eq!(rows("artifacts"), rows("golden"), "{case} {metric}");
        }
    }
}
