//! RTX 5070: DRAM rates of seven kernels and the theoretical ceilings, as the authors print them.

use std::path::Path;

use super::placed::Placed;
use crate::check::Check;
use crate::number::{Format, printed};
use crate::page::Section;

/// Clocks that the authors' card reports, and those of the datasheet that the spec follows.
const REPORTED_HZ: f64 = 2.625e9;
const MEMORY_CLOCKS: f64 = 14.001 / 14.0;

const CLOCKS: &str = "the card's clocks";

pub(super) fn compare(section: &mut Section, folder: &Path) {
    let folder = folder.join("rtx5070_kernels");
    section.heading("rtx5070_kernels: DRAM GB/s and ceilings");
    section.paragraph(&format!(
        "`roofline.bytes_per_s` and `efficiency_ratio` (against 672 GB/s) of pages imported with `--hardware rtx-5070`, and \
         the ceilings of `roofs`. *{CLOCKS}*: the authors' card reports 2.625 GHz and 14.001 GHz, the datasheet states a \
         boost clock of 2.512 GHz and 28 Gbit/s; the spec's values at the reported clocks are theirs."
    ));
    let table = std::fs::read_to_string(folder.join("table_ncu_counters.tex")).unwrap();
    let (mut checks, mut last) = (Vec::new(), None);
    for line in table.lines().filter(|line| line.contains("\\_") || line.starts_with("saxpy")) {
        let cells: Vec<String> =
            line.trim_end_matches("\\\\").split('&').map(|cell| cell.trim().replace('\\', "")).collect();
        let placed = Placed::import(&folder.join(format!("ncu_{}.csv", cells[0])), "rtx-5070");
        let (theirs, half) = printed(cells.last().unwrap()).unwrap();
        let rate = placed.kernels.float(0, "bytes_per_s").unwrap_or(f64::NAN) / 1e9;
        let quantity = |what: &str| format!("{}: {what}", cells[0]);
        checks.push(Check::float(quantity("DRAM GB/s"), rate, theirs, Format::Fixed(2), half));
        let share = placed.kernels.float(0, "efficiency_ratio").unwrap_or(f64::NAN);
        // The bound is rounded to a nanosecond: a part in 10^5 of the shortest.
        let tolerance = 100.0 * half / 672.0 + 1e-3;
        let share = Check::float(quantity("DRAM, % of 672"), 100.0 * share, theirs / 6.72, Format::Fixed(2), tolerance);
        checks.push(share);
        last = Some(placed);
    }
    checks.extend(ceilings(&last.unwrap()));
    section.checks("authors", &checks);
}

/// Theoretical ceilings of `peaks.csv`.
fn ceilings(placed: &Placed) -> [Check; 2] {
    let roof = |name: &str| placed.roof("datasheet", name).unwrap_or((f64::NAN, None));
    let ((flop, hz), (bytes, _)) = (roof("f32"), roof("DRAM"));
    let scaled = flop * REPORTED_HZ / hz.unwrap_or(f64::NAN);
    [
        Check::float("FP32 ceiling, TFLOP/s", flop / 1e12, 32.256, Format::Fixed(3), 1e-3).or_by(CLOCKS, scaled / 1e12),
        Check::float("DRAM ceiling, GB/s", bytes / 1e9, 672.048, Format::Fixed(3), 1e-3)
            .or_by(CLOCKS, bytes * MEMORY_CLOCKS / 1e9),
    ]
}
