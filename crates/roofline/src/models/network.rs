//! The roofline of a link: intensity over the bytes that are sent ("How to Scale Your Model", Austin et al., 2025).

use super::finite;

/// FLOP for each byte on the wire; compute-bound above P / bytes/s of the link. `None` where nothing was sent.
pub fn network_intensity(flop: f64, wire_bytes: f64) -> Option<f64> {
    super::intensity(flop, wire_bytes)
}

/// The width D above which a product `[B, D] x [D, F]` that is split over two chips along D is bound by arithmetic.
///
/// Each chip does B D F operations in all (half of 2 B D F) and sends its partial sum of 2-byte elements, 2 B F bytes: the
/// intensity is D / 2 whatever the batch, so D = 2 P / link.
pub fn two_chip_width(flop_per_s: f64, link_bytes_per_s: f64) -> Option<f64> {
    finite(2.0 * super::ridge(flop_per_s, link_bytes_per_s)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_width_the_link_takes_as_long_as_the_arithmetic() {
        // P = 100, link = 10: D = 20. B = 3, F = 7: 3 x 20 x 7 = 420 FLOP take 4.2 s, 2 x 3 x 7 = 42 bytes as well.
        assert_eq!(two_chip_width(100.0, 10.0), Some(20.0));
        assert_eq!(network_intensity(420.0, 42.0), Some(10.0));
        assert_eq!((two_chip_width(100.0, 0.0), network_intensity(1.0, 0.0)), (None, None));
    }
}
