//! The jobs of a row: every candidate that could run it, and those that were the fastest when they were tried.

use std::rc::Rc;
use std::sync::Arc;

use super::matmul::{Matmul, Places};
use super::places::Span;
use super::rows::Type;
use super::sizes::Product;
use super::trial::{Bench, Job};
use crate::Error;
use crate::cuda::lt::Library;

/// Candidates whose trials count: the fastest when they were tried, and one more in case that was an accident.
const KEPT: usize = 2;

/// Launches that take longer than this are no short trials, in ns.
const LONGEST_NS: f64 = 20e6;

/// A row that is ready to be measured.
pub(super) struct Prepared<'a> {
    /// At least one.
    pub(super) chosen: Vec<Chosen<'a>>,
    /// What the operands are to be filled with before each round.
    pub(super) fill: Option<Fill>,
}

/// A candidate and the time of one launch.
pub(super) struct Chosen<'a> {
    pub(super) job: Job<'a>,
    pub(super) one_ns: f64,
}

/// A pattern that fills a part of the memory.
pub(super) struct Fill {
    pub(super) span: Span,
    pub(super) pattern: Vec<u8>,
}

/// Candidates in the order of their tries.
#[derive(Default)]
pub(super) struct Tries<'a> {
    found: Vec<(f64, Chosen<'a>)>,
    refused: Option<String>,
}

impl<'a> Tries<'a> {
    /// Tries one; one that fails is left out.
    pub(super) fn add(&mut self, bench: &Bench, job: Job<'a>, trial_ns: f64) {
        match bench.estimate(&job, trial_ns) {
            Ok((rate, one_ns)) => self.found.push((rate, Chosen { job, one_ns })),
            Err(error) => self.refuse(&error),
        }
    }

    /// Remembers why a candidate is left out.
    pub(super) fn refuse(&mut self, error: &Error) {
        self.refused.get_or_insert_with(|| error.to_string());
    }

    /// Whether a candidate with that much to do would take too long, by the best rate so far.
    fn is_too_long(&self, amount: f64) -> bool {
        let best = self.found.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
        best > 0.0 && amount / best * 1e9 > LONGEST_NS
    }

    /// The fastest ones.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn fastest(mut self) -> Result<Vec<Chosen<'a>>, String> {
        self.found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        self.found.truncate(KEPT);
        if self.found.is_empty() {
            return Err(self.refused.unwrap_or_else(|| "there is nothing that could run it".to_owned()));
        }
        Ok(self.found.into_iter().map(|(_, chosen)| chosen).collect())
    }
}

/// Where the matrices of all shapes go: the products first, so that none is written over operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) products: Span,
    pub(super) operands: Span,
    pub(super) workspace: Span,
    pub(super) scale: Span,
}

/// Tries every shape, the smallest first, with every algorithm that the library offers, until launches get too long.
pub(super) fn matmuls<'a>(
    bench: &Bench,
    library: &Arc<Library>,
    (of, fast): (Type, bool),
    (shapes, room): (&[[u64; 3]], Room),
    trial_ns: f64,
) -> Tries<'a> {
    let mut tries = Tries::default();
    for &shape in shapes {
        let product = Product { of, shape };
        if tries.is_too_long(product.flop()) {
            break;
        }
        let [a_bytes, b_bytes] = product.operands();
        let (a, rest) = room.operands.split(a_bytes);
        let (b, _) = rest.split(b_bytes);
        let places = Places { a, b, d: room.products, workspace: room.workspace, scale: room.scale };
        match Matmul::new(library, product, fast, places) {
            Ok(matmul) => {
                let matmul = Rc::new(matmul);
                for algorithm in 0..matmul.algorithms() {
                    tries.add(bench, job(&matmul, algorithm), trial_ns);
                }
            }
            Err(error) => tries.refuse(&error),
        }
    }
    tries
}

fn job<'a>(matmul: &Rc<Matmul>, algorithm: usize) -> Job<'a> {
    let matmul = Rc::clone(matmul);
    let amount = matmul.product().flop();
    Job { amount, launch: Box::new(move |lanes| matmul.launch(algorithm, lanes.main)), both: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(amount: f64) -> Chosen<'static> {
        Chosen { job: Job { amount, launch: Box::new(|_| Ok(())), both: false }, one_ns: 1.0 }
    }

    #[test]
    fn the_fastest_candidates_are_kept_in_order() {
        let found = [3.0, 9.0, 5.0].map(|rate| (rate, chosen(rate))).into_iter().collect();
        let kept = Tries { found, refused: None }.fastest().unwrap_or_default();
        assert_eq!(kept.iter().map(|one| one.job.amount).collect::<Vec<_>>(), [9.0, 5.0]);
    }

    #[test]
    fn without_a_candidate_the_first_refusal_is_the_reason() {
        let refused = Some("NOT_SUPPORTED".to_owned());
        let reason = Tries { found: Vec::new(), refused }.fastest().err();
        assert_eq!(reason.as_deref(), Some("NOT_SUPPORTED"));
        assert!(Tries::default().fastest().is_err());
    }

    #[test]
    fn a_shape_is_too_long_by_the_best_rate_so_far() {
        let tries = Tries { found: vec![(1e12, chosen(1.0))], refused: None };
        assert!(tries.is_too_long(2.1e10) && !tries.is_too_long(1.9e10));
        assert!(!Tries::default().is_too_long(f64::MAX));
    }
}
