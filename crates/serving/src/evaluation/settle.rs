//! Whether a trend has come to rest: DESIGN's definition of settling.

use crate::nearest_rank;

/// A trend's rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// From the start to the first bin from which on all lie within a tenth of the final value; none where the last does not.
    pub after_ns: Option<i64>,
    /// Median of the bins of the last quarter, by the nearest rank.
    pub last: f64,
    /// The largest bin over the final value, less 1.
    pub overshoot_ratio: f64,
    /// Share of the bins that lie within a tenth of the final value.
    pub within_ratio: f64,
}

/// Means of the values whose time lies in each bin of `width_ns` from `start_ns` to `end_ns`; none in a bin without values.
pub fn bins(values: &[(i64, f64)], start_ns: i64, end_ns: i64, width_ns: i64) -> Vec<Option<f64>> {
    let width_ns = width_ns.max(1);
    let count = usize::try_from((end_ns - start_ns) / width_ns).unwrap_or(0);
    let mut sums = vec![(0_u32, 0.0); count];
    for &(at_ns, value) in values.iter().filter(|(at_ns, _)| *at_ns >= start_ns) {
        if let Some((number, sum)) = sums.get_mut(((at_ns - start_ns) / width_ns) as usize) {
            (*number, *sum) = (*number + 1, *sum + value);
        }
    }
    sums.into_iter().map(|(number, sum)| (number > 0).then(|| sum / f64::from(number))).collect()
}

/// When bins of `width_ns` have settled; none of less than four bins with a value, or where the final value is 0.
pub fn settling(bins: &[Option<f64>], width_ns: i64) -> Option<Settled> {
    let full: Vec<f64> = bins.iter().flatten().copied().collect();
    let mut quarter: Vec<f64> = bins[bins.len() - bins.len() / 4..].iter().flatten().copied().collect();
    quarter.sort_by(f64::total_cmp);
    let last = nearest_rank(&quarter, 0.5).filter(|_| full.len() >= 4)?;
    if last <= 0.0 {
        return None;
    }
    let within = |bin: f64| (bin / last - 1.0).abs() <= 0.1;
    let outside = bins.iter().rposition(|bin| bin.is_some_and(|bin| !within(bin)));
    let first = outside.map_or(0, |at| at + 1);
    let most = full.iter().copied().fold(0.0, f64::max);
    Some(Settled {
        after_ns: (first < bins.len()).then_some(first as i64 * width_ns),
        last,
        overshoot_ratio: most / last - 1.0,
        within_ratio: full.iter().filter(|&&bin| within(bin)).count() as f64 / full.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_settles_with_the_first_bin_from_which_all_are_near_the_end() {
        let trend = [10.0, 30.0, 19.0, 25.0, 21.0, 20.0, 19.5, 20.5].map(Some);
        let settled = settling(&trend, 5).expect("enough");
        // The last quarter is 19.5 and 20.5; from 19.5, 25 is further away than a tenth, 21 is not.
        assert_eq!((settled.after_ns, settled.last), (Some(20), 19.5));
        assert!((settled.overshoot_ratio - (30.0 / 19.5 - 1.0)).abs() < 1e-12);
        assert!((settled.within_ratio - 5.0 / 8.0).abs() < 1e-12);
        let restless = [20.0, 20.0, 20.0, 30.0, 20.0, 20.0, 20.0, 30.0].map(Some);
        assert_eq!(settling(&restless, 5).expect("enough").after_ns, None);
        assert_eq!(settling(&[Some(1.0); 3], 5), None);
        assert_eq!(settling(&[], 5), None);
        assert_eq!(settling(&[Some(0.0); 8], 5), None);
    }

    #[test]
    fn bins_are_means_and_empty_ones_have_none() {
        let values = [(0, 1.0), (9, 3.0), (25, 5.0), (30, 7.0), (-1, 9.0)];
        assert_eq!(bins(&values, 0, 30, 10), [Some(2.0), None, Some(5.0)]);
        assert!(bins(&values, 0, -5, 10).is_empty());
    }
}
