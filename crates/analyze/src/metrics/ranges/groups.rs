//! Ranges of one path, domain and style together.

use std::rc::Rc;

use polars::prelude::DataFrame;
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::instances::{Instances, Unprojected};
use super::paths::{Numbers, Paths};
use super::sums::{Scratch, Sums};
use crate::Error;
use crate::model::{Model, Range, RangeStyle, Rows, Thread};
use crate::operators::Span;

/// What the ranges of one row of the result have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Group {
    path: u32,
    domain: Option<u32>,
    style: RangeStyle,
}

/// A range by its begin.
struct Begun {
    start: i64,
    group: u32,
    thread: u32,
    /// Index in the model, or why it is none there.
    range: Result<u32, Unprojected>,
}

/// All groups of a model.
pub(super) struct Groups<'m> {
    model: &'m Model,
    instances: Rc<Instances>,
    paths: Paths,
    all: Vec<Group>,
    /// All ranges by start.
    begun: Vec<Begun>,
}

impl<'m> Groups<'m> {
    pub(super) fn of(model: &'m Model, tables: &Tables) -> Result<Self, Error> {
        let instances = Instances::of_model(model);
        let (mut paths, mut groups) = (Paths::default(), Numbers::default());
        let projected = paths.of_instances(model, &instances);
        let mut of_path: Vec<Option<u32>> = Vec::new();
        let mut begun = Vec::with_capacity(model.ranges.len());
        let mut begin = |range: &Range, place: Result<u32, Unprojected>, index: Result<u32, Unprojected>| {
            let path = match place {
                Ok(place) => projected[place as usize],
                Err(_) => paths.number(model, range.rank, None, range.name),
            };
            let group = Group { path, domain: range.domain, style: range.style };
            // Nearly every path has one group; the path's last one is looked at before a search.
            if of_path.len() <= path as usize {
                of_path.resize(path as usize + 1, None);
            }
            let known = of_path[path as usize].filter(|known: &u32| groups.all[*known as usize] == group);
            let group = known.unwrap_or_else(|| groups.number(group));
            of_path[path as usize] = Some(group);
            begun.push(Begun { start: range.span.0, group, thread: range.thread, range: index });
        };
        for (at, range) in model.ranges.iter().enumerate() {
            begin(range, instances.of[at], Ok(at as u32));
        }
        for range in unfinished(model, tables)? {
            let why = if range.style == RangeStyle::Mark { Unprojected::Mark } else { Unprojected::Open };
            begin(&range, Err(why), Err(why));
        }
        begun.sort_by_key(|one| one.start);
        Ok(Self { model, instances, paths, all: groups.all, begun })
    }

    /// The sums of the ranges that begin in the windows (sorted and disjoint); of all ranges without windows. In no order.
    pub(super) fn sums(&self, windows: Option<&[Span]>) -> Vec<Sums> {
        let before = |instant: i64| self.begun.partition_point(|one| one.start < instant);
        let mut chosen: Vec<(u32, u32)> = match windows {
            None => self.numbered(0..self.begun.len()).collect(),
            Some(windows) => {
                let windows = windows.iter().filter(|window| window.0 < window.1);
                windows.flat_map(|window| self.numbered(before(window.0)..before(window.1))).collect()
            }
        };
        chosen.sort_unstable();
        let mut scratch = Scratch::default();
        let group = |same: &[(u32, u32)]| {
            let mut sums = Sums::of(same[0].0);
            for (_, at) in same {
                self.add(&mut sums, &mut scratch, &self.begun[*at as usize]);
            }
            scratch.finish(sums)
        };
        chosen.chunk_by(|a, b| a.0 == b.0).map(group).collect()
    }

    /// The group and the place of ranges.
    fn numbered(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (u32, u32)> {
        places.map(|at| (self.begun[at].group, at as u32))
    }

    fn add(&self, sums: &mut Sums, scratch: &mut Scratch, one: &Begun) {
        sums.instances += 1;
        sums.first = sums.first.min(one.start);
        let span = one.range.ok().map(|at| self.model.ranges[at as usize].span).filter(|span| span.0 <= span.1);
        scratch.begin(one.thread, span.map(|span| span.1.saturating_sub(span.0)));
        match one.range.and_then(|at| self.instances.of[at as usize]) {
            Ok(place) => sums.hold(&self.instances.projected[place as usize], scratch),
            Err(why) => sums.leave_out(why),
        }
    }

    pub(super) fn rank(&self, group: u32) -> i64 {
        self.paths.rank(self.group(group).path)
    }

    pub(super) fn name(&self, group: u32) -> &str {
        self.paths.name(self.group(group).path)
    }

    pub(super) fn domain(&self, group: u32) -> Option<&str> {
        self.group(group).domain.map(|domain| self.model.names.text(domain))
    }

    pub(super) fn style(&self, group: u32) -> &'static str {
        self.group(group).style.name()
    }

    pub(super) fn path(&self, group: u32) -> String {
        self.paths.text(self.group(group).path)
    }

    fn group(&self, group: u32) -> &Group {
        &self.all[group as usize]
    }
}

/// Marks, and the ranges that never ended, of which a model holds only the number; their span is empty.
fn unfinished(model: &Model, tables: &Tables) -> Result<Vec<Range>, Error> {
    if model.open_ranges == 0 {
        return Ok(Vec::new());
    }
    let open = without_end(tables.get(&tables::RANGES));
    let rows = Rows::of_pass(&open, &model.pass)?;
    let (ids, ranks, starts) = (rows.ints("id")?, rows.ints("rank")?, rows.ints("start_ns")?);
    let (processes, threads, ends) =
        (rows.optional_ints("process")?, rows.optional_ints("thread")?, rows.optional_ints("end_ns")?);
    let (names, domains, styles) = (rows.texts("name")?, rows.texts("domain")?, rows.texts("style")?);
    let number = |text: &Option<String>| text.as_deref().and_then(|text| model.names.find(text));
    let row = |at: usize| {
        let style = RangeStyle::ALL.iter().find(|(_, name)| styles[at].as_deref() == Some(name));
        let thread = Thread { rank: ranks[at], process: processes[at], thread: threads[at] };
        Some(Range {
            id: ids[at],
            style: style.map_or(RangeStyle::PushPop, |(style, _)| *style),
            rank: ranks[at],
            thread: model.threads.binary_search(&thread).ok()? as u32,
            ends_elsewhere: false,
            place: None,
            domain: number(&domains[at]),
            name: number(&names[at])?,
            span: (starts[at], starts[at]),
        })
    };
    Ok((0..ends.len()).filter(|at| ends[*at].is_none()).filter_map(row).collect())
}

/// The few rows whose texts are worth reading; all of them where polars cannot tell, the reader says why then.
fn without_end(frame: &DataFrame) -> DataFrame {
    let open = frame.column("end_ns").and_then(|ends| frame.filter(&ends.is_null()));
    open.unwrap_or_else(|_| frame.clone())
}
