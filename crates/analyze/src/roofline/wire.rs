//! What a transfer puts on its link, and which link that is: one answer for the engine and for `roofline_link`.
//!
//! Bytes are the bus bytes of NCCL's own tests (`doc/PERFORMANCE.md`): of n ranks 2(n-1)/n of the buffer for an
//! all-reduce, (n-1)/n of the larger buffer for all-gather, reduce-scatter and all-to-all, the buffer for the others.

use super::DeviceRoofs;
pub(crate) use super::links::{Link, link_roof, stated};

/// A factor on the payload and its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Formula {
    pub(crate) id: &'static str,
    pub(crate) factor: f64,
}

/// The payload itself.
pub(crate) const PAYLOAD: Formula = Formula { id: "payload", factor: 1.0 };
/// Read and written in one memory.
pub(crate) const THROUGH_MEMORY: Formula = Formula { id: "read+write", factor: 2.0 };

/// The bus bytes of an operation over the payload; `None` where the number of ranks matters and is not known.
pub(crate) fn bus_bytes(operation: &str, ranks: Option<i64>) -> Option<Formula> {
    let share = |ranks: i64| (ranks > 0).then(|| (ranks - 1) as f64 / ranks as f64);
    match operation_of(operation) {
        "all_reduce" => Some(Formula { id: "bus-2(n-1)/n", factor: 2.0 * share(ranks?)? }),
        "all_gather" | "reduce_scatter" | "all_to_all" => Some(Formula { id: "bus-(n-1)/n", factor: share(ranks?)? }),
        _ => Some(PAYLOAD),
    }
}

/// The payload of a collective: the larger of input and output.
pub(crate) fn payload(input: Option<i64>, output: Option<i64>) -> Option<i64> {
    input.max(output).filter(|bytes| *bytes >= 0)
}

/// Bytes that each rank of a collective must send.
pub(crate) fn wire_bytes(operation: &str, input: Option<i64>, output: Option<i64>, ranks: Option<i64>) -> Option<f64> {
    Some(payload(input, output)? as f64 * bus_bytes(operation, ranks)?.factor)
}

/// Parts of the names of operations and of communication kernels, in lower case, and the operation that they mean.
const OPERATIONS: &[(&str, &str)] = &[
    ("allreduce", "all_reduce"),
    ("all_reduce", "all_reduce"),
    ("cross_device_reduce", "all_reduce"),
    ("allgather", "all_gather"),
    ("all_gather", "all_gather"),
    ("reducescatter", "reduce_scatter"),
    ("reduce_scatter", "reduce_scatter"),
    ("alltoall", "all_to_all"),
    ("all_to_all", "all_to_all"),
    ("sendrecv", "send_recv"),
    ("send", "send"),
    ("recv", "recv"),
    ("broadcast", "broadcast"),
    ("reduce", "reduce"),
];

/// The operation that a name means.
pub(crate) fn operation_of(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    OPERATIONS.iter().find(|(part, _)| name.contains(part)).map_or("collective", |(_, operation)| operation)
}

/// Most ranks that one machine's links are taken to connect; those of a rack-wide NVLink domain.
const NODE_RANKS: i64 = 8;
const RACK_RANKS: i64 = 72;
const RACKS: &[&str] = &["gb200", "gb300"];

/// Ranks that the links of a device connect; `device` is its name or the slug of its spec.
pub(crate) fn domain(device: &str) -> i64 {
    let name = device.to_ascii_lowercase();
    if RACKS.iter().any(|rack| name.contains(rack)) { RACK_RANKS } else { NODE_RANKS }
}

/// The link that a collective uses, or why nobody can tell.
pub(crate) fn collective_link(ranks: Option<i64>, roofs: Option<&DeviceRoofs>) -> Result<Link, &'static str> {
    let spec = roofs.and_then(|roofs| roofs.spec).unwrap_or_default();
    match ranks {
        None => Err("the number of ranks is not recorded, so that the link is not known"),
        Some(ranks) if ranks > domain(spec) => Err("so many ranks may span machines, whose network is not known"),
        Some(_) => Ok(Link::Peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_bytes_are_those_of_the_nccl_tests() {
        let factor = |operation, ranks| bus_bytes(operation, ranks).map(|formula| formula.factor);
        assert_eq!(factor("all_reduce", Some(8)), Some(1.75));
        assert_eq!(factor("all_gather", Some(8)), Some(0.875));
        assert_eq!(factor("reduce_scatter", Some(2)), Some(0.5));
        assert_eq!(factor("all_reduce", Some(1)), Some(0.0));
        assert_eq!(factor("ncclDevKernel_AllReduce_Sum_f32_RING_LL", Some(2)), Some(1.0));
        assert_eq!((factor("send", None), factor("broadcast", Some(4))), (Some(1.0), Some(1.0)));
        assert_eq!((factor("all_reduce", None), factor("all_reduce", Some(0))), (None, None));
    }

    #[test]
    fn each_rank_of_a_collective_sends_what_the_others_lack() {
        assert_eq!(wire_bytes("all_reduce", Some(800), Some(800), Some(4)), Some(1200.0));
        assert_eq!(wire_bytes("all_gather", Some(200), Some(800), Some(4)), Some(600.0));
        assert_eq!(wire_bytes("reduce_scatter", Some(800), Some(200), Some(4)), Some(600.0));
        assert_eq!(wire_bytes("send", Some(800), None, Some(4)), Some(800.0));
        assert_eq!(wire_bytes("all_reduce", Some(800), None, None), None, "a share of an unknown number");
        assert_eq!(wire_bytes("all_reduce", Some(800), None, Some(1)), Some(0.0));
        assert_eq!(wire_bytes("all_reduce", None, Some(-1), Some(2)), None);
    }

    #[test]
    fn a_collective_of_more_ranks_than_a_machine_has_no_known_link() {
        let mut rack = DeviceRoofs::default();
        rack.spec = Some("gb200");
        assert_eq!(collective_link(Some(8), None), Ok(Link::Peer));
        assert!(collective_link(Some(9), None).unwrap_err().contains("span machines"));
        assert_eq!(collective_link(Some(72), Some(&rack)), Ok(Link::Peer));
        assert!(collective_link(Some(73), Some(&rack)).is_err() && collective_link(None, Some(&rack)).is_err());
    }
}
