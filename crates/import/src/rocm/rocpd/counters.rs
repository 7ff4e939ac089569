//! Counters of kernels, and what is sampled over time.

use std::collections::HashMap;

use proftool_trace::rows::{Counter, Launch, Sample};

use super::info::Info;
use super::shape::Part;
use super::{State, quoted};
use crate::Error;
use crate::rocm::ids::take;
use crate::rocm::names::{ByNumber, Counts};
use crate::rocm::size_text;

/// A kernel that may have counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) activity: i64,
    pub(super) device: i64,
    pub(super) kernel: i64,
    pub(super) index: i64,
    pub(super) grid: [Option<i64>; 3],
    pub(super) block: [Option<i64>; 3],
}

/// The kernels of a part by their events; kept only where the part has counters.
#[derive(Default)]
pub(super) struct Kernels {
    wanted: bool,
    counts: Counts,
    by_event: HashMap<i64, Counted>,
}

impl Kernels {
    /// None yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) fn wanted(part: &Part<'_>) -> Result<Self, Error> {
        let mut kernels = Self::default();
        if let Some(table) = part.table("pmc_event") {
            let sql = format!("SELECT 1 FROM {} LIMIT 1", quoted(&table));
            part.database.each(&table, &sql, |_| {
                kernels.wanted = true;
                Ok(())
            })?;
        }
        Ok(kernels)
    }

    pub(super) fn add(&mut self, event: i64, name: &str, counted: Counted) {
        if self.wanted {
            let index = self.counts.next(name);
            self.by_event.insert(event, Counted { index, ..counted });
        }
    }
}

/// What one counter is.
struct Pmc {
    def: i64,
    agent: Option<i64>,
}

/// Puts the counters of the part.
///
/// # Errors
/// When the database cannot be read or a row cannot be written.
pub(super) fn put(part: &Part<'_>, info: &mut Info, kernels: &Kernels, state: &mut State<'_, '_>) -> Result<(), Error> {
    let Some(events) = part.table("pmc_event").filter(|_| kernels.wanted) else { return Ok(()) };
    let known = definitions(part, state)?;
    // Since 3.0.3 the table holds streamed counters too, which name a sample.
    let streams = part.database.has_column(&events, "sample_id");
    let only = if streams { " WHERE sample_id IS NULL" } else { "" };
    let table = quoted(&events);
    // The values of one event and counter are those of the instances of a hardware block, and add up.
    let sql =
        format!("SELECT event_id, pmc_id, sum(value) FROM {table}{only} GROUP BY event_id, pmc_id ORDER BY event_id");
    let mut current = None;
    part.database.each(&events, &sql, |row| {
        let (Some(event), Some(pmc)) = (row.int(0), row.int(1).and_then(|pmc| known.get(pmc))) else { return Ok(()) };
        let Some(kernel) = kernels.by_event.get(&event) else { return Ok(()) };
        let launch = match current {
            Some((other, launch)) if other == event => launch,
            _ => begin(kernel, info, state)?,
        };
        current = Some((event, launch));
        state.import.put(&Counter { launch, def: pmc.def, value: row.float(2) })
    })?;
    let Some(samples) = part.table("sample").filter(|table| part.database.has_column(table, "timestamp")) else {
        return Ok(());
    };
    // Two joins rather than one with OR: SQLite makes an index for an equality only.
    let of =
        |on: &str| format!("SELECT S.timestamp, P.pmc_id, P.value FROM {table} P JOIN {} S ON {on}", quoted(&samples));
    let sql = if streams {
        let by_event = of("S.event_id = P.event_id WHERE P.sample_id IS NULL");
        format!("{} UNION ALL {by_event}", of("S.id = P.sample_id"))
    } else {
        of("S.event_id = P.event_id")
    };
    part.database.each(&samples, &sql, |row| {
        let (Some(time), Some(pmc)) = (row.int(0), row.int(1).and_then(|pmc| known.get(pmc))) else { return Ok(()) };
        let Some(device) = info.agents.device(pmc.agent) else { return Ok(()) };
        let start_ns = time.saturating_sub(*state.start.get_or_insert(time));
        let row = Sample { device, def: pmc.def, start_ns, end_ns: start_ns, value: row.float(2) };
        state.import.sample(&row, || format!("table {samples}, time {time}"))
    })
}

fn begin(kernel: &Counted, info: &Info, state: &mut State<'_, '_>) -> Result<i64, Error> {
    let launch = take(&mut state.ids.launch);
    let (grid, block) = (size_text(kernel.grid), size_text(kernel.block));
    state.import.put(&Launch {
        launch,
        activity: Some(kernel.activity),
        device: kernel.device,
        name: &info.symbols.name(kernel.kernel),
        launch_index: kernel.index,
        grid: grid.as_deref(),
        block: block.as_deref(),
        phase: None,
    })?;
    Ok(launch)
}

/// The counters of the part. One name is one definition: the table has a row for each agent.
fn definitions(part: &Part<'_>, state: &mut State<'_, '_>) -> Result<ByNumber<Pmc>, Error> {
    let mut list = Vec::new();
    let Some(query) = part.plain("info_pmc", &["id", "name", "symbol", "units", "agent_id"]) else {
        return Ok(ByNumber::default());
    };
    // Thousands are described where a few were taken.
    let used = part
        .table("pmc_event")
        .map_or_else(String::new, |events| format!(" WHERE M.id IN (SELECT pmc_id FROM {})", quoted(&events)));
    part.database.each(&query.table, &format!("{}{used}", query.sql), |row| {
        let (Some(id), Some(metric)) = (row.int(0), row.text(1).or_else(|| row.text(2))) else { return Ok(()) };
        let def = state.ids.def(metric, row.text(3), state.import)?;
        list.push((id, Pmc { def, agent: row.int(4) }));
        Ok(())
    })?;
    Ok(ByNumber::new(list))
}
