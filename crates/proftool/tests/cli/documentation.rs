//! What the documents and the help texts show runs, and prints what they say. `PROFTOOL_BLESS=1` rewrites the documents.

use super::support::{Place, copy_folder, repository};

/// The arguments of a command line; quotes only where they keep `*` from a shell.
fn arguments(line: &str) -> Vec<String> {
    line.split_whitespace().skip(1).map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// The first block of that language.
fn block(page: &str, language: &str) -> String {
    let lines = page.lines().skip_while(|line| *line != format!("```{language}")).skip(1);
    lines.take_while(|line| *line != "```").flat_map(|line| [line, "\n"]).collect()
}

/// The page with what its commands print now. A capture is run and its output, which holds the time, left out.
fn with_output(page: &str, place: &Place) -> String {
    let (mut text, mut shows) = (String::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            shows = line == "```console";
        }
        if !shows || line.starts_with("```") {
            text.extend([line, "\n"]);
        } else if let Some(command) = line.strip_prefix("$ ") {
            let arguments = arguments(command);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let printed = place.ok(&arguments).out;
            text.extend([line, "\n"]);
            if arguments[0] != "capture" {
                text.extend(printed.trim_end().lines().flat_map(|line| [line.trim_end(), "\n"]));
            }
        }
    }
    text
}

#[test]
fn the_commands_of_the_timeline_document_print_what_it_shows() {
    let file = repository().join("docs/timeline.md");
    let page = std::fs::read_to_string(&file).expect("the document is committed");
    let place = Place::new();
    copy_folder(&repository().join("artifacts/golden"), &place.path().join("artifacts/golden"));
    std::fs::write(place.path().join("my-kernels.toml"), block(&page, "toml")).expect("the file can be written");
    let found = with_output(&page, &place);
    if std::env::var_os("PROFTOOL_BLESS").is_some() {
        std::fs::write(&file, &found).expect("the document can be written");
    } else {
        let differs = page.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
        assert_eq!(differs, None, "PROFTOOL_BLESS=1 rewrites docs/timeline.md");
        assert_eq!(page.lines().count(), found.lines().count());
    }
}

#[test]
fn the_examples_in_the_help_of_analyze_and_list_run() {
    let page = std::fs::read_to_string(repository().join("docs/timeline.md")).expect("the document is committed");
    let place = Place::new();
    copy_folder(&repository().join("artifacts/golden/two_stage"), &place.path().join("artifacts/two_stage"));
    std::fs::write(place.path().join("my-kernels.toml"), block(&page, "toml")).expect("the file can be written");
    for command in ["analyze", "list"] {
        let help = place.ok(&[command, "--help"]).out;
        let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  proftool ")).collect();
        assert!(examples.len() > 3, "{help}");
        for example in examples {
            // Two blanks begin the remark.
            let line = format!("proftool {}", example.split("  ").next().unwrap_or(example));
            let arguments = arguments(&line);
            let ran = place.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(!ran.out.trim().is_empty(), "{line}");
        }
    }
}

#[test]
fn tables_show_the_first_rows_and_json_holds_all() {
    let place = Place::new();
    copy_folder(&repository().join("artifacts/golden/two_stage"), &place.path().join("artifacts/two_stage"));
    let gaps = |more: &[&str]| place.ok(&[&["analyze", "--metric", "gaps"], more].concat()).out;
    let all: Vec<serde_json::Value> =
        serde_json::from_str(&gaps(&["--rows", "2", "--format", "json"])).expect("an array of rows");
    let more = format!("... and {} more (--rows all, or --format json)", all.len() - 2);
    let table = gaps(&["--rows", "2"]);
    assert!(table.contains(&more), "{table}");
    let markdown = gaps(&["--rows", "2", "--format", "markdown"]);
    assert!(markdown.ends_with(&format!("|\n\n{more}\n\n")), "{markdown}");
    // The title, the headings, a line, two rows, the line about the rest; and two devices share the two rows.
    assert_eq!(table.trim_end().lines().count(), 6, "{table}");
    let devices: Vec<&str> = table.lines().skip(3).take(2).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(devices, ["0", "1"], "{table}");
    assert_eq!(gaps(&["--rows", "all"]).trim_end().lines().count(), 3 + all.len());
    assert_eq!(place.run(&["analyze", "--rows", "0"]).code, Some(2));
}

#[test]
fn results_without_rows_are_named_in_one_line() {
    let place = Place::new();
    copy_folder(&repository().join("artifacts/golden/two_stage"), &place.path().join("artifacts/two_stage"));
    let printed = place.ok(&["analyze", "--metric", "collectives", "--metric", "ranks", "--metric", "idle"]).out;
    assert!(printed.starts_with("idle\n") && printed.contains("no rows: collectives"), "{printed}");
}

#[test]
fn the_list_of_metrics_fits_a_hundred_columns() {
    let place = Place::new();
    let printed = place.ok(&["list", "metrics"]).out;
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");
    assert!(printed.contains("kv_transfer") && !printed.contains('…'), "{printed}");
}
