//! What the arguments of a collective say.

use std::collections::BTreeMap;

use proftool_trace::rows::Collective;

use super::event::{Args, integer, text};
use super::names::QuickMap;
use crate::raw::json::Fault;

/// One collective's arguments. They stand at the kernel, or (before PyTorch 2.3) only at the operator
/// `record_param_comms` that has the kernel's `External id`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    operation: String,
    group: Option<String>,
    dtype: Option<String>,
    sequence: Option<i64>,
    bytes_in: Option<i64>,
    bytes_out: Option<i64>,
    group_size: Option<i64>,
    peer: Option<i64>,
}

impl Arguments {
    /// The arguments, where there are any.
    ///
    /// # Errors
    /// A string that is not UTF-8, or has an escape that does not exist.
    pub(crate) fn of(args: &Args<'_>) -> Result<Option<Self>, Fault> {
        if args.collective.is_empty() {
            return Ok(None);
        }
        let owned = |value| -> Result<Option<String>, Fault> {
            let mut scratch = String::new();
            Ok(text(value, &mut scratch)?.filter(|text| !text.is_empty()).map(str::to_owned))
        };
        let Some(name) = owned(args.collective)? else { return Ok(None) };
        let (operation, dtype) = (operation(&name), owned(args.dtype)?);
        let size = dtype.as_deref().and_then(element_bytes);
        let bytes = |count| integer(count).filter(|count| *count >= 0)?.checked_mul(size?);
        let peer = match operation.as_str() {
            "send" => integer(args.target_rank),
            "recv" => integer(args.source_rank),
            _ => None,
        };
        Ok(Some(Self {
            operation,
            group: owned(args.group)?,
            dtype,
            sequence: integer(args.sequence),
            bytes_in: bytes(args.in_elements),
            bytes_out: bytes(args.out_elements),
            group_size: integer(args.group_size),
            peer: peer.filter(|peer| *peer >= 0),
        }))
    }

    /// The row of an activity with these arguments.
    pub(crate) fn row(&self, activity: i64, group_sizes: &BTreeMap<String, i64>) -> Collective<'_> {
        let listed = || group_sizes.get(self.group.as_deref()?).copied();
        Collective {
            activity,
            group: self.group.as_deref(),
            sequence: self.sequence,
            operation: &self.operation,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            dtype: self.dtype.as_deref(),
            group_size: self.group_size.or_else(listed),
            peer: self.peer,
        }
    }
}

/// Arguments that stand at operators, by `External id`.
#[derive(Default)]
pub(crate) struct Stated(QuickMap<i64, Arguments>);

impl Stated {
    /// Takes the arguments of an operator.
    pub(crate) fn add(&mut self, external_id: i64, arguments: Arguments) {
        self.0.insert(external_id, arguments);
    }

    /// The arguments for a kernel that has none itself: those of its operator, if it is a kernel of NCCL or RCCL.
    pub(crate) fn find(&self, args: &Args<'_>, kernel: &str) -> Option<&Arguments> {
        if self.0.is_empty() || !(kernel.contains("nccl") || kernel.contains("rccl")) {
            return None;
        }
        self.0.get(&integer(args.external_id)?)
    }
}

/// PyTorch's names of one operation under one name; others as they are.
fn operation(name: &str) -> String {
    let known = match name {
        "allreduce" | "allreduce_coalesced" | "all_reduce" => "all_reduce",
        "allgather" | "_allgather_base" | "allgather_coalesced" | "allgather_into_tensor_coalesced" | "all_gather" => {
            "all_gather"
        }
        "reduce_scatter" | "_reduce_scatter_base" | "reduce_scatter_tensor_coalesced" => "reduce_scatter",
        "all_to_all" | "all_to_allv" | "alltoall" | "alltoall_base" => "all_to_all",
        other => other,
    };
    known.to_owned()
}

/// Bytes of an element of PyTorch's types.
fn element_bytes(dtype: &str) -> Option<i64> {
    Some(match dtype {
        "ComplexDouble" => 16,
        "Double" | "Long" | "UInt64" | "ComplexFloat" => 8,
        "Float" | "Int" | "UInt32" | "ComplexHalf" => 4,
        "Half" | "BFloat16" | "Short" | "UInt16" => 2,
        "Char" | "Byte" | "Bool" => 1,
        other if other.starts_with("Float8_") => 1,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_elements_times_their_size() {
        let args = Args {
            collective: b"\"_allgather_base\"",
            in_elements: b"10",
            out_elements: b"80",
            dtype: b"\"BFloat16\"",
            group: b"\"tp\"",
            sequence: b"5",
            source_rank: b"1",
            ..Args::default()
        };
        let arguments = Arguments::of(&args).unwrap().unwrap();
        let row = arguments.row(7, &BTreeMap::from([("tp".to_owned(), 8)]));
        assert_eq!((row.activity, row.operation, row.dtype, row.peer), (7, "all_gather", Some("BFloat16"), None));
        assert_eq!(
            (row.bytes_in, row.bytes_out, row.group_size, row.sequence),
            (Some(20), Some(160), Some(8), Some(5))
        );
    }

    #[test]
    fn the_peer_of_a_message_is_the_other_side() {
        for (operation, peer) in [("send", 3), ("recv", 2)] {
            let name = format!("\"{operation}\"");
            let args = Args { collective: name.as_bytes(), source_rank: b"2", target_rank: b"3", ..Args::default() };
            assert_eq!(Arguments::of(&args).unwrap().unwrap().row(0, &BTreeMap::new()).peer, Some(peer));
        }
    }

    #[test]
    fn a_type_that_is_not_known_or_a_count_that_overflows_has_no_bytes() {
        for (dtype, count) in
            [(&b"\"Strange\""[..], &b"1"[..]), (b"\"Double\"", b"9223372036854775807"), (b"\"Int\"", b"-1")]
        {
            let args = Args { collective: b"\"reduce\"", dtype, in_elements: count, ..Args::default() };
            assert_eq!(Arguments::of(&args).unwrap().unwrap().bytes_in, None);
        }
        assert!(Arguments::of(&Args::default()).unwrap().is_none());
    }
}
