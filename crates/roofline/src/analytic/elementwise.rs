//! Elementwise operators: one operation an element of the output, whatever it takes in instructions (as TraceLens).
//!
//! Bytes are each input once at its own size, and the output once. The output has the promoted type, that of the first
//! input of an operator in place, `bool` of a comparison. Logic and integer arithmetic are no FLOP.

use super::Operation;
use super::dtype::{BOOL, Class, Element, FLOAT};
use super::shapes::{Arguments, Tensor, broadcast, product};

#[derive(Clone, Copy, PartialEq)]
enum Result {
    /// As the inputs.
    Same,
    /// As the inputs, `float` of integers.
    Float,
    Bool,
}

/// Name without its `aten::` and trailing underscore, how many inputs are tensors, operations an element.
const NAMES: &[(&str, usize, f64, Result)] = &[
    ("abs", 1, 1.0, Result::Same),
    ("acos", 1, 1.0, Result::Float),
    ("asin", 1, 1.0, Result::Float),
    ("atan", 1, 1.0, Result::Float),
    ("bitwise_not", 1, 0.0, Result::Same),
    ("ceil", 1, 1.0, Result::Same),
    ("celu", 1, 1.0, Result::Same),
    ("clamp", 3, 1.0, Result::Same),
    ("clamp_max", 2, 1.0, Result::Same),
    ("clamp_min", 2, 1.0, Result::Same),
    ("cos", 1, 1.0, Result::Float),
    ("elu", 1, 1.0, Result::Same),
    ("erf", 1, 1.0, Result::Float),
    ("exp", 1, 1.0, Result::Float),
    ("exp2", 1, 1.0, Result::Float),
    ("expm1", 1, 1.0, Result::Float),
    ("floor", 1, 1.0, Result::Same),
    ("gelu", 1, 1.0, Result::Same),
    ("hardsigmoid", 1, 1.0, Result::Same),
    ("hardswish", 1, 1.0, Result::Same),
    ("hardtanh", 1, 1.0, Result::Same),
    ("isfinite", 1, 0.0, Result::Bool),
    ("isinf", 1, 0.0, Result::Bool),
    ("isnan", 1, 0.0, Result::Bool),
    ("leaky_relu", 1, 1.0, Result::Same),
    ("log", 1, 1.0, Result::Float),
    ("log10", 1, 1.0, Result::Float),
    ("log1p", 1, 1.0, Result::Float),
    ("log2", 1, 1.0, Result::Float),
    ("logical_not", 1, 0.0, Result::Bool),
    ("mish", 1, 1.0, Result::Same),
    ("neg", 1, 1.0, Result::Same),
    ("reciprocal", 1, 1.0, Result::Float),
    ("relu", 1, 1.0, Result::Same),
    ("relu6", 1, 1.0, Result::Same),
    ("round", 1, 1.0, Result::Same),
    ("rsqrt", 1, 1.0, Result::Float),
    ("sigmoid", 1, 1.0, Result::Float),
    ("sign", 1, 1.0, Result::Same),
    ("silu", 1, 1.0, Result::Same),
    ("sin", 1, 1.0, Result::Float),
    ("softplus", 1, 1.0, Result::Same),
    ("sqrt", 1, 1.0, Result::Float),
    ("square", 1, 1.0, Result::Same),
    ("tan", 1, 1.0, Result::Float),
    ("tanh", 1, 1.0, Result::Float),
    ("trunc", 1, 1.0, Result::Same),
    ("add", 2, 1.0, Result::Same),
    ("atan2", 2, 1.0, Result::Float),
    ("bitwise_and", 2, 0.0, Result::Same),
    ("bitwise_or", 2, 0.0, Result::Same),
    ("bitwise_xor", 2, 0.0, Result::Same),
    ("div", 2, 1.0, Result::Float),
    ("eq", 2, 0.0, Result::Bool),
    ("floor_divide", 2, 1.0, Result::Same),
    ("fmod", 2, 1.0, Result::Same),
    ("ge", 2, 0.0, Result::Bool),
    ("gt", 2, 0.0, Result::Bool),
    ("le", 2, 0.0, Result::Bool),
    ("logical_and", 2, 0.0, Result::Bool),
    ("logical_or", 2, 0.0, Result::Bool),
    ("lt", 2, 0.0, Result::Bool),
    ("maximum", 2, 1.0, Result::Same),
    ("minimum", 2, 1.0, Result::Same),
    ("mul", 2, 1.0, Result::Same),
    ("ne", 2, 0.0, Result::Bool),
    ("pow", 2, 1.0, Result::Same),
    ("remainder", 2, 1.0, Result::Same),
    ("rsub", 2, 1.0, Result::Same),
    ("sub", 2, 1.0, Result::Same),
    ("gelu_backward", 2, 1.0, Result::Same),
    ("sigmoid_backward", 2, 1.0, Result::Same),
    ("silu_backward", 2, 1.0, Result::Same),
    ("tanh_backward", 2, 1.0, Result::Same),
    ("threshold_backward", 2, 1.0, Result::Same),
    ("addcdiv", 3, 3.0, Result::Same),
    ("addcmul", 3, 3.0, Result::Same),
    ("lerp", 3, 3.0, Result::Same),
];

fn find(name: &str) -> Option<&'static (&'static str, usize, f64, Result)> {
    let stem = name.strip_prefix("aten::")?;
    let stem = stem.strip_suffix('_').unwrap_or(stem);
    match stem {
        // Of the three inputs the first is a mask.
        "where" | "masked_fill" => None,
        _ => NAMES.iter().find(|(known, ..)| *known == stem),
    }
}

pub(super) fn names(name: &str) -> bool {
    find(name).is_some() || matches!(name, "aten::where" | "aten::masked_fill" | "aten::masked_fill_")
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let in_place = name.ends_with('_');
    if matches!(name, "aten::where" | "aten::masked_fill" | "aten::masked_fill_") {
        return select(arguments, in_place);
    }
    let (_, count, each, result) = *find(name)?;
    let inputs: Vec<&Tensor> = (0..count).filter_map(|at| arguments.tensor(at)).collect();
    let out = inputs.iter().try_fold(Vec::new(), |out: Vec<u64>, tensor| broadcast(&out, &tensor.dims))?;
    let computed = promoted(&inputs)?;
    let computed = if result == Result::Float && !computed.is_float() { FLOAT } else { computed };
    let first = inputs.first()?.element;
    let written = match result {
        _ if in_place => first,
        Result::Bool => BOOL,
        Result::Same | Result::Float => computed,
    };
    if computed.class == Class::Complex {
        return None;
    }
    let elements = product(&out);
    let flop = if computed.is_float() { each * elements } else { 0.0 };
    let bytes = read(&inputs) + elements * f64::from(written.size);
    Operation::new("elementwise", flop, bytes, computed.vector(), "elementwise-1n")
}

fn read(inputs: &[&Tensor]) -> f64 {
    inputs.iter().map(|tensor| tensor.bytes()).sum()
}

/// The type of the arithmetic. A tensor without a dimension counts only where its category is above the others', as
/// numbers do: integers among floats change nothing, a float among integers makes `float`.
fn promoted(inputs: &[&Tensor]) -> Option<Element> {
    let of = |scalar: bool| {
        let chosen = inputs.iter().filter(|tensor| tensor.dims.is_empty() == scalar).map(|tensor| tensor.element);
        chosen.reduce(Element::promote)
    };
    match (of(false), of(true)) {
        (Some(tensors), Some(scalars)) if scalars.is_float() && !tensors.is_float() => Some(FLOAT),
        (Some(tensors), _) => Some(tensors),
        (None, scalars) => scalars,
    }
}

/// `where(condition, a, b)` and `masked_fill(a, mask, value)` choose and compute nothing.
fn select(arguments: &Arguments, in_place: bool) -> Option<Operation> {
    let inputs: Vec<&Tensor> = (0..3).filter_map(|at| arguments.tensor(at)).collect();
    let out = inputs.iter().try_fold(Vec::new(), |out: Vec<u64>, tensor| broadcast(&out, &tensor.dims))?;
    let values: Vec<&Tensor> = inputs.iter().copied().filter(|tensor| tensor.element != BOOL).collect();
    let element = if in_place { inputs.first()?.element } else { promoted(&values)? };
    let bytes = read(&inputs) + product(&out) * f64::from(element.size);
    Operation::new("elementwise", 0.0, bytes, element.vector(), "elementwise-0n")
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use super::*;
    use crate::Precision;
    use crate::analytic::operator;

    fn of(name: &str, shapes: &str, dtypes: &str) -> (f64, f64, Precision) {
        let op = operator(name, shapes, dtypes, None).unwrap();
        (op.flop, op.bytes, op.precision)
    }

    #[test]
    fn names_are_listed_once() {
        let mut names: Vec<&str> = NAMES.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }

    #[test]
    fn a_broadcast_input_counts_at_its_own_size() {
        // (2*3*4 + 4 + 24) * 2.
        let halves = r#"["c10::BFloat16","c10::BFloat16"]"#;
        assert_eq!(of("aten::mul", "[[2,3,4],[4]]", halves), (24.0, 104.0, Precision::F32));
        // bfloat16 + float = float: 24*2 + 24*4 + 24*4.
        assert_eq!(of("aten::add", "[[24],[24]]", r#"["c10::BFloat16","float"]"#).1, 240.0);
        // In place the first type is written: 24*2 + 24*4 + 24*2.
        assert_eq!(of("aten::add_", "[[24],[24]]", r#"["c10::BFloat16","float"]"#).1, 192.0);
        let doubles = r#"["double","double"]"#;
        assert_eq!(of("aten::add", "[[24],[24]]", doubles), (24.0, 576.0, Precision::F64));
    }

    #[test]
    fn integers_and_comparisons_are_no_flop() {
        assert_eq!(of("aten::sub", "[[15],[15],[]]", r#"["long int","int","Scalar"]"#), (0.0, 300.0, Precision::F32));
        assert_eq!(of("aten::lt", "[[8],[]]", r#"["float","Scalar"]"#), (0.0, 40.0, Precision::F32));
        // Integers divide into float: 8*8 + 8*4.
        assert_eq!(of("aten::div", "[[8],[]]", r#"["long int","Scalar"]"#), (8.0, 96.0, Precision::F32));
        assert_eq!(of("aten::where", "[[8],[8],[]]", r#"["bool","float","float"]"#).1, 8.0 + 32.0 + 4.0 + 32.0);
    }

    #[test]
    fn numbers_do_not_widen_tensors() {
        // 8*2 + a double of 8 + 8*2.
        assert_eq!(of("aten::mul", "[[8],[]]", r#"["c10::Half","double"]"#), (8.0, 40.0, Precision::F32));
        // An integer tensor times a float is float: 8*8 + 8 + 8*4.
        assert_eq!(of("aten::mul", "[[8],[]]", r#"["long int","double"]"#), (8.0, 104.0, Precision::F32));
    }

    #[test]
    fn shapes_that_do_not_broadcast_are_nothing() {
        assert_eq!(operator("aten::add", "[[2],[3]]", r#"["float","float"]"#, None), None);
        assert_eq!(operator("aten::add", "[[],[]]", r#"["Scalar","Scalar"]"#, None), None);
        assert_eq!(operator("aten::mul", "[[2]]", r#"["c10::complex<float>"]"#, None), None);
    }
}
