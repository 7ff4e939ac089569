//! The roofline of energy (Choi, Bedard, Fowler, Vuduc, IPDPS 2013): energy adds where time overlaps, so it has an arch
//! instead of a ridge.

use super::{count, finite, positive};

/// What work costs a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Joules of an operation.
    pub per_flop: f64,
    /// Joules of a byte.
    pub per_byte: f64,
    /// Watts that are drawn whatever it does.
    pub constant_w: f64,
}

impl Energy {
    /// Joules of work that took `seconds`: W e_flop + Q e_byte + p0 T.
    pub fn joules(&self, flop: f64, bytes: f64, seconds: f64) -> Option<f64> {
        let work = count(flop)? * count(self.per_flop)? + count(bytes)? * count(self.per_byte)?;
        finite(work + count(self.constant_w)? * count(seconds)?)
    }

    /// The intensity, FLOP/byte, at which arithmetic and memory cost the same: e_byte / e_flop.
    pub fn balance(&self) -> Option<f64> {
        finite(count(self.per_byte)? / positive(self.per_flop)?)
    }

    /// FLOP/J at an intensity, at the speed of the roofline: one FLOP, 1 / AI bytes and the longer of their times.
    pub fn flop_per_joule(&self, intensity: f64, flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
        let seconds = 1.0 / positive(super::attainable(intensity, flop_per_s, bytes_per_s)?)?;
        finite(1.0 / positive(self.joules(1.0, 1.0 / positive(intensity)?, seconds)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Energy = Energy { per_flop: 2.0, per_byte: 8.0, constant_w: 10.0 };

    #[test]
    fn energy_adds_arithmetic_memory_and_time() {
        // 3 x 2 + 5 x 8 + 10 x 0.5 = 51 J.
        assert_eq!((DEVICE.joules(3.0, 5.0, 0.5), DEVICE.balance()), (Some(51.0), Some(4.0)));
        assert_eq!(DEVICE.joules(3.0, -5.0, 0.5), None);
    }

    #[test]
    fn an_intensity_has_an_efficiency() {
        // AI 4, P = 2, B = 1: 2 FLOP/s, so 0.5 s a FLOP; 2 + 8/4 + 10 x 0.5 = 9 J. At AI 1: 1 s, 2 + 8 + 10 = 20 J.
        assert_eq!(DEVICE.flop_per_joule(4.0, 2.0, 1.0), Some(1.0 / 9.0));
        assert_eq!(DEVICE.flop_per_joule(1.0, 2.0, 1.0), Some(1.0 / 20.0));
        assert_eq!((DEVICE.flop_per_joule(0.0, 2.0, 1.0), Energy { per_flop: 0.0, ..DEVICE }.balance()), (None, None));
    }
}
