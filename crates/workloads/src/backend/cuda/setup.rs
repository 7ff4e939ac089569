//! Opening the GPUs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proftool_tracer::{ABSENT, Capacity, Head, Recorder};

use super::gpu::GpuState;
use super::{CallNames, Devices, Mode, Queue};
use crate::Error;
use crate::backend::cpu::{ROLES, Room};
use crate::backend::{QueueName, Role};
use crate::cuda::Gpu;
use crate::cuda::context::Context;
use crate::cuda::lt;
use crate::cuda::memory::Memory;
use crate::cuda::numbers::Precision;
use crate::cuda::stream::Stream;

/// How to set the streams up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The GPUs: host `h` uses number `h mod GPUs` of them. Those beyond the number of hosts are not opened.
    pub(crate) gpus: Vec<Gpu>,
    /// Hosts of stages.
    pub(crate) hosts: usize,
    /// What values are kept as.
    pub(crate) precision: Precision,
    /// What will be recorded, at most.
    pub(crate) room: Room,
}

impl Devices {
    /// Opens the GPUs and makes the streams of every host.
    pub(crate) fn start(setup: &Setup) -> Result<Self, Error> {
        let contexts = setup.gpus.iter().take(setup.hosts).map(Context::open).collect::<Result<Vec<_>, _>>()?;
        for (one, other) in contexts.iter().flat_map(|one| contexts.iter().map(move |other| (one, other))) {
            if !Arc::ptr_eq(one, other) {
                one.reach(other)?;
            }
        }
        let mut queues: BTreeMap<QueueName, Queue> = BTreeMap::new();
        for host in 0..setup.hosts {
            let gpu = host % contexts.len();
            for (index, role) in ROLES.into_iter().enumerate() {
                let stream = Stream::new(&contexts[gpu])?;
                let workspace = (role == Role::Compute)
                    .then(|| Memory::new(&contexts[gpu], lt::workspace_bytes(contexts[gpu].gpu.compute_capability)))
                    .transpose()?;
                let number = (host / contexts.len() * ROLES.len() + index) as i64;
                queues.insert((host, role), Queue { gpu, number, stream, workspace });
            }
        }
        let open = |context| GpuState::open(context, setup.precision);
        let gpus = contexts.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let recorder = Recorder::new(head(setup, &queues)).with_nvtx();
        let Room { operations, dependencies, calls, ranges } = &setup.room;
        let capacity = Capacity {
            operations: operations.values().sum(),
            dependencies: *dependencies,
            calls: *calls,
            // Each block's anchor has one of every GPU.
            ranges: ranges * (1 + gpus.len()),
        };
        let host = recorder.thread(0, capacity);
        Ok(Self {
            graph: None,
            queues,
            matrices: BTreeMap::new(),
            gemms: BTreeMap::new(),
            gpus,
            precision: setup.precision,
            mode: Mode::Enqueue,
            graph_call: ABSENT,
            pending: Vec::new(),
            waits: BTreeMap::new(),
            last: BTreeMap::new(),
            host,
            recording: true,
            names: CallNames::new(&recorder),
            recorder,
        })
    }
}

impl CallNames {
    fn new(recorder: &Recorder) -> Self {
        Self {
            matmul: recorder.intern("cublasLtMatmul"),
            kernel: recorder.intern("cuLaunchKernel"),
            copy: recorder.intern("cuMemcpyDtoDAsync_v2"),
            copy_2d: recorder.intern("cuMemcpy2DAsync_v2"),
            copy_peer: recorder.intern("cuMemcpyPeerAsync"),
            record: recorder.intern("cuEventRecord"),
            wait: recorder.intern("cuStreamWaitEvent"),
            synchronize: recorder.intern("cuStreamSynchronize"),
            graph: recorder.intern("cuGraphLaunch"),
        }
    }
}

fn head(setup: &Setup, queues: &BTreeMap<QueueName, Queue>) -> Head {
    let device = |(number, gpu): (usize, &Gpu)| proftool_tracer::Device {
        device: number as i64,
        kind: "cuda".to_owned(),
        name: gpu.name.clone(),
        arch: gpu.arch(),
        cores: gpu.sm_count,
        memory_bytes: Some(gpu.memory_bytes),
        clock_hz: gpu.clock_hz,
        uuid: Some(gpu.uuid.clone()),
        pci_bus_id: Some(gpu.pci_bus_id.clone()),
        numa_node: None,
    };
    let queue = |((_, role), queue): (&QueueName, &Queue)| proftool_tracer::Queue {
        device: queue.gpu as i64,
        queue: queue.number,
        role: role.name().to_owned(),
        priority: 0,
    };
    // Links are left out: what they carry is not known here, only measured (`proftool ceilings`).
    Head {
        devices: setup.gpus.iter().enumerate().take(setup.hosts).map(device).collect(),
        queues: queues.iter().map(queue).collect(),
        ..Head::default()
    }
}
