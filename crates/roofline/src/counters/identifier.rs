//! Identifiers of formulas: the parts that were chosen and the tool, `sass-hfma4+dram-bytes+l2-lts2xbar/ncu-2025`.

use std::sync::Arc;

use super::bytes::BytesPlan;
use crate::Level;

/// The identifier; `None` of nothing.
pub(super) fn identifier<'a>(
    parts: impl IntoIterator<Item = &'a str>,
    bytes: &[BytesPlan],
    tool: &str,
) -> Option<Arc<str>> {
    let parts: Vec<&str> = parts.into_iter().chain(bytes.iter().map(|plan| plan.part)).collect();
    (!parts.is_empty()).then(|| Arc::from(format!("{}/{tool}", parts.join("+"))))
}

/// Whether bytes of a level from two formulas count the same. DRAM bytes do; L1, L2 and LDS bytes only by the same part
/// of the formula: they differ between versions of ncu, devices and vendors.
pub fn comparable(a: &str, b: &str, level: Level) -> bool {
    let part = |id: &str| -> Option<String> {
        let prefixes: &[&str] = match level {
            Level::Dram => &["dram-", "hbm-"],
            Level::L2 => &["l2-"],
            Level::L1 => &["l1-"],
            Level::Lds => &["lds-"],
            _ => &[],
        };
        let parts = id.split('/').next()?;
        parts.split('+').find(|part| prefixes.iter().any(|prefix| part.starts_with(prefix))).map(str::to_owned)
    };
    match (part(a), part(b)) {
        (Some(a), Some(b)) => level == Level::Dram || a == b,
        _ => false,
    }
}
