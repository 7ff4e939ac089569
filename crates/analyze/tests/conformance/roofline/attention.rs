//! NERSC's metrics of a flash attention on an A100, and what their authors computed from them.

use std::collections::BTreeMap;
use std::path::Path;

use super::pages::alone;
use super::placed::Placed;
use crate::check::List;
use crate::page::Section;
use crate::sheet::Sheet;

/// Numbers of the A100 (SXM, 40 GB), typed in from its datasheet and not read from a spec: FLOP/s are SMs x FLOP a
/// cycle x 1.41 GHz, the L2 gives 5120 bytes a cycle, the L1 of each SM 128, the memory 5120 bits of 2.43 Gbit/s.
const F64: f64 = 108.0 * 64.0 * 1.41e9;
const F32: f64 = 108.0 * 128.0 * 1.41e9;
const F16: f64 = 108.0 * 512.0 * 1.41e9;
const MATRIX_F16: f64 = 108.0 * 2048.0 * 1.41e9;
const DRAM: f64 = 5120.0 / 8.0 * 2.43e9;
const L2: f64 = 5120.0 * 1.41e9;
const L1: f64 = 108.0 * 128.0 * 1.41e9;

/// Half a nanosecond, and the rounding of a double.
const HALF_NS: f64 = 0.500_000_1;

pub(super) fn compare(section: &mut Section, folder: &Path) {
    let folder = folder.join("a100_attention_nersc_metrics");
    let (path, sheet) = (
        folder.join("bert_flashattn_nsight.csv"),
        Sheet::open(&folder.join("bert_flashattn_nsight_processed_res.csv")),
    );
    let launches: Vec<Placed> = alone(&path, &[]).iter().map(|page| Placed::import(page.path(), "a100-40gb")).collect();
    assert_eq!(launches.len(), sheet.rows.len());
    section.heading("a100_attention_nersc_metrics: each launch, and the page as a whole");
    let binary = (0..sheet.rows.len()).filter(|row| divides_by_gibi(&sheet, *row)).count();
    section.paragraph(&format!(
        "`bert_flashattn_nsight_processed_res.csv` against the metrics `roofline`, `roofline_flop` and `roofline_level` of \
         the page imported with `--hardware a100-40gb`. The metrics sum the launches of a kernel, so each launch stands \
         alone in a page cut from the file, and the file as it is once more by kernel. FLOP and bytes are equal, \
         intensities to a part in 10^14, times to half a nanosecond a launch (results are whole nanoseconds), rates within \
         what that rounding allows. The description of the file says that its GFLOP/s divide by 2^30 in places: \
         {binary} of these {} do, all are FLOP / time / 10^9.",
        2 * sheet.rows.len()
    ));
    let lists =
        [each(&launches, &sheet), whole(&Placed::import(&path, "a100-40gb"), &sheet), bounds(&launches, &sheet)];
    section.lists(&lists, None);
}

/// Whether one of the two rates of a row is FLOP / time / 2^30.
fn divides_by_gibi(sheet: &Sheet, row: usize) -> bool {
    [("all FLOPs", "GFLOP/s"), ("TC FLOPs", "TC GFLOP/s")].iter().any(|(flop, rate)| {
        let gibi = sheet.number(row, flop) / sheet.number(row, "Time") / 2_f64.powi(30);
        gibi > 0.0 && (sheet.number(row, rate) / gibi - 1.0).abs() < 1e-3
    })
}

/// FLOP, bytes, intensities, time and rates of each launch.
fn each(launches: &[Placed], sheet: &Sheet) -> List {
    let mut list = List::new("each launch: FLOP, bytes, intensity, time, FLOP/s");
    list.rows = launches.len();
    let mut infinite = 0;
    for (row, placed) in launches.iter().enumerate() {
        let theirs = |column: &str| sheet.number(row, column);
        let own = |column: &str| placed.kernels.whole(0, column).unwrap_or(f64::NAN);
        let cores = ["f64", "f32", "f16"].map(|precision| placed.ops(precision)).iter().sum::<i64>();
        for (column, ours) in [
            ("all FLOPs", own("flop")),
            ("CC FLOPs", cores as f64),
            ("TC FLOPs", placed.ops("matrix_f16") as f64),
            ("dram__bytes.sum", own("dram_bytes")),
            ("lts__t_bytes.sum", own("l2_bytes")),
            ("l1tex__t_bytes.sum", own("l1_bytes")),
        ] {
            list.number(|| format!("{column} of launch {row}"), ours, theirs(column), 0.0);
        }
        for (column, level) in [("AI HBM", "DRAM"), ("AI L2", "L2"), ("AI L1", "L1")] {
            let (ours, theirs) = (placed.of_level(level, "arithmetic_intensity"), theirs(column));
            if ours.is_none() && theirs.is_infinite() && own("dram_bytes") == 0.0 {
                infinite += 1;
                list.explained(1);
            } else {
                let place = || format!("{column} of launch {row}");
                list.number(place, ours.unwrap_or(f64::NAN), theirs, theirs.abs() * 1e-14);
            }
        }
        let ns = theirs("Time") * 1e9;
        list.number(|| format!("time of launch {row}"), own("time_ns"), ns, HALF_NS);
        let rate = placed.kernels.float(0, "flop_per_s").unwrap_or(f64::NAN);
        for (column, ours) in [("GFLOP/s", rate), ("TC GFLOP/s", placed.of_precision("matrix_f16", "flop_per_s"))] {
            let rounding = theirs(column) * HALF_NS / (ns - 1.0);
            list.number(|| format!("{column} of launch {row}"), ours / 1e9, theirs(column), rounding);
        }
        list.text(|| format!("spec of launch {row}"), &placed.spec().unwrap_or_default(), "a100-40gb");
    }
    list.note(format!("{infinite} launches moved no DRAM bytes: FLOP / bytes is infinite there, null here."));
    list
}

/// The launches of a kernel, summed.
fn whole(placed: &Placed, sheet: &Sheet) -> List {
    let mut sums: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
    for (row, fields) in sheet.rows.iter().enumerate() {
        let sum = sums.entry(fields.last().unwrap()).or_default();
        let values = [
            1.0,
            sheet.number(row, "all FLOPs"),
            sheet.number(row, "dram__bytes.sum"),
            sheet.number(row, "Time") * 1e9,
        ];
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    let mut list = List::new("the page by kernel: launches, FLOP, DRAM bytes, time");
    list.rows = placed.kernels.count();
    list.number(|| "kernels".to_owned(), list.rows as f64, sums.len() as f64, 0.0);
    for row in 0..list.rows {
        let name = placed.kernels.text(row, "name").unwrap();
        let Some(theirs) = sums.get(name.as_str()) else {
            list.differs(|| format!("{name} is here only"));
            continue;
        };
        let tolerances = [0.0, 0.0, 0.0, HALF_NS * theirs[0]];
        for (at, column) in ["launches", "flop", "dram_bytes", "time_ns"].into_iter().enumerate() {
            let ours = placed.kernels.whole(row, column).unwrap_or(f64::NAN);
            list.number(|| format!("{column} of {name}"), ours, theirs[at], tolerances[at]);
        }
    }
    list
}

/// Bound and limiter from the authors' counts and the peaks above.
fn bounds(launches: &[Placed], sheet: &Sheet) -> List {
    let mut list = List::new("each launch: bound and limiter by hand");
    list.rows = launches.len();
    for (row, placed) in launches.iter().enumerate() {
        let count = |column: &str| sheet.number(row, column);
        let cores = |letter: char| {
            let of = |kind: &str| count(&format!("sm__sass_thread_inst_executed_op_{letter}{kind}_pred_on.sum"));
            of("add") + of("mul") + 2.0 * of("fma")
        };
        let math = cores('d') / F64 + cores('f') / F32 + cores('h') / F16 + count("TC FLOPs") / MATRIX_F16;
        let levels =
            [("dram__bytes.sum", DRAM, "DRAM"), ("lts__t_bytes.sum", L2, "L2"), ("l1tex__t_bytes.sum", L1, "L1")];
        let times = levels.map(|(column, peak, level)| (count(column) / peak, level));
        let memory = times.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let bound = 1e9 * math.max(memory.0);
        let (limiter, level) = if math > memory.0 { ("compute", None) } else { ("memory", Some(memory.1)) };
        let text = |column: &str| placed.kernels.text(0, column);
        let ours = placed.kernels.whole(0, "bound_datasheet_ns").unwrap_or(f64::NAN);
        list.number(|| format!("bound of launch {row}"), ours, bound, HALF_NS);
        list.text(|| format!("limiter of launch {row}"), &text("limiter").unwrap_or_default(), limiter);
        let level = level.unwrap_or_default();
        list.text(|| format!("level of launch {row}"), &text("limiter_level").unwrap_or_default(), level);
    }
    list.note(
        "peaks of the A100 SXM 40 GB are typed into the test (SMs x FLOP a cycle x 1.41 GHz, 1555.2 GB/s, L2 5120 and L1 \
         128 x 108 bytes a cycle), counts are the authors'.",
    );
    list
}
