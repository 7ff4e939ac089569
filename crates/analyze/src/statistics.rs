//! Medians, percentiles, the bootstrap and the rank test, each with its definition.

/// The median of integers: the middle value, or the midpoint of the middle two rounded down. `None` for no values.
pub fn median_ns(values: &[i64]) -> Option<i64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((i128::midpoint(i128::from(values[values.len() / 2 - 1]), i128::from(upper))) as i64)
}

/// The median of floats: the middle value, or the mean of the middle two. `None` for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 0.5)
}

/// The `share` quantile (0..=1) by linear interpolation between closest ranks: position `share * (n - 1)` of the sorted
/// values, counted from 0 (definition 7 of Hyndman and Fan, 1996; the default of R and NumPy). `None` for no values.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let position = share.clamp(0.0, 1.0) * values.len().checked_sub(1)? as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    Some(values[below] + (values[above] - values[below]) * (position - below as f64))
}

/// The sample standard deviation (denominator n - 1), `None` for fewer than two values.
pub fn standard_deviation(values: &[i64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().map(|value| *value as f64).sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (*value as f64 - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// A small, fast, seeded generator (SplitMix64, Steele et al., 2014): the same seed gives the same interval everywhere.
#[derive(Clone, Debug)]
pub struct Generator(u64);

impl Generator {
    /// Starts the sequence of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number in `0..count`; the bias of the multiplication is below `count / 2^64`.
    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }
}

/// An interval for a statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower limit.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
}

/// A percentile bootstrap interval (Efron, 1979) for median(a) / median(b): both samples are resampled with replacement
/// `rounds` times, each by itself. When the values are those of whole blocks, this is a block bootstrap of what was
/// streamed inside them. `None` when a sample is empty or a median of `b` is 0.
pub fn ratio_interval(a: &[f64], b: &[f64], confidence: f64, rounds: usize, seed: u64) -> Option<Interval> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut generator = Generator::new(seed);
    let mut ratios = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let (top, bottom) = (resampled_median(a, &mut generator)?, resampled_median(b, &mut generator)?);
        if bottom == 0.0 {
            return None;
        }
        ratios.push(top / bottom);
    }
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval { low: percentile(&ratios, tail)?, high: percentile(&ratios, 1.0 - tail)? })
}

fn resampled_median(values: &[f64], generator: &mut Generator) -> Option<f64> {
    let drawn: Vec<f64> = values.iter().map(|_| values[generator.below(values.len())]).collect();
    median(&drawn)
}

/// The Mann-Whitney U of `a` over `b`: pairs in which the value of `a` is larger, a tie counted as a half.
pub fn mann_whitney_u(a: &[f64], b: &[f64]) -> f64 {
    let score = |x: f64, y: f64| match x.total_cmp(&y) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    a.iter().flat_map(|x| b.iter().map(move |y| score(*x, *y))).sum()
}

/// The largest number of value pairs for which the rank test enumerates its exact distribution.
const EXACT_PAIRS: usize = 2_500;

/// The two-sided p-value of the Mann-Whitney rank test (1947): are the values of one sample larger than those of the
/// other? Without ties and with at most 2500 pairs the exact distribution of U is used, else the normal approximation
/// with continuity correction and the tie correction of the variance (Hollander and Wolfe, 1973). `None` when a sample
/// is empty.
pub fn rank_test(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let u = mann_whitney_u(a, b);
    let ties = tie_groups(a, b);
    if ties.is_empty() && a.len() * b.len() <= EXACT_PAIRS {
        return Some(exact_p(u.min((a.len() * b.len()) as f64 - u), a.len(), b.len()));
    }
    Some(normal_p(u, a.len() as f64, b.len() as f64, &ties))
}

/// Sizes of the groups of equal values in both samples together.
fn tie_groups(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = a.iter().chain(b).copied().collect();
    values.sort_by(f64::total_cmp);
    let groups = values.chunk_by(|x, y| x.total_cmp(y).is_eq());
    groups.filter(|group| group.len() > 1).map(|group| group.len() as f64).collect()
}

/// P(U <= u) twice, at most 1, from the counts of arrangements with each U: the coefficients of the Gaussian binomial.
fn exact_p(u: f64, m: usize, n: usize) -> f64 {
    let pairs = m * n;
    let mut counts = vec![0.0_f64; pairs + 1];
    counts[0] = 1.0;
    // Times prod_{i=1..m} (1 - q^(n+i)) / (1 - q^i), each factor in turn; floats are exact enough and cannot overflow.
    for i in 1..=m {
        for at in (n + i..=pairs).rev() {
            counts[at] -= counts[at - n - i];
        }
        for at in i..=pairs {
            counts[at] += counts[at - i];
        }
    }
    let below: f64 = counts[..=u as usize].iter().sum();
    (2.0 * below / counts.iter().sum::<f64>()).min(1.0)
}

fn normal_p(u: f64, m: f64, n: f64, ties: &[f64]) -> f64 {
    let all = m + n;
    let tied: f64 = ties.iter().map(|size| size.powi(3) - size).sum();
    let variance = m * n / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((u - m * n / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    complementary_error(z / std::f64::consts::SQRT_2)
}

/// erfc for x >= 0, to 1.2e-7 relative (Numerical Recipes, `erfcc`).
fn complementary_error(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    t * (series - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    #[test]
    fn medians_take_the_middle_or_the_midpoint() {
        assert_eq!(median_ns(&[3, 1, 2]), Some(2));
        assert_eq!(median_ns(&[4, 1, 2, 3]), Some(2));
        assert_eq!(median_ns(&[]), None);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn percentiles_interpolate_like_definition_seven() {
        // numpy.percentile([15, 20, 35, 40, 50], 40) = 29.
        assert_eq!(percentile(&[50.0, 15.0, 40.0, 20.0, 35.0], 0.4), Some(29.0));
        assert_eq!(percentile(&[1.0, 2.0], 1.0), Some(2.0));
    }

    #[test]
    fn standard_deviation_divides_by_n_minus_one() {
        close(standard_deviation(&[2, 4, 4, 4, 5, 5, 7, 9]).unwrap(), (32.0_f64 / 7.0).sqrt(), 1e-12);
        assert_eq!(standard_deviation(&[5]), None);
    }

    #[test]
    fn exact_rank_test_gives_the_published_critical_values() {
        // Two-sided 5 % table for n1 = n2 = 8: the critical U is 13 (p = 0.0499), 14 is not significant (p = 0.065).
        close(exact_p(13.0, 8, 8), 0.049_883_4, 1e-6);
        assert!(exact_p(14.0, 8, 8) > 0.05);
        // Complete separation of 3 and 3: 2 / C(6, 3) = 0.1.
        close(rank_test(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap(), 0.1, 1e-12);
        close(rank_test(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]).unwrap(), 0.1, 1e-12);
        // 8 and 8 apart: 2 / C(16, 8) = 2 / 12870.
        let low: Vec<f64> = (0..8).map(f64::from).collect();
        let high: Vec<f64> = (8..16).map(f64::from).collect();
        close(rank_test(&low, &high).unwrap(), 2.0 / 12_870.0, 1e-12);
    }

    #[test]
    fn ties_use_the_corrected_normal_approximation() {
        // wilcox.test(c(1,2,2,3), c(2,4,5,6), exact = FALSE): U = 2, variance = 16/12 * (9 - 24/56), z = 5.5/sqrt(variance).
        let (a, b) = ([1.0, 2.0, 2.0, 3.0], [2.0, 4.0, 5.0, 6.0]);
        close(mann_whitney_u(&a, &b), 2.0, 1e-12);
        close(rank_test(&a, &b).unwrap(), 0.103_754, 1e-6);
        assert_eq!(rank_test(&[1.0, 1.0], &[1.0, 1.0]), Some(1.0));
    }

    #[test]
    fn the_error_function_matches_its_tables() {
        close(complementary_error(0.0), 1.0, 2e-7);
        close(complementary_error(1.0), 0.157_299_207, 2e-7);
        close(complementary_error(1.959_964 / 2.0_f64.sqrt()), 0.05, 2e-7);
    }

    #[test]
    fn the_bootstrap_is_seeded_and_brackets_the_ratio() {
        let a: Vec<f64> = (0..20).map(|i| 200.0 + f64::from(i)).collect();
        let b: Vec<f64> = (0..20).map(|i| 100.0 + f64::from(i) / 2.0).collect();
        let interval = ratio_interval(&a, &b, 0.95, 2000, 7).unwrap();
        assert_eq!(Some(interval), ratio_interval(&a, &b, 0.95, 2000, 7));
        assert!(interval.low < 2.0 && 2.0 < interval.high && interval.high - interval.low < 0.2, "{interval:?}");
        assert_eq!(ratio_interval(&[], &b, 0.95, 10, 7), None);
        assert_eq!(ratio_interval(&[5.0], &[2.0], 0.95, 10, 7), Some(Interval { low: 2.5, high: 2.5 }));
    }
}
