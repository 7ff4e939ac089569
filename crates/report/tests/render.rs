//! Whole reports from small artifacts.

mod sample;

use std::fs;
use std::path::Path;

use proftool_report::{Error, Options, render, roofline_svg};
use proftool_trace::manifest::Time;

fn text(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_pair_renders_every_section_and_picture_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let [baseline, optimized] = sample::pair(folder.path());
    let out = folder.path().join("report");
    let rendered = render(&[optimized, baseline], &out, &Options { html: true }).unwrap();
    let report = text(&out, "report.md");
    assert!(report.starts_with("# pipeline\\_parallelism on cpu-example-2c\n\n## Data problems"), "{report}");
    for heading in
        ["Headline", "What was run on what", "Roofline", "Timeline", "Pipeline bubble", "Where the ideal was lost"]
    {
        assert!(report.contains(&format!("\n## {heading}")), "{heading}");
    }
    assert!(report.contains("**faster: 1.833x the throughput of the baseline**"), "{report}");
    assert!(
        report.contains("| 55.0 ms | 30.0 ms | 1.833x | 1.812x to 1.851x | 3.1e-4 | 8 and 8 | 1.840x |"),
        "{report}"
    );
    let names: Vec<_> = rendered.pictures.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    let wanted = [
        "roofline-optimized.svg",
        "roofline-baseline.svg",
        "timeline-baseline.svg",
        "timeline-optimized.svg",
        "bubble.svg",
        "losses.svg",
    ];
    assert_eq!(names, wanted);
    for name in names {
        let svg = text(&out, name);
        assert!(report.contains(&format!("({name})")), "{name} is not shown");
        assert!(svg.len() < 300_000 && !svg.contains("NaN") && !svg.contains("inf\""), "{name}");
    }
    let page = text(&out, "report.html");
    assert!(page.matches("<svg").count() == 6 && !page.contains("<img") && !page.contains("http://localhost"));
}

/// Compares with `tests/golden/<file>`; `PROFTOOL_BLESS=1` writes it instead, for review as a difference.
fn assert_golden(folder: &Path, file: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("PROFTOOL_BLESS").is_some() {
        fs::copy(folder.join(file), &golden).unwrap();
    }
    let wanted = fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    assert!(
        text(folder, file) == wanted,
        "{file} differs from its golden file; bless with PROFTOOL_BLESS=1 and review"
    );
}

#[test]
fn the_sample_pair_renders_as_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let pair = sample::pair(folder.path());
    render(&pair, folder.path(), &Options::default()).unwrap();
    for file in ["report.md", "roofline-optimized.svg", "timeline-optimized.svg", "bubble.svg", "losses.svg"] {
        assert_golden(folder.path(), file);
    }
}

#[test]
fn texts_of_the_artifact_are_escaped_in_tables() {
    let folder = tempfile::tempdir().unwrap();
    let [baseline, _] = sample::pair(folder.path());
    render(&[baseline], folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains(r"3 ranges \| were &lt;dropped&gt;"), "{report}");
    assert!(report.contains("## Notes on the data"));
}

#[test]
fn a_run_without_any_metric_says_what_is_missing_and_still_renders() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::run_without_metrics(folder.path(), "optimized");
    render(std::slice::from_ref(&run), folder.path(), &Options { html: true }).unwrap();
    let report = text(folder.path(), "report.md");
    for metric in ["roofline", "bubble", "overlap", "kv_transfer"] {
        assert!(report.contains(&format!("`metrics/{metric}.parquet` is not in the artifact")), "{metric}: {report}");
    }
    assert!(folder.path().join("timeline.svg").exists() && !folder.path().join("roofline.svg").exists());
    assert!(matches!(roofline_svg(&run), Err(Error::NoRoofline { .. })));
}

#[test]
fn an_empty_artifact_still_renders() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::run_without_metrics(folder.path(), "baseline");
    fs::remove_dir_all(run.tables_dir()).unwrap();
    fs::remove_dir_all(run.metrics_dir()).unwrap();
    render(std::slice::from_ref(&run), folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains("No timeline") && report.contains("No ceilings are recorded"), "{report}");
}

#[test]
fn simulated_time_is_stated_at_the_top() {
    let folder = tempfile::tempdir().unwrap();
    let [mut run, _] = sample::pair(folder.path());
    run.manifest.time = Time::Simulated;
    render(&[run], folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.lines().nth(2).unwrap().starts_with("> **SIMULATED TIME.**"), "{report}");
}

#[test]
fn two_runs_that_are_no_pair_are_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let [baseline, _] = sample::pair(folder.path());
    let error = render(&[baseline.clone(), baseline], folder.path(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("hint"), "{error}");
    assert!(matches!(error, Error::Runs { runs: 2, .. }));
}

#[test]
fn a_truncated_metric_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [baseline, _] = sample::pair(folder.path());
    let file = baseline.metrics_dir().join("bubble.parquet");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = render(&[baseline], folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("bubble.parquet"), "{error}");
}

#[test]
#[ignore = "writes a sample report to look at, below the target directory's tmp"]
fn sample_report() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sample-report");
    let _ = fs::remove_dir_all(&folder);
    let pair = sample::pair(&folder.join("artifacts"));
    render(&pair, &folder, &Options { html: true }).unwrap();
    fs::write(folder.join("single.svg"), roofline_svg(&pair[1]).unwrap()).unwrap();
}
