//! Types of arithmetic: the element type, the unit that computes it, and what it accumulates in.

/// A type of arithmetic that has a roof of its own.
///
/// The vector units (CUDA cores, VALU, SIMD) and the matrix units (tensor cores, MFMA) have different peaks for one
/// element type, so they are different precisions. A matrix precision accumulates in f32 (f64, i32) unless its name says
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Vector double.
    F64,
    /// Vector single.
    F32,
    /// Vector half, packed or not.
    F16,
    /// Vector bfloat16, packed or not.
    Bf16,
    /// Matrix double.
    MatrixF64,
    /// Matrix single (AMD).
    MatrixF32,
    /// Matrix TF32 (NVIDIA) or XF32 (AMD).
    MatrixTf32,
    /// Matrix half, accumulated in f32.
    MatrixF16,
    /// Matrix half, accumulated in f16.
    MatrixF16Acc16,
    /// Matrix bfloat16, accumulated in f32.
    MatrixBf16,
    /// Matrix FP8, accumulated in f32.
    MatrixF8,
    /// Matrix FP8, accumulated in f16.
    MatrixF8Acc16,
    /// Matrix FP6, or a mix of FP4, FP6 and FP8 that one counter holds.
    MatrixF6,
    /// Matrix FP4.
    MatrixF4,
    /// Matrix int8: integer operations, not FLOP.
    MatrixI8,
    /// Matrix int4: integer operations, not FLOP.
    MatrixI4,
    /// Matrix binary: integer operations, not FLOP.
    MatrixI1,
}

/// Names, in the order of the enum.
const NAMES: &[(Precision, &str)] = &[
    (Precision::F64, "f64"),
    (Precision::F32, "f32"),
    (Precision::F16, "f16"),
    (Precision::Bf16, "bf16"),
    (Precision::MatrixF64, "matrix_f64"),
    (Precision::MatrixF32, "matrix_f32"),
    (Precision::MatrixTf32, "matrix_tf32"),
    (Precision::MatrixF16, "matrix_f16"),
    (Precision::MatrixF16Acc16, "matrix_f16_acc16"),
    (Precision::MatrixBf16, "matrix_bf16"),
    (Precision::MatrixF8, "matrix_f8"),
    (Precision::MatrixF8Acc16, "matrix_f8_acc16"),
    (Precision::MatrixF6, "matrix_f6"),
    (Precision::MatrixF4, "matrix_f4"),
    (Precision::MatrixI8, "matrix_i8"),
    (Precision::MatrixI4, "matrix_i4"),
    (Precision::MatrixI1, "matrix_i1"),
];

impl Precision {
    /// Every precision, in the order of the enum.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(precision, _)| *precision)
    }

    /// The name in tables, specs and on the command line, for example `f32` and `matrix_bf16`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The precision of that exact name.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(precision, _)| *precision)
    }

    /// The precision of a row of the table `ceilings`: its name, where `unit` is `mfma` or `wmma` that of the matrix unit.
    pub fn of_ceiling(unit: &str, name: &str) -> Option<Self> {
        if !["mfma", "wmma", "matrix", "tensor"].contains(&unit) {
            return Self::parse(name);
        }
        let element = match name {
            "fp8" => "f8",
            "fp6" | "fp6fp4" => "f6",
            "fp4" => "f4",
            other => other,
        };
        Self::parse(name)
            .filter(|precision| precision.is_matrix())
            .or_else(|| Self::parse(&format!("matrix_{element}")))
    }

    /// Whether a filter such as `--precision bf16` means it: the exact name, or the element type in any unit, in the
    /// spellings `fp16`, `f16` and `half`.
    pub fn matches(self, filter: &str) -> bool {
        let filter = filter.to_ascii_lowercase();
        let filter = match filter.as_str() {
            "fp64" | "double" => "f64",
            "fp32" | "float" | "single" => "f32",
            "fp16" | "half" => "f16",
            "fp8" => "f8",
            "fp6" => "f6",
            "fp4" => "f4",
            "int8" => "i8",
            "int4" => "i4",
            other => other.strip_prefix("tensor_").unwrap_or(other),
        };
        self.name() == filter || self.element() == filter
    }

    /// The element type: `bf16` of `matrix_bf16`.
    pub fn element(self) -> &'static str {
        let name = self.name().strip_prefix("matrix_").unwrap_or(self.name());
        name.split('_').next().unwrap_or(name)
    }

    /// Whether the matrix units compute it.
    pub fn is_matrix(self) -> bool {
        self.name().starts_with("matrix_")
    }

    /// Whether its operations are integer operations, which are never added to FLOP.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::MatrixI8 | Self::MatrixI4 | Self::MatrixI1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_enum_and_parse_back() {
        for (at, (precision, name)) in NAMES.iter().enumerate() {
            assert_eq!(*precision as usize, at);
            assert_eq!((Precision::parse(name), precision.name()), (Some(*precision), *name));
        }
    }

    #[test]
    fn a_filter_names_an_element_in_any_unit() {
        assert!(Precision::MatrixBf16.matches("bf16") && Precision::Bf16.matches("bf16"));
        assert!(Precision::MatrixF16Acc16.matches("fp16") && !Precision::MatrixBf16.matches("f16"));
        assert!(!Precision::Bf16.matches("matrix_bf16"));
    }

    #[test]
    fn ceilings_of_amd_name_the_unit_beside_the_type() {
        assert_eq!(Precision::of_ceiling("mfma", "bf16"), Some(Precision::MatrixBf16));
        assert_eq!(Precision::of_ceiling("mfma", "fp8"), Some(Precision::MatrixF8));
        assert_eq!(Precision::of_ceiling("valu", "f32"), Some(Precision::F32));
        assert_eq!(Precision::of_ceiling("fma", "f32"), Some(Precision::F32));
    }
}
