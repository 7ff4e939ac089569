//! Activities, calls, devices and queues.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proftool_trace::rows::{Activity, Call, Device, Queue};

use super::{ABSENT, Clock, Content, optional};
use crate::Error;
use crate::raw::Import;

/// Names and kinds of copies by CUPTI's number (`CUpti_ActivityMemcpyKind`); the names are those of nsys.
const COPIES: [(&str, Option<&str>); 11] = [
    ("[CUDA memcpy Unknown]", None),
    ("[CUDA memcpy Host-to-Device]", Some("h2d")),
    ("[CUDA memcpy Device-to-Host]", Some("d2h")),
    ("[CUDA memcpy Host-to-Array]", Some("h2d")),
    ("[CUDA memcpy Array-to-Host]", Some("d2h")),
    ("[CUDA memcpy Array-to-Array]", Some("d2d")),
    ("[CUDA memcpy Array-to-Device]", Some("d2d")),
    ("[CUDA memcpy Device-to-Array]", Some("d2d")),
    ("[CUDA memcpy Device-to-Device]", Some("d2d")),
    ("[CUDA memcpy Host-to-Host]", Some("h2h")),
    ("[CUDA memcpy Peer-to-Peer]", Some("p2p")),
];
/// By `CUpti_ActivityMemoryKind`.
const MEMORIES: [Option<&str>; 8] = [
    None,
    Some("pageable"),
    Some("pinned"),
    Some("device"),
    Some("device"),
    Some("managed"),
    Some("device"),
    Some("managed"),
];
/// By `CUpti_ActivitySynchronizationType`.
const SYNCS: [&str; 5] = ["Sync", "Event Sync", "Stream Wait Event", "Stream Sync", "Context Sync"];

fn at<T: Copy>(table: &[T], index: i64) -> T {
    usize::try_from(index).ok().and_then(|index| table.get(index)).copied().unwrap_or(table[0])
}

/// The name of a runtime function without the version of its symbol: `cudaMalloc_v3020` is `cudaMalloc`.
fn without_version(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((stem, digits)) if digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

/// The calls by start, numbered in this order; and how many had no time.
pub(crate) fn calls<'a>(content: &'a Content, clock: &Clock) -> (Vec<Call<'a>>, u64) {
    let mut untimed = 0;
    let mut calls = Vec::new();
    for [driver, correlation, process, thread, start, end, name, _] in content.rows::<8>(*b"call") {
        if start == ABSENT {
            untimed += 1;
            continue;
        }
        calls.push(Call {
            process: optional(process),
            thread: optional(thread),
            api: if driver == 1 { "driver" } else { "runtime" },
            name: without_version(content.text(name).unwrap_or("(name lost)")),
            start_ns: clock.session(start),
            end_ns: clock.session(end),
            correlation: Some(correlation).filter(|correlation| *correlation > 0),
            ..Call::default()
        });
    }
    calls.sort_by_key(|call| (call.start_ns, call.api == "driver"));
    calls.iter_mut().enumerate().for_each(|(id, call)| call.id = id as i64);
    (calls, untimed)
}

/// Reads activities of all kinds.
struct Activities<'a> {
    content: &'a Content,
    clock: &'a Clock,
    process: i64,
    names: HashMap<i64, &'a str>,
    contexts: HashMap<i64, i64>,
    launched: HashMap<i64, i64>,
    found: Vec<Activity<'a>>,
    untimed: u64,
}

/// The activities by start, numbered in this order; and how many had no time. `names` are those of kernels, by number.
pub(crate) fn activities<'a>(
    content: &'a Content,
    names: &'a BTreeMap<i64, String>,
    clock: &'a Clock,
    process: i64,
    calls: &[Call<'_>],
) -> (Vec<Activity<'a>>, u64) {
    // The runtime's call counts before the driver's inside it.
    let by_correlation = |api: &'static str| {
        calls.iter().filter(move |call| call.api == api).filter_map(|call| Some((call.correlation?, call.id)))
    };
    let mut reading = Activities {
        content,
        clock,
        process,
        names: names.iter().map(|(number, name)| (*number, name.as_str())).collect(),
        contexts: content.rows::<2>(*b"cont").map(|[context, device]| (context, device)).collect(),
        launched: by_correlation("driver").chain(by_correlation("runtime")).collect(),
        found: Vec::new(),
        untimed: 0,
    };
    reading.read();
    let Activities { mut found, untimed, .. } = reading;
    found.sort_by_key(|activity| (activity.start_ns, activity.end_ns));
    found.iter_mut().enumerate().for_each(|(id, activity)| activity.id = id as i64);
    (found, untimed)
}

impl<'a> Activities<'a> {
    fn read(&mut self) {
        let content = self.content;
        for row in content.rows::<17>(*b"kern") {
            let name = self.names.get(&row[6]).copied().unwrap_or("(name lost)");
            let of = |index: usize| optional(row[index]);
            self.add(&row[..6], "kernel", name, |activity| Activity {
                grid_x: of(7),
                grid_y: of(8),
                grid_z: of(9),
                block_x: of(10),
                block_y: of(11),
                block_z: of(12),
                registers_per_thread: of(13),
                shared_bytes: of(14),
                graph_id: of(15),
                graph_node: of(16),
                ..activity
            });
        }
        for row in content.rows::<14>(*b"copy") {
            let (name, copy_kind) = at(&COPIES, row[7]);
            let peer = row[10] != ABSENT && row[11] != ABSENT && row[10] != row[11];
            let (name, copy_kind) = if peer { COPIES[10] } else { (name, copy_kind) };
            self.add(&row[..6], "copy", name, |activity| Activity {
                bytes: optional(row[6]),
                copy_kind,
                src_memory: at(&MEMORIES, row[8]),
                dst_memory: at(&MEMORIES, row[9]),
                src_device: optional(row[10]),
                dst_device: optional(row[11]),
                graph_id: optional(row[12]),
                graph_node: optional(row[13]),
                ..activity
            });
        }
        for row in content.rows::<11>(*b"mset") {
            self.add(&row[..6], "set", "[CUDA memset]", |activity| Activity {
                bytes: optional(row[6]),
                dst_memory: at(&MEMORIES, row[8]),
                graph_id: optional(row[9]),
                graph_node: optional(row[10]),
                ..activity
            });
        }
        for [correlation, context, stream, start, end, kind, _] in content.rows::<7>(*b"sync") {
            let device = self.contexts.get(&context).copied().unwrap_or(0);
            self.add(&[correlation, device, context, stream, start, end], "sync", at(&SYNCS, kind), |activity| {
                activity
            });
        }
        for row in content.rows::<7>(*b"grap") {
            let graph_id = optional(row[6]);
            self.add(&row[..6], "graph", "CUDA graph", |activity| Activity { graph_id, ..activity });
        }
    }

    /// Adds an activity of these first fields: correlation, device, context, stream, start, end.
    fn add(
        &mut self,
        fields: &[i64],
        kind: &'static str,
        name: &'a str,
        with: impl FnOnce(Activity<'a>) -> Activity<'a>,
    ) {
        if fields[4] == ABSENT {
            self.untimed += 1;
            return;
        }
        let correlation = Some(fields[0]).filter(|correlation| *correlation > 0);
        self.found.push(with(Activity {
            process: Some(self.process),
            device: fields[1],
            context: optional(fields[2]),
            queue: optional(fields[3]),
            kind,
            name,
            start_ns: self.clock.session(fields[4]),
            end_ns: self.clock.session(fields[5]),
            correlation,
            call: correlation.and_then(|correlation| self.launched.get(&correlation).copied()),
            ..Activity::default()
        }));
    }
}

/// Takes the devices and queues on which something ran or was counted.
pub(crate) fn devices(content: &Content, found: &[Activity<'_>], import: &mut Import<'_>) -> Result<(), Error> {
    let mut used: BTreeSet<(i64, Option<i64>)> =
        found.iter().map(|activity| (activity.device, activity.queue)).collect();
    let contexts: HashMap<i64, i64> = content.rows::<2>(*b"cont").map(|[context, device]| (context, device)).collect();
    used.extend(content.rows::<11>(*b"crng").map(|row| (row[1], None)));
    let priority = |[context, stream, priority]: [i64; 3]| Some(((*contexts.get(&context)?, stream), priority));
    let priorities: HashMap<_, _> = content.rows::<3>(*b"strm").filter_map(priority).collect();
    let described: BTreeMap<i64, [i64; 9]> = content.rows::<9>(*b"devi").map(|row| (row[0], row)).collect();
    let numbers: BTreeSet<i64> = used.iter().map(|(device, _)| *device).collect();
    for row in numbers.iter().filter_map(|number| described.get(number)) {
        let arch = optional(row[2]).zip(optional(row[3])).map(|(major, minor)| format!("sm_{major}{minor}"));
        let uuid = optional(row[7]).zip(optional(row[8])).map(|(high, low)| uuid(high, low));
        import.device(&Device {
            device: row[0],
            kind: "cuda",
            name: content.text(row[1]).unwrap_or("CUDA device"),
            uuid: uuid.as_deref(),
            arch: arch.as_deref(),
            sm_count: Some(row[4]).filter(|count| *count > 0),
            memory_bytes: Some(row[5]).filter(|bytes| *bytes > 0),
            clock_hz: Some(row[6]).filter(|hz| *hz > 0),
            ..Device::default()
        })?;
    }
    for (device, queue) in used.iter().filter_map(|(device, queue)| Some((*device, (*queue)?))) {
        import.put(&Queue { device, queue, role: None, priority: priorities.get(&(device, queue)).copied() })?;
    }
    Ok(())
}

/// As NVIDIA's tools print it.
fn uuid(high: i64, low: i64) -> String {
    let (high, low) = (high.cast_unsigned(), low.cast_unsigned());
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!("GPU-{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_symbols_are_cut() {
        let names = ["cudaMalloc_v3020", "cudaLaunchKernelExC_v11060", "cuMemAlloc_v2", "cuInit"];
        assert_eq!(names.map(without_version), ["cudaMalloc", "cudaLaunchKernelExC", "cuMemAlloc_v2", "cuInit"]);
    }

    #[test]
    fn a_uuid_is_printed_as_nvidia_does() {
        let printed = "GPU-01020304-0506-0708-090a-0b0c0d0e0f10";
        assert_eq!(uuid(0x0102_0304_0506_0708, 0x090a_0b0c_0d0e_0f10), printed);
    }
}
