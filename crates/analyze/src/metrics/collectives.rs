//! Collectives that several devices took part in: who came first and last, and what the exchange took once all were
//! there.
//!
//! In the common time of `crate::clock`: start skew = last start - first start; end skew = last end - first end;
//! transfer = last end - last start (nothing can be exchanged with the last before it has come). The shortest duration
//! of a participant is the same without the help of clocks: the last to arrive waits for nobody.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, boolean, int, text};

use super::{Input, Metric, Output, RUN, TARGET, WINDOW};
use crate::Error;
use crate::clock::{Group, Timing, UNSIZED, aligned};
use crate::model::{DeviceKey, Model};
use crate::operators::Span;
use crate::windows::Scope;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "collectives",
    doc: "Matched collectives, those of the largest skew first: who came first and last, the wait, and the transfer after it.",
    table: &TABLE,
    compute,
};

/// Most rows of a result.
const LISTED: usize = 10_000;

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "collectives",
    doc: "One collective in which more than one device was seen; at most the 10000 of the largest start skew.",
    columns: &[
        RUN,
        TARGET,
        WINDOW,
        text("group", "Communicator or process group.").or_null(),
        int("sequence", "Position inside its group.").or_null(),
        text("operation", "For example `all_reduce`, `send_recv`."),
        int("bytes", "The larger of input and output of a rank.").or_null(),
        int("group_size", "Ranks of the group.").or_null(),
        int("participants", "Devices that were seen in it."),
        boolean(
            "complete",
            "Whether these are all ranks of its group; null where the size of the group is not recorded.",
        )
        .or_null(),
        text(
            "match",
            "How they were found: `sequence` (group and sequence number), `message` (k-th between two ranks), `order` (k-th of group, operation and size), `name` (k-th kernel of its name, the group unknown) or `overlap` (open at one instant).",
        ),
        int("start_ns", "First start, in the common time.").or_null(),
        int("start_skew_ns", "Last start - first start.").or_null(),
        int("end_skew_ns", "Last end - first end.").or_null(),
        int("first_rank", "Rank that came before all others.").or_null(),
        int("first_device", "Its device.").or_null(),
        int("last_rank", "Rank that came after all others: the straggler.").or_null(),
        int("last_device", "Its device.").or_null(),
        int("late_ns", "How much later it came than the one before it.").or_null(),
        int("wait_ns", "What all participants together waited for the last.").or_null(),
        int("transfer_ns", "Last end - last start.").or_null(),
        int("shortest_ns", "Shortest duration of a participant."),
        int("listed_of", "Collectives of the window in all, of which these are rows."),
        text("reason", "Why a value is null, or who else may have come last.").or_null(),
    ],
};

struct Row<'a> {
    group: &'a Group,
    window: usize,
    timing: Timing,
    comparable: bool,
}

/// The windows of each device, with the names of their sets.
pub(in crate::metrics) struct Windows {
    pub(in crate::metrics) names: Vec<String>,
    /// Sorted and disjoint: windows and the places of their names.
    of: BTreeMap<DeviceKey, Vec<(Span, usize)>>,
}

impl Windows {
    pub(in crate::metrics) fn read(input: &Input, model: &Model) -> Result<Self, Error> {
        let mut windows = Self { names: Vec::new(), of: BTreeMap::new() };
        let mut places: HashMap<String, usize> = HashMap::new();
        for device in model.device_keys() {
            let mut spans = Vec::new();
            for set in input.sets(Scope::Device(device))? {
                let next = places.len();
                let place = *places.entry(set.name.clone()).or_insert(next);
                if place == next {
                    windows.names.push(set.name);
                }
                spans.extend(set.spans.into_iter().map(|span| (span, place)));
            }
            windows.of.insert(device, spans);
        }
        Ok(windows)
    }

    /// The place of the set in which that time of a device's own clock lies.
    pub(in crate::metrics) fn at(&self, device: DeviceKey, start: i64) -> Option<usize> {
        let spans = self.of.get(&device)?;
        let next = spans.partition_point(|(span, _)| span.1 <= start);
        spans.get(next).filter(|(span, _)| span.0 <= start).map(|(_, place)| *place)
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (model, aligned) = (input.model()?, aligned(input)?);
    let windows = Windows::read(input, model)?;
    let mut counts = vec![0_i64; windows.names.len()];
    let mut rows: Vec<Row> = Vec::new();
    for group in &aligned.groups {
        let Some(timing) = Timing::of(&aligned.spans(model, group)) else { continue };
        let first = &model.activities[group.members[0] as usize];
        let Some(window) = windows.at(first.device, first.span.0) else { continue };
        counts[window] += 1;
        rows.push(Row { group, window, timing, comparable: aligned.comparable(model, group) });
    }
    // Stable: of equal skews in the order of the groups, which is that of their starts.
    rows.sort_by_key(|row| Reverse(row.comparable.then_some(row.timing.start_skew_ns())));
    rows.truncate(LISTED);
    let part = |row: &Row| &aligned.parts.rows[row.group.parts[0] as usize];
    let timed = |value: fn(&Timing) -> i64| move |row: &Row| row.comparable.then(|| value(&row.timing));
    let member = |place: fn(&Timing) -> Option<usize>| {
        move |row: &Row| place(&row.timing).filter(|_| row.comparable).map(|at| device(model, row.group, at))
    };
    let (first, last) = (member(|timing| timing.first), member(|timing| timing.last));
    Output::new(input.run, input.target, &rows)
        .text("window", |row| Some(&windows.names[row.window]))
        .text("group", |row| part(row).group.map(|group| aligned.parts.text(group)))
        .int("sequence", |row| part(row).sequence)
        .text("operation", |row| Some(aligned.operation(row.group)))
        .int("bytes", |row| aligned.bytes(row.group))
        .int("group_size", |row| part(row).group_size)
        .int("participants", |row| Some(row.group.members.len() as i64))
        .bool("complete", |row| row.group.complete)
        .text("match", |row| Some(row.group.how.name()))
        .int("start_ns", timed(|timing| timing.first_start))
        .int("start_skew_ns", timed(Timing::start_skew_ns))
        .int("end_skew_ns", timed(Timing::end_skew_ns))
        .int("first_rank", |row| Some(first(row)?.0))
        .int("first_device", |row| Some(first(row)?.1))
        .int("last_rank", |row| Some(last(row)?.0))
        .int("last_device", |row| Some(last(row)?.1))
        .int("late_ns", timed(|timing| timing.late_ns))
        .int("wait_ns", timed(|timing| timing.wait_ns))
        .int("transfer_ns", timed(Timing::transfer_ns))
        .int("shortest_ns", |row| Some(row.timing.shortest_ns))
        .int("listed_of", |row| Some(counts[row.window]))
        .text("reason", |row| reason(row, part(row).group_size))
        .build(&TABLE)
}

/// Why a value is null, or not all of the truth.
fn reason(row: &Row, group_size: Option<i64>) -> Option<String> {
    if !row.comparable {
        return Some("the clocks of its ranks are not aligned".to_owned());
    }
    match row.group.complete {
        Some(true) => None,
        Some(false) => {
            let (seen, size) = (row.group.members.len(), group_size?);
            Some(format!("{seen} of {size} ranks were seen: another may have come first or last"))
        }
        None => Some(UNSIZED.to_owned()),
    }
}

fn device(model: &Model, group: &Group, at: usize) -> DeviceKey {
    model.activities[group.members[at] as usize].device
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixture::{Args, Ranks};
    use crate::fixture::shared_data;
    use crate::windows::Window;
    use proftool_trace::frame::{bools, ints, texts};
    use proptest::prelude::*;

    fn collectives(ranks: &Ranks) -> DataFrame {
        let (tables, manifest) = (ranks.tables(), ranks.manifest());
        compute(&Input::new("run", "target", &tables, Window::Default).with_manifest(&manifest)).unwrap()
    }

    fn int_row(frame: &DataFrame, names: &[&str], row: usize) -> Vec<Option<i64>> {
        names.iter().map(|name| ints(frame, name).unwrap()[row]).collect()
    }

    #[test]
    fn the_largest_skew_comes_first_with_its_straggler() {
        // Sequence 1: arrivals 0, 30, 70 and ends at 100; sequence 2: arrivals 200, 205, 205.
        let ranks = Ranks::default()
            .all_reduce(0, 2, 3, (200, 220))
            .all_reduce(1, 2, 3, (205, 220))
            .all_reduce(2, 2, 3, (205, 220))
            .all_reduce(0, 1, 3, (0, 100))
            .all_reduce(1, 1, 3, (30, 100))
            .all_reduce(2, 1, 3, (70, 100));
        let frame = collectives(&ranks);
        let skews = ["sequence", "start_skew_ns", "end_skew_ns", "late_ns", "wait_ns", "transfer_ns", "shortest_ns"];
        assert_eq!(int_row(&frame, &skews, 0), [1, 70, 0, 40, 110, 30, 30].map(Some));
        assert_eq!(int_row(&frame, &skews, 1), [2, 5, 0, 0, 5, 15, 15].map(Some));
        let ends = ["first_rank", "last_rank", "participants", "listed_of", "bytes"];
        assert_eq!(int_row(&frame, &ends, 0), [0, 2, 3, 2, 800].map(Some));
        assert_eq!(int_row(&frame, &ends, 1), [Some(0), None, Some(3), Some(2), Some(800)], "two came last");
        assert_eq!(bools(&frame, "complete").unwrap(), [Some(true); 2]);
        assert_eq!(texts(&frame, "match").unwrap()[0].as_deref(), Some("sequence"));
    }

    #[test]
    fn clocks_that_are_not_aligned_leave_the_shortest_duration() {
        let message = |operation, peer| Args { operation, peer: Some(peer), ..Args::default() };
        let ranks = Ranks::default()
            .kernel((0, 0), "ncclDevKernel_SendRecv", (0, 10))
            .args(message("send", 1))
            .kernel((1, 0), "ncclDevKernel_SendRecv", (900, 907))
            .args(message("recv", 0))
            .file(0, 0, 0);
        let frame = collectives(&ranks);
        assert_eq!(int_row(&frame, &["start_skew_ns", "transfer_ns", "shortest_ns"], 0), [None, None, Some(7)]);
        assert_eq!(texts(&frame, "operation").unwrap()[0].as_deref(), Some("send_recv"));
        assert!(texts(&frame, "reason").unwrap()[0].as_ref().unwrap().contains("not aligned"));
    }

    #[test]
    fn a_rank_that_is_missing_may_have_come_last() {
        let frame = collectives(&Ranks::default().all_reduce(0, 1, 3, (0, 10)).all_reduce(2, 1, 3, (4, 10)));
        assert_eq!(int_row(&frame, &["participants", "group_size", "last_rank"], 0), [2, 3, 2].map(Some));
        assert_eq!(bools(&frame, "complete").unwrap(), [Some(false)]);
        assert!(texts(&frame, "reason").unwrap()[0].as_ref().unwrap().starts_with("2 of 3 ranks were seen"));
    }

    proptest! {
        #[test]
        fn the_order_of_rows_changes_nothing(
            rows in prop::collection::vec((0..3_i64, 0..4_i64, 0..90_i64, 0..9_i64), 0..16), by in 0..20_usize,
        ) {
            let ranks = rows.iter().fold(Ranks::default(), |ranks, (rank, sequence, start, length)| {
                ranks.all_reduce(*rank, *sequence, 3, (*start, start + length))
            });
            prop_assert_eq!(collectives(&ranks), collectives(&ranks.clone().shuffled(by)));
        }
    }

    #[test]
    fn messages_of_two_real_devices_have_the_skews_of_their_kernels() {
        let Some(path) = shared_data("nsys/h100x2_train_before.schema3.25.sqlite") else { return };
        let tables = proftool_import::into_memory(&path).unwrap().1;
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        // The k-th ncclDevKernel_SendRecv of each device in CUPTI_ACTIVITY_KIND_KERNEL: the two largest skews.
        let names = ["start_skew_ns", "end_skew_ns", "transfer_ns", "shortest_ns", "last_device", "listed_of"];
        assert_eq!(int_row(&frame, &names, 0), [3_339_732, 9_694, 263_837, 254_143, 1, 33].map(Some));
        assert_eq!(int_row(&frame, &names, 1), [3_225_437, 23_843, 283_586, 259_743, 1, 33].map(Some));
        assert_eq!((texts(&frame, "match").unwrap()[0].as_deref(), frame.height()), (Some("name"), 33));
    }

    #[test]
    fn two_of_128_ranks_meet_in_the_messages_that_overlap() {
        let ranks = [0, 1].map(|rank| shared_data(&format!("kineto/sampled_rank-{rank}_of_128.json.gz")));
        let [Some(first), Some(second)] = ranks else { return };
        let mut tables = proftool_import::into_memory(&first).unwrap().1;
        let other = proftool_import::into_memory(&second).unwrap().1;
        for table in proftool_trace::tables::ALL {
            tables.append(table, other.get(table)).unwrap();
        }
        let frame = compute(&Input::new("run", "target", &tables, Window::Default)).unwrap();
        // Ten kernels of one name on each, but others than these two ranks took part: by order the pairs lie far apart.
        // Five pairs are open at one instant and end within 0.4 ms of each other, two of them within 8 us.
        let mut ends: Vec<_> = ints(&frame, "end_skew_ns").unwrap().into_iter().flatten().collect();
        ends.sort_unstable();
        assert_eq!(ends, [0, 8_000, 55_000, 189_000, 332_000]);
        assert!(texts(&frame, "match").unwrap().iter().all(|how| how.as_deref() == Some("overlap")));
        assert_eq!(bools(&frame, "complete").unwrap(), [None; 5], "126 ranks are not here, as the files say");
        assert!(texts(&frame, "reason").unwrap().iter().all(|reason| reason.as_deref() == Some(UNSIZED)));
    }
}
