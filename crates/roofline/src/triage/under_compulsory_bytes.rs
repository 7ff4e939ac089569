//! Causes of DRAM counters that saw fewer bytes than the tensors have: the bytes stayed in a cache, went elsewhere, were
//! not all counted, or were not all needed. What must move follows from the shapes; without any, what was written to the
//! last-level cache must leave it.

use super::facts::ratio;
use super::{Cause, Facts, Fit, LeftWrites, Matched, Symptom, text};

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        slug: "dirty_lines_in_cache",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "What was written was still in the last-level cache when the counters were read.",
        advice: "the traffic of a run of launches is nearer to the bytes that each must move",
        fits: dirty_lines_in_cache,
    },
    Cause {
        slug: "warm_cache",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "What was read was in the last-level cache from an earlier launch or replay.",
        advice: "compare with the roof of the cache",
        fits: warm_cache,
    },
    Cause {
        slug: "partial_channels",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "Not every channel of the memory was counted.",
        advice: "count all channels, or scale by them",
        fits: partial_channels,
    },
    Cause {
        slug: "multi_pass",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "Reads and writes were counted in different replays of the launch, which did not move the same bytes.",
        advice: "collect fewer metrics, so that they fit in one pass",
        fits: multi_pass,
    },
    Cause {
        slug: "overstated_bytes",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "The shapes describe more work than the launch did.",
        advice: "give the sizes that were used: experts, rows, lengths",
        fits: overstated_bytes,
    },
    Cause {
        slug: "compressed_memory",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "The data are compressed in memory.",
        advice: "compare with the bytes before compression",
        fits: compressed_memory,
    },
    Cause {
        slug: "other_memory",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "Part of the data lies in the memory of the host or of another device.",
        advice: "add the traffic of the link",
        fits: other_memory,
    },
    Cause {
        slug: "matched_by_name",
        symptom: Symptom::UnderCompulsoryBytes,
        doc: "The counts are those of other, smaller launches of a kernel of this name.",
        advice: "count the launches that the timeline holds, with their grids",
        fits: matched_by_name,
    },
];

/// Counted / compulsory bytes and the numbers, of a row that is under them.
pub(super) fn symptom(facts: &Facts) -> Option<(Option<f64>, String)> {
    if let Some((_, counted, compulsory)) = facts.missing_bytes() {
        let numbers = format!("{} counted of {} that must move", text::bytes(counted), text::bytes(compulsory));
        return Some((ratio(Some(counted), Some(compulsory)), numbers));
    }
    let LeftWrites { written, missing, launches } = facts.left_writes?;
    let [left, all] = [written - missing, written].map(text::bytes);
    let launches = if launches == 1 { "1 launch".to_owned() } else { format!("{launches} launches") };
    let numbers = format!("of {launches} {left} reached the memory of {all} that were written to the last-level cache");
    Some((ratio(Some(written - missing), Some(written)), numbers))
}

/// How much of what is missing is missing on one side, and whether a cache could hold it; `None` where the other side
/// lacks as much.
fn held_back(facts: &Facts, counted: Option<f64>, compulsory: Option<f64>, side: &str) -> Option<Fit> {
    let (missing, ..) = facts.missing_bytes()?;
    let cache = facts.cache_bytes.filter(|bytes| *bytes > 0.0)?;
    if missing / facts.runs() > cache {
        return None;
    }
    let of_launch = text::bytes(missing / facts.runs());
    let fits = format!("{of_launch} a launch would fit in {} of cache", text::bytes(cache));
    let Some((counted, compulsory)) = counted.zip(compulsory) else {
        return Some(Fit::possible(format!("{fits}, and reads and writes are not known apart")));
    };
    let share = (compulsory - counted) / missing;
    let sides = format!("{} of {} {side}; {fits}", text::bytes(counted), text::bytes(compulsory));
    (share > 0.1).then(|| Fit::of(share >= 0.9, sides))
}

fn dirty_lines_in_cache(facts: &Facts) -> Option<Fit> {
    if let (None, Some(writes)) = (facts.missing_bytes(), facts.left_writes) {
        return left_writes(facts, writes);
    }
    held_back(facts, facts.counter_write_bytes, facts.compulsory_write_bytes, "written")
}

/// Only possible: of lines that a launch writes twice, one write has to leave the cache.
fn left_writes(facts: &Facts, writes: LeftWrites) -> Option<Fit> {
    let of_launch = writes.missing / writes.launches.max(1) as f64;
    let cache = facts.cache_bytes.filter(|bytes| *bytes > 0.0);
    if cache.is_some_and(|cache| of_launch > cache) {
        return None;
    }
    let place = cache.map_or("a cache of unknown size".to_owned(), |cache| format!("{} of cache", text::bytes(cache)));
    let of_launch = text::bytes(of_launch);
    Some(Fit::possible(format!("the other {of_launch} a launch would fit in {place}, unless lines were written twice")))
}

fn warm_cache(facts: &Facts) -> Option<Fit> {
    // A tool that empties the caches leaves nothing to read from them.
    let fit = held_back(facts, facts.counter_read_bytes, facts.compulsory_read_bytes, "read")?;
    (facts.caches_flushed != Some(true)).then_some(fit)
}

fn partial_channels(facts: &Facts) -> Option<Fit> {
    let (_, seen, compulsory) = facts.missing_bytes()?;
    let (counted, all) = facts.channels.filter(|(counted, all)| counted < all)?;
    let share = counted as f64 / all as f64;
    Some(Fit::of((seen / compulsory / share - 1.0).abs() <= 0.05, format!("{counted} of {all} channels were counted")))
}

fn multi_pass(facts: &Facts) -> Option<Fit> {
    facts.missing_bytes()?;
    let passes = facts.passes.filter(|passes| *passes > 1)?;
    Some(Fit::possible(format!("the launch was replayed in {passes} passes")))
}

fn overstated_bytes(facts: &Facts) -> Option<Fit> {
    let (_, counted, compulsory) = facts.missing_bytes()?;
    let share = ratio(facts.counter_flop, facts.analytic_flop).filter(|share| *share < 0.99)?;
    let whole = (counted / compulsory / share - 1.0).abs() <= 0.1;
    Some(Fit::of(whole, format!("counters saw {} of the FLOP as well", text::percent(share))))
}

fn compressed_memory(facts: &Facts) -> Option<Fit> {
    facts.missing_bytes()?;
    let share = facts.compressed_ratio.filter(|share| *share > 0.01)?;
    Some(Fit::possible(format!("{} of the sectors were compressed", text::percent(share.min(1.0)))))
}

fn other_memory(facts: &Facts) -> Option<Fit> {
    let (missing, ..) = facts.missing_bytes()?;
    let elsewhere = facts.elsewhere_bytes.filter(|bytes| *bytes > 0.1 * missing)?;
    Some(Fit::of(elsewhere >= 0.99 * missing, format!("{} went to other memory", text::bytes(elsewhere))))
}

fn matched_by_name(facts: &Facts) -> Option<Fit> {
    let (_, counted, compulsory) = facts.missing_bytes().filter(|_| facts.matched == Some(Matched::Name))?;
    match facts.spread_ratio {
        None => Some(Fit::possible("the counts were matched by name alone".to_owned())),
        Some(spread) if spread > 1.001 => {
            let evidence = format!("the launches that were counted differ by a factor of {spread:.2}");
            Some(Fit::of(counted * spread >= 0.99 * compulsory, evidence))
        }
        Some(_) => None,
    }
}
