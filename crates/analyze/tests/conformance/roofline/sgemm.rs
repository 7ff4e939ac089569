//! Matrix products on an A100, counted under the `smsp` spelling: FLOP against 2 M N K.

use std::path::Path;

use super::pages::{Page, alone};
use super::placed::Placed;
use crate::check::Check;
use crate::number::Format;
use crate::page::Section;

/// A thread an element: A is M x K and filled by (640, 1280) blocks of (32, 32), B is K x N by (1280, 640), C is M x N by
/// (1280, 1280).
const M: f64 = 1280.0 * 32.0;
const N: f64 = 1280.0 * 32.0;
const K: f64 = 640.0 * 32.0;

/// What no FLOP of the program explains.
const CONSTANTS: &str = "half FMA";

pub(super) fn compare(section: &mut Section, folder: &Path) {
    section.heading("a100_sgemm: FLOP of a product of 40960 x 20480 by 20480 x 40960");
    section.paragraph(&format!(
        "Sizes from the grids of the three launches of each page. *{CONSTANTS}*: the program computes in singles only, the \
         page counts half-precision FMA instructions too, and as many tensor instructions as these make warps (an A100 runs \
         them on the tensor pipe; compilers load constants with them). They stand in `flop` as counted, 2 FLOP a thread and \
         512 a tensor instruction, `formula_note` warns, and `triage` names them where they are over 1 %; without them it is \
         2 M N K. Time is cycles / (cycles per \
         second) to half a nanosecond."
    ));
    let mut checks = Vec::new();
    for file in ["gemm", "sgemm", "share_tile"] {
        let launches = alone(&folder.join(format!("a100_sgemm/{file}.csv")), &[]);
        let placed = Placed::import(launches[2].path(), "a100-40gb-pcie");
        checks.extend(product(file, &placed));
        checks.push(time(file, &placed, &Page::open(&launches[2].path().join(format!("{file}.csv")))));
        let fill = Placed::import(launches[0].path(), "a100-40gb-pcie");
        // One FMA an element of A.
        checks.push(Check::exact(format!("{file}.csv: FLOP of filling A"), fill.ops("f32"), (2.0 * M * K) as i64));
    }
    section.checks("by hand", &checks);
}

/// Cycles over cycles per second.
fn time(file: &str, placed: &Placed, page: &Page) -> Check {
    let cell = |metric: &str| {
        let row = page.rows.iter().find(|row| page.field(row, "Metric Name") == metric).unwrap();
        page.field(row, "Metric Value").replace(',', "").parse::<f64>().unwrap()
    };
    let seconds = cell("smsp__cycles_elapsed.avg") / cell("smsp__cycles_elapsed.avg.per_second");
    let ours = placed.kernels.whole(0, "time_ns").unwrap_or(f64::NAN);
    Check::float(format!("{file}.csv: time of the product, ns"), ours, seconds * 1e9, Format::Whole, 0.500_1)
}

fn product(file: &str, placed: &Placed) -> Vec<Check> {
    let name = placed.kernels.text(0, "family").unwrap_or_default();
    let [half, tensor] = ["f16", "matrix_f16"].map(|precision| placed.ops(precision));
    let flop = placed.kernels.int(0, "flop").unwrap_or_default();
    let quantity = |what: &str| format!("{file}.csv, {name}: {what}");
    let whole =
        |what: &str, ours: i64, theirs: f64| Check::float(quantity(what), ours as f64, theirs, Format::Whole, 0.0);
    let note = placed.kernels.text(0, "formula_note").unwrap_or_default();
    assert!(note.contains("half-precision FMA of the vector units"), "{note}");
    // A warp of 32 half FMA, 2 FLOP each, is one tensor instruction of 512 FLOP.
    let of_warps = half / 2 / 32 * 512;
    let rest = if tensor == of_warps { flop - half - tensor } else { flop };
    // More than a percent too many FLOP never stand alone, though the point is below its roof.
    let overstated = (tensor == of_warps && tensor > flop / 100).then_some("vector_in_matrix_pipe");
    assert_eq!(placed.kernels.text(0, "triage").as_deref(), overstated, "{file}.csv");
    let dram = placed.of_level("DRAM", "arithmetic_intensity").unwrap_or(f64::NAN);
    let bytes = placed.kernels.whole(0, "dram_bytes").unwrap_or(f64::NAN);
    vec![
        whole("FLOP in singles", placed.ops("f32"), 2.0 * M * N * K),
        whole("all FLOP", flop, 2.0 * M * N * K).or_by(CONSTANTS, rest as f64),
        Check::float(quantity("FLOP / DRAM byte"), dram, 2.0 * M * N * K / bytes, Format::Fixed(3), 1e-9)
            .or_by(CONSTANTS, rest as f64 / bytes),
    ]
}
