//! The communication roofline: copies, collectives and KV transfers against the links that carry them.
//!
//! Wire bytes are what one device sends over its link: the payload of a copy, and of a collective the bus bytes of NCCL's
//! own tests, payload x 2(n-1)/n for an all-reduce of n ranks, x (n-1)/n for all-gather, reduce-scatter and all-to-all
//! (payload = the larger of input and output), x 1 for the others. A copy inside one device's memory is no link's
//! matter: it reads and writes DRAM. The time is the union of the transfers, of collectives with the wait for their peers.
//!
//! The row `all` sums a device: intensity = FLOP of its compute kernels / wire bytes, and the time in which computing and
//! transferring could end at least (the larger sum of bounds, all of the other hidden) and at most (no overlap).

use std::borrow::Cow;
use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_roofline::Roof;
use proftool_roofline::models::network_intensity;
use proftool_trace::table::{Table, float, int, text};

use super::roofline_instruction::launches_in;
use super::{DEVICE, Input, Metric, Output, RANK, RUN, TARGET, WINDOW, ratio};
use crate::Error;
use crate::classes::Class;
use crate::model::{Activity, DeviceKey, Model};
use crate::operators::{Span, total, union};
use crate::roofline::wire::THROUGH_MEMORY;
use crate::roofline::{Engine, Placed};
use crate::statistics::median;
use crate::windows::WindowSet;

mod links;
mod transfer;

use links::ceiling;
use transfer::{Key, Stated, Transfer};

/// The metric.
pub const METRIC: Metric = Metric {
    name: "roofline_link",
    doc: "Copies, collectives and KV transfers against the links that carry them, and whether they could be hidden.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "roofline_link",
    doc: "One kind of transfer of one device between the same ends, and the sum of its links (kind `all`).",
    columns: &[
        RUN,
        TARGET,
        RANK,
        DEVICE,
        WINDOW,
        text(
            "kind",
            "`h2d`, `d2h`, `d2d`, `p2p`, `h2h`, `copy` (direction unknown), `kv`, the operation of a collective, or `all`.",
        ),
        text("copy_kind", "Direction of a copy, also of a `kv` one: `h2d`, `d2h`, `d2d`, `p2p`, `h2h` or `copy`; null for a collective.")
            .or_null(),
        int("src_device", "Device that is read; null for a host or a collective.").or_null(),
        int("dst_device", "Device that is written; null for a host or a collective.").or_null(),
        int("group_size", "Ranks of the collective.").or_null(),
        int("launches", "Transfers that begin in the windows."),
        int("sized_launches", "Those of them whose bytes are known."),
        int("pageable_launches", "Copies from or to pageable host memory, which the driver stages."),
        int("bytes", "Payload of the sized ones.").or_null(),
        int("wire_bytes", "Bytes over the link (of `d2d` through DRAM) by formula_id; of `all` without `d2d`.")
            .or_null(),
        text("formula_id", "What makes wire_bytes of bytes: `payload`, `read+write`, `bus-2(n-1)/n`, `bus-(n-1)/n`.")
            .or_null(),
        int("time_ns", "Length of the union of the transfers."),
        int("simulated_ns", "Part of it whose duration is modelled."),
        float("bytes_per_s", "bytes over the union of the sized transfers.").or_null(),
        float("median_bytes_per_s", "Median over the sized transfers of payload / duration.").or_null(),
        float("wire_bytes_per_s", "wire_bytes over the union of the sized transfers.").or_null(),
        float("roof_bytes_per_s", "Ceiling of the link, one direction.").or_null(),
        text("roof", "The ceiling and why it is the one.").or_null(),
        float("roof_ratio", "wire_bytes_per_s / roof_bytes_per_s.").or_null(),
        int("bound_ns", "wire_bytes / roof_bytes_per_s; of `all` the sum over the kinds, without `d2d`.").or_null(),
        int("busy_ns", "Row `all`: length of the union of compute kernels and transfers.").or_null(),
        int("flop", "Row `all`: FLOP of the compute kernels that begin in the windows.").or_null(),
        float("arithmetic_intensity", "Row `all`: flop / wire_bytes.").or_null(),
        int("compute_bound_ns", "Row `all`: sum of the bounds of the compute kernels.").or_null(),
        int("lower_bound_ns", "Row `all`: max(compute_bound_ns, bound_ns), perfectly overlapped.").or_null(),
        int("upper_bound_ns", "Row `all`: compute_bound_ns + bound_ns, one after the other.").or_null(),
        text("limiter", "Row `all`: `compute` or `link`, whichever bounds the overlapped time.").or_null(),
        float("compute_coverage_ratio", "Row `all`: share of the compute kernels' time that has a bound.").or_null(),
        float("link_coverage_ratio", "Row `all`: share of the transfers' time that has a bound.").or_null(),
        text("reason", "Why wire_bytes, the roof or a bound is null or partial.").or_null(),
    ],
};

/// One row: a kind of transfer, or all.
#[derive(Default)]
struct Row {
    device: DeviceKey,
    window: String,
    kind: Cow<'static, str>,
    way: Option<&'static str>,
    src: Option<i64>,
    dst: Option<i64>,
    ranks: Option<i64>,
    launches: i64,
    sized: i64,
    pageable: i64,
    bytes: Option<i64>,
    wire: Option<f64>,
    formula: Option<&'static str>,
    time: i64,
    simulated: i64,
    /// Union of the sized transfers.
    sized_time: i64,
    median: Option<f64>,
    roof: Option<Roof>,
    bound: Option<f64>,
    reason: Option<Cow<'static, str>>,
    overlap: Option<Overlap>,
}

/// What the row `all` adds.
#[derive(Default)]
struct Overlap {
    busy: i64,
    flop: Option<f64>,
    compute_bound: Option<i64>,
    compute_coverage: Option<f64>,
    link_coverage: Option<f64>,
}

fn rounded(value: f64) -> Option<i64> {
    value.is_finite().then(|| value.round() as i64)
}

fn per_second(count: Option<f64>, ns: i64) -> Option<f64> {
    count.filter(|_| ns > 0).map(|count| count * 1e9 / ns as f64)
}

impl Row {
    fn of_kind(key: &Key, transfers: &[Transfer], roof: Result<Roof, &'static str>) -> Self {
        let spans = |wanted: &dyn Fn(&Transfer) -> bool| {
            let spans: Vec<Span> = transfers.iter().filter(|one| wanted(one)).map(|one| one.span).collect();
            total(&union(&spans))
        };
        let sized = || transfers.iter().filter_map(|one| Some((one, one.bytes?)));
        let bytes = sized().fold(None, |sum: Option<i64>, one| Some(sum.unwrap_or(0).saturating_add(one.1)));
        let formula = transfers.first().and_then(|one| one.formula);
        let wire = bytes.zip(formula).map(|(bytes, formula)| bytes as f64 * formula.factor);
        let rates: Vec<f64> = sized()
            .filter_map(|(one, bytes)| per_second(Some(bytes as f64), one.span.1.saturating_sub(one.span.0)))
            .collect();
        let unsized_reason = match (bytes, formula) {
            (None, _) => Some("the bytes are not recorded"),
            (_, None) => Some("the number of ranks is not recorded"),
            _ => None,
        };
        let (roof, roofless) = match roof {
            Ok(roof) => (Some(roof), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            kind: key.kind.clone(),
            way: key.way,
            src: key.src,
            dst: key.dst,
            ranks: key.ranks,
            launches: transfers.len() as i64,
            sized: sized().count() as i64,
            pageable: transfers.iter().filter(|one| one.pageable).count() as i64,
            bytes,
            wire,
            formula: formula.map(|formula| formula.id),
            time: spans(&|_| true),
            simulated: spans(&|one| one.simulated),
            sized_time: spans(&|one| one.bytes.is_some()),
            median: median(&rates),
            bound: wire.zip(roof.as_ref()).map(|(wire, roof)| wire * 1e9 / roof.value),
            roof,
            reason: unsized_reason.or(roofless).map(Cow::from),
            ..Self::default()
        }
    }

    /// The sum of a device's links.
    fn of_all(rows: &[Self], compute: &Compute, spans: &[Span]) -> Self {
        let linked = || rows.iter().filter(|row| row.formula != Some(THROUGH_MEMORY.id));
        let known = |sum: Option<f64>, value: Option<f64>| value.map(|value| value + sum.unwrap_or(0.0)).or(sum);
        let sum = |value: fn(&Self) -> i64| linked().map(value).fold(0, i64::saturating_add);
        let bounded: i64 =
            linked().filter(|row| row.bound.is_some()).map(|row| row.sized_time).fold(0, i64::saturating_add);
        let (time, bound) = (sum(|row| row.time), linked().map(|row| row.bound).fold(None, known));
        let mut busy = spans.to_vec();
        busy.extend(&compute.spans);
        let overlap = Overlap {
            busy: total(&union(&busy)),
            flop: compute.flop,
            compute_bound: compute.bound,
            compute_coverage: ratio(compute.bounded, compute.time),
            link_coverage: ratio(bounded, time),
        };
        let reason = match (compute.bound, bound) {
            (None, _) => Some("no compute kernel has a bound"),
            (_, None) => Some("no transfer has a bound"),
            _ if compute.bounded < compute.time || bounded < time => {
                Some("part of the time has no bound: see the coverage columns")
            }
            _ => None,
        };
        Self {
            kind: "all".into(),
            launches: sum(|row| row.launches),
            sized: sum(|row| row.sized),
            pageable: sum(|row| row.pageable),
            bytes: linked().filter_map(|row| row.bytes).reduce(i64::saturating_add),
            wire: linked().map(|row| row.wire).fold(None, known),
            time: total(&union(spans)),
            simulated: sum(|row| row.simulated),
            bound,
            reason: reason.map(Cow::from),
            overlap: Some(overlap),
            ..Self::default()
        }
    }

    fn wire_rate(&self) -> Option<f64> {
        per_second(self.wire, self.sized_time)
    }

    /// Bounds of compute and links in ns, where both are known.
    fn bounds(&self) -> Option<(i64, i64)> {
        self.overlap.as_ref()?.compute_bound.zip(self.bound.and_then(rounded))
    }
}

/// What the compute kernels of a device do in the windows.
#[derive(Default)]
struct Compute {
    spans: Vec<Span>,
    time: i64,
    bounded: i64,
    bound: Option<i64>,
    flop: Option<f64>,
}

impl Compute {
    fn add(&mut self, engine: &Engine, placed: &Placed, row: &Activity) {
        self.spans.push(row.span);
        self.time = self.time.saturating_add(placed.time_ns);
        if let Some(flop) = engine.counts(placed.counts).and_then(proftool_roofline::Counts::flop_sum) {
            self.flop = Some(self.flop.unwrap_or(0.0) + flop);
        }
        if let Some(bound) = placed.bound {
            self.bounded = self.bounded.saturating_add(placed.time_ns);
            self.bound = Some(self.bound.unwrap_or(0).saturating_add(bound.ns));
        }
    }
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let (engine, stated) = (input.engine()?, Stated::read(input, &input.model()?.pass)?);
    let rows = input.of_devices(|model, device, sets| {
        sets.iter().flat_map(|set| of_device(model, engine, &stated, device, set)).collect()
    })?;
    Output::new(input.run, input.target, &rows)
        .int("rank", |row| Some(row.device.0))
        .int("device", |row| Some(row.device.1))
        .text("window", |row| Some(&row.window))
        .text("kind", |row| Some(&row.kind))
        .text("copy_kind", |row| row.way)
        .int("src_device", |row| row.src)
        .int("dst_device", |row| row.dst)
        .int("group_size", |row| row.ranks)
        .int("launches", |row| Some(row.launches))
        .int("sized_launches", |row| Some(row.sized))
        .int("pageable_launches", |row| Some(row.pageable))
        .int("bytes", |row| row.bytes)
        .int("wire_bytes", |row| row.wire.and_then(rounded))
        .text("formula_id", |row| row.formula)
        .int("time_ns", |row| Some(row.time))
        .int("simulated_ns", |row| Some(row.simulated))
        .float("bytes_per_s", |row| per_second(row.bytes.map(|bytes| bytes as f64), row.sized_time))
        .float("median_bytes_per_s", |row| row.median)
        .float("wire_bytes_per_s", Row::wire_rate)
        .float("roof_bytes_per_s", |row| row.roof.as_ref().map(|roof| roof.value))
        .text("roof", |row| row.roof.as_ref().map(|roof| roof.label.as_str()))
        .float("roof_ratio", |row| row.wire_rate().zip(row.roof.as_ref()).map(|(rate, roof)| rate / roof.value))
        .int("bound_ns", |row| row.bound.and_then(rounded))
        .int("busy_ns", |row| row.overlap.as_ref().map(|all| all.busy))
        .int("flop", |row| row.overlap.as_ref()?.flop.and_then(rounded))
        .float("arithmetic_intensity", |row| network_intensity(row.overlap.as_ref()?.flop?, row.wire?))
        .int("compute_bound_ns", |row| row.overlap.as_ref()?.compute_bound)
        .int("lower_bound_ns", |row| row.bounds().map(|(compute, link)| compute.max(link)))
        .int("upper_bound_ns", |row| row.bounds().map(|(compute, link)| compute.saturating_add(link)))
        .text("limiter", |row| row.bounds().map(|(compute, link)| if compute >= link { "compute" } else { "link" }))
        .float("compute_coverage_ratio", |row| row.overlap.as_ref()?.compute_coverage)
        .float("link_coverage_ratio", |row| row.overlap.as_ref()?.link_coverage)
        .text("reason", |row| row.reason.as_deref())
        .build(&TABLE)
}

/// The rows of one device in one window set, the longest transfers first and their sum last; none without transfers.
fn of_device(model: &Model, engine: &Engine, stated: &Stated, device: DeviceKey, set: &WindowSet) -> Vec<Row> {
    let mut kinds: BTreeMap<Key, Vec<Transfer>> = BTreeMap::new();
    let mut compute = Compute::default();
    for placed in launches_in(model, engine, device, set) {
        let Some(row) = placed.activity.and_then(|index| model.activities.get(index as usize)) else { continue };
        match Transfer::of(model, row, stated) {
            Some(transfer) => kinds.entry(transfer.key.clone()).or_default().push(transfer),
            None if row.class == Class::Compute => compute.add(engine, placed, row),
            None => {}
        }
    }
    let roofs = engine.roofs(device);
    let row =
        |(key, transfers): (&Key, &Vec<Transfer>)| Row::of_kind(key, transfers, ceiling(key, roofs, &stated.links));
    let mut rows: Vec<Row> = kinds.iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    let linked = kinds.iter().filter(|(key, _)| !key.local).flat_map(|(_, transfers)| transfers);
    let spans: Vec<Span> = linked.map(|transfer| transfer.span).collect();
    if !spans.is_empty() {
        rows.push(Row::of_all(&rows, &compute, &spans));
    }
    for row in &mut rows {
        (row.device, row.window) = (device, set.name.clone());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, shared_data};
    use crate::windows::Window;
    use proftool_trace::frame::{Tables, build, floats, int_column, ints, text_column, texts};
    use proftool_trace::tables;

    fn links(tables: &Tables) -> DataFrame {
        compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
    }

    /// The row of a kind between two devices.
    fn at(frame: &DataFrame, kind: &str, ends: (Option<i64>, Option<i64>)) -> usize {
        let kinds = texts(frame, "kind").unwrap();
        let (sources, targets) = (ints(frame, "src_device").unwrap(), ints(frame, "dst_device").unwrap());
        (0..kinds.len())
            .position(|row| kinds[row].as_deref() == Some(kind) && (sources[row], targets[row]) == ends)
            .unwrap()
    }

    #[test]
    fn copies_are_held_against_their_stated_link_by_the_union_of_their_times() {
        // 3000 bytes while 100..250 is covered: 20 GB/s of 40. One by one 10 and 20 GB/s. 3000 / 40e9 s = 75 ns.
        let fixture = Fixture::new()
            .kernel(0, 0, (0, 120))
            .copy(0, 1, (100, 200), 1, 1000)
            .copy(0, 1, (150, 250), 1, 2000)
            .simulated()
            .link(0, 1, 40e9);
        let frame = links(&fixture.tables());
        let row = at(&frame, "p2p", (Some(0), Some(1)));
        let int = |name, row: usize| ints(&frame, name).unwrap()[row];
        let float = |name, row: usize| floats(&frame, name).unwrap()[row];
        assert_eq!([int("launches", row), int("bytes", row), int("wire_bytes", row)], [2, 3000, 3000].map(Some));
        assert_eq!([int("time_ns", row), int("simulated_ns", row), int("bound_ns", row)], [150, 100, 75].map(Some));
        assert_eq!([float("bytes_per_s", row), float("median_bytes_per_s", row)], [Some(2e10), Some(1.5e10)]);
        assert_eq!(float("roof_ratio", row), Some(0.5));
        assert!(texts(&frame, "roof").unwrap()[row].as_deref().unwrap().contains("stated 40.0 GB/s"));
        let all = at(&frame, "all", (None, None));
        assert_eq!([int("busy_ns", all), int("time_ns", all), int("bound_ns", all)], [250, 150, 75].map(Some));
        assert_eq!(float("link_coverage_ratio", all), Some(1.0));
    }

    #[test]
    fn kv_copies_whose_devices_are_not_recorded_have_the_roof_of_their_direction() {
        // H100: PCIe 63.01538 GB/s, NVLink 450 GB/s, DRAM 3352.32 GB/s, of which a copy inside uses twice its bytes.
        let fixture = Fixture::new()
            .queue(0, 3, "kv")
            .gpu("NVIDIA H100 80GB HBM3", "sm_90")
            .copy(0, 3, (0, 2_000_000), 0, 63_015_380)
            .copy_kind("d2h")
            .copy(0, 3, (2_000_000, 2_004_000), 0, 3_352_320)
            .copy_kind("d2d")
            .copy(0, 3, (2_004_000, 2_006_000), 0, 450_000)
            .copy_kind("p2p");
        let frame = links(&fixture.tables());
        let kinds = texts(&frame, "kind").unwrap();
        assert_eq!(kinds.iter().flatten().collect::<Vec<_>>(), ["kv", "kv", "kv", "all"]);
        let ways = texts(&frame, "copy_kind").unwrap();
        assert_eq!(ways[..3].iter().flatten().collect::<Vec<_>>(), ["d2h", "d2d", "p2p"]);
        // 1 ms of 2; 2 us of 4 through memory; 1 us of 2. The sum leaves out what stays inside.
        assert_eq!(ints(&frame, "bound_ns").unwrap(), [1_000_000, 2000, 1000, 1_001_000].map(Some));
        assert_eq!(floats(&frame, "roof_ratio").unwrap()[0], Some(0.5));
    }

    #[test]
    fn a_collective_has_the_same_bytes_and_roof_here_and_in_the_engine() {
        // 1000 bytes: of 4 ranks 2 x 3/4 x 1000 = 1500, 3.33 ns at 450 GB/s; of 64 the network is not known; of an
        // unknown number neither.
        let mut fixture = Fixture::new().gpu("NVIDIA H100 80GB HBM3", "sm_90");
        for at in 0..3 {
            fixture = fixture.named_kernel("ncclDevKernel_AllReduce", 0, 0, (at * 10, at * 10 + 5));
        }
        let mut tables = fixture.tables();
        let columns = vec![
            text_column("pass", [Some("host"); 3]),
            int_column("rank", [Some(0); 3]),
            int_column("activity", [0, 1, 2].map(Some)),
            text_column("operation", [Some("all_reduce"); 3]),
            int_column("bytes_in", [Some(1000); 3]),
            int_column("bytes_out", [Some(1000); 3]),
            int_column("group_size", [Some(4), Some(64), None]),
        ];
        tables.set(&tables::COLLECTIVES, build(&tables::COLLECTIVES, columns).unwrap()).unwrap();
        let frame = links(&tables);
        let sizes = ints(&frame, "group_size").unwrap();
        let of = |size: Option<i64>| (0..sizes.len() - 1).find(|row| sizes[*row] == size).unwrap();
        let rows = [of(Some(4)), of(Some(64)), of(None)];
        let bounds = rows.map(|row| ints(&frame, "bound_ns").unwrap()[row]);
        assert_eq!(bounds, [Some(3), None, None]);
        let wire = rows.map(|row| ints(&frame, "wire_bytes").unwrap()[row]);
        assert_eq!(wire, [Some(1500), Some(1969), None]);
        let reasons = rows.map(|row| texts(&frame, "reason").unwrap()[row].clone().unwrap_or_default());
        assert!(reasons[1].contains("span machines") && reasons[2].contains("ranks is not recorded"), "{reasons:?}");
        let input = Input::new("run", "target", &tables, Window::Default);
        let engine = input.engine().unwrap();
        let placed: Vec<_> = engine.placed().iter().map(|placed| placed.bound.map(|bound| bound.ns)).collect();
        assert_eq!(placed, bounds);
        let label = engine.link(engine.placed()[0].link).map(|roof| roof.label.clone());
        assert_eq!(label, texts(&frame, "roof").unwrap()[rows[0]]);
    }

    #[test]
    fn a_stated_link_is_named_alike_here_and_in_the_engine() {
        let tables = Fixture::new().copy(0, 1, (0, 10), 1, 100).link(0, 1, 20e9).tables();
        let input = Input::new("run", "target", &tables, Window::Default);
        let engine = input.engine().unwrap();
        let label = engine.link(engine.placed()[0].link).map(|roof| roof.label.clone());
        assert_eq!(label.as_deref(), Some("link 0 to 1, stated 20.0 GB/s"));
        assert_eq!(texts(&links(&tables), "roof").unwrap()[0], label);
    }

    #[test]
    fn a_device_without_transfers_has_no_row() {
        assert_eq!(links(&Fixture::new().kernel(0, 0, (0, 9)).tables()).height(), 0);
    }

    #[test]
    fn a_copy_inside_one_memory_reads_and_writes_dram_and_stays_out_of_the_links() {
        // 1000 bytes in 10 ns: 200 GB/s through memory.
        let fixture = Fixture::new().copy(0, 1, (0, 10), 0, 1000).copy(0, 1, (10, 30), 1, 1000).link(0, 1, 100e9);
        let frame = links(&fixture.tables());
        let row = at(&frame, "d2d", (Some(0), Some(0)));
        assert_eq!(floats(&frame, "wire_bytes_per_s").unwrap()[row], Some(2e11));
        assert_eq!(texts(&frame, "formula_id").unwrap()[row].as_deref(), Some("read+write"));
        let all = at(&frame, "all", (None, None));
        assert_eq!(
            (ints(&frame, "launches").unwrap()[all], ints(&frame, "wire_bytes").unwrap()[all]),
            (Some(1), Some(1000))
        );
    }

    #[test]
    fn computing_and_transferring_could_end_between_the_larger_bound_and_their_sum() {
        let row = |bound, kind: &'static str| Row {
            kind: kind.into(),
            bound,
            wire: Some(10.0),
            time: 40,
            sized_time: 40,
            ..Row::default()
        };
        let compute = Compute { spans: vec![(0, 100)], time: 100, bounded: 50, bound: Some(30), flop: Some(200.0) };
        let all = Row::of_all(&[row(Some(25.0), "p2p"), row(Some(15.0), "all_reduce")], &compute, &[(60, 140)]);
        assert_eq!(all.bounds(), Some((30, 40)));
        assert_eq!((all.wire, all.overlap.as_ref().unwrap().busy), (Some(20.0), 140));
        assert_eq!(all.overlap.unwrap().compute_coverage, Some(0.5));
        let unknown = Row::of_all(&[row(None, "p2p")], &compute, &[(60, 140)]);
        assert_eq!((unknown.bounds(), unknown.reason.as_deref()), (None, Some("no transfer has a bound")));
    }

    #[test]
    fn peer_copies_over_nvlink_move_the_bytes_that_nsys_recorded() {
        let Some(path) = shared_data("nsys/v100_p2p_nvlink.schema3.0.sqlite") else { return };
        let frame = links(&proftool_import::into_memory(&path).unwrap().1);
        // Sums over CUPTI_ACTIVITY_KIND_MEMCPY by kind and devices; the copies of each do not overlap.
        let int = |name, row: usize| ints(&frame, name).unwrap()[row];
        for (ends, time) in [((0, 3), 8_187_422), ((3, 0), 7_831_541)] {
            let row = at(&frame, "p2p", (Some(ends.0), Some(ends.1)));
            let found = [int("launches", row), int("bytes", row), int("time_ns", row)];
            assert_eq!(found, [2002, 131_203_072, time].map(Some));
            // 131203072 bytes need 874687 ns of the six NVLinks of a V100 SXM2, 150 GB/s one way.
            assert_eq!(int("bound_ns", row), Some(874_687));
        }
        let local = texts(&frame, "kind").unwrap().iter().position(|kind| kind.as_deref() == Some("d2d")).unwrap();
        let found = [int("bytes", local), int("wire_bytes", local), int("time_ns", local)];
        assert_eq!(found, [131_072_000, 262_144_000, 6_622_811].map(Some));
    }

    #[test]
    fn collectives_count_bus_bytes_from_their_arguments() {
        let Some(path) = shared_data("kineto/a100_nccl_world2.json.gz") else { return };
        let frame = links(&proftool_import::into_memory(&path).unwrap().1);
        // 15 all-reduces of 76671096 floats in all, by the args of the kernels; 2(n-1)/n = 1 of two ranks.
        let row = at(&frame, "all_reduce", (None, None));
        let int = |name| ints(&frame, name).unwrap()[row];
        assert_eq!([int("launches"), int("group_size")], [15, 2].map(Some));
        assert_eq!([int("bytes"), int("wire_bytes")], [306_684_384, 306_684_384].map(Some));
    }
}
