//! What the pages of one file share while they are read.

use super::cells::Cell;
use super::header::Identity;
use super::launches::{Device, Devices, Launch, Launches, UNKNOWN, dimensions};
use super::metrics::Metrics;
use super::number::{Numbers, Value};
use super::nvtx;
use super::tally::Tally;
use crate::Error;
use crate::raw::Import;

/// Why reading stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// It failed.
    Error(Error),
    /// The numbers turn out to be of the other style: the file has to be read again.
    OtherStyle,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What the pages of one file share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) numbers: Numbers,
    pub(super) launches: Launches,
    pub(super) devices: Devices,
    pub(super) metrics: Metrics,
    pub(super) tally: Tally,
}

impl State {
    /// The value of a cell in the base unit; `place` names it where it is no number.
    pub(super) fn value(
        &mut self,
        cell: Cell<'_>,
        power: i32,
        import: &mut Import<'_>,
        place: impl Fn() -> String,
    ) -> Result<Option<f64>, Stop> {
        let said = || format!("{} is {:?}", place(), shortened(&cell.text()));
        match self.numbers.read(cell.raw, power) {
            Value::Number(value) => return Ok(Some(value)),
            Value::Nothing => {}
            Value::Unavailable => self.tally.unavailable.add(said),
            Value::Words => self.tally.words.add(said),
            Value::Huge => import.bad_row("value_out_of_range", || format!("{}, beyond a float's range", said())),
            Value::OtherStyle if self.numbers.proven => {
                import.bad_row("mixed_number_styles", || format!("{}, unlike the numbers before it", said()));
            }
            Value::OtherStyle => return Err(Stop::OtherStyle),
        }
        Ok(None)
    }

    /// Counts a record that cannot be true.
    pub(super) fn bad_record(&mut self, import: &mut Import<'_>, line: u64, reason: &str) {
        self.tally.bad_records += 1;
        self.tally.first_bad.get_or_insert_with(|| format!("line {line}: {reason}"));
        import.bad_row("bad_record", || format!("line {line}: {reason}"));
    }

    /// What identifies a launch, from the cells of its row.
    pub(super) fn identify<'a>(
        &mut self,
        identity: &Identity,
        line: u64,
        cell: impl Fn(usize) -> Option<Cell<'a>>,
    ) -> Launch {
        let text = |column: Option<usize>| column.and_then(&cell).map(|cell| cell.text());
        let name = identity.name.and_then(&cell);
        if name.is_some_and(|name| std::str::from_utf8(name.raw).is_err()) {
            self.tally.not_utf8.add(|| format!("line {line}"));
        }
        let name = name.map(|name| name.text()).filter(|name| !name.is_empty());
        // pandas saves whole numbers of a column with an empty cell (the units row) as `1.0`.
        let number = |column| text(column).and_then(|text| text.trim().trim_end_matches(".0").parse().ok());
        let ranges: Vec<_> = identity.nvtx.iter().filter_map(|column| text(Some(*column))).collect();
        let phase = nvtx::phase(ranges.iter().flat_map(|cell| nvtx::ranges(cell)));
        Launch {
            process: number(identity.process),
            id: text(identity.id).unwrap_or_default().into_owned(),
            name: name.map_or_else(|| UNKNOWN.to_owned(), std::borrow::Cow::into_owned),
            grid: text(identity.grid).and_then(|cell| dimensions(&cell)),
            block: text(identity.block).and_then(|cell| dimensions(&cell)),
            device: number(identity.device).unwrap_or(0),
            phase: phase.map(str::to_owned),
        }
    }

    /// Puts a new launch, and notes its device with the compute capability that its row states.
    pub(super) fn launch(
        &mut self,
        launch: &Launch,
        capability: Option<Cell<'_>>,
        import: &mut Import<'_>,
    ) -> Result<i64, Error> {
        let capability = || capability.map(|cell| cell.text().into_owned());
        self.devices.add(launch.device, || Device { capability: capability(), ..Device::default() });
        self.launches.add(launch, import)
    }
}

/// At most the first 40 letters, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
