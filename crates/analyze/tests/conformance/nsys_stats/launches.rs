//! Launches, one by one.

use std::collections::BTreeMap;

use super::{number, of_kind, spread};
use crate::check::List;
use crate::number::Numbers;
use crate::sheet::Sheet;
use crate::trace::Trace;

/// Launch by launch: the call, the wait from its end to the kernel's start where that is not negative, the kernel, and
/// from the call's start to the end of the later of the two.
pub(super) fn executions(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let mut groups: BTreeMap<String, [Vec<i64>; 4]> = BTreeMap::new();
    for row in of_kind(trace, &["kernel"]) {
        let Some(call) = trace.call(row) else { continue };
        let ids = [call.process, call.thread, Some(row.device)].map(|id| id.unwrap_or(-1).to_string()).join(" ");
        let group = groups.entry(format!("{ids} {} {}", call.name, row.name)).or_default();
        group[0].push(call.span.1.max(row.span.1) - call.span.0);
        group[1].push(call.span.1 - call.span.0);
        group[2].extend(Some(row.span.0 - call.span.1).filter(|wait| *wait >= 0));
        group[3].push(row.length());
    }
    for row in 0..sheet.rows.len() {
        let key = ["PID", "TID", "DevId", "API Name", "Kernel Name"].map(|column| sheet.text(row, column)).join(" ");
        let Some(parts) = groups.remove(&key) else {
            list.differs(|| format!("{key} is there only"));
            continue;
        };
        let parts = parts.map(|values| values.into_iter().collect::<Numbers>());
        list.tally.equal += 1;
        number(list, || format!("Count of {key}"), Some(parts[0].count() as f64), sheet.text(row, "Count"));
        number(list, || format!("QCount of {key}"), Some(parts[2].count() as f64), sheet.text(row, "QCount"));
        for (prefix, values) in ["T", "A", "Q", "K"].into_iter().zip(&parts) {
            spread(list, sheet, row, (&key, prefix, 1.0), values);
        }
    }
    for key in groups.keys() {
        list.differs(|| format!("{key} is here only"));
    }
}
