//! Brings the counts of profiled launches to the launches of a timeline that another tool recorded.
//!
//! Only counts travel, never a rate or a time: the profiler replays kernels at its own clock. To another kind of device
//! only FLOP do. A launch is found by its kernel's name ([`super::key::Key`]), grid, block and phase; where one process of
//! the timeline holds as many of them on the profiled device as were profiled, the n-th is taken for the n-th, else all
//! get the mean.

mod merge;
mod notes;
mod pools;
mod reason;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use proftool_roofline::Counts;

use super::Quality;
use super::devices::differs;
use super::profiled::{Profiled, ShapeId};
use crate::model::{DeviceKey, Model};
use merge::mean;
use pools::{Archs, Candidates, Pool, Source};
pub(crate) use pools::{PhaseNumber, Pools};
pub(crate) use reason::Reason;

/// A kernel of the timeline that looks for counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Index of the activity.
    pub(crate) activity: u32,
    /// Rank and device.
    pub(crate) device: DeviceKey,
    /// Operating-system process.
    pub(crate) process: Option<i64>,
    /// Number of its name.
    pub(crate) name: u32,
    /// Number of its grid and block.
    pub(crate) shape: ShapeId,
    /// Its phase, by [`Pools::phase`].
    pub(crate) phase: Option<PhaseNumber>,
}

/// Counts for one activity, or why there are none.
pub(crate) type Found = Result<(u32, Quality), Reason>;

/// Finds counts for each of `wanted`; means are added to the counts of `profiled`. `archs` are those of the devices of the
/// timeline, as far as they are known.
pub(crate) fn join(
    profiled: &mut Profiled,
    pools: &mut Pools,
    archs: &BTreeMap<DeviceKey, String>,
    model: &Model,
    wanted: &[Wanted],
) -> Vec<(u32, Found)> {
    let mut candidates: HashMap<u32, Rc<Candidates>> = HashMap::new();
    let mut same: HashMap<(DeviceKey, u32, ShapeId), Vec<u32>> = HashMap::new();
    for (at, row) in wanted.iter().enumerate() {
        same.entry((row.device, row.name, row.shape)).or_default().push(at as u32);
    }
    let found = Vec::with_capacity(wanted.len());
    let mut joining = Joining { profiled, pools, archs, tiers: HashMap::new(), pass: &model.pass, found };
    for ((device, name, shape), rows) in same {
        let known =
            candidates.entry(name).or_insert_with(|| joining.pools.candidates(model.names.text(name)).into()).clone();
        joining.resolve(&known, device, shape, &rows.iter().map(|at| &wanted[*at as usize]).collect::<Vec<_>>());
    }
    joining.found
}

/// Devices that were profiled and may speak for a device of the timeline.
#[derive(Debug)]
struct Tier {
    /// Indices of [`Pools::sources`], sorted.
    sources: Vec<u32>,
    /// Whether they are the very device.
    own: bool,
    archs: Option<Archs>,
}

/// Parts of a pool that speak for launches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    /// Indices of the parts.
    parts: Vec<u32>,
    /// Whether they are of the very device.
    own: bool,
    /// The architectures, where they are of another kind of device.
    archs: Option<Archs>,
}

struct Joining<'a> {
    profiled: &'a mut Profiled,
    pools: &'a mut Pools,
    archs: &'a BTreeMap<DeviceKey, String>,
    tiers: HashMap<DeviceKey, Rc<[Tier]>>,
    /// The timeline's pass.
    pass: &'a str,
    found: Vec<(u32, Found)>,
}

impl Joining<'_> {
    /// Counts for equal launches of one device: same name, grid and block.
    fn resolve(&mut self, known: &Candidates, device: DeviceKey, shape: ShapeId, rows: &[&Wanted]) {
        let (at, quality) = match self.pools.choose(&known.kernels, shape, &self.profiled.shapes) {
            Ok(chosen) => chosen,
            Err(reason) => return self.found.extend(rows.iter().map(|row| (row.activity, Err(reason)))),
        };
        let has_phases = rows.iter().any(|row| row.phase.is_some());
        let one_process = rows.windows(2).all(|pair| pair[0].process == pair[1].process);
        let in_turn = known.exact && one_process && quality == Quality::Shape;
        let mut phases: BTreeMap<Option<PhaseNumber>, Vec<u32>> = BTreeMap::new();
        for row in rows {
            phases.entry(row.phase).or_default().push(row.activity);
        }
        let mut chosen: BTreeMap<Choice, Vec<u32>> = BTreeMap::new();
        for (phase, activities) in phases {
            match self.choice(at, device, phase, has_phases) {
                Ok(choice) => chosen.entry(choice).or_default().extend(activities),
                Err(reason) => self.found.extend(activities.into_iter().map(|activity| (activity, Err(reason)))),
            }
        }
        for (choice, mut activities) in chosen {
            // Back in the order of time.
            activities.sort_unstable();
            if !(in_turn && choice.own && self.give_each(at, &choice, &activities)) {
                let mean = self.mean(at, &choice).map(|mean| (mean, quality));
                self.found.extend(activities.into_iter().map(|activity| (activity, mean)));
            }
        }
    }

    /// The parts for launches of a phase: those of the device, else of its kind, else of any; the first that tell anything.
    fn choice(
        &mut self,
        at: (u32, ShapeId),
        device: DeviceKey,
        phase: Option<PhaseNumber>,
        has_phases: bool,
    ) -> Result<Choice, Reason> {
        let tiers = self.tiers(device);
        let profiled = &*self.profiled;
        let pool = self.pools.get(at).ok_or(Reason::OtherShape)?;
        let mut reason = None;
        for tier in tiers.iter() {
            let Some(parts) = parts(pool, &tier.sources, phase, has_phases) else { continue };
            match parts.and_then(|parts| useful(profiled, pool, &parts, tier.archs.is_some()).map(|()| parts)) {
                Ok(parts) => return Ok(Choice { parts, own: tier.own, archs: tier.archs.clone() }),
                Err(other) => reason = reason.or(Some(other)),
            }
        }
        Err(reason.unwrap_or(Reason::OtherShape))
    }

    /// The sources that may speak for a device, from the best on.
    fn tiers(&mut self, device: DeviceKey) -> Rc<[Tier]> {
        let (sources, archs) = (&self.pools.sources, self.archs);
        let find = || {
            let arch = archs.get(&device).map(String::as_str);
            let is_kin = |source: &Source| !differs(source.arch.as_deref(), arch);
            let of = |fits: &dyn Fn(&Source) -> bool| -> Vec<u32> {
                (0..).zip(sources).filter(|(_, source)| fits(source)).map(|(at, _)| at).collect()
            };
            let own = of(&|source| source.device == device && is_kin(source));
            let foreign = (0..).zip(sources).filter(|(_, source)| !is_kin(source)).map(|(at, source)| {
                let archs = source.arch.clone().zip(arch.map(str::to_owned));
                Tier { sources: vec![at], own: false, archs }
            });
            let near =
                [Tier { sources: own, own: true, archs: None }, Tier { sources: of(&is_kin), own: false, archs: None }];
            near.into_iter().chain(foreign).collect()
        };
        self.tiers.entry(device).or_insert_with(find).clone()
    }

    /// The n-th profiled launch for the n-th activity, where there are as many.
    fn give_each(&mut self, at: (u32, ShapeId), choice: &Choice, activities: &[u32]) -> bool {
        let Some(pool) = self.pools.get(at) else { return false };
        let launches = launches(pool, &choice.parts);
        // What the tool itself ties to an activity has given its counts already.
        let is_tied = |launch: &u32| {
            let row = &self.profiled.launches[*launch as usize];
            row.activity.is_some() && self.profiled.groups[row.group as usize].pass == self.pass
        };
        if launches.len() != activities.len() || launches.iter().any(is_tied) {
            return false;
        }
        for (activity, launch) in activities.iter().zip(launches) {
            let launch = &self.profiled.launches[launch as usize];
            let none = if launch.rates.is_some() { Reason::OnlyRates } else { Reason::NoFormula };
            self.found.push((*activity, launch.counts.map(|counts| (counts, Quality::Launch)).ok_or(none)));
        }
        true
    }

    /// The mean of the parts; of another kind of device its FLOP only.
    fn mean(&mut self, at: (u32, ShapeId), choice: &Choice) -> Result<u32, Reason> {
        let key = (choice.parts.clone(), choice.archs.clone());
        let pool = self.pools.get(at).ok_or(Reason::OtherShape)?;
        if let Some(known) = pool.means.get(&key) {
            return known.ok_or(Reason::NoFormula);
        }
        let launches = launches(pool, &choice.parts);
        let mut number = add_mean(self.profiled, &launches);
        if let (Some(mean), Some((from, to))) = (number, &choice.archs) {
            let counts = &self.profiled.counts[mean as usize];
            let travelled = Counts {
                flop: counts.flop.clone(),
                flop_known: counts.flop_known,
                formula: counts.formula.as_ref().map(|formula| self.pools.travel(formula, from, to)),
                flop_source: counts.flop_source,
                ..Counts::default()
            };
            self.profiled.counts.push(travelled);
            number = Some(self.profiled.counts.len() as u32 - 1);
        }
        if let Some(pool) = self.pools.get(at) {
            pool.means.insert(key, number);
        }
        number.ok_or(Reason::NoFormula)
    }
}

/// The parts of those sources for launches of a phase: of the same phase, else those whose phase nobody told. For
/// launches without a phase those without one, where the timeline tells phases of their like, else all. `None` where the
/// sources have no part.
fn parts(
    pool: &Pool,
    sources: &[u32],
    phase: Option<PhaseNumber>,
    has_phases: bool,
) -> Option<Result<Vec<u32>, Reason>> {
    let all: Vec<u32> = (0..pool.parts.len() as u32)
        .filter(|part| sources.binary_search(&pool.parts[*part as usize].source).is_ok())
        .collect();
    if all.is_empty() {
        return None;
    }
    let of =
        |phase| -> Vec<u32> { all.iter().filter(|part| pool.parts[**part as usize].phase == phase).copied().collect() };
    let (same, untold) = (of(phase), of(None));
    Some(match phase {
        _ if !same.is_empty() && (phase.is_some() || has_phases) => Ok(same),
        None => Ok(all),
        Some(_) if !untold.is_empty() => Ok(untold),
        Some(_) => Err(Reason::OtherPhase),
    })
}

/// Whether parts have counts that can stand for a launch, or why not.
fn useful(profiled: &Profiled, pool: &Pool, parts: &[u32], foreign: bool) -> Result<(), Reason> {
    let rows = || {
        let launches = parts.iter().flat_map(|part| &pool.parts[*part as usize].launches);
        launches.map(|launch| &profiled.launches[*launch as usize])
    };
    let mut counts = rows().filter_map(|row| profiled.counts.get(row.counts? as usize));
    let travels = |counts: &Counts| if foreign { counts.flop_sum().is_some() } else { counts.is_placed() };
    if counts.any(travels) {
        return Ok(());
    }
    let mut counts = rows().filter_map(|row| profiled.counts.get(row.counts? as usize));
    Err(if foreign && counts.any(Counts::is_placed) {
        Reason::OtherDevice
    } else if rows().any(|row| row.rates.is_some()) {
        Reason::OnlyRates
    } else {
        Reason::NoFormula
    })
}

/// The launches of parts, in the order of the table.
fn launches(pool: &Pool, parts: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = parts.iter().flat_map(|part| pool.parts[*part as usize].launches.iter().copied()).collect();
    all.sort_unstable();
    all
}

/// The mean counts of launches.
fn add_mean(profiled: &mut Profiled, launches: &[u32]) -> Option<u32> {
    let all: Vec<u32> = launches.iter().filter_map(|launch| profiled.launches[*launch as usize].counts).collect();
    let mean = match all.as_slice() {
        [] => return None,
        [one] => return Some(*one),
        _ => mean(&all.iter().map(|at| &profiled.counts[*at as usize]).collect::<Vec<_>>()),
    };
    profiled.counts.push(mean);
    Some(profiled.counts.len() as u32 - 1)
}
