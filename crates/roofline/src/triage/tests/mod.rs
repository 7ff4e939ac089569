//! Every cause has a row that fires it and one that nearly does.

mod cases;
mod hostile;
mod rows;

use cases::{LIKELY, POSSIBLE, cases};
use rows::{compute, dram, flop, left, matrix, missing, negative, percentage, roof};

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
    assert_eq!(triage(&left(100.0, 1, Some(1e9))), [], "a percent of what was written");
    let of_shapes = Facts { misplaced_flop: Some(6000.0), ..matrix(|flop| flop.source = Source::Analytic) };
    assert!(triage(&of_shapes).iter().all(|finding| finding.symptom == Symptom::AboveRoof));
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

/// The second and third dispatch of the same copy, by counters alone: 2 x 8 388 608 bytes written to the L2, of which
/// 64 x (131072 - 91072) and 64 x (131072 - 91113) did not leave it.
#[test]
fn writes_that_did_not_leave_the_cache_are_dirty_lines_without_any_shapes() {
    let writes = LeftWrites { written: 16_777_216.0, missing: 2_560_000.0 + 2_557_376.0, launches: 2 };
    let facts = |cache| Facts { left_writes: Some(writes), cache_bytes: Some(cache), ..Facts::default() };
    let found = triage(&facts(8_388_608.0));
    assert_eq!((found.len(), found[0].symptom), (1, Symptom::UnderCompulsoryBytes));
    assert_eq!((found[0].cause, found[0].confidence), ("dirty_lines_in_cache", POSSIBLE));
    // 11 659 840 of 16 777 216 bytes, 2 558 688 missing in each.
    assert_eq!(found[0].size, Some(11_659_840.0 / 16_777_216.0));
    assert_eq!(
        found[0].evidence,
        "of 2 launches 11.66 MB reached the memory of 16.78 MB that were written to the last-level cache; the other 2.56 \
         MB a launch would fit in 8.39 MB of cache, unless lines were written twice"
    );
    // A byte less of cache than a launch lacks.
    assert_eq!(triage(&facts(2_558_687.0))[0].cause, UNEXPLAINED);
    assert_eq!(triage(&left(101.0, 1, None))[0].cause, "dirty_lines_in_cache");
}

#[test]
fn shapes_say_better_what_must_move_than_writes_do() {
    let facts = Facts { left_writes: left(500.0, 1, None).left_writes, ..missing() };
    let found = triage(&facts);
    assert_eq!((found.len(), found[0].size, found[0].cause), (1, Some(0.8), UNEXPLAINED));
}

/// A matrix product in singles on an A100: 67 161 292 800 of its tensor instructions, all, are half-precision FMA.
#[test]
fn flop_that_are_none_are_flagged_below_the_roof_too() {
    let part = |precision, ops| FlopFact { precision, ops, ..flop(precision) };
    let misplaced = 512.0 * 67_161_292_800.0;
    let facts = Facts {
        flop: vec![
            part(Precision::F32, 68_719_476_736_000.0),
            part(Precision::F16, 4_298_322_739_200.0),
            part(Precision::MatrixF16, misplaced),
            part(Precision::MatrixI8, 1e15),
        ],
        misplaced_flop: Some(misplaced),
        ..Facts::default()
    };
    let found = triage(&facts);
    let only: Vec<_> = found.iter().map(|finding| (finding.symptom, finding.cause, finding.confidence)).collect();
    assert_eq!(only, [(Symptom::OverstatedFlop, "vector_in_matrix_pipe", LIKELY)]);
    // 107 404 381 388 800 / 73 017 799 475 200; 34 386 581 913 600 are 32.0 %.
    assert_eq!(found[0].size, Some(107_404_381_388_800.0 / 73_017_799_475_200.0));
    assert_eq!(
        found[0].evidence,
        "34.39 TFLOP of 107.4 TFLOP that were counted are none; 32.0 %: tensor instructions that are half-precision FMA \
         of the vector units"
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
