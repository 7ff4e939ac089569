//! Launches, one by one.

use std::collections::BTreeMap;

use super::metric::{self, Rounded, Stats};
use super::{number, of_kind};
use crate::check::List;
use crate::number::Numbers;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Launch by launch: the call, the wait from its end to the kernel's start where that is not negative, the kernel, and
/// from the call's start to the end of the later of the two.
pub(super) fn executions(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let name = |row: &Gpu| {
        let call = trace.call(row)?;
        let ids = [call.process, call.thread, Some(row.device)].map(|id| id.unwrap_or(-1).to_string()).join(" ");
        Some(format!("{ids} {} {}", call.name, row.name))
    };
    let mut groups: BTreeMap<String, [Vec<i64>; 4]> = BTreeMap::new();
    for row in of_kind(trace, &["kernel"]) {
        let (Some(call), Some(name)) = (trace.call(row), name(row)) else { continue };
        let group = groups.entry(name).or_default();
        group[0].push(call.span.1 - call.span.0);
        group[1].extend(Some(row.span.0 - call.span.1).filter(|wait| *wait >= 0));
        group[2].push(row.length());
        group[3].push(call.span.1.max(row.span.1) - call.span.0);
    }
    let (mut metric, mut rounded) = (metric::launches(trace, name), Rounded::default());
    for row in 0..sheet.rows.len() {
        let key = ["PID", "TID", "DevId", "API Name", "Kernel Name"].map(|column| sheet.text(row, column)).join(" ");
        let (Some(parts), Some([call, wait, kernel])) = (groups.remove(&key), metric.remove(&key)) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        let parts = parts.map(|values| values.into_iter().collect::<Numbers>());
        list.tally.equal += 1;
        number(list, || format!("Count of {key}"), call.count, sheet.text(row, "Count"));
        number(list, || format!("QCount of {key}"), wait.count, sheet.text(row, "QCount"));
        let stats = [call, wait, kernel, Stats::default()];
        for ((prefix, values), stats) in ["A", "Q", "K", "T"].into_iter().zip(&parts).zip(stats) {
            stats.spread(list, sheet, row, (&key, prefix, 1.0), values, &mut rounded);
        }
    }
    for key in groups.keys().chain(metric.keys()) {
        list.differs(|| format!("{key} is here only"));
    }
    rounded.note(list);
}
