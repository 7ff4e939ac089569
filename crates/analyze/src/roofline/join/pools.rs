//! Profiled launches by kernel, shape, device and phase.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Reason;
use super::merge::{Joined, Merging};
use super::notes::joined_notes;
use crate::model::DeviceKey;
use crate::phases;
use crate::roofline::Quality;
use crate::roofline::devices::differs;
use crate::roofline::key::Key;
use crate::roofline::profiled::{Group, Profiled, ShapeId, Shapes};

/// The architecture that counts come from, and another one that they stand for.
pub(super) type Archs = (String, String);

/// Number of a phase's name in [`Pools`].
pub(crate) type PhaseNumber = u32;

/// A device that was profiled, in one or several passes.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) device: DeviceKey,
    pub(super) arch: Option<String>,
}

/// Launches of one source in one phase.
#[derive(Debug)]
pub(super) struct Part {
    /// Index in [`Pools::sources`].
    pub(super) source: u32,
    pub(super) phase: Option<PhaseNumber>,
    /// Indices in [`Profiled::launches`], in the order of the table.
    pub(super) launches: Vec<u32>,
}

/// Profiled launches of one kernel with one grid and block.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) parts: Vec<Part>,
    /// Mean counts of the parts that were asked for.
    pub(super) means: BTreeMap<(Vec<u32>, Option<Archs>), Option<u32>>,
}

/// The profiled kernels that a name can mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    pub(super) kernels: Vec<u32>,
    /// Whether it is the same name, and not one that leaves out a namespace or the template arguments.
    pub(super) exact: bool,
}

/// Profiled launches by kernel and shape.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    keys: Vec<Key>,
    /// Kernels by full name, by name without namespace, and by bare name.
    by_full: HashMap<String, u32>,
    by_local: HashMap<String, Vec<u32>>,
    by_base: HashMap<String, Vec<u32>>,
    /// The shapes of each kernel.
    shapes: Vec<BTreeMap<ShapeId, Pool>>,
    pub(super) sources: Vec<Source>,
    phases: HashMap<String, PhaseNumber>,
    /// The phase of each launch.
    phase_of: Vec<Option<PhaseNumber>>,
    joined: Joined,
    /// Formulas of counts from another kind of device: where from, where to, the formula that the results name, its note.
    pub(super) travelled: Vec<Travelled>,
}

/// A formula whose counts travelled to another kind of device.
#[derive(Debug)]
pub(super) struct Travelled {
    pub(super) formula: Arc<str>,
    pub(super) archs: Archs,
    pub(super) named: Arc<str>,
}

impl Pools {
    /// Sorts every profiled launch by kernel, shape, device and phase; `archs` are those of the groups. Where several
    /// passes profiled the same, they are merged; with `keep_all` no launch is lost.
    pub(crate) fn of(profiled: &mut Profiled, archs: &[Option<String>], keep_all: bool) -> Self {
        let mut pools = Self::default();
        let source_of = pools.read_sources(profiled, archs);
        pools.read_phases(profiled);
        let mut kernel_of: HashMap<u32, u32> = HashMap::new();
        let mut all: Vec<BTreeMap<ShapeId, Vec<u32>>> = Vec::new();
        for (at, launch) in profiled.launches.iter().enumerate() {
            let name = launch.name;
            let kernel = *kernel_of.entry(name).or_insert_with(|| pools.kernel(profiled.names.text(name)));
            all.resize_with(all.len().max(kernel as usize + 1), BTreeMap::new);
            all[kernel as usize].entry(launch.shape).or_default().push(at as u32);
        }
        for (kernel, shapes) in all.into_iter().enumerate() {
            for (shape, launches) in shapes {
                let launches = if profiled.groups.len() > source_of.iter().map(|at| at + 1).max().unwrap_or(0) as usize
                {
                    pools.merge(profiled, &launches, &source_of, keep_all)
                } else {
                    launches
                };
                let pool = pools.pool(profiled, launches, &source_of);
                pools.shapes[kernel].insert(shape, pool);
            }
        }
        pools
    }

    /// The source of each group: passes of one device that no architecture tells apart.
    fn read_sources(&mut self, profiled: &Profiled, archs: &[Option<String>]) -> Vec<u32> {
        let one = |(at, group): (usize, &Group)| {
            let arch = archs.get(at).cloned().flatten();
            let fits =
                |known: &Source| known.device == group.device && !differs(known.arch.as_deref(), arch.as_deref());
            let found = self.sources.iter().position(fits).unwrap_or(self.sources.len());
            match self.sources.get_mut(found) {
                Some(known) => known.arch = known.arch.take().or(arch),
                None => self.sources.push(Source { device: group.device, arch }),
            }
            found as u32
        };
        profiled.groups.iter().enumerate().map(one).collect()
    }

    /// The phase that the page's range of each launch tells.
    fn read_phases(&mut self, profiled: &Profiled) {
        let mut known: HashMap<u32, Option<PhaseNumber>> = HashMap::new();
        let mut phase_of = Vec::with_capacity(profiled.launches.len());
        for launch in &profiled.launches {
            let number = launch.phase.and_then(|text| {
                let told = || phases::of_range(profiled.names.text(text));
                *known.entry(text).or_insert_with(|| told().map(|phase| self.phase(phase.name())))
            });
            phase_of.push(number);
        }
        self.phase_of = phase_of;
    }

    /// The number of a phase's name.
    pub(crate) fn phase(&mut self, name: &str) -> PhaseNumber {
        if let Some(known) = self.phases.get(name) {
            return *known;
        }
        let number = self.phases.len() as PhaseNumber;
        self.phases.insert(name.to_owned(), number);
        number
    }

    /// The name of the phase of a profiled launch.
    pub(crate) fn phase_name(&self, launch: u32) -> Option<&str> {
        let number = self.phase_of.get(launch as usize).copied().flatten()?;
        self.phases.iter().find(|known| *known.1 == number).map(|known| known.0.as_str())
    }

    /// Merges the passes of each source.
    fn merge(&mut self, profiled: &mut Profiled, launches: &[u32], source_of: &[u32], keep_all: bool) -> Vec<u32> {
        let mut passes: BTreeMap<u32, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
        for launch in launches {
            let group = profiled.launches[*launch as usize].group;
            passes.entry(source_of[group as usize]).or_default().entry(group).or_default().push(*launch);
        }
        let (joined, phases) = (&mut self.joined, self.phase_of.as_mut_slice());
        let mut merging = Merging { profiled, joined, phases, keep_all };
        passes.into_values().flat_map(|passes| merging.merge(passes.into_values().collect())).collect()
    }

    fn pool(&self, profiled: &Profiled, launches: Vec<u32>, source_of: &[u32]) -> Pool {
        let mut parts: BTreeMap<(u32, Option<PhaseNumber>), Vec<u32>> = BTreeMap::new();
        for launch in launches {
            let source = source_of[profiled.launches[launch as usize].group as usize];
            parts.entry((source, self.phase_of[launch as usize])).or_default().push(launch);
        }
        let part = |((source, phase), mut launches): (_, Vec<u32>)| {
            launches.sort_unstable();
            Part { source, phase, launches }
        };
        Pool { parts: parts.into_iter().map(part).collect(), means: BTreeMap::new() }
    }

    /// The launches that stay, in the order of the table.
    pub(crate) fn launches(&self) -> Vec<u32> {
        let pools = self.shapes.iter().flat_map(BTreeMap::values);
        let mut launches: Vec<u32> =
            pools.flat_map(|pool| &pool.parts).flat_map(|part| part.launches.iter().copied()).collect();
        launches.sort_unstable();
        launches
    }

    /// What the reader must know about each formula.
    pub(crate) fn notes(&self, profiled: &Profiled) -> Vec<(Arc<str>, Vec<String>)> {
        let own = profiled.groups.iter().filter_map(|group| Some((group.formulas.id()?.clone(), group.notes.clone())));
        let joined = self.joined.texts().map(|text| (text.clone(), joined_notes(profiled, text)));
        let travelled = self.travelled.iter().map(|one| {
            let (from, to) = &one.archs;
            let mut notes = joined_notes(profiled, &one.formula);
            notes.push(format!("profiled on {from}, ran on {to}: FLOP travel, bytes do not"));
            (one.named.clone(), notes)
        });
        own.chain(joined).chain(travelled).collect()
    }

    /// The formula under which counts of one kind of device stand for another kind.
    pub(super) fn travel(&mut self, formula: &Arc<str>, from: &str, to: &str) -> Arc<str> {
        let is = |known: &&Travelled| {
            known.formula == *formula && (known.archs.0.as_str(), known.archs.1.as_str()) == (from, to)
        };
        if let Some(known) = self.travelled.iter().find(is) {
            return known.named.clone();
        }
        let named: Arc<str> = format!("{formula}@{from}").into();
        let archs = (from.to_owned(), to.to_owned());
        self.travelled.push(Travelled { formula: formula.clone(), archs, named: named.clone() });
        named
    }

    /// The pool of a kernel and shape.
    pub(super) fn get(&mut self, (kernel, shape): (u32, ShapeId)) -> Option<&mut Pool> {
        self.shapes.get_mut(kernel as usize)?.get_mut(&shape)
    }

    fn kernel(&mut self, name: &str) -> u32 {
        let key = Key::of(name);
        if let Some(known) = self.by_full.get(&key.full) {
            return *known;
        }
        let number = self.keys.len() as u32;
        self.by_full.insert(key.full.clone(), number);
        self.by_local.entry(key.local().to_owned()).or_default().push(number);
        self.by_base.entry(key.base().to_owned()).or_default().push(number);
        self.keys.push(key);
        self.shapes.push(BTreeMap::new());
        number
    }

    /// The profiled kernels that a name can mean: the same name; or the same as far as both tell, where one tool leaves
    /// out the namespace or the template arguments.
    pub(super) fn candidates(&self, name: &str) -> Candidates {
        let key = Key::of(name);
        if let Some(known) = self.by_full.get(&key.full) {
            return Candidates { kernels: vec![*known], exact: true };
        }
        let fits = |kernel: &&u32| {
            let other = &self.keys[**kernel as usize];
            let names = !key.has_namespace() || !other.has_namespace();
            let same_namespace = || {
                key.full[..key.full.len() - key.local().len()] == other.full[..other.full.len() - other.local().len()]
            };
            let arguments = !key.has_arguments() || !other.has_arguments() || key.local() == other.local();
            (names || same_namespace()) && arguments
        };
        let of = |found: Option<&Vec<u32>>| -> Vec<u32> { found.into_iter().flatten().filter(fits).copied().collect() };
        let local = of(self.by_local.get(key.local()));
        let kernels = if local.is_empty() { of(self.by_base.get(key.base())) } else { local };
        Candidates { kernels, exact: false }
    }

    /// The kernel and shape that speak for launches of that shape.
    pub(super) fn choose(
        &self,
        kernels: &[u32],
        shape: ShapeId,
        shapes: &Shapes,
    ) -> Result<((u32, ShapeId), Quality), Reason> {
        if kernels.is_empty() {
            return Err(Reason::NotProfiled);
        }
        let has = |kernel: &&u32| self.shapes[**kernel as usize].contains_key(&shape);
        let of_shape: Vec<u32> = kernels.iter().filter(has).copied().collect();
        match of_shape.as_slice() {
            [one] if shapes.is_known(shape) => return Ok(((*one, shape), Quality::Shape)),
            [] | [_] => {}
            _ => return Err(Reason::Ambiguous),
        }
        // Without grids to compare, the kernel must have run in one way only.
        let mut all =
            kernels.iter().flat_map(|kernel| self.shapes[*kernel as usize].keys().map(move |own| (*kernel, *own)));
        let (kernel, own) = all.next().ok_or(Reason::NotProfiled)?;
        let single = all.next().is_none();
        if shapes.is_known(shape) && shapes.is_known(own) {
            return Err(Reason::OtherShape);
        }
        if !single {
            return Err(if kernels.len() > 1 { Reason::Ambiguous } else { Reason::OtherShape });
        }
        Ok(((kernel, own), Quality::Name))
    }
}
