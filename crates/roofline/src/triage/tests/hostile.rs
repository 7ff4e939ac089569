//! Whatever the numbers are, findings are numbers.

use proptest::prelude::*;

use super::*;

fn number() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        any::<f64>().prop_map(Some),
        (0.0..2e3).prop_map(Some),
        prop::sample::select(vec![0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX]).prop_map(Some),
    ]
}

/// Fills the numbers of a row in turn.
fn facts(numbers: &[Option<f64>], whole: &[u64], limiter: usize, source: usize) -> Facts {
    let at = |index: usize| numbers.get(index).copied().flatten();
    let limiters = [Limiter::Compute, Limiter::Memory(Level::Dram), Limiter::Memory(Level::L2), Limiter::Link];
    let sources = [RoofSource::Datasheet, RoofSource::Observed, RoofSource::Measured];
    let mut roof = roof(limiters[limiter % 4], sources[source % 3], at(0).unwrap_or(120.0));
    (roof.math_ns, roof.memory_ns, roof.link_ns, roof.clock_hz, roof.units) = (at(1), at(2), at(3), at(4), at(5));
    let mut flop = flop(Precision::MatrixF16);
    (flop.peak, flop.sparse_peak, flop.acc16_peak, flop.packed_peak) = (at(6), at(7), at(8), at(9));
    flop.ops = at(10).unwrap_or(1.0);
    let bytes_source = [None, Some(Source::Analytic), Some(Source::Counter)][limiter % 3];
    let metric = |name: &str| name.to_owned();
    Facts {
        name: Some(metric("sparse_moe_attention_h16816")),
        launches: whole.first().copied(),
        time_ns: at(11),
        replay_ns: at(12),
        timer_ns: at(13),
        overlap_ratio: at(14),
        roof: Some(roof.clone()),
        other_roofs: vec![roof],
        flop: vec![flop],
        counter_flop: at(15),
        analytic_flop: at(16),
        bytes_source,
        counter_bytes: at(17),
        counter_read_bytes: at(18),
        counter_write_bytes: at(19),
        compulsory_bytes: at(20),
        compulsory_read_bytes: at(21),
        compulsory_write_bytes: at(22),
        elsewhere_bytes: at(23),
        cache_bytes: at(24),
        compressed_ratio: at(25),
        channels: whole.get(1).copied().zip(whole.get(2).copied()),
        passes: whole.get(3).copied(),
        digits_ratio: at(26),
        spread_ratio: at(27),
        counted_nodes: whole.get(4).copied(),
        clock_hz: at(28),
        units: at(29),
        cores: at(30),
        wire_bytes: at(31),
        links: vec![(metric("nvlink"), at(32).unwrap_or(1.0))],
        matched: Some(Matched::Name),
        misplaced_flop: at(36),
        parts_ratio: at(37),
        left_writes: at(38).zip(at(39)).map(|(written, missing)| LeftWrites { written, missing, launches: 0 }),
        percentages: vec![Percentage { metric: metric("L2 hit rate .sum valu util"), value: at(33).unwrap_or(101.0) }],
        negatives: vec![Negative {
            metric: metric("idle power"),
            min: at(34).unwrap_or(-1.0),
            max: at(35).unwrap_or(1.0),
            samples: 0,
            negative: u64::MAX,
        }],
        ..Facts::default()
    }
}

proptest! {
    #[test]
    fn any_numbers_give_findings_with_finite_sizes(
        numbers in prop::collection::vec(number(), 40),
        whole in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), 0..10u64], 5),
        limiter in 0..12usize,
        source in 0..3usize,
    ) {
        for finding in triage(&facts(&numbers, &whole, limiter, source)) {
            prop_assert!(finding.size.is_none_or(f64::is_finite), "{:?}", finding);
            prop_assert!(!finding.evidence.contains("NaN") && !finding.evidence.contains("inf "), "{:?}", finding);
        }
    }
}
