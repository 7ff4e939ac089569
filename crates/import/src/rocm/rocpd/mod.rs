//! rocpd databases, the default output of rocprofv3 since ROCm 7 (and of rocprofiler-systems).
//!
//! Each process has its own set of tables, named `rocpd_<name>_<guid>`; the plain names are views over all sets, and
//! `kernels`, `memory_copies`, `regions` and more are views over those. The tables are read, not the views: views drop
//! rows that lack a partner, and those of some versions call functions that only their writer has.

mod calls;
mod counters;
#[cfg(test)]
pub(crate) mod fake;
mod info;
mod place;
mod rows;
mod shape;
mod work;

use std::collections::BTreeSet;

use super::agents::Used;
use super::database::{Database, quoted};
use super::ids::Ids;
use crate::Error;
use crate::raw::{Import, Severity, Source};
use info::Info;
use shape::Part;

/// Whether a database with these tables and views is of this format: its own tables, or the views alone.
pub(crate) fn is_rocpd(names: &[String]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let own = ["rocpd_kernel_dispatch", "rocpd_region", "rocpd_memory_copy", "rocpd_op"];
    names.iter().any(|name| own.iter().any(|own| name.starts_with(own)))
        || (has("kernels") && (has("memory_copies") || has("regions")))
}

/// What one import has given so far.
struct State<'i, 's> {
    import: &'i mut Import<'s>,
    ids: Ids,
    /// Kernels and copies whose call is not in the database.
    unlaunched: u64,
    used: Used,
    /// Devices that are in the table already.
    devices: BTreeSet<i64>,
    /// Session start on the profiler's clock, where the database tells.
    start: Option<i64>,
}

/// Reads the database and returns the session start on the profiler's clock.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(source: &Source, import: &mut Import<'_>) -> Result<i64, Error> {
    let database = Database::open(source)?;
    let parts = Part::all(&database);
    let (used, devices) = (Used::default(), BTreeSet::new());
    let mut state = State { import, ids: Ids::default(), unlaunched: 0, used, devices, start: None };
    if database.has("rocpd_op") && !database.names().any(|name| name.starts_with("rocpd_kernel_dispatch")) {
        return Err(old_format(source));
    }
    if parts.is_empty() {
        rows::views(&database, &mut state)?;
    }
    let infos = parts.iter().map(Info::read).collect::<Result<Vec<_>, _>>()?;
    let session = infos.iter().filter_map(|info| info.start).min();
    let machines = Machines::number(&infos);
    for (part, mut info) in parts.iter().zip(infos) {
        // Clocks of several machines have nothing in common: each machine's time begins with its own first process.
        state.start = if machines.list.len() > 1 { machines.start(info.machine.as_deref()) } else { session };
        info.agents.shift(machines.offset(info.machine.as_deref()));
        rows::part(part, &mut info, &mut state)?;
        info.agents.put(&state.used, &mut state.devices, state.import)?;
    }
    state.used.put_queues(state.import)?;
    let detail =
        "device rows whose launching call is not in the database: rocprofv3 traces HIP and HSA calls where asked to";
    state.import.issue(Severity::Info, "launch_not_recorded", state.unlaunched, detail);
    if parts.len() > 1 {
        let detail =
            format!("{} processes in one database have one rank; the column process tells them apart", parts.len());
        state.import.issue(Severity::Info, "processes_merged", parts.len() as u64, detail);
    }
    if machines.list.len() > 1 {
        let detail = "each machine's times count from its own first process: their clocks were not aligned";
        state.import.issue(Severity::Error, "clocks_not_aligned", machines.list.len() as u64, detail);
    }
    Ok(session.or(state.start).unwrap_or(0))
}

fn old_format(source: &Source) -> Error {
    Error::Unsupported {
        path: source.path().to_owned(),
        reason: "is an RPD database of rocmProfileData (tables rocpd_op and rocpd_api), which proftool does not read"
            .to_owned(),
        hint: "convert it to a Chrome trace with rpd2tracing.py, or profile with rocprofv3".to_owned(),
    }
}

/// The machines whose processes are in the database, each with its first device's number and its first time.
#[derive(Default)]
struct Machines {
    list: Vec<(Option<String>, i64, Option<i64>)>,
}

impl Machines {
    fn number(infos: &[Info]) -> Self {
        let mut machines = Self::default();
        let mut next = 0;
        for info in infos {
            let of = |other: &&Info| other.machine == info.machine;
            if machines.list.iter().any(|(machine, _, _)| *machine == info.machine) {
                continue;
            }
            let start = infos.iter().filter(of).filter_map(|info| info.start).min();
            machines.list.push((info.machine.clone(), next, start));
            next = next.saturating_add(infos.iter().filter(of).map(|info| info.agents.end()).max().unwrap_or(0));
        }
        machines
    }

    fn get(&self, machine: Option<&str>) -> Option<&(Option<String>, i64, Option<i64>)> {
        self.list.iter().find(|(other, _, _)| other.as_deref() == machine)
    }

    fn offset(&self, machine: Option<&str>) -> i64 {
        self.get(machine).map_or(0, |(_, offset, _)| *offset)
    }

    fn start(&self, machine: Option<&str>) -> Option<i64> {
        self.get(machine).and_then(|(_, _, start)| *start)
    }
}
