//! The bytes are fewer than they are held to be.

use super::super::facts::ratio;
use super::super::{Facts, Fit, text};
use super::holds;
use crate::{Limiter, Source};

/// Bytes that a launch can find in the cache, and those that it moves.
fn cached(facts: &Facts, bytes: Option<f64>) -> Option<(f64, f64)> {
    let of_launch = bytes.filter(|bytes| *bytes > 0.0)? / facts.runs();
    Some((facts.cache_bytes.filter(|bytes| *bytes > 0.0)?, of_launch))
}

pub(super) fn cache_reuse(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above_dram().filter(|_| facts.bytes_source == Some(Source::Analytic))?;
    let (cache, tensors) = cached(facts, facts.compulsory_bytes)?;
    if let Some(share) = ratio(facts.counter_bytes, facts.compulsory_bytes) {
        // What counters saw decides; a cache cannot keep back more than it holds.
        let fits = share < 0.99 && tensors * (1.0 - share) <= cache;
        return fits.then(|| {
            let evidence = format!("counters saw {} of those bytes", text::percent(share));
            Fit::of(holds(roof.scaled(1.0, share, 1.0), time), evidence)
        });
    }
    (tensors <= cache).then(|| {
        let (tensors, cache) = (text::bytes(tensors), text::bytes(cache));
        Fit::possible(format!("the {tensors} of a launch fit in {cache} of cache, and nothing counted DRAM"))
    })
}

pub(super) fn flushed_caches(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above_dram().filter(|_| facts.bytes_source == Some(Source::Counter))?;
    facts.replay_ns?;
    let (cache, moved) = cached(facts, facts.counter_bytes)?;
    let flushed = facts.caches_flushed.unwrap_or(true);
    let rest = 1.0 - (cache / moved).min(1.0);
    (flushed && holds(roof.scaled(1.0, rest, 1.0), time)).then(|| {
        let (moved, cache) = (text::bytes(moved), text::bytes(cache));
        let evidence =
            format!("{moved} of a launch counted in a replay, {cache} of cache that a warm launch can reuse");
        Fit::of(facts.caches_flushed == Some(true), evidence)
    })
}

/// Parts of names whose kernels read rows that their data choose.
const GATHERS: &[&str] = &["moe", "expert", "embedding", "gather", "index_select", "paged", "grouped_gemm", "scatter"];

pub(super) fn overcounted_bytes(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above_dram().filter(|_| facts.bytes_source == Some(Source::Analytic))?;
    if let Some(share) = ratio(facts.counter_bytes, facts.compulsory_bytes) {
        let missing = facts.compulsory_bytes.unwrap_or_default() / facts.runs() * (1.0 - share);
        let beyond = facts.cache_bytes.is_some_and(|cache| missing > cache);
        return (share < 0.99 && beyond).then(|| {
            let evidence = format!(
                "counters saw {} of those bytes, and the {} that a launch lacks are more than the cache holds",
                text::percent(share),
                text::bytes(missing)
            );
            Fit::of(holds(roof.scaled(1.0, share, 1.0), time), evidence)
        });
    }
    facts.is_named(GATHERS).then(|| Fit::possible("the name says that data choose what is read".to_owned()))
}

pub(super) fn other_link(facts: &Facts) -> Option<Fit> {
    let (time, _) = facts.above().filter(|(_, roof)| roof.limiter == Limiter::Link)?;
    let bytes = facts.wire_bytes.filter(|bytes| *bytes > 0.0)?;
    let allows = |(_, rate): &&(String, f64)| *rate > 0.0 && holds(bytes * 1e9 / rate, time);
    let (name, rate) = facts.links.iter().find(allows)?;
    Some(Fit::likely(format!("{name} at {}/s holds {}", text::bytes(*rate), text::bytes(bytes))))
}

pub(super) fn in_network_reduction(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above().filter(|(_, roof)| roof.limiter == Limiter::Link)?;
    let named = facts.is_named(&["nvls", "multimem", "sharp", "collnet"]);
    named.then(|| Fit::of(holds(roof.scaled(1.0, 1.0, 0.5), time), "the name says that the switch reduces".to_owned()))
}
