//! Working sets and problem sizes, from what the device says of itself.

use std::time::Duration;

use super::rows::{Level, Op, Row, Type};

/// DRAM arrays are at least this many times the L2 together, so that little of them survives there from one walk to the next.
const DRAM_TIMES: u64 = 8;

/// Smallest DRAM array.
const DRAM_FLOOR: u64 = 1 << 30;

/// L2 working sets are this part of the cache. The L2 of a Hopper has two halves that hold copies of what the other
/// half's multiprocessors read, so that half of it would not always fit.
const L2_PART: u64 = 4;

/// Bytes of one transfer over a link.
const LINK_BYTES: u64 = 128 << 20;

/// Arrays are whole multiples of this: 32 blocks of 256 threads with 16 bytes each.
pub(super) const GRAIN: u64 = 128 << 10;

/// What begins on its own multiple of this many bytes, as allocations do.
const ALIGNMENT: u64 = 256;

/// The sizes of all rows of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Bytes of each array of an L2 row with one array; 0 where the device tells no L2.
    l2: u64,
    /// Bytes of each array of a DRAM row.
    dram: u64,
    /// Bytes of one transfer over a link.
    pub(super) link: u64,
    /// Shapes (m, n, k) of matrix products, the smallest first.
    pub(super) products: Vec<[u64; 3]>,
}

/// How large the problems are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// What a measurement needs.
    #[default]
    Full,
    /// So small that a test double gets through it. The values mean nothing.
    Tiny,
}

impl Sizes {
    /// Of a device with that L2 and that much free memory, in bytes. On a device that is short of memory the DRAM arrays
    /// and the largest products shrink; below 3 x 8 x the L2 they are no DRAM rows any more, and [`Sizes::bytes`] says none.
    pub(super) fn new(scale: Scale, l2: u64, free: u64) -> Self {
        if scale == Scale::Tiny {
            return Self { l2: 2 * GRAIN, dram: 4 * GRAIN, link: 1 << 20, products: vec![[64, 64, 64], [96, 64, 128]] };
        }
        // A third of the free memory for each of two arrays leaves room for everything else.
        let (wanted, possible) = ((DRAM_TIMES * l2).max(DRAM_FLOOR), free / 3);
        let enough = possible >= DRAM_TIMES * l2;
        let dram = if enough { whole(wanted.min(possible)) } else { 0 };
        // The small ones are for types that the device computes so slowly (f64 on many) that a larger one would take seconds.
        let products =
            [[1024; 3], [2048; 3], [4096; 3], [8192, 8192, 4096], [8192; 3], [16384, 8192, 8192], [16384; 3]];
        let fits = |&shape: &[u64; 3]| {
            let product = Product { of: Type::F64, shape };
            product.output() + product.operands().iter().sum::<u64>() <= free / 2
        };
        Self { l2: whole(l2 / L2_PART), dram, link: LINK_BYTES, products: products.into_iter().filter(fits).collect() }
    }

    /// Bytes of each array of a memory row, which all together are the working set. `None` where there is no such level,
    /// or no room for it.
    pub(super) fn bytes(&self, op: Op, level: Level) -> Option<u64> {
        let each = match level {
            Level::L2 => whole(self.l2 / op.arrays() as u64),
            Level::Dram => self.dram,
        };
        (each > 0).then_some(each)
    }

    /// Bytes of device memory that a row needs at most; rows run one after the other.
    pub(super) fn memory(&self, row: Row) -> u64 {
        match row {
            Row::Fma(_) | Row::Mma(_) => GRAIN,
            Row::Matmul(of, _) => self.matrices(of).iter().sum::<u64>() + 3 * ALIGNMENT,
            Row::Stream(op, level) => (self.bytes(op, level).unwrap_or(0) + ALIGNMENT) * op.arrays() as u64,
            Row::Host(way) | Row::Peer(_, way) => (self.link + ALIGNMENT) * way.transfers() as u64,
        }
    }

    /// Bytes of the largest product, and of the largest two operands together.
    pub(super) fn matrices(&self, of: Type) -> [u64; 2] {
        let products = || self.products.iter().map(|&shape| Product { of, shape });
        let largest = products().map(Product::output).max().unwrap_or(0);
        let operands = products().map(|product| product.operands().iter().sum::<u64>() + ALIGNMENT).max();
        [largest, operands.unwrap_or(0)]
    }
}

impl Scale {
    /// The length of a trial where a measurement has `full`.
    pub(super) fn trial_ns(self, full: Duration) -> f64 {
        full.as_nanos() as f64 / if self == Self::Tiny { 10.0 } else { 1.0 }
    }

    /// Trials of a row in a round where a measurement has `full`, shared out among its candidates.
    pub(super) fn trials(self, full: usize, candidates: usize) -> usize {
        if self == Self::Tiny { 2 } else { full.div_ceil(candidates.max(1)) }
    }
}

/// One matrix product D (m x n) = A' (m x k) B (k x n), both operands stored along k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) of: Type,
    /// m, n, k.
    pub(super) shape: [u64; 3],
}

impl Product {
    /// FLOP: a multiplication and an addition for each of m n k.
    pub(super) fn flop(self) -> f64 {
        2.0 * self.shape.iter().map(|&side| side as f64).product::<f64>()
    }

    /// Bytes of A and of B.
    pub(super) fn operands(self) -> [u64; 2] {
        let [m, n, k] = self.shape;
        [m * k, n * k].map(|elements| elements * self.of.bytes() as u64)
    }

    /// Bytes of D.
    fn output(self) -> u64 {
        self.shape[0] * self.shape[1] * self.of.output_bytes() as u64
    }
}

/// Whole grains of so many bytes.
fn whole(bytes: u64) -> u64 {
    bytes / GRAIN * GRAIN
}

/// Launches of one trial that together last about `target_ns`, when one lasts `one_ns`.
pub(super) fn launches(target_ns: f64, one_ns: f64) -> u32 {
    let most = 10_000.0;
    if one_ns > 0.0 { (target_ns / one_ns).round().clamp(1.0, most) as u32 } else { most as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    #[test]
    fn working_sets_lie_in_their_level_whatever_the_cache() {
        // T4, A100, H200, B200, RTX 4090.
        for (l2, memory) in [(4, 16), (40, 40), (60, 141), (126, 180), (72, 24)] {
            let sizes = Sizes::new(Scale::Full, l2 * MIB, memory * GIB);
            for op in [Op::Read, Op::Write, Op::Copy] {
                let all = |level| sizes.bytes(op, level).unwrap() * op.arrays() as u64;
                assert!(all(Level::L2) <= l2 * MIB / 4 && all(Level::L2) > l2 * MIB / 5, "{l2} MiB");
                assert!(sizes.bytes(op, Level::Dram).unwrap() >= (8 * l2 * MIB).max(GIB), "{l2} MiB");
                assert!(all(Level::Dram) < memory * GIB);
                assert_eq!(all(Level::L2) % GRAIN + all(Level::Dram) % GRAIN, 0);
            }
        }
    }

    #[test]
    fn a_device_without_room_or_an_l2_has_no_such_rows() {
        let sizes = Sizes::new(Scale::Full, 60 * MIB, 600 * MIB);
        assert_eq!(sizes.bytes(Op::Copy, Level::Dram), None);
        assert_eq!(sizes.products, [[1024; 3], [2048; 3]]);
        let unknown = Sizes::new(Scale::Full, 0, 16 * GIB);
        assert_eq!(unknown.bytes(Op::Read, Level::L2), None);
        assert_eq!(unknown.bytes(Op::Read, Level::Dram), Some(GIB));
    }

    #[test]
    fn a_product_counts_two_operations_for_each_of_its_terms() {
        let product = Product { of: Type::F8, shape: [16, 32, 64] };
        assert_eq!((product.flop(), product.operands()), (65536.0, [1024, 2048]));
        // The FP8 product is written as bf16.
        assert_eq!(product.output(), 16 * 32 * 2);
    }

    #[test]
    fn a_trial_has_at_least_one_launch_and_never_too_many() {
        assert_eq!(launches(2e6, 0.5e6), 4);
        assert_eq!((launches(2e6, 9e6), launches(2e6, 0.0), launches(2e6, 1.0)), (1, 10_000, 10_000));
    }
}
