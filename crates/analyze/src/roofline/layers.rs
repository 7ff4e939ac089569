//! What the shapes of a framework operator tell about another number of rows or another context.
//!
//! The operator's own model ([`analytic::operator`]) is asked twice: once as it ran, once with twice the rows of the
//! activations (of attention: twice the keys). The difference is what a row (a token of context) costs.

use std::collections::BTreeSet;

use proftool_roofline::analytic::{self, Operation};
use serde_json::Value;

use crate::roofline::crossing::{Line, Point};
use crate::roofline::operators::Signature;

/// One launch of an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Layer {
    /// A product with weights.
    Linear(Line),
    /// Attention over keys and values.
    Attention {
        /// Bytes of them for one more token of context of each request of the batch.
        kv_bytes_per_token: f64,
    },
}

/// Matrix products with weights, and which input holds the activations; the next one holds the weights.
const LINEAR: &[(&str, usize)] = &[
    ("aten::mm", 0),
    ("aten::matmul", 0),
    ("aten::linear", 0),
    ("aten::_int_mm", 0),
    ("aten::addmm", 1),
    ("aten::addmm_", 1),
    ("aten::_addmm_activation", 1),
];

/// Attention whose inputs are queries, keys and values of `[batch, heads, tokens, head]`.
const ATTENTION: &str = "scaled_dot_product_";

/// What the shapes of an operator tell; `None` where they do not.
pub(crate) fn layer(signature: &Signature, operation: &Operation) -> Option<Layer> {
    let shapes: Vec<Value> = serde_json::from_str(&signature.shapes).ok()?;
    if let Some((_, input)) = LINEAR.iter().find(|(name, _)| *name == signature.name) {
        return linear(signature, operation, &shapes, *input).map(Layer::Linear);
    }
    // The backward pass has other inputs.
    if signature.name.contains(ATTENTION) && !signature.name.contains("backward") {
        let tokens = dimensions(shapes.get(1)?)?.get(2).copied().filter(|tokens| *tokens > 0)?;
        let mut longer = shapes.clone();
        for input in [1, 2] {
            double(&mut longer, input, 2)?;
        }
        let more = again(signature, &longer)?.bytes - operation.bytes;
        let kv_bytes_per_token = Some(more / tokens as f64).filter(|bytes| *bytes > 0.0)?;
        return Some(Layer::Attention { kv_bytes_per_token });
    }
    None
}

fn linear(signature: &Signature, operation: &Operation, shapes: &[Value], input: usize) -> Option<Line> {
    let (activations, weights) = (dimensions(shapes.get(input)?)?, dimensions(shapes.get(input + 1)?)?);
    // Weights are a matrix; what multiplies batches of matrices is attention, or something else.
    if activations.len() < 2 || weights.len() != 2 {
        return None;
    }
    let (_, outer) = activations.split_last()?;
    let rows = outer.iter().try_fold(1_i64, |rows, size| rows.checked_mul(*size)).filter(|rows| *rows > 0)?;
    let mut taller = shapes.to_vec();
    double(&mut taller, input, 0)?;
    let twice = again(signature, &taller)?;
    let points = BTreeSet::from([point(rows, operation)?, point(rows.checked_mul(2)?, &twice)?]);
    Line::through(&points, operation.precision)
}

/// The counts are whole numbers as long as they are exact.
fn point(rows: i64, operation: &Operation) -> Option<Point> {
    let exact = |value: f64| (0.0..9e15).contains(&value) && value.fract() == 0.0;
    (exact(operation.flop) && exact(operation.bytes)).then_some((rows, operation.flop as i64, operation.bytes as i64))
}

fn again(signature: &Signature, shapes: &[Value]) -> Option<Operation> {
    let shapes = serde_json::to_string(shapes).ok()?;
    analytic::operator(&signature.name, &shapes, &signature.dtypes, signature.concrete.as_deref())
}

fn dimensions(shape: &Value) -> Option<Vec<i64>> {
    shape.as_array()?.iter().map(Value::as_i64).collect()
}

fn double(shapes: &mut [Value], input: usize, dimension: usize) -> Option<()> {
    let size = shapes.get_mut(input)?.get_mut(dimension)?;
    *size = Value::from(size.as_i64()?.checked_mul(2)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_roofline::Precision;

    fn of(name: &str, shapes: &str, dtypes: &str) -> Option<Layer> {
        // The last input of attention says whether it is causal.
        let concrete = dtypes.contains("Scalar").then_some(r#"["","","","0.","False"]"#);
        let operation = analytic::operator(name, shapes, dtypes, concrete)?;
        let (name, shapes, dtypes) = (name.to_owned(), shapes.to_owned(), dtypes.to_owned());
        layer(&Signature { name, shapes, dtypes, concrete: concrete.map(str::to_owned) }, &operation)
    }

    fn line(points: [Point; 2]) -> Option<Layer> {
        Line::through(&BTreeSet::from(points), Precision::MatrixF16).map(Layer::Linear)
    }

    #[test]
    fn a_product_with_weights_is_a_line() {
        // M 4, K 5, N 6 of half: 2 x 4 x 5 x 6 FLOP, 2 x (20 + 30 + 24) bytes; for 8 rows 2 x (40 + 30 + 48).
        let plain = line([(4, 240, 148), (8, 480, 236)]);
        assert!(plain.is_some());
        assert_eq!(of("aten::mm", "[[4,5],[5,6]]", r#"["c10::Half","c10::Half"]"#), plain);
        assert_eq!(of("aten::linear", "[[2,2,5],[6,5]]", r#"["c10::Half","c10::Half"]"#), plain);
        // With a bias of 6: 24 FLOP and 12 bytes more.
        let biased = line([(4, 264, 160), (8, 528, 248)]);
        assert_eq!(of("aten::addmm", "[[6],[4,5],[5,6]]", r#"["c10::Half","c10::Half","c10::Half"]"#), biased);
    }

    #[test]
    fn attention_tells_the_cache_of_a_token() {
        // 3 requests, 2 heads of keys and values of 16 half elements: 3 x 2 x 2 x 16 x 2 bytes a token.
        let shapes = "[[3,8,1,16],[3,2,100,16],[3,2,100,16],[],[]]";
        let dtypes = r#"["c10::Half","c10::Half","c10::Half","Scalar","Scalar"]"#;
        let expected = Layer::Attention { kv_bytes_per_token: 384.0 };
        assert_eq!(of("aten::_scaled_dot_product_flash_attention", shapes, dtypes), Some(expected));
    }

    #[test]
    fn what_is_no_product_with_weights_tells_nothing() {
        let half = r#"["c10::Half","c10::Half"]"#;
        assert_eq!(of("aten::matmul", "[[2,4,5],[2,5,6]]", half), None);
        assert_eq!(of("aten::matmul", "[[5],[5,6]]", half), None);
        assert_eq!(of("aten::add", "[[4,5],[4,5]]", half), None);
        assert_eq!(of("aten::mm", "[[4,5],[5,6]]", "hostile"), None);
    }
}
