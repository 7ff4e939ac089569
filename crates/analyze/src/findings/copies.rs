//! Copies that another way of making them would save: through the host, of pageable memory, many small ones.

use super::sheet::{Line, Sheet};
use super::waiting::spans;
use super::wording::{bytes, count, rate, share, time};
use super::{Finding, Rule, counts, matters};
use crate::Error;
use crate::metrics::{Input, copies};

/// What tells the rows of `copies` apart.
pub(super) const COPY_KEYS: &[&str] =
    &["rank", "device", "window", "copy_kind", "src_device", "dst_device", "src_memory", "dst_memory"];

pub(super) const P2P_NOT_USED: Rule =
    Rule { code: "p2p_not_used", doc: "Transfers between two devices go through the host.", apply: p2p_not_used };

pub(super) const PAGEABLE_COPY: Rule = Rule {
    code: "pageable_copy",
    doc: "Asynchronous copies of pageable memory: the driver stages them and the call blocks.",
    apply: pageable_copy,
};

pub(super) const SMALL_COPIES: Rule = Rule {
    code: "small_copies",
    doc: "Many copies of less than 64 KiB, whose time is mostly latency.",
    apply: small_copies,
};

fn p2p_not_used(input: &Input) -> Result<Vec<Finding>, Error> {
    flagged(input, "staged_copies", "staged_ns", |line, ns, span| Finding {
        title: format!(
            "{} between devices go through the host: {} on {} that peer to peer would not need",
            bytes(line.int_or_zero("staged_bytes")),
            time(ns),
            line.device()
        ),
        evidence: line.text("evidence").unwrap_or_default(),
        advice: "Enable peer access (cudaDeviceEnablePeerAccess; check nvidia-smi topo -m and that no container or IOMMU \
                 setting forbids it), or use NCCL or NVLink-aware transfers.",
        limits: Some(
            "A peer copy takes time too: the gain is smaller. Whether the machine allows peer access is not recorded."
                .to_owned(),
        ),
        ..Finding::cost("p2p_not_used", line, COPY_KEYS, ns, span)
    })
}

fn pageable_copy(input: &Input) -> Result<Vec<Finding>, Error> {
    flagged(input, "async_pageable_copies", "async_pageable_ns", |line, ns, span| Finding {
        title: format!(
            "{} on {} copy pageable memory asynchronously ({}): the driver stages them and the host blocks",
            count(line.int_or_zero("async_pageable_copies"), "call", "calls"),
            line.device(),
            time(ns)
        ),
        evidence: format!(
            "{} at {}{}",
            line.int("bytes").map_or_else(|| "unknown bytes".to_owned(), bytes),
            line.float("bytes_per_s").map_or_else(|| "an unknown rate".to_owned(), rate),
            line.float("roof_ratio").map_or_else(String::new, |ratio| format!(", {} of the link's rate", share(ratio)))
        ),
        advice: "Allocate the host buffer pinned (cudaHostAlloc, pin_memory=True) and reuse it.",
        limits: Some("A pinned copy takes time too: the gain is smaller, and it can then overlap.".to_owned()),
        ..Finding::cost("pageable_copy", line, COPY_KEYS, ns, span)
    })
}

/// Of each row of `copies` with something in `number`: a finding where the time in `column` counts.
fn flagged(
    input: &Input,
    number: &'static str,
    column: &'static str,
    finding: impl Fn(Line, i64, i64) -> Finding,
) -> Result<Vec<Finding>, Error> {
    let (sheet, spans) = (Sheet::of(input, &copies::METRIC)?, spans(input)?);
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.int_or_zero(number) > 0) {
        let (ns, span) = (line.int_or_zero(column), spans.get(&line.place()).copied().unwrap_or(0));
        if counts(ns, span) {
            found.push(finding(line, ns, span));
        }
    }
    Ok(found)
}

/// Copies from which they are many: a handful a step is the rule.
const MANY: i64 = 100;

fn small_copies(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, spans) = (Sheet::of(input, &copies::METRIC)?, spans(input)?);
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| !line.is("copy_kind", "set")) {
        let span = spans.get(&line.place()).copied().unwrap_or(0);
        let (copies, ns) = (line.int_or_zero("small_copies"), line.int_or_zero("small_ns"));
        if copies < MANY || !matters(ns, span) {
            continue;
        }
        found.push(Finding {
            title: format!(
                "{copies} copies of less than 64 KiB ({}) take {} on {}: their time is latency",
                line.text("copy_kind").unwrap_or_default(),
                time(ns),
                line.device()
            ),
            evidence: format!("{} a copy; {} copies in all in this row", time(ns / copies), line.int_or_zero("copies")),
            advice: "Pack them into one buffer and copy once, or let a kernel read the values.",
            ..Finding::cost("small_copies", line, COPY_KEYS, ns, span)
        });
    }
    Ok(found)
}
