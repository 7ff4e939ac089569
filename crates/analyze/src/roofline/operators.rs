//! Framework operators: which device rows each launched, and what it had to compute and move.
//!
//! A row belongs to the innermost operator on the thread of its launching call in which that call begins, among the
//! operators whose inputs tell their FLOP and bytes ([`analytic::operator`]). Operators are nested: `aten::linear` calls
//! `aten::addmm`. One whose inner operators already account for half of its FLOP is composite and owns nothing, so that
//! no work counts twice. Rows that a graph launch made belong to no operator: what was captured is not known.

mod annotated;
mod nesting;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;

use proftool_roofline::analytic::{self, Operation, attention};
use proftool_roofline::{Counts, Flop, Level, Source, Traffic};
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use self::nesting::nest;
use crate::Error;
use crate::classes::Kind;
use crate::index::Index;
use crate::model::{Call, Model, Names, Rows};
use crate::operators::Span;

/// What a device row is to the operator that launched it; the number is a place in [`Attribution::operators`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The longest kernel: the operator's FLOP and bytes are held against it.
    Main(u32),
    /// Another kernel or a set, part of the same work: it has no FLOP and no compulsory bytes of its own.
    Helper(u32),
}

/// Name and inputs of operators.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) shapes: String,
    pub(crate) dtypes: String,
    pub(crate) concrete: Option<String>,
}

/// One call of an operator that launched rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Operator {
    /// Place in [`Attribution::signatures`].
    pub(crate) signature: u32,
    /// Place in [`Attribution::operations`].
    pub(crate) operation: u32,
    /// Its longest kernel (of equal ones the first), as a place in the activities; `None` where it launched copies only.
    pub(crate) main: Option<u32>,
    /// Its first row.
    pub(crate) first: u32,
    /// Its rows: kernels, copies, sets.
    pub(crate) launches: i64,
    /// Sum of their durations.
    pub(crate) time_ns: i64,
}

/// Operators and their rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attribution {
    roles: Vec<Option<Role>>,
    /// Calls that launched rows, in no order that matters.
    pub(crate) operators: Vec<Operator>,
    /// Their names and inputs, each once.
    pub(crate) signatures: Vec<Signature>,
    /// FLOP and bytes, one for each signature (of attention over a cache one for each signature and step).
    pub(crate) operations: Vec<Operation>,
}

impl Attribution {
    /// What a row of the model's activities is to its operator; `None` where no operator with known work launched it.
    pub(crate) fn role(&self, activity: usize) -> Option<Role> {
        self.roles.get(activity).copied().flatten()
    }

    /// What the operator of a role had to do.
    pub(crate) fn operation(&self, operator: u32) -> &Operation {
        &self.operations[self.operators[operator as usize].operation as usize]
    }
}

/// Counts of a main row.
pub(crate) fn counts(operation: &Operation) -> Counts {
    let flop = Flop { precision: operation.precision, sparse: false, ops: operation.flop };
    Counts {
        flop: (operation.flop > 0.0).then_some(flop).into_iter().collect(),
        flop_known: true,
        bytes: vec![Traffic { level: Level::Dram, bytes: operation.bytes }],
        formula: Some(operation.formula.into()),
        flop_source: Some(Source::Analytic),
        bytes_source: Some(Source::Analytic),
        ..Counts::default()
    }
}

/// Counts of a helper row: known to be nothing beyond the main row's.
pub(crate) fn helper_counts(operation: &Operation) -> Counts {
    counts(&Operation { flop: 0.0, bytes: 0.0, ..*operation })
}

/// Every operator of the model's pass that launched rows and whose work is known, found once for a model: the tables are
/// those that it was read from. Takes O(n log n).
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(crate) fn attribute(tables: &Tables, model: &Model) -> Result<Rc<Attribution>, Error> {
    if let Some(known) = model.attribution.get() {
        return Ok(Rc::clone(known));
    }
    let found = Rc::new(find(tables, model)?);
    Ok(Rc::clone(model.attribution.get_or_init(|| found)))
}

fn find(tables: &Tables, model: &Model) -> Result<Attribution, Error> {
    if tables.get(&tables::OPERATORS).height() == 0 {
        return Ok(Attribution::default());
    }
    let mut reader = Reader { model, signatures: Vec::new(), operations: Vec::new(), candidates: Vec::new() };
    let graphs = reader.read(tables)?;
    // Of operators with equal times the one of the higher number is the inner one, in whatever order the rows stand.
    let begin = |call: &Call| (call.rank, call.span.0, std::cmp::Reverse(call.span.1), call.id);
    reader.candidates.sort_by_key(|candidate| begin(&model.calls[candidate.call as usize]));
    let owners = reader.owners(&graphs);
    Ok(reader.collect(&owners))
}

/// An operator call whose work is known.
struct Candidate {
    call: u32,
    signature: u32,
    operation: u32,
}

struct Reader<'m> {
    model: &'m Model,
    signatures: Vec<Signature>,
    operations: Vec<Operation>,
    candidates: Vec<Candidate>,
}

impl Reader<'_> {
    /// Reads the operators with known work; returns for each call whether it launches a graph.
    fn read(&mut self, tables: &Tables) -> Result<Vec<bool>, Error> {
        let calls = &self.model.calls;
        let names = &self.model.names;
        let mut known = HashMap::new();
        let mut facts_of = |name: u32| {
            let facts = |name: &str| (analytic::is_modelled(name), name.contains("GraphLaunch"));
            *known.entry(name).or_insert_with(|| facts(names.text(name)))
        };
        let (modelled, graphs): (Vec<bool>, Vec<bool>) = calls.iter().map(|call| facts_of(call.name)).unzip();
        let own: Vec<u32> = (0..calls.len() as u32).filter(|call| modelled[*call as usize]).collect();
        let key = |call: &u32| (calls[*call as usize].rank, calls[*call as usize].id);
        let places = Index::of(own.iter().map(key));
        let rows = Rows::of_pass(tables.get(&tables::OPERATORS), &self.model.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("call")?);
        let mut texts = Names::default();
        let mut column = |name| rows.names(name, &mut texts);
        let (shapes, dtypes, concrete) = (column("shapes")?, column("dtypes")?, column("concrete_inputs")?);
        let (mut found, mut signatures) = (Vec::new(), HashMap::new());
        for at in 0..ids.len() {
            let Some(call) = places.get(ranks[at], ids[at]).map(|place| own[place as usize]) else { continue };
            let (Some(shapes), Some(dtypes)) = (shapes[at], dtypes[at]) else { continue };
            let name = calls[call as usize].name;
            let signature = *signatures.entry((name, shapes, dtypes, concrete[at])).or_insert_with(|| {
                let text = |number| texts.text(number).to_owned();
                self.signatures.push(Signature {
                    name: names.text(name).to_owned(),
                    shapes: text(shapes),
                    dtypes: text(dtypes),
                    concrete: concrete[at].map(text),
                });
                self.signatures.len() as u32 - 1
            });
            found.push((call, signature));
        }
        self.model_work(&found);
        Ok(graphs)
    }

    /// The work of each signature once, of attention over a cache once for each step.
    fn model_work(&mut self, found: &[(u32, u32)]) {
        let is_paged: Vec<bool> = self.signatures.iter().map(|own| attention::is_paged(&own.name)).collect();
        let paged: Vec<u32> = found.iter().filter(|(_, own)| is_paged[*own as usize]).map(|(call, _)| *call).collect();
        let (steps, step_of) = annotated::steps(self.model, &paged);
        let mut known: HashMap<(u32, Option<u32>), Option<u32>> = HashMap::new();
        for (call, signature) in found {
            let step = step_of.get(call).copied();
            let operation = *known.entry((*signature, step)).or_insert_with(|| {
                let own = &self.signatures[*signature as usize];
                let concrete = own.concrete.as_deref();
                let operation = match step {
                    Some(step) => {
                        let step = &steps[step as usize];
                        analytic::operator_in_step(&own.name, &own.shapes, &own.dtypes, concrete, step)
                    }
                    None => analytic::operator(&own.name, &own.shapes, &own.dtypes, concrete),
                }?;
                self.operations.push(operation);
                Some(self.operations.len() as u32 - 1)
            });
            if let Some(operation) = operation {
                self.candidates.push(Candidate { call: *call, signature: *signature, operation });
            }
        }
    }

    /// For each activity the place of the candidate that owns it.
    fn owners(&self, graphs: &[bool]) -> Vec<Option<u32>> {
        let thread_of = |call: u32| self.model.calls[call as usize].thread as usize;
        let mut threads: Vec<(Vec<u32>, Vec<u32>)> = vec![Default::default(); self.model.threads.len()];
        for (place, candidate) in self.candidates.iter().enumerate() {
            threads[thread_of(candidate.call)].0.push(place as u32);
        }
        for (place, row) in self.model.activities.iter().enumerate() {
            let Some(call) = row.call.filter(|call| !graphs[*call as usize]) else { continue };
            if !matches!(row.kind, Kind::Kernel | Kind::Copy | Kind::Set) {
                continue;
            }
            let (candidates, rows) = &mut threads[thread_of(call)];
            if !candidates.is_empty() {
                rows.push(place as u32);
            }
        }
        let mut owners = vec![None; self.model.activities.len()];
        for (candidates, rows) in threads {
            self.own(&candidates, &rows, &mut owners);
        }
        owners
    }

    /// One thread.
    fn own(&self, candidates: &[u32], rows: &[u32], owners: &mut [Option<u32>]) {
        let call_of = |candidate: u32| self.candidates[candidate as usize].call as usize;
        let spans: Vec<Span> = candidates.iter().map(|own| self.model.calls[call_of(*own)].span).collect();
        let launch =
            |row: u32| self.model.activities[row as usize].call.map_or(0, |c| self.model.calls[c as usize].span.0);
        let starts: Vec<i64> = rows.iter().map(|row| launch(*row)).collect();
        let nesting = nest(&spans, &starts);
        let mut has_rows = vec![false; candidates.len()];
        nesting.owners.iter().flatten().for_each(|own| has_rows[*own] = true);
        let flop = |own: usize| self.operations[self.candidates[candidates[own] as usize].operation as usize].flop;
        // Inner operators stand behind outer ones, so backwards each is complete when it is added to its parent.
        let mut inside = vec![0.0; candidates.len()];
        for own in nesting.order.iter().rev().copied() {
            let done = if has_rows[own] { flop(own).max(inside[own]) } else { inside[own] };
            if let Some(parent) = nesting.parents[own] {
                inside[parent] += done;
            }
        }
        let is_composite = |own: usize| inside[own] > 0.0 && 2.0 * inside[own] >= flop(own);
        for (row, owner) in rows.iter().zip(&nesting.owners) {
            owners[*row as usize] = owner.filter(|own| !is_composite(*own)).map(|own| candidates[own]);
        }
    }

    fn collect(self, owners: &[Option<u32>]) -> Attribution {
        let mut operators: Vec<Operator> = Vec::new();
        let mut places: Vec<Option<u32>> = vec![None; self.candidates.len()];
        let length = |row: usize| self.model.activities[row].span.1.saturating_sub(self.model.activities[row].span.0);
        for (row, candidate) in owners.iter().enumerate() {
            let Some(candidate) = *candidate else { continue };
            let place = *places[candidate as usize].get_or_insert_with(|| {
                let Candidate { signature, operation, .. } = self.candidates[candidate as usize];
                let first = row as u32;
                operators.push(Operator { signature, operation, main: None, first, launches: 0, time_ns: 0 });
                operators.len() as u32 - 1
            });
            let operator = &mut operators[place as usize];
            operator.launches += 1;
            operator.time_ns = operator.time_ns.saturating_add(length(row));
            // The activities are sorted by start and id inside a device, so the first of equal ones stays.
            let is_longer = operator.main.is_none_or(|main| length(row) > length(main as usize));
            if self.model.activities[row].kind == Kind::Kernel && is_longer {
                operator.main = Some(row as u32);
            }
        }
        let role = |(row, candidate): (usize, &Option<u32>)| {
            let place = places[(*candidate)? as usize]?;
            match operators[place as usize].main? {
                main if main as usize == row => Some(Role::Main(place)),
                _ if self.model.activities[row].kind == Kind::Copy => None,
                _ => Some(Role::Helper(place)),
            }
        };
        let roles = owners.iter().enumerate().map(role).collect();
        Attribution { roles, operators, signatures: self.signatures, operations: self.operations }
    }
}
