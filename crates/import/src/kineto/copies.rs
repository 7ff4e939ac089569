//! What the names of copies and fills say: `Memcpy HtoD (Pageable -> Device)`, `Memset (Device)`.

/// Direction and memory kinds of a copy or fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Name in `activities.copy_kind`.
    pub(crate) kind: Option<&'static str>,
    /// Name in `activities.src_memory`.
    pub(crate) src_memory: Option<&'static str>,
    /// Name in `activities.dst_memory`.
    pub(crate) dst_memory: Option<&'static str>,
}

impl Copy {
    /// The copy of that name. `kind` is the direction that AMD traces state beside it.
    pub(crate) fn named(name: &str, kind: &str) -> Self {
        let (head, memories) = name.split_once('(').unwrap_or((name, ""));
        let direction = head.split_ascii_whitespace().find_map(direction).or_else(|| direction(kind));
        let (from, to) = memories.trim_end_matches(')').split_once("->").unwrap_or_default();
        Self { kind: direction, src_memory: memory(from), dst_memory: memory(to) }
    }

    /// The fill of that name.
    pub(crate) fn filling(name: &str) -> Self {
        let memories = name.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        Self { dst_memory: memory(memories), ..Self::default() }
    }
}

/// `A` is an array, which lies in device memory.
fn direction(word: &str) -> Option<&'static str> {
    match word {
        "HtoD" | "HtoA" | "CopyHostToDevice" | "HostToDevice" => Some("h2d"),
        "DtoH" | "AtoH" | "CopyDeviceToHost" | "DeviceToHost" => Some("d2h"),
        "DtoD" | "AtoA" | "AtoD" | "DtoA" | "CopyDeviceToDevice" | "DeviceToDevice" => Some("d2d"),
        "PtoP" => Some("p2p"),
        "HtoH" | "HostToHost" => Some("h2h"),
        _ => None,
    }
}

/// Plain `Host` (AMD) does not say whether it is pinned.
fn memory(word: &str) -> Option<&'static str> {
    match word.trim() {
        "Pageable" => Some("pageable"),
        "Pinned" => Some("pinned"),
        "Device" | "Array" | "Device Static" => Some("device"),
        "Managed" | "Managed Static" => Some("managed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_direction_and_memory() {
        let copy = |name, kind| {
            let Copy { kind, src_memory, dst_memory } = Copy::named(name, kind);
            (kind, src_memory, dst_memory)
        };
        assert_eq!(copy("Memcpy HtoD (Pageable -> Device)", ""), (Some("h2d"), Some("pageable"), Some("device")));
        assert_eq!(copy("Memcpy DtoH (Device -> Pinned)", ""), (Some("d2h"), Some("device"), Some("pinned")));
        assert_eq!(copy("Memcpy PtoP (Device -> Device)", ""), (Some("p2p"), Some("device"), Some("device")));
        assert_eq!(copy("Memcpy HtoD (Host -> Device)", "HtoD"), (Some("h2d"), None, Some("device")));
        assert_eq!(copy("CopyDeviceToHost", ""), (Some("d2h"), None, None));
        assert_eq!(copy("something", "DtoD"), (Some("d2d"), None, None));
        assert_eq!(copy("Memcpy Unknown (Unknown -> Unknown)", ""), (None, None, None));
        assert_eq!(Copy::filling("Memset (Managed)").dst_memory, Some("managed"));
        assert_eq!(Copy::filling("Memset"), Copy::default());
    }
}
