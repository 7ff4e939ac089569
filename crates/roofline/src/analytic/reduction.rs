//! Reductions and scans: one operation an element of the input (as TraceLens), four for a variance.
//!
//! Bytes are the input once and the outputs once. What is reduced over stands among the scalars; in traces without them
//! the output counts as one element, which is the least.

use super::Operation;
use super::dtype::{BOOL, Class, Element, FLOAT, LONG};
use super::shapes::{Arguments, Tensor, product};

#[derive(Clone, Copy, PartialEq)]
enum Out {
    /// As the input.
    Same,
    /// As the input, `long int` of integers.
    Sum,
    /// As the input, `float` of integers.
    Float,
    Bool,
    /// Places.
    Index,
    /// Values, and with a dimension places beside them.
    Value,
}

/// Name, operations an element, output, whether it keeps every element.
const NAMES: &[(&str, f64, Out, bool)] = &[
    ("aten::all", 0.0, Out::Bool, false),
    ("aten::any", 0.0, Out::Bool, false),
    ("aten::amax", 1.0, Out::Same, false),
    ("aten::amin", 1.0, Out::Same, false),
    ("aten::argmax", 1.0, Out::Index, false),
    ("aten::argmin", 1.0, Out::Index, false),
    ("aten::max", 1.0, Out::Value, false),
    ("aten::mean", 1.0, Out::Float, false),
    ("aten::min", 1.0, Out::Value, false),
    ("aten::nansum", 1.0, Out::Sum, false),
    ("aten::prod", 1.0, Out::Sum, false),
    ("aten::std", 4.0, Out::Float, false),
    ("aten::sum", 1.0, Out::Sum, false),
    ("aten::var", 4.0, Out::Float, false),
    ("aten::cumprod", 1.0, Out::Sum, true),
    ("aten::cumsum", 1.0, Out::Sum, true),
];

pub(super) fn names(name: &str) -> bool {
    NAMES.iter().any(|(known, ..)| *known == name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let (_, each, out, scan) = *NAMES.iter().find(|(known, ..)| *known == name)?;
    let input = arguments.tensor(0)?;
    let element = input.element;
    if element.class == Class::Complex {
        return None;
    }
    // `max(a, b)` of two tensors is elementwise.
    if out == Out::Value && arguments.tensor(1).is_some() {
        return None;
    }
    let outputs = if scan { input.elements() } else { outputs(input, arguments) };
    let written = outputs * f64::from(out_size(out, element, arguments.integers(1).is_some()));
    let flop = if element.is_float() { each * input.elements() } else { 0.0 };
    Operation::new("reduction", flop, input.bytes() + written, element.vector(), "reduction-1n")
}

fn out_size(out: Out, element: Element, has_dimension: bool) -> u8 {
    let of = |kept: bool, other: Element| if kept { element.size } else { other.size };
    match out {
        Out::Sum => of(element.is_float(), LONG),
        Out::Float => of(element.is_float(), FLOAT),
        Out::Bool => BOOL.size,
        Out::Index => LONG.size,
        Out::Value if has_dimension => element.size + LONG.size,
        Out::Same | Out::Value => element.size,
    }
}

/// Elements that stay: the sizes that are not reduced over. No or an empty list means all.
fn outputs(input: &Tensor, arguments: &Arguments) -> f64 {
    let rank = input.dims.len() as i64;
    let reduced: Vec<i64> = arguments.integers(1).unwrap_or_default();
    if reduced.is_empty() {
        return 1.0;
    }
    let is_kept = |axis: i64| !reduced.contains(&axis) && !reduced.contains(&(axis - rank));
    let kept: Vec<u64> = (0..rank).filter(|axis| is_kept(*axis)).map(|axis| input.dims[axis as usize]).collect();
    product(&kept)
}

#[cfg(test)]
mod tests {
    use crate::analytic::operator;

    fn of(name: &str, dtype: &str, dimension: Option<&str>) -> (f64, f64) {
        let concrete = dimension.map(|dimension| format!(r#"["","{dimension}","False"]"#));
        let dtypes = format!(r#"["{dtype}","Scalar","Scalar"]"#);
        let op = operator(name, "[[6,8],[],[]]", &dtypes, concrete.as_deref()).unwrap();
        (op.flop, op.bytes)
    }

    #[test]
    fn the_output_has_the_sizes_that_stay() {
        // 48 floats in; 6, 8, 1 or 48 out.
        assert_eq!(of("aten::mean", "float", Some("[-1]")), (48.0, 216.0));
        assert_eq!(of("aten::mean", "float", Some("[0]")), (48.0, 224.0));
        assert_eq!(of("aten::mean", "float", Some("[0, 1]")), (48.0, 196.0));
        assert_eq!(of("aten::mean", "float", None), (48.0, 196.0));
        assert_eq!(of("aten::cumsum", "float", Some("0")), (48.0, 384.0));
        assert_eq!(of("aten::var", "float", Some("[1]")), (192.0, 216.0));
    }

    #[test]
    fn places_are_long_and_integers_are_no_flop() {
        // 48*4 + 6*8; with values 6*12.
        assert_eq!(of("aten::argmax", "float", Some("1")), (48.0, 240.0));
        assert_eq!(of("aten::max", "float", Some("1")), (48.0, 264.0));
        assert_eq!(of("aten::max", "float", None), (48.0, 196.0));
        // int sums into long.
        assert_eq!(of("aten::sum", "int", Some("[1]")), (0.0, 240.0));
        assert_eq!(of("aten::any", "bool", None), (0.0, 49.0));
    }
}
