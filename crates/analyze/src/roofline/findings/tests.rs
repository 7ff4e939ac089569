//! Findings of hand-written pages.

use proftool_roofline::counters::{Suspicion, SuspicionKind};
use proftool_trace::frame::{floats, texts};

use super::parts_ratio;
use crate::fixture::Fixture;
use crate::metrics::{Input, find};
use crate::windows::Window;

const SHAPE: [[i64; 3]; 2] = [[4, 1, 1], [128, 1, 1]];
const TIME: &str = "gpu__time_duration.sum";

/// Symptom and cause, size and evidence of each finding.
fn findings(fixture: &Fixture) -> Vec<(String, Option<f64>, String)> {
    let tables = fixture.tables();
    let frame = (find("triage").unwrap().compute)(&Input::new("run", "target", &tables, Window::Default)).unwrap();
    let text = |name: &str| texts(&frame, name).unwrap().into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
    let names = text("symptom").into_iter().zip(text("cause")).map(|(symptom, cause)| format!("{symptom}/{cause}"));
    let rest = floats(&frame, "size").unwrap().into_iter().zip(text("evidence"));
    names.zip(rest).map(|(name, (size, evidence))| (name, size, evidence)).collect()
}

fn a100() -> Fixture {
    Fixture::new().gpu("NVIDIA A100-PCIE-40GB", "sm_80")
}

/// A launch of that many FMA in singles, tensor instructions and half-precision FMA of warps.
fn page(single: f64, tensor: f64, half: f64) -> [(&'static str, f64); 4] {
    [
        ("smsp__sass_thread_inst_executed_op_ffma_pred_on.sum", single),
        ("sm__inst_executed_pipe_tensor.sum", tensor),
        ("sm__sass_thread_inst_executed_op_hfma_pred_on.sum", 32.0 * half),
        (TIME, 1e9),
    ]
}

#[test]
fn flop_of_vector_instructions_in_the_tensor_pipe_are_those_of_all_launches() {
    // Each of five launches: 5120 FLOP of tensor instructions that are none, 20000 in singles, 10 x 32 x 4 in halves (packed).
    let launch = page(10_000.0, 10.0, 10.0);
    let fixture = (0..5).fold(a100(), |fixture, _| fixture.profiled("gemm", Some(SHAPE), &launch));
    let found = findings(&fixture);
    assert_eq!((found.len(), &*found[0].0), (1, "overstated_flop/vector_in_matrix_pipe"));
    // 5 x 26400 FLOP, 21280 of each are done.
    assert_eq!(found[0].1, Some(26_400.0 / 21_280.0));
    assert!(found[0].2.starts_with("25600.0 FLOP of 132000.0 FLOP that were counted are none; 19.4 %"), "{found:?}");
}

#[test]
fn launches_of_a_timeline_have_the_share_of_the_profiled_ones() {
    let launch = page(10_000.0, 20.0, 10.0);
    let timeline = (0..10).fold(a100(), |fixture, at| {
        fixture.named_kernel("gemm", 0, 0, (at * 2_000_000, at * 2_000_000 + 1_000_000)).shape(SHAPE[0], SHAPE[1])
    });
    let found = findings(&timeline.profiled("gemm", Some(SHAPE), &launch));
    // 10 launches of 20000 + 1280 + 20 x 512 FLOP, of which 10 x 512 are none.
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, Some(315_200.0 / 264_000.0));
}

#[test]
fn a_percent_of_the_flop_is_no_finding() {
    let of = |single: f64| findings(&a100().profiled("gemm", Some(SHAPE), &page(single, 1.0, 1.0))).len();
    // 2 x 25280 in singles, 128 in halves and 512 that are none: 51200.
    assert_eq!((of(25_280.0), of(25_279.0)), (0, 1));
}

#[test]
fn of_counters_that_disagree_only_those_of_tensor_operations_make_flop() {
    let of = |metric: &str, value| Suspicion {
        kind: SuspicionKind::AggregateMismatch,
        metric: metric.into(),
        value,
        whole: None,
        launches: 1,
    };
    let tensor = "sm__ops_path_tensor_src_fp16.sum";
    assert_eq!(parts_ratio(&[of("dram__bytes.sum", 0.5), of(tensor, 0.8), of(tensor, 0.7)]), Some(0.7));
    assert_eq!(parts_ratio(&[of("dram__bytes.sum", 0.5)]), None);
}

/// A dispatch of rocprofiler-compute's copy on an MI200: 131072 requests of 64 bytes to the L2.
fn dispatch(writes: f64) -> [(&'static str, f64); 5] {
    [
        ("TCC_EA_RDREQ_sum", 131_086.0),
        ("TCC_EA_RDREQ_32B_sum", 0.0),
        ("TCC_EA_WRREQ_sum", writes),
        ("TCC_EA_WRREQ_64B_sum", writes),
        ("TCP_TCC_WRITE_REQ_sum", 131_072.0),
    ]
}

#[test]
fn launches_whose_writes_stay_in_the_l2_are_found_among_others() {
    let of = |writes: &[f64]| {
        let device = Fixture::new().gpu("AMD Instinct MI210", "gfx90a");
        let all = writes.iter().fold(device, |all, writes| all.profiled("vcopy", Some(SHAPE), &dispatch(*writes)));
        findings(&all)
    };
    // Vector V12: the second and third of three dispatches.
    let found = of(&[131_072.0, 91_072.0, 91_113.0]);
    assert_eq!((found.len(), &*found[0].0), (1, "under_compulsory_bytes/dirty_lines_in_cache"));
    // 64 x (91072 + 91113) of 64 x 2 x 131072 bytes.
    assert_eq!(found[0].1, Some(182_185.0 / 262_144.0));
    assert!(found[0].2.starts_with("of 2 launches 11.66 MB reached the memory of 16.78 MB"), "{found:?}");
    assert_eq!(of(&[131_072.0; 3]), []);
}
