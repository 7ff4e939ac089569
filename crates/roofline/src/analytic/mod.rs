//! FLOP and compulsory bytes of framework operators, from the names, shapes and types that PyTorch's profiler records,
//! and of serving steps, from the annotations that vLLM, SGLang and ATOM write.
//!
//! Conventions, the same for every operator:
//!
//! - A multiply-add is two operations. A named function of one element (`exp`, `rsqrt`, `silu`) is one operation; a
//!   fused operator counts the steps of its formula, which its file states.
//! - Integer arithmetic of vector units and comparisons of integers are no FLOP. Matrix products of 8-bit integers have
//!   integer operations, under a precision that is never added to FLOP.
//! - Bytes are compulsory: each input and each output once, at the size of its element type, a broadcast input at its own
//!   size, an in-place output read and written. Real traffic can only be larger, except for what a cache kept and for
//!   inputs that are expanded views (strides are not recorded).
//! - Matrix products, attention and convolution of half types run on matrix units. Those of `float` and `double` are
//!   given as vector arithmetic: whether TF32 was allowed is not in the trace, so their formula says `tf32 unknown`.
//! - Elementwise operators, normalisations and reductions of half types compute in `float` in PyTorch and in the fused
//!   kernels of the serving engines, so their precision is f32. (TraceLens names the element type.)
//!
//! Everything read here may be hostile: what cannot be understood is `None`.

pub mod annotation;
pub mod attention;
mod convolution;
mod dtype;
mod elementwise;
mod fused;
mod gemm;
mod movement;
mod normalization;
mod reduction;
mod shapes;

use crate::Precision;
use annotation::Step;
use shapes::Arguments;

/// What one operator has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation {
    /// `gemm`, `attention`, `convolution`, `normalization`, `softmax`, `elementwise`, `reduction`, `copy`, `fill`,
    /// `embedding`, `rope` or `activation`.
    pub kind: &'static str,
    /// Operations, finite and not negative. FLOP, or integer operations where the precision says so; zero where it only
    /// moves data or computes with integers.
    pub flop: f64,
    /// Compulsory bytes, finite and not negative.
    pub bytes: f64,
    /// The type of the arithmetic; of one without FLOP f32.
    pub precision: Precision,
    /// Formula of FLOP and bytes, with what it could not know.
    pub formula: &'static str,
}

/// Above this no count is exact, and no operator is real.
const MOST: f64 = (1_u64 << 62) as f64;

impl Operation {
    /// `None` where a count is not a number that can be.
    fn new(kind: &'static str, flop: f64, bytes: f64, precision: Precision, formula: &'static str) -> Option<Self> {
        let sane = |value: f64| (0.0..=MOST).contains(&value);
        (sane(flop) && sane(bytes)).then_some(Self { kind, flop, bytes, precision, formula })
    }

    /// FLOP per byte; `None` without bytes.
    pub fn arithmetic_intensity(&self) -> Option<f64> {
        (self.bytes > 0.0).then(|| self.flop / self.bytes)
    }
}

/// The models, in no order that matters: their names are disjoint.
const MODELS: &[fn(&str, &Arguments) -> Option<Operation>] = &[
    gemm::operation,
    attention::operation,
    convolution::operation,
    normalization::operation,
    elementwise::operation,
    reduction::operation,
    movement::operation,
    fused::operation,
];

/// FLOP and bytes of an operator.
///
/// `shapes`, `dtypes` and `concrete` are JSON arrays with one element an input, as PyTorch's profiler writes them:
/// `[[8944,1024],[1024,2816],[]]`, `["c10::BFloat16","c10::BFloat16","Scalar"]`, `["","","1"]`; a list of tensors is
/// nested one level deeper. `concrete` is absent in traces of PyTorch before 2.1.
///
/// `None` where the operator has no model, launches nothing itself, or its inputs do not tell.
pub fn operator(name: &str, shapes: &str, dtypes: &str, concrete: Option<&str>) -> Option<Operation> {
    if !is_modelled(name) {
        return None;
    }
    let arguments = Arguments::parse(shapes, dtypes, concrete)?;
    MODELS.iter().find_map(|model| model(name, &arguments))
}

/// As [`operator`] for an operator inside an annotated step: attention over a paged cache, whose shapes do not tell the
/// lengths, takes them from the step.
pub fn operator_in_step(
    name: &str,
    shapes: &str,
    dtypes: &str,
    concrete: Option<&str>,
    step: &Step,
) -> Option<Operation> {
    if !attention::is_paged(name) {
        return operator(name, shapes, dtypes, concrete);
    }
    let arguments = Arguments::parse(shapes, dtypes, concrete)?;
    attention::paged(name, &arguments, step).or_else(|| attention::operation(name, &arguments))
}

/// Whether the name has any model, so that most operators of a trace cost no parsing.
pub fn is_modelled(name: &str) -> bool {
    attention::is_paged(name)
        || gemm::names(name)
        || attention::names(name)
        || convolution::names(name)
        || normalization::names(name)
        || elementwise::names(name)
        || reduction::names(name)
        || movement::names(name)
        || fused::names(name)
}
