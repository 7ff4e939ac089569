//! Numbers as they are printed, and the statistics that the sources print.

/// How a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A whole number.
    Whole,
    /// So many digits behind the point.
    Fixed(usize),
}

impl Format {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Whole => grouped(&format!("{value:.0}")),
            Self::Fixed(digits) => grouped(&format!("{value:.digits$}")),
        }
    }
}

/// The text with a comma between groups of three digits before the point.
fn grouped(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A number that a source printed, and half a unit of its last printed digit: two numbers are equal as printed when
/// they differ by no more than that (and a rounding of the sixteenth digit).
pub(crate) fn printed(text: &str) -> Option<(f64, f64)> {
    let text = text.trim();
    let value: f64 = text.parse().ok()?;
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    Some((value, 0.5 * 10_f64.powi(-(digits as i32)) + value.abs() * 1e-14))
}

/// Count, sum and order statistics of whole numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    sorted: Vec<i64>,
}

impl FromIterator<i64> for Numbers {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> Self {
        let mut sorted: Vec<i64> = values.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }
}

impl Numbers {
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn sum(&self) -> i64 {
        self.sorted.iter().sum()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum() as f64 / self.sorted.len() as f64
    }

    pub(crate) fn min(&self) -> i64 {
        self.sorted.first().copied().unwrap_or(0)
    }

    pub(crate) fn max(&self) -> i64 {
        self.sorted.last().copied().unwrap_or(0)
    }

    /// Interpolated linearly, as pandas and numpy do.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let floats: Vec<f64> = self.sorted.iter().map(|value| *value as f64).collect();
        quantile(&floats, part)
    }

    /// Sample standard deviation; 0 for one value.
    pub(crate) fn deviation(&self) -> f64 {
        let floats: Vec<f64> = self.sorted.iter().map(|value| *value as f64).collect();
        deviation(&floats)
    }
}

/// A quantile of sorted values, interpolated linearly.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * part;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Sample standard deviation; 0 for one value.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_and_half_a_printed_unit_is_allowed() {
        assert_eq!(Format::Whole.show(-1_234_567.0), "-1,234,567");
        assert_eq!(Format::Fixed(2).show(1234.567), "1,234.57");
        assert_eq!(Format::Whole.show(123.0), "123");
        let (value, allowed) = printed(" 12.5").unwrap();
        assert!((value - 12.5).abs() < 1e-12 && (allowed - 0.05).abs() < 1e-9);
        assert!(printed("").is_none());
    }

    #[test]
    fn statistics_are_those_of_the_textbook() {
        let numbers: Numbers = [4, 1, 3, 2].into_iter().collect();
        assert_eq!((numbers.count(), numbers.sum(), numbers.min(), numbers.max()), (4, 10, 1, 4));
        assert!((numbers.quantile(0.5) - 2.5).abs() < 1e-12);
        assert!((numbers.deviation() - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
