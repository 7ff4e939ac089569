//! Matrix products.
//!
//! FLOP = 2 B M N K, plus B M N for a bias (as TraceLens; PyTorch's `flop_counter` leaves the bias out). Bytes = A, B,
//! bias and scales once, and the output once. Scaling by per-tensor or per-block factors is not counted.

use super::Operation;
use super::dtype::{BFLOAT16, Class, Element};
use super::shapes::{Arguments, Tensor, broadcast, product};
use crate::Precision;

/// Type of the output.
#[derive(Clone, Copy)]
enum Out {
    /// That of A, but bfloat16 where A has 8 bits or fewer.
    Like,
    /// That of a tensor that is passed to be written.
    Tensor(usize),
    /// A `ScalarType` among the scalars.
    Scalar(usize),
    /// Bytes of each element.
    Bytes(u8),
}

/// Where an operator has what.
struct Layout {
    name: &'static str,
    a: usize,
    b: usize,
    /// Whether B is `[N, K]`, as weights are stored.
    transposed: bool,
    bias: Option<usize>,
    /// Scales of A and B.
    scales: &'static [usize],
    out: Out,
}

const fn plain(name: &'static str, a: usize, b: usize, bias: Option<usize>) -> Layout {
    Layout { name, a, b, transposed: false, bias, scales: &[], out: Out::Like }
}

const fn weights(name: &'static str, bias: Option<usize>, scales: &'static [usize], out: Out) -> Layout {
    Layout { name, a: 0, b: 1, transposed: true, bias, scales, out }
}

const fn scaled(name: &'static str, bias: Option<usize>, scales: &'static [usize], out: Out) -> Layout {
    Layout { name, a: 0, b: 1, transposed: false, bias, scales, out }
}

const LAYOUTS: &[Layout] = &[
    plain("aten::mm", 0, 1, None),
    plain("aten::bmm", 0, 1, None),
    plain("aten::matmul", 0, 1, None),
    plain("aten::mv", 0, 1, None),
    plain("aten::dot", 0, 1, None),
    plain("aten::vdot", 0, 1, None),
    plain("aten::addmm", 1, 2, Some(0)),
    plain("aten::addmm_", 1, 2, Some(0)),
    plain("aten::_addmm_activation", 1, 2, Some(0)),
    plain("aten::baddbmm", 1, 2, Some(0)),
    plain("aten::baddbmm_", 1, 2, Some(0)),
    plain("aten::addmv", 1, 2, Some(0)),
    weights("aten::linear", Some(2), &[], Out::Like),
    scaled("aten::_int_mm", None, &[], Out::Bytes(4)),
    // (self, mat2, scale_a, scale_b, bias, scale_result, out_dtype, use_fast_accum) since PyTorch 2.5.
    scaled("aten::_scaled_mm", Some(4), &[2, 3], Out::Scalar(6)),
    weights("aiter::gemm_a16w16", Some(2), &[4, 5], Out::Scalar(3)),
    weights("aiter::gemm_a8w8", Some(4), &[2, 3], Out::Like),
    weights("aiter::gemm_a8w8_CK", Some(4), &[2, 3], Out::Like),
    weights("aiter::gemm_a8w8_bpreshuffle", None, &[2, 3], Out::Like),
    weights("aiter::gemm_a8w8_blockscale", None, &[2, 3], Out::Like),
    weights("vllm::rocm_unquantized_gemm", Some(2), &[], Out::Like),
    weights("vllm::rocm_unquantized_gemm_impl", Some(2), &[], Out::Like),
    Layout { a: 1, b: 2, ..scaled("_C::cutlass_scaled_mm", Some(5), &[3, 4], Out::Tensor(0)) },
    scaled("sgl_kernel::fp8_scaled_mm", Some(5), &[2, 3], Out::Scalar(4)),
    scaled("sgl_kernel::int8_scaled_mm", Some(5), &[2, 3], Out::Scalar(4)),
    scaled("sgl_kernel::fp8_blockwise_scaled_mm", None, &[2, 3], Out::Scalar(4)),
    scaled("sgl_kernel::bmm_fp8", None, &[3, 4], Out::Tensor(2)),
    Layout { b: 2, transposed: true, ..scaled("sglang::deep_gemm_fp8_fp8_bf16_nt", None, &[1, 3], Out::Tensor(4)) },
];

pub(super) fn names(name: &str) -> bool {
    LAYOUTS.iter().any(|layout| layout.name == name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let layout = LAYOUTS.iter().find(|layout| layout.name == name)?;
    let (a, b) = (arguments.tensor(layout.a)?, arguments.tensor(layout.b)?);
    let shape = Shape::of(a, b, layout.transposed)?;
    let precision = precision(a.element, b.element)?;
    // `beta` stands behind the two factors; a bias times zero is not read.
    let beta_zero = layout.bias == Some(0) && matches!(arguments.scalar(3), Some("0" | "0."));
    let bias = layout.bias.filter(|_| !beta_zero).and_then(|at| arguments.tensor(at));
    let outputs = shape.batch * shape.m * shape.n;
    let flop = 2.0 * outputs * shape.k + bias.map_or(0.0, |_| outputs);
    let scales: f64 = layout.scales.iter().filter_map(|at| arguments.tensor(*at)).map(Tensor::bytes).sum();
    let written = outputs * f64::from(out_size(layout.out, a.element, arguments));
    let bytes = a.bytes() + b.bytes() + bias.map_or(0.0, Tensor::bytes) + scales + written;
    Operation::new("gemm", flop, bytes, precision, formula(precision))
}

/// Of 8-bit weights under a half activation that of the activation: they are widened before they are multiplied.
fn precision(a: Element, b: Element) -> Option<Precision> {
    let wider = |x: Element, y: Element| if y.is_float() && y.size > x.size { y } else { x };
    match (a.is_float(), b.is_float()) {
        (true, true) => wider(a, b).matrix(),
        (true, false) => a.matrix(),
        (false, true) => b.matrix(),
        (false, false) => (a.class == Class::I8 && b.class == Class::I8).then_some(Precision::MatrixI8),
    }
}

/// The formula of products of that precision.
fn formula(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "gemm-2mnk, tf32 unknown",
        Precision::F64 => "gemm-2mnk, f64 unit unknown",
        _ => "gemm-2mnk",
    }
}

fn out_size(out: Out, a: Element, arguments: &Arguments) -> u8 {
    let like = if a.size == 1 { BFLOAT16.size } else { a.size };
    match out {
        Out::Like => like,
        Out::Bytes(size) => size,
        Out::Tensor(at) => arguments.tensor(at).map_or(like, |tensor| tensor.element.size),
        Out::Scalar(at) => arguments.scalar(at).and_then(Element::of_scalar_type).map_or(like, |element| element.size),
    }
}

/// Sizes of a product.
struct Shape {
    batch: f64,
    m: f64,
    n: f64,
    k: f64,
}

impl Shape {
    /// As `torch.matmul`: a vector is a row on the left and a column on the right, leading sizes broadcast.
    fn of(a: &Tensor, b: &Tensor, transposed: bool) -> Option<Self> {
        let left = if a.dims.len() == 1 { vec![1, a.dims[0]] } else { a.dims.clone() };
        let right = if b.dims.len() == 1 { vec![b.dims[0], 1] } else { b.dims.clone() };
        let (rows, [m, ka]) = left.split_last_chunk()?;
        let (matrices, last) = right.split_last_chunk::<2>()?;
        let [kb, n] = if transposed && b.dims.len() > 1 { [last[1], last[0]] } else { *last };
        let inner = ka.checked_mul(u64::from(a.element.packed))?;
        if kb.checked_mul(u64::from(b.element.packed)) != Some(inner) {
            return None;
        }
        let (n, k) = (n as f64, inner as f64);
        if matrices.is_empty() {
            return Some(Self { batch: 1.0, m: product(rows) * *m as f64, n, k });
        }
        Some(Self { batch: product(&broadcast(rows, matrices)?), m: *m as f64, n, k })
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use crate::Precision;
    use crate::analytic::{Operation, operator};

    fn gemm(name: &str, shapes: &str, dtype: &str, concrete: Option<&str>) -> Operation {
        let count = shapes.matches(['[']).count() - 1;
        let dtypes = serde_json::to_string(&vec![dtype; count]).unwrap();
        operator(name, shapes, &dtypes, concrete).unwrap()
    }

    #[test]
    fn a_product_is_two_operations_a_multiply_add_and_a_bias_one_an_output() {
        // 2*4*6*5 = 240; (20 + 30 + 24) * 2 bytes.
        let plain = gemm("aten::mm", "[[4,5],[5,6]]", "c10::Half", None);
        assert_eq!((plain.flop, plain.bytes, plain.precision), (240.0, 148.0, Precision::MatrixF16));
        // + 24 FLOP, + 6 elements.
        let biased = gemm("aten::addmm", "[[6],[4,5],[5,6]]", "c10::Half", None);
        assert_eq!((biased.flop, biased.bytes), (264.0, 160.0));
        let linear = gemm("aten::linear", "[[2,2,5],[6,5],[6]]", "c10::Half", None);
        assert_eq!((linear.flop, linear.bytes), (264.0, 160.0));
        let unread = operator(
            "aten::addmm",
            "[[6],[4,5],[5,6],[],[]]",
            r#"["float","float","float","Scalar","Scalar"]"#,
            Some(r#"["","","","0","1"]"#),
        );
        assert_eq!(unread.map(|op| (op.flop, op.bytes, op.precision)), Some((240.0, 296.0, Precision::F32)));
    }

    #[test]
    fn batches_broadcast_and_vectors_are_rows_and_columns() {
        // 3*7 matrices of 4x5 by 5x6.
        assert_eq!(gemm("aten::matmul", "[[3,1,4,5],[7,5,6]]", "float", None).flop, 21.0 * 240.0);
        assert_eq!(gemm("aten::mv", "[[4,5],[5]]", "float", None).flop, 40.0);
        assert_eq!(gemm("aten::matmul", "[[5],[3,5,6]]", "float", None).flop, 3.0 * 60.0);
        let dot = gemm("aten::dot", "[[5],[5]]", "float", None);
        assert_eq!((dot.flop, dot.bytes), (10.0, 44.0));
    }

    #[test]
    fn the_output_type_is_that_which_the_call_names() {
        // fp8 inputs: 20 + 30 bytes, scales 2 * 4, output 24 * 4 (type 6 is float).
        let shapes = "[[4,5],[5,6],[1],[1],[],[],[],[]]";
        let dtypes = r#"["c10::Float8_e4m3fn","c10::Float8_e4m3fn","float","float","","","Scalar","Scalar"]"#;
        let op = operator("aten::_scaled_mm", shapes, dtypes, Some(r#"["","","","","","","6","True"]"#)).unwrap();
        assert_eq!((op.flop, op.bytes, op.precision), (240.0, 154.0, Precision::MatrixF8));
        assert_eq!(operator("aten::_scaled_mm", shapes, dtypes, None).unwrap().bytes, 106.0);
        let op = gemm("_C::cutlass_scaled_mm", "[[4,6],[4,5],[5,6],[1],[1]]", "signed char", None);
        assert_eq!((op.flop, op.precision), (240.0, Precision::MatrixI8));
    }

    #[test]
    fn shapes_that_do_not_multiply_are_nothing() {
        for shapes in ["[[4,5],[6,5]]", "[[4,5],[]]", "[[],[]]", "[[2,4,5],[3,5,6]]"] {
            assert_eq!(operator("aten::mm", shapes, r#"["float","float"]"#, None), None);
        }
        let huge = "[[18446744073709551615,18446744073709551615],[18446744073709551615,1]]";
        assert_eq!(operator("aten::mm", huge, r#"["float","float"]"#, None), None);
        assert_eq!(operator("aten::mm", "[[4,5],[5,6]]", r#"["int","int"]"#, None), None);
    }
}
