//! What is computed from the rows of one trace.

use proftool_analyze::operators::{Span, intersect, total, union};

use crate::trace::{Gpu, Trace};

/// Classes of kernels by name, as HTA and the independent script have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Compute,
    Comm,
    Memory,
}

pub(crate) fn class(row: &Gpu) -> Class {
    let begins = |words: &[&str]| words.iter().any(|word| row.name.starts_with(word));
    if begins(&["nccl", "hip", "hccl"]) || row.name.contains("ncclKernel") {
        Class::Comm
    } else if begins(&["Memcpy", "Memset", "dma"]) {
        Class::Memory
    } else {
        Class::Compute
    }
}

pub(crate) fn covered(rows: &[&Gpu]) -> Vec<Span> {
    union(&rows.iter().map(|row| row.span).collect::<Vec<_>>())
}

/// The quantities of a set of rows, all in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Quantities {
    pub(crate) span: i64,
    pub(crate) busy: i64,
    pub(crate) idle: i64,
    pub(crate) compute: i64,
    pub(crate) comm_and_memory: i64,
}

impl Quantities {
    /// Of the rows given; `sync` rows count as busy only.
    pub(crate) fn of(rows: &[&Gpu]) -> Self {
        let of_class = |wanted| {
            covered(&rows.iter().filter(|row| row.kind != "sync" && class(row) == wanted).copied().collect::<Vec<_>>())
        };
        let (compute, comm, memory) = (of_class(Class::Compute), of_class(Class::Comm), of_class(Class::Memory));
        let all = covered(rows);
        let span = all.last().map_or(0, |last| last.1) - all.first().map_or(0, |first| first.0);
        let busy = total(&all);
        Self {
            span,
            busy,
            idle: span - busy,
            compute: total(&compute),
            comm_and_memory: total(&intersect(&comm, &memory)),
        }
    }
}

/// From the end of the launching call to the start of the row; negative where the row starts inside the call.
pub(crate) fn delays(trace: &Trace, rows: &[&Gpu]) -> Vec<i64> {
    rows.iter().filter_map(|row| Some(row.span.0 - trace.call(row)?.span.1)).collect()
}
