//! Element types as PyTorch's profiler names them.

use crate::Precision;

/// What arithmetic an element type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Bool,
    /// 8-bit integers, which matrix units multiply.
    I8,
    /// Other integers.
    Int,
    F4,
    F8,
    F16,
    Bf16,
    F32,
    F64,
    Complex,
}

/// An element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) class: Class,
    /// Bytes of what a shape counts.
    pub(super) size: u8,
    /// Numbers in what a shape counts: two of 4 bits in a byte.
    pub(super) packed: u8,
}

const fn element(class: Class, size: u8) -> Element {
    Element { class, size, packed: 1 }
}

/// `bool`, for results of comparisons.
pub(super) const BOOL: Element = element(Class::Bool, 1);
/// `long int`, for indices.
pub(super) const LONG: Element = element(Class::Int, 8);
/// `float`.
pub(super) const FLOAT: Element = element(Class::F32, 4);
/// `c10::BFloat16`.
pub(super) const BFLOAT16: Element = element(Class::Bf16, 2);

/// Names by the C++ type, as `caffe2::TypeMeta` spells them with GCC, Clang and MSVC.
const NAMES: &[(&str, Element)] = &[
    ("float", FLOAT),
    ("double", element(Class::F64, 8)),
    ("c10::Half", element(Class::F16, 2)),
    ("c10::BFloat16", BFLOAT16),
    ("c10::Float8_e4m3fn", element(Class::F8, 1)),
    ("c10::Float8_e4m3fnuz", element(Class::F8, 1)),
    ("c10::Float8_e5m2", element(Class::F8, 1)),
    ("c10::Float8_e5m2fnuz", element(Class::F8, 1)),
    ("c10::Float8_e8m0fnu", element(Class::F8, 1)),
    ("c10::Float4_e2m1fn_x2", Element { class: Class::F4, size: 1, packed: 2 }),
    ("long int", LONG),
    ("long", LONG),
    ("long long", LONG),
    ("int64_t", LONG),
    ("__int64", LONG),
    ("unsigned long", LONG),
    ("int", element(Class::Int, 4)),
    ("unsigned int", element(Class::Int, 4)),
    ("short int", element(Class::Int, 2)),
    ("short", element(Class::Int, 2)),
    ("unsigned short", element(Class::Int, 2)),
    ("signed char", element(Class::I8, 1)),
    ("unsigned char", element(Class::I8, 1)),
    ("char", element(Class::I8, 1)),
    ("c10::qint8", element(Class::I8, 1)),
    ("c10::quint8", element(Class::I8, 1)),
    ("bool", BOOL),
    ("c10::complex<float>", element(Class::Complex, 8)),
    ("c10::complex<double>", element(Class::Complex, 16)),
];

impl Element {
    /// The element type of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, element)| *element)
    }

    /// The element type of a scalar input that is a number of `c10::ScalarType`, such as an output type.
    pub(super) fn of_scalar_type(number: &str) -> Option<Self> {
        let name = match number {
            "0" => "unsigned char",
            "1" => "signed char",
            "2" => "short int",
            "3" => "int",
            "4" => "long int",
            "5" => "c10::Half",
            "6" => "float",
            "7" => "double",
            "11" => "bool",
            "15" => "c10::BFloat16",
            "23" => "c10::Float8_e5m2",
            "24" => "c10::Float8_e4m3fn",
            "25" => "c10::Float8_e5m2fnuz",
            "26" => "c10::Float8_e4m3fnuz",
            _ => return None,
        };
        Self::parse(name)
    }

    /// Whether arithmetic on it is FLOP.
    pub(super) fn is_float(self) -> bool {
        (Class::F4..=Class::F64).contains(&self.class)
    }

    /// The precision of elementwise arithmetic: PyTorch computes half types in `float` (`at::opmath_type`).
    pub(super) fn vector(self) -> Precision {
        if self.class == Class::F64 { Precision::F64 } else { Precision::F32 }
    }

    /// The precision of a matrix product; `None` where neither unit multiplies it as one number.
    pub(super) fn matrix(self) -> Option<Precision> {
        Some(match self.class {
            Class::F64 => Precision::F64,
            Class::F32 => Precision::F32,
            Class::F16 => Precision::MatrixF16,
            Class::Bf16 => Precision::MatrixBf16,
            Class::F8 => Precision::MatrixF8,
            Class::F4 => Precision::MatrixF4,
            Class::I8 => Precision::MatrixI8,
            Class::Int | Class::Bool | Class::Complex => return None,
        })
    }

    /// The type that arithmetic of both has (`torch.promote_types`): of two floating types that differ and have no
    /// order (half and bfloat16) it is `float`.
    pub(super) fn promote(self, other: Self) -> Self {
        let halves = [Class::F16, Class::Bf16];
        if self.class != other.class && halves.contains(&self.class) && halves.contains(&other.class) {
            return FLOAT;
        }
        if (self.class, self.size) >= (other.class, other.size) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_of_types_agree() {
        assert_eq!(Element::parse("c10::BFloat16"), Element::of_scalar_type("15"));
        assert_eq!(Element::parse("c10::Float8_e4m3fnuz").map(|element| element.size), Some(1));
        assert_eq!((Element::parse("Scalar"), Element::of_scalar_type("-1")), (None, None));
    }

    #[test]
    fn types_promote_as_torch_promotes_them() {
        let parse = |name| Element::parse(name).unwrap();
        assert_eq!(parse("float").promote(parse("c10::BFloat16")), FLOAT);
        assert_eq!(parse("c10::Half").promote(parse("c10::BFloat16")), FLOAT);
        assert_eq!(parse("long int").promote(parse("c10::Half")), parse("c10::Half"));
        assert_eq!(parse("int").promote(LONG), LONG);
        assert_eq!(parse("bool").promote(parse("signed char")), parse("signed char"));
    }
}
