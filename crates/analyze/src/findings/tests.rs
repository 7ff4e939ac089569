//! Each rule fires on one recording and not on a near miss of it; what the real files say is in `findings/tests/files.rs`.

mod cases;
mod files;
mod waiting;

use std::collections::BTreeSet;

use super::*;
use crate::metrics::METRICS;
use crate::windows::Window;
use cases::{CASES, Given};
use proftool_trace::frame::Tables;

fn with(given: &Given, find: impl Fn(&Input) -> Vec<Finding>) -> Vec<Finding> {
    let input = Input::new("run", "target", &given.tables, Window::Default);
    let input = match &given.manifest {
        Some(manifest) => input.with_manifest(manifest),
        None => input,
    };
    find(&input)
}

fn found(given: &Given) -> Vec<Finding> {
    with(given, |input| find(input).unwrap())
}

#[test]
fn the_rules_are_listed_once_in_order_and_each_has_a_case() {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    let sorted: Vec<&str> = rules.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(rules, sorted);
    let cases: Vec<&str> = CASES.iter().map(|case| case.code).collect();
    assert_eq!(cases, rules);
    assert!(RULES.iter().all(|rule| rule.doc.ends_with('.')));
    let pairs = INSTEAD.iter().flat_map(|(general, telling)| [general, telling]);
    assert!(pairs.into_iter().all(|code| rules.contains(code)));
}

#[test]
fn each_rule_fires_on_its_case_and_not_on_the_near_miss() {
    let mut wrong = Vec::new();
    for case in CASES {
        // A more telling finding may take its place in the list.
        let rule = RULES.iter().find(|rule| rule.code == case.code).unwrap();
        let fires = |given: &Given| with(given, |input| merged((rule.apply)(input).unwrap())).into_iter().next();
        match fires(&(case.fires)()) {
            Some(one) if one.size_ns == case.size_ns => {}
            other => wrong.push(format!("{}: {:?} expected, {other:?}", case.code, case.size_ns)),
        }
        wrong.extend(fires(&(case.near_miss)()).map(|one| format!("near miss: {one:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_names_a_row_and_says_what_to_do() {
    for one in CASES.iter().flat_map(|case| found(&(case.fires)())) {
        let (metric, keys) = one.row.strip_prefix("metric ").unwrap().split_once(": ").unwrap();
        let metric = METRICS.iter().find(|known| known.name == metric).unwrap();
        for key in keys.split(", ") {
            let name = key.split(' ').next().unwrap();
            assert!(metric.table.column(name).is_some(), "{}: {key}", one.row);
        }
        let texts = [one.title.as_str(), one.evidence.as_str(), one.advice];
        assert!(texts.iter().all(|text| !text.is_empty() && !text.contains("  ")), "{one:?}");
        assert!(texts.iter().all(|text| !text.contains("NaN") && !text.contains("inf ")), "{one:?}");
        assert!(one.kind != Kind::Data || one.size_ns.is_none(), "{one:?}");
        assert!(one.size_ns.is_none_or(|size| size >= 0), "{one:?}");
    }
}

#[test]
fn nothing_is_found_in_empty_tables() {
    assert_eq!(found(&Given { tables: Tables::default(), manifest: None }), []);
}

fn finding(code: &'static str, device: i64, size_ns: Option<i64>) -> Finding {
    let kind = if size_ns.is_some() { Kind::Time } else { Kind::Data };
    Finding {
        code,
        kind,
        severity: Severity::Low,
        title: String::new(),
        size_ns,
        span_ns: None,
        rank: Some(0),
        device: Some(device),
        window: Some("trace".to_owned()),
        devices: 1,
        evidence: String::new(),
        row: String::new(),
        advice: "",
        limits: None,
    }
}

#[test]
fn findings_of_several_devices_are_one_of_the_most_expensive() {
    let rows = [finding("a", 0, Some(3)), finding("a", 1, Some(9)), finding("a", 2, Some(9))];
    let expected = Finding { devices: 3, ..finding("a", 1, Some(9)) };
    assert_eq!(merged(rows.to_vec()), std::slice::from_ref(&expected));
    let turned = rows.into_iter().rev().collect();
    assert_eq!(merged(turned), [expected], "whatever the order");
}

#[test]
fn a_telling_finding_takes_the_place_of_one_about_the_same_time() {
    let all = [finding("exposed_copy", 0, Some(100)), finding("sync_memcpy", 0, Some(80))];
    assert!(is_said(&all[0], &all) && !is_said(&all[1], &all));
    let smaller = [finding("exposed_copy", 0, Some(100)), finding("sync_memcpy", 0, Some(79))];
    assert!(!is_said(&smaller[0], &smaller));
    let other = Finding { window: Some("block 1".to_owned()), ..finding("sync_memcpy", 0, Some(100)) };
    assert!(!is_said(&all[0], &[other]), "of another window");
}

#[test]
fn costs_come_before_limits_of_the_data_and_large_ones_first() {
    let mut rows = [finding("data", 0, None), finding("small", 0, Some(1)), finding("large", 0, Some(2))];
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    assert_eq!(rows.map(|one| one.code), ["large", "small", "data"]);
}

#[test]
fn severity_is_by_the_share_of_the_window() {
    let severities = [19, 20, 5, 4].map(|size| Severity::of(size, 100));
    assert_eq!(severities, [Severity::Medium, Severity::High, Severity::Medium, Severity::Low]);
    assert_eq!(Severity::of(0, 0), Severity::Low);
    // A millisecond counts in any window, but does not matter in a minute.
    assert!(counts(LEAST_NS, i64::MAX) && !matters(LEAST_NS, 60_000 * LEAST_NS) && matters(LEAST_NS, 200 * LEAST_NS));
}
