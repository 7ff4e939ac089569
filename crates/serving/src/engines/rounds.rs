//! The order in which a baseline and what is compared with it run on the same engines.

/// One run of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Which pair it belongs to, from 0.
    pub pair: u32,
    /// Whether it is the second of the two that are compared.
    pub optimized: bool,
    /// Number of its prompts: no run finds what another has left in a cache.
    pub nonce: u64,
}

/// Runs of `pairs` pairs in the order A B B A A B ...: what drifts (clocks, temperature, memory) hits both alike.
pub fn rounds(pairs: u32, first_nonce: u64) -> impl Iterator<Item = Round> {
    (0..pairs).flat_map(move |pair| {
        [0, 1].map(|place| Round {
            pair,
            optimized: (place == 1) != (pair % 2 == 1),
            nonce: first_nonce.wrapping_add(u64::from(2 * pair + place)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_alternates_and_no_two_runs_have_the_same_prompts() {
        let all: Vec<Round> = rounds(3, 7).collect();
        let order: String = all.iter().map(|round| if round.optimized { 'B' } else { 'A' }).collect();
        assert_eq!(order, "ABBAAB");
        assert_eq!(all.iter().map(|round| round.nonce).collect::<Vec<_>>(), [7, 8, 9, 10, 11, 12]);
    }
}
