//! Devices, contexts and streams: which number each has in the tables, and what is known of it.
//!
//! A device has the number that CUDA gave it in the process (`deviceId`), unless two processes of the capture gave the
//! same number to different GPUs (`CUDA_VISIBLE_DEVICES`): then every device has the number that nsys gave the GPU.
//! A queue has the number of its stream. CUDA numbers streams process by process, so where a second process has a
//! stream of that number on the same device, its queue is 100,000 higher, a third's 200,000, and so on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use proftool_trace::rows::{Device, Queue};

use super::export::{Export, at};
use super::ids::valid;
use crate::Error;
use crate::raw::Import;

/// Distance between the queue numbers of processes that share a device and a stream number.
const NEXT_PROCESS: i64 = 100_000;

/// What the export says about one GPU.
#[derive(Clone, Debug, Default)]
struct Gpu {
    id: i64,
    /// The number that CUDA gives it, where nothing hides a device.
    cuda: Option<i64>,
    name: Option<String>,
    uuid: Option<String>,
    arch: Option<String>,
    sm_count: Option<i64>,
    memory_bytes: Option<i64>,
    clock_hz: Option<i64>,
    pci_bus_id: Option<String>,
}

/// Resolves devices and queues while rows are read, and gathers those that were used.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    gpus: Vec<Gpu>,
    /// GPU by process and CUDA's number.
    cuda: HashMap<(i64, i64), i64>,
    by_gpu: bool,
    /// CUDA's device number by process and context.
    contexts: HashMap<(i64, i64), i64>,
    priorities: HashMap<(i64, i64), i64>,
    /// How many processes use a stream number on a device, and the queue of each.
    owners: HashMap<(i64, i64), i64>,
    owned: HashMap<(i64, i64, i64), i64>,
    /// Devices that were used, each with its GPU.
    used: BTreeMap<i64, Option<i64>>,
    queues: BTreeMap<(i64, i64), Option<i64>>,
    /// The place resolved last, which the next row most often has too.
    recent: Option<(Origin, Place)>,
}

/// Where a row says that it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) process: i64,
    pub(crate) context: i64,
    pub(crate) device: i64,
    pub(crate) stream: Option<i64>,
}

/// Where that is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) device: i64,
    pub(crate) queue: Option<i64>,
}

impl Devices {
    pub(crate) fn read(export: &dyn Export) -> Result<Self, Error> {
        let mut devices = Self::default();
        devices.read_gpus(export)?;
        devices.read_cuda(export)?;
        devices.read_contexts(export)?;
        devices.read_streams(export)?;
        Ok(devices)
    }

    fn read_gpus(&mut self, export: &dyn Export) -> Result<(), Error> {
        const WANTED: &[&str] = &[
            "id",
            "name",
            "busLocation",
            "totalMemory",
            "clockRate",
            "smCount",
            "uuid",
            "cuDevice",
            "computeMajor",
            "computeMinor",
        ];
        let column = |name| WANTED.iter().position(|other| *other == name).unwrap_or_default();
        export.scan("TARGET_INFO_GPU", WANTED, &mut |row| {
            let text = |name| row.text(column(name)).filter(|text| !text.is_empty()).map(Cow::into_owned);
            let positive = |name| row.int(column(name)).filter(|value| *value > 0);
            let capability = positive("computeMajor").zip(row.int(column("computeMinor")));
            let uuid = text("uuid").map(|uuid| if uuid.starts_with("GPU-") { uuid } else { format!("GPU-{uuid}") });
            self.gpus.push(Gpu {
                id: row.int(column("id")).unwrap_or(self.gpus.len() as i64),
                cuda: valid(row.int(column("cuDevice"))),
                name: text("name"),
                uuid,
                arch: capability.map(|(major, minor)| format!("sm_{major}{minor}")),
                sm_count: positive("smCount"),
                memory_bytes: positive("totalMemory"),
                clock_hz: positive("clockRate"),
                pci_bus_id: text("busLocation"),
            });
            Ok(())
        })
    }

    fn read_cuda(&mut self, export: &dyn Export) -> Result<(), Error> {
        const WANTED: &[&str] = &["gpuId", "cudaId", "pid"];
        const GPU: usize = at(WANTED, "gpuId");
        const CUDA: usize = at(WANTED, "cudaId");
        const PROCESS: usize = at(WANTED, "pid");
        let mut gpu_of = HashMap::new();
        export.scan("TARGET_INFO_CUDA_DEVICE", WANTED, &mut |row| {
            let (Some(gpu), Some(cuda), Some(process)) = (row.int(GPU), row.int(CUDA), row.int(PROCESS)) else {
                return Ok(());
            };
            self.cuda.insert((process, cuda), gpu);
            self.by_gpu |= *gpu_of.entry(cuda).or_insert(gpu) != gpu;
            Ok(())
        })
    }

    /// Newer exports have `..._CONTEXT_INFO`, older ones tell it beside the default stream of each context.
    fn read_contexts(&mut self, export: &dyn Export) -> Result<(), Error> {
        const WANTED: &[&str] = &["processId", "contextId", "deviceId"];
        const PROCESS: usize = at(WANTED, "processId");
        const CONTEXT: usize = at(WANTED, "contextId");
        const DEVICE: usize = at(WANTED, "deviceId");
        for table in ["TARGET_INFO_CUDA_CONTEXT_INFO", "TARGET_INFO_CUDA_NULL_STREAM"] {
            export.scan(table, WANTED, &mut |row| {
                if let (Some(process), Some(context), Some(device)) =
                    (row.int(PROCESS), row.int(CONTEXT), row.int(DEVICE))
                {
                    self.contexts.entry((process, context)).or_insert(device);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read_streams(&mut self, export: &dyn Export) -> Result<(), Error> {
        const WANTED: &[&str] = &["streamId", "processId", "priority"];
        const STREAM: usize = at(WANTED, "streamId");
        const PROCESS: usize = at(WANTED, "processId");
        const PRIORITY: usize = at(WANTED, "priority");
        export.scan("TARGET_INFO_CUDA_STREAM", WANTED, &mut |row| {
            if let (Some(stream), Some(process), Some(priority)) =
                (row.int(STREAM), row.int(PROCESS), row.int(PRIORITY))
            {
                // nsys writes the 32-bit number without its sign.
                self.priorities.insert((process, stream), i64::from(priority as i32));
            }
            Ok(())
        })
    }

    /// The place of a kernel, copy, set or graph. Its row also tells on which device its context lives.
    #[inline]
    pub(crate) fn place(&mut self, origin: Origin) -> Place {
        match self.recent {
            Some((recent, place)) if recent == origin => place,
            _ => self.resolve(origin),
        }
    }

    fn resolve(&mut self, origin: Origin) -> Place {
        self.contexts.entry((origin.process, origin.context)).or_insert(origin.device);
        let device = self.device(origin.process, origin.device);
        let queue = valid(origin.stream).map(|number| self.queue(origin.process, device, number));
        let place = Place { device, queue };
        self.recent = Some((origin, place));
        place
    }

    /// The place of a synchronisation record: its `deviceId` is 0 whatever the context, so the context decides.
    pub(crate) fn sync_place(&mut self, mut origin: Origin) -> Place {
        if let Some(device) = self.contexts.get(&(origin.process, origin.context)) {
            origin.device = *device;
        }
        self.place(origin)
    }

    /// The number of a device, noted as used.
    pub(crate) fn device(&mut self, process: i64, cuda: i64) -> i64 {
        let gpu = self.cuda.get(&(process, cuda)).copied();
        let device = gpu.filter(|_| self.by_gpu).unwrap_or(cuda);
        let known = self.used.entry(device).or_insert(gpu);
        *known = known.or(gpu);
        device
    }

    /// The number of the device that is this GPU to nsys.
    pub(crate) fn of_gpu(&mut self, gpu: i64) -> i64 {
        let stated = self.cuda.iter().filter(|(_, known)| **known == gpu).map(|((_, cuda), _)| *cuda).min();
        let cuda = stated.or_else(|| self.gpus.iter().find(|known| known.id == gpu)?.cuda);
        let device = cuda.filter(|_| !self.by_gpu).unwrap_or(gpu);
        let known = self.used.entry(device).or_insert(Some(gpu));
        *known = known.or(Some(gpu));
        device
    }

    fn queue(&mut self, process: i64, device: i64, stream: i64) -> i64 {
        if let Some(queue) = self.owned.get(&(device, stream, process)) {
            return *queue;
        }
        let owners = self.owners.entry((device, stream)).or_default();
        let queue = stream.saturating_add(*owners * NEXT_PROCESS);
        *owners += 1;
        self.owned.insert((device, stream, process), queue);
        self.queues.entry((device, queue)).or_insert_with(|| self.priorities.get(&(process, stream)).copied());
        queue
    }

    /// The GPU behind a device: as stated for a process, else by CUDA's number, else by nsys' own.
    fn gpu(&self, device: i64, stated: Option<i64>) -> Option<&Gpu> {
        let by_id = |id| self.gpus.iter().find(|gpu| gpu.id == id);
        match stated {
            Some(id) => by_id(id),
            None => self.gpus.iter().find(|gpu| gpu.cuda == Some(device)).or_else(|| by_id(device)),
        }
    }

    /// Writes the devices and queues that were used; where none was, the GPUs that are known.
    pub(crate) fn write(&self, import: &mut Import<'_>) -> Result<(), Error> {
        let known = || self.gpus.iter().map(|gpu| (gpu.cuda.unwrap_or(gpu.id), Some(gpu.id))).collect();
        let devices = if self.used.is_empty() { known() } else { self.used.clone() };
        for device in self.used.keys() {
            import.uses_device(*device);
        }
        for (device, stated) in devices {
            let unknown = Gpu::default();
            let gpu = self.gpu(device, stated).unwrap_or(&unknown);
            import.device(&Device {
                device,
                kind: "cuda",
                name: gpu.name.as_deref().unwrap_or("unknown CUDA device"),
                uuid: gpu.uuid.as_deref(),
                arch: gpu.arch.as_deref(),
                sm_count: gpu.sm_count,
                memory_bytes: gpu.memory_bytes,
                clock_hz: gpu.clock_hz,
                pci_bus_id: gpu.pci_bus_id.as_deref(),
                ..Device::default()
            })?;
        }
        for ((device, queue), priority) in &self.queues {
            import.put(&Queue { device: *device, queue: *queue, role: None, priority: *priority })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    fn on(process: i64, context: i64, device: i64, stream: i64) -> Origin {
        Origin { process, context, device, stream: Some(stream) }
    }

    #[test]
    fn a_device_keeps_the_number_of_cuda_unless_processes_disagree() {
        let mut fake = Fake::default();
        fake.row("TARGET_INFO_CUDA_DEVICE", &[("gpuId", 4.into()), ("cudaId", 0.into()), ("pid", 10.into())]);
        let mut devices = Devices::read(&fake).unwrap();
        assert_eq!(devices.place(on(10, 1, 0, 7)), Place { device: 0, queue: Some(7) });
        assert_eq!(devices.of_gpu(4), 0);
        fake.row("TARGET_INFO_CUDA_DEVICE", &[("gpuId", 5.into()), ("cudaId", 0.into()), ("pid", 11.into())]);
        let mut devices = Devices::read(&fake).unwrap();
        assert_eq!(devices.place(on(10, 1, 0, 7)).device, 4);
        assert_eq!(devices.place(on(11, 1, 0, 7)).device, 5);
        assert_eq!(devices.of_gpu(5), 5);
    }

    #[test]
    fn streams_of_the_same_number_in_two_processes_are_two_queues() {
        let mut devices = Devices::default();
        assert_eq!(devices.place(on(10, 1, 0, 7)).queue, Some(7));
        assert_eq!(devices.place(on(11, 1, 0, 7)).queue, Some(100_007));
        assert_eq!(devices.place(on(11, 1, 1, 7)).queue, Some(7), "another device");
        assert_eq!(devices.place(on(10, 1, 0, 7)).queue, Some(7));
        assert_eq!(devices.place(on(10, 1, 0, 0xffff_ffff)).queue, None);
    }

    #[test]
    fn a_synchronisation_belongs_to_the_device_of_its_context() {
        let mut fake = Fake::default();
        let context =
            [("processId", 10.into()), ("contextId", 2.into()), ("deviceId", 3.into()), ("streamId", 21.into())];
        fake.row("TARGET_INFO_CUDA_NULL_STREAM", &context);
        let mut devices = Devices::read(&fake).unwrap();
        assert_eq!(devices.sync_place(on(10, 2, 0, 21)).device, 3);
        assert_eq!(devices.sync_place(on(10, 9, 0, 21)).device, 0, "an unknown context");
        devices.place(on(10, 5, 6, 30));
        assert_eq!(devices.sync_place(on(10, 5, 0, 0xffff_ffff)), Place { device: 6, queue: None });
    }
}
