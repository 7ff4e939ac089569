//! What the rows of a part refer to: strings, processes, threads, agents, kernels.

use super::shape::{Part, Query};
use crate::Error;
use crate::raw::json::Cursor;
use crate::rocm::agents::{Agent, Agents, Type};
use crate::rocm::database::Row;
use crate::rocm::names::{ByNumber, Symbol, Symbols};

/// The tables of names and numbers of one part.
#[derive(Default)]
pub(super) struct Info {
    strings: ByNumber<Box<str>>,
    categories: ByNumber<Box<str>>,
    processes: ByNumber<i64>,
    threads: ByNumber<i64>,
    pub(super) agents: Agents,
    pub(super) symbols: Symbols,
    /// When the first process of the part began.
    pub(super) start: Option<i64>,
    pub(super) machine: Option<String>,
}

impl Info {
    pub(super) fn read(part: &Part<'_>) -> Result<Self, Error> {
        let mut info = Self { strings: list(part, "string", &["id", "string"], text)?, ..Self::default() };
        info.categories = list(part, "info_category", &["id", "name"], text)?;
        info.processes = list(part, "info_process", &["id", "pid"], |row| row.int(1))?;
        info.threads = list(part, "info_thread", &["id", "tid"], |row| row.int(1))?;
        info.symbols = Symbols::new(rows(part, "info_kernel_symbol", SYMBOL, |row| Some(symbol(row)))?);
        let agents = rows(part, "info_agent", AGENT, agent)?;
        info.agents = Agents::new(agents.into_iter().map(|(_, agent)| agent).collect());
        let starts = rows(part, "info_process", &["id", "init", "start"], |row| {
            [row.int(1), row.int(2)].into_iter().flatten().find(|time| *time > 0)
        })?;
        info.start = starts.into_iter().map(|(_, time)| time).min();
        let machines = rows(part, "info_node", &["id", "machine_id", "hash"], |row| {
            row.text(1).map(str::to_owned).or_else(|| row.int(2).map(|hash| hash.to_string()))
        })?;
        info.machine = machines.into_iter().next().map(|(_, machine)| machine);
        Ok(info)
    }

    /// A string by its number.
    pub(super) fn string(&self, number: Option<i64>) -> Option<&str> {
        self.strings.get(number?).map(|text| &**text)
    }

    /// The name of a category: a string, or in schema 4 a table of its own.
    pub(super) fn category(&self, number: Option<i64>) -> Option<&str> {
        self.categories.get(number?).map(|text| &**text).or_else(|| self.string(number))
    }

    /// The operating system's number of a process: rows name the row of the process, or the process itself.
    pub(super) fn process(&self, number: Option<i64>) -> Option<i64> {
        number.map(|number| self.processes.get(number).copied().unwrap_or(number))
    }

    /// The operating system's number of a thread.
    pub(super) fn thread(&self, number: Option<i64>) -> Option<i64> {
        number.map(|number| self.threads.get(number).copied().unwrap_or(number))
    }
}

const SYMBOL: &[&str] = &["id", "display_name", "kernel_name", "arch_vgpr_count", "accum_vgpr_count"];

fn symbol(row: &Row<'_>) -> Symbol {
    let name = row.text(1).or_else(|| row.text(2)).unwrap_or_default();
    Symbol::new(name, row.int(3), row.int(4))
}

const AGENT: &[&str] =
    &["id", "type", "type_index", "absolute_index", "name", "product_name", "user_name", "model_name", "extdata"];

/// An agent. What the columns lack stands in `extdata`: the agent as the tool's JSON writes it.
fn agent(row: &Row<'_>) -> Option<Agent> {
    let mut agent = Agent::default();
    if let Some(extdata) = row.text(8) {
        // Whatever is wrong with it, the columns say what is needed.
        let _ = agent.update(&mut Cursor::new(extdata.as_bytes()));
    }
    agent.handle = row.int(0)?;
    agent.kind = match row.text(1) {
        Some("GPU") => Type::Gpu,
        Some("CPU") => Type::Cpu,
        _ => Type::Other,
    };
    agent.device = row.int(2).filter(|number| *number >= 0).or(agent.device);
    agent.node = row.int(3).or(agent.node);
    agent.arch = row.text(4).map(Into::into).or(agent.arch);
    let name = [5, 6, 7].into_iter().find_map(|at| row.text(at));
    agent.name = name.map(Into::into).or(agent.name);
    Some(agent)
}

fn text(row: &Row<'_>) -> Option<Box<str>> {
    row.text(1).map(Into::into)
}

fn list<T>(
    part: &Part<'_>,
    name: &str,
    columns: &[&str],
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> Result<ByNumber<T>, Error> {
    Ok(ByNumber::new(rows(part, name, columns, read)?))
}

/// The rows of a table by their ids; none where there is no table.
fn rows<T>(
    part: &Part<'_>,
    name: &str,
    columns: &[&str],
    read: impl Fn(&Row<'_>) -> Option<T>,
) -> Result<Vec<(i64, T)>, Error> {
    let mut list = Vec::new();
    if let Some(Query { table, sql }) = part.plain(name, columns) {
        part.database.each(&table, &sql, |row| {
            list.extend(row.int(0).zip(read(row)));
            Ok(())
        })?;
    }
    Ok(list)
}
