//! Graphs traced as a whole: one row a launch, in place of the kernels and copies inside it.
//!
//! `graph_id` is the graph's number, not its executable's: kernels traced node by node state only that one, and the two
//! count separately, so that a mix would join what does not belong together. The executable is in the name.

use proftool_trace::rows::Activity;

use super::devices::Origin;
use super::export::{Row, at};
use super::ids::{nonzero, process};
use super::reader::{Reader, next};
use crate::Error;
use crate::raw::Severity;

pub(super) const TABLE: &str = "CUPTI_ACTIVITY_KIND_GRAPH_TRACE";
const WANTED: &[&str] =
    &["start", "end", "deviceId", "contextId", "streamId", "correlationId", "globalPid", "graphId", "graphExecId"];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const DEVICE: usize = at(WANTED, "deviceId");
const CONTEXT: usize = at(WANTED, "contextId");
const STREAM: usize = at(WANTED, "streamId");
const CORRELATION: usize = at(WANTED, "correlationId");
const PROCESS: usize = at(WANTED, "globalPid");
const GRAPH: usize = at(WANTED, "graphId");
const EXECUTABLE: usize = at(WANTED, "graphExecId");

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    reader.demand(TABLE, &["start", "end"])?;
    let before = reader.ids.kernels;
    export.scan(TABLE, WANTED, &mut |row| graph(reader, row))?;
    let detail = "whole graph launches without the kernels inside them: idle time, kernels and roofline of these spans \
                  are not known (hint: capture with `nsys profile --cuda-graph-trace=node`)";
    reader.import.issue(Severity::Error, "graph_granularity", reader.ids.kernels - before, detail);
    Ok(())
}

fn graph(reader: &mut Reader<'_, '_>, row: &Row<'_>) -> Result<(), Error> {
    let Some((start_ns, end_ns)) = reader.span(TABLE, row, START, END) else {
        reader.ids.kernels_left_out += 1;
        return Ok(());
    };
    let process = row.int(PROCESS).map(process);
    let correlation = nonzero(row.int(CORRELATION));
    let context = row.int(CONTEXT);
    let place = reader.devices.place(Origin {
        process: process.unwrap_or(0),
        context: context.unwrap_or(0),
        device: row.int(DEVICE).unwrap_or(0),
        stream: row.int(STREAM),
    });
    let graph_id = nonzero(row.int(GRAPH));
    let shown = nonzero(row.int(EXECUTABLE)).or(graph_id);
    let name = shown.map_or_else(|| "CUDA graph".to_owned(), |graph| format!("CUDA graph {graph}"));
    reader.import.put(&Activity {
        id: next(&mut reader.ids.activity),
        process,
        device: place.device,
        context,
        queue: place.queue,
        kind: "graph",
        name: &name,
        start_ns,
        end_ns,
        correlation,
        call: reader.launches.of_work(process, correlation, start_ns),
        graph_id,
        ..Activity::default()
    })?;
    reader.ids.kernels += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use proftool_trace::frame::{ints, texts};
    use proftool_trace::tables;

    #[test]
    fn a_graph_is_one_row_and_an_issue_says_so() {
        let mut fake = Fake::default();
        let place = [("deviceId", 0.into()), ("contextId", 1.into()), ("streamId", 7.into())];
        let kernel = [("start", 5.into()), ("end", 6.into()), ("graphNodeId", 88.into()), ("graphId", 4.into())];
        fake.row("CUPTI_ACTIVITY_KIND_KERNEL", &[&place[..], &kernel].concat());
        for (start, graph, executable) in [(10, 4, 9), (30, 4, 0)] {
            let row = [("start", start.into()), ("end", (start + 5).into()), ("graphId", i64::into(graph))];
            fake.row(
                "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
                &[&place[..], &row, &[("graphExecId", i64::into(executable))]].concat(),
            );
        }
        let tables = fake.import().unwrap();
        let rows = tables.get(&tables::ACTIVITIES);
        assert_eq!(ints(rows, "graph_id").unwrap(), [Some(4), Some(4), Some(4)]);
        assert_eq!(ints(rows, "graph_node").unwrap(), [Some(88), None, None]);
        assert_eq!(texts(rows, "name").unwrap()[1].as_deref(), Some("CUDA graph 9"));
        let codes = texts(tables.get(&tables::ISSUES), "code").unwrap();
        assert!(codes.contains(&Some("graph_granularity".to_owned())), "{codes:?}");
    }
}
