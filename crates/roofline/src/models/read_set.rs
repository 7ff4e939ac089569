//! Decode in tokens: the bytes that a token reads, which are those of the weights that it uses and not of the weights
//! that lie in memory.

use super::{count, finite, positive, share};

/// Tokens/s of one stream where each token reads `bytes` at a `share` of a bandwidth.
pub fn tokens_per_s(bytes_per_s: f64, of: f64, bytes: f64) -> Option<f64> {
    finite(positive(bytes_per_s)? * share(of)? / positive(bytes)?)
}

/// Bytes that each token reads where `tokens_per_s` take a `share` of a bandwidth.
pub fn bytes_per_token(bytes_per_s: f64, of: f64, tokens_per_s: f64) -> Option<f64> {
    finite(positive(bytes_per_s)? * share(of)? / positive(tokens_per_s)?)
}

/// Experts of a mixture that a batch reads, of `experts` of which each token takes `top` at random: E (1 - (1 - k/E)^n).
///
/// An expectation for uniform routing; the min(n k, E) that shapes allow is an upper bound and gives more than 100 % of
/// the bandwidth where tokens share experts.
pub fn experts_read(experts: f64, top: f64, tokens: f64) -> Option<f64> {
    let experts = positive(experts)?;
    finite(experts * (1.0 - (1.0 - share(top / experts)?).powf(count(tokens)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_bytes_are_each_others_inverse() {
        assert_eq!((tokens_per_s(1e12, 0.5, 1e10), bytes_per_token(1e12, 0.5, 50.0)), (Some(50.0), Some(1e10)));
        assert_eq!((tokens_per_s(1e12, 0.5, 0.0), bytes_per_token(1e12, 1.5, 50.0)), (None, None));
    }

    #[test]
    fn two_tokens_that_choose_one_of_two_experts_read_one_and_a_half() {
        assert_eq!(experts_read(2.0, 1.0, 2.0), Some(1.5));
        assert_eq!((experts_read(8.0, 2.0, 0.0), experts_read(8.0, 8.0, 3.0)), (Some(0.0), Some(8.0)));
        assert_eq!(experts_read(2.0, 3.0, 1.0), None);
    }
}
