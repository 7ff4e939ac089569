//! Pages with one launch a row: the raw page, and pivots of long pages.

use std::collections::HashMap;

use proftool_trace::rows::Counter;

use super::cells::{Cell, Step, cell};
use super::header::Wide;
use super::metrics::Metric;
use super::special::Special;
use super::state::{State, Stop};
use super::unit::Unit;
use crate::Error;
use crate::raw::Import;

/// Reads the rows below one header.
#[derive(Debug)]
pub(super) struct WidePage {
    columns: Wide,
    slots: Vec<Slot>,
    /// Base unit of each column.
    units: Vec<Option<String>>,
    units_asked: bool,
    /// Columns that hold the metric of a column before them, and that column.
    duplicates: Vec<(usize, usize)>,
    special: Special,
    values: Vec<(usize, f64)>,
}

/// What reading a cell needs to know of its column.
#[derive(Clone, Copy, Debug)]
struct Slot {
    metric: bool,
    power: i32,
    number: Option<i64>,
}

/// What the bytes at the beginning of the window are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A record of so many bytes.
    Record(usize),
    /// The window ends inside the record.
    More,
    /// The file ends inside it: in a quoted cell, or after too few cells.
    Cut,
    /// Something other than a delimiter follows a closing quote.
    Misquoted,
}

impl WidePage {
    pub(super) fn new(columns: Wide) -> Self {
        let names = &columns.metrics;
        let slots = names.iter().map(|name| Slot { metric: name.is_some(), power: 0, number: None }).collect();
        let mut first = HashMap::new();
        let mut duplicates = Vec::new();
        for (column, name) in names.iter().enumerate().filter_map(|(column, name)| Some((column, name.as_deref()?))) {
            let before = *first.entry(name).or_insert(column);
            if before != column {
                duplicates.push((column, before));
            }
        }
        let (units, special) = (vec![None; names.len()], Special::find(names));
        Self { slots, units, units_asked: false, duplicates, special, values: Vec::new(), columns }
    }

    /// Whether the row below the header is still to come, which may be one of units.
    pub(super) fn wants_units(&self) -> bool {
        !self.units_asked
    }

    /// Takes the row of units, if that is what the row below the header is: it names no launch. A page without one was
    /// written by something else than ncu.
    pub(super) fn take_units(&mut self, cells: &[Cell<'_>], line: u64, state: &mut State) -> bool {
        self.units_asked = true;
        let unnamed =
            |column: Option<usize>| column.and_then(|column| cells.get(column)).is_none_or(|cell| cell.raw.is_empty());
        let identity = &self.columns.identity;
        if self.columns.pivot || !unnamed(identity.id) || !unnamed(identity.name) {
            state.tally.no_units.add(|| format!("line {line}"));
            return false;
        }
        for (column, cell) in cells.iter().enumerate().take(self.slots.len()) {
            let unit = Unit::base(&cell.text());
            self.slots[column].power = unit.power;
            self.units[column] = unit.name;
        }
        true
    }

    /// Takes the record at the beginning of `bytes`.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        last: bool,
        line: u64,
        state: &mut State,
        import: &mut Import<'_>,
    ) -> Result<Taken, Stop> {
        self.values.clear();
        let mut others = Vec::new();
        let (mut at, mut column, mut ended) = (0, 0, false);
        while !ended {
            if let Some(slot) = self.slots.get(column).filter(|slot| slot.metric)
                && let Some((value, length)) = state.numbers.quick(&bytes[at..], slot.power)
            {
                self.values.push((column, value));
                at += length;
            } else {
                match cell(&bytes[at..], last) {
                    Step::Cell(cell, length, ends) => {
                        // Its value is read when the whole row is known to be there; until then it keeps its place.
                        others.push((column, cell, self.values.len()));
                        self.values.push((column, f64::NAN));
                        at += length;
                        ended = ends;
                    }
                    Step::More => return Ok(Taken::More),
                    Step::OpenQuote => return Ok(Taken::Cut),
                    Step::Misquoted => return Ok(Taken::Misquoted),
                }
            }
            column += 1;
        }
        let width = self.slots.len();
        // A row without an end of line is the file's last; one that ends with a comma lacks at least that cell.
        if !bytes[..at].ends_with(b"\n") && (column < width || bytes[..at].ends_with(b",")) {
            return Ok(Taken::Cut);
        }
        state.tally.records += 1;
        if column < width || others.iter().any(|(column, cell, _)| *column >= width && !cell.raw.is_empty()) {
            state.bad_record(import, line, &format!("{column} cells, where the header has {width}"));
        } else {
            self.finish(&others, line, state, import)?;
        }
        Ok(Taken::Record(at))
    }

    /// Reads what was not quickly read, and puts the launch and its values.
    fn finish(
        &mut self,
        others: &[(usize, Cell<'_>, usize)],
        line: u64,
        state: &mut State,
        import: &mut Import<'_>,
    ) -> Result<(), Stop> {
        for (column, cell, place) in others {
            let Some(slot) = self.slots.get(*column).filter(|slot| slot.metric) else { continue };
            if Some(*column) != self.special.display_name {
                let name = || format!("line {line}, {}", self.name(*column));
                let value = state.value(*cell, slot.power, import, name)?;
                self.values[*place].1 = value.unwrap_or(f64::NAN);
            }
        }
        self.values.retain(|(_, value)| !value.is_nan());
        if !self.duplicates.is_empty() {
            self.drop_duplicates(line, state);
        }
        let text = |column: usize| others.iter().find(|(other, ..)| *other == column).map(|(_, cell, _)| *cell);
        let identity = &self.columns.identity;
        let mut launch = state.identify(identity, line, text);
        self.special.complete(&mut launch, identity.device.is_some(), &self.values);
        state.devices.add(launch.device, || {
            let owned = |column: Option<usize>| column.and_then(text).map(|cell| cell.text().into_owned());
            let stated = |column| owned(column).filter(|text| !text.is_empty());
            self.special.device(stated(self.special.display_name), stated(identity.compute_capability), &self.values)
        });
        if let Some(sms) = self.special.launch_sms(&self.values) {
            state.devices.launch_sms(launch.device, sms);
        }
        let launch = state.launches.add(&launch, import)?;
        self.put(launch, state, import)?;
        Ok(())
    }

    fn put(&mut self, launch: i64, state: &mut State, import: &mut Import<'_>) -> Result<(), Error> {
        for (column, value) in self.values.iter().copied() {
            let def = if let Some(number) = self.slots[column].number {
                number
            } else {
                let (name, unit) = (self.name(column).to_owned(), self.units[column].clone());
                let number = state.metrics.number(&Metric { name, unit, formula: None }, import)?;
                *self.slots[column].number.insert(number)
            };
            import.put(&Counter { launch, def, value: Some(value) })?;
        }
        Ok(())
    }

    /// Leaves one value of each metric.
    fn drop_duplicates(&mut self, line: u64, state: &mut State) {
        for (column, before) in &self.duplicates {
            let find = |column| self.values.binary_search_by_key(&column, |(other, _)| *other);
            let (Ok(index), Ok(kept)) = (find(*column), find(*before)) else { continue };
            let ((_, value), (_, first)) = (self.values.remove(index), self.values[kept]);
            let place = || format!("line {line}, {} is {first} and {value}", self.name(*column));
            let same = first.to_bits() == value.to_bits();
            if same { state.tally.repeated.add(place) } else { state.tally.conflicting.add(place) }
        }
    }

    fn name(&self, column: usize) -> &str {
        self.columns.metrics[column].as_deref().unwrap_or_default()
    }
}
