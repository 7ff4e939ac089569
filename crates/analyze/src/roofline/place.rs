//! Which counts each launch gets, and the bounds that follow.
//!
//! The first that is known: counters of the launch or of its like, what the target states, the framework operator that
//! launched it, and for copies, sets and collectives the bytes of the trace. Where counters and analytic counts are both
//! known, the counters make the bound and the analytic ones stand beside them; what the counters leave open (bytes of a
//! device without DRAM counters) is filled in.

mod bind;
mod counts;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use proftool_roofline::{Counts, Precision};
use proftool_trace::tables;

use super::devices::{self, Probes};
use super::engine::{Engine, LaunchBound, Placed, Quality};
use super::join::{Found, Pools, Reason, Wanted, join};
use super::key::Key;
use super::links::Links;
use super::operators::{Attribution, attribute};
use super::profiled::Profiled;
use super::timeline::{self, Timeline};
use crate::Error;
use crate::classes::Kind;
use crate::metrics::Input;
use crate::model::{Activity, DeviceKey, Model, Names};
use crate::phases::Phases;
pub(super) use bind::{launch_bound, whole};
use counts::Moved;

/// Formula of what a built-in target states: each operation states its own FLOP and compulsory bytes.
const STATED: &str = "work-1";

/// FLOP, bytes and number of the precision's name, as a target states them.
type Stated = (Option<i64>, Option<i64>, Option<u32>);

/// What a bound depends on: device, counts, link, and whether the observed clock applies.
type Bound = (DeviceKey, u32, Option<u32>, bool);

/// What is needed to place launches.
pub(super) struct Placing<'a> {
    model: &'a Model,
    profiled: Profiled,
    pools: Pools,
    /// Architectures of the timeline's devices.
    archs: BTreeMap<DeviceKey, String>,
    timeline: Timeline,
    collectives: HashMap<u32, f64>,
    engine: Engine,
    /// Counts of activities that state the same.
    stated: HashMap<Stated, Option<u32>>,
    moved: HashMap<(Moved, u64), u32>,
    merged: HashMap<(u32, u32), u32>,
    bounds: HashMap<Bound, [Option<LaunchBound>; 3]>,
    phases: Rc<Phases>,
    operators: Rc<Attribution>,
    /// Counts of each operator's longest kernel and of its other rows.
    operations: HashMap<(bool, u32), u32>,
    /// Why a kernel without counts has none, unless the join knows better.
    no_counts: Reason,
    precisions: HashMap<u32, Option<Precision>>,
    formula: std::sync::Arc<str>,
}

impl<'a> Placing<'a> {
    /// Reads the tables.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub(super) fn read(input: &'a Input<'_>) -> Result<Self, Error> {
        let (model, tables) = (input.model()?, input.tables);
        let mut profiled = Profiled::read(tables)?;
        let has_timeline = !model.activities.is_empty();
        let mut probes = Probes::read(tables)?;
        if !has_timeline {
            probes.separate(&mut profiled);
        }
        let archs = probes.archs(&profiled);
        let pools = Pools::of(&mut profiled, &archs, !has_timeline);
        let roofs = devices::roofs(tables, &probes, model, &profiled, input.against)?;
        let needed = !profiled.launches.is_empty() || model.activities.iter().any(|row| row.kind == Kind::Copy);
        let shapes = &mut profiled.shapes;
        let timeline = if needed { Timeline::read(tables, model, shapes)? } else { Timeline::default() };
        let mut collectives = HashMap::new();
        if tables.get(&tables::COLLECTIVES).height() > 0 {
            let ids = timeline::by_id(model);
            let known = timeline::collectives(tables, model)?;
            collectives = known.into_iter().filter_map(|(id, bytes)| Some((*ids.get(&id)?, bytes))).collect();
        }
        let notes = pools.notes(&profiled);
        let kernel = |name: &u32| Key::of(profiled.names.text(*name)).full;
        let suspicious = profiled.suspicious.iter().map(|(name, worst)| (kernel(name), worst.clone())).collect();
        let links = Links::read(tables)?;
        let engine = Engine { roofs, links, has_timeline, notes, suspicious, ..Engine::default() };
        Ok(Self {
            model,
            profiled,
            pools,
            archs: probes.timeline_archs(&model.pass),
            timeline,
            collectives,
            engine,
            stated: HashMap::new(),
            moved: HashMap::new(),
            merged: HashMap::new(),
            bounds: HashMap::new(),
            precisions: HashMap::new(),
            phases: Phases::of_model(model),
            operators: attribute(tables, model)?,
            operations: HashMap::new(),
            no_counts: if tables.get(&tables::OPERATORS).height() > 0 { Reason::NoShapes } else { Reason::NotProfiled },
            formula: STATED.into(),
        })
    }

    /// Places everything.
    pub(super) fn place(mut self) -> Engine {
        if self.engine.has_timeline {
            self.place_activities();
        } else {
            self.place_launches();
        }
        self.engine
    }

    /// Every activity of the timeline, with the counts of its like.
    fn place_activities(&mut self) {
        let mut joined = self.joined();
        self.engine.counts = std::mem::take(&mut self.profiled.counts);
        let mut phases = HashMap::new();
        let (mut names, pass) = (Renumbered::default(), self.engine.names.intern(&self.model.pass));
        self.engine.placed.reserve(self.model.activities.len());
        let model = self.model;
        for (index, row) in model.activities.iter().enumerate() {
            let mut placed = Placed {
                device: row.device,
                name: names.of(row.name, model, &mut self.engine.names),
                phase: self.phases.of(index).map(|phase| {
                    let text = || self.phases.text(index).unwrap_or_default();
                    *phases.entry(phase).or_insert_with(|| self.engine.names.intern(text()))
                }),
                activity: Some(index as u32),
                pass,
                time_ns: row.span.1.saturating_sub(row.span.0),
                counts: None,
                rates: None,
                analytic: None,
                quality: None,
                reason: None,
                link: None,
                bound: None,
                datasheet: None,
                observed: None,
            };
            match row.kind {
                Kind::Sync => {}
                Kind::Copy | Kind::Set => self.give_moved(&mut placed, row, index),
                Kind::Kernel | Kind::Graph => {
                    let counter =
                        joined.as_mut().map(|joined| std::mem::replace(&mut joined[index], Err(Reason::NotProfiled)));
                    self.give_counted(&mut placed, row, index, counter.unwrap_or(Err(self.no_counts)));
                }
            }
            self.bind(&mut placed);
            self.engine.placed.push(placed);
        }
    }

    /// Counts of profiled launches for each activity; `None` where nothing was profiled.
    fn joined(&mut self) -> Option<Vec<Found>> {
        if self.profiled.launches.is_empty() {
            return None;
        }
        let mut found = vec![Err(Reason::NotProfiled); self.model.activities.len()];
        let own = |pass: &str| pass == self.model.pass;
        let exact = self.profiled.launches.iter().any(|launch| launch.activity.is_some());
        let ids = if exact { timeline::by_id(self.model) } else { HashMap::new() };
        for launch in &self.profiled.launches {
            let group = &self.profiled.groups[launch.group as usize];
            let Some(activity) = launch.activity.filter(|_| own(&group.pass)) else { continue };
            if let Some(index) = ids.get(&(group.device.0, activity)) {
                let counts = launch.counts.map(|counts| (counts, Quality::Launch));
                found[*index as usize] = counts.ok_or(Reason::NoFormula);
            }
        }
        let activities = self.model.activities.iter().enumerate();
        let open = activities.filter(|(index, row)| row.kind == Kind::Kernel && found[*index].is_err());
        let shape = |index: usize| self.timeline.shapes.get(index).copied().unwrap_or_default();
        let mut numbers = HashMap::new();
        let wanted = |(index, row): (usize, &Activity)| Wanted {
            activity: index as u32,
            device: row.device,
            process: row.process,
            name: row.name,
            shape: shape(index),
            phase: self
                .phases
                .of(index)
                .map(|phase| *numbers.entry(phase).or_insert_with(|| self.pools.phase(self.phases.name(phase)))),
        };
        let wanted: Vec<Wanted> = open.map(wanted).collect();
        for (index, counts) in join(&mut self.profiled, &mut self.pools, &self.archs, self.model, &wanted) {
            found[index as usize] = counts;
        }
        self.engine.notes = self.pools.notes(&self.profiled);
        Some(found)
    }

    /// Every profiled launch, timed by the profiler itself.
    fn place_launches(&mut self) {
        self.engine.counts = std::mem::take(&mut self.profiled.counts);
        let launches = self.pools.launches();
        self.engine.placed.reserve(launches.len());
        for at in launches {
            let launch = self.profiled.launches[at as usize];
            let group = &self.profiled.groups[launch.group as usize];
            self.profiled.add_zeros(&launch, &mut self.engine.counts);
            let counts = self.engine.counts(launch.counts);
            let time = counts.and_then(|counts| counts.replay_ns).filter(|ns| *ns > 0.0);
            let known = counts.is_some_and(Counts::is_placed);
            let rates = launch.rates.filter(|_| time.is_none());
            let mut placed = Placed {
                device: group.device,
                name: self.engine.names.intern(self.profiled.names.text(launch.name)),
                phase: None,
                activity: None,
                pass: self.engine.names.intern(&group.pass),
                time_ns: time.map_or(0, whole),
                counts: launch.counts.filter(|_| known),
                rates,
                analytic: None,
                quality: (known || rates.is_some()).then_some(Quality::Launch),
                reason: match (known, time) {
                    (false, _) => Some(Reason::NoFormula),
                    (true, None) => Some(Reason::NoTime),
                    (true, Some(_)) => None,
                },
                link: None,
                bound: None,
                datasheet: None,
                observed: None,
            };
            placed.phase = self.pools.phase_name(at).map(|phase| self.engine.names.intern(phase));
            if time.is_some() || rates.is_some() {
                placed.reason = placed.reason.filter(|_| rates.is_none());
                self.bind(&mut placed);
                if placed.bound.is_none() && self.did_nothing(&placed) {
                    placed.reason = Some(Reason::NoFormula);
                }
            }
            self.engine.placed.push(placed);
        }
    }

    /// Whether all that is known of a launch are operations that it did not do, which no roof can bound.
    fn did_nothing(&self, placed: &Placed) -> bool {
        let counts = self.engine.counts(placed.rates.or(placed.counts));
        counts.is_some_and(|counts| counts.bytes.is_empty() && counts.flop.iter().all(|flop| flop.ops <= 0.0))
    }
}

/// Texts of the model under the engine's numbers.
#[derive(Default)]
struct Renumbered(Vec<Option<u32>>);

impl Renumbered {
    fn of(&mut self, name: u32, model: &Model, names: &mut Names) -> u32 {
        if self.0.len() <= name as usize {
            self.0.resize(name as usize + 1, None);
        }
        *self.0[name as usize].get_or_insert_with(|| names.intern(model.names.text(name)))
    }
}
