//! Axes: from a value to a pixel, and where the ticks go.

/// A linear or logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// A linear axis; an empty domain is widened, so that nothing divides by zero.
    pub(crate) fn linear(low: f64, high: f64, range: (f64, f64)) -> Self {
        Self { domain: (low, if high > low { high } else { low + 1.0 }), range, logarithmic: false }
    }

    /// A logarithmic axis; both ends must be positive, else the decade around one is taken.
    pub(crate) fn log(low: f64, high: f64, range: (f64, f64)) -> Self {
        let low = if low > 0.0 && low.is_finite() { low } else { 1.0 };
        let high = if high > low && high.is_finite() { high } else { low * 10.0 };
        Self { domain: (low.log10(), high.log10()), range, logarithmic: true }
    }

    /// The pixel of a value, which may lie outside the range.
    pub(crate) fn pixel(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = (value - self.domain.0) / (self.domain.1 - self.domain.0);
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// The ends of the axis as values.
    pub(crate) fn ends(&self) -> (f64, f64) {
        let value = |end: f64| if self.logarithmic { 10_f64.powf(end) } else { end };
        (value(self.domain.0), value(self.domain.1))
    }

    /// The ends of the axis in pixels.
    pub(crate) fn pixels(&self) -> (f64, f64) {
        self.range
    }
}

/// The exponents of the powers of ten between `low` and `high`, ends included.
pub(crate) fn decades(low: f64, high: f64) -> Vec<i32> {
    if !(low > 0.0 && high >= low && high.is_finite()) {
        return Vec::new();
    }
    // The ends come from logarithms, so a power of ten at an end may miss by a rounding error.
    let first = (low.log10() - 1e-9).ceil() as i32;
    let last = (high.log10() + 1e-9).floor() as i32;
    (first..=last).collect()
}

/// The multiples 2 to 9 of the powers of ten between `low` and `high`, for a fine grid without labels.
pub(crate) fn minor_log_ticks(low: f64, high: f64) -> Vec<f64> {
    let Some(first) = decades(low / 10.0, high).first().copied() else { return Vec::new() };
    let last = decades(low / 10.0, high).last().copied().unwrap_or(first);
    (first..=last)
        .flat_map(|exponent| (2..=9).map(move |digit| f64::from(digit) * 10_f64.powi(exponent)))
        .filter(|value| (low..=high).contains(value))
        .collect()
}

/// At most about `wanted` round values (1, 2 or 5 times a power of ten) between `low` and `high`.
pub(crate) fn linear_ticks(low: f64, high: f64, wanted: u32) -> Vec<f64> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) || wanted == 0 {
        return Vec::new();
    }
    let rough = span / f64::from(wanted);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(power * 10.0);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// A tick's label with as many decimals as the step between ticks needs.
pub(crate) fn tick_label(value: f64, ticks: &[f64]) -> String {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let decimals = if step.is_finite() && step < 1.0 { (-step.log10()).ceil().clamp(0.0, 9.0) as usize } else { 0 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_axis_gives_each_decade_the_same_length() {
        let scale = Scale::log(0.1, 1000.0, (0.0, 400.0));
        let pixels = [0.1, 1.0, 10.0, 1000.0].map(|value| scale.pixel(value).round() as i64);
        assert_eq!(pixels, [0, 100, 200, 400]);
        assert!((scale.ends().1 - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_of_a_log_axis_are_powers_of_ten() {
        assert_eq!(decades(0.1, 1000.0), [-1, 0, 1, 2, 3]);
        assert_eq!(decades(0.2, 900.0), [0, 1, 2]);
        assert!(decades(0.0, 10.0).is_empty() && decades(2.0, 9.0).is_empty());
        assert_eq!(minor_log_ticks(5.0, 30.0), [5.0, 6.0, 7.0, 8.0, 9.0, 20.0, 30.0]);
    }

    #[test]
    fn ticks_of_a_linear_axis_step_by_one_two_or_five() {
        assert_eq!(linear_ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear_ticks(3.0, 48.0, 4), [20.0, 40.0]);
        assert_eq!(linear_ticks(0.0, 1.0, 10).len(), 11);
        assert!(linear_ticks(1.0, 1.0, 5).is_empty());
        let ticks = linear_ticks(0.0, 0.5, 5);
        assert_eq!(
            ticks.iter().map(|tick| tick_label(*tick, &ticks)).collect::<Vec<_>>().join(" "),
            "0.0 0.1 0.2 0.3 0.4 0.5"
        );
    }

    #[test]
    fn an_axis_without_extent_still_gives_finite_pixels() {
        assert!(Scale::linear(5.0, 5.0, (0.0, 1.0)).pixel(5.0).is_finite());
        assert!(Scale::log(0.0, f64::NAN, (0.0, 1.0)).pixel(0.0).is_finite());
    }
}
