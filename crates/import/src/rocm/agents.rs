//! Agents, as ROCm calls processors and GPUs, and the devices that they become.

use std::collections::BTreeSet;

use proftool_trace::rows::{Device, Queue};

use super::fields;
use crate::Error;
use crate::raw::Import;
use crate::raw::json::{Cursor, Fault, Kind};

/// What an agent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Type {
    Cpu,
    Gpu,
    #[default]
    Other,
}

/// One processor or GPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agent {
    /// What records call it.
    pub(crate) handle: i64,
    pub(crate) kind: Type,
    /// Number in the kernel driver's topology, which counts processors too.
    pub(crate) node: Option<i64>,
    /// Number among the GPUs: the canonical device.
    pub(crate) device: Option<i64>,
    /// The instruction set, `gfx950`.
    pub(crate) arch: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    uuid: Option<String>,
    units: Option<i64>,
    memory_bytes: Option<i64>,
    clock_hz: Option<i64>,
    pci: (Option<i64>, Option<i64>),
    /// Nodes that it has a link to.
    links: Vec<i64>,
}

impl Agent {
    /// Reads what the tool's JSON (and the column `extdata` of rocpd) says of an agent.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let mut agent = Self::default();
        agent.update(cursor)?;
        Ok(agent)
    }

    /// As [`Agent::read`], over what is known already.
    ///
    /// # Errors
    /// When it is no JSON.
    pub(crate) fn update(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let mut gpu = None;
        fields::object(cursor, |key, cursor| {
            match key {
                b"id" => self.handle = fields::handle(cursor)?.unwrap_or_default(),
                b"type" => gpu = fields::int(cursor)?,
                b"node_id" => self.node = fields::int(cursor)?,
                b"logical_node_type_id" => self.device = fields::int(cursor)?.filter(|number| *number >= 0),
                b"name" => self.arch = fields::text(cursor)?,
                b"product_name" => self.name = fields::text(cursor)?,
                b"cu_count" => self.units = fields::int(cursor)?.filter(|count| *count > 0),
                b"max_engine_clk_fcompute" => {
                    self.clock_hz =
                        fields::int(cursor)?.and_then(|mhz| mhz.checked_mul(1_000_000)).filter(|hz| *hz > 0);
                }
                b"domain" => self.pci.0 = fields::int(cursor)?,
                b"location_id" => self.pci.1 = fields::int(cursor)?.filter(|place| *place > 0),
                b"uuid" => self.uuid = uuid(cursor)?,
                b"mem_banks" => self.memory_bytes = memory(cursor)?,
                b"io_links" => self.links = fields::list(cursor, |cursor| fields::member(cursor, b"node_to"))?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match gpu {
            Some(1) => self.kind = Type::Cpu,
            Some(2) => self.kind = Type::Gpu,
            _ => {}
        }
        Ok(())
    }

    fn bus_id(&self) -> Option<String> {
        let place = self.pci.1?;
        let (bus, slot, function) = (place >> 8 & 0xff, place >> 3 & 0x1f, place & 7);
        Some(format!("{:04x}:{bus:02x}:{slot:02x}.{function:x}", self.pci.0.unwrap_or(0)))
    }
}

/// The identifier that `rocminfo` prints: a 64-bit number whose bytes stand there in little-endian order.
fn uuid(cursor: &mut Cursor<'_>) -> Result<Option<String>, Fault> {
    if cursor.kind()? == Kind::Text {
        return Ok(fields::text(cursor)?.map(String::from));
    }
    let mut bytes = Vec::new();
    fields::object(cursor, |key, cursor| {
        match (key, cursor.kind()?) {
            (b"bytes", Kind::Array) => bytes = fields::list(cursor, fields::int)?,
            (b"bytes", Kind::Object) => cursor.members(|_, cursor| {
                bytes.extend(fields::int(cursor)?);
                Ok(())
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let word = bytes.iter().take(8).rev().fold(0_u64, |word, byte| word << 8 | (*byte as u64 & 0xff));
    Ok((bytes.len() >= 8 && word > 0).then(|| format!("GPU-{word:016x}")))
}

/// Bytes of the banks that are memory of the GPU: heaps 1 (visible to the host) and 2 (private).
fn memory(cursor: &mut Cursor<'_>) -> Result<Option<i64>, Fault> {
    let mut sum = 0_i64;
    cursor.items(|cursor| {
        let (mut heap, mut size) = (None, None);
        fields::object(cursor, |key, cursor| {
            match key {
                b"heap_type" => heap = fields::int(cursor)?,
                b"size_in_bytes" => size = fields::int(cursor)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if matches!(heap, Some(1 | 2)) {
            sum = sum.saturating_add(size.unwrap_or(0).max(0));
        }
        Ok(())
    })?;
    Ok((sum > 0).then_some(sum))
}

/// The agents of one process (or of one machine).
#[derive(Clone, Debug, Default)]
pub(crate) struct Agents {
    list: Vec<Agent>,
    last: usize,
}

impl Agents {
    /// Numbers the GPUs that have no number by their nodes.
    pub(crate) fn new(mut list: Vec<Agent>) -> Self {
        list.sort_by_key(|agent| agent.node);
        let mut next = 0;
        for agent in list.iter_mut().filter(|agent| agent.kind == Type::Gpu) {
            let device = *agent.device.get_or_insert(next);
            next = next.max(device.saturating_add(1));
        }
        Self { list, last: 0 }
    }

    /// The agent with that handle. Records of one agent follow each other, so the last is tried first.
    #[inline]
    pub(crate) fn get(&mut self, handle: i64) -> Option<&Agent> {
        if self.list.get(self.last).is_none_or(|agent| agent.handle != handle) {
            self.last = self.list.iter().position(|agent| agent.handle == handle)?;
        }
        self.list.get(self.last)
    }

    /// The device of a GPU with that handle.
    #[inline]
    pub(crate) fn device(&mut self, handle: Option<i64>) -> Option<i64> {
        self.get(handle?).filter(|agent| agent.kind == Type::Gpu)?.device
    }

    /// Moves the numbers of the devices, where the agents of several machines become devices of one capture.
    pub(crate) fn shift(&mut self, by: i64) {
        for agent in &mut self.list {
            agent.device = agent.device.map(|device| device.saturating_add(by));
        }
    }

    /// One above the largest number of a device.
    pub(crate) fn end(&self) -> i64 {
        self.list.iter().filter_map(|agent| agent.device).max().map_or(0, |device| device.saturating_add(1))
    }

    /// Puts the devices in `used`, or all of them where none is, and were not put before.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub(crate) fn put(&self, used: &Used, done: &mut BTreeSet<i64>, import: &mut Import<'_>) -> Result<(), Error> {
        let gpus = self.list.iter().filter(|agent| agent.kind == Type::Gpu);
        for agent in gpus {
            let Some(device) = agent.device else { continue };
            if !(used.devices.is_empty() || used.devices.contains(&device)) || !done.insert(device) {
                continue;
            }
            let processor =
                |node: &&i64| self.list.iter().any(|agent| agent.kind == Type::Cpu && agent.node == Some(**node));
            let (bus_id, arch) = (agent.bus_id(), agent.arch.as_deref());
            import.device(&Device {
                device,
                kind: "hip",
                name: agent.name.as_deref().or(arch).unwrap_or("AMD GPU"),
                uuid: agent.uuid.as_deref(),
                arch,
                sm_count: agent.units,
                memory_bytes: agent.memory_bytes,
                clock_hz: agent.clock_hz,
                pci_bus_id: bus_id.as_deref(),
                numa_node: agent.links.iter().find(processor).copied(),
                ..Device::default()
            })?;
        }
        Ok(())
    }
}

/// The devices and queues that any row is about.
#[derive(Debug, Default)]
pub(crate) struct Used {
    devices: BTreeSet<i64>,
    queues: BTreeSet<(i64, i64)>,
    last: Option<(i64, Option<i64>)>,
}

impl Used {
    /// Notes a row's device and queue.
    #[inline]
    pub(crate) fn note(&mut self, device: i64, queue: Option<i64>) {
        if self.last != Some((device, queue)) {
            self.last = Some((device, queue));
            self.devices.insert(device);
            self.queues.extend(queue.map(|queue| (device, queue)));
        }
    }

    /// Puts the queues.
    ///
    /// # Errors
    /// When a row cannot be written.
    pub(crate) fn put_queues(&self, import: &mut Import<'_>) -> Result<(), Error> {
        self.queues.iter().try_for_each(|(device, queue)| {
            import.put(&Queue { device: *device, queue: *queue, role: None, priority: None })
        })
    }
}

/// Kind of a copy and the device that the row belongs to, from the ends of the copy: the GPU of the two, and of two GPUs
/// the one that is read. `None` for a copy between hosts, which occupies no device.
pub(crate) fn copy(source: Option<i64>, target: Option<i64>) -> Option<(&'static str, i64)> {
    match (source, target) {
        (None, Some(target)) => Some(("h2d", target)),
        (Some(source), None) => Some(("d2h", source)),
        (Some(source), Some(target)) => Some((if source == target { "d2d" } else { "p2p" }, source)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(json: &str) -> Agent {
        Agent::read(&mut Cursor::new(json.as_bytes())).unwrap()
    }

    #[test]
    fn an_agent_is_read_with_its_units_converted() {
        let gpu = agent(
            r#"{"id":{"handle":7},"type":2,"node_id":9,"logical_node_type_id":7,"name":"gfx950","cu_count":256,
                "max_engine_clk_fcompute":2200,"location_id":29952,"domain":0,"product_name":"AMD Instinct MI350X",
                "uuid":{"bytes":{"value0":203,"value1":20,"value2":23,"value3":176,"value4":50,"value5":70,"value6":245,
                "value7":79,"value8":0}},"mem_banks":[{"heap_type":1,"size_in_bytes":309220868096}],
                "io_links":[{"node_to":1},{"node_to":2}]}"#,
        );
        assert_eq!((gpu.handle, gpu.kind, gpu.device, gpu.units), (7, Type::Gpu, Some(7), Some(256)));
        assert_eq!((gpu.clock_hz, gpu.memory_bytes), (Some(2_200_000_000), Some(309_220_868_096)));
        assert_eq!(gpu.uuid.as_deref(), Some("GPU-4ff54632b01714cb"));
        assert_eq!(gpu.bus_id().as_deref(), Some("0000:75:00.0"));
        assert_eq!(gpu.links, [1, 2]);
    }

    #[test]
    fn gpus_without_a_number_are_numbered_by_their_nodes() {
        let list =
            [r#"{"id":{"handle":3},"type":2,"node_id":5}"#, r#"{"id":2,"type":2,"node_id":4}"#, r#"{"id":1,"type":1}"#];
        let mut agents = Agents::new(list.map(agent).to_vec());
        assert_eq!([3, 2, 1, 9].map(|handle| agents.device(Some(handle))), [Some(1), Some(0), None, None]);
        assert_eq!(agents.end(), 2);
    }

    #[test]
    fn a_copy_belongs_to_the_gpu_that_it_touches() {
        assert_eq!(copy(None, Some(1)), Some(("h2d", 1)));
        assert_eq!(copy(Some(1), None), Some(("d2h", 1)));
        assert_eq!(copy(Some(1), Some(1)), Some(("d2d", 1)));
        assert_eq!(copy(Some(1), Some(2)), Some(("p2p", 1)));
        assert_eq!(copy(None, None), None);
    }
}
