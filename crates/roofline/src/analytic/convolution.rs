//! Convolutions.
//!
//! FLOP = 2 N C_out (C_in / groups) prod(out) prod(kernel), plus N C_out prod(out) for a bias (as PyTorch's
//! `flop_counter`, which leaves the bias out); padding is multiplied like any other input. A transposed one is its mirror:
//! 2 N C_in (C_out / groups) prod(in) prod(kernel). Each gradient costs what the forward pass costs. Bytes are input,
//! weights, bias and output once. Winograd and FFT algorithms execute less than this.

use super::Operation;
use super::shapes::{Arguments, Tensor, product};
use crate::Precision;

/// Where an operator has what; its input is at `input`, its weights behind.
struct Layout {
    name: &'static str,
    input: usize,
    bias: Option<usize>,
    stride: usize,
    padding: usize,
    dilation: usize,
    transposed: Transposed,
    backward: bool,
}

#[derive(Clone, Copy)]
enum Transposed {
    Never,
    /// Always; place of the output padding, the groups stand three behind.
    Always(usize),
    /// A flag; output padding and groups follow.
    Flag(usize),
}

const fn simple(name: &'static str) -> Layout {
    let transposed = Transposed::Never;
    Layout { name, input: 0, bias: Some(2), stride: 3, padding: 4, dilation: 5, transposed, backward: false }
}

const fn vendor(name: &'static str, bias: Option<usize>, padding: usize) -> Layout {
    Layout { bias, padding, stride: padding + 1, dilation: padding + 2, ..simple(name) }
}

const LAYOUTS: &[Layout] = &[
    Layout { transposed: Transposed::Flag(6), ..simple("aten::convolution") },
    Layout { transposed: Transposed::Flag(6), ..simple("aten::_convolution") },
    Layout { transposed: Transposed::Flag(6), ..simple("aten::convolution_overrideable") },
    simple("aten::conv1d"),
    simple("aten::conv2d"),
    simple("aten::conv3d"),
    vendor("aten::cudnn_convolution", None, 2),
    vendor("aten::miopen_convolution", Some(2), 3),
    vendor("aten::miopen_depthwise_convolution", Some(2), 3),
    Layout { stride: 3, padding: 4, dilation: 5, ..vendor("aten::cudnn_convolution_relu", Some(2), 4) },
    Layout { stride: 4, padding: 5, dilation: 6, ..vendor("aten::_conv_depthwise2d", Some(3), 5) },
    // (self, weight, padding, output_padding, stride, dilation, ..) and with a bias before the padding.
    Layout { stride: 4, dilation: 5, ..transposed("aten::cudnn_convolution_transpose", None, 2) },
    Layout { stride: 5, dilation: 6, ..transposed("aten::miopen_convolution_transpose", Some(2), 3) },
    // (grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask)
    Layout {
        input: 1,
        bias: None,
        stride: 4,
        padding: 5,
        dilation: 6,
        transposed: Transposed::Flag(7),
        backward: true,
        ..simple("aten::convolution_backward")
    },
];

const fn transposed(name: &'static str, bias: Option<usize>, padding: usize) -> Layout {
    Layout { transposed: Transposed::Always(padding + 1), ..vendor(name, bias, padding) }
}

pub(super) fn names(name: &str) -> bool {
    LAYOUTS.iter().any(|layout| layout.name == name)
}

pub(super) fn operation(name: &str, arguments: &Arguments) -> Option<Operation> {
    let layout = LAYOUTS.iter().find(|layout| layout.name == name)?;
    let (input, weights) = (arguments.tensor(layout.input)?, arguments.tensor(layout.input + 1)?);
    let precision = input.element.matrix()?;
    let formula = match precision {
        Precision::F32 | Precision::F64 => "convolution-2nk, unit unknown",
        _ => "convolution-2nk",
    };
    let size = f64::from(input.element.size);
    let (flop, out) = if layout.backward {
        let out = arguments.tensor(0)?;
        let flop = macs(input, weights, &out.dims, arguments.flag(7)?)? * 2.0;
        (flop, out.elements())
    } else {
        let (is_transposed, dims) = out_dims(layout, arguments, input, weights)?;
        (macs(input, weights, &dims, is_transposed)? * 2.0, product(&dims))
    };
    if layout.backward {
        // Both gradients unless the mask says otherwise: that of the input reads weights and gradient, that of the
        // weights input and gradient.
        let wanted = |text: &str| text.split(',').map(|part| part.contains("True") || part.contains("true")).collect();
        let mask: Vec<bool> = arguments.scalar(10).map_or_else(|| vec![true, true], wanted);
        let [to_input, to_weights] = [0, 1].map(|at| mask.get(at).copied().unwrap_or(true));
        let count = f64::from(u8::from(to_input) + u8::from(to_weights));
        let part =
            |wanted: bool, read: &Tensor, written: &Tensor| if wanted { read.bytes() + written.bytes() } else { 0.0 };
        let bytes = out * size + part(to_input, weights, input) + part(to_weights, input, weights);
        return Operation::new("convolution", flop * count, bytes, precision, formula);
    }
    let bias = layout.bias.and_then(|at| arguments.tensor(at));
    let bytes = input.bytes() + weights.bytes() + bias.map_or(0.0, Tensor::bytes) + out * size;
    Operation::new("convolution", flop + bias.map_or(0.0, |_| out), bytes, precision, formula)
}

/// Multiply-adds: every element of the larger-stepped side meets one kernel of the channels of its group.
fn macs(input: &Tensor, weights: &Tensor, out: &[u64], is_transposed: bool) -> Option<f64> {
    let kernel = weights.dims.get(1..)?;
    Some(product(if is_transposed { &input.dims } else { out }) * product(kernel))
}

/// Whether it is transposed, and the sizes of the output (`torch.nn.Conv2d` and `ConvTranspose2d`).
fn out_dims(layout: &Layout, arguments: &Arguments, input: &Tensor, weights: &Tensor) -> Option<(bool, Vec<u64>)> {
    let (is_transposed, added_at, groups_at) = match layout.transposed {
        Transposed::Never => (false, 0, 0),
        Transposed::Always(at) => (true, at, at + 3),
        Transposed::Flag(at) => (arguments.flag(at)?, at + 1, at + 2),
    };
    let rank = weights.dims.len().checked_sub(2)?;
    // One without a batch has one size less.
    let (lead, space) = input.dims.split_at_checked(input.dims.len().checked_sub(rank)?)?;
    if lead.is_empty() || lead.len() > 2 {
        return None;
    }
    let list = |at: usize| {
        let values = arguments.integers(at)?;
        let of = |axis: usize| values.get(if values.len() == 1 { 0 } else { axis }).copied();
        (0..rank).map(of).collect::<Option<Vec<i64>>>()
    };
    let (stride, padding, dilation) = (list(layout.stride)?, list(layout.padding)?, list(layout.dilation)?);
    let added = if is_transposed { list(added_at)? } else { vec![0; rank] };
    let channels = if is_transposed {
        weights.dims[1].checked_mul(u64::try_from(arguments.integer(groups_at)?).ok()?)?
    } else {
        weights.dims[0]
    };
    let mut dims = lead[..lead.len() - 1].to_vec();
    dims.push(channels);
    for axis in 0..rank {
        let (size, kernel) = (i64::try_from(space[axis]).ok()?, i64::try_from(weights.dims[axis + 2]).ok()?);
        let reach = dilation[axis].checked_mul(kernel.checked_sub(1)?)?;
        let pad = padding[axis].checked_mul(2)?;
        let out = if is_transposed {
            let steps = size.checked_sub(1)?.checked_mul(stride[axis])?;
            steps.checked_sub(pad)?.checked_add(reach)?.checked_add(added[axis])?.checked_add(1)?
        } else {
            let room = size.checked_add(pad)?.checked_sub(reach)?.checked_sub(1)?;
            if room < 0 || stride[axis] < 1 {
                return None;
            }
            room / stride[axis] + 1
        };
        dims.push(u64::try_from(out).ok()?);
    }
    Some((is_transposed, dims))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the counts are whole numbers")]
mod tests {
    use crate::Precision;
    use crate::analytic::{Operation, operator};

    /// Inputs with sizes are half tensors; scalars are parted by `;`.
    fn of(name: &str, shapes: &str, concrete: &str) -> Option<Operation> {
        let inputs: Vec<Vec<u64>> = serde_json::from_str(shapes).unwrap();
        let dtypes: Vec<&str> =
            inputs.iter().map(|dims| if dims.is_empty() { "Scalar" } else { "c10::Half" }).collect();
        let concrete: Vec<&str> = concrete.split(';').collect();
        operator(
            name,
            shapes,
            &serde_json::to_string(&dtypes).unwrap(),
            Some(&serde_json::to_string(&concrete).unwrap()),
        )
    }

    #[test]
    fn a_convolution_multiplies_one_kernel_an_output() {
        // ResNet's first: 3x224x224, 64 kernels of 7x7, stride 2, padding 3: 64x112x112 outputs of 147 multiply-adds.
        let shapes = "[[1,3,224,224],[64,3,7,7],[],[],[],[],[],[],[]]";
        let op = of("aten::convolution", shapes, ";;;[2, 2];[3, 3];[1, 1];False;[0, 0];1").unwrap();
        let (outputs, inputs, weights) = (64.0 * 112.0 * 112.0, 3.0 * 224.0 * 224.0, 64.0 * 147.0);
        assert_eq!((op.flop, op.precision), (236_027_904.0, Precision::MatrixF16));
        assert_eq!(op.bytes, 2.0 * (outputs + inputs + weights));
        let same = of("aten::cudnn_convolution", "[[1,3,224,224],[64,3,7,7],[],[],[],[]]", ";;[3, 3];[2, 2];[1, 1];1");
        assert_eq!(same, Some(op));
    }

    #[test]
    fn groups_dilation_and_bias_change_what_they_should() {
        // 8 channels in 4 groups: kernels of 2x3; 10 wide, dilation 2: 10 - 4 = 6 outputs of 8 channels, 2 images.
        let op = of("aten::conv1d", "[[2,8,10],[8,2,3],[8],[],[],[],[]]", ";;;[1];[0];[2];4").unwrap();
        assert_eq!(op.flop, 2.0 * 96.0 * 6.0 + 96.0);
        assert_eq!(op.bytes, 2.0 * (160.0 + 48.0 + 8.0 + 96.0));
    }

    #[test]
    fn a_transposed_one_multiplies_one_kernel_an_input() {
        // 4 wide, stride 2, kernel 3, padding 1, output padding 1: (4-1)*2 - 2 + 2 + 1 + 1 = 8 wide; 6 channels to 2*5.
        let shapes = "[[1,6,4],[6,5,3],[],[],[],[],[],[],[]]";
        let op = of("aten::convolution", shapes, ";;;[2];[1];[1];True;[1];2").unwrap();
        assert_eq!((op.flop, op.bytes), (2.0 * 24.0 * 15.0, 2.0 * (24.0 + 90.0 + 80.0)));
    }

    #[test]
    fn each_gradient_costs_a_forward_pass() {
        let shapes = "[[1,8,6],[1,2,8],[8,2,3],[],[],[],[],[],[],[],[]]";
        let of =
            |mask| of("aten::convolution_backward", shapes, &format!(";;;[8];[1];[0];[1];False;[0];1;{mask}")).unwrap();
        // 8*6 outputs of 6 multiply-adds; gradient 48, input 16, weights 48 elements.
        assert_eq!(of("[True, True, False]").flop, 2.0 * 576.0);
        assert_eq!(of("[False, True, False]").flop, 576.0);
        assert_eq!(of("[False, True, False]").bytes, 2.0 * (48.0 + 16.0 + 48.0));
    }

    #[test]
    fn sizes_that_cannot_be_are_nothing() {
        let forward = |shapes: &str, concrete: &str| assert_eq!(of("aten::convolution", shapes, concrete), None);
        let shapes = "[[1,3,2,2],[4,3,7,7],[],[],[],[],[],[],[]]";
        forward(shapes, ";;;[1, 1];[0, 0];[1, 1];False;[0, 0];1");
        forward(shapes, ";;;[0, 0];[3, 3];[1, 1];False;[0, 0];1");
        forward(shapes, ";;;[];[3, 3];[1, 1];False;[0, 0];1");
        forward(shapes, ";;;[1, 1];[9223372036854775807, 3];[1, 1];False;[0, 0];1");
        forward("[[1],[4,3,7,7],[],[],[],[],[],[],[]]", ";;;[1, 1];[3, 3];[1, 1];False;[0, 0];1");
        forward("[[1,2],[4],[],[],[],[],[],[],[]]", ";;;[1, 1];[3, 3];[1, 1];False;[0, 0];1");
    }
}
