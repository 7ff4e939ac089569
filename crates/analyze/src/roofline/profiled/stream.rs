//! The rows of `counters`, piece by piece, each with the launch that it belongs to.

use polars::prelude::DataFrame;
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::{Profiled, texts};
use crate::Error;
use crate::model::Rows;

/// Finds launches by what a row of `counters` says.
#[derive(Debug)]
pub(super) struct Lookup {
    /// Pass and rank of each source.
    sources: Vec<(String, i64)>,
    /// Source, launch and index in [`Profiled::launches`], sorted.
    ids: Vec<(u32, i64, u32)>,
}

impl Lookup {
    pub(super) fn new(profiled: &Profiled) -> Self {
        let mut sources: Vec<(String, i64)> = Vec::new();
        let mut of_group = Vec::with_capacity(profiled.groups.len());
        for group in &profiled.groups {
            let known = sources.iter().position(|(pass, rank)| *pass == group.pass && *rank == group.device.0);
            of_group.push(known.unwrap_or(sources.len()) as u32);
            if known.is_none() {
                sources.push((group.pass.clone(), group.device.0));
            }
        }
        let rows = profiled.launches.iter().enumerate();
        let mut ids: Vec<_> = rows.map(|(at, row)| (of_group[row.group as usize], row.id, at as u32)).collect();
        ids.sort_unstable();
        Self { sources, ids }
    }

    /// The place in `ids` of a launch; `near` is where the last one was found.
    fn find(&self, source: u32, launch: i64, near: usize) -> Option<usize> {
        let is = |at: usize| self.ids.get(at).is_some_and(|row| (row.0, row.1) == (source, launch));
        if is(near) {
            return Some(near);
        }
        if is(near + 1) {
            return Some(near + 1);
        }
        let at = self.ids.partition_point(|row| (row.0, row.1) < (source, launch));
        is(at).then_some(at)
    }
}

/// Hands launch (its index), definition and value of each row of `counters` to `take`, until that returns `false`. Rows
/// of launches that nobody declared are passed over.
pub(super) fn stream(
    tables: &Tables,
    rows: &Lookup,
    take: &mut dyn FnMut(usize, i64, f64) -> bool,
) -> Result<(), Error> {
    // Of one source the columns that would name it are not read.
    let one = rows.sources.len() == 1;
    let columns: &[&str] = if one { &["launch", "def", "value"] } else { &["pass", "rank", "launch", "def", "value"] };
    let (mut near, mut more) = (0, true);
    tables.pieces(&tables::COUNTERS, columns, |piece| -> Result<(), Error> {
        if !more {
            return Ok(());
        }
        let sources = if one { None } else { Some(sources(piece, rows)?) };
        let columns = Rows::all(piece);
        let (launches, defs, values) = (columns.ints("launch")?, columns.ints("def")?, columns.floats("value")?);
        for (at, ((launch, def), value)) in launches.into_iter().zip(defs).zip(values).enumerate() {
            let Some(source) = sources.as_ref().map_or(Some(0), |sources| sources[at]) else { continue };
            let Some(found) = rows.find(source, launch, near) else { continue };
            near = found;
            if !take(rows.ids[found].2 as usize, def, value.unwrap_or(f64::NAN)) {
                more = false;
                break;
            }
        }
        Ok(())
    })
}

/// The source of each row of a piece; `None` for one that has no launches.
fn sources(piece: &DataFrame, rows: &Lookup) -> Result<Vec<Option<u32>>, Error> {
    let ranks = Rows::all(piece).ints("rank")?;
    let passes = texts(piece, "pass")?;
    let mut last = None::<(&str, i64, Option<u32>)>;
    let mut all = Vec::with_capacity(ranks.len());
    for (pass, rank) in passes.iter().map(Option::unwrap_or_default).zip(ranks) {
        let known = last.filter(|known| (known.0, known.1) == (pass, rank)).map(|known| known.2);
        let find = || rows.sources.iter().position(|(own, of)| own == pass && *of == rank).map(|at| at as u32);
        let source = known.unwrap_or_else(find);
        last = Some((pass, rank, source));
        all.push(source);
    }
    Ok(all)
}
