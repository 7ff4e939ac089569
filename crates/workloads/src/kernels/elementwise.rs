//! Bias and activation, applied to a block of the product while it is in the cache.

/// What follows the bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// GELU in its tanh form: `x * sigmoid(2 * sqrt(2/pi) * (x + 0.044715 x^3))`.
    Gelu,
    /// Nothing.
    None,
}

/// Adds `bias` to `row` and applies the activation. Both have the same length.
pub(crate) fn bias_activation(row: &mut [f32], bias: &[f32], activation: Activation) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { bias_activation_avx512(row, bias, activation) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were just detected.
            return unsafe { bias_activation_avx2(row, bias, activation) };
        }
    }
    apply::<false>(row, bias, activation);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn bias_activation_avx512(row: &mut [f32], bias: &[f32], activation: Activation) {
    apply::<true>(row, bias, activation);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn bias_activation_avx2(row: &mut [f32], bias: &[f32], activation: Activation) {
    apply::<true>(row, bias, activation);
}

/// Inlined into each of the functions above, where the compiler vectorises it for their instruction set.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled with the target features of its caller")]
fn apply<const FMA: bool>(row: &mut [f32], bias: &[f32], activation: Activation) {
    match activation {
        Activation::Gelu => row.iter_mut().zip(bias).for_each(|(x, b)| *x = gelu::<FMA>(*x + b)),
        Activation::None => row.iter_mut().zip(bias).for_each(|(x, b)| *x += b),
    }
}

/// A fused multiply-add only where it is one instruction; else it would be a library call.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it must be compiled with the target features of its caller")]
fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn gelu<const FMA: bool>(x: f32) -> f32 {
    // -2 * sqrt(2/pi), and the same times 0.044715.
    const LINEAR: f32 = -1.595_769;
    const CUBIC: f32 = -0.071_354_814;
    x / (1.0 + exp::<FMA>(x * mul_add::<FMA>(CUBIC, x * x, LINEAR)))
}

/// e^x for |x| <= 87, clamped outside: x = n ln 2 + r, e^r by its Taylor polynomial of degree 7 on |r| <= ln 2 / 2,
/// relative error below 2e-7.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the number.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, so that n ln 2 is exact enough.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FMA>(n, -LN2_LOW, mul_add::<FMA>(n, -LN2_HIGH, x));
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = mul_add::<FMA>(p, r, coefficient);
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_agrees_with_tanh_in_f64_to_a_millionth() {
        let inputs: Vec<f32> = (-4000..4000).map(|i| i as f32 * 2.5e-3).collect();
        let mut outputs = inputs.clone();
        bias_activation(&mut outputs, &vec![0.0; inputs.len()], Activation::Gelu);
        for (&x, &y) in inputs.iter().zip(&outputs) {
            let x = f64::from(x);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            let expected = 0.5 * x * (1.0 + u.tanh());
            assert!(
                (f64::from(y) - expected).abs() <= 1e-6 * expected.abs().max(0.1),
                "gelu({x}) = {y}, not {expected}"
            );
        }
    }

    #[test]
    fn extreme_inputs_stay_finite() {
        let mut row = [-1e30, -100.0, 0.0, 100.0, 1e30];
        bias_activation(&mut row, &[0.0; 5], Activation::Gelu);
        assert!(row.iter().all(|x| x.is_finite()), "{row:?}");
        assert!((row[3] - 100.0).abs() < 1e-4 && row[2].abs() < 1e-6);
    }
}
