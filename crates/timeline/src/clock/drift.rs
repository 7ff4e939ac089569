//! Whether one clock runs faster than another.

use super::median;

/// Fewest points that can show a drift.
const FEWEST: usize = 12;
/// How many times the noise the change must be.
const CLEAR: i64 = 4;

/// How much faster a clock runs than another, in parts per million, from points (time, how far it is ahead), in any
/// order.
///
/// The slope between the medians of the first and of the last third of the points in time. `None` where fewer than 12
/// points or no time between the thirds exist, or where the change is within 4 times the noise (the median distance of
/// the points of both thirds from their medians), at least 4 ns: most captures are too short to show a drift.
pub fn drift(points: &[(i64, i64)]) -> Option<f64> {
    let mut points = points.to_vec();
    points.sort_unstable();
    let third = points.len() / 3;
    if points.len() < FEWEST {
        return None;
    }
    let (first, last) = (&points[..third], &points[points.len() - third..]);
    let middle =
        |third: &[(i64, i64)], of: fn(&(i64, i64)) -> i64| median(&mut third.iter().map(of).collect::<Vec<_>>());
    let (from, to) = (middle(first, |point| point.1)?, middle(last, |point| point.1)?);
    let away = |third: &[(i64, i64)], from: i64| -> Vec<i64> {
        third.iter().map(|point| point.1.saturating_sub(from).saturating_abs()).collect()
    };
    let noise = median(&mut [away(first, from), away(last, to)].concat())?.max(1);
    let elapsed = middle(last, |point| point.0)?.saturating_sub(middle(first, |point| point.0)?);
    let change = to.saturating_sub(from);
    (elapsed > 0 && change.saturating_abs() > noise.saturating_mul(CLEAR)).then(|| change as f64 / elapsed as f64 * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_gains_is_told_from_one_that_is_merely_ahead() {
        // 20 us a second: 20 ppm, one point a millisecond.
        let gains: Vec<_> = (0..60).map(|at| (at * 1_000_000, 5_000 + at * 20)).collect();
        assert!((drift(&gains).unwrap() - 20.0).abs() < 1e-9);
        let ahead: Vec<_> = (0..60).map(|at| (at * 1_000_000, 5_000)).collect();
        assert_eq!(drift(&ahead), None);
        assert_eq!(drift(&gains[..11]), None, "too few");
        assert_eq!(drift(&[(7, 0), (7, 900)].repeat(6)), None, "no time between them");
    }

    proptest! {
        #[test]
        fn noise_alone_is_rarely_taken_for_drift_and_order_changes_nothing(
            noise in prop::collection::vec(-100..100_i64, 60), gain in -300..300_i64,
        ) {
            let points: Vec<_> = noise.iter().zip(0..).map(|(noise, at)| (at * 1_000, at * gain + noise)).collect();
            let backward: Vec<_> = points.iter().rev().copied().collect();
            prop_assert_eq!(drift(&points), drift(&backward));
            // The thirds are 40 points apart: their medians differ by 40 x gain, give or take the noise.
            if let Some(found) = drift(&points) {
                prop_assert!((found - gain as f64 * 1_000.0).abs() <= 200.0 / 40_000.0 * 1e6);
            }
            if gain == 0 {
                prop_assert!(drift(&points).is_none_or(|found| found.abs() <= 5_000.0));
            }
        }

        #[test]
        fn any_times_have_an_answer(points in prop::collection::vec((any::<i64>(), any::<i64>()), 0..40)) {
            prop_assert!(drift(&points).is_none_or(f64::is_finite));
        }
    }
}
