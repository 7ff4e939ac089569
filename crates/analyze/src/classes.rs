//! The rule table that maps an activity to a class. It is data: a new library is a new line.
//!
//! The first rule that matches decides. A kernel that no rule matches is compute, and [`classify`] says so, because a
//! communication kernel with an unknown name would otherwise hide in the compute time.

/// What kind of row an activity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A kernel.
    Kernel,
    /// A copy of memory.
    Copy,
    /// A fill of memory.
    Set,
    /// A synchronisation record: no work.
    Sync,
    /// A whole graph launch, its kernels not recorded one by one.
    Graph,
}

impl Kind {
    /// The kind of that name in the table `activities`; an unknown one counts as a kernel.
    pub fn parse(name: &str) -> Self {
        match name {
            "copy" => Self::Copy,
            "set" => Self::Set,
            "sync" => Self::Sync,
            "graph" => Self::Graph,
            _ => Self::Kernel,
        }
    }

    /// The name in the table `activities`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Copy => "copy",
            Self::Set => "set",
            Self::Sync => "sync",
            Self::Graph => "graph",
        }
    }
}

/// What the time of an activity is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Arithmetic.
    Compute,
    /// Communication between devices.
    Comm,
    /// Transfer of a KV cache.
    Kv,
    /// Another copy.
    Copy,
    /// A fill of memory.
    Set,
    /// A synchronisation record: no work.
    Sync,
}

impl Class {
    /// The classes that are work, in the order in which an instant is attributed to one of them.
    pub const WORK: [Self; 5] = [Self::Compute, Self::Comm, Self::Kv, Self::Copy, Self::Set];

    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Comm => "comm",
            Self::Kv => "kv",
            Self::Copy => "copy",
            Self::Set => "set",
            Self::Sync => "sync",
        }
    }
}

/// One condition of a rule.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    /// The name, in lower case, contains one of these.
    NameContains(&'static [&'static str]),
    /// The role of its queue is this.
    Role(&'static str),
    /// Its launching call began inside a range of [`KV_RANGES`] on the same thread.
    InKvRange,
}

/// One line of the rule table: when the kind is one of `kinds` and every condition holds, the class is `class`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The kinds that it is for.
    pub kinds: &'static [Kind],
    /// What must hold, all of it.
    pub conditions: &'static [Condition],
    /// The class that it gives.
    pub class: Class,
}

/// Parts of the names of communication kernels: NCCL and RCCL, then the custom all-reduces of vLLM, SGLang, FlashInfer
/// and TensorRT-LLM, then NVSHMEM, DeepEP and NIXL.
pub const COMM_NAMES: &[&str] = &[
    "nccl",
    "rccl",
    "cross_device_reduce",
    "all_reduce",
    "allreduce",
    "allgather",
    "all_gather",
    "reduce_scatter",
    "nvshmem",
    "deep_ep",
    "nixl",
    "one_shot_all",
    "two_shot_all",
];

/// Parts of the names of host ranges inside which KV transfers are launched.
pub const KV_RANGES: &[&str] = &["kv_transfer", "kv transfer", "kv_handover", "kv handover", "nixl"];

/// Parts of the names of host calls that block until a device is done. (`cudaStreamWaitEvent` does not block the host.)
pub const SYNC_CALLS: &[&str] = &["synchroni"];

const MOVES: &[Kind] = &[Kind::Copy];
const KERNELS: &[Kind] = &[Kind::Kernel];
const COMM_NAME: Condition = Condition::NameContains(COMM_NAMES);

/// The rule table.
pub const RULES: &[Rule] = &[
    Rule { kinds: &[Kind::Sync], conditions: &[], class: Class::Sync },
    Rule { kinds: &[Kind::Set], conditions: &[], class: Class::Set },
    Rule { kinds: &[Kind::Graph], conditions: &[], class: Class::Compute },
    Rule { kinds: MOVES, conditions: &[Condition::Role("kv")], class: Class::Kv },
    Rule { kinds: MOVES, conditions: &[Condition::InKvRange], class: Class::Kv },
    Rule { kinds: MOVES, conditions: &[Condition::Role("comm")], class: Class::Comm },
    Rule { kinds: MOVES, conditions: &[], class: Class::Copy },
    Rule { kinds: KERNELS, conditions: &[COMM_NAME, Condition::Role("kv")], class: Class::Kv },
    Rule { kinds: KERNELS, conditions: &[COMM_NAME, Condition::InKvRange], class: Class::Kv },
    Rule { kinds: KERNELS, conditions: &[Condition::Role("comm"), Condition::InKvRange], class: Class::Kv },
    Rule { kinds: KERNELS, conditions: &[Condition::Role("comm")], class: Class::Comm },
    Rule { kinds: KERNELS, conditions: &[COMM_NAME], class: Class::Comm },
];

/// What the rules ask about one activity.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// The role of its queue, where it is known.
    pub role: Option<&'a str>,
    /// Whether its launching call began inside a KV range.
    pub in_kv_range: bool,
}

/// The class of an activity, or `None` where no rule matches (a kernel that counts as compute).
pub fn classify(facts: &Facts) -> Option<Class> {
    let rule = RULES.iter().find(|rule| {
        rule.kinds.contains(&facts.kind) && rule.conditions.iter().all(|condition| holds(condition, facts))
    });
    rule.map(|rule| rule.class)
}

fn holds(condition: &Condition, facts: &Facts) -> bool {
    match condition {
        Condition::NameContains(parts) => contains_any(facts.name, parts),
        Condition::Role(role) => facts.role == Some(role),
        Condition::InKvRange => facts.in_kv_range,
    }
}

/// Whether the name, in lower case, contains one of the parts.
pub fn contains_any(name: &str, parts: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    parts.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kind: Kind, name: &str, role: Option<&str>, in_kv_range: bool) -> Option<Class> {
        classify(&Facts { kind, name, role, in_kv_range })
    }

    #[test]
    fn a_copy_is_kv_by_its_queue_or_by_its_launching_range() {
        assert_eq!(class(Kind::Copy, "memcpy", Some("kv"), false), Some(Class::Kv));
        assert_eq!(class(Kind::Copy, "memcpy", Some("copy"), true), Some(Class::Kv));
        assert_eq!(class(Kind::Copy, "memcpy", Some("copy"), false), Some(Class::Copy));
        assert_eq!(class(Kind::Set, "memset", Some("kv"), true), Some(Class::Set));
    }

    #[test]
    fn communication_kernels_are_known_by_name_or_role() {
        assert_eq!(class(Kind::Kernel, "ncclDevKernel_AllReduce_Sum", None, false), Some(Class::Comm));
        assert_eq!(class(Kind::Kernel, "vllm::cross_device_reduce_1stage", None, false), Some(Class::Comm));
        assert_eq!(class(Kind::Kernel, "send", Some("comm"), false), Some(Class::Comm));
        assert_eq!(class(Kind::Kernel, "ncclDevKernel_SendRecv", None, true), Some(Class::Kv));
    }

    #[test]
    fn an_unknown_kernel_is_matched_by_no_rule_even_inside_a_kv_range() {
        assert_eq!(class(Kind::Kernel, "gemm", Some("compute"), false), None);
        assert_eq!(class(Kind::Kernel, "gemm", Some("kv"), true), None);
        assert_eq!(class(Kind::Sync, "stream_sync", None, false), Some(Class::Sync));
    }
}
