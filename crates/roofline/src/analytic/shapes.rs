//! The inputs of an operator, parsed from the profiler's JSON.

use serde_json::Value;

use super::dtype::Element;

/// A tensor: its sizes and element type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) dims: Vec<u64>,
    pub(super) element: Element,
}

/// Product of sizes, 1 without any. Not exact above 2^53, infinite above what a float holds.
pub(super) fn product(dims: &[u64]) -> f64 {
    dims.iter().map(|dim| *dim as f64).product()
}

impl Tensor {
    pub(super) fn elements(&self) -> f64 {
        product(&self.dims)
    }

    pub(super) fn bytes(&self) -> f64 {
        self.elements() * f64::from(self.element.size)
    }

    /// The last size; 1 of a scalar.
    pub(super) fn last(&self) -> u64 {
        self.dims.last().copied().unwrap_or(1)
    }

    /// All sizes as an array; `None` for another rank.
    pub(super) fn sizes<const N: usize>(&self) -> Option<[u64; N]> {
        self.dims.as_slice().try_into().ok()
    }
}

/// The inputs of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    /// One an input; `None` for what is no tensor: scalars, absent ones, lists.
    tensors: Vec<Option<Tensor>>,
    /// The scalar inputs as text, empty for tensors; `None` where the trace has none.
    concrete: Option<Vec<String>>,
}

impl Arguments {
    /// `None` unless both are arrays of the same length.
    pub(super) fn parse(shapes: &str, dtypes: &str, concrete: Option<&str>) -> Option<Self> {
        let shapes: Vec<Value> = serde_json::from_str(shapes).ok()?;
        let dtypes: Vec<Value> = serde_json::from_str(dtypes).ok()?;
        if shapes.len() != dtypes.len() {
            return None;
        }
        let tensors = shapes.iter().zip(&dtypes).map(|(shape, dtype)| tensor(shape, dtype)).collect();
        let text = |value: Value| if let Value::String(text) = value { text } else { String::new() };
        let concrete = concrete.and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
        Some(Self { tensors, concrete: concrete.map(|values| values.into_iter().map(text).collect()) })
    }

    /// The tensor at a place, if there is one.
    pub(super) fn tensor(&self, at: usize) -> Option<&Tensor> {
        self.tensors.get(at)?.as_ref()
    }

    /// All tensors, those of no dimension too.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().flatten()
    }

    /// The scalar at a place as it was written; `None` where it is absent or the trace has no scalars.
    pub(super) fn scalar(&self, at: usize) -> Option<&str> {
        self.concrete.as_ref()?.get(at).map(String::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, at: usize) -> Option<bool> {
        match self.scalar(at)? {
            "True" | "true" | "1" => Some(true),
            "False" | "false" | "0" => Some(false),
            _ => None,
        }
    }

    pub(super) fn integer(&self, at: usize) -> Option<i64> {
        self.scalar(at)?.parse().ok()
    }

    /// A list such as `[1, 1]`; one number counts as a list of one.
    pub(super) fn integers(&self, at: usize) -> Option<Vec<i64>> {
        let text = self.scalar(at)?;
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        inner.split(',').filter(|part| !part.trim().is_empty()).map(|part| part.trim().parse().ok()).collect()
    }
}

/// Scalars and lists have a type that is none of an element; what is no shape is no tensor.
fn tensor(shape: &Value, dtype: &Value) -> Option<Tensor> {
    let element = Element::parse(dtype.as_str()?)?;
    let dims = shape.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()?;
    Some(Tensor { dims, element })
}

/// The shape that both broadcast to; `None` where they do not.
pub(super) fn broadcast(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let rank = a.len().max(b.len());
    let size = |dims: &[u64], at: usize| (at + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    let common = |at| match (size(a, at), size(b, at)) {
        (x, y) if x == y || y == 1 => Some(x),
        (1, y) => Some(y),
        _ => None,
    };
    (0..rank).map(common).collect()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_tensors_scalars_or_nothing() {
        let shapes = r#"[[16,559],[[2],[3]],[],[],[-1],"x"]"#;
        let dtypes = r#"["float","TensorList","double","Scalar","int","int"]"#;
        let arguments = Arguments::parse(shapes, dtypes, Some(r#"["","","","[1, -1]","",true]"#)).unwrap();
        let dims: Vec<Option<usize>> = (0..6).map(|at| arguments.tensor(at).map(|tensor| tensor.dims.len())).collect();
        assert_eq!(dims, [Some(2), None, Some(0), None, None, None]);
        assert_eq!(arguments.tensor(0).unwrap().bytes(), 16.0 * 559.0 * 4.0);
        assert_eq!((arguments.integers(3), arguments.scalar(0), arguments.scalar(9)), (Some(vec![1, -1]), None, None));
    }

    #[test]
    fn what_is_no_list_of_inputs_is_nothing() {
        let deep = "[".repeat(5000);
        for (shapes, dtypes) in [("", "[]"), ("{}", "[]"), ("[[1]]", "[]"), (deep.as_str(), "[]"), ("[1e999]", "[1]")] {
            assert_eq!(Arguments::parse(shapes, dtypes, None), None);
        }
        assert_eq!(Arguments::parse("[]", "[]", Some("nonsense")).unwrap().scalar(0), None);
    }

    #[test]
    fn shapes_broadcast_from_the_end() {
        assert_eq!(broadcast(&[16, 559, 1024], &[1024]), Some(vec![16, 559, 1024]));
        assert_eq!(broadcast(&[16, 1, 64], &[559, 1]), Some(vec![16, 559, 64]));
        assert_eq!(broadcast(&[], &[]), Some(vec![]));
        assert_eq!(broadcast(&[2], &[3]), None);
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
    }
}
