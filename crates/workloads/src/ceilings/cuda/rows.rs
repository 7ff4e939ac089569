//! The rows that are measured on a GPU, and what each is called.

use std::time::Duration;

use super::super::best::Criteria;

/// A type of arithmetic, and what it accumulates in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    F64,
    F32,
    Tf32,
    F16,
    F16Acc16,
    Bf16,
    F8,
}

/// What a memory kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Read,
    Write,
    Copy,
}

/// Where the arrays of a memory kernel fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    L2,
    Dram,
}

/// A way of the copy engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Host to device.
    In,
    /// Device to host.
    Out,
    /// Both at once.
    Both,
}

/// What one row runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Register-only chains of fused multiply-adds on the vector units.
    Fma(Type),
    /// Register-only chains of `mma.sync`.
    Mma(Type),
    /// cuBLASLt; `true`: FP8 with fast accumulation.
    Matmul(Type, bool),
    /// A memory kernel.
    Stream(Op, Level),
    /// Pinned host memory.
    Host(Way),
    /// To (`Out`), or to and from (`Both`), the GPU with that ordinal.
    Peer(usize, Way),
}

/// The names of a row in the table `ceilings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) precision: Option<&'static str>,
    pub(super) level: Option<&'static str>,
    pub(super) isa: &'static str,
    pub(super) unit: &'static str,
}

/// Compute capability, as 90 for 9.0.
pub(super) type Capability = i32;

/// Every row that a GPU of that capability can have. `peers` are the GPUs that it can write to. Whether a library or a
/// compiler supports a row is known when it is tried.
pub(super) fn rows(capability: Capability, peers: &[usize]) -> Vec<Row> {
    use Type::{Bf16, F8, F16, F16Acc16, F32, F64, Tf32};
    let fma = [F64, F32, F16, Bf16].into_iter().filter(|of| *of != Bf16 || capability >= 80).map(Row::Fma);
    let mma = [F64, Tf32, F16, Bf16].into_iter().filter(|of| on_matrix_units(*of, capability) && capability >= 80);
    let matmul = [F64, F32, Tf32, F16, F16Acc16, Bf16, F8].into_iter();
    let matmul = matmul.filter(|of| matches!(of, F64 | F32) || on_matrix_units(*of, capability));
    let fast = (capability >= 89).then_some(Row::Matmul(F8, true));
    let streams = [Level::L2, Level::Dram]
        .into_iter()
        .flat_map(|level| [Op::Read, Op::Write, Op::Copy].map(|op| Row::Stream(op, level)));
    let host = [Way::In, Way::Out, Way::Both].map(Row::Host);
    let peers = peers.iter().flat_map(|&peer| [Row::Peer(peer, Way::Out), Row::Peer(peer, Way::Both)]);
    let matmul = matmul.map(|of| Row::Matmul(of, false)).chain(fast);
    fma.chain(mma.map(Row::Mma)).chain(matmul).chain(streams).chain(host).chain(peers).collect()
}

/// Whether matrix units compute a type at a rate of their own (CUDA C++ Programming Guide, "Arithmetic Instructions", and
/// the hardware specs): FP64 ones are on the data-centre parts of 8.0, 9.0 and 10.x only.
fn on_matrix_units(of: Type, capability: Capability) -> bool {
    match of {
        Type::F64 => capability == 80 || capability == 90 || capability / 10 == 10,
        Type::F32 => false,
        Type::F16 | Type::F16Acc16 => capability >= 70,
        Type::Tf32 | Type::Bf16 => capability >= 80,
        Type::F8 => capability >= 89,
    }
}

impl Type {
    /// Bytes of an element of the operands.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 | Self::Tf32 => 4,
            Self::F16 | Self::F16Acc16 | Self::Bf16 => 2,
            Self::F8 => 1,
        }
    }

    /// Bytes of an element of a product: FP8 ones are written as bf16.
    pub(super) fn output_bytes(self) -> usize {
        self.bytes().max(2)
    }

    fn vector_name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 | Self::Tf32 => "f32",
            Self::F16 | Self::F16Acc16 => "f16",
            Self::Bf16 | Self::F8 => "bf16",
        }
    }

    fn matrix_name(self) -> &'static str {
        match self {
            Self::F64 => "matrix_f64",
            Self::F32 => "f32",
            Self::Tf32 => "matrix_tf32",
            Self::F16 => "matrix_f16",
            Self::F16Acc16 => "matrix_f16_acc16",
            Self::Bf16 => "matrix_bf16",
            Self::F8 => "matrix_f8",
        }
    }
}

impl Row {
    /// What it is called in the table.
    pub(super) fn names(self, capability: Capability) -> Names {
        let compute = |name: &str, precision, isa| Names {
            kind: "compute",
            name: name.to_owned(),
            precision: Some(precision),
            level: None,
            isa,
            unit: "flop/s",
        };
        let bandwidth = |name: String, level, isa| Names {
            kind: "bandwidth",
            name,
            precision: None,
            level: Some(level),
            isa,
            unit: "bytes/s",
        };
        match self {
            Self::Fma(of) => compute("fma", of.vector_name(), "simt"),
            Self::Mma(of) => compute("mma", of.matrix_name(), "tensor"),
            Self::Matmul(of, fast) => {
                let name = if fast { "matmul_fast_accumulate" } else { "matmul" };
                let on_matrix = on_matrix_units(of, capability);
                let precision = if on_matrix { of.matrix_name() } else { of.vector_name() };
                compute(name, precision, if on_matrix { "tensor" } else { "simt" })
            }
            Self::Stream(op, level) => bandwidth(op.name().to_owned(), level.name(), "simt"),
            Self::Host(way) => bandwidth(way.name("h2d", "d2h").to_owned(), "host", "copy_engine"),
            Self::Peer(peer, way) => bandwidth(format!("{}_{peer}", way.name("from", "to")), "peer", "copy_engine"),
        }
    }

    /// Whether the streaming multiprocessors run it, so that its rate a cycle of their clock means something.
    pub(super) fn on_units(self) -> bool {
        !matches!(self, Self::Host(_) | Self::Peer(..))
    }

    /// Whether its rate follows the clock of the units.
    fn follows_clock(self) -> bool {
        matches!(self, Self::Fma(_) | Self::Mma(_) | Self::Matmul(..))
    }

    /// Target length of one trial.
    pub(super) fn trial(self) -> Duration {
        Duration::from_millis(match self {
            Self::Fma(_) | Self::Mma(_) | Self::Stream(_, Level::L2) => 1,
            Self::Matmul(..) | Self::Stream(_, Level::Dram) => 2,
            Self::Host(_) | Self::Peer(..) => 4,
        })
    }

    /// How closely trials must agree. Where the clock is `known`, rounds of arithmetic are compared per cycle: a GPU at
    /// its power limit lowers its clock within milliseconds, and gives it back after a pause.
    pub(super) fn criteria(self, known: bool) -> Criteria {
        let per_cycle = known && self.follows_clock();
        let support = if self.follows_clock() { 0.01 } else { 0.02 };
        Criteria { support, repeat: 0.05, per_cycle }
    }

    /// For progress and notes: `matmul matrix_bf16`, `DRAM read`, `host h2d`.
    pub(super) fn label(self, capability: Capability) -> String {
        let names = self.names(capability);
        match (names.precision, names.level) {
            (Some(precision), _) => format!("{} {precision}", names.name),
            (None, Some(level)) => format!("{level} {}", names.name),
            (None, None) => names.name,
        }
    }
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Copy => "copy",
        }
    }

    /// Arrays that it walks.
    pub(super) fn arrays(self) -> usize {
        if self == Self::Copy { 2 } else { 1 }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::Dram => "DRAM",
        }
    }
}

impl Way {
    fn name(self, inwards: &'static str, outwards: &'static str) -> &'static str {
        match (self, inwards) {
            (Self::In, _) => inwards,
            (Self::Out, _) => outwards,
            (Self::Both, "h2d") => "h2d_and_d2h",
            (Self::Both, _) => "to_and_from",
        }
    }

    /// Transfers that are in flight together.
    pub(super) fn transfers(self) -> usize {
        if self == Self::Both { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_rows_of_a_device_have_the_same_names() {
        for capability in [70, 75, 80, 86, 89, 90, 100, 103, 120] {
            let all = rows(capability, &[1, 2]);
            let names = all.iter().map(|row| row.names(capability));
            let keys: BTreeSet<_> = names.map(|one| (one.kind, one.name, one.precision, one.level, one.isa)).collect();
            assert_eq!(keys.len(), all.len(), "capability {capability}");
        }
    }

    #[test]
    fn a_precision_is_that_of_the_units_which_compute_it() {
        let name = |row: Row, capability| row.names(capability).precision.unwrap_or_default();
        assert_eq!(name(Row::Matmul(Type::F64, false), 90), "matrix_f64");
        assert_eq!(name(Row::Matmul(Type::F64, false), 89), "f64");
        assert_eq!(name(Row::Matmul(Type::F32, false), 90), "f32");
        assert_eq!(name(Row::Fma(Type::Bf16), 90), "bf16");
        assert_eq!(name(Row::Matmul(Type::F8, true), 90), "matrix_f8");
    }

    #[test]
    fn types_that_a_device_lacks_have_no_row() {
        let has = |row, capability| rows(capability, &[]).contains(&row);
        assert!(has(Row::Matmul(Type::F8, false), 89) && !has(Row::Matmul(Type::F8, false), 86));
        assert!(!has(Row::Matmul(Type::Bf16, false), 75) && !has(Row::Fma(Type::Bf16), 75));
        assert!(has(Row::Mma(Type::F64), 80) && !has(Row::Mma(Type::F64), 86));
        assert!(rows(90, &[1]).contains(&Row::Peer(1, Way::Out)));
    }
}
