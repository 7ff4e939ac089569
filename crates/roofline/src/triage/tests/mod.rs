//! Every cause has a row that fires it and one that nearly does.

mod cases;
mod hostile;
mod rows;

use cases::{LIKELY, POSSIBLE, cases};
use rows::{compute, dram, flop, missing, negative, percentage, roof};

use super::*;
use crate::{Level, Limiter, Precision, RoofSource, Source};

#[test]
fn every_cause_has_one_row_that_fires_it_and_one_that_nearly_does() {
    let listed: Vec<_> = causes().map(|cause| (cause.symptom, cause.slug)).collect();
    let tested: Vec<_> = cases().into_iter().map(|(symptom, case)| (symptom, case.0)).collect();
    let mut unique = listed.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((unique.len(), listed), (tested.len(), tested));
    for (symptom, (slug, fires, confidence, misses)) in cases() {
        let found = triage(&fires);
        let fit = found.iter().find(|finding| (finding.symptom, finding.cause) == (symptom, slug));
        let fit = fit.unwrap_or_else(|| panic!("{slug} does not fire: {found:?}"));
        assert_eq!(fit.confidence, confidence, "{fit:?}");
        let near = triage(&misses);
        assert!(near.iter().any(|finding| finding.symptom == symptom), "the near miss of {slug} has no symptom");
        assert!(near.iter().all(|finding| (finding.symptom, finding.cause) != (symptom, slug)), "{slug}: {near:?}");
    }
}

#[test]
fn a_row_that_nothing_explains_says_so() {
    let found = triage(&compute());
    assert_eq!((found.len(), found[0].cause, found[0].size), (1, UNEXPLAINED, Some(1.2)));
    assert_eq!(found[0].evidence, "100.0 ns for 120.0 ns that the datasheet roof of compute allows");
    assert_eq!(triage(&missing())[0].cause, UNEXPLAINED);
    assert_eq!(triage(&percentage("SM Busy", 130.0))[0].cause, UNEXPLAINED);
    assert_eq!(triage(&negative("SM Active [%]", -50.0, 100.0))[0].cause, UNEXPLAINED);
}

#[test]
fn a_row_that_is_as_it_can_be_has_no_findings() {
    assert_eq!(triage(&Facts::default()), []);
    assert_eq!(triage(&Facts { time_ns: Some(120.0), ..compute() }), []);
    assert_eq!(triage(&Facts { counter_bytes: Some(990.0), ..missing() }), []);
    assert_eq!(triage(&percentage("SM Busy", 100.0)), []);
}

#[test]
fn likely_causes_come_first_and_each_metric_is_judged_alone() {
    let facts = Facts { clock_hz: Some(1.3e9), overlap_ratio: Some(0.5), timer_ns: Some(15.0), ..compute() };
    let order: Vec<_> = triage(&facts).iter().map(|finding| (finding.cause, finding.confidence)).collect();
    assert_eq!(order, [("boost_clock", LIKELY), ("overlapping_queues", POSSIBLE), ("timer_resolution", POSSIBLE)]);
    let mut two = percentage("VALU Utilization", 150.0);
    two.percentages.push(Percentage { metric: "SM Busy".to_owned(), value: 130.0 });
    let of: Vec<_> = triage(&two).into_iter().map(|finding| (finding.metric.unwrap(), finding.cause)).collect();
    assert_eq!(of, [("VALU Utilization".to_owned(), "dual_issue"), ("SM Busy".to_owned(), UNEXPLAINED)]);
}

/// Vector V12: the second dispatch of a copy on an MI200 with 8 MiB of L2 a die reads all and writes 5.8 of 8.4 MB back.
#[test]
fn writes_that_are_missing_are_dirty_lines() {
    let facts = Facts {
        counter_bytes: Some(14_218_112.0),
        counter_read_bytes: Some(8_389_504.0),
        counter_write_bytes: Some(5_828_608.0),
        compulsory_bytes: Some(16_777_216.0),
        compulsory_read_bytes: Some(8_388_608.0),
        compulsory_write_bytes: Some(8_388_608.0),
        cache_bytes: Some(8_388_608.0),
        ..Facts::default()
    };
    let found = triage(&facts);
    let only: Vec<_> = found.iter().map(|finding| (finding.cause, finding.confidence)).collect();
    assert_eq!(only, [("dirty_lines_in_cache", LIKELY)]);
    assert_eq!(
        found[0].evidence,
        "14.22 MB counted of 16.78 MB that must move; 5.83 MB of 8.39 MB written; 2.56 MB a launch would fit in 8.39 MB of cache"
    );
}

#[test]
fn counters_decide_between_a_cache_and_bytes_that_were_never_read() {
    // 900 of 1000 bytes a launch: 100 can be cached by 100 bytes, not by 99.
    let facts = |cache: f64| Facts {
        counter_bytes: Some(800.0),
        compulsory_bytes: Some(1000.0),
        cache_bytes: Some(cache),
        ..dram(Source::Analytic)
    };
    let causes = |facts: &Facts| -> Vec<_> {
        let found = triage(facts).into_iter().filter(|finding| finding.symptom == Symptom::AboveRoof);
        found.map(|finding| (finding.cause, finding.confidence)).collect()
    };
    assert_eq!(causes(&facts(200.0)), [("cache_reuse", LIKELY)]);
    assert_eq!(causes(&facts(199.0)), [("overcounted_bytes", LIKELY)]);
}

#[test]
fn a_row_that_took_no_time_is_above_its_roof() {
    let facts = Facts { time_ns: Some(0.0), timer_ns: Some(1000.0), ..compute() };
    let found = triage(&facts);
    assert_eq!((found[0].cause, found[0].confidence, found[0].size), ("timer_resolution", LIKELY, None));
}
