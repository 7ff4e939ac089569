//! What a pipeline will take of memory, known before anything of that size is made.

use super::config::Config;
use super::graph::{Graph, Slots};
use super::plan::MOST_IN_FLIGHT;
use crate::Error;
use crate::cuda::context::Context;
use crate::cuda::lt::MOST_WORKSPACE_BYTES;

/// Bytes of an operation in plans and on its way: some 500 for its node with the lists of its edges, in the two plans that
/// are compared, the one that is kept and the one that runs; as much again for its launch, ticket, event and the schedule.
const PLAN_BYTES: u64 = 3000;
/// Bytes of an operation in the recorder: its record, calls (72 each) and dependencies (32 each), see `plan::room`.
const RECORD_BYTES: u64 = 176 + 6 * 72 + 8 * 32;

/// Refuses a pipeline that would take more than `limit_bytes` twice, since a pair runs two of them.
pub(crate) fn check(config: &Config, limit_bytes: u64) -> Result<(), Error> {
    let needed_bytes = bytes(config).saturating_mul(2);
    if needed_bytes <= limit_bytes {
        return Ok(());
    }
    let Config { sequences, prompt_tokens, decode_steps, iterations, blocks, .. } = config;
    let what = format!(
        "a pair with sequences={sequences}, prompt_tokens={prompt_tokens}, decode_steps={decode_steps}, {iterations} \
         iterations and {blocks} blocks"
    );
    let parameters = "sequences, prompt_tokens, decode_steps, microbatches, decode_microbatches, or the number of iterations or blocks";
    Err(Error::TooLarge { what, needed_bytes, limit_bytes, parameters })
}

/// Refuses a pipeline for GPUs of which one has less memory left than two such pipelines take, since a pair runs two.
pub(crate) fn check_gpus(config: &Config) -> Result<(), Error> {
    let needed_bytes = gpu_bytes(config).saturating_mul(2);
    for gpu in config.execution.gpus.iter().take(config.stages) {
        let (free, _) = Context::open(gpu)?.memory()?;
        // The driver takes some for itself when kernels are loaded.
        let limit_bytes = (free as u64) / 10 * 9;
        if needed_bytes > limit_bytes {
            let what = format!("a pair on {} (GPU {})", gpu.name, gpu.number);
            let parameters = "sequences, prompt_tokens, decode_steps or the number of iterations";
            return Err(Error::TooLarge { what, needed_bytes, limit_bytes, parameters });
        }
    }
    Ok(())
}

/// Bytes that a pipeline takes on one GPU, if it does all: an upper bound. Matrices whose columns are spread over stages
/// are whole on each of them.
fn gpu_bytes(config: &Config) -> u64 {
    let values = weights(config)
        .saturating_add(activations(config).saturating_mul(2))
        .saturating_add((config.iterations as u64).saturating_mul(prompts(config) + results(config)));
    let hosts = (config.stages as u64).saturating_mul(MOST_WORKSPACE_BYTES as u64);
    values.saturating_mul(config.execution.precision.bytes() as u64).saturating_add(hosts)
}

/// Bytes of a pipeline at the end of its last block: an upper bound.
pub(crate) fn bytes(config: &Config) -> u64 {
    let [iterations, blocks] = [config.iterations, config.blocks].map(|count| count as u64);
    let values = weights(config)
        .saturating_add(activations(config))
        .saturating_add(iterations.saturating_mul(prompts(config) + results(config)))
        .saturating_add(iterations.saturating_mul(blocks).saturating_mul(results(config)));
    let operations = iterations.saturating_mul(operations(config));
    let records = operations.saturating_mul(blocks).saturating_mul(RECORD_BYTES);
    let plans = operations.saturating_mul(PLAN_BYTES);
    values.saturating_mul(size_of::<f32>() as u64).saturating_add(records).saturating_add(plans)
}

fn weights(config: &Config) -> u64 {
    config.widths.windows(2).map(|pair| (pair[0] * pair[1] + pair[1]) as u64).sum()
}

/// Values that an iteration reads.
fn prompts(config: &Config) -> u64 {
    (config.sequences * config.prompt_tokens * config.width()) as u64
}

/// Values that an iteration gives.
fn results(config: &Config) -> u64 {
    prompts(config) + (config.decode_steps * config.sequences * config.width()) as u64
}

/// Values between the layers, their copies on every device, KV blocks, and what a queue keeps packed.
fn activations(config: &Config) -> u64 {
    let columns: usize = config.widths.iter().sum();
    let widest = config.widths.iter().max().copied().unwrap_or(0);
    let slots = config.stages * config.chunks + 2;
    let rows = config.prefill_rows() * slots + MOST_IN_FLIGHT * 2 * config.sequences;
    let packed = config.prefill_rows().max(config.sequences) * widest;
    ((rows * columns + packed) * config.stages) as u64 + MOST_IN_FLIGHT as u64 * prompts(config)
}

/// Operations of an iteration, exactly: from graphs of one micro-batch and up to two decode steps.
pub(crate) fn operations(config: &Config) -> u64 {
    let count = |decode_steps| {
        let one = Config { decode_steps, microbatches: 1, decode_microbatches: 1, ..config.clone() };
        Graph::new(&one, 1, Slots { iterations: 1, micro_batches: 1 }).nodes.len() as u64
    };
    let [prefill, one, two] = [0, 1, 2].map(count);
    let [microbatches, parts, steps] =
        [config.microbatches, config.decode_microbatches, config.decode_steps].map(|count| count as u64);
    let decode = match steps {
        0 => 0,
        // Every step but the last hands its output back to the first stage.
        _ => parts * ((steps - 1) * (two - one) + (one - prefill)),
    };
    microbatches * prefill + decode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::plan::{Durations, Plan, room};
    use crate::pipeline::tests::full;

    fn configs() -> impl Iterator<Item = Config> {
        let shapes = [(1, 1, 1, 1), (2, 1, 4, 1), (2, 2, 8, 2), (3, 2, 2, 4), (4, 2, 8, 8)];
        shapes.into_iter().flat_map(|(stages, chunks, microbatches, decode_microbatches)| {
            [0, 1, 8].map(|decode_steps| {
                let config = full();
                Config { decode_steps, stages, chunks, microbatches, decode_microbatches, ..config }
            })
        })
    }

    #[test]
    fn operations_are_counted_without_making_them() {
        for config in configs() {
            let graph = Graph::new(&config, 3, Slots { iterations: 2, micro_batches: 4 });
            assert_eq!(operations(&config) * 3, graph.nodes.len() as u64, "{config:?}");
        }
    }

    #[test]
    fn the_estimate_bounds_buffers_and_records_and_is_not_far_off() {
        for config in configs() {
            let plan = Plan::new(&config, config.iterations, &Durations::new());
            let buffers: usize = plan.graph.sizes.values().sum();
            let most = activations(&config) + config.iterations as u64 * (prompts(&config) + results(&config));
            assert!(most >= buffers as u64 && most < 6 * buffers as u64, "{most} {buffers} {config:?}");
            let room = room(&config);
            let records = 176 * room.operations.values().sum::<usize>() + 72 * room.calls + 32 * room.dependencies;
            let most = operations(&config) as usize * config.iterations * config.blocks * RECORD_BYTES as usize;
            assert!(most >= records && most < 6 * records, "{most} {records} {config:?}");
        }
    }

    #[test]
    fn what_cannot_fit_is_refused_with_the_names_that_decide() {
        let config = Config { decode_steps: 1024, iterations: 100_000, blocks: 100_000, ..full() };
        let error = check(&config, 8 << 30).expect_err("must be refused").to_string();
        for part in ["decode_steps=1024", "100000 iterations", "8589 MB are allowed", "make sequences, prompt_tokens"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(check(&full(), 1 << 30).is_ok());
        assert!(check(&full(), 1 << 20).is_err());
    }
}
