//! Profiled launches: the rows of `launches` with their counters turned into counts.
//!
//! A page can hold fifty million values, so that `counters` is streamed: its rows come launch by launch, and one array
//! with a slot for each counter that a formula reads is all that is kept. A table in another order is read again in
//! parts, each with an array for every launch of the part.

mod formulas;
mod observed;
mod shape;
mod stream;
mod zeros;

use std::collections::HashMap;

use polars::prelude::{DataFrame, StringChunked};
use proftool_roofline::Counts;
use proftool_roofline::counters::{Formulas, Suspicion};
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use crate::Error;
use crate::model::{DeviceKey, Names, Rows};
use formulas::{Slots, arch, formulas};
pub(crate) use observed::Observed;
use shape::dimensions;
pub(crate) use shape::{Shape, ShapeId, Shapes};
use stream::{Lookup, stream};
use zeros::Zeros;

/// Values that the second way of reading holds at a time: 256 MiB.
const CELLS: usize = 1 << 25;

/// A row of `launches`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    /// Index in [`Profiled::groups`].
    pub(crate) group: u32,
    id: i64,
    /// The activity of the same pass that it is, where the tool has a timeline.
    pub(crate) activity: Option<i64>,
    /// Number of its name in [`Profiled::names`].
    pub(crate) name: u32,
    /// Number of its grid and block in [`Profiled::shapes`].
    pub(crate) shape: ShapeId,
    /// Number of its phase's name in [`Profiled::names`].
    pub(crate) phase: Option<u32>,
    /// Index in [`Profiled::counts`]; `None` where no formula could read its counters.
    pub(crate) counts: Option<u32>,
    /// Index in [`Profiled::counts`] of what it did a second, where the page states rates and no duration.
    pub(crate) rates: Option<u32>,
    /// Number of the types in [`Profiled::zeros`] that were counted as zero, of a page without a timeline.
    zeros: Option<u32>,
}

/// The launches of one pass, rank and device: one tool version and one architecture.
#[derive(Debug)]
pub(crate) struct Group {
    /// Name of the pass.
    pub(crate) pass: String,
    /// Rank and device.
    pub(crate) device: DeviceKey,
    /// What the reader must know about the formulas.
    pub(crate) notes: Vec<String>,
    pub(crate) formulas: Formulas,
    slots: Slots,
    /// Clocks and peaks that the page states.
    pub(crate) observed: Observed,
}

/// Every profiled launch.
#[derive(Debug, Default)]
pub(crate) struct Profiled {
    /// In the order of the table.
    pub(crate) launches: Vec<Launch>,
    /// By pass, rank and device.
    pub(crate) groups: Vec<Group>,
    /// What the launches did.
    pub(crate) counts: Vec<Counts>,
    /// Kernels, phases.
    pub(crate) names: Names,
    /// Grids and blocks.
    pub(crate) shapes: Shapes,
    /// Types that were counted as zero, where there is no timeline: counts that travel to one leave open what they do
    /// not know, so that analytic counts can fill it in.
    zeros: Option<Zeros>,
    /// The worst suspicious values of each kernel, by number of its name.
    pub(crate) suspicious: HashMap<u32, Vec<Suspicion>>,
}

impl Profiled {
    /// Reads the launches and their counters.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table, or the file of the counters is damaged.
    pub(crate) fn read(tables: &Tables) -> Result<Self, Error> {
        let mut profiled = Self::default();
        if tables.get(&tables::LAUNCHES).height() == 0 {
            return Ok(profiled);
        }
        profiled.zeros = (tables.get(&tables::ACTIVITIES).height() == 0).then(Zeros::default);
        profiled.read_launches(tables)?;
        if profiled.groups.iter().any(|group| group.formulas.slots() > 0) {
            let rows = Lookup::new(&profiled);
            if !profiled.read_in_order(tables, &rows)? {
                profiled.read_scattered(tables, &rows)?;
            }
        }
        Ok(profiled)
    }

    fn read_launches(&mut self, tables: &Tables) -> Result<(), Error> {
        let frame = tables.get(&tables::LAUNCHES);
        let rows = Rows::all(frame);
        let (ranks, ids, devices) = (rows.ints("rank")?, rows.ints("launch")?, rows.ints("device")?);
        let activities = rows.optional_ints("activity")?;
        let (grids, blocks) = (dimensions(frame, "grid")?, dimensions(frame, "block")?);
        let (passes, names, phases) = (texts(frame, "pass")?, texts(frame, "name")?, texts(frame, "phase")?);
        let mut passes = passes.iter();
        let (mut names, mut phases) = (names.iter(), phases.iter());
        self.launches.reserve(ids.len());
        let mut last = None::<(&str, DeviceKey, u32)>;
        for at in 0..ids.len() {
            let pass = passes.next().flatten().unwrap_or_default();
            let device = (ranks[at], devices[at]);
            let group = match last.filter(|known| (known.0, known.1) == (pass, device)) {
                Some((_, _, group)) => group,
                None => self.group(tables, pass, device)?,
            };
            last = Some((pass, device, group));
            let name = self.names.intern(names.next().flatten().unwrap_or_default());
            let phase = phases.next().flatten().map(|phase| self.names.intern(phase));
            let shape = self.shapes.number(Shape { grid: grids[at], block: blocks[at] });
            let launch = Launch {
                group,
                id: ids[at],
                activity: activities[at],
                name,
                shape,
                phase,
                counts: None,
                rates: None,
                zeros: None,
            };
            self.launches.push(launch);
        }
        Ok(())
    }

    /// The group of that pass and device, made where it is new.
    fn group(&mut self, tables: &Tables, pass: &str, device: DeviceKey) -> Result<u32, Error> {
        if let Some(at) = self.groups.iter().position(|group| group.pass == pass && group.device == device) {
            return Ok(at as u32);
        }
        let arch = arch(tables, pass, device)?;
        let (formulas, slots) = formulas(tables, pass, device.0, arch.as_deref())?;
        let notes = formulas.notes().iter().map(|note| note.detail.clone()).collect();
        let observed = Observed::default();
        self.groups.push(Group { pass: pass.to_owned(), device, notes, formulas, slots, observed });
        Ok(self.groups.len() as u32 - 1)
    }

    /// Takes the values of one launch.
    fn finish(&mut self, launch: usize, values: &[f64]) {
        let row = &mut self.launches[launch];
        let group = &mut self.groups[row.group as usize];
        let values = &values[..group.formulas.slots()];
        let mut counted = group.formulas.counts(values);
        row.zeros = self.zeros.as_mut().and_then(|zeros| zeros.find(row.group, &group.formulas, values, &mut counted));
        group.observed.add(&counted);
        if !counted.suspicious.is_empty() {
            let known = self.suspicious.entry(row.name).or_default();
            proftool_roofline::counters::gather(known, counted.suspicious);
        }
        if let Some(rates) = counted.rates {
            row.rates = Some(self.counts.len() as u32);
            self.counts.push(rates);
        }
        let counts = counted.counts;
        if counts.is_placed() || counts.replay_ns.is_some() || counts.instructions.is_some() {
            row.counts = Some(self.counts.len() as u32);
            self.counts.push(counts);
        }
    }

    /// Adds to the counts of a launch, now in `counts`, the types that were counted as zero.
    pub(crate) fn add_zeros(&self, launch: &Launch, counts: &mut [Counts]) {
        let Some((zeros, number)) = self.zeros.as_ref().zip(launch.zeros) else { return };
        if let Some(own) = launch.counts.and_then(|at| counts.get_mut(at as usize)) {
            zeros::add(own, zeros.list(number), &self.groups[launch.group as usize].formulas);
        }
    }

    /// Reads counters that come launch by launch; `false` where they do not, and then no launch has counts.
    fn read_in_order(&mut self, tables: &Tables, rows: &Lookup) -> Result<bool, Error> {
        let width = self.groups.iter().map(|group| group.formulas.slots()).max().unwrap_or(0);
        let (mut values, mut done) = (vec![f64::NAN; width], vec![false; self.launches.len()]);
        let (mut current, mut in_order) = (None::<usize>, true);
        stream(tables, rows, &mut |launch, def, value| {
            if current != Some(launch) {
                if let Some(finished) = current.replace(launch) {
                    done[finished] = true;
                    self.finish(finished, &values);
                }
                in_order &= !done[launch];
                values.fill(f64::NAN);
            }
            let group = self.launches[launch].group as usize;
            if let Some(slot) = self.groups[group].slots.of(def) {
                values[slot] = value;
            }
            in_order
        })?;
        if let (Some(last), true) = (current, in_order) {
            self.finish(last, &values);
        }
        if !in_order {
            self.counts.clear();
            self.suspicious.clear();
            self.launches.iter_mut().for_each(|launch| (launch.counts, launch.rates) = (None, None));
            self.groups.iter_mut().for_each(|group| group.observed = Observed::default());
        }
        Ok(in_order)
    }

    /// Reads counters in any order, as many launches at a time as memory allows.
    fn read_scattered(&mut self, tables: &Tables, rows: &Lookup) -> Result<(), Error> {
        let width = self.groups.iter().map(|group| group.formulas.slots()).max().unwrap_or(0).max(1);
        let part = (CELLS / width).max(1);
        for first in (0..self.launches.len()).step_by(part) {
            let count = part.min(self.launches.len() - first);
            let (mut values, mut seen) = (vec![f64::NAN; count * width], vec![false; count]);
            stream(tables, rows, &mut |launch, def, value| {
                let Some(at) = launch.checked_sub(first).filter(|at| *at < count) else { return true };
                seen[at] = true;
                let group = self.launches[launch].group as usize;
                if let Some(slot) = self.groups[group].slots.of(def) {
                    values[at * width + slot] = value;
                }
                true
            })?;
            for at in (0..count).filter(|at| seen[*at]) {
                self.finish(first + at, &values[at * width..(at + 1) * width]);
            }
        }
        Ok(())
    }
}

/// A column of texts.
pub(crate) fn texts<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a StringChunked, Error> {
    frame.column(name).and_then(|column| column.str()).map_err(|error| {
        let (table, reason) = ("launches".to_owned(), error.to_string());
        proftool_trace::Error::Schema {
            table,
            path: None,
            reason,
            hint: "build the frame with the table's own columns",
        }
        .into()
    })
}
