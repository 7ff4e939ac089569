//! Holistic Trace Analysis 0.6.1, without its rounding of times to whole microseconds.

mod names;
mod queues;
mod times;

use std::collections::BTreeMap;
use std::path::Path;

use proftool_trace::frame::Tables;

use crate::number::Format;
use crate::page::Section;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Range, Trace};

/// What HTA computes in doubles of microseconds is compared to a tenth of a microsecond.
const TENTH_US: f64 = 0.1;

/// Half a unit of the second digit behind the point, to which HTA rounds percentages and statistics of gaps.
const CENT: f64 = 0.00501;

pub(crate) const WINDOW: &str = "window";

const SYNC: &str = "sync rows";

const CUT: &str = "whole µs";

const THRESHOLD: &str = "threshold";

const FRAME: &str = "Kineto's frame";

const DURATION: &str = "cut durations";

const TIES: &str = "ties";

const POINTS: &str = "points";

pub(crate) fn section() -> Section {
    let mut section = Section::new("HTA 0.6.1", "Kineto: HTA 0.6.1");
    section.paragraph(
        "Holistic Trace Analysis, run without its rounding of times (`HTA_DISABLE_NS_ROUNDING`). It computes in \
         doubles of microseconds, so times are compared to 0.1 µs; percentages and statistics of gaps, which it \
         rounds to two digits (kernel types: one), to half of the last digit; bandwidths to 1 part in 10^9. Where \
         HTA's rule is another than proftool's, the column *by the rule of HTA* holds proftool's tables evaluated by \
         that rule; a difference counts as explained only when that column is HTA's number. The rules:",
    );
    let rules = [
        (
            WINDOW,
            "with two or more `ProfilerStep` ranges HTA drops every device row whose launching call is not in the \
            file or begins at or after the last step. proftool keeps every row; a window is chosen by name.",
        ),
        (
            SYNC,
            "every row with a `stream` counts as GPU work in the temporal breakdown, so `cuda_sync` rows (a host or \
            stream that waits) lengthen the span and fill idle time. In proftool they are `sync` rows and no work.",
        ),
        (
            CUT,
            "the kernel type breakdown converts each piece between two starts or ends to an integer, so that each \
            piece loses what is behind the point.",
        ),
        (
            THRESHOLD,
            "a gap is `kernel_wait` when it is shorter than 30: documented as nanoseconds, compared in \
            microseconds. The column *proftool* is with the documented 30 ns, the other with 30 µs.",
        ),
        (
            DURATION,
            "the trace states durations in whole microseconds, cut, while its bandwidths were computed from \
            nanoseconds that it does not hold. A copy of d µs took between d and d + 1: HTA's value must lie between \
            the values of these two.",
        ),
        (
            TIES,
            "a launch and a start at the same microsecond are in no order; HTA sorts with an unstable sort. Its \
            value must lie between all launches first and all starts first.",
        ),
        (
            POINTS,
            "a bandwidth is the sum of the rates of all copies that run, taken whenever one begins or ends; the metric \
            `copies` has the rate of each copy. They are the same where no two copies of a kind run at once.",
        ),
    ];
    section.bullets(rules.map(|(label, text)| format!("*{label}*: {text}")));
    section.paragraph(
        "The metrics that give the column *proftool*: `idle` and `overlap` (temporal breakdown, hidden communication), \
         `gaps` and `idle` of one stream, `copies` (count, least, median and most bandwidth), `queue_depth`, `launch` \
         (calls and delays), `kernels` (statistics by name). Kernel types, statistics of gaps (from the end of the \
         row before to the next start), the other bandwidths and lists, which no metric gives, are computed in the test. Gaps, bandwidths and all lists are on the rows of HTA's \
         window. Not compared: `timing.csv` (how long HTA took), and the deviation of bandwidths where durations are cut.",
    );
    section
}

pub(crate) fn compare(section: &mut Section, golden: &Path, trace: &Trace, name: &str) {
    let folder = golden.join("hta");
    let pair = Pair::new(trace, &folder, name);
    section.heading(name);
    let mut syncs: BTreeMap<&str, usize> = BTreeMap::new();
    for row in pair.with_sync.iter().filter(|row| row.kind == "sync") {
        *syncs.entry(&row.name).or_default() += 1;
    }
    let syncs: Vec<String> = syncs.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    section.paragraph(&format!(
        "{} rows of work, {} of them in HTA's window. `sync` rows in it: {}.",
        Format::Whole.show(pair.work.len() as f64),
        Format::Whole.show(pair.kept.len() as f64),
        if syncs.is_empty() { "none".to_owned() } else { syncs.join(", ") }
    ));
    let mut checks = times::temporal(&pair);
    checks.extend(times::overlap(&pair));
    checks.extend(times::types(&pair));
    checks.extend(times::idle(&pair));
    checks.extend(queues::launch_sums(&pair));
    checks.extend(queues::depths(&pair));
    checks.extend(queues::bandwidth(&pair));
    section.checks("HTA", &checks);
    let mut lists = vec![
        names::kernels(&pair),
        names::grouped_kernels(&pair),
        times::default_types(&pair),
        queues::launches(&pair),
    ];
    lists.extend([times::gaps(&pair), queues::queues(&pair)]);
    lists.extend(names::annotations(&pair));
    section.lists(&lists, Some("µs"));
}

fn last_step(trace: &Trace) -> Option<i64> {
    let steps: Vec<&Range> = trace.ranges.iter().filter(|range| is_step(range)).collect();
    (steps.len() >= 2).then(|| steps.iter().map(|range| range.start).max()).flatten()
}

fn is_step(range: &Range) -> bool {
    range.domain.is_none() && range.name.starts_with("ProfilerStep#")
}

/// The rows of work that HTA keeps.
pub(crate) fn window(trace: &Trace) -> Vec<&Gpu> {
    let last = last_step(trace);
    trace.work().into_iter().filter(|row| kept(trace, row, last)).collect()
}

fn kept(trace: &Trace, row: &Gpu, last: Option<i64>) -> bool {
    last.is_none_or(|last| trace.call(row).is_some_and(|call| call.span.0 < last))
}

/// One trace beside HTA's files of it.
struct Pair<'a> {
    trace: &'a Trace,
    folder: &'a Path,
    name: &'a str,
    /// All rows of work.
    work: Vec<&'a Gpu>,
    /// Those that HTA keeps.
    kept: Vec<&'a Gpu>,
    /// The same and the `sync` rows.
    with_sync: Vec<&'a Gpu>,
}

impl<'a> Pair<'a> {
    fn new(trace: &'a Trace, folder: &'a Path, name: &'a str) -> Self {
        let last = last_step(trace);
        let with_sync: Vec<&Gpu> = trace.activities.iter().filter(|row| kept(trace, row, last)).collect();
        let kept = with_sync.iter().filter(|row| row.kind != "sync").copied().collect();
        Self { trace, folder, name, work: trace.work(), kept, with_sync }
    }

    fn sheet(&self, report: &str) -> Sheet {
        Sheet::open(&self.folder.join(format!("{}__{report}.csv", self.name)))
    }

    /// The tables with the rows of work that HTA keeps and that hold.
    fn tables(&self, wanted: impl Fn(&Gpu) -> bool) -> Tables {
        let last = last_step(self.trace);
        self.trace.only(|row| row.kind != "sync" && kept(self.trace, row, last) && wanted(row))
    }

    /// Which rule sets the two apart in sums over all rows.
    fn label(&self) -> &'static str {
        if self.kept.len() == self.work.len() { SYNC } else { WINDOW }
    }
}

fn us(ns: i64) -> f64 {
    ns as f64 / 1e3
}
