//! Normalisations and softmax.
//!
//! FLOP of N elements in R rows, the steps of the formula:
//! RMS: square, sum, scale, weight = 4 N, and add epsilon, square root a row = 2 R (as TraceLens), one N more where a
//! residual is added. Layer and group: sum, subtract, square, sum, scale = 5 N + 2 R, one N each for weight and bias.
//! Batch: subtract, scale = 2 N with stored statistics, sum, square, sum more = 5 N where they are computed.
//! Softmax: largest, subtract, exponential, sum, divide = 5 N.

use super::Operation;
use super::dtype::Element;
use super::shapes::{Arguments, Tensor, product};

#[derive(Clone, Copy)]
enum Kind {
    /// The largest tensor is input (and output), the vector of its last size the weights.
    Rms { residual: bool },
    /// (input, normalized_shape, weight, bias, eps)
    Layer,
    /// (input, weight, bias, N, C, HxW, group, eps)
    Group,
    /// (input, weight, bias, mean, variance, training, ..)
    Batch,
    /// (input, dim, ..)
    Softmax,
    /// (gradient, output, dim, ..)
    SoftmaxBackward,
}

const KINDS: &[(&str, Kind)] = &[
    ("aten::rms_norm", Kind::Rms { residual: false }),
    ("aten::_fused_rms_norm", Kind::Rms { residual: false }),
    ("_C::rms_norm", Kind::Rms { residual: false }),
    ("_C::fused_add_rms_norm", Kind::Rms { residual: true }),
    ("sgl_kernel::rmsnorm", Kind::Rms { residual: false }),
    ("sgl_kernel::fused_add_rmsnorm", Kind::Rms { residual: true }),
    ("sgl_kernel::gemma_rmsnorm", Kind::Rms { residual: false }),
    ("sgl_kernel::gemma_fused_add_rmsnorm", Kind::Rms { residual: true }),
    ("flashinfer::rmsnorm", Kind::Rms { residual: false }),
    ("flashinfer::fused_add_rmsnorm", Kind::Rms { residual: true }),
    ("aiter::rmsnorm", Kind::Rms { residual: false }),
    ("aiter::rms_norm", Kind::Rms { residual: false }),
    ("aiter::rmsnorm2d_fwd", Kind::Rms { residual: false }),
    ("aiter::add_rmsnorm", Kind::Rms { residual: true }),
    ("aiter::rmsnorm2d_fwd_with_add", Kind::Rms { residual: true }),
    ("aten::layer_norm", Kind::Layer),
    ("aten::native_layer_norm", Kind::Layer),
    ("aten::native_group_norm", Kind::Group),
    ("aten::batch_norm", Kind::Batch),
    ("aten::native_batch_norm", Kind::Batch),
    ("aten::cudnn_batch_norm", Kind::Batch),
    ("aten::miopen_batch_norm", Kind::Batch),
    ("aten::softmax", Kind::Softmax),
    ("aten::_softmax", Kind::Softmax),
    ("aten::log_softmax", Kind::Softmax),
    ("aten::_log_softmax", Kind::Softmax),
    ("aten::_softmax_backward_data", Kind::SoftmaxBackward),
    ("aten::_log_softmax_backward_data", Kind::SoftmaxBackward),
];

pub(super) fn names(name: &str) -> bool {
    KINDS.iter().any(|(known, _)| *known == name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let (_, kind) = KINDS.iter().find(|(known, _)| *known == name)?;
    match kind {
        Kind::Rms { residual } => rms(arguments, *residual),
        Kind::Layer => layer(arguments),
        Kind::Group => group(arguments),
        Kind::Batch => batch(arguments),
        Kind::Softmax => softmax(arguments),
        Kind::SoftmaxBackward => softmax_backward(arguments),
    }
}

fn bytes_at(arguments: &Arguments, places: &[usize]) -> f64 {
    places.iter().filter_map(|at| arguments.tensor(*at)).map(Tensor::bytes).sum()
}

/// Whether an operator writes its result into a tensor that it is given or returns one, the bytes are the same.
fn rms(arguments: &Arguments, residual: bool) -> Option<Operation> {
    let input = arguments.tensors().max_by(|a, b| a.elements().total_cmp(&b.elements()))?;
    if !input.element.is_float() || input.dims.is_empty() {
        return None;
    }
    let weights = arguments.tensors().find(|tensor| tensor.sizes() == Some([input.last()]) && input.dims.len() > 1);
    let (n, rows) = (input.elements(), product(&input.dims[..input.dims.len() - 1]));
    let steps = 3.0 + f64::from(u8::from(weights.is_some())) + f64::from(u8::from(residual));
    let passes = if residual { 4.0 } else { 2.0 };
    let bytes = passes * input.bytes() + weights.map_or(0.0, Tensor::bytes);
    normalization(steps * n + 2.0 * rows, bytes, input.element, "rms-4n")
}

fn normalization(flop: f64, bytes: f64, element: Element, formula: &'static str) -> Option<Operation> {
    Operation::new("normalization", flop, bytes, element.vector(), formula)
}

fn affine(arguments: &Arguments, places: [usize; 2]) -> f64 {
    places.iter().filter(|at| arguments.tensor(**at).is_some()).count() as f64
}

fn layer(arguments: &Arguments) -> Option<Operation> {
    let input = arguments.tensor(0)?;
    // What is normalised over are the sizes of the weights; without any the list of sizes.
    let width = match arguments.tensor(2) {
        Some(weights) => weights.elements(),
        None => arguments.integers(1)?.iter().map(|size| *size as f64).product(),
    };
    if width < 1.0 {
        return None;
    }
    let (n, rows) = (input.elements(), input.elements() / width);
    let bytes = 2.0 * input.bytes() + bytes_at(arguments, &[2, 3]);
    let flop = (5.0 + affine(arguments, [2, 3])) * n + 2.0 * rows;
    normalization(flop, bytes, input.element, "layer-norm-7n")
}

fn group(arguments: &Arguments) -> Option<Operation> {
    let input = arguments.tensor(0)?;
    let rows = arguments.integer(3)? as f64 * arguments.integer(6)? as f64;
    let bytes = 2.0 * input.bytes() + bytes_at(arguments, &[1, 2]);
    let flop = (5.0 + affine(arguments, [1, 2])) * input.elements() + 2.0 * rows;
    normalization(flop, bytes, input.element, "layer-norm-7n")
}

fn batch(arguments: &Arguments) -> Option<Operation> {
    let input = arguments.tensor(0)?;
    let training = arguments.flag(5)?;
    let statistics = bytes_at(arguments, &[3, 4]) * if training { 2.0 } else { 1.0 };
    let bytes = 2.0 * input.bytes() + bytes_at(arguments, &[1, 2]) + statistics;
    let channels = input.dims.get(1).copied().unwrap_or(1) as f64;
    let steps = affine(arguments, [1, 2]) + if training { 5.0 } else { 2.0 };
    normalization(steps * input.elements() + 2.0 * channels, bytes, input.element, "batch-norm-4n")
}

fn softmax(arguments: &Arguments) -> Option<Operation> {
    let input = arguments.tensor(0)?;
    // An output type may follow the dimension, or be `half_to_float`.
    let widened = arguments.flag(2) == Some(true) && input.element.size == 2;
    let out = input.elements() * if widened { 4.0 } else { f64::from(input.element.size) };
    let flop = 5.0 * input.elements();
    Operation::new("softmax", flop, input.bytes() + out, input.element.vector(), "softmax-5n")
}

/// Gradient times output, sum, subtract, times output: 4 N.
fn softmax_backward(arguments: &Arguments) -> Option<Operation> {
    let (gradient, output) = (arguments.tensor(0)?, arguments.tensor(1)?);
    let bytes = 2.0 * gradient.bytes() + output.bytes();
    Operation::new("softmax", 4.0 * gradient.elements(), bytes, gradient.element.vector(), "softmax-backward-4n")
}

#[cfg(test)]
mod tests {
    use crate::Precision;
    use crate::analytic::operator;

    fn of(name: &str, shapes: &str, dtype: &str, concrete: Option<&str>) -> (f64, f64) {
        let inputs: Vec<Vec<u64>> = serde_json::from_str(shapes).unwrap();
        let dtypes: Vec<&str> = inputs.iter().map(|dims| if dims.is_empty() { "" } else { dtype }).collect();
        let op = operator(name, shapes, &serde_json::to_string(&dtypes).unwrap(), concrete).unwrap();
        assert_eq!(op.precision, Precision::F32);
        (op.flop, op.bytes)
    }

    #[test]
    fn root_mean_square_is_four_steps_and_the_residual_a_fifth() {
        // 6 rows of 8: 4*48 + 12; (2*48 + 8) * 2 bytes.
        assert_eq!(of("_C::rms_norm", "[[6,8],[6,8],[8],[]]", "c10::Half", None), (204.0, 208.0));
        assert_eq!(of("aten::rms_norm", "[[2,3,8],[],[8],[]]", "c10::Half", None), (204.0, 208.0));
        // 5*48 + 12; (4*48 + 8) * 2, also where the outputs are passed.
        for shapes in ["[[6,8],[6,8],[8],[]]", "[[6,8],[6,8],[6,8],[6,8],[8],[]]"] {
            assert_eq!(of("_C::fused_add_rms_norm", shapes, "c10::Half", None), (252.0, 400.0));
        }
    }

    #[test]
    fn layer_group_and_batch_normalise_over_different_rows() {
        // 7*48 + 2*6; (2*48 + 16) * 4.
        assert_eq!(of("aten::native_layer_norm", "[[6,8],[],[8],[8],[]]", "float", None), (348.0, 448.0));
        let concrete = Some(r#"["","[8]","","",""]"#);
        assert_eq!(of("aten::layer_norm", "[[6,8],[],[],[],[]]", "float", concrete), (252.0, 384.0));
        // 2 images, 4 channels in 2 groups, 3 wide: 7*24 + 2*4; (48 + 8) * 4.
        let concrete = Some(r#"["","","","2","4","3","2","1e-5"]"#);
        assert_eq!(
            of("aten::native_group_norm", "[[2,4,3],[4],[4],[],[],[],[],[]]", "float", concrete),
            (176.0, 224.0)
        );
        // 4*24 + 2*4, training 7*24 + 2*4; (48 + 16) * 4, the running statistics written too.
        let of_batch = |training: &str| {
            let concrete = format!(r#"["","","","","","{training}","0.1","1e-5"]"#);
            of("aten::native_batch_norm", "[[2,4,3],[4],[4],[4],[4],[],[],[]]", "float", Some(&concrete))
        };
        assert_eq!([of_batch("False"), of_batch("True")], [(104.0, 256.0), (176.0, 288.0)]);
    }

    #[test]
    fn softmax_is_five_steps() {
        assert_eq!(of("aten::_softmax", "[[6,8],[],[]]", "float", None), (240.0, 384.0));
        let widened = Some(r#"["","-1","True"]"#);
        assert_eq!(of("aten::_softmax", "[[6,8],[],[]]", "c10::Half", widened), (240.0, 288.0));
    }
}
