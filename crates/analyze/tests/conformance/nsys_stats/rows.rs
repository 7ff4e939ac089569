//! The trace of the device, row by row.

use super::summary::{old_names, operation};
use super::{number, of_kind};
use crate::check::List;
use crate::number::printed;
use crate::sheet::Sheet;
use crate::trace::{Gpu, Trace};

/// Row by row.
pub(super) fn rows(list: &mut List, sheet: &Sheet, trace: &Trace) {
    let old = old_names(sheet);
    let mut ours: Vec<&Gpu> = of_kind(trace, &["kernel", "copy", "set"]).collect();
    ours.sort_by(|a, b| (a.span, a.correlation, &a.name).cmp(&(b.span, b.correlation, &b.name)));
    let text = |row: usize, column: &str| sheet.text(row, column).trim_start_matches("None").to_owned();
    let whole = |row: usize, column: &str| text(row, column).parse::<i64>().ok();
    let mut theirs: Vec<usize> = (0..sheet.rows.len()).collect();
    let order = |row: usize| {
        let (start, length) = (whole(row, "Start").unwrap(), whole(row, "Duration").unwrap());
        ((start, start + length), whole(row, "CorrId"), sheet.text(row, "Name").to_owned())
    };
    theirs.sort_by_cached_key(|row| order(*row));
    for _ in ours.len().min(theirs.len())..ours.len().max(theirs.len()) {
        list.differs(|| "a row is on one side only".to_owned());
    }
    let mut cut = 0;
    for (ours, row) in ours.into_iter().zip(theirs) {
        let place = |column: &str| format!("{column} of {} at {}", ours.name, ours.span.0);
        let mut exact = |column: &str, value: Option<i64>| {
            list.text(|| place(column), &format!("{value:?}"), &format!("{:?}", whole(row, column)));
        };
        exact("Start", Some(ours.span.0));
        exact("Duration", Some(ours.length()));
        exact("CorrId", ours.correlation);
        for (axis, (grid, block)) in ["X", "Y", "Z"].into_iter().zip(ours.grid.into_iter().zip(ours.block)) {
            exact(&format!("Grd{axis}"), grid);
            exact(&format!("Blk{axis}"), block);
        }
        exact("Reg/Trd", ours.registers);
        exact("Ctx", ours.context);
        exact("Strm", ours.queue);
        list.text(|| place("Name"), &operation(old, &ours.name), sheet.text(row, "Name"));
        let device = format!("{} ({})", trace.devices.get(&ours.device).map_or("", |name| name), ours.device);
        list.text(|| place("Device"), &device, sheet.text(row, "Device"));
        shared(list, sheet, row, ours);
        number(list, || place("Bytes"), ours.bytes.map(|bytes| bytes as f64 / 1e6), &text(row, "Bytes"));
        memories(list, ours, [text(row, "SrcMemKd"), text(row, "DstMemKd")]);
        throughput(list, ours, &text(row, "Throughput"), &mut cut);
    }
    if cut > 0 {
        list.explained(cut);
        list.note(format!(
            "Throughput of {cut} rows: nsys multiplies the bytes by the whole part of 10^9 / duration instead of \
             dividing; so computed, ours are the same."
        ));
    }
}

/// Static and dynamic shared memory are one column in `activities`.
fn shared(list: &mut List, sheet: &Sheet, row: usize, ours: &Gpu) {
    let parts = ["StcSMem", "DymSMem"].map(|column| printed(sheet.text(row, column)));
    match (ours.shared, parts) {
        (Some(ours), [Some((fixed, half)), Some((dynamic, _))]) => {
            list.number(|| format!("shared memory of row {row}"), ours as f64 / 1e6, fixed + dynamic, 2.0 * half);
        }
        (None, [None, None]) => list.tally.equal += 1,
        (ours, theirs) => list.differs(|| format!("shared memory of row {row}: {ours:?} here, {theirs:?} there")),
    }
}

/// A fill has its memory in the first of the two columns there, as a destination here.
fn memories(list: &mut List, ours: &Gpu, theirs: [String; 2]) {
    let [src, dst] = ours.memories.each_ref().map(|memory| memory.clone().unwrap_or_default());
    let ours = if ours.kind == "set" { [dst, src] } else { [src, dst] };
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        list.text(|| "memory kind".to_owned(), &ours, &theirs.to_lowercase());
    }
}

fn throughput(list: &mut List, ours: &Gpu, theirs: &str, cut: &mut usize) {
    let rate = ours.bytes.map(|bytes| bytes as f64 / ours.length() as f64 * 1e3);
    let whole = ours.bytes.map(|bytes| (bytes * (1_000_000_000 / ours.length())) as f64 / 1e6);
    match (rate, whole, printed(theirs)) {
        (Some(rate), _, Some((value, half))) if (rate - value).abs() <= half => list.tally.equal += 1,
        (_, Some(whole), Some((value, half))) if (whole - value).abs() <= half => *cut += 1,
        (None, None, None) => list.tally.equal += 1,
        other => list.differs(|| format!("throughput at {}: {other:?}", ours.span.0)),
    }
}
