//! Levels of the memory hierarchy.

/// A level whose traffic is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Device memory: HBM, GDDR, LPDDR, or the DRAM of a CPU.
    Dram,
    /// AMD's Infinity Cache.
    Mall,
    /// Last-level cache of a CPU.
    L3,
    /// Second level.
    L2,
    /// First level.
    L1,
    /// First level of RDNA.
    L0,
    /// Scratchpad of a compute unit: shared memory, LDS.
    Lds,
}

const NAMES: &[(Level, &str)] = &[
    (Level::Dram, "DRAM"),
    (Level::Mall, "MALL"),
    (Level::L3, "L3"),
    (Level::L2, "L2"),
    (Level::L1, "L1"),
    (Level::L0, "L0"),
    (Level::Lds, "LDS"),
];

impl Level {
    /// Every level, from the memory inwards.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(level, _)| *level)
    }

    /// The name in tables and on the command line.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The level of that name, in any case; `HBM` is DRAM.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = if name == "HBM" { "DRAM" } else { name.as_str() };
        NAMES.iter().find(|(_, known)| *known == name).map(|(level, _)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_enum_and_parse_back() {
        for (at, (level, name)) in NAMES.iter().enumerate() {
            assert_eq!((*level as usize, Level::parse(&name.to_lowercase())), (at, Some(*level)));
        }
        assert_eq!(Level::parse("hbm"), Some(Level::Dram));
    }
}
