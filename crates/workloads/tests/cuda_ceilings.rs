//! The roofs of GPUs, measured on test doubles of CUDA's libraries: every row, its names, what happens where something is
//! missing or fails. The values say nothing about any GPU.

#[path = "cuda_double/mod.rs"]
mod cuda_double;

use std::collections::BTreeSet;
use std::time::Duration;

use proftool_workloads::Error;
use proftool_workloads::ceilings::cuda::{Measured, Options, Roof, Scale, measure};
use proftool_workloads::cuda::gpus;

fn tiny() -> Result<Measured, Error> {
    let all = gpus()?;
    let options = Options { budget: Duration::from_secs(20), scale: Scale::Tiny };
    let mut told = 0;
    let measured = measure(&all[0], &all, options, &mut |done, total, what| {
        assert!(done <= total && !what.is_empty());
        told += 1;
        true
    });
    assert!(told > 0 || measured.is_err());
    measured
}

fn has(measured: &Measured, name: &str, what: &str) -> bool {
    let is = |roof: &&Roof| roof.precision.or(roof.level) == Some(what);
    measured.roofs.iter().filter(is).any(|roof| roof.name == name)
}

fn reason<'a>(measured: &'a Measured, what: &str) -> &'a str {
    measured.absent.iter().find(|one| one.what.contains(what)).map_or("", |one| &one.reason)
}

#[test]
fn every_row_is_there_once_with_a_rate() {
    if !cuda_double::inside("every_row_is_there_once_with_a_rate", &[]) {
        return;
    }
    let measured = tiny().unwrap();
    assert!(measured.gpu.name.contains("double"), "{:?}", measured.gpu);
    let wanted = [
        ("fma", "f32"),
        ("fma", "f64"),
        ("fma", "f16"),
        ("fma", "bf16"),
        ("mma", "matrix_f64"),
        ("mma", "matrix_tf32"),
        ("mma", "matrix_f16"),
        ("mma", "matrix_bf16"),
        ("matmul", "f32"),
        ("matmul", "matrix_f64"),
        ("matmul", "matrix_tf32"),
        ("matmul", "matrix_f16"),
        ("matmul", "matrix_f16_acc16"),
        ("matmul", "matrix_bf16"),
        ("read", "L2"),
        ("write", "L2"),
        ("copy", "L2"),
        ("read", "DRAM"),
        ("write", "DRAM"),
        ("copy", "DRAM"),
        ("h2d", "host"),
        ("d2h", "host"),
        ("h2d_and_d2h", "host"),
    ];
    for (name, what) in wanted {
        assert!(has(&measured, name, what), "{name} {what}: {:?}", measured.absent);
    }
    assert_eq!(measured.roofs.len(), wanted.len());
    let key = |roof: &Roof| (roof.kind, roof.name.clone(), roof.precision, roof.level, roof.isa, roof.cores);
    assert_eq!(measured.roofs.iter().map(key).collect::<BTreeSet<_>>().len(), wanted.len());
    for roof in &measured.roofs {
        assert!((1.0..1e14).contains(&roof.value), "{roof:?}");
        assert!(roof.per_cycle.is_none_or(|rate| rate.is_finite() && rate > 0.0), "{roof:?}");
        assert_eq!(roof.cores.is_some(), roof.isa != "copy_engine", "{roof:?}");
    }
    // The double has no FP8: no row, and never a zero.
    assert!(reason(&measured, "matmul matrix_f8").contains("NOT_SUPPORTED"), "{:?}", measured.absent);
    assert!(reason(&measured, "matmul_fast_accumulate matrix_f8").contains("NOT_SUPPORTED"));
}

#[test]
fn a_gpu_that_can_be_written_to_has_two_rows() {
    if !cuda_double::inside("a_gpu_that_can_be_written_to_has_two_rows", &[("DOUBLE_DEVICES", "2")]) {
        return;
    }
    let measured = tiny().unwrap();
    let peers: Vec<_> = measured.roofs.iter().filter(|roof| roof.level == Some("peer")).collect();
    let names: Vec<_> = peers.iter().map(|roof| (roof.name.as_str(), roof.peer, roof.both)).collect();
    assert_eq!(names, [("to_1", Some(1), false), ("to_and_from_1", Some(1), true)]);
    assert!(peers.iter().all(|roof| roof.isa == "copy_engine" && roof.value > 0.0));
}

#[test]
fn a_gpu_out_of_reach_has_none() {
    let variables = [("DOUBLE_DEVICES", "2"), ("DOUBLE_NO_PEERS", "1")];
    if !cuda_double::inside("a_gpu_out_of_reach_has_none", &variables) {
        return;
    }
    let measured = tiny().unwrap();
    assert!(measured.roofs.iter().all(|roof| roof.level != Some("peer")) && has(&measured, "read", "DRAM"));
}

#[test]
fn kernels_that_do_not_compile_leave_the_other_rows() {
    let variables = [("DOUBLE_FAIL", "nvrtcCompileProgram:1+")];
    if !cuda_double::inside("kernels_that_do_not_compile_leave_the_other_rows", &variables) {
        return;
    }
    let measured = tiny().unwrap();
    assert!(has(&measured, "matmul", "matrix_bf16") && has(&measured, "h2d", "host"), "{:?}", measured.absent);
    assert!(!has(&measured, "fma", "f32") && !has(&measured, "read", "DRAM"));
    assert!(reason(&measured, "fma f32").contains("nvrtc"), "{:?}", measured.absent);
    // Without the kernel that reads it there is no clock.
    assert!(!reason(&measured, "clock").is_empty());
    assert!(measured.roofs.iter().all(|roof| roof.per_cycle.is_none()));
}

#[test]
fn a_library_that_refuses_every_product_leaves_the_other_rows() {
    let variables = [("DOUBLE_FAIL", "cublasLtMatmul:1+")];
    if !cuda_double::inside("a_library_that_refuses_every_product_leaves_the_other_rows", &variables) {
        return;
    }
    let measured = tiny().unwrap();
    assert!(has(&measured, "fma", "f32") && has(&measured, "copy", "L2") && !has(&measured, "matmul", "f32"));
    assert!(reason(&measured, "matmul f32").contains("cublasLtMatmul failed"), "{:?}", measured.absent);
}

#[test]
fn pinned_memory_that_cannot_be_had_costs_the_links_to_the_host_alone() {
    let variables = [("DOUBLE_FAIL", "cuMemHostAlloc")];
    if !cuda_double::inside("pinned_memory_that_cannot_be_had_costs_the_links_to_the_host_alone", &variables) {
        return;
    }
    let measured = tiny().unwrap();
    assert!(!has(&measured, "h2d", "host") && has(&measured, "write", "DRAM"));
    assert!(reason(&measured, "host h2d").contains("cuMemHostAlloc"), "{:?}", measured.absent);
}

#[test]
fn a_gpu_that_dies_in_the_middle_keeps_what_was_measured_or_says_which_call_failed() {
    const NAME: &str = "a_gpu_that_dies_in_the_middle_keeps_what_was_measured_or_says_which_call_failed";
    if !cuda_double::inside(NAME, &[("DOUBLE_FAIL", "kernel:400")]) {
        return;
    }
    match tiny() {
        Ok(measured) => assert!(!measured.absent.is_empty(), "something failed"),
        Err(error) => assert!(error.to_string().contains("cu"), "{error}"),
    }
}

#[test]
fn a_gpu_that_fails_at_once_is_an_error_with_the_name_of_the_call() {
    const NAME: &str = "a_gpu_that_fails_at_once_is_an_error_with_the_name_of_the_call";
    if !cuda_double::inside(NAME, &[("DOUBLE_FAIL", "cuDevicePrimaryCtxRetain:1+")]) {
        return;
    }
    let error = tiny().map(|measured| measured.roofs.len()).unwrap_err().to_string();
    assert!(error.contains("cuDevicePrimaryCtxRetain failed"), "{error}");
}

#[test]
fn who_asks_to_stop_waits_for_one_row_at_most() {
    if !cuda_double::inside("who_asks_to_stop_waits_for_one_row_at_most", &[]) {
        return;
    }
    let all = gpus().unwrap();
    let options = Options { scale: Scale::Tiny, ..Options::default() };
    // While rows are prepared, and in a round.
    for rows in [1, 30] {
        let mut told = 0;
        let ended = measure(&all[0], &all, options, &mut |_, _, _| {
            told += 1;
            told < rows
        });
        assert!(matches!(ended, Err(Error::Interrupted)) && told == rows, "{told}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn a_real_gpu_has_the_rows_of_its_capability() {
    let all = gpus().unwrap();
    let measured = measure(&all[0], &all, Options::default(), &mut |_, _, _| true).unwrap();
    for roof in &measured.roofs {
        println!("{roof:?}");
    }
    assert!(has(&measured, "read", "DRAM") && has(&measured, "fma", "f32"), "{:?}", measured.absent);
    assert!(measured.absent.is_empty(), "{:?}", measured.absent);
}
