//! Step times of named models on named devices: the analytic roofline.

use proftool_hardware::gpu::{self, GpuSpec};

use crate::{Cost, Device, Link, Pipeline, Role, StepModel};

/// What a step of a model computes and reads, per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Parameters that a token uses.
    pub parameters: f64,
    /// Layers.
    pub layers: f64,
    /// Query heads x head size.
    pub attention_width: f64,
    /// Key and value heads x head size x 2, of one layer.
    pub kv_values: f64,
    /// Bytes of a value, of weights and of keys and values.
    pub value_bytes: f64,
}

/// Models whose shapes are published (their `config.json`).
pub static MODELS: &[Model] = &[
    Model {
        name: "llama-3.1-8b",
        parameters: 8.03e9,
        layers: 32.0,
        attention_width: 4096.0,
        kv_values: 2.0 * 8.0 * 128.0,
        value_bytes: 2.0,
    },
    Model {
        name: "llama-3.1-70b",
        parameters: 70.6e9,
        layers: 80.0,
        attention_width: 8192.0,
        kv_values: 2.0 * 8.0 * 128.0,
        value_bytes: 2.0,
    },
    Model {
        name: "qwen2.5-32b",
        parameters: 32.8e9,
        layers: 64.0,
        attention_width: 5120.0,
        kv_values: 2.0 * 8.0 * 128.0,
        value_bytes: 2.0,
    },
];

/// Share of the peak that a step reaches where arithmetic limits it, and of the bandwidth where memory does: what serving
/// engines reach on large matrices and on long reads. A measured model replaces both.
const REACHED: (f64, f64) = (0.6, 0.8);
/// Time of a step beside its kernels: scheduling, launches, sampling.
const BASE_NS: f64 = 1e6;
/// Share of the memory that an engine uses for weights, keys and values.
const MEMORY_SHARE: f64 = 0.9;
/// Tokens of a step and requests of a batch: the defaults of vLLM for serving.
const STEP_TOKENS: u32 = 2048;
const SEQUENCES: u32 = 256;
/// Tokens of a micro-batch where there are stages: enough for arithmetic to limit a prompt's chunk on the GPUs here, few
/// enough that a long prompt has many.
const MICRO_TOKENS: u32 = 512;

/// Why there is no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No spec has that name.
    #[error("no device is called {0} (hint: `proftool list hardware`)")]
    Device(String),
    /// The spec lacks a number.
    #[error("the spec of {0} has no {1} (hint: use another device)")]
    Number(String, &'static str),
    /// The model does not fit.
    #[error(
        "{model} takes {needed} bytes, {device} has {has} for it (hint: more devices a replica, or a smaller model)"
    )]
    Memory {
        /// The model.
        model: &'static str,
        /// The device.
        device: String,
        /// Bytes of its weights.
        needed: u64,
        /// Bytes that may be used.
        has: u64,
    },
}

/// A replica: which device, what part of it, how many together.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica<'a> {
    /// Name of the device in the simulation.
    pub name: String,
    /// Slug of its spec.
    pub spec: &'a str,
    /// Share of its compute and of its memory: those of a MIG slice, else 1. The larger one is its share of the board's power,
    /// which nobody states for a slice: together the slices of a board may come to somewhat more than it draws.
    pub share: (f64, f64),
    /// Devices that serve one replica, or one stage of it, by tensor parallelism: as fast as one that many times as large, what
    /// they tell each other not counted.
    pub devices: u32,
    /// Stages of such devices in sequence, each with its share of the layers; 1 is no pipeline.
    pub pipeline: u32,
    /// What it is used for.
    pub role: Role,
    /// Price of all of them together.
    pub cost_per_hour: f64,
    /// NUMA node.
    pub numa: u16,
}

impl Model {
    /// The model of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        MODELS.iter().find(|model| model.name == name)
    }

    /// Bytes of keys and values of a token.
    pub fn kv_bytes_per_token(&self) -> u64 {
        (self.layers * self.kv_values * self.value_bytes) as u64
    }

    /// Bytes of the weights.
    pub fn weight_bytes(&self) -> u64 {
        (self.parameters * self.value_bytes) as u64
    }

    /// Step times at that many FLOP/s and bytes/s, see [`StepModel`].
    pub fn steps(&self, flop_per_s: f64, bytes_per_s: f64) -> StepModel {
        let attention = 4.0 * self.layers * self.attention_width / flop_per_s * 1e9;
        let token = 2.0 * self.parameters / flop_per_s * 1e9;
        StepModel {
            base_ns: BASE_NS,
            compute: Cost {
                constant: 0.0,
                prefill_token: token,
                prefill_pair: attention,
                sequence: token,
                kv_token: attention,
            },
            memory: Cost {
                constant: self.weight_bytes() as f64 / bytes_per_s * 1e9,
                kv_token: self.kv_bytes_per_token() as f64 / bytes_per_s * 1e9,
                ..Cost::default()
            },
            pipeline: Pipeline::default(),
        }
    }

    /// Stages between which a token's activations move, as many values as attention is wide (so in all models here), over a
    /// network adapter.
    fn stages(&self, stages: u32) -> Pipeline {
        let link = Link::default();
        let hop_token_ns = self.attention_width * self.value_bytes / link.bytes_per_s * 1e9;
        Pipeline { stages, micro_tokens: MICRO_TOKENS, hop_ns: link.latency_ns as f64, hop_token_ns }
    }

    /// A device that serves this model.
    ///
    /// # Errors
    /// When the device is not known or the model does not fit into it.
    pub fn on(&self, replica: &Replica<'_>) -> Result<Device, Error> {
        let spec = gpu::find(replica.spec).ok_or_else(|| Error::Device(replica.spec.to_owned()))?;
        let (compute, memory) = replica.share;
        let count = f64::from(replica.devices);
        let missing = |what| Error::Number(replica.spec.to_owned(), what);
        let flop_per_s = peak(spec).ok_or_else(|| missing("matrix peak"))? * compute * count * REACHED.0;
        let dram = spec.bandwidth("DRAM").ok_or_else(|| missing("memory bandwidth"))?;
        let bytes_per_s = dram.value * memory * count * REACHED.1;
        let bytes = spec.bytes("memory").ok_or_else(|| missing("memory size"))? as f64;
        let depth = replica.pipeline.max(1);
        let has = (bytes * memory * count * f64::from(depth) * MEMORY_SHARE) as u64;
        let needed = self.weight_bytes();
        let left = has.checked_sub(needed).filter(|&left| left >= self.kv_bytes_per_token());
        let left = left.ok_or_else(|| Error::Memory { model: self.name, device: replica.name.clone(), needed, has })?;
        let (pipeline, step_tokens) = match depth {
            1 => (Pipeline::default(), STEP_TOKENS),
            _ => (self.stages(depth), MICRO_TOKENS.saturating_mul(depth)),
        };
        Ok(Device {
            name: replica.name.clone(),
            role: replica.role,
            steps: StepModel { pipeline, ..self.steps(flop_per_s, bytes_per_s) },
            kv_capacity_tokens: left / self.kv_bytes_per_token(),
            step_tokens,
            most_sequences: SEQUENCES.saturating_mul(depth),
            cost_per_hour: replica.cost_per_hour,
            watts: spec.board_watts().map(|watts| watts * compute.max(memory) * count * f64::from(depth)),
            numa: replica.numa,
        })
    }
}

/// The dense matrix peak in bf16, or f16 where there is none.
fn peak(spec: &GpuSpec) -> Option<f64> {
    let row = spec.peak("matrix_bf16", false).or_else(|| spec.peak("matrix_f16", false))?;
    Some(row.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::Batch;

    fn replica(spec: &str) -> Replica<'_> {
        let name = "d".to_owned();
        Replica {
            name,
            spec,
            share: (1.0, 1.0),
            devices: 1,
            pipeline: 1,
            role: Role::Mixed,
            cost_per_hour: 1.0,
            numa: 0,
        }
    }

    #[test]
    fn a_step_on_an_h200_is_limited_by_weights_until_enough_tokens_share_them() {
        let model = Model::find("llama-3.1-8b").expect("known");
        let device = model.on(&replica("h200")).expect("fits");
        // One token: 16.06 GB of weights at 80 % of 4.8 TB/s, and a millisecond.
        let one = device.steps.step_ns(&Batch { sequences: 1, ..Batch::default() });
        assert_eq!(one, 1_000_000 + 4_182_292);
        // 2048 prompt tokens: 2 x 8.03e9 FLOP each at 60 % of 989 TFLOP/s.
        let chunk = device.steps.step_ns(&Batch { prefill_tokens: 2048, ..Batch::default() });
        assert_eq!(chunk, 1_000_000 + 55_403_762);
        assert_eq!(model.kv_bytes_per_token(), 131_072);
        // 90 % of 141 GiB less the weights.
        assert_eq!(device.kv_capacity_tokens, (151_397_597_184_u64 * 9 / 10 - 16_060_000_000) / 131_072);
    }

    #[test]
    fn stages_hold_the_weights_once_and_compute_a_part_each() {
        let model = Model::find("llama-3.1-8b").expect("known");
        let one = model.on(&replica("h200")).expect("fits");
        let four = model.on(&Replica { pipeline: 4, ..replica("h200") }).expect("fits");
        let bytes = (151_397_597_184.0 * 4.0 * 0.9) as u64;
        assert_eq!(four.kv_capacity_tokens, (bytes - 16_060_000_000) / 131_072);
        assert_eq!((four.step_tokens, four.most_sequences), (2048, 1024));
        // 512 tokens in a quarter of their time, then 10 us and 8 KiB a token at 50 GB/s.
        let chunk = Batch { prefill_tokens: 512, ..Batch::default() };
        let stage = one.steps.step_ns(&chunk) as f64 / 4.0 + 10_000.0 + 512.0 * 8192.0 / 50.0;
        assert!((four.steps.step_ns(&chunk) as f64 - stage).abs() <= 1.0);
    }

    #[test]
    fn board_power_is_that_of_all_devices_and_the_share_of_a_slice() {
        let model = Model::find("llama-3.1-8b").expect("known");
        let watts = |replica: Replica<'_>| model.on(&replica).expect("fits").watts;
        assert_eq!(watts(replica("h200")), Some(700.0));
        assert_eq!(watts(Replica { devices: 2, pipeline: 4, ..replica("h200") }), Some(5600.0));
        assert_eq!(watts(Replica { share: (1.0 / 7.0, 0.25), ..replica("h100-sxm") }), Some(175.0));
        // Its vendor states none.
        assert_eq!(watts(replica("b300")), None);
    }

    #[test]
    fn what_does_not_fit_or_is_not_known_is_refused() {
        let model = Model::find("llama-3.1-70b").expect("known");
        assert!(matches!(model.on(&replica("h100-sxm")), Err(Error::Memory { needed: 141_200_000_000, .. })));
        assert!(model.on(&Replica { devices: 4, ..replica("h100-sxm") }).is_ok());
        assert_eq!(model.on(&replica("h999")), Err(Error::Device("h999".to_owned())));
    }
}
