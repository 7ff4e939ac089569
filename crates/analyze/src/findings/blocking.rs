//! Copies and fills whose calls block the host: the rules `cuda_memcpy_sync` and `cuda_memset_sync` of Nsight Systems.

use std::collections::HashMap;

use super::sheet::{Line, Sheet};
use super::wording::{count, percent, time};
use super::{Finding, Rule, matters};
use crate::Error;
use crate::classes::Kind;
use crate::metrics::idle::{Cutter, Place};
use crate::metrics::{Input, calls};
use crate::model::{Activity, CopyKind, DeviceKey, Memory, Model};
use crate::operators::{Span, clip_set, gaps_in, intersect, into_union, subtract, total};
use crate::windows::Scope;

/// Bytes up to which a copy from pageable memory to the device is staged at once and the call returns (the limit of the
/// rule of Nsight Systems; CUDA documents 64 KB).
const STAGED_BYTES: i64 = 64_000;

pub(super) const SYNC_MEMCPY: Rule = Rule {
    code: "sync_memcpy",
    doc: "Copies by a blocking call keep the host from launching, and the device computes nothing meanwhile.",
    apply: |input| blocking(input, &COPY),
};

pub(super) const SYNC_MEMSET: Rule = Rule {
    code: "sync_memset",
    doc: "Fills of pinned or managed memory by a blocking call, while the device computes nothing.",
    apply: |input| blocking(input, &FILL),
};

struct Blocking {
    code: &'static str,
    chosen: fn(&Activity) -> bool,
    /// What the name of the call must contain, in lower case.
    call: &'static str,
    what: &'static str,
    advice: &'static str,
}

static COPY: Blocking = Blocking {
    code: "sync_memcpy",
    chosen: is_blocking_copy,
    call: "memcpy",
    what: "the copies",
    advice: "Use the asynchronous call with pinned memory on a queue of its own, and wait only where the result is read.",
};

static FILL: Blocking = Blocking {
    code: "sync_memset",
    chosen: is_blocking_fill,
    call: "memset",
    what: "the fills",
    advice: "Use cudaMemsetAsync, or fill host memory on the host.",
};

/// Copies inside a device do not block the host, nor do small ones from pageable memory to it.
fn is_blocking_copy(row: &Activity) -> bool {
    let staged = row.copy_kind == Some(CopyKind::H2d)
        && row.src_memory == Some(Memory::Pageable)
        && row.bytes.is_some_and(|bytes| bytes <= STAGED_BYTES);
    row.kind == Kind::Copy && matches!(row.copy_kind, Some(CopyKind::H2d | CopyKind::D2h)) && !staged
}

fn is_blocking_fill(row: &Activity) -> bool {
    row.kind == Kind::Set && matches!(row.dst_memory, Some(Memory::Pinned | Memory::Managed))
}

/// The calls of one name that blocked, of one device.
#[derive(Default)]
struct Calls {
    count: i64,
    open: Vec<Span>,
    /// The copies or fills that they made.
    rows: Vec<Span>,
}

/// What blocking calls cost in one window set.
#[derive(Clone, Copy)]
struct Lost {
    open: i64,
    /// The copies run, and no kernel does.
    running: i64,
    /// The device is idle, because the next launch comes behind the call.
    waiting: i64,
    span: i64,
}

fn blocking(input: &Input, about: &Blocking) -> Result<Vec<Finding>, Error> {
    let (model, sheet) = (input.model()?, Sheet::of(input, &calls::METRIC)?);
    let mut found = Vec::new();
    for device in model.device_keys() {
        let names = by_name(model, device, about);
        if names.is_empty() {
            continue;
        }
        let kernels = model.of_device(device).iter().filter(|row| matches!(row.kind, Kind::Kernel | Kind::Graph));
        let kernels = into_union(kernels.map(|row| row.span).collect());
        for set in input.sets(Scope::Device(device))? {
            let late = late(model, device, &set.spans);
            for (name, calls) in &names {
                let open = clip_set(&into_union(calls.open.clone()), &set.spans);
                let rows = clip_set(&into_union(calls.rows.clone()), &set.spans);
                let (running, waiting) = (total(&subtract(&rows, &kernels)), total(&intersect(&late, &open)));
                let lost = Lost { open: total(&open), running, waiting, span: total(&set.spans) };
                let line = sheet.lines().find(|line| {
                    line.is("name", name) && line.int("rank") == Some(device.0) && line.is("window", &set.name)
                });
                let size = running.saturating_add(waiting);
                let Some(line) = line.filter(|_| matters(size, lost.span)) else { continue };
                found.push(of_calls(about, line, name, calls.count, device, lost));
            }
        }
    }
    Ok(found)
}

/// When the device was idle because the launching call of the next work had not begun (idle's host_wait).
fn late(model: &Model, device: DeviceKey, windows: &[Span]) -> Vec<Span> {
    let Some(place) = Place::all(model, device).into_iter().next() else { return Vec::new() };
    let mut cutter = Cutter::new(model, &place.work);
    let mut late = Vec::new();
    for gap in gaps_in(&place.busy, windows) {
        if let Some(next) = cutter.next(gap) {
            late.extend(cutter.host_wait(next, gap));
        }
    }
    into_union(late)
}

fn of_calls(about: &Blocking, line: Line, name: &str, number: i64, device: DeviceKey, lost: Lost) -> Finding {
    let size = lost.running.saturating_add(lost.waiting);
    let keys = &["rank", "window", "api", "name"];
    let finding = Finding {
        title: format!(
            "{name} blocks the host {}: device {} computes nothing for {} because of that ({} of the window)",
            count(number, "time", "times"),
            device.1,
            time(size),
            percent(size, lost.span)
        ),
        evidence: format!(
            "The calls are open for {} of the window; {} run for {} without a kernel beside, and for {} the device waits for \
             a launch that comes behind the call",
            time(lost.open),
            about.what,
            time(lost.running),
            time(lost.waiting)
        ),
        advice: about.advice,
        device: Some(device.1),
        ..Finding::cost(about.code, line, keys, size, lost.span)
    };
    finding.limits(
        "The row counts all calls of that name in the span of the host's calls, the size only those that block.",
    )
}

/// The blocking calls of a device by name.
fn by_name(model: &Model, device: DeviceKey, about: &Blocking) -> Vec<(String, Calls)> {
    let mut blocks: HashMap<u32, bool> = HashMap::new();
    let mut names: HashMap<u32, Calls> = HashMap::new();
    let rows = model.of_device(device).iter().filter(|row| (about.chosen)(row));
    let mut rows: Vec<(u32, Span)> = rows.filter_map(|row| Some((row.call?, row.span))).collect();
    rows.sort_unstable();
    // A call that made several copies counts once: their rows share its index.
    for rows in rows.chunk_by(|a, b| a.0 == b.0) {
        let call = &model.calls[rows[0].0 as usize];
        let blocks = *blocks.entry(call.name).or_insert_with(|| {
            let name = model.names.text(call.name).to_ascii_lowercase();
            name.contains(about.call) && !name.contains("async")
        });
        if blocks {
            let calls = names.entry(call.name).or_default();
            calls.count += 1;
            calls.open.push(call.span);
            calls.rows.extend(rows.iter().map(|row| row.1));
        }
    }
    let mut names: Vec<_> = names.into_iter().map(|(name, calls)| (model.names.text(name).to_owned(), calls)).collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names
}
