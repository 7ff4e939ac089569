//! What ncu's own rule about the roofline (`SOLFPRoofline`) says, beside ratios to the peaks that the page states.

use std::path::Path;

use super::pages::{Page, alone};
use super::placed::Placed;
use crate::check::{Check, List};
use crate::number::Format;
use crate::page::Section;

/// What the rule's sentence states.
struct Statement {
    /// Peak of singles over peak of doubles.
    ratio: f64,
    /// Whole percentages of the peak, singles and doubles.
    percent: [f64; 2],
    /// Whether it says "close to", which it does of what is not zero and under 1 %.
    close: [bool; 2],
}

/// Reads "... is 64:1. The workload achieved close to 1% of this device's fp32 peak performance and 0% of its fp64 ...".
fn statement(text: &str) -> Option<Statement> {
    let text = text.to_ascii_lowercase();
    // The number that ends there, and whether the words in front are "close to".
    let before = |end: usize| {
        let start = text[..end].rfind(|letter: char| !letter.is_ascii_digit())? + 1;
        Some((text[start..end].parse::<f64>().ok()?, text[..start].trim_end().ends_with("close to")))
    };
    let single = before(text.find("% of this device's fp32")?)?;
    let double = before(text.find("% of its fp64")?)?;
    let ratio = before(text.find(":1")?)?.0;
    Some(Statement { ratio, percent: [single.0, double.0], close: [single.1, double.1] })
}

/// The statements of a page, launch by launch.
fn statements(page: &Page) -> Vec<Statement> {
    let is_rule = |row: &&Vec<String>| page.field(row, "Rule Name") == "SOLFPRoofline";
    let rules = page.rows.iter().filter(is_rule);
    rules.map(|row| statement(page.field(row, "Rule Description")).unwrap()).collect()
}

pub(super) fn compare(section: &mut Section, folder: &Path) {
    section.heading("ncu's rule SOLFPRoofline");
    section.paragraph(
        "The rule prints the achieved FP32 and FP64 share of the page's own peak as whole percentages, and the ratio of the \
         two peaks. Ours: FLOP/s over the peak at the observed clock (`roofline_flop.observed_ratio`, of pages with rates \
         only the mean rate over it), equal when it rounds to the printed number; *close to* is what the rule says of a \
         share that is not zero and under 1 %; the ratio of the observed roofs, and that of the datasheet's. Ten RTX 5090 \
         kernels (the other ten have no stored page; all state rates only, and FP64 of all is zero) and three of the GB200, \
         whose counters stand in a raw page beside the rule's. The rule of `conv2d_roofline_result.csv` \
         (A100, 1 % and 0 %) stands alone in its file, without any counter: only its ratio of peaks can be held against the \
         spec.",
    );
    let mut named =
        List::new("RTX 5090 kernels: FP32 and FP64 were counted, and the roofs of the efficiency are named");
    let mut words = List::new("close to: said of the shares between 0 and 1 %");
    let mut checks = rtx5090(&folder.join("rtx5090_ocr_inference"), &mut named, &mut words);
    checks.extend(gb200(&folder.join("gb200_cuda_graph_full"), &mut words));
    checks.extend(conv2d(&folder.join("a100_attention_nersc_metrics/conv2d_roofline_result.csv")));
    section.checks("ncu", &checks);
    section.lists(&[words, named], None);
}

/// A percentage that the rule rounded.
fn percent(kernel: &str, what: &str, ours: f64, stated: f64) -> Check {
    Check::float(format!("{kernel}: {what}, %"), 100.0 * ours, stated, Format::Fixed(2), 0.5)
}

/// Whether the share is what the rule calls close to a percentage.
fn wording(words: &mut List, kernel: &str, share: f64, stated: bool) {
    words.rows += 1;
    let ours = share > 0.0 && share < 0.01;
    words.text(|| format!("{kernel}, {share}"), &ours.to_string(), &stated.to_string());
}

/// The ratio of the peaks that the page states, and of the datasheet's.
fn ratios(kernel: &str, placed: &Placed, stated: f64) -> impl Iterator<Item = Check> {
    ["observed", "datasheet"]
        .map(|source| {
            let roof = |precision: &str| placed.roof(source, precision).map_or(f64::NAN, |roof| roof.0);
            let quantity = format!("{kernel}: FP32 peak / FP64 peak, {source}");
            Check::float(quantity, roof("f32") / roof("f64"), stated, Format::Fixed(3), stated * 1e-3)
        })
        .into_iter()
}

fn rtx5090(folder: &Path, named: &mut List, words: &mut List) -> Vec<Check> {
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.to_string_lossy().ends_with("RooflineChart.csv"));
    pages.sort();
    let mut checks = Vec::new();
    for path in pages {
        let kernel = &path.file_name().unwrap().to_str().unwrap()[..11];
        let (page, placed) = (Page::open(&path), Placed::import(&path, "rtx-5090"));
        let rule = &statements(&page)[0];
        checks.extend(shares(kernel, &placed, rule, words));
        checks.extend(ratios(kernel, &placed, rule.ratio));
        named.rows += 1;
        // A type without a row has no peak beside it.
        let mut types = vec!["f32", "f64"];
        types.retain(|precision| placed.of_precision(precision, "peak_observed_flop_per_s") > 0.0);
        named.text(|| format!("{kernel}, types"), &types.join(" "), "f32 f64");
        let roofs = ["roof_source", "roof_bandwidth", "roof_datasheet", "roof_observed"];
        let missing = roofs.into_iter().find(|column| placed.kernels.text(0, column).is_none());
        named.text(|| format!("{kernel}, roofs"), missing.unwrap_or_default(), "");
    }
    checks
}

/// The shares of the FP32 and FP64 peak, and the words that the rule has for them.
fn shares(kernel: &str, placed: &Placed, rule: &Statement, words: &mut List) -> Vec<Check> {
    let of = |(at, precision): (usize, &str)| {
        let share = placed.of_precision(precision, "observed_ratio");
        wording(words, kernel, share, rule.close[at]);
        percent(kernel, &precision.replace('f', "FP"), share, rule.percent[at])
    };
    ["f32", "f64"].into_iter().enumerate().map(of).collect()
}

fn gb200(folder: &Path, words: &mut List) -> Vec<Check> {
    let rules = statements(&Page::open(&folder.join("jaxtoolbox_cuda_graph_pdl.details.csv")));
    let mut checks = Vec::new();
    let launches = alone(&folder.join("jaxtoolbox_cuda_graph_pdl.raw-base.csv"), &[]);
    for (page, rule) in launches.iter().zip(&rules) {
        let placed = Placed::import(page.path(), "gb200");
        let name = placed.kernels.text(0, "family").unwrap_or_default();
        let kernel = format!("GB200 {name}");
        checks.extend(shares(&kernel, &placed, rule, words));
        checks.extend(ratios(&kernel, &placed, rule.ratio));
    }
    checks
}

fn conv2d(path: &Path) -> Vec<Check> {
    let rule = &statements(&Page::open(path))[0];
    let spec = proftool_hardware::gpu::find("a100-40gb").unwrap();
    let peak = |precision: &str| spec.peak(precision, false).map_or(f64::NAN, |row| row.value);
    let quantity = "A100 conv2d: FP32 peak / FP64 peak, datasheet";
    vec![Check::float(quantity, peak("f32") / peak("f64"), rule.ratio, Format::Fixed(3), rule.ratio * 1e-3)]
}
