//! What a roofline needs of ncu, and the metrics that give it.
//!
//! Names change with the chip and the version of ncu, so that each quantity has several ways; the first that the chip
//! has is taken. The engine (`proftool-roofline`, module `counters`) reads the same names in the same order. Where a
//! metric exists for the SM and for its partitions (`sm__`, `smsp__`) both count the same.

/// What becomes of a quantity that no way gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// There is no roofline without it.
    Must,
    /// The same on chips that have any metric that begins so: ncu counts no bytes of LPDDR memory (Orin, Thor, GB10),
    /// where analytic bytes have to do.
    MustWith(&'static str),
    /// It is reported as unresolved.
    Should,
    /// Only some chips have it, and nothing is wrong with the others.
    May,
}

/// One way to a quantity. Patterns are full names, with `*` for any part of the name before the suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every pattern has to match something.
    All(&'static [&'static str]),
    /// What matches any of the patterns.
    Any(&'static [&'static str]),
    /// Add, multiply and FMA by thread, on `sm__` and else on `smsp__`: the letter of the precision, `2` for pairs.
    Arithmetic(&'static str, &'static str),
    /// Operations of the tensor cores, of every type that the chip counts.
    TensorOperations,
    /// Their peaks.
    TensorPeaks,
}

/// A quantity and the ways to it, the best first.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// Its name in messages.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// What becomes of it where no way gives it.
    pub need: Need,
    /// Whether it explains a launch rather than places it on the chart.
    pub detail: bool,
    /// The ways.
    pub ways: &'static [Way],
}

const fn core(name: &'static str, doc: &'static str, need: Need, ways: &'static [Way]) -> Quantity {
    Quantity { name, doc, need, detail: false, ways }
}

const fn detail(name: &'static str, doc: &'static str, ways: &'static [Way]) -> Quantity {
    Quantity { name, doc, need: Need::Should, detail: true, ways }
}

use Need::{May, Must, MustWith, Should};
use Way::{All, Any, Arithmetic, TensorOperations, TensorPeaks};

/// Every quantity.
pub static QUANTITIES: &[Quantity] = &[
    core("time", "duration of a launch, in its replay", Must, TIME),
    core("sm_clock", "clock of the SMs in that time, which peaks are multiplied with", Should, SM_CLOCK),
    core("l1_clock", "clock of the L1 caches", Should, &[All(&["l1tex__cycles_elapsed.avg.per_second"])]),
    core("l2_clock", "clock of the L2 cache", Should, &[All(&["lts__cycles_elapsed.avg.per_second"])]),
    core("dram_clock", "clock of the memory", Should, &[All(&["dram__cycles_elapsed.avg.per_second"])]),
    core("f64", "FP64 instructions of the vector units, by thread", Should, &[Arithmetic("d", "")]),
    core("f32", "FP32 instructions of the vector units, by thread", Should, &[Arithmetic("f", "")]),
    core("f32_pairs", "FP32 instructions on pairs, from compute capability 10.0", May, &[Arithmetic("f", "2")]),
    core("f16", "FP16 instructions of the vector units, by thread", Should, &[Arithmetic("h", "")]),
    core("tensor", "operations of the tensor cores by type, else their instructions", Should, TENSOR),
    core("instructions", "instructions, by warp", Should, INSTRUCTIONS),
    core("dram_bytes", "bytes of the memory", MustWith("dram__"), DRAM),
    // The engine holds them against the sum.
    core("dram_directions", "bytes read and written", May, DRAM_DIRECTIONS),
    core("l2_bytes", "bytes of the L2 cache", Should, L2),
    core("l1_bytes", "bytes of the L1 caches", Should, L1),
    core("peak_f64", "FP64 instructions a cycle at most", Should, PEAK_F64),
    core("peak_f32", "FP32 instructions a cycle at most", Should, PEAK_F32),
    core("peak_f16", "FP16 instructions a cycle at most", Should, PEAK_F16),
    core("peak_tensor", "operations of the tensor cores a cycle at most", May, &[TensorPeaks]),
    core("peak_dram", "bytes of the memory a cycle at most", May, &[All(&["dram__bytes.sum.peak_sustained"])]),
    core("peak_l2", "the same of the L2 cache, as its bytes are counted", Should, PEAK_L2),
    core("peak_l1", "the same of the L1 caches", Should, PEAK_L1),
    detail("occupancy", "warps on an SM, of those that it can hold", OCCUPANCY),
    detail("issue", "cycles in which an instruction was issued", ISSUE),
    detail("tensor_active", "cycles in which the tensor cores worked", TENSOR_ACTIVE),
    detail("stalls", "warps that wait for each reason, for each instruction that is issued", STALLS),
];

const TIME: &[Way] = &[
    All(&["gpu__time_duration.sum"]),
    All(&["sm__cycles_elapsed.avg", "sm__cycles_elapsed.avg.per_second"]),
    All(&["smsp__cycles_elapsed.avg", "smsp__cycles_elapsed.avg.per_second"]),
    All(&["gpc__cycles_elapsed.avg", "gpc__cycles_elapsed.avg.per_second"]),
];

const SM_CLOCK: &[Way] = &[
    All(&["sm__cycles_elapsed.avg.per_second"]),
    All(&["smsp__cycles_elapsed.avg.per_second"]),
    All(&["gpc__cycles_elapsed.avg.per_second"]),
];

/// ncu 2022 counts instructions only; operations came later. The engine takes the former as estimates.
const TENSOR: &[Way] = &[
    TensorOperations,
    Any(&[
        "sm__inst_executed_pipe_tensor.sum",
        "sm__inst_executed_pipe_tensor_op_hmma.sum",
        "sm__inst_executed_pipe_tensor_op_imma.sum",
        "sm__inst_executed_pipe_tensor_op_dmma.sum",
        "sm__inst_executed_pipe_tensor_op_gmma.sum",
    ]),
];

const INSTRUCTIONS: &[Way] = &[All(&["smsp__inst_executed.sum"]), All(&["sm__inst_executed.sum"])];

const DRAM: &[Way] = &[
    All(&["dram__bytes.sum"]),
    All(&["dram__bytes_read.sum", "dram__bytes_write.sum"]),
    All(&["dram__bytes_op_read.sum", "dram__bytes_op_write.sum"]),
    All(&["dram__sectors.sum"]),
    All(&["dram__sectors_read.sum", "dram__sectors_write.sum"]),
];

const DRAM_DIRECTIONS: &[Way] = &[
    All(&["dram__bytes_read.sum", "dram__bytes_write.sum"]),
    All(&["dram__bytes_op_read.sum", "dram__bytes_op_write.sum"]),
];

const L2: &[Way] = &[
    All(&["lts__t_bytes.sum"]),
    All(&["lts__lts2xbar_cycles_active.sum"]),
    All(&["lts__t_sectors.sum"]),
    All(&["l1tex__m_xbar2l1tex_read_bytes.sum"]),
];

const L1: &[Way] = &[
    All(&["l1tex__t_bytes.sum"]),
    All(&["l1tex__lsu_writeback_active_mem_lgds.sum"]),
    All(&["l1tex__lsu_writeback_active_mem_lg.sum"]),
    All(&["l1tex__lsu_writeback_active.sum"]),
];

const PEAK_F64: &[Way] = &[
    All(&["sm__sass_thread_inst_executed_op_dfma_pred_on.sum.peak_sustained"]),
    All(&["smsp__sass_thread_inst_executed_op_dfma_pred_on.sum.peak_sustained"]),
];

const PEAK_F32: &[Way] = &[
    All(&["sm__sass_thread_inst_executed_op_ffma_pred_on.sum.peak_sustained"]),
    All(&["smsp__sass_thread_inst_executed_op_ffma_pred_on.sum.peak_sustained"]),
];

const PEAK_F16: &[Way] = &[
    All(&["sm__sass_thread_inst_executed_op_hfma_pred_on.sum.peak_sustained"]),
    All(&["smsp__sass_thread_inst_executed_op_hfma_pred_on.sum.peak_sustained"]),
];

const PEAK_L2: &[Way] = &[
    All(&["lts__t_bytes.sum.peak_sustained"]),
    All(&["lts__lts2xbar_cycles_active.sum.peak_sustained"]),
    All(&["lts__t_sectors.sum.peak_sustained"]),
];

const PEAK_L1: &[Way] = &[
    All(&["l1tex__t_bytes.sum.peak_sustained"]),
    All(&["l1tex__lsu_writeback_active_mem_lgds.sum.peak_sustained"]),
    All(&["l1tex__lsu_writeback_active_mem_lg.sum.peak_sustained"]),
    All(&["l1tex__lsu_writeback_active.sum.peak_sustained"]),
];

const OCCUPANCY: &[Way] = &[
    All(&["sm__warps_active.avg.pct_of_peak_sustained_active"]),
    All(&["smsp__warps_active.avg.pct_of_peak_sustained_active"]),
];

const ISSUE: &[Way] = &[
    All(&["smsp__issue_active.avg.pct_of_peak_sustained_active"]),
    All(&["sm__issue_active.avg.pct_of_peak_sustained_active"]),
];

const TENSOR_ACTIVE: &[Way] = &[
    All(&["sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active"]),
    All(&["smsp__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active"]),
];

const STALLS: &[Way] = &[
    All(&["smsp__average_warps_issue_stalled_*_per_issue_active.ratio"]),
    All(&["smsp__average_warp_latency_issue_stalled_*.ratio"]),
];
