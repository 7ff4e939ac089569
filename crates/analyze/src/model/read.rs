//! The view is made of the tables here, and nowhere else.

use std::collections::HashMap;

use polars::prelude::DataFrame;
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::hosts::Hosts;
use super::passes::timeline_pass;
use super::rows::Rows;
use super::{Api, Call, Device, Edge, Model, Queue, Range, RangeStyle, Target, Thread, Work};
use crate::Error;
use crate::classes::{Rules, SYNC_CALLS, contains_any};
use crate::index::Index;
use crate::operators::{Span, union};

impl Model {
    /// Reads the first pass that has activities (or else devices), classified by the built-in rules.
    ///
    /// # Errors
    /// When a frame does not have the columns of its table.
    pub fn read(tables: &Tables) -> Result<Self, Error> {
        Self::read_with(tables, Rules::built_in())
    }

    /// As [`Model::read`], classified by those rules.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read_with(tables: &Tables, rules: &Rules) -> Result<Self, Error> {
        Self::read_in_pieces(tables, rules, None, PIECE_ROWS)
    }

    /// As [`Model::read_with`], of that pass.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub(crate) fn read_pass(tables: &Tables, rules: &Rules, pass: &str) -> Result<Self, Error> {
        Self::read_in_pieces(tables, rules, Some(pass), PIECE_ROWS)
    }

    fn read_in_pieces(tables: &Tables, rules: &Rules, pass: Option<&str>, rows: usize) -> Result<Self, Error> {
        let pass = pass.map_or_else(|| timeline_pass(tables), |pass| Ok(pass.to_owned()))?;
        let mut model = Self { pass, ..Self::default() };
        model.read_devices(tables)?;
        model.read_queues(tables)?;
        let mut host = Hosts::default();
        let call_ids = model.read_calls(tables, &mut host, rows)?;
        model.read_ranges(tables, &mut host, rows)?;
        model.places = host.places.all;
        model.number_threads(&host.threads.all);
        model.read_activities(tables, &call_ids, rows)?;
        model.classify(rules);
        if [&tables::WORK, &tables::DEPENDENCIES].iter().any(|table| tables.get(table).height() > 0) {
            let ids = Index::of(model.activities.iter().map(|row| (row.device.0, row.id)));
            model.read_work(tables, &ids)?;
            model.read_dependencies(tables, &ids)?;
        }
        model.syncs = model.sync_sets();
        Ok(model)
    }

    fn read_devices(&mut self, tables: &Tables) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::DEVICES), &self.pass)?;
        let (ranks, devices) = (rows.ints("rank")?, rows.ints("device")?);
        let (kinds, archs) = (rows.texts("kind")?, rows.texts("arch")?);
        for (at, arch) in archs.into_iter().enumerate() {
            self.devices.push(Device {
                key: (ranks[at], devices[at]),
                kind: kinds[at].clone().unwrap_or_default(),
                arch,
            });
        }
        Ok(())
    }

    fn read_queues(&mut self, tables: &Tables) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::QUEUES), &self.pass)?;
        let (ranks, devices, queues) = (rows.ints("rank")?, rows.ints("device")?, rows.ints("queue")?);
        for (at, role) in rows.texts("role")?.into_iter().enumerate() {
            self.queues.push(Queue { device: (ranks[at], devices[at]), queue: queues[at], role });
        }
        Ok(())
    }

    fn read_calls(&mut self, tables: &Tables, host: &mut Hosts, rows: usize) -> Result<Index, Error> {
        let frame = tables.get(&tables::CALLS);
        self.calls.reserve(frame.height());
        let mut syncs = Vec::new();
        for piece in pieces(frame, rows) {
            self.read_call_rows(&piece, host, &mut syncs)?;
        }
        Ok(Index::of(self.calls.iter().map(|call| (call.rank, call.id))))
    }

    /// `syncs` says by the number of a name whether it is that of a synchronisation.
    fn read_call_rows(&mut self, frame: &DataFrame, host: &mut Hosts, syncs: &mut Vec<bool>) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("id")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let (starts, ends) = (rows.ints("start_ns")?, rows.ints("end_ns")?);
        let (devices, queues) = (rows.optional_ints("device")?, rows.optional_ints("queue")?);
        let events = rows.optional_ints("target_event")?;
        let names = rows.names("name", &mut self.names)?;
        let apis = rows.parsed("api", &Api::ALL)?;
        syncs.extend(self.names.from(syncs.len()).map(|text| contains_any(text, SYNC_CALLS)));
        for at in 0..ids.len() {
            // An operator or a Python function of such a name need not wait for a device.
            let sync = apis[at].is_some_and(Api::launches) && names[at].is_some_and(|name| syncs[name as usize]);
            // A clock that stepped back would make a negative length.
            let span = (starts[at], ends[at].max(starts[at]));
            let target = Target { device: devices[at], queue: queues[at], event: events[at] };
            if target != Target::default() {
                self.targets.push((self.calls.len() as u32, target));
            }
            self.calls.push(Call {
                id: ids[at],
                api: apis[at].unwrap_or(Api::Other),
                name: names[at].unwrap_or_default(),
                rank: ranks[at],
                thread: host.threads.number(Thread { rank: ranks[at], process: processes[at], thread: threads[at] }),
                span,
                sync,
            });
        }
        Ok(())
    }

    fn read_ranges(&mut self, tables: &Tables, host: &mut Hosts, rows: usize) -> Result<(), Error> {
        let frame = tables.get(&tables::RANGES);
        self.ranges.reserve(frame.height());
        for piece in pieces(frame, rows) {
            self.read_range_rows(&piece, host)?;
        }
        Ok(())
    }

    fn read_range_rows(&mut self, frame: &DataFrame, host: &mut Hosts) -> Result<(), Error> {
        let rows = Rows::of_pass(frame, &self.pass)?;
        let (ranks, starts, ends) = (rows.ints("rank")?, rows.ints("start_ns")?, rows.optional_ints("end_ns")?);
        let (processes, threads) = (rows.optional_ints("process")?, rows.optional_ints("thread")?);
        let domains = rows.names("domain", &mut self.names)?;
        let (ids, end_threads) = (rows.ints("id")?, rows.optional_ints("end_thread")?);
        let styles = rows.parsed("style", &RangeStyle::ALL)?;
        let places = rows.places(self.names.find(DEVICE_DOMAIN), &domains)?;
        for (at, name) in rows.names("name", &mut self.names)?.into_iter().enumerate() {
            // Those of ranges that never end are numbered too: the metric ranges counts them.
            let thread = host.threads.number(Thread { rank: ranks[at], process: processes[at], thread: threads[at] });
            let Some(end) = ends[at] else {
                self.open_ranges += 1;
                continue;
            };
            let Some(name) = name else { continue };
            let place = places[at].map(|place| host.places.number(place));
            self.ranges.push(Range {
                id: ids[at],
                style: styles[at].unwrap_or(RangeStyle::PushPop),
                rank: ranks[at],
                thread,
                ends_elsewhere: end_threads[at].is_some() && end_threads[at] != threads[at],
                place,
                domain: domains[at],
                name,
                span: (starts[at], end),
            });
        }
        Ok(())
    }

    fn read_work(&mut self, tables: &Tables, activities: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::WORK), &self.pass)?;
        let (ranks, ids) = (rows.ints("rank")?, rows.ints("activity")?);
        let (steps, stages) = (rows.optional_ints("step")?, rows.optional_ints("stage")?);
        let (micro_batches, counts) = (rows.optional_ints("micro_batch")?, rows.optional_ints("rows")?);
        let (flop, dram_bytes) = (rows.optional_ints("flop")?, rows.optional_ints("dram_bytes")?);
        let phases = rows.names("phase", &mut self.names)?;
        let precisions = rows.names("precision", &mut self.names)?;
        for at in 0..ids.len() {
            let Some(index) = activities.get(ranks[at], ids[at]) else { continue };
            self.activities[index as usize].work = Some(Box::new(Work {
                step: steps[at],
                phase: phases[at],
                stage: stages[at],
                micro_batch: micro_batches[at],
                rows: counts[at],
                flop: flop[at],
                dram_bytes: dram_bytes[at],
                precision: precisions[at],
            }));
        }
        Ok(())
    }

    fn read_dependencies(&mut self, tables: &Tables, activities: &Index) -> Result<(), Error> {
        let rows = Rows::of_pass(tables.get(&tables::DEPENDENCIES), &self.pass)?;
        let (ranks, waits, ends) = (rows.ints("rank")?, rows.ints("activity")?, rows.ints("depends_on")?);
        self.has_dependencies = !ranks.is_empty();
        for (at, kind) in rows.names("kind", &mut self.names)?.into_iter().enumerate() {
            let row = |id| activities.get(ranks[at], id);
            // An edge to a row that was lost says nothing; the loss itself is a row of `issues`.
            let (Some(waits), Some(ends), Some(kind)) = (row(waits[at]), row(ends[at]), kind) else { continue };
            self.edges.push((waits, ends, edge_kind(self.names.text(kind))));
        }
        self.edges.sort_by_key(|edge| (edge.0, edge.1));
        let all = [Edge::Data, Edge::Event, Edge::Queue, Edge::Collective, Edge::Launch];
        self.edge_kinds = all.into_iter().filter(|kind| self.edges.iter().any(|edge| edge.2 == *kind)).collect();
        Ok(())
    }

    fn sync_sets(&self) -> HashMap<(i64, Option<i64>), Vec<Span>> {
        let mut spans: HashMap<_, Vec<Span>> = HashMap::new();
        for call in self.calls.iter().filter(|call| call.sync) {
            spans.entry((call.rank, self.thread_of(call).process)).or_default().push(call.span);
        }
        spans.into_iter().map(|(process, spans)| (process, union(&spans))).collect()
    }
}

/// Rows of a table that are looked at together: the columns of millions of rows at once would take more memory than the
/// rows themselves.
const PIECE_ROWS: usize = 1 << 16;

pub(super) fn pieces(frame: &DataFrame, rows: usize) -> impl Iterator<Item = DataFrame> {
    (0..frame.height()).step_by(rows).map(move |first| frame.slice(first as i64, rows))
}

/// Domain of the ranges that a profiler draws on a device; their payload is a [`Payload`].
const DEVICE_DOMAIN: &str = "gpu";

fn edge_kind(name: &str) -> Edge {
    match name {
        "data" => Edge::Data,
        "queue" => Edge::Queue,
        "collective" => Edge::Collective,
        "launch" => Edge::Launch,
        _ => Edge::Event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn the_size_of_the_pieces_changes_nothing() {
        let fixture = || {
            Fixture::new()
                .kernel(1, 0, (40, 50))
                .launched_on(9, "cudaLaunchKernel", (30, 31))
                .kernel(0, 0, (10, 20))
                .launched_on(7, "cudaLaunchKernel", (5, 6))
                .kernel(1, 0, (10, 20))
                .sync_call((50, 60))
                .kernel(0, 1, (10, 20))
                .launched_on(9, "cudaLaunchKernel", (7, 8))
                .op_on(7, "aten::mm", (4, 9))
                .sync_call((61, 62))
                .range("step 1", (0, 30))
                .range("step 2", (30, 70))
                .block((0, 100))
        };
        for fixture in [fixture(), fixture().shuffled()] {
            let tables = fixture.tables();
            let text = |rows: usize| {
                let model =
                    Model::read_in_pieces(&tables, Rules::built_in(), None, rows).expect("the tables are whole");
                let rows = (&model.activities, &model.calls, &model.ranges, &model.threads, &model.targets);
                (format!("{rows:?} {:?}", model.worked), model.names.from(0).map(str::to_owned).collect::<Vec<_>>())
            };
            // Names are numbered table by table and column by column, so their numbers may differ; the texts may not.
            let named = |rows: usize| {
                let (text, mut names) = text(rows);
                names.sort_unstable();
                (text.len(), names)
            };
            assert_eq!(text(usize::MAX), text(100));
            assert!([1, 2, 3].into_iter().all(|rows| named(rows) == named(100)));
        }
    }
}
