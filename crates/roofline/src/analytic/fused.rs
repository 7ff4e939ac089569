//! Fused operators of serving engines: gated activations and rotary embeddings.
//!
//! A gated activation of 2 d inputs and d outputs: `silu_and_mul` negates, exponentiates, adds, divides and multiplies,
//! 5 an output (as TraceLens); `gelu_and_mul` 6 with the error function. A rotary embedding multiplies twice and adds
//! once, 3 an element that is rotated (as TraceLens).

use super::Operation;
use super::shapes::{Arguments, Tensor};

const GATED: &[(&str, f64)] = &[
    ("_C::silu_and_mul", 5.0),
    ("_C::gelu_and_mul", 6.0),
    ("sgl_kernel::silu_and_mul", 5.0),
    ("sgl_kernel::gelu_and_mul", 6.0),
    ("flashinfer::silu_and_mul", 5.0),
    ("aiter::silu_and_mul", 5.0),
];

/// (positions, query, key, head size, table of cosines and sines, is_neox)
const ROTARY: &[&str] = &["_C::rotary_embedding", "sgl_kernel::rotary_embedding"];

pub(super) fn names(name: &str) -> bool {
    GATED.iter().any(|(known, _)| *known == name) || ROTARY.contains(&name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    if ROTARY.contains(&name) {
        return rotary(arguments);
    }
    let (_, each) = GATED.iter().find(|(known, _)| *known == name)?;
    gated(*each, arguments)
}

/// The output is passed in front or returned; the input is the larger tensor.
fn gated(each: f64, arguments: &Arguments) -> Option<Operation> {
    let input = arguments.tensors().max_by(|a, b| a.elements().total_cmp(&b.elements()))?;
    let outputs = input.elements() / 2.0;
    let out = arguments.tensors().find(|tensor| tensor.dims.len() == input.dims.len() && *tensor != input);
    let size = out.unwrap_or(input).element.size;
    let bytes = input.bytes() + outputs * f64::from(size);
    Operation::new("activation", each * outputs, bytes, input.element.vector(), "gated-activation")
}

/// Query and key are rotated in place. The table is left out: which of its rows are read is not known. Where a part of
/// each head is rotated, that part is read and written.
fn rotary(arguments: &Arguments) -> Option<Operation> {
    let (positions, query) = (arguments.tensor(0)?, arguments.tensor(1)?);
    let whole = query.bytes() + arguments.tensor(2).map_or(0.0, Tensor::bytes);
    let elements = query.elements() + arguments.tensor(2).map_or(0.0, Tensor::elements);
    let (head, table) = (arguments.integer(3)? as f64, arguments.tensor(4)?);
    let share = table.last() as f64 / head;
    if !(share > 0.0 && share <= 1.0) {
        return None;
    }
    let bytes = 2.0 * whole * share + positions.bytes();
    Operation::new("rope", 3.0 * elements * share, bytes, query.element.vector(), "rope-3n, table not counted")
}

#[cfg(test)]
mod tests {
    use crate::analytic::operator;

    #[test]
    fn a_gated_activation_halves_its_input() {
        for shapes in ["[[3,4],[3,8]]", "[[3,8],[3,4]]"] {
            let op = operator("_C::silu_and_mul", shapes, r#"["c10::Half","c10::Half"]"#, None).unwrap();
            assert_eq!((op.flop, op.bytes, op.kind), (60.0, 72.0, "activation"));
        }
        let op = operator("aiter::silu_and_mul", "[[3,8]]", r#"["c10::Half"]"#, None).unwrap();
        assert_eq!((op.flop, op.bytes), (60.0, 72.0));
    }

    #[test]
    fn a_part_of_each_head_may_be_rotated() {
        let of = |table: u64| {
            let shapes = format!("[[3],[3,16],[3,8],[],[99,{table}],[]]");
            let dtypes = r#"["long int","c10::Half","c10::Half","Scalar","c10::Half","Scalar"]"#;
            let op = operator("_C::rotary_embedding", &shapes, dtypes, Some(r#"["","","","8","","True"]"#));
            op.map(|op| (op.flop, op.bytes))
        };
        // 72 elements: 216 FLOP, 2*144 bytes and 3 positions of 8.
        assert_eq!(of(8), Some((216.0, 312.0)));
        assert_eq!(of(4), Some((108.0, 168.0)));
        assert_eq!([of(0), of(9)], [None, None]);
    }
}
