//! The canonical tables: what every importer writes and every metric reads.
//!
//! Times are nanoseconds from the session start of the row's pass and can be negative. `pass` and `rank` begin every
//! table. This file is a flat list; documentation, `proftool list tables` and the schema check all read it.

use crate::table::{Column, Table, boolean, float, int, text};

const PASS: Column = text("pass", "Name of the pass that produced the row.");
const RANK: Column = int("rank", "Rank of the process, 0 where there is only one.");

/// One device that took part in a pass.
pub static DEVICES: Table = Table {
    name: "devices",
    doc: "One device that took part in a pass.",
    columns: &[
        PASS,
        RANK,
        int("device", "Number of the device inside its rank."),
        text("host", "Name of the machine, or null where it was removed.").or_null(),
        text("kind", "`cpu`, `cuda`, `hip`, `simulated` or `endpoint` (a serving engine)."),
        text("name", "Marketing or model name as probed."),
        text("uuid", "Unique identifier as probed.").or_null(),
        text("arch", "Architecture, for example `sm_90`, `gfx942`, `zen3`.").or_null(),
        int("sm_count", "Streaming multiprocessors, compute units, or cores.").or_null(),
        int("memory_bytes", "Size of the device memory.").or_null(),
        int("clock_hz", "Maximum or nominal compute clock.").or_null(),
        text("pci_bus_id", "PCI address.").or_null(),
        int("numa_node", "NUMA node of the device.").or_null(),
        float("cost_per_hour", "Price of the device an hour, as given by the user.").or_null(),
    ],
};

/// One in-order queue (stream) of a device.
pub static QUEUES: Table = Table {
    name: "queues",
    doc: "One in-order queue (stream) of a device.",
    columns: &[
        PASS,
        RANK,
        int("device", "The device."),
        int("queue", "Number of the queue inside its device."),
        text(
            "role",
            "`compute`, `copy`, `kv` or `comm`; of a router log `prefill`, `decode` or `mixed`; where it is known.",
        )
        .or_null(),
        int("priority", "Scheduling priority; a lower number goes first.").or_null(),
    ],
};

/// One piece of work that a device executed: kernel, copy, set, synchronisation or graph.
pub static ACTIVITIES: Table = Table {
    name: "activities",
    doc: "One piece of work that a device executed: kernel, copy, set, synchronisation or graph.",
    columns: &[
        PASS,
        RANK,
        int("id", "Identifier inside the pass and rank."),
        int("process", "Operating-system process.").or_null(),
        int("device", "The device that executed it."),
        int("context", "Driver context.").or_null(),
        int("queue", "The queue (stream) that it ran on.").or_null(),
        text("kind", "`kernel`, `copy`, `set`, `sync` or `graph`."),
        text("name", "Name of the kernel or operation."),
        int("start_ns", "Start, from the session start of the pass."),
        int("end_ns", "End, from the session start of the pass."),
        int("correlation", "Correlation number that the profiler gave.").or_null(),
        int("call", "The row of `calls` that launched it, resolved at import.").or_null(),
        int("graph_id", "Executable graph that it belongs to.").or_null(),
        int("graph_node", "Node of that graph.").or_null(),
        int("bytes", "Bytes that a copy or set moved.").or_null(),
        text("copy_kind", "`h2d`, `d2h`, `d2d`, `p2p` or `h2h`.").or_null(),
        int("src_device", "Device that a copy reads from.").or_null(),
        int("dst_device", "Device that a copy writes to.").or_null(),
        text("src_memory", "`pageable`, `pinned`, `device` or `managed`.").or_null(),
        text("dst_memory", "`pageable`, `pinned`, `device` or `managed`.").or_null(),
        int("grid_x", "Blocks in x.").or_null(),
        int("grid_y", "Blocks in y.").or_null(),
        int("grid_z", "Blocks in z.").or_null(),
        int("block_x", "Threads in x.").or_null(),
        int("block_y", "Threads in y.").or_null(),
        int("block_z", "Threads in z.").or_null(),
        int("registers_per_thread", "Registers of a thread.").or_null(),
        int("shared_bytes", "Shared memory of a block.").or_null(),
        boolean("simulated", "Whether its duration is modelled (a paced copy) rather than caused by hardware."),
    ],
};

/// What a built-in target states about one activity.
pub static WORK: Table = Table {
    name: "work",
    doc: "What a built-in target states about one activity.",
    columns: &[
        PASS,
        RANK,
        int("activity", "The row of `activities`."),
        int("step", "Iteration that it belongs to.").or_null(),
        text("phase", "`prefill`, `decode`, `kv_transfer` or another phase of the target.").or_null(),
        int("stage", "Pipeline stage.").or_null(),
        int("micro_batch", "Micro-batch inside the phase.").or_null(),
        int("rows", "Rows (tokens) that the operation handled.").or_null(),
        int("flop", "Floating-point operations, an FMA counted as two.").or_null(),
        int("dram_bytes", "Compulsory bytes: each operand and result once.").or_null(),
        text("precision", "Type of the arithmetic, for example `f32`.").or_null(),
    ],
};

/// One host call: a launch, a synchronisation, an operating-system or framework operation.
pub static CALLS: Table = Table {
    name: "calls",
    doc: "One host call: a launch, a synchronisation, an operating-system or framework operation.",
    columns: &[
        PASS,
        RANK,
        int("id", "Identifier inside the pass and rank."),
        int("process", "Operating-system process.").or_null(),
        int("thread", "Operating-system thread.").or_null(),
        text("api", "`runtime`, `driver`, `osrt`, `mpi`, `ucx`, `op` (framework operator) or `python` (a frame)."),
        text("name", "Name of the function."),
        int("start_ns", "Start, from the session start of the pass."),
        int("end_ns", "End, from the session start of the pass."),
        int("correlation", "Correlation number that the profiler gave.").or_null(),
        int("device", "Device that the call concerns.").or_null(),
        int("queue", "Queue that the call concerns.").or_null(),
        int("target_event", "Event that is recorded or waited for.").or_null(),
    ],
};

/// One activity had to wait for another.
pub static DEPENDENCIES: Table = Table {
    name: "dependencies",
    doc: "One activity had to wait for another.",
    columns: &[
        PASS,
        RANK,
        int("activity", "The one that waits."),
        int("depends_on", "The one that must end first."),
        text("kind", "`data`, `event`, `queue`, `collective` or `launch`."),
        text("source", "`declared` by the program or `inferred` from the trace."),
    ],
};

/// One framework operator.
pub static OPERATORS: Table = Table {
    name: "operators",
    doc: "One framework operator.",
    columns: &[
        PASS,
        RANK,
        int("call", "The row of `calls`."),
        int("external_id", "External identifier of the framework.").or_null(),
        text("shapes", "Input shapes, as JSON.").or_null(),
        text("dtypes", "Input types, as JSON.").or_null(),
        text("concrete_inputs", "Scalar inputs, as JSON.").or_null(),
    ],
};

/// One collective operation.
pub static COLLECTIVES: Table = Table {
    name: "collectives",
    doc: "One collective operation.",
    columns: &[
        PASS,
        RANK,
        int("activity", "The row of `activities`."),
        text("group", "Communicator or process group.").or_null(),
        int("sequence", "Position inside its group.").or_null(),
        text("operation", "For example `all_reduce`, `send`, `recv`."),
        int("bytes_in", "Bytes read on this rank.").or_null(),
        int("bytes_out", "Bytes written on this rank.").or_null(),
        text("dtype", "Element type.").or_null(),
        int("group_size", "Ranks in the group.").or_null(),
        int("peer", "The other rank of a point-to-point operation.").or_null(),
    ],
};

/// One named span of host time (an NVTX range, a user annotation, a measured block).
pub static RANGES: Table = Table {
    name: "ranges",
    doc: "One named span of host time (an NVTX range, a user annotation, a measured block).",
    columns: &[
        PASS,
        RANK,
        int("id", "Identifier inside the pass and rank."),
        int("parent", "The enclosing range on the same thread.").or_null(),
        int("process", "Operating-system process.").or_null(),
        int("thread", "Thread that began it.").or_null(),
        int("end_thread", "Thread that ended it.").or_null(),
        text("domain", "NVTX domain.").or_null(),
        text("name", "Name."),
        text("style", "`push_pop`, `start_end` or `mark`."),
        int("start_ns", "Start, from the session start of the pass."),
        int("end_ns", "End, or null for one that never ended.").or_null(),
        int("depth", "Nesting depth on its thread.").or_null(),
        text("payload", "Payload as text.").or_null(),
    ],
};

/// What a counter row belongs to: one profiled kernel launch.
pub static LAUNCHES: Table = Table {
    name: "launches",
    doc: "What a counter row belongs to: one profiled kernel launch.",
    columns: &[
        PASS,
        RANK,
        int("launch", "Identifier inside the pass and rank."),
        int("activity", "The activity, null where the tool has no timeline.").or_null(),
        int("device", "The device."),
        text("name", "Name of the kernel."),
        int("launch_index", "How often this kernel had been launched before."),
        text("grid", "Grid, as `(x,y,z)`.").or_null(),
        text("block", "Block, as `(x,y,z)`.").or_null(),
        text("phase", "Phase, where ranges tell.").or_null(),
    ],
};

/// One counter or sampled metric.
pub static COUNTER_DEFS: Table = Table {
    name: "counter_defs",
    doc: "One counter or sampled metric.",
    columns: &[
        PASS,
        RANK,
        int("def", "Identifier inside the pass and rank."),
        text("metric", "Name that the tool gives it."),
        text("unit", "Base unit.").or_null(),
        text("source", "`counter`, `analytic`, `simulated` or `router`."),
        text("formula_id", "Formula that made it.").or_null(),
        text("tool", "The tool.").or_null(),
        text("tool_version", "Its version.").or_null(),
    ],
};

/// One counter value of one launch.
pub static COUNTERS: Table = Table {
    name: "counters",
    doc: "One counter value of one launch.",
    columns: &[
        PASS,
        RANK,
        int("launch", "The row of `launches`."),
        int("def", "The row of `counter_defs`."),
        float("value", "The value in the base unit.").or_null(),
    ],
};

/// One value of a metric that is sampled over time.
pub static SAMPLES: Table = Table {
    name: "samples",
    doc: "One value of a metric that is sampled over time.",
    columns: &[
        PASS,
        RANK,
        int("device", "The device."),
        int("def", "The row of `counter_defs`."),
        int("start_ns", "Start of the interval that the value covers."),
        int("end_ns", "End of that interval."),
        float("value", "The value in the base unit.").or_null(),
    ],
};

/// One roof of a device: a peak rate or a bandwidth.
pub static CEILINGS: Table = Table {
    name: "ceilings",
    doc: "One roof of a device: a peak rate or a bandwidth.",
    columns: &[
        PASS,
        RANK,
        int("device", "The device."),
        text("kind", "`compute` or `bandwidth`."),
        text("name", "What is measured, for example `fma`, `read`, `copy`, `triad`, `triad_nt`."),
        text("precision", "Type of the arithmetic; null for a bandwidth.").or_null(),
        text(
            "level",
            "`L0`, `L1`, `L2`, `L3`, `MALL`, `LDS` or `DRAM`; `host` and `peer` for links of a GPU; null for compute.",
        )
        .or_null(),
        text("isa", "`avx512`, `avx2`, `neon` or `scalar`; of a GPU `tensor`, `simt` or `copy_engine`.").or_null(),
        int("cores", "Cores that ran it together; of a GPU its multiprocessors.").or_null(),
        float("value", "FLOP/s, integer operations/s or bytes/s."),
        text("unit", "`flop/s`, `op/s` (integer) or `bytes/s`."),
        float("per_cycle", "The value divided by the cores and the clock measured in the same trial.").or_null(),
        text("source", "`datasheet` or `measured`."),
        boolean("contended", "Whether other load disturbed every trial."),
    ],
};

/// One connection between two devices.
pub static LINKS: Table = Table {
    name: "links",
    doc: "One connection between two devices.",
    columns: &[
        PASS,
        RANK,
        int("src", "Device that sends."),
        int("dst", "Device that receives."),
        float("bytes_per_s", "Bandwidth."),
        int("latency_ns", "Latency.").or_null(),
        boolean("contended", "Whether concurrent transfers share it."),
    ],
};

/// One request of a serving workload.
pub static REQUESTS: Table = Table {
    name: "requests",
    doc: "One request of a serving workload.",
    columns: &[
        PASS,
        RANK,
        text("request", "Identifier."),
        int("arrival_ns", "Arrival."),
        int("first_token_ns", "First output token.").or_null(),
        int("end_ns", "Last output token, or the end of a failed request.").or_null(),
        int("prompt_tokens", "Prompt length.").or_null(),
        int("output_tokens", "Output length.").or_null(),
        int("cached_tokens", "Prompt tokens found in a prefix cache.").or_null(),
        int("priority", "Priority.").or_null(),
        text("tier", "Service tier.").or_null(),
        int("slo_ttft_ns", "Agreed time to first token.").or_null(),
        int("slo_tpot_ns", "Agreed time per output token.").or_null(),
        int("predicted_ttft_ns", "Time to first token that the router predicted.").or_null(),
        text("policy", "Router policy.").or_null(),
        int("prefill_device", "Device that ran the prefill.").or_null(),
        int("decode_device", "Device that ran the decode.").or_null(),
        int("first_token_device", "Device that emitted the first token.").or_null(),
        text("status", "`ok`, `rejected`, `failed` or `aborted`."),
        text("reason", "Why it was rejected or failed.").or_null(),
    ],
};

/// One event of one request.
pub static REQUEST_EVENTS: Table = Table {
    name: "request_events",
    doc: "One event of one request.",
    columns: &[
        PASS,
        RANK,
        text("request", "The request."),
        text("kind", "`queued`, `prefill`, `kv_transfer`, `decode`, `token`, `preempt` or `migrate`."),
        int("device", "The device.").or_null(),
        int("start_ns", "Start."),
        int("end_ns", "End."),
        int("bytes", "Bytes moved.").or_null(),
    ],
};

/// One batch step of an engine or of the simulator.
pub static STEPS: Table = Table {
    name: "steps",
    doc: "One batch step of an engine or of the simulator.",
    columns: &[
        PASS,
        RANK,
        int("device", "The device."),
        int("start_ns", "Start."),
        int("end_ns", "End."),
        int("prefill_tokens", "Prompt tokens in the batch.").or_null(),
        int("decode_batch", "Requests that decode.").or_null(),
        int("kv_tokens", "Tokens whose KV is read.").or_null(),
    ],
};

/// One decision of a router policy.
pub static DECISIONS: Table = Table {
    name: "decisions",
    doc: "One decision of a router policy.",
    columns: &[
        PASS,
        RANK,
        text("request", "The request."),
        int("t_ns", "When."),
        text("kind", "`admit`, `prefill`, `decode` or `migrate`."),
        text("policy", "The policy."),
        text("chosen", "What was chosen.").or_null(),
        text("terms", "The terms of its score, as JSON.").or_null(),
        text("runner_up", "The next best.").or_null(),
    ],
};

/// One kind of problem with the data, shown first in every report.
pub static ISSUES: Table = Table {
    name: "issues",
    doc: "One kind of problem with the data, shown first in every report.",
    columns: &[
        PASS,
        RANK,
        text("source", "The importer, profiler or metric that found it."),
        text("severity", "`info`, `data_loss` or `error`."),
        text("code", "Short stable name."),
        int("count", "How often it occurred."),
        text("detail", "What happened and what to try."),
    ],
};

/// Every table, in the order of the documentation.
pub static ALL: &[&Table] = &[
    &DEVICES,
    &QUEUES,
    &ACTIVITIES,
    &WORK,
    &CALLS,
    &DEPENDENCIES,
    &OPERATORS,
    &COLLECTIVES,
    &RANGES,
    &LAUNCHES,
    &COUNTER_DEFS,
    &COUNTERS,
    &SAMPLES,
    &CEILINGS,
    &LINKS,
    &REQUESTS,
    &REQUEST_EVENTS,
    &STEPS,
    &DECISIONS,
    &ISSUES,
];

/// The table of that name.
pub fn find(name: &str) -> Option<&'static Table> {
    ALL.iter().copied().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_column_is_documented() {
        let names: BTreeSet<_> = ALL.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), ALL.len());
        for table in ALL {
            let columns: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{} repeats a column", table.name);
            assert!(table.columns.iter().all(|column| column.doc.ends_with('.')), "{}", table.name);
            assert_eq!(table.columns[0].name, "pass");
            assert_eq!(table.columns[1].name, "rank");
        }
    }
}
