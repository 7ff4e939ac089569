//! Running a pipeline: devices, buffers, blocks, verification.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{Config, Style};
use super::graph::{Key, Kind, Node, Phase};
use super::labels::Names;
use super::model::Model;
use super::places::Places;
use super::plan::{Durations, Plan, class, room};
use super::verify::verify;
use crate::backend::{Executor, Fault, Mode, QueueName, Role, Ticket, Work, cpu, cuda};
use crate::kernels::Activation;
use crate::outputs::{Check, Outputs};
use crate::{Block, Error, Session};

/// Iterations of the warm-up are numbered from here, so that no measured one repeats their inputs.
const WARM_UP: u64 = 1 << 20;

/// A pipeline that is ready to run on the devices of a backend.
pub(crate) struct Pipeline<D: Executor = cpu::Devices> {
    config: Config,
    model: Model,
    layers: Vec<D::Weights>,
    buffers: BTreeMap<Key, D::Buffer>,
    devices: D,
    places: Places,
    names: Names,
    durations: Durations,
    plan: Plan,
    /// Whether the plan was captured as a graph.
    captured: bool,
    outputs: Outputs,
    blocks_done: usize,
}

/// Which operations of a run are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    /// All.
    All,
    /// All where they are recorded, else only those that complete an iteration.
    AsRecorded,
}

/// When everything in a run of a plan happened.
struct Ran {
    start_ns: i64,
    tickets: Vec<Option<Ticket>>,
}

/// Makes a session of a target on the devices that its configuration names.
pub(crate) fn prepare(config: Config) -> Result<Box<dyn Session>, Error> {
    if !config.execution.is_cuda() {
        return Ok(Box::new(Pipeline::new(config)?));
    }
    let Config { stages: hosts, execution, .. } = &config;
    let setup = cuda::Setup {
        gpus: execution.gpus.clone(),
        hosts: *hosts,
        precision: execution.precision,
        room: room(&config),
    };
    let devices = cuda::Devices::start(&setup)?;
    Ok(Box::new(Pipeline::on(devices, config)?))
}

impl Pipeline {
    /// Makes weights and devices: cores of this machine.
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let Config { cores, device_name, arch, link, .. } = config.clone();
        let setup = cpu::Setup { cores, name: device_name, arch, link, room: room(&config) };
        Self::on(cpu::Devices::start(&setup)?, config)
    }
}

impl<D: Executor> Pipeline<D> {
    fn on(mut devices: D, config: Config) -> Result<Self, Error> {
        let (model, places) = (Model::new(&config.widths, config.seed), Places::new(&config));
        let layer = |layer: usize| {
            let mut fill = |input: usize, row: &mut [f32]| model.weights(layer, input, row);
            devices.weights(config.widths[layer], model.bias(layer), &places.slices(layer), &mut fill)
        };
        let layers = (0..config.layers()).map(layer).collect::<Result<_, _>>()?;
        let plan = plan(&config, config.iterations, &Durations::new());
        let names = Names::new(&config, devices.recorder());
        devices.set_recording(config.execution.record);
        Ok(Self {
            model,
            layers,
            buffers: BTreeMap::new(),
            devices,
            places,
            names,
            durations: Durations::new(),
            plan,
            captured: false,
            outputs: Outputs::with_tolerance(config.execution.tolerance()),
            blocks_done: 0,
            config,
        })
    }

    /// Makes every buffer of a plan, and the prompts of its iterations, and all else that a run of it needs.
    fn provide(&mut self, plan: &Plan, first_iteration: u64) -> Result<(), Error> {
        for (&key, &size) in &plan.graph.sizes {
            if !self.buffers.contains_key(&key) {
                let buffer = self.devices.buffer(&self.places.of(key, size))?;
                self.buffers.insert(key, buffer);
            }
            if let Key::Prompt { iteration, micro_batch } = key {
                let (first, width) = (micro_batch * self.config.prefill_rows(), self.config.width());
                self.devices.fill(&self.buffers[&key], &mut |rows| {
                    for (row, values) in rows.chunks_exact_mut(width).enumerate() {
                        self.model.prompt(first_iteration + iteration as u64, first + row, values);
                    }
                })?;
            }
        }
        if D::PREPARES {
            for node in &plan.graph.nodes {
                let work = self.work(node);
                self.devices.prepare(node.queue, &work)?;
            }
            let queues: Vec<QueueName> = plan.graph.nodes.iter().map(|node| node.queue).collect();
            self.devices.reserve(&queues)?;
        }
        Ok(())
    }

    /// Runs a plan and waits until all is done. The times of its operations are known after `settle`.
    fn run(&mut self, plan: &Plan, mode: Mode, times: Times) -> Result<Ran, Error> {
        let ran = self.enqueue(plan, mode, times);
        if ran.is_err() {
            self.devices.abandon();
        }
        ran
    }

    fn enqueue(&mut self, plan: &Plan, mode: Mode, times: Times) -> Result<Ran, Error> {
        let count = plan.graph.nodes.len();
        let mut timed = vec![times == Times::All || self.config.execution.record; count];
        plan.graph.finals.iter().flatten().for_each(|&node| timed[node] = true);
        let (mut ids, mut tickets) = (vec![0; count], vec![None; count]);
        let mut events: Vec<Option<D::Event>> = vec![None; count];
        let start_ns = self.devices.now_ns();
        self.devices.start(mode)?;
        for &index in &plan.order {
            let node = &plan.graph.nodes[index];
            for &before in &plan.waits[index] {
                let forgotten = self.config.faults.forget_wait && plan.graph.nodes[before].phase == Phase::KvTransfer;
                if let Some(event) = events[before].as_ref().filter(|_| !forgotten) {
                    self.devices.wait(node.queue, event)?;
                }
            }
            let data: Vec<i64> = node.data.iter().map(|&before| ids[before]).collect();
            let (work, label) = (self.work(node), self.names.label(&self.config, node, &plan.graph, timed[index]));
            let (id, ticket) = self.devices.launch(node.queue, work, label, &data)?;
            (ids[index], tickets[index]) = (id, Some(ticket));
            if plan.recorded[index] {
                events[index] = Some(self.devices.record(node.queue)?);
            }
            if self.config.style == Style::Baseline {
                self.devices.synchronize(node.queue)?;
            }
        }
        self.devices.synchronize_all()?;
        Ok(Ran { start_ns, tickets })
    }

    /// Captures the plan as a graph where the parameters ask for one, and launches it once: what a first launch costs does
    /// not belong into a block. The plan runs without it before, so that all its kernels are loaded.
    fn capture(&mut self) -> Result<(), Error> {
        if !self.config.execution.graph || self.captured {
            return Ok(());
        }
        let plan = self.plan.clone();
        self.devices.set_recording(false);
        self.provide(&plan, WARM_UP)?;
        for mode in [Mode::Enqueue, Mode::Capture, Mode::Replay] {
            self.run(&plan, mode, Times::AsRecorded)?;
            self.devices.settle()?;
        }
        self.devices.set_recording(self.config.execution.record);
        self.captured = true;
        Ok(())
    }

    fn buffer(&self, key: Key) -> D::Buffer {
        self.buffers[&key].clone()
    }

    fn work(&self, node: &Node) -> Work<D::Buffer, D::Weights> {
        let output = self.buffer(node.write);
        let mut inputs: Vec<D::Buffer> = node.reads.iter().map(|&key| self.buffer(key)).collect();
        match node.kind {
            Kind::Linear { layer, first, columns } => {
                let last = layer + 1 == self.config.layers();
                let activation = if last { Activation::None } else { Activation::Gelu };
                let weights = self.layers[layer].clone();
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

    /// Keeps the outputs of a block.
    fn collect(&mut self) -> Result<(), Error> {
        let (buffers, devices) = (&self.buffers, &mut self.devices);
        let mut read = |keys: Vec<Key>| {
            keys.into_iter().try_fold(Vec::new(), |mut all: Vec<f32>, key| {
                all.extend(devices.fetch(&buffers[&key])?);
                Ok::<_, Error>(all)
            })
        };
        let Config { iterations, microbatches, decode_steps, decode_microbatches, .. } = self.config;
        for iteration in 0..iterations {
            let number = self.blocks_done * iterations + iteration;
            let prefill =
                (0..microbatches).map(|micro_batch| Key::PrefillOut { iteration, micro_batch }).collect::<Vec<_>>();
            self.outputs.insert(number, "prefill", read(prefill)?);
            let parts =
                |step| (0..decode_microbatches).map(move |micro_batch| Key::DecodeOut { iteration, step, micro_batch });
            self.outputs.insert(number, "decode", read((0..decode_steps).flat_map(parts).collect())?);
        }
        Ok(())
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
        self.captured = false;
    }
}

/// Completions and CPU time of a block; `cpu_ns` of each device's compute queue where devices are cores.
fn measure(plan: &Plan, ran: &Ran, cpu_ns: &[i64], cores: bool) -> Block {
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
        if let Some(busy_ns) = busy_ns.get_mut(node.queue.0) {
            *busy_ns += ticket.as_ref().map_or(0, Ticket::duration_ns);
        }
    }
    let ratios = busy_ns.iter().zip(cpu_ns).map(|(busy_ns, cpu_ns)| *busy_ns as f64 / (*cpu_ns).max(1) as f64);
    Block {
        iteration_ns: completions.windows(2).map(|pair| pair[1] - pair[0]).collect(),
        fill_ns: completions.first().map_or(0, |first| first - ran.start_ns),
        cpu_ns: cpu_ns.iter().sum(),
        contention_ratio: if cores { ratios.fold(0.0, f64::max) } else { f64::INFINITY },
    }
}

fn plan(config: &Config, iterations: usize, durations: &Durations) -> Plan {
    match config.style {
        Style::Baseline => Plan::in_program_order(config, iterations),
        Style::Optimized => Plan::new(config, iterations, durations),
    }
}

impl<D: Executor> Session for Pipeline<D> {
    /// In parts no longer than a block, which need no more memory than a block. Only the range is recorded.
    fn warm_up(&mut self, iterations: usize) -> Result<(), Error> {
        let record = self.config.execution.record;
        let range = (iterations > 0 && record).then(|| self.devices.begin("warm_up", iterations));
        self.devices.set_recording(false);
        for first in (0..iterations).step_by(self.config.iterations) {
            let part = self.config.iterations.min(iterations - first);
            let warm = plan(&self.config, part, &self.durations);
            self.provide(&warm, WARM_UP + first as u64)?;
            let ran = self.run(&warm, Mode::Enqueue, Times::All)?;
            self.devices.settle()?;
            self.learn(&warm, &ran);
        }
        if iterations > 0 {
            self.capture()?;
        }
        self.devices.set_recording(record);
        if let Some(range) = range {
            self.devices.end(range);
        }
        Ok(())
    }

    fn run_block(&mut self) -> Result<Block, Error> {
        self.capture()?;
        let plan = self.plan.clone();
        self.provide(&plan, (self.blocks_done * self.config.iterations) as u64)?;
        let mode = if self.captured { Mode::Replay } else { Mode::Enqueue };
        let cpu_before_ns = self.devices.cpu_ns()?;
        let range = self.config.execution.record.then(|| self.devices.begin("block", self.blocks_done));
        let ran = self.run(&plan, mode, Times::AsRecorded)?;
        if let Some(range) = range {
            self.devices.end(range);
        }
        let cpu_after_ns = self.devices.cpu_ns()?;
        self.devices.settle()?;
        let cpu_ns: Vec<i64> = cpu_after_ns.iter().zip(&cpu_before_ns).map(|(after, before)| after - before).collect();
        self.collect()?;
        self.blocks_done += 1;
        Ok(measure(&plan, &ran, &cpu_ns, !self.config.execution.is_cuda()))
    }

    fn verify(&mut self) -> Result<Vec<Check>, Error> {
        Ok(verify(&self.config, &self.model, &self.outputs, self.blocks_done))
    }

    fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    fn modelled(&self) -> Vec<String> {
        if self.config.execution.is_cuda() {
            return Vec::new();
        }
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
