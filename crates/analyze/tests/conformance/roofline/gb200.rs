//! Three kernels of a GB200 whose raw page holds rates, worked out by hand.

use std::path::Path;

use super::pages::alone;
use super::placed::Placed;
use crate::check::List;
use crate::page::Section;

/// One launch by hand. FLOP = 0.27 (0.13, 0.13) FADD a cycle x elapsed cycles; DRAM bytes = read + write; L2 bytes =
/// 32 x cycles of LTS to XBAR a second x duration; L1 bytes = 128 x write-backs.
struct Launch {
    name: &'static str,
    time_ns: f64,
    flop: f64,
    dram: f64,
    l2: f64,
    l1: f64,
    /// Warp instructions.
    instructions: f64,
    /// sm, dram, lts and l1tex cycles per second.
    clocks: [f64; 4],
}

const LAUNCHES: [Launch; 3] = [
    Launch {
        name: "kernelA(float *, int)",
        time_ns: 5184.0,
        // 0.27 x 3787.59 = 1022.6.
        flop: 1023.0,
        dram: 6912.0,
        // 32 x 434413580.25 x 5.184e-6.
        l2: 72_064.0,
        l1: 4096.0,
        instructions: 578.0,
        clocks: [730_631_193.14, 3_975_308_641.98, 1_684_510_030.86, 730_631_193.14],
    },
    Launch {
        name: "kernelB(float *, int)",
        time_ns: 4864.0,
        // 0.13 x 3858.08 = 501.6.
        flop: 502.0,
        dram: 4608.0,
        // 32 x 705180921.05 x 4.864e-6.
        l2: 109_760.0,
        l1: 2048.0,
        instructions: 240.0,
        clocks: [793_190_573.06, 3_960_526_315.79, 1_685_546_875.0, 793_190_573.06],
    },
    Launch {
        name: "kernelC(float *, int)",
        time_ns: 4896.0,
        // 0.13 x 3906.32 = 507.8.
        flop: 508.0,
        dram: 4864.0,
        // 32 x 703022875.82 x 4.896e-6.
        l2: 110_144.0,
        l1: 2048.0,
        instructions: 240.0,
        clocks: [797_858_617.13, 3_970_588_235.29, 1_683_517_156.86, 797_858_617.13],
    },
];

pub(super) fn compare(section: &mut Section, folder: &Path) {
    section.heading("gb200_cuda_graph_full: by hand");
    section.paragraph(
        "Each launch of `jaxtoolbox_cuda_graph_pdl.raw-base.csv` alone: values that were worked out from the page's cells \
         and typed into the test. FLOP are FADD a cycle (printed with two digits) times cycles, rounded to a whole number; \
         peaks a cycle are 152 x 128 x 2 (FP32), 152 x 64 x 2 (FP64), 1984 (DRAM), 12032 (L2) and 152 x 128 (L1) bytes.",
    );
    let folder = folder.join("gb200_cuda_graph_full");
    let mut list =
        List::new("GB200: time, FLOP, warp instructions, bytes and intensity of three levels, observed roofs");
    for (page, by_hand) in alone(&folder.join("jaxtoolbox_cuda_graph_pdl.raw-base.csv"), &[]).iter().zip(&LAUNCHES) {
        launch(&mut list, &Placed::import(page.path(), "gb200"), by_hand);
    }
    section.lists(&[list], None);
}

fn launch(list: &mut List, placed: &Placed, by_hand: &Launch) {
    list.rows += placed.kernels.count();
    let mut compare = |what: &str, ours: Option<f64>, theirs: f64, tolerance: f64| {
        list.number(|| format!("{what} of {}", by_hand.name), ours.unwrap_or(f64::NAN), theirs, tolerance);
    };
    for (column, theirs) in [
        ("time_ns", by_hand.time_ns),
        ("flop", by_hand.flop),
        ("dram_bytes", by_hand.dram),
        ("l2_bytes", by_hand.l2),
        ("l1_bytes", by_hand.l1),
    ] {
        compare(column, placed.kernels.whole(0, column), theirs, 0.0);
    }
    let instructions = placed.instructions.whole(0, "instructions");
    compare("instructions", instructions, by_hand.instructions, 0.0);
    for (level, bytes) in [("DRAM", by_hand.dram), ("L2", by_hand.l2), ("L1", by_hand.l1)] {
        let (intensity, rate) = (by_hand.flop / bytes, bytes / by_hand.time_ns * 1e9);
        compare(level, placed.of_level(level, "arithmetic_intensity"), intensity, intensity * 1e-12);
        compare(level, placed.of_level(level, "bytes_per_s"), rate, rate * 1e-12);
    }
    let [sm, dram, l2, l1] = by_hand.clocks;
    for (name, peak) in [
        ("f32", 152.0 * 128.0 * 2.0 * sm),
        ("f64", 152.0 * 64.0 * 2.0 * sm),
        ("DRAM", 1984.0 * dram),
        ("L2", 12032.0 * l2),
        ("L1", 152.0 * 128.0 * l1),
    ] {
        compare(name, placed.roof("observed", name).map(|roof| roof.0), peak, peak * 1e-12);
    }
    let name = placed.kernels.text(0, "name").unwrap_or_default();
    list.text(|| "name".to_owned(), &name, by_hand.name);
}
