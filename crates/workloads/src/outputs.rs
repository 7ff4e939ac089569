//! The outputs of a run and how two sets of them are compared.

use std::collections::BTreeMap;

/// Every output of every measured iteration.
#[derive(Clone, Debug)]
pub struct Outputs {
    tensors: BTreeMap<Key, Vec<f32>>,
    /// The largest deviation between two such sets that is accepted.
    tolerance: f64,
}

/// Which output: iteration (over all blocks) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    iteration: usize,
    name: &'static str,
}

/// One comparison of outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What was compared with what.
    pub name: String,
    /// Values compared.
    pub values: u64,
    /// The largest `max |a - b| / max |reference|` of all tensors; infinite where something is missing or not finite.
    pub max_relative_error: f64,
    /// The largest that is accepted.
    pub tolerance: f64,
}

/// The largest relative deviation that is accepted of values and sums in f32.
pub(crate) const TOLERANCE: f64 = 1e-4;

impl Default for Outputs {
    fn default() -> Self {
        Self::with_tolerance(TOLERANCE)
    }
}

impl Outputs {
    /// None yet; those of another run may differ from them by `tolerance`.
    pub(crate) fn with_tolerance(tolerance: f64) -> Self {
        Self { tensors: BTreeMap::new(), tolerance }
    }

    /// Adds the tensor `name` of an iteration.
    pub(crate) fn insert(&mut self, iteration: usize, name: &'static str, values: Vec<f32>) {
        self.tensors.insert(Key { iteration, name }, values);
    }

    /// The tensor `name` of an iteration.
    pub(crate) fn get(&self, iteration: usize, name: &'static str) -> Option<&[f32]> {
        self.tensors.get(&Key { iteration, name }).map(Vec::as_slice)
    }

    /// Values in all tensors.
    pub fn values(&self) -> usize {
        self.tensors.values().map(Vec::len).sum()
    }
}

/// Compares every output of `a` and `b`, the second being the reference.
pub fn compare(a: &Outputs, b: &Outputs) -> Check {
    let name = "baseline and optimized, every output".to_owned();
    let tolerance = a.tolerance.max(b.tolerance);
    let mut check = Check { name, values: 0, max_relative_error: 0.0, tolerance };
    if a.tensors.len() != b.tensors.len() || b.tensors.is_empty() {
        check.max_relative_error = f64::INFINITY;
    }
    for (key, reference) in &b.tensors {
        let found = a.tensors.get(key).map_or(&[][..], Vec::as_slice);
        check.add(found, reference.iter().copied().map(f64::from));
    }
    check
}

impl Check {
    /// A comparison that has seen nothing yet.
    pub(crate) fn new(name: String) -> Self {
        Self::within(name, TOLERANCE)
    }

    /// The same, with the largest deviation that it accepts.
    pub(crate) fn within(name: String, tolerance: f64) -> Self {
        Self { name, values: 0, max_relative_error: 0.0, tolerance }
    }

    /// Compares one tensor with its reference.
    pub(crate) fn add(&mut self, found: &[f32], reference: impl ExactSizeIterator<Item = f64>) {
        self.values += reference.len() as u64;
        self.max_relative_error = self.max_relative_error.max(deviation(found, reference));
    }

    /// Whether the deviation is accepted.
    pub fn passes(&self) -> bool {
        self.max_relative_error <= self.tolerance
    }
}

/// `max |found - reference| / max |reference|`; infinite where the lengths differ or a value is not finite.
fn deviation(found: &[f32], reference: impl ExactSizeIterator<Item = f64>) -> f64 {
    if found.len() != reference.len() {
        return f64::INFINITY;
    }
    let (mut difference, mut scale) = (0.0_f64, 0.0_f64);
    for (&found, reference) in found.iter().zip(reference) {
        let off = (f64::from(found) - reference).abs();
        if !off.is_finite() {
            return f64::INFINITY;
        }
        difference = difference.max(off);
        scale = scale.max(reference.abs());
    }
    if difference == 0.0 { 0.0 } else { difference / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(values: &[f32]) -> Outputs {
        let mut outputs = Outputs::default();
        outputs.insert(0, "decode", values.to_vec());
        outputs
    }

    #[test]
    fn the_deviation_is_relative_to_the_largest_reference_value() {
        let check = compare(&outputs(&[1.0, 2.0, 4.5]), &outputs(&[1.0, 2.0, 4.0]));
        assert_eq!((check.values, check.max_relative_error), (3, 0.125));
        assert!(!check.passes());
    }

    #[test]
    fn missing_and_undefined_values_never_pass() {
        assert!(!compare(&Outputs::default(), &Outputs::default()).passes());
        assert!(!compare(&Outputs::default(), &outputs(&[1.0])).passes());
        assert!(!compare(&outputs(&[f32::NAN]), &outputs(&[1.0])).passes());
        assert!(!compare(&outputs(&[1.0, 2.0]), &outputs(&[1.0])).passes());
        assert!(compare(&outputs(&[0.0]), &outputs(&[0.0])).passes());
    }
}
