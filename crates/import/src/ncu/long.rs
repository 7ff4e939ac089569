//! Pages with one metric a row: details, sections, `--metrics` on standard output.

use std::collections::HashMap;

use super::cells::Cell;
use super::header::Long;
use super::metrics::Metric;
use super::state::{State, Stop};
use super::unit::Unit;
use crate::raw::Import;
use proftool_trace::rows::Counter;

/// Reads the rows below one header.
#[derive(Debug)]
pub(super) struct LongPage {
    columns: Long,
    /// Columns before this one identify the launch, and all that do stand there.
    lead: usize,
    /// The bytes that identify the launch of the row before, its number and device.
    current: Option<(Vec<u8>, i64, i64)>,
    /// Metrics by what the page prints of them.
    known: HashMap<Vec<u8>, Known>,
    key: Vec<u8>,
    /// The last launch and value of each metric.
    given: Vec<Option<(i64, f64)>>,
}

#[derive(Debug)]
struct Known {
    metric: Metric,
    power: i32,
    number: Option<i64>,
    /// Whether it is how many SMs the launch could use.
    sms: bool,
}

impl LongPage {
    pub(super) fn new(columns: Long) -> Self {
        let data =
            [columns.section, columns.label, Some(columns.metric), columns.unit, Some(columns.value), columns.rule];
        let lead = data.into_iter().flatten().min().unwrap_or(0);
        let Long { identity, .. } = &columns;
        let of_launch = [identity.id, identity.process, identity.name, identity.block, identity.grid, identity.device];
        let all_before =
            of_launch.into_iter().flatten().chain(identity.nvtx.iter().copied()).all(|column| column < lead);
        let lead = if all_before { lead } else { 0 };
        Self { columns, lead, current: None, known: HashMap::new(), key: Vec::new(), given: Vec::new() }
    }

    /// The fewest cells of a row. Rows of metrics end after the value (and a comma): the columns of rules behind it are
    /// filled only in rows of rules, so a row of 16 cells below a header of 20 is whole.
    pub(super) fn fewest(&self) -> usize {
        let Long { section, label, metric, unit, value, .. } = self.columns;
        [section, label, Some(metric), unit, Some(value)].into_iter().flatten().max().unwrap_or(0) + 1
    }

    /// Takes one row.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        cells: &[Cell<'_>],
        line: u64,
        state: &mut State,
        import: &mut Import<'_>,
    ) -> Result<(), Stop> {
        let cell = |column: Option<usize>| column.and_then(|column| cells.get(column));
        if cells.len() < self.fewest() {
            let reason = format!("{} cells, where a metric takes {}", cells.len(), self.fewest());
            state.bad_record(import, line, &reason);
            return Ok(());
        }
        if cells[self.columns.metric].raw.is_empty() {
            if let Some(rule) = cell(self.columns.rule).filter(|rule| !rule.raw.is_empty()) {
                state.tally.rules.add(|| format!("line {line}, {}", rule.text()));
            }
            return Ok(());
        }
        let (launch, device) = self.launch(bytes, cells, line, state, import)?;
        let value_column = self.columns.value;
        let known = self.metric(cells);
        let name = || format!("line {line}, {}", known.metric.name);
        let Some(value) = state.value(cells[value_column], known.power, import, name)? else { return Ok(()) };
        if known.sms {
            state.devices.launch_sms(device, value);
        }
        let def = match known.number {
            Some(number) => number,
            None => *known.number.insert(state.metrics.number(&known.metric, import)?),
        };
        let Ok(index) = usize::try_from(def) else { return Ok(()) };
        if self.given.len() <= index {
            self.given.resize(index + 1, None);
        }
        match self.given[index] {
            Some((other, before)) if other == launch => {
                let place = || format!("line {line}, {before} and {value}");
                let same = before.to_bits() == value.to_bits();
                if same { state.tally.repeated.add(place) } else { state.tally.conflicting.add(place) }
            }
            _ => {
                self.given[index] = Some((launch, value));
                import.put(&Counter { launch, def, value: Some(value) })?;
            }
        }
        Ok(())
    }

    /// The number of the row's launch, and its device. Rows of one launch follow each other and begin with the same bytes.
    fn launch(
        &mut self,
        bytes: &[u8],
        cells: &[Cell<'_>],
        line: u64,
        state: &mut State,
        import: &mut Import<'_>,
    ) -> Result<(i64, i64), Stop> {
        let length = if self.lead == 0 { 0 } else { cells[self.lead].raw.as_ptr().addr() - bytes.as_ptr().addr() };
        let start = &bytes[..length];
        let same = |(before, ..): &&(Vec<u8>, i64, i64)| !start.is_empty() && before == start;
        if let Some((_, launch, device)) = self.current.as_ref().filter(same) {
            return Ok((*launch, *device));
        }
        let launch = state.identify(&self.columns.identity, line, |column| cells.get(column).copied());
        let capability = self.columns.identity.compute_capability.and_then(|column| cells.get(column).copied());
        let number = match state.launches.find(&launch) {
            Some(number) => number,
            None => state.launch(&launch, capability, import)?,
        };
        let (before, current, device) = self.current.get_or_insert_default();
        before.clear();
        before.extend_from_slice(start);
        (*current, *device) = (number, launch.device);
        Ok((number, launch.device))
    }

    /// The metric of the row.
    fn metric(&mut self, cells: &[Cell<'_>]) -> &mut Known {
        let Long { section, label, metric, unit, .. } = self.columns;
        let columns = [section, label, Some(metric), unit];
        self.key.clear();
        for column in columns {
            self.key.extend_from_slice(column.map_or(b"", |column| cells[column].raw));
            self.key.push(b'\n');
        }
        if !self.known.contains_key(&self.key) {
            let text = |column: Option<usize>| column.map(|column| cells[column].text()).unwrap_or_default();
            let unit = Unit::base(&text(unit));
            let metric = Metric::of_section(&text(Some(metric)), &unit, &text(section), &text(label));
            let sms = ["# SMs", "launch__sm_count"].contains(&metric.name.as_str());
            self.known.insert(self.key.clone(), Known { metric, power: unit.power, number: None, sms });
        }
        self.known.get_mut(&self.key).unwrap_or_else(|| unreachable!("it was inserted above"))
    }
}
