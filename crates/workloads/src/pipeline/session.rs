//! Running a pipeline: devices, buffers, blocks, verification.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proftool_tracer::Text;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::config::{Config, Style};
use super::graph::{Graph, Key, Kind, Node, Phase};
use super::model::Model;
use super::plan::{Durations, Plan, class, room};
use crate::backend::cpu::{Devices, Setup};
use crate::backend::{Buffer, Event, Fault, Label, Role, Ticket, Work, buffer, read, write};
use crate::kernels::{Activation, Weights};
use crate::outputs::{Check, Outputs};
use crate::reference::{self, Sequence};
use crate::{Block, Error, Session};

/// Iterations of the warm-up are numbered from here, so that no measured one repeats their inputs.
const WARM_UP: u64 = 1 << 20;

/// A pipeline that is ready to run.
pub(crate) struct Pipeline {
    config: Config,
    model: Model,
    layers: Vec<Arc<Weights>>,
    devices: Devices,
    buffers: BTreeMap<Key, Buffer>,
    names: Names,
    durations: Durations,
    plan: Plan,
    outputs: Outputs,
    blocks_done: usize,
}

/// The strings of the trace.
struct Names {
    layers: Vec<Text>,
    attention: Text,
    hand_over: Text,
    kv: Text,
    prefill: Text,
    decode: Text,
    kv_transfer: Text,
    f32: Text,
}

/// When everything in a run of a plan happened.
struct Ran {
    start_ns: i64,
    tickets: Vec<Option<Ticket>>,
}

impl Pipeline {
    /// Makes weights and devices.
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let model = Model::new(&config.widths, config.seed);
        let layer = |layer: usize| {
            let fill = |input: usize, row: &mut [f32]| model.weights(layer, input, row);
            Arc::new(Weights::new(config.widths[layer], model.bias(layer), fill))
        };
        let layers = (0..config.layers()).map(layer).collect();
        let plan = plan(&config, config.iterations, &Durations::new());
        let devices = Devices::start(&setup(&config))?;
        let names = Names::new(&config, &devices);
        Ok(Self {
            model,
            layers,
            devices,
            buffers: BTreeMap::new(),
            names,
            durations: Durations::new(),
            plan,
            outputs: Outputs::default(),
            blocks_done: 0,
            config,
        })
    }

    /// Makes every buffer of a plan, and the prompts of its iterations.
    fn provide(&mut self, plan: &Plan, first_iteration: u64) {
        for (&key, &size) in &plan.graph.sizes {
            let buffer = self.buffers.entry(key).or_insert_with(|| buffer(size));
            if let Key::Prompt { iteration, micro_batch } = key {
                let (first, width) = (micro_batch * self.config.prefill_rows(), self.config.width());
                for (row, values) in write(buffer).chunks_exact_mut(width).enumerate() {
                    self.model.prompt(first_iteration + iteration as u64, first + row, values);
                }
            }
        }
    }

    /// Enqueues a plan's operations and waits until all are done.
    fn run(&mut self, plan: &Plan) -> Result<Ran, Error> {
        let count = plan.graph.nodes.len();
        let (mut ids, mut tickets) = (vec![0; count], vec![None; count]);
        let mut events: Vec<Option<Event>> = vec![None; count];
        let start_ns = self.devices.now_ns();
        for &index in &plan.order {
            let node = &plan.graph.nodes[index];
            for &before in &plan.waits[index] {
                let forgotten = self.config.faults.forget_wait && plan.graph.nodes[before].phase == Phase::KvTransfer;
                if let Some(event) = events[before].as_ref().filter(|_| !forgotten) {
                    self.devices.wait(node.queue, event);
                }
            }
            let data: Vec<i64> = node.data.iter().map(|&before| ids[before]).collect();
            let (work, label) = (self.work(node), self.label(node, &plan.graph));
            let (id, ticket) = self.devices.launch(node.queue, work, label, &data);
            (ids[index], tickets[index]) = (id, Some(ticket));
            if plan.recorded[index] {
                events[index] = Some(self.devices.record(node.queue));
            }
            if self.config.style == Style::Baseline {
                self.devices.synchronize(node.queue)?;
            }
        }
        self.devices.synchronize_all()?;
        Ok(Ran { start_ns, tickets })
    }

    fn buffer(&self, key: Key) -> Buffer {
        Arc::clone(&self.buffers[&key])
    }

    fn work(&self, node: &Node) -> Work {
        let output = self.buffer(node.write);
        let mut inputs: Vec<Buffer> = node.reads.iter().map(|&key| self.buffer(key)).collect();
        match node.kind {
            Kind::Linear { layer, first, columns } => {
                let last = layer + 1 == self.config.layers();
                let activation = if last { Activation::None } else { Activation::Gelu };
                let weights = Arc::clone(&self.layers[layer]);
                Work::Linear { weights, first, columns, rows: node.rows, inputs, output, activation }
            }
            Kind::Attention { first_step, keys_start } => {
                let previous = if first_step { None } else { inputs.pop() };
                let (width, prompt_tokens) = (self.config.width(), self.config.prompt_tokens);
                Work::Attention { width, prompt_tokens, previous, keys: inputs, keys_start, output }
            }
            Kind::Copy { from_device, to_device } => {
                let kv = node.phase == Phase::KvTransfer;
                let fault = if kv { self.config.faults.copy } else { Fault::None };
                let (from, link) = (inputs.swap_remove(0), self.config.link);
                Work::Copy { from, to: output, link, src_device: from_device, dst_device: to_device, fault }
            }
        }
    }

    /// What the operation states about itself: 2 operations for each multiply-add (bias, activation, softmax and norm are
    /// not counted), and each value that it must read or write once.
    fn label(&self, node: &Node, graph: &Graph) -> Label {
        let written = graph.sizes[&node.write];
        let read: usize = node.reads.iter().map(|key| graph.sizes[key]).sum();
        let (name, flop, values) = match node.kind {
            Kind::Linear { layer, columns, .. } => {
                let inputs = self.config.widths[layer];
                (
                    self.names.layers[layer],
                    2 * node.rows * inputs * columns,
                    inputs * columns + columns + read + written,
                )
            }
            Kind::Attention { .. } => {
                let keys = node.rows * self.config.prompt_tokens * self.config.width();
                (self.names.attention, 4 * keys, keys + 2 * written)
            }
            Kind::Copy { .. } if node.phase == Phase::KvTransfer => (self.names.kv, 0, 0),
            Kind::Copy { .. } => (self.names.hand_over, 0, 0),
        };
        let arithmetic = !matches!(node.kind, Kind::Copy { .. });
        Label {
            name,
            step: node.iteration as i64,
            phase: match node.phase {
                Phase::Prefill => self.names.prefill,
                Phase::Decode => self.names.decode,
                Phase::KvTransfer => self.names.kv_transfer,
            },
            stage: node.stage as i64,
            micro_batch: node.micro_batch as i64,
            rows: node.rows as i64,
            flop: flop as i64,
            dram_bytes: if arithmetic { (values * size_of::<f32>()) as i64 } else { proftool_tracer::ABSENT },
            precision: if arithmetic { self.names.f32 } else { Text::NONE },
        }
    }

    /// Keeps the outputs of a block.
    fn collect(&mut self) {
        let config = &self.config;
        for iteration in 0..config.iterations {
            let number = self.blocks_done * config.iterations + iteration;
            let prefill = (0..config.microbatches)
                .flat_map(|micro_batch| read(&self.buffers[&Key::PrefillOut { iteration, micro_batch }]).clone())
                .collect();
            self.outputs.insert(number, "prefill", prefill);
            let steps = (0..config.decode_steps)
                .flat_map(|step| (0..config.decode_microbatches).map(move |micro_batch| (step, micro_batch)));
            let decode = steps
                .flat_map(|(step, micro_batch)| {
                    read(&self.buffers[&Key::DecodeOut { iteration, step, micro_batch }]).clone()
                })
                .collect();
            self.outputs.insert(number, "decode", decode);
        }
    }

    /// Plans the blocks with the median duration of every class of operations, from the part of the warm-up where it was
    /// shortest: an order made for durations that other processes stretched leaves devices idle when they are gone. Measured
    /// blocks change nothing any more: planning again after each gained nothing (969 ms against 977 ms a block of six
    /// iterations, means of 5 and 6 undisturbed blocks between 909 and 1056 ms), and so all blocks run the same order.
    fn learn(&mut self, done: &Plan, ran: &Ran) {
        let mut all: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        for (node, ticket) in done.graph.nodes.iter().zip(&ran.tickets) {
            if let (Some(class), Some(ticket)) = (class(node), ticket) {
                all.entry(class).or_default().push(ticket.duration_ns());
            }
        }
        for (class, mut times) in all {
            times.sort_unstable();
            let median = times[times.len() / 2];
            self.durations.entry(class).and_modify(|shortest| *shortest = median.min(*shortest)).or_insert(median);
        }
        self.plan = plan(&self.config, self.config.iterations, &self.durations);
    }

    /// Sequences to check: two, drawn by the seed from all measured iterations.
    fn draw(&self) -> Vec<(usize, usize)> {
        const DRAWN: usize = 2;
        let mut random = SmallRng::seed_from_u64(self.config.seed);
        let measured = self.blocks_done * self.config.iterations;
        let mut drawn: Vec<(usize, usize)> = Vec::new();
        while drawn.len() < DRAWN.min(measured * self.config.sequences) {
            let pick = (random.random_range(0..measured), random.random_range(0..self.config.sequences));
            if !drawn.contains(&pick) {
                drawn.push(pick);
            }
        }
        drawn
    }
}

/// Completions and CPU time of a block; `cpu_ns` of each device's compute queue.
fn measure(plan: &Plan, ran: &Ran, cpu_ns: &[i64]) -> Block {
    let mut last_ns = 0;
    let mut completions = Vec::new();
    for finals in &plan.graph.finals {
        let ends = finals.iter().filter_map(|&node| Some(ran.tickets[node].as_ref()?.end_ns()));
        // An iteration counts as complete when all before it are.
        last_ns = ends.fold(last_ns, i64::max);
        completions.push(last_ns);
    }
    let mut busy_ns = vec![0; cpu_ns.len()];
    for (node, ticket) in plan.graph.nodes.iter().zip(&ran.tickets).filter(|(node, _)| node.queue.1 == Role::Compute) {
        busy_ns[node.queue.0] += ticket.as_ref().map_or(0, Ticket::duration_ns);
    }
    let ratios = busy_ns.iter().zip(cpu_ns).map(|(busy_ns, cpu_ns)| *busy_ns as f64 / (*cpu_ns).max(1) as f64);
    Block {
        iteration_ns: completions.windows(2).map(|pair| pair[1] - pair[0]).collect(),
        fill_ns: completions.first().map_or(0, |first| first - ran.start_ns),
        cpu_ns: cpu_ns.iter().sum(),
        contention_ratio: ratios.fold(0.0, f64::max),
    }
}

fn plan(config: &Config, iterations: usize, durations: &Durations) -> Plan {
    match config.style {
        Style::Baseline => Plan::in_program_order(config, iterations),
        Style::Optimized => Plan::new(config, iterations, durations),
    }
}

fn setup(config: &Config) -> Setup {
    let Config { cores, device_name, arch, link, .. } = config.clone();
    Setup { cores, name: device_name, arch, link, room: room(config) }
}

impl Names {
    fn new(config: &Config, devices: &Devices) -> Self {
        let text = |text: &str| devices.recorder.intern(text);
        let layer = |layer: usize| {
            let kind = if layer + 1 == config.layers() { "linear" } else { "linear_gelu" };
            text(&format!("{kind}_{}x{}", config.widths[layer], config.widths[layer + 1]))
        };
        Self {
            layers: (0..config.layers()).map(layer).collect(),
            attention: text("attention"),
            hand_over: text("stage_hand_over"),
            kv: text("kv_hand_over"),
            prefill: text(Phase::Prefill.name()),
            decode: text(Phase::Decode.name()),
            kv_transfer: text(Phase::KvTransfer.name()),
            f32: text("f32"),
        }
    }
}

impl Session for Pipeline {
    /// In parts no longer than a block, which need no more memory than a block. Only the range is recorded.
    fn warm_up(&mut self, iterations: usize) -> Result<(), Error> {
        let range = (iterations > 0).then(|| self.devices.begin("warm_up", iterations));
        self.devices.set_recording(false);
        for first in (0..iterations).step_by(self.config.iterations) {
            let part = self.config.iterations.min(iterations - first);
            let warm = plan(&self.config, part, &self.durations);
            self.provide(&warm, WARM_UP + first as u64);
            let ran = self.run(&warm)?;
            self.learn(&warm, &ran);
        }
        self.devices.set_recording(true);
        if let Some(range) = range {
            self.devices.end(range);
        }
        Ok(())
    }

    fn run_block(&mut self) -> Result<Block, Error> {
        let plan = self.plan.clone();
        self.provide(&plan, (self.blocks_done * self.config.iterations) as u64);
        let cpu_before_ns = self.devices.compute_cpu_ns()?;
        let range = self.devices.begin("block", self.blocks_done);
        let ran = self.run(&plan)?;
        self.devices.end(range);
        let cpu_after_ns = self.devices.compute_cpu_ns()?;
        let cpu_ns: Vec<i64> = cpu_after_ns.iter().zip(&cpu_before_ns).map(|(after, before)| after - before).collect();
        self.collect();
        self.blocks_done += 1;
        Ok(measure(&plan, &ran, &cpu_ns))
    }

    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        let drawn = self.draw();
        let (tokens, steps) = (self.config.prompt_tokens, self.config.decode_steps);
        let sequences: Vec<Sequence> = drawn
            .iter()
            .map(|&(iteration, sequence)| Sequence { iteration: iteration as u64, first_row: sequence * tokens })
            .collect();
        let expected = reference::compute(&self.model, &sequences, tokens, steps);
        let (width, all) = (self.config.width(), self.config.sequences);
        let check = |(&(iteration, sequence), expected): (&(usize, usize), &reference::Expected)| {
            let mut check = Check::new(format!("iteration {iteration}, sequence {sequence}, f64 reference"));
            let prefill = self.outputs.get(iteration, "prefill").unwrap_or_default();
            let rows = prefill.get(sequence * tokens * width..(sequence + 1) * tokens * width).unwrap_or_default();
            check.add(rows, expected.prefill.iter().copied());
            let decode = self.outputs.get(iteration, "decode").unwrap_or_default();
            let rows: Vec<f32> = decode.chunks_exact(width).skip(sequence).step_by(all).flatten().copied().collect();
            check.add(&rows, expected.decode.iter().copied());
            check
        };
        Ok(drawn.iter().zip(&expected).map(check).collect())
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn modelled(&self) -> Vec<String> {
        let gigabytes = self.config.link.bytes_per_s / 1e9;
        let micros = self.config.link.latency.as_micros();
        vec![format!(
            "Copies between stages and the KV hand-over move real bytes, paced at {gigabytes} GB/s after {micros} us (parameter link_gbps)."
        )]
    }

    fn iterations(&self) -> usize {
        self.config.iterations
    }

    fn simulated(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>, path: &Path) -> Result<(), Error> {
        Ok(self.devices.stop().write(path)?)
    }
}
