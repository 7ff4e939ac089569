//! What the manifest says about when the files of a pass began.

use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::manifest::{Pass, RankStart};
use proftool_trace::tables;

use crate::Error;
use crate::metrics::Input;
use crate::model::{Model, Rows};

/// Where the session start of a rank comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// All ranks of the pass count from one session start.
    One,
    /// The monotonic clock of the host that all ranks share.
    Monotonic,
    /// The wall clock.
    Wall,
    /// The times themselves are those of the wall clock.
    Epoch,
    /// Not recorded.
    Unknown,
}

impl Source {
    /// The name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one session",
            Self::Monotonic => "monotonic",
            Self::Wall => "wall",
            Self::Epoch => "epoch",
            Self::Unknown => "unknown",
        }
    }
}

/// When the session of a rank began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) source: Source,
    /// Nanoseconds to add to the rank's times; `None` where nothing tells.
    pub(crate) add: Option<i64>,
}

/// Clock of a pass whose times can count from the epoch.
const EPOCH: &str = "unix epoch";
/// Nanoseconds since the epoch are taken for such from here on (the year 1973); no session lasts as long.
const EPOCH_NS: i64 = 100_000_000_000_000_000;

/// The session start of every rank, relative to the lowest rank whose start is known.
///
/// # Errors
/// When a frame does not have the columns of its table.
pub(super) fn starts(input: &Input, model: &Model) -> Result<BTreeMap<i64, Start>, Error> {
    let ranks: BTreeSet<i64> = model.device_keys().iter().map(|key| key.0).collect();
    let pass = input.manifest.and_then(|manifest| manifest.passes.iter().find(|pass| pass.name == model.pass));
    let files = pass.filter(|pass| ranks.len() > 1 && !pass.ranks.is_empty());
    let Some(pass) = files else {
        return Ok(ranks.into_iter().map(|rank| (rank, Start { source: Source::One, add: Some(0) })).collect());
    };
    let one_host = one_host(input, pass)?;
    Ok(relative(&ranks.into_iter().map(|rank| (rank, absolute(model, pass, rank, one_host))).collect()))
}

/// Wall clock less monotonic clock is when a host booted; files that agree on it to this are of one host.
const SAME_BOOT_NS: i64 = 10_000_000;

/// Whether all files of the pass are of one host: they name the same one, or none and booted at the same moment.
fn one_host(input: &Input, pass: &Pass) -> Result<bool, Error> {
    let hosts = Rows::of_pass(input.tables.get(&tables::DEVICES), &pass.name)?.texts("host")?;
    let named: BTreeSet<&String> = hosts.iter().flatten().collect();
    if !named.is_empty() {
        return Ok(named.len() == 1 && hosts.iter().all(Option::is_some));
    }
    let boots = || pass.ranks.iter().map(|file| file.start_unix_ns.saturating_sub(file.start_monotonic_ns));
    let apart = boots().max().zip(boots().min()).map(|(last, first)| last.saturating_sub(first));
    Ok(pass.ranks.iter().all(|file| file.start_unix_ns != 0) && apart.is_some_and(|apart| apart <= SAME_BOOT_NS))
}

/// Which clock the file of a rank tells about and when its times begin on it.
fn absolute(model: &Model, pass: &Pass, rank: i64, one_host: bool) -> (Source, i64) {
    let every = |value: fn(&RankStart) -> i64| pass.ranks.iter().all(|file| value(file) != 0);
    let Some(file) = pass.ranks.iter().find(|file| file.rank == rank) else { return (Source::Unknown, 0) };
    if one_host && every(|file| file.start_monotonic_ns) {
        return (Source::Monotonic, file.start_monotonic_ns);
    }
    if file.start_unix_ns != 0 {
        return (Source::Wall, file.start_unix_ns);
    }
    let first = model.activities.iter().find(|row| row.device.0 == rank);
    if pass.clock == EPOCH && first.is_some_and(|row| row.span.0 >= EPOCH_NS) {
        return (Source::Epoch, 0);
    }
    (Source::Unknown, 0)
}

fn relative(absolute: &BTreeMap<i64, (Source, i64)>) -> BTreeMap<i64, Start> {
    let known = |source| source != Source::Unknown;
    let zero = absolute.values().find(|(source, _)| known(*source)).map_or(0, |(_, start)| *start);
    let start = |(source, start): &(Source, i64)| Start {
        source: *source,
        add: known(*source).then(|| start.saturating_sub(zero)),
    };
    absolute.iter().map(|(rank, value)| (*rank, start(value))).collect()
}
