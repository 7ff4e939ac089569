//! Writes `docs/conformance.md`: values computed from imported tables beside those of other tools and of the sources.
//!
//! `PROFTOOL_BLESS=1 cargo test -p proftool-analyze --test conformance` rewrites the document; without it a difference
//! fails, and so does any value that is neither equal nor explained row by row.

mod bad_input;
mod check;
mod counters;
mod exact;
mod formats;
mod generated;
mod head;
mod hta;
mod nsys_stats;
mod number;
mod page;
mod promises;
mod published;
mod quantities;
mod requests;
mod results;
mod roofline;
mod scene;
mod sheet;
mod shuffle;
mod trace;
mod tracelens;

use std::path::Path;

use page::Section;
use proftool_trace::frame::{Tables, int_column, ints, texts};
use proftool_trace::tables::ACTIVITIES;
use trace::Trace;

/// The traces that one of the sources says something about.
const KINETO: &[&str] = &[
    "a100_alexnet",
    "a100_nccl_world2",
    "h100_qwen_0.5b",
    "mi300x_sglang_prefilldecode",
    "mi300x_vllm_piecewise_graph",
    "v100_train_216k_events",
];

fn kineto(shared: &Path) -> Vec<Section> {
    let golden = shared.join("golden");
    let (mut exact, mut hta, mut lens) = (exact::section(), hta::section(), tracelens::section());
    for name in KINETO {
        let trace = Trace::import(&shared.join(format!("data/kineto/{name}.json.gz")));
        exact::compare(&mut exact, &golden, &trace, name);
        if golden.join(format!("exact_ns_htawindow/{name}.json")).exists() {
            exact::compare_window(&mut exact, &golden, &trace, name);
        }
        if golden.join(format!("hta/{name}__temporal_breakdown.csv")).exists() {
            hta::compare(&mut hta, &golden, &trace, name);
        }
        if let Some(pair) = tracelens::REPORTS.iter().find(|(trace, _)| trace == name) {
            tracelens::compare(&mut lens, &golden, &trace, *pair);
        }
    }
    vec![exact, hta, lens]
}

fn nsys(shared: &Path) -> Vec<Section> {
    let (mut stats, mut published) = (nsys_stats::section(), published::section());
    let traces = nsys_stats::CAPTURES.iter().map(|(name, file)| {
        let trace = Trace::import(&shared.join("data/nsys").join(file));
        nsys_stats::compare(&mut stats, &shared.join("golden"), &trace, (name, file));
        (*name, trace)
    });
    let traces: std::collections::BTreeMap<&str, Trace> = traces.collect();
    published::h100_pair(&mut published, &traces["h100x2_train_before"], &traces["h100x2_train_after"]);
    published::v100_peer(&mut published, &traces["v100_single_gpu"]);
    vec![stats, formats::section(shared), published]
}

fn document(shared: &Path) -> (String, Vec<String>) {
    let sections = std::thread::scope(|scope| {
        let nsys = scope.spawn(|| nsys(shared));
        let mut sections = kineto(shared);
        sections.extend(nsys.join().unwrap());
        sections.extend([counters::section(shared), roofline::section(shared), requests::section(shared)]);
        sections
    });
    let mut text = head::text(&sections);
    for section in &sections {
        text.push_str(&section.text);
    }
    text.push_str(head::WITHOUT);
    text.push_str(include_str!("unverified.md"));
    let open = sections.into_iter().flat_map(|section| section.open).collect();
    (format!("{}\n", text.trim_end()), open)
}

/// Runs `test` where the shared data is; elsewhere it says so, and fails in CI.
fn with_data(test: impl FnOnce(&Path)) {
    match trace::shared() {
        Some(shared) => test(&shared),
        None if std::env::var_os("CI").is_some() => panic!("../shared is not there"),
        // Not a print macro: the test harness hides those.
        None => std::io::Write::write_all(&mut std::io::stderr(), b"skipped: data not found\n").unwrap(),
    }
}

#[test]
fn the_document_is_up_to_date_and_leaves_nothing_unexplained() {
    with_data(|shared| {
        let (text, open) = document(shared);
        assert!(open.is_empty(), "neither equal nor explained:\n{}", open.join("\n"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
        if std::env::var_os("PROFTOOL_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        let differing = stored.lines().zip(text.lines()).find(|(stored, new)| stored != new);
        assert!(
            stored == text,
            "docs/conformance.md is not what this test writes (hint: PROFTOOL_BLESS=1 rewrites it); first: {differing:?}"
        );
    });
}

/// What the document says is worth something only if an error would show.
#[test]
fn a_nanosecond_a_launching_call_and_a_lost_row_are_noticed() {
    // The change to the row of a kernel: its end, its call; none where the row is lost.
    type Harm = fn(i64, i64) -> Option<(i64, i64)>;
    let harms: [(&str, Harm); 3] = [
        ("a nanosecond more", |end, call| Some((end + 1, call))),
        ("another call", |end, _| Some((end, 0))),
        ("a row less", |_, _| None),
    ];
    with_data(|shared| {
        let (_, tables) = proftool_import::into_memory(&shared.join("data/kineto/a100_alexnet.json.gz")).unwrap();
        let open = |harm: Option<Harm>| {
            let mut section = exact::section();
            let trace = Trace::of(harm.map_or_else(|| tables.clone(), |harm| harmed(&tables, harm)));
            exact::compare(&mut section, &shared.join("golden"), &trace, "a100_alexnet");
            section.tally.unexplained
        };
        assert_eq!(open(None), 0);
        for (what, harm) in harms {
            assert!(open(Some(harm)) > 0, "{what}");
        }
    });
}

/// The tables with a change to their first kernel.
fn harmed(tables: &Tables, harm: fn(i64, i64) -> Option<(i64, i64)>) -> Tables {
    let mut frame = tables.get(&ACTIVITIES).clone();
    let kernel = texts(&frame, "kind").unwrap().iter().position(|kind| kind.as_deref() == Some("kernel")).unwrap();
    let [mut ends, mut calls] = ["end_ns", "call"].map(|column| ints(&frame, column).unwrap());
    let changed = harm(ends[kernel].unwrap(), calls[kernel].unwrap());
    if let Some((end, call)) = changed {
        (ends[kernel], calls[kernel]) = (Some(end), Some(call));
    }
    frame.with_column(int_column("end_ns", ends)).unwrap();
    frame.with_column(int_column("call", calls)).unwrap();
    let keep: polars::prelude::BooleanChunked =
        (0..frame.height()).map(|place| Some(place != kernel || changed.is_some())).collect();
    let mut tables = tables.clone();
    tables.set(&ACTIVITIES, frame.filter(&keep).unwrap()).unwrap();
    tables
}

#[test]
fn a_report_gives_the_tables_of_its_export_where_nsys_can_read_it() {
    with_data(|shared| {
        if let Err(reason) = formats::report(shared) {
            // A missing tool is the machine's fault, which CI does not accept; a report newer than it is nobody's.
            let newer = reason.contains("reads no newer reports");
            let what = if newer { "not compared" } else { "skipped" };
            std::io::Write::write_all(&mut std::io::stderr(), format!("{what}: {reason}\n").as_bytes()).unwrap();
        }
    });
}
