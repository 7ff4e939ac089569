//! A pair of serving runs compared: two routers on the same made-up requests, through every command that a reader of such
//! a pair uses. The numbers are simulated, so that they are the same on every machine; `PROFTOOL_BLESS=1` rewrites what is
//! expected.

use std::path::Path;

use super::golden::compare;
use super::support::Place;

const COMMANDS: &[(&str, &[&str])] = &[
    ("serving.json", &["analyze", "--metric", "serving", "--format", "json"]),
    ("serving.txt", &["analyze", "--metric", "serving"]),
    (
        "serving.csv",
        &["analyze", "--metric", "serving", "--slo-ttft-ms", "100", "--slo-tpot-ms", "20", "--format", "csv"],
    ),
    ("settling.json", &["analyze", "--metric", "settling", "--format", "json"]),
    ("load_balance.json", &["analyze", "--metric", "load_balance", "--format", "json"]),
    ("calibration.csv", &["analyze", "--metric", "calibration", "--format", "csv"]),
];

/// Both routers of the lab on the same 200 requests, captured in `artifacts/`.
fn captured() -> Place {
    let place = Place::new();
    let requests = ["--set", "requests=200", "--set", "arrival_rate=24", "--seed", "7"];
    place.ok(&[&["capture", "--target", "router"][..], &requests[..]].concat());
    assert_eq!(place.artifacts().len(), 2);
    place
}

/// The text with each artifact's target in place of its name, which begins with the time of the capture.
fn without_times(place: &Place, text: &str) -> String {
    place.artifacts().iter().fold(text.to_owned(), |text, artifact| {
        let name = artifact.file_name().expect("an artifact has a name").to_string_lossy().into_owned();
        let target = name.split('-').nth(1).expect("its target stands second").to_owned();
        text.replace(&name, &target)
    })
}

/// The sections about what was served: those before and after tell of the machine and the time.
fn about_serving(report: &str) -> String {
    let wanted = ["Headline", "What users felt", "KV transfer", "Sampled metrics", "What was modelled"];
    let sections = report.split("\n## ").skip(1);
    let kept = sections.filter(|section| wanted.iter().any(|title| section.starts_with(title)));
    kept.map(|section| format!("## {}\n", section.trim_end())).collect::<Vec<_>>().join("\n")
}

fn check(file: &str, found: &str) -> Option<String> {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/router").join(file);
    compare(&expected, found).err()
}

#[test]
fn two_routers_on_the_same_requests_give_the_expected_results_in_every_command() {
    let place = captured();
    let of_command =
        |(file, arguments): &(&str, &[&str])| check(file, &without_times(&place, &place.ok(arguments).out));
    let wrong: Vec<String> = COMMANDS.iter().filter_map(of_command).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_routers_on_the_same_requests_render_the_expected_comparison() {
    let place = captured();
    let printed = place.ok(&["report"]).out;
    assert_eq!(printed.lines().count(), 1, "a pair is one report: {printed}");
    let report = place.path().join(printed.trim());
    let text = std::fs::read_to_string(&report).expect("the report is there");
    assert!(!text.contains("## Idle") && !text.contains("## Timeline"), "a router has no kernels: {text}");
    let folder = report.parent().expect("a report has a folder");
    let pictures = ["serving_distribution.svg", "ttft_split.svg"];
    let picture = |file: &&str| {
        let svg = std::fs::read_to_string(folder.join(file)).expect("the picture is there");
        check(file, &without_times(&place, &svg))
    };
    let mut wrong: Vec<String> = pictures.iter().filter_map(picture).collect();
    wrong.extend(check("report.md", &without_times(&place, &about_serving(&text))));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
