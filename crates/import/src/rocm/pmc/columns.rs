//! The columns of the counter tables, by the names that several versions of the tool give them.

use proftool_trace::rows::Activity;

use crate::Error;
use crate::rocm::number;
use crate::rocm::table::{Table, position};

const KERNEL: &[&str] = &["Kernel_Name", "KernelName"];
const DEVICE: &[&str] = &["GPU_ID", "gpu-id"];
const GRID: &[&str] = &["Grid_Size", "grd"];
const GROUP: &[&str] = &["Workgroup_Size", "wgp"];
const DISPATCH: &[&str] = &["Dispatch_ID", "Index"];
const SHARED: &[&str] = &["LDS_Per_Workgroup", "lds"];
const VGPR: &[&str] = &["Arch_VGPR", "vgpr"];
const ACCUMULATION: &[&str] = &["Accum_VGPR"];
const START: &[&str] = &["Start_Timestamp", "BeginNs"];
const END: &[&str] = &["End_Timestamp", "EndNs"];
const COUNTER: &[&str] = &["Counter_Name"];
const VALUE: &[&str] = &["Counter_Value"];
/// Columns beside those above that describe the launch, also with the `_<number>` that a join appends.
const DESCRIPTION: &[&str] = &[
    "Kernel_ID",
    "Scratch_Per_Workitem",
    "scr",
    "SGPR",
    "Wave_Size",
    "obj",
    "sig",
    "fbar",
    "GUID",
    "PID",
    "TID",
    "Correlation_ID",
    "Correlation_Id",
    "XCC_Index",
    "Queue_ID",
    "queue-id",
    "Queue_Index",
    "queue-index",
    "DispatchNs",
    "CompleteNs",
    "HostDuration",
    "dispatch",
    "key",
    "Node_ID",
    "Agent_ID",
];
/// The one hardware register that accumulates a level; what it holds depends on the group of counters it ran with.
const ACCUMULATOR: &str = "SQ_ACCUM_PREV_HIRES";

/// Whether a header is that of one of these tables.
pub(crate) fn is_pmc(header: &[String]) -> bool {
    [KERNEL, DEVICE, GRID].iter().all(|names| position(header, names).is_some())
}

/// Where the columns stand that describe a launch.
pub(super) struct Columns {
    pub(super) kernel: usize,
    pub(super) device: usize,
    pub(super) dispatch: Option<usize>,
    pub(super) grid: Option<usize>,
    pub(super) group: Option<usize>,
    pub(super) shared: Option<usize>,
    pub(super) vgpr: Option<usize>,
    pub(super) accumulation: Option<usize>,
    pub(super) start: Option<usize>,
    pub(super) end: Option<usize>,
    pub(super) counter: Option<usize>,
    pub(super) value: Option<usize>,
}

impl Columns {
    pub(super) fn of(table: &Table<'_>) -> Result<Self, Error> {
        let counter = table.column(COUNTER);
        Ok(Self {
            kernel: table.required(KERNEL)?,
            device: table.required(DEVICE)?,
            dispatch: table.column(DISPATCH),
            grid: table.column(GRID),
            group: table.column(GROUP),
            shared: table.column(SHARED),
            vgpr: table.column(VGPR),
            accumulation: table.column(ACCUMULATION),
            start: table.column(START),
            end: table.column(END),
            counter,
            value: counter.and(table.column(VALUE)),
        })
    }
}

/// Size and resources of a launch.
pub(super) struct Sizes {
    pub(super) grid: Option<i64>,
    pub(super) block: Option<i64>,
    registers: Option<i64>,
    pub(super) shared: Option<i64>,
}

impl Sizes {
    pub(super) fn of(table: &Table<'_>, columns: &Columns) -> Self {
        let number = |at: Option<usize>| at.and_then(|at| number::integer(table.cell(Some(at))));
        let block = number(columns.group).filter(|block| *block > 0);
        Self {
            grid: crate::rocm::groups(number(columns.grid), block),
            block,
            registers: crate::rocm::registers(number(columns.vgpr), number(columns.accumulation)),
            shared: number(columns.shared).filter(|bytes| *bytes >= 0),
        }
    }

    pub(super) fn activity(&self) -> Activity<'static> {
        let (grid, block) = (self.grid.map(|_| 1), self.block.map(|_| 1));
        Activity {
            grid_x: self.grid,
            grid_y: grid,
            grid_z: grid,
            block_x: self.block,
            block_y: block,
            block_z: block,
            registers_per_thread: self.registers,
            shared_bytes: self.shared,
            ..Activity::default()
        }
    }
}

/// Whether a column describes the launch rather than counting something.
pub(super) fn describes(name: &str) -> bool {
    let base = without_number(name).unwrap_or(name);
    let known = [KERNEL, DEVICE, GRID, GROUP, DISPATCH, SHARED, VGPR, ACCUMULATION, START, END, DESCRIPTION];
    name.is_empty() || known.iter().any(|names| names.iter().any(|known| known.eq_ignore_ascii_case(base)))
}

/// Whether a table was joined from several: its describing columns come again, with a number.
pub(super) fn is_joined(header: &[String]) -> bool {
    header.iter().any(|name| without_number(name).is_some() && describes(name))
}

/// The name without the number that a join appends, where it has one.
fn without_number(name: &str) -> Option<&str> {
    let (base, number) = name.rsplit_once('_')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(base)
}

/// A counter's name. The accumulator is named after the table that it stands in, as later versions of the tool do it:
/// its bare name would mean something else in each.
pub(super) fn counter_name(name: &str, stem: &str) -> String {
    let level = stem.strip_prefix("results_pmc_perf_").filter(|level| level.ends_with("_ACCUM"));
    match (name == ACCUMULATOR, level) {
        (true, Some(level)) => level.to_owned(),
        (true, None) if stem.starts_with("SQ_") => format!("{stem}_ACCUM"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_describe_are_no_counters_with_or_without_the_joins_number() {
        for name in
            ["Wave_Size_3", "obj_12", "XCC_Index", "Correlation_ID_17", "SGPR", "arch_vgpr", "Start_Timestamp", ""]
        {
            assert!(describes(name), "{name}");
        }
        for name in ["SQC_DCACHE_REQ_READ_8", "SQ_WAVES_EQ_64", "TCC_EA_WRREQ[0]", "GRBM_COUNT", "SQ_WAVES_LT_16"] {
            assert!(!describes(name), "{name}");
        }
    }

    #[test]
    fn the_accumulator_is_named_after_its_table() {
        assert_eq!(counter_name(ACCUMULATOR, "SQ_IFETCH_LEVEL"), "SQ_IFETCH_LEVEL_ACCUM");
        assert_eq!(counter_name(ACCUMULATOR, "results_pmc_perf_SQ_LEVEL_WAVES_ACCUM"), "SQ_LEVEL_WAVES_ACCUM");
        assert_eq!(counter_name(ACCUMULATOR, "pmc_perf"), ACCUMULATOR);
        assert_eq!(counter_name("SQ_WAVES", "SQ_IFETCH_LEVEL"), "SQ_WAVES");
    }
}
