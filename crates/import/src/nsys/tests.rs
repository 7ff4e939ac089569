//! Real captures: what nsys itself says of them, and the same tables from every format.

use std::collections::BTreeMap;
use std::io::Read;

use proftool_trace::frame::{Tables, floats, ints, texts};
use proftool_trace::tables;

use crate::driver::into_memory;
use crate::fixture::{shared_data, shared_golden};

mod formats;
mod stats;

fn import(name: &str) -> Option<Tables> {
    let path = shared_data(&format!("nsys/{name}"))?;
    Some(into_memory(&path).unwrap_or_else(|error| panic!("{error}")).1)
}

/// The columns of an activity that tests look at.
#[derive(Clone, Debug)]
struct Work {
    kind: String,
    name: String,
    device: i64,
    start: i64,
    end: i64,
    call: Option<i64>,
    bytes: Option<i64>,
    copy_kind: Option<String>,
}

impl Work {
    fn length(&self) -> i64 {
        self.end - self.start
    }
}

fn activities(tables: &Tables) -> Vec<Work> {
    let frame = tables.get(&tables::ACTIVITIES);
    let (kinds, names) = (texts(frame, "kind").unwrap(), texts(frame, "name").unwrap());
    let (devices, calls) = (ints(frame, "device").unwrap(), ints(frame, "call").unwrap());
    let (starts, ends) = (ints(frame, "start_ns").unwrap(), ints(frame, "end_ns").unwrap());
    let (bytes, copies) = (ints(frame, "bytes").unwrap(), texts(frame, "copy_kind").unwrap());
    (0..frame.height())
        .map(|row| Work {
            kind: kinds[row].clone().unwrap(),
            name: names[row].clone().unwrap(),
            device: devices[row].unwrap(),
            start: starts[row].unwrap(),
            end: ends[row].unwrap(),
            call: calls[row],
            bytes: bytes[row],
            copy_kind: copies[row].clone(),
        })
        .collect()
}

fn issue(tables: &Tables, code: &str) -> Option<(i64, String)> {
    let frame = tables.get(&tables::ISSUES);
    let row = texts(frame, "code").unwrap().iter().position(|known| known.as_deref() == Some(code))?;
    Some((ints(frame, "count").unwrap()[row].unwrap(), texts(frame, "detail").unwrap()[row].clone().unwrap()))
}

/// Launches and total length of the kernels whose name contains `part`.
fn kernels(tables: &Tables, part: &str) -> (usize, i64) {
    let kernels: Vec<Work> =
        activities(tables).into_iter().filter(|work| work.kind == "kernel" && work.name.contains(part)).collect();
    (kernels.len(), kernels.iter().map(Work::length).sum())
}

#[test]
fn the_pair_of_training_captures_has_its_published_numbers() {
    let (Some(before), Some(after)) =
        (import("h100x2_train_before.schema3.25.sqlite"), import("h100x2_train_after.schema3.25.sqlite"))
    else {
        return;
    };
    assert_eq!((kernels(&before, "").0, kernels(&after, "").0), (4010, 3587));
    assert_eq!((kernels(&before, "SendRecv").0, kernels(&after, "SendRecv").0), (66, 62));
    assert_eq!((kernels(&before, "flash_fwd").0, kernels(&after, "flash_fwd").0), (68, 60));
    // Published in ms with two digits: 535.20 -> 488.84 and flash_fwd -31.56.
    let milliseconds = |tables: &Tables, part: &str| kernels(tables, part).1 as f64 / 1e6;
    assert!((milliseconds(&before, "") - 535.20).abs() < 0.005, "{}", milliseconds(&before, ""));
    assert!((milliseconds(&after, "") - 488.84).abs() < 0.005, "{}", milliseconds(&after, ""));
    let flash = milliseconds(&after, "flash_fwd") - milliseconds(&before, "flash_fwd");
    assert!((flash + 31.56).abs() < 0.005, "{flash}");
    // The capture is a cut-out: what was launched before it has no call.
    let unlaunched = activities(&before).iter().filter(|work| work.kind == "kernel" && work.call.is_none()).count();
    assert_eq!(unlaunched, 24);
    let domains = texts(before.get(&tables::RANGES), "domain").unwrap();
    assert_eq!(domains.iter().filter(|domain| domain.as_deref() == Some("domain 1")).count(), 462);
}

#[test]
fn peer_copies_over_nvlink_are_told_from_copies_staged_through_the_host() {
    let (Some(peer), Some(staged)) =
        (import("v100_p2p_nvlink.schema3.0.sqlite"), import("v100_staged_host.schema3.0.sqlite"))
    else {
        return;
    };
    let copies = |tables: &Tables, kind: &str, device: i64| {
        let all = activities(tables);
        let these = all.iter().filter(|work| work.copy_kind.as_deref() == Some(kind) && work.device == device);
        these.fold((0, 0), |(bytes, length), work| (bytes + work.bytes.unwrap(), length + work.length()))
    };
    assert_eq!(copies(&peer, "p2p", 0), (131_203_072, 8_187_422));
    assert_eq!(copies(&peer, "p2p", 3), (131_203_072, 7_831_541));
    assert_eq!((copies(&staged, "p2p", 0).0, copies(&staged, "p2p", 7).0), (0, 0));
    let devices = |tables: &Tables| ints(tables.get(&tables::DEVICES), "device").unwrap();
    assert_eq!((devices(&peer), devices(&staged)), (vec![Some(0), Some(3)], vec![Some(0), Some(7)]));
    // Synchronisation rows all say device 0; the second device's context tells where they belong.
    let syncs = |device| activities(&peer).iter().filter(|work| work.kind == "sync" && work.device == device).count();
    assert_eq!((syncs(0), syncs(3)), (2005, 1003));
}

#[test]
fn the_oldest_schema_reads_and_calls_recorded_twice_count_once() {
    let Some(tables) = import("a100_saxpy.schema2.9.sqlite") else { return };
    assert_eq!(kernels(&tables, "").0, 5);
    // 95 rows, of which 38 wrap calls for their call stacks.
    assert_eq!(tables.get(&tables::CALLS).height(), 57);
    assert!(activities(&tables).iter().all(|work| work.call.is_some()));
    let ranges = tables.get(&tables::RANGES);
    let domains = texts(ranges, "domain").unwrap();
    assert_eq!(ranges.height(), 22, "24 events, of which one names a domain and one a thread");
    assert_eq!(domains.iter().filter(|domain| domain.as_deref() == Some("MPI")).count(), 17);
    let devices = tables.get(&tables::DEVICES);
    assert_eq!(texts(devices, "arch").unwrap(), [Some("sm_80".to_owned())]);
}

#[test]
fn a_capture_without_kernels_says_why() {
    let Some(path) = shared_data("negatives/nsys_no_kernels_rtx5060ti.sqlite") else { return };
    let (_, tables) = into_memory(&path).unwrap();
    assert_eq!(tables.get(&tables::CALLS).height(), 3);
    let (_, detail) = issue(&tables, "no_kernels").unwrap();
    assert!(detail.contains("nsys says: Installed CUDA driver version (13.3) is not supported"), "{detail}");
    assert!(detail.contains("Not all CUDA events might have been collected"), "{detail}");
    assert!(issue(&tables, "nsys_data_loss").is_some());
}

#[test]
fn a_metric_that_overflowed_is_flagged() {
    let Some(tables) = import("gh200_gpu_metrics.schema3.7.sqlite.gz") else { return };
    let samples = tables.get(&tables::SAMPLES);
    assert_eq!(samples.height(), 1_188_814);
    assert_eq!(tables.get(&tables::COUNTER_DEFS).height(), 22);
    let below = floats(samples, "value").unwrap().iter().flatten().filter(|value| **value < 0.0).count();
    let (count, detail) = issue(&tables, "negative_metric").unwrap();
    assert_eq!(count as usize, below);
    assert!(detail.contains("Compute Warps in Flight [Avg]"), "{detail}");
    let starts: Vec<i64> = ints(samples, "start_ns").unwrap().into_iter().flatten().collect();
    let ends: Vec<i64> = ints(samples, "end_ns").unwrap().into_iter().flatten().collect();
    let without_length = starts.iter().zip(&ends).filter(|(start, end)| start == end).count();
    assert_eq!((without_length, ends[0]), (22, -1_417_916), "only the first of each metric covers no time");
}
