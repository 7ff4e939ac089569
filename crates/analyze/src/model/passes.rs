//! Which passes have a timeline, and which of them is read.

use polars::prelude::Column;
use proftool_trace::frame::{self, Tables};
use proftool_trace::tables;

use crate::Error;

/// The passes that have a timeline: activities, or calls or ranges of the host, in the order of the tables.
pub(crate) fn timeline_passes(tables: &Tables) -> Vec<String> {
    let mut passes: Vec<String> = Vec::new();
    for table in [&tables::ACTIVITIES, &tables::CALLS, &tables::RANGES] {
        let column = tables.get(table).column("pass").and_then(Column::unique_stable);
        let Some(column) = column.ok().filter(|_| tables.get(table).height() > 0) else { continue };
        let names = column.str().map(|names| names.iter().flatten().map(str::to_owned).collect::<Vec<_>>());
        for name in names.unwrap_or_default() {
            if !passes.contains(&name) {
                passes.push(name);
            }
        }
    }
    passes
}

/// The pass whose timeline is read where none is chosen: that of the first activity, or else of the first device.
pub(super) fn timeline_pass(tables: &Tables) -> Result<String, Error> {
    for table in [&tables::ACTIVITIES, &tables::DEVICES] {
        let frame = tables.get(table);
        if frame.height() > 0 {
            return Ok(frame::texts(&frame.head(Some(1)), "pass")?.into_iter().flatten().next().unwrap_or_default());
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn the_pass_of_the_first_activity_is_read_and_without_any_there_is_none() {
        let tables = Fixture::new().kernel(0, 0, (10, 20)).tables();
        let passes = timeline_passes(&tables);
        assert_eq!(passes, [timeline_pass(&tables).unwrap()]);
        assert!(!passes[0].is_empty());
        let none = Tables::default();
        assert_eq!((timeline_passes(&none), timeline_pass(&none).unwrap()), (Vec::new(), String::new()));
    }
}
