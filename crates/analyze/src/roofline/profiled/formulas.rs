//! The formulas of a page, and the slot of each of its counters.

use std::collections::HashMap;

use proftool_roofline::counters::{Def, Formulas};
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::texts;
use crate::Error;
use crate::model::{DeviceKey, Rows};

/// Slot of each counter definition; most number theirs from 0 on.
#[derive(Debug)]
pub(super) enum Slots {
    Dense(Vec<Option<u32>>),
    Sparse(HashMap<i64, u32>),
}

impl Slots {
    fn new(defs: &[Def<'_>], formulas: &Formulas) -> Self {
        let known = defs.iter().filter_map(|def| Some((def.def, formulas.slot(def.def)? as u32)));
        let known: HashMap<i64, u32> = known.collect();
        if known.keys().any(|def| !(0..1 << 16).contains(def)) {
            return Self::Sparse(known);
        }
        let length = known.keys().max().map_or(0, |most| *most as usize + 1);
        Self::Dense((0..length).map(|def| known.get(&(def as i64)).copied()).collect())
    }

    pub(super) fn of(&self, def: i64) -> Option<usize> {
        let slot = match self {
            Self::Dense(slots) => *slots.get(usize::try_from(def).ok()?)?,
            Self::Sparse(slots) => slots.get(&def).copied(),
        };
        slot.map(|slot| slot as usize)
    }
}

/// The architecture of a device of a pass.
pub(super) fn arch(tables: &Tables, pass: &str, device: DeviceKey) -> Result<Option<String>, Error> {
    let frame = tables.get(&tables::DEVICES);
    let rows = Rows::all(frame);
    let keys: Vec<DeviceKey> = rows.ints("rank")?.into_iter().zip(rows.ints("device")?).collect();
    let at = texts(frame, "pass")?.iter().zip(keys).position(|(own, key)| own == Some(pass) && key == device);
    Ok(at.and_then(|at| rows.texts("arch").ok()?.swap_remove(at)))
}

pub(super) fn formulas(tables: &Tables, pass: &str, rank: i64, arch: Option<&str>) -> Result<(Formulas, Slots), Error> {
    let frame = tables.get(&tables::COUNTER_DEFS);
    let rows = Rows::all(frame);
    let (ranks, defs) = (rows.ints("rank")?, rows.ints("def")?);
    let own = |at: usize, of: Option<&str>| of == Some(pass) && ranks[at] == rank;
    let kept: Vec<usize> =
        texts(frame, "pass")?.iter().enumerate().filter(|(at, of)| own(*at, *of)).map(|(at, _)| at).collect();
    let (metrics, units) = (texts(frame, "metric")?, texts(frame, "unit")?);
    let (ids, tools) = (texts(frame, "formula_id")?, texts(frame, "tool")?);
    let def = |at: &usize| Def {
        def: defs[*at],
        metric: metrics.get(*at).unwrap_or_default(),
        unit: units.get(*at),
        formula_id: ids.get(*at),
        tool: tools.get(*at),
    };
    let known: Vec<Def<'_>> = kept.iter().map(def).collect();
    let versions = texts(frame, "tool_version")?;
    let version = kept.iter().find_map(|at| versions.get(*at));
    let formulas = Formulas::choose(&known, version, arch);
    let slots = Slots::new(&known, &formulas);
    Ok((formulas, slots))
}
