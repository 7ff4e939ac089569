//! Transfers that nothing hides: communication, KV caches, copies.

use std::collections::{BTreeMap, BTreeSet};

use super::copies::COPY_KEYS;
use super::sheet::{Line, Place, Sheet};
use super::waiting::spans;
use super::wording::{bytes, capital, count, percent, share, time};
use super::{Finding, Rule, matters};
use crate::Error;
use crate::classes::Kind;
use crate::metrics::{Input, copies, kv_transfer, overlap};
use crate::model::{CopyKind, DeviceKey};
use crate::windows::Scope;

/// A share hidden behind the prefill below which a transfer in effect begins when the prefill ends.
const NOT_HIDDEN: f64 = 0.1;

pub(super) const EXPOSED_COMM: Rule = Rule {
    code: "exposed_comm",
    doc: "Communication runs while the device computes nothing.",
    apply: |input| exposed(input, &COMM),
};

pub(super) const EXPOSED_KV: Rule = Rule {
    code: "exposed_kv",
    doc: "A KV cache moves while the device that carries it computes nothing.",
    apply: |input| exposed(input, &KV),
};

pub(super) const EXPOSED_COPY: Rule = Rule {
    code: "exposed_copy",
    doc: "Copies run while the device computes nothing.",
    apply: |input| exposed(input, &COPY),
};

pub(super) const KV_NOT_HIDDEN: Rule = Rule {
    code: "kv_not_hidden",
    doc: "Less than a tenth of the KV transfer runs during a prefill of its sender.",
    apply: kv_not_hidden,
};

pub(super) const SINGLE_STREAM: Rule = Rule {
    code: "single_stream",
    doc: "Compute and copies to other memories share one queue, so that they cannot overlap.",
    apply: single_stream,
};

struct Exposed {
    code: &'static str,
    class: &'static str,
    what: &'static str,
    advice: &'static str,
}

static COMM: Exposed = Exposed {
    code: "exposed_comm",
    class: "comm",
    what: "Communication",
    advice: "Overlap it with compute that does not need its result (buckets, chunks, a queue of its own), or send less; \
             if a rank arrives late (metric ranks) fix that rank first.",
};

static KV: Exposed = Exposed {
    code: "exposed_kv",
    class: "kv",
    what: "KV transfer",
    advice: "Send the cache layer by layer during the prefill, on a queue of its own.",
};

static COPY: Exposed = Exposed {
    code: "exposed_copy",
    class: "copy",
    what: "Copying",
    advice: "Copy on a queue of its own from pinned memory, ahead of the compute that needs it; copies inside the device \
             often vanish with another layout or a fused kernel.",
};

fn exposed(input: &Input, about: &Exposed) -> Result<Vec<Finding>, Error> {
    let (sheet, spans) = (Sheet::of(input, &overlap::METRIC)?, spans(input)?);
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is("kind", about.class)) {
        let span = spans.get(&line.place()).copied().unwrap_or(0);
        let (total, exposed) = (line.int_or_zero("total_ns"), line.int_or_zero("exposed_ns"));
        if !matters(exposed, span) {
            continue;
        }
        let simulated = line.int_or_zero("simulated_ns");
        found.push(Finding {
            title: format!(
                "{} of {} takes {} ({} of the window) in which it computes nothing",
                about.what,
                line.device(),
                time(exposed),
                percent(exposed, span)
            ),
            evidence: format!(
                "Of {} only {} ({}) runs beside compute",
                time(total),
                time(line.int_or_zero("hidden_ns")),
                percent(line.int_or_zero("hidden_ns"), total)
            ),
            advice: about.advice,
            limits: (simulated > 0).then(|| format!("{} of it has a modelled duration.", time(simulated))),
            ..Finding::cost(about.code, line, &["rank", "device", "window", "kind"], exposed, span)
        });
    }
    Ok(found)
}

fn kv_not_hidden(input: &Input) -> Result<Vec<Finding>, Error> {
    let sheet = Sheet::of(input, &kv_transfer::METRIC)?;
    let lengths: BTreeMap<String, i64> = lengths(input)?;
    let mut found = Vec::new();
    for line in sheet.lines().filter(|line| line.is_null("request")) {
        let Some(hidden) = line.float("sender_hidden_ratio").filter(|ratio| *ratio < NOT_HIDDEN) else { continue };
        let span = line.text("window").and_then(|window| lengths.get(&window).copied()).unwrap_or(0);
        let exposed = line.int_or_zero("sender_exposed_ns");
        if !matters(exposed, span) {
            continue;
        }
        let ttft = line.int("exposed_ttft_ns").filter(|ns| *ns > 0);
        let ttft = ttft.map_or_else(String::new, |ns| format!("; it delays first tokens by {} in all", time(ns)));
        let finding = Finding {
            title: format!(
                "KV transfer begins when the prefill is over: {} of {} is hidden behind the sender's prefill",
                share(hidden),
                time(line.int_or_zero("sender_ns"))
            ),
            evidence: format!(
                "{} with {} run {} while their senders compute no prefill{ttft}",
                count(line.int_or_zero("transfers"), "transfer", "transfers"),
                line.int("bytes").map_or_else(|| "unknown bytes".to_owned(), bytes),
                time(exposed)
            ),
            advice: "Stream the cache: send each layer (or chunk) when its prefill is done instead of all at the end.",
            ..Finding::cost("kv_not_hidden", line, &["request", "window", "source"], exposed, span)
        };
        found.push(finding.limits("Sums over senders, which may send at once: at most this much can be hidden."));
    }
    Ok(found)
}

/// The length of the window sets of all devices together.
pub(super) fn lengths(input: &Input) -> Result<BTreeMap<String, i64>, Error> {
    let sets = input.sets(Scope::All)?;
    Ok(sets.into_iter().map(|set| (set.name, crate::operators::total(&set.spans))).collect())
}

/// Sums over the copies of one device that cross to another memory.
struct Crossing<'s> {
    largest: Line<'s>,
    copies: i64,
    exposed: i64,
    hidden: i64,
}

fn single_stream(input: &Input) -> Result<Vec<Finding>, Error> {
    let (sheet, spans, model) = (Sheet::of(input, &copies::METRIC)?, spans(input)?, input.model()?);
    let mut devices: BTreeMap<Place, Crossing> = BTreeMap::new();
    let crosses = |line: &Line| ["h2d", "d2h", "p2p"].iter().any(|kind| line.is("copy_kind", kind));
    for line in sheet.lines().filter(crosses) {
        let fresh = || Crossing { largest: line, copies: 0, exposed: 0, hidden: 0 };
        let sum = devices.entry(line.place()).or_insert_with(fresh);
        sum.copies += line.int_or_zero("copies");
        sum.exposed = sum.exposed.saturating_add(line.int_or_zero("exposed_ns"));
        sum.hidden = sum.hidden.saturating_add(line.int_or_zero("hidden_ns"));
        if line.int("exposed_ns") > sum.largest.int("exposed_ns") {
            sum.largest = line;
        }
    }
    let mut found = Vec::new();
    for (place, sum) in devices {
        let span = spans.get(&place).copied().unwrap_or(0);
        let Some(key) = place.0.zip(place.1) else { continue };
        let Some(queue) = shared_queue(model, key) else { continue };
        if sum.hidden > 0 || sum.copies < 2 || !matters(sum.exposed, span) {
            continue;
        }
        let line = sum.largest;
        let finding = Finding {
            title: format!(
                "{} computes and copies on one queue: {} of copies can never run beside compute",
                capital(&line.device()),
                time(sum.exposed)
            ),
            evidence: format!(
                "All kernels and all {} to or from other memories are on queue {queue}; none overlaps with compute",
                count(sum.copies, "copy", "copies"),
            ),
            advice: "Put copies on a queue of their own and order them with events; double-buffer what the next step needs.",
            ..Finding::cost("single_stream", line, COPY_KEYS, sum.exposed, span)
        };
        found.push(finding.limits(
            "Copies whose result the very next kernel needs cannot be hidden. exposed_copy counts the same time.",
        ));
    }
    Ok(found)
}

/// The one queue on which all kernels of a device and all its copies to or from other memories are.
fn shared_queue(model: &crate::model::Model, device: DeviceKey) -> Option<i64> {
    let of = |chosen: &dyn Fn(&crate::model::Activity) -> bool| -> BTreeSet<Option<i64>> {
        model.of_device(device).iter().filter(|row| chosen(row)).map(|row| row.queue).collect()
    };
    let crosses = |kind| matches!(kind, Some(CopyKind::H2d | CopyKind::D2h | CopyKind::P2p));
    let kernels = of(&|row| row.kind == Kind::Kernel);
    let copies = of(&|row| row.kind == Kind::Copy && crosses(row.copy_kind));
    let only = kernels.first().copied().flatten();
    only.filter(|_| kernels.len() == 1 && kernels == copies)
}
