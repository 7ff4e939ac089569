//! One plain struct a canonical table: what an importer fills in and a [`Sink`](crate::sink::Sink) takes.
//!
//! Fields are the table's columns after `pass` and `rank`, in their order and of their types; a test compares both.

use crate::batch::Batch;
use crate::table::Table;
use crate::tables;

/// A row of one canonical table.
pub trait Row {
    /// The table.
    const TABLE: &'static Table;
    /// Position of the table in [`tables::ALL`].
    const INDEX: usize;
    /// Name and type of each field, in order.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// Appends the row to a batch of its table.
    fn append(&self, batch: &mut Batch);
}

macro_rules! cell_type {
    (int, $life:lifetime) => { i64 };
    (opt_int, $life:lifetime) => { Option<i64> };
    (float, $life:lifetime) => { f64 };
    (opt_float, $life:lifetime) => { Option<f64> };
    (boolean, $life:lifetime) => { bool };
    (text, $life:lifetime) => { &$life str };
    (opt_text, $life:lifetime) => { Option<&$life str> };
}

const fn position(table: &Table) -> usize {
    let mut index = 0;
    while index < tables::ALL.len() {
        if same(tables::ALL[index].name.as_bytes(), table.name.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("every row is of a canonical table")
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    let mut index = 0;
    while index < left.len() && index < right.len() && left[index] == right[index] {
        index += 1;
    }
    index == left.len() && index == right.len()
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? in $table:ident { $($field:ident: $kind:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name $(<$life>)? {
            $(
                #[doc = concat!("The column `", stringify!($field), "`.")]
                pub $field: cell_type!($kind, 'a),
            )*
        }

        impl $(<$life>)? Row for $name $(<$life>)? {
            const TABLE: &'static Table = &tables::$table;
            const INDEX: usize = position(&tables::$table);
            const FIELDS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), stringify!($kind))),*];

            #[inline]
            fn append(&self, batch: &mut Batch) {
                let mut cells = batch.cells();
                $(cells.$kind(self.$field);)*
            }
        }
    )*};
}

rows! {
    /// One device that took part in a pass.
    Device<'a> in DEVICES {
        device: int, host: opt_text, kind: text, name: text, uuid: opt_text, arch: opt_text, sm_count: opt_int,
        memory_bytes: opt_int, clock_hz: opt_int, pci_bus_id: opt_text, numa_node: opt_int, cost_per_hour: opt_float,
    }

    /// One in-order queue (stream) of a device.
    Queue<'a> in QUEUES {
        device: int, queue: int, role: opt_text, priority: opt_int,
    }

    /// One piece of work that a device executed: kernel, copy, set, synchronisation or graph.
    Activity<'a> in ACTIVITIES {
        id: int, process: opt_int, device: int, context: opt_int, queue: opt_int, kind: text, name: text,
        start_ns: int, end_ns: int, correlation: opt_int, call: opt_int, graph_id: opt_int, graph_node: opt_int,
        bytes: opt_int, copy_kind: opt_text, src_device: opt_int, dst_device: opt_int, src_memory: opt_text,
        dst_memory: opt_text, grid_x: opt_int, grid_y: opt_int, grid_z: opt_int, block_x: opt_int, block_y: opt_int,
        block_z: opt_int, registers_per_thread: opt_int, shared_bytes: opt_int, simulated: boolean,
    }

    /// What a built-in target states about one activity.
    Work<'a> in WORK {
        activity: int, step: opt_int, phase: opt_text, stage: opt_int, micro_batch: opt_int, rows: opt_int,
        flop: opt_int, dram_bytes: opt_int, precision: opt_text,
    }

    /// One host call: a launch, a synchronisation, an operating-system or framework operation.
    Call<'a> in CALLS {
        id: int, process: opt_int, thread: opt_int, api: text, name: text, start_ns: int, end_ns: int,
        correlation: opt_int, device: opt_int, queue: opt_int, target_event: opt_int,
    }

    /// One activity had to wait for another.
    Dependency<'a> in DEPENDENCIES {
        activity: int, depends_on: int, kind: text, source: text,
    }

    /// One framework operator.
    Operator<'a> in OPERATORS {
        call: int, external_id: opt_int, shapes: opt_text, dtypes: opt_text, concrete_inputs: opt_text,
    }

    /// One collective operation.
    Collective<'a> in COLLECTIVES {
        activity: int, group: opt_text, sequence: opt_int, operation: text, bytes_in: opt_int, bytes_out: opt_int,
        dtype: opt_text, group_size: opt_int, peer: opt_int,
    }

    /// One named span of host time (an NVTX range, a user annotation, a measured block).
    Range<'a> in RANGES {
        id: int, parent: opt_int, process: opt_int, thread: opt_int, end_thread: opt_int, domain: opt_text,
        name: text, style: text, start_ns: int, end_ns: opt_int, depth: opt_int, payload: opt_text,
    }

    /// What a counter row belongs to: one profiled kernel launch.
    Launch<'a> in LAUNCHES {
        launch: int, activity: opt_int, device: int, name: text, launch_index: int, grid: opt_text, block: opt_text,
        phase: opt_text,
    }

    /// One counter or sampled metric.
    CounterDef<'a> in COUNTER_DEFS {
        def: int, metric: text, unit: opt_text, source: text, formula_id: opt_text, tool: opt_text,
        tool_version: opt_text,
    }

    /// One counter value of one launch.
    Counter in COUNTERS {
        launch: int, def: int, value: opt_float,
    }

    /// One value of a metric that is sampled over time.
    Sample in SAMPLES {
        device: int, def: int, start_ns: int, end_ns: int, value: opt_float,
    }

    /// One roof of a device: a peak rate or a bandwidth.
    Ceiling<'a> in CEILINGS {
        device: int, kind: text, name: text, precision: opt_text, level: opt_text, isa: opt_text, cores: opt_int,
        value: float, unit: text, per_cycle: opt_float, source: text, contended: boolean,
    }

    /// One connection between two devices.
    Link in LINKS {
        src: int, dst: int, bytes_per_s: float, latency_ns: opt_int, contended: boolean,
    }

    /// One request of a serving workload.
    Request<'a> in REQUESTS {
        request: text, arrival_ns: int, first_token_ns: opt_int, end_ns: opt_int, prompt_tokens: opt_int,
        output_tokens: opt_int, cached_tokens: opt_int, priority: opt_int, tier: opt_text, slo_ttft_ns: opt_int,
        slo_tpot_ns: opt_int, predicted_ttft_ns: opt_int, policy: opt_text, prefill_device: opt_int,
        decode_device: opt_int, first_token_device: opt_int, status: text, reason: opt_text,
    }

    /// One event of one request.
    RequestEvent<'a> in REQUEST_EVENTS {
        request: text, kind: text, device: opt_int, start_ns: int, end_ns: int, bytes: opt_int,
    }

    /// One batch step of an engine or of the simulator.
    Step in STEPS {
        device: int, start_ns: int, end_ns: int, prefill_tokens: opt_int, decode_batch: opt_int, kv_tokens: opt_int,
    }

    /// One decision of a router policy.
    Decision<'a> in DECISIONS {
        request: text, t_ns: int, kind: text, policy: text, chosen: opt_text, terms: opt_text, runner_up: opt_text,
    }

    /// One kind of problem with the data, shown first in every report.
    Issue<'a> in ISSUES {
        source: text, severity: text, code: text, count: int, detail: text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::DataType;

    fn fields_equal_the_table<R: Row>() {
        let kind = |dtype: DataType, nullable: bool| {
            let name = if dtype == DataType::Bool { "boolean" } else { dtype.name() };
            if nullable { format!("opt_{name}") } else { name.to_owned() }
        };
        let wanted: Vec<_> = R::TABLE.columns[2..].iter().map(|c| (c.name, kind(c.dtype, c.nullable))).collect();
        let stated: Vec<_> = R::FIELDS.iter().map(|(name, kind)| (*name, (*kind).to_owned())).collect();
        assert_eq!(stated, wanted, "{}", R::TABLE.name);
        assert_eq!(tables::ALL[R::INDEX].name, R::TABLE.name);
    }

    #[test]
    fn the_fields_of_each_row_are_the_columns_of_its_table() {
        fields_equal_the_table::<Device>();
        fields_equal_the_table::<Queue>();
        fields_equal_the_table::<Activity>();
        fields_equal_the_table::<Work>();
        fields_equal_the_table::<Call>();
        fields_equal_the_table::<Dependency>();
        fields_equal_the_table::<Operator>();
        fields_equal_the_table::<Collective>();
        fields_equal_the_table::<Range>();
        fields_equal_the_table::<Launch>();
        fields_equal_the_table::<CounterDef>();
        fields_equal_the_table::<Counter>();
        fields_equal_the_table::<Sample>();
        fields_equal_the_table::<Ceiling>();
        fields_equal_the_table::<Link>();
        fields_equal_the_table::<Request>();
        fields_equal_the_table::<RequestEvent>();
        fields_equal_the_table::<Step>();
        fields_equal_the_table::<Decision>();
        fields_equal_the_table::<Issue>();
    }
}
