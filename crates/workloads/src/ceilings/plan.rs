//! The rows that are measured, and the working set of each.

use std::time::Duration;

use super::Shape;
use super::best::Criteria;
use super::kernels::{Compute, Op, Stream, compute, streams};

/// Where the arrays of a memory kernel fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    L1,
    L2,
    L3,
    Dram,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::Dram => "DRAM",
        }
    }
}

/// What one row runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    Compute(Compute),
    Stream(Stream, Level),
}

/// One row of the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) kernel: Kernel,
    /// How many of the shape's cores run it together.
    pub(super) cores: usize,
}

impl Row {
    /// Target length of one trial: far below a scheduler's time slice, and 1 ms at most.
    pub(super) fn trial(&self) -> Duration {
        Duration::from_micros(match self.level() {
            None | Some(Level::L1 | Level::L2) => 200,
            Some(Level::L3) => 300,
            Some(Level::Dram) => 600,
        })
    }

    /// Time for its trials in one round.
    pub(super) fn batch(&self) -> Duration {
        Duration::from_millis(match self.level() {
            None | Some(Level::L1 | Level::L2) => 20,
            Some(Level::L3) => 30,
            Some(Level::Dram) => 50,
        })
    }

    /// How closely trials must agree: a core's own rates repeat exactly at a given clock, those of shared parts do not
    /// and have clocks of their own.
    pub(super) fn criteria(&self) -> Criteria {
        match self.level() {
            None | Some(Level::L1 | Level::L2) => Criteria { support: 0.01, repeat: 0.03, per_cycle: true },
            Some(Level::L3 | Level::Dram) => Criteria { support: 0.03, repeat: 0.05, per_cycle: false },
        }
    }

    pub(super) fn level(&self) -> Option<Level> {
        match self.kernel {
            Kernel::Compute(_) => None,
            Kernel::Stream(_, level) => Some(level),
        }
    }

    /// For progress and messages, for example `DRAM triad_nt, 2 cores`.
    pub(super) fn label(&self) -> String {
        let what = match self.kernel {
            Kernel::Compute(kernel) => format!("{} fma {}", kernel.isa.name(), kernel.precision.name()),
            Kernel::Stream(kernel, level) => format!("{} {}", level.name(), kernel.op.name()),
        };
        format!("{what}, {} core{}", self.cores, if self.cores == 1 { "" } else { "s" })
    }
}

/// Every row: each arithmetic kernel, and each memory kernel at each level that the shape has, on one core and on all.
/// No row of the L3 where the working sets of its cores, each larger than an L2, do not fit it together.
pub(super) fn rows(shape: &Shape) -> Vec<Row> {
    let mut cores = vec![1, shape.cores.len()];
    cores.dedup();
    let levels = [(Level::L1, shape.l1_bytes), (Level::L2, shape.l2_bytes), (Level::L3, shape.l3_bytes)];
    let mut levels: Vec<Level> = levels.iter().filter(|(_, bytes)| *bytes > 0).map(|(level, _)| *level).collect();
    levels.push(Level::Dram);
    let mut kernels: Vec<Kernel> = compute().into_iter().map(Kernel::Compute).collect();
    for level in levels {
        kernels.extend(streams().into_iter().map(|kernel| Kernel::Stream(kernel, level)));
    }
    let all = kernels.into_iter().flat_map(|kernel| cores.iter().map(move |&cores| Row { kernel, cores }));
    all.filter(|row| row.level().is_none_or(|level| shape.fits(level, row.cores))).collect()
}

/// Arrays of one thread: bytes of each, and the distance of their starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrays {
    pub(super) bytes: usize,
    pub(super) stride: usize,
    pub(super) wraps: bool,
}

/// DRAM buffers are whole multiples of this, so that they hold whole blocks.
const GRAIN: usize = 64 << 10;

/// DRAM buffers are this many times the L3. At 4 times, pieces of the buffer survive in the L3 of a Zen 3 guest from one walk
/// to the next, and the best trial reads a third more than memory gives (docs/ceilings.md).
const DRAM_TIMES: usize = 16;

/// Smallest DRAM buffer: a guest may see less of the L3 than there is.
const DRAM_FLOOR: usize = 512 << 20;

impl Shape {
    /// Cores among the shape's that share one L3.
    pub(super) fn sharers(&self) -> usize {
        self.cores_per_l3.clamp(1, self.cores.len().max(1))
    }

    /// The largest cache.
    pub(super) fn last_level_bytes(&self) -> usize {
        self.l3_bytes.max(self.l2_bytes)
    }

    /// Arrays of each of `cores` threads for `op` at `level`.
    ///
    /// L1, L2: half of the cache for all arrays together. L3: a quarter, and together half of the L3 when its cores run
    /// at once, but more than the L2. DRAM: [`DRAM_TIMES`] the L3 for all arrays of all threads that share it.
    pub(super) fn arrays(&self, level: Level, op: Op, cores: usize) -> Arrays {
        let active = self.sharers().min(cores);
        let bytes = match level {
            Level::L1 => power_of_two(self.l1_bytes / 2),
            Level::L2 => power_of_two(self.l2_bytes / 2),
            Level::L3 => self.l3_share(active),
            Level::Dram => {
                let all = (DRAM_TIMES * self.last_level_bytes()).max(DRAM_FLOOR);
                let bytes = all.div_ceil(active * op.arrays()).next_multiple_of(GRAIN);
                return Arrays { bytes, stride: bytes, wraps: false };
            }
        };
        let bytes = bytes / op.arrays().next_power_of_two();
        Arrays { bytes, stride: bytes, wraps: true }
    }

    /// Whether the working sets of `cores` threads together lie in `level`: only an L3 can be too small.
    fn fits(&self, level: Level, cores: usize) -> bool {
        let active = self.sharers().min(cores);
        level != Level::L3 || self.l3_share(active) * active <= self.l3_bytes
    }

    /// Working set of each of `active` threads that share an L3. Three arrays take only three quarters of it, which must
    /// still be more than the L2.
    fn l3_share(&self, active: usize) -> usize {
        let least = (self.l2_bytes / 3 * 4 + 4).next_power_of_two();
        power_of_two((self.l3_bytes / 4).min(self.l3_bytes / 2 / active)).max(least)
    }

    /// Bytes that a thread needs for all rows that `cores` threads run.
    pub(super) fn arena_bytes(&self, cores: usize) -> usize {
        let needs = rows(self).into_iter().filter(|row| row.cores == cores).filter_map(|row| match row.kernel {
            Kernel::Stream(kernel, level) => Some(self.arrays(level, kernel.op, cores).stride * kernel.op.arrays()),
            Kernel::Compute(_) => None,
        });
        needs.max().unwrap_or(0)
    }
}

/// The largest power of two up to `bytes`, at least four pages: the least that holds whole blocks of three arrays.
fn power_of_two(bytes: usize) -> usize {
    1 << bytes.max(16 << 10).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn zen3() -> Shape {
        Shape { l1_bytes: 32 << 10, l2_bytes: 512 << 10, l3_bytes: 32 << 20, cores_per_l3: 8, cores: vec![0, 1] }
    }

    #[test]
    fn working_sets_lie_inside_their_level_and_outside_the_one_before() {
        let shapes = [
            (32, 512, 32 << 10, 8),
            (48, 2048, 105 << 10, 2),
            (64, 1024, 32 << 10, 64),
            (48, 1280, 54 << 10, 36),
            (48, 2048, 6 << 10, 2),
        ];
        for (l1, l2, l3, sharers) in shapes {
            let cores = (0..sharers).collect();
            let shape =
                Shape { l1_bytes: l1 << 10, l2_bytes: l2 << 10, l3_bytes: l3 << 10, cores_per_l3: sharers, cores };
            for op in [Op::Read, Op::Copy, Op::TriadNt] {
                for cores in [1, sharers] {
                    let all = |level| shape.arrays(level, op, cores).bytes * op.arrays();
                    assert!(all(Level::L1) <= shape.l1_bytes);
                    assert!(all(Level::L2) > shape.l1_bytes && all(Level::L2) <= shape.l2_bytes);
                    let active = shape.sharers().min(cores);
                    assert!(all(Level::L3) > shape.l2_bytes, "{shape:?}");
                    assert!(!shape.fits(Level::L3, cores) || all(Level::L3) * active <= shape.l3_bytes, "{shape:?}");
                    assert!(all(Level::Dram) * shape.sharers().min(cores) >= DRAM_TIMES * shape.l3_bytes);
                }
            }
        }
    }

    #[test]
    fn arrays_hold_whole_blocks_and_wrap_only_at_powers_of_two() {
        for level in [Level::L1, Level::L2, Level::L3, Level::Dram] {
            for stream in streams() {
                let arrays = zen3().arrays(level, stream.op, 2);
                assert_eq!(arrays.bytes % stream.block, 0);
                assert!(!arrays.wraps || arrays.bytes.is_power_of_two());
                assert!(zen3().arena_bytes(2) >= arrays.stride * (stream.op.arrays() - 1) + arrays.bytes);
            }
        }
    }

    #[test]
    fn no_row_occurs_twice_and_one_core_means_one_row_each() {
        let names: BTreeSet<String> = rows(&zen3()).iter().map(Row::label).collect();
        assert_eq!(names.len(), rows(&zen3()).len());
        let single = rows(&Shape { cores: vec![3], ..zen3() });
        assert_eq!(single.len() * 2, names.len());
        assert!(rows(&Shape { l3_bytes: 0, ..zen3() }).iter().all(|row| row.level() != Some(Level::L3)));
    }

    #[test]
    fn an_l3_that_is_too_small_for_all_cores_has_rows_of_one_core_only() {
        // 64 cores with 1 MB of L2 each: together twice the L3.
        let cores = (0..64).collect();
        let shape = Shape { l1_bytes: 64 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20, cores_per_l3: 64, cores };
        let of = |cores| rows(&shape).iter().filter(|row| row.level() == Some(Level::L3) && row.cores == cores).count();
        assert!(of(1) > 0 && of(64) == 0);
        let few = Shape { cores: vec![0, 1], ..shape.clone() };
        assert!(rows(&few).iter().any(|row| row.level() == Some(Level::L3) && row.cores == 2));
    }
}
