//! The roofline in time (Wang et al., arXiv 2009.04598): times add over kernels and over precisions, and are defined
//! for work without FLOP.

use super::{count, finite, positive, share};

/// Seconds of `amount` (FLOP, bytes) at a `share` of a rate per second.
pub fn seconds_at(amount: f64, rate: f64, of: f64) -> Option<f64> {
    finite(count(amount)? / positive(positive(rate)? * share(of)?)?)
}

/// Seconds that the same work needs of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Arithmetic.
    pub math: f64,
    /// Memory.
    pub memory: f64,
    /// Links.
    pub link: f64,
}

impl Times {
    fn all(&self) -> Option<[f64; 3]> {
        Some([count(self.math)?, count(self.memory)?, count(self.link)?])
    }

    /// Everything overlaps: the largest.
    pub fn lower(&self) -> Option<f64> {
        Some(self.all()?.into_iter().fold(0.0, f64::max))
    }

    /// Nothing overlaps: the sum, at most three times the largest (twice where only two resources are used).
    pub fn upper(&self) -> Option<f64> {
        finite(self.all()?.iter().sum())
    }

    /// The largest, or the time that launching `launches` kernels takes where that is longer.
    pub fn with_launches(&self, launches: f64, seconds_per_launch: f64) -> Option<f64> {
        finite(self.lower()?.max(count(launches)? * count(seconds_per_launch)?))
    }

    /// How much of what could overlap did, from the time that was taken: 1 at [`Times::lower`], 0 at
    /// [`Times::upper`] or beyond; `None` where one resource is all there is.
    pub fn overlap(&self, seconds: f64) -> Option<f64> {
        let (lower, upper) = (self.lower()?, self.upper()?);
        Some((finite((upper - count(seconds)?) / positive(upper - lower)?)?).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { math: 3.0, memory: 4.0, link: 1.0 };

    #[test]
    fn the_bounds_are_the_largest_and_the_sum() {
        assert_eq!((TIMES.lower(), TIMES.upper()), (Some(4.0), Some(8.0)));
        assert_eq!((TIMES.with_launches(10.0, 0.1), TIMES.with_launches(50.0, 0.1)), (Some(4.0), Some(5.0)));
    }

    #[test]
    fn overlap_is_measured_between_the_bounds() {
        let shares = [4.0, 6.0, 8.0, 100.0, 1.0].map(|seconds| TIMES.overlap(seconds));
        assert_eq!(shares, [Some(1.0), Some(0.5), Some(0.0), Some(0.0), Some(1.0)]);
        assert_eq!(Times { math: 3.0, ..Times::default() }.overlap(3.0), None);
    }

    #[test]
    fn a_share_of_a_rate_takes_longer() {
        assert_eq!((seconds_at(8.0, 4.0, 0.5), seconds_at(8.0, 4.0, 0.0)), (Some(4.0), None));
        assert_eq!((seconds_at(0.0, 4.0, 1.0), seconds_at(-8.0, 4.0, 1.0)), (Some(0.0), None));
        assert_eq!(Times { math: f64::NAN, ..TIMES }.lower(), None);
    }
}
