//! Matrix multiplication, each matrix moved once.

use super::{Times, count, finite, positive, seconds_at};

/// C[m, n] = A[m, k] x B[k, n], with the bytes of an element of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gemm {
    /// Rows of A and C: tokens.
    pub m: f64,
    /// Columns of B and C.
    pub n: f64,
    /// The dimension that is summed.
    pub k: f64,
    /// Bytes of an element of A.
    pub a_bytes: f64,
    /// Bytes of an element of B: the weights.
    pub b_bytes: f64,
    /// Bytes of an element of C.
    pub c_bytes: f64,
}

impl Gemm {
    /// One element type for all three.
    pub fn new(m: f64, n: f64, k: f64, bytes: f64) -> Self {
        Self { m, n, k, a_bytes: bytes, b_bytes: bytes, c_bytes: bytes }
    }

    /// 2 m n k: a multiplication and an addition for each product.
    pub fn flop(&self) -> Option<f64> {
        finite(2.0 * count(self.m)? * count(self.n)? * count(self.k)?)
    }

    /// Compulsory bytes: A and B read, C written.
    pub fn bytes(&self) -> Option<f64> {
        let (m, n, k) = (count(self.m)?, count(self.n)?, count(self.k)?);
        finite(m * k * count(self.a_bytes)? + k * n * count(self.b_bytes)? + m * n * count(self.c_bytes)?)
    }

    /// FLOP/byte.
    pub fn intensity(&self) -> Option<f64> {
        super::intensity(self.flop()?, self.bytes()?)
    }

    /// Seconds of arithmetic and of memory at two peaks.
    pub fn times(&self, flop_per_s: f64, bytes_per_s: f64) -> Option<Times> {
        let math = seconds_at(self.flop()?, flop_per_s, 1.0)?;
        Some(Times { math, memory: seconds_at(self.bytes()?, bytes_per_s, 1.0)?, link: 0.0 })
    }

    /// FLOP/s at the bound.
    pub fn attainable(&self, flop_per_s: f64, bytes_per_s: f64) -> Option<f64> {
        finite(self.flop()? / positive(self.times(flop_per_s, bytes_per_s)?.lower()?)?)
    }
}

/// Intensity of the dot product of two vectors of `n` elements of `bytes` each: n products and n - 1 sums over two reads
/// and a write, (2n - 1) / ((2n + 1) bytes). Tends to 1 / bytes: no length makes it leave the memory roof.
pub fn dot_intensity(n: f64, bytes: f64) -> Option<f64> {
    let n = positive(n).filter(|n| *n >= 1.0)?;
    super::intensity(2.0 * n - 1.0, (2.0 * n + 1.0) * bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_matrix_is_moved_once() {
        // 2 x 3 x 4: 48 FLOP; A 8 elements of 2 B, B 12 of 1 B, C 6 of 4 B: 16 + 12 + 24 = 52 B.
        let gemm = Gemm { m: 2.0, n: 3.0, k: 4.0, a_bytes: 2.0, b_bytes: 1.0, c_bytes: 4.0 };
        assert_eq!((gemm.flop(), gemm.bytes(), gemm.intensity()), (Some(48.0), Some(52.0), Some(48.0 / 52.0)));
        let times = gemm.times(16.0, 13.0).unwrap();
        assert_eq!((times.math, times.memory, gemm.attainable(16.0, 13.0)), (3.0, 4.0, Some(12.0)));
    }

    #[test]
    fn sizes_that_are_no_sizes_give_nothing() {
        assert_eq!(Gemm::new(-1.0, 3.0, 4.0, 2.0).flop(), None);
        assert_eq!(Gemm::new(1e200, 1e200, 4.0, 2.0).intensity(), None);
        assert_eq!((Gemm::new(0.0, 0.0, 4.0, 2.0).intensity(), dot_intensity(0.5, 2.0)), (None, None));
    }

    #[test]
    fn one_product_is_one_operation_over_three_elements() {
        assert_eq!(dot_intensity(1.0, 2.0), Some(1.0 / 6.0));
    }
}
