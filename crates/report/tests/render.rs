//! Whole reports from small artifacts.

mod sample;

use std::fs;
use std::path::Path;

use proftool_report::{Against, Error, Options, RooflineOptions, goodput_chart, render, roofline_chart, roofline_svg};
use proftool_trace::Artifact;
use proftool_trace::manifest::Time;

fn text(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn a_pair_renders_every_section_and_picture_in_either_order() {
    let folder = tempfile::tempdir().unwrap();
    let [baseline, optimized] = sample::pair(folder.path());
    let out = folder.path().join("report");
    let rendered = render(&[optimized, baseline], &out, &Options { html: true, rules: None }).unwrap();
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
fn a_serving_capture_on_two_gpus_renders_as_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let gpus = sample::gpus(&folder.path().join("two"));
    render(std::slice::from_ref(&gpus), folder.path(), &Options { html: true, rules: None }).unwrap();
    let report = text(folder.path(), "report.md");
    for heading in [
        "Numbers that cannot be",
        "Work that is not on the roofline",
        "Roofs of each device",
        "Phases",
        "Step waterfall",
    ] {
        assert!(report.contains(&format!("\n## {heading}")), "{heading}: {report}");
    }
    fs::rename(folder.path().join("report.md"), folder.path().join("serving.md")).unwrap();
    fs::rename(folder.path().join("roofline.svg"), folder.path().join("roofline-gpus.svg")).unwrap();
    let gpu = sample::gpu(&folder.path().join("one"));
    fs::write(folder.path().join("roofline-gpu.svg"), roofline_svg(&gpu).unwrap()).unwrap();
    let normalised = RooflineOptions { normalised: true, ..RooflineOptions::default() };
    fs::write(folder.path().join("roofline-normalised.svg"), roofline_chart(&[&gpus], &normalised).unwrap()).unwrap();
    for file in ["serving.md", "roofline-gpu.svg", "roofline-gpus.svg", "roofline-normalised.svg", "waterfall.svg"] {
        assert_golden(folder.path(), file);
    }
}

#[test]
fn timeline_metrics_of_two_ranks_render_as_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::timeline(folder.path());
    let rendered = render(std::slice::from_ref(&run), folder.path(), &Options { html: true, rules: None }).unwrap();
    let report = text(folder.path(), "report.md");
    // What to do first stands before every number.
    assert!(report.find("## What to do first").unwrap() < report.find("## What was run on what").unwrap());
    let headings = [
        "Idle: where each device waited",
        "Steps",
        "Ranges",
        "Critical path",
        "Copies",
        "Classes",
        "Ranks",
        "Collectives by message size",
        "Launching",
        "Host calls",
        "Sampled metrics",
        "Power and clocks",
    ];
    for heading in headings {
        assert!(report.contains(&format!("\n## {heading}")), "{heading}: {report}");
    }
    for picture in &rendered.pictures {
        let svg = fs::read_to_string(picture).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{}", picture.display());
    }
    fs::rename(folder.path().join("report.md"), folder.path().join("timeline.md")).unwrap();
    let pictures = [
        "idle.svg",
        "steps.svg",
        "critical_path.svg",
        "bubble_iterations.svg",
        "ranks.svg",
        "collectives.svg",
        "queue_depth.svg",
        "kernel_durations.svg",
    ];
    for file in ["timeline.md"].into_iter().chain(pictures) {
        assert_golden(folder.path(), file);
    }
}

#[test]
fn requests_that_were_served_without_a_timeline_render_as_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::serving(folder.path());
    let rendered = render(std::slice::from_ref(&run), folder.path(), &Options { html: true, rules: None }).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains("## What users felt (simulated)") && !report.contains("## Timeline"), "{report}");
    let pictures = ["ttft_split.svg", "serving_time.svg", "serving_distribution.svg", "device_load.svg"];
    assert_eq!(rendered.pictures.len(), pictures.len());
    for picture in pictures {
        let svg = text(folder.path(), picture);
        // A picture that is shown alone says what its numbers are.
        assert!(svg.contains("(simulated)") && !svg.contains("NaN") && !svg.contains("inf\""), "{picture}");
    }
    fs::rename(folder.path().join("report.md"), folder.path().join("requests.md")).unwrap();
    for file in ["requests.md"].into_iter().chain(pictures) {
        assert_golden(folder.path(), file);
    }
}

#[test]
fn a_sweep_is_a_line_of_goodput_over_the_rate_of_arrivals() {
    let folder = tempfile::tempdir().unwrap();
    let runs: Vec<_> = (1..=4).map(|load| sample::swept(&folder.path().join(load.to_string()), load)).collect();
    let svg = goodput_chart(&runs.iter().collect::<Vec<_>>(), Some(0.9)).unwrap().unwrap();
    assert!(svg.contains("(simulated)") && svg.contains(">wanted share<") && !svg.contains("NaN"), "{svg}");
    fs::write(folder.path().join("goodput_rate.svg"), svg).unwrap();
    assert_golden(folder.path(), "goodput_rate.svg");
    assert_eq!(goodput_chart(&[&runs[0]], None).unwrap(), None);
}

#[test]
fn a_roofline_that_is_alone_in_its_artifact_still_draws_and_so_does_one_without_any_roof() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = sample::gpu(folder.path());
    for entry in fs::read_dir(gpu.metrics_dir()).unwrap().flatten() {
        if entry.path().file_stem().unwrap() != "roofline" {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let svg = roofline_svg(&gpu).unwrap();
    assert!(svg.contains("nvjet_tst_192x192") && svg.contains("datasheet peak"), "{svg}");
    render(std::slice::from_ref(&gpu), folder.path(), &Options::default()).unwrap();
    assert!(!text(folder.path(), "report.md").contains("## Step waterfall"));
}

#[test]
fn hundreds_of_families_with_hostile_numbers_stay_a_small_picture() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = sample::crowd(folder.path(), 900);
    for normalised in [false, true] {
        let all = RooflineOptions { cut_ratio: Some(1.0), normalised, ..RooflineOptions::default() };
        for options in [RooflineOptions { normalised, ..RooflineOptions::default() }, all] {
            let svg = roofline_chart(&[&crowd], &options).unwrap();
            assert!(svg.len() < 600_000 && !svg.contains("NaN") && !svg.contains("inf\""), "{} bytes", svg.len());
        }
    }
    let svg = roofline_svg(&crowd).unwrap();
    assert!(
        svg.contains("Drawn are the 400 families that ran longest; ") && svg.contains("more families without FLOP"),
        "{svg}"
    );
}

#[test]
fn filters_choose_what_is_drawn_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = sample::gpu(folder.path());
    let with = |options: RooflineOptions| roofline_chart(&[&gpu], &options);
    let decode = with(RooflineOptions { phases: vec!["decode".into()], ..RooflineOptions::default() }).unwrap();
    assert!(decode.contains("only decode") && !decode.contains("flash_fwd") && decode.contains("paged_attention"));
    let f32 = with(RooflineOptions { precisions: vec!["f32".into()], ..RooflineOptions::default() }).unwrap();
    assert!(f32.contains("f32 66.9 TFLOP/s") && !f32.contains("matrix_bf16"), "{f32}");
    let l2 = with(RooflineOptions { level: Some("l2".into()), ..RooflineOptions::default() }).unwrap();
    assert!(
        l2.contains("L2 7.10 TB/s measured") && !l2.contains("3.35 TB/s") && !l2.contains("the same work per byte")
    );
    let sheet = with(RooflineOptions { against: Some(Against::Datasheet), ..RooflineOptions::default() }).unwrap();
    assert!(sheet.contains("of datasheet DRAM") && !sheet.contains("2.98 TB/s"), "{sheet}");
    // The first family takes 31 of about 91 ms: 20 % of the time needs no other.
    let cut = with(RooflineOptions { cut_ratio: Some(0.2), ..RooflineOptions::default() }).unwrap();
    assert!(cut.contains("Drawn are the families that ran longest, up to 20.0 % of the time; 8 more"), "{cut}");
    let none = with(RooflineOptions { phases: vec!["train".into()], ..RooflineOptions::default() }).unwrap_err();
    assert!(none.to_string().contains("no row is of train"), "{none}");
}

#[test]
fn several_runs_share_a_chart_up_to_six() {
    let folder = tempfile::tempdir().unwrap();
    let gpu = sample::gpu(folder.path());
    let [baseline, optimized] = sample::pair(folder.path());
    let svg = roofline_chart(&[&gpu, &baseline, &optimized], &RooflineOptions::default()).unwrap();
    assert!(svg.contains("(1) 20260131T120000Z-serving") && svg.contains("(3) DRAM 18.0 GB/s measured"), "{svg}");
    assert!(!svg.contains("NaN") && !svg.contains("inf\""));
    let error = roofline_chart(&[&gpu; 7], &RooflineOptions::default()).unwrap_err().to_string();
    assert!(error.contains("at most 6 runs") && error.contains("hint"), "{error}");
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
    render(std::slice::from_ref(&run), folder.path(), &Options { html: true, rules: None }).unwrap();
    let report = text(folder.path(), "report.md");
    for metric in ["roofline", "bubble", "overlap", "kv_transfer"] {
        assert!(report.contains(&format!("`metrics/{metric}.parquet` is not in the artifact")), "{metric}: {report}");
    }
    let optional =
        ["Idle", "Steps", "Ranges", "Critical path", "Copies", "Ranks", "Collectives", "Launching", "Host calls"];
    for heading in optional.into_iter().chain(["Sampled", "Power"]) {
        assert!(!report.contains(&format!("\n## {heading}")), "{heading}: {report}");
    }
    assert!(folder.path().join("timeline.svg").exists() && !folder.path().join("roofline.svg").exists());
    assert!(matches!(roofline_svg(&run), Err(Error::NoRoofline { .. })));
    let hint = roofline_svg(&run).unwrap_err().to_string();
    assert!(hint.contains("proftool capture --target NAME --profile minimal"), "{hint}");
}

#[test]
fn a_single_run_shows_no_comparison_that_an_earlier_report_of_its_pair_left() {
    let folder = tempfile::tempdir().unwrap();
    let [_, optimized] = sample::pair(folder.path());
    assert!(optimized.metrics_dir().join("comparison.parquet").exists());
    render(&[optimized], folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains("A single run carries no comparison.") && !report.contains("p value"), "{report}");
    assert!(!report.contains("Where the ideal was lost") && !folder.path().join("losses.svg").exists());
}

#[test]
fn a_pair_without_a_comparison_names_the_command_that_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let pair = sample::pair(folder.path());
    for metric in ["comparison", "losses"] {
        fs::remove_file(pair[1].metrics_dir().join(format!("{metric}.parquet"))).unwrap();
    }
    render(&pair, folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    for metric in ["comparison", "losses"] {
        let hint = format!("`metrics/{metric}.parquet` is not in the artifact; `proftool report --artifacts DIR`");
        assert!(report.contains(&hint), "{metric}: {report}");
    }
}

#[test]
fn wrong_outputs_of_either_run_are_said_before_any_number_and_leave_no_claim() {
    for wrong in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let mut pair = sample::pair(folder.path());
        pair[wrong].manifest.results.verified = false;
        render(&pair, folder.path(), &Options::default()).unwrap();
        let report = text(folder.path(), "report.md");
        let label = ["baseline", "optimized"][wrong];
        let said = format!("**WRONG OUTPUTS: verification failed ({label}).**");
        assert!(report.lines().nth(2).unwrap().starts_with(&format!("> {said}")), "{report}");
        let headline = report.split("## Headline").nth(1).unwrap();
        assert!(headline.trim_start().starts_with(&said), "{headline}");
        assert!(!report.contains("**faster") && !report.contains("p value"), "{report}");
    }
}

#[test]
fn a_run_without_checks_is_not_called_wrong_but_unverified() {
    let folder = tempfile::tempdir().unwrap();
    let [mut run, _] = sample::pair(folder.path());
    run.manifest.results.verified = false;
    run.manifest.results.checks.clear();
    render(&[run], folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains("**OUTPUTS NOT VERIFIED (baseline).**") && !report.contains("WRONG OUTPUTS"), "{report}");
    assert!(report.contains("**No claim is made.**"), "{report}");
}

#[test]
fn an_empty_artifact_still_renders() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = sample::run_without_metrics(folder.path(), "baseline");
    run.manifest.tables.clear();
    fs::remove_dir_all(run.tables_dir()).unwrap();
    fs::remove_dir_all(run.metrics_dir()).unwrap();
    render(std::slice::from_ref(&run), folder.path(), &Options::default()).unwrap();
    let report = text(folder.path(), "report.md");
    assert!(report.contains("No timeline") && report.contains("No ceilings are recorded"), "{report}");
}

#[test]
fn a_run_without_findings_says_whether_a_rule_could_find_any() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = sample::without_findings(folder.path());
    let said = |run: &Artifact| {
        render(std::slice::from_ref(run), folder.path(), &Options::default()).unwrap();
        text(folder.path(), "report.md")
    };
    let report = said(&run);
    assert!(report.contains("No finding for baseline: no rule found a cost"), "{report}");
    run.manifest.tables.clear();
    fs::remove_dir_all(run.tables_dir()).unwrap();
    let report = said(&run);
    assert!(report.contains(": nothing ran on a device, so no rule could look for costs."), "{report}");
}

#[test]
fn times_at_the_ends_of_their_type_render() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::run_with_hostile_times(folder.path());
    render(&[run], folder.path(), &Options::default()).unwrap();
    let svg = text(folder.path(), "timeline.svg");
    assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
}

#[test]
fn the_timeline_draws_the_pass_of_the_first_activity_and_its_first_ranks_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let run = sample::run_with_two_passes(folder.path());
    render(&[run], folder.path(), &Options::default()).unwrap();
    let svg = text(folder.path(), "timeline.svg");
    assert!(svg.contains("pass first;") && svg.contains("Block 0 of 0 to 0"), "{svg}");
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
    render(&pair, &folder, &Options { html: true, rules: None }).unwrap();
    fs::write(folder.join("single.svg"), roofline_svg(&pair[1]).unwrap()).unwrap();
    let gpus = sample::gpus(&folder.join("gpus"));
    render(std::slice::from_ref(&gpus), &folder.join("gpu"), &Options { html: true, rules: None }).unwrap();
    let gpu = sample::gpu(&folder.join("gpu-artifact"));
    let chart = |name: &str, runs: &[&Artifact], options: &RooflineOptions| {
        fs::write(folder.join(name), roofline_chart(runs, options).unwrap()).unwrap();
    };
    let normalised = RooflineOptions { normalised: true, ..RooflineOptions::default() };
    chart("gpus-normalised.svg", &[&gpus], &normalised);
    chart("two-runs.svg", &[&gpus, &pair[1]], &RooflineOptions::default());
    chart("two-runs-normalised.svg", &[&gpus, &pair[1]], &normalised);
    let decode = RooflineOptions { phases: vec!["decode".into()], ..RooflineOptions::default() };
    let crowd = sample::crowd(&folder.join("crowd"), 900);
    chart("crowd.svg", &[&crowd], &RooflineOptions::default());
    chart("gpu.svg", &[&gpu], &RooflineOptions::default());
    chart("decode.svg", &[&gpu], &decode);
    chart("l2.svg", &[&gpu], &RooflineOptions { level: Some("L2".into()), ..RooflineOptions::default() });
}
