//! The devices of all passes as they were probed, and the roofs of each.

use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::ceilings::{Ceiling, Ceilings, DeviceRoofs};
use super::profiled::{Group, Observed, Profiled, texts};
use super::{Against, specs};
use crate::Error;
use crate::model::{Device, DeviceKey, Model, Rows};

/// What a probe told about a device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    pub(crate) pass: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) arch: Option<String>,
    pub(crate) sm_count: Option<i64>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) clock_hz: Option<i64>,
}

/// The devices of the table `devices`, of every pass, by the number that they have here.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    all: BTreeMap<DeviceKey, Vec<Probe>>,
    /// Devices that have another number here than in their pass: why.
    moved: BTreeMap<DeviceKey, String>,
}

impl Probes {
    /// Reads them.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(crate) fn read(tables: &Tables) -> Result<Self, Error> {
        let frame = tables.get(&tables::DEVICES);
        let rows = Rows::all(frame);
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (passes, names, kinds) = (texts(frame, "pass")?, rows.texts("name")?, rows.texts("kind")?);
        let (archs, sms) = (rows.texts("arch")?, rows.optional_ints("sm_count")?);
        let (memory, clocks) = (rows.optional_ints("memory_bytes")?, rows.optional_ints("clock_hz")?);
        let mut all: BTreeMap<DeviceKey, Vec<Probe>> = BTreeMap::new();
        for at in 0..ranks.len() {
            all.entry((ranks[at], devices[at])).or_default().push(Probe {
                pass: passes.get(at).unwrap_or_default().to_owned(),
                name: names[at].clone().unwrap_or_default(),
                kind: kinds[at].clone().unwrap_or_default(),
                arch: archs[at].clone(),
                sm_count: sms[at],
                memory_bytes: memory[at],
                clock_hz: clocks[at],
            });
        }
        Ok(Self { all, moved: BTreeMap::new() })
    }

    /// A device as one pass tells it.
    fn of(&self, pass: &str, device: DeviceKey) -> Option<&Probe> {
        self.all.get(&device)?.iter().find(|probe| probe.pass == pass)
    }

    /// The architecture of the device of each group.
    pub(crate) fn archs(&self, profiled: &Profiled) -> Vec<Option<String>> {
        let arch = |group: &Group| self.of(&group.pass, group.device)?.arch.clone();
        profiled.groups.iter().map(arch).collect()
    }

    /// The architectures of the devices of the timeline, as far as they are known.
    pub(crate) fn timeline_archs(&self, pass: &str) -> BTreeMap<DeviceKey, String> {
        let arch = |probes: &[Probe]| merged(probes, pass).filter(|probe| probe.pass == pass)?.arch;
        self.all.iter().filter_map(|(key, probes)| Some((*key, arch(probes)?))).collect()
    }

    /// Gives a number of its own to a device that a pass tells under the number of another kind of device: pages of two
    /// machines both begin at 0, and the launches of one must not be held against the roofs of the other.
    pub(crate) fn separate(&mut self, profiled: &mut Profiled) {
        let own = profiled.groups.iter().map(|group| group.device);
        let mut used: BTreeSet<DeviceKey> = own.chain(self.all.keys().copied()).collect();
        for key in used.clone() {
            let groups = || profiled.groups.iter().enumerate().filter(|(_, group)| group.device == key);
            let mut kinds: Vec<(DeviceKey, Probe)> = Vec::new();
            let mut moves: Vec<(usize, DeviceKey)> = Vec::new();
            for (at, group) in groups() {
                let Some(probe) = self.of(&group.pass, key).cloned() else { continue };
                let known = kinds.iter().find(|(_, known)| !is_other(known, &probe)).map(|(number, _)| *number);
                let number = known.unwrap_or_else(|| if kinds.is_empty() { key } else { free(key.0, &used) });
                if known.is_none() {
                    used.insert(number);
                    kinds.push((number, probe));
                }
                if number != key {
                    moves.push((at, number));
                }
            }
            for (at, number) in moves {
                self.renumber(&mut profiled.groups[at], number);
            }
        }
    }

    fn renumber(&mut self, group: &mut Group, number: DeviceKey) {
        let old = std::mem::replace(&mut group.device, number);
        let Some(probes) = self.all.get_mut(&old) else { return };
        let Some(at) = probes.iter().position(|probe| probe.pass == group.pass) else { return };
        let probe = probes.remove(at);
        let note = format!("device {} of pass {} ({}), numbered {} here", old.1, group.pass, probe.name, number.1);
        self.moved.entry(number).and_modify(|known| *known = format!("{known}; {note}")).or_insert(note);
        self.all.entry(number).or_default().push(probe);
    }
}

/// The smallest number that no device of a rank has.
fn free(rank: i64, used: &BTreeSet<DeviceKey>) -> DeviceKey {
    let number = (0..i64::MAX).find(|number| !used.contains(&(rank, *number)));
    (rank, number.unwrap_or(i64::MAX))
}

/// Whether two probes are of different kinds of devices, as far as both tell: architecture or hardware spec.
fn is_other(a: &Probe, b: &Probe) -> bool {
    let specs = || Some((specs::matching(a)?.spec, specs::matching(b)?.spec));
    differs(a.arch.as_deref(), b.arch.as_deref()) || specs().is_some_and(|(a, b)| a.slug != b.slug)
}

/// Whether two architectures, where both are known, are not the same; `gfx90a:sramecc+:xnack-` is a `gfx90a`.
pub(crate) fn differs(a: Option<&str>, b: Option<&str>) -> bool {
    let known = |arch: &str| arch.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = |arch: Option<&str>| arch.map(known).filter(|arch| !arch.is_empty());
    known(a).zip(known(b)).is_some_and(|(a, b)| a != b)
}

/// One probe of a device: that of the timeline pass, with what only another pass tells about a device of the same name.
fn merged(probes: &[Probe], pass: &str) -> Option<Probe> {
    let mut whole = probes.iter().find(|probe| probe.pass == pass).or(probes.first())?.clone();
    for other in probes.iter().filter(|other| other.name == whole.name) {
        whole.arch = whole.arch.or_else(|| other.arch.clone());
        whole.sm_count = whole.sm_count.or(other.sm_count);
        whole.memory_bytes = whole.memory_bytes.or(other.memory_bytes);
        whole.clock_hz = whole.clock_hz.or(other.clock_hz);
    }
    Some(whole)
}

/// The roofs of every device that was declared, worked, or was profiled.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn roofs(
    tables: &Tables,
    probes: &Probes,
    model: &Model,
    profiled: &Profiled,
    against: Against,
) -> Result<BTreeMap<DeviceKey, DeviceRoofs>, Error> {
    let ceilings = Ceilings::read(tables)?;
    let mut keys = model.device_keys();
    if model.activities.is_empty() {
        keys.extend(profiled.groups.iter().map(|group| group.device));
        keys.extend(probes.all.keys());
        keys.sort_unstable();
        keys.dedup();
    }
    let one = |key: DeviceKey| {
        let probe = probes.all.get(&key).and_then(|probes| merged(probes, &model.pass)).unwrap_or_default();
        let device = Device { key, kind: probe.kind.clone(), arch: probe.arch.clone() };
        // Clock and peaks that the page of another kind of device states are not those of this one.
        let is_same = |group: &&Group| probes.of(&group.pass, key).is_none_or(|page| !is_other(page, &probe));
        let groups = || profiled.groups.iter().filter(|group| group.device == key).filter(is_same);
        let matched = specs::matching(&probe);
        let mut more: Vec<Ceiling> = matched.iter().flat_map(specs::datasheet).collect();
        let observed = Observed::merged(groups().map(|group| &group.observed));
        let passes: Vec<&str> = groups().map(|group| group.pass.as_str()).collect();
        let passes = match passes.as_slice() {
            [pass] => (*pass).to_owned(),
            passes => format!("{} passes", passes.len()),
        };
        more.extend(specs::observed(matched.as_ref(), &observed, &passes));
        let mut roofs = ceilings.roofs(&device, more, against);
        roofs.kind.clone_from(&probe.kind);
        roofs.observed_in = groups().map(|group| group.pass.clone()).collect();
        roofs.gpu = matched.as_ref().map(|matched| matched.spec);
        roofs.spec = roofs.gpu.map(|spec| spec.slug.as_str());
        roofs.units = probe.sm_count;
        roofs.observed_clock = observed.clock_hz();
        roofs.notes.extend(matched.and_then(|matched| matched.note));
        roofs.notes.extend(probes.moved.get(&key).cloned());
        roofs
    };
    Ok(keys.into_iter().map(|key| (key, one(key))).collect())
}
