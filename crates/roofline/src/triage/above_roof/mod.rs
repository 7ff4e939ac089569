//! Causes of a time that is shorter than the roofs allow: the roof is too low, the time too short, or the work overstated.

mod bytes;
mod flop;
mod peaks;
mod source;

use super::{Cause, Facts, Fit, Symptom};
use crate::{Level, Limiter, RoofSource};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        slug: "tolerance",
        symptom: Symptom::AboveRoof,
        doc: "The point is at its roof: peaks are known to 0.1 %, measured ones to 2 %, DRAM to 10 %.",
        advice: "read it as 100 %",
        fits: tolerance,
    },
    Cause {
        slug: "cache_reuse",
        symptom: Symptom::AboveRoof,
        doc: "The bytes are those of the tensors, and a cache held some of them from an earlier launch.",
        advice: "count DRAM bytes, or compare with the roof of the cache",
        fits: bytes::cache_reuse,
    },
    Cause {
        slug: "flushed_caches",
        symptom: Symptom::AboveRoof,
        doc: "The bytes were counted with empty caches, the time was measured with warm ones.",
        advice: "count again with `ncu --cache-control none --replay-mode application`",
        fits: bytes::flushed_caches,
    },
    Cause {
        slug: "overcounted_bytes",
        symptom: Symptom::AboveRoof,
        doc: "The bytes by shapes are more than the kernel reads: experts or rows of a table that no token needs.",
        advice: "count DRAM bytes, or count the experts and rows that are read",
        fits: bytes::overcounted_bytes,
    },
    Cause {
        slug: "sparse_peak",
        symptom: Symptom::AboveRoof,
        doc: "The arithmetic uses 2:4 sparsity and is held against the dense peak.",
        advice: "compare with the sparse peak, or count the operations that are executed",
        fits: peaks::sparse_peak,
    },
    Cause {
        slug: "wrong_accumulate",
        symptom: Symptom::AboveRoof,
        doc: "The products are accumulated in 16 bits, which has a higher peak on this device.",
        advice: "collect the tensor counters that name the accumulate type",
        fits: peaks::wrong_accumulate,
    },
    Cause {
        slug: "tf32",
        symptom: Symptom::AboveRoof,
        doc: "Products of float tensors ran on the tensor cores in TF32; a trace does not tell, so the vector peak is the roof.",
        advice: "compare with the TF32 peak, or forbid it (`torch.backends.cuda.matmul.allow_tf32 = False`)",
        fits: peaks::tf32,
    },
    Cause {
        slug: "dual_issue",
        symptom: Symptom::AboveRoof,
        doc: "Packed or dual-issued vector instructions do more a cycle than the peak assumes.",
        advice: "compare with the packed peak",
        fits: peaks::dual_issue,
    },
    Cause {
        slug: "boost_clock",
        symptom: Symptom::AboveRoof,
        doc: "The device ran at a higher clock than the peak assumes.",
        advice: "compare with the roof at the observed clock",
        fits: peaks::boost_clock,
    },
    Cause {
        slug: "roof_too_low",
        symptom: Symptom::AboveRoof,
        doc: "The measured ceiling is too low: the benchmark was disturbed, or does not use the fastest instruction.",
        advice: "measure the ceilings again on an idle device",
        fits: peaks::roof_too_low,
    },
    Cause {
        slug: "disputed_roof",
        symptom: Symptom::AboveRoof,
        doc: "The sources of the peak disagree.",
        advice: "measure the ceilings on this device",
        fits: peaks::disputed_roof,
    },
    Cause {
        slug: "other_device",
        symptom: Symptom::AboveRoof,
        doc: "The device has more units than the specification that was chosen for it.",
        advice: "name the device with `--hardware`",
        fits: peaks::other_device,
    },
    Cause {
        slug: "more_cores",
        symptom: Symptom::AboveRoof,
        doc: "The work ran on more cores than the roof is for.",
        advice: "compare with the roof of that many cores",
        fits: peaks::more_cores,
    },
    Cause {
        slug: "overlapping_queues",
        symptom: Symptom::AboveRoof,
        doc: "Other kernels ran at the same time, so the time or the counts of one are not its own.",
        advice: "profile the kernel alone",
        fits: source::overlapping_queues,
    },
    Cause {
        slug: "undercounted_time",
        symptom: Symptom::AboveRoof,
        doc: "The timeline shows less time than the counting tool measured for the same launches.",
        advice: "check that the launches are the same, and their clocks",
        fits: source::undercounted_time,
    },
    Cause {
        slug: "timer_resolution",
        symptom: Symptom::AboveRoof,
        doc: "The launches are too short for the clock that timed them.",
        advice: "time many launches together",
        fits: source::timer_resolution,
    },
    Cause {
        slug: "overcounted_flop",
        symptom: Symptom::AboveRoof,
        doc: "The FLOP by shapes are more than the kernel does: masked, padded or skipped work.",
        advice: "count FLOP with a profiler",
        fits: flop::overcounted_flop,
    },
    Cause {
        slug: "vector_in_matrix_pipe",
        symptom: Symptom::AboveRoof,
        doc: "Vector instructions that run in the tensor pipe were counted as tensor instructions, 512 FLOP each.",
        advice: "take their FLOP from the counters of half-precision instructions",
        fits: flop::vector_in_matrix_pipe,
    },
    Cause {
        slug: "unverified_formula",
        symptom: Symptom::AboveRoof,
        doc: "FLOP follow from instructions by a factor that is not known for this device.",
        advice: "collect counters of tensor operations instead of instructions",
        fits: flop::unverified_formula,
    },
    Cause {
        slug: "rounded_page",
        symptom: Symptom::AboveRoof,
        doc: "The counts follow from rates that the page prints with too few digits.",
        advice: "export the raw page",
        fits: source::rounded_page,
    },
    Cause {
        slug: "matched_by_name",
        symptom: Symptom::AboveRoof,
        doc: "The counts are those of other launches of a kernel of this name.",
        advice: "count the launches that the timeline holds, with their grids",
        fits: source::matched_by_name,
    },
    Cause {
        slug: "counted_graph",
        symptom: Symptom::AboveRoof,
        doc: "The counts are those of a whole graph, the time is that of one of its kernels.",
        advice: "count with `ncu --graph-profiling node`",
        fits: source::counted_graph,
    },
    Cause {
        slug: "other_link",
        symptom: Symptom::AboveRoof,
        doc: "The bytes went over a faster link than the one that is the roof.",
        advice: "name the link in `links`",
        fits: bytes::other_link,
    },
    Cause {
        slug: "in_network_reduction",
        symptom: Symptom::AboveRoof,
        doc: "The switch reduces and multicasts, so fewer bytes cross the link than the algorithm is charged with.",
        advice: "compare with the bytes of the in-network algorithm: half of those of a ring",
        fits: bytes::in_network_reduction,
    },
];

/// Whether another bound would hold the time.
fn holds(bound_ns: f64, time: f64) -> bool {
    bound_ns <= time * 1.001
}

fn tolerance(facts: &Facts) -> Option<Fit> {
    let (_, roof) = facts.above()?;
    let excess = facts.excess()?;
    let (known, what) = match (roof.source, roof.limiter) {
        (RoofSource::Measured, Limiter::Memory(Level::Dram | Level::Mall)) => (1.1, "10 % of a measured DRAM ceiling"),
        (RoofSource::Measured, _) => (1.02, "2 % of a measured ceiling"),
        _ => (1.001, "0.1 % of a derived peak"),
    };
    (excess <= known).then(|| Fit::likely(format!("{excess:.3} of the roof is within {what}")))
}
