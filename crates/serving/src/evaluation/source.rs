//! Requests for a seed, to choose knobs on or to show results on.

use super::resample::{halves, resample};
use crate::Workload;
use crate::sources::{Synthetic, synthetic};

/// Where the requests of a case come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Made up: the halves are other seeds.
    Synthetic(Synthetic),
    /// A recorded trace, drawn again for every seed: see [`resample`].
    Recorded {
        /// Its first half and its second.
        halves: Box<[Workload; 2]>,
        /// How far a request is moved, at most.
        within_ns: i64,
    },
}

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Those on which knobs are chosen.
    Tuning,
    /// Those on which results are shown.
    Shown,
}

/// Seeds of [`Half::Tuning`] begin here: far from those of results.
const TUNING_SEEDS: u64 = 1_000_000;

impl Source {
    /// A trace's two halves.
    pub fn recorded(workload: &Workload, within_ns: i64) -> Self {
        Self::Recorded { halves: Box::new(halves(workload)), within_ns }
    }

    /// The requests of a seed.
    pub fn workload(&self, half: Half, seed: u64) -> Workload {
        let seed = if half == Half::Tuning { seed + TUNING_SEEDS } else { seed };
        match self {
            Self::Synthetic(shape) => synthetic("synthetic", &Synthetic { seed, ..shape.clone() }),
            Self::Recorded { halves, within_ns } => resample(&halves[half as usize], *within_ns, seed),
        }
    }

    /// The requests as they were recorded, or the first seed of those that are made up.
    pub fn as_recorded(&self, half: Half) -> Workload {
        match self {
            Self::Synthetic(_) => self.workload(half, 0),
            Self::Recorded { halves, .. } => halves[half as usize].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_have_no_request_in_common() {
        let shape = Synthetic { requests: 50, ..Synthetic::default() };
        let trace = synthetic("t", &shape);
        for source in [Source::Synthetic(shape), Source::recorded(&trace, 1)] {
            let [tuning, shown] = [Half::Tuning, Half::Shown].map(|half| source.workload(half, 0).requests);
            assert!(tuning.iter().all(|request| !shown.contains(request)));
            assert_eq!(shown, source.workload(Half::Shown, 0).requests);
        }
    }
}
