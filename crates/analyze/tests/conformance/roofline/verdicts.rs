//! RTX 5090: what bounds each kernel, beside the authors' verdicts about the same pages.

use std::fmt::Write as _;
use std::path::Path;

use super::placed::Placed;
use crate::check::{Check, List};
use crate::number::Format;
use crate::page::Section;
use crate::published::Counters;
use crate::sheet::Sheet;

/// Numbers of the RTX 5090, typed in from its whitepaper: SMs x FLOP a cycle x 2.407 GHz, 512 bits of 28 Gbit/s.
const MATRIX_BF16: f64 = 170.0 * 512.0 * 2.407e9;
const DRAM: f64 = 512.0 / 8.0 * 28e9;

/// The points by which the two utilisations must differ for a verdict (`analyze_ncu_dir.py` of the authors).
const MARGIN: f64 = 5.0;

/// One kernel whose page is stored.
struct Kernel {
    id: String,
    row: usize,
    placed: Placed,
    /// SM, DRAM and L2 throughput of the page, %.
    busy: [f64; 3],
}

impl Kernel {
    fn read(folder: &Path, sheet: &Sheet, row: usize) -> Option<Self> {
        let id = sheet.text(row, "kernel_id").to_owned();
        let path = folder.join(format!("{id}__ncu.details.csv"));
        if !path.exists() {
            return None;
        }
        let page = Counters::import(&path);
        let busy = ["Compute (SM) Throughput", "DRAM Throughput", "L2 Cache Throughput"]
            .map(|metric| page.display(0, "GPU Speed Of Light Throughput", metric));
        Some(Self { placed: Placed::import(&path, "rtx-5090"), id, row, busy })
    }

    /// `kernel_0001`.
    fn short(&self) -> &str {
        &self.id[..11]
    }

    fn whole(&self, column: &str) -> f64 {
        self.placed.kernels.whole(0, column).unwrap_or(f64::NAN)
    }

    /// What the tensor FLOP and the DRAM bytes take at their peaks, as shares of the kernel's time.
    fn shares(&self) -> [f64; 2] {
        let ns = self.whole("time_ns");
        [self.placed.ops("matrix_bf16") as f64 / MATRIX_BF16, self.whole("dram_bytes") / DRAM].map(|s| s * 1e9 / ns)
    }
}

/// The authors' verdict from two utilisations.
fn by_margin(sm: f64, dram: f64) -> &'static str {
    match sm - dram {
        difference if difference > MARGIN => "compute_bound",
        difference if difference < -MARGIN => "memory_bound",
        _ => "balanced",
    }
}

pub(super) fn compare(section: &mut Section, folder: &Path) {
    let folder = folder.join("rtx5090_ocr_inference");
    let sheet = Sheet::open(&folder.join("analysis__metrics_summary.csv"));
    let kernels: Vec<Kernel> = (0..sheet.rows.len()).filter_map(|row| Kernel::read(&folder, &sheet, row)).collect();
    section.heading("rtx5090_ocr_inference: DRAM GB/s, FLOP/s and intensity");
    section.paragraph(
        "DRAM GB/s of the ten kernels whose pages are stored, counted bytes over duration, within the two digits that the page \
         prints of both; tensor FLOP/s and intensity of the three kernels for which the authors state them. *unread unit*: they \
         divide by the number in the page's column of values without its unit, Mbyte; ours in megabytes give their \
         intensity.",
    );
    section.checks("authors", &points(&kernels, &sheet));
    section.heading("rtx5090_ocr_inference: which limit, and the authors' verdicts");
    section.paragraph(&format!(
        "The ten kernels whose pages are stored; of the other ten there are only the columns, from which the rule below \
         gives the stated verdict in every row. The two ask different questions. The limiter is the roof that takes longest \
         for what the page counts: BF16 tensor FLOP / {:.1} TFLOP/s against DRAM bytes / {:.0} GB/s (datasheet; the shares \
         of the kernel's time beside it are computed here from peaks typed into the test, and the larger has to be the \
         limiter). The authors ask which unit is busier: ncu's SM throughput (the busiest pipe of the SM, of any \
         instruction) minus DRAM throughput, both in %, over +5 is compute bound, under -5 memory bound, else balanced. A \
         roofline has no *balanced*. Explained is a difference only where this rule on the imported percentages gives the \
         stated verdict and the limiter is what the shares say. The tensor pipe of kernel_0005 is less busy by ncu than by \
         the roof: ncu seems to count 1024 FLOP a cycle and SM (12,532,580,352 FLOP / 224,652 cycles / 170 SMs / 1024 = \
         32.05 %), the rate of FP16 accumulation; BF16 accumulates in FP32, at half of it.",
        MATRIX_BF16 / 1e12,
        DRAM / 1e9
    ));
    table(section, &kernels, &sheet);
    section.lists(&[rule(&sheet)], None);
}

/// The page prints bytes in units of 10^3 and times in microseconds, two digits of each.
fn bandwidth(kernel: &Kernel, sheet: &Sheet) -> Check {
    let (ours, theirs) = (
        kernel.placed.kernels.float(0, "bytes_per_s").unwrap_or(f64::NAN) / 1e9,
        sheet.number(kernel.row, "memory_throughput_gbs"),
    );
    let mut printed = kernel.whole("dram_bytes");
    while printed >= 1000.0 {
        printed /= 1000.0;
    }
    let rounding = 0.005 / printed + 5.0 / kernel.whole("time_ns");
    let quantity = format!("{}: DRAM GB/s", kernel.short());
    Check::float(quantity, ours, theirs, Format::Fixed(2), 0.005 + theirs * rounding)
}

fn points(kernels: &[Kernel], sheet: &Sheet) -> Vec<Check> {
    let mut checks: Vec<Check> = kernels.iter().map(|kernel| bandwidth(kernel, sheet)).collect();
    for kernel in kernels {
        let Ok(theirs) = sheet.text(kernel.row, "roofline_flops_per_s").parse::<f64>() else { continue };
        let rate = kernel.placed.kernels.float(0, "flop_per_s").unwrap_or(f64::NAN);
        let quantity = |what: &str| format!("{}: {what}", kernel.short());
        let check = Check::float(quantity("TFLOP/s"), rate / 1e12, theirs / 1e12, Format::Fixed(6), theirs * 1e-24);
        checks.push(check);
        let theirs = sheet.number(kernel.row, "roofline_ai_flops_per_byte");
        let ours = kernel.placed.kernels.float(0, "arithmetic_intensity").unwrap_or(f64::NAN);
        let by_mega = kernel.whole("flop") / (kernel.whole("dram_bytes") / 1e6);
        let check = Check::float(quantity("FLOP/byte"), ours, theirs, Format::Fixed(2), theirs * 1e-12);
        checks.push(check.or_by("unread unit", by_mega));
    }
    checks
}

fn table(section: &mut Section, kernels: &[Kernel], sheet: &Sheet) {
    section.text.push_str(
        "| kernel | limiter | tensor FLOP, % of time | DRAM bytes, % of time | authors | SM, % | DRAM, % | result |\n",
    );
    section.text.push_str("|---|---|---:|---:|---|---:|---:|---|\n");
    for kernel in kernels {
        let stated = sheet.text(kernel.row, "classification");
        let limiter = kernel.placed.kernels.text(0, "limiter").unwrap_or_default();
        let ([math, memory], [sm, dram, _]) = (kernel.shares(), kernel.busy);
        let by_shares = if math > memory { "compute" } else { "memory" };
        let result = if stated.strip_suffix("_bound") == Some(&limiter) && limiter == by_shares {
            section.tally.equal += 1;
            "equal".to_owned()
        } else if limiter == by_shares && by_margin(sm, dram) == stated {
            section.tally.explained += 1;
            reason(math, kernel.busy)
        } else {
            section.tally.unexplained += 1;
            section.open.push(format!("{}: {}: {limiter} here, {stated} there", section.source, kernel.id));
            "**UNEXPLAINED**".to_owned()
        };
        let _ = writeln!(
            section.text,
            "| {} | {limiter} | {:.1} | {:.1} | {stated} | {sm:.2} | {dram:.2} | {result} |",
            kernel.short(),
            100.0 * math,
            100.0 * memory
        );
    }
    section.text.push('\n');
}

/// Why the two differ where both follow from their rules.
fn reason(math: f64, [sm, dram, l2]: [f64; 3]) -> String {
    let points = (sm - dram).abs();
    let why = if sm.max(dram) < MARGIN {
        "both units are nearly idle, and bytes are all that the page counts of it".to_owned()
    } else if l2 > 60.0 {
        format!(
            "no tensor FLOP, so that DRAM is the only roof that the page counts anything of; the L2 is {l2:.2} % busy"
        )
    } else if math > 0.0 {
        "the SM is busy with more than the tensor FLOP".to_owned()
    } else {
        "no tensor FLOP: the SM is busy with what no FLOP roof counts".to_owned()
    };
    format!("explained: {points:.2} points apart; {why}")
}

/// The authors' rule on their own columns: it has to be the one that they used.
fn rule(sheet: &Sheet) -> List {
    let mut list = List::new("the rule on the authors' columns of all twenty kernels: verdict");
    list.rows = sheet.rows.len();
    for row in 0..sheet.rows.len() {
        let [sm, dram] = ["sm_throughput_pct", "dram_throughput_pct"].map(|column| sheet.number(row, column));
        let place = || sheet.text(row, "kernel_id").to_owned();
        list.text(place, by_margin(sm, dram), sheet.text(row, "classification"));
    }
    list
}
