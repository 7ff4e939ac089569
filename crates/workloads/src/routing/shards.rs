//! Static sharding: which device a request goes to is the largest entry of `x W`, its features times a matrix that does not
//! change. One request at a time, the matrix is read once for each; all at once, it is read once for many.
//!
//! Features and matrix are small whole numbers, so that every sum is exact in f32 in whatever order it is taken: both ways
//! decide the same, bit for bit.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::measured::Work;
use crate::kernels::{Activation, Linear, Scratch, TILE, Weights, linear};
use crate::parameters::{Given, refused};
use crate::{Error, Parameter, Settings};

/// The parameters.
pub(crate) static PARAMETERS: &[Parameter] = &[
    Parameter { name: "requests", default: "512", doc: "Requests that an iteration decides about, 1 to 65536." },
    Parameter { name: "features", default: "1024", doc: "Numbers that describe a request, 1 to 16384." },
    Parameter { name: "devices", default: "64", doc: "Devices to choose from, a multiple of 64 up to 4096." },
];

/// Largest magnitude of a feature and of an entry of the matrix: 16,384 products of at most 64 stay below 2^24.
const LARGEST: i16 = 8;

/// At most this for requests, matrix and scores.
const MOST_BYTES: u64 = 1 << 30;

/// In which order requests are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// One at a time.
    Single,
    /// All in one batch.
    Batch,
}

#[derive(Clone, Copy)]
struct Sizes {
    requests: usize,
    features: usize,
    devices: usize,
}

/// Requests, the matrix, and where they go.
pub(crate) struct Shards {
    order: Order,
    sizes: Sizes,
    /// Row-major `requests` x `features`.
    inputs: Vec<f32>,
    /// Row-major `features` x `devices`, for the reference.
    matrix: Vec<f32>,
    weights: Weights,
    scores: Vec<f32>,
    scratch: Scratch,
    chosen: Vec<u32>,
}

impl Shards {
    /// Draws requests and matrix of a target's parameters by the seed.
    ///
    /// # Errors
    /// For a parameter that is unknown or has a bad value.
    pub(crate) fn new(target: &'static str, order: Order, settings: &Settings) -> Result<Self, Error> {
        Ok(Self::draw(order, sizes(target, settings)?, settings.seed))
    }

    fn draw(order: Order, sizes: Sizes, seed: u64) -> Self {
        let Sizes { requests, features, devices } = sizes;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut draw = |count: usize| -> Vec<f32> {
            (0..count).map(|_| f32::from(random.random_range(-LARGEST..=LARGEST))).collect()
        };
        let (matrix, inputs) = (draw(features * devices), draw(requests * features));
        let fill = |input: usize, row: &mut [f32]| row.copy_from_slice(&matrix[input * devices..][..devices]);
        let weights = Weights::new(features, vec![0.0; devices], fill);
        let rows = if order == Order::Single { 1 } else { requests };
        let scores = vec![0.0; rows * devices];
        let chosen = vec![u32::MAX; requests];
        Self { order, sizes, inputs, matrix, weights, scores, scratch: Scratch::default(), chosen }
    }

    /// Scores of `rows` requests from `first` on, and their devices.
    fn route(&mut self, first: usize, rows: usize) {
        let Sizes { features, devices, .. } = self.sizes;
        let layer = Linear {
            weights: &self.weights,
            first: 0,
            columns: devices,
            rows,
            pieces: &[&self.inputs[first * features..][..rows * features]],
            activation: Activation::None,
        };
        linear(&layer, &mut self.scores, &mut self.scratch);
        for (chosen, scores) in self.chosen[first..].iter_mut().zip(self.scores.chunks_exact(devices)).take(rows) {
            *chosen = largest(scores);
        }
    }
}

/// The first of the largest.
fn largest(scores: &[f32]) -> u32 {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter().position(|&score| score >= most).unwrap_or(0) as u32
}

/// Every parameter with its value.
pub(crate) fn resolve(target: &'static str, settings: &Settings) -> Result<BTreeMap<String, String>, Error> {
    let Sizes { requests, features, devices } = sizes(target, settings)?;
    let values = [("requests", requests), ("features", features), ("devices", devices)];
    Ok(values.map(|(name, value)| (name.to_owned(), value.to_string())).into())
}

fn sizes(target: &'static str, settings: &Settings) -> Result<Sizes, Error> {
    let given = Given::new(target, PARAMETERS, &settings.parameters)?;
    let devices: usize = given.number("devices", TILE..=4096)?;
    if !devices.is_multiple_of(TILE) {
        return Err(refused("devices", &devices, format!("a multiple of {TILE}")));
    }
    let sizes = Sizes {
        requests: given.number("requests", 1..=65536)?,
        features: given.number("features", 1..=16384)?,
        devices,
    };
    // The matrix is kept twice, laid out and plain; the requests twice while they are packed.
    let values = 2 * sizes.features * devices + sizes.requests * (2 * sizes.features + devices);
    let needed_bytes = 4 * values as u64;
    if needed_bytes > MOST_BYTES {
        let what = format!("{} requests of {} features", sizes.requests, sizes.features);
        return Err(Error::TooLarge {
            what,
            needed_bytes,
            limit_bytes: MOST_BYTES,
            parameters: "requests or features",
        });
    }
    Ok(sizes)
}

impl Work for Shards {
    const NAME: &'static str = "route_static";

    fn decisions(&self) -> u64 {
        self.sizes.requests as u64
    }

    fn flop(&self) -> Option<i64> {
        Some((2 * self.sizes.requests * self.sizes.features * self.sizes.devices) as i64)
    }

    fn decide(&mut self) {
        match self.order {
            Order::Single => (0..self.sizes.requests).for_each(|request| self.route(request, 1)),
            Order::Batch => self.route(0, self.sizes.requests),
        }
    }

    fn decided(&self) -> Vec<f32> {
        self.chosen.iter().map(|&device| device as f32).collect()
    }

    /// Sums of whole numbers.
    fn reference(&self) -> Vec<f32> {
        let Sizes { features, devices, .. } = self.sizes;
        let route = |request: &[f32]| {
            let mut sums = vec![0_i64; devices];
            for (feature, row) in request.iter().zip(self.matrix.chunks_exact(devices)) {
                sums.iter_mut().zip(row).for_each(|(sum, entry)| *sum += *feature as i64 * *entry as i64);
            }
            let most = sums.iter().max();
            sums.iter().position(|sum| Some(sum) == most).unwrap_or(0) as f32
        };
        self.inputs.chunks_exact(features).map(route).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_all_at_once_choose_the_device_of_the_exact_largest_sum() {
        for (requests, features, devices) in [(1, 1, 64), (37, 300, 128), (64, 1024, 64)] {
            let sizes = Sizes { requests, features, devices };
            for order in [Order::Single, Order::Batch] {
                let mut work = Shards::draw(order, sizes, 3);
                work.decide();
                assert_eq!(work.decided(), work.reference(), "{order:?} {requests} {features} {devices}");
            }
        }
    }

    #[test]
    fn the_first_of_equal_scores_is_chosen() {
        assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
    }
}
