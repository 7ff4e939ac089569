//! Time and counts are not those of the same work, or not exact.

use super::super::facts::ratio;
use super::super::{Facts, Fit, Matched, text};
use super::holds;
use crate::Limiter;

pub(super) fn overlapping_queues(facts: &Facts) -> Option<Fit> {
    let excess = facts.excess()?;
    let overlap = facts.overlap_ratio.filter(|overlap| *overlap > 0.0)?;
    // Overlap slows a kernel; it lifts a point only by counts of the others, in the shared part of the time.
    (1.0 - 1.0 / excess <= overlap)
        .then(|| Fit::possible(format!("other kernels ran in {} of the time", text::percent(overlap.min(1.0)))))
}

pub(super) fn undercounted_time(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above()?;
    let replay = facts.replay_ns.filter(|replay| *replay > time * 1.001)?;
    // A tool that locks a low clock or empties the caches measures more for a reason of its own.
    let clock = ratio(facts.clock_hz, roof.clock_hz).map(|scale| scale.min(1.0));
    let whole = clock.is_some_and(|clock| holds(roof.bound_ns, replay * clock));
    let whole = whole && !matches!(roof.limiter, Limiter::Memory(_));
    Some(Fit::of(whole, format!("the counting tool measured {}", text::ns(replay))))
}

pub(super) fn timer_resolution(facts: &Facts) -> Option<Fit> {
    let (time, roof) = facts.above()?;
    let timer = facts.timer_ns.filter(|timer| *timer > 0.0)?;
    let of_launch = time / facts.runs();
    (of_launch <= 10.0 * timer).then(|| {
        let evidence = format!("{} a launch, timed in steps of {}", text::ns(of_launch), text::ns(timer));
        Fit::of(holds(roof.bound_ns, time + timer * facts.runs()), evidence)
    })
}

pub(super) fn rounded_page(facts: &Facts) -> Option<Fit> {
    let excess = facts.excess()?;
    let error = facts.digits_ratio.filter(|error| *error > 0.0)?;
    (excess - 1.0 <= error).then(|| Fit::likely(format!("the digits of the page leave {}", text::percent(error))))
}

pub(super) fn matched_by_name(facts: &Facts) -> Option<Fit> {
    facts.above().filter(|_| facts.matched == Some(Matched::Name))?;
    let excess = facts.excess();
    match facts.spread_ratio {
        None => Some(Fit::possible("the counts were matched by name alone".to_owned())),
        Some(spread) if spread > 1.001 => {
            let evidence = format!("the launches that were counted differ by a factor of {spread:.2}");
            Some(Fit::of(excess.is_some_and(|excess| excess <= spread), evidence))
        }
        Some(_) => None,
    }
}

pub(super) fn counted_graph(facts: &Facts) -> Option<Fit> {
    let excess = facts.excess()?;
    let nodes = facts.counted_nodes.filter(|nodes| *nodes > 1)?;
    Some(Fit::of(excess <= nodes as f64, format!("the counts are those of a graph of {nodes} kernels")))
}
