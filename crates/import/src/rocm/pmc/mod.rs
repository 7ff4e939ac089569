//! The counter tables of rocprofiler-compute (once Omniperf): one row a launch and one column a counter
//! (`pmc_perf.csv`, `pmc_perf_<pass>.csv`, `SQ_*.csv`), or one row a launch and counter (`results_pmc_perf_<pass>.csv`).
//!
//! Facts from its source (`join_prof`): the profiler runs the program once a group of counters, the groups are joined
//! by the kernel's name and how often it was launched before, and `Start_Timestamp` and `End_Timestamp` of the joined
//! table are the means over those runs. Sizes are in work-items and are products over the three dimensions.

mod columns;

use std::collections::{HashMap, HashSet};

use proftool_trace::rows::{Activity, Counter, CounterDef, Launch};

use super::number::{self, Time};
use super::table::Table;
use crate::Error;
use crate::raw::{Import, Severity, Source};
pub(crate) use columns::is_pmc;
use columns::{Columns, Sizes, counter_name, describes, is_joined};

/// The launches and counters of one workload, gathered from one or several tables.
pub(crate) struct Launches<'v> {
    tool_version: Option<&'v str>,
    /// Launches by the kernel's number and how often it had been launched before.
    kernels: HashMap<String, usize>,
    by_kernel: Vec<Vec<i64>>,
    count: i64,
    defs: HashMap<String, i64>,
    /// Values already taken; filled only where a launch can meet a counter twice.
    taken: HashSet<(i64, i64)>,
    several: bool,
    /// When the first launch of the first table began: the session start.
    start: Option<i64>,
    devices: Vec<i64>,
}

impl<'v> Launches<'v> {
    /// No launches yet; `tool_version` goes into the counters' definitions, `several` tells that more than one table
    /// will be read.
    pub(crate) fn new(tool_version: Option<&'v str>, several: bool) -> Self {
        Self {
            tool_version,
            kernels: HashMap::new(),
            by_kernel: Vec::new(),
            count: 0,
            defs: HashMap::new(),
            taken: HashSet::new(),
            several,
            start: None,
            devices: Vec::new(),
        }
    }

    /// The devices that kernels ran on.
    pub(crate) fn devices(&self) -> &[i64] {
        &self.devices
    }

    /// Reads one table. Launches of a further one are those of the first where the kernel's name and the number of its
    /// earlier launches agree; their times stay those of the first table.
    ///
    /// # Errors
    /// When the table cannot be read or lacks a column that it cannot do without.
    pub(crate) fn read(&mut self, source: &Source, stem: &str, import: &mut Import<'_>) -> Result<(), Error> {
        let mut table = Table::open(source)?;
        let columns = Columns::of(&table)?;
        self.several |= columns.value.is_some();
        let wanted = if columns.value.is_some() { Vec::new() } else { self.counters(&table, stem, import)? };
        let mut pass = Pass::default();
        while table.next()? {
            let Some(launch) = self.launch(&table, &columns, &mut pass, import)? else { continue };
            match (columns.counter, columns.value) {
                (Some(counter), Some(value)) => {
                    let name = counter_name(&table.lossy(counter), stem);
                    let def = self.def(&name, import)?;
                    self.value(&table, value, launch, def, import)?;
                }
                _ => wanted.iter().try_for_each(|(at, def)| self.value(&table, *at, launch, *def, import))?,
            }
        }
        let joined = (columns.value.is_none() && stem == "pmc_perf") || is_joined(table.header());
        pass.report(joined, import);
        Ok(())
    }

    /// Definitions of the columns that are counters, with their positions.
    fn counters(&mut self, table: &Table<'_>, stem: &str, import: &mut Import<'_>) -> Result<Vec<(usize, i64)>, Error> {
        let names = table.header().iter().enumerate().filter(|(_, name)| !describes(name));
        names.map(|(at, name)| Ok((at, self.def(&counter_name(name, stem), import)?))).collect()
    }

    fn def(&mut self, metric: &str, import: &mut Import<'_>) -> Result<i64, Error> {
        if let Some(def) = self.defs.get(metric) {
            return Ok(*def);
        }
        let def = self.defs.len() as i64;
        let tool = Some("rocprofiler-compute");
        import.put(&CounterDef {
            def,
            metric,
            source: "counter",
            tool,
            tool_version: self.tool_version,
            ..CounterDef::default()
        })?;
        self.defs.insert(metric.to_owned(), def);
        Ok(def)
    }

    /// The launch that the current row is about; none where the row cannot be one.
    fn launch(
        &mut self,
        table: &Table<'_>,
        columns: &Columns,
        pass: &mut Pass,
        import: &mut Import<'_>,
    ) -> Result<Option<i64>, Error> {
        let dispatch = columns.value.and(columns.dispatch).map(|at| table.lossy(at));
        if let Some(launch) = dispatch.as_deref().and_then(|dispatch| pass.dispatches.get(dispatch)) {
            return Ok(Some(*launch));
        }
        let written = table.lossy(columns.kernel);
        let name = super::kernel_name(&written);
        let device = number::integer(table.cell(Some(columns.device)));
        let (Some(device), false) = (device, name.is_empty()) else {
            import.bad_row("not_a_launch", || format!("{}: no kernel name or no number of the GPU", table.place()));
            return Ok(None);
        };
        let kernel = self.kernel(name);
        pass.seen.resize(self.by_kernel.len(), 0);
        let index = pass.seen[kernel];
        pass.seen[kernel] += 1;
        let launch = match self.by_kernel[kernel].get(index) {
            Some(launch) => *launch,
            None => self.begin(table, columns, kernel, name, device, pass, import)?,
        };
        if let Some(dispatch) = dispatch {
            pass.dispatches.insert(dispatch.into_owned(), launch);
        }
        Ok(Some(launch))
    }

    fn kernel(&mut self, name: &str) -> usize {
        if let Some(kernel) = self.kernels.get(name) {
            return *kernel;
        }
        self.by_kernel.push(Vec::new());
        self.kernels.insert(name.to_owned(), self.by_kernel.len() - 1);
        self.by_kernel.len() - 1
    }

    /// A launch that no table had yet: its row, and its activity where its times are known.
    #[expect(clippy::too_many_arguments, reason = "the row in its parts")]
    fn begin(
        &mut self,
        table: &Table<'_>,
        columns: &Columns,
        kernel: usize,
        name: &str,
        device: i64,
        pass: &mut Pass,
        import: &mut Import<'_>,
    ) -> Result<i64, Error> {
        let launch = self.count;
        self.count += 1;
        let launch_index = self.by_kernel[kernel].len() as i64;
        self.by_kernel[kernel].push(launch);
        if !self.devices.contains(&device) {
            self.devices.push(device);
        }
        let sizes = Sizes::of(table, columns);
        let times = self.times(table, columns, pass, import);
        let grid = super::size_text([sizes.grid, None, None]);
        let block = super::size_text([sizes.block, None, None]);
        let activity = times.map(|_| launch);
        let (grid, block) = (grid.as_deref(), block.as_deref());
        import.put(&Launch { launch, activity, device, name, launch_index, grid, block, phase: None })?;
        if let Some((start_ns, end_ns)) = times {
            let row = Activity { id: launch, device, kind: "kernel", name, start_ns, end_ns, ..sizes.activity() };
            import.activity(&row, || table.place())?;
        }
        Ok(launch)
    }

    /// Start and end from the session start, where the row has both and they are possible.
    fn times(
        &mut self,
        table: &Table<'_>,
        columns: &Columns,
        pass: &mut Pass,
        import: &mut Import<'_>,
    ) -> Option<(i64, i64)> {
        let (from, to) = (table.cell(Some(columns.start?)), table.cell(Some(columns.end?)));
        if number::is_absent(from) || number::is_absent(to) {
            return None;
        }
        match (number::time(from), number::time(to)) {
            (Time::Exact(start), Time::Exact(end)) => {
                let first = *self.start.get_or_insert(start);
                let (start, end) = (start.saturating_sub(first), end.saturating_sub(first));
                pass.timed += 1;
                import.possible(start, end, || table.place()).then_some((start, end))
            }
            (Time::Bad, _) | (_, Time::Bad) => {
                import.bad_row("not_a_number", || format!("{}: times {from:?} and {to:?}", table.place()));
                None
            }
            _ => {
                pass.rounded += 1;
                pass.first_rounded.get_or_insert_with(|| format!("{}: {from} to {to}", table.place()));
                None
            }
        }
    }

    fn value(
        &mut self,
        table: &Table<'_>,
        at: usize,
        launch: i64,
        def: i64,
        import: &mut Import<'_>,
    ) -> Result<(), Error> {
        let text = table.cell(Some(at));
        if number::is_absent(text) {
            return Ok(());
        }
        let Some(value) = number::float(text) else {
            import.bad_row("not_a_number", || format!("{}, column {}: {text:?}", table.place(), table.header()[at]));
            return Ok(());
        };
        // Groups of counters overlap: each run takes the few that the others are related to.
        if self.several && !self.taken.insert((launch, def)) {
            return Ok(());
        }
        import.put(&Counter { launch, def, value: Some(value) })
    }
}

/// What is known while one table is read.
#[derive(Default)]
struct Pass {
    /// How many launches of each kernel the table had so far.
    seen: Vec<usize>,
    /// Launches by `Dispatch_ID`, in tables that have several rows a launch.
    dispatches: HashMap<String, i64>,
    timed: u64,
    rounded: u64,
    first_rounded: Option<String>,
}

impl Pass {
    fn report(self, joined: bool, import: &mut Import<'_>) {
        if let Some(first) = self.first_rounded {
            let detail = format!(
                "launches without times: a spreadsheet rounded them, {first}; import the file as it was written"
            );
            import.issue(Severity::DataLoss, "timestamp_rounded", self.rounded, detail);
        }
        if joined && self.timed > 0 {
            let detail = "start and end of a launch are means over the profiler's runs of the program, one a group of \
                          counters: lengths are means, and gaps between launches are not idle time of the program";
            import.issue(Severity::Info, "times_are_means", self.timed, detail);
        }
    }
}
