//! The lines about NVIDIA: driver, libraries of CUDA, GPUs and their modes.

use std::fs;
use std::path::PathBuf;

use proftool_workloads::Error;
use proftool_workloads::cuda::{self, Gpu, Version};

use super::{DEGRADED, MISSING, OK, Row, row};
use crate::ceilings::store;
use crate::ceilings::watch::{self, Modes};

const INSTALL: &str = "install the driver of the GPU and load it: `modprobe nvidia`";
const INSTALL_CUPTI: &str =
    "`pip install nvidia-cuda-cupti-cu12` in the active virtual environment, or install the CUDA toolkit";

/// Every line.
pub(super) fn rows() -> Vec<Row> {
    let driver = cuda::driver();
    let newest = driver.as_ref().ok().copied();
    let mut rows =
        vec![kernel_driver(&super::text("/proc/driver/nvidia/version")), library("CUDA driver", driver, None)];
    rows.push(library("NVRTC", cuda::nvrtc(), newest));
    rows.push(library("cuBLASLt", cuda::cublaslt(), newest));
    rows.push(cupti());
    rows.extend(gpus());
    rows
}

/// The kernel module: `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug ...`.
fn kernel_driver(text: &str) -> Row {
    match store::version(text) {
        Some(version) => row("nvidia driver", OK, version, ""),
        None => row("nvidia driver", MISSING, "no NVIDIA kernel module is loaded", INSTALL),
    }
}

/// A library and its version. One of a later CUDA than the driver's (`newest`) may make code that the driver cannot load.
fn library(what: &str, found: Result<Version, Error>, newest: Option<Version>) -> Row {
    match (found, newest) {
        (Ok(version), Some(newest)) if version.0 > newest.0 => row(
            what,
            DEGRADED,
            &format!("CUDA {version}, newer than the driver's {newest}: what it makes may not load"),
            &format!("update the driver, or install the library of CUDA {}", newest.0),
        ),
        (Ok(version), _) => row(what, OK, &format!("CUDA {version}"), ""),
        (Err(error), _) => {
            let (found, fix) = split(&error.to_string());
            row(what, MISSING, &found, &fix)
        }
    }
}

/// What an error says, and its hint.
fn split(message: &str) -> (String, String) {
    let look = "`nvidia-smi` shows the state of the driver";
    match message.split_once(" (hint: ") {
        Some((found, hint)) => (found.to_owned(), hint.strip_suffix(')').unwrap_or(hint).to_owned()),
        None => (message.to_owned(), look.to_owned()),
    }
}

/// CUPTI, and whether it has the profiler that counts without Nsight Compute (CUDA 12.6).
fn cupti() -> Row {
    let what = "CUPTI";
    let Some(path) = proftool_inject::find() else {
        return row(what, MISSING, "not found where CUDA and Python wheels put it", INSTALL_CUPTI);
    };
    let place = path.display();
    match proftool_inject::host::Host::load(Some(&path)) {
        Ok(host) => {
            let found = format!("API {}, {place}: activity records, host and range profiler", host.version());
            row(what, OK, &found, "")
        }
        Err(refusal) => {
            let found = format!("{place}: activity records, no range profiler ({refusal})");
            row(
                what,
                DEGRADED,
                &found,
                "for counters without Nsight Compute: CUPTI of CUDA 12.6 or newer, same command as above",
            )
        }
    }
}

/// The GPUs that CUDA lists, else those that the kernel module lists, each with its modes.
fn gpus() -> Vec<Row> {
    match cuda::gpus() {
        Ok(all) => all.iter().flat_map(|gpu| of_gpu(gpu, watch::modes(&gpu.uuid))).collect(),
        Err(error) => {
            let (found, fix) = split(&error.to_string());
            let models = models();
            let unusable =
                |model: &String| row("gpu", DEGRADED, &format!("{model}: CUDA cannot use it: {found}"), &fix);
            if models.is_empty() {
                vec![row("gpu", MISSING, &found, &fix)]
            } else {
                models.iter().map(unusable).collect()
            }
        }
    }
}

fn of_gpu(gpu: &Gpu, modes: Modes) -> Vec<Row> {
    let number = gpu.number;
    let (major, minor) = gpu.compute_capability;
    let memory = gpu.memory_bytes as f64 / 1e9;
    let found = format!("cuda:{number} {}, {memory:.0} GB, {} SM, sm_{major}{minor}", gpu.name, gpu.sm_count);
    let mut rows = vec![row("gpu", OK, &found, "")];
    rows.extend(modes.persistent.map(|on| {
        let fix = "`sudo nvidia-smi -pm 1`, or the service nvidia-persistenced";
        let off = format!("cuda:{number}: off: the driver starts anew with each program, a second or more");
        if on {
            row("persistence", OK, &format!("cuda:{number}: on"), "")
        } else {
            row("persistence", DEGRADED, &off, fix)
        }
    }));
    rows.extend(modes.mig.map(|on| {
        let fix = format!("`sudo nvidia-smi -i {number} -mig 0` for the whole GPU");
        let found =
            format!("cuda:{number}: on: a program sees a slice, and the datasheet's roofs are those of the whole");
        if on { row("MIG", DEGRADED, &found, &fix) } else { row("MIG", OK, &format!("cuda:{number}: off"), "") }
    }));
    rows
}

/// The GPUs that the kernel module lists.
fn models() -> Vec<String> {
    let folder = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.path().join("information")).collect();
    files.sort();
    let model = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("Model:").map(str::trim).map(str::to_owned));
        line.unwrap_or_else(|| "a GPU that does not tell its model".to_owned())
    };
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).map(model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_known_by_its_line() {
        let line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build";
        assert_eq!(kernel_driver(line)[1..3], ["ok", "580.65.06"]);
        assert_eq!(kernel_driver("")[1], "missing");
    }

    #[test]
    fn a_library_of_a_later_cuda_than_the_driver_is_degraded() {
        let of = |version| library("NVRTC", Ok(version), Some(Version(12, 4)))[1].clone();
        assert_eq!([of(Version(12, 8)), of(Version(13, 0))], ["ok", "degraded"]);
        let absent = Error::CudaMissing { what: "no libnvrtc".to_owned(), hint: "pip install it" };
        assert_eq!(library("NVRTC", Err(absent), None)[1..], ["missing", "no libnvrtc", "pip install it"]);
    }

    #[test]
    fn a_gpu_has_a_line_for_each_mode_that_is_known() {
        let gpu = Gpu {
            number: 1,
            name: "NVIDIA X".to_owned(),
            uuid: String::new(),
            pci_bus_id: String::new(),
            compute_capability: (9, 0),
            sm_count: 132,
            memory_bytes: 141_000_000_000,
            l2_bytes: 0,
            clock_hz: None,
            memory_clock_hz: None,
            shared_bytes: 0,
        };
        let rows = of_gpu(&gpu, Modes { persistent: Some(false), mig: Some(true) });
        assert_eq!(rows[0][2], "cuda:1 NVIDIA X, 141 GB, 132 SM, sm_90");
        assert!(rows[1..].iter().all(|row| row[1] == "degraded" && row[3].contains("nvidia-smi")));
        assert_eq!(of_gpu(&gpu, Modes::default()).len(), 1);
    }

    #[test]
    fn every_line_that_is_not_ok_says_what_to_do() {
        assert!(rows().iter().all(|row| row[1] == OK || !row[3].is_empty()), "{:?}", rows());
    }
}
