//! The numbers: weights and inputs, all from the seed.

/// The seeded weights and inputs of a pipeline. Each value is a hash of its position, so that packed weights and the plain
/// reference need not share memory or an order of generation.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) widths: Vec<usize>,
    seed: u64,
}

/// Share of a normal variable's second moment that GELU keeps, E[gelu(x)^2] for x ~ N(0, 1): weights are scaled by its
/// inverse, so that activations neither die nor grow from layer to layer.
const GELU_MOMENT: f64 = 0.425;
/// Largest bias.
const BIAS: f32 = 0.1;

impl Model {
    pub(crate) fn new(widths: &[usize], seed: u64) -> Self {
        Self { widths: widths.to_vec(), seed }
    }

    /// Row `input` of the weights of a layer: one value an output column.
    pub(crate) fn weights(&self, layer: usize, input: usize, row: &mut [f32]) {
        let inputs = self.widths[layer];
        let moment = if layer == 0 { 1.0 } else { GELU_MOMENT };
        // A uniform variable on (-a, a) has the variance a^2 / 3.
        let scale = (3.0 / (moment * inputs as f64)).sqrt() as f32;
        self.fill(1 + layer as u64, (input * row.len()) as u64, scale, row);
    }

    /// The bias of a layer.
    pub(crate) fn bias(&self, layer: usize) -> Vec<f32> {
        let mut bias = vec![0.0; self.widths[layer + 1]];
        self.fill(101 + layer as u64, 0, BIAS, &mut bias);
        bias
    }

    /// Prompt row `row` of an iteration, of variance 1; different in every iteration.
    pub(crate) fn prompt(&self, iteration: u64, row: usize, values: &mut [f32]) {
        let position = (iteration << 32) + (row * values.len()) as u64;
        self.fill(201, position, 3.0_f32.sqrt(), values);
    }

    /// Values on (-scale, scale) from a stream of the seed.
    fn fill(&self, stream: u64, position: u64, scale: f32, values: &mut [f32]) {
        let key = mix(self.seed ^ mix(stream));
        for (offset, value) in values.iter_mut().enumerate() {
            let bits = mix(key.wrapping_add(position + offset as u64)) >> 40;
            *value = (bits as f32 / (1_u64 << 23) as f32 - 1.0) * scale;
        }
    }
}

/// The finaliser of splitmix64 (Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_seed_iteration_and_position_and_have_the_stated_spread() {
        let (mut a, mut b) = (vec![0.0; 4096], vec![0.0; 4096]);
        let model = Model::new(&[4096, 64], 1);
        model.prompt(0, 0, &mut a);
        model.prompt(1, 0, &mut b);
        assert_ne!(a, b);
        Model::new(&[4096, 64], 2).prompt(0, 0, &mut b);
        assert_ne!(a, b);
        let variance: f32 = a.iter().map(|x| x * x).sum::<f32>() / 4096.0;
        assert!((variance - 1.0).abs() < 0.1, "{variance}");
    }
}
