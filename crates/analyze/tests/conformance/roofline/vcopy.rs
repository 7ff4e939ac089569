//! rocprofiler-compute's vcopy on an MI200 (and an MI300X): a copy of 2^20 doubles, three dispatches.

use std::path::Path;

use super::pages::alone;
use super::placed::Placed;
use crate::check::List;
use crate::page::Section;

/// 2^20 doubles, read once and written once.
const COMPULSORY: f64 = 2.0 * 8.0 * 1_048_576.0;

/// A dispatch by hand: duration, and HBM bytes = 64 x reads + 64 x writes (no request of 32 bytes among them).
struct Dispatch {
    time_ns: f64,
    reads: f64,
    writes: f64,
}

const DISPATCHES: [Dispatch; 3] = [
    Dispatch { time_ns: 20_480.0, reads: 131_086.0, writes: 131_072.0 },
    Dispatch { time_ns: 16_320.0, reads: 131_086.0, writes: 91_072.0 },
    Dispatch { time_ns: 15_520.0, reads: 131_087.0, writes: 91_113.0 },
];

/// Measured bandwidths of device 2, on which it ran (roofline.csv): HBM, L2, L1.
const MEASURED: [(&str, f64); 3] = [("DRAM", 1389.0227e9), ("L2", 5036.6968e9), ("L1", 9263.2725e9)];

pub(super) fn compare(section: &mut Section, folder: &Path) {
    section.heading("vcopy_MI200: counters and measured ceilings");
    section.paragraph(
        "Each dispatch of `pmc_perf.csv` alone, beside its `sysinfo.csv` and `roofline.csv`. HBM bytes by hand: 64 x 131,086 \
         reads + 64 x 131,072 writes = 16,778,112 in 20,480 ns, 819.24 GB/s, 58.98 % of the measured 1,389 GB/s (0.005 % \
         over the compulsory 16,777,216). The second and third write 91,072 and 91,113 requests only: 14,218,112 and \
         14,220,800 bytes, under the compulsory ones, and so they are reported: counted, not raised to what the copy must \
         move, and flagged by `triage` as `dirty_lines_in_cache`, since the L1s wrote 131,072 requests to the L2 (written \
         lines probably still stand in it when the dispatch ends).",
    );
    let path = folder.join("vcopy_MI200/pmc_perf.csv");
    let mut list = List::new("vcopy: FLOP, bytes, time, rates, bound, limiter");
    for (at, (page, by_hand)) in alone(&path, &["sysinfo.csv", "roofline.csv"]).iter().zip(&DISPATCHES).enumerate() {
        dispatch(&mut list, at, &Placed::import(page.path(), "mi210"), by_hand);
    }
    section.lists(&[list], None);
}

/// The same program on an MI300X, whose file has lost its times; reads of 128 bytes are counted by `BUBBLE` too.
pub(super) fn compare_mi300x(section: &mut Section, folder: &Path) {
    section.heading("vcopy_MI300X: HBM bytes");
    section.paragraph(
        "The same copy; the file has lost its times. By hand: 128 x 65,536 long reads + 64 x (reads - 65,536) + 64 x 131,072 \
         writes.",
    );
    let mut list = List::new("vcopy on an MI300X: HBM bytes, FLOP");
    let pages = alone(&folder.join("vcopy_MI300X/pmc_perf.csv"), &["sysinfo.csv"]);
    for (at, (page, reads)) in pages.iter().zip([65_775.0, 65_763.0, 65_758.0]).enumerate() {
        let placed = Placed::import(page.path(), "mi300x");
        list.rows += placed.kernels.count();
        // 65536 of the reads are of 128 bytes, the rest and the 131072 writes of 64.
        let hbm = 128.0 * 65_536.0 + 64.0 * (reads - 65_536.0) + 64.0 * 131_072.0;
        for (column, theirs) in [("dram_bytes", hbm), ("flop", 0.0)] {
            let ours = placed.kernels.whole(0, column).unwrap_or(f64::NAN);
            list.number(|| format!("{column} of dispatch {at}"), ours, theirs, 0.0);
        }
    }
    section.lists(&[list], None);
}

fn dispatch(list: &mut List, at: usize, placed: &Placed, by_hand: &Dispatch) {
    list.rows += placed.kernels.count();
    let hbm = 64.0 * (by_hand.reads + by_hand.writes);
    // 524288 accesses of 64 bytes; 131072 reads and as many writes of 64 bytes.
    let (l1, l2) = (33_554_432.0, 16_777_216.0);
    let times = [hbm / MEASURED[0].1, l2 / MEASURED[1].1, l1 / MEASURED[2].1].map(|seconds| seconds * 1e9);
    let bound = times.into_iter().fold(0.0, f64::max).round();
    let mut compare = |what: &str, ours: Option<f64>, theirs: f64, tolerance: f64| {
        list.number(|| format!("{what} of dispatch {at}"), ours.unwrap_or(f64::NAN), theirs, tolerance);
    };
    for (column, theirs) in [
        ("time_ns", by_hand.time_ns),
        ("flop", 0.0),
        ("dram_bytes", hbm),
        ("l2_bytes", l2),
        ("l1_bytes", l1),
        ("bound_ns", bound),
    ] {
        compare(column, placed.kernels.whole(0, column), theirs, 0.0);
    }
    let rate = hbm / by_hand.time_ns * 1e9;
    compare("bytes_per_s", placed.kernels.float(0, "bytes_per_s"), rate, rate * 1e-12);
    compare("share of HBM", placed.of_level("DRAM", "roof_ratio"), rate / MEASURED[0].1, 1e-12);
    compare("efficiency_ratio", placed.kernels.float(0, "efficiency_ratio"), bound / by_hand.time_ns, 1e-12);
    for (level, value) in MEASURED {
        compare(level, placed.roof("measured", level).map(|roof| roof.0), value, value * 1e-12);
    }
    let under = placed.kernels.whole(0, "dram_bytes").is_some_and(|bytes| bytes < COMPULSORY);
    list.text(|| format!("under the compulsory bytes, dispatch {at}"), &under.to_string(), &(at > 0).to_string());
    let text = |column: &str| placed.kernels.text(0, column).unwrap_or_default();
    let cause = if under { "dirty_lines_in_cache" } else { "" };
    list.text(|| format!("triage of dispatch {at}"), &text("triage"), cause);
    list.text(|| format!("limiter of dispatch {at}"), &text("limiter"), "memory");
    list.text(|| format!("level of dispatch {at}"), &text("limiter_level"), "DRAM");
}
