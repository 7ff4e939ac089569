//! Numbers in sentences: four digits at most, with a unit.

/// A duration.
pub(super) fn ns(value: f64) -> String {
    scaled(value, &[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")])
}

/// Bytes, decimal.
pub(super) fn bytes(value: f64) -> String {
    scaled(value, &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")])
}

/// FLOP/s.
pub(super) fn flops(value: f64) -> String {
    scaled(value, &[(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1.0, "FLOP/s")])
}

/// FLOP.
pub(super) fn flop(value: f64) -> String {
    scaled(value, &[(1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP")])
}

/// A clock.
pub(super) fn hz(value: f64) -> String {
    scaled(value, &[(1e9, "GHz"), (1e6, "MHz"), (1.0, "Hz")])
}

/// A share of one in percent.
pub(super) fn percent(value: f64) -> String {
    format!("{} %", digits(value * 100.0, 1))
}

/// A number of a metric, whose unit is in its name: whole, or with two decimals.
pub(super) fn plain(value: f64) -> String {
    digits(value, if value.fract() == 0.0 { 0 } else { 2 })
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let (scale, unit) =
        units.iter().find(|(scale, _)| value.abs() >= *scale).or(units.last()).copied().unwrap_or((1.0, ""));
    let value = value / scale;
    format!("{} {unit}", digits(value, if value.abs() >= 100.0 { 1 } else { 2 }))
}

/// Hostile data hold numbers of hundreds of digits.
fn digits(value: f64, digits: usize) -> String {
    if value.abs() < 1e7 { format!("{value:.digits$}") } else { format!("{:.2e}", value.clamp(f64::MIN, f64::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_a_unit_of_their_size() {
        assert_eq!([ns(999.0), ns(1500.0), ns(2.5e6), ns(0.0)], ["999.0 ns", "1.50 us", "2.50 ms", "0.00 ns"]);
        assert_eq!([bytes(8_388_608.0), flops(989.4e12), hz(1.83e9)], ["8.39 MB", "989.4 TFLOP/s", "1.83 GHz"]);
        assert_eq!([flop(107.4e12), flop(163_840.0)], ["107.4 TFLOP", "163840.0 FLOP"]);
        assert_eq!((percent(f64::MAX), bytes(1e20)), ("1.80e308 %".to_owned(), "1.00e8 TB".to_owned()));
        assert_eq!([plain(-8_385_458.0), plain(100.389), plain(f64::MIN)], ["-8385458", "100.39", "-1.80e308"]);
        assert_eq!((percent(0.1234), ns(-2000.0)), ("12.3 %".to_owned(), "-2.00 us".to_owned()));
    }
}
