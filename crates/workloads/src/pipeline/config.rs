//! Parameters of the pipeline targets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::execution::Execution;
use crate::backend::cuda::MOST_KEY_BLOCKS;
use crate::backend::{Fault, Link};
use crate::kernels::TILE;
use crate::memory;
use crate::parameters::{Given, refused};
use crate::{Error, Parameter, Settings};

/// The parameters of both targets: a pair takes one set. Some concern the optimized target only; the baseline checks them
/// and goes on without.
pub(crate) static PARAMETERS: &[Parameter] = &[
    Parameter { name: "sequences", default: "8", doc: "Sequences of an iteration, 1 to 256." },
    Parameter {
        name: "prompt_tokens",
        default: "32",
        doc: "Prompt rows of a sequence, 1 to 1024; at most 8192 rows in all.",
    },
    Parameter { name: "decode_steps", default: "8", doc: "Decode steps of one row a sequence, 0 to 1024." },
    Parameter {
        name: "link_gbps",
        default: "10",
        doc: "Rate of the modelled links in 10^9 bytes per second, 0.01 to 1000 (cpu backend only).",
    },
    Parameter {
        name: "stages",
        default: "auto",
        doc: "Devices, 1 to 4; auto: one a core or GPU, at most 4, and 2 on a single GPU (optimized only).",
    },
    Parameter {
        name: "schedule",
        default: "balanced",
        doc: "balanced: one stage a device; interleaved: `chunks` stages a device, stage s on device s mod stages (optimized only).",
    },
    Parameter {
        name: "chunks",
        default: "2",
        doc: "Stages a device, 1 or 2; with schedule=interleaved only (optimized only).",
    },
    Parameter {
        name: "microbatches",
        default: "auto",
        doc: "Micro-batches of a prefill, a divisor of sequences; auto: the largest divisor up to 4 (optimized only).",
    },
    Parameter {
        name: "decode_microbatches",
        default: "1",
        doc: "Micro-batches of a decode step, a divisor of sequences; with 1 the weights are read once a step (optimized only).",
    },
    Parameter {
        name: "precision",
        default: "auto",
        doc: "What values are kept as, f32 or bf16; sums are f32 in both, and products of f32 are no TF32; auto: f32 on cores, bf16 on GPUs.",
    },
    Parameter {
        name: "cuda_devices",
        default: "all",
        doc: "GPUs to use, by number among the visible ones: 0,1; device d of the plan is the d-th of them, modulo their number (cuda backend only).",
    },
    Parameter {
        name: "graph",
        default: "auto",
        doc: "on: a block is captured once and launched as one CUDA graph; off: operation by operation; auto: on (cuda backend only, optimized only).",
    },
];

/// Parameters that only the optimized target has.
const OPTIMIZED_ONLY: [&str; 6] = ["stages", "schedule", "chunks", "microbatches", "decode_microbatches", "graph"];

/// How the work is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One device, the host synchronising after every operation.
    Baseline,
    /// Several devices, everything enqueued ahead.
    Optimized,
}

/// What a test breaks; nothing in a real run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// What happens to the KV copies.
    pub(crate) copy: Fault,
    /// Whether the decode steps skip their wait for the KV copy.
    pub(crate) forget_wait: bool,
}

/// A pipeline, every choice made.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) style: Style,
    /// Widths between the layers: layer l maps `widths[l]` to `widths[l + 1]`. The first equals the last.
    pub(crate) widths: Vec<usize>,
    pub(crate) sequences: usize,
    pub(crate) prompt_tokens: usize,
    pub(crate) decode_steps: usize,
    pub(crate) stages: usize,
    /// Whether the schedule is the interleaved one.
    pub(crate) interleaved: bool,
    /// Stages a device; 1 with the balanced schedule.
    pub(crate) chunks: usize,
    pub(crate) microbatches: usize,
    pub(crate) decode_microbatches: usize,
    pub(crate) link: Link,
    pub(crate) seed: u64,
    pub(crate) iterations: usize,
    pub(crate) blocks: usize,
    /// The core of each device.
    pub(crate) cores: Vec<usize>,
    pub(crate) device_name: String,
    pub(crate) arch: String,
    pub(crate) execution: Execution,
    pub(crate) faults: Faults,
}

/// Time before the first byte of a transfer.
const LATENCY: Duration = Duration::from_micros(2);
/// Rows of a prefill, at most: 8192 rows keep some 700 MB of activations.
const MOST_ROWS: usize = 8192;
/// Columns between layers.
const WIDTHS: [usize; 5] = [1024, 4096, 4096, 2048, 1024];

impl Config {
    /// Reads and checks the parameters.
    pub(crate) fn new(target: &'static str, style: Style, settings: &Settings) -> Result<Self, Error> {
        let given = Given::new(target, PARAMETERS, &settings.parameters)?;
        let sequences = given.number("sequences", 1..=256)?;
        let cores = if settings.cores.is_empty() { vec![0] } else { settings.cores.clone() };
        let interleaved = given.choice("schedule", &[("balanced", false), ("interleaved", true)])?;
        let chunks = given.number("chunks", 1..=2)?;
        if given.has("chunks") && !interleaved {
            return Err(refused("chunks", &chunks, "only schedule=interleaved has it; leave it out, or set that too"));
        }
        let execution = Execution::new(&given, settings)?;
        let devices = if execution.is_cuda() { execution.gpus.len().clamp(2, 4) } else { cores.len().min(4) };
        let mut config = Self {
            style,
            widths: WIDTHS.to_vec(),
            sequences,
            prompt_tokens: given.number("prompt_tokens", 1..=1024)?,
            decode_steps: given.number("decode_steps", 0..=1024)?,
            stages: given.number_or("stages", 1..=4, devices)?,
            interleaved,
            chunks: if interleaved { chunks } else { 1 },
            microbatches: given.number_or("microbatches", 1..=256, largest_divisor(sequences, 4))?,
            decode_microbatches: given.number("decode_microbatches", 1..=256)?,
            link: Link { bytes_per_s: given.number("link_gbps", 0.01..=1000.0)? * 1e9, latency: LATENCY },
            seed: settings.seed,
            iterations: settings.iterations.max(1),
            blocks: settings.blocks,
            cores,
            device_name: settings.device_name.clone(),
            arch: settings.arch.clone(),
            execution,
            faults: Faults::default(),
        };
        config.check()?;
        if style == Style::Baseline {
            (config.stages, config.chunks, config.microbatches, config.decode_microbatches) = (1, 1, 1, 1);
            config.execution.graph = false;
        }
        config.cores = (0..config.stages).map(|device| config.cores[device % config.cores.len()]).collect();
        super::footprint::check(&config, memory::limit())?;
        super::footprint::check_gpus(&config)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        if self.sequences * self.prompt_tokens > MOST_ROWS {
            let most = MOST_ROWS / self.sequences;
            let allowed =
                format!("with sequences={}, a number from 1 to {most} ({MOST_ROWS} rows in all)", self.sequences);
            return Err(refused("prompt_tokens", &self.prompt_tokens, allowed));
        }
        let divided =
            [("microbatches", self.microbatches, "auto, or "), ("decode_microbatches", self.decode_microbatches, "")];
        for (name, value, or) in divided {
            if !self.sequences.is_multiple_of(value) {
                let divisors: Vec<String> = divisors(self.sequences).map(|divisor| divisor.to_string()).collect();
                let allowed = format!("{or}a divisor of sequences={}: {}", self.sequences, divisors.join(", "));
                return Err(refused(name, &value, allowed));
            }
        }
        let most = MOST_KEY_BLOCKS * self.decode_microbatches;
        if self.execution.is_cuda() && self.microbatches > most {
            let allowed = format!("on GPUs at most {most} with decode_microbatches={}", self.decode_microbatches);
            return Err(refused("microbatches", &self.microbatches, allowed));
        }
        Ok(())
    }

    /// Layers.
    pub(crate) fn layers(&self) -> usize {
        self.widths.len() - 1
    }

    /// Values of a row of input and output.
    pub(crate) fn width(&self) -> usize {
        self.widths[0]
    }

    /// Rows of a prefill micro-batch.
    pub(crate) fn prefill_rows(&self) -> usize {
        self.sequences * self.prompt_tokens / self.microbatches
    }

    /// Every parameter with its value as text, only those that are used: the baseline has no stages, a balanced schedule
    /// no chunks.
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let schedule = if self.interleaved { "interleaved" } else { "balanced" };
        let all = [
            ("sequences", self.sequences.to_string()),
            ("prompt_tokens", self.prompt_tokens.to_string()),
            ("decode_steps", self.decode_steps.to_string()),
            ("link_gbps", (self.link.bytes_per_s / 1e9).to_string()),
            ("stages", self.stages.to_string()),
            ("schedule", schedule.to_owned()),
            ("chunks", self.chunks.to_string()),
            ("microbatches", self.microbatches.to_string()),
            ("decode_microbatches", self.decode_microbatches.to_string()),
        ];
        let cuda = self.execution.is_cuda();
        let used = |name: &str| {
            (self.style == Style::Optimized || !OPTIMIZED_ONLY.contains(&name))
                && (self.interleaved || name != "chunks")
                && (!cuda || name != "link_gbps")
        };
        let all = all.into_iter().chain(self.execution.parameters().into_iter().filter(|_| cuda));
        all.filter(|(name, _)| used(name)).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Every parameter of a target with its effective value.
pub(crate) fn effective(
    target: &'static str,
    style: Style,
    settings: &Settings,
) -> Result<BTreeMap<String, String>, Error> {
    Config::new(target, style, settings).map(|config| config.parameters())
}

fn divisors(number: usize) -> impl Iterator<Item = usize> {
    (1..=number).filter(move |divisor| number.is_multiple_of(*divisor))
}

fn largest_divisor(number: usize, most: usize) -> usize {
    divisors(number).take_while(|divisor| *divisor <= most).last().unwrap_or(1)
}

// Every layer can be cut at a multiple of TILE columns.
const _: () = {
    let mut index = 0;
    while index < WIDTHS.len() {
        assert!(WIDTHS[index].is_multiple_of(TILE));
        index += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(parameters: &[(&str, &str)]) -> Settings {
        Settings {
            seed: 1,
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            cores: vec![4, 5],
            iterations: 2,
            blocks: 1,
            warmup: 0,
            device_name: "test".to_owned(),
            arch: "test".to_owned(),
            backend: crate::Backend::Cpu,
            record: true,
        }
    }

    fn error(parameters: &[(&str, &str)]) -> String {
        Config::new("t", Style::Optimized, &settings(parameters)).expect_err("must be refused").to_string()
    }

    #[test]
    fn defaults_depend_on_the_machine_and_are_stated() {
        let all = effective("t", Style::Optimized, &settings(&[])).expect("defaults are allowed");
        // Without `chunks` and the three of GPUs.
        assert_eq!((all.len(), all.contains_key("chunks")), (PARAMETERS.len() - 4, false));
        assert_eq!((all["stages"].as_str(), all["microbatches"].as_str()), ("2", "4"));
        let baseline = effective("t", Style::Baseline, &settings(&[("stages", "3")])).expect("accepted");
        assert!(!baseline.contains_key("stages"));
    }

    #[test]
    fn what_cannot_be_divided_is_refused_with_what_can() {
        assert_eq!(
            error(&[("microbatches", "3")]),
            "microbatches=3 is not allowed: auto, or a divisor of sequences=8: 1, 2, 4, 8"
        );
        assert_eq!(error(&[("stages", "5")]), "stages=5 is not allowed: auto, or a number from 1 to 4");
        assert!(error(&[("decode_microbatches", "auto")]).ends_with("a number from 1 to 256"));
        assert!(
            error(&[("sequences", "256"), ("prompt_tokens", "33")])
                .contains("a number from 1 to 32 (8192 rows in all)")
        );
        assert_eq!(error(&[("schedule", "x")]), "schedule=x is not allowed: one of balanced, interleaved");
        assert_eq!(error(&[("link_gbps", "NaN")]), "link_gbps=NaN is not allowed: a number from 0.01 to 1000");
    }

    #[test]
    fn chunks_belong_to_the_interleaved_schedule_and_are_recorded_as_given() {
        assert!(error(&[("chunks", "2")]).contains("schedule=interleaved"));
        let given = [("schedule", "interleaved"), ("chunks", "1")];
        let all = effective("t", Style::Optimized, &settings(&given)).expect("allowed");
        assert_eq!((all["schedule"].as_str(), all["chunks"].as_str()), ("interleaved", "1"));
        // What was recorded can be given again.
        let again: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(effective("t", Style::Optimized, &settings(&again)).expect("allowed"), all);
    }

    #[test]
    fn what_only_gpus_have_is_refused_on_cores() {
        for (given, part) in
            [("precision", "bf16"), ("graph", "on"), ("cuda_devices", "0")].map(|given| (given, given.0))
        {
            let error = error(&[given]);
            assert!(error.starts_with(part) && error.ends_with("use --backend cuda"), "{error}");
        }
        assert!(effective("t", Style::Optimized, &settings(&[("precision", "f32"), ("graph", "off")])).is_ok());
        assert!(error(&[("precision", "f16")]).ends_with("one of auto, f32, bf16"));
    }

    #[test]
    fn more_devices_than_cores_share_them() {
        let config = Config::new("t", Style::Optimized, &settings(&[("stages", "3")])).expect("allowed");
        assert_eq!(config.cores, [4, 5, 4]);
    }
}
